/* SPDX-License-Identifier: Apache-2.0
 *
 * gauge.h - the daemon's whole state as metrics.
 */
#ifndef LBD_GAUGE_H
#define LBD_GAUGE_H

#include "daemon.h"
#include "metrics.h"

/* Every family but those of the process.  false: out of memory. */
bool gauge_write(const struct daemon *d, struct metrics *m, uint64_t now_ms) MUST_CHECK;

#endif
