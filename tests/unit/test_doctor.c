/* SPDX-License-Identifier: Apache-2.0
 *
 * test_doctor.c - lbd doctor: each check with what is good, what is bad, what is not known; and the
 * text and JSON of three hosts, tests/golden/doctor.  Run from the top of the tree; GOLDEN_WRITE=1
 * writes those files.
 */
#include "doctor.h"

#include "check.h"
#include "json.h"

static const char base[] = "apiVersion: lbd.io/v1\nkind: Config\n"
			   "pools: [{name: lan, addresses: [10.0.0.100-10.0.0.119]}]\n"
			   "l2Advertisements: [{name: all, ipAddressPools: [lan]}]\n";

static const char with_peer[] =
	"apiVersion: lbd.io/v1\nkind: Config\n"
	"pools: [{name: far, addresses: [192.0.2.0/28]}]\n"
	"peers: [{name: tor, myASN: 64500, peerASN: 64501, peerAddress: 10.9.0.1, passive: true, "
	"bfdProfile: fast, ebgpMultiHop: true}]\n"
	"bfdProfiles: [{name: fast}]\n"
	"bgpAdvertisements: [{name: all, ipAddressPools: [far]}]\n";

static struct config *config(const char *text)
{
	struct config_source src = {.name = "lbd.yaml", .text = text, .len = strlen(text)};
	struct config_report report;
	struct config *c = NULL;

	config_report_init(&report);
	if (config_parse(&src, 1, &c, &report) != 0) {
		printf("%s", report.errors.p);
		abort();
	}
	config_report_free(&report);
	return c;
}

