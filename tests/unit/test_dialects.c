/* SPDX-License-Identifier: Apache-2.0
 *
 * test_dialects.c - what configurations of every dialect mean for Services: from YAML to who gets
 * which address.  The rules are MetalLB's and OpenELB's documents', not our code's.
 */
#include "alloc.h"
#include "check.h"
#include "cluster.h"
#include "config.h"
#include "doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE "apiVersion: lbd.io/v1\nkind: Config\n"
#define EIP(name, metadata, spec)                                                                  \
	"---\napiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: " name       \
		metadata "}\nspec: {" spec "}\n"
#define DEFAULT_EIP       ", annotations: {eip.openelb.kubesphere.io/is-default-eip: \"true\"}"
#define OPENELB           "lb.kubesphere.io/v1alpha1: openelb"
#define BY_EIP(name)      "{" OPENELB ", eip.openelb.kubesphere.io/v1alpha2: " name "}"
#define BY_IP(ip)         "{" OPENELB ", eip.openelb.kubesphere.io/v1alpha1: \"" ip "\"}"
#define BY_PROTOCOL(word) "{" OPENELB ", protocol.openelb.kubesphere.io/v1alpha1: " word "}"

static const struct hash_key hkey = {7, 9};
static const struct doc_limits limits = {1 << 20, 10000, 32};

/* -- helpers -- */

struct world {
	struct config *conf; /* owned */
	struct cluster *cluster;
	struct alloc *alloc;
	struct counters counters;
	unsigned version, created;
};

static struct buf read_file(const char *path)
{
	struct buf b;
	char part[4096];
	size_t n;
	FILE *f = fopen(path, "r");

	buf_init(&b, 1 << 20);
	CHECK(f != NULL);
	while (f != NULL && (n = fread(part, 1, sizeof part, f)) > 0)
		buf_add(&b, part, n);
	if (f != NULL)
		(void)fclose(f);
	return b;
}

static const char *text_of(const struct buf *b)
{
	return b->p != NULL ? b->p : "";
}

static struct config *parse(const char *text)
{
	struct config_source src = {.name = "f", .text = text, .len = strlen(text)};
	struct config_report report;
	struct config *c = NULL;

	config_report_init(&report);
	CHECK_INT(config_parse(&src, 1, &c, &report), 0);
	CHECK_STR(text_of(&report.errors), "");
	config_report_free(&report);
	if (c == NULL)
		abort();
	return c;
}

/* The allocator still reads the old one while it changes over. */
static void configure(struct world *w, const char *text)
{
	struct config *old = w->conf;

	w->conf = parse(text);
	CHECK_INT(alloc_configure(w->alloc, w->conf, 1000), 0);
	config_free(old);
}

static void world_init(struct world *w, const char *text)
{
	memset(w, 0, sizeof *w);
	w->cluster = cluster_new(&hkey, &w->counters);
	w->alloc = alloc_new(&hkey, &w->counters);
	if (w->cluster == NULL || w->alloc == NULL)
		abort();
	alloc_adopted(w->alloc, 1000);
	configure(w, text);
}

static void world_free(struct world *w)
{
	alloc_free(w->alloc);
	cluster_free(w->cluster);
	config_free(w->conf);
}

/* What the API server adds to a Service that a person wrote. */
static void complete(struct world *w, cJSON *obj)
{
	cJSON *metadata = cJSON_GetObjectItem(obj, "metadata");
	cJSON *spec = cJSON_GetObjectItem(obj, "spec"), *port;
	char version[16];

	(void)snprintf(version, sizeof version, "%u", ++w->version);
	(void)cJSON_AddStringToObject(metadata, "resourceVersion", version);
	(void)cJSON_AddStringToObject(metadata, "uid", version);
	if (!cJSON_HasObjectItem(spec, "clusterIP"))
		(void)cJSON_AddStringToObject(spec, "clusterIP", "10.96.0.9");
	cJSON_ArrayForEach (port, cJSON_GetObjectItem(spec, "ports"))
		if (!cJSON_HasObjectItem(port, "protocol"))
			(void)cJSON_AddStringToObject(port, "protocol", "TCP");
}

