/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - objects, their versions, and the history that watches and consistent pages need.
 *
 * A version is immutable and reference-counted: its text was printed once and is sent as it is.
 * Each collection (a kind's objects) is an array sorted by key as etcd sorts, and a bounded ring of
 * events. What happened before the ring is "compacted": asking for it is 410.
 */
#ifndef KUBESIM_STORE_H
#define KUBESIM_STORE_H

#include "kinds.h"

#include <sys/types.h>

enum { RING_EVENTS = 100000, RING_BYTES = 256 * 1024 * 1024 };

struct version {
	unsigned refs, nlabels;
	uint64_t rv;
	const char *key;    /* "namespace/name" or "name"; into the same block, like all below */
	const char *labels; /* nlabels times "key\0value\0" */
	const char *fields; /* kind->fields' values, each NUL-terminated */
	const char *uid;
	bool owned;    /* has ownerReferences */
	bool deleting; /* has a deletionTimestamp */
	size_t len;
	char text[]; /* begins with {"kind":"K","apiVersion":"V", */
};

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };

struct event {
	enum event_type type;
	uint64_t rv;
	struct version *now;  /* owned reference; of a deletion: the last state with its rv */
	struct version *prev; /* owned reference; NULL for ADDED */
};

struct coll {
	const struct kind *kind; /* of the stored form */
	struct version **v;      /* owned, sorted by key */
	size_t n, cap;
	struct event *ring; /* owned */
	size_t ring_cap;
	uint64_t first_seq, next_seq; /* event seq s is ring[s % ring_cap] */
	size_t ring_bytes;
	uint64_t floor_rv; /* history before this is gone */
	size_t owned;      /* objects with ownerReferences */
};

struct store {
	struct coll **colls; /* owned */
	size_t n, cap;
	uint64_t rv;
	size_t ring_max;
};

void store_init(struct store *s, size_t ring_max);
void store_free(struct store *s);
/* Made on first use. */
struct coll *store_coll(struct store *s, const struct kinds *ks, const struct kind *k);

/* Build a version from a whole object. rv goes into metadata.resourceVersion. */
struct version *version_new(const struct coll *c, const char *key, cJSON *obj, uint64_t rv);
struct version *version_ref(struct version *v);
void version_unref(struct version *v);
cJSON *version_parse(const struct version *v);
/* The namespace's length in the key: 0 when cluster-scoped. */
size_t version_ns_len(const struct version *v);
const char *version_name(const struct version *v);
/* Where a list item starts: without kind and apiVersion, which items of built-in lists lack. */
const char *version_item(const struct version *v, const struct kind *k, size_t *ret_len);

/* Borrowed; NULL when there is none. */
struct version *store_get(const struct coll *c, const char *key);
/* The first index whose key is >= key, in a sorted array. */
size_t versions_find(struct version *const *v, size_t n, const char *key);
size_t coll_find(const struct coll *c, const char *key);
/* Insert or replace with a new resourceVersion. obj is only read and stamped. Borrowed result. */
struct version *store_put(struct store *s, struct coll *c, const char *key, cJSON *obj);
/* Remove; the event's object is obj (the last state) with the deletion's version. */
uint64_t store_delete(struct store *s, struct coll *c, const char *key, cJSON *obj);
/* Forget history of c: versions before now are too old. */
void store_compact(struct store *s, struct coll *c);

/* The objects as they were at rv, in key order; owned references, free with snapshot_free().
 * False: too old. */
struct snapshot {
	struct version **v;
	size_t n, cap;
};
bool store_snapshot(const struct coll *c, uint64_t rv, struct snapshot *ret);
void snapshot_free(struct snapshot *s);

#endif
