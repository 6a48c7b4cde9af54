/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.c - from the API into the picture: which resources are watched, and what their objects do.
 *
 * Owns: the watches.  In: kube.c's callbacks.  Out: cluster.c, and marks.
 */
#include "daemon.h"
#include "json.h"
#include "log.h"
#include "schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Another node is of a later version: said once for each. */
static void note_schema(struct daemon *d, const struct cluster_lease *l)
{
	uint64_t schema = l->schema != NULL ? strtoull(l->schema, NULL, 10) : 0;

	if (schema <= LBD_LEASE_SCHEMA || schema <= d->schema_said)
		return;
	d->schema_said = schema;
	log_info("api", "a Lease is of a later version's form: what is new in it is passed over",
		"name", l->name, "schema", l->schema, "own", SCHEMA_TEXT, NULL);
}

const char *feed_watch_name(enum daemon_watch_id id)
{
	static const char *const names[DAEMON_WATCHES] = {"services", "nodes", "leases",
		"namespaces", "endpointslices.v1", "endpointslices.v1beta1", "endpoints"};

	return names[id];
}

static void on_lease(void *ctx, const struct cluster_lease *l, bool deleted)
{
	struct daemon *d = ctx;
	uint64_t now_ms = daemon_now_ms();

	if (l->role == CLUSTER_LEASE_CLAIMS)
		log_debug("elect", deleted ? "a node's claims are gone" : "a node's claims", "node",
			l->node, "claims", l->claims, NULL);
	if (l->role == CLUSTER_LEASE_LEADER)
		leader_on_lease(d->leader, deleted ? NULL : l, now_ms);
	else if (l->role == CLUSTER_LEASE_RETIRED)
		keep_on_lease(d, l, deleted);
	else
		elect_on_lease(d->elect, l, deleted, now_ms);
	if (!deleted) {
		note_schema(d, l);
		mesh_on_lease(d, l);
	}
	snapfile_on_lease(d);
	if (l->role == CLUSTER_LEASE_CLAIMS)
		alloc_claims_changed(d->alloc);
}

static bool endpoints_synced(const struct daemon *d)
{
	for (size_t i = 0; i < ENDPOINTS_WAYS; i++)
		if (d->watch[WATCH_ENDPOINTS + i].synced)
			return true;
	return false;
}

void feed_update_synced(struct daemon *d)
{
	bool synced = d->watch[WATCH_SERVICES].synced && d->watch[WATCH_NODES].synced &&
		      d->watch[WATCH_LEASES].synced && endpoints_synced(d) &&
		      (d->synced_once || crdwatch_is_ready(d));
	uint64_t now_ms = daemon_now_ms();

	leader_on_synced(d->leader, d->watch[WATCH_LEASES].synced, now_ms);
	elect_on_synced(d->elect, synced, now_ms);
	if (synced != d->synced) {
		d->synced_ms = now_ms;
		log_info("kube",
			synced ? "in step with the API"
			       : "out of step with the API: announcing goes on as it was",
			NULL);
	}
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

	w->listing = true;
	cluster_list_begin(w->d->cluster, w->kind);
}

/* Neither each of a list, which may be long, nor each renewal. */
static void tell_object(const struct daemon_watch *w, enum watch_event event, const cJSON *obj)
{
	static const char *const what[] = {"added", "modified", "deleted"};
	const cJSON *meta = json_object(obj, "metadata");

	if (!w->listing && w->id != WATCH_LEASES)
		log_debug("kube", what[event], "res", feed_watch_name(w->id), "namespace",
			json_string(meta, "namespace"), "name", json_string(meta, "name"), "rv",
			json_string(meta, "resourceVersion"), NULL);
}

static void on_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	struct daemon_watch *w = ctx;
	int err = cluster_apply(
		w->d->cluster, w->kind, event == WATCH_DELETED ? CLUSTER_DELETE : CLUSTER_PUT, obj);

	if (err != 0)
		log_limited(LOG_WARN, "kube", "object not understood", "name",
			json_string(json_object(obj, "metadata"), "name"), "err", strerror(-err),
			NULL);
	tell_object(w, event, obj);
	daemon_mark(w->d);
}

static void set_namespaces_forbidden(struct daemon *d, bool forbidden)
{
	if (forbidden == d->namespaces_forbidden)
		return;
	d->namespaces_forbidden = forbidden;
	if (forbidden)
		log_error("kube",
			"Namespaces may not be read, whose labels the configuration's "
			"namespaceSelectors (an Eip's namespaceSelector) want: these pools give no "
			"address; let lbd's ClusterRole list and watch namespaces",
			NULL);
	alloc_set_namespaces(d->alloc, d->cluster, forbidden, daemon_now_ms());
	daemon_mark(d);
}

static void on_list_end(void *ctx, bool complete)
{
	struct daemon_watch *w = ctx;

	w->listing = false;
	if (!complete) {
		cluster_list_abort(w->d->cluster, w->kind);
		return;
	}
	cluster_list_end(w->d->cluster, w->kind);
	if (w->id == WATCH_SERVICES)
		w->d->services_listed = true;
	if (w->id == WATCH_NAMESPACES)
		set_namespaces_forbidden(w->d, false);
	daemon_mark(w->d);
}

