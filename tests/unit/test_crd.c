/* SPDX-License-Identifier: Apache-2.0
 *
 * test_crd.c - the API's objects: lists, deletions and their delays; the configuration that they
 * make with the file, and which object is at fault.
 *
 * Run from the top of the tree, as test_config.c.
 */
#include "check.h"
#include "crd.h"
#include "doc.h"
#include "json.h"
#include "oom.h"

#include <errno.h>
#include <stdbool.h>

#ifdef MEMORY_CAN_FAIL
/* Around what the tests themselves allocate. */
static long memory_hold(void)
{
	long left = fail_after;

	fail_after = -1;
	return left;
}

static void memory_release(long left)
{
	fail_after = left;
}
#else
static long memory_hold(void)
{
	return -1;
}

static void memory_release(long left)
{
	(void)left;
}
#endif

#define CLUSTER "apiVersion: lbd.io/v1\nkind: Config\nconfigFrom: cluster\n"

static const struct config_source cluster = {
	.name = "f", .text = CLUSTER, .len = sizeof CLUSTER - 1};

/* ' stands for ". */
static cJSON *object(const char *text)
{
	char copy[4096];
	cJSON *o;

	snprintf(copy, sizeof copy, "%s", text);
	for (char *p = copy; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	o = json_parse(copy, strlen(copy));
	if (o == NULL)
		abort();
	return o;
}

static int put(struct crd *c, enum crd_kind kind, const char *text)
{
	long left = memory_hold();
	cJSON *o = object(text);
	int err;

	memory_release(left);
	err = crd_put(c, kind, o, 0);

	cJSON_Delete(o);
	return err;
}

static void delete (struct crd *c, enum crd_kind kind, const char *text, uint64_t now_ms)
{
	cJSON *o = object(text);

	crd_delete(c, kind, o, now_ms);
	cJSON_Delete(o);
}

/* An IPAddressPool of namespace m. */
static int put_pool(struct crd *c, const char *name, const char *addresses)
{
	char text[512];

	snprintf(text, sizeof text,
		"{'apiVersion': 'metallb.io/v1beta1', 'kind': 'IPAddressPool', 'metadata': "
		"{'name': '%s', 'namespace': 'm', 'uid': 'u-%s', 'resourceVersion': '7', "
		"'managedFields': [{'manager': 'kubectl'}]}, 'spec': {'addresses': ['%s']}, "
		"'status': {'assignedIPv4': 1}}",
		name, name, addresses);
	return put(c, CRD_IP_ADDRESS_POOL, text);
}

static void delete_pool(struct crd *c, const char *name, uint64_t now_ms)
{
	char text[128];

	snprintf(text, sizeof text, "{'metadata': {'name': '%s', 'namespace': 'm'}}", name);
	delete (c, CRD_IP_ADDRESS_POOL, text, now_ms);
}

/* -- the shared configurations -- */

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, 1 << 16);

	if (f == NULL || text == NULL || fread(text, 1, (1 << 16) - 1, f) == 0)
		abort();
	fclose(f);
	return text;
}

static void put_documents(struct crd *c, const char *text)
{
	const struct doc_limits limits = {
		.max_bytes = 1 << 16, .max_nodes = 10000, .max_depth = 64};
	struct doc_error err;
	struct doc *doc;

	if (doc_parse(text, strlen(text), &limits, &doc, &err) != 0)
		abort();
	for (size_t i = doc_count(doc); i-- > 0;) { /* not in the order of the file */
		const char *kind = json_string(doc_root(doc, i), "kind");
		enum crd_kind k = 0;

		while (k < CRD_KINDS && strcmp(crd_row(k)->kind, kind) != 0)
			k++;
		CHECK(k < CRD_KINDS && crd_put(c, k, doc_root(doc, i), 0) == 0);
	}
	doc_free(doc);
}

static struct buf printed(const struct config *conf)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	CHECK_INT(config_print(conf, &out), 0);
	return out;
}

