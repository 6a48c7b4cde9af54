/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h - a hash table of pointers that keeps the order of insertion: an array of elements, and
 * an open-addressed index of positions over it, of 16 bits or of 32 (the layout of Python's dict).
 * Pure, header only.
 *
 * It costs 11 to 18 bytes an element where uthash's handle alone takes 56; for the tables that hold
 * ten thousand Services that is a quarter of the memory.  What a position leaves of an index word
 * is filled with bits of the hash, so that few elements are looked at that are not it.  An
 * element's first member is its hash, which hash_bytes() computed with the table owner's key.
 * Removing never fails and never moves anything; adding to a table out of which as much was taken
 * needs no memory.
 */
#ifndef LBD_TABLE_H
#define LBD_TABLE_H

#include "base.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Index words; else the low bits, those of mask, are position + TABLE_FIRST and the rest the
 * hash's. */
enum { TABLE_FREE = 0, TABLE_GONE = 1, TABLE_FIRST = 2 };
enum { TABLE_MIN = 16, TABLE_NARROW = 65536 }; /* up to so many words they are of 16 bits */

struct table {
	void **v; /* owned; the elements are the caller's; NULL = removed */
	union {
		uint16_t *narrow;
		uint32_t *wide;
	} index; /* owned; mask + 1 words, at most 2/3 of them not TABLE_FREE */
	uint32_t live, used, cap, mask;
};

enum { TABLE_AHEAD = 16 }; /* elements */

/* The first member of every element. */
struct table_elt {
	uint32_t hash;
};

/* Is key this element's? */
typedef bool (*table_eq_fn)(const void *elt, const void *key, size_t len);

static inline void table_free(struct table *t)
{
	free(t->v);
	free(t->index.wide);
	*t = (struct table){0};
}

static inline bool table_is_narrow(uint32_t mask)
{
	return mask < TABLE_NARROW;
}

static inline size_t table_index_bytes(uint32_t mask)
{
	return ((size_t)mask + 1) * (table_is_narrow(mask) ? sizeof(uint16_t) : sizeof(uint32_t));
}

static inline uint32_t table_word(const struct table *t, uint32_t i)
{
	return table_is_narrow(t->mask) ? t->index.narrow[i] : t->index.wide[i];
}

static inline void table_set_word(struct table *t, uint32_t i, uint32_t word)
{
	if (table_is_narrow(t->mask))
		t->index.narrow[i] = (uint16_t)word;
	else
		t->index.wide[i] = word;
}

/* The bits of an index word that are the hash's. */
static inline uint32_t table_tag_bits(const struct table *t)
{
	return ~t->mask & (table_is_narrow(t->mask) ? UINT16_MAX : UINT32_MAX);
}

/* All words become TABLE_FREE. */
static inline void table_wipe(struct table *t)
{
	if (t->index.wide != NULL)
		memset(t->index.wide, 0, table_index_bytes(t->mask));
}

/* Empty, its memory kept; the elements are the caller's to free. */
static inline void table_clear(struct table *t)
{
	t->used = t->live = 0;
	table_wipe(t);
}

static inline uint32_t table_hash_of(const void *elt)
{
	return ((const struct table_elt *)elt)->hash;
}

static inline void *table_find(
	const struct table *t, uint32_t hash, table_eq_fn eq, const void *key, size_t len)
{
	if (t->cap == 0)
		return NULL;
	for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		uint32_t word = table_word(t, i);
		void *elt;

		if (word == TABLE_FREE)
			return NULL;
		if (word == TABLE_GONE || ((word ^ hash) & table_tag_bits(t)) != 0)
			continue;
		elt = t->v[(word & t->mask) - TABLE_FIRST];
		if (table_hash_of(elt) == hash && eq(elt, key, len))
			return elt;
	}
}

/* Where the index word of an element is that is in the table. */
static inline uint32_t table_slot(const struct table *t, const void *elt)
{
	uint32_t i = table_hash_of(elt) & t->mask;

	for (;; i = (i + 1) & t->mask) {
		uint32_t word = table_word(t, i);

		REQUIRE(word != TABLE_FREE);
		if (word != TABLE_GONE && t->v[(word & t->mask) - TABLE_FIRST] == elt)
			return i;
	}
}

