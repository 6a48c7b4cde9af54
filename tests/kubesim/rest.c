/* SPDX-License-Identifier: Apache-2.0
 *
 * rest.c - the verbs on resources.
 *
 * In:   a request and its route.  Out: the answer; writes through sim.c.
 * Sources: apiserver pkg/endpoints/handlers, pkg/registry/generic/registry/store.go,
 *       registry/rest/(create,update,delete).go; API concepts (resourceVersion, continue).
 * Not done: managedFields but of Services' status, so that server-side apply never removes what it
 * no longer lists.
 */
#include "admit.h"
#include "patch.h"
#include "proto.h"
#include "render.h"
#include "schema.h"
#include "select.h"
#include "sim.h"
#include "stream.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_FOR_FUTURE_MS = 3000, WATCH_DEFAULT_MS = 1800 * 1000, LIST_MAX = 1 << 20 };

struct op {
	struct sim *sim;
	const struct request *req;
	const struct route *to;
	struct answer *a;
	struct coll *coll;
	struct render render;
	struct text key; /* owned */
	bool dry, status_sub;
	bool is_patch; /* wrong types are 422, not 400 */
};

/* -- answers -- */

static void no_such(struct op *o, const char *name)
{
	struct text t = {0};
	const struct kind *k = o->to->kind;

	text_fmt(&t, "%s%s%s \"%s\" not found", k->plural, *k->group ? "." : "", k->group, name);
	answer_error_of(o->a, 404, NULL, k, name, NULL, t.p);
	text_free(&t);
}

static void conflict(struct op *o, const char *name, const char *why)
{
	struct text t = {0};
	const struct kind *k = o->to->kind;

	text_fmt(&t, "Operation cannot be fulfilled on %s%s%s \"%s\": %s", k->plural,
		*k->group ? "." : "", k->group, name, why);
	answer_error_of(o->a, 409, "Conflict", k, name, NULL, t.p);
	text_free(&t);
}

static void uid_conflict(struct op *o, const char *name, const char *want, const char *have)
{
	struct text t = {0};

	text_fmt(&t,
		"StorageError: invalid object, Code: 4, Key: /registry/%s/%s, ResourceVersion: 0, "
		"AdditionalErrorMsg: Precondition failed: UID in precondition: %s, UID in object "
		"meta: %s",
		o->to->kind->plural, o->key.p, want, have);
	conflict(o, name, t.p);
	text_free(&t);
}

static const char modified[] = "the object has been modified; please apply your changes to the "
			       "latest version and try again";

static void send_version(struct op *o, int code, struct version *v)
{
	o->a->status = code;
	o->a->type = "application/json";
	render_object(&o->render, v, &o->a->body);
	text_char(&o->a->body, '\n');
}

/* A version that is not stored: what a dry run would have made. */
static void send_unstored(struct op *o, int code, cJSON *obj, uint64_t rv)
{
	struct version *v = version_new(o->coll, o->key.p, obj, rv);

	send_version(o, code, v);
	version_unref(v);
}

/* -- bodies -- */

static bool type_is(const struct request *r, const char *type)
{
	size_t n = strcspn(r->content_type, "; ");

	return n == strlen(type) && !strncmp(r->content_type, type, n);
}

static bool is_proto(const struct request *r)
{
	return type_is(r, "application/vnd.kubernetes.protobuf");
}

static cJSON *read_body(struct op *o)
{
	cJSON *v = is_proto(o->req) ? proto_decode(o->req->body, o->req->body_len)
				    : j_parse(o->req->body, o->req->body_len);

	if (!v)
		answer_error(o->a, 400, NULL,
			"couldn't get version/kind; json parse error: not a JSON value");
	return v;
}

static bool gvk_matches(struct op *o, const cJSON *obj)
{
	char version[128];

	kind_api_version(o->to->kind, version, sizeof(version));
	if (j_get(obj, "kind") && strcmp(j_str(obj, "kind"), o->to->kind->kind) != 0) {
		answer_error(o->a, 400, NULL, "%s in version \"%s\" cannot be handled as a %s",
			j_str(obj, "kind"), j_str(obj, "apiVersion"), o->to->kind->kind);
		return false;
	}
	if (j_get(obj, "apiVersion") && strcmp(j_str(obj, "apiVersion"), version) != 0) {
		answer_error(o->a, 400, NULL,
			"the API version in the data (%s) does not match the expected API version "
			"(%s)",
			j_str(obj, "apiVersion"), version);
		return false;
	}
	return true;
}

static cJSON *read_object(struct op *o)
{
	cJSON *obj;

	if (*o->req->content_type && !type_is(o->req, "application/json") && !is_proto(o->req)) {
		answer_error(o->a, 415, NULL,
			"the body of the request was in an unknown format - accepted media types "
			"include: application/json");
		return NULL;
	}
	obj = read_body(o);
	if (!obj)
		return NULL;
	if (!cJSON_IsObject(obj)) {
		answer_error(o->a, 400, NULL, "json: cannot unmarshal into a Kubernetes object");
	} else if (gvk_matches(o, obj)) {
		return obj;
	}
	cJSON_Delete(obj);
	return NULL;
}

static void warn_unknown(struct op *o, const struct text *unknown)
{
	int n = 0;

	for (size_t i = 0; i < unknown->n && n++ < 8; i += strlen(unknown->p + i) + 1)
		text_fmt(&o->a->headers, "Warning: 299 - \"unknown field \\\"%.128s\\\"\"\r\n",
			unknown->p + i);
}

