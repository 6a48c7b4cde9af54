/* SPDX-License-Identifier: Apache-2.0
 *
 * elect_state.h - what elect.c and its parts ground.c, homing.c and inquire.c have in common.  Nobody else
 * includes it.
 */
#ifndef LBD_ELECT_STATE_H
#define LBD_ELECT_STATE_H

#include "claims.h"
#include "elect.h"
#include "group.h"
#include "health.h"
#include "hold.h"
#include "member.h"
#include "publish.h"

enum { ELECT_SLOT_MIN_MS = 10 };

struct elect {
	char *node;                  /* owned */
	const struct elect_ops *ops; /* borrowed, as is ctx */
	void *ctx;
	struct counters *counters;

	const struct elig_input *in; /* borrowed; NULL until the first elect_set_input() */
	uint64_t renew_ms, lease_ms; /* scaled by F36 */
	struct members members;
	struct member *self;
	/* What the last walk through the members found; with hundreds of them not each pass can
	 * afford one. */
	struct roll {
		bool changed;     /* something that it looks at is otherwise: again */
		uint64_t next_ms; /* again, if nothing changes */
		bool one_is_up;   /* by BFD */
		bool one_is_missing; /* R23: not heard, though it should be */
		size_t at_work;   /* live, and are not silent: those among whom the VIPs are */
	} roll;
	uint32_t generation; /* one more when any rank may have changed */
	uint32_t claims_change; /* one more with each claims object that changes */
	struct groups groups;
	struct health health;
	struct publish *publish; /* owned */

	/* R22, R23: where the next step begins in the table of groups, and when */
	struct round {
		size_t at;
		uint64_t due_ms; /* TIME_NEVER = none is under way */
	} audit, reclaim, relief;
	bool reclaim_wanted; /* once more after this round */
	uint64_t reclaimed_ms, reclaim_again_ms;
	uint64_t told_ms; /* when the Lease watch last said something */
	uint64_t reclaim_often_ms; /* until then: what was said may be lost */
	struct hold_down hold; /* R14 */
	struct homing {        /* R27, by homing.c: when it looks again, where in the table */
		uint64_t due_ms, rebalance_ms;
		size_t at;
	} homing;

	bool synced_once, joined;
	bool restored; /* works from a picture of before its start, until the first sync */
	uint64_t join_ms;  /* the first sync and a little more */
	struct claims old; /* ours from before the restart (G7), until join_ms */

	bool draining;
	uint64_t drain_until_ms;
	bool frozen; /* by hand: nothing is taken */
	/* R19: a rival's claims object is read, past the watch, which may lag. */
	struct elect_look {
		const struct member *rival; /* borrowed; NULL = none is wanted */
		char name[MEMBER_NAMELEN];
		bool in_flight;
		uint64_t next_ms;
	} look;
	/* By hand: a VIP that is offered to one node. */
	struct elect_move {
		uint64_t group, until_ms; /* until_ms: 0 = none */
	} move;
};

/* Is it time for a walk through the members? */
static inline bool elect_roll_is_due(const struct elect *e, uint64_t now_ms)
{
	return e->roll.changed || now_ms >= e->roll.next_ms;
}

/* When m's Lease will have been unchanged long enough, if I stay healthy (R5), and the watch says
 * something after that. */
static inline uint64_t elect_expires_at(const struct elect *e, const struct member *m)
{
	return e->health.ok ? member_expires_at(m, e->lease_ms, e->health.since_ms) : TIME_NEVER;
}

static inline const struct vip_group *elect_vip_of(const struct elect *e, const struct group *g)
{
	return vip_group(e->in->vips, g->id);
}

static inline uint64_t elect_slot_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / 2;

	return ms > ELECT_SLOT_MIN_MS ? ms : ELECT_SLOT_MIN_MS;
}

static inline uint64_t elect_probe_gap_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / 3;

	return ms > 0 ? ms : 1;
}

/* Of an inquiry: SUSPECT_ROUNDS_MIN are over in the interval that is left when two packets are missed. */
static inline uint64_t elect_inquiry_gap_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / SUSPECT_ROUNDS_MIN;

	return ms > 0 ? ms : 1;
}

/* m lives, goes, is gone or is heard otherwise than before: ranks may be others.  The groups that rest
 * without it go on resting. */
static inline void elect_member_changed(struct elect *e, const struct member *m)
{
	e->generation++;
	e->roll.changed = true;
	for (size_t i = 0; i < e->groups.n; i++) {
		struct group *g = e->groups.v[i];
		bool rests = g->state == ELECT_OWNER || g->state == ELECT_IDLE ||
			     (g->state == ELECT_WATCH && g->owner != NULL && g->owner != m &&
				     !g->owner->expired);

		if (!rests || g->n_claimants > 1 || g->claimant == m || g->wire_owner == m)
			groups_mark(&e->groups, g);
	}
}

#endif