static void put(struct world *w, const cJSON *obj)
{
	cJSON *copy = cJSON_Duplicate(obj, true);
	struct cluster_service s;
	char key[256];

	if (copy == NULL)
		abort();
	complete(w, copy);
	CHECK_INT(cluster_apply(w->cluster, CLUSTER_SERVICE, CLUSTER_PUT, copy), 0);
	(void)snprintf(key, sizeof key, "%s/%s",
		cJSON_GetObjectItem(cJSON_GetObjectItem(copy, "metadata"), "namespace")
			->valuestring,
		cJSON_GetObjectItem(cJSON_GetObjectItem(copy, "metadata"), "name")->valuestring);
	CHECK(cluster_service(w->cluster, key, &s));
	CHECK_INT(alloc_put(w->alloc, &s, 1000), 0);
	cJSON_Delete(copy);
}

/* Every document of a text of YAML. */
static void put_all(struct world *w, const char *text)
{
	struct doc_error err;
	struct doc *doc = NULL;

	CHECK_INT(doc_parse(text, strlen(text), &limits, &doc, &err), 0);
	if (doc == NULL)
		abort();
	for (size_t i = 0; i < doc_count(doc); i++)
		put(w, doc_root(doc, i));
	doc_free(doc);
}

/* "NAMESPACE/NAME [ANNOTATIONS] [SPEC]", both of them maps in YAML. */
static void put_service(struct world *w, const char *key, const char *annotations, const char *spec)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_addf(&b,
		"metadata: {namespace: %.*s, name: %s, annotations: %s, "
		"creationTimestamp: '2024-01-01T00:00:%02uZ'}\n",
		(int)strcspn(key, "/"), key, strchr(key, '/') + 1, annotations, ++w->created);
	buf_addf(&b, "spec: {type: LoadBalancer, ports: [{port: 80}]%s%s}\n",
		spec[0] != '\0' ? ", " : "", spec);
	put_all(w, text_of(&b));
	buf_free(&b);
}

/* The address, or "REASON: WORDS". */
static const char *got(struct world *w, const char *key, char out[640])
{
	struct alloc_result r;
	size_t n = 0;

	while (alloc_next_result(w->alloc, &r))
		;
	if (!alloc_why(w->alloc, key, &r))
		return "unknown";
	out[0] = '\0';
	for (size_t i = 0; i < r.n_ips; i++) {
		char ip[ADDR_STRLEN];

		n += (size_t)snprintf(
			out + n, 640 - n, "%s%s", i > 0 ? "," : "", addr_format(r.ips[i], ip));
	}
	if (r.n_ips == 0)
		(void)snprintf(out, 640, "%s: %s", reason_code(r.reason), r.detail);
	return out;
}

/* want: all of an address, the beginning of a reason. */
static void expect(struct world *w, const char *key, const char *want)
{
	char out[640], name[256];
	const char *s = got(w, key, out), *row = check_row;
	bool is_reason = strchr(s, ' ') != NULL;

	(void)snprintf(name, sizeof name, "%s: %s", row, key);
	check_row = name;
	if (!is_reason || strncmp(s, want, strlen(want)) != 0)
		CHECK_STR(s, want);
	check_row = row;
}

/* -- the Services of the documents under each of the documents' configurations -- */

#define NOT_IN  "requestNotInPool: "
#define UNKNOWN "poolUnknown: "

