/* SPDX-License-Identifier: Apache-2.0
 *
 * test_sha1.c - the release's SHA-1 (packaging/static/sha1.c) says what this machine's mbedTLS says.
 */
#define mbedtls_internal_sha1_process own_process
#include "packaging/static/sha1.c"
#undef mbedtls_internal_sha1_process

#include "check.h"

int mbedtls_internal_sha1_process(mbedtls_sha1_context *ctx, const unsigned char data[64]);

static void test_blocks(void)
{
	mbedtls_sha1_context own = {0}, theirs = {0};
	unsigned char data[64];
	unsigned seed = 1;

	CHECK(mbedtls_sha1_starts_ret(&own) == 0 && mbedtls_sha1_starts_ret(&theirs) == 0);
	for (unsigned i = 0; i < 1000; i++) {
		for (size_t k = 0; k < sizeof data; k++)
			data[k] = (unsigned char)rand_r(&seed);
		CHECK_INT(own_process(&own, data), 0);
		CHECK_INT(mbedtls_internal_sha1_process(&theirs, data), 0);
		CHECK(memcmp(own.state, theirs.state, sizeof own.state) == 0);
	}
}

/* FIPS 180-4's example: "abc". */
static void test_abc(void)
{
	static const uint32_t want[] = {0xa9993e36, 0x4706816a, 0xba3e2571, 0x7850c26c, 0x9cd0d89d};
	unsigned char data[64] = {'a', 'b', 'c', 0x80, [63] = 24};
	mbedtls_sha1_context c = {0};

	CHECK_INT(mbedtls_sha1_starts_ret(&c), 0);
	CHECK_INT(own_process(&c, data), 0);
	CHECK(memcmp(c.state, want, sizeof want) == 0);
}

CHECK_MAIN("test_sha1", CHECK_TEST(test_blocks), CHECK_TEST(test_abc))
