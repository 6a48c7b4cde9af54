/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_kube.c - asks the API server what lbd doctor wants to know.
 *
 * Owns: a loop and a client for as long as it takes.
 * In:   /version first; once that is answered, all the rest at the same time.
 * Out:  facts.  What is refused (403) is not known.
 * Sources: Kubernetes "Authorization Overview" (SelfSubjectAccessReview); packaging/rbac.yaml.
 */
#include "doctor_kube.h"

#include "clock.h"
#include "config_field.h"
#include "creds.h"
#include "doctor_proc.h"
#include "json.h"
#include "kube.h"

#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { TIMEOUT_MS = 4000, MAX_ASKS = 128 };
enum { END_MS = 9000 }; /* whatever the server wants (Retry-After) */

struct asker {
	struct doctor_facts *f;
	struct kube *kube; /* owned; NULL = it closes */
	uv_timer_t end;
	size_t open; /* answers that are due */
	struct ask {
		struct asker *a;
		struct doctor_right *right;
	} asks[MAX_ASKS];
	size_t n_asks;
};

/* -- certificates -- */

static int64_t seconds_of(const mbedtls_x509_time *t)
{
	struct tm tm = {.tm_year = t->year - 1900,
		.tm_mon = t->mon - 1,
		.tm_mday = t->day,
		.tm_hour = t->hour,
		.tm_min = t->min,
		.tm_sec = t->sec};

	return (int64_t)timegm(&tm);
}

/* Of several authorities the one that lasts longest: the others may be old ones. */
static void take_certificates(const char *pem, const char *whose, struct doctor_certs *c)
{
	int64_t from_s = 0, until_s = 0;
	mbedtls_x509_crt chain;

	mbedtls_x509_crt_init(&chain);
	if (pem != NULL &&
		mbedtls_x509_crt_parse(&chain, (const unsigned char *)pem, strlen(pem) + 1) >= 0)
		for (const mbedtls_x509_crt *x = &chain; x != NULL && x->raw.p != NULL; x = x->next)
			if (seconds_of(&x->valid_to) > until_s) {
				from_s = seconds_of(&x->valid_from);
				until_s = seconds_of(&x->valid_to);
			}
	mbedtls_x509_crt_free(&chain);
	if (until_s == 0)
		return;
	if (!c->known || from_s > c->from_s) {
		c->from_s = from_s;
		c->from_whose = whose;
	}
	if (!c->known || until_s < c->until_s) {
		c->until_s = until_s;
		c->until_whose = whose;
	}
	c->known = true;
}

static void read_certificates(const char *kubeconfig, const char *context, struct doctor_facts *f)
{
	struct creds *creds = NULL;
	char err[DOCTOR_TEXT];

	if (creds_new(kubeconfig, context, &creds, err, sizeof err) != 0)
		return;
	f->certs.now_s = (int64_t)time(NULL);
	take_certificates(creds_ca(creds), "API server's CA certificate", &f->certs);
	take_certificates(creds_certificate(creds), "client certificate", &f->certs);
	creds_free(creds);
}

/* -- requests -- */

static void ask(struct asker *a, enum kube_verb verb, const char *path, const cJSON *body,
	kube_answer_fn fn, struct doctor_right *right)
{
	const struct kube_request r = {.verb = verb,
		.path = path,
		.body = body,
		.not_after_ms = TIME_NEVER,
		.timeout_ms = TIMEOUT_MS};
	struct ask *slot = &a->asks[a->n_asks];

	if (a->n_asks == MAX_ASKS || a->kube == NULL)
		return;
	*slot = (struct ask){a, right};
	if (kube_request(a->kube, &r, fn, slot) != 0)
		return;
	a->n_asks++;
	a->open++;
}

static void on_closed(void *ctx)
{
	(void)ctx;
}

static void close_all(struct asker *a)
{
	if (a->kube == NULL)
		return;
	kube_close(a->kube, on_closed, NULL);
	a->kube = NULL;
	uv_close((uv_handle_t *)&a->end, NULL);
}

