/* SPDX-License-Identifier: Apache-2.0
 *
 * gauge.c - the whole state as Prometheus's metrics.
 *
 * Reads all, changes nothing.  Names are lbd's own (lbd_), and MetalLB's where the meaning is the
 * same, so that dashboards and alerts made for it go on:
 * shared/reference/other-load-balancers.md 2.2.  What MetalLB's controller says, of which there is
 * one, the leader says alone.
 */
#include "gauge.h"

#include "service.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CONFLICT_MS = 5 * 60 * 1000 }; /* a foreign claim is shown so long */

static const char *const family_name[ADDR_FAMILIES] = {[ADDR_V4] = "ipv4", [ADDR_V6] = "ipv6"};

/* -- addresses --------------------------------------------------------------------------------- */

/* One address in service, on this node. */
struct seen {
	const struct vip *vip;
	const struct config_pool *pool; /* NULL: kept, and its pool is gone */
	bool by_l2, by_bgp;             /* announced */
	bool conflict;
	bool answered; /* the counts are known */
	uint64_t requests, replies, announcements;
	char ip[ADDR_STRLEN];
};

struct seen_all {
	struct seen *v; /* owned */
	size_t n;
	uint64_t n_in[ELECT_CONFLICT + 1]; /* by state */
};

static void see_l2(const struct daemon *d, struct seen *s, uint64_t now_ms)
{
	const struct plan_entry *entry[ELIG_MAX_PATHS];
	size_t n = plan_of(d->plan, s->vip->addr, entry, ELIG_MAX_PATHS);

	for (size_t i = 0; i < n && i < ELIG_MAX_PATHS; i++) {
		struct ann_info info;

		s->by_l2 |= entry[i]->announced;
		if (!ann_info(wire_ann(d, s->vip->addr), entry[i]->ifindex, s->vip->addr, &info))
			continue;
		s->answered = true;
		s->requests += info.requests;
		s->replies += info.replies;
		s->announcements += info.announcements;
		s->conflict |= info.foreign && now_ms - info.foreign_ms < CONFLICT_MS;
	}
}

static void see(const struct daemon *d, struct seen_all *all, const struct vip *v, uint64_t now_ms)
{
	struct seen *s = &all->v[all->n++];
	struct elect_view view;

	s->vip = v;
	(void)addr_format(v->addr, s->ip);
	s->pool = vip_pool(d->vips, d->conf, d->cluster, v);
	s->by_bgp = d->conf->n_bgp_advertisements > 0 && speaker_why(d, v) == REASON_OWNER;
	see_l2(d, s, now_ms);
	if (!elect_view(d->elect, v->group->id, &view))
		return;
	all->n_in[view.state]++;
	s->conflict |= view.state == ELECT_CONFLICT;
}

static bool see_all(const struct daemon *d, struct seen_all *all, uint64_t now_ms)
{
	const struct vip_group *g = NULL;

	*all = (struct seen_all){.v = calloc(vip_count(d->vips) + 1, sizeof *all->v)};
	while (all->v != NULL && (g = vip_next_group(d->vips, g)) != NULL)
		for (size_t i = 0; i < g->n_vips; i++)
			see(d, all, vip_member(g, i), now_ms);
	return all->v != NULL;
}

static void add_announced(struct metrics *m, const struct daemon *d, const struct seen_all *all)
{
	metrics_family(m, "lbd_vip_announced", METRICS_GAUGE,
		"1 if this node announces the address by that protocol");
	for (size_t i = 0; i < all->n; i++) {
		const struct seen *s = &all->v[i];
		const char *pool = s->pool != NULL ? s->pool->name : NULL;

		if (d->conf->n_l2_advertisements > 0)
			metrics_add(
				m, s->by_l2, {"ip", s->ip}, {"pool", pool}, {"protocol", "layer2"});
		if (d->conf->n_bgp_advertisements > 0)
			metrics_add(
				m, s->by_bgp, {"ip", s->ip}, {"pool", pool}, {"protocol", "bgp"});
	}
	metrics_family(m, "lbd_vip_conflict", METRICS_GAUGE,
		"1: another host answers for the address, or claimed it in the last 5 minutes");
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].conflict)
			metrics_add(m, 1, {"ip", all->v[i].ip});
}

static void add_states(struct metrics *m, const struct seen_all *all)
{
	metrics_family(m, "lbd_vips", METRICS_GAUGE,
		"addresses in service, by what this node has to do with them on layer 2");
	for (unsigned i = 0; i < ARRAY_LEN(all->n_in); i++)
		metrics_add(m, all->n_in[i], {"state", status_state_name((enum elect_state)i)});
}

