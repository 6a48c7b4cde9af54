/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - between the capture rings, the interface table, ARP, NDP and the election.
 *
 * In:   net.c's frames and interface changes; what arp.c and ndp.c heard; what elect.c wants probed
 *       or claimed.
 * Out:  the announcers, elect.c, net.c.
 */
#include "arp.h"
#include "daemon.h"
#include "gateway.h"
#include "ipvs.h"
#include "log.h"
#include "mcast.h"
#include "ndp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HEARD_MS = 1000, HEARD_LINES = 50 };

static int send_frame(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct daemon *d = ctx;

	if (d->dry != NULL)
		return 0;
	return net_send(d->net, ifindex, frame, len);
}

/* A host that is no member claims an address that is in service here: it is defended by
 * announcer.c, and said once for each such host (OWNERSHIP R26). */
static void tell_foreign(struct daemon *d, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	struct ann_info info;
	char msg[CONFIG_MAX_NAME + 128], text[ADDR_STRLEN];

	if (elect_is_member_mac(d->elect, mac) || !ann_info(wire_ann(d, vip), ifindex, vip, &info) ||
		(info.foreign && memcmp(info.foreign_mac, mac, sizeof info.foreign_mac) == 0))
		return;
	(void)snprintf(msg, sizeof msg,
		"%02x:%02x:%02x:%02x:%02x:%02x, no node of this cluster, claims %s, which node "
		"\"%s\" announces",
		mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], addr_format(vip, text), d->node);
	log_limited(LOG_WARN, wire_protocol(vip), msg, NULL);
	daemon_vip_event(d, vip, EVENT_WARNING, "addressConflict", msg, daemon_now_ms());
}

/* Remembered of every address in service, wherever it is announced.  Returns whether it is news. */
static bool note_foreign(struct daemon *d, struct addr vip, const uint8_t mac[6])
{
	return vip_find(d->vips, vip) != NULL && !elect_is_member_mac(d->elect, mac) &&
	       foreign_heard(&d->foreign, vip, mac, daemon_now_ms());
}

/* How many a second there are is the LAN's affair, how many are told is not. */
static void tell_heard(
	struct daemon *d, enum ann_heard what, struct addr vip, const uint8_t mac[6])
{
	static const char *const words[] = {[ANN_HEARD_CLAIM] = "heard a claim",
		[ANN_HEARD_ANSWER] = "heard an answer",
		[ANN_HEARD_PROBE] = "heard a probe",
		[ANN_HEARD_SENDER] = "heard a sender"};
	uint64_t now_ms = daemon_now_ms();
	char text[ADDR_STRLEN], from[STATUS_MAC_LEN];

	if (now_ms >= d->heard_ms + HEARD_MS) {
		d->heard_ms = now_ms;
		d->n_heard = 0;
	}
	if (d->n_heard++ < HEARD_LINES)
		log_debug(wire_protocol(vip), words[what], "ip", addr_format(vip, text), "mac",
			status_mac(mac, from), NULL);
}

static void on_heard(
	void *ctx, enum ann_heard what, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	struct daemon *d = ctx;

	if (log_level() >= LOG_DEBUG)
		tell_heard(d, what, vip, mac);
	switch (what) {
	case ANN_HEARD_CLAIM:
		(void)note_foreign(d, vip, mac);
		tell_foreign(d, ifindex, vip, mac);
		elect_on_wire(d->elect, ELECT_WIRE_CLAIM, vip, mac, daemon_now_ms());
		break;
	case ANN_HEARD_ANSWER:
		if (note_foreign(d, vip, mac))
			tell_foreign(d, ifindex, vip, mac);
		elect_on_wire(d->elect, ELECT_WIRE_ANSWER, vip, mac, daemon_now_ms());
		break;
	case ANN_HEARD_PROBE:
		elect_on_wire(d->elect, ELECT_WIRE_PROBE, vip, mac, daemon_now_ms());
		break;
	case ANN_HEARD_SENDER:
		return; /* counted by announcer.c; not a claim (OWNERSHIP R17) */
	}
	daemon_mark(d);
}

static bool is_member(void *ctx, const uint8_t mac[6])
{
	const struct daemon *d = ctx;

	return elect_is_member_mac(d->elect, mac);
}

