/* SPDX-License-Identifier: Apache-2.0
 *
 * base.h - the few words every unit uses: REQUIRE(), attributes, the injected random source.
 * Pure, header only.
 */
#ifndef LBD_BASE_H
#define LBD_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A broken invariant of our own: abort in release too; the core file names the line. */
#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			abort();                                                                   \
	} while (0)

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
/* What p, its member, is in. */
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define TIME_NEVER UINT64_MAX /* a deadline in monotonic milliseconds that never comes */

static inline uint64_t time_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t time_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* splitmix64: jitter and tie-breaking only, never keys.  The shell seeds it from getrandom(2), the
 * simulator from its seed, so that a run replays exactly. */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform enough in [0, n); 0 for n = 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n == 0 ? 0 : rng_next(r) % n;
}

#endif
