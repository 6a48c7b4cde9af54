/* SPDX-License-Identifier: Apache-2.0
 *
 * test_net.c - rtnetlink, capture and injection on a real kernel: a network namespace of this
 * process's own with a veth pair, v0 (ours) and v1 (the wire's other end, a plain packet socket).
 *
 * Nothing sleeps: the loop turns until the condition holds, ten seconds at most.  That a frame was
 * not captured is shown by a later one that was.
 */
#include "net.h"

#include "check.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { DEADLINE_MS = 10000, MAX_FRAMES = 512, FRAME_LEN = 42, NS_LEN = 86 };

static const uint8_t mac_v0[6] = {2, 0, 0, 0, 7, 0}, mac_v1[6] = {2, 0, 0, 0, 7, 1};

struct rig {
	uv_loop_t loop;
	uv_timer_t deadline;
	bool late;
	struct counters c;
	struct net *net;
	bool closed;
	unsigned ifaces; /* calls of on_ifaces() */
	bool heard_when_told;
	unsigned v0;     /* ifindex */
	int wire;        /* packet socket on v1 */
	uint8_t frame[MAX_FRAMES][96];
	size_t len[MAX_FRAMES];
	unsigned from[MAX_FRAMES];
	size_t n;
	void (*in_frame)(struct rig *r); /* done from within on_frame() */
};

/* -- the outside -- */

static bool command(const char *line)
{
	extern char **environ;
	char copy[256], *argv[24], *save = NULL;
	size_t n = 0;
	int status;
	pid_t pid;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	argv[n] = NULL;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return false;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_wire(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	at.sll_ifindex = (int)if_nametoindex("v1");
	CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0);
	return fd;
}

static void make_pair(void)
{
	CHECK(command("ip link add v0 address 02:00:00:00:07:00 type veth peer name v1 address "
		      "02:00:00:00:07:01"));
	CHECK(command("ip link set v1 up"));
	CHECK(command("ip link set v0 up"));
}

/* An ARP request from v1's side. */
static void make_arp(uint8_t f[FRAME_LEN], const uint8_t spa[4], const uint8_t tpa[4])
{
	static const uint8_t head[10] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};

	memset(f, 0, FRAME_LEN);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac_v1, 6);
	memcpy(f + 12, head, sizeof(head));
	memcpy(f + 22, mac_v1, 6);
	memcpy(f + 28, spa, 4);
	memcpy(f + 38, tpa, 4);
}

static void wire_send(const struct rig *r, const void *f, size_t len)
{
	CHECK(send(r->wire, f, len, 0) == (ssize_t)len);
}

static void wire_ask(const struct rig *r, const char *sender, const char *target)
{
	uint8_t f[FRAME_LEN], spa[4], tpa[4];
	struct addr a, b;

	CHECK(addr_parse(sender, strlen(sender), &a) == 0);
	CHECK(addr_parse(target, strlen(target), &b) == 0);
	addr_to_v4(a, spa);
	addr_to_v4(b, tpa);
	make_arp(f, spa, tpa);
	wire_send(r, f, sizeof(f));
}

/* -- the inside -- */

static void on_frame(
	void *ctx, enum addr_family family, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct rig *r = ctx;

	CHECK_INT(family, frame[13] == 0xdd ? ADDR_V6 : ADDR_V4);
	CHECK(len >= FRAME_LEN && len <= 256);
	if (r->n < MAX_FRAMES) {
		memcpy(r->frame[r->n], frame, len < 96 ? len : 96);
		r->len[r->n] = len;
		r->from[r->n] = ifindex;
	}
	r->n++;
	if (r->in_frame != NULL)
		r->in_frame(r);
}

static void on_ifaces(void *ctx)
{
	struct rig *r = ctx;
	const struct iface *i = iface_get(net_ifaces(r->net), r->v0);

	r->ifaces++;
	r->heard_when_told = i != NULL && i->capture[ADDR_V4] == IFACE_HEARD;
}

static void on_closed(void *ctx)
{
	struct rig *r = ctx;

	r->closed = true;
}

static const struct net_ops ops = {
	.on_frame = on_frame, .on_ifaces = on_ifaces, .on_closed = on_closed};

static void on_deadline(uv_timer_t *t)
{
	struct rig *r = t->data;

	r->late = true;
}

/* Turns the loop until cond holds. */
#define UNTIL(r, cond)                                                                             \
	do {                                                                                       \
		(r)->late = false;                                                                 \
		(void)uv_timer_start(&(r)->deadline, on_deadline, DEADLINE_MS, 0);                 \
		while (!(cond) && !(r)->late)                                                      \
			(void)uv_run(&(r)->loop, UV_RUN_ONCE);                                     \
		(void)uv_timer_stop(&(r)->deadline);                                               \
		CHECK(cond);                                                                       \
	} while (0)

