/* SPDX-License-Identifier: Apache-2.0
 *
 * rights.h - what the API server refuses with 403, in the words of an RBAC rule, each said once.
 * Pure.
 */
#ifndef LBD_RIGHTS_H
#define LBD_RIGHTS_H

#include "base.h"
#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Limits, in one place. */
enum {
	RIGHTS_MAX = 64,           /* refused rights remembered; further ones are not said */
	RIGHTS_RESOURCE_LEN = 128, /* "endpointslices.discovery.k8s.io"; a longer one is no right */
	RIGHTS_NAMESPACE_LEN = 64, /* RFC 1123 label */
	RIGHTS_QUIET_MS = 60 * 1000, /* one that comes and goes is said this often at most */
};

/* A GET of a collection is what RBAC calls list. */
enum right_verb {
	RIGHT_GET,
	RIGHT_WATCH,
	RIGHT_CREATE,
	RIGHT_UPDATE,
	RIGHT_PATCH,
	RIGHT_DELETE,
};

struct right {
	const char *verb;                      /* static: "list" */
	char resource[RIGHTS_RESOURCE_LEN];    /* "services/status", "leases.coordination.k8s.io" */
	char namespace_[RIGHTS_NAMESPACE_LEN]; /* "" = the whole cluster's */
};

/* What a request on path ("/api/v1/services?limit=500") needs.  False: path names no resource. */
bool right_of(enum right_verb verb, const char *path, struct right *ret_right);

struct refused; /* opaque */
/* Zeroed to begin with. */
struct rights {
	struct refused *first; /* owned */
	size_t n;
};

void rights_free(struct rights *r);
/* The server answered 403.  True: to be said, for it was not since it was last allowed. */
bool rights_refuse(struct rights *r, const struct right *what, uint64_t now_ms);
/* The server let it through.  True: it had been said to be refused, and no longer is. */
bool rights_allow(struct rights *r, const struct right *what);
/* "list services": the refused one after prev, or the first after NULL; NULL = no more.  Valid
 * until the next call of rights_refuse(), rights_allow() or rights_free(). */
const char *rights_next(const struct rights *r, const char *prev);

/* The sentence for a log line.  server_words: the Status's message; where an authorizer speaks the
 * sentence names the missing right, else (admission, a quota, a namespace that is being deleted) it
 * does not. */
void rights_say(const struct right *what, const char *server_words, struct buf *out);

#endif
