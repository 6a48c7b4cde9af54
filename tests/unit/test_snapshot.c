/* SPDX-License-Identifier: Apache-2.0
 *
 * test_snapshot.c - a picture to text and back, in slices; text that is none.
 */
#include "snapshot.h"

#include "check.h"
#include "oom.h"
#include "snapshot_text.h"
#include "world.h"

#include <errno.h>

static const struct snapshot_owner me = {"n1", "kube-system"};

static struct world w;

/* One of everything that has an oddity. */
static void fill(struct world *to)
{
	world_open(to, "n1");
	world_node(to, "n1", "'disk':'ssd','quote':'a\\\"b\\\\c\\u0001'",
		"'conditions':[{'type':'Ready','status':'True'},{'type':'NetworkUnavailable','"
		"status':'True'}],'addresses':[{'type':'InternalIP','address':'10.0.0.1'},{'type':'"
		"ExternalIP','address':'2001:db8::1'}]");
	world_node(to, "n2", "'node.kubernetes.io/exclude-from-external-load-balancers':''", "");
	world_service(to, "web", "'10.0.0.100'",
		"'lbd.io/allow-shared-ip':'k','lbd.io/ip-allocated-from-pool':'lan'", "");
	world_endpoints(to, "web", "n1,n1,n2");
	world_service(to, "local", "'10.0.0.101','10.0.0.102'", "'lbd.io/ignore':'true'",
		",'externalTrafficPolicy':'Local','loadBalancerClass':'lbd.io/"
		"lbd','selector':{'b':'2','a':'x=y,z'},"
		"'ports':[{'port':53,'protocol':'UDP'},{'port':54,'protocol':'SCTP'},{'port':55,'"
		"protocol':'X'}]");
	world_service(to, "six", "'fd00::100'", "'lb.kubesphere.io/v1alpha1':'openelb'", "");
	world_service(to, "pending", "", "", "");
	world_apply(to, CLUSTER_SERVICE, CLUSTER_PUT,
		world_json("{'metadata':{'namespace':'a','name':'odd','uid':'o','resourceVersion':"
			   "'9','creationTimestamp':'1969-02-28T23:59:59Z','deletionTimestamp':'x'}"
			   ",'spec':{'type':'LoadBalancer'},'status':{'loadBalancer':{'ingress':[{'"
			   "ip':'10.0.0.105','ipMode':'Proxy'},{'hostname':'h'}]}}}"));
	world_apply(to, CLUSTER_ENDPOINT_SLICE, CLUSTER_PUT,
		world_json(
			"{'metadata':{'namespace':'a','name':'odd-x','resourceVersion':'9','labels'"
			":{'kubernetes.io/service-name':'odd'}},'endpoints':[{'addresses':['1.1.1."
			"1'],'conditions':{'ready':false,'serving':true,'terminating':true},'"
			"nodeName':'n2'},{'addresses':['1.1.1.2']}]}"));
	world_apply(to, CLUSTER_ENDPOINT_SLICE, CLUSTER_PUT,
		world_json("{'metadata':{'namespace':'a','name':'odd-y','resourceVersion':'9','"
			   "labels':{'kubernetes.io/service-name':'odd'}},'endpoints':[{'"
			   "addresses':['1.1.1.3'],'nodeName':'n2'},{'addresses':['1.1.1.4'],'"
			   "nodeName':'n1'},{'addresses':['1.1.1.5'],'nodeName':'n2','conditions':{'"
			   "ready':false,'serving':true,'terminating':true}}]}"));
	world_apply(to, CLUSTER_LEASE, CLUSTER_PUT,
		world_json("{'metadata':{'name':'lbd-node-n2','uid':'l','resourceVersion':'8','"
			   "labels':{'lbd.io/lease':'node'},'annotations':{'lbd.io/node':'n2','lbd."
			   "io/macs':'eth0=02:00:00:00:00:02','lbd.io/subnets':'10.0.0.0/24','lbd."
			   "io/draining':'by hand','lbd.io/schema':'1'}},'spec':{'holderIdentity':'"
			   "n2/b/1','leaseDurationSeconds':40,'renewTime':'2026-01-01T00:00:00."
			   "000000Z'}}"));
	world_apply(to, CLUSTER_LEASE, CLUSTER_PUT,
		world_json("{'metadata':{'name':'lbd-claims-n1','uid':'c','resourceVersion':'8','"
			   "labels':{'lbd.io/lease':'claims'},'annotations':{'lbd.io/node':'n1','"
			   "lbd.io/claims':'4:10.0.0.100-2','lbd.io/claims-generation':'7'}},'spec'"
			   ":{'holderIdentity':'n1/b/1'}}"));
	world_apply(to, CLUSTER_LEASE, CLUSTER_PUT,
		world_json("{'metadata':{'name':'lbd-leader','uid':'d','resourceVersion':'8','"
			   "labels':{'lbd.io/lease':'leader'}},'spec':{'holderIdentity':'n2_x'}}"));
}

