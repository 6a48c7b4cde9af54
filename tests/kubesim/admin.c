/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.c - /kubesim/: faults, counts, the journal, things done in bulk.
 *
 * In:   requests of admins, or from the control socket.
 * Out:  JSON; faults set, objects made through rest.c as any client's would be.
 */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_LIMIT = 100000, BULK_MAX = 200000 };

static void ok(struct answer *a)
{
	a->status = 200;
	a->type = "application/json";
	if (!a->body.n)
		text_str(&a->body, "{}\n");
}

static void bad(struct answer *a, const char *why)
{
	answer_error(a, 400, NULL, "%s", why);
}

static bool method_is(const struct request *r, const char *method)
{
	return !strcmp(r->method, method);
}

/* The body's JSON object, or one made of nothing; NULL: refused. */
static cJSON *body_of(const struct request *r, struct answer *a)
{
	cJSON *v = r->body_len ? j_parse(r->body, r->body_len) : cJSON_CreateObject();

	if (cJSON_IsObject(v))
		return v;
	cJSON_Delete(v);
	bad(a, "the body is no JSON object");
	return NULL;
}

/* -- faults -- */

static void compact_matching(struct sim *s, const struct match *m)
{
	for (size_t i = 0; i < s->store.n; i++) {
		struct coll *c = s->store.colls[i];
		struct text path = {0};

		text_fmt(&path, "%s%s/%s/%s", *c->kind->group ? "/apis/" : "/api", c->kind->group,
			c->kind->version, c->kind->plural);
		if (!m->path || match_is(&(struct match){.path = m->path}, "", path.p, ""))
			store_compact(&s->store, c);
		text_free(&path);
	}
}

static void fault_gone(void *ctx, struct fault *f)
{
	struct sim *s = ctx;

	if (f->kind == FAULT_FREEZE && s->thaw)
		s->thaw(s->ctx, f->id);
}

static void fault_started(struct sim *s, struct fault *f)
{
	unsigned id = f->id;

	if (f->kind == FAULT_FREEZE && s->freeze)
		s->freeze(s->ctx, &f->match, id);
	if (f->kind == FAULT_CUT && s->cut) {
		f->hits++;
		s->cut(s->ctx, &f->match, f->reset);
	}
	if (f->kind == FAULT_COMPACT)
		compact_matching(s, &f->match);
	if (f->kind == FAULT_COMPACT || (f->kind == FAULT_CUT && !f->every_ms))
		(void)fault_remove(&s->faults, id, NULL, NULL);
}

static void fault_post(struct sim *s, const struct request *r, struct answer *a)
{
	cJSON *spec = body_of(r, a);
	struct text err = {0};
	struct fault *f;

	if (!spec)
		return;
	f = fault_add(&s->faults, spec, s->store.rv, &err);
	if (f) {
		text_fmt(&a->body, "{\"id\":%u}\n", f->id);
		ok(a);
		fault_started(s, f);
	} else {
		bad(a, err.p);
	}
	text_free(&err);
	cJSON_Delete(spec);
}

static void fault_request(
	struct sim *s, const struct request *r, const char *rest, struct answer *a)
{
	uint64_t id = 0;

	if (method_is(r, "POST") && !*rest) {
		fault_post(s, r, a);
	} else if (method_is(r, "GET")) {
		faults_print(&s->faults, &a->body);
		ok(a);
	} else if (method_is(r, "DELETE") && (!*rest || (parse_u64(rest + 1, &id) && id))) {
		if (fault_remove(&s->faults, (unsigned)id, fault_gone, s))
			ok(a);
		else
			answer_error(a, 404, NULL, "no such fault");
	} else {
		bad(a, "POST, GET, DELETE /kubesim/fault[/id]");
	}
}

/* -- requests made from inside -- */

