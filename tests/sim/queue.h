/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.h - the simulator's events in order of time, those of one moment in order of being posted.
 */
#ifndef LBD_SIM_QUEUE_H
#define LBD_SIM_QUEUE_H

#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct event;
typedef void (*event_fn)(struct sim *s, const struct event *ev);

struct event {
	event_fn fn;
	void *p; /* borrowed */
	uint64_t arg;
	uint32_t a, b;
};

struct queue; /* opaque */

struct queue *queue_new(void) MUST_CHECK;
void queue_free(struct queue *q);
void queue_post(struct queue *q, uint64_t at_us, const struct event *ev);
/* Takes out the next event that is due until then; false: none is. */
bool queue_next(struct queue *q, uint64_t until_us, uint64_t *ret_at_us, struct event *ret_ev);
size_t queue_length(const struct queue *q);

#endif
