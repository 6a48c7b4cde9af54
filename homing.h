/* SPDX-License-Identifier: Apache-2.0
 *
 * homing.h - what this node owns and another should have (OWNERSHIP R27): a better one that is back
 * (failback), or one that has fewer (rebalance).  A part of elect.c, which makes the offer.  Pure.
 */
#ifndef LBD_HOMING_H
#define LBD_HOMING_H

#include "elect_state.h"

struct homing_offer {
	const struct group *group;
	struct member *to;
};

/* Looks at some of the groups, once a second.  true: one is to be offered, to that node alone,
 * which is noted in to->offered. */
bool homing_choose(struct elect *e, uint64_t now_ms, struct homing_offer *ret_o);
/* When it looks again; TIME_NEVER when neither is configured. */
uint64_t homing_next(const struct elect *e);

#endif