static struct addr address(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

static void route(struct doctor_facts *f, const char *iface, const char *to, bool on_link)
{
	struct doctor_route *t = &f->host.routes[f->host.n_routes++];

	t->on_link = on_link;
	(void)snprintf(t->iface, sizeof t->iface, "%s", iface);
	if (addr_prefix_parse(to, strlen(to), &t->to, NULL) != 0)
		abort();
}

static struct doctor_iface *iface(struct doctor_facts *f, const char *name)
{
	struct doctor_iface *i = &f->host.ifaces[f->host.n_ifaces++];

	*i = (struct doctor_iface){.up = true, .ethernet = true, .rp_filter = 2};
	(void)snprintf(i->name, sizeof i->name, "%s", name);
	return i;
}

static void port(struct doctor_facts *f, bool tcp, uint16_t number, const char *program)
{
	struct doctor_port *p = &f->host.ports[f->host.n_ports++];

	*p = (struct doctor_port){.tcp = tcp, .port = number, .ours = strcmp(program, "lbd") == 0};
	(void)snprintf(p->program, sizeof p->program, "%s", program);
}

static void right(struct doctor_facts *f, const char *text, enum doctor_known allowed)
{
	struct doctor_right *r = &f->api.rights[f->api.n_rights++];

	(void)snprintf(r->text, sizeof r->text, "%s", text);
	r->allowed = allowed;
}

/* Everything is as it should be. */
static void make_good(struct doctor_facts *f, const struct config *c)
{
	f->conf = c;
	f->config_path = "lbd.yaml";
	(void)iface(f, "eth0");
	route(f, "eth0", "10.0.0.0/24", true);
	route(f, "eth0", "fd00:1::/64", true);
	f->host.own[f->host.n_own++] = address("10.0.0.1");
	f->host.has_routes = f->host.has_ports = f->host.has_own = f->host.has_caps = true;
	f->host.daemon = f->host.real_time = DOCTOR_YES;
	f->host.caps = 1u << 10 | 1u << 12 | 1u << 13;
	f->firewall.program = "nft";
	for (size_t i = 0; i < DOCTOR_PACKETS; i++)
		f->firewall.verdict[i] = DOCTOR_OPEN;
	f->wire.n_asked = 2;
	(void)snprintf(f->node, sizeof f->node, "n1");
	f->api.node_there = DOCTOR_YES;
	f->api.state = DOCTOR_API_ANSWERED;
	(void)snprintf(f->api.where, sizeof f->api.where, "https://10.0.0.9:6443 (context a)");
	(void)snprintf(f->api.version, sizeof f->api.version, "v1.32.4");
	f->api.has_skew = true;
	f->api.daemonsets_listed = DOCTOR_YES;
	f->api.ipvs = f->api.strict_arp = DOCTOR_NO;
	f->api.has_kubernetes_ip = true;
	f->api.kubernetes_ip = address("10.96.0.1");
	right(f, "list services", DOCTOR_YES);
	f->certs = (struct doctor_certs){.known = true,
		.now_s = 1000000000,
		.from_s = 900000000,
		.until_s = 1100000000,
		.from_whose = "client certificate",
		.until_whose = "client certificate"};
}

static void make_unknown(struct doctor_facts *f, const struct config *c)
{
	(void)c;
	f->host.all.arp_ignore = f->host.all.arp_announce = f->host.all.rp_filter = -1;
	f->firewall.why = "only root may read its rules";
	f->wire.why = "lbd does not run here, and it knows which are in use";
	(void)snprintf(f->api.err, sizeof f->api.err, "there is nothing to ask it with");
}

/* -- what is wrong, one thing each -- */

static void lax_arp(struct doctor_facts *f)
{
	(void)iface(f, "kube-ipvs0");
}

static void lax_announce(struct doctor_facts *f)
{
	lax_arp(f);
	f->host.all.arp_ignore = 1;
	f->host.ifaces[0].arp_announce = 1;
}

static void lax_ignore(struct doctor_facts *f)
{
	lax_arp(f);
	f->host.all.arp_announce = 2;
}

static void strict_here_only(struct doctor_facts *f)
{
	f->api.ipvs = DOCTOR_YES;
	f->host.all.arp_ignore = 1;
	f->host.all.arp_announce = 2;
}

static void strict_arp(struct doctor_facts *f)
{
	strict_here_only(f);
	f->api.strict_arp = DOCTOR_YES;
	(void)iface(f, "kube-ipvs0");
}

static void unread_arp(struct doctor_facts *f)
{
	(void)iface(f, "kube-ipvs0");
	f->host.all.arp_ignore = f->host.all.arp_announce = -1;
}

static void two_strict(struct doctor_facts *f)
{
	iface(f, "eth1")->rp_filter = 1;
	route(f, "eth1", "10.1.0.0/24", true);
}

static void one_strict(struct doctor_facts *f)
{
	f->host.all.rp_filter = 1;
	f->host.ifaces[0].rp_filter = 0;
}

static void pods_and_strict(struct doctor_facts *f)
{
	(void)iface(f, "cni0");
	route(f, "cni0", "10.244.1.0/24", true);
	f->host.ifaces[0].rp_filter = f->host.all.rp_filter = 1;
}

static void wifi(struct doctor_facts *f)
{
	iface(f, "wlan0")->wireless = true;
}

static void servicelb(struct doctor_facts *f)
{
	CHECK(doctor_rival_by_object(f, "DaemonSet", "kube-system", "svclb-web-5f2a"));
	CHECK(doctor_rival_by_object(f, "DaemonSet", "kube-system", "svclb-shop-5f2b"));
	CHECK(!doctor_rival_by_object(f, "DaemonSet", "kube-system", "kube-proxy"));
	CHECK_INT(f->n_rivals, 1);
}

static void metallb(struct doctor_facts *f)
{
	CHECK(doctor_rival_by_process(f, "speaker"));
}

static void keepalived(struct doctor_facts *f)
{
	CHECK(doctor_rival_by_process(f, "keepalived"));
	CHECK(!doctor_rival_by_process(f, "bash"));
}

static void no_raw(struct doctor_facts *f)
{
	f->host.caps &= ~(1ull << 13);
}

static void no_bind(struct doctor_facts *f)
{
	f->host.caps &= ~(1ull << 10);
}

static void no_caps(struct doctor_facts *f)
{
	f->host.has_caps = false;
}

static void bird(struct doctor_facts *f)
{
	port(f, true, 179, "bird");
}

static void bird_unknown_config(struct doctor_facts *f)
{
	bird(f);
	f->conf = NULL;
}

static void own_ports(struct doctor_facts *f)
{
	port(f, true, 179, "lbd");
	port(f, false, 3784, "lbd");
	port(f, true, 7472, "lbd");
}

static void bfdd(struct doctor_facts *f)
{
	port(f, false, 3784, "");
}

static void multihop_bfdd(struct doctor_facts *f)
{
	port(f, false, 4784, "bfdd");
}

static void metrics_taken(struct doctor_facts *f)
{
	port(f, true, 7472, "speaker");
}

static void no_ports(struct doctor_facts *f)
{
	f->host.has_ports = false;
}

static void bfd_dropped(struct doctor_facts *f)
{
	f->firewall.verdict[DOCTOR_BFD] = DOCTOR_DROPPED;
	f->firewall.ufw = true;
}

static void bgp_dropped(struct doctor_facts *f)
{
	f->firewall.verdict[DOCTOR_BGP] = DOCTOR_DROPPED;
}

static void unsure(struct doctor_facts *f)
{
	f->firewall.verdict[DOCTOR_BFD] = DOCTOR_CANNOT_TELL;
}

static void firewalld_unread(struct doctor_facts *f)
{
	f->firewall = (struct doctor_firewall){.firewalld = true, .why = "only root may"};
}

static void hijacked(struct doctor_facts *f)
{
	f->wire.foreign[f->wire.n_foreign++] = (struct doctor_answer){
		.ip = address("10.0.0.100"), .mac = {2, 0, 10, 89, 0, 50}, .iface = "eth0"};
}

static void not_asked(struct doctor_facts *f)
{
	f->wire.why = "that needs CAP_NET_RAW; run it as root";
}

static void bad_config(struct doctor_facts *f)
{
	f->conf = NULL;
	(void)snprintf(f->config_error, sizeof f->config_error, "lbd.yaml:1:1: bad");
}

static void no_config(struct doctor_facts *f)
{
	f->conf = NULL;
	f->config_path = NULL;
}

static void off_subnet(struct doctor_facts *f)
{
	f->host.n_routes = 0;
	route(f, "eth0", "10.7.0.0/24", true);
	route(f, "eth0", "10.0.0.0/24", false);
}

static void no_routes(struct doctor_facts *f)
{
	f->host.has_routes = false;
}

static void own_address(struct doctor_facts *f)
{
	f->host.own[f->host.n_own++] = address("10.0.0.101");
}

static void own_is_vip(struct doctor_facts *f)
{
	own_address(f);
	f->wire.vips[f->wire.n_vips++] = address("10.0.0.101");
}

static void no_own(struct doctor_facts *f)
{
	f->host.has_own = false;
}

static void pods_there(struct doctor_facts *f)
{
	f->api.nets[f->api.n_nets++] = addr_prefix_of(address("10.0.0.0"), 16);
}

static void services_there(struct doctor_facts *f)
{
	f->api.kubernetes_ip = address("10.0.0.100");
}

static void no_nets(struct doctor_facts *f)
{
	f->api.has_kubernetes_ip = false;
}

static void no_ifaces(struct doctor_facts *f)
{
	f->host.n_ifaces = 0;
}

static void peer_routed(struct doctor_facts *f)
{
	route(f, "eth0", "10.8.0.0/13", false);
}

static void ordinary(struct doctor_facts *f)
{
	f->host.real_time = DOCTOR_NO;
}

static void not_running(struct doctor_facts *f)
{
	f->host.real_time = DOCTOR_UNKNOWN;
}

static void unreachable(struct doctor_facts *f)
{
	f->api.state = DOCTOR_API_UNREACHABLE;
	(void)snprintf(f->api.err, sizeof f->api.err, "connection refused");
}

static void refused(struct doctor_facts *f)
{
	f->api.state = DOCTOR_API_REFUSED;
}

static void no_credentials(struct doctor_facts *f)
{
	f->api.state = DOCTOR_API_NO_CREDENTIALS;
}

static void right_missing(struct doctor_facts *f)
{
	right(f, "patch services/status", DOCTOR_NO);
}

static void right_unknown(struct doctor_facts *f)
{
	right(f, "patch services/status", DOCTOR_UNKNOWN);
}

static void nodes(struct doctor_facts *f, size_t n)
{
	f->api.n_nodes = n;
	for (size_t i = 0; i < n && i < DOCTOR_NAMED_NODES; i++)
		(void)snprintf(
			f->api.nodes[i], sizeof f->api.nodes[i], "node%c", (char)('a' + (int)i));
}

static void no_node(struct doctor_facts *f)
{
	f->api.node_there = DOCTOR_NO;
}

static void another_node(struct doctor_facts *f)
{
	no_node(f);
	nodes(f, 5);
}

static void node_not_told(struct doctor_facts *f)
{
	f->api.node_there = DOCTOR_UNKNOWN;
}

static void node_not_named(struct doctor_facts *f)
{
	f->node[0] = '\0';
}

static void behind(struct doctor_facts *f)
{
	f->api.skew_ms = -5000;
}

static void far_ahead(struct doctor_facts *f)
{
	f->api.skew_ms = 20001;
}

static void no_date(struct doctor_facts *f)
{
	f->api.has_skew = false;
}

static void not_yet_valid(struct doctor_facts *f)
{
	f->certs.now_s = 899999000;
}

static void expired(struct doctor_facts *f)
{
	f->certs.now_s = 1100000000 + 3 * 86400;
}

static void expires_soon(struct doctor_facts *f)
{
	f->certs.now_s = 1100000000 - 13 * 86400;
}

static void no_certs(struct doctor_facts *f)
{
	f->certs.known = false;
}

/* -- each alone -- */

struct row {
	void (*change)(struct doctor_facts *f);
	const char *name, *conf, *id;
	enum doctor_severity want;
};
#define ROW(fn, conf, id, want)                                                                    \
	{                                                                                          \
		fn, #fn, conf, id, want                                                            \
	}

static const char named_ifaces[] = "apiVersion: lbd.io/v1\nkind: Config\n"
				   "pools: [{name: lan, addresses: [192.0.2.0/28]}]\n"
				   "l2Advertisements: [{name: a, interfaces: [ens1, \"bond*\"]}]\n";
static const char unannounced[] = "apiVersion: lbd.io/v1\nkind: Config\n"
				  "pools: [{name: a, addresses: [10.0.0.9/32]}, "
				  "{name: b, addresses: [10.0.0.8/32]}]\n"
				  "l2Advertisements: [{name: a, ipAddressPools: [a]}]\n";
static const char quick[] = "apiVersion: lbd.io/v1\nkind: Config\n"
			    "elections: {bfd: {interval: 50ms, multiplier: 3}}\n";

static void same(struct doctor_facts *f)
{
	(void)f;
}

static const struct row rows[] = {
	ROW(same, base, "strict-arp", DOCTOR_OK),
	ROW(lax_arp, base, "strict-arp", DOCTOR_FAIL),
	ROW(lax_announce, base, "strict-arp", DOCTOR_FAIL),
	ROW(lax_ignore, base, "strict-arp", DOCTOR_FAIL),
	ROW(strict_here_only, base, "strict-arp", DOCTOR_WARN),
	ROW(strict_arp, base, "strict-arp", DOCTOR_OK),
	ROW(unread_arp, base, "strict-arp", DOCTOR_SKIP),
	ROW(two_strict, base, "rp-filter", DOCTOR_WARN),
	ROW(one_strict, base, "rp-filter", DOCTOR_OK),
	ROW(pods_and_strict, base, "rp-filter", DOCTOR_OK),
	ROW(wifi, base, "wifi", DOCTOR_WARN),
	ROW(no_ifaces, base, "wifi", DOCTOR_SKIP),
	ROW(servicelb, base, "other-lb", DOCTOR_FAIL),
	ROW(metallb, base, "other-lb", DOCTOR_FAIL),
	ROW(keepalived, base, "other-lb", DOCTOR_WARN),
	ROW(same, base, "other-lb", DOCTOR_OK),
	ROW(no_raw, base, "capabilities", DOCTOR_FAIL),
	ROW(no_bind, base, "capabilities", DOCTOR_OK),
	ROW(no_bind, with_peer, "capabilities", DOCTOR_WARN),
	ROW(no_caps, base, "capabilities", DOCTOR_SKIP),
	ROW(bird, base, "port-179", DOCTOR_OK),
	ROW(bird, with_peer, "port-179", DOCTOR_FAIL),
	ROW(bird_unknown_config, base, "port-179", DOCTOR_WARN),
	ROW(no_ports, base, "port-179", DOCTOR_SKIP),
	ROW(own_ports, with_peer, "port-179", DOCTOR_OK),
	ROW(own_ports, with_peer, "port-3784", DOCTOR_OK),
	ROW(own_ports, with_peer, "port-metrics", DOCTOR_OK),
	ROW(bfdd, base, "port-3784", DOCTOR_WARN),
	ROW(multihop_bfdd, base, "port-3784", DOCTOR_OK),
	ROW(multihop_bfdd, with_peer, "port-3784", DOCTOR_WARN),
	ROW(metrics_taken, base, "port-metrics", DOCTOR_WARN),
	ROW(same, base, "firewall", DOCTOR_OK),
	ROW(bfd_dropped, base, "firewall", DOCTOR_FAIL),
	ROW(bgp_dropped, base, "firewall", DOCTOR_OK),
	ROW(bgp_dropped, with_peer, "firewall", DOCTOR_FAIL),
	ROW(unsure, base, "firewall", DOCTOR_SKIP),
	ROW(firewalld_unread, base, "firewall", DOCTOR_WARN),
	ROW(same, base, "vip-answered", DOCTOR_OK),
	ROW(hijacked, base, "vip-answered", DOCTOR_FAIL),
	ROW(not_asked, base, "vip-answered", DOCTOR_SKIP),
	ROW(same, base, "config", DOCTOR_OK),
	ROW(bad_config, base, "config", DOCTOR_FAIL),
	ROW(no_config, base, "config", DOCTOR_SKIP),
	ROW(same, base, "pool-subnet", DOCTOR_OK),
	ROW(off_subnet, base, "pool-subnet", DOCTOR_WARN),
	ROW(off_subnet, with_peer, "pool-subnet", DOCTOR_OK),
	ROW(same, unannounced, "pool-subnet", DOCTOR_WARN),
	ROW(no_routes, base, "pool-subnet", DOCTOR_SKIP),
	ROW(same, base, "pool-own", DOCTOR_OK),
	ROW(own_address, base, "pool-own", DOCTOR_FAIL),
	ROW(own_is_vip, base, "pool-own", DOCTOR_WARN),
	ROW(no_own, base, "pool-own", DOCTOR_SKIP),
	ROW(same, base, "pool-cluster", DOCTOR_OK),
	ROW(pods_there, base, "pool-cluster", DOCTOR_FAIL),
	ROW(services_there, base, "pool-cluster", DOCTOR_FAIL),
	ROW(no_nets, base, "pool-cluster", DOCTOR_SKIP),
	ROW(same, base, "interfaces", DOCTOR_OK),
	ROW(same, named_ifaces, "interfaces", DOCTOR_WARN),
	ROW(no_ifaces, base, "interfaces", DOCTOR_SKIP),
	ROW(same, base, "peer-route", DOCTOR_OK),
	ROW(same, with_peer, "peer-route", DOCTOR_WARN),
	ROW(peer_routed, with_peer, "peer-route", DOCTOR_OK),
	ROW(no_routes, with_peer, "peer-route", DOCTOR_SKIP),
	ROW(ordinary, base, "bfd-interval", DOCTOR_OK),
	ROW(ordinary, quick, "bfd-interval", DOCTOR_WARN),
	ROW(same, quick, "bfd-interval", DOCTOR_OK),
	ROW(not_running, quick, "bfd-interval", DOCTOR_SKIP),
	ROW(same, base, "api", DOCTOR_OK),
	ROW(unreachable, base, "api", DOCTOR_FAIL),
	ROW(refused, base, "api", DOCTOR_FAIL),
	ROW(no_credentials, base, "api", DOCTOR_FAIL),
	ROW(same, base, "rights", DOCTOR_OK),
	ROW(right_missing, base, "rights", DOCTOR_FAIL),
	ROW(right_unknown, base, "rights", DOCTOR_SKIP),
	ROW(unreachable, base, "rights", DOCTOR_SKIP),
	ROW(same, base, "node-name", DOCTOR_OK),
	ROW(no_node, base, "node-name", DOCTOR_FAIL),
	ROW(another_node, base, "node-name", DOCTOR_FAIL),
	ROW(node_not_told, base, "node-name", DOCTOR_SKIP),
	ROW(node_not_named, base, "node-name", DOCTOR_SKIP),
	ROW(unreachable, base, "node-name", DOCTOR_SKIP),
	ROW(same, base, "clock-skew", DOCTOR_OK),
	ROW(behind, base, "clock-skew", DOCTOR_WARN),
	ROW(far_ahead, base, "clock-skew", DOCTOR_FAIL),
	ROW(no_date, base, "clock-skew", DOCTOR_SKIP),
	ROW(same, base, "certificate", DOCTOR_OK),
	ROW(not_yet_valid, base, "certificate", DOCTOR_FAIL),
	ROW(expired, base, "certificate", DOCTOR_FAIL),
	ROW(expires_soon, base, "certificate", DOCTOR_WARN),
	ROW(no_certs, base, "certificate", DOCTOR_SKIP),
};

/* The worst of the check's findings. */
static int worst(const struct doctor_report *r, const char *id)
{
	int found = -1;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->v[i].id, id) == 0 && (found < 0 || (int)r->v[i].severity < found))
			found = (int)r->v[i].severity;
	return found;
}

