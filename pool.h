/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.h - pools of addresses, and who has which.  Pure; the allocator's.
 *
 * A pool is what the configuration calls so: ranges, and whom they are for.  A holder (a Service)
 * has at most one address a family.  Several may have one address: whether they may is for the
 * caller to decide, and so is which address a holder gets.
 *
 * An address that its last holder lets go of is free, and remembered for a while: its old holder's
 * name finds it again, and others are given it only when none rested longer.  Where something may
 * still show it as the holder's it is guarded instead: it stays the holder's, and counts as used,
 * until the guard ends.
 */
#ifndef LBD_POOL_H
#define LBD_POOL_H

#include "addr.h"
#include "base.h"
#include "config.h"
#include "counter.h"
#include "hash.h"
#include "label.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_MAX_GUARDS = 8 }; /* a holder */

struct pool_set;    /* opaque: all pools, and who has their addresses */
struct pool;        /* opaque; valid until pool_sweep() or pool_forget_all() drops it */
struct pool_former; /* opaque */

/* One place in the row of those who have an address.  To be read only. */
struct pool_use {
	struct addr addr;
	struct pool_use *next;      /* pool.c's: in order of coming */
	struct pool_holder *holder; /* NULL = nobody */
	struct pool *pool; /* where it came from; perhaps without addr by now, or not configured */
};

/* What few holders have: two families, or guards. */
struct pool_rest {
	struct pool_use use;
	struct pool_former *guards; /* owned by the set */
};

/* Zero but for its key when it is made; it must not move.  To be read by pool_held() only.  Freed
 * by pool_holder_free(), after pool_leave() or pool_forget_all(). */
struct pool_holder {
	const char *key;        /* borrowed; may be replaced by another copy of the same text */
	struct pool_use use;    /* of one family, either */
	struct pool_rest *rest; /* owned; NULL = no other family, no guards */
};
void pool_holder_free(struct pool_holder *h);

