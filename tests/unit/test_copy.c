/* SPDX-License-Identifier: Apache-2.0
 *
 * test_copy.c - a copy shows all that was put in, and lives on without it.
 */
#include "check.h"
#include "copy.h"

/* All that a Service can have; what it points at is the caller's to spoil. */
struct full {
	struct cluster_service s;
	char text[12][16];
	struct label labels[2];
	struct addr ingress[2];
	struct cluster_port ports[2];
};

static void fill(struct full *f)
{
	for (size_t i = 0; i < ARRAY_LEN(f->text); i++)
		(void)snprintf(f->text[i], sizeof f->text[i], "text%zu", i);
	f->labels[0] = (struct label){f->text[8], f->text[9]};
	f->labels[1] = (struct label){f->text[10], f->text[11]};
	f->ingress[0] = (struct addr){1, 2};
	f->ingress[1] = (struct addr){3, 4};
	f->ports[0] = (struct cluster_port){CLUSTER_UDP, 53};
	f->ports[1] = (struct cluster_port){CLUSTER_SCTP, 65535};
	f->s = (struct cluster_service){.key = "ns/name",
		.namespace_ = "ns",
		.name = "name",
		.uid = f->text[0],
		.resource_version = f->text[1],
		.created_s = -5,
		.is_load_balancer = true,
		.local = true,
		.ingress_not_vip_mode = true,
		.announced = {.status = CONDITION_TRUE, .print = 0xa5},
		.n_ingress = 2,
		.n_ports = 2,
		.n_families = 2,
		.ingress = f->ingress,
		.family_policy = CLUSTER_REQUIRE_DUAL,
		.families = {ADDR_V6, ADDR_V4},
		.ports = f->ports,
		.class_ = f->text[2],
		.load_balancer_ip = f->text[3],
		.request = {.ips = f->text[4],
			.pool = f->text[5],
			.sharing_key = f->text[6],
			.protocol = f->text[8],
			.conflict = f->text[7],
			.ips_by = 4,
			.pool_by = 3,
			.sharing_by = 2,
			.ignore = true,
			.openelb = true},
		.labels = {f->labels, 2},
		.backend_key = "app=web",
		.pool_written = "lan"};
}

static void test_all_fields(void)
{
	struct copy_status st;
	struct cluster_service v;
	struct full f;
	struct copy *c;

	fill(&f);
	c = copy_hold(&f.s);
	CHECK(c != NULL);
	memset(&f, 'x', sizeof f);
	v = copy_view(c);
	CHECK_STR(v.key, "ns/name");
	CHECK_STR(v.namespace_, "ns");
	CHECK_STR(v.name, "name");
	CHECK_STR(v.uid, "text0");
	CHECK_STR(v.resource_version, "text1");
	CHECK_INT(v.created_s, -5);
	CHECK_INT(v.announced.status, CONDITION_TRUE);
	CHECK_INT(v.announced.print, 0xa5);
	CHECK(v.is_load_balancer && v.local && v.ingress_not_vip_mode && v.request.ignore);
	CHECK(!v.deleting && !v.has_cluster_ip && !v.ingress_foreign);
	CHECK(v.n_families == 2 && v.families[0] == ADDR_V6 && v.families[1] == ADDR_V4);
	CHECK_INT(v.family_policy, CLUSTER_REQUIRE_DUAL);
	CHECK(v.n_ingress == 2 && addr_eq(v.ingress[1], (struct addr){3, 4}));
	CHECK(v.n_ports == 2 && v.ports[0].protocol == CLUSTER_UDP && v.ports[0].port == 53);
	CHECK(v.ports[1].protocol == CLUSTER_SCTP && v.ports[1].port == 65535);
	CHECK_STR(v.class_, "text2");
	CHECK_STR(v.load_balancer_ip, "text3");
	CHECK_STR(v.request.ips, "text4");
	CHECK_STR(v.request.pool, "text5");
	CHECK_STR(v.request.sharing_key, "text6");
	CHECK_STR(v.request.conflict, "text7");
	CHECK_STR(v.request.protocol, "text8");
	CHECK(v.request.openelb);
	CHECK(v.request.ips_by == 4 && v.request.pool_by == 3 && v.request.sharing_by == 2);
	CHECK_INT(v.labels.n, 2);
	CHECK_STR(v.labels.v[0].key, "text8");
	CHECK_STR(v.labels.v[1].value, "text11");
	CHECK_STR(v.backend_key, "app=web");
	CHECK_STR(v.pool_written, "lan");
	CHECK_STR(copy_uid(c), "text0");
	CHECK_STR(copy_version(c), "text1");
	st = copy_status(c);
	CHECK(st.n == 2 && st.v == v.ingress && st.not_vip_mode && st.marked && !st.foreign);
	CHECK(copy_shows(c, (struct addr){1, 2}) && !copy_shows(c, (struct addr){1, 4}));
	CHECK(copy_hold(&v) == c); /* the same, held once more */
	copy_drop(c);
	CHECK_STR(copy_key(c), "ns/name");
	CHECK(copy_is_load_balancer(c));
	copy_drop(c);
}

static void test_nothing_set(void)
{
	struct cluster_service s = {.key = "plain", .backend_key = "app=web"}, v;
	struct copy *c = copy_hold(&s);

	CHECK(c != NULL);
	v = copy_view(c);
	CHECK_STR(v.name, "plain");
	CHECK_STR(v.uid, "");
	CHECK_STR(v.resource_version, "");
	CHECK_STR(v.namespace_, "");
	CHECK_STR(v.backend_key, ""); /* not Local */
	CHECK(v.class_ == NULL && v.load_balancer_ip == NULL && v.request.ips == NULL);
	CHECK(v.request.pool == NULL && v.request.sharing_key == NULL && v.pool_written == NULL);
	CHECK(v.request.protocol == NULL && !v.request.openelb);
	CHECK(v.n_ingress == 0 && v.n_ports == 0 && v.labels.n == 0 && v.n_families == 0);
	CHECK_STR(copy_version(c), "");
	CHECK(!copy_shows(c, (struct addr){0, 0}));
	copy_drop(c);
	copy_drop(NULL);
}

static void test_limits(void)
{
	static const struct {
		const char *name;
		size_t n_labels;
		uint16_t n_ingress, n_ports, n_families;
	} rows[] = {
		{"labels", CLUSTER_MAX_LABELS + 1, 0, 0, 0},
		{"ingress", 0, CLUSTER_MAX_INGRESS + 1, 0, 0},
		{"ports", 0, 0, CLUSTER_MAX_PORTS + 1, 0},
		{"families", 0, 0, 0, 3},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cluster_service s = {.key = "ns/name",
			.labels = {NULL, rows[i].n_labels},
			.n_ingress = rows[i].n_ingress,
			.n_ports = rows[i].n_ports,
			.n_families = rows[i].n_families};

		check_row = rows[i].name;
		CHECK(copy_hold(&s) == NULL);
	}
}

CHECK_MAIN("test_copy", CHECK_TEST(test_all_fields), CHECK_TEST(test_nothing_set),
	CHECK_TEST(test_limits))
