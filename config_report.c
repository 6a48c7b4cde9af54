/* SPDX-License-Identifier: Apache-2.0
 *
 * config_report.c - the decoder's errors and warnings, with file, line, column and path.
 */
#include "config_report.h"

#include "config_scalar.h"
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_PATH_BYTES = 512,
	MAX_TEXT_BYTES = 512,
	MAX_LINES_BYTES = CONFIG_MAX_ERRORS * 2048,
};

/* -- the report -- */

void config_report_init(struct config_report *r)
{
	buf_init(&r->errors, MAX_LINES_BYTES);
	buf_init(&r->warnings, MAX_LINES_BYTES);
	r->n_errors = r->n_warnings = 0;
	r->faults = NULL;
}

void config_report_free(struct config_report *r)
{
	buf_free(&r->errors);
	buf_free(&r->warnings);
	r->n_errors = r->n_warnings = 0;
}

static void end_lines(struct buf *b, unsigned n, const char *what)
{
	if (n > CONFIG_MAX_ERRORS)
		buf_addf(b, "%u more %s\n", n - CONFIG_MAX_ERRORS, what);
}

void config_report_end(struct config_report *r)
{
	end_lines(&r->errors, r->n_errors, "errors");
	end_lines(&r->warnings, r->n_warnings, "warnings");
}

/* -- the place -- */

void config_at_init(struct config_at *at, struct config_report *report)
{
	*at = (struct config_at){.subject = "", .report = report};
	buf_init(&at->path, MAX_PATH_BYTES);
	buf_adds(&at->path, "");
}

void config_at_free(struct config_at *at)
{
	buf_free(&at->path);
}

const char *config_at_key(const struct config_at *at, const char *name, char s[CONFIG_MAX_KEY])
{
	return at->in != NULL && at->in->kebab ? config_kebab(name, s) : name;
}

size_t config_at_key_down(struct config_at *at, const char *spelled)
{
	size_t before = at->path.len;

	buf_addf(&at->path, "%s%.64s%s", before > 0 ? "." : "", spelled,
		strlen(spelled) > 64 ? "..." : "");
	return before;
}

size_t config_at_index_down(struct config_at *at, size_t i)
{
	size_t before = at->path.len;

	buf_addf(&at->path, "[%zu]", i);
	return before;
}

void config_at_up(struct config_at *at, size_t before)
{
	/* A path that did not fit, or for which memory was short, is shown cut. */
	at->path.bad = false;
	if (at->path.len > before) {
		at->path.len = before;
		at->path.p[before] = '\0';
	}
}

struct doc_mark config_input_mark(const struct config_input *in, struct doc_mark m)
{
	if (in->is_fixed || m.line == 0)
		return in->at;
	return (struct doc_mark){in->at.line + m.line - 1, in->at.column + m.column - 1};
}

struct config_mark config_at_mark(const struct config_at *at, const cJSON *node)
{
	struct doc_mark m = config_input_mark(at->in, doc_mark(at->in->doc, node));

	return (struct config_mark){at->in->file, m.line, m.column};
}

/* -- lines -- */

static void add_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			buf_addf(b, "\\x%02x", (unsigned char)*s);
		else
			buf_addc(b, *s);
	}
}

struct line {
	const struct config_input *in;
	struct doc_mark mark; /* in the user's file */
	const char *subject, *path, *field;
};

static void add_line(struct buf *b, unsigned *count, const struct line *l, const char *text)
{
	if (++*count > CONFIG_MAX_ERRORS)
		return;
	if (l->in->file != NULL) {
		add_escaped(b, l->in->file);
		buf_addf(b, ":%u:%u: ", l->mark.line, l->mark.column);
	}
	add_escaped(b, l->subject);
	if (*l->subject != '\0')
		buf_adds(b, ": ");
	add_escaped(b, l->path);
	if (*l->path != '\0' && *l->field != '\0')
		buf_addc(b, '.');
	add_escaped(b, l->field);
	if (*l->path != '\0' || *l->field != '\0')
		buf_adds(b, ": ");
	add_escaped(b, text);
	buf_addc(b, '\n');
}

static void add_error(struct config_report *r, const struct line *l, const char *text)
{
	struct config_fault *f = r->faults != NULL ? &r->faults[l->in->source] : NULL;
	size_t before = r->errors.len;

	add_line(&r->errors, &r->n_errors, l, text);
	if (f == NULL)
		return;
	f->n_errors++;
	if (f->len == 0 && r->errors.len > before) {
		f->at = before;
		f->len = r->errors.len - before - 1;
	}
}

