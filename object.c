/* SPDX-License-Identifier: Apache-2.0
 *
 * object.c - Leases, Events and conditions as JSON.
 *
 * Owns: nothing.
 * In:   what leader.c, elect.c, event.c and condition.c want written.
 * Out:  cJSON trees.
 * Sources: coordination/v1 Lease, core/v1 Event, meta/v1 MicroTime and Time (RFC 3339 5.6),
 *       Condition; strategic merge patch ($patch: delete).
 */
#include "object.h"

#include "schema.h"

#include <stdio.h>

enum { TIME_STRLEN = 40 };

/* cJSON's adders fail softly; what is built is looked at once, at the end. */
struct builder {
	cJSON *root; /* owned */
	bool bad;    /* out of memory: incomplete */
};

static struct builder begin(void)
{
	struct builder b = {.root = cJSON_CreateObject()};

	b.bad = b.root == NULL;
	return b;
}

static cJSON *end(struct builder *b)
{
	if (!b->bad)
		return b->root;
	cJSON_Delete(b->root);
	return NULL;
}

static cJSON *add_object(struct builder *b, cJSON *to, const char *key)
{
	cJSON *o = cJSON_AddObjectToObject(to, key);

	b->bad |= o == NULL;
	return o;
}

/* NULL is left out. */
static void add_string(struct builder *b, cJSON *to, const char *key, const char *value)
{
	if (value != NULL)
		b->bad |= cJSON_AddStringToObject(to, key, value) == NULL;
}

/* NULL and "" are left out. */
static void add_set(struct builder *b, cJSON *to, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		add_string(b, to, key, value);
}

static void add_number(struct builder *b, cJSON *to, const char *key, int64_t value)
{
	b->bad |= cJSON_AddNumberToObject(to, key, (double)value) == NULL;
}

/* -- times -- */

/* The date of a day number since 1970-01-01, by eras of 400 years that begin on March 1st, so that
 * the leap day is a year's last. */
static void civil(int64_t days, int *ret_y, int *ret_m, int *ret_d)
{
	const int64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	const int64_t mp = (5 * doy + 2) / 153;

	*ret_d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_y = (int)(yoe + era * 400 + (*ret_m <= 2));
}

/* RFC 3339, UTC; micro: with exactly six fraction digits, else whole seconds. */
static void format_time(int64_t wall_us, bool micro, char s[TIME_STRLEN])
{
	const int64_t us = wall_us > 0 ? wall_us : 0; /* a clock before 1970 is no clock */
	const int of_day = (int)(us / 1000000 % 86400);
	int y, m, d, n;

	civil(us / 1000000 / 86400, &y, &m, &d);
	n = snprintf(s, TIME_STRLEN, "%04d-%02d-%02dT%02d:%02d:%02d", y, m, d, of_day / 3600,
		of_day / 60 % 60, of_day % 60);
	if (n < 0 || n >= TIME_STRLEN)
		return;
	if (micro)
		(void)snprintf(s + n, (size_t)(TIME_STRLEN - n), ".%06dZ", (int)(us % 1000000));
	else
		(void)snprintf(s + n, (size_t)(TIME_STRLEN - n), "Z");
}

/* -- Lease -- */

static const char *role_label(enum cluster_lease_role role)
{
	switch (role) {
	case CLUSTER_LEASE_LEADER:
		return "leader";
	case CLUSTER_LEASE_NODE:
		return "node";
	case CLUSTER_LEASE_CLAIMS:
		return "claims";
	case CLUSTER_LEASE_RETIRED:
		return "retired";
	case CLUSTER_LEASE_OTHER:
		break;
	}
	return NULL;
}

static void add_lease_metadata(
	struct builder *b, const char *namespace_, const struct lease_action *a)
{
	cJSON *meta = add_object(b, b->root, "metadata"), *labels, *notes;

	add_string(b, meta, "name", a->name);
	add_string(b, meta, "namespace", namespace_);
	add_set(b, meta, "resourceVersion", a->resource_version);
	add_set(b, meta, "uid", a->uid);
	labels = add_object(b, meta, "labels");
	add_string(b, labels, "lbd.io/lease", role_label(a->role));
	notes = add_object(b, meta, "annotations");
	add_string(b, notes, "lbd.io/schema", SCHEMA_TEXT);
	add_string(b, notes, "lbd.io/next", SCHEMA_VALUE);
	for (size_t i = 0; i < a->n_annotations; i++)
		add_string(b, notes, a->annotations[i].key, a->annotations[i].value);
}

