/* SPDX-License-Identifier: Apache-2.0
 *
 * bgpio.h - the shell of bgp.c: a peer's TCP connections and its timer, on the caller's libuv loop.
 *
 *   rc = bgpio_open(&loop, &conf, &bgp_conf, &ops, ctx, &hkey, &rng, &peer);
 *   bgp_rib_put(bgp_rib(bgpio_engine(peer)), ...); bgpio_flush(peer);
 *   bgpio_close(peer);                             then ops.on_closed(ctx) from the loop
 */
#ifndef LBD_BGPIO_H
#define LBD_BGPIO_H

#include "addr.h"
#include "base.h"
#include "bgp.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { BGPIO_PORT = 179 };

struct bgpio; /* opaque: one peer */

enum bgpio_auth { BGPIO_MD5, BGPIO_AO_SHA1, BGPIO_AO_AES }; /* AO: RFC 5925, 5926 */

struct bgpio_conf {
	struct addr remote, local; /* local all zero: the kernel chooses */
	unsigned port;
	unsigned ifindex;   /* of a link-local remote; else 0 */
	const char *device; /* SO_BINDTODEVICE: a VRF; NULL = none */
	unsigned ttl;       /* of what is sent; 0 = the kernel's */
	unsigned min_ttl;   /* of what is received (RFC 5082); 0 = any */
	const char *password; /* TCP MD5 (RFC 2385), or the key of TCP-AO; NULL = none */
	enum bgpio_auth auth; /* what a password is for */
	unsigned ao_id;       /* KeyID of both ends */
};

struct bgpio_ops {
	/* Not from bgpio_close(). */
	void (*changed)(void *ctx, enum bgp_state was);
	/* The last handle is closed and bgpio is freed. */
	void (*on_closed)(void *ctx);
};

/* Idle: bgpio_start().  The confs' texts are copied, ops, ctx and rng borrowed.  0, -ENOMEM, -EINVAL (a
 * password that is too long). */
int bgpio_open(uv_loop_t *loop, const struct bgpio_conf *conf, const struct bgp_conf *bgp_conf,
	const struct bgpio_ops *ops, void *ctx, const struct hash_key *hkey, struct rng *rng,
	struct bgpio **ret_p) MUST_CHECK;
void bgpio_start(struct bgpio *p);
/* As bgp_stop(); then everything is closed.  on_closed() comes from the loop. */
void bgpio_close(struct bgpio *p, unsigned subcode, const char *reason);

/* As bgp_reset(). */
void bgpio_reset(struct bgpio *p, unsigned subcode, const char *why);

struct bgp *bgpio_engine(const struct bgpio *p);
/* Is it what bgpio_open() was given? */
bool bgpio_has_conf(const struct bgpio *p, const struct bgpio_conf *conf);
/* This side's address of the connection that stands.  False: there is none. */
bool bgpio_local(const struct bgpio *p, struct addr *ret_a);
/* Its Adj-RIB-Out was changed. */
void bgpio_flush(struct bgpio *p);

/* fd, which is given away, is a connection from the peer.  False: it was not wanted, and is closed. */
bool bgpio_accept(struct bgpio *p, int fd);
/* Of a listening socket: what a peer's password is must be known before it connects.  0 or -errno:
 * -ENOPROTOOPT: this kernel has no TCP-AO. */
int bgpio_set_password(int fd, const struct bgpio_conf *conf) MUST_CHECK;

#endif
