/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - picture -> what is announced here, on which interface, or why not.  Pure.
 */
#ifndef LBD_PLAN_H
#define LBD_PLAN_H

#include "addr.h"
#include "elect.h"
#include "elig.h"
#include "hash.h"
#include "reason.h"
#include "vip.h"

#include <stdbool.h>
#include <stdint.h>

/* One VIP on one interface; ifindex 0 when no interface came into question. */
struct plan_entry {
	struct addr vip;
	uint64_t group;
	unsigned ifindex;
	enum reason reason : 16; /* REASON_OWNER or REASON_HANDOVER when announced */
	bool announced;
	bool bind; /* it is to be on the interface, too, while it is announced */
};

struct plan; /* opaque: the plan as last built, and its difference to the one before */

struct plan *plan_new(const struct hash_key *hkey) MUST_CHECK;
void plan_free(struct plan *p);

struct plan_input {
	const struct vip_table *vips;
	const struct elect *elect;
	bool dry_run;
};

/* Builds the entries of one group anew (gone: removed).  0 or -ENOMEM (unchanged, but for the
 * groups of a rebuild that were done). */
int plan_update(struct plan *p, const struct plan_input *in, uint64_t group) MUST_CHECK;
int plan_rebuild(struct plan *p, const struct plan_input *in) MUST_CHECK;

/* What changed since plan_clean(), one for each VIP on each interface: was == NULL: new; is ==
 * NULL: gone. A change of reason, group or bind alone counts. Valid until the plan is called again. */
struct plan_change {
	const struct plan_entry *was, *is;
};
size_t plan_change_count(const struct plan *p);
struct plan_change plan_change_at(struct plan *p, size_t i);
void plan_clean(struct plan *p);

/* All entries, sorted by group id, address, ifindex. NULL starts, NULL ends. */
const struct plan_entry *plan_next(const struct plan *p, const struct plan_entry *e);
/* Of one VIP; returns how many there are, writes at most max. */
size_t plan_of(const struct plan *p, struct addr vip, const struct plan_entry **ret_v, size_t max);

#endif
