/* SPDX-License-Identifier: Apache-2.0
 *
 * dispute.c - another member claims a VIP that this node owns.
 *
 * In:   its claims, its answers, what both can say for themselves.  Out: ask, defend, yield.
 *
 * A frame is easily forged: a claim counts only once its sender has answered for the VIP itself
 * (R18).  Who then defends and goes on hearing the rival is not heard by it (F7), and yields.
 * What the API says of a rival may be older than what that one did on the wire since: nobody yields
 * to a claim that its owner has given up, or both have (F2).
 *
 * Source: shared/OWNERSHIP.md R18 to R20.
 */
#include "dispute.h"

#include <string.h>

enum {
	ASK_MS = 100,     /* for an answer, each of ASKS times (R18) */
	ASKS = 2,
	DEFEND_MS = 100,  /* R19 */
	DEFENCES = 15,
	DUEL_MS = 500,    /* R20 */
	QUIET_MS = 1000,  /* no claim for so long: over */
	QUIET_DEAF_MS = 15000, /* who cannot hear us repeats its own each 10 s (R23) */
};

/* A third one: asked about like the second, at the same pace, and no more is said against both. */
static void change_rival(struct dispute *d, struct member *rival, uint64_t now_ms)
{
	uint64_t last_ms = d->asked_ms > d->last_ms ? d->asked_ms : d->last_ms;

	d->rival = rival;
	d->confirmed = false;
	d->asked = 0;
	d->due_ms = last_ms + DEFEND_MS > now_ms ? last_ms + DEFEND_MS : now_ms;
}

void dispute_on_published(
	struct dispute *d, struct member *rival, const uint8_t mac[6], uint64_t now_ms)
{
	if (d->rival == NULL)
		*d = (struct dispute){.rival = rival, .began_ms = now_ms, .due_ms = now_ms};
	else if (d->rival != rival)
		change_rival(d, rival, now_ms);
	memcpy(d->mac, mac, sizeof d->mac);
}

void dispute_on_claim(
	struct dispute *d, struct member *rival, const uint8_t mac[6], uint64_t now_ms)
{
	dispute_on_published(d, rival, mac, now_ms);
	d->claimed_ms = d->proof_ms = now_ms;
	if (!d->confirmed && d->asked >= ASKS && now_ms >= d->asked_ms + (uint64_t)2 * ASK_MS) {
		d->asked = 0; /* it may hear the question now */
		d->due_ms = now_ms;
	}
	if (d->confirmed) /* to be answered, as soon as that is allowed again */
		d->due_ms = time_min(d->due_ms, d->last_ms + DEFEND_MS);
}

void dispute_confirm(struct dispute *d, uint64_t now_ms)
{
	d->proof_ms = now_ms;
	if (d->confirmed)
		return;
	d->confirmed = true;
	d->due_ms = now_ms;
}

static enum dispute_step ask(struct dispute *d, uint64_t now_ms)
{
	d->asked++;
	d->asked_ms = now_ms;
	d->due_ms = now_ms + ASK_MS;
	return DISPUTE_ASK;
}

static enum dispute_step ask_anew(struct dispute *d, uint64_t now_ms)
{
	d->confirmed = false;
	d->asked = 0;
	return ask(d, now_ms);
}

static enum dispute_step defend(struct dispute *d, uint64_t now_ms)
{
	if (d->defended_ms == 0)
		d->defended_ms = now_ms;
	d->defences++;
	d->last_ms = now_ms;
	d->due_ms = now_ms + DEFEND_MS;
	return DISPUTE_DEFEND;
}

static enum dispute_step rest(struct dispute *d, const struct dispute_view *v, uint64_t now_ms)
{
	d->due_ms = d->claimed_ms + (v->rival_is_heard ? QUIET_MS : QUIET_DEAF_MS);
	return now_ms >= d->due_ms ? DISPUTE_OVER : DISPUTE_REST;
}

/* Nothing confirms it: one defence, and the VIP stays. */
static enum dispute_step step_unconfirmed(
	struct dispute *d, const struct dispute_view *v, uint64_t now_ms)
{
	if (d->asked < (v->asks > ASKS ? v->asks : ASKS))
		return ask(d, now_ms);
	return d->defences == 0 ? defend(d, now_ms) : rest(d, v, now_ms);
}

/* How long the rival may go on claiming against our defence; TIME_NEVER = for ever. */
static uint64_t patience_ms(const struct dispute_view *v)
{
	if (v->strength != DISPUTE_PUBLISHED)
		return DUEL_MS;
	return v->rival_is_heard ? TIME_NEVER : (uint64_t)3 * DUEL_MS;
}

/* Has it shown since our last defence that it has the VIP still? */
static bool is_proven(const struct dispute *d)
{
	return d->proof_ms >= d->last_ms;
}

static bool loses(const struct dispute *d, const struct dispute_view *v)
{
	switch (v->strength) {
	case DISPUTE_WEAK:
		return true;
	case DISPUTE_WIRE:
		return v->outranked;
	case DISPUTE_PUBLISHED:
		return v->rival_beats && is_proven(d);
	}
	return true;
}

/* Still claiming so long after we answered it, or by its own word: it cannot hear us (R20). */
static bool is_unheard(
	const struct dispute *d, const struct dispute_view *v, uint64_t end_ms, uint64_t now_ms)
{
	return d->claimed_ms >= end_ms || (v->rival_is_deaf && now_ms >= end_ms);
}

enum dispute_step dispute_step(struct dispute *d, const struct dispute_view *v, uint64_t now_ms)
{
	uint64_t patience = patience_ms(v);

	if (v->rival_is_deaf)
		dispute_confirm(d, now_ms);
	if (d->confirmed && loses(d, v))
		return DISPUTE_YIELD;
	if (d->confirmed && v->rival_beats && v->strength == DISPUTE_PUBLISHED)
		return ask_anew(d, now_ms);
	if (now_ms < d->due_ms)
		return DISPUTE_REST;
	if (!d->confirmed)
		return step_unconfirmed(d, v, now_ms);
	if (d->defended_ms != 0 && patience != TIME_NEVER &&
		is_unheard(d, v, d->defended_ms + patience, now_ms))
		return DISPUTE_YIELD;
	if (d->claimed_ms >= d->last_ms && d->defences < DEFENCES)
		return defend(d, now_ms);
	if (v->rival_is_deaf && now_ms < d->defended_ms + patience) {
		d->due_ms = d->defended_ms + patience;
		return DISPUTE_REST;
	}
	return rest(d, v, now_ms);
}
