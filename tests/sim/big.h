/* SPDX-License-Identifier: Apache-2.0
 *
 * big.h - a cluster beyond a laboratory: up to 256 nodes.
 */
#ifndef LBD_SIM_BIG_H
#define LBD_SIM_BIG_H

#include <stdbool.h>

/* Prints counts and sizes.  The process's exit code. */
int big_run(unsigned nodes, unsigned services, bool verbose);

#endif