static void test_each(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct doctor_facts *f = calloc(1, sizeof *f);
		struct doctor_report *r = calloc(1, sizeof *r);
		struct config *c = config(rows[i].conf);

		if (f == NULL || r == NULL)
			abort();
		check_row = rows[i].name;
		make_good(f, c);
		rows[i].change(f);
		doctor_examine(f, r);
		CHECK_INT(worst(r, rows[i].id), rows[i].want);
		for (size_t k = 0; k < r->n;
			k++) /* what is wrong, and only that, says what to do */
			CHECK((r->v[k].severity <= DOCTOR_WARN) == (r->v[k].fix[0] != '\0'));
		if (rows[i].want <= DOCTOR_WARN)
			CHECK(doctor_has_finding(r));
		config_free(c);
		free(r);
		free(f);
	}
	check_row = "";
}

/* Where the manifest is, of a package and of the sources, which is where this test runs. */
static void test_manifest(void)
{
	static void (*const change[])(struct doctor_facts *f) = {no_credentials, right_missing};
	static const char source[] = "packaging/kubernetes/rbac.yaml";

	CHECK_INT(access(source, R_OK), 0);
	for (size_t i = 0; i < ARRAY_LEN(change); i++) {
		struct doctor_report *r = calloc(1, sizeof *r);
		struct doctor_facts *f = calloc(1, sizeof *f);
		struct config *c = config(base);
		unsigned n = 0;

		if (f == NULL || r == NULL)
			abort();
		make_good(f, c);
		change[i](f);
		doctor_examine(f, r);
		for (size_t k = 0; k < r->n; k++)
			n += strstr(r->v[k].fix, " /usr/share/lbd/kubernetes/rbac.yaml") != NULL &&
			     strstr(r->v[k].fix, source) != NULL;
		CHECK_INT(n, 1);
		config_free(c);
		free(r);
		free(f);
	}
}

