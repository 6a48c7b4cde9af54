/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cluster.c - decoding of each kind, lists, endpoints, the dirty list.
 */
#include "buf.h"
#include "check.h"
#include "cluster.h"
#include "cluster_decode.h"
#include "json.h"
#include "pick.h"

#include <errno.h>
#include <stdbool.h>

static const struct hash_key hkey = {1, 2};

/* JSON with ' for ", so that rows can be read. */
static cJSON *tree(const char *text)
{
	size_t n = strlen(text);
	char *s = malloc(n + 1);
	cJSON *o;

	if (s == NULL)
		abort();
	for (size_t i = 0; i <= n; i++)
		s[i] = text[i] == '\'' ? '"' : text[i];
	o = json_parse(s, n);
	if (o == NULL)
		printf("not JSON: %s\n", text);
	free(s);
	return o;
}

static int event(
	struct cluster *c, enum cluster_kind kind, enum cluster_event what, const char *text)
{
	cJSON *o = tree(text);
	int r = cluster_apply(c, kind, what, o);

	cJSON_Delete(o);
	return r;
}

static int put(struct cluster *c, enum cluster_kind kind, const char *text)
{
	return event(c, kind, CLUSTER_PUT, text);
}

static struct cluster *fresh(struct counters *counters)
{
	struct cluster *c = cluster_new(&hkey, counters);

	if (c == NULL)
		abort();
	return c;
}

/* A LoadBalancer Service default/web at version, with more members of spec and of metadata. */
static const char *service_text(const char *version, const char *meta, const char *spec)
{
	static char s[8192];

	(void)snprintf(s, sizeof s,
		"{'metadata':{'name':'web','namespace':'default','resourceVersion':'%s'%s%s},"
		"'spec':{'type':'LoadBalancer'%s%s}}",
		version, *meta != '\0' ? "," : "", meta, *spec != '\0' ? "," : "", spec);
	return s;
}

static const struct cluster_service *web(struct cluster *c, const char *meta, const char *spec)
{
	static unsigned version;
	char v[16];

	(void)snprintf(v, sizeof v, "%u", ++version);
	CHECK_INT(put(c, CLUSTER_SERVICE, service_text(v, meta, spec)), 0);
	return pick(c, "default/web");
}

static void test_service_all_fields(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_service *s;

	CHECK_INT(put(c, CLUSTER_SERVICE,
			  "{'metadata':{'name':'web','namespace':'shop','uid':'u-1',"
			  "'resourceVersion':'42','creationTimestamp':'2024-02-29T12:34:56Z',"
			  "'deletionTimestamp':'2024-03-01T00:00:00Z',"
			  "'labels':{'tier':'front','app':'web'},"
			  "'annotations':{'metallb.io/loadBalancerIPs':' 10.0.0.1,10.0.0.2 ',"
			  "'metallb.universe.tf/address-pool':'lan','lbd.io/allow-shared-ip':'k',"
			  "'lbd.io/ip-allocated-from-pool':'lan','lbd.io/ignore':'true'}},"
			  "'spec':{'type':'LoadBalancer','externalTrafficPolicy':'Local',"
			  "'loadBalancerClass':'lbd.io/lbd','selector':{'b':'2','a':'1'},"
			  "'ipFamilyPolicy':'RequireDualStack','ipFamilies':['IPv6','IPv4'],"
			  "'clusterIP':'10.96.0.1',"
			  "'ports':[{'name':'http','port':80,'nodePort':30080},"
			  "{'port':53,'protocol':'UDP'},{'port':9,'protocol':'DCCP'}]},"
			  "'status':{'loadBalancer':{'ingress':[{'ip':'10.0.0.1','ipMode':'VIP'},"
			  "{'ip':'fd00::1'},{'ip':'10.0.0.1'}]}}}"),
		0);
	s = pick(c, "shop/web");
	CHECK(s != NULL);
	if (s != NULL) {
		char a[ADDR_STRLEN];

		CHECK_STR(s->key, "shop/web");
		CHECK_STR(s->namespace_, "shop");
		CHECK_STR(s->name, "web");
		CHECK_STR(s->uid, "u-1");
		CHECK_STR(s->resource_version, "42");
		CHECK_INT(s->created_s, 1709210096);
		CHECK(s->deleting && s->is_load_balancer && s->local && s->has_cluster_ip);
		CHECK_STR(s->class_, "lbd.io/lbd");
		CHECK(s->load_balancer_ip == NULL);
		CHECK_STR(s->request.ips, "10.0.0.1,10.0.0.2");
		CHECK_STR(s->request.pool, "lan");
		CHECK_STR(s->request.sharing_key, "k");
		CHECK(s->request.conflict == NULL && s->request.ignore);
		CHECK_INT(s->labels.n, 2);
		CHECK_STR(label_get(&s->labels, "app"), "web");
		CHECK_STR(label_get(&s->labels, "tier"), "front");
		CHECK_STR(s->backend_key, "a=1,b=2");
		CHECK_INT(s->family_policy, CLUSTER_REQUIRE_DUAL);
		CHECK_INT(s->n_families, 2);
		CHECK(s->families[0] == ADDR_V6 && s->families[1] == ADDR_V4);
		CHECK_INT(s->n_ports, 3);
		CHECK_INT(s->ports[0].port, 80);
		CHECK_INT(s->ports[0].protocol, CLUSTER_TCP);
		CHECK_INT(s->ports[1].protocol, CLUSTER_UDP);
		CHECK_INT(s->ports[2].protocol, CLUSTER_OTHER);
		CHECK_INT(s->n_ingress, 2);
		CHECK_STR(addr_format(s->ingress[0], a), "10.0.0.1");
		CHECK_STR(addr_format(s->ingress[1], a), "fd00::1");
		CHECK(!s->ingress_foreign && !s->ingress_not_vip_mode);
		CHECK_STR(s->pool_written, "lan");
	}
	cluster_free(c);
}

static void test_service_little_is_enough(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_service *s;

	CHECK_INT(put(c, CLUSTER_SERVICE, "{'metadata':{'name':'a','namespace':'b'}}"), 0);
	s = pick(c, "b/a");
	CHECK(s != NULL && !s->is_load_balancer && s->n_ports == 0 && s->n_ingress == 0);
	if (s != NULL) {
		CHECK_STR(s->uid, "");
		CHECK_STR(s->resource_version, "");
		CHECK_STR(s->backend_key, "");
		CHECK_INT(s->created_s, 0);
	}
	cluster_free(c);
}

static void test_service_time(void)
{
	static const struct {
		const char *name, *in;
		long long want;
	} rows[] = {
		{"epoch", "1970-01-01T00:00:00Z", 0},
		{"one second", "1970-01-01T00:00:01Z", 1},
		{"leap day", "2000-02-29T00:00:00Z", 951782400},
		{"day after", "2000-03-01T00:00:00Z", 951868800},
		{"no leap year", "2100-03-01T00:00:00Z", 4107542400},
		{"before", "1969-12-31T23:59:59Z", -1},
		{"last of year", "2024-12-31T23:59:59Z", 1735689599},
		{"far", "9999-12-31T23:59:59Z", 253402300799},
		{"empty", "", 0},
		{"one short", "2024-12-31T23:59:59", 0},
		{"trailing", "2024-12-31T23:59:59Zx", 0},
		{"month 13", "2024-13-01T00:00:00Z", 0},
		{"day 0", "2024-01-00T00:00:00Z", 0},
		{"hour 24", "2024-01-01T24:00:00Z", 0},
		{"letters", "2024-01-aaT00:00:00Z", 0},
		{"minus", "-024-01-01T00:00:00Z", 0},
	};
	struct cluster *c = fresh(NULL);
	char meta[128];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		(void)snprintf(meta, sizeof meta, "'creationTimestamp':'%s'", rows[i].in);
		CHECK_INT(web(c, meta, "")->created_s, rows[i].want);
	}
	cluster_free(c);
}

