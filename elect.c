/* SPDX-License-Identifier: Apache-2.0
 *
 * elect.c - who owns each VIP group: its state machine, step by step, and the events that move it.
 *
 * Owns: which member has which group, and every group's state.  Its parts: member.c (what Leases
 *       said, what BFD says), health.c (whether Leases can be trusted), group.c (the table of
 *       groups), ground.c (who has a group, may it be taken, after whom), inquire.c with suspect.c
 *       (what is asked of the wire), dispute.c (two that own), homing.c with hold.c (what others
 *       should have), publish.c (this node's own Leases).
 *       No socket, no clock.
 * In:   Leases by the watch, VIP groups by the vip table, frames that ARP and NDP heard, BFD's
 *       verdicts, answers to writes.
 * Out:  each group's state (plan.c reads it), probes and claims through elect_ops, Lease writes
 *       (pulled).
 *
 * Events only update facts and mark groups; elect_pass() steps the marked and the due ones, so a
 * missed or repeated event wedges nothing.  Groups rest in WATCH or OWNER without a timer: they are
 * looked at again when a claim on them, a member's liveness or the input changes.
 *
 * Source: docs/ownership.md, which says where this departs from shared/OWNERSHIP.md.
 */
#include "elect.h"

#include "history.h"
#include "homing.h"
#include "inquire.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	DEFENCES_MS = 10000, /* R19: at most so many in that time, in however many disputes */
	DEFENCES_MAX = 30,
	JOIN_MS = 3000,           /* after the first sync, before anything not ours is taken */
	RANK0_GRACE_MS = 2000,    /* R13: the best node takes a free group undisturbed */
	PROBE_MS = 10,            /* R15 */
	UNREAD_PROBES = 14,       /* R12's most */
	LATE_PROBES = 2,          /* R15: more after service began, for neighbours slow to answer */
	LATE_PROBE_MS = 100,      /* R15 */
	BACK_OFF_SLOTS = 4,       /* R16 */
	CONFLICT_MS = 10 * 1000,  /* R26: asked again */
	CONFLICT_QUIET_MS = 1000, /* this long without an answer: free */
	WEAK_MS = 5000,           /* R8: with a witness for so long it is weak no more */
	RECLAIM_PEER_MS = 5000,   /* for one peer */
	DISOWNED_MS = 10 * 1000,  /* R21: it is asked again */
	LOOK_GAP_MS = 1000,       /* R19 */
	LOOK_TIMEOUT_MS = 2000,
	SOFT_MS = 30 * 1000,      /* R27 */
	SOFT_ENDPOINT_MS = 2000,  /* R27 */
	SCALE_MEMBERS = 32,       /* above, renewals become rarer (F36) */
	CLAIMS_ROOM = 2 * CLUSTER_MAX_CLAIMS, /* the printer cuts at the limit, not the buffer */
	STEPS_MAX = 256, /* groups stepped in one pass */
	MAX_STEPS = 8, /* of one group in one pass; the longest way is IDLE..OWNER */
};

/* -- small things -- */

/* R14: a fault of our own: last in rank for a while, longer when it comes again and again. */
static void hold_down(struct elect *e, uint64_t now_ms)
{
	hold_down_begin(&e->hold, e->in != NULL ? e->in->conf->elections.hold_down_ms : 0, now_ms);
}

static struct group *group_with(const struct elect *e, struct addr a)
{
	const struct vip *v = e->in != NULL ? vip_find(e->in->vips, a) : NULL;

	return v != NULL ? groups_find(&e->groups, v->group->id) : NULL;
}

/* -- members -- */

bool elect_is_member_mac(const struct elect *e, const uint8_t mac[6])
{
	const struct member *m = members_with_mac(&e->members, mac);

	return m != NULL && m != e->self;
}

bool elect_is_mac_of(const struct elect *e, const uint8_t mac[6], const char *node)
{
	const struct member *m = members_with_mac(&e->members, mac);

	return m != NULL && m != e->self && (node == NULL || strcmp(m->node, node) == 0);
}

/* Marks the groups on which m's claims differ: those of a that b has not. */
static void mark_difference(struct elect *e, struct member *m, const struct claims *a,
	const struct claims *b, const struct claims *was, bool withdrawn)
{
	for (size_t i = 0; i < a->n; i++) {
		struct addr at = a->v[i].range.first;

		if (claims_has(b, &a->v[i]))
			continue;
		for (;; at = addr_next(at)) { /* VIP_MAX addresses at most, by the parser */
			struct group *g = group_with(e, at);

			if (g != NULL) {
				/* A later word replaces what was heard on the wire before. */
				if (g->disowned == m)
					g->disowned = NULL;
				if ((g->wire_owner == m) == withdrawn && claims_find(b, at) == NULL)
					g->wire_owner = NULL;
				ground_recount(e, g, m, was);
				groups_mark(&e->groups, g);
			}
			if (addr_eq(at, a->v[i].range.last))
				break;
		}
	}
}

static void claims_seen(struct elect *e, struct member *m, const struct cluster_lease *lease)
{
	struct claims old;

	if (!member_on_claims(m, lease, e->counters, &old))
		return;
	e->claims_change++;
	mark_difference(e, m, &old, &m->claims, &old, true);
	mark_difference(e, m, &m->claims, &old, &old, false);
	claims_free(&old);
}

static void forget_member(struct elect *e, struct member *m)
{
	for (size_t i = 0; i < e->groups.n; i++) {
		struct group *g = e->groups.v[i];

		g->counted = false;
		groups_mark(&e->groups, g);
		if (g->wire_owner == m)
			g->wire_owner = NULL;
		if (g->disowned == m)
			g->disowned = NULL;
		if (g->owner == m)
			group_set_owner(g, NULL);
		if (g->dispute != NULL && g->dispute->rival == m)
			group_end_dispute(g);
	}
	if (e->look.rival == m)
		e->look.rival = NULL;
	e->ops->forgot(e->ctx, m->node);
	members_forget(&e->members, m);
	e->generation++;
}

/* Leases that were unchanged for long enough expire; deleted ones are forgotten then. */
static void expire_members(struct elect *e, uint64_t now_ms)
{
	struct member *m, *next;

	for (m = e->members.head; m != NULL; m = next) {
		uint64_t at = elect_expires_at(e, m);

		next = m->hh.next;
		if (now_ms >= at && e->told_ms >= at) {
			m->expired = true;
			elect_member_changed(e, m);
		} else if (now_ms >= at) { /* the API may be gone, without a word */
			publish_renew_since(e->publish, at, now_ms);
		}
		if (member_is_forgettable(m))
			forget_member(e, m);
	}
}

/* -- health (R5) -- */

static void update_health(struct elect *e, uint64_t now_ms)
{
	if (!health_update(&e->health, now_ms))
		return;
	e->roll.changed = true;
	groups_mark_all(&e->groups);
}

