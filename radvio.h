/* SPDX-License-Identifier: Apache-2.0
 *
 * radvio.h - the shell of radv.c: its ICMPv6 socket and its timer, on the caller's libuv loop.
 *
 *   rc = radvio_open(&loop, &ops, ctx, &rng, &io);
 *   rc = radvio_want(io, ifindex, mac);            then ops.changed(ctx, ifindex) from the loop
 *   if (radvio_router(io, ifindex, &peer)) ...
 *   radvio_close(io);                              then ops.on_closed(ctx) from the loop
 */
#ifndef LBD_RADVIO_H
#define LBD_RADVIO_H

#include "addr.h"
#include "base.h"
#include "radv.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct radvio; /* opaque */

struct radvio_ops {
	/* radvio_router() says something else than before.  Any call but radvio_close() may come
	 * from it. */
	void (*changed)(void *ctx, unsigned ifindex);
	/* The last handle is closed and radvio is freed. */
	void (*on_closed)(void *ctx);
};

/* Opens no socket before a link is wanted.  ops, ctx and rng are borrowed.  0, -ENOMEM. */
int radvio_open(uv_loop_t *loop, const struct radvio_ops *ops, void *ctx, struct rng *rng,
	struct radvio **ret_io) MUST_CHECK;
/* Closes everything; NULL: nothing.  on_closed() comes from the loop, and no other call after
 * this. */
void radvio_close(struct radvio *io);

/* Listen and advertise on the link; mac is its own.  Idempotent; another mac replaces the one
 * before.  A socket that cannot be had is logged once and tried again each second, as is sending
 * while the link is down or has no link-local address.  0, -ENOMEM, -E2BIG. */
int radvio_want(struct radvio *io, unsigned ifindex, const uint8_t mac[6]) MUST_CHECK;
/* The router there is forgotten, without a word to changed(): so that another is looked for, want
 * the link again.  Not wanted: nothing. */
void radvio_unwant(struct radvio *io, unsigned ifindex);
/* The router's link-local address; false: none is known. */
bool radvio_router(const struct radvio *io, unsigned ifindex, struct addr *ret_a);

/* To be read (radv_view()); its clock is radvio_now_ms(). */
const struct radv *radvio_engine(const struct radvio *io);
uint64_t radvio_now_ms(void);

#endif
