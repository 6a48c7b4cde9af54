/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_checks.c - lbd doctor's checks of a host.
 *
 * In:   facts.  Out: findings.
 * Sources: ip-sysctl.rst of Linux (arp_ignore, arp_announce, rp_filter: the larger of all's and the
 *       interface's counts); kube-proxy, pkg/proxy/ipvs (strictARP); RFC 4271, 5881, 5883 (ports).
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

enum { BGP_PORT = 179, BFD_PORT = 3784, BFD_MULTIHOP_PORT = 4784 };
enum { CAP_NET_BIND_SERVICE = 10, CAP_NET_ADMIN = 12, CAP_NET_RAW = 13 };

#define IPVS_IFACE "kube-ipvs0"

/* -- interfaces -- */

/* Of Pods, containers and kube-proxy: nobody on the LAN is behind it. */
static bool is_inner(const char *name)
{
	static const char *const prefixes[] = {"cali", "cbr", "cilium", "cni", "docker", "dummy",
		"flannel", "kube-ipvs", "lxc", "nodelocaldns", "tunl", "veth", "virbr"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static bool matters(const struct doctor_iface *i)
{
	return i->ethernet && i->up && !i->enslaved && !is_inner(i->name);
}

static const struct doctor_iface *named(const struct doctor_host *h, const char *name)
{
	for (size_t i = 0; i < h->n_ifaces; i++)
		if (strcmp(h->ifaces[i].name, name) == 0)
			return &h->ifaces[i];
	return NULL;
}

static bool has_ipvs(const struct doctor_facts *f)
{
	return named(&f->host, IPVS_IFACE) != NULL || f->api.ipvs == DOCTOR_YES;
}

static int larger(int all, int own)
{
	return all > own ? all : own;
}

static bool is_lax(const struct doctor_host *h, const struct doctor_iface *i)
{
	const int ignore = larger(h->all.arp_ignore, i->arp_ignore),
		  announce = larger(h->all.arp_announce, i->arp_announce);

	return matters(i) && ((ignore >= 0 && ignore < 1) || (announce >= 0 && announce < 2));
}

static const char STRICT_FIX[] =
	"Set ipvs.strictARP: true in the ConfigMap kube-system/kube-proxy and restart kube-proxy, "
	"or here: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2";

static void check_strict_arp(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_host *h = &f->host;

	if (!has_ipvs(f)) {
		const bool known = h->n_ifaces > 0 || f->api.ipvs != DOCTOR_UNKNOWN;

		(void)doctor_add(r, known ? DOCTOR_OK : DOCTOR_SKIP,
			known ? "kube-proxy does not run in IPVS mode here"
			      : "kube-proxy's mode is not known");
		return;
	}
	if (larger(h->all.arp_ignore, h->all.arp_announce) < 0) {
		(void)doctor_add(r, DOCTOR_SKIP, "net.ipv4.conf.all.arp_ignore cannot be read");
		return;
	}
	for (size_t i = 0; i < h->n_ifaces; i++)
		if (is_lax(h, &h->ifaces[i])) {
			doctor_fix(
				doctor_add(r, DOCTOR_FAIL,
					"kube-proxy in IPVS mode has every Service's address on "
					"every node, and this host answers ARP for them on %s "
					"(arp_ignore %d, arp_announce %d): clients reach any node",
					h->ifaces[i].name,
					larger(h->all.arp_ignore, h->ifaces[i].arp_ignore),
					larger(h->all.arp_announce, h->ifaces[i].arp_announce)),
				"%s", STRICT_FIX);
			return;
		}
	if (f->api.ipvs == DOCTOR_YES && f->api.strict_arp == DOCTOR_NO)
		doctor_fix(doctor_add(r, DOCTOR_WARN,
				   "kube-proxy's ConfigMap says IPVS mode without strictARP; this "
				   "host "
				   "is set right, another may not be"),
			"%s", STRICT_FIX);
	else
		(void)doctor_add(
			r, DOCTOR_OK, "kube-proxy is in IPVS mode; ARP is answered as it should");
}

static void check_rp_filter(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_host *h = &f->host;
	const struct doctor_iface *strict = NULL;
	size_t n = 0;

	for (size_t i = 0; i < h->n_ifaces; i++) {
		const struct doctor_iface *e = &h->ifaces[i];
		bool has_subnet = false;

		for (size_t k = 0; k < h->n_routes && !has_subnet; k++)
			has_subnet =
				h->routes[k].on_link && strcmp(h->routes[k].iface, e->name) == 0;
		if (!matters(e) || !has_subnet || e->wireless)
			continue;
		n++;
		if (larger(h->all.rp_filter, e->rp_filter) == 1)
			strict = e;
	}
	if (h->all.rp_filter < 0)
		(void)doctor_add(r, DOCTOR_SKIP, "net.ipv4.conf.all.rp_filter cannot be read");
	else if (strict == NULL || n < 2)
		(void)doctor_add(r, DOCTOR_OK,
			strict == NULL ? "no interface drops clients that another one leads to"
				       : "strict, but there is only one way in and out");
	else
		doctor_fix(
			doctor_add(r, DOCTOR_WARN,
				"rp_filter is 1 (strict) on %s, and there are %zu interfaces: what "
				"clients send there is dropped if answers to them go by another",
				strict->name, n),
			"If clients come by several interfaces: sysctl -w "
			"net.ipv4.conf.%s.rp_filter=2 "
			"(and all's not 1)",
			strict->name);
}

static void check_wifi(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_host *h = &f->host;
	bool found = false;

	for (size_t i = 0; i < h->n_ifaces; i++)
		if (h->ifaces[i].wireless && h->ifaces[i].up) {
			found = true;
			doctor_fix(doctor_add(r, DOCTOR_WARN,
					   "%s is a Wi-Fi interface: access points may keep ARP "
					   "and NDP "
					   "from it, or answer for it, so that addresses move late",
					   h->ifaces[i].name),
				"Use a cable, or leave it out: excludeInterfaces: [%s] in the "
				"layer 2 "
				"advertisement",
				h->ifaces[i].name);
		}
	if (!found)
		(void)doctor_add(r, h->n_ifaces > 0 ? DOCTOR_OK : DOCTOR_SKIP,
			h->n_ifaces > 0 ? "no Wi-Fi interface is in use"
					: "no interface can be read in /sys/class/net");
}

/* -- other load balancers -- */

struct product {
	const char *process; /* comm; NULL = known by its objects alone */
	const char *object;  /* how the object's name begins */
	const char *product, *fix;
	bool fails;
};

static const struct product products[] = {
	{NULL, "svclb-", "k3s's servicelb",
		"Start every k3s server with --disable servicelb, and wait until its DaemonSets "
		"svclb-* "
		"are gone",
		true},
	{"speaker", "speaker", "MetalLB",
		"Delete its speaker and controller before lbd serves: kubectl -n metallb-system "
		"delete "
		"daemonset/speaker deployment/controller",
		true},
	{NULL, "metallb-", "MetalLB",
		"Uninstall it before lbd serves; its custom resources may stay (configFrom: "
		"cluster)",
		true},
	{"openelb-speaker", "openelb-", "OpenELB", "Uninstall it before lbd serves", true},
	{"kube-vip", "kube-vip", "kube-vip",
		"Let it serve the control plane only: svc_enable=false in its environment", false},
	{"keepalived", NULL, "keepalived",
		"See that no virtual_ipaddress of its configuration is in a pool of lbd", false},
};

static bool note_rival(struct doctor_facts *f, const struct product *p, const char *name)
{
	struct doctor_rival *r = &f->rivals[f->n_rivals];

	for (size_t i = 0; i < f->n_rivals; i++) /* one line for each product says enough */
		if (strcmp(f->rivals[i].product, p->product) == 0)
			return true;
	if (f->n_rivals == DOCTOR_MAX_RIVALS)
		return true;
	f->n_rivals++;
	*r = (struct doctor_rival){.product = p->product, .fix = p->fix, .fails = p->fails};
	(void)snprintf(r->name, sizeof r->name, "%s", name);
	return true;
}

bool doctor_rival_by_process(struct doctor_facts *f, const char *comm)
{
	char name[64];

	for (size_t i = 0; i < ARRAY_LEN(products); i++)
		if (products[i].process != NULL && strcmp(products[i].process, comm) == 0) {
			(void)snprintf(name, sizeof name, "process %s", comm);
			return note_rival(f, &products[i], name);
		}
	return false;
}

bool doctor_rival_by_object(
	struct doctor_facts *f, const char *kind, const char *namespace_, const char *name)
{
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(products); i++)
		if (products[i].object != NULL &&
			strncmp(products[i].object, name, strlen(products[i].object)) == 0) {
			(void)snprintf(text, sizeof text, "%s %s/%s", kind, namespace_, name);
			return note_rival(f, &products[i], text);
		}
	return false;
}

static void check_rivals(const struct doctor_facts *f, struct doctor_report *r)
{
	const bool asked = f->api.daemonsets_listed == DOCTOR_YES;

	for (size_t i = 0; i < f->n_rivals; i++) {
		const struct doctor_rival *v = &f->rivals[i];

		doctor_fix(doctor_add(r, v->fails ? DOCTOR_FAIL : DOCTOR_WARN, "%s runs (%s): %s",
				   v->product, v->name,
				   v->fails ? "it gives Services addresses, too, and announces them"
					    : "it announces addresses of its own"),
			"%s", v->fix);
	}
	if (f->n_rivals == 0 && !asked && f->host.daemon == DOCTOR_UNKNOWN)
		(void)doctor_add(r, DOCTOR_SKIP, "neither processes nor DaemonSets can be listed");
	else if (f->n_rivals == 0)
		(void)doctor_add(r, DOCTOR_OK,
			asked ? "no other load balancer is seen, here or in the cluster"
			      : "no other load balancer is seen among this host's processes; the "
				"cluster's DaemonSets could not be listed");
}

/* -- rights of the process -- */

/* lbd itself drops that right where nothing wants it. */
static bool listens_low(const struct config *c)
{
	enum { FIRST_FREE_PORT = 1024 };
	bool any = c != NULL && c->metrics_port > 0 && c->metrics_port < FIRST_FREE_PORT;

	for (size_t i = 0; c != NULL && i < c->n_peers; i++)
		any |= c->peers[i].passive;
	return any;
}

static void check_capabilities(const struct doctor_facts *f, struct doctor_report *r)
{
	static const struct {
		unsigned bit;
		const char *name, *need;
	} cap[] = {
		{CAP_NET_RAW, "CAP_NET_RAW", "to answer ARP and NDP"},
		{CAP_NET_ADMIN, "CAP_NET_ADMIN",
			"to put addresses on interfaces (bindAddress) and for strictARP"},
		{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "for passive BGP peers"},
	};
	const bool daemon = f->host.daemon == DOCTOR_YES;
	bool found = false;

	if (!f->host.has_caps) {
		(void)doctor_add(r, DOCTOR_SKIP, "the capabilities of a process cannot be read");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(cap); i++)
		if ((f->host.caps >> cap[i].bit & 1) == 0 &&
			(cap[i].bit != CAP_NET_BIND_SERVICE || listens_low(f->conf))) {
			found = true;
			doctor_fix(doctor_add(r, i == 0 ? DOCTOR_FAIL : DOCTOR_WARN,
					   "%s %s, which lbd needs %s",
					   daemon ? "lbd runs without" : "no process here can have",
					   cap[i].name, cap[i].need),
				"systemd: AmbientCapabilities=%s in lbd.service; a Pod: "
				"securityContext.capabilities.add: [%s]",
				cap[i].name, cap[i].name + strlen("CAP_"));
		}
	if (!found)
		(void)doctor_add(r, DOCTOR_OK,
			daemon ? "lbd runs with those that it needs"
			       : "a process here can have those that lbd needs");
}

/* -- ports -- */

static const struct doctor_port *foreign(const struct doctor_host *h, bool tcp, unsigned port)
{
	for (size_t i = 0; i < h->n_ports; i++)
		if (h->ports[i].tcp == tcp && h->ports[i].port == port && !h->ports[i].ours)
			return &h->ports[i];
	return NULL;
}

static const char *program_of(const struct doctor_port *p)
{
	return p->program[0] != '\0' ? p->program : "a program that only root can name";
}

/* True: nothing is to be said but that, which it did. */
static bool say_free(const struct doctor_facts *f, struct doctor_report *r, bool tcp, unsigned port)
{
	if (foreign(&f->host, tcp, port) != NULL)
		return false;
	(void)doctor_add(r, f->host.has_ports ? DOCTOR_OK : DOCTOR_SKIP,
		f->host.has_ports ? "%s port %u is free, or lbd's"
				  : "who has %s port %u cannot be read",
		tcp ? "TCP" : "UDP", port);
	return true;
}

static void check_port_bgp(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_port *p = foreign(&f->host, true, BGP_PORT);
	bool passive = false;

	if (say_free(f, r, true, BGP_PORT))
		return;
	for (size_t i = 0; f->conf != NULL && i < f->conf->n_peers; i++)
		passive |= f->conf->peers[i].passive;
	if (f->conf != NULL && f->conf->n_peers == 0) {
		(void)doctor_add(r, DOCTOR_OK,
			"%s listens on TCP port 179 (BGP); lbd has no BGP peers", program_of(p));
		return;
	}
	doctor_fix(
		doctor_add(r, passive ? DOCTOR_FAIL : DOCTOR_WARN,
			"%s listens on TCP port 179 (BGP): %s", program_of(p),
			passive ? "lbd's passive peers cannot reach lbd"
				: "a router has one session with this host, lbd's or that one's"),
		passive ? "Stop it here, or take passive: true from lbd's peers"
			: "Give lbd's peers other routers than it has, or stop it, or let it take "
			  "lbd's "
			  "routes and lbd peer with 127.0.0.1");
}

static void check_port_bfd(const struct doctor_facts *f, struct doctor_report *r)
{
	const unsigned mesh = f->conf != NULL ? f->conf->elections.bfd_port : BFD_PORT;
	const struct doctor_port *p = foreign(&f->host, false, mesh);
	bool peers = false;

	for (size_t i = 0; f->conf != NULL && i < f->conf->n_peers; i++)
		peers |= f->conf->peers[i].bfd_profile != NULL &&
			 f->conf->peers[i].bfd_profile[0] != '\0';
	if (p == NULL && peers)
		p = foreign(&f->host, false, BFD_PORT);
	if (p == NULL && peers)
		p = foreign(&f->host, false, BFD_MULTIHOP_PORT);
	if (p == NULL) {
		(void)say_free(f, r, false, mesh);
		return;
	}
	doctor_fix(doctor_add(r, DOCTOR_WARN,
			   "%s has UDP port %u (BFD, which finds a dead node or router within "
			   "milliseconds): lbd finds them by its Leases only, in up to a minute",
			   program_of(p), p->port),
		peers ? "Stop it, or let that program watch the routers and take bfdProfile from "
			"lbd's peers"
		      : "Stop it, or give lbd's nodes another port: elections.bfd.port");
}

static void check_port_metrics(const struct doctor_facts *f, struct doctor_report *r)
{
	const unsigned port = f->conf != NULL ? f->conf->metrics_port : 7472;
	const struct doctor_port *p = foreign(&f->host, true, port);

	if (port == 0)
		(void)doctor_add(r, DOCTOR_OK, "metrics are off");
	else if (!say_free(f, r, true, port))
		doctor_fix(
			doctor_add(r, DOCTOR_WARN,
				"%s listens on TCP port %u, where lbd would show its metrics%s",
				program_of(p), port, port == 7472 ? " (MetalLB's port, too)" : ""),
			"Give lbd another: metrics.port");
}

/* -- firewalls -- */

static const char *const packet_words[] = {
	"TCP port 179 (BGP)", "UDP port 3784 (BFD)", "UDP port 4784 (BFD over several hops)"};

static bool packet_matters(const struct doctor_facts *f, size_t packet)
{
	bool multihop = false;

	if (f->conf == NULL)
		return packet != DOCTOR_BFD_MULTIHOP;
	for (size_t i = 0; i < f->conf->n_peers; i++)
		multihop |= f->conf->peers[i].ebgp_multi_hop;
	if (packet == DOCTOR_BGP)
		return f->conf->n_peers > 0;
	return packet == DOCTOR_BFD || multihop;
}

static void say_opening(const struct doctor_facts *f, struct doctor_finding *v, size_t packet)
{
	const char *port = packet == DOCTOR_BGP   ? "179"
			   : packet == DOCTOR_BFD ? "3784"
						  : "4784",
		   *proto = packet == DOCTOR_BGP ? "tcp" : "udp";

	if (f->firewall.firewalld)
		doctor_fix(v, "firewall-cmd --permanent --add-port=%s/%s && firewall-cmd --reload",
			port, proto);
	else if (f->firewall.ufw)
		doctor_fix(v, "ufw allow %s/%s", port, proto);
	else
		doctor_fix(v, "Let it in before the rule that drops it: %s dport %s accept", proto,
			port);
}

static void check_firewall(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_firewall *w = &f->firewall;
	bool dropped = false, unsure = false;

	for (size_t i = 0; i < DOCTOR_PACKETS && w->program != NULL; i++) {
		if (!packet_matters(f, i))
			continue;
		unsure |= w->verdict[i] == DOCTOR_CANNOT_TELL;
		if (w->verdict[i] != DOCTOR_DROPPED)
			continue;
		dropped = true;
		say_opening(f,
			doctor_add(r, DOCTOR_FAIL, "this host's firewall drops %s that comes in",
				packet_words[i]),
			i);
	}
	if (w->program == NULL && (w->firewalld || w->ufw))
		doctor_fix(doctor_add(r, DOCTOR_WARN,
				   "%s runs here; whether it lets BFD and BGP in "
				   "cannot be told (%s)",
				   w->firewalld ? "firewalld" : "ufw", w->why),
			w->firewalld
				? "firewall-cmd --permanent --add-port=3784/udp --add-port=179/tcp "
				  "&& firewall-cmd --reload"
				: "ufw allow 3784/udp; ufw allow 179/tcp");
	else if (w->program == NULL || (unsure && !dropped))
		(void)doctor_add(r, DOCTOR_SKIP,
			"whether a firewall drops BFD or BGP cannot be told: %s",
			w->program == NULL ? w->why : "its rules say more than lbd reads");
	else if (!dropped)
		(void)doctor_add(r, DOCTOR_OK, "no rule (%s) drops BFD or BGP, ports 3784 and 179",
			w->program);
}

/* -- what the wire said -- */

static void check_vips(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_wire *w = &f->wire;
	char ip[ADDR_STRLEN];

	for (size_t i = 0; i < w->n_foreign; i++) {
		const struct doctor_answer *a = &w->foreign[i];
		const uint8_t *m = a->mac;

		doctor_fix(doctor_add(r, DOCTOR_FAIL,
				   "a host that is no node of lbd answers for %s on %s: its MAC is "
				   "%02x:%02x:%02x:%02x:%02x:%02x",
				   addr_format(a->ip, ip), a->iface, m[0], m[1], m[2], m[3], m[4],
				   m[5]),
			"Find it by that MAC in the switch's table and give it another address, or "
			"take "
			"the address out of the pool");
	}
	if (w->why != NULL)
		(void)doctor_add(
			r, DOCTOR_SKIP, "no address was asked for on the wire: %s", w->why);
	else if (w->n_foreign == 0)
		(void)doctor_add(r, DOCTOR_OK, "no foreign host answers for %zu address%s in use%s",
			w->n_asked, w->n_asked == 1 ? "" : "es",
			w->n_left > 0 ? "; others, or off this host's subnets, were not asked for"
				      : "");
}

const struct doctor_check doctor_host_checks[] = {
	{"other-lb", check_rivals},
	{"capabilities", check_capabilities},
	{"strict-arp", check_strict_arp},
	{"rp-filter", check_rp_filter},
	{"wifi", check_wifi},
	{"port-179", check_port_bgp},
	{"port-3784", check_port_bfd},
	{"port-metrics", check_port_metrics},
	{"firewall", check_firewall},
	{"vip-answered", check_vips},
	{NULL, NULL},
};
