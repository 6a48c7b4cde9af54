/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - pools of addresses, and who has which.
 *
 * Owns: the pools, their search state, the table address -> row of those who have it, the guards
 *       of all holders, the free addresses that are remembered.
 * In:   pool_configure(); pool_give(), pool_release() and the guards.  Out: answers.
 * Sources: DESIGN 3; MetalLB's internal/allocator (order of pools).
 *
 * An address is in the table as long as somebody has it, guards it or had it lately.  A gap in the
 * table is an address that was never used, or so long ago that it does not matter; the search for
 * one goes on where the last one ended.
 */
#include "pool.h"

#include "list.h"
#include "table.h"

#include <errno.h>
#include <string.h>

enum {
	MAX_FORMER = 2048, /* free addresses that are remembered */
	MAX_PASSED = 256,  /* claimed ones that a search passes over in a row of never-used ones */
};

/* An address after its holder: guarded (use.holder set), or free and remembered. */
struct pool_former {
	uint32_t hash; /* of key */
	bool named;    /* is in set->by_name[]: free, and the latest of its name */
	struct pool_use use;
	struct pool_former *next; /* of the same holder, when guarded */
	struct link age;          /* set->former, when free; set->guarded */
	struct link link;         /* pool->former[], when free */
	uint64_t freed_ms;
	char key[];
};

/* Where the search for a never-used address goes on: there is none before. */
struct cursor {
	size_t range;
	struct addr at;
};

struct pool {
	uint32_t hash;                  /* of name */
	bool wanted;                    /* while configuring */
	bool moves;                     /* as last configured */
	const struct config_pool *conf; /* borrowed; NULL = gone, but Services were left in it */
	uint64_t rank;                  /* pools of one rank are alike; lower first */
	size_t turn;                    /* place in set->order */
	uint64_t total[ADDR_FAMILIES], used[ADDR_FAMILIES];
	struct cursor cursor[ADDR_FAMILIES];
	struct link former[ADDR_FAMILIES]; /* the oldest first */
	char name[];
};

struct span {
	struct addr_range range;
	struct pool *pool;
	size_t index; /* in the pool */
};

/* The arrays of a configuration. */
struct layout {
	struct pool **pools; /* in the file's order */
	struct pool **order; /* in order of search */
	size_t n_pools;
	struct span *spans; /* sorted by address */
	size_t n_spans;
};

struct pool_set {
	struct hash_key hkey;
	struct counters *counters;           /* borrowed, may be NULL */
	struct table pools;                  /* by name, owned; those that are gone included */
	struct layout layout;                /* owned */
	struct addr_map map;                 /* -> struct pool_use, the first of its row */
	struct table by_name[ADDR_FAMILIES]; /* of struct pool_former */
	struct link former, guarded;         /* owned; former: the oldest first */
	size_t n_former;
	uint64_t generation, changes;
	pool_claim_fn claim; /* NULL: nothing is claimed */
	void *claim_ctx;     /* borrowed */
};

/* -- pools: asking -- */

static const struct span *span_of(const struct pool_set *s, struct addr x)
{
	const struct layout *t = &s->layout;
	size_t lo = 0, hi = t->n_spans;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(t->spans[mid].range.last, x) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->n_spans && addr_range_contains(t->spans[lo].range, x) ? &t->spans[lo] : NULL;
}

struct pool *pool_of(const struct pool_set *s, struct addr x)
{
	const struct span *span = span_of(s, x);

	return span != NULL ? span->pool : NULL;
}

static bool pool_is(const void *elt, const void *key, size_t len)
{
	const struct pool *p = elt;

	return strncmp(p->name, key, len) == 0 && p->name[len] == '\0';
}

struct pool *pool_named(const struct pool_set *s, const char *name)
{
	size_t n = strlen(name);

	return table_find(&s->pools, hash_bytes(&s->hkey, name, n), pool_is, name, n);
}

size_t pool_count(const struct pool_set *s)
{
	return s->layout.n_pools;
}

struct pool *pool_at(const struct pool_set *s, size_t i)
{
	REQUIRE(i < s->layout.n_pools);
	return s->layout.pools[i];
}