static void test_documents(void)
{
	static const char *const services[] = {"default/nginx", "default/nginx2",
		"default/pool-by-annotation", "default/shared-tcp", "default/shared-udp",
		"default/openelb-style"};
	static const struct {
		const char *name;
		const char *want[ARRAY_LEN(services)];
	} rows[] = {
		/* One pool, named default: who asks for 172.18.0.x or for pools by other names is
		 * refused ("not allowed in config", "unknown pool").  MetalLB gives .0 as well. */
		{"metallb-configmap-bgp-advertisements",
			{"198.51.100.0", NOT_IN, UNKNOWN, NOT_IN, NOT_IN, UNKNOWN}},
		{"metallb-configmap-bgp",
			{"192.168.10.0", NOT_IN, UNKNOWN, NOT_IN, NOT_IN, UNKNOWN}},
		{"metallb-configmap-l2", {"10.10.8.200", NOT_IN, UNKNOWN, NOT_IN, NOT_IN, UNKNOWN}},
		/* avoid-buggy-ips */
		{"metallb-configmap-node-selectors",
			{"198.51.100.1", NOT_IN, UNKNOWN, NOT_IN, NOT_IN, UNKNOWN}},
		/* IPv4 by default; the first range of three. */
		{"metallb-cr-dual-stack",
			{"192.168.10.0", NOT_IN, UNKNOWN, NOT_IN, NOT_IN, UNKNOWN}},
		/* Two pools that are alike: MetalLB takes either, lbd the first in the file. */
		{"metallb-cr-l2-node-selectors",
			{"192.168.209.150", NOT_IN, UNKNOWN, NOT_IN, NOT_IN, UNKNOWN}},
		/* The pool that the documents' Services were written for. */
		{"metallb-cr-l2", {"172.18.0.10", "172.18.0.20", "172.18.0.11", "172.18.0.21",
					  "172.18.0.21", UNKNOWN}},
		/* OpenELB looks at nothing that is not annotated for it. */
		{"openelb-eip", {"172.18.0.10", "172.18.0.20", UNKNOWN, "172.18.0.21",
					"172.18.0.21", "172.18.0.11"}},
	};
	struct buf text = read_file("../shared/configs/services.yaml");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[256];
		struct buf conf;
		struct world w;

		check_row = rows[i].name;
		(void)snprintf(path, sizeof path, "../shared/configs/%s.yaml", rows[i].name);
		conf = read_file(path);
		world_init(&w, text_of(&conf));
		put_all(&w, text_of(&text));
		for (size_t k = 0; k < ARRAY_LEN(services); k++)
			expect(&w, services[k], rows[i].want[k]);
		world_free(&w);
		buf_free(&conf);
	}
	buf_free(&text);
}

/* -- OpenELB -- */

struct openelb_case {
	const char *name, *config;
	struct {
		const char *key, *annotations, *spec, *want;
	} services[4];
};

static void run(const struct openelb_case *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct world w;

		check_row = rows[i].name;
		world_init(&w, rows[i].config);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].services); k++)
			if (rows[i].services[k].key != NULL)
				put_service(&w, rows[i].services[k].key,
					rows[i].services[k].annotations, rows[i].services[k].spec);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].services); k++)
			if (rows[i].services[k].key != NULL)
				expect(&w, rows[i].services[k].key, rows[i].services[k].want);
		world_free(&w);
	}
}

