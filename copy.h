/* SPDX-License-Identifier: Apache-2.0
 *
 * copy.h - a Service, packed: what the picture and the allocator keep of it.  Pure.
 *
 * The picture's own object is replaced or gone whenever a watch says so; the allocator decides
 * later.  So a copy never changes, and stays as long as anybody holds it.
 */
#ifndef LBD_COPY_H
#define LBD_COPY_H

#include "addr.h"
#include "base.h"
#include "cluster.h"

#include <stdbool.h>
#include <stddef.h>

struct copy; /* opaque; one piece of memory */

/* Held once: of s->copy itself where s is a view of one, else new.  s has a key.  NULL when out of
 * memory, or when s is over the limits of the picture. */
struct copy *copy_hold(const struct cluster_service *s) MUST_CHECK;
void copy_drop(struct copy *c); /* NULL: nothing */
/* What a new one of s would take. */
size_t copy_bytes(const struct cluster_service *s);

/* The Service as the rules want to see it; all is borrowed from c.  Not kept is, unless it is
 * Local, its backend key. */
struct cluster_service copy_view(const struct copy *c);

/* Shorter ways to parts of the view. */
struct copy_names {
	const char *key, *namespace_, *name, *uid, *version; /* borrowed from c */
};
struct copy_names copy_names(const struct copy *c);
const char *copy_key(const struct copy *c);
bool copy_is_load_balancer(const struct copy *c);
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
