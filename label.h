/* SPDX-License-Identifier: Apache-2.0
 *
 * label.h - Kubernetes labels and label selectors (metav1.LabelSelector).  Pure.
 */
#ifndef LBD_LABEL_H
#define LBD_LABEL_H

#include <stdbool.h>
#include <stddef.h>

struct label {
	const char *key, *value; /* borrowed from the owning object's arena */
};

struct labels {
	const struct label *v; /* sorted by key, no duplicates */
	size_t n;
};

enum label_op { LABEL_IN, LABEL_NOT_IN, LABEL_EXISTS, LABEL_DOES_NOT_EXIST };

struct label_expr {
	const char *key;
	enum label_op op;
	const char *const *values;
	size_t n_values;
};

/* All parts must hold; an empty selector matches everything. */
struct selector {
	const struct label *match_labels;
	size_t n_match_labels;
	const struct label_expr *exprs;
	size_t n_exprs;
};

/* A list of selectors is an OR; what an empty list means is the caller's to say. */
struct selectors {
	const struct selector *v;
	size_t n;
};

/* Sorts in place by key; of equal keys one is kept.  Returns the new count. */
size_t label_sort(struct label *v, size_t n);
bool label_equal(const struct labels *a, const struct labels *b);
/* NULL when absent. */
const char *label_get(const struct labels *l, const char *key);
bool label_matches(const struct selector *s, const struct labels *l);
/* True if any matches, or if the list is empty. */
bool label_matches_any(const struct selectors *s, const struct labels *l);

#endif