/* hkey is copied; counters (borrowed) may be NULL.  NULL when out of memory. */
struct pool_set *pool_set_new(const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
void pool_set_free(struct pool_set *s);

/* -- configuration -- */
/* conf's pools come in the place of the old; it is borrowed until the next call.  Nothing else may
 * be asked before pool_rehome() was called for each holder, and then pool_sweep().  0, or -ENOMEM:
 * all is as it was. */
int pool_configure(struct pool_set *s, const struct config *conf) MUST_CHECK;
/* An address goes with the pool that has it now, else stays with the one that it came from. */
void pool_rehome(struct pool_set *s, struct pool_holder *h);
/* Drops the pools that are neither configured nor needed by a holder. */
void pool_sweep(struct pool_set *s);

/* Nobody has anything any more, and nothing is remembered.  What a holder had is void: it is to be
 * made anew, or freed. */
void pool_forget_all(struct pool_set *s);

/* -- pools -- */
size_t pool_count(const struct pool_set *s);
struct pool *pool_at(const struct pool_set *s, size_t i);      /* in the file's order */
struct pool *pool_in_turn(const struct pool_set *s, size_t i); /* in the order of search */
/* The pool that has x, or that name; NULL when there is none.  One that is no longer configured is
 * found by its name as long as it is needed. */
struct pool *pool_of(const struct pool_set *s, struct addr x);
struct pool *pool_named(const struct pool_set *s, const char *name);

/* The pool of that name, made if there is none: not configured, and there as long as it is needed.
 * For an address that a configuration dropped before this set knew of it.  NULL when out of
 * memory. */
struct pool *pool_retired(struct pool_set *s, const char *name) MUST_CHECK;

const char *pool_name(const struct pool *p);
const struct config_pool *pool_conf(const struct pool *p); /* NULL = no longer configured */
size_t pool_turn(const struct pool *p);                    /* place in the order of search */
/* Addresses in all, saturated; and in use, guarded ones included. */
uint64_t pool_total(const struct pool *p, enum addr_family f);
uint64_t pool_used(const struct pool *p, enum addr_family f);
/* Do Services move when p no longer has, or no longer admits, what they hold?  A pool that is gone
 * is judged by what it was last. */
bool pool_moves(const struct pool *p);
/* Is x, of p, one that p gives to nobody (avoidBuggyIPs)?  It is not counted in pool_total(). */
bool pool_avoids(const struct pool *p, struct addr x);

/* Whom an address is for. */
struct pool_ask {
	const char *namespace_;
	const struct labels *labels;
	const struct labels *namespace_labels; /* NULL = not known */
	const struct pool *only; /* the pool asked for; NULL = any with automatic assignment */
	const struct config *conf;
	enum config_protocol protocol; /* that it must be announced by */
	/* Where pool_fits(), and what asks it, notes the first pool that was passed over because it
	 * is POOL_UNSURE; borrowed, may be NULL. */
	const struct pool **unsure;
};
/* May p (NULL: no) serve it, and if not, why not? */
enum pool_fit {
	POOL_FITS,
	POOL_NOT_CONFIGURED,
	POOL_NOT_ASKED_FOR, /* another is */
	POOL_DISABLED,
	POOL_NOT_AUTOMATIC,
	POOL_NOT_THIS_NAMESPACE,
	POOL_NOT_THIS_SERVICE,
	POOL_NOT_ANNOUNCED, /* by the protocol asked for */
	POOL_UNSURE,        /* that hangs on the Namespace's labels, which are not known */
};
/* serviceAllocation: namespaces and namespaceSelectors are one condition, serviceSelectors another;
 * one that is not given holds (MetalLB's isPoolCompatibleWithService; but namespaceSelectors that
 * match no Namespace at all are still given, and admit nobody).  p is configured. */
enum pool_fit pool_admits(const struct pool *p, const struct pool_ask *q);
/* Of a Service that names p, or an address of it. */
enum pool_fit pool_admits_asked(const struct pool *p, const struct pool_ask *q);

/* -- choosing -- */
/* Does a node say that it announces an address?  CLAIMED: it lives; STALE: it is not heard of any
 * more, but may go on announcing where nobody hears it.  What is claimed is not given, what is
 * stale only before nothing. */
enum pool_claim { POOL_UNCLAIMED, POOL_STALE, POOL_CLAIMED };
typedef enum pool_claim (*pool_claim_fn)(void *ctx, struct addr x);

struct pool_pick {
	struct addr addr;
	struct pool *pool;
};
enum pool_fit pool_fit(const struct pool *p, const struct pool_ask *q);
bool pool_fits(const struct pool *p, const struct pool_ask *q);
bool pool_any_fits(const struct pool_set *s, const struct pool_ask *q, enum addr_family f);
/* What a holder of h's name had last, if it is free and fits.  False when there is none. */
bool pool_find_former(struct pool_set *s, const struct pool_ask *q, const struct pool_holder *h,
	enum addr_family f, struct pool_pick *ret_pick);
/* ctx is borrowed; without it nothing is claimed. */
void pool_set_claims(struct pool_set *s, pool_claim_fn claim, void *ctx);
/* Is x free, and remembered because somebody had it, until when? */
bool pool_was_used(struct pool_set *s, struct addr x, uint64_t *ret_freed_ms);
/* A free address.  Pools that say whom they are for come first, by priority, then the rest.  Among
 * pools that are alike: the lowest that nobody has had lately (reuseDelay), in the order of the
 * file; else the one that has been free longest.  False when all are in use, or claimed. */
bool pool_find_free(struct pool_set *s, const struct pool_ask *q, enum addr_family f,
	uint64_t now_ms, struct pool_pick *ret_pick);

/* -- who has which address -- */
/* What h has; NULL = none of that family. */
static inline const struct pool_use *pool_held(const struct pool_holder *h, enum addr_family f)
{
	const struct pool_use *other = h->rest != NULL ? &h->rest->use : NULL;

	if (h->use.holder != NULL && addr_family(h->use.addr) == f)
		return &h->use;
	return other != NULL && other->holder != NULL && addr_family(other->addr) == f ? other
										       : NULL;
}
/* Those who have x, guards included, in order of coming; NULL starts, NULL ends. */
const struct pool_use *pool_next_use(struct pool_set *s, struct addr x, const struct pool_use *u);
/* Does its holder only guard it? */
bool pool_is_guard(const struct pool_use *u);
bool pool_guards(const struct pool_holder *h, struct addr x);

/* Gives x of pool p to h, which holds none of x's family; a guard of its own on x ends.  0 or
 * -ENOMEM (never when h guards it, or has nothing yet and x is in use). */
int pool_give(struct pool_set *s, struct pool_holder *h, struct addr x, struct pool *p) MUST_CHECK;
/* Takes h's address of family f away, and guards it if guard is true: of more than POOL_MAX_GUARDS
 * the first ends.  Without memory it is neither guarded nor remembered: it is free. */
void pool_release(
	struct pool_set *s, struct pool_holder *h, enum addr_family f, bool guard, uint64_t now_ms);
/* Guards x of pool p for h, which neither has nor guards it; who has it keeps it.  Nothing happens
 * when out of memory. */
void pool_guard(struct pool_set *s, struct pool_holder *h, struct addr x, struct pool *p);
/* Ends h's guards but those on the n addresses of keep. */
void pool_end_guards(struct pool_set *s, struct pool_holder *h, const struct addr *keep, size_t n,
	uint64_t now_ms);
/* h goes: all that it has or guards is free. */
void pool_leave(struct pool_set *s, struct pool_holder *h, uint64_t now_ms);
/* Another number each time that anybody has let go of an address. */
uint64_t pool_generation(const struct pool_set *s);
/* Another number each time that somebody has got or lost one. */
uint64_t pool_changes(const struct pool_set *s);

#endif
