/* SPDX-License-Identifier: Apache-2.0
 *
 * ground.h - who has a VIP group, as the others say and BFD hears it; may this node take it, and
 * after whom (OWNERSHIP R9, R10, R13, R14).  A part of elect.c; changes nothing.  Pure.
 */
#ifndef LBD_GROUND_H
#define LBD_GROUND_H

#include "elect_state.h"

/* What the others say of one group. */
struct survey {
	struct member *holder;            /* lives, and has it; the strongest of them */
	const struct claim *holder_claim; /* NULL: heard on the wire alone */
	struct member *leaving, *expired; /* has it, and goes, or is gone */
	uint64_t leaving_term, expired_term;
	uint64_t known_term; /* the highest of all */
	bool unpublished;    /* somebody was heard on the wire whose term is not known yet */
};

/* Counts who claims g, anew. */
void ground_count(const struct elect *e, struct group *g);
/* m's claims are others; was: those before. */
void ground_recount(
	const struct elect *e, struct group *g, struct member *m, const struct claims *was);
struct survey ground_survey(const struct elect *e, const struct group *g, uint64_t now_ms);

/* -- what BFD says of a group's owner -- */
/* Could g be announced on that link, from this node? */
bool ground_carries(const struct group *g, unsigned ifindex);
/* Of m where g's VIPs are: heard on one of those links is heard. */
enum elect_peer ground_peer_on(const struct member *m, const struct group *g);
bool ground_is_heard_on(const struct member *m, const struct group *g);
/* What the inquiries about m have come to where g's VIPs are: the least certain counts. */
enum member_fate ground_fate_on(const struct member *m, const struct group *g);

/* -- what follows -- */
/* Until when g is left to one that claims it and hears no other claim (R22), if it claims no more;
 * TIME_NEVER: it is not. */
uint64_t ground_cession_ends(const struct group *g);
/* May the group be taken, and why (R9, R10)? */
enum ground ground_find(const struct elect *e, const struct group *g, const struct survey *s);
/* Is m, which is not known to be silent, said by its claims object to have what we hold with more
 * right? */
bool ground_outbids(const struct elect *e, const struct group *g, const struct member *m);
/* Is the strongest of the others one of those? */
bool ground_must_yield(const struct elect *e, const struct group *g, const struct survey *s);
/* Would m come before this node for g, as far as this node can judge (R13)? */
bool ground_comes_before(const struct elect *e, const struct group *g, const struct member *m);
/* Would a node with so many VIPs have so many times its share, and one more (R14)?  0: never. */
bool ground_is_over_share(const struct elect *e, double share, size_t n_held);
/* Does nobody outrank this node?  except (may be NULL) is being taken from.  For WATCH: a step that
 * enters WAIT forgets the answer, and counts. */
bool ground_is_first(struct elect *e, struct group *g, const struct member *except);
/* How long WAIT lasts (R13, R14), but for the grace. */
uint64_t ground_wait_ms(
	struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms);
/* R13: is a better member, which has not its share yet, to be left undisturbed with a free group? */
bool ground_gives_grace(const struct elect *e, const struct group *g);

#endif
