/* SPDX-License-Identifier: Apache-2.0
 *
 * deadline.h - a heap of the things that are due some time, the one due first on top: the deadline
 * is a member of the thing.  Pure, header only.
 */
#ifndef LBD_DEADLINE_H
#define LBD_DEADLINE_H

#include "base.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
	uint64_t due; /* in the unit of the heap's owner; TIME_NEVER is one, too */
	uint32_t at;  /* in the heap */
};

struct deadlines {
	struct deadline **v; /* owned; what it points to is not */
	uint32_t n, cap;
};

static inline void deadline_put(struct deadlines *h, uint32_t at, struct deadline *d)
{
	h->v[at] = d;
	d->at = at;
}

static inline void deadline_up(struct deadlines *h, struct deadline *d)
{
	uint32_t at = d->at;

	while (at > 0 && h->v[(at - 1) / 2]->due > d->due) {
		deadline_put(h, at, h->v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	deadline_put(h, at, d);
}

static inline void deadline_down(struct deadlines *h, struct deadline *d)
{
	uint32_t at = d->at;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < h->n && h->v[child + 1]->due < h->v[child]->due)
			child++;
		if (child >= h->n || h->v[child]->due >= d->due)
			break;
		deadline_put(h, at, h->v[child]);
		at = child;
	}
	deadline_put(h, at, d);
}

/* d is in the heap. */
static inline void deadline_set(struct deadlines *h, struct deadline *d, uint64_t due)
{
	d->due = due;
	deadline_up(h, d);
	deadline_down(h, d);
}

/* d, its due set, is not in the heap.  0 or -ENOMEM. */
static inline MUST_CHECK int deadline_add(struct deadlines *h, struct deadline *d)
{
	uint32_t cap = h->cap + h->cap / 4 + 16;
	struct deadline **v;

	if (h->n == h->cap) {
		v = realloc(h->v, cap * sizeof(struct deadline *));
		if (v == NULL)
			return -ENOMEM;
		h->v = v;
		h->cap = cap;
	}
	deadline_put(h, h->n++, d);
	deadline_up(h, d);
	return 0;
}

/* d is in the heap. */
static inline void deadline_remove(struct deadlines *h, const struct deadline *d)
{
	struct deadline *last = h->v[--h->n];

	if (last == d)
		return;
	deadline_put(h, d->at, last);
	deadline_up(h, last);
	deadline_down(h, last);
}

static inline struct deadline *deadline_first(const struct deadlines *h)
{
	return h->n > 0 ? h->v[0] : NULL;
}

#endif
