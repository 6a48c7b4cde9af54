/* SPDX-License-Identifier: Apache-2.0
 *
 * claims.h - the addresses that a node says it owns: the annotation of its lbd-claims-* Lease, and
 * look-ups in what was read from it.  Pure.
 *
 * The text: "TERM[w][o]:START[-COUNT],+GAP[-COUNT],... TERM:..."
 * COUNT addresses (1 when left out) from START on; the next range begins GAP addresses after the
 * last one of the range before.  Sections are divided by one blank.
 * A later version may add (R3) letters behind TERM, and behind them and each range words: ";" and
 * anything but a blank, a comma and a colon.  They are read over: the claim counts all the same.
 */
#ifndef LBD_CLAIMS_H
#define LBD_CLAIMS_H

#include "addr.h"
#include "base.h"
#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLAIM_WEAK = 1, CLAIM_OFFERED = 2 };
struct claim {
	struct addr_range range;
	uint64_t term;
	unsigned flags;
};

/* -- the text -- */
/* Claims to text: ranges disjoint, sorted by address.  0, -ENOMEM, -E2BIG (over CLUSTER_MAX_CLAIMS:
 * text then holds what fits). */
int claims_print(const struct claim *v, size_t n, struct buf *out) MUST_CHECK;
/* Strict: only what claims_print() could have written, but for the order of sections and what a
 * later version may add.  *ret_v is malloc'ed (free()), sorted by address, disjoint.  0, -EBADMSG,
 * -E2BIG (more than VIP_MAX addresses, or text over CLUSTER_MAX_CLAIMS), -ENOMEM. */
int claims_parse(const char *s, struct claim **ret_v, size_t *ret_n) MUST_CHECK;
/* By address. */
void claims_sort(struct claim *v, size_t n);

/* -- a set of them: what one node claims -- */
struct claims {
	struct claim *v; /* owned; sorted, disjoint */
	size_t n;
};
/* One address more, for claims_sort(); c is only added to.  0 or -ENOMEM. */
int claims_add(struct claims *c, struct addr a, uint64_t term, unsigned flags) MUST_CHECK;
/* Leaves *c empty. */
void claims_free(struct claims *c);
/* *ret_c: owned by the caller.  0 or -ENOMEM. */
int claims_copy(const struct claims *c, struct claims *ret_c) MUST_CHECK;
/* The claim that holds a; NULL = none. */
const struct claim *claims_find(const struct claims *c, struct addr a);
/* Is k in it, with the same range, term and flags? */
bool claims_has(const struct claims *c, const struct claim *k);
/* The strongest claim on any of n addresses; NULL = none. */
const struct claim *claims_on(const struct claims *c, const struct addr *addrs, size_t n);
/* How many addresses it claims. */
uint64_t claims_size(const struct claims *c);

#endif