/* How often the loop wakes up in so long. */
static unsigned turns(struct rig *r, uint64_t ms)
{
	unsigned n = 0;

	r->late = false;
	(void)uv_timer_start(&r->deadline, on_deadline, ms, 0);
	for (; !r->late; n++)
		(void)uv_run(&r->loop, UV_RUN_ONCE);
	return n;
}

static const struct iface *named(const struct rig *r, const char *name)
{
	return iface_named(net_ifaces(r->net), name);
}

static bool is_up(const struct rig *r, const char *name)
{
	const struct iface *i = named(r, name);

	return i != NULL && i->up;
}

static void set_up_bare(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->wire = -1;
	CHECK_INT(uv_loop_init(&r->loop), 0);
	CHECK_INT(uv_timer_init(&r->loop, &r->deadline), 0);
	r->deadline.data = r;
	CHECK_INT(net_open(&r->loop, &ops, r, &r->c, &r->net), 0);
}

static void set_up(struct rig *r)
{
	make_pair();
	set_up_bare(r);
	r->wire = open_wire();
	UNTIL(r, is_up(r, "v0"));
	r->v0 = named(r, "v0") != NULL ? named(r, "v0")->ifindex : 0;
}

static void tear_down(struct rig *r)
{
	if (!r->closed)
		net_close(r->net);
	UNTIL(r, r->closed);
	uv_close((uv_handle_t *)&r->deadline, NULL);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&r->loop), 0);
	if (r->wire >= 0) {
		(void)close(r->wire);
		(void)command("ip link del v1");
	}
}

static struct addr_range range(const char *s)
{
	struct addr_range v = {0};

	CHECK(addr_range_parse(s, strlen(s), true, &v) == ADDR_RANGE_OK);
	return v;
}

static enum iface_capture capture(const struct rig *r, enum addr_family f)
{
	const struct iface *i = iface_get(net_ifaces(r->net), r->v0);

	return i != NULL ? i->capture[f] : IFACE_NOT_HEARD;
}

/* Does not wait until it is heard. */
static void want_on(struct rig *r, unsigned ifindex, const char *s)
{
	struct addr_range v = range(s);

	CHECK_INT(net_listen(r->net, ADDR_V4, &ifindex, 1, &v, 1), 0);
}

static void listen_on(struct rig *r, unsigned ifindex, const char *s)
{
	want_on(r, ifindex, s);
	UNTIL(r, capture(r, ADDR_V4) == IFACE_HEARD);
}

/* The last octet of the target of captured frame i; -1. */
static int target(const struct rig *r, size_t i)
{
	return i < r->n && i < MAX_FRAMES ? r->frame[i][41] : -1;
}

static bool can_send(struct rig *r)
{
	static const uint8_t frame[60] = {2, 0, 0, 0, 7, 1, 2, 0, 0, 0, 7, 0, 0x88, 0xb5};

	return net_send(r->net, r->v0, frame, sizeof(frame)) == 0;
}

/* -- rtnetlink -- */

static void test_open_close(void)
{
	struct rig r;

	set_up_bare(&r);
	CHECK(named(&r, "lo") != NULL && named(&r, "lo")->loopback);
	CHECK_INT(r.ifaces, 0); /* the first dump is not news */
	tear_down(&r);
}

static void test_link_events(void)
{
	unsigned index, before;
	struct rig r;

	set_up_bare(&r);
	make_pair();
	UNTIL(&r, is_up(&r, "v0") && is_up(&r, "v1"));
	CHECK(r.ifaces > 0);
	CHECK_STR(named(&r, "v0")->kind, "veth");
	CHECK(memcmp(named(&r, "v0")->mac, mac_v0, 6) == 0 && iface_is_usable(named(&r, "v0")));
	index = named(&r, "v0")->ifindex;

	before = r.ifaces;
	CHECK(command("ip link set v0 address 02:00:00:00:07:99"));
	UNTIL(&r, named(&r, "v0")->mac[5] == 0x99);
	CHECK(r.ifaces > before);

	CHECK(command("ip link set v1 down"));
	UNTIL(&r, !is_up(&r, "v0")); /* carrier */
	CHECK(command("ip link set v0 down"));
	CHECK(command("ip link set v0 name lan0"));
	UNTIL(&r, named(&r, "lan0") != NULL);
	CHECK(named(&r, "v0") == NULL && named(&r, "lan0")->ifindex == index);

	CHECK(command("ip link del v1"));
	UNTIL(&r, named(&r, "lan0") == NULL && named(&r, "v1") == NULL);
	tear_down(&r);
}