/* Has the last renewal come back through the watch? */
static void check_loop(struct elect *e, uint64_t now_ms)
{
	if (!health_close_loop(&e->health))
		return;
	e->groups.wake_ms = 0;
	update_health(e, now_ms);
}

/* The durations in force: the configured ones, longer in large clusters (F36). */
static void set_durations(struct elect *e)
{
	const struct config_elections *c = &e->in->conf->elections;
	uint64_t n = members_count_alive(&e->members);

	e->renew_ms = c->node_renew_ms;
	e->lease_ms = c->node_duration_ms;
	if (n > SCALE_MEMBERS) {
		e->renew_ms = e->renew_ms * n / SCALE_MEMBERS;
		e->lease_ms = 4 * e->renew_ms;
	}
	health_set_durations(&e->health, e->renew_ms, e->lease_ms);
	publish_set_durations(e->publish, e->renew_ms, e->lease_ms);
}

/* -- judging -- */

/* This node's verdict, anew.  Out of memory: the old one stays and is judged again later. */
static void judge(struct elect *e, struct group *g, uint64_t now_ms)
{
	bool had_none = g->elig != NULL && g->elig->reason == REASON_NO_INTERFACE;
	struct elig verdict;

	g->judged = true;
	elig_judge_self(e->in, elect_vip_of(e, g), &verdict);
	if (g->elig != NULL && elig_equal(g->elig, &verdict))
		return;
	if (!group_set_verdict(&e->groups, g, &verdict)) {
		g->judged = false;
		return;
	}
	if (had_none && verdict.n_paths > 0 && e->hold.event_ms != now_ms)
		hold_down(e, now_ms); /* a link came back: once for all of its groups */
	g->rank_generation = 0;
	g->changed = true;
}

/* Who has it keeps it for the moments until all is heard; nobody takes it before. */
static bool is_eligible(const struct group *g)
{
	bool has = g->state == ELECT_OWNER || g->state == ELECT_HANDOVER;

	return g->elig != NULL && (g->elig->reason == REASON_OWNER ||
					  (g->elig->reason == REASON_NOT_LISTENING && has));
}

static bool may_own(const struct elect *e, const struct group *g)
{
	return is_eligible(g) && !e->draining && publish_may_speak(e->publish);
}

/* -- states -- */

/* Since when the node that had the group shows no sign of life; 0: it has not failed. */
static uint64_t failed_since(const struct group *g, const struct survey *s)
{
	const struct member *m = s->holder;
	uint64_t since_ms = 0;

	if (g->ground == GROUND_EXPIRED)
		return s->expired != NULL ? s->expired->observed_ms : 0;
	if (m == NULL || (g->ground != GROUND_SILENT && g->ground != GROUND_COLD))
		return 0;
	if (g->ground == GROUND_COLD)
		return m->cold.suspicion.began_ms;
	for (size_t i = 0; i < m->n_links; i++) {
		uint64_t began_ms = m->links[i].inquiry.suspicion.began_ms;

		if (began_ms != 0 && ground_carries(g, m->links[i].ifindex))
			since_ms = since_ms == 0 ? began_ms : time_min(since_ms, began_ms);
	}
	return since_ms;
}

static void count_take(struct elect *e, const struct group *g, const struct survey *s, uint64_t now_ms)
{
	uint64_t since_ms = failed_since(g, s);

	counter_add(e->counters, COUNTER_VIP_TAKES, g->n_addrs);
	if (since_ms != 0 && since_ms <= now_ms)
		counter_took(e->counters, HISTOGRAM_FAILOVER, now_ms - since_ms);
}

static void take(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	const struct claim *old = claims_on(&e->old, g->addrs, g->n_addrs);
	const struct claim *mine = claims_on(&e->self->claims, g->addrs, g->n_addrs);
	uint64_t term = s->known_term > g->term ? s->known_term : g->term;

	if (old != NULL && old->term > term)
		term = old->term;
	if (mine != NULL && mine->term > term)
		term = mine->term;
	if (s->unpublished && term < UINT64_MAX)
		term++; /* its claim, one above what was known, may still come */
	g->term = term < UINT64_MAX ? term + 1 : term;
	if (s->holder != NULL)
		g->weak = ground_fate_on(s->holder, g) == FATE_DEAD_UNWITNESSED ||
			  s->holder->cold.fate == FATE_DEAD_UNWITNESSED;
	else
		g->weak = g->ground == GROUND_EXPIRED && s->expired != NULL &&
			  s->expired->lapse.fate == FATE_DEAD_UNWITNESSED;
	count_take(e, g, s, now_ms);
	group_enter(&e->groups, g, ELECT_OWNER, now_ms);
	g->foreign_ms = 0;
	if (g->weak)
		g->due_ms = now_ms + WEAK_MS;
	if (g->ground == GROUND_FREE) {
		g->probes_left = LATE_PROBES;
		g->due_ms = now_ms + LATE_PROBE_MS;
	}
	publish_claims_changed(e->publish);
}

/* Stop answering, at once. */
static void give_up(struct elect *e, struct group *g, uint64_t now_ms)
{
	counter_add(e->counters, COUNTER_VIP_YIELDS, g->n_addrs);
	group_enter(&e->groups, g, may_own(e, g) ? ELECT_WATCH : ELECT_IDLE, now_ms);
	publish_claims_changed(e->publish);
}

static void step_idle(struct elect *e, struct group *g, uint64_t now_ms)
{
	if (may_own(e, g))
		group_enter(&e->groups, g, ELECT_WATCH, now_ms);
}

static void step_watch(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	enum ground ground;

	if (!may_own(e, g)) {
		group_enter(&e->groups, g, ELECT_IDLE, now_ms);
		return;
	}
	inquire_owner(e, g, s, now_ms);
	ground = ground_find(e, g, s);
	if (inquire_anew(e, g, s, ground, now_ms))
		ground = GROUND_NONE;
	if (ground == GROUND_NONE) {
		/* A word on the wire holds as long as a Lease would. */
		if (g->wire_owner != NULL &&
			now_ms - g->wire_ms < member_lease_ms(g->wire_owner, e->lease_ms))
			g->due_ms = time_min(g->due_ms,
				g->wire_ms + member_lease_ms(g->wire_owner, e->lease_ms));
		if (now_ms < ground_cession_ends(g))
			g->due_ms = time_min(g->due_ms, ground_cession_ends(g));
	} else if (now_ms < g->hold_ms) {
		g->due_ms = g->hold_ms;
	} else {
		group_enter(&e->groups, g, ELECT_WAIT, now_ms);
		g->ground = ground;
		g->rank_generation = 0; /* who is taken from has changed */
	}
}

