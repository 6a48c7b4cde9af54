/* SPDX-License-Identifier: Apache-2.0
 *
 * net.h - the shell for packets: rtnetlink, capture rings, injection.  On the caller's libuv loop.
 */
#ifndef LBD_NET_H
#define LBD_NET_H

#include "addr.h"
#include "counter.h"
#include "iface.h"

#include <uv.h>

struct net; /* opaque */

struct net_ops {
	/* One ARP or NDP frame that passed the kernel's filter; frame is valid during the call. */
	void (*on_frame)(void *ctx, enum addr_family family, unsigned ifindex,
		const uint8_t *frame, size_t len);
	/* Links or addresses changed, or where frames are heard; net_ifaces() is up to date.  At
	 * most once a turn of the loop. */
	void (*on_ifaces)(void *ctx);
	/* An address that lbd put on a link is there, or went: iface_bound_fn.  Also from
	 * net_open().  NULL: nobody asks. */
	iface_bound_fn on_bound;
	/* The last handle is closed and net is freed. */
	void (*on_closed)(void *ctx);
};

/* Opens rtnetlink and reads the first full dump before it returns (5 s at most).  ops, ctx,
 * counters (may be NULL) are borrowed.  0, or -errno with nothing open. */
int net_open(uv_loop_t *loop, const struct net_ops *ops, void *ctx, struct counters *counters,
	struct net **ret_net) MUST_CHECK;
/* Closes everything, from a callback too; on_closed() comes from the loop, and no other call after
 * this.  NULL: nothing. */
void net_close(struct net *n);

/* Nothing of this host is changed for the sake of hearing (a dry run). */
void net_set_passive(struct net *n);

const struct iface_table *net_ifaces(const struct net *n);

/* The addresses whose routes are of interest (iface_reach()), in the place of those before.  The
 * kernel is asked at once, when links or addresses change, and every 5 s.  0, -ENOMEM, -E2BIG:
 * nothing changed. */
int net_reach(struct net *n, const struct addr *v, size_t n_v) MUST_CHECK;

/* Capture on exactly these interfaces: of IPv4, ARP whose sender or target address lies in one of
 * the ranges of that family; of IPv6, solicitations and advertisements whose target does (kernel
 * filter; above 32 ranges it also passes the smallest gaps between them; without a range nothing is
 * opened).  Opens and closes the difference, off the loop: struct iface tells what is heard.  An
 * interface that is up and cannot be opened is logged once and tried again each second and when it
 * changes.  0 or -ENOMEM (then what was captured before still is). */
int net_listen(struct net *n, enum addr_family family, const unsigned *ifindex, size_t n_ifindex,
	const struct addr_range *ranges, size_t n_ranges) MUST_CHECK;
/* Injects a frame, ARP or IPv6: 0; -ENODEV when not listening there for the
 * family; -errno, of which -EAGAIN (also while it is being opened) and -ENOBUFS pass by themselves.
 * Never blocks. */
int net_send(struct net *n, unsigned ifindex, const uint8_t *frame, size_t len) MUST_CHECK;
/* Throws away what waits unread in the capture rings (after a stall of the loop: stale questions
 * get no answer).  Called from on_frame(), the rest of what that ring holds goes uncounted, after
 * on_frame() has returned.  Returns how many. */
size_t net_drop_queued(struct net *n);
/* Brings COUNTER_NET_CAPTURE_DROPS up to date before it is read: the kernel keeps it. */
void net_count_drops(struct net *n);

#endif
