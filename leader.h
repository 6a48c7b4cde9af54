/* SPDX-License-Identifier: Apache-2.0
 *
 * leader.h - one holder of the Lease lbd-leader: client-go's leaderelection, with observation by
 * local monotonic time. Pure: pull the next action, tell back how it ended.
 *
 * Another host's clock is never compared: a Lease is expired when its resourceVersion did not
 * change for the duration it states, observed here.  A leader stops writing at its renew deadline,
 * counted from when the last successful renewal was SENT, before anyone else can become leader.
 */
#ifndef LBD_LEADER_H
#define LBD_LEADER_H

#include "base.h"
#include "cluster.h"
#include "counter.h"

#include <stdbool.h>
#include <stdint.h>

struct leader; /* opaque */

struct leader_conf {
	const char *identity; /* "<node>_<nonce>"; copied */
	uint64_t duration_ms, renew_deadline_ms, retry_period_ms;
};

/* rng is borrowed.  NULL when out of memory. */
struct leader *leader_new(
	const struct leader_conf *conf, struct rng *rng, struct counters *counters) MUST_CHECK;
void leader_free(struct leader *l);
/* New durations from a reload (identity stays). */
void leader_configure(struct leader *l, const struct leader_conf *conf);

/* What the watch says of the Lease lbd-leader: NULL = it does not exist. */
void leader_on_lease(struct leader *l, const struct cluster_lease *lease, uint64_t now_ms);
/* Is the Lease watch complete and live?  Without it nobody is taken for expired; after more than a
 * retry period without it the clock starts from 0.  (A shorter gap needs no new start: the rv that
 * a take carries proves that the Lease did not change meanwhile.) */
void leader_on_synced(struct leader *l, bool synced, uint64_t now_ms);
/* May this node run for leader (false: --dry-run, draining, config without pools)?  false ends
 * leadership at once; the Lease is left to expire. */
void leader_set_candidate(struct leader *l, bool candidate, uint64_t now_ms);

enum lease_verb { LEASE_CREATE, LEASE_UPDATE, LEASE_GET };

/* One request on a Lease object, for leader.c and elect.c alike. */
struct lease_action {
	enum lease_verb verb;
	const char *name; /* valid until the unit is called again */
	const char
		*resource_version; /* of the object it was computed from; NULL for CREATE and GET */
	const char *uid;           /* likewise */
	uint64_t not_after_ms;     /* not to be sent later than this; TIME_NEVER */
	uint64_t timeout_ms;       /* the request dies after this */
	uint64_t id;               /* hand back with the outcome */
	bool other;                /* a GET of another node's object */
	/* what to write */
	enum cluster_lease_role role;
	const char *holder;       /* "" = released */
	uint64_t duration_ms;     /* 0 = leave spec.leaseDurationSeconds out */
	bool has_renew_time;      /* the shell fills in its wall clock, six fraction digits */
	bool set_acquire_time;    /* acquireTime = renewTime; else keep acquire_time */
	const char *acquire_time; /* NULL = leave out */
	int64_t transitions;      /* < 0 = leave out */
	struct {
		const char *key, *value; /* annotations, full names; not lbd.io/schema */
	} annotations[16];
	size_t n_annotations;
};

enum lease_outcome {
	LEASE_OK,        /* lease holds what the API answered */
	LEASE_NOT_FOUND, /* 404 */
	LEASE_CONFLICT,  /* 409, also AlreadyExists */
	LEASE_REFUSED,   /* 403, 422 and the like: will not get better by repeating soon */
	LEASE_FAILED,    /* transport, timeout, 5xx, 429: may or may not have been applied */
	LEASE_NOT_SENT,
};

/* The next request, if one is due at now_ms: at most one in flight. */
bool leader_next_action(struct leader *l, uint64_t now_ms, struct lease_action *ret_a);
void leader_done(struct leader *l, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms);

/* Leader now, and allowed to write until leader_deadline(). */
bool leader_is_leader(const struct leader *l, uint64_t now_ms);
/* Every write of the leader carries this as its last moment; 0 when not leader. */
uint64_t leader_deadline(const struct leader *l);
/* How long a request that carries it may live: it is dead before another leader's first write, even
 * if it was sent in the last moment. */
uint64_t leader_write_ms(const struct leader *l);
/* One more each time this node becomes leader. */
uint64_t leader_term(const struct leader *l);
/* Identity of the holder as last observed, "" = none.  Valid until the next call. */
const char *leader_holder(const struct leader *l);
/* Has that holder's time run out, as far as this node can tell? Not while it is not in step. */
bool leader_is_over(const struct leader *l, uint64_t now_ms);
/* Gives the Lease back (clean exit): no more writes of the leader may be in flight.
 * leader_released() turns true when done or not needed. */
void leader_release(struct leader *l, uint64_t now_ms);
bool leader_released(const struct leader *l);

uint64_t leader_next_deadline(const struct leader *l);

#endif
