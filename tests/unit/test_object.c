/* SPDX-License-Identifier: Apache-2.0
 *
 * test_object.c - Leases and Events as JSON, field for field.
 */
#include "object.h"

#include "check.h"

static void check_json(cJSON *o, const char *want)
{
	char *text = cJSON_PrintUnformatted(o);

	CHECK_STR(text, want);
	cJSON_free(text);
	cJSON_Delete(o);
}

static void test_lease(void)
{
	struct lease_action a = {
		.verb = LEASE_UPDATE,
		.name = "lbd-leader",
		.resource_version = "17",
		.uid = "u",
		.role = CLUSTER_LEASE_LEADER,
		.holder = "n1_ab",
		.duration_ms = 15000,
		.has_renew_time = true,
		.acquire_time = "2026-01-01T00:00:00.000000Z",
		.transitions = 3,
		.annotations = {{"lbd.io/x", "y"}},
		.n_annotations = 1,
	};

	check_json(object_lease(&a, "kube-system", 1767323045000007),
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
		"\"name\":\"lbd-leader\",\"namespace\":\"kube-system\",\"resourceVersion\":\"17\","
		"\"uid\":\"u\",\"labels\":{\"lbd.io/lease\":\"leader\"},\"annotations\":{\"lbd.io/"
		"schema\":\"1\",\"lbd.io/x\":\"y\"}},\"spec\":{\"holderIdentity\":\"n1_ab\",\"leaseDurationSeconds\":"
		"15,\"acquireTime\":\"2026-01-01T00:00:00.000000Z\",\"renewTime\":\"2026-01-02T03:"
		"04:05.000007Z\",\"leaseTransitions\":3}}");
	/* claims: no renewTime, no duration; created: no version */
	a = (struct lease_action){.verb = LEASE_CREATE,
		.name = "lbd-claims-n1",
		.role = CLUSTER_LEASE_CLAIMS,
		.holder = "",
		.transitions = -1};
	check_json(object_lease(&a, "ns", 0),
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
		"\"name\":\"lbd-claims-n1\",\"namespace\":\"ns\",\"labels\":{\"lbd.io/lease\":"
		"\"claims\"},\"annotations\":{\"lbd.io/schema\":\"1\"}},\"spec\":{\"holderIdentity\":\"\"}}");
	a.role = CLUSTER_LEASE_NODE;
	a.duration_ms = 1300; /* nobody may expire it early: up */
	a.set_acquire_time = a.has_renew_time = true;
	check_json(object_lease(&a, "ns", 999999),
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
		"\"name\":\"lbd-claims-n1\",\"namespace\":\"ns\",\"labels\":{\"lbd.io/lease\":"
		"\"node\"},\"annotations\":{\"lbd.io/schema\":\"1\"}},\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":2,"
		"\"acquireTime\":\"1970-01-01T00:00:00.999999Z\",\"renewTime\":\"1970-01-01T00:00:"
		"00.999999Z\"}}");
}

static void test_durations(void)
{
	static const struct {
		uint64_t ms;
		int want; /* 0 = absent */
	} rows[] = {{0, 0}, {1, 1}, {999, 1}, {1000, 1}, {1001, 2}, {40000, 40}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lease_action a = {.name = "x", .holder = "h", .duration_ms = rows[i].ms};
		cJSON *o = object_lease(&a, "ns", 0);
		const cJSON *d =
			cJSON_GetObjectItem(cJSON_GetObjectItem(o, "spec"), "leaseDurationSeconds");

		CHECK_INT(d != NULL ? d->valueint : 0, rows[i].want);
		cJSON_Delete(o);
	}
}

