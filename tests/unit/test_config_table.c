/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_table.c - the field table is sound; docs/lbd.yaml.5 and docs/configuration.md list
 * every field of it.
 *
 * Their parts between BEGIN FIELDS and END FIELDS are written by this program when it runs with
 * LBD_WRITE_MAN set (make man), and compared otherwise.  Examples are what docs/every-key.yaml, a
 * good configuration, says.  Run from the top of the tree.
 */
#include "buf.h"
#include "check.h"
#include "config_field.h"
#include "config_scalar.h"
#include "config_table.h"
#include "doc.h"

#include <ctype.h>

/* -- the table -- */

static void check_field(const struct config_record *r, const struct config_field *f)
{
	check_row = f->name;
	CHECK(f->doc != NULL && f->doc[0] != '\0');
	CHECK(f->in != 0 && f->max >= f->min);
	CHECK((f->record != NULL) ==
		(f->type == CONFIG_MAP || f->type == CONFIG_LIST || f->type == CONFIG_SAME_MAP));
	CHECK((f->words != NULL) == (f->type == CONFIG_WORD || f->type == CONFIG_WORD_INDEX ||
					    f->type == CONFIG_WORD_BOOL));
	CHECK(f->offset < r->size || f->offset == CONFIG_NOWHERE || f->type == CONFIG_MAP);
	CHECK(f->offset_n < r->size || f->offset_n == CONFIG_NOWHERE);
	for (const struct config_field *k = r->fields; k < f; k++)
		CHECK(strcmp(k->name, f->name) != 0);
	if (f->words != NULL && f->fallback != NULL)
		CHECK(f->words[config_field_word(f, f->fallback)] != NULL);
	if (f->type == CONFIG_UINT && f->fallback != NULL)
		CHECK(config_field_in_range(f, strtoull(f->fallback, NULL, 10)));
}

static void check_record(const struct config_record *r)
{
	for (size_t i = 0; i < r->n_fields; i++) {
		check_field(r, &r->fields[i]);
		if (r->fields[i].record != NULL)
			check_record(r->fields[i].record);
	}
}

static void test_fields(void)
{
	check_record(config_root_record());
	check_record(config_legacy_pool_record());
	check_record(config_eip_record());
	check_record(config_bgp_conf_record());
	check_record(config_bgp_peer_record());
}

/* -- words that both forms have -- */

enum { MAX_PAGE = 1 << 20, MAX_PATH = 256 };

/* How a form writes text of ours so that it is read as text. */
typedef void text_fn(struct buf *out, const char *s);

static void roff_text(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			buf_adds(out, "\\e");
		else if (*s == '-')
			buf_adds(out, "\\-");
		else
			buf_addc(out, *s);
	}
}

/* In a table's cell. */
static void markdown_text(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (strchr("|*<>_[]", *s) != NULL)
			buf_addc(out, '\\');
		buf_addc(out, *s);
	}
}

/* What a value may be, in the words of the error about it. */
static void add_type(struct buf *out, const struct config_field *f, text_fn *add_text)
{
	char text[CONFIG_EXPECT_STRLEN];
	const char *s;

	if (f->record != NULL && f->record->id == CONFIG_SELECTOR) {
		buf_adds(out,
			f->type == CONFIG_LIST ? "a list of label selectors" : "a label selector");
		return;
	}
	if (f->type == CONFIG_STRINGS)
		buf_adds(out, "a list, each ");
	if (f->type == CONFIG_FACTOR)
		buf_adds(out, "a number, ");
	if (f->type == CONFIG_DURATION)
		buf_adds(out, "a duration, ");
	s = config_field_expect(f, text);
	if (strncmp(s, "must be ", 8) == 0)
		s += 8;
	add_text(out, s);
}

static bool has_default(const struct config_field *f)
{
	return f->fallback != NULL && f->fallback[0] != '\0';
}

static char first_letter(const char *doc)
{
	return (char)(doc[1] != ':' ? toupper((unsigned char)doc[0]) : doc[0]);
}

static bool is_shown(const struct config_field *f)
{
	return (f->in & (CONFIG_IN_NATIVE | CONFIG_IN_EIP)) != 0;
}

/* Whose own fields are shown below it: a selector's are shown once. */
static bool has_fields(const struct config_field *f)
{
	return f->record != NULL && f->record->id != CONFIG_SELECTOR;
}

