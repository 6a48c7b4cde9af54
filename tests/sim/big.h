/* SPDX-License-Identifier: Apache-2.0
 *
 * big.h - a cluster beyond a laboratory: 200 nodes, 10,000 Services.
 */
#ifndef LBD_SIM_BIG_H
#define LBD_SIM_BIG_H

#include <stdbool.h>

/* Prints counts and sizes.  The process's exit code. */
int big_run(bool verbose);

#endif
