/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.h - what an operator should know first of a cluster's state, in sentences.  Pure.
 */
#ifndef LBD_FINDING_H
#define LBD_FINDING_H

#include "base.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* degraded: something does not work as it should, or will not at the next failure; else a note.
 * sentence: one line without a final stop, safe for a terminal; valid during the call. */
typedef void finding_fn(void *ctx, bool degraded, const char *sentence);

/* Tells each, the worst first; timeless: without ages, so that equal sentences say that nothing has
 * changed.  dump is status.c's tree, perhaps of another version: what is missing
 * or of another type is left out. */
void finding_each(const cJSON *dump, bool timeless, finding_fn *tell, void *ctx);

/* Milliseconds from the time under key of o to that of the dump; -1: not known. */
int64_t finding_age(const cJSON *dump, const cJSON *o, const char *key);
/* The node of that name; NULL: it is not listed. */
const cJSON *finding_node(const cJSON *dump, const char *name);
/* The one that the others are compared with: this node, else the first one that lives. */
const cJSON *finding_reference(const cJSON *dump);
/* Does its Lease say that it lives? */
bool finding_node_lives(const cJSON *node);
/* The node that has this VIP, as far as known, if that is gone; NULL: it lives, or there is none.
 */
const char *finding_gone_owner(const cJSON *dump, const cJSON *vip);
/* Was a foreign host heard to have this VIP, not long ago? */
bool finding_is_hijacked(const cJSON *dump, const cJSON *vip);
/* Does no node answer for this VIP, though one should, and not for a foreign host? */
bool finding_is_unanswered(const cJSON *vip);
/* Why, as far as this node can say. */
const char *finding_unanswered_text(const cJSON *vip);
/* Is something wrong with what this Service has? */
bool finding_service(const cJSON *service);
/* Did this node die, or is it kept from taking what it should? */
bool finding_is_node_bad(const cJSON *node);
/* Is this node to have a session with that router, and has none? */
bool finding_is_peer_down(const cJSON *peer);
/* Is the session up, and BFD, which is configured for it, is not? */
bool finding_is_peer_unwatched(const cJSON *peer);
/* Has this node a BGP session? */
bool finding_has_session(const cJSON *dump);

#endif