static void join(char ret_path[MAX_PATH], const char *path, const struct config_field *f)
{
	(void)snprintf(ret_path, MAX_PATH, "%s%s%s%s", path, path[0] != '\0' ? "." : "", f->name,
		f->type == CONFIG_LIST ? "[]" : "");
}

/* -- the manual page -- */

static void add_default(struct buf *out, const struct config_field *f)
{
	if (f->flags & CONFIG_REQUIRED) {
		buf_adds(out, "; required");
	} else if (has_default(f)) {
		buf_adds(out, "; default ");
		roff_text(out, f->fallback);
	}
}

/* Where else it is. */
static void add_dialects(struct buf *out, const struct config_field *f)
{
	char kebab[CONFIG_MAX_KEY];

	if (f->in & CONFIG_IN_CR)
		buf_adds(out, "; MetalLB");
	if (f->in & CONFIG_IN_CM) {
		buf_adds(out, "; ConfigMap ");
		roff_text(out, config_kebab(f->name, kebab));
	}
}

/* A sentence, or several, in lines of a roff source's width. */
static void add_doc(struct buf *out, const char *doc)
{
	enum { WIDTH = 70 };
	size_t n = 0;

	for (const char *p = doc; *p != '\0'; p++) {
		const char one[2] = {p == doc ? first_letter(doc) : *p, '\0'};
		bool end_line =
			*p == ' ' && (n + strcspn(p + 1, " ") > WIDTH ||
					     (p[-1] == '.' && isupper((unsigned char)p[1])));

		if (end_line)
			buf_addc(out, '\n');
		else
			roff_text(out, one);
		n = end_line ? 0 : n + 1;
	}
	buf_adds(out, ".\n");
}

static void add_field(struct buf *out, const char *path, const struct config_field *f)
{
	buf_adds(out, ".It Ic ");
	roff_text(out, path);
	buf_adds(out, "\n");
	add_doc(out, f->doc);
	buf_adds(out, ".Pq ");
	add_type(out, f, roff_text);
	add_default(out, f);
	add_dialects(out, f);
	buf_adds(out, f->flags & CONFIG_NOT_YET ? "; checked, not served yet\n" : "\n");
}

static void add_record(struct buf *out, const char *path, const struct config_record *r)
{
	char sub[MAX_PATH];

	for (size_t i = 0; i < r->n_fields; i++) {
		const struct config_field *f = &r->fields[i];

		if (!is_shown(f))
			continue;
		join(sub, path, f);
		add_field(out, sub, f);
		if (has_fields(f))
			add_record(out, sub, f->record);
	}
}

static void add_list(struct buf *out, const char *title, const struct config_record *r)
{
	buf_addf(out, ".Ss %s\n.Bl -tag -width Ds\n", title);
	add_record(out, "", r);
	buf_adds(out, ".El\n");
}

/* A selector's record is met first where a pool's serviceAllocation has one. */
static const struct config_record *selector(const struct config_record *r)
{
	const struct config_record *found = NULL;

	for (size_t i = 0; i < r->n_fields && found == NULL; i++) {
		const struct config_record *sub = r->fields[i].record;

		if (sub != NULL)
			found = sub->id == CONFIG_SELECTOR ? sub : selector(sub);
	}
	return found;
}

static void add_manual(struct buf *out)
{
	add_list(out, "Fields", config_root_record());
	add_list(out, "Fields of a label selector", selector(config_root_record()));
	add_list(out, "Fields of an Eip", config_eip_record());
	add_list(out, "Fields of a BgpConf", config_bgp_conf_record());
	add_list(out, "Fields of a BgpPeer", config_bgp_peer_record());
}

/* -- files -- */

static void read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char chunk[4096];
	size_t n;

	check_row = path;
	CHECK(f != NULL);
	while (f != NULL && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(out, chunk, n);
	if (f != NULL)
		(void)fclose(f);
	buf_addc(out, '\0'); /* always text */
}

static void write_page(
	const char *path, const char *head, size_t n_head, const char *part, const char *tail)
{
	FILE *f = fopen(path, "w");

	CHECK(f != NULL);
	if (f == NULL)
		return;
	CHECK(fwrite(head, 1, n_head, f) == n_head && fputs(part, f) >= 0 && fputs(tail, f) >= 0);
	CHECK(fclose(f) == 0);
}

/* -- examples: the values of docs/every-key.yaml -- */

struct example {
	const struct doc *doc;
	const cJSON *at; /* NULL = there is none */
};

