/* SPDX-License-Identifier: Apache-2.0
 *
 * test_arp.c - the ARP responder and announcer: byte-exact frames, the burst by a clock of our own,
 * whose frames are ours, what is told of others.
 */
#include "arp.h"

#include "check.h"

#include <errno.h>

enum { MAX_SENT = 64, MAX_HEARD = 64, IF1 = 3, IF2 = 4 };

static const uint8_t mac1[6] = {0x02, 0, 0, 0, 0, 0x01}, mac1b[6] = {0x02, 0, 0, 0, 0, 0xb1};
static const uint8_t mac2[6] = {0x02, 0, 0, 0, 0, 0x02};
static const uint8_t peer[6] = {0x0a, 0xbb, 0xcc, 0xdd, 0xee, 0x0f},
		     broadcast[6] = {255, 255, 255, 255, 255, 255};
static const uint8_t vip_b[4] = {192, 168, 1, 200}, client_b[4] = {192, 168, 1, 7};
static const uint8_t any_b[4];

struct sent {
	unsigned ifindex;
	uint8_t b[ARP_FRAME_LEN];
};

struct heard {
	enum ann_heard what;
	unsigned ifindex;
	struct addr vip;
	uint8_t mac[6];
};

/* The world around one struct ann. */
struct rig {
	struct ann *a;
	struct counters c;
	struct sent sent[MAX_SENT]; /* the first ones */
	size_t n_sent;
	struct heard heard[MAX_HEARD];
	size_t n_heard;
	int send_rc;           /* what send() says */
	size_t room;           /* frames it takes before it says so */
	bool give_up;          /* heard() gives the VIP up */
	const uint8_t *member; /* NULL = none */
	const char *gateway;   /* NULL = none */
	bool bound;            /* the kernel answers for every address */
};