static bool same_labels(const struct labels *a, const struct labels *b)
{
	return label_equal(a, b);
}

static void check_service(const struct cluster *a, const struct cluster *b, const char *key)
{
	struct cluster_service s, t;

	check_row = key;
	CHECK(cluster_service(a, key, &s));
	if (!cluster_service(b, key, &t)) {
		CHECK(false);
		return;
	}
	CHECK_STR(t.uid, s.uid);
	CHECK_STR(t.resource_version, "");
	CHECK_INT(t.created_s, s.created_s);
	CHECK(t.deleting == s.deleting && t.local == s.local);
	CHECK(t.has_cluster_ip == s.has_cluster_ip && t.ingress_foreign == s.ingress_foreign);
	CHECK(t.ingress_not_vip_mode == s.ingress_not_vip_mode);
	CHECK(t.request.ignore == s.request.ignore && t.request.openelb == s.request.openelb);
	CHECK_STR(t.request.sharing_key != NULL ? t.request.sharing_key : "",
		s.request.sharing_key != NULL ? s.request.sharing_key : "");
	CHECK_STR(t.pool_written != NULL ? t.pool_written : "",
		s.pool_written != NULL ? s.pool_written : "");
	CHECK_STR(t.class_ != NULL ? t.class_ : "", s.class_ != NULL ? s.class_ : "");
	CHECK_STR(t.backend_key, s.backend_key);
	CHECK(same_labels(&t.labels, &s.labels));
	CHECK_INT(t.n_ingress, s.n_ingress);
	for (size_t i = 0; i < s.n_ingress && i < t.n_ingress; i++)
		CHECK(addr_eq(t.ingress[i], s.ingress[i]));
	CHECK_INT(t.n_families, s.n_families);
	CHECK_INT(t.n_ports, s.n_ports);
	for (size_t i = 0; i < s.n_ports && i < t.n_ports; i++)
		CHECK(t.ports[i].port == s.ports[i].port &&
			t.ports[i].protocol == s.ports[i].protocol);
	for (size_t i = 0; i < 2; i++) {
		struct cluster_endpoints x = cluster_endpoints(a, key, i == 0 ? "n1" : "n2");
		struct cluster_endpoints y = cluster_endpoints(b, key, i == 0 ? "n1" : "n2");

		CHECK((x.ready > 0) == (y.ready > 0));
		CHECK((x.ready_on_node > 0) == (y.ready_on_node > 0));
	}
}

