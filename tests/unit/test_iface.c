/* SPDX-License-Identifier: Apache-2.0
 *
 * test_iface.c - rtnetlink messages into the interface table.
 *
 * The files in tests/fuzz/corpus/netlink were recorded on Linux 6.18 (a veth pair, a bridge, a
 * macvlan); they are replayed in the order in which they were recorded.  Kinds that the machine of
 * the tests may lack (VLAN, bond, VRF) are built here, attribute by attribute, as
 * rtnl_fill_ifinfo() of net/core/rtnetlink.c sends them.
 */
#include "iface.h"

#include "check.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>

#define CORPUS "tests/fuzz/corpus/netlink/"

enum { FLAGS_UP = IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST | IFF_LOWER_UP };

/* -- building messages -- */

struct msg {
	_Alignas(4) unsigned char b[4096];
	size_t n;
};

static void put(struct msg *m, const void *p, size_t n)
{
	if (m->n + n > sizeof(m->b))
		abort();
	if (n > 0)
		memcpy(m->b + m->n, p, n);
	m->n += n;
}

static void pad(struct msg *m)
{
	static const char zero[4];

	put(m, zero, (4 - m->n % 4) % 4);
}

static void begin(struct msg *m, uint16_t type)
{
	struct nlmsghdr h = {.nlmsg_type = type};

	m->n = 0;
	put(m, &h, sizeof(h));
}

static void end(struct msg *m)
{
	uint32_t len = (uint32_t)m->n;

	memcpy(m->b, &len, sizeof(len));
}

static void attr(struct msg *m, uint16_t type, const void *p, size_t n)
{
	struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + n), .nla_type = type};

	put(m, &a, sizeof(a));
	put(m, p, n);
	pad(m);
}

static void attr_u8(struct msg *m, uint16_t type, uint8_t v)
{
	attr(m, type, &v, sizeof(v));
}

static void attr_u32(struct msg *m, uint16_t type, uint32_t v)
{
	attr(m, type, &v, sizeof(v));
}

static void attr_str(struct msg *m, uint16_t type, const char *s)
{
	attr(m, type, s, strlen(s) + 1);
}

static size_t nest(struct msg *m, uint16_t type)
{
	size_t at = m->n;

	attr(m, type, NULL, 0);
	return at;
}

static void nest_end(struct msg *m, size_t at)
{
	uint16_t len = (uint16_t)(m->n - at);

	memcpy(m->b + at, &len, sizeof(len));
}

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

struct link_spec {
	uint16_t type, hw;
	uint8_t family;
	int index;
	const char *name;
	unsigned flags, master;
	uint8_t operstate;
	const uint8_t *mac;
};

/* In the order of rtnl_fill_ifinfo(), up to where IFLA_LINKINFO comes. */
static void begin_link(struct msg *m, const struct link_spec *s)
{
	struct ifinfomsg i = {.ifi_family = s->family,
		.ifi_type = s->hw,
		.ifi_index = s->index,
		.ifi_flags = s->flags};
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	begin(m, s->type);
	put(m, &i, sizeof(i));
	if (s->name != NULL)
		attr_str(m, IFLA_IFNAME, s->name);
	attr_u32(m, IFLA_TXQLEN, 1000);
	attr_u8(m, IFLA_OPERSTATE, s->operstate);
	attr_u8(m, IFLA_LINKMODE, 0);
	attr_u32(m, IFLA_MTU, 1500);
	attr_u32(m, IFLA_GROUP, 0);
	if (s->master != 0)
		attr_u32(m, IFLA_MASTER, s->master);
	attr_u8(m, IFLA_CARRIER, 1);
	if (s->mac != NULL) {
		attr(m, IFLA_ADDRESS, s->mac, 6);
		attr(m, IFLA_BROADCAST, broadcast, 6);
	}
}

static struct link_spec spec(int index, const char *name)
{
	return (struct link_spec){.type = RTM_NEWLINK,
		.hw = ARPHRD_ETHER,
		.index = index,
		.name = name,
		.flags = FLAGS_UP,
		.operstate = IF_OPER_UP,
		.mac = mac_a};
}

static void make_link(struct msg *m, const struct link_spec *s)
{
	begin_link(m, s);
	end(m);
}

static void make_addr(struct msg *m, uint16_t type, int index, const uint8_t ip[4], uint8_t len)
{
	struct ifaddrmsg i = {.ifa_family = AF_INET,
		.ifa_prefixlen = len,
		.ifa_flags = IFA_F_PERMANENT,
		.ifa_index = (uint32_t)index};

	begin(m, type);
	put(m, &i, sizeof(i));
	attr(m, IFA_ADDRESS, ip, 4);
	attr(m, IFA_LOCAL, ip, 4);
	attr_str(m, IFA_LABEL, "eth0");
	attr_u32(m, IFA_FLAGS, IFA_F_PERMANENT);
	end(m);
}

/* As lbd puts it there; proto 0: a kernel that keeps none. */
static void make_bound(struct msg *m, uint16_t type, int index, uint8_t len, uint8_t proto,
	uint32_t valid_s)
{
	static const uint8_t vip[4] = {10, 0, 0, 100};
	const struct ifa_cacheinfo life = {.ifa_valid = valid_s};
	struct ifaddrmsg i = {
		.ifa_family = AF_INET, .ifa_prefixlen = len, .ifa_index = (uint32_t)index};

	begin(m, type);
	put(m, &i, sizeof(i));
	attr(m, IFA_ADDRESS, vip, 4);
	attr(m, IFA_LOCAL, vip, 4);
	if (proto != 0)
		attr_u8(m, IFA_PROTO, proto);
	attr(m, IFA_CACHEINFO, &life, sizeof(life));
	end(m);
}

