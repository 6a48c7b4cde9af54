/* SPDX-License-Identifier: Apache-2.0
 *
 * test_elig.c - who may announce, on which interfaces, and why not.
 */
#include "check.h"
#include "world.h"

static struct world w;

/* Three nodes; this one is n1 with eth0 in the pool's subnet. */
static void open_lan(void)
{
	world_open(&w, "n1");
	world_link(&w, 2, "eth0", 1, true);
	world_addr(&w, 2, "10.0.0.1/24");
	world_node(&w, "n1", "'disk':'ssd','zone':'a'", "");
	world_node(&w, "n2", "'disk':'hdd','zone':'b'", "");
	world_service(&w, "web", "'10.0.0.100'", "", "");
	world_endpoints(&w, "web", "n1,n2");
	world_vips(&w);
}

static const struct vip_group *group_of(const char *ip)
{
	const struct vip *v = vip_find(w.vips, world_ip(ip));

	if (v == NULL)
		abort();
	return v->group;
}

static struct elig self(const char *ip)
{
	struct elig e;

	elig_judge_self(&w.in, group_of(ip), &e);
	return e;
}

static struct elig other(const char *ip, const char *node, const char *subnets)
{
	struct elig e;

	elig_judge_other(&w.in, group_of(ip), node, subnets, &e);
	return e;
}

static void test_eligible(void)
{
	struct elig e;

	open_lan();
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK_INT(e.n_paths, 1);
	CHECK_INT(e.paths[0].ifindex, 2);
	CHECK(!e.off_subnet);
	CHECK_INT(other("10.0.0.100", "n2", NULL).reason, REASON_OWNER);
	CHECK_INT(other("10.0.0.100", "n2", "10.0.0.0/24").reason, REASON_OWNER);
	CHECK_INT(other("10.0.0.100", "n2", "10.0.0.0/24").n_paths, 0);
	CHECK_INT(other("10.0.0.100", "n9", NULL).reason, REASON_NO_NODE);
	world_close(&w);
}

static void test_node_reasons(void)
{
	static const struct {
		const char *name, *labels, *status;
		enum reason want;
	} rows[] = {
		{"plain", "", "", REASON_OWNER},
		{"label to exclude", "'node.kubernetes.io/exclude-from-external-load-balancers':''",
			"", REASON_NODE_EXCLUDED},
		{"no network", "", "'conditions':[{'type':'NetworkUnavailable','status':'True'}]",
			REASON_NETWORK_UNAVAILABLE},
		{"network again", "",
			"'conditions':[{'type':'NetworkUnavailable','status':'False'}]",
			REASON_OWNER},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		open_lan();
		world_node(&w, "n1", rows[i].labels, rows[i].status);
		CHECK_INT(self("10.0.0.100").reason, rows[i].want);
		/* A hand-over goes on answering on the same paths. */
		CHECK_INT(self("10.0.0.100").n_paths, 1);
		world_close(&w);
	}
}

static void test_endpoints(void)
{
	open_lan();
	world_endpoints(&w, "web", "");
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_ENDPOINTS);
	world_endpoints(&w, "web", "n2");
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	world_service(&w, "web", "'10.0.0.100'", "", ",'externalTrafficPolicy':'Local'");
	world_vips(&w);
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_LOCAL_ENDPOINTS);
	CHECK_INT(other("10.0.0.100", "n2", NULL).reason, REASON_OWNER);
	world_endpoints(&w, "web", "n1");
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	CHECK_INT(other("10.0.0.100", "n2", NULL).reason, REASON_NO_LOCAL_ENDPOINTS);
	world_close(&w);
}

static const struct label pair_ssd[] = {{"disk", "ssd"}}, pair_hdd[] = {{"disk", "hdd"}},
			  pair_web[] = {{"app", "web"}}, pair_db[] = {{"app", "db"}};
static const struct selector sel_ssd = {pair_ssd, 1, NULL, 0}, sel_hdd = {pair_hdd, 1, NULL, 0},
			     sel_web = {pair_web, 1, NULL, 0}, sel_db = {pair_db, 1, NULL, 0};

