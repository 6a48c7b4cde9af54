/* SPDX-License-Identifier: Apache-2.0
 *
 * bfdio.h - the shell of bfd.c: its UDP sockets, its timer, the file of its keys.  On the caller's
 * libuv loop.
 *
 *   struct bfdio_conf conf = {.port = elections->bfd_port};
 *   rc = bfdio_open(&loop, &conf, &ops, ctx, &hkey, &rng, &counters, &io);
 *   bfdio_set_key_file(io, elections->bfd_key_file);
 *   rc = bfd_add(bfdio_engine(io), ...);           what bfd.h has, at any time
 *   bfdio_flush(io);                               at the end of a pass that called the engine
 *   bfdio_close(io);                               then ops.on_closed(ctx) from the loop
 */
#ifndef LBD_BFDIO_H
#define LBD_BFDIO_H

#include "base.h"
#include "bfd.h"
#include "counter.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { BFDIO_PORT = 3784, BFDIO_PORT_MULTIHOP = 4784 }; /* RFC 5881 4, 5883 5 */

struct bfdio; /* opaque */

struct bfdio_conf {
	unsigned port; /* of sessions on one link: listened at, and sent to */
	bool multihop; /* listen at BFDIO_PORT_MULTIHOP as well */
};

struct bfdio_ops {
	/* The loop came so much later than there was something to do: frames that wait may be stale
	 * (OWNERSHIP R24).  NULL: nobody asks.  Must not call back. */
	void (*on_stall)(void *ctx, uint64_t us);
	/* The last handle is closed and bfdio is freed. */
	void (*on_closed)(void *ctx);
};

/* Opens the sockets; one that cannot be had (another BFD speaker on this host has the port) is
 * logged once, counted, and tried again each second, and the rest works without it.  ops, ctx, rng
 * and counters (may be NULL) are borrowed.  0, or -errno with nothing open. */
int bfdio_open(uv_loop_t *loop, const struct bfdio_conf *conf, const struct bfdio_ops *ops,
	void *ctx, const struct hash_key *hkey, struct rng *rng, struct counters *counters,
	struct bfdio **ret_io) MUST_CHECK;
/* Closes everything, the engine's sessions without a word on the wire; NULL: nothing.  on_closed()
 * comes from the loop, and no other call after this.  Not from bfd_user.changed(). */
void bfdio_close(struct bfdio *io);
/* Another port: sessions go on there. */
void bfdio_set_conf(struct bfdio *io, const struct bfdio_conf *conf);

/* Owned by io, until bfdio_close(). */
struct bfd *bfdio_engine(const struct bfdio *io);
/* How late the loop is for what the engine's timer is set to. */
uint64_t bfdio_late_us(const struct bfdio *io);
/* Reads the sockets, sends what is due and arms the timer.  To be called when the engine was told
 * something (a session, AdminDown); otherwise that waits for the loop's next turn.
 * bfd_user.changed() may come from it. */
void bfdio_flush(struct bfdio *io);

/* Reads the keys (bfdkey.h), now if the path is another than before, and whenever the file changes;
 * NULL: none, which is said in the log with the first packet.  A file that cannot be read or
 * understood is said in the log, and the keys are those of before. */
void bfdio_set_key_file(struct bfdio *io, const char *path);

/* Microseconds of CLOCK_BOOTTIME, the engine's clock. */
uint64_t bfdio_now_us(void);

#endif
