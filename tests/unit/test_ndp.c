/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ndp.c - Neighbor Discovery: byte-exact frames, what is refused, what is told of others.  The
 * table, the burst and the MACs are announcer.c's: test_arp.c.
 */
#include "ndp.h"

#include "check.h"
#include "oom.h"

#include <errno.h>

enum { MAX_SENT = 64, MAX_HEARD = 64, IF1 = 3, IF2 = 4, HEAD = 54, NS = 135, NA = 136 };

static const uint8_t mac1[6] = {0x02, 0, 0, 0, 0, 0x01}, mac2[6] = {0x02, 0, 0, 0, 0, 0x02};
static const uint8_t peer[6] = {0x0a, 0xbb, 0xcc, 0xdd, 0xee, 0x0f};
static const uint8_t other[6] = {0x0a, 0xbb, 0xcc, 0xdd, 0xee, 0x11};
static const uint8_t to_group[6] = {0x33, 0x33, 0xff, 0x00, 0x01, 0x00};
static const uint8_t to_all[6] = {0x33, 0x33, 0, 0, 0, 1};
static const char vip_s[] = "fd00::100", lla_s[] = "fe80::1", client_s[] = "fd00::7",
		  group_s[] = "ff02::1:ff00:100", all_s[] = "ff02::1", any_s[] = "::";

struct sent {
	unsigned ifindex;
	size_t len;
	uint8_t b[NDP_MAX_FRAME_LEN];
};

struct heard {
	enum ann_heard what;
	unsigned ifindex;
	struct addr vip;
	uint8_t mac[6];
};

/* The world around one announcer. */
struct rig {
	struct ann *a;
	struct counters c;
	struct sent sent[MAX_SENT]; /* the first ones */
	size_t n_sent;
	struct heard heard[MAX_HEARD];
	size_t n_heard;
	int send_rc;
	const uint8_t *member; /* NULL = none */
	const char *gateway;   /* NULL = none */
	bool bound;            /* the kernel answers for every address */
};

static int on_send(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct rig *r = ctx;

	CHECK(len >= HEAD + 24 && len <= NDP_MAX_FRAME_LEN);
	if (r->send_rc != 0)
		return r->send_rc;
	if (r->n_sent < MAX_SENT) {
		r->sent[r->n_sent].ifindex = ifindex;
		r->sent[r->n_sent].len = len;
		memcpy(r->sent[r->n_sent].b, frame, len);
	}
	r->n_sent++;
	return 0;
}

static void on_heard(
	void *ctx, enum ann_heard what, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	struct rig *r = ctx;

	if (r->n_heard < MAX_HEARD) {
		r->heard[r->n_heard] = (struct heard){.what = what, .ifindex = ifindex, .vip = vip};
		memcpy(r->heard[r->n_heard].mac, mac, 6);
	}
	r->n_heard++;
}

static bool is_member(void *ctx, const uint8_t mac[6])
{
	const struct rig *r = ctx;

	return r->member != NULL && memcmp(mac, r->member, 6) == 0;
}

static bool on_gateway(void *ctx, unsigned ifindex, enum addr_family family, struct addr *ret_ip)
{
	const struct rig *r = ctx;

	CHECK_INT(ifindex, IF1);
	CHECK_INT(family, ADDR_V6);
	return r->gateway != NULL && addr_parse(r->gateway, strlen(r->gateway), ret_ip) == 0;
}

static bool is_bound(void *ctx, unsigned ifindex, struct addr vip)
{
	const struct rig *r = ctx;

	(void)ifindex;
	(void)vip;
	return r->bound;
}

static const struct ann_ops ops = {
	.send = on_send, .heard = on_heard, .is_member = is_member,
	.is_bound = is_bound, .gateway = on_gateway};

static struct addr ip(const char *s)
{
	struct addr a = {0};

	CHECK_INT(addr_parse(s, strlen(s), &a), 0);
	return a;
}

