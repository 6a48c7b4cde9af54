/* SPDX-License-Identifier: Apache-2.0
 *
 * columns.h - tables and sentences for a terminal: columns as wide as what they hold, text from
 * outside that cannot move the cursor, ages as kubectl prints them; the same tables as HTML.  Pure.
 */
#ifndef LBD_COLUMNS_H
#define LBD_COLUMNS_H

#include "base.h"
#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COLUMNS_MAX = 12, COLUMNS_ALL = 0 };

struct columns_head {
	const char *name;
	bool may_cut; /* when the row is too wide: cut to fit, its end becomes an ellipsis */
	bool wide;    /* only in a wide table */
};

/* What a cell is beside its text; seen in HTML alone. */
enum columns_kind {
	COLUMNS_PLAIN,
	COLUMNS_BAD,  /* something is wrong there */
	COLUMNS_TIME, /* value: when that was, as RFC 3339 prints it */
	COLUMNS_BAR,  /* value: how many percent */
};

struct columns; /* opaque */

/* head is borrowed, n of at most COLUMNS_MAX.  NULL when out of memory. */
struct columns *columns_new(const struct columns_head *head, size_t n, bool wide) MUST_CHECK;
void columns_free(struct columns *t); /* NULL: nothing happens */
/* The next cell, row by row; for every head, whether it is shown or not.  s is anybody's text; NULL
 * or empty: "-". */
void columns_add(struct columns *t, const char *s);
/* Says so of the cell that was added last.  value is nobody's text but ours. */
void columns_mark(struct columns *t, enum columns_kind kind, const char *value);
/* The table with its heads, each line at most width characters if what may be cut allows;
 * COLUMNS_ALL: nothing is cut. */
void columns_print(const struct columns *t, unsigned width, struct buf *out);
/* The whole of it as an element of HTML, in a box that can be scrolled.  Each cell but a row's
 * first has its head's name beside it (data-h), for screens too narrow for columns; "-" is an empty
 * cell. */
void columns_print_html(const struct columns *t, struct buf *out);
/* Adds text that columns_text() made, or whose characters are as harmless, to HTML: inside an
 * element or a quoted attribute. */
void columns_escape(struct buf *out, const char *s);

/* Adds anybody's text: letters of any script as they are; what would move the cursor, turn the
 * writing, or is no UTF-8, as \xNN. */
void columns_text(struct buf *out, const char *s);
/* Adds s, which may not be anybody's, broken at blanks into lines of at most width characters
 * (COLUMNS_ALL: one line); the first begins with first, the others with as many blanks. */
void columns_wrap(struct buf *out, const char *first, const char *s, unsigned width);

/* As kubectl: "45s", "5m", "3h20m", "2d4h", "47d", "2y10d". */
void columns_age(uint64_t ms, struct buf *out);
/* A time as RFC 3339 in UTC prints it, in milliseconds since 1970.  -1: not one. */
int64_t columns_time(const char *s);

#endif
