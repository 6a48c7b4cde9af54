/* SPDX-License-Identifier: Apache-2.0
 *
 * test_vip.c - addresses in service and their groups: cases, a random run against a brute-force
 * model, and every allocation failing in turn.
 */
#include "check.h"
#include "oom.h"
#include "json.h"
#include "pick.h"
#include "service.h"
#include "vip.h"

#include <errno.h>
#include <stdbool.h>

static const struct hash_key hkey = {3, 4};

/* -- the world -- */

enum { POOL_A, POOL_B, POOL_SIX, POOLS };

struct world {
	struct config conf;
	struct config_pool pools[POOLS];
	struct addr_range ranges[POOLS];
	struct cluster *c;
	struct vip_table *t;
	unsigned version;
};

static struct addr ip(const char *s)
{
	struct addr a = {0};

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

static void world_init(struct world *w)
{
	static const char *const range[POOLS][2] = {
		{"10.0.0.0", "10.0.0.255"}, {"10.0.1.0", "10.0.1.255"}, {"fd00::", "fd00::ff"}};
	static const char *const name[POOLS] = {"a", "b", "six"};

	*w = (struct world){.c = cluster_new(&hkey, NULL), .t = vip_new(&hkey)};
	if (w->c == NULL || w->t == NULL)
		abort();
	for (size_t i = 0; i < POOLS; i++) {
		w->ranges[i] = (struct addr_range){ip(range[i][0]), ip(range[i][1])};
		w->pools[i] = (struct config_pool){
			.name = name[i], .ranges = &w->ranges[i], .n_ranges = 1};
	}
	w->conf = (struct config){.classless = true, .pools = w->pools, .n_pools = POOLS};
}

static void world_free(struct world *w)
{
	vip_free(w->t);
	cluster_free(w->c);
}

/* A Service as the API has it. */
struct svc {
	const char *name, *ips; /* "10.0.0.1 fd00::1" */
	unsigned age;           /* seconds since its creation; the greater the elder */
	const char *key;        /* sharing key, NULL = none */
	unsigned port;
};

static void add_ingress(cJSON *lb, const char *ips)
{
	cJSON *a = cJSON_AddArrayToObject(lb, "ingress");
	char one[ADDR_STRLEN];

	for (size_t n; *ips != '\0'; ips += n + (ips[n] == ' ')) {
		cJSON *i = cJSON_CreateObject();

		n = strcspn(ips, " ");
		(void)snprintf(one, sizeof one, "%.*s", (int)n, ips);
		cJSON_AddStringToObject(i, "ip", one);
		cJSON_AddItemToArray(a, i);
	}
}

static void put_only(struct world *w, struct svc s)
{
	cJSON *o = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(o, "metadata");
	cJSON *spec = cJSON_AddObjectToObject(o, "spec");
	cJSON *port = cJSON_CreateObject();
	char text[32];

	cJSON_AddStringToObject(meta, "name", s.name);
	cJSON_AddStringToObject(meta, "namespace", "x");
	(void)snprintf(text, sizeof text, "%u", ++w->version);
	cJSON_AddStringToObject(meta, "resourceVersion", text);
	(void)snprintf(text, sizeof text, "2024-01-01T%02u:%02u:%02uZ", 23 - s.age / 3600,
		59 - s.age / 60 % 60, 59 - s.age % 60);
	cJSON_AddStringToObject(meta, "creationTimestamp", text);
	if (s.key != NULL)
		cJSON_AddStringToObject(cJSON_AddObjectToObject(meta, "annotations"),
			"lbd.io/allow-shared-ip", s.key);
	cJSON_AddStringToObject(spec, "type", "LoadBalancer");
	cJSON_AddItemToArray(cJSON_AddArrayToObject(spec, "ports"), port);
	cJSON_AddNumberToObject(port, "port", s.port != 0 ? s.port : 80);
	add_ingress(cJSON_AddObjectToObject(cJSON_AddObjectToObject(o, "status"), "loadBalancer"),
		s.ips);
	CHECK_INT(cluster_apply(w->c, CLUSTER_SERVICE, CLUSTER_PUT, o), 0);
	cJSON_Delete(o);
}

static void delete_only(struct world *w, const char *name)
{
	cJSON *o = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(o, "metadata");

	cJSON_AddStringToObject(meta, "name", name);
	cJSON_AddStringToObject(meta, "namespace", "x");
	CHECK_INT(cluster_apply(w->c, CLUSTER_SERVICE, CLUSTER_DELETE, o), 0);
	cJSON_Delete(o);
}

/* Takes in what is dirty, as the daemon does.  The last result that is not 0. */
static int take_in(struct world *w)
{
	int last = 0;

	for (size_t i = 0; i < cluster_dirty_count(w->c); i++) {
		int r = vip_update(w->t, &w->conf, w->c, cluster_dirty_at(w->c, i).key);

		last = r != 0 ? r : last;
	}
	cluster_clean(w->c);
	return last;
}

static void put(struct world *w, struct svc s)
{
	put_only(w, s);
	CHECK_INT(take_in(w), 0);
}

static void delete (struct world *w, const char *name)
{
	delete_only(w, name);
	CHECK_INT(take_in(w), 0);
}

/* -- the picture as text: "10.0.0.1,10.0.0.2=a,b; fd00::1=a" with a ! behind a doubled holder -- */

static const char *short_name(const char *key)
{
	return strchr(key, '/') + 1;
}

static const char *groups_text(const struct world *w)
{
	static char s[4096];
	const struct vip_group *g = NULL;
	char a[ADDR_STRLEN];
	size_t n = 0;

	s[0] = '\0';
	while ((g = vip_next_group(w->t, g)) != NULL) {
		n += (size_t)snprintf(s + n, sizeof s - n, "%s", n > 0 ? "; " : "");
		for (size_t i = 0; i < g->n_vips; i++)
			n += (size_t)snprintf(s + n, sizeof s - n, "%s%s", i > 0 ? "," : "",
				addr_format(vip_member(g, i)->addr, a));
		for (size_t i = 0; i < g->n_services; i++)
			n += (size_t)snprintf(s + n, sizeof s - n, "%c%s", i > 0 ? ',' : '=',
				short_name(vip_service(g, i)));
	}
	return s;
}

static const char *holders_text(const struct world *w, const char *addr)
{
	static char s[1024];
	const struct vip *v = vip_find(w->t, ip(addr));
	size_t n = 0;

	s[0] = '\0';
	for (size_t i = 0; v != NULL && i < v->n_holders; i++)
		n += (size_t)snprintf(s + n, sizeof s - n, "%s%s%s", i > 0 ? "," : "",
			short_name(vip_holder(v, i).key), vip_holder(v, i).doubled ? "!" : "");
	return s;
}

static uint64_t id_of(const struct world *w, const char *addr)
{
	const struct vip *v = vip_find(w->t, ip(addr));

	return v != NULL ? v->group->id : 0;
}

/* -- cases -- */

static void test_groups(void)
{
	static const struct {
		const char *name;
		struct svc v[4];
		const char *want;
	} rows[] = {
		{"nothing", {{0}}, ""},
		{"no address", {{"a", "", 1, NULL, 0}}, ""},
		{"one", {{"a", "10.0.0.1", 1, NULL, 0}}, "10.0.0.1=a"},
		{"not in a pool", {{"a", "192.0.2.1", 1, NULL, 0}}, ""},
		{"one of two in a pool", {{"a", "192.0.2.1 10.0.0.1", 1, NULL, 0}}, "10.0.0.1=a"},
		{"dual stack", {{"a", "fd00::1 10.0.0.1", 1, NULL, 0}}, "fd00::1=a; 10.0.0.1=a"},
		{"two of a family", {{"a", "10.0.0.2 10.0.0.1", 1, NULL, 0}},
			"10.0.0.1,10.0.0.2=a"},
		{"two apart", {{"a", "10.0.0.1", 1, NULL, 0}, {"b", "10.0.0.2", 2, NULL, 0}},
			"10.0.0.2=b; 10.0.0.1=a"},
		{"shared", {{"a", "10.0.0.1", 1, "k", 80}, {"b", "10.0.0.1", 2, "k", 81}},
			"10.0.0.1=b,a"},
		{"a chain",
			{{"a", "10.0.0.1", 1, "k", 80}, {"b", "10.0.0.1 10.0.0.2", 2, "k", 81},
				{"c", "10.0.0.2 10.0.0.3", 3, "k", 82}},
			"10.0.0.1,10.0.0.2,10.0.0.3=c,b,a"},
		{"shared in one family only",
			{{"a", "10.0.0.1 fd00::1", 1, "k", 80},
				{"b", "10.0.0.1 fd00::2", 2, "k", 81}},
			"10.0.0.1=b,a; fd00::2=b; fd00::1=a"},
		{"doubled: no edge",
			{{"a", "10.0.0.1", 2, NULL, 80}, {"b", "10.0.0.1 10.0.0.2", 1, NULL, 81}},
			"10.0.0.1=a; 10.0.0.2=b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		check_row = rows[i].name;
		world_init(&w);
		for (size_t j = 0; j < 4 && rows[i].v[j].name != NULL; j++)
			put_only(&w, rows[i].v[j]);
		CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
		CHECK_STR(groups_text(&w), rows[i].want);
		/* And one at a time: the same but for the order. */
		CHECK_INT(take_in(&w), 0);
		CHECK_STR(groups_text(&w), rows[i].want);
		CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
		CHECK_STR(groups_text(&w), rows[i].want);
		world_free(&w);
	}
}

static void test_views(void)
{
	struct world w;
	const struct vip *v;
	char a[ADDR_STRLEN];

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.1.9 10.0.0.1", 1, "k", 80});
	put(&w, (struct svc){"b", "10.0.0.1 fd00::1", 2, "k", 81});
	CHECK_INT(vip_count(w.t), 3);
	CHECK_INT(vip_group_count(w.t), 2);
	v = vip_find(w.t, ip("10.0.0.1"));
	CHECK(v != NULL && v->group->family == ADDR_V4);
	CHECK(v != NULL && vip_group(w.t, v->group->id) == v->group);
	CHECK(vip_find(w.t, ip("10.0.0.2")) == NULL);
	CHECK(vip_group(w.t, 12345) == NULL && vip_group(w.t, 0) == NULL);
	/* b is the elder: its first ingress. */
	CHECK_STR(addr_format(v->group->key, a), "10.0.0.1");
	v = vip_find(w.t, ip("fd00::1"));
	CHECK_STR(addr_format(v->group->key, a), "10.0.0.1");
	delete (&w, "b");
	CHECK_STR(addr_format(vip_find(w.t, ip("10.0.0.1"))->group->key, a), "10.0.1.9");
	/* The order alone changed. */
	put(&w, (struct svc){"a", "10.0.0.1 10.0.1.9", 1, "k", 80});
	CHECK_STR(addr_format(vip_find(w.t, ip("10.0.0.1"))->group->key, a), "10.0.0.1");
	world_free(&w);
	vip_free(NULL);
}

static void test_first_known_keeps(void)
{
	struct world w;

	world_init(&w);
	put(&w, (struct svc){"young", "10.0.0.1", 1, NULL, 80});
	put(&w, (struct svc){"old", "10.0.0.1", 9, NULL, 80});
	CHECK_STR(holders_text(&w, "10.0.0.1"), "young,old!");
	CHECK_STR(groups_text(&w), "10.0.0.1=young");
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_STR(holders_text(&w, "10.0.0.1"), "young,old!");
	/* Where none is known, the elder is first. */
	vip_free(w.t);
	w.t = vip_new(&hkey);
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_STR(holders_text(&w, "10.0.0.1"), "old,young!");
	/* New ones come behind, whatever their age. */
	put_only(&w, (struct svc){"older", "10.0.0.1", 10, NULL, 80});
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_STR(holders_text(&w, "10.0.0.1"), "old,young!,older!");
	delete (&w, "old");
	CHECK_STR(holders_text(&w, "10.0.0.1"), "young,older!");
	CHECK_STR(groups_text(&w), "10.0.0.1=young");
	world_free(&w);
}

static void test_doubled_turns_lawful_and_back(void)
{
	struct world w;

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.0.1", 3, "k", 80});
	put(&w, (struct svc){"b", "10.0.0.1 10.0.0.2", 2, "k", 80});
	put(&w, (struct svc){"c", "10.0.0.1 10.0.0.3", 1, "k", 81});
	CHECK_STR(holders_text(&w, "10.0.0.1"), "a,b!,c");
	CHECK_STR(groups_text(&w), "10.0.0.1,10.0.0.3=a,c; 10.0.0.2=b");
	put(&w, (struct svc){"a", "10.0.0.1", 3, "k", 82});
	CHECK_STR(holders_text(&w, "10.0.0.1"), "a,b,c");
	CHECK_STR(groups_text(&w), "10.0.0.1,10.0.0.2,10.0.0.3=a,b,c");
	put(&w, (struct svc){"a", "10.0.0.1", 3, "other", 82});
	CHECK_STR(holders_text(&w, "10.0.0.1"), "a,b!,c!");
	CHECK_STR(groups_text(&w), "10.0.0.1=a; 10.0.0.2=b; 10.0.0.3=c");
	world_free(&w);
}

static void test_ids_go_on(void)
{
	struct world w;
	uint64_t one, two;

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.0.1 10.0.0.2", 9, "k", 80});
	put(&w, (struct svc){"b", "10.0.0.3", 8, "k", 81});
	one = id_of(&w, "10.0.0.1");
	two = id_of(&w, "10.0.0.3");
	CHECK(one != two && one != 0 && two != 0);
	put(&w, (struct svc){"a", "10.0.0.1 10.0.0.2", 9, "k", 82});
	CHECK_INT(id_of(&w, "10.0.0.1"), one); /* nothing that counts changed */
	put(&w, (struct svc){"c", "10.0.0.2 10.0.0.3", 7, "k", 83});
	CHECK_INT(id_of(&w, "10.0.0.3"), one); /* merged: the greater part's */
	CHECK(vip_group(w.t, two) == NULL);
	delete (&w, "c");
	CHECK_INT(id_of(&w, "10.0.0.1"), one); /* split: the greater part's */
	CHECK(id_of(&w, "10.0.0.3") > two);    /* never used again */
	one = id_of(&w, "10.0.0.3");
	put(&w, (struct svc){"b", "10.0.0.4 10.0.0.3", 8, "k", 81});
	CHECK_INT(id_of(&w, "10.0.0.4"), one); /* grown */
	put(&w, (struct svc){"b", "10.0.0.4", 8, "k", 81});
	CHECK_INT(id_of(&w, "10.0.0.4"), one); /* moved, step by step */
	put(&w, (struct svc){"b", "10.0.0.5", 8, "k", 81});
	CHECK(id_of(&w, "10.0.0.5") > one); /* another address, nothing in common */
	world_free(&w);
}

static void test_ids_tie(void)
{
	struct world w;
	uint64_t one;

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.0.2", 9, "k", 80});
	put(&w, (struct svc){"b", "10.0.0.1", 8, "k", 81});
	one = id_of(&w, "10.0.0.2");
	put(&w, (struct svc){"c", "10.0.0.1 10.0.0.2", 7, "k", 83});
	CHECK_INT(id_of(&w, "10.0.0.1"), one); /* merged: the lower id */
	delete (&w, "c");
	CHECK_INT(id_of(&w, "10.0.0.1"), one); /* split: the lower address */
	world_free(&w);
}

static void test_dirty(void)
{
	struct world w;
	uint64_t one;

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.0.1", 9, "k", 80});
	put(&w, (struct svc){"b", "10.0.0.2", 8, "k", 81});
	CHECK_INT(vip_dirty_count(w.t), 2);
	vip_clean(w.t);
	CHECK_INT(vip_dirty_count(w.t), 0);
	one = id_of(&w, "10.0.0.1");
	put(&w, (struct svc){"a", "10.0.0.1", 9, "k", 80});
	put(&w, (struct svc){"a", "10.0.0.1", 9, "k", 80});
	CHECK_INT(vip_dirty_count(w.t), 1);
	CHECK_INT(vip_dirty_at(w.t, 0), one);
	delete (&w, "a");
	CHECK_INT(vip_dirty_count(w.t), 1); /* once, and gone */
	CHECK(vip_group(w.t, one) == NULL);
	vip_clean(w.t);
	put(&w, (struct svc){"a", "", 9, "k", 80});
	CHECK_INT(vip_update(w.t, &w.conf, w.c, "x/never"), 0);
	CHECK_INT(vip_dirty_count(w.t), 0);
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_INT(vip_dirty_count(w.t), 1); /* all */
	world_free(&w);
}

static void test_new_configuration(void)
{
	struct world w;
	struct config_pool only_b;
	struct config conf;
	uint64_t one;

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.0.1", 9, "k", 80});
	put(&w, (struct svc){"b", "10.0.1.1", 8, "k", 81});
	vip_clean(w.t);
	one = id_of(&w, "10.0.1.1");
	only_b = w.pools[POOL_B];
	conf = (struct config){.classless = true, .pools = &only_b, .n_pools = 1};
	CHECK_INT(vip_rebuild(w.t, &conf, w.c), 0);
	CHECK_STR(groups_text(&w), "10.0.1.1=b");
	CHECK_INT(id_of(&w, "10.0.1.1"), one);
	CHECK(vip_find(w.t, ip("10.0.1.1")) != NULL);
	CHECK_INT(vip_dirty_count(w.t), 2);
	conf.classless = false;
	CHECK_INT(vip_update(w.t, &conf, w.c, "x/b"), 0);
	CHECK_INT(vip_count(w.t), 0);
	CHECK_INT(vip_group_count(w.t), 0);
	world_free(&w);
}

static void test_why(void)
{
	struct world w;
	const struct cluster_service *s;

	world_init(&w);
	put(&w, (struct svc){"a", "10.0.0.1", 9, NULL, 80});
	put(&w, (struct svc){"b", "10.0.0.1 192.0.2.1", 8, NULL, 80});
	s = pick(w.c, "x/b");
	CHECK_INT(vip_why(w.t, &w.conf, w.c, pick(w.c, "x/a"), ip("10.0.0.1")), REASON_OWNER);
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("10.0.0.1")), REASON_DOUBLE_ALLOCATION);
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("192.0.2.1")), REASON_IP_NOT_ALLOWED);
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("10.0.0.2")), REASON_NO_IP);
	w.conf.classless = false;
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("10.0.0.1")), REASON_CLASSLESS);
	world_free(&w);
}

