/* SPDX-License-Identifier: Apache-2.0
 *
 * test_plan.c - what is announced where and why not; the difference between one plan and the next.
 */
#include "check.h"
#include "plan.h"
#include "world.h"

static struct world w;
static struct elect *e;
static struct plan *p;
static struct rng rng;
static uint64_t now;

static void no_op(void *ctx, const struct vip_group *g)
{
	(void)ctx;
	(void)g;
}

static void no_ask(void *ctx, const struct vip_group *g, const uint8_t mac[6])
{
	(void)mac;
	no_op(ctx, g);
}

static bool no_witness(void *ctx, unsigned ifindex, const char *suspect)
{
	(void)ctx;
	(void)ifindex;
	return suspect == NULL;
}

static bool not_seen(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	(void)since_ms;
	return no_witness(ctx, ifindex, suspect);
}

static bool no_session(void *ctx, unsigned ifindex, const char *node, const char *owner)
{
	(void)owner;
	return no_witness(ctx, ifindex, node);
}

static void forgot(void *ctx, const char *node)
{
	(void)ctx;
	(void)node;
}

static bool is_ours(void *ctx, const uint8_t mac[6])
{
	(void)ctx;
	(void)mac;
	return false;
}

static const struct elect_ops ops = {
	no_op, no_op, no_ask, no_witness, not_seen, no_session, forgot, is_ours};

/* Claims of this node's past make elect an owner without any other member: G7. */
static void open_plan(const char *claims)
{
	const struct elect_conf conf = {.node = "n1", .identity = "n1/b/1", .version = "1"};
	const struct cluster_lease l = {.name = "lbd-claims-n1",
		.uid = "u",
		.resource_version = "1",
		.role = CLUSTER_LEASE_CLAIMS,
		.node = "n1",
		.holder = "n1/a/1",
		.claims = claims};

	world_open(&w, "n1");
	world_link(&w, 2, "eth0", 1, true);
	world_addr(&w, 2, "10.0.0.1/24");
	world_node(&w, "n1", "", "");
	now = 1000;
	rng.state = 1;
	e = elect_new(&conf, &ops, NULL, &w.hkey, &rng, NULL);
	p = plan_new(&w.hkey);
	if (e == NULL || p == NULL)
		abort();
	elect_set_input(e, &w.in, now);
	elect_on_lease(e, &l, false, now);
	elect_on_synced(e, true, now);
}

static void close_plan(void)
{
	plan_free(p);
	elect_free(e);
	world_close(&w);
}

/* As the daemon's pass does; changes stay until plan_clean(). */
static void pass(bool dry_run)
{
	const struct plan_input in = {.vips = w.vips, .elect = e, .dry_run = dry_run};

	world_vips(&w);
	elect_pass(e, now);
	for (size_t i = 0; i < vip_dirty_count(w.vips); i++)
		CHECK_INT(plan_update(p, &in, vip_dirty_at(w.vips, i)), 0);
	for (size_t i = 0; i < elect_dirty_count(e); i++)
		CHECK_INT(plan_update(p, &in, elect_dirty_at(e, i)), 0);
	vip_clean(w.vips);
	elect_clean(e);
}

static void turn(unsigned ms)
{
	for (; ms > 0; ms--) {
		now++;
		pass(false);
	}
}

static void serve(const char *name, const char *ips)
{
	world_service(&w, name, ips, "'lbd.io/allow-shared-ip':'k'", "");
	world_endpoints(&w, name, "n1");
}

static const struct plan_entry *entry(const char *ip)
{
	const struct plan_entry *v[4];

	return plan_of(p, world_ip(ip), v, 4) > 0 ? v[0] : NULL;
}

