/* SPDX-License-Identifier: Apache-2.0
 *
 * config_print.c - struct config -> canonical YAML (dialect 1), by the field table.
 *
 * The top level and the items of its lists in block style, everything below in flow style; strings
 * quoted whenever some YAML could read them as anything else; what was not given and has no default
 * is left out.
 */
#include "config_print.h"

#include "config_scalar.h"
#include "config_table.h"

#include <errno.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAX_TEXT_BYTES = 64 * 1024 * 1024 };

struct print {
	struct buf *out;
	bool hide; /* secrets */
};

static const void *place(const struct config_field *f, const void *rec)
{
	return (const char *)rec + f->offset;
}

static size_t count(const struct config_field *f, const void *rec)
{
	return *(const size_t *)(const void *)((const char *)rec + f->offset_n);
}

/* The flag beside a value that may not have been given. */
static bool is_given(const struct config_field *f, const void *rec)
{
	return f->offset_n == CONFIG_NOWHERE || *((const bool *)rec + f->offset_n);
}

/* -- strings -- */

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == '/';
}

/* Does every YAML, 1.1 included, read s as a string?  Numbers (1_0, 0x1f, 1e3), dates (2001-1-1)
 * and sexagesimals begin with a digit, sign or dot and have at most one dot. */
static bool is_plain(const char *s)
{
	static const char *const words[] = {
		"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"};
	size_t dots = 0;

	if (*s == '\0' || *s == '-' || *s == '.')
		return false;
	for (const char *p = s; *p != '\0'; p++) {
		if (!is_word_char(*p))
			return false;
		dots += *p == '.';
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return false;
	return !(*s >= '0' && *s <= '9') || dots >= 2;
}

/* The next character of valid UTF-8; moves *s past it. */
static unsigned next_char(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	unsigned c = *p, more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	if (more > 0)
		c &= 0x3fu >> more;
	for (*s += 1; more > 0 && (**s & 0xc0) == 0x80; more--, *s += 1)
		c = c << 6 | ((unsigned char)**s & 0x3f);
	return c;
}

static void add_string(struct buf *out, const char *s)
{
	if (is_plain(s)) {
		buf_adds(out, s);
		return;
	}
	buf_addc(out, '"');
	while (*s != '\0') {
		unsigned c = next_char(&s);

		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", (char)c);
		else if (c >= 0x20 && c < 0x7f)
			buf_addc(out, (char)c);
		else if (c <= 0xffff)
			buf_addf(out, "\\u%04x", c);
		else
			buf_addf(out, "\\U%08x", c);
	}
	buf_addc(out, '"');
}

/* -- values, in flow style -- */

static bool is_shown(const struct config_field *f, const void *rec);
static void add_map(struct print *p, const struct config_record *record, const void *rec);

static void add_strings(struct buf *out, const char *const *v, size_t n)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(out, ", ");
		add_string(out, v[i]);
	}
	buf_addc(out, ']');
}

static void add_labels(struct buf *out, const struct label *v, size_t n)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(out, ", ");
		add_string(out, v[i].key);
		buf_adds(out, ": ");
		add_string(out, v[i].value);
	}
	buf_addc(out, '}');
}

static void add_list(struct print *p, const struct config_record *record, const char *v, size_t n)
{
	buf_addc(p->out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(p->out, ", ");
		add_map(p, record, v + i * record->size);
	}
	buf_addc(p->out, ']');
}

static void add_ranges(struct buf *out, const struct addr_range *v, size_t n)
{
	char s[ADDR_RANGE_STRLEN];

	buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(out, ", ");
		add_string(out, addr_range_format(v[i], s));
	}
	buf_addc(out, ']');
}

static void add_factor(struct buf *out, double v)
{
	char s[32];

	/* The shortest text that reads back as v. */
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, v);
		if (strtod(s, NULL) == v)
			break;
	}
	buf_adds(out, s);
}

static void add_duration(struct buf *out, uint64_t ms)
{
	char s[CONFIG_DURATION_STRLEN];

	buf_adds(out, config_duration_format(ms, s));
}

static void add_address(struct buf *out, struct addr a)
{
	char s[ADDR_STRLEN];

	add_string(out, addr_format(a, s));
}

static void add_value(struct print *p, const struct config_field *f, const void *rec)
{
	const void *at = place(f, rec);

	switch (f->type) {
	case CONFIG_BOOL:
		buf_adds(p->out, *(const bool *)at ? "true" : "false");
		break;
	case CONFIG_UINT:
		buf_addf(p->out, "%u", *(const unsigned *)at);
		break;
	case CONFIG_U32:
		buf_addf(p->out, "%u", (unsigned)*(const uint32_t *)at);
		break;
	case CONFIG_DURATION:
		add_duration(p->out, *(const uint64_t *)at);
		break;
	case CONFIG_FACTOR:
		add_factor(p->out, *(const double *)at);
		break;
	case CONFIG_STRING:
	case CONFIG_WORD:
		add_string(p->out,
			f->flags & CONFIG_SECRET && p->hide ? "***" : *(const char *const *)at);
		break;
	case CONFIG_WORD_INDEX:
		add_string(p->out, f->words[*(const unsigned *)at]);
		break;
	case CONFIG_WORD_BOOL:
		add_string(p->out, f->words[*(const bool *)at ? 1 : 0]);
		break;
	case CONFIG_ADDRESS:
		add_address(p->out, *(const struct addr *)at);
		break;
	case CONFIG_STRINGS:
		add_strings(p->out, *(const char *const *const *)at, count(f, rec));
		break;
	case CONFIG_RANGES:
		add_ranges(p->out, *(const struct addr_range *const *)at, count(f, rec));
		break;
	case CONFIG_LABELS:
		add_labels(p->out, *(const struct label *const *)at, count(f, rec));
		break;
	case CONFIG_MAP:
		add_map(p, f->record, at);
		break;
	case CONFIG_LIST:
		add_list(p, f->record, *(const char *const *)at, count(f, rec));
		break;
	case CONFIG_ANY:
	case CONFIG_SAME_MAP:
		break;
	}
}

