/* SPDX-License-Identifier: Apache-2.0
 *
 * test_rights.c - which right a request needs, when a refusal is said, and in which words.
 */
#include "rights.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define A10  "aaaaaaaaaa"
#define A60  A10 A10 A10 A10 A10 A10
#define A120 A60 A60

static void test_right_of(void)
{
	static const struct {
		const char *name;
		enum right_verb verb;
		const char *path, *want; /* NULL = none */
		const char *namespace_;
	} rows[] = {
		{"list", RIGHT_GET, "/api/v1/services?limit=500", "list services", ""},
		{"list of a group", RIGHT_GET, "/apis/discovery.k8s.io/v1/endpointslices",
			"list endpointslices.discovery.k8s.io", ""},
		{"watch", RIGHT_WATCH, "/api/v1/nodes?watch=1&resourceVersion=7", "watch nodes",
			""},
		{"list in a namespace", RIGHT_GET,
			"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
			"list leases.coordination.k8s.io", "kube-system"},
		{"get", RIGHT_GET,
			"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lbd-leader",
			"get leases.coordination.k8s.io", "kube-system"},
		{"update", RIGHT_UPDATE, "/apis/a.b/v1/namespaces/x/leases/y?timeout=4s",
			"update leases.a.b", "x"},
		{"subresource", RIGHT_PATCH,
			"/api/v1/namespaces/demo/services/web/status?timeout=4s",
			"patch services/status", "demo"},
		{"subresource of a group", RIGHT_PATCH,
			"/apis/metallb.io/v1beta1/namespaces/m/ipaddresspools/p/status",
			"patch ipaddresspools/status.metallb.io", "m"},
		{"cluster scope", RIGHT_PATCH, "/apis/a.b/v1alpha2/eips/e/status",
			"patch eips/status.a.b", ""},
		{"create", RIGHT_CREATE, "/api/v1/namespaces/demo/events", "create events", "demo"},
		{"delete", RIGHT_DELETE, "/api/v1/nodes/n1", "delete nodes", ""},
		{"namespaces", RIGHT_GET, "/api/v1/namespaces", "list namespaces", ""},
		{"namespaces, a query", RIGHT_GET, "/api/v1/namespaces?limit=5", "list namespaces",
			""},
		{"a namespace", RIGHT_GET, "/api/v1/namespaces/demo", "get namespaces", ""},
		{"a slash at the end", RIGHT_GET, "/api/v1/services/", "list services", ""},
		{"no resource", RIGHT_GET, "/api/v1", NULL, ""},
		{"no resource of a group", RIGHT_GET, "/apis/apps/v1/", NULL, ""},
		{"no API", RIGHT_GET, "/version", NULL, ""},
		{"another root", RIGHT_GET, "/healthz/v1/services", NULL, ""},
		{"an empty segment", RIGHT_GET, "/api//v1/services", NULL, ""},
		{"nothing", RIGHT_GET, "", NULL, ""},
		{"no slash", RIGHT_GET, "api/v1/services", NULL, ""},
		{"long", RIGHT_GET, "/api/v1/" A120, "list " A120, ""},
		{"too long", RIGHT_GET, "/api/v1/" A120 A10, NULL, ""},
		{"a long namespace", RIGHT_GET, "/api/v1/namespaces/" A60 "/services",
			"list services", A60},
		{"a namespace too long", RIGHT_GET, "/api/v1/namespaces/" A60 A10 "/services", NULL,
			""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct right r;
		char got[RIGHTS_RESOURCE_LEN + 16] = "";

		check_row = rows[i].name;
		CHECK_INT(right_of(rows[i].verb, rows[i].path, &r), rows[i].want != NULL);
		if (rows[i].want == NULL)
			continue;
		(void)snprintf(got, sizeof got, "%s %s", r.verb, r.resource);
		CHECK_STR(got, rows[i].want);
		CHECK_STR(r.namespace_, rows[i].namespace_);
	}
}

static struct right right(enum right_verb verb, const char *path)
{
	struct right r = {.verb = ""};

	CHECK(right_of(verb, path, &r));
	return r;
}

static void test_said_once(void)
{
	const struct right list = right(RIGHT_GET, "/api/v1/services"),
			   watch = right(RIGHT_WATCH, "/api/v1/services"),
			   nodes = right(RIGHT_GET, "/api/v1/nodes");
	struct rights r = {0};

	CHECK(!rights_allow(&r, &list));
	CHECK(rights_refuse(&r, &list, 1000));
	CHECK(!rights_refuse(&r, &list, 2000));
	CHECK(!rights_refuse(&r, &list, 1000 + 100 * RIGHTS_QUIET_MS));
	CHECK(rights_refuse(&r, &watch, 2000));
	CHECK(!rights_allow(&r, &nodes));
	CHECK(rights_allow(&r, &list));
	CHECK(!rights_allow(&r, &list));
	CHECK(!rights_refuse(&r, &watch, 3000));
	rights_free(&r);
	CHECK(rights_next(&r, NULL) == NULL);
}

/* One that comes and goes is said once a minute at most; that it went, only if it was said. */
static void test_comes_and_goes(void)
{
	const struct right list = right(RIGHT_GET, "/api/v1/services");
	struct rights r = {0};

	CHECK(rights_refuse(&r, &list, 0));
	CHECK(rights_allow(&r, &list));
	CHECK(!rights_refuse(&r, &list, RIGHTS_QUIET_MS - 2));
	CHECK(!rights_allow(&r, &list));
	CHECK(!rights_refuse(&r, &list, RIGHTS_QUIET_MS - 1));
	CHECK(rights_refuse(&r, &list, RIGHTS_QUIET_MS)); /* still, and not said yet */
	CHECK(!rights_refuse(&r, &list, 2 * RIGHTS_QUIET_MS));
	CHECK(rights_allow(&r, &list));
	rights_free(&r);
}

/* The right is one for all namespaces. */
static void test_namespaces(void)
{
	const struct right a = right(RIGHT_CREATE, "/api/v1/namespaces/a/events"),
			   b = right(RIGHT_CREATE, "/api/v1/namespaces/b/events");
	struct rights r = {0};

	CHECK(rights_refuse(&r, &a, 0));
	CHECK(!rights_refuse(&r, &b, 0));
	CHECK(rights_allow(&r, &b));
	rights_free(&r);
}

static void test_next(void)
{
	const struct right list = right(RIGHT_GET, "/api/v1/services"),
			   watch = right(RIGHT_WATCH, "/api/v1/nodes"),
			   patch = right(RIGHT_PATCH, "/api/v1/namespaces/a/services/b/status");
	struct rights r = {0};
	const char *s;

	CHECK(rights_refuse(&r, &list, 0) && rights_refuse(&r, &watch, 0) &&
		rights_refuse(&r, &patch, 0));
	CHECK(rights_allow(&r, &watch));
	s = rights_next(&r, NULL);
	CHECK_STR(s, "patch services/status");
	s = rights_next(&r, s);
	CHECK_STR(s, "list services");
	CHECK(rights_next(&r, s) == NULL);
	rights_free(&r);
}

/* Who can name resources without end fills no memory with them. */
static void test_limit(void)
{
	struct rights r = {0};
	unsigned said = 0;

	for (unsigned i = 0; i < 2 * RIGHTS_MAX; i++) {
		char path[64];
		struct right w;

		(void)snprintf(path, sizeof path, "/api/v1/things%u", i);
		w = right(RIGHT_GET, path);
		said += rights_refuse(&r, &w, 0);
	}
	CHECK_INT(said, RIGHTS_MAX);
	CHECK_INT(r.n, RIGHTS_MAX);
	rights_free(&r);
}

static void test_words(void)
{
	static const struct {
		const char *name, *path;
		enum right_verb verb;
		const char *server, *want;
	} rows[] = {
		{"everywhere", "/api/v1/services", RIGHT_GET,
			"HTTP 403: services is forbidden: User \"lbd\" cannot list resource "
			"\"services\" in "
			"API group \"\" at the cluster scope",
			"the API refuses to list services (403): no ClusterRole of lbd's has list "
			"on "
			"services, see rbac.yaml"},
		{"in a namespace", "/apis/a.b/v1/namespaces/ns/leases/x", RIGHT_UPDATE,
			"leases.a.b \"x\" is forbidden: User \"lbd\" cannot update resource "
			"\"leases\" in API "
			"group \"a.b\" in the namespace \"ns\"",
			"the API refuses to update leases.a.b in namespace ns (403): no Role or "
			"ClusterRole of lbd's has update on leases.a.b, see rbac.yaml"},
		{"no authorizer", "/api/v1/namespaces/ns/events", RIGHT_CREATE,
			"events is forbidden: unable to create new content in namespace ns because "
			"it is "
			"being terminated",
			"the API refuses to create events in namespace ns (403)"},
		{"no words", "/api/v1/nodes", RIGHT_WATCH, "",
			"the API refuses to watch nodes (403)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct right r = right(rows[i].verb, rows[i].path);
		struct buf b;

		check_row = rows[i].name;
		buf_init(&b, 4096);
		rights_say(&r, rows[i].server, &b);
		CHECK_STR(b.p, rows[i].want);
		buf_free(&b);
	}
}

CHECK_MAIN("test_rights", CHECK_TEST(test_right_of), CHECK_TEST(test_said_once),
	CHECK_TEST(test_comes_and_goes), CHECK_TEST(test_namespaces), CHECK_TEST(test_next),
	CHECK_TEST(test_limit), CHECK_TEST(test_words))