static void on_end(uv_timer_t *timer)
{
	close_all(timer->data);
}

/* After each answer: with the last one the loop ends. */
static void answer_taken(struct asker *a)
{
	if (--a->open == 0)
		close_all(a);
}

static bool is_good(const struct kube_answer *answer)
{
	return answer->result == 0 && answer->status >= 200 && answer->status < 300;
}

/* NULL: it is no list. */
static const cJSON *items_of(const struct kube_answer *answer)
{
	return is_good(answer) ? json_array(answer->body, "items") : NULL;
}

/* -- rights -- */

struct need {
	const char *verbs; /* "list watch" */
	const char *group, *resource, *subresource;
	bool in_namespace; /* in elections.namespace; else in all */
};

/* packaging/rbac.yaml's. Endpoints are for servers of before 1.17 alone. */
static const struct need always[] = {
	{"list watch", "", "services", "", false},
	{"list watch", "", "nodes", "", false},
	{"list watch", "discovery.k8s.io", "endpointslices", "", false},
	{"patch", "", "services", "status", false},
	{"create patch", "", "events", "", false},
	{"get list watch create update", "coordination.k8s.io", "leases", "", true},
};

static const struct need for_namespaces = {"list watch", "", "namespaces", "", false};

static const struct need from_cluster[] = {
	{"list watch", "metallb.io", "ipaddresspools", "", false},
	{"list watch", "metallb.io", "l2advertisements", "", false},
	{"list watch", "metallb.io", "bgpadvertisements", "", false},
	{"list watch", "metallb.io", "bgppeers", "", false},
	{"list watch", "metallb.io", "bfdprofiles", "", false},
	{"list watch", "metallb.io", "communities", "", false},
};

static void on_review(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	const cJSON *status = json_object(answer->body, "status");

	if (is_good(answer) && json_get(status, "allowed") != NULL)
		slot->right->allowed = json_bool(status, "allowed", false) ? DOCTOR_YES : DOCTOR_NO;
	answer_taken(slot->a);
}

static void review(struct asker *a, const struct need *n, const char *verb, const char *namespace_)
{
	struct doctor_api *api = &a->f->api;
	struct doctor_right *right = &api->rights[api->n_rights];
	cJSON *body = cJSON_CreateObject(), *spec, *what;

	if (api->n_rights < DOCTOR_MAX_RIGHTS) {
		api->n_rights++;
		(void)snprintf(right->text, sizeof right->text, "%s %s%s%s%s%s%s%s", verb,
			n->resource, n->subresource[0] != '\0' ? "/" : "", n->subresource,
			n->group[0] != '\0' ? "." : "", n->group,
			n->in_namespace ? " in namespace " : "", n->in_namespace ? namespace_ : "");
		(void)cJSON_AddStringToObject(body, "apiVersion", "authorization.k8s.io/v1");
		(void)cJSON_AddStringToObject(body, "kind", "SelfSubjectAccessReview");
		spec = cJSON_AddObjectToObject(body, "spec");
		what = cJSON_AddObjectToObject(spec, "resourceAttributes");
		(void)cJSON_AddStringToObject(what, "verb", verb);
		(void)cJSON_AddStringToObject(what, "group", n->group);
		(void)cJSON_AddStringToObject(what, "resource", n->resource);
		(void)cJSON_AddStringToObject(what, "subresource", n->subresource);
		if (n->in_namespace)
			(void)cJSON_AddStringToObject(what, "namespace", namespace_);
		ask(a, KUBE_POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body,
			on_review, right);
	}
	cJSON_Delete(body);
}

static void review_each(struct asker *a, const struct need *n, size_t n_needs)
{
	const struct config *c = a->f->conf;
	const char *namespace_ = c != NULL ? c->elections.namespace_ : "kube-system";

	for (size_t i = 0; i < n_needs; i++)
		for (const char *v = n[i].verbs; *v != '\0'; v += strspn(v, " ")) {
			char verb[16];
			const size_t len = strcspn(v, " ");

			(void)snprintf(verb, sizeof verb, "%.*s", (int)len, v);
			review(a, &n[i], verb, namespace_);
			v += len;
		}
}

