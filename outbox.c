/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.c - things that wait to be written.
 *
 * Owns: the lists of those that wait, the slots of those that are under way.
 * In:   outbox_queue(), outbox_send(), outbox_land().  Out: outbox_due(): pull.
 */
#include "outbox.h"

enum { MAX_FLIGHTS = 1 << 20 };
enum { NO_FLIGHT = UINT32_MAX };
#define DUE_MASK ((UINT64_C(1) << 48) - 1)

static const uint32_t delay_ms[OUTBOX_DELAYS] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800,
	25600, 30000, 1000, OUTBOX_SETTLE_MS, OUTBOX_CONTESTED_MS};

struct outbox_flight {
	uint64_t id;              /* 0 = free slot */
	struct outbox_item *item; /* NULL = gone meanwhile */
	uint32_t next_free;
};

void outbox_init(struct outbox *o)
{
	*o = (struct outbox){.free_flight = NO_FLIGHT};
	for (unsigned d = 0; d < OUTBOX_DELAYS; d++)
		list_init(&o->list[d]);
}

void outbox_free(struct outbox *o)
{
	free(o->flights);
	outbox_init(o);
}

void outbox_forget_all(struct outbox *o)
{
	for (unsigned d = 0; d < OUTBOX_DELAYS; d++)
		list_init(&o->list[d]);
	o->n_flights = 0;
	o->free_flight = NO_FLIGHT;
}

/* -- those that wait -- */

void outbox_unqueue(struct outbox_item *item)
{
	if (item->state != OUTBOX_QUEUED)
		return;
	list_delete(&item->link);
	item->state = OUTBOX_IDLE;
}

void outbox_queue(
	struct outbox *o, struct outbox_item *item, enum outbox_delay delay, uint64_t now_ms)
{
	REQUIRE(item->state != OUTBOX_UNDER_WAY && delay < OUTBOX_DELAYS);
	outbox_unqueue(item);
	item->delay = delay & 0xffU;
	item->due_ms = (now_ms + delay_ms[delay]) & DUE_MASK;
	item->state = OUTBOX_QUEUED;
	list_add(&o->list[delay], &item->link);
}

void outbox_remove(struct outbox *o, struct outbox_item *item)
{
	outbox_unqueue(item);
	if (item->state == OUTBOX_UNDER_WAY)
		o->flights[item->slot].item = NULL;
	item->state = OUTBOX_IDLE;
}

enum outbox_delay outbox_backoff(unsigned n)
{
	return n < OUTBOX_LAST - OUTBOX_FIRST ? (enum outbox_delay)(OUTBOX_FIRST + n) : OUTBOX_LAST;
}

enum outbox_delay outbox_conflict(unsigned n, bool newer)
{
	return newer && n < OUTBOX_CONFLICT_PUTS ? OUTBOX_NOW : OUTBOX_CONFLICT;
}

enum outbox_delay outbox_not_sent(unsigned n)
{
	return n == 0 ? OUTBOX_NOW : outbox_backoff(n - 1U);
}

static struct outbox_item *first_of(const struct outbox *o, unsigned delay)
{
	const struct link *head = &o->list[delay];

	return list_is_empty(head) ? NULL : CONTAINER_OF(head->next, struct outbox_item, link);
}

struct outbox_item *outbox_due(struct outbox *o, uint64_t now_ms)
{
	struct outbox_item *item;

	for (unsigned d = OUTBOX_NOW + 1; d < OUTBOX_DELAYS; d++) {
		while ((item = first_of(o, d)) != NULL && item->due_ms <= now_ms)
			outbox_queue(o, item, OUTBOX_NOW, now_ms);
	}
	return first_of(o, OUTBOX_NOW);
}

struct outbox_item *outbox_oldest(const struct outbox *o, enum outbox_delay delay)
{
	return first_of(o, delay);
}

uint64_t outbox_next_deadline(const struct outbox *o)
{
	uint64_t next_ms = TIME_NEVER;

	if (first_of(o, OUTBOX_NOW) != NULL)
		return 0;
	for (unsigned d = OUTBOX_NOW + 1; d < OUTBOX_DELAYS; d++) {
		const struct outbox_item *item = first_of(o, d);

		if (item != NULL)
			next_ms = time_min(next_ms, item->due_ms);
	}
	return next_ms;
}

/* -- those that are under way -- */

/* A slot, or NO_FLIGHT when out of memory. */
static uint32_t flight_new(struct outbox *o)
{
	uint32_t slot = o->free_flight, cap = o->cap_flights > 0 ? o->cap_flights * 2 : 64;
	struct outbox_flight *v;

	if (slot != NO_FLIGHT) {
		o->free_flight = o->flights[slot].next_free;
		return slot;
	}
	if (o->n_flights == o->cap_flights) {
		v = cap <= MAX_FLIGHTS ? realloc(o->flights, cap * sizeof *v) : NULL;
		if (v == NULL)
			return NO_FLIGHT;
		o->flights = v;
		o->cap_flights = cap;
	}
	return o->n_flights++;
}

/* Ids are never re-used: the low bits are the slot. */
uint64_t outbox_send(struct outbox *o, struct outbox_item *item)
{
	uint32_t slot = flight_new(o);

	if (slot == NO_FLIGHT)
		return 0;
	outbox_unqueue(item);
	item->state = OUTBOX_UNDER_WAY;
	item->slot = slot;
	o->last_id += MAX_FLIGHTS;
	o->flights[slot] = (struct outbox_flight){.id = o->last_id | slot, .item = item};
	return o->flights[slot].id;
}

struct outbox_item *outbox_land(struct outbox *o, uint64_t id)
{
	uint32_t slot = (uint32_t)(id % MAX_FLIGHTS);
	struct outbox_item *item;

	if (id == 0 || slot >= o->n_flights || o->flights[slot].id != id)
		return NULL;
	item = o->flights[slot].item;
	o->flights[slot] = (struct outbox_flight){.next_free = o->free_flight};
	o->free_flight = slot;
	if (item != NULL)
		item->state = OUTBOX_IDLE;
	return item;
}
