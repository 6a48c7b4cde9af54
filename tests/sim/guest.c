/* SPDX-License-Identifier: Apache-2.0
 *
 * guest.c - the hosts on a segment that are no nodes.
 *
 * Owns: what the foreign host answers for; the client's neighbour table: it believes what it hears,
 *       as Linux does.
 * In:   frames of nodes; faults.
 * Out:  frames to nodes.
 * RFCs: 826, 5227; 4861, 4862.  What is written here is read by the shipping arp.c and ndp.c, and
 *       the other way round: neither is used to make the other's frames.
 */
#include "guest.h"

#include "node.h"

#include "bytes.h"

#include <string.h>

enum {
	ETHER_ARP = 0x0806,
	ETHER_IPV4 = 0x0800,
	ETHER_IPV6 = 0x86dd,
	CLIENT = 99, /* 10.<segment>.0.99, fd00:<segment>::63 */
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	ICMPV6 = 58,
	HOP_LIMIT = 255,
	SOLICITATION = 135,
	ADVERTISEMENT = 136,
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
	OPTION_SOURCE = 1,
	OPTION_TARGET = 2,
	ICMP_AT = 14 + 40,
	VIP_SLOTS = 65536, /* of a segment: the address's lower half */
	MAX_ANSWERS = 8,
};

struct answer_for {
	struct addr vip;
	uint8_t mac[6];
};

struct table {
	struct answer_for answers[MAX_ANSWERS];
	unsigned n_answers;
	struct guest_asked *asked; /* owned; by the lower half of the address */
};

struct guests {
	struct table segments[SIM_SEGMENTS];
};

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[6];

struct guests *guests_new(const struct sim *s)
{
	struct guests *g = sim_alloc(1, sizeof *g);

	for (unsigned k = 0; k < s->setup.n_segments; k++)
		g->segments[k].asked = sim_alloc(VIP_SLOTS, sizeof *g->segments[k].asked);
	return g;
}

void guests_free(struct guests *g)
{
	for (unsigned k = 0; g != NULL && k < SIM_SEGMENTS; k++)
		free(g->segments[k].asked);
	free(g);
}

static unsigned host_of(const struct sim *s, enum lan_guest guest)
{
	return s->setup.n_nodes + guest;
}

static struct addr client_addr(unsigned segment, bool v6)
{
	if (v6)
		return addr_from_v6(
			(const uint8_t[16]){0xfd, [3] = (uint8_t)segment, [15] = CLIENT});
	return addr_from_v4((const uint8_t[4]){10, (uint8_t)segment, 0, CLIENT});
}

static struct addr no_addr(bool v6)
{
	return v6 ? addr_from_v6((const uint8_t[16]){0}) : addr_from_v4((const uint8_t[4]){0});
}

/* -- ARP -- */

static struct addr read_v4(struct rd *r)
{
	uint8_t ip[4];

	rd_copy(r, ip, sizeof ip);
	return addr_from_v4(ip);
}

static bool read_arp(struct rd r, struct word *ret_w)
{
	uint16_t op;

	rd_skip(&r, 6);
	op = rd_be16(&r);
	rd_copy(&r, ret_w->mac, 6);
	ret_w->sender = read_v4(&r);
	rd_skip(&r, 6);
	ret_w->target = read_v4(&r);
	if (addr_eq(ret_w->sender, ret_w->target))
		ret_w->kind = WORD_CLAIM;
	else if (op == ARP_REPLY)
		ret_w->kind = WORD_ANSWER;
	else
		ret_w->kind = addr_eq(ret_w->sender, no_addr(false)) ? WORD_PROBE : WORD_ASK;
	return !r.bad;
}

static void put_v4(struct wr *w, struct addr a)
{
	uint8_t ip[4];

	addr_to_v4(a, ip);
	wr_bytes(w, ip, sizeof ip);
}

static void write_arp(struct wr *w, const struct word *p, const uint8_t *dst)
{
	bool answers = p->kind == WORD_ANSWER;

	wr_bytes(w, dst, 6);
	wr_bytes(w, p->mac, 6);
	wr_be16(w, ETHER_ARP);
	wr_be16(w, 1);
	wr_be16(w, ETHER_IPV4);
	wr_u8(w, 6);
	wr_u8(w, 4);
	wr_be16(w, answers ? ARP_REPLY : ARP_REQUEST);
	wr_bytes(w, p->mac, 6);
	put_v4(w, p->sender);
	wr_bytes(w, answers ? dst : nobody, 6);
	put_v4(w, p->target);
}

/* -- Neighbor Discovery -- */

static struct addr read_v6(struct rd *r)
{
	uint8_t ip[16];

	rd_copy(r, ip, sizeof ip);
	return addr_from_v6(ip);
}

