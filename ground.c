/* SPDX-License-Identifier: Apache-2.0
 *
 * ground.c - who has a VIP group, and may this node take it.
 *
 * In:   members' claims, what was heard of them on the wire and by BFD, inquiries' ends.
 * Out:  the strongest holder, a ground to take, a rank.
 *
 * Source: shared/OWNERSHIP.md R7, R9 to R11, R13, R14, R19, R21.
 */
#include "ground.h"

enum {
	CEDED_MS = 15000,     /* a deaf one repeats its claims each 10 s (R23) */
	OVER_SHARE_SLOTS = 4, /* R14, at most */
	VIPS_A_SLOT = 500,    /* that a node takes and announces in a slot, with room to spare */
};

/* -- what BFD says of a group's owner -- */

bool ground_carries(const struct group *g, unsigned ifindex)
{
	for (size_t i = 0; g->elig != NULL && i < g->elig->n_paths; i++)
		if (g->elig->paths[i].ifindex == ifindex)
			return true;
	return false;
}

/* Of m where g's VIPs are: heard on one of those links is heard. */
enum elect_peer ground_peer_on(const struct member *m, const struct group *g)
{
	enum elect_peer best = ELECT_PEER_NEVER;

	for (size_t i = 0; i < m->n_links; i++)
		if (member_liveness(m->links[i].state) > member_liveness(best) &&
			ground_carries(g, m->links[i].ifindex))
			best = m->links[i].state;
	return best;
}

bool ground_is_heard_on(const struct member *m, const struct group *g)
{
	enum elect_peer p = ground_peer_on(m, g);

	return p == ELECT_PEER_UP || p == ELECT_PEER_LATE || p == ELECT_PEER_HEARD;
}

/* What the inquiries about m have come to where g's VIPs are: the least certain counts. */
enum member_fate ground_fate_on(const struct member *m, const struct group *g)
{
	enum member_fate fate = FATE_UNKNOWN;

	for (size_t i = 0; i < m->n_links; i++) {
		const struct member_link *l = &m->links[i];

		if (l->state != ELECT_PEER_SILENT || !ground_carries(g, l->ifindex))
			continue;
		if (l->inquiry.fate != FATE_DEAD)
			return l->inquiry.fate;
		fate = FATE_DEAD;
	}
	return fate;
}

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
 * does not say so of a claim that stands: one forged object moves no VIP.  Nor does it of one that
 * BFD hears: it may have come back since. */
static bool is_offered(const struct member *m, const struct group *g, const struct claim *c)
{
	if (m->peer == ELECT_PEER_LEAVING) /* BFD's word is authenticated */
		return true;
	if (c != NULL)
		return (c->flags & CLAIM_OFFERED) != 0;
	return member_is_released(m) && !ground_is_heard_on(m, g);
}

/* Was m found silent, by BFD or by the inquiry about one that it never heard? */
static bool is_silent(const struct member *m, const struct group *g)
{
	enum elect_peer p = ground_peer_on(m, g);

	return p == ELECT_PEER_SILENT || (p == ELECT_PEER_NEVER && m->cold.fate != FATE_UNKNOWN);
}

/* Is m with claim c more likely the one that answers than the holder so far? */
static bool is_likelier(const struct elect *e, const struct group *g, const struct member *m,
	const struct claim *c, const struct survey *s)
{
	bool silent = is_silent(m, g);

	if (s->holder == NULL)
		return true;
	if (is_silent(s->holder, g) != silent)
		return !silent;
	return claim_beats(c, m->node, s->holder_claim, s->holder->node, elect_vip_of(e, g)->key);
}

/* Does what m said on the wire still count?  As long as a Lease would; and while BFD knows of m, even that
 * it is silent: without the API nothing else says what a dead node had. */
static bool is_word_kept(
	const struct elect *e, const struct member *m, const struct group *g, uint64_t now_ms)
{
	return now_ms - g->wire_ms < member_lease_ms(m, e->lease_ms) || ground_is_heard_on(m, g) ||
	       ground_peer_on(m, g) == ELECT_PEER_SILENT;
}

