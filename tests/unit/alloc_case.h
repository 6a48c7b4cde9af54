/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc_case.h - the allocation tables' harness: YAML through config_parse(), Services as JSON
 * through cluster_apply(), the allocator, and an API that takes each write and shows it by its
 * watch.
 *
 * A row gives a configuration, steps that went before, one more step, and what must be true then.
 * Steps are separated by ';':
 *   NS/NAME [WORD]...   a Service is created or changed, see case_word(); its identity, and its
 *                       status unless a word sets it, stay
 *   - NS/NAME           it is deleted
 *   edit                the row's second configuration comes
 *   leader              another leader begins with a list of what the API has
 *   +N                  N seconds pass
 *   namespace NAME [LABELS]   a Namespace is there, or has other labels, key:value,...
 *   mute, show          Services are put while no leader looks; then one comes
 * Wants are separated by ';', each about the last step's Service unless it begins with "NS/NAME =
 * ": ADDRESS[,ADDRESS] [~ TEXT]   reason "allocated", the status shows just that, in that order,
 * and the pool's name where lbd wrote it; the detail has TEXT ADDRESS but REASON [TEXT]    the
 * status shows that, and REASON says what is wrong REASON [TEXT]                the status is
 * empty; the detail, or the reason's own text, has TEXT nothing                      lbd has
 * nothing to do with it: no address held, status empty left ADDRESS[,ADDRESS]       lbd holds
 * nothing for it and never wrote its status, which shows that
 */
#ifndef LBD_ALLOC_CASE_H
#define LBD_ALLOC_CASE_H

#include "alloc.h"
#include "check.h"
#include "cluster.h"
#include "config.h"
#include "json.h"

#include <ctype.h>

#define NATIVE                       "apiVersion: lbd.io/v1\nkind: Config\n"
#define POOLS                        NATIVE "pools:\n"
#define POOL(name, addresses)        "- {name: " name ", addresses: [" addresses "]}\n"
#define POOL_(name, addresses, more) "- {name: " name ", addresses: [" addresses "], " more "}\n"
#define METALLB_(name, addresses, more)                                                            \
	"---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n"                               \
	"metadata: {name: " name ", namespace: metallb-system}\n"                                  \
	"spec: {addresses: [" addresses "]" more "}\n"
#define METALLB(name, addresses) METALLB_(name, addresses, "")
#define FOR_NS(ns)               "serviceAllocation: {namespaces: [" ns "]}"
#define FOR(priority, ns)        "serviceAllocation: {priority: " priority ", namespaces: [" ns "]}"
#define SELECTING(selectors)     "serviceAllocation: {serviceSelectors: [" selectors "]}"
/* The pool of most rows. */
#define LAN                      POOLS POOL("lan", "10.0.0.1-10.0.0.9")
#define DUAL                     POOLS POOL("lan", "10.0.0.1-10.0.0.9, 'fd00::1-fd00::9'")

#define EDIT "\f"

struct alloc_case {
	const char *name, *rule; /* where the rule is written */
	const char *config;      /* the second one after EDIT */
	const char *before, *then, *want;
};

enum { CASE_OBJECTS = 32, CASE_TEXT = 512 };

struct case_object {
	char key[80];
	cJSON *json; /* owned */
	unsigned writes;
};

struct case_world {
	struct cluster *cluster;
	struct alloc *alloc;
	struct config *conf; /* owned */
	struct case_object v[CASE_OBJECTS];
	size_t n;
	unsigned long rv, uid;
	uint64_t now_ms;
	bool mute;
};

/* -- JSON -- */

static inline cJSON *case_member(cJSON *o, const char *name)
{
	cJSON *m = cJSON_GetObjectItemCaseSensitive(o, name);

	return m != NULL ? m : cJSON_AddObjectToObject(o, name);
}

static inline void case_set(cJSON *o, const char *name, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(o, name);
	cJSON_AddItemToObject(o, name, value);
}

static inline void case_set_text(cJSON *o, const char *name, const char *text)
{
	case_set(o, name, cJSON_CreateString(text));
}

