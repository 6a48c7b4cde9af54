/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c - the whole state as JSON, for `lbd dump` and everything that shows it to a person.
 *
 * Reads all, changes nothing.  Shape: shared/INTERFACES.md, "Command line".
 */
#include "dry.h"
#include "service.h"
#include "why.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Monotonic milliseconds as the wall clock's RFC 3339 time. */
const char *status_time(uint64_t at_ms, uint64_t now_ms, char s[STATUS_TIME_LEN])
{
	struct timespec ts;
	int64_t wall_ms;
	time_t t;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 +
		  ((int64_t)at_ms - (int64_t)now_ms);
	t = (time_t)(wall_ms / 1000);
	gmtime_r(&t, &tm);
	(void)snprintf(s, STATUS_TIME_LEN, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms % 1000));
	return s;
}

static void add_string(cJSON *o, const char *key, const char *s)
{
	if (s != NULL)
		(void)cJSON_AddStringToObject(o, key, s);
	else
		(void)cJSON_AddNullToObject(o, key);
}

static void add_number(cJSON *o, const char *key, uint64_t n)
{
	(void)cJSON_AddNumberToObject(o, key, (double)n);
}

void status_add_time(cJSON *o, const char *key, uint64_t at_ms, uint64_t now_ms)
{
	char s[STATUS_TIME_LEN];

	add_string(o, key, status_time(at_ms, now_ms, s));
}

static void add_addr(cJSON *o, const char *key, struct addr a)
{
	char s[ADDR_STRLEN];

	add_string(o, key, addr_format(a, s));
}

const char *status_mac(const uint8_t m[6], char s[STATUS_MAC_LEN])
{
	(void)snprintf(s, STATUS_MAC_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		m[4], m[5]);
	return s;
}

static void add_mac(cJSON *o, const char *key, const uint8_t m[6])
{
	char s[STATUS_MAC_LEN];

	add_string(o, key, status_mac(m, s));
}

static void item_addr(cJSON *array, struct addr a)
{
	char s[ADDR_STRLEN];

	cJSON_AddItemToArray(array, cJSON_CreateString(addr_format(a, s)));
}

const char *status_state_name(enum elect_state s)
{
	switch (s) {
	case ELECT_IDLE:
		return "idle";
	case ELECT_WATCH:
		return "watch";
	case ELECT_WAIT:
		return "wait";
	case ELECT_PROBE:
		return "probe";
	case ELECT_OWNER:
		return "owner";
	case ELECT_HANDOVER:
		return "handover";
	case ELECT_CONFLICT:
		return "conflict";
	}
	return "";
}

static const char *liveness_name(enum elect_liveness l)
{
	switch (l) {
	case ELECT_ALIVE:
		return "alive";
	case ELECT_EXPIRED:
		return "expired";
	case ELECT_RELEASED:
		return "released";
	}
	return "";
}

static void dump_config(cJSON *o, const struct daemon *d, uint64_t now_ms)
{
	add_string(o, "file", d->opt->config_path);
	add_string(o, "hash", d->conf->hash);
	add_number(o, "nodeLeaseMs", d->conf->elections.node_duration_ms);
	(void)cJSON_AddBoolToObject(o, "servicelb", d->conf->servicelb_active);
	(void)cJSON_AddBoolToObject(o, "poolsWait", reload_pools_wait(d));
	status_add_time(o, "loaded", d->conf_loaded_ms, now_ms);
	add_number(o, "reloads", d->counters.v[COUNTER_CONFIG_RELOADS]);
	add_number(o, "rejected", d->counters.v[COUNTER_CONFIG_REJECTED]);
	(void)cJSON_AddBoolToObject(o, "stale", daemon_conf_is_stale(d));
	crdwatch_dump(d, o);
}

static void dump_leader(cJSON *o, const struct daemon *d, uint64_t now_ms)
{
	char node[CONFIG_MAX_NAME + 1];

	why_leader(d, node);
	add_string(o, "node", node);
	add_string(o, "holder", leader_holder(d->leader));
	(void)cJSON_AddBoolToObject(o, "self", leader_is_leader(d->leader, now_ms));
	(void)cJSON_AddBoolToObject(o, "ready", daemon_is_ready(d));
	add_number(o, "term", leader_term(d->leader));
}

