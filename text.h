/* SPDX-License-Identifier: Apache-2.0
 *
 * text.h - strings that may be absent (NULL), and slots that own a copy of one.  Pure, header only.
 */
#ifndef LBD_TEXT_H
#define LBD_TEXT_H

#include "base.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool text_eq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Replaces *slot (owned, or NULL) by a copy of s (or NULL).  false when out of memory (unchanged).
 */
static inline bool text_set(char **slot, const char *s)
{
	char *copy = NULL;

	if (text_eq(*slot, s))
		return true;
	if (s != NULL) {
		copy = strdup(s);
		if (copy == NULL)
			return false;
	}
	free(*slot);
	*slot = copy;
	return true;
}

/* "b/a" of "a/b"; false: s has no slash, or there is no room. */
static inline bool text_swap(const char *s, char *ret, size_t size)
{
	const char *slash = strchr(s, '/');
	int n;

	if (slash == NULL)
		return false;
	n = snprintf(ret, size, "%s/%.*s", slash + 1, (int)(slash - s), s);
	return n >= 0 && (size_t)n < size;
}

#endif