/* Nothing is announced, although a pool has the nodes' addresses. */
static void test_servicelb(void)
{
	static const char node[] =
		"{\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"9\"},\"status\":"
		"{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"},"
		"{\"type\":\"ExternalIP\",\"address\":\"192.0.2.1\"}]}}";
	cJSON *o = cJSON_Parse(node);
	const struct cluster_service *s;
	struct world w;

	world_init(&w);
	CHECK_INT(cluster_apply(w.c, CLUSTER_NODE, CLUSTER_PUT, o), 0);
	cJSON_Delete(o);
	put(&w, (struct svc){"a", "10.0.0.1", 9, NULL, 80});
	CHECK_INT(vip_count(w.t), 1);
	w.conf.servicelb_active = true;
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_INT(vip_count(w.t), 0);
	put(&w, (struct svc){"b", "10.0.0.2", 9, NULL, 80});
	CHECK_INT(vip_count(w.t), 0);
	s = pick(w.c, "x/a");
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("10.0.0.1")), REASON_NODE_ADDRESS);
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("192.0.2.1")), REASON_NODE_ADDRESS);
	CHECK_INT(vip_why(w.t, &w.conf, w.c, s, ip("10.0.0.2")), REASON_IP_NOT_ALLOWED);
	world_free(&w);
}

