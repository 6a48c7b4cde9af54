/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_table.c - the field table is sound, and docs/lbd.yaml.5 lists every field of it.
 *
 * The page's part between BEGIN FIELDS and END FIELDS is written by this program when it runs with
 * LBD_WRITE_MAN set (make man), and compared otherwise.  Run from the top of the tree.
 */
#include "buf.h"
#include "check.h"
#include "config_field.h"
#include "config_scalar.h"
#include "config_table.h"

#include <ctype.h>

static const char page[] = "docs/lbd.yaml.5";
static const char begin[] = ".\\\" BEGIN FIELDS: written by `make man' from config_table.c\n";
static const char end[] = ".\\\" END FIELDS\n";

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

/* -- the page -- */

/* Text, with what roff would read otherwise escaped. */
static void add_text(struct buf *out, const char *s)
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

/* What a value may be, in the words of the error about it. */
static void add_type(struct buf *out, const struct config_field *f)
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

static void add_default(struct buf *out, const struct config_field *f)
{
	if (f->flags & CONFIG_REQUIRED) {
		buf_adds(out, "; required");
	} else if (f->fallback != NULL && f->fallback[0] != '\0') {
		buf_adds(out, "; default ");
		add_text(out, f->fallback);
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
		add_text(out, config_kebab(f->name, kebab));
	}
}

/* A sentence in lines of a roff source's width. */
static void add_doc(struct buf *out, const char *doc)
{
	enum { WIDTH = 70 };
	size_t n = 0;

	for (const char *p = doc; *p != '\0'; p++) {
		const char one[2] = {*p, '\0'};
		bool end_line = *p == ' ' && n + strcspn(p + 1, " ") > WIDTH;

		if (p == doc && islower((unsigned char)*p) && p[1] != ':')
			buf_addc(out, (char)toupper((unsigned char)*p));
		else if (end_line)
			buf_addc(out, '\n');
		else
			add_text(out, one);
		n = end_line ? 0 : n + 1;
	}
	buf_adds(out, ".\n");
}

static void add_field(struct buf *out, const char *path, const struct config_field *f)
{
	buf_adds(out, ".It Ic ");
	add_text(out, path);
	buf_adds(out, "\n");
	add_doc(out, f->doc);
	buf_adds(out, ".Pq ");
	add_type(out, f);
	add_default(out, f);
	add_dialects(out, f);
	buf_adds(out, f->flags & CONFIG_NOT_YET ? "; checked, not served yet\n" : "\n");
}

static void add_record(struct buf *out, const char *path, const struct config_record *r)
{
	char sub[256];

	for (size_t i = 0; i < r->n_fields; i++) {
		const struct config_field *f = &r->fields[i];

		if ((f->in & (CONFIG_IN_NATIVE | CONFIG_IN_EIP)) == 0)
			continue;
		(void)snprintf(sub, sizeof sub, "%s%s%s%s", path, path[0] != '\0' ? "." : "",
			f->name, f->type == CONFIG_LIST ? "[]" : "");
		add_field(out, sub, f);
		if (f->record != NULL && f->record->id != CONFIG_SELECTOR)
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

static void add_page_part(struct buf *out)
{
	buf_adds(out, begin);
	add_list(out, "Fields", config_root_record());
	add_list(out, "Fields of a label selector", selector(config_root_record()));
	add_list(out, "Fields of an Eip", config_eip_record());
	add_list(out, "Fields of a BgpConf", config_bgp_conf_record());
	add_list(out, "Fields of a BgpPeer", config_bgp_peer_record());
	buf_adds(out, end);
}

static void read_page(struct buf *out)
{
	FILE *f = fopen(page, "r");
	char chunk[4096];
	size_t n;

	CHECK(f != NULL);
	while (f != NULL && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(out, chunk, n);
	if (f != NULL)
		(void)fclose(f);
	buf_addc(out, '\0'); /* always text */
}

static void write_page(const char *head, size_t n_head, const char *part, const char *tail)
{
	FILE *f = fopen(page, "w");

	CHECK(f != NULL);
	if (f == NULL)
		return;
	CHECK(fwrite(head, 1, n_head, f) == n_head && fputs(part, f) >= 0 && fputs(tail, f) >= 0);
	CHECK(fclose(f) == 0);
}

static void test_man_page(void)
{
	struct buf text, want;
	char *from, *to;

	buf_init(&text, 1 << 20);
	buf_init(&want, 1 << 20);
	read_page(&text);
	add_page_part(&want);
	from = strstr(text.p, begin);
	to = from != NULL ? strstr(from, end) : NULL;
	CHECK(to != NULL);
	if (to != NULL && getenv("LBD_WRITE_MAN") != NULL) {
		write_page(text.p, (size_t)(from - text.p), want.p, to + sizeof end - 1);
	} else if (to != NULL) {
		to[sizeof end - 1] = '\0';
		check_row = "docs/lbd.yaml.5 is not what config_table.c says: make man";
		CHECK(strcmp(from, want.p) == 0);
	}
	buf_free(&text);
	buf_free(&want);
}

CHECK_MAIN("test_config_table", CHECK_TEST(test_fields), CHECK_TEST(test_man_page))
