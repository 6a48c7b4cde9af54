/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.h - defaults and validation of an object on its way into the store.
 */
#ifndef KUBESIM_ADMIT_H
#define KUBESIM_ADMIT_H

#include "ipam.h"
#include "jsn.h"

struct kind;

struct admit {
	const struct kind *kind;
	cJSON *obj;       /* changed in place */
	const cJSON *old; /* NULL: a create */
	bool status_only; /* written through /status */
	bool old_server;  /* drop what 1.20 did not know */
	struct ipam *ipam;
	const char *user;
	cJSON *causes;       /* owned; array of StatusCause, NULL = none so far */
	struct text message; /* owned; the causes in words */
	int code;            /* not 0: refuse with this code and message instead of 422 */
};

/* Field errors, worded as k8s.io/apimachinery's field package does. value may be NULL. */
void admit_invalid(struct admit *a, const char *field, const cJSON *value, const char *why);
void admit_required(struct admit *a, const char *field, const char *why);
void admit_forbidden(struct admit *a, const char *field, const char *why);
void admit_unsupported(struct admit *a, const char *field, const char *value, const char *choices);
void admit_duplicate(struct admit *a, const char *field, const char *value);
void admit_free(struct admit *a);
bool admit_ok(const struct admit *a);

/* What holds for every kind: name, namespace, labels, annotations' size. */
void admit_meta(struct admit *a);

bool is_dns_label(const char *s);     /* RFC 1123 label */
bool is_dns_1035(const char *s);      /* ... starting with a letter */
bool is_dns_subdomain(const char *s); /* RFC 1123 subdomain */
bool is_ip(const char *s);
bool is_cidr(const char *s);

void service_admit(struct admit *a); /* service.c */
void node_admit(struct admit *a);
void pod_admit(struct admit *a);
void endpoints_admit(struct admit *a);
void slice_admit(struct admit *a);
void event_admit(struct admit *a);
void configmap_admit(struct admit *a);
void namespace_admit(struct admit *a);
void secret_admit(struct admit *a);
void lease_admit(struct admit *a);
void crd_admit(struct admit *a);
void access_review_admit(struct admit *a);
void rules_review_admit(struct admit *a);

#endif