static void test_advertisements(void)
{
	static const char *const none[] = {"other"}, *const lan[] = {"lan"};
	struct config_bgp_advertisement bgp = {.name = "b"};
	struct elig e;

	open_lan();
	w.ads[0].node_selectors = (struct selectors){&sel_hdd, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_ADVERTISEMENT);
	CHECK_INT(other("10.0.0.100", "n2", NULL).reason, REASON_OWNER);
	w.ads[0].node_selectors = (struct selectors){&sel_ssd, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	w.ads[0].service_selectors = (struct selectors){&sel_db, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_ADVERTISEMENT);
	w.ads[0].service_selectors = (struct selectors){&sel_web, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	w.ads[0].ip_address_pools = (struct config_strings){none, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_ADVERTISEMENT);
	w.conf.bgp_advertisements = &bgp;
	w.conf.n_bgp_advertisements = 1;
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_BGP_ONLY); /* by BGP only */
	CHECK_INT(e.n_paths, 0);
	bgp.ip_address_pools = (struct config_strings){none, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_ADVERTISEMENT);
	bgp.ip_address_pools = (struct config_strings){lan, 1};
	CHECK_INT(self("10.0.0.100").reason, REASON_BGP_ONLY);
	w.conf.n_l2_advertisements = 0;
	CHECK_INT(self("10.0.0.100").reason, REASON_BGP_ONLY);
	world_close(&w);
}

static void test_weights(void)
{
	const struct config_preference prefs[] = {{30, sel_ssd}, {5, sel_hdd}};

	open_lan();
	w.ads[0].preferred_node_selectors = prefs;
	w.ads[0].n_preferred_node_selectors = 2;
	CHECK_INT(self("10.0.0.100").weight, 30);
	CHECK_INT(other("10.0.0.100", "n2", NULL).weight, 5);
	w.ads[1] = w.ads[0];
	w.conf.n_l2_advertisements = 2;
	CHECK_INT(self("10.0.0.100").weight, 60); /* all that apply are summed */
	w.ads[1].node_selectors = (struct selectors){&sel_hdd, 1};
	CHECK_INT(self("10.0.0.100").weight, 30);
	world_close(&w);
}

static void test_interfaces(void)
{
	static const char *const names[] = {"eth1", "wl*"}, *const docker[] = {"docker*", "eth0"};
	struct elig e;
	unsigned listen[8];

	open_lan();
	world_link(&w, 3, "eth1", 1, true);
	world_link(&w, 4, "wlan0", 1, true);
	world_link(&w, 5, "wlan1", 1, false);
	world_addr(&w, 3, "10.0.0.2/24"); /* a second NIC in the same segment */
	world_addr(&w, 4, "192.168.7.2/24");
	e = self("10.0.0.100");
	CHECK_INT(e.n_paths, 1);
	CHECK_INT(e.paths[0].ifindex, 2);
	world_link(&w, 2, "eth0", 1, false); /* it fails: the second one takes over */
	e = self("10.0.0.100");
	CHECK_INT(e.n_paths, 1);
	CHECK_INT(e.paths[0].ifindex, 3);
	world_link(&w, 2, "eth0", 1, true);

	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 2);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 1), 1);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 0), 0);

	w.ads[0].interfaces = (struct config_strings){names, 2};
	e = self("10.0.0.100");
	CHECK_INT(e.n_paths, 2);
	CHECK_INT(e.paths[0].ifindex, 3);
	CHECK_INT(e.paths[1].ifindex, 4);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 2);
	w.ads[1] = (struct config_l2_advertisement){.name = "too"}; /* both: a union in order */
	w.conf.n_l2_advertisements = 2;
	e = self("10.0.0.100");
	CHECK_INT(e.n_paths, 3);
	CHECK_INT(e.paths[0].ifindex, 2);
	CHECK_INT(e.paths[1].ifindex, 3);
	CHECK_INT(e.paths[2].ifindex, 4);
	w.conf.n_l2_advertisements = 1;

	w.ads[0].interfaces.n = 0;
	w.ads[0].exclude_interfaces = (struct config_strings){docker, 2};
	e = self("10.0.0.100");
	CHECK_INT(e.n_paths, 1);
	CHECK_INT(e.paths[0].ifindex, 3);
	world_close(&w);
}

/* bindAddress holds for the interfaces of its own advertisement, and wins where two name one. */
static void test_bind(void)
{
	static const char *const eth1[] = {"eth1"}, *const both[] = {"eth0", "eth1"};
	struct elig_set *set = elig_set_new(&w.hkey);
	struct elig plain, e;

	open_lan();
	world_link(&w, 3, "eth1", 1, true);
	w.ads[0].interfaces = (struct config_strings){both, 2};
	w.ads[1] = (struct config_l2_advertisement){
		.name = "bound", .interfaces = {eth1, 1}, .bind_address = true};
	plain = self("10.0.0.100");
	CHECK_INT(plain.n_paths, 2);
	CHECK(!plain.paths[0].bind && !plain.paths[1].bind);
	w.conf.n_l2_advertisements = 2;
	e = self("10.0.0.100");
	CHECK_INT(e.n_paths, 2);
	CHECK(!e.paths[0].bind && e.paths[1].bind);
	CHECK(!elig_equal(&plain, &e));
	CHECK(elig_set_keep(set, &plain) != elig_set_keep(set, &e));
	CHECK_INT(elig_set_count(set), 2);
	elig_set_free(set);
	world_close(&w);
}

