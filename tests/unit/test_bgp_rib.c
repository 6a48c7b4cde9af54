/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bgp_rib.c - what a peer is told, read by a peer: after all was said it has what it should have,
 * nothing was said twice, and withdrawals and routes of a kind share messages.
 */
#include "bgp_rib.h"
#include "bytes.h"
#include "check.h"

#include <errno.h>

enum { N = 64, ROOM = BGP_MAX };

/* The peer: of N prefixes of each family what MED it has, -1 = none. */
struct peer {
	int med[ADDR_FAMILIES][N];
	unsigned messages, announced, withdrawn, rib_ends[ADDR_FAMILIES], begins, ends;
};

struct rig {
	struct bgp_rib *r;
	struct peer p;
	int want[ADDR_FAMILIES][N];
};

static const struct bgp_terms both = {.as4 = true, .families = {true, true}};

static struct addr_prefix prefix(unsigned f, unsigned i)
{
	const uint8_t four[4] = {10, 0, 0, (uint8_t)i};
	const uint8_t six[16] = {0xfd, 0, [15] = (uint8_t)i};

	return f == ADDR_V4 ? (struct addr_prefix){addr_from_v4(four), 32}
			    : (struct addr_prefix){addr_from_v6(six), 128};
}

static struct bgp_attributes attributes(unsigned f, int med)
{
	struct bgp_attributes a;

	memset(&a, 0, sizeof a);
	a.path[0] = 65001;
	a.n_path = 1;
	a.next_hop = prefix(f, 200).base;
	a.has_med = 1;
	a.med = (uint32_t)med;
	return a;
}

static void take(struct peer *p, unsigned f, struct rd r, int med)
{
	while (rd_left(&r) > 0) {
		size_t len = (size_t)(rd_u8(&r) + 7) / 8;
		const uint8_t *b = rd_bytes(&r, len);

		CHECK(b != NULL);
		if (b == NULL)
			return;
		CHECK(b[len - 1] < N);
		p->med[f][b[len - 1]] = med;
		p->announced += med >= 0;
		p->withdrawn += med < 0;
	}
}

static void read_update(struct peer *p, struct rd r)
{
	struct rd gone = rd_sub(&r, rd_be16(&r)), attrs = rd_sub(&r, rd_be16(&r)), mp = {0};
	unsigned mp_type = 0, mp_family = 0;
	int med = -1;

	if (rd_left(&gone) + rd_left(&attrs) + rd_left(&r) == 0)
		p->rib_ends[ADDR_V4]++;
	while (rd_left(&attrs) > 0) {
		unsigned flags = rd_u8(&attrs), type = rd_u8(&attrs);
		struct rd v = rd_sub(&attrs, (flags & 0x10) ? rd_be16(&attrs) : rd_u8(&attrs));

		if (type == 4)
			med = (int)rd_be32(&v);
		if (type != 14 && type != 15)
			continue;
		mp_type = type;
		mp_family = rd_be16(&v) == 1 ? ADDR_V4 : ADDR_V6;
		rd_skip(&v, 1);
		if (type == 14)
			rd_skip(&v, rd_u8(&v) + 1u);
		if (type == 15 && rd_left(&v) == 0)
			p->rib_ends[mp_family]++;
		mp = v;
	}
	take(p, ADDR_V4, gone, -1);
	if (mp_type != 0)
		take(p, mp_family, mp, mp_type == 14 ? med : -1);
	take(p, ADDR_V4, r, med);
}

/* One message; false: all was said. */
static bool hear(struct rig *g)
{
	uint8_t b[ROOM];
	size_t n = bgp_rib_pull(g->r, b, sizeof b);

	CHECK(n == 0 || (n >= BGP_HEADER_LEN && (size_t)(b[16] << 8 | b[17]) == n));
	if (n == 0)
		return false;
	g->p.messages++;
	if (b[18] == BGP_ROUTE_REFRESH) {
		g->p.begins += b[21] == BGP_REFRESH_BEGIN;
		g->p.ends += b[21] == BGP_REFRESH_END;
	} else {
		CHECK_INT(b[18], BGP_UPDATE);
		read_update(&g->p, rd_init(b + BGP_HEADER_LEN, n - BGP_HEADER_LEN));
	}
	return true;
}

static void hear_all(struct rig *g)
{
	for (unsigned i = 0; i < 10000 && hear(g); i++)
		continue;
	CHECK(!bgp_rib_is_pending(g->r));
}

static void put(struct rig *g, unsigned f, unsigned i, int med)
{
	const struct bgp_attributes a = attributes(f, med);

	CHECK_INT(bgp_rib_put(g->r, prefix(f, i), &a), 0);
	g->want[f][i] = med;
}

static void drop(struct rig *g, unsigned f, unsigned i)
{
	bgp_rib_del(g->r, prefix(f, i));
	g->want[f][i] = -1;
}

