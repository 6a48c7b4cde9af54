/* SPDX-License-Identifier: Apache-2.0
 *
 * doc.c - YAML text -> cJSON trees with marks.
 *
 * Owns: an arena with every node and string of the trees.  Each cJSON node is the first member of
 * a struct node, so its marks are found without a table and an alias shares the strings.
 * In:   text -> libyaml's events -> parse_node(), which recurses at most max_depth deep.
 * Out:  read-only cJSON trees, marks, or one error with its place.
 * Sources: YAML 1.2.2 chapter 10.3 (core schema), yaml.org/type/merge.html, libyaml 0.2.5.
 * Not done: custom tags, UTF-16.
 */
#include "doc.h"

#include "arena.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { DOC_MAX_ANCHORS = 256 }; /* a document */
enum { DOC_MAX_MERGES = 16 };   /* a map */

struct node {
	cJSON json; /* first: a cJSON * of a tree is a struct node * */
	struct doc_mark value, key, block;
	const char *scalar; /* as written; NULL for lists and maps */
	bool plain;         /* a scalar without quotes */
};

struct doc {
	struct arena *arena; /* owned; all nodes and strings */
	struct node **roots; /* owned */
	size_t n_roots, cap_roots;
	size_t n_nodes;
};

struct anchor {
	const char *name; /* in the arena */
	const struct node *node;
	bool open; /* its node is being read: an alias to it would be a cycle */
};

struct parse {
	yaml_parser_t yaml;
	struct doc *doc;
	const struct doc_limits *limits;
	struct doc_error *err;
	int rc; /* 0 until something fails */
	size_t n_nodes;
	struct anchor anchors[DOC_MAX_ANCHORS];
	size_t n_anchors;
	/* The raw text and a cursor that only moves forward, for the indentation of block scalars.
	 */
	const char *text, *line, *end;
	unsigned line_number;
	const struct node **sorted; /* owned; scratch for duplicate keys */
	size_t cap_sorted;
};

/* -- errors -- */

static struct doc_mark from_yaml(yaml_mark_t m)
{
	return (struct doc_mark){
		m.line < UINT_MAX ? (unsigned)m.line + 1 : UINT_MAX,
		m.column < UINT_MAX ? (unsigned)m.column + 1 : UINT_MAX,
	};
}

static yaml_mark_t to_yaml(struct doc_mark m)
{
	return (yaml_mark_t){0, m.line - 1, m.column - 1};
}

/* The first failure counts; always false, for return fail(...). */
static bool fail(struct parse *p, yaml_mark_t at, const char *text)
{
	if (p->rc != 0)
		return false;
	p->rc = -EINVAL;
	p->err->mark = p->err->start = from_yaml(at);
	snprintf(p->err->text, sizeof p->err->text, "%s", text);
	return false;
}

static bool fail_with(struct parse *p, yaml_mark_t at, const char *text, const char *what)
{
	char s[sizeof p->err->text];

	snprintf(s, sizeof s, "%s \"%.60s%s\"", text, what, strlen(what) > 60 ? "..." : "");
	return fail(p, at, s);
}

/* Anything but YAML's own may be the beginning of a password without quotes: it is not shown. */
static bool fail_tag(struct parse *p, yaml_mark_t at, const char *tag)
{
	static const char own[] = "tag:yaml.org,2002:";

	if (strncmp(tag, own, sizeof own - 1) != 0)
		return fail(p, at, "text that begins with ! must be in quotes");
	return fail_with(p, at, "unknown tag, or not such a value:", tag);
}

static bool fail_memory(struct parse *p)
{
	if (p->rc == 0)
		p->rc = -ENOMEM;
	return false;
}

/* -- lines: libyaml counts YAML 1.1's breaks, so this must too -- */

static size_t break_length(const char *s, const char *end)
{
	size_t left = (size_t)(end - s);

	if (*s == '\r')
		return left > 1 && s[1] == '\n' ? 2 : 1;
	if (*s == '\n')
		return 1;
	if (left >= 2 && memcmp(s, "\xc2\x85", 2) == 0)
		return 2;
	if (left >= 3 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0))
		return 3;
	return 0;
}

