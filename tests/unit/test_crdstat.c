/* SPDX-License-Identifier: Apache-2.0
 *
 * test_crdstat.c - what the status of pool objects should be, when it is written, and when not.
 */
#include "check.h"
#include "crdstat.h"
#include "json.h"

static const struct hash_key hkey = {3, 4};

struct world {
	struct alloc *a;
	struct config conf;
	struct config_pool pool;
	struct addr_range ranges[2];
	struct crdstat_box box;
	struct crdstat *s;
	uint64_t now_ms;
	unsigned version;
};

static struct addr_range range(const char *text)
{
	struct addr_range r;

	if (addr_range_parse(text, strlen(text), true, &r) != ADDR_RANGE_OK)
		abort();
	return r;
}

static void open_world(
	struct world *w, enum crdstat_kind kind, const char *first, const char *second)
{
	*w = (struct world){.now_ms = 100000};
	w->a = alloc_new(&hkey, NULL);
	w->s = crdstat_new(kind);
	if (w->a == NULL || w->s == NULL)
		abort();
	w->ranges[0] = range(first);
	if (second != NULL)
		w->ranges[1] = range(second);
	w->pool = (struct config_pool){.name = "p",
		.ranges = w->ranges,
		.n_ranges = second != NULL ? 2 : 1,
		.auto_assign = true};
	w->conf = (struct config){.classless = true, .pools = &w->pool, .n_pools = 1};
	crdstat_box_init(&w->box);
	CHECK_INT(alloc_configure(w->a, &w->conf, w->now_ms), 0);
	alloc_begin(w->a);
	alloc_adopted(w->a, w->now_ms);
}

static void close_world(struct world *w)
{
	crdstat_free(&w->box, w->s);
	crdstat_box_free(&w->box);
	alloc_free(w->a);
}

/* A Service that asks for ip; share: its sharing key, NULL = none. */
static void put_service(
	struct world *w, const char *key, const char *ip, const char *share, uint16_t port)
{
	struct cluster_port ports[] = {{.protocol = CLUSTER_TCP, .port = port}};
	char version[16];
	struct alloc_result r;
	struct cluster_service s = {.key = key,
		.namespace_ = "ns",
		.name = key + 3,
		.uid = key,
		.resource_version = version,
		.is_load_balancer = true,
		.has_cluster_ip = true,
		.load_balancer_ip = ip,
		.n_families = 1,
		.families = {addr_family(range(ip).first)},
		.request = {.sharing_key = share},
		.ports = ports,
		.n_ports = 1};

	snprintf(version, sizeof version, "%u", ++w->version);
	CHECK_INT(alloc_put(w->a, &s, w->now_ms), 0);
	while (alloc_next_result(w->a, &r))
		CHECK_INT(r.reason, REASON_ALLOCATED);
}

static void observe(struct world *w, const char *json)
{
	cJSON *o = json != NULL ? json_parse(json, strlen(json)) : NULL;

	CHECK(json == NULL || o != NULL);
	crdstat_observe(&w->box, w->s, o, w->now_ms);
	cJSON_Delete(o);
}

static void want(struct world *w)
{
	crdstat_want(&w->box, w->s, w->a, &w->pool, w->now_ms);
}

/* The next patch as text, "" = none is due; *ret_id for done(). */
static void check_patch(struct world *w, const char *text, uint64_t *ret_id)
{
	struct crdstat *s = crdstat_next(&w->box, w->now_ms, ret_id);
	cJSON *o = s != NULL ? crdstat_patch(s, "u") : NULL;
	char *got = o != NULL ? cJSON_PrintUnformatted(o) : strdup("");

	CHECK_STR(got, text);
	free(got);
	cJSON_Delete(o);
}

static bool done(struct world *w, uint64_t id, enum crdstat_outcome outcome, const char *status)
{
	cJSON *o = status != NULL ? json_parse(status, strlen(status)) : NULL;
	bool off = crdstat_done(&w->box, id, outcome, o, w->now_ms);

	cJSON_Delete(o);
	return off;
}

#define META          "{\"metadata\":{\"uid\":\"u\"},\"status\":"
#define POOL(v4, of4) "{\"assignedIPv4\":" #v4 ",\"assignedIPv6\":0,\"availableIPv4\":" #of4 ",\"availableIPv6\":0}"

/* -- what it should be -- */

static void test_pool(void)
{
	struct world w;
	uint64_t id;

	open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", "fd00::/64");
	put_service(&w, "ns/a", "10.0.0.3", NULL, 80);
	put_service(&w, "ns/b", "10.0.0.4", NULL, 80);
	put_service(&w, "ns/c", "fd00::1", NULL, 80);
	observe(&w, NULL);
	want(&w);
	check_patch(&w,
		META "{\"assignedIPv4\":2,\"assignedIPv6\":1,\"availableIPv4\":8,"
		     "\"availableIPv6\":999999999999999}}",
		&id);
	close_world(&w);
}

