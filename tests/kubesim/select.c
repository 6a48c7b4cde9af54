/* SPDX-License-Identifier: Apache-2.0
 *
 * select.c - label and field selectors.
 *
 * In: selector texts, versions.  Out: match or not.
 * Sources: apimachinery pkg/labels (Parse, Requirement.Matches), pkg/fields.
 * Not done: labels' > and <.
 */
#include "select.h"

#include <stdlib.h>
#include <string.h>

enum { REQUIREMENTS_MAX = 64, VALUES_MAX = 4096 };

static struct requirement *add(struct requirement **v, size_t *n, size_t *cap)
{
	*v = xgrow(*v, *n, cap, sizeof(struct requirement));
	(*v)[*n] = (struct requirement){0};
	return &(*v)[(*n)++];
}

static void add_value(struct requirement *r, const char *s, size_t n)
{
	r->values = xrealloc(r->values, r->n + 1, sizeof(char *));
	r->values[r->n++] = xstrndup(s, n);
}

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t");
}

static size_t word_len(const char *s)
{
	return strcspn(s, " \t,=!()<>");
}

static bool bad(struct text *err, const char *selector)
{
	text_fmt(err,
		"unable to parse requirement: found '%.64s', expected: identifier, !, in, "
		"notin, =, ==, !=",
		selector);
	return false;
}

/* "(a,b)" */
static const char *parse_set(struct requirement *r, const char *s)
{
	if (*s != '(')
		return NULL;
	for (;;) {
		size_t n;

		s = skip_space(s + 1);
		n = word_len(s);
		if (r->n >= VALUES_MAX)
			return NULL;
		add_value(r, s, n);
		s = skip_space(s + n);
		if (*s == ')')
			return s + 1;
		if (*s != ',')
			return NULL;
	}
}

/* After the key: what is wanted of it. */
static const char *parse_rest(struct requirement *r, const char *s)
{
	size_t n;

	if (!*s || *s == ',') {
		r->op = SELECT_EXISTS;
		return s;
	}
	if (!strncmp(s, "in", 2) && strchr(" (\t", s[2])) {
		r->op = SELECT_IN;
		return parse_set(r, skip_space(s + 2));
	}
	if (!strncmp(s, "notin", 5) && strchr(" (\t", s[5])) {
		r->op = SELECT_NOT_IN;
		return parse_set(r, skip_space(s + 5));
	}
	r->op = *s == '!' ? SELECT_NE : SELECT_EQ;
	if (*s == '!' || *s == '=')
		s++;
	else
		return NULL;
	if (*s == '=')
		s++;
	else if (r->op == SELECT_NE)
		return NULL;
	s = skip_space(s);
	n = word_len(s);
	add_value(r, s, n);
	return skip_space(s + n);
}

bool filter_labels(struct filter *f, const char *selector, struct text *err)
{
	const char *s = skip_space(selector);

	while (*s) {
		struct requirement *r;
		bool absent = *s == '!';
		size_t n;

		if (f->nlabels >= REQUIREMENTS_MAX)
			return bad(err, "too many requirements");
		s = skip_space(s + absent);
		n = word_len(s);
		if (!n)
			return bad(err, s);
		r = add(&f->labels, &f->nlabels, &f->cap_labels);
		r->key = xstrndup(s, n);
		s = skip_space(s + n);
		if (absent)
			r->op = SELECT_ABSENT;
		else
			s = parse_rest(r, s);
		if (s)
			s = skip_space(s);
		if (!s || (*s && *s != ','))
			return bad(err, s ? s : selector);
		if (*s == ',')
			s = skip_space(s + 1);
	}
	return true;
}

static bool field_is_known(const struct kind *k, const char *key)
{
	if (!strcmp(key, "metadata.name") || !strcmp(key, "metadata.namespace"))
		return true;
	for (size_t i = 0; i < KIND_FIELDS_MAX && k->fields[i]; i++) {
		if (!strcmp(k->fields[i], key))
			return true;
	}
	return false;
}

