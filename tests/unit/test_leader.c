/* SPDX-License-Identifier: Apache-2.0
 *
 * test_leader.c - the Lease lbd-leader: acquiring, renewing, losing, releasing, by a clock that
 * only we turn.
 */
#include "check.h"
#include "leader.h"

#include <stdbool.h>

static struct rng rng;
static struct leader *l;
static struct lease_action a;

static const struct leader_conf conf = {"n1_a", 15000, 10000, 5000};

static struct cluster_lease lease(const char *holder, const char *rv)
{
	return (struct cluster_lease){.name = "lbd-leader",
		.uid = "u",
		.resource_version = rv,
		.role = CLUSTER_LEASE_LEADER,
		.holder = holder,
		.duration_ms = 15000,
		.acquire_time = "2026-01-01T00:00:00.000000Z",
		.transitions = 3};
}

static void open_at(uint64_t now_ms)
{
	rng.state = 1;
	l = leader_new(&conf, &rng, NULL);
	if (l == NULL)
		abort();
	leader_on_synced(l, true, now_ms);
}

/* Asks every millisecond; the time of the first action up to `until`, else TIME_NEVER. */
static uint64_t first_action(uint64_t from, uint64_t until)
{
	for (uint64_t t = from; t <= until; t++) {
		bool due = leader_next_deadline(l) <= t;

		if (leader_next_action(l, t, &a)) {
			CHECK(due); /* the deadline names the moment */
			return t;
		}
	}
	return TIME_NEVER;
}

static void answer(enum lease_outcome outcome, const char *holder, const char *rv, uint64_t now_ms)
{
	struct cluster_lease got = lease(holder, rv);

	leader_done(l, a.id, outcome, outcome == LEASE_OK ? &got : NULL, now_ms);
}

/* A leader since t, written at t and answered 10 ms later. */
static void lead(uint64_t t)
{
	struct cluster_lease old = lease("", "5");

	open_at(t - 2000);
	leader_on_lease(l, &old, t - 2000);
	CHECK(leader_next_action(l, t, &a));
	answer(LEASE_OK, "n1_a", "6", t + 10);
	CHECK(leader_is_leader(l, t + 10));
}

static void test_create(void)
{
	uint64_t t;

	open_at(1000);
	t = first_action(1000, 3000);
	CHECK(t <= 2000); /* at once but for jitter */
	CHECK_INT(a.verb, LEASE_CREATE);
	CHECK_STR(a.name, "lbd-leader");
	CHECK_STR(a.holder, "n1_a");
	CHECK_INT(a.duration_ms, 15000);
	CHECK(a.resource_version == NULL && a.has_renew_time && a.set_acquire_time);
	CHECK_INT(a.transitions, 0);
	CHECK_INT(a.not_after_ms, t + a.timeout_ms);
	CHECK(!leader_next_action(l, t + 1, &a)); /* one in flight */
	CHECK(!leader_is_leader(l, t));
	CHECK_INT(leader_deadline(l), 0);
	answer(LEASE_OK, "n1_a", "1", t + 100);
	CHECK(leader_is_leader(l, t + 100));
	CHECK_INT(leader_deadline(l), t + 10000); /* counted from when it was sent */
	CHECK_INT(leader_term(l), 1);
	CHECK_STR(leader_holder(l), "n1_a");
	CHECK(!leader_is_over(l, t + 100));
	leader_free(l);
}

