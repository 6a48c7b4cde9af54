/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.h - Prometheus's text exposition format 0.0.4: families with their help and type, sorted
 * by name, every sample valid whatever its labels' values are.  Pure.
 */
#ifndef LBD_METRICS_H
#define LBD_METRICS_H

#include "buf.h"
#include "counter.h"

#include <stddef.h>
#include <stdint.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { METRICS_MAX_FAMILIES = 256, METRICS_MAX_LABELS = 6 };

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* What is being written. */
struct metrics {
	struct buf text; /* owned: families as they came */
	struct metrics_family {
		const char *name; /* borrowed */
		size_t at;        /* where it begins in text */
	} family[METRICS_MAX_FAMILIES];
	size_t n;
};

struct metrics_label {
	const char *name, *value; /* value NULL: the label is left out */
};

/* max_bytes bounds the text. */
void metrics_init(struct metrics *m, size_t max_bytes);
void metrics_free(struct metrics *m);

/* What follows is of this family, which is new; name is a constant. */
void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help);
/* A sample of the family: labels as {"pool", p}, {"ip", a}; those of one family differ. */
#define metrics_add(m, value, ...)                                                                 \
	metrics_add_labels(m, value, 0, (const struct metrics_label[]){__VA_ARGS__},               \
		sizeof((const struct metrics_label[]){__VA_ARGS__}) /                              \
			sizeof(struct metrics_label))
/* The value is v / 10^decimals; decimals: up to 3. */
void metrics_add_labels(struct metrics *m, uint64_t v, unsigned decimals,
	const struct metrics_label *labels, size_t n);
/* The same without labels. */
void metrics_set(struct metrics *m, uint64_t v);
void metrics_set_ms(struct metrics *m, uint64_t ms); /* in seconds */

/* Every counter and histogram of counter.h. */
void metrics_counters(struct metrics *m, const struct counters *c);

/* Appends all of it to out, sorted; marks out bad when memory was lacking, or a limit reached. */
void metrics_print(struct metrics *m, struct buf *out);

#endif