const char *doc_next_line(const char *s, const char *end)
{
	while (s < end) {
		size_t n = break_length(s, end);

		if (n > 0)
			return s + n;
		s++;
	}
	return end;
}

static size_t count_spaces(const char *s, const char *end)
{
	const char *from = s;

	while (s < end && *s == ' ')
		s++;
	return (size_t)(s - from);
}

static bool is_blank_line(const char *s, const char *end)
{
	s += count_spaces(s, end);
	return s == end || break_length(s, end) > 0;
}

/* The place of a literal block's first character.  The block begins on the line after its "|"; the
 * indentation is what its first line that is not blank lost. */
static struct doc_mark block_origin(struct parse *p, unsigned bar_line, const char *value)
{
	const char *value_end = value + strlen(value), *raw;

	while (p->line_number < bar_line + 1 && p->line < p->end) {
		p->line = doc_next_line(p->line, p->end);
		p->line_number++;
	}
	for (raw = p->line; raw < p->end && is_blank_line(raw, p->end);)
		raw = doc_next_line(raw, p->end);
	while (value < value_end && is_blank_line(value, value_end))
		value = doc_next_line(value, value_end);
	if (value == value_end || count_spaces(raw, p->end) < count_spaces(value, value_end))
		return (struct doc_mark){bar_line + 1, 1};
	return (struct doc_mark){bar_line + 1,
		(unsigned)(count_spaces(raw, p->end) - count_spaces(value, value_end)) + 1};
}

/* Reader errors come as a byte offset. */
static yaml_mark_t mark_of_offset(const char *text, const char *end, size_t offset)
{
	yaml_mark_t m = {0, 0, 0};
	const char *at = offset < (size_t)(end - text) ? text + offset : end;

	for (const char *s = text; s < at;) {
		size_t n = break_length(s, end);

		m.column = n > 0 ? 0 : m.column + ((*s & 0xc0) != 0x80);
		m.line += n > 0;
		s += n > 0 ? n : 1;
	}
	return m;
}

/* The byte at a mark; NUL behind the end. */
static char byte_at(const struct parse *p, yaml_mark_t m)
{
	const char *s = p->text;

	for (size_t line = 0; line < m.line && s < p->end; line++)
		s = doc_next_line(s, p->end);
	for (size_t column = 0; column < m.column && s < p->end; column++)
		for (s++; s < p->end && (*s & 0xc0) == 0x80;)
			s++;
	if (s == p->end)
		return '\0';
	return *s;
}

/* What people do wrong most, in words that say what to do; NULL for libyaml's own. */
static const char *plain_words(const struct parse *p)
{
	const yaml_parser_t *y = &p->yaml;
	const char *context = y->context != NULL ? y->context : "";

	if (strcmp(y->problem, "found character that cannot start any token") == 0)
		return byte_at(p, y->problem_mark) == '\t'
			       ? "a tab: YAML is indented with blanks"
			       : "text that begins with this character must be in quotes";
	if (strcmp(context, "while scanning an alias") == 0)
		return "text that begins with * must be in quotes";
	if (strcmp(context, "while scanning an anchor") == 0)
		return "text that begins with & must be in quotes";
	if (strcmp(y->problem, "did not find expected <document start>") == 0)
		return "--- must stand between two documents";
	return NULL;
}

static bool fail_yaml(struct parse *p)
{
	const yaml_parser_t *y = &p->yaml;
	char s[sizeof p->err->text];
	bool context = y->context != NULL && y->context_mark.line < y->problem_mark.line;

	if (y->error == YAML_MEMORY_ERROR)
		return fail_memory(p);
	if (y->error == YAML_READER_ERROR)
		return fail(p, mark_of_offset(p->text, p->end, y->problem_offset), y->problem);
	if (plain_words(p) != NULL)
		return fail(p, y->problem_mark, plain_words(p));
	if (context)
		snprintf(s, sizeof s, "%s %s that begins at line %zu", y->problem, y->context,
			y->context_mark.line + 1);
	else
		snprintf(s, sizeof s, "%s%s%s", y->problem, y->context != NULL ? " " : "",
			y->context != NULL ? y->context : "");
	fail(p, y->problem_mark, s);
	if (context)
		p->err->start = from_yaml(y->context_mark);
	return false;
}

