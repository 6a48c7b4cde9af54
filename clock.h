/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h - the time that shells hand to pure units.  Header only; not for those.
 */
#ifndef LBD_CLOCK_H
#define LBD_CLOCK_H

#include "base.h"

#include <stdint.h>
#include <time.h>

/* CLOCK_BOOTTIME in milliseconds: counts while suspended. */
static inline uint64_t clock_now_ms(void)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_BOOTTIME, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#endif
