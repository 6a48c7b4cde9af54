/* SPDX-License-Identifier: Apache-2.0
 *
 * inquire.h - what this node asks the wire about others: whether one that BFD misses still answers
 * (OWNERSHIP R8, R12), whether an owner answers for its VIPs (R22); and what it says again of its
 * own (R23).  A part of elect.c.  Pure.
 */
#ifndef LBD_INQUIRE_H
#define LBD_INQUIRE_H

#include "ground.h"

/* Sends what is due, draws conclusions, marks groups.  Before groups are stepped. */
void inquire_step(struct elect *e, uint64_t now_ms);
/* When that has to be done again, but for what the roll says. */
uint64_t inquire_next(const struct elect *e);

/* That the owner of g is dead, which is the ground, was found too long ago: it may be there by now, and
 * this node cut off.  Then it is asked for again, and who may witness as well. */
bool inquire_anew(struct elect *e, const struct group *g, const struct survey *s, enum ground ground,
	uint64_t now_ms);
/* For who does not take at once from s->holder, which is silent: it is asked again, by what is known of
 * the loss since.  An answer ends the ground.  Returns when that is over. */
uint64_t inquire_twice(
	struct elect *e, const struct group *g, const struct survey *s, uint64_t now_ms);
/* m answers for g: what was asked about it has its answer. */
void inquire_answered(
	struct elect *e, struct member *m, const struct group *g, uint64_t now_ms);
/* R23: all that we own is claimed once more, a part at a time; after the round that is under way.
 * is_lossy: who is to hear it may miss it, so it is repeated for a while. */
void inquire_want_reclaim(struct elect *e, bool is_lossy, uint64_t now_ms);

/* This node drains, or no longer does.  Who drains hears nothing of BFD, and may have missed a
 * successor's claim: while it waits for one it asks for what it hands over. */
void inquire_relief(struct elect *e, uint64_t now_ms);

/* What is lost on the links on which m could have g, per mille, as of the last change of its state. */
unsigned inquire_loss(const struct group *g, const struct member *m);

/* -- one group in WATCH -- */
/* This node has just yielded it: does the other one have it?  Asked as soon as that one hears us. */
void inquire_verify(struct group *g, uint64_t now_ms);
void inquire_end_audit(struct group *g);
/* Goes on asking until it answers, or all was silence.  Leaves in due_ms when to come back. */
void inquire_owner(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms);

#endif
