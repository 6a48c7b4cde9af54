/* SPDX-License-Identifier: Apache-2.0
 *
 * condition.h - the condition lbd.io/Announced of Services: whose is to be written, and when.  Pure;
 * the leader's.
 *
 * Level-triggered: what the API shows is compared with what should be there, and only Services
 * where they differ are kept here, so that ten thousand that are right take no memory.  A
 * difference is written once it has lasted (a failover writes nothing), at most CONDITION_BURST
 * times in a row for one Service, whoever undoes it, and one at a time at most every
 * CONDITION_PACE_MS.
 */
#ifndef LBD_CONDITION_H
#define LBD_CONDITION_H

#include "base.h"
#include "counter.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>

#define CONDITION_TYPE "lbd.io/Announced"

/* Limits, in one place. */
enum {
	CONDITION_MAX = 512,             /* Services that are known here at a time */
	CONDITION_BURST = 4,             /* writes of one Service in a row, then */
	CONDITION_REFILL_MS = 60 * 1000, /* one in so long */
	CONDITION_PACE_MS = 20,          /* between two writes of whatever Service */
	CONDITION_HOLD_MS = 1000,        /* nothing after a failure, doubled up to 32 times this */
	/* How long a difference lasts before it is written. */
	CONDITION_TRUE_MS = 1000,   /* it should be True, or should not be there */
	CONDITION_FALSE_MS = 3200,  /* False */
	CONDITION_FIRST_MS = 6400,  /* False, and there is none yet: a new address is taken in time */
	CONDITION_WORDS_MS = 12800, /* reason or message alone */
};

enum condition_status {
	CONDITION_ABSENT,
	CONDITION_FALSE,
	CONDITION_TRUE,
	CONDITION_OTHER, /* Unknown, or what only others write */
};

/* All that is kept of it with every Service. */
struct condition_mark {
	uint16_t status : 2; /* enum condition_status */
	uint16_t print : 8;  /* tells reason and message from others, nearly always; 0: ABSENT */
};

/* What the API has; status NULL = absent, the others NULL = "". */
struct condition_mark condition_mark(const char *status, const char *reason, const char *message);

static inline bool condition_equal(struct condition_mark a, struct condition_mark b)
{
	return a.status == b.status && a.print == b.print;
}

struct conditions; /* opaque */
/* hkey is copied, counters borrowed (may be NULL).  NULL when out of memory. */
struct conditions *conditions_new(const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
void conditions_free(struct conditions *c);
/* This node leads no more, or anew. */
void conditions_reset(struct conditions *c);

/* The Service as it is now; to be called whenever either may be another.  False: it differs, and
 * there is no room: once more, later. */
bool conditions_observe(struct conditions *c, const char *key, struct condition_mark has,
	struct condition_mark want, uint64_t now_ms);
/* The Service is gone. */
void conditions_forget(struct conditions *c, const char *key);

/* The next one to write, as it was last observed; false: none is due. */
struct condition_due {
	const char *key; /* valid until the next call */
	struct condition_mark want;
	uint64_t id; /* goes back to conditions_done() */
};
bool conditions_next(struct conditions *c, uint64_t now_ms, struct condition_due *ret_due);
enum condition_outcome {
	CONDITION_OK,     /* the API has what was wanted when it was handed out */
	CONDITION_LATER,  /* it was not sent: once more, after a while */
	CONDITION_FAILED, /* nothing is sent for a while */
	CONDITION_GONE,   /* of this Service, or as it was known: forgotten */
};
void conditions_done(
	struct conditions *c, uint64_t id, enum condition_outcome outcome, uint64_t now_ms);
/* When conditions_next() may have one; TIME_NEVER. */
uint64_t conditions_next_deadline(const struct conditions *c);
size_t conditions_count(const struct conditions *c); /* Services that are known here */

#endif
