/* SPDX-License-Identifier: Apache-2.0
 *
 * test_alloc_others.c - allocation that hangs on others: the labels of Namespaces, and other
 * programs that write the same status.
 */
#include "alloc.h"
#include "check.h"
#include "outbox.h"

enum { MAX_SERVICES = 8 };

static const struct hash_key hkey = {3, 4};

/* A Service as the API has it. */
struct object {
	char key[64], namespace_[64], rv[24], uid[80];
	struct addr status[2];
	struct cluster_service s;
};

struct world {
	struct alloc *a;
	struct cluster *c;
	struct config *conf;
	struct counters counters;
	struct object objects[MAX_SERVICES];
	size_t n_objects;
	uint64_t now_ms, rv;
};

static struct addr A(const char *text) {
	struct addr a = {0, 0};

	if (addr_parse(text, strlen(text), &a) != 0)
		abort();
	return a;
}

/* pools is a YAML flow list. */
static void
configure(struct world *w, const char *pools)
{
	struct config *old = w->conf;
	struct config_report report;
	struct config_source src = {.name = "f"};
	char text[1024];

	src.len = (size_t)snprintf(
		text, sizeof text, "apiVersion: lbd.io/v1\nkind: Config\npools: %s\n", pools);
	src.text = text;
	config_report_init(&report);
	CHECK_INT(config_parse(&src, 1, &w->conf, &report), 0);
	CHECK_STR(report.errors.p != NULL ? report.errors.p : "", "");
	config_report_free(&report);
	CHECK_INT(alloc_configure(w->a, w->conf, w->now_ms), 0);
	config_free(old);
}

static void world_init(struct world *w, const char *pools)
{
	*w = (struct world){.now_ms = 1000000};
	w->a = alloc_new(&hkey, &w->counters);
	w->c = cluster_new(&hkey, NULL);
	if (w->a == NULL || w->c == NULL)
		abort();
	configure(w, pools);
	alloc_set_namespaces(w->a, w->c, false, w->now_ms);
	alloc_adopted(w->a, w->now_ms);
}

static void world_free(struct world *w)
{
	alloc_free(w->a);
	cluster_free(w->c);
	config_free(w->conf);
}

/* labels is what stands between the braces, in JSON. */
static void namespace_(
	struct world *w, enum cluster_event event, const char *name, const char *labels)
{
	char text[512];
	cJSON *obj;

	(void)snprintf(text, sizeof text,
		"{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"%llu\",\"labels\":{%s}}}",
		name, (unsigned long long)++w->rv, labels);
	obj = cJSON_Parse(text);
	CHECK_INT(cluster_apply(w->c, CLUSTER_NAMESPACE, event, obj), 0);
	cJSON_Delete(obj);
	alloc_namespaces_changed(w->a, w->now_ms);
}

static struct object *object(struct world *w, const char *key)
{
	for (size_t i = 0; i < w->n_objects; i++)
		if (strcmp(w->objects[i].key, key) == 0)
			return &w->objects[i];
	abort();
}

/* The allocator sees the object, as of a new version. */
static void show(struct world *w, struct object *o)
{
	(void)snprintf(o->rv, sizeof o->rv, "%llu", (unsigned long long)++w->rv);
	CHECK_INT(alloc_put(w->a, &o->s, w->now_ms), 0);
}

static struct object *create(struct world *w, const char *key)
{
	struct object *o = &w->objects[w->n_objects++];
	const char *slash = strchr(key, '/');

	if (w->n_objects > MAX_SERVICES || slash == NULL)
		abort();
	(void)snprintf(o->key, sizeof o->key, "%s", key);
	(void)snprintf(o->namespace_, sizeof o->namespace_, "%.*s", (int)(slash - key), key);
	(void)snprintf(o->uid, sizeof o->uid, "uid-%s", key);
	o->s = (struct cluster_service){.key = o->key,
		.namespace_ = o->namespace_,
		.name = o->key + (slash - key) + 1,
		.uid = o->uid,
		.resource_version = o->rv,
		.is_load_balancer = true,
		.has_cluster_ip = true,
		.families = {ADDR_V4, ADDR_V4},
		.n_families = 1,
		.backend_key = "",
		.ingress = o->status};
	return o;
}

