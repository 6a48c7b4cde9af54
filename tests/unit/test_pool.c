/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pool.c - who has an address, what becomes of it afterwards, which is given next, and what a
 * new configuration does to all that.  (Whole Services: test_alloc.c.)
 */
#include "check.h"
#include "pool.h"

static const struct hash_key hkey = {5, 6};

struct world {
	struct counters counters;
	struct config conf;
	struct config_pool pools[2];
	struct addr_range ranges[2];
	struct pool_set *s;
	struct pool_holder a, b, c;
	struct labels none;
	struct pool_ask ask;
};

static struct addr ip(const char *text)
{
	struct addr a = {0, 0};

	CHECK_INT(addr_parse(text, strlen(text), &a), 0);
	return a;
}

/* Pools x and, unless y is NULL, y; then all that a new configuration asks for. */
static void configure(struct world *w, const char *x, const char *y)
{
	const char *text[] = {x, y};

	w->conf = (struct config){.pools = w->pools};
	for (size_t i = 0; i < ARRAY_LEN(text) && text[i] != NULL; i++) {
		if (addr_range_parse(text[i], strlen(text[i]), true, &w->ranges[i]) !=
			ADDR_RANGE_OK)
			abort();
		w->pools[i] = (struct config_pool){.name = i == 0 ? "x" : "y",
			.ranges = &w->ranges[i],
			.n_ranges = 1,
			.auto_assign = true,
			.reuse_delay_ms = 1000};
		w->conf.n_pools++;
	}
	CHECK_INT(pool_configure(w->s, &w->conf), 0);
	pool_rehome(w->s, &w->a);
	pool_rehome(w->s, &w->b);
	pool_rehome(w->s, &w->c);
	pool_sweep(w->s);
}

static void world_init(struct world *w, const char *x, const char *y)
{
	*w = (struct world){.a = {.key = "ns/a"}, .b = {.key = "ns/b"}, .c = {.key = "ns/c"}};
	w->ask = (struct pool_ask){.namespace_ = "ns", .labels = &w->none};
	w->s = pool_set_new(&hkey, &w->counters);
	if (w->s == NULL)
		abort();
	configure(w, x, y);
}

static void world_free(struct world *w)
{
	pool_holder_free(&w->a);
	pool_holder_free(&w->b);
	pool_holder_free(&w->c);
	pool_set_free(w->s);
}

static void give(struct world *w, struct pool_holder *h, const char *text)
{
	CHECK_INT(pool_give(w->s, h, ip(text), pool_of(w->s, ip(text))), 0);
}

static uint64_t used(const struct world *w, const char *name)
{
	return pool_used(pool_named(w->s, name), ADDR_V4);
}

/* The next free address at now_ms, "-" when there is none. */
static const char *next_free(struct world *w, uint64_t now_ms, char text[ADDR_STRLEN])
{
	struct pool_pick pick;

	if (!pool_find_free(w->s, &w->ask, ADDR_V4, now_ms, &pick))
		return "-";
	return addr_format(pick.addr, text);
}

static void test_row(void)
{
	const struct pool_use *u;
	struct world w;

	world_init(&w, "10.0.0.0/30", NULL);
	CHECK(pool_next_use(w.s, ip("10.0.0.1"), NULL) == NULL);
	give(&w, &w.a, "10.0.0.1");
	give(&w, &w.b, "10.0.0.1");
	give(&w, &w.c, "10.0.0.1");
	CHECK_INT(used(&w, "x"), 1);
	pool_release(w.s, &w.b, ADDR_V4, false, 0);
	CHECK(pool_held(&w.b, ADDR_V4) == NULL && pool_held(&w.a, ADDR_V6) == NULL);
	u = pool_next_use(w.s, ip("10.0.0.1"), NULL);
	CHECK(u != NULL && u == pool_held(&w.a, ADDR_V4) && u->holder == &w.a);
	u = pool_next_use(w.s, ip("10.0.0.1"), u);
	CHECK(u != NULL && u->holder == &w.c && pool_next_use(w.s, u->addr, u) == NULL);
	pool_leave(w.s, &w.a, 0);
	CHECK_INT(used(&w, "x"), 1);
	pool_leave(w.s, &w.c, 0);
	CHECK_INT(used(&w, "x"), 0);
	CHECK(pool_next_use(w.s, ip("10.0.0.1"), NULL) == NULL);
	world_free(&w);
}