static inline cJSON *case_list(const char *text)
{
	cJSON *list = cJSON_CreateArray();
	char t[CASE_TEXT], *save = NULL;

	snprintf(t, sizeof t, "%s", text);
	for (char *p = strtok_r(t, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save))
		cJSON_AddItemToArray(list, cJSON_CreateString(p));
	return list;
}

static inline cJSON *case_ports(const char *text)
{
	cJSON *list = cJSON_CreateArray();
	char t[CASE_TEXT], *save = NULL;

	snprintf(t, sizeof t, "%s", text);
	for (char *p = strtok_r(t, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
		char *slash = strchr(p, '/');
		cJSON *port = cJSON_CreateObject();

		*slash = '\0';
		cJSON_AddStringToObject(port, "name", slash + 1);
		cJSON_AddStringToObject(port, "protocol", p);
		cJSON_AddNumberToObject(port, "port", strtod(slash + 1, NULL));
		cJSON_AddItemToArray(list, port);
	}
	return list;
}

/* "key:value,key:value" */
static inline cJSON *case_map(const char *text)
{
	cJSON *map = cJSON_CreateObject();
	char t[CASE_TEXT], *save = NULL;

	snprintf(t, sizeof t, "%s", text);
	for (char *p = strtok_r(t, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(p, ':');

		*colon = '\0';
		cJSON_AddStringToObject(map, p, colon + 1);
	}
	return map;
}

static inline cJSON *case_ingress(const char *field, const char *text)
{
	cJSON *list = cJSON_CreateArray();
	char t[CASE_TEXT], *save = NULL;

	snprintf(t, sizeof t, "%s", text);
	for (char *p = strtok_r(t, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
		cJSON *e = cJSON_CreateObject();

		cJSON_AddStringToObject(e, field, p);
		cJSON_AddItemToArray(list, e);
	}
	return list;
}

static inline void case_set_ingress(cJSON *object, const char *field, const char *text)
{
	case_set(case_member(case_member(object, "status"), "loadBalancer"), "ingress",
		case_ingress(field, text));
}

/* -- a Service's words -- */

static inline void case_families(cJSON *spec, const char *text)
{
	cJSON *ips = cJSON_CreateArray();

	case_set(spec, "ipFamilies", case_list(text));
	for (const char *p = text; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		cJSON_AddItemToArray(ips,
			cJSON_CreateString(strncmp(p, "IPv4", 4) == 0 ? "10.43.0.9" : "fd43::9"));
	case_set_text(spec, "clusterIP", cJSON_GetArrayItem(ips, 0)->valuestring);
	case_set(spec, "clusterIPs", ips);
}

/* As a server before 1.20 shows it: no list, no policy. */
static inline void case_old_server(cJSON *spec, const char *cluster_ip)
{
	cJSON_DeleteItemFromObjectCaseSensitive(spec, "ipFamilies");
	cJSON_DeleteItemFromObjectCaseSensitive(spec, "ipFamilyPolicy");
	cJSON_DeleteItemFromObjectCaseSensitive(spec, "clusterIPs");
	case_set_text(spec, "clusterIP", cluster_ip);
}

/* NAME=VALUE; a NAME with a '/' is an annotation; '|' in VALUE is a blank. */
static inline void case_word(cJSON *object, char *word)
{
	cJSON *spec = case_member(object, "spec"), *meta = case_member(object, "metadata");
	char *value = strchr(word, '=');

	if (value == NULL)
		abort();
	*value++ = '\0';
	for (char *p = value; *p != '\0'; p++)
		*p = *p == '|' ? ' ' : *p;
	if (strchr(word, '/') != NULL)
		case_set_text(case_member(meta, "annotations"), word, value);
	else if (strcmp(word, "ip") == 0)
		case_set_text(spec, "loadBalancerIP", value);
	else if (strcmp(word, "class") == 0)
		case_set_text(spec, "loadBalancerClass", value);
	else if (strcmp(word, "type") == 0)
		case_set_text(spec, "type", value);
	else if (strcmp(word, "traffic") == 0)
		case_set_text(spec, "externalTrafficPolicy", value);
	else if (strcmp(word, "policy") == 0)
		case_set_text(spec, "ipFamilyPolicy", value);
	else if (strcmp(word, "families") == 0)
		case_families(spec, value);
	else if (strcmp(word, "oldserver") == 0)
		case_old_server(spec, value);
	else if (strcmp(word, "ports") == 0)
		case_set(spec, "ports", case_ports(value));
	else if (strcmp(word, "selector") == 0)
		case_set(spec, "selector", case_map(value));
	else if (strcmp(word, "labels") == 0)
		case_set(meta, "labels", case_map(value));
	else if (strcmp(word, "external") == 0)
		case_set(spec, "externalIPs", case_list(value));
	else if (strcmp(word, "created") == 0 || strcmp(word, "deletionTimestamp") == 0)
		case_set_text(meta, word[0] == 'c' ? "creationTimestamp" : word, value);
	else if (strcmp(word, "uid") == 0)
		case_set_text(meta, "uid", value);
	else if (strcmp(word, "status") == 0)
		case_set_ingress(object, "ip", value);
	else if (strcmp(word, "hostname") == 0)
		case_set_ingress(object, "hostname", value);
	else if (strcmp(word, "written") == 0) /* as if lbd had written the status */
		case_set_text(
			case_member(meta, "annotations"), "lbd.io/ip-allocated-from-pool", value);
	else
		abort();
}

/* The plain Service, IPv4, TCP port 80, selector app=web. */
static inline cJSON *case_service(const char *ns, const char *name, unsigned long uid)
{
	cJSON *o = cJSON_CreateObject(), *meta = case_member(o, "metadata"),
	      *spec = case_member(o, "spec");
	char t[40];

	case_set_text(meta, "namespace", ns);
	case_set_text(meta, "name", name);
	snprintf(t, sizeof t, "00000000-0000-4000-8000-%012lu", uid);
	case_set_text(meta, "uid", t);
	snprintf(t, sizeof t, "2024-05-01T10:%02lu:%02luZ", uid / 60 % 60, uid % 60);
	case_set_text(meta, "creationTimestamp", t);
	case_set_text(spec, "type", "LoadBalancer");
	case_set_text(spec, "ipFamilyPolicy", "SingleStack");
	case_set_text(spec, "externalTrafficPolicy", "Cluster");
	case_families(spec, "IPv4");
	case_set(spec, "ports", case_ports("TCP/80"));
	case_set(spec, "selector", case_map("app:web"));
	return o;
}

/* -- the API, and the leader -- */

static inline struct case_object *case_find(struct case_world *w, const char *key)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->v[i].key, key) == 0)
			return &w->v[i];
	}
	return NULL;
}

