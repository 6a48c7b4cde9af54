/* SPDX-License-Identifier: Apache-2.0
 *
 * witness.h - does a link of this node work?  Neighbours that the kernel knows there are asked
 * (OWNERSHIP R8).  On the caller's libuv loop.
 */
#ifndef LBD_WITNESS_H
#define LBD_WITNESS_H

#include "addr.h"
#include "base.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct witness; /* opaque */

struct witness_ops {
	/* CLOCK_BOOTTIME, ms */
	uint64_t (*now_ms)(void);
	/* Is it a MAC of that node, or of any other node if NULL? */
	bool (*is_of)(void *ctx, const uint8_t mac[6], const char *node);
	/* A neighbour answered. */
	void (*seen)(void *ctx);
	/* The last handle is closed and the witness is freed. */
	void (*closed)(void *ctx);
};

/* ops and ctx are borrowed.  Opens nothing before it is asked.  NULL when out of memory. */
struct witness *witness_new(uv_loop_t *loop, const struct witness_ops *ops, void *ctx) MUST_CHECK;
void witness_close(struct witness *w); /* closed() comes from the loop; NULL: nothing */

enum { WITNESS_MAX = 4 }; /* stations that are asked on a link */

/* Has the kernel ask up to four stations on the link: the named ones, whether it knows them or not,
 * then its neighbours, by unicast, rather such as are no nodes.  (The suspect's own kernel is as good
 * as any: if it answers, the link works, and lbd does not run there.)  Returns whether there is any
 * but the suspect, as far as is known by now. */
bool witness_ask(struct witness *w, unsigned ifindex, const char *suspect,
	const struct addr *named, size_t n_named);
/* Did one answer there after since_ms? */
bool witness_seen(const struct witness *w, unsigned ifindex, uint64_t since_ms);

#endif