static void test_address_events(void)
{
	const struct addr_range lan = range("192.168.1.0/24");
	struct rig r;

	set_up(&r);
	CHECK(command("ip addr add 192.168.1.2/24 dev v0"));
	UNTIL(&r, iface_has_subnet_of(named(&r, "v0"), lan.first));
	CHECK(command("ip addr del 192.168.1.2/24 dev v0"));
	UNTIL(&r, !iface_has_subnet_of(named(&r, "v0"), lan.first));
	CHECK(command("ip addr add fd00:9::1/64 dev v0 nodad"));
	UNTIL(&r, iface_has_subnet_of(named(&r, "v0"), range("fd00:9::7").first));
	tear_down(&r);
}

static unsigned way_to(const struct rig *r, const char *ip)
{
	return iface_reach(net_ifaces(r->net), range(ip).first);
}

/* The kernel's own choice, again after links, addresses or (within 10 s) routes changed. */
static void test_routes(void)
{
	const struct addr v[] = {range("192.168.1.9").first, range("fd00:9::9").first};
	struct rig r;

	set_up(&r);
	CHECK_INT(net_reach(r.net, v, 2), 0);
	CHECK(command("ip addr add 192.168.1.2/24 dev v0"));
	UNTIL(&r, way_to(&r, "192.168.1.9") == r.v0);
	CHECK(command("ip addr add fd00:9::1/64 dev v0 nodad"));
	UNTIL(&r, way_to(&r, "fd00:9::9") == r.v0);
	CHECK_INT(way_to(&r, "192.168.1.8"), 0);
	r.ifaces = 0;
	CHECK(command("ip route add 192.168.1.9/32 dev v1"));
	UNTIL(&r, way_to(&r, "192.168.1.9") != r.v0);
	CHECK(way_to(&r, "192.168.1.9") != 0 && r.ifaces > 0);
	CHECK(command("ip route del 192.168.1.9/32 dev v1"));
	CHECK(command("ip addr del 192.168.1.2/24 dev v0"));
	UNTIL(&r, way_to(&r, "192.168.1.9") == 0);
	CHECK_INT(net_reach(r.net, NULL, 0), 0);
	CHECK_INT(way_to(&r, "fd00:9::9"), 0);
	tear_down(&r);
}

static void test_enslaved(void)
{
	struct rig r;

	set_up(&r);
	CHECK(command("ip link add br0 type bridge"));
	CHECK(command("ip link set v0 master br0"));
	UNTIL(&r, named(&r, "v0")->master != 0);
	CHECK(!iface_is_usable(named(&r, "v0")));
	CHECK(command("ip link set v0 nomaster")); /* RTM_DELLINK of AF_BRIDGE */
	UNTIL(&r, named(&r, "v0") != NULL && named(&r, "v0")->master == 0);
	CHECK(command("ip link del br0"));
	tear_down(&r);
}

/* More events than the socket holds while the loop stands still: the state is right all the same.
 */
static void test_overrun(void)
{
	char batch[] = "/tmp/lbd-test-net-XXXXXX", line[64];
	struct rig r;
	int fd;

	set_up(&r);
	fd = mkstemp(batch);
	CHECK(fd >= 0);
	for (int i = 0; i < 4000; i++)
		(void)dprintf(fd, "link set v0 mtu %d\n", 1300 + i % 7);
	(void)dprintf(fd, "link set v0 mtu 1234\n");
	(void)close(fd);
	(void)snprintf(line, sizeof(line), "ip -batch %s", batch);
	CHECK(command(line));
	CHECK(unlink(batch) == 0);
	UNTIL(&r, r.c.v[COUNTER_NET_NETLINK_OVERRUN] > 0);
	UNTIL(&r, named(&r, "v0")->mtu == 1234);
	CHECK(command("ip link set v0 mtu 1400")); /* events still come */
	UNTIL(&r, named(&r, "v0")->mtu == 1400);
	tear_down(&r);
}

/* -- capture -- */

static void test_filter(void)
{
	uint8_t other[FRAME_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 7, 1, 0x08, 0};
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200-192.168.1.210");
	wire_send(&r, other, sizeof(other)); /* not ARP */
	wire_ask(&r, "192.168.1.1", "192.168.1.199");
	wire_ask(&r, "192.168.1.1", "192.168.1.211");
	wire_ask(&r, "192.168.1.1", "192.168.2.205");
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	wire_ask(&r, "192.168.1.210", "192.168.1.1"); /* the sender counts too */
	wire_ask(&r, "0.0.0.0", "192.168.1.205");
	UNTIL(&r, r.n >= 3);
	CHECK(target(&r, 0) == 200 && target(&r, 1) == 1 && target(&r, 2) == 205);
	CHECK_INT(r.n, 3);
	CHECK_INT(r.from[0], r.v0);
	tear_down(&r);
}

