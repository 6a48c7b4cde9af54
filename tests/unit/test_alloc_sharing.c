/* SPDX-License-Identifier: Apache-2.0
 *
 * test_alloc_sharing.c - Services that share an address, and those that have one of each family.
 *
 * As test_alloc_table.c; "MetalLB 1.2 (n)" is the n-th part of its sharing rule in
 * other-load-balancers.md.
 */
#include "alloc_case.h"

#define KEY      "metallb.io/allow-shared-ip=k"
#define DNS      "ports=UDP/53"
#define BOTH     "families=IPv4,IPv6"
#define SIX_FOUR "families=IPv6,IPv4"
#define PREFER   "policy=PreferDualStack"
#define REQUIRE_ "policy=RequireDualStack"

static void test_condition(void)
{
	static const struct alloc_case row[] = {
		{"the other has no key", "MetalLB 1.2 (1)", LAN, "d/x",
			"d/a ip=10.0.0.1 " KEY " " DNS,
			"addressInUse d/x; addressInUse sharing key"},
		{"the new one has no key", "MetalLB 1.2 (1)", LAN, "d/x " KEY,
			"d/a ip=10.0.0.1 " DNS, "addressInUse d/x; addressInUse sharing key"},
		{"an empty key is none", "MetalLB 1.2 (1)", LAN, "d/x metallb.io/allow-shared-ip=",
			"d/a ip=10.0.0.1 metallb.io/allow-shared-ip= " DNS, "addressInUse d/x"},
		{"the keys differ", "MetalLB 1.2 (2)", LAN, "d/x metallb.io/allow-shared-ip=l",
			"d/a ip=10.0.0.1 " KEY " " DNS, "sharingRefused d/x; sharingRefused key"},
		{"the keys differ in case", "MetalLB 1.2 (2)", LAN,
			"d/x metallb.io/allow-shared-ip=K", "d/a ip=10.0.0.1 " KEY " " DNS,
			"sharingRefused d/x"},
		{"equal keys", "MetalLB 1.2 (1-4)", LAN, "d/x " KEY, "d/a ip=10.0.0.1 " KEY " " DNS,
			"10.0.0.1; d/x = 10.0.0.1"},
		{"equal keys by two synonyms", "synonyms", LAN, "d/x lbd.io/allow-shared-ip=k",
			"d/a ip=10.0.0.1 metallb.universe.tf/allow-shared-ip=k " DNS, "10.0.0.1"},
		{"two synonyms disagree", "INTERFACES: refused, naming both", LAN, "",
			"d/a lbd.io/allow-shared-ip=l " KEY,
			"requestConflict lbd.io/allow-shared-ip; requestConflict "
			"metallb.io/allow-shared-ip"},
		{"Cluster and Cluster, whatever the selectors", "MetalLB 1.2 (3)", LAN,
			"d/x " KEY " selector=app:x",
			"d/a ip=10.0.0.1 " KEY " " DNS " selector=app:y", "10.0.0.1"},
		{"Local and Local with one selector", "MetalLB 1.2 (3)", LAN,
			"d/x " KEY " traffic=Local selector=app:x,b:c",
			"d/a ip=10.0.0.1 " KEY " " DNS " traffic=Local selector=b:c,app:x",
			"10.0.0.1"},
		{"Local and Local with other selectors", "MetalLB 1.2 (3)", LAN,
			"d/x " KEY " traffic=Local selector=app:x",
			"d/a ip=10.0.0.1 " KEY " " DNS " traffic=Local selector=app:y",
			"sharingRefused d/x; sharingRefused Local"},
		{"Local and Local of two namespaces", "MetalLB 1.2 (3): namespace not compared",
			LAN, "d/x " KEY " traffic=Local selector=app:x",
			"e/a ip=10.0.0.1 " KEY " " DNS " traffic=Local selector=app:x", "10.0.0.1"},
		{"Cluster and Local", "MetalLB 1.2 (3)", LAN, "d/x " KEY " selector=app:x",
			"d/a ip=10.0.0.1 " KEY " " DNS " traffic=Local selector=app:x",
			"sharingRefused d/x; sharingRefused externalTrafficPolicy"},
		{"Local and Cluster", "MetalLB 1.2 (3)", LAN,
			"d/x " KEY " traffic=Local selector=app:x",
			"d/a ip=10.0.0.1 " KEY " " DNS " selector=app:x", "sharingRefused d/x"},
		{"Cluster, and Local without a selector", "MetalLB 1.2 (3)", LAN, "d/x " KEY,
			"d/a ip=10.0.0.1 " KEY " " DNS " traffic=Local selector=", "10.0.0.1"},
		{"the port is taken", "MetalLB 1.2 (4)", LAN, "d/x " KEY, "d/a ip=10.0.0.1 " KEY,
			"sharingRefused d/x; sharingRefused 80; sharingRefused TCP"},
		{"one of several ports is taken", "MetalLB 1.2 (4)", LAN,
			"d/x " KEY " ports=TCP/80,TCP/443",
			"d/a ip=10.0.0.1 " KEY " ports=TCP/8443,TCP/443", "sharingRefused 443"},
		{"one port, two protocols", "MetalLB 1.2 (4)", LAN, "d/x " KEY " ports=TCP/53",
			"d/a ip=10.0.0.1 " KEY " ports=UDP/53", "10.0.0.1"},
		{"SCTP is a protocol of its own", "MetalLB 1.2 (4)", LAN,
			"d/x " KEY " ports=TCP/53", "d/a ip=10.0.0.1 " KEY " ports=SCTP/53",
			"10.0.0.1"},
		{"the third against the second", "MetalLB 1.2 (4)", LAN,
			"d/x " KEY "; d/y ip=10.0.0.1 " KEY " " DNS, "d/a ip=10.0.0.1 " KEY " " DNS,
			"sharingRefused d/y"},
		{"across namespaces", "MetalLB 1.2 (5)", LAN, "d/x " KEY,
			"e/a ip=10.0.0.1 " KEY " " DNS, "10.0.0.1"},
		{"the only one may change its key", "MetalLB 1.2 (6)", LAN, "d/a " KEY,
			"d/a metallb.io/allow-shared-ip=l", "10.0.0.1"},
		{"the only one may lose its key", "MetalLB 1.2 (6)", LAN, "d/a " KEY, "d/a",
			"10.0.0.1"},
		{"one of two may not change its key", "MetalLB 1.2 (6)", LAN,
			"d/x " KEY "; d/a ip=10.0.0.1 " KEY " " DNS,
			"d/a ip=10.0.0.1 metallb.io/allow-shared-ip=l " DNS,
			"sharingRefused d/x; d/x = 10.0.0.1"},
		{"nor lose it", "MetalLB 1.2 (6)", LAN, "d/x " KEY "; d/a " KEY " " DNS, "d/a " DNS,
			"10.0.0.2; d/x = 10.0.0.1"},
		{"nor take the other's port", "MetalLB 1.2 (4)", LAN,
			"d/x " KEY "; d/a ip=10.0.0.1 " KEY " " DNS,
			"d/a ip=10.0.0.1 " KEY " ports=UDP/53,TCP/80",
			"sharingRefused d/x; d/x = 10.0.0.1"},
		{"the other goes", "MetalLB 1.1: pending ones are retried", LAN,
			"d/x " KEY "; d/a ip=10.0.0.1 " KEY, "- d/x", "d/a = 10.0.0.1"},
		{"the address is used until the last one goes", "MetalLB Unassign",
			POOLS POOL("p", "10.0.0.1"), "d/x " KEY "; d/y " KEY " " DNS "; - d/x",
			"d/a", "poolExhausted; d/y = 10.0.0.1"},
		{"OpenELB's implicit sharing is refused",
			"OpenELB 5.1 (8): sharing without port test", LAN,
			"d/x eip.openelb.kubesphere.io/v1alpha1=10.0.0.1",
			"d/a eip.openelb.kubesphere.io/v1alpha1=10.0.0.1", "addressInUse d/x"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_preference(void)
{
	static const struct alloc_case row[] = {
		{"the address that the key has", "issue 3 (3)", LAN, "d/w; d/x " KEY,
			"d/a " KEY " " DNS, "10.0.0.2"},
		{"not where the port is taken", "MetalLB 1.2 (4)", LAN, "d/x " KEY, "d/a " KEY,
			"10.0.0.2"},
		{"then the second that the key has", "issue 3 (3)", LAN, "d/x " KEY "; d/y " KEY,
			"d/a " KEY " ports=TCP/443", "10.0.0.1"},
		{"another key, another address", "MetalLB 1.2 (2)", LAN, "d/x " KEY,
			"d/a metallb.io/allow-shared-ip=l " DNS, "10.0.0.2"},
		{"in a full pool", "issue 3 (3)", POOLS POOL("p", "10.0.0.1"), "d/x " KEY,
			"d/a " KEY " " DNS, "10.0.0.1"},
		{"of the pool asked for", "MetalLB AllocateFromPool",
			POOLS POOL("p", "10.0.0.1") POOL("q", "10.0.1.1"), "d/x " KEY,
			"d/a metallb.io/address-pool=q " KEY " " DNS, "10.0.1.1"},
		{"not in a pool for others", "MetalLB serviceAllocation",
			POOLS POOL_("p", "10.0.0.1", FOR_NS("web")) POOL("q", "10.0.1.1"),
			"web/x " KEY, "d/a " KEY " " DNS, "10.0.1.1"},
		{"in each family", "MetalLB 1.2 (5): per IP", DUAL,
			"d/w; d/x " KEY " " REQUIRE_ " " BOTH,
			"d/a " KEY " " DNS " " REQUIRE_ " " BOTH, "10.0.0.2,fd00::1"},
		{"in the one family that both have", "MetalLB 1.2 (5): per IP", DUAL,
			"d/w families=IPv6; d/x " KEY, "d/a " KEY " " DNS " " REQUIRE_ " " BOTH,
			"10.0.0.1,fd00::2"},
		{"who has one does not move to the key's", "DESIGN 1.3: what is announced stays",
			LAN, "d/x " KEY "; d/a", "d/a " KEY " " DNS, "10.0.0.2"},
		{"who waits joins when the port is given up", "issue 3 (3)",
			POOLS POOL("p", "10.0.0.1"), "d/x " KEY "; d/a " KEY, "d/x " KEY " " DNS,
			"d/a = 10.0.0.1; d/x = 10.0.0.1"},
		{"who waits joins when the other takes its key", "issue 3 (3)",
			POOLS POOL("p", "10.0.0.1"), "d/x; d/a " KEY " " DNS, "d/x " KEY,
			"d/a = 10.0.0.1; d/x = 10.0.0.1"},
		{"a new leader parts nobody", "DESIGN 3: adopts every lawful address", LAN,
			"d/x " KEY "; d/a " KEY " " DNS, "leader",
			"d/x = 10.0.0.1; d/a = 10.0.0.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_dual_stack(void)
{
#define APART   POOLS POOL("four", "10.0.0.1-10.0.0.9") POOL("six", "'fd00::1-fd00::9'")
#define ONE_SIX POOLS POOL("p", "10.0.0.1-10.0.0.9, 'fd00::1'")
	static const struct alloc_case row[] = {
		{"SingleStack in a pool of both", "k8s dual-stack: SingleStack", DUAL, "", "d/a",
			"10.0.0.1"},
		{"SingleStack IPv6", "k8s dual-stack: ipFamilies", DUAL, "", "d/a families=IPv6",
			"fd00::1"},
		{"PreferDualStack", "k8s dual-stack: PreferDualStack", DUAL, "",
			"d/a " PREFER " " BOTH, "10.0.0.1,fd00::1"},
		{"PreferDualStack, IPv6 first", "k8s dual-stack: the order of ipFamilies", DUAL, "",
			"d/a " PREFER " " SIX_FOUR, "fd00::1,10.0.0.1"},
		{"PreferDualStack on a cluster of one family", "k8s dual-stack: PreferDualStack",
			DUAL, "", "d/a " PREFER " families=IPv4", "10.0.0.1"},
		{"PreferDualStack, pools of one family",
			"MetalLB 1.1: PreferDualStack since 0.14.9", LAN, "",
			"d/a " PREFER " " BOTH, "10.0.0.1 ~ IPv6"},
		{"PreferDualStack, IPv6 first, pools of IPv4", "MetalLB 1.1", LAN, "",
			"d/a " PREFER " " SIX_FOUR, "10.0.0.1 ~ IPv6"},
		{"PreferDualStack, IPv6 exhausted", "MetalLB 2.3 AdditionalAssignFailed", ONE_SIX,
			"d/x families=IPv6", "d/a " PREFER " " BOTH, "10.0.0.1 ~ IPv6"},
		{"PreferDualStack, IPv6 comes back", "MetalLB convergeBalancer: additional IP",
			ONE_SIX, "d/x families=IPv6; d/a " PREFER " " BOTH, "- d/x",
			"d/a = 10.0.0.1,fd00::1"},
		{"PreferDualStack, a pool of IPv6 comes", "MetalLB convergeBalancer: additional IP",
			LAN EDIT DUAL, "d/a " PREFER " " BOTH, "edit", "d/a = 10.0.0.1,fd00::1"},
		{"RequireDualStack", "k8s dual-stack: RequireDualStack", DUAL, "",
			"d/a " REQUIRE_ " " BOTH, "10.0.0.1,fd00::1"},
		{"RequireDualStack, IPv6 first", "k8s dual-stack: the order of ipFamilies", DUAL,
			"", "d/a " REQUIRE_ " " SIX_FOUR, "fd00::1,10.0.0.1"},
		{"RequireDualStack, pools of one family", "k8s dual-stack: RequireDualStack", LAN,
			"", "d/a " REQUIRE_ " " BOTH, "noFittingPool IPv6"},
		{"RequireDualStack, IPv6 exhausted", "k8s dual-stack: RequireDualStack", ONE_SIX,
			"d/x families=IPv6", "d/a " REQUIRE_ " " BOTH, "poolExhausted IPv6"},
		{"and it holds no IPv4 meanwhile", "k8s dual-stack: RequireDualStack", ONE_SIX,
			"d/x families=IPv6; d/y " REQUIRE_ " " BOTH, "d/a", "10.0.0.1"},
		{"RequireDualStack, IPv6 comes back", "MetalLB 1.1: pending ones are retried",
			ONE_SIX, "d/x families=IPv6; d/a " REQUIRE_ " " BOTH, "- d/x",
			"d/a = 10.0.0.1,fd00::1"},
		{"RequireDualStack with one cluster IP", "MetalLB 2.3 not enough clusterips", DUAL,
			"", "d/a " REQUIRE_ " families=IPv4", "noClusterIP RequireDualStack"},
		{"the families of two pools", "issue 3 (2)", APART, "", "d/a " REQUIRE_ " " BOTH,
			"10.0.0.1,fd00::1"},
		{"two asked for", "MetalLB 1.1: \"a,b\"", DUAL, "",
			"d/a " REQUIRE_ " " BOTH " metallb.io/loadBalancerIPs=10.0.0.5,fd00::5",
			"10.0.0.5,fd00::5"},
		{"two asked for, a blank between", "MetalLB getDesiredLbIPs", DUAL, "",
			"d/a " REQUIRE_ " " BOTH " metallb.io/loadBalancerIPs=10.0.0.5,|fd00::5",
			"10.0.0.5,fd00::5"},
		{"two asked for in the other order", "k8s dual-stack: the order of ipFamilies",
			DUAL, "",
			"d/a " REQUIRE_ " " BOTH " metallb.io/loadBalancerIPs=fd00::5,10.0.0.5",
			"10.0.0.5,fd00::5"},
		{"two asked for of two pools", "issue 3 (2)", APART, "",
			"d/a " REQUIRE_ " " BOTH " metallb.io/loadBalancerIPs=10.0.0.5,fd00::5",
			"10.0.0.5,fd00::5"},
		{"two of one family", "MetalLB ForAddressesIPs", DUAL, "",
			"d/a " REQUIRE_ " " BOTH " metallb.io/loadBalancerIPs=10.0.0.5,10.0.0.6",
			"badRequest IPv4"},
		{"three", "MetalLB ForAddressesIPs", DUAL, "",
			"d/a " REQUIRE_ " " BOTH
			" metallb.io/loadBalancerIPs=10.0.0.5,fd00::5,fd00::6",
			"badRequest IPv6"},
		{"two for a Service of one family", "MetalLB allocateIPs", DUAL, "",
			"d/a metallb.io/loadBalancerIPs=10.0.0.5,fd00::5",
			"familyMismatch fd00::5"},
		{"two asked for, one in use", "MetalLB Assign: all or none", DUAL,
			"d/x families=IPv6 ip=fd00::5",
			"d/a " REQUIRE_ " " BOTH " metallb.io/loadBalancerIPs=10.0.0.5,fd00::5",
			"addressInUse d/x"},
		{"then the other of the two is nobody's", "MetalLB Assign: all or none", DUAL,
			"d/x families=IPv6 ip=fd00::5; d/y " REQUIRE_ " " BOTH
			" metallb.io/loadBalancerIPs=10.0.0.5,fd00::5",
			"d/a ip=10.0.0.5", "10.0.0.5"},
		{"from one to two: the first stays", "k8s dual-stack: policy change", DUAL,
			"d/x; d/a", "d/a " PREFER " " BOTH, "10.0.0.2,fd00::1"},
		{"from two to one: the other is free", "k8s dual-stack: policy change", ONE_SIX,
			"d/x " REQUIRE_ " " BOTH "; d/x", "d/a families=IPv6",
			"fd00::1; d/x = 10.0.0.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

CHECK_MAIN("test_alloc_sharing", CHECK_TEST(test_condition), CHECK_TEST(test_preference),
	CHECK_TEST(test_dual_stack))