static void test_there_and_back(void)
{
	static const char *const services[] = {
		"default/web", "default/local", "default/six", "a/odd"};
	struct cluster *c;
	uint64_t sequence = 0;
	char *text, *again;
	const struct cluster_lease *l;
	const struct cluster_node *n;

	fill(&w);
	text = snapshot_text(w.cluster, &me, NULL, 41);
	CHECK_INT(snapshot_check(text, strlen(text), &me, &sequence), SNAPSHOT_FINE);
	CHECK_INT(sequence, 41);
	c = cluster_new(&w.hkey, NULL);
	CHECK_INT(snapshot_apply(text, strlen(text), c), 2 + 2 + 4 + 4);
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		check_service(w.cluster, c, services[i]);
	check_row = "the rest";
	CHECK_INT(cluster_count(c, CLUSTER_SERVICE), 4);
	n = cluster_node(c, "n1");
	CHECK(n != NULL && n->ready && n->network_unavailable && !n->excluded);
	CHECK(n != NULL && n->n_internal_ips == 1 && n->n_external_ips == 1);
	CHECK(n != NULL && same_labels(&n->labels, &cluster_node(w.cluster, "n1")->labels));
	CHECK(cluster_node(c, "n2") != NULL && cluster_node(c, "n2")->excluded);
	l = cluster_lease(c, "lbd-node-n2");
	CHECK(l != NULL && l->role == CLUSTER_LEASE_NODE && l->duration_ms == 40000);
	CHECK_STR(l != NULL ? l->macs : NULL, "eth0=02:00:00:00:00:02");
	CHECK_STR(l != NULL ? l->draining : NULL, "by hand");
	CHECK_STR(l != NULL ? l->holder : NULL, "n2/b/1");
	l = cluster_lease(c, "lbd-claims-n1");
	CHECK_STR(l != NULL ? l->claims : NULL, "4:10.0.0.100-2");
	CHECK_INT(l != NULL ? l->claims_generation : 0, 7);
	CHECK(cluster_lease(c, "lbd-leader") == NULL);
	/* What was read says the same again. */
	again = snapshot_text(c, &me, NULL, 41);
	CHECK_STR(again, text);
	free(text);
	free(again);
	cluster_free(c);
	world_close(&w);
}

/* The first real list finds nothing to leave out: all is decoded anew, and what is gone goes. */
static void test_replaced_by_the_list(void)
{
	struct cluster_service s;
	struct cluster *c;
	char *text;

	fill(&w);
	text = snapshot_text(w.cluster, &me, NULL, 1);
	c = cluster_new(&w.hkey, NULL);
	(void)snapshot_apply(text, strlen(text), c);
	cluster_clean(c);
	cluster_list_begin(c, CLUSTER_SERVICE);
	for (int i = 0; i < 1; i++) {
		cJSON *o = world_service_json(77, "web", "'10.0.0.100'", "", "");

		CHECK_INT(cluster_apply(c, CLUSTER_SERVICE, CLUSTER_PUT, o), 0);
		cJSON_Delete(o);
	}
	cluster_list_end(c, CLUSTER_SERVICE);
	CHECK_INT(cluster_count(c, CLUSTER_SERVICE), 1);
	CHECK(cluster_service(c, "default/web", &s));
	CHECK_STR(s.resource_version, "77");
	cluster_list_begin(c, CLUSTER_ENDPOINT_SLICE);
	cluster_list_end(c, CLUSTER_ENDPOINT_SLICE);
	CHECK_INT(cluster_count(c, CLUSTER_ENDPOINT_SLICE), 0);
	free(text);
	cluster_free(c);
	world_close(&w);
}

/* What this node owns by now, in the place of what it last published. */
static void test_own_claims(void)
{
	char *text;

	fill(&w);
	text = snapshot_text(w.cluster, &me, "9:10.0.0.101", 1);
	CHECK(strstr(text, "9:10.0.0.101") != NULL && strstr(text, "4:10.0.0.100-2") == NULL);
	free(text);
	world_close(&w);
}

static void test_faults(void)
{
	static const struct snapshot_owner node = {"n2", "kube-system"}, namespace_ = {"n1", "lbd"};
	uint64_t sequence = 5;
	char *text, *other;
	size_t n;

	fill(&w);
	text = snapshot_text(w.cluster, &me, NULL, 1);
	n = strlen(text);
	CHECK_INT(snapshot_check(text, n, &node, &sequence), SNAPSHOT_FOREIGN);
	CHECK_INT(snapshot_check(text, n, &namespace_, &sequence), SNAPSHOT_FOREIGN);
	/* Cut short anywhere. */
	for (size_t i = 0; i < n; i++) {
		unsigned char *p = check_guard(text, i);

		CHECK_INT(snapshot_check((const char *)p, i, &me, &sequence), SNAPSHOT_DAMAGED);
		check_unguard(p, i);
	}
	/* One bit turned anywhere. */
	for (size_t i = 0; i < n; i++) {
		text[i] ^= 1;
		CHECK(snapshot_check(text, n, &me, &sequence) != SNAPSHOT_FINE);
		text[i] ^= 1;
	}
	CHECK_INT(sequence, 5);
	/* Something behind it. */
	other = malloc(n + 1);
	memcpy(other, text, n);
	other[n] = '\n';
	CHECK_INT(snapshot_check(other, n + 1, &me, &sequence), SNAPSHOT_DAMAGED);
	free(other);
	CHECK_INT(snapshot_check("", 0, &me, &sequence), SNAPSHOT_DAMAGED);
	CHECK_INT(snapshot_check("\n\n\n", 3, &me, &sequence), SNAPSHOT_DAMAGED);
	CHECK_INT(snapshot_check(text, n, &me, &sequence), SNAPSHOT_FINE);
	free(text);
	world_close(&w);
	for (enum snapshot_fault f = SNAPSHOT_FINE; f <= SNAPSHOT_FOREIGN; f++)
		CHECK(snapshot_fault_text(f)[0] != '\0');
}

