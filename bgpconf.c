/* SPDX-License-Identifier: Apache-2.0
 *
 * bgpconf.c - a configured peer as a session.
 *
 * In:   config_peer, config_bfd_profile, the Node, interfaces.
 * Out:  bgp_conf, bgp_self, bfd_conf, TTLs.
 * RFCs: 4271 5.1.3 and 2545 3 (next hops), 5082 (GTSM), 5881 5, 5883 (TTL of BFD), 6286
 *       (identifiers), 8950.
 */
#include "bgpconf.h"

#include <string.h>

enum { TTL_MAX = 255 };

static bool is_internal(const struct config_peer *p)
{
	uint32_t ours = p->local_asn != 0 ? p->local_asn : p->my_asn;

	return p->dynamic_asn != NULL ? strcmp(p->dynamic_asn, "internal") == 0
				      : p->peer_asn == ours;
}

static void choose_families(const struct config_peer *p, struct addr remote, bool ret_f[ADDR_FAMILIES])
{
	enum addr_family own = addr_family(remote);
	bool both = !p->disable_mp && (p->dual_stack_address_family || p->interface != NULL);

	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		ret_f[f] = both || f == (unsigned)own;
}

void bgpconf_session(const struct config_peer *p, struct addr remote, uint32_t router_id,
	struct bgp_conf *ret_c)
{
	*ret_c = (struct bgp_conf){
		.local_asn = p->local_asn != 0 ? p->local_asn : p->my_asn,
		.asn = p->dynamic_asn == NULL	? BGP_ASN_GIVEN
		       : is_internal(p)		? BGP_ASN_INTERNAL
						: BGP_ASN_EXTERNAL,
		.peer_asn = p->peer_asn,
		.router_id = router_id,
		.hold_s = (uint16_t)(p->hold_time_ms / 1000),
		.keepalive_ms = p->keepalive_time_ms,
		.connect_ms = p->connect_time_ms,
		.passive = p->passive,
		.keyed = p->password != NULL || p->password_file != NULL ||
			 p->password_secret.name != NULL || p->tcp_ao.present,
		.graceful = p->enable_graceful_restart,
		.restart_s = BGPCONF_RESTART_S,
	};
	choose_families(p, remote, ret_c->families);
	ret_c->extended_next_hop = addr_family(remote) == ADDR_V6 && ret_c->families[ADDR_V4];
}

/* -- identifiers -- */

static uint32_t v4_number(struct addr a)
{
	return addr_family(a) == ADDR_V4 ? (uint32_t)a.lo : 0;
}

static uint32_t first_of_node(const struct cluster_node *node)
{
	uint32_t id = 0;

	for (size_t i = 0; node != NULL && i < node->n_internal_ips && id == 0; i++)
		id = v4_number(node->internal_ips[i]);
	return id;
}

static uint32_t first_of_links(const struct iface_table *ifaces)
{
	const struct iface *i = NULL;
	uint32_t id = 0;

	while (id == 0 && (i = iface_next(ifaces, i)) != NULL)
		for (size_t k = 0; k < i->n_addrs && id == 0; k++)
			if (!i->loopback)
				id = v4_number(i->addrs[k].addr);
	return id;
}

uint32_t bgpconf_router_id(const struct config_peer *p, const struct cluster_node *node,
	const struct iface_table *ifaces)
{
	static const struct hash_key fixed = {0}; /* the same after a restart */
	uint32_t id = p->has_router_id ? v4_number(p->router_id) : 0;

	if (id == 0)
		id = first_of_node(node);
	if (id == 0)
		id = first_of_links(ifaces);
	if (id == 0 && node != NULL)
		id = hash_bytes(&fixed, node->name, strlen(node->name));
	return id != 0 ? id : 1;
}

/* -- TTLs -- */

struct bgpconf_ttl bgpconf_ttl(const struct config_peer *p)
{
	if (p->ttl_security > 0)
		return (struct bgpconf_ttl){TTL_MAX, TTL_MAX + 1 - p->ttl_security};
	if (p->ebgp_multi_hop)
		return (struct bgpconf_ttl){TTL_MAX, 0};
	return (struct bgpconf_ttl){is_internal(p) ? 0 : 1, 0};
}

/* -- next hops -- */

unsigned bgpconf_link(const struct iface_table *ifaces, struct addr remote)
{
	const struct iface *i = NULL;

	while ((i = iface_next(ifaces, i)) != NULL)
		if (!i->loopback && iface_has_subnet_of(i, remote))
			return i->ifindex;
	return 0;
}

static const struct iface *holder_of(const struct iface_table *ifaces, struct addr a)
{
	const struct iface *i = NULL;

	while ((i = iface_next(ifaces, i)) != NULL)
		for (size_t k = 0; k < i->n_addrs; k++)
			if (addr_eq(i->addrs[k].addr, a))
				return i;
	return NULL;
}

static bool is_good(const struct iface_addr *a, enum addr_family f, bool link_local)
{
	return addr_family(a->addr) == f && !a->tentative && !a->deprecated &&
	       addr_is_link_local(a->addr) == link_local;
}

/* False: the interface has none. */
static bool first_on(
	const struct iface *i, enum addr_family f, bool link_local, struct addr *ret_a)
{
	for (size_t k = 0; i != NULL && k < i->n_addrs; k++)
		if (is_good(&i->addrs[k], f, link_local)) {
			*ret_a = i->addrs[k].addr;
			return true;
		}
	return false;
}

static void first_anywhere(
	const struct iface_table *ifaces, enum addr_family f, struct addr *ret_a)
{
	const struct iface *i = NULL;

	while ((i = iface_next(ifaces, i)) != NULL)
		if (!i->loopback && first_on(i, f, false, ret_a))
			return;
}

void bgpconf_self(const struct iface_table *ifaces, struct addr local, struct addr remote,
	unsigned ifindex, struct bgp_self *ret_s)
{
	enum addr_family own = addr_family(local), other = own == ADDR_V4 ? ADDR_V6 : ADDR_V4;
	unsigned link = ifindex != 0 ? ifindex : bgpconf_link(ifaces, remote);
	const struct iface *i = ifindex != 0 ? iface_get(ifaces, ifindex) : holder_of(ifaces, local);

	memset(ret_s, 0, sizeof *ret_s);
	if (!addr_is_link_local(local))
		ret_s->next_hop[own] = local;
	else
		(void)first_on(i, own, false, &ret_s->next_hop[own]);
	if (!first_on(i, other, false, &ret_s->next_hop[other]) && ifindex == 0)
		first_anywhere(ifaces, other, &ret_s->next_hop[other]);
	if (link != 0) /* RFC 2545 3: to one on the same link */
		(void)first_on(iface_get(ifaces, link), ADDR_V6, true, &ret_s->link_local);
}

/* -- BFD -- */

const struct config_bfd_profile *bgpconf_bfd_profile(const struct config *c, const char *name)
{
	for (size_t i = 0; name != NULL && i < c->n_bfd_profiles; i++)
		if (strcmp(c->bfd_profiles[i].name, name) == 0)
			return &c->bfd_profiles[i];
	return NULL;
}

void bgpconf_bfd(const struct config_bfd_profile *p, bool multihop, struct bfd_conf *ret_c)
{
	*ret_c = (struct bfd_conf){
		.transmit_us = p->transmit_interval_ms * 1000,
		.receive_us = p->receive_interval_ms * 1000,
		.multiplier = p->detect_multiplier,
		.passive = p->passive_mode,
		.minimum_ttl = multihop ? p->minimum_ttl : TTL_MAX,
	};
}