/* Where an element of the table is in v. */
static inline uint32_t table_position(const struct table *t, const void *elt)
{
	return (table_word(t, table_slot(t, elt)) & t->mask) - TABLE_FIRST;
}

static inline void table_put_word(struct table *t, uint32_t pos)
{
	uint32_t hash = table_hash_of(t->v[pos]), i = hash & t->mask;

	while (table_word(t, i) != TABLE_FREE)
		i = (i + 1) & t->mask;
	table_set_word(t, i, (hash & ~t->mask) | (pos + TABLE_FIRST));
}

/* Closes the gaps and makes the index anew; all room is there. */
static inline void table_compact(struct table *t)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < t->used; i++)
		if (t->v[i] != NULL)
			t->v[to++] = t->v[i];
	t->used = to;
	table_wipe(t);
	for (uint32_t i = 0; i < to; i++) {
		/* Elements lie anywhere in memory: their hashes are asked for beforehand. */
		if (i + TABLE_AHEAD < to)
			__builtin_prefetch(t->v[i + TABLE_AHEAD]);
		table_put_word(t, i);
	}
}

/* Room for cap elements, not fewer than there were.  0 or -ENOMEM (as it was). */
static inline int table_resize(struct table *t, uint32_t cap)
{
	bool same = t->cap > 0 && cap + cap / 2 + 1 <= t->mask + 1; /* enough words */
	uint32_t words = TABLE_MIN;
	void *index = NULL;
	void **v;

	while (words < cap + cap / 2 + 1)
		words *= 2;
	if (!same)
		index = malloc(table_index_bytes(words - 1));
	if (!same && index == NULL)
		return -ENOMEM;
	v = realloc(t->v, cap * sizeof *v);
	if (v == NULL) {
		free(index);
		return -ENOMEM;
	}
	t->v = v;
	t->cap = cap;
	if (same)
		return 0;
	free(t->index.wide);
	t->index.wide = index;
	t->mask = words - 1;
	table_compact(t);
	return 0;
}

/* Makes sure that the next n table_add() succeed.  0 or -ENOMEM. */
static inline int table_reserve(struct table *t, uint32_t n)
{
	uint32_t cap = t->cap + t->cap / 8 + TABLE_MIN;

	if (n <= t->cap - t->used)
		return 0;
	if (t->live + n <= t->cap / 4 * 3) { /* enough holes: no memory needed */
		table_compact(t);
		return 0;
	}
	REQUIRE(n < UINT32_MAX / 8 && t->live < UINT32_MAX / 8);
	if (cap < t->used + n)
		cap = t->used + n;
	return table_resize(t, cap);
}

/* elt (its hash set) must not be in the table.  0 or -ENOMEM. */
static inline MUST_CHECK int table_add(struct table *t, void *elt)
{
	int r = table_reserve(t, 1);

	if (r < 0)
		return r;
	t->v[t->used] = elt;
	table_put_word(t, t->used++);
	t->live++;
	return 0;
}

/* elt must be in the table; it stays the caller's to free. */
static inline void table_remove(struct table *t, const void *elt)
{
	uint32_t i = table_slot(t, elt);

	t->v[(table_word(t, i) & t->mask) - TABLE_FIRST] = NULL;
	table_set_word(t, i, TABLE_GONE);
	t->live--;
}

/* new (of the same hash) takes old's place; old stays the caller's to free. */
static inline void table_replace(struct table *t, const void *old, void *new)
{
	t->v[table_position(t, old)] = new;
}

/* Order of insertion; NULL starts, NULL ends.  Removing is allowed once the next one is at hand. */
static inline void *table_next(const struct table *t, const void *elt)
{
	uint32_t i = elt != NULL ? table_position(t, elt) + 1 : 0;

	while (i < t->used && t->v[i] == NULL)
		i++;
	return i < t->used ? t->v[i] : NULL;
}

/* Each element x, in order of insertion, without a look at the index.  Removing is allowed, adding is not. */
#define TABLE_EACH(t, x)                                                                           \
	for (uint32_t x##_at = 0; x##_at < (t)->used; x##_at++)                                    \
		if (((x) = (t)->v[x##_at]) != NULL)

/* Frees the elements (free()) and the table's own memory. */
static inline void table_free_all(struct table *t)
{
	for (uint32_t i = 0; i < t->used; i++)
		free(t->v[i]);
	table_free(t);
}

#endif
