/* SPDX-License-Identifier: Apache-2.0
 *
 * condition.c - the condition lbd.io/Announced of Services: whose is to be written, and when.
 *
 * Owns: one record for each Service whose condition is not as it should be, or was written lately.
 * In:   conditions_observe(), conditions_done().  Out: conditions_next(): pull.
 * Not done: observedGeneration (a Service's metadata.generation is not set by most servers, and where
 *       it is, one that lags makes kubectl wait hang).
 */
#include "condition.h"

#include "outbox.h"
#include "table.h"

#include <string.h>

enum { MAX_HOLDS = 5 };
/* The outbox has lists for these lengths of time. */
enum {
	DELAY_TRUE = OUTBOX_CONFLICT,
	DELAY_FALSE = OUTBOX_FIRST + 5,
	DELAY_FIRST = OUTBOX_FIRST + 6,
	DELAY_WORDS = OUTBOX_FIRST + 7,
	DELAY_LIMIT = OUTBOX_LAST,
};

struct record {
	uint32_t hash;
	struct condition_mark has, want, sent;
	uint8_t tokens;
	bool seen; /* observed while it was under way */
	struct outbox_item item;
	uint64_t refilled_ms;
	char key[];
};

struct conditions {
	struct hash_key hkey;
	struct counters *counters; /* borrowed, may be NULL */
	struct table records;      /* owned */
	struct outbox outbox;
	uint64_t hold_ms; /* nothing is sent before */
	unsigned fails;   /* in a row */
};

/* FNV-1a: the same in every process, for the next leader compares with it. */
static uint32_t add_print(uint32_t h, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 16777619U;
	return (h ^ 0xffU) * 16777619U;
}

struct condition_mark condition_mark(const char *status, const char *reason, const char *message)
{
	uint32_t h = add_print(add_print(2166136261U, reason), message);
	enum condition_status s = CONDITION_OTHER;

	if (status == NULL)
		return (struct condition_mark){.status = CONDITION_ABSENT};
	if (strcmp(status, "True") == 0)
		s = CONDITION_TRUE;
	else if (strcmp(status, "False") == 0)
		s = CONDITION_FALSE;
	h ^= h >> 16;
	return (struct condition_mark){.status = s & 3U, .print = (h ^ h >> 8) & 0xffU};
}

/* -- records -- */

static bool record_is(const void *elt, const void *key, size_t len)
{
	const struct record *r = elt;

	return strncmp(r->key, key, len) == 0 && r->key[len] == '\0';
}

static struct record *find(const struct conditions *c, const char *key)
{
	size_t n = strlen(key);

	return table_find(&c->records, hash_bytes(&c->hkey, key, n), record_is, key, n);
}

static void drop(struct conditions *c, struct record *r)
{
	outbox_remove(&c->outbox, &r->item);
	table_remove(&c->records, r);
	free(r);
}

static bool is_right(const struct record *r)
{
	return condition_equal(r->has, r->want);
}

/* One that was written once lately, and is right, is forgotten for another: its limit begins anew, and
 * all together are held to the pace. */
static bool has_room(struct conditions *c)
{
	struct outbox_item *item = outbox_oldest(&c->outbox, (enum outbox_delay)DELAY_LIMIT);
	struct record *r = item != NULL ? CONTAINER_OF(item, struct record, item) : NULL;

	if (c->records.live >= CONDITION_MAX && r != NULL && is_right(r) &&
		r->tokens + 1 >= CONDITION_BURST)
		drop(c, r);
	return c->records.live < CONDITION_MAX;
}

/* NULL when there is no room. */
static struct record *add(struct conditions *c, const char *key, uint64_t now_ms)
{
	size_t n = strlen(key);
	struct record *r = has_room(c) ? calloc(1, sizeof *r + n + 1) : NULL;

