/* SPDX-License-Identifier: Apache-2.0
 *
 * routes.h - which prefixes this node announces by BGP, and with which attributes to which peer.
 * Pure.
 *
 * There is no owner: each node that may announces, and the routers spread by ECMP (DESIGN section 4).
 */
#ifndef LBD_ROUTES_H
#define LBD_ROUTES_H

#include "bgp_rib.h"
#include "cluster.h"
#include "config.h"
#include "hash.h"
#include "vip.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	ROUTES_DEFAULT_LOCAL_PREF = 100, /* where iBGP must have one (RFC 4271 5.1.5) */
	/* Bytes a second that stand for one ready endpoint in the link bandwidth community: routers
	 * look at the relation. */
	ROUTES_ENDPOINT_BANDWIDTH = 1000000,
	ROUTES_MAX_FRESH = 16,
};

struct routes; /* opaque */

/* What they follow from; borrowed for the call. */
struct routes_input {
	const struct config *conf;
	const struct cluster *cluster;
	const struct vip_table *vips;
	const char *node; /* this node's name */
};

/* NULL: out of memory. */
struct routes *routes_new(const struct hash_key *hkey) MUST_CHECK;
void routes_free(struct routes *r);

/* One group of VIPs anew (gone: without it), or everything: after another configuration, or when
 * Nodes changed.  0; -ENOMEM: to be called again, after routes_rebuild() with everything. */
int routes_update(struct routes *r, const struct routes_input *in, uint64_t group) MUST_CHECK;
int routes_rebuild(struct routes *r, const struct routes_input *in) MUST_CHECK;

/* Who is told. */
struct routes_peer {
	const char *name;
	uint32_t asn;  /* this node's, as the peer sees it */
	bool internal; /* iBGP */
	bool leaving;  /* this node goes: GRACEFUL_SHUTDOWN (RFC 8326) */
};
/* Brings the peer's Adj-RIB-Out in line: with what changed since routes_clean(), or with everything.
 * 0; -ENOMEM, -E2BIG: some of it is not, everything is to be tried again. */
int routes_tell(const struct routes *r, const struct routes_peer *peer, bool all,
	struct bgp_rib *rib) MUST_CHECK;
bool routes_is_dirty(const struct routes *r);
/* Groups that have a prefix and had none, since routes_clean(); the first ROUTES_MAX_FRESH by id. */
size_t routes_fresh_count(const struct routes *r);
uint64_t routes_fresh_at(const struct routes *r, size_t i);
void routes_clean(struct routes *r);

/* -- reading -- */
size_t routes_count(const struct routes *r); /* prefixes, whoever is told of them */
/* Why this node announces v by BGP (REASON_OWNER), or does not. */
enum reason routes_why(const struct routes_input *in, const struct vip *v);

#endif