/* -- what else the cluster tells -- */

static void on_daemonsets(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	const cJSON *item;

	if (is_good(answer))
		slot->a->f->api.daemonsets_listed = DOCTOR_YES;
	cJSON_ArrayForEach (item, items_of(answer)) {
		const cJSON *meta = json_object(item, "metadata");
		const char *ns = json_string(meta, "namespace"), *name = json_string(meta, "name");

		if (ns != NULL && name != NULL)
			(void)doctor_rival_by_object(slot->a->f, "DaemonSet", ns, name);
	}
	answer_taken(slot->a);
}

static void on_kube_proxy(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	const char *text = json_string(json_object(answer->body, "data"), "config.conf");

	if (is_good(answer) && text != NULL)
		doctor_proc_kube_proxy(text, strlen(text), &slot->a->f->api);
	answer_taken(slot->a);
}

static void add_net(struct doctor_api *api, const cJSON *net)
{
	struct addr_prefix p;

	if (cJSON_IsString(net) && api->n_nets < DOCTOR_MAX_NETS &&
		addr_prefix_parse(net->valuestring, strlen(net->valuestring), &p, NULL) == 0)
		api->nets[api->n_nets++] = p;
}

static const char *name_of(const cJSON *item)
{
	return json_string(json_object(item, "metadata"), "name");
}

/* Is the host's Node one of a list? */
static bool has_node(const struct doctor_facts *f, const cJSON *items)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, items)
		if (name_of(item) != NULL && strcmp(name_of(item), f->node) == 0)
			return true;
	return false;
}

static void on_node(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	const cJSON *items = items_of(answer);

	if (items != NULL)
		slot->a->f->api.node_there = has_node(slot->a->f, items) ? DOCTOR_YES : DOCTOR_NO;
	answer_taken(slot->a);
}

/* It is on no page that was listed: asked for alone, by the right to list. */
static void ask_for_node(struct asker *a)
{
	char path[CONFIG_MAX_NAME + 64];

	(void)snprintf(
		path, sizeof path, "/api/v1/nodes?fieldSelector=metadata.name%%3D%s", a->f->node);
	ask(a, KUBE_GET, path, NULL, on_node, NULL);
}

static void take_node_names(struct doctor_api *api, const cJSON *list, const cJSON *items)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, items) {
		if (name_of(item) == NULL)
			continue;
		if (api->n_nodes < DOCTOR_NAMED_NODES)
			(void)snprintf(api->nodes[api->n_nodes], sizeof api->nodes[0], "%s",
				name_of(item));
		api->n_nodes++;
	}
	api->n_nodes += (size_t)json_int(
		json_object(list, "metadata"), "remainingItemCount", 0, INT32_MAX, 0);
}

static void on_nodes(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	const cJSON *item, *net, *items = items_of(answer);
	struct doctor_facts *f = slot->a->f;

	cJSON_ArrayForEach (item, items)
		cJSON_ArrayForEach (net, json_array(json_object(item, "spec"), "podCIDRs"))
			add_net(&f->api, net);
	take_node_names(&f->api, answer->body, items);
	if (has_node(f, items))
		f->api.node_there = DOCTOR_YES;
	else if (config_field_text_ok(CONFIG_TEXT_OBJECT_NAME, f->node))
		ask_for_node(slot->a);
	else if (items != NULL)
		f->api.node_there = DOCTOR_NO;
	answer_taken(slot->a);
}

static void on_kubernetes(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	struct doctor_api *api = &slot->a->f->api;
	const char *ip = json_string(json_object(answer->body, "spec"), "clusterIP");

	api->has_kubernetes_ip = is_good(answer) && ip != NULL &&
				 addr_parse(ip, strlen(ip), &api->kubernetes_ip) == 0;
	answer_taken(slot->a);
}

