/* SPDX-License-Identifier: Apache-2.0
 *
 * announced.h - the condition lbd.io/Announced of each Service: is each of its addresses announced,
 * by whatever node?  The leader's.
 */
#ifndef LBD_ANNOUNCED_H
#define LBD_ANNOUNCED_H

#include "daemon.h"

/* Borrows d.  NULL when out of memory. */
struct announced *announced_new(struct daemon *d) MUST_CHECK;
void announced_free(struct announced *a);

/* What a Service's condition follows from may be otherwise; looked at by the next announced_run().
 * Of those who do not lead, nothing. */
void announced_touch(struct announced *a, const char *key);
/* The same of all Services with a dirty group; all: of all. */
void announced_touch_groups(struct announced *a, bool all, uint64_t now_ms);
/* At the end of a pass: looks, and sends what is due when no address waits to be written. */
void announced_run(struct announced *a, uint64_t now_ms);
uint64_t announced_next_deadline(const struct announced *a);
/* Is the condition of a Service that is served no more, and whose address is cleared, to go with
 * it? */
bool announced_goes(const struct daemon *d, const char *key);

#endif
