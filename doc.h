/* SPDX-License-Identifier: Apache-2.0
 *
 * doc.h - YAML (JSON included) text -> cJSON trees, with the line and column of every node.  Pure.
 *
 * YAML 1.2 core schema as Kubernetes reads it: plain true/false/null/numbers are typed, quoted
 * scalars are strings; yes, no, on, off are strings, as are sexagesimals, numbers with leading
 * zeros (YAML 1.1 reads octal, 1.2 decimal: nobody knows what was meant), infinities and NaN.
 * Anchors, aliases and merge keys (<<, YAML 1.1, as kubectl reads them) are expanded within the node
 * limit; duplicate keys, non-string keys and unknown tags are errors.  The text is
 * UTF-8 (a byte order mark is skipped); NUL and other control characters are errors.
 *
 * The trees live in the doc's arena: they are read with cJSON's getters, never changed or deleted.
 */
#ifndef LBD_DOC_H
#define LBD_DOC_H

#include "base.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct doc_limits {
	size_t max_bytes, max_nodes, max_depth;
};

struct doc_mark {
	unsigned line, column; /* from 1 */
};

struct doc; /* opaque: all documents of one text */

struct doc_error {
	struct doc_mark mark;  /* where the fault was seen */
	struct doc_mark start; /* where what is at fault begins: at or before mark */
	char text[256];        /* a sentence */
	size_t nodes;          /* of the limit, used until then */
};

/* 0; -EINVAL with *ret_err; -ENOMEM.  Empty documents are left out.  Nothing of text is kept. */
int doc_parse(const char *text, size_t len, const struct doc_limits *limits, struct doc **ret_doc,
	struct doc_error *ret_err) MUST_CHECK;
void doc_free(struct doc *d);
size_t doc_count(const struct doc *d);
/* Values in all trees, aliases expanded: what max_nodes counts. */
size_t doc_nodes(const struct doc *d);
const cJSON *doc_root(const struct doc *d, size_t i);

/* Of a node of one of the trees of d; {0,0} for NULL. */
/* Where the value begins. */
struct doc_mark doc_mark(const struct doc *d, const cJSON *node);
/* Where its key begins; {0,0} when it is no object's member. */
struct doc_mark doc_key_mark(const struct doc *d, const cJSON *node);
/* For a literal block scalar (|) that holds a document itself: the mark of its first character's
 * line and indentation, so that inner marks can be shown as the outer file's: outer line = origin
 * line + inner line - 1, columns alike.  {0,0} when the node is no block scalar. */
struct doc_mark doc_block_origin(const struct doc *d, const cJSON *node);
/* A scalar's characters as they were written ("0x10", "true"), a string's value; NULL for lists
 * and maps. */
const char *doc_scalar(const struct doc *d, const cJSON *node);

/* Is it a scalar without quotes, such as yes or 5? */
bool doc_is_plain(const struct doc *d, const cJSON *node);

/* The beginning of the line after the one that s is in, end if there is none: lines as marks count
 * them (CR, LF, CRLF, and Unicode's NEL, LS, PS). */
const char *doc_next_line(const char *s, const char *end);

#endif