static void test_over_the_limit(void)
{
	struct world w;
	struct addr_range all = {ip("10.0.0.0"), ip("10.255.255.255")};
	char ips[64 * 16], name[16];
	unsigned next = 0;

	world_init(&w);
	w.pools[POOL_A].ranges = &all;
	for (unsigned i = 0; i < VIP_MAX / 64; i++) {
		size_t n = 0;

		for (unsigned j = 0; j < 64; j++, next++)
			n += (size_t)snprintf(ips + n, sizeof ips - n, "%s10.%u.%u.%u",
				j > 0 ? " " : "", next >> 16, next >> 8 & 255, next & 255);
		(void)snprintf(name, sizeof name, "s%u", i);
		put_only(&w, (struct svc){name, ips, 1, NULL, 80});
	}
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_INT(vip_count(w.t), VIP_MAX);
	cluster_clean(w.c);
	put_only(&w, (struct svc){"over", "10.200.0.1 10.0.0.0", 1, NULL, 80});
	CHECK_INT(take_in(&w), -E2BIG);
	CHECK_STR(holders_text(&w, "10.0.0.0"), "s0,over!");
	CHECK(vip_find(w.t, ip("10.200.0.1")) == NULL);
	CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
	CHECK_INT(vip_count(w.t), VIP_MAX);
	world_free(&w);
}

