/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h - memory that is freed whole: one per config, one per decoded API object.  Pure.
 */
#ifndef LBD_ARENA_H
#define LBD_ARENA_H

#include "base.h"

#include <stddef.h>

struct arena; /* opaque */

/* max_bytes bounds the sum of all allocations.  NULL when out of memory. */
struct arena *arena_new(size_t max_bytes) MUST_CHECK;
void arena_free(struct arena *a);
/* Zeroed, aligned for any type; NULL when out of memory or over the limit. */
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
/* n zeroed elements of size bytes each, overflow checked; n = 0 gives a valid pointer. */
void *arena_array(struct arena *a, size_t n, size_t size) MUST_CHECK;
char *arena_strdup(struct arena *a, const char *s) MUST_CHECK;
char *arena_strndup(struct arena *a, const char *s, size_t n) MUST_CHECK;

#endif
