/* SPDX-License-Identifier: Apache-2.0
 *
 * show.h - lbd status: the daemon's JSON as text, or as HTML for the page.  Pure.
 */
#ifndef LBD_SHOW_H
#define LBD_SHOW_H

#include "base.h"
#include "buf.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

enum show_what {
	SHOW_ALL, /* who this is, what is degraded, every table; the events in HTML alone */
	SHOW_SERVICES,
	SHOW_VIPS,
	SHOW_POOLS,
	SHOW_NODES,
	SHOW_PEERS,
	SHOW_EVENTS,
};

/* "services" ... "events". false: no such word. */
bool show_parse(const char *word, enum show_what *ret_what) MUST_CHECK;

enum { SHOW_HTML_ROWS = 500, SHOW_HTML_FINDINGS = 100 };

struct show_options {
	enum show_what what;
	const char *namespace_; /* of Services and their addresses; NULL = of all */
	bool wide;              /* all columns, nothing cut */
	bool timeless;          /* no ages: equal texts say that nothing changed */
	bool html;      /* elements of a document's body; a table of SHOW_HTML_ROWS at most */
	unsigned width; /* columns of the terminal */
};

/* dump is status.c's tree, perhaps of another version: what is missing or of another type is left
 * out or "-".  Returns whether something is degraded, whatever is shown. */
bool show_text(const cJSON *dump, const struct show_options *o, struct buf *out);

/* What of the dump belongs to it; of SHOW_ALL all but the counters, and "degraded" and "notes" as
 * lists of sentences.  namespace_ alone of the options is heeded.  The tree is taken over; NULL
 * when out of memory. */
cJSON *show_json(cJSON *dump, const struct show_options *o) MUST_CHECK;

#endif