static void test_service_bad_objects(void)
{
	static const struct {
		const char *name, *in;
		int want;
	} rows[] = {
		{"number", "1", -EBADMSG},
		{"array", "[]", -EBADMSG},
		{"empty", "{}", -EBADMSG},
		{"no name", "{'metadata':{'namespace':'a'}}", -EBADMSG},
		{"no namespace", "{'metadata':{'name':'a'}}", -EBADMSG},
		{"empty name", "{'metadata':{'name':'','namespace':'a'}}", -EBADMSG},
		{"slash in name", "{'metadata':{'name':'a/b','namespace':'a'}}", -EBADMSG},
		{"slash in namespace", "{'metadata':{'name':'a','namespace':'a/b'}}", -EBADMSG},
		{"dots", "{'metadata':{'name':'..','namespace':'a'}}", -EBADMSG},
		{"name is a number", "{'metadata':{'name':1,'namespace':'a'}}", -EBADMSG},
		{"spec is a list", "{'metadata':{'name':'a','namespace':'a'},'spec':[]}", -EBADMSG},
		{"type is a number", "{'metadata':{'name':'a','namespace':'a'},'spec':{'type':1}}",
			-EBADMSG},
		{"uid is a list", "{'metadata':{'name':'a','namespace':'a','uid':[]}}", -EBADMSG},
		{"ingress is an object",
			"{'metadata':{'name':'a','namespace':'a'},'status':{'loadBalancer':"
			"{'ingress':{}}}}",
			-EBADMSG},
		{"ingress of text",
			"{'metadata':{'name':'a','namespace':'a'},'status':{'loadBalancer':"
			"{'ingress':['10.0.0.1']}}}",
			-EBADMSG},
		{"null everywhere",
			"{'metadata':{'name':'a','namespace':'a','labels':null,'annotations':null},"
			"'spec':null,'status':null}",
			0},
	};
	static const char *const specs[] = {"'ports':{}", "'ports':[1]", "'ports':[{'port':0}]",
		"'ports':[{'port':65536}]", "'ports':[{'port':'80'}]", "'ports':[{'port':80.5}]",
		"'ports':[{'port':80,'protocol':6}]", "'selector':{'a':1}", "'selector':[]",
		"'ipFamilies':'IPv4'", "'ipFamilies':[4]", "'clusterIPs':[{}]", "'clusterIP':7",
		"'loadBalancerIP':7", "'externalTrafficPolicy':true"};
	struct counters counters = {0};
	struct cluster *c = fresh(&counters);
	uint64_t bad = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		CHECK_INT(put(c, CLUSTER_SERVICE, rows[i].in), rows[i].want);
		bad += rows[i].want != 0;
		CHECK_INT(counters.v[COUNTER_WATCH_BAD_OBJECTS], bad);
	}
	(void)web(c, "'uid':'first'", "");
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		check_row = specs[i];
		CHECK_INT(put(c, CLUSTER_SERVICE, service_text("next", "'uid':'x'", specs[i])),
			-EBADMSG);
		CHECK_STR(pick(c, "default/web")->uid, "first");
	}
	CHECK_INT(put(c, CLUSTER_SERVICE, service_text("n", "'labels':{'a':1}", "")), -EBADMSG);
	CHECK_INT(put(c, CLUSTER_SERVICE,
			  service_text("n", "'annotations':{'lbd.io/ignore':true}", "")),
		-EBADMSG);
	cluster_free(c);
}

/* n comma-separated copies of text, # in it being a number; or, without text, n letters. */
static char *repeat(const char *before, const char *text, size_t n, const char *after)
{
	struct buf b;

	buf_init(&b, 8 * 1024 * 1024);
	buf_adds(&b, before);
	for (size_t i = 0; i < n; i++) {
		if (text == NULL)
			buf_addc(&b, 'x');
		else if (i > 0)
			buf_addc(&b, ',');
		for (const char *t = text; t != NULL && *t != '\0'; t++)
			if (*t == '#')
				buf_addf(&b, "%zu", i);
			else
				buf_addc(&b, *t);
	}
	buf_adds(&b, after);
	return buf_take(&b);
}

static void test_service_limits(void)
{
	static const struct {
		const char *name, *before, *text, *after;
		size_t n;
		int want;
	} rows[] = {
		{"ports", "'spec':{'type':'LoadBalancer','ports':[", "{'port':80}", "]}",
			CLUSTER_MAX_PORTS, 0},
		{"too many ports", "'spec':{'type':'LoadBalancer','ports':[", "{'port':80}", "]}",
			CLUSTER_MAX_PORTS + 1, -E2BIG},
		{"ingress", "'status':{'loadBalancer':{'ingress':[", "{'ip':'10.0.0.#'}", "]}}",
			CLUSTER_MAX_INGRESS, 0},
		{"too many ingress", "'status':{'loadBalancer':{'ingress':[", "{'ip':'10.0.0.#'}",
			"]}}", CLUSTER_MAX_INGRESS + 1, -E2BIG},
		{"selector", "'spec':{'type':'LoadBalancer','selector':{", "'k#':'v'", "}}",
			CLUSTER_MAX_LABELS, 0},
		{"too long a selector", "'spec':{'type':'LoadBalancer','selector':{", "'k#':'v'",
			"}}", CLUSTER_MAX_LABELS + 1, -E2BIG},
		{"over all bytes", "'spec':{'type':'LoadBalancer','loadBalancerClass':'", NULL,
			"'}", CLUSTER_MAX_OBJECT, -E2BIG},
		{"near all bytes", "'spec':{'type':'LoadBalancer','loadBalancerClass':'", NULL,
			"'}", CLUSTER_MAX_OBJECT - 1000, 0},
	};
	struct cluster *c = fresh(NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *part = repeat(rows[i].before, rows[i].text, rows[i].n, rows[i].after);
		struct buf b;

		check_row = rows[i].name;
		buf_init(&b, 8 * 1024 * 1024);
		buf_addf(&b, "{'metadata':{'name':'a','namespace':'b','resourceVersion':'%zu'},%s}",
			i, part);
		CHECK(!b.bad);
		CHECK_INT(put(c, CLUSTER_SERVICE, b.p), rows[i].want);
		buf_free(&b);
		free(part);
	}
	cluster_free(c);
}

static void test_service_limit_of_count(void)
{
	struct cluster *c = fresh(NULL);
	char text[128];

	for (int i = 0; i <= CLUSTER_MAX_NODES; i++) {
		(void)snprintf(text, sizeof text, "{'metadata':{'name':'n%d'}}", i);
		CHECK_INT(put(c, CLUSTER_NODE, text), i < CLUSTER_MAX_NODES ? 0 : -E2BIG);
	}
	CHECK_INT(cluster_count(c, CLUSTER_NODE), CLUSTER_MAX_NODES);
	for (int i = 0; i <= CLUSTER_MAX_NAMESPACES; i++) {
		(void)snprintf(text, sizeof text, "{'metadata':{'name':'n%d'}}", i);
		CHECK_INT(put(c, CLUSTER_NAMESPACE, text),
			i < CLUSTER_MAX_NAMESPACES ? 0 : -E2BIG);
	}
	cluster_free(c);
}