/* Is there a BFD session with that node? */
static bool is_watched(const struct daemon *d, const char *node)
{
	size_t n = d->peers != NULL ? peers_count(d->peers) : 0;

	for (size_t i = 0; i < n; i++) {
		struct peers_info info;

		peers_at(d->peers, i, bfdio_now_us(), &info);
		if (strcmp(info.node, node) == 0)
			return true;
	}
	return false;
}

/* Where lbd listens in vain: "eth0 (ARP)". */
static void dump_deaf(cJSON *array, const struct iface_table *ifaces)
{
	static const char *const protocol[ADDR_FAMILIES] = {"ARP", "NDP"};
	const struct iface *i = NULL;
	char text[IFACE_NAMELEN + 8];

	while ((i = iface_next(ifaces, i)) != NULL)
		for (enum addr_family f = 0; f < ADDR_FAMILIES; f++) {
			if (!iface_is_usable(i) || i->capture[f] != IFACE_DEAF)
				continue;
			(void)snprintf(text, sizeof text, "%s (%s)", i->name, protocol[f]);
			cJSON_AddItemToArray(array, cJSON_CreateString(text));
		}
}

/* What only a node itself knows of itself; the API may not know yet that it is drained. */
static void dump_self(cJSON *o, const struct daemon *d, const char *draining, uint64_t now_ms)
{
	if (draining == NULL && elect_is_draining(d->elect))
		(void)cJSON_ReplaceItemInObjectCaseSensitive(
			o, "draining", cJSON_CreateString(hand_reason(d)));
	(void)cJSON_AddBoolToObject(o, "frozen", elect_is_frozen(d->elect));
	(void)cJSON_AddBoolToObject(o, "healthy", elect_is_healthy(d->elect, now_ms));
	(void)cJSON_AddBoolToObject(o, "impersonated", elect_is_impersonated(d->elect));
	(void)cJSON_AddBoolToObject(o, "nodeMissing", d->node_missing_said);
	add_string(o, "nextName", d->next_node[0] != '\0' ? d->next_node : NULL);
	dump_deaf(cJSON_AddArrayToObject(o, "deaf"), net_ifaces(d->net));
}

struct owner {
	const char *node;
	uint64_t n_vips;
};

/* How many addresses each member has, as far as this node knows: malloc'ed, in members' order; NULL
 * when there is no member, or no memory. */
static struct owner *owners(const struct daemon *d, uint64_t now_ms)
{
	size_t n = elect_member_count(d->elect);
	struct owner *v = n > 0 ? calloc(n, sizeof *v) : NULL;
	const struct vip_group *g = NULL;
	struct elect_view view;

	for (size_t i = 0; v != NULL && i < n; i++) {
		struct elect_member m;

		elect_member_at(d->elect, i, now_ms, &m);
		v[i].node = m.node;
	}
	while (v != NULL && (g = vip_next_group(d->vips, g)) != NULL) {
		if (!elect_view(d->elect, g->id, &view) || view.owner == NULL)
			continue;
		for (size_t i = 0; i < n; i++)
			if (strcmp(v[i].node, view.owner) == 0)
				v[i].n_vips += g->n_vips;
	}
	return v;
}

static void dump_nodes(cJSON *array, const struct daemon *d, uint64_t now_ms)
{
	struct owner *owner = owners(d, now_ms);

	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		cJSON *o = cJSON_CreateObject();
		struct elect_member m;

		elect_member_at(d->elect, i, now_ms, &m);
		add_string(o, "name", m.node);
		(void)cJSON_AddBoolToObject(o, "self", m.self);
		add_string(o, "lease", liveness_name(m.liveness));
		add_string(o, "peer", peers_state_name(m.peer));
		(void)cJSON_AddBoolToObject(o, "watched", is_watched(d, m.node));
		add_string(o, "holder", m.holder);
		add_string(o, "version", m.version);
		add_string(o, "schema", m.schema);
		add_string(o, "configHash", m.config_hash);
		add_string(o, "addresses", m.addresses);
		add_string(o, "macs", m.macs);
		add_string(o, "subnets", m.subnets);
		add_string(o, "draining", m.draining);
		add_number(o, "sinceRenewalMs", now_ms - m.observed_ms);
		add_number(o, "claims", m.n_claims);
		add_number(o, "announces", owner != NULL ? owner[i].n_vips : 0);
		if (m.unread)
			(void)cJSON_AddBoolToObject(o, "claimsUnread", true);
		if (m.self)
			dump_self(o, d, m.draining, now_ms);
		cJSON_AddItemToArray(array, o);
	}
	free(owner);
}

