/* SPDX-License-Identifier: Apache-2.0
 *
 * hold.h - hold-down (OWNERSHIP R14): how long after a fault a node is not trusted to stay.  A part
 * of elect.c, which has one for this node, and homing.c, which has one for each other.  Pure.
 */
#ifndef LBD_HOLD_H
#define LBD_HOLD_H

#include <stdint.h>

struct hold_down { /* all zero: none */
	uint64_t until_ms, event_ms, span_ms;
	unsigned events;
};

/* A fault, or a return: held down for span_ms from now; from the third in ten minutes on twice as
 * long each time, up to five minutes. */
void hold_down_begin(struct hold_down *h, uint64_t span_ms, uint64_t now_ms);

#endif
