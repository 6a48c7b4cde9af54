/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_conf.c - lbd doctor's checks of a configuration against the host it is for.
 *
 * In:   facts.  Out: findings.
 *
 * Which node an advertisement's nodeSelectors mean is not asked: a host's own labels are the
 * API's, and before an installation there are none.
 */
#include "doctor.h"

#include "config.h"

#include <stdio.h>
#include <string.h>

/* From bfd.interval times bfd.multiplier on an ordinary process is in time on a busy host. */
enum { BFD_ORDINARY_MS = 300 };

static const char NO_CONFIG[] = "there is no good configuration to check";

/* False: there is none, and it was said. */
static bool has_config(const struct doctor_facts *f, struct doctor_report *r)
{
	if (f->conf == NULL)
		(void)doctor_add(r, DOCTOR_SKIP, "%s", NO_CONFIG);
	return f->conf != NULL;
}

/* False: its routes are not known, and it was said. */
static bool has_routes(const struct doctor_facts *f, struct doctor_report *r)
{
	if (!f->host.has_routes)
		(void)doctor_add(r, DOCTOR_SKIP, "this host's routes cannot be read");
	return f->host.has_routes;
}

static void check_config(const struct doctor_facts *f, struct doctor_report *r)
{
	if (f->config_path == NULL)
		(void)doctor_add(
			r, DOCTOR_SKIP, "there is no /etc/lbd/lbd.yaml yet, and -c names no file");
	else if (f->conf == NULL)
		doctor_fix(doctor_add(r, DOCTOR_FAIL, "%s", f->config_error),
			"lbd check-config %s says all that is wrong", f->config_path);
	else if (f->conf->from_cluster)
		(void)doctor_add(r, DOCTOR_OK, "%s is good; its pools are the cluster's objects",
			f->config_path);
	else
		(void)doctor_add(r, DOCTOR_OK, "%s is good", f->config_path);
}

/* -- pools and subnets -- */

static bool on_subnet(const struct doctor_host *h, const struct config_l2_advertisement *ad,
	struct addr_range range, const char **ret_iface)
{
	for (size_t i = 0; i < h->n_routes; i++) {
		const struct doctor_route *t = &h->routes[i];

		if (!t->on_link || config_name_matches(&ad->exclude_interfaces, t->iface) ||
			!addr_range_overlaps(addr_prefix_range(t->to), range))
			continue;
		*ret_iface = t->iface;
		return true;
	}
	return false;
}

/* By subnet alone, not on interfaces that an advertisement names? */
static const struct config_l2_advertisement *by_subnet(
	const struct config *c, const struct config_pool *pool)
{
	const struct config_l2_advertisement *found = NULL;

	for (size_t i = 0; i < c->n_l2_advertisements; i++) {
		const struct config_l2_advertisement *ad = &c->l2_advertisements[i];

		if (!config_l2_selects_pool(ad, pool))
			continue;
		if (ad->interfaces.n > 0)
			return NULL;
		found = ad;
	}
	return found;
}

/* True: it said that a range is on no interface's subnet. */
static bool say_off_subnet(const struct doctor_facts *f, struct doctor_report *r,
	const struct config_pool *pool, const struct config_l2_advertisement *ad)
{
	const char *iface = "";
	char text[ADDR_RANGE_STRLEN];

	for (size_t i = 0; i < pool->n_ranges; i++) {
		if (on_subnet(&f->host, ad, pool->ranges[i], &iface))
			continue;
		doctor_fix(doctor_add(r, DOCTOR_WARN,
				   "%s of pool %s is on no subnet of this host's interfaces, and "
				   "no BGP "
				   "advertisement is for it: no client will ask for it here",
				   addr_range_format(pool->ranges[i], text), pool->name),
			"Take addresses of the LAN's subnet that nothing else has, or announce the "
			"pool "
			"by BGP, or select other nodes (nodeSelectors)");
		return true;
	}
	return false;
}

static bool is_announced(const struct config *c, const struct config_pool *pool)
{
	return config_announces(c, pool, CONFIG_LAYER2) || config_announces(c, pool, CONFIG_VIP) ||
	       config_announces(c, pool, CONFIG_BGP);
}