static void test_announced(void)
{
	struct plan_change c;

	open_plan("4:10.0.0.100-8");
	serve("web", "'10.0.0.100'");
	pass(false);
	CHECK(entry("10.0.0.100") != NULL && !entry("10.0.0.100")->announced);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_PROBING);
	CHECK_INT(entry("10.0.0.100")->ifindex, 2);
	plan_clean(p);
	turn(10);
	CHECK(entry("10.0.0.100")->announced);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_OWNER);
	CHECK_INT(plan_change_count(p), 1);
	c = plan_change_at(p, 0);
	CHECK(c.was != NULL && !c.was->announced && c.is != NULL && c.is->announced);
	plan_clean(p);
	CHECK_INT(plan_change_count(p), 0);
	turn(50);
	CHECK_INT(plan_change_count(p), 0);
	/* The Service goes. */
	world_apply(
		&w, CLUSTER_SERVICE, CLUSTER_DELETE, world_service_json(++w.rv, "web", "", "", ""));
	pass(false);
	CHECK_INT(plan_change_count(p), 1);
	c = plan_change_at(p, 0);
	CHECK(c.is == NULL && c.was != NULL && c.was->announced);
	CHECK(plan_next(p, NULL) == NULL);
	CHECK(entry("10.0.0.100") == NULL);
	close_plan();
}

static void test_reasons(void)
{
	open_plan("");
	serve("web", "'10.0.0.100'");
	serve("six", "'fd00::100'");
	pass(false);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_NOT_OWNER);
	CHECK_INT(entry("fd00::100")->reason, REASON_NOT_OWNER);
	CHECK_INT(entry("fd00::100")->ifindex, 2);
	CHECK(!entry("fd00::100")->announced);
	world_link(&w, 2, "eth0", 1, false);
	elect_set_input(e, &w.in, now);
	pass(false);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_NO_INTERFACE);
	CHECK_INT(entry("10.0.0.100")->ifindex, 0);
	world_link(&w, 2, "eth0", 1, true);
	elect_set_input(e, &w.in, now);
	elect_drain(e, "by hand", now + 1000, now);
	pass(false);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_DRAINING);
	CHECK_INT(entry("10.0.0.100")->ifindex, 2);
	close_plan();
}

static void test_handover(void)
{
	open_plan("4:10.0.0.100-8");
	serve("web", "'10.0.0.100'");
	turn(20);
	world_endpoints(&w, "web", ""); /* soft: answers for two seconds more */
	pass(false);
	CHECK(entry("10.0.0.100")->announced);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_HANDOVER);
	turn(2000);
	CHECK(!entry("10.0.0.100")->announced);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_NO_ENDPOINTS);
	close_plan();
}

static void test_dry_run(void)
{
	open_plan("4:10.0.0.100-8");
	serve("web", "'10.0.0.100'");
	for (unsigned i = 0; i < 20; i++, now++)
		pass(true);
	CHECK(!entry("10.0.0.100")->announced);
	CHECK_INT(entry("10.0.0.100")->reason, REASON_DRY_RUN);
	/* Without a Lease of its own it never owns anything: what it could announce is told all the
	 * same, what not, too. */
	serve("more", "'10.0.0.101'");
	world_service(&w, "none", "'10.0.0.102'", "", "");
	elect_on_synced(e, false, now);
	pass(true);
	CHECK_INT(entry("10.0.0.101")->reason, REASON_DRY_RUN);
	CHECK(!entry("10.0.0.101")->announced);
	CHECK_INT(entry("10.0.0.102")->reason, REASON_NO_ENDPOINTS);
	close_plan();
}

/* Services join and part: the VIP goes from group to group, its place does not change. */
static void test_regroup(void)
{
	static const char *const ports = ",'ports':[{'port':81,'protocol':'TCP'}]";

	open_plan("4:10.0.0.100-8");
	serve("a", "'10.0.0.100'");
	serve("b", "'10.0.0.101'");
	turn(20);
	CHECK(entry("10.0.0.100")->announced && entry("10.0.0.101")->announced);
	plan_clean(p);
	for (unsigned i = 0; i < 2; i++) {
		check_row = i == 0 ? "join" : "part";
		if (i == 0) {
			world_service(&w, "c", "'10.0.0.100','10.0.0.101'",
				"'lbd.io/allow-shared-ip':'k'", ports);
			world_endpoints(&w, "c", "n1");
		} else {
			world_apply(&w, CLUSTER_SERVICE, CLUSTER_DELETE,
				world_service_json(++w.rv, "c", "", "", ""));
		}
		pass(false);
		CHECK(entry("10.0.0.100")->announced && entry("10.0.0.101")->announced);
		CHECK(plan_change_count(p) >= 1);
		for (size_t k = 0; k < plan_change_count(p); k++) {
			struct plan_change c = plan_change_at(p, k);

			CHECK(c.was != NULL && c.was->announced && c.is != NULL && c.is->announced);
		}
		plan_clean(p);
	}
	close_plan();
}

