/* SPDX-License-Identifier: Apache-2.0
 *
 * bgplisten.h - where BGP peers connect to that are waited for: TCP port 179 of both families, on
 * the caller's libuv loop.
 */
#ifndef LBD_BGPLISTEN_H
#define LBD_BGPLISTEN_H

#include "addr.h"
#include "base.h"
#include "bgpio.h"

#include <stdbool.h>
#include <uv.h>

struct bgplisten; /* opaque */

struct bgplisten_ops {
	/* fd, which is given away, is a connection from there; ifindex: of a link-local address.
	 * Any call but bgplisten_close() may come from it. */
	void (*accepted)(void *ctx, int fd, struct addr from, unsigned ifindex);
	/* Sockets are open again: passwords are to be set. */
	void (*opened)(void *ctx);
	/* The last handle is closed and bgplisten is freed. */
	void (*on_closed)(void *ctx);
};

/* A port that cannot be had (another BGP speaker on this host has it) is logged once and tried again
 * each second.  opened() comes from the loop.  ops and ctx are borrowed.  0 or -ENOMEM. */
int bgplisten_open(uv_loop_t *loop, unsigned port, const struct bgplisten_ops *ops, void *ctx,
	struct bgplisten **ret_l) MUST_CHECK;
/* NULL: nothing. */
void bgplisten_close(struct bgplisten *l);

/* As bgpio_set_password(), of connections from there; no password: none any more. */
int bgplisten_set_password(struct bgplisten *l, const struct bgpio_conf *conf) MUST_CHECK;

#endif
