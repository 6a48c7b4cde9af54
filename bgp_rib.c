/* SPDX-License-Identifier: Apache-2.0
 *
 * bgp_rib.c - the Adj-RIB-Out of one peer.
 *
 * Owns: a route for each prefix, each set of attributes once, lists of what was not said yet.
 * In:   routes that come and go, a session that begins and ends, ROUTE-REFRESH.
 * Out:  UPDATE messages and the markers of RFC 7313, one at a time, when they are asked for.
 * RFCs: 4271 9.2 (what is sent), 4724 2 (End-of-RIB), 2918, 7313.
 */
#include "bgp_rib.h"

#include "list.h"
#include "table.h"

#include <errno.h>
#include <stdlib.h>

enum { BATCH = 1024 /* prefixes in one message, at most */ };

/* Attributes that routes share. */
struct set {
	uint32_t hash;
	uint32_t refs; /* routes that want it or were told it */
	struct bgp_attributes a;
	struct link pending[ADDR_FAMILIES]; /* heads, of struct route */
	struct link ready;                  /* in bgp_rib.ready: something may be pending */
};

struct route {
	uint32_t hash;
	struct addr_prefix p;
	struct set *want; /* NULL: to be withdrawn */
	struct set *told; /* NULL: was not told of it, or told that it is gone */
	struct link pending;
	bool again; /* asked for once more */
	bool kept;  /* was put since bgp_rib_begin_sync() */
};

struct bgp_rib {
	struct hash_key hkey;
	struct table routes; /* of struct route, owned, by prefix */
	struct table sets;   /* of struct set, owned, by their bytes */
	struct set *recent;  /* the one last put, or NULL: the next is mostly the same */
	struct link ready;
	struct link withdrawn[ADDR_FAMILIES]; /* heads, of struct route */
	bool open;
	struct bgp_terms terms;
	struct bgp_self self;
	bool begin_due[ADDR_FAMILIES], end_due[ADDR_FAMILIES]; /* RFC 7313 */
	bool rib_end_due[ADDR_FAMILIES];
	uint32_t wanted[ADDR_FAMILIES], told[ADDR_FAMILIES];
};

static enum addr_family family_of(const struct route *x)
{
	return addr_family(x->p.base);
}

/* -- sets -- */

static bool set_is(const void *elt, const void *key, size_t len)
{
	return memcmp(&((const struct set *)elt)->a, key, len) == 0;
}

static struct set *set_get(struct bgp_rib *r, const struct bgp_attributes *a)
{
	struct set *s = r->recent;
	uint32_t hash;

	if (s != NULL && set_is(s, a, sizeof *a))
		return s;
	hash = hash_bytes(&r->hkey, a, sizeof *a);
	r->recent = s = table_find(&r->sets, hash, set_is, a, sizeof *a);
	if (s != NULL)
		return s;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	s->hash = hash;
	s->a = *a;
	list_init(&s->ready);
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		list_init(&s->pending[f]);
	if (table_add(&r->sets, s) < 0) {
		free(s);
		return NULL;
	}
	return r->recent = s;
}

static void set_drop(struct bgp_rib *r, struct set *s)
{
	if (s->refs > 0)
		return;
	if (r->recent == s)
		r->recent = NULL;
	list_delete(&s->ready);
	table_remove(&r->sets, s);
	free(s);
}

/* *to is s from now on, either may be NULL. */
static void assign(struct bgp_rib *r, struct set **to, struct set *s)
{
	struct set *was = *to;

	if (s != NULL)
		s->refs++;
	*to = s;
	if (was != NULL) {
		was->refs--;
		set_drop(r, was);
	}
}

/* -- routes -- */

static bool route_is(const void *elt, const void *key, size_t len)
{
	const struct route *x = elt;
	(void)len;
	return addr_prefix_eq(&x->p, key);
}

static struct route *route_find(const struct bgp_rib *r, struct addr_prefix p, uint32_t hash)
{
	return table_find(&r->routes, hash, route_is, &p, sizeof p);
}

