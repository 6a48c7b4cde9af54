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
#include "announced.h"
#include "clock.h"
#include "confine.h"
#include "dry.h"
#include "json.h"
#include "log.h"
#include "nodename.h"
#include "reason.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { MIN_STALL_MS = 20, RELEASE_MS = 2000, RETRY_MS = 1000, FIRST_FREE_PORT = 1024 };
enum { DUMP_APART = 200 }; /* Services and addresses: some milliseconds' work */

uint64_t daemon_now_ms(void)
{
	return clock_now_ms();
}

void daemon_mark(struct daemon *d)
{
	d->dirty = true;
}

/* How late the loop may be before what waits in the rings is stale and ownership must be asked for
 * anew (OWNERSHIP R24): others take over a detection time after our last packet, and the timer that
 * was missed was at most one interval away then. */
static uint64_t stall_ms(const struct daemon *d)
{
	const struct config_elections *e = &d->conf->elections;
	uint64_t ms = e->bfd_interval_ms * (e->bfd_multiplier - 1);

	return ms > MIN_STALL_MS ? ms : MIN_STALL_MS;
}

bool daemon_stalled(struct daemon *d, uint64_t late_ms)
{
	uint64_t now_ms = daemon_now_ms();
	uint64_t since_ms = d->fenced_ms != 0 ? now_ms - d->fenced_ms : TIME_NEVER;
	char late[24];

	if (late_ms < stall_ms(d))
		return false;
	d->armed_ms = TIME_NEVER;
	if (since_ms < stall_ms(d)) /* the same stall, seen by another timer */
		return since_ms < MIN_STALL_MS;
	d->fenced_ms = now_ms;
	log_warn("lbd", "the event loop was stopped or starved: asking for every address again",
		"ms", log_number((int64_t)late_ms, late), NULL);
	counter_inc(&d->counters, COUNTER_LOOP_STALLS);
	(void)net_drop_queued(d->net);
	elect_fence(d->elect, now_ms);
	daemon_mark(d);
	return true;
}

/* For every entry into the daemon from the loop.  A wake-up long after an armed timer means that
 * the process was stopped, starved or suspended: then nothing that waited may be answered before
 * ownership was asked for again.  False: it was so. */