/* What the picture has taken in goes to the allocator, as the daemon's pass does it. */
static inline void case_pass(struct case_world *w)
{
	for (size_t i = 0; i < cluster_dirty_count(w->cluster); i++) {
		struct cluster_dirty d = cluster_dirty_at(w->cluster, i);
		struct cluster_service s;

		if (!cluster_service(w->cluster, d.key, &s))
			alloc_delete(w->alloc, d.key, w->now_ms);
		else if (alloc_put(w->alloc, &s, w->now_ms) != 0)
			abort();
	}
	cluster_clean(w->cluster);
}

static inline void case_show(struct case_world *w, const struct case_object *o)
{
	char rv[24];

	snprintf(rv, sizeof rv, "%lu", ++w->rv);
	case_set_text(case_member(o->json, "metadata"), "resourceVersion", rv);
	if (w->mute)
		return;
	CHECK_INT(cluster_apply(w->cluster, CLUSTER_SERVICE, CLUSTER_PUT, o->json), 0);
	case_pass(w);
}

/* All writes that may be sent now are taken, and shown by the watch. */
static inline void case_play(struct case_world *w)
{
	struct alloc_write wr;

	for (unsigned n = 0; !w->mute && alloc_next_write(w->alloc, w->now_ms, &wr); n++) {
		struct case_object *o = case_find(w, wr.key);
		cJSON *meta, *notes;
		char t[CASE_TEXT] = "", a[ADDR_STRLEN];

		if (o == NULL || n > 100)
			abort();
		meta = case_member(o->json, "metadata");
		notes = case_member(meta, "annotations");
		CHECK_STR(wr.resource_version, case_member(meta, "resourceVersion")->valuestring);
		for (size_t i = 0; i < wr.n_ips; i++)
			snprintf(t + strlen(t), sizeof t - strlen(t), "%s%s", i > 0 ? "," : "",
				addr_format(wr.ips[i], a));
		case_set_ingress(o->json, "ip", t);
		cJSON_DeleteItemFromObjectCaseSensitive(notes, "lbd.io/ip-allocated-from-pool");
		if (wr.pool != NULL)
			case_set_text(notes, "lbd.io/ip-allocated-from-pool", wr.pool);
		o->writes++;
		alloc_write_done(w->alloc, wr.id, ALLOC_WRITE_OK, w->now_ms);
		case_show(w, o);
	}
}

