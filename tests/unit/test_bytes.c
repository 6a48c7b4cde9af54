/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bytes.c - the read and the write cursor at their ends.
 */
#include "base.h"
#include "bytes.h"
#include "check.h"

static void test_rd(void)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
	unsigned char *in = check_guard(bytes, sizeof bytes);
	struct rd r = rd_init(in, sizeof bytes);
	uint8_t two[2];

	CHECK_INT(rd_left(&r), 13);
	CHECK_INT(rd_u8(&r), 1);
	CHECK_INT(rd_be16(&r), 0x0203);
	CHECK_INT(rd_be32(&r), 0x04050607);
	rd_copy(&r, two, 2);
	CHECK(two[0] == 8 && two[1] == 9);
	rd_skip(&r, 1);
	CHECK(rd_bytes(&r, 2) == in + 10);
	CHECK(!rd_done(&r));
	CHECK_INT(rd_u8(&r), 13);
	CHECK(rd_done(&r));
	CHECK_INT(rd_left(&r), 0);
	check_unguard(in, sizeof bytes);
}

static void test_rd_host_order(void)
{
	uint16_t a = 0x1234;
	uint32_t b = 0x12345678;
	struct rd r = rd_init(&a, sizeof a);

	CHECK_INT(rd_host16(&r), 0x1234);
	r = rd_init(&b, sizeof b);
	CHECK_INT(rd_host32(&r), 0x12345678);
	CHECK(rd_done(&r));
	CHECK_INT(rd_host32(&r), 0);
	CHECK(r.bad);
}

static void test_rd_short(void)
{
	static const uint8_t bytes[] = {1, 2, 3};
	uint8_t four[4] = {9, 9, 9, 9};
	struct rd r;

	for (size_t n = 0; n <= 3; n++) {
		unsigned char *in = check_guard(bytes, n);

		r = rd_init(in, n);
		CHECK(n >= 1 ? rd_u8(&r) == 1 : (rd_u8(&r) == 0 && r.bad));
		r = rd_init(in, n);
		CHECK(n >= 2 ? rd_be16(&r) == 0x0102 : (rd_be16(&r) == 0 && r.bad));
		r = rd_init(in, n);
		CHECK(rd_be32(&r) != 0x01020300 || r.bad);
		CHECK(r.bad && !rd_done(&r) && rd_left(&r) == 0);
		CHECK_INT(rd_u8(&r), 0); /* the error sticks, whatever is left */
		CHECK(rd_bytes(&r, 0) == NULL);
		check_unguard(in, n);
	}
	r = rd_init(bytes, 3);
	rd_copy(&r, four, 4);
	CHECK(r.bad && four[0] == 0 && four[3] == 0);
	r = rd_init(bytes, 3);
	rd_skip(&r, SIZE_MAX);
	CHECK(r.bad);
	r = rd_init(NULL, 0);
	CHECK(rd_done(&r) && rd_bytes(&r, 0) == NULL && !r.bad);
}

static void test_rd_sub(void)
{
	static const uint8_t bytes[] = {1, 2, 3, 4};
	struct rd r = rd_init(bytes, 4), sub = rd_sub(&r, 2);

	CHECK_INT(rd_be16(&sub), 0x0102);
	CHECK(rd_done(&sub));
	CHECK_INT(rd_u8(&sub), 0); /* a child does not read on in its parent */
	CHECK(sub.bad && !r.bad);
	sub = rd_sub(&r, 0);
	CHECK(rd_done(&sub));
	sub = rd_sub(&r, 3);
	CHECK(sub.bad && r.bad && rd_left(&sub) == 0);
}

static void test_wr(void)
{
	uint8_t out[8];
	struct wr w = wr_init(out, sizeof out);

	wr_u8(&w, 1);
	wr_be16(&w, 0x0203);
	wr_be32(&w, 0x04050607);
	CHECK_INT(wr_len(&w), 7);
	wr_bytes(&w, "\x08", 1);
	CHECK_INT(wr_len(&w), 8);
	CHECK(memcmp(out, "\1\2\3\4\5\6\7\x08", 8) == 0);
	wr_bytes(&w, "", 0);
	CHECK(!w.bad);
	wr_u8(&w, 9);
	CHECK(w.bad);
	CHECK_INT(wr_len(&w), 0);
}

static void test_wr_sticks(void)
{
	uint8_t out[3] = {0};
	struct wr w = wr_init(out, sizeof out);

	wr_be32(&w, 0xffffffff); /* half of it fits, and it is bad */
	wr_u8(&w, 1);
	CHECK(w.bad && wr_len(&w) == 0 && out[2] == 0);
}

CHECK_MAIN("test_bytes", CHECK_TEST(test_rd), CHECK_TEST(test_rd_host_order),
	CHECK_TEST(test_rd_short), CHECK_TEST(test_rd_sub), CHECK_TEST(test_wr),
	CHECK_TEST(test_wr_sticks))
