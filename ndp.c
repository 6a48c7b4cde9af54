/* SPDX-License-Identifier: Apache-2.0
 *
 * ndp.c - answer and announce IPv6 service addresses with Neighbor Discovery: what announcer.c
 *         does, in frames.
 *
 * Owns: which addresses were probed in the last second, the number of the last nonce.
 * In:   frames, by ann_on_frame().
 * Out:  advertisements and solicitations by ann_send(); what was heard, by ann_tell().
 * RFCs: 4861 (validation 7.1.1 and 7.1.2, answers 7.2.4, unsolicited advertisements 7.2.6), 4862
 *       (5.4 DAD), 7527 (nonce), 6980 (no fragments), 4291 2.7.1 (solicited-node group).
 * Not done: SEND (RFC 3971); extension headers before a solicitation, which nobody sends; 4861's
 *       random delay before an answer to ff02::1 and its limits on unsolicited advertisements: the
 *       burst is announcer.c's; VLAN tags, as in arp.c.
 *
 * Every advertisement comes from the VIP itself, as kernels have it (ndisc6 takes no other), and
 * carries Override and the target's link-layer address.  One to all nodes is
 * all that it takes: Linux has no `locktime` for IPv6 and obeys at once, also when it has just
 * confirmed the entry.  An answer to a probe goes to all nodes, too, and nothing in it tells it
 * from an unsolicited one; what comes in the second after a probe of this node's counts as its
 * answer.
 *
 * A nonce is a number and a keyed hash of it and the address: one that comes back (from a loop, or
 * an access point that gave it another sender) is known without being kept.
 */
#include "ndp.h"

#include "bytes.h"

#include <errno.h>

enum {
	FRAME_IPV6 = 0x86dd,
	IPPROTO_V6_ICMP = 58,
	HOP_LIMIT = 255,
	TYPE_NS = 135,
	TYPE_NA = 136,
	OPTION_SOURCE = 1,
	OPTION_TARGET = 2,
	OPTION_NONCE = 14,
	OPTION_UNIT = 8,
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
	ICMP_LEN = 24, /* without options */
	IP_LEN = 16,
	NONCE_LEN = 6,
	PROBED_MAX = 128, /* remembered at once; one more may displace another */
	PROBED_MS = 1000,
};

static const uint8_t ip_zero[IP_LEN];
static const uint8_t ip_all_nodes[IP_LEN] = {0xff, 0x02, [15] = 1};
static const uint8_t ip_group[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};
static const uint8_t mac_all_nodes[6] = {0x33, 0x33, 0, 0, 0, 1};

/* A probe of ours whose answer may come yet. */
struct probed {
	uint64_t until_ms; /* 0 = none */
	unsigned ifindex;
	uint8_t ip[IP_LEN];
};

/* ann_state() */
struct ndp {
	uint16_t nonces;
	struct probed probed[PROBED_MAX];
};

/* -- codec -- */

struct packet {
	uint8_t dst_mac[6], src_mac[6];
	uint8_t src[IP_LEN], dst[IP_LEN], target[IP_LEN];
	uint8_t type, flags;
	bool has_mac, has_nonce;
	uint8_t mac[6]; /* of the option; else src_mac */
	uint8_t nonce[NONCE_LEN];
};

static bool is_zero_ip(const uint8_t ip[IP_LEN])
{
	return memcmp(ip, ip_zero, IP_LEN) == 0;
}

static bool is_multicast(const uint8_t ip[IP_LEN])
{
	return ip[0] == 0xff;
}

static uint32_t sum_words(uint32_t sum, struct rd r)
{
	while (rd_left(&r) >= 2)
		sum += rd_be16(&r);
	if (rd_left(&r) > 0)
		sum += (uint32_t)rd_u8(&r) << 8;
	return sum;
}