/* -- events and nodes -- */

static bool next_event(struct parse *p, yaml_event_t *ret_e)
{
	return yaml_parser_parse(&p->yaml, ret_e) != 0 || fail_yaml(p);
}

static struct node *new_node(struct parse *p, yaml_mark_t at, int type)
{
	struct node *n;

	if (p->n_nodes >= p->limits->max_nodes) {
		fail(p, at, "too many values, aliases expanded");
		return NULL;
	}
	p->n_nodes++;
	n = arena_alloc(p->doc->arena, sizeof *n);
	if (n == NULL) {
		fail_memory(p);
		return NULL;
	}
	n->json.type = type;
	n->value = from_yaml(at);
	return n;
}

/* cJSON's list: the first child's prev is the last. */
static void append(cJSON *parent, cJSON *child)
{
	if (parent->child == NULL) {
		parent->child = child;
	} else {
		child->prev = parent->child->prev;
		child->prev->next = child;
	}
	parent->child->prev = child;
}

/* -- anchors and aliases -- */

/* *ret_i is the anchor's place, SIZE_MAX when name is NULL. */
static bool open_anchor(struct parse *p, yaml_mark_t at, const yaml_char_t *name, size_t *ret_i)
{
	struct anchor *a = &p->anchors[p->n_anchors];

	*ret_i = SIZE_MAX;
	if (name == NULL)
		return true;
	if (p->n_anchors == DOC_MAX_ANCHORS)
		return fail(p, at, "too many anchors in one document");
	*a = (struct anchor){.name = arena_strdup(p->doc->arena, (const char *)name), .open = true};
	if (a->name == NULL)
		return fail_memory(p);
	*ret_i = p->n_anchors++;
	return true;
}

static void close_anchor(struct parse *p, size_t i, const struct node *n)
{
	if (i != SIZE_MAX) {
		p->anchors[i].node = n;
		p->anchors[i].open = false;
	}
}

/* The copy shares the strings. */
static struct node *copy_node(
	struct parse *p, yaml_mark_t at, const struct node *from, size_t depth)
{
	struct node *n = new_node(p, at, from->json.type);

	if (n == NULL)
		return NULL;
	if (depth > p->limits->max_depth) {
		fail(p, at, "nested too deep, aliases expanded");
		return NULL;
	}
	*n = (struct node){.json = from->json,
		.value = from->value,
		.key = from->key,
		.block = from->block,
		.scalar = from->scalar,
		.plain = from->plain};
	n->json.next = n->json.prev = n->json.child = NULL;
	for (const cJSON *c = from->json.child; c != NULL; c = c->next) {
		struct node *child = copy_node(p, at, (const struct node *)c, depth + 1);

		if (child == NULL)
			return NULL;
		append(&n->json, &child->json);
	}
	return n;
}

static struct node *parse_alias(struct parse *p, const yaml_event_t *e, size_t depth)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct node *n;

	for (size_t i = p->n_anchors; i-- > 0;) {
		const struct anchor *a = &p->anchors[i];

		if (strcmp(a->name, name) != 0)
			continue;
		if (a->open) {
			fail_with(p, e->start_mark, "alias inside its own anchor", name);
			return NULL;
		}
		n = copy_node(p, e->start_mark, a->node, depth);
		if (n != NULL) {
			n->value = from_yaml(e->start_mark);
			n->key = (struct doc_mark){0};
			n->json.string = NULL;
		}
		return n;
	}
	fail(p, e->start_mark, "text that begins with * must be in quotes, or no such anchor");
	return NULL;
}

/* -- scalars -- */

enum scalar { SCALAR_STRING, SCALAR_NULL, SCALAR_TRUE, SCALAR_FALSE, SCALAR_NUMBER };

static bool is_one_of(const char *s, const char *const *v)
{
	for (; *v != NULL; v++)
		if (strcmp(s, *v) == 0)
			return true;
	return false;
}

