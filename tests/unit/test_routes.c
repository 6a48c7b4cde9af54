/* SPDX-License-Identifier: Apache-2.0
 *
 * test_routes.c - which prefixes a peer is told, with which attributes, as a peer reads them.
 */
#include "oom.h"
#include "retired.h"
#include "routes.h"

#include "bytes.h"
#include "check.h"
#include "world.h"

enum { MAX_HEARD = 64, TEXT = 256 };

static struct world w;
static struct config_bgp_advertisement ads[3];
static struct routes *routes;

static struct routes_input input(void)
{
	return (struct routes_input){
		.conf = &w.conf, .cluster = w.cluster, .vips = w.vips, .node = "n1"};
}

/* -- a peer -- */

struct heard {
	char prefix[ADDR_PREFIX_STRLEN], attributes[TEXT];
};

struct listener {
	struct bgp_rib *rib;
	struct routes_peer as;
	struct heard v[MAX_HEARD];
	size_t n;
	unsigned announced, withdrawn; /* prefixes, ever */
};

static const struct bgp_terms terms = {.as4 = true, .families = {true, true}};

static void hear(struct listener *l, struct addr_prefix p, const char *attributes)
{
	char text[ADDR_PREFIX_STRLEN];
	size_t at = 0;

	addr_prefix_format(p, text);
	while (at < l->n && strcmp(l->v[at].prefix, text) != 0)
		at++;
	if (attributes == NULL) {
		CHECK(at < l->n);
		l->v[at] = l->v[--l->n];
		l->withdrawn++;
		return;
	}
	l->n += at == l->n;
	l->announced++;
	memcpy(l->v[at].prefix, text, sizeof text);
	(void)snprintf(l->v[at].attributes, TEXT, "%s", attributes);
}

static void hear_list(struct listener *l, struct rd r, enum addr_family f, const char *attributes)
{
	while (rd_left(&r) > 0) {
		unsigned len = rd_u8(&r);
		uint8_t b[16] = {0};

		for (unsigned i = 0; i < (len + 7) / 8; i++)
			b[i] = rd_u8(&r);
		hear(l, (struct addr_prefix){f == ADDR_V4 ? addr_from_v4(b) : addr_from_v6(b), (uint8_t)len},
			attributes);
	}
}

static void say_attribute(unsigned type, struct rd v, char *s)
{
	char *end = s + strlen(s);
	size_t room = TEXT - (size_t)(end - s);

	if (type == 2 && rd_left(&v) > 0) {
		rd_skip(&v, 2);
		(void)snprintf(end, room, " path %u", rd_be32(&v));
	} else if (type == 4) {
		(void)snprintf(end, room, " med %u", rd_be32(&v));
	} else if (type == 5) {
		(void)snprintf(end, room, " pref %u", rd_be32(&v));
	}
	while (type == 8 && rd_left(&v) > 0) {
		unsigned high = rd_be16(&v), low = rd_be16(&v);

		end += snprintf(end, TEXT - (size_t)(end - s), " %u:%u", high, low);
	}
	while (type == 32 && rd_left(&v) > 0) {
		uint32_t a = rd_be32(&v), b = rd_be32(&v), c = rd_be32(&v);

		end += snprintf(end, TEXT - (size_t)(end - s), " %u:%u:%u", a, b, c);
	}
	if (type == 16) {
		uint32_t bits;
		float f;

		rd_skip(&v, 4);
		bits = rd_be32(&v);
		memcpy(&f, &bits, sizeof f);
		(void)snprintf(end, room, " bandwidth %.0f", (double)f);
	}
}