static void test_not_synced(void)
{
	struct cluster_lease held = lease("n2_b", "7");

	open_at(0);
	leader_on_synced(l, false, 0);
	CHECK_INT(first_action(0, 30000), TIME_NEVER); /* nobody knows whether it exists */
	leader_on_lease(l, &held, 30000);
	leader_on_synced(l, true, 30000);
	/* A gap longer than a retry: the clock of expiry starts here. */
	leader_on_synced(l, false, 44000);
	leader_on_synced(l, true, 50000);
	CHECK(first_action(50001, 64999) == TIME_NEVER);
	CHECK(first_action(65000, 66000) != TIME_NEVER);
	leader_free(l);
	/* A short one does not stop it: the rv that the write carries is the proof. */
	open_at(0);
	leader_on_lease(l, &held, 0);
	for (uint64_t t = 1000; t < 15000; t += 1000) {
		leader_on_synced(l, false, t);
		leader_on_synced(l, true, t + 500);
	}
	CHECK(first_action(15000, 16000) != TIME_NEVER);
	CHECK_STR(a.resource_version, "7");
	leader_free(l);
}

static void test_expiry(void)
{
	static const struct {
		const char *name;
		uint64_t stated_ms, want_ms;
	} rows[] = {
		{"as stated", 4000, 4000},
		{"nothing stated: as ours", 0, 15000},
		{"no less than a second", 1, 1000},
		{"no more than an hour", 7200 * 1000, 3600 * 1000},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cluster_lease held = lease("n2_b", "7");
		uint64_t t;

		check_row = rows[i].name;
		open_at(0);
		held.duration_ms = rows[i].stated_ms;
		leader_on_lease(l, &held, 500);
		leader_on_lease(l, &held, 900); /* the same version again is no sign of life */
		t = leader_next_deadline(l);
		CHECK(t >= 500 + rows[i].want_ms && t <= 500 + rows[i].want_ms + 1000);
		CHECK(!leader_next_action(l, t - 1, &a));
		CHECK(leader_next_action(l, t, &a));
		CHECK_INT(a.verb, LEASE_UPDATE);
		CHECK_STR(a.resource_version, "7");
		CHECK_STR(a.uid, "u");
		CHECK_INT(a.transitions, 4);
		CHECK(a.set_acquire_time);
		leader_free(l);
	}
	open_at(0);
	for (uint64_t t = 0; t < 60000; t += 14000) { /* it is renewed: nothing is due */
		char rv[8];
		struct cluster_lease held = lease("n2_b", rv);

		(void)snprintf(rv, sizeof rv, "%u", (unsigned)t);
		leader_on_lease(l, &held, t);
		CHECK(first_action(t, t + 13999) == TIME_NEVER);
	}
	leader_free(l);
}

static void test_deleted(void)
{
	struct cluster_lease held = lease("n2_b", "7");

	open_at(0);
	leader_on_lease(l, &held, 1000);
	leader_on_lease(l, NULL, 2000); /* its holder may not know yet: its time runs on */
	CHECK(first_action(2000, 15999) == TIME_NEVER);
	CHECK(first_action(16000, 17000) != TIME_NEVER);
	CHECK_INT(a.verb, LEASE_CREATE);
	leader_free(l);

	lead(10000);
	leader_on_lease(l, NULL, 11000);
	CHECK(!leader_is_leader(l, 11000)); /* another may create it now */
	CHECK(leader_next_action(l, 11000, &a));
	CHECK_INT(a.verb, LEASE_CREATE);
	answer(LEASE_CONFLICT, NULL, NULL, 15110);
	CHECK(first_action(15110, 20000) != TIME_NEVER);
	CHECK_INT(a.verb, LEASE_GET);
	answer(LEASE_OK, "n2_b", "9", 20010);
	CHECK_STR(leader_holder(l), "n2_b");
	CHECK(first_action(20010, 35009) == TIME_NEVER);
	leader_free(l);
}

static void test_renew(void)
{
	lead(10000);
	CHECK(first_action(10011, 14999) == TIME_NEVER);
	CHECK(leader_next_action(l, 15000, &a));
	CHECK_INT(a.verb, LEASE_UPDATE);
	CHECK_STR(a.resource_version, "6");
	CHECK(!a.set_acquire_time);
	CHECK_STR(a.acquire_time, "2026-01-01T00:00:00.000000Z");
	CHECK_INT(a.transitions, 3);
	answer(LEASE_OK, "n1_a", "7", 15100);
	CHECK_INT(leader_deadline(l), 25000);
	CHECK_INT(leader_term(l), 1);
	leader_free(l);
}

