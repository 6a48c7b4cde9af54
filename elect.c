/* SPDX-License-Identifier: Apache-2.0
 *
 * elect.c - who owns each VIP group: its state machine, step by step, and the events that move it.
 *
 * Owns: which member has which group, and every group's state.  Its parts: member.c (what Leases
 *       said), health.c (whether that can be trusted), group.c (the table of groups), publish.c
 *       (this node's own Leases). No socket, no clock.
 * In:   Leases by the watch, VIP groups by the vip table, frames that ARP heard, answers to writes.
 * Out:  each group's state (plan.c reads it), probes and claims through elect_ops, Lease writes
 *       (pulled).
 *
 * Events only update facts and mark groups; elect_pass() steps the marked and the due ones, so a
 * missed or repeated event wedges nothing.  Groups rest in WATCH or OWNER without a timer: they are
 * looked at again when a claim on them, a member's liveness or the input changes.
 *
 * Source: shared/OWNERSHIP.md.  Built: R3, R5, R7's inputs, R9 G1 G2 G3 G7, R11, R13-R17, R19's
 * half that reads claims, R24, R26, R27, R29.  Until BFD is there every peer is NEVER, so only
 * Leases tell that a node is dead, and a rank-0 node that lives by its Lease counts as UP in R13.
 * Beyond its text: G1 to G3 want health (R5), because a frozen watch shows old claims.  R13's two
 * seconds are not left to a node that is seen to have its share (R14).  G2
 * by Leases wants the claim itself offered.  Two that took at once settle it on the wire by hash,
 * in the first two seconds only. Not done: BFD's rules (G4 to G6, R2, R6, R8 witness, R12 vetoes,
 * R20 to R23), R4 (picture on disk), R14's hold-down, R18 (confirming a claim by unicast), R25,
 * R27's failback and rebalance.
 */
#include "elect.h"

#include "claims.h"
#include "group.h"
#include "health.h"
#include "member.h"
#include "publish.h"
#include "text.h"

#include <errno.h>
#include <string.h>

enum {
	SLOT_MIN_MS = 10,
	JOIN_MS = 3000,           /* after the first sync, before anything not ours is taken */
	RANK0_GRACE_MS = 2000,    /* R13: the best node takes a free group undisturbed */
	PROBE_MS = 10,            /* R15 */
	LATE_PROBES = 2,          /* R15: more after service began, for neighbours slow to answer */
	LATE_PROBE_MS = 100,      /* R15 */
	OVER_SHARE_SLOTS = 4,     /* R14, at most */
	BACK_OFF_SLOTS = 4,       /* R16 */
	CONFLICT_MS = 10 * 1000,  /* R26: asked again */
	CONFLICT_QUIET_MS = 1000, /* this long without an answer: free */
	COLD_GAP_MS = 1700,       /* R10: three rounds in coldHold, 5 s */
	VETO_MAX_MS = 40 * 1000,  /* R12 */
	WITNESS_MS = 1000,        /* how often one is looked for after the first second */
	WEAK_MS = 5000,           /* R8: with a witness for so long it is weak no more */
	ASK_MS = 150,             /* R22: for an answer of the owner */
	ASKS_UNICAST = 3,         /* then as many by broadcast (R10) */
	ASKS = 6,
	VERIFY_MS = 200,          /* R22: after a yield */
	AUDIT_MS = 10 * 1000,     /* R22: each VIP of an owner so often, if it can be */
	AUDIT_GAP_MS = 100,
	AUDIT_SCAN = 256,         /* groups looked at in a step */
	RECLAIM_GAP_MS = 100,     /* R23 */
	RECLAIM_MAX = 1000,       /* groups in that time */
	RECLAIM_PEER_MS = 5000,   /* for one peer */
	HOLD_EVENTS = 3,          /* R14: from this one on it doubles */
	HOLD_FORGET_MS = 600 * 1000,
	HOLD_MAX_MS = 300 * 1000,
	RECLAIM_MS = 10 * 1000,   /* while a peer that should be there is not heard */
	SOFT_MS = 30 * 1000,      /* R27 */
	SOFT_ENDPOINT_MS = 2000,  /* R27 */
	SCALE_MEMBERS = 32,       /* above, renewals become rarer (F36) */
	CLAIMS_ROOM = 2 * CLUSTER_MAX_CLAIMS, /* the printer cuts at the limit, not the buffer */
	MAX_STEPS = 8, /* of one group in one pass; the longest way is IDLE..OWNER */
};

struct elect {
	char *node;                  /* owned */
	const struct elect_ops *ops; /* borrowed, as is ctx */
	void *ctx;
	struct counters *counters;

	const struct elig_input *in; /* borrowed; NULL until the first elect_set_input() */
	uint64_t renew_ms, lease_ms; /* scaled by F36 */
	struct members members;
	struct member *self;
	uint64_t generation; /* one more when any rank may have changed */
	struct groups groups;
	struct health health;
	struct publish *publish; /* owned */

	/* R22, R23: where the next step begins in the table of groups, and when */
	struct round {
		size_t at;
		uint64_t due_ms; /* TIME_NEVER = none is under way */
	} audit, reclaim;
	uint64_t reclaim_again_ms;
	struct hold_down {
		uint64_t until_ms, event_ms, span_ms;
		unsigned events;
	} hold; /* R14 */

	bool synced_once, joined;
	uint64_t join_ms;  /* first sync + JOIN_MS */
	struct claims old; /* ours from before the restart (G7), until join_ms */

