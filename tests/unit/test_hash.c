/* SPDX-License-Identifier: Apache-2.0
 *
 * test_hash.c - SipHash-2-4 against its authors' vectors; uthash and the compact table over it.
 */
#include "check.h"
#include "hash.h"
#include "table.h"

#include <stdbool.h>

static void test_siphash_vectors(void)
{
	/* github.com/veorq/SipHash vectors.h: key 00 01 .. 0f, input 00 01 .. n - 1. */
	static const struct {
		size_t n;
		uint64_t want;
	} rows[] = {
		{0, 0x726fdb47dd0e0e31u},
		{1, 0x74f839c593dc67fdu},
		{7, 0xab0200f58b01d137u},
		{8, 0x93f5f5799a932462u},
		{15, 0xa129ca6149be45e5u},
		{63, 0x958a324ceb064572u},
	};
	static const struct hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
	unsigned char bytes[64];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char *in = check_guard(bytes, rows[i].n);

		CHECK_INT(hash_bytes(&key, in, rows[i].n),
			(unsigned)(rows[i].want ^ rows[i].want >> 32));
		check_unguard(in, rows[i].n);
	}
	CHECK(hash_bytes(&(struct hash_key){1, 2}, "a", 1) !=
		hash_bytes(&(struct hash_key){1, 3}, "a", 1));
}

struct thing {
	char name[16];
	UT_hash_handle hh;
};

static void test_uthash(void)
{
	static const struct hash_key key = {1, 2};
	struct thing *head = NULL, *t, *next, v[100];
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		(void)snprintf(v[i].name, sizeof v[i].name, "t%zu", i);
		t = &v[i];
		HASH_ADD_KEYED(hh, head, &key, t->name, strlen(t->name), t);
		CHECK(!hash_oom(t));
	}
	HASH_FIND_KEYED(hh, head, &key, "t42", 3, t);
	CHECK(t == &v[42]);
	HASH_FIND_KEYED(hh, head, &key, "t100", 4, t);
	CHECK(t == NULL);
	HASH_ITER (hh, head, t, next) { /* in order of insertion */
		CHECK(t == &v[n]);
		n++;
		HASH_DEL(head, t);
	}
	CHECK_INT(n, 100);
	CHECK(head == NULL);
}

/* -- the compact table -- */

struct elt {
	uint32_t hash, value;
};

static bool elt_is(const void *elt, const void *key, size_t len)
{
	return memcmp(&((const struct elt *)elt)->value, key, len) == 0;
}

static struct elt *find(const struct table *t, uint32_t value, uint32_t (*hash)(uint32_t))
{
	return table_find(t, hash(value), elt_is, &value, sizeof value);
}

static uint32_t spread(uint32_t value)
{
	static const struct hash_key key = {5, 6};

	return hash_bytes(&key, &value, sizeof value);
}

static uint32_t clash(uint32_t value)
{
	return value % 3;
}

static void test_table_empty(void)
{
	struct table t = {0};

	CHECK(find(&t, 1, spread) == NULL);
	CHECK(table_next(&t, NULL) == NULL);
	CHECK_INT(table_reserve(&t, 0), 0);
	table_free(&t);
	table_free_all(&t);
}

/* Against an array that is kept in order of insertion. */
static void run_model(uint32_t (*hash)(uint32_t), uint32_t values, int steps)
{
	struct table t = {0};
	struct rng rng = {.state = 11};
	struct elt **order = calloc(values, sizeof(void *)), *e;
	uint32_t n = 0, i;
	bool right = true;

	for (int step = 0; step < steps && right; step++) {
		uint32_t value = (uint32_t)rng_below(&rng, values);

		for (i = 0; i < n && order[i]->value != value; i++)
			continue;
		e = find(&t, value, hash);
		right = e == (i < n ? order[i] : NULL);
		if (e == NULL) {
			e = calloc(1, sizeof *e);
			*e = (struct elt){.hash = hash(value), .value = value};
			right = right && table_add(&t, e) == 0;
			order[n++] = e;
		} else if (rng_below(&rng, 4) == 0) {
			struct elt *new = calloc(1, sizeof *new);

			*new = *e;
			table_replace(&t, e, new);
			order[i] = new;
			free(e);
		} else {
			table_remove(&t, e);
			free(e);
			memmove(&order[i], &order[i + 1], (--n - i) * sizeof(void *));
		}
		right = right && t.live == n && t.used <= t.cap && t.cap < 3 * values + 32;
		if (step % 64 != 0)
			continue;
		for (i = 0, e = NULL; (e = table_next(&t, e)) != NULL; i++)
			right = right && i < n && order[i] == e;
		right = right && i == n;
		i = 0;
		TABLE_EACH (&t, e)
			right = right && i < n && order[i++] == e;
		right = right && i == n;
	}
	CHECK(right);
	table_free_all(&t);
	free(order);
}

static void test_table_model(void)
{
	run_model(spread, 4, 5000);
	run_model(spread, 300, 60000);
	run_model(clash, 60, 20000);
}

static void test_table_reserve(void)
{
	struct table t = {0};
	struct elt v[100];
	void **before;

	CHECK_INT(table_reserve(&t, 100), 0);
	before = t.v;
	for (uint32_t i = 0; i < 100; i++) {
		v[i] = (struct elt){.hash = spread(i), .value = i};
		CHECK_INT(table_add(&t, &v[i]), 0);
	}
	CHECK(t.v == before); /* no memory was needed */
	for (uint32_t i = 0; i < 60; i++)
		table_remove(&t, &v[i]);
	for (uint32_t i = 0; i < 30; i++)
		CHECK_INT(table_add(&t, &v[i]), 0);
	CHECK(t.v == before); /* nor for what takes the place of what went */
	CHECK(table_next(&t, NULL) == &v[60]);
	table_free(&t);
}

CHECK_MAIN("test_hash", CHECK_TEST(test_siphash_vectors), CHECK_TEST(test_uthash),
	CHECK_TEST(test_table_empty), CHECK_TEST(test_table_model), CHECK_TEST(test_table_reserve))