/* The canonical form that the file gives, but for configFrom. */
static struct buf printed_file(const char *text)
{
	static const char from[] = "configFrom: file", to[] = "configFrom: cluster";
	const struct config_source src = {.name = "f", .text = text, .len = strlen(text)};
	struct config_report report;
	struct config *conf = NULL;
	struct buf out, all;
	char *at;

	config_report_init(&report);
	CHECK_INT(config_parse(&src, 1, &conf, &report), 0);
	out = printed(conf);
	at = strstr(out.p, from);
	buf_init(&all, 1 << 20);
	buf_add(&all, out.p, (size_t)(at - out.p));
	buf_adds(&all, to);
	buf_adds(&all, at + strlen(from));
	buf_free(&out);
	config_free(conf);
	config_report_free(&report);
	return all;
}

/* All but the bare text, which no object is. */
static void test_shared_configurations(void)
{
	static const char *const names[] = {"metallb-configmap-bgp-advertisements",
		"metallb-configmap-bgp", "metallb-configmap-l2", "metallb-cr-dual-stack",
		"metallb-cr-l2-node-selectors", "metallb-cr-l2", "openelb-eip"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct config_report report;
		struct config *conf = NULL;
		struct crd *c = crd_new();
		struct buf got, want;
		char path[256], *text;

		check_row = names[i];
		snprintf(path, sizeof path, "../shared/configs/%s.yaml", names[i]);
		text = read_file(path);
		put_documents(c, text);
		config_report_init(&report);
		CHECK_INT(crd_config(c, &cluster, &conf, &report), 0);
		CHECK_STR(report.errors.p != NULL ? report.errors.p : "", "");
		if (conf != NULL) {
			got = printed(conf);
			want = printed_file(text);
			CHECK_STR(got.p, want.p);
			buf_free(&got);
			buf_free(&want);
		}
		config_free(conf);
		config_report_free(&report);
		crd_free(c);
		free(text);
	}
}

/* -- errors -- */

static void check_errors(struct crd *c, const char *want)
{
	struct config_report report;
	struct config *conf = NULL;

	config_report_init(&report);
	CHECK_INT(crd_config(c, &cluster, &conf, &report), *want != '\0' ? -EINVAL : 0);
	CHECK_STR(report.errors.p != NULL ? report.errors.p : "", want);
	config_report_free(&report);
	config_free(conf);
}

