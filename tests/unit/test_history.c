/* SPDX-License-Identifier: Apache-2.0
 *
 * test_history.c - versions that go on, and versions that go back.
 */
#include "history.h"

#include "check.h"

static void test_history(void)
{
	static const struct {
		const char *name, *first, *then;
		bool back;
	} rows[] = {
		{"later", "100", "101", false},
		{"the same: nothing was changed", "100", "100", false},
		{"earlier", "101", "100", true},
		{"earlier, and shorter", "100", "99", true},
		{"later, and longer", "99", "100", false},
		{"the greatest of 64 bits", "18446744073709551615", "18446744073709551614", true},
		{"beyond 64 bits", "18446744073709551616", "18446744073709551615", true},
		{"too long", "1000000000000000000000000", "1", false},
		{"none", "100", NULL, false},
		{"empty", "100", "", false},
		{"zero says nothing", "100", "0", false},
		{"a leading zero", "100", "099", false},
		{"no number", "100", "9a", false},
		{"negative", "100", "-1", false},
		{"the first is no number", "abc", "1", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct history h = {0};

		check_row = rows[i].name;
		CHECK(!history_goes_back(&h, 0, rows[i].first));
		CHECK_INT(history_goes_back(&h, 0, rows[i].then), rows[i].back);
	}
}

/* Each object has versions of its own; one that goes back makes a new beginning for all: the others
 * do not tell the same once more. */
static void test_history_objects(void)
{
	struct history h = {0};

	CHECK(!history_goes_back(&h, 0, "500"));
	CHECK(!history_goes_back(&h, 1, "400"));
	CHECK(!history_goes_back(&h, 0, "510"));
	CHECK(!history_goes_back(&h, 1, "401"));
	CHECK(history_goes_back(&h, 1, "300"));
	CHECK(!history_goes_back(&h, 0, "290"));
	CHECK(!history_goes_back(&h, 1, "301"));
	CHECK(history_goes_back(&h, 0, "289"));
}

CHECK_MAIN("test_history", CHECK_TEST(test_history), CHECK_TEST(test_history_objects))