/* Two interfaces, the first with a link-local address; no VIP. */
static void set_up(struct rig *r)
{
	static const struct hash_key key = {1, 2};
	const struct addr lla = ip(lla_s);

	memset(r, 0, sizeof(*r));
	r->a = ndp_new(&ops, r, &key, &r->c);
	if (r->a == NULL || ann_set_iface(r->a, IF1, mac1, 0) != 0 ||
		ann_set_iface(r->a, IF2, mac2, 0) != 0)
		abort();
	ann_set_source(r->a, IF1, &lla);
}

static void tear_down(struct rig *r)
{
	ann_free(r->a);
}

/* The VIP on IF1, its burst over, nothing recorded of it; now is 10 s. */
static void set_up_quiet(struct rig *r)
{
	set_up(r);
	CHECK_INT(ann_add(r->a, IF1, ip(vip_s), 0), 0);
	for (int i = 0; i < 3; i++)
		ann_tick(r->a, 10000);
	r->n_sent = 0;
	memset(&r->c, 0, sizeof(r->c));
}

struct frame {
	uint8_t b[160];
	size_t n;
};

static unsigned sum16(const uint8_t *p, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (unsigned)p[i] << 8 : p[i];
	return sum;
}

/* The length and the checksum that belong to the frame as it is. */
static void seal(struct frame *f)
{
	size_t len = f->n - HEAD;
	unsigned sum;

	f->b[18] = (uint8_t)(len >> 8);
	f->b[19] = (uint8_t)len;
	f->b[56] = f->b[57] = 0;
	sum = sum16(f->b + 22, 32) + (unsigned)len + 58 + sum16(f->b + HEAD, len);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	f->b[56] = (uint8_t)(sum >> 8);
	f->b[57] = (uint8_t)sum;
}

static void option(struct frame *f, uint8_t type, uint8_t units, const uint8_t *value, size_t n)
{
	f->b[f->n] = type;
	f->b[f->n + 1] = units;
	memcpy(f->b + f->n + 2, value, n);
	f->n += 2 + n;
	seal(f);
}

/* Without options, from peer, for the VIP. */
static struct frame make(
	uint8_t type, uint8_t flags, const uint8_t *dst_mac, const char *src, const char *dst)
{
	struct frame f = {.n = HEAD + 24};

	memcpy(f.b, dst_mac, 6);
	memcpy(f.b + 6, peer, 6);
	f.b[12] = 0x86;
	f.b[13] = 0xdd;
	f.b[14] = 0x60;
	f.b[20] = 58;
	f.b[21] = 255;
	addr_to_v6(ip(src), f.b + 22);
	addr_to_v6(ip(dst), f.b + 38);
	f.b[54] = type;
	f.b[58] = flags;
	addr_to_v6(ip(vip_s), f.b + 62);
	seal(&f);
	return f;
}

/* A client's question as kernels ask it. */
static struct frame question(void)
{
	struct frame f = make(NS, 0, to_group, client_s, group_s);

	option(&f, 1, 1, peer, 6);
	return f;
}

static void give(struct rig *r, unsigned ifindex, const struct frame *f, uint64_t now_ms)
{
	unsigned char *p = check_guard(f->b, f->n);

	ann_on_frame(r->a, ifindex, p, f->n, now_ms);
	check_unguard(p, f->n);
}

/* Frame i as hexadecimal digits, blanks between Ethernet, IPv6, its addresses, ICMPv6's head (its
 * checksum, which is judged apart, as xxxx), target, option. */
static const char *text(const struct rig *r, size_t i)
{
	static const size_t end[] = {6, 12, 14, 18, 20, 22, 38, 54, 56, 58, 62, 78, 0};
	static char s[3 * NDP_MAX_FRAME_LEN];
	size_t at = 0, field = 0;

	if (i >= r->n_sent || i >= MAX_SENT)
		return "(none)";
	for (size_t k = 0; k < r->sent[i].len; k++) {
		if (k == end[field]) {
			s[at++] = ' ';
			field++;
		}
		at += (size_t)snprintf(s + at, sizeof(s) - at, k == 56 || k == 57 ? "xx" : "%02x",
			r->sent[i].b[k]);
	}
	return s;
}

