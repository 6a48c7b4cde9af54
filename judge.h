/* SPDX-License-Identifier: Apache-2.0
 *
 * judge.h - what a Service should have, by the pools and by who has what.  Pure; the allocator's.
 *
 * A judgement changes nothing: the allocator compares it with what the Service has, and acts.
 */
#ifndef LBD_JUDGE_H
#define LBD_JUDGE_H

#include "addr.h"
#include "base.h"
#include "cluster.h"
#include "config.h"
#include "copy.h"
#include "hash.h"
#include "list.h"
#include "pool.h"
#include "reason.h"

#include <stdbool.h>
#include <stdint.h>

struct judge;      /* opaque */
struct judge_seat; /* opaque: a place among those of one sharing key */

/* A Service before the judge; the allocator embeds it.  copy and holder.key, which is the copy's,
 * are the allocator's to set, the rest is zero when it is made; it must not move. */
struct judge_party {
	struct pool_holder holder;
	struct copy *copy;       /* borrowed */
	struct judge_seat *seat; /* judge.c's; NULL = no sharing key */
};

/* The Service as the rules want to see it. */
struct cluster_service judge_view(const struct judge_party *p);
/* <0 when a is the elder. */
int judge_elder(const struct judge_party *a, const struct judge_party *b);
/* <0 when a is decided first. */
int judge_turn(const struct judge_party *a, const struct judge_party *b);

/* pools is borrowed, hkey copied.  NULL when out of memory. */
struct judge *judge_new(const struct hash_key *hkey, struct pool_set *pools) MUST_CHECK;
void judge_free(struct judge *j);
/* conf is borrowed until the next call. */
void judge_configure(struct judge *j, const struct config *conf);

/* c's Namespaces (borrowed until the next call; NULL = none is known) answer for
 * namespaceSelectors. One that is not there is not known yet; or, when they are forbidden, never
 * will be. */
void judge_set_namespaces(struct judge *j, const struct cluster *c, bool forbidden);

/* p has this sharing key now (NULL, "": none).  0 or -ENOMEM (nothing changed). */
int judge_join(struct judge *j, struct judge_party *p, const char *key) MUST_CHECK;
void judge_leave(struct judge *j, struct judge_party *p);
/* Those of p's sharing key, in order of coming, p included; NULL starts, NULL ends. */
struct judge_party *judge_next_mate(struct judge_party *p, struct judge_party *after) MUST_CHECK;
/* All have left: their parties are to be made anew, or freed. */
void judge_forget_all(struct judge *j);

/* May p be on x beside all who have it?  REASON_ALLOCATED, IN_USE or SHARING_REFUSED. */
enum reason judge_may_share(struct judge *j, const struct judge_party *p, struct addr x);

/* Is x, by its pool, one that p may have, as far as is known?  judge_configure() was called. */
bool judge_is_lawful(struct judge *j, struct judge_party *p, struct addr x);

struct judge_pick {
	bool has;  /* the rest only then */
	bool kept; /* not lawful any more, but not taken away either */
	struct addr addr;
	struct pool *pool;
};
/* Why a Service may not keep the address that it has. */
enum judge_loss {
	JUDGE_LOSS_NONE,
	JUDGE_LOSS_ADDRESS,  /* it asks for another address */
	JUDGE_LOSS_POOL,     /* for another pool */
	JUDGE_LOSS_PROTOCOL, /* for another protocol */
	JUDGE_LOSS_RULED,    /* its pool says so */
	JUDGE_LOSS_SHARING,  /* another Service has the address */
};
/* A sentence without a final stop; NULL: JUDGE_LOSS_NONE. */
const char *judge_loss_text(enum judge_loss loss);

struct judgement {
	enum reason reason; /* REASON_ALLOCATED, or why not all is as asked */
	struct judge_pick pick[ADDR_FAMILIES];
	enum judge_loss loss[ADDR_FAMILIES]; /* NONE also when it might be kept, by itself */
	enum addr_family first; /* the Service's first family; only where it has one */
	bool waits;             /* a release by another Service could change the answer */
};
/* What p should have, by all as it is.  judge_configure() was called. */
struct judgement judge_decide(struct judge *j, struct judge_party *p, uint64_t now_ms);
/* -- what was tried on the way -- */
/* The rules, in the order in which they are tried. */
enum judge_rule {
	JUDGE_SERVED,   /* is the Service ours to serve */
	JUDGE_FAMILIES, /* has it the cluster IPs that ipFamilyPolicy wants */
	JUDGE_REQUEST,  /* can be understood what it asks for */
	JUDGE_POOL,     /* the pool asked for */
	/* of each family: the first that says ALLOCATED is followed */
	JUDGE_HELD,   /* what it has already */
	JUDGE_ASKED,  /* the address asked for */
	JUDGE_SHOWN,  /* an address that its status shows */
	JUDGE_SHARED, /* an address that others of its sharing key have */
	JUDGE_FORMER, /* what a Service of its name had before */
	JUDGE_FREE,   /* a free address of a pool; each pool in its turn */
};
struct judge_step {
	enum judge_rule rule;
	enum reason reason;      /* REASON_ALLOCATED, or why it was of no use */
	enum addr_family family; /* from JUDGE_HELD on */
	const struct addr *addr; /* NULL = about none */
	const char *pool;        /* NULL = about none */
	const char *words;       /* a sentence; never NULL */
};
/* Called from judge_decide(); what step points to is valid during the call. */
struct judge_trace {
	void (*step)(void *ctx, const struct judge_step *step);
	void *ctx;
};
/* t (borrowed) hears of each rule that judge_decide() tries; NULL, as at first: nobody does. */
void judge_set_trace(struct judge *j, const struct judge_trace *t);

/* The sentences about the last judge_decide(), "" = reason_text() says it all; until the next. */
const char *judge_words(const struct judge *j);

#endif
