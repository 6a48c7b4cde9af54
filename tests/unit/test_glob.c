/* SPDX-License-Identifier: Apache-2.0
 *
 * test_glob.c - shell patterns: rows, and what this machine's fnmatch(3) says of random ones.
 */
#include "base.h"
#include "check.h"
#include "glob.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_rows(void)
{
	static const struct {
		const char *pattern, *name;
		bool want;
	} rows[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "eth0", true},
		{"?", "", false},
		{"?", "a", true},
		{"eth0", "eth0", true},
		{"eth0", "eth01", false},
		{"eth01", "eth0", false},
		{"eth*", "eth", true},
		{"veth*", "eth0", false},
		{"*0", "eth00", true},
		{"*th*0*", "eth0.100", true},
		{"*a*b", "aab.a", false},
		{"eth[0-3]", "eth2", true},
		{"eth[0-3]", "eth4", false},
		{"eth[!0-3]", "eth4", true},
		{"eth[^0-3]", "eth2", false},
		{"eth[]]", "eth]", true},
		{"eth[!]]", "eth]", false},
		{"eth[a-]", "eth-", true},
		{"eth[3-0]", "eth2", false},
		{"eth[", "eth[", true},
		{"eth[0", "eth0", false},
		{"eth[0", "eth[0", true},
		{"eth[0-", "eth[0-", true},
		{"eth[[:digit:]]", "eth0", true},
		{"eth[[:digit:]]", "ethd", false},
		{"eth[![:alpha:]x]", "eth0", true},
		{"[[:upper:][:digit:]]", "A", true},
		{"[[:xdigit:]]", "g", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"[\\]]", "]", true},
		{"[a\\-z]", "b", false},
		{"*[", "x[", true},
		{"a/*", "a/b/c", true},
		{"*", ".hidden", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].pattern;
		CHECK_INT(glob_matches(rows[i].pattern, rows[i].name), rows[i].want);
	}
}

static void fill(char *s, size_t max, const char *from, unsigned *seed)
{
	size_t n = (size_t)rand_r(seed) % max;

	for (size_t i = 0; i < n; i++)
		s[i] = from[(size_t)rand_r(seed) % strlen(from)];
	s[n] = '\0';
}

/* Left out is what POSIX leaves open, a backslash that ends and ranges that begin with a class, and
 * "[a-" without an end, which glibc does not take for plain characters. */
static bool is_open(const char *p)
{
	size_t n = strlen(p);

	return (n > 0 && (p[n - 1] == '\\' || p[n - 1] == '-')) || strstr(p, "]-") != NULL;
}

static void test_as_fnmatch(void)
{
	unsigned seed = 1, matched = 0;
	char row[32];

	for (unsigned i = 0; i < 500000; i++) {
		char p[10], s[7];

		fill(p, sizeof p, "ab-*?[]!^\\", &seed);
		fill(s, sizeof s, "ab-]\\[", &seed);
		if (is_open(p))
			continue;
		bool want = fnmatch(p, s, 0) == 0;

		matched += want;
		(void)snprintf(row, sizeof row, "%s against %s", p, s);
		check_row = row;
		CHECK_INT(glob_matches(p, s), want);
	}
	check_row = "";
	CHECK(matched > 1000);
}

CHECK_MAIN("test_glob", CHECK_TEST(test_rows), CHECK_TEST(test_as_fnmatch))