static bool is_sealed(const struct rig *r, size_t i)
{
	struct frame f = {.n = r->sent[i].len};

	memcpy(f.b, r->sent[i].b, f.n);
	seal(&f);
	return memcmp(f.b, r->sent[i].b, f.n) == 0;
}

#define VIP_HEX    "fd000000000000000000000000000100"
#define LLA_HEX    "fe800000000000000000000000000001"
#define CLIENT_HEX "fd000000000000000000000000000007"
#define ALL_HEX    "ff020000000000000000000000000001"
#define GROUP_HEX  "ff0200000000000000000001ff000100"
#define ANY_HEX    "00000000000000000000000000000000"
#define FROM1      " 020000000001 86dd 60000000 "
#define TLLA       " " VIP_HEX " 0201020000000001"

/* -- frames out -- */

static void test_announcement_bytes(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, ip(vip_s), 0), 0);
	CHECK_INT(ann_next_deadline(r.a), 0);
	ann_tick(r.a, 0);
	CHECK_INT(r.n_sent, 1);
	CHECK_STR(text(&r, 0),
		"333300000001" FROM1 "0020 3aff " VIP_HEX " " ALL_HEX " 8800 xxxx 20000000" TLLA);
	CHECK(is_sealed(&r, 0));
	CHECK_INT(r.sent[0].ifindex, IF1);
	CHECK_INT(r.c.v[COUNTER_NDP_ANNOUNCEMENTS], 1);
	CHECK_INT(ann_next_deadline(r.a), 20);
	tear_down(&r);
}

static void test_answer_bytes(void)
{
	static const struct {
		const char *name;
		const uint8_t *dst_mac;
		const char *src, *dst;
		const uint8_t *slla;
		const char *want;
	} rows[] = {
		{"to the group", to_group, client_s, group_s, peer,
			"0abbccddee0f" FROM1 "0020 3aff " VIP_HEX " " CLIENT_HEX
			" 8800 xxxx 60000000" TLLA},
		{"the option's address, not the sender's", to_group, client_s, group_s, other,
			"0abbccddee11" FROM1 "0020 3aff " VIP_HEX " " CLIENT_HEX
			" 8800 xxxx 60000000" TLLA},
		{"NUD: to us alone, no option", mac1, client_s, vip_s, NULL,
			"0abbccddee0f" FROM1 "0020 3aff " VIP_HEX " " CLIENT_HEX
			" 8800 xxxx 60000000" TLLA},
		{"to the group, no option", to_group, client_s, group_s, NULL,
			"0abbccddee0f" FROM1 "0020 3aff " VIP_HEX " " CLIENT_HEX
			" 8800 xxxx 60000000" TLLA},
		{"DAD", to_group, any_s, group_s, NULL,
			"333300000001" FROM1 "0020 3aff " VIP_HEX " " ALL_HEX
			" 8800 xxxx 20000000" TLLA},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct frame f = make(NS, 0, rows[i].dst_mac, rows[i].src, rows[i].dst);
		struct rig r;

		check_row = rows[i].name;
		if (rows[i].slla != NULL)
			option(&f, 1, 1, rows[i].slla, 6);
		set_up_quiet(&r);
		give(&r, IF1, &f, 10000);
		CHECK_INT(r.n_sent, 1);
		CHECK_STR(text(&r, 0), rows[i].want);
		CHECK(r.n_sent == 1 && is_sealed(&r, 0));
		CHECK_INT(r.c.v[COUNTER_NDP_REQUESTS], 1);
		CHECK_INT(r.c.v[COUNTER_NDP_REPLIES], 1);
		CHECK_INT(r.n_heard, rows[i].src == any_s);
		CHECK(r.n_heard == 0 || r.heard[0].what == ANN_HEARD_PROBE);
		give(&r, IF2, &f, 10000); /* not announced there */
		CHECK_INT(r.n_sent, 1);
		tear_down(&r);
	}
	check_row = "";
}