static void test_request_synonyms(void)
{
	static const struct {
		const char *name, *annotations, *spec;
		const char *ips, *pool, *key, *conflict; /* NULL = none */
	} rows[] = {
		{"none", "", "", NULL, NULL, NULL, NULL},
		{"lbd", "'lbd.io/loadBalancerIPs':'a'", "", "a", NULL, NULL, NULL},
		{"metallb.io", "'metallb.io/loadBalancerIPs':'a'", "", "a", NULL, NULL, NULL},
		{"metallb old", "'metallb.universe.tf/loadBalancerIPs':'a'", "", "a", NULL, NULL,
			NULL},
		{"kube-vip", "'kube-vip.io/loadbalancerIPs':'a'", "", "a", NULL, NULL, NULL},
		{"openelb", "'eip.openelb.kubesphere.io/v1alpha1':'a'", "", "a", NULL, NULL, NULL},
		{"openelb pool", "'eip.openelb.kubesphere.io/v1alpha2':'p'", "", NULL, "p", NULL,
			NULL},
		{"pools agree", "'lbd.io/address-pool':'p','metallb.io/address-pool':' p\\t'", "",
			NULL, "p", NULL, NULL},
		{"empty is not set", "'lbd.io/address-pool':' ','metallb.io/address-pool':'p'", "",
			NULL, "p", NULL, NULL},
		{"ips agree but for blanks",
			"'lbd.io/loadBalancerIPs':'10.0.0.1, fd00::1',"
			"'metallb.io/loadBalancerIPs':' 10.0.0.1,fd00::1\\n'",
			"", "10.0.0.1, fd00::1", NULL, NULL, NULL},
		{"ips agree but for order and spelling",
			"'lbd.io/loadBalancerIPs':'FD00:0::1,10.0.0.1',"
			"'metallb.io/loadBalancerIPs':'::ffff:10.0.0.1,fd00::1'",
			"", "FD00:0::1,10.0.0.1", NULL, NULL, NULL},
		{"one ip more",
			"'lbd.io/loadBalancerIPs':'10.0.0.1','metallb.io/loadBalancerIPs':'"
			"10.0.0.1,fd00::1'",
			"", "10.0.0.1", NULL, NULL,
			"lbd.io/loadBalancerIPs and metallb.io/loadBalancerIPs"},
		{"the same twice is not the other",
			"'lbd.io/loadBalancerIPs':'10.0.0.1,10.0.0.1',"
			"'metallb.io/loadBalancerIPs':'10.0.0.1,10.0.0.2'",
			"", "10.0.0.1,10.0.0.1", NULL, NULL,
			"lbd.io/loadBalancerIPs and metallb.io/loadBalancerIPs"},
		{"three ips are compared as text",
			"'lbd.io/loadBalancerIPs':'10.0.0.1,10.0.0.2,10.0.0.3',"
			"'metallb.io/loadBalancerIPs':' 10.0.0.1,10.0.0.2,10.0.0.3'",
			"", "10.0.0.1,10.0.0.2,10.0.0.3", NULL, NULL, NULL},
		{"ips with an empty one",
			"'lbd.io/loadBalancerIPs':'10.0.0.1,','metallb.io/loadBalancerIPs':'"
			"10.0.0.1'",
			"", "10.0.0.1,", NULL, NULL,
			"lbd.io/loadBalancerIPs and metallb.io/loadBalancerIPs"},
		{"a blank within is not around",
			"'lbd.io/allow-shared-ip':'a b','metallb.io/allow-shared-ip':'ab'", "",
			NULL, NULL, "a b", "lbd.io/allow-shared-ip and metallb.io/allow-shared-ip"},
		{"ips disagree", "'metallb.io/loadBalancerIPs':'b','lbd.io/loadBalancerIPs':'a'",
			"", "a", NULL, NULL,
			"lbd.io/loadBalancerIPs and metallb.io/loadBalancerIPs"},
		{"a prefix disagrees",
			"'metallb.io/loadBalancerIPs':'a','kube-vip.io/loadbalancerIPs':'ab'", "",
			"a", NULL, NULL,
			"metallb.io/loadBalancerIPs and kube-vip.io/loadbalancerIPs"},
		{"the field is none of them", "'metallb.io/loadBalancerIPs':'a'",
			"'loadBalancerIP':'b'", "a", NULL, NULL, NULL},
		{"keys disagree",
			"'metallb.universe.tf/allow-shared-ip':'x','metallb.io/"
			"allow-shared-ip':'y'",
			"", NULL, NULL, "y",
			"metallb.io/allow-shared-ip and metallb.universe.tf/allow-shared-ip"},
		{"pools disagree",
			"'metallb.io/address-pool':'x','eip.openelb.kubesphere.io/v1alpha2':'y'",
			"", NULL, "x", NULL,
			"metallb.io/address-pool and eip.openelb.kubesphere.io/v1alpha2"},
	};
	struct cluster *c = fresh(NULL);
	char meta[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct cluster_request *r;

		check_row = rows[i].name;
		(void)snprintf(meta, sizeof meta, "'annotations':{%s}", rows[i].annotations);
		r = &web(c, meta, rows[i].spec)->request;
		CHECK_STR(r->ips != NULL ? r->ips : "-", rows[i].ips != NULL ? rows[i].ips : "-");
		CHECK_STR(
			r->pool != NULL ? r->pool : "-", rows[i].pool != NULL ? rows[i].pool : "-");
		CHECK_STR(r->sharing_key != NULL ? r->sharing_key : "-",
			rows[i].key != NULL ? rows[i].key : "-");
		CHECK_STR(r->conflict != NULL ? r->conflict : "-",
			rows[i].conflict != NULL ? rows[i].conflict : "-");
		CHECK(!r->ignore);
	}
	CHECK(!web(c, "'annotations':{'lbd.io/ignore':'false'}", "")->request.ignore);
	CHECK(web(c, "'annotations':{'lbd.io/ignore':'true'}", "")->request.ignore);
	CHECK(web(c, "'annotations':{'lb.kubesphere.io/v1alpha1':'openelb'}", "")->request.openelb);
	CHECK(!web(c, "'annotations':{'lb.kubesphere.io/v1alpha1':'porter'}", "")->request.openelb);
	CHECK_STR(web(c, "'annotations':{'protocol.openelb.kubesphere.io/v1alpha1':' vip '}", "")
			  ->request.protocol,
		"vip");
	CHECK(web(c, "", "")->request.protocol == NULL);
	cluster_free(c);
}

static void test_service_families(void)
{
	static const struct {
		const char *name, *spec, *want; /* "46" = IPv4 then IPv6 */
		bool has_ip;
	} rows[] = {
		{"nothing", "", "", false},
		{"not given yet", "'clusterIP':''", "", false},
		{"headless", "'clusterIP':'None','clusterIPs':['None'],'ipFamilies':['IPv4']", "4",
			false},
		{"old server, v4", "'clusterIP':'10.96.0.1'", "4", true},
		{"old server, v6", "'clusterIP':'fd00::1'", "6", true},
		{"cluster IPs", "'clusterIP':'fd00::1','clusterIPs':['fd00::1','10.96.0.1']", "64",
			true},
		{"families win", "'clusterIP':'10.96.0.1','ipFamilies':['IPv4','IPv6']", "46",
			true},
		{"doubled", "'ipFamilies':['IPv4','IPv4']", "4", false},
		{"three", "'ipFamilies':['IPv4','IPv6','IPv4']", "46", false},
		{"unknown", "'ipFamilies':['IPv9']", "", false},
	};
	struct cluster *c = fresh(NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct cluster_service *s = web(c, "", rows[i].spec);
		char got[3] = "";

		check_row = rows[i].name;
		for (size_t f = 0; f < s->n_families; f++)
			got[f] = s->families[f] == ADDR_V4 ? '4' : '6';
		CHECK_STR(got, rows[i].want);
		CHECK_INT(s->has_cluster_ip, rows[i].has_ip);
	}
	CHECK_INT(web(c, "", "'ipFamilyPolicy':'PreferDualStack'")->family_policy,
		CLUSTER_PREFER_DUAL);
	CHECK_INT(
		web(c, "", "'ipFamilyPolicy':'SingleStack'")->family_policy, CLUSTER_SINGLE_STACK);
	cluster_free(c);
}