static inline void case_put(struct case_world *w, char *text)
{
	char *save = NULL, *key = strtok_r(text, " ", &save), *word;
	struct case_object *o = case_find(w, key);
	cJSON *old = o != NULL ? o->json : NULL, *status = NULL, *note, *meta;
	char ns[80];

	if (o == NULL) {
		if (w->n == CASE_OBJECTS)
			abort();
		o = &w->v[w->n++];
		*o = (struct case_object){.json = NULL};
		snprintf(o->key, sizeof o->key, "%s", key);
	}
	snprintf(ns, sizeof ns, "%.*s", (int)strcspn(o->key, "/"), o->key);
	o->json = case_service(ns, strchr(o->key, '/') + 1, ++w->uid);
	meta = case_member(o->json, "metadata");
	if (old != NULL) {
		cJSON *was = case_member(old, "metadata");

		case_set_text(meta, "uid", case_member(was, "uid")->valuestring);
		case_set_text(meta, "creationTimestamp",
			case_member(was, "creationTimestamp")->valuestring);
		status = cJSON_DetachItemFromObjectCaseSensitive(old, "status");
		note = cJSON_DetachItemFromObjectCaseSensitive(
			case_member(was, "annotations"), "lbd.io/ip-allocated-from-pool");
		if (note != NULL)
			case_set(case_member(meta, "annotations"), "lbd.io/ip-allocated-from-pool",
				note);
		if (status != NULL)
			case_set(o->json, "status", status);
	}
	cJSON_Delete(old);
	while ((word = strtok_r(NULL, " ", &save)) != NULL)
		case_word(o->json, word);
	case_show(w, o);
}

static inline void case_delete(struct case_world *w, const char *key)
{
	struct case_object *o = case_find(w, key);

	if (o == NULL)
		abort();
	if (!w->mute) {
		CHECK_INT(cluster_apply(w->cluster, CLUSTER_SERVICE, CLUSTER_DELETE, o->json), 0);
		case_pass(w);
	}
	cJSON_Delete(o->json);
	*o = w->v[--w->n];
}

static inline void case_leader(struct case_world *w)
{
	struct cluster_service s = {0};

	w->mute = false;
	cluster_list_begin(w->cluster, CLUSTER_SERVICE);
	for (size_t i = 0; i < w->n; i++)
		CHECK_INT(cluster_apply(w->cluster, CLUSTER_SERVICE, CLUSTER_PUT, w->v[i].json), 0);
	cluster_list_end(w->cluster, CLUSTER_SERVICE);
	cluster_clean(w->cluster);
	alloc_begin(w->alloc);
	while (cluster_next_service(w->cluster, &s))
		CHECK_INT(alloc_put(w->alloc, &s, w->now_ms), 0);
	alloc_adopted(w->alloc, w->now_ms);
}

/* "NAME [LABELS]" */
static inline void case_namespace(struct case_world *w, char *text)
{
	char *save = NULL, *name = strtok_r(text, " ", &save), *labels = strtok_r(NULL, " ", &save);
	cJSON *o = cJSON_CreateObject(), *meta = case_member(o, "metadata");
	char rv[24];

	snprintf(rv, sizeof rv, "%lu", ++w->rv);
	case_set_text(meta, "name", name);
	case_set_text(meta, "uid", name);
	case_set_text(meta, "resourceVersion", rv);
	case_set(meta, "labels", case_map(labels != NULL ? labels : ""));
	CHECK_INT(cluster_apply(w->cluster, CLUSTER_NAMESPACE, CLUSTER_PUT, o), 0);
	cJSON_Delete(o);
	alloc_namespaces_changed(w->alloc, w->now_ms);
}