static void test_filter_swapped(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n == 1);
	listen_on(&r, r.v0, "192.168.1.201");
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n >= 2);
	CHECK_INT(target(&r, 1), 201);
	tear_down(&r);
}

/* More ranges than the filter takes: all of them pass, and far from them nothing does. */
static void test_filter_many_ranges(void)
{
	static struct addr_range v[5000];
	unsigned n = 0;
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
		const uint8_t b[4] = {10, (uint8_t)(i >> 7), (uint8_t)(2 * i), 7};

		v[i].first = v[i].last = addr_from_v4(b);
	}
	CHECK_INT(net_listen(r.net, ADDR_V4, &r.v0, 1, v, ARRAY_LEN(v)), 0);
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_HEARD);
	wire_ask(&r, "192.168.1.1", "9.255.255.255");
	wire_ask(&r, "192.168.1.1", "10.200.0.1");
	for (unsigned i = 0; i < ARRAY_LEN(v); i += 50) {
		char s[ADDR_STRLEN];

		wire_ask(&r, "192.168.1.1", addr_format(v[i].first, s));
		n++;
		UNTIL(&r, r.n >= n);
	}
	CHECK_INT(r.n, n);
	tear_down(&r);
}

/* A solicitation, or what else of ICMPv6; its checksum is no matter of the filter. */
static void wire_icmp6(const struct rig *r, uint8_t type, uint8_t hops, const char *target_ip)
{
	uint8_t f[NS_LEN] = {0x33, 0x33, 0xff, 0, 0, 1};

	memcpy(f + 6, mac_v1, 6);
	f[12] = 0x86;
	f[13] = 0xdd;
	f[14] = 0x60;
	f[19] = NS_LEN - 54;
	f[20] = 58;
	f[21] = hops;
	f[54] = type;
	addr_to_v6(range(target_ip).first, f + 62);
	wire_send(r, f, sizeof(f));
}

static bool is_target(const struct rig *r, size_t i, const char *s)
{
	uint8_t b[16];

	addr_to_v6(range(s).first, b);
	return i < r->n && memcmp(r->frame[i] + 62, b, sizeof(b)) == 0;
}

/* What is asked for at the ends of the range passes, and nothing beside it. */
static void test_ndp_filter(void)
{
	static const char *const ranges[] = {"fd00::100-fd00::1ff", "fd00::/64",
		"fd00::ffff:fff0-fd00::1:0:10", "fd00:0:0:1::-fd00:0:0:2::5", "fe80::7-fe80::7",
		"2001:db8::-2001:db9::1"};

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		struct addr_range v = range(ranges[i]);
		char first[ADDR_STRLEN], last[ADDR_STRLEN], s[ADDR_STRLEN];
		struct rig r;

		check_row = ranges[i];
		addr_format(v.first, first);
		addr_format(v.last, last);
		set_up(&r);
		CHECK_INT(net_listen(r.net, ADDR_V6, &r.v0, 1, &v, 1), 0);
		UNTIL(&r, capture(&r, ADDR_V6) == IFACE_HEARD);
		wire_icmp6(&r, 135, 255, addr_format(addr_prev(v.first), s));
		wire_icmp6(&r, 135, 255, addr_format(addr_next(v.last), s));
		wire_icmp6(&r, 135, 254, first);
		wire_icmp6(&r, 134, 255, first);
		wire_icmp6(&r, 128, 255, first);
		wire_icmp6(&r, 135, 255, first);
		wire_icmp6(&r, 136, 255, last);
		UNTIL(&r, r.n >= 2);
		CHECK(r.n == 2 && is_target(&r, 0, first) && is_target(&r, 1, last));
		tear_down(&r);
	}
	check_row = "";
}

/* As many ranges as the filter takes, each of those that need most of it, and more. */
static void test_ndp_filter_many_ranges(void)
{
	static struct addr_range v[100];
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
		v[i].first = (struct addr){
			.hi = 0xfd00000000000000u + ((uint64_t)i << 40), .lo = 0x123456789abcdef0u};
		v[i].last = (struct addr){
			.hi = v[i].first.hi + 0x123456789u, .lo = 0x0fedcba987654321u};
	}
	CHECK_INT(net_listen(r.net, ADDR_V6, &r.v0, 1, v, ARRAY_LEN(v)), 0);
	UNTIL(&r, capture(&r, ADDR_V6) == IFACE_HEARD);
	wire_icmp6(&r, 135, 255, "fc00::1");
	for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
		char s[ADDR_STRLEN];

		wire_icmp6(&r, 135, 255, addr_format(i % 2 == 0 ? v[i].first : v[i].last, s));
		UNTIL(&r, r.n > i);
		CHECK(is_target(&r, i, s));
	}
	CHECK_INT(r.n, ARRAY_LEN(v));
	tear_down(&r);
}

