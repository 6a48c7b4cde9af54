/* SPDX-License-Identifier: Apache-2.0
 *
 * test_columns.c - tables, sentences, ages and times for a terminal.
 */
#include "check.h"
#include "columns.h"

enum { ROOM = 4096 };

static void test_text(void)
{
	static const struct {
		const char *name, *in, *want;
	} row[] = {
		{"plain", "web/shop-1", "web/shop-1"},
		{"nothing", "", ""},
		{"letters", "f\xc3\xbcr \xe2\x82\xac \xf0\x9f\x90\x84",
			"f\xc3\xbcr \xe2\x82\xac \xf0\x9f\x90\x84"},
		{"control", "a\x1b[2J\r\n\t\x7f", "a\\x1b[2J\\x0d\\x0a\\x09\\x7f"},
		{"control of 8 bits",
			"\xc2\x9b"
			"31m",
			"\\xc2\\x9b31m"},
		{"turns the writing", "\xe2\x80\xaegnp", "\\xe2\\x80\\xaegnp"},
		{"no UTF-8", "\xff\x80", "\\xff\\x80"},
		{"ends early", "\xe2\x82", "\\xe2\\x82"},
		{"too long a form", "\xc0\x9b", "\\xc0\\x9b"},
		{"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"beyond Unicode", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct buf out;

		check_row = row[i].name;
		buf_init(&out, ROOM);
		columns_text(&out, row[i].in);
		CHECK_STR(out.p != NULL ? out.p : "", row[i].want);
		buf_free(&out);
	}
}

static const struct columns_head head[] = {{"NAME", true, false}, {"ADDRESS", false, false},
	{"MAC", false, true}, {"TEXT", true, false}};

static struct columns *table_new(bool wide)
{
	static const char *const cell[] = {"a", "10.0.0.1", "02::", "short", "a-name-of-eighteen",
		"10.0.0.200", NULL,
		"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", "", "",
		"", ""};
	struct columns *t = columns_new(head, ARRAY_LEN(head), wide);

	if (t == NULL)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(cell); i++)
		columns_add(t, cell[i]);
	return t;
}

static void check_table(bool wide, unsigned width, const char *want)
{
	struct columns *t = table_new(wide);
	struct buf out;

	buf_init(&out, ROOM);
	columns_print(t, width, &out);
	CHECK_STR(out.p, want);
	buf_free(&out);
	columns_free(t);
}

static void test_table(void)
{
	check_row = "as wide as it is";
	check_table(false, 80,
		"NAME                ADDRESS     TEXT\n"
		"a                   10.0.0.1    short\n"
		"a-name-of-eighteen  10.0.0.200  "
		"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\n"
		"-                   -           -\n");
	check_row = "the widest gives way";
	check_table(false, 34,
		"NAME         ADDRESS     TEXT\n"
		"a            10.0.0.1    short\n"
		"a-name-of-\xe2\x80\xa6  10.0.0.200  "
		"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\n"
		"-            -           -\n");
	check_row = "never an address";
	check_table(false, 1,
		"NAME      ADDRESS     TEXT\n"
		"a         10.0.0.1    short\n"
		"a-name-\xe2\x80\xa6  10.0.0.200  "
		"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xe2\x80\xa6\n"
		"-         -           -\n");
	check_row = "wide";
	check_table(true, COLUMNS_ALL,
		"NAME                ADDRESS     MAC   TEXT\n"
		"a                   10.0.0.1    02::  short\n"
		"a-name-of-eighteen  10.0.0.200  -     "
		"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\n"
		"-                   -           -     -\n");
}