/* Is there one without an address of which only the leader, another node, could say why? */
static bool wants_shadow(const struct daemon *d)
{
	struct cluster_service s = {0};

	if (alloc_is_ready(d->alloc))
		return false;
	while (cluster_next_service(d->cluster, &s))
		if (s.n_ingress == 0 && service_served(d->conf, &s) == REASON_ALLOCATED)
			return true;
	return false;
}

/* Why the Service has what it has. */
static void add_reason(cJSON *o, const struct daemon *d, const struct cluster_service *s,
	const struct alloc *shadow)
{
	struct why why;

	explain_why(d, s, shadow, &why);
	add_string(o, "reason", reason_code(why.reason));
	add_string(o, "text", why.text);
}

/* The addresses of which there is something to say, each for itself. */
static void add_each(cJSON *service, const struct daemon *d, const struct cluster_service *s)
{
	cJSON *list = NULL, *o;

	if (service_served(d->conf, s) != REASON_ALLOCATED)
		return;
	for (size_t i = 0; i < s->n_ingress; i++) {
		enum reason r = why_address(d, s, s->ingress[i]);

		if (r == REASON_OWNER)
			continue;
		if (list == NULL)
			list = cJSON_AddArrayToObject(service, "addresses");
		o = cJSON_CreateObject();
		add_addr(o, "ip", s->ingress[i]);
		add_string(o, "reason", reason_code(r));
		add_string(o, "text", reason_text(r));
		cJSON_AddItemToArray(list, o);
	}
}

static void add_addrs(cJSON *o, const char *key, const struct addr *v, size_t n)
{
	cJSON *array = cJSON_AddArrayToObject(o, key);

	for (size_t i = 0; i < n; i++)
		item_addr(array, v[i]);
}

/* What the API shows, and in a dry run what it would come to. */
static void add_ips(cJSON *o, const struct daemon *d, const struct cluster_service *s)
{
	struct dry_change c;

	if (!dry_change(d, s, &c)) {
		add_addrs(o, "ips", s->ingress, s->n_ingress);
		return;
	}
	add_addrs(o, "ips", c.was, c.n_was);
	o = cJSON_AddObjectToObject(o, "wouldWrite");
	add_addrs(o, "ips", c.is, c.n_is);
	add_string(o, "pool", c.pool);
}

static void dump_services(cJSON *array, struct daemon *d, uint64_t now_ms)
{
	struct alloc *shadow = wants_shadow(d) ? explain_shadow(d, now_ms) : NULL;
	struct cluster_service s = {0};

	if (shadow != NULL)
		(void)!alloc_explain(shadow, "", NULL, now_ms); /* of no Service: it decides */
	while (cluster_next_service(d->cluster, &s)) {
		struct cluster_endpoints ready = cluster_endpoints(d->cluster, s.key, d->node);
		cJSON *o;

		if (!s.is_load_balancer && s.n_ingress == 0)
			continue;
		o = cJSON_CreateObject();
		add_string(o, "name", s.key);
		add_string(o, "uid", s.uid);
		add_ips(o, d, &s);
		add_reason(o, d, &s, shadow);
		add_each(o, d, &s);
		add_string(o, "pool", s.pool_written);
		(void)cJSON_AddBoolToObject(o, "local", s.local);
		add_number(o, "readyEndpoints", ready.ready);
		add_number(o, "readyEndpointsHere", ready.ready_on_node);
		cJSON_AddItemToArray(array, o);
	}
	alloc_free(shadow);
}