/* To the stored form, wrong types refused, unknown fields dropped. */
static bool decode(struct op *o, cJSON *obj)
{
	const struct kind *k = o->coll->kind;
	struct schema_report report = {0};
	bool strict = !strcmp(request_param(o->req, "fieldValidation"), "Strict");
	bool ignore = !strcmp(request_param(o->req, "fieldValidation"), "Ignore");
	char version[128];
	bool ok = false;

	kind_api_version(o->to->kind, version, sizeof(version));
	if (o->to->kind->to_stored)
		o->to->kind->to_stored(obj);
	schema_apply(k->schema, obj, &report);
	if (report.error.n && o->is_patch)
		answer_error_of(o->a, 422, NULL, k, o->to->name, NULL, report.error.p);
	else if (report.error.n)
		answer_error(o->a, 400, NULL, "%s in version \"%s\" cannot be handled as a %s: %s",
			o->to->kind->kind, version, o->to->kind->kind, report.error.p);
	else if (report.unknown.n && strict)
		answer_error(o->a, 400, NULL, "strict decoding error: unknown field \"%s\"",
			report.unknown.p);
	else
		ok = true;
	if (ok && !ignore)
		warn_unknown(o, &report.unknown);
	schema_report_free(&report);
	return ok;
}

/* -- admission -- */

static void refuse(struct op *o, struct admit *a)
{
	struct text t = {0};
	const char *name = j_str(a->obj, "metadata.name");

	if (a->code) {
		answer_error(o->a, a->code, NULL, "%s", a->message.p);
		return;
	}
	text_fmt(&t, "%s%s%s \"%s\" is invalid: %s", o->coll->kind->kind,
		*o->coll->kind->group ? "." : "", o->coll->kind->group, name, a->message.p);
	answer_error_of(o->a, 422, NULL, o->coll->kind, name, a->causes, t.p);
	a->causes = NULL;
	text_free(&t);
}

static bool admit(struct op *o, cJSON *obj, const cJSON *old)
{
	struct admit a = {.kind = o->coll->kind,
		.obj = obj,
		.old = old,
		.status_only = o->status_sub,
		.old_server = o->sim->kinds.old,
		.ipam = &o->sim->ipam,
		.user = o->req->user};
	bool ok;

	admit_meta(&a);
	if (o->coll->kind->admit)
		o->coll->kind->admit(&a);
	ok = admit_ok(&a);
	if (!ok)
		refuse(o, &a);
	admit_free(&a);
	return ok;
}

/* -- create -- */

static void generate_name(cJSON *obj)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	const char *base = j_str(obj, "metadata.generateName");
	struct text t = {0};
	unsigned char r[5] = {0};

	if (!*base || j_has_str(obj, "metadata.name"))
		return;
	(void)RAND_bytes(r, sizeof(r));
	text_add(&t, base, strnlen(base, 58));
	for (size_t i = 0; i < sizeof(r); i++)
		text_char(&t, letters[r[i] % (sizeof(letters) - 1)]);
	j_set_str(j_obj(obj, "metadata"), "name", t.p);
	text_free(&t);
}

/* Namespace and name of the object against those of the URL. */
static bool place_object(struct op *o, cJSON *obj)
{
	cJSON *meta = j_obj(obj, "metadata");
	const char *ns = j_str(meta, "namespace"), *name = j_str(meta, "name");

	if (o->to->ns && *ns && strcmp(ns, o->to->ns) != 0) {
		answer_error(o->a, 400, NULL,
			"the namespace of the provided object does not match the namespace sent on "
			"the request");
		return false;
	}
	if (o->to->name && *name && strcmp(name, o->to->name) != 0) {
		answer_error(o->a, 400, NULL,
			"the name of the object (%s) does not match the name on the URL (%s)", name,
			o->to->name);
		return false;
	}
	if (o->to->ns)
		j_set_str(meta, "namespace", o->to->ns);
	else
		j_del(meta, "namespace");
	if (o->to->name)
		j_set_str(meta, "name", o->to->name);
	return true;
}

static bool namespace_takes(struct op *o)
{
	const struct coll *c = sim_coll(o->sim, "", "namespaces");
	const struct version *v;
	struct text t = {0};

	if (!o->to->ns)
		return true;
	v = store_get(c, o->to->ns);
	if (v && v->deleting)
		answer_error(o->a, 403, NULL,
			"%s is forbidden: unable to create new content in namespace %s because it "
			"is being terminated",
			o->to->kind->plural, o->to->ns);
	if (!v) {
		text_fmt(&t, "namespaces \"%s\" not found", o->to->ns);
		answer_error_of(o->a, 404, NULL, c->kind, o->to->ns, NULL, t.p);
		text_free(&t);
	}
	return v && !v->deleting;
}

static void set_key(struct op *o, const char *name)
{
	text_clear(&o->key);
	if (o->to->ns)
		text_fmt(&o->key, "%s/", o->to->ns);
	text_str(&o->key, name);
}