/* As user "bulk"; the status. */
static int inside(
	struct sim *s, const char *method, const char *path, const cJSON *body, struct answer *a)
{
	struct request r = {.user = auth_intern(&s->auth, "bulk"), .admin = true};
	struct text t = {0};
	struct route to;

	if (body)
		j_print(body, &t);
	r.method = xstrdup(method);
	r.path = xstrdup(path);
	r.accept = xstrdup("");
	r.content_type = xstrdup("application/json");
	r.authorization = xstrdup("");
	r.user_agent = xstrdup("");
	(void)request_set_query(&r, "", 0);
	r.body = t.p;
	r.body_len = t.n;
	route_find(&s->kinds, &r, &to);
	if (to.what == ROUTE_RESOURCE)
		rest_handle(s, &r, &to, a);
	else
		bad(a, "no such kind");
	route_free(&to);
	request_free(&r);
	text_free(&t);
	return a->status;
}

/* Made or replaced. False: a holds the refusal. */
static bool put(
	struct sim *s, const char *collection, const char *name, const cJSON *obj, struct answer *a)
{
	struct answer first = {0};
	struct text path = {0};
	int code = inside(s, "POST", collection, obj, &first);

	answer_free(&first);
	if (code == 409) {
		text_fmt(&path, "%s/%s", collection, name);
		code = inside(s, "PUT", path.p, obj, a);
		text_free(&path);
	} else if (code != 201) {
		code = inside(s, "POST", collection, obj, a);
	}
	if (code == 200 || code == 201)
		text_clear(&a->body);
	return code == 200 || code == 201;
}

static void need_namespace(struct sim *s, const char *ns)
{
	struct answer ignored = {0};
	cJSON *obj = cJSON_CreateObject();

	j_set_str(j_obj(obj, "metadata"), "name", ns);
	if (!store_get(sim_coll(s, "", "namespaces"), ns))
		(void)inside(s, "POST", "/api/v1/namespaces", obj, &ignored);
	answer_free(&ignored);
	cJSON_Delete(obj);
}

/* -- bulk -- */

static cJSON *bulk_service(const cJSON *spec, const char *name)
{
	cJSON *svc = cJSON_CreateObject(), *body, *ports, *port;

	j_set_str(j_obj(svc, "metadata"), "name", name);
	if (cJSON_IsObject(j_get(spec, "annotations")))
		j_copy(j_obj(svc, "metadata"), spec, "annotations");
	if (cJSON_IsObject(j_get(spec, "labels")))
		j_copy(j_obj(svc, "metadata"), spec, "labels");
	if (cJSON_IsObject(j_get(spec, "spec"))) {
		j_copy(svc, spec, "spec");
		return svc;
	}
	body = j_obj(svc, "spec");
	j_set_str(body, "type", "LoadBalancer");
	j_set(body, "allocateLoadBalancerNodePorts", cJSON_CreateFalse());
	ports = cJSON_CreateArray();
	port = cJSON_CreateObject();
	j_set_num(port, "port", 80);
	cJSON_AddItemToArray(ports, port);
	j_set(body, "ports", ports);
	return svc;
}

static bool bulk_one(struct sim *s, const cJSON *spec, const char *ns, const char *path,
	const char *name, struct answer *a)
{
	cJSON *svc = bulk_service(spec, name);
	struct answer one = {0};
	bool done;

	(void)ns;
	done = inside(s, "POST", path, svc, &one) == 201;
	if (!done) {
		answer_free(a);
		*a = one;
	} else {
		answer_free(&one);
	}
	cJSON_Delete(svc);
	return done;
}