/* A sum that is right under a head that is not. */
static void test_other_schema(void)
{
	static const struct {
		const char *head;
		enum snapshot_fault want;
	} rows[] = {
		{"{\"kind\":\"lbd-snapshot\",\"schema\":2,\"node\":\"n1\",\"namespace\":\"kube-"
		 "system\"}\n",
			SNAPSHOT_OTHER_SCHEMA},
		{"{\"kind\":\"lbd-snapshot\",\"node\":\"n1\",\"namespace\":\"kube-system\"}\n",
			SNAPSHOT_OTHER_SCHEMA},
		{"{\"kind\":\"lbd-snapshot\",\"schema\":1}\n", SNAPSHOT_FOREIGN},
		{"{\"schema\":1}\n", SNAPSHOT_DAMAGED},
		{"[]\n", SNAPSHOT_DAMAGED},
		{"nonsense\n", SNAPSHOT_DAMAGED},
		{"", SNAPSHOT_DAMAGED},
		{"{\"kind\":\"lbd-snapshot\",\"schema\":1,\"node\":\"n1\",\"namespace\":\"kube-"
		 "system\"}\n",
			SNAPSHOT_FINE},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t sum = UINT64_C(0xcbf29ce484222325), sequence = 0;
		char text[512];
		int n = snprintf(text, sizeof text, "%s{\"sequence\":3,\"sum\":\"", rows[i].head);

		check_row = rows[i].head;
		for (int k = 0; k < n; k++)
			sum = (sum ^ (unsigned char)text[k]) * UINT64_C(0x100000001b3);
		n += snprintf(
			text + n, sizeof text - (size_t)n, "%016llx\"}\n", (unsigned long long)sum);
		CHECK_INT(snapshot_check(text, (size_t)n, &me, &sequence), rows[i].want);
	}
}

/* Objects that the picture refuses cost the others nothing. */
static void test_apply_nonsense(void)
{
	static const char text[] = "{\"kind\":\"Service\"}\n"
				   "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"}}\n"
				   "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"n1\"}}\n"
				   "{\"kind\":7}\n"
				   "[]\n"
				   "\n"
				   "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n2\"}}\n"
				   "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n3\"}}";

	world_open(&w, "n1");
	CHECK_INT(snapshot_apply(text, sizeof text - 1, w.cluster), 2);
	CHECK(cluster_node(w.cluster, "n2") != NULL && cluster_node(w.cluster, "n3") == NULL);
	world_close(&w);
}

/* Many slices, none much longer than it should be, while the picture changes. */
static void test_slices(void)
{
	enum { MANY = 2000 };
	struct snapshot_writer *s = snapshot_writer_new(&me, NULL);
	unsigned slices = 0;
	char name[16], ip[32];
	struct buf b;
	int r = 1;

	world_open(&w, "n1");
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof name, "s%u", i);
		(void)snprintf(ip, sizeof ip, "'10.1.%u.%u'", i / 250, i % 250);
		world_service(&w, name, ip, "", "");
	}
	buf_init(&b, SNAPSHOT_SLICE_MAX);
	for (; r == 1; slices++) {
		buf_reset(&b);
		r = snapshot_next(s, w.cluster, &b);
		CHECK(b.len < SNAPSHOT_SLICE + 2048);
		/* One that has been written changes, one goes. */
		(void)snprintf(name, sizeof name, "s%u", slices);
		world_service(&w, name, "'10.2.0.1'", "", "");
		world_apply(&w, CLUSTER_SERVICE, CLUSTER_DELETE,
			world_service_json(++w.rv, name, "", "", ""));
		cluster_clean(w.cluster);
	}
	CHECK_INT(r, 0);
	CHECK(slices > 10);
	snapshot_writer_free(s);
	buf_free(&b);
	world_close(&w);
}