/* MetalLB's speaker: who announces which Service. */
static void add_services_announced(
	struct metrics *m, const struct daemon *d, const struct seen_all *all)
{
	metrics_family(m, "metallb_speaker_announced", METRICS_GAUGE,
		"Services announced from this node, by protocol and address");
	for (size_t i = 0; i < all->n; i++) {
		const struct seen *s = &all->v[i];

		for (size_t k = 0; k < s->vip->n_holders; k++) {
			struct vip_holder h = vip_holder(s->vip, k);

			if (s->by_l2 && !h.doubled)
				metrics_add(m, 1, {"service", h.key}, {"protocol", "layer2"},
					{"node", d->node}, {"ip", s->ip});
			if (s->by_bgp && !h.doubled)
				metrics_add(m, 1, {"service", h.key}, {"protocol", "bgp"},
					{"node", d->node}, {"ip", s->ip});
		}
	}
}

static void add_frames(struct metrics *m, const struct seen_all *all)
{
	static const struct {
		const char *name, *help;
		size_t at;
	} row[] = {
		{"metallb_layer2_requests_received",
			"ARP requests and neighbor solicitations for the address since it is "
			"announced",
			offsetof(struct seen, requests)},
		{"metallb_layer2_responses_sent", "answers to them",
			offsetof(struct seen, replies)},
		{"metallb_layer2_gratuitous_sent",
			"announcements of the address that nobody asked for",
			offsetof(struct seen, announcements)},
	};

	for (size_t r = 0; r < ARRAY_LEN(row); r++) {
		metrics_family(m, row[r].name, METRICS_COUNTER, row[r].help);
		for (size_t i = 0; i < all->n; i++) {
			uint64_t v;

			memcpy(&v, (const char *)&all->v[i] + row[r].at, sizeof v);
			if (all->v[i].answered)
				metrics_add(m, v, {"ip", all->v[i].ip});
		}
	}
}

/* -- pools ------------------------------------------------------------------------------------- */

static void add_used(struct metrics *m, const struct daemon *d, const struct seen_all *all)
{
	uint64_t(*used)[ADDR_FAMILIES] = calloc(d->conf->n_pools + 1, sizeof *used);

	metrics_family(m, "lbd_pool_addresses_used", METRICS_GAUGE,
		"addresses of the pool that are in service");
	for (size_t i = 0; used != NULL && i < all->n; i++)
		if (all->v[i].pool != NULL)
			used[all->v[i].pool - d->conf->pools][addr_family(all->v[i].vip->addr)]++;
	for (size_t i = 0; used != NULL && i < d->conf->n_pools; i++)
		for (unsigned f = 0; f < ADDR_FAMILIES; f++)
			if (status_pool_size(&d->conf->pools[i], (enum addr_family)f) > 0)
				metrics_add(m, used[i][f], {"pool", d->conf->pools[i].name},
					{"family", family_name[f]});
	free(used);
}

static void add_pools(struct metrics *m, const struct daemon *d)
{
	metrics_family(m, "lbd_pool_addresses", METRICS_GAUGE, "addresses of the pool");
	for (size_t i = 0; i < d->conf->n_pools; i++)
		for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
			uint64_t size = status_pool_size(&d->conf->pools[i], (enum addr_family)f);

			if (size > 0)
				metrics_add(m, size, {"pool", d->conf->pools[i].name},
					{"family", family_name[f]});
		}
}

static uint64_t sum_of(const uint64_t v[ADDR_FAMILIES])
{
	return v[0] > UINT64_MAX - v[1] ? UINT64_MAX : v[0] + v[1];
}

static void add_allocator_family(struct metrics *m, const struct daemon *d, const char *name,
	const char *help, bool used, int family)
{
	metrics_family(m, name, METRICS_GAUGE, help);
	for (size_t i = 0; i < alloc_pool_count(d->alloc); i++) {
		struct alloc_pool_use use = alloc_pool_use(d->alloc, i);
		const uint64_t *v = used ? use.used : use.total;

		metrics_add(m, family < 0 ? sum_of(v) : v[family], {"pool", use.name});
	}
}

