/* SPDX-License-Identifier: Apache-2.0
 *
 * bgpconf.h - what a configured BGP peer comes to on this node: the session's terms, TTLs, next hops.
 * Pure.
 */
#ifndef LBD_BGPCONF_H
#define LBD_BGPCONF_H

#include "bgp.h"
#include "bfd.h"
#include "cluster.h"
#include "config.h"
#include "hash.h"
#include "iface.h"

#include <stdbool.h>
#include <stdint.h>

enum { BGPCONF_RESTART_S = 120 }; /* what FRR and BIRD take if nothing is said */

/* AS number, hold time and all else that an OPEN says.  remote: the peer's address. */
void bgpconf_session(const struct config_peer *p, struct addr remote, uint32_t router_id,
	struct bgp_conf *ret_c);
/* The configured one, the node's InternalIP, the first IPv4 address of an interface, or a hash of
 * the node's name: never 0 (RFC 6286). */
uint32_t bgpconf_router_id(const struct config_peer *p, const struct cluster_node *node,
	const struct iface_table *ifaces);

/* Of what is sent and the least of what is received; 0: the kernel's, any. */
struct bgpconf_ttl {
	unsigned sent, least;
};
struct bgpconf_ttl bgpconf_ttl(const struct config_peer *p);

/* The link whose subnet remote is in; 0: it is farther away. */
unsigned bgpconf_link(const struct iface_table *ifaces, struct addr remote);
/* The next hops that a peer at remote can reach this node by, whose own address of the session is
 * local. */
void bgpconf_self(const struct iface_table *ifaces, struct addr local, struct addr remote,
	unsigned ifindex, struct bgp_self *ret_s);

/* NULL: no such profile. */
const struct config_bfd_profile *bgpconf_bfd_profile(const struct config *c, const char *name);
/* multihop: more than one link away (RFC 5883). */
void bgpconf_bfd(const struct config_bfd_profile *p, bool multihop, struct bfd_conf *ret_c);

#endif
