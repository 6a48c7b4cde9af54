/* SPDX-License-Identifier: Apache-2.0
 *
 * foreign.h - hosts that are no node of the cluster and were heard to have one of our addresses:
 * the last one of each address, for status.  Pure.
 */
#ifndef LBD_FOREIGN_H
#define LBD_FOREIGN_H

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FOREIGN_MAX = 64 }; /* addresses; then the one heard of longest ago is forgotten */

struct foreign_host {
	struct addr vip;
	uint8_t mac[6];
	uint64_t first_ms, last_ms; /* when this host was heard */
};

struct foreign {
	struct foreign_host v[FOREIGN_MAX];
	size_t n;
};

/* Returns whether another host, or none, was the last one. */
bool foreign_heard(struct foreign *f, struct addr vip, const uint8_t mac[6], uint64_t now_ms);
/* NULL: none was.  Borrowed until the next call of foreign_heard(). */
const struct foreign_host *foreign_find(const struct foreign *f, struct addr vip);

#endif