static void read_update(struct listener *l, struct rd r)
{
	struct rd gone = rd_sub(&r, rd_be16(&r)), attrs = rd_sub(&r, rd_be16(&r));
	char text[TEXT] = "";
	struct rd reach = {0}, unreach = {0};

	while (rd_left(&attrs) > 0) {
		unsigned flags = rd_u8(&attrs), type = rd_u8(&attrs);
		struct rd v = rd_sub(&attrs, (flags & 0x10) ? rd_be16(&attrs) : rd_u8(&attrs));

		if (type == 14)
			reach = v;
		else if (type == 15)
			unreach = v;
		else
			say_attribute(type, v, text);
	}
	hear_list(l, gone, ADDR_V4, NULL);
	hear_list(l, r, ADDR_V4, text);
	if (rd_left(&unreach) > 0) {
		rd_skip(&unreach, 3);
		hear_list(l, unreach, ADDR_V6, NULL);
	}
	if (rd_left(&reach) > 0) {
		rd_skip(&reach, 3);
		rd_skip(&reach, rd_u8(&reach) + 1u);
		hear_list(l, reach, ADDR_V6, text);
	}
}

static void hear_all(struct listener *l)
{
	static uint8_t buf[BGP_MAX_EXTENDED];
	size_t len;

	while ((len = bgp_rib_pull(l->rib, buf, sizeof buf)) > 0)
		if (buf[18] == BGP_UPDATE)
			read_update(l, rd_init(buf + BGP_HEADER_LEN, len - BGP_HEADER_LEN));
}

static void listen_as(struct listener *l, const char *name, bool internal)
{
	struct bgp_self self = {.next_hop = {world_ip("10.0.0.1"), world_ip("fd00::1")}};

	*l = (struct listener){.rib = bgp_rib_new(&w.hkey),
		.as = {.name = name, .asn = 64500, .internal = internal}};
	bgp_rib_set_self(l->rib, &self);
	bgp_rib_open(l->rib, &terms);
}

static void listen_to_end(struct listener *l)
{
	bgp_rib_free(l->rib);
}

/* Everything anew, or what changed. */
static void tell(struct listener *l, bool all)
{
	CHECK_INT(routes_tell(routes, &l->as, all, l->rib), 0);
	hear_all(l);
}

/* " path 64500 ..." or NULL */
static const char *of(const struct listener *l, const char *prefix)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].prefix, prefix) == 0)
			return l->v[i].attributes;
	return NULL;
}

/* -- the world -- */

static void open_all(void)
{
	world_open(&w, "n1");
	memset(ads, 0, sizeof ads);
	for (size_t i = 0; i < ARRAY_LEN(ads); i++)
		ads[i] = (struct config_bgp_advertisement){.name = "a",
			.aggregation_length = 32,
			.aggregation_length_v6 = 128,
			.host_routes_for_local = true};
	w.conf.bgp_advertisements = ads;
	w.conf.n_bgp_advertisements = 1;
	world_node(&w, "n1", "'zone':'a'", "");
	world_service(&w, "web", "'10.0.0.100'", "", "");
	world_service(&w, "six", "'fd00::100'", "", "");
	world_endpoints(&w, "web", "n1,n2");
	world_endpoints(&w, "six", "n2");
	world_vips(&w);
	routes = routes_new(&w.hkey);
	if (routes == NULL)
		abort();
}

static void close_all(void)
{
	routes_free(routes);
	world_close(&w);
}

static void rebuild(void)
{
	const struct routes_input in = input();

	CHECK_INT(routes_rebuild(routes, &in), 0);
}

/* What the pass does with dirty groups. */
static void update(void)
{
	const struct routes_input in = input();

	world_vips(&w);
	for (size_t i = 0; i < vip_dirty_count(w.vips); i++)
		CHECK_INT(routes_update(routes, &in, vip_dirty_at(w.vips, i)), 0);
	vip_clean(w.vips);
}

static enum reason why(const char *ip)
{
	const struct routes_input in = input();

	return routes_why(&in, vip_find(w.vips, world_ip(ip)));
}

/* -- tests -- */

static void test_host_routes(void)
{
	struct listener ext, in;

	open_all();
	rebuild();
	listen_as(&ext, "tor", false);
	listen_as(&in, "rr", true);
	tell(&ext, true);
	tell(&in, true);
	CHECK_INT(ext.n, 2);
	CHECK_STR(of(&ext, "10.0.0.100/32"), " path 64500");
	CHECK_STR(of(&ext, "fd00::100/128"), " path 64500");
	CHECK_STR(of(&in, "10.0.0.100/32"), " pref 100");
	CHECK_INT(why("10.0.0.100"), REASON_OWNER);
	CHECK_INT(routes_fresh_count(routes), 2);
	CHECK_INT(routes_count(routes), 2);
	tell(&ext, true);
	CHECK_INT(ext.announced, 2); /* none twice */
	routes_clean(routes);
	CHECK(!routes_is_dirty(routes));
	rebuild();
	CHECK_INT(routes_fresh_count(routes), 0); /* they were there before */
	listen_to_end(&ext);
	listen_to_end(&in);
	close_all();
}

