/* SPDX-License-Identifier: Apache-2.0
 *
 * dispute.h - another member claims a VIP that this node owns: is that so, and who stays
 * (OWNERSHIP R18 to R20)?  A part of elect.c, which knows the claims and sends the frames.  Pure.
 */
#ifndef LBD_DISPUTE_H
#define LBD_DISPUTE_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>

struct member;

/* One for each VIP group that is in dispute; written here alone. */
struct dispute {
	struct member *rival; /* borrowed */
	uint8_t mac[6];       /* that it claimed with */
	uint64_t began_ms, claimed_ms; /* its first claim, its last */
	uint64_t proof_ms; /* when it last claimed or answered; 0 = it has not yet */
	uint64_t due_ms;               /* the next step */
	uint64_t defended_ms, last_ms; /* our first defence, our last; 0 = none yet */
	uint64_t asked_ms;             /* our last question */
	unsigned asked, defences;
	bool confirmed;
};

/* What this node can say for itself (R19). */
enum dispute_strength {
	DISPUTE_WEAK,      /* taken without a witness, or being handed over */
	DISPUTE_WIRE,      /* it announces, nothing more */
	DISPUTE_PUBLISHED, /* healthy, and its claim was published and read back */
};

struct dispute_view {
	enum dispute_strength strength;
	bool outranked; /* the rival's hash comes before ours */
	/* PUBLISHED: what the claims say of the two. */
	bool rival_beats;   /* its published claim is stronger, or was: the API may be behind it */
	bool rival_is_deaf; /* its BFD says that it does not hear us */
	bool rival_is_heard; /* by BFD */
	unsigned asks;       /* so many questions may be lost on the way to it; 0: hardly any */
};

enum dispute_step {
	DISPUTE_REST,   /* nothing to do before due_ms */
	DISPUTE_ASK,    /* ask the rival, by unicast, whether it answers for the VIP */
	DISPUTE_DEFEND, /* claim, now */
	DISPUTE_YIELD,  /* stop answering */
	DISPUTE_OVER,   /* it no longer claims */
};

/* A claim, by the one in dispute or another: the latest counts. */
void dispute_on_claim(
	struct dispute *d, struct member *rival, const uint8_t mac[6], uint64_t now_ms);
/* The API says that a member claims it with more right than this node: whether it does is asked. */
void dispute_on_published(
	struct dispute *d, struct member *rival, const uint8_t mac[6], uint64_t now_ms);
/* It answered for the VIP itself, or says by BFD that it cannot hear us: its claim is no forgery. */
void dispute_confirm(struct dispute *d, uint64_t now_ms);
/* What is to be done now; called again until it rests, yields or is over. */
enum dispute_step dispute_step(
	struct dispute *d, const struct dispute_view *v, uint64_t now_ms);

#endif
