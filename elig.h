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
#include "iface.h"
#include "reason.h"
#include "vip.h"

enum {
	ELIG_MAX_PATHS = 256, /* a group that needs more is not served */
	ELIG_MAX_MACS = 32,   /* published by a node */
	ELIG_MAX_SUBNETS = 64,
};

/* One VIP on one interface of this node. */
struct elig_path {
	struct addr vip;
	unsigned ifindex;
};

struct elig {
	enum reason reason; /* REASON_OWNER = eligible */
	bool off_subnet; /* no interface has the subnet: any not excluded is used, with a warning */
	unsigned weight; /* sum of preferredNodeSelectors */
	/* Of this node only, sorted by VIP, then ifindex.  There also when the reason is one that
	 * may pass (node excluded, no endpoint): a hand-over still answers on them. */
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
/* A copy only as long as its paths need (free()): read paths[0 .. n_paths) alone.  NULL when out of
 * memory. */
struct elig *elig_dup(const struct elig *e) MUST_CHECK;
bool elig_equal(const struct elig *a, const struct elig *b);
/* The interfaces on which a VIP of any pool could be announced from this node: where to listen.
 * Returns how many are written. */
size_t elig_interfaces(const struct elig_input *in, unsigned *ret_ifindex, size_t max);
/* The text for lbd.io/subnets and lbd.io/macs of this node's Lease: "10.0.0.0/24,fd00::/64" and
 * "eth0=02:..,eth1=.." of its usable interfaces.  0 or -ENOMEM. */
int elig_subnets_text(const struct iface_table *ifaces, struct buf *out) MUST_CHECK;
int elig_macs_text(const struct iface_table *ifaces, struct buf *out) MUST_CHECK;

#endif
