/* SPDX-License-Identifier: Apache-2.0
 *
 * suspect.h - an inquiry on the wire: does a node that BFD no longer hears still answer for its
 * VIPs (OWNERSHIP R12)?  A part of elect.c, which sends the probes and hears the answers.  Pure.
 */
#ifndef LBD_SUSPECT_H
#define LBD_SUSPECT_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	SUSPECT_SAMPLE = 8, /* VIPs asked for in a round of the first inquiry (F31) */
	SUSPECT_ROUNDS_MIN = 5, /* of an inquiry, where no loss is known of: it may begin just now */
	SUSPECT_ROUNDS_MAX = 24,
};

/* Of one node in one segment.  All zero: no suspicion; written here alone. */
struct suspicion {
	uint64_t began_ms; /* 0 = none */
	uint64_t due_ms;   /* the next round; after the last one, when it is over */
	uint64_t vetoed_ms; /* since when answers have held it up; 0 = none came */
	unsigned gap_ms, rounds, rounds_left;
	bool answered; /* in this inquiry */
	bool again;    /* not the first one: a single VIP will do */
};

enum suspect_verdict {
	SUSPECT_NONE,       /* nothing is asked */
	SUSPECT_ASKING,     /* not known yet */
	SUSPECT_ANSWERED,   /* it is there, whatever BFD says: asked again each second */
	SUSPECT_UNANSWERED, /* every round was silence */
};

/* How many unanswered questions in a row say something when so many frames are lost, per mille: the
 * smallest k with (1 - (1 - p)^2)^k < 10^-4 and a quarter added to p, 3 to 24. */
unsigned suspect_rounds(unsigned loss_permille);
/* loss: of the session or the link, as far as it can be known.  Rounds are gap_ms apart.  One that is under way goes on. */
void suspect_begin(struct suspicion *s, unsigned loss_permille, uint64_t gap_ms, uint64_t now_ms);
/* It is heard again, or gone for other reasons. */
void suspect_end(struct suspicion *s);
/* It answered: asked again in a second.  Returns whether that is news. */
bool suspect_on_answer(struct suspicion *s, uint64_t now_ms);
/* Is a round due?  Then it counts as sent, for *ret_sample VIPs. */
bool suspect_asks(struct suspicion *s, uint64_t now_ms, unsigned *ret_sample);
/* veto_max_ms: answers are believed for so long (R12: others may answer for the dead);
 * TIME_NEVER = always. */
enum suspect_verdict suspect_verdict(
	const struct suspicion *s, uint64_t veto_max_ms, uint64_t now_ms);
/* When it is over if nothing is answered. */
uint64_t suspect_ends(const struct suspicion *s);
/* When it has to be looked at next; TIME_NEVER. */
uint64_t suspect_next(const struct suspicion *s, uint64_t now_ms);

#endif