struct pool *pool_in_turn(const struct pool_set *s, size_t i)
{
	REQUIRE(i < s->layout.n_pools);
	return s->layout.order[i];
}

const char *pool_name(const struct pool *p)
{
	return p->name;
}

const struct config_pool *pool_conf(const struct pool *p)
{
	return p->conf;
}

size_t pool_turn(const struct pool *p)
{
	return p->turn;
}

uint64_t pool_total(const struct pool *p, enum addr_family f)
{
	return p->total[f];
}

uint64_t pool_used(const struct pool *p, enum addr_family f)
{
	return p->used[f];
}

/* Do namespaces and namespaceSelectors hold? */
static enum pool_fit admits_namespace(
	const struct config_service_allocation *sa, const struct pool_ask *q)
{
	if (sa->namespaces.n == 0 && sa->namespace_selectors.n == 0)
		return POOL_FITS;
	for (size_t i = 0; i < sa->namespaces.n; i++)
		if (strcmp(sa->namespaces.v[i], q->namespace_) == 0)
			return POOL_FITS;
	if (sa->namespace_selectors.n == 0)
		return POOL_NOT_THIS_NAMESPACE;
	if (q->namespace_labels == NULL)
		return POOL_UNSURE;
	return label_matches_any(&sa->namespace_selectors, q->namespace_labels)
		       ? POOL_FITS
		       : POOL_NOT_THIS_NAMESPACE;
}

enum pool_fit pool_admits(const struct pool *p, const struct pool_ask *q)
{
	const struct config_service_allocation *sa = &p->conf->service_allocation;
	enum pool_fit fit;

	if (!sa->present)
		return POOL_FITS;
	fit = admits_namespace(sa, q);
	if (fit != POOL_NOT_THIS_NAMESPACE && !label_matches_any(&sa->service_selectors, q->labels))
		return POOL_NOT_THIS_SERVICE;
	return fit;
}

enum pool_fit pool_admits_asked(const struct pool *p, const struct pool_ask *q)
{
	return p->conf->service_allocation.auto_only ? POOL_FITS : pool_admits(p, q);
}

bool pool_avoids(const struct pool *p, struct addr x)
{
	return p->conf->avoid_buggy_ips && addr_family(x) == ADDR_V4 &&
	       ((x.lo & 0xff) == 0 || (x.lo & 0xff) == 0xff);
}

bool pool_moves(const struct pool *p)
{
	return p->moves;
}

/* -- the row of those who have an address -- */

bool pool_is_guard(const struct pool_use *u)
{
	const struct pool_rest *rest = u->holder->rest;

	return u != &u->holder->use && (rest == NULL || u != &rest->use);
}

const struct pool_use *pool_next_use(struct pool_set *s, struct addr x, const struct pool_use *u)
{
	u = u == NULL ? addr_map_get(&s->map, x) : u->next;
	/* What is only remembered stands alone. */
	return u != NULL && u->holder != NULL ? u : NULL;
}

/* x left the table: it counts as never used again. */
static void reopen(struct pool_set *s, struct addr x)
{
	const struct span *span = span_of(s, x);
	struct cursor *c;

	if (span == NULL)
		return;
	c = &span->pool->cursor[addr_family(x)];
	if (span->index < c->range || (span->index == c->range && addr_cmp(x, c->at) < 0)) {
		c->range = span->index;
		c->at = x;
	}
}

/* Puts by (not NULL) into u's place. */
static void row_swap(struct pool_set *s, struct pool_use *u, struct pool_use *by)
{
	struct pool_use *at = addr_map_get(&s->map, u->addr);

	by->next = u->next;
	if (at == u) {
		/* In the map already, so there is nothing to allocate. */
		REQUIRE(addr_map_put(&s->map, u->addr, by) == 0);
		return;
	}
	while (at->next != u)
		at = at->next;
	at->next = by;
}

/* Puts u at the end of the row that begins with first. */
static void row_add(struct pool_use *first, struct pool_use *u)
{
	while (first->next != NULL)
		first = first->next;
	first->next = u;
}

