/* SPDX-License-Identifier: Apache-2.0
 *
 * arp.c - answer and announce IPv4 service addresses with ARP: what announcer.c does, in frames.
 *
 * Owns: nothing; the tables are announcer.c's.
 * In:   frames, by ann_on_frame().
 * Out:  replies, announcements and probes by ann_send(); what was heard, by ann_tell().
 * RFCs: 826 (format, reply), 5227 (probe 2.1.1, announcement 2.3, defence 2.4 (c)).
 * Not done: 5227's own timing of probe and announcement (shared OWNERSHIP F26 says why); its rate
 *       limit after ten conflicts (we never look for another address); VLAN tags: such a frame is
 *       of another segment than the interface it came by, and is dropped.
 *
 * An announcement is two frames, both of which Linux obeys at once: the request of RFC 5227 2.3,
 * and a reply with target = sender hardware address, the first time 20 ms later (announcer.c).  The
 * usual gratuitous reply, target ff:ff:ff:ff:ff:ff, is ignored by a Linux neighbour confirmed less
 * than a second ago (`locktime`), and never sent here.
 */
#include "arp.h"

#include "bytes.h"

#include <errno.h>

enum {
	FRAME_ARP = 0x0806,
	HTYPE_ETHERNET = 1,
	PTYPE_IPV4 = 0x0800,
	OP_REQUEST = 1,
	OP_REPLY = 2,
	ETHER_HEADER_LEN = 14,
};

static const uint8_t mac_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t mac_zero[6];
static const uint8_t ip_zero[4];

/* -- codec -- */

struct packet {
	uint8_t dst[6];
	uint16_t op;
	uint8_t sha[6], spa[4], tpa[4];
};

static bool is_zero_ip(const uint8_t ip[4])
{
	return memcmp(ip, ip_zero, sizeof(ip_zero)) == 0;
}

/* false, and the counter of the reason.  What follows the packet is padding. */
static bool decode(const uint8_t *frame, size_t len, struct packet *ret_p, enum counter_id *ret_why)
{
	struct rd r = rd_init(frame, len);
	uint16_t htype, ptype;
	uint8_t hlen, plen;

	*ret_why = COUNTER_ARP_DROP_SHORT;
	rd_copy(&r, ret_p->dst, 6);
	rd_skip(&r, 6); /* the Ethernet source: access points and bonds put their own there */
	if (rd_be16(&r) != FRAME_ARP && !r.bad)
		*ret_why = COUNTER_ARP_DROP_ETHERTYPE;
	if (r.bad || *ret_why == COUNTER_ARP_DROP_ETHERTYPE)
		return false;
	htype = rd_be16(&r);
	ptype = rd_be16(&r);
	hlen = rd_u8(&r);
	plen = rd_u8(&r);
	ret_p->op = rd_be16(&r);
	rd_copy(&r, ret_p->sha, 6);
	rd_copy(&r, ret_p->spa, 4);
	rd_skip(&r, 6); /* tha means nothing in a request, and says nothing in a reply */
	rd_copy(&r, ret_p->tpa, 4);
	if (r.bad)
		return false;
	*ret_why = COUNTER_ARP_DROP_FORMAT;
	if (htype != HTYPE_ETHERNET || ptype != PTYPE_IPV4 || hlen != 6 || plen != 4 ||
		(ret_p->op != OP_REQUEST && ret_p->op != OP_REPLY))
		return false;
	*ret_why = COUNTER_ARP_DROP_SENDER;
	return ann_is_station(ret_p->sha) && ret_p->spa[0] < 224 &&
	       !(is_zero_ip(ret_p->spa) && (ret_p->op == OP_REPLY || is_zero_ip(ret_p->tpa)));
}

struct arp_fields {
	const uint8_t *dst; /* Ethernet destination */
	uint16_t op;
	const uint8_t *spa, *tha, *tpa;
};

static int send_frame(struct ann *a, const struct ann_port *port, const struct arp_fields *f)
{
	uint8_t frame[ARP_FRAME_LEN];
	struct wr w = wr_init(frame, sizeof(frame));

	wr_bytes(&w, f->dst, 6);
	wr_bytes(&w, port->mac, 6);
	wr_be16(&w, FRAME_ARP);
	wr_be16(&w, HTYPE_ETHERNET);
	wr_be16(&w, PTYPE_IPV4);
	wr_u8(&w, 6);
	wr_u8(&w, 4);
	wr_be16(&w, f->op);
	wr_bytes(&w, port->mac, 6);
	wr_bytes(&w, f->spa, 4);
	wr_bytes(&w, f->tha, 6);
	wr_bytes(&w, f->tpa, 4);
	REQUIRE(wr_len(&w) == ARP_FRAME_LEN);
	return ann_send(a, port, frame, sizeof(frame));
}

/* -- what goes out -- */