/* Each family has its ranges and interfaces; the frame's type says by which it leaves. */
static void test_two_families(void)
{
	static const uint8_t v6_frame[60] = {2, 0, 0, 0, 7, 1, 2, 0, 0, 0, 7, 0, 0x86, 0xdd};
	struct addr_range v[] = {range("192.168.1.200"), range("fd00::100")};
	struct rig r;

	set_up(&r);
	for (enum addr_family f = 0; f < ADDR_FAMILIES; f++)
		CHECK_INT(net_listen(r.net, f, &r.v0, 1, v, 2), 0);
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_HEARD && capture(&r, ADDR_V6) == IFACE_HEARD);
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n >= 1);
	wire_icmp6(&r, 135, 255, "fd00::100");
	UNTIL(&r, r.n >= 2);
	CHECK_INT(r.n, 2);
	CHECK(can_send(&r) && net_send(r.net, r.v0, v6_frame, sizeof(v6_frame)) == 0);
	CHECK_INT(net_listen(r.net, ADDR_V6, &r.v0, 0, v, 2), 0);
	CHECK(can_send(&r) && net_send(r.net, r.v0, v6_frame, sizeof(v6_frame)) == -ENODEV);
	tear_down(&r);
}

/* Of another segment: a VLAN without an interface here, and what a switch floods for others.  The
 * kernel takes a tag off before it hands the frame on. */
static void test_other_segments(void)
{
	static const uint8_t tag[][4] = {{0x81, 0, 0, 20}, {0x88, 0xa8, 0, 20}};
	static const uint8_t spa[4] = {192, 168, 1, 1}, tpa[4] = {192, 168, 1, 200};
	uint8_t f[FRAME_LEN + 4];
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200-192.168.1.201");
	for (size_t i = 0; i < ARRAY_LEN(tag); i++) {
		make_arp(f, spa, tpa);
		memmove(f + 16, f + 12, FRAME_LEN - 12);
		memcpy(f + 12, tag[i], 4);
		wire_send(&r, f, sizeof(f));
	}
	make_arp(f, spa, tpa);
	memcpy(f, "\x02\x11\x22\x33\x44\x55", 6);
	wire_send(&r, f, FRAME_LEN);
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n > 0 && target(&r, r.n - 1) == 201);
	for (size_t i = 0; i + 1 < r.n; i++) /* if at all, then with the tag on */
		CHECK(r.frame[i][12] == tag[0][0] || r.frame[i][12] == tag[1][0]);
	tear_down(&r);
}

static void test_send(void)
{
	static const uint8_t spa[4] = {192, 168, 1, 200};
	uint8_t f[FRAME_LEN], got[256] = {0};
	struct pollfd p;
	ssize_t n = 0;
	struct rig r;

	set_up(&r);
	make_arp(f, spa, spa);
	CHECK_INT(net_send(r.net, r.v0, f, sizeof(f)), -ENODEV); /* not listening */
	listen_on(&r, r.v0, "192.168.1.200");
	CHECK_INT(net_send(r.net, r.v0, f, sizeof(f)), 0);
	p = (struct pollfd){.fd = r.wire, .events = POLLIN};
	while (poll(&p, 1, DEADLINE_MS) == 1 && (n = recv(r.wire, got, sizeof(got), 0)) > 0)
		if (got[12] == 0x08 && got[13] == 0x06)
			break;
	CHECK(n >= FRAME_LEN && memcmp(got, f, FRAME_LEN) == 0);
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n >= 1);
	CHECK_INT(r.n, 1); /* what we sent we do not hear */
	CHECK_INT(r.frame[0][31], 1);
	tear_down(&r);
}

static void test_listen_to_less(void)
{
	struct rig r;
	struct addr_range v = range("192.168.1.200"), v6 = range("fd00::/64");

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	CHECK(can_send(&r));
	CHECK_INT(net_listen(r.net, ADDR_V4, NULL, 0, &v, 1), 0);
	CHECK(!can_send(&r));
	CHECK_INT(net_listen(r.net, ADDR_V4, (unsigned[]){r.v0, r.v0, 4000}, 3, &v, 1), 0);
	UNTIL(&r, can_send(&r));
	CHECK_INT(net_listen(r.net, ADDR_V4, &r.v0, 1, &v6, 1), 0); /* no IPv4 range */
	CHECK(!can_send(&r));
	CHECK_INT(net_listen(r.net, ADDR_V4, &r.v0, 1, NULL, 0), 0);
	CHECK(!can_send(&r));
	tear_down(&r);
}

