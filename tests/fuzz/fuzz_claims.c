/* uses: claims buf */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_claims.c - another node's claims annotation.
 *
 * Held: what is accepted is sorted and disjoint, of one family a range and within the limits; it
 * prints, and what it prints is a fixed point that names the same addresses.
 */
#include "claims.h"

#include "buf.h"
#include "cluster.h"
#include "vip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t count(const struct claim *v, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const struct addr_range r = v[i].range;

		REQUIRE(addr_cmp(r.first, r.last) <= 0);
		REQUIRE(addr_family(r.first) == addr_family(r.last));
		REQUIRE(i == 0 || addr_cmp(v[i - 1].range.last, r.first) < 0);
		REQUIRE(v[i].term > 0);
		sum += addr_range_size(r);
	}
	REQUIRE(sum <= VIP_MAX);
	return sum;
}

/* The claims as text again, read again: the same text, the same addresses. */
static void again(const struct claim *v, size_t n)
{
	struct claim *back = NULL;
	struct buf first, second;
	size_t n_back = 0;

	buf_init(&first, 2 * CLUSTER_MAX_CLAIMS);
	buf_init(&second, 2 * CLUSTER_MAX_CLAIMS);
	buf_adds(&first, "");
	buf_adds(&second, "");
	if (claims_print(v, n, &first) == 0) {
		REQUIRE(claims_parse(first.p, &back, &n_back) == 0);
		REQUIRE(n_back <= n && count(back, n_back) == count(v, n));
		REQUIRE(claims_print(back, n_back, &second) == 0);
		REQUIRE(strcmp(first.p, second.p) == 0);
		free(back);
	}
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct claim *v = NULL;
	size_t n = 0;
	int err;

	REQUIRE(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	err = claims_parse(text, &v, &n);
	REQUIRE(err == 0 || err == -EBADMSG || err == -E2BIG || err == -ENOMEM);
	if (err == 0) {
		(void)count(v, n);
		again(v, n);
		free(v);
	}
	free(text);
	return 0;
}
