/* SPDX-License-Identifier: Apache-2.0
 *
 * suspect.c - an inquiry on the wire about a node that is no longer heard.
 *
 * In:   that BFD misses it, the loss before that, answers.  Out: rounds of probes, a verdict.
 *
 * It begins when two packets are missed, so that it is over when BFD says Down.
 *
 * Source: shared/OWNERSHIP.md R12, F30, F31.
 */
#include "suspect.h"

enum {
	ASKS_MIN = 3,
	AGAIN_MS = 1000, /* after an answer */
	PER_MILLE = 1000,
};

unsigned suspect_rounds(unsigned loss_permille)
{
	/* A quarter more than was measured, which is an estimate of few packets. */
	double there = 1.0 - (double)time_min(loss_permille * 5 / 4, PER_MILLE) / PER_MILLE;
	double missed = 1.0 - there * there, all = 1.0;
	unsigned k = 0;

	while (k < SUSPECT_ROUNDS_MAX && (k < ASKS_MIN || all >= 1e-4)) {
		all *= missed;
		k++;
	}
	return k;
}

void suspect_begin(struct suspicion *s, unsigned loss_permille, uint64_t gap_ms, uint64_t now_ms)
{
	unsigned k = suspect_rounds(loss_permille);

	if (s->began_ms != 0)
		return;
	*s = (struct suspicion){.began_ms = now_ms,
		.due_ms = now_ms,
		.gap_ms = (unsigned)gap_ms,
		.rounds = k > SUSPECT_ROUNDS_MIN ? k : SUSPECT_ROUNDS_MIN};
	s->rounds_left = s->rounds;
}

void suspect_end(struct suspicion *s)
{
	*s = (struct suspicion){0};
}

bool suspect_on_answer(struct suspicion *s, uint64_t now_ms)
{
	if (s->began_ms == 0 || s->answered)
		return false;
	s->answered = true;
	s->due_ms = now_ms + AGAIN_MS;
	if (s->vetoed_ms == 0)
		s->vetoed_ms = now_ms;
	return true;
}

bool suspect_asks(struct suspicion *s, uint64_t now_ms, unsigned *ret_sample)
{
	if (s->began_ms == 0 || now_ms < s->due_ms)
		return false;
	if (s->answered) { /* once more, from the beginning */
		s->answered = false;
		s->again = true;
		s->began_ms = now_ms;
		s->rounds_left = s->rounds;
	}
	if (s->rounds_left == 0)
		return false;
	s->rounds_left--;
	s->due_ms = now_ms + s->gap_ms;
	*ret_sample = s->again ? 1 : SUSPECT_SAMPLE;
	return true;
}

enum suspect_verdict suspect_verdict(
	const struct suspicion *s, uint64_t veto_max_ms, uint64_t now_ms)
{
	if (s->began_ms == 0)
		return SUSPECT_NONE;
	if (s->vetoed_ms != 0 && veto_max_ms != TIME_NEVER && now_ms - s->vetoed_ms >= veto_max_ms)
		return SUSPECT_UNANSWERED;
	if (s->answered)
		return SUSPECT_ANSWERED;
	return s->rounds_left == 0 && now_ms >= s->due_ms ? SUSPECT_UNANSWERED : SUSPECT_ASKING;
}

uint64_t suspect_ends(const struct suspicion *s)
{
	return s->due_ms + (uint64_t)s->rounds_left * s->gap_ms;
}

uint64_t suspect_next(const struct suspicion *s, uint64_t now_ms)
{
	bool over = s->rounds_left == 0 && !s->answered && now_ms >= s->due_ms;

	return s->began_ms == 0 || over ? TIME_NEVER : s->due_ms;
}