/* What the kernel answers for itself is not answered twice, DAD's question neither. */
static void test_bound(void)
{
	struct frame ask = make(NS, 0, to_group, client_s, group_s);
	struct frame dad = make(NS, 0, to_group, any_s, group_s);
	struct rig r;

	option(&ask, 1, 1, peer, 6);
	set_up_quiet(&r);
	r.bound = true;
	give(&r, IF1, &ask, 10000);
	give(&r, IF1, &dad, 10000);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(r.c.v[COUNTER_NDP_REQUESTS], 2);
	CHECK_INT(r.c.v[COUNTER_NDP_REPLIES], 0);
	CHECK_INT(r.n_heard, 1);
	r.bound = false;
	give(&r, IF1, &ask, 10000);
	CHECK_INT(r.n_sent, 1);
	tear_down(&r);
}

static void test_probe_bytes(void)
{
	static const char want[] = "3333ff000100" FROM1 "0020 3aff " ANY_HEX " " GROUP_HEX
				   " 8700 xxxx 00000000 " VIP_HEX " 0e01";
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_probe(r.a, IF1, ip(vip_s), 0), 0);
	CHECK_INT(r.n_sent, 1);
	CHECK(strncmp(text(&r, 0), want, sizeof(want) - 1) == 0);
	CHECK_INT(r.sent[0].len, HEAD + 32);
	CHECK(is_sealed(&r, 0));
	CHECK_INT(ann_probe(r.a, IF1, ip(vip_s), 0), 0);
	CHECK(memcmp(r.sent[0].b + 80, r.sent[1].b + 80, 6) != 0); /* another nonce */
	CHECK_INT(r.c.v[COUNTER_NDP_PROBES], 2);
	CHECK_INT(ann_probe(r.a, 99, ip(vip_s), 0), -ENODEV);
	CHECK_INT(ann_probe(r.a, IF1, ip("192.168.1.1"), 0), -EINVAL);
	r.send_rc = -ENETDOWN;
	CHECK_INT(ann_probe(r.a, IF1, ip(vip_s), 0), -ENETDOWN);
	CHECK_INT(r.c.v[COUNTER_NDP_PROBES], 2);
	CHECK_INT(r.c.v[COUNTER_NDP_SEND_ERRORS], 1);
	tear_down(&r);
}

/* As NUD asks: to one station, from our own address, without a source link-layer option. */
static void test_probe_unicast_bytes(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_probe_unicast(r.a, IF1, ip(vip_s), peer, 0), 0);
	CHECK_STR(text(&r, 0), "0abbccddee0f" FROM1 "0018 3aff " LLA_HEX " " VIP_HEX
			       " 8700 xxxx 00000000 " VIP_HEX);
	CHECK(is_sealed(&r, 0));
	CHECK_INT(ann_probe_unicast(r.a, IF2, ip(vip_s), peer, 0), -EADDRNOTAVAIL);
	CHECK_INT(ann_probe_unicast(r.a, 99, ip(vip_s), peer, 0), -ENODEV);
	ann_set_source(r.a, IF1, NULL);
	CHECK_INT(ann_probe_unicast(r.a, IF1, ip(vip_s), peer, 0), -EADDRNOTAVAIL);
	tear_down(&r);
}

/* As test_arp.c has it: a solicitation from the VIP, for the asker, to the asker. */
static void test_introduction(void)
{
	struct frame f = question();
	struct rig r;

	set_up(&r);
	give(&r, IF1, &f, 1000);
	f = make(NS, 0, to_group, any_s, group_s); /* has no address to be told at */
	give(&r, IF1, &f, 1000);
	CHECK_INT(ann_add(r.a, IF1, ip(vip_s), 1000), 0);
	ann_tick(r.a, 1000);
	ann_tick(r.a, 1020);
	ann_tick(r.a, 1100);
	CHECK_INT(r.n_sent, 3);
	CHECK_STR(text(&r, 2), "0abbccddee0f" FROM1 "0020 3aff " VIP_HEX " " CLIENT_HEX
			       " 8700 xxxx 00000000 " CLIENT_HEX " 0101020000000001");
	CHECK(is_sealed(&r, 2));
	CHECK_INT(r.c.v[COUNTER_NDP_INTRODUCTIONS], 1);
	tear_down(&r);
}

