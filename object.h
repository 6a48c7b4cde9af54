/* SPDX-License-Identifier: Apache-2.0
 *
 * object.h - the Kubernetes objects that lbd writes, as JSON: Leases, Events, a condition.  Pure: the wall
 * clock, which Kubernetes stores, is an argument.
 */
#ifndef LBD_OBJECT_H
#define LBD_OBJECT_H

#include "base.h"
#include "event.h"
#include "leader.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Each returns what cJSON_Delete() frees; NULL when out of memory.  wall_us: microseconds since
 * 1970. */

/* A coordination.k8s.io/v1 Lease; for CREATE and UPDATE.  renewTime and acquireTime have exactly
 * six fraction digits (MicroTime; the API answers 422 to anything else). */
cJSON *object_lease(
	const struct lease_action *a, const char *namespace_, int64_t wall_us) MUST_CHECK;

/* A core/v1 Event of node.  now_ms: monotonic, against which w's times are; they become what they
 * are by today's wall clock. */
cJSON *object_event(
	const struct event_write *w, const char *node, uint64_t now_ms, int64_t wall_us) MUST_CHECK;
/* The merge patch that raises its count, or says at least that it happened again. */
cJSON *object_event_patch(const struct event_write *w, uint64_t now_ms, int64_t wall_us) MUST_CHECK;
/* Where it lies: the object's, "default" for cluster scoped. */
const char *object_event_namespace(const struct event_write *w);

/* Of the object uid: a strategic merge patch of its status, where others' conditions stay as they
 * are. */
struct object_condition {
	const char *uid, *type;
	const char *status, *reason, *message; /* status NULL: it goes */
	bool turned;                           /* its status was another */
};
cJSON *object_condition(const struct object_condition *c, int64_t wall_us) MUST_CHECK;
/* Adds to such a patch's status that a condition goes.  False when out of memory. */
bool object_drop_condition(cJSON *status, const char *type) MUST_CHECK;

#endif
