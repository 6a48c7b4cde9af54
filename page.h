/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h - the status page: the daemon's JSON as one document of HTML that asks for nothing
 * elsewhere.  Pure.
 */
#ifndef LBD_PAGE_H
#define LBD_PAGE_H

#include "base.h"
#include "buf.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* The document.  dump is status.c's tree, as for show_text(). */
void page_print(const cJSON *dump, struct buf *out);

/* Fields of the answer that it is in, each line with its CRLF: the document may run its own script,
 * which may ask for the document itself, and nothing else. */
extern const char page_fields[];

/* Does host, the Host of a request, name this node: an IP address, localhost, the node's name, or
 * that in a domain that is always local, such as .lan?  Under another name a page from elsewhere
 * could read this one (DNS rebinding). */
bool page_is_own_host(const char *host, const char *node) MUST_CHECK;

#endif
