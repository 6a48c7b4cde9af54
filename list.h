/* SPDX-License-Identifier: Apache-2.0
 *
 * list.h - doubly linked rings inside the things they link.  Pure, header only.
 *
 * The head is a link like the others and owns nothing; a thing may be in as many lists as it has
 * links.
 */
#ifndef LBD_LIST_H
#define LBD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *prev, *next; /* borrowed; of a head: the last, the first */
};

static inline void list_init(struct link *head)
{
	head->prev = head->next = head;
}

static inline bool list_is_empty(const struct link *head)
{
	return head->next == head;
}

/* Before at: a head (l becomes the last), or a link of the list. */
static inline void list_add(struct link *at, struct link *l)
{
	l->prev = at->prev;
	l->next = at;
	at->prev->next = l;
	at->prev = l;
}

static inline void list_delete(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* All of from to the end of to; from becomes empty. */
static inline void list_move_all(struct link *to, struct link *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* <0: the thing of x goes before that of y. */
typedef int (*list_cmp_fn)(struct link *x, struct link *y);

/* Merges two sorted chains, by next alone; of equals x's go first. */
static inline struct link *list_merge(struct link *x, struct link *y, list_cmp_fn cmp)
{
	struct link *head = NULL, **at = &head;

	while (x != NULL && y != NULL) {
		struct link **from = cmp(x, y) > 0 ? &y : &x;

		*at = *from;
		at = &(*from)->next;
		*from = (*from)->next;
	}
	*at = x != NULL ? x : y;
	return head;
}

static inline struct link *list_sort_chain(struct link *chain, list_cmp_fn cmp)
{
	struct link *middle = chain, *second;

	if (chain == NULL || chain->next == NULL)
		return chain;
	for (struct link *end = chain->next; end != NULL && end->next != NULL;
		end = end->next->next)
		middle = middle->next;
	second = middle->next;
	middle->next = NULL;
	return list_merge(list_sort_chain(chain, cmp), list_sort_chain(second, cmp), cmp);
}

/* Stable, and needs no memory. */
static inline void list_sort(struct link *head, list_cmp_fn cmp)
{
	struct link *chain, *next;

	if (list_is_empty(head))
		return;
	head->prev->next = NULL;
	chain = list_sort_chain(head->next, cmp);
	list_init(head);
	for (; chain != NULL; chain = next) {
		next = chain->next;
		list_add(head, chain);
	}
}

#endif