static int on_send(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct rig *r = ctx;

	CHECK_INT(len, ARP_FRAME_LEN);
	if (r->send_rc != 0 && r->room == 0)
		return r->send_rc;
	r->room -= r->room > 0;
	if (r->n_sent < MAX_SENT) {
		r->sent[r->n_sent].ifindex = ifindex;
		memcpy(r->sent[r->n_sent].b, frame, ARP_FRAME_LEN);
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
	if (r->give_up)
		ann_del(r->a, ifindex, vip);
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
	CHECK_INT(family, ADDR_V4);
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

/* Two interfaces, no VIP. */
static void set_up(struct rig *r)
{
	static const struct hash_key key = {1, 2};

	memset(r, 0, sizeof(*r));
	r->a = arp_new(&ops, r, &key, &r->c);
	if (r->a == NULL || ann_set_iface(r->a, IF1, mac1, 0) != 0 ||
		ann_set_iface(r->a, IF2, mac2, 0) != 0)
		abort();
}

static void tear_down(struct rig *r)
{
	ann_free(r->a);
}

static struct addr vip(void)
{
	return addr_from_v4(vip_b);
}

/* vip() on IF1, its burst over, nothing recorded of it; now is 10 s. */
static void set_up_quiet(struct rig *r)
{
	set_up(r);
	CHECK_INT(ann_add(r->a, IF1, vip(), 0), 0);
	for (int i = 0; i < 3; i++)
		ann_tick(r->a, 10000);
	r->n_sent = 0;
	memset(&r->c, 0, sizeof(r->c));
}

struct frame {
	uint8_t b[64];
	size_t n;
};

static struct frame make(
	const uint8_t *dst, uint8_t op, const uint8_t *sha, const uint8_t *spa, const uint8_t *tpa)
{
	static const uint8_t head[8] = {0x08, 0x06, 0, 1, 8, 0, 6, 4};
	struct frame f = {.n = ARP_FRAME_LEN};

	memcpy(f.b, dst, 6);
	memcpy(f.b + 6, sha, 6);
	memcpy(f.b + 12, head, sizeof(head));
	f.b[21] = op;
	memcpy(f.b + 22, sha, 6);
	memcpy(f.b + 28, spa, 4);
	memcpy(f.b + 38, tpa, 4);
	return f;
}

static void give(struct rig *r, unsigned ifindex, const struct frame *f, uint64_t now_ms)
{
	unsigned char *p = check_guard(f->b, f->n);

	ann_on_frame(r->a, ifindex, p, f->n, now_ms);
	check_unguard(p, f->n);
}

/* "ff ff .." of frame i, spaces between the fields of the packet. */
static const char *text(const struct rig *r, size_t i)
{
	static const uint8_t end[] = {6, 12, 14, 16, 18, 19, 20, 22, 28, 32, 38, 42};
	static char s[3 * ARP_FRAME_LEN];
	size_t at = 0, field = 0;

	if (i >= r->n_sent || i >= MAX_SENT)
		return "(none)";
	for (size_t k = 0; k < ARP_FRAME_LEN; k++) {
		if (k == end[field]) {
			s[at++] = ' ';
			field++;
		}
		at += (size_t)snprintf(s + at, sizeof(s) - at, "%02x", r->sent[i].b[k]);
	}
	return s;
}

#define ANNOUNCE_REQUEST                                                                           \
	"ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0a801c8 000000000000 "  \
	"c0a801c8"
#define ANNOUNCE_REPLY                                                                             \
	"ffffffffffff 020000000001 0806 0001 0800 06 04 0002 020000000001 c0a801c8 020000000001 "  \
	"c0a801c8"

/* -- frames out -- */

static void test_announcement_bytes(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(ann_next_deadline(r.a), 0);
	ann_tick(r.a, 0);
	ann_tick(r.a, 20);
	CHECK_INT(r.n_sent, 2);
	CHECK_STR(text(&r, 0), ANNOUNCE_REQUEST);
	CHECK_STR(text(&r, 1), ANNOUNCE_REPLY);
	CHECK_INT(r.sent[0].ifindex, IF1);
	CHECK_INT(r.c.v[COUNTER_ARP_ANNOUNCEMENTS], 2);
	tear_down(&r);
}

static void test_reply_bytes(void)
{
	static const struct {
		const char *name;
		const uint8_t *dst, *spa;
		const char *want;
	} rows[] = {
		{"broadcast", broadcast, client_b,
			"0abbccddee0f 020000000001 0806 0001 0800 06 04 0002 020000000001 c0a801c8 "
			"0abbccddee0f c0a80107"},
		{"unicast to us", mac1, client_b,
			"0abbccddee0f 020000000001 0806 0001 0800 06 04 0002 020000000001 c0a801c8 "
			"0abbccddee0f c0a80107"},
		{"probe", broadcast, any_b,
			"0abbccddee0f 020000000001 0806 0001 0800 06 04 0002 020000000001 c0a801c8 "
			"0abbccddee0f 00000000"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct frame f = make(rows[i].dst, 1, peer, rows[i].spa, vip_b);
		struct rig r;

		set_up_quiet(&r);
		check_row = rows[i].name;
		give(&r, IF1, &f, 10000);
		CHECK_INT(r.n_sent, 1);
		CHECK_STR(text(&r, 0), rows[i].want);
		CHECK_INT(r.c.v[COUNTER_ARP_REQUESTS], 1);
		CHECK_INT(r.c.v[COUNTER_ARP_REPLIES], 1);
		CHECK_INT(r.n_heard, rows[i].spa == any_b ? 1 : 0);
		tear_down(&r);
	}
}

/* What the kernel answers for itself is not answered twice; the rest goes on. */
static void test_bound(void)
{
	struct frame ask = make(broadcast, 1, peer, client_b, vip_b);
	struct frame probe = make(broadcast, 1, peer, any_b, vip_b);
	struct frame claim = make(broadcast, 1, peer, vip_b, vip_b);
	struct ann_info info;
	struct rig r;

	set_up_quiet(&r);
	r.bound = true;
	give(&r, IF1, &ask, 10000);
	give(&r, IF1, &probe, 10000);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(r.n_heard, 1);
	CHECK(ann_info(r.a, IF1, vip(), &info) && info.requests == 2 && info.replies == 0);
	CHECK_INT(ann_announce(r.a, IF1, vip(), 10000), 0);
	ann_tick(r.a, 10000);
	CHECK_INT(r.n_sent, 2);
	give(&r, IF1, &claim, 10000);
	CHECK_INT(r.n_sent, 4); /* defended */
	r.bound = false;
	give(&r, IF1, &ask, 10000);
	CHECK_INT(r.n_sent, 5);
	tear_down(&r);
}

/* The Ethernet source of an access point or a bond differs; the asker is who the packet names. */
static void test_reply_to_sender_hardware_address(void)
{
	struct frame f = make(broadcast, 1, peer, client_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	f.b[6] = 0x66;
	f.n = 60; /* padded */
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.n_sent, 1);
	CHECK(r.n_sent == 1 && memcmp(r.sent[0].b, peer, 6) == 0);
	tear_down(&r);
}

static void test_probe_bytes(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_probe(r.a, IF2, vip(), 0), 0);
	CHECK_STR(text(&r, 0),
		"ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 00000000 "
		"000000000000 c0a801c8");
	CHECK_INT(r.c.v[COUNTER_ARP_PROBES], 1);
	CHECK_INT(ann_probe_unicast(r.a, IF2, vip(), peer, 0), 0);
	CHECK_STR(text(&r, 1),
		"0abbccddee0f 020000000002 0806 0001 0800 06 04 0001 020000000002 00000000 "
		"000000000000 c0a801c8");
	r.c.v[COUNTER_ARP_PROBES] = 1;
	CHECK_INT(ann_probe(r.a, 99, vip(), 0), -ENODEV);
	CHECK_INT(ann_probe(r.a, IF1, (struct addr){.hi = 1}, 0), -EINVAL);
	r.send_rc = -ENETDOWN;
	CHECK_INT(ann_probe(r.a, IF1, vip(), 0), -ENETDOWN);
	CHECK_INT(r.c.v[COUNTER_ARP_PROBES], 1);
	CHECK_INT(r.c.v[COUNTER_ARP_SEND_ERRORS], 1);
	tear_down(&r);
}

/* A station that asked for the VIP while another had it gets a request of its own after the take,
 * with the second step of the burst; one that asked long ago, elsewhere or for another does not. */
static void test_introduction(void)
{
	static const uint8_t other_b[4] = {192, 168, 1, 201}, late_b[4] = {192, 168, 1, 8};
	const struct frame ask = make(broadcast, 1, peer, client_b, vip_b);
	const struct frame ask_other = make(broadcast, 1, peer, late_b, other_b);
	struct rig r;

	set_up(&r);
	give(&r, IF1, &ask, 1000);
	give(&r, IF1, &ask, 2000); /* again: still one */
	give(&r, IF1, &ask_other, 2000);
	give(&r, IF2, &ask, 2000);
	CHECK_INT(ann_add(r.a, IF1, vip(), 301000), 0);
	ann_tick(r.a, 301000);
	ann_tick(r.a, 301020);
	CHECK_INT(r.n_sent, 2);
	ann_tick(r.a, 301100);
	CHECK_INT(r.n_sent, 5);
	CHECK_STR(text(&r, 4),
		"0abbccddee0f 020000000001 0806 0001 0800 06 04 0001 020000000001 c0a801c8 "
		"000000000000 c0a80107");
	CHECK_INT(r.c.v[COUNTER_ARP_INTRODUCTIONS], 1);
	ann_tick(r.a, 301400);
	CHECK_INT(r.n_sent, 7);
	ann_del(r.a, IF1, vip());
	CHECK_INT(ann_add(r.a, IF1, vip(), 302000), 0);
	ann_tick(r.a, 302000);
	ann_tick(r.a, 302020);
	ann_tick(r.a, 302100);
	CHECK_INT(r.c.v[COUNTER_ARP_INTRODUCTIONS], 1); /* asked five minutes ago */
	tear_down(&r);
}

/* More askers than are remembered: a bounded number is told. */
static void test_many_askers(void)
{
	struct rig r;

	set_up(&r);
	for (unsigned i = 1; i < 255; i++) {
		const uint8_t ip[4] = {192, 168, 2, (uint8_t)i};
		const struct frame ask = make(broadcast, 1, peer, ip, vip_b);

		give(&r, IF1, &ask, 1000);
	}
	CHECK_INT(ann_add(r.a, IF1, vip(), 1000), 0);
	ann_tick(r.a, 1000);
	ann_tick(r.a, 1020);
	ann_tick(r.a, 1100);
	CHECK_INT(r.c.v[COUNTER_ARP_INTRODUCTIONS], 64);
	tear_down(&r);
}

/* The gateway's MAC is not known: all hear the request for it. */
static void test_gateway(void)
{
	struct rig r;

	set_up(&r);
	r.gateway = "192.168.1.1";
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	ann_tick(r.a, 0);
	ann_tick(r.a, 20);
	CHECK_INT(r.n_sent, 2);
	ann_tick(r.a, 100);
	CHECK_INT(r.n_sent, 5);
	CHECK_STR(text(&r, 4),
		"ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0a801c8 "
		"000000000000 c0a80101");
	CHECK_INT(r.c.v[COUNTER_ARP_INTRODUCTIONS], 1);
	tear_down(&r);
}

/* No frame that Linux ignores: a reply to the broadcast hardware address (locktime). */
static void test_never_target_broadcast(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	for (uint64_t now = 0; now <= 6000; now += 50)
		ann_tick(r.a, now);
	for (size_t i = 0; i < r.n_sent; i++)
		CHECK(memcmp(r.sent[i].b + 32, broadcast, 6) != 0);
	tear_down(&r);
}

/* -- the clock -- */

static void test_burst_schedule(void)
{
	static const uint64_t at[] = {1000, 1100, 1400, 1800, 3000, 6000};
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	CHECK_INT(ann_add(r.a, IF1, vip(), 1000), 0);
	CHECK(ann_next_deadline(r.a) <= 1000);
	ann_tick(r.a, 1000);
	CHECK_INT(r.n_sent, 1);
	CHECK_INT(ann_next_deadline(r.a), 1020); /* the other form */
	ann_tick(r.a, 1019);
	CHECK_INT(r.n_sent, 1);
	ann_tick(r.a, 1020);
	CHECK_INT(r.n_sent, 2);
	CHECK(r.sent[0].b[21] == 1 && r.sent[1].b[21] == 2);
	for (size_t i = 1; i < ARRAY_LEN(at); i++) {
		CHECK_INT(ann_next_deadline(r.a), at[i]);
		ann_tick(r.a, at[i] - 1);
		CHECK_INT(r.n_sent, 2 * i);
		ann_tick(r.a, at[i]);
		CHECK_INT(r.n_sent, 2 * i + 2);
	}
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	CHECK_INT(ann_add(r.a, IF1, vip(), 7000), 0); /* idempotent */
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	tear_down(&r);
}

/* A late tick sends once, not once for each moment it missed. */
static void test_burst_after_stall(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	for (int i = 0; i < 3; i++)
		ann_tick(r.a, 900);
	CHECK_INT(r.n_sent, 4); /* the first one, what it left out, and one for the rest */
	CHECK_INT(ann_next_deadline(r.a), 2000);
	tear_down(&r);
}

static void test_announce_again(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_announce(r.a, IF1, vip(), 0), -ENOENT);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	ann_tick(r.a, 0);
	CHECK_INT(ann_announce(r.a, IF1, vip(), 10), 0);
	CHECK_INT(ann_next_deadline(r.a), 10);
	ann_tick(r.a, 10);
	CHECK_INT(r.n_sent, 3); /* in both forms: the one that was still to come is not repeated */
	CHECK_INT(ann_next_deadline(r.a), 100);
	CHECK_INT(ann_announce(r.a, IF1, vip(), 50), 0);
	ann_tick(r.a, 50);
	CHECK_INT(r.n_sent, 5);
	CHECK_INT(ann_next_deadline(r.a), 100); /* the burst goes on */
	ann_tick(r.a, 9000);
	CHECK_INT(ann_announce(r.a, IF1, vip(), 9500), 0);
	ann_tick(r.a, 9500);
	CHECK_INT(r.n_sent, 9);
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	tear_down(&r);
}

static void test_reannounce(void)
{
	uint64_t first;
	struct rig r;

	set_up_quiet(&r);
	ann_set_reannounce(r.a, 600000, 10000);
	first = ann_next_deadline(r.a);
	CHECK(first > 10000 && first <= 610000);
	ann_tick(r.a, first);
	CHECK_INT(r.n_sent, 2);
	CHECK_INT(ann_next_deadline(r.a), first + 600000);
	ann_set_reannounce(r.a, 0, first);
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	tear_down(&r);
}

/* Many addresses: spread over the period, yet in few moments. */
static void test_reannounce_spread(void)
{
	enum { N = 1000, PERIOD = 128000 };
	uint64_t now = 10000, moments = 0, most = 0;
	uint8_t b[4] = {10, 0, 0, 0};
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < N; i++) {
		b[2] = (uint8_t)(i >> 8);
		b[3] = (uint8_t)i;
		CHECK_INT(ann_add(r.a, IF1, addr_from_v4(b), 0), 0);
	}
	while (ann_next_deadline(r.a) <= now)
		ann_tick(r.a, now);
	r.n_sent = 0;
	ann_set_reannounce(r.a, PERIOD, now);
	for (; ann_next_deadline(r.a) <= 10000 + PERIOD; moments++) {
		uint64_t before = r.n_sent;

		now = ann_next_deadline(r.a);
		ann_tick(r.a, now);
		most = r.n_sent - before > most ? r.n_sent - before : most;
	}
	CHECK_INT(r.n_sent, 2 * N);
	CHECK(moments <= 128 && moments > 100);
	CHECK(most < 2 * 30);
	tear_down(&r);
}

