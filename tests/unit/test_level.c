/* SPDX-License-Identifier: Apache-2.0
 *
 * test_level.c - the log's levels: their names, one by hand and how long it lasts.
 */
#include "base.h"
#include "check.h"
#include "level.h"

#include <errno.h>

static void test_names(void)
{
	static const struct {
		const char *name;
		int want;
		enum log_level level;
	} rows[] = {
		{"error", 0, LOG_ERROR},
		{"warn", 0, LOG_WARN},
		{"info", 0, LOG_INFO},
		{"debug", 0, LOG_DEBUG},
		{"", -EINVAL, LOG_DEBUG},
		{"Info", -EINVAL, LOG_DEBUG},
		{"infos", -EINVAL, LOG_DEBUG},
	};
	enum log_level level;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		level = LOG_DEBUG;
		CHECK_INT(level_parse(rows[i].name, &level), rows[i].want);
		CHECK_INT(level, rows[i].level);
	}
	check_row = "";
	for (unsigned i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		CHECK_INT(level_parse(level_name((enum log_level)i), &level), 0);
		CHECK_INT(level, i);
	}
}

static void test_by_hand(void)
{
	struct level_hand h = {0};

	CHECK_INT(level_next_deadline(&h), (long long)TIME_NEVER);
	CHECK(!level_ends(&h, 0) && !level_ends(&h, TIME_NEVER));
	level_set(&h, LOG_DEBUG, 600, 1000);
	CHECK(h.on && h.level == LOG_DEBUG);
	CHECK_INT(level_next_deadline(&h), 1600);
	CHECK(!level_ends(&h, 1000) && !level_ends(&h, 1599) && h.on);
	CHECK(level_ends(&h, 1600) && !h.on);
	CHECK(!level_ends(&h, 1600)); /* once */
	CHECK_INT(level_next_deadline(&h), (long long)TIME_NEVER);
	/* without an end; the later word counts, an end of before does not */
	level_set(&h, LOG_ERROR, 600, 2000);
	level_set(&h, LOG_WARN, 0, 2100);
	CHECK(h.on && h.level == LOG_WARN);
	CHECK_INT(level_next_deadline(&h), (long long)TIME_NEVER);
	CHECK(!level_ends(&h, 2600) && h.on);
	/* the longest */
	level_set(&h, LOG_DEBUG, LEVEL_MAX_MS, UINT64_C(1) << 53);
	CHECK(!level_ends(&h, (UINT64_C(1) << 53) + LEVEL_MAX_MS - 1));
	CHECK(level_ends(&h, (UINT64_C(1) << 53) + LEVEL_MAX_MS));
}

static void test_text(void)
{
	struct level_hand h = {0};
	char s[LEVEL_TEXT];

	CHECK_STR(level_text(&h, LOG_INFO, "the configuration", "", s),
		"info, by the configuration");
	CHECK_STR(level_text(&h, LOG_WARN, "--log-level", "", s), "warn, by --log-level");
	level_set(&h, LOG_DEBUG, 600, 1000);
	CHECK_STR(level_text(&h, LOG_INFO, "the configuration", "2026-08-21T10:00:00.123Z", s),
		"debug until 2026-08-21T10:00:00.123Z, then info");
	level_set(&h, LOG_ERROR, 0, 1000);
	CHECK_STR(level_text(&h, LOG_INFO, "the configuration", "", s),
		"error, by hand: until a restart or `lbd log-level config`");
}

CHECK_MAIN("test_level", CHECK_TEST(test_names), CHECK_TEST(test_by_hand), CHECK_TEST(test_text))
