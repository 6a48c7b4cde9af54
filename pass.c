/* SPDX-License-Identifier: Apache-2.0
 *
 * pass.c - the pass: what changed since the last one goes through the pure units, and the
 * difference of the plan goes to ARP and to Events.
 *
 * In:   dirty Services, Nodes, groups.  Out: ann_add(), ann_del(), Events, what writer.c may send.
 * Nothing else announces or withdraws (DESIGN section 1.2).
 */
#include "announced.h"
#include "dry.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* -- Events about announcing -- */

static bool is_on(const struct plan_entry *e)
{
	return e != NULL && e->announced;
}

/* Is this change the first path of its VIP to be announced? Then it is news for the VIP's Services.
 */
static bool starts_announcing(const struct plan_change *c)
{
	return is_on(c->is) && !is_on(c->was);
}

static void announce_events(struct daemon *d, uint64_t now_ms)
{
	struct addr v[DAEMON_EVENTS_A_PASS];
	size_t n = 0;

	for (size_t i = 0; i < plan_change_count(d->plan); i++) {
		struct plan_change c = plan_change_at(d->plan, i);

		if (!starts_announcing(&c))
			continue;
		if (n < DAEMON_EVENTS_A_PASS)
			v[n] = c.is->vip;
		n++;
	}
	daemon_announced(d, v, n, "layer2", now_ms);
}

static bool is_conflict(const struct plan_entry *e)
{
	return e != NULL && e->reason == REASON_CONFLICT;
}

/* Somebody else on the LAN already answers for an address that was to be put into service. */
static void conflict_events(struct daemon *d, uint64_t now_ms)
{
	char msg[CONFIG_MAX_NAME + 128], text[ADDR_STRLEN];

	for (size_t i = 0; i < plan_change_count(d->plan); i++) {
		struct plan_change c = plan_change_at(d->plan, i);

		if (!is_conflict(c.is) || is_conflict(c.was))
			continue;
		(void)snprintf(msg, sizeof msg,
			"a host that is no node of this cluster answers for %s: not announced from "
			"node \"%s\"",
			addr_format(c.is->vip, text), d->node);
		log_limited(LOG_WARN, wire_protocol(c.is->vip), msg, NULL);
		daemon_vip_event(d, c.is->vip, EVENT_WARNING, "announceFailed", msg, now_ms);
	}
}

/* -- plan -> ARP, NDP -- */

static const char *what_of(bool changed, bool on)
{
	if (changed)
		return on ? "announcing" : "no longer announcing";
	return on ? "still announcing" : "not announcing";
}

/* level: of the line that says that it comes or goes. */
static void apply_change(
	struct daemon *d, const struct plan_change *c, enum log_level level, uint64_t now_ms)
{
	const struct plan_entry *e = c->is != NULL ? c->is : c->was;
	const struct iface *i = iface_get(net_ifaces(d->net), e->ifindex);
	bool on = is_on(c->is);
	bool changed = on != is_on(c->was);
	char text[ADDR_STRLEN];
	int err = wire_apply(d, c, now_ms);

	bound_set(d, e->ifindex, e->vip, on && err == 0 && e->bind);
	if (err != 0)
		log_error(wire_protocol(e->vip), "not announced", "ip", addr_format(e->vip, text),
			"err", strerror(-err), NULL);
	else if (log_level() >= (changed ? level : LOG_DEBUG))
		log_write(changed ? level : LOG_DEBUG, wire_protocol(e->vip),
			what_of(changed, on), "ip", addr_format(e->vip, text), "iface",
			i != NULL ? i->name : "", "reason",
			reason_code(c->is != NULL ? c->is->reason : REASON_NO_IP), NULL);
	if (err == -ENOMEM)
		d->rebuild = true;
}

/* A line for each address that comes or goes; of many at once, one line for all: the loop must not
 * wait for the log. */
static void apply_plan(struct daemon *d, uint64_t now_ms)
{
	size_t n = plan_change_count(d->plan), on = 0, off = 0;
	enum log_level level = LOG_INFO;
	char n_on[24], n_off[24];

	for (size_t i = 0; i < n; i++) {
		struct plan_change c = plan_change_at(d->plan, i);

		on += starts_announcing(&c);
		off += is_on(c.was) && !is_on(c.is);
	}
	if (on + off > DAEMON_EVENTS_A_PASS) {
		level = LOG_DEBUG;
		log_info("plan", "addresses taken up and given up (each one: level debug)",
			"announcing", log_number((int64_t)on, n_on), "ended",
			log_number((int64_t)off, n_off), NULL);
	}
	for (size_t i = 0; i < n; i++) {
		struct plan_change c = plan_change_at(d->plan, i);

		apply_change(d, &c, level, now_ms);
	}
}

