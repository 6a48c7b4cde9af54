/* SPDX-License-Identifier: Apache-2.0
 *
 * test_kept.c - a pool edit drops an address that a Service has: the leader that does it, the next
 * leader, every node's VIPs; and addresses that a node still claims are not given to others.
 */
#include "alloc.h"
#include "check.h"
#include "retired.h"
#include "vip.h"

static const struct hash_key hkey = {9, 10};

struct world {
	struct cluster *c;
	struct retired *r;
	struct vip_table *vips;
	struct alloc *a;
	struct config *conf;
	struct counters counters;
	struct addr claimed; /* by a node that lives, */
	struct addr stale;   /* and by one that does not */
	unsigned rv;
};

static struct addr ip(const char *text)
{
	struct addr a = {0, 0};

	CHECK_INT(addr_parse(text, strlen(text), &a), 0);
	return a;
}

static const char *kept(void *ctx, const char *uid, struct addr x)
{
	const struct world *w = ctx;

	return retired_pool(w->r, uid, x);
}

static enum pool_claim claim(void *ctx, struct addr x)
{
	const struct world *w = ctx;

	return addr_eq(x, w->claimed) ? POOL_CLAIMED : addr_eq(x, w->stale) ? POOL_STALE
									     : POOL_UNCLAIMED;
}

static struct config *parse(const char *yaml)
{
	const struct config_source src = {"test", yaml, strlen(yaml)};
	struct config_report report;
	struct config *conf = NULL;

	config_report_init(&report);
	if (config_parse(&src, 1, &conf, &report) != 0) {
		printf("%s", report.errors.p);
		abort();
	}
	config_report_free(&report);
	return conf;
}

/* Nothing that a decision could do is left. */
static void settle(struct world *w)
{
	struct alloc_result res;

	while (alloc_next_result(w->a, &res)) {
	}
}

static void world_init(struct world *w, const char *yaml)
{
	static const struct alloc_ops ops = {kept, claim};

	*w = (struct world){.conf = parse(yaml)};
	w->c = cluster_new(&hkey, &w->counters);
	w->r = retired_new(&hkey);
	w->vips = vip_new(&hkey);
	w->a = alloc_new(&hkey, &w->counters);
	if (w->c == NULL || w->r == NULL || w->vips == NULL || w->a == NULL)
		abort();
	vip_set_retired(w->vips, w->r);
	alloc_set_ops(w->a, &ops, w);
	CHECK_INT(alloc_configure(w->a, w->conf, 1000), 0);
	alloc_adopted(w->a, 1000);
}

static void world_free(struct world *w)
{
	alloc_free(w->a);
	vip_free(w->vips);
	retired_free(w->r);
	cluster_free(w->c);
	config_free(w->conf);
}

static void configure(struct world *w, const char *yaml)
{
	struct config *old = w->conf;

	w->conf = parse(yaml);
	CHECK_INT(alloc_configure(w->a, w->conf, 1000), 0);
	config_free(old);
	settle(w);
}

/* A Service as the API shows it, to the picture and to the leader. */
static void put(struct world *w, const char *name, const char *status)
{
	char text[1024], key[64];
	struct cluster_service s;
	cJSON *obj;

	(void)snprintf(text, sizeof text,
		"{\"metadata\":{\"namespace\":\"ns\",\"name\":\"%s\",\"uid\":\"uid-%s\","
		"\"resourceVersion\":\"%u\"},\"spec\":{\"type\":\"LoadBalancer\","
		"\"clusterIP\":\"10.96.0.1\",\"clusterIPs\":[\"10.96.0.1\"],\"ipFamilies\":[\"IPv4\"],"
		"\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]},\"status\":{\"loadBalancer\":{"
		"\"ingress\":[%s%s%s]}}}",
		name, name, ++w->rv, status != NULL ? "{\"ip\":\"" : "",
		status != NULL ? status : "", status != NULL ? "\"}" : "");
	obj = cJSON_Parse(text);
	CHECK_INT(cluster_apply(w->c, CLUSTER_SERVICE, CLUSTER_PUT, obj), 0);
	cJSON_Delete(obj);
	(void)snprintf(key, sizeof key, "ns/%s", name);
	CHECK(cluster_service(w->c, key, &s));
	CHECK_INT(alloc_put(w->a, &s, 1000), 0);
	settle(w);
}