static void test_del_stops_at_once(void)
{
	struct frame f = make(broadcast, 1, peer, client_b, vip_b);
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	ann_del(r.a, IF1, vip());
	ann_del(r.a, IF1, vip());
	CHECK_INT(ann_count(r.a), 0);
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	ann_tick(r.a, 1);
	give(&r, IF1, &f, 1);
	CHECK_INT(r.n_sent, 0);
	tear_down(&r);
}

static void test_add_refusals(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, 99, vip(), 0), -ENODEV);
	CHECK_INT(ann_add(r.a, IF1, (struct addr){.hi = 0xfd00000000000000u}, 0), -EINVAL);
	CHECK_INT(ann_count(r.a), 0);
	tear_down(&r);
}

/* -- many, and a socket that is full -- */

static void add_many(struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t b[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

		if (ann_add(r->a, IF1, addr_from_v4(b), 0) != 0)
			abort();
	}
}

/* Each once before any in its second form, or again. */
static void test_many_in_slices(void)
{
	struct rig r;

	set_up(&r);
	add_many(&r, 10000);
	ann_tick(r.a, 0);
	CHECK(r.n_sent > 0 && r.n_sent <= 256);
	CHECK_INT(ann_next_deadline(r.a), 0);
	for (int i = 0; i < 100 && ann_next_deadline(r.a) == 0; i++)
		ann_tick(r.a, 500);
	CHECK_INT(r.n_sent, 10000);
	CHECK_INT(ann_next_deadline(r.a), 20);
	for (int i = 0; i < 200 && ann_next_deadline(r.a) < 500; i++)
		ann_tick(r.a, 500);
	CHECK_INT(r.n_sent, 40000); /* what the first ones left out, and one more for 100 and 400 ms */
	CHECK_INT(ann_next_deadline(r.a), 800);
	CHECK_INT(ann_count(r.a), 10000);
	tear_down(&r);
}