static struct object *add(struct world *w, const char *key)
{
	struct object *o = create(w, key);

	show(w, o);
	return o;
}

/* Somebody writes this one address into the status; NULL empties it. */
static void overwrite(struct world *w, struct object *o, const char *ip)
{
	o->s.n_ingress = ip != NULL;
	if (ip != NULL)
		o->status[0] = A(ip);
	show(w, o);
}

/* The API takes every write that is due, and shows it.  Returns how many. */
static unsigned play(struct world *w)
{
	struct alloc_write wr;
	unsigned n = 0;

	for (; alloc_next_write(w->a, w->now_ms, &wr) && n < 100; n++) {
		struct object *o = object(w, wr.key);
		uint64_t id = wr.id;

		memcpy(o->status, wr.ips, sizeof wr.ips);
		o->s.n_ingress = (uint16_t)wr.n_ips;
		alloc_write_done(w->a, id, ALLOC_WRITE_OK, w->now_ms);
		show(w, o);
	}
	return n;
}

/* What key holds once all is settled: "ADDR ADDR", or the reason's code. */
static void check_has(struct world *w, const char *key, const char *want)
{
	struct alloc_result r;
	char got[128] = "", text[ADDR_STRLEN];

	(void)play(w);
	CHECK(alloc_why(w->a, key, &r));
	for (size_t i = 0; i < r.n_ips; i++)
		(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s",
			i > 0 ? " " : "", addr_format(r.ips[i], text));
	if (r.reason != REASON_ALLOCATED)
		(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s",
			r.n_ips > 0 ? " " : "", reason_code(r.reason));
	check_row = key;
	CHECK_STR(got, want);
}

/* How many results are told of key, and how many of them of a contest. */
struct told {
	unsigned n, contests;
};

static struct told results(struct world *w, const char *key)
{
	struct told t = {0, 0};
	struct alloc_result r;

	while (alloc_next_result(w->a, &r)) {
		if (strcmp(r.key, key) != 0)
			continue;
		t.n++;
		t.contests += r.contested;
	}
	return t;
}

/* -- Namespaces -- */

#define TEAM_A "serviceAllocation: {namespaceSelectors: [{matchLabels: {team: a}}]}"
#define BOUND  "{name: bound, addresses: [10.0.0.1-10.0.0.9], " TEAM_A "}"
#define PLAIN  "{name: plain, addresses: [10.0.1.1-10.0.1.9]}"

static void test_namespace_labels(void)
{
	struct world w;

	world_init(&w, "[" BOUND ", " PLAIN "]");
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	namespace_(&w, CLUSTER_PUT, "red", "\"team\":\"b\"");
	(void)add(&w, "blue/x");
	(void)add(&w, "red/x");
	check_has(&w, "blue/x", "10.0.0.1");
	check_has(&w, "red/x", "10.0.1.1");
	/* Another label is no reason to take an address away, nor to give another one. */
	namespace_(&w, CLUSTER_PUT, "blue", "");
	namespace_(&w, CLUSTER_PUT, "red", "\"team\":\"a\"");
	check_has(&w, "blue/x", "10.0.0.1");
	check_has(&w, "red/x", "10.0.1.1");
	(void)add(&w, "blue/y");
	(void)add(&w, "red/y");
	check_has(&w, "blue/y", "10.0.1.2");
	check_has(&w, "red/y", "10.0.0.2");
	world_free(&w);
}