/* -- the text -- */

static void make_broken(struct doctor_facts *f, const struct config *c)
{
	make_good(f, c);
	lax_arp(f);
	two_strict(f);
	wifi(f);
	servicelb(f);
	metallb(f);
	keepalived(f);
	no_raw(f);
	no_bind(f);
	bird(f);
	multihop_bfdd(f);
	metrics_taken(f);
	bfd_dropped(f);
	bgp_dropped(f);
	hijacked(f);
	ordinary(f);
	right_missing(f);
	another_node(f);
	far_ahead(f);
	expired(f);
}

static void check_golden(const char *name, const struct buf *got)
{
	const bool writes = getenv("GOLDEN_WRITE") != NULL;
	char path[128], want[32768] = "";
	FILE *file;
	size_t n = 0;

	(void)snprintf(path, sizeof path, "tests/golden/doctor/%s", name);
	file = fopen(path, writes ? "w" : "r");
	if (file == NULL) {
		CHECK(file != NULL);
		return;
	}
	if (writes)
		CHECK(fwrite(got->p, 1, got->len, file) == got->len);
	else
		n = fread(want, 1, sizeof want - 1, file);
	(void)fclose(file);
	want[n] = '\0';
	if (!writes)
		CHECK_STR(got->p, want);
}

/* No line is over 80 columns but where one word is. */
static void check_width(const char *text)
{
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
		CHECK(strcspn(p, "\n") <= 80);
}