/* RFC 4443 2.3; 0 when the checksum in the message is right. */
static uint16_t checksum(const uint8_t *src, const uint8_t *dst, const uint8_t *icmp, size_t len)
{
	uint32_t sum = (uint32_t)len + IPPROTO_V6_ICMP;

	sum = sum_words(sum, rd_init(src, IP_LEN));
	sum = sum_words(sum, rd_init(dst, IP_LEN));
	sum = sum_words(sum, rd_init(icmp, len));
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

/* RFC 4861 4.6: unknown ones are read over, one of length zero damns the whole packet. */
static bool decode_options(struct rd *r, struct packet *ret_p)
{
	uint8_t wanted = ret_p->type == TYPE_NS ? OPTION_SOURCE : OPTION_TARGET;

	while (rd_left(r) > 0) {
		uint8_t type = rd_u8(r);
		size_t len = (size_t)rd_u8(r) * OPTION_UNIT;
		struct rd body;

		if (len == 0)
			return false;
		body = rd_sub(r, len - 2);
		if (type == wanted && len == OPTION_UNIT) {
			rd_copy(&body, ret_p->mac, 6);
			ret_p->has_mac = true;
		} else if (type == wanted) {
			return false; /* not of an Ethernet */
		} else if (type == OPTION_NONCE && len == OPTION_UNIT) {
			rd_copy(&body, ret_p->nonce, NONCE_LEN);
			ret_p->has_nonce = true;
		}
	}
	return !r->bad;
}

/* RFC 4861 7.1.1 and 7.1.2, what is left when the lengths, the code and the checksum are right. */
static bool is_valid(const struct packet *p)
{
	if (!ann_is_station(p->src_mac) || !ann_is_station(p->mac) || is_multicast(p->src) ||
		is_multicast(p->target) || is_zero_ip(p->target))
		return false;
	if (p->type == TYPE_NA)
		return !is_zero_ip(p->src) &&
		       !(is_multicast(p->dst) && (p->flags & FLAG_SOLICITED) != 0);
	return !is_zero_ip(p->src) ||
	       (memcmp(p->dst, ip_group, sizeof(ip_group)) == 0 && !p->has_mac);
}

static bool decode_icmp(struct rd r, struct packet *ret_p, enum counter_id *ret_why)
{
	const uint8_t *icmp = r.p;
	size_t len = rd_left(&r);
	uint8_t code;

	*ret_why = COUNTER_NDP_DROP_FORMAT;
	ret_p->type = rd_u8(&r);
	code = rd_u8(&r);
	rd_skip(&r, 2);
	ret_p->flags = rd_u8(&r);
	rd_skip(&r, 3);
	rd_copy(&r, ret_p->target, IP_LEN);
	if (r.bad || code != 0 || (ret_p->type != TYPE_NS && ret_p->type != TYPE_NA))
		return false;
	*ret_why = COUNTER_NDP_DROP_CHECKSUM;
	if (checksum(ret_p->src, ret_p->dst, icmp, len) != 0)
		return false;
	*ret_why = COUNTER_NDP_DROP_OPTIONS;
	if (!decode_options(&r, ret_p))
		return false;
	*ret_why = COUNTER_NDP_DROP_SENDER;
	return is_valid(ret_p);
}

/* false, and the counter of the reason.  What follows the packet is padding. */
static bool decode(const uint8_t *frame, size_t len, struct packet *ret_p, enum counter_id *ret_why)
{
	struct rd r = rd_init(frame, len);
	uint16_t ethertype, payload;
	uint8_t version, next, hops;

	memset(ret_p, 0, sizeof(*ret_p));
	rd_copy(&r, ret_p->dst_mac, 6);
	rd_copy(&r, ret_p->src_mac, 6);
	memcpy(ret_p->mac, ret_p->src_mac, 6);
	ethertype = rd_be16(&r);
	version = rd_u8(&r) >> 4;
	rd_skip(&r, 3);
	payload = rd_be16(&r);
	next = rd_u8(&r);
	hops = rd_u8(&r);
	rd_copy(&r, ret_p->src, IP_LEN);
	rd_copy(&r, ret_p->dst, IP_LEN);
	*ret_why = COUNTER_NDP_DROP_SHORT;
	if (r.bad || payload > rd_left(&r))
		return false;
	*ret_why = COUNTER_NDP_DROP_FORMAT; /* a fragment, too (RFC 6980 5) */
	if (ethertype != FRAME_IPV6 || version != 6 || next != IPPROTO_V6_ICMP)
		return false;
	*ret_why = COUNTER_NDP_DROP_HOPS;
	return hops == HOP_LIMIT && decode_icmp(rd_sub(&r, payload), ret_p, ret_why);
}

struct ndp_fields {
	const uint8_t *dst_mac, *src, *dst;
	uint8_t type, flags;
	const uint8_t *target;
	uint8_t option; /* 0 = none */
	const uint8_t *value;
};

static int send_frame(struct ann *a, const struct ann_port *port, const struct ndp_fields *f)
{
	uint8_t frame[NDP_MAX_FRAME_LEN], icmp[ICMP_LEN + OPTION_UNIT];
	struct wr w = wr_init(icmp, sizeof(icmp)), out = wr_init(frame, sizeof(frame));
	uint16_t sum;
	size_t len;

	wr_u8(&w, f->type);
	wr_u8(&w, 0);
	wr_be16(&w, 0);
	wr_be32(&w, (uint32_t)f->flags << 24);
	wr_bytes(&w, f->target, IP_LEN);
	if (f->option != 0) {
		wr_u8(&w, f->option);
		wr_u8(&w, 1);
		wr_bytes(&w, f->value, 6);
	}
	len = wr_len(&w);
	sum = checksum(f->src, f->dst, icmp, len);
	w = wr_init(icmp + 2, 2);
	wr_be16(&w, sum);

	wr_bytes(&out, f->dst_mac, 6);
	wr_bytes(&out, port->mac, 6);
	wr_be16(&out, FRAME_IPV6);
	wr_be32(&out, 6U << 28);
	wr_be16(&out, (uint16_t)len);
	wr_u8(&out, IPPROTO_V6_ICMP);
	wr_u8(&out, HOP_LIMIT);
	wr_bytes(&out, f->src, IP_LEN);
	wr_bytes(&out, f->dst, IP_LEN);
	wr_bytes(&out, icmp, len);
	REQUIRE(wr_len(&out) > 0);
	return ann_send(a, port, frame, wr_len(&out));
}

/* -- nonces, and probes of ours -- */

static void make_nonce(
	const struct ann *a, const uint8_t *ip, uint16_t number, uint8_t ret_nonce[NONCE_LEN])
{
	uint8_t in[2 + IP_LEN];
	struct wr w = wr_init(in, sizeof(in));

	wr_be16(&w, number);
	wr_bytes(&w, ip, IP_LEN);
	w = wr_init(ret_nonce, NONCE_LEN);
	wr_be16(&w, number);
	wr_be32(&w, hash_bytes(ann_hash_key(a), in, sizeof(in)));
}

static bool is_own_nonce(const struct ann *a, const struct packet *p)
{
	struct rd r = rd_init(p->nonce, NONCE_LEN);
	uint8_t nonce[NONCE_LEN];

	make_nonce(a, p->target, rd_be16(&r), nonce);
	return p->has_nonce && memcmp(nonce, p->nonce, NONCE_LEN) == 0;
}

static struct probed *probed_at(struct ann *a, unsigned ifindex, const uint8_t *ip)
{
	struct ndp *n = ann_state(a);

	return &n->probed[(hash_bytes(ann_hash_key(a), ip, IP_LEN) + ifindex) % PROBED_MAX];
}

static bool was_probed(struct ann *a, unsigned ifindex, const uint8_t *ip, uint64_t now_ms)
{
	const struct probed *p = probed_at(a, ifindex, ip);

	return now_ms < p->until_ms && p->ifindex == ifindex && memcmp(p->ip, ip, IP_LEN) == 0;
}

/* -- what goes out -- */

static int advertise(struct ann *a, const struct ann_vip *v)
{
	const struct ndp_fields f = {.dst_mac = mac_all_nodes,
		.src = v->ip,
		.dst = ip_all_nodes,
		.type = TYPE_NA,
		.flags = FLAG_OVERRIDE,
		.target = v->ip,
		.option = OPTION_TARGET,
		.value = v->port->mac};

	return send_frame(a, v->port, &f);
}

static int announce(struct ann *a, const struct ann_vip *v, unsigned forms, unsigned *ret_sent)
{
	int rc = (forms & ANN_FORM_FIRST) ? advertise(a, v) : 0;

	*ret_sent = (forms & ANN_FORM_FIRST) && rc == 0;
	return rc;
}

/* Where ip is asked for (RFC 4291 2.7.1, RFC 2464 7). */
struct group {
	uint8_t ip[IP_LEN], mac[6];
};

static struct group group_of(const uint8_t ip[IP_LEN])
{
	struct group g = {.mac = {0x33, 0x33}};

	memcpy(g.ip, ip_group, sizeof(ip_group));
	memcpy(g.ip + sizeof(ip_group), ip + sizeof(ip_group), IP_LEN - sizeof(ip_group));
	memcpy(g.mac + 2, g.ip + IP_LEN - 4, 4);
	return g;
}

struct addr ndp_group(struct addr ip)
{
	uint8_t b[IP_LEN];

	addr_to_v6(ip, b);
	return addr_from_v6(group_of(b).ip);
}

static int introduce(
	struct ann *a, const struct ann_vip *v, const uint8_t *ip, const uint8_t mac[6])
{
	struct group to = group_of(ip);
	const struct ndp_fields f = {.dst_mac = mac != NULL ? mac : to.mac,
		.src = v->ip,
		.dst = mac != NULL ? ip : to.ip,
		.type = TYPE_NS,
		.target = ip,
		.option = OPTION_SOURCE,
		.value = v->port->mac};

	return send_frame(a, v->port, &f);
}

static int probe_all(struct ann *a, const struct ann_port *port, const uint8_t *ip, uint64_t now_ms)
{
	struct probed *p = probed_at(a, port->ifindex, ip);
	struct group to = group_of(ip);
	uint8_t nonce[NONCE_LEN];
	const struct ndp_fields f = {.dst_mac = to.mac,
		.src = ip_zero,
		.dst = to.ip,
		.type = TYPE_NS,
		.target = ip,
		.option = OPTION_NONCE,
		.value = nonce};

	make_nonce(a, ip, ++((struct ndp *)ann_state(a))->nonces, nonce);
	p->until_ms = now_ms + PROBED_MS;
	p->ifindex = port->ifindex;
	memcpy(p->ip, ip, IP_LEN);
	return send_frame(a, port, &f);
}

static int probe(struct ann *a, const struct ann_port *port, const uint8_t *ip, const uint8_t *mac,
	uint64_t now_ms)
{
	const struct ndp_fields f = {
		.dst_mac = mac, .src = port->source, .dst = ip, .type = TYPE_NS, .target = ip};

	if (mac == NULL)
		return probe_all(a, port, ip, now_ms);
	if (is_zero_ip(port->source))
		return -EADDRNOTAVAIL;
	return send_frame(a, port, &f);
}

/* RFC 4861 7.2.4: to the asker, or to all when it has no address yet. */
static void answer(struct ann *a, struct ann_vip *v, const struct packet *p)
{
	const struct ndp_fields f = {.dst_mac = p->mac,
		.src = v->ip,
		.dst = p->src,
		.type = TYPE_NA,
		.flags = FLAG_SOLICITED | FLAG_OVERRIDE,
		.target = v->ip,
		.option = OPTION_TARGET,
		.value = v->port->mac};
	int rc = -EALREADY;

	if (!ann_is_bound(a, v))
		rc = is_zero_ip(p->src) ? advertise(a, v) : send_frame(a, v->port, &f);
	ann_answered(a, v, rc);
}

/* -- frames -- */

static void on_solicitation(
	struct ann *a, struct ann_port *port, const struct packet *p, uint64_t now_ms)
{
	struct ann_vip *v = ann_vip(a, port->ifindex, p->target);

	if (v != NULL)
		answer(a, v, p);
	if (is_zero_ip(p->src)) {
		ann_tell(a, ANN_HEARD_PROBE, port->ifindex, p->target, p->mac);
		return;
	}
	ann_note_asker(a, port, p->target, p->src, p->mac, now_ms);
	ann_on_sender(a, port->ifindex, p->src, p->mac);
}

static void on_advertisement(
	struct ann *a, unsigned ifindex, const struct packet *p, uint64_t now_ms)
{
	if ((p->flags & FLAG_SOLICITED) != 0 || was_probed(a, ifindex, p->target, now_ms))
		ann_tell(a, ANN_HEARD_ANSWER, ifindex, p->target, p->mac);
	else
		ann_on_claim(a, ifindex, p->target, p->mac, now_ms);
}

/* Is the frame for this interface: to a group, or to its own MAC?  Bridges flood what is for
 * others. */
static bool is_for(const struct ann_port *port, const struct packet *p)
{
	return (p->dst_mac[0] == 0x33 && p->dst_mac[1] == 0x33) ||
	       memcmp(p->dst_mac, port->mac, 6) == 0;
}

static bool is_own(const struct ann *a, const struct packet *p, uint64_t now_ms)
{
	return ann_is_own_mac(a, p->mac, now_ms) || ann_is_own_mac(a, p->src_mac, now_ms) ||
	       (p->type == TYPE_NS && is_own_nonce(a, p));
}

static void on_frame(
	struct ann *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms)
{
	struct ann_port *port = ann_port(a, ifindex);
	enum counter_id why;
	struct packet p;

	if (!decode(frame, len, &p, &why))
		ann_bump(a, why);
	else if (is_own(a, &p, now_ms))
		ann_bump(a, COUNTER_NDP_DROP_OWN);
	else if (port == NULL || !is_for(port, &p))
		ann_bump(a, COUNTER_NDP_DROP_IFACE);
	else if (p.type == TYPE_NS)
		on_solicitation(a, port, &p, now_ms);
	else
		on_advertisement(a, ifindex, &p, now_ms);
}

/* -- life -- */

struct ann *ndp_new(const struct ann_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters)
{
	static const struct ann_proto proto = {.family = ADDR_V6,
		.addr_len = IP_LEN,
		.state_len = sizeof(struct ndp),
		.announce = announce,
		.introduce = introduce,
		.probe = probe,
		.on_frame = on_frame,
		.counter = {[ANN_COUNT_REQUESTS] = COUNTER_NDP_REQUESTS,
			[ANN_COUNT_REPLIES] = COUNTER_NDP_REPLIES,
			[ANN_COUNT_ANNOUNCEMENTS] = COUNTER_NDP_ANNOUNCEMENTS,
			[ANN_COUNT_PROBES] = COUNTER_NDP_PROBES,
			[ANN_COUNT_INTRODUCTIONS] = COUNTER_NDP_INTRODUCTIONS,
			[ANN_COUNT_SEND_ERRORS] = COUNTER_NDP_SEND_ERRORS,
			[ANN_COUNT_CLAIMS_HEARD] = COUNTER_NDP_CLAIMS_HEARD,
			[ANN_COUNT_SENDER_IS_VIP] = COUNTER_NDP_SENDER_IS_VIP,
			[ANN_COUNT_DEFENCES] = COUNTER_NDP_DEFENCES}};

	return ann_new(&proto, ops, ctx, hkey, counters);
}
