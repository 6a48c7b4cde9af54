/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.h - pools, and which Service has which address.  Pure; used by the leader only.
 *
 * State in: configuration, Services.  Out: writes to Service status (pull, one at a time) and
 * results for Events.  The allocator's own table is ahead of the API by the writes that it has
 * handed out; a failed write is told back and the Service decided anew.
 *
 * Order of a new leader: alloc_begin(); alloc_put() of every Service of a consistent list;
 * alloc_adopted(): lawful addresses are adopted first (a doubled one by the first known holder,
 * else the elder), only then is anything given.
 *
 * alloc_put() and the like only take note; alloc_next_result() and alloc_next_write() decide what
 * has come, those first that have waited longest.  An address that a Service loses is given to
 * nobody else before the watch has shown its status without it (or the Service gone).
 *
 * A status that another program changes is corrected, once quietly; one that does so again and
 * again is reported, and not fought.
 */
#ifndef LBD_ALLOC_H
#define LBD_ALLOC_H

#include "addr.h"
#include "cluster.h"
#include "config.h"
#include "counter.h"
#include "hash.h"
#include "judge.h"
#include "pool.h"
#include "reason.h"

#include <stdbool.h>
#include <stdint.h>

struct alloc; /* opaque */

struct alloc *alloc_new(const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
void alloc_free(struct alloc *a);

/* What the allocator must be told by others.  Either may be NULL. */
struct alloc_ops {
	/* The pool's name where x is kept for the Service uid although no pool has it (retired.h);
	 * NULL: it is not.  Asked while adopting. */
	const char *(*kept)(void *ctx, const char *uid, struct addr x);
	/* Does a node say that it announces x? */
	pool_claim_fn claim;
};
/* ops and ctx are borrowed. */
void alloc_set_ops(struct alloc *a, const struct alloc_ops *ops, void *ctx);
/* Claims may have changed: those that wait for an address may get one. */
void alloc_claims_changed(struct alloc *a);

/* conf is borrowed until the next call.  Every Service is looked at again.  An address that its
 * pool no longer has, or no longer admits, stays with its Service (the result's detail says so),
 * unless the pool says reallocate or is MetalLB's.  0 or -ENOMEM (old pools stay). */
int alloc_configure(struct alloc *a, const struct config *conf, uint64_t now_ms) MUST_CHECK;

/* c (borrowed; NULL = nothing) is asked for the labels of Namespaces, which pools'
 * namespaceSelectors want.  While those of a Service's Namespace are not known it keeps what it
 * has, and is given nothing that hangs on them; when they are forbidden, what other pools have is
 * given.  Before it is called they are not known. */
void alloc_set_namespaces(
	struct alloc *a, const struct cluster *c, bool forbidden, uint64_t now_ms);
/* Looks again at the Services whose Namespace is new, or has other labels, since the last call. */
void alloc_namespaces_changed(struct alloc *a, uint64_t now_ms);

/* Forgets all holdings; until alloc_adopted() only adopts. */
void alloc_begin(struct alloc *a);
/* A Service as it now is in the picture (put or changed). It is copied as far as needed.  0 or
 * -ENOMEM. */
int alloc_put(struct alloc *a, const struct cluster_service *s, uint64_t now_ms) MUST_CHECK;
/* A Service that is gone: its addresses are free. */
void alloc_delete(struct alloc *a, const char *key, uint64_t now_ms);
/* All Services of the list were put. */
void alloc_adopted(struct alloc *a, uint64_t now_ms);
bool alloc_is_ready(const struct alloc *a); /* between alloc_adopted() and the next alloc_begin() */

/* What one decision came to; each is reported once, when it changes. */
struct alloc_result {
	const char *key, *namespace_, *name, *uid; /* valid until the next call of the allocator */
	enum reason reason;                        /* REASON_ALLOCATED, or why not */
	bool cleared; /* an address was taken away (MetalLB: ClearAssignment) */
	enum judge_loss loss; /* why, where it hung on that address; else reason and detail say it */
	/* Another program changed the Service's status, that was right, twice in a minute: it is
	 * corrected every OUTBOX_CONTESTED_MS only.  Of alloc_next_result(): this is all that is
	 * new; once a Service until alloc_begin(). */
	bool contested;
	struct addr ips[2];
	size_t n_ips;
	const char *pool; /* of ips[0]; NULL when none */
	bool writing;     /* a write of its status waits or is under way */
	unsigned fails;   /* writes of its status that failed in a row */
	char detail[512]; /* a sentence for the Event, "" = reason_text() says it all */
};
/* The next result not yet reported; false when there is none. */
bool alloc_next_result(struct alloc *a, struct alloc_result *ret_r);

/* One write of status.loadBalancer.ingress and the pool annotation (n_ips = 0 clears both). */
struct alloc_write {
	const char *key, *namespace_, *name, *uid,
		*resource_version; /* valid until the next call of the allocator */
	struct addr ips[2];
	size_t n_ips;
	const char *pool; /* NULL when cleared */
	uint64_t id;      /* hand back to alloc_write_done() */
};
/* The next write that may be sent at now_ms: fair order, one in flight a Service.  False when there
 * is none. */
bool alloc_next_write(struct alloc *a, uint64_t now_ms, struct alloc_write *ret_w);
enum alloc_outcome {
	ALLOC_WRITE_OK,       /* the watch will bring the new object; until then the write counts as
				 standing */
	ALLOC_WRITE_CONFLICT, /* 409: decide anew from the next object that the watch brings, or
				 after a pause */
	ALLOC_WRITE_GONE,     /* 404 */
	ALLOC_WRITE_FAILED,   /* anything else: again with back-off (0.1 s doubled to 30 s) */
	ALLOC_WRITE_NOT_SENT, /* deadline passed or cancelled: nothing reached the API; at once
				 again, the second time in a row with back-off */
};
void alloc_write_done(struct alloc *a, uint64_t id, enum alloc_outcome outcome, uint64_t now_ms);
/* When alloc_next_write() may have one again; TIME_NEVER. */
uint64_t alloc_next_deadline(const struct alloc *a);

/* -- addresses that Services hold although no pool has them, or admits the Service, any more -- */
struct alloc_kept {
	const char *key, *uid, *pool; /* valid until the next call of the allocator */
	struct addr addr;
};
/* Another number each time that there may be others.  Decides what has come. */
uint64_t alloc_kept_generation(struct alloc *a);
/* Fills v with at most max of them.  Returns how many there are. */
size_t alloc_kept(const struct alloc *a, struct alloc_kept *v, size_t max);

/* -- for status and tests -- */
struct alloc_pool_use {
	const char *name;
	uint64_t total[ADDR_FAMILIES], used[ADDR_FAMILIES]; /* saturated */
};
size_t alloc_pool_count(const struct alloc *a);
struct alloc_pool_use alloc_pool_use(const struct alloc *a, size_t i);
/* The same by its name; false when there is none. */
bool alloc_pool_find(const struct alloc *a, const char *name, struct alloc_pool_use *ret_use);
/* Another number each time that anything of it may be otherwise, or who has which address. */
uint64_t alloc_changes(const struct alloc *a);
/* Those who have an address, one after the other, in no order: *io_h zero starts, false ends. Valid
 * until the next call of the allocator. */
struct alloc_holding {
	const void *at; /* the allocator's */
	const char *key;
	struct addr ips[2];
	const char *pools[2]; /* of ips */
	size_t n_ips;
};
bool alloc_next_holding(const struct alloc *a, struct alloc_holding *io_h);
/* The addresses that key holds in the allocator's table; 0..2.  As of the last alloc_next_result()
 * or alloc_next_write(): those decide what has come since. */
size_t alloc_holding(const struct alloc *a, const char *key, struct addr ret_ips[2]);

/* The last decision about key, reported or not; false when it is not known. */
bool alloc_why(const struct alloc *a, const char *key, struct alloc_result *ret_r);
/* Decides what has come, and tells t each rule that is tried for key: in that decision, else in
 * one that is made for this and changes nothing.  Of several decisions about key the last counts;
 * each begins with JUDGE_SERVED.  False when key is not known, or nothing can be decided
 * (alloc_is_ready(), alloc_configure()). */
bool alloc_explain(
	struct alloc *a, const char *key, const struct judge_trace *t, uint64_t now_ms) MUST_CHECK;

/* What is known of one address. */
enum alloc_place {
	ALLOC_IN_NO_POOL,
	ALLOC_UNUSED,  /* free, and nobody has had it lately */
	ALLOC_RESTING, /* free since freed_ms: others are given first */
	ALLOC_GUARDED, /* not given away before the status of user no longer shows it */
	ALLOC_HELD,    /* by user; others may share it */
};
struct alloc_address {
	enum alloc_place place;
	const char *pool; /* NULL = none */
	const char *user; /* the first; NULL = none; valid until the next call of the allocator */
	uint64_t freed_ms;
};
struct alloc_address alloc_look(struct alloc *a, struct addr x);

#endif