/* MetalLB's controller. */
static void add_allocator(struct metrics *m, const struct daemon *d, uint64_t now_ms)
{
	if (!leader_is_leader(d->leader, now_ms) || !alloc_is_ready(d->alloc))
		return;
	add_allocator_family(m, d, "metallb_allocator_addresses_total",
		"addresses of the pool that can be given; from the leader", false, -1);
	add_allocator_family(m, d, "metallb_allocator_addresses_in_use_total",
		"addresses of the pool that are given; from the leader", true, -1);
	add_allocator_family(m, d, "metallb_allocator_ipv4_addresses_total",
		"IPv4 addresses of the pool that can be given; from the leader", false, ADDR_V4);
	add_allocator_family(m, d, "metallb_allocator_ipv4_addresses_in_use_total",
		"IPv4 addresses of the pool that are given; from the leader", true, ADDR_V4);
	add_allocator_family(m, d, "metallb_allocator_ipv6_addresses_total",
		"IPv6 addresses of the pool that can be given; from the leader", false, ADDR_V6);
	add_allocator_family(m, d, "metallb_allocator_ipv6_addresses_in_use_total",
		"IPv6 addresses of the pool that are given; from the leader", true, ADDR_V6);
}

/* -- nodes ------------------------------------------------------------------------------------- */

static void add_nodes(struct metrics *m, const struct daemon *d, uint64_t now_ms)
{
	struct elect_member member;

	metrics_family(m, "lbd_node_alive", METRICS_GAUGE,
		"1 if the node renews its Lease, as this node sees it");
	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		elect_member_at(d->elect, i, now_ms, &member);
		metrics_add(m, member.liveness == ELECT_ALIVE, {"node", member.node});
	}
	metrics_family(m, "lbd_node_draining", METRICS_GAUGE,
		"1 if the node offers its addresses to the others");
	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		elect_member_at(d->elect, i, now_ms, &member);
		metrics_add(m, member.draining != NULL, {"node", member.node});
	}
}

static void add_mesh(struct metrics *m, const struct daemon *d)
{
	size_t n = d->peers != NULL ? peers_count(d->peers) : 0;

	metrics_family(m, "lbd_bfd_session_up", METRICS_GAUGE,
		"1 if the BFD session with that node is up");
	for (size_t i = 0; i < n; i++) {
		const struct iface *link;
		struct peers_info p;
		char at[ADDR_STRLEN];

		peers_at(d->peers, i, bfdio_now_us(), &p);
		link = iface_get(net_ifaces(d->net), p.ifindex);
		metrics_add(m, p.bfd.state == BFD_UP, {"node", p.node},
			{"interface", link != NULL ? link->name : NULL},
			{"address", addr_format(p.bfd.path.remote, at)});
	}
}

/* -- BGP --------------------------------------------------------------------------------------- */

/* As MetalLB calls a peer: "10.0.0.1:179", "[fd00::1]:179". */
static const char *peer_label(const struct speaker_peer *p, char s[ADDR_STRLEN + 16])
{
	char at[ADDR_STRLEN];
	bool v6 = addr_family(p->remote) == ADDR_V6;

	(void)snprintf(s, ADDR_STRLEN + 16, "%s%s%s:%u", v6 ? "[" : "", addr_format(p->remote, at),
		v6 ? "]" : "", p->port);
	return s;
}

struct peer_row {
	const char *name;
	enum metrics_type type;
	const char *help;
	bool bfd; /* of those with BFD */
	uint64_t (*value)(const struct speaker_peer *p);
};

static uint64_t bgp_up(const struct speaker_peer *p)
{
	return p->bgp.state == BGP_ESTABLISHED;
}

static uint64_t bgp_told(const struct speaker_peer *p)
{
	return p->routes.told[ADDR_V4] + p->routes.told[ADDR_V6];
}

static uint64_t bgp_wanted(const struct speaker_peer *p)
{
	return p->routes.wanted[ADDR_V4] + p->routes.wanted[ADDR_V6];
}

static uint64_t bgp_sent(const struct speaker_peer *p)
{
	return p->bgp.sent;
}

static uint64_t bgp_received(const struct speaker_peer *p)
{
	return p->bgp.received;
}

#define OF_TYPE(fn, which, type)                                                                   \
	static uint64_t fn(const struct speaker_peer *p)                                           \
	{                                                                                          \
		return p->bgp.which[type];                                                         \
	}
OF_TYPE(opens_sent, sent_of, BGP_OPEN)
OF_TYPE(opens_received, received_of, BGP_OPEN)
OF_TYPE(updates_sent, sent_of, BGP_UPDATE)
OF_TYPE(updates_received, received_of, BGP_UPDATE)
OF_TYPE(notifications_sent, sent_of, BGP_NOTIFICATION)
OF_TYPE(keepalives_sent, sent_of, BGP_KEEPALIVE)
OF_TYPE(keepalives_received, received_of, BGP_KEEPALIVE)
OF_TYPE(refreshes_sent, sent_of, BGP_ROUTE_REFRESH)
#undef OF_TYPE