static void test_service_ingress(void)
{
	static const struct {
		const char *name, *ingress;
		size_t n;
		bool foreign, not_vip;
	} rows[] = {
		{"none", "", 0, false, false},
		{"one", "{'ip':'10.0.0.1'}", 1, false, false},
		{"host name", "{'hostname':'a.example'}", 0, true, false},
		{"both kinds", "{'ip':'10.0.0.1'},{'hostname':'a.example'}", 1, true, false},
		{"not an address", "{'ip':'10.0.0.256'}", 0, true, false},
		{"empty", "{}", 0, true, false},
		{"proxy", "{'ip':'10.0.0.1','ipMode':'Proxy'}", 1, false, true},
	};
	struct cluster *c = fresh(NULL);
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct cluster_service *s;

		check_row = rows[i].name;
		(void)snprintf(text, sizeof text,
			"{'metadata':{'name':'a','namespace':'b','resourceVersion':'%zu'},"
			"'status':{'loadBalancer':{'ingress':[%s]}}}",
			i, rows[i].ingress);
		CHECK_INT(put(c, CLUSTER_SERVICE, text), 0);
		s = pick(c, "b/a");
		CHECK_INT(s->n_ingress, rows[i].n);
		CHECK_INT(s->ingress_foreign, rows[i].foreign);
		CHECK_INT(s->ingress_not_vip_mode, rows[i].not_vip);
	}
	cluster_free(c);
}

/* Kept of every Service, whatever its type; what is odd makes no bad object of it. */
static void test_service_condition(void)
{
	static const struct {
		const char *name, *conditions;
		struct condition_mark want;
	} rows[] = {
		{"none", "[]", {.status = CONDITION_ABSENT}},
		{"no list", "{}", {.status = CONDITION_ABSENT}},
		{"another's", "[{'type':'x','status':'True'}]", {.status = CONDITION_ABSENT}},
		{"odd ones", "[5,null,[],{},{'type':5},{'type':'x'}]", {.status = CONDITION_ABSENT}},
	};
	static const struct {
		const char *name, *conditions, *status, *reason, *message;
	} ours[] = {
		{"true", "[{'type':'x'},{'type':'lbd.io/Announced','status':'True','reason':'r','message':'m'}]",
			"True", "r", "m"},
		{"false", "[{'type':'lbd.io/Announced','status':'False'}]", "False", NULL, NULL},
		{"no status", "[{'type':'lbd.io/Announced','reason':5,'message':{}}]", "", NULL, NULL},
	};
	struct cluster *c = fresh(NULL);
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows) + ARRAY_LEN(ours); i++) {
		size_t k = i - ARRAY_LEN(rows);
		bool mine = i >= ARRAY_LEN(rows);

		check_row = mine ? ours[k].name : rows[i].name;
		(void)snprintf(text, sizeof text,
			"{'metadata':{'name':'a','namespace':'b','resourceVersion':'%zu'},"
			"'spec':{'type':'%s'},'status':{'conditions':%s}}",
			i, i % 2 == 0 ? "LoadBalancer" : "ClusterIP",
			mine ? ours[k].conditions : rows[i].conditions);
		CHECK_INT(put(c, CLUSTER_SERVICE, text), 0);
		CHECK(condition_equal(pick(c, "b/a")->announced,
			mine ? condition_mark(ours[k].status, ours[k].reason, ours[k].message)
			     : rows[i].want));
	}
	cluster_free(c);
}

static void test_service_long_labels_left_out(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_service *s;
	char meta[1024];

	(void)snprintf(meta, sizeof meta, "'labels':{'a':'%063d','b':'%064d','c':'x','%0318d':'y'}",
		1, 1, 1);
	s = web(c, meta, "");
	CHECK_INT(s->labels.n, 2);
	CHECK(label_get(&s->labels, "a") != NULL && label_get(&s->labels, "c") != NULL);
	cluster_free(c);
}

static void test_node(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_node *n;
	char a[ADDR_STRLEN];
	uint64_t generation = cluster_nodes_generation(c);

	CHECK_INT(put(c, CLUSTER_NODE,
			  "{'metadata':{'name':'n1','uid':'u','resourceVersion':'7','labels':"
			  "{'node.kubernetes.io/exclude-from-external-load-balancers':'',"
			  "'disk':'ssd'}},'spec':{'unschedulable':true},'status':{'conditions':["
			  "{'type':'MemoryPressure','status':'True'},{'type':'Ready','status':'"
			  "True'},"
			  "{'type':'NetworkUnavailable','status':'True'}],'addresses':["
			  "{'type':'Hostname','address':'n1'},"
			  "{'type':'InternalIP','address':'10.0.0.1'},"
			  "{'type':'InternalIP','address':'nonsense'},"
			  "{'type':'InternalIP','address':'fd00::1'},"
			  "{'type':'ExternalIP','address':'192.0.2.1'}]}}"),
		0);
	CHECK(cluster_nodes_generation(c) != generation);
	n = cluster_node(c, "n1");
	CHECK(n != NULL && n->excluded && n->unschedulable && n->ready && n->network_unavailable);
	CHECK(n != NULL && n->n_internal_ips == 2 && n->n_external_ips == 1);
	if (n != NULL) {
		CHECK_STR(n->name, "n1");
		CHECK_STR(label_get(&n->labels, "disk"), "ssd");
		CHECK_STR(addr_format(n->internal_ips[1], a), "fd00::1");
		CHECK_STR(addr_format(n->external_ips[0], a), "192.0.2.1");
	}
	generation = cluster_nodes_generation(c);
	CHECK_INT(put(c, CLUSTER_NODE, "{'metadata':{'name':'n1','resourceVersion':'7'}}"), 0);
	CHECK_INT(cluster_nodes_generation(c), generation);
	CHECK_INT(put(c, CLUSTER_NODE,
			  "{'metadata':{'name':'n1','resourceVersion':'8'},'status':{'conditions':"
			  "[{'type':'Ready','status':'Unknown'}]}}"),
		0);
	n = cluster_node(c, "n1");
	CHECK(n != NULL && !n->excluded && !n->ready && !n->network_unavailable);
	CHECK_INT(put(c, CLUSTER_NODE, "{'metadata':{'name':'n1'},'status':{'conditions':[[]]}}"),
		-EBADMSG);
	CHECK_INT(put(c, CLUSTER_NODE, "{'metadata':{'name':'n1'},'status':{'addresses':[0]}}"),
		-EBADMSG);
	CHECK_INT(event(c, CLUSTER_NODE, CLUSTER_DELETE, "{'metadata':{'name':'n1'}}"), 0);
	CHECK(cluster_node(c, "n1") == NULL);
	CHECK_INT(cluster_nodes_generation(c), generation + 2);
	CHECK_INT(event(c, CLUSTER_NODE, CLUSTER_DELETE, "{'metadata':{'name':'n1'}}"), 0);
	cluster_free(c);
}

