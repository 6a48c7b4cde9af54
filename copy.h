/* SPDX-License-Identifier: Apache-2.0
 *
 * copy.h - what the allocator keeps of a Service, packed.  Pure.
 *
 * The picture's own object is replaced or gone whenever a watch says so; the allocator decides
 * later.
 */
#ifndef LBD_COPY_H
#define LBD_COPY_H

#include "addr.h"
#include "base.h"
#include "cluster.h"

#include <stdbool.h>
#include <stddef.h>

struct copy; /* opaque; one piece of memory */

/* NULL when out of memory, or when s is over the limits of the picture. */
struct copy *copy_new(const struct cluster_service *s) MUST_CHECK;
void copy_free(struct copy *c);

/* The Service as the rules want to see it; all is borrowed from c and key.  Not kept are the names
 * and node ports of its ports and, unless it is Local, its backend key; of pool_written only
 * whether there is one: it is "" then. */
struct cluster_service copy_view(const struct copy *c, const char *key);

/* Shorter ways to parts of the view. */
const char *copy_uid(const struct copy *c);
const char *copy_version(const struct copy *c);
struct copy_status {
	const struct addr *v; /* borrowed from c */
	size_t n;
	bool foreign;      /* ingress_foreign */
	bool not_vip_mode; /* ingress_not_vip_mode */
	bool marked;       /* pool_written */
};
struct copy_status copy_status(const struct copy *c);
/* Does the status show a? */
bool copy_shows(const struct copy *c, struct addr a);

#endif