static void row_remove(struct pool_set *s, struct pool_use *u)
{
	struct pool_use *at = addr_map_get(&s->map, u->addr);

	if (at != u) {
		while (at->next != u)
			at = at->next;
		at->next = u->next;
	} else if (u->next != NULL) {
		REQUIRE(addr_map_put(&s->map, u->addr, u->next) == 0);
	} else {
		addr_map_remove(&s->map, u->addr);
		reopen(s, u->addr);
	}
}

static bool is_alone(struct pool_set *s, const struct pool_use *u)
{
	return u->next == NULL && addr_map_get(&s->map, u->addr) == u;
}

/* Is it in the pool that it came from?  What a configuration has dropped is neither counted in the
 * pool nor remembered. */
static bool is_at_home(const struct pool_set *s, const struct pool_use *u)
{
	return pool_of(s, u->addr) == u->pool;
}

static void count_freed(struct pool_set *s, const struct pool_use *u)
{
	if (is_at_home(s, u))
		u->pool->used[addr_family(u->addr)]--;
	counter_inc(s->counters, COUNTER_ALLOC_RELEASED);
}

/* -- free addresses that are remembered -- */

static struct pool_former *former_of(struct pool_use *u)
{
	return CONTAINER_OF(u, struct pool_former, use);
}

static bool former_is(const void *elt, const void *key, size_t len)
{
	const struct pool_former *o = elt;

	return strncmp(o->key, key, len) == 0 && o->key[len] == '\0';
}

static struct pool_former *former_new(const struct pool_use *u, const char *key)
{
	size_t n = strlen(key) + 1;
	struct pool_former *o = malloc(sizeof *o + n);

	if (o == NULL)
		return NULL;
	*o = (struct pool_former){.use = *u};
	memcpy(o->key, key, n);
	return o;
}

static void former_unname(struct pool_set *s, struct pool_former *o)
{
	if (o->named)
		table_remove(&s->by_name[addr_family(o->use.addr)], o);
	o->named = false;
}

/* Takes a free one out of all lists but the table. */
static void former_unlist(struct pool_set *s, struct pool_former *o)
{
	former_unname(s, o);
	list_delete(&o->link);
	list_delete(&o->age);
	s->n_former--;
}

static void former_forget(struct pool_set *s, struct pool_former *o)
{
	former_unlist(s, o);
	row_remove(s, &o->use);
	free(o);
}

/* o stands alone in the table and is now free.  Only the latest of a name is found by it. */
static void former_list(struct pool_set *s, struct pool_former *o, uint64_t now_ms)
{
	enum addr_family f = addr_family(o->use.addr);
	size_t n = strlen(o->key);
	struct pool_former *same;

	o->use.holder = NULL;
	o->use.next = NULL;
	o->freed_ms = now_ms;
	list_add(&o->use.pool->former[f], &o->link);
	list_add(&s->former, &o->age);
	s->n_former++;
	o->hash = hash_bytes(&s->hkey, o->key, n);
	same = table_find(&s->by_name[f], o->hash, former_is, o->key, n);
	if (same != NULL)
		former_unname(s, same);
	o->named = table_add(&s->by_name[f], o) == 0;
	if (s->n_former > MAX_FORMER)
		former_forget(s, CONTAINER_OF(s->former.next, struct pool_former, age));
}

/* -- what few holders have -- */

/* NULL when out of memory. */
static struct pool_rest *rest_get(struct pool_holder *h)
{
	if (h->rest == NULL)
		h->rest = calloc(1, sizeof *h->rest);
	return h->rest;
}

/* It goes when it is empty. */
static void rest_put(struct pool_holder *h)
{
	if (h->rest == NULL || h->rest->use.holder != NULL || h->rest->guards != NULL)
		return;
	free(h->rest);
	h->rest = NULL;
}

void pool_holder_free(struct pool_holder *h)
{
	free(h->rest);
	h->rest = NULL;
}

/* A place for another address; NULL when out of memory. */
static struct pool_use *free_use(struct pool_holder *h)
{
	if (h->use.holder == NULL)
		return &h->use;
	return rest_get(h) != NULL ? &h->rest->use : NULL;
}

static struct pool_use *use_of(struct pool_holder *h, enum addr_family f)
{
	const struct pool_use *u = pool_held(h, f);

	return u == &h->use ? &h->use : u != NULL ? &h->rest->use : NULL;
}

/* -- guards -- */

