/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bgpconf.c - what a configured peer comes to on a node.
 */
#include "bgpconf.h"

#include "check.h"
#include "world.h"

static struct world w;

static void open_links(void)
{
	world_open(&w, "n1");
	world_link(&w, 2, "eth0", 1, true);
	world_addr(&w, 2, "10.0.0.1/24");
	world_addr(&w, 2, "fd00::1/64");
	world_addr(&w, 2, "fe80::1/64");
	world_link(&w, 3, "eth1", 1, true);
	world_addr(&w, 3, "fe80::2/64");
}

static struct config_peer peer(void)
{
	return (struct config_peer){.name = "tor",
		.my_asn = 64500,
		.peer_asn = 64501,
		.has_peer_address = true,
		.peer_address = world_ip("10.0.0.254"),
		.peer_port = 179,
		.hold_time_ms = 90000,
		.keepalive_time_ms = 30000,
		.connect_time_ms = 5000};
}

static struct bgp_conf session(const struct config_peer *p, const char *remote)
{
	struct bgp_conf c;

	bgpconf_session(p, world_ip(remote), 0x0a000001, &c);
	return c;
}

static void test_session(void)
{
	struct config_peer p = peer();
	struct bgp_conf c = session(&p, "10.0.0.254");

	CHECK_INT(c.local_asn, 64500);
	CHECK_INT(c.asn, BGP_ASN_GIVEN);
	CHECK_INT(c.hold_s, 90);
	CHECK_INT(c.keepalive_ms, 30000);
	CHECK(c.families[ADDR_V4] && !c.families[ADDR_V6] && !c.extended_next_hop);
	p.local_asn = 65000;
	p.dynamic_asn = "external";
	c = session(&p, "10.0.0.254");
	CHECK_INT(c.local_asn, 65000);
	CHECK_INT(c.asn, BGP_ASN_EXTERNAL);
	p.dynamic_asn = "internal";
	CHECK_INT(session(&p, "10.0.0.254").asn, BGP_ASN_INTERNAL);
}

