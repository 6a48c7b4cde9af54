/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.h - OWNERSHIP's failures F1 to F36, each as it was told, with what must come of it.
 */
#ifndef LBD_SIM_SCENARIO_H
#define LBD_SIM_SCENARIO_H

#include <stdbool.h>

/* One by its name, or "all".  The process's exit code. */
int scenario_run(const char *name, bool verbose);

#endif