static void test_eip(void)
{
	struct world w;
	uint64_t id;

	open_world(&w, CRDSTAT_EIP, "10.0.0.9-10.0.0.11", NULL);
	put_service(&w, "ns/b", "10.0.0.10", "k", 80);
	put_service(&w, "ns/a", "10.0.0.10", "k", 81);
	put_service(&w, "ns/c", "10.0.0.9", NULL, 80);
	observe(&w, "{\"used\":{\"10.0.0.11\":\"old/x\",\"10.0.0.9\":\"ns/c\",\"a\":1},\"z\":2}");
	want(&w);
	check_patch(&w,
		META "{\"occupied\":false,\"ready\":true,\"v4\":true,\"usage\":2,\"poolSize\":3,"
		     "\"firstIP\":\"10.0.0.9\",\"lastIP\":\"10.0.0.11\",\"used\":{\"10.0.0.10\":"
		     "\"ns/a;ns/b\",\"10.0.0.9\":\"ns/c\",\"10.0.0.11\":null,\"a\":null}}}",
		&id);
	close_world(&w);
}

static void test_eip_occupied(void)
{
	struct world w;
	uint64_t id;

	open_world(&w, CRDSTAT_EIP, "fd00::1", NULL);
	put_service(&w, "ns/a", "fd00::1", NULL, 80);
	observe(&w, "{}");
	want(&w);
	check_patch(&w,
		META "{\"occupied\":true,\"ready\":true,\"v4\":false,\"usage\":1,\"poolSize\":1,"
		     "\"firstIP\":\"fd00::1\",\"lastIP\":\"fd00::1\",\"used\":{\"fd00::1\":"
		     "\"ns/a\"}}}",
		&id);
	close_world(&w);
}

/* An Eip of very many shows the lowest. */
static void test_eip_bounded(void)
{
	struct world w;
	struct crdstat *s;
	uint64_t id;
	cJSON *o;

	open_world(&w, CRDSTAT_EIP, "10.0.0.0/16", NULL);
	for (unsigned i = 0; i < CRDSTAT_MAX_USED + 100; i++) {
		char key[32], ip[32];

		snprintf(key, sizeof key, "ns/%u", i);
		snprintf(ip, sizeof ip, "10.0.%u.%u", i / 256, i % 256);
		put_service(&w, key, ip, NULL, 80);
	}
	observe(&w, NULL);
	want(&w);
	s = crdstat_next(&w.box, w.now_ms, &id);
	CHECK(s != NULL);
	o = crdstat_patch(s, "u");
	CHECK_INT(json_int(json_object(o, "status"), "usage", 0, 9999, 0), CRDSTAT_MAX_USED + 100);
	CHECK_INT(cJSON_GetArraySize(json_object(json_object(o, "status"), "used")),
		CRDSTAT_MAX_USED);
	cJSON_Delete(o);
	close_world(&w);
}

/* -- when it is written -- */

static void test_equal_is_not_written(void)
{
	static const char *const equal[] = {POOL(0, 10),
		"{\"availableIPv4\":10,\"assignedIPv4\":0,\"more\":1}",
		"{\"availableIPv4\":10,\"availableIPv6\":\"x\"}"};

	for (size_t i = 0; i < ARRAY_LEN(equal); i++) {
		struct world w;
		uint64_t id;

		check_row = equal[i];
		open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
		observe(&w, equal[i]);
		want(&w);
		check_patch(&w, "", &id);
		CHECK(crdstat_next_deadline(&w.box) == TIME_NEVER);
		close_world(&w);
	}
}

/* Nothing is written before it is known what stands there. */
static void test_not_observed(void)
{
	struct world w;
	uint64_t id;

	open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
	want(&w);
	check_patch(&w, "", &id);
	observe(&w, NULL);
	check_patch(&w, META POOL(0, 10) "}", &id);
	close_world(&w);
}

/* At most one in CRDSTAT_PACE_MS, one under way; the last value is written at last. */
static void test_pace(void)
{
	struct world w;
	uint64_t id, sent_ms;

	open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
	observe(&w, NULL);
	want(&w);
	check_patch(&w, META POOL(0, 10) "}", &id);
	sent_ms = w.now_ms;
	put_service(&w, "ns/a", "10.0.0.1", NULL, 80);
	want(&w);
	check_patch(&w, "", &id);
	CHECK(!done(&w, id, CRDSTAT_OK, POOL(0, 10)));
	put_service(&w, "ns/b", "10.0.0.2", NULL, 80);
	want(&w);
	check_patch(&w, "", &id);
	CHECK(crdstat_next_deadline(&w.box) >= sent_ms + CRDSTAT_PACE_MS);
	w.now_ms = crdstat_next_deadline(&w.box);
	check_patch(&w, META POOL(2, 8) "}", &id);
	CHECK(!done(&w, id, CRDSTAT_OK, POOL(2, 8)));
	CHECK(crdstat_next_deadline(&w.box) == TIME_NEVER);
	w.now_ms += 60000;
	put_service(&w, "ns/c", "10.0.0.3", NULL, 80);
	want(&w);
	check_patch(&w, META POOL(3, 7) "}", &id);
	close_world(&w);
}

