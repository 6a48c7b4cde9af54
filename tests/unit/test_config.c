/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config.c - every dialect -> struct config -> canonical YAML; each mistake's exact message.
 *
 * Run from the top of the tree: the golden files are in tests/golden, the configurations that the
 * project started from beside the tree in ../shared/configs.
 */
#include "check.h"
#include "config.h"

#include <errno.h>

#define NATIVE "apiVersion: lbd.io/v1\nkind: Config\n"
#define POOL   NATIVE "pools: [{name: a, addresses: [10.0.0.0/24]}]\n"
#define PEER   "{name: p, myASN: 64500, peerASN: 64501, peerAddress: 10.0.0.1"

/* -- helpers -- */

static struct buf read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char chunk[4096];
	struct buf b;
	size_t n;

	buf_init(&b, 1 << 20);
	if (f == NULL) {
		printf("%s: %s (run from the top of the tree, with ../shared beside it)\n", path,
			strerror(errno));
		check_failures++;
		return b;
	}
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(&b, chunk, n);
	fclose(f);
	return b;
}

static const char *text_of(const struct buf *b)
{
	return b->p != NULL ? b->p : "";
}

/* The text ends at a guard page. */
static int parse(const char *name, const char *text, size_t len, struct config **ret_conf,
	struct config_report *report)
{
	unsigned char *guarded = check_guard(text, len);
	const struct config_source src = {name, (const char *)guarded, len};
	int rc;

	config_report_init(report);
	rc = config_parse(&src, 1, ret_conf, report);
	check_unguard(guarded, len);
	return rc;
}

/* NULL, and its errors printed, when it does not parse. */
static struct config *parse_good(const char *text)
{
	struct config_report report;
	struct config *c = NULL;

	CHECK_INT(parse("f", text, strlen(text), &c, &report), 0);
	CHECK_STR(text_of(&report.errors), "");
	config_report_free(&report);
	return c;
}

static struct buf print(const struct config *c)
{
	struct buf out;

	buf_init(&out, 1 << 24);
	CHECK_INT(config_print(c, &out), 0);
	return out;
}

/* -- the shared configurations and the golden files -- */

struct golden {
	const char *in, *canonical, *warnings;
};

static void check_golden(const struct golden *g)
{
	struct buf in = read_file(g->in), want = read_file(g->canonical), got, again;
	struct config_report report;
	struct config *c = NULL, *d = NULL;

	check_row = g->in;
	CHECK_INT(parse("f", text_of(&in), in.len, &c, &report), 0);
	CHECK_STR(text_of(&report.errors), "");
	CHECK_STR(text_of(&report.warnings), g->warnings);
	config_report_free(&report);
	if (c != NULL) {
		got = print(c);
		CHECK_STR(text_of(&got), text_of(&want));
		d = parse_good(text_of(&got));
		if (d != NULL) {
			again = print(d);
			CHECK_STR(text_of(&again), text_of(&got));
			CHECK_STR(d->hash, c->hash);
			buf_free(&again);
		}
		buf_free(&got);
	}
	config_free(c);
	config_free(d);
	buf_free(&in);
	buf_free(&want);
}