static int feed(struct iface_table *t, const struct msg *m)
{
	unsigned char *p = check_guard(m->b, m->n);
	int rc = iface_on_netlink(t, p, m->n);

	check_unguard(p, m->n);
	return rc;
}

static struct addr ip(const char *s)
{
	struct addr a = {0};

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

/* -- recorded -- */

static int replay(struct iface_table *t, const char *name)
{
	static unsigned char buf[65536];
	char path[128];
	unsigned char *p;
	size_t n;
	FILE *f;
	int rc;

	(void)snprintf(path, sizeof(path), CORPUS "%s", name);
	f = fopen(path, "rb");
	CHECK(f != NULL);
	if (f == NULL)
		return -1;
	n = fread(buf, 1, sizeof(buf), f);
	(void)fclose(f);
	check_row = name;
	p = check_guard(buf, n);
	rc = iface_on_netlink(t, p, n);
	check_unguard(p, n);
	CHECK(rc >= 0);
	return rc;
}

static bool has_addr(const struct iface *i, const char *a, const char *subnet)
{
	char s[ADDR_PREFIX_STRLEN];

	for (size_t k = 0; i != NULL && k < i->n_addrs; k++)
		if (addr_eq(i->addrs[k].addr, ip(a)) &&
			strcmp(addr_prefix_format(i->addrs[k].subnet, s), subnet) == 0)
			return true;
	return false;
}

static void replay_veth(struct iface_table *t)
{
	const struct iface *v0, *v1;

	CHECK_INT(replay(t, "veth_add"), 2);
	v0 = iface_named(t, "v0");
	v1 = iface_named(t, "v1");
	CHECK(v0 != NULL && v1 != NULL);
	if (v0 == NULL || v1 == NULL)
		return;
	CHECK_STR(v0->kind, "veth");
	CHECK(v0->ethernet && v0->broadcast && !v0->loopback && !v0->noarp && !v0->up);
	CHECK_INT(v0->mtu, 1500);
	CHECK_INT(v0->mac[5], 1);
	CHECK_INT(v1->mac[5], 2);
	CHECK(!iface_is_usable(v0));
	CHECK(replay(t, "veth_up") > 0);
	CHECK(iface_is_usable(v0) && iface_is_usable(v1));
}

static void replay_addrs(struct iface_table *t, const struct iface *v0)
{
	CHECK_INT(replay(t, "addr_add"), 3);
	CHECK(has_addr(v0, "192.168.7.2", "192.168.7.0/24"));
	CHECK(has_addr(v0, "10.9.0.1", "10.9.0.2/32")); /* the peer's side is on link */
	CHECK(has_addr(v0, "fd00:7::2", "fd00:7::/64"));
	CHECK(v0->n_addrs == 3 && v0->addrs[2].tentative);
	CHECK(replay(t, "addr6_ready") > 0);
	for (size_t k = 0; k < v0->n_addrs; k++)
		CHECK(!v0->addrs[k].tentative);
	CHECK_INT(replay(t, "mac_change"), 1);
	CHECK_INT(v0->mac[5], 0x77);
	CHECK(replay(t, "rename") > 0);
	CHECK_STR(v0->name, "lan0");
	CHECK(iface_named(t, "v0") == NULL && iface_named(t, "lan0") == v0);
	CHECK_INT(replay(t, "addr_del"), 1);
	CHECK(!has_addr(v0, "192.168.7.2", "192.168.7.0/24"));
	CHECK(has_addr(v0, "10.9.0.1", "10.9.0.2/32"));
}

static void replay_ports(struct iface_table *t, const struct iface *v0, const struct iface *v1)
{
	const struct iface *br0;

	CHECK(replay(t, "bridge_add") > 0);
	br0 = iface_named(t, "br0");
	CHECK(br0 != NULL);
	CHECK_STR(br0 != NULL ? br0->kind : "", "bridge");
	(void)replay(t, "enslave");
	CHECK(br0 != NULL && v1->master == br0->ifindex && !iface_is_usable(v1));
	CHECK(br0 != NULL && iface_is_usable(br0));
	/* Has an RTM_DELLINK of AF_BRIDGE for v1, which is not gone. */
	(void)replay(t, "release");
	CHECK(iface_named(t, "v1") == v1 && v1->master == 0);
	(void)replay(t, "macvlan_add");
	CHECK(iface_named(t, "mv0") != NULL);
	CHECK_STR(iface_named(t, "mv0") != NULL ? iface_named(t, "mv0")->kind : "", "macvlan");
	(void)replay(t, "carrier_lost");
	CHECK(!v0->up && !iface_is_usable(v0));
	(void)replay(t, "macvlan_del");
	CHECK(iface_named(t, "mv0") == NULL);
}

static void test_recorded_story(void)
{
	struct iface_table *t = iface_new();
	const struct iface *v0, *v1;

	replay_veth(t);
	v0 = iface_named(t, "v0");
	v1 = iface_named(t, "v1");
	if (v0 != NULL && v1 != NULL) {
		replay_addrs(t, v0);
		replay_ports(t, v0, v1);
	}
	(void)replay(t, "veth_del");
	CHECK(iface_named(t, "lan0") == NULL && iface_named(t, "v1") == NULL);
	iface_free(t);
}

static void test_recorded_dump(void)
{
	struct iface_table *t = iface_new();
	struct link_spec gone = spec(900, "gone0");
	const struct iface *i = NULL;
	unsigned last = 0, n = 0;
	struct msg m;

	make_link(&m, &gone);
	CHECK_INT(feed(t, &m), 1);
	iface_dump_begin(t);
	CHECK(replay(t, "dump_links") > 0);
	CHECK(replay(t, "dump_addrs") > 0);
	CHECK(iface_dump_end(t));
	CHECK(iface_get(t, 900) == NULL);
	while ((i = iface_next(t, i)) != NULL) {
		CHECK(i->ifindex > last && iface_get(t, i->ifindex) == i);
		last = i->ifindex;
		n++;
	}
	CHECK_INT(n, 4);
	i = iface_named(t, "lo");
	CHECK(i != NULL && i->loopback && !i->ethernet && i->up && !iface_is_usable(i));
	CHECK(has_addr(i, "127.0.0.1", "127.0.0.0/8") && has_addr(i, "::1", "::1/128"));
	i = iface_named(t, "w0");
	CHECK(has_addr(i, "172.16.0.9", "172.16.0.0/20"));
	CHECK(i != NULL && iface_has_subnet_of(i, ip("172.16.15.255")));
	CHECK(i != NULL && !iface_has_subnet_of(i, ip("172.16.16.0")));
	iface_free(t);
}

/* The same dump again: nothing new, nothing removed, no generation. */
static void test_recorded_dump_again(void)
{
	struct iface_table *t = iface_new();
	uint64_t generation;

	for (int round = 0; round < 2; round++) {
		iface_dump_begin(t);
		(void)replay(t, "dump_links");
		(void)replay(t, "dump_addrs");
		generation = iface_generation(t);
		CHECK(!iface_dump_end(t));
	}
	CHECK_INT(replay(t, "dump_links"), 0);
	CHECK_INT(iface_generation(t), generation);
	CHECK(!iface_dump_end(t));
	iface_free(t);
}

/* -- built -- */

static void test_link_vlan(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(7, "eth0.5");
	const struct ifla_vlan_flags flags = {.flags = VLAN_FLAG_REORDER_HDR, .mask = ~0U};
	const uint16_t id = 5, proto = 0x0081;
	size_t info, data;
	struct msg m;

	begin_link(&m, &s);
	attr_u32(&m, IFLA_LINK, 2); /* its parent is not its master */
	info = nest(&m, IFLA_LINKINFO);
	attr_str(&m, IFLA_INFO_KIND, "vlan");
	data = nest(&m, IFLA_INFO_DATA);
	attr(&m, IFLA_VLAN_PROTOCOL, &proto, 2);
	attr(&m, IFLA_VLAN_ID, &id, 2);
	attr(&m, IFLA_VLAN_FLAGS, &flags, sizeof(flags));
	nest_end(&m, data);
	nest_end(&m, info);
	end(&m);
	CHECK_INT(feed(t, &m), 1);
	CHECK(iface_get(t, 7) != NULL);
	CHECK_STR(iface_get(t, 7)->kind, "vlan");
	CHECK_INT(iface_get(t, 7)->master, 0);
	CHECK(iface_is_usable(iface_get(t, 7)));
	iface_free(t);
}

static void make_slave(struct msg *m, int index, unsigned master, const char *slave_kind)
{
	struct link_spec s = spec(index, "eth0");
	size_t info, data;

	s.master = master;
	s.flags |= IFF_SLAVE;
	begin_link(m, &s);
	info = nest(m, IFLA_LINKINFO); /* hardware: no kind of its own */
	attr_str(m, IFLA_INFO_SLAVE_KIND, slave_kind);
	data = nest(m, IFLA_INFO_SLAVE_DATA);
	attr_u8(m, 1, 0); /* IFLA_BOND_SLAVE_STATE, BOND_STATE_ACTIVE */
	nest_end(m, data);
	nest_end(m, info);
	end(m);
}

static void test_link_bond(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(10, "bond0");
	size_t info, data;
	struct msg m;

	s.flags |= IFF_MASTER;
	begin_link(&m, &s);
	info = nest(&m, IFLA_LINKINFO);
	attr_str(&m, IFLA_INFO_KIND, "bond");
	data = nest(&m, IFLA_INFO_DATA);
	attr_u8(&m, IFLA_BOND_MODE, 1);
	attr_u32(&m, IFLA_BOND_MIIMON, 100);
	nest_end(&m, data);
	nest_end(&m, info);
	end(&m);
	CHECK_INT(feed(t, &m), 1);
	CHECK_STR(iface_get(t, 10)->kind, "bond");
	CHECK(iface_is_usable(iface_get(t, 10)));

	make_slave(&m, 2, 10, "bond");
	CHECK_INT(feed(t, &m), 1);
	CHECK_STR(iface_get(t, 2)->kind, "");
	CHECK_INT(iface_get(t, 2)->master, 10);
	CHECK(!iface_is_usable(iface_get(t, 2)));
	iface_free(t);
}

/* A VRF is a matter of layer 3: the interface in it still speaks ARP for itself. */
static void test_link_in_vrf(void)
{
	struct iface_table *t = iface_new();
	struct msg m;

	make_slave(&m, 2, 11, "vrf");
	CHECK_INT(feed(t, &m), 1);
	CHECK_INT(iface_get(t, 2)->master, 0);
	CHECK(iface_is_usable(iface_get(t, 2)));
	iface_free(t);
}

static void test_link_flags(void)
{
	static const struct {
		const char *name;
		unsigned flags;
		uint16_t hw;
		uint8_t operstate;
		bool up, usable;
	} rows[] = {
		{"up", FLAGS_UP, ARPHRD_ETHER, IF_OPER_UP, true, true},
		{"unknown state", FLAGS_UP, ARPHRD_ETHER, IF_OPER_UNKNOWN, true, true},
		{"state down", FLAGS_UP, ARPHRD_ETHER, IF_OPER_DOWN, false, false},
		{"lower layer down", FLAGS_UP, ARPHRD_ETHER, IF_OPER_LOWERLAYERDOWN, false, false},
		{"dormant (802.1X)", FLAGS_UP, ARPHRD_ETHER, IF_OPER_DORMANT, false, false},
		{"no carrier", FLAGS_UP & ~(unsigned)IFF_LOWER_UP, ARPHRD_ETHER, IF_OPER_UP, false,
			false},
		{"admin down", FLAGS_UP & ~(unsigned)IFF_UP, ARPHRD_ETHER, IF_OPER_UP, false,
			false},
		{"no broadcast", FLAGS_UP & ~(unsigned)IFF_BROADCAST, ARPHRD_ETHER, IF_OPER_UP,
			true, false},
		{"no ARP", FLAGS_UP | IFF_NOARP, ARPHRD_ETHER, IF_OPER_UP, true, false},
		{"loopback", FLAGS_UP | IFF_LOOPBACK, ARPHRD_ETHER, IF_OPER_UP, true, false},
		{"tunnel", FLAGS_UP, ARPHRD_NONE, IF_OPER_UP, true, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct msg m;

		check_row = rows[i].name;
		s.flags = rows[i].flags;
		s.hw = rows[i].hw;
		s.operstate = rows[i].operstate;
		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		CHECK_INT(iface_get(t, 2)->up, rows[i].up);
		CHECK_INT(iface_is_usable(iface_get(t, 2)), rows[i].usable);
		iface_free(t);
	}
}

static void test_link_without_mac(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "eth0");
	struct msg m;

	s.mac = NULL;
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	CHECK(!iface_get(t, 2)->ethernet);
	/* InfiniBand and the like: an address of another length */
	begin_link(&m, &s);
	attr(&m, IFLA_ADDRESS, "0123456789abcdef0123", 20);
	end(&m);
	CHECK_INT(feed(t, &m), 0);
	CHECK(!iface_get(t, 2)->ethernet);
	iface_free(t);
}

/* Messages that carry the ifindex of a link and are not about the link. */
static void test_link_other_families(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "eth0"), other;
	struct msg m;

	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	other = s;
	other.family = AF_BRIDGE;
	other.type = RTM_DELLINK;
	make_link(&m, &other);
	CHECK_INT(feed(t, &m), 0);
	other.type = RTM_NEWLINK;
	other.mac = mac_b;
	make_link(&m, &other);
	CHECK_INT(feed(t, &m), 0);
	other.family = AF_INET6;
	make_link(&m, &other);
	CHECK_INT(feed(t, &m), 0);
	CHECK(iface_get(t, 2) != NULL && iface_get(t, 2)->mac[5] == 0xa);
	iface_free(t);
}

