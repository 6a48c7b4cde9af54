/* SPDX-License-Identifier: Apache-2.0
 *
 * test_arena.c - memory that is freed whole: alignment, zeroing, the limit, overflow.
 */
#include "arena.h"
#include "check.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void test_alloc(void)
{
	struct arena *a = arena_new(1024 * 1024);
	unsigned char *v[200];

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = arena_alloc(a, i);
		CHECK(v[i] != NULL && is_zero(v[i], i));
		CHECK_INT((uintptr_t)v[i] % _Alignof(max_align_t), 0);
		memset(v[i], (int)i, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(v); i++) /* none was written over by another */
		for (size_t j = 0; j < i; j++)
			CHECK(v[i][j] == (unsigned char)i);
	arena_free(a);
	arena_free(NULL);
}

static void test_limit(void)
{
	static const struct {
		const char *name;
		size_t max, first, second;
		bool fits;
	} rows[] = {
		{"nothing", 0, 0, 0, true},
		{"one of none", 0, 0, 1, false},
		{"all", 64, 32, 32, true},
		{"rounded up", 64, 33, 17, false},
		{"one too many", 64, 64, 1, false},
		{"a great block", 1 << 20, 16, (1 << 20) - 16, true},
		{"over a great block", 1 << 20, 16, (1 << 20) - 15, false},
		{"overflow", 64, 0, SIZE_MAX, false},
		{"overflow by rounding", SIZE_MAX, 0, SIZE_MAX - 3, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(rows[i].max);

		check_row = rows[i].name;
		CHECK(arena_alloc(a, rows[i].first) != NULL);
		CHECK_INT(arena_alloc(a, rows[i].second) != NULL, rows[i].fits);
		CHECK(arena_alloc(a, 0) != NULL); /* a refusal spoils nothing */
		arena_free(a);
	}
}

static void test_array(void)
{
	struct arena *a = arena_new(4096);
	uint64_t *v = arena_array(a, 10, sizeof *v);

	CHECK(v != NULL && is_zero((unsigned char *)v, 10 * sizeof *v));
	CHECK(arena_array(a, 0, 8) != NULL);
	CHECK(arena_array(a, 8, 0) != NULL);
	CHECK(arena_array(a, SIZE_MAX / 2, 4) == NULL); /* wraps round to little */
	CHECK(arena_array(a, SIZE_MAX, SIZE_MAX) == NULL);
	arena_free(a);
}

static void test_text(void)
{
	struct arena *a = arena_new(64);
	unsigned char *in = check_guard("abc", 3);

	CHECK_STR(arena_strdup(a, ""), "");
	CHECK_STR(arena_strndup(a, (const char *)in, 3), "abc");
	CHECK_STR(arena_strndup(a, "abc", 2), "ab");
	CHECK(arena_strdup(a, "0123456789abcdef0123456789abcdef") == NULL);
	CHECK(arena_strndup(a, "", SIZE_MAX) == NULL);
	check_unguard(in, 3);
	arena_free(a);
}

CHECK_MAIN("test_arena", CHECK_TEST(test_alloc), CHECK_TEST(test_limit), CHECK_TEST(test_array),
	CHECK_TEST(test_text))
