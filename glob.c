/* SPDX-License-Identifier: Apache-2.0
 *
 * glob.c - does a name match a shell pattern?
 *
 * Owns: nothing.
 * Standard: POSIX.1-2017, XCU 2.13.1 and 2.13.2, in the C locale.  Not done: [=a=] and [.a.], which
 * stand for their characters there.  The libraries' fnmatch(3) is for every locale: musl's brings
 * 15 kB of Unicode tables.
 */
#include "glob.h"

#include "base.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	int (*has)(int c);
} classes[] = {
	{"alnum", isalnum},
	{"alpha", isalpha},
	{"blank", isblank},
	{"cntrl", iscntrl},
	{"digit", isdigit},
	{"graph", isgraph},
	{"lower", islower},
	{"print", isprint},
	{"punct", ispunct},
	{"space", isspace},
	{"upper", isupper},
	{"xdigit", isxdigit},
};

/* [:name:] at p: behind it, and whether c is in the class; NULL: p is nothing of the kind. */
static const char *class_at(const char *p, unsigned char c, bool *ret_in)
{
	const char *end = p[0] == '[' && p[1] == ':' ? strstr(p + 2, ":]") : NULL;

	for (size_t i = 0; i < ARRAY_LEN(classes) && end != NULL; i++) {
		size_t n = strlen(classes[i].name);

		if (n == (size_t)(end - p) - 2 && strncmp(p + 2, classes[i].name, n) == 0) {
			*ret_in = classes[i].has(c) != 0;
			return end + 2;
		}
	}
	return NULL;
}

/* One character that stands for itself: behind it. */
static const char *plain_at(const char *p, unsigned char *ret_c)
{
	if (p[0] == '\\' && p[1] != '\0')
		p++;
	*ret_c = (unsigned char)*p;
	return *p == '\0' ? p : p + 1;
}

/* What stands between brackets from p on: behind the ], and whether c is meant; NULL: there is none,
 * and the [ before p stands for itself. */
static const char *set_at(const char *p, unsigned char c, bool *ret_in)
{
	bool negated = *p == '!' || *p == '^', in = false;
	const char *first = p + (negated ? 1 : 0);

	for (p = first; *p != ']' || p == first;) {
		bool here = false;
		const char *next = class_at(p, c, &here);

		if (next == NULL) {
			unsigned char low, high;

			next = plain_at(p, &low);
			high = low;
			if (next[0] == '-' && next[1] != ']' && next[1] != '\0')
				next = plain_at(next + 1, &high);
			here = low <= c && c <= high;
		}
		if (next == p || *next == '\0')
			return NULL;
		in = in || here;
		p = next;
	}
	*ret_in = in != negated;
	return p + 1;
}

/* The pattern's first element, no *, against c: behind it, or NULL when c is not meant. */
static const char *one(const char *p, unsigned char c)
{
	bool in = true;
	unsigned char want;
	const char *next = *p == '[' ? set_at(p + 1, c, &in) : NULL;

	if (next == NULL && *p == '?')
		return p + 1;
	if (next == NULL) {
		next = plain_at(p, &want);
		in = want == c;
	}
	return in ? next : NULL;
}

bool glob_matches(const char *pattern, const char *name)
{
	const char *star = NULL, *from = NULL; /* behind the last *; what it has not swallowed */

	while (*name != '\0' || *pattern == '*') {
		const char *next;

		if (*pattern == '*') {
			star = ++pattern;
			from = name;
			continue;
		}
		next = *pattern != '\0' ? one(pattern, (unsigned char)*name) : NULL;
		if (next != NULL) {
			pattern = next;
			name++;
		} else if (star != NULL) {
			pattern = star;
			name = ++from;
		} else {
			return false;
		}
	}
	return *pattern == '\0';
}