/* -- the model: components by brute force over the table's own holders ------------------------- */

enum { ADDRS = 24, SVCS = 24 };

static struct addr addr_no(size_t i)
{
	char s[ADDR_STRLEN];

	(void)snprintf(s, sizeof s, i % 3 == 2 ? "fd00::%zx" : "10.0.0.%zu", i + 1);
	return ip(s);
}

static bool lawful(const struct vip *v, const char *key)
{
	for (size_t i = 0; i < v->n_holders; i++)
		if (strcmp(vip_holder(v, i).key, key) == 0)
			return !vip_holder(v, i).doubled;
	return false;
}

/* Is each holder, and each verdict, what the picture says? */
static bool holders_are_right(const struct world *w, const struct vip *v)
{
	size_t n = 0;
	const struct cluster_service *s = NULL;

	for (size_t i = 0; i < v->n_holders; i++) {
		const struct cluster_service *a = pick(w->c, vip_holder(v, i).key);
		bool may = true, has = false;

		for (size_t j = 0; a != NULL && j < i; j++)
			may = may && (vip_holder(v, j).doubled ||
					     service_sharing(a, pick(w->c, vip_holder(v, j).key),
						     NULL) == SERVICE_SHARING_OK);
		for (size_t j = 0; a != NULL && j < a->n_ingress; j++)
			has = has || addr_eq(a->ingress[j], v->addr);
		if (!has || vip_holder(v, i).doubled == may)
			return false;
	}
	while ((s = pick_next(w->c, s)) != NULL)
		for (size_t j = 0; j < s->n_ingress; j++)
			n += addr_eq(s->ingress[j], v->addr);
	return n == v->n_holders;
}