static void test_errors(void)
{
	static const struct {
		const char *name;
		enum crd_kind kind;
		const char *object, *want;
	} rows[] = {
		{"a field", CRD_IP_ADDRESS_POOL,
			"{'metadata': {'name': 'a', 'namespace': 'm'}, 'spec': {'addresses': "
			"['x']}}",
			"IPAddressPool/m/a: spec.addresses[0]: must be a CIDR like 10.0.0.0/24 or "
			"a range like 10.0.0.1-10.0.0.9 (got x)\n"},
		{"no spec", CRD_IP_ADDRESS_POOL, "{'metadata': {'name': 'a', 'namespace': 'm'}}",
			"IPAddressPool/m/a: spec: must be a map (got nothing)\n"},
		{"cluster scoped", CRD_EIP,
			"{'metadata': {'name': 'a'}, 'spec': {'address': '10.0.0.0/24', "
			"'protocol': 'x'}}",
			"Eip/a: spec.protocol: must be bgp, layer2 or vip (got x)\n"},
		{"a ConfigMap's text", CRD_CONFIG_MAP,
			"{'metadata': {'name': 'config', 'namespace': 'm'}, 'data': {'config': "
			"'address-pools:\\n- name: a\\n  protocol: layer2\\n'}}",
			"ConfigMap/m/config: address-pools[0].addresses: must be a list of CIDRs "
			"and ranges (got nothing)\n"},
		{"a ConfigMap's syntax", CRD_CONFIG_MAP,
			"{'metadata': {'name': 'config', 'namespace': 'm'}, 'data': {'config': "
			"'a: ['}}",
			"ConfigMap/m/config: did not find expected node content while parsing a "
			"flow node\n"},
		{"another version", CRD_EIP,
			"{'apiVersion': 'network.kubesphere.io/v9', 'metadata': {'name': 'a'}, "
			"'spec': {'address': '10.0.0.0/24', 'protocol': 'layer2'}}",
			"Eip/a: apiVersion: must be network.kubesphere.io/v1alpha2 (got "
			"network.kubesphere.io/v9)\n"},
		{"fields of a newer definition", CRD_IP_ADDRESS_POOL,
			"{'metadata': {'name': 'a', 'namespace': 'm'}, 'spec': {'addresses': "
			"['10.0.0.0/24'], 'adresses': [], 'serviceAllocation': {'later': {}}}}",
			""},
		{"the same, OpenELB's", CRD_EIP,
			"{'metadata': {'name': 'a'}, 'spec': {'address': '10.0.0.0/24', 'later': "
			"1}}",
			""},
		{"no server looks into a ConfigMap", CRD_CONFIG_MAP,
			"{'metadata': {'name': 'config', 'namespace': 'm'}, 'data': {'config': "
			"'address-pools:\\n- name: a\\n  protocol: layer2\\n  later: 1\\n  "
			"addresses: [10.0.0.0/24]\\n'}}",
			"ConfigMap/m/config: address-pools[0].later: unknown key\n"},
		{"what the server keeps there is not looked at", CRD_EIP,
			"{'x': 1, 'status': 7, 'metadata': {'name': 'a', 'y': 2, 'annotations': "
			"{'z': 3}}, 'spec': {'address': '10.0.0.0/24', 'protocol': 'layer2'}}",
			""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct crd *c = crd_new();

		check_row = rows[i].name;
		CHECK_INT(put(c, rows[i].kind, rows[i].object), 0);
		check_errors(c, rows[i].want);
		CHECK(crd_at(c, 0)->is_bad == (*rows[i].want != '\0'));
		CHECK((crd_next_fault(c) != NULL) == (*rows[i].want != '\0'));
		CHECK(crd_next_fault(c) == NULL);
		crd_free(c);
	}
}

/* Of two pools that overlap the later is wrong, both are told; the rest is one without it. */
static void test_fault_of_two(void)
{
	struct crd *c = crd_new();
	const struct crd_object *o;
	struct config *rest = NULL;

	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
	CHECK_INT(put_pool(c, "b", "10.0.0.9-10.0.0.10"), 0);
	CHECK_INT(put_pool(c, "c", "10.0.1.0/24"), 0);
	check_errors(c, "IPAddressPool/m/b: spec.addresses[0]: must not overlap 10.0.0.0/24 of "
			"pool a at IPAddressPool/m/a (got 10.0.0.9-10.0.0.10)\n");
	o = crd_next_fault(c);
	CHECK_STR(o->name, "a");
	CHECK(!o->is_bad);
	CHECK_STR(o->fault, "IPAddressPool/m/b: spec.addresses[0]: must not overlap 10.0.0.0/24 of "
			    "pool a at IPAddressPool/m/a (got 10.0.0.9-10.0.0.10)");
	o = crd_next_fault(c);
	CHECK_STR(o->name, "b");
	CHECK(o->is_bad && strncmp(o->fault, "spec.addresses[0]: must not", 27) == 0);
	CHECK(crd_next_fault(c) == NULL);
	CHECK_INT(crd_config_rest(c, &cluster, &rest), 0);
	CHECK_INT(rest->n_pools, 2);
	CHECK_STR(rest->pools[1].name, "c");
	config_free(rest);
	/* The same again is not told again, another fault is, and to another teller all are. */
	check_errors(c, "IPAddressPool/m/b: spec.addresses[0]: must not overlap 10.0.0.0/24 of "
			"pool a at IPAddressPool/m/a (got 10.0.0.9-10.0.0.10)\n");
	CHECK(crd_next_fault(c) == NULL);
	CHECK_INT(put_pool(c, "b", "nonsense/"), 0);
	check_errors(c, "IPAddressPool/m/b: spec.addresses[0]: must be made of IPv4 or IPv6 "
			"addresses (got nonsense/)\n");
	CHECK_STR(crd_next_fault(c)->name, "b");
	CHECK(crd_next_fault(c) == NULL);
	crd_tell_again(c);
	CHECK_STR(crd_next_fault(c)->name, "b");
	CHECK_INT(put_pool(c, "b", "10.0.2.0/24"), 0);
	check_errors(c, "");
	CHECK(crd_next_fault(c) == NULL && crd_at(c, 1)->fault == NULL);
	crd_free(c);
}

/* What is wrong only because something bad is left out is left out, too. */
static void test_rest_follows(void)
{
	struct crd *c = crd_new();
	struct config *rest = NULL;

	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
	CHECK_INT(put(c, CRD_BFD_PROFILE,
			  "{'metadata': {'name': 'fast', 'namespace': 'm'}, 'spec': "
			  "{'detectMultiplier': 0}}"),
		0);
	CHECK_INT(put(c, CRD_BGP_PEER,
			  "{'metadata': {'name': 'tor', 'namespace': 'm'}, 'spec': {'myASN': 1, "
			  "'peerASN': 2, 'peerAddress': '10.0.0.1', 'bfdProfile': 'fast'}}"),
		0);
	check_errors(c, "BFDProfile/m/fast: spec.detectMultiplier: must be a whole number 2..255 "
			"(got 0)\n");
	CHECK_INT(crd_config_rest(c, &cluster, &rest), 0);
	CHECK(rest != NULL && rest->n_pools == 1 && rest->n_peers == 0 &&
		rest->n_bfd_profiles == 0);
	config_free(rest);
	crd_free(c);
}

/* -- order -- */

static void test_order(void)
{
	static const char *const names[] = {"d", "a", "c", "b"};
	static const char *const want[] = {"a", "b", "c", "d", "0"};
	struct crd *c = crd_new();
	struct config_report report;
	struct config *conf = NULL;
	char addresses[32];

	CHECK_INT(put(c, CRD_EIP,
			  "{'metadata': {'name': '0'}, 'spec': {'address': '10.9.0.1', "
			  "'protocol': 'layer2'}}"),
		0);
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(addresses, sizeof addresses, "10.0.%u.0/24", i);
		CHECK_INT(put_pool(c, names[i], addresses), 0);
	}
	config_report_init(&report);
	CHECK_INT(crd_config(c, &cluster, &conf, &report), 0);
	CHECK_INT(conf->n_pools, 5);
	for (size_t i = 0; i < 5; i++)
		CHECK_STR(conf->pools[i].name, want[i]);
	CHECK_INT(conf->pools[0].dialect, CONFIG_METALLB_CR);
	CHECK(conf->pools[0].mark.file == NULL);
	config_free(conf);
	config_report_free(&report);
	crd_free(c);
}

