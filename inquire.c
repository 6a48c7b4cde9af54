/* SPDX-License-Identifier: Apache-2.0
 *
 * inquire.c - what this node asks the wire about others, and says again of its own.
 *
 * In:   members that BFD misses, answers.  Out: probes and claims through elect_ops, fates of
 *       members, misses of groups; groups to step.
 *
 * Source: shared/OWNERSHIP.md R8, R10 (G5, G6), R12, R22, R23, R27.
 */
#include "inquire.h"

enum {
	COLD_GAP_MS = 1000, /* R10: five rounds in coldHold, 5 s */
	VETO_MAX_MS = 40 * 1000, /* R12 */
	WITNESS_MS = 1000,  /* how often one is looked for after the first second */
	FATE_MS = 2000,     /* so long what was found of a node is good for a take */
	ASK_MS = 150,       /* R22: for an answer of the owner */
	VERIFY_MS = 100,    /* R22: after a yield */
	VERIFY_ASK_MS = 50,
	ASKS_MIN = 6,       /* R10: three by unicast, three by broadcast */
	AUDIT_MS = 10 * 1000, /* R22: each VIP of an owner so often, if it can be */
	AUDIT_GAP_MS = 100,
	AUDIT_SCAN = 256,     /* groups looked at in a step */
	RECLAIM_GAP_MS = 100, /* R23 */
	RECLAIM_MAX = 1000,   /* groups in that time */
	RECLAIM_ROUND_MS = 250, /* from one round to the next: many peers may come at one time */
	RECLAIM_MS = 10 * 1000, /* while a peer that should be there is not heard */
	RECLAIM_LOSSY_MS = 1000, /* where frames are lost */
	RECLAIM_LOSSY_FOR_MS = 10 * 1000, /* as long as the loss counts (R12) */
	RELIEF_MS = 1000,   /* R27: from one round to the next */
	RELIEF_GAP_MS = 100,
	RELIEF_MAX = 8,     /* groups in that time */
};

/* -- inquiries about members (R8, R12) -- */

