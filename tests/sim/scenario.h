/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.h - OWNERSHIP's failures F1 to F36, each as it was told, with what must come of it.
 */
#ifndef LBD_SIM_SCENARIO_H
#define LBD_SIM_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

struct scenario_options {
	uint64_t seed;
	bool v6; /* VIPs of IPv6, else of IPv4 */
	bool verbose;
};
/* One by its name, or "all".  The process's exit code. */
int scenario_run(const char *name, const struct scenario_options *o);

#endif