static void test_namespace(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_namespace *n;
	uint64_t generation = cluster_namespaces_generation(c);

	CHECK_INT(put(c, CLUSTER_NAMESPACE,
			  "{'metadata':{'name':'blue','resourceVersion':'1','labels':{'team':'a',"
			  "'a':'b','zone':'x'}}}"),
		0);
	CHECK_INT(cluster_namespaces_generation(c), generation + 1);
	n = cluster_namespace(c, "blue");
	CHECK(n != NULL && n->labels.n == 4 && n->generation == generation + 1);
	if (n != NULL) {
		CHECK_STR(n->name, "blue");
		CHECK_STR(label_get(&n->labels, "team"), "a");
		CHECK_STR(label_get(&n->labels, "a"), "b");
		CHECK_STR(label_get(&n->labels, "zone"), "x");
		CHECK_STR(label_get(&n->labels, "kubernetes.io/metadata.name"), "blue");
	}
	/* The label that a newer server sets, and what else may change: it is the same to us. */
	CHECK_INT(put(c, CLUSTER_NAMESPACE,
			  "{'metadata':{'name':'blue','resourceVersion':'2','labels':{'zone':'x',"
			  "'kubernetes.io/metadata.name':'blue','team':'a','a':'b'},"
			  "'annotations':{'x':'y'}},'status':{'phase':'Terminating'}}"),
		0);
	CHECK_INT(cluster_namespaces_generation(c), generation + 1);
	n = cluster_namespace(c, "blue");
	CHECK(n != NULL && n->labels.n == 4 && n->generation == generation + 1);
	CHECK_INT(put(c, CLUSTER_NAMESPACE, "{'metadata':{'name':'red','labels':null}}"), 0);
	n = cluster_namespace(c, "red");
	CHECK(n != NULL && n->labels.n == 1 && n->generation == generation + 2);
	CHECK_INT(put(c, CLUSTER_NAMESPACE,
			  "{'metadata':{'name':'blue','resourceVersion':'3','labels':{'zone':'y',"
			  "'team':'a','a':'b'}}}"),
		0);
	n = cluster_namespace(c, "blue");
	CHECK(n != NULL && n->generation == generation + 3);
	CHECK_INT(put(c, CLUSTER_NAMESPACE, "{'metadata':{'name':'blue','labels':['x']}}"),
		-EBADMSG);
	CHECK_INT(put(c, CLUSTER_NAMESPACE, "{'metadata':{'name':'blue','labels':{'x':1}}}"),
		-EBADMSG);
	CHECK(cluster_namespace(c, "blue") == n);
	CHECK_INT(cluster_namespaces_generation(c), generation + 3);
	CHECK_INT(event(c, CLUSTER_NAMESPACE, CLUSTER_DELETE, "{'metadata':{'name':'red'}}"), 0);
	CHECK(cluster_namespace(c, "red") == NULL);
	CHECK_INT(cluster_count(c, CLUSTER_NAMESPACE), 1);
	cluster_list_begin(c, CLUSTER_NAMESPACE);
	cluster_list_end(c, CLUSTER_NAMESPACE);
	CHECK_INT(cluster_count(c, CLUSTER_NAMESPACE), 0);
	CHECK_INT(put(c, CLUSTER_NAMESPACE, "{'metadata':{'name':'red'}}"), 0);
	cluster_forget(c, CLUSTER_NAMESPACE);
	CHECK(cluster_namespace(c, "red") == NULL);
	cluster_free(c);
}

static void test_lease_fields(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_lease *l;

	CHECK_INT(put(c, CLUSTER_LEASE,
			  "{'metadata':{'name':'lbd-node-n1','namespace':'kube-system',"
			  "'resourceVersion':'3','labels':{'lbd.io/lease':'node'},'annotations':{"
			  "'lbd.io/schema':'1','lbd.io/version':'0.1','lbd.io/config-hash':'ab',"
			  "'lbd.io/addresses':'10.0.0.1','lbd.io/macs':'eth0=02:00:00:00:00:01',"
			  "'lbd.io/subnets':'10.0.0.0/24','lbd.io/bfd':'1:3784',"
			  "'lbd.io/draining':'reboot','lbd.io/claims':'1:10.0.0.9',"
			  "'lbd.io/claims-generation':'12'}},'spec':{'holderIdentity':'n1/b/1',"
			  "'leaseDurationSeconds':40,'renewTime':'2024-01-01T00:00:00.000000Z',"
			  "'acquireTime':'2023-01-01T00:00:00.000000Z','leaseTransitions':5}}"),
		0);
	l = cluster_lease(c, "lbd-node-n1");
	CHECK(l != NULL);
	if (l != NULL) {
		CHECK_INT(l->role, CLUSTER_LEASE_NODE);
		CHECK_STR(l->node, "n1");
		CHECK_STR(l->holder, "n1/b/1");
		CHECK_INT(l->duration_ms, 40000);
		CHECK_STR(l->renew_time, "2024-01-01T00:00:00.000000Z");
		CHECK_STR(l->acquire_time, "2023-01-01T00:00:00.000000Z");
		CHECK_INT(l->transitions, 5);
		CHECK_STR(l->schema, "1");
		CHECK_STR(l->version, "0.1");
		CHECK_STR(l->config_hash, "ab");
		CHECK_STR(l->addresses, "10.0.0.1");
		CHECK_STR(l->macs, "eth0=02:00:00:00:00:01");
		CHECK_STR(l->subnets, "10.0.0.0/24");
		CHECK_STR(l->bfd, "1:3784");
		CHECK_STR(l->draining, "reboot");
		CHECK_STR(l->claims, "1:10.0.0.9");
		CHECK_INT(l->claims_generation, 12);
	}
	cluster_free(c);
}

static void test_lease_roles(void)
{
	static const struct {
		const char *name, *lease, *label, *node_note;
		enum cluster_lease_role role;
		const char *node; /* NULL = none */
	} rows[] = {
		{"leader", "lbd-leader", "leader", NULL, CLUSTER_LEASE_LEADER, NULL},
		{"leader by name", "lbd-leader", NULL, NULL, CLUSTER_LEASE_LEADER, NULL},
		{"node by name", "lbd-node-a.b", NULL, NULL, CLUSTER_LEASE_NODE, "a.b"},
		{"claims", "lbd-claims-a", "claims", NULL, CLUSTER_LEASE_CLAIMS, "a"},
		{"long name", "lbd-node-aaa-0123456789ab", "node", "aaaa", CLUSTER_LEASE_NODE,
			"aaaa"},
		{"other name, annotated", "x", "node", "b", CLUSTER_LEASE_NODE, "b"},
		{"other name", "x", "node", NULL, CLUSTER_LEASE_OTHER, NULL},
		{"no node", "lbd-node-", "node", NULL, CLUSTER_LEASE_OTHER, NULL},
		{"unknown label", "lbd-node-a", "x", NULL, CLUSTER_LEASE_OTHER, NULL},
		{"not ours", "kube-scheduler", NULL, NULL, CLUSTER_LEASE_OTHER, NULL},
		{"longer than leader", "lbd-leader2", NULL, NULL, CLUSTER_LEASE_OTHER, NULL},
	};
	struct cluster *c = fresh(NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct cluster_lease *l;
		char text[512], label[64] = "", note[64] = "";

		check_row = rows[i].name;
		if (rows[i].label != NULL)
			(void)snprintf(label, sizeof label, "'lbd.io/lease':'%s'", rows[i].label);
		if (rows[i].node_note != NULL)
			(void)snprintf(note, sizeof note, "'lbd.io/node':'%s'", rows[i].node_note);
		(void)snprintf(text, sizeof text,
			"{'metadata':{'name':'%s','resourceVersion':'%zu','labels':{%s},"
			"'annotations':{%s}},'spec':{}}",
			rows[i].lease, i, label, note);
		CHECK_INT(put(c, CLUSTER_LEASE, text), 0);
		l = cluster_lease(c, rows[i].lease);
		CHECK_INT(l->role, rows[i].role);
		if (rows[i].node != NULL)
			CHECK_STR(l->node, rows[i].node);
		CHECK_STR(l->holder, "");
		CHECK_INT(l->duration_ms, 0);
	}
	cluster_free(c);
}

static void test_lease_claims_limit(void)
{
	struct cluster *c = fresh(NULL);
	size_t n = CLUSTER_MAX_CLAIMS + 200;
	char *text = malloc(n + 1);

	for (int over = 0; over < 2; over++) {
		int at = snprintf(text, n,
			"{'metadata':{'name':'lbd-claims-a','annotations':"
			"{'lbd.io/claims':'");

		memset(text + at, '1', CLUSTER_MAX_CLAIMS + (size_t)over);
		(void)snprintf(text + at + CLUSTER_MAX_CLAIMS + over, 16, "'}}}");
		CHECK_INT(put(c, CLUSTER_LEASE, text), 0);
		CHECK_INT(strlen(cluster_lease(c, "lbd-claims-a")->claims),
			over ? strlen(CLUSTER_CLAIMS_TOO_LONG) : CLUSTER_MAX_CLAIMS);
	}
	free(text);
	cluster_free(c);
}

struct lease_log {
	unsigned puts, deletes;
	char last[64];
};