static struct pool_former *guards_of(const struct pool_holder *h)
{
	return h->rest != NULL ? h->rest->guards : NULL;
}

static struct pool_former *guard_of(const struct pool_holder *h, struct addr x)
{
	struct pool_former *o = guards_of(h);

	while (o != NULL && !addr_eq(o->use.addr, x))
		o = o->next;
	return o;
}

bool pool_guards(const struct pool_holder *h, struct addr x)
{
	return guard_of(h, x) != NULL;
}

/* h has a rest.  Returns how many it has. */
static size_t guard_link(struct pool_set *s, struct pool_holder *h, struct pool_former *o)
{
	struct pool_former **at = &h->rest->guards;
	size_t n = 1;

	for (; *at != NULL; at = &(*at)->next)
		n++;
	*at = o;
	o->next = NULL;
	list_add(&s->guarded, &o->age);
	return n;
}

static void guard_unlink(struct pool_holder *h, struct pool_former *o)
{
	struct pool_former **at = &h->rest->guards;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	list_delete(&o->age);
}

static void guard_end(
	struct pool_set *s, struct pool_holder *h, struct pool_former *o, uint64_t now_ms)
{
	guard_unlink(h, o);
	rest_put(h);
	s->generation++;
	if (is_alone(s, &o->use)) {
		count_freed(s, &o->use);
		if (is_at_home(s, &o->use)) {
			former_list(s, o, now_ms);
			return;
		}
	}
	row_remove(s, &o->use);
	free(o);
}

void pool_guard(struct pool_set *s, struct pool_holder *h, struct addr x, struct pool *p)
{
	struct pool_use u = {.addr = x, .holder = h, .pool = p};
	struct pool_use *at = addr_map_get(&s->map, x);
	bool used = at != NULL && at->holder != NULL;
	struct pool_former *o;

	if (rest_get(h) == NULL)
		return;
	if (at != NULL && !used) {
		o = former_of(at);
		former_unlist(s, o);
		o->use = u;
	} else {
		o = former_new(&u, h->key);
		if (o == NULL || (!used && addr_map_put(&s->map, x, &o->use) != 0)) {
			free(o);
			rest_put(h);
			return;
		}
	}
	(void)guard_link(s, h, o);
	if (used)
		row_add(at, &o->use);
	else
		p->used[addr_family(x)]++;
}

void pool_end_guards(struct pool_set *s, struct pool_holder *h, const struct addr *keep, size_t n,
	uint64_t now_ms)
{
	struct pool_former *next;

	for (struct pool_former *o = guards_of(h); o != NULL; o = next) {
		size_t i = 0;

		next = o->next;
		while (i < n && !addr_eq(keep[i], o->use.addr))
			i++;
		if (i == n)
			guard_end(s, h, o, now_ms);
	}
}

/* -- giving and taking -- */

int pool_give(struct pool_set *s, struct pool_holder *h, struct addr x, struct pool *p)
{
	enum addr_family f = addr_family(x);
	struct pool_use *u = free_use(h), *at = addr_map_get(&s->map, x);
	struct pool_former *own = guard_of(h, x);

	REQUIRE(pool_held(h, f) == NULL);
	if (u == NULL || (at == NULL && addr_map_put(&s->map, x, u) != 0)) {
		rest_put(h);
		return -ENOMEM;
	}
	s->changes++;
	*u = (struct pool_use){.addr = x, .holder = h, .pool = p};
	if (own != NULL) {
		guard_unlink(h, own);
		row_swap(s, &own->use, u);
		free(own);
		rest_put(h);
		return 0;
	}
	if ((at == NULL || at->holder == NULL) && is_at_home(s, u))
		p->used[f]++;
	if (at == NULL)
		return 0;
	if (at->holder == NULL) {
		former_unlist(s, former_of(at));
		row_swap(s, at, u);
		free(former_of(at));
		return 0;
	}
	row_add(at, u);
	return 0;
}

/* Nobody guards it; it is remembered if u was the last to have it. */
static void let_go(struct pool_set *s, struct pool_use *u, const char *key, uint64_t now_ms)
{
	bool alone = is_alone(s, u);
	struct pool_former *o = alone && is_at_home(s, u) ? former_new(u, key) : NULL;

	s->generation++;
	if (alone)
		count_freed(s, u);
	if (o == NULL) {
		row_remove(s, u);
		return;
	}
	row_swap(s, u, &o->use);
	former_list(s, o, now_ms);
}

