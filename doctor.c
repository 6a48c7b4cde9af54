/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor.c - runs the checks, and prints what they found.
 *
 * In:   facts -> the rows of doctor_checks.c, doctor_conf.c, doctor_api.c.
 * Out:  findings; them as lines of 80 columns, or as JSON.
 */
#include "doctor.h"

#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 80, ID_WIDTH = 14, TEXT_AT = 22 };

/* -- findings -- */

/* Names of files, processes and objects are anybody's text: nothing of it may move a terminal. */
static void make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

struct doctor_finding *doctor_add(
	struct doctor_report *r, enum doctor_severity severity, const char *fmt, ...)
{
	struct doctor_finding *f = r->n < DOCTOR_MAX_FINDINGS ? &r->v[r->n++] : &r->spare;
	va_list ap;

	f->id = r->id;
	f->severity = severity;
	f->fix[0] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(f->what, sizeof f->what, fmt, ap);
	va_end(ap);
	make_printable(f->what);
	return f;
}

void doctor_fix(struct doctor_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->fix, sizeof f->fix, fmt, ap);
	va_end(ap);
	make_printable(f->fix);
}

void doctor_examine(const struct doctor_facts *f, struct doctor_report *r)
{
	static const struct doctor_check *const tables[] = {
		doctor_host_checks, doctor_conf_checks, doctor_api_checks};

	r->n = 0;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct doctor_check *c = tables[i]; c->id != NULL; c++) {
			r->id = c->id;
			c->fn(f, r);
		}
}

static size_t count(const struct doctor_report *r, enum doctor_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->v[i].severity == severity;
	return n;
}

bool doctor_has_finding(const struct doctor_report *r)
{
	return count(r, DOCTOR_FAIL) + count(r, DOCTOR_WARN) > 0;
}

static const char *severity_word(enum doctor_severity severity)
{
	switch (severity) {
	case DOCTOR_FAIL:
		return "fail";
	case DOCTOR_WARN:
		return "warn";
	case DOCTOR_SKIP:
		return "skip";
	case DOCTOR_OK:
		return "ok";
	}
	return "";
}

/* -- lines -- */

/* Words up to the last column; the next lines begin where the text does.  at: where the first one
 * goes on. */
static void put_wrapped(struct buf *out, size_t at, const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (at > TEXT_AT && at + 1 + len > COLUMNS) {
			buf_addf(out, "\n%*s", TEXT_AT, "");
			at = TEXT_AT;
		} else if (at > TEXT_AT) {
			buf_addc(out, ' ');
			at++;
		}
		buf_add(out, text, len);
		at += len;
		text += len + strspn(text + len, " ");
	}
	buf_addc(out, '\n');
}

static void put_finding(struct buf *out, const struct doctor_finding *f)
{
	buf_addf(out, "%-4s  %-*s  ", severity_word(f->severity), ID_WIDTH, f->id);
	put_wrapped(out, TEXT_AT, f->what);
	if (f->fix[0] == '\0')
		return;
	buf_addf(out, "%*s ", TEXT_AT - 1, "->");
	put_wrapped(out, TEXT_AT, f->fix);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* Several that could not be checked for one reason are one line. */
static bool is_repeated(const struct doctor_report *r, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (r->v[k].severity == DOCTOR_SKIP && r->v[i].severity == DOCTOR_SKIP &&
			strcmp(r->v[k].what, r->v[i].what) == 0)
			return true;
	return false;
}

/* "...; nor, for that, pool-own, pool-cluster" */
static void join_repeated(const struct doctor_report *r, size_t i, struct doctor_finding *f)
{
	const char *before = "; nor, for that, ";

	*f = r->v[i];
	for (size_t k = i + 1; k < r->n && f->severity == DOCTOR_SKIP; k++)
		if (r->v[k].severity == DOCTOR_SKIP && strcmp(r->v[k].what, r->v[i].what) == 0) {
			const size_t len = strlen(f->what);

			(void)snprintf(
				f->what + len, sizeof f->what - len, "%s%s", before, r->v[k].id);
			before = ", ";
		}
}

static void put_all(const struct doctor_report *r, enum doctor_severity severity, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].severity == severity && !is_repeated(r, i)) {
			struct doctor_finding joined;

			join_repeated(r, i, &joined);
			put_finding(out, &joined);
		}
}

void doctor_text(const struct doctor_report *r, struct buf *out)
{
	static const enum doctor_severity order[] = {
		DOCTOR_FAIL, DOCTOR_WARN, DOCTOR_SKIP, DOCTOR_OK};
	const size_t fails = count(r, DOCTOR_FAIL), warns = count(r, DOCTOR_WARN);

	for (size_t o = 0; o < ARRAY_LEN(order); o++)
		put_all(r, order[o], out);
	if (fails + warns == 0)
		buf_addf(out,
			"\nNothing is wrong that can be seen: %zu ok, %zu could not be checked.\n",
			count(r, DOCTOR_OK), count(r, DOCTOR_SKIP));
	else
		buf_addf(out, "\n%zu failure%s, %zu warning%s; %zu ok, %zu could not be checked.\n",
			fails, plural(fails), warns, plural(warns), count(r, DOCTOR_OK),
			count(r, DOCTOR_SKIP));
}

/* -- JSON -- */

static void put_json(cJSON *array, const struct doctor_finding *f)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "id", f->id);
	(void)cJSON_AddStringToObject(o, "severity", severity_word(f->severity));
	(void)cJSON_AddStringToObject(o, "what", f->what);
	if (f->fix[0] != '\0')
		(void)cJSON_AddStringToObject(o, "fix", f->fix);
	if (!cJSON_AddItemToArray(array, o))
		cJSON_Delete(o);
}

void doctor_json(const struct doctor_report *r, struct buf *out)
{
	cJSON *root = cJSON_CreateObject(), *array;
	char *text;

	(void)cJSON_AddStringToObject(root, "version", LBD_VERSION);
	(void)cJSON_AddBoolToObject(root, "finding", doctor_has_finding(r));
	for (int s = DOCTOR_FAIL; s <= DOCTOR_OK; s++)
		(void)cJSON_AddNumberToObject(root, severity_word((enum doctor_severity)s),
			(double)count(r, (enum doctor_severity)s));
	array = cJSON_AddArrayToObject(root, "findings");
	for (size_t i = 0; i < r->n; i++)
		put_json(array, &r->v[i]);
	text = cJSON_Print(root);
	buf_adds(out, text != NULL ? text : "");
	out->bad |= text == NULL;
	cJSON_free(text);
	buf_addc(out, '\n');
	cJSON_Delete(root);
}
