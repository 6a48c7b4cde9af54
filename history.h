/* SPDX-License-Identifier: Apache-2.0
 *
 * history.h - does the API still tell the same history?  Its store may be put back to an older
 * state (a restored backup): what was seen since then is no more, and a watch from a version that
 * is now in the future is silent, not refused.  What betrays it is one of our own objects that the
 * API answers in a version before one that it had answered.  Pure.
 *
 * Versions are opaque but for this: of one resource the greater decimal number is the later one
 * (Kubernetes KEP-5504; true of every server with etcd or kine since the beginning).
 */
#ifndef LBD_HISTORY_H
#define LBD_HISTORY_H

#include "base.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	HISTORY_OBJECTS = 4, /* told apart by a number below this */
	HISTORY_DIGITS = 24, /* of a version; a longer one, or what is no number, says nothing */
};

/* Zeroed to begin with, and when the objects are to be others. */
struct history {
	char seen[HISTORY_OBJECTS][HISTORY_DIGITS + 1]; /* "" = nothing */
};

/* Is version a of an object before its version b?  false where one is NULL, or no such number. */
bool history_is_before(const char *a, const char *b);

/* The API's own answer (no watch's) on the object: its version, NULL = none.  Answers on one object
 * in the order in which they were asked for.  True: it is before one that was answered earlier.
 * Then the history begins anew with it, for all objects. */
bool history_goes_back(struct history *h, unsigned object, const char *version);

#endif