/* kube-proxy's interface holds the VIP itself: it is no interface of the VIP's, and takes nothing
 * away from the one that is; nor is it published. */
static void test_ipvs(void)
{
	struct elig e;
	struct buf b;

	open_lan();
	world_link(&w, 1, IFACE_IPVS, 1, true); /* before eth0, and even up */
	world_addr(&w, 1, "10.0.0.100/32");
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK_INT(e.n_paths, 1);
	CHECK_INT(e.paths[0].ifindex, 2);
	buf_init(&b, 256);
	CHECK_INT(elig_subnets_text(w.ifaces, &b), 0);
	CHECK_STR(b.p, "10.0.0.0/24");
	buf_free(&b);
	world_close(&w);
}

/* The kernel's answer to a look-up of 10.9.9.9. */
static void put_route(unsigned ifindex)
{
	struct rtmsg r = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_type = RTN_UNICAST};
	const unsigned char to[4] = {10, 9, 9, 9};
	struct world_msg m;

	world_begin(&m, RTM_NEWROUTE, &r, sizeof r);
	world_attr(&m, RTA_DST, to, sizeof to);
	world_attr(&m, RTA_OIF, &ifindex, sizeof ifindex);
	world_send(&w, &m);
}

/* OpenELB's "can_reach:", for which the address's own subnet does not matter. */
static void test_reach(void)
{
	static const char *const names[] = {"can_reach:10.9.9.9"};
	const struct addr to = world_ip("10.9.9.9");
	unsigned listen[8];
	struct elig e;

	open_lan();
	world_link(&w, 3, "eth1", 1, true);
	world_link(&w, 4, "eth2", 1, false);
	w.ads[0].interfaces = (struct config_strings){names, 1};
	CHECK_INT(iface_set_reach(w.ifaces, &to, 1), 0);
	e = self("10.0.0.100"); /* not known yet, or no route */
	CHECK_INT(e.reason, REASON_NO_INTERFACE);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 0);
	put_route(3);
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK_INT(e.n_paths, 1);
	CHECK_INT(e.paths[0].ifindex, 3);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 1);
	CHECK_INT(listen[0], 3);
	put_route(4); /* it is down */
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_INTERFACE);
	world_close(&w);
}

/* An interface that is not heard yet is for who has the address already; one that cannot be is as one
 * that is down, but it is tried again. */
static void test_heard(void)
{
	unsigned listen[8];
	struct elig e;

	open_lan();
	iface_set_capture(w.ifaces, 2, ADDR_V6, IFACE_DEAF); /* no matter of an IPv4 address */
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	for (enum iface_capture c = IFACE_NOT_HEARD; c <= IFACE_OPENING; c++) {
		iface_set_capture(w.ifaces, 2, ADDR_V4, c);
		e = self("10.0.0.100");
		CHECK_INT(e.reason, REASON_NOT_LISTENING);
		CHECK_INT(e.n_paths, 1);
		CHECK_INT(other("10.0.0.100", "n2", "10.0.0.0/24").reason, REASON_OWNER);
	}
	iface_set_capture(w.ifaces, 2, ADDR_V4, IFACE_DEAF);
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_NO_INTERFACE);
	CHECK_INT(e.n_paths, 0);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 1);
	world_close(&w);
}

/* A second one that is being opened takes nothing away; where the first is deaf the second one in its
 * subnet serves. */
static void test_one_of_two_heard(void)
{
	static const char *const names[] = {"eth0", "eth1"};
	struct elig e;

	open_lan();
	world_link(&w, 3, "eth1", 1, true);
	world_addr(&w, 3, "10.0.0.9/24");
	iface_set_capture(w.ifaces, 3, ADDR_V4, IFACE_OPENING);
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK(e.n_paths == 1 && e.paths[0].ifindex == 2);
	iface_set_capture(w.ifaces, 2, ADDR_V4, IFACE_DEAF);
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_NOT_LISTENING);
	CHECK(e.n_paths == 1 && e.paths[0].ifindex == 3);
	iface_set_capture(w.ifaces, 3, ADDR_V4, IFACE_HEARD);
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	iface_set_capture(w.ifaces, 2, ADDR_V4, IFACE_OPENING);
	w.ads[0].interfaces = (struct config_strings){names, 2};
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK_INT(e.n_paths, 2);
	world_close(&w);
}