/* Labels by repeated relaxation: two VIPs are together when a Service holds both lawfully. */
static void components(const struct world *w, const struct vip *const *v, unsigned *label)
{
	bool moved = true;

	for (unsigned i = 0; i < ADDRS; i++)
		label[i] = i;
	while (moved) {
		moved = false;
		for (size_t i = 0; i < ADDRS; i++)
			for (size_t j = 0; j < ADDRS; j++) {
				const struct cluster_service *s = NULL;

				if (v[i] == NULL || v[j] == NULL || label[j] <= label[i] ||
					addr_family(v[i]->addr) != addr_family(v[j]->addr))
					continue;
				while ((s = pick_next(w->c, s)) != NULL)
					if (lawful(v[i], s->key) && lawful(v[j], s->key)) {
						label[j] = label[i];
						moved = true;
						break;
					}
			}
	}
}

static bool group_is_right(const struct world *w, const struct vip_group *g)
{
	size_t n = 0;
	const struct cluster_service *s = NULL;

	for (size_t i = 0; i < g->n_vips; i++)
		if (vip_member(g, i)->group != g ||
			addr_family(vip_member(g, i)->addr) != g->family ||
			(i > 0 &&
				addr_cmp(vip_member(g, i - 1)->addr, vip_member(g, i)->addr) >= 0))
			return false;
	while ((s = pick_next(w->c, s)) != NULL) {
		bool in = false;

		for (size_t i = 0; i < g->n_vips; i++)
			in = in || lawful(vip_member(g, i), s->key);
		n += in;
	}
	for (size_t i = 0; i < g->n_services; i++) {
		const struct cluster_service *a = pick(w->c, vip_service(g, i));

		if (a == NULL || (i == 0 && !addr_eq(g->key, a->ingress[0])) ||
			(i > 0 && service_elder(pick(w->c, vip_service(g, i - 1)), a) >= 0))
			return false;
	}
	return n == g->n_services && n > 0;
}

