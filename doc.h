/* SPDX-License-Identifier: Apache-2.0
 *
 * doc.h - YAML (JSON included) text -> cJSON trees, with the line and column of every node.  Pure.
 *
 * YAML 1.2 core schema as Kubernetes reads it: plain true/false/null/numbers are typed, quoted
 * scalars are strings; yes, no, on, off are strings, as are sexagesimals.  Anchors and aliases are
 * expanded within the node limit; merge keys (<<) are refused; duplicate keys, non-string keys,
 * unknown tags and several roots in one document are errors.
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
	struct doc_mark mark;
	char text[256]; /* a sentence */
};

/* 0; -EINVAL with *ret_err; -ENOMEM.  Empty documents are left out. */
int doc_parse(const char *text, size_t len, const struct doc_limits *limits, struct doc **ret_doc,
	struct doc_error *ret_err) MUST_CHECK;
void doc_free(struct doc *d);
size_t doc_count(const struct doc *d);
const cJSON *doc_root(const struct doc *d, size_t i);
/* Where a node of one of the trees begins: the value; doc_key_mark: its key, when it is an object's
 * member. {0,0} if unknown. */
struct doc_mark doc_mark(const struct doc *d, const cJSON *node);
struct doc_mark doc_key_mark(const struct doc *d, const cJSON *node);
/* For a literal block scalar (|) that holds a document itself: the mark of its first character's
 * line and indentation, so that inner marks can be shown as the outer file's. {0,0} when the node
 * is no block scalar. */
struct doc_mark doc_block_origin(const struct doc *d, const cJSON *node);

#endif