/* wireless_nlevent_flush() sends RTM_NEWLINK with the name and IFLA_WIRELESS alone. */
static void test_link_wireless_event(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "wlan0");
	struct ifinfomsg i = {.ifi_type = ARPHRD_ETHER, .ifi_index = 2, .ifi_flags = FLAGS_UP};
	struct msg m;

	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	begin(&m, RTM_NEWLINK);
	put(&m, &i, sizeof(i));
	attr_str(&m, IFLA_IFNAME, "wlan0");
	attr(&m, IFLA_WIRELESS, "0123456789ab", 12);
	end(&m);
	CHECK_INT(feed(t, &m), 0);
	CHECK(iface_get(t, 2)->ethernet && iface_get(t, 2)->mtu == 1500);
	iface_free(t);
}

static void test_link_recreated(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "eth0");
	uint8_t addr[4] = {10, 0, 0, 1};
	struct msg m;

	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	make_addr(&m, RTM_NEWADDR, 2, addr, 24);
	CHECK_INT(feed(t, &m), 1);
	s.type = RTM_DELLINK;
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	CHECK_INT(feed(t, &m), 0);
	s = spec(3, "eth0");
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	CHECK(iface_named(t, "eth0") == iface_get(t, 3) && iface_get(t, 3)->n_addrs == 0);
	iface_free(t);
}