static size_t count_digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* [-+]? (0 | [1-9][0-9]*) (\.[0-9]*)? ([eE][-+]?[0-9]+)?, or \.[0-9]+ before the exponent. */
static bool is_decimal(const char *s)
{
	size_t whole, fraction = 0;

	s += *s == '-' || *s == '+';
	whole = count_digits(s);
	if (whole > 1 && *s == '0')
		return false;
	s += whole;
	if (*s == '.') {
		fraction = count_digits(++s);
		s += fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (count_digits(s) == 0)
			return false;
		s += count_digits(s);
	}
	return *s == '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : INT_MAX;
}

/* 0x and 0o, no sign (core schema), exactly: at most 2^53. */
static bool read_based(const char *s, double *ret_v)
{
	int base = s[0] == '0' && s[1] == 'x' ? 16 : s[0] == '0' && s[1] == 'o' ? 8 : 0;
	uint64_t v = 0;

	if (base == 0 || s[2] == '\0')
		return false;
	for (s += 2; *s != '\0'; s++) {
		if (digit_value(*s) >= base)
			return false;
		v = v * (uint64_t)base + (uint64_t)digit_value(*s);
		if (v > UINT64_C(1) << 53)
			return false;
	}
	*ret_v = (double)v;
	return true;
}

static bool read_number(const char *s, double *ret_v)
{
	double v;

	if (!is_decimal(s))
		return read_based(s, ret_v);
	v = strtod(s, NULL);
	if (!isfinite(v))
		return false;
	*ret_v = v;
	return true;
}

static enum scalar resolve(const char *s, double *ret_number)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};

	if (is_one_of(s, nulls))
		return SCALAR_NULL;
	if (is_one_of(s, trues))
		return SCALAR_TRUE;
	if (is_one_of(s, falses))
		return SCALAR_FALSE;
	return read_number(s, ret_number) ? SCALAR_NUMBER : SCALAR_STRING;
}

/* Doubles from 2^53 on are whole. */
static bool is_whole(double v)
{
	return v >= 9007199254740992.0 || v <= -9007199254740992.0 || (double)(int64_t)v == v;
}

static bool tag_allows(const char *tag, enum scalar kind, double number)
{
	static const char prefix[] = "tag:yaml.org,2002:";

	if (strncmp(tag, prefix, sizeof prefix - 1) != 0)
		return false;
	tag += sizeof prefix - 1;
	switch (kind) {
	case SCALAR_STRING:
		return strcmp(tag, "str") == 0;
	case SCALAR_NULL:
		return strcmp(tag, "null") == 0;
	case SCALAR_TRUE:
	case SCALAR_FALSE:
		return strcmp(tag, "bool") == 0;
	case SCALAR_NUMBER:
		return strcmp(tag, "float") == 0 || (strcmp(tag, "int") == 0 && is_whole(number));
	}
	return false;
}

/* What the scalar is by its style and tag. */
static bool scalar_kind(
	struct parse *p, const yaml_event_t *e, enum scalar *ret_kind, double *ret_number)
{
	const char *value = (const char *)e->data.scalar.value;
	const char *tag = (const char *)e->data.scalar.tag;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (strlen(value) != e->data.scalar.length)
		return fail(p, e->start_mark, "a NUL character in a string");
	*ret_kind = SCALAR_STRING;
	if (tag != NULL && (strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0))
		return true;
	if (plain || tag != NULL)
		*ret_kind = resolve(value, ret_number);
	if (tag != NULL && !tag_allows(tag, *ret_kind, *ret_number))
		return fail_tag(p, e->start_mark, tag);
	return true;
}

static void set_number(cJSON *j, double v)
{
	j->valuedouble = v;
	if (v >= INT_MAX)
		j->valueint = INT_MAX;
	else if (v <= INT_MIN)
		j->valueint = INT_MIN;
	else
		j->valueint = (int)v;
}

static struct node *parse_scalar(struct parse *p, const yaml_event_t *e)
{
	static const int types[] = {[SCALAR_STRING] = cJSON_String,
		[SCALAR_NULL] = cJSON_NULL,
		[SCALAR_TRUE] = cJSON_True,
		[SCALAR_FALSE] = cJSON_False,
		[SCALAR_NUMBER] = cJSON_Number};
	enum scalar kind;
	double number = 0;
	struct node *n;
	size_t anchor;
	char *text;

