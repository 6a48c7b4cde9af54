/* SPDX-License-Identifier: Apache-2.0
 *
 * pick.h - for tests: a Service of the picture by pointer.  The last few that were asked for stay.
 */
#ifndef LBD_PICK_H
#define LBD_PICK_H

#include "cluster.h"

#include <stdlib.h>

static inline struct cluster_service *pick_place(void)
{
	static struct cluster_service v[16];
	static size_t n;

	return &v[n++ % ARRAY_LEN(v)];
}

/* There is one, or the test ends. */
static inline const struct cluster_service *pick(const struct cluster *c, const char *key)
{
	struct cluster_service *s = pick_place();

	if (!cluster_service(c, key, s))
		abort();
	return s;
}

/* As cluster_next_node(). */
static inline const struct cluster_service *pick_next(
	const struct cluster *c, const struct cluster_service *after)
{
	struct cluster_service *s = pick_place();

	*s = after != NULL ? *after : (struct cluster_service){0};
	return cluster_next_service(c, s) ? s : NULL;
}

#endif