/* "key=value", "key==value", "key!=value" */
static bool parse_field(struct filter *f, const struct kind *k, char *item, struct text *err)
{
	char *op = strpbrk(item, "!=");
	struct requirement *r;
	const char *value;

	if (!op || (*op == '!' && op[1] != '=')) {
		text_fmt(err, "invalid selector: '%.64s'; can't understand '%.64s'", item, item);
		return false;
	}
	value = op + (op[0] == '!' || op[1] == '=' ? 2 : 1);
	r = add(&f->fields, &f->nfields, &f->cap_fields);
	r->op = *op == '!' ? SELECT_NE : SELECT_EQ;
	r->key = xstrndup(item, (size_t)(op - item));
	add_value(r, value, strlen(value));
	if (field_is_known(k, r->key))
		return true;
	text_fmt(err, "field label not supported: %.64s", r->key);
	return false;
}

bool filter_fields(struct filter *f, const struct kind *k, const char *selector, struct text *err)
{
	char *copy = xstrdup(selector), *save = NULL, *item;
	bool ok = true;

	for (item = strtok_r(copy, ",", &save); item && ok; item = strtok_r(NULL, ",", &save))
		ok = f->nfields < REQUIREMENTS_MAX && parse_field(f, k, item, err);
	free(copy);
	return ok;
}

static bool has_value(const struct requirement *r, const char *s)
{
	for (size_t i = 0; i < r->n; i++) {
		if (!strcmp(r->values[i], s))
			return true;
	}
	return false;
}

static const char *label_of(const struct version *v, const char *key)
{
	const char *s = v->labels;

	for (unsigned i = 0; i < v->nlabels; i++) {
		const char *value = s + strlen(s) + 1;

		if (!strcmp(s, key))
			return value;
		s = value + strlen(value) + 1;
	}
	return NULL;
}

static bool label_matches(const struct requirement *r, const char *got)
{
	switch (r->op) {
	case SELECT_EQ:
	case SELECT_IN:
		return got && has_value(r, got);
	case SELECT_NE:
	case SELECT_NOT_IN:
		return !got || !has_value(r, got);
	case SELECT_EXISTS:
		return got != NULL;
	case SELECT_ABSENT:
		return !got;
	}
	return false;
}

static bool field_matches(
	const struct requirement *r, const struct kind *k, const struct version *v)
{
	const char *s = v->fields;
	bool equal = false;

	if (!strcmp(r->key, "metadata.name"))
		equal = !strcmp(version_name(v), r->values[0]);
	else if (!strcmp(r->key, "metadata.namespace"))
		equal = strlen(r->values[0]) == version_ns_len(v) &&
			!strncmp(v->key, r->values[0], version_ns_len(v));
	else
		for (size_t i = 0; i < KIND_FIELDS_MAX && k->fields[i]; i++) {
			if (!strcmp(k->fields[i], r->key)) {
				equal = !strcmp(s, r->values[0]);
				break;
			}
			s += strlen(s) + 1;
		}
	return equal == (r->op == SELECT_EQ);
}

bool filter_match(const struct filter *f, const struct kind *k, const struct version *v)
{
	if (f->ns && (strlen(f->ns) != version_ns_len(v) ||
			     strncmp(f->ns, v->key, version_ns_len(v)) != 0))
		return false;
	if (f->name && strcmp(f->name, version_name(v)) != 0)
		return false;
	for (size_t i = 0; i < f->nlabels; i++) {
		if (!label_matches(&f->labels[i], label_of(v, f->labels[i].key)))
			return false;
	}
	for (size_t i = 0; i < f->nfields; i++) {
		if (!field_matches(&f->fields[i], k, v))
			return false;
	}
	return true;
}

bool filter_is_open(const struct filter *f)
{
	return !f->ns && !f->name && !f->nlabels && !f->nfields;
}

static void requirements_free(struct requirement *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < v[i].n; k++)
			free(v[i].values[k]);
		free(v[i].values);
		free(v[i].key);
	}
	free(v);
}

void filter_free(struct filter *f)
{
	requirements_free(f->labels, f->nlabels);
	requirements_free(f->fields, f->nfields);
	free(f->ns);
	free(f->name);
	*f = (struct filter){0};
}