static void bulk_post(struct sim *s, const cJSON *spec, struct answer *a)
{
	const char *ns = j_has_str(spec, "namespace") ? j_str(spec, "namespace") : "default";
	const char *prefix = j_has_str(spec, "prefix") ? j_str(spec, "prefix") : "svc-";
	int n = j_int(spec, "services", 0), first = j_int(spec, "first", 0);
	struct text path = {0};
	bool good = n > 0 && n <= BULK_MAX && first >= 0 && first <= BULK_MAX;
	int i = 0;

	if (!good) {
		bad(a, "services: 1..200000");
		return;
	}
	need_namespace(s, ns);
	text_fmt(&path, "/api/v1/namespaces/%s/services", ns);
	for (; good && i < n; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "%.40s%05d", prefix, first + i);
		good = bulk_one(s, spec, ns, path.p, name, a);
	}
	text_free(&path);
	if (!good)
		return;
	text_fmt(&a->body, "{\"created\":%d}\n", i);
	ok(a);
}

static void bulk_delete(struct sim *s, const cJSON *spec, struct answer *a)
{
	const char *ns = j_has_str(spec, "namespace") ? j_str(spec, "namespace") : "default";
	const char *prefix = j_has_str(spec, "prefix") ? j_str(spec, "prefix") : "svc-";
	struct coll *c = sim_coll(s, "", "services");
	struct text start = {0};
	const char *user = auth_intern(&s->auth, "bulk");
	size_t i;
	int n = 0;

	text_fmt(&start, "%s/%s", ns, prefix);
	for (i = coll_find(c, start.p); i < c->n && !strncmp(c->v[i]->key, start.p, start.n);) {
		struct version *v = version_ref(c->v[i]);

		/* one that its finalizer keeps is passed over */
		if (!sim_delete(s, c, v->key, "delete", user))
			i++;
		version_unref(v);
		n++;
	}
	text_free(&start);
	text_fmt(&a->body, "{\"deleted\":%d}\n", n);
	ok(a);
}

static void bulk_request(struct sim *s, const struct request *r, struct answer *a)
{
	cJSON *spec = body_of(r, a);

	if (!spec)
		return;
	if (method_is(r, "POST"))
		bulk_post(s, spec, a);
	else if (method_is(r, "DELETE"))
		bulk_delete(s, spec, a);
	else
		bad(a, "POST or DELETE /kubesim/bulk");
	cJSON_Delete(spec);
}

/* -- endpoints: both forms of one list of backends -- */

static cJSON *port_entry(const cJSON *spec, bool named)
{
	cJSON *port = cJSON_CreateObject();

	if (named)
		j_set_str(port, "name", j_str(spec, "portName"));
	j_set_num(port, "port", j_num(spec, "port", 8080));
	j_set_str(port, "protocol", j_has_str(spec, "protocol") ? j_str(spec, "protocol") : "TCP");
	return port;
}

static cJSON *named_object(const char *name)
{
	cJSON *obj = cJSON_CreateObject();

	j_set_str(j_obj(obj, "metadata"), "name", name);
	return obj;
}

static cJSON *make_endpoints(const cJSON *spec)
{
	cJSON *obj = named_object(j_str(spec, "service")), *subset = cJSON_CreateObject();
	cJSON *up = cJSON_CreateArray(), *down = cJSON_CreateArray(), *subsets, *ports;
	const cJSON *in;

	cJSON_ArrayForEach (in, j_get(spec, "addresses")) {
		cJSON *address = cJSON_CreateObject();

		j_set_str(address, "ip", j_str(in, "ip"));
		if (j_has_str(in, "node"))
			j_set_str(address, "nodeName", j_str(in, "node"));
		cJSON_AddItemToArray(j_bool(in, "ready", true) ? up : down, address);
	}
	subsets = cJSON_CreateArray();
	if (up->child || down->child) {
		if (up->child)
			j_set(subset, "addresses", j_dup(up));
		if (down->child)
			j_set(subset, "notReadyAddresses", j_dup(down));
		ports = cJSON_CreateArray();
		cJSON_AddItemToArray(ports, port_entry(spec, j_has_str(spec, "portName")));
		j_set(subset, "ports", ports);
		cJSON_AddItemToArray(subsets, j_dup(subset));
	}
	j_set(obj, "subsets", subsets);
	cJSON_Delete(subset);
	cJSON_Delete(up);
	cJSON_Delete(down);
	return obj;
}