static bool has_shown(const struct config_record *record, const void *rec)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (is_shown(&record->fields[i], rec))
			return true;
	return false;
}

/* Is there anything to say? */
static bool is_shown(const struct config_field *f, const void *rec)
{
	bool skip = f->flags & CONFIG_SKIP_EMPTY;

	if (!(f->in & CONFIG_IN_NATIVE))
		return false;
	switch (f->type) {
	case CONFIG_STRING:
	case CONFIG_WORD:
		return *(const char *const *)place(f, rec) != NULL;
	case CONFIG_U32:
		return is_given(f, rec) && !(skip && *(const uint32_t *)place(f, rec) == 0);
	case CONFIG_ADDRESS:
		return is_given(f, rec);
	case CONFIG_MAP:
		return is_given(f, rec) && !(skip && !has_shown(f->record, place(f, rec)));
	case CONFIG_STRINGS:
	case CONFIG_RANGES:
	case CONFIG_LABELS:
	case CONFIG_LIST:
		return !(skip && count(f, rec) == 0);
	case CONFIG_BOOL:
		return !(skip && !*(const bool *)place(f, rec));
	case CONFIG_UINT:
	case CONFIG_DURATION:
	case CONFIG_FACTOR:
	case CONFIG_WORD_INDEX:
	case CONFIG_WORD_BOOL:
		return true;
	case CONFIG_ANY:
	case CONFIG_SAME_MAP:
		break;
	}
	return false;
}

static void add_map(struct print *p, const struct config_record *record, const void *rec)
{
	const char *separator = "";

	buf_addc(p->out, '{');
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct config_field *f = &record->fields[i];

		if (!is_shown(f, rec))
			continue;
		buf_addf(p->out, "%s%s: ", separator, f->name);
		add_value(p, f, rec);
		separator = ", ";
	}
	buf_addc(p->out, '}');
}

/* -- the top level, in block style -- */

/* A pool's addresses, one a line: there may be thousands. */
static void add_range_lines(
	struct buf *out, const struct config_field *f, const void *rec, const char *indent)
{
	const struct addr_range *v = *(const struct addr_range *const *)place(f, rec);
	char s[ADDR_RANGE_STRLEN];

	buf_addf(out, "%s:\n", f->name);
	for (size_t i = 0; i < count(f, rec); i++) {
		buf_addf(out, "%s- ", indent);
		add_string(out, addr_range_format(v[i], s));
		buf_addc(out, '\n');
	}
}

/* The fields of a map, each on its line; first stands before the first of them. */
static void add_lines(struct print *p, const struct config_record *record, const void *rec,
	const char *first, const char *indent)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct config_field *f = &record->fields[i];

		if (!is_shown(f, rec))
			continue;
		buf_adds(p->out, first);
		first = indent;
		if (f->type == CONFIG_RANGES) {
			add_range_lines(p->out, f, rec, indent);
			continue;
		}
		buf_addf(p->out, "%s: ", f->name);
		add_value(p, f, rec);
		buf_addc(p->out, '\n');
	}
}

static void add_root_list(struct print *p, const struct config_field *f, const void *rec)
{
	const char *v = *(const char *const *)place(f, rec);
	size_t n = count(f, rec);

	buf_addf(p->out, "%s:%s\n", f->name, n == 0 ? " []" : "");
	for (size_t i = 0; i < n; i++)
		add_lines(p, f->record, v + i * f->record->size, "- ", "  ");
}

static int print(const struct config *c, bool hide, struct buf *out)
{
	const struct config_record *root = config_root_record();
	struct print p = {.out = out, .hide = hide};

	buf_adds(out, "apiVersion: lbd.io/v1\nkind: Config\n");
	for (size_t i = 0; i < root->n_fields; i++) {
		const struct config_field *f = &root->fields[i];

		if (!is_shown(f, c))
			continue;
		if (f->type == CONFIG_LIST) {
			add_root_list(&p, f, c);
		} else if (f->type == CONFIG_MAP) {
			buf_addf(out, "%s:\n", f->name);
			add_lines(&p, f->record, place(f, c), "  ", "  ");
		} else {
			buf_addf(out, "%s: ", f->name);
			add_value(&p, f, c);
			buf_addc(out, '\n');
		}
	}
	return out->bad ? -ENOMEM : 0;
}

int config_print(const struct config *c, struct buf *out)
{
	return print(c, false, out);
}

int config_hash(const struct config *c, char ret_hash[17])
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	unsigned char sum[32];
	struct buf text;
	int rc;

	REQUIRE(md != NULL);
	buf_init(&text, MAX_TEXT_BYTES);
	rc = print(c, true, &text);
	if (rc == 0 && mbedtls_md(md, (const unsigned char *)text.p, text.len, sum) != 0)
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && i < 8; i++)
		snprintf(ret_hash + 2 * i, 3, "%02x", sum[i]);
	buf_free(&text);
	return rc;
}