/* Is the ground still there?  WAIT and PROBE ask at each step (R10). */
static bool keeps_ground(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	enum ground ground;

	if (!may_own(e, g)) {
		group_enter(&e->groups, g, ELECT_IDLE, now_ms);
		return false;
	}
	if (g->outranked) { /* R16: a better member asks for it */
		g->hold_ms = now_ms + BACK_OFF_SLOTS * elect_slot_ms(e);
		group_enter(&e->groups, g, ELECT_WATCH, now_ms);
		return false;
	}
	ground = ground_find(e, g, s);
	if (ground == GROUND_NONE ||
		(ground != g->ground && inquire_anew(e, g, s, ground, now_ms))) {
		group_enter(&e->groups, g, ELECT_WATCH, now_ms);
		return false;
	}
	/* Another ground is as good: asking anew at each change of it never ends while two that go
	 * answer in turn. */
	if (ground != g->ground)
		g->rank_generation = 0;
	g->ground = ground;
	return true;
}

/* How often the wire is asked before a take.  That nobody claims a group is not certain while a
 * member's claims cannot be read: it may have it, and one question may be lost (R3). */
static unsigned first_probes(const struct elect *e, const struct group *g)
{
	if (g->ground == GROUND_FREE)
		for (const struct member *m = e->members.head; m != NULL; m = m->hh.next)
			if (m->unread && member_is_alive(m))
				return UNREAD_PROBES;
	return 1;
}

static void step_wait(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!keeps_ground(e, g, s, now_ms))
		return;
	g->due_ms = g->since_ms + ground_wait_ms(e, g, s, now_ms);
	if (g->ground == GROUND_SILENT && g->due_ms > g->since_ms)
		g->due_ms = time_max(g->due_ms, inquire_twice(e, g, s, now_ms));
	if (now_ms < g->due_ms)
		return;
	/* Looked at again each slot: what a better member is heard to hold may end its grace. */
	if (now_ms < g->due_ms + RANK0_GRACE_MS && ground_gives_grace(e, g))
		g->due_ms = now_ms + elect_slot_ms(e);
	else if (g->ground == GROUND_SILENT)
		take(e, g, s, now_ms); /* the inquiry has asked (R12) */
	else
		group_start_probe(&e->groups, g, first_probes(e, g), now_ms);
}

/* R26: a foreign host has it. */
static void enter_conflict(struct elect *e, struct group *g, uint64_t now_ms)
{
	bool was = group_is_owned(g);

	group_enter(&e->groups, g, ELECT_CONFLICT, now_ms);
	g->due_ms = now_ms + CONFLICT_MS;
	g->probes_left = 1;
	if (was)
		publish_claims_changed(e->publish);
}

static void step_probe(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	bool fence = g->ground == GROUND_FENCE;

	if (fence && (!may_own(e, g) || ground_must_yield(e, g, s) ||
			     (g->wire_owner != NULL && g->wire_ms >= g->since_ms))) {
		give_up(e, g, now_ms);
		return;
	}
	if (!fence && !keeps_ground(e, g, s, now_ms))
		return;
	if (g->ground == GROUND_FREE && g->foreign_ms != 0) {
		enter_conflict(e, g, now_ms);
		return;
	}
	if (now_ms < g->due_ms)
		return;
	if (g->probes_left > 0) {
		g->probes_left--;
		g->due_ms = now_ms + (fence ? elect_probe_gap_ms(e) : PROBE_MS);
		e->ops->probe(e->ctx, elect_vip_of(e, g));
	} else if (fence) {
		group_enter(&e->groups, g, ELECT_OWNER,
			now_ms); /* silence: it is still ours, term and all */
	} else {
		take(e, g, s, now_ms);
	}
}

/* Losses of eligibility that may pass, or that another node can make good: how long to go on
 * answering meanwhile (R27); 0 = not at all. */
static uint64_t soft_ms(const struct group *g)
{
	enum reason why = g->elig != NULL ? g->elig->reason : REASON_NOT_SYNCED;

	if (g->elig == NULL || g->elig->n_paths == 0)
		return 0;
	if (why == REASON_NO_ENDPOINTS || why == REASON_NO_LOCAL_ENDPOINTS)
		return SOFT_ENDPOINT_MS;
	return why == REASON_NODE_EXCLUDED || why == REASON_NETWORK_UNAVAILABLE ? SOFT_MS : 0;
}

/* An OWNER that may no longer be one. */
static void leave_office(struct elect *e, struct group *g, uint64_t now_ms)
{
	uint64_t until_ms = 0;

	if (e->draining && g->elig != NULL && g->elig->n_paths > 0)
		until_ms = e->drain_until_ms;
	else if (publish_may_speak(e->publish))
		until_ms = now_ms + soft_ms(g);
	if (until_ms <= now_ms) {
		give_up(e, g, now_ms);
		return;
	}
	group_enter(&e->groups, g, ELECT_HANDOVER, now_ms);
	g->due_ms = until_ms;
	publish_claims_changed(e->publish);
}

/* -- another claims what we own (R18 to R20) -- */

/* Our claim is published, and was read back: the API tells who stays. */
static bool is_published(const struct elect *e, const struct group *g)
{
	const struct claim *c = claims_on(&e->self->claims, g->addrs, g->n_addrs);

	return e->health.ok && c != NULL && c->term == g->term;
}

static struct dispute_view dispute_view(const struct elect *e, const struct group *g)
{
	const struct member *rival = g->dispute->rival;
	bool weak = g->weak || g->state == ELECT_HANDOVER;
	bool relieves = rival->expired && e->health.ok; /* G3: an expired Lease loses */
	unsigned loss = inquire_loss(g, rival);

	return (struct dispute_view){
		.strength = weak			     ? DISPUTE_WEAK
			    : relieves || is_published(e, g) ? DISPUTE_PUBLISHED
							     : DISPUTE_WIRE,
		.outranked = member_before(rival->node, e->node, elect_vip_of(e, g)->key),
		.rival_beats = rival->unread || ground_outbids(e, g, rival),
		.rival_is_deaf = ground_peer_on(rival, g) == ELECT_PEER_DEAF,
		.rival_is_heard = ground_is_heard_on(rival, g),
		.asks = loss > 0 ? suspect_rounds(loss) : 0,
	};
}

static const uint8_t no_mac[6]; /* not known */

/* Can its frames be known for its own?  Not those of a MAC that this node has, or had (F32). */
static bool can_be_told(const struct elect *e, const struct member *m)
{
	const struct members *t = &e->members;
	bool any = false;

	for (size_t i = 0; i < t->n_macs; i++) {
		if (t->macs[i].m != m || t->macs[i].gone)
			continue;
		if (e->ops->is_ours(e->ctx, t->macs[i].mac))
			return false;
		any = true;
	}
	return any;
}

/* The API says that rival claims it with more right: to be asked, if it can be; what it wrote may be
 * older than what it does.  false: then it is to be believed. */
