/* SPDX-License-Identifier: Apache-2.0
 *
 * retired.h - addresses that a configuration dropped and that Services have all the same (DESIGN
 * section 3).  Pure.
 *
 * An address in a Service's status is lawful when a pool has it.  One that no pool has any more is
 * lawful for the Service that had it when it was dropped, and for nobody else: that is known from
 * what this node saw (retired_keep()), or from what the leader wrote into the Lease lbd-retired,
 * whose annotation lbd.io/retired says
 *	=POOL
 *	UID ADDRESS
 *	UID ADDRESS
 *	=POOL ...
 * A later version may add words behind ADDRESS, and lines that begin with #: they are read over.
 */
#ifndef LBD_RETIRED_H
#define LBD_RETIRED_H

#include "addr.h"
#include "base.h"
#include "cluster.h"
#include "hash.h"
#include "leader.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RETIRED_MAX = 4096, /* addresses */
	RETIRED_MAX_TEXT = CLUSTER_MAX_RETIRED,
	RETIRED_MAX_UID = 63,
};

struct retired; /* opaque */

/* hkey is copied.  NULL when out of memory. */
struct retired *retired_new(const struct hash_key *hkey) MUST_CHECK;
void retired_free(struct retired *r);

/* -- asking -- */
/* The name of the pool that x of the Service uid is from, valid until anything changes; NULL: it is
 * not kept. */
const char *retired_pool(const struct retired *r, const char *uid, struct addr x);
/* Another number each time that the answers may be others. */
uint64_t retired_generation(const struct retired *r);
size_t retired_count(const struct retired *r);
/* One after the other, an address of two Services twice: *io_at NULL starts, false ends. */
bool retired_next(
	const struct retired *r, const void **io_at, struct addr *ret_x, const char **ret_pool);

/* -- what this node saw -- */
/* A new configuration drops x of the Service, which has it lawfully.  0; -E2BIG: over a limit;
 * -ENOMEM. */
int retired_keep(struct retired *r, const char *service_key, const char *uid, struct addr x,
	const char *pool) MUST_CHECK;
/* The Service's status shows these n alone (0 also: it is gone): what else was seen of it is over.
 */
void retired_shown(struct retired *r, const char *service_key, const struct addr *v, size_t n);

/* -- what is recorded -- */
/* The Lease as the watch has it; deleted: nothing is recorded.  0; -EBADMSG: it cannot be read, and
 * what was known stays; -ENOMEM likewise. */
int retired_on_lease(struct retired *r, const struct cluster_lease *l, bool deleted) MUST_CHECK;

/* -- the record: the leader alone -- */
/* What is to be recorded from now on: begin, add each, end.  Without memory, or over a limit, the
 * rest is left out; retired_end() says how many that are. */
void retired_begin(struct retired *r);
void retired_add(struct retired *r, const char *uid, struct addr x, const char *pool);
size_t retired_end(struct retired *r, uint64_t now_ms) MUST_CHECK;
/* Not the leader any more: nothing is to be recorded. */
void retired_resign(struct retired *r);
/* The next request: at most one is under way.  It is not to be sent after not_after_ms. */
bool retired_next_action(struct retired *r, uint64_t now_ms, struct lease_action *ret_a);
void retired_done(struct retired *r, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms);
uint64_t retired_next_deadline(const struct retired *r); /* TIME_NEVER: nothing to write */

#endif