void pool_release(
	struct pool_set *s, struct pool_holder *h, enum addr_family f, bool guard, uint64_t now_ms)
{
	struct pool_use *u = use_of(h, f);
	struct pool_former *o;

	REQUIRE(u != NULL && u->pool != NULL);
	s->changes++;
	o = guard && rest_get(h) != NULL ? former_new(u, h->key) : NULL;
	if (o == NULL) {
		let_go(s, u, h->key, now_ms);
	} else {
		row_swap(s, u, &o->use);
		if (guard_link(s, h, o) > POOL_MAX_GUARDS)
			guard_end(s, h, h->rest->guards, now_ms);
	}
	*u = (struct pool_use){.holder = NULL};
	rest_put(h);
}

void pool_leave(struct pool_set *s, struct pool_holder *h, uint64_t now_ms)
{
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		if (pool_held(h, f) != NULL)
			pool_release(s, h, f, false, now_ms);
	}
	pool_end_guards(s, h, NULL, 0, now_ms);
}

uint64_t pool_generation(const struct pool_set *s)
{
	return s->generation;
}

uint64_t pool_changes(const struct pool_set *s)
{
	return s->changes + s->generation; /* the end of a guard is in the latter alone */
}

/* -- choosing -- */

enum pool_fit pool_fit(const struct pool *p, const struct pool_ask *q)
{
	enum pool_fit fit;

	if (p == NULL || p->conf == NULL)
		return POOL_NOT_CONFIGURED;
	if (q->only != NULL && p != q->only)
		return POOL_NOT_ASKED_FOR;
	if (p->conf->disabled)
		return POOL_DISABLED;
	if (q->only == NULL && !p->conf->auto_assign)
		return POOL_NOT_AUTOMATIC;
	fit = q->only != NULL ? pool_admits_asked(p, q) : pool_admits(p, q);
	if ((fit == POOL_FITS || fit == POOL_UNSURE) &&
		!config_announces(q->conf, p->conf, q->protocol))
		return POOL_NOT_ANNOUNCED;
	return fit;
}

bool pool_fits(const struct pool *p, const struct pool_ask *q)
{
	enum pool_fit fit = pool_fit(p, q);

	if (fit == POOL_UNSURE && q->unsure != NULL && *q->unsure == NULL)
		*q->unsure = p;
	return fit == POOL_FITS;
}

bool pool_any_fits(const struct pool_set *s, const struct pool_ask *q, enum addr_family f)
{
	for (size_t i = 0; i < s->layout.n_pools; i++) {
		const struct pool *p = s->layout.pools[i];

		if (p->total[f] > 0 && pool_fits(p, q))
			return true;
	}
	return false;
}

bool pool_find_former(struct pool_set *s, const struct pool_ask *q, const struct pool_holder *h,
	enum addr_family f, struct pool_pick *ret_pick)
{
	size_t n = strlen(h->key);
	const struct pool_former *o;

	if (s->by_name[f].live == 0)
		return false;
	o = table_find(&s->by_name[f], hash_bytes(&s->hkey, h->key, n), former_is, h->key, n);
	if (o == NULL || !pool_fits(o->use.pool, q) || pool_avoids(o->use.pool, o->use.addr))
		return false;
	*ret_pick = (struct pool_pick){o->use.addr, o->use.pool};
	return true;
}

bool pool_was_used(struct pool_set *s, struct addr x, uint64_t *ret_freed_ms)
{
	struct pool_use *u = addr_map_get(&s->map, x);

	if (u == NULL || u->holder != NULL)
		return false;
	*ret_freed_ms = former_of(u)->freed_ms;
	return true;
}

void pool_set_claims(struct pool_set *s, pool_claim_fn claim, void *ctx)
{
	s->claim = claim;
	s->claim_ctx = ctx;
}

/* What is looked for. */
struct search {
	struct pool_set *set;
	enum addr_family family;
	uint64_t now_ms;
	enum pool_claim most; /* a stronger claim is in the way */
};

