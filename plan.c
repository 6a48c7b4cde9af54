/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - picture -> what is announced here, on which interface, or why not.
 *
 * Owns: the entries as last built, in order; the list of changes since plan_clean().
 * In:   vip groups, elect's state and this node's verdict of each (plan_update).
 * Out:  plan_change_at(): the difference to apply; plan_next(), plan_of(): the whole, for people.
 *
 * Not done: BGP (its entries will name peers in place of interfaces).
 */
#include "plan.h"

#include "table.h"

#include <errno.h>
#include <string.h>

/* One VIP on one interface: as bytes, no padding. */
struct place {
	unsigned char vip[sizeof(struct addr)], ifindex[sizeof(unsigned)];
};

enum side { WAS, IS, SIDES };

/* What happened to one place since plan_clean(): ten thousand at once, so in 56 bytes. */
struct change {
	uint32_t hash; /* of its place */
	uint32_t at;   /* in plan.changes */
	struct addr vip;
	uint64_t group[SIDES];
	unsigned ifindex;
	uint8_t reason[SIDES];
	bool there[SIDES], announced[SIDES], bind[SIDES];
};

/* The entries by address, for plan_of(): sorted when first asked for. */
struct index {
	const struct plan_entry **v; /* owned */
	size_t n, cap;
	bool stale;
};

struct plan {
	struct plan_entry *v; /* owned; sorted by group, address, ifindex */
	size_t n, cap;
	struct hash_key hkey;
	struct table by_place;   /* of all changes */
	struct change **changes; /* owned, and what it points to */
	size_t n_changes, cap_changes;
	struct plan_entry *fresh; /* owned; one group being built */
	size_t n_fresh, cap_fresh;
	struct index *index;            /* owned */
	struct plan_entry shown[SIDES]; /* of the change last asked for */
};

/* Room for n elements of *v in all. */
static int reserve(void *v, size_t *cap, size_t n, size_t size)
{
	void **p = v;
	size_t want = n + n / 4 + 16;
	void *grown;

	if (n <= *cap)
		return 0;
	grown = realloc(*p, want * size);
	if (grown == NULL)
		return -ENOMEM;
	*p = grown;
	*cap = want;
	return 0;
}