static cJSON *slice_entry(const cJSON *in, bool old)
{
	cJSON *e = cJSON_CreateObject(), *conditions = j_obj(e, "conditions");
	const char *ip = j_str(in, "ip");
	bool ready = j_bool(in, "ready", true), terminating = j_bool(in, "terminating", false);

	j_set(e, "addresses", j_strings(&ip, 1));
	j_set(conditions, "ready", cJSON_CreateBool(ready));
	j_set(conditions, "serving", cJSON_CreateBool(j_bool(in, "serving", ready)));
	j_set(conditions, "terminating", cJSON_CreateBool(terminating));
	if (j_has_str(in, "node") && old)
		j_set_str(j_obj(e, "topology"), "kubernetes.io/hostname", j_str(in, "node"));
	else if (j_has_str(in, "node"))
		j_set_str(e, "nodeName", j_str(in, "node"));
	return e;
}

static cJSON *make_slice(const cJSON *spec, const char *name, bool v6, bool old)
{
	cJSON *obj = named_object(name), *list = cJSON_CreateArray(), *ports = cJSON_CreateArray();
	const cJSON *in;

	j_set_str(j_obj(j_obj(obj, "metadata"), "labels"), "kubernetes.io/service-name",
		j_str(spec, "service"));
	j_set_str(obj, "addressType", v6 ? "IPv6" : "IPv4");
	cJSON_ArrayForEach (in, j_get(spec, "addresses")) {
		if ((strchr(j_str(in, "ip"), ':') != NULL) == v6)
			cJSON_AddItemToArray(list, slice_entry(in, old));
	}
	j_set(obj, "endpoints", list);
	cJSON_AddItemToArray(ports, port_entry(spec, true));
	j_set(obj, "ports", ports);
	return obj;
}

static bool put_slice(struct sim *s, const cJSON *spec, const char *ns, bool v6, struct answer *a)
{
	struct text path = {0}, name = {0};
	cJSON *slice;
	bool done;

	text_fmt(&path, "/apis/discovery.k8s.io/%s/namespaces/%s/endpointslices",
		s->kinds.old ? "v1beta1" : "v1", ns);
	text_fmt(&name, "%s-kubesim%s", j_str(spec, "service"), v6 ? "-v6" : "");
	slice = make_slice(spec, name.p, v6, s->kinds.old);
	done = put(s, path.p, name.p, slice, a);
	cJSON_Delete(slice);
	text_free(&path);
	text_free(&name);
	return done;
}

static bool has_v6(const cJSON *spec)
{
	const cJSON *in;

	cJSON_ArrayForEach (in, j_get(spec, "addresses")) {
		if (strchr(j_str(in, "ip"), ':'))
			return true;
	}
	return false;
}

static void endpoints_request(struct sim *s, const struct request *r, struct answer *a)
{
	cJSON *spec = body_of(r, a), *endpoints;
	const char *ns = j_has_str(spec, "namespace") ? j_str(spec, "namespace") : "default";
	struct text path = {0};

	if (!spec)
		return;
	if (!method_is(r, "POST")) {
		bad(a, "POST /kubesim/endpoints");
		cJSON_Delete(spec);
		return;
	}
	endpoints = make_endpoints(spec);
	text_fmt(&path, "/api/v1/namespaces/%s/endpoints", ns);
	if (put(s, path.p, j_str(spec, "service"), endpoints, a) &&
		put_slice(s, spec, ns, false, a) &&
		(!has_v6(spec) || put_slice(s, spec, ns, true, a)))
		ok(a);
	text_free(&path);
	cJSON_Delete(endpoints);
	cJSON_Delete(spec);
}

/* -- tokens, CA, state -- */