/* OpenELB, "IP address assignment": which Eip is whose. */
static void test_openelb_choice(void)
{
#define EIPS                                                                                       \
	EIP("eip", "", "address: 10.0.0.1-10.0.0.9, protocol: layer2")                             \
	EIP("eip-ns", "", "address: 10.0.1.1-10.0.1.9, protocol: layer2, namespaces: [one]")       \
	EIP("eip-low", "",                                                                         \
		"address: 10.0.2.1, protocol: layer2, namespaces: [one, two], priority: 5")
#define DEFAULT EIP("eip-default", DEFAULT_EIP, "address: 10.0.9.1-10.0.9.9, protocol: layer2")
	static const struct openelb_case rows[] = {
		{"bound to the namespace, the lower priority first, then the default", EIPS DEFAULT,
			{{"one/a", "{" OPENELB "}", "", "10.0.1.1"},
				{"two/a", "{" OPENELB "}", "", "10.0.2.1"},
				{"two/b", "{" OPENELB "}", "", "10.0.9.1"},
				{"three/a", "{" OPENELB "}", "", "10.0.9.2"}}},
		{"no default: what is bound to nothing is for all, after what is bound", EIPS,
			{{"one/a", "{" OPENELB "}", "", "10.0.1.1"},
				{"three/a", "{" OPENELB "}", "", "10.0.0.1"},
				{"three/b", "{}", "", "10.0.0.2"}}},
		{"an Eip without anything is for who names it", EIPS DEFAULT,
			{{"three/a", BY_EIP("eip"), "", "10.0.0.1"},
				{"three/b", BY_IP("10.0.0.7"), "", "10.0.0.7"},
				{"three/c", "{" OPENELB "}", "loadBalancerIP: 10.0.0.8",
					"10.0.0.8"}}},
		{"who names an Eip or an address gets it whatever the namespace", EIPS,
			{{"three/a", BY_EIP("eip-ns"), "", "10.0.1.1"},
				{"three/b", BY_IP("10.0.2.1"), "", "10.0.2.1"}}},
		{"the annotation is wanted where classless says so",
			EIPS "---\n" NATIVE "classless: false\n",
			{{"one/a", "{}", "", "classless: "},
				{"one/b", "{lb.kubesphere.io/v1alpha1: porter}", "", "classless: "},
				{"one/c", "{eip.openelb.kubesphere.io/v1alpha2: eip}", "",
					"classless: "},
				{"one/d", "{" OPENELB "}", "", "10.0.1.1"}}},
		{"else it is not", EIPS DEFAULT,
			{{"three/a", "{}", "", "10.0.9.1"}, {"one/a", "{}", "", "10.0.1.1"}}},
		{"nor beside pools that are not OpenELB's",
			EIPS DEFAULT "---\n" NATIVE
				     "pools: [{name: p, addresses: [10.0.5.0/24]}]\n",
			{{"three/a", "{}", "", "10.0.9.1"},
				{"three/b", BY_IP("10.0.5.1"), "", "10.0.5.1"}}},
		{"another class is another's", EIPS,
			{{"one/a", "{" OPENELB "}", "loadBalancerClass: example.com/x",
				"otherClass: "}}},
		{"no such Eip", EIPS, {{"one/a", BY_EIP("nope"), "", "poolUnknown: "}}},
		{"the address is not in the Eip", EIPS,
			{{"one/a",
				"{" OPENELB ", eip.openelb.kubesphere.io/v1alpha2: eip, "
				"eip.openelb.kubesphere.io/v1alpha1: 10.0.1.1}",
				"", "requestConflict: "}}},
		{"two Services ask for one address: OpenELB checks nothing, MetalLB's rule does",
			EIPS,
			{{"one/a", BY_IP("10.0.0.7"), "", "10.0.0.7"},
				{"one/b", BY_IP("10.0.0.7"), "",
					"addressInUse: address 10.0.0.7 is used by one/a: this "
					"Service has no sharing key (annotation "
					"lbd.io/allow-shared-ip)"}}},
		{"IPv6", EIP("six", DEFAULT_EIP, "address: \"fd00::1-fd00::4\""),
			{{"one/a", "{" OPENELB "}", "clusterIP: \"fd96::1\"", "fd00::1"},
				{"one/b", "{" OPENELB "}", "", "noFittingPool: "}}},
	};

	run(rows, ARRAY_LEN(rows));
}

static void test_openelb_protocol(void)
{
#define THREE                                                                                      \
	EIP("l2", DEFAULT_EIP, "address: 10.0.0.1, protocol: layer2")                              \
	EIP("vip", "", "address: 10.0.1.1, protocol: vip, namespaces: [one]")                      \
	EIP("bgp", "", "address: 10.0.2.1, namespaces: [one]")
	static const struct openelb_case rows[] = {
		{"only an Eip of the protocol", THREE,
			{{"one/a", BY_PROTOCOL("layer2"), "", "10.0.0.1"},
				{"one/b", BY_PROTOCOL("vip"), "", "10.0.1.1"},
				{"one/c", BY_PROTOCOL("bgp"), "", "10.0.2.1"}}},
		{"there is none for the namespace", THREE,
			{{"two/a", BY_PROTOCOL("vip"), "",
				"noFittingPool: no pool with automatic assignment and IPv4 "
				"addresses admits this Service and is announced by vip"}}},
		{"the Eip that it names has another", THREE,
			{{"one/a",
				 "{" OPENELB ", eip.openelb.kubesphere.io/v1alpha2: bgp, "
				 "protocol.openelb.kubesphere.io/v1alpha1: layer2}",
				 "",
				 "poolNotAdmitted: the requested pool bgp is not announced by the "
				 "protocol that this Service asks for"},
				{"one/b",
					"{" OPENELB ", eip.openelb.kubesphere.io/v1alpha1: 10.0.1.1"
					", protocol.openelb.kubesphere.io/v1alpha1: layer2}",
					"",
					"poolNotAdmitted: pool vip of the requested address "
					"10.0.1.1 is not announced by"}}},
		{"no such protocol", THREE,
			{{"one/a", BY_PROTOCOL("l2"), "",
				"badRequest: protocol.openelb.kubesphere.io/v1alpha1 must be "
				"layer2, bgp or vip, it is \"l2\""}}},
		{"MetalLB's pools have one as well",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: p}\n"
			"spec: {addresses: [10.0.0.0/24]}\n---\napiVersion: metallb.io/v1beta1\n"
			"kind: L2Advertisement\nmetadata: {name: x}\n",
			{{"one/a", BY_PROTOCOL("layer2"), "", "10.0.0.0"},
				{"one/b", BY_PROTOCOL("bgp"), "", "noFittingPool: "}}},
	};

	run(rows, ARRAY_LEN(rows));
}