/* Names and selectors are one condition, Services' labels another. */
static void test_namespace_conditions(void)
{
	static const struct {
		const char *allocation, *namespace_, *tier, *want;
	} row[] = {
		{"namespaces: [red], namespaceSelectors: [{matchLabels: {team: a}}]", "red", NULL,
			"10.0.0.1"},
		{"namespaces: [red], namespaceSelectors: [{matchLabels: {team: a}}]", "blue", NULL,
			"10.0.0.1"},
		{"namespaces: [red], namespaceSelectors: [{matchLabels: {team: a}}]", "other", NULL,
			"noFittingPool"},
		{"namespaceSelectors: [{matchLabels: {team: x}}, {matchLabels: {team: a}}]", "blue",
			NULL, "10.0.0.1"},
		{"namespaceSelectors: [{matchExpressions: [{key: team, operator: Exists}]}]", "red",
			NULL, "10.0.0.1"},
		{"namespaceSelectors: [{matchExpressions: [{key: team, operator: Exists}]}]",
			"other", NULL, "noFittingPool"},
		{"namespaceSelectors: [{matchLabels: {kubernetes.io/metadata.name: other}}]",
			"other", NULL, "10.0.0.1"},
		{"namespaceSelectors: [{matchLabels: {team: nobody}}]", "blue", NULL,
			"noFittingPool"},
		{"namespaceSelectors: [{}]", "other", NULL, "10.0.0.1"},
		{"namespaceSelectors: [{matchLabels: {team: a}}], "
		 "serviceSelectors: [{matchLabels: {tier: front}}]",
			"blue", "front", "10.0.0.1"},
		{"namespaceSelectors: [{matchLabels: {team: a}}], "
		 "serviceSelectors: [{matchLabels: {tier: front}}]",
			"blue", "back", "noFittingPool"},
		{"namespaceSelectors: [{matchLabels: {team: a}}], "
		 "serviceSelectors: [{matchLabels: {tier: front}}]",
			"red", "front", "noFittingPool"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct label tier = {"tier", row[i].tier};
		char pools[512], key[64];
		struct object *o;
		struct world w;

		(void)snprintf(pools, sizeof pools,
			"[{name: p, addresses: [10.0.0.1], serviceAllocation: {%s}}]",
			row[i].allocation);
		world_init(&w, pools);
		namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
		namespace_(&w, CLUSTER_PUT, "red", "\"team\":\"b\"");
		namespace_(&w, CLUSTER_PUT, "other", "");
		(void)snprintf(key, sizeof key, "%s/x%zu", row[i].namespace_, i);
		o = create(&w, key);
		if (row[i].tier != NULL)
			o->s.labels = (struct labels){&tier, 1};
		show(&w, o);
		check_has(&w, key, row[i].want);
		world_free(&w);
	}
}

/* A Service often comes before its Namespace: nothing is given that the labels might forbid, and
 * nobody is told of what lasts a moment. */
static void test_namespace_not_known_yet(void)
{
	struct alloc_result r;
	struct world w;

	world_init(&w, "[" BOUND ", " PLAIN "]");
	(void)add(&w, "blue/x");
	(void)add(&w, "red/x");
	check_has(&w, "blue/x", "namespaceUnknown");
	check_has(&w, "red/x", "namespaceUnknown");
	CHECK_INT(results(&w, "blue/x").n, 0);
	CHECK(alloc_why(w.a, "blue/x", &r));
	CHECK_STR(r.detail, "pool bound selects namespaces by their labels, and those of blue are "
			    "not known yet");
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	check_has(&w, "blue/x", "10.0.0.1");
	check_has(&w, "red/x", "namespaceUnknown");
	namespace_(&w, CLUSTER_PUT, "red", "");
	check_has(&w, "red/x", "10.0.1.1");
	CHECK_INT(results(&w, "blue/x").n, 1);
	world_free(&w);
}

/* What does not hang on them does not wait. */
static void test_namespace_not_needed(void)
{
	static const struct labels none = {0};
	struct object *o;
	struct world w;

	world_init(&w, "[{name: first, addresses: [10.0.2.1], serviceAllocation: {priority: 1, "
		       "namespaces: [blue]}}, " BOUND ", " PLAIN "]");
	(void)add(&w, "blue/x");
	check_has(&w, "blue/x", "10.0.2.1");
	o = create(&w, "red/x");
	o->s.request.pool = "plain";
	show(&w, o);
	check_has(&w, "red/x", "10.0.1.1");
	o = create(&w, "red/y");
	o->s.load_balancer_ip = "10.0.1.9";
	show(&w, o);
	check_has(&w, "red/y", "10.0.1.9");
	o = create(&w, "red/z");
	o->s.request.pool = "bound";
	o->s.labels = none;
	show(&w, o);
	check_has(&w, "red/z", "namespaceUnknown");
	o = create(&w, "red/v");
	o->s.load_balancer_ip = "10.0.0.5";
	show(&w, o);
	check_has(&w, "red/v", "namespaceUnknown");
	namespace_(&w, CLUSTER_PUT, "red", "\"team\":\"a\"");
	check_has(&w, "red/z", "10.0.0.1");
	check_has(&w, "red/v", "10.0.0.5");
	world_free(&w);
}

/* A new leader, a new configuration: what stands in the status stays until the labels are known,
 * and then the rules of before apply. */
static void test_namespace_kept(void)
{
	static const char moves[] =
		"[{name: bound, addresses: [10.0.0.1-10.0.0.9], reallocate: true, " TEAM_A
		"}, " PLAIN "]";
	struct object *o;
	struct world w;

	world_init(&w, moves);
	alloc_begin(w.a);
	o = create(&w, "blue/x");
	overwrite(&w, o, "10.0.0.7");
	alloc_adopted(w.a, w.now_ms);
	CHECK_INT(play(&w), 0);
	check_has(&w, "blue/x", "10.0.0.7");
	CHECK_INT(results(&w, "blue/x").n, 0);
	/* It asks for another one, of which nothing can be said yet. */
	o->s.load_balancer_ip = "10.0.0.8";
	show(&w, o);
	check_has(&w, "blue/x", "10.0.0.7 namespaceUnknown");
	o->s.request.pool = "bound";
	o->s.load_balancer_ip = NULL;
	show(&w, o);
	check_has(&w, "blue/x", "10.0.0.7");
	o->s.request.pool = NULL;
	show(&w, o);
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"b\"");
	check_has(&w, "blue/x", "10.0.1.1"); /* reallocate */
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	check_has(&w, "blue/x", "10.0.1.1");
	world_free(&w);
}