static void token_request(struct sim *s, const struct request *r, struct answer *a)
{
	cJSON *spec = body_of(r, a);
	const char *token = j_str(spec, "token"), *user = j_str(spec, "user");

	if (!spec)
		return;
	if (method_is(r, "POST") && *token && *user) {
		auth_set_token(&s->auth, token, user);
		ok(a);
	} else if (method_is(r, "DELETE") && (*token || *user)) {
		auth_drop(&s->auth, token, *user ? user : NULL);
		ok(a);
	} else {
		bad(a, "POST {token, user} or DELETE {token or user} /kubesim/token");
	}
	cJSON_Delete(spec);
}

static void save_request(struct sim *s, const struct request *r, struct answer *a)
{
	cJSON *spec = body_of(r, a);
	int err;

	if (!spec)
		return;
	err = j_has_str(spec, "path") ? state_save(s, j_str(spec, "path")) : -EINVAL;
	if (err)
		bad(a, strerror(-err));
	else
		ok(a);
	cJSON_Delete(spec);
}

static void info_request(struct sim *s, struct answer *a)
{
	text_fmt(&a->body, "{\"resourceVersion\":%llu,\"nowNs\":%llu,\"objects\":{",
		(unsigned long long)s->store.rv, (unsigned long long)mono_ns());
	for (size_t i = 0; i < s->store.n; i++)
		text_fmt(&a->body, "%s\"%s\":%zu", i ? "," : "", s->store.colls[i]->kind->plural,
			s->store.colls[i]->n);
	text_str(&a->body, "}}\n");
	ok(a);
}

static void log_request(struct sim *s, const struct request *r, struct answer *a)
{
	uint64_t since = 0, limit = LOG_LIMIT;

	(void)parse_u64(request_param(r, "since"), &since);
	(void)parse_u64(request_param(r, "limit"), &limit);
	journal_print(&s->journal, since, limit < LOG_LIMIT ? limit : LOG_LIMIT, &a->body);
	ok(a);
}

/* {"skewS": N}: the Date header is so much ahead of this machine's clock. */
static void clock_request(struct sim *s, const struct request *r, struct answer *a)
{
	cJSON *spec = cJSON_ParseWithLength(r->body, r->body_len);
	const cJSON *skew = cJSON_GetObjectItemCaseSensitive(spec, "skewS");

	if (cJSON_IsNumber(skew)) {
		s->clock_skew_s = (long)skew->valuedouble;
		ok(a);
	} else {
		answer_error(a, 400, NULL, "want {\"skewS\": N}");
	}
	cJSON_Delete(spec);
}

void admin_handle(struct sim *s, const struct request *r, struct answer *a)
{
	const char *p = r->path + strlen("/kubesim");

	if (!strncmp(p, "/fault", 6) && (!p[6] || p[6] == '/')) {
		fault_request(s, r, p + 6, a);
	} else if (!strcmp(p, "/stats")) {
		stats_print(&s->stats, &a->body);
		ok(a);
	} else if (!strcmp(p, "/stats/reset")) {
		stats_reset(&s->stats);
		ok(a);
	} else if (!strcmp(p, "/log")) {
		log_request(s, r, a);
	} else if (!strcmp(p, "/clock") && method_is(r, "POST")) {
		clock_request(s, r, a);
	} else if (!strcmp(p, "/bulk")) {
		bulk_request(s, r, a);
	} else if (!strcmp(p, "/endpoints")) {
		endpoints_request(s, r, a);
	} else if (!strcmp(p, "/token")) {
		token_request(s, r, a);
	} else if (!strcmp(p, "/save")) {
		save_request(s, r, a);
	} else if (!strcmp(p, "/info")) {
		info_request(s, a);
	} else if (!strcmp(p, "/ca") && method_is(r, "POST")) {
		if (s->new_ca && s->new_ca(s->new_ca_ctx) == 0)
			ok(a);
		else
			answer_error(a, 500, NULL, "no new CA");
	} else {
		answer_error(a, 404, NULL, "no such /kubesim/ path");
	}
}
