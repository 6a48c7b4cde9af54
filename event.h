/* SPDX-License-Identifier: Apache-2.0
 *
 * event.h - Kubernetes Events: once per change, aggregated by count, rate limited.  Pure: facts in,
 * writes out (pull).
 *
 * An Event equal to one written in the last hour (object UID, type, reason, message) raises that
 * one's count instead of making another; a token bucket per object (burst 25, one per 30 s:
 * client-go's spam filter) and a bounded queue keep a storm from the API.
 */
#ifndef LBD_EVENT_H
#define LBD_EVENT_H

#include "base.h"
#include "counter.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>

enum { EVENT_MAX_QUEUE = 16384, EVENT_MAX_KNOWN = 16384, EVENT_MAX_MESSAGE = 1024 };

enum event_type { EVENT_NORMAL, EVENT_WARNING };

struct event_object {
	const char *api_version, *kind, *namespace_, *name, *uid,
		*resource_version; /* namespace_ NULL or "" = cluster scoped */
};

struct event_queue; /* opaque */
struct event_queue *event_new(const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
void event_free(struct event_queue *q);
/* Everything is copied; silently dropped (and counted) over the limits.  reason is CamelCase for
 * machines. */
void event_add(struct event_queue *q, const struct event_object *o, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms);

struct event_write {
	bool update;      /* PATCH the one of this name with a new count; else POST a new one */
	const char *name; /* "<object>.<16 hex>", valid until the next call */
	struct event_object object;
	enum event_type type;
	const char *reason, *message;
	uint32_t count;
	uint64_t first_ms, last_ms; /* monotonic; the shell turns them into wall clock */
	uint64_t id;
};
bool event_next_write(struct event_queue *q, uint64_t now_ms, struct event_write *ret_w);
/* ok; gone: the Event to patch has expired, post it anew; else dropped after 3 tries with back-off.
 */
enum event_outcome { EVENT_OK, EVENT_GONE, EVENT_FAILED, EVENT_REFUSED };
void event_done(struct event_queue *q, uint64_t id, enum event_outcome outcome, uint64_t now_ms);
uint64_t event_next_deadline(const struct event_queue *q);
size_t event_queued(const struct event_queue *q);

#endif
