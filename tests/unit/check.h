/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h - the unit tests' harness: CHECK() reports and goes on, each test function is counted, the last line is
 * "test_x: N passed, N failed" and the exit code tells.
 */
#ifndef LBD_CHECK_H
#define LBD_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned check_failures; /* in the running test */
static const char *check_row = ""; /* name of the table row under test */

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			check_failures++;                                                          \
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, check_row, #cond);          \
		}                                                                                  \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *check_g = (got), *check_w = (want);                                    \
		if (check_g == NULL || strcmp(check_g, check_w) != 0) {                            \
			check_failures++;                                                          \
			printf("%s:%d: %s: got \"%s\", want \"%s\"\n", __FILE__, __LINE__,         \
				check_row, check_g != NULL ? check_g : "(null)", check_w);         \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long check_gi = (long long)(got), check_wi = (long long)(want);               \
		if (check_gi != check_wi) {                                                        \
			check_failures++;                                                          \
			printf("%s:%d: %s: %s is %lld, want %lld\n", __FILE__, __LINE__,           \
				check_row, #got, check_gi, check_wi);                              \
		}                                                                                  \
	} while (0)

/* A copy of n bytes that ends exactly at an unreadable page: one byte too far is a crash. check_unguard() frees it. */
static inline unsigned char *check_guard(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (n + page - 1) / page * page;
	unsigned char *base = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED || mprotect(base + room, page, PROT_NONE) != 0)
		abort();
	if (n > 0)
		memcpy(base + room - n, p, n);
	return base + room - n;
}

static inline void check_unguard(unsigned char *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (n + page - 1) / page * page;

	munmap(p + n - room, room + page);
}

struct check_test {
	const char *name;
	void (*fn)(void);
};
#define CHECK_TEST(fn) {#fn, fn}

static inline int check_main(const char *name, const struct check_test *tests, size_t n)
{
	unsigned passed = 0, failed = 0;

	for (size_t i = 0; i < n; i++) {
		check_failures = 0;
		check_row = tests[i].name;
		tests[i].fn();
		if (check_failures == 0) {
			passed++;
		} else {
			failed++;
			printf("%s: FAILED\n", tests[i].name);
		}
	}
	printf("%s: %u passed, %u failed\n", name, passed, failed);
	return failed == 0 ? 0 : 1;
}
#define CHECK_MAIN(name, ...)                                                                      \
	int main(void)                                                                             \
	{                                                                                          \
		static const struct check_test tests[] = {__VA_ARGS__};                            \
		return check_main(name, tests, sizeof tests / sizeof tests[0]);                    \
	}

#endif