/* What is kept although its pool is gone: itself, by those that are for such addresses, and no aggregate
 * around it. */
static void test_pool_gone(void)
{
	struct retired *kept;
	struct listener ext;

	open_all();
	kept = retired_new(&w.hkey);
	if (kept == NULL)
		abort();
	vip_set_retired(w.vips, kept);
	CHECK_INT(retired_keep(kept, "default/web", "u-web", world_ip("10.0.0.100"), "lan"), 0);
	ads[0].aggregation_length = 24;
	rebuild();
	listen_as(&ext, "tor", false);
	tell(&ext, true);
	CHECK_STR(of(&ext, "10.0.0.0/24"), " path 64500");
	w.conf.n_pools = 0;
	rebuild();
	tell(&ext, true);
	CHECK_INT(ext.n, 0);
	CHECK_INT(why("10.0.0.100"), REASON_NO_ADVERTISEMENT);
	ads[0].for_orphans = true;
	rebuild();
	tell(&ext, true);
	CHECK(of(&ext, "10.0.0.100/32") != NULL);
	CHECK_INT(why("10.0.0.100"), REASON_OWNER);
	listen_to_end(&ext);
	close_all();
	retired_free(kept);
}

/* A Service that comes, loses its endpoints, gets them back, goes. */
static void test_changes(void)
{
	struct listener l;

	open_all();
	rebuild();
	vip_clean(w.vips);
	listen_as(&l, "tor", false);
	tell(&l, true);
	routes_clean(routes);
	world_service(&w, "more", "'10.0.0.101'", "", "");
	update();
	CHECK(!routes_is_dirty(routes)); /* it has no endpoint yet */
	CHECK_INT(why("10.0.0.101"), REASON_NO_ENDPOINTS);
	world_endpoints(&w, "more", "n2");
	update();
	CHECK(routes_is_dirty(routes));
	tell(&l, false);
	routes_clean(routes);
	CHECK(of(&l, "10.0.0.101/32") != NULL);
	CHECK_INT(why("10.0.0.101"), REASON_OWNER);
	world_endpoints(&w, "more", "");
	update();
	tell(&l, false);
	routes_clean(routes);
	CHECK(of(&l, "10.0.0.101/32") == NULL);
	CHECK_INT(routes_count(routes), 2);
	world_apply(&w, CLUSTER_SERVICE, CLUSTER_DELETE,
		world_service_json(++w.rv, "web", "'10.0.0.100'", "", ""));
	update();
	tell(&l, false);
	routes_clean(routes);
	CHECK_INT(l.n, 1);
	CHECK_INT(l.withdrawn, 2);
	CHECK_INT(l.announced, 3);
	listen_to_end(&l);
	close_all();
}

static void test_aggregates(void)
{
	struct listener l;

	open_all();
	ads[0].aggregation_length = 24;
	ads[0].aggregation_length_v6 = 64;
	world_service(&w, "more", "'10.0.0.101'", "", "");
	world_endpoints(&w, "more", "n2");
	world_vips(&w);
	rebuild();
	vip_clean(w.vips);
	listen_as(&l, "tor", false);
	tell(&l, true);
	routes_clean(routes);
	CHECK_INT(l.n, 2);
	CHECK(of(&l, "10.0.0.0/24") != NULL && of(&l, "fd00::/64") != NULL);
	world_endpoints(&w, "more", "");
	update();
	tell(&l, false);
	routes_clean(routes);
	CHECK_INT(l.n, 2); /* the other one has it still */
	world_endpoints(&w, "web", "");
	update();
	tell(&l, false);
	routes_clean(routes);
	CHECK(of(&l, "10.0.0.0/24") == NULL && l.n == 1);
	listen_to_end(&l);
	close_all();
}