/* The gateway's MAC is not known: it is asked for in its group. */
static void test_gateway(void)
{
	struct rig r;

	set_up(&r);
	r.gateway = "fe80::12:3456";
	CHECK_INT(ann_add(r.a, IF1, ip(vip_s), 0), 0);
	ann_tick(r.a, 0);
	ann_tick(r.a, 20);
	ann_tick(r.a, 100);
	CHECK_INT(r.n_sent, 3);
	CHECK_STR(text(&r, 2),
		"3333ff123456" FROM1 "0020 3aff " VIP_HEX " ff0200000000000000000001ff123456"
		" 8700 xxxx 00000000 fe800000000000000000000000123456 0101020000000001");
	CHECK(is_sealed(&r, 2));
	tear_down(&r);
}

static void test_group(void)
{
	char s[ADDR_STRLEN];

	CHECK_STR(addr_format(ndp_group(ip("fd00::12:3456")), s), "ff02::1:ff12:3456");
}

/* -- frames in: refused -- */

static void drop_row(const char *name, const struct frame *f, enum counter_id why)
{
	struct rig r;

	check_row = name;
	set_up_quiet(&r);
	give(&r, IF1, f, 10000);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(r.n_heard, 0);
	CHECK_INT(r.c.v[why], 1);
	tear_down(&r);
	check_row = "";
}

/* One byte of a good question changed; sealed again or not. */
static void test_dropped_bytes(void)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t to;
		bool seal;
		enum counter_id why;
	} rows[] = {
		{"ethertype", 12, 0x08, true, COUNTER_NDP_DROP_FORMAT},
		{"version", 14, 0x40, true, COUNTER_NDP_DROP_FORMAT},
		{"hop-by-hop options", 20, 0, true, COUNTER_NDP_DROP_FORMAT},
		{"fragment (RFC 6980)", 20, 44, true, COUNTER_NDP_DROP_FORMAT},
		{"hop limit 254", 21, 254, true, COUNTER_NDP_DROP_HOPS},
		{"payload too long", 19, 33, false, COUNTER_NDP_DROP_SHORT},
		{"payload too short", 19, 31, false, COUNTER_NDP_DROP_CHECKSUM},
		{"type router solicitation", 54, 133, true, COUNTER_NDP_DROP_FORMAT},
		{"code", 55, 1, true, COUNTER_NDP_DROP_FORMAT},
		{"checksum", 56, 0x12, false, COUNTER_NDP_DROP_CHECKSUM},
		{"target changed", 77, 0x01, false, COUNTER_NDP_DROP_CHECKSUM},
		{"multicast target", 62, 0xff, true, COUNTER_NDP_DROP_SENDER},
		{"multicast source", 22, 0xff, true, COUNTER_NDP_DROP_SENDER},
		{"group as sender", 6, 0x01, true, COUNTER_NDP_DROP_SENDER},
		{"group as option", 80, 0x01, true, COUNTER_NDP_DROP_SENDER},
		{"option of length 0", 79, 0, true, COUNTER_NDP_DROP_OPTIONS},
		{"option past the end", 79, 2, true, COUNTER_NDP_DROP_OPTIONS},
		{"to another station", 0, 0x06, true, COUNTER_NDP_DROP_IFACE},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct frame f = question();

		f.b[rows[i].at] = rows[i].to;
		if (rows[i].seal)
			seal(&f);
		drop_row(rows[i].name, &f, rows[i].why);
	}
}

