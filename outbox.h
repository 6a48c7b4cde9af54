/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.h - things that wait to be written: in what order, when again, which are under way.  Pure;
 * the allocator's.
 *
 * An item waits in one list for each length of delay, so each list is in order of its deadlines and
 * nothing is ever sorted or searched.
 */
#ifndef LBD_OUTBOX_H
#define LBD_OUTBOX_H

#include "base.h"
#include "list.h"

#include <stdbool.h>
#include <stdint.h>

enum outbox_delay {
	OUTBOX_NOW,
	OUTBOX_FIRST,                   /* 0.1 s, doubled up to */
	OUTBOX_LAST = OUTBOX_FIRST + 9, /* 30 s */
	OUTBOX_CONFLICT,                /* 1 s: time for the watch to bring the newer object */
	OUTBOX_SETTLE,                  /* 2 s: time for the watch to show what was written */
	OUTBOX_CONTESTED,               /* 10 min: somebody else writes it, too */
	OUTBOX_DELAYS
};

enum { OUTBOX_CONFLICT_PUTS = 5 }; /* conflicts in a row that a newer object cuts short */
enum { OUTBOX_SETTLE_MS = 2000, OUTBOX_CONTESTED_MS = 600000 };

enum outbox_state { OUTBOX_IDLE, OUTBOX_QUEUED, OUTBOX_UNDER_WAY };

/* Embedded in what is to be written; zero when it is made; it must not move.  To be read only. */
struct outbox_item {
	union {
		struct link link; /* outbox->list[delay], when QUEUED */
		uint32_t slot;    /* outbox->flights, when UNDER_WAY */
	};
	uint64_t due_ms : 48; /* when QUEUED */
	uint64_t state : 8, delay : 8;
};

struct outbox_flight; /* opaque */

struct outbox {
	struct link list[OUTBOX_DELAYS];
	struct outbox_flight *flights; /* owned */
	uint32_t n_flights, cap_flights, free_flight;
	uint64_t last_id;
};

void outbox_init(struct outbox *o);
void outbox_free(struct outbox *o);
/* Forgets all items: they are to be made anew, or freed.  No id of before is known any more. */
void outbox_forget_all(struct outbox *o);

/* Not for an item that is under way.  One that is queued goes to the end. */
void outbox_queue(
	struct outbox *o, struct outbox_item *item, enum outbox_delay delay, uint64_t now_ms);
/* Takes it back; nothing happens unless it is queued. */
void outbox_unqueue(struct outbox_item *item);
/* The item goes: what is under way will land with nobody. */
void outbox_remove(struct outbox *o, struct outbox_item *item);
/* The delay after n failures in a row. */
enum outbox_delay outbox_backoff(unsigned n);
/* After n failures in a row and then a conflict: at once if a newer object has come meanwhile. */
enum outbox_delay outbox_conflict(unsigned n, bool newer);
/* After n failures in a row and then a write that reached nobody: at once, but an API that cannot
 * be reached at all is not asked in a circle. */
enum outbox_delay outbox_not_sent(unsigned n);

/* The first that is due, in the order in which they became so; NULL when there is none. */
struct outbox_item *outbox_due(struct outbox *o, uint64_t now_ms);
/* The one that has waited longest by that delay; NULL when none does. */
struct outbox_item *outbox_oldest(const struct outbox *o, enum outbox_delay delay);
/* It is under way from now on.  Its id, never used before nor again; 0 when out of memory. */
uint64_t outbox_send(struct outbox *o, struct outbox_item *item) MUST_CHECK;
/* What was sent came to an end.  NULL when the item is gone, or the id is not known. */
struct outbox_item *outbox_land(struct outbox *o, uint64_t id);
/* When outbox_due() may have one; 0 = at once, TIME_NEVER. */
uint64_t outbox_next_deadline(const struct outbox *o);

#endif