	if (r == NULL)
		return NULL;
	r->hash = hash_bytes(&c->hkey, key, n);
	memcpy(r->key, key, n);
	r->tokens = CONDITION_BURST;
	r->refilled_ms = now_ms;
	if (table_add(&c->records, r) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

static void refill(struct record *r, uint64_t now_ms)
{
	while (r->tokens < CONDITION_BURST && now_ms - r->refilled_ms >= CONDITION_REFILL_MS) {
		r->tokens++;
		r->refilled_ms += CONDITION_REFILL_MS;
	}
	if (r->tokens == CONDITION_BURST)
		r->refilled_ms = now_ms;
}

static enum outbox_delay delay_of(const struct record *r)
{
	if (r->has.status == r->want.status)
		return (enum outbox_delay)DELAY_WORDS;
	if (r->want.status != CONDITION_FALSE)
		return (enum outbox_delay)DELAY_TRUE;
	return (enum outbox_delay)(r->has.status == CONDITION_ABSENT ? DELAY_FIRST : DELAY_FALSE);
}

/* What is right waits only until it may be forgotten: what was written lately is remembered. */
static void wait_anew(struct conditions *c, struct record *r, uint64_t now_ms)
{
	refill(r, now_ms);
	if (!is_right(r))
		outbox_queue(&c->outbox, &r->item, delay_of(r), now_ms);
	else if (r->tokens == CONDITION_BURST)
		drop(c, r);
	else
		outbox_queue(&c->outbox, &r->item, (enum outbox_delay)DELAY_LIMIT, now_ms);
}

/* -- for the shell -- */

struct conditions *conditions_new(const struct hash_key *hkey, struct counters *counters)
{
	struct conditions *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->hkey = *hkey;
	c->counters = counters;
	outbox_init(&c->outbox);
	return c;
}

void conditions_reset(struct conditions *c)
{
	table_free_all(&c->records);
	outbox_forget_all(&c->outbox);
	c->hold_ms = 0;
	c->fails = 0;
}

void conditions_free(struct conditions *c)
{
	if (c == NULL)
		return;
	conditions_reset(c);
	outbox_free(&c->outbox);
	free(c);
}

bool conditions_observe(struct conditions *c, const char *key, struct condition_mark has,
	struct condition_mark want, uint64_t now_ms)
{
	struct record *r = find(c, key);
	bool known = r != NULL, was_right, turned;

	if (!known && condition_equal(has, want))
		return true;
	if (!known)
		r = add(c, key, now_ms);
	if (r == NULL)
		return false;
	was_right = !known || is_right(r);
	turned = r->want.status != want.status;
	r->has = has;
	r->want = want;
	r->seen = true;
	if (r->item.state == OUTBOX_UNDER_WAY)
		return true;
	/* A status that is undone in time begins to wait anew when it comes again; one that is only
	 * worded otherwise, or undone by another, does not wait longer for that. */
	if (was_right || turned || is_right(r))
		wait_anew(c, r, now_ms);
	return true;
}

void conditions_forget(struct conditions *c, const char *key)
{
	struct record *r = find(c, key);

	if (r != NULL)
		drop(c, r);
}

bool conditions_next(struct conditions *c, uint64_t now_ms, struct condition_due *ret_due)
{
	struct outbox_item *item;
	uint64_t id;

	while (now_ms >= c->hold_ms && (item = outbox_due(&c->outbox, now_ms)) != NULL) {
		struct record *r = CONTAINER_OF(item, struct record, item);

		refill(r, now_ms);
		if (is_right(r)) {
			wait_anew(c, r, now_ms);
			continue;
		}
		if (r->tokens == 0) {
			counter_inc(c->counters, COUNTER_CONDITIONS_HELD);
			outbox_queue(&c->outbox, item, (enum outbox_delay)DELAY_LIMIT, now_ms);
			continue;
		}
		id = outbox_send(&c->outbox, item);
		if (id == 0) { /* out of memory */
			c->hold_ms = now_ms + CONDITION_HOLD_MS;
			return false;
		}
		r->tokens--;
		r->sent = r->want;
		r->seen = false;
		c->hold_ms = now_ms + CONDITION_PACE_MS;
		*ret_due = (struct condition_due){r->key, r->want, id};
		return true;
	}
	return false;
}

/* It reached nobody: it costs nothing. */
static void give_back(struct record *r)
{
	if (r->tokens < CONDITION_BURST)
		r->tokens++;
}

void conditions_done(
	struct conditions *c, uint64_t id, enum condition_outcome outcome, uint64_t now_ms)
{
	struct outbox_item *item = outbox_land(&c->outbox, id);
	struct record *r = item != NULL ? CONTAINER_OF(item, struct record, item) : NULL;

	if (outcome == CONDITION_FAILED) {
		c->hold_ms = now_ms + ((uint64_t)CONDITION_HOLD_MS << c->fails);
		c->fails += c->fails < MAX_HOLDS;
	} else if (outcome == CONDITION_OK) {
		c->fails = 0;
	}
	if (r == NULL)
		return;
	switch (outcome) {
	case CONDITION_OK:
		counter_inc(c->counters, COUNTER_CONDITION_WRITES);
		if (!r->seen) /* until the watch shows it */
			r->has = r->sent;
		wait_anew(c, r, now_ms);
		return;
	case CONDITION_LATER:
	case CONDITION_FAILED:
		give_back(r);
		wait_anew(c, r, now_ms);
		return;
	case CONDITION_GONE:
		drop(c, r);
		return;
	}
}

uint64_t conditions_next_deadline(const struct conditions *c)
{
	uint64_t next_ms = outbox_next_deadline(&c->outbox);

	return next_ms == TIME_NEVER ? next_ms : time_max(next_ms, c->hold_ms);
}

size_t conditions_count(const struct conditions *c)
{
	return c->records.live;
}
