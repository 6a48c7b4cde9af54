/* SPDX-License-Identifier: Apache-2.0
 *
 * test_metrics.c - the text that Prometheus reads.
 */
#include "metrics.h"

#include "check.h"

static void test_text(void)
{
	struct metrics m;
	struct buf out;

	metrics_init(&m, 10000);
	buf_init(&out, 10000);
	metrics_family(&m, "lbd_z_total", METRICS_COUNTER, "the last");
	metrics_add(&m, UINT64_MAX, {"a", "1"}, {"b", NULL}, {"c", ""});
	metrics_add(&m, 0, {"b", NULL});
	metrics_family(&m, "lbd_empty", METRICS_GAUGE, "nothing");
	metrics_family(&m, "lbd_a_seconds", METRICS_GAUGE, "the first");
	metrics_set_ms(&m, 1050);
	metrics_family(&m, "lbd_b", METRICS_GAUGE, "a number");
	metrics_set(&m, 10);
	metrics_print(&m, &out);
	CHECK_STR(out.p, "# HELP lbd_a_seconds the first\n# TYPE lbd_a_seconds gauge\n"
			 "lbd_a_seconds 1.050\n"
			 "# HELP lbd_b a number\n# TYPE lbd_b gauge\n"
			 "lbd_b 10\n"
			 "# HELP lbd_empty nothing\n# TYPE lbd_empty gauge\n"
			 "# HELP lbd_z_total the last\n# TYPE lbd_z_total counter\n"
			 "lbd_z_total{a=\"1\",c=\"\"} 18446744073709551615\n"
			 "lbd_z_total 0\n");
	metrics_free(&m);
	buf_free(&out);
}

/* Whatever a label says, the line is one, and UTF-8. */
static void test_labels(void)
{
	static const struct {
		const char *name, *in, *want;
	} rows[] = {
		{"plain", "a b=c{}", "a b=c{}"},
		{"quote", "a\"b", "a\\\"b"},
		{"backslash", "a\\n", "a\\\\n"},
		{"line feed", "a\nb 1\n", "a\\nb 1\\n"},
		{"carriage return", "a\rb", "a\rb"},
		{"two bytes", "\xc3\xa4", "\xc3\xa4"},
		{"three bytes", "\xe2\x82\xac", "\xe2\x82\xac"},
		{"four bytes", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"a byte alone",
			"a\xa4"
			"b",
			"a?b"},
		{"cut off", "a\xe2\x82", "a??"},
		{"cut off by a quote", "\xc3\"", "?\\\""},
		{"too long a form", "\xc0\xaf", "??"},
		{"too long a form of three", "\xe0\x80\xaf", "???"},
		{"too long a form of four", "\xf0\x80\x80\xaf", "????"},
		{"a surrogate", "\xed\xa0\x80", "???"},
		{"over the last one", "\xf4\x90\x80\x80", "????"},
		{"no first byte", "\xff", "?"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct metrics m;
		struct buf out, want;

		check_row = rows[i].name;
		metrics_init(&m, 10000);
		buf_init(&out, 10000);
		buf_init(&want, 10000);
		metrics_family(&m, "x", METRICS_GAUGE, "h");
		metrics_add(&m, 1, {"l", rows[i].in});
		metrics_print(&m, &out);
		buf_addf(&want, "# HELP x h\n# TYPE x gauge\nx{l=\"%s\"} 1\n", rows[i].want);
		CHECK_STR(out.p, want.p);
		metrics_free(&m);
		buf_free(&out);
		buf_free(&want);
	}
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* Every row of the table stands once, those of one name together, under one help. */
static void test_counters(void)
{
	struct counters c = {.v[COUNTER_API_ERRORS] = 7, .v[COUNTER_API_BAD_BODY] = 8};
	struct metrics m;
	struct buf out;

	metrics_init(&m, 1000000);
	buf_init(&out, 1000000);
	metrics_counters(&m, &c);
	metrics_print(&m, &out);
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter_id)i);
		char line[256], type[256];

		check_row = row->name;
		(void)snprintf(line, sizeof line, row->labels[0] != '\0' ? "\n%s{%s} " : "\n%s%s ",
			row->name, row->labels);
		(void)snprintf(type, sizeof type, "\n# TYPE %s counter\n", row->name);
		CHECK_INT(count(out.p, line), 1);
		CHECK_INT(count(out.p, type), 1);
		CHECK(strlen(row->name) > 6 &&
			strcmp(row->name + strlen(row->name) - 6, "_total") == 0);
		CHECK(strpbrk(row->help, "\\\n") == NULL);
	}
	CHECK(strstr(out.p, "# TYPE lbd_api_errors_total counter\n"
			    "lbd_api_errors_total{reason=\"transport\"} 7\n") != NULL);
	CHECK(strstr(out.p, "lbd_api_errors_total{reason=\"body\"} 8\n# HELP") != NULL);
	metrics_free(&m);
	buf_free(&out);
}

/* Buckets are cumulative and end with the count. */
static void test_histogram(void)
{
	struct counters c = {0};
	struct metrics m;
	struct buf out;

	counter_took(&c, HISTOGRAM_FAILOVER, 0);
	counter_took(&c, HISTOGRAM_FAILOVER, 5);
	counter_took(&c, HISTOGRAM_FAILOVER, 6);
	counter_took(&c, HISTOGRAM_FAILOVER, 60001);
	counter_took(NULL, HISTOGRAM_FAILOVER, 1);
	metrics_init(&m, 1000000);
	buf_init(&out, 1000000);
	metrics_counters(&m, &c);
	metrics_print(&m, &out);
	CHECK(strstr(out.p, "# TYPE lbd_failover_seconds histogram\n"
			    "lbd_failover_seconds_bucket{le=\"0.005\"} 2\n"
			    "lbd_failover_seconds_bucket{le=\"0.01\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"0.025\"} 3\n") != NULL);
	CHECK(strstr(out.p, "lbd_failover_seconds_bucket{le=\"2.5\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"5\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"10\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"20\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"40\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"60\"} 3\n"
			    "lbd_failover_seconds_bucket{le=\"+Inf\"} 4\n"
			    "lbd_failover_seconds_sum 60.012\n"
			    "lbd_failover_seconds_count 4\n") != NULL);
	metrics_free(&m);
	buf_free(&out);
}

/* Half an answer is none. */
static void test_limit(void)
{
	struct metrics m;
	struct buf out;

	metrics_init(&m, 40);
	buf_init(&out, 10000);
	metrics_family(&m, "x", METRICS_GAUGE, "h");
	metrics_add(&m, 1, {"l", "0123456789012345678901234567890123456789"});
	metrics_print(&m, &out);
	CHECK(out.bad && out.len == 0);
	metrics_free(&m);
	buf_free(&out);
}

CHECK_MAIN("test_metrics", CHECK_TEST(test_text), CHECK_TEST(test_labels),
	CHECK_TEST(test_counters), CHECK_TEST(test_histogram), CHECK_TEST(test_limit))