static void dump_entry(
	cJSON *array, const struct daemon *d, const struct plan_entry *e, uint64_t now_ms)
{
	const struct iface *i = iface_get(net_ifaces(d->net), e->ifindex);
	cJSON *o = cJSON_CreateObject();
	struct ann_info info;

	add_string(o, "interface", i != NULL ? i->name : "");
	(void)cJSON_AddBoolToObject(o, "announced", e->announced);
	add_string(o, "reason", reason_code(e->reason));
	add_string(o, "text", reason_text(e->reason));
	if (i != NULL && e->announced)
		add_mac(o, "mac", i->mac);
	(void)cJSON_AddBoolToObject(o, "bindAddress", e->bind);
	if (e->bind)
		(void)cJSON_AddBoolToObject(o, "bound", bound_is_held(d, e->ifindex, e->vip));
	if (ann_info(wire_ann(d, e->vip), e->ifindex, e->vip, &info)) {
		status_add_time(o, "since", info.since_ms, now_ms);
		add_number(o, "requests", info.requests);
		add_number(o, "replies", info.replies);
		add_number(o, "announcements", info.announcements);
		if (info.foreign) {
			add_mac(o, "foreignMac", info.foreign_mac);
			status_add_time(o, "foreignSeen", info.foreign_ms, now_ms);
		}
	}
	cJSON_AddItemToArray(array, o);
}

/* By which word another node is known to have it. */
static const char *owner_by(const struct elect_view *v)
{
	if (v->state == ELECT_OWNER || v->state == ELECT_HANDOVER)
		return "self";
	if (v->owner == NULL || (!v->owner_claims && !v->owner_spoke))
		return NULL;
	return !v->owner_spoke ? "claim" : v->owner_claims ? "claimAndWire" : "wire";
}

static void dump_foreign(cJSON *o, const struct daemon *d, struct addr vip, uint64_t now_ms)
{
	const struct foreign_host *h = foreign_find(&d->foreign, vip);

	if (h == NULL || elect_is_member_mac(d->elect, h->mac))
		return;
	add_mac(o, "foreignMac", h->mac);
	status_add_time(o, "foreignSince", h->first_ms, now_ms);
	status_add_time(o, "foreignSeen", h->last_ms, now_ms);
}

static void dump_owner(cJSON *o, const struct elect_view *v, uint64_t now_ms)
{
	const char *by = owner_by(v);

	add_string(o, "owner", v->owner);
	add_string(o, "ownerBy", by);
	if (by != NULL)
		status_add_time(o, "ownerSince",
			strcmp(by, "self") == 0 ? v->since_ms : v->owner_ms, now_ms);
	if (v->wire_mac == NULL)
		return;
	add_mac(o, "answeredByMac", v->wire_mac);
	status_add_time(o, "answeredSeen", v->wire_ms, now_ms);
}

static void dump_bgp(cJSON *o, enum reason why)
{
	(void)cJSON_AddBoolToObject(o, "announced", why == REASON_OWNER);
	add_string(o, "reason", reason_code(why));
}

cJSON *status_vip(const struct daemon *d, const struct vip *v, uint64_t now_ms)
{
	const struct plan_entry *entry[ELIG_MAX_PATHS];
	size_t n = plan_of(d->plan, v->addr, entry, ELIG_MAX_PATHS);
	const struct config_pool *pool = vip_pool(d->vips, d->conf, d->cluster, v);
	cJSON *o = cJSON_CreateObject(), *list;
	struct elect_view view;

	add_addr(o, "ip", v->addr);
	add_string(o, "pool", pool != NULL ? pool->name : NULL);
	(void)cJSON_AddBoolToObject(o, "kept", config_pool_of(d->conf, v->addr) == NULL);
	add_number(o, "group", v->group->id);
	list = cJSON_AddArrayToObject(o, "services");
	for (size_t i = 0; i < v->n_holders; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(vip_holder(v, i).key));
	if (elect_view(d->elect, v->group->id, &view)) {
		add_string(o, "state", status_state_name(view.state));
		status_add_time(o, "since", view.since_ms, now_ms);
		add_number(o, "term", view.term);
		dump_owner(o, &view, now_ms);
		add_string(o, "why", view.why);
		(void)cJSON_AddBoolToObject(o, "weak", view.weak);
		(void)cJSON_AddBoolToObject(o, "disputed", view.disputed);
	}
	dump_foreign(o, d, v->addr, now_ms);
	if (d->conf->n_bgp_advertisements > 0)
		dump_bgp(cJSON_AddObjectToObject(o, "bgp"), speaker_why(d, v));
	list = cJSON_AddArrayToObject(o, "here");
	for (size_t i = 0; i < n && i < ELIG_MAX_PATHS; i++)
		dump_entry(list, d, entry[i], now_ms);
	return o;
}

