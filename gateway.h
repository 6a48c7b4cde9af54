/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway.h - the default gateway of an interface, as the kernel routes.  No loop, no timer.
 */
#ifndef LBD_GATEWAY_H
#define LBD_GATEWAY_H

#include "addr.h"

struct gateway; /* opaque; see gateway.c */

/* Opens nothing yet.  NULL when out of memory. */
struct gateway *gateway_new(void) MUST_CHECK;
void gateway_free(struct gateway *g);

/* Where packets for the rest of the world leave by that interface; asked of the kernel at most once
 * a second.  false: there is none, or it could not be asked. */
bool gateway_of(struct gateway *g, unsigned ifindex, enum addr_family family, uint64_t now_ms,
	struct addr *ret_gateway);

#endif