	if (e->data.scalar.anchor != NULL && e->data.scalar.plain_implicit &&
		e->data.scalar.length == 0) {
		fail(p, e->start_mark, "text that begins with & must be in quotes");
		return NULL;
	}
	if (!scalar_kind(p, e, &kind, &number) ||
		!open_anchor(p, e->start_mark, e->data.scalar.anchor, &anchor))
		return NULL;
	n = new_node(p, e->start_mark, types[kind]);
	if (n == NULL)
		return NULL;
	text = arena_strndup(
		p->doc->arena, (const char *)e->data.scalar.value, e->data.scalar.length);
	if (text == NULL) {
		fail_memory(p);
		return NULL;
	}
	n->scalar = text;
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (kind == SCALAR_STRING)
		n->json.valuestring = text;
	if (kind == SCALAR_NUMBER)
		set_number(&n->json, number);
	if (kind == SCALAR_TRUE)
		n->json.valueint = 1;
	if (e->data.scalar.style == YAML_LITERAL_SCALAR_STYLE)
		n->block = block_origin(p, n->value.line, text);
	close_anchor(p, anchor, n);
	return n;
}

/* -- lists and maps -- */

static struct node *parse_node(struct parse *p, const yaml_event_t *e, size_t depth);

/* A key: a plain or quoted string, nothing else.  NULL for the merge key. */
static bool parse_key(struct parse *p, const yaml_event_t *e, char **ret_key)
{
	const char *value = (const char *)e->data.scalar.value;
	enum scalar kind;
	double number = 0;

	if (e->type != YAML_SCALAR_EVENT)
		return fail(p, e->start_mark, "a key must be a string");
	if (!scalar_kind(p, e, &kind, &number))
		return false;
	if (kind != SCALAR_STRING)
		return fail_with(p, e->start_mark, "a key must be a string: quote", value);
	if (e->data.scalar.anchor != NULL)
		return fail_with(p, e->start_mark, "an anchor on a key", value);
	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(value, "<<") == 0) {
		*ret_key = NULL;
		return true;
	}
	*ret_key = arena_strndup(p->doc->arena, value, e->data.scalar.length);
	return *ret_key != NULL || fail_memory(p);
}

static int by_key_then_place(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	int c = strcmp(x->json.string, y->json.string);

	if (c != 0)
		return c;
	if (x->key.line != y->key.line)
		return x->key.line < y->key.line ? -1 : 1;
	return x->key.column < y->key.column ? -1 : x->key.column > y->key.column;
}

static bool grow_sorted(struct parse *p, size_t n)
{
	const struct node **v;

	if (n <= p->cap_sorted)
		return true;
	v = realloc(p->sorted, n * sizeof(struct node *));
	if (v == NULL)
		return fail_memory(p);
	p->sorted = v;
	p->cap_sorted = n;
	return true;
}

/* Into p->sorted: a map of 100,000 keys must not take n^2 steps. */
static bool sort_members(struct parse *p, const struct node *map, size_t n)
{
	size_t i = 0;

	if (!grow_sorted(p, n))
		return false;
	for (const cJSON *c = map->json.child; c != NULL; c = c->next)
		p->sorted[i++] = (const struct node *)c;
	if (n > 1)
		qsort(p->sorted, n, sizeof(struct node *), by_key_then_place);
	return true;
}

static bool check_duplicates(struct parse *p, const struct node *map, size_t n)
{
	yaml_mark_t at;
	char text[64];

	if (n < 2)
		return true;
	if (!sort_members(p, map, n))
		return false;
	for (size_t i = 1; i < n; i++) {
		if (strcmp(p->sorted[i]->json.string, p->sorted[i - 1]->json.string) != 0)
			continue;
		at = to_yaml(p->sorted[i]->key);
		snprintf(text, sizeof text,
			"duplicate key, first at line %u:", p->sorted[i - 1]->key.line);
		return fail_with(p, at, text, p->sorted[i]->json.string);
	}
	return true;
}