static struct route *route_new(struct bgp_rib *r, struct addr_prefix p, uint32_t hash)
{
	struct route *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->hash = hash;
	x->p = p;
	list_init(&x->pending);
	if (table_add(&r->routes, x) < 0) {
		free(x);
		return NULL;
	}
	return x;
}

/* One that nobody wants and nobody was told of. */
static void route_drop(struct bgp_rib *r, struct route *x)
{
	if (x->want != NULL || x->told != NULL)
		return;
	list_delete(&x->pending);
	table_remove(&r->routes, x);
	free(x);
}

static bool is_zero(struct addr a)
{
	return a.hi == 0 && a.lo == 0;
}

/* a as a route of family f goes out by it.  False: there is no next hop that can be said: of the
 * family, or IPv6 for IPv4 where both said so (RFC 8950). */
static bool with_next_hop(const struct bgp_rib *r, enum addr_family f, struct bgp_attributes *a)
{
	const struct bgp_self *self = &r->self;
	bool v6 = f == ADDR_V6 || r->terms.extended_next_hop;

	if (is_zero(a->next_hop) && !is_zero(self->next_hop[f])) {
		a->next_hop = self->next_hop[f];
	} else if (is_zero(a->next_hop) && v6) {
		a->next_hop = is_zero(self->next_hop[ADDR_V6]) ? self->link_local
							       : self->next_hop[ADDR_V6];
	}
	if (is_zero(a->next_hop))
		return false;
	if (addr_family(a->next_hop) == ADDR_V6 && is_zero(a->next_hop_local) &&
		!addr_eq(a->next_hop, self->link_local))
		a->next_hop_local = self->link_local;
	return addr_family(a->next_hop) == f || (f == ADDR_V4 && v6);
}

static bool can_be_said(const struct bgp_rib *r, const struct route *x)
{
	struct bgp_attributes a;

	if (x->want == NULL || !r->terms.families[family_of(x)])
		return false;
	a.next_hop = x->want->a.next_hop;
	a.next_hop_local = x->want->a.next_hop_local;
	return with_next_hop(r, family_of(x), &a);
}

/* What is to be said of x is in the list that it belongs to. */
static void enqueue(struct bgp_rib *r, struct route *x)
{
	list_delete(&x->pending);
	if (!r->open)
		return;
	if (can_be_said(r, x)) {
		if (x->want == x->told && !x->again)
			return;
		list_add(&x->want->pending[family_of(x)], &x->pending);
		if (list_is_empty(&x->want->ready))
			list_add(&r->ready, &x->want->ready);
	} else if (x->told != NULL) {
		list_add(&r->withdrawn[family_of(x)], &x->pending);
	}
}

static void set_told(struct bgp_rib *r, struct route *x, struct set *s)
{
	r->told[family_of(x)] += (uint32_t)(s != NULL) - (uint32_t)(x->told != NULL);
	assign(r, &x->told, s);
	x->again = false;
}

int bgp_rib_put(struct bgp_rib *r, struct addr_prefix p, const struct bgp_attributes *a)
{
	uint32_t hash = addr_prefix_hash(&r->hkey, &p);
	struct route *x = route_find(r, p, hash);
	struct set *s;

	if (x == NULL && r->routes.live >= BGP_RIB_MAX)
		return -E2BIG;
	s = set_get(r, a);
	if (s == NULL)
		return -ENOMEM;
	if (x == NULL)
		x = route_new(r, p, hash);
	if (x == NULL) {
		set_drop(r, s);
		return -ENOMEM;
	}
	x->kept = true;
	if (x->want == s)
		return 0;
	list_delete(&x->pending); /* of the set that it leaves, which may go */
	r->wanted[family_of(x)] += x->want == NULL;
	assign(r, &x->want, s);
	enqueue(r, x);
	return 0;
}