static uint64_t bgp_wrong(const struct speaker_peer *p)
{
	return p->bgp.discarded + p->bgp.withdrawn;
}

static uint64_t bgp_sessions(const struct speaker_peer *p)
{
	return p->bgp.sessions;
}

static uint64_t bfd_up(const struct speaker_peer *p)
{
	return p->bfd.state == BFD_UP;
}

static uint64_t bfd_sent(const struct speaker_peer *p)
{
	return p->bfd.sent;
}

static uint64_t bfd_received(const struct speaker_peer *p)
{
	return p->bfd.received;
}

/* By the peer's name in the configuration. */
static const struct peer_row own_rows[] = {
	{"lbd_bgp_session_up", METRICS_GAUGE, "1 if the BGP session is Established", false, bgp_up},
	{"lbd_bgp_sessions_total", METRICS_COUNTER, "BGP sessions that were Established", false,
		bgp_sessions},
	{"lbd_bgp_prefixes_announced", METRICS_GAUGE, "prefixes that the peer was told", false,
		bgp_told},
	{"lbd_bgp_updates_wrong_total", METRICS_COUNTER,
		"UPDATEs of the peer with something wrong (RFC 7606)", false, bgp_wrong},
	{"lbd_bgp_bfd_session_up", METRICS_GAUGE,
		"1 if the BFD session beside the BGP session is up", true, bfd_up},
};

/* By the peer's address and port. */
static const struct peer_row metallb_rows[] = {
	{"metallb_bgp_session_up", METRICS_GAUGE, "BGP session state (1 is up, 0 is down)", false,
		bgp_up},
	{"metallb_bgp_announced_prefixes_total", METRICS_GAUGE,
		"prefixes being advertised on the BGP session", false, bgp_told},
	{"metallb_bgp_pending_prefixes_total", METRICS_GAUGE,
		"prefixes that should be advertised on the BGP session", false, bgp_wanted},
	{"metallb_bgp_updates_total", METRICS_COUNTER, "BGP UPDATE messages sent", false,
		updates_sent},
	{"metallb_bgp_updates_total_received", METRICS_COUNTER, "BGP UPDATE messages received",
		false, updates_received},
	{"metallb_bgp_opens_sent", METRICS_COUNTER, "BGP OPEN messages sent", false, opens_sent},
	{"metallb_bgp_opens_received", METRICS_COUNTER, "BGP OPEN messages received", false,
		opens_received},
	{"metallb_bgp_notifications_sent", METRICS_COUNTER, "BGP NOTIFICATION messages sent", false,
		notifications_sent},
	{"metallb_bgp_keepalives_sent", METRICS_COUNTER, "BGP KEEPALIVE messages sent", false,
		keepalives_sent},
	{"metallb_bgp_keepalives_received", METRICS_COUNTER, "BGP KEEPALIVE messages received",
		false, keepalives_received},
	{"metallb_bgp_route_refresh_sent", METRICS_COUNTER, "BGP ROUTE-REFRESH messages sent",
		false, refreshes_sent},
	{"metallb_bgp_total_sent", METRICS_COUNTER, "BGP messages sent", false, bgp_sent},
	{"metallb_bgp_total_received", METRICS_COUNTER, "BGP messages received", false,
		bgp_received},
	{"metallb_bfd_session_up", METRICS_GAUGE, "BFD session state (1 is up, 0 is down)", true,
		bfd_up},
	{"metallb_bfd_control_packet_input", METRICS_COUNTER, "BFD control packets received", true,
		bfd_received},
	{"metallb_bfd_control_packet_output", METRICS_COUNTER, "BFD control packets sent", true,
		bfd_sent},
};

static bool same_label(const struct speaker_peer *a, const struct speaker_peer *b)
{
	return addr_eq(a->remote, b->remote) && a->port == b->port && text_eq(a->vrf, b->vrf);
}

/* Two may have one address: a sample stands once. */
static bool stands_before(const struct daemon *d, size_t i, const struct speaker_peer *p)
{
	struct speaker_peer other;

	for (size_t k = 0; k < i; k++) {
		speaker_peer(d, k, &other);
		if (other.has_address && same_label(&other, p))
			return true;
	}
	return false;
}

static void add_peers(
	struct metrics *m, const struct daemon *d, const struct peer_row *row, bool own)
{
	char label[ADDR_STRLEN + 16];

