/* SPDX-License-Identifier: Apache-2.0
 *
 * config_decode.c - cJSON -> structs, by the field table.
 *
 * Owns: the root's lists while they grow, with the origin of each item.
 * In:   a cJSON map and the record that says what may stand in it.
 * Out:  a struct, or errors that say what was expected; all of them, not the first.
 * A field that is null, or an optional string that is empty, counts as not given (Kubernetes).
 */
#include "config_decode.h"

#include "config_field.h"
#include "config_rules.h"
#include "config_scalar.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_ITEMS = 8 };

/* -- the decoder -- */

void config_decoder_init(struct config_decoder *d, struct arena *arena, struct config *conf,
	struct config_report *report)
{
	*d = (struct config_decoder){.arena = arena, .conf = conf, .nodes_left = CONFIG_MAX_NODES};
	config_at_init(&d->at, report);
	buf_init(&d->not_yet, 512);
	config_decode_defaults(d, config_root_record(), conf);
}

void config_decoder_free(struct config_decoder *d)
{
	config_at_free(&d->at);
	buf_free(&d->not_yet);
	for (size_t i = 0; i < CONFIG_N_LISTS; i++) {
		free(d->items[i].v);
		free(d->items[i].origins);
	}
	for (size_t i = 0; i < d->n_docs; i++)
		doc_free(d->docs[i]);
	free(d->docs);
}

bool config_decode_keep(struct config_decoder *d, struct doc *doc)
{
	struct doc **v = realloc(d->docs, (d->n_docs + 1) * sizeof(struct doc *));

	if (v == NULL) {
		doc_free(doc);
		d->no_memory = true;
		return false;
	}
	d->docs = v;
	d->docs[d->n_docs++] = doc;
	return true;
}

const char *config_decode_dup(struct config_decoder *d, const char *s)
{
	char *copy = arena_strdup(d->arena, s);

	if (copy == NULL)
		d->no_memory = true;
	return copy;
}

static void *alloc_array(struct config_decoder *d, size_t n, size_t size)
{
	void *v = arena_array(d->arena, n, size);

	if (v == NULL)
		d->no_memory = true;
	return v;
}

static void *place(const struct config_field *f, void *rec)
{
	return (char *)rec + f->offset;
}

/* The value's count stands beside it. */
static void set_array(const struct config_field *f, void *rec, const void *v, size_t n)
{
	*(const void **)place(f, rec) = v;
	*(size_t *)(void *)((char *)rec + f->offset_n) = n;
}

/* And of some, a flag: it was given. */
static void set_given(const struct config_field *f, void *rec)
{
	if (f->offset_n != CONFIG_NOWHERE)
		*(bool *)((char *)rec + f->offset_n) = true;
}

/* -- defaults -- */

/* Words separated by blanks. */
static void default_strings(struct config_decoder *d, const struct config_field *f, void *rec)
{
	const char *s = f->fallback != NULL ? f->fallback : "";
	const char **v;
	size_t n = *s != '\0';

	for (const char *p = s; *p != '\0'; p++)
		n += *p == ' ';
	v = alloc_array(d, n, sizeof(char *));
	if (v == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(s, " ");

		v[i] = arena_strndup(d->arena, s, len);
		d->no_memory |= v[i] == NULL;
		s += len + 1;
	}
	set_array(f, rec, v, n);
}

void config_decode_defaults(struct config_decoder *d, const struct config_record *record, void *rec)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct config_field *f = &record->fields[i];

		if (f->type == CONFIG_MAP || f->type == CONFIG_SAME_MAP)
			config_decode_defaults(d, f->record, place(f, rec));
		else if (f->type == CONFIG_STRINGS)
			default_strings(d, f, rec);
		else if (f->fallback != NULL)
			config_field_default(f, place(f, rec));
	}
}

/* "expected (got ...)"; hint may be "". */
static bool unexpected(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, const char *hint)
{
	char what[CONFIG_EXPECT_STRLEN], got[CONFIG_GOT_STRLEN];

	config_got(&d->at, node, got);
	if (f->flags & CONFIG_SECRET)
		snprintf(got, sizeof got, "something not shown");
	config_error(&d->at, node, "%s (got %s%s)", config_field_expect(f, what), got, hint);
	return false;
}

/* -- scalars -- */

/* YAML 1.1's other words, which kubectl and MetalLB read so when they are not in quotes; in dialect
 * 1 they are strings, as in YAML 1.2. */
