/* SPDX-License-Identifier: Apache-2.0
 *
 * nodelb.h - servicelb mode: Services have the addresses of the nodes themselves, as k3s's
 * servicelb gives them.  Pure; used by the leader only, in place of alloc.h.
 *
 * State in: configuration, Services; Nodes and endpoints are read from the picture.  Out: writes to
 * Service status (pull, one at a time) and results for Events.
 *
 * A (protocol, port) of a node belongs to one Service, where servicelb has a pod with a host port.
 * Who has it keeps it, also while the node is not Ready; of those who want it the eldest gets it.
 *
 * Order of a new leader, and of the mode when it is entered: nodelb_begin(); nodelb_put() of every
 * Service; nodelb_adopted(): those whose status shows a node's address keep its ports, only then is
 * anything given.
 */
#ifndef LBD_NODELB_H
#define LBD_NODELB_H

#include "addr.h"
#include "alloc.h" /* enum alloc_outcome: the shell tells both of them alike */
#include "cluster.h"
#include "config.h"
#include "hash.h"
#include "reason.h"

#include <stdbool.h>
#include <stdint.h>

struct nodelb; /* opaque */

/* c is borrowed for life; hkey is copied.  NULL when out of memory. */
struct nodelb *nodelb_new(const struct hash_key *hkey, const struct cluster *c) MUST_CHECK;
void nodelb_free(struct nodelb *n);

/* conf is borrowed until the next call: of it counts which Services are lbd's. */
void nodelb_configure(struct nodelb *n, const struct config *conf);

void nodelb_begin(struct nodelb *n);
/* A Service as it now is in the picture, or whose endpoints changed.  0 or -ENOMEM (nothing
 * changed). */
int nodelb_put(struct nodelb *n, const struct cluster_service *s, uint64_t now_ms) MUST_CHECK;
void nodelb_delete(struct nodelb *n, const char *key);
void nodelb_adopted(struct nodelb *n);
bool nodelb_is_ready(const struct nodelb *n); /* between nodelb_adopted() and nodelb_begin() */

/* What one decision came to; each is reported once, when it changes. */
struct nodelb_result {
	const char *key, *namespace_, *name, *uid; /* valid until the next call */
	enum reason reason;                        /* REASON_ALLOCATED, or why it has no address */
	struct addr was[CLUSTER_MAX_INGRESS], ips[CLUSTER_MAX_INGRESS];
	size_t n_was, n_ips; /* in the status when the news began; in it now, or soon */
	char detail[512];    /* what there is to say beside the reason, "" = nothing */
};
/* The next result not yet reported; false when there is none. */
bool nodelb_next_result(struct nodelb *n, uint64_t now_ms, struct nodelb_result *ret_r);
/* The present state of key, reported or not; false when it is not known. */
bool nodelb_why(const struct nodelb *n, const char *key, struct nodelb_result *ret_r);

/* One write of status.loadBalancer.ingress (n_ips = 0 clears it); the pool annotation goes. */
struct nodelb_write {
	const char *key, *namespace_, *name, *uid, *resource_version; /* until the next call */
	const struct addr *ips;                                       /* likewise */
	size_t n_ips;
	uint64_t id; /* hand back to nodelb_write_done() */
};
/* The next write that may be sent at now_ms, one in flight a Service.  A Service whose status was
 * written several times within a minute waits longer from write to write, so that neither a node
 * that comes and goes nor another writer of the status makes a storm of them. */
bool nodelb_next_write(struct nodelb *n, uint64_t now_ms, struct nodelb_write *ret_w);
void nodelb_write_done(struct nodelb *n, uint64_t id, enum alloc_outcome outcome, uint64_t now_ms);
/* When nodelb_next_write() may have one; TIME_NEVER.  Changes of the picture count at once. */
uint64_t nodelb_next_deadline(const struct nodelb *n);

#endif
