/* SPDX-License-Identifier: Apache-2.0
 *
 * announcer.h - what ARP and NDP have in common: which addresses are announced on which interface,
 * when each is announced next, which MACs are ours, and the defence against foreign claims.  Pure:
 * the protocol on top (arp.c, ndp.c) builds and reads the frames.
 */
#ifndef LBD_ANNOUNCER_H
#define LBD_ANNOUNCER_H

#include "addr.h"
#include "base.h"
#include "counter.h"
#include "deadline.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ANN_MAX_VIPS = 131072, /* pairs of interface and address */
	ANN_MAX_IFACES = 4096,
	ANN_ADDR_MAX = 16, /* bytes of an address */
};

/* What one frame from another host said about a VIP.  Which addresses are VIPs is the caller's
 * matter (the kernel's filter passes those of the pools); SENDER alone is told only of addresses
 * announced on that interface, since every ordinary request has a sender. */
enum ann_heard {
	ANN_HEARD_CLAIM,  /* ARP: an announcement, sender IP = target IP = VIP; NDP: an unsolicited
			     advertisement (OWNERSHIP R17) */
	ANN_HEARD_ANSWER, /* an answer to a probe or audit of this node's */
	ANN_HEARD_PROBE,  /* somebody asks whether the VIP is free: RFC 5227 probe, RFC 4862 DAD */
	ANN_HEARD_SENDER, /* any other frame with the VIP as sender: counted, not a claim */
};

struct ann_ops {
	/* Sends one whole Ethernet frame.  0 or -errno: the frame is lost and a burst goes on, but
	 * after -EAGAIN or -ENOBUFS an announcement is tried again every 2 ms, for 200 ms.  Must
	 * not call back. */
	int (*send)(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len);
	/* Another host said something about a VIP (announced here or not). May add, delete and
	 * announce addresses. */
	void (*heard)(void *ctx, enum ann_heard what, unsigned ifindex, struct addr vip,
		const uint8_t mac[6]);
	/* Is mac another lbd's?  Its claims are elect's to judge (OWNERSHIP R18 to R20) and are not
	 * defended against here: in a hand-over the defence would take the VIP back.  NULL: no. */
	bool (*is_member)(void *ctx, const uint8_t mac[6]);
	/* The default gateway of the interface.  false, or NULL: none. */
	bool (*gateway)(void *ctx, unsigned ifindex, enum addr_family family, struct addr *ret_ip);
	/* Does this node's kernel answer for an announced address itself (bind.h)?  Then it is not
	 * answered for here as well.  NULL: no. */
	bool (*is_bound)(void *ctx, unsigned ifindex, struct addr vip);
};

struct ann; /* opaque; see announcer.c.  Made by arp_new() or ndp_new() */

struct ann_info {
	unsigned ifindex;
	struct addr ip;
	uint64_t since_ms;                         /* of being added */
	uint64_t requests, replies, announcements; /* frames received, sent, sent */
	bool foreign; /* a claim by a host that is not a member was heard since; the last one: */
	uint8_t foreign_mac[6];
	uint64_t foreign_ms;
};

void ann_free(struct ann *a);
/* Slow repetition of every announcement, 0 = never (the default).  Addresses are spread over 128
 * moments of the period, always the same ones, so that many cost few wake-ups. */
void ann_set_reannounce(struct ann *a, uint64_t reannounce_ms, uint64_t now_ms);

/* An interface appeared, or its MAC changed (then every VIP on it is announced again with the new
 * MAC, at once, and the old one counts as ours for 60 s more).  Idempotent.  To be called for every
 * Ethernet interface of the node, not only where VIPs are: their MACs are ours too.  0, -ENOMEM,
 * -E2BIG. */
int ann_set_iface(
	struct ann *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms) MUST_CHECK;
/* This node's own address there, the source of ann_probe_unicast() over NDP: a link-local one.
 * NULL: none.  No such interface: nothing. */