static bool doubt(struct elect *e, struct group *g, struct member *rival, uint64_t now_ms)
{
	if (!ground_is_heard_on(rival, g) || !can_be_told(e, rival))
		return false;
	if (g->dispute != NULL)
		return true; /* it, or another one first */
	g->dispute = calloc(1, sizeof *g->dispute);
	if (g->dispute != NULL)
		dispute_on_published(g->dispute, rival,
			g->wire_owner == rival ? g->wire_mac : no_mac, now_ms);
	return g->dispute != NULL;
}

static void ask_rival(struct elect *e, const struct group *g)
{
	if (memcmp(g->dispute->mac, no_mac, sizeof no_mac) == 0)
		e->ops->probe(e->ctx, elect_vip_of(e, g));
	else
		e->ops->ask(e->ctx, elect_vip_of(e, g), g->dispute->mac);
}

/* Of nodes with one MAC each claim begins a dispute anew. */
static bool may_defend(struct group *g, uint64_t now_ms)
{
	if (now_ms - g->defences_ms >= DEFENCES_MS) {
		g->defences_ms = now_ms;
		g->defences = 0;
	}
	return g->defences++ < DEFENCES_MAX;
}

/* Returns whether it was given up. */
static bool settle_dispute(struct elect *e, struct group *g, uint64_t now_ms)
{
	struct dispute_view v;

	while (g->dispute != NULL) {
		v = dispute_view(e, g);
		switch (dispute_step(g->dispute, &v, now_ms)) {
		case DISPUTE_ASK:
			ask_rival(e, g);
			continue;
		case DISPUTE_DEFEND:
			if (may_defend(g, now_ms))
				e->ops->announce(e->ctx, elect_vip_of(e, g));
			if (v.strength == DISPUTE_PUBLISHED)
				e->look.rival = g->dispute->rival;
			continue;
		case DISPUTE_OVER:
			g->disowned = g->dispute->rival;
			g->hold_ms = now_ms + DISOWNED_MS;
			group_end_dispute(g);
			continue;
		case DISPUTE_REST:
			return false;
		case DISPUTE_YIELD:
			hold_down(e, now_ms);
			give_up(e, g, now_ms);
			g->ceded = v.rival_is_deaf;
			if (g->state == ELECT_WATCH)
				inquire_verify(g, now_ms);
			return true;
		}
	}
	return false;
}

/* R8: a weak take becomes a whole one. */
static void strengthen(struct elect *e, struct group *g, uint64_t now_ms)
{
	bool seen = false;

	for (size_t i = 0; i < g->elig->n_paths && !seen; i++) {
		unsigned ifindex = g->elig->paths[i].ifindex;

		(void)e->ops->ask_witness(e->ctx, ifindex, "");
		seen = e->ops->witnessed(e->ctx, ifindex, "", now_ms - WEAK_MS);
	}
	if (seen && g->dispute == NULL) {
		g->weak = false;
		publish_claims_changed(e->publish);
	}
}

/* R27: one that goes, and does not hear this node, learns from the API that it has its successor. */
static void outrank_leaving(struct elect *e, struct group *g, const struct survey *s)
{
	if (s->leaving == NULL || s->leaving_term < g->term || s->leaving_term == UINT64_MAX)
		return;
	g->term = s->leaving_term + 1;
	publish_claims_changed(e->publish);
}

static void step_owner(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	outrank_leaving(e, g, s);
	if (!may_own(e, g)) {
		leave_office(e, g, now_ms);
	} else if (ground_must_yield(e, g, s) && !doubt(e, g, s->holder, now_ms)) {
		give_up(e, g, now_ms);
	} else if (settle_dispute(e, g, now_ms)) {
		return;
	} else if (g->foreign_ms != 0 && g->due_ms != TIME_NEVER && !g->weak) {
		enter_conflict(e, g, now_ms); /* R15: a late answer withdraws a fresh take */
	} else if (now_ms >= g->due_ms) {
		g->due_ms = TIME_NEVER;
		if (g->probes_left > 0) {
			g->probes_left--;
			g->due_ms = now_ms + LATE_PROBE_MS;
			e->ops->probe(e->ctx, elect_vip_of(e, g));
		} else if (g->weak) {
			strengthen(e, g, now_ms);
			g->due_ms = g->weak ? now_ms + WEAK_MS : TIME_NEVER;
		}
	}
}

/* R27: has a successor's claim been seen?  Who drains does not hear by BFD that another one no longer
 * does (AdminDown is deaf): a claim on the wire counts, but one of a node that offers it as well. */
static bool is_succeeded(const struct group *g, const struct survey *s)
{
	const struct member *w = g->wire_ms >= g->since_ms ? g->wire_owner : NULL;
	const struct claim *c = w != NULL ? claims_on(&w->claims, g->addrs, g->n_addrs) : NULL;

	if (w != NULL && (c == NULL || (c->flags & CLAIM_OFFERED) == 0 || c->term > g->term))
		return true;
	return s->holder_claim != NULL && s->holder_claim->term > g->term;
}

static bool is_moving(const struct elect *e, const struct group *g, uint64_t now_ms)
{
	return e->move.group == g->id && now_ms < e->move.until_ms;
}

static void end_move(struct elect *e, const struct group *g)
{
	if (e->move.until_ms == 0 || e->move.group != g->id)
		return;
	e->move.until_ms = 0;
	publish_end_move(e->publish);
}

static void step_handover(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (may_own(e, g) && is_moving(e, g, now_ms) && !is_succeeded(g, s))
		return;
	end_move(e, g);
	if (!is_eligible(g)) /* a drain may last, a Service whose endpoints are elsewhere does not wait for it */
		g->due_ms = time_min(g->due_ms, now_ms + soft_ms(g));
	if (may_own(e, g) && !is_succeeded(g, s)) {
		group_enter(&e->groups, g, ELECT_OWNER, now_ms);
		publish_claims_changed(e->publish);
	} else if (is_succeeded(g, s) || ground_must_yield(e, g, s) || now_ms >= g->due_ms ||
		   g->elig->n_paths == 0 || !publish_may_speak(e->publish) ||
		   (e->draining && e->drain_until_ms != TIME_NEVER &&
			   members_count_alive(&e->members) == 1)) {
		give_up(e, g, now_ms);
	}
}

/* Was the last probe for it left without an answer? */
static bool is_quiet(const struct group *g, uint64_t now_ms)
{
	return now_ms >= g->due_ms && g->probes_left == 0 && g->foreign_ms == 0;
}

static void step_conflict(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!may_own(e, g)) {
		group_enter(&e->groups, g, ELECT_IDLE, now_ms);
	} else if (s->holder != NULL || is_quiet(g, now_ms)) {
		group_enter(&e->groups, g, ELECT_WATCH, now_ms);
	} else if (now_ms < g->due_ms) {
		return;
	} else if (g->probes_left > 0) {
		g->probes_left--;
		g->foreign_ms = 0;
		g->due_ms = now_ms + CONFLICT_QUIET_MS;
		e->ops->probe(e->ctx, elect_vip_of(e, g));
	} else { /* it was heard since the probe */
		g->probes_left = 1;
		g->due_ms = now_ms + CONFLICT_MS - CONFLICT_QUIET_MS;
	}
}