/* The MACs of the last ones that had an address. */
static void test_link_gone(void)
{
	static const char *const ifname[] = {"eth0", "eth1", "eth2", "eth3", "eth4", "eth1", "veth"};
	static const uint8_t mac[] = {0, 1, 2, 3, 4, 1, 9}, want[] = {1, 4, 3, 2};
	const uint8_t addr[4] = {10, 0, 0, 1}, *gone;
	struct iface_table *t = iface_new();
	struct msg m;

	for (int i = 0; i < (int)ARRAY_LEN(ifname); i++) {
		struct link_spec s = spec(2 + i, ifname[i]);
		const uint8_t its[6] = {2, 0, 0, 0, 0, mac[i]};

		s.mac = its;
		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		make_addr(&m, RTM_NEWADDR, 2 + i, addr, 24);
		CHECK_INT(mac[i] == 9 ? 1 : feed(t, &m), 1); /* a pod's has none */
		CHECK(iface_get(t, (unsigned)(2 + i))->had_addr == (mac[i] != 9));
		make_addr(&m, RTM_DELADDR, 2 + i, addr, 24); /* the kernel takes it first */
		CHECK_INT(mac[i] == 9 ? 1 : feed(t, &m), 1);
		if (i % 2 == 0) {
			s.type = RTM_DELLINK;
			make_link(&m, &s);
			CHECK_INT(feed(t, &m), 1);
		} else {
			iface_dump_begin(t);
			CHECK(iface_dump_end(t));
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		gone = iface_gone_mac(t, i);
		CHECK(gone != NULL && gone[5] == want[i]);
	}
	CHECK(iface_gone_mac(t, IFACE_MAX_GONE) == NULL);
	iface_free(t);
}

/* -- addresses -- */

static void test_addr_same_twice(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "eth0");
	const uint8_t a[4] = {10, 0, 0, 1};
	struct msg m;

	make_addr(&m, RTM_NEWADDR, 2, a, 24);
	CHECK_INT(feed(t, &m), 0); /* of a link not known */
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	make_addr(&m, RTM_NEWADDR, 2, a, 24);
	CHECK_INT(feed(t, &m), 1);
	CHECK_INT(feed(t, &m), 0);
	make_addr(&m, RTM_NEWADDR, 2, a, 16); /* to the kernel another one */
	CHECK_INT(feed(t, &m), 1);
	CHECK_INT(iface_get(t, 2)->n_addrs, 2);
	make_addr(&m, RTM_DELADDR, 2, a, 24);
	CHECK_INT(feed(t, &m), 1);
	CHECK_INT(feed(t, &m), 0);
	CHECK(has_addr(iface_get(t, 2), "10.0.0.1", "10.0.0.0/16"));
	iface_free(t);
}