	bool draining;
	uint64_t drain_until_ms;
};

/* -- small things -- */

static const struct vip_group *vip_of(const struct elect *e, const struct group *g)
{
	return vip_group(e->in->vips, g->id);
}

static uint64_t slot_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / 2;

	return ms > SLOT_MIN_MS ? ms : SLOT_MIN_MS;
}

static uint64_t probe_gap_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / 3;

	return ms > 0 ? ms : 1;
}

/* R14: a fault of our own: last in rank for a while, longer when it comes again and again. */
static void hold_down(struct elect *e, uint64_t now_ms)
{
	struct hold_down *h = &e->hold;
	uint64_t span_ms = e->in != NULL ? e->in->conf->elections.hold_down_ms : 0;

	if (h->events > 0 && now_ms - h->event_ms >= HOLD_FORGET_MS)
		*h = (struct hold_down){0};
	h->event_ms = now_ms;
	h->events++;
	h->span_ms = h->events < HOLD_EVENTS || h->span_ms == 0
			     ? span_ms
			     : time_min(2 * h->span_ms, HOLD_MAX_MS);
	h->until_ms = now_ms + h->span_ms;
}

/* Ranks may have changed. */
static void members_changed(struct elect *e)
{
	e->generation++;
	groups_mark_all(&e->groups);
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

/* Marks the groups on which m's claims differ: those of a that b has not. */
static void mark_difference(struct elect *e, struct member *m, const struct claims *a,
	const struct claims *b, bool withdrawn)
{
	for (size_t i = 0; i < a->n; i++) {
		struct addr at = a->v[i].range.first;

		if (claims_has(b, &a->v[i]))
			continue;
		for (;; at = addr_next(at)) { /* VIP_MAX addresses at most, by the parser */
			struct group *g = group_with(e, at);

			if (g != NULL) {
				/* A later word replaces what was heard on the wire before. */
				if ((g->wire_owner == m) == withdrawn && claims_find(b, at) == NULL)
					g->wire_owner = NULL;
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
	mark_difference(e, m, &old, &m->claims, true);
	mark_difference(e, m, &m->claims, &old, false);
	claims_free(&old);
}

static void forget_member(struct elect *e, struct member *m)
{
	for (size_t i = 0; i < e->groups.n; i++) {
		struct group *g = e->groups.v[i];

		if (g->wire_owner == m)
			g->wire_owner = NULL;
		if (g->owner == m)
			group_set_owner(g, NULL);
		if (g->dispute != NULL && g->dispute->rival == m)
			group_end_dispute(g);
	}
	e->ops->forgot(e->ctx, m->node);
	members_forget(&e->members, m);
}

/* When its Lease will have been unchanged long enough, if I stay healthy (R5). */
static uint64_t expires_at(const struct elect *e, const struct member *m)
{
	return e->health.ok ? member_expires_at(m, e->lease_ms, e->health.since_ms) : TIME_NEVER;
}

/* Leases that were unchanged for long enough expire; deleted ones are forgotten then. */
static void expire_members(struct elect *e, uint64_t now_ms)
{
	struct member *m, *next;
	bool any = false;

	for (m = e->members.head; m != NULL; m = next) {
		next = m->hh.next;
		if (now_ms >= expires_at(e, m)) {
			m->expired = true;
			any = true;
		}
		if (member_is_forgettable(m)) {
			forget_member(e, m);
			any = true;
		}
	}
	if (any)
		members_changed(e);
}

/* -- health (R5) -- */

static void update_health(struct elect *e, uint64_t now_ms)
{
	if (health_update(&e->health, now_ms))
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
static void judge(struct elect *e, struct group *g)
{
	struct elig verdict;

	g->judged = true;
	elig_judge_self(e->in, vip_of(e, g), &verdict);
	if (g->elig != NULL && elig_equal(g->elig, &verdict))
		return;
	if (!group_set_verdict(&e->groups, g, &verdict)) {
		g->judged = false;
		return;
	}
	g->rank_generation = 0;
	g->changed = true;
}

static bool is_eligible(const struct group *g)
{
	return g->elig != NULL && g->elig->reason == REASON_OWNER;
}

static bool may_own(const struct elect *e, const struct group *g)
{
	return is_eligible(g) && !e->draining && publish_may_speak(e->publish);
}

/* -- what BFD says of a group's owner -- */

static bool carries(const struct group *g, unsigned ifindex)
{
	for (size_t i = 0; g->elig != NULL && i < g->elig->n_paths; i++)
		if (g->elig->paths[i].ifindex == ifindex)
			return true;
	return false;
}

/* Of m where g's VIPs are: heard on one of those links is heard. */
static enum elect_peer peer_on(const struct member *m, const struct group *g)
{
	enum elect_peer best = ELECT_PEER_NEVER;

	for (size_t i = 0; i < m->n_links; i++)
		if (member_liveness(m->links[i].state) > member_liveness(best) &&
			carries(g, m->links[i].ifindex))
			best = m->links[i].state;
	return best;
}

static bool is_heard_on(const struct member *m, const struct group *g)
{
	enum elect_peer p = peer_on(m, g);

	return p == ELECT_PEER_UP || p == ELECT_PEER_LATE;
}

/* What the inquiries about m have come to where g's VIPs are: the least certain counts. */
static enum member_fate fate_on(const struct member *m, const struct group *g)
{
	enum member_fate fate = FATE_UNKNOWN;

	for (size_t i = 0; i < m->n_links; i++) {
		const struct member_link *l = &m->links[i];

		if (l->state != ELECT_PEER_SILENT || !carries(g, l->ifindex))
			continue;
		if (l->inquiry.fate != FATE_DEAD)
			return l->inquiry.fate;
		fate = FATE_DEAD;
	}
	return fate;
}

/* What the others say of one group. */
struct survey {
	struct member *holder;            /* lives, and has it; the strongest of them */
	const struct claim *holder_claim; /* NULL: heard on the wire alone */
	struct member *leaving, *expired; /* has it, and goes, or is gone */
	uint64_t leaving_term, expired_term;
	uint64_t known_term; /* the highest of all */
	bool unpublished;    /* somebody was heard on the wire whose term is not known yet */
};

/* Is claim a of node x stronger than claim b of node y (R19)?  NULL: no published claim. */
static bool claim_beats(
	const struct claim *a, const char *x, const struct claim *b, const char *y, struct addr key)
{
	bool weak_a = a == NULL || (a->flags & CLAIM_WEAK) != 0;
	bool weak_b = b == NULL || (b->flags & CLAIM_WEAK) != 0;

	if (weak_a != weak_b)
		return weak_b;
	if (a != NULL && b != NULL && a->term != b->term)
		return a->term > b->term;
	return member_before(x, y, key);
}

/* G2: may m, whose published claim c is (NULL: it was only heard), be relieved?  Its Lease alone
 * does not say so of a claim that stands: one forged object moves no VIP. */
static bool is_offered(const struct member *m, const struct claim *c)
{
	if (m->peer == ELECT_PEER_LEAVING) /* BFD's word is authenticated */
		return true;
	return c != NULL ? (c->flags & CLAIM_OFFERED) != 0 : member_is_released(m);
}

/* Is m with claim c more likely the one that answers than the holder so far? */
static bool is_likelier(const struct elect *e, const struct group *g, const struct member *m,
	const struct claim *c, const struct survey *s)
{
	bool silent = peer_on(m, g) == ELECT_PEER_SILENT;

	if (s->holder == NULL)
		return true;
	if ((peer_on(s->holder, g) == ELECT_PEER_SILENT) != silent)
		return !silent;
	return claim_beats(c, m->node, s->holder_claim, s->holder->node, vip_of(e, g)->key);
}

static void survey_member(const struct elect *e, const struct group *g, struct member *m,
	uint64_t now_ms, struct survey *s)
{
	const struct claim *c = claims_on(&m->claims, g->addrs, g->n_addrs);
	bool wire = g->wire_owner == m && (now_ms - g->wire_ms < member_lease_ms(m, e->lease_ms) ||
						  is_heard_on(m, g));
	uint64_t term = c != NULL ? c->term : 0;

	if (c == NULL && !wire)
		return;
	if (term > s->known_term)
		s->known_term = term;
	s->unpublished |= c == NULL;
	if (m->expired && (e->health.ok || peer_on(m, g) != ELECT_PEER_SILENT)) {
		if (s->expired == NULL || term > s->expired_term) {
			s->expired = m;
			s->expired_term = term;
		}
	} else if (is_offered(m, c)) {
		if (s->leaving == NULL || term > s->leaving_term) {
			s->leaving = m;
			s->leaving_term = term;
		}
	} else if (is_likelier(e, g, m, c, s)) {
		s->holder = m;
		s->holder_claim = c;
	}
}

static struct survey survey(const struct elect *e, const struct group *g, uint64_t now_ms)
{
	struct survey s = {0};

	for (struct member *m = e->members.head; m != NULL; m = m->hh.next)
		if (!m->self)
			survey_member(e, g, m, now_ms, &s);
	return s;
}

/* R9 G3: when most of the others look dead but are heard, the API is at fault. */
static bool is_expiry_void(const struct elect *e)
{
	size_t others = 0, bad = 0;

	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		others += !m->self && m->has_lease;
		bad += m->expired && member_is_heard(m);
	}
	return bad >= 2 && 2 * bad > others;
}

/* May a group be taken from a member that lives by its Lease and did not offer it (R9, R10)?  That is
 * settled on the wire, without the API. */
static enum ground ground_on(const struct group *g, const struct member *holder)
{
	switch (peer_on(holder, g)) {
	case ELECT_PEER_SILENT:
		return fate_on(holder, g) != FATE_UNKNOWN ? GROUND_SILENT : GROUND_NONE;
	case ELECT_PEER_UP:
	case ELECT_PEER_LATE:
		return g->misses == ASKS ? GROUND_ORPHAN : GROUND_NONE;
	case ELECT_PEER_NEVER:
		return holder->cold.fate != FATE_UNKNOWN ? GROUND_COLD : GROUND_NONE;
	case ELECT_PEER_DEAF:
	case ELECT_PEER_LEAVING:
		break;
	}
	return GROUND_NONE;
}

/* May the group be taken, and why (R9)? */
static enum ground find_ground(const struct elect *e, const struct group *g, const struct survey *s)
{
	const struct claim *old;

	if (s->holder != NULL)
		return ground_on(g, s->holder);
	if (s->leaving != NULL && s->leaving->peer == ELECT_PEER_LEAVING && e->joined)
		return GROUND_OFFERED;
	if (!e->health.synced)
		return GROUND_NONE;
	old = claims_on(&e->old, g->addrs, g->n_addrs);
	if (old != NULL && old->term >= s->leaving_term && old->term >= s->expired_term)
		return GROUND_OWN;
	if (!e->health.ok || !e->joined)
		return GROUND_NONE;
	if (s->leaving != NULL)
		return GROUND_OFFERED;
	if (s->expired != NULL)
		return is_expiry_void(e) ? GROUND_NONE : GROUND_EXPIRED;
	return GROUND_FREE;
}

/* -- rank (R13) -- */

/* Would m come before this node for g, as far as this node can judge? */
static bool comes_before(const struct elect *e, const struct group *g, const struct member *m)
{
	const struct vip_group *v = vip_of(e, g);
	struct elig other;

	elig_judge_other(e->in, v, m->node, m->text[TEXT_SUBNETS], &other);
	if (other.reason != REASON_OWNER)
		return false;
	if (other.weight != g->elig->weight)
		return other.weight > g->elig->weight;
	return member_before(m->node, e->node, v->key);
}

/* G4: those that have no session with the dead do not know of it (R13). */
static bool sees(const struct elect *e, const struct group *g, const struct member *m,
	const struct member *dead)
{
	if (g->ground != GROUND_SILENT || dead == NULL)
		return true;
	for (size_t i = 0; i < g->elig->n_paths; i++)
		if (e->ops->watches(e->ctx, g->elig->paths[i].ifindex, m->node, dead->node))
			return true;
	return false;
}

/* Would m, which lives and stays, take g before this node?  except (may be NULL) is being taken
 * from. */
static bool outranks(const struct elect *e, const struct group *g, const struct member *m,
	const struct member *except)
{
	return !m->self && m != except && member_is_alive(m) && !member_is_leaving(m) &&
	       peer_on(m, g) != ELECT_PEER_SILENT && sees(e, g, m, except) &&
	       comes_before(e, g, m);
}

/* How many members outrank this one. */
static unsigned rank_of(struct elect *e, struct group *g, const struct member *except)
{
	if (g->rank_generation == e->generation)
		return g->rank;
	g->rank = 0;
	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next)
		g->rank += outranks(e, g, m, except);
	g->rank_generation = e->generation;
	return g->rank;
}

/* Is a node that holds so many VIPs over its share (R14)? */
static bool is_over_share(const struct elect *e, size_t n_held)
{
	double share = e->in->conf->elections.max_share;
	size_t members = members_count_alive(&e->members);

	return share > 0 &&
	       (double)n_held >= share * (double)vip_count(e->in->vips) / (double)members + 1;
}

/* How long WAIT lasts (R13, R14), but for the grace. */
static uint64_t wait_ms(
	struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	uint64_t slots;

	if (g->ground == GROUND_OWN)
		return 0;
	slots = rank_of(e, g,
		s->holder != NULL    ? s->holder
		: s->leaving != NULL ? s->leaving
				     : s->expired);
	if (is_over_share(e, e->groups.n_owned_vips) || now_ms < e->hold.until_ms)
		slots += time_min(members_count_alive(&e->members) - 1, OVER_SHARE_SLOTS);
	return slots * slot_ms(e);
}

/* R13: is a better member, which has not its share yet, to be left undisturbed with a free group?
 */
static bool gives_grace(const struct elect *e, const struct group *g)
{
	if (g->ground != GROUND_FREE || g->rank == 0)
		return false;
	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next)
		if (outranks(e, g, m, NULL) && !is_over_share(e, m->n_held))
			return true;
	return false;
}

/* -- states -- */

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
	g->weak = s->holder != NULL && (fate_on(s->holder, g) == FATE_DEAD_UNWITNESSED ||
					       s->holder->cold.fate == FATE_DEAD_UNWITNESSED);
	group_enter(&e->groups, g, ELECT_OWNER, now_ms);
	g->foreign_ms = 0;
	if (g->weak)
		g->due_ms = now_ms + WEAK_MS;
	if (g->ground == GROUND_FREE) {
		g->probes_left = LATE_PROBES;
		g->due_ms = now_ms + LATE_PROBE_MS;
	}
	counter_add(e->counters, COUNTER_VIP_TAKES, g->n_addrs);
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

/* -- does the owner answer (R22)? -- */

static const uint8_t mac_none[6];

static void ask_owner(struct elect *e, struct group *g)
{
	if (g->misses < ASKS_UNICAST && memcmp(g->wire_mac, mac_none, sizeof mac_none) != 0)
		e->ops->ask(e->ctx, vip_of(e, g), g->wire_mac);
	else
		e->ops->probe(e->ctx, vip_of(e, g));
}

/* The first question, after delay_ms. */
static void begin_audit(struct elect *e, struct group *g, uint64_t delay_ms, uint64_t now_ms)
{
	g->asked = true;
	g->misses = 0;
	g->due_ms = now_ms + delay_ms;
	if (delay_ms > 0)
		return;
	ask_owner(e, g);
	g->due_ms = now_ms + ASK_MS;
}

static void end_audit(struct group *g)
{
	g->asked = false;
	g->misses = 0;
}

/* Goes on asking until it answers, or all was silence.  Leaves in due_ms when to come back. */
static void audit(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (g->asked && (s->holder == NULL || !is_heard_on(s->holder, g)))
		end_audit(g);
	if (!g->asked) {
		g->due_ms = TIME_NEVER;
		return;
	}
	if (now_ms < g->due_ms)
		return;
	if (g->misses < ASKS)
		g->misses++;
	if (g->misses == ASKS) {
		g->due_ms = TIME_NEVER;
		return;
	}
	ask_owner(e, g);
	g->due_ms = now_ms + ASK_MS;
}

static void step_watch(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	enum ground ground;

	if (!may_own(e, g)) {
		group_enter(&e->groups, g, ELECT_IDLE, now_ms);
		return;
	}
	audit(e, g, s, now_ms);
	ground = find_ground(e, g, s);
	if (ground == GROUND_NONE) {
		/* A word on the wire holds as long as a Lease would. */
		if (g->wire_owner != NULL &&
			now_ms - g->wire_ms < member_lease_ms(g->wire_owner, e->lease_ms))
			g->due_ms = time_min(g->due_ms,
				g->wire_ms + member_lease_ms(g->wire_owner, e->lease_ms));
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
		g->hold_ms = now_ms + BACK_OFF_SLOTS * slot_ms(e);
		group_enter(&e->groups, g, ELECT_WATCH, now_ms);
		return false;
	}
	ground = find_ground(e, g, s);
	if (ground == GROUND_NONE) {
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

static void step_wait(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!keeps_ground(e, g, s, now_ms))
		return;
	g->due_ms = g->since_ms + wait_ms(e, g, s, now_ms);
	if (now_ms < g->due_ms)
		return;
	/* Looked at again each slot: what a better member is heard to hold may end its grace. */
	if (now_ms < g->due_ms + RANK0_GRACE_MS && gives_grace(e, g))
		g->due_ms = now_ms + slot_ms(e);
	else
		group_start_probe(&e->groups, g, 1, now_ms);
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

/* A member of at least our strength claims what we hold. */
static bool must_yield(const struct elect *e, const struct group *g, const struct survey *s)
{
	const struct claim mine = {.term = g->term, .flags = g->weak ? CLAIM_WEAK : 0};

	if (s->holder == NULL || s->holder_claim == NULL ||
		peer_on(s->holder, g) == ELECT_PEER_SILENT ||
		peer_on(s->holder, g) == ELECT_PEER_DEAF) /* R21 */
		return false;
	return claim_beats(s->holder_claim, s->holder->node, &mine, e->node, vip_of(e, g)->key);
}

static void step_probe(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	bool fence = g->ground == GROUND_FENCE;

	if (fence && (!may_own(e, g) || must_yield(e, g, s) ||
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
		g->due_ms = now_ms + (fence ? probe_gap_ms(e) : PROBE_MS);
		e->ops->probe(e->ctx, vip_of(e, g));
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

static struct dispute_view dispute_view(
	const struct elect *e, const struct group *g, const struct survey *s)
{
	const struct member *rival = g->dispute->rival;
	bool weak = g->weak || g->state == ELECT_HANDOVER;

	return (struct dispute_view){
		.strength = weak		 ? DISPUTE_WEAK
			    : is_published(e, g) ? DISPUTE_PUBLISHED
						 : DISPUTE_WIRE,
		.outranked = member_before(rival->node, e->node, vip_of(e, g)->key),
		.rival_beats = s->holder == rival && must_yield(e, g, s),
		.rival_is_deaf = !is_heard_on(rival, g),
	};
}

/* Returns whether it was given up. */
static bool settle_dispute(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	struct dispute_view v;

	while (g->dispute != NULL) {
		v = dispute_view(e, g, s);
		switch (dispute_step(g->dispute, &v, now_ms)) {
		case DISPUTE_ASK:
			e->ops->ask(e->ctx, vip_of(e, g), g->dispute->mac);
			continue;
		case DISPUTE_DEFEND:
			e->ops->announce(e->ctx, vip_of(e, g));
			continue;
		case DISPUTE_OVER:
			group_end_dispute(g);
			continue;
		case DISPUTE_REST:
			return false;
		case DISPUTE_YIELD:
			hold_down(e, now_ms);
			give_up(e, g, now_ms);
			if (g->state == ELECT_WATCH)
				begin_audit(e, g, VERIFY_MS, now_ms);
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

static void step_owner(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!may_own(e, g)) {
		leave_office(e, g, now_ms);
	} else if (must_yield(e, g, s)) {
		give_up(e, g, now_ms);
	} else if (settle_dispute(e, g, s, now_ms)) {
		return;
	} else if (g->foreign_ms != 0 && g->due_ms != TIME_NEVER && !g->weak) {
		enter_conflict(e, g, now_ms); /* R15: a late answer withdraws a fresh take */
	} else if (now_ms >= g->due_ms) {
		g->due_ms = TIME_NEVER;
		if (g->probes_left > 0) {
			g->probes_left--;
			g->due_ms = now_ms + LATE_PROBE_MS;
			e->ops->probe(e->ctx, vip_of(e, g));
		} else if (g->weak) {
			strengthen(e, g, now_ms);
			g->due_ms = g->weak ? now_ms + WEAK_MS : TIME_NEVER;
		}
	}
}

/* R27: has a successor's claim been seen? */
static bool is_succeeded(const struct group *g, const struct survey *s)
{
	if (s->holder == NULL)
		return false;
	if (g->wire_owner == s->holder && g->wire_ms >= g->since_ms)
		return true;
	return s->holder_claim != NULL && s->holder_claim->term > g->term;
}

static void step_handover(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (may_own(e, g)) {
		group_enter(&e->groups, g, ELECT_OWNER, now_ms);
		publish_claims_changed(e->publish);
	} else if (is_succeeded(g, s) || must_yield(e, g, s) || now_ms >= g->due_ms ||
		   g->elig->n_paths == 0 || !publish_may_speak(e->publish) ||
		   (e->draining && members_count_alive(&e->members) == 1)) {
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
		e->ops->probe(e->ctx, vip_of(e, g));
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

	g->marked = false;
	if (vip_of(e, g) == NULL) {
		e->groups.resync = true; /* the vip table was changed behind our back */
		return;
	}
	if (!g->judged)
		judge(e, g);
	if (g->elig == NULL)
		return;
	s = survey(e, g, now_ms);
	for (unsigned i = 0; i < MAX_STEPS; i++) {
		enum elect_state was = g->state;

		step_state(e, g, &s, now_ms);
		if (g->state == was)
			break;
	}
	owner = s.holder != NULL ? s.holder : s.leaving != NULL ? s.leaving : s.expired;
	if (owner != g->owner) {
		group_set_owner(g, owner);
		g->changed = true;
	}
	if (g->changed)
		groups_note_dirty(&e->groups, g->id);
	g->changed = false;
}

/* -- writes -- */

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

bool elect_next_action(struct elect *e, uint64_t now_ms, struct lease_action *ret_a)
{
	update_health(e, now_ms);
	return publish_next_action(e->publish, now_ms, claims_text, e, ret_a);
}

void elect_done(struct elect *e, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms)
{
	struct publish_renewal r;

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
	e->reclaim.due_ms = e->reclaim_again_ms = TIME_NEVER;
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
	e->groups.resync = true;
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
	if (publish_on_renewal(e->publish, l, now_ms))
		groups_mark_all(&e->groups);
}

void elect_on_lease(
	struct elect *e, const struct cluster_lease *lease, bool deleted, uint64_t now_ms)
{
	char name[MEMBER_NAMELEN];
	struct member *m;

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
	if (m->self) {
		publish_on_own(e->publish, lease, deleted, now_ms);
		if (!deleted && lease->role == CLUSTER_LEASE_NODE)
			own_lease_seen(e, lease, now_ms);
	}
	if (deleted) {
		member_on_deleted(m, lease->role);
	} else if (lease->role == CLUSTER_LEASE_CLAIMS) {
		claims_seen(e, m, lease);
	} else if (member_on_lease(m, lease, now_ms)) {
		members_changed(e);
	}
}

/* The first lists are complete: what we claimed before the restart is ours to restore (G7). */
static void first_sync(struct elect *e, uint64_t now_ms)
{
	e->synced_once = true;
	e->join_ms = now_ms + JOIN_MS;
	publish_start(e->publish, now_ms);
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

static bool is_absent(enum elect_peer state)
{
	return state == ELECT_PEER_NEVER || state == ELECT_PEER_SILENT || state == ELECT_PEER_DEAF;
}

/* R23: all that we own is claimed once more, a part at a time. */
static void begin_reclaim(struct elect *e, uint64_t now_ms)
{
	e->reclaim = (struct round){.due_ms = now_ms};
	e->groups.wake_ms = 0;
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
	member_set_link(m, l, state, loss_permille);
	if (is_absent(was) && !is_absent(state) && now_ms >= l->reclaimed_ms) {
		l->reclaimed_ms = now_ms + RECLAIM_PEER_MS;
		begin_reclaim(e, now_ms);
	}
	if (state == ELECT_PEER_LATE && e->in != NULL)
		suspect_begin(&l->inquiry.suspicion, l->loss, probe_gap_ms(e), now_ms);
	else if (state != ELECT_PEER_SILENT)
		l->inquiry = (struct inquiry){0};
	if (state != ELECT_PEER_NEVER)
		m->cold = (struct inquiry){0};
	if (state == ELECT_PEER_LATE || (was == ELECT_PEER_LATE && state == ELECT_PEER_UP))
		e->groups.wake_ms = 0; /* a single packet: nobody's rank is another for it */
	else
		members_changed(e);
}

void elect_on_link(struct elect *e, uint64_t now_ms)
{
	hold_down(e, now_ms);
}

/* R16: a member asks for what we wait for. */
static void on_member_probe(struct elect *e, struct group *g, const struct member *m)
{
	if (g->state != ELECT_WAIT && (g->state != ELECT_PROBE || g->ground == GROUND_FENCE))
		return;
	if (vip_of(e, g) == NULL || g->elig == NULL || !comes_before(e, g, m))
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
	if (what == ELECT_WIRE_ANSWER || peer_on(m, g) == ELECT_PEER_DEAF)
		dispute_confirm(g->dispute, now_ms);
	groups_mark(&e->groups, g);
}

/* It answers: what was asked about it has its answer (R12). */
static void inquiries_answered(struct member *m, const struct group *g, uint64_t now_ms)
{
	for (size_t i = 0; i < m->n_links; i++)
		if (carries(g, m->links[i].ifindex))
			suspect_on_answer(&m->links[i].inquiry.suspicion, now_ms);
	suspect_on_answer(&m->cold.suspicion, now_ms);
}

/* A member speaks for the group: it owns it, unless the Leases say that it goes. */
static void on_member_claim(struct elect *e, struct group *g, struct member *m,
	enum elect_wire what, const uint8_t mac[6], uint64_t now_ms)
{
	const struct member *w = g->wire_owner;

	inquiries_answered(m, g, now_ms);
	/* The word of one who goes or is gone does not replace a living one's: both answer while a
	 * successor relieves a node that is cut from the API. */
	if ((m->expired || member_is_leaving(m)) && w != NULL && w != m && !w->expired &&
		!member_is_leaving(w) && now_ms - g->wire_ms < member_lease_ms(w, e->lease_ms))
		return;
	g->wire_owner = m;
	g->wire_ms = now_ms;
	memcpy(g->wire_mac, mac, sizeof g->wire_mac);
	end_audit(g);
	groups_mark(&e->groups, g);
	if (g->state == ELECT_OWNER && !m->expired && !member_is_leaving(m))
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
	groups_mark_all(&e->groups);
}

bool elect_drained(const struct elect *e, uint64_t now_ms)
{
	return e->draining && (e->groups.n_owned_vips == 0 || now_ms >= e->drain_until_ms);
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

/* -- inquiries about members (R8, R12) -- */

static void probe_for(struct elect *e, const struct member *m, unsigned ifindex, unsigned sample)
{
	for (size_t i = 0; i < e->groups.n && sample > 0; i++) {
		const struct group *g = e->groups.v[i];
		const struct vip_group *v = vip_of(e, g);

		if (g->owner != m || v == NULL || (ifindex != 0 && !carries(g, ifindex)))
			continue;
		e->ops->probe(e->ctx, v);
		sample--;
	}
}

static void mark_groups_of(struct elect *e, const struct member *m)
{
	for (size_t i = 0; i < e->groups.n; i++)
		if (e->groups.v[i]->owner == m)
			groups_mark(&e->groups, e->groups.v[i]);
}

/* Does somebody else show that our link works?  ifindex 0: one of the links that we listen on. */
static enum member_fate witness(struct elect *e, const struct member *m, const struct inquiry *q,
	unsigned ifindex, uint64_t now_ms)
{
	bool known = e->ops->ask_witness(e->ctx, ifindex, m->node);
	uint64_t since_ms = q->suspicion.began_ms;

	if (q->suspicion.again) /* asked each second: it may have begun just now */
		since_ms = time_min(since_ms, now_ms - WITNESS_MS);
	if (e->ops->witnessed(e->ctx, ifindex, m->node, since_ms))
		return FATE_DEAD;
	return known ? FATE_UNKNOWN : FATE_DEAD_UNWITNESSED;
}

/* ifindex 0: wherever it may be. */
static void step_inquiry(struct elect *e, struct member *m, struct inquiry *q, unsigned ifindex,
	uint64_t now_ms)
{
	uint64_t veto_max_ms = e->health.ok ? TIME_NEVER : VETO_MAX_MS;
	enum member_fate fate = q->fate;
	unsigned sample;

	if (suspect_asks(&q->suspicion, now_ms, &sample)) {
		(void)e->ops->ask_witness(e->ctx, ifindex, m->node);
		probe_for(e, m, ifindex, sample);
	}
	if (suspect_verdict(&q->suspicion, veto_max_ms, now_ms) != SUSPECT_UNANSWERED) {
		fate = FATE_UNKNOWN;
		q->witness_ms = 0;
	} else if (fate != FATE_DEAD && now_ms >= q->witness_ms) {
		bool fresh = now_ms < q->suspicion.due_ms + WITNESS_MS;

		fate = witness(e, m, q, ifindex, now_ms);
		q->witness_ms = now_ms + (fresh ? probe_gap_ms(e) : WITNESS_MS);
	}
	if (fate == q->fate)
		return;
	q->fate = fate;
	mark_groups_of(e, m);
}

/* G6: a Lease that stands still since we came, of a node that nobody hears. */
static void begin_cold(struct elect *e, struct member *m, uint64_t now_ms)
{
	if (e->joined && !m->renewed && !m->self && m->has_lease && !m->expired &&
		m->peer == ELECT_PEER_NEVER && m->n_held > 0)
		suspect_begin(&m->cold.suspicion, 0, COLD_GAP_MS, now_ms);
	else
		m->cold = (struct inquiry){0};
}

static void step_inquiries(struct elect *e, uint64_t now_ms)
{
	for (struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		for (size_t i = 0; i < m->n_links; i++) {
			struct member_link *l = &m->links[i];

			if (l->state == ELECT_PEER_LATE || l->state == ELECT_PEER_SILENT)
				step_inquiry(e, m, &l->inquiry, l->ifindex, now_ms);
		}
		begin_cold(e, m, now_ms);
		if (m->cold.suspicion.began_ms != 0)
			step_inquiry(e, m, &m->cold, 0, now_ms);
	}
}

static uint64_t inquiry_next(const struct inquiry *q, uint64_t now_ms)
{
	uint64_t at = suspect_next(&q->suspicion, now_ms);

	return q->witness_ms != 0 && q->fate != FATE_DEAD ? time_min(at, q->witness_ms) : at;
}

/* -- rounds through all groups (R22, R23) -- */

/* Would this node be the next for g, and is its owner one that can be asked? */
static bool is_auditor(struct elect *e, struct group *g)
{
	return g->state == ELECT_WATCH && !g->asked && g->owner != NULL &&
	       is_heard_on(g->owner, g) && rank_of(e, g, g->owner) == 0;
}

static uint64_t audit_gap_ms(const struct elect *e)
{
	uint64_t ms = AUDIT_MS / (e->groups.n > 0 ? e->groups.n : 1);

	return ms > AUDIT_GAP_MS ? ms : AUDIT_GAP_MS;
}

/* Without BFD nobody is UP, and nobody is asked. */
static bool has_peers(const struct elect *e)
{
	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next)
		if (m->peer == ELECT_PEER_UP)
			return true;
	return false;
}

static void step_audit(struct elect *e, uint64_t now_ms)
{
	struct round *r = &e->audit;
	size_t scan = e->groups.n < AUDIT_SCAN ? e->groups.n : AUDIT_SCAN;

	if (now_ms < r->due_ms)
		return;
	r->due_ms = now_ms + audit_gap_ms(e);
	for (; scan > 0; scan--) {
		struct group *g = e->groups.v[r->at++ % e->groups.n];

		if (vip_of(e, g) == NULL || !is_auditor(e, g))
			continue;
		begin_audit(e, g, 0, now_ms);
		groups_mark(&e->groups, g);
		return;
	}
}

/* Is somebody who should be there not heard, so that it may not hear us either? */
static bool is_one_missing(const struct elect *e)
{
	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next)
		for (size_t i = 0; !m->expired && !member_is_released(m) && i < m->n_links; i++)
			if (m->links[i].state == ELECT_PEER_SILENT ||
				m->links[i].state == ELECT_PEER_DEAF)
				return true;
	return false;
}

static void step_reclaim(struct elect *e, uint64_t now_ms)
{
	struct round *r = &e->reclaim;
	unsigned left = RECLAIM_MAX;

	if (now_ms >= e->reclaim_again_ms) {
		e->reclaim_again_ms = TIME_NEVER;
		begin_reclaim(e, now_ms);
	}
	if (now_ms >= r->due_ms) {
		for (; r->at < e->groups.n && left > 0; r->at++) {
			const struct vip_group *v = vip_of(e, e->groups.v[r->at]);

			if (v == NULL || e->groups.v[r->at]->state != ELECT_OWNER)
				continue;
			e->ops->announce(e->ctx, v);
			left--;
		}
		r->due_ms = r->at < e->groups.n ? now_ms + RECLAIM_GAP_MS : TIME_NEVER;
	}
	if (!is_one_missing(e))
		e->reclaim_again_ms = TIME_NEVER;
	else if (e->reclaim_again_ms == TIME_NEVER)
		e->reclaim_again_ms = now_ms + RECLAIM_MS;
}

/* -- the pass -- */

/* The join time is over: what was ours before and was not restored is no longer claimed. */
static void end_join(struct elect *e, uint64_t now_ms)
{
	if (e->joined || now_ms < e->join_ms)
		return;
	e->joined = true;
	publish_claims_changed(e->publish);
	claims_free(&e->old);
	publish_hold_claims(e->publish, 0);
	groups_mark_all(&e->groups);
}

/* When something will have to be looked at again, if nothing happens. */
static uint64_t next_wake(const struct elect *e, uint64_t now_ms)
{
	uint64_t at = e->groups.resync ? 0 : TIME_NEVER;

	for (size_t i = 0; i < e->groups.n_active; i++)
		at = time_min(at, group_due(e->groups.active[i]));
	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		at = time_min(at, expires_at(e, m));
		at = time_min(at, inquiry_next(&m->cold, now_ms));
		for (size_t i = 0; i < m->n_links; i++)
			at = time_min(at, inquiry_next(&m->links[i].inquiry, now_ms));
	}
	at = time_min(at, time_min(e->reclaim.due_ms, e->reclaim_again_ms));
	if (has_peers(e))
		at = time_min(at, e->audit.due_ms);
	if (e->health.ok)
		at = time_min(at, health_ends(&e->health));
	if (!e->joined)
		at = time_min(at, e->join_ms);
	return time_min(at, publish_double_ends(e->publish));
}

void elect_pass(struct elect *e, uint64_t now_ms)
{
	size_t n = 0;

	if (e->in == NULL)
		return;
	update_health(e, now_ms);
	if (publish_forget_double(e->publish, now_ms))
		groups_mark_all(&e->groups);
	end_join(e, now_ms);
	expire_members(e, now_ms);
	set_durations(e);
	if (groups_take(&e->groups, e->in->vips, now_ms))
		publish_claims_changed(e->publish);
	step_inquiries(e, now_ms);
	step_audit(e, now_ms);
	step_reclaim(e, now_ms);
	for (size_t i = 0; i < e->groups.n_active; i++) {
		struct group *g = e->groups.active[i];

		if (g->marked || group_due(g) <= now_ms)
			step(e, g, now_ms);
		g->active = g->marked || group_due(g) != TIME_NEVER;
		if (g->active)
			e->groups.active[n++] = g;
	}
	e->groups.n_active = n;
	e->groups.wake_ms = next_wake(e, now_ms);
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

uint64_t elect_next_deadline(const struct elect *e)
{
	return time_min(publish_next_deadline(e->publish), e->groups.wake_ms);
}

/* -- reading -- */

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
		.weak = g->weak,
		.disputed = g->dispute != NULL,
		.wire_mac = memcmp(g->wire_mac, mac_none, sizeof mac_none) != 0 ? g->wire_mac
									       : NULL,
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
		.liveness = !m->self && member_is_released(m) ? ELECT_RELEASED
			    : m->expired                      ? ELECT_EXPIRED
							      : ELECT_ALIVE,
		.peer = m->peer,
		.observed_ms = m->observed_ms,
		.n_claims = claims_size(&m->claims),
		.self = m->self,
	};
}

enum elect_claim elect_claim(const struct elect *e, struct addr a)
{
	enum elect_claim found = ELECT_CLAIM_NONE;

	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		if (claims_find(&m->claims, a) == NULL)
			continue;
		if (member_is_alive(m))
			return ELECT_CLAIM_ALIVE;
		found = ELECT_CLAIM_STALE;
	}
	return found;
}