static void test_drop_queued(void)
{
	size_t dropped = 0;
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200-192.168.1.201");
	for (int i = 0; i < 5; i++)
		wire_ask(&r, "192.168.1.1", "192.168.1.200");
	for (int i = 0; i < 100000 && dropped < 5; i++)
		dropped += net_drop_queued(r.net);
	CHECK_INT(dropped, 5);
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n >= 1);
	CHECK_INT(target(&r, 0), 201);
	tear_down(&r);
}

static void test_full_ring_is_counted(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200-192.168.1.201");
	for (int i = 0; i < 1000; i++)
		wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n > 0);
	net_count_drops(r.net);
	CHECK(r.c.v[COUNTER_NET_CAPTURE_DROPS] > 0);
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n > MAX_FRAMES || target(&r, r.n - 1) == 201);
	CHECK_INT(r.c.v[COUNTER_NET_CAPTURE_DROPS] + r.n, 1001);
	tear_down(&r);
}

/* -- opening, off the loop -- */

static void test_opened_off_the_loop(void)
{
	static const uint8_t f[60] = {2, 0, 0, 0, 7, 1, 2, 0, 0, 0, 7, 0, 0x08, 0x06};
	struct rig r;

	set_up(&r);
	CHECK_INT(capture(&r, ADDR_V4), IFACE_NOT_HEARD);
	want_on(&r, r.v0, "192.168.1.200");
	CHECK_INT(capture(&r, ADDR_V4), IFACE_OPENING);
	CHECK_INT(net_send(r.net, r.v0, f, sizeof(f)), -EAGAIN);
	CHECK_INT(net_drop_queued(r.net), 0);
	net_count_drops(r.net);
	r.heard_when_told = false;
	UNTIL(&r, r.heard_when_told);
	CHECK_INT(capture(&r, ADDR_V6), IFACE_NOT_HEARD);
	CHECK_INT(net_send(r.net, r.v0, f, sizeof(f)), 0);
	tear_down(&r);
}

/* What is asked for while it is being opened holds when it is. */
static void test_changed_while_opening(void)
{
	struct rig r;

	set_up(&r);
	want_on(&r, r.v0, "192.168.1.200");
	want_on(&r, r.v0, "192.168.1.201");
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_HEARD);
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n >= 1);
	CHECK_INT(r.n, 1);
	CHECK_INT(target(&r, 0), 201);
	CHECK_INT(net_listen(r.net, ADDR_V4, NULL, 0, NULL, 0), 0);
	want_on(&r, r.v0, "192.168.1.202"); /* the old one is being closed */
	CHECK_INT(net_listen(r.net, ADDR_V4, NULL, 0, NULL, 0), 0);
	CHECK_INT(capture(&r, ADDR_V4), IFACE_NOT_HEARD);
	listen_on(&r, r.v0, "192.168.1.203");
	wire_ask(&r, "192.168.1.1", "192.168.1.203");
	UNTIL(&r, r.n >= 2);
	CHECK_INT(target(&r, 1), 203);
	tear_down(&r);
}

static void test_closed_while_opening(void)
{
	struct rig r;

	set_up(&r);
	want_on(&r, r.v0, "192.168.1.200");
	net_close(r.net);
	UNTIL(&r, r.closed);
	tear_down(&r);
}

/* It goes away, or down, in the meantime: nothing is left, and it is heard when it is back. */
static void test_gone_while_opening(void)
{
	struct rig r;

	set_up(&r);
	for (int i = 0; i < 5; i++) {
		want_on(&r, r.v0, "192.168.1.200");
		CHECK(command("ip link set v0 down"));
		UNTIL(&r, !is_up(&r, "v0"));
		CHECK(command("ip link set v0 up"));
		UNTIL(&r, is_up(&r, "v0") && capture(&r, ADDR_V4) == IFACE_HEARD && can_send(&r));
		CHECK_INT(net_listen(r.net, ADDR_V4, NULL, 0, NULL, 0), 0);
	}
	tear_down(&r);
}

/* A dry run shows what would be. */
static void test_passive(void)
{
	struct rig r;

	set_up(&r);
	net_set_passive(r.net);
	want_on(&r, r.v0, "192.168.1.200");
	CHECK_INT(capture(&r, ADDR_V4), IFACE_HEARD);
	UNTIL(&r, can_send(&r));
	tear_down(&r);
}

