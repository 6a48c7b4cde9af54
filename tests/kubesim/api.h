/* SPDX-License-Identifier: Apache-2.0
 *
 * api.h - one request and its answer, without transport: server.c fills the first and sends the
 * second; everything between is here and knows no socket.
 */
#ifndef KUBESIM_API_H
#define KUBESIM_API_H

#include "kinds.h"

struct sim;
struct stream;

enum { PARAMS_MAX = 32 };

struct param {
	const char *name, *value; /* into request.query */
};

struct request {
	char *method; /* owned, like the next six; "" when absent, never NULL */
	char *path;   /* decoded */
	char *query;  /* decoded in place, cut into params */
	char *accept;
	char *content_type;
	char *authorization;
	char *user_agent;
	struct param params[PARAMS_MAX];
	size_t nparams;
	const char *body; /* borrowed from the connection */
	size_t body_len;
	bool local;       /* came by the control socket */
	const char *user; /* borrowed from auth's table */
	bool admin;
	uint64_t stale_rv; /* not 0: a fault wants reads answered as of this version */
};

void request_free(struct request *r);
/* Cut query into params; false when an escape is broken. */
bool request_set_query(struct request *r, const char *query, size_t n);
const char *request_param(const struct request *r, const char *name); /* "" when absent */
bool request_flag(const struct request *r, const char *name);         /* "1" or "true" */

/* What a request is about. Strings are the route's own. */
struct route {
	enum { ROUTE_NONE, ROUTE_RESOURCE, ROUTE_INFO, ROUTE_ADMIN } what;
	const struct kind *kind;
	char *ns, *name, *sub; /* owned; NULL when absent */
	const char *verb;      /* get list watch create update patch delete deletecollection */
	char resource[160];    /* "services/status", "leases"; for the others the path */
};

void route_find(const struct kinds *ks, const struct request *r, struct route *ret);
void route_free(struct route *r);

struct answer {
	int status;
	const char *type;      /* Content-Type; static */
	struct text headers;   /* owned; further header lines */
	struct text body;      /* owned */
	uint64_t delay_ms;     /* before it is sent */
	struct stream *stream; /* owned; a watch follows the headers, body is its beginning */
};

void answer_free(struct answer *a);

/* A metav1.Status. reason NULL: the usual one of the code. */
void answer_error(struct answer *a, int code, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same with details of an object; causes is taken over, may be NULL. */
void answer_error_of(struct answer *a, int code, const char *reason, const struct kind *k,
	const char *name, cJSON *causes, const char *message);
/* A Status object's text, for ERROR events and answers alike. */
void status_text(
	struct text *t, int code, const char *reason, const char *message, const cJSON *details);

void rest_handle(struct sim *s, const struct request *r, const struct route *to, struct answer *a);
void info_handle(struct sim *s, const struct request *r, struct answer *a);  /* discover.c */
void admin_handle(struct sim *s, const struct request *r, struct answer *a); /* admin.c */

#endif