static bool read_old_bool(const struct config_decoder *d, const cJSON *node, bool *ret_v)
{
	static const char *const words[] = {"n", "N", "no", "No", "NO", "off", "Off", "OFF", "y",
		"Y", "yes", "Yes", "YES", "on", "On", "ON"};

	if (d->at.in->dialects & CONFIG_IN_NATIVE || !cJSON_IsString(node) ||
		!doc_is_plain(d->at.in->doc, node))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(node->valuestring, words[i]) == 0) {
			*ret_v = i >= ARRAY_LEN(words) / 2;
			return true;
		}
	return false;
}

static bool decode_bool(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, bool *at)
{
	if (read_old_bool(d, node, at))
		return true;
	if (!cJSON_IsBool(node))
		return unexpected(d, f, node, cJSON_IsString(node) ? ", a string" : "");
	*at = cJSON_IsTrue(node) != 0;
	return true;
}

static bool decode_number(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, uint32_t *ret_v)
{
	double v = node->valuedouble;

	if (!cJSON_IsNumber(node))
		return unexpected(d, f, node, cJSON_IsString(node) ? ", a string" : "");
	if (!(v >= 0 && v <= UINT32_MAX) || (double)(uint32_t)v != v ||
		!config_field_in_range(f, (uint32_t)v))
		return unexpected(d, f, node, "");
	*ret_v = (uint32_t)v;
	return true;
}

static bool decode_duration(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *at)
{
	uint64_t ms;

	if (cJSON_IsNumber(node) && node->valuedouble == 0)
		ms = 0;
	else if (!cJSON_IsString(node) || config_duration_parse(node->valuestring, &ms) != 0)
		return unexpected(d, f, node, ", not a duration such as 90s or 100ms");
	if (!config_field_in_range(f, ms))
		return unexpected(d, f, node, "");
	if (f->flags & CONFIG_SECONDS && ms % 1000 != 0)
		return unexpected(d, f, node, ", not whole seconds");
	*(uint64_t *)at = ms;
	return true;
}

static bool decode_factor(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *at)
{
	double v = node->valuedouble;

	if (!cJSON_IsNumber(node))
		return unexpected(d, f, node, cJSON_IsString(node) ? ", a string" : "");
	if (!((v >= (double)f->min && v <= (double)f->max) ||
		    (v == 0 && f->flags & CONFIG_OR_ZERO)))
		return unexpected(d, f, node, "");
	*(double *)at = v == 0 ? 0 : v; /* no minus zero */
	return true;
}

/* A string; in a ConfigMap any scalar, as YAML 1.1 gave one to a Go string. */
static const char *string_of(const struct config_decoder *d, const cJSON *node)
{
	if (cJSON_IsString(node))
		return node->valuestring;
	return d->at.in->kebab && !cJSON_IsNull(node) ? doc_scalar(d->at.in->doc, node) : NULL;
}

static bool not_a_string(struct config_decoder *d, const struct config_field *f, const cJSON *node)
{
	return unexpected(d, f, node,
		doc_scalar(d->at.in->doc, node) != NULL ? ", not a string: put it in quotes" : "");
}

/* *ret_empty: nothing was given. */
static bool decode_string(struct config_decoder *d, const struct config_field *f, const cJSON *node,
	const char **at, bool *ret_empty)
{
	const char *s = string_of(d, node);
	size_t len;

	if (s == NULL)
		return not_a_string(d, f, node);
	len = strlen(s);
	*ret_empty = len == 0 && !(f->flags & CONFIG_REQUIRED);
	if (*ret_empty)
		return true;
	if (len < f->min || len > f->max || !config_field_text_ok(f->text, s))
		return unexpected(d, f, node, "");
	*at = config_decode_dup(d, s);
	return true;
}

/* *ret_i is the count of words when nothing was given. */
static bool decode_word(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, unsigned *ret_i)
{
	const char *s = string_of(d, node), *near;
	char hint[CONFIG_MAX_KEY + 32] = "";
	unsigned i;

	if (s == NULL)
		return unexpected(d, f, node, "");
	i = config_field_word(f, s);
	if (f->words[i] == NULL && (*s != '\0' || f->flags & CONFIG_REQUIRED)) {
		near = config_nearest(s, f->words);
		if (near != NULL)
			snprintf(hint, sizeof hint, ", did you mean %s?", near);
		return unexpected(d, f, node, hint);
	}
	*ret_i = i;
	return true;
}