/* Another who writes it: so many corrections, each later, until something else is wanted. */
static void test_foreign_writer(void)
{
	struct world w;
	uint64_t id, last_ms = 0;
	unsigned n = 0;

	open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
	observe(&w, NULL);
	want(&w);
	while (crdstat_next_deadline(&w.box) != TIME_NEVER && n < 100) {
		if (crdstat_next_deadline(&w.box) > w.now_ms)
			w.now_ms = crdstat_next_deadline(&w.box);
		CHECK(last_ms == 0 || w.now_ms - last_ms >= CRDSTAT_PACE_MS);
		last_ms = w.now_ms;
		check_patch(&w, META POOL(0, 10) "}", &id);
		CHECK(!done(&w, id, CRDSTAT_OK, POOL(0, 10)));
		observe(&w, "{\"assignedIPv4\":7}");
		n++;
	}
	CHECK_INT(n, CRDSTAT_TRIES);
	put_service(&w, "ns/a", "10.0.0.1", NULL, 80);
	want(&w);
	CHECK(crdstat_next_deadline(&w.box) != TIME_NEVER);
	close_world(&w);
}

static void test_outcomes(void)
{
	static const struct {
		const char *name;
		enum crdstat_outcome outcome;
		const char *status;
		unsigned off_after; /* so many; 0 = never */
		bool again;
	} rows[] = {
		{"failed", CRDSTAT_FAILED, NULL, 0, true},
		{"refused", CRDSTAT_REFUSED, NULL, 1, false},
		{"missing", CRDSTAT_MISSING, NULL, 4, true},
		{"the server drops the fields", CRDSTAT_OK, "{}", 1, false},
		{"and the whole status", CRDSTAT_OK, NULL, 1, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;
		uint64_t id;
		unsigned n = 0;
		bool off = false;

		check_row = rows[i].name;
		open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
		observe(&w, NULL);
		want(&w);
		while (!off && n < 10 && crdstat_next(&w.box, w.now_ms, &id) != NULL) {
			off = done(&w, id, rows[i].outcome, rows[i].status);
			n++;
			CHECK(off || crdstat_next_deadline(&w.box) >= w.now_ms + CRDSTAT_PACE_MS);
			w.now_ms += 31000;
		}
		CHECK_INT(n, rows[i].off_after != 0 ? rows[i].off_after : 10);
		CHECK(off == (rows[i].off_after != 0));
		if (off)
			CHECK(crdstat_next_deadline(&w.box) == TIME_NEVER);
		close_world(&w);
	}
}

/* A kind that was refused is tried again later, with the next change. */
static void test_refused_for_a_while(void)
{
	struct world w;
	uint64_t id;

	open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
	observe(&w, NULL);
	want(&w);
	CHECK(crdstat_next(&w.box, w.now_ms, &id) != NULL);
	CHECK(done(&w, id, CRDSTAT_REFUSED, NULL));
	put_service(&w, "ns/a", "10.0.0.1", NULL, 80);
	w.now_ms += CRDSTAT_OFF_MS - 1;
	want(&w);
	check_patch(&w, "", &id);
	w.now_ms += 1;
	want(&w);
	check_patch(&w, META POOL(1, 9) "}", &id);
	close_world(&w);
}

/* The object goes while its write is under way; nothing is wanted any more. */
static void test_gone(void)
{
	struct world w;
	uint64_t id;

	open_world(&w, CRDSTAT_POOL, "10.0.0.0-10.0.0.9", NULL);
	observe(&w, NULL);
	want(&w);
	CHECK(crdstat_next(&w.box, w.now_ms, &id) != NULL);
	crdstat_want_nothing(w.s);
	CHECK(!done(&w, id, CRDSTAT_OK, POOL(0, 10)));
	want(&w);
	CHECK(crdstat_next_deadline(&w.box) == TIME_NEVER);
	put_service(&w, "ns/a", "10.0.0.1", NULL, 80);
	w.now_ms += 60000;
	want(&w);
	CHECK(crdstat_next(&w.box, w.now_ms, &id) != NULL);
	crdstat_free(&w.box, w.s);
	w.s = NULL;
	CHECK(!done(&w, id, CRDSTAT_OK, POOL(0, 10)));
	close_world(&w);
}

CHECK_MAIN("test_crdstat", CHECK_TEST(test_pool), CHECK_TEST(test_eip),
	CHECK_TEST(test_eip_occupied), CHECK_TEST(test_eip_bounded),
	CHECK_TEST(test_equal_is_not_written), CHECK_TEST(test_not_observed),
	CHECK_TEST(test_pace), CHECK_TEST(test_foreign_writer), CHECK_TEST(test_outcomes),
	CHECK_TEST(test_refused_for_a_while), CHECK_TEST(test_gone))