static void test_families(void)
{
	static const struct {
		const char *remote;
		bool dual, disable_mp, unnumbered, v4, v6, extended;
	} rows[] = {
		{"10.0.0.254", false, false, false, true, false, false},
		{"10.0.0.254", true, false, false, true, true, false},
		{"fd00::fe", false, false, false, false, true, false},
		{"fd00::fe", true, false, false, true, true, true},
		{"fd00::fe", true, true, false, false, true, false},
		{"fe80::9", false, false, true, true, true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_peer p = peer();
		struct bgp_conf c;

		p.dual_stack_address_family = rows[i].dual;
		p.disable_mp = rows[i].disable_mp;
		p.interface = rows[i].unnumbered ? "eth1" : NULL;
		c = session(&p, rows[i].remote);
		CHECK(c.families[ADDR_V4] == rows[i].v4);
		CHECK(c.families[ADDR_V6] == rows[i].v6);
		CHECK(c.extended_next_hop == rows[i].extended);
	}
}

static void test_ttl(void)
{
	static const struct {
		uint32_t peer_asn;
		bool multihop;
		unsigned security, sent, least;
	} rows[] = {
		{64501, false, 0, 1, 0},      /* on our link (RFC 4271's way) */
		{64501, true, 0, 255, 0},
		{64501, false, 1, 255, 255},  /* RFC 5082 */
		{64501, false, 3, 255, 253},
		{64500, false, 0, 0, 0},      /* iBGP: anywhere */
		{64500, false, 254, 255, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_peer p = peer();
		struct bgpconf_ttl t;

		p.peer_asn = rows[i].peer_asn;
		p.ebgp_multi_hop = rows[i].multihop;
		p.ttl_security = rows[i].security;
		t = bgpconf_ttl(&p);
		CHECK_INT(t.sent, rows[i].sent);
		CHECK_INT(t.least, rows[i].least);
	}
}

static uint32_t router_id(const struct config_peer *p)
{
	return bgpconf_router_id(p, cluster_node(w.cluster, "n1"), w.ifaces);
}

static void test_router_id(void)
{
	struct config_peer p = peer();

	world_open(&w, "n1");
	CHECK(router_id(&p) != 0);
	world_node(&w, "n1", "", "");
	CHECK(router_id(&p) > 1 && router_id(&p) == router_id(&p)); /* by its name */
	world_link(&w, 2, "eth0", 1, true);
	world_addr(&w, 2, "fd00::1/64");
	world_addr(&w, 2, "10.0.0.1/24");
	CHECK_INT(router_id(&p), 0x0a000001);
	world_node(&w, "n1", "", "'addresses':[{'type':'InternalIP','address':'fd00::9'},"
				 "{'type':'InternalIP','address':'10.9.0.1'}]");
	CHECK_INT(router_id(&p), 0x0a090001);
	p.has_router_id = true;
	p.router_id = world_ip("1.2.3.4");
	CHECK_INT(router_id(&p), 0x01020304);
	world_close(&w);
}

static void test_self(void)
{
	static const struct {
		const char *local, *remote;
		unsigned ifindex;
		const char *v4, *v6, *link_local; /* "": none */
	} rows[] = {
		{"10.0.0.1", "10.0.0.254", 0, "10.0.0.1", "fd00::1", "fe80::1"},
		{"fd00::1", "fd00::fe", 0, "10.0.0.1", "fd00::1", "fe80::1"},
		{"fd00::1", "fd99::1", 0, "10.0.0.1", "fd00::1", ""}, /* not on the link */
		{"10.7.7.7", "10.99.0.1", 0, "10.7.7.7", "fd00::1", ""}, /* on lo */
		{"fe80::2", "fe80::9", 3, "", "", "fe80::2"},
		{"fe80::1", "fe80::9", 2, "10.0.0.1", "fd00::1", "fe80::1"},
	};

	open_links();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_self s, want = {0};

		bgpconf_self(w.ifaces, world_ip(rows[i].local), world_ip(rows[i].remote),
			rows[i].ifindex, &s);
		if (rows[i].v4[0] != '\0')
			want.next_hop[ADDR_V4] = world_ip(rows[i].v4);
		if (rows[i].v6[0] != '\0')
			want.next_hop[ADDR_V6] = world_ip(rows[i].v6);
		if (rows[i].link_local[0] != '\0')
			want.link_local = world_ip(rows[i].link_local);
		CHECK(memcmp(&s, &want, sizeof s) == 0);
	}
	CHECK_INT(bgpconf_link(w.ifaces, world_ip("10.0.0.254")), 2);
	CHECK_INT(bgpconf_link(w.ifaces, world_ip("10.0.1.254")), 0);
	world_close(&w);
}

static void test_bfd(void)
{
	const struct config_bfd_profile fast = {.name = "fast",
		.receive_interval_ms = 100,
		.transmit_interval_ms = 50,
		.detect_multiplier = 3,
		.minimum_ttl = 250,
		.passive_mode = true};
	const struct config c = {.bfd_profiles = &fast, .n_bfd_profiles = 1};
	struct bfd_conf b;

	CHECK(bgpconf_bfd_profile(&c, NULL) == NULL);
	CHECK(bgpconf_bfd_profile(&c, "slow") == NULL);
	CHECK(bgpconf_bfd_profile(&c, "fast") == &fast);
	bgpconf_bfd(&fast, false, &b);
	CHECK_INT(b.transmit_us, 50000);
	CHECK_INT(b.receive_us, 100000);
	CHECK_INT(b.multiplier, 3);
	CHECK_INT(b.minimum_ttl, 255);
	CHECK(b.passive && !b.keyed);
	bgpconf_bfd(&fast, true, &b);
	CHECK_INT(b.minimum_ttl, 250);
}

CHECK_MAIN("test_bgpconf", CHECK_TEST(test_session), CHECK_TEST(test_families),
	CHECK_TEST(test_ttl), CHECK_TEST(test_router_id), CHECK_TEST(test_self),
	CHECK_TEST(test_bfd))