static void test_addr_prefix_lengths(void)
{
	static const struct {
		const char *name, *subnet;
		uint8_t len;
		int rc;
	} rows[] = {
		{"/0", "0.0.0.0/0", 0, 1},
		{"/1", "128.0.0.0/1", 1, 1},
		{"/22", "192.168.4.0/22", 22, 1},
		{"/31", "192.168.7.2/31", 31, 1},
		{"/32", "192.168.7.3/32", 32, 1},
		{"/33", "", 33, -EBADMSG},
	};
	const uint8_t a[4] = {192, 168, 7, 3};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct msg m;

		check_row = rows[i].name;
		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		make_addr(&m, RTM_NEWADDR, 2, a, rows[i].len);
		CHECK_INT(feed(t, &m), rows[i].rc);
		if (rows[i].rc == 1)
			CHECK(has_addr(iface_get(t, 2), "192.168.7.3", rows[i].subnet));
		iface_free(t);
	}
}

/* Linux takes ::ffff:10.0.0.1/96 on an interface: it is no address of either family. */
static void test_addr_mapped(void)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1}, plain[16] = {0xfd, [15] = 1};
	static const struct {
		const uint8_t *local, *address;
		int rc;
	} rows[] = {{mapped, mapped, 0}, {plain, mapped, 0}, {mapped, plain, 0}, {plain, plain, 1}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct ifaddrmsg h = {.ifa_family = AF_INET6, .ifa_prefixlen = 96, .ifa_index = 2};
		struct msg m;

		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		begin(&m, RTM_NEWADDR);
		put(&m, &h, sizeof(h));
		attr(&m, IFA_LOCAL, rows[i].local, 16);
		attr(&m, IFA_ADDRESS, rows[i].address, 16);
		end(&m);
		CHECK_INT(feed(t, &m), rows[i].rc);
		CHECK_INT(iface_get(t, 2)->n_addrs, (size_t)rows[i].rc);
		iface_free(t);
	}
}

static void test_addr_v6_flags(void)
{
	static const struct {
		const char *name;
		uint32_t flags;
		bool tentative, deprecated;
	} rows[] = {
		{"tentative", IFA_F_TENTATIVE, true, false},
		{"optimistic is in use", IFA_F_OPTIMISTIC, false, false},
		{"duplicate", IFA_F_DADFAILED | IFA_F_PERMANENT, true, false},
		{"deprecated", IFA_F_DEPRECATED, false, true},
		{"high bits only in IFA_FLAGS", IFA_F_NOPREFIXROUTE, false, false},
	};
	const uint8_t a[16] = {0xfd, 0, [15] = 1};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct ifaddrmsg h = {.ifa_family = AF_INET6,
			.ifa_prefixlen = 64,
			.ifa_flags = (uint8_t)rows[i].flags,
			.ifa_index = 2};
		struct msg m;

		check_row = rows[i].name;
		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		begin(&m, RTM_NEWADDR);
		put(&m, &h, sizeof(h));
		attr(&m, IFA_ADDRESS, a, sizeof(a));
		attr_u32(&m, IFA_FLAGS, rows[i].flags);
		end(&m);
		CHECK_INT(feed(t, &m), 1);
		CHECK_INT(iface_get(t, 2)->addrs[0].tentative, rows[i].tentative);
		CHECK_INT(iface_get(t, 2)->addrs[0].deprecated, rows[i].deprecated);
		iface_free(t);
	}
}

struct told {
	unsigned there, gone, marked;
};

static void on_bound(void *ctx, unsigned ifindex, struct addr a, bool there, bool marked)
{
	struct told *t = ctx;

	CHECK_INT(ifindex, 7);
	CHECK(addr_eq(a, ip("10.0.0.100")));
	t->there += there;
	t->gone += !there;
	t->marked += marked;
}