/* What only the server says. Nodes alone bring a status along. */
static void strip_for_create(struct op *o, cJSON *obj)
{
	static const char *const meta[] = {"resourceVersion", "selfLink", "deletionTimestamp",
		"deletionGracePeriodSeconds", "managedFields", "generation"};
	const struct kind *k = o->coll->kind;

	for (size_t i = 0; i < sizeof(meta) / sizeof(meta[0]); i++)
		j_del(j_obj(obj, "metadata"), meta[i]);
	if (k->flags & KIND_STATUS && strcmp(k->kind, "Node") != 0)
		j_del(obj, "status");
	if (k->flags & KIND_CUSTOM)
		j_set_num(j_obj(obj, "metadata"), "generation", 1);
	sim_new_meta(obj);
}

static void already_exists(struct op *o, const char *name)
{
	struct text t = {0};
	const struct kind *k = o->to->kind;

	text_fmt(&t, "%s%s%s \"%s\" already exists", k->plural, *k->group ? "." : "", k->group,
		name);
	answer_error_of(o->a, 409, "AlreadyExists", k, name, NULL, t.p);
	text_free(&t);
}

/* obj was read and decoded; 201 with what was stored. */
static void create_object(struct op *o, cJSON *obj)
{
	const char *name;

	if (!place_object(o, obj) || !namespace_takes(o))
		return;
	generate_name(obj);
	name = j_str(obj, "metadata.name");
	set_key(o, name);
	if (*name && store_get(o->coll, o->key.p)) {
		already_exists(o, name);
		return;
	}
	strip_for_create(o, obj);
	if (!admit(o, obj, NULL))
		return;
	set_key(o, j_str(obj, "metadata.name"));
	if (o->dry)
		send_unstored(o, 201, obj, o->sim->store.rv);
	else
		send_version(
			o, 201, sim_store(o->sim, o->coll, o->key.p, obj, "create", o->req->user));
}

/* Would a 403 fault meet what the review is about? */
static bool is_forbidden(const struct op *o, const cJSON *obj)
{
	const char *group = j_str(obj, "spec.resourceAttributes.group"),
		   *ns = j_str(obj, "spec.resourceAttributes.namespace"),
		   *sub = j_str(obj, "spec.resourceAttributes.subresource"),
		   *verb = j_str(obj, "spec.resourceAttributes.verb");
	struct text path = {0};
	bool found = false;

	text_fmt(&path, "%s%s/v1%s%s/%s%s%s", *group ? "/apis/" : "/api", group,
		*ns ? "/namespaces/" : "", ns, j_str(obj, "spec.resourceAttributes.resource"),
		*sub ? "/" : "", sub);
	for (size_t i = 0; i < o->sim->faults.n && !found; i++) {
		const struct fault *f = o->sim->faults.v[i];

		found = f->kind == FAULT_STATUS && f->code == 403 &&
			match_is(&f->match, verb, path.p, o->req->user);
	}
	text_free(&path);
	return found;
}

/* A review: answered, not kept. */
static void review(struct op *o, cJSON *obj)
{
	struct admit a = {.kind = o->to->kind, .obj = obj, .user = o->req->user};

	o->to->kind->admit(&a);
	if (is_forbidden(o, obj))
		j_set(j_obj(obj, "status"), "allowed", cJSON_CreateFalse());
	o->a->status = 201;
	o->a->type = "application/json";
	j_print(obj, &o->a->body);
	admit_free(&a);
}

static void do_create(struct op *o)
{
	cJSON *obj = read_object(o);

	if (!obj)
		return;
	if (o->to->kind->flags & KIND_CREATE_ONLY)
		review(o, obj);
	else if (j_has_str(obj, "metadata.resourceVersion"))
		answer_error(o->a, 500, "",
			"resourceVersion should not be set on objects to be created");
	else if (decode(o, obj))
		create_object(o, obj);
	cJSON_Delete(obj);
}

/* -- update -- */

static void keep_server_meta(cJSON *obj, const cJSON *old)
{
	static const char *const kept[] = {"uid", "creationTimestamp", "deletionTimestamp",
		"deletionGracePeriodSeconds", "generation", "generateName", "resourceVersion"};
	cJSON *meta = j_obj(obj, "metadata");

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		j_copy(meta, j_get(old, "metadata"), kept[i]);
	j_del(meta, "selfLink");
	j_copy(meta, j_get(old, "metadata"), "managedFields");
}

/* /status changes the status (and metadata, not of custom resources); the rest changes all else. */
static void keep_other_half(struct op *o, cJSON *obj, const cJSON *old)
{
	const struct kind *k = o->coll->kind;
	cJSON *v, *next;

	if (!(k->flags & KIND_STATUS))
		return;
	if (!o->status_sub) {
		j_copy(obj, old, "status");
		return;
	}
	for (v = obj->child; v; v = next) {
		next = v->next;
		if (strcmp(v->string, "status") != 0 && strcmp(v->string, "metadata") != 0)
			cJSON_Delete(cJSON_DetachItemViaPointer(obj, v));
	}
	for (v = old->child; v; v = v->next) {
		if (strcmp(v->string, "status") != 0 && strcmp(v->string, "metadata") != 0)
			j_set(obj, v->string, j_dup(v));
	}
	if (k->flags & KIND_CUSTOM)
		j_copy(obj, old, "metadata");
}

static void count_generation(struct op *o, cJSON *obj, const cJSON *old)
{
	if (!(o->coll->kind->flags & KIND_CUSTOM) || o->status_sub)
		return;
	if (!j_eq(j_get(obj, "spec"), j_get(old, "spec")))
		j_set_num(j_obj(obj, "metadata"), "generation",
			j_num(old, "metadata.generation", 0) + 1);
}

