/* uses: config buf */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_config.c - YAML text into config_parse().  What parses must print, and what it prints must
 * parse again to the same bytes and the same hash; what does not parse must say why.  The same text
 * as an object of the API: each error belongs to a source, and names no line.
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

static void parse_object(const char *text, size_t len)
{
	static const char file[] = "apiVersion: lbd.io/v1\nkind: Config\nconfigFrom: cluster\n";
	const struct config_source src = {"fuzz", file, sizeof file - 1};
	const struct config_source object = {"K/n/o", text, len};
	struct config_fault faults[2] = {{0}};
	struct config_report report;
	struct config *c = NULL;
	int rc;

	config_report_init(&report);
	report.faults = faults;
	rc = config_parse_cluster(&src, &object, 1, &c, &report);
	REQUIRE(faults[0].n_errors + faults[1].n_errors == report.n_errors);
	REQUIRE(faults[1].at + faults[1].len <= report.errors.len);
	if (rc == -EINVAL)
		REQUIRE(faults[1].n_errors > 0 && faults[1].len > 0 &&
			strncmp(report.errors.p + faults[1].at, "K/n/o: ", 7) == 0);
	for (size_t i = 0; rc == 0 && i < c->n_pools; i++)
		REQUIRE(c->pools[i].mark.file == NULL);
	config_report_free(&report);
	if (rc == 0)
		config_free(c);
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

	parse_object((const char *)data, size);
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