static void test_golden(void)
{
#define SHARED(name) "../shared/configs/" name ".yaml", "tests/golden/" name ".canonical.yaml"
#define IGNORED      ": is not configuration, ignored\n"
	static const struct golden rows[] = {
		{SHARED("metallb-configmap-bgp-advertisements"), ""},
		{SHARED("metallb-configmap-bgp"), ""},
		{SHARED("metallb-configmap-l2"), ""},
		{SHARED("metallb-configmap-node-selectors"), ""},
		{SHARED("metallb-cr-dual-stack"),
			""},
		{SHARED("metallb-cr-l2-node-selectors"), ""},
		{SHARED("metallb-cr-l2"), ""},
		{SHARED("openelb-eip"), ""},
		{SHARED("services"),
			"f:2:1: Service/nginx" IGNORED "f:10:1: Service/nginx2" IGNORED
			"f:19:1: Service/pool-by-annotation" IGNORED
			"f:31:1: Service/shared-tcp" IGNORED "f:44:1: Service/shared-udp" IGNORED
			"f:57:1: Service/openelb-style" IGNORED},
		{"tests/golden/full.yaml", "tests/golden/full.canonical.yaml",
			"f:53:10: peers[0].tcpAO: takes the place of the password (got both)\n"},
		{"packaging/lbd.yaml", "tests/golden/lbd.canonical.yaml", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_golden(&rows[i]);
}

/* -- mistakes: the exact messages -- */

struct bad {
	const char *name, *in, *want;
};

static void check_bad(const struct bad *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct config_report report;
		struct config *c = NULL;

		check_row = rows[i].name;
		CHECK_INT(parse("f", rows[i].in, strlen(rows[i].in), &c, &report), -EINVAL);
		CHECK_STR(text_of(&report.errors), rows[i].want);
		config_report_free(&report);
		config_free(c);
	}
}

static void test_errors_types(void)
{
	static const struct bad rows[] = {
		{"bool", NATIVE "classless: yes\n",
			"f:3:12: classless: must be true or false (got yes, a string)\n"},
		{"bool number", NATIVE "classless: 1\n",
			"f:3:12: classless: must be true or false (got 1)\n"},
		{"word", NATIVE "configFrom: clustr\n",
			"f:3:13: configFrom: must be file or cluster (got clustr, did you mean "
			"cluster?)\n"},
		{"word case", NATIVE "log: {level: DEBUG}\n",
			"f:3:14: log.level: must be error, warn, info or debug (got DEBUG, did you "
			"mean debug?)\n"},
		{"number", NATIVE "metrics: {port: 65536}\n",
			"f:3:17: metrics.port: must be a whole number 0..65535 (got 65536)\n"},
		{"number text", NATIVE "metrics: {port: \"80\"}\n",
			"f:3:17: metrics.port: must be a whole number 0..65535 (got 80, a "
			"string)\n"},
		{"number fraction", NATIVE "metrics: {port: 1.5}\n",
			"f:3:17: metrics.port: must be a whole number 0..65535 (got 1.5)\n"},
		{"number huge", NATIVE "metrics: {port: 1e300}\n",
			"f:3:17: metrics.port: must be a whole number 0..65535 (got 1e300)\n"},
		{"duration without unit", NATIVE "elections: {holdDown: 5}\n",
			"f:3:23: elections.holdDown: must be 0s..1h (got 5, not a duration such as "
			"90s or 100ms)\n"},
		{"duration range", NATIVE "elections: {reannounce: 100ms}\n",
			"f:3:25: elections.reannounce: must be 0 or 1s..24h (got 100ms)\n"},
		{"duration negative", NATIVE "elections: {reannounce: -1s}\n",
			"f:3:25: elections.reannounce: must be 0 or 1s..24h (got -1s, not a "
			"duration such as 90s or 100ms)\n"},
		{"duration of seconds",
			NATIVE "elections: {nodeLease: {duration: 2500ms, renew: 1s}}\n",
			"f:3:35: elections.nodeLease.duration: must be 1s..1h (got 2500ms, not "
			"whole seconds)\n"},
		{"witness", NATIVE "elections: {witness: [10.0.0.1/24]}\n",
			"f:3:23: elections.witness[0]: must be an IPv4 or IPv6 address (got "
			"10.0.0.1/24)\n"},
		{"factor", NATIVE "elections: {maxShare: 0.5}\n",
			"f:3:23: elections.maxShare: must be 0 or 1..1000 (got 0.5)\n"},
		{"string", NATIVE "nodeName: 5\n",
			"f:3:11: nodeName: must be a Kubernetes object's name, small letters, "
			"digits, - and ., of at most 253 characters (got 5, not a string: put it "
			"in quotes)\n"},
		{"string with a control character", NATIVE "nodeName: \"a\\nb\"\n",
			"f:3:11: nodeName: must be a Kubernetes object's name, small letters, "
			"digits, - and ., of at most 253 characters (got \"a\\x0ab\")\n"},
		{"node's name", NATIVE "nodeName: N1\n",
			"f:3:11: nodeName: must be a Kubernetes object's name, small letters, "
			"digits, - and ., of at most 253 characters (got N1)\n"},
		{"namespace", NATIVE "elections: {namespace: a.b}\n",
			"f:3:24: elections.namespace: must be a namespace, small letters, digits "
			"and -, of at most 63 characters (got a.b)\n"},
		{"namespace that is a path", NATIVE "elections: {namespace: ../x}\n",
			"f:3:24: elections.namespace: must be a namespace, small letters, digits "
			"and -, of at most 63 characters (got ../x)\n"},
		{"path", NATIVE "elections: {bfd: {keyFile: key}}\n",
			"f:3:28: elections.bfd.keyFile: must be an absolute path of at most 1024 "
			"characters (got key)\n"},
		{"listen", NATIVE "metrics: {address: localhost}\n",
			"f:3:20: metrics.address: must be node or an address (got localhost)\n"},
		{"list", NATIVE "loadBalancerClasses: a/b\n",
			"f:3:22: loadBalancerClasses: must be a list (got a/b)\n"},
		{"list item", NATIVE "loadBalancerClasses: [a/b, 1]\n",
			"f:3:28: loadBalancerClasses[1]: must be a label's key, name or "
			"prefix/name (got 1, not a string: put it in quotes)\n"},
		{"map", NATIVE "log: debug\n", "f:3:6: log: must be a map (got debug)\n"},
		{"list of maps", NATIVE "pools: {name: a}\n",
			"f:3:8: pools: must be a list (got a map)\n"},
		{"map in a list", NATIVE "pools: [a]\n",
			"f:3:9: pools[0]: must be a map (got a)\n"},
		{"labels",
			NATIVE "pools: [{name: a, addresses: [10.0.0.0/24], labels: {a b: c, d: "
			       "1, e: \"-\"}}]\n",
			"f:3:54: pools[0].labels.a b: must be a label's key, name or prefix/name "
			"(got \"a b\")\n"
			"f:3:65: pools[0].labels.d: must be a label's value, a string (got 1)\n"
			"f:3:71: pools[0].labels.e: must be a label's value (got -)\n"},
		{"selector",
			POOL "l2Advertisements: [{name: x, nodeSelectors: [{matchExpressions: "
			     "[{key: a, operator: In}, {key: b, operator: Exists, values: "
			     "[c]}, {operator: Gt}]}]}]\n",
			"f:4:66: l2Advertisements[0].nodeSelectors[0].matchExpressions[0].values: "
			"must have values for In and NotIn (got none)\n"
			"f:4:125: l2Advertisements[0].nodeSelectors[0].matchExpressions[1].values: "
			"must be empty for Exists and DoesNotExist (got a list)\n"
			"f:4:142: l2Advertisements[0].nodeSelectors[0].matchExpressions[2]."
			"operator: must be In, NotIn, Exists or DoesNotExist (got Gt)\n"
			"f:4:131: l2Advertisements[0].nodeSelectors[0].matchExpressions[2].key: "
			"must be a label's key, name or prefix/name (got nothing)\n"},
		{"weight",
			POOL "l2Advertisements: [{name: x, preferredNodeSelectors: [{weight: 0, "
			     "preference: {}}]}]\n",
			"f:4:64: l2Advertisements[0].preferredNodeSelectors[0].weight: must be a "
			"whole number 1..100 (got 0)\n"},
		{"interface", POOL "l2Advertisements: [{name: x, interfaces: [\"\", a/b]}]\n",
			"f:4:43: l2Advertisements[0].interfaces[0]: must be an interface's name, "
			"or "
			"can_reach: and an address, of "
			"at most 253 characters (got \"\")\n"
			"f:4:47: l2Advertisements[0].interfaces[1]: must be an interface's name, "
			"or "
			"can_reach: and an address, of "
			"at most 253 characters (got a/b)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

static void test_errors_keys(void)
{
	static const struct bad rows[] = {
		{"top level", NATIVE "pool: []\n",
			"f:3:1: pool: unknown key, did you mean pools?\n"},
		{"a list's item without a blank", NATIVE "pools:\n-name: a\n",
			"f:4:1: -name: unknown key: the - of a list's item wants a blank behind "
			"it\n"},
		{"required, misspelled", NATIVE "pools: [{name: a, adresses: [10.0.0.0/24]}]\n",
			"f:3:19: pools[0].adresses: unknown key, did you mean addresses?\n"},
		{"kebab in dialect 1",
			NATIVE "pools: [{name: a, addresses: [10.0.0.0/24], auto-assign: true}]\n",
			"f:3:45: pools[0].auto-assign: unknown key, did you mean autoAssign?\n"},
		{"nothing like it", NATIVE "frobnicate: 1\n", "f:3:1: frobnicate: unknown key\n"},
		{"required", NATIVE "pools: [{}]\n",
			"f:3:9: pools[0].name: must be a name of at most 253 characters (got "
			"nothing)\n"
			"f:3:9: pools[0].addresses: must be a list of CIDRs and ranges (got "
			"nothing)\n"},
		{"twice", NATIVE "log: {level: info}\n---\n" NATIVE "log: {level: debug}\n",
			"f:7:1: log: must be given once (got it at f:3 too)\n"},
		{"twice in one map", NATIVE "classless: true\nclassless: false\n",
			"f:4:1: duplicate key, first at line 3: \"classless\"\n"},
		{"merge key, where the value stands",
			NATIVE "pools:\n- &p {name: a, addresses: [10.0.0.1], autoAssign: 1}\n"
			       "- {<<: *p, name: b}\n",
			"f:4:51: pools[0].autoAssign: must be true or false (got 1)\n"
			"f:4:51: pools[1].autoAssign: must be true or false (got 1)\n"
			"f:4:28: pools[1].addresses[0]: must not overlap 10.0.0.1 of pool a at f:4 "
			"(got 10.0.0.1)\n"},
		{"no kind", "apiVersion: lbd.io/v1\npools: []\n",
			"f:1:1: kind: must be Config, or that of a Kubernetes object (got "
			"nothing)\n"},
		{"nothing", "pools: []\n",
			"f:1:1: apiVersion: must be lbd.io/v1, or that of a Kubernetes object (got "
			"nothing)\n"},
		{"version", "apiVersion: lbd.io/v2\nkind: Config\n",
			"f:1:13: apiVersion: must be lbd.io/v1 (got lbd.io/v2)\n"},
		{"version no string", "apiVersion: 1\nkind: Config\n",
			"f:1:13: apiVersion: must be a string (got 1)\n"},
		{"kind", "apiVersion: lbd.io/v1\nkind: Confg\n",
			"f:2:7: kind: unknown kind, did you mean Config? (got Confg)\n"},
		{"root", "- a\n", "f:1:1: must be a map (got a list)\n"},
		{"escapes", NATIVE "\"a\\e[31m\": 1\n", "f:3:1: a\\x1b[31m: unknown key\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

static void test_errors_addresses(void)
{
#define ADDRESSES(list) NATIVE "pools: [{name: a, addresses: [" list "]}]\n"
#define AT_ADDRESS      "f:3:31: pools[0].addresses[0]: "
	static const struct bad rows[] = {
		{"reversed", ADDRESSES("10.0.0.9-10.0.0.1"),
			AT_ADDRESS "must begin with the lower address (got 10.0.0.9-10.0.0.1)\n"},
		{"mixed", ADDRESSES("\"10.0.0.1-fd00::1\""),
			AT_ADDRESS "must be of one family, IPv4 or IPv6 (got 10.0.0.1-fd00::1)\n"},
		{"around mapped addresses", ADDRESSES("\"::/64\""),
			AT_ADDRESS "must not hold ::ffff:0:0/96, where IPv4 addresses are (got "
				   "::/64)\n"},
		{"/33", ADDRESSES("10.0.0.0/33"),
			AT_ADDRESS "must have a prefix length of 0..32 for IPv4, 0..128 for IPv6 "
				   "(got 10.0.0.0/33)\n"},
		{"/129", ADDRESSES("\"fd00::/129\""),
			AT_ADDRESS "must have a prefix length of 0..32 for IPv4, 0..128 for IPv6 "
				   "(got fd00::/129)\n"},
		{"no address", ADDRESSES("10.0.0.256/32"),
			AT_ADDRESS "must be made of IPv4 or IPv6 addresses (got 10.0.0.256/32)\n"},
		{"host name", ADDRESSES("web"),
			AT_ADDRESS "must be made of IPv4 or IPv6 addresses (got web)\n"},
		{"number", ADDRESSES("5"), AT_ADDRESS "must be a CIDR or a range (got 5)\n"},
		{"multicast", ADDRESSES("239.0.0.0/24"),
			AT_ADDRESS "must not hold unspecified, loopback, multicast or broadcast "
				   "addresses (got 239.0.0.0/24)\n"},
		{"loopback inside", ADDRESSES("126.0.0.0-128.0.0.1"),
			AT_ADDRESS "must not hold unspecified, loopback, multicast or broadcast "
				   "addresses (got 126.0.0.0-128.0.0.1)\n"},
		{"everything", ADDRESSES("0.0.0.0/0"),
			AT_ADDRESS "must not hold unspecified, loopback, multicast or broadcast "
				   "addresses (got 0.0.0.0/0)\n"},
		{"empty", ADDRESSES(""),
			"f:3:30: pools[0].addresses: must have at least one CIDR or range (got "
			"none)\n"},
		{"all of them", ADDRESSES("10.0.0.9-10.0.0.1, 10.0.0.0/24, x"),
			AT_ADDRESS "must begin with the lower address (got 10.0.0.9-10.0.0.1)\n"
				   "f:3:63: pools[0].addresses[2]: must be made of IPv4 or IPv6 "
				   "addresses (got x)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

static void test_errors_overlap(void)
{
	static const struct bad rows[] = {
		{"two pools",
			NATIVE "pools:\n- {name: a, addresses: [10.0.0.0/24]}\n"
			       "- {name: b, addresses: [10.0.1.0/24, 10.0.0.200-10.0.0.210]}\n",
			"f:5:38: pools[1].addresses[1]: must not overlap 10.0.0.0/24 of pool a at "
			"f:4 (got 10.0.0.200-10.0.0.210)\n"},
		{"the later is the larger",
			NATIVE "pools:\n- {name: a, addresses: [10.0.0.8/32]}\n"
			       "- {name: b, addresses: [10.0.0.0/24]}\n",
			"f:5:25: pools[1].addresses[0]: must not overlap 10.0.0.8 of pool a at f:4 "
			"(got 10.0.0.0/24)\n"},
		{"inside one",
			NATIVE "pools:\n- name: a\n  addresses:\n  - 10.0.0.0/24\n  - "
			       "10.0.0.255-10.0.1.9\n",
			"f:7:5: pools[0].addresses[1]: must not overlap 10.0.0.0/24 of pool a at "
			"f:6 (got 10.0.0.255-10.0.1.9)\n"},
		{"a far one",
			NATIVE "pools:\n- {name: a, addresses: [10.0.0.0/8, 10.1.0.0/32]}\n"
			       "- {name: b, addresses: [10.2.0.0/32]}\n",
			"f:4:37: pools[0].addresses[1]: must not overlap 10.0.0.0/8 of pool a at "
			"f:4 (got 10.1.0.0)\n"
			"f:5:25: pools[1].addresses[0]: must not overlap 10.0.0.0/8 of pool a at "
			"f:4 (got 10.2.0.0)\n"},
		{"IPv6",
			NATIVE "pools:\n- {name: a, addresses: [\"fd00::/64\"]}\n"
			       "- {name: b, addresses: [\"fd00::1-fd00::2\"]}\n",
			"f:5:25: pools[1].addresses[0]: must not overlap fd00::/64 of pool a at "
			"f:4 "
			"(got fd00::1-fd00::2)\n"},
		{"two dialects",
			POOL "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n"
			     "metadata: {name: b}\nspec: {addresses: [10.0.0.1-10.0.0.2]}\n"
			     "---\napiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\n"
			     "metadata: {name: c}\nspec: {address: 10.0.0.9}\n",
			"f:8:20: IPAddressPool/b: spec.addresses[0]: must not overlap 10.0.0.0/24 "
			"of pool a at f:3 (got 10.0.0.1-10.0.0.2)\n"
			"f:13:17: Eip/c: spec.address: must not overlap 10.0.0.0/24 of pool a at "
			"f:3 (got 10.0.0.9)\n"},
		{"duplicate name",
			NATIVE "pools:\n- {name: a, addresses: [10.0.0.0/24]}\n"
			       "- {name: a, addresses: [10.0.1.0/24]}\n",
			"f:5:10: pools[1].name: must be given once, f:4 has it (got a)\n"},
		{"duplicate name of an object",
			POOL "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n"
			     "metadata: {name: a}\nspec: {addresses: [10.1.0.0/24]}\n",
			"f:7:18: IPAddressPool/a: metadata.name: must be given once, f:3 has it "
			"(got a)\n"},
		{"duplicate name in a List",
			"apiVersion: v1\nkind: List\nitems:\n"
			"- {apiVersion: metallb.io/v1beta1, kind: BFDProfile, metadata: {name: "
			"a}}\n"
			"- {apiVersion: metallb.io/v1beta1, kind: BFDProfile, metadata: {name: a}, "
			"spec: {}}\n",
			"f:5:71: BFDProfile/a: items[1].metadata.name: must be given once, f:4 has "
			"it (got a)\n"},
		{"duplicate name of three dialects",
			POOL "---\naddress-pools: [{name: a, protocol: layer2, addresses: "
			     "[10.1.0.0/24]}]\n---\napiVersion: network.kubesphere.io/v1alpha2\n"
			     "kind: Eip\nmetadata: {name: a}\nspec: {address: 10.2.0.1}\n---\n"
			     "apiVersion: metallb.io/v1beta1\nkind: AddressPool\nmetadata: "
			     "{name: a}\nspec: {protocol: layer2, addresses: [10.3.0.0/24]}\n",
			"f:5:24: address-pools[0].name: must be given once, f:3 has it (got a)\n"
			"f:9:18: Eip/a: metadata.name: must be given once, f:3 has it (got a)\n"
			"f:14:18: AddressPool/a: metadata.name: must be given once, f:3 has it "
			"(got "
			"a)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

static void test_errors_peers(void)
{
#define BAD_PEER(fields) POOL "peers:\n- {name: p, " fields "}\n"
#define AT_PEER          "f:5:3: peers[0]."
	static const struct bad rows[] = {
		{"ASN", BAD_PEER("myASN: 0, peerASN: 4294967296, peerAddress: 10.0.0.1"),
			"f:5:20: peers[0].myASN: must be a whole number 1..4294967295 (got 0)\n"
			"f:5:32: peers[0].peerASN: must be a whole number 0..4294967295 (got "
			"4294967296)\n"},
		{"no ASN, no address", BAD_PEER("myASN: 1"),
			AT_PEER "peerASN: must be given, or dynamicASN (got neither)\n" AT_PEER
				"peerAddress: must be given, or interface (got neither)\n"},
		{"two of each",
			BAD_PEER("myASN: 1, peerASN: 2, dynamicASN: external, peerAddress: "
				 "10.0.0.1, "
				 "interface: eth0"),
			"f:5:47: peers[0].dynamicASN: must not be given with peerASN (got both)\n"
			"f:5:91: peers[0].interface: must not be given with peerAddress (got "
			"both)\n"},
		{"hold time", POOL "peers:\n- " PEER ", holdTime: 2s}\n",
			"f:5:76: peers[0].holdTime: must be 0 or 3s..65535s (got 2s)\n"},
		{"keepalive", POOL "peers:\n- " PEER ", holdTime: 9s, keepaliveTime: 10s}\n",
			"f:5:95: peers[0].keepaliveTime: must not be longer than holdTime, 9s (got "
			"10s)\n"},
		{"keepalive alone", POOL "peers:\n- " PEER ", keepaliveTime: 500ms}\n",
			"f:5:81: peers[0].keepaliveTime: must be 1s..21845s when holdTime is not "
			"given (got 500ms)\n"},
		{"connect time", POOL "peers:\n- " PEER ", connectTime: 1500ms}\n",
			"f:5:79: peers[0].connectTime: must be 1s..65535s (got 1500ms, not whole "
			"seconds)\n"},
		{"passwords", POOL "peers:\n- " PEER ", password: x, passwordFile: /x}\n",
			"f:5:93: peers[0].passwordFile: must be the only one of password, "
			"passwordSecret, passwordFile (got several)\n"},
		{"password is not shown", POOL "peers:\n- " PEER ", password: 4711}\n",
			"f:5:76: peers[0].password: must be a string of at most 80 characters (got "
			"something not shown, not a string: put it in quotes)\n"},
		{"secret", POOL "peers:\n- " PEER ", passwordSecret: {namespace: x}}\n",
			"f:5:82: peers[0].passwordSecret: must have a name (got none)\n"},
		{"router ID", POOL "peers:\n- " PEER ", routerID: \"::1\"}\n",
			"f:5:76: peers[0].routerID: must be an IPv4 address (got ::1)\n"},
		{"source", POOL "peers:\n- " PEER ", sourceAddress: \"fd00::1\"}\n",
			"f:5:81: peers[0].sourceAddress: must be of the family of the peer's "
			"address (got fd00::1)\n"},
		{"multi-hop of our own AS",
			BAD_PEER("myASN: 1, peerASN: 1, peerAddress: 10.0.0.1, ebgpMultiHop: true"),
			"f:5:72: peers[0].ebgpMultiHop: must not be true for a peer of our own AS "
			"(got true)\n"},
		{"multi-hop and GTSM",
			POOL "peers:\n- " PEER ", ebgpMultiHop: true, ttlSecurity: 2}\n",
			"f:5:99: peers[0].ttlSecurity: must be 0 with ebgpMultiHop: say the hops "
			"here alone (got 2)\n"},
		{"BFD profile", POOL "peers:\n- " PEER ", bfdProfile: fast}\n",
			"f:5:78: peers[0].bfdProfile: must be the name of a BFD profile (got "
			"fast)\n"},
		{"BFD values",
			NATIVE "bfdProfiles: [{name: x, receiveInterval: 9, minimumTtl: 255}]\n",
			"f:3:42: bfdProfiles[0].receiveInterval: must be a whole number 10..60000 "
			"(got 9)\n"
			"f:3:57: bfdProfiles[0].minimumTtl: must be a whole number 1..254 (got "
			"255)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

static void test_errors_advertisements(void)
{
	static const struct bad rows[] = {
		{"aggregation", POOL "bgpAdvertisements: [{name: x, aggregationLength: 23}]\n",
			"f:4:50: bgpAdvertisements[0].aggregationLength: must be at least 24, a "
			"prefix of pool a (got 23)\n"},
		{"aggregation of a range",
			NATIVE "pools: [{name: a, addresses: [10.0.0.1-10.0.0.6]}]\n"
			       "bgpAdvertisements: [{name: x, aggregationLength: 30}]\n",
			"f:4:50: bgpAdvertisements[0].aggregationLength: must be at least 31, a "
			"prefix of pool a (got 30)\n"},
		{"aggregation with selectors",
			POOL "bgpAdvertisements: [{name: x, aggregationLength: 24, "
			     "serviceSelectors: [{}]}]\n",
			"f:4:50: bgpAdvertisements[0].aggregationLength: must be 32 with "
			"serviceSelectors (got 24)\n"},
		{"community",
			POOL "bgpAdvertisements: [{name: x, communities: [\"1:65536\", a, "
			     "\"large:1:2\", \"1:2\", \"large:1:2:3\"]}]\n",
			"f:4:45: bgpAdvertisements[0].communities[0]: must be a:b, large:a:b:c or "
			"the name of a community (got 1:65536)\n"
			"f:4:56: bgpAdvertisements[0].communities[1]: must be a:b, large:a:b:c or "
			"the name of a community (got a)\n"
			"f:4:59: bgpAdvertisements[0].communities[2]: must be a:b, large:a:b:c or "
			"the name of a community (got large:1:2)\n"},
		{"localPref", POOL "bgpAdvertisements:\n- {name: x, localPref: 100}\n- {name: y}\n",
			"f:6:3: bgpAdvertisements[1].localPref: must be 100, as f:5 has it for the "
			"same routes of pool a (got 0)\n"},
		{"localPref, for a peer in common",
			POOL "bgpAdvertisements:\n- {name: x, localPref: 1, peers: [p, q]}\n"
			     "- {name: y, localPref: 2, peers: [r]}\n"
			     "- {name: z, localPref: 3, peers: [s, q]}\n",
			"f:7:24: bgpAdvertisements[2].localPref: must be 1, as f:5 has it for the "
			"same routes of pool a (got 3)\n"},
		{"localPref, the same nodes",
			POOL "bgpAdvertisements:\n"
			     "- {name: x, localPref: 1, nodeSelectors: [{matchLabels: {a: b}}]}\n"
			     "- {name: y, localPref: 2, nodeSelectors: [{matchLabels: {a: c}}]}\n"
			     "- {name: z, localPref: 3, nodeSelectors: [{matchLabels: {a: b}}]}\n",
			"f:7:24: bgpAdvertisements[2].localPref: must be 1, as f:5 has it for the "
			"same routes of pool a (got 3)\n"},
		{"localPref of the ConfigMap",
			"address-pools:\n- name: a\n  protocol: bgp\n  addresses: [10.0.0.0/24]\n"
			"  bgp-advertisements:\n  - localpref: 1\n  - aggregation-length: 24\n"
			"  - localpref: 2\n",
			"f:8:16: address-pools[0].bgp-advertisements[2].localpref: must be 1, as "
			"f:6 has it for the same routes of pool a (got 2)\n"},
		{"given twice",
			POOL
			"bgpAdvertisements: [{name: x, ipAddressPools: [a, b, a], peers: [p, p], "
			"communities: [\"1:2\", \"1:2\"]}]\n"
			"l2Advertisements: [{name: x, nodeSelectors: [{matchExpressions: [{key: "
			"a, operator: In, values: [b, b]}]}], interfaces: [e, e]}]\n",
			"f:4:54: bgpAdvertisements[0].ipAddressPools[2]: must be given once, [0] "
			"is "
			"the same (got a)\n"
			"f:4:69: bgpAdvertisements[0].peers[1]: must be given once, [0] is the "
			"same "
			"(got p)\n"
			"f:4:94: bgpAdvertisements[0].communities[1]: must be given once, [0] is "
			"the same (got 1:2)\n"
			"f:5:101: "
			"l2Advertisements[0].nodeSelectors[0].matchExpressions[0].values[1]"
			": must be given once, [0] is the same (got b)\n"},
		{"a selector given twice, however it is written",
			POOL
			"l2Advertisements: [{name: x, nodeSelectors: [{}, {matchLabels: {a: b}}, "
			"{matchLabels: {a: b}, matchExpressions: []}, {matchLabels: {}}, "
			"{matchLabels: {a: c}}]}]\n",
			"f:4:73: l2Advertisements[0].nodeSelectors[2]: must be given once, [1] is "
			"the same\n"},
		{"community value", POOL "communities: [{name: x, value: \"1\"}]\n",
			"f:4:32: communities[0].value: must be a:b or large:a:b:c (got 1)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

static void test_errors_elections(void)
{
	static const struct bad rows[] = {
		{"node lease", NATIVE "elections: {nodeLease: {duration: 15s}}\n",
			"f:3:35: elections.nodeLease.duration: must be at least twice renew, 20s "
			"(got 15s)\n"},
		{"leader lease",
			NATIVE "elections: {leaderLease: {duration: 10s, renewDeadline: 10s, "
			       "retryPeriod: 9s}}\n",
			"f:3:57: elections.leaderLease.renewDeadline: must be shorter than "
			"duration, 10s (got 10s)\n"
			"f:3:75: elections.leaderLease.retryPeriod: must be shorter than "
			"renewDeadline / 1.2, 8333ms (got 9s)\n"},
		{"leader lease, exactly 1.2",
			NATIVE "elections: {leaderLease: {renewDeadline: 6s, retryPeriod: 5s}}\n",
			"f:3:59: elections.leaderLease.retryPeriod: must be shorter than "
			"renewDeadline / 1.2, 5s (got 5s)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

#define OPENELB(kind, name, spec)                                                                  \
	"---\napiVersion: network.kubesphere.io/v1alpha2\nkind: " kind "\nmetadata: {name: " name  \
	"}\nspec: {" spec "}\n"
#define OPENELB_CONF   OPENELB("BgpConf", "default", "as: 7")
#define BGP_PEER(more) OPENELB_CONF OPENELB("BgpPeer", "p", "conf: {peerAs: 8" more)

static void test_errors_openelb(void)
{
	static const struct bad rows[] = {
		{"BgpConf",
			OPENELB("BgpConf", "default",
				"asPerRack: {a: 1, b: x, c: 4294967296}, routerId: \"::1\", "
				"policys: 1"),
			"f:5:65: BgpConf/default: spec.policys: unknown key, did you mean policy?\n"
			"f:5:7: BgpConf/default: spec.as: must be a whole number 1..4294967295 "
			"(got "
			"nothing)\n"
			"f:5:58: BgpConf/default: spec.routerId: must be an IPv4 address (got "
			"::1)\n"
			"f:5:29: BgpConf/default: spec.asPerRack.b: must be a whole number "
			"1..4294967295 (got x)\n"
			"f:5:35: BgpConf/default: spec.asPerRack.c: must be a whole number "
			"1..4294967295 (got 4294967296)\n"},
		{"BgpConf twice", OPENELB_CONF OPENELB_CONF,
			"f:7:1: BgpConf/default: spec: must be given once, f:2 has it\n"},
		{"BgpConf without a spec",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: BgpConf\n"
			"metadata: {name: default}\n",
			"f:1:1: BgpConf/default: spec: must be a map (got nothing)\n"},
		{"no address", BGP_PEER("}"),
			"f:10:14: BgpPeer/p: spec.conf.neighborAddress: must be given, or "
			"neighborInterface (got neither)\n"},
		{"two addresses", BGP_PEER(", neighborAddress: 10.0.0.1, neighborInterface: e}"),
			"f:10:72: BgpPeer/p: spec.conf.neighborInterface: must not be given with "
			"neighborAddress (got both)\n"},
		{"timers",
			BGP_PEER(", neighborAddress: 10.0.0.1}, timers: {config: {holdTime: \"2\", "
				 "keepaliveInterval: 90s, connectRetry: \"65536\"}}"),
			"f:10:82: BgpPeer/p: spec.timers.config.holdTime: must be a number of "
			"seconds, 0 or 3..65535 (got 2)\n"
			"f:10:106: BgpPeer/p: spec.timers.config.keepaliveInterval: must be a "
			"number of seconds, 0 or 1..65535 (got 90s)\n"
			"f:10:125: BgpPeer/p: spec.timers.config.connectRetry: must be a number of "
			"seconds, 0 or 1..65535 (got 65536)\n"},
		{"keepalive over hold",
			BGP_PEER(", neighborAddress: 10.0.0.1}, timers: {config: {holdTime: \"9\", "
				 "keepaliveInterval: \"10\"}}"),
			"f:10:106: BgpPeer/p: spec.timers.config.keepaliveInterval: must not be "
			"longer than holdTime, 9 (got 10)\n"},
		{"unknown keys, wrong types",
			BGP_PEER(
				", neighborAdress: 10.0.0.1, authPassword: 5}, afiSafis: [{config: "
				"{family: {afi: 1}}}], nodeSelectors: []"),
			"f:10:26: BgpPeer/p: spec.conf.neighborAdress: unknown key, did you mean "
			"neighborAddress?\n"
			"f:10:66: BgpPeer/p: spec.conf.authPassword: must be a string of at most "
			"80 "
			"characters (got something not shown, not a string: put it in quotes)\n"
			"f:10:105: BgpPeer/p: spec.afiSafis[0].config.family.afi: must be a string "
			"of at most 1024 characters (got 1, not a string: put it in quotes)\n"
			"f:10:112: BgpPeer/p: spec.nodeSelectors: unknown key, did you mean "
			"nodeSelector?\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

#define CM "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata:\n"

static void test_errors_dialects(void)
{
	static const struct bad rows[] = {
		{"ConfigMap, the outer file's line and column",
			CM "  config: |\n    address-pools:\n    - name: x\n"
			   "      protocol: layer3\n      addresses: [10.0.0.1]\n",
			"f:8:17: ConfigMap/config: address-pools[0].protocol: must be layer2 or "
			"bgp "
			"(got layer3, did you mean layer2?)\n"
			"f:9:19: ConfigMap/config: address-pools[0].addresses[0]: must be a CIDR "
			"like 10.0.0.0/24 or a range like 10.0.0.1-10.0.0.9 (got 10.0.0.1)\n"},
		{"ConfigMap, syntax", CM "  config: |\n    peers:\n    - a: [\n",
			"f:8:5: ConfigMap/config: did not find expected node content while parsing "
			"a flow node\n"},
		{"ConfigMap, no literal block", CM "  config: \"address-pool: []\"\n",
			"f:5:11: ConfigMap/config: address-pool: unknown key, did you mean "
			"address-pools?\n"},
		{"ConfigMap, camel case",
			CM "  config: |\n    address-pools:\n    - {name: x, protocol: bgp, "
			   "addresses: [10.0.0.0/24], avoidBuggyIPs: true}\n",
			"f:7:58: ConfigMap/config: address-pools[0].avoidBuggyIPs: unknown key, "
			"did you mean avoid-buggy-ips?\n"},
		{"ConfigMap, a newer field",
			CM "  config: |\n    address-pools:\n    - {name: x, protocol: bgp, "
			   "addresses: [10.0.0.0/24], service-allocation: {}}\n",
			"f:7:58: ConfigMap/config: address-pools[0].service-allocation: unknown "
			"key\n"},
		{"bare text", "address-pools: []\npeer-autodiscovery: {}\npeer: []\n",
			"f:2:1: peer-autodiscovery: is not supported: list the peers in peers\n"
			"f:3:1: peer: unknown key, did you mean peers?\n"},
		{"layer2 with bgp-advertisements",
			"address-pools:\n- {name: x, protocol: layer2, addresses: [10.0.0.0/24], "
			"bgp-advertisements: [{localpref: 1}]}\n",
			"f:2:77: address-pools[0].bgp-advertisements: must not be given with "
			"protocol layer2 (got a list)\n"},
		{"kebab path",
			"peers:\n- {my-asn: 1, peer-asn: 2, peer-address: x, ebgp-multihop: 1}\n",
			"f:2:42: peers[0].peer-address: must be an IPv4 or IPv6 address (got x)\n"
			"f:2:60: peers[0].ebgp-multihop: must be true or false (got 1)\n"},
		{"CR kind", "apiVersion: metallb.io/v1beta1\nkind: IPAdressPool\n",
			"f:2:7: kind: unknown kind, did you mean IPAddressPool? (got "
			"IPAdressPool)\n"},
		{"CR version",
			"apiVersion: metallb.io/v1\nkind: IPAddressPool\nmetadata: {name: "
			"a}\nspec: {addresses: [10.0.0.0/24]}\n",
			"f:1:13: apiVersion: must be metallb.io/v1beta1 or metallb.io/v1beta2 (got "
			"metallb.io/v1)\n"},
		{"CR without name or spec", "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n",
			"f:1:1: IPAddressPool/: metadata.name: must be a name (got nothing)\n"
			"f:1:1: IPAddressPool/: spec: must be a map (got nothing)\n"},
		{"objects without a name, the rest of them",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: 5}\n"
			"spec: {addresses: [x]}\n---\napiVersion: metallb.io/v1beta1\n"
			"kind: AddressPool\nspec: {protocol: l2, addresses: [10.0.0.0/24]}\n---\n"
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {}\n"
			"spec: {address: y}\n",
			"f:3:18: IPAddressPool/: metadata.name: must be a name (got 5)\n"
			"f:4:20: IPAddressPool/: spec.addresses[0]: must be a CIDR like "
			"10.0.0.0/24 "
			"or a range like 10.0.0.1-10.0.0.9 (got x)\n"
			"f:6:1: AddressPool/: metadata.name: must be a name (got nothing)\n"
			"f:8:18: AddressPool/: spec.protocol: must be layer2 or bgp (got l2)\n"
			"f:12:11: Eip/: metadata.name: must be a name (got nothing)\n"
			"f:13:17: Eip/: spec.address: must be made of IPv4 or IPv6 addresses (got "
			"y)\n"},
		{"a kind of ours, the version a slip",
			"apiVersion: metalb.io/v1beta1\nkind: IPAddressPool\n---\n"
			"apiVersion: v1beta2\nkind: BGPPeer\n---\n"
			"apiVersion: v1\nkind: Config\n---\n"
			"apiVersion: networks.kubesphere.io/v1alpha2\nkind: Eip\n",
			"f:1:13: apiVersion: must be metallb.io/v1beta1 for kind IPAddressPool "
			"(got "
			"metalb.io/v1beta1)\n"
			"f:4:13: apiVersion: must be metallb.io/v1beta2 for kind BGPPeer (got "
			"v1beta2)\n"
			"f:7:13: apiVersion: must be lbd.io/v1 for kind Config (got v1)\n"
			"f:10:13: apiVersion: must be network.kubesphere.io/v1alpha2 for kind Eip "
			"(got networks.kubesphere.io/v1alpha2)\n"},
		{"ConfigMap, config is no text", CM "  config: {peers: []}\n",
			"f:5:11: ConfigMap/config: data.config: must be text: put | behind config: "
			"(got a map)\n"},
		{"CR, a quoted bool",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\n"
			"spec: {addresses: [10.0.0.0/24], autoAssign: \"no\"}\n",
			"f:4:46: IPAddressPool/a: spec.autoAssign: must be true or false (got no, "
			"a "
			"string)\n"},
		{"CR without spec",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: "
			"a}\n",
			"f:1:1: IPAddressPool/a: spec: must be a map (got nothing)\n"},
		{"CR keys",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a, "
			"anotations: {}}\nspecs: {}\nspec: {addresses: [10.0.0.0/24], reuseDelay: "
			"5s}\n",
			"f:4:1: IPAddressPool/a: specs: unknown key, did you mean spec?\n"
			"f:3:21: IPAddressPool/a: metadata.anotations: unknown key, did you mean "
			"annotations?\n"
			"f:5:34: IPAddressPool/a: spec.reuseDelay: unknown key: only apiVersion "
			"lbd.io/v1, kind Config has it\n"},
		{"list",
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: metallb.io/v1beta1\n"
			"  kind: IPAddressPool\n  metadata: {name: a}\n  spec: {addresses: [x]}\n",
			"f:7:22: IPAddressPool/a: items[0].spec.addresses[0]: must be a CIDR like "
			"10.0.0.0/24 or a range like 10.0.0.1-10.0.0.9 (got x)\n"},
		{"an Eip's interface that is none",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.9, protocol: layer2, interface: \"eth [q0\"}\n",
			"f:4:56: Eip/e: spec.interface: must be an interface's name, or can_reach: "
			"and an address, of at most 64 characters (got \"eth [q0\")\n"},
		{"Eip",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.9-10.0.0.1, protocol: l2}\n",
			"f:4:46: Eip/e: spec.protocol: must be bgp, layer2 or vip (got l2)\n"},
		{"Eip address",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.9-10.0.0.1}\n",
			"f:4:17: Eip/e: spec.address: must begin with the lower address (got "
			"10.0.0.9-10.0.0.1)\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

/* A document that does not parse costs only itself. */
static void test_errors_syntax(void)
{
	static const struct bad rows[] = {
		{"the first", "a: [\n---\n" NATIVE "x: 1\n",
			"f:2:1: did not find expected node content while parsing a flow node\n"
			"f:5:1: x: unknown key\n"},
		{"the middle", NATIVE "x: 1\n---\na: 'b\n---\n" NATIVE "y: 1\n",
			"f:6:1: found unexpected document indicator while scanning a quoted scalar "
			"that begins at line 5\n"
			"f:3:1: x: unknown key\nf:9:1: y: unknown key\n"},
		{"two", "a: [\n---\n" NATIVE "x: 1\n---\na: ]\n",
			"f:2:1: did not find expected node content while parsing a flow node\n"
			"f:7:4: did not find expected node content while parsing a block node\n"
			"f:5:1: x: unknown key\n"},
		{"NUL and others", NATIVE "x: \x01\n",
			"f:3:4: control characters are not allowed\n"},
		{"UTF-8", NATIVE "x: \xff\n", "f:3:4: invalid leading UTF-8 octet\n"},
		{"UTF-16",
			"\xff\xfe"
			"a",
			"f:1:1: invalid leading UTF-8 octet\n"},
	};

	check_bad(rows, ARRAY_LEN(rows));
}

/* -- warnings -- */

static void test_warnings(void)
{
	static const struct {
		const char *name, *in, *want;
	} rows[] = {
		{"none", POOL, ""},
		{"empty", "", ""},
		{"BOM, CRLF",
			"\xef\xbb\xbf"
			"apiVersion: lbd.io/v1\r\nkind: Config\r\n",
			""},
		{"host bits", NATIVE "pools: [{name: a, addresses: [10.0.0.7/24]}]\n",
			"f:3:31: pools[0].addresses[0]: has bits set behind its prefix: read as "
			"10.0.0.0/24 (got 10.0.0.7/24)\n"},
		{"unknown pool", POOL "l2Advertisements: [{name: x, ipAddressPools: [a, b]}]\n",
			"f:4:50: l2Advertisements[0].ipAddressPools[1]: no such pool, it selects "
			"nothing (got b)\n"},
		{"unknown peer", POOL "bgpAdvertisements: [{name: x, peers: [b]}]\n",
			"f:4:39: bgpAdvertisements[0].peers[0]: no such peer, it selects nothing "
			"(got b)\n"},
		{"BFD's echo", POOL "bfdProfiles: [{name: x, echoMode: true}]\nl2Advertisements: [{name: x}]\n",
			"f:4:35: bfdProfiles[0].echoMode: is refused to the peer: its packets alone "
			"tell whether it is there (got true)\n"},
		{"localPref of different routes, peers, nodes, Services",
			POOL "bgpAdvertisements:\n- {name: a, localPref: 1, peers: [p]}\n"
			     "- {name: b, localPref: 2, aggregationLength: 24, peers: [p]}\n"
			     "- {name: c, localPref: 3, peers: [q], nodeSelectors: [{matchLabels: "
			     "{a: b}}]}\n"
			     "- {name: d, localPref: 4, peers: [q], nodeSelectors: [{matchLabels: "
			     "{a: c}}]}\n"
			     "- {name: e, localPref: 5, serviceSelectors: [{}]}\n"
			     "- {name: f, localPref: 6, ipAddressPoolSelectors: [{matchLabels: {a: "
			     "b}}]}\npeers: [" PEER "}, {name: q, myASN: 1, peerASN: 2, "
			     "peerAddress: 10.0.0.2}]\n",
			""},
		{"not announced", POOL "l2Advertisements: []\n",
			"f:3:9: pools[0]: no advertisement selects this pool: its addresses are "
			"given, not announced\n"},
		{"not announced, MetalLB",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\n"
			"spec: {addresses: [10.0.0.0/24]}\n",
			"f:4:7: IPAddressPool/a: spec: no advertisement selects this pool: its "
			"addresses are given, not announced\n"},
		{"not yet",
			NATIVE "servicelb: {mode: never}\npools: [{name: a, "
			       "addresses: [10.0.0.0/24], conflictDetection: true}]\n"
			       "l2Advertisements: [{name: x, bindAddress: true}]\n",
			"f:4:64: checked, but not served by this version: "
			"pools.conflictDetection\n"},
		{"servicelb mode beside pools",
			NATIVE "servicelb: {mode: always}\npools:\n- {name: a, addresses: "
			       "[10.0.0.0/24]}\n- {name: b, addresses: [10.0.1.0/24]}\n",
			"f:5:3: pools[0]: pools are not used: servicelb.mode is always, Services "
			"get "
			"the nodes' own addresses\n"},
		{"servicelb mode", NATIVE "servicelb: {mode: always}\n", ""},
		{"what decides who and when",
			NATIVE "elections: {failback: true, rebalance: true, holdDown: 9s, "
			       "witness: [10.0.0.1, \"fd00::1\"], drainOnCordon: true}\n"
			       "pools: [{name: a, addresses: [10.0.0.0/24]}]\n",
			""},
		{"not yet, but the default",
			NATIVE "configFrom: file\nservicelb: {mode: auto}\nmetrics: {port: 7472}\n"
			       "peers: []\npools: [{name: a, addresses: [10.0.0.0/24], "
			       "conflictDetection: false}]\n",
			""},
		{"other objects",
			"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: x}\n---\n"
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\n",
			"f:1:1: DaemonSet/x: is not configuration, ignored\n"
			"f:5:1: ConfigMap/y: has no data.config, ignored\n"},
		{"another's object of a kind of ours",
			"apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: x}\n",
			"f:1:1: BGPPeer/x: is not configuration, ignored\n"},
		{"MetalLB's operator",
			"apiVersion: metallb.io/v1beta1\nkind: MetalLB\nmetadata: {name: "
			"metallb}\n",
			"f:1:1: MetalLB/metallb: is the MetalLB operator's, not configuration: "
			"ignored\n"},
		{"MetalLB's state", "apiVersion: metallb.io/v1beta1\nkind: ServiceL2Status\n",
			"f:1:1: ServiceL2Status/: is MetalLB's state, not configuration: "
			"ignored\n"},
		{"Eip",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.9, protocol: layer2, disable: true, interface: "
			"\"can_reach:10.0.0.1\"}\n---\napiVersion: network.kubesphere.io/v1alpha2\n"
			"kind: BgpConf\nmetadata: {name: other}\nspec: {as: 1}\n---\n"
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: BgpPeer\n"
			"metadata: {name: p}\nspec: {conf: {peerAs: 1, neighborAddress: 10.0.0.1, "
			"adminDown: true}}\n---\n"
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: BgpPeer\n"
			"metadata: {name: q}\nspec: {conf: {peerAs: 1, neighborAddress: "
			"10.0.0.1}}\n",
			"f:6:1: BgpConf/other: only the one named default is read: ignored\n"
			"f:11:1: BgpPeer/p: has adminDown: ignored\n"
			"f:19:7: BgpPeer/q: there is no BgpConf named default to give our AS: "
			"ignored\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_report report;
		struct config *c = NULL;

		check_row = rows[i].name;
		CHECK_INT(parse("f", rows[i].in, strlen(rows[i].in), &c, &report), 0);
		CHECK_STR(text_of(&report.errors), "");
		CHECK_STR(text_of(&report.warnings), rows[i].want);
		config_report_free(&report);
		config_free(c);
	}
}

/* -- what comes out: lines of the canonical text -- */

static void test_values(void)
{
	static const struct {
		const char *name, *in, *want;
	} rows[] = {
		{"duration", NATIVE "elections: {holdDown: 1m2.5s}\n", "holdDown: 62500ms"},
		{"duration zero", NATIVE "elections: {reannounce: 0}\n", "reannounce: 0s"},
		{"duration micro", NATIVE "elections: {holdDown: 2000us}\n", "holdDown: 2ms"},
		{"duration hour", NATIVE "elections: {holdDown: 60m}\n", "holdDown: 1h"},
		{"the lab's leases",
			NATIVE "elections: {nodeLease: {duration: 3s, renew: 750ms}, leaderLease: "
			       "{duration: 2s, renewDeadline: 1.3s, retryPeriod: 400ms}}\n",
			"  nodeLease: {duration: 3s, renew: 750ms}\n"
			"  leaderLease: {duration: 2s, renewDeadline: 1300ms, retryPeriod: "
			"400ms}\n"},
		{"share", NATIVE "elections: {maxShare: 1.1}\n", "maxShare: 1.1\n"},
		{"share off", NATIVE "elections: {maxShare: 0}\n", "maxShare: 0\n"},
		{"share of dialect 1", POOL, "maxShare: 1.25\n"},
		{"share of MetalLB",
			POOL "---\naddress-pools: [{name: x, protocol: layer2, "
			     "addresses: [10.1.0.0/24]}]\n",
			"maxShare: 0\n"},
		{"share given beside MetalLB",
			NATIVE "elections: {maxShare: 2}\n---\naddress-pools: [{name: x, protocol: "
			       "layer2, addresses: [10.1.0.0/24]}]\n",
			"maxShare: 2\n"},
		{"default advertisement", POOL,
			"l2Advertisements:\n- name: default\n  "
			"ipAddressPools: []\n"},
		{"default advertisement beside MetalLB's pools",
			POOL "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: "
			     "{name: b}\nspec: {addresses: [10.1.0.0/24]}\n",
			"- name: default\n  ipAddressPools: [a]\n"},
		{"no default advertisement", POOL "bgpAdvertisements: []\n",
			"l2Advertisements: []\n"},
		{"a single address", NATIVE "pools: [{name: a, addresses: [10.0.0.1]}]\n",
			"  - 10.0.0.1\n"},
		{"a range that is a prefix",
			NATIVE "pools: [{name: a, addresses: [10.0.0.0 - 10.0.0.255]}]\n",
			"  - 10.0.0.0/24\n"},
		{"null is not given", NATIVE "pools:\nclassless:\nlog: {level: null}\n",
			"classless: true\npools: []\n"},
		{"exclude nothing", POOL "l2Advertisements: [{name: x, excludeInterfaces: []}]\n",
			"excludeInterfaces: []\n"},
		{"hold alone", NATIVE "peers: [" PEER ", holdTime: 12s}]\n",
			"holdTime: 12s\n  keepaliveTime: 4s\n"},
		{"keepalive alone", NATIVE "peers: [" PEER ", keepaliveTime: 5s}]\n",
			"holdTime: 15s\n  keepaliveTime: 5s\n"},
		{"lists of two documents",
			POOL "---\n" NATIVE "pools: [{name: b, addresses: [10.1.0.0/24]}]\n",
			"- name: b\n"},
		{"pool labels of a CR",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a, "
			"namespace: m, uid: x, resourceVersion: \"1\", creationTimestamp: null, "
			"generation: 2, managedFields: [], labels: {z: \"1\", b: c}, annotations: "
			"{k: v}}\nspec: {addresses: [10.0.0.0/24], autoAssign: false}\nstatus: "
			"{assignedIPv4: 3}\n",
			"  labels: {b: c, z: \"1\"}\n  addresses:\n  - 10.0.0.0/24\n  autoAssign: "
			"false\n"},
		{"AddressPool",
			"apiVersion: metallb.io/v1beta1\nkind: AddressPool\nmetadata: {name: a}\n"
			"spec: {protocol: bgp, addresses: [10.0.0.0/24], bgpAdvertisements: "
			"[{aggregationLength: 24, localPref: 7}]}\n",
			"- name: a\n  ipAddressPools: [a]\n  ipAddressPoolSelectors: []\n  "
			"aggregationLength: 24\n  aggregationLengthV6: 128\n  localPref: 7\n"},
		{"bools of YAML 1.1 in a CR",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\n"
			"spec: {addresses: [10.0.0.0/24], autoAssign: no, avoidBuggyIPs: On}\n",
			"autoAssign: false\n  avoidBuggyIPs: true\n"},
		{"bools of YAML 1.1 in the ConfigMap",
			"address-pools: [{name: a, protocol: bgp, addresses: [10.0.0.0/24], "
			"auto-assign: off}]\n",
			"autoAssign: false\n"},
		{"blanks around a range's ends",
			NATIVE "pools: [{name: a, addresses: [\" 10.0.0.1  -\\t10.0.0.3 \"]}]\n",
			"  - 10.0.0.1-10.0.0.3\n"},
		{"merge key",
			NATIVE "pools:\n- &p {name: a, addresses: [10.0.0.1], autoAssign: false}\n"
			       "- {<<: *p, name: b, addresses: [10.0.0.2]}\n",
			"- name: b\n  addresses:\n  - 10.0.0.2\n  autoAssign: false\n"},
		{"Community",
			"apiVersion: metallb.io/v1beta1\nkind: Community\nmetadata: {name: a}\n"
			"spec: {communities: [{name: x, value: \"1:2\"}]}\n",
			"communities:\n- name: x\n  value: \"1:2\"\n"},
		{"BGPPeer of v1beta1",
			"apiVersion: metallb.io/v1beta1\nkind: BGPPeer\nmetadata: {name: a}\n"
			"spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 30s}\n",
			"- name: a\n  myASN: 1\n  peerASN: 2\n"},
		{"BFDProfile without a field",
			"apiVersion: metallb.io/v1beta1\nkind: BFDProfile\nmetadata: {name: a}\n",
			"- name: a\n  receiveInterval: 300\n"},
		{"a list of objects",
			"apiVersion: metallb.io/v1beta1\nkind: BFDProfileList\nitems:\n- "
			"{apiVersion: "
			"metallb.io/v1beta1, kind: BFDProfile, metadata: {name: q}}\n",
			"bfdProfiles:\n- name: q\n"},
		{"ConfigMap, any scalar is a string",
			"peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, password: "
			"0x10}\n",
			"password: \"0x10\"\n"},
		{"ConfigMap, BFD",
			"peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, bfd-profile: "
			"x}\n"
			"bfd-profiles:\n- {name: x, receive-interval: 50}\n",
			"receiveInterval: 50\n"},
		{"Eip bound to namespaces",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.0/24, priority: 3, namespaces: [a], "
			"namespaceSelector: {k: v}}\n",
			"serviceAllocation: {priority: 4, namespaces: [a], namespaceSelectors: "
			"[{matchLabels: {k: v}}], serviceSelectors: [], autoOnly: true}\n"},
		{"BgpPeer before its BgpConf",
			OPENELB("BgpPeer", "p",
				"conf: {peerAs: 8, neighborAddress: 10.0.0.1}, timers: {config: "
				"{holdTime: \"12\"}}, transport: {remotePort: 1790}, afiSafis: "
				"[{config: {family: {afi: AFI_IP, safi: SAFI_UNICAST}, enabled: "
				"true}, addPaths: {config: {sendMax: 10}}}], gracefulRestart: "
				"{enabled: true}") OPENELB("BgpConf", "default",
				"as: 7, listenPort: 17900, routerId: 10.0.0.9, "
				"families: [65537], asPerRack: {r: 5}"),
			"- name: p\n  myASN: 7\n  peerASN: 8\n  peerAddress: 10.0.0.1\n  peerPort: "
			"1790\n  routerID: 10.0.0.9\n  localASN: 0\n  holdTime: 12s\n  "
			"keepaliveTime: 4s\n  connectTime: 5s\n  ebgpMultiHop: false\n  "
			"enableGracefulRestart: true\n  dualStackAddressFamily: false\n"},
		{"BgpPeer of a rack",
			OPENELB("BgpConf", "default", "as: 7, asPerRack: {r: 5}")
				OPENELB("BgpPeer", "p",
					"conf: {peerAs: 8, neighborInterface: eth1}, nodeSelector: "
					"{matchLabels: {openelb.kubesphere.io/rack: r}}"),
			"  myASN: 5\n  peerASN: 8\n  interface: eth1\n"},
		{"BgpPeer of both families, its own AS, one of ours",
			OPENELB("BgpPeer", "p",
				"conf: {peerAs: 8, localAs: 8, neighborAddress: 10.0.0.1}, "
				"ebgpMultihop: {enabled: true}, afiSafis: [{config: {family: {afi: "
				"AFI_IP}, enabled: true}}, {config: {family: {afi: AFI_IP6}, "
				"enabled: "
				"true}}]"),
			"  ebgpMultiHop: false\n  enableGracefulRestart: false\n  "
			"dualStackAddressFamily: true\n"},
		{"Eip protocol",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.9}\n",
			"bgpAdvertisements:\n- name: e\n"},
		{"Eip vip",
			"apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: "
			"e}\n"
			"spec: {address: 10.0.0.9, protocol: vip}\n",
			"bindAddress: true\n"},
		{"names",
			NATIVE "pools: [{name: \"a: b #\\\"\\\\ \xc3\xa4\xf0\x9f\x98\x80\", "
			       "addresses: [10.0.0.1]}]\n",
			"- name: \"a: b #\\\"\\\\ \\u00e4\\U0001f600\"\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *c, *d;
		struct buf got, again;

		check_row = rows[i].name;
		c = parse_good(rows[i].in);
		if (c == NULL)
			continue;
		got = print(c);
		if (strstr(text_of(&got), rows[i].want) == NULL)
			CHECK_STR(text_of(&got), rows[i].want);
		d = parse_good(text_of(&got));
		if (d != NULL) {
			again = print(d);
			CHECK_STR(text_of(&again), text_of(&got));
			buf_free(&again);
		}
		buf_free(&got);
		config_free(c);
		config_free(d);
	}
}

/* Quoted exactly when some YAML would read it as something else. */
static void test_values_quoting(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"plain", "plain"},
		{"a.b/c", "a.b/c"},
		{"1.2.3.4", "1.2.3.4"},
		{"\"yes\"", "\"yes\""},
		{"\"No\"", "\"No\""},
		{"\"1\"", "\"1\""},
		{"\"1e3\"", "\"1e3\""},
		{"\"0x1f\"", "\"0x1f\""},
		{"\"2001-01-01\"", "\"2001-01-01\""},
		{"\"null\"", "\"null\""},
		{"\"1_0\"", "\"1_0\""},
		{"\"012\"", "\"012\""},
		{"\"1.5\"", "\"1.5\""},
		{"a1", "a1"},
		{"y1", "y1"},
		{"\"y\"", "\"y\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char in[256], want[256];
		struct config *c;
		struct buf got;

		check_row = rows[i].in;
		snprintf(in, sizeof in, NATIVE "loadBalancerClasses: [%s]\n", rows[i].in);
		snprintf(want, sizeof want, "loadBalancerClasses: [%s]\n", rows[i].want);
		c = parse_good(in);
		if (c == NULL)
			continue;
		got = print(c);
		CHECK(strstr(text_of(&got), want) != NULL);
		buf_free(&got);
		config_free(c);
	}
}

/* -- limits -- */

static void test_limits_errors(void)
{
	struct config_report report;
	struct config *c = NULL;
	struct buf in;

	buf_init(&in, 1 << 20);
	buf_adds(&in, NATIVE);
	for (unsigned i = 0; i < 150; i++)
		buf_addf(&in, "x%u: 1\n", i);
	CHECK_INT(parse("f", in.p, in.len, &c, &report), -EINVAL);
	CHECK_INT(report.n_errors, 150);
	CHECK(strstr(text_of(&report.errors), "f:102:1: x99: unknown key\n50 more errors\n") !=
		NULL);
	config_report_free(&report);
	buf_free(&in);
}

static void test_limits_pools(void)
{
	struct config_report report;
	struct config *c = NULL;
	struct buf in;

	buf_init(&in, 1 << 20);
	buf_adds(&in, NATIVE "pools:\n");
	for (unsigned i = 0; i < CONFIG_MAX_POOLS; i++)
		buf_addf(&in, "- {name: p%u, addresses: [10.%u.%u.0/24]}\n", i, i / 256, i % 256);
	CHECK_INT(parse("f", in.p, in.len, &c, &report), 0);
	CHECK(c != NULL && c->n_pools == CONFIG_MAX_POOLS);
	config_report_free(&report);
	config_free(c);
	c = NULL;
	buf_adds(&in, "- {name: one-more, addresses: [11.0.0.0/24]}\n");
	CHECK_INT(parse("f", in.p, in.len, &c, &report), -EINVAL);
	CHECK_STR(text_of(&report.errors),
		"f:1028:3: pools[1024]: one of too many pools, at most 1024\n");
	config_report_free(&report);
	buf_free(&in);
}

static void test_limits_ranges(void)
{
	struct config_report report;
	struct config *c = NULL;
	struct buf in;

	buf_init(&in, 1 << 20);
	buf_adds(&in, NATIVE "pools:\n- name: a\n  addresses:\n");
	for (unsigned i = 0; i <= CONFIG_MAX_RANGES; i++)
		buf_addf(&in, "  - 10.0.%u.%u/32\n", i / 256, i % 256);
	CHECK_INT(parse("f", in.p, in.len, &c, &report), -EINVAL);
	CHECK_STR(text_of(&report.errors),
		"f:6:3: pools[0].addresses: must have at most 4096 items (got 4097)\n");
	config_report_free(&report);
	buf_free(&in);
}

static void test_limits_alias_bomb(void)
{
	static const char bomb[] =
		"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
		"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
		"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
		"g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
	struct config_report report;
	struct config *c = NULL;
	struct buf in;

	buf_init(&in, 1 << 20);
	/* Two: the second finds the limit used up, whatever it holds. */
	buf_addf(&in, "%s---\n%s", bomb, bomb);
	CHECK_INT(parse("f", in.p, in.len, &c, &report), -EINVAL);
	CHECK(strstr(text_of(&report.errors), ": too many values, aliases expanded\n") != NULL);
	CHECK_INT(report.n_errors, 2);
	config_report_free(&report);
	buf_free(&in);
}

static void test_limits_size(void)
{
	struct config_report report;
	struct config *c = NULL;
	struct buf in;

	buf_init(&in, CONFIG_MAX_BYTES + 2);
	while (in.len <= CONFIG_MAX_BYTES)
		buf_addc(&in, '#');
	CHECK_INT(parse("f", in.p, in.len - 1, &c, &report), 0);
	config_report_free(&report);
	config_free(c);
	c = NULL;
	CHECK_INT(parse("f", in.p, in.len, &c, &report), -EINVAL);
	CHECK_STR(text_of(&report.errors), "f:1:1: larger than 4194304 bytes\n");
	config_report_free(&report);
	buf_free(&in);
}

static void test_limits_depth(void)
{
	char text[512] = NATIVE "pools: ";
	struct config_report report;
	struct config *c = NULL;
	size_t n = strlen(text);

	memset(text + n, '[', 100);
	CHECK_INT(parse("f", text, n + 100, &c, &report), -EINVAL);
	CHECK_STR(text_of(&report.errors), "f:3:71: nested too deep\n");
	config_report_free(&report);
}

/* -- servicelb mode -- */

/* What a start means; that a reload keeps to it is reload.c's. */
static void test_servicelb(void)
{
	static const struct {
		const char *name, *text;
		bool active;
	} rows[] = {
		{"an empty file", "", true},
		{"a comment", "# nothing\n", true},
		{"no pool", NATIVE "log: {level: info}\n", true},
		{"an empty list of pools", NATIVE "pools: []\n", true},
		{"a pool", POOL, false},
		{"a pool of MetalLB's",
			"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\n"
			"spec: {addresses: [10.0.0.0/24]}\n",
			false},
		{"an advertisement without a pool",
			"apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: "
			"a}\n",
			true},
		{"pools come from the API", NATIVE "configFrom: cluster\n", false},
		{"always", POOL "servicelb: {mode: always}\n", true},
		{"always, and pools come from the API",
			NATIVE "configFrom: cluster\nservicelb: {mode: always}\n", true},
		{"never", NATIVE "servicelb: {mode: never}\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_report report;
		struct config *c = NULL;

		check_row = rows[i].name;
		CHECK_INT(parse("f", rows[i].text, strlen(rows[i].text), &c, &report), 0);
		if (c != NULL)
			CHECK(c->servicelb_active == rows[i].active);
		config_free(c);
		config_report_free(&report);
	}
}

/* -- sources -- */

static void test_sources_several(void)
{
	static const char a[] = POOL, b[] = NATIVE "pools: [{name: b, addresses: [10.0.0.9]}]\n",
			  broken[] = "x: [";
	const struct config_source src[] = {{"one", a, sizeof a - 1},
		{"two", broken, sizeof broken - 1}, {"three", b, sizeof b - 1}};
	struct config_report report;
	struct config *c = NULL;

	config_report_init(&report);
	CHECK_INT(config_parse(src, 3, &c, &report), -EINVAL);
	CHECK_STR(text_of(&report.errors),
		"two:2:1: did not find expected node content while parsing a flow node\n"
		"three:3:31: pools[0].addresses[0]: must not overlap 10.0.0.0/24 of pool a at one:3 (got "
		"10.0.0.9)\n");
	config_report_free(&report);
	config_report_init(&report);
	CHECK_INT(config_parse(src, 0, &c, &report), 0);
	CHECK_INT(c->n_pools, 0);
	CHECK_INT(c->servicelb, CONFIG_SERVICELB_AUTO);
	config_free(c);
	config_report_free(&report);
}

static void test_sources_marks(void)
{
	struct config *c = parse_good(POOL);

	if (c == NULL)
		return;
	CHECK_STR(c->pools[0].mark.file, "f");
	CHECK_INT(c->pools[0].mark.line, 3);
	CHECK_INT(c->pools[0].mark.column, 9);
	CHECK_INT(c->pools[0].dialect, CONFIG_NATIVE);
	config_free(c);
}

/* Every prefix of the example with every key: no crash, no byte read past its end. */
static void test_sources_every_prefix(void)
{
	struct buf in = read_file("tests/golden/full.yaml");

	for (size_t n = 0; n < in.len; n += 3) {
		struct config_report report;
		struct config *c = NULL;
		int rc = parse("f", in.p, n, &c, &report);

		CHECK(rc == 0 || (rc == -EINVAL && report.n_errors > 0));
		config_report_free(&report);
		config_free(c);
	}
	buf_free(&in);
}

/* -- the hash -- */

static void test_hash(void)
{
	struct config *a = parse_good(NATIVE "peers: [" PEER ", password: one}]\n");
	struct config *b = parse_good(NATIVE "peers: [" PEER ", password: two}]\n");
	struct config *c = parse_good(NATIVE "peers: [" PEER "}]\n");
	struct config *d =
		parse_good(NATIVE "# comment\npeers: [{peerAddress: 10.0.0.1, myASN: 64500, "
				  "peerASN: 64501, name: p}]\n");

	if (a != NULL && b != NULL && c != NULL && d != NULL) {
		CHECK_INT(strlen(a->hash), 16);
		CHECK_INT(strspn(a->hash, "0123456789abcdef"), 16);
		CHECK_STR(a->hash, b->hash); /* a published hash must not tell of passwords */
		CHECK(strcmp(a->hash, c->hash) != 0);
		CHECK_STR(c->hash, d->hash);
	}
	config_free(a);
	config_free(b);
	config_free(c);
	config_free(d);
}

/* -- what the rest asks -- */

static struct addr address(const char *s)
{
	struct addr a = {0, 0};

	CHECK_INT(addr_parse(s, strlen(s), &a), 0);
	return a;
}

static void test_lookups(void)
{
	struct config *c = parse_good(
		NATIVE "pools:\n- {name: a, addresses: [10.0.0.0/24], labels: {zone: x}}\n"
		       "- {name: b, addresses: [10.0.1.0/24, \"fd00::/120\"]}\n"
		       "l2Advertisements:\n- {name: all}\n- {name: by-name, ipAddressPools: [b]}\n"
		       "- {name: by-label, ipAddressPoolSelectors: [{matchLabels: {zone: x}}]}\n"
		       "- {name: both, ipAddressPools: [b], ipAddressPoolSelectors: "
		       "[{matchLabels: {zone: x}}], interfaces: [eth0, \"enp*\"]}\n");
	static const bool want[4][2] = {{true, true}, {false, true}, {true, false}, {true, true}};

	if (c == NULL)
		return;
	CHECK(config_pool_of(c, address("10.0.0.7")) == &c->pools[0]);
	CHECK(config_pool_of(c, address("fd00::7")) == &c->pools[1]);
	CHECK(config_pool_of(c, address("10.0.2.0")) == NULL);
	CHECK(config_pool_named(c, "b") == &c->pools[1]);
	CHECK(config_pool_named(c, "c") == NULL);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 2; k++)
			CHECK_INT(config_l2_selects_pool(&c->l2_advertisements[i], &c->pools[k]),
				want[i][k]);
	CHECK(config_name_matches(&c->l2_advertisements[3].interfaces, "enp3s0"));
	CHECK(config_name_matches(&c->l2_advertisements[3].interfaces, "eth0"));
	CHECK(!config_name_matches(&c->l2_advertisements[3].interfaces, "eth01"));
	CHECK(!config_name_matches(&c->l2_advertisements[0].interfaces, "eth0"));
	CHECK(config_name_matches(&c->l2_advertisements[0].exclude_interfaces, "veth1234"));
	CHECK(config_name_matches(&c->l2_advertisements[0].exclude_interfaces, "lo"));
	CHECK(!config_name_matches(&c->l2_advertisements[0].exclude_interfaces, "eno1"));
	config_free(c);
}

/* For an address whose pool is gone: which of two BGP advertisements? */
static void check_orphans(const char *text, bool first, bool second)
{
	struct config *c = parse_good(text);

	if (c == NULL)
		return;
	CHECK_INT(config_bgp_selects_pool(&c->bgp_advertisements[0], NULL), first);
	CHECK_INT(config_bgp_selects_pool(&c->bgp_advertisements[1], NULL), second);
	config_free(c);
}

#define POOLS NATIVE "pools:\n- {name: p, addresses: [10.0.0.0/24]}\n"
#define NAMED "bgpAdvertisements:\n- {name: a, ipAddressPools: [p]}\n- {name: b"

static void test_orphans(void)
{
	check_orphans(POOLS NAMED "}\n", false, true);
	check_orphans(POOLS NAMED ", ipAddressPools: [p], aggregationLength: 24}\n", true, true);
	check_orphans(POOLS "l2Advertisements:\n- {name: l}\n" NAMED
			    ", ipAddressPools: [p], aggregationLength: 24}\n",
		false, false);
}

CHECK_MAIN("test_config", CHECK_TEST(test_golden), CHECK_TEST(test_orphans), CHECK_TEST(test_errors_types),
	CHECK_TEST(test_errors_keys), CHECK_TEST(test_errors_addresses),
	CHECK_TEST(test_errors_overlap), CHECK_TEST(test_errors_peers),
	CHECK_TEST(test_errors_advertisements), CHECK_TEST(test_errors_elections),
	CHECK_TEST(test_errors_dialects), CHECK_TEST(test_errors_openelb),
	CHECK_TEST(test_errors_syntax), CHECK_TEST(test_warnings), CHECK_TEST(test_values),
	CHECK_TEST(test_values_quoting), CHECK_TEST(test_limits_errors),
	CHECK_TEST(test_limits_pools), CHECK_TEST(test_limits_ranges),
	CHECK_TEST(test_limits_alias_bomb), CHECK_TEST(test_limits_size),
	CHECK_TEST(test_limits_depth), CHECK_TEST(test_servicelb), CHECK_TEST(test_sources_several),
	CHECK_TEST(test_sources_marks), CHECK_TEST(test_sources_every_prefix),
	CHECK_TEST(test_hash), CHECK_TEST(test_lookups))