static void ask_the_rest(struct asker *a)
{
	static const struct {
		const char *path;
		kube_answer_fn fn;
	} gets[] = {
		{"/apis/apps/v1/daemonsets?limit=200", on_daemonsets},
		{"/api/v1/namespaces/kube-system/configmaps/kube-proxy", on_kube_proxy},
		{"/api/v1/nodes?limit=200", on_nodes},
		{"/api/v1/namespaces/default/services/kubernetes", on_kubernetes},
	};
	const struct config *c = a->f->conf;

	review_each(a, always, ARRAY_LEN(always));
	if (c != NULL && config_selects_namespaces(c))
		review_each(a, &for_namespaces, 1);
	if (c != NULL && c->from_cluster)
		review_each(a, from_cluster, ARRAY_LEN(from_cluster));
	for (size_t i = 0; i < ARRAY_LEN(gets); i++)
		ask(a, KUBE_GET, gets[i].path, NULL, gets[i].fn, NULL);
}

/* -- the first answer -- */

static void take_clock(struct doctor_api *api, int64_t date_s)
{
	struct timespec ts;

	if (date_s == 0 || clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return;
	api->has_skew = true; /* a whole second is cut off the date: its middle */
	api->skew_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 - date_s * 1000 - 500;
}

static void on_version(void *ctx, const struct kube_answer *answer)
{
	const struct ask *slot = ctx;
	struct doctor_api *api = &slot->a->f->api;
	const char *version = json_string(answer->body, "gitVersion");

	(void)snprintf(api->err, sizeof api->err, "%s", answer->err);
	take_clock(api, answer->date_s);
	if (answer->result != 0)
		api->state = DOCTOR_API_UNREACHABLE;
	else if (answer->status == 401 || answer->status == 403)
		api->state = DOCTOR_API_REFUSED;
	else if (answer->status >= 500 || version == NULL)
		api->state = DOCTOR_API_UNREACHABLE;
	else
		api->state = DOCTOR_API_ANSWERED;
	if (api->err[0] == '\0' && api->state == DOCTOR_API_UNREACHABLE)
		(void)snprintf(api->err, sizeof api->err,
			"what answers is no Kubernetes (HTTP status %u)", answer->status);
	if (api->state == DOCTOR_API_ANSWERED) {
		(void)snprintf(api->version, sizeof api->version, "%s", version);
		ask_the_rest(slot->a);
	}
	answer_taken(slot->a);
}

static void run(uv_loop_t *loop, const struct kube_where *where, struct asker *a)
{
	struct counters counters = {0};
	struct rng rng = {(uint64_t)time(NULL)};
	struct doctor_api *api = &a->f->api;

	if (kube_new(loop, where, clock_now_ms, &rng, &counters, &a->kube, api->err,
		    sizeof api->err) != 0) {
		api->state = DOCTOR_API_NO_CREDENTIALS;
		return;
	}
	(void)snprintf(api->where, sizeof api->where, "%s", kube_where_text(a->kube));
	api->state = DOCTOR_API_UNREACHABLE;
	REQUIRE(uv_timer_init(loop, &a->end) == 0);
	a->end.data = a;
	REQUIRE(uv_timer_start(&a->end, on_end, END_MS, 0) == 0);
	ask(a, KUBE_GET, "/version", NULL, on_version, NULL);
	if (a->open == 0)
		close_all(a);
	(void)uv_run(loop, UV_RUN_DEFAULT);
}

void doctor_kube_read(const char *kubeconfig, const char *context, struct doctor_facts *f)
{
	const struct kube_where where = {.kubeconfig = kubeconfig, .context = context};
	struct asker *a = calloc(1, sizeof *a);
	uv_loop_t loop;

	(void)snprintf(f->api.err, sizeof f->api.err, "out of memory");
	if (a != NULL && uv_loop_init(&loop) == 0) {
		a->f = f;
		f->api.err[0] = '\0';
		run(&loop, &where, a);
		(void)uv_loop_close(&loop);
		read_certificates(kubeconfig, context, f);
	}
	free(a);
}
