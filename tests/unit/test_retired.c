/* SPDX-License-Identifier: Apache-2.0
 *
 * test_retired.c - addresses kept by sight and by record; the record read, hostile ones too; the
 * record written, by a leader that is refused, overtaken, or finds it gone.
 */
#include "check.h"
#include "retired.h"

#include <errno.h>

static const struct hash_key hkey = {7, 8};

static struct addr ip(const char *text)
{
	struct addr a = {0, 0};

	CHECK_INT(addr_parse(text, strlen(text), &a), 0);
	return a;
}

static struct retired *fresh(void)
{
	struct retired *r = retired_new(&hkey);

	if (r == NULL)
		abort();
	return r;
}

static int see(struct retired *r, const char *rv, const char *text)
{
	const struct cluster_lease l = {.name = "lbd-retired",
		.uid = "lease-uid",
		.resource_version = rv,
		.role = CLUSTER_LEASE_RETIRED,
		.holder = "",
		.retired = text};

	return retired_on_lease(r, &l, false);
}

/* The name of the pool, "-" where it is not kept. */
static const char *pool(const struct retired *r, const char *uid, const char *addr)
{
	const char *p = retired_pool(r, uid, ip(addr));

	return p != NULL ? p : "-";
}

static void test_sight(void)
{
	struct retired *r = fresh();
	struct addr both[] = {ip("10.0.0.1"), ip("fd00::1")};
	uint64_t before;

	CHECK_STR(pool(r, "u1", "10.0.0.1"), "-");
	CHECK_INT(retired_keep(r, "ns/a", "u1", both[0], "lan"), 0);
	CHECK_INT(retired_keep(r, "ns/a", "u1", both[1], "lan6"), 0);
	CHECK_STR(pool(r, "u1", "10.0.0.1"), "lan");
	CHECK_STR(pool(r, "u1", "fd00::1"), "lan6");
	CHECK_STR(pool(r, "u2", "10.0.0.1"), "-"); /* for nobody else */
	CHECK_STR(pool(r, "u1", "10.0.0.2"), "-");
	CHECK(retired_pool(r, NULL, both[0]) == NULL);
	before = retired_generation(r);
	retired_shown(r, "ns/a", both, 2);
	retired_shown(r, "ns/b", NULL, 0);
	CHECK_INT(retired_generation(r), before);
	retired_shown(r, "ns/a", &both[1], 1); /* the leader moved it */
	CHECK(retired_generation(r) != before);
	CHECK_STR(pool(r, "u1", "10.0.0.1"), "-");
	CHECK_STR(pool(r, "u1", "fd00::1"), "lan6");
	retired_shown(r, "ns/a", NULL, 0); /* deleted */
	CHECK_INT(retired_count(r), 0);
	retired_free(r);
}

static void test_limits(void)
{
	struct retired *r = fresh();
	char uid[RETIRED_MAX_UID + 2], key[32];

	memset(uid, 'u', sizeof uid - 1);
	uid[sizeof uid - 1] = '\0';
	CHECK_INT(retired_keep(r, "ns/a", uid, ip("10.0.0.1"), "lan"), -E2BIG);
	uid[sizeof uid - 2] = '\0';
	CHECK_INT(retired_keep(r, "ns/a", uid, ip("10.0.0.1"), "lan"), 0);
	for (unsigned i = 1; i < RETIRED_MAX; i++) {
		(void)snprintf(key, sizeof key, "ns/%u", i);
		CHECK_INT(retired_keep(r, key, key, ip("10.0.0.1"), "lan"), 0);
	}
	CHECK_INT(retired_keep(r, "ns/more", "more", ip("10.0.0.1"), "lan"), -E2BIG);
	CHECK_INT(retired_count(r), RETIRED_MAX);
	retired_free(r);
}

static void test_record(void)
{
	struct retired *r = fresh();
	uint64_t before;

	CHECK_INT(see(r, "1", "=lan\nu1 10.0.0.1\nu2 10.0.0.2\n=old one\nu3 fd00::1\n"), 0);
	CHECK_STR(pool(r, "u1", "10.0.0.1"), "lan");
	CHECK_STR(pool(r, "u2", "10.0.0.2"), "lan");
	CHECK_STR(pool(r, "u3", "fd00::1"), "old one");
	CHECK_STR(pool(r, "u3", "10.0.0.1"), "-");
	before = retired_generation(r);
	CHECK_INT(see(r, "2", "=lan\nu1 10.0.0.1\nu2 10.0.0.2\n=old one\nu3 fd00::1\n"), 0);
	CHECK_INT(retired_generation(r), before); /* nothing new in it */
	CHECK_INT(see(r, "3", "=lan\nu2 10.0.0.2\n"), 0);
	CHECK_INT(retired_count(r), 1);
	CHECK_INT(retired_keep(r, "ns/b", "u2", ip("10.0.0.2"), "lan"), 0);
	CHECK_INT(retired_on_lease(r, &(struct cluster_lease){.holder = ""}, true), 0);
	CHECK_STR(pool(r, "u2", "10.0.0.2"), "lan"); /* seen, too */
	CHECK_INT(see(r, "4", NULL), 0);
	retired_shown(r, "ns/b", NULL, 0);
	CHECK_INT(retired_count(r), 0);
	retired_free(r);
}