/* Another protocol asked for is another address; one that nobody has is no reason to lose one. */
static void test_openelb_protocol_changed(void)
{
	struct world w;

	check_row = "changed";
	world_init(&w, THREE);
	put_service(&w, "one/a", BY_PROTOCOL("layer2"), "");
	expect(&w, "one/a", "10.0.0.1");
	put_service(&w, "one/a", BY_PROTOCOL("vip"), "");
	expect(&w, "one/a", "10.0.1.1");
	configure(&w, EIP("vip", "", "address: 10.0.1.1, protocol: bgp, namespaces: [one]"));
	expect(&w, "one/a", "10.0.1.1");
	world_free(&w);
}

/* Eip.spec.disable: "existing Services are not affected". */
static void test_openelb_disable(void)
{
#define SOME(more) "address: 10.0.0.1-10.0.0.9, protocol: layer2" more
	struct world w;

	check_row = "disable";
	world_init(&w, EIP("e", DEFAULT_EIP, SOME("")));
	put_service(&w, "one/a", BY_EIP("e"), "");
	put_service(&w, "one/b", "{" OPENELB "}", "");
	put_service(&w, "one/c", BY_IP("10.0.0.9"), "");
	expect(&w, "one/c", "10.0.0.9");
	configure(&w, EIP("e", DEFAULT_EIP, SOME(", disable: true")));
	expect(&w, "one/a", "10.0.0.1");
	expect(&w, "one/b", "10.0.0.2");
	expect(&w, "one/c", "10.0.0.9");
	put_service(&w, "one/d", BY_EIP("e"), "");
	put_service(&w, "one/e", "{" OPENELB "}", "");
	put_service(&w, "one/f", BY_IP("10.0.0.8"), "");
	expect(&w, "one/d", "poolNotAdmitted: the requested pool e is disabled");
	expect(&w, "one/e", "noFittingPool: ");
	expect(&w, "one/f",
		"poolNotAdmitted: pool e of the requested address 10.0.0.8 is disabled");
	configure(&w, EIP("e", DEFAULT_EIP, SOME("")));
	expect(&w, "one/f", "10.0.0.8");
	world_free(&w);
}

/* -- what an Eip is in dialect 1 -- */

