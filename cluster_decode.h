/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster_decode.h - objects of the Kubernetes API, from cJSON trees to the structs of cluster.h.
 * Pure.
 *
 * A tree is hostile until decoded: every field is type-checked, absent and null are the same, and
 * each limit of cluster.h holds.  An object becomes one block of memory of exactly its size: a
 * Service is decoded into the scratch and packed from there (copy.h), the others are decoded twice,
 * once to be measured, once into the block.
 */
#ifndef LBD_CLUSTER_DECODE_H
#define LBD_CLUSTER_DECODE_H

#include "base.h"
#include "cluster.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory that is needed while an object is decoded; one serves all, one after the other. */
struct cluster_scratch; /* opaque */

struct cluster_scratch *cluster_scratch_new(void) MUST_CHECK;
void cluster_scratch_free(struct cluster_scratch *s);

/* -- which object it is -- */
/* "namespace/name" of what is namespaced; Nodes, Namespaces and Leases (one namespace is watched)
 * go by name. 0 or -EBADMSG. */
int cluster_decode_key(
	enum cluster_kind kind, const cJSON *obj, char ret_key[CLUSTER_MAX_KEY + 1]) MUST_CHECK;
/* metadata.resourceVersion, borrowed from obj; "" when there is none. */
const char *cluster_decode_version(const cJSON *obj);
/* The key of the Service that an EndpointSlice or an Endpoints object of that key belongs to; false
 * when it names none. */
bool cluster_decode_service_key(enum cluster_kind kind, const char *key, const cJSON *obj,
	char ret_service[CLUSTER_MAX_KEY + 1]);

/* -- Services -- */
/* Decodes and packs it: *ret_copy is held once (copy_drop()).  0, -EBADMSG, -E2BIG or -ENOMEM. */
int cluster_decode_service(struct cluster_scratch *s, const char *key, const cJSON *obj,
	struct copy **ret_copy) MUST_CHECK;

/* The condition CONDITION_TYPE in its status, of whatever type its fields are. */
struct condition_mark cluster_decode_condition(const cJSON *service);

/* The annotations that a Service's ips, pool and sharing key were read from; of what is not asked
 * for, any. */
struct cluster_asked_by {
	const char *ips, *pool, *sharing_key;
};
struct cluster_asked_by cluster_asked_by(const struct cluster_request *r);

/* -- Nodes, Leases, Namespaces -- */
/* How many bytes the object takes.  0, -EBADMSG, -E2BIG or -ENOMEM. */
int cluster_decode_measure(struct cluster_scratch *s, enum cluster_kind kind, const char *key,
	const cJSON *obj, size_t *ret_bytes) MUST_CHECK;
/* Into a block of as many bytes as the same object and key measured; the struct is its beginning.
 * It borrows key, and nothing of obj. */
void cluster_decode(
	enum cluster_kind kind, const char *key, const cJSON *obj, void *block, size_t bytes);

/* A Lease out of an answer of the API, which the watch has yet to bring: cluster_lease_free().
 * NULL: not a Lease, or out of memory. */
struct cluster_lease *cluster_lease_decode(const cJSON *obj) MUST_CHECK;
void cluster_lease_free(struct cluster_lease *l);

/* -- EndpointSlices, Endpoints -- */
/* The endpoints of one object on one node. */
struct cluster_row {
	const char *node;        /* borrowed from the tree; "" = not said */
	uint32_t ready, serving; /* serving: only because it is terminating */
};

struct cluster_rows {
	struct cluster_row *v; /* sorted by node, one row each; in the scratch, or in memory */
	size_t n;
	void *memory; /* owned; NULL when the scratch was big enough */
};

/* 0 and the rows (cluster_rows_free(); valid until the scratch is used again), or -EBADMSG, -E2BIG,
 * -ENOMEM. */
int cluster_decode_rows(struct cluster_scratch *s, enum cluster_kind kind, const cJSON *obj,
	struct cluster_rows *ret_rows) MUST_CHECK;
void cluster_rows_free(struct cluster_rows *t);

#endif