static void step_state(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	switch (g->state) {
	case ELECT_IDLE:
		step_idle(e, g, now_ms);
		break;
	case ELECT_WATCH:
		step_watch(e, g, s, now_ms);
		break;
	case ELECT_WAIT:
		step_wait(e, g, s, now_ms);
		break;
	case ELECT_PROBE:
		step_probe(e, g, s, now_ms);
		break;
	case ELECT_OWNER:
		step_owner(e, g, s, now_ms);
		break;
	case ELECT_HANDOVER:
		step_handover(e, g, s, now_ms);
		break;
	case ELECT_CONFLICT:
		step_conflict(e, g, s, now_ms);
		break;
	}
}

/* Steps one group until it rests. */
static void step(struct elect *e, struct group *g, uint64_t now_ms)
{
	struct member *owner;
	struct survey s;

	if (elect_vip_of(e, g) == NULL) {
		e->groups.resync = true; /* the vip table was changed behind our back */
		return;
	}
	if (!g->judged)
		judge(e, g, now_ms);
	if (!g->counted)
		ground_count(e, g);
	if (g->elig == NULL)
		return;
	if (now_ms >= g->hold_ms)
		g->disowned = NULL;
	s = ground_survey(e, g, now_ms);
	for (unsigned i = 0; i < MAX_STEPS; i++) {
		enum elect_state was = g->state;

		step_state(e, g, &s, now_ms);
		if (g->state == was)
			break;
	}
	owner = s.holder != NULL ? s.holder : s.leaving != NULL ? s.leaving : s.expired;
	if (owner != g->owner) {
		group_set_owner(g, owner);
		g->owner_ms = now_ms;
		g->changed = e->roll.changed = true;
	}
	if (g->changed)
		groups_note_dirty(&e->groups, g->id);
	g->changed = false;
}

/* -- writes, and a look past the watch -- */

#define LOOK_ID UINT64_MAX /* publish.c counts from 1 */

/* What was ours before the start and was not taken again yet; without the API it stays our own. */
static MUST_CHECK int add_unrestored(const struct elect *e, struct claims *c)
{
	int err = 0;

	for (size_t i = 0; e->restored && i < e->old.n; i++) {
		const struct claim *k = &e->old.v[i];

		for (struct addr a = k->range.first; err == 0; a = addr_next(a)) {
			const struct group *g = group_with(e, a);

			if (g == NULL || !group_is_owned(g))
				err = claims_add(c, a, k->term, k->flags);
			if (addr_eq(a, k->range.last))
				break;
		}
	}
	return err;
}

/* The text of what this node owns.  NULL when out of memory. */
static char *claims_text(const void *ctx)
{
	const struct elect *e = ctx;
	struct claims c = {NULL, 0};
	struct buf b;
	int err = 0;

	buf_init(&b, CLAIMS_ROOM);
	for (size_t i = 0; i < e->groups.n && err == 0; i++) {
		const struct group *g = e->groups.v[i];
		unsigned flags = (g->state == ELECT_HANDOVER ? CLAIM_OFFERED : 0) |
				 (g->weak ? CLAIM_WEAK : 0);

		for (size_t a = 0; group_is_owned(g) && a < g->n_addrs && err == 0; a++)
			err = claims_add(&c, g->addrs[a], g->term, flags);
	}
	if (err == 0)
		err = add_unrestored(e, &c);
	claims_sort(c.v, c.n);
	if (err == 0)
		err = claims_print(c.v, c.n, &b);
	claims_free(&c);
	if (err == -ENOMEM) {
		buf_free(&b);
		return NULL;
	}
	return buf_take(&b);
}

/* What both sides of a dispute claim decides it; the watch may be behind (R19). */
static bool look_up_rival(struct elect *e, uint64_t now_ms, struct lease_action *ret_a)
{
	struct elect_look *l = &e->look;

	if (l->rival == NULL || l->in_flight || now_ms < l->next_ms)
		return false;
	member_object_name(CLUSTER_LEASE_CLAIMS, l->rival->node, l->name);
	l->rival = NULL;
	l->in_flight = true;
	l->next_ms = now_ms + LOOK_GAP_MS;
	*ret_a = (struct lease_action){.verb = LEASE_GET,
		.name = l->name,
		.role = CLUSTER_LEASE_CLAIMS,
		.other = true,
		.not_after_ms = TIME_NEVER,
		.timeout_ms = LOOK_TIMEOUT_MS,
		.id = LOOK_ID};
	return true;
}

char *elect_claims_text(const struct elect *e)
{
	return e->joined ? claims_text(e) : NULL;
}

bool elect_next_action(struct elect *e, uint64_t now_ms, struct lease_action *ret_a)
{
	update_health(e, now_ms);
	if (look_up_rival(e, now_ms, ret_a))
		return true;
	return publish_next_action(e->publish, now_ms, claims_text, e, ret_a);
}

/* The rival's claims object as it was read.  The watch may have shown a later one meanwhile. */
static void looked_up(struct elect *e, const struct cluster_lease *lease, uint64_t now_ms)
{
	const struct member *m =
		lease->node != NULL ? members_find(&e->members, lease->node) : NULL;

	if (m == NULL || !history_is_before(lease->resource_version, m->claims_rv))
		elect_on_lease(e, lease, false, now_ms);
}

void elect_done(struct elect *e, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms)
{
	struct publish_renewal r;

	if (id == LOOK_ID) {
		e->look.in_flight = false;
		if (outcome == LEASE_OK && lease != NULL)
			looked_up(e, lease, now_ms);
		return;
	}
	if (!publish_done(e->publish, id, outcome, lease, now_ms, &r))
		return;
	/* Now it must come back through the watch (R5). */
	health_on_renewed(&e->health, r.rv, r.sent_ms);
	check_loop(e, now_ms);
	update_health(e, now_ms);
}

/* -- construction -- */

struct elect *elect_new(const struct elect_conf *conf, const struct elect_ops *ops, void *ctx,
	const struct hash_key *hkey, struct rng *rng, struct counters *counters)
{
	struct elect *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->ops = ops;
	e->ctx = ctx;
	e->members.hkey = *hkey;
	e->counters = counters;
	e->generation = 1;
	e->join_ms = TIME_NEVER;
	e->reclaim.due_ms = e->reclaim_again_ms = e->relief.due_ms = TIME_NEVER;
	e->publish = publish_new(conf->node, conf->identity, conf->version, rng);
	e->self = members_get(&e->members, conf->node, 0);
	if (groups_init(&e->groups, hkey) < 0 || e->publish == NULL || e->self == NULL ||
		!text_set(&e->node, conf->node)) {
		elect_free(e);
		return NULL;
	}
	e->self->self = true;
	return e;
}