/* In 1.20 Services had an update of their own: without a version or for what is gone it fails. */
static bool is_old_service(const struct op *o)
{
	return o->sim->kinds.old && strcmp(o->coll->kind->plural, "services") == 0;
}

/* resourceVersion and uid that the request carries: of a PUT the uid is a precondition, of a patch
 * a change that is not allowed. */
static bool preconditions_hold(struct op *o, const cJSON *obj, const struct version *was)
{
	const char *rv = j_str(obj, "metadata.resourceVersion"), *uid = j_str(obj, "metadata.uid");
	const char *name = version_name(was);
	uint64_t n = 0;

	if (*uid && strcmp(uid, was->uid) != 0 && !o->is_patch) {
		uid_conflict(o, name, uid, was->uid);
		return false;
	}
	if (*rv && strcmp(rv, "0") != 0 && !parse_u64(rv, &n)) {
		answer_error(
			o->a, 400, NULL, "metadata.resourceVersion: Invalid value: \"%.64s\"", rv);
		return false;
	}
	if (!n && (!(o->coll->kind->flags & KIND_BLIND_PUT) || is_old_service(o))) {
		answer_error_of(o->a, 422, NULL, o->coll->kind, name, NULL,
			"metadata.resourceVersion: Invalid value: 0x0: must be specified for an "
			"update");
		return false;
	}
	if (n && n != was->rv) {
		conflict(o, name, modified);
		return false;
	}
	if (*uid && strcmp(uid, was->uid) != 0) {
		answer_error_of(o->a, 422, NULL, o->coll->kind, name, NULL,
			"metadata.uid: Invalid value: field is immutable");
		return false;
	}
	return true;
}

/* The last finalizer of an object that is being deleted is gone. */
static bool finished(const cJSON *obj)
{
	return j_has_str(obj, "metadata.deletionTimestamp") && !j_len(obj, "metadata.finalizers") &&
	       strcmp(j_str(obj, "kind"), "Namespace") != 0;
}

static void store_update(struct op *o, cJSON *obj, const cJSON *old, struct version *was)
{
	const char *verb = o->status_sub ? "update-status" : "update";

	if (j_eq(obj, old)) {
		send_version(o, 200, was);
	} else if (o->dry) {
		send_unstored(o, 200, obj, was->rv);
	} else if (finished(obj)) {
		send_version(o, 200, sim_store(o->sim, o->coll, o->key.p, obj, verb, o->req->user));
		sim_remove(o->sim, o->coll, o->key.p, "delete", o->req->user);
	} else {
		send_version(o, 200, sim_store(o->sim, o->coll, o->key.p, obj, verb, o->req->user));
	}
}

/* Services alone, of which lbd asks it: status.loadBalancer is owned by who changed it last.  The
 * manager is what the user agent says before the first '/'. */
static void note_manager(struct op *o, cJSON *obj, const cJSON *old)
{
	const char *manager = request_param(o->req, "fieldManager"), *agent = o->req->user_agent;
	cJSON *list, *entry, *fields;
	char now[32];

	if (strcmp(o->coll->kind->plural, "services") != 0 ||
		j_eq(j_at(obj, "status.loadBalancer"), j_at(old, "status.loadBalancer")))
		return;
	entry = cJSON_CreateObject();
	j_set_str(entry, "manager", manager);
	if (!*manager) {
		char *name = xstrndup(agent, strcspn(agent, "/"));

		j_set_str(entry, "manager", name);
		free(name);
	}
	j_set_str(entry, "operation", "Update");
	j_set_str(entry, "apiVersion", "v1");
	time_now(now);
	j_set_str(entry, "time", now);
	j_set_str(entry, "fieldsType", "FieldsV1");
	fields = j_obj(j_obj(j_obj(entry, "fieldsV1"), "f:status"), "f:loadBalancer");
	(void)j_obj(fields, "f:ingress");
	if (!o->sim->kinds.old && o->status_sub)
		j_set_str(entry, "subresource", "status");
	list = cJSON_CreateArray();
	cJSON_AddItemToArray(list, entry);
	j_set(j_obj(obj, "metadata"), "managedFields", list);
}

/* obj: the whole new object, in the stored form. */
static void update_object(struct op *o, cJSON *obj, struct version *was)
{
	cJSON *old;

	if (!place_object(o, obj) || !preconditions_hold(o, obj, was))
		return;
	old = version_parse(was);
	version_ref(was);
	/* apiVersion and kind may be absent from a request */
	j_copy(obj, old, "apiVersion");
	j_copy(obj, old, "kind");
	keep_server_meta(obj, old);
	keep_other_half(o, obj, old);
	if (admit(o, obj, old)) {
		count_generation(o, obj, old);
		note_manager(o, obj, old);
		store_update(o, obj, old, was);
	}
	version_unref(was);
	cJSON_Delete(old);
}

static void put_missing(struct op *o, cJSON *obj)
{
	const char *uid = j_str(obj, "metadata.uid");

	if (is_old_service(o)) {
		no_such(o, o->to->name);
	} else if (*uid) {
		uid_conflict(o, o->to->name, uid, "");
	} else if (o->coll->kind->flags & KIND_CREATE_ON_PUT && !o->status_sub) {
		create_object(o, obj);
	} else {
		no_such(o, o->to->name);
	}
}