static void unwant(struct bgp_rib *r, struct route *x)
{
	if (x->want == NULL)
		return;
	list_delete(&x->pending);
	r->wanted[family_of(x)]--;
	assign(r, &x->want, NULL);
	enqueue(r, x);
	route_drop(r, x);
}

void bgp_rib_del(struct bgp_rib *r, struct addr_prefix p)
{
	struct route *x = route_find(r, p, addr_prefix_hash(&r->hkey, &p));

	if (x != NULL)
		unwant(r, x);
}

void bgp_rib_begin_sync(struct bgp_rib *r)
{
	struct route *x;

	TABLE_EACH (&r->routes, x)
		x->kept = false;
}

void bgp_rib_end_sync(struct bgp_rib *r)
{
	struct route *x;

	TABLE_EACH (&r->routes, x)
		if (!x->kept)
			unwant(r, x);
}

/* -- sessions -- */

/* Each route of a family (or of all: ADDR_FAMILIES) is as it was not said, or is said again. */
static void forget(struct bgp_rib *r, unsigned family, bool again)
{
	struct route *x;

	TABLE_EACH (&r->routes, x) {
		if (family != ADDR_FAMILIES && family != (unsigned)family_of(x))
			continue;
		if (!again)
			set_told(r, x, NULL);
		x->again = again;
		enqueue(r, x);
		route_drop(r, x);
	}
}

void bgp_rib_set_self(struct bgp_rib *r, const struct bgp_self *self)
{
	const struct bgp_self was = r->self;

	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		struct bgp_attributes a = {0}, b = {0};
		bool could, can;

		r->self = was;
		could = with_next_hop(r, (enum addr_family)f, &a);
		r->self = *self;
		can = with_next_hop(r, (enum addr_family)f, &b);
		if (could != can || !addr_eq(a.next_hop, b.next_hop) ||
			!addr_eq(a.next_hop_local, b.next_hop_local))
			forget(r, f, true);
	}
}

void bgp_rib_open(struct bgp_rib *r, const struct bgp_terms *terms)
{
	r->open = true;
	r->terms = *terms;
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		r->rib_end_due[f] = terms->families[f];
		r->begin_due[f] = r->end_due[f] = false;
	}
	forget(r, ADDR_FAMILIES, false);
}

void bgp_rib_close(struct bgp_rib *r)
{
	r->open = false;
	forget(r, ADDR_FAMILIES, false);
}

void bgp_rib_refresh(struct bgp_rib *r, enum addr_family family, bool enhanced)
{
	if (!r->open || !r->terms.families[family])
		return;
	r->begin_due[family] = r->end_due[family] = enhanced;
	forget(r, family, true);
}

/* -- messages -- */

/* What is taken out of a list may be freed, and is not looked at again; the analyzer loses sight of the
 * list. NOLINTBEGIN(clang-analyzer-unix.Malloc) */

/* The routes of a list, from its beginning. */
static size_t gather(struct link *head, struct addr_prefix v[static BATCH])
{
	size_t n = 0;

	for (struct link *l = head->next; l != head && n < BATCH; l = l->next)
		v[n++] = CONTAINER_OF(l, struct route, pending)->p;
	return n;
}

static size_t pull_withdrawn(struct bgp_rib *r, enum addr_family f, uint8_t *to, size_t room)
{
	struct link *head = &r->withdrawn[f];
	struct addr_prefix v[BATCH];
	size_t done = 0, len;

	len = bgp_withdraw_encode(&r->terms, v, gather(head, v), &done, to, room);
	for (; done > 0; done--) {
		struct route *x = CONTAINER_OF(head->next, struct route, pending);

		list_delete(&x->pending);
		set_told(r, x, NULL);
		route_drop(r, x);
	}
	return len;
}

static size_t pull_announced(
	struct bgp_rib *r, struct set *s, enum addr_family f, uint8_t *to, size_t room)
{
	struct link *head = &s->pending[f];
	struct addr_prefix v[BATCH];
	struct bgp_attributes a = s->a;
	size_t done = 0, len;