/* -- interfaces that come and go -- */

static void test_link_flap(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	for (int i = 0; i < 3; i++) {
		size_t n = r.n;

		CHECK(command("ip link set v0 down"));
		UNTIL(&r, !is_up(&r, "v0"));
		CHECK(command("ip link set v0 up"));
		UNTIL(&r, is_up(&r, "v0") && can_send(&r));
		wire_ask(&r, "192.168.1.1", "192.168.1.200");
		UNTIL(&r, r.n > n);
	}
	tear_down(&r);
}

/* Down and up again before the loop looks. */
static void test_link_flap_unseen(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	CHECK(command("ip link set v0 down"));
	CHECK(command("ip link set v0 up"));
	(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	UNTIL(&r, is_up(&r, "v0") && can_send(&r));
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n > 0);
	tear_down(&r);
}

static void test_rename_keeps_capture(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	CHECK(command("ip link set v0 name lan0"));
	UNTIL(&r, named(&r, "lan0") != NULL);
	CHECK(can_send(&r));
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n == 1);
	CHECK_INT(r.from[0], r.v0);
	tear_down(&r);
}

static void test_recreated(void)
{
	unsigned old;
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	old = r.v0;
	CHECK(command("ip link del v1"));
	UNTIL(&r, named(&r, "v0") == NULL);
	CHECK(!can_send(&r));
	(void)close(r.wire);
	make_pair();
	r.wire = open_wire();
	UNTIL(&r, is_up(&r, "v0"));
	r.v0 = named(&r, "v0")->ifindex;
	CHECK(r.v0 != old);
	CHECK(!can_send(&r)); /* the owner has not named it yet */
	listen_on(&r, r.v0, "192.168.1.200");
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n == 1);
	CHECK_INT(r.from[0], r.v0);
	tear_down(&r);
}

/* Wanted before it is up: opened by its event, not by a clock. */
static void test_listen_before_up(void)
{
	struct rig r;

	set_up(&r);
	CHECK(command("ip link set v0 down"));
	UNTIL(&r, !is_up(&r, "v0"));
	want_on(&r, r.v0, "192.168.1.200");
	CHECK(!can_send(&r));
	CHECK(command("ip link set v0 up"));
	UNTIL(&r, can_send(&r));
	wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n == 1);
	tear_down(&r);
}

/* -- what is missing -- */

static void set_cap_net_raw(uv_work_t *work)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0}};
	const uint32_t bit = 1U << CAP_NET_RAW;

	CHECK(syscall(SYS_capget, &h, d) == 0);
	d[0].effective = *(const bool *)work->data ? d[0].effective | bit
						   : d[0].effective & ~bit;
	CHECK(syscall(SYS_capset, &h, d) == 0);
}

static void on_set(uv_work_t *work, int status)
{
	CHECK_INT(status, 0);
	work->data = NULL;
}

/* Of the pool's only thread. */
static void let_capture(struct rig *r, bool on)
{
	uv_work_t work = {.data = &on};

	CHECK_INT(uv_queue_work(&r->loop, &work, set_cap_net_raw, on_set), 0);
	UNTIL(r, work.data == NULL);
}

static void test_no_permission(void)
{
	struct rig r;

	set_up(&r);
	let_capture(&r, false);
	want_on(&r, r.v0, "192.168.1.200");
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_DEAF);
	CHECK(!can_send(&r));
	let_capture(&r, true);
	UNTIL(&r, can_send(&r)); /* within the second */
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_HEARD);
	tear_down(&r);
}

static void test_no_descriptors(void)
{
	struct rlimit was, none = {0};
	struct rig r;
	int fd;

	set_up(&r);
	let_capture(&r, true); /* the pool has what it needs */
	fd = dup(r.wire);
	(void)close(fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	none = was;
	none.rlim_cur = (rlim_t)fd;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	want_on(&r, r.v0, "192.168.1.200");
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_DEAF);
	CHECK(!can_send(&r));
	CHECK(turns(&r, 500) < 10); /* it is tried again each second, and not all the time */
	CHECK_INT(capture(&r, ADDR_V4), IFACE_DEAF);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	UNTIL(&r, can_send(&r));
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_HEARD);
	tear_down(&r);
}

/* Not wanted any more: it is not deaf, either. */
static void test_deaf_no_longer_wanted(void)
{
	struct rig r;

	set_up(&r);
	let_capture(&r, false);
	want_on(&r, r.v0, "192.168.1.200");
	UNTIL(&r, capture(&r, ADDR_V4) == IFACE_DEAF);
	CHECK_INT(net_listen(r.net, ADDR_V4, NULL, 0, NULL, 0), 0);
	CHECK_INT(capture(&r, ADDR_V4), IFACE_NOT_HEARD);
	let_capture(&r, true);
	listen_on(&r, r.v0, "192.168.1.200");
	CHECK(can_send(&r));
	tear_down(&r);
}

