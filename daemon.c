/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon.c - `lbd run`: owns every unit and the loop, and turns events into passes.
 *
 * Handlers only update state and mark; before the loop waits again one pass derives the plan and
 * applies the difference (DESIGN section 1.2): no handler announces or writes.
 *
 * Flow: kube -> cluster -> vip -> elect -> plan -> arp, and on the leader cluster -> alloc ->
 * writer.
 */
#include "daemon.h"
#include "json.h"
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { MIN_STALL_MS = 100, RELEASE_MS = 2000, RETRY_MS = 1000 };

uint64_t daemon_now_ms(void)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_BOOTTIME, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void daemon_mark(struct daemon *d)
{
	d->dirty = true;
}

/* How late a timer may be before what waits in the rings is stale and ownership must be asked for
 * anew: BFD's detection time (OWNERSHIP R24). */
static uint64_t stall_ms(const struct daemon *d)
{
	uint64_t ms = d->conf->elections.bfd_interval_ms * d->conf->elections.bfd_multiplier;

	return ms > MIN_STALL_MS ? ms : MIN_STALL_MS;
}

/* For every entry into the daemon from the loop.  A wake-up long after the armed timer means that
 * the process was stopped, starved or suspended: then nothing that waited may be answered before
 * ownership was asked for again.  False: it was so. */
static bool wake(struct daemon *d, uint64_t *ret_now_ms)
{
	uint64_t now_ms = daemon_now_ms();
	char late[24];

	*ret_now_ms = now_ms;
	if (now_ms < d->armed_ms || now_ms - d->armed_ms < stall_ms(d))
		return true;
	log_warn("lbd", "the event loop was stopped or starved: asking for every address again",
		"ms", log_number((int64_t)(now_ms - d->armed_ms), late), NULL);
	counter_inc(&d->counters, COUNTER_LOOP_STALLS);
	d->armed_ms = TIME_NEVER;
	(void)net_drop_queued(d->net);
	elect_fence(d->elect, now_ms);
	daemon_mark(d);
	return false;
}

void daemon_event(struct daemon *d, const struct event_object *o, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms)
{
	struct daemon_recent *r = &d->recent[d->n_recent++ % DAEMON_RECENT_EVENTS];

	r->at_ms = now_ms;
	r->type = type;
	(void)snprintf(r->reason, sizeof r->reason, "%s", reason);
	(void)snprintf(r->object, sizeof r->object, "%s/%s", o->kind, o->name);
	(void)snprintf(r->message, sizeof r->message, "%s", message != NULL ? message : "");
	if (!d->opt->dry_run && message != NULL)
		event_add(d->events, o, type, reason, message, now_ms);
}

/* -- Events about announcing -- */

static void service_event(struct daemon *d, const char *key, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms)
{
	const struct cluster_service *s = cluster_service(d->cluster, key);

	if (s == NULL)
		return;
	daemon_event(d,
		&(struct event_object){.api_version = "v1",
			.kind = "Service",
			.namespace_ = s->namespace_,
			.name = s->name,
			.uid = s->uid,
			.resource_version = s->resource_version},
		type, reason, message, now_ms);
}

static void node_event(struct daemon *d, enum event_type type, const char *reason,
	const char *message, uint64_t now_ms)
{
	const struct event_object o = {
		.api_version = "v1", .kind = "Node", .name = d->node, .uid = d->node};

	daemon_event(d, &o, type, reason, message, now_ms);
}

/* Is this change the first path of its VIP to be announced? Then it is news for the VIP's Services.
 */
static bool starts_announcing(const struct plan_change *c)
{
	return c->is != NULL && c->is->announced && (c->was == NULL || !c->was->announced);
}

static void announce_events(struct daemon *d, uint64_t now_ms)
{
	char msg[CONFIG_MAX_NAME + 128], text[ADDR_STRLEN];
	size_t n = 0;

	for (size_t i = 0; i < plan_change_count(d->plan); i++) {
		struct plan_change c = plan_change_at(d->plan, i);

		n += starts_announcing(&c);
	}
	if (n > DAEMON_EVENTS_A_PASS) {
		(void)snprintf(msg, sizeof msg,
			"announcing %zu more addresses with protocol \"layer2\"", n);
		node_event(d, EVENT_NORMAL, "nodeAssigned", msg, now_ms);
		return;
	}
	for (size_t i = 0; i < plan_change_count(d->plan); i++) {
		struct plan_change c = plan_change_at(d->plan, i);
		const struct vip *v = c.is != NULL ? vip_find(d->vips, c.is->vip) : NULL;

		if (!starts_announcing(&c) || v == NULL)
			continue;
		(void)snprintf(msg, sizeof msg,
			"announcing %s from node \"%s\" with protocol \"layer2\"",
			addr_format(v->addr, text), d->node);
		for (size_t h = 0; h < v->n_holders; h++)
			if (!v->holders[h].doubled)
				service_event(d, v->holders[h].key, EVENT_NORMAL, "nodeAssigned",
					msg, now_ms);
	}
}

