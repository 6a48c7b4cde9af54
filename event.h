/* SPDX-License-Identifier: Apache-2.0
 *
 * event.h - Kubernetes Events: once per change, aggregated by count, rate limited.  Pure: facts in,
 * writes out (pull).
 *
 * An Event equal to one written in the last hour (object, type, reason, message) raises that one's
 * count instead of making another, also one that another process wrote: the name follows from the
 * content.  A token bucket per object (burst 25, one per 30 s: client-go's
 * spam filter) and a bounded queue keep a storm from the API.
 */
#ifndef LBD_EVENT_H
#define LBD_EVENT_H

#include "base.h"
#include "counter.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	EVENT_MAX_QUEUE = 1024,
	EVENT_MAX_KNOWN = 1024,           /* also of objects with a token bucket */
	EVENT_MAX_MESSAGE = 1024,         /* Kubernetes's limit, in bytes; longer ones are cut */
	EVENT_MAX_NAME = 200,             /* bytes of the object's name in the Event's */
	EVENT_NAME_STRLEN = 256,          /* an Event's name */
	EVENT_BURST = 25,                 /* tokens of an object */
	EVENT_REFILL_MS = 30000,          /* one more token */
	EVENT_AGGREGATE_MS = 3600 * 1000, /* equal ones are counted for this long */
	EVENT_MAX_SENDING = 64,           /* in flight at a time */
	EVENT_TRIES = 3,
	EVENT_RETRY_MS = 1000, /* after a failure nothing is sent for this, then twice this */
};

enum event_type { EVENT_NORMAL, EVENT_WARNING };

/* NULL is as good as "" everywhere. */
struct event_object {
	const char *api_version, *kind, *namespace_, *name, *uid,
		*resource_version; /* namespace_ NULL or "" = cluster scoped */
	/* What is told may not be new, for this process only begins to look: if the API has the Event
	 * already, it stays as it is. */
	bool standing;
};

struct event_queue; /* opaque */
/* hkey is copied.  NULL when out of memory. */
struct event_queue *event_new(const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
void event_free(struct event_queue *q);
/* Everything is copied; silently dropped (and counted) over the limits or out of memory.  reason is
 * CamelCase for machines. */
void event_add(struct event_queue *q, const struct event_object *o, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms);

struct event_write {
	bool update;      /* PATCH the one of this name with a new count; else POST a new one */
	const char *name; /* "<object>.<16 hex>"; it and all below valid until the next call */
	struct event_object object;
	enum event_type type;
	const char *reason, *message;
	uint32_t count; /* 0 = only the API knows: it stays */
	uint64_t first_ms, last_ms; /* monotonic; the shell turns them into wall clock */
	uint64_t id;
};
/* The next one to send, if any; several may be in flight
 * (EVENT_MAX_SENDING).  Each is told back by event_done(). */
bool event_next_write(struct event_queue *q, uint64_t now_ms, struct event_write *ret_w);
/* OK: it stands in the API.  EXISTS: of a POST, one of the name does.  GONE: the Event to patch has expired, it is posted anew (of a POST,
 * its namespace is gone: dropped).  FAILED: tried again, dropped after EVENT_TRIES.  REFUSED:
 * dropped. */
enum event_outcome { EVENT_OK, EVENT_EXISTS, EVENT_GONE, EVENT_FAILED, EVENT_REFUSED };
void event_done(struct event_queue *q, uint64_t id, enum event_outcome outcome, uint64_t now_ms);
/* When event_next_write() will have one; TIME_NEVER. */
uint64_t event_next_deadline(const struct event_queue *q);
size_t event_queued(const struct event_queue *q); /* waiting, not those in flight */

#endif
