/* SPDX-License-Identifier: Apache-2.0
 *
 * vip.h - the addresses in service, and the groups that Services join them to.  Pure.
 *
 * A VIP is an address that the status of a served Service holds and that is lawful: in a pool, or
 * kept for this Service (retired.h); in servicelb mode there is none.  CVE-2020-8554: anything else found in a status is not
 * announced.  VIPs of one family that one
 * Service holds, and the VIPs of Services that share an address, move together: they are a group,
 * the unit of ownership (DESIGN section 4).
 */
#ifndef LBD_VIP_H
#define LBD_VIP_H

#include "addr.h"
#include "cluster.h"
#include "config.h"
#include "hash.h"
#include "retired.h"

#include <stdbool.h>
#include <stdint.h>

enum { VIP_MAX = 65536 }; /* addresses in service */

struct vip_group;

struct vip_holder {
	const char *key; /* Service, "namespace/name"; owned by the table */
	bool doubled; /* holds the address unlawfully: a Service known before it may not share it */
};

/* There are ten thousand of these and of the groups: 40 and 56 bytes.  What begins with an
 * underscore is vip.c's. */
struct vip {
	uint32_t _hash;
	uint32_t n_holders : 28; /* never 0: vip_holder() */
	uint32_t _mark : 2, _leaving : 1, _listed : 1;
	struct addr addr;
	struct vip_group *group; /* never NULL */
	union {
		const char *one;         /* the only holder's key, lawful; else */
		struct vip_holder *list; /* owned */
	} _holders;
};

struct vip_group {
	uint32_t _hash;
	enum addr_family family : 2;
	uint32_t _touched : 1, _taken : 1, _dirty : 1, _shared : 27;
	uint64_t id;     /* never re-used while the process lives */
	struct addr key; /* rank key: first ingress address of the eldest Service (MetalLB's order,
			    F34) */
	uint32_t n_vips, n_services;
	union {
		struct vip *vip;
		const char *service;
	} _v[]; /* n_vips, n_services of them */
};

/* The i-th holder, the first known first. */
static inline struct vip_holder vip_holder(const struct vip *v, size_t i)
{
	return v->_listed ? v->_holders.list[i] : (struct vip_holder){.key = v->_holders.one};
}

/* The i-th VIP of a group, by address. */
static inline const struct vip *vip_member(const struct vip_group *g, size_t i)
{
	return g->_v[i].vip;
}

/* The i-th of the Services that lawfully hold one of its VIPs, the eldest first. */
static inline const char *vip_service(const struct vip_group *g, size_t i)
{
	return g->_v[g->n_vips + i].service;
}

struct vip_table; /* opaque */

struct vip_table *vip_new(const struct hash_key *hkey) MUST_CHECK;
void vip_free(struct vip_table *t);
/* r is borrowed; without it nothing is kept.  Its changes are seen at the next vip_rebuild(). */
void vip_set_retired(struct vip_table *t, const struct retired *r);
const struct retired *vip_retired(const struct vip_table *t); /* NULL: none was set */

/* Rebuilds all from the picture: after the first lists, and after each new configuration (conf is
 * borrowed until the next call; holders keep their order of being known, those not known before
 * come behind them, the eldest first; ids go on as with vip_update()).  Every group is dirty then.
 * 0 or -ENOMEM (table emptied). */
int vip_rebuild(struct vip_table *t, const struct config *conf, const struct cluster *c) MUST_CHECK;
/* Takes one dirty Service in (gone from the picture: removed).  Touched groups are dissolved and
 * built anew.  A new group goes on under the id of the old one that it has the most VIPs in common
 * with (ties: the lower id), unless another has more; so a group whose VIPs and Services are the
 * same keeps its id, and ownership outlives a Service that joins or leaves.  0; -ENOMEM (the old
 * groups stand; call again); -E2BIG (over VIP_MAX: the address is left out). */
int vip_update(struct vip_table *t, const struct config *conf, const struct cluster *c,
	const char *service_key) MUST_CHECK;

const struct vip *vip_find(const struct vip_table *t, struct addr a);
const struct vip_group *vip_group(const struct vip_table *t, uint64_t id);
/* Order of creation; NULL starts, NULL ends. */
const struct vip_group *vip_next_group(const struct vip_table *t, const struct vip_group *g);
size_t vip_count(const struct vip_table *t);
size_t vip_group_count(const struct vip_table *t);
/* The pool that the VIP is from; NULL where it is kept and its pool is gone. */
const struct config_pool *vip_pool(const struct vip_table *t, const struct config *conf,
	const struct cluster *c, const struct vip *v);
/* Why address a of Service s is not a VIP, or REASON_OWNER when it is one: IP_NOT_ALLOWED,
 * NODE_ADDRESS, DOUBLE_ALLOCATION, or what service_served() says. */
enum reason vip_why(const struct vip_table *t, const struct config *conf, const struct cluster *c,
	const struct cluster_service *s, struct addr a);

/* Groups made, changed (also: endpoints or policy of one of its Services) or gone since
 * vip_clean(). */
size_t vip_dirty_count(const struct vip_table *t);
uint64_t vip_dirty_at(const struct vip_table *t, size_t i); /* id; vip_group() is NULL when gone */
void vip_clean(struct vip_table *t);

#endif
