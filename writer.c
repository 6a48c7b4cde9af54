/* SPDX-License-Identifier: Apache-2.0
 *
 * writer.c - sends what the pure units want written: Leases first, then Service status, then
 * Events.
 *
 * Owns: one small record for each request under way.
 * In:   leader_next_action(), elect_next_action(), alloc_next_write() (in servicelb mode
 *       nodelb_next_write()), event_next_write().
 * Out:  requests through kube.c; each outcome goes back to the unit that asked.
 */
#include "announced.h"
#include "cluster_decode.h"
#include "dry.h"
#include "json.h"
#include "log.h"
#include "object.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum writer_kind {
	WRITE_LEADER,
	WRITE_ELECT,
	WRITE_RETIRED,
	WRITE_STATUS,
	WRITE_NODELB,
	WRITE_EVENT
};

struct writer_call {
	struct daemon *d;
	enum writer_kind kind;
	uint64_t id;                       /* of the unit that asked */
	bool update, create;               /* of an Event's count; of a Lease */
	bool other;                        /* another node's Lease */
	enum cluster_lease_role role;      /* of a Lease */
	char key[2 * CONFIG_MAX_NAME + 2]; /* what is written, for the log */
};

static struct writer_call *call_new(
	struct daemon *d, enum writer_kind kind, uint64_t id, const char *key)
{
	struct writer_call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->d = d;
	c->kind = kind;
	c->id = id;
	(void)snprintf(c->key, sizeof c->key, "%s", key);
	return c;
}

static void log_failure(const struct writer_call *c, const char *what, const struct kube_answer *a)
{
	char status[24];

	if (a->status == 403) /* kube.c says that, once */
		return;
	log_limited(LOG_WARN, "kube", what, "name", c->key, "status", log_number((int64_t)a->status, status),
		"err", a->err, NULL);
}

/* -- Leases -- */

static void lease_told(
	struct writer_call *c, enum lease_outcome outcome, const struct cluster_lease *lease)
{
	uint64_t now_ms = daemon_now_ms();

	if (c->kind == WRITE_LEADER)
		leader_done(c->d->leader, c->id, outcome, lease, now_ms);
	else if (c->kind == WRITE_RETIRED)
		retired_done(c->d->retired, c->id, outcome, lease, now_ms);
	else
		elect_done(c->d->elect, c->id, outcome, lease, now_ms);
}

/* Whether the API takes this node's own Leases: its watches may stand open while it does not. */
static void note_own(const struct writer_call *c, bool taken, const char *why)
{
	struct daemon *d = c->d;

	if (c->other || c->kind == WRITE_RETIRED)
		return;
	if (taken)
		d->mute.since_ms = 0;
	else if (d->mute.since_ms == 0)
		d->mute.since_ms = daemon_now_ms();
	(void)snprintf(d->mute.why, sizeof d->mute.why, "%s", taken ? "" : why);
}

/* What the API says of a Lease of ours must not be older than what it had said. */
static void doubt_lease(
	struct daemon *d, const struct writer_call *c, const struct cluster_lease *l)
{
	if (!c->other && history_goes_back(&d->history, c->role, l->resource_version))
		feed_doubt(d, "a Lease of this node's is older than it was", daemon_now_ms());
}

static void on_lease(void *ctx, const struct kube_answer *a)
{
	struct writer_call *c = ctx;
	enum lease_outcome outcome = kube_lease_outcome(a);
	struct cluster_lease *lease = NULL;

	c->d->leases_in_flight--;
	if (outcome == LEASE_OK) {
		lease = cluster_lease_decode(a->body);
		if (lease == NULL)
			outcome = LEASE_FAILED;
		else
			doubt_lease(c->d, c, lease);
		note_own(c, lease != NULL, "its answer is no Lease");
	} else if (outcome == LEASE_NOT_FOUND && !c->create && !c->other) {
		feed_doubt(c->d, "a Lease of this node's is gone", daemon_now_ms());
	} else if (outcome != LEASE_CONFLICT && outcome != LEASE_NOT_FOUND) {
		note_own(c, false, a->err);
		if (outcome != LEASE_NOT_SENT)
			log_failure(c, "lease not written", a);
	}
	lease_told(c, outcome, lease);
	cluster_lease_free(lease);
	daemon_mark(c->d);
	free(c);
}

