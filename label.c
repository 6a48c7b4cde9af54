/* SPDX-License-Identifier: Apache-2.0
 *
 * label.c - Kubernetes labels and label selectors.
 *
 * Source: k8s.io/apimachinery metav1.LabelSelector: NotIn and DoesNotExist hold for an absent key.
 */
#include "label.h"

#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return strcmp(x->key, y->key);
}

size_t label_sort(struct label *v, size_t n)
{
	size_t i, out = 0;

	if (n == 0)
		return 0;
	qsort(v, n, sizeof *v, by_key);
	for (i = 1; i < n; i++) {
		if (strcmp(v[i].key, v[out].key) != 0)
			out++;
		v[out] = v[i];
	}
	return out + 1;
}

bool label_equal(const struct labels *a, const struct labels *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->v[i].key, b->v[i].key) != 0 ||
			strcmp(a->v[i].value, b->v[i].value) != 0)
			return false;
	return a->n == b->n;
}

const char *label_get(const struct labels *l, const char *key)
{
	const struct label want = {.key = key};
	const struct label *hit;

	if (l->n == 0)
		return NULL;
	hit = bsearch(&want, l->v, l->n, sizeof *l->v, by_key);
	return hit != NULL ? hit->value : NULL;
}

static bool in_values(const struct label_expr *e, const char *value)
{
	for (size_t i = 0; i < e->n_values; i++)
		if (strcmp(e->values[i], value) == 0)
			return true;
	return false;
}

static bool expr_matches(const struct label_expr *e, const struct labels *l)
{
	const char *value = label_get(l, e->key);

	switch (e->op) {
	case LABEL_IN:
		return value != NULL && in_values(e, value);
	case LABEL_NOT_IN:
		return value == NULL || !in_values(e, value);
	case LABEL_EXISTS:
		return value != NULL;
	case LABEL_DOES_NOT_EXIST:
		return value == NULL;
	}
	return false;
}

bool label_matches(const struct selector *s, const struct labels *l)
{
	for (size_t i = 0; i < s->n_match_labels; i++) {
		const char *value = label_get(l, s->match_labels[i].key);

		if (value == NULL || strcmp(value, s->match_labels[i].value) != 0)
			return false;
	}
	for (size_t i = 0; i < s->n_exprs; i++)
		if (!expr_matches(&s->exprs[i], l))
			return false;
	return true;
}

bool label_matches_any(const struct selectors *s, const struct labels *l)
{
	for (size_t i = 0; i < s->n; i++)
		if (label_matches(&s->v[i], l))
			return true;
	return s->n == 0;
}