static void test_html(void)
{
	struct columns *t = columns_new(head, ARRAY_LEN(head), false);
	struct buf out;

	if (t == NULL)
		abort();
	columns_mark(t, COLUMNS_BAD, ""); /* of no cell */
	columns_add(t, "a<b>&\"'\x1b");
	columns_add(t, NULL);
	columns_add(t, "5m");
	columns_mark(t, COLUMNS_TIME, "2026-11-29T12:00:00Z");
	columns_add(t, "</td>");
	columns_mark(t, COLUMNS_BAD, "");
	columns_add(t, "");
	columns_add(t, "3 of 4");
	columns_mark(t, COLUMNS_BAR, "75");
	columns_add(t, "-");
	columns_add(t, "x");
	buf_init(&out, ROOM);
	columns_print_html(t, &out);
	CHECK_STR(out.p,
		"<div><table><thead><tr><th scope=col>NAME<th scope=col>ADDRESS<th scope=col>MAC"
		"<th scope=col>TEXT<tbody>\n"
		"<tr><th scope=row>a&#60;b&#62;&#38;&#34;&#39;\\x1b<td data-h=\"ADDRESS\">"
		"<td data-h=\"MAC\"><time datetime=\"2026-11-29T12:00:00Z\" "
		"title=\"2026-11-29T12:00:00Z\">5m</time>"
		"<td data-h=\"TEXT\" class=bad>&#60;/td&#62;\n"
		"<tr><th scope=row><td data-h=\"ADDRESS\"><svg aria-hidden=true>"
		"<rect width=\"75%\" height=\"100%\"/></svg> 3 of 4"
		"<td data-h=\"MAC\"><td data-h=\"TEXT\">x\n"
		"</table></div>\n");
	buf_reset(&out);
	columns_print(t, COLUMNS_ALL, &out);
	CHECK_STR(out.p, "NAME         ADDRESS  TEXT\n"
			 "a<b>&\"'\\x1b  -        </td>\n"
			 "-            3 of 4   x\n");
	buf_free(&out);
	columns_free(t);
}

static void test_wrap(void)
{
	static const struct {
		const char *name, *in;
		unsigned width;
		const char *want;
	} row[] = {
		{"fits", "one two", 9, "- one two\n"},
		{"does not", "one two", 8, "- one\n  two\n"},
		{"a long word stands alone", "a elephantine b", 6, "- a\n  elephantine\n  b\n"},
		{"all", "one two three four", COLUMNS_ALL, "- one two three four\n"},
		{"blanks", "  one   two ", 80, "- one two\n"},
		{"nothing", "", 80, "- \n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct buf out;

		check_row = row[i].name;
		buf_init(&out, ROOM);
		columns_wrap(&out, "- ", row[i].in, row[i].width);
		CHECK_STR(out.p, row[i].want);
		buf_free(&out);
	}
}

static void test_age(void)
{
	enum { S = 1000, M = 60 * S, H = 60 * M };
	static const uint64_t day = UINT64_C(24) * H;
	const struct {
		uint64_t ms;
		const char *want;
	} row[] = {{0, "0s"}, {999, "0s"}, {119 * S, "119s"}, {2 * M, "2m"},
		{2 * M + 5 * S, "2m5s"}, {10 * M + 5 * S, "10m"}, {179 * M, "179m"}, {3 * H, "3h"},
		{3 * H + 20 * M, "3h20m"}, {8 * H + 20 * M, "8h"}, {2 * day - 1, "47h"},
		{2 * day + 4 * H, "2d4h"}, {8 * day + 4 * H, "8d"}, {729 * day, "729d"},
		{740 * day, "2y10d"}, {3000 * day, "8y"}, {UINT64_MAX, "584942417y"}};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct buf out;

		check_row = row[i].want;
		buf_init(&out, ROOM);
		columns_age(row[i].ms, &out);
		CHECK_STR(out.p, row[i].want);
		buf_free(&out);
	}
}

static void test_time(void)
{
	static const struct {
		const char *in;
		int64_t want;
	} row[] = {{"1970-01-01T00:00:00Z", 0}, {"1970-01-01T00:00:00.005Z", 5},
		{"2026-11-29T03:42:37.636Z", INT64_C(1795923757636)},
		{"2024-02-29T12:00:00.123456Z", INT64_C(1709208000123)},
		{"2000-12-31T23:59:60Z", INT64_C(978307200000)}, {"", -1}, {"2026", -1},
		{"2026-13-01T00:00:00Z", -1}, {"2026-01-00T00:00:00Z", -1},
		{"2026-01-01T24:00:00Z", -1}, {"2026-01-01 00:00:00Z", -1},
		{"2026-01-01T00:00:00", -1}, {"2026-01-01T00:00:00+01:00", -1},
		{"2026-01-01T00:00:00Zx", -1}, {"1969-12-31T23:59:59Z", -1},
		{"2026-01-01T00:00", -1}};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		check_row = row[i].in;
		CHECK_INT(columns_time(row[i].in), row[i].want);
	}
	CHECK_INT(columns_time(NULL), -1);
}

CHECK_MAIN("test_columns", CHECK_TEST(test_text), CHECK_TEST(test_table), CHECK_TEST(test_html),
	CHECK_TEST(test_wrap), CHECK_TEST(test_age), CHECK_TEST(test_time))
