/* SPDX-License-Identifier: Apache-2.0
 *
 * sha1.c - one block of SHA-1 for mbedTLS (MBEDTLS_SHA1_PROCESS_ALT in mbed_user.h), as a loop: 4 kB
 * less than its own.  Of SHA-1 there is BFD's authentication alone, a block or two for each packet.
 *
 * Standard: FIPS 180-4, 6.1.2.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <mbedtls/platform_util.h>
#include <mbedtls/sha1.h>

#include <stdint.h>
#include <string.h>

enum { ROUNDS = 80, WORDS = 16, STATE = 5 };

static uint32_t left(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void expand(const unsigned char data[64], uint32_t w[ROUNDS])
{
	for (unsigned i = 0; i < WORDS; i++)
		w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
		       (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
	for (unsigned i = WORDS; i < ROUNDS; i++)
		w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
}

static uint32_t mix(unsigned i, const uint32_t v[STATE])
{
	switch (i / 20) {
	case 0:
		return ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5a827999;
	case 1:
		return (v[1] ^ v[2] ^ v[3]) + 0x6ed9eba1;
	case 2:
		return ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + 0x8f1bbcdc;
	default:
		return (v[1] ^ v[2] ^ v[3]) + 0xca62c1d6;
	}
}

int mbedtls_internal_sha1_process(mbedtls_sha1_context *ctx, const unsigned char data[64])
{
	uint32_t w[ROUNDS], v[STATE];

	expand(data, w);
	memcpy(v, ctx->state, sizeof v);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t first = left(v[0], 5) + mix(i, v) + v[4] + w[i];

		v[4] = v[3];
		v[3] = v[2];
		v[2] = left(v[1], 30);
		v[1] = v[0];
		v[0] = first;
	}
	for (unsigned i = 0; i < STATE; i++)
		ctx->state[i] += v[i];
	mbedtls_platform_zeroize(w, sizeof w); /* a key was in it */
	mbedtls_platform_zeroize(v, sizeof v);
	return 0;
}