static bool table_is_right(const struct world *w)
{
	const struct vip *v[ADDRS];
	unsigned label[ADDRS];
	size_t n_vips = 0, n_groups = 0;
	const struct vip_group *g = NULL;

	for (size_t i = 0; i < ADDRS; i++) {
		v[i] = vip_find(w->t, addr_no(i));
		n_vips += v[i] != NULL;
		if (v[i] != NULL && !holders_are_right(w, v[i]))
			return false;
	}
	components(w, v, label);
	for (size_t i = 0; i < ADDRS; i++)
		for (size_t j = 0; j < i; j++)
			if (v[i] != NULL && v[j] != NULL &&
				(label[i] == label[j]) != (v[i]->group == v[j]->group))
				return false;
	while ((g = vip_next_group(w->t, g)) != NULL) {
		n_groups++;
		if (!group_is_right(w, g) || vip_group(w->t, g->id) != g)
			return false;
	}
	return n_vips == vip_count(w->t) && n_groups == vip_group_count(w->t);
}

/* What each address's group was, to see that ids do not move without need. */
struct memory {
	uint64_t id[ADDRS];
	char text[ADDRS][512]; /* VIPs and Services of the group */
};

static void remember(const struct world *w, struct memory *m)
{
	char a[ADDR_STRLEN];

	memset(m, 0, sizeof *m);
	for (size_t i = 0; i < ADDRS; i++) {
		const struct vip *v = vip_find(w->t, addr_no(i));
		size_t n = 0;

		if (v == NULL)
			continue;
		m->id[i] = v->group->id;
		for (size_t j = 0; j < v->group->n_vips; j++)
			n += (size_t)snprintf(m->text[i] + n, sizeof m->text[i] - n, "%s ",
				addr_format(vip_member(v->group, j)->addr, a));
		for (size_t j = 0; j < v->group->n_services; j++)
			n += (size_t)snprintf(m->text[i] + n, sizeof m->text[i] - n, "%s ",
				vip_service(v->group, j));
	}
}