static bool decode_word_field(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *at)
{
	unsigned i = 0;

	if (!decode_word(d, f, node, &i))
		return false;
	if (f->words[i] == NULL)
		return true;
	if (f->type == CONFIG_WORD)
		*(const char **)at = f->words[i];
	else if (f->type == CONFIG_WORD_INDEX)
		*(unsigned *)at = i;
	else
		*(bool *)at = i == 1;
	return true;
}

static bool decode_address(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	const char *s = cJSON_IsString(node) ? node->valuestring : NULL;

	if (s != NULL && *s == '\0')
		return true;
	if (s == NULL || addr_parse(s, strlen(s), place(f, rec)) != 0)
		return unexpected(d, f, node, "");
	set_given(f, rec);
	return true;
}

static bool decode_string_field(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *at)
{
	bool empty;

	return decode_string(d, f, node, at, &empty);
}

/* -- lists -- */

/* The length of a list, 0 and false when it is none or too long. */
static bool list_length(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, size_t *ret_n)
{
	size_t n = 0;

	if (!cJSON_IsArray(node)) {
		char got[CONFIG_GOT_STRLEN];

		config_error(
			&d->at, node, "must be a list (got %s)", config_got(&d->at, node, got));
		return false;
	}
	for (const cJSON *i = node->child; i != NULL; i = i->next)
		n++;
	if (n > f->max) {
		config_error(&d->at, node, "must have at most %llu items (got %zu)",
			(unsigned long long)f->max, n);
		return false;
	}
	*ret_n = n;
	return true;
}

/* An item of a list of strings: the field's text, never empty but for label values. */
static bool decode_item(struct config_decoder *d, const struct config_field *f, const cJSON *node,
	const char **ret_s)
{
	const char *s = string_of(d, node);

	if (s == NULL)
		return not_a_string(d, f, node);
	if ((*s == '\0' && f->text != CONFIG_TEXT_LABEL_VALUE) || strlen(s) > CONFIG_MAX_NAME ||
		!config_field_text_ok(f->text, s))
		return unexpected(d, f, node, "");
	*ret_s = config_decode_dup(d, s);
	return true;
}

struct word {
	const char *s;
	size_t i;
};

static int compare_words(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int c = strcmp(x->s, y->s);

	return c != 0 ? c : (x->i > y->i) - (x->i < y->i);
}