static inline void case_configure(struct case_world *w, const char *yaml)
{
	const struct config_source src = {"row", yaml, strcspn(yaml, EDIT)};
	struct config_report report;
	struct config *conf = NULL;

	config_report_init(&report);
	if (config_parse(&src, 1, &conf, &report) != 0) {
		printf("%s: %.*s\n", check_row, (int)report.errors.len, report.errors.p);
		fflush(stdout);
		abort();
	}
	config_report_free(&report);
	if (alloc_configure(w->alloc, conf, w->now_ms) != 0)
		abort();
	config_free(w->conf);
	w->conf = conf;
}

/* Returns the key that the step is about, "" = none; into key. */
static inline void case_step(
	struct case_world *w, const struct alloc_case *c, const char *text, char *key)
{
	char t[CASE_TEXT];

	while (*text == ' ')
		text++;
	snprintf(t, sizeof t, "%s", text);
	if (t[0] == '+') {
		w->now_ms += strtoull(t + 1, NULL, 10) * 1000;
	} else if (strcmp(t, "edit") == 0) {
		case_configure(w, strchr(c->config, EDIT[0]) + 1);
	} else if (strcmp(t, "leader") == 0 || strcmp(t, "show") == 0) {
		case_leader(w);
	} else if (strncmp(t, "namespace ", 10) == 0) {
		case_namespace(w, t + 10);
	} else if (strcmp(t, "mute") == 0) {
		w->mute = true;
	} else if (t[0] == '-') {
		case_delete(w, t + 2);
	} else if (t[0] != '\0') {
		snprintf(key, 80, "%.*s", (int)strcspn(t, " "), t);
		case_put(w, t);
	}
	case_play(w);
}

/* -- wants -- */

/* "a,b" of the status, "hostname" and the like included. */
static inline void case_shown(const struct case_object *o, char *out, size_t size)
{
	cJSON *status = cJSON_GetObjectItemCaseSensitive(o->json, "status"), *e;
	cJSON *lb = cJSON_GetObjectItemCaseSensitive(status, "loadBalancer");

	out[0] = '\0';
	cJSON_ArrayForEach (e, cJSON_GetObjectItemCaseSensitive(lb, "ingress"))
		snprintf(out + strlen(out), size - strlen(out), "%s%s", out[0] != '\0' ? "," : "",
			e->child->valuestring);
}

static inline void case_check_words(const struct alloc_result *r, const char *words)
{
	if (strstr(r->detail, words) != NULL || strstr(reason_text(r->reason), words) != NULL)
		return;
	printf("%s: \"%s\" does not say \"%s\"\n", check_row,
		r->detail[0] != '\0' ? r->detail : reason_text(r->reason), words);
	check_failures++;
}

/* "REASON [TEXT]" */
static inline void case_check_reason(const struct alloc_result *r, const char *want)
{
	size_t n = strcspn(want, " ");
	char code[64];

	snprintf(code, sizeof code, "%.*s", (int)n, want);
	CHECK_STR(reason_code(r->reason), code);
	if (want[n] == ' ')
		case_check_words(r, want + n + 1);
}

static inline bool case_is_address(const char *want)
{
	size_t n = strcspn(want, " ");

	return isdigit((unsigned char)want[0]) || memchr(want, ':', n) != NULL;
}

/* What is held is what the status shows. */
static inline void case_check_held(struct case_world *w, const char *key, const char *shown)
{
	struct addr v[2];
	size_t n = alloc_holding(w->alloc, key, v), commas = 0;
	char a[ADDR_STRLEN];

	for (const char *p = shown; *p != '\0'; p++)
		commas += *p == ',';
	CHECK_INT(n, shown[0] != '\0' ? commas + 1 : 0);
	for (size_t i = 0; i < n; i++)
		CHECK(strstr(shown, addr_format(v[i], a)) != NULL);
}