static void test_order(void)
{
	const struct plan_entry *it = NULL, *before = NULL, *v[8];
	struct plan_input here = {.vips = NULL};
	size_t n = 0;
	char ip[32], name[8];

	open_plan("");
	world_link(&w, 3, "eth1", 1, true);
	world_addr(&w, 3, "10.0.0.64/26"); /* another subnet that holds some of them */
	elect_set_input(e, &w.in, now);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(ip, sizeof ip, "'10.0.0.%u'", 119 - i);
		(void)snprintf(name, sizeof name, "s%u", i);
		serve(name, ip);
	}
	pass(false);
	here.vips = w.vips;
	here.elect = e;
	for (; (it = plan_next(p, it)) != NULL; before = it, n++)
		CHECK(before == NULL || before->group < it->group ||
			(before->group == it->group && before->ifindex < it->ifindex));
	CHECK_INT(n, 40);
	CHECK_INT(plan_of(p, world_ip("10.0.0.110"), v, 8), 2);
	CHECK(v[0]->ifindex == 2 && v[1]->ifindex == 3);
	CHECK_INT(plan_of(p, world_ip("10.0.0.110"), v, 1), 2);
	CHECK_INT(plan_of(p, world_ip("10.0.0.99"), v, 8), 0);
	CHECK_INT(plan_change_count(p), 40);
	/* A rebuild without a difference changes nothing; one after a loss removes what is gone. */
	plan_clean(p);
	CHECK_INT(plan_rebuild(p, &here), 0);
	CHECK_INT(plan_change_count(p), 0);
	for (unsigned i = 0; i < 20; i += 2) {
		(void)snprintf(name, sizeof name, "s%u", i);
		world_apply(&w, CLUSTER_SERVICE, CLUSTER_DELETE,
			world_service_json(++w.rv, name, "", "", ""));
	}
	world_vips(&w);
	CHECK_INT(plan_rebuild(p, &here), 0);
	CHECK_INT(plan_change_count(p), 20);
	for (n = 0, it = NULL; (it = plan_next(p, it)) != NULL;)
		n++;
	CHECK_INT(n, 20);
	close_plan();
	plan_free(NULL);
}

/* Came and went, or went and came, between two cleanings: nothing, or one change. */
static void test_folded(void)
{
	struct plan_change c;

	open_plan("4:10.0.0.100-8");
	serve("web", "'10.0.0.100'");
	pass(false);
	world_apply(
		&w, CLUSTER_SERVICE, CLUSTER_DELETE, world_service_json(++w.rv, "web", "", "", ""));
	pass(false);
	CHECK_INT(plan_change_count(p), 0);
	serve("web", "'10.0.0.100'");
	turn(20);
	CHECK_INT(plan_change_count(p), 1);
	c = plan_change_at(p, 0);
	CHECK(c.was == NULL && c.is != NULL && c.is->announced);
	close_plan();
}

/* bindAddress set and taken back while the address is in service: a change, and nothing else. */
static void test_bind(void)
{
	struct plan_change c;

	open_plan("4:10.0.0.100-8");
	serve("web", "'10.0.0.100'");
	turn(20);
	CHECK(entry("10.0.0.100")->announced && !entry("10.0.0.100")->bind);
	for (unsigned i = 0; i < 2; i++) {
		bool on = i == 0;

		plan_clean(p);
		w.ads[0].bind_address = on;
		elect_set_input(e, &w.in, now);
		pass(false);
		CHECK(entry("10.0.0.100")->announced && entry("10.0.0.100")->bind == on);
		CHECK_INT(plan_change_count(p), 1);
		c = plan_change_at(p, 0);
		CHECK(c.was != NULL && c.was->announced && c.was->bind == !on);
		CHECK(c.is != NULL && c.is->announced && c.is->bind == on);
	}
	close_plan();
}

CHECK_MAIN("test_plan", CHECK_TEST(test_announced), CHECK_TEST(test_reasons),
	CHECK_TEST(test_handover), CHECK_TEST(test_dry_run), CHECK_TEST(test_regroup),
	CHECK_TEST(test_order), CHECK_TEST(test_folded), CHECK_TEST(test_bind))