static bool is_for_giving(const struct search *q, const struct pool *p, struct addr x)
{
	return !pool_avoids(p, x) &&
	       (q->set->claim == NULL || q->set->claim(q->set->claim_ctx, x) <= q->most);
}

/* The lowest address that nobody has had, in the order of the file's ranges.  The cursor stays
 * before those that are passed over: they are looked at again. */
static bool find_unused(const struct search *q, struct pool *p, struct addr *ret_x)
{
	struct cursor c = p->cursor[q->family];
	unsigned passed = 0;

	for (; c.range < p->conf->n_ranges; c.range++, c.at = (struct addr){0, 0}) {
		struct addr_range r = p->conf->ranges[c.range];

		if (addr_family(r.first) != q->family)
			continue;
		if (addr_cmp(c.at, r.first) > 0)
			r.first = c.at;
		while (addr_map_gap(&q->set->map, r, &r.first)) {
			c.at = r.first;
			if (passed == 0)
				p->cursor[q->family] = c;
			if (is_for_giving(q, p, r.first)) {
				*ret_x = r.first;
				return true;
			}
			passed += !pool_avoids(p, r.first);
			if (passed > MAX_PASSED || addr_eq(r.first, r.last))
				break;
			r.first = addr_next(r.first);
		}
	}
	if (passed == 0)
		p->cursor[q->family] = c;
	return false;
}

/* The one that has been free longest, if that is before not_after_ms. */
static bool find_oldest(
	const struct search *q, const struct pool *p, uint64_t not_after_ms, struct addr *ret_x)
{
	const struct link *head = &p->former[q->family];

	for (struct link *l = head->next; l != head; l = l->next) {
		const struct pool_former *o = CONTAINER_OF(l, struct pool_former, link);

		if (o->freed_ms > not_after_ms)
			return false;
		if (is_for_giving(q, p, o->use.addr)) {
			*ret_x = o->use.addr;
			return true;
		}
	}
	return false;
}

/* An address of p that was not in use lately. */
static bool find_rested(const struct search *q, struct pool *p, struct addr *ret_x)
{
	uint64_t delay = p->conf->reuse_delay_ms;

	return find_unused(q, p, ret_x) ||
	       (q->now_ms >= delay && find_oldest(q, p, q->now_ms - delay, ret_x));
}

static bool find_any(const struct search *q, struct pool *p, struct addr *ret_x)
{
	return find_unused(q, p, ret_x) || find_oldest(q, p, UINT64_MAX, ret_x);
}

/* Pools that are alike: n of them. */
struct rank {
	struct pool **v;
	size_t n;
};

/* One that was not in use lately, else the least recently released, else one that is perhaps still
 * announced.  reuseDelay is a preference that never overrules the pools' ranks. */
static bool find_in_rank(
	struct search *q, struct rank rank, const struct pool_ask *ask, struct pool_pick *ret_pick)
{
	unsigned passes = q->set->claim != NULL ? 3 : 2;

	for (unsigned pass = 0; pass < passes; pass++) {
		q->most = pass < 2 ? POOL_UNCLAIMED : POOL_STALE;
		for (size_t i = 0; i < rank.n; i++) {
			struct pool *p = rank.v[i];

			if (p->total[q->family] == 0 || !pool_fits(p, ask))
				continue;
			if (pass == 0 ? find_rested(q, p, &ret_pick->addr)
				      : find_any(q, p, &ret_pick->addr)) {
				ret_pick->pool = p;
				return true;
			}
		}
	}
	return false;
}

bool pool_find_free(struct pool_set *s, const struct pool_ask *q, enum addr_family f,
	uint64_t now_ms, struct pool_pick *ret_pick)
{
	struct search search = {.set = s, .family = f, .now_ms = now_ms};
	struct rank rank = {.v = s->layout.order};
	struct pool **end = rank.v + s->layout.n_pools;

	for (; rank.v < end; rank.v += rank.n) {
		for (rank.n = 1; rank.v + rank.n < end; rank.n++) {
			if (rank.v[rank.n]->rank != rank.v[0]->rank)
				break;
		}
		if (find_in_rank(&search, rank, q, ret_pick))
			return true;
	}
	return false;
}