static void dump_vips(cJSON *array, const struct daemon *d, uint64_t now_ms)
{
	const struct vip_group *g = NULL;

	while ((g = vip_next_group(d->vips, g)) != NULL)
		for (size_t i = 0; i < g->n_vips; i++)
			cJSON_AddItemToArray(array, status_vip(d, vip_member(g, i), now_ms));
}

static uint64_t vips_of_pool(
	const struct daemon *d, const struct config_pool *p, enum addr_family family)
{
	const struct vip_group *g = NULL;
	uint64_t n = 0;

	while ((g = vip_next_group(d->vips, g)) != NULL)
		for (size_t i = 0; g->family == family && i < g->n_vips; i++)
			n += config_pool_of(d->conf, vip_member(g, i)->addr) == p;
	return n;
}

uint64_t status_pool_size(const struct config_pool *p, enum addr_family f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_ranges; i++) {
		uint64_t size = addr_range_size(p->ranges[i]);

		if (addr_family(p->ranges[i].first) == f)
			sum = size > UINT64_MAX - sum ? UINT64_MAX : sum + size;
	}
	return sum;
}

static void dump_pools(cJSON *array, const struct daemon *d)
{
	for (size_t i = 0; i < d->conf->n_pools; i++) {
		const struct config_pool *p = &d->conf->pools[i];
		cJSON *o = cJSON_CreateObject(), *list;
		char text[ADDR_RANGE_STRLEN];

		add_string(o, "name", p->name);
		list = cJSON_AddArrayToObject(o, "addresses");
		for (size_t r = 0; r < p->n_ranges; r++)
			cJSON_AddItemToArray(
				list, cJSON_CreateString(addr_range_format(p->ranges[r], text)));
		add_number(o, "ipv4Total", status_pool_size(p, ADDR_V4));
		add_number(o, "ipv6Total", status_pool_size(p, ADDR_V6));
		add_number(o, "ipv4Used", vips_of_pool(d, p, ADDR_V4));
		add_number(o, "ipv6Used", vips_of_pool(d, p, ADDR_V6));
		cJSON_AddItemToArray(array, o);
	}
}

static void dump_events(cJSON *array, const struct daemon *d, uint64_t now_ms)
{
	size_t n = d->n_recent < DAEMON_RECENT_EVENTS ? d->n_recent : DAEMON_RECENT_EVENTS;

	for (size_t i = d->n_recent - n; i < d->n_recent; i++) {
		const struct daemon_recent *r = &d->recent[i % DAEMON_RECENT_EVENTS];
		cJSON *o = cJSON_CreateObject();

		status_add_time(o, "time", r->at_ms, now_ms);
		add_string(o, "type", r->type == EVENT_WARNING ? "Warning" : "Normal");
		add_string(o, "reason", r->reason);
		add_string(o, "object", r->object);
		add_string(o, "message", r->message);
		cJSON_AddItemToArray(array, o);
	}
}