/* Our own writes come back by the watch, late and in order: they are not news. */
static void test_own_echo(void)
{
	struct cluster_lease echo = lease("n1_a", "6"), older = lease("n1_a", "4");

	lead(10000);
	leader_on_lease(l, &echo, 10500);
	leader_on_lease(l, &older, 10600);
	CHECK(leader_is_leader(l, 10600));
	CHECK(leader_next_action(l, 15000, &a));
	CHECK_STR(a.resource_version, "6");
	leader_free(l);
}

static void test_deadline(void)
{
	lead(10000);
	CHECK(leader_next_action(l, 15000, &a));
	answer(LEASE_FAILED, NULL, NULL, 18000);
	CHECK(leader_is_leader(l, 19999));
	CHECK(!leader_is_leader(l, 20000));
	CHECK(first_action(18001, 19999) != TIME_NEVER); /* a second try before it */
	answer(LEASE_FAILED, NULL, NULL, 22000);
	CHECK_INT(leader_deadline(l), 0);
	/* The API is back, nobody took it: ours again, as a new term. */
	CHECK(first_action(22001, 30000) != TIME_NEVER);
	answer(LEASE_OK, "n1_a", "8", 30000);
	CHECK(leader_is_leader(l, 30000));
	CHECK_INT(leader_term(l), 2);
	leader_free(l);
}

static void test_paused(void)
{
	lead(10000);
	/* SIGSTOP: the first call after it comes 30 s later. */
	CHECK(!leader_is_leader(l, 40000));
	CHECK(leader_next_action(l, 40000, &a)); /* the Lease may still be ours */
	CHECK(!leader_is_leader(l, 40000));
	answer(LEASE_CONFLICT, NULL, NULL, 40010);
	CHECK(!leader_is_leader(l, 40010));
	leader_free(l);

	/* The answer to a renewal is read after a pause that outlasts what it gives. */
	lead(10000);
	CHECK(leader_next_action(l, 15000, &a));
	answer(LEASE_OK, "n1_a", "7", 25000);
	CHECK(!leader_is_leader(l, 25000));
	CHECK_INT(leader_term(l), 1);
	/* ... and one that does not, but comes after the old deadline: a new term. */
	CHECK(leader_next_action(l, 25000, &a));
	answer(LEASE_OK, "n1_a", "8", 26000);
	CHECK(leader_is_leader(l, 26000));
	CHECK_INT(leader_term(l), 2);
	leader_free(l);
}

static void test_taken_away(void)
{
	struct cluster_lease other = lease("n2_b", "9");

	lead(10000);
	leader_on_lease(l, &other, 12000);
	CHECK(!leader_is_leader(l, 12000));
	CHECK_STR(leader_holder(l), "n2_b");
	CHECK(!leader_is_over(l, 12000 + 15000));
	CHECK(leader_is_over(l, 12000 + 15000 + 5000));
	CHECK(first_action(12000, 26999) == TIME_NEVER);
	leader_on_synced(l, false, 27000);
	CHECK(!leader_is_over(l, 90000)); /* who knows */
	leader_free(l);

	lead(10000); /* the same, told by the API */
	CHECK(leader_next_action(l, 15000, &a));
	answer(LEASE_CONFLICT, NULL, NULL, 15010);
	CHECK(leader_next_action(l, 15010, &a)); /* looks at once */
	CHECK_INT(a.verb, LEASE_GET);
	answer(LEASE_OK, "n2_b", "9", 15020);
	CHECK(!leader_is_leader(l, 15020));
	leader_free(l);
}