static uint16_t icmp_sum(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data + ICMP_AT - 32, len - ICMP_AT + 32); /* with both addresses */
	uint32_t sum = (uint32_t)(len - ICMP_AT) + ICMPV6;

	while (rd_left(&r) >= 2)
		sum += rd_be16(&r);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static bool read_discovery(const uint8_t *data, size_t len, struct rd r, struct word *ret_w)
{
	struct addr src, dst, target;
	uint8_t next, hops, type, flags;

	rd_skip(&r, 6);
	next = rd_u8(&r);
	hops = rd_u8(&r);
	src = read_v6(&r);
	dst = read_v6(&r);
	type = rd_u8(&r);
	rd_skip(&r, 3);
	flags = rd_u8(&r);
	rd_skip(&r, 3);
	target = read_v6(&r);
	if (r.bad || next != ICMPV6 || hops != HOP_LIMIT || icmp_sum(data, len) != 0)
		return false;
	memcpy(ret_w->mac, data + 6, 6);
	if (rd_u8(&r) == (type == SOLICITATION ? OPTION_SOURCE : OPTION_TARGET)) {
		rd_skip(&r, 1);
		rd_copy(&r, ret_w->mac, 6);
	}
	if (type == SOLICITATION) {
		ret_w->kind = addr_eq(src, no_addr(true)) ? WORD_PROBE : WORD_ASK;
		ret_w->sender = src;
		ret_w->target = target;
		return true;
	}
	ret_w->kind = (flags & FLAG_SOLICITED) != 0 ? WORD_ANSWER : WORD_CLAIM;
	ret_w->sender = target;
	ret_w->target = ret_w->kind == WORD_ANSWER ? dst : target;
	return type == ADVERTISEMENT;
}

static void put_v6(struct wr *w, struct addr a)
{
	uint8_t ip[16];

	addr_to_v6(a, ip);
	wr_bytes(w, ip, sizeof ip);
}

/* Where a word goes that is for nobody alone. */
static struct addr group_of(const struct word *p)
{
	uint8_t ip[16], all[16] = {0xff, 0x02, [15] = 1}, group[16] = {0xff, 0x02, [11] = 1, 0xff};

	addr_to_v6(p->target, ip);
	memcpy(group + 13, ip + 13, 3);
	return addr_from_v6(p->kind == WORD_CLAIM ? all : group);
}

static void put_dst_mac(struct wr *w, struct addr to, const uint8_t *dst)
{
	uint8_t ip[16];

	addr_to_v6(to, ip);
	wr_be16(w, 0x3333);
	wr_bytes(w, ip + 12, 4);
	if (dst != NULL)
		memcpy(w->start, dst, 6);
}

static void write_discovery(struct wr *w, const struct word *p, const uint8_t *dst)
{
	bool asks = p->kind == WORD_ASK;
	struct addr to = dst != NULL ? p->target : group_of(p);
	unsigned flags = p->kind == WORD_ANSWER ? FLAG_SOLICITED | FLAG_OVERRIDE : FLAG_OVERRIDE;
	struct wr sum;

	put_dst_mac(w, to, dst);
	wr_bytes(w, p->mac, 6);
	wr_be16(w, ETHER_IPV6);
	wr_be32(w, 6U << 28);
	wr_be16(w, 32);
	wr_u8(w, ICMPV6);
	wr_u8(w, HOP_LIMIT);
	put_v6(w, p->sender);
	put_v6(w, to);
	wr_u8(w, asks ? SOLICITATION : ADVERTISEMENT);
	wr_u8(w, 0);
	wr_be16(w, 0);
	wr_be32(w, asks ? 0 : (uint32_t)flags << 24);
	put_v6(w, asks ? p->target : p->sender);
	wr_u8(w, asks ? OPTION_SOURCE : OPTION_TARGET);
	wr_u8(w, 1);
	wr_bytes(w, p->mac, 6);
	sum = wr_init(w->start + ICMP_AT + 2, 2);
	wr_be16(&sum, icmp_sum(w->start, wr_len(w)));
}

/* -- words -- */

bool guest_read_word(const uint8_t *data, size_t len, struct word *ret_w)
{
	struct rd r = rd_init(data, len);

	*ret_w = (struct word){0};
	rd_skip(&r, 12);
	switch (rd_be16(&r)) {
	case ETHER_ARP:
		return read_arp(r, ret_w);
	case ETHER_IPV6:
		return read_discovery(data, len, r, ret_w);
	default:
		return false;
	}
}

/* dst: of one host; NULL: to all that it may concern. */
static void say(
	struct sim *s, unsigned segment, unsigned host, const uint8_t *dst, const struct word *p)
{
	uint8_t data[LAN_FRAME_MAX];
	struct wr w = wr_init(data, sizeof data);

	if (addr_family(p->target) == ADDR_V6)
		write_discovery(&w, p, dst);
	else
		write_arp(&w, p, dst != NULL ? dst : broadcast);
	lan_send(s, segment, host, data, wr_len(&w));
}

static struct word word_of(const struct sim *s, unsigned segment, enum lan_guest guest,
	enum word_kind kind, struct addr sender, struct addr target)
{
	struct word w = {.kind = kind, .sender = sender, .target = target};

