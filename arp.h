/* SPDX-License-Identifier: Apache-2.0
 *
 * arp.h - answer and announce IPv4 service addresses with ARP.  Pure.  The verbs are announcer.h's.
 */
#ifndef LBD_ARP_H
#define LBD_ARP_H

#include "announcer.h"

enum {
	ARP_FRAME_LEN =
		42, /* Ethernet II header and an IPv4-over-Ethernet ARP packet; drivers pad */
};

/* ops, ctx and counters (may be NULL) are borrowed.  ann_free() frees it.  NULL when out of memory.
 */
struct ann *arp_new(const struct ann_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters) MUST_CHECK;

#endif