static void test_dropped_forms(void)
{
	static const uint8_t long_mac[14] = {0};
	struct frame f;

	f = make(NS, 0, to_all, any_s, all_s);
	drop_row("DAD to another group", &f, COUNTER_NDP_DROP_SENDER);
	f = make(NS, 0, to_group, any_s, group_s);
	option(&f, 1, 1, peer, 6);
	drop_row("DAD with a link-layer address", &f, COUNTER_NDP_DROP_SENDER);
	f = make(NS, 0, to_group, client_s, group_s);
	option(&f, 1, 2, long_mac, 14);
	drop_row("link-layer address of 14 bytes", &f, COUNTER_NDP_DROP_OPTIONS);
	f = make(NA, 0x40, to_all, client_s, all_s);
	drop_row("solicited, to all", &f, COUNTER_NDP_DROP_SENDER);
	f = make(NA, 0, to_all, any_s, all_s);
	drop_row("advertised by nobody", &f, COUNTER_NDP_DROP_SENDER);
	f = make(NS, 0, to_group, client_s, group_s);
	memset(f.b + 62, 0, 16);
	seal(&f);
	drop_row("no target", &f, COUNTER_NDP_DROP_SENDER);
}

static void test_dropped_every_length(void)
{
	struct frame whole = question();

	for (size_t n = 0; n < whole.n; n++) {
		struct frame f = whole;

		f.n = n;
		drop_row("cut", &f, COUNTER_NDP_DROP_SHORT);
	}
}

/* The payload's length cuts the message within: nothing past it is read. */
static void test_dropped_every_payload(void)
{
	for (size_t n = 0; n < 32; n++) {
		struct frame f = question();

		if (n == 24)
			continue; /* a question without option */
		f.n = HEAD + n;
		seal(&f);
		drop_row("short payload", &f,
			n < 24 ? COUNTER_NDP_DROP_FORMAT : COUNTER_NDP_DROP_OPTIONS);
	}
}

static void test_padding_and_other_options(void)
{
	static const uint8_t bytes[14] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
	struct frame f = make(NS, 0, to_group, client_s, group_s);
	struct rig r;

	option(&f, 200, 2, bytes, 14);
	option(&f, 14, 1, bytes, 6); /* a nonce that is not ours */
	option(&f, 2, 1, bytes, 6);  /* a target's address says nothing in a question */
	option(&f, 1, 1, other, 6);
	f.n += 9;
	set_up_quiet(&r);
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.n_sent, 1);
	CHECK(memcmp(r.sent[0].b, other, 6) == 0);
	tear_down(&r);
}

/* -- frames in: whose they are -- */

static void test_own_frames(void)
{
	struct frame f = question();
	struct rig r;

	set_up_quiet(&r);
	memcpy(f.b + 6, mac2, 6); /* our other interface in the same segment */
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.c.v[COUNTER_NDP_DROP_OWN], 1);
	f = make(NA, 0x20, to_all, lla_s, all_s);
	option(&f, 2, 1, mac1, 6); /* our announcement, with an access point's sender */
	give(&r, IF2, &f, 10000);
	CHECK_INT(r.c.v[COUNTER_NDP_DROP_OWN], 2);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(r.n_heard, 0);
	tear_down(&r);
}

/* RFC 7527: a probe of ours that a loop gives back, with another sender. */
static void test_own_nonce(void)
{
	struct frame f = {0};
	struct rig r;

	set_up_quiet(&r);
	CHECK_INT(ann_probe(r.a, IF1, ip(vip_s), 10000), 0);
	f.n = r.sent[0].len;
	memcpy(f.b, r.sent[0].b, f.n);
	memcpy(f.b + 6, peer, 6);
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.c.v[COUNTER_NDP_DROP_OWN], 1);
	CHECK_INT(r.n_heard, 0);
	CHECK_INT(r.n_sent, 1);
	f.b[85] ^= 1;
	seal(&f);
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.n_heard, 1);
	CHECK_INT(r.heard[0].what, ANN_HEARD_PROBE);
	CHECK_INT(r.n_sent, 2); /* and answered */
	tear_down(&r);
}