/* Names and label values stand once in a list, as MetalLB has it for its custom resources. */
static bool check_once(struct config_decoder *d, const struct config_field *f, const cJSON *list,
	const char *const *v, size_t n)
{
	bool names = f->text == CONFIG_TEXT_NAME || f->text == CONFIG_TEXT_LABEL_VALUE, ok = true;
	struct word *words;

	if (!names || n < 2 || !(d->at.in->dialects & CONFIG_IN_NEW))
		return true;
	words = alloc_array(d, n, sizeof *words);
	if (words == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		words[i] = (struct word){v[i], i};
	qsort(words, n, sizeof *words, compare_words);
	for (size_t i = 1; i < n; i++) {
		char got[CONFIG_GOT_STRLEN];
		size_t up;

		if (strcmp(words[i].s, words[i - 1].s) != 0)
			continue;
		ok = false;
		up = config_at_index_down(&d->at, words[i].i);
		config_error(&d->at, cJSON_GetArrayItem(list, (int)words[i].i),
			"must be given once, [%zu] is the same (got %s)", words[i - 1].i,
			config_got_text(words[i].s, got));
		config_at_up(&d->at, up);
	}
	return ok;
}

static bool decode_strings(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	const char **v;
	size_t n, i = 0;
	bool ok = true;

	if (!list_length(d, f, node, &n))
		return false;
	v = alloc_array(d, n, sizeof(char *));
	if (v == NULL)
		return false;
	for (const cJSON *c = node->child; c != NULL; c = c->next, i++) {
		size_t up = config_at_index_down(&d->at, i);

		ok &= decode_item(d, f, c, &v[i]);
		config_at_up(&d->at, up);
	}
	if (!ok || d->no_memory || !check_once(d, f, node, v, n))
		return false;
	set_array(f, rec, v, n);
	return true;
}

static const char *range_fault(enum addr_range_error err)
{
	switch (err) {
	case ADDR_RANGE_OK:
	case ADDR_RANGE_HOST_BITS:
		break;
	case ADDR_RANGE_SYNTAX:
		return "must be a CIDR like 10.0.0.0/24 or a range like 10.0.0.1-10.0.0.9";
	case ADDR_RANGE_ADDRESS:
		return "must be made of IPv4 or IPv6 addresses";
	case ADDR_RANGE_LENGTH:
		return "must have a prefix length of 0..32 for IPv4, 0..128 for IPv6";
	case ADDR_RANGE_FAMILIES:
		return "must be of one family, IPv4 or IPv6";
	case ADDR_RANGE_REVERSED:
		return "must begin with the lower address";
	}
	return NULL;
}

bool config_decode_range(
	struct config_decoder *d, const cJSON *node, bool single, struct addr_range *ret_r)
{
	char got[CONFIG_GOT_STRLEN], read[ADDR_RANGE_STRLEN];
	const char *fault = "must be a CIDR or a range";
	enum addr_range_error err;
	struct addr_range r;

	if (cJSON_IsString(node)) {
		err = addr_range_parse(node->valuestring, strlen(node->valuestring), single, &r);
		fault = range_fault(err);
		if (err == ADDR_RANGE_FAMILIES && strchr(node->valuestring, '/') != NULL)
			fault = "must not hold ::ffff:0:0/96, where IPv4 addresses are";
		if (fault == NULL && addr_range_has_unusable(r))
			fault = "must not hold unspecified, loopback, multicast or broadcast "
				"addresses";
		if (fault == NULL && err == ADDR_RANGE_HOST_BITS)
			config_warn(&d->at, node,
				"has bits set behind its prefix: read as %s (got %s)",
				addr_range_format(r, read), config_got(&d->at, node, got));
	}
	if (fault != NULL) {
		config_error(&d->at, node, "%s (got %s)", fault, config_got(&d->at, node, got));
		return false;
	}
	*ret_r = r;
	return true;
}

static bool decode_ranges(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	bool single = d->at.in->dialects & CONFIG_IN_NATIVE, ok = true;
	struct addr_range *v;
	size_t n, i = 0;

	if (!list_length(d, f, node, &n))
		return false;
	if (n == 0) {
		config_error(&d->at, node, "must have at least one CIDR or range (got none)");
		return false;
	}
	v = alloc_array(d, n, sizeof *v);
	if (v == NULL)
		return false;
	for (const cJSON *c = node->child; c != NULL; c = c->next, i++) {
		size_t up = config_at_index_down(&d->at, i);

		ok &= config_decode_range(d, c, single, &v[i]);
		config_at_up(&d->at, up);
	}
	if (!ok)
		return false;
	set_array(f, rec, v, n);
	return true;
}

static bool decode_label(struct config_decoder *d, const cJSON *node, struct label *ret_l)
{
	const char *value = string_of(d, node);
	char got[CONFIG_GOT_STRLEN];

	if (!config_label_key_ok(node->string)) {
		config_error_key(&d->at, node,
			"must be a label's key, name or prefix/name (got %s)",
			config_got_text(node->string, got));
		return false;
	}
	if (value == NULL || !config_label_value_ok(value)) {
		config_error(&d->at, node, "must be a label's value%s (got %s)",
			value == NULL ? ", a string" : "", config_got(&d->at, node, got));
		return false;
	}
	*ret_l = (struct label){
		.key = config_decode_dup(d, node->string), .value = config_decode_dup(d, value)};
	return !d->no_memory;
}

static bool decode_labels(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	struct label *v;
	size_t n = 0;
	bool ok = true;

	if (!cJSON_IsObject(node))
		return unexpected(d, f, node, "");
	for (const cJSON *c = node->child; c != NULL; c = c->next)
		n++;
	if (n > f->max) {
		config_error(&d->at, node, "must have at most %llu labels (got %zu)",
			(unsigned long long)f->max, n);
		return false;
	}
	v = alloc_array(d, n, sizeof *v);
	if (v == NULL)
		return false;
	n = 0;
	for (const cJSON *c = node->child; c != NULL; c = c->next) {
		size_t up = config_at_key_down(&d->at, c->string);

		ok &= decode_label(d, c, &v[n++]);
		config_at_up(&d->at, up);
	}
	if (!ok)
		return false;
	n = label_sort(v, n);
	set_array(f, rec, v, n);
	return true;
}

static bool is_nothing(const cJSON *node)
{
	return node == NULL || cJSON_IsNull(node) ||
	       ((cJSON_IsObject(node) || cJSON_IsArray(node)) && node->child == NULL);
}

static bool means_the_same(const cJSON *a, const cJSON *b);

/* Has b all that a has? */
static bool has_all(const cJSON *b, const cJSON *a)
{
	for (const cJSON *c = a->child; c != NULL; c = c->next)
		if (!means_the_same(c, json_get(b, c->string)))
			return false;
	return true;
}

/* What is empty is as good as not there. */
static bool means_the_same(const cJSON *a, const cJSON *b)
{
	const cJSON *x, *y;

	if (is_nothing(a) || is_nothing(b))
		return is_nothing(a) && is_nothing(b);
	if (cJSON_IsObject(a) && cJSON_IsObject(b))
		return has_all(b, a) && has_all(a, b);
	if (!cJSON_IsArray(a) || !cJSON_IsArray(b))
		return cJSON_Compare(a, b, true);
	for (x = a->child, y = b->child; x != NULL && y != NULL; x = x->next, y = y->next)
		if (!means_the_same(x, y))
			return false;
	return x == y;
}

/* MetalLB refuses a selector, or an expression of one, that stands twice in a list; its ConfigMap
 * and OpenELB did not. */
static bool check_distinct(
	struct config_decoder *d, const struct config_field *f, const cJSON *list)
{
	enum config_record_id id = f->record->id;
	size_t i = 0;

	if ((id != CONFIG_SELECTOR && id != CONFIG_EXPRESSION) ||
		!(d->at.in->dialects & CONFIG_IN_NEW))
		return true;
	for (const cJSON *c = list->child; c != NULL; c = c->next, i++) {
		const cJSON *b = list->child;
		size_t k = 0, up;

		for (; b != c && !means_the_same(b, c); b = b->next)
			k++;
		if (b == c)
			continue;
		up = config_at_index_down(&d->at, i);
		config_error(&d->at, c, "must be given once, [%zu] is the same", k);
		config_at_up(&d->at, up);
		return false;
	}
	return true;
}

static bool decode_list(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	size_t n, i = 0;
	bool ok = true;
	char *v;

	if (!list_length(d, f, node, &n))
		return false;
	v = alloc_array(d, n, f->record->size);
	if (v == NULL)
		return false;
	for (const cJSON *c = node->child; c != NULL; c = c->next, i++) {
		size_t up = config_at_index_down(&d->at, i);

		config_decode_defaults(d, f->record, v + i * f->record->size);
		ok &= config_decode_map(d, f->record, c, v + i * f->record->size);
		config_at_up(&d->at, up);
	}
	if (!ok || !check_distinct(d, f, node))
		return false;
	set_array(f, rec, v, n);
	return true;
}

/* -- what is validated, not served -- */

void config_decode_not_yet(struct config_decoder *d, const char *name, const cJSON *node)
{
	struct buf *b = &d->not_yet;
	const char *at = b->len > 0 ? strstr(b->p, name) : NULL;
	size_t len = strlen(name);

	/* Once each; a name must not hide in a longer one. */
	for (; at != NULL; at = strstr(at + 1, name))
		if ((at == b->p || at[-1] == ' ') && (at[len] == ',' || at[len] == '\0'))
			return;
	if (b->len == 0) {
		d->not_yet_in = d->at.in;
		d->not_yet_node = node;
	}
	buf_addf(b, "%s%s", b->len > 0 ? ", " : "", name);
}

/* "pools[3].conflictDetection" without the index. */
static void not_yet_here(struct config_decoder *d, const cJSON *node)
{
	char name[128];
	size_t n = 0;
	bool inside = false;

	for (size_t i = 0; i < d->at.path.len && n < sizeof name - 1; i++) {
		char c = d->at.path.p[i];

		inside |= c == '[';
		if (!inside)
			name[n++] = c;
		inside &= c != ']';
	}
	name[n] = '\0';
	config_decode_not_yet(d, name, node);
}

/* -- maps -- */

static bool decode_u32(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	uint32_t v = 0;

	if (!decode_number(d, f, node, &v))
		return false;
	if (f->type == CONFIG_UINT)
		*(unsigned *)place(f, rec) = v;
	else
		*(uint32_t *)place(f, rec) = v;
	set_given(f, rec);
	return true;
}

static bool decode_inner(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	if (!config_decode_map(d, f->record, node, place(f, rec)))
		return false;
	set_given(f, rec);
	return true;
}

static bool decode_value(
	struct config_decoder *d, const struct config_field *f, const cJSON *node, void *rec)
{
	switch (f->type) {
	case CONFIG_BOOL:
		return decode_bool(d, f, node, place(f, rec));
	case CONFIG_UINT:
	case CONFIG_U32:
		return decode_u32(d, f, node, rec);
	case CONFIG_DURATION:
		return decode_duration(d, f, node, place(f, rec));
	case CONFIG_FACTOR:
		return decode_factor(d, f, node, place(f, rec));
	case CONFIG_STRING:
		return decode_string_field(d, f, node, place(f, rec));
	case CONFIG_WORD:
	case CONFIG_WORD_INDEX:
	case CONFIG_WORD_BOOL:
		return decode_word_field(d, f, node, place(f, rec));
	case CONFIG_ADDRESS:
		return decode_address(d, f, node, rec);
	case CONFIG_STRINGS:
		return decode_strings(d, f, node, rec);
	case CONFIG_RANGES:
		return decode_ranges(d, f, node, rec);
	case CONFIG_LABELS:
		return decode_labels(d, f, node, rec);
	case CONFIG_MAP:
		return decode_inner(d, f, node, rec);
	case CONFIG_LIST:
		return decode_list(d, f, node, rec);
	case CONFIG_ANY:
		return true;
	case CONFIG_SAME_MAP:
		break;
	}
	return false;
}

/* The field that this input spells so; *ret_rec is moved into a CONFIG_SAME_MAP.  Fields of other
 * dialects are not found. */
static const struct config_field *find_field(const struct config_decoder *d,
	const struct config_record *record, const char *spelled, void **ret_rec)
{
	char s[CONFIG_MAX_KEY];

	for (size_t i = 0; i < record->n_fields; i++) {
		const struct config_field *f = &record->fields[i];
		void *inner;

		if (!(f->in & d->at.in->dialects))
			continue;
		if (f->type == CONFIG_SAME_MAP) {
			const struct config_field *hit;

			inner = place(f, *ret_rec);
			hit = find_field(d, f->record, spelled, &inner);
			if (hit != NULL) {
				*ret_rec = inner;
				return hit;
			}
		} else if (strcmp(config_at_key(&d->at, f->name, s), spelled) == 0) {
			return f;
		}
	}
	return NULL;
}

bool config_decode_field(struct config_decoder *d, const struct config_record *record,
	const char *name, const cJSON *node, void *rec)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return decode_value(d, &record->fields[i], node, rec);
	return false;
}