static void do_update(struct op *o)
{
	cJSON *obj = read_object(o);
	struct version *was = store_get(o->coll, o->key.p);

	if (obj && decode(o, obj)) {
		if (was)
			update_object(o, obj, was);
		else
			put_missing(o, obj);
	}
	cJSON_Delete(obj);
}

/* -- patch -- */

enum patch_type { PATCH_MERGE, PATCH_JSON, PATCH_STRATEGIC, PATCH_APPLY, PATCH_UNKNOWN };

static enum patch_type patch_type(const struct op *o)
{
	bool custom = (o->coll->kind->flags & KIND_CUSTOM) != 0;

	if (type_is(o->req, "application/merge-patch+json"))
		return PATCH_MERGE;
	if (type_is(o->req, "application/json-patch+json"))
		return PATCH_JSON;
	if (type_is(o->req, "application/strategic-merge-patch+json") && !custom)
		return PATCH_STRATEGIC;
	if (type_is(o->req, "application/apply-patch+yaml"))
		return PATCH_APPLY;
	return PATCH_UNKNOWN;
}

/* The stored object in the form the request speaks. */
static cJSON *current_tree(struct op *o, const struct version *was)
{
	cJSON *obj = version_parse(was);
	char version[128];

	if (o->to->kind == o->coll->kind)
		return obj;
	kind_api_version(o->to->kind, version, sizeof(version));
	if (o->to->kind->from_stored)
		o->to->kind->from_stored(obj);
	j_set_str(obj, "apiVersion", version);
	return obj;
}

/* True: *obj is patched. */
static bool apply_patch(struct op *o, cJSON **obj, const cJSON *patch, enum patch_type type)
{
	struct text err = {0};
	int code = 0;

	if (type != PATCH_JSON && !cJSON_IsObject(patch)) {
		answer_error(o->a, 400, NULL, "json: cannot unmarshal the patch into an object");
		return false;
	}
	switch (type) {
	case PATCH_MERGE:
		*obj = patch_merge(*obj, patch);
		break;
	case PATCH_JSON:
		code = patch_json(obj, patch, &err);
		break;
	case PATCH_STRATEGIC:
	case PATCH_APPLY:
		patch_strategic(*obj, patch);
		break;
	case PATCH_UNKNOWN:
		code = 415;
		break;
	}
	if (!code && !cJSON_IsObject(*obj)) {
		text_str(&err, "the patched object is no object");
		code = 422;
	}
	if (code)
		answer_error(o->a, code, NULL, "%s", err.p ? err.p : "");
	text_free(&err);
	return !code;
}

static void patch_existing(
	struct op *o, struct version *was, const cJSON *patch, enum patch_type type)
{
	cJSON *obj = current_tree(o, was);

	if (apply_patch(o, &obj, patch, type)) {
		/* a patch that takes the version away asks for none */
		if (!j_has_str(obj, "metadata.resourceVersion")) {
			struct text rv = {0};

			text_u64(&rv, was->rv);
			j_set_str(j_obj(obj, "metadata"), "resourceVersion", rv.p);
			text_free(&rv);
		}
		if (gvk_matches(o, obj) && decode(o, obj))
			update_object(o, obj, was);
	}
	cJSON_Delete(obj);
}

static void apply_missing(struct op *o, const cJSON *patch)
{
	cJSON *obj = cJSON_CreateObject();

	patch_strategic(obj, patch);
	if (j_has_str(obj, "metadata.resourceVersion") || j_has_str(obj, "metadata.uid"))
		uid_conflict(o, o->to->name, j_str(obj, "metadata.uid"), "");
	else if (gvk_matches(o, obj) && decode(o, obj))
		create_object(o, obj);
	cJSON_Delete(obj);
}

static bool apply_is_proper(struct op *o, const cJSON *patch)
{
	const char *why = NULL;

	if (!*request_param(o->req, "fieldManager"))
		why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is "
		      "required for apply patch";
	else if (!j_has_str(patch, "apiVersion") || !j_has_str(patch, "kind"))
		why = "apply patch must set apiVersion and kind";
	if (why)
		answer_error(o->a, why[0] == 'P' ? 422 : 400, NULL, "%s", why);
	return !why;
}

static void do_patch(struct op *o)
{
	enum patch_type type = patch_type(o);
	struct version *was = store_get(o->coll, o->key.p);
	cJSON *patch;

	o->is_patch = true;
	patch = type == PATCH_UNKNOWN ? NULL : j_parse(o->req->body, o->req->body_len);
	if (type == PATCH_UNKNOWN || (type == PATCH_APPLY && !patch))
		answer_error(o->a, 415, NULL,
			"the body of the request was in an unknown format - accepted media types "
			"include: application/json-patch+json, application/merge-patch+json, "
			"application/apply-patch+yaml (JSON only)");
	else if (!patch)
		answer_error(o->a, 400, NULL, "error decoding patch: not a JSON value");
	else if (type == PATCH_APPLY && !apply_is_proper(o, patch))
		;
	else if (was)
		patch_existing(o, was, patch, type);
	else if (type == PATCH_APPLY && !o->status_sub)
		apply_missing(o, patch);
	else
		no_such(o, o->to->name);
	cJSON_Delete(patch);
}

/* -- delete -- */

