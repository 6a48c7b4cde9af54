/* uses: retired */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_retired.c - the annotation lbd.io/retired, which anybody with a right to Leases may write.
 *
 * Held: what is accepted is within the limits, and a leader that keeps the same writes a text that
 * is a fixed point; what is refused changes nothing.
 */
#include "retired.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hash_key hkey = {1, 2};

static struct retired *fresh(void)
{
	struct retired *r = retired_new(&hkey);

	REQUIRE(r != NULL);
	return r;
}

static int take(struct retired *r, const char *text)
{
	const struct cluster_lease l = {.name = "lbd-retired",
		.uid = "u",
		.resource_version = "1",
		.holder = "",
		.retired = text};

	return retired_on_lease(r, &l, false);
}

/* A leader that was told "UID ADDRESS" lines of text writes them again. */
static void again(const char *text, size_t n)
{
	struct retired *r = fresh();
	char *copy = strdup(text), *pool = NULL;
	struct lease_action a;

	REQUIRE(copy != NULL);
	retired_begin(r);
	for (char *line = copy, *end; *line != '\0'; line = end + 1) {
		char *blank;
		struct addr x;

		end = strchr(line, '\n');
		*end = '\0';
		blank = strchr(line, ' ');
		if (*line == '#')
			continue;
		if (*line == '=') {
			pool = line + 1;
			continue;
		}
		*blank = '\0';
		REQUIRE(addr_parse(blank + 1, strcspn(blank + 1, " "), &x) == 0);
		retired_add(r, line, x, pool);
	}
	REQUIRE(retired_end(r, 0) == 0);
	REQUIRE(retired_next_action(r, 0, &a) == (n > 0));
	if (n > 0) {
		struct retired *back = fresh();

		REQUIRE(take(back, a.annotations[0].value) == 0);
		REQUIRE(retired_count(back) == n);
		retired_free(back);
	}
	free(copy);
	retired_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	struct retired *r = fresh();
	int err;

	REQUIRE(text != NULL);
	memcpy(text, data, size);
	REQUIRE(take(r, "=p\nfirst 192.0.2.1\n") == 0);
	err = take(r, text);
	if (err != 0) {
		REQUIRE(err == -EBADMSG && retired_count(r) == 1);
	} else {
		REQUIRE(retired_count(r) <= RETIRED_MAX);
		again(text, retired_count(r));
	}
	retired_free(r);
	free(text);
	return 0;
}