void elect_free(struct elect *e)
{
	if (e == NULL)
		return;
	members_free(&e->members);
	groups_free(&e->groups);
	health_free(&e->health);
	publish_free(e->publish);
	claims_free(&e->old);
	free(e->node);
	free(e);
}

/* -- events -- */

void elect_set_input(struct elect *e, const struct elig_input *in, uint64_t now_ms)
{
	e->in = in;
	set_durations(e);
	publish_refresh(e->publish, in);
	e->groups.resync = e->roll.changed = true;
	e->generation++;
	update_health(e, now_ms);
	for (size_t i = 0; i < e->groups.n; i++)
		e->groups.v[i]->judged = false;
	groups_mark_all(&e->groups);
	e->groups.wake_ms = 0;
}

/* Our own Lease at another resourceVersion: our renewal has come back, or a double's (R29). */
static void own_lease_seen(struct elect *e, const struct cluster_lease *l, uint64_t now_ms)
{
	if (!health_on_watched(&e->health, l->resource_version, now_ms))
		return;
	check_loop(e, now_ms);
	if (member_lacks_claims(e->self))
		publish_on_claims_missing(e->publish, now_ms);
	if (publish_on_renewal(e->publish, l, now_ms))
		groups_mark_all(&e->groups);
}

void elect_on_lease(
	struct elect *e, const struct cluster_lease *lease, bool deleted, uint64_t now_ms)
{
	char name[MEMBER_NAMELEN];
	struct member *m;

	e->told_ms = now_ms;
	if ((lease->role != CLUSTER_LEASE_NODE && lease->role != CLUSTER_LEASE_CLAIMS) ||
		lease->node == NULL || strlen(lease->node) > CONFIG_MAX_NAME)
		return;
	/* One node has one name: an annotation cannot speak for another's Lease. */
	member_object_name(lease->role, lease->node, name);
	if (strcmp(name, lease->name) != 0)
		return;
	update_health(e, now_ms);
	m = members_get(&e->members, lease->node, now_ms);
	if (m == NULL)
		return;
	e->roll.changed = true;
	if (m->self) {
		publish_on_own(e->publish, lease, deleted, now_ms);
		if (!deleted && lease->role == CLUSTER_LEASE_NODE)
			own_lease_seen(e, lease, now_ms);
	}
	if (deleted) {
		member_on_deleted(m, lease->role);
	} else if (lease->role == CLUSTER_LEASE_CLAIMS) {
		claims_seen(e, m, lease);
	} else if (members_on_lease(&e->members, m, lease, now_ms)) {
		elect_member_changed(e, m);
	}
}

/* The first lists are complete: what we claimed before the restart is ours to restore (G7). */
static void first_sync(struct elect *e, uint64_t now_ms)
{
	for (struct member *m = e->members.head; m != NULL; m = m->hh.next)
		m->renewed = false; /* it differed from the picture on disk, that is all (G6) */
	e->synced_once = e->roll.changed = true;
	e->restored = e->joined = false;
	e->join_ms = now_ms + JOIN_MS;
	publish_start(e->publish, now_ms);
	claims_free(&e->old);
	if (claims_copy(&e->self->claims, &e->old) == 0 && e->old.n > 0)
		publish_hold_claims(e->publish, e->join_ms); /* our memory is in there */
}

void elect_on_synced(struct elect *e, bool synced, uint64_t now_ms)
{
	if (synced == e->health.synced)
		return;
	e->health.synced = synced;
	if (synced && !e->synced_once)
		first_sync(e, now_ms);
	update_health(e, now_ms);
	groups_mark_all(&e->groups);
	e->groups.wake_ms = 0;
}

void elect_on_snapshot(struct elect *e, uint64_t now_ms)
{
	if (e->synced_once)
		return;
	claims_free(&e->old);
	e->restored = claims_copy(&e->self->claims, &e->old) == 0;
	e->join_ms = now_ms + JOIN_MS;
	update_health(e, now_ms);
	groups_mark_all(&e->groups);
	e->groups.wake_ms = 0;
}

static bool is_absent(enum elect_peer state)
{
	return state == ELECT_PEER_NEVER || state == ELECT_PEER_SILENT || state == ELECT_PEER_DEAF;
}

void elect_on_peer(struct elect *e, const char *node, unsigned ifindex, enum elect_peer state,
	unsigned loss_permille, uint64_t now_ms)
{
	struct member *m = members_find(&e->members, node);
	struct member_link *l = m != NULL && !m->self ? member_link(m, ifindex) : NULL;
	enum elect_peer was;

	if (l == NULL || l->state == state)
		return;
	was = l->state;
	e->roll.changed = true;
	member_set_link(m, l, state, loss_permille);
	if (is_absent(was) && !is_absent(state) && now_ms >= l->reclaimed_ms) {
		l->reclaimed_ms = now_ms + RECLAIM_PEER_MS;
		inquire_want_reclaim(e, loss_permille > 0, now_ms);
	}
	if (state == ELECT_PEER_LATE && e->in != NULL)
		suspect_begin(&l->inquiry.suspicion, l->loss, elect_inquiry_gap_ms(e), now_ms);
	else if (state != ELECT_PEER_SILENT)
		l->inquiry = (struct inquiry){0};
	if (state != ELECT_PEER_NEVER)
		m->cold = (struct inquiry){0};
	if (state == ELECT_PEER_LATE || (was == ELECT_PEER_LATE && state == ELECT_PEER_UP))
		e->groups.wake_ms = 0; /* a single packet: nobody's rank is another for it */
	else
		elect_member_changed(e, m);
}

/* Is it on its way?  Whom BFD hears, on whatever link, and who does not say so by BFD is not, though a
 * Lease that this node saw last may say so. */
static bool is_going(const struct member *m)
{
	return member_is_leaving(m) && !member_is_heard(m);
}

/* R16: a member asks for what we wait for.  Who goes asks whether it was relieved (R27). */
static void on_member_probe(struct elect *e, struct group *g, const struct member *m)
{
	if (g->state != ELECT_WAIT && (g->state != ELECT_PROBE || g->ground == GROUND_FENCE))
		return;
	if (elect_vip_of(e, g) == NULL || g->elig == NULL || is_going(m) ||
		!ground_comes_before(e, g, m))
		return;
	g->outranked = true;
	groups_mark(&e->groups, g);
}

/* Its word against ours (R18). */
static void begin_dispute(struct elect *e, struct group *g, struct member *m,
	enum elect_wire what, const uint8_t mac[6], uint64_t now_ms)
{
	if (g->dispute == NULL)
		g->dispute = calloc(1, sizeof *g->dispute);
	if (g->dispute == NULL)
		return; /* out of memory: the next claim is as good */
	dispute_on_claim(g->dispute, m, mac, now_ms);
	if (what == ELECT_WIRE_ANSWER)
		dispute_confirm(g->dispute, now_ms);
	groups_mark(&e->groups, g);
}