static void probe_for(struct elect *e, const struct member *m, unsigned ifindex, unsigned sample)
{
	for (size_t i = 0; i < e->groups.n && sample > 0; i++) {
		const struct group *g = e->groups.v[i];

		if (g->owner != m || elect_vip_of(e, g) == NULL ||
			(ifindex != 0 && !ground_carries(g, ifindex)))
			continue;
		e->ops->probe(e->ctx, elect_vip_of(e, g));
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
	if (suspect_asks(&q->second, now_ms, &sample))
		probe_for(e, m, ifindex, sample);
	if (suspect_verdict(&q->suspicion, veto_max_ms, now_ms) != SUSPECT_UNANSWERED) {
		fate = FATE_UNKNOWN;
		q->witness_ms = 0;
	} else if (fate != FATE_DEAD && now_ms >= q->witness_ms) {
		bool fresh = now_ms < q->suspicion.due_ms + WITNESS_MS;

		fate = witness(e, m, q, ifindex, now_ms);
		q->witness_ms = now_ms + (fresh ? elect_probe_gap_ms(e) : WITNESS_MS);
	}
	if (fate == q->fate)
		return;
	q->fate = fate;
	q->fate_ms = now_ms;
	mark_groups_of(e, m);
}

/* In a large cluster a node is asked for by those who would hear it by BFD: all others, each for all
 * others, are 40,000 probes a second in a cluster of 200 that starts. */
static bool is_left_to_peers(const struct elect *e, const struct member *m)
{
	const struct config_elections *c = &e->in->conf->elections;

	return c->bfd_interval_ms > 0 && m->n_links == 0 &&
	       HASH_CNT(hh, e->members.head) > c->bfd_mesh_limit;
}

/* G6: a Lease that stands still since we came, of a node that nobody hears. */
static void begin_cold(struct elect *e, struct member *m, uint64_t now_ms)
{
	if (e->joined && !m->renewed && !m->self && m->has_lease && !m->expired &&
		m->peer == ELECT_PEER_NEVER && !is_left_to_peers(e, m) &&
		(m->n_held > 0 || m->cold.fate != FATE_UNKNOWN)) /* others may have taken them */
		suspect_begin(&m->cold.suspicion, 0, COLD_GAP_MS, now_ms);
	else
		m->cold = (struct inquiry){0};
}

/* Was something heard just now, of m too, or has it answered for what it has, so that a link works?  That
 * BFD holds m for heard says less: it may wait for a first word since a drain (R7). */
static bool hears_somebody(const struct elect *e, const struct member *m, uint64_t now_ms)
{
	bool any = e->ops->witnessed(e->ctx, 0, "", now_ms - WITNESS_MS);

	for (size_t i = 0; i < m->n_links; i++)
		any |= m->links[i].inquiry.suspicion.vetoed_ms != 0;
	return any;
}

/* G3 takes no veto, but a witness: a node that is cut off would take what a living one has. */
static void step_lapse(struct elect *e, struct member *m, uint64_t now_ms)
{
	struct lapse *l = &m->lapse;
	enum member_fate was = l->fate;
	bool first = l->witness_ms == 0;

	if (!m->expired || m->self) {
		*l = (struct lapse){0};
		return;
	}
	if (was == FATE_DEAD || now_ms < l->witness_ms)
		return;
	if (hears_somebody(e, m, now_ms))
		l->fate = FATE_DEAD;
	else
		l->fate = e->ops->ask_witness(e->ctx, 0, m->node) ? FATE_UNKNOWN
								  : FATE_DEAD_UNWITNESSED;
	l->witness_ms = now_ms + (first ? elect_probe_gap_ms(e) : WITNESS_MS);
	if (l->fate == was)
		return;
	l->fate_ms = now_ms;
	mark_groups_of(e, m);
}

static void step_inquiries(struct elect *e, uint64_t now_ms)
{
	for (struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		for (size_t i = 0; i < m->n_links; i++) {
			struct member_link *l = &m->links[i];

			if (l->state == ELECT_PEER_LATE || l->state == ELECT_PEER_SILENT)
				step_inquiry(e, m, &l->inquiry, l->ifindex, now_ms);
		}
		step_lapse(e, m, now_ms);
		begin_cold(e, m, now_ms);
		if (m->cold.suspicion.began_ms != 0)
			step_inquiry(e, m, &m->cold, 0, now_ms);
	}
}

static uint64_t inquiry_next(const struct elect *e, const struct inquiry *q, uint64_t now_ms)
{
	uint64_t at = time_min(suspect_next(&q->suspicion, now_ms), suspect_next(&q->second, now_ms));
	uint64_t veto_ms = q->suspicion.vetoed_ms;

	if (veto_ms != 0 && !e->health.ok && now_ms < veto_ms + VETO_MAX_MS)
		at = time_min(at, veto_ms + VETO_MAX_MS);
	return q->witness_ms != 0 && q->fate != FATE_DEAD ? time_min(at, q->witness_ms) : at;
}

bool inquire_anew(struct elect *e, const struct group *g, const struct survey *s, enum ground ground,
	uint64_t now_ms)
{
	bool old = false;

	if (ground == GROUND_EXPIRED && now_ms - s->expired->lapse.fate_ms >= FATE_MS) {
		s->expired->lapse = (struct lapse){0};
		old = e->roll.changed = true;
	}
	for (size_t i = 0; ground == GROUND_SILENT && i < s->holder->n_links; i++) {
		struct member_link *l = &s->holder->links[i];

		if (l->state != ELECT_PEER_SILENT || l->inquiry.fate == FATE_UNKNOWN ||
			!ground_carries(g, l->ifindex) || now_ms - l->inquiry.fate_ms < FATE_MS)
			continue;
		l->inquiry = (struct inquiry){0};
		suspect_begin(
			&l->inquiry.suspicion, l->loss, elect_inquiry_gap_ms(e), now_ms);
		old = e->roll.changed = true;
	}
	return old;
}

uint64_t inquire_twice(
	struct elect *e, const struct group *g, const struct survey *s, uint64_t now_ms)
{
	uint64_t ends_ms = 0;

	for (size_t i = 0; i < s->holder->n_links; i++) {
		struct member_link *l = &s->holder->links[i];
		struct suspicion *second = &l->inquiry.second;

		if (l->state != ELECT_PEER_SILENT || !ground_carries(g, l->ifindex))
			continue;
		e->roll.changed |= second->began_ms == 0;
		suspect_begin(second, l->loss, (elect_inquiry_gap_ms(e) + 1) / 2, now_ms);
		ends_ms = time_max(ends_ms, suspect_ends(second));
	}
	return ends_ms;
}

static bool on_answer(struct inquiry *q, uint64_t now_ms)
{
	suspect_end(&q->second);
	return suspect_on_answer(&q->suspicion, now_ms);
}

/* It answers: what was asked about it has its answer (R12). */
void inquire_answered(
	struct elect *e, struct member *m, const struct group *g, uint64_t now_ms)
{
	for (size_t i = 0; i < m->n_links; i++)
		if (ground_carries(g, m->links[i].ifindex))
			e->roll.changed |= on_answer(&m->links[i].inquiry, now_ms);
	e->roll.changed |= on_answer(&m->cold, now_ms);
}

/* -- does an owner answer (R22)? -- */

/* Frames pass both ways: one that cannot hear the question owes no answer. */
static bool can_be_asked(const struct member *owner, const struct group *g)
{
	enum elect_peer p = ground_peer_on(owner, g);

	return p == ELECT_PEER_UP || p == ELECT_PEER_LATE;
}

_Static_assert(SUSPECT_ROUNDS_MAX + 1 < 32, "group.misses counts them");

unsigned inquire_loss(const struct group *g, const struct member *m)
{
	unsigned loss = 0;

	for (size_t i = 0; m != NULL && i < m->n_links; i++)
		if (ground_carries(g, m->links[i].ifindex) && m->links[i].loss > loss)
			loss = m->links[i].loss;
	return loss;
}

/* How many questions without an answer make an orphan (R10): half of them by unicast. */
static unsigned asks_for(const struct group *g, const struct member *owner)
{
	unsigned k = suspect_rounds(inquire_loss(g, owner));

	if (g->hurried)
		return k + 1; /* it begins with a pause */
	return k > ASKS_MIN ? k : ASKS_MIN;
}

static void ask_owner(struct elect *e, struct group *g, unsigned asks)
{
	if (g->misses < asks / 2 && group_has_mac(g))
		e->ops->ask(e->ctx, elect_vip_of(e, g), g->wire_mac);
	else
		e->ops->probe(e->ctx, elect_vip_of(e, g));
}

static void begin_audit(struct elect *e, struct group *g, uint64_t now_ms)
{
	g->asked = true;
	g->hurried = false;
	g->misses = 0;
	ask_owner(e, g, asks_for(g, g->owner));
	g->due_ms = now_ms + ASK_MS;
}

void inquire_verify(struct group *g, uint64_t now_ms)
{
	g->asked = g->hurried = true;
	g->misses = 0;
	g->due_ms = now_ms + VERIFY_MS;
}

void inquire_end_audit(struct group *g)
{
	g->asked = g->hurried = g->orphan = false;
	g->misses = 0;
}

void inquire_owner(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	unsigned asks;

	if (g->hurried && s->holder != NULL && ground_peer_on(s->holder, g) == ELECT_PEER_HEARD) {
		g->due_ms = TIME_NEVER; /* until it is UP, or silent */
		return;
	}
	if ((g->asked || g->orphan) && (s->holder == NULL || !can_be_asked(s->holder, g)))
		inquire_end_audit(g);
	if (!g->asked) {
		g->due_ms = TIME_NEVER;
		return;
	}
	if (now_ms < g->due_ms)
		return;
	asks = asks_for(g, s->holder);
	if (++g->misses >= asks) {
		g->asked = false;
		g->orphan = true;
		g->due_ms = TIME_NEVER;
		return;
	}
	ask_owner(e, g, asks);
	g->due_ms = now_ms + (g->hurried ? VERIFY_ASK_MS : ASK_MS);
}

/* -- rounds through all groups (R22, R23) -- */

/* Would this node be the next for g, and is its owner one that can be asked? */
static bool is_auditor(struct elect *e, struct group *g)
{
	return g->state == ELECT_WATCH && !g->asked && !g->orphan && g->owner != NULL &&
	       can_be_asked(g->owner, g) && ground_is_first(e, g, g->owner);
}

static uint64_t audit_gap_ms(const struct elect *e)
{
	uint64_t ms = AUDIT_MS / (e->groups.n > 0 ? e->groups.n : 1);

	return ms > AUDIT_GAP_MS ? ms : AUDIT_GAP_MS;
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

		if (!is_auditor(e, g) || elect_vip_of(e, g) == NULL)
			continue;
		begin_audit(e, g, now_ms);
		groups_mark(&e->groups, g);
		return;
	}
}