static void test_order_of_deadlines(void)
{
	struct rig r;
	uint64_t last = 19;

	set_up(&r);
	for (unsigned i = 0; i < 500; i++) {
		const uint8_t b[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};

		CHECK_INT(ann_add(r.a, IF1, addr_from_v4(b), (i * 7919) % 19), 0);
	}
	for (unsigned i = 0; i < 500; i += 3) { /* holes in the heap */
		const uint8_t b[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};

		ann_del(r.a, IF1, addr_from_v4(b));
	}
	for (int i = 0; i < 2; i++)
		ann_tick(r.a, last);
	while (ann_next_deadline(r.a) != TIME_NEVER) {
		CHECK(ann_next_deadline(r.a) >= last);
		last = ann_next_deadline(r.a);
		ann_tick(r.a, last);
	}
	CHECK_INT(r.n_sent, 333 * 6 * 2);
	tear_down(&r);
}

static void test_full_socket_is_tried_again(void)
{
	static const int errors[] = {-EAGAIN, -ENOBUFS};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct rig r;

		set_up(&r);
		add_many(&r, 100);
		r.send_rc = errors[i];
		r.room = 21;
		ann_tick(r.a, 0);
		CHECK_INT(r.n_sent, 21);
		CHECK_INT(r.c.v[COUNTER_ARP_SEND_ERRORS], 1); /* not one for each that waits */
		CHECK_INT(ann_next_deadline(r.a), 2);
		r.send_rc = 0;
		ann_tick(r.a, 2);
		CHECK_INT(r.n_sent, 100);
		ann_tick(r.a, 20);
		ann_tick(r.a, 22);
		CHECK_INT(r.n_sent, 200);
		r.send_rc = errors[i];
		r.room = 21;
		ann_tick(r.a, 100);
		r.send_rc = 0;
		ann_tick(r.a, 102);
		CHECK_INT(r.n_sent, 200 + 21 + 90 * 2); /* the one cut in two is sent whole again */
		CHECK_INT(ann_next_deadline(r.a), 400);
		tear_down(&r);
	}
}