static void test_sender_is_vip(void)
{
	struct frame f = make(NS, 0, to_group, vip_s, group_s);
	struct rig r;

	addr_to_v6(ip("fd00::101"), f.b + 62);
	seal(&f);
	set_up_quiet(&r);
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.n_heard, 1);
	CHECK_INT(r.heard[0].what, ANN_HEARD_SENDER);
	CHECK(addr_eq(r.heard[0].vip, ip(vip_s)));
	CHECK_INT(r.c.v[COUNTER_NDP_SENDER_IS_VIP], 1);
	CHECK_INT(r.n_sent, 0);
	tear_down(&r);
}

/* -- what is told -- */

static void test_advertisements(void)
{
	static const struct {
		const char *name;
		uint8_t flags;
		bool to_us;
		uint64_t probed_ms; /* 0 = not */
		unsigned probed_if;
		enum ann_heard want;
	} rows[] = {
		{"unsolicited", 0x20, false, 0, 0, ANN_HEARD_CLAIM},
		{"without Override", 0, false, 0, 0, ANN_HEARD_CLAIM},
		{"unsolicited, to us", 0x20, true, 0, 0, ANN_HEARD_CLAIM},
		{"solicited", 0x60, true, 0, 0, ANN_HEARD_ANSWER},
		{"after a probe", 0x20, false, 9001, IF1, ANN_HEARD_ANSWER},
		{"long after a probe", 0x20, false, 9000, IF1, ANN_HEARD_CLAIM},
		{"after a probe elsewhere", 0x20, false, 9999, IF2, ANN_HEARD_CLAIM},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct frame f = make(NA, rows[i].flags, rows[i].to_us ? mac1 : to_all, client_s,
			rows[i].to_us ? lla_s : all_s);
		struct rig r;

		check_row = rows[i].name;
		option(&f, 2, 1, other, 6);
		set_up(&r); /* not announced here: told all the same */
		if (rows[i].probed_ms != 0)
			CHECK_INT(
				ann_probe(r.a, rows[i].probed_if, ip(vip_s), rows[i].probed_ms), 0);
		r.n_sent = 0;
		give(&r, IF1, &f, 10000);
		CHECK_INT(r.n_heard, 1);
		CHECK_INT(r.heard[0].what, rows[i].want);
		CHECK(addr_eq(r.heard[0].vip, ip(vip_s)));
		CHECK(memcmp(r.heard[0].mac, other, 6) == 0);
		CHECK_INT(r.n_sent, 0);
		tear_down(&r);
	}
	check_row = "";
}

static void test_defence(void)
{
	struct frame f = make(NA, 0x20, to_all, client_s, all_s);
	struct ann_info info;
	struct rig r;

	set_up_quiet(&r);
	give(&r, IF1, &f, 10000);
	give(&r, IF1, &f, 19999);
	CHECK_INT(r.n_sent, 1); /* once in 10 s */
	CHECK(strncmp(text(&r, 0), "333300000001", 12) == 0);
	give(&r, IF1, &f, 20000);
	CHECK_INT(r.n_sent, 2);
	CHECK_INT(r.n_heard, 3);
	CHECK_INT(r.c.v[COUNTER_NDP_CLAIMS_HEARD], 3);
	CHECK_INT(r.c.v[COUNTER_NDP_DEFENCES], 2);
	CHECK(ann_info(r.a, IF1, ip(vip_s), &info) && info.foreign &&
		memcmp(info.foreign_mac, peer, 6) == 0);
	r.member = peer;
	give(&r, IF1, &f, 40000);
	CHECK_INT(r.n_sent, 2); /* elect's to judge */
	tear_down(&r);
}