	REQUIRE(with_next_hop(r, f, &a)); /* else it would not be pending */
	len = bgp_announce_encode(&a, &r->terms, v, gather(head, v), &done, to, room);
	for (; done > 0; done--) {
		struct route *x = CONTAINER_OF(head->next, struct route, pending);

		list_delete(&x->pending);
		set_told(r, x, s);
	}
	return len;
}

static bool is_over(const struct bgp_rib *r, enum addr_family f)
{
	if (!list_is_empty(&r->withdrawn[f]))
		return false;
	for (struct link *l = r->ready.next; l != &r->ready; l = l->next)
		if (!list_is_empty(&CONTAINER_OF(l, struct set, ready)->pending[f]))
			return false;
	return true;
}

static size_t pull_marker(struct bgp_rib *r, enum addr_family f, uint8_t *to, size_t room)
{
	struct bgp_refresh m = {.family = f, .kind = BGP_REFRESH_END};

	if (!is_over(r, f))
		return 0;
	if (r->rib_end_due[f]) {
		r->rib_end_due[f] = false;
		return bgp_end_of_rib_encode(f, to, room);
	}
	if (r->end_due[f]) {
		r->end_due[f] = false;
		return bgp_refresh_encode(&m, to, room);
	}
	return 0;
}

static size_t pull_begin(struct bgp_rib *r, enum addr_family f, uint8_t *to, size_t room)
{
	struct bgp_refresh m = {.family = f, .kind = BGP_REFRESH_BEGIN};

	if (!r->begin_due[f])
		return 0;
	r->begin_due[f] = false;
	return bgp_refresh_encode(&m, to, room);
}

/* Of the sets in which something is pending, the first one's. */
static size_t pull_ready(struct bgp_rib *r, uint8_t *to, size_t room)
{
	while (!list_is_empty(&r->ready)) {
		struct set *s = CONTAINER_OF(r->ready.next, struct set, ready);

		for (unsigned f = 0; f < ADDR_FAMILIES; f++)
			if (!list_is_empty(&s->pending[f]))
				return pull_announced(r, s, (enum addr_family)f, to, room);
		list_delete(&s->ready);
	}
	return 0;
}

size_t bgp_rib_pull(struct bgp_rib *r, uint8_t *to, size_t room)
{
	size_t len = 0;

	REQUIRE(room >= BGP_MAX);
	if (!r->open)
		return 0;
	for (unsigned f = 0; f < ADDR_FAMILIES && len == 0; f++)
		len = pull_begin(r, (enum addr_family)f, to, room);
	for (unsigned f = 0; f < ADDR_FAMILIES && len == 0; f++)
		if (!list_is_empty(&r->withdrawn[f]))
			len = pull_withdrawn(r, (enum addr_family)f, to, room);
	if (len == 0)
		len = pull_ready(r, to, room);
	for (unsigned f = 0; f < ADDR_FAMILIES && len == 0; f++)
		len = pull_marker(r, (enum addr_family)f, to, room);
	return len;
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

bool bgp_rib_is_pending(const struct bgp_rib *r)
{
	bool any = !list_is_empty(&r->ready);

	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		any |= !list_is_empty(&r->withdrawn[f]) || r->begin_due[f] || r->end_due[f] ||
		       r->rib_end_due[f];
	return r->open && any;
}

/* -- construction, reading -- */

struct bgp_rib *bgp_rib_new(const struct hash_key *hkey)
{
	struct bgp_rib *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->hkey = *hkey;
	list_init(&r->ready);
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		list_init(&r->withdrawn[f]);
	return r;
}

void bgp_rib_free(struct bgp_rib *r)
{
	if (r == NULL)
		return;
	table_free_all(&r->routes);
	table_free_all(&r->sets);
	free(r);
}

struct bgp_rib_counts bgp_rib_counts(const struct bgp_rib *r)
{
	struct bgp_rib_counts c;

	memcpy(c.wanted, r->wanted, sizeof c.wanted);
	memcpy(c.told, r->told, sizeof c.told);
	return c;
}
