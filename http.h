/* SPDX-License-Identifier: Apache-2.0
 *
 * http.h - HTTP/1.1 client over TCP and TLS on libuv: a small pool of kept connections to one
 * server, and connections of their own for streams.  Moves bytes; knows nothing of Kubernetes.
 * The process must ignore SIGPIPE: libuv writes to sockets that a peer may have closed.
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
	HTTP_MAX_STREAMS = 64,     /* at a time; over it http_start() says -EAGAIN */
	HTTP_MAX_ADDRESSES = 8,    /* of a name that are tried: the last good one, then in order */
	HTTP_MAX_REQUEST = 4 * 1024 * 1024, /* bytes of one request */
	HTTP_READ_BYTES = 32 * 1024,        /* read at once */
	HTTP_CONNECT_TIMEOUT_MS = 5000,     /* name, TCP and TLS together */
	HTTP_FRESH_MS = 5000,      /* a stream takes an idle connection that was in use so lately */
	HTTP_TICKET_WAIT_MS = 100, /* for another connection's TLS handshake, to resume it */
	HTTP_IDLE_CLOSE_MS = 60000, /* an idle kept connection is closed after this */
	HTTP_STREAM_PROBE_S =
		15, /* TCP keepalive and TCP_USER_TIMEOUT: finds half-open connections */
};

struct http; /* opaque: a client of one server */

struct http_conf {
	const char *host; /* name or IP to connect to; copied */
	uint16_t port;
	const char *tls_name;        /* what the certificate must hold; copied */
	struct tls_conf *tls;        /* NULL = plain HTTP; a reference is taken */
	uint64_t connect_timeout_ms; /* 0 = HTTP_CONNECT_TIMEOUT_MS */
	uint64_t (*now_ms)(void);    /* monotonic (CLOCK_BOOTTIME), the one clock of the process */
};

/* NULL when out of memory.  Counts API_REQUESTS (sent), API_TOO_LATE (-ETIME), API_ERRORS (ended
 * with another error but -ECANCELED) and TLS_ERRORS; what a status means is the caller's. */
struct http *http_new(
	uv_loop_t *loop, const struct http_conf *conf, struct counters *counters) MUST_CHECK;
/* Every call ends with -ECANCELED; closed() comes from the loop when the last handle is closed and
 * h is freed. */
void http_close(struct http *h, void (*closed)(void *ctx), void *ctx);
/* New certificates: connections opened from now on use it, kept ones are closed when they have
 * ended what they are at; streams go on. */
void http_set_tls(struct http *h, struct tls_conf *tls);

struct http_ops {
	void (*head)(void *ctx, const struct http1_head *head); /* may be NULL */
	void (*body)(void *ctx, const char *p, size_t n);       /* may be NULL */
	/* Exactly once, last, only from the loop, never from inside a function of this header.
	 * 0: complete.  -ETIME: not_after_ms had passed, nothing was sent.  -ETIMEDOUT,
	 * -ECONNREFUSED, -ECONNRESET, -EPROTO, -ECANCELED, ...: err is a sentence.  sent: bytes of
	 * the request reached the socket, so it may have been applied. */
	void (*done)(void *ctx, int result, bool sent, const char *err);
};

struct http_call; /* opaque: one request under way */

struct http_request {
	struct http1_request r; /* strings and body are copied by http_start() */
	uint64_t
		not_after_ms; /* checked immediately before the first byte is written; TIME_NEVER */
	uint64_t timeout_ms;  /* of the whole call; 0 = none */
	uint64_t silence_ms;  /* without a byte from the server, once it was sent; 0 = none */
	bool stream;          /* long: gets a connection of its own, at once */
};

/* 0 and *ret_call (valid until done()), -ENOMEM (also a request over HTTP_MAX_REQUEST), -EAGAIN
 * (queue full, too many streams), -EINVAL (http1_request_ok(), or after http_close()).  A GET that
 * a kept connection lost before the first byte of its answer is sent once more, on a new
 * connection; anything else only if nothing of it had been sent. */
int http_start(struct http *h, const struct http_request *req, const struct http_ops *ops,
	void *ctx, struct http_call **ret_call) MUST_CHECK;
/* done(-ECANCELED) comes from the loop; nothing else is called back before it.  When bytes of the
 * request were sent its connection is reset at once, so that those still waiting in the kernel are
 * thrown away (OWNERSHIP R28). */
void http_cancel(struct http_call *c);
/* Back-pressure: stop and start reading the body.  What was read already, HTTP_READ_BYTES at most,
 * still comes.  While paused silence is not timed. */
void http_pause(struct http_call *c, bool paused);
/* From inside head() and body(): "TLSv1.3" and the like, "" for plain HTTP. */
const char *http_tls_version(const struct http_call *c);
/* Likewise: the TLS session went on from an earlier one. */
bool http_tls_resumed(const struct http_call *c);
/* Calls whose done() is still due. */
size_t http_in_flight(const struct http *h);

#endif