static bool on_gateway(void *ctx, unsigned ifindex, enum addr_family family, struct addr *ret_ip)
{
	const struct daemon *d = ctx;

	return gateway_of(d->gateway, ifindex, family, daemon_now_ms(), ret_ip);
}

static bool is_bound(void *ctx, unsigned ifindex, struct addr vip)
{
	return bound_is_held(ctx, ifindex, vip);
}

const struct ann_ops wire_ann_ops = {.send = send_frame,
	.heard = on_heard,
	.is_member = is_member,
	.is_bound = is_bound,
	.gateway = on_gateway};

static bool has_group(const struct daemon *d, unsigned ifindex, struct addr vip)
{
	return d->mcast != NULL && ifindex != 0 && addr_family(vip) == ADDR_V6;
}

int wire_open(struct daemon *d)
{
	d->ann[ADDR_V4] = arp_new(&wire_ann_ops, d, &d->hkey, &d->counters);
	d->ann[ADDR_V6] = ndp_new(&wire_ann_ops, d, &d->hkey, &d->counters);
	d->mcast = d->dry == NULL ? mcast_new(&d->hkey) : NULL;
	d->gateway = gateway_new();
	if (d->ann[ADDR_V4] == NULL || d->ann[ADDR_V6] == NULL || d->gateway == NULL)
		return -ENOMEM;
	return d->mcast != NULL || d->dry != NULL ? 0 : -ENOMEM;
}

void wire_free(struct daemon *d)
{
	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		ann_free(d->ann[f]);
	mcast_free(d->mcast);
	gateway_free(d->gateway);
}

/* Every address that this node may have to answer for has its group, announced or not: a take
 * then waits for no switch to follow MLD. */
int wire_apply(struct daemon *d, const struct plan_change *c, uint64_t now_ms)
{
	const struct plan_entry *e = c->is != NULL ? c->is : c->was;
	bool grouped = has_group(d, e->ifindex, e->vip);
	int err = 0;

	if (grouped && c->was == NULL)
		err = mcast_join(d->mcast, net_ifaces(d->net), e->ifindex, e->vip);
	if (err == 0 && c->is != NULL && c->is->announced)
		err = ann_add(wire_ann(d, e->vip), e->ifindex, e->vip, now_ms);
	else
		ann_del(wire_ann(d, e->vip), e->ifindex, e->vip);
	if (grouped && c->is == NULL)
		mcast_leave(d->mcast, e->ifindex, e->vip);
	return err;
}

void wire_set_reannounce(struct daemon *d, uint64_t reannounce_ms, uint64_t now_ms)
{
	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		ann_set_reannounce(d->ann[f], reannounce_ms, now_ms);
}

uint64_t wire_next_deadline(const struct daemon *d)
{
	return time_min(ann_next_deadline(d->ann[ADDR_V4]), ann_next_deadline(d->ann[ADDR_V6]));
}

void wire_tick(struct daemon *d, uint64_t now_ms)
{
	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		ann_tick(d->ann[f], now_ms);
	if (d->mcast != NULL)
		mcast_drop_held(d->mcast);
}

static void on_frame(
	void *ctx, enum addr_family family, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct daemon *d = ctx;
	uint64_t now_ms;

	if (daemon_wake(d, &now_ms))
		ann_on_frame(d->ann[family], ifindex, frame, len, now_ms);
}

static bool iface_exists(void *ctx, unsigned ifindex)
{
	const struct daemon *d = ctx;

	return iface_get(net_ifaces(d->net), ifindex) != NULL;
}

/* Every address that could be a VIP: of the pools, and those that are kept.  0 or -ENOMEM; *ret_v
 * is the caller's. */
