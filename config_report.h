/* SPDX-License-Identifier: Apache-2.0
 *
 * config_report.h - where the decoder is, and the errors and warnings that it says there.  Pure.
 */
#ifndef LBD_CONFIG_REPORT_H
#define LBD_CONFIG_REPORT_H

#include "arena.h"
#include "config.h"
#include "doc.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { CONFIG_GOT_STRLEN = 96 };

/* A parsed text as one dialect reads it, and how its marks translate into the user's file. */
struct config_input {
	const char *file;      /* borrowed; NULL = an object of the API: errors name no line */
	size_t source;         /* its place among the sources */
	const struct doc *doc; /* borrowed */
	struct doc_mark at;    /* where the text begins in file */
	bool is_fixed;         /* the text is no literal block: every mark is at */
	bool kebab; /* MetalLB's ConfigMap: kebab-case, any scalar may be a string (YAML 1.1) */
	unsigned dialects; /* which fields exist: bits of enum config_in, config_table.h */
};

/* Where the decoder is. */
struct config_at {
	const struct config_input *in;
	const char *subject; /* "IPAddressPool/lan", "" for dialect 1 */
	struct buf path;     /* owned: "spec.addresses[0]" */
	struct config_report *report;
};

void config_at_init(struct config_at *at, struct config_report *report);
void config_at_free(struct config_at *at);

/* The name of a field as this input spells it.  Returns name or s. */
const char *config_at_key(const struct config_at *at, const char *name, char s[64]);
/* Step into obj's member or list item; returns what config_at_up() wants back. */
size_t config_at_key_down(struct config_at *at, const char *spelled);
size_t config_at_index_down(struct config_at *at, size_t i);
void config_at_up(struct config_at *at, size_t before);

/* The place of node in the user's file. */
struct config_mark config_at_mark(const struct config_at *at, const cJSON *node);
struct doc_mark config_input_mark(const struct config_input *in, struct doc_mark m);

/* "FILE:LINE:COL: SUBJECT: path: text\n" into the report.  The place is node's value; _key: its
 * key; _field: obj's field name (table spelling), or obj itself if it has none.  Control characters
 * are escaped; beyond CONFIG_MAX_ERRORS lines are only counted. */
void config_error(struct config_at *at, const cJSON *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
void config_error_key(struct config_at *at, const cJSON *node, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void config_error_field(struct config_at *at, const cJSON *obj, const char *name, const char *fmt,
	...) PRINTF_LIKE(4, 5);
void config_warn(struct config_at *at, const cJSON *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
void config_warn_field(struct config_at *at, const cJSON *obj, const char *name, const char *fmt,
	...) PRINTF_LIKE(4, 5);
/* A syntax error, or anything else whose place is no node. */
void config_error_mark(
	struct config_at *at, const struct config_input *in, struct doc_mark m, const char *text);
/* The last error concerns another source too, which it names. */
void config_error_concerns(struct config_at *at, const struct config_input *other);

/* What was found, for "(got ...)": 12, "some text", a list, a map, nothing.  Returns s. */
char *config_got(const struct config_at *at, const cJSON *node, char s[CONFIG_GOT_STRLEN]);
char *config_got_text(const char *text, char s[CONFIG_GOT_STRLEN]);

/* After the last error: says how many were left out. */
void config_report_end(struct config_report *r);

#endif