/* The first value at a path of names with points between; of a list in any item. */
static const cJSON *value_at(const cJSON *node, const char *path)
{
	const size_t n = strcspn(path, ".[");
	const cJSON *child, *found = NULL;

	if (*path == '\0')
		return node;
	cJSON_ArrayForEach (child, node) {
		if (found == NULL && cJSON_IsArray(node))
			found = value_at(child, path);
		else if (found == NULL && cJSON_IsObject(node) && strlen(child->string) == n &&
			 strncmp(child->string, path, n) == 0)
			found = value_at(child, path + n + strspn(path + n, "[]."));
	}
	return found;
}

/* In the documents of that kind. */
static struct example example(const struct doc *d, const char *kind, const char *path)
{
	struct example e = {.doc = d};

	for (size_t i = 0; i < doc_count(d) && e.at == NULL; i++) {
		const cJSON *root = doc_root(d, i),
			    *k = cJSON_GetObjectItemCaseSensitive(root, "kind");

		if (cJSON_IsString(k) && strcmp(k->valuestring, kind) == 0)
			e.at = value_at(root, path);
	}
	return e;
}

/* As YAML in one line. */
static void add_flow(struct buf *out, struct example e)
{
	const bool map = cJSON_IsObject(e.at);
	const char *before = map ? "{" : "[";
	const cJSON *item;

	if (!map && !cJSON_IsArray(e.at)) {
		const bool quoted = cJSON_IsString(e.at) && !doc_is_plain(e.doc, e.at);

		buf_addf(out, quoted ? "\"%s\"" : "%s", doc_scalar(e.doc, e.at));
		return;
	}
	if (e.at->child == NULL)
		buf_adds(out, before);
	cJSON_ArrayForEach (item, e.at) {
		buf_adds(out, before);
		if (map)
			buf_addf(out, "%s: ", item->string);
		add_flow(out, (struct example){e.doc, item});
		before = ", ";
	}
	buf_adds(out, map ? "}" : "]");
}

/* -- the reference -- */

static void cell_code(struct buf *out, const char *s)
{
	buf_addc(out, '`');
	for (; *s != '\0'; s++) {
		if (*s == '|')
			buf_addc(out, '\\');
		buf_addc(out, *s);
	}
	buf_addc(out, '`');
}

static void cell_default(struct buf *out, const struct config_field *f)
{
	if (f->flags & CONFIG_REQUIRED)
		buf_adds(out, "required");
	else if (has_default(f))
		cell_code(out, f->fallback);
}

static void cell_example(struct buf *out, const struct config_field *f, struct example e)
{
	struct buf flow;

	if (has_fields(f))
		return;
	if (e.at == NULL) {
		check_row = f->name;
		CHECK(strcmp(f->doc, "read and not used") ==
			0); /* else: add it to every-key.yaml */
		return;
	}
	buf_init(&flow, MAX_PAGE);
	add_flow(&flow, e);
	cell_code(out, flow.p);
	buf_free(&flow);
}

static void cell_dialects(struct buf *out, const struct config_field *f)
{
	char kebab[CONFIG_MAX_KEY];

	if (f->in & CONFIG_IN_CR)
		buf_adds(out, "MetalLB");
	if (f->in & CONFIG_IN_CM) {
		buf_adds(out, f->in & CONFIG_IN_CR ? ", ConfigMap " : "ConfigMap ");
		cell_code(out, config_kebab(f->name, kebab));
	}
}

static void add_row(
	struct buf *out, const char *path, const struct config_field *f, struct example e)
{
	const char letter[2] = {first_letter(f->doc), '\0'};

	buf_adds(out, "| ");
	cell_code(out, path);
	buf_adds(out, " | ");
	markdown_text(out, letter);
	markdown_text(out, f->doc + 1);
	buf_adds(out, f->flags & CONFIG_NOT_YET ? ". *Checked, not served yet.* | " : ". | ");
	add_type(out, f, markdown_text);
	buf_adds(out, " | ");
	cell_default(out, f);
	buf_adds(out, " | ");
	cell_example(out, f, e);
	buf_adds(out, " | ");
	cell_dialects(out, f);
	buf_adds(out, " |\n");
}

/* What a table is of: a record, and where its examples are. */
struct section {
	const struct doc *doc;
	const char *kind, *place; /* the place ends in a point, or is empty */
};

