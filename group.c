/* SPDX-License-Identifier: Apache-2.0
 *
 * group.c - the table of VIP groups.
 *
 * Owns: the groups, the list of those to be stepped and the heap of those that will be, the list of
 *       those whose state is news.
 * In:   the vip table's groups that were made, changed or are gone.
 * Out:  groups for elect.c to step; how many VIPs are owned.
 *
 * Ownership belongs to addresses: when Services join or part and the groups are others, each new
 * group goes on in the state of the old ones that had its VIPs (elect.h's view loses nothing).
 */
#include "group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for n elements of *v in all. */
static bool reserve(void *v, size_t *cap, size_t n, size_t size)
{
	void **p = v;
	size_t want = n + n / 4 + 16;
	void *grown;

	if (n <= *cap)
		return true;
	grown = realloc(*p, want * size);
	if (grown == NULL)
		return false;
	*p = grown;
	*cap = want;
	return true;
}

/* -- the table -- */

/* Where the group of an id is, or would be, in t->v.  Ids are counted up, and most of them are
 * there: between two that are known there is room for few. */
static size_t place_of(const struct groups *t, uint64_t id)
{
	size_t lo = 0, hi = t->n;

	if (t->v == NULL || hi == 0 || id > t->v[hi - 1]->id)
		return hi;
	if (id <= t->v[0]->id)
		return 0;
	lo = hi - (size_t)time_min(hi, t->v[hi - 1]->id - id + 1);
	hi = (size_t)time_min(hi, id - t->v[0]->id + 1);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->v[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct group *groups_find(const struct groups *t, uint64_t id)
{
	size_t at = place_of(t, id);

	return at < t->n && t->v[at]->id == id ? t->v[at] : NULL;
}

/* There is always room for all groups. */
void groups_mark(struct groups *t, struct group *g)
{
	t->wake_ms = 0;
	if (g->marked)
		return;
	g->marked = true;
	t->marked[t->n_marked++] = g;
}

void groups_mark_all(struct groups *t)
{
	for (size_t i = 0; i < t->n; i++)
		groups_mark(t, t->v[i]);
}

static void stop_timer(struct groups *t, struct group *g)
{
	if (g->timed)
		deadline_remove(&t->timed, &g->timer);
	g->timed = false;
}

void groups_mark_due(struct groups *t, uint64_t now_ms)
{
	struct deadline *first;

	while ((first = deadline_first(&t->timed)) != NULL && first->due <= now_ms) {
		struct group *g = CONTAINER_OF(first, struct group, timer);

		stop_timer(t, g);
		groups_mark(t, g);
	}
}

void groups_rest(struct groups *t, struct group *g)
{
	uint64_t due_ms = group_due(g);

	if (due_ms == TIME_NEVER) {
		stop_timer(t, g);
	} else if (g->timed) {
		deadline_set(&t->timed, &g->timer, due_ms);
	} else {
		g->timer.due = due_ms;
		g->timed = deadline_add(&t->timed, &g->timer) == 0;
		if (!g->timed)
			groups_mark(t, g); /* out of memory: it is looked at in each pass */
	}
}

size_t groups_take_marked(struct groups *t, struct group **ret_v, size_t n)
{
	n = (size_t)time_min(n, t->n_marked);
	for (size_t i = 0; i < n; i++) {
		ret_v[i] = t->marked[i];
		ret_v[i]->marked = false;
	}
	t->n_marked -= n;
	if (t->n_marked > 0)
		memmove(t->marked, t->marked + n, t->n_marked * sizeof(struct group *));
	return n;
}

uint64_t groups_due(const struct groups *t)
{
	const struct deadline *first = deadline_first(&t->timed);

	return first != NULL ? first->due : TIME_NEVER;
}

void groups_note_dirty(struct groups *t, uint64_t id)
{
	if (reserve(&t->dirty, &t->cap_dirty, t->n_dirty + 1, sizeof *t->dirty))
		t->dirty[t->n_dirty++] = id;
	else
		t->resync = true; /* the next pass notes all again */
}

/* -- one group -- */

bool group_is_owned(const struct group *g)
{
	return g->state == ELECT_OWNER || g->state == ELECT_HANDOVER ||
	       (g->state == ELECT_PROBE && g->ground == GROUND_FENCE);
}

void group_end_dispute(struct group *g)
{
	free(g->dispute);
	g->dispute = NULL;
}

void group_enter(struct groups *t, struct group *g, enum elect_state state, uint64_t now_ms)
{
	bool was = group_is_owned(g);

	g->state = state;
	g->since_ms = now_ms;
	g->due_ms = TIME_NEVER;
	g->outranked = g->asked = g->hurried = false;
	g->disowned = NULL;
	g->changed = true;
	g->misses = 0;
	if (state != ELECT_WAIT && state != ELECT_PROBE)
		g->orphan = false; /* else it is the ground */
	if (state != ELECT_OWNER)
		group_end_dispute(g);
	else
		g->ceded = false;
	if (state != ELECT_OWNER && state != ELECT_PROBE && state != ELECT_WAIT)
		g->ground = GROUND_NONE;
	if (!group_is_owned(g))
		g->weak = false;
	if (group_is_owned(g) == was)
		return;
	if (was)
		t->n_owned_vips -= g->n_addrs;
	else
		t->n_owned_vips += g->n_addrs;
}

void group_set_owner(struct group *g, struct member *m)
{
	if (g->owner != NULL)
		g->owner->n_held -= g->n_addrs;
	g->owner = m;
	if (m != NULL)
		m->n_held += g->n_addrs;
}

void group_start_probe(struct groups *t, struct group *g, unsigned n, uint64_t now_ms)
{
	group_enter(t, g, ELECT_PROBE, now_ms);
	g->probes_left = n & 15U;
	g->due_ms = now_ms;
	g->foreign_ms = 0;
}

bool group_set_verdict(struct groups *t, struct group *g, const struct elig *e)
{
	const struct elig *kept = elig_set_keep(t->verdicts, e);

	if (kept == NULL)
		return false;
	elig_set_drop(t->verdicts, g->elig);
	g->elig = kept;
	return true;
}

static void group_free(struct groups *t, struct group *g)
{
	elig_set_drop(t->verdicts, g->elig);
	group_end_dispute(g);
	free(g);
}

static struct group *group_new(const struct vip_group *v, uint64_t now_ms)
{
	struct group *g = calloc(1, sizeof *g + v->n_vips * sizeof g->addrs[0]);

	if (g == NULL)
		return NULL;
	g->id = v->id;
	g->n_addrs = (uint32_t)v->n_vips;
	for (size_t i = 0; i < v->n_vips; i++)
		g->addrs[i] = vip_member(v, i)->addr;
	g->since_ms = now_ms;
	g->due_ms = TIME_NEVER;
	g->changed = true;
	return g;
}

int groups_init(struct groups *t, const struct hash_key *hkey)
{
	*t = (struct groups){.wake_ms = TIME_NEVER, .verdicts = elig_set_new(hkey)};
	return t->verdicts != NULL ? 0 : -ENOMEM;
}

void groups_free(struct groups *t)
{
	for (size_t i = 0; i < t->n; i++)
		group_free(t, t->v[i]);
	elig_set_free(t->verdicts);
	free(t->v);
	free(t->marked);
	free(t->timed.v);
	free(t->retired);
	free(t->dirty);
}

/* -- what the gone leave to the new -- */

/* An address of a group that is gone. */
struct legacy {
	struct addr addr;
	const struct group *from;
};

static int by_addr(const void *a, const void *b)
{
	const struct legacy *x = a, *y = b;

	return addr_cmp(x->addr, y->addr);
}

/* A group made of others' VIPs goes on where they were: joining Services costs no answer. */
static void inherit(struct groups *t, struct group *g, const struct legacy *v, size_t n)
{
	for (size_t i = 0; i < g->n_addrs; i++) {
		const struct legacy want = {.addr = g->addrs[i]};
		const struct legacy *l = bsearch(&want, v, n, sizeof *v, by_addr);

		if (l == NULL)
			continue;
		if (l->from->wire_ms >= g->wire_ms) {
			g->wire_owner = l->from->wire_owner;
			g->wire_ms = l->from->wire_ms;
			memcpy(g->wire_mac, l->from->wire_mac, sizeof g->wire_mac);
		}
		if (!group_is_owned(l->from) || (group_is_owned(g) && g->term >= l->from->term))
			continue;
		group_enter(t, g, ELECT_OWNER, l->from->since_ms);
		g->term = l->from->term;
		g->weak = l->from->weak;
		if (l->from->state == ELECT_PROBE) { /* fenced: goes on asking */
			g->ground = GROUND_FENCE;
			group_start_probe(t, g, l->from->probes_left, l->from->since_ms);
			g->due_ms = l->from->due_ms;
		}
	}
}

static size_t list_addrs(const struct group *g, struct legacy *v)
{
	for (size_t a = 0; v != NULL && g->gone && a < g->n_addrs; a++)
		v[a] = (struct legacy){g->addrs[a], g};
	return g->gone ? g->n_addrs : 0;
}

/* The addresses of all groups that are gone; v == NULL: only counts them. */
static size_t list_legacy(const struct groups *t, struct legacy *v)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += list_addrs(t->v[i], v != NULL ? v + n : NULL);
	for (size_t i = 0; i < t->n_retired; i++)
		n += list_addrs(t->retired[i], v != NULL ? v + n : NULL);
	return n;
}

/* Hands the states of gone groups on to the new ones: those not yet judged. */
static void hand_on(struct groups *t)
{
	size_t n = list_legacy(t, NULL);
	struct legacy *v = n > 0 ? malloc(n * sizeof *v) : NULL;

	if (v == NULL)
		return; /* out of memory: new groups begin as IDLE, which is slower, not wrong */
	(void)list_legacy(t, v);
	qsort(v, n, sizeof *v, by_addr);
	for (size_t i = 0; i < t->n; i++)
		if (!t->v[i]->gone && t->v[i]->elig == NULL)
			inherit(t, t->v[i], v, n);
	free(v);
}

/* -- groups come and go -- */

/* Puts a group of the vip table in.  false when out of memory. */
static bool add_group(struct groups *t, const struct vip_group *v, uint64_t now_ms)
{
	size_t at = place_of(t, v->id);
	struct group *g;

	if (!reserve(&t->v, &t->cap, t->n + 1, sizeof(struct group *)) ||
		!reserve(&t->marked, &t->cap_marked, t->n + t->n_retired + 1,
			sizeof(struct group *)))
		return false;
	g = group_new(v, now_ms);
	if (g == NULL)
		return false;
	memmove(&t->v[at + 1], &t->v[at], (t->n - at) * sizeof(struct group *));
	t->v[at] = g;
	t->n++;
	groups_mark(t, g);
	return true;
}

/* Returns whether it was owned. */
static bool bury_one(struct groups *t, struct group *g)
{
	bool owned = group_is_owned(g);

	if (owned)
		t->n_owned_vips -= g->n_addrs;
	group_set_owner(g, NULL);
	stop_timer(t, g);
	groups_note_dirty(t, g->id);
	group_free(t, g);
	return owned;
}

/* Frees the gone groups.  Returns whether one was owned. */
static bool bury(struct groups *t)
{
	bool owned = false;
	size_t n = 0;

	for (size_t i = 0; i < t->n_marked; i++)
		if (!t->marked[i]->gone)
			t->marked[n++] = t->marked[i];
	t->n_marked = n;
	n = 0;
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i]->gone)
			owned |= bury_one(t, t->v[i]);
		else
			t->v[n++] = t->v[i];
	}
	t->n = n;
	while (t->n_retired > 0)
		owned |= bury_one(t, t->retired[--t->n_retired]);
	return owned;
}

