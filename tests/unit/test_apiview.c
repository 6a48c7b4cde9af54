/* SPDX-License-Identifier: Apache-2.0
 *
 * test_apiview.c - the cluster as the API alone tells of it.
 */
#include "apiview.h"
#include "check.h"
#include "json.h"

/* ' for ". */
static cJSON *tree(const char *text)
{
	char s[8192];
	cJSON *o;

	(void)snprintf(s, sizeof s, "%s", text);
	for (char *p = s; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	o = json_parse(s, strlen(s));
	if (o == NULL)
		abort();
	return o;
}

static cJSON *dump_of(const char *leases, const char *services, const char *events)
{
	cJSON *l = tree(leases), *s = tree(services), *e = tree(events), *dump;
	const struct apiview_lists lists = {.leases = l,
		.services = s,
		.events = e,
		.server = "s",
		.now = "2026-01-01T00:01:00.000Z"};

	dump = apiview_dump(&lists);
	cJSON_Delete(l);
	cJSON_Delete(s);
	cJSON_Delete(e);
	if (dump == NULL)
		abort();
	return dump;
}

static const cJSON *named(const cJSON *dump, const char *array, const char *key, const char *value)
{
	const cJSON *o;

	cJSON_ArrayForEach (o, json_array(dump, array))
		if (json_string(o, key) != NULL && strcmp(json_string(o, key), value) == 0)
			return o;
	return NULL;
}

#define LEASE(role, name, node, holder, time, more)                                                \
	"{'metadata':{'name':'" name                                                               \
	"','uid':'u','resourceVersion':'1','labels':{'lbd.io/lease':'" role                        \
	"'},'annotations':{'lbd.io/node':'" node "'" more "}},'spec':{'holderIdentity':'" holder   \
	"','leaseDurationSeconds':40,'renewTime':'" time "'}}"
#define SERVICE(name, more, ingress)                                                               \
	"{'metadata':{'name':'" name "','namespace':'web','annotations':{" more                    \
	"}},'spec':{'type':'LoadBalancer'},'status':{'loadBalancer':{'ingress':[" ingress "]}}}"
#define POOL "'lbd.io/ip-allocated-from-pool':'lan'"

static const char leases[] = "[" LEASE(
	"leader", "lbd-leader", "", "n1_abc", "2026-01-01T00:00:59.000000Z", "") "," LEASE("node",
	"lbd-node-n1", "n1", "n1/b/1", "2026-01-01T00:00:55.000000Z",
	",'lbd.io/version':'0.1.0'") "," LEASE("node", "lbd-node-n2", "n2", "n2/b/1",
	"2026-01-01T00:00:10.000000Z", ",'lbd.io/draining':'disk'") "," LEASE("node", "lbd-node-n3",
	"n3", "", "2026-01-01T00:00:10.000000Z", "") "," LEASE("claims", "lbd-claims-n1", "n1",
	"n1/b/1", "", ",'lbd.io/claims':'4:10.0.0.1-2'") "," LEASE("claims", "lbd-claims-n2", "n2",
	"n2/b/1", "", ",'lbd.io/claims':'9:10.0.0.2-2'") ",5,{},null]";

static void test_nodes(void)
{
	cJSON *d = dump_of(leases, "[]", "[]");

	CHECK_STR(json_string(json_object(d, "leader"), "node"), "n1");
	CHECK_INT(cJSON_GetArraySize(json_array(d, "nodes")), 3);
	CHECK_STR(json_string(named(d, "nodes", "name", "n1"), "lease"), "alive");
	CHECK_STR(json_string(named(d, "nodes", "name", "n1"), "version"), "0.1.0");
	CHECK_INT(
		json_int(named(d, "nodes", "name", "n1"), "sinceRenewalMs", 0, 1000000, -1), 5000);
	CHECK_STR(json_string(named(d, "nodes", "name", "n2"), "lease"), "expired");
	CHECK_STR(json_string(named(d, "nodes", "name", "n2"), "draining"), "disk");
	CHECK_STR(json_string(named(d, "nodes", "name", "n3"), "lease"), "released");
	cJSON_Delete(d);
}

static void test_services(void)
{
	cJSON *d = dump_of(leases,
		"[" SERVICE("a", POOL, "{'ip':'10.0.0.9'}") "," SERVICE(
			"b", "", "{'ip':'192.0.2.1'}") "," SERVICE("c", "",
			"") ",{'metadata':{'name':'d','namespace':'web'},'spec':{'type':'ClusterIP'"
			    "}},7]",
		"[{'source':{'component':'lbd'},'type':'Warning','reason':'AllocationFailed','"
		"lastTimestamp':"
		"'2026-01-01T00:00:10Z','involvedObject':{'kind':'Service','namespace':'web','name'"
		":'c'},"
		"'message':'Failed to allocate IP for \\'web/c\\': it is full'},"
		"{'source':{'component':'lbd'},'type':'Warning','reason':'addressConflict','"
		"lastTimestamp':"
		"'2026-01-01T00:00:50Z','involvedObject':{'kind':'Service','namespace':'web','name'"
		":'a'},"
		"'message':'02:00:00:00:00:01, no node of this cluster, claims 10.0.0.9, which'},"
		"{'source':{'component':'other'},'lastTimestamp':'2026-01-01T00:00:20Z'}]");
	const cJSON *vip = named(d, "vips", "ip", "10.0.0.9");

	CHECK_INT(cJSON_GetArraySize(json_array(d, "services")), 3);
	CHECK_STR(json_string(named(d, "services", "name", "web/a"), "reason"), "allocated");
	CHECK_STR(json_string(named(d, "services", "name", "web/a"), "pool"), "lan");
	CHECK_STR(json_string(named(d, "services", "name", "web/c"), "text"), "it is full");
	CHECK_INT(cJSON_GetArraySize(json_array(d, "vips")), 1); /* 192.0.2.1 is somebody else's */
	CHECK_STR(json_string(vip, "foreignMac"), "02:00:00:00:00:01");
	CHECK_STR(json_string(vip, "foreignSeen"), "2026-01-01T00:00:50Z");
	CHECK_INT(cJSON_GetArraySize(json_array(d, "events")), 2);
	cJSON_Delete(d);
}

/* Who lives before who does not, whatever the terms; else who claims it. */
static void test_owners(void)
{
	static const char *const want[][2] = {
		{"10.0.0.1", "n1"}, {"10.0.0.2", "n1"}, {"10.0.0.3", "n2"}};
	cJSON *d = dump_of(leases,
		"[" SERVICE("a", "", "{'ip':'10.0.0.1'},{'ip':'10.0.0.2'},{'ip':'10.0.0.3'}") "]",
		"[]");

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		check_row = want[i][0];
		CHECK_STR(json_string(named(d, "vips", "ip", want[i][0]), "owner"), want[i][1]);
	}
	CHECK_INT(json_int(named(d, "nodes", "name", "n2"), "announces", 0, 9, -1), 2);
	cJSON_Delete(d);
	d = dump_of("[]", "[" SERVICE("a", POOL, "{'ip':'10.0.0.1'}") "]", "[]");
	CHECK(json_string(named(d, "vips", "ip", "10.0.0.1"), "owner") == NULL);
	cJSON_Delete(d);
}

