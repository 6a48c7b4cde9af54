/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.h - the last picture of the cluster as text, so that a node that starts while the API is
 * away can serve what it served (OWNERSHIP R4).  Pure.
 *
 * Lines of JSON: a head, one object each as the API would show it, reduced to what the announcing
 * side of lbd reads, and a tail with a checksum.  Objects carry no resourceVersion: the API's first
 * list replaces all of them.
 */
#ifndef LBD_SNAPSHOT_H
#define LBD_SNAPSHOT_H

#include "base.h"
#include "buf.h"
#include "cluster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SNAPSHOT_SCHEMA = 1,
	SNAPSHOT_MAX_BYTES = 64 * 1024 * 1024,
	SNAPSHOT_SLICE = 16 * 1024,           /* bytes that are enough for one snapshot_next() */
	SNAPSHOT_SLICE_MAX = 4 * 1024 * 1024, /* and that the last object of it may lead to */
};

/* Whose it is: another node's, or of other Leases, is of no use. */
struct snapshot_owner {
	const char *node, *namespace_; /* borrowed */
};

/* -- writing -- */
struct snapshot_writer; /* opaque: a place in the picture */

/* claims: text of what the node itself owns now, in the place of what its Lease says (NULL: as that
 * has it); copied.  NULL when out of memory. */
struct snapshot_writer *snapshot_writer_new(
	const struct snapshot_owner *o, const char *claims) MUST_CHECK;
void snapshot_writer_free(struct snapshot_writer *w);

/* Adds the next slice to out (emptied by the caller).  The picture may change in between.  1: there
 * is more; 0: the objects are all there, snapshot_tail() comes next; -ENOMEM; -E2BIG: over
 * SNAPSHOT_MAX_BYTES; -ESTALE: where it stood is gone, begin anew. */
int snapshot_next(struct snapshot_writer *w, const struct cluster *c, struct buf *out) MUST_CHECK;
/* The last line; sequence: one more than that of the snapshot before. */
void snapshot_tail(const struct snapshot_writer *w, uint64_t sequence, struct buf *out);
/* Of all that snapshot_next() gave: equal for equal pictures. */
uint64_t snapshot_sum(const struct snapshot_writer *w);

/* -- reading -- */
enum snapshot_fault {
	SNAPSHOT_FINE,
	SNAPSHOT_DAMAGED, /* torn, cut short, or no snapshot at all */
	SNAPSHOT_OTHER_SCHEMA,
	SNAPSHOT_FOREIGN, /* of another node, or of another namespace's Leases */
};
/* Looks at the whole; *ret_sequence when it is fine. */
enum snapshot_fault snapshot_check(
	const char *p, size_t n, const struct snapshot_owner *o, uint64_t *ret_sequence) MUST_CHECK;
/* A fault in words. */
const char *snapshot_fault_text(enum snapshot_fault f);
/* Puts the objects of one that is fine into the picture; what the picture refuses is left out.
 * Returns how many were put. */
size_t snapshot_apply(const char *p, size_t n, struct cluster *c);

/* -- is it worth writing anew? -- */
/* Of what a snapshot says of the Leases: renewals alone do not change it. */
uint64_t snapshot_sum_leases(const struct cluster *c);

#endif
