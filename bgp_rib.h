/* SPDX-License-Identifier: Apache-2.0
 *
 * bgp_rib.h - what one peer is to be told, and was told: the Adj-RIB-Out (RFC 4271 3.2), and the
 * next message of it.  Pure.
 *
 * Nothing is queued as bytes: a peer that reads slowly is told the state of when it reads.
 */
#ifndef LBD_BGP_RIB_H
#define LBD_BGP_RIB_H

#include "bgp_msg.h"
#include "hash.h"

enum { BGP_RIB_MAX = 131072 /* routes */ };

struct bgp_rib; /* opaque */

/* NULL: out of memory. */
struct bgp_rib *bgp_rib_new(const struct hash_key *hkey) MUST_CHECK;
void bgp_rib_free(struct bgp_rib *r);

/* What stands for a next hop that is all zero: this node as the peer can reach it; all zero: not
 * known, such routes are not said. */
struct bgp_self {
	struct addr next_hop[ADDR_FAMILIES];
	struct addr link_local; /* beside an IPv6 one, or alone, to a peer on the same link */
};
/* The routes of a family that it is another next hop for are said anew. */
void bgp_rib_set_self(struct bgp_rib *r, const struct bgp_self *self);

/* p is to be announced with a, which is copied, in place of what it was announced with.  0, -ENOMEM or
 * -E2BIG: it is as before. */
int bgp_rib_put(
	struct bgp_rib *r, struct addr_prefix p, const struct bgp_attributes *a) MUST_CHECK;
/* p is not to be announced.  Idempotent. */
void bgp_rib_del(struct bgp_rib *r, struct addr_prefix p);
/* Of many at once: after bgp_rib_begin_sync() all that is not put again before bgp_rib_end_sync()
 * is deleted by that. */
void bgp_rib_begin_sync(struct bgp_rib *r);
void bgp_rib_end_sync(struct bgp_rib *r);

/* A session is Established, and its peer knows nothing; each family ends with its End-of-RIB (RFC
 * 4724 2).  What cannot be said by its terms (a family, a next hop) is not. */
void bgp_rib_open(struct bgp_rib *r, const struct bgp_terms *terms);
void bgp_rib_close(struct bgp_rib *r);
/* The peer asks for a family again (RFC 2918); enhanced: between the markers of RFC 7313. */
void bgp_rib_refresh(struct bgp_rib *r, enum addr_family family, bool enhanced);

/* Writes the next message to to, which has at least BGP_MAX bytes of room; 0 = all was said.
 * Withdrawals go first, then routes with the same attributes together; none twice. */
size_t bgp_rib_pull(struct bgp_rib *r, uint8_t *to, size_t room);
bool bgp_rib_is_pending(const struct bgp_rib *r);

struct bgp_rib_counts {
	uint32_t wanted[ADDR_FAMILIES], told[ADDR_FAMILIES];
};
struct bgp_rib_counts bgp_rib_counts(const struct bgp_rib *r);

#endif