static void check_pool_subnet(const struct doctor_facts *f, struct doctor_report *r)
{
	bool found = false;

	if (!has_config(f, r) || !has_routes(f, r))
		return;
	for (size_t i = 0; i < f->conf->n_pools; i++) {
		const struct config_pool *pool = &f->conf->pools[i];
		const struct config_l2_advertisement *ad = by_subnet(f->conf, pool);

		if (is_announced(f->conf, pool)) {
			if (ad != NULL && !config_announces(f->conf, pool, CONFIG_BGP))
				found |= say_off_subnet(f, r, pool, ad);
			continue;
		}
		found = true;
		doctor_fix(
			doctor_add(r, DOCTOR_WARN,
				"pool %s has no advertisement: its addresses are given, and nobody "
				"answers for them",
				pool->name),
			"Add it to an l2Advertisement or a bgpAdvertisement");
	}
	if (!found)
		(void)doctor_add(r, DOCTOR_OK,
			f->conf->n_pools > 0 ? "each pool is on a subnet of this host, or for BGP"
					     : "there are no pools in it");
}

bool doctor_is_vip(const struct doctor_wire *w, struct addr a)
{
	for (size_t i = 0; i < w->n_vips; i++)
		if (addr_eq(w->vips[i], a))
			return true;
	return false;
}

static bool has_ipvs_iface(const struct doctor_host *h)
{
	for (size_t i = 0; i < h->n_ifaces; i++)
		if (strcmp(h->ifaces[i].name, "kube-ipvs0") == 0)
			return true;
	return false;
}

static bool binds(const struct config *c)
{
	for (size_t i = 0; i < c->n_l2_advertisements; i++)
		if (c->l2_advertisements[i].bind_address)
			return true;
	return false;
}

static void check_pool_own(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_host *h = &f->host;
	char ip[ADDR_STRLEN];
	bool found = false;

	if (!has_config(f, r))
		return;
	if (!h->has_own || has_ipvs_iface(h) || binds(f->conf)) {
		(void)doctor_add(r, DOCTOR_SKIP,
			h->has_own
				? "Services' addresses are on this host's interfaces, too: its own "
				  "cannot be told from them"
				: "this host's addresses cannot be read");
		return;
	}
	for (size_t i = 0; i < h->n_own; i++) {
		const struct config_pool *pool = config_pool_of(f->conf, h->own[i]);

		if (pool == NULL)
			continue;
		found = true;
		(void)addr_format(h->own[i], ip);
		if (doctor_is_vip(&f->wire, h->own[i]))
			doctor_fix(doctor_add(r, DOCTOR_WARN,
					   "%s, a Service's address, is on an interface of this host, "
					   "which answers for it whichever node should",
					   ip),
				"Where another load balancer left it: ip address delete %s dev "
				"INTERFACE",
				ip);
		else
			doctor_fix(doctor_add(r, DOCTOR_FAIL,
					   "pool %s has %s, this host's own address: a Service "
					   "would get it",
					   pool->name, ip),
				"Take it out of the pool, or off the interface where another load "
				"balancer left it");
	}
	if (!found)
		(void)doctor_add(r, DOCTOR_OK, "no pool has an address of this host");
}

static void check_pool_cluster(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_api *a = &f->api;
	char text[ADDR_PREFIX_STRLEN], ip[ADDR_STRLEN];
	bool found = false;

	if (!has_config(f, r))
		return;
	for (size_t p = 0; p < f->conf->n_pools; p++) {
		const struct config_pool *pool = &f->conf->pools[p];
		bool said = false;

		for (size_t k = 0; k < pool->n_ranges * a->n_nets && !said; k++) {
			const struct addr_prefix net = a->nets[k % a->n_nets];

			said = addr_range_overlaps(
				pool->ranges[k / a->n_nets], addr_prefix_range(net));
			if (said)
				doctor_fix(
					doctor_add(r, DOCTOR_FAIL,
						"pool %s overlaps %s, which is the Pods' network "
						"on a node",
						pool->name, addr_prefix_format(net, text)),
					"Take other addresses for the pool");
		}
		found |= said;
	}
	if (a->has_kubernetes_ip && config_pool_of(f->conf, a->kubernetes_ip) != NULL) {
		found = true;
		doctor_fix(doctor_add(r, DOCTOR_FAIL,
				   "pool %s has %s, the cluster IP of the Service kubernetes: it "
				   "lies in "
				   "the network of Services' cluster IPs",
				   config_pool_of(f->conf, a->kubernetes_ip)->name,
				   addr_format(a->kubernetes_ip, ip)),
			"Take other addresses for the pool");
	}
	if (!found)
		(void)doctor_add(r, a->n_nets > 0 || a->has_kubernetes_ip ? DOCTOR_OK : DOCTOR_SKIP,
			a->n_nets > 0 || a->has_kubernetes_ip
				? "no pool overlaps the Pods' or Services' networks"
				: "the Pods' and Services' networks are not known");
}