/* -- merge keys -- */

struct merges {
	const struct node *v[DOC_MAX_MERGES];
	size_t n;
};

static bool add_merge(struct parse *p, struct merges *m, const struct node *from)
{
	if (!cJSON_IsObject(&from->json))
		return fail(p, to_yaml(from->value), "<< takes a map or a list of maps");
	if (m->n == DOC_MAX_MERGES)
		return fail(p, to_yaml(from->value), "too many maps behind <<");
	m->v[m->n++] = from;
	return true;
}

/* What stands behind <<: a map, or a list of them, of which the earlier outweighs. */
static bool add_merges(struct parse *p, struct merges *m, const struct node *value)
{
	if (m->n > 0)
		return fail(p, to_yaml(value->key), "<< twice in one map: give it a list");
	if (!cJSON_IsArray(&value->json))
		return add_merge(p, m, value);
	for (const cJSON *c = value->json.child; c != NULL; c = c->next)
		if (!add_merge(p, m, (const struct node *)c))
			return false;
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;

	return strcmp(x->json.string, y->json.string);
}

/* The members of from that map, of *n members, does not have itself.  They keep their own marks. */
static bool merge(
	struct parse *p, struct node *map, size_t *n, const struct node *from, size_t depth)
{
	size_t before = *n;

	if (before > 0 && !sort_members(p, map, before))
		return false;
	for (const cJSON *c = from->json.child; c != NULL; c = c->next) {
		const struct node *member = (const struct node *)c;
		struct node *copy;

		if (before > 0 &&
			bsearch(&member, p->sorted, before, sizeof(struct node *), by_key) != NULL)
			continue;
		copy = copy_node(p, to_yaml(member->value), member, depth);
		if (copy == NULL)
			return false;
		append(&map->json, &copy->json);
		++*n;
	}
	return true;
}

/* One key and its value; *ret_n is NULL at the map's end, and has no key for <<. */
static bool parse_member(struct parse *p, size_t depth, struct node **ret_n)
{
	struct doc_mark at;
	yaml_event_t e;
	char *key = NULL;
	bool ok;

	*ret_n = NULL;
	if (!next_event(p, &e))
		return false;
	if (e.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&e);
		return true;
	}
	at = from_yaml(e.start_mark);
	ok = parse_key(p, &e, &key);
	yaml_event_delete(&e);
	if (!ok || !next_event(p, &e))
		return false;
	*ret_n = parse_node(p, &e, depth);
	yaml_event_delete(&e);
	if (*ret_n == NULL)
		return false;
	(*ret_n)->json.string = key;
	(*ret_n)->key = at;
	return true;
}

static bool parse_members(struct parse *p, struct node *map, size_t depth)
{
	struct merges merges = {.n = 0};
	struct node *child;
	size_t n = 0;

	for (;;) {
		if (!parse_member(p, depth, &child))
			return false;
		if (child == NULL)
			break;
		if (child->json.string == NULL) {
			if (!add_merges(p, &merges, child))
				return false;
			continue;
		}
		append(&map->json, &child->json);
		n++;
	}
	if (!check_duplicates(p, map, n))
		return false;
	for (size_t i = 0; i < merges.n; i++)
		if (!merge(p, map, &n, merges.v[i], depth))
			return false;
	return true;
}

static bool parse_items(struct parse *p, struct node *list, size_t depth)
{
	struct node *child;
	yaml_event_t e;

	for (;;) {
		if (!next_event(p, &e))
			return false;
		if (e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			return true;
		}
		child = parse_node(p, &e, depth);
		yaml_event_delete(&e);
		if (child == NULL)
			return false;
		append(&list->json, &child->json);
	}
}

static struct node *parse_container(struct parse *p, const yaml_event_t *e, size_t depth)
{
	bool is_map = e->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag = is_map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
	const char *own_tag = is_map ? YAML_MAP_TAG : YAML_SEQ_TAG;
	struct node *n;
	size_t anchor;

