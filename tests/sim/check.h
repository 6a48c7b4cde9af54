/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h - the judge: OWNERSHIP's invariants I1 to I13, those that can be judged at every moment
 * and those of quiescence, each by its own name.
 */
#ifndef LBD_SIM_CHECK_H
#define LBD_SIM_CHECK_H

#include "server.h"
#include "sim.h"

struct check *check_new(struct sim *s) MUST_CHECK;
void check_free(struct sim *s);

/* One line each: what is judged, and of what is not, why. */
void check_print_table(FILE *out);

/* -- what happens, from the others -- */
void check_on_write(struct sim *s, const struct node *n, enum request_kind kind, const char *name);
/* A leader's write gives ip to the Service json. */
void check_on_given(struct sim *s, const cJSON *json, struct addr ip);
void check_on_sent(
	struct sim *s, const struct node *n, unsigned segment, const uint8_t *frame, size_t len);
void check_on_announced(struct sim *s, const struct node *n, struct addr vip, unsigned segment,
	bool on, const char *why);
void check_on_turn(struct sim *s, const struct node *n);
void check_on_dead(struct sim *s, const struct node *n); /* it is about to be */
void check_on_node(struct sim *s); /* one starts, ends, stops, goes on, has another port */

/* -- phases of a run -- */
/* From now on (true) only faults of the API plane happen: nothing may move (I4). */
void check_api_only(struct sim *s, bool on);
/* Faults are over and all has settled: from now on nothing may change (I5, I10). */
void check_begin_rest(struct sim *s);
/* ... and so it was: judges it all, and lets the client ask for every VIP. */
void check_end_rest(struct sim *s);

/* I1 is measured, not judged. */
void check_be_lenient(struct sim *s);

/* -- measured -- */
struct check_figures {
	/* the longest: two owners that hear each other, of which one hears the other; no owner */
	uint64_t double_us, half_us, dark_us;
	uint64_t moves;          /* VIPs that were taken */
	unsigned moves_a_minute; /* of one VIP, at most */
	uint64_t last_move_us;
};
struct check_figures check_figures(struct sim *s);
/* The longest times are those from now on. */
void check_measure_anew(struct sim *s);
/* Nodes that announce it and run. */
unsigned check_owners(const struct sim *s, struct addr vip, unsigned segment);
/* The one; NULL: none, or several. */
struct node *check_owner(const struct sim *s, struct addr vip, unsigned segment);

#endif