/* As it is spelled here, of the fields that this dialect has. */
static void nearest_field(const struct config_decoder *d, const struct config_record *record,
	const char *got, char best[CONFIG_MAX_KEY], unsigned *least)
{
	char s[CONFIG_MAX_KEY];

	for (size_t i = 0; i < record->n_fields; i++) {
		const struct config_field *f = &record->fields[i];
		const char *name = config_at_key(&d->at, f->name, s);
		unsigned l = f->in & d->at.in->dialects ? config_likeness(got, name) : 0;

		if (f->type == CONFIG_SAME_MAP)
			nearest_field(d, f->record, got, best, least);
		if (l > 0 && (*least == 0 || l < *least)) {
			snprintf(best, CONFIG_MAX_KEY, "%s", name);
			*least = l;
		}
	}
}

static bool is_native_only(const struct config_record *record, const char *name)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (strcmp(record->fields[i].name, name) == 0 &&
			record->fields[i].in == CONFIG_IN_NATIVE)
			return true;
	return false;
}

/* What the API server took is no slip of the pen: its definition of the kind is newer than this. */
static bool is_newer(const struct config_input *in)
{
	return in->file == NULL && (in->dialects & (CONFIG_IN_CR | CONFIG_IN_EIP)) != 0;
}

static bool unknown_field(
	struct config_decoder *d, const struct config_record *record, const cJSON *member)
{
	char best[CONFIG_MAX_KEY] = "";
	unsigned least = 0;

