/* SPDX-License-Identifier: Apache-2.0
 *
 * service.h - the rules about one Service or two: is it ours to serve, what does it ask for, may
 * two of them share an address.  Used by the allocator (leader) and by the announcers (every node)
 * alike.  Pure.
 */
#ifndef LBD_SERVICE_H
#define LBD_SERVICE_H

#include "addr.h"
#include "cluster.h"
#include "config.h"
#include "reason.h"

#include <stdbool.h>

/* REASON_ALLOCATED when lbd serves it; else NOT_LOAD_BALANCER, DELETED, OTHER_CLASS,
 * CLASSLESS or IGNORED.  Without a class OpenELB's annotation is as good as one that is served. */
enum reason service_served(const struct config *conf, const struct cluster_service *s);

/* The addresses that spec.loadBalancerIP and the annotations ask for. */
struct service_request {
	struct addr v[2];
	size_t n;         /* 0 = none asked for */
	const char *pool; /* NULL = none asked for; borrowed from s */
	enum config_protocol protocol;
};
/* REASON_ALLOCATED, REASON_BAD_REQUEST, REASON_REQUEST_CONFLICT or REASON_FAMILY_MISMATCH; detail
 * (may be NULL) gets the words that name the field and the value. */
enum reason service_request(
	const struct cluster_service *s, struct service_request *ret_req, struct buf *detail);

/* May a and b be on one address?  MetalLB's condition: equal non-empty sharing keys, equal backend
 * keys where externalTrafficPolicy is Local, no protocol and port in common. */
enum service_sharing {
	SERVICE_SHARING_OK,
	SERVICE_SHARING_NO_KEY, /* one of them has no sharing key */
	SERVICE_SHARING_KEY_DIFFERS,
	SERVICE_SHARING_BACKEND_DIFFERS,
	SERVICE_SHARING_PORT_TAKEN,
};
/* *ret_port (may be NULL) gets the clashing port of b for PORT_TAKEN. */
enum service_sharing service_sharing(const struct cluster_service *a,
	const struct cluster_service *b, const struct cluster_port **ret_port);

/* As a person writes it. */
const char *service_protocol_name(enum cluster_protocol p);

/* <0 when a is the elder: creationTimestamp (unknown is youngest), then UID, then key. */
int service_elder(const struct cluster_service *a, const struct cluster_service *b);
/* <0 when a is decided first: creationTimestamp, then key, so that the same manifests applied in
 * one second get the same addresses in every cluster (a UID is random). */
int service_turn(const struct cluster_service *a, const struct cluster_service *b);
/* What service_elder() goes by, for those who sort many. */
struct service_age {
	int64_t created_s;
	const char *uid, *key; /* borrowed from the Service */
};
struct service_age service_age(const struct cluster_service *s);
int service_age_cmp(const struct service_age *a, const struct service_age *b);

#endif
