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
	/* One ARP frame that passed the kernel's filter; frame is valid during the call. */
	void (*on_frame)(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len);
	/* Links or addresses changed; net_ifaces() is up to date.  At most once a turn of the loop.
	 */
	void (*on_ifaces)(void *ctx);
	/* The last handle is closed and net is freed. */
	void (*on_closed)(void *ctx);
};

/* Opens rtnetlink and reads the first full dump before it returns.  0, or -errno with nothing open.
 */
int net_open(uv_loop_t *loop, const struct net_ops *ops, void *ctx, struct counters *counters,
	struct net **ret_net) MUST_CHECK;
/* Closes everything; on_closed() comes from the loop. */
void net_close(struct net *n);

const struct iface_table *net_ifaces(const struct net *n);

/* Capture on exactly these interfaces, ARP whose sender or target address lies in one of the ranges
 * (kernel filter).  Opens and closes the difference; an interface that cannot be opened is logged
 * once and tried again each second and when it changes. 0 or -ENOMEM. */
int net_listen(struct net *n, const unsigned *ifindex, size_t n_ifindex,
	const struct addr_range *ranges, size_t n_ranges) MUST_CHECK;
/* Injects a frame: 0; -ENODEV when not listening there; -errno. Never blocks. */
int net_send(struct net *n, unsigned ifindex, const uint8_t *frame, size_t len) MUST_CHECK;
/* Throws away what waits unread in the capture rings (after a stall of the loop: stale questions
 * get no answer). Returns how many. */
size_t net_drop_queued(struct net *n);

#endif