static void send_lease(struct daemon *d, enum writer_kind kind, const struct lease_action *a)
{
	struct writer_call *c = call_new(d, kind, a->id, a->name);

	if (c != NULL) {
		c->create = a->verb == LEASE_CREATE;
		c->other = a->other;
		c->role = a->role;
	}
	if (c != NULL && kube_lease(d->kube, d->conf->elections.namespace_, a, on_lease, c) == 0) {
		d->leases_in_flight++;
		return;
	}
	if (c != NULL)
		lease_told(c, LEASE_NOT_SENT, NULL);
	free(c);
}

static void run_leases(struct daemon *d, uint64_t now_ms)
{
	struct lease_action a;

	if (leader_next_action(d->leader, now_ms, &a))
		send_lease(d, WRITE_LEADER, &a);
	while (elect_next_action(d->elect, now_ms, &a))
		send_lease(d, WRITE_ELECT, &a);
	if (d->phase == DAEMON_RUNNING && keep_next_action(d, now_ms, &a))
		send_lease(d, WRITE_RETIRED, &a);
}

/* -- Service status -- */

static enum alloc_outcome status_outcome(const struct kube_answer *a)
{
	if (a->result != 0)
		return a->sent ? ALLOC_WRITE_FAILED : ALLOC_WRITE_NOT_SENT;
	if (a->status >= 200 && a->status < 300) /* with the Service, or it was not the API's */
		return json_string(json_object(a->body, "metadata"), "uid") != NULL
			       ? ALLOC_WRITE_OK
			       : ALLOC_WRITE_FAILED;
	if (a->status == 409)
		return ALLOC_WRITE_CONFLICT;
	if (a->status == 404)
		return ALLOC_WRITE_GONE;
	return ALLOC_WRITE_FAILED;
}

/* The Service has no address because the API does not take it: the first time in a row it is said
 * where its other reasons are said, too. */
static void tell_refused(struct daemon *d, const struct writer_call *c, uint64_t now_ms)
{
	struct alloc_result r;
	char msg[sizeof c->key + sizeof d->not_written + 256];

	if (!alloc_why(d->alloc, c->key, &r) || r.fails != 1 ||
		event_queued(d->events) >= DAEMON_EVENTS_WAITING)
		return;
	(void)snprintf(msg, sizeof msg, "Failed to write the address of \"%s\": %s: %s", c->key,
		reason_text(REASON_NOT_WRITTEN), d->not_written);
	daemon_event(d,
		&(struct event_object){.api_version = "v1",
			.kind = "Service",
			.namespace_ = r.namespace_,
			.name = r.name,
			.uid = r.uid},
		EVENT_WARNING, "AllocationFailed", msg, now_ms);
}

static void note_outcome(
	const struct writer_call *c, enum alloc_outcome outcome, const struct kube_answer *a)
{
	struct daemon *d = c->d;

	if (outcome == ALLOC_WRITE_OK) {
		counter_inc(&d->counters, COUNTER_STATUS_WRITES);
		d->not_written[0] = '\0';
	} else if (outcome == ALLOC_WRITE_FAILED) {
		log_failure(c, "service status not written", a);
		(void)snprintf(d->not_written, sizeof d->not_written, "%.150s",
			a->err[0] != '\0' ? a->err : "no answer that can be understood");
	}
}

static void on_status(void *ctx, const struct kube_answer *a)
{
	struct writer_call *c = ctx;
	enum alloc_outcome outcome = status_outcome(a);
	uint64_t now_ms = daemon_now_ms();

	c->d->status_in_flight--;
	note_outcome(c, outcome, a);
	if (c->kind == WRITE_NODELB)
		nodelb_write_done(c->d->nodelb, c->id, outcome, now_ms);
	else
		alloc_write_done(c->d->alloc, c->id, outcome, now_ms);
	if (c->kind == WRITE_STATUS && outcome == ALLOC_WRITE_FAILED && a->status >= 400 &&
		a->status < 500)
		tell_refused(c->d, c, now_ms);
	daemon_mark(c->d);
	free(c);
}

/* What is written, whoever decided it. */
struct status_write {
	const char *key, *namespace_, *name, *uid, *resource_version;
	const struct addr *ips;
	size_t n_ips;
	const char *pool; /* NULL: the annotation goes */
	bool parting;     /* the Service's condition goes, too */
};