void ann_set_source(struct ann *a, unsigned ifindex, const struct addr *source);
/* The interface is gone: its VIPs are dropped without a word on the wire. */
void ann_del_iface(struct ann *a, unsigned ifindex, uint64_t now_ms);
/* ann_del_iface() of each interface that keep() does not want. */
void ann_retain_ifaces(
	struct ann *a, bool (*keep)(void *ctx, unsigned ifindex), void *ctx, uint64_t now_ms);

/* Start answering for ip on ifindex and announce it (burst 0, 0.1, 0.4, 0.8, 2, 5 s, of the first
 * what is more than one frame 20 ms later; at 0.1 s, an ordinary request in its name to each station
 * that asked for it there in the last 5 minutes, and to the gateway, for those that ignore
 * announcements).  Idempotent: no new burst.  Sends nothing itself: ann_tick() is due at once.
 * 0, -ENOMEM, -ENODEV (no such interface), -EINVAL (not of the family), -E2BIG. */
int ann_add(struct ann *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;
/* Stop answering, at once. Idempotent. */
void ann_del(struct ann *a, unsigned ifindex, struct addr ip);
/* Announce ip again, once (a claim against a rival, a link that came back): ann_tick() is due at
 * once; a burst under way goes on.  0 or -ENOENT. */
int ann_announce(struct ann *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;

/* One probe, sent before it returns: to all (RFC 5227 2.1.1; RFC 4862 5.4 with the nonce of RFC
 * 7527), or to one station alone, an audit of who is said to have it (RFC 4861 7.3: NUD).  Answers
 * come through heard().  ip need not be announced.  0, -ENODEV, -EINVAL (not of the family),
 * -EADDRNOTAVAIL (NDP, to one station: the interface has no link-local address), or what send()
 * said. */
int ann_probe(struct ann *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;
int ann_probe_unicast(struct ann *a, unsigned ifindex, struct addr ip, const uint8_t mac[6],
	uint64_t now_ms) MUST_CHECK;

/* A frame as captured: answers it or reports it; never keeps it.  A foreign claim on an announced
 * VIP is defended with one announcement per 10 s (RFC 5227 2.4 (c)), after heard() and if the VIP
 * is then still announced; never yielded to here. */
void ann_on_frame(
	struct ann *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms);

/* The next time ann_tick() has work; TIME_NEVER.  O(1).  Any call above may move it. */
uint64_t ann_next_deadline(const struct ann *a);
/* Sends what is due, at most 256 announcements a call, so that 10,000 of them do not stall the
 * loop: the deadline is then still in the past. */
void ann_tick(struct ann *a, uint64_t now_ms);

/* false when not announced there. */
bool ann_info(const struct ann *a, unsigned ifindex, struct addr ip, struct ann_info *ret_i);
size_t ann_count(const struct ann *a);
/* Is mac one of ours, or was it in the last 60 s, unless it is another lbd's now? */
bool ann_is_own_mac(const struct ann *a, const uint8_t mac[6], uint64_t now_ms);

/* -- for the protocol -- */

/* An interface. */
struct ann_port {
	uint32_t hash; /* of ifindex */
	unsigned ifindex;
	uint8_t mac[6];
	uint8_t source[ANN_ADDR_MAX]; /* of ann_set_source(); zeros: none */
	uint64_t blocked_ms;          /* its queue was full: no announcement before this */
	struct ann_askers *askers;    /* owned; NULL = nobody asked for a VIP there */
};

struct ann_foreign;
struct ann_askers;

/* An address on an interface.  There are as many as VIPs: kept small (of IPv4, 72 bytes). */
struct ann_vip {
	uint32_t hash;         /* of ifindex and address */
	uint32_t unanswered;   /* of the requests: the reply could not be sent */
	struct deadline next;  /* when to try the next announcement */
	struct ann_port *port; /* borrowed; never NULL */
	uint64_t since_ms;
	uint64_t requests;
	struct ann_foreign *foreign; /* owned; NULL = none was heard */
	uint32_t announcements;
	uint32_t burst;   /* when it began: the low bits, of a moment not long ago */
	uint16_t late_ms; /* how long before next the announcement was first due; saturated */
	uint8_t step;     /* of the burst: the next one to send */
	uint8_t ip[];     /* addr_len bytes */
};

enum ann_counter {
	ANN_COUNT_REQUESTS,
	ANN_COUNT_REPLIES,
	ANN_COUNT_ANNOUNCEMENTS,
	ANN_COUNT_PROBES,
	ANN_COUNT_INTRODUCTIONS,
	ANN_COUNT_SEND_ERRORS,
	ANN_COUNT_CLAIMS_HEARD,
	ANN_COUNT_SENDER_IS_VIP,
	ANN_COUNT_DEFENCES,
	ANN_COUNTERS
};

/* An announcement may be several frames, for different neighbours. */
enum {
	ANN_FORM_FIRST = 1, /* the one that most obey */
	ANN_FORM_REST = 2,
};

/* What a protocol brings along. */
struct ann_proto {
	enum addr_family family;
	uint8_t addr_len; /* of ann_vip.ip */
	size_t state_len; /* of what ann_state() gives */
	/* One announcement, or some of its forms, by ann_send(): 0, or what that said of the first
	 * frame that failed; *ret_sent frames went out. */
	int (*announce)(
		struct ann *a, const struct ann_vip *v, unsigned forms, unsigned *ret_sent);
	/* An ordinary request in v's name to one station, which then has v's MAC; mac NULL: it is
	 * not known.  0 or -errno. */
	int (*introduce)(
		struct ann *a, const struct ann_vip *v, const uint8_t *ip, const uint8_t mac[6]);
	/* mac NULL: to all. */
	int (*probe)(struct ann *a, const struct ann_port *port, const uint8_t *ip,
		const uint8_t *mac, uint64_t now_ms);
	void (*on_frame)(
		struct ann *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms);
	enum counter_id counter[ANN_COUNTERS];
};

/* proto, ops, ctx and counters (may be NULL) are borrowed.  NULL when out of memory. */
struct ann *ann_new(const struct ann_proto *proto, const struct ann_ops *ops, void *ctx,
	const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
/* The protocol's own, zeros at first. */
void *ann_state(struct ann *a);
const struct hash_key *ann_hash_key(const struct ann *a);
void ann_bump(struct ann *a, enum counter_id id);

/* NULL: no such interface. */
struct ann_port *ann_port(const struct ann *a, unsigned ifindex);
/* The address as it is on the wire; NULL when not announced on that interface. */
struct ann_vip *ann_vip(const struct ann *a, unsigned ifindex, const uint8_t *ip);
/* One frame out of the interface; a failure is counted.  0 or -errno. */
int ann_send(
	struct ann *a, const struct ann_port *port, const uint8_t *frame, size_t len) MUST_CHECK;
/* A station asked for vip, whoever has it: it is one of those to whom a take is told apart. */
void ann_note_asker(struct ann *a, struct ann_port *port, const uint8_t *vip, const uint8_t *ip,
	const uint8_t mac[6], uint64_t now_ms);
/* Does the kernel answer for v?  Then a request for it counts as not answered here. */
bool ann_is_bound(const struct ann *a, const struct ann_vip *v);
/* A request for v was answered; rc is what ann_send() said. */
void ann_answered(struct ann *a, struct ann_vip *v, int rc);
void ann_tell(struct ann *a, enum ann_heard what, unsigned ifindex, const uint8_t *ip,
	const uint8_t mac[6]);
/* Another host claimed ip: it is told, and if the VIP is then still announced and the host no
 * member, defended with one announcement per 10 s (RFC 5227 2.4 (c)); never yielded to here. */
void ann_on_claim(
	struct ann *a, unsigned ifindex, const uint8_t *ip, const uint8_t mac[6], uint64_t now_ms);
/* Another host sent an ordinary frame from ip. */
void ann_on_sender(struct ann *a, unsigned ifindex, const uint8_t *ip, const uint8_t mac[6]);
/* Is it the address of one station: unicast, not zero? */
bool ann_is_station(const uint8_t mac[6]);

#endif