/* Without the API a Lease that had expired says nothing of one that BFD knows of: it may be back. */
static bool does_expiry_count(const struct elect *e, const struct member *m, const struct group *g)
{
	return e->health.ok ||
	       (ground_peer_on(m, g) != ELECT_PEER_SILENT && !ground_is_heard_on(m, g));
}

uint64_t ground_cession_ends(const struct group *g)
{
	return g->ceded ? g->wire_ms + CEDED_MS : TIME_NEVER;
}

/* G3 would take it at once from one that this node has just yielded to, again and again. */
static bool is_ceded_to(const struct group *g, const struct member *m, uint64_t now_ms)
{
	return g->ceded && g->wire_owner == m && now_ms < ground_cession_ends(g) &&
	       ground_peer_on(m, g) == ELECT_PEER_DEAF;
}

static void survey_member(const struct elect *e, const struct group *g, struct member *m,
	uint64_t now_ms, struct survey *s)
{
	const struct claim *c = claims_on(&m->claims, g->addrs, g->n_addrs);
	bool wire = g->wire_owner == m && is_word_kept(e, m, g, now_ms);
	uint64_t term = c != NULL ? c->term : 0;

	if ((c == NULL && !wire) || m == g->disowned)
		return;
	if (term > s->known_term)
		s->known_term = term;
	s->unpublished |= c == NULL;
	if (m->expired && does_expiry_count(e, m, g) && !is_ceded_to(g, m, now_ms)) {
		if (s->expired == NULL || term > s->expired_term) {
			s->expired = m;
			s->expired_term = term;
		}
	} else if (is_offered(m, g, c) &&
		   !member_offers_to_other(m, g->addrs, g->n_addrs, e->node)) {
		if (s->leaving == NULL || term > s->leaving_term) {
			s->leaving = m;
			s->leaving_term = term;
		}
	} else if (is_likelier(e, g, m, c, s)) {
		s->holder = m;
		s->holder_claim = c;
	}
}

static bool claims_any(const struct claims *c, const struct group *g)
{
	return claims_on(c, g->addrs, g->n_addrs) != NULL;
}

void ground_count(const struct elect *e, struct group *g)
{
	g->n_claimants = 0;
	g->claimant = NULL;
	g->counted = true;
	for (struct member *m = e->members.head; m != NULL; m = m->hh.next) {
		if (m->self || !claims_any(&m->claims, g))
			continue;
		g->n_claimants++;
		g->claimant = m;
	}
}

void ground_recount(
	const struct elect *e, struct group *g, struct member *m, const struct claims *was)
{
	bool had = claims_any(was, g), has = claims_any(&m->claims, g);

	if (m->self || !g->counted || g->claims_change == e->claims_change)
		return;
	g->claims_change = e->claims_change;
	if (has == had)
		return;
	if (has && g->n_claimants++ == 0)
		g->claimant = m;
	if (had && --g->n_claimants == 0)
		g->claimant = NULL;
	else if (had && g->claimant == m)
		ground_count(e, g);
}

/* With hundreds of members hardly one has anything to say of a group. */
struct survey ground_survey(const struct elect *e, const struct group *g, uint64_t now_ms)
{
	struct member *w = g->wire_owner;
	struct survey s = {0};

