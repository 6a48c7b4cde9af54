/* SPDX-License-Identifier: Apache-2.0
 *
 * test_alloc_change.c - pools that are edited, another leader, statuses that somebody else wrote.
 *
 * As test_alloc_table.c.
 */
#include "alloc_case.h"

#define UPPER(more) POOLS POOL_("lan", "10.0.0.5-10.0.0.9", "reallocate: " more)
#define KEY         "metallb.io/allow-shared-ip=k"

static void test_edit(void)
{
	static const struct alloc_case row[] = {
		{"a dropped address stays", "issue 3 (4)", LAN EDIT UPPER("false"), "d/a", "edit",
			"d/a = 10.0.0.1 ~ 10.0.0.1"},
		{"and nobody else gets it", "issue 3 (4)", LAN EDIT UPPER("false"), "d/x; edit",
			"d/a ip=10.0.0.1", "requestNotInPool; d/x = 10.0.0.1"},
		{"both of two families stay", "issue 3 (4)",
			DUAL EDIT POOLS POOL("lan", "10.0.0.5, 'fd00::5'"),
			"d/a policy=RequireDualStack families=IPv4,IPv6", "edit",
			"d/a = 10.0.0.1,fd00::1"},
		{"shared, it stays with both", "issue 3 (4)", LAN EDIT UPPER("false"),
			"d/x " KEY "; d/a " KEY " ports=UDP/53", "edit",
			"d/a = 10.0.0.1; d/x = 10.0.0.1"},
		{"reallocate: true moves it", "issue 3 (4)",
			POOLS POOL_("lan", "10.0.0.1-10.0.0.9", "reallocate: true")
				EDIT UPPER("true"),
			"d/a", "edit", "d/a = 10.0.0.5"},
		{"reallocate: true that comes with the edit", "issue 3 (4)", LAN EDIT UPPER("true"),
			"d/a", "edit", "d/a = 10.0.0.5"},
		{"MetalLB's documents move it", "MetalLB 1.1: since 0.14.2 re-assigned",
			METALLB("lan", "10.0.0.1-10.0.0.9")
				EDIT METALLB("lan", "10.0.0.5-10.0.0.9"),
			"d/a", "edit", "d/a = 10.0.0.5"},
		{"who is not concerned stays", "DESIGN 1.3",
			METALLB("lan", "10.0.0.1-10.0.0.9")
				EDIT METALLB("lan", "10.0.0.5-10.0.0.9"),
			"d/x; d/a ip=10.0.0.7; d/a", "edit", "d/a = 10.0.0.7; d/x = 10.0.0.5"},
		{"a pool that goes", "issue 3 (4)", LAN EDIT POOLS POOL("new", "10.0.1.1"), "d/a",
			"edit", "d/a = 10.0.0.1"},
		{"MetalLB's pool that goes", "MetalLB 1.1: since 0.14.2 re-assigned",
			METALLB("lan", "10.0.0.1-10.0.0.9") EDIT METALLB("new", "10.0.1.1/32"),
			"d/a", "edit", "d/a = 10.0.1.1"},
		{"MetalLB's pool that goes, and nothing else is there",
			"MetalLB 1.1: since 0.14.2 cleared",
			METALLB("lan", "10.0.0.1-10.0.0.9")
				EDIT METALLB_("new", "10.0.1.1/32", ", autoAssign: false"),
			"d/a", "edit", "d/a = noFittingPool"},
		{"all pools go", "DESIGN 1.3", LAN EDIT NATIVE "servicelb: {mode: never}\n", "d/a",
			"edit", "d/a = 10.0.0.1"},
		{"a pool gets another name", "DESIGN 1.3",
			LAN EDIT POOLS POOL("wlan", "10.0.0.1-10.0.0.9"), "d/a", "edit",
			"d/a = 10.0.0.1"},
		{"an address goes to another pool", "DESIGN 1.3",
			LAN EDIT POOLS POOL("lan", "10.0.0.5-10.0.0.9")
				POOL("low", "10.0.0.1-10.0.0.4"),
			"d/a", "edit", "d/a = 10.0.0.1"},
		{"a better priority comes: nobody moves", "DESIGN 1.3",
			LAN EDIT LAN POOL_("new", "10.0.1.1", FOR("1", "d")), "d/a", "edit",
			"d/a = 10.0.0.1"},
		{"autoAssign goes: nobody moves", "MetalLB autoAssign",
			LAN EDIT POOLS POOL_("lan", "10.0.0.1-10.0.0.9", "autoAssign: false"),
			"d/a", "edit", "d/a = 10.0.0.1"},
		{"the pool is for others now: who has one stays", "issue 3 (4)",
			LAN EDIT POOLS POOL_("lan", "10.0.0.1-10.0.0.9", FOR_NS("web")), "d/a",
			"edit", "d/a = 10.0.0.1"},
		{"MetalLB's pool is for others now", "MetalLB Assign: isPoolCompatibleWithService",
			METALLB("lan", "10.0.0.1-10.0.0.9") METALLB("new", "10.0.1.1/32")
				EDIT METALLB_("lan", "10.0.0.1-10.0.0.9",
					", serviceAllocation: {namespaces: [web]}")
					METALLB("new", "10.0.1.1/32"),
			"d/a", "edit", "d/a = 10.0.1.1"},
		{"a pool that grows serves who waits", "MetalLB 1.1: pending ones are retried",
			POOLS POOL("lan", "10.0.0.1") EDIT POOLS POOL("lan", "10.0.0.1-10.0.0.2"),
			"d/x; d/a", "edit", "d/a = 10.0.0.2"},
		{"a pool that comes serves who waits", "MetalLB 1.1: pending ones are retried",
			NATIVE "servicelb: {mode: never}\n" EDIT LAN, "d/a", "edit",
			"d/a = 10.0.0.1"},
		{"dropped and taken in again", "issue 3 (4)", LAN EDIT UPPER("false"), "d/x; edit",
			"d/a", "10.0.0.5"},
		{"it asks for what is there: it moves", "k8s Service API: loadBalancerIP",
			LAN EDIT UPPER("false"), "d/a; edit", "d/a ip=10.0.0.7", "10.0.0.7"},
		{"classless: false comes: lbd lets go", "INTERFACES classless",
			LAN EDIT NATIVE
			"classless: false\npools:\n" POOL("lan", "10.0.0.1-10.0.0.9"),
			"d/a", "edit", "d/a = nothing"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

static void test_leader(void)
{
#define OLD   "created=2020-01-01T00:00:00Z"
#define YOUNG "created=2023-01-01T00:00:00Z"
	static const struct alloc_case row[] = {
		{"every address is adopted", "DESIGN 3", LAN, "d/x; d/y; - d/x; d/z ip=10.0.0.9",
			"leader", "d/y = 10.0.0.2; d/z = 10.0.0.9"},
		{"adopted before any is given", "DESIGN 3", LAN,
			"mute; d/a " OLD "; d/x " YOUNG " status=10.0.0.1", "leader",
			"d/x = 10.0.0.1; d/a = 10.0.0.2"},
		{"one that another pool would give now", "DESIGN 3: still lawful",
			POOLS POOL("p", "10.0.0.1") POOL("q", "10.0.1.1"),
			"mute; d/a status=10.0.1.1", "leader", "d/a = 10.0.1.1"},
		{"doubled: the elder keeps", "DESIGN 3: creationTimestamp", LAN,
			"mute; d/a " YOUNG " status=10.0.0.1; d/b " OLD " status=10.0.0.1",
			"leader", "d/b = 10.0.0.1; d/a = 10.0.0.2 ~ d/b"},
		{"doubled, of one age: the lower UID keeps", "DESIGN 3: then UID", LAN,
			"mute; d/a " OLD " uid=bbb status=10.0.0.1; d/b " OLD
			" uid=aaa status=10.0.0.1",
			"leader", "d/b = 10.0.0.1; d/a = 10.0.0.2"},
		{"doubled, no timestamp: the one with an age keeps", "DESIGN 3", LAN,
			"mute; d/a created= status=10.0.0.1; d/b " YOUNG " status=10.0.0.1",
			"leader", "d/b = 10.0.0.1; d/a = 10.0.0.2"},
		{"doubled, and no other is free", "DESIGN 3", POOLS POOL("p", "10.0.0.1"),
			"mute; d/a " YOUNG " status=10.0.0.1; d/b " OLD " status=10.0.0.1",
			"leader", "d/b = 10.0.0.1; d/a = poolExhausted"},
		{"of one second, none has one: in the order of their names",
			"DESIGN 3: deterministic", LAN,
			"mute; d/c " OLD " uid=aaa; d/b " OLD " uid=bbb; d/a " OLD " uid=ccc",
			"leader", "d/a = 10.0.0.1; d/b = 10.0.0.2; d/c = 10.0.0.3"},
		{"none has one: the elder first", "DESIGN 3: deterministic", LAN,
			"mute; d/a " YOUNG "; d/b " OLD, "leader",
			"d/b = 10.0.0.1; d/a = 10.0.0.2"},
		{"doubled lawfully: both keep", "MetalLB 1.2", LAN,
			"mute; d/a " KEY " status=10.0.0.1; d/b " KEY
			" ports=UDP/53 status=10.0.0.1",
			"leader", "d/a = 10.0.0.1; d/b = 10.0.0.1"},
		{"doubled in one of two families", "DESIGN 3", DUAL,
			"mute; d/a policy=RequireDualStack families=IPv4,IPv6 " YOUNG
			" status=10.0.0.1,fd00::1; d/b families=IPv6 " OLD " status=fd00::1",
			"leader", "d/b = fd00::1; d/a = 10.0.0.1,fd00::2"},
		{"what it asks for, not what it shows", "k8s Service API: loadBalancerIP", LAN,
			"mute; d/a ip=10.0.0.7 status=10.0.0.3", "leader", "d/a = 10.0.0.7"},
		{"another leader's order of families", "k8s dual-stack", DUAL,
			"mute; d/a policy=PreferDualStack families=IPv4,IPv6 written=lan "
			"status=10.0.0.1,fd00::1",
			"leader", "d/a = 10.0.0.1,fd00::1"},
		{"MetalLB's status is taken over as it is",
			"issue 3: nobody has to change a manifest",
			METALLB("lan", "10.0.0.1-10.0.0.9"),
			"mute; d/a metallb.io/ip-allocated-from-pool=lan status=10.0.0.4; d/b",
			"leader", "d/b = 10.0.0.1"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

/* CVE-2020-8554: whoever may write a Service's status must not get another host's traffic. */
static void test_foreign(void)
{
#define FOREIGN "DESIGN 3: CVE-2020-8554"
	static const struct alloc_case row[] = {
		{"a public address", FOREIGN, LAN, "", "d/a status=8.8.8.8", "10.0.0.1"},
		{"written over ours", FOREIGN, LAN, "d/a", "d/a status=8.8.8.8; +10", "10.0.0.1"},
		{"beside ours", FOREIGN, LAN, "d/a", "d/a status=10.0.0.1,8.8.8.8; +10",
			"10.0.0.1"},
		{"before ours", FOREIGN, LAN, "d/a", "d/a status=8.8.8.8,10.0.0.1; +10",
			"10.0.0.1"},
		{"and no address is free", FOREIGN, POOLS POOL("p", "10.0.0.1"), "d/x",
			"d/a status=8.8.8.8", "poolExhausted; d/x = 10.0.0.1"},
		{"found by a new leader", FOREIGN, LAN, "mute; d/a status=8.8.8.8", "leader",
			"d/a = 10.0.0.1"},
		{"of another Service", "DESIGN 3: the first holder known keeps", LAN, "d/x",
			"d/a status=10.0.0.1", "10.0.0.2; d/x = 10.0.0.1"},
		{"of an elder's, who knew it first", "DESIGN 3: the first holder known keeps", LAN,
			"d/x", "d/a " OLD " status=10.0.0.1", "10.0.0.2; d/x = 10.0.0.1"},
		{"of a pool for another namespace", FOREIGN,
			POOLS POOL_("web", "10.0.2.1", FOR_NS("web"))
				POOL("lan", "10.0.0.1-10.0.0.9"),
			"", "d/a status=10.0.2.1", "10.0.0.1"},
		{"loopback", FOREIGN, LAN, "", "d/a status=127.0.0.1", "10.0.0.1"},
		{"a cluster IP", FOREIGN, LAN, "", "d/a status=10.43.0.9", "10.0.0.1"},
		{"of the other family", FOREIGN, DUAL, "", "d/a status=fd00::5", "10.0.0.1"},
		{"of the other family, beside a wish that is nonsense", FOREIGN, DUAL,
			"mute; d/a ip=auto status=fd00::5", "leader", "d/a = badRequest auto"},
		{"an IPv4 address in IPv6's clothes", FOREIGN, LAN, "", "d/a status=::ffff:8.8.8.8",
			"10.0.0.1"},
		{"a host name", FOREIGN, LAN, "", "d/a hostname=evil.example.com", "10.0.0.1"},
		{"the marker proves nothing", FOREIGN, LAN, "", "d/a written=lan status=8.8.8.8",
			"10.0.0.1"},
		{"externalIPs are no request", FOREIGN, LAN, "", "d/a external=8.8.8.8",
			"10.0.0.1"},
		{"externalIPs of ClusterIP", FOREIGN, LAN, "",
			"d/a type=ClusterIP external=10.0.0.5", "nothing"},
		{"externalIPs hold nothing", FOREIGN, LAN, "d/x type=ClusterIP external=10.0.0.1",
			"d/a", "10.0.0.1"},
		{"another class shows an address of our pool", "k8s Service API: loadBalancerClass",
			LAN, "d/x class=example.com/lb status=10.0.0.1",
			"d/a class=example.com/lb status=8.8.8.8",
			"left 8.8.8.8; d/x = left 10.0.0.1"},
		{"ClusterIP with a foreign status is left alone", "k8s Service API: type", LAN, "",
			"d/a type=ClusterIP status=8.8.8.8", "left 8.8.8.8"},
	};

	case_run_all(row, ARRAY_LEN(row));
}

CHECK_MAIN("test_alloc_change", CHECK_TEST(test_edit), CHECK_TEST(test_leader),
	CHECK_TEST(test_foreign))