/* Rows for each field, those of maps in it as well; lists and maps of the root have sections. */
static void add_rows(
	struct buf *out, const struct section *s, const char *path, const struct config_record *r)
{
	char sub[MAX_PATH], where[MAX_PATH + 64];

	for (size_t i = 0; i < r->n_fields; i++) {
		const struct config_field *f = &r->fields[i];

		if (!is_shown(f))
			continue;
		join(sub, path, f);
		(void)snprintf(where, sizeof where, "%s%s", s->place, sub);
		add_row(out, sub, f, example(s->doc, s->kind, where));
		if (has_fields(f) && r != config_root_record())
			add_rows(out, s, sub, f->record);
	}
}

static void add_table(
	struct buf *out, const char *title, const struct section *s, const struct config_record *r)
{
	buf_addf(out,
		"\n### %s\n\n| key | what it says | value | default | example | also in |\n"
		"|---|---|---|---|---|---|\n",
		title);
	add_rows(out, s, "", r);
}

static void add_tables(struct buf *out, const struct doc *d)
{
	const struct config_record *root = config_root_record();
	char title[MAX_PATH], place[MAX_PATH + 1];

	add_table(out, "The top level", &(struct section){d, "Config", ""}, root);
	for (size_t i = 0; i < root->n_fields; i++) {
		const struct config_field *f = &root->fields[i];

		if (f->record == NULL)
			continue;
		join(title, "", f);
		(void)snprintf(place, sizeof place, "%s.", title);
		add_table(out, title, &(struct section){d, "Config", place}, f->record);
	}
	add_table(out, "A label selector",
		&(struct section){d, "Config", "pools.serviceAllocation.serviceSelectors."},
		selector(root));
	add_table(out, "OpenELB's Eip (spec)", &(struct section){d, "Eip", "spec."},
		config_eip_record());
	add_table(out, "OpenELB's BgpConf (spec)", &(struct section){d, "BgpConf", "spec."},
		config_bgp_conf_record());
	add_table(out, "OpenELB's BgpPeer (spec)", &(struct section){d, "BgpPeer", "spec."},
		config_bgp_peer_record());
}

static void add_reference(struct buf *out)
{
	const struct doc_limits limits = {MAX_PAGE, 100000, 32};
	struct doc *d = NULL;
	struct doc_error err;
	struct buf text;

	buf_init(&text, MAX_PAGE);
	read_file("docs/every-key.yaml", &text);
	CHECK_INT(doc_parse(text.p, text.len - 1, &limits, &d, &err), 0);
	if (d != NULL)
		add_tables(out, d);
	buf_addc(out, '\n');
	doc_free(d);
	buf_free(&text);
}

/* -- both -- */

struct page {
	const char *path, *begin, *end;
	void (*add)(struct buf *out);
};

static const struct page manual = {
	"docs/lbd.yaml.5",
	".\\\" BEGIN FIELDS: written by `make man' from config_table.c\n",
	".\\\" END FIELDS\n",
	add_manual,
};

static const struct page reference = {
	"docs/configuration.md",
	"<!-- BEGIN FIELDS: written by `make man' from config_table.c -->\n",
	"<!-- END FIELDS -->\n",
	add_reference,
};

static void check_page(const struct page *p)
{
	struct buf text, want;
	char *from, *to, *tail;

	buf_init(&text, MAX_PAGE);
	buf_init(&want, MAX_PAGE);
	read_file(p->path, &text);
	buf_adds(&want, p->begin);
	p->add(&want);
	buf_adds(&want, p->end);
	from = strstr(text.p, p->begin);
	to = from != NULL ? strstr(from, p->end) : NULL;
	tail = to != NULL ? to + strlen(p->end) : NULL;
	check_row = p->path;
	CHECK(tail != NULL && !want.bad);
	if (tail != NULL && getenv("LBD_WRITE_MAN") != NULL) {
		write_page(p->path, text.p, (size_t)(from - text.p), want.p, tail);
	} else if (tail != NULL) {
		CHECK((size_t)(tail - from) ==
			want.len); /* not what config_table.c says: make man */
		CHECK(strncmp(from, want.p, want.len) == 0);
	}
	buf_free(&text);
	buf_free(&want);
}

static void test_man_page(void)
{
	check_page(&manual);
}

static void test_reference(void)
{
	check_page(&reference);
}

CHECK_MAIN("test_config_table", CHECK_TEST(test_fields), CHECK_TEST(test_man_page),
	CHECK_TEST(test_reference))