static void next_leader(struct world *w)
{
	struct cluster_service s = {0};

	alloc_begin(w->a);
	while (cluster_next_service(w->c, &s))
		CHECK_INT(alloc_put(w->a, &s, 1000), 0);
	alloc_adopted(w->a, 1000);
	settle(w);
}

/* What the Service holds, "" = nothing; until the next call. */
static const char *holds(struct world *w, const char *key)
{
	static char text[ADDR_STRLEN];
	struct addr v[2];

	settle(w);
	return alloc_holding(w->a, key, v) > 0 ? addr_format(v[0], text) : "";
}

static bool is_vip(struct world *w, const char *addr)
{
	CHECK_INT(vip_rebuild(w->vips, w->conf, w->c), 0);
	return vip_find(w->vips, ip(addr)) != NULL;
}

/* The leader's record goes to the API and comes back. */
static void record(struct world *w)
{
	struct alloc_kept v[16];
	size_t n;
	struct lease_action act;

	(void)alloc_kept_generation(w->a);
	n = alloc_kept(w->a, v, ARRAY_LEN(v));
	retired_begin(w->r);
	for (size_t i = 0; i < n; i++)
		retired_add(w->r, v[i].uid, v[i].addr, v[i].pool);
	CHECK_INT(retired_end(w->r, 1000), 0);
	if (retired_next_action(w->r, 1000, &act)) {
		const struct cluster_lease l = {
			.resource_version = "9", .retired = act.annotations[0].value, .holder = ""};

		retired_done(w->r, act.id, LEASE_OK, &l, 1000);
	}
}

#define HEAD    "apiVersion: lbd.io/v1\nkind: Config\npools:\n"
#define LAN     "- name: lan\n  addresses: [10.0.0.1-10.0.0.4]\n"
#define LAN_CUT "- name: lan\n  addresses: [10.0.0.3-10.0.0.4]\n"
#define OTHER   "- name: other\n  addresses: [10.0.1.1-10.0.1.4]\n"

static void test_kept(void)
{
	struct world w;
	uint64_t before;

	world_init(&w, HEAD LAN);
	put(&w, "a", NULL);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	put(&w, "a", "10.0.0.1");
	before = alloc_kept_generation(w.a);
	configure(&w, HEAD LAN_CUT);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	CHECK(alloc_kept_generation(w.a) != before);
	CHECK_INT(alloc_kept(w.a, NULL, 0), 1);
	CHECK(!is_vip(&w, "10.0.0.1")); /* another node, before the record is there */
	record(&w);
	CHECK(is_vip(&w, "10.0.0.1"));
	CHECK_STR(vip_pool(w.vips, w.conf, w.c, vip_find(w.vips, ip("10.0.0.1")))->name, "lan");
	next_leader(&w);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	CHECK_INT(alloc_kept(w.a, NULL, 0), 1);
	put(&w, "forger", "10.0.0.2"); /* was in the pool, but never this Service's */
	CHECK_STR(holds(&w, "ns/forger"), "10.0.0.3");
	CHECK(!is_vip(&w, "10.0.0.2"));
	put(&w, "forger", "10.0.0.1"); /* kept, but another's */
	CHECK_STR(holds(&w, "ns/forger"), "10.0.0.3");
	configure(&w, HEAD LAN); /* it is put back */
	record(&w);
	CHECK_INT(retired_count(w.r), 0);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	CHECK_INT(alloc_pool_use(w.a, 0).used[ADDR_V4], 2);
	world_free(&w);
}

/* Its pool is gone altogether. */
static void test_kept_pool_gone(void)
{
	struct world w;

	world_init(&w, HEAD LAN OTHER);
	put(&w, "a", NULL);
	put(&w, "a", "10.0.0.1");
	configure(&w, HEAD OTHER);
	record(&w);
	next_leader(&w);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	CHECK(is_vip(&w, "10.0.0.1"));
	CHECK(vip_pool(w.vips, w.conf, w.c, vip_find(w.vips, ip("10.0.0.1"))) == NULL);
	CHECK_INT(alloc_pool_use(w.a, 0).used[ADDR_V4], 0);
	put(&w, "a", NULL); /* somebody clears the status: it is written again */
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	alloc_delete(w.a, "ns/a", 1000);
	settle(&w);
	record(&w);
	CHECK_INT(retired_count(w.r), 0);
	next_leader(&w);
	CHECK_STR(holds(&w, "ns/a"), "10.0.1.1");
	world_free(&w);
}