/* False when out of memory. */
static bool add_ingress(cJSON *lb, const struct addr *ips, size_t n)
{
	cJSON *ingress = cJSON_AddArrayToObject(lb, "ingress");
	char text[ADDR_STRLEN];
	bool ok = true;

	for (size_t i = 0; i < n; i++) {
		cJSON *entry = cJSON_CreateObject();

		ok = cJSON_AddItemToArray(ingress, entry) && ok;
		ok = cJSON_AddStringToObject(entry, "ip", addr_format(ips[i], text)) != NULL &&
		     cJSON_AddStringToObject(entry, "ipMode", "VIP") != NULL && ok;
	}
	return ok;
}

/* Addresses and pool annotation in one merge patch, a strategic one when a condition goes; uid and
 * resourceVersion make it conditional. */
static cJSON *status_body(const struct status_write *w)
{
	static const char mark[] = "lbd.io/ip-allocated-from-pool";
	cJSON *root = cJSON_CreateObject();
	cJSON *meta = cJSON_AddObjectToObject(root, "metadata");
	cJSON *notes = cJSON_AddObjectToObject(meta, "annotations");
	cJSON *status = cJSON_AddObjectToObject(root, "status");
	cJSON *lb = cJSON_AddObjectToObject(status, "loadBalancer");
	bool ok = !w->parting || object_drop_condition(status, CONDITION_TYPE);

	ok = ok && cJSON_AddStringToObject(meta, "uid", w->uid) != NULL &&
	     cJSON_AddStringToObject(meta, "resourceVersion", w->resource_version) != NULL;
	if (w->pool != NULL)
		ok = ok && cJSON_AddStringToObject(notes, mark, w->pool) != NULL;
	else
		ok = ok && cJSON_AddNullToObject(notes, mark) != NULL;
	if (w->n_ips > 0)
		ok = ok && add_ingress(lb, w->ips, w->n_ips);
	else
		ok = ok && cJSON_AddNullToObject(lb, "ingress") != NULL;
	if (!ok) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

static int send_status(struct daemon *d, const struct status_write *w, struct writer_call *c)
{
	char path[2 * CONFIG_MAX_NAME + 64];
	cJSON *body = status_body(w);
	struct kube_request r = {
		.verb = w->parting ? KUBE_STRATEGIC_PATCH : KUBE_MERGE_PATCH,
		.path = path,
		.body = body,
		.not_after_ms = leader_deadline(d->leader),
		.timeout_ms = leader_write_ms(d->leader),
	};
	int err = -ENOMEM;

	(void)snprintf(path, sizeof path, "/api/v1/namespaces/%s/services/%s/status", w->namespace_,
		w->name);
	if (body != NULL)
		err = kube_request(d->kube, &r, on_status, c);
	cJSON_Delete(body);
	return err;
}

/* False: not sent, and the unit that asked is to be told. */
static bool start_status(
	struct daemon *d, enum writer_kind kind, uint64_t id, const struct status_write *w)
{
	struct writer_call *c = call_new(d, kind, id, w->key);

	if (c == NULL || send_status(d, w, c) != 0) {
		free(c);
		return false;
	}
	d->status_in_flight++;
	return true;
}

static bool may_write_status(const struct daemon *d, uint64_t now_ms)
{
	return d->status_in_flight < DAEMON_STATUS_IN_FLIGHT && leader_is_leader(d->leader, now_ms);
}

static void run_status(struct daemon *d, uint64_t now_ms)
{
	struct alloc_write w;

	while (may_write_status(d, now_ms) && alloc_next_write(d->alloc, now_ms, &w)) {
		const struct status_write s = {w.key, w.namespace_, w.name, w.uid,
			w.resource_version, w.ips, w.n_ips, w.n_ips > 0 ? w.pool : NULL,
			w.n_ips == 0 && announced_goes(d, w.key)};

		if (!start_status(d, WRITE_STATUS, w.id, &s)) {
			alloc_write_done(d->alloc, w.id, ALLOC_WRITE_FAILED, now_ms);
			return;
		}
	}
}

static void run_nodelb(struct daemon *d, uint64_t now_ms)
{
	struct nodelb_write w;

	while (may_write_status(d, now_ms) && nodelb_next_write(d->nodelb, now_ms, &w)) {
		const struct status_write s = {w.key, w.namespace_, w.name, w.uid,
			w.resource_version, w.ips, w.n_ips, NULL,
			false};

		if (!start_status(d, WRITE_NODELB, w.id, &s)) {
			nodelb_write_done(d->nodelb, w.id, ALLOC_WRITE_FAILED, now_ms);
			return;
		}
	}
}

/* -- Events -- */

static void on_event(void *ctx, const struct kube_answer *a)
{
	struct writer_call *c = ctx;
	enum event_outcome outcome = kube_event_outcome(a, c->update);

	c->d->events_in_flight--;
	if (outcome == EVENT_REFUSED)
		log_failure(c, "event not written", a);
	event_done(c->d->events, c->id, outcome, daemon_now_ms());
	daemon_mark(c->d);
	free(c);
}

static void run_events(struct daemon *d, uint64_t now_ms)
{
	struct event_write w;

	while (d->events_in_flight < DAEMON_EVENTS_IN_FLIGHT &&
		event_next_write(d->events, now_ms, &w)) {
		struct writer_call *c = call_new(d, WRITE_EVENT, w.id, w.name);

		if (c != NULL)
			c->update = w.update;
		if (c == NULL || kube_event(d->kube, &w, now_ms, on_event, c) != 0) {
			free(c);
			event_done(d->events, w.id, EVENT_FAILED, now_ms);
			return;
		}
		d->events_in_flight++;
	}
}

/* "10.0.0.1" "fd00::1", with the brackets that MetalLB prints. */
static void ips_text(const struct alloc_result *r, struct buf *out)
{
	char text[ADDR_STRLEN];

	buf_addc(out, '[');
	for (size_t i = 0; i < r->n_ips; i++)
		buf_addf(out, "%s\"%s\"", i > 0 ? " " : "", addr_format(r->ips[i], text));
	buf_addc(out, ']');
}

/* Is the Service one that is to have an address? */
static bool is_served(enum reason reason)
{
	return reason != REASON_NOT_LOAD_BALANCER && reason != REASON_DELETED &&
	       reason != REASON_OTHER_CLASS && reason != REASON_CLASSLESS &&
	       reason != REASON_IGNORED;
}

/* What it had was taken away.  MetalLB's words where the configuration is why. */
static void cleared_text(const struct alloc_result *r, const char *why, struct buf *msg)
{
	bool ruled = r->loss == JUDGE_LOSS_NONE ? is_served(r->reason)
						: r->loss == JUDGE_LOSS_RULED;

	if (r->loss != JUDGE_LOSS_NONE)
		why = judge_loss_text(r->loss);
	else if (r->reason == REASON_ALLOCATED && r->detail[0] == '\0')
		why = NULL;
	buf_addf(msg,
		ruled ? "current IP for \"%s\" not allowed by config, will attempt for new IP "
			"assignment"
		      : "released the IP of \"%s\"",
		r->key);
	if (why != NULL)
		buf_addf(msg, ": %s", why);
}

/* MetalLB's reasons and wording where the meaning is the same, so that people's searches and alerts
 * still work. */
static void result_event(struct daemon *d, const struct alloc_result *r, uint64_t now_ms)
{
	const struct event_object o = {.api_version = "v1",
		.kind = "Service",
		.namespace_ = r->namespace_,
		.name = r->name,
		.uid = r->uid,
		.standing = d->taking_over};
	const char *why = r->detail[0] != '\0' ? r->detail : reason_text(r->reason);
	struct buf msg;

	buf_init(&msg, EVENT_MAX_MESSAGE);
	if (r->cleared) {
		cleared_text(r, why, &msg);
		daemon_event(d, &o, EVENT_NORMAL, "ClearAssignment", msg.p, now_ms);
		buf_reset(&msg);
	}
	if (r->reason == REASON_ALLOCATED && r->n_ips > 0) {
		buf_adds(&msg, "Assigned IP ");
		ips_text(r, &msg);
		if (r->pool != NULL)
			buf_addf(&msg, " from pool \"%s\"", r->pool);
		if (r->detail[0] != '\0')
			buf_addf(&msg, ": %s", r->detail);
		if (d->dry == NULL) /* else nothing is assigned: dry.c says what would be */
			log_info("alloc", msg.p, "svc", r->key, NULL);
		daemon_event(d, &o, EVENT_NORMAL, "IPAllocated", msg.p, now_ms);
	} else if (r->reason != REASON_ALLOCATED && is_served(r->reason)) {
		buf_addf(&msg, "Failed to allocate IP for \"%s\": %s", r->key, why);
		log_write(d->dry != NULL ? dry_level(d, LOG_WARN) : LOG_WARN, "alloc", "refused",
			"svc", r->key, "err", why, NULL);
		daemon_event(d, &o, EVENT_WARNING, "AllocationFailed", msg.p, now_ms);
	}
	buf_free(&msg);
}

static void add_ips(struct buf *msg, const struct addr *v, size_t n)
{
	char text[ADDR_STRLEN];

	buf_addc(msg, '[');
	for (size_t i = 0; i < n; i++)
		buf_addf(msg, "%s%s", i > 0 ? " " : "", addr_format(v[i], text));
	buf_addc(msg, ']');
}

/* k3s's reasons and wording, what there is to say beside them behind a colon. */
static void nodelb_event(struct daemon *d, const struct nodelb_result *r, uint64_t now_ms)
{
	const struct event_object o = {.api_version = "v1",
		.kind = "Service",
		.namespace_ = r->namespace_,
		.name = r->name,
		.uid = r->uid,
		.standing = d->taking_over};
	bool none = r->n_ips == 0 && is_served(r->reason);
	const char *why = r->detail[0] == '\0' && r->reason != REASON_ALLOCATED
				  ? reason_text(r->reason)
				  : r->detail;
	struct buf msg;

	buf_init(&msg, EVENT_MAX_MESSAGE);
	if (none) {
		buf_adds(&msg, "There are no available nodes for LoadBalancer");
	} else {
		buf_adds(&msg, "Updated LoadBalancer with new IPs: ");
		add_ips(&msg, r->was, r->n_was);
		buf_adds(&msg, " -> ");
		add_ips(&msg, r->ips, r->n_ips);
	}
	if (why[0] != '\0')
		buf_addf(&msg, ": %s", why);
	if (msg.p != NULL && d->dry == NULL) /* else out of memory; or dry.c says it */
		log_write(none ? LOG_WARN : LOG_INFO, "servicelb", msg.p, "svc", r->key, NULL);
	daemon_event(d, &o, none ? EVENT_WARNING : EVENT_NORMAL,
		none ? "UnAvailableLoadBalancer" : "UpdatedLoadBalancer", msg.p, now_ms);
	buf_free(&msg);
}

/* The rest waits where it was decided, which knows it anyway. */
static bool may_tell(const struct daemon *d)
{
	return event_queued(d->events) < DAEMON_EVENTS_WAITING;
}

void writer_results(struct daemon *d, uint64_t now_ms)
{
	struct nodelb_result nr;
	struct alloc_result r;

	while (d->conf->servicelb_active && may_tell(d) &&
		nodelb_next_result(d->nodelb, now_ms, &nr))
		nodelb_event(d, &nr, now_ms);
	while (!d->conf->servicelb_active && may_tell(d) && alloc_next_result(d->alloc, &r)) {
		mesh_breathe(d);
		announced_touch(d->announced, r.key);
		if (r.contested)
			contest_add(d, &r);
		else
			result_event(d, &r, now_ms);
	}
	if (daemon_is_ready(d) && may_tell(d))
		d->taking_over = false; /* all of that was told */
}

void writer_run(struct daemon *d, uint64_t now_ms)
{
	if (d->kube == NULL)
		return;
	if (d->dry != NULL) {
		dry_write(d, now_ms);
		return;
	}
	feed_run(d, now_ms);
	run_leases(d, now_ms);
	if (d->phase == DAEMON_RUNNING && nodelb_is_ready(d->nodelb))
		run_nodelb(d, now_ms);
	if (d->phase == DAEMON_RUNNING && alloc_is_ready(d->alloc))
		run_status(d, now_ms);
	contest_run(d, now_ms);
	crdwatch_write(d, now_ms);
	run_events(d, now_ms);
}

uint64_t writer_next_deadline(const struct daemon *d)
{
	uint64_t next_ms = TIME_NEVER;

	if (d->kube == NULL)
		return next_ms;
	if (d->dry != NULL)
		return time_min(alloc_next_deadline(d->alloc), nodelb_next_deadline(d->nodelb));
	next_ms = time_min(leader_next_deadline(d->leader), elect_next_write(d->elect));
	next_ms = time_min(next_ms, feed_next_deadline(d));
	if (d->phase == DAEMON_RUNNING && d->was_leader && daemon_is_ready(d) &&
		d->status_in_flight < DAEMON_STATUS_IN_FLIGHT)
		next_ms = time_min(next_ms,
			time_min(alloc_next_deadline(d->alloc), nodelb_next_deadline(d->nodelb)));
	next_ms = time_min(next_ms, announced_next_deadline(d->announced));
	next_ms = time_min(next_ms, retired_next_deadline(d->retired));
	if (d->events_in_flight < DAEMON_EVENTS_IN_FLIGHT)
		next_ms = time_min(next_ms, event_next_deadline(d->events));
	return next_ms;
}