/* A write whose answer was lost: never guessed at, made good by 409, GET, PUT. */
static void test_lost_answer(void)
{
	lead(10000);
	CHECK(leader_next_action(l, 15000, &a));
	answer(LEASE_FAILED, NULL, NULL, 18000); /* it was applied as rv 7 */
	CHECK(first_action(18000, 19000) != TIME_NEVER);
	CHECK_STR(a.resource_version, "6");
	answer(LEASE_CONFLICT, NULL, NULL, 18900);
	CHECK(leader_next_action(l, 18900, &a));
	CHECK_INT(a.verb, LEASE_GET);
	answer(LEASE_OK, "n1_a", "7", 18910);
	CHECK_INT(leader_deadline(l), 20000); /* reading our own name extends nothing */
	CHECK(leader_next_action(l, 18910, &a));
	CHECK_STR(a.resource_version, "7");
	answer(LEASE_OK, "n1_a", "8", 18920);
	CHECK_INT(leader_deadline(l), 28910);
	CHECK_INT(leader_term(l), 1);
	leader_free(l);
}

static void test_refused(void)
{
	static const struct {
		const char *name;
		enum lease_outcome outcome;
		uint64_t least_ms;
	} rows[] = {
		{"forbidden", LEASE_REFUSED, 5000},
		{"no namespace", LEASE_NOT_FOUND, 5000},
		{"failed", LEASE_FAILED, 100},
		{"not sent", LEASE_NOT_SENT, 100},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		open_at(0);
		CHECK(first_action(0, 2000) != TIME_NEVER);
		answer(rows[i].outcome, NULL, NULL, 2000);
		CHECK(leader_next_deadline(l) >= 2000 + rows[i].least_ms);
		CHECK(!leader_next_action(l, 2000 + rows[i].least_ms - 1, &a));
		leader_free(l);
	}
}

/* A server that does not know its roles yet: one refusal costs no term; one that lasts does, and is
 * then asked no oftener than a renewal would be. */
static void test_refused_while_leading(void)
{
	uint64_t t = 15000;

	lead(10000);
	CHECK_INT(first_action(10010, t), t);
	answer(LEASE_REFUSED, NULL, NULL, t + 10);
	t = first_action(t + 10, 19000);
	CHECK(t != TIME_NEVER);
	answer(LEASE_OK, "n1_a", "7", t + 10);
	CHECK_INT(leader_deadline(l), t + 10000);
	CHECK_INT(leader_term(l), 1);
	while ((t = first_action(t + 11, 60000)) < 60000) {
		bool leads = leader_is_leader(l, t);

		answer(LEASE_REFUSED, NULL, NULL, t);
		CHECK(leads || leader_next_deadline(l) >= t + 5000);
	}
	CHECK(!leader_is_leader(l, 60000));
	CHECK_INT(leader_term(l), 1);
	leader_free(l);
}

static void test_answers_that_do_not_fit(void)
{
	struct cluster_lease got = lease("n1_a", "1");

	open_at(0);
	leader_done(l, 0, LEASE_OK, &got, 10); /* none in flight */
	CHECK(!leader_is_leader(l, 10));
	CHECK(first_action(10, 2000) != TIME_NEVER);
	leader_done(l, a.id + 1, LEASE_OK, &got, 2000);
	CHECK(!leader_is_leader(l, 2000));
	leader_done(l, a.id, LEASE_OK, NULL, 2000); /* a body that nobody understands */
	CHECK(!leader_is_leader(l, 2000));
	CHECK(first_action(2000, 9000) != TIME_NEVER);
	CHECK_INT(a.verb, LEASE_GET);
	leader_done(l, a.id, LEASE_OK, &got, 9000);
	CHECK(!leader_is_leader(l, 9000));
	CHECK(leader_next_action(l, 9000, &a)); /* ours by name: one write makes it sure */
	leader_free(l);
}

static void test_candidate(void)
{
	lead(10000);
	leader_set_candidate(l, false, 11000);
	CHECK(!leader_is_leader(l, 11000));
	CHECK(first_action(11000, 30000) == TIME_NEVER);
	leader_set_candidate(l, true, 30000);
	CHECK(first_action(30000, 31000) != TIME_NEVER);
	answer(LEASE_OK, "n1_a", "7", 31000);
	CHECK_INT(leader_term(l), 2);
	leader_free(l);
}