static bool delete_allowed(struct op *o, const struct version *v, const cJSON *options)
{
	const char *rv = j_str(options, "preconditions.resourceVersion");
	const char *uid = j_str(options, "preconditions.uid");
	struct text t = {0};

	if (*uid && strcmp(uid, v->uid) != 0)
		text_fmt(&t, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
			uid, v->uid);
	else if (*rv && strtoull(rv, NULL, 10) != v->rv)
		text_fmt(&t,
			"Precondition failed: ResourceVersion in precondition: %s, ResourceVersion "
			"in object meta: %llu",
			rv, (unsigned long long)v->rv);
	if (!t.n)
		return true;
	conflict(o, version_name(v), t.p);
	text_free(&t);
	return false;
}

static void deleted_status(struct op *o, const struct version *v)
{
	struct text *t = &o->a->body;

	o->a->status = 200;
	o->a->type = "application/json";
	text_fmt(t,
		"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\","
		"\"details\":{\"name\":\"%s\",",
		version_name(v));
	if (*o->to->kind->group)
		text_fmt(t, "\"group\":\"%s\",", o->to->kind->group);
	text_fmt(t, "\"kind\":\"%s\",\"uid\":\"%s\"}}\n", o->to->kind->plural, v->uid);
}

static void delete_version(struct op *o, struct version *v)
{
	bool gone = o->dry;

	version_ref(v);
	if (!o->dry)
		gone = sim_delete(o->sim, o->coll, o->key.p, "delete", o->req->user);
	if (gone && !(o->to->kind->flags & KIND_RETURN_DELETED))
		deleted_status(o, v);
	else
		send_version(o, 200, gone ? v : store_get(o->coll, o->key.p));
	version_unref(v);
}

/* False: a body that is no JSON object. */
static bool read_options(struct op *o, cJSON **ret)
{
	*ret = NULL;
	if (!o->req->body_len)
		return true;
	*ret = is_proto(o->req) ? proto_decode(o->req->body, o->req->body_len)
				: j_parse(o->req->body, o->req->body_len);
	if (cJSON_IsObject(*ret)) {
		o->dry = o->dry || j_len(*ret, "dryRun");
		return true;
	}
	cJSON_Delete(*ret);
	answer_error(o->a, 400, NULL, "couldn't read DeleteOptions");
	return false;
}

static void do_delete(struct op *o)
{
	struct version *v = store_get(o->coll, o->key.p);
	cJSON *options;

	if (!read_options(o, &options))
		return;
	if (!v)
		no_such(o, o->to->name);
	else if (delete_allowed(o, v, options))
		delete_version(o, v);
	cJSON_Delete(options);
}

/* -- lists -- */

static bool make_filter(struct op *o, struct filter *f)
{
	struct text err = {0};
	bool ok;

	*f = (struct filter){0};
	if (o->to->ns)
		f->ns = xstrdup(o->to->ns);
	if (o->to->name)
		f->name = xstrdup(o->to->name);
	ok = filter_labels(f, request_param(o->req, "labelSelector"), &err) &&
	     filter_fields(f, o->to->kind, request_param(o->req, "fieldSelector"), &err);
	if (!ok) {
		answer_error(o->a, 400, NULL, "%s", err.p ? err.p : "bad selector");
		filter_free(f);
	}
	text_free(&err);
	return ok;
}

/* A continue token: base64url of "version key-of-the-last-item"; version 0: whatever is now. */
static void token_make(uint64_t rv, const char *last, struct text *ret)
{
	struct text plain = {0};

	text_fmt(&plain, "%llu %s", (unsigned long long)rv, last);
	b64_encode(plain.p, plain.n, ret);
	text_free(&plain);
	for (size_t i = 0; i < ret->n; i++) {
		if (ret->p[i] == '+')
			ret->p[i] = '-';
		else if (ret->p[i] == '/')
			ret->p[i] = '_';
	}
	while (ret->n && ret->p[ret->n - 1] == '=')
		ret->p[--ret->n] = '\0';
}

static bool token_parse(const char *token, uint64_t *ret_rv, struct text *ret_last)
{
	struct text b64 = {0}, plain = {0};
	char *space;
	bool ok;

	text_str(&b64, token);
	for (size_t i = 0; i < b64.n; i++) {
		if (b64.p[i] == '-')
			b64.p[i] = '+';
		else if (b64.p[i] == '_')
			b64.p[i] = '/';
	}
	while (b64.n % 4)
		text_char(&b64, '=');
	ok = b64_decode(b64.p, &plain) && (space = strchr(plain.p, ' '));
	if (ok) {
		*space = '\0';
		ok = parse_u64(plain.p, ret_rv);
		text_str(ret_last, space + 1);
	}
	text_free(&b64);
	text_free(&plain);
	return ok;
}

struct listing {
	uint64_t rv;      /* of the answer */
	bool past;        /* as it was at rv */
	struct text last; /* owned; start after this key */
	uint64_t limit;   /* 0: all */
	struct filter filter;
	struct version **v; /* owned array, borrowed versions */
	size_t n, cap;
	bool more;
	uint64_t left;
	struct text next; /* owned */
};

static void listing_free(struct listing *l)
{
	text_free(&l->last);
	text_free(&l->next);
	filter_free(&l->filter);
	free(l->v);
}