static void put_lease(const char *node, const char *holder, const char *subnets)
{
	world_apply(&w, CLUSTER_LEASE, CLUSTER_PUT,
		world_json(
			"{'metadata':{'namespace':'kube-system','name':'lbd-node-%s','uid':'l','"
			"resourceVersion':'%lu',"
			"'labels':{'lbd.io/lease':'node'},'annotations':{'lbd.io/subnets':'%s'}},"
			"'spec':{'holderIdentity':'%s'}}",
			node, ++w.rv, subnets, holder));
}

static void test_off_subnet(void)
{
	struct elig e;
	unsigned listen[8];

	world_open(&w, "n1");
	world_link(&w, 2, "eth0", 1, true);
	world_link(&w, 3, "eth1", 1, true);
	world_addr(&w, 2, "192.168.1.1/24");
	world_node(&w, "n1", "", "");
	world_node(&w, "n2", "", "");
	world_service(&w, "web", "'10.0.0.100'", "", "");
	world_endpoints(&w, "web", "n2");
	world_vips(&w);
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_OWNER); /* nobody has the subnet: any interface */
	CHECK(e.off_subnet);
	CHECK_INT(e.n_paths, 2);
	CHECK(other("10.0.0.100", "n2", "192.168.1.0/24").off_subnet);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 2);
	put_lease("n2", "n2/x", "192.168.1.0/24,10.0.0.0/8");
	e = self("10.0.0.100");
	CHECK_INT(e.reason, REASON_NO_INTERFACE); /* n2 has it */
	CHECK_INT(e.n_paths, 0);
	CHECK_INT(other("10.0.0.100", "n2", "192.168.1.0/24,10.0.0.0/8").reason, REASON_OWNER);
	put_lease("n2", "", "192.168.1.0/24,10.0.0.0/8"); /* gone */
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	put_lease("n2", "n2/x", ",,nonsense,10.0.0.0/99,/,10.0.0.0/");
	CHECK_INT(self("10.0.0.100").reason, REASON_OWNER);
	world_link(&w, 2, "eth0", 1, false);
	world_link(&w, 3, "eth1", 1, false);
	CHECK_INT(self("10.0.0.100").reason, REASON_NO_INTERFACE);
	world_close(&w);
}

static void test_groups(void)
{
	const char *const share = "'lbd.io/allow-shared-ip':'k'";
	struct elig e;

	open_lan();
	world_service(&w, "a", "'10.0.0.110'", share, "");
	world_service(&w, "b", "'10.0.0.110'", share, ",'ports':[{'port':81,'protocol':'TCP'}]");
	world_endpoints(&w, "b", "n2");
	world_vips(&w);
	e = self("10.0.0.110");
	CHECK_INT(e.reason, REASON_OWNER); /* one of them has an endpoint */
	world_endpoints(&w, "b", "");
	CHECK_INT(self("10.0.0.110").reason, REASON_NO_ENDPOINTS);
	world_close(&w);
}

