/* SPDX-License-Identifier: Apache-2.0
 *
 * test_claims.c - the claims annotation as text, and look-ups in a set of claims.
 */
#include "check.h"
#include "claims.h"
#include "cluster.h"

#include <errno.h>

static struct addr ip(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

static void test_claims_text(void)
{
	static const struct {
		const char *name, *in, *want; /* want NULL: as in */
		int err;
	} rows[] = {
		{"empty", "", NULL, 0},
		{"one", "1:10.0.0.1", NULL, 0},
		{"range", "7:10.0.0.1-16", NULL, 0},
		{"gap", "7:10.0.0.1,+2,+5-3", NULL, 0},
		{"flags", "7w:10.0.0.1 8o:10.0.0.2 9wo:10.0.0.3", NULL, 0},
		{"v6", "3:fd00::1-16,+100", NULL, 0},
		{"families", "3:10.0.0.1 3:fd00::1", NULL, 0},
		{"adjoining ranges are one", "3:10.0.0.1,+1,+1", "3:10.0.0.1-3", 0},
		{"sections in any order", "9:10.0.0.1 3:10.0.0.9", "3:10.0.0.9 9:10.0.0.1", 0},
		{"no term", ":10.0.0.1", NULL, -EBADMSG},
		{"term 0", "0:10.0.0.1", NULL, -EBADMSG},
		{"leading zero", "01:10.0.0.1", NULL, -EBADMSG},
		{"term too large", "18446744073709551616:10.0.0.1", NULL, -EBADMSG},
		{"largest term", "18446744073709551615:10.0.0.1", NULL, 0},
		{"later: flags in any order", "1ow:10.0.0.1", "1wo:10.0.0.1", 0},
		{"later: a flag", "1x:10.0.0.1", "1:10.0.0.1", 0},
		{"later: flags among ours", "1xozw:10.0.0.1", "1wo:10.0.0.1", 0},
		{"later: words of a section", "1o;a=b;c:10.0.0.1-2", "1o:10.0.0.1-2", 0},
		{"later: words of a range", "1:10.0.0.1;a,+2-3;b=c 2:fd00::1;d",
			"1:10.0.0.1,+2-3 2:fd00::1", 0},
		{"later: all that the next writes", "7z;next=2:10.0.0.1-16;next=2,+2;next=2",
			"7:10.0.0.1-16,+2", 0},
		{"words with a colon", "1;a:b:10.0.0.1", NULL, -EBADMSG},
		{"words before the count", "1:10.0.0.1;a-2,", NULL, -EBADMSG},
		{"words before the flags", "1;a=b", NULL, -EBADMSG},
		{"words of nothing", "1:;a", NULL, -EBADMSG},
		{"capital flag", "1W:10.0.0.1", NULL, -EBADMSG},
		{"no colon", "1", NULL, -EBADMSG},
		{"no address", "1:", NULL, -EBADMSG},
		{"bad address", "1:10.0.0.256", NULL, -EBADMSG},
		{"count 1", "1:10.0.0.1-1", NULL, -EBADMSG},
		{"no count", "1:10.0.0.1-", NULL, -EBADMSG},
		{"gap without plus", "1:10.0.0.1,2", NULL, -EBADMSG},
		{"gap 0", "1:10.0.0.1,+0", NULL, -EBADMSG},
		{"empty item", "1:10.0.0.1,", NULL, -EBADMSG},
		{"trailing blank", "1:10.0.0.1 ", NULL, -EBADMSG},
		{"two blanks", "1:10.0.0.1  2:10.0.0.2", NULL, -EBADMSG},
		{"leading blank", " 1:10.0.0.1", NULL, -EBADMSG},
		{"trailing junk", "1:10.0.0.1!", NULL, -EBADMSG},
		{"past IPv4", "1:255.255.255.255-2", NULL, -EBADMSG},
		{"gap past IPv4", "1:255.255.255.255,+1", NULL, -EBADMSG},
		{"past IPv6", "1:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-2", NULL, -EBADMSG},
		{"twice", "1:10.0.0.1 2:10.0.0.1", NULL, -EBADMSG},
		{"overlap", "1:10.0.0.1-9 2:10.0.0.9", NULL, -EBADMSG},
		{"too many", "1:10.0.0.0-65537", NULL, -E2BIG},
		{"too many in all", "1:10.0.0.0-65536 2:11.0.0.0", NULL, -E2BIG},
		{"as many as there may be", "1:10.0.0.0-65536", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct claim *v = NULL;
		size_t n = 0, len = strlen(rows[i].in) + 1;
		unsigned char *p = check_guard(rows[i].in, len);
		struct buf b;
		int err;

		check_row = rows[i].name;
		err = claims_parse((const char *)p, &v, &n);
		CHECK_INT(err, rows[i].err);
		if (err == 0) {
			buf_init(&b, 4096);
			buf_adds(&b, "");
			CHECK_INT(claims_print(v, n, &b), 0);
			CHECK_STR(b.p, rows[i].want != NULL ? rows[i].want : rows[i].in);
			buf_free(&b);
			free(v);
		}
		check_unguard(p, len);
	}
}

static void test_claims_limits(void)
{
	size_t n = 20000, parsed;
	struct claim *v = calloc(n, sizeof *v), *back;
	char *text = malloc(CLUSTER_MAX_CLAIMS + 2);
	struct buf b;

	if (v == NULL || text == NULL)
		abort();
	for (size_t i = 0; i < n; i++) { /* every second address, terms in turn: nothing to merge */
		struct addr a = addr_plus(ip("2001:db8::"), 2 * i);

		v[i] = (struct claim){.range = {a, a}, .term = 1 + i % 7, .flags = 0};
	}
	buf_init(&b, 2 * CLUSTER_MAX_CLAIMS);
	CHECK_INT(claims_print(v, n, &b), 0);
	CHECK(b.len < CLUSTER_MAX_CLAIMS);
	CHECK_INT(claims_parse(b.p, &back, &parsed), 0);
	CHECK_INT(parsed, n);
	CHECK(memcmp(v, back, n * sizeof *v) == 0);
	free(back);
	buf_reset(&b);
	for (size_t i = 0; i < n; i++)
		v[i].term = 1 + i; /* a section each */
	CHECK_INT(claims_print(v, n, &b), -E2BIG);
	CHECK(b.len <= CLUSTER_MAX_CLAIMS);
	CHECK_INT(claims_parse(b.p, &back, &parsed), 0); /* what fits is whole */
	CHECK(parsed > 0 && parsed < n);
	free(back);
	buf_free(&b);
	memset(text, '1', CLUSTER_MAX_CLAIMS + 1);
	text[CLUSTER_MAX_CLAIMS + 1] = '\0';
	CHECK_INT(claims_parse(text, &back, &parsed), -E2BIG);
	free(text);
	free(v);
}

static void test_claims_find(void)
{
	static const struct {
		const char *name, *ip;
		uint64_t term; /* of the claim that holds it; 0 = none */
	} rows[] = {
		{"before all", "10.0.0.0", 0},
		{"first of a range", "10.0.0.1", 3},
		{"within", "10.0.0.2", 3},
		{"last of a range", "10.0.0.4", 3},
		{"in a gap", "10.0.0.5", 0},
		{"alone", "10.0.0.9", 7},
		{"after all of its family", "10.0.0.10", 0},
		{"another family", "2001:db8::1", 2},
		{"after all", "2001:db8::2", 0},
	};
	const struct addr group[] = {ip("10.0.0.4"), ip("10.0.0.5"), ip("10.0.0.9")};
	struct claims c = {0}, none = {0};

	CHECK_INT(claims_parse("2:2001:db8::1 7o:10.0.0.9 3:10.0.0.1-4", &c.v, &c.n), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct claim *k = claims_find(&c, ip(rows[i].ip));

		check_row = rows[i].name;
		CHECK_INT(k != NULL ? k->term : 0, rows[i].term);
		CHECK(claims_find(&none, ip(rows[i].ip)) == NULL);
	}
	check_row = "sets";
	CHECK_INT(claims_size(&c), 6);
	CHECK(claims_on(&c, group, 2)->term == 3);
	CHECK(claims_on(&c, group, 3)->term == 7); /* the strongest */
	CHECK(claims_on(&c, group + 1, 1) == NULL);
	CHECK(claims_on(&c, group, 0) == NULL);
	CHECK(claims_on(&none, group, 3) == NULL);
	claims_free(&c);
	CHECK(c.v == NULL && c.n == 0);
}

static void test_claims_sets(void)
{
	struct claims c = {0}, copy;
	struct claim k;

	CHECK_INT(claims_copy(&c, &copy), 0);
	CHECK(copy.n == 0 && copy.v == NULL);
	CHECK_INT(claims_parse("3:10.0.0.1-4,+5", &c.v, &c.n), 0);
	CHECK_INT(claims_copy(&c, &copy), 0);
	CHECK_INT(copy.n, 2);
	CHECK(copy.v != c.v && claims_has(&copy, &c.v[0]) && claims_has(&copy, &c.v[1]));
	k = c.v[0];
	k.term++;
	CHECK(!claims_has(&c, &k));
	k = c.v[0];
	k.flags = CLAIM_OFFERED;
	CHECK(!claims_has(&c, &k));
	k = c.v[0];
	k.range.last = addr_plus(k.range.first, 1);
	CHECK(!claims_has(&c, &k));
	claims_free(&copy);
	claims_free(&c);
}

static void test_claims_add(void)
{
	struct claims c = {0};
	struct buf b;

	claims_sort(c.v, c.n);
	for (uint64_t i = 0; i < 4; i++) /* neighbours are one */
		CHECK_INT(claims_add(&c, addr_plus(ip("10.0.0.8"), i), 3, 0), 0);
	CHECK_INT(c.n, 1);
	for (uint64_t i = 0; i < 4; i++)
		CHECK_INT(claims_add(&c, addr_plus(ip("10.0.0.0"), 2 * i), 3, 0), 0);
	CHECK_INT(claims_add(&c, ip("10.0.0.7"), 4, CLAIM_OFFERED), 0);
	CHECK_INT(c.n, 6);
	claims_sort(c.v, c.n);
	buf_init(&b, 1024);
	CHECK_INT(claims_print(c.v, c.n, &b), 0);
	CHECK_STR(b.p, "3:10.0.0.0,+2,+2,+2,+2-4 4o:10.0.0.7");
	buf_free(&b);
	claims_free(&c);
}

CHECK_MAIN("test_claims", CHECK_TEST(test_claims_text), CHECK_TEST(test_claims_limits),
	CHECK_TEST(test_claims_find), CHECK_TEST(test_claims_sets), CHECK_TEST(test_claims_add))