/* Addresses that lbd put there are in no list, move no generation, and are told of apart. */
static void test_addr_bound(void)
{
	static const struct {
		const char *name;
		uint8_t len, proto;
		uint32_t valid_s;
		bool bound;
	} rows[] = {
		{"with its number", 32, IFACE_PROTO_LBD, 3, true},
		{"with its number, whatever else", 24, IFACE_PROTO_LBD, UINT32_MAX, true},
		{"by its lifetime", 32, 0, 3, true},
		{"by its lifetime, ending", 32, 0, 0, true},
		{"lives longer", 32, 0, 4, false},
		{"for ever", 32, 0, UINT32_MAX, false},
		{"not alone", 24, 0, 3, false},
		{"another's number", 32, 18, 3, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(7, "eth0");
		struct told told = {0};
		uint64_t generation;
		struct msg m;

		check_row = rows[i].name;
		iface_on_bound(t, on_bound, &told);
		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		generation = iface_generation(t);
		make_bound(&m, RTM_NEWADDR, 7, rows[i].len, rows[i].proto, rows[i].valid_s);
		CHECK_INT(feed(t, &m), !rows[i].bound);
		CHECK_INT(feed(t, &m), 0);
		CHECK_INT(told.there, rows[i].bound ? 2 : 0);
		CHECK_INT(told.marked, rows[i].bound && rows[i].proto != 0 ? 2 : 0);
		CHECK_INT(iface_get(t, 7)->n_addrs, !rows[i].bound);
		CHECK_INT(iface_generation(t) - generation, !rows[i].bound);
		/* At its end the kernel says 0 s: what is in the list leaves it all the same. */
		make_bound(&m, RTM_DELADDR, 7, rows[i].len, rows[i].proto, 0);
		CHECK_INT(feed(t, &m), !rows[i].bound);
		CHECK_INT(told.gone, rows[i].bound);
		CHECK_INT(iface_get(t, 7)->n_addrs, 0);
		iface_free(t);
	}
}

/* An address that the list has is the host's, also in its last three seconds. */
static void test_addr_host_ending(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(7, "eth0");
	struct told told = {0};
	struct msg m;

	iface_on_bound(t, on_bound, &told);
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	make_bound(&m, RTM_NEWADDR, 7, 32, 0, 60);
	CHECK_INT(feed(t, &m), 1);
	make_bound(&m, RTM_NEWADDR, 7, 32, 0, 2);
	CHECK_INT(feed(t, &m), 0);
	CHECK_INT(told.there, 0);
	CHECK_INT(iface_get(t, 7)->n_addrs, 1);
	iface_free(t);
}

/* kube-proxy's own interface holds every Service's address: ten thousand of them are not kept, and
 * one more is no news. */
static void test_addr_ipvs(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(7, IFACE_IPVS);
	const uint8_t vip[4] = {10, 0, 0, 100};
	uint64_t generation;
	struct msg m;

	s.flags = IFF_BROADCAST | IFF_NOARP;
	s.operstate = IF_OPER_DOWN;
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	generation = iface_generation(t);
	make_addr(&m, RTM_NEWADDR, 7, vip, 32);
	CHECK_INT(feed(t, &m), 0);
	CHECK_INT(iface_get(t, 7)->n_addrs, 0);
	CHECK_INT(iface_generation(t), generation);
	make_addr(&m, RTM_DELADDR, 7, vip, 32);
	CHECK_INT(feed(t, &m), 0);
	iface_free(t);
}

static void test_addr_limit(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "lo:many");
	uint8_t a[4] = {10, 0, 0, 0};
	struct msg m;
	int rc = 1;

	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	for (unsigned i = 0; i < IFACE_MAX_ADDRS && rc == 1; i++) {
		a[2] = (uint8_t)(i >> 8);
		a[3] = (uint8_t)i;
		make_addr(&m, RTM_NEWADDR, 2, a, 32);
		rc = iface_on_netlink(t, m.b, m.n);
	}
	CHECK_INT(rc, 1);
	a[1] = 1;
	make_addr(&m, RTM_NEWADDR, 2, a, 32);
	CHECK_INT(feed(t, &m), -E2BIG);
	CHECK_INT(iface_get(t, 2)->n_addrs, IFACE_MAX_ADDRS);
	iface_free(t);
}

/* One message over a limit does not cost the ones behind it. */
static void test_link_limit(void)
{
	struct iface_table *t = iface_new();
	struct msg m, last;
	struct link_spec s;
	uint64_t before;
	int rc = 1;

	for (int i = 1; i <= IFACE_MAX && rc == 1; i++) {
		s = spec(i, "eth0");
		make_link(&m, &s);
		rc = iface_on_netlink(t, m.b, m.n);
	}
	CHECK_INT(rc, 1);
	s = spec(IFACE_MAX + 1, "one-more");
	make_link(&m, &s);
	s = spec(1, "eth0");
	s.type = RTM_DELLINK;
	make_link(&last, &s);
	put(&m, last.b, last.n);
	before = iface_generation(t);
	CHECK_INT(feed(t, &m), -E2BIG);
	CHECK(iface_get(t, IFACE_MAX + 1) == NULL && iface_get(t, 1) == NULL);
	CHECK_INT(iface_generation(t), before + 1);
	iface_free(t);
}

/* -- dumps -- */

static void test_dump_sweeps(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "eth0"), gone = spec(3, "eth1");
	const uint8_t keep[4] = {10, 0, 0, 1}, drop[4] = {10, 0, 0, 2};
	struct msg m;

	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 1);
	make_link(&m, &gone);
	CHECK_INT(feed(t, &m), 1);
	make_addr(&m, RTM_NEWADDR, 2, drop, 24);
	CHECK_INT(feed(t, &m), 1);
	make_addr(&m, RTM_NEWADDR, 2, keep, 24);
	CHECK_INT(feed(t, &m), 1);

	iface_dump_begin(t);
	make_link(&m, &s);
	CHECK_INT(feed(t, &m), 0);
	iface_dump_begin(t); /* interrupted: over again */
	CHECK_INT(feed(t, &m), 0);
	make_addr(&m, RTM_NEWADDR, 2, keep, 24);
	CHECK_INT(feed(t, &m), 0);
	CHECK(iface_get(t, 3) != NULL); /* nothing goes before the end */
	CHECK(iface_dump_end(t));
	CHECK(iface_get(t, 3) == NULL);
	CHECK_INT(iface_get(t, 2)->n_addrs, 1);
	CHECK(has_addr(iface_get(t, 2), "10.0.0.1", "10.0.0.0/24"));
	iface_free(t);
}

/* -- malformed -- */