static int announce(struct ann *a, const struct ann_vip *v, unsigned forms, unsigned *ret_sent)
{
	const struct arp_fields request = {mac_broadcast, OP_REQUEST, v->ip, mac_zero, v->ip};
	const struct arp_fields reply = {mac_broadcast, OP_REPLY, v->ip, v->port->mac, v->ip};
	int rc = 0;

	*ret_sent = 0;
	if (forms & ANN_FORM_FIRST) {
		rc = send_frame(a, v->port, &request);
		*ret_sent += rc == 0;
	}
	if ((forms & ANN_FORM_REST) && rc == 0) {
		rc = send_frame(a, v->port, &reply);
		*ret_sent += rc == 0;
	}
	return rc;
}

/* Linux, and routers that ignore announcements, take the sender of a request to them. */
static int introduce(
	struct ann *a, const struct ann_vip *v, const uint8_t *ip, const uint8_t mac[6])
{
	const struct arp_fields f = {
		mac != NULL ? mac : mac_broadcast, OP_REQUEST, v->ip, mac_zero, ip};

	return send_frame(a, v->port, &f);
}

static int probe(struct ann *a, const struct ann_port *port, const uint8_t *ip, const uint8_t *mac,
	uint64_t now_ms)
{
	const struct arp_fields f = {
		mac != NULL ? mac : mac_broadcast, OP_REQUEST, ip_zero, mac_zero, ip};

	(void)now_ms;
	return send_frame(a, port, &f);
}

/* To the asker alone, at its hardware address as RFC 826 has it. */
static void answer(struct ann *a, struct ann_vip *v, const struct packet *p)
{
	const struct arp_fields reply = {p->sha, OP_REPLY, p->tpa, p->sha, p->spa};

	ann_answered(a, v, ann_is_bound(a, v) ? -EALREADY : send_frame(a, v->port, &reply));
}

/* -- frames -- */

static void on_request(
	struct ann *a, struct ann_port *port, const struct packet *p, uint64_t now_ms)
{
	struct ann_vip *v = ann_vip(a, port->ifindex, p->tpa);

	if (v != NULL)
		answer(a, v, p);
	if (is_zero_ip(p->spa)) {
		ann_tell(a, ANN_HEARD_PROBE, port->ifindex, p->tpa, p->sha);
		return;
	}
	ann_note_asker(a, port, p->tpa, p->spa, p->sha, now_ms);
	ann_on_sender(a, port->ifindex, p->spa, p->sha);
}

/* Is the frame for this interface: to all, or to its own MAC?  Bridges flood what is for others. */
static bool is_for(const struct ann_port *port, const struct packet *p)
{
	return memcmp(p->dst, mac_broadcast, 6) == 0 || memcmp(p->dst, port->mac, 6) == 0;
}

static void on_frame(
	struct ann *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms)
{
	struct ann_port *port = ann_port(a, ifindex);
	enum counter_id why;
	struct packet p;

	if (!decode(frame, len, &p, &why))
		ann_bump(a, why);
	else if (ann_is_own_mac(a, p.sha, now_ms))
		ann_bump(a, COUNTER_ARP_DROP_OWN);
	else if (port == NULL || !is_for(port, &p))
		ann_bump(a, COUNTER_ARP_DROP_IFACE);
	else if (memcmp(p.spa, p.tpa, sizeof(p.spa)) == 0)
		ann_on_claim(a, ifindex, p.spa, p.sha, now_ms);
	else if (p.op == OP_REPLY)
		ann_tell(a, ANN_HEARD_ANSWER, ifindex, p.spa, p.sha);
	else
		on_request(a, port, &p, now_ms);
}

/* -- life -- */

struct ann *arp_new(const struct ann_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters)
{
	static const struct ann_proto proto = {.family = ADDR_V4,
		.addr_len = 4,
		.announce = announce,
		.introduce = introduce,
		.probe = probe,
		.on_frame = on_frame,
		.counter = {[ANN_COUNT_REQUESTS] = COUNTER_ARP_REQUESTS,
			[ANN_COUNT_REPLIES] = COUNTER_ARP_REPLIES,
			[ANN_COUNT_ANNOUNCEMENTS] = COUNTER_ARP_ANNOUNCEMENTS,
			[ANN_COUNT_PROBES] = COUNTER_ARP_PROBES,
			[ANN_COUNT_INTRODUCTIONS] = COUNTER_ARP_INTRODUCTIONS,
			[ANN_COUNT_SEND_ERRORS] = COUNTER_ARP_SEND_ERRORS,
			[ANN_COUNT_CLAIMS_HEARD] = COUNTER_ARP_CLAIMS_HEARD,
			[ANN_COUNT_SENDER_IS_VIP] = COUNTER_ARP_SENDER_IS_VIP,
			[ANN_COUNT_DEFENCES] = COUNTER_ARP_DEFENCES}};

	return ann_new(&proto, ops, ctx, hkey, counters);
}