	if (tag != NULL && strcmp((const char *)tag, "!") != 0 &&
		strcmp((const char *)tag, own_tag) != 0) {
		fail_tag(p, e->start_mark, (const char *)tag);
		return NULL;
	}
	if (depth >= p->limits->max_depth) {
		fail(p, e->start_mark, "nested too deep");
		return NULL;
	}
	if (!open_anchor(p, e->start_mark,
		    is_map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor, &anchor))
		return NULL;
	n = new_node(p, e->start_mark, is_map ? cJSON_Object : cJSON_Array);
	if (n == NULL)
		return NULL;
	if (!(is_map ? parse_members(p, n, depth + 1) : parse_items(p, n, depth + 1)))
		return NULL;
	close_anchor(p, anchor, n);
	return n;
}

/* The value that begins with e, which stays the caller's to delete.  NULL after a failure. */
static struct node *parse_node(struct parse *p, const yaml_event_t *e, size_t depth)
{
	if (e->type == YAML_ALIAS_EVENT)
		return parse_alias(p, e, depth);
	if (e->type == YAML_SCALAR_EVENT)
		return parse_scalar(p, e);
	return parse_container(p, e, depth);
}

/* -- documents -- */

static bool add_root(struct parse *p, struct node *n)
{
	struct doc *d = p->doc;
	struct node **v;

	if (d->n_roots == d->cap_roots) {
		v = realloc(d->roots, (d->cap_roots * 2 + 4) * sizeof(struct node *));
		if (v == NULL)
			return fail_memory(p);
		d->roots = v;
		d->cap_roots = d->cap_roots * 2 + 4;
	}
	d->roots[d->n_roots++] = n;
	return true;
}

static bool parse_document(struct parse *p)
{
	yaml_event_t e;
	struct node *n;

	p->n_anchors = 0;
	if (!next_event(p, &e))
		return false;
	n = parse_node(p, &e, 0);
	yaml_event_delete(&e);
	if (n == NULL)
		return false;
	return cJSON_IsNull(&n->json) || add_root(p, n);
}

static bool parse_stream(struct parse *p)
{
	yaml_event_type_t type;
	yaml_event_t e;

	do {
		if (!next_event(p, &e))
			return false;
		type = e.type;
		yaml_event_delete(&e);
		if (type == YAML_DOCUMENT_START_EVENT && !parse_document(p))
			return false;
	} while (type != YAML_STREAM_END_EVENT);
	return true;
}

static struct doc *new_doc(const struct doc_limits *limits)
{
	struct doc *d = calloc(1, sizeof *d);
	/* A node has at most 3 strings (value, key, anchor), each rounded up; escapes (\L) can
	 * make them longer than the text by half. */
	size_t max = limits->max_nodes * (sizeof(struct node) + 6 * _Alignof(max_align_t)) +
		     2 * limits->max_bytes;