static bool is_dirty(const struct world *w, uint64_t id)
{
	for (size_t i = 0; i < vip_dirty_count(w->t); i++)
		if (vip_dirty_at(w->t, i) == id)
			return true;
	return false;
}

static bool ids_are_right(const struct world *w, const struct memory *was, const struct memory *is)
{
	for (size_t i = 0; i < ADDRS; i++) {
		bool same = strcmp(was->text[i], is->text[i]) == 0;

		if (same && was->id[i] != is->id[i])
			return false;
		if (!same && was->id[i] != 0 && !is_dirty(w, was->id[i]))
			return false;
		if (!same && is->id[i] != 0 && !is_dirty(w, is->id[i]))
			return false;
	}
	return true;
}

static void random_change(struct world *w, struct rng *rng)
{
	static const char *const keys[] = {NULL, "k", "k", "k", "l"};
	char name[16], ips[256] = "", a[ADDR_STRLEN];
	size_t n = 0;

	(void)snprintf(name, sizeof name, "s%u", (unsigned)rng_below(rng, SVCS));
	if (rng_below(rng, 4) == 0) {
		delete_only(w, name);
		return;
	}
	for (uint64_t i = rng_below(rng, 4); i > 0; i--)
		n += (size_t)snprintf(ips + n, sizeof ips - n, "%s%s", n > 0 ? " " : "",
			addr_format(addr_no(rng_below(rng, ADDRS)), a));
	put_only(w,
		(struct svc){name, ips, (unsigned)rng_below(rng, 9),
			keys[rng_below(rng, ARRAY_LEN(keys))], 80 + (unsigned)rng_below(rng, 6)});
}

