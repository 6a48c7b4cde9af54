/* SPDX-License-Identifier: Apache-2.0
 *
 * test_addr.c - addresses, prefixes, ranges and sets of ranges.
 */
#include "addr.h"
#include "check.h"

#include <errno.h>

#define MAX6 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static struct addr A(const char *text) {
	struct addr a = {0, 0};

	if (addr_parse(text, strlen(text), &a) != 0)
		abort();
	return a;
}

static struct addr_range
R(const char *first, const char *last) {
	return (struct addr_range){A(first), A(last)};
}

static void
test_parse_format(void)
{
	static const struct {
		const char *name, *in, *want; /* want NULL: refused */
	} row[] = {
		{"v4", "192.168.1.200", "192.168.1.200"},
		{"v4 first", "0.0.0.0", "0.0.0.0"},
		{"v4 last", "255.255.255.255", "255.255.255.255"},
		{"v4 two digits", "10.20.30.99", "10.20.30.99"},
		{"v4 leading zero", "192.168.01.1", NULL},
		{"v4 leading zero in front", "010.0.0.1", NULL},
		{"v4 two zeros", "10.0.00.1", NULL},
		{"v4 over 255", "10.0.0.256", NULL},
		{"v4 four digits", "10.0.0.1000", NULL},
		{"v4 three parts", "10.0.0", NULL},
		{"v4 five parts", "10.0.0.1.2", NULL},
		{"v4 one number", "167772161", NULL},
		{"v4 hex", "0x0a.0.0.1", NULL},
		{"v4 final dot", "10.0.0.1.", NULL},
		{"v4 sign", "+10.0.0.1", NULL},
		{"mapped is v4", "::ffff:1.2.3.4", "1.2.3.4"},
		{"mapped in hex is v4", "::ffff:102:304", "1.2.3.4"},
		{"mapped written out", "0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"},
		{"mapped leading zero", "::ffff:1.2.3.04", NULL},
		{"compatible is v6, in hex", "::1.2.3.4", "::102:304"},
		{"v6", "2001:db8::1", "2001:db8::1"},
		{"v6 unspecified", "::", "::"},
		{"v6 loopback", "::1", "::1"},
		{"v6 last", MAX6, MAX6},
		{"v6 upper case", "FD00:1::ABCD", "fd00:1::abcd"},
		{"v6 leading zeros", "2001:0db8:0000::0001", "2001:db8::1"},
		{"v6 one zero group stays", "1:2:3:0:5:6:7:8", "1:2:3:0:5:6:7:8"},
		{"v6 run at the end", "1::", "1::"},
		{"v6 longest run", "1:0:0:2:0:0:0:3", "1:0:0:2::3"},
		{"v6 first of equal runs", "1:0:0:2:0:0:3:4", "1::2:0:0:3:4"},
		{"v6 run of two in front", "0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},
		{"v6 run of two at the end", "1:2:3:4:5:6::", "1:2:3:4:5:6::"},
		{"v6 two runs", "1::2::3", NULL},
		{"v6 nine groups", "1:2:3:4:5:6:7:8:9", NULL},
		{"v6 seven groups", "1:2:3:4:5:6:7", NULL},
		{"v6 five digits", "12345::", NULL},
		{"v6 final colon", "1:2:3:4:5:6:7:", NULL},
		{"v6 first colon", ":1:2:3:4:5:6:7", NULL},
		{"zone", "fe80::1%eth0", NULL},
		{"v4 zone", "10.0.0.1%1", NULL},
		{"brackets", "[::1]", NULL},
		{"blank in front", " 10.0.0.1", NULL},
		{"blank behind", "10.0.0.1 ", NULL},
		{"newline", "10.0.0.1\n", NULL},
		{"name", "localhost", NULL},
		{"empty", "", NULL},
		{"colon", ":", NULL},
		{"too long", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char s[ADDR_STRLEN];
		struct addr a = {1, 2};
		size_t n = strlen(row[i].in);
		char *in = (char *)check_guard(row[i].in, n);
		int rc = addr_parse(in, n, &a);

		check_row = row[i].name;
		CHECK_INT(rc, row[i].want != NULL ? 0 : -EINVAL);
		if (rc == 0)
			CHECK_STR(addr_format(a, s), row[i].want);
		else
			CHECK(a.hi == 1 && a.lo == 2);
		check_unguard((unsigned char *)in, n);
	}
}

static void test_parse_nul(void)
{
	struct addr a;

	CHECK_INT(addr_parse("10.0.0.1\0", 9, &a), -EINVAL);
	CHECK_INT(addr_parse("10.0\0.0.1", 9, &a), -EINVAL);
	CHECK_INT(addr_parse("10.0.0.12", 8, &a), 0);
	CHECK(addr_eq(a, A("10.0.0.1")));
}

static void test_bytes(void)
{
	const uint8_t v4[4] = {10, 1, 2, 255};
	const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2};
	uint8_t out4[4], out6[16];

	CHECK(addr_eq(addr_from_v4(v4), A("10.1.2.255")));
	addr_to_v4(addr_from_v4(v4), out4);
	CHECK(memcmp(out4, v4, 4) == 0);
	CHECK(addr_eq(addr_from_v6(v6), A("2001:db8::102")));
	addr_to_v6(addr_from_v6(v6), out6);
	CHECK(memcmp(out6, v6, 16) == 0);
	addr_to_v6(addr_from_v4(v4), out6);
	CHECK(out6[9] == 0 && out6[10] == 0xff && out6[11] == 0xff && out6[15] == 255);
	CHECK(addr_family(addr_from_v6(out6)) == ADDR_V4);
	CHECK(addr_family(A("::1")) == ADDR_V6 && addr_family(A("::fffe:102:304")) == ADDR_V6);
	CHECK(addr_family(A("1::ffff:102:304")) == ADDR_V6);
}

static void test_arithmetic(void)
{
	char s[ADDR_STRLEN];

	CHECK_STR(addr_format(addr_next(A("10.0.0.255")), s), "10.0.1.0");
	CHECK_STR(addr_format(addr_prev(A("10.0.1.0")), s), "10.0.0.255");
	CHECK_STR(addr_format(addr_next(A("fd00::ffff:ffff:ffff:ffff")), s), "fd00:0:0:1::");
	CHECK_STR(addr_format(addr_prev(A("fd00:0:0:1::")), s), "fd00::ffff:ffff:ffff:ffff");
	CHECK_STR(addr_format(addr_plus(A("fd00::8000:0:0:0"), 1ULL << 63), s), "fd00:0:0:1::");
	CHECK_STR(addr_format(addr_next(A(MAX6)), s), "::");
	CHECK_STR(addr_format(addr_prev(A("::")), s), MAX6);
	CHECK(addr_distance(A("10.0.0.0"), A("10.1.0.0")) == 65536);
	CHECK(addr_distance(A("1::"), A("1::")) == 0);
	CHECK(addr_distance(A("::"), A("::ffff:ffff:ffff:ffff")) == UINT64_MAX);
	CHECK(addr_distance(A("::1"), A("0:0:0:1::")) == UINT64_MAX);
	CHECK(addr_distance(A("::2"), A("0:0:0:1::")) == UINT64_MAX - 1);
	CHECK(addr_distance(A("::"), A("0:0:0:1::")) == UINT64_MAX);
	CHECK(addr_distance(A("::"), A(MAX6)) == UINT64_MAX);
	CHECK(addr_cmp(A("9.255.255.255"), A("10.0.0.0")) < 0);
	CHECK(addr_cmp(A("200.0.0.0"), A("10.0.0.0")) > 0);
	CHECK(addr_cmp(A("fd00::"), A("fd00::")) == 0);
	CHECK(addr_cmp(A("2::"), A("1::ffff")) > 0);
}

static void test_unusable(void)
{
	static const struct {
		const char *in;
		bool want;
	} row[] = {
		{"0.0.0.0", true},
		{"0.0.0.1", false},
		{"126.255.255.255", false},
		{"127.0.0.0", true},
		{"127.255.255.255", true},
		{"128.0.0.0", false},
		{"223.255.255.255", false},
		{"224.0.0.0", true},
		{"239.255.255.255", true},
		{"240.0.0.0", false},
		{"255.255.255.254", false},
		{"255.255.255.255", true},
		{"169.254.1.1", false},
		{"::", true},
		{"::1", true},
		{"::2", false},
		{"fe80::1", false},
		{"feff::1", false},
		{"ff00::", true},
		{"ff02::1", true},
		{MAX6, true},
		{"::7f00:1", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		check_row = row[i].in;
		CHECK(addr_is_unusable(A(row[i].in)) == row[i].want);
	}
}

static void test_unusable_ranges(void)
{
	static const struct {
		const char *first, *last;
		bool want;
	} row[] = {
		{"0.0.0.0", "0.0.0.9", true},
		{"0.0.0.1", "126.255.255.255", false},
		{"126.0.0.0", "127.0.0.0", true},
		{"126.0.0.0", "128.0.0.0", true},
		{"127.9.0.0", "129.0.0.0", true},
		{"128.0.0.0", "223.255.255.255", false},
		{"223.0.0.0", "240.0.0.0", true},
		{"10.0.0.0", "250.0.0.0", true},
		{"240.0.0.0", "255.255.255.254", false},
		{"240.0.0.0", "255.255.255.255", true},
		{"::1", "::9", true},
		{"::2", "feff::", false},
		{"fd00::", "ff00::", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		check_row = row[i].last;
		CHECK(addr_range_has_unusable(
			      (struct addr_range){A(row[i].first), A(row[i].last)}) == row[i].want);
	}
}

static void test_prefix(void)
{
	static const struct {
		const char *in, *want; /* NULL: refused */
		bool masked;
		const char *last;
	} row[] = {
		{"10.0.0.0/8", "10.0.0.0/8", false, "10.255.255.255"},
		{"10.1.2.3/8", "10.0.0.0/8", true, "10.255.255.255"},
		{"10.0.0.1/32", "10.0.0.1/32", false, "10.0.0.1"},
		{"0.0.0.0/0", "0.0.0.0/0", false, "255.255.255.255"},
		{"255.255.255.255/0", "0.0.0.0/0", true, "255.255.255.255"},
		{"10.0.0.0/33", NULL, false, NULL},
		{"10.0.0.0/-1", NULL, false, NULL},
		{"10.0.0.0/+8", NULL, false, NULL},
		{"10.0.0.0/08", NULL, false, NULL},
		{"10.0.0.0/", NULL, false, NULL},
		{"10.0.0.0/8/8", NULL, false, NULL},
		{"10.0.0.0/8 ", NULL, false, NULL},
		{"10.0.0.0 /8", NULL, false, NULL},
		{"10.0.0.0/1000", NULL, false, NULL},
		{"10.0.0.0/4294967304", NULL, false, NULL},
		{"10.0.0.0", NULL, false, NULL},
		{"/8", NULL, false, NULL},
		{"", NULL, false, NULL},
		{"fd00:1::/120", "fd00:1::/120", false, "fd00:1::ff"},
		{"fd00:1::5/64", "fd00:1::/64", true, "fd00:1::ffff:ffff:ffff:ffff"},
		{"fd00:1:2:3:4::/63", "fd00:1:2:2::/63", true, "fd00:1:2:3:ffff:ffff:ffff:ffff"},
		{"::/0", "::/0", false, MAX6},
		{MAX6 "/128", MAX6 "/128", false, MAX6},
		{"::/129", NULL, false, NULL},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", false, "10.255.255.255"},
		{"::ffff:10.0.0.0/95", NULL, false, NULL},
		{"::ffff:10.0.0.0/129", NULL, false, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char s[ADDR_PREFIX_STRLEN];
		struct addr_prefix p;
		size_t n = strlen(row[i].in);
		char *in = (char *)check_guard(row[i].in, n);
		bool masked = false;
		int rc = addr_prefix_parse(in, n, &p, &masked);

		check_row = row[i].in;
		CHECK_INT(rc, row[i].want != NULL ? 0 : -EINVAL);
		if (rc == 0) {
			CHECK_STR(addr_prefix_format(p, s), row[i].want);
			CHECK_INT(masked, row[i].masked);
			CHECK(addr_eq(addr_prefix_range(p).last, A(row[i].last)));
			CHECK(addr_prefix_contains(p, p.base));
			CHECK(addr_prefix_contains(p, A(row[i].last)));
		}
		check_unguard((unsigned char *)in, n);
	}
}

static void test_prefix_contains(void)
{
	struct addr_prefix all6, ten;

	CHECK_INT(addr_prefix_parse("::/0", 4, &all6, NULL), 0);
	CHECK_INT(addr_prefix_parse("10.0.0.0/8", 10, &ten, NULL), 0);
	CHECK(!addr_prefix_contains(all6, A("10.0.0.1")));
	CHECK(addr_prefix_contains(all6, A("fd00::1")));
	CHECK(!addr_prefix_contains(ten, A("11.0.0.0")));
	CHECK(!addr_prefix_contains(ten, A("9.255.255.255")));
	CHECK(!addr_prefix_contains(ten, A("a00::")));
}

static void test_range_parse(void)
{
	static const struct {
		const char *name, *in;
		bool single;
		enum addr_range_error err;
		const char *want; /* as addr_range_format() gives it */
	} row[] = {
		{"cidr", "192.168.1.0/24", false, ADDR_RANGE_OK, "192.168.1.0/24"},
		{"ends", "192.168.1.200-192.168.1.250", false, ADDR_RANGE_OK,
			"192.168.1.200-192.168.1.250"},
		{"blanks around the dash", "10.0.0.1 - \t10.0.0.9", false, ADDR_RANGE_OK,
			"10.0.0.1-10.0.0.9"},
		{"ends that are a cidr", "10.0.0.0-10.0.0.255", false, ADDR_RANGE_OK,
			"10.0.0.0/24"},
		{"ends that are one", "10.0.0.7-10.0.0.7", false, ADDR_RANGE_OK, "10.0.0.7"},
		{"v6", "fd00::1-fd00::5", false, ADDR_RANGE_OK, "fd00::1-fd00::5"},
		{"v6 over 64 bits", "fd00::-fd00:0:0:1:ffff:ffff:ffff:ffff", false, ADDR_RANGE_OK,
			"fd00::/63"},
		{"all of v4", "0.0.0.0-255.255.255.255", false, ADDR_RANGE_OK, "0.0.0.0/0"},
		{"single", "10.0.0.1", true, ADDR_RANGE_OK, "10.0.0.1"},
		{"single not wanted", "10.0.0.1", false, ADDR_RANGE_SYNTAX, NULL},
		{"single bad", "10.0.0", true, ADDR_RANGE_ADDRESS, NULL},
		{"empty", "", false, ADDR_RANGE_SYNTAX, NULL},
		{"empty single", "", true, ADDR_RANGE_ADDRESS, NULL},
		{"word", "auto", false, ADDR_RANGE_SYNTAX, NULL},
		{"reversed", "10.0.0.9-10.0.0.1", false, ADDR_RANGE_REVERSED, NULL},
		{"v6 reversed", "fd00:0:0:1::-fd00::1", false, ADDR_RANGE_REVERSED, NULL},
		{"mixed", "10.0.0.1-fd00::1", false, ADDR_RANGE_FAMILIES, NULL},
		{"mixed the other way", "::1-10.0.0.1", false, ADDR_RANGE_FAMILIES, NULL},
		{"around v4", "::-fd00::", false, ADDR_RANGE_FAMILIES, NULL},
		{"cidr around v4", "::/0", false, ADDR_RANGE_FAMILIES, NULL},
		{"cidr that ends with v4", "::fffe:0:0/95", false, ADDR_RANGE_FAMILIES, NULL},
		{"no first", "-10.0.0.1", false, ADDR_RANGE_ADDRESS, NULL},
		{"no last", "10.0.0.1-", false, ADDR_RANGE_ADDRESS, NULL},
		{"only a dash", "-", false, ADDR_RANGE_ADDRESS, NULL},
		{"two dashes", "10.0.0.1-10.0.0.2-10.0.0.3", false, ADDR_RANGE_ADDRESS, NULL},
		{"short last", "10.0.0.1-9", false, ADDR_RANGE_ADDRESS, NULL},
		{"blanks around both", " 10.0.0.1 -\r\n10.0.0.2\t", false, ADDR_RANGE_OK,
			"10.0.0.1-10.0.0.2"},
		{"blanks alone", " - ", false, ADDR_RANGE_ADDRESS, NULL},
		{"blank inside", "10.0.0. 1-10.0.0.2", false, ADDR_RANGE_ADDRESS, NULL},
		{"blank before a CIDR", " 10.0.0.0/24", false, ADDR_RANGE_ADDRESS, NULL},
		{"/33", "10.0.0.0/33", false, ADDR_RANGE_LENGTH, NULL},
		{"/129", "fd00::/129", false, ADDR_RANGE_LENGTH, NULL},
		{"/x", "10.0.0.0/x", false, ADDR_RANGE_LENGTH, NULL},
		{"bad base", "10.0.0/24", false, ADDR_RANGE_ADDRESS, NULL},
		{"host bits", "10.0.0.5/24", false, ADDR_RANGE_HOST_BITS, "10.0.0.0/24"},
		{"v6 host bits", "fd00::5/120", false, ADDR_RANGE_HOST_BITS, "fd00::/120"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char s[ADDR_RANGE_STRLEN];
		struct addr_range r;
		size_t n = strlen(row[i].in);
		char *in = (char *)check_guard(row[i].in, n);
		enum addr_range_error err = addr_range_parse(in, n, row[i].single, &r);

		check_row = row[i].name;
		CHECK_INT(err, row[i].err);
		if (err == ADDR_RANGE_OK || err == ADDR_RANGE_HOST_BITS)
			CHECK_STR(addr_range_format(r, s), row[i].want);
		check_unguard((unsigned char *)in, n);
	}
}

static void test_range_format_longest(void)
{
	char s[ADDR_RANGE_STRLEN];
	struct addr_range r = R("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1", MAX6);

	CHECK_STR(addr_range_format(r, s), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1-" MAX6);
}

static void test_range_tests(void)
{
	struct addr_range v4 = R("10.0.0.5", "10.0.0.9"), v6 = {A("::"), A(MAX6)};

	CHECK(addr_range_contains(v4, A("10.0.0.5")) && addr_range_contains(v4, A("10.0.0.9")));
	CHECK(!addr_range_contains(v4, A("10.0.0.4")) && !addr_range_contains(v4, A("10.0.0.10")));
	CHECK(!addr_range_contains(v6, A("10.0.0.5")));
	CHECK(addr_range_overlaps(v4, R("10.0.0.9", "10.0.0.20")));
	CHECK(addr_range_overlaps(v4, R("10.0.0.1", "10.0.0.5")));
	CHECK(addr_range_overlaps(v4, R("10.0.0.6", "10.0.0.7")));
	CHECK(addr_range_overlaps(R("10.0.0.6", "10.0.0.7"), v4));
	CHECK(!addr_range_overlaps(v4, R("10.0.0.10", "10.0.0.20")));
	CHECK(!addr_range_overlaps(v4, v6) && !addr_range_overlaps(v6, v4));
	CHECK(addr_range_size(v4) == 5);
	CHECK(addr_range_size(R("0.0.0.0", "255.255.255.255")) == 1ULL << 32);
	CHECK(addr_range_size(R("fd00::", "fd00::ffff:ffff:ffff:fffe")) == UINT64_MAX);
	CHECK(addr_range_size(R("fd00::", "fd00::ffff:ffff:ffff:ffff")) == UINT64_MAX);
	CHECK(addr_range_size(v6) == UINT64_MAX);
}

static void test_range_prefixes(void)
{
	static const struct {
		const char *first, *last, *want;
		size_t n;
	} row[] = {
		{"10.0.0.0", "10.0.0.255", "10.0.0.0/24", 1},
		{"10.0.0.1", "10.0.0.1", "10.0.0.1/32", 1},
		{"10.0.0.1", "10.0.0.6", "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32", 4},
		{"192.168.1.200", "192.168.1.250",
			"192.168.1.200/29 192.168.1.208/28 192.168.1.224/28 192.168.1.240/29 "
			"192.168.1.248/31 192.168.1.250/32",
			6},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0", 1},
		{"255.255.255.254", "255.255.255.255", "255.255.255.254/31", 1},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0/32", 1},
		{"fd00::", "fd00:0:0:1:ffff:ffff:ffff:ffff", "fd00::/63", 1},
		{"fd00::ffff:ffff:ffff:ffff",
			"fd00:0:0:1::", "fd00::ffff:ffff:ffff:ffff/128 fd00:0:0:1::/128", 2},
		{"8000::", MAX6, "8000::/1", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct addr_prefix v[8];
		char got[512] = "", s[ADDR_PREFIX_STRLEN];
		size_t n = addr_range_prefixes(R(row[i].first, row[i].last), v, ARRAY_LEN(v));

		check_row = row[i].want;
		CHECK_INT(n, row[i].n);
		for (size_t j = 0; j < n && j < ARRAY_LEN(v); j++)
			snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s",
				j > 0 ? " " : "", addr_prefix_format(v[j], s));
		CHECK_STR(got, row[i].want);
	}
}

static void test_range_prefixes_bounds(void)
{
	struct addr_prefix v[2] = {{{7, 7}, 7}, {{7, 7}, 7}};

	CHECK_INT(addr_range_prefixes(R("0.0.0.1", "255.255.255.254"), v, 1), 62);
	CHECK(v[0].len == 32 && v[1].len == 7);
	/* 112 up to 2::, 14 up to 8000::, 127 down to the end. */
	CHECK_INT(
		addr_range_prefixes(R("1::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), NULL, 0),
		253);
}

/* -- sets -- */

static struct addr_range parse_range(const char *text)
{
	struct addr_range r;

	if (addr_range_parse(text, strlen(text), true, &r) != ADDR_RANGE_OK)
		abort();
	return r;
}

static const char *set_text(const struct addr_set *s, char *out, size_t size)
{
	char t[ADDR_RANGE_STRLEN];

	out[0] = '\0';
	for (size_t i = 0; i < s->n; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s", i > 0 ? " " : "",
			addr_range_format(s->v[i], t));
	return out;
}

static void test_set_table(void)
{
	static const struct {
		const char *name;
		const char *op[6]; /* "+range" or "~range" */
		const char *want;
	} row[] = {
		{"add one", {"+10.0.0.1"}, "10.0.0.1"},
		{"add sorted", {"+10.0.0.5", "+10.0.0.1", "+fd00::1", "+10.0.0.9"},
			"10.0.0.1 10.0.0.5 10.0.0.9 fd00::1"},
		{"merge left", {"+10.0.0.1", "+10.0.0.2"}, "10.0.0.1-10.0.0.2"},
		{"merge right", {"+10.0.0.3", "+10.0.0.2"}, "10.0.0.2/31"},
		{"merge both", {"+10.0.0.1", "+10.0.0.3", "+10.0.0.2"}, "10.0.0.1-10.0.0.3"},
		{"swallow", {"+10.0.0.3", "+10.0.0.5", "+10.0.0.9", "+10.0.0.2-10.0.0.6"},
			"10.0.0.2-10.0.0.6 10.0.0.9"},
		{"inside", {"+10.0.0.0/24", "+10.0.0.7"}, "10.0.0.0/24"},
		{"again", {"+10.0.0.7", "+10.0.0.7"}, "10.0.0.7"},
		{"overlap both", {"+10.0.0.1-10.0.0.4", "+10.0.0.8-10.0.0.9", "+10.0.0.3-10.0.0.8"},
			"10.0.0.1-10.0.0.9"},
		{"remove middle", {"+10.0.0.0/24", "~10.0.0.7"},
			"10.0.0.0-10.0.0.6 10.0.0.8-10.0.0.255"},
		{"remove first", {"+10.0.0.0/30", "~10.0.0.0"}, "10.0.0.1-10.0.0.3"},
		{"remove last", {"+10.0.0.0/30", "~10.0.0.3"}, "10.0.0.0-10.0.0.2"},
		{"remove whole", {"+10.0.0.0/30", "~10.0.0.0/30"}, ""},
		{"remove over several",
			{"+10.0.0.1-10.0.0.3", "+10.0.0.5", "+10.0.0.7-10.0.0.9",
				"~10.0.0.3-10.0.0.7"},
			"10.0.0.1-10.0.0.2 10.0.0.8/31"},
		{"remove absent", {"+10.0.0.1", "~10.0.0.2", "~fd00::1"}, "10.0.0.1"},
		{"remove from empty", {"~10.0.0.1"}, ""},
		{"families do not merge", {"+::fffe:ffff:ffff", "+0.0.0.0", "+255.255.255.255"},
			"::fffe:ffff:ffff 0.0.0.0 255.255.255.255"},
		{"families do not merge above", {"+255.255.255.255", "+::1:0:0:0"},
			"255.255.255.255 ::1:0:0:0"},
		{"last of all", {"+" MAX6, "+ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
		{"first and last stay two", {"+" MAX6, "+::"}, ":: " MAX6},
		{"first and last stay two again", {"+::", "+" MAX6}, ":: " MAX6},
		{"remove first of all", {"+::-::5", "~::"}, "::1-::5"},
		{"remove last of all", {"+8000::-" MAX6, "~" MAX6},
			"8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
		{"across 64 bits", {"+fd00::ffff:ffff:ffff:ffff", "+fd00:0:0:1::"},
			"fd00::ffff:ffff:ffff:ffff-fd00:0:0:1::"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct addr_set s = {NULL, 0, 0};
		char text[512];

		check_row = row[i].name;
		for (size_t j = 0; j < ARRAY_LEN(row[i].op) && row[i].op[j] != NULL; j++) {
			struct addr_range r = parse_range(row[i].op[j] + 1);

			CHECK_INT(row[i].op[j][0] == '+' ? addr_set_add(&s, r)
							 : addr_set_remove(&s, r),
				0);
		}
		CHECK_STR(set_text(&s, text, sizeof text), row[i].want);
		addr_set_free(&s);
		CHECK(s.v == NULL && s.n == 0);
	}
}

/* ::/0 as a route's prefix holds no IPv4 address; a set keeps to that. */
static void test_set_around_v4(void)
{
	struct addr_set s = {NULL, 0, 0};
	struct addr_prefix all;
	struct addr a;

	CHECK_INT(addr_prefix_parse("::/0", 4, &all, NULL), 0);
	CHECK_INT(addr_set_add(&s, parse_range("10.0.0.0/8")), 0);
	CHECK_INT(addr_set_add(&s, addr_prefix_range(all)), 0);
	CHECK_INT(s.n, 3);
	CHECK(addr_set_contains(&s, A("10.0.0.1")) && !addr_set_contains(&s, A("11.0.0.1")));
	CHECK(addr_set_contains(&s, A("::")) && addr_set_contains(&s, A(MAX6)));
	CHECK(!addr_set_gap(&s, addr_prefix_range(all), &a));
	CHECK_INT(addr_set_remove(&s, parse_range("fd00::1")), 0);
	CHECK(addr_set_gap(&s, addr_prefix_range(all), &a) && addr_eq(a, A("fd00::1")));
	CHECK_INT(addr_set_remove(&s, addr_prefix_range(all)), 0);
	CHECK_INT(s.n, 1);
	CHECK(addr_set_contains(&s, A("10.0.0.1")));
	addr_set_free(&s);
}

static void test_set_ask(void)
{
	struct addr_set s = {NULL, 0, 0};
	struct addr a;

	CHECK(!addr_set_contains(&s, A("10.0.0.1")) && !addr_set_next(&s, A("::"), &a));
	CHECK(addr_set_gap(&s, parse_range("10.0.0.0/24"), &a) && addr_eq(a, A("10.0.0.0")));
	CHECK_INT(addr_set_add(&s, parse_range("10.0.0.0-10.0.0.4")), 0);
	CHECK_INT(addr_set_add(&s, parse_range("10.0.0.6-10.0.0.255")), 0);
	CHECK(addr_set_size(&s) == 255);
	CHECK(addr_set_contains(&s, A("10.0.0.4")) && !addr_set_contains(&s, A("10.0.0.5")));
	CHECK(addr_set_next(&s, A("10.0.0.3"), &a) && addr_eq(a, A("10.0.0.3")));
	CHECK(addr_set_next(&s, A("10.0.0.5"), &a) && addr_eq(a, A("10.0.0.6")));
	CHECK(!addr_set_next(&s, A("10.0.1.0"), &a));
	CHECK(addr_set_gap(&s, parse_range("10.0.0.0/24"), &a) && addr_eq(a, A("10.0.0.5")));
	CHECK(!addr_set_gap(&s, parse_range("10.0.0.6-10.0.0.255"), &a));
	CHECK(!addr_set_gap(&s, parse_range("10.0.0.0-10.0.0.4"), &a));
	CHECK(addr_set_gap(&s, parse_range("10.0.0.6-10.0.1.255"), &a) &&
		addr_eq(a, A("10.0.1.0")));
	CHECK_INT(addr_set_add(&s, parse_range("255.255.255.255")), 0);
	CHECK(!addr_set_gap(&s, parse_range("255.255.255.255"), &a));
	CHECK_INT(addr_set_add(&s, R(MAX6, MAX6)), 0);
	CHECK(!addr_set_gap(&s, R(MAX6, MAX6), &a));
	CHECK_INT(addr_set_add(&s, parse_range("fd00::/64")), 0);
	CHECK(addr_set_size(&s) == UINT64_MAX);
	addr_set_free(&s);
}

/* Against one byte an address, at three places: inside IPv4, over a 64-bit edge, at the very end.
 */
static void test_set_model(void)
{
	enum { SIZE = 200, STEPS = 20000 };
	static const char *const base[] = {"10.0.0.200", "fd00::ffff:ffff:ffff:ff9c",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff38"};
	struct rng rng = {42};

	for (size_t b = 0; b < ARRAY_LEN(base); b++) {
		struct addr_set s = {NULL, 0, 0};
		bool model[SIZE] = {false};
		struct addr first = A(base[b]);

		check_row = base[b];
		for (unsigned step = 0; step < STEPS && check_failures == 0; step++) {
			size_t x = rng_below(&rng, SIZE), y = x + rng_below(&rng, 12);
			bool add = rng_below(&rng, 2) == 0;
			struct addr_range r;
			struct addr a;
			size_t free_at, runs = 0;

			if (y >= SIZE)
				y = SIZE - 1;
			r = (struct addr_range){addr_plus(first, x), addr_plus(first, y)};
			CHECK_INT(add ? addr_set_add(&s, r) : addr_set_remove(&s, r), 0);
			for (size_t i = x; i <= y; i++)
				model[i] = add;
			for (size_t i = 0; i < SIZE; i++) {
				CHECK(addr_set_contains(&s, addr_plus(first, i)) == model[i]);
				runs += model[i] && (i == 0 || !model[i - 1]);
			}
			CHECK_INT(s.n, runs);
			r.last = addr_plus(first, SIZE - 1);
			for (free_at = x; free_at < SIZE && model[free_at]; free_at++)
				;
			CHECK(addr_set_gap(&s, r, &a) == (free_at < SIZE));
			if (free_at < SIZE)
				CHECK(addr_eq(a, addr_plus(first, free_at)));
		}
		addr_set_free(&s);
	}
}

/* -- maps -- */

static const struct hash_key hkey = {1, 2};

static void test_map(void)
{
	struct addr_map m;
	int x, y;
	struct addr a;

	addr_map_init(&m, &hkey);
	CHECK(addr_map_get(&m, A("10.0.0.1")) == NULL);
	CHECK(addr_map_gap(&m, R("10.0.0.1", "10.0.0.9"), &a) && addr_eq(a, A("10.0.0.1")));
	addr_map_remove(&m, A("10.0.0.1"));
	CHECK_INT(addr_map_put(&m, A("10.0.0.1"), &x), 0);
	CHECK(addr_map_get(&m, A("10.0.0.1")) == &x && addr_map_get(&m, A("10.0.0.2")) == NULL);
	CHECK_INT(addr_map_put(&m, A("10.0.0.1"), &y), 0);
	CHECK(addr_map_get(&m, A("10.0.0.1")) == &y);
	CHECK(addr_map_get(&m, A("::a00:1")) == NULL);
	CHECK(addr_map_gap(&m, R("10.0.0.1", "10.0.0.9"), &a) && addr_eq(a, A("10.0.0.2")));
	CHECK(!addr_map_gap(&m, R("10.0.0.1", "10.0.0.1"), &a));
	CHECK_INT(addr_map_put(&m, A(MAX6), &x), 0);
	CHECK(!addr_map_gap(&m, R(MAX6, MAX6), &a) && addr_map_get(&m, A(MAX6)) == &x);
	addr_map_remove(&m, A("10.0.0.1"));
	CHECK(addr_map_get(&m, A("10.0.0.1")) == NULL);
	addr_map_free(&m);
	CHECK(addr_map_get(&m, A(MAX6)) == NULL);
	addr_map_free(&m);
}

/* 1000 full blocks and one hole. */
static void test_map_long_run(void)
{
	enum { N = 256 * 1000 };
	struct addr_range r = {A("10.0.0.77"), addr_plus(A("10.0.0.77"), N - 1)};
	struct addr_map m;
	struct addr a;
	int x;

	addr_map_init(&m, &hkey);
	for (uint64_t i = 0; i < N; i++) {
		CHECK(addr_map_gap(&m, r, &a) && addr_eq(a, addr_plus(r.first, i)));
		CHECK_INT(addr_map_put(&m, addr_plus(r.first, i), &x), 0);
	}
	CHECK(!addr_map_gap(&m, r, &a));
	CHECK_INT(m.full.n, 1);
	addr_map_remove(&m, addr_plus(r.first, 123456));
	CHECK_INT(m.full.n, 2);
	CHECK(addr_map_gap(&m, r, &a) && addr_eq(a, addr_plus(r.first, 123456)));
	addr_map_free(&m);
}

static void test_map_model(void)
{
	enum { SIZE = 1200, STEPS = 40000 };
	static const char *const base[] = {"10.0.0.200", "fd00::ffff:ffff:ffff:fe9c",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fb50"};
	static char value[SIZE];
	struct rng rng = {7};

	for (size_t b = 0; b < ARRAY_LEN(base); b++) {
		bool model[SIZE] = {false};
		struct addr first = A(base[b]);
		struct addr_map m;

		addr_map_init(&m, &hkey);
		check_row = base[b];
		for (unsigned step = 0; step < STEPS && check_failures == 0; step++) {
			/* Half of the time nearly full, half of the time nearly empty. */
			bool add = rng_below(&rng, 16) != 0 ? (step / 5000) % 2 == 0
							    : rng_below(&rng, 2) == 0;
			size_t x = rng_below(&rng, SIZE), y = rng_below(&rng, SIZE), free_at;
			struct addr_range r = {addr_plus(first, x), addr_plus(first, y)};
			struct addr a;

			if (add)
				CHECK_INT(addr_map_put(&m, r.first, &value[x]), 0);
			else
				addr_map_remove(&m, r.first);
			model[x] = add;
			CHECK(addr_map_get(&m, r.last) == (model[y] ? &value[y] : NULL));
			if (x > y)
				continue;
			for (free_at = x; free_at <= y && model[free_at]; free_at++)
				;
			CHECK(addr_map_gap(&m, r, &a) == (free_at <= y));
			if (free_at <= y)
				CHECK(addr_eq(a, addr_plus(first, free_at)));
		}
		addr_map_free(&m);
	}
}

CHECK_MAIN("test_addr", CHECK_TEST(test_parse_format), CHECK_TEST(test_parse_nul),
	CHECK_TEST(test_bytes), CHECK_TEST(test_arithmetic), CHECK_TEST(test_unusable),
	CHECK_TEST(test_unusable_ranges), CHECK_TEST(test_prefix), CHECK_TEST(test_prefix_contains),
	CHECK_TEST(test_range_parse), CHECK_TEST(test_range_format_longest),
	CHECK_TEST(test_range_tests), CHECK_TEST(test_range_prefixes),
	CHECK_TEST(test_range_prefixes_bounds), CHECK_TEST(test_set_table),
	CHECK_TEST(test_set_around_v4), CHECK_TEST(test_set_ask), CHECK_TEST(test_set_model),
	CHECK_TEST(test_map), CHECK_TEST(test_map_long_run), CHECK_TEST(test_map_model))