/* What a later version adds is read over: the address is kept all the same. */
static void test_record_later(void)
{
	struct retired *r = fresh();

	CHECK_INT(see(r, "1", "#next 2\n=lan\nu1 10.0.0.1 next=2\n#\nu2 fd00::2 a b\n"), 0);
	CHECK_STR(pool(r, "u1", "10.0.0.1"), "lan");
	CHECK_STR(pool(r, "u2", "fd00::2"), "lan");
	CHECK_INT(retired_count(r), 2);
	retired_free(r);
}

/* What cannot be read changes nothing. */
static void test_record_bad(void)
{
	static const char *const rows[] = {"u1 10.0.0.1\n", "=lan", "=lan\nu1\n", "=lan\nu1 \n",
		"=lan\n 10.0.0.1\n", "=lan\nu1 10.0.0.1", "=lan\nu1 10.0.0.1/32\n",
		"=lan\nu1 10.0.0.1\n\n", "=lan\nu1 10.0.0.1x\n", "=lan\nu1 0.0.0.0\n",
		"=lan\nu1 224.0.0.1\n", "=lan\nu1 127.0.0.1\n", "=evil\nu9 10.0.0.9\nu1\n", "=lan\nu5 10.0.0.5\nu1 ten\n",
		"=lan\n"
		"uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu "
		"10.0.0.1\n"};
	struct retired *r = fresh();
	char *huge;

	CHECK_INT(see(r, "1", "=lan\nu9 10.0.0.9\n"), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i];
		CHECK_INT(see(r, "2", rows[i]), -EBADMSG);
		CHECK_STR(pool(r, "u9", "10.0.0.9"), "lan");
		CHECK_INT(retired_count(r), 1);
	}
	huge = calloc(1, RETIRED_MAX_TEXT + 2);
	memset(huge, '=', RETIRED_MAX_TEXT + 1);
	CHECK_INT(see(r, "3", huge), -EBADMSG);
	free(huge);
	CHECK_INT(see(r, "4", "=lan\nu5 10.0.0.5\n"), 0);
	CHECK_STR(pool(r, "u9", "10.0.0.9"), "-");
	retired_free(r);
}

/* -- writing -- */

static void want(struct retired *r, const char *uid, const char *addr)
{
	retired_begin(r);
	if (uid != NULL)
		retired_add(r, uid, ip(addr), "lan");
	CHECK_INT(retired_end(r, 1000), 0);
}

static const char *annotation(const struct lease_action *a)
{
	CHECK_INT(a->n_annotations, 1);
	CHECK_STR(a->annotations[0].key, "lbd.io/retired");
	return a->annotations[0].value;
}

static void answer(struct retired *r, uint64_t id, const char *rv, const char *text)
{
	const struct cluster_lease l = {
		.uid = "lease-uid", .resource_version = rv, .holder = "", .retired = text};

	retired_done(r, id, LEASE_OK, &l, 1000);
}

static void test_write(void)
{
	struct retired *r = fresh();
	struct lease_action a;

	want(r, NULL, NULL); /* nothing kept, nothing there */
	CHECK(!retired_next_action(r, 1000, &a));
	CHECK(retired_next_deadline(r) == TIME_NEVER);
	want(r, "u1", "10.0.0.1");
	CHECK_INT(retired_next_deadline(r), 1000);
	CHECK(retired_next_action(r, 1000, &a));
	CHECK_INT(a.verb, LEASE_CREATE);
	CHECK_STR(a.name, "lbd-retired");
	CHECK_INT(a.role, CLUSTER_LEASE_RETIRED);
	CHECK_STR(annotation(&a), "=lan\nu1 10.0.0.1\n");
	CHECK(!retired_next_action(r, 5000, &a)); /* one at a time */
	answer(r, a.id, "7", "=lan\nu1 10.0.0.1\n");
	CHECK(retired_next_deadline(r) == TIME_NEVER);
	CHECK_STR(pool(r, "u1", "10.0.0.1"), "lan");
	CHECK_INT(see(r, "8", "=lan\nu1 10.0.0.1\nu6 8.8.8.8\n"), 0); /* somebody forges it */
	CHECK(retired_next_action(r, 1000, &a));
	CHECK_INT(a.verb, LEASE_UPDATE);
	CHECK_STR(a.resource_version, "8");
	CHECK_STR(a.uid, "lease-uid");
	CHECK_STR(annotation(&a), "=lan\nu1 10.0.0.1\n");
	answer(r, a.id, "9", "=lan\nu1 10.0.0.1\n");
	CHECK_STR(pool(r, "u6", "8.8.8.8"), "-");
	want(r, NULL, NULL); /* it moved after all */
	CHECK(retired_next_action(r, 1000, &a));
	CHECK_STR(annotation(&a), "");
	answer(r, a.id, "10", "");
	CHECK_INT(retired_count(r), 0);
	CHECK(retired_next_deadline(r) == TIME_NEVER);
	retired_free(r);
}

