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
	ARP_FRAME_LEN = 42
}; /* Ethernet II header and an IPv4-over-Ethernet ARP packet; drivers pad */

/* What one frame from another host said about a VIP. */
enum arp_heard {
	ARP_HEARD_CLAIM,  /* announcement: sender IP = target IP = VIP (OWNERSHIP R17) */
	ARP_HEARD_ANSWER, /* a reply whose sender IP is the VIP: an answer to a probe or audit */
	ARP_HEARD_PROBE,  /* RFC 5227 probe for the VIP: sender IP 0.0.0.0 */
	ARP_HEARD_SENDER, /* any other frame with the VIP as sender: counted, not a claim */
};

struct arp_ops {
	/* Sends one whole Ethernet frame.  0 or -errno (the frame is lost; a burst goes on). */
	int (*send)(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len);
	/* Another host said something about a VIP (announced here or not). May call arp_add() and
	 * arp_del(). */
	void (*heard)(void *ctx, enum arp_heard what, unsigned ifindex, struct addr vip,
		const uint8_t mac[6]);
};

struct arp; /* opaque; see arp.c */

/* ops and ctx are borrowed.  reannounce_ms: slow repetition of the announcement, 0 = never.  NULL
 * when out of memory. */
struct arp *arp_new(const struct arp_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters) MUST_CHECK;
void arp_free(struct arp *a);
void arp_set_reannounce(struct arp *a, uint64_t reannounce_ms, uint64_t now_ms);

/* An interface appeared, or its MAC changed (then every VIP on it is announced again with the new
 * MAC, at once, and the old one counts as ours for 60 s more).  Idempotent.  0 or -ENOMEM. */
int arp_set_iface(
	struct arp *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms) MUST_CHECK;
/* The interface is gone: its VIPs are dropped without a word on the wire. */
void arp_del_iface(struct arp *a, unsigned ifindex, uint64_t now_ms);

/* Start answering for ip on ifindex and announce it (burst 0, 0.1, 0.4, 0.8, 2, 5 s).  Idempotent:
 * no new burst.  0, -ENOMEM, -ENODEV (no such interface), -EINVAL (not IPv4), -E2BIG. */
int arp_add(struct arp *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;
/* Stop answering, at once. Idempotent. */
void arp_del(struct arp *a, unsigned ifindex, struct addr ip);
/* Announce ip again, now (a claim against a rival, a link that came back). 0 or -ENOENT. */
int arp_announce(struct arp *a, unsigned ifindex, struct addr ip, uint64_t now_ms) MUST_CHECK;
/* One RFC 5227 probe (2.1.1); answers come through heard(). ip need not be announced. 0, -ENODEV,
 * or what send() said. */
int arp_probe(struct arp *a, unsigned ifindex, struct addr ip) MUST_CHECK;

/* A frame as captured: answers it or reports it; never keeps it.  A foreign claim on an announced
 * VIP is defended with one announcement per 10 s (RFC 5227 2.4 (c)), never yielded to here. */
void arp_on_frame(
	struct arp *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms);

/* The next time arp_tick() has work; TIME_NEVER. */
uint64_t arp_next_deadline(const struct arp *a);
void arp_tick(struct arp *a, uint64_t now_ms);

/* -- for status -- */
struct arp_vip_info {
	unsigned ifindex;
	struct addr ip;
	uint64_t since_ms; /* of arp_add() */
	uint64_t requests, replies, announcements;
	bool foreign; /* a foreign claim was heard since */
	uint8_t foreign_mac[6];
	uint64_t foreign_ms;
};
/* false when not announced there. */
bool arp_info(const struct arp *a, unsigned ifindex, struct addr ip, struct arp_vip_info *ret_i);
size_t arp_count(const struct arp *a);
/* Is mac one of ours, now or in the last 60 s? */
bool arp_is_own_mac(const struct arp *a, const uint8_t mac[6], uint64_t now_ms);

#endif