/* More probes at once than are remembered: an answer to one that was displaced is a claim. */
static void test_many_probes(void)
{
	struct frame f = make(NA, 0x20, to_all, client_s, all_s);
	char text_ip[ADDR_STRLEN];
	unsigned answers = 0;
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < 64; i++) {
		(void)snprintf(text_ip, sizeof(text_ip), "fd00::%x", 0x100 + i);
		CHECK_INT(ann_probe(r.a, IF1, ip(text_ip), 10000), 0);
	}
	for (unsigned i = 0; i < 64; i++) {
		f.b[77] = (uint8_t)i;
		seal(&f);
		give(&r, IF1, &f, 10000);
		answers += r.heard[i].what == ANN_HEARD_ANSWER;
	}
	CHECK_INT(r.n_heard, 64);
	CHECK(answers > 32 && r.heard[63].what == ANN_HEARD_ANSWER);
	tear_down(&r);
}

static void test_families(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, ip("192.168.1.1"), 0), -EINVAL);
	CHECK_INT(ann_add(r.a, IF1, ip(vip_s), 0), 0);
	CHECK_INT(ann_add(r.a, IF1, ip("fd00::1:100"), 0), 0); /* the same last 32 bits */
	CHECK_INT(ann_count(r.a), 2);
	ann_del(r.a, IF1, ip("fd00::1:100"));
	CHECK(ann_info(r.a, IF1, ip(vip_s), &(struct ann_info){0}));
	CHECK_INT(ann_count(r.a), 1);
	tear_down(&r);
}

#ifdef MEMORY_CAN_FAIL
/* Whatever allocation fails, the operation says so and leaves all as it was. */
static void test_out_of_memory(void)
{
	static const struct hash_key key = {1, 2};
	struct frame claim = make(NA, 0x20, to_all, client_s, all_s), ask = question();
	struct rig r = {0};
	int err = -ENOMEM;

	fail_after = 0;
	CHECK(ndp_new(&ops, &r, &key, &r.c) == NULL);
	fail_after = -1;
	r.a = ndp_new(&ops, &r, &key, &r.c);
	for (long n = 0; err == -ENOMEM && n < 20; n++) {
		fail_after = n;
		err = ann_set_iface(r.a, IF1, mac1, 0);
		fail_after = -1;
		CHECK_INT(ann_port(r.a, IF1) != NULL, err == 0);
		CHECK_INT(ann_is_own_mac(r.a, mac1, 0), err == 0);
	}
	CHECK_INT(err, 0);
	err = -ENOMEM;
	for (long n = 0; err == -ENOMEM && n < 20; n++) {
		fail_after = n;
		err = ann_add(r.a, IF1, ip(vip_s), 0);
		fail_after = -1;
		CHECK_INT(ann_count(r.a), err == 0);
		CHECK_INT(ann_next_deadline(r.a) != TIME_NEVER, err == 0);
	}
	CHECK_INT(err, 0);
	ann_tick(r.a, 0);
	r.n_sent = 0;
	fail_after = 0;
	give(&r, IF1, &claim, 10000); /* a defence would not be limited */
	give(&r, IF1, &ask, 10000);   /* answered, and its asker not remembered */
	fail_after = -1;
	CHECK_INT(r.n_heard, 1);
	CHECK_INT(r.n_sent, 1);
	tear_down(&r);
}
#endif

CHECK_MAIN("test_ndp", CHECK_TEST(test_announcement_bytes), CHECK_TEST(test_answer_bytes),
	CHECK_TEST(test_bound),
	CHECK_TEST(test_probe_bytes), CHECK_TEST(test_probe_unicast_bytes),
	CHECK_TEST(test_introduction), CHECK_TEST(test_gateway), CHECK_TEST(test_group),
	CHECK_TEST(test_dropped_bytes), CHECK_TEST(test_dropped_forms),
	CHECK_TEST(test_dropped_every_length), CHECK_TEST(test_dropped_every_payload),
	CHECK_TEST(test_padding_and_other_options), CHECK_TEST(test_own_frames),
	CHECK_TEST(test_own_nonce), CHECK_TEST(test_sender_is_vip), CHECK_TEST(test_advertisements),
	CHECK_TEST(test_defence), CHECK_TEST(test_many_probes),
#ifdef MEMORY_CAN_FAIL
	CHECK_TEST(test_out_of_memory),
#endif
	CHECK_TEST(test_families))
