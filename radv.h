/* SPDX-License-Identifier: Apache-2.0
 *
 * radv.h - Router Advertisements (RFC 4861) for unnumbered BGP peers: who is the router on a link,
 * and that this node is there, too.  Pure: messages in, messages out by ops, now as an argument.
 *
 * Times are milliseconds of CLOCK_BOOTTIME.
 */
#ifndef LBD_RADV_H
#define LBD_RADV_H

#include "addr.h"
#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RADV_MAX_LINKS = 256,
	RADV_MESSAGE_MAX = 24, /* of what is sent */
};

struct radv; /* opaque */

struct radv_ops {
	/* Sends an ICMPv6 message to a group of the link, from the link-local address, with hop
	 * limit 255; the checksum is the shell's.  0 or -errno: tried again in a second.  Must not
	 * call back. */
	int (*send)(
		void *ctx, unsigned ifindex, struct addr to, const uint8_t *message, size_t len);
	/* Does this node have the address on the link?  Another program here may advertise, too. */
	bool (*is_own)(void *ctx, unsigned ifindex, struct addr a);
	/* radv_router() says something else than before.  May want and unwant links. */
	void (*changed)(void *ctx, unsigned ifindex);
};

/* ops, ctx and rng (jitter) are borrowed.  NULL when out of memory. */
struct radv *radv_new(const struct radv_ops *ops, void *ctx, struct rng *rng) MUST_CHECK;
void radv_free(struct radv *r); /* without a word: what was said had no lifetime */

/* Listen and advertise on the link, from the next radv_tick() on; mac is its own.  Idempotent; with
 * another mac, that is said soon.  0, -ENOMEM, -E2BIG. */
int radv_want(struct radv *r, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms) MUST_CHECK;
/* And the router there is forgotten, which changed() does not say.  Not wanted: nothing. */
void radv_unwant(struct radv *r, unsigned ifindex);
size_t radv_count(const struct radv *r); /* links */

/* What came by a raw ICMPv6 socket, its checksum checked. */
struct radv_message {
	const uint8_t *data;
	size_t len;
	unsigned ifindex; /* that it came by */
	struct addr from;
	unsigned hop_limit;
};
/* Never keeps it. */
void radv_on_message(struct radv *r, const struct radv_message *m, uint64_t now_ms);

/* The next time radv_tick() has work; TIME_NEVER. */
uint64_t radv_next_deadline(const struct radv *r);
/* Sends what is due, and forgets routers that fell silent: to be called when what came was read. */
void radv_tick(struct radv *r, uint64_t now_ms);

/* -- reading -- */

/* The router's link-local address; false: none is known.  Of several it is the one that was heard
 * first, until it expires. */
bool radv_router(const struct radv *r, unsigned ifindex, struct addr *ret_a);

struct radv_view {
	bool found;
	struct addr router;          /* if found */
	uint64_t heard_ms, until_ms; /* if found: its last message; when it expires */
	struct addr other;           /* if other_ms > 0: the last one that is not it */
	uint64_t other_ms;           /* when it was heard; 0 = never */
	uint64_t sent, received;     /* advertisements; received: valid ones, of others */
	uint64_t dropped;            /* messages that are not valid (6.1) */
};
/* False: the link is not wanted. */
bool radv_view(const struct radv *r, unsigned ifindex, struct radv_view *ret_v);

#endif