	if (is_newer(d->at.in)) {
		config_warn(&d->at, member, "is not known to this version and ignored");
		return true;
	}
	if (d->at.report->n_errors < CONFIG_MAX_ERRORS)
		nearest_field(d, record, member->string, best, &least);
	if (member->string[0] == '-')
		config_error_key(&d->at, member,
			"unknown key: the - of a list's item wants a blank behind it");
	else if (least > 0)
		config_error_key(&d->at, member, "unknown key, did you mean %s?", best);
	else if (is_native_only(record, member->string))
		config_error_key(&d->at, member,
			"unknown key: only apiVersion lbd.io/v1, kind Config has it");
	else
		config_error_key(&d->at, member, "unknown key");
	return false;
}

void config_decode_unknown(struct config_decoder *d, const cJSON *member, const char *const *names)
{
	size_t up = config_at_key_down(&d->at, member->string);
	const char *near = config_nearest(member->string, names);

	if (near != NULL)
		config_error_key(&d->at, member, "unknown key, did you mean %s?", near);
	else
		config_error_key(&d->at, member, "unknown key");
	config_at_up(&d->at, up);
}

static bool decode_member(struct config_decoder *d, const struct config_record *record,
	const cJSON *member, void *rec)
{
	size_t up = config_at_key_down(&d->at, member->string);
	const struct config_field *f = find_field(d, record, member->string, &rec);
	bool ok = true;

	if (f == NULL)
		ok = unknown_field(d, record, member);
	else if (!cJSON_IsNull(member))
		ok = decode_value(d, f, member, rec);
	if (f != NULL && ok && f->flags & CONFIG_NOT_YET && !cJSON_IsNull(member) &&
		!config_field_is_default(f, place(f, rec)))
		not_yet_here(d, member);
	config_at_up(&d->at, up);
	return ok;
}

