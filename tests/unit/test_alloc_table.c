/* SPDX-License-Identifier: Apache-2.0
 *
 * test_alloc_table.c - which pool, which address; addresses that were somebody's before.
 *
 * Every row is from a rule that stands outside of our code; alloc_case.h says how to read one.
 * Rules: "MetalLB ..." of its API reference and usage pages, "MetalLB 1.1" of the feature table
 * (other-load-balancers.md), "issue 3 (1)" of what was agreed to be built, INTERFACES, DESIGN.
 */
#include "alloc_case.h"

/* Three pools of one address each. */
#define THREE(a, b, c)                                                                             \
	POOLS POOL_("a", "10.0.1.1", a) POOL_("b", "10.0.2.1", b) POOL_("c", "10.0.3.1", c)

static void test_address(void)
{
	static const struct alloc_case row[] = {
		{"the lowest of an empty pool", "issue 3 (1)", LAN, "", "d/a", "10.0.0.1"},
		{"the next for the next", "issue 3 (1)", LAN, "d/x", "d/a", "10.0.0.2"},
		{"a hole that nobody ever had", "issue 3 (1)", LAN,
			"d/x ip=10.0.0.1; d/y ip=10.0.0.3", "d/a", "10.0.0.2"},
		{"a CIDR begins with its network address", "MetalLB IPAddressPool addresses",
			POOLS POOL("p", "10.0.0.0/28"), "", "d/a", "10.0.0.0"},
		{"a CIDR of one", "MetalLB IPAddressPool addresses", POOLS POOL("p", "10.0.0.7/32"),
			"", "d/a", "10.0.0.7"},
		{"a CIDR ends with its broadcast address", "MetalLB IPAddressPool addresses",
			POOLS POOL("p", "10.0.0.6/31"), "d/x", "d/a", "10.0.0.7"},
		{"and has no more", "MetalLB IPAddressPool addresses",
			POOLS POOL("p", "10.0.0.6/31"), "d/x; d/y", "d/a", "poolExhausted"},
		{"a range is inclusive at both ends", "MetalLB IPAddressPool addresses",
			POOLS POOL("p", "10.0.0.5-10.0.0.6"), "d/x", "d/a",
			"10.0.0.6; d/x = 10.0.0.5"},
		{"a range over .255 and .0", "MetalLB IPAddressPool addresses",
			POOLS POOL("p", "10.0.0.254-10.0.1.1"), "d/w; d/x; d/y", "d/a",
			"10.0.1.1; d/x = 10.0.0.255; d/y = 10.0.1.0"},
		{"ranges in the file's order", "issue 3 (1)",
			POOLS POOL("p", "10.0.9.1, 10.0.0.1-10.0.0.9"), "d/x", "d/a",
			"10.0.0.1; d/x = 10.0.9.1"},
		{"a /8", "issue 3 (1): sub-linear search", POOLS POOL("p", "10.0.0.0/8"),
			"d/x; d/y ip=10.200.0.0", "d/a", "10.0.0.1"},
		{"the last of a /8", "issue 3 (1)", POOLS POOL("p", "10.0.0.0/8"), "",
			"d/a ip=10.255.255.255", "10.255.255.255"},
		{"a /64", "issue 3 (1): sub-linear search", POOLS POOL("p", "'fd00:1::/64'"),
			"d/x families=IPv6", "d/a families=IPv6", "fd00:1::1"},
		{"the last of a /64", "issue 3 (1)", POOLS POOL("p", "'fd00:1::/64'"), "",
			"d/a families=IPv6 ip=fd00:1::ffff:ffff:ffff:ffff",
			"fd00:1::ffff:ffff:ffff:ffff"},
		{"an IPv6 Service takes no IPv4", "k8s Service API: ipFamilies", LAN, "",
			"d/a families=IPv6", "noFittingPool IPv6"},
		{"an IPv4 Service takes no IPv6", "k8s Service API: ipFamilies",
			POOLS POOL("p", "'fd00::/120'"), "", "d/a", "noFittingPool IPv4"},
		{"an IPv6 Service beside IPv4 addresses", "k8s Service API: ipFamilies", DUAL,
			"d/x", "d/a families=IPv6", "fd00::1; d/x = 10.0.0.1"},
		{"all in use", "MetalLB 2.3 AllocationFailed", POOLS POOL("p", "10.0.0.1"), "d/x",
			"d/a", "poolExhausted; d/x = 10.0.0.1"},
		{"who waits is served when one is deleted", "MetalLB 1.1: pending ones are retried",
			POOLS POOL("p", "10.0.0.1"), "d/x; d/a", "- d/x", "d/a = 10.0.0.1"},
		{"who waited goes before who comes", "alloc.h: those that waited longest first",
			POOLS POOL("p", "10.0.0.1"), "d/x; d/y; - d/x", "d/a",
			"poolExhausted; d/y = 10.0.0.1"},
		{"no pool, and no servicelb", "INTERFACES servicelb.mode",
			NATIVE "servicelb: {mode: never}\n", "", "d/a", "noPool"},
		{"the pool's name is written beside the address",
			"MetalLB 1.1 ip-allocated-from-pool",
			POOLS POOL("first", "10.0.0.1") POOL("second", "10.0.0.2"), "d/x", "d/a",
			"10.0.0.2"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_buggy(void)
{
#define BUGGY(addresses) POOLS POOL_("p", addresses, "avoidBuggyIPs: true")
	static const struct alloc_case row[] = {
		{".0 is passed over", "MetalLB avoidBuggyIPs", BUGGY("10.0.0.0/28"), "", "d/a",
			"10.0.0.1"},
		{".255 is passed over, and the next .0", "MetalLB avoidBuggyIPs",
			BUGGY("10.0.0.254-10.0.1.1"), "d/x", "d/a", "10.0.1.1; d/x = 10.0.0.254"},
		{"a pool of nothing else has none", "MetalLB avoidBuggyIPs",
			BUGGY("10.0.0.255-10.0.1.0"), "", "d/a", "noFittingPool"},
		{"after the last good one", "MetalLB avoidBuggyIPs", BUGGY("10.0.0.254-10.0.0.255"),
			"d/x", "d/a", "poolExhausted"},
		{"nor given to who asks for it", "MetalLB poolFor", BUGGY("10.0.0.0/24"), "",
			"d/a ip=10.0.0.255", "requestNotInPool 10.0.0.255"},
		{"off is the default", "MetalLB avoidBuggyIPs", POOLS POOL("p", "10.0.0.0/28"), "",
			"d/a", "10.0.0.0"},
		{"IPv6 has none: ::", "MetalLB 1.1: IPv4 only", BUGGY("'fd00::/120'"), "",
			"d/a families=IPv6", "fd00::"},
		{"IPv6 has none: ::ff", "MetalLB 1.1: IPv4 only", BUGGY("'fd00::ff-fd00::100'"), "",
			"d/a families=IPv6", "fd00::ff"},
		{"MetalLB's spelling in its ConfigMap", "MetalLB avoid-buggy-ips",
			"address-pools:\n- {name: p, protocol: layer2, avoid-buggy-ips: true, "
			"addresses: [10.0.0.0/28]}\n",
			"", "d/a", "10.0.0.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_order(void)
{
	static const struct alloc_case row[] = {
		{"the file's order, not the names'", "issue 3 (1)",
			POOLS POOL("z", "10.0.2.1") POOL("a", "10.0.1.1"), "", "d/a", "10.0.2.1"},
		{"the file's order, not the addresses'", "issue 3 (1)",
			POOLS POOL("a", "10.0.2.1") POOL("b", "10.0.1.1"), "", "d/a", "10.0.2.1"},
		{"the next pool when the first is full", "issue 3 (1)",
			POOLS POOL("a", "10.0.2.1") POOL("b", "10.0.1.1"), "d/x", "d/a",
			"10.0.1.1"},
		{"documents are in the file's order", "issue 3 (1)",
			METALLB("b", "10.0.2.1/32") METALLB("a", "10.0.1.1/32"), "", "d/a",
			"10.0.2.1"},
		{"a pool for the namespace before one for all", "MetalLB serviceAllocation",
			POOLS POOL("all", "10.0.1.1") POOL_("web", "10.0.2.1", FOR_NS("web")), "",
			"web/a", "10.0.2.1"},
		{"a pool for such Services before one for all", "MetalLB serviceAllocation",
			POOLS POOL("all", "10.0.1.1") POOL_(
				"front", "10.0.2.1", SELECTING("{matchLabels: {tier: front}}")),
			"", "d/a labels=tier:front", "10.0.2.1"},
		{"one for all when that of the namespace is full", "MetalLB serviceAllocation",
			POOLS POOL("all", "10.0.1.1") POOL_("web", "10.0.2.1", FOR_NS("web")),
			"web/x", "web/a", "10.0.1.1"},
		{"the lower priority number first", "MetalLB serviceAllocation.priority",
			THREE(FOR("30", "web"), FOR("10", "web"), FOR("20", "web")), "", "web/a",
			"10.0.2.1"},
		{"then the next", "MetalLB serviceAllocation.priority",
			THREE(FOR("30", "web"), FOR("10", "web"), FOR("20", "web")), "web/x",
			"web/a", "10.0.3.1"},
		{"0 is last of them", "MetalLB 1.1: 0 = last",
			THREE(FOR("0", "web"), FOR("30", "web"), FOR("10", "web")), "web/x; web/y",
			"web/a", "10.0.1.1; web/x = 10.0.3.1; web/y = 10.0.2.1"},
		{"none given is 0", "MetalLB 1.1: 0 = last",
			POOLS POOL_("a", "10.0.1.1", FOR_NS("web"))
				POOL_("b", "10.0.2.1", FOR("99", "web")),
			"", "web/a", "10.0.2.1"},
		{"0 is still before a pool for all", "MetalLB serviceAllocation",
			POOLS POOL("a", "10.0.1.1") POOL_("b", "10.0.2.1", FOR("0", "web")), "",
			"web/a", "10.0.2.1"},
		{"equal priorities: the file's order", "issue 3 (1)",
			POOLS POOL_("z", "10.0.2.1", FOR("5", "web"))
				POOL_("a", "10.0.1.1", FOR("5", "web")),
			"", "web/a", "10.0.2.1"},
		{"a better priority for another namespace is no matter",
			"MetalLB serviceAllocation",
			POOLS POOL_("a", "10.0.1.1", FOR("1", "db"))
				POOL_("b", "10.0.2.1", FOR("9", "web")),
			"", "web/a", "10.0.2.1"},
		{"no automatic assignment", "MetalLB autoAssign",
			POOLS POOL_("a", "10.0.1.1", "autoAssign: false") POOL("b", "10.0.2.1"), "",
			"d/a", "10.0.2.1"},
		{"only such pools", "MetalLB autoAssign",
			POOLS POOL_("a", "10.0.1.1", "autoAssign: false"), "", "d/a",
			"noFittingPool"},
		{"nor for the namespace that it is for", "MetalLB autoAssign",
			POOLS POOL_("a", "10.0.1.1", "autoAssign: false, " FOR("1", "web"))
				POOL("b", "10.0.2.1"),
			"", "web/a", "10.0.2.1"},
		{"MetalLB's spelling in its ConfigMap", "MetalLB auto-assign",
			"address-pools:\n"
			"- {name: a, protocol: layer2, auto-assign: false, addresses: "
			"[10.0.1.1/32]}\n"
			"- {name: b, protocol: layer2, addresses: [10.0.2.1/32]}\n",
			"", "d/a", "10.0.2.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_admission(void)
{
#define FRONT(selectors) POOLS POOL_("p", "10.0.0.1-10.0.0.9", SELECTING(selectors))
	static const struct alloc_case row[] = {
		{"its namespace", "MetalLB serviceAllocation.namespaces",
			POOLS POOL_("p", "10.0.0.1", FOR_NS("web")), "", "web/a", "10.0.0.1"},
		{"one of its namespaces", "MetalLB serviceAllocation.namespaces",
			POOLS POOL_("p", "10.0.0.1", FOR_NS("db, web")), "", "web/a", "10.0.0.1"},
		{"another namespace", "MetalLB serviceAllocation.namespaces",
			POOLS POOL_("p", "10.0.0.1", FOR_NS("web")), "", "d/a", "noFittingPool"},
		{"a name that only begins so", "MetalLB serviceAllocation.namespaces",
			POOLS POOL_("p", "10.0.0.1", FOR_NS("web")), "", "web2/a", "noFittingPool"},
		{"matchLabels", "MetalLB serviceSelectors", FRONT("{matchLabels: {tier: front}}"),
			"", "d/a labels=tier:front,x:y", "10.0.0.1"},
		{"another value", "MetalLB serviceSelectors", FRONT("{matchLabels: {tier: front}}"),
			"", "d/a labels=tier:back", "noFittingPool"},
		{"no labels", "MetalLB serviceSelectors", FRONT("{matchLabels: {tier: front}}"), "",
			"d/a", "noFittingPool"},
		{"all of matchLabels", "k8s LabelSelector: ANDed",
			FRONT("{matchLabels: {tier: front, env: prod}}"), "",
			"d/a labels=tier:front", "noFittingPool"},
		{"one of the selectors", "MetalLB serviceSelectors: any of",
			FRONT("{matchLabels: {tier: front}}, {matchLabels: {tier: edge}}"), "",
			"d/a labels=tier:edge", "10.0.0.1"},
		{"In", "k8s LabelSelector",
			FRONT("{matchExpressions: [{key: tier, operator: In, values: [front, "
			      "edge]}]}"),
			"", "d/a labels=tier:edge", "10.0.0.1"},
		{"NotIn of a label that is there", "k8s LabelSelector",
			FRONT("{matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}"),
			"", "d/a labels=tier:back", "noFittingPool"},
		{"NotIn of a label that is missing", "k8s LabelSelector",
			FRONT("{matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}"),
			"", "d/a", "10.0.0.1"},
		{"Exists", "k8s LabelSelector",
			FRONT("{matchExpressions: [{key: tier, operator: Exists}]}"), "",
			"d/a labels=tier:any", "10.0.0.1"},
		{"DoesNotExist", "k8s LabelSelector",
			FRONT("{matchExpressions: [{key: tier, operator: DoesNotExist}]}"), "",
			"d/a labels=tier:any", "noFittingPool"},
		{"the namespace and the selector: both", "MetalLB serviceAllocation",
			POOLS POOL_("p", "10.0.0.1",
				"serviceAllocation: {namespaces: [web], serviceSelectors: "
				"[{matchLabels: {tier: front}}]}"),
			"", "web/a labels=tier:front", "10.0.0.1"},
		{"the namespace without the selector", "MetalLB serviceAllocation",
			POOLS POOL_("p", "10.0.0.1",
				"serviceAllocation: {namespaces: [web], serviceSelectors: "
				"[{matchLabels: {tier: front}}]}"),
			"", "web/a", "noFittingPool"},
		{"the selector without the namespace", "MetalLB serviceAllocation",
			POOLS POOL_("p", "10.0.0.1",
				"serviceAllocation: {namespaces: [web], serviceSelectors: "
				"[{matchLabels: {tier: front}}]}"),
			"", "d/a labels=tier:front", "noFittingPool"},
		{"labels that come later", "MetalLB serviceSelectors",
			FRONT("{matchLabels: {tier: front}}"), "d/a", "d/a labels=tier:front",
			"10.0.0.1"},
		{"full for those whom it admits", "MetalLB 2.3 AllocationFailed",
			POOLS POOL_("p", "10.0.0.1", FOR_NS("web")), "web/x", "web/a",
			"poolExhausted"},
		{"MetalLB's document", "MetalLB serviceAllocation",
			METALLB_("p", "10.0.0.1/32", ", serviceAllocation: {namespaces: [web]}"),
			"", "d/a", "noFittingPool"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_namespace_selectors(void)
{
#define TEAM(selectors, more)                                                                      \
	POOLS POOL_("p", "10.0.0.1-10.0.0.9",                                                      \
		"serviceAllocation: {namespaceSelectors: [" selectors "]" more "}")
#define TEAM_A "{matchLabels: {team: a}}"
	static const struct alloc_case row[] = {
		{"labels of the Namespace that match", "MetalLB namespaceSelectors",
			TEAM(TEAM_A, ""), "namespace web team:a", "web/a", "10.0.0.1"},
		{"labels that do not", "MetalLB namespaceSelectors", TEAM(TEAM_A, ""),
			"namespace web team:b", "web/a", "noFittingPool"},
		{"the Service's own labels are no matter", "MetalLB namespaceSelectors",
			TEAM(TEAM_A, ""), "namespace web", "web/a labels=team:a", "noFittingPool"},
		{"one of the selectors", "MetalLB namespaceSelectors: any of",
			TEAM(TEAM_A ", {matchExpressions: [{key: open, operator: Exists}]}", ""),
			"namespace web open:x", "web/a", "10.0.0.1"},
		{"or one of the namespaces named", "MetalLB serviceAllocation: either",
			TEAM(TEAM_A, ", namespaces: [web]"), "namespace web", "web/a", "10.0.0.1"},
		{"and the service selector", "MetalLB serviceAllocation: both",
			TEAM(TEAM_A, ", serviceSelectors: [{matchLabels: {tier: front}}]"),
			"namespace web team:a", "web/a", "noFittingPool"},
		{"the Namespace gets the label", "DESIGN 1.2: level-triggered", TEAM(TEAM_A, ""),
			"namespace web; web/a", "namespace web team:a", "web/a = 10.0.0.1"},
		{"the Namespace loses the label: who has an address stays", "issue 3 (4)",
			TEAM(TEAM_A, ""), "namespace web team:a; web/a", "namespace web",
			"web/a = 10.0.0.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_before(void)
{
#define TWO POOLS POOL("p", "10.0.0.1-10.0.0.2")
	static const struct alloc_case row[] = {
		{"never used before released", "issue 3 (1)", LAN, "d/x; - d/x", "d/a", "10.0.0.2"},
		{"then the least recently released", "issue 3 (1)", TWO,
			"d/x; d/y; - d/y; +1; - d/x", "d/a", "10.0.0.2"},
		{"not the lowest of the released", "issue 3 (1)", TWO, "d/x; d/y; - d/y; +1; - d/x",
			"d/a", "10.0.0.2"},
		{"a full pool gives what rests at once", "issue 3 (1): reuseDelay is a preference",
			POOLS POOL_("p", "10.0.0.1", "reuseDelay: 1h"), "d/x; - d/x", "d/a",
			"10.0.0.1"},
		{"released long ago is still after never used", "issue 3 (1)", LAN,
			"d/x; - d/x; +86400", "d/a", "10.0.0.2"},
		{"created again under its name", "issue 3 (1)", LAN, "d/a; d/x; - d/a", "d/a",
			"10.0.0.1"},
		{"though others came meanwhile", "issue 3 (1)", LAN, "d/a; - d/a; d/x; d/y", "d/a",
			"10.0.0.1"},
		{"hours later", "issue 3 (1)", LAN, "d/a; - d/a; +36000", "d/a", "10.0.0.1"},
		{"not if somebody has it", "issue 3 (1): if it is still free", LAN,
			"d/a; - d/a; d/x ip=10.0.0.1", "d/a", "10.0.0.2; d/x = 10.0.0.1"},
		{"the same name elsewhere is another Service", "issue 3 (1)", LAN, "d/a; - d/a",
			"e/a", "10.0.0.2"},
		{"it asks for another now", "k8s Service API: loadBalancerIP", LAN, "d/a; - d/a",
			"d/a ip=10.0.0.5", "10.0.0.5"},
		{"the pool is not for it any more", "MetalLB serviceAllocation",
			POOLS POOL("p", "10.0.0.1") POOL("q", "10.0.1.1") EDIT POOLS POOL_(
				"p", "10.0.0.1", FOR_NS("web")) POOL("q", "10.0.1.1"),
			"d/a; - d/a; edit", "d/a", "10.0.1.1"},
		{"both families come back", "issue 3 (1)", DUAL,
			"d/a policy=RequireDualStack families=IPv4,IPv6; - d/a; d/x; d/y "
			"families=IPv6",
			"d/a policy=RequireDualStack families=IPv4,IPv6", "10.0.0.1,fd00::1"},
		{"type changed and changed back", "issue 3 (1)", LAN,
			"d/a; d/a type=ClusterIP; d/x", "d/a", "10.0.0.1; d/x = 10.0.0.2"},
		{"deleted and created between two looks", "DESIGN 1.2: level-triggered", LAN,
			"d/a; d/x", "d/a uid=another status=", "10.0.0.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

CHECK_MAIN("test_alloc_table", CHECK_TEST(test_address), CHECK_TEST(test_buggy),
	CHECK_TEST(test_order), CHECK_TEST(test_admission), CHECK_TEST(test_namespace_selectors),
	CHECK_TEST(test_before))