bool daemon_wake(struct daemon *d, uint64_t *ret_now_ms)
{
	uint64_t now_ms = daemon_now_ms(), late_ms = mesh_late_ms(d);

	*ret_now_ms = now_ms;
	if (now_ms > d->armed_ms && now_ms - d->armed_ms > late_ms)
		late_ms = now_ms - d->armed_ms;
	return !daemon_stalled(d, late_ms);
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

void daemon_node_event(struct daemon *d, enum event_type type, const char *reason,
	const char *message, uint64_t now_ms)
{
	const struct event_object o = {
		.api_version = "v1", .kind = "Node", .name = d->node, .uid = d->node};

	daemon_event(d, &o, type, reason, message, now_ms);
}

static void service_event(struct daemon *d, const char *key, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms)
{
	struct cluster_service s;

	if (!cluster_service(d->cluster, key, &s))
		return;
	daemon_event(d,
		&(struct event_object){.api_version = "v1",
			.kind = "Service",
			.namespace_ = s.namespace_,
			.name = s.name,
			.uid = s.uid,
			.resource_version = s.resource_version},
		type, reason, message, now_ms);
}

void daemon_vip_event(struct daemon *d, struct addr vip, enum event_type type, const char *reason,
	const char *message, uint64_t now_ms)
{
	const struct vip *v = vip_find(d->vips, vip);

	for (size_t i = 0; v != NULL && i < v->n_holders; i++)
		if (!vip_holder(v, i).doubled)
			service_event(d, vip_holder(v, i).key, type, reason, message, now_ms);
}

void daemon_announced(struct daemon *d, const struct addr *v, size_t n, const char *protocol,
	uint64_t now_ms)
{
	char msg[CONFIG_MAX_NAME + 128], text[ADDR_STRLEN];

	if (n > DAEMON_EVENTS_A_PASS) {
		(void)snprintf(msg, sizeof msg,
			"announcing %zu more addresses with protocol \"%s\"", n, protocol);
		daemon_node_event(d, EVENT_NORMAL, "nodeAssigned", msg, now_ms);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(msg, sizeof msg,
			"announcing %s from node \"%s\" with protocol \"%s\"",
			addr_format(v[i], text), d->node, protocol);
		daemon_vip_event(d, v[i], EVENT_NORMAL, "nodeAssigned", msg, now_ms);
	}
}

/* -- the loop -- */

static void on_timer(uv_timer_t *t)
{
	struct daemon *d = t->data;
	uint64_t now_ms;

	(void)daemon_wake(d, &now_ms);
	daemon_mark(d);
}

static void arm(struct daemon *d, uint64_t now_ms)
{
	uint64_t next_ms = time_min(wire_next_deadline(d), writer_next_deadline(d));

	next_ms = time_min(next_ms, mesh_next_deadline(d));
	next_ms = time_min(next_ms, crdwatch_next_deadline(d));
	next_ms = time_min(next_ms, secret_next_deadline(d));
	next_ms = time_min(next_ms, bound_next_deadline(d));
	next_ms = time_min(next_ms, speaker_next_deadline(d));
	next_ms = time_min(next_ms, snapfile_next_deadline(d));
	next_ms = time_min(next_ms, notify_next_deadline(&d->notify));
	next_ms = time_min(next_ms, level_next_deadline(&d->level));
	if (daemon_may_act(d))
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

/* A pass was made. */
static void tell_manager(struct daemon *d, uint64_t now_ms)
{
	char sentence[NOTIFY_MAX_STATUS] = "";

	if (d->phase == DAEMON_RUNNING)
		status_sentence(d, now_ms, sentence, sizeof sentence);
	notify_run(&d->notify, d->phase == DAEMON_RUNNING ? sentence : d->notify.said, now_ms);
}

/* Runs before the loop waits: whatever the callbacks of this turn marked is acted upon once. */
static void on_prepare(uv_prepare_t *p)
{
	struct daemon *d = p->data;
	uint64_t now_ms;

	(void)daemon_wake(d, &now_ms);
	rt_run(&d->rt, now_ms);
	if (!d->dirty || d->phase == DAEMON_CLOSING)
		return;
	d->dirty = false;
	pass_run(d, now_ms);
	step_phase(d, now_ms);
	tell_manager(d, now_ms);
	if (d->phase != DAEMON_CLOSING)
		arm(d, now_ms);
}

/* -- signals and the way out -- */

static void begin_drain(struct daemon *d)
{
	uint64_t now_ms = daemon_now_ms();

	notify_stopping(&d->notify);
	if (d->phase != DAEMON_RUNNING) { /* a second signal: at once */
		d->phase_until_ms = now_ms;
		daemon_mark(d);
		return;
	}
	if (d->dry != NULL) { /* there is nothing to give back */
		d->phase = DAEMON_RELEASING;
		d->phase_until_ms = now_ms;
		daemon_mark(d);
		return;
	}
	log_info("lbd", "stopping: offering the addresses to the other nodes", NULL);
	d->phase = DAEMON_DRAINING;
	d->phase_until_ms = now_ms + DAEMON_DRAIN_MS;
	elect_drain(d->elect, REASON_TEXT_STOPPING, d->phase_until_ms, now_ms);
	mesh_set_leaving(d, true);
	speaker_set_leaving(d, true, false, now_ms);
	daemon_mark(d);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct daemon *d = s->data;

	if (signum != SIGHUP) {
		begin_drain(d);
		return;
	}
	notify_reloading(&d->notify);
	reload_again(d);
	daemon_mark(d);
}

static void close_all(struct daemon *d);

static void step_phase(struct daemon *d, uint64_t now_ms)
{
	bool quiet = d->leases_in_flight == 0 && d->status_in_flight == 0 &&
		     d->events_in_flight == 0 && !bound_is_busy(d);

	if (d->phase == DAEMON_DRAINING &&
		((elect_drained(d->elect, now_ms) && speaker_has_left(d)) ||
			now_ms >= d->phase_until_ms) &&
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
	feed_stop(d);
	kube_close(d->kube, on_part_closed, d);
	net_close(d->net);
	speaker_stop(d);
	mesh_stop(d);
	bound_close(d);
	snapfile_close(d);
	scrape_stop(d);
	control_close(d->control, on_part_closed, d);
	file_watch_close(d->conf_watch);
	uv_close((uv_handle_t *)&d->prepare, NULL);
	uv_close((uv_handle_t *)&d->timer, NULL);
	uv_close((uv_handle_t *)&d->sigterm, NULL);
	uv_close((uv_handle_t *)&d->sigint, NULL);
	uv_close((uv_handle_t *)&d->sighup, NULL);
}

/* The whole state of a large cluster takes longer than others wait for a sign of life (R24). */
static bool takes_long(void *ctx, const cJSON *request)
{
	const struct daemon *d = ctx;
	const char *command = json_string(request, "command");

	net_count_drops(d->net);
	return command != NULL && strcmp(command, "dump") == 0 &&
	       vip_count(d->vips) + cluster_count(d->cluster, CLUSTER_SERVICE) > DUMP_APART;
}

static cJSON *on_request(void *ctx, const cJSON *request)
{
	struct daemon *d = ctx;
	const char *command = json_string(request, "command");
	cJSON *answer;

	if (command != NULL && strcmp(command, "dump") == 0)
		return status_dump(d, daemon_now_ms());
	if (command != NULL && strcmp(command, "explain") == 0)
		return explain_answer(d, request, daemon_now_ms());
	if (command != NULL && hand_is_command(command))
		return hand_answer(d, command, request, daemon_now_ms());
	answer = cJSON_CreateObject();
	if (command != NULL && strcmp(command, "look") == 0)
		wire_look(d, daemon_now_ms());
	else
		(void)cJSON_AddStringToObject(answer, "error", "unknown command");
	return answer;
}

static const struct control_ops control_ops = {takes_long, on_request};

/* -- start -- */

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
	char identity[CONFIG_MAX_NAME + 128], candidate[CONFIG_MAX_NAME + 32] = "";
	struct elect_conf ec = {.node = d->node, .identity = identity, .version = d->version};
	struct leader_conf lc = reload_leader_conf(d, candidate);

	make_identity(d, identity, sizeof identity);
	(void)snprintf(candidate, sizeof candidate, "%s_%016" PRIx64, d->node, rng_next(&d->rng));
	d->cluster = cluster_new(&d->hkey, &d->counters);
	d->retired = retired_new(&d->hkey);
	d->vips = vip_new(&d->hkey);
	d->elect = elect_new(&ec, &wire_elect_ops, d, &d->hkey, &d->rng, &d->counters);
	d->leader = leader_new(&lc, &d->rng, &d->counters);
	d->plan = plan_new(&d->hkey);
	d->alloc = alloc_new(&d->hkey, &d->counters);
	d->nodelb = d->cluster != NULL ? nodelb_new(&d->hkey, d->cluster) : NULL;
	d->events = event_new(&d->hkey, &d->counters);
	d->announced = announced_new(d);
	d->dry = d->opt->dry_run ? dry_new(&d->hkey) : NULL;
	d->bind = d->opt->dry_run ? NULL : bind_new(&d->hkey);
	if (d->opt->dry_run ? d->dry == NULL : d->bind == NULL)
		return -ENOMEM;
	if (d->cluster == NULL || d->retired == NULL || d->vips == NULL || d->elect == NULL ||
		d->leader == NULL || d->plan == NULL || d->alloc == NULL || d->nodelb == NULL ||
		d->events == NULL || d->announced == NULL || wire_open(d) != 0)
		return -ENOMEM;
	keep_start(d);
	wire_set_reannounce(d, d->conf->elections.reannounce_ms, daemon_now_ms());
	reload_candidacy(d, daemon_now_ms());
	nodelb_configure(d->nodelb, d->conf);
	reload_say_servicelb(d);
	return alloc_configure(d->alloc, d->conf, daemon_now_ms());
}

static void free_units(struct daemon *d)
{
	dry_free(d->dry);
	wire_free(d);
	bind_free(d->bind);
	contest_reset(d);
	announced_free(d->announced);
	event_free(d->events);
	nodelb_free(d->nodelb);
	alloc_free(d->alloc);
	plan_free(d->plan);
	leader_free(d->leader);
	elect_free(d->elect);
	vip_free(d->vips);
	retired_free(d->retired);
	cluster_free(d->cluster);
}

static void on_conf_changed(void *ctx)
{
	reload_again(ctx);
}

static int open_net(struct daemon *d)
{
	int err = net_open(&d->loop, &wire_net_ops, d, &d->counters, &d->net);

	if (err != 0) {
		log_error("net", "the kernel's interfaces cannot be read", "err", strerror(-err),
			NULL);
		return err;
	}
	if (d->opt->dry_run)
		net_set_passive(d->net);
	d->elig_input = (struct elig_input){.conf = d->conf,
		.cluster = d->cluster,
		.vips = d->vips,
		.ifaces = net_ifaces(d->net),
		.node = d->node};
	elect_set_input(d->elect, &d->elig_input, daemon_now_ms());
	err = mesh_start(d);
	if (err != 0)
		log_error("bfd", "not started", "err", strerror(-err), NULL);
	mesh_sync(d);
	if (err == 0)
		err = speaker_start(d);
	return err != 0 ? err : bound_open(d);
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
	if (d->dry != NULL)
		kube_set_read_only(d->kube);
	kube_set_node(d->kube, d->node);
	feed_follow_leases(d);
	err = snapfile_open(d);
	if (err != 0)
		return err;
	log_info("kube", "connecting", "to", kube_where_text(d->kube), "node", d->node, NULL);
	feed_start(d);
	return d->conf->from_cluster ? crdwatch_set_file(d, d->conf_text, d->conf_len) : 0;
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
		&d->loop, d->opt->control_path, &control_ops, d, &d->counters, &d->control);
	if (err != 0) {
		log_error("lbd",
			d->dry != NULL ? "control socket not opened: beside another lbd a dry run "
					 "wants a --control of its own"
				       : "control socket not opened (is another lbd running?)",
			"path", d->opt->control_path, "err", strerror(-err), NULL);
		return err;
	}
	err = open_net(d);
	if (err == 0)
		err = open_kube(d);
	if (err == 0)
		err = scrape_start(d);
	if (err == 0 && (d->conf_watch = file_watch_new(
				 &d->loop, d->opt->config_path, on_conf_changed, d)) == NULL)
		err = -ENOMEM;
	return err;
}

/* -- what the process may -- */

/* Ports below 1024: BGP's, once a peer is passive, and metrics', if it is one.  What the API's
 * objects will want is not known yet. */
static bool may_listen_low(const struct config *c)
{
	bool any = c->from_cluster || (c->metrics_port > 0 && c->metrics_port < FIRST_FREE_PORT);

	for (size_t i = 0; i < c->n_peers && !any; i++)
		any = c->peers[i].passive;
	return any;
}

static void drop_capabilities(const struct daemon *d)
{
	int err = confine_capabilities(confine_needed(may_listen_low(d->conf), rt_wants_right()));

	if (err != 0)
		log_warn("lbd", "capabilities that are not needed stay", "err", strerror(-err),
			NULL);
}

static void confine(void)
{
	int err = confine_calls();

	if (err != 0)
		log_warn("lbd", "this kernel has no filter for system calls: all are allowed",
			"err", strerror(-err), NULL);
}

/* Everything up to the first turn of the loop.  0, or the exit code. */
static int start(struct daemon *d)
{
	uint64_t seed[3];

	REQUIRE(getrandom(seed, sizeof seed, 0) == (ssize_t)sizeof seed);
	d->rng.state = seed[0];
	d->hkey = (struct hash_key){seed[1], seed[2]};
	d->started_ms = d->conf_loaded_ms = d->synced_ms = daemon_now_ms();
	d->armed_ms = TIME_NEVER;
	(void)snprintf(d->version, sizeof d->version, "%s", LBD_VERSION);
	if (reload_read(d, &d->conf) != 0)
		return 1;
	reload_log_level(d);
	drop_capabilities(d);
	(void)nodename_choose(d->opt->node_name, d->conf->node_name, d->node);
	if (make_units(d) != 0) {
		log_error("lbd", "out of memory", NULL);
		return 1;
	}
	open_loop(d);
	if (open_parts(d) != 0)
		return 1;
	if (d->dry != NULL)
		log_info("lbd", "a dry run: nothing is written, nothing is announced", NULL);
	else
		rt_start(&d->rt);
	/* Whoever waits for lbd need not wait for the kernel's capture rings, each of which takes it
	 * 10 ms (a grace period of RCU). */
	tell_manager(d, daemon_now_ms());
	wire_sync(d, daemon_now_ms());
	daemon_mark(d);
	return 0;
}

int daemon_run(const struct daemon_options *opt)
{
	struct daemon *d = calloc(1, sizeof *d);
	int code = 1;

	REQUIRE(d != NULL);
	d->opt = opt;
	contest_init(d);
	confine();
	REQUIRE(uv_loop_init(&d->loop) == 0);
	(void)signal(SIGPIPE, SIG_IGN);
	notify_open(&d->notify);
	code = start(d);
	if (code != 0 && d->prepare.data != NULL)
		close_all(d);
	(void)uv_run(&d->loop, UV_RUN_DEFAULT);
	REQUIRE(uv_loop_close(&d->loop) == 0);
	notify_close(&d->notify);
	free_units(d);
	config_free(d->conf);
	free(d->conf_text);
	free(d);
	return code;
}