/* Never used, then rested, then the one that has been free longest. */
static void test_find_free(void)
{
	char text[ADDR_STRLEN];
	struct pool_pick pick;
	struct world w;

	world_init(&w, "10.0.0.0-10.0.0.2", NULL);
	CHECK_STR(next_free(&w, 0, text), "10.0.0.0");
	give(&w, &w.a, "10.0.0.0");
	give(&w, &w.b, "10.0.0.1");
	CHECK_STR(next_free(&w, 0, text), "10.0.0.2");
	pool_release(w.s, &w.b, ADDR_V4, false, 100);
	pool_release(w.s, &w.a, ADDR_V4, false, 200);
	CHECK_STR(next_free(&w, 5000, text), "10.0.0.2");
	give(&w, &w.c, "10.0.0.2");
	CHECK_STR(next_free(&w, 300, text), "10.0.0.1");
	CHECK_STR(next_free(&w, 5000, text), "10.0.0.1");
	CHECK(pool_find_former(w.s, &w.ask, &w.a, ADDR_V4, &pick) &&
		addr_eq(pick.addr, ip("10.0.0.0")));
	CHECK(!pool_find_former(w.s, &w.ask, &w.a, ADDR_V6, &pick));
	CHECK(!pool_find_former(w.s, &w.ask, &w.c, ADDR_V4, &pick));
	give(&w, &w.a, "10.0.0.1"); /* another's */
	CHECK(!pool_find_former(w.s, &w.ask, &w.b, ADDR_V4, &pick));
	give(&w, &w.b, "10.0.0.0");
	CHECK_STR(next_free(&w, 5000, text), "-");
	CHECK(pool_any_fits(w.s, &w.ask, ADDR_V4) && !pool_any_fits(w.s, &w.ask, ADDR_V6));
	world_free(&w);
}

static void test_rested_pool_first(void)
{
	char text[ADDR_STRLEN];
	struct world w;

	world_init(&w, "10.0.0.0", "10.0.1.0");
	give(&w, &w.a, "10.0.0.0");
	pool_release(w.s, &w.a, ADDR_V4, false, 10000);
	CHECK_STR(next_free(&w, 10999, text), "10.0.1.0"); /* of a pool that is alike */
	CHECK_STR(next_free(&w, 11000, text), "10.0.0.0");
	w.ask.only = pool_named(w.s, "x");
	CHECK_STR(next_free(&w, 10999, text), "10.0.0.0");
	world_free(&w);
}

static void test_guard(void)
{
	char text[ADDR_STRLEN];
	const struct pool_use *u;
	uint64_t before;
	struct world w;

	world_init(&w, "10.0.0.0-10.0.0.1", NULL);
	give(&w, &w.a, "10.0.0.0");
	before = pool_generation(w.s);
	pool_release(w.s, &w.a, ADDR_V4, true, 0);
	CHECK(pool_generation(w.s) == before);
	CHECK(pool_held(&w.a, ADDR_V4) == NULL && pool_guards(&w.a, ip("10.0.0.0")));
	u = pool_next_use(w.s, ip("10.0.0.0"), NULL);
	CHECK(u != NULL && u->holder == &w.a && pool_is_guard(u));
	CHECK_INT(used(&w, "x"), 1);
	CHECK_STR(next_free(&w, 9000, text), "10.0.0.1");

	give(&w, &w.a, "10.0.0.0"); /* its own back: the guard ends */
	CHECK(!pool_guards(&w.a, ip("10.0.0.0")) && !pool_is_guard(pool_held(&w.a, ADDR_V4)));
	CHECK_INT(used(&w, "x"), 1);
	pool_release(w.s, &w.a, ADDR_V4, true, 0);

	pool_guard(w.s, &w.a, ip("10.0.0.1"), pool_of(w.s, ip("10.0.0.1")));
	CHECK_STR(next_free(&w, 9000, text), "-");
	u = pool_next_use(w.s, ip("10.0.0.1"), NULL);
	pool_end_guards(w.s, &w.a, &u->addr, 1, 0);
	CHECK(!pool_guards(&w.a, ip("10.0.0.0")) && pool_guards(&w.a, ip("10.0.0.1")));
	CHECK(pool_generation(w.s) != before);
	CHECK_STR(next_free(&w, 9000, text), "10.0.0.0");
	pool_leave(w.s, &w.a, 0);
	CHECK_INT(used(&w, "x"), 0);
	world_free(&w);
}