/* Should it be there and is not heard, so that it may not hear us either? */
static bool is_missing(const struct member *m)
{
	for (size_t i = 0; !m->expired && !member_is_released(m) && i < m->n_links; i++)
		if (m->links[i].state == ELECT_PEER_SILENT ||
			m->links[i].state == ELECT_PEER_DEAF)
			return true;
	return false;
}

void inquire_want_reclaim(struct elect *e, bool is_lossy, uint64_t now_ms)
{
	if (is_lossy)
		e->reclaim_often_ms = now_ms + RECLAIM_LOSSY_FOR_MS;
	e->reclaim_wanted = true;
	e->groups.wake_ms = 0;
}

/* When a round that is wanted may begin. */
static uint64_t next_reclaim(const struct elect *e)
{
	if (!e->reclaim_wanted || e->reclaim.due_ms != TIME_NEVER)
		return TIME_NEVER;
	return e->reclaimed_ms != 0 ? e->reclaimed_ms + RECLAIM_ROUND_MS : 0;
}

static void step_reclaim(struct elect *e, uint64_t now_ms)
{
	struct round *r = &e->reclaim;
	unsigned left = RECLAIM_MAX;

	if (now_ms >= e->reclaim_again_ms) {
		e->reclaim_again_ms = TIME_NEVER;
		e->reclaim_wanted = true;
	}
	if (e->reclaim_wanted && now_ms >= next_reclaim(e)) {
		e->reclaim_wanted = false;
		e->reclaimed_ms = now_ms;
		*r = (struct round){.due_ms = now_ms};
	}
	if (now_ms >= r->due_ms) {
		for (; r->at < e->groups.n && left > 0; r->at++) {
			const struct group *g = e->groups.v[r->at];

			if (g->state != ELECT_OWNER || elect_vip_of(e, g) == NULL)
				continue;
			e->ops->announce(e->ctx, elect_vip_of(e, g));
			left--;
		}
		r->due_ms = r->at < e->groups.n ? now_ms + RECLAIM_GAP_MS : TIME_NEVER;
	}
	if (now_ms < e->reclaim_often_ms)
		e->reclaim_again_ms = time_min(e->reclaim_again_ms, now_ms + RECLAIM_LOSSY_MS);
	else if (!e->roll.one_is_missing)
		e->reclaim_again_ms = TIME_NEVER;
	else if (e->reclaim_again_ms == TIME_NEVER)
		e->reclaim_again_ms = now_ms + RECLAIM_MS;
}