/* externalTrafficPolicy Local. */
static void test_local(void)
{
	struct listener l;

	open_all();
	ads[0].aggregation_length = 24;
	world_service(&w, "web", "'10.0.0.100'", "", ",'externalTrafficPolicy':'Local'");
	world_vips(&w);
	rebuild();
	vip_clean(w.vips);
	listen_as(&l, "tor", false);
	tell(&l, true);
	CHECK(of(&l, "10.0.0.100/32") != NULL); /* never aggregated */
	world_endpoints(&w, "web", "n2,n3");
	update();
	tell(&l, false);
	routes_clean(routes);
	CHECK(of(&l, "10.0.0.100/32") == NULL);
	CHECK_INT(why("10.0.0.100"), REASON_NO_LOCAL_ENDPOINTS);
	ads[0].host_routes_for_local = false;
	ads[0].link_bandwidth = true;
	world_endpoints(&w, "web", "n1,n1,n1,n2");
	rebuild();
	tell(&l, true);
	CHECK_STR(of(&l, "10.0.0.0/24"), " path 64500 bandwidth 3000000");
	routes_clean(routes);
	vip_clean(w.vips);
	world_endpoints(&w, "web", "n1,n2");
	update();
	tell(&l, false);
	CHECK_STR(of(&l, "10.0.0.0/24"), " path 64500 bandwidth 1000000");
	listen_to_end(&l);
	close_all();
}

/* Advertisements of one prefix: their communities together, for the peers that each is for. */
static void test_merge(void)
{
	static const char *const first[] = {"65000:2", "no-export", "large:1:2:3"};
	static const char *const second[] = {"alias", "65000:2", "large:1:2:4"};
	static const char *const tor[] = {"tor"};
	static const struct config_community names[] = {{.name = "alias", .value = "65000:1"}};
	struct listener t, o;

	open_all();
	w.conf.n_bgp_advertisements = 2;
	w.conf.communities = names;
	w.conf.n_communities = 1;
	ads[0].communities = (struct config_strings){first, 3};
	ads[1].communities = (struct config_strings){second, 3};
	ads[1].peers = (struct config_strings){tor, 1};
	ads[1].has_local_pref = true;
	ads[1].local_pref = 300;
	ads[0].has_med = ads[1].has_med = true;
	ads[0].med = 20;
	ads[1].med = 10;
	rebuild();
	listen_as(&t, "tor", true);
	listen_as(&o, "other", true);
	tell(&t, true);
	tell(&o, true);
	CHECK_STR(of(&t, "10.0.0.100/32"), " med 10 pref 300 65000:1 65000:2 65535:65281 1:2:3 1:2:4");
	CHECK_STR(of(&o, "10.0.0.100/32"), " med 20 pref 100 65000:2 65535:65281 1:2:3");
	w.conf.n_bgp_advertisements = 1;
	rebuild();
	tell(&t, true);
	CHECK_STR(of(&t, "10.0.0.100/32"), " med 20 pref 100 65000:2 65535:65281 1:2:3");
	CHECK_INT(t.withdrawn, 0);
	ads[0].peers = (struct config_strings){tor, 1};
	rebuild();
	tell(&o, true);
	CHECK_INT(o.n, 0);
	listen_to_end(&t);
	listen_to_end(&o);
	close_all();
}

/* More communities than an UPDATE of ours takes: as many as go. */
static void test_many_communities(void)
{
	static char text[2][BGP_COMMUNITIES_MAX][16];
	static const char *names[2][BGP_COMMUNITIES_MAX];
	struct listener l;

	open_all();
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < BGP_COMMUNITIES_MAX; i++) {
			(void)snprintf(text[k][i], sizeof text[k][i], "%u:%u", 1 + k, i);
			names[k][i] = text[k][i];
		}
		ads[k].communities = (struct config_strings){names[k], BGP_COMMUNITIES_MAX};
	}
	w.conf.n_bgp_advertisements = 2;
	rebuild();
	listen_as(&l, "tor", false);
	CHECK_INT(routes_tell(routes, &l.as, true, l.rib), 0);
	CHECK_INT(bgp_rib_counts(l.rib).wanted[ADDR_V4], 1);
	listen_to_end(&l);
	close_all();
}