static const char *text_of(const char *conditions)
{
	static char text[128];
	char services[1024];
	const cJSON *here;
	cJSON *d;

	(void)snprintf(services, sizeof services,
		"[{'metadata':{'name':'a','namespace':'web','annotations':{" POOL
		"}},'spec':{'type':'LoadBalancer'},'status':{'conditions':%s,'loadBalancer':"
		"{'ingress':[{'ip':'10.0.0.1'}]}}}]",
		conditions);
	d = dump_of("[]", services, "[]");
	here = cJSON_GetArrayItem(json_array(named(d, "vips", "ip", "10.0.0.1"), "here"), 0);
	(void)snprintf(text, sizeof text, "%s: %s", json_string(here, "reason"),
		json_string(here, "text"));
	cJSON_Delete(d);
	return text;
}

/* What no node claims: the condition says why, or that it is well. */
static void test_condition(void)
{
	CHECK_STR(text_of("[]"), "bgpOnly: claimed by no node: by BGP alone, or by nobody");
	CHECK_STR(text_of("[5,{'type':'other','status':'False','message':'x'}]"),
		"bgpOnly: claimed by no node: by BGP alone, or by nobody");
	CHECK_STR(text_of("[{'type':'lbd.io/Announced','status':'True','message':'m'}]"),
		"bgpOnly: announced by BGP");
	CHECK_STR(text_of("[{'type':'lbd.io/Announced','status':'False','message':'no endpoint'}]"),
		"notAnnounced: no endpoint");
}

static void test_hostile(void)
{
	static const char *const odd[] = {"[]", "{}", "5", "null", "'x'", "[[],[],{}]",
		"[{'metadata':5,'spec':'x','status':[]}]",
		"[{'metadata':{'name':5},'involvedObject':[],'source':'lbd','lastTimestamp':{}}]",
		("[{'metadata':{'name':'a','namespace':'b'},'spec':{'type':'LoadBalancer'},"
		 "'status':{'loadBalancer':{'ingress':[{'ip':''},{'ip':'x'},5,{'ip':'1.2.3.4'}]}}}"
		 "]")};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		cJSON *d = dump_of(odd[i], odd[i], odd[i]);

		check_row = odd[i];
		CHECK(json_array(d, "nodes") != NULL && json_array(d, "vips") != NULL);
		CHECK_STR(json_string(json_object(d, "leader"), "node"), "");
		cJSON_Delete(d);
	}
}

CHECK_MAIN("test_apiview", CHECK_TEST(test_nodes), CHECK_TEST(test_services),
	CHECK_TEST(test_owners), CHECK_TEST(test_condition), CHECK_TEST(test_hostile))
