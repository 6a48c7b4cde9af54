/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nodename.c - by which name lbd goes: the option, $NODE_NAME, the configuration, the host's.
 */
#include "nodename.h"

#include "check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_order(void)
{
	static const struct {
		const char *name, *option, *variable, *configured, *want;
	} rows[] = {
		{"option", "a", "b", "c", "a"},
		{"variable", NULL, "b", "c", "b"},
		{"variable, empty option", "", "b", "c", "b"},
		{"configured", NULL, NULL, "c", "c"},
		{"configured, empty variable", NULL, "", "c", "c"},
	};
	char name[CONFIG_MAX_NAME + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		if (rows[i].variable != NULL)
			(void)setenv("NODE_NAME", rows[i].variable, 1);
		else
			(void)unsetenv("NODE_NAME");
		CHECK(nodename_choose(rows[i].option, rows[i].configured, name));
		CHECK_STR(name, rows[i].want);
	}
	check_row = "";
}

static void test_host(void)
{
	char name[CONFIG_MAX_NAME + 1], host[256] = "";

	(void)unsetenv("NODE_NAME");
	CHECK(gethostname(host, sizeof host - 1) == 0);
	CHECK(!nodename_choose(NULL, NULL, name));
	CHECK(strcasecmp(name, host) == 0);
	for (const char *p = name; *p != '\0'; p++)
		CHECK(!isupper((unsigned char)*p));
	CHECK(!nodename_choose("", "", name));
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_order), CHECK_TEST(test_host)};

	return check_main("test_nodename", tests, ARRAY_LEN(tests));
}
