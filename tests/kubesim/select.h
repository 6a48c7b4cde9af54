/* SPDX-License-Identifier: Apache-2.0
 *
 * select.h - label and field selectors, and the namespace or name of a request.
 */
#ifndef KUBESIM_SELECT_H
#define KUBESIM_SELECT_H

#include "store.h"

enum select_op { SELECT_EQ, SELECT_NE, SELECT_IN, SELECT_NOT_IN, SELECT_EXISTS, SELECT_ABSENT };

struct requirement {
	enum select_op op;
	char *key;     /* owned */
	char **values; /* owned */
	size_t n;
};

struct filter {
	char *ns;                            /* owned; NULL = all */
	char *name;                          /* owned; NULL = all */
	struct requirement *labels, *fields; /* owned */
	size_t nlabels, nfields, cap_labels, cap_fields;
};

/* Add a selector's requirements. False: err says why, as the real server words it. */
bool filter_labels(struct filter *f, const char *selector, struct text *err);
bool filter_fields(struct filter *f, const struct kind *k, const char *selector, struct text *err);
/* k: the kind asked for (its fields' order is that of the stored kind). */
bool filter_match(const struct filter *f, const struct kind *k, const struct version *v);
bool filter_is_open(const struct filter *f); /* matches everything */
void filter_free(struct filter *f);

#endif
