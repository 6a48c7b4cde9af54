/* SPDX-License-Identifier: Apache-2.0
 *
 * history.c - does the API still tell the same history?
 *
 * Owns: for each object the last version that the API answered.
 * In:   versions, in order.  Out: has one gone back?
 *
 * Source: KEP-5504 (comparable resource versions).
 */
#include "history.h"

#include <string.h>

/* Decimal digits without a leading zero, as KEP-5504 wants them. */
static bool is_number(const char *s)
{
	const size_t n = strlen(s);

	return n > 0 && n <= HISTORY_DIGITS && s[0] != '0' && strspn(s, "0123456789") == n;
}

bool history_is_before(const char *a, const char *b)
{
	size_t na, nb;

	if (a == NULL || b == NULL || !is_number(a) || !is_number(b))
		return false;
	na = strlen(a);
	nb = strlen(b);
	return na != nb ? na < nb : strcmp(a, b) < 0;
}

bool history_goes_back(struct history *h, unsigned object, const char *version)
{
	char *seen = h->seen[object];
	bool back;

	if (version == NULL || !is_number(version))
		return false;
	back = history_is_before(version, seen);
	if (back)
		*h = (struct history){0};
	memcpy(seen, version, strlen(version) + 1);
	return back;
}
