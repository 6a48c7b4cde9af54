/* SPDX-License-Identifier: Apache-2.0
 *
 * config_scalar.c - the configuration's scalars as text.
 *
 * Sources: Go time.ParseDuration; RFC 1997, RFC 8092 (communities); Kubernetes' label syntax;
 * MetalLB 0.12's ConfigMap (kebab-case).
 * Not done: negative durations, durations finer than a millisecond.
 */
#include "config_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* -- durations -- */

/* One number and its unit, in nanoseconds; moves *s past it. */
static int parse_part(const char **s, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", 1000}, {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
		{"ms", NS_PER_MS}, {"s", 1000 * NS_PER_MS}, {"m", 60000 * NS_PER_MS},
		{"h", 3600000 * NS_PER_MS}};
	uint64_t whole = 0, fraction = 0, scale = 1;
	const char *p = *s;
	size_t i, len;
	bool digits = is_digit(*p);

	for (; is_digit(*p); p++) {
		if (whole > UINT64_MAX / 10 - 1)
			return -EINVAL;
		whole = whole * 10 + (uint64_t)(*p - '0');
	}
	if (*p == '.')
		for (p++; is_digit(*p); p++) {
			digits = true;
			if (scale < UINT64_C(1000000000)) { /* finer digits change nothing */
				fraction = fraction * 10 + (uint64_t)(*p - '0');
				scale *= 10;
			}
		}
	len = strcspn(p, "0123456789.");
	for (i = 0; i < ARRAY_LEN(units); i++)
		if (strlen(units[i].name) == len && memcmp(units[i].name, p, len) == 0)
			break;
	if (!digits || i == ARRAY_LEN(units) || whole > UINT64_MAX / 2 / units[i].ns)
		return -EINVAL;
	/* fraction < 10^9 and ns <= 3.6 * 10^12: split so that the product fits 64 bits. */
	*ret_ns = whole * units[i].ns + fraction * (units[i].ns / scale) +
		  fraction * (units[i].ns % scale) / scale;
	*s = p + len;
	return 0;
}

int config_duration_parse(const char *s, uint64_t *ret_ms)
{
	uint64_t sum = 0, ns;

	s += *s == '+';
	if (strcmp(s, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	if (*s == '\0')
		return -EINVAL;
	while (*s != '\0') {
		if (parse_part(&s, &ns) != 0 || ns > INT64_MAX - sum)
			return -EINVAL;
		sum += ns;
	}
	if (sum % NS_PER_MS != 0)
		return -EINVAL;
	*ret_ms = sum / NS_PER_MS;
	return 0;
}

char *config_duration_format(uint64_t ms, char s[CONFIG_DURATION_STRLEN])
{
	uint64_t n = ms;
	const char *unit = "ms";

	if (ms % 1000 == 0) {
		n = ms / 1000;
		unit = "s";
	}
	if (ms % 60000 == 0 && ms != 0) {
		n = ms / 60000;
		unit = "m";
	}
	if (ms % 3600000 == 0 && ms != 0) {
		n = ms / 3600000;
		unit = "h";
	}
	snprintf(s, CONFIG_DURATION_STRLEN, "%" PRIu64 "%s", n, unit);
	return s;
}

/* -- communities -- */

/* A decimal of at most max, then the character end; moves *s past it. */
static bool eat_number(const char **s, uint32_t max, char end, uint32_t *ret_v)
{
	uint64_t v = 0;
	const char *p = *s;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > max)
			return false;
	}
	if (*p != end)
		return false;
	*s = end != '\0' ? p + 1 : p;
	*ret_v = (uint32_t)v;
	return true;
}

/* IANA, BGP Well-known Communities: those that a speaker may attach. */
static bool is_well_known(const char *s, uint32_t *ret_v)
{
	static const struct {
		const char *name;
		uint32_t value;
	} known[] = {
		{"graceful-shutdown", 0xffff0000}, /* RFC 8326 */
		{"accept-own", 0xffff0001},        /* RFC 7611 */
		{"llgr-stale", 0xffff0006},        /* RFC 9494 */
		{"no-llgr", 0xffff0007},
		{"blackhole", 0xffff029a}, /* RFC 7999 */
		{"no-export", 0xffffff01}, /* RFC 1997 */
		{"no-advertise", 0xffffff02},
		{"no-export-subconfed", 0xffffff03},
		{"no-peer", 0xffffff04}, /* RFC 3765 */
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(s, known[i].name) == 0) {
			*ret_v = known[i].value;
			return true;
		}
	return false;
}

enum config_community_kind config_community_parse(const char *s, uint32_t ret_v[static 3])
{
	static const char large[] = "large:";
	uint32_t low;

