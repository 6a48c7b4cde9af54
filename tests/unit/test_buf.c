/* SPDX-License-Identifier: Apache-2.0
 *
 * test_buf.c - the growable buffer: its limit, its sticky error, its NUL.
 */
#include "buf.h"
#include "check.h"

static void test_add(void)
{
	struct buf b;

	buf_init(&b, 1000);
	CHECK(b.p == NULL && b.len == 0);
	buf_adds(&b, "ab");
	buf_addc(&b, 'c');
	buf_addf(&b, "%d-%s", 12, "x");
	buf_add(&b, "\0y", 2);
	buf_add(&b, "", 0);
	CHECK_INT(b.len, 9);
	CHECK(!b.bad && memcmp(b.p, "abc12-x\0y", 10) == 0);
	buf_free(&b);
	CHECK(b.p == NULL && b.len == 0 && b.max == 1000);
	buf_free(&b);
}

static void test_limit(void)
{
	static const struct {
		const char *name;
		size_t max, add;
		bool bad;
	} rows[] = {
		{"nothing into nothing", 0, 0, false},
		{"one into nothing", 0, 1, true},
		{"one less", 10, 9, false},
		{"just so", 10, 10, false},
		{"one more", 10, 11, true},
		{"past the first block", 200, 200, false},
		{"at the first block", 64, 64, false},
		{"one past it", 64, 65, true},
	};
	char text[256];

	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf whole, bytes, format;

		check_row = rows[i].name;
		buf_init(&whole, rows[i].max);
		buf_init(&bytes, rows[i].max);
		buf_init(&format, rows[i].max);
		buf_add(&whole, text, rows[i].add);
		for (size_t n = 0; n < rows[i].add; n++)
			buf_addc(&bytes, 'x');
		buf_addf(&format, "%.*s", (int)rows[i].add, text);
		CHECK_INT(whole.bad, rows[i].bad);
		CHECK_INT(bytes.bad, rows[i].bad);
		CHECK_INT(format.bad, rows[i].bad);
		CHECK_INT(whole.len, rows[i].bad ? 0 : rows[i].add);
		CHECK_INT(bytes.len, rows[i].bad ? rows[i].max : rows[i].add);
		CHECK(bytes.p == NULL || bytes.p[bytes.len] == '\0');
		buf_free(&whole);
		buf_free(&bytes);
		buf_free(&format);
	}
}

static void test_error_sticks(void)
{
	struct buf b;

	buf_init(&b, 4);
	buf_adds(&b, "abc");
	buf_adds(&b, "de");
	buf_addc(&b, 'd'); /* would fit, but comes too late */
	CHECK(b.bad);
	CHECK_STR(b.p, "abc");
	CHECK(buf_take(&b) == NULL);
	CHECK(!b.bad && b.p == NULL);
	buf_adds(&b, "abcde");
	buf_reset(&b);
	CHECK(!b.bad && b.len == 0);
	buf_adds(&b, "abcd");
	CHECK_STR(b.p, "abcd");
	buf_reset(&b);
	CHECK_STR(b.p, "");
	buf_free(&b);
}

static void test_drop(void)
{
	struct buf b;

	buf_init(&b, 100);
	buf_drop(&b, 0);
	buf_adds(&b, "abcdef");
	buf_drop(&b, 0);
	CHECK_STR(b.p, "abcdef");
	buf_drop(&b, 2);
	CHECK_STR(b.p, "cdef");
	buf_drop(&b, 4);
	CHECK_STR(b.p, "");
	CHECK_INT(b.len, 0);
	buf_free(&b);
}

static void test_take(void)
{
	struct buf b;
	char *s;

	buf_init(&b, 100);
	s = buf_take(&b);
	CHECK_STR(s, "");
	free(s);
	buf_adds(&b, "abc");
	s = buf_take(&b);
	CHECK_STR(s, "abc");
	CHECK(b.p == NULL && b.len == 0);
	free(s);
	buf_free(&b);
}

CHECK_MAIN("test_buf", CHECK_TEST(test_add), CHECK_TEST(test_limit), CHECK_TEST(test_error_sticks),
	CHECK_TEST(test_drop), CHECK_TEST(test_take))
