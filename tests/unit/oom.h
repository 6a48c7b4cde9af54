/* SPDX-License-Identifier: Apache-2.0
 *
 * oom.h - for tests: memory that runs out on demand.  Not under a sanitizer, which has its own malloc: there
 * MEMORY_CAN_FAIL is not defined.
 */
#ifndef LBD_OOM_H
#define LBD_OOM_H

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
#define MEMORY_CAN_FAIL 1

#include <stdbool.h>
#include <stdlib.h>

static long fail_after = -1; /* allocations that still succeed; -1 = all */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool fails(void)
{
	if (fail_after < 0)
		return false;
	if (fail_after == 0)
		return true;
	fail_after--;
	return false;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
#endif

#endif