static void start_watch(struct daemon *d, enum daemon_watch_id id);
static void stop_watch(struct daemon *d, enum daemon_watch_id id);

void feed_follow_leases(struct daemon *d)
{
	cluster_on_lease(d->cluster, on_lease, d);
}

/* This way to list endpoints works: worse ones are not needed any more, and what a better one said
 * before the server lost it (404) is no longer true. */
static void settle_endpoints(struct daemon *d, const struct daemon_watch *best)
{
	for (unsigned id = WATCH_ENDPOINTS; id < (unsigned)best->id; id++)
		if (d->watch[id].kind != best->kind && !d->watch[id].synced)
			cluster_forget(d->cluster, d->watch[id].kind);
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
	feed_update_synced(w->d);
}

static void on_forbidden(void *ctx)
{
	struct daemon_watch *w = ctx;

	if (w->id == WATCH_NAMESPACES)
		set_namespaces_forbidden(w->d, true);
}

static void on_missing(void *ctx)
{
	struct daemon_watch *w = ctx;

	if (w->id >= WATCH_ENDPOINTS && w->id + 1u < DAEMON_WATCHES &&
		w->d->watch[w->id + 1u].w == NULL)
		start_watch(w->d, (enum daemon_watch_id)(w->id + 1u));
}

static const struct kube_watch_ops watch_ops = {
	on_list_begin, on_object, on_list_end, on_synced, on_missing, on_forbidden};

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
		[WATCH_NAMESPACES] = {CLUSTER_NAMESPACE, "/api/v1/namespaces"},
		[WATCH_ENDPOINTS + ENDPOINTS_SLICE_V1] = {CLUSTER_ENDPOINT_SLICE,
			"/apis/discovery.k8s.io/v1/endpointslices"},
		[WATCH_ENDPOINTS + ENDPOINTS_SLICE_V1BETA1] = {CLUSTER_ENDPOINT_SLICE,
			"/apis/discovery.k8s.io/v1beta1/endpointslices"},
		[WATCH_ENDPOINTS + ENDPOINTS_CORE] = {CLUSTER_ENDPOINTS, "/api/v1/endpoints"},
	};
	struct daemon_watch *w = &d->watch[id];
	struct kube_watch_conf conf = {
		.path = what[id].path,
		.required = id < WATCH_ENDPOINTS || id == WATCH_ENDPOINTS + ENDPOINTS_CORE,
	};
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

void feed_want_namespaces(struct daemon *d)
{
	bool wanted = config_selects_namespaces(d->conf);

	if (d->kube == NULL || wanted == (d->watch[WATCH_NAMESPACES].w != NULL))
		return;
	if (wanted) {
		start_watch(d, WATCH_NAMESPACES);
		return;
	}
	stop_watch(d, WATCH_NAMESPACES);
	cluster_forget(d->cluster, CLUSTER_NAMESPACE);
	set_namespaces_forbidden(d, false);
}

void feed_start(struct daemon *d)
{
	alloc_set_namespaces(d->alloc, d->cluster, false, daemon_now_ms());
	start_watch(d, WATCH_LEASES);
	start_watch(d, WATCH_NODES);
	start_watch(d, WATCH_SERVICES);
	start_watch(d, WATCH_ENDPOINTS);
	feed_want_namespaces(d);
}

void feed_relist(struct daemon *d)
{
	for (unsigned i = 0; i < DAEMON_WATCHES; i++)
		if (d->watch[i].w != NULL)
			kube_relist(d->watch[i].w);
	crdwatch_relist(d);
}

uint64_t feed_next_deadline(const struct daemon *d)
{
	if (!d->relist_due)
		return TIME_NEVER;
	return d->relisted_ms == 0 ? 0 : d->relisted_ms + DAEMON_DOUBT_MS;
}

void feed_run(struct daemon *d, uint64_t now_ms)
{
	if (now_ms < feed_next_deadline(d))
		return;
	d->relist_due = false;
	d->relisted_ms = now_ms;
	log_info("kube", "listing everything anew", NULL);
	feed_relist(d);
}

void feed_doubt(struct daemon *d, const char *why, uint64_t now_ms)
{
	if (!d->relist_due)
		log_warn("kube", "the API's store may be another one", "err", why, NULL);
	d->relist_due = true;
	feed_run(d, now_ms);
}

void feed_move_leases(struct daemon *d)
{
	d->history = (struct history){0};
	stop_watch(d, WATCH_LEASES);
	start_watch(d, WATCH_LEASES);
	feed_update_synced(d);
}

void feed_stop(struct daemon *d)
{
	for (unsigned i = 0; i < DAEMON_WATCHES; i++)
		stop_watch(d, (enum daemon_watch_id)i);
	crdwatch_stop(d);
	secret_stop(d);
}