static void on_lease(void *ctx, const struct cluster_lease *l, bool deleted)
{
	struct lease_log *log = ctx;

	log->puts += !deleted;
	log->deletes += deleted;
	(void)snprintf(log->last, sizeof log->last, "%s", l->name);
}

static void test_lease_callback(void)
{
	struct cluster *c = fresh(NULL);
	struct lease_log log = {0};

	cluster_on_lease(c, on_lease, &log);
	CHECK_INT(put(c, CLUSTER_LEASE, "{'metadata':{'name':'a','resourceVersion':'1'}}"), 0);
	CHECK_INT(put(c, CLUSTER_LEASE, "{'metadata':{'name':'a','resourceVersion':'1'}}"), 0);
	CHECK_INT(log.puts, 1);
	CHECK_INT(put(c, CLUSTER_LEASE, "{'metadata':{'name':'a','resourceVersion':'2'}}"), 0);
	CHECK_INT(put(c, CLUSTER_LEASE, "{'metadata':{'name':'b','resourceVersion':'3'}}"), 0);
	CHECK_INT(log.puts, 3);
	CHECK_INT(event(c, CLUSTER_LEASE, CLUSTER_DELETE, "{'metadata':{'name':'a'}}"), 0);
	CHECK_INT(log.deletes, 1);
	CHECK_STR(log.last, "a");
	cluster_list_begin(c, CLUSTER_LEASE);
	cluster_list_end(c, CLUSTER_LEASE);
	CHECK_INT(log.deletes, 2);
	CHECK_STR(log.last, "b");
	CHECK_INT(cluster_count(c, CLUSTER_LEASE), 0);
	cluster_free(c);
}

/* -- endpoints -- */

static void slice(struct cluster *c, const char *name, const char *service, const char *endpoints)
{
	char text[2048];

	(void)snprintf(text, sizeof text,
		"{'metadata':{'name':'%s','namespace':'default','labels':"
		"{'kubernetes.io/service-name':'%s'}},'endpoints':[%s]}",
		name, service, endpoints);
	CHECK_INT(put(c, CLUSTER_ENDPOINT_SLICE, text), 0);
}

static void check_endpoints(struct cluster *c, const char *key, const char *node, unsigned ready,
	unsigned ready_on_node)
{
	struct cluster_endpoints e = cluster_endpoints(c, key, node);

	CHECK_INT(e.ready, ready);
	CHECK_INT(e.ready_on_node, ready_on_node);
}

static void test_endpoints_conditions(void)
{
	static const struct {
		const char *name, *endpoints;
		unsigned ready, on_n1;
	} rows[] = {
		{"none", "", 0, 0},
		{"ready", "{'addresses':['a'],'conditions':{'ready':true},'nodeName':'n1'}", 1, 1},
		{"absent is ready", "{'addresses':['a'],'nodeName':'n1'}", 1, 1},
		{"null is ready", "{'addresses':['a'],'conditions':{'ready':null}}", 1, 0},
		{"not ready", "{'addresses':['a'],'conditions':{'ready':false},'nodeName':'n1'}", 0,
			0},
		{"serving but not terminating",
			"{'addresses':['a'],'conditions':{'ready':false,'serving':true}}", 0, 0},
		{"serving while terminating",
			"{'addresses':['a'],'conditions':{'ready':false,'serving':true,"
			"'terminating':true},'nodeName':'n1'}",
			1, 1},
		{"terminating, ready elsewhere",
			"{'addresses':['a'],'conditions':{'ready':false,'serving':true,"
			"'terminating':true},'nodeName':'n1'},{'addresses':['b'],'nodeName':'n2'},"
			"{'addresses':['c'],'nodeName':'n2'}",
			2, 1},
		{"terminating, ready beside it",
			"{'addresses':['a'],'conditions':{'ready':false,'serving':true,"
			"'terminating':true},'nodeName':'n1'},{'addresses':['b'],'nodeName':'n1'}",
			1, 1},
		{"v1beta1 topology",
			"{'addresses':['a'],'topology':{'kubernetes.io/hostname':'n1'}}", 1, 1},
		{"no address", "{'addresses':[],'nodeName':'n1'}", 0, 0},
		{"node by a longer name", "{'addresses':['a'],'nodeName':'n11'}", 1, 0},
	};
	struct cluster *c = fresh(NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		slice(c, "s", "web", rows[i].endpoints);
		check_endpoints(c, "default/web", "n1", rows[i].ready, rows[i].on_n1);
		check_endpoints(c, "default/web", NULL, rows[i].ready, 0);
		check_endpoints(c, "default/other", "n1", 0, 0);
	}
	cluster_free(c);
}

static void test_endpoints_bad(void)
{
	static const char *const rows[] = {"'endpoints':{}", "'endpoints':[1]",
		"'endpoints':[{'addresses':{}}]", "'endpoints':[{'conditions':[]}]",
		"'endpoints':[{'conditions':{'ready':'true'}}]", "'endpoints':[{'nodeName':1}]",
		"'endpoints':[{'topology':[]}]"};
	struct counters counters = {0};
	struct cluster *c = fresh(&counters);
	char text[512];

	slice(c, "s", "web", "{'addresses':['a'],'nodeName':'n1'}");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i];
		(void)snprintf(text, sizeof text,
			"{'metadata':{'name':'s','namespace':'default','labels':"
			"{'kubernetes.io/service-name':'web'}},%s}",
			rows[i]);
		CHECK_INT(put(c, CLUSTER_ENDPOINT_SLICE, text), -EBADMSG);
		CHECK_INT(counters.v[COUNTER_WATCH_BAD_OBJECTS], i + 1);
		check_endpoints(c, "default/web", "n1", 1, 1);
	}
	CHECK_INT(put(c, CLUSTER_ENDPOINTS,
			  "{'metadata':{'name':'web','namespace':'default'},'subsets':[{"
			  "'addresses':[1]}]}"),
		-EBADMSG);
	CHECK_INT(put(c, CLUSTER_ENDPOINTS,
			  "{'metadata':{'name':'web','namespace':'default'},'subsets':{}}"),
		-EBADMSG);
	cluster_free(c);
}

static void test_endpoints_slices_add_up_and_move(void)
{
	struct cluster *c = fresh(NULL);

	slice(c, "s1", "web", "{'addresses':['a'],'nodeName':'n1'}");
	slice(c, "s2", "web", "{'addresses':['b'],'nodeName':'n2'},{'addresses':['c']}");
	check_endpoints(c, "default/web", "n1", 3, 1);
	slice(c, "s2", "shop", "{'addresses':['b'],'nodeName':'n2'}");
	check_endpoints(c, "default/web", "n2", 1, 0);
	check_endpoints(c, "default/shop", "n2", 1, 1);
	/* The label is gone: it is nobody's. */
	CHECK_INT(put(c, CLUSTER_ENDPOINT_SLICE,
			  "{'metadata':{'name':'s2','namespace':'default'},'endpoints':[]}"),
		0);
	check_endpoints(c, "default/shop", "n2", 0, 0);
	CHECK_INT(cluster_count(c, CLUSTER_ENDPOINT_SLICE), 1);
	CHECK_INT(event(c, CLUSTER_ENDPOINT_SLICE, CLUSTER_DELETE,
			  "{'metadata':{'name':'s1','namespace':'default'}}"),
		0);
	check_endpoints(c, "default/web", "n1", 0, 0);
	cluster_free(c);
}