static void dump_api(cJSON *o, const struct daemon *d, uint64_t now_ms)
{
	const char *refused = NULL;
	cJSON *list;

	(void)cJSON_AddBoolToObject(o, "synced", d->synced);
	status_add_time(o, "since", d->synced_ms, now_ms);
	add_string(o, "server", d->kube != NULL ? kube_where_text(d->kube) : NULL);
	if (d->mute.since_ms != 0) {
		status_add_time(o, "refusesSince", d->mute.since_ms, now_ms);
		add_string(o, "refusesWhy", d->mute.why);
	}
	list = cJSON_AddArrayToObject(o, "watches");
	for (size_t i = 0; i < DAEMON_WATCHES; i++) {
		cJSON *w;

		if (d->watch[i].w == NULL)
			continue;
		w = cJSON_CreateObject();
		add_string(w, "resource", feed_watch_name((enum daemon_watch_id)i));
		(void)cJSON_AddBoolToObject(w, "synced", d->watch[i].synced);
		add_string(w, "error", kube_watch_error(d->watch[i].w));
		cJSON_AddItemToArray(list, w);
	}
	list = cJSON_AddArrayToObject(o, "refused");
	while (d->kube != NULL && (refused = kube_next_refused(d->kube, refused)) != NULL)
		cJSON_AddItemToArray(list, cJSON_CreateString(refused));
}

static void dump_log(cJSON *o, const struct daemon *d, uint64_t now_ms)
{
	const struct level_hand *h = &d->level;
	enum log_level otherwise = reload_level(d);

	add_string(o, "level", level_name(h->on ? h->level : otherwise));
	(void)cJSON_AddBoolToObject(o, "byHand", h->on);
	add_string(o, "otherwise", level_name(otherwise));
	if (level_next_deadline(h) != TIME_NEVER)
		status_add_time(o, "until", h->until_ms, now_ms);
}

static void dump_counters(cJSON *o, const struct daemon *d)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_row *row = counter_row((enum counter_id)i);
		char name[160];

		(void)snprintf(name, sizeof name, row->labels[0] != '\0' ? "%s{%s}" : "%s%s",
			row->name, row->labels);
		add_number(o, name, d->counters.v[i]);
	}
}

/* What lbd would change. */
static void dump_dry(cJSON *o, const struct daemon *d)
{
	struct dry_sum sum = dry_sum(d, NULL);

	add_number(o, "keep", sum.keep);
	add_number(o, "get", sum.get);
	add_number(o, "change", sum.change);
	add_number(o, "lose", sum.lose);
	add_number(o, "refused", sum.refused);
}

void status_sentence(const struct daemon *d, uint64_t now_ms, char *s, size_t n)
{
	bool leads = leader_is_leader(d->leader, now_ms);
	size_t announced = ann_count(d->ann[ADDR_V4]) + ann_count(d->ann[ADDR_V6]);

	if (!daemon_may_act(d))
		(void)snprintf(s, n, "waits for the API at %.100s", kube_where_text(d->kube));
	else
		(void)snprintf(s, n, "announces %zu of %zu addresses by ARP and NDP%s%s", announced,
			vip_count(d->vips), leads ? ", leads" : "",
			d->synced ? "" : "; not in step with the API");
}

cJSON *status_dump(struct daemon *d, uint64_t now_ms)
{
	cJSON *root = cJSON_CreateObject(), *o;

	o = cJSON_AddObjectToObject(root, "version");
	add_string(o, "version", d->version);
	add_string(o, "node", d->node);
	status_add_time(o, "now", now_ms, now_ms);
	status_add_time(o, "started", d->started_ms, now_ms);
	(void)cJSON_AddBoolToObject(o, "dryRun", d->opt->dry_run);
	dump_config(cJSON_AddObjectToObject(root, "config"), d, now_ms);
	dump_leader(cJSON_AddObjectToObject(root, "leader"), d, now_ms);
	dump_nodes(cJSON_AddArrayToObject(root, "nodes"), d, now_ms);
	dump_services(cJSON_AddArrayToObject(root, "services"), d, now_ms);
	dump_vips(cJSON_AddArrayToObject(root, "vips"), d, now_ms);
	dump_pools(cJSON_AddArrayToObject(root, "pools"), d);
	if (d->dry != NULL)
		dump_dry(cJSON_AddObjectToObject(root, "dryRun"), d);
	speaker_dump(d, cJSON_AddArrayToObject(root, "peers"), now_ms);
	dump_events(cJSON_AddArrayToObject(root, "events"), d, now_ms);
	dump_api(cJSON_AddObjectToObject(root, "api"), d, now_ms);
	dump_log(cJSON_AddObjectToObject(root, "log"), d, now_ms);
	dump_counters(cJSON_AddObjectToObject(root, "counters"), d);
	return root;
}