/* -- configuration -- */

/* How many addresses of r end in .0 or .255. */
static uint64_t count_buggy(struct addr_range r)
{
	uint64_t first = r.first.lo & UINT32_MAX, last = r.last.lo & UINT32_MAX;

	/* Those below n + 1, less those below first. */
	return (last + 256) / 256 + (last + 1) / 256 - (first + 255) / 256 - first / 256;
}

/* Searched first: pools that say whom they are for, by priority, 0 last; then the rest. */
static uint64_t rank_of(const struct config_pool *p)
{
	if (!p->service_allocation.present)
		return UINT64_MAX;
	return p->service_allocation.priority != 0 ? p->service_allocation.priority
						   : UINT64_MAX - 1;
}

static int by_rank(const void *x, const void *y)
{
	const struct pool *const *a = x, *const *b = y;

	if ((*a)->rank != (*b)->rank)
		return (*a)->rank < (*b)->rank ? -1 : 1;
	return (*a)->turn < (*b)->turn ? -1 : (*a)->turn > (*b)->turn; /* the file's order */
}

static int by_address(const void *x, const void *y)
{
	const struct span *a = x, *b = y;

	return addr_cmp(a->range.first, b->range.first);
}

static void layout_free(struct layout *t)
{
	free((void *)t->pools);
	free((void *)t->order);
	free(t->spans);
}

static int layout_alloc(struct layout *t, const struct config *conf)
{
	*t = (struct layout){.n_pools = conf->n_pools};
	for (size_t i = 0; i < conf->n_pools; i++)
		t->n_spans += conf->pools[i].n_ranges;
	t->pools = (struct pool **)calloc(conf->n_pools + 1, sizeof(struct pool *));
	t->order = (struct pool **)calloc(conf->n_pools + 1, sizeof(struct pool *));
	t->spans = calloc(t->n_spans + 1, sizeof *t->spans);
	if (t->pools != NULL && t->order != NULL && t->spans != NULL)
		return 0;
	layout_free(t);
	return -ENOMEM;
}

static struct pool *pool_new(struct pool_set *s, const char *name)
{
	size_t n = strlen(name);
	struct pool *p = calloc(1, sizeof *p + n + 1);