static void print_host(const char *name, const char *conf,
	void (*make)(struct doctor_facts *f, const struct config *c), bool json)
{
	struct doctor_facts *f = calloc(1, sizeof *f);
	struct doctor_report *r = calloc(1, sizeof *r);
	struct config *c = config(conf);
	struct buf out;

	if (f == NULL || r == NULL)
		abort();
	buf_init(&out, 1 << 20);
	make(f, c);
	doctor_examine(f, r);
	if (json)
		doctor_json(r, &out);
	else
		doctor_text(r, &out);
	CHECK(!out.bad);
	if (!json)
		check_width(out.p);
	check_golden(name, &out);
	buf_free(&out);
	config_free(c);
	free(r);
	free(f);
}

static void test_text(void)
{
	print_host("clean.txt", base, make_good, false);
	print_host("broken.txt", with_peer, make_broken, false);
	print_host("unknown.txt", base, make_unknown, false);
	print_host("clean.json", base, make_good, true);
}

/* The Nodes that there are: one, those that are named, more. */
static void test_nodes(void)
{
	static const struct {
		const char *name, *want;
		size_t n;
	} list[] = {
		{"none", "there is no Node n1 in the API", 0},
		{"one", "there is no Node n1 in the API; its only Node is nodea", 1},
		{"two", "there is no Node n1 in the API; its Nodes are nodea, nodeb", 2},
		{"three", "there is no Node n1 in the API; its Nodes are nodea, nodeb, nodec", 3},
		{"many",
			"there is no Node n1 in the API; its Nodes are nodea, nodeb, nodec (and 7 "
			"more)",
			10},
	};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		struct doctor_facts *f = calloc(1, sizeof *f);
		struct doctor_report *r = calloc(1, sizeof *r);

		if (f == NULL || r == NULL)
			abort();
		check_row = list[i].name;
		make_good(f, NULL);
		no_node(f);
		nodes(f, list[i].n);
		doctor_examine(f, r);
		for (size_t k = 0; k < r->n; k++)
			if (strcmp(r->v[k].id, "node-name") == 0)
				CHECK_STR(r->v[k].what, list[i].want);
		CHECK_INT(worst(r, "node-name"), DOCTOR_FAIL);
		free(r);
		free(f);
	}
	check_row = "";
}

/* What others wrote moves no terminal, and a name that fills everything stays within it. */
static void test_hostile(void)
{
	struct doctor_report *r = calloc(1, sizeof *r);
	char name[2 * DOCTOR_TEXT];
	struct buf out;

	if (r == NULL)
		abort();
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	r->id = "id";
	for (size_t i = 0; i < DOCTOR_MAX_FINDINGS + 3; i++)
		doctor_fix(doctor_add(r, DOCTOR_FAIL, "\033[2J%s", name), "\xff\n%s", name);
	CHECK_INT(r->n, DOCTOR_MAX_FINDINGS);
	CHECK(strncmp(r->v[0].what, "?[2Jxx", 6) == 0 && strncmp(r->v[0].fix, "??xx", 4) == 0);
	CHECK_INT(strlen(r->v[0].what), DOCTOR_TEXT - 1);
	buf_init(&out, 1 << 20);
	doctor_text(r, &out);
	CHECK(!out.bad);
	buf_free(&out);
	free(r);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_each), CHECK_TEST(test_manifest), CHECK_TEST(test_text),
		CHECK_TEST(test_nodes), CHECK_TEST(test_hostile)};

	return check_main("test_doctor", tests, ARRAY_LEN(tests));
}
