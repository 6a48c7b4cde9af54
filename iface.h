/* SPDX-License-Identifier: Apache-2.0
 *
 * iface.h - this node's interfaces and addresses, from rtnetlink messages.  Pure: bytes in, table
 * out.
 */
#ifndef LBD_IFACE_H
#define LBD_IFACE_H

#include "addr.h"
#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	IFACE_MAX = 4096,
	IFACE_MAX_ADDRS = 1024,
	IFACE_MAX_REACH = 64,
	IFACE_NAMELEN = 16,
	IFACE_KINDLEN = 16,
	IFACE_MAX_GONE = 4,
	IFACE_PROTO_LBD = 0x6c, /* IFA_PROTO of the addresses that lbd puts on links */
	IFACE_BOUND_S = 3,      /* and their lifetime */
};

/* kube-proxy's in IPVS mode: it holds every Service's address, on every node. */
#define IFACE_IPVS "kube-ipvs0"

/* Never one that lbd itself put there (bind.h), nor one of IFACE_IPVS: those are Services', not the
 * node's. */
struct iface_addr {
	struct addr addr;
	struct addr_prefix subnet; /* on-link */
	bool deprecated, tentative;
};

/* Are frames of a family heard there (net.c)? */
enum iface_capture {
	IFACE_NOT_HEARD, /* nobody listens */
	IFACE_OPENING,
	IFACE_HEARD,
	IFACE_DEAF, /* it was tried in vain, and is tried again */
};

struct iface {
	unsigned ifindex;
	char name[IFACE_NAMELEN];
	char kind[IFACE_KINDLEN]; /* "vlan", "bond", "veth", ...; "" for hardware */
	uint8_t mac[6];
	bool ethernet; /* ARPHRD_ETHER with a 6-byte address */
	bool up;       /* IFF_UP and carrier (IFF_LOWER_UP, operstate up or unknown) */
	bool loopback, noarp, broadcast;
	bool had_addr; /* has or had one that is not link-local */
	unsigned master; /* ifindex of the bridge, bond or team it is enslaved to; 0 = none. A VRF
			    is none: its links stay their own at layer 2. */
	unsigned mtu;
	enum iface_capture capture[ADDR_FAMILIES];
	const struct iface_addr *addrs; /* in order of arrival */
	size_t n_addrs;
};

struct iface_table; /* opaque */

struct iface_table *iface_new(void) MUST_CHECK;
void iface_free(struct iface_table *t);

/* Takes a buffer of rtnetlink messages (RTM_NEWLINK, DELLINK, NEWADDR, DELADDR; RTM_NEWROUTE as the
 * answer to a look-up, see iface_reach(); others are skipped).  Returns how many of them changed
 * something, or -EBADMSG at the first malformed message (those before it count), -ENOMEM, -E2BIG
 * (IFACE_MAX, IFACE_MAX_ADDRS): that message alone is left out, the ones after it are taken in;
 * iface_generation() tells whether anything changed. */
int iface_on_netlink(struct iface_table *t, const void *buf, size_t len) MUST_CHECK;
/* A fresh dump: begin, all messages of the dump (links, then addresses; events may come in
 * between), end: what was not named since begin is removed.  Begin again starts over.  End returns
 * whether it removed anything; without a begin it does nothing. */
void iface_dump_begin(struct iface_table *t);
bool iface_dump_end(struct iface_table *t);

/* Called from iface_on_netlink() for each word of an address that lbd put on a link: it is there, or
 * went.  marked: by its protocol number (Linux 5.18); else it is one that nobody else would have, a
 * single address that ends within IFACE_BOUND_S.  It must not change the table. */
typedef void (*iface_bound_fn)(
	void *ctx, unsigned ifindex, struct addr a, bool there, bool marked);
void iface_on_bound(struct iface_table *t, iface_bound_fn fn, void *ctx);

/* The addresses whose routes are asked for, in the place of those before; what is known of them
 * stays.  0, -ENOMEM or -E2BIG (IFACE_MAX_REACH): nothing changed. */
int iface_set_reach(struct iface_table *t, const struct addr *v, size_t n) MUST_CHECK;
/* The i-th of them, without doubles; false: there are no more. */
bool iface_reach_at(const struct iface_table *t, size_t i, struct addr *ret_a);
/* The kernel has no route to the i-th of them (there may be none by now). */
void iface_reach_lost(struct iface_table *t, size_t i);
/* ifindex of the link that packets for a leave by; 0: not asked for, not known yet, no route, or a
 * is this host. */
unsigned iface_reach(const struct iface_table *t, struct addr a);

/* Whether frames of a family are heard on an interface.  One that is not there: nothing. */
void iface_set_capture(struct iface_table *t, unsigned ifindex, enum addr_family family,
	enum iface_capture capture);

const struct iface *iface_get(const struct iface_table *t, unsigned ifindex);
const struct iface *iface_named(const struct iface_table *t, const char *name);
/* Ordered by ifindex; NULL starts, NULL ends. */
const struct iface *iface_next(const struct iface_table *t, const struct iface *i);
/* The MAC of an interface that is gone, had an address and could be used; the last to go comes first,
 * no more than IFACE_MAX_GONE of them; NULL: there are no more.  An interface that has it again may
 * be there. */
const uint8_t *iface_gone_mac(const struct iface_table *t, size_t i);
/* One more with each change. */
uint64_t iface_generation(const struct iface_table *t);
/* May a VIP of the family be announced on it: up, Ethernet, broadcast, ARP on, not loopback, not
 * enslaved? */
bool iface_is_usable(const struct iface *i);
/* The same, if it were up. */
bool iface_could_be_used(const struct iface *i);
/* Is a in one of its on-link subnets? */
bool iface_has_subnet_of(const struct iface *i, struct addr a);

#endif