static void test_selectors(void)
{
	static const char *const other[] = {"other"};
	static const struct label a[] = {{"zone", "a"}}, b[] = {{"zone", "b"}}, six[] = {{"app", "six"}};
	static const struct selector in_a = {a, 1, NULL, 0}, in_b = {b, 1, NULL, 0},
				     for_six = {six, 1, NULL, 0};
	struct listener l;

	open_all();
	ads[0].node_selectors = (struct selectors){&in_b, 1};
	rebuild();
	CHECK_INT(routes_count(routes), 0);
	CHECK_INT(why("10.0.0.100"), REASON_NO_ADVERTISEMENT);
	ads[0].node_selectors = (struct selectors){&in_a, 1};
	ads[0].service_selectors = (struct selectors){&for_six, 1};
	rebuild();
	listen_as(&l, "tor", false);
	tell(&l, true);
	CHECK(l.n == 1 && of(&l, "fd00::100/128") != NULL);
	ads[0].ip_address_pools = (struct config_strings){other, 1};
	rebuild();
	tell(&l, true);
	CHECK_INT(l.n, 0);
	listen_to_end(&l);
	close_all();
}

static void test_node(void)
{
	static const struct {
		const char *labels, *status;
		enum reason want;
	} rows[] = {
		{"", "", REASON_OWNER},
		{"'node.kubernetes.io/exclude-from-external-load-balancers':''", "",
			REASON_NODE_EXCLUDED},
		{"", "'conditions':[{'type':'NetworkUnavailable','status':'True'}]",
			REASON_NETWORK_UNAVAILABLE},
	};

	open_all();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		world_node(&w, "n1", rows[i].labels, rows[i].status);
		rebuild();
		CHECK_INT(why("10.0.0.100"), rows[i].want);
		CHECK_INT(routes_count(routes), rows[i].want == REASON_OWNER ? 2 : 0);
	}
	close_all();
}

/* RFC 8326. */
static void test_leaving(void)
{
	struct listener ext, in;

	open_all();
	rebuild();
	listen_as(&ext, "tor", false);
	listen_as(&in, "rr", true);
	tell(&ext, true);
	tell(&in, true);
	ext.as.leaving = in.as.leaving = true;
	tell(&ext, true);
	tell(&in, true);
	CHECK_STR(of(&ext, "10.0.0.100/32"), " path 64500 65535:0");
	CHECK_STR(of(&in, "10.0.0.100/32"), " pref 0 65535:0");
	CHECK_INT(ext.withdrawn, 0);
	listen_to_end(&ext);
	listen_to_end(&in);
	close_all();
}

#ifdef MEMORY_CAN_FAIL
/* Wherever memory runs out, once there is some again everything is told. */
static void test_out_of_memory(void)
{
	for (long k = 0; k < 60; k++) {
		struct routes_input in;
		struct listener l;
		int err;

		open_all();
		in = input();
		listen_as(&l, "tor", false);
		fail_after = k;
		err = routes_rebuild(routes, &in);
		if (err == 0)
			err = routes_tell(routes, &l.as, true, l.rib);
		fail_after = -1;
		CHECK(err == 0 || err == -ENOMEM);
		rebuild();
		tell(&l, true);
		CHECK_INT(l.n, 2);
		listen_to_end(&l);
		close_all();
	}
}
#else
static void test_out_of_memory(void)
{
}
#endif

CHECK_MAIN("test_routes", CHECK_TEST(test_host_routes), CHECK_TEST(test_pool_gone), CHECK_TEST(test_changes),
	CHECK_TEST(test_aggregates), CHECK_TEST(test_local), CHECK_TEST(test_merge),
	CHECK_TEST(test_many_communities), CHECK_TEST(test_selectors), CHECK_TEST(test_node),
	CHECK_TEST(test_leaving), CHECK_TEST(test_out_of_memory))