/* -- lists and deletions -- */

static void test_generation(void)
{
	struct crd *c = crd_new();
	uint64_t before;

	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
	before = crd_generation(c);
	crd_list_begin(c, CRD_IP_ADDRESS_POOL, 5);
	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
	crd_list_end(c, CRD_IP_ADDRESS_POOL, 5);
	CHECK_INT(crd_generation(c), before);
	CHECK_INT(put_pool(c, "a", "10.0.0.0/25"), 0);
	CHECK(crd_generation(c) != before);
	crd_free(c);
}

/* One of several goes after CRD_DELETED_MS, and nothing changes before. */
static void test_deletion(void)
{
	struct crd *c = crd_new();
	uint64_t before;

	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
	CHECK_INT(put_pool(c, "b", "10.0.1.0/24"), 0);
	before = crd_generation(c);
	CHECK(crd_due(c, CRD_IP_ADDRESS_POOL) == TIME_NEVER);
	delete_pool(c, "a", 1000);
	CHECK_INT(crd_due(c, CRD_IP_ADDRESS_POOL), 1000 + CRD_DELETED_MS);
	crd_run(c, 1000 + CRD_DELETED_MS - 1);
	CHECK_INT(crd_count(c), 2);
	CHECK_INT(crd_generation(c), before);
	crd_run(c, 1000 + CRD_DELETED_MS);
	CHECK_INT(crd_count(c), 1);
	CHECK_STR(crd_at(c, 0)->name, "b");
	CHECK(crd_generation(c) != before && crd_due(c, CRD_IP_ADDRESS_POOL) == TIME_NEVER);
	crd_free(c);
}