static void test_namespace_dual_stack(void)
{
	struct object *o;
	struct world w;

	world_init(&w, "[{name: v4, addresses: [10.0.0.1-10.0.0.9]}, "
		       "{name: v6, addresses: [\"fd00::1-fd00::9\"], " TEAM_A "}]");
	o = create(&w, "blue/x");
	o->s.families[1] = ADDR_V6;
	o->s.n_families = 2;
	o->s.family_policy = CLUSTER_PREFER_DUAL;
	show(&w, o);
	check_has(&w, "blue/x", "namespaceUnknown");
	alloc_set_namespaces(w.a, w.c, true, w.now_ms);
	check_has(&w, "blue/x", "10.0.0.1");
	o->s.family_policy = CLUSTER_REQUIRE_DUAL;
	show(&w, o);
	check_has(&w, "blue/x", "10.0.0.1 namespacesForbidden");
	alloc_set_namespaces(w.a, w.c, false, w.now_ms);
	check_has(&w, "blue/x", "10.0.0.1 namespaceUnknown");
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	check_has(&w, "blue/x", "10.0.0.1 fd00::1");
	world_free(&w);
}

/* Without the right to read them, other pools serve whom they admit; who has only these is told
 * what is missing. */
static void test_namespace_forbidden(void)
{
	struct alloc_result r;
	struct object *o;
	struct world w;

	world_init(&w, "[" BOUND ", {name: plain, addresses: [10.0.1.1]}]");
	alloc_set_namespaces(w.a, w.c, true, w.now_ms);
	(void)add(&w, "blue/x");
	check_has(&w, "blue/x", "10.0.1.1");
	o = create(&w, "blue/y");
	o->s.request.pool = "bound";
	show(&w, o);
	check_has(&w, "blue/y", "namespacesForbidden");
	CHECK(alloc_why(w.a, "blue/y", &r));
	CHECK_STR(r.detail, "pool bound selects namespaces by their labels, and lbd may not read "
			    "them: its ClusterRole needs list and watch on namespaces");
	CHECK_INT(results(&w, "blue/y").n, 1);
	(void)add(&w, "blue/z");
	check_has(&w, "blue/z", "namespacesForbidden");
	alloc_set_namespaces(w.a, w.c, false, w.now_ms);
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	check_has(&w, "blue/x", "10.0.1.1");
	check_has(&w, "blue/y", "10.0.0.1");
	check_has(&w, "blue/z", "10.0.0.2");
	world_free(&w);
}

