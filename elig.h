/* SPDX-License-Identifier: Apache-2.0
 *
 * elig.h - may a node announce a VIP group on layer 2, on which interfaces, and if not, why not.
 * Pure.
 *
 * Each node judges itself (OWNERSHIP R11); what it thinks of another only orders the ranks and
 * never justifies a take.
 */
#ifndef LBD_ELIG_H
#define LBD_ELIG_H

#include "buf.h"
#include "cluster.h"
#include "config.h"
#include "hash.h"
#include "iface.h"
#include "reason.h"
#include "vip.h"

enum {
	ELIG_MAX_PATHS = 256, /* a group that needs more is not served */
	ELIG_MAX_MACS = 32,   /* published by a node */
	ELIG_MAX_SUBNETS = 64,
};

/* One VIP of the group on one interface of this node. */
struct elig_path {
	unsigned vip : 31; /* the how manieth of the group's */
	unsigned bind : 1; /* an advertisement wants the address on the interface */
	unsigned ifindex;
};

struct elig {
	enum reason reason; /* REASON_OWNER = eligible */
	bool off_subnet; /* no interface has the subnet: any not excluded is used, with a warning */
	unsigned weight; /* sum of preferredNodeSelectors */
	/* Of this node only, sorted by VIP, then ifindex.  There also when the reason is one that
	 * may pass (node excluded, no endpoint, not heard yet): a hand-over still answers on
	 * them. */
	size_t n_paths;
	struct elig_path paths[ELIG_MAX_PATHS];
};

struct elig_input {
	const struct config *conf;
	const struct cluster *cluster;
	const struct vip_table *vips;
	const struct iface_table *ifaces; /* this node's */
	const char *node;                 /* this node's name */
};

/* This node's own verdict. */
void elig_judge_self(const struct elig_input *in, const struct vip_group *g, struct elig *ret_e);
/* This node's estimate of another: Node object, labels, endpoints, published subnets (text of the
 * Lease annotation lbd.io/subnets, NULL = unknown). No paths. */
void elig_judge_other(const struct elig_input *in, const struct vip_group *g, const char *node,
	const char *subnets, struct elig *ret_e);
/* The layer 2 advertisements that apply to v on this node, in the file's order; NULL starts, NULL
 * ends. */
const struct config_l2_advertisement *elig_next_advertisement(
	const struct elig_input *in, const struct vip *v, const struct config_l2_advertisement *ad);
bool elig_equal(const struct elig *a, const struct elig *b);

/* Verdicts that are kept, each once: ten thousand groups have a handful of different ones. */
struct elig_set; /* opaque */
/* hkey is copied.  NULL when out of memory. */
struct elig_set *elig_set_new(const struct hash_key *hkey) MUST_CHECK;
void elig_set_free(struct elig_set *s);
/* The kept one that is equal to e, only as long as its paths need: read paths[0 .. n_paths) alone.
 * It stays until elig_set_drop() was called as often as this.  NULL when out of memory. */
const struct elig *elig_set_keep(struct elig_set *s, const struct elig *e) MUST_CHECK;
void elig_set_drop(struct elig_set *s, const struct elig *e); /* NULL: nothing */
size_t elig_set_count(const struct elig_set *s);
/* The interfaces on which a VIP of any pool, or such a one of the family, could be announced from
 * this node: where to listen.  Returns how many are written. */
size_t elig_interfaces(const struct elig_input *in, unsigned *ret_ifindex, size_t max);
size_t elig_interfaces_of(
	const struct elig_input *in, enum addr_family family, unsigned *ret_ifindex, size_t max);
/* A subnet that two nodes can meet in: neither link-local nor a single address. */
bool elig_is_meeting_place(const struct addr_prefix *p);
/* The text for lbd.io/addresses, lbd.io/subnets and lbd.io/macs of this node's Lease:
 * "10.0.0.5/24,fd00::5/64" (its first address in each subnet), "10.0.0.0/24,fd00::/64" and
 * "eth0=02:..,eth1=.." of its usable interfaces.  0 or -ENOMEM. */
int elig_addresses_text(const struct iface_table *ifaces, struct buf *out) MUST_CHECK;
int elig_subnets_text(const struct iface_table *ifaces, struct buf *out) MUST_CHECK;
int elig_macs_text(const struct iface_table *ifaces, struct buf *out) MUST_CHECK;

#endif
