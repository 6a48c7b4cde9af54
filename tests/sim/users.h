/* SPDX-License-Identifier: Apache-2.0
 *
 * users.h - what people do to the cluster: Services, their endpoints, Nodes' labels.
 */
#ifndef LBD_SIM_USERS_H
#define LBD_SIM_USERS_H

#include "sim.h"

enum { USERS_VIPS = 30 /* of a segment, at least */ };

struct users *users_new(struct sim *s) MUST_CHECK;
void users_free(struct users *u);
/* Nodes, Services and endpoints come into being. */
void users_populate(struct sim *s);
/* All addresses that Services of a segment may have. */
struct addr_range users_range(const struct sim *s, unsigned segment);
size_t users_vip_count(const struct sim *s);
struct addr users_vip(const struct sim *s, unsigned segment, size_t i);

/* Creates what is not there, deletes what is; endpoints: a bit for each node. */
void users_toggle_service(struct sim *s, unsigned service);
void users_set_endpoints(struct sim *s, unsigned service, uint64_t nodes);
/* More of it: a Service with externalTrafficPolicy Local, without sharing. */
void users_make_local(struct sim *s, unsigned service);
void users_exclude_node(struct sim *s, unsigned node, bool excluded);
/* The address that a Service asks for, when the leader does not allocate. */
struct addr users_service_vip(const struct sim *s, unsigned service);
unsigned users_service_segment(const struct sim *s, unsigned service);
bool users_service_exists(const struct sim *s, unsigned service);
const char *users_service_name(const struct sim *s, unsigned service);

#endif
