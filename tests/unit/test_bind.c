/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bind.c - which writes bind.c wants, in which order and when; a kernel that has other ideas.
 */
#include "bind.h"

#include "check.h"
#include "oom.h"

#include <errno.h>

enum { ETH0 = 2, ETH1 = 3, MANY = 1000 };

static const struct hash_key hkey = {1, 2};
static struct bind *b;

static struct addr ip(unsigned last)
{
	const uint8_t v4[4] = {10, 0, (uint8_t)(last >> 8), (uint8_t)last};

	return addr_from_v4(v4);
}

static void open_bind(void)
{
	b = bind_new(&hkey);
	if (b == NULL)
		abort();
}

/* "A1" adds 10.0.0.1, "F" refreshes, "R" removes; what is due at now_ms, each answered with err. */
static const char *writes(uint64_t now_ms, int err)
{
	static char s[BIND_BATCH * 8];
	struct bind_write v[BIND_BATCH];
	size_t n = bind_next(b, now_ms, v, BIND_BATCH), at = 0;

	s[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(s + at, sizeof s - at, "%s%c%u", i > 0 ? " " : "",
			"AFR"[v[i].verb], (unsigned)(v[i].addr.lo & 0xff));
	for (size_t i = 0; i < n; i++)
		(void)bind_done(b, &v[i], err, now_ms);
	return s;
}

static void test_add_refresh_remove(void)
{
	open_bind();
	CHECK_INT(bind_next_deadline(b), TIME_NEVER);
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	CHECK_INT(bind_next_deadline(b), 0);
	CHECK_STR(writes(100, 0), "A1");
	CHECK(bind_is_held(b, ETH0, ip(1)));
	CHECK(!bind_is_held(b, ETH1, ip(1)));
	CHECK_INT(bind_next_deadline(b), 1100);
	CHECK_STR(writes(1099, 0), "");
	CHECK_STR(writes(1100, 0), "F1");
	CHECK_INT(bind_next_deadline(b), 2100);
	CHECK(!bind_is_busy(b));
	bind_unwant(b, ETH0, ip(1));
	/* lbd stops counting on the kernel at once. */
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	CHECK(bind_is_busy(b));
	CHECK_STR(writes(1200, 0), "R1");
	CHECK(!bind_is_busy(b));
	CHECK_INT(bind_count(b), 0);
	CHECK_INT(bind_next_deadline(b), TIME_NEVER);
	bind_unwant(b, ETH0, ip(1));
	bind_free(b);
}

/* Never bound, never written about. */
static void test_unwanted_before_written(void)
{
	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	bind_unwant(b, ETH0, ip(1));
	CHECK_STR(writes(0, 0), "");
	CHECK_INT(bind_count(b), 0);
	bind_free(b);
}

static void test_order(void)
{
	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_INT(bind_want(b, ETH0, ip(2)), 0);
	CHECK_STR(writes(0, 0), "A1 A2");
	CHECK_INT(bind_want(b, ETH0, ip(3)), 0);
	bind_unwant(b, ETH0, ip(2));
	CHECK_STR(writes(1000, 0), "R2 A3 F1");
	bind_free(b);
}

/* The wish changes while a write is under way: no other is given until that is answered. */
static void test_change_under_way(void)
{
	struct bind_write w;

	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_INT(bind_next(b, 0, &w, 1), 1);
	bind_unwant(b, ETH0, ip(1));
	CHECK(bind_is_busy(b));
	CHECK_STR(writes(0, 0), "");
	CHECK(!bind_done(b, &w, 0, 0));
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	CHECK_INT(bind_next(b, 0, &w, 1), 1);
	CHECK_INT(w.verb, BIND_REMOVE);
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK(!bind_done(b, &w, 0, 0));
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	CHECK_STR(writes(0, 0), "A1");
	CHECK(bind_is_held(b, ETH0, ip(1)));
	bind_free(b);
}

static void test_left_over(void)
{
	open_bind();
	CHECK_INT(bind_on_kernel(b, ETH0, ip(1), true), 0);
	CHECK_INT(bind_on_kernel(b, ETH0, ip(2), true), 0);
	CHECK(bind_is_busy(b));
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	/* Ours again before it was removed: it is not added, it is there. */
	CHECK_INT(bind_want(b, ETH0, ip(2)), 0);
	CHECK_STR(writes(0, 0), "R1 F2");
	CHECK(bind_is_held(b, ETH0, ip(2)));
	/* One that ends by itself before that needs no write. */
	CHECK_INT(bind_on_kernel(b, ETH0, ip(3), true), 0);
	CHECK_INT(bind_on_kernel(b, ETH0, ip(3), false), 0);
	CHECK_INT(bind_on_kernel(b, ETH0, ip(4), false), 0);
	CHECK_STR(writes(0, 0), "");
	CHECK_INT(bind_count(b), 1);
	bind_free(b);
}

/* Somebody takes it off: it is put back at once, and until then lbd answers. */
static void test_taken_off(void)
{
	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_STR(writes(0, 0), "A1");
	CHECK_INT(bind_on_kernel(b, ETH0, ip(1), true), 0);
	CHECK(bind_is_held(b, ETH0, ip(1)));
	CHECK_INT(bind_on_kernel(b, ETH0, ip(1), false), 0);
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	/* Refreshed, not added: the news may be older than our last write. */
	CHECK_STR(writes(10, 0), "F1");
	CHECK(bind_is_held(b, ETH0, ip(1)));
	CHECK_INT(bind_next_deadline(b), 1010);
	bind_free(b);
}

/* News of a write that is under way says nothing new. */
static void test_news_under_way(void)
{
	struct bind_write w;

	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_INT(bind_next(b, 0, &w, 1), 1);
	CHECK_INT(bind_on_kernel(b, ETH0, ip(1), true), 0);
	CHECK_INT(bind_on_kernel(b, ETH0, ip(1), false), 0);
	CHECK(!bind_done(b, &w, 0, 0));
	CHECK(bind_is_held(b, ETH0, ip(1)));
	bind_free(b);
}

static void test_refused(void)
{
	static const struct {
		const char *name;
		int err;
		const char *after; /* the write a second later */
	} rows[] = {
		{"the host's own", -EEXIST, "A1"},
		{"no interface", -ENODEV, "A1"},
		{"IPv6 is off there", -EACCES, "A1"},
		{"nonsense", -EINVAL, "A1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bind_write w;

		check_row = rows[i].name;
		open_bind();
		CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
		CHECK_INT(bind_next(b, 0, &w, 1), 1);
		CHECK(bind_done(b, &w, rows[i].err, 0)); /* said */
		CHECK(!bind_is_held(b, ETH0, ip(1)));
		CHECK_INT(bind_next_deadline(b), BIND_REFRESH_MS);
		CHECK_INT(bind_next(b, 1000, &w, 1), 1);
		CHECK(!bind_done(b, &w, rows[i].err, 1000)); /* once */
		CHECK_STR(writes(2000, 0), rows[i].after);
		CHECK(bind_is_held(b, ETH0, ip(1)));
		CHECK_INT(bind_next(b, 3000, &w, 1), 1);
		CHECK(bind_done(b, &w, -ENODEV, 3000)); /* and again after it was well */
		CHECK_STR(writes(4000, 0), "A1");
		bind_unwant(b, ETH0, ip(1));
		CHECK_INT(bind_next(b, 4000, &w, 1), 1);
		CHECK(!bind_done(b, &w, rows[i].err, 4000)); /* it is gone, or goes by itself */
		CHECK_INT(bind_count(b), 0);
		bind_free(b);
	}
}

/* Without the right: said once for all addresses, and asked for again now and then. */
static void test_forbidden(void)
{
	struct bind_write v[2];

	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_INT(bind_want(b, ETH0, ip(2)), 0);
	CHECK_INT(bind_next(b, 0, v, 2), 2);
	CHECK(bind_done(b, &v[0], -EPERM, 0));
	CHECK(!bind_done(b, &v[1], -EPERM, 0));
	CHECK_INT(bind_next_deadline(b), 10000);
	CHECK_STR(writes(9999, 0), "");
	CHECK_STR(writes(10000, 0), "A1 A2");
	bind_free(b);
}

static void test_kernel_busy(void)
{
	struct bind_write w;

	open_bind();
	CHECK_INT(bind_want(b, ETH0, ip(1)), 0);
	CHECK_INT(bind_next(b, 0, &w, 1), 1);
	CHECK(!bind_done(b, &w, -ENOBUFS, 0));
	CHECK_INT(bind_next_deadline(b), 50);
	CHECK_STR(writes(50, 0), "A1");
	CHECK_STR(writes(1050, -ENOMEM), "F1");
	CHECK(!bind_is_held(b, ETH0, ip(1)));
	CHECK_STR(writes(1100, 0), "F1");
	bind_unwant(b, ETH0, ip(1));
	CHECK_STR(writes(1100, -ENOBUFS), "R1");
	CHECK(bind_is_busy(b));
	CHECK_STR(writes(1149, 0), "");
	CHECK_STR(writes(1150, 0), "R1");
	CHECK_INT(bind_count(b), 0);
	bind_free(b);
}

/* A thousand: each turn a batch, every address once a second. */
static void test_many(void)
{
	struct bind_write v[BIND_BATCH];
	unsigned seen[MANY] = {0};
	size_t n;

	open_bind();
	for (unsigned i = 0; i < MANY; i++)
		CHECK_INT(bind_want(b, ETH0, ip(i)), 0);
	for (uint64_t now = 0; now < 3000; now++) {
		n = bind_next(b, now, v, BIND_BATCH);
		for (size_t i = 0; i < n; i++) {
			seen[v[i].addr.lo & 0x3ff]++;
			CHECK_INT(v[i].verb, now < 1000 ? BIND_ADD : BIND_REFRESH);
			(void)bind_done(b, &v[i], 0, now);
		}
	}
	for (unsigned i = 0; i < MANY; i++)
		CHECK_INT(seen[i], 3);
	CHECK_INT(bind_count(b), MANY);
	bind_free(b);
}

static void test_limit(void)
{
	open_bind();
	for (unsigned i = 0; i < BIND_MAX; i++)
		if (bind_want(b, i / 256 + 1, ip(i % 256)) != 0)
			abort();
	CHECK_INT(bind_want(b, 1000, ip(0)), -E2BIG);
	CHECK_INT(bind_on_kernel(b, 1000, ip(0), true), -E2BIG);
	CHECK_INT(bind_count(b), BIND_MAX);
	bind_free(b);
}

static void test_no_memory(void)
{
#ifdef MEMORY_CAN_FAIL
	int err = -ENOMEM;

	fail_after = 0;
	CHECK(bind_new(&hkey) == NULL);
	fail_after = -1;
	open_bind();
	for (long k = 0; err != 0 && k < 10; k++) {
		fail_after = k;
		err = bind_want(b, ETH0, ip(1));
		fail_after = -1;
		CHECK(err == 0 || err == -ENOMEM);
		CHECK_INT(bind_count(b), err == 0);
	}
	CHECK_STR(writes(0, 0), "A1");
	fail_after = 0;
	CHECK_INT(bind_on_kernel(b, ETH0, ip(2), true), -ENOMEM);
	fail_after = -1;
	bind_free(b);
#endif
}

CHECK_MAIN("test_bind", CHECK_TEST(test_add_refresh_remove),
	CHECK_TEST(test_unwanted_before_written), CHECK_TEST(test_order),
	CHECK_TEST(test_change_under_way), CHECK_TEST(test_left_over), CHECK_TEST(test_taken_off),
	CHECK_TEST(test_news_under_way), CHECK_TEST(test_refused), CHECK_TEST(test_forbidden),
	CHECK_TEST(test_kernel_busy), CHECK_TEST(test_many), CHECK_TEST(test_limit),
	CHECK_TEST(test_no_memory))