/* -- plan -> ARP -- */

static void apply_change(struct daemon *d, const struct plan_change *c, uint64_t now_ms)
{
	const struct plan_entry *e = c->is != NULL ? c->is : c->was;
	const struct iface *i = iface_get(net_ifaces(d->net), e->ifindex);
	bool on = c->is != NULL && c->is->announced;
	bool was_on = c->was != NULL && c->was->announced;
	char text[ADDR_STRLEN];
	int err = 0;

	if (on)
		err = arp_add(d->arp, e->ifindex, e->vip, now_ms);
	else
		arp_del(d->arp, e->ifindex, e->vip);
	if (err != 0)
		log_error("arp", "not announced", "ip", addr_format(e->vip, text), "err",
			strerror(-err), NULL);
	else if (on != was_on)
		log_info("arp", on ? "announcing" : "no longer announcing", "ip",
			addr_format(e->vip, text), "iface", i != NULL ? i->name : "", "reason",
			reason_code(c->is != NULL ? c->is->reason : REASON_NO_IP), NULL);
	if (err == -ENOMEM)
		d->rebuild = true;
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
}

/* -- the pass -- */

static void adopt(struct daemon *d, uint64_t now_ms)
{
	const struct cluster_service *s = NULL;

	alloc_begin(d->alloc);
	while ((s = cluster_next_service(d->cluster, s)) != NULL)
		if (alloc_put(d->alloc, s, now_ms) != 0)
			return; /* out of memory: adopting stays, and is tried again with the next
				   list */
	alloc_adopted(d->alloc, now_ms);
	d->adopting = false;
}

static void watch_leadership(struct daemon *d, uint64_t now_ms)
{
	bool is = leader_is_leader(d->leader, now_ms);

	if (is == d->was_leader)
		return;
	d->was_leader = is;
	if (is) {
		log_info("leader", "this node allocates addresses now", "node", d->node, NULL);
		d->adopting = true;
		d->services_listed = false;
		alloc_begin(d->alloc);
		kube_relist(
			d->watch[WATCH_SERVICES]
				.w); /* consistently, before the first write (DESIGN section 3) */
	} else {
		log_warn("leader", "this node no longer allocates addresses", "holder",
			leader_holder(d->leader), NULL);
		d->adopting = false;
		kube_abort_deadlined(d->kube);
		alloc_begin(d->alloc);
	}
}