struct plan *plan_new(const struct hash_key *hkey)
{
	struct plan *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->hkey = *hkey;
	p->index = calloc(1, sizeof *p->index);
	if (p->index == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	plan_clean(p);
	table_free(&p->by_place);
	free(p->v);
	free(p->changes);
	free(p->fresh);
	free(p->index->v);
	free(p->index);
	free(p);
}

/* -- one group -- */

/* What the state means for an eligible node. */
static enum reason reason_of(enum elect_state state)
{
	switch (state) {
	case ELECT_IDLE: /* eligible, but draining or silenced by a double of this node */
		return REASON_DRAINING;
	case ELECT_WATCH:
		return REASON_NOT_OWNER;
	case ELECT_WAIT:
		return REASON_WAITING;
	case ELECT_PROBE:
		return REASON_PROBING;
	case ELECT_OWNER:
		return REASON_OWNER;
	case ELECT_HANDOVER:
		return REASON_HANDOVER;
	case ELECT_CONFLICT:
		return REASON_CONFLICT;
	}
	return REASON_NOT_OWNER;
}

static bool answers(enum elect_state state)
{
	return state == ELECT_OWNER || state == ELECT_HANDOVER;
}

static int add(struct plan *p, const struct plan_entry *e)
{
	if (reserve(&p->fresh, &p->cap_fresh, p->n_fresh + 1, sizeof *p->fresh) != 0)
		return -ENOMEM;
	p->fresh[p->n_fresh++] = *e;
	return 0;
}

/* The entries of one VIP: one for each of its paths, or one without an interface. */
static int add_vip(struct plan *p, const struct plan_input *in, const struct vip *v,
	const struct elect_view *view, const struct elig *elig)
{
	bool on = answers(view->state), any = false;
	bool dry = in->dry_run && elig->reason == REASON_OWNER && (on || view->owner == NULL);
	enum reason why =
		elig->reason == REASON_OWNER || on ? reason_of(view->state) : elig->reason;
	struct plan_entry e = {.vip = v->addr, .group = v->group->id};

	if (dry) /* it could be announced, and nobody else is known to do so */
		why = REASON_DRY_RUN;
	e.announced = on && !in->dry_run;
	e.reason = why & 0xffU;
	for (size_t i = 0; i < elig->n_paths; i++) {
		if (!addr_eq(view->addrs[elig->paths[i].vip], v->addr))
			continue;
		e.ifindex = elig->paths[i].ifindex;
		e.bind = elig->paths[i].bind;
		any = true;
		if (add(p, &e) != 0)
			return -ENOMEM;
	}
	if (any)
		return 0;
	e.ifindex = 0;
	e.announced = false;
	if (elig->reason == REASON_OWNER) /* its group is announced, this address is not */
		e.reason = REASON_NO_ADVERTISEMENT;
	return add(p, &e);
}

/* The group's entries as they should be. */
static int build(struct plan *p, const struct plan_input *in, const struct vip_group *g)
{
	static const struct elig unknown = {.reason = REASON_NOT_SYNCED};
	struct elect_view view = {.state = ELECT_IDLE};
	const struct elig *elig = &unknown;

	if (elect_view(in->elect, g->id, &view) && view.elig != NULL)
		elig = view.elig;
	for (size_t i = 0; i < g->n_vips; i++)
		if (add_vip(p, in, vip_member(g, i), &view, elig) != 0)
			return -ENOMEM;
	return 0;
}

/* -- the difference -- */

static int by_place(const struct plan_entry *a, const struct plan_entry *b)
{
	int c = addr_cmp(a->vip, b->vip);

	if (c != 0)
		return c;
	return a->ifindex < b->ifindex ? -1 : a->ifindex > b->ifindex;
}

static bool entry_eq(const struct plan_entry *a, const struct plan_entry *b)
{
	return a->group == b->group && a->announced == b->announced && a->reason == b->reason &&
	       a->bind == b->bind && by_place(a, b) == 0;
}

/* The first entry of a group not before id. */
static size_t lower_bound(const struct plan *p, uint64_t id)
{
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->v[mid].group < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct place place_of(struct addr vip, unsigned ifindex)
{
	struct place place;

	memcpy(place.vip, &vip, sizeof place.vip);
	memcpy(place.ifindex, &ifindex, sizeof place.ifindex);
	return place;
}

static bool change_is(const void *elt, const void *key, size_t len)
{
	const struct change *c = elt;
	const struct place place = place_of(c->vip, c->ifindex);

	return memcmp(&place, key, len) == 0;
}

static struct change *change_new(struct plan *p, const struct plan_entry *e, uint32_t hash)
{
	struct change *c;

	if (reserve(&p->changes, &p->cap_changes, p->n_changes + 1, sizeof(struct change *)) != 0)
		return NULL;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	c->hash = hash;
	c->vip = e->vip;
	c->ifindex = e->ifindex;
	if (table_add(&p->by_place, c) < 0) {
		free(c);
		return NULL;
	}
	c->at = (uint32_t)p->n_changes;
	p->changes[p->n_changes++] = c;
	return c;
}

/* That of e's place, made if need be; NULL when out of memory. */
static struct change *change_of(struct plan *p, const struct plan_entry *e)
{
	const struct place place = place_of(e->vip, e->ifindex);
	uint32_t hash = hash_bytes(&p->hkey, &place, sizeof place);
	struct change *c = table_find(&p->by_place, hash, change_is, &place, sizeof place);

	return c != NULL ? c : change_new(p, e, hash);
}

static void forget_change(struct plan *p, struct change *c)
{
	table_remove(&p->by_place, c);
	p->changes[c->at] = p->changes[--p->n_changes];
	p->changes[c->at]->at = c->at;
	free(c);
}

static void set_side(struct change *c, enum side side, const struct plan_entry *e)
{
	c->there[side] = true;
	c->group[side] = e->group;
	c->reason[side] = e->reason & 0xffU;
	c->announced[side] = e->announced;
	c->bind[side] = e->bind;
}

static bool is_void(const struct change *c)
{
	if (!c->there[WAS] || !c->there[IS])
		return c->there[WAS] == c->there[IS];
	return c->group[WAS] == c->group[IS] && c->reason[WAS] == c->reason[IS] &&
	       c->announced[WAS] == c->announced[IS] && c->bind[WAS] == c->bind[IS];
}

/* An entry changed, came or went.  When Services join and part, a VIP goes from one group to
 * another: its place goes with the one and comes with the other, in either order, and that must
 * come to one change, or the address would be dropped that has just been announced. */
static int note(struct plan *p, const struct plan_entry *was, const struct plan_entry *is)
{
	struct change *c;

	REQUIRE(was != NULL || is != NULL);
	if (was != NULL && is != NULL && entry_eq(was, is))
		return 0;
	c = change_of(p, is != NULL ? is : was);
	if (c == NULL)
		return -ENOMEM;
	if (was != NULL && !c->there[WAS] && (!c->there[IS] || c->group[IS] != was->group))
		set_side(c, WAS, was);
	if (is != NULL)
		set_side(c, IS, is);
	else if (was != NULL && c->there[IS] && c->group[IS] == was->group)
		c->there[IS] = false;
	if (is_void(c))
		forget_change(p, c);
	return 0;
}

/* Both sides are in order of place: merge. */
static int diff(struct plan *p, const struct plan_entry *old, size_t n_old)
{
	size_t i = 0, k = 0;
	int err = 0;

	while (err == 0 && (i < n_old || k < p->n_fresh)) {
		int c;

		if (i == n_old)
			c = 1;
		else
			c = k == p->n_fresh ? -1 : by_place(&old[i], &p->fresh[k]);
		err = note(p, c <= 0 ? &old[i] : NULL, c >= 0 ? &p->fresh[k] : NULL);
		i += c <= 0;
		k += c >= 0;
	}
	return err;
}

/* Puts the fresh entries in the place of p->v[at .. at + n_old). */
static void replace(struct plan *p, size_t at, size_t n_old)
{
	if (p->n_fresh != n_old)
		memmove(&p->v[at + p->n_fresh], &p->v[at + n_old],
			(p->n - at - n_old) * sizeof *p->v);
	if (p->n_fresh > 0)
		memcpy(&p->v[at], p->fresh, p->n_fresh * sizeof *p->v);
	p->n = p->n - n_old + p->n_fresh;
	p->index->stale = true;
}

int plan_update(struct plan *p, const struct plan_input *in, uint64_t group)
{
	const struct vip_group *g = vip_group(in->vips, group);
	size_t at = lower_bound(p, group), n_old = 0;

	p->n_fresh = 0;
	if (g != NULL && build(p, in, g) != 0)
		return -ENOMEM;
	while (at + n_old < p->n && p->v[at + n_old].group == group)
		n_old++;
	if (n_old == 0 && p->n_fresh == 0)
		return 0;
	if (reserve(&p->v, &p->cap, p->n + p->n_fresh, sizeof *p->v) != 0)
		return -ENOMEM;
	/* Noted in part and then not put in place is mended by the caller's next try: the changes
	 * that were noted are noted again and come to the same. */
	if (diff(p, &p->v[at], n_old) != 0)
		return -ENOMEM;
	replace(p, at, n_old);
	return 0;
}

int plan_rebuild(struct plan *p, const struct plan_input *in)
{
	const struct vip_group *g = NULL;
	int err = 0;

	for (size_t i = 0; i < p->n && err == 0;) {
		uint64_t id = p->v[i].group;

		if (vip_group(in->vips, id) == NULL) {
			err = plan_update(p, in, id);
			continue;
		}
		while (i < p->n && p->v[i].group == id)
			i++;
	}
	while (err == 0 && (g = vip_next_group(in->vips, g)) != NULL)
		err = plan_update(p, in, g->id);
	return err;
}

size_t plan_change_count(const struct plan *p)
{
	return p->n_changes;
}

struct plan_change plan_change_at(struct plan *p, size_t i)
{
	struct plan_change ret = {NULL, NULL};
	const struct change *c;

	REQUIRE(i < p->n_changes);
	c = p->changes[i];
	for (enum side side = WAS; side < SIDES; side++)
		p->shown[side] = (struct plan_entry){.vip = c->vip,
			.group = c->group[side],
			.ifindex = c->ifindex,
			.reason = (enum reason)c->reason[side],
			.announced = c->announced[side],
			.bind = c->bind[side]};
	if (c->there[WAS])
		ret.was = &p->shown[WAS];
	if (c->there[IS])
		ret.is = &p->shown[IS];
	return ret;
}

/* Many at once are rare: what they took is given back. */
void plan_clean(struct plan *p)
{
	enum { KEPT = 64 };

	while (p->n_changes > 0)
		free(p->changes[--p->n_changes]);
	if (p->cap_changes <= KEPT) {
		table_clear(&p->by_place);
		return;
	}
	table_free(&p->by_place);
	free(p->changes);
	p->changes = NULL;
	p->cap_changes = 0;
}

/* -- reading -- */

const struct plan_entry *plan_next(const struct plan *p, const struct plan_entry *e)
{
	size_t i = e == NULL ? 0 : (size_t)(e - p->v) + 1;

	return i < p->n ? &p->v[i] : NULL;
}

static int by_address(const void *a, const void *b)
{
	const struct plan_entry *const *x = a, *const *y = b;

	return by_place(*x, *y);
}

/* Brings the index up to date.  false when out of memory. */
static bool index_ready(const struct plan *p)
{
	struct index *x = p->index;

	if (!x->stale)
		return true;
	if (reserve(&x->v, &x->cap, p->n, sizeof(const struct plan_entry *)) != 0)
		return false;
	for (size_t i = 0; i < p->n; i++)
		x->v[i] = &p->v[i];
	x->n = p->n;
	if (x->n > 0)
		qsort(x->v, x->n, sizeof(const struct plan_entry *), by_address);
	x->stale = false;
	return true;
}

size_t plan_of(const struct plan *p, struct addr vip, const struct plan_entry **ret_v, size_t max)
{
	const struct index *x = p->index;
	size_t lo = 0, hi, n = 0;

	if (!index_ready(p))
		return 0;
	hi = x->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(x->v[mid]->vip, vip) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < x->n && addr_eq(x->v[lo]->vip, vip); lo++, n++)
		if (n < max)
			ret_v[n] = x->v[lo];
	return n;
}
