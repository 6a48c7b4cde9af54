/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd.h - a small HTTP/1.1 server for GET and HEAD on the caller's libuv loop: for Prometheus,
 * for kubelet's probes, for a browser.
 */
#ifndef LBD_HTTPD_H
#define LBD_HTTPD_H

#include "addr.h"
#include "base.h"
#include "buf.h"
#include "counter.h"

#include <stdbool.h>
#include <uv.h>

enum {
	HTTPD_MAX_HEAD = 8192, /* bytes of a request */
	HTTPD_MAX_CLIENTS = 32,
	HTTPD_MAX_REQUESTS = 100, /* of one connection */
	HTTPD_MAX_ANSWER = 64 * 1024 * 1024,
	HTTPD_MAX_ADDRESSES = 64, /* to listen on */
	HTTPD_REQUEST_MS = 10000, /* a request must be there so long after the one before, */
	HTTPD_ANSWER_MS = 30000,  /* and its answer be taken so long after that; */
	HTTPD_APART_MS = 10000,   /* one that is made apart in this time, for others wait */
};

struct httpd; /* opaque */

struct httpd_request {
	const char *path;  /* as sent: escapes are left in */
	const char *query; /* what stands behind "?"; "" = nothing */
	const char *host;  /* by whose name it was reached, with a port perhaps; "" = not said */
};

struct httpd_answer {
	unsigned status;  /* 200 */
	const char *type; /* its Content-Type; static, as is more; "text/plain; charset=utf-8" */
	const char *more; /* further fields, each line with its CRLF; "" */
	struct buf body;  /* to be added to */
};

struct httpd_handler {
	const char *path; /* whole, without a query */
	/* Does the answer take so long that the loop must not wait?  Asked before each, perhaps
	 * more than once; NULL: no. */
	bool (*takes_long)(void *ctx, const struct httpd_request *request);
	/* false: there is none (out of memory).  May not call back.  Of one that takes long it runs
	 * in a copy of the process (apart.h), without its descriptors. */
	bool (*answer)(void *ctx, const struct httpd_request *request, struct httpd_answer *a);
};

/* Listens nowhere yet.  handlers, which end with one without a path, ctx and counters are borrowed.
 * The process must ignore SIGPIPE.  0 or -ENOMEM. */
int httpd_open(uv_loop_t *loop, const struct httpd_handler *handlers, void *ctx,
	struct counters *counters, struct httpd **ret_h) MUST_CHECK;
/* Listens on exactly these addresses and this port; none: nowhere.  What is open and stays is not
 * touched, nor are clients.  An address that cannot be had is logged once and tried again each
 * second. More than HTTPD_MAX_ADDRESSES: the first ones.  "::" is every address, of IPv4 too. */
void httpd_listen(struct httpd *h, const struct addr *v, size_t n, unsigned port);
/* Drops the clients; closed() (may be NULL) comes from the loop once everything is freed.  NULL:
 * nothing happens. */
void httpd_close(struct httpd *h, void (*closed)(void *ctx), void *ctx);

#endif