	if (is_well_known(s, &ret_v[0]))
		return CONFIG_COMMUNITY_STANDARD;
	if (strncmp(s, large, sizeof large - 1) != 0) {
		if (!eat_number(&s, UINT16_MAX, ':', &ret_v[0]) ||
			!eat_number(&s, UINT16_MAX, '\0', &low))
			return CONFIG_COMMUNITY_NONE;
		ret_v[0] = ret_v[0] << 16 | low;
		return CONFIG_COMMUNITY_STANDARD;
	}
	s += sizeof large - 1;
	for (unsigned i = 0; i < 3; i++)
		if (!eat_number(&s, UINT32_MAX, i < 2 ? ':' : '\0', &ret_v[i]))
			return CONFIG_COMMUNITY_NONE;
	return CONFIG_COMMUNITY_LARGE;
}

/* -- labels -- */

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' ||
	       c == '_' || c == '.';
}

static bool is_label_text(const char *s, size_t len, size_t max)
{
	if (len == 0 || len > max || strchr("-_.", s[0]) != NULL ||
		strchr("-_.", s[len - 1]) != NULL)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_label_char(s[i]))
			return false;
	return true;
}

bool config_label_key_ok(const char *s)
{
	const char *slash = strchr(s, '/');

	if (slash == NULL)
		return is_label_text(s, strlen(s), 63);
	return is_label_text(s, (size_t)(slash - s), 253) &&
	       is_label_text(slash + 1, strlen(slash + 1), 63);
}

bool config_label_value_ok(const char *s)
{
	return *s == '\0' || is_label_text(s, strlen(s), 63);
}

/* -- names -- */

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c);
}

bool config_object_name_ok(const char *s)
{
	char before = '.'; /* a part begins and ends with a letter or digit */

	if (strlen(s) > 253)
		return false;
	for (; *s != '\0'; before = *s++) {
		bool inside = *s == '-' ? before != '.' : *s == '.' && is_lower_or_digit(before);

		if (!is_lower_or_digit(*s) && !inside)
			return false;
	}
	return is_lower_or_digit(before);
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

char *config_kebab(const char *camel, char s[CONFIG_MAX_KEY])
{
	/* Where MetalLB's ConfigMap did not follow its own rule. */
	static const char *const odd[][2] = {
		{"localPref", "localpref"}, {"ebgpMultiHop", "ebgp-multihop"}};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		if (strcmp(camel, odd[i][0]) == 0)
			camel = odd[i][1];
	for (size_t i = 0; camel[i] != '\0' && n < CONFIG_MAX_KEY - 2; i++) {
		/* A word begins at the first capital of a run: avoidBuggyIPs, myASN. */
		if (is_upper(camel[i]) && i > 0 && !is_upper(camel[i - 1]))
			s[n++] = '-';
		s[n++] = (char)tolower((unsigned char)camel[i]);
	}
	s[n] = '\0';
	return s;
}

/* Letters and digits alone, lower case: "address-pools" and "addressPools" are one word. */
static size_t fold(const char *from, char to[CONFIG_MAX_KEY])
{
	size_t n = 0;

	for (; *from != '\0' && n < CONFIG_MAX_KEY - 1; from++)
		if (isalnum((unsigned char)*from))
			to[n++] = (char)tolower((unsigned char)*from);
	to[n] = '\0';
	return n;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance with swapped neighbours as one step (optimal string alignment). */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][CONFIG_MAX_KEY + 1];

	for (unsigned k = 0; k <= nb; k++)
		rows[0][k] = k;
	for (size_t i = 1; i <= na; i++) {
		unsigned *row = rows[i % 3], *up = rows[(i + 2) % 3], *upup = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= nb; k++) {
			row[k] =
				min3(row[k - 1] + 1, up[k] + 1, up[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
				upup[k - 2] + 1 < row[k])
				row[k] = upup[k - 2] + 1;
		}
	}
	return rows[na % 3][nb];
}

unsigned config_likeness(const char *got, const char *candidate)
{
	char a[CONFIG_MAX_KEY], b[CONFIG_MAX_KEY];
	size_t na, nb, longer, shorter;
	unsigned d;

	if (strlen(got) >= CONFIG_MAX_KEY || strlen(candidate) >= CONFIG_MAX_KEY)
		return 0;
	na = fold(got, a);
	nb = fold(candidate, b);
	longer = na > nb ? na : nb;
	shorter = na > nb ? nb : na;
	if (shorter == 0)
		return 0;
	if (longer - shorter <= 1 + longer / 5) {
		d = distance(a, na, b, nb);
		if (d <= 1 + longer / 5 && d < shorter)
			return d + 1;
	}
	/* "interval" for "receiveInterval": one ends or begins the other. */
	if (shorter >= 4 &&
		(strncmp(a, b, shorter) == 0 || strcmp(a + na - shorter, b + nb - shorter) == 0))
		return 20 + (unsigned)(longer - shorter);
	return 0;
}
