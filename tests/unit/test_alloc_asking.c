/* SPDX-License-Identifier: Apache-2.0
 *
 * test_alloc_asking.c - what a Service may ask for, and which Services are lbd's to serve.
 *
 * As test_alloc_table.c; "synonyms" is DESIGN 5's and INTERFACES' list of annotations.
 */
#include "alloc_case.h"

#define TWO_POOLS POOLS POOL("p", "10.0.0.1-10.0.0.9") POOL("q", "10.0.1.1-10.0.1.2")

static void test_address(void)
{
	static const struct alloc_case row[] = {
		{"spec.loadBalancerIP", "k8s Service API: loadBalancerIP", LAN, "",
			"d/a ip=10.0.0.7", "10.0.0.7"},
		{"lbd.io/loadBalancerIPs", "synonyms", LAN, "",
			"d/a lbd.io/loadBalancerIPs=10.0.0.7", "10.0.0.7"},
		{"metallb.io/loadBalancerIPs", "MetalLB 1.1", LAN, "",
			"d/a metallb.io/loadBalancerIPs=10.0.0.7", "10.0.0.7"},
		{"metallb.universe.tf/loadBalancerIPs", "MetalLB 1.1", LAN, "",
			"d/a metallb.universe.tf/loadBalancerIPs=10.0.0.7", "10.0.0.7"},
		{"kube-vip.io/loadbalancerIPs", "kube-vip 1.1", LAN, "",
			"d/a kube-vip.io/loadbalancerIPs=10.0.0.7", "10.0.0.7"},
		{"eip.openelb.kubesphere.io/v1alpha1", "OpenELB 1.5", LAN, "",
			"d/a eip.openelb.kubesphere.io/v1alpha1=10.0.0.7", "10.0.0.7"},
		{"two that agree", "INTERFACES: two that disagree are refused", LAN, "",
			"d/a metallb.io/loadBalancerIPs=10.0.0.7 "
			"kube-vip.io/loadbalancerIPs=10.0.0.7",
			"10.0.0.7"},
		{"field and annotation agree", "INTERFACES: two that disagree are refused", LAN, "",
			"d/a ip=10.0.0.7 metallb.io/loadBalancerIPs=10.0.0.7", "10.0.0.7"},
		{"field and annotation disagree", "INTERFACES: refused, naming both", LAN, "",
			"d/a ip=10.0.0.7 metallb.io/loadBalancerIPs=10.0.0.8",
			"requestConflict 10.0.0.7; requestConflict 10.0.0.8; requestConflict "
			"spec.loadBalancerIP"},
		{"two annotations disagree", "INTERFACES: refused, naming both", LAN, "",
			"d/a metallb.io/loadBalancerIPs=10.0.0.7 "
			"kube-vip.io/loadbalancerIPs=10.0.0.8",
			"requestConflict metallb.io/loadBalancerIPs; requestConflict "
			"kube-vip.io/loadbalancerIPs"},
		{"a pool without automatic assignment", "MetalLB autoAssign",
			POOLS POOL_("p", "10.0.0.0/24", "autoAssign: false"), "", "d/a ip=10.0.0.7",
			"10.0.0.7"},
		{"in no pool", "MetalLB Assign: not allowed in config", LAN, "", "d/a ip=10.9.9.9",
			"requestNotInPool 10.9.9.9"},
		{"just outside of the range", "MetalLB IPAddressPool addresses", LAN, "",
			"d/a ip=10.0.0.10", "requestNotInPool 10.0.0.10"},
		{"in use", "MetalLB 1.2 (1)", LAN, "d/x", "d/a ip=10.0.0.1",
			"addressInUse d/x; d/x = 10.0.0.1"},
		{"in use, then free", "MetalLB 1.1: pending ones are retried", LAN,
			"d/x; d/a ip=10.0.0.1", "- d/x", "d/a = 10.0.0.1"},
		{"of a pool for another namespace", "MetalLB serviceAllocation",
			POOLS POOL_("p", "10.0.0.0/24", FOR_NS("web")) POOL("q", "10.0.1.0/24"), "",
			"d/a ip=10.0.0.7", "poolNotAdmitted p"},
		{"of a pool for its namespace", "MetalLB serviceAllocation",
			POOLS POOL_("p", "10.0.0.0/24", FOR_NS("web")), "", "web/a ip=10.0.0.7",
			"10.0.0.7"},
		{"not an address", "MetalLB 2.3 LoadBalancerFailed", LAN, "", "d/a ip=auto",
			"badRequest auto"},
		{"a network", "MetalLB 2.3 LoadBalancerFailed", LAN, "", "d/a ip=10.0.0.0/24",
			"badRequest 10.0.0.0/24"},
		{"an address with leading zeros", "RFC 6943 3.1.1: ambiguous", LAN, "",
			"d/a ip=10.0.0.007", "badRequest 10.0.0.007"},
		{"0.0.0.0, kube-vip's word for DHCP", "kube-vip 1.1: no DHCP here", LAN, "",
			"d/a kube-vip.io/loadbalancerIPs=0.0.0.0", "badRequest 0.0.0.0"},
		{"an empty wish is none", "MetalLB getDesiredLbIPs", LAN, "",
			"d/a metallb.io/loadBalancerIPs=", "10.0.0.1"},
		{"another family than the Service's", "MetalLB allocateIPs", DUAL, "",
			"d/a ip=fd00::5", "familyMismatch fd00::5"},
		{"IPv6", "k8s Service API: loadBalancerIP", DUAL, "",
			"d/a families=IPv6 ip=fd00::5", "fd00::5"},
		{"IPv6, in another spelling", "RFC 5952", DUAL, "",
			"d/a families=IPv6 ip=FD00:0:0:0::5", "fd00::5"},
		{"asked for after it had one", "MetalLB 1.1: annotation edit re-allocates", LAN,
			"d/a", "d/a ip=10.0.0.7", "10.0.0.7"},
		{"what it had before is free then", "MetalLB 1.1",
			POOLS POOL("p", "10.0.0.1-10.0.0.2"), "d/a; d/a ip=10.0.0.2", "d/b",
			"10.0.0.1"},
		{"no longer asked for: it stays", "MetalLB convergeBalancer", LAN,
			"d/a ip=10.0.0.7", "d/a", "10.0.0.7"},
		{"asked for in vain: what it had is gone", "MetalLB convergeBalancer", LAN,
			"d/x; d/a", "d/a ip=10.0.0.1", "addressInUse d/x"},
		{"nonsense costs nothing that works", "DESIGN 1.6", LAN, "d/a", "d/a ip=auto",
			"10.0.0.1 but badRequest auto"},
		{"nor does a contradiction", "DESIGN 1.6", LAN, "d/a",
			"d/a ip=10.0.0.7 metallb.io/loadBalancerIPs=10.0.0.8",
			"10.0.0.1 but requestConflict 10.0.0.8"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_pool(void)
{
	static const struct alloc_case row[] = {
		{"lbd.io/address-pool", "synonyms", TWO_POOLS, "", "d/a lbd.io/address-pool=q",
			"10.0.1.1"},
		{"metallb.io/address-pool", "MetalLB 1.1", TWO_POOLS, "",
			"d/a metallb.io/address-pool=q", "10.0.1.1"},
		{"metallb.universe.tf/address-pool", "MetalLB 1.1", TWO_POOLS, "",
			"d/a metallb.universe.tf/address-pool=q", "10.0.1.1"},
		{"eip.openelb.kubesphere.io/v1alpha2", "OpenELB 1.5", TWO_POOLS, "",
			"d/a eip.openelb.kubesphere.io/v1alpha2=q", "10.0.1.1"},
		{"two that agree", "INTERFACES: two that disagree are refused", TWO_POOLS, "",
			"d/a metallb.io/address-pool=q metallb.universe.tf/address-pool=q",
			"10.0.1.1"},
		{"two that disagree", "INTERFACES: refused, naming both", TWO_POOLS, "",
			"d/a metallb.io/address-pool=q lbd.io/address-pool=p",
			"requestConflict metallb.io/address-pool; requestConflict "
			"lbd.io/address-pool"},
		{"without automatic assignment", "MetalLB autoAssign",
			POOLS POOL("p", "10.0.0.1") POOL_("q", "10.0.1.1", "autoAssign: false"), "",
			"d/a metallb.io/address-pool=q", "10.0.1.1"},
		{"unknown", "MetalLB AllocateFromPool: unknown pool", TWO_POOLS, "",
			"d/a metallb.io/address-pool=none", "poolUnknown none"},
		{"unknown, then known", "DESIGN 1.2: level-triggered", LAN EDIT TWO_POOLS,
			"d/a metallb.io/address-pool=q", "edit", "d/a = 10.0.1.1"},
		{"not for this namespace", "MetalLB isPoolCompatibleWithService",
			POOLS POOL("p", "10.0.0.1") POOL_("q", "10.0.1.1", FOR_NS("web")), "",
			"d/a metallb.io/address-pool=q", "poolNotAdmitted q"},
		{"not for these labels", "MetalLB isPoolCompatibleWithService",
			POOLS POOL_("q", "10.0.1.1", SELECTING("{matchLabels: {tier: front}}")), "",
			"d/a metallb.io/address-pool=q", "poolNotAdmitted q"},
		{"full, though another is not", "MetalLB AllocateFromPool", TWO_POOLS,
			"d/x ip=10.0.1.1; d/y ip=10.0.1.2", "d/a metallb.io/address-pool=q",
			"poolExhausted q"},
		{"with an address of it", "MetalLB allocateIPs", TWO_POOLS, "",
			"d/a metallb.io/address-pool=q ip=10.0.1.2", "10.0.1.2"},
		{"with an address of another", "MetalLB allocateIPs: not compatible", TWO_POOLS, "",
			"d/a metallb.io/address-pool=q ip=10.0.0.7", "requestConflict 10.0.0.7"},
		{"asked for after it had an address of another", "MetalLB convergeBalancer",
			TWO_POOLS, "d/a", "d/a metallb.io/address-pool=q", "10.0.1.1"},
		{"asked for after it had one of it", "MetalLB convergeBalancer", TWO_POOLS,
			"d/a ip=10.0.1.2", "d/a metallb.io/address-pool=q", "10.0.1.2"},
		{"no longer asked for: it stays", "MetalLB convergeBalancer", TWO_POOLS,
			"d/a metallb.io/address-pool=q", "d/a", "10.0.1.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_whose(void)
{
#define CLASSES(more) NATIVE more "pools:\n" POOL("p", "10.0.0.1-10.0.0.9")
	static const struct alloc_case row[] = {
		{"no class", "INTERFACES classless", LAN, "", "d/a", "10.0.0.1"},
		{"lbd's class", "k8s Service API: loadBalancerClass", LAN, "",
			"d/a class=lbd.io/lbd", "10.0.0.1"},
		{"another class", "k8s Service API: loadBalancerClass", LAN, "",
			"d/a class=example.com/lb", "nothing"},
		{"another class with its own status", "k8s Service API: loadBalancerClass", LAN, "",
			"d/a class=example.com/lb status=10.9.9.9", "left 10.9.9.9"},
		{"another class with a host name", "k8s Service API: loadBalancerClass", LAN, "",
			"d/a class=example.com/lb hostname=lb.example.com", "left lb.example.com"},
		{"a class that only begins so", "k8s Service API: loadBalancerClass", LAN, "",
			"d/a class=lbd.io/lbd2", "nothing"},
		{"a class of our own list", "INTERFACES loadBalancerClasses",
			CLASSES("loadBalancerClasses: [lbd.io/lbd, example.com/lb]\n"), "",
			"d/a class=example.com/lb", "10.0.0.1"},
		{"classless: false", "INTERFACES classless", CLASSES("classless: false\n"), "",
			"d/a", "nothing"},
		{"classless: false, foreign status", "INTERFACES classless",
			CLASSES("classless: false\n"), "", "d/a status=10.9.9.9", "left 10.9.9.9"},
		{"classless: false, our class", "INTERFACES classless",
			CLASSES("classless: false\n"), "", "d/a class=lbd.io/lbd", "10.0.0.1"},
		{"lbd.io/ignore", "INTERFACES: lbd.io/ignore", LAN, "", "d/a lbd.io/ignore=true",
			"ignored"},
		{"lbd.io/ignore on one that had an address", "INTERFACES: lbd.io/ignore", LAN,
			"d/a", "d/a lbd.io/ignore=true", "ignored"},
		{"lbd.io/ignore frees the address", "INTERFACES: lbd.io/ignore",
			POOLS POOL("p", "10.0.0.1"), "d/x; d/x lbd.io/ignore=true", "d/a",
			"10.0.0.1"},
		{"ClusterIP", "k8s Service API: type", LAN, "", "d/a type=ClusterIP", "nothing"},
		{"NodePort", "k8s Service API: type", LAN, "", "d/a type=NodePort", "nothing"},
		{"ExternalName", "k8s Service API: type", LAN, "", "d/a type=ExternalName",
			"nothing"},
		{"LoadBalancer no more", "MetalLB 1.1: released on type change",
			POOLS POOL("p", "10.0.0.1"), "d/x; d/a", "d/x type=ClusterIP",
			"nothing; d/a = 10.0.0.1"},
		{"LoadBalancer at last", "k8s Service API: type", LAN, "d/a type=NodePort", "d/a",
			"10.0.0.1"},
		{"no cluster IP", "MetalLB noClusterIPs", LAN, "", "d/a oldserver=None",
			"noClusterIP"},
		{"a cluster IP not given yet", "MetalLB noClusterIPs", LAN, "",
			"d/a oldserver=", "noClusterIP"},
		{"an old server: the family is the cluster IP's", "MetalLB ForService", DUAL, "",
			"d/a oldserver=fd43::7", "fd00::1"},
		{"being deleted", "MetalLB serviceDeleted", LAN, "",
			"d/a deletionTimestamp=2024-05-01T11:00:00Z", "serviceDeleted"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

CHECK_MAIN("test_alloc_asking", CHECK_TEST(test_address), CHECK_TEST(test_pool),
	CHECK_TEST(test_whose))