static void test_full_socket_gives_up(void)
{
	uint64_t now = 0;
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	r.send_rc = -ENOBUFS;
	for (unsigned n = 0; ann_next_deadline(r.a) < 5000; n++) {
		CHECK(n < 500);
		now = time_max(now, ann_next_deadline(r.a));
		ann_tick(r.a, now);
	}
	ann_tick(r.a, 5000);
	ann_tick(r.a, 5200);
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	CHECK_INT(r.n_sent, 0);
	tear_down(&r);
}

static void test_other_error_goes_on(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	r.send_rc = -ENETDOWN;
	ann_tick(r.a, 0);
	CHECK_INT(ann_next_deadline(r.a), 20);
	CHECK_INT(r.c.v[COUNTER_ARP_SEND_ERRORS], 1);
	r.send_rc = 0;
	ann_tick(r.a, 20);
	CHECK_INT(r.n_sent, 1);
	tear_down(&r);
}

/* A full socket on one interface does not hold up another. */
static void test_full_socket_is_per_interface(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	r.send_rc = -ENOBUFS;
	ann_tick(r.a, 0);
	r.send_rc = 0;
	CHECK_INT(ann_add(r.a, IF2, vip(), 1), 0);
	ann_tick(r.a, 1);
	CHECK_INT(r.n_sent, 1);
	CHECK_INT(r.sent[0].ifindex, IF2);
	tear_down(&r);
}

/* -- frames in: malformed, not for us -- */

static void test_dropped(void)
{
	static const struct {
		const char *name;
		size_t at; /* the byte there becomes v */
		uint8_t v;
		size_t len;
		enum counter_id want;
	} rows[] = {
		{"empty", 0, 0xff, 0, COUNTER_ARP_DROP_SHORT},
		{"no Ethernet header", 0, 0xff, 13, COUNTER_ARP_DROP_SHORT},
		{"header alone", 0, 0xff, 14, COUNTER_ARP_DROP_SHORT},
		{"one byte short", 0, 0xff, 41, COUNTER_ARP_DROP_SHORT},
		{"IPv4", 13, 0x00, 42, COUNTER_ARP_DROP_ETHERTYPE},
		{"RARP", 12, 0x80, 42, COUNTER_ARP_DROP_ETHERTYPE},
		{"VLAN tag, short", 12, 0x81, 14, COUNTER_ARP_DROP_ETHERTYPE},
		{"hardware type", 15, 6, 42, COUNTER_ARP_DROP_FORMAT},
		{"hardware type, high byte", 14, 1, 42, COUNTER_ARP_DROP_FORMAT},
		{"protocol type", 16, 0x86, 42, COUNTER_ARP_DROP_FORMAT},
		{"hardware length", 18, 8, 42, COUNTER_ARP_DROP_FORMAT},
		{"protocol length", 19, 16, 42, COUNTER_ARP_DROP_FORMAT},
		{"protocol length 0", 19, 0, 42, COUNTER_ARP_DROP_FORMAT},
		{"operation 0", 21, 0, 42, COUNTER_ARP_DROP_FORMAT},
		{"operation 3", 21, 3, 42, COUNTER_ARP_DROP_FORMAT},
		{"operation 257", 20, 1, 42, COUNTER_ARP_DROP_FORMAT},
		{"multicast sender", 22, 0x01, 42, COUNTER_ARP_DROP_SENDER},
		{"multicast sender address", 28, 224, 42, COUNTER_ARP_DROP_SENDER},
		{"broadcast sender address", 28, 255, 42, COUNTER_ARP_DROP_SENDER},
		{"to another station", 5, 0x55, 42, COUNTER_ARP_DROP_IFACE},
		{"to a group", 0, 0x01, 42, COUNTER_ARP_DROP_IFACE},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct frame f = make(broadcast, 1, peer, client_b, vip_b);
		struct rig r;
		uint64_t all = 0;

		set_up_quiet(&r);
		check_row = rows[i].name;
		f.b[rows[i].at] = rows[i].v;
		f.n = rows[i].len;
		give(&r, IF1, &f, 10000);
		CHECK_INT(r.n_sent, 0);
		CHECK_INT(r.n_heard, 0);
		CHECK_INT(r.c.v[rows[i].want], 1);
		for (size_t k = 0; k < COUNTER_COUNT; k++)
			all += r.c.v[k];
		CHECK_INT(all, 1);
		tear_down(&r);
	}
}

