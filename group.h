/* SPDX-License-Identifier: Apache-2.0
 *
 * group.h - the VIP groups as this node sees them: a table that follows the vip table, which of
 * them are to be stepped, and what a group leaves to its successors.  A part of elect.c, which owns
 * the table and decides in which state a group is.  Pure.
 */
#ifndef LBD_GROUP_H
#define LBD_GROUP_H

#include "base.h"
#include "deadline.h"
#include "dispute.h"
#include "elect.h"
#include "elig.h"
#include "member.h"
#include "vip.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Why a group may be taken (R9), or is asked for again. */
enum ground {
	GROUND_NONE,
	GROUND_FREE,    /* G1 */
	GROUND_OFFERED, /* G2 */
	GROUND_EXPIRED, /* G3 */
	GROUND_OWN,     /* G7 */
	GROUND_FENCE,   /* R24: ours already, after a stall */
	GROUND_SILENT,  /* G4 */
	GROUND_ORPHAN,  /* G5 */
	GROUND_COLD,    /* G6 */
};

/* One VIP group, as this node sees it; 168 bytes with one address.  id, addrs, gone, timer and timed
 * are group.c's, the rest elect.c's; state changes by group_enter() alone. */
struct group {
	uint64_t id;
	enum elect_state state : 3;
	enum ground ground : 4; /* WAIT, PROBE and OWNER: why */
	bool gone : 1, marked : 1, timed : 1, changed : 1, judged : 1, outranked : 1;
	bool counted : 1;    /* n_claimants is known; by ground.c */
	bool weak : 1;       /* OWNER: taken without a witness (R8) */
	bool asked : 1;      /* WATCH: its owner was asked for it, the answer is due (R22) */
	bool hurried : 1;    /* as soon as can be: this node has just yielded to it */
	bool orphan : 1;     /* WATCH: there was none, as often as it takes (G5) */
	bool ceded : 1;      /* yielded to one that cannot hear this node (R20) */
	unsigned misses : 5; /* so often there was none, in a row: one more than rounds at most */
	unsigned probes_left : 4;
	unsigned rank : 16;
	uint32_t n_addrs;
	uint64_t since_ms;   /* in this state */
	uint64_t due_ms;     /* the state's own timer; who sets it outside a step marks the group */
	struct deadline timer; /* in groups.timed, if timed: group_due() after the last step */
	uint64_t hold_ms;    /* not to be waited for before; OWNER: who is disowned is until then */
	uint64_t term;       /* of our last take */
	uint64_t foreign_ms; /* a foreign host spoke for it; 0 = not */
	uint64_t defences_ms; /* since then so many defences in disputes */
	unsigned defences;
	struct dispute *dispute;   /* owned; NULL = none */
	struct member *claimant;   /* of n_claimants; NULL when there are none; borrowed; by ground.c */
	uint32_t n_claimants;      /* others whose claims object has a VIP of it */
	uint32_t claims_change;    /* the last change of claims that it was counted for */
	struct member *owner;      /* another, as far as known; borrowed; by group_set_owner() */
	uint64_t owner_ms;         /* since when */
	struct member *disowned;   /* OWNER: claims it by the API alone, asked in vain; borrowed */
	struct member *wire_owner; /* last member heard speaking for it; borrowed */
	uint64_t wire_ms;
	uint8_t wire_mac[6];      /* last one seen speaking or answering for it; zero = none */
	uint32_t rank_generation; /* of which rank is; 0 = of none */
	const struct elig *elig;  /* held in groups.verdicts; this node's; NULL = none yet */
	struct addr addrs[];      /* n_addrs, sorted */
};

struct groups {
	struct group **v; /* owned; sorted by id */
	size_t n, cap;
	struct group **marked; /* owned; stepped in this order */
	size_t n_marked, cap_marked;
	struct deadlines timed; /* those that are stepped at a time, if not before */
	struct group **retired; /* owned, and what it points to, while groups are taken in */
	size_t n_retired, cap_retired;
	uint64_t *dirty; /* owned; ids for elect_dirty_at() */
	size_t n_dirty, cap_dirty;
	struct elig_set *verdicts; /* owned */
	size_t n_owned_vips;
	bool resync;      /* all groups are to be compared with the vip table */
	uint64_t wake_ms; /* the next pass that has something to do */
};

/* 0 or -ENOMEM.  hkey is copied. */
int groups_init(struct groups *t, const struct hash_key *hkey) MUST_CHECK;
void groups_free(struct groups *t); /* also of one that is all zero */
/* NULL: not in the table. */
struct group *groups_find(const struct groups *t, uint64_t id);
/* Stepped in the next pass. */
void groups_mark(struct groups *t, struct group *g);
void groups_mark_all(struct groups *t);
/* Marks those whose time has come. */
void groups_mark_due(struct groups *t, uint64_t now_ms);
/* g was stepped: it rests until group_due(). */
void groups_rest(struct groups *t, struct group *g);
/* Takes up to n of the marked ones out, to be stepped.  Returns how many. */
size_t groups_take_marked(struct groups *t, struct group **ret_v, size_t n);
/* When the next one is to be stepped. */
uint64_t groups_due(const struct groups *t);
/* Its state is news to the reader (elect_dirty_at()). */
void groups_note_dirty(struct groups *t, uint64_t id);
/* Brings the table in step with the vip table: with the groups it reports dirty, or all when resync
 * is set.  New ones go on where those with their VIPs were.  Returns whether one that was owned is
 * gone: the claims are others. */
bool groups_take(struct groups *t, const struct vip_table *vips, uint64_t now_ms);

/* Was somebody else heard speaking or answering for it? */
static inline bool group_has_mac(const struct group *g)
{
	static const uint8_t none[6];

	return memcmp(g->wire_mac, none, sizeof none) != 0;
}

/* When it is to be stepped again. */
static inline uint64_t group_due(const struct group *g)
{
	uint64_t at = g->disowned != NULL ? time_min(g->due_ms, g->hold_ms) : g->due_ms;

	return g->dispute != NULL ? time_min(at, g->dispute->due_ms) : at;
}

/* Does this node answer for it? */
bool group_is_owned(const struct group *g);
/* This node's verdict on it is e now.  false when out of memory: the old one stays. */
bool group_set_verdict(struct groups *t, struct group *g, const struct elig *e) MUST_CHECK;
void group_enter(struct groups *t, struct group *g, enum elect_state state, uint64_t now_ms);
void group_end_dispute(struct group *g); /* NULL or not */
/* Who has it, as far as known; NULL = this node, or nobody.  Keeps the members' n_held. */
void group_set_owner(struct group *g, struct member *m);
/* Enters PROBE, to ask the wire n times. */
void group_start_probe(struct groups *t, struct group *g, unsigned n, uint64_t now_ms);

#endif