static void set_up(struct rig *g)
{
	static const struct hash_key key = {1, 2};

	memset(g, 0, sizeof *g);
	memset(g->p.med, 0xff, sizeof g->p.med);
	memset(g->want, 0xff, sizeof g->want);
	g->r = bgp_rib_new(&key);
	if (g->r == NULL)
		abort();
}

static void agrees(const struct rig *g)
{
	struct bgp_rib_counts c = bgp_rib_counts(g->r);
	unsigned n[ADDR_FAMILIES] = {0};

	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		for (unsigned i = 0; i < N; i++) {
			CHECK_INT(g->p.med[f][i], g->want[f][i]);
			n[f] += g->want[f][i] >= 0;
		}
		CHECK_INT(c.wanted[f], n[f]);
		CHECK_INT(c.told[f], n[f]);
	}
}

static void test_session(void)
{
	struct rig g;

	set_up(&g);
	for (unsigned i = 0; i < N; i++) {
		put(&g, ADDR_V4, i, (int)i % 2);
		put(&g, ADDR_V6, i, 7);
	}
	CHECK(!bgp_rib_is_pending(g.r) && !hear(&g)); /* nobody to tell */
	bgp_rib_open(g.r, &both);
	CHECK(bgp_rib_is_pending(g.r));
	hear_all(&g);
	agrees(&g);
	CHECK_INT(g.p.announced, 2 * N);
	CHECK_INT(g.p.messages, 3 + 2); /* two kinds of IPv4, one of IPv6, and where they end */
	CHECK(g.p.rib_ends[ADDR_V4] == 1 && g.p.rib_ends[ADDR_V6] == 1);
	CHECK(!hear(&g));

	put(&g, ADDR_V4, 3, 1); /* as it is */
	CHECK(!bgp_rib_is_pending(g.r));
	put(&g, ADDR_V4, 3, 0);
	put(&g, ADDR_V4, 3, 1); /* and back before it was said */
	hear_all(&g);
	CHECK_INT(g.p.announced, 2 * N);
	put(&g, ADDR_V4, 3, 0);
	drop(&g, ADDR_V4, 4);
	drop(&g, ADDR_V4, 5);
	drop(&g, ADDR_V4, 5);
	hear_all(&g);
	agrees(&g);
	CHECK_INT(g.p.announced, 2 * N + 1);
	CHECK_INT(g.p.withdrawn, 2);
	CHECK_INT(g.p.messages, 5 + 2);

	bgp_rib_close(g.r);
	drop(&g, ADDR_V4, 6);
	CHECK(!hear(&g));
	memset(g.p.med, 0xff, sizeof g.p.med);
	bgp_rib_open(g.r, &both);
	hear_all(&g);
	agrees(&g);
	CHECK_INT(g.p.withdrawn, 2); /* a new session is not told of what is gone */
	bgp_rib_free(g.r);
	bgp_rib_free(NULL);
}

/* What the peer did not agree to is not sent. */
static void test_terms(void)
{
	const struct bgp_terms four = {.as4 = true, .families = {true, false}},
			       hops = {.as4 = true,
				       .extended_next_hop = true,
				       .families = {true, true}};
	struct bgp_attributes via6 = attributes(ADDR_V6, 1);
	struct rig g;

	set_up(&g);
	put(&g, ADDR_V4, 1, 1);
	put(&g, ADDR_V6, 1, 1);
	CHECK_INT(bgp_rib_put(g.r, prefix(ADDR_V4, 2), &via6), 0);
	bgp_rib_open(g.r, &four);
	hear_all(&g);
	CHECK_INT(g.p.announced, 1);
	CHECK_INT(g.p.rib_ends[ADDR_V6], 0);
	bgp_rib_close(g.r);
	bgp_rib_open(g.r, &hops);
	hear_all(&g);
	CHECK_INT(g.p.announced, 1 + 3);
	CHECK_INT(g.p.med[ADDR_V4][2], 1);
	bgp_rib_del(g.r, prefix(ADDR_V4, 2));
	hear_all(&g);
	CHECK_INT(g.p.med[ADDR_V4][2], -1);
	/* From a next hop that it takes to one that it does not: it is gone. */
	bgp_rib_close(g.r);
	bgp_rib_open(g.r, &both);
	hear_all(&g);
	put(&g, ADDR_V4, 3, 5);
	hear_all(&g);
	CHECK_INT(g.p.med[ADDR_V4][3], 5);
	CHECK_INT(bgp_rib_put(g.r, prefix(ADDR_V4, 3), &via6), 0);
	hear_all(&g);
	CHECK_INT(g.p.med[ADDR_V4][3], -1);
	bgp_rib_free(g.r);
}