static size_t first_index(struct version *const *v, size_t n, const struct listing *l)
{
	struct text prefix = {0};
	size_t i = 0, from = 0;

	if (l->filter.ns) {
		text_fmt(&prefix, "%s/", l->filter.ns);
		i = versions_find(v, n, prefix.p);
		text_free(&prefix);
	}
	if (l->last.n) {
		from = versions_find(v, n, l->last.p);
		if (from < n && !strcmp(v[from]->key, l->last.p))
			from++;
	}
	return from > i ? from : i;
}

static void select_page(struct listing *l, const struct kind *k, struct version *const *v, size_t n)
{
	for (size_t i = first_index(v, n, l); i < n; i++) {
		if (l->filter.ns && (strncmp(v[i]->key, l->filter.ns, strlen(l->filter.ns)) != 0 ||
					    v[i]->key[strlen(l->filter.ns)] != '/'))
			break;
		if (!filter_match(&l->filter, k, v[i]))
			continue;
		if (l->limit && l->n >= l->limit) {
			l->more = true;
			l->left++;
			continue;
		}
		l->v = xgrow(l->v, l->n, &l->cap, sizeof(struct version *));
		l->v[l->n++] = v[i];
	}
}

static void send_list(struct op *o, struct listing *l)
{
	struct list_meta meta = {.rv = l->rv};

	if (l->more) {
		token_make(l->rv, l->v[l->n - 1]->key, &l->next);
		meta.next = l->next.p;
		meta.remaining = l->left;
		meta.has_remaining = !l->filter.nlabels && !l->filter.nfields;
	}
	o->a->status = 200;
	o->a->type = "application/json";
	render_list(&o->render, l->v, l->n, &meta, &o->a->body);
}

static void send_expired(struct op *o, const struct listing *l)
{
	struct text fresh = {0}, *t = &o->a->body;

	if (!*request_param(o->req, "continue")) {
		answer_error(o->a, 410, "Expired",
			"The resourceVersion for the provided list is too old.");
		return;
	}
	token_make(0, l->last.p ? l->last.p : "", &fresh);
	o->a->status = 410;
	o->a->type = "application/json";
	text_fmt(t,
		"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{\"continue\":\"%s\"},"
		"\"status\":\"Failure\",\"message\":\"The provided continue parameter is too old "
		"to "
		"display a consistent list result. You can start a new list without the continue "
		"parameter, or use the continue token in this response to retrieve the remainder "
		"of the results.\",\"reason\":\"Expired\",\"code\":410}\n",
		fresh.p);
	text_free(&fresh);
}

/* What the query asks for: which version, where to start. False: answered. */
static bool listing_version(struct op *o, struct listing *l)
{
	const char *token = request_param(o->req, "continue");
	const char *rv = request_param(o->req, "resourceVersion");
	const char *match = request_param(o->req, "resourceVersionMatch");
	uint64_t want = 0, now = o->sim->store.rv;

	l->rv = now;
	if (*token) {
		if (!token_parse(token, &want, &l->last) || want > now) {
			answer_error(o->a, 400, NULL, "continue key is not valid");
			return false;
		}
		l->past = want != 0;
		l->rv = want ? want : now;
		return true;
	}
	if (*rv && !parse_u64(rv, &want)) {
		answer_error(o->a, 500, "", "resourceVersion: Invalid value: \"%.64s\"", rv);
		return false;
	}
	if (want > now) {
		answer_error(o->a, 504, "Timeout",
			"Too large resource version: %llu, current: %llu", (unsigned long long)want,
			(unsigned long long)now);
		text_str(&o->a->headers, "Retry-After: 1\r\n");
		o->a->delay_ms = WAIT_FOR_FUTURE_MS;
		return false;
	}
	/* from the watch cache, version 0 gives everything at once */
	if (*rv && !want)
		l->limit = 0;
	l->past = !strcmp(match, "Exact");
	if (l->past)
		l->rv = want;
	return true;
}

static void stale(struct op *o, struct listing *l)
{
	if (!o->req->stale_rv || o->req->stale_rv >= l->rv)
		return;
	l->past = true;
	l->rv = o->req->stale_rv > o->coll->floor_rv ? o->req->stale_rv : o->coll->floor_rv;
}

static bool changed_since(const struct coll *c, uint64_t rv)
{
	return c->next_seq > c->first_seq && c->ring[(c->next_seq - 1) % c->ring_cap].rv > rv;
}

static void list_from(struct op *o, struct listing *l)
{
	struct snapshot snap;

	if (!l->past || (l->rv >= o->coll->floor_rv && !changed_since(o->coll, l->rv))) {
		select_page(l, o->to->kind, o->coll->v, o->coll->n);
		send_list(o, l);
		return;
	}
	if (!store_snapshot(o->coll, l->rv, &snap)) {
		send_expired(o, l);
		return;
	}
	select_page(l, o->to->kind, snap.v, snap.n);
	send_list(o, l);
	snapshot_free(&snap);
}

static void do_list(struct op *o)
{
	struct listing l = {0};
	const char *limit = request_param(o->req, "limit");

	if (!make_filter(o, &l.filter))
		return;
	if (*limit && *limit != '-' && (!parse_u64(limit, &l.limit) || l.limit > LIST_MAX))
		answer_error(o->a, 400, NULL, "limit: Invalid value: \"%.64s\"", limit);
	else if (listing_version(o, &l)) {
		stale(o, &l);
		list_from(o, &l);
	}
	listing_free(&l);
}