	metrics_family(m, row->name, row->type, row->help);
	for (size_t i = 0; i < speaker_count(d); i++) {
		struct speaker_peer p;

		speaker_peer(d, i, &p);
		if (row->bfd && !p.has_bfd)
			continue;
		if (own)
			metrics_add(m, row->value(&p), {"peer", p.name});
		else if (p.has_address && !stands_before(d, i, &p))
			metrics_add(m, row->value(&p), {"peer", peer_label(&p, label)},
				{"vrf", p.vrf != NULL && p.vrf[0] != '\0' ? p.vrf : NULL});
	}
}

static void add_bgp(struct metrics *m, const struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LEN(own_rows); i++)
		add_peers(m, d, &own_rows[i], true);
	for (size_t i = 0; i < ARRAY_LEN(metallb_rows); i++)
		add_peers(m, d, &metallb_rows[i], false);
}

/* -- this node --------------------------------------------------------------------------------- */

static void add_bool(struct metrics *m, const char *name, bool is, const char *help)
{
	metrics_family(m, name, METRICS_GAUGE, help);
	metrics_set(m, is);
}

static void add_services(struct metrics *m, const struct daemon *d)
{
	struct cluster_service s = {0};
	uint64_t n = 0, pending = 0;

	while (cluster_next_service(d->cluster, &s)) {
		if (service_served(d->conf, &s) != REASON_ALLOCATED)
			continue;
		n++;
		pending += s.n_ingress == 0;
	}
	metrics_family(m, "lbd_services", METRICS_GAUGE, "Services that lbd serves");
	metrics_set(m, n);
	metrics_family(
		m, "lbd_services_pending", METRICS_GAUGE, "those of them without an address");
	metrics_set(m, pending);
}

static void add_client(struct metrics *m, const struct daemon *d, bool stale)
{
	const struct counters *c = &d->counters;

	metrics_family(m, "metallb_k8s_client_updates_total", METRICS_COUNTER,
		"changes of objects that the API has told");
	metrics_set(m, c->v[COUNTER_WATCH_EVENTS]);
	metrics_family(m, "metallb_k8s_client_update_errors_total", METRICS_COUNTER,
		"objects from the API that could not be understood");
	metrics_set(m, c->v[COUNTER_WATCH_BAD_OBJECTS]);
	add_bool(m, "metallb_k8s_client_config_loaded_bool", crdwatch_is_ready(d),
		"1 if a configuration was loaded at least once");
	add_bool(m, "metallb_k8s_client_config_stale_bool", stale,
		"1 if the latest configuration was not taken: the one before is in force");
}

/* Monotonic milliseconds as seconds of the epoch. */
static uint64_t wall_ms(uint64_t at_ms, uint64_t now_ms)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 - (now_ms - at_ms);
}

static void add_self(struct metrics *m, const struct daemon *d, uint64_t now_ms)
{
	bool stale = daemon_conf_is_stale(d);

	metrics_family(m, "lbd_build_info", METRICS_GAUGE, "1; what runs, and where");
	metrics_add(m, 1, {"version", d->version}, {"node", d->node});
	add_bool(m, "lbd_leader", leader_is_leader(d->leader, now_ms),
		"1 if this node gives Services their addresses");
	add_bool(m, "lbd_api_synced", d->synced,
		"1 if all that is watched is complete and up to date");
	add_bool(m, "lbd_config_valid", !stale,
		"0 if the latest configuration was not taken: the one before is in force");
	metrics_family(m, "lbd_config_loaded_timestamp_seconds", METRICS_GAUGE,
		"when the configuration in force was loaded");
	metrics_set_ms(m, wall_ms(d->conf_loaded_ms, now_ms));
	add_bool(m, "lbd_draining", elect_is_draining(d->elect),
		"1 if this node offers its addresses to the others");
	add_bool(m, "lbd_frozen", elect_is_frozen(d->elect),
		"1 if this node takes no address, by hand");
	add_bool(m, "lbd_servicelb", d->conf->servicelb_active,
		"1 if Services get the nodes' own addresses");
	add_client(m, d, stale);
}

bool gauge_write(const struct daemon *d, struct metrics *m, uint64_t now_ms)
{
	struct seen_all all;

	if (!see_all(d, &all, now_ms))
		return false;
	add_self(m, d, now_ms);
	add_services(m, d);
	add_states(m, &all);
	add_announced(m, d, &all);
	add_services_announced(m, d, &all);
	add_frames(m, &all);
	add_pools(m, d);
	add_used(m, d, &all);
	add_allocator(m, d, now_ms);
	add_nodes(m, d, now_ms);
	add_mesh(m, d);
	add_bgp(m, d);
	metrics_counters(m, &d->counters);
	free(all.v);
	return true;
}
