/* SPDX-License-Identifier: Apache-2.0
 *
 * ipam.h - cluster IPs and node ports, as the API server hands them out.
 *
 * Picking marks nothing: what an object holds is learnt when it is stored and forgotten when it is
 * replaced or deleted, so that refused and dry-run requests cost nothing.
 */
#ifndef KUBESIM_IPAM_H
#define KUBESIM_IPAM_H

#include "jsn.h"

struct ipam {
	uint8_t *v4;    /* owned; one bit for each host number of 10.96.0.0/12 */
	uint8_t *v6;    /* owned; of fd00:96::/112 */
	uint8_t *ports; /* owned; one bit for each port */
	unsigned next_v4, next_v6;
	unsigned port_min, port_max, next_port;
};

void ipam_init(struct ipam *m, unsigned port_min, unsigned port_max);
void ipam_free(struct ipam *m);
/* A free address of the family into ip; false when there is none. */
bool ipam_pick_ip(struct ipam *m, bool v6, char *ip, size_t len);
/* 0 when the range is full. */
unsigned ipam_pick_port(struct ipam *m);
bool ipam_ip_is_taken(const struct ipam *m, const char *ip);
bool ipam_ip_in_range(const char *ip);
bool ipam_port_is_taken(const struct ipam *m, unsigned port);
/* The Service holds these from now on / no longer. svc may be NULL. */
void ipam_learn(struct ipam *m, const cJSON *svc);
void ipam_forget(struct ipam *m, const cJSON *svc);

#endif