static void do_get(struct op *o)
{
	struct version *v = store_get(o->coll, o->key.p);
	struct snapshot snap = {0};
	uint64_t rv = o->req->stale_rv;

	if (rv && changed_since(o->coll, rv)) {
		v = NULL;
		(void)store_snapshot(
			o->coll, rv > o->coll->floor_rv ? rv : o->coll->floor_rv, &snap);
		for (size_t i = 0; i < snap.n; i++) {
			if (!strcmp(snap.v[i]->key, o->key.p))
				v = snap.v[i];
		}
	}
	if (v)
		send_version(o, 200, v);
	else
		no_such(o, o->to->name);
	snapshot_free(&snap);
}

static void do_watch(struct op *o)
{
	const char *rv = request_param(o->req, "resourceVersion");
	const char *timeout = request_param(o->req, "timeoutSeconds");
	struct stream_conf conf = {.render = o->render,
		.bookmarks = request_flag(o->req, "allowWatchBookmarks"),
		.initial_end = request_flag(o->req, "sendInitialEvents"),
		.bookmark_ms = o->sim->options.bookmark_ms,
		.timeout_ms = WATCH_DEFAULT_MS};
	struct filter filter;
	uint64_t seconds = 0;

	if (!make_filter(o, &filter))
		return;
	if ((*rv && !parse_u64(rv, &conf.from_rv)) || (*timeout && !parse_u64(timeout, &seconds))) {
		answer_error(o->a, 400, NULL, "resourceVersion or timeoutSeconds: Invalid value");
		filter_free(&filter);
		return;
	}
	if (seconds && seconds < 1000000)
		conf.timeout_ms = seconds * 1000;
	conf.filter = &filter;
	conf.initial = !conf.from_rv || conf.initial_end;
	o->a->status = 200;
	o->a->type = "application/json";
	o->a->stream = stream_new(o->sim, o->coll, &conf, mono_ms(), &o->a->body);
}

/* -- collections -- */

static void delete_one(struct op *o, struct version *v)
{
	set_key(o, version_name(v));
	if (!o->to->ns) {
		text_clear(&o->key);
		text_str(&o->key, v->key);
	}
	if (!o->dry && store_get(o->coll, o->key.p))
		(void)sim_delete(o->sim, o->coll, o->key.p, "deletecollection", o->req->user);
}

static void do_delete_collection(struct op *o)
{
	struct listing l = {.rv = o->sim->store.rv};
	cJSON *options;

	if (!read_options(o, &options))
		return;
	cJSON_Delete(options);
	if (!make_filter(o, &l.filter))
		return;
	select_page(&l, o->to->kind, o->coll->v, o->coll->n);
	for (size_t i = 0; i < l.n; i++)
		version_ref(l.v[i]);
	send_list(o, &l);
	for (size_t i = 0; i < l.n; i++) {
		delete_one(o, l.v[i]);
		version_unref(l.v[i]);
	}
	listing_free(&l);
}

/* -- dispatch -- */

static bool sub_is_served(const struct op *o)
{
	const struct route *to = o->to;

	if (!to->sub)
		return true;
	return !strcmp(to->sub, "status") && to->kind->flags & KIND_STATUS &&
	       (!strcmp(to->verb, "get") || !strcmp(to->verb, "update") ||
		       !strcmp(to->verb, "patch"));
}

static bool verb_is_served(const struct op *o)
{
	const char *verb = o->to->verb;

	if (o->to->kind->flags & KIND_CREATE_ONLY)
		return !strcmp(verb, "create") && !o->to->name;
	if (!strcmp(verb, "create"))
		/* a namespaced object needs its namespace */
		return !o->to->name && (o->to->ns || !(o->to->kind->flags & KIND_NAMESPACED));
	if (!strcmp(verb, "update") || !strcmp(verb, "patch"))
		return o->to->name != NULL;
	return strcmp(verb, "other") != 0;
}

static void dispatch(struct op *o)
{
	static const struct {
		const char *verb;
		void (*run)(struct op *o);
	} verbs[] = {
		{"get", do_get},
		{"list", do_list},
		{"watch", do_watch},
		{"create", do_create},
		{"update", do_update},
		{"patch", do_patch},
		{"delete", do_delete},
		{"deletecollection", do_delete_collection},
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(verbs[i].verb, o->to->verb))
			verbs[i].run(o);
	}
}

void rest_handle(struct sim *s, const struct request *r, const struct route *to, struct answer *a)
{
	struct op o = {.sim = s, .req = r, .to = to, .a = a};
	const char *include = request_param(r, "includeObject");

	o.coll = store_coll(&s->store, &s->kinds, to->kind);
	o.dry = !strcmp(request_param(r, "dryRun"), "All");
	o.status_sub = to->sub != NULL;
	o.render = (struct render){.kind = to->kind, .coll = o.coll};
	if (!strcmp(include, "Object"))
		o.render.include = INCLUDE_OBJECT;
	else if (!strcmp(include, "None"))
		o.render.include = INCLUDE_NONE;
	set_key(&o, to->name ? to->name : "");
	if (!sub_is_served(&o))
		answer_error(a, 404, NULL, "the server could not find the requested resource");
	else if (!verb_is_served(&o))
		answer_error(a, 405, NULL,
			"the server does not allow this method on the requested resource");
	else if (!render_accept(&o.render, r->accept))
		answer_error(a, 406, NULL,
			"only the following media types are accepted: application/json");
	else
		dispatch(&o);
	text_free(&o.key);
}