	if (d == NULL)
		return NULL;
	d->arena = arena_new(max);
	if (d->arena == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

static void skip_byte_order_mark(const char **text, size_t *len)
{
	if (*len >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
		*text += 3;
		*len -= 3;
	}
}

/* -- JSON's surrogate pairs, which are no YAML -- */

/* \uXXXX within first..last. */
static bool read_surrogate(const char *s, unsigned first, unsigned last, unsigned *ret_c)
{
	unsigned c = 0;

	if (s[0] != '\\' || s[1] != 'u')
		return false;
	for (size_t i = 2; i < 6; i++) {
		int digit = digit_value(s[i]);

		if (digit >= 16)
			return false;
		c = c << 4 | (unsigned)digit;
	}
	*ret_c = c;
	return c >= first && c <= last;
}

/* A copy of text, which the caller frees, with each \ud83d\ude00 as \U0001f600; *len is its length.
 * NULL when there is none, or no memory. */
static char *join_surrogates(const char *text, size_t *len)
{
	enum { PAIR = 12, ONE = 10 };
	char *copy = malloc(*len + 1), *to = copy, escape[ONE + 1];
	const char *s = text, *end = text + *len;
	unsigned high, low;

	while (copy != NULL && s < end) {
		if (end - s < PAIR || !read_surrogate(s, 0xd800, 0xdbff, &high) ||
			!read_surrogate(s + PAIR / 2, 0xdc00, 0xdfff, &low)) {
			*to++ = *s++;
			continue;
		}
		snprintf(escape, sizeof escape, "\\U%08x",
			0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
		memcpy(to, escape, ONE);
		to += ONE;
		s += PAIR;
	}
	if (copy != NULL && (size_t)(to - copy) == *len) {
		free(copy);
		return NULL;
	}
	*len = copy != NULL ? (size_t)(to - copy) : *len;
	return copy;
}

/* p->rc says how it went. */
static void run(struct parse *p, const char *text, size_t len)
{
	if (!yaml_parser_initialize(&p->yaml)) {
		fail_memory(p);
		return;
	}
	skip_byte_order_mark(&text, &len);
	p->text = p->line = text;
	p->line_number = 1;
	p->end = text + len;
	yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p->yaml, (const unsigned char *)text, len);
	(void)parse_stream(p);
	yaml_parser_delete(&p->yaml);
	free(p->sorted);
}

static int parse_text(const char *text, size_t len, const struct doc_limits *limits,
	struct doc **ret_doc, struct doc_error *ret_err)
{
	struct parse *p = calloc(1, sizeof *p);
	int rc;

	memset(ret_err, 0, sizeof *ret_err);
	if (p == NULL)
		return -ENOMEM;
	p->limits = limits;
	p->err = ret_err;
	p->doc = new_doc(limits);
	if (p->doc == NULL)
		fail_memory(p);
	else
		run(p, text, len);
	rc = p->rc;
	if (rc == 0) {
		p->doc->n_nodes = p->n_nodes;
		*ret_doc = p->doc;
	} else {
		ret_err->nodes = p->n_nodes;
		doc_free(p->doc);
	}
	free(p);
	return rc;
}

int doc_parse(const char *text, size_t len, const struct doc_limits *limits, struct doc **ret_doc,
	struct doc_error *ret_err)
{
	char *joined;
	int rc;

	if (len > limits->max_bytes) {
		memset(ret_err, 0, sizeof *ret_err);
		ret_err->mark = ret_err->start = (struct doc_mark){1, 1};
		snprintf(ret_err->text, sizeof ret_err->text, "larger than %zu bytes",
			limits->max_bytes);
		return -EINVAL;
	}
	rc = parse_text(text, len, limits, ret_doc, ret_err);
	if (rc != -EINVAL || strstr(ret_err->text, "invalid Unicode character escape") == NULL)
		return rc;
	/* Columns behind a pair are then two too small. */
	joined = join_surrogates(text, &len);
	if (joined != NULL)
		rc = parse_text(joined, len, limits, ret_doc, ret_err);
	free(joined);
	return rc;
}

void doc_free(struct doc *d)
{
	if (d == NULL)
		return;
	arena_free(d->arena);
	free(d->roots);
	free(d);
}

/* -- reading -- */

size_t doc_count(const struct doc *d)
{
	return d->n_roots;
}

size_t doc_nodes(const struct doc *d)
{
	return d->n_nodes;
}

const cJSON *doc_root(const struct doc *d, size_t i)
{
	REQUIRE(i < d->n_roots);
	return &d->roots[i]->json;
}

static const struct node *node_of(const struct doc *d, const cJSON *json)
{
	(void)d; /* a node knows its own marks; d says whose it must be */
	return (const struct node *)json;
}

struct doc_mark doc_mark(const struct doc *d, const cJSON *node)
{
	return node != NULL ? node_of(d, node)->value : (struct doc_mark){0};
}

struct doc_mark doc_key_mark(const struct doc *d, const cJSON *node)
{
	return node != NULL ? node_of(d, node)->key : (struct doc_mark){0};
}

struct doc_mark doc_block_origin(const struct doc *d, const cJSON *node)
{
	return node != NULL ? node_of(d, node)->block : (struct doc_mark){0};
}

const char *doc_scalar(const struct doc *d, const cJSON *node)
{
	return node != NULL ? node_of(d, node)->scalar : NULL;
}

bool doc_is_plain(const struct doc *d, const cJSON *node)
{
	return node != NULL && node_of(d, node)->plain;
}