/* All of a kind go only when a list of CRD_EMPTIED_MS later has none; one that comes back stays. */
static void test_deletion_of_all(void)
{
	struct crd *c = crd_new();

	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
	CHECK_INT(put_pool(c, "b", "10.0.1.0/24"), 0);
	delete_pool(c, "a", 1000);
	delete_pool(c, "b", 1500);
	crd_run(c, 1500 + CRD_EMPTIED_MS);
	CHECK_INT(crd_count(c), 2);
	CHECK(!crd_wants_list(c, CRD_IP_ADDRESS_POOL, 1500 + CRD_EMPTIED_MS - 1));
	CHECK(crd_wants_list(c, CRD_IP_ADDRESS_POOL, 1500 + CRD_EMPTIED_MS));
	/* One that was begun before does not tell. */
	crd_list_begin(c, CRD_IP_ADDRESS_POOL, 1600);
	crd_list_end(c, CRD_IP_ADDRESS_POOL, 1500 + CRD_EMPTIED_MS);
	CHECK_INT(crd_count(c), 2);
	/* The kind is lost. */
	crd_keep(c, CRD_IP_ADDRESS_POOL);
	CHECK(!crd_wants_list(c, CRD_IP_ADDRESS_POOL, TIME_NEVER - 1));
	/* It is back, with another pool: those that are not there are deleted. */
	crd_list_begin(c, CRD_IP_ADDRESS_POOL, 100000);
	CHECK_INT(put_pool(c, "c", "10.0.2.0/24"), 0);
	crd_list_end(c, CRD_IP_ADDRESS_POOL, 100000);
	CHECK_INT(crd_count(c), 3);
	crd_run(c, 100000 + CRD_DELETED_MS);
	CHECK_INT(crd_count(c), 1);
	/* Empty, and so it stays. */
	delete_pool(c, "c", 200000);
	crd_list_begin(c, CRD_IP_ADDRESS_POOL, 200000 + CRD_EMPTIED_MS);
	crd_list_end(c, CRD_IP_ADDRESS_POOL, 200001 + CRD_EMPTIED_MS);
	CHECK_INT(crd_count(c), 0);
	crd_free(c);
}

/* -- limits -- */

static void test_not_objects(void)
{
	static const char *const rows[] = {"{}", "[]", "{'metadata': {}}",
		"{'metadata': {'name': 1}}", "{'metadata': {'name': ''}}",
		"{'metadata': {'name': 'a', 'namespace': 1}}",
		"{'metadata': {'name': 'a', 'namespace': ''}}"};
	struct crd *c = crd_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i];
		CHECK_INT(put(c, CRD_EIP, rows[i]), -EINVAL);
		delete (c, CRD_EIP, rows[i], 1);
	}
	CHECK_INT(crd_count(c), 0);
	crd_free(c);
}

/* What does not fit is not left out without a word: there is no new configuration. */
static void test_too_many(void)
{
	struct crd *c = crd_new();
	struct config_report report;
	struct config *conf = NULL;
	char name[64];

	for (int i = 0; i < CRD_MAX_OBJECTS; i++) {
		snprintf(name, sizeof name, "{'metadata': {'name': 'c%d', 'namespace': 'm'}}", i);
		CHECK_INT(put(c, CRD_COMMUNITY, name), 0);
	}
	CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), -ENOSPC);
	CHECK(crd_is_lacking(c, CRD_IP_ADDRESS_POOL));
	config_report_init(&report);
	CHECK_INT(crd_config(c, &cluster, &conf, &report), -EINVAL);
	CHECK(report.n_errors > 0 && strstr(report.errors.p, "IPAddressPool: not all") != NULL);
	config_report_free(&report);
	crd_list_begin(c, CRD_IP_ADDRESS_POOL, 1);
	CHECK(!crd_is_lacking(c, CRD_IP_ADDRESS_POOL));
	crd_free(c);
}