static inline void case_check_address(
	struct case_world *w, const struct case_object *o, const char *shown, const char *want)
{
	size_t n = strcspn(want, " ");
	const char *rest = want + n;
	struct alloc_result r;
	char addresses[CASE_TEXT];

	snprintf(addresses, sizeof addresses, "%.*s", (int)n, want);
	CHECK_STR(shown, addresses);
	case_check_held(w, o->key, shown);
	if (o->writes > 0)
		CHECK(cJSON_HasObjectItem(
			case_member(case_member(o->json, "metadata"), "annotations"),
			"lbd.io/ip-allocated-from-pool"));
	if (!alloc_why(w->alloc, o->key, &r)) {
		CHECK_STR("unknown", want);
	} else if (strncmp(rest, " but ", 5) == 0) {
		case_check_reason(&r, rest + 5);
	} else {
		CHECK_STR(reason_code(r.reason), "allocated");
		if (strncmp(rest, " ~ ", 3) == 0)
			case_check_words(&r, rest + 3);
	}
}

static inline void case_check(struct case_world *w, const char *key, const char *want)
{
	const struct case_object *o = case_find(w, key);
	struct alloc_result r;
	char shown[CASE_TEXT];

	if (o == NULL)
		abort();
	case_shown(o, shown, sizeof shown);
	if (strncmp(want, "left ", 5) == 0) {
		CHECK_STR(shown, want + 5);
		CHECK_INT(o->writes, 0);
		case_check_held(w, key, "");
	} else if (strcmp(want, "nothing") == 0) {
		CHECK_STR(shown, "");
		case_check_held(w, key, "");
	} else if (case_is_address(want)) {
		case_check_address(w, o, shown, want);
	} else {
		CHECK_STR(shown, "");
		case_check_held(w, key, "");
		if (alloc_why(w->alloc, key, &r))
			case_check_reason(&r, want);
		else
			CHECK_STR("unknown", want);
	}
}

/* "[NS/NAME = ]WANT" */
static inline void case_want(struct case_world *w, const char *key, const char *text)
{
	const char *equal = strstr(text, " = ");
	char other[80];

	while (*text == ' ')
		text++;
	if (equal == NULL) {
		case_check(w, key, text);
		return;
	}
	snprintf(other, sizeof other, "%.*s", (int)(equal - text), text);
	case_check(w, other, equal + 3);
}

static inline void case_each(
	struct case_world *w, const struct alloc_case *c, const char *text, char *key, bool wants)
{
	char t[2048], *save = NULL;

	snprintf(t, sizeof t, "%s", text != NULL ? text : "");
	for (char *p = strtok_r(t, ";", &save); p != NULL; p = strtok_r(NULL, ";", &save)) {
		if (wants)
			case_want(w, key, p);
		else
			case_step(w, c, p, key);
	}
}

/* -- rows -- */

static inline void case_run(const struct alloc_case *c)
{
	static const struct hash_key hkey = {11, 13};
	struct case_world w = {.now_ms = 1000000};
	struct alloc_result r;
	char key[80] = "";
	unsigned n = 0;

	check_row = c->name;
	w.cluster = cluster_new(&hkey, NULL);
	w.alloc = alloc_new(&hkey, NULL);
	if (w.cluster == NULL || w.alloc == NULL)
		abort();
	case_configure(&w, c->config);
	alloc_set_namespaces(w.alloc, w.cluster, false, w.now_ms);
	alloc_begin(w.alloc);
	alloc_adopted(w.alloc, w.now_ms);
	case_play(&w);
	case_each(&w, c, c->before, key, false);
	case_each(&w, c, c->then, key, false);
	case_each(&w, c, c->want, key, true);
	while (alloc_next_result(w.alloc, &r))
		CHECK(++n <= CASE_OBJECTS);
	for (size_t i = 0; i < w.n; i++)
		cJSON_Delete(w.v[i].json);
	alloc_free(w.alloc);
	cluster_free(w.cluster);
	config_free(w.conf);
}

static inline void case_run_all(const struct alloc_case *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned before = check_failures;

		CHECK(v[i].rule != NULL && v[i].rule[0] != '\0');
		case_run(&v[i]);
		if (check_failures > before)
			printf("  rule: %s\n", v[i].rule);
	}
}

#endif
