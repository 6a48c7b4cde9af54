/* SPDX-License-Identifier: Apache-2.0
 *
 * config_text.c - text -> YAML documents, past those that do not parse.
 *
 * libyaml cannot go on after an error, so the text is cut at "---": what stands before the document
 * at fault is read without it, and what stands behind it as a text of its own.
 */
#include "config_text.h"

#include <errno.h>
#include <string.h>

/* A line of text and its number. */
struct line {
	const char *p;
	unsigned number;
};

static bool begins_document(const char *p, const char *end)
{
	return end - p >= 3 && memcmp(p, "---", 3) == 0 &&
	       (end - p == 3 || strchr(" \t\r\n", p[3]) != NULL);
}

/* Where the document at fault begins, and where the next one does (end when it is the last).  A
 * fault seen at a "---" is that of the document before: it was not complete. */
static void find_document(const char *text, const char *end, struct doc_mark fault,
	struct line *ret_begin, struct line *ret_next)
{
	unsigned last = fault.column == 1 && fault.line > 1 ? fault.line - 1 : fault.line;
	struct line l = {text, 1};

	*ret_begin = l;
	for (; l.p < end; l.p = doc_next_line(l.p, end), l.number++) {
		if (!begins_document(l.p, end))
			continue;
		if (l.number > last)
			break;
		*ret_begin = l;
	}
	*ret_next = l;
}

/* d->at gets its own copy: origins of items point at it to the end. */
static bool enter(struct config_decoder *d, const struct config_input *where, const struct doc *doc)
{
	struct config_input *in = arena_alloc(d->arena, sizeof *in);

	if (in == NULL) {
		d->no_memory = true;
		return false;
	}
	*in = *where;
	in->doc = doc;
	d->at.in = in;
	return true;
}

static void deliver(struct config_decoder *d, const struct config_input *where, struct doc *doc,
	void (*document)(struct config_decoder *d, const cJSON *root))
{
	const struct config_input *outer = d->at.in;

	d->nodes_left -= doc_nodes(doc);
	if (!config_decode_keep(d, doc))
		return;
	for (size_t i = 0; i < doc_count(doc); i++) {
		if (!enter(d, where, doc))
			break;
		document(d, doc_root(doc, i));
	}
	d->at.in = outer;
}

/* 0, -EINVAL with *ret_err, -ENOMEM. */
static int parse(struct config_decoder *d, const char *text, size_t len, struct doc **ret_doc,
	struct doc_error *ret_err)
{
	struct doc_limits limits = {.max_bytes = CONFIG_MAX_BYTES,
		.max_nodes = d->nodes_left,
		.max_depth = CONFIG_MAX_DEPTH};
	int rc = doc_parse(text, len, &limits, ret_doc, ret_err);

	if (rc == -EINVAL)
		d->nodes_left -= ret_err->nodes;
	d->no_memory |= rc == -ENOMEM;
	return rc;
}

static void deliver_before(struct config_decoder *d, const struct config_input *where,
	const char *text, size_t len, void (*document)(struct config_decoder *d, const cJSON *root))
{
	struct doc *doc = NULL;
	struct doc_error err;

	if (len > 0 && parse(d, text, len, &doc, &err) == 0)
		deliver(d, where, doc, document);
}

bool config_text_read(struct config_decoder *d, const struct config_input *where, const char *text,
	size_t len, void (*document)(struct config_decoder *d, const cJSON *root))
{
	struct config_input in = *where;
	const char *end = text + len;
	bool ok = true;

	do {
		struct line begin, next;
		struct doc *doc = NULL;
		struct doc_error err;
		int rc = parse(d, text, (size_t)(end - text), &doc, &err);

		if (rc == 0)
			deliver(d, &in, doc, document);
		if (rc != -EINVAL)
			break;
		ok = false;
		config_error_mark(&d->at, &in, config_input_mark(&in, err.mark), err.text);
		if (len > CONFIG_MAX_BYTES)
			break;
		find_document(text, end, err.start, &begin, &next);
		deliver_before(d, &in, text, (size_t)(begin.p - text), document);
		if (next.p == end)
			break;
		text = next.p;
		in.at.line += in.is_fixed ? 0 : next.number - 1;
	} while (!d->no_memory && d->at.report->n_errors < CONFIG_MAX_ERRORS);
	return ok;
}