static void test_guards_limit(void)
{
	struct world w;

	world_init(&w, "10.0.0.0/24", NULL);
	for (uint64_t i = 0; i <= POOL_MAX_GUARDS; i++) {
		struct addr x = addr_plus(ip("10.0.0.0"), i);

		CHECK_INT(pool_give(w.s, &w.a, x, pool_of(w.s, x)), 0);
		pool_release(w.s, &w.a, ADDR_V4, true, 0);
	}
	CHECK(!pool_guards(&w.a, ip("10.0.0.0")) && pool_guards(&w.a, ip("10.0.0.1")));
	CHECK_INT(used(&w, "x"), POOL_MAX_GUARDS);
	world_free(&w);
}

static void test_configure(void)
{
	const struct pool_use *u;
	char text[ADDR_STRLEN];
	struct pool_pick pick;
	struct world w;

	world_init(&w, "10.0.0.0/30", "10.0.1.0/30");
	give(&w, &w.a, "10.0.1.0");
	give(&w, &w.b, "10.0.1.1");
	give(&w, &w.c, "10.0.0.0");
	pool_release(w.s, &w.b, ADDR_V4, true, 0);
	pool_release(w.s, &w.c, ADDR_V4, false, 0);

	configure(&w, "10.0.0.0-10.0.1.0", NULL); /* x takes a part of y over; y is gone */
	u = pool_held(&w.a, ADDR_V4);
	CHECK(u != NULL && u->pool == pool_named(w.s, "x"));
	CHECK_INT(used(&w, "x"), 1);
	CHECK(pool_of(w.s, ip("10.0.1.1")) == NULL);
	CHECK(pool_named(w.s, "y") != NULL && pool_conf(pool_named(w.s, "y")) == NULL);
	CHECK(!pool_fits(pool_named(w.s, "y"), &w.ask) && !pool_fits(NULL, &w.ask));
	CHECK(pool_find_former(w.s, &w.ask, &w.c, ADDR_V4, &pick));
	CHECK_STR(next_free(&w, 9000, text), "10.0.0.1");

	pool_leave(w.s, &w.b, 0);
	configure(&w, "10.0.1.0/30", NULL);
	CHECK(pool_named(w.s, "y") == NULL);
	CHECK(!pool_find_former(w.s, &w.ask, &w.c, ADDR_V4, &pick)); /* out of all pools */
	CHECK_STR(next_free(&w, 0, text), "10.0.1.1");
	configure(&w, "10.0.1.0", NULL);
	CHECK_STR(next_free(&w, 9000, text), "-");
	world_free(&w);
}

static void test_forget_all(void)
{
	char text[ADDR_STRLEN];
	struct pool_pick pick;
	struct world w;

	world_init(&w, "10.0.0.0/30", NULL);
	give(&w, &w.a, "10.0.0.0");
	give(&w, &w.b, "10.0.0.1");
	give(&w, &w.c, "10.0.0.2");
	pool_release(w.s, &w.b, ADDR_V4, true, 0);
	pool_release(w.s, &w.c, ADDR_V4, false, 0);
	pool_forget_all(w.s);
	pool_holder_free(&w.a);
	pool_holder_free(&w.b);
	w.a = (struct pool_holder){.key = "ns/a"};
	w.b = (struct pool_holder){.key = "ns/b"};
	CHECK_INT(used(&w, "x"), 0);
	CHECK_STR(next_free(&w, 0, text), "10.0.0.0");
	CHECK(!pool_find_former(w.s, &w.ask, &w.c, ADDR_V4, &pick));
	give(&w, &w.b, "10.0.0.1");
	CHECK_INT(used(&w, "x"), 1);
	world_free(&w);
	pool_set_free(NULL);
}

CHECK_MAIN("test_pool", CHECK_TEST(test_row), CHECK_TEST(test_find_free),
	CHECK_TEST(test_rested_pool_first), CHECK_TEST(test_guard), CHECK_TEST(test_guards_limit),
	CHECK_TEST(test_configure), CHECK_TEST(test_forget_all))