static void test_too_large(void)
{
	struct crd *c = crd_new();
	cJSON *o = object("{'metadata': {'name': 'a', 'namespace': 'm'}, 'data': {}}");
	char *text = malloc(CRD_MAX_BYTES + 1);

	if (text == NULL)
		abort();
	memset(text, 'x', CRD_MAX_BYTES);
	text[CRD_MAX_BYTES] = '\0';
	(void)cJSON_AddStringToObject(cJSON_GetObjectItem(o, "data"), "config", text);
	CHECK_INT(crd_put(c, CRD_CONFIG_MAP, o, 0), -ENOSPC);
	CHECK_INT(crd_count(c), 0);
	cJSON_Delete(o);
	free(text);
	crd_free(c);
}

/* A file that has pools, too. */
static void test_file_with_pools(void)
{
	static const char text[] = CLUSTER
		"pools: [{name: a, addresses: [10.0.0.0/24]}, {name: b, addresses: "
		"[10.0.1.0/24]}]\n"
		"---\napiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: x}\n";
	const struct config_source src = {.name = "f", .text = text, .len = sizeof text - 1};
	struct config_report report;
	struct config *conf = NULL;

	config_report_init(&report);
	CHECK_INT(config_parse(&src, 1, &conf, &report), -EINVAL);
	CHECK_STR(report.errors.p,
		"f:4:9: pools[0]: must be an object in the API: configFrom is cluster\n"
		"f:6:1: L2Advertisement/x: spec: must be an object in the API: configFrom is "
		"cluster\n");
	config_report_free(&report);
}

#ifdef MEMORY_CAN_FAIL
/* -- out of memory -- */

/* Whichever allocation fails, the set is as it was or lacking, and a configuration comes out whole
 * or not at all. */
static void test_no_memory(void)
{
	long n = 0;
	bool done = false;

	for (; !done; n++) {
		struct crd *c = crd_new();
		struct config_report report;
		struct config *conf = NULL;
		int put_err, err;

		CHECK_INT(put_pool(c, "a", "10.0.0.0/24"), 0);
		config_report_init(&report);
		fail_after = n;
		put_err = put_pool(c, "b", "10.0.1.0/24");
		err = crd_config(c, &cluster, &conf, &report);
		done = fail_after > 0;
		fail_after = -1;
		CHECK(put_err == 0 || put_err == -ENOMEM);
		CHECK(crd_is_lacking(c, CRD_IP_ADDRESS_POOL) == (put_err != 0));
		CHECK(err == 0 || err == -ENOMEM || (err == -EINVAL && put_err != 0));
		CHECK(err != 0 || (conf->n_pools == 2 && put_err == 0));
		CHECK_INT(crd_count(c), put_err == 0 ? 2 : 1);
		config_free(conf);
		config_report_free(&report);
		crd_free(c);
	}
	CHECK(n > 20);
}
#else
static void test_no_memory(void)
{
}
#endif

CHECK_MAIN("test_crd", CHECK_TEST(test_shared_configurations), CHECK_TEST(test_errors),
	CHECK_TEST(test_fault_of_two), CHECK_TEST(test_rest_follows), CHECK_TEST(test_order),
	CHECK_TEST(test_generation), CHECK_TEST(test_deletion), CHECK_TEST(test_deletion_of_all),
	CHECK_TEST(test_not_objects), CHECK_TEST(test_too_many), CHECK_TEST(test_too_large),
	CHECK_TEST(test_file_with_pools), CHECK_TEST(test_no_memory))
