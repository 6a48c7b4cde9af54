/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.c - a heap of four children a node, whose entries are two words; the events lie in a slab.
 */
#include "queue.h"

#include "sim.h"

enum { CHILDREN = 4 };

struct entry {
	uint64_t at_us;
	uint32_t order, slot;
};

struct queue {
	struct entry *heap; /* owned */
	size_t n, cap;
	struct event *slots;  /* owned */
	uint32_t *free_slots; /* owned; a stack, as long as slots */
	size_t n_slots, n_free;
	uint32_t order;
};

struct queue *queue_new(void)
{
	return sim_alloc(1, sizeof(struct queue));
}

void queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	free(q->heap);
	free(q->slots);
	free(q->free_slots);
	free(q);
}

static bool is_earlier(const struct entry *a, const struct entry *b)
{
	/* Orders wrap around; those of one moment lie close together. */
	return a->at_us != b->at_us ? a->at_us < b->at_us : (int32_t)(a->order - b->order) < 0;
}

static uint32_t take_slot(struct queue *q)
{
	size_t n = q->n_slots;

	if (q->n_free == 0) {
		q->slots = sim_grow(q->slots, &q->n_slots, n + 1, sizeof *q->slots);
		free(q->free_slots);
		q->free_slots = sim_alloc(q->n_slots, sizeof *q->free_slots);
		for (size_t i = q->n_slots; i > n; i--)
			q->free_slots[q->n_free++] = (uint32_t)(i - 1);
	}
	return q->free_slots[--q->n_free];
}

void queue_post(struct queue *q, uint64_t at_us, const struct event *ev)
{
	const struct entry e = {at_us, ++q->order, take_slot(q)};
	size_t i = q->n;

	q->slots[e.slot] = *ev;
	q->heap = sim_grow(q->heap, &q->cap, q->n + 1, sizeof *q->heap);
	q->n++;
	for (; i > 0 && is_earlier(&e, &q->heap[(i - 1) / CHILDREN]); i = (i - 1) / CHILDREN)
		q->heap[i] = q->heap[(i - 1) / CHILDREN];
	q->heap[i] = e;
}

/* The hole at the top is filled with the last entry. */
static void sift(struct queue *q, const struct entry *last)
{
	size_t i = 0;

	for (;;) {
		size_t first = i * CHILDREN + 1, end = first + CHILDREN, best = first;

		if (first >= q->n)
			break;
		end = end < q->n ? end : q->n;
		for (size_t c = first + 1; c < end; c++)
			if (is_earlier(&q->heap[c], &q->heap[best]))
				best = c;
		if (!is_earlier(&q->heap[best], last))
			break;
		q->heap[i] = q->heap[best];
		i = best;
	}
	q->heap[i] = *last;
}

bool queue_next(struct queue *q, uint64_t until_us, uint64_t *ret_at_us, struct event *ret_ev)
{
	struct entry top, last;

	if (q->n == 0 || q->heap[0].at_us > until_us)
		return false;
	top = q->heap[0];
	last = q->heap[--q->n];
	if (q->n > 0)
		sift(q, &last);
	*ret_at_us = top.at_us;
	*ret_ev = q->slots[top.slot];
	q->free_slots[q->n_free++] = top.slot;
	return true;
}

size_t queue_length(const struct queue *q)
{
	return q->n;
}