static void test_refresh(void)
{
	struct rig g;

	set_up(&g);
	for (unsigned i = 0; i < 5; i++)
		put(&g, ADDR_V4, i, 1);
	put(&g, ADDR_V6, 1, 1);
	bgp_rib_refresh(g.r, ADDR_V4, true); /* nobody is there */
	bgp_rib_open(g.r, &both);
	hear_all(&g);
	CHECK_INT(g.p.begins, 0);
	bgp_rib_refresh(g.r, ADDR_V4, false);
	hear_all(&g);
	CHECK_INT(g.p.announced, 6 + 5);
	CHECK(g.p.begins == 0 && g.p.ends == 0);
	drop(&g, ADDR_V4, 0);
	bgp_rib_refresh(g.r, ADDR_V4, true);
	bgp_rib_refresh(g.r, ADDR_V4, true); /* one answer to both */
	CHECK(hear(&g) && g.p.begins == 1 && g.p.announced == 11);
	hear_all(&g);
	CHECK_INT(g.p.announced, 6 + 5 + 4);
	CHECK(g.p.begins == 1 && g.p.ends == 1);
	agrees(&g);
	bgp_rib_free(g.r);
}

/* Another address of this node: only the routes that it is the next hop of are said again. */
static void test_self(void)
{
	struct bgp_self self = {.next_hop = {prefix(ADDR_V4, 1).base, prefix(ADDR_V6, 1).base}};
	struct bgp_attributes a;
	struct rig g;

	set_up(&g);
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		a = attributes(f, 0);
		memset(&a.next_hop, 0, sizeof a.next_hop);
		CHECK_INT(bgp_rib_put(g.r, prefix(f, 5), &a), 0);
	}
	bgp_rib_set_self(g.r, &self);
	bgp_rib_open(g.r, &both);
	hear_all(&g);
	CHECK_INT(g.p.announced, 2);
	bgp_rib_set_self(g.r, &self);
	CHECK(!bgp_rib_is_pending(g.r));
	self.link_local = prefix(ADDR_V6, 2).base;
	bgp_rib_set_self(g.r, &self);
	hear_all(&g);
	CHECK_INT(g.p.announced, 3); /* IPv6 */
	self.next_hop[ADDR_V4] = prefix(ADDR_V4, 2).base;
	bgp_rib_set_self(g.r, &self);
	hear_all(&g);
	CHECK_INT(g.p.announced, 4);
	bgp_rib_free(g.r);
}

static void test_sync(void)
{
	struct rig g;

	set_up(&g);
	for (unsigned i = 0; i < 10; i++)
		put(&g, ADDR_V4, i, 1);
	bgp_rib_open(g.r, &both);
	hear_all(&g);
	bgp_rib_begin_sync(g.r);
	for (unsigned i = 5; i < 15; i++)
		put(&g, ADDR_V4, i, 1);
	for (unsigned i = 0; i < 5; i++)
		g.want[ADDR_V4][i] = -1;
	bgp_rib_end_sync(g.r);
	hear_all(&g);
	agrees(&g);
	CHECK_INT(g.p.announced, 10 + 5);
	CHECK_INT(g.p.withdrawn, 5);
	bgp_rib_free(g.r);
}

/* Attributes that the last route with them took away, put again. */
static void test_alone(void)
{
	struct rig g;

	set_up(&g);
	bgp_rib_open(g.r, &both);
	for (int i = 0; i < 3; i++) {
		put(&g, ADDR_V4, 1, i / 2);
		hear_all(&g);
		agrees(&g);
		drop(&g, ADDR_V4, 1);
		hear_all(&g);
		agrees(&g);
	}
	CHECK_INT(g.p.announced, 3);
	bgp_rib_free(g.r);
}

/* Anything at any time, a peer that reads now and then. */
static void test_random(void)
{
	struct rng rng = {.state = 7};
	struct rig g;

	set_up(&g);
	bgp_rib_open(g.r, &both);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned f = (unsigned)rng_below(&rng, 2), at = (unsigned)rng_below(&rng, N);

		switch (rng_below(&rng, 8)) {
		case 0:
			drop(&g, f, at);
			break;
		case 1:
			(void)hear(&g);
			break;
		case 2:
			if (rng_below(&rng, 100) == 0)
				bgp_rib_refresh(g.r, (enum addr_family)f, rng_below(&rng, 2) == 0);
			break;
		case 3:
			if (rng_below(&rng, 500) != 0)
				break;
			bgp_rib_close(g.r);
			memset(g.p.med, 0xff, sizeof g.p.med);
			bgp_rib_open(g.r, &both);
			break;
		default:
			put(&g, f, at, (int)rng_below(&rng, 5));
		}
		if (i % 1000 == 0) {
			hear_all(&g);
			agrees(&g);
		}
	}
	CHECK(g.p.ends > 0 && g.p.ends <= g.p.begins); /* one asked for meanwhile begins it anew */
	bgp_rib_free(g.r);
}

CHECK_MAIN("test_bgp_rib", CHECK_TEST(test_session), CHECK_TEST(test_terms),
	CHECK_TEST(test_refresh), CHECK_TEST(test_self), CHECK_TEST(test_sync), CHECK_TEST(test_alone),
	CHECK_TEST(test_random))
