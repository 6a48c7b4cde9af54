/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.c - Prometheus's text exposition format.
 *
 * Owns: the text of one answer.
 * In:   families, samples, the table of counters.  Out: text.
 * Source: prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
 */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

void metrics_init(struct metrics *m, size_t max_bytes)
{
	m->n = 0;
	buf_init(&m->text, max_bytes);
}

void metrics_free(struct metrics *m)
{
	buf_free(&m->text);
}

/* -- text from outside ------------------------------------------------------------------------- */

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0u) == 0x80;
}

/* Bytes of the UTF-8 character at s; 0: it is none (RFC 3629). */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80   ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++)
		if (!is_continuation(s[i]))
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* A label's value.  Prometheus drops a whole answer for one byte that is not UTF-8. */
static void add_value(struct buf *b, const char *s)
{
	while (*s != '\0') {
		size_t n = utf8_len((const unsigned char *)s);

		if (*s == '\\' || *s == '"')
			buf_addc(b, '\\');
		if (*s == '\n')
			buf_adds(b, "\\n");
		else if (n == 0)
			buf_addc(b, '?');
		else
			buf_add(b, s, n);
		s += n > 0 ? n : 1;
	}
}

static void add_number(struct buf *b, uint64_t v)
{
	char s[20], *p = s + sizeof s;

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	buf_add(b, p, (size_t)(s + sizeof s - p));
}

static void add_decimal(struct buf *b, uint64_t v, unsigned decimals)
{
	uint64_t unit = 1;

	for (unsigned i = 0; i < decimals; i++)
		unit *= 10;
	add_number(b, v / unit);
	if (decimals == 0)
		return;
	buf_addc(b, '.');
	for (v %= unit; unit > 1; v %= unit) {
		unit /= 10;
		buf_addc(b, (char)('0' + v / unit));
	}
}

/* Milliseconds as the label of a bucket, as others write it: "0.025", "2.5", "10". */
static void add_bound(struct buf *b, uint64_t ms)
{
	unsigned decimals = 3;

	add_number(b, ms / 1000);
	for (ms %= 1000; decimals > 0 && ms % 10 == 0; ms /= 10)
		decimals--;
	if (decimals > 0)
		buf_addf(b, ".%0*u", (int)decimals, (unsigned)ms);
}

/* -- families and samples ---------------------------------------------------------------------- */

void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help)
{
	static const char *const types[] = {
		[METRICS_COUNTER] = "counter",
		[METRICS_GAUGE] = "gauge",
		[METRICS_HISTOGRAM] = "histogram",
	};

	REQUIRE(m->n < METRICS_MAX_FAMILIES);
	m->family[m->n++] = (struct metrics_family){name, m->text.len};
	buf_addf(&m->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static const char *name_of(const struct metrics *m)
{
	REQUIRE(m->n > 0);
	return m->family[m->n - 1].name;
}

void metrics_add_labels(struct metrics *m, uint64_t v, unsigned decimals,
	const struct metrics_label *labels, size_t n)
{
	struct buf *b = &m->text;
	char before = '{';

	buf_adds(b, name_of(m));
	for (size_t i = 0; i < n; i++) {
		if (labels[i].value == NULL)
			continue;
		buf_addc(b, before);
		buf_adds(b, labels[i].name);
		buf_adds(b, "=\"");
		add_value(b, labels[i].value);
		buf_addc(b, '"');
		before = ',';
	}
	if (before == ',')
		buf_addc(b, '}');
	buf_addc(b, ' ');
	add_decimal(b, v, decimals);
	buf_addc(b, '\n');
}

void metrics_set(struct metrics *m, uint64_t v)
{
	metrics_add_labels(m, v, 0, NULL, 0);
}

void metrics_set_ms(struct metrics *m, uint64_t ms)
{
	metrics_add_labels(m, ms, 3, NULL, 0);
}

/* -- the tables of counter.h ------------------------------------------------------------------- */

/* The first row of its family? */
static bool is_first(enum counter_id id)
{
	for (unsigned i = 0; i < id; i++)
		if (strcmp(counter_row((enum counter_id)i)->name, counter_row(id)->name) == 0)
			return false;
	return true;
}

static void counter_family(struct metrics *m, const struct counters *c, enum counter_id first)
{
	const struct counter_row *row = counter_row(first);

	metrics_family(m, row->name, METRICS_COUNTER, row->help);
	for (unsigned i = first; i < COUNTER_COUNT; i++) {
		const struct counter_row *r = counter_row((enum counter_id)i);

		if (strcmp(r->name, row->name) == 0)
			buf_addf(&m->text,
				r->labels[0] != '\0' ? "%s{%s} %" PRIu64 "\n"
						     : "%s%s %" PRIu64 "\n",
				r->name, r->labels, c->v[i]);
	}
}

static void histogram_family(
	struct metrics *m, const struct counter_row *row, const struct histogram *h)
{
	struct buf *b = &m->text;
	uint64_t n = 0;

	metrics_family(m, row->name, METRICS_HISTOGRAM, row->help);
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		n += h->n[i];
		buf_addf(b, "%s_bucket{le=\"", row->name);
		if (i < HISTOGRAM_BOUNDS)
			add_bound(b, histogram_bound_ms(i));
		else
			buf_adds(b, "+Inf");
		buf_addf(b, "\"} %" PRIu64 "\n", n);
	}
	buf_addf(b, "%s_sum ", row->name);
	add_decimal(b, h->sum_ms, 3);
	buf_addf(b, "\n%s_count %" PRIu64 "\n", row->name, n);
}

void metrics_counters(struct metrics *m, const struct counters *c)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (is_first((enum counter_id)i))
			counter_family(m, c, (enum counter_id)i);
	for (unsigned i = 0; i < HISTOGRAM_COUNT; i++)
		histogram_family(m, counter_histogram_row((enum histogram_id)i), &c->h[i]);
}

/* -- all of it --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct metrics_family *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void metrics_print(struct metrics *m, struct buf *out)
{
	const struct metrics_family *v[METRICS_MAX_FAMILIES];

	if (m->text.bad) {
		out->bad = true;
		return;
	}
	for (size_t i = 0; i < m->n; i++)
		v[i] = &m->family[i];
	qsort(v, m->n, sizeof(void *), by_name);
	for (size_t i = 0; i < m->n; i++) {
		size_t end = v[i] + 1 < m->family + m->n ? v[i][1].at : m->text.len;

		REQUIRE(i == 0 || strcmp(v[i - 1]->name, v[i]->name) != 0);
		buf_add(out, m->text.p + v[i]->at, end - v[i]->at);
	}
}
