/* SPDX-License-Identifier: Apache-2.0
 *
 * test_condition.c - when the condition of a Service is written, and when not.
 */
#include "check.h"
#include "condition.h"
#include "oom.h"

#include <stdio.h>
#include <string.h>

static const struct hash_key hkey = {1, 2};

static const struct condition_mark absent = {.status = CONDITION_ABSENT};

static struct condition_mark yes(void)
{
	return condition_mark("True", "Announced", "every address is announced");
}

static struct condition_mark no(void)
{
	return condition_mark("False", "NoOwner", "nobody answers");
}

static struct condition_mark no_other(void)
{
	return condition_mark("False", "NoEndpoints", "nobody is ready");
}

static uint64_t next_id(struct conditions *c, uint64_t now_ms)
{
	struct condition_due due;

	return conditions_next(c, now_ms, &due) ? due.id : 0;
}

static void test_mark(void)
{
	CHECK_INT(condition_mark(NULL, "a", "b").status, CONDITION_ABSENT);
	CHECK_INT(condition_mark("True", NULL, NULL).status, CONDITION_TRUE);
	CHECK_INT(condition_mark("False", NULL, NULL).status, CONDITION_FALSE);
	CHECK_INT(condition_mark("Unknown", NULL, NULL).status, CONDITION_OTHER);
	CHECK_INT(condition_mark("", NULL, NULL).status, CONDITION_OTHER);
	CHECK(condition_equal(absent, condition_mark(NULL, NULL, NULL)));
	CHECK(condition_equal(yes(), yes()));
	CHECK(!condition_equal(no(), no_other()));
	CHECK(!condition_equal(condition_mark("True", "a", "b"), condition_mark("True", "ab", "")));
	CHECK(condition_equal(condition_mark("True", NULL, NULL), condition_mark("True", "", "")));
}