/* Only the Services of a Namespace whose labels changed are looked at. */
static void test_namespace_changes(void)
{
	struct world w;

	world_init(&w, "[" BOUND ", " PLAIN "]");
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	(void)add(&w, "blue/x");
	(void)play(&w);
	CHECK(alloc_next_deadline(w.a) == TIME_NEVER);
	namespace_(&w, CLUSTER_PUT, "red", "");
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	CHECK(alloc_next_deadline(w.a) == TIME_NEVER);
	namespace_(&w, CLUSTER_DELETE, "blue", "");
	CHECK(alloc_next_deadline(w.a) == TIME_NEVER);
	check_has(&w, "blue/x", "10.0.0.1");
	namespace_(&w, CLUSTER_PUT, "blue", "\"team\":\"a\"");
	CHECK_INT(alloc_next_deadline(w.a), 0);
	check_has(&w, "blue/x", "10.0.0.1");
	CHECK_INT(results(&w, "blue/x").n, 1);
	world_free(&w);
}

/* -- other writers -- */

/* A Service with an address that its status shows, told. */
static struct object *begin(struct world *w)
{
	struct object *o;

	world_init(w, "[" PLAIN "]");
	o = add(w, "d/a");
	CHECK_INT(play(w), 1);
	CHECK_INT(results(w, "d/a").n, 1);
	return o;
}

/* Another load balancer that writes its own address whenever it sees ours. */
static void test_rival(void)
{
	struct alloc_result r;
	struct object *o;
	struct world w;
	uint64_t start;
	unsigned writes = 0;

	o = begin(&w);
	start = w.now_ms;
	for (; w.now_ms < start + 2000000; w.now_ms += 100) {
		if (!addr_eq(o->status[0], A("192.168.7.7")))
			overwrite(&w, o, "192.168.7.7");
		writes += play(&w);
	}
	/* One at once, then every ten minutes. */
	CHECK_INT(writes, 1 + 3);
	CHECK(alloc_why(w.a, "d/a", &r) && r.contested);
	CHECK_INT(w.counters.v[COUNTER_STATUS_CONTESTED], 1);
	{
		struct told t = results(&w, "d/a");

		CHECK_INT(t.contests, 1);
		CHECK_INT(t.n, 1);
	}
	world_free(&w);
}

static void contest(struct world *w, struct object *o)
{
	for (unsigned i = 0; i < 2; i++) {
		overwrite(w, o, "192.168.7.7");
		w->now_ms += OUTBOX_SETTLE_MS;
		(void)play(w);
	}
	CHECK_INT(results(w, "d/a").contests, 1);
}

/* What the user changes is written all the same. */
static void test_rival_and_user(void)
{
	struct object *o;
	struct world w;

	o = begin(&w);
	contest(&w, o);
	CHECK_INT(play(&w), 0);
	o->s.load_balancer_ip = "10.0.1.5";
	show(&w, o);
	CHECK_INT(play(&w), 1);
	CHECK(addr_eq(o->status[0], A("10.0.1.5")));
	CHECK_INT(results(&w, "d/a").n, 1);
	overwrite(&w, o, "192.168.7.7");
	CHECK_INT(play(&w), 0);
	CHECK(alloc_next_deadline(w.a) == w.now_ms + OUTBOX_CONTESTED_MS);
	o->s.is_load_balancer = false;
	show(&w, o);
	CHECK_INT(play(&w), 1);
	CHECK_INT(o->s.n_ingress, 0);
	world_free(&w);
}

/* It goes: the status is put right, and the quarrel is over; a later one is not told again. */
static void test_rival_goes(void)
{
	struct alloc_result r;
	struct object *o;
	struct world w;

	o = begin(&w);
	contest(&w, o);
	w.now_ms += OUTBOX_CONTESTED_MS;
	CHECK_INT(play(&w), 1);
	CHECK(alloc_why(w.a, "d/a", &r) && r.contested);
	w.now_ms += 2 * OUTBOX_CONTESTED_MS;
	CHECK_INT(play(&w), 0);
	CHECK(alloc_why(w.a, "d/a", &r) && !r.contested);
	overwrite(&w, o, "192.168.7.7");
	CHECK_INT(play(&w), 1); /* once is no quarrel */
	overwrite(&w, o, "192.168.7.7");
	w.now_ms += OUTBOX_SETTLE_MS;
	CHECK_INT(play(&w), 0);
	CHECK(alloc_why(w.a, "d/a", &r) && r.contested);
	CHECK_INT(results(&w, "d/a").n, 0);
	CHECK_INT(w.counters.v[COUNTER_STATUS_CONTESTED], 2);
	world_free(&w);
}