static void take_services(struct daemon *d, uint64_t now_ms)
{
	bool allocate = d->was_leader && alloc_is_ready(d->alloc);

	for (size_t i = 0; i < cluster_dirty_count(d->cluster); i++) {
		struct cluster_dirty s = cluster_dirty_at(d->cluster, i);
		int err = d->rebuild ? 0 : vip_update(d->vips, d->conf, d->cluster, s.key);

		if (err == -ENOMEM)
			d->rebuild = true;
		if (allocate && s.service == NULL)
			alloc_delete(d->alloc, s.key, now_ms);
		else if (allocate && alloc_put(d->alloc, s.service, now_ms) != 0)
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

static void take_environment(struct daemon *d, uint64_t now_ms)
{
	if (d->nodes_generation != cluster_nodes_generation(d->cluster)) {
		d->nodes_generation = cluster_nodes_generation(d->cluster);
		elect_set_input(d->elect, &d->elig_input, now_ms);
		say_node_missing(d);
	}
	if (d->rebuild) {
		d->rebuild = vip_rebuild(d->vips, d->conf, d->cluster) != 0;
		elect_set_input(d->elect, &d->elig_input, now_ms);
	}
}

static void run_pass(struct daemon *d, uint64_t now_ms)
{
	bool all = d->rebuild;

	if (d->synced_once) {
		if (d->adopting && d->services_listed)
			adopt(d, now_ms);
		take_services(d, now_ms);
		take_environment(d, now_ms);
		elect_pass(d->elect, now_ms);
		update_plan(d, all);
		for (size_t i = 0; i < plan_change_count(d->plan); i++) {
			struct plan_change c = plan_change_at(d->plan, i);

			apply_change(d, &c, now_ms);
		}
		announce_events(d, now_ms);
		vip_clean(d->vips);
		elect_clean(d->elect);
		plan_clean(d->plan);
	}
	watch_leadership(d, now_ms);
	arp_tick(d->arp, now_ms);
	writer_results(d, now_ms);
	writer_run(d, now_ms);
}

static void on_timer(uv_timer_t *t)
{
	struct daemon *d = t->data;
	uint64_t now_ms;

	(void)wake(d, &now_ms);
	daemon_mark(d);
}

static void arm(struct daemon *d, uint64_t now_ms)
{
	uint64_t next_ms = time_min(arp_next_deadline(d->arp), writer_next_deadline(d));

	if (d->synced_once)
		next_ms = time_min(next_ms, elect_next_deadline(d->elect));
	if (d->phase != DAEMON_RUNNING)
		next_ms = time_min(next_ms, d->phase_until_ms);
	if (d->rebuild || d->adopting)
		next_ms = time_min(next_ms, now_ms + RETRY_MS);
	if (next_ms < now_ms)
		next_ms = now_ms;
	d->armed_ms = next_ms;
	if (next_ms == TIME_NEVER)
		uv_timer_stop(&d->timer);
	else
		uv_timer_start(&d->timer, on_timer, next_ms - now_ms, 0);
}

static void step_phase(struct daemon *d, uint64_t now_ms);

/* Runs before the loop waits: whatever the callbacks of this turn marked is acted upon once. */
static void on_prepare(uv_prepare_t *p)
{
	struct daemon *d = p->data;
	uint64_t now_ms;

	(void)wake(d, &now_ms);
	if (!d->dirty || d->phase == DAEMON_CLOSING)
		return;
	d->dirty = false;
	run_pass(d, now_ms);
	step_phase(d, now_ms);
	if (d->phase != DAEMON_CLOSING)
		arm(d, now_ms);
}

/* -- from the API -- */

static void on_lease(void *ctx, const struct cluster_lease *l, bool deleted)
{
	struct daemon *d = ctx;
	uint64_t now_ms = daemon_now_ms();

	if (l->role == CLUSTER_LEASE_LEADER)
		leader_on_lease(d->leader, deleted ? NULL : l, now_ms);
	else
		elect_on_lease(d->elect, l, deleted, now_ms);
}

static bool endpoints_synced(const struct daemon *d)
{
	for (size_t i = 0; i < ENDPOINTS_WAYS; i++)
		if (d->watch[WATCH_ENDPOINTS + i].synced)
			return true;
	return false;
}

static void update_synced(struct daemon *d)
{
	bool synced = d->watch[WATCH_SERVICES].synced && d->watch[WATCH_NODES].synced &&
		      d->watch[WATCH_LEASES].synced && endpoints_synced(d);
	uint64_t now_ms = daemon_now_ms();

	leader_on_synced(d->leader, d->watch[WATCH_LEASES].synced, now_ms);
	elect_on_synced(d->elect, synced, now_ms);
	if (synced != d->synced)
		log_info("kube",
			synced ? "in step with the API"
			       : "out of step with the API: announcing goes on as it was",
			NULL);
	d->synced = synced;
	if (synced && !d->synced_once) {
		d->synced_once = true;
		d->rebuild = true;
	}
	daemon_mark(d);
}

static void on_list_begin(void *ctx)
{
	struct daemon_watch *w = ctx;

	cluster_list_begin(w->d->cluster, w->kind);
}

static void on_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	struct daemon_watch *w = ctx;
	int err = cluster_apply(
		w->d->cluster, w->kind, event == WATCH_DELETED ? CLUSTER_DELETE : CLUSTER_PUT, obj);

	if (err != 0)
		log_warn("kube", "object not understood", "name",
			json_string(json_object(obj, "metadata"), "name"), "err", strerror(-err),
			NULL);
	daemon_mark(w->d);
}

static void on_list_end(void *ctx, bool complete)
{
	struct daemon_watch *w = ctx;

	if (!complete) {
		cluster_list_abort(w->d->cluster, w->kind);
		return;
	}
	cluster_list_end(w->d->cluster, w->kind);
	if (w->id == WATCH_SERVICES)
		w->d->services_listed = true;
	daemon_mark(w->d);
}

static void start_watch(struct daemon *d, enum daemon_watch_id id);
static void stop_watch(struct daemon *d, enum daemon_watch_id id);

/* A better way to list endpoints works: the others are not needed any more. */
static void settle_endpoints(struct daemon *d, const struct daemon_watch *best)
{
	for (unsigned id = best->id + 1u; id < DAEMON_WATCHES; id++) {
		if (d->watch[id].w == NULL)
			continue;
		if (d->watch[id].kind != best->kind)
			cluster_forget(d->cluster, d->watch[id].kind);
		stop_watch(d, (enum daemon_watch_id)id);
	}
}

static void on_synced(void *ctx, bool synced)
{
	struct daemon_watch *w = ctx;

	w->synced = synced;
	if (synced && w->id >= WATCH_ENDPOINTS)
		settle_endpoints(w->d, w);
	update_synced(w->d);
}

static void on_missing(void *ctx)
{
	struct daemon_watch *w = ctx;

	if (w->id >= WATCH_ENDPOINTS && w->id + 1u < DAEMON_WATCHES &&
		w->d->watch[w->id + 1u].w == NULL)
		start_watch(w->d, (enum daemon_watch_id)(w->id + 1u));
}

static const struct kube_watch_ops watch_ops = {
	on_list_begin, on_object, on_list_end, on_synced, on_missing};

static void start_watch(struct daemon *d, enum daemon_watch_id id)
{
	static const struct {
		enum cluster_kind kind;
		const char *path;
	} what[DAEMON_WATCHES] = {
		[WATCH_SERVICES] = {CLUSTER_SERVICE, "/api/v1/services"},
		[WATCH_NODES] = {CLUSTER_NODE, "/api/v1/nodes"},
		[WATCH_LEASES] = {CLUSTER_LEASE,
			"/apis/coordination.k8s.io/v1/namespaces/%s/leases"},
		[WATCH_ENDPOINTS + ENDPOINTS_SLICE_V1] = {CLUSTER_ENDPOINT_SLICE,
			"/apis/discovery.k8s.io/v1/endpointslices"},
		[WATCH_ENDPOINTS + ENDPOINTS_SLICE_V1BETA1] = {CLUSTER_ENDPOINT_SLICE,
			"/apis/discovery.k8s.io/v1beta1/endpointslices"},
		[WATCH_ENDPOINTS + ENDPOINTS_CORE] = {CLUSTER_ENDPOINTS, "/api/v1/endpoints"},
	};
	struct daemon_watch *w = &d->watch[id];
	struct kube_watch_conf conf = {.path = what[id].path};
	char path[CONFIG_MAX_NAME + 64];

	if (id == WATCH_LEASES) {
		(void)snprintf(path, sizeof path,
			"/apis/coordination.k8s.io/v1/namespaces/%s/leases",
			d->conf->elections.namespace_);
		conf.path = path;
		conf.label_selector = "lbd.io/lease";
	}
	*w = (struct daemon_watch){.d = d, .id = id, .kind = what[id].kind};
	w->w = kube_watch(d->kube, &conf, &watch_ops, w);
	if (w->w == NULL)
		log_error("kube", "out of memory: not watched", "path", conf.path, NULL);
}

static void stop_watch(struct daemon *d, enum daemon_watch_id id)
{
	kube_unwatch(d->watch[id].w);
	d->watch[id].w = NULL;
	d->watch[id].synced = false;
}

/* -- from the wire -- */

static int send_frame(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct daemon *d = ctx;

	return net_send(d->net, ifindex, frame, len);
}

static void on_heard(
	void *ctx, enum arp_heard what, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	struct daemon *d = ctx;

	(void)ifindex;
	switch (what) {
	case ARP_HEARD_CLAIM:
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

static const struct arp_ops arp_ops = {send_frame, on_heard, is_member};

static void on_frame(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct daemon *d = ctx;
	uint64_t now_ms;

	if (wake(d, &now_ms))
		arp_on_frame(d->arp, ifindex, frame, len, now_ms);
}

static bool iface_exists(void *ctx, unsigned ifindex)
{
	const struct daemon *d = ctx;

	return iface_get(net_ifaces(d->net), ifindex) != NULL;
}

/* Tells ARP which interfaces there are, with which MAC; and listens where a VIP could be. */
static void sync_ifaces(struct daemon *d, uint64_t now_ms)
{
	unsigned listen[DAEMON_MAX_LISTEN];
	const struct iface_table *t = net_ifaces(d->net);
	const struct iface *i = NULL;
	struct addr_range *ranges;
	size_t n, n_ranges = 0;

	while ((i = iface_next(t, i)) != NULL)
		if (i->ethernet && arp_set_iface(d->arp, i->ifindex, i->mac, now_ms) != 0)
			d->rebuild = true;
	arp_retain_ifaces(d->arp, iface_exists, d, now_ms);
	n = elig_interfaces(&d->elig_input, listen, DAEMON_MAX_LISTEN);
	for (size_t p = 0; p < d->conf->n_pools; p++)
		n_ranges += d->conf->pools[p].n_ranges;
	ranges = calloc(n_ranges > 0 ? n_ranges : 1, sizeof *ranges);
	n_ranges = 0;
	for (size_t p = 0; ranges != NULL && p < d->conf->n_pools; p++) {
		memcpy(ranges + n_ranges, d->conf->pools[p].ranges,
			d->conf->pools[p].n_ranges * sizeof *ranges);
		n_ranges += d->conf->pools[p].n_ranges;
	}
	if (ranges == NULL || net_listen(d->net, listen, n, ranges, n_ranges) != 0)
		d->rebuild = true;
	free(ranges);
}

static void on_ifaces(void *ctx)
{
	struct daemon *d = ctx;
	uint64_t now_ms = daemon_now_ms();

	if (d->phase == DAEMON_CLOSING)
		return;
	sync_ifaces(d, now_ms);
	elect_set_input(d->elect, &d->elig_input, now_ms);
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
		int err = announce ? arp_announce(d->arp, p->ifindex, p->vip, now_ms)
				   : arp_probe(d->arp, p->ifindex, p->vip);
		char text[ADDR_STRLEN];

		if (err != 0)
			log_debug("arp", announce ? "claim not sent" : "probe not sent", "ip",
				addr_format(p->vip, text), "err", strerror(-err), NULL);
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

static const struct elect_ops elect_ops = {on_probe, on_announce};

/* -- configuration -- */

/* Prints a report's lines through the log, one each. */
static void log_lines(enum log_level level, const struct buf *lines)
{
	const char *p = lines->p;

	while (p != NULL && *p != '\0') {
		const char *end = strchr(p, '\n');
		char line[1024];

		if (end == NULL)
			end = p + strlen(p);
		(void)snprintf(line, sizeof line, "%.*s", (int)(end - p), p);
		log_write(level, "config", line, NULL);
		p = *end != '\0' ? end + 1 : end;
	}
}

/* Reads and parses. 0 with *ret_conf; -EALREADY: the text is what it was; else the errors were
 * logged. */
static int read_conf(struct daemon *d, struct config **ret_conf)
{
	struct config_source src = {.name = d->opt->config_path};
	struct config_report report;
	struct buf text;
	int err;

	buf_init(&text, CONFIG_MAX_BYTES);
	err = file_read(src.name, &text);
	if (err != 0) {
		log_error(
			"config", "cannot be read", "file", src.name, "err", strerror(-err), NULL);
		buf_free(&text);
		return err;
	}
	src.text = text.p != NULL ? text.p : "";
	src.len = text.len;
	if (d->conf_text != NULL && d->conf_len == text.len &&
		memcmp(d->conf_text, src.text, text.len) == 0) {
		buf_free(&text);
		return -EALREADY;
	}
	config_report_init(&report);
	err = config_parse(&src, 1, ret_conf, &report);
	log_lines(LOG_ERROR, &report.errors);
	log_lines(LOG_WARN, &report.warnings);
	config_report_free(&report);
	/* A bad text is remembered too, so that it is reported once and not at each look. */
	free(d->conf_text);
	d->conf_len = text.len;
	d->conf_text = buf_take(&text);
	return err;
}

static void set_log_level(const struct daemon *d)
{
	enum log_level level;

	if (log_level_parse(d->opt->log_level != NULL ? d->opt->log_level : d->conf->log_level,
		    &level) == 0)
		log_set_level(level);
}

static struct leader_conf leader_conf(const struct daemon *d, const char *identity)
{
	return (struct leader_conf){
		.identity = identity,
		.duration_ms = d->conf->elections.leader_duration_ms,
		.renew_deadline_ms = d->conf->elections.leader_renew_deadline_ms,
		.retry_period_ms = d->conf->elections.leader_retry_period_ms,
	};
}

/* Lets every unit work from conf; the old one is freed last, when nobody borrows from it any more.
 */
static int use_conf(struct daemon *d, struct config *conf)
{
	struct config *old = d->conf;
	bool moved = strcmp(old->elections.namespace_, conf->elections.namespace_) != 0;
	uint64_t now_ms = daemon_now_ms();
	struct leader_conf lc;

	if (alloc_configure(d->alloc, conf, now_ms) != 0)
		return -ENOMEM;
	d->conf = conf;
	d->elig_input.conf = conf;
	d->conf_loaded_ms = now_ms;
	lc = leader_conf(d, NULL);
	leader_configure(d->leader, &lc);
	leader_set_candidate(d->leader,
		conf->n_pools > 0 && !d->opt->dry_run && d->phase == DAEMON_RUNNING, now_ms);
	d->rebuild = vip_rebuild(d->vips, conf, d->cluster) != 0;
	elect_set_input(d->elect, &d->elig_input, now_ms);
	d->rebuild = true;
	arp_set_reannounce(d->arp, conf->elections.reannounce_ms, now_ms);
	sync_ifaces(d, now_ms);
	set_log_level(d);
	if (moved) {
		stop_watch(d, WATCH_LEASES);
		start_watch(d, WATCH_LEASES);
		update_synced(d);
	}
	config_free(old);
	return 0;
}

static void reload(struct daemon *d)
{
	struct config *conf = NULL;
	int err = read_conf(d, &conf);

	if (err == -EALREADY || d->phase != DAEMON_RUNNING)
		return;
	if (err == 0)
		err = use_conf(d, conf);
	if (err != 0) {
		config_free(conf);
		counter_inc(&d->counters, COUNTER_CONFIG_REJECTED);
		log_error("config", "new configuration rejected: the old one stays in force",
			"file", d->opt->config_path, NULL);
		node_event(d, EVENT_WARNING, "ConfigRejected",
			"the new configuration was rejected, the old one stays in force: see lbd's "
			"log, or lbd check-config",
			daemon_now_ms());
	} else {
		counter_inc(&d->counters, COUNTER_CONFIG_RELOADS);
		log_info("config", "loaded", "file", d->opt->config_path, "hash", d->conf->hash,
			NULL);
	}
	daemon_mark(d);
}

static void on_conf_changed(void *ctx)
{
	reload(ctx);
}

/* -- signals and the way out -- */

static void begin_drain(struct daemon *d)
{
	uint64_t now_ms = daemon_now_ms();

	if (d->phase != DAEMON_RUNNING) { /* a second signal: at once */
		d->phase_until_ms = now_ms;
		daemon_mark(d);
		return;
	}
	log_info("lbd", "stopping: offering the addresses to the other nodes", NULL);
	d->phase = DAEMON_DRAINING;
	d->phase_until_ms = now_ms + DAEMON_DRAIN_MS;
	elect_drain(d->elect, "shutdown", d->phase_until_ms, now_ms);
	daemon_mark(d);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct daemon *d = s->data;

	if (signum == SIGHUP)
		reload(d);
	else
		begin_drain(d);
}

static void close_all(struct daemon *d);

static void step_phase(struct daemon *d, uint64_t now_ms)
{
	bool quiet =
		d->leases_in_flight == 0 && d->status_in_flight == 0 && d->events_in_flight == 0;

	if (d->phase == DAEMON_DRAINING &&
		(elect_drained(d->elect, now_ms) || now_ms >= d->phase_until_ms) &&
		(d->status_in_flight == 0 || now_ms >= d->phase_until_ms)) {
		d->phase = DAEMON_RELEASING;
		d->phase_until_ms = now_ms + RELEASE_MS;
		kube_abort_deadlined(
			d->kube); /* none may be in flight when the Lease is given back */
		leader_set_candidate(d->leader, false, now_ms);
		leader_release(d->leader, now_ms);
		elect_release(d->elect, now_ms);
		daemon_mark(d);
	} else if (d->phase == DAEMON_RELEASING &&
		   ((leader_released(d->leader) && elect_released(d->elect) && quiet) ||
			   now_ms >= d->phase_until_ms)) {
		close_all(d);
	}
}

static void on_part_closed(void *ctx)
{
	(void)ctx;
}

static void close_all(struct daemon *d)
{
	d->phase = DAEMON_CLOSING;
	for (unsigned i = 0; i < DAEMON_WATCHES; i++)
		if (d->watch[i].w != NULL)
			stop_watch(d, (enum daemon_watch_id)i);
	kube_close(d->kube, on_part_closed, d);
	net_close(d->net);
	control_close(d->control, on_part_closed, d);
	file_watch_close(d->conf_watch);
	uv_close((uv_handle_t *)&d->prepare, NULL);
	uv_close((uv_handle_t *)&d->timer, NULL);
	uv_close((uv_handle_t *)&d->sigterm, NULL);
	uv_close((uv_handle_t *)&d->sigint, NULL);
	uv_close((uv_handle_t *)&d->sighup, NULL);
}

static cJSON *on_request(void *ctx, const cJSON *request)
{
	struct daemon *d = ctx;
	const char *command = json_string(request, "command");
	cJSON *answer;

	counter_inc(&d->counters, COUNTER_CONTROL_REQUESTS);
	net_count_drops(d->net);
	if (command != NULL && strcmp(command, "dump") == 0)
		return status_dump(d, daemon_now_ms());
	answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(answer, "error", "unknown command");
	return answer;
}

/* -- start -- */

/* --node-name, $NODE_NAME, the configuration, the host's name in lower case. */
static void choose_node_name(struct daemon *d)
{
	const char *name = d->opt->node_name;

	if (name == NULL || name[0] == '\0')
		name = getenv("NODE_NAME");
	if (name == NULL || name[0] == '\0')
		name = d->conf->node_name;
	if (name != NULL && name[0] != '\0') {
		(void)snprintf(d->node, sizeof d->node, "%s", name);
		return;
	}
	if (gethostname(d->node, sizeof d->node - 1) != 0)
		d->node[0] = '\0';
	for (char *p = d->node; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* "<node>/<boot id>/<process start>" (INTERFACES): tells two processes of one node apart. */
static void make_identity(const struct daemon *d, char *s, size_t n)
{
	char start[24] = "0";
	struct buf boot, stat;
	const char *p;

	buf_init(&boot, 64);
	buf_init(&stat, 4096);
	if (file_read("/proc/sys/kernel/random/boot_id", &boot) == 0 && boot.len > 0)
		boot.p[boot.len - 1] = '\0';
	if (file_read("/proc/self/stat", &stat) == 0 && (p = strrchr(stat.p, ')')) != NULL) {
		for (int field = 2; field < 22 && p != NULL;
			field++) /* proc(5): starttime is the 22nd */
			p = strchr(p + 1, ' ');
		if (p != NULL)
			(void)snprintf(
				start, sizeof start, "%.*s", (int)strcspn(p + 1, " "), p + 1);
	}
	(void)snprintf(s, n, "%s/%s/%s", d->node, boot.p != NULL ? boot.p : "", start);
	buf_free(&boot);
	buf_free(&stat);
}

static int make_units(struct daemon *d)
{
	char identity[CONFIG_MAX_NAME + 128], candidate[CONFIG_MAX_NAME + 32];
	struct elect_conf ec = {.node = d->node, .identity = identity, .version = d->version};
	struct leader_conf lc = leader_conf(d, candidate);

	make_identity(d, identity, sizeof identity);
	(void)snprintf(candidate, sizeof candidate, "%s_%016" PRIx64, d->node, rng_next(&d->rng));
	d->cluster = cluster_new(&d->hkey, &d->counters);
	d->vips = vip_new(&d->hkey);
	d->elect = elect_new(&ec, &elect_ops, d, &d->hkey, &d->rng, &d->counters);
	d->leader = leader_new(&lc, &d->rng, &d->counters);
	d->plan = plan_new(&d->hkey);
	d->alloc = alloc_new(&d->hkey, &d->counters);
	d->events = event_new(&d->hkey, &d->counters);
	d->arp = arp_new(&arp_ops, d, &d->hkey, &d->counters);
	if (d->cluster == NULL || d->vips == NULL || d->elect == NULL || d->leader == NULL ||
		d->plan == NULL || d->alloc == NULL || d->events == NULL || d->arp == NULL)
		return -ENOMEM;
	cluster_on_lease(d->cluster, on_lease, d);
	arp_set_reannounce(d->arp, d->conf->elections.reannounce_ms, daemon_now_ms());
	leader_set_candidate(d->leader, d->conf->n_pools > 0 && !d->opt->dry_run, daemon_now_ms());
	return alloc_configure(d->alloc, d->conf, daemon_now_ms());
}

static void free_units(struct daemon *d)
{
	arp_free(d->arp);
	event_free(d->events);
	alloc_free(d->alloc);
	plan_free(d->plan);
	leader_free(d->leader);
	elect_free(d->elect);
	vip_free(d->vips);
	cluster_free(d->cluster);
}

static int open_net(struct daemon *d)
{
	static const struct net_ops ops = {on_frame, on_ifaces, on_part_closed};
	int err = net_open(&d->loop, &ops, d, &d->counters, &d->net);

	if (err != 0) {
		log_error("net", "the kernel's interfaces cannot be read", "err", strerror(-err),
			NULL);
		return err;
	}
	d->elig_input = (struct elig_input){.conf = d->conf,
		.cluster = d->cluster,
		.vips = d->vips,
		.ifaces = net_ifaces(d->net),
		.node = d->node};
	elect_set_input(d->elect, &d->elig_input, daemon_now_ms());
	sync_ifaces(d, daemon_now_ms());
	return 0;
}

static int open_kube(struct daemon *d)
{
	char why[512];
	int err = kube_new(&d->loop, &d->opt->where, daemon_now_ms, &d->rng, &d->counters, &d->kube,
		why, sizeof why);

	if (err != 0) {
		log_error("kube", "no way to the API", "err", why, NULL);
		return err;
	}
	kube_set_node(d->kube, d->node);
	log_info("kube", "connecting", "to", kube_where_text(d->kube), "node", d->node, NULL);
	start_watch(d, WATCH_LEASES);
	start_watch(d, WATCH_NODES);
	start_watch(d, WATCH_SERVICES);
	start_watch(d, WATCH_ENDPOINTS);
	return 0;
}

static void open_loop(struct daemon *d)
{
	REQUIRE(uv_prepare_init(&d->loop, &d->prepare) == 0);
	REQUIRE(uv_timer_init(&d->loop, &d->timer) == 0);
	REQUIRE(uv_signal_init(&d->loop, &d->sigterm) == 0);
	REQUIRE(uv_signal_init(&d->loop, &d->sigint) == 0);
	REQUIRE(uv_signal_init(&d->loop, &d->sighup) == 0);
	d->prepare.data = d->timer.data = d->sigterm.data = d->sigint.data = d->sighup.data = d;
	REQUIRE(uv_prepare_start(&d->prepare, on_prepare) == 0);
	REQUIRE(uv_signal_start(&d->sigterm, on_signal, SIGTERM) == 0);
	REQUIRE(uv_signal_start(&d->sigint, on_signal, SIGINT) == 0);
	REQUIRE(uv_signal_start(&d->sighup, on_signal, SIGHUP) == 0);
}

static int open_parts(struct daemon *d)
{
	int err;

	err = control_open(
		&d->loop, d->opt->control_path, on_request, d, &d->counters, &d->control);
	if (err != 0) {
		log_error("lbd", "control socket not opened (is another lbd running?)", "path",
			d->opt->control_path, "err", strerror(-err), NULL);
		return err;
	}
	err = open_net(d);
	if (err == 0)
		err = open_kube(d);
	if (err == 0 && (d->conf_watch = file_watch_new(
				 &d->loop, d->opt->config_path, on_conf_changed, d)) == NULL)
		err = -ENOMEM;
	return err;
}

/* Everything up to the first turn of the loop.  0, or the exit code. */
static int start(struct daemon *d)
{
	uint64_t seed[3];

	REQUIRE(getrandom(seed, sizeof seed, 0) == (ssize_t)sizeof seed);
	d->rng.state = seed[0];
	d->hkey = (struct hash_key){seed[1], seed[2]};
	d->started_ms = d->conf_loaded_ms = daemon_now_ms();
	d->armed_ms = TIME_NEVER;
	(void)snprintf(d->version, sizeof d->version, "%s", LBD_VERSION);
	if (read_conf(d, &d->conf) != 0)
		return 1;
	set_log_level(d);
	choose_node_name(d);
	if (make_units(d) != 0) {
		log_error("lbd", "out of memory", NULL);
		return 1;
	}
	open_loop(d);
	if (open_parts(d) != 0)
		return 1;
	daemon_mark(d);
	return 0;
}

int daemon_run(const struct daemon_options *opt)
{
	struct daemon *d = calloc(1, sizeof *d);
	int code = 1;

	REQUIRE(d != NULL);
	d->opt = opt;
	REQUIRE(uv_loop_init(&d->loop) == 0);
	(void)signal(SIGPIPE, SIG_IGN);
	code = start(d);
	if (code != 0 && d->prepare.data != NULL)
		close_all(d);
	(void)uv_run(&d->loop, UV_RUN_DEFAULT);
	REQUIRE(uv_loop_close(&d->loop) == 0);
	free_units(d);
	config_free(d->conf);
	free(d->conf_text);
	free(d);
	return code;
}
