/* SPDX-License-Identifier: Apache-2.0
 *
 * nodeset.h - the Nodes as k3s's servicelb looks at them: which it would place a Service's pods on,
 * where those would be Ready, which addresses the Service has then.  Pure; nodelb's.
 *
 * A nodeset does not change: it is made anew when the Nodes have changed.  Sets of nodes are bits
 * in nodeset_words() words, by the node's place in the order of names.
 */
#ifndef LBD_NODESET_H
#define LBD_NODESET_H

#include "addr.h"
#include "base.h"
#include "cluster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words that always suffice: there are no more Nodes in the picture. */
enum { NODESET_MAX_WORDS = CLUSTER_MAX_NODES / 64 + 1 };

struct nodeset; /* opaque */

/* The Nodes as they are in the picture.  NULL when out of memory. */
struct nodeset *nodeset_new(const struct cluster *c) MUST_CHECK;
void nodeset_free(struct nodeset *t);
/* Would both answer every question alike? */
bool nodeset_equal(const struct nodeset *a, const struct nodeset *b);

size_t nodeset_count(const struct nodeset *t);
size_t nodeset_words(const struct nodeset *t); /* 1 to NODESET_MAX_WORDS */
const char *nodeset_name(const struct nodeset *t, size_t i);
/* nodeset_count() when there is none of this name. */
size_t nodeset_find(const struct nodeset *t, const char *name);

static inline bool nodeset_has(const uint64_t *bits, size_t i)
{
	return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static inline void nodeset_add(uint64_t *bits, size_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Where servicelb's pods of s would be placed: on all nodes; once any has the label enablelb, on
 * those where it is "true" and, if s has the label lbpool, whose label of that name is equal. */
void nodeset_choose(const struct nodeset *t, const struct cluster_service *s, uint64_t *ret_bits);
/* Those that have an address which the status of s shows. */
void nodeset_shown(const struct nodeset *t, const struct cluster_service *s, uint64_t *ret_bits);

enum nodeset_state {
	NODESET_USABLE,
	NODESET_NOT_READY,   /* not Ready, or NetworkUnavailable */
	NODESET_NO_ENDPOINT, /* s is Local and has no ready endpoint there */
};
/* Would the pod of s on node i be Ready, and its address published? */
enum nodeset_state nodeset_state(const struct nodeset *t, const struct cluster *c,
	const struct cluster_service *s, size_t i);

/* What s has of the usable nodes: ExternalIPs if one of them has any, else InternalIPs; its
 * families in their order, each sorted as strings.  The first CLUSTER_MAX_INGRESS of them. */
size_t nodeset_addresses(const struct nodeset *t, const struct cluster_service *s,
	const uint64_t *usable, struct addr ret_v[CLUSTER_MAX_INGRESS]);

#endif
