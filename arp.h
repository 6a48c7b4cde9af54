/* SPDX-License-Identifier: Apache-2.0
 *
 * arp.h - answer and announce IPv4 service addresses with ARP.  Pure: frames in, frames out by ops,
 * now as an argument.
 */
#ifndef LBD_ARP_H
#define LBD_ARP_H

#include "addr.h"
#include "base.h"
#include "counter.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ARP_FRAME_LEN =
		42, /* Ethernet II header and an IPv4-over-Ethernet ARP packet; drivers pad */
	ARP_MAX_VIPS = 131072, /* pairs of interface and address */
	ARP_MAX_IFACES = 4096,
};

/* What one frame from another host said about a VIP.  Which addresses are VIPs is the caller's
 * matter (the kernel's filter passes those of the pools); SENDER alone is told only of addresses
 * announced on that interface, since every ordinary request has a sender. */
enum arp_heard {
	ARP_HEARD_CLAIM,  /* announcement: sender IP = target IP = VIP (OWNERSHIP R17) */
	ARP_HEARD_ANSWER, /* a reply whose sender IP is the VIP: an answer to a probe or audit */
	ARP_HEARD_PROBE,  /* RFC 5227 probe for the VIP: sender IP 0.0.0.0 */
	ARP_HEARD_SENDER, /* any other frame with the VIP as sender: counted, not a claim */
};

struct arp_ops {
	/* Sends one whole Ethernet frame.  0 or -errno: the frame is lost and a burst goes on, but
	 * after -EAGAIN or -ENOBUFS an announcement is tried again every 2 ms, for 200 ms.  Must
	 * not call back. */
	int (*send)(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len);
	/* Another host said something about a VIP (announced here or not). May call arp_add(),
	 * arp_del() and arp_announce(). */
	void (*heard)(void *ctx, enum arp_heard what, unsigned ifindex, struct addr vip,
		const uint8_t mac[6]);
	/* Is mac another lbd's?  Its claims are elect's to judge (OWNERSHIP R18 to R20) and are not
	 * defended against here: in a hand-over the defence would take the VIP back.  NULL: no. */
	bool (*is_member)(void *ctx, const uint8_t mac[6]);
};

struct arp; /* opaque; see arp.c */

/* ops, ctx and counters (may be NULL) are borrowed.  NULL when out of memory. */
struct arp *arp_new(const struct arp_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters) MUST_CHECK;
void arp_free(struct arp *a);
/* Slow repetition of every announcement, 0 = never (the default).  Addresses are spread over 128
 * moments of the period, always the same ones, so that many cost few wake-ups. */
void arp_set_reannounce(struct arp *a, uint64_t reannounce_ms, uint64_t now_ms);

/* An interface appeared, or its MAC changed (then every VIP on it is announced again with the new
 * MAC, at once, and the old one counts as ours for 60 s more).  Idempotent.  To be called for every
 * Ethernet interface of the node, not only where VIPs are: their MACs are ours too.  0, -ENOMEM,
 * -E2BIG. */
int arp_set_iface(
	struct arp *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms) MUST_CHECK;
/* The interface is gone: its VIPs are dropped without a word on the wire. */
void arp_del_iface(struct arp *a, unsigned ifindex, uint64_t now_ms);
/* arp_del_iface() of each interface that keep() does not want. */
void arp_retain_ifaces(
	struct arp *a, bool (*keep)(void *ctx, unsigned ifindex), void *ctx, uint64_t now_ms);

/* Start answering for ip on ifindex and announce it (burst 0, 0.1, 0.4, 0.8, 2, 5 s).  Idempotent:
 * no new burst.  Sends nothing itself: arp_tick() is due at once.  0, -ENOMEM, -ENODEV (no such
 * interface), -EINVAL (not IPv4), -E2BIG. */
int arp_add(struct arp *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;
/* Stop answering, at once. Idempotent. */
void arp_del(struct arp *a, unsigned ifindex, struct addr ip);
/* Announce ip again, once (a claim against a rival, a link that came back): arp_tick() is due at
 * once; a burst under way goes on.  0 or -ENOENT. */
int arp_announce(struct arp *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;
/* One RFC 5227 probe (2.1.1), sent before it returns; answers come through heard(). ip need not be
 * announced. 0, -ENODEV, -EINVAL (not IPv4), or what send() said. */
int arp_probe(struct arp *a, unsigned ifindex, struct addr ip) MUST_CHECK;

/* A frame as captured: answers it or reports it; never keeps it.  A foreign claim on an announced
 * VIP is defended with one announcement per 10 s (RFC 5227 2.4 (c)), after heard() and if the VIP
 * is then still announced; never yielded to here. */
void arp_on_frame(
	struct arp *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms);

/* The next time arp_tick() has work; TIME_NEVER.  O(1).  Any call above may move it. */
uint64_t arp_next_deadline(const struct arp *a);
/* Sends what is due, at most 256 announcements a call, so that 10,000 of them do not stall the
 * loop: the deadline is then still in the past. */
void arp_tick(struct arp *a, uint64_t now_ms);

/* -- for status -- */
struct arp_vip_info {
	unsigned ifindex;
	struct addr ip;
	uint64_t since_ms;                         /* of arp_add() */
	uint64_t requests, replies, announcements; /* frames received, sent, sent */
	bool foreign; /* a claim by a host that is not a member was heard since; the last one: */
	uint8_t foreign_mac[6];
	uint64_t foreign_ms;
};
/* false when not announced there. */
bool arp_info(const struct arp *a, unsigned ifindex, struct addr ip, struct arp_vip_info *ret_i);
size_t arp_count(const struct arp *a);
/* Is mac one of ours, now or in the last 60 s? */
bool arp_is_own_mac(const struct arp *a, const uint8_t mac[6], uint64_t now_ms);

#endif