void inquire_relief(struct elect *e, uint64_t now_ms)
{
	e->relief = (struct round){.due_ms = e->draining ? now_ms + RELIEF_MS : TIME_NEVER};
}

static void step_relief(struct elect *e, uint64_t now_ms)
{
	struct round *r = &e->relief;
	unsigned left = RELIEF_MAX;

	if (now_ms < r->due_ms)
		return;
	for (; r->at < e->groups.n && left > 0; r->at++) {
		const struct group *g = e->groups.v[r->at];

		if (g->state != ELECT_HANDOVER || elect_vip_of(e, g) == NULL)
			continue;
		e->ops->probe(e->ctx, elect_vip_of(e, g));
		left--;
	}
	if (r->at < e->groups.n)
		r->due_ms = now_ms + RELIEF_GAP_MS;
	else
		inquire_relief(e, now_ms);
}

/* When something will have to be done about m. */
static uint64_t next_about(const struct elect *e, const struct member *m, uint64_t now_ms)
{
	uint64_t expires_ms = elect_expires_at(e, m);
	uint64_t at = inquiry_next(e, &m->cold, now_ms);

	if (expires_ms > now_ms) /* else with the watch's next word */
		at = time_min(at, expires_ms);
	if (m->expired && m->lapse.fate != FATE_DEAD)
		at = time_min(at, m->lapse.witness_ms);
	for (size_t i = 0; i < m->n_links; i++)
		at = time_min(at, inquiry_next(e, &m->links[i].inquiry, now_ms));
	return at;
}

static void end_roll(struct elect *e, uint64_t now_ms)
{
	struct roll r = {.next_ms = TIME_NEVER};

	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		r.one_is_up |= m->peer == ELECT_PEER_UP;
		r.one_is_missing |= is_missing(m);
		r.at_work += member_is_alive(m) && m->peer != ELECT_PEER_SILENT;
		r.next_ms = time_min(r.next_ms, next_about(e, m, now_ms));
	}
	e->roll = r;
}

void inquire_step(struct elect *e, uint64_t now_ms)
{
	if (elect_roll_is_due(e, now_ms)) {
		step_inquiries(e, now_ms);
		end_roll(e, now_ms);
	}
	step_audit(e, now_ms);
	step_reclaim(e, now_ms);
	step_relief(e, now_ms);
}

uint64_t inquire_next(const struct elect *e)
{
	uint64_t at = time_min(e->reclaim.due_ms, e->reclaim_again_ms);

	at = time_min(at, time_min(e->relief.due_ms, next_reclaim(e)));
	/* Without BFD nobody is UP, and nobody is asked. */
	return e->roll.one_is_up ? time_min(at, e->audit.due_ms) : at;
}