/* A name may have been set from outside the map (metadata.name). */
static bool is_set(const struct config_field *f, void *rec)
{
	return f->type == CONFIG_STRING && *(const char **)place(f, rec) != NULL;
}

/* Is there an unknown key that was probably meant as this one?  Its own error is enough. */
static bool is_misspelled(const struct config_decoder *d, const struct config_record *record,
	const cJSON *node, void *rec, const char *spelled)
{
	if (d->at.report->n_errors >= CONFIG_MAX_ERRORS)
		return false; /* no one will read it */
	for (const cJSON *c = node->child; c != NULL; c = c->next) {
		void *ignored = rec;

		if (config_likeness(c->string, spelled) > 0 &&
			find_field(d, record, c->string, &ignored) == NULL)
			return true;
	}
	return false;
}

static bool check_required(
	struct config_decoder *d, const struct config_record *record, const cJSON *node, void *rec)
{
	char s[CONFIG_MAX_KEY], what[CONFIG_EXPECT_STRLEN];
	bool ok = true;

	for (size_t i = 0; i < record->n_fields; i++) {
		const struct config_field *f = &record->fields[i];
		const char *spelled = config_at_key(&d->at, f->name, s);
		const cJSON *v = json_get(node, spelled);

		if (!(f->in & d->at.in->dialects))
			continue;
		if (f->type == CONFIG_SAME_MAP)
			ok &= check_required(d, f->record, node, place(f, rec));
		if (!(f->flags & CONFIG_REQUIRED) || (v != NULL && !cJSON_IsNull(v)) ||
			is_set(f, rec))
			continue;
		ok = false;
		if (is_misspelled(d, record, node, rec, spelled))
			continue;
		config_error_field(
			&d->at, node, f->name, "%s (got nothing)", config_field_expect(f, what));
	}
	return ok;
}

bool config_decode_map(
	struct config_decoder *d, const struct config_record *record, const cJSON *node, void *rec)
{
	unsigned before = d->at.report->n_errors;
	char got[CONFIG_GOT_STRLEN];
	bool ok = true;

	if (!cJSON_IsObject(node)) {
		config_error(&d->at, node, "must be a map (got %s)", config_got(&d->at, node, got));
		return false;
	}
	for (const cJSON *c = node->child; c != NULL; c = c->next)
		ok &= decode_member(d, record, c, rec);
	ok &= check_required(d, record, node, rec);
	/* A field that is wrong must not make others look contradictory. */
	if (ok)
		config_rules_record(&d->at, record->id, node, rec);
	return d->at.report->n_errors == before;
}

const char *config_decode_text(struct config_decoder *d, const cJSON *obj, const char *key)
{
	const cJSON *v = json_get(obj, key);
	char got[CONFIG_GOT_STRLEN];

	if (v == NULL || cJSON_IsNull(v))
		return NULL;
	if (!cJSON_IsString(v)) {
		config_error_field(
			&d->at, obj, key, "must be a string (got %s)", config_got(&d->at, v, got));
		return NULL;
	}
	return v->valuestring;
}

/* -- the root's lists -- */