/* Somebody who edits a status by hand is corrected without a word, each time. */
static void test_edit_by_hand(void)
{
	struct object *o;
	struct world w;

	o = begin(&w);
	for (unsigned i = 0; i < 5; i++) {
		w.now_ms += 61000;
		overwrite(&w, o, i % 2 == 0 ? "192.168.7.7" : NULL);
		CHECK_INT(play(&w), 1);
	}
	CHECK_INT(results(&w, "d/a").n, 0);
	CHECK_INT(w.counters.v[COUNTER_STATUS_CONTESTED], 0);
	world_free(&w);
}

/* What was in the status before we ever wrote it is nobody's attack: servicelb's node addresses,
 * a last write of the leader before. */
static void test_first_sight(void)
{
	struct object *o, *kept;
	struct world w;

	world_init(&w, "[" PLAIN "]");
	alloc_begin(w.a);
	o = create(&w, "d/a");
	overwrite(&w, o, "192.168.1.11"); /* a node's */
	kept = create(&w, "d/b");
	overwrite(&w, kept, "10.0.1.4");
	kept->s.ingress_foreign = true; /* and a host name */
	show(&w, kept);
	alloc_adopted(w.a, w.now_ms);
	CHECK_INT(play(&w), 2);
	CHECK(addr_eq(o->status[0], A("10.0.1.1")) && addr_eq(kept->status[0], A("10.0.1.4")));
	CHECK_INT(results(&w, "d/a").contests, 0);
	kept->s.ingress_foreign = false;
	show(&w, kept);
	overwrite(&w, o, "10.0.1.8"); /* the leader before had something else in mind */
	w.now_ms += OUTBOX_SETTLE_MS;
	CHECK_INT(play(&w), 1);
	CHECK(addr_eq(o->status[0], A("10.0.1.1")));
	CHECK_INT(results(&w, "d/a").contests, 0);
	world_free(&w);
}

/* A leader that adopts a right status has not written it, and yet knows when it is changed. */
static void test_rival_of_adopted(void)
{
	struct object *o;
	struct world w;

	o = begin(&w);
	alloc_begin(w.a);
	show(&w, o);
	alloc_adopted(w.a, w.now_ms);
	CHECK_INT(play(&w), 0);
	contest(&w, o);
	CHECK_INT(play(&w), 0);
	/* The next leader begins anew. */
	alloc_begin(w.a);
	show(&w, o);
	alloc_adopted(w.a, w.now_ms);
	CHECK_INT(play(&w), 1);
	CHECK_INT(results(&w, "d/a").contests, 0);
	contest(&w, o);
	world_free(&w);
}

/* A write that met the rival's (409) is still one correction. */
static void test_rival_conflict(void)
{
	struct alloc_write wr;
	struct object *o;
	struct world w;

	o = begin(&w);
	contest(&w, o);
	w.now_ms += OUTBOX_CONTESTED_MS;
	CHECK(alloc_next_write(w.a, w.now_ms, &wr));
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_CONFLICT, w.now_ms);
	overwrite(&w, o, "192.168.7.8");
	CHECK_INT(play(&w), 1);
	overwrite(&w, o, "192.168.7.8");
	CHECK_INT(play(&w), 0);
	CHECK(alloc_next_deadline(w.a) == w.now_ms + OUTBOX_CONTESTED_MS);
	world_free(&w);
}

CHECK_MAIN("test_alloc_others", CHECK_TEST(test_namespace_labels),
	CHECK_TEST(test_namespace_conditions), CHECK_TEST(test_namespace_not_known_yet),
	CHECK_TEST(test_namespace_not_needed), CHECK_TEST(test_namespace_kept),
	CHECK_TEST(test_namespace_dual_stack), CHECK_TEST(test_namespace_forbidden),
	CHECK_TEST(test_namespace_changes), CHECK_TEST(test_rival), CHECK_TEST(test_rival_and_user),
	CHECK_TEST(test_rival_goes), CHECK_TEST(test_edit_by_hand), CHECK_TEST(test_first_sight),
	CHECK_TEST(test_rival_of_adopted), CHECK_TEST(test_rival_conflict))
