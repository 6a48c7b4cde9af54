/* SPDX-License-Identifier: Apache-2.0
 *
 * mcast.h - the solicited-node groups of this node's IPv6 addresses: who is in none hears no
 * solicitation, for the interface's filter and for switches that follow MLD.  No loop, no timer.
 */
#ifndef LBD_MCAST_H
#define LBD_MCAST_H

#include "addr.h"
#include "hash.h"
#include "iface.h"

#include <stddef.h>

struct mcast; /* opaque; see mcast.c */

/* hkey is copied.  Opens nothing yet.  NULL when out of memory. */
struct mcast *mcast_new(const struct hash_key *hkey) MUST_CHECK;
/* Leaves all groups. */
void mcast_free(struct mcast *m);

/* Join the group of vip on ifindex, once more: it is left after as many mcast_leave().  What the
 * kernel refuses is tried again by mcast_sync().  0 or -ENOMEM; after that no group is ever left
 * again, since their number is not known any more. */
int mcast_join(
	struct mcast *m, const struct iface_table *t, unsigned ifindex, struct addr vip) MUST_CHECK;
void mcast_leave(struct mcast *m, unsigned ifindex, struct addr vip);
/* For a probe: join it now, until mcast_drop_held() finds that nobody joined it since. */
int mcast_hold(
	struct mcast *m, const struct iface_table *t, unsigned ifindex, struct addr vip) MUST_CHECK;
void mcast_drop_held(struct mcast *m);

/* Interfaces changed: what is not in its group is tried again, and an interface that is up again,
 * or has IPv6 again, joins anew. */
void mcast_sync(struct mcast *m, const struct iface_table *t);

size_t mcast_count(const struct mcast *m);

#endif