static void say(
	struct config_at *at, bool is_error, struct doc_mark m, const char *field, const char *text)
{
	struct config_report *r = at->report;
	struct line l = {.in = at->in,
		.mark = config_input_mark(at->in, m),
		.subject = at->subject,
		.path = at->path.p != NULL ? at->path.p : "",
		.field = field};

	if (is_error)
		add_error(r, &l, text);
	else
		add_line(&r->warnings, &r->n_warnings, &l, text);
}

static void say_field(
	struct config_at *at, bool is_error, const cJSON *obj, const char *name, const char *text)
{
	char s[CONFIG_MAX_KEY];
	const char *spelled = config_at_key(at, name, s);
	const cJSON *child = json_get(obj, spelled);

	say(at, is_error, doc_mark(at->in->doc, child != NULL ? child : obj), spelled, text);
}

#define FORMAT(text)                                                                               \
	do {                                                                                       \
		va_list ap;                                                                        \
		va_start(ap, fmt);                                                                 \
		(void)vsnprintf((text), sizeof(text), fmt, ap);                                    \
		va_end(ap);                                                                        \
	} while (0)

void config_error(struct config_at *at, const cJSON *node, const char *fmt, ...)
{
	char text[MAX_TEXT_BYTES];

	FORMAT(text);
	say(at, true, doc_mark(at->in->doc, node), "", text);
}

void config_error_key(struct config_at *at, const cJSON *node, const char *fmt, ...)
{
	char text[MAX_TEXT_BYTES];

	FORMAT(text);
	say(at, true, doc_key_mark(at->in->doc, node), "", text);
}

void config_error_field(
	struct config_at *at, const cJSON *obj, const char *name, const char *fmt, ...)
{
	char text[MAX_TEXT_BYTES];

	FORMAT(text);
	say_field(at, true, obj, name, text);
}

void config_warn(struct config_at *at, const cJSON *node, const char *fmt, ...)
{
	char text[MAX_TEXT_BYTES];

	FORMAT(text);
	say(at, false, doc_mark(at->in->doc, node), "", text);
}

void config_warn_field(
	struct config_at *at, const cJSON *obj, const char *name, const char *fmt, ...)
{
	char text[MAX_TEXT_BYTES];

	FORMAT(text);
	say_field(at, false, obj, name, text);
}

void config_error_mark(
	struct config_at *at, const struct config_input *in, struct doc_mark m, const char *text)
{
	struct line l = {.in = in, .mark = m, .subject = at->subject, .path = "", .field = ""};

	add_error(at->report, &l, text);
}

void config_error_concerns(struct config_at *at, const struct config_input *other)
{
	struct config_report *r = at->report;
	size_t end = r->errors.len > 0 ? r->errors.len - 1 : 0, begin = end;

	if (r->faults == NULL || r->n_errors > CONFIG_MAX_ERRORS ||
		r->faults[other->source].len > 0)
		return;
	while (begin > 0 && r->errors.p[begin - 1] != '\n')
		begin--;
	r->faults[other->source].at = begin;
	r->faults[other->source].len = end - begin;
}

/* -- what was found -- */

/* Cuts at a character, not inside one. */
static int cut(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n <= max)
		return (int)n;
	for (n = max; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
		n--;
	return (int)n;
}

char *config_got_text(const char *text, char s[CONFIG_GOT_STRLEN])
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._:/-";
	size_t n = strlen(text);

	if (n > 0 && strspn(text, bare) == n && n <= 60)
		snprintf(s, CONFIG_GOT_STRLEN, "%s", text);
	else
		snprintf(s, CONFIG_GOT_STRLEN, "\"%.*s%s\"", cut(text, 60), text,
			n > 60 ? "..." : "");
	return s;
}

char *config_got(const struct config_at *at, const cJSON *node, char s[CONFIG_GOT_STRLEN])
{
	const char *scalar = doc_scalar(at->in->doc, node);

	if (node == NULL || cJSON_IsNull(node))
		snprintf(s, CONFIG_GOT_STRLEN, "nothing");
	else if (cJSON_IsArray(node))
		snprintf(s, CONFIG_GOT_STRLEN, "a list");
	else if (cJSON_IsObject(node))
		snprintf(s, CONFIG_GOT_STRLEN, "a map");
	else
		config_got_text(scalar, s);
	return s;
}