static bool has_addrs(const struct group *g, const struct vip_group *v)
{
	if (g->n_addrs != v->n_vips)
		return false;
	for (size_t i = 0; i < g->n_addrs; i++)
		if (!addr_eq(g->addrs[i], vip_member(v, i)->addr))
			return false;
	return true;
}

/* The group goes on with other VIPs: a new one takes its place.  false when out of memory. */
static bool replace_group(
	struct groups *t, struct group *old, const struct vip_group *v, uint64_t now_ms)
{
	struct group *g;

	if (!reserve(&t->retired, &t->cap_retired, t->n_retired + 1, sizeof(struct group *)) ||
		!reserve(&t->marked, &t->cap_marked, t->n + t->n_retired + 1,
			sizeof(struct group *)))
		return false;
	g = group_new(v, now_ms);
	if (g == NULL)
		return false;
	old->gone = true;
	t->retired[t->n_retired++] = old;
	t->v[place_of(t, old->id)] = g;
	groups_mark(t, g);
	return true;
}

/* One group of the vip table was made, changed or is gone.  Returns whether one is to be buried. */
static bool take_group(struct groups *t, const struct vip_table *vips, uint64_t id, uint64_t now_ms)
{
	const struct vip_group *v = vip_group(vips, id);
	struct group *g = groups_find(t, id);
	bool gone = false;

	if (v == NULL) {
		if (g != NULL)
			g->gone = true;
		return g != NULL;
	}
	if (g == NULL) {
		t->resync |= !add_group(t, v, now_ms);
		return false;
	}
	if (!has_addrs(g, v)) {
		gone = replace_group(t, g, v, now_ms);
		t->resync |= !gone;
		return gone;
	}
	g->judged = false;
	g->rank_generation = 0;
	groups_mark(t, g);
	return false;
}

bool groups_take(struct groups *t, const struct vip_table *vips, uint64_t now_ms)
{
	const struct vip_group *v = NULL;
	bool gone = false;

	if (t->resync) {
		t->resync = false;
		for (size_t i = 0; i < t->n; i++)
			if (vip_group(vips, t->v[i]->id) == NULL)
				gone = t->v[i]->gone = true;
		while ((v = vip_next_group(vips, v)) != NULL)
			(void)take_group(t, vips, v->id, now_ms);
	} else {
		for (size_t i = 0; i < vip_dirty_count(vips); i++)
			gone |= take_group(t, vips, vip_dirty_at(vips, i), now_ms);
	}
	if (!gone)
		return false;
	hand_on(t);
	return bury(t);
}
