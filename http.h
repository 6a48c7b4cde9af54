/* SPDX-License-Identifier: Apache-2.0
 *
 * http.h - HTTP/1.1 client over TCP and TLS on libuv: a small pool of kept connections to one
 * server, and connections of their own for streams.  Moves bytes; knows nothing of Kubernetes.
 */
#ifndef LBD_HTTP_H
#define LBD_HTTP_H

#include "base.h"
#include "counter.h"
#include "http1.h"
#include "tls.h"

#include <uv.h>

/* Limits, in one place. */
enum {
	HTTP_POOL_CONNECTIONS = 8, /* kept connections for requests that end */
	HTTP_MAX_QUEUE = 4096,     /* requests waiting for one; over it http_start() says -EAGAIN */
	HTTP_CONNECT_TIMEOUT_MS = 5000, /* name, TCP and TLS together */
	HTTP_IDLE_CLOSE_MS = 60000,     /* an idle kept connection is closed after this */
	HTTP_STREAM_PROBE_S =
		15, /* TCP keepalive and TCP_USER_TIMEOUT: finds half-open connections */
};

struct http; /* opaque: a client of one server */

struct http_conf {
	const char *host; /* name or IP to connect to; copied */
	uint16_t port;
	const char *tls_name;     /* what the certificate must hold; copied */
	struct tls_conf *tls;     /* NULL = plain HTTP; a reference is taken */
	uint64_t (*now_ms)(void); /* monotonic (CLOCK_BOOTTIME), the one clock of the process */
};

/* NULL when out of memory. */
struct http *http_new(
	uv_loop_t *loop, const struct http_conf *conf, struct counters *counters) MUST_CHECK;
/* Every call ends with -ECANCELED; closed() comes from the loop when the last handle is closed and
 * h is freed. */
void http_close(struct http *h, void (*closed)(void *ctx), void *ctx);
/* New certificates or another server name: connections opened from now on use it. */
void http_set_tls(struct http *h, struct tls_conf *tls);

struct http_ops {
	void (*head)(void *ctx, const struct http1_head *head); /* may be NULL */
	void (*body)(void *ctx, const char *p, size_t n);       /* may be NULL */
	/* Exactly once, last, never from inside http_start().  0: complete.  -ETIME: not_after_ms
	 * had passed, nothing was sent. -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET, -EPROTO,
	 * -ECANCELED, ...: err is a sentence.  sent: bytes of the request reached the socket, so it
	 * may have been applied. */
	void (*done)(void *ctx, int result, bool sent, const char *err);
};

struct http_call; /* opaque: one request under way */

struct http_request {
	struct http1_request r; /* strings and body are copied by http_start() */
	uint64_t
		not_after_ms; /* checked immediately before the first byte is written; TIME_NEVER */
	uint64_t timeout_ms;  /* of the whole call, or of silence on a stream; 0 = none */
	bool stream;          /* long: gets a connection of its own */
};

/* 0 and *ret_call (valid until done()), -ENOMEM, -EAGAIN (queue full), -EINVAL. */
int http_start(struct http *h, const struct http_request *req, const struct http_ops *ops,
	void *ctx, struct http_call **ret_call) MUST_CHECK;
/* done(-ECANCELED) comes from the loop. A request already sent on a kept connection costs that
 * connection. */
void http_cancel(struct http_call *c);
/* Back-pressure: stop and start reading the body. */
void http_pause(struct http_call *c, bool paused);
size_t http_in_flight(const struct http *h);

#endif