static void test_eip_canonical(void)
{
#define E(metadata, spec) EIP("e", metadata, "address: 10.0.0.9" spec)
	static const struct {
		const char *name, *in, *want;
	} rows[] = {
		{"default", E(DEFAULT_EIP, ""), "serviceAllocation: {priority: 2147483647, "},
		{"default and bound", E(DEFAULT_EIP, ", namespaces: [a]"),
			"serviceAllocation: {priority: 2147483647, namespaces: [],"},
		{"default, as Go's ToLower has it",
			E(", annotations: {eip.openelb.kubesphere.io/is-default-eip: \"True\"}",
				""),
			"serviceAllocation: {priority: 2147483647, "},
		{"not default",
			E(", annotations: {eip.openelb.kubesphere.io/is-default-eip: x}", ""),
			"  autoAssign: true\n  avoidBuggyIPs: false\n  reuseDelay: 1m\n"},
		{"priority of one that is bound to nothing", E("", ", priority: 7"),
			"  autoAssign: true\n  avoidBuggyIPs: false\n  reuseDelay: 1m\n"},
		{"disabled", E("", ", disable: true"), "  autoAssign: true\n  disabled: true\n"},
		{"the highest priority", E("", ", priority: 2147483645, namespaces: [a]"),
			"serviceAllocation: {priority: 2147483646, namespaces: [a], "},
		{"protocol by default", E("", ""), "bgpAdvertisements:\n- name: e\n"},
		{"layer2", E("", ", protocol: layer2, interface: \"eth*\""),
			"  interfaces: [\"eth*\"]\n"},
		{"vip", E("", ", protocol: vip, interface: \"can_reach:10.0.0.1\""),
			"  interfaces: [\"can_reach:10.0.0.1\"]\n"},
		{"vip is bound", E("", ", protocol: vip"), "  bindAddress: true\n"},
		{"not used", E("", ", usingKnownIPs: true"), "  - 10.0.0.9\n"},
		{"CIDR with host bits", EIP("e", "", "address: 10.0.0.9/24"), "  - 10.0.0.0/24\n"},
		{"range with blanks", EIP("e", "", "address: 10.0.0.1 - 10.0.0.3"),
			"  - 10.0.0.1-10.0.0.3\n"},
		{"IPv6", EIP("e", "", "address: \"fd00::1-fd00::4\""), "  - \"fd00::1-fd00::4\"\n"},
		{"IPv6 CIDR", EIP("e", "", "address: \"fd00::/64\""), "  - \"fd00::/64\"\n"},
		{"in a List",
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: "
			"network.kubesphere.io/v1alpha2\n  kind: Eip\n  metadata: {name: "
			"e" DEFAULT_EIP "}\n  spec: {address: 10.0.0.9}\n",
			"serviceAllocation: {priority: 2147483647, "},
		{"beside a default one", E("", "") EIP("d", DEFAULT_EIP, "address: 10.0.0.8"),
			"  - 10.0.0.9\n  autoAssign: false\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *c = parse(rows[i].in);
		struct buf out;

		check_row = rows[i].name;
		buf_init(&out, 1 << 20);
		CHECK_INT(config_print(c, &out), 0);
		if (strstr(text_of(&out), rows[i].want) == NULL)
			CHECK_STR(text_of(&out), rows[i].want);
		buf_free(&out);
		config_free(c);
	}
}

static void test_errors(void)
{
	static const struct {
		const char *name, *in, *want;
	} rows[] = {
		{"two by default",
			EIP("a", DEFAULT_EIP, "address: 10.0.0.1")
				EIP("b", DEFAULT_EIP, "address: 10.0.0.2"),
			"f:9:77: Eip/b: "
			"metadata.annotations.eip.openelb.kubesphere.io/is-default-eip"
			": must be true of one Eip, f:2 has it (got true)\n"},
		{"the way to no address",
			EIP("a", "", "address: 10.0.0.1, interface: \"can_reach:host\""),
			"f:5:38: Eip/a: spec.interface: must be an interface's name, or can_reach: "
			"and an address, of at most 64 characters (got can_reach:host)\n"},
		{"one selector twice",
			NATIVE
			"l2Advertisements: [{name: x, nodeSelectors: [{matchLabels: {a: b}}, "
			"{}, {matchLabels: {a: b}}]}]\n",
			"f:3:73: l2Advertisements[0].nodeSelectors[2]: must be given once, [0] is "
			"the same\n"},
		{"one expression twice",
			NATIVE "l2Advertisements: [{name: x, nodeSelectors: [{matchExpressions: "
			       "[{key: a, operator: Exists}, {operator: Exists, key: a}]}]}]\n",
			"f:3:94: l2Advertisements[0].nodeSelectors[0].matchExpressions[1]: must be "
			"given once, [0] is the same\n"},
		{"an interface with a colon",
			NATIVE "l2Advertisements: [{name: x, interfaces: [\"eth0:1\"]}]\n",
			"f:3:43: l2Advertisements[0].interfaces[0]: must be an interface's name, "
			"or "
			"can_reach: and an address, of at most 253 characters (got eth0:1)\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_source src = {
			.name = "f", .text = rows[i].in, .len = strlen(rows[i].in)};
		struct config_report report;
		struct config *c = NULL;

		check_row = rows[i].name;
		config_report_init(&report);
		CHECK_INT(config_parse(&src, 1, &c, &report), -EINVAL);
		CHECK_STR(text_of(&report.errors), rows[i].want);
		config_report_free(&report);
		config_free(c);
	}
}

CHECK_MAIN("test_dialects", CHECK_TEST(test_documents), CHECK_TEST(test_openelb_choice),
	CHECK_TEST(test_openelb_protocol), CHECK_TEST(test_openelb_protocol_changed),
	CHECK_TEST(test_openelb_disable), CHECK_TEST(test_eip_canonical), CHECK_TEST(test_errors))
