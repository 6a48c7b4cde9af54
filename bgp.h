/* SPDX-License-Identifier: Apache-2.0
 *
 * bgp.h - one BGP-4 peer: the state machine (RFC 4271 8) over the connections that either side
 * begins.  Pure: bytes in, messages out when they are asked for, now as an argument.
 */
#ifndef LBD_BGP_H
#define LBD_BGP_H

#include "bgp_msg.h"
#include "bgp_rib.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bgp_state {
	BGP_IDLE,
	BGP_CONNECT,
	BGP_ACTIVE,
	BGP_OPEN_SENT,
	BGP_OPEN_CONFIRM,
	BGP_ESTABLISHED,
};

/* Who began a connection: this side or the other. */
enum bgp_side { BGP_OUT, BGP_IN, BGP_SIDES };

enum bgp_asn { BGP_ASN_GIVEN, BGP_ASN_INTERNAL, BGP_ASN_EXTERNAL };

struct bgp_conf {
	uint32_t local_asn; /* as this peer sees it */
	enum bgp_asn asn;   /* what the peer's is: peer_asn, ours, any other */
	uint32_t peer_asn;
	uint32_t router_id;    /* host order */
	uint16_t hold_s;       /* 0, or 3 and more */
	uint64_t keepalive_ms; /* 0: a third of what hold time is agreed on */
	uint64_t connect_ms;   /* longest time between two attempts to connect */
	bool passive;          /* never connects */
	bool keyed;            /* no answer may mean that the peer has another password */
	bool families[ADDR_FAMILIES];
	bool extended_next_hop;
	bool graceful; /* RFC 4724, with the N bit of RFC 8538 */
	uint16_t restart_s;
};

struct bgp_ops {
	/* To connect to the peer: the answer is bgp_on_connected(), or bgp_on_closed(BGP_OUT). */
	void (*connect)(void *ctx);
	/* The connection is over: a message that is partly sent, and then the len bytes at last, go
	 * out if they can, and it is closed.  bgp_on_closed() does not follow. */
	void (*close)(void *ctx, enum bgp_side side, const uint8_t *last, size_t len);
	/* Its state is another; was: the one before. */
	void (*changed)(void *ctx, enum bgp_state was);
};

struct bgp; /* opaque: one peer */

/* Idle.  ops, ctx and rng are borrowed.  NULL: out of memory. */
struct bgp *bgp_new(const struct bgp_conf *conf, const struct bgp_ops *ops, void *ctx,
	const struct hash_key *hkey, struct rng *rng) MUST_CHECK;
/* Without a word to the peer: bgp_stop() before. */
void bgp_free(struct bgp *b);

/* From Idle; idempotent. */
void bgp_start(struct bgp *b, uint64_t now_ms);
/* To Idle: with a Cease of this subcode (RFC 4486), and for an operator's a reason (RFC 9003; NULL: none);
 * subcode 0: without a word, as a restart begins that is to be graceful (RFC 4724 4). */
void bgp_stop(struct bgp *b, unsigned subcode, const char *reason, uint64_t now_ms);
/* Ends what there is, with a Cease of this subcode, and begins anew.  why: for bgp_view(). */
void bgp_reset(struct bgp *b, unsigned subcode, const char *why, uint64_t now_ms);
/* The next connection is made after this; the session goes on with what it began with. */
void bgp_set_conf(struct bgp *b, const struct bgp_conf *conf, uint64_t now_ms);
/* Is the difference one that needs another session? */
bool bgp_needs_reset(const struct bgp_conf *a, const struct bgp_conf *b);
/* This process came in place of one that went without a word, up to restart_s ago (R bit). */
void bgp_set_restarting(struct bgp *b, bool restarting);

/* What it is told. */
struct bgp_rib *bgp_rib(struct bgp *b);

/* -- connections -- */
void bgp_on_connected(struct bgp *b, uint64_t now_ms);
/* The peer connected.  False: it is not wanted, and is to be closed. */
bool bgp_on_accepted(struct bgp *b, uint64_t now_ms);
/* The peer connected as it may not; why is its last error. */
void bgp_on_refused(struct bgp *b, const char *why);
/* It could not be made, or is gone.  why: static text. */
void bgp_on_closed(struct bgp *b, enum bgp_side side, const char *why, uint64_t now_ms);
/* Bytes as they came; the connection may be closed by them. */
void bgp_on_bytes(
	struct bgp *b, enum bgp_side side, const uint8_t *data, size_t len, uint64_t now_ms);
/* The next message for a connection; 0: none.  room: at least BGP_MAX.  To be asked after any other
 * call, and after the Adj-RIB-Out was changed, until there is none. */
size_t bgp_pull(struct bgp *b, enum bgp_side side, uint8_t *to, size_t room, uint64_t now_ms);
/* All that was pulled is the kernel's now (RFC 9687). */
void bgp_on_sent(struct bgp *b, enum bgp_side side, uint64_t now_ms);

uint64_t bgp_next_deadline(const struct bgp *b);
void bgp_tick(struct bgp *b, uint64_t now_ms);

/* -- reading -- */
struct bgp_view {
	enum bgp_state state;
	uint64_t since_ms;
	uint32_t peer_asn, peer_id; /* of the last OPEN; 0 = none */
	uint16_t hold_s;            /* as agreed */
	struct bgp_terms terms;     /* while Established */
	const char *error;          /* why the last session or attempt ended; "" = none did */
	uint64_t received, sent;    /* messages, of all sessions */
	uint64_t received_of[BGP_TYPES], sent_of[BGP_TYPES]; /* the same by enum bgp_type */
	uint32_t announced[ADDR_FAMILIES]; /* prefixes that it sent in this session, and we dropped */
	uint64_t discarded, withdrawn; /* UPDATEs with something wrong (RFC 7606) */
	uint32_t sessions;             /* that were Established */
};
void bgp_view(const struct bgp *b, struct bgp_view *ret_v);
const char *bgp_state_name(enum bgp_state s);

#endif