static void test_release(void)
{
	lead(10000);
	leader_release(l, 11000);
	CHECK(!leader_is_leader(l, 11000));
	CHECK(!leader_released(l));
	CHECK(leader_next_action(l, 11000, &a));
	CHECK_STR(a.holder, "");
	CHECK_INT(a.duration_ms, 1000);
	CHECK_STR(a.resource_version, "6");
	answer(LEASE_OK, "", "7", 11010);
	CHECK(leader_released(l));
	CHECK(first_action(11010, 40000) == TIME_NEVER);
	CHECK_INT(leader_next_deadline(l), TIME_NEVER);
	leader_free(l);

	lead(10000); /* a renewal is under way */
	CHECK(leader_next_action(l, 15000, &a));
	leader_release(l, 15001);
	CHECK(!leader_next_action(l, 15002, &a));
	answer(LEASE_OK, "n1_a", "7", 15010);
	CHECK(!leader_is_leader(l, 15010));
	CHECK(leader_next_action(l, 15010, &a));
	CHECK_STR(a.holder, "");
	CHECK_STR(a.resource_version, "7");
	leader_free(l);

	lead(10000); /* it cannot be given back: it will expire */
	leader_release(l, 11000);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(!leader_released(l));
		CHECK(first_action(11000, 30000) != TIME_NEVER);
		answer(LEASE_FAILED, NULL, NULL, 11000);
	}
	CHECK(leader_released(l));
	leader_free(l);

	open_at(0); /* never held */
	leader_release(l, 10);
	CHECK(leader_released(l));
	leader_free(l);
	leader_free(NULL);
}

static void test_released_lease(void)
{
	struct cluster_lease freed = lease("", "8");

	open_at(0);
	leader_on_lease(l, &freed, 5000);
	CHECK(first_action(5000, 6000) != TIME_NEVER); /* no wait for any duration */
	CHECK_INT(a.transitions, 4);
	leader_free(l);
}

static void test_configure(void)
{
	const struct leader_conf fast = {NULL, 2000, 1300, 400};

	lead(10000);
	leader_configure(l, &fast);
	CHECK_INT(leader_deadline(l), 11300); /* never longer than either promise */
	leader_configure(l, &conf);
	CHECK_INT(leader_deadline(l), 11300);
	leader_free(l);
}

/* A write that the leader sends in its last moment is over before the next leader's first. */
static void test_write_ms(void)
{
	static const struct {
		struct leader_conf conf;
		uint64_t want;
	} rows[] = {
		{{"n1_a", 15000, 10000, 5000}, 4000},
		{{"n1_a", 60000, 30000, 5000}, 4000},
		{{"n1_a", 2000, 1300, 400}, 560},
		{{"n1_a", 2000, 1999, 400}, 1},
	};

	open_at(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct leader_conf *c = &rows[i].conf;

		leader_configure(l, c);
		CHECK_INT(leader_write_ms(l), rows[i].want);
		CHECK(c->renew_deadline_ms + leader_write_ms(l) <= c->duration_ms);
	}
	leader_free(l);
}

CHECK_MAIN("test_leader", CHECK_TEST(test_create), CHECK_TEST(test_not_synced),
	CHECK_TEST(test_expiry), CHECK_TEST(test_deleted), CHECK_TEST(test_renew),
	CHECK_TEST(test_own_echo), CHECK_TEST(test_deadline), CHECK_TEST(test_paused),
	CHECK_TEST(test_taken_away), CHECK_TEST(test_lost_answer), CHECK_TEST(test_refused),
	CHECK_TEST(test_refused_while_leading),
	CHECK_TEST(test_answers_that_do_not_fit), CHECK_TEST(test_candidate),
	CHECK_TEST(test_release), CHECK_TEST(test_released_lease), CHECK_TEST(test_configure),
	CHECK_TEST(test_write_ms))