	if (!g->counted || g->n_claimants > 1) {
		for (struct member *m = e->members.head; m != NULL; m = m->hh.next)
			if (!m->self)
				survey_member(e, g, m, now_ms, &s);
		return s;
	}
	if (g->claimant != NULL)
		survey_member(e, g, g->claimant, now_ms, &s);
	if (w != NULL && w != g->claimant)
		survey_member(e, g, w, now_ms, &s);
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

/* May a group be taken from a member that lives by its Lease and did not offer it (R9, R10)?  That
 * is settled on the wire, without the API. */
static enum ground ground_on(const struct group *g, const struct member *holder)
{
	switch (ground_peer_on(holder, g)) {
	case ELECT_PEER_SILENT:
		return ground_fate_on(holder, g) != FATE_UNKNOWN ? GROUND_SILENT : GROUND_NONE;
	case ELECT_PEER_UP:
	case ELECT_PEER_LATE:
		return g->orphan ? GROUND_ORPHAN : GROUND_NONE;
	case ELECT_PEER_NEVER:
		return holder->cold.fate != FATE_UNKNOWN ? GROUND_COLD : GROUND_NONE;
	case ELECT_PEER_HEARD:
	case ELECT_PEER_DEAF:
	case ELECT_PEER_LEAVING:
		break;
	}
	return GROUND_NONE;
}

/* G7: did this node take the group from the one that is said to have it, before its restart?  The
 * probes tell whether that one has taken it back since. */
static bool was_taken_from(const struct group *g, const struct survey *s, const struct claim *old)
{
	return old != NULL && s->holder_claim != NULL && old->term > s->holder_claim->term &&
	       g->wire_owner != s->holder && ground_peer_on(s->holder, g) == ELECT_PEER_NEVER;
}

/* May the group be taken, and why (R9)? */
enum ground ground_find(const struct elect *e, const struct group *g, const struct survey *s)
{
	const struct claim *old = claims_on(&e->old, g->addrs, g->n_addrs);

	if (e->frozen)
		return GROUND_NONE;
	if (s->holder != NULL && !was_taken_from(g, s, old))
		return ground_on(g, s->holder);
	if (s->leaving != NULL && s->leaving->peer == ELECT_PEER_LEAVING &&
		(e->joined || e->health.synced))
		return GROUND_OFFERED;
	if (!e->health.synced && !e->restored)
		return GROUND_NONE;
	if (old != NULL && old->term >= s->leaving_term && old->term >= s->expired_term)
		return GROUND_OWN;
	if (!e->health.ok)
		return GROUND_NONE;
	if (s->leaving != NULL)
		return GROUND_OFFERED;
	if (!e->joined)
		return GROUND_NONE;
	if (s->expired != NULL)
		return s->expired->lapse.fate == FATE_UNKNOWN || is_expiry_void(e)
			       ? GROUND_NONE
			       : GROUND_EXPIRED;
	return GROUND_FREE;
}

/* -- rank (R13) -- */

/* What each of many members is compared with. */
struct standing {
	const struct elect *e;
	const struct group *g;
	const struct vip_group *v;
	uint64_t score; /* this node's */
};

static struct standing standing_of(const struct elect *e, const struct group *g)
{
	const struct vip_group *v = elect_vip_of(e, g);

