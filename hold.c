/* SPDX-License-Identifier: Apache-2.0
 *
 * hold.c - how long after a fault a node is not trusted to stay.
 *
 * In:   faults.  Out: the end of hold-down.
 *
 * Source: docs/ownership.md R14, F29.
 */
#include "hold.h"

#include "base.h"

enum {
	DOUBLES_FROM = 3,
	FORGET_MS = 600 * 1000,
	SPAN_MAX_MS = 300 * 1000,
};

void hold_down_begin(struct hold_down *h, uint64_t span_ms, uint64_t now_ms)
{
	if (h->events > 0 && now_ms - h->event_ms >= FORGET_MS)
		*h = (struct hold_down){0};
	h->event_ms = now_ms;
	h->events++;
	h->span_ms = h->events < DOUBLES_FROM || h->span_ms == 0
			     ? span_ms
			     : time_min(2 * h->span_ms, SPAN_MAX_MS);
	h->until_ms = now_ms + h->span_ms;
}
