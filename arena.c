/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.c - memory that is freed whole.  Blocks double up to 64 KiB, so that a decoded Service
 * costs little more than its strings.
 */
#include "arena.h"

#include <stdint.h>
#include <string.h>

enum { FIRST_BLOCK = 256, LAST_BLOCK = 64 * 1024, ALIGN = _Alignof(max_align_t) };

struct block {
	struct block *next; /* owned */
	size_t used, cap;
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block *head; /* owned; the block being filled */
	size_t left;        /* bytes that may still be asked for */
	size_t next_cap;
};

struct arena *arena_new(size_t max_bytes)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a != NULL) {
		a->left = max_bytes;
		a->next_cap = FIRST_BLOCK;
	}
	return a;
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	while (a->head != NULL) {
		struct block *next = a->head->next;

		free(a->head);
		a->head = next;
	}
	free(a);
}

static struct block *add_block(struct arena *a, size_t want)
{
	size_t cap = want > a->next_cap ? want : a->next_cap;
	struct block *b = malloc(sizeof *b + cap);

	if (b == NULL)
		return NULL;
	b->next = a->head;
	b->used = 0;
	b->cap = cap;
	a->head = b;
	if (a->next_cap < LAST_BLOCK)
		a->next_cap *= 2;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->head;
	size_t size;
	void *p;

	if (n > SIZE_MAX - ALIGN)
		return NULL;
	size = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (size > a->left)
		return NULL;
	if (b == NULL || b->cap - b->used < size)
		b = add_block(a, size);
	if (b == NULL)
		return NULL;
	p = b->data + b->used;
	b->used += size;
	a->left -= size;
	memset(p, 0, size);
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (p != NULL)
		memcpy(p, s, n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}