/* Not recorded: what a status shows is not lawful for that. */
static void test_not_recorded(void)
{
	struct world w;

	world_init(&w, HEAD LAN_CUT);
	put(&w, "a", "10.0.0.1");
	next_leader(&w);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.3");
	world_free(&w);
}

#define FOR_OTHERS "  serviceAllocation: {namespaces: [others]}\n"

/* The pool has it, but is for others now: that is kept as well, and recorded. */
static void test_not_admitted(void)
{
	struct world w;

	world_init(&w, HEAD LAN OTHER);
	put(&w, "a", NULL);
	put(&w, "a", "10.0.0.1");
	configure(&w, HEAD LAN FOR_OTHERS OTHER);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	CHECK_INT(alloc_kept(w.a, NULL, 0), 1);
	record(&w);
	put(&w, "forger", "10.0.0.2"); /* of a pool that was never for it */
	next_leader(&w);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	CHECK_STR(holds(&w, "ns/forger"), "10.0.1.1");
	configure(&w, HEAD LAN OTHER);
	CHECK_INT(alloc_kept(w.a, NULL, 0), 0);
	record(&w);
	CHECK_INT(retired_count(w.r), 0);
	world_free(&w);
}

static void test_moves(void)
{
	static const struct {
		const char *name, *before, *after;
	} rows[] = {
		{"reallocate", HEAD LAN, HEAD LAN_CUT "  reallocate: true\n"},
		{"reallocate, gone", HEAD LAN "  reallocate: true\n" OTHER, HEAD OTHER},
		{"MetalLB",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: lan}\n"
			"spec: {addresses: [10.0.0.1-10.0.0.4]}\n",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: lan}\n"
			"spec: {addresses: [10.0.0.3-10.0.0.4]}\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		check_row = rows[i].name;
		world_init(&w, rows[i].before);
		put(&w, "a", NULL);
		put(&w, "a", "10.0.0.1");
		configure(&w, rows[i].after);
		CHECK(strcmp(holds(&w, "ns/a"), "10.0.0.1") != 0);
		CHECK(holds(&w, "ns/a")[0] != '\0');
		CHECK_INT(alloc_kept(w.a, NULL, 0), 0);
		world_free(&w);
	}
}

/* An address that a node says it announces is not given away; one whose node is not heard of only
 * before nothing. */
static void test_claimed(void)
{
	struct world w;

	world_init(&w, HEAD "- name: lan\n  addresses: [10.0.0.1-10.0.0.3]\n");
	w.claimed = ip("10.0.0.1");
	w.stale = ip("10.0.0.2");
	put(&w, "a", NULL);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.3");
	put(&w, "b", NULL);
	CHECK_STR(holds(&w, "ns/b"), "10.0.0.2");
	put(&w, "c", NULL);
	CHECK_STR(holds(&w, "ns/c"), "");
	w.claimed = (struct addr){0, 0};
	alloc_claims_changed(w.a);
	CHECK_STR(holds(&w, "ns/c"), "10.0.0.1");
	w.claimed = ip("10.0.0.3"); /* given up a moment ago, its node has not withdrawn it yet */
	alloc_delete(w.a, "ns/a", 1000);
	put(&w, "d", NULL);
	CHECK_STR(holds(&w, "ns/d"), "");
	alloc_delete(w.a, "ns/c", 1000);
	CHECK_STR(holds(&w, "ns/d"), "10.0.0.1");
	put(&w, "a", NULL); /* back under its name */
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.3");
	world_free(&w);
}

/* A whole pool of claimed ones is no endless search, and its cursor does not lose them. */
static void test_claimed_all(void)
{
	struct world w;

	world_init(&w, HEAD "- name: lan\n  addresses: [10.0.0.0/8]\n- name: six\n"
			    "  addresses: [fd00::/64]\n");
	w.claimed = ip("10.0.0.0");
	put(&w, "a", NULL);
	CHECK_STR(holds(&w, "ns/a"), "10.0.0.1");
	w.claimed = (struct addr){0, 0};
	put(&w, "b", NULL);
	CHECK_STR(holds(&w, "ns/b"), "10.0.0.0");
	world_free(&w);
}

CHECK_MAIN("test_kept", CHECK_TEST(test_kept), CHECK_TEST(test_kept_pool_gone),
	CHECK_TEST(test_not_recorded), CHECK_TEST(test_not_admitted), CHECK_TEST(test_moves), CHECK_TEST(test_claimed),
	CHECK_TEST(test_claimed_all))
