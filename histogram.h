/* SPDX-License-Identifier: Apache-2.0
 *
 * histogram.h - how often something took how long, in buckets that are always the same ones.  Pure,
 * header only.
 */
#ifndef LBD_HISTOGRAM_H
#define LBD_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 14 };

struct histogram {
	uint64_t n[HISTOGRAM_BOUNDS + 1]; /* up to that bound, and over the one before; over all */
	uint64_t sum_ms;
};

static inline uint64_t histogram_bound_ms(unsigned i)
{
	static const uint16_t bound[HISTOGRAM_BOUNDS] = {
		5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 20000, 40000, 60000};

	return bound[i];
}

static inline void histogram_add(struct histogram *h, uint64_t ms)
{
	unsigned i = 0;

	while (i < HISTOGRAM_BOUNDS && ms > histogram_bound_ms(i))
		i++;
	h->n[i]++;
	h->sum_ms += ms;
}

#endif
