/* uses: config buf */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_config.c - YAML text into config_parse().  What parses must print, and what it prints must
 * parse again to the same bytes and the same hash; what does not parse must say why.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *parse(const char *text, size_t len, bool must)
{
	const struct config_source src = {"fuzz", text, len};
	struct config_report report;
	struct config *c = NULL;
	int rc;

	config_report_init(&report);
	rc = config_parse(&src, 1, &c, &report);
	REQUIRE(rc == 0 || rc == -EINVAL || rc == -ENOMEM);
	REQUIRE((rc == -EINVAL) == (report.n_errors > 0) || rc == -ENOMEM);
	REQUIRE(rc == 0 || !must);
	config_report_free(&report);
	return rc == 0 ? c : NULL;
}

static void print(const struct config *c, struct buf *out)
{
	buf_init(out, 1u << 26);
	REQUIRE(config_print(c, out) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *a = parse((const char *)data, size, false), *b;
	struct buf first, second;

	if (a == NULL)
		return 0;
	print(a, &first);
	b = parse(first.p, first.len, true);
	print(b, &second);
	REQUIRE(first.len == second.len && memcmp(first.p, second.p, first.len) == 0);
	REQUIRE(strcmp(a->hash, b->hash) == 0);
	for (size_t i = 0; i < a->n_pools; i++)
		REQUIRE(config_pool_named(a, a->pools[i].name) == &a->pools[i] &&
			config_pool_of(a, a->pools[i].ranges[0].last) == &a->pools[i]);
	buf_free(&first);
	buf_free(&second);
	config_free(a);
	config_free(b);
	return 0;
}