static void test_model(void)
{
	struct memory was = {0}, is;
	struct rng rng = {.state = 1};
	struct world w;
	size_t changes;

	world_init(&w);
	for (int step = 0; step < 5000; step++) {
		for (uint64_t i = rng_below(&rng, 3); i > 0; i--)
			random_change(&w, &rng);
		changes = cluster_dirty_count(w.c);
		if (rng_below(&rng, 50) == 0) {
			CHECK_INT(vip_rebuild(w.t, &w.conf, w.c), 0);
			cluster_clean(w.c);
		}
		CHECK_INT(take_in(&w), 0);
		remember(&w, &is);
		/* Between two changes a group may lose its id and come back as it was. */
		if (!table_is_right(&w) || (changes < 2 && !ids_are_right(&w, &was, &is))) {
			printf("step %d\n", step);
			CHECK(table_is_right(&w));
			CHECK(ids_are_right(&w, &was, &is));
			break;
		}
		was = is;
		vip_clean(w.t);
	}
	world_free(&w);
}

#ifdef MEMORY_CAN_FAIL
/* Every allocation of an update, and of a rebuild, fails in turn: what is shown stays whole, and
 * the next call mends it. */
static void test_out_of_memory(void)
{
	struct rng rng = {.state = 5};
	struct world w;

	world_init(&w);
	for (int round = 0; round < 200; round++) {
		bool rebuild = round % 10 == 9;
		const char *key;
		const struct vip_group *g = NULL;
		int r;

		random_change(&w, &rng);
		if (cluster_dirty_count(w.c) == 0)
			continue;
		key = cluster_dirty_at(w.c, 0).key;
		fail_after = (long)rng_below(&rng, 12);
		r = rebuild ? vip_rebuild(w.t, &w.conf, w.c) : vip_update(w.t, &w.conf, w.c, key);
		fail_after = -1;
		CHECK(r == 0 || r == -ENOMEM);
		while ((g = vip_next_group(w.t, g)) != NULL)
			for (size_t i = 0; i < g->n_vips; i++)
				CHECK(vip_member(g, i)->group == g &&
					vip_member(g, i)->n_holders > 0 &&
					strlen(vip_holder(vip_member(g, i), 0).key) > 2);
		if (r == -ENOMEM && rebuild)
			CHECK_INT(vip_count(w.t), 0);
		CHECK_INT(vip_update(w.t, &w.conf, w.c, key), 0);
		cluster_clean(w.c);
		CHECK(table_is_right(&w));
	}
	world_free(&w);
}
#else
static void test_out_of_memory(void)
{
}
#endif

CHECK_MAIN("test_vip", CHECK_TEST(test_groups), CHECK_TEST(test_views),
	CHECK_TEST(test_first_known_keeps), CHECK_TEST(test_doubled_turns_lawful_and_back),
	CHECK_TEST(test_ids_go_on), CHECK_TEST(test_ids_tie), CHECK_TEST(test_dirty),
	CHECK_TEST(test_new_configuration), CHECK_TEST(test_why), CHECK_TEST(test_servicelb),
	CHECK_TEST(test_over_the_limit),
	CHECK_TEST(test_model), CHECK_TEST(test_out_of_memory))