/* Is it known that m has the group, and is nobody waiting for a word of it?  Bursts and answers come
 * by the thousand. */
static bool is_old_news(const struct group *g, const struct member *m)
{
	return (g->state == ELECT_WATCH || g->state == ELECT_IDLE) && g->owner == m &&
	       g->wire_owner == m && !g->asked && !g->orphan;
}

/* A member speaks for the group: it owns it, unless the Leases say that it goes. */
static void on_member_claim(struct elect *e, struct group *g, struct member *m,
	enum elect_wire what, const uint8_t mac[6], uint64_t now_ms)
{
	const struct member *w = g->wire_owner;
	bool answers = g->misses == 0; /* its owner, as far as it was asked */
	bool old_news = is_old_news(g, m);

	inquire_answered(e, m, g, now_ms);
	inquire_end_audit(g);
	/* The word of one who goes or is gone does not replace that of a living one who answers:
	 * both do while a successor relieves a node that is cut from the API. */
	if ((m->expired || is_going(m)) && w != NULL && w != m && !w->expired &&
		!is_going(w) && ground_peer_on(w, g) != ELECT_PEER_SILENT && answers &&
		now_ms - g->wire_ms < member_lease_ms(w, e->lease_ms))
		return;
	if (g->disowned == m)
		g->disowned = NULL;
	g->wire_owner = m;
	g->wire_ms = now_ms;
	memcpy(g->wire_mac, mac, sizeof g->wire_mac);
	if (!old_news)
		groups_mark(&e->groups, g);
	if (g->state == ELECT_OWNER && !is_going(m))
		begin_dispute(e, g, m, what, mac, now_ms);
}

/* A host that is no member.  An OWNER in service is not moved by it (R26, arp.c defends); a free
 * group is not taken from it. */
static void on_foreign(struct elect *e, struct group *g, enum elect_wire what, uint64_t now_ms)
{
	switch (g->state) {
	case ELECT_PROBE:
	case ELECT_CONFLICT:
		break;
	case ELECT_OWNER: /* only the answer to a probe of the first moments */
		if (what == ELECT_WIRE_ANSWER)
			break;
		return;
	case ELECT_IDLE:
	case ELECT_WATCH:
	case ELECT_WAIT:
	case ELECT_HANDOVER:
		return;
	}
	g->foreign_ms = now_ms;
	groups_mark(&e->groups, g);
}

void elect_on_wire(struct elect *e, enum elect_wire what, struct addr vip, const uint8_t mac[6],
	uint64_t now_ms)
{
	struct group *g = group_with(e, vip);
	struct member *m = members_with_mac(&e->members, mac);

	if (g == NULL || m == e->self)
		return;
	switch (what) {
	case ELECT_WIRE_PROBE:
		if (m != NULL)
			on_member_probe(e, g, m);
		return;
	case ELECT_WIRE_CLAIM:
	case ELECT_WIRE_ANSWER:
		if (m != NULL)
			on_member_claim(e, g, m, what, mac, now_ms);
		else
			on_foreign(e, g, what, now_ms);
		return;
	}
}

void elect_fence(struct elect *e, uint64_t now_ms)
{
	hold_down(e, now_ms);
	for (size_t i = 0; i < e->groups.n; i++) {
		struct group *g = e->groups.v[i];

		if (group_is_owned(g)) {
			g->ground = GROUND_FENCE;
			group_start_probe(&e->groups, g, 2, now_ms);
			groups_mark(&e->groups, g);
		} else if (g->state == ELECT_WAIT || g->state == ELECT_PROBE) {
			group_enter(&e->groups, g, ELECT_WATCH, now_ms);
			groups_mark(&e->groups, g);
		}
	}
	update_health(e, now_ms);
}

void elect_drain(struct elect *e, const char *reason, uint64_t until_ms, uint64_t now_ms)
{
	if (!publish_drain(e->publish, reason, now_ms))
		return; /* out of memory: the caller's own time-out ends the wait */
	e->draining = reason != NULL;
	e->drain_until_ms = until_ms;
	inquire_relief(e, now_ms);
	groups_mark_all(&e->groups);
}

bool elect_drained(const struct elect *e, uint64_t now_ms)
{
	return e->draining && (e->groups.n_owned_vips == 0 || now_ms >= e->drain_until_ms);
}

bool elect_is_draining(const struct elect *e)
{
	return e->draining;
}

void elect_freeze(struct elect *e, bool frozen, uint64_t now_ms)
{
	(void)now_ms;
	e->frozen = frozen;
	groups_mark_all(&e->groups);
}

bool elect_is_frozen(const struct elect *e)
{
	return e->frozen;
}

int elect_move(struct elect *e, struct addr vip, const char *node, uint64_t now_ms)
{
	const struct member *m = members_find(&e->members, node);
	struct group *g = group_with(e, vip);
	char text[ADDR_STRLEN + 1 + CONFIG_MAX_NAME + 1], ip[ADDR_STRLEN];

	if (g == NULL)
		return -ENOENT;
	if (g->state != ELECT_OWNER)
		return -EPERM;
	if (m == NULL || m->self || !member_is_alive(m) || member_is_leaving(m))
		return -EHOSTUNREACH;
	if (!e->health.ok)
		return -ENOTCONN;
	if (now_ms < e->move.until_ms)
		return -EBUSY;
	(void)snprintf(text, sizeof text, "%s=%s", addr_format(vip, ip), node);
	if (!publish_set_move(e->publish, text))
		return -ENOMEM;
	e->move = (struct elect_move){g->id, now_ms + SOFT_MS};
	group_enter(&e->groups, g, ELECT_HANDOVER, now_ms);
	g->due_ms = e->move.until_ms;
	groups_mark(&e->groups, g);
	publish_claims_changed(e->publish);
	return 0;
}

void elect_release(struct elect *e, uint64_t now_ms)
{
	if (publish_is_releasing(e->publish))
		return;
	publish_release(e->publish, now_ms);
	for (size_t i = 0; i < e->groups.n; i++)
		if (group_is_owned(e->groups.v[i]))
			give_up(e, e->groups.v[i], now_ms);
	claims_free(&e->old);
	groups_mark_all(&e->groups);
}

bool elect_released(const struct elect *e)
{
	return publish_is_released(e->publish);
}

/* -- the pass -- */

/* The join time is over: what was ours before and was not restored is no longer claimed. */
static void end_join(struct elect *e, uint64_t now_ms)
{
	if (e->joined || now_ms < e->join_ms)
		return;
	e->joined = e->roll.changed = true;
	publish_claims_changed(e->publish);
	if (!e->restored) /* without the API what was ours stays so until it says otherwise */
		claims_free(&e->old);
	publish_hold_claims(e->publish, 0);
	groups_mark_all(&e->groups);
}