/* What became of each group that changed its state. */
static void tell_groups(const struct daemon *d)
{
	for (size_t i = 0; log_level() >= LOG_DEBUG && i < elect_dirty_count(d->elect); i++) {
		const struct vip_group *g = vip_group(d->vips, elect_dirty_at(d->elect, i));
		struct elect_view v;
		char text[ADDR_STRLEN], more[24];

		if (g == NULL || g->n_vips == 0 || !elect_view(d->elect, g->id, &v))
			continue;
		log_debug("elect", status_state_name(v.state), "ip",
			addr_format(vip_member(g, 0)->addr, text), "more",
			log_number((int64_t)g->n_vips - 1, more), "owner", v.owner, "why", v.why,
			NULL);
	}
}

static void update_plan(struct daemon *d, bool all)
{
	const struct plan_input in = {
		.vips = d->vips, .elect = d->elect, .dry_run = d->opt->dry_run};
	int err = 0;

	if (all)
		err = plan_rebuild(d->plan, &in);
	for (size_t i = 0; !all && i < vip_dirty_count(d->vips) && err == 0; i++)
		err = plan_update(d->plan, &in, vip_dirty_at(d->vips, i));
	for (size_t i = 0; !all && i < elect_dirty_count(d->elect) && err == 0; i++)
		err = plan_update(d->plan, &in, elect_dirty_at(d->elect, i));
	if (err != 0)
		d->rebuild = true;
	/* What this node owns: without the API no Lease tells. */
	if (plan_change_count(d->plan) > 0)
		snapfile_mark(d);
}

/* -- the pass -- */

/* Nobody decides anything before all Services were put anew. */
static void forget_services(struct daemon *d)
{
	alloc_begin(d->alloc);
	nodelb_begin(d->nodelb);
}

void pass_begin(struct daemon *d)
{
	forget_services(d);
	d->adopting = d->was_leader;
}

static int put_service(struct daemon *d, const struct cluster_service *s, uint64_t now_ms)
{
	return d->conf->servicelb_active ? nodelb_put(d->nodelb, s, now_ms)
					 : alloc_put(d->alloc, s, now_ms);
}

static void delete_service(struct daemon *d, const char *key, uint64_t now_ms)
{
	if (d->conf->servicelb_active)
		nodelb_delete(d->nodelb, key);
	else
		alloc_delete(d->alloc, key, now_ms);
}

static void adopt(struct daemon *d, uint64_t now_ms)
{
	struct cluster_service s = {0};

	forget_services(d);
	while (cluster_next_service(d->cluster, &s))
		if (put_service(d, &s, now_ms) != 0)
			return; /* out of memory: adopting stays, and is tried again with the next
				   list */
	if (d->conf->servicelb_active)
		nodelb_adopted(d->nodelb);
	else
		alloc_adopted(d->alloc, now_ms);
	d->adopting = false;
	d->taking_over = true;
}

/* Does this node decide who gets which address?  In a dry run each does, for itself. */
static bool is_deciding(const struct daemon *d, uint64_t now_ms)
{
	return d->dry != NULL ? d->synced_once : leader_is_leader(d->leader, now_ms);
}

static void watch_leadership(struct daemon *d, uint64_t now_ms)
{
	bool is = is_deciding(d, now_ms);

	if (is == d->was_leader)
		return;
	d->was_leader = is;
	contest_reset(d);
	if (is) {
		log_info("leader",
			d->dry != NULL ? "deciding as if this node were the leader"
				       : "this node allocates addresses now",
			"node", d->node, NULL);
		d->adopting = true;
		d->services_listed = false;
		forget_services(d);
		kube_relist(
			d->watch[WATCH_SERVICES]
				.w); /* consistently, before the first write (DESIGN section 3) */
	} else {
		log_warn("leader", "this node no longer allocates addresses", "holder",
			leader_holder(d->leader), NULL);
		d->adopting = false;
		kube_abort_deadlined(d->kube);
		forget_services(d);
	}
}

