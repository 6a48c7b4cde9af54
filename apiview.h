/* SPDX-License-Identifier: Apache-2.0
 *
 * apiview.h - the cluster as the API alone tells of it, in the form of status.c's tree: for who has
 * no daemon to ask.  Pure.
 */
#ifndef LBD_APIVIEW_H
#define LBD_APIVIEW_H

#include "base.h"

#include <cjson/cJSON.h>

/* Objects as the API lists them, arrays; NULL: not known.  Borrowed. */
struct apiview_lists {
	const cJSON *leases, *services, *events;
	const char *server; /* in words */
	const char *now;    /* RFC 3339, UTC */
};

/* What only daemons know (the wire, BFD, pools, BGP sessions) is left out.  Whether a node lives is
 * told by this machine's clock.  NULL when out of memory. */
cJSON *apiview_dump(const struct apiview_lists *l) MUST_CHECK;

#endif