static void test_dropped_every_length(void)
{
	struct frame f = make(broadcast, 1, peer, client_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	for (f.n = 0; f.n < ARP_FRAME_LEN; f.n++)
		give(&r, IF1, &f, 10000);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(r.c.v[COUNTER_ARP_DROP_SHORT], ARP_FRAME_LEN);
	tear_down(&r);
}

/* 802.1Q and 802.1ad: of another segment than the interface's own. */
static void test_dropped_vlan(void)
{
	static const uint8_t tpid[][2] = {{0x81, 0x00}, {0x88, 0xa8}};

	for (size_t i = 0; i < ARRAY_LEN(tpid); i++) {
		struct frame f = make(broadcast, 1, peer, client_b, vip_b);
		struct rig r;

		set_up_quiet(&r);
		memmove(f.b + 16, f.b + 12, ARP_FRAME_LEN - 12);
		memcpy(f.b + 12, tpid[i], 2);
		f.b[14] = 0;
		f.b[15] = 20;
		f.n += 4;
		give(&r, IF1, &f, 10000);
		CHECK_INT(r.n_sent, 0);
		CHECK_INT(r.c.v[COUNTER_ARP_DROP_ETHERTYPE], 1);
		tear_down(&r);
	}
}

static void test_dropped_zero_senders(void)
{
	static const uint8_t zero[6];
	struct frame f = make(broadcast, 1, zero, client_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	give(&r, IF1, &f, 10000);
	f = make(broadcast, 2, peer, any_b, vip_b); /* a reply from nobody */
	give(&r, IF1, &f, 10000);
	f = make(broadcast, 1, peer, any_b, any_b); /* a probe for nothing */
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.c.v[COUNTER_ARP_DROP_SENDER], 3);
	CHECK_INT(r.n_sent + r.n_heard, 0);
	tear_down(&r);
}

static void test_only_where_announced(void)
{
	static const uint8_t other_b[4] = {192, 168, 1, 201};
	struct frame f = make(broadcast, 1, peer, client_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	give(&r, IF2, &f, 10000);
	CHECK_INT(r.n_sent, 0);
	give(&r, 99, &f, 10000);
	CHECK_INT(r.c.v[COUNTER_ARP_DROP_IFACE], 1);
	f = make(broadcast, 1, peer, client_b, other_b);
	give(&r, IF1, &f, 10000);
	CHECK_INT(r.n_sent + r.n_heard, 0);
	tear_down(&r);
}

/* -- own frames -- */

static void test_own_frames(void)
{
	struct frame f = make(broadcast, 1, mac2, vip_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	give(&r, IF1, &f, 10000); /* the second interface in the same segment */
	f = make(broadcast, 1, mac1, client_b, vip_b); /* hairpinned */
	give(&r, IF1, &f, 10000);
	f = make(broadcast, 2, mac1, vip_b, client_b);
	give(&r, 99, &f, 10000);
	CHECK_INT(r.c.v[COUNTER_ARP_DROP_OWN], 3);
	CHECK_INT(r.n_sent + r.n_heard, 0);
	tear_down(&r);
}

static void test_own_mac_for_60_s(void)
{
	struct frame f = make(broadcast, 1, mac1, vip_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	CHECK_INT(ann_set_iface(r.a, IF1, mac1b, 20000), 0);
	CHECK(ann_is_own_mac(r.a, mac1b, 20000) && ann_is_own_mac(r.a, mac1, 79999));
	CHECK(!ann_is_own_mac(r.a, mac1, 80000));
	give(&r, IF1, &f, 79999);
	CHECK_INT(r.n_heard, 0);
	give(&r, IF1, &f, 80000);
	CHECK_INT(r.n_heard, 1);
	ann_del_iface(r.a, IF2, 90000);
	CHECK(ann_is_own_mac(r.a, mac2, 149999) && !ann_is_own_mac(r.a, mac2, 150000));
	CHECK(!ann_is_own_mac(r.a, peer, 0));
	tear_down(&r);
}

/* A VLAN has its parent's MAC: it stays ours as long as one of them has it. */
static void test_own_mac_shared(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_set_iface(r.a, 5, mac1, 0), 0);
	ann_del_iface(r.a, IF1, 0);
	CHECK(ann_is_own_mac(r.a, mac1, 1000000));
	ann_del_iface(r.a, 5, 1000000);
	CHECK(ann_is_own_mac(r.a, mac1, 1059999));
	CHECK_INT(ann_set_iface(r.a, 6, mac1, 1060000), 0); /* came back after its time */
	CHECK(ann_is_own_mac(r.a, mac1, 2000000));
	tear_down(&r);
}

static void test_own_mac_churn(void)
{
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < 20000; i++) { /* a MAC that changes each ms, all within the 60 s */
		const uint8_t mac[6] = {2, 9, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};

		if (ann_set_iface(r.a, IF1, mac, i) != 0)
			abort();
	}
	CHECK(!ann_is_own_mac(r.a, mac1, 20000)); /* the oldest is forgotten: there is a limit */
	CHECK(ann_is_own_mac(r.a, mac2, 20000));
	tear_down(&r);
}

/* -- interfaces -- */

static void test_mac_change_announces(void)
{
	struct frame f = make(broadcast, 1, peer, client_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	CHECK_INT(ann_set_iface(r.a, IF1, mac1, 20000), 0);
	CHECK_INT(ann_next_deadline(r.a), TIME_NEVER);
	CHECK_INT(ann_set_iface(r.a, IF1, mac1b, 20000), 0);
	CHECK(ann_next_deadline(r.a) <= 20000);
	ann_tick(r.a, 20000);
	CHECK_STR(text(&r, 0),
		"ffffffffffff 0200000000b1 0806 0001 0800 06 04 0001 0200000000b1 c0a801c8 "
		"000000000000 c0a801c8");
	CHECK_INT(ann_next_deadline(r.a), 20020); /* a whole burst */
	give(&r, IF1, &f, 20001);
	CHECK(r.n_sent == 2 && memcmp(r.sent[1].b + 22, mac1b, 6) == 0);
	tear_down(&r);
}

static void test_iface_gone(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	CHECK_INT(ann_add(r.a, IF2, vip(), 0), 0);
	ann_del_iface(r.a, IF1, 0);
	ann_del_iface(r.a, IF1, 0);
	CHECK_INT(ann_count(r.a), 1);
	ann_tick(r.a, 0);
	CHECK_INT(r.n_sent, 1);
	CHECK_INT(r.sent[0].ifindex, IF2);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), -ENODEV);
	tear_down(&r);
}

static bool is_if2(void *ctx, unsigned ifindex)
{
	(*(unsigned *)ctx)++;
	return ifindex == IF2;
}

static void test_retain_ifaces(void)
{
	unsigned asked = 0;
	struct rig r;

	set_up(&r);
	CHECK_INT(ann_add(r.a, IF1, vip(), 0), 0);
	CHECK_INT(ann_add(r.a, IF2, vip(), 0), 0);
	ann_retain_ifaces(r.a, is_if2, &asked, 1000);
	CHECK_INT(asked, 2);
	CHECK_INT(ann_count(r.a), 1);
	CHECK(ann_info(r.a, IF2, vip(), &(struct ann_info){0}));
	CHECK(!ann_is_own_mac(r.a, mac1, 61000) && ann_is_own_mac(r.a, mac2, 61000));
	tear_down(&r);
}

/* -- what others say -- */

static void test_heard(void)
{
	static const struct {
		const char *name;
		uint8_t op;
		const uint8_t *spa, *tpa;
		bool announced;
		int what; /* -1 = nothing */
	} rows[] = {
		{"announcement request", 1, vip_b, vip_b, true, ANN_HEARD_CLAIM},
		{"announcement reply", 2, vip_b, vip_b, true, ANN_HEARD_CLAIM},
		{"announcement, not ours", 1, vip_b, vip_b, false, ANN_HEARD_CLAIM},
		{"answer", 2, vip_b, client_b, true, ANN_HEARD_ANSWER},
		{"answer to a probe", 2, vip_b, any_b, false, ANN_HEARD_ANSWER},
		{"probe", 1, any_b, vip_b, true, ANN_HEARD_PROBE},
		{"probe, not ours", 1, any_b, vip_b, false, ANN_HEARD_PROBE},
		{"kube-proxy without strictARP", 1, vip_b, client_b, true, ANN_HEARD_SENDER},
		{"the same, not ours", 1, vip_b, client_b, false, -1},
		{"client", 1, client_b, vip_b, true, -1},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct frame f = make(broadcast, rows[i].op, peer, rows[i].spa, rows[i].tpa);
		struct rig r;

		set_up_quiet(&r);
		check_row = rows[i].name;
		if (!rows[i].announced)
			ann_del(r.a, IF1, vip());
		give(&r, IF1, &f, 10000);
		CHECK_INT(r.n_heard, rows[i].what >= 0 ? 1 : 0);
		if (r.n_heard == 1) {
			CHECK_INT(r.heard[0].what, rows[i].what);
			CHECK_INT(r.heard[0].ifindex, IF1);
			CHECK(addr_eq(r.heard[0].vip, vip()));
			CHECK(memcmp(r.heard[0].mac, peer, 6) == 0);
		}
		CHECK_INT(r.c.v[COUNTER_ARP_SENDER_IS_VIP], rows[i].what == ANN_HEARD_SENDER);
		CHECK_INT(r.c.v[COUNTER_ARP_CLAIMS_HEARD],
			rows[i].what == ANN_HEARD_CLAIM && rows[i].announced);
		tear_down(&r);
	}
}

static void test_defence_rate(void)
{
	struct frame f = make(broadcast, 1, peer, vip_b, vip_b);
	struct ann_info info;
	struct rig r;

	set_up_quiet(&r);
	for (uint64_t now = 20000; now < 50000; now += 100)
		give(&r, IF1, &f, now);
	CHECK_INT(r.c.v[COUNTER_ARP_DEFENCES], 3);
	CHECK_INT(r.n_sent, 6);
	CHECK_STR(text(&r, 0), ANNOUNCE_REQUEST);
	CHECK_INT(ann_count(r.a), 1); /* never yielded */
	CHECK(ann_info(r.a, IF1, vip(), &info) && info.foreign && info.foreign_ms == 49900 &&
		memcmp(info.foreign_mac, peer, 6) == 0);
	tear_down(&r);
}

/* No defence of what heard() gave up, nor against a member: that is elect's. */
static void test_no_defence(void)
{
	struct frame f = make(broadcast, 2, peer, vip_b, vip_b);
	struct ann_info info;
	struct rig r;

	set_up_quiet(&r);
	r.member = peer;
	give(&r, IF1, &f, 20000);
	CHECK_INT(r.n_heard, 1);
	CHECK(ann_info(r.a, IF1, vip(), &info) && !info.foreign);
	r.member = NULL;
	r.give_up = true;
	give(&r, IF1, &f, 20000);
	CHECK_INT(r.n_heard, 2);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(ann_count(r.a), 0);
	tear_down(&r);
}

/* A probe for our VIP is answered before heard() may give the VIP up. */
static void test_probe_answered_first(void)
{
	struct frame f = make(broadcast, 1, peer, any_b, vip_b);
	struct rig r;

	set_up_quiet(&r);
	r.give_up = true;
	give(&r, IF1, &f, 20000);
	CHECK_INT(r.n_sent, 1);
	CHECK_INT(ann_count(r.a), 0);
	tear_down(&r);
}

static void test_info(void)
{
	struct frame f = make(broadcast, 1, peer, client_b, vip_b);
	struct ann_info info;
	struct rig r;

	set_up(&r);
	CHECK(!ann_info(r.a, IF1, vip(), &info));
	CHECK(!ann_info(r.a, IF1, (struct addr){.hi = 1}, &info));
	CHECK_INT(ann_add(r.a, IF1, vip(), 77), 0);
	ann_tick(r.a, 77);
	give(&r, IF1, &f, 78);
	r.send_rc = -EAGAIN;
	give(&r, IF1, &f, 79);
	CHECK(ann_info(r.a, IF1, vip(), &info));
	CHECK(info.since_ms == 77 && info.ifindex == IF1 && addr_eq(info.ip, vip()));
	CHECK(info.requests == 2 && info.replies == 1 && info.announcements == 1);
	CHECK(!info.foreign);
	tear_down(&r);
	ann_free(NULL);
}

CHECK_MAIN("test_arp", CHECK_TEST(test_announcement_bytes), CHECK_TEST(test_reply_bytes),
	CHECK_TEST(test_reply_to_sender_hardware_address), CHECK_TEST(test_probe_bytes), CHECK_TEST(test_introduction), CHECK_TEST(test_gateway),
	CHECK_TEST(test_bound),
	CHECK_TEST(test_many_askers),
	CHECK_TEST(test_never_target_broadcast), CHECK_TEST(test_burst_schedule),
	CHECK_TEST(test_burst_after_stall), CHECK_TEST(test_announce_again),
	CHECK_TEST(test_reannounce), CHECK_TEST(test_reannounce_spread),
	CHECK_TEST(test_del_stops_at_once), CHECK_TEST(test_add_refusals),
	CHECK_TEST(test_many_in_slices), CHECK_TEST(test_order_of_deadlines),
	CHECK_TEST(test_full_socket_is_tried_again), CHECK_TEST(test_full_socket_gives_up),
	CHECK_TEST(test_other_error_goes_on), CHECK_TEST(test_full_socket_is_per_interface),
	CHECK_TEST(test_dropped), CHECK_TEST(test_dropped_every_length),
	CHECK_TEST(test_dropped_vlan), CHECK_TEST(test_dropped_zero_senders),
	CHECK_TEST(test_only_where_announced), CHECK_TEST(test_own_frames),
	CHECK_TEST(test_own_mac_for_60_s), CHECK_TEST(test_own_mac_shared),
	CHECK_TEST(test_own_mac_churn), CHECK_TEST(test_mac_change_announces),
	CHECK_TEST(test_iface_gone), CHECK_TEST(test_retain_ifaces), CHECK_TEST(test_heard),
	CHECK_TEST(test_defence_rate), CHECK_TEST(test_no_defence),
	CHECK_TEST(test_probe_answered_first), CHECK_TEST(test_info))
