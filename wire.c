/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - between the capture rings, the interface table, ARP and the election.
 *
 * In:   net.c's frames and interface changes; what arp.c heard; what elect.c wants probed or
 * claimed. Out:  arp.c, elect.c, net.c.
 */
#include "daemon.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int send_frame(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct daemon *d = ctx;

	if (d->dry != NULL)
		return 0;
	return net_send(d->net, ifindex, frame, len);
}

/* A host that is no member claims an address that is in service here: it is defended by arp.c, and
 * said once for each such host (OWNERSHIP R26). */
static void tell_foreign(struct daemon *d, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	struct arp_vip_info info;
	char msg[CONFIG_MAX_NAME + 128], text[ADDR_STRLEN];

	if (elect_is_member_mac(d->elect, mac) || !arp_info(d->arp, ifindex, vip, &info) ||
		(info.foreign && memcmp(info.foreign_mac, mac, sizeof info.foreign_mac) == 0))
		return;
	(void)snprintf(msg, sizeof msg,
		"%02x:%02x:%02x:%02x:%02x:%02x, no node of this cluster, claims %s, which node "
		"\"%s\" announces",
		mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], addr_format(vip, text), d->node);
	log_warn("arp", msg, NULL);
	daemon_vip_event(d, vip, EVENT_WARNING, "addressConflict", msg, daemon_now_ms());
}

static void on_heard(
	void *ctx, enum arp_heard what, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	struct daemon *d = ctx;

	switch (what) {
	case ARP_HEARD_CLAIM:
		tell_foreign(d, ifindex, vip, mac);
		elect_on_wire(d->elect, ELECT_WIRE_CLAIM, vip, mac, daemon_now_ms());
		break;
	case ARP_HEARD_ANSWER:
		elect_on_wire(d->elect, ELECT_WIRE_ANSWER, vip, mac, daemon_now_ms());
		break;
	case ARP_HEARD_PROBE:
		elect_on_wire(d->elect, ELECT_WIRE_PROBE, vip, mac, daemon_now_ms());
		break;
	case ARP_HEARD_SENDER:
		return; /* counted by arp.c; not a claim (OWNERSHIP R17) */
	}
	daemon_mark(d);
}

static bool is_member(void *ctx, const uint8_t mac[6])
{
	const struct daemon *d = ctx;

	return elect_is_member_mac(d->elect, mac);
}

const struct arp_ops wire_arp_ops = {send_frame, on_heard, is_member};

static void on_frame(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct daemon *d = ctx;
	uint64_t now_ms;

	if (daemon_wake(d, &now_ms))
		arp_on_frame(d->arp, ifindex, frame, len, now_ms);
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

/* Tells ARP which interfaces there are, with which MAC; and listens where a VIP could be. */
void wire_sync(struct daemon *d, uint64_t now_ms)
{
	unsigned listen[DAEMON_MAX_LISTEN];
	const struct iface_table *t = net_ifaces(d->net);
	const struct iface *i = NULL;
	struct addr_range *ranges = NULL;
	size_t n, n_ranges;

	while ((i = iface_next(t, i)) != NULL)
		if (i->ethernet && arp_set_iface(d->arp, i->ifindex, i->mac, now_ms) != 0)
			d->rebuild = true;
	arp_retain_ifaces(d->arp, iface_exists, d, now_ms);
	if (sync_reach(d) != 0)
		d->rebuild = true;
	n = elig_interfaces(&d->elig_input, listen, DAEMON_MAX_LISTEN);
	if (list_ranges(d, &ranges, &n_ranges) != 0 ||
		net_listen(d->net, listen, n, ranges, n_ranges) != 0)
		d->rebuild = true;
	free(ranges);
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
	daemon_mark(d);
}

/* A probe, or a claim, for each of the group's VIPs on each of its paths. */
static void each_path(struct daemon *d, const struct vip_group *g, bool announce)
{
	uint64_t now_ms = daemon_now_ms();
	struct elect_view v;

	if (!elect_view(d->elect, g->id, &v))
		return;
	for (size_t i = 0; i < v.elig->n_paths; i++) {
		const struct elig_path *p = &v.elig->paths[i];
		struct addr vip = v.addrs[p->vip];
		int err = announce ? arp_announce(d->arp, p->ifindex, vip, now_ms)
				   : arp_probe(d->arp, p->ifindex, vip);
		char text[ADDR_STRLEN];

		if (err != 0)
			log_debug("arp", announce ? "claim not sent" : "probe not sent", "ip",
				addr_format(vip, text), "err", strerror(-err), NULL);
	}
}

static void on_probe(void *ctx, const struct vip_group *g)
{
	each_path(ctx, g, false);
}

static void on_announce(void *ctx, const struct vip_group *g)
{
	each_path(ctx, g, true);
}

static void on_ask(void *ctx, const struct vip_group *g, const uint8_t mac[6])
{
	(void)mac;
	each_path(ctx, g, false);
}

const struct elect_ops wire_elect_ops = {on_probe, on_announce, on_ask, mesh_ask_witness,
	mesh_witnessed, mesh_watches, mesh_forgot};

static void on_closed(void *ctx)
{
	(void)ctx;
}

const struct net_ops wire_net_ops = {on_frame, on_ifaces, on_closed};
