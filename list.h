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

/* The thing whose member is l. */
#define LINK_OF(l, type, member) ((type *)(void *)((char *)(l)-offsetof(type, member)))

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

#endif
