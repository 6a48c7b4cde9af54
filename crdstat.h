/* SPDX-License-Identifier: Apache-2.0
 *
 * crdstat.h - the status of MetalLB's IPAddressPools and OpenELB's Eips: how much of each is in
 * use. Pure; the leader's.
 *
 * Level-triggered: what the API shows is observed, what it should show is wanted, and a write is
 * due as long as they differ: at most one in CRDSTAT_PACE_MS for each object.  Another who writes
 * the same fields is not fought over: after CRDSTAT_TRIES writes of the same nothing is written
 * until something else is wanted.  A server that drops the fields (an older definition of the
 * kind), or refuses them, is left in peace, the whole kind.
 */
#ifndef LBD_CRDSTAT_H
#define LBD_CRDSTAT_H

#include "alloc.h"
#include "config.h"
#include "outbox.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	CRDSTAT_PACE_MS = 5000,
	CRDSTAT_TRIES = 5,
	CRDSTAT_OFF_MS = 600 * 1000, /* a kind that was refused */
	CRDSTAT_MAX_USED = 1000,     /* entries of an Eip's used; the lowest addresses are shown */
	CRDSTAT_MAX_USED_BYTES = 64 * 1024,
};

enum crdstat_kind { CRDSTAT_POOL, CRDSTAT_EIP, CRDSTAT_KINDS };

/* One for all objects; zero is not enough. */
struct crdstat_box {
	struct outbox outbox;
	uint64_t off_until_ms[CRDSTAT_KINDS]; /* TIME_NEVER: the server drops the fields */
};
void crdstat_box_init(struct crdstat_box *b);
void crdstat_box_free(struct crdstat_box *b);

struct crdstat; /* opaque: of one object */
struct crdstat *crdstat_new(enum crdstat_kind kind) MUST_CHECK;
void crdstat_free(struct crdstat_box *b, struct crdstat *s); /* NULL is a no-op */

/* The status (NULL = none) as a list, a watch or an answer has it. */
void crdstat_observe(
	struct crdstat_box *b, struct crdstat *s, const cJSON *status, uint64_t now_ms);
/* What it should be; p is its pool in the allocator, in force. */
void crdstat_want(struct crdstat_box *b, struct crdstat *s, const struct alloc *a,
	const struct config_pool *p, uint64_t now_ms);
/* Nothing is wanted: this node does not lead, or the pool is not in force. */
void crdstat_want_nothing(struct crdstat *s);

/* The next one to write; NULL = none is due.  *ret_id goes back to crdstat_done(). */
struct crdstat *crdstat_next(struct crdstat_box *b, uint64_t now_ms, uint64_t *ret_id);
/* Its merge patch of /status, on the object of that uid; cJSON_Delete().  NULL when out of memory.
 */
cJSON *crdstat_patch(const struct crdstat *s, const char *uid) MUST_CHECK;

enum crdstat_outcome {
	CRDSTAT_OK,      /* status is the answer's */
	CRDSTAT_FAILED,  /* again, with back-off */
	CRDSTAT_MISSING, /* 404: the object has gone, or has no status to be written */
	CRDSTAT_REFUSED, /* will not get better by repeating soon */
};
/* True when the kind is given up for now (to be said). */
bool crdstat_done(struct crdstat_box *b, uint64_t id, enum crdstat_outcome outcome,
	const cJSON *status, uint64_t now_ms) MUST_CHECK;
uint64_t crdstat_next_deadline(const struct crdstat_box *b);

#endif