static void add_lease_spec(struct builder *b, const struct lease_action *a, int64_t wall_us)
{
	cJSON *spec = add_object(b, b->root, "spec");
	char now[TIME_STRLEN];

	format_time(wall_us, true, now);
	add_string(b, spec, "holderIdentity", a->holder);
	if (a->duration_ms > 0) /* whole seconds, up: nobody may expire it early */
		add_number(b, spec, "leaseDurationSeconds",
			(int64_t)(a->duration_ms / 1000 + (a->duration_ms % 1000 != 0)));
	if (a->set_acquire_time)
		add_string(b, spec, "acquireTime", now);
	else
		add_set(b, spec, "acquireTime", a->acquire_time);
	if (a->has_renew_time)
		add_string(b, spec, "renewTime", now);
	if (a->transitions >= 0)
		add_number(b, spec, "leaseTransitions", a->transitions);
}

cJSON *object_lease(const struct lease_action *a, const char *namespace_, int64_t wall_us)
{
	struct builder b = begin();

	add_string(&b, b.root, "apiVersion", "coordination.k8s.io/v1");
	add_string(&b, b.root, "kind", "Lease");
	add_lease_metadata(&b, namespace_, a);
	add_lease_spec(&b, a, wall_us);
	return end(&b);
}

/* -- Event -- */

static void add_involved_object(struct builder *b, const struct event_object *o)
{
	cJSON *to = add_object(b, b->root, "involvedObject");

	add_set(b, to, "apiVersion", o->api_version);
	add_set(b, to, "kind", o->kind);
	add_set(b, to, "namespace", o->namespace_);
	add_set(b, to, "name", o->name);
	add_set(b, to, "uid", o->uid);
	add_set(b, to, "resourceVersion", o->resource_version);
}

const char *object_event_namespace(const struct event_write *w)
{
	const char *n = w->object.namespace_;

	return n != NULL && n[0] != '\0' ? n : "default";
}

static void add_monotonic(
	struct builder *b, const char *key, uint64_t then_ms, uint64_t now_ms, int64_t wall_us)
{
	const uint64_t ago_ms = now_ms > then_ms ? now_ms - then_ms : 0;
	char s[TIME_STRLEN];

	format_time(wall_us - (int64_t)ago_ms * 1000, false, s);
	add_string(b, b->root, key, s);
}

cJSON *object_event(const struct event_write *w, const char *node, uint64_t now_ms, int64_t wall_us)
{
	struct builder b = begin();
	cJSON *meta, *source;

	add_string(&b, b.root, "apiVersion", "v1");
	add_string(&b, b.root, "kind", "Event");
	meta = add_object(&b, b.root, "metadata");
	add_string(&b, meta, "name", w->name);
	add_string(&b, meta, "namespace", object_event_namespace(w));
	add_involved_object(&b, &w->object);
	add_string(&b, b.root, "type", w->type == EVENT_WARNING ? "Warning" : "Normal");
	add_string(&b, b.root, "reason", w->reason);
	add_string(&b, b.root, "message", w->message);
	source = add_object(&b, b.root, "source");
	add_string(&b, source, "component", "lbd");
	add_set(&b, source, "host", node);
	add_string(&b, b.root, "reportingComponent", "lbd");
	add_set(&b, b.root, "reportingInstance", node);
	add_number(&b, b.root, "count", w->count);
	add_monotonic(&b, "firstTimestamp", w->first_ms, now_ms, wall_us);
	add_monotonic(&b, "lastTimestamp", w->last_ms, now_ms, wall_us);
	return end(&b);
}

cJSON *object_event_patch(const struct event_write *w, uint64_t now_ms, int64_t wall_us)
{
	struct builder b = begin();

	if (w->count > 0)
		add_number(&b, b.root, "count", w->count);
	add_monotonic(&b, "lastTimestamp", w->last_ms, now_ms, wall_us);
	return end(&b);
}

/* -- condition -- */

static cJSON *add_condition(struct builder *b, cJSON *status, const char *type)
{
	cJSON *list = cJSON_AddArrayToObject(status, "conditions"), *o = cJSON_CreateObject();

	if (list == NULL || !cJSON_AddItemToArray(list, o)) {
		cJSON_Delete(o);
		b->bad = true;
		return NULL;
	}
	add_string(b, o, "type", type);
	return o;
}

bool object_drop_condition(cJSON *status, const char *type)
{
	struct builder b = {.root = status};

	add_string(&b, add_condition(&b, status, type), "$patch", "delete");
	return !b.bad;
}

cJSON *object_condition(const struct object_condition *c, int64_t wall_us)
{
	struct builder b = begin();
	char now[TIME_STRLEN];
	cJSON *status, *o;

	add_string(&b, add_object(&b, b.root, "metadata"), "uid", c->uid);
	status = add_object(&b, b.root, "status");
	if (c->status == NULL) {
		b.bad |= !object_drop_condition(status, c->type);
		return end(&b);
	}
	o = add_condition(&b, status, c->type);
	add_string(&b, o, "status", c->status);
	add_string(&b, o, "reason", c->reason);
	add_string(&b, o, "message", c->message);
	format_time(wall_us, false, now);
	if (c->turned)
		add_string(&b, o, "lastTransitionTime", now);
	return end(&b);
}