static void take_services(struct daemon *d, uint64_t now_ms)
{
	bool allocate = d->was_leader && daemon_is_ready(d);

	if (cluster_dirty_count(d->cluster) > 0)
		snapfile_mark(d);
	for (size_t i = 0; i < cluster_dirty_count(d->cluster); i++) {
		struct cluster_dirty dirty = cluster_dirty_at(d->cluster, i);
		int err = d->rebuild ? 0 : vip_update(d->vips, d->conf, d->cluster, dirty.key);
		struct cluster_service s;
		bool there = cluster_service(d->cluster, dirty.key, &s);

		if (err == -ENOMEM)
			d->rebuild = true;
		keep_service(d, dirty.key, there ? &s : NULL);
		announced_touch(d->announced, dirty.key);
		if (!allocate)
			continue;
		if (!there)
			dry_forget(d, dirty.key);
		if (!there)
			delete_service(d, dirty.key, now_ms);
		else if (put_service(d, &s, now_ms) != 0)
			d->adopting = true;
	}
	cluster_clean(d->cluster);
}

static void say_node_missing(struct daemon *d)
{
	bool missing = cluster_node(d->cluster, d->node) == NULL;

	if (missing && !d->node_missing_said)
		log_error("lbd",
			"there is no Node object of this name: nothing is announced until there is "
			"(see --node-name)",
			"node", d->node, NULL);
	d->node_missing_said = missing;
}

/* Returns whether all was built anew. */
static bool take_environment(struct daemon *d, uint64_t now_ms)
{
	bool all;

	if (d->nodes_generation != cluster_nodes_generation(d->cluster)) {
		d->nodes_generation = cluster_nodes_generation(d->cluster);
		elect_set_input(d->elect, &d->elig_input, now_ms);
		snapfile_mark(d);
		say_node_missing(d);
	}
	if (d->retired_generation != retired_generation(d->retired)) {
		d->retired_generation = retired_generation(d->retired);
		d->rebuild = true;
		wire_sync(d, now_ms);
		reload_candidacy(d, now_ms);
	}
	all = d->rebuild;
	if (all) {
		d->rebuild = vip_rebuild(d->vips, d->conf, d->cluster) != 0;
		elect_set_input(d->elect, &d->elig_input, now_ms);
	}
	return all;
}

/* Watches that live, and yet our own renewals do not come back: after a restore of the API's store
 * its versions begin lower, and a watch from what is now the future is silent, not refused. */
static void doubt_watches(struct daemon *d, uint64_t now_ms)
{
	if (!d->synced || !elect_watch_lags(d->elect, now_ms)) {
		d->doubt_ms = 0;
	} else if (d->doubt_ms == 0) {
		d->doubt_ms = now_ms;
	} else if (now_ms >= d->doubt_ms + DAEMON_DOUBT_MS) {
		log_warn("kube",
			"renewals do not come back through the watch: listing everything anew",
			NULL);
		d->doubt_ms = now_ms + DAEMON_DOUBT_AGAIN_MS;
		feed_relist(d);
	}
}

void pass_run(struct daemon *d, uint64_t now_ms)
{
	hand_run(d, now_ms);
	crdwatch_run(d, now_ms);
	secret_run(d, now_ms);
	snapfile_use(d, now_ms);
	mesh_run(d);
	if (daemon_may_act(d)) {
		bool all;

		if (d->dry != NULL)
			dry_renew(d);
		if (d->adopting && d->services_listed)
			adopt(d, now_ms);
		take_services(d, now_ms);
		mesh_breathe(d);
		alloc_namespaces_changed(d->alloc, now_ms);
		all = take_environment(d, now_ms);
		hand_heed_cordon(d, now_ms);
		mesh_breathe(d);
		elect_pass(d->elect, now_ms);
		mesh_breathe(d);
		tell_groups(d);
		update_plan(d, all);
		apply_plan(d, now_ms);
		mesh_breathe(d);
		speaker_run(d, all, now_ms);
		if (d->dry != NULL)
			dry_announce(d, now_ms);
		announce_events(d, now_ms);
		conflict_events(d, now_ms);
		announced_touch_groups(d->announced, all, now_ms);
		vip_clean(d->vips);
		elect_clean(d->elect);
		plan_clean(d->plan);
	}
	bound_run(d, now_ms);
	watch_leadership(d, now_ms);
	doubt_watches(d, now_ms);
	mesh_breathe(d);
	wire_tick(d, now_ms);
	mesh_flush(d);
	writer_results(d, now_ms);
	mesh_breathe(d);
	writer_run(d, now_ms);
	announced_run(d->announced, now_ms);
	snapfile_run(d, now_ms);
	scrape_run(d);
}