/* -- advertisements and peers -- */

static bool matches_one(const struct doctor_host *h, const char *pattern)
{
	const char *const one[] = {pattern};
	const struct config_strings patterns = {one, 1};

	for (size_t i = 0; i < h->n_ifaces; i++)
		if (config_name_matches(&patterns, h->ifaces[i].name))
			return true;
	return false;
}

static void check_ad_interfaces(const struct doctor_facts *f, struct doctor_report *r)
{
	bool found = false;

	if (!has_config(f, r))
		return;
	if (f->host.n_ifaces == 0) {
		(void)doctor_add(r, DOCTOR_SKIP, "this host's interfaces cannot be read");
		return;
	}
	for (size_t i = 0; i < f->conf->n_l2_advertisements; i++) {
		const struct config_l2_advertisement *ad = &f->conf->l2_advertisements[i];
		bool one = ad->interfaces.n == 0;

		for (size_t k = 0; k < ad->interfaces.n && !one; k++) {
			struct addr a;

			one = config_can_reach(ad->interfaces.v[k], &a) ||
			      matches_one(&f->host, ad->interfaces.v[k]);
		}
		if (one)
			continue;
		found = true;
		doctor_fix(
			doctor_add(r, DOCTOR_WARN,
				"advertisement %s is for interfaces (%s%s) of which this host has "
				"none",
				ad->name, ad->interfaces.v[0], ad->interfaces.n > 1 ? ", ..." : ""),
			"Name one of this host's, or a pattern (enp*), or select other nodes "
			"(nodeSelectors)");
	}
	if (!found)
		(void)doctor_add(r, DOCTOR_OK, "this host has those that advertisements name");
}

static bool is_routed(const struct doctor_host *h, struct addr a)
{
	for (size_t i = 0; i < h->n_routes; i++)
		if (addr_prefix_contains(h->routes[i].to, a))
			return true;
	return addr_is_link_local(a);
}

static void check_peer_route(const struct doctor_facts *f, struct doctor_report *r)
{
	char ip[ADDR_STRLEN];
	bool found = false;

	if (!has_config(f, r) || !has_routes(f, r))
		return;
	for (size_t i = 0; i < f->conf->n_peers; i++) {
		const struct config_peer *p = &f->conf->peers[i];

		if (!p->has_peer_address || is_routed(&f->host, p->peer_address))
			continue;
		found = true;
		doctor_fix(doctor_add(r, DOCTOR_WARN, "this host has no route to BGP peer %s (%s)",
				   p->name, addr_format(p->peer_address, ip)),
			"Correct peerAddress, add a route, or select other nodes (nodeSelectors)");
	}
	if (!found)
		(void)doctor_add(r, DOCTOR_OK,
			f->conf->n_peers > 0 ? "there is a route to every BGP peer"
					     : "there are no BGP peers");
}

static void check_bfd_interval(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct config_elections *e;
	uint64_t ms;

	if (!has_config(f, r))
		return;
	e = &f->conf->elections;
	ms = e->bfd_interval_ms * e->bfd_multiplier;
	if (ms >= BFD_ORDINARY_MS || f->host.real_time == DOCTOR_YES)
		(void)doctor_add(r, DOCTOR_OK, "BFD misses a dead node after %llu ms",
			(unsigned long long)ms);
	else if (f->host.real_time == DOCTOR_UNKNOWN)
		(void)doctor_add(r, DOCTOR_SKIP,
			"nodes are missed after %llu ms; whether lbd has real-time scheduling, "
			"which "
			"that needs, is seen when it runs",
			(unsigned long long)ms);
	else
		doctor_fix(
			doctor_add(r, DOCTOR_WARN,
				"nodes are missed after %llu ms (elections.bfd), and lbd runs here "
				"without real-time scheduling: on a busy host it may be late",
				(unsigned long long)ms),
			"systemd: LimitRTPRIO=1 in lbd.service; or make interval times multiplier "
			"at "
			"least %d ms",
			BFD_ORDINARY_MS);
}

const struct doctor_check doctor_conf_checks[] = {
	{"config", check_config},
	{"pool-subnet", check_pool_subnet},
	{"pool-own", check_pool_own},
	{"pool-cluster", check_pool_cluster},
	{"interfaces", check_ad_interfaces},
	{"peer-route", check_peer_route},
	{"bfd-interval", check_bfd_interval},
	{NULL, NULL},
};
