/* uses: snapshot */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_snapshot.c - the file of the last picture: bytes of a disk.
 *
 * Held: looking at any bytes reads none beyond them; whatever objects they hold, a snapshot of the
 * picture that they make is fine, and the picture that that makes has the same snapshot.
 */
#include "tests/unit/snapshot_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hash_key hkey = {1, 2};
static const struct snapshot_owner me = {"n1", "kube-system"};

static struct cluster *fresh(void)
{
	struct cluster *c = cluster_new(&hkey, NULL);

	REQUIRE(c != NULL);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size + 1), *first, *second;
	struct cluster *c = fresh(), *back = fresh();
	uint64_t sequence;

	REQUIRE(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	(void)snapshot_check(bytes, size, &me, &sequence);
	(void)snapshot_apply(bytes, size, c);
	first = snapshot_text(c, &me, NULL, 1);
	REQUIRE(snapshot_check(first, strlen(first), &me, &sequence) == SNAPSHOT_FINE);
	(void)snapshot_apply(first, strlen(first), back);
	second = snapshot_text(back, &me, NULL, 1);
	REQUIRE(strcmp(first, second) == 0);
	free(first);
	free(second);
	free(bytes);
	cluster_free(c);
	cluster_free(back);
	return 0;
}
