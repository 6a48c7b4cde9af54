/* SPDX-License-Identifier: Apache-2.0
 *
 * why.h - the one reason why a Service has, or has not, its address, as this node knows it: lbd
 * dump and lbd explain say the same.
 */
#ifndef LBD_WHY_H
#define LBD_WHY_H

#include "daemon.h"

struct why {
	enum reason reason; /* REASON_ALLOCATED: it has what it should have */
	char text[512];     /* a sentence, no final stop */
};

/* a: the allocator that knows it, of this node or a shadow; NULL: none does. */
void why_service(const struct daemon *d, const struct cluster_service *s, const struct alloc *a,
	struct why *ret_why);
/* What there is to say of one address of its status; REASON_OWNER: nothing. */
enum reason why_address(const struct daemon *d, const struct cluster_service *s, struct addr a);
/* The same as why_service() where no allocator of this node knows, by a shadow's verdict (NULL:
 * none): its refusal is the leader's, too; what it gives is not given yet. */
void explain_why(const struct daemon *d, const struct cluster_service *s,
	const struct alloc *shadow, struct why *ret_why);
/* An allocator that decides everything anew from the picture.  alloc_free(); NULL: out of memory,
 * too many Services, too early, or another mode. */
struct alloc *explain_shadow(struct daemon *d, uint64_t now_ms) MUST_CHECK;
/* The node that holds the Lease lbd-leader, as far as known; "" = nobody, or its time is over. */
void why_leader(const struct daemon *d, char ret_node[CONFIG_MAX_NAME + 1]);

#endif