	return (struct standing){e, g, v, member_score(e->node, v->key)};
}

static bool comes_before(const struct standing *s, const struct member *m)
{
	struct elig other;

	elig_judge_other(s->e->in, s->v, m->node, m->text[TEXT_SUBNETS], &other);
	if (other.reason != REASON_OWNER)
		return false;
	if (other.weight != s->g->elig->weight)
		return other.weight > s->g->elig->weight;
	return member_before_score(m->node, s->e->node, s->score, s->v->key);
}

/* Would m come before this node for g, as far as this node can judge? */
bool ground_comes_before(const struct elect *e, const struct group *g, const struct member *m)
{
	const struct standing s = standing_of(e, g);

	return comes_before(&s, m);
}

/* G4, G6: those that have no session with the dead do not know of it (R13). */
static bool sees(const struct elect *e, const struct group *g, const struct member *m,
	const struct member *dead)
{
	if ((g->ground != GROUND_SILENT && g->ground != GROUND_COLD) || dead == NULL)
		return true;
	for (size_t i = 0; i < g->elig->n_paths; i++)
		if (e->ops->watches(e->ctx, g->elig->paths[i].ifindex, m->node, dead->node))
			return true;
	return false;
}

/* Would m, which lives and stays, take g before this node?  except (may be NULL) is being taken
 * from. */
static bool outranks(const struct standing *s, const struct member *m, const struct member *except)
{
	return !m->self && m != except && member_is_alive(m) && !member_is_leaving(m) &&
	       ground_peer_on(m, s->g) != ELECT_PEER_SILENT && sees(s->e, s->g, m, except) &&
	       comes_before(s, m);
}

/* How many members outrank this one, when it is that many or fewer. */
static unsigned rank(struct elect *e, struct group *g, const struct member *except, unsigned most)
{
	struct standing s;

	if (g->rank_generation == e->generation)
		return g->rank;
	s = standing_of(e, g);
	g->rank = 0;
	for (const struct member *m = e->members.head; m != NULL && g->rank < most; m = m->hh.next)
		g->rank += outranks(&s, m, except);
	g->rank_generation = e->generation;
	return g->rank;
}

/* With hundreds of members one that is better is found soon, and all need not be asked. */
bool ground_is_first(struct elect *e, struct group *g, const struct member *except)
{
	if (g->rank_generation != e->generation && elect_vip_of(e, g) == NULL)
		return false; /* the next pass takes it out */
	return rank(e, g, except, 1) == 0;
}

/* So many VIPs are so many times a node's share, and one more (R14). */
static double share_limit(const struct elect *e, double share)
{
	double vips = (double)vip_count(e->in->vips), members = (double)e->roll.at_work;

	return share > 0 ? share * vips / members + 1 : (double)UINT64_MAX;
}

bool ground_is_over_share(const struct elect *e, double share, size_t n_held)
{
	return (double)n_held >= share_limit(e, share);
}

/* How long WAIT lasts (R13, R14), but for the grace. */
uint64_t ground_wait_ms(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	const struct member *from = s->holder != NULL    ? s->holder
				    : s->leaving != NULL ? s->leaving
							 : s->expired;
	double share = e->in->conf->elections.max_share;
	uint64_t slots;

	if (g->ground == GROUND_OWN)
		return 0;
	/* A better one may have thousands to take before this one. */
	slots = rank(e, g, from, UINT16_MAX) *
		(1 + (from != NULL ? from->n_held / VIPS_A_SLOT : 0));
	if (ground_is_over_share(e, share, e->groups.n_owned_vips) || now_ms < e->hold.until_ms)
		slots += time_min(e->roll.at_work - 1, OVER_SHARE_SLOTS);
	return slots * elect_slot_ms(e);
}

/* R13: is a better member, which has not its share yet, to be left undisturbed with a free group?
 */
bool ground_gives_grace(const struct elect *e, const struct group *g)
{
	struct standing s;
	double limit;

	if (g->ground != GROUND_FREE || g->rank == 0)
		return false;
	s = standing_of(e, g);
	limit = share_limit(e, e->in->conf->elections.max_share);
	for (const struct member *m = e->members.head; m != NULL; m = m->hh.next)
		if ((double)m->n_held < limit && outranks(&s, m, NULL))
			return true;
	return false;
}

/* R21: one of whom BFD says that frames do not pass both ways now, though they did. */
static bool is_unheard(enum elect_peer p)
{
	return p == ELECT_PEER_LATE || p == ELECT_PEER_SILENT || p == ELECT_PEER_DEAF;
}

bool ground_outbids(const struct elect *e, const struct group *g, const struct member *m)
{
	const struct claim mine = {.term = g->term, .flags = g->weak ? CLAIM_WEAK : 0};
	const struct claim *c = claims_on(&m->claims, g->addrs, g->n_addrs);

	return c != NULL && !is_unheard(ground_peer_on(m, g)) &&
	       claim_beats(c, m->node, &mine, e->node, elect_vip_of(e, g)->key);
}

bool ground_must_yield(const struct elect *e, const struct group *g, const struct survey *s)
{
	return s->holder != NULL && ground_outbids(e, g, s->holder);
}