	memcpy(w.mac, lan_mac(s, segment, host_of(s, guest)), 6);
	return w;
}

/* -- the foreign host -- */

void guest_claim(struct sim *s, unsigned segment, struct addr vip)
{
	struct word w = word_of(s, segment, LAN_FOREIGN, WORD_CLAIM, vip, vip);

	say(s, segment, host_of(s, LAN_FOREIGN), NULL, &w);
}

void guest_answer_for(struct sim *s, unsigned segment, struct addr vip, const uint8_t *mac)
{
	struct table *t = &s->guests->segments[segment];
	struct answer_for *a;

	if (t->n_answers == MAX_ANSWERS)
		return;
	a = &t->answers[t->n_answers++];
	a->vip = vip;
	memcpy(a->mac, mac != NULL ? mac : lan_mac(s, segment, host_of(s, LAN_FOREIGN)), 6);
}

void guest_be_quiet(struct sim *s, unsigned segment)
{
	s->guests->segments[segment].n_answers = 0;
}

bool guest_is_lying(const struct sim *s, unsigned segment)
{
	return s->guests->segments[segment].n_answers > 0;
}

/* Who probes has no address: over Neighbor Discovery all are told. */
static void foreign_on_word(struct sim *s, unsigned segment, const struct word *p)
{
	const struct table *t = &s->guests->segments[segment];
	bool to_all = p->kind == WORD_PROBE && addr_family(p->target) == ADDR_V6;

	if (p->kind != WORD_ASK && p->kind != WORD_PROBE)
		return;
	for (unsigned i = 0; i < t->n_answers; i++) {
		struct addr vip = t->answers[i].vip;
		struct word back = {to_all ? WORD_CLAIM : WORD_ANSWER, vip, p->sender, {0}};

		if (!addr_eq(vip, p->target))
			continue;
		if (to_all)
			back.target = vip;
		memcpy(back.mac, t->answers[i].mac, 6);
		say(s, segment, host_of(s, LAN_FOREIGN), to_all ? NULL : p->mac, &back);
	}
}

/* -- the client -- */

static struct guest_asked *slot_of(const struct sim *s, unsigned segment, struct addr a)
{
	uint8_t ip[16];

	addr_to_v6(a, ip); /* of IPv4: mapped */
	return &s->guests->segments[segment].asked[ip[14] << 8 | ip[15]];
}

const struct guest_asked *guest_asked(const struct sim *s, unsigned segment, struct addr vip)
{
	return slot_of(s, segment, vip);
}

void guest_ask(struct sim *s, unsigned segment, struct addr vip)
{
	struct addr me = client_addr(segment, addr_family(vip) == ADDR_V6);
	struct word w = word_of(s, segment, LAN_CLIENT, WORD_ASK, me, vip);

	slot_of(s, segment, vip)->n_answers = 0;
	say(s, segment, host_of(s, LAN_CLIENT), NULL, &w);
}

void guest_ask_client(struct sim *s, unsigned segment, unsigned host, struct addr from)
{
	struct word w = {.kind = WORD_ASK, .sender = from, .target = client_addr(segment, false)};

	memcpy(w.mac, lan_mac(s, segment, host), 6);
	say(s, segment, host, lan_mac(s, segment, host_of(s, LAN_CLIENT)), &w);
}

bool guest_is_answer_of_client(const struct frame *f, unsigned segment, struct addr to)
{
	struct word w;

	return guest_read_word(f->data, f->len, &w) && w.kind == WORD_ANSWER &&
	       addr_eq(w.target, to) && addr_eq(w.sender, client_addr(segment, false));
}

/* Linux: it obeys an answer, and an announcement that is a request, or a reply to the sender
 * itself; an advertisement that overrides. */
static void client_on_word(struct sim *s, unsigned segment, const struct word *p)
{
	struct addr me = client_addr(segment, addr_family(p->target) == ADDR_V6);
	struct guest_asked *a = slot_of(s, segment, p->sender);

	if (p->kind == WORD_ASK && addr_eq(p->target, me)) {
		struct word back = word_of(s, segment, LAN_CLIENT, WORD_ANSWER, me, p->sender);

		say(s, segment, host_of(s, LAN_CLIENT), p->mac, &back);
	} else if (p->kind == WORD_CLAIM) {
		memcpy(a->mac, p->mac, 6);
	} else if (p->kind == WORD_ANSWER && addr_eq(p->target, me)) {
		memcpy(a->mac, p->mac, 6);
		a->n_answers++;
	}
}

void guest_on_frame(struct sim *s, unsigned segment, enum lan_guest guest, const struct frame *f)
{
	struct word w;

	if (!guest_read_word(f->data, f->len, &w))
		return;
	if (guest == LAN_CLIENT)
		client_on_word(s, segment, &w);
	else
		foreign_on_word(s, segment, &w);
}