static void test_write_order(void)
{
	struct retired *r = fresh();
	struct lease_action a;

	retired_begin(r);
	retired_add(r, "u2", ip("10.0.0.2"), "b");
	retired_add(r, "u1", ip("fd00::1"), "b");
	retired_add(r, "u1", ip("10.0.0.1"), "b");
	retired_add(r, "u3", ip("10.0.0.3"), "a");
	CHECK_INT(retired_end(r, 1000), 0);
	CHECK(retired_next_action(r, 1000, &a));
	CHECK_STR(annotation(&a), "=a\nu3 10.0.0.3\n=b\nu1 10.0.0.1\nu1 fd00::1\nu2 10.0.0.2\n");
	retired_free(r);
}

/* More than the object may hold: what fits is written, the rest is told. */
static void test_write_too_many(void)
{
	struct retired *r = fresh();
	struct lease_action a;
	char uid[RETIRED_MAX_UID + 1];
	size_t lost, lines = 0;

	memset(uid, 'u', sizeof uid);
	retired_begin(r);
	for (unsigned i = 0; i < RETIRED_MAX; i++) {
		(void)snprintf(uid + RETIRED_MAX_UID - 4, 5, "%04u", i % 10000);
		retired_add(r, uid, ip("fd00:1234:5678:9abc:def0:1234:5678:9abc"), "lan");
	}
	retired_add(r, "one more", ip("10.0.0.1"), "lan");
	retired_add(r, "line\nfeed", ip("10.0.0.1"), "l\nan");
	lost = retired_end(r, 1000);
	CHECK(retired_next_action(r, 1000, &a));
	CHECK(strlen(annotation(&a)) <= RETIRED_MAX_TEXT);
	for (const char *p = annotation(&a); *p != '\0'; p++)
		lines += *p == '\n';
	CHECK(lines > RETIRED_MAX / 3);
	CHECK_INT(lost, RETIRED_MAX + 2 - (lines - 1));
	CHECK_INT(see(r, "5", annotation(&a)), 0); /* and it can be read */
	retired_free(r);
}

static void test_write_fails(void)
{
	struct retired *r = fresh();
	struct lease_action a;

	want(r, "u1", "10.0.0.1");
	CHECK(retired_next_action(r, 1000, &a));
	retired_done(r, a.id + 1, LEASE_OK, NULL, 1000); /* not ours */
	retired_done(r, a.id, LEASE_FAILED, NULL, 1000);
	CHECK(!retired_next_action(r, 1500, &a));
	CHECK_INT(retired_next_deadline(r), 2000);
	CHECK(retired_next_action(r, 2000, &a));
	retired_done(r, a.id, LEASE_REFUSED, NULL, 2000);
	CHECK_INT(retired_next_deadline(r), 4000);
	for (unsigned i = 0; i < 10; i++) {
		CHECK(retired_next_action(r, 1000000, &a));
		retired_done(r, a.id, LEASE_NOT_SENT, NULL, 1000000);
		CHECK(retired_next_deadline(r) <= 1030000);
		CHECK(retired_next_action(r, 1030000, &a));
		retired_done(r, a.id, LEASE_NOT_FOUND, NULL, 900000); /* no namespace */
	}
	/* It is there already, another's: it is read first, then put right. */
	CHECK(retired_next_action(r, 2000000, &a));
	CHECK_INT(a.verb, LEASE_CREATE);
	retired_done(r, a.id, LEASE_CONFLICT, NULL, 2000000);
	CHECK(retired_next_action(r, 3000000, &a));
	CHECK_INT(a.verb, LEASE_GET);
	CHECK_INT(a.n_annotations, 0);
	answer(r, a.id, "44", "=lan\nu8 10.0.0.8\n");
	CHECK(retired_next_action(r, 3000000, &a));
	CHECK_INT(a.verb, LEASE_UPDATE);
	CHECK_STR(a.resource_version, "44");
	retired_done(r, a.id, LEASE_NOT_FOUND, NULL, 3000000); /* deleted meanwhile */
	CHECK(retired_next_action(r, 3000000, &a));
	CHECK_INT(a.verb, LEASE_CREATE);
	retired_resign(r);
	retired_done(r, a.id, LEASE_FAILED, NULL, 3000000);
	CHECK(!retired_next_action(r, 9000000, &a));
	CHECK(retired_next_deadline(r) == TIME_NEVER);
	retired_free(r);
}

CHECK_MAIN("test_retired", CHECK_TEST(test_sight), CHECK_TEST(test_limits),
	CHECK_TEST(test_record), CHECK_TEST(test_record_later), CHECK_TEST(test_record_bad), CHECK_TEST(test_write),
	CHECK_TEST(test_write_order), CHECK_TEST(test_write_too_many), CHECK_TEST(test_write_fails))
