/* SPDX-License-Identifier: Apache-2.0
 *
 * homing.c - which of the groups that this node owns should be another's.
 *
 * In:   members, what they hold, their ranks.
 * Out:  one offer at a time; who did not take it is held down as after a fault.
 *
 * Nothing is taken, all is offered, and by the owner alone.  Why it ends: failback gives a group to
 * a node that comes before this one in an order that is the same everywhere, and never one more
 * than its share; rebalance takes from a node over its share and gives to one that stays under it,
 * so that failback cannot undo it.  An owner keeps a group for REST_MS, whatever others think.
 *
 * Source: docs/ownership.md R14, R27, F29, F35.
 */
#include "homing.h"

#include "ground.h"
#include "text.h"

enum {
	STEP_MS = 1000,      /* claims are written no oftener (R3) */
	REBALANCE_MS = 5000, /* F35 */
	REST_MS = 15 * 1000, /* four moves a minute (I5) */
	GROUPS_A_STEP = 64,  /* a rank costs two hashes for each member */
};

/* Who would have a group, as far as has been looked. */
struct home {
	struct member *m; /* NULL = nobody */
	unsigned weight;
};

static const struct config_elections *conf_of(const struct elect *e)
{
	return &e->in->conf->elections;
}

/* Once more while it lasts is the same fault. */
static void hold(const struct elect *e, struct member *m, uint64_t now_ms)
{
	if (now_ms < m->hold.until_ms)
		m->hold.until_ms = now_ms + m->hold.span_ms;
	else
		hold_down_begin(&m->hold, conf_of(e)->hold_down_ms, now_ms);
}

/* Who is at work again is held down, as it does itself; so is who left what it was offered. */
static void note_returns(struct elect *e, uint64_t now_ms)
{
	const struct group *g = groups_find(&e->groups, e->move.group);

	for (struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		bool at_work = member_is_alive(m) && !member_is_leaving(m);

		if ((at_work && !m->at_work) || (m->offered && g != NULL && group_is_owned(g)))
			hold(e, m, now_ms);
		m->at_work = at_work;
		m->offered = false;
	}
}

/* Would m's claim be heard here?  With many nodes there is no session between some. */
static bool is_in_reach(const struct elect *e, const struct group *g, const struct member *m)
{
	enum elect_peer p = ground_peer_on(m, g);
	bool watched = false;

	for (size_t i = 0; i < g->elig->n_paths && !watched; i++)
		watched = e->ops->watches(e->ctx, g->elig->paths[i].ifindex, e->node, m->node);
	return p == ELECT_PEER_UP || p == ELECT_PEER_LATE || (p == ELECT_PEER_NEVER && !watched);
}

/* Could m have g, and not have more than so many times its share then?  Nodes whose files differ
 * would not agree on it (F14). */
static bool may_have(
	const struct elect *e, const struct group *g, const struct member *m, double share)
{
	return !m->self && m->at_work && text_eq(m->text[TEXT_CONFIG_HASH], e->in->conf->hash) &&
	       !ground_is_over_share(e, share, m->n_held + g->n_addrs) && is_in_reach(e, g, m);
}

static void find_better(
	const struct elect *e, const struct group *g, double share, struct home *io_h)
{
	const struct vip_group *v = elect_vip_of(e, g);
	struct elig other;

	for (struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		if (!may_have(e, g, m, share))
			continue;
		elig_judge_other(e->in, v, m->node, m->text[TEXT_SUBNETS], &other);
		if (other.reason == REASON_OWNER &&
			(other.weight > io_h->weight ||
				(other.weight == io_h->weight &&
					(io_h->m == NULL ||
						member_before(m->node, io_h->m->node, v->key)))))
			*io_h = (struct home){m, other.weight};
	}
}

/* Whom g is to be offered to; NULL: it stays.  Nobody, while the best one is held down: the second
 * best would have to give it on. */
static struct member *home_of(struct elect *e, struct group *g, bool crowded, uint64_t now_ms)
{
	struct home h = {e->self, g->elig->weight};

	if (conf_of(e)->failback && !ground_is_first(e, g, NULL))
		find_better(e, g, conf_of(e)->max_share, &h);
	if (h.m->self && crowded) {
		h.m = NULL;
		find_better(e, g, 1, &h);
	}
	return h.m != NULL && !h.m->self && now_ms >= h.m->hold.until_ms ? h.m : NULL;
}

static bool rests(const struct group *g, uint64_t now_ms)
{
	return g->state == ELECT_OWNER && !g->weak && g->dispute == NULL &&
	       now_ms - g->since_ms >= REST_MS;
}

static bool choose(struct elect *e, bool crowded, uint64_t now_ms, struct homing_offer *ret_o)
{
	const struct groups *t = &e->groups;

	for (size_t n = (size_t)time_min(t->n, GROUPS_A_STEP); n > 0; n--) {
		struct group *g = t->v[e->homing.at++ % t->n];
		struct member *m = NULL;

		if (rests(g, now_ms) && elect_vip_of(e, g) != NULL)
			m = home_of(e, g, crowded, now_ms);
		if (m == NULL)
			continue;
		*ret_o = (struct homing_offer){g, m};
		return true;
	}
	return false;
}

bool homing_choose(struct elect *e, uint64_t now_ms, struct homing_offer *ret_o)
{
	struct homing *h = &e->homing;
	bool crowded;

	if (now_ms < homing_next(e))
		return false;
	h->due_ms = now_ms + STEP_MS;
	if (now_ms < e->move.until_ms)
		return false;
	note_returns(e, now_ms);
	if (!e->joined || e->draining || e->frozen || !e->health.ok)
		return false;
	crowded = conf_of(e)->rebalance && now_ms >= h->rebalance_ms &&
		  ground_is_over_share(e, conf_of(e)->max_share, e->groups.n_owned_vips);
	if (!choose(e, crowded, now_ms, ret_o))
		return false;
	if (crowded)
		h->rebalance_ms = now_ms + REBALANCE_MS;
	return true;
}

uint64_t homing_next(const struct elect *e)
{
	return conf_of(e)->failback || conf_of(e)->rebalance ? e->homing.due_ms : TIME_NEVER;
}
