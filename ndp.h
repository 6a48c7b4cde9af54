/* SPDX-License-Identifier: Apache-2.0
 *
 * ndp.h - answer and announce IPv6 service addresses with Neighbor Discovery.  Pure.  The verbs are
 * announcer.h's.
 */
#ifndef LBD_NDP_H
#define LBD_NDP_H

#include "announcer.h"

enum {
	NDP_MAX_FRAME_LEN = 86, /* of what is sent: Ethernet II, IPv6, 24 bytes and one option */
};

/* ops, ctx and counters (may be NULL) are borrowed.  ann_free() frees it.  NULL when out of memory.
 */
struct ann *ndp_new(const struct ann_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters) MUST_CHECK;

/* The multicast group in which ip is asked for (RFC 4291 2.7.1).  Whoever answers or probes must
 * be in it beforehand. */
struct addr ndp_group(struct addr ip);

#endif