static void test_endpoints_old_kind(void)
{
	static const char *const endpoints =
		"{'metadata':{'name':'web','namespace':'default'},'subsets':[{'addresses':["
		"{'ip':'10.1.0.1','nodeName':'n1'},{'ip':'10.1.0.2'}],'notReadyAddresses':["
		"{'ip':'10.1.0.3','nodeName':'n1'}]},{'addresses':null}]}";
	struct cluster *c = fresh(NULL);

	(void)web(c, "", "");
	cluster_clean(c);
	CHECK_INT(put(c, CLUSTER_ENDPOINTS, endpoints), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	check_endpoints(c, "default/web", "n1", 2, 1);
	cluster_clean(c);
	/* Any slice: Endpoints count no more, for no Service. */
	slice(c, "s", "shop", "");
	check_endpoints(c, "default/web", "n1", 0, 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	cluster_clean(c);
	cluster_forget(c, CLUSTER_ENDPOINT_SLICE);
	CHECK_INT(cluster_count(c, CLUSTER_ENDPOINT_SLICE), 0);
	check_endpoints(c, "default/web", "n1", 2, 1);
	CHECK_INT(cluster_dirty_count(c), 1);
	cluster_forget(c, CLUSTER_ENDPOINTS);
	check_endpoints(c, "default/web", "n1", 0, 0);
	cluster_free(c);
}

/* -- what changed -- */

static void test_dirty(void)
{
	struct cluster *c = fresh(NULL);
	struct cluster_dirty d;

	CHECK_INT(put(c, CLUSTER_SERVICE, service_text("1", "", "")), 0);
	CHECK_INT(put(c, CLUSTER_SERVICE, service_text("2", "", "")), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	d = cluster_dirty_at(c, 0);
	CHECK_STR(d.key, "default/web");
	CHECK(!d.gone && cluster_service(c, "default/web", NULL));
	cluster_clean(c);
	CHECK_INT(cluster_dirty_count(c), 0);

	CHECK_INT(put(c, CLUSTER_SERVICE, service_text("2", "", "")), 0);
	CHECK_INT(cluster_dirty_count(c), 0); /* the same version */

	slice(c, "s", "web", "{'addresses':['a'],'nodeName':'n1'}");
	CHECK_INT(cluster_dirty_count(c), 1);
	cluster_clean(c);
	slice(c, "s", "web", "{'addresses':['b'],'nodeName':'n1'}");
	CHECK_INT(cluster_dirty_count(c), 0); /* another pod, the same counts */
	slice(c, "s", "web", "{'addresses':['b'],'nodeName':'n2'}");
	CHECK_INT(cluster_dirty_count(c), 1); /* another node */
	cluster_clean(c);
	slice(c, "s", "other", "{'addresses':['b'],'nodeName':'n2'}");
	CHECK_INT(cluster_dirty_count(c), 1); /* moved away; "other" is no Service */
	cluster_clean(c);

	CHECK_INT(event(c, CLUSTER_SERVICE, CLUSTER_DELETE, service_text("3", "", "")), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	d = cluster_dirty_at(c, 0);
	CHECK_STR(d.key, "default/web");
	CHECK(d.gone && !cluster_service(c, "default/web", NULL));
	CHECK_INT(event(c, CLUSTER_SERVICE, CLUSTER_DELETE, service_text("3", "", "")), 0);
	CHECK_INT(put(c, CLUSTER_SERVICE, service_text("3", "'uid':'again'", "")), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	CHECK_STR(pick(c, cluster_dirty_at(c, 0).key)->uid, "again");
	cluster_free(c);
}

static void test_dirty_not_for_other_types(void)
{
	struct cluster *c = fresh(NULL);

	CHECK_INT(put(c, CLUSTER_SERVICE,
			  "{'metadata':{'name':'web','namespace':'default'},'spec':{'type':"
			  "'ClusterIP'}}"),
		0);
	cluster_clean(c);
	slice(c, "s", "web", "{'addresses':['a']}");
	CHECK_INT(cluster_dirty_count(c), 0);
	cluster_free(c);
}

/* Which annotation it was that asks. */
static void test_asked_by(void)
{
	static const struct {
		const char *annotations, *ips, *pool, *key;
	} rows[] = {
		{"'lbd.io/loadBalancerIPs':'a','metallb.io/loadBalancerIPs':'a'",
			"lbd.io/loadBalancerIPs", NULL, NULL},
		{"'kube-vip.io/loadbalancerIPs':'a','metallb.io/address-pool':'p'",
			"kube-vip.io/loadbalancerIPs", "metallb.io/address-pool", NULL},
		{"'eip.openelb.kubesphere.io/v1alpha1':'a','eip.openelb.kubesphere.io/v1alpha2':"
		 "'p','metallb.universe.tf/allow-shared-ip':'k'",
			"eip.openelb.kubesphere.io/v1alpha1", "eip.openelb.kubesphere.io/v1alpha2",
			"metallb.universe.tf/allow-shared-ip"},
		{"'lbd.io/address-pool':' ','metallb.universe.tf/address-pool':'p'", NULL,
			"metallb.universe.tf/address-pool", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cluster *c = fresh(NULL);
		char meta[512];
		struct cluster_asked_by by;

		check_row = rows[i].annotations;
		(void)snprintf(meta, sizeof meta, "'annotations':{%s}", rows[i].annotations);
		by = cluster_asked_by(&web(c, meta, "")->request);
		if (rows[i].ips != NULL)
			CHECK_STR(by.ips, rows[i].ips);
		if (rows[i].pool != NULL)
			CHECK_STR(by.pool, rows[i].pool);
		if (rows[i].key != NULL)
			CHECK_STR(by.sharing_key, rows[i].key);
		cluster_free(c);
	}
}

/* As if a write had been taken; until the API shows the Service again. */
static void test_suppose(void)
{
	struct cluster *c = fresh(NULL);
	struct addr ips[2];
	struct cluster_supposed st = {.ips = ips, .n_ips = 2, .pool = "lan", .version = "dry-1"};
	struct cluster_service s;

	CHECK_INT(addr_parse("10.0.0.1", 8, &ips[0]), 0);
	CHECK_INT(addr_parse("fd00::1", 7, &ips[1]), 0);
	CHECK_INT(cluster_suppose(c, "default/web", &st), -ENOENT);
	CHECK_INT(put(c, CLUSTER_SERVICE,
			  service_text("7", "'uid':'u'", "'loadBalancerIP':'10.0.0.1'")),
		0);
	cluster_clean(c);
	CHECK_INT(cluster_suppose(c, "default/web", &st), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	CHECK(cluster_service(c, "default/web", &s));
	CHECK_INT(s.n_ingress, 2);
	CHECK(addr_eq(s.ingress[0], ips[0]) && addr_eq(s.ingress[1], ips[1]));
	CHECK_STR(s.pool_written, "lan");
	CHECK_STR(s.resource_version, "dry-1");
	CHECK_STR(s.uid, "u");
	CHECK_STR(s.load_balancer_ip, "10.0.0.1");
	st = (struct cluster_supposed){.ips = ips, .n_ips = 0, .version = "dry-2"};
	CHECK_INT(cluster_suppose(c, "default/web", &st), 0);
	CHECK(cluster_service(c, "default/web", &s));
	CHECK(s.n_ingress == 0 && s.pool_written == NULL);
	cluster_clean(c);
	CHECK_INT(put(c, CLUSTER_SERVICE, service_text("7", "'uid':'u'", "")), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	CHECK(cluster_service(c, "default/web", &s) && s.n_ingress == 0);
	CHECK_STR(s.resource_version, "7");
	cluster_free(c);
}

/* -- lists -- */

static void node_put(struct cluster *c, const char *name)
{
	char text[128];

	(void)snprintf(text, sizeof text, "{'metadata':{'name':'%s'}}", name);
	CHECK_INT(put(c, CLUSTER_NODE, text), 0);
}

static void test_list_sweeps(void)
{
	struct cluster *c = fresh(NULL);

	node_put(c, "a");
	node_put(c, "b");
	cluster_list_begin(c, CLUSTER_NODE);
	node_put(c, "b");
	node_put(c, "c");
	CHECK_INT(cluster_count(c, CLUSTER_NODE), 3);
	cluster_list_end(c, CLUSTER_NODE);
	CHECK(cluster_node(c, "a") == NULL && cluster_node(c, "b") != NULL);
	CHECK_INT(cluster_count(c, CLUSTER_NODE), 2);

	cluster_list_begin(c, CLUSTER_NODE);
	cluster_list_abort(c, CLUSTER_NODE);
	CHECK_INT(cluster_count(c, CLUSTER_NODE), 2);
	cluster_list_begin(c, CLUSTER_NODE);
	cluster_list_end(c, CLUSTER_NODE);
	CHECK_INT(cluster_count(c, CLUSTER_NODE), 0);
	cluster_free(c);
}

static void test_list_of_services_and_slices(void)
{
	struct cluster *c = fresh(NULL);

	(void)web(c, "", "");
	slice(c, "s", "web", "{'addresses':['a']}");
	cluster_clean(c);
	cluster_list_begin(c, CLUSTER_ENDPOINT_SLICE);
	cluster_list_end(c, CLUSTER_ENDPOINT_SLICE);
	CHECK_INT(cluster_dirty_count(c), 1);
	check_endpoints(c, "default/web", NULL, 0, 0);
	cluster_clean(c);
	cluster_list_begin(c, CLUSTER_SERVICE);
	cluster_list_end(c, CLUSTER_SERVICE);
	CHECK_INT(cluster_count(c, CLUSTER_SERVICE), 0);
	CHECK_INT(cluster_dirty_count(c), 1);
	CHECK(cluster_dirty_at(c, 0).gone);
	cluster_free(c);
}

static void test_list_spares_what_it_cannot_read(void)
{
	struct cluster *c = fresh(NULL);

	node_put(c, "a");
	node_put(c, "b");
	cluster_list_begin(c, CLUSTER_NODE);
	CHECK_INT(put(c, CLUSTER_NODE, "{'metadata':{'name':'a','labels':[]}}"), -EBADMSG);
	cluster_list_end(c, CLUSTER_NODE);
	CHECK(cluster_node(c, "a") != NULL && cluster_node(c, "b") == NULL);
	/* One object without a name may be any. */
	cluster_list_begin(c, CLUSTER_NODE);
	CHECK_INT(put(c, CLUSTER_NODE, "{'metadata':{'name':1}}"), -EBADMSG);
	cluster_list_end(c, CLUSTER_NODE);
	CHECK(cluster_node(c, "a") != NULL);
	/* The next list sees clearly again. */
	cluster_list_begin(c, CLUSTER_NODE);
	cluster_list_end(c, CLUSTER_NODE);
	CHECK_INT(cluster_count(c, CLUSTER_NODE), 0);
	cluster_free(c);
}

static void test_iteration(void)
{
	struct cluster *c = fresh(NULL);
	const struct cluster_service *s;
	const struct cluster_node *n = NULL;
	char order[8] = "";
	size_t at = 0;

	CHECK(cluster_next_node(c, NULL) == NULL);
	CHECK(pick_next(c, NULL) == NULL);
	CHECK(cluster_next_lease(c, NULL) == NULL);
	node_put(c, "c");
	node_put(c, "a");
	node_put(c, "b");
	CHECK_INT(event(c, CLUSTER_NODE, CLUSTER_DELETE, "{'metadata':{'name':'a'}}"), 0);
	node_put(c, "a");
	while ((n = cluster_next_node(c, n)) != NULL && at < 7)
		order[at++] = n->name[0];
	CHECK_STR(order, "cba");
	slice(c, "s", "ghost", "{'addresses':['a']}");
	CHECK(pick_next(c, NULL) == NULL); /* only spoken of */
	(void)web(c, "", "");
	s = pick_next(c, NULL);
	CHECK(s != NULL && strcmp(s->key, "default/web") == 0);
	CHECK(pick_next(c, pick(c, "default/web")) == NULL);
	cluster_free(c);
}

/* Services, slices and deletions at random against plain arrays. */
static void test_model(void)
{
	enum { KEYS = 40, STEPS = 20000 };
	struct cluster *c = fresh(NULL);
	struct rng rng = {.state = 7};
	bool known[KEYS] = {0}, dirty[KEYS] = {0};
	unsigned ready[KEYS] = {0};
	size_t n_known = 0, n_dirty = 0;
	char text[512];

	for (int step = 0; step < STEPS; step++) {
		size_t k = rng_below(&rng, KEYS);
		unsigned n = (unsigned)rng_below(&rng, 3);
		bool was_dirty = dirty[k];

		switch (rng_below(&rng, 4)) {
		case 0:
			(void)snprintf(text, sizeof text,
				"{'metadata':{'name':'s%zu','namespace':'x','resourceVersion':'%d'}"
				","
				"'spec':{'type':'LoadBalancer'}}",
				k, step);
			CHECK_INT(put(c, CLUSTER_SERVICE, text), 0);
			known[k] = dirty[k] = true;
			break;
		case 1:
			(void)snprintf(text, sizeof text,
				"{'metadata':{'name':'s%zu','namespace':'x'}}", k);
			CHECK_INT(event(c, CLUSTER_SERVICE, CLUSTER_DELETE, text), 0);
			dirty[k] |= known[k];
			known[k] = false;
			break;
		case 2:
			(void)snprintf(text, sizeof text,
				"{'metadata':{'name':'e%zu','namespace':'x','labels':"
				"{'kubernetes.io/service-name':'s%zu'}},'endpoints':[%s%s]}",
				k, k, n > 0 ? "{'addresses':['a']}" : "",
				n > 1 ? ",{'addresses':['a']}" : "");
			CHECK_INT(put(c, CLUSTER_ENDPOINT_SLICE, text), 0);
			dirty[k] |= known[k] && ready[k] != n;
			ready[k] = n;
			break;
		default:
			if (n != 0 || rng_below(&rng, 4) != 0)
				break;
			cluster_clean(c);
			memset(dirty, 0, sizeof dirty);
			was_dirty = false;
			n_dirty = 0;
		}
		n_dirty += dirty[k] && !was_dirty;
		n_known = 0;
		for (size_t i = 0; i < KEYS; i++)
			n_known += known[i];
		(void)snprintf(text, sizeof text, "x/s%zu", k);
		if (cluster_dirty_count(c) == n_dirty &&
			cluster_count(c, CLUSTER_SERVICE) == n_known &&
			cluster_service(c, text, NULL) == known[k] &&
			cluster_endpoints(c, text, NULL).ready == ready[k])
			continue;
		printf("step %d: the picture is not the model\n", step);
		CHECK(false);
		break;
	}
	cluster_free(c);
	cluster_free(NULL);
}

CHECK_MAIN("test_cluster", CHECK_TEST(test_service_all_fields),
	CHECK_TEST(test_service_little_is_enough), CHECK_TEST(test_service_time),
	CHECK_TEST(test_service_bad_objects), CHECK_TEST(test_service_limits),
	CHECK_TEST(test_service_limit_of_count), CHECK_TEST(test_request_synonyms),
	CHECK_TEST(test_service_families), CHECK_TEST(test_service_ingress),
	CHECK_TEST(test_service_condition),
	CHECK_TEST(test_service_long_labels_left_out), CHECK_TEST(test_node),
	CHECK_TEST(test_namespace),
	CHECK_TEST(test_lease_fields), CHECK_TEST(test_lease_roles),
	CHECK_TEST(test_lease_claims_limit), CHECK_TEST(test_lease_callback),
	CHECK_TEST(test_endpoints_conditions), CHECK_TEST(test_endpoints_bad),
	CHECK_TEST(test_endpoints_slices_add_up_and_move), CHECK_TEST(test_endpoints_old_kind),
	CHECK_TEST(test_dirty), CHECK_TEST(test_dirty_not_for_other_types),
	CHECK_TEST(test_suppose), CHECK_TEST(test_asked_by),
	CHECK_TEST(test_list_sweeps), CHECK_TEST(test_list_of_services_and_slices),
	CHECK_TEST(test_list_spares_what_it_cannot_read), CHECK_TEST(test_iteration),
	CHECK_TEST(test_model))