/* The very object goes that the writer stands at. */
static void test_stale(void)
{
	struct snapshot_writer *s = snapshot_writer_new(&me, NULL);
	char name[16];
	struct buf b;

	world_open(&w, "n1");
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof name, "n%u", i);
		world_node(&w, name, "", "");
	}
	buf_init(&b, SNAPSHOT_SLICE_MAX);
	CHECK_INT(snapshot_next(s, w.cluster, &b), 1);
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof name, "n%u", i);
		world_apply(&w, CLUSTER_NODE, CLUSTER_DELETE,
			world_json("{'metadata':{'name':'%s'}}", name));
	}
	buf_reset(&b);
	CHECK_INT(snapshot_next(s, w.cluster, &b), -ESTALE);
	snapshot_writer_free(s);
	snapshot_writer_free(NULL);
	buf_free(&b);
	world_close(&w);
}

/* A renewal says nothing new, a MAC does. */
static void test_sum_of_leases(void)
{
	static const char lease[] = "{'metadata':{'name':'lbd-node-n2','resourceVersion':'%d','"
				    "annotations':{'lbd.io/macs':'eth0=02:00:00:00:00:%02d'}},'"
				    "spec':{'holderIdentity':'x','renewTime':'%d'}}";
	uint64_t sum;

	fill(&w);
	sum = snapshot_sum_leases(w.cluster);
	world_apply(&w, CLUSTER_LEASE, CLUSTER_PUT, world_json(lease, 100, 7, 1));
	CHECK(snapshot_sum_leases(w.cluster) != sum);
	sum = snapshot_sum_leases(w.cluster);
	world_apply(&w, CLUSTER_LEASE, CLUSTER_PUT, world_json(lease, 101, 7, 2));
	CHECK(snapshot_sum_leases(w.cluster) == sum);
	world_apply(&w, CLUSTER_LEASE, CLUSTER_PUT, world_json(lease, 102, 8, 2));
	CHECK(snapshot_sum_leases(w.cluster) != sum);
	world_close(&w);
}

static void test_no_memory(void)
{
#ifdef MEMORY_CAN_FAIL
	struct snapshot_writer *s = NULL;
	struct buf b;
	int r = -ENOMEM;

	fill(&w);
	for (long k = 0; s == NULL && k < 10; k++) {
		fail_after = k;
		s = snapshot_writer_new(&me, "1:10.0.0.1");
		fail_after = -1;
	}
	CHECK(s != NULL);
	buf_init(&b, SNAPSHOT_SLICE_MAX);
	for (long k = 0; r != 0 && k < 50; k++) {
		snapshot_writer_free(s);
		s = snapshot_writer_new(&me, NULL);
		buf_free(&b);
		fail_after = k;
		r = snapshot_next(s, w.cluster, &b);
		fail_after = -1;
		CHECK(r == 0 || r == -ENOMEM);
	}
	CHECK_INT(r, 0);
	snapshot_tail(s, 1, &b);
	for (long k = 0; k < 40; k++) {
		struct cluster *c = cluster_new(&w.hkey, NULL);

		fail_after = k;
		CHECK(snapshot_apply(b.p, b.len, c) <= 12);
		fail_after = -1;
		cluster_free(c);
	}
	snapshot_writer_free(s);
	buf_free(&b);
	world_close(&w);
#endif
}

CHECK_MAIN("test_snapshot", CHECK_TEST(test_there_and_back), CHECK_TEST(test_replaced_by_the_list),
	CHECK_TEST(test_own_claims), CHECK_TEST(test_faults), CHECK_TEST(test_other_schema),
	CHECK_TEST(test_apply_nonsense), CHECK_TEST(test_slices), CHECK_TEST(test_stale),
	CHECK_TEST(test_sum_of_leases), CHECK_TEST(test_no_memory))
