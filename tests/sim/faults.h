/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.h - what goes wrong, as data: a list made from a seed before the run begins, so that a
 * failing one can be tried with parts left out.
 */
#ifndef LBD_SIM_FAULTS_H
#define LBD_SIM_FAULTS_H

#include "sim.h"

struct fault {
	uint64_t at_us, lasts_us;
	unsigned kind; /* of faults.c's table */
	unsigned node, segment;
	uint64_t arg;
};

/* A run of a seed: rounds of faults, each with a time of rest after it that the invariants are
 * judged in. */
enum { FAULTS_ROUNDS = 2 };
struct schedule {
	struct sim_setup setup;
	struct fault *v; /* owned; in order of time */
	size_t n;
	struct {
		uint64_t begin_us, end_us, rest_us, over_us;
		bool api_only;
	} rounds[FAULTS_ROUNDS];
};

/* Everything that a seed stands for. */
struct schedule schedule_make(uint64_t seed) MUST_CHECK;
void schedule_free(struct schedule *c);
/* Runs it, with the faults whose keep[] is set (NULL: all).  The run, to be looked at: sim_free().
 */
struct sim *schedule_run(const struct schedule *c, const bool *keep, FILE *trace) MUST_CHECK;
void fault_print(const struct fault *f, FILE *out);

#endif