	if (p == NULL)
		return NULL;
	list_init(&p->former[ADDR_V4]);
	list_init(&p->former[ADDR_V6]);
	memcpy(p->name, name, n);
	p->hash = hash_bytes(&s->hkey, name, n);
	if (table_add(&s->pools, p) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

struct pool *pool_retired(struct pool_set *s, const char *name)
{
	struct pool *p = pool_named(s, name);

	return p != NULL ? p : pool_new(s, name);
}

void pool_sweep(struct pool_set *s)
{
	struct pool *p = table_next(&s->pools, NULL), *next;

	for (; p != NULL; p = next) {
		next = table_next(&s->pools, p);
		if (p->conf != NULL || p->wanted)
			continue;
		table_remove(&s->pools, p);
		free(p);
	}
}

/* Finds or makes the object of each pool; all that can fail is here. */
static int find_pools(struct pool_set *s, const struct config *conf, struct layout *t)
{
	for (size_t i = 0; i < conf->n_pools; i++) {
		struct pool *p = pool_named(s, conf->pools[i].name);

		if (p == NULL)
			p = pool_new(s, conf->pools[i].name);
		if (p == NULL)
			return -ENOMEM;
		t->pools[i] = t->order[i] = p;
	}
	return 0;
}

static void fill_pool(struct pool *p, const struct config_pool *conf, size_t turn)
{
	p->conf = conf;
	p->moves = config_pool_moves(conf);
	p->rank = rank_of(conf);
	p->turn = turn;
	for (size_t i = 0; i < conf->n_ranges; i++) {
		uint64_t *total = &p->total[addr_family(conf->ranges[i].first)];
		uint64_t n = addr_range_size(conf->ranges[i]);

		if (conf->avoid_buggy_ips && addr_family(conf->ranges[i].first) == ADDR_V4)
			n -= count_buggy(conf->ranges[i]);
		*total = *total > UINT64_MAX - n ? UINT64_MAX : *total + n;
	}
}

/* Nobody has an address of p, and none is remembered. */
static void empty_pool(struct pool *p)
{
	p->wanted = false;
	memset(p->used, 0, sizeof p->used);
	memset(p->cursor, 0, sizeof p->cursor);
	list_init(&p->former[ADDR_V4]);
	list_init(&p->former[ADDR_V6]);
}

static void fill_layout(struct pool_set *s, const struct config *conf, struct layout *t)
{
	struct pool *p = NULL;
	size_t n = 0;

	while ((p = table_next(&s->pools, p)) != NULL) {
		p->conf = NULL;
		memset(p->total, 0, sizeof p->total);
		empty_pool(p);
	}
	for (size_t i = 0; i < conf->n_pools; i++) {
		const struct config_pool *cp = &conf->pools[i];

		fill_pool(t->pools[i], cp, i);
		for (size_t j = 0; j < cp->n_ranges; j++)
			t->spans[n++] = (struct span){cp->ranges[j], t->pools[i], j};
	}
	qsort(t->spans, n, sizeof *t->spans, by_address);
	qsort((void *)t->order, conf->n_pools, sizeof(struct pool *), by_rank);
	for (size_t i = 0; i < conf->n_pools; i++)
		t->order[i]->turn = i;
}

static void rehome_use(struct pool_set *s, struct pool_use *u)
{
	struct pool *p = pool_of(s, u->addr);

	if (p != NULL)
		u->pool = p;
	u->pool->wanted = true;
	if (p != NULL && addr_map_get(&s->map, u->addr) == u)
		p->used[addr_family(u->addr)]++;
}

void pool_rehome(struct pool_set *s, struct pool_holder *h)
{
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		struct pool_use *u = use_of(h, f);

		if (u != NULL)
			rehome_use(s, u);
	}
	for (struct pool_former *o = guards_of(h); o != NULL; o = o->next)
		rehome_use(s, &o->use);
}

static void rehome_former(struct pool_set *s)
{
	struct link *next;

	for (struct link *l = s->former.next; l != &s->former; l = next) {
		struct pool_former *o = CONTAINER_OF(l, struct pool_former, age);
		struct pool *p = pool_of(s, o->use.addr);

		next = l->next;
		o->use.pool = p != NULL ? p : o->use.pool;
		list_add(&o->use.pool->former[addr_family(o->use.addr)], &o->link);
		if (p == NULL)
			former_forget(s, o);
	}
}

int pool_configure(struct pool_set *s, const struct config *conf)
{
	struct layout t;

	if (layout_alloc(&t, conf) != 0)
		return -ENOMEM;
	if (find_pools(s, conf, &t) != 0) {
		/* Those made just now have no configuration and nobody in them. */
		layout_free(&t);
		pool_sweep(s);
		return -ENOMEM;
	}
	fill_layout(s, conf, &t);
	layout_free(&s->layout);
	s->layout = t;
	rehome_former(s);
	return 0;
}

/* -- life -- */

struct pool_set *pool_set_new(const struct hash_key *hkey, struct counters *counters)
{
	struct pool_set *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->hkey = *hkey;
	s->counters = counters;
	list_init(&s->former);
	list_init(&s->guarded);
	addr_map_init(&s->map, hkey);
	return s;
}

static void free_formers(struct link *head)
{
	struct link *next;

	for (struct link *l = head->next; l != head; l = next) {
		next = l->next;
		free(CONTAINER_OF(l, struct pool_former, age));
	}
	list_init(head);
}

/* All but the pools themselves. */
static void forget_uses(struct pool_set *s)
{
	table_free(&s->by_name[ADDR_V4]);
	table_free(&s->by_name[ADDR_V6]);
	free_formers(&s->former);
	free_formers(&s->guarded);
	s->n_former = 0;
	addr_map_free(&s->map);
}

void pool_forget_all(struct pool_set *s)
{
	struct pool *p = NULL;

	forget_uses(s);
	while ((p = table_next(&s->pools, p)) != NULL)
		empty_pool(p);
	pool_sweep(s);
}

void pool_set_free(struct pool_set *s)
{
	if (s == NULL)
		return;
	forget_uses(s);
	table_free_all(&s->pools);
	layout_free(&s->layout);
	free(s);
}