static int list_ranges(const struct daemon *d, struct addr_range **ret_v, size_t *ret_n)
{
	size_t n = retired_count(d->retired);
	struct addr_range *v;
	const void *at = NULL;
	const char *pool;
	struct addr x;

	for (size_t p = 0; p < d->conf->n_pools; p++)
		n += d->conf->pools[p].n_ranges;
	v = calloc(n > 0 ? n : 1, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	n = 0;
	for (size_t p = 0; p < d->conf->n_pools; p++) {
		memcpy(v + n, d->conf->pools[p].ranges, d->conf->pools[p].n_ranges * sizeof *v);
		n += d->conf->pools[p].n_ranges;
	}
	while (retired_next(d->retired, &at, &x, &pool))
		v[n++] = (struct addr_range){x, x};
	*ret_v = v;
	*ret_n = n;
	return 0;
}

/* Whose routes the configuration asks for. */
static int sync_reach(struct daemon *d)
{
	struct addr v[IFACE_MAX_REACH];
	size_t n = 0;

	for (size_t i = 0; i < d->conf->n_l2_advertisements; i++) {
		const struct config_strings *s = &d->conf->l2_advertisements[i].interfaces;

		for (size_t k = 0; k < s->n && n < ARRAY_LEN(v); k++)
			n += config_can_reach(s->v[k], &v[n]);
	}
	return net_reach(d->net, v, n);
}

/* The interface's own link-local address that is in use: the source of NDP's frames. */
static const struct addr *link_local(const struct iface *i)
{
	for (size_t k = 0; k < i->n_addrs; k++)
		if (addr_family(i->addrs[k].addr) == ADDR_V6 && !i->addrs[k].tentative &&
			addr_is_link_local(i->addrs[k].addr))
			return &i->addrs[k].addr;
	return NULL;
}

static int sync_ifaces(struct daemon *d, struct ann *a, uint64_t now_ms)
{
	const struct iface_table *t = net_ifaces(d->net);
	const struct iface *i = NULL;
	int err = 0;

	while ((i = iface_next(t, i)) != NULL) {
		if (i->ethernet && ann_set_iface(a, i->ifindex, i->mac, now_ms) != 0)
			err = -ENOMEM;
		ann_set_source(a, i->ifindex, link_local(i));
	}
	ann_retain_ifaces(a, iface_exists, d, now_ms);
	return err;
}

/* Where kube-proxy runs in IPVS mode, every node's kernel would answer for every VIP (OWNERSHIP
 * F9). */
static void hush_ipvs(struct daemon *d, uint64_t now_ms)
{
	char msg[320];
	int err = 0;

	if (d->dry != NULL || iface_named(net_ifaces(d->net), IFACE_IPVS) == NULL)
		return;
	switch (ipvs_make_strict(IPVS_SETTINGS, &err)) {
	case IPVS_IS_STRICT:
		d->ipvs_said = false;
		return;
	case IPVS_MADE_STRICT:
		d->ipvs_said = false;
		log_info("wire",
			"kube-proxy runs in IPVS mode: set net.ipv4.conf.all.arp_ignore=1 and "
			"arp_announce=2, so that this node answers only for what it owns",
			NULL);
		return;
	case IPVS_FAILED:
		break;
	}
	if (d->ipvs_said)
		return;
	d->ipvs_said = true;
	(void)snprintf(msg, sizeof msg,
		"kube-proxy runs in IPVS mode, and this node's kernel answers ARP for every "
		"Service's address: set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2, or "
		"kube-proxy's strictARP (lbd may not: %s)",
		strerror(-err));
	log_error("wire", msg, NULL);
	daemon_node_event(d, EVENT_WARNING, "strictARPMissing", msg, now_ms);
}

void wire_sync(struct daemon *d, uint64_t now_ms)
{
	unsigned listen[DAEMON_MAX_LISTEN];
	struct addr_range *ranges = NULL;
	size_t n, n_ranges = 0;
	int err = list_ranges(d, &ranges, &n_ranges);

	for (enum addr_family f = 0; f < ADDR_FAMILIES; f++) {
		if (sync_ifaces(d, d->ann[f], now_ms) != 0)
			d->rebuild = true;
		n = elig_interfaces_of(&d->elig_input, f, listen, DAEMON_MAX_LISTEN);
		if (err == 0)
			err = net_listen(d->net, f, listen, n, ranges, n_ranges);
	}
	hush_ipvs(d, now_ms);
	free(ranges);
	if (d->mcast != NULL)
		mcast_sync(d->mcast, net_ifaces(d->net));
	if (sync_reach(d) != 0 || err != 0)
		d->rebuild = true;
}

static void on_ifaces(void *ctx)
{
	struct daemon *d = ctx;
	uint64_t now_ms = daemon_now_ms();

	if (d->phase == DAEMON_CLOSING)
		return;
	wire_sync(d, now_ms);
	elect_set_input(d->elect, &d->elig_input, now_ms);
	mesh_sync(d);
	speaker_sync(d);
	daemon_mark(d);
}

/* What is to be done about a VIP on one of its paths; mac: of whom to ask, else NULL. */
typedef int (*path_fn)(
	struct daemon *d, unsigned ifindex, struct addr vip, const uint8_t mac[6], uint64_t now_ms);

static int probe(
	struct daemon *d, unsigned ifindex, struct addr vip, const uint8_t mac[6], uint64_t now_ms)
{
	int err = 0;

	(void)mac;
	if (has_group(d, ifindex, vip)) /* RFC 4862 5.4.2 */
		err = mcast_hold(d->mcast, net_ifaces(d->net), ifindex, vip);
	return err != 0 ? err : ann_probe(wire_ann(d, vip), ifindex, vip, now_ms);
}

static int announce(
	struct daemon *d, unsigned ifindex, struct addr vip, const uint8_t mac[6], uint64_t now_ms)
{
	(void)mac;
	return ann_announce(wire_ann(d, vip), ifindex, vip, now_ms);
}

/* Over NDP a link without an address of its own cannot ask so. */
static int ask(
	struct daemon *d, unsigned ifindex, struct addr vip, const uint8_t mac[6], uint64_t now_ms)
{
	int err = ann_probe_unicast(wire_ann(d, vip), ifindex, vip, mac, now_ms);

	/* An interface without an IPv6 address of its own asks all. */
	return err == -EADDRNOTAVAIL ? probe(d, ifindex, vip, mac, now_ms) : err;
}

/* For each of the group's VIPs on each of its paths. */
static void each_path(
	struct daemon *d, const struct vip_group *g, path_fn fn, const uint8_t mac[6])
{
	uint64_t now_ms = daemon_now_ms();
	struct elect_view v;

	if (!elect_view(d->elect, g->id, &v))
		return;
	for (size_t i = 0; i < v.elig->n_paths; i++) {
		const struct elig_path *p = &v.elig->paths[i];
		struct addr vip = v.addrs[p->vip];
		int err = fn(d, p->ifindex, vip, mac, now_ms);
		char text[ADDR_STRLEN];

		if (err != 0)
			log_debug(wire_protocol(vip), "probe or claim not sent", "ip",
				addr_format(vip, text), "err", strerror(-err), NULL);
	}
}

static void on_probe(void *ctx, const struct vip_group *g)
{
	each_path(ctx, g, probe, NULL);
}

static void on_announce(void *ctx, const struct vip_group *g)
{
	each_path(ctx, g, announce, NULL);
}

static void on_ask(void *ctx, const struct vip_group *g, const uint8_t mac[6])
{
	each_path(ctx, g, ask, mac);
}

static bool is_ours(void *ctx, const uint8_t mac[6])
{
	const struct daemon *d = ctx;

	return ann_is_own_mac(d->ann[ADDR_V4], mac, daemon_now_ms());
}

const struct elect_ops wire_elect_ops = {on_probe, on_announce, on_ask, mesh_ask_witness,
	mesh_witnessed, mesh_watches, mesh_forgot, is_ours};

/* -- a look at the wire -- */

enum { LOOK_MS = 1000, LOOK_VIPS = 256 };

/* Is it somebody's in peace?  What is being taken is asked for by elect.c. */
static bool is_settled(const struct daemon *d, const struct vip_group *g)
{
	struct elect_view v;

	return elect_view(d->elect, g->id, &v) &&
	       (v.state == ELECT_OWNER || (v.state == ELECT_WATCH && v.owner != NULL));
}

void wire_look(struct daemon *d, uint64_t now_ms)
{
	const struct vip_group *g = NULL;
	size_t i = 0, n = 0;

	if (d->looked_ms != 0 && now_ms < d->looked_ms + LOOK_MS)
		return;
	d->looked_ms = now_ms;
	while (n < LOOK_VIPS && (g = vip_next_group(d->vips, g)) != NULL)
		if (i++ >= d->looked && is_settled(d, g)) {
			each_path(d, g, probe, NULL);
			n += g->n_vips;
		}
	d->looked = g != NULL ? i : 0; /* the next look begins there */
}

static void on_closed(void *ctx)
{
	(void)ctx;
}

const struct net_ops wire_net_ops = {.on_frame = on_frame,
	.on_ifaces = on_ifaces,
	.on_bound = bound_on_kernel,
	.on_closed = on_closed};