/* R27: failback and rebalance. */
static void offer_home(struct elect *e, uint64_t now_ms)
{
	struct homing_offer o;

	if (homing_choose(e, now_ms, &o))
		o.to->offered = elect_move(e, o.group->addrs[0], o.to->node, now_ms) == 0;
}

/* When something will have to be looked at again, if nothing happens. */
static uint64_t next_wake(const struct elect *e)
{
	uint64_t at = e->groups.resync || e->roll.changed ? 0 : TIME_NEVER;

	at = time_min(at, groups_due(&e->groups));
	at = time_min(at, time_min(e->roll.next_ms, inquire_next(e)));
	at = time_min(at, homing_next(e));
	if (e->health.ok)
		at = time_min(at, health_ends(&e->health));
	if (!e->joined)
		at = time_min(at, e->join_ms);
	return time_min(at, publish_double_ends(e->publish));
}

/* Steps the marked and the due ones, so many in a turn: those of a big node that dies send more frames
 * than go out in the time in which the loop must not stop (R24).  The others come first in the next. */
static bool step_groups(struct elect *e, uint64_t now_ms)
{
	struct group *v[STEPS_MAX];
	size_t n;

	groups_mark_due(&e->groups, now_ms);
	n = groups_take_marked(&e->groups, v, STEPS_MAX);
	for (size_t i = 0; i < n; i++) {
		step(e, v[i], now_ms);
		groups_rest(&e->groups, v[i]);
	}
	return e->groups.n_marked == 0;
}

void elect_pass(struct elect *e, uint64_t now_ms)
{
	if (e->in == NULL)
		return;
	update_health(e, now_ms);
	if (publish_forget_double(e->publish, now_ms))
		groups_mark_all(&e->groups);
	end_join(e, now_ms);
	if (elect_roll_is_due(e, now_ms)) {
		expire_members(e, now_ms);
		set_durations(e);
	}
	e->roll.changed |= e->groups.resync || vip_dirty_count(e->in->vips) > 0;
	if (groups_take(&e->groups, e->in->vips, now_ms))
		publish_claims_changed(e->publish);
	inquire_step(e, now_ms);
	offer_home(e, now_ms);
	e->groups.wake_ms = step_groups(e, now_ms) ? next_wake(e) : 0;
}

size_t elect_dirty_count(const struct elect *e)
{
	return e->groups.n_dirty;
}

uint64_t elect_dirty_at(const struct elect *e, size_t i)
{
	REQUIRE(i < e->groups.n_dirty);
	return e->groups.dirty[i];
}

void elect_clean(struct elect *e)
{
	e->groups.n_dirty = 0;
}

uint64_t elect_next_write(const struct elect *e)
{
	uint64_t look_ms = e->look.rival != NULL && !e->look.in_flight ? e->look.next_ms : TIME_NEVER;

	return time_min(look_ms, publish_next_deadline(e->publish));
}

uint64_t elect_next_deadline(const struct elect *e)
{
	return time_min(elect_next_write(e), e->groups.wake_ms);
}

/* -- reading -- */

static const char *ground_name(enum ground g)
{
	switch (g) {
	case GROUND_NONE:
		return NULL;
	case GROUND_FREE:
		return "free";
	case GROUND_OFFERED:
		return "offered";
	case GROUND_EXPIRED:
		return "leaseExpired";
	case GROUND_OWN:
		return "ownBefore";
	case GROUND_FENCE:
		return "fenced";
	case GROUND_SILENT:
		return "ownerSilent";
	case GROUND_ORPHAN:
		return "ownerMute";
	case GROUND_COLD:
		return "ownerNeverSeen";
	}
	return NULL;
}

bool elect_view(const struct elect *e, uint64_t group, struct elect_view *ret_v)
{
	static const struct elig unknown = {.reason = REASON_NOT_SYNCED};
	const struct group *g = groups_find(&e->groups, group);

	if (g == NULL)
		return false;
	*ret_v = (struct elect_view){
		.state = g->state,
		.since_ms = g->since_ms,
		.term = group_is_owned(g) ? g->term : 0,
		.owner = group_is_owned(g)  ? e->node
			 : g->owner != NULL ? g->owner->node
					    : NULL,
		.elig = g->elig != NULL ? g->elig : &unknown,
		.addrs = g->addrs,
		.why = group_is_owned(g) ? ground_name(g->ground) : NULL,
		.weak = g->weak,
		.disputed = g->dispute != NULL,
		.wire_mac = group_has_mac(g) ? g->wire_mac : NULL,
		.wire_ms = g->wire_ms,
		.owner_ms = g->owner_ms,
		.owner_claims = g->owner != NULL && claims_find(&g->owner->claims, g->addrs[0]) != NULL,
		.owner_spoke = g->owner != NULL && g->wire_owner == g->owner,
	};
	return true;
}

bool elect_watch_lags(const struct elect *e, uint64_t now_ms)
{
	return health_lags(&e->health, now_ms);
}

bool elect_is_healthy(const struct elect *e, uint64_t now_ms)
{
	return now_ms < health_ends(&e->health);
}

bool elect_is_impersonated(const struct elect *e)
{
	return publish_is_impersonated(e->publish);
}

size_t elect_owned_count(const struct elect *e)
{
	return e->groups.n_owned_vips;
}

size_t elect_member_count(const struct elect *e)
{
	return HASH_CNT(hh, e->members.head);
}

void elect_member_at(const struct elect *e, size_t i, uint64_t now_ms, struct elect_member *ret_m)
{
	const struct member *m = e->members.head;

	(void)now_ms;
	while (i-- > 0 && m != NULL)
		m = m->hh.next;
	REQUIRE(m != NULL);
	*ret_m = (struct elect_member){
		.node = m->node,
		.holder = m->text[TEXT_HOLDER],
		.addresses = m->text[TEXT_ADDRESSES],
		.macs = m->text[TEXT_MACS],
		.subnets = m->text[TEXT_SUBNETS],
		.version = m->text[TEXT_VERSION],
		.config_hash = m->text[TEXT_CONFIG_HASH],
		.draining = m->text[TEXT_DRAINING],
		.schema = m->text[TEXT_SCHEMA],
		.liveness = !m->self && member_is_released(m) ? ELECT_RELEASED
			    : m->expired                      ? ELECT_EXPIRED
							      : ELECT_ALIVE,
		.peer = m->peer,
		.observed_ms = m->observed_ms,
		.n_claims = claims_size(&m->claims),
		.unread = m->unread,
		.self = m->self,
	};
}

enum elect_claim elect_claim(const struct elect *e, struct addr a)
{
	enum elect_claim found = ELECT_CLAIM_NONE;

	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		bool claims = claims_find(&m->claims, a) != NULL;

		if (claims && member_is_alive(m))
			return ELECT_CLAIM_ALIVE;
		if (claims || m->unread)
			found = ELECT_CLAIM_STALE;
	}
	return found;
}
