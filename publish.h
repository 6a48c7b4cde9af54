/* SPDX-License-Identifier: Apache-2.0
 *
 * publish.h - this node's own two Lease objects (R3): lbd-node-<node>, which is renewed and says
 * what this node is, and lbd-claims-<node>, which says what it owns.  A part of elect.c: that
 * decides what is claimed, this when and how it is written.  Pure.
 */
#ifndef LBD_PUBLISH_H
#define LBD_PUBLISH_H

#include "base.h"
#include "cluster.h"
#include "elig.h"
#include "leader.h"

#include <stdbool.h>
#include <stdint.h>

struct publish; /* opaque */

/* Strings are copied; rng is borrowed. */
struct publish *publish_new(
	const char *node, const char *identity, const char *version, struct rng *rng) MUST_CHECK;
void publish_free(struct publish *p);

/* -- what is to be written -- */
/* Nothing is written before both were called: durations in force, and the first lists complete. */
void publish_set_durations(struct publish *p, uint64_t renew_ms, uint64_t lease_ms);
void publish_start(struct publish *p, uint64_t now_ms);
/* What our Lease says of this node, from the input; written soon when it changed. */
void publish_refresh(struct publish *p, const struct elig_input *in);
/* What this node owns or offers has changed. */
void publish_claims_changed(struct publish *p);
/* What is offered goes to one node alone: "ADDRESS=NODE"; copied.  It is written with
 * the claims.  false when out of memory. */
bool publish_set_move(struct publish *p, const char *text) MUST_CHECK;
void publish_end_move(struct publish *p);
/* A renewal that is sent since then is wanted: whether the API still answers is to be seen by it. */
void publish_renew_since(struct publish *p, uint64_t since_ms, uint64_t now_ms);
/* The claims object is left as it is until then; 0 = no longer. */
void publish_hold_claims(struct publish *p, uint64_t until_ms);
/* The reason why this node goes; copied; NULL = it stays.  false when out of memory. */
bool publish_drain(struct publish *p, const char *reason, uint64_t now_ms) MUST_CHECK;
/* The last claims are written, then the Lease is given back. Idempotent. */
void publish_release(struct publish *p, uint64_t now_ms);
bool publish_is_releasing(const struct publish *p);
/* Given back, given up (3 tries), or not needed. */
bool publish_is_released(const struct publish *p);

/* -- what the watch shows of the two -- */
void publish_on_own(
	struct publish *p, const struct cluster_lease *l, bool deleted, uint64_t now_ms);
/* The watch shows our Lease renewed, and no claims object beside it. */
void publish_on_claims_missing(struct publish *p, uint64_t now_ms);
/* Our Lease at a new resourceVersion (R29: somebody else may renew it).  Returns whether
 * this node was silenced by it, or no longer is. */
bool publish_on_renewal(struct publish *p, const struct cluster_lease *l, uint64_t now_ms);
/* The double's renewals may have stopped.  Returns as above. */
bool publish_forget_double(struct publish *p, uint64_t now_ms);
/* When that is to be asked; TIME_NEVER. */
uint64_t publish_double_ends(const struct publish *p);
bool publish_is_impersonated(const struct publish *p);
/* May this node own anything: not silenced by a double, and not giving its Lease back? */
bool publish_may_speak(const struct publish *p);

/* -- requests -- */
/* text_of(ctx): malloc'ed text of what this node owns now; NULL when out of memory. */
typedef char *(*publish_text_fn)(const void *ctx);
bool publish_next_action(struct publish *p, uint64_t now_ms, publish_text_fn text_of,
	const void *ctx, struct lease_action *ret_a);
struct publish_renewal {
	const char *rv; /* borrowed until the next call */
	uint64_t sent_ms;
};
/* Returns whether the API took a renewal; *ret_r says which. */
bool publish_done(struct publish *p, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms, struct publish_renewal *ret_r);
uint64_t publish_next_deadline(const struct publish *p);

#endif