static void test_malformed_every_length(void)
{
	struct iface_table *t = iface_new();
	const uint8_t a[4] = {10, 0, 0, 1};
	struct msg link, addr;

	make_slave(&link, 2, 11, "bond");
	make_addr(&addr, RTM_NEWADDR, 2, a, 24);
	for (size_t n = 1; n < link.n; n++) { /* a datagram cut short */
		unsigned char *p = check_guard(link.b, n);

		CHECK_INT(iface_on_netlink(t, p, n), -EBADMSG);
		check_unguard(p, n);
	}
	CHECK_INT(iface_on_netlink(t, link.b, 0), 0);
	CHECK_INT(iface_on_netlink(t, NULL, 0), 0);
	CHECK(iface_next(t, NULL) == NULL);
	CHECK_INT(feed(t, &link), 1);
	for (size_t n = 1; n < addr.n; n++) {
		unsigned char *p = check_guard(addr.b, n);

		CHECK_INT(iface_on_netlink(t, p, n), -EBADMSG);
		check_unguard(p, n);
	}
	CHECK_INT(iface_get(t, 2)->n_addrs, 0);
	iface_free(t);
}

/* A message whose own length says less than its attributes need. */
static void test_malformed_inner(void)
{
	enum { FIRST_ATTR = 16 + 16 };
	static const struct {
		const char *name;
		size_t at; /* a byte there becomes v */
		uint8_t v;
		int rc;
	} rows[] = {
		{"as it is", 0, 0, 1},
		{"attribute of length 0", FIRST_ATTR, 0, -EBADMSG},
		{"attribute of length 3", FIRST_ATTR, 3, -EBADMSG},
		{"attribute past the end", FIRST_ATTR + 1, 0x70, -EBADMSG},
		{"empty name", FIRST_ATTR + 4, 0, -EBADMSG},
		{"ifindex 0", 20, 0, -EBADMSG},
		{"ifindex negative", 23, 0x80, -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct msg m;

		check_row = rows[i].name;
		make_link(&m, &s);
		if (rows[i].at != 0)
			m.b[rows[i].at] = rows[i].v;
		CHECK_INT(feed(t, &m), rows[i].rc);
		iface_free(t);
	}
}

static void test_malformed_values(void)
{
	static const struct {
		const char *name;
		uint16_t type;
		size_t len;
		int rc;
	} rows[] = {
		{"name of 15", IFLA_IFNAME, 15, 1},
		{"name of 16", IFLA_IFNAME, 16, -EBADMSG},
		{"mtu of 3", IFLA_MTU, 3, -EBADMSG},
		{"mtu of 5", IFLA_MTU, 5, -EBADMSG},
		{"master of 0", IFLA_MASTER, 0, -EBADMSG},
		{"operstate of 0", IFLA_OPERSTATE, 0, -EBADMSG},
		{"operstate of 2", IFLA_OPERSTATE, 2, -EBADMSG},
		{"linkinfo of 3", IFLA_LINKINFO, 3, -EBADMSG},
		{"unknown of 9", 0x3ff0, 9, 1},
		{"unknown, nested bit", 0x8000 | 0x3ff0, 9, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct msg m;

		check_row = rows[i].name;
		begin_link(&m, &s);
		attr(&m, rows[i].type, "xxxxxxxxxxxxxxxxxxxx", rows[i].len);
		end(&m);
		CHECK_INT(feed(t, &m), rows[i].rc);
		iface_free(t);
	}
}

static void test_malformed_no_name(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, NULL);
	struct msg m;

	make_link(&m, &s);
	CHECK_INT(feed(t, &m), -EBADMSG);
	iface_free(t);
}

static void test_malformed_addr(void)
{
	static const struct {
		const char *name;
		uint8_t family;
		uint16_t type;
		size_t len;
		int rc;
	} rows[] = {
		{"IPv4", AF_INET, IFA_LOCAL, 4, 1},
		{"IPv4 of 3", AF_INET, IFA_LOCAL, 3, -EBADMSG},
		{"IPv4 of 16", AF_INET, IFA_ADDRESS, 16, -EBADMSG},
		{"IPv6", AF_INET6, IFA_ADDRESS, 16, 1},
		{"IPv6 of 4", AF_INET6, IFA_ADDRESS, 4, -EBADMSG},
		{"no address", AF_INET, IFA_LABEL, 4, -EBADMSG},
		{"flags of 1", AF_INET, IFA_FLAGS, 1, -EBADMSG},
		{"another family", 0x35, IFA_ADDRESS, 9, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iface_table *t = iface_new();
		struct link_spec s = spec(2, "eth0");
		struct ifaddrmsg h = {
			.ifa_family = rows[i].family, .ifa_prefixlen = 24, .ifa_index = 2};
		struct msg m;

		check_row = rows[i].name;
		make_link(&m, &s);
		CHECK_INT(feed(t, &m), 1);
		begin(&m, RTM_NEWADDR);
		put(&m, &h, sizeof(h));
		attr(&m, rows[i].type, "0123456789abcdef", rows[i].len);
		end(&m);
		CHECK_INT(feed(t, &m), rows[i].rc);
		iface_free(t);
	}
}

/* -- routes that were asked for -- */

/* The kernel's answer to a look-up of 10.0.0.9, or fd00::9. */
static void make_route(struct msg *m, uint8_t family, uint8_t len, uint8_t type, uint32_t oif)
{
	struct rtmsg r = {.rtm_family = family, .rtm_dst_len = len, .rtm_type = type};
	uint8_t to[16] = {0xfd, [15] = 9};
	const uint8_t to4[4] = {10, 0, 0, 9};

	begin(m, RTM_NEWROUTE);
	put(m, &r, sizeof(r));
	attr_u32(m, RTA_TABLE, 254);
	attr(m, RTA_DST, family == AF_INET ? to4 : to, family == AF_INET ? 4 : 16);
	if (oif != 0)
		attr_u32(m, RTA_OIF, oif);
	end(m);
}

static void test_routes(void)
{
	static const struct {
		const char *name;
		uint8_t family, len, type;
		uint32_t oif;
		unsigned want;
		int changed;
	} rows[] = {
		{"by link 4", AF_INET, 32, RTN_UNICAST, 4, 4, 1},
		{"the same again", AF_INET, 32, RTN_UNICAST, 4, 4, 0},
		{"a route of the table is no answer", AF_INET, 24, RTN_UNICAST, 7, 4, 0},
		{"this host", AF_INET, 32, RTN_LOCAL, 1, 0, 1},
		{"by link 5", AF_INET, 32, RTN_UNICAST, 5, 5, 1},
		{"no way", AF_INET, 32, RTN_UNREACHABLE, 5, 0, 1},
		{"by link 6", AF_INET, 32, RTN_UNICAST, 6, 6, 1},
		{"by no link", AF_INET, 32, RTN_UNICAST, 0, 0, 1},
	};
	const struct addr v[] = {ip("10.0.0.9"), ip("fd00::9"), ip("10.0.0.9")};
	struct iface_table *t = iface_new();
	uint64_t generation;
	struct addr a;
	struct msg m;

	CHECK_INT(iface_reach(t, v[0]), 0);
	make_route(&m, AF_INET, 32, RTN_UNICAST, 4);
	CHECK_INT(feed(t, &m), 0); /* nobody asked */
	CHECK_INT(iface_set_reach(t, v, 3), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_row = rows[i].name;
		make_route(&m, rows[i].family, rows[i].len, rows[i].type, rows[i].oif);
		CHECK_INT(feed(t, &m), rows[i].changed);
		CHECK_INT(iface_reach(t, v[0]), rows[i].want);
	}
	make_route(&m, AF_INET6, 128, RTN_UNICAST, 3);
	CHECK_INT(feed(t, &m), 1);
	CHECK_INT(iface_reach(t, v[1]), 3);
	CHECK(iface_reach_at(t, 1, &a) && addr_eq(a, v[1]));
	CHECK(!iface_reach_at(t, 2, &a)); /* one of them twice */

	CHECK_INT(iface_set_reach(t, v + 1, 1), 0); /* what is known stays */
	CHECK_INT(iface_reach(t, v[1]), 3);
	CHECK_INT(iface_reach(t, v[0]), 0);
	generation = iface_generation(t);
	iface_reach_lost(t, 7);
	CHECK(iface_generation(t) == generation);
	iface_reach_lost(t, 0);
	CHECK(iface_generation(t) == generation + 1);
	CHECK_INT(iface_reach(t, v[1]), 0);
	iface_free(t);
}

static void test_route_limits(void)
{
	static struct addr v[IFACE_MAX_REACH + 1];
	struct iface_table *t = iface_new();
	struct msg m, whole;
	const struct addr a = ip("10.0.0.9");

	CHECK_INT(iface_set_reach(t, &a, 1), 0);
	CHECK_INT(iface_set_reach(t, v, IFACE_MAX_REACH + 1), -E2BIG);
	CHECK_INT(iface_set_reach(t, &a, 1), 0);
	make_route(&whole, AF_INET, 32, RTN_UNICAST, 4);
	for (size_t n = 1; n < whole.n; n++) {
		unsigned char *p = check_guard(whole.b, n);

		CHECK_INT(iface_on_netlink(t, p, n), -EBADMSG);
		check_unguard(p, n);
	}
	begin(&m, RTM_NEWROUTE);
	put(&m, &(struct rtmsg){.rtm_family = AF_INET, .rtm_dst_len = 32}, sizeof(struct rtmsg));
	attr(&m, RTA_DST, "0123456789abcdef", 16);
	end(&m);
	CHECK_INT(feed(t, &m), -EBADMSG);
	CHECK_INT(iface_reach(t, a), 0);
	iface_free(t);
}

/* What came before the malformed message counts. */
static void test_malformed_behind_good(void)
{
	struct iface_table *t = iface_new();
	struct link_spec s = spec(2, "eth0");
	struct msg m;

	make_link(&m, &s);
	put(&m, "xxxxxx", 6);
	CHECK_INT(feed(t, &m), -EBADMSG);
	CHECK(iface_get(t, 2) != NULL);
	CHECK_INT(iface_generation(t), 1);
	iface_free(t);
}

CHECK_MAIN("test_iface", CHECK_TEST(test_recorded_story), CHECK_TEST(test_recorded_dump),
	CHECK_TEST(test_recorded_dump_again), CHECK_TEST(test_link_vlan),
	CHECK_TEST(test_link_bond), CHECK_TEST(test_link_in_vrf), CHECK_TEST(test_link_flags),
	CHECK_TEST(test_link_without_mac), CHECK_TEST(test_link_other_families),
	CHECK_TEST(test_link_wireless_event), CHECK_TEST(test_link_recreated), CHECK_TEST(test_link_gone),
	CHECK_TEST(test_addr_same_twice), CHECK_TEST(test_addr_prefix_lengths),
	CHECK_TEST(test_addr_mapped), CHECK_TEST(test_addr_v6_flags), CHECK_TEST(test_addr_bound),
	CHECK_TEST(test_addr_host_ending), CHECK_TEST(test_addr_ipvs), CHECK_TEST(test_addr_limit), CHECK_TEST(test_link_limit),
	CHECK_TEST(test_dump_sweeps), CHECK_TEST(test_malformed_every_length),
	CHECK_TEST(test_malformed_inner), CHECK_TEST(test_malformed_values),
	CHECK_TEST(test_malformed_no_name), CHECK_TEST(test_malformed_addr),
	CHECK_TEST(test_malformed_behind_good), CHECK_TEST(test_routes),
	CHECK_TEST(test_route_limits))