/* How long each difference lasts before it is written. */
static void test_delays(void)
{
	const struct {
		const char *name;
		struct condition_mark has, want;
		uint64_t after_ms; /* 0 = never */
	} rows[] = {
		{"right", yes(), yes(), 0},
		{"not wanted, not there", absent, absent, 0},
		{"new", absent, yes(), CONDITION_TRUE_MS},
		{"again", no(), yes(), CONDITION_TRUE_MS},
		{"gone", yes(), absent, CONDITION_TRUE_MS},
		{"new, and not announced", absent, no(), CONDITION_FIRST_MS},
		{"no more", yes(), no(), CONDITION_FALSE_MS},
		{"another reason", no(), no_other(), CONDITION_WORDS_MS},
		{"nonsense", condition_mark("Maybe", NULL, NULL), yes(), CONDITION_TRUE_MS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conditions *c = conditions_new(&hkey, NULL);
		uint64_t at = 1000 + rows[i].after_ms;
		struct condition_due due;

		check_row = rows[i].name;
		CHECK(conditions_observe(c, "a/b", rows[i].has, rows[i].want, 1000));
		if (rows[i].after_ms == 0) {
			CHECK_INT(conditions_next_deadline(c) == TIME_NEVER, true);
			CHECK_INT(conditions_count(c), 0);
		} else {
			CHECK_INT(conditions_next_deadline(c), at);
			CHECK(!conditions_next(c, at - 1, &due));
			CHECK(conditions_next(c, at, &due) && strcmp(due.key, "a/b") == 0);
			CHECK(condition_equal(due.want, rows[i].want));
			CHECK(!conditions_next(c, at, &due));
		}
		conditions_free(c);
	}
	check_row = "";
}

/* What is undone in time is not written, and does not count when it comes again. */
static void test_failover(void)
{
	struct conditions *c = conditions_new(&hkey, NULL);

	CHECK(conditions_observe(c, "a/b", yes(), no(), 0));
	CHECK(conditions_observe(c, "a/b", yes(), yes(), 300));
	CHECK_INT(conditions_count(c), 0);
	CHECK(conditions_observe(c, "a/b", yes(), no(), 3000));
	CHECK_INT(next_id(c, 3300), 0);
	/* In other words meanwhile: it lasts all the same. */
	CHECK(conditions_observe(c, "a/b", yes(), no_other(), 6000));
	CHECK_INT(conditions_next_deadline(c), 3000 + CONDITION_FALSE_MS);
	conditions_free(c);
}

/* Turns back and forth faster than it would be written: nothing is. */
static void test_flapping(void)
{
	struct conditions *c = conditions_new(&hkey, NULL);

	for (uint64_t ms = 0; ms < 60000; ms += 900) {
		CHECK_INT(next_id(c, ms), 0);
		CHECK(conditions_observe(c, "a/b", absent, ms % 1800 == 0 ? yes() : no(), ms));
	}
	conditions_free(c);
}

/* Another who undoes it: so many times in a row, then once a minute; each time that it is left is
 * counted. */
static void test_hostile(void)
{
	struct counters n = {.v = {0}};
	struct conditions *c = conditions_new(&hkey, &n);
	unsigned writes = 0;

	for (uint64_t ms = 0; ms < 3600 * 1000; ms += 100) {
		uint64_t id;

		CHECK(conditions_observe(c, "a/b", ms % 200 == 0 ? no() : absent, yes(), ms));
		id = next_id(c, ms);
		if (id == 0)
			continue;
		writes++;
		conditions_done(c, id, CONDITION_OK, ms + 5);
	}
	CHECK(writes >= 30 && writes <= CONDITION_BURST + 60);
	CHECK_INT(n.v[COUNTER_CONDITION_WRITES], writes);
	CHECK(n.v[COUNTER_CONDITIONS_HELD] > 0);
	conditions_free(c);
}

/* What was written lately is remembered until it may be forgotten. */
static void test_memory(void)
{
	struct conditions *c = conditions_new(&hkey, NULL);
	uint64_t id = 0;

	CHECK(conditions_observe(c, "a/b", absent, yes(), 0));
	id = next_id(c, 1000);
	CHECK(id != 0);
	conditions_done(c, id, CONDITION_OK, 1010);
	CHECK_INT(next_id(c, 5000), 0); /* it counts as there before the watch shows it */
	CHECK(conditions_observe(c, "a/b", yes(), yes(), 6000));
	CHECK_INT(conditions_count(c), 1);
	for (uint64_t ms = 7000; ms < 2 * CONDITION_REFILL_MS; ms += 1000)
		CHECK_INT(next_id(c, ms), 0);
	CHECK_INT(conditions_count(c), 0);
	conditions_free(c);
}

/* A change while it is under way: what the watch showed meanwhile counts. */
static void test_under_way(void)
{
	struct conditions *c = conditions_new(&hkey, NULL);
	uint64_t id;

	CHECK(conditions_observe(c, "a/b", no(), yes(), 0));
	id = next_id(c, 1000);
	CHECK(id != 0);
	CHECK(conditions_observe(c, "a/b", yes(), no(), 1001)); /* the write's own object */
	CHECK(conditions_next_deadline(c) == TIME_NEVER);
	conditions_done(c, id, CONDITION_OK, 1002);
	CHECK_INT(conditions_next_deadline(c), 1002 + CONDITION_FALSE_MS);
	conditions_forget(c, "a/b");
	conditions_forget(c, "a/b");
	CHECK_INT(conditions_count(c), 0);
	CHECK(conditions_observe(c, "a/b", no(), yes(), 5000));
	id = next_id(c, 6000);
	conditions_forget(c, "a/b"); /* while it is under way */
	conditions_done(c, id, CONDITION_OK, 6001);
	CHECK_INT(conditions_count(c), 0);
	conditions_free(c);
}

static void test_failures(void)
{
	struct conditions *c = conditions_new(&hkey, NULL);
	uint64_t now = 1000, last = 0, id;

	CHECK(conditions_observe(c, "a/b", absent, yes(), 0));
	for (unsigned i = 0; i < 8; i++) {
		id = next_id(c, now);
		CHECK(id != 0);
		conditions_done(c, id, CONDITION_FAILED, now);
		CHECK(conditions_next_deadline(c) >= now + CONDITION_HOLD_MS);
		CHECK(conditions_next_deadline(c) - now >= last);
		CHECK(conditions_next_deadline(c) - now <= 32 * CONDITION_HOLD_MS);
		last = conditions_next_deadline(c) - now;
		now = conditions_next_deadline(c);
	}
	id = next_id(c, now);
	conditions_done(c, id, CONDITION_LATER, now);
	CHECK_INT(conditions_next_deadline(c), now + CONDITION_TRUE_MS);
	id = next_id(c, now + CONDITION_TRUE_MS);
	CHECK(id != 0); /* nothing of all that counted as written */
	conditions_done(c, id, CONDITION_GONE, now);
	CHECK_INT(conditions_count(c), 0);
	conditions_done(c, id, CONDITION_OK, now);
	conditions_free(c);
}

/* Of many, one at a time at a pace; more than there is room for are refused, and none is lost. */
static void test_many(void)
{
	struct conditions *c = conditions_new(&hkey, NULL);
	unsigned written = 0;
	char key[32];
	uint64_t id;

	for (unsigned i = 0; i < CONDITION_MAX; i++) {
		(void)snprintf(key, sizeof key, "a/s%u", i);
		CHECK(conditions_observe(c, key, absent, yes(), 0));
	}
	CHECK(!conditions_observe(c, "a/more", absent, yes(), 0));
	CHECK(conditions_observe(c, "a/right", yes(), yes(), 0));
	for (uint64_t ms = 1000; ms < 1000 + CONDITION_MAX * CONDITION_PACE_MS; ms += 10) {
		id = next_id(c, ms);

		written += id != 0;
		CHECK_INT(next_id(c, ms), 0);
		if (id != 0)
			conditions_done(c, id, CONDITION_OK, ms);
	}
	CHECK_INT(written, CONDITION_MAX);
	/* What is written makes room, but for one that was so twice. */
	CHECK(conditions_observe(c, "a/s0", yes(), no(), 12000));
	id = next_id(c, 12000 + CONDITION_FALSE_MS);
	CHECK(id != 0);
	conditions_done(c, id, CONDITION_OK, 12000 + CONDITION_FALSE_MS);
	for (unsigned i = 1; i < CONDITION_MAX; i++) {
		(void)snprintf(key, sizeof key, "b/s%u", i);
		CHECK(conditions_observe(c, key, absent, yes(), 20000));
	}
	CHECK(!conditions_observe(c, "b/more", absent, yes(), 20000));
	CHECK_INT(conditions_count(c), CONDITION_MAX);
	conditions_reset(c);
	CHECK_INT(conditions_count(c), 0);
	CHECK(conditions_observe(c, "a/more", absent, yes(), 0));
	conditions_free(c);
}

static void test_oom(void)
{
#ifdef MEMORY_CAN_FAIL
	struct conditions *c = conditions_new(&hkey, NULL);

	for (fail_after = 0; fail_after < 2; fail_after++) {
		long n = fail_after;

		CHECK(!conditions_observe(c, "a/b", absent, yes(), 0));
		fail_after = n;
	}
	fail_after = -1;
	CHECK_INT(conditions_count(c), 0);
	CHECK(conditions_observe(c, "a/b", absent, yes(), 0));
	fail_after = 0;
	CHECK_INT(next_id(c, 6400), 0); /* no slot for what is under way: not asked in a circle */
	fail_after = -1;
	CHECK(conditions_next_deadline(c) >= 6400 + CONDITION_HOLD_MS);
	CHECK(next_id(c, 6400 + CONDITION_HOLD_MS) != 0);
	conditions_free(c);
	fail_after = 0;
	CHECK(conditions_new(&hkey, NULL) == NULL);
	fail_after = -1;
#endif
	conditions_free(NULL);
}

CHECK_MAIN("test_condition", CHECK_TEST(test_mark), CHECK_TEST(test_delays),
	CHECK_TEST(test_failover), CHECK_TEST(test_flapping), CHECK_TEST(test_hostile),
	CHECK_TEST(test_memory), CHECK_TEST(test_under_way), CHECK_TEST(test_failures),
	CHECK_TEST(test_many), CHECK_TEST(test_oom))