static bool grow_items(struct config_items *items, size_t size)
{
	size_t cap = items->cap != 0 ? items->cap * 2 : FIRST_ITEMS;
	struct config_origin *o;
	char *v;

	if (items->n < items->cap)
		return true;
	v = realloc(items->v, cap * size);
	if (v == NULL)
		return false;
	items->v = v;
	o = realloc(items->origins, cap * sizeof *o);
	if (o == NULL)
		return false;
	items->origins = o;
	items->cap = cap;
	return true;
}

static void note_kind(struct config_decoder *d, const struct config_field *f, const cJSON *node)
{
	if (f->flags & CONFIG_NOT_YET)
		config_decode_not_yet(d, f->name, node);
}

void *config_decode_add(struct config_decoder *d, enum config_record_id id, const cJSON *node,
	const cJSON *mark_node)
{
	const struct config_field *f = config_list_field(id);
	struct config_items *items = &d->items[id];
	struct config_mark mark;
	char *rec;

	if (items->n >= f->max) {
		if (items->n == f->max)
			config_error(&d->at, node, "one of too many %s, at most %llu", f->name,
				(unsigned long long)f->max);
		return NULL;
	}
	if (!grow_items(items, f->record->size)) {
		d->no_memory = true;
		return NULL;
	}
	rec = items->v + items->n * f->record->size;
	memset(rec, 0, f->record->size);
	items->origins[items->n++] = (struct config_origin){.in = d->at.in,
		.node = node,
		.subject = config_decode_dup(d, d->at.subject),
		.path = config_decode_dup(d, d->at.path.p != NULL ? d->at.path.p : "")};
	mark = config_at_mark(&d->at, mark_node);
	if (mark.file != NULL)
		mark.file = config_decode_dup(d, mark.file);
	*(struct config_mark *)(void *)(rec + f->record->mark_at) = mark;
	config_decode_defaults(d, f->record, rec);
	note_kind(d, f, mark_node);
	return d->no_memory ? NULL : rec;
}

const char *config_item_name(const struct config_items *items, enum config_record_id id, size_t i)
{
	const struct config_record *r = config_list_record(id);
	const char *name =
		*(const char *const *)(const void *)(items->v + i * r->size + r->name_at);

	return name != NULL ? name : "";
}

void config_decode_items(struct config_decoder *d, enum config_record_id id, const cJSON *list)
{
	char got[CONFIG_GOT_STRLEN];
	size_t i = 0;

	if (!cJSON_IsArray(list)) {
		config_error(
			&d->at, list, "must be a list (got %s)", config_got(&d->at, list, got));
		return;
	}
	for (const cJSON *c = list->child; c != NULL; c = c->next, i++) {
		size_t up = config_at_index_down(&d->at, i);
		void *rec = config_decode_add(d, id, c, c);

		if (rec != NULL)
			(void)config_decode_map(d, config_list_record(id), c, rec);
		config_at_up(&d->at, up);
	}
}

/* -- dialect 1 -- */

/* Lists of several documents add up; anything else is set once. */
static void decode_root_member(struct config_decoder *d, const cJSON *member)
{
	const struct config_record *root = config_root_record();
	void *rec = d->conf;
	const struct config_field *f = find_field(d, root, member->string, &rec);
	size_t up;

	if (f == NULL || f->type != CONFIG_LIST) {
		(void)decode_member(d, root, member, d->conf);
		return;
	}
	up = config_at_key_down(&d->at, member->string);
	if (!cJSON_IsNull(member))
		config_decode_items(d, f->record->id, member);
	config_at_up(&d->at, up);
}

static bool set_once(struct config_decoder *d, const cJSON *member)
{
	const struct config_record *root = config_root_record();
	void *rec = d->conf;
	const struct config_field *f = find_field(d, root, member->string, &rec);
	struct config_mark *given;

	if (f == NULL || cJSON_IsNull(member))
		return true;
	REQUIRE(root->n_fields <= CONFIG_MAX_ROOT_FIELDS);
	given = &d->given[f - root->fields];
	if (given->line != 0 && f->type != CONFIG_LIST) {
		config_error_key(&d->at, member, "%s: must be given once (got it at %s:%u too)",
			member->string, given->file != NULL ? given->file : "", given->line);
		return false;
	}
	if (given->line == 0)
		*given = config_at_mark(&d->at, member);
	return true;
}

void config_decode_root(struct config_decoder *d, const cJSON *doc)
{
	for (const cJSON *c = doc->child; c != NULL; c = c->next) {
		if (strcmp(c->string, "apiVersion") == 0 || strcmp(c->string, "kind") == 0)
			continue;
		if (set_once(d, c))
			decode_root_member(d, c);
	}
}