/* By the same rules as IPv4; of link-local addresses every link has the subnet. */
static void test_ipv6(void)
{
	unsigned listen[8];
	struct elig e;

	open_lan();
	world_link(&w, 3, "eth1", 1, true);
	world_link(&w, 4, "eth2", 1, true);
	world_link(&w, 5, "cali0", 1, true);
	world_addr(&w, 3, "fd00::1/64");
	world_addr(&w, 4, "fd00::2/64");
	for (unsigned i = 3; i <= 5; i++)
		world_addr(&w, i, "fe80::1/64");
	world_service(&w, "six", "'fd00::100'", "", "");
	world_endpoints(&w, "six", "n1");
	world_vips(&w);
	e = self("fd00::100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK(!e.off_subnet && e.n_paths == 1 && e.paths[0].ifindex == 3);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V6, listen, 8), 2);
	CHECK_INT(listen[0], 3);
	CHECK_INT(elig_interfaces_of(&w.in, ADDR_V4, listen, 8), 1);
	CHECK_INT(listen[0], 2);
	CHECK_INT(elig_interfaces(&w.in, listen, 8), 3);
	w.ranges[0] = world_range("fe80::100-fe80::1ff");
	world_service(&w, "near", "'fe80::100'", "", "");
	world_endpoints(&w, "near", "n1");
	world_vips(&w);
	e = self("fe80::100");
	CHECK_INT(e.reason, REASON_OWNER);
	CHECK(!e.off_subnet && e.n_paths == 3 && e.paths[1].ifindex == 4);
	world_close(&w);
}

static void test_kept_verdicts(void)
{
	static const struct hash_key hkey = {3, 4};
	struct elig_set *set = elig_set_new(&hkey);
	struct elig e = {.reason = REASON_OWNER, .weight = 7, .n_paths = 2};
	const struct elig *a, *b, *c;

	e.paths[1] = (struct elig_path){.vip = 1, .ifindex = 9};
	a = elig_set_keep(set, &e);
	CHECK(a != NULL && elig_equal(a, &e));
	e.paths[1].ifindex = 8;
	CHECK(!elig_equal(a, &e));
	b = elig_set_keep(set, &e);
	CHECK(b != NULL && b != a && elig_equal(b, &e));
	e.paths[1].vip = 0;
	CHECK(!elig_equal(b, &e));
	e.paths[1] = (struct elig_path){.vip = 1, .ifindex = 9};
	c = elig_set_keep(set, &e);
	CHECK(c == a);
	CHECK_INT(elig_set_count(set), 2);
	elig_set_drop(set, a);
	CHECK(elig_equal(c, &e)); /* still held once */
	elig_set_drop(set, c);
	CHECK_INT(elig_set_count(set), 1);
	elig_set_drop(set, NULL);
	elig_set_drop(set, b);
	CHECK_INT(elig_set_count(set), 0);
	elig_set_free(set);
	elig_set_free(NULL);
}

static void test_texts(void)
{
	struct buf b;

	open_lan();
	world_link(&w, 3, "eth1", 1, true);
	world_link(&w, 4, "down0", 1, false);
	world_addr(&w, 3, "10.1.0.1/16");
	world_addr(&w, 3, "10.0.0.7/24"); /* the same subnet again */
	world_addr(&w, 3, "10.9.9.9/32"); /* no meeting place */
	world_addr(&w, 4, "10.2.0.1/24");
	buf_init(&b, 4096);
	CHECK_INT(elig_subnets_text(w.ifaces, &b), 0);
	CHECK_STR(b.p, "10.0.0.0/24,10.1.0.0/16");
	buf_reset(&b);
	CHECK_INT(elig_macs_text(w.ifaces, &b), 0);
	CHECK_STR(b.p, "eth0=02:00:00:00:01:02,eth1=02:00:00:00:01:03,down0=02:00:00:00:01:04");
	buf_reset(&b);
	world_unlink(&w, 4, "down0"); /* it may be back when the API is not */
	CHECK_INT(elig_macs_text(w.ifaces, &b), 0);
	CHECK_STR(b.p, "eth0=02:00:00:00:01:02,eth1=02:00:00:00:01:03,=02:00:00:00:01:04");
	buf_reset(&b);
	for (unsigned i = 10; i < 80; i++)
		world_link(&w, i, "veth", 9, true);
	CHECK_INT(elig_macs_text(w.ifaces, &b), 0);
	CHECK(strncmp(b.p, "eth0=", 5) == 0);
	CHECK(b.len < 1024); /* hundreds of pods do not fill the Lease */
	buf_free(&b);
	world_close(&w);
}

static void test_next_advertisement(void)
{
	const struct config_l2_advertisement *ad = NULL;
	const struct vip *v;

	open_lan();
	v = vip_find(w.vips, world_ip("10.0.0.100"));
	w.ads[1] = (struct config_l2_advertisement){.name = "other"};
	w.conf.n_l2_advertisements = 2;
	for (size_t i = 0; i < 2; i++) {
		ad = elig_next_advertisement(&w.in, v, ad);
		CHECK(ad == &w.ads[i]);
	}
	CHECK(elig_next_advertisement(&w.in, v, ad) == NULL);
	w.in.node = "nobody";
	CHECK(elig_next_advertisement(&w.in, v, NULL) == NULL);
	world_close(&w);
}

CHECK_MAIN("test_elig", CHECK_TEST(test_eligible), CHECK_TEST(test_node_reasons),
	CHECK_TEST(test_endpoints), CHECK_TEST(test_advertisements), CHECK_TEST(test_weights),
	CHECK_TEST(test_interfaces), CHECK_TEST(test_bind), CHECK_TEST(test_ipvs),
	CHECK_TEST(test_reach), CHECK_TEST(test_heard), CHECK_TEST(test_one_of_two_heard),
		CHECK_TEST(test_off_subnet), CHECK_TEST(test_groups),
	CHECK_TEST(test_ipv6), CHECK_TEST(test_kept_verdicts), CHECK_TEST(test_texts),
	CHECK_TEST(test_next_advertisement))