static void test_open_fails_clean(void)
{
	struct rlimit was, none;
	uv_loop_t loop;
	struct net *net = NULL;
	int fd;

	CHECK_INT(uv_loop_init(&loop), 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	fd = dup(0);
	(void)close(fd);
	none = was;
	none.rlim_cur = (rlim_t)fd;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK_INT(net_open(&loop, &ops, NULL, NULL, &net), -EMFILE);
	CHECK(net == NULL);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	CHECK_INT(uv_loop_close(&loop), 0);
}

/* -- from within a callback -- */

static void do_close(struct rig *r)
{
	net_close(r->net);
}

static void test_close_in_frame(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	r.in_frame = do_close;
	for (int i = 0; i < 5; i++)
		wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.closed);
	CHECK_INT(r.n, 1);
	tear_down(&r);
}

static void do_listen_to_nothing(struct rig *r)
{
	CHECK_INT(net_listen(r->net, ADDR_V4, NULL, 0, NULL, 0), 0);
}

static void do_listen_anew(struct rig *r)
{
	do_listen_to_nothing(r);
	want_on(r, r->v0, "192.168.1.201");
}

static void test_listen_in_frame(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200");
	r.in_frame = do_listen_anew;
	for (int i = 0; i < 5; i++)
		wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n == 1 && capture(&r, ADDR_V4) == IFACE_HEARD);
	r.in_frame = do_listen_to_nothing;
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n == 2);
	CHECK_INT(target(&r, 1), 201);
	CHECK(!can_send(&r));
	tear_down(&r);
}

static void do_drop(struct rig *r)
{
	CHECK_INT(net_drop_queued(r->net), 0);
}

static void test_drop_in_frame(void)
{
	struct rig r;

	set_up(&r);
	listen_on(&r, r.v0, "192.168.1.200-192.168.1.201");
	r.in_frame = do_drop;
	for (int i = 0; i < 20; i++)
		wire_ask(&r, "192.168.1.1", "192.168.1.200");
	UNTIL(&r, r.n > 0);
	CHECK_INT(r.n, 1);
	wire_ask(&r, "192.168.1.1", "192.168.1.201");
	UNTIL(&r, r.n > 1);
	CHECK_INT(target(&r, 1), 201);
	tear_down(&r);
}

/* -- */

static bool enter_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 && command("ip link set lo up");
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_open_close),
		CHECK_TEST(test_link_events), CHECK_TEST(test_address_events),
		CHECK_TEST(test_routes), CHECK_TEST(test_enslaved), CHECK_TEST(test_overrun),
		CHECK_TEST(test_filter), CHECK_TEST(test_filter_swapped),
		CHECK_TEST(test_filter_many_ranges), CHECK_TEST(test_ndp_filter),
		CHECK_TEST(test_ndp_filter_many_ranges), CHECK_TEST(test_two_families),
		CHECK_TEST(test_other_segments),
		CHECK_TEST(test_send), CHECK_TEST(test_listen_to_less),
		CHECK_TEST(test_drop_queued), CHECK_TEST(test_full_ring_is_counted),
		CHECK_TEST(test_link_flap), CHECK_TEST(test_link_flap_unseen),
		CHECK_TEST(test_rename_keeps_capture), CHECK_TEST(test_recreated),
		CHECK_TEST(test_listen_before_up), CHECK_TEST(test_no_permission),
		CHECK_TEST(test_no_descriptors), CHECK_TEST(test_open_fails_clean),
		CHECK_TEST(test_close_in_frame), CHECK_TEST(test_listen_in_frame),
		CHECK_TEST(test_drop_in_frame), CHECK_TEST(test_opened_off_the_loop),
		CHECK_TEST(test_changed_while_opening), CHECK_TEST(test_closed_while_opening),
		CHECK_TEST(test_gone_while_opening), CHECK_TEST(test_passive),
		CHECK_TEST(test_deaf_no_longer_wanted)};

	if (!enter_namespace()) {
		printf("test_net: 0 passed, 0 failed, %zu skipped (needs root: no network "
		       "namespace of its own: %s)\n",
			ARRAY_LEN(tests), strerror(errno));
		return 0;
	}
	CHECK(setenv("UV_THREADPOOL_SIZE", "1", 1) == 0); /* let_capture() */
	log_set_level(LOG_ERROR);
	return check_main("test_net", tests, ARRAY_LEN(tests));
}