static void test_times(void)
{
	static const struct {
		int64_t us;
		const char *want;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000000Z"},
		{-5, "1970-01-01T00:00:00.000000Z"},
		{951782399999999, "2000-02-28T23:59:59.999999Z"},
		{951782400000000, "2000-02-29T00:00:00.000000Z"},
		{951868800000000, "2000-03-01T00:00:00.000000Z"},
		{1735689599000000, "2024-12-31T23:59:59.000000Z"},
		{1798761600000001, "2027-01-01T00:00:00.000001Z"},
		{4107542400000000, "2100-03-01T00:00:00.000000Z"},
		{4107456000000000, "2100-02-28T00:00:00.000000Z"},
		{253402300799999999, "9999-12-31T23:59:59.999999Z"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lease_action a = {.name = "x", .holder = "h", .has_renew_time = true};
		cJSON *o = object_lease(&a, "ns", rows[i].us);

		check_row = rows[i].want;
		CHECK_STR(cJSON_GetStringValue(
				  cJSON_GetObjectItem(cJSON_GetObjectItem(o, "spec"), "renewTime")),
			rows[i].want);
		cJSON_Delete(o);
	}
}

static void test_event(void)
{
	struct event_write w = {
		.name = "web.0011223344556677",
		.object = {.api_version = "v1",
			.kind = "Service",
			.namespace_ = "demo",
			.name = "web",
			.uid = "u",
			.resource_version = ""},
		.type = EVENT_WARNING,
		.reason = "AllocationFailed",
		.message = "no \"address\"",
		.count = 2,
		.first_ms = 1000,
		.last_ms = 9000,
	};

	check_json(object_event(&w, "n1", 10000, 1767323045999999),
		"{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"web."
		"0011223344556677\",\"namespace\":\"demo\"},\"involvedObject\":{\"apiVersion\":"
		"\"v1\",\"kind\":\"Service\",\"namespace\":\"demo\",\"name\":\"web\",\"uid\":\"u\"}"
		",\"type\":\"Warning\",\"reason\":\"AllocationFailed\",\"message\":\"no "
		"\\\"address\\\"\",\"source\":{\"component\":\"lbd\",\"host\":\"n1\"},"
		"\"reportingComponent\":\"lbd\",\"reportingInstance\":\"n1\",\"count\":2,"
		"\"firstTimestamp\":\"2026-01-02T03:03:56Z\",\"lastTimestamp\":\"2026-01-02T03:04:"
		"04Z\"}");
	check_json(object_event_patch(&w, 8000, 1767323045000000),
		"{\"count\":2,\"lastTimestamp\":\"2026-01-02T03:04:05Z\"}");
	w.count = 0;
	check_json(object_event_patch(&w, 8000, 1767323045000000),
		"{\"lastTimestamp\":\"2026-01-02T03:04:05Z\"}");
	CHECK_STR(object_event_namespace(&w), "demo");
	w.object.namespace_ = "";
	CHECK_STR(object_event_namespace(&w), "default");
	w.object.namespace_ = NULL;
	CHECK_STR(object_event_namespace(&w), "default");
}

static void test_condition(void)
{
	struct object_condition c = {.uid = "u",
		.type = "lbd.io/Announced",
		.status = "True",
		.reason = "Announced",
		.message = "m",
		.turned = true};
	cJSON *status = cJSON_CreateObject();

	check_json(object_condition(&c, 1767323045999999),
		"{\"metadata\":{\"uid\":\"u\"},\"status\":{\"conditions\":[{\"type\":\"lbd.io/"
		"Announced\",\"status\":\"True\",\"reason\":\"Announced\",\"message\":\"m\","
		"\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}]}}");
	c.turned = false;
	check_json(object_condition(&c, 1767323045999999),
		"{\"metadata\":{\"uid\":\"u\"},\"status\":{\"conditions\":[{\"type\":\"lbd.io/"
		"Announced\",\"status\":\"True\",\"reason\":\"Announced\",\"message\":\"m\"}]}}");
	c.status = NULL;
	check_json(object_condition(&c, 0),
		"{\"metadata\":{\"uid\":\"u\"},\"status\":{\"conditions\":[{\"type\":\"lbd.io/"
		"Announced\",\"$patch\":\"delete\"}]}}");
	CHECK(object_drop_condition(status, "t"));
	check_json(status, "{\"conditions\":[{\"type\":\"t\",\"$patch\":\"delete\"}]}");
}

CHECK_MAIN("test_object", CHECK_TEST(test_lease), CHECK_TEST(test_durations),
	CHECK_TEST(test_times), CHECK_TEST(test_event), CHECK_TEST(test_condition))
