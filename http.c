/* SPDX-License-Identifier: Apache-2.0
 *
 * http.c - HTTP/1.1 client over TCP and TLS on libuv.
 *
 * Owns: a client (struct http): its calls, its connections, one timer for all their deadlines.
 * In:   http_start(), http_cancel(), http_pause(); bytes from sockets.
 * Out:  bytes to sockets; head(), body(), done() of each call.
 *
 * A call waits in the queue until a kept connection is free or may be opened; streams get one of
 * their own at once: an idle kept one, else a new one.  A connection under way to the server
 * already belongs to the call that made it necessary, so that its failure has an address.  What has
 * ended goes to the list of ended calls, and done() is called from turn() alone, which the timer
 * runs: so no caller is ever called back from inside one of its own calls, and callbacks may do as
 * they like.  A connection is freed in turn() too, never under the feet of the code that reads from
 * it.
 *
 * RFCs: 9112 9.3 (kept connections), 9.3.1 (what may be sent twice).
 * Not done: pipelining, proxies, redirects, connecting to several addresses at once (RFC 8305).
 */
#include "http.h"

#include "log.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum conn_state {
	RESOLVING,    /* its name, in libuv's thread pool */
	CONNECTING,   /* TCP, to addr[at] */
	NEXT_ADDRESS, /* that failed; its handle is being closed */
	AWAIT_TICKET, /* TCP stands; another one's handshake is awaited, to go on from */
	HANDSHAKE,    /* TLS */
	IDLE,
	BUSY,    /* request sent, answer not complete */
	CLOSING, /* no call any more; freed in turn() when its handles are closed */
};

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct conn {
	struct conn *prev, *next; /* in http.conns */
	struct http *h;
	struct http_call *call; /* NULL when idle or closing */
	enum conn_state state;
	bool stream;
	bool tcp_open, resolving; /* a handle or request of libuv's is alive */
	bool heard;               /* a byte of the answer came */
	bool keep;                /* so said the answer's head */
	bool complete;            /* the answer is */
	bool broken;              /* nothing more can be written */
	bool resume;              /* no longer paused: look what is there, in turn() */
	unsigned served;          /* answers */
	int last_error;           /* of the last address tried */
	size_t at, n_addrs;
	union sockaddr_any addr[HTTP_MAX_ADDRESSES];
	uint64_t deadline;                /* to be connected; when idle, to be closed */
	uint64_t attempt_deadline;        /* of this address: TCP and TLS */
	uint64_t ticket_deadline;         /* AWAIT_TICKET */
	struct tls *tls;                  /* owned */
	const struct tls_conf *made_with; /* kept alive by tls; to compare only */
	struct http1 *parser;             /* owned */
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_getaddrinfo_t resolve;
};

struct http_call {
	struct http_call *prev, *next; /* in http.queue or http.ended; in neither with a conn */
	struct http *h;
	struct conn *conn;          /* NULL while queued and when ended */
	const struct http_ops *ops; /* borrowed */
	void *ctx;
	struct buf text; /* owned: the request */
	uint64_t not_after_ms, timeout_ms, silence_ms;
	uint64_t deadline;        /* by timeout_ms; TIME_NEVER */
	uint64_t silent_deadline; /* by silence_ms; TIME_NEVER, also until it was sent */
	bool stream, is_get, is_head;
	bool sent, paused, ended;
	int result;
	char err[384];
};

struct http {
	uv_loop_t *loop;
	uv_timer_t timer;
	uint64_t wake_at;       /* what the timer is set to */
	uint64_t next_deadline; /* no deadline is before it */
	uint64_t (*now_ms)(void);
	struct counters *counters; /* borrowed, may be NULL */
	char *host, *tls_name;     /* owned */
	uint16_t port;
	char peer[300]; /* host:port, for sentences */
	uint64_t connect_timeout_ms;
	struct tls_conf *tls;            /* counted, NULL = plain */
	struct conn *conns;              /* owned */
	struct http_call *queue, *ended; /* owned */
	size_t n_queue, n_streams, n_calls;
	union sockaddr_any good; /* the address that was reached last */
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
	char *read_buf; /* owned; HTTP_READ_BYTES, for the one read under way */
};

/* One write that the kernel did not take at once. */
struct pending_write {
	uv_write_t req;
	struct conn *c;
	char bytes[];
};

/* -- time -------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

/* Makes sure that turn() runs at when. */
static void wake(struct http *h, uint64_t when)
{
	uint64_t now;

	if (when >= h->wake_at || uv_is_closing((uv_handle_t *)&h->timer))
		return;
	now = h->now_ms();
	h->wake_at = when;
	REQUIRE(uv_timer_start(&h->timer, on_timer, when > now ? when - now : 0, 0) == 0);
}

static void wake_now(struct http *h)
{
	wake(h, 0);
}

/* A deadline was set. */
static void watch_deadline(struct http *h, uint64_t when)
{
	h->next_deadline = time_min(h->next_deadline, when);
	wake(h, h->next_deadline);
}

static uint64_t after(struct http *h, uint64_t ms)
{
	return h->now_ms() + ms;
}

/* When the call must have ended; TIME_NEVER. */
static uint64_t call_deadline(const struct http_call *call)
{
	uint64_t d = call->deadline;

	if (!call->paused)
		d = time_min(d, call->silent_deadline);
	if (!call->sent && call->not_after_ms != TIME_NEVER)
		d = time_min(d, call->not_after_ms + 1);
	return d;
}

static uint64_t after_or_never(struct http *h, uint64_t ms)
{
	return ms != 0 ? after(h, ms) : TIME_NEVER;
}

/* The server's silence begins now. */
static void begin_silence(struct http_call *call)
{
	call->silent_deadline = after_or_never(call->h, call->silence_ms);
	watch_deadline(call->h, call_deadline(call));
}

/* -- calls ------------------------------------------------------------------------------------- */

/* The call is over and in no list and has no connection; done() follows from turn(). */
static PRINTF_LIKE(3, 4) void end_call(struct http_call *call, int result, const char *fmt, ...)
{
	struct http *h = call->h;
	va_list ap;

	call->ended = true;
	call->result = result;
	va_start(ap, fmt);
	(void)vsnprintf(call->err, sizeof call->err, fmt, ap);
	va_end(ap);
	if (result == -ETIME)
		counter_inc(h->counters, COUNTER_API_TOO_LATE);
	else if (result != 0 && result != -ECANCELED)
		counter_inc(h->counters, COUNTER_API_ERRORS);
	DL_APPEND(h->ended, call);
	wake_now(h);
}

/* It was not sent in time, or not answered. */
static void end_late(struct http_call *call)
{
	uint64_t now = call->h->now_ms();

	if (!call->sent && now > call->not_after_ms)
		end_call(call, -ETIME, "its deadline passed before it could be sent");
	else if (now < call->deadline)
		end_call(call, -ETIMEDOUT, "%s: silent for %llu ms", call->h->peer,
			(unsigned long long)call->silence_ms);
	else
		end_call(call, -ETIMEDOUT, "%s: no answer within %llu ms", call->h->peer,
			(unsigned long long)call->timeout_ms);
}

static void free_call(struct http_call *call)
{
	if (call->text.p != NULL)
		explicit_bzero(call->text.p, call->text.cap); /* holds a token */
	buf_free(&call->text);
	free(call);
}

static void enqueue(struct http_call *call)
{
	DL_APPEND(call->h->queue, call);
	call->h->n_queue++;
	wake_now(call->h);
}

static void dequeue(struct http_call *call)
{
	DL_DELETE(call->h->queue, call);
	call->h->n_queue--;
}

/* -- connections: the end ---------------------------------------------------------------------- */

static void conn_try(struct conn *c);

static void on_tcp_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	c->tcp_open = false;
	if (c->state == NEXT_ADDRESS)
		conn_try(c);
	else
		wake_now(c->h);
}

static int conn_flush(struct conn *c);

/* Lets go of the call, which the caller ends.  reset: throw away what the kernel has not sent. */
static void conn_close(struct conn *c, bool reset)
{
	if (c->state == CLOSING)
		return;
	if (c->call != NULL)
		c->call->conn = NULL;
	c->call = NULL;
	if (!reset && c->tls != NULL && (c->state == IDLE || c->state == BUSY)) {
		tls_close(c->tls);
		(void)conn_flush(c);
	}
	c->state = CLOSING;
	if (c->resolving)
		(void)uv_cancel((uv_req_t *)&c->resolve);
	if (c->tcp_open && !uv_is_closing((uv_handle_t *)&c->tcp) &&
		(!reset || uv_tcp_close_reset(&c->tcp, on_tcp_closed) != 0))
		uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
	wake_now(c->h);
}

static void conn_free(struct conn *c)
{
	DL_DELETE(c->h->conns, c);
	tls_free(c->tls);
	http1_free(c->parser);
	free(c);
}

static bool is_under_way(const struct conn *c)
{
	return c->state < IDLE;
}

/* Connections of the pool that are not closing. */
static size_t count_pool(const struct http *h)
{
	const struct conn *c;
	size_t n = 0;

	DL_FOREACH (h->conns, c)
		if (!c->stream && c->state != CLOSING)
			n++;
	return n;
}

/* Does any connection of the pool stand? */
static bool is_reachable(const struct http *h)
{
	const struct conn *c;

	DL_FOREACH (h->conns, c)
		if (!c->stream && (c->state == IDLE || c->state == BUSY))
			return true;
	return false;
}

/* The server cannot be reached: nobody waits for it as long as the next try takes. */
static void fail_queue(struct http *h, int result, const char *err)
{
	struct http_call *call, *tmp;

	if (is_reachable(h))
		return;
	DL_FOREACH_SAFE (h->queue, call, tmp) {
		dequeue(call);
		end_call(call, result, "%s", err);
	}
}

/* RFC 9112 9.3.1: the server may have closed a kept connection in the moment it was used again.
 * What had no effect, or has none by its nature, is sent once more, on a new connection, which is
 * not a kept one; a write that may have been applied is not. */
static bool may_retry(const struct conn *c, int result)
{
	const struct http_call *call = c->call;

	return call != NULL && c->state == BUSY && c->served > 0 && !c->heard &&
	       (!call->sent || call->is_get) && result != -ETIMEDOUT && result != -EPROTO &&
	       !c->h->closing;
}

static void conn_open(struct http *h, struct http_call *call);

/* The connection cannot be used any more; ends its call, if it has one. */
static PRINTF_LIKE(3, 4) void conn_fail(struct conn *c, int result, const char *fmt, ...)
{
	struct http *h = c->h;
	struct http_call *call = c->call;
	bool pool_under_way = is_under_way(c) && !c->stream;
	bool retry = may_retry(c, result);
	char err[sizeof call->err];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err, sizeof err, fmt, ap);
	va_end(ap);
	log_debug("http", "connection failed", "peer", h->peer, "err", err, NULL);
	conn_close(c, false);
	if (call != NULL && retry) {
		conn_open(h, call);
	} else if (call != NULL) {
		end_call(call, result, "%s", err);
	}
	if (pool_under_way)
		fail_queue(h, result, err);
}

/* -- connections: writing ---------------------------------------------------------------------- */

/* A peer that has closed may have said before why it did: in a TLS alert, or an early answer.  So
 * when it takes no more, what it sent is read to its end, which is near, and decides. */
static void conn_write_failed(struct conn *c, int e)
{
	if (e == UV_EPIPE || e == UV_ECONNRESET)
		c->broken = true;
	else
		conn_fail(c, e, "%s: %s", c->h->peer, uv_strerror(e));
}

static void on_write(uv_write_t *req, int status)
{
	struct pending_write *w = req->data;
	struct conn *c = w->c;

	free(w);
	if (status < 0 && c->state != CLOSING)
		conn_write_failed(c, status);
}

/* Gives all n bytes to the kernel now or, in order, later.  0 or an error after which not all were
 * given; *ret_reached: at least one was or may be. */
static int conn_write(struct conn *c, const void *p, size_t n, bool *ret_reached)
{
	uv_stream_t *stream = (uv_stream_t *)&c->tcp;
	const char *bytes = p;
	uv_buf_t buf = {.len = n};
	struct pending_write *w;
	size_t took;
	int did;

	memcpy(&buf.base, &bytes, sizeof buf.base); /* libuv has no const, and does not write */
	did = uv_try_write(stream, &buf, 1);
	took = did > 0 ? (size_t)did : 0;
	*ret_reached = took > 0;
	if (did < 0 && did != UV_EAGAIN)
		return did;
	if (took == n)
		return 0;
	w = malloc(sizeof *w + n - took);
	if (w == NULL)
		return -ENOMEM;
	memcpy(w->bytes, bytes + took, n - took);
	w->c = c;
	w->req.data = w;
	buf = uv_buf_init(w->bytes, (unsigned)(n - took));
	did = uv_write(&w->req, stream, &buf, 1, on_write);
	if (did < 0)
		free(w);
	else
		*ret_reached = true;
	return did;
}

/* Sends what TLS has to send. */
static int conn_flush(struct conn *c)
{
	const void *p;
	size_t n = tls_pending(c->tls, &p);
	bool reached;
	int r;

	if (n == 0)
		return 0;
	r = conn_write(c, p, n, &reached);
	tls_sent(c->tls, n);
	return r;
}

/* Encrypts and sends; sets call->sent by what the kernel took. */
static int conn_send_text(struct conn *c, struct http_call *call)
{
	const void *p = call->text.p;
	size_t n = call->text.len;
	bool reached = false;
	int r = 0;

	if (c->tls != NULL) {
		r = tls_write(c->tls, p, n);
		if (r < 0)
			return r;
		n = tls_pending(c->tls, &p);
	}
	r = conn_write(c, p, n, &reached);
	if (c->tls != NULL)
		tls_sent(c->tls, n);
	call->sent = call->sent || reached;
	return r;
}

static void conn_idle(struct conn *c);

/* The connection is ready and has a call.  Between the look at the clock and the write stands
 * nothing but the encryption. */
static void conn_send(struct conn *c)
{
	struct http *h = c->h;
	struct http_call *call = c->call;
	int r;

	if (h->now_ms() > call->not_after_ms) {
		c->call = NULL;
		call->conn = NULL;
		conn_idle(c);
		end_late(call);
		return;
	}
	h->good = c->addr[c->at];
	c->state = BUSY;
	c->heard = c->complete = c->keep = false;
	http1_expect(c->parser, call->is_head);
	if (call->paused)
		(void)uv_read_stop((uv_stream_t *)&c->tcp);
	begin_silence(call);
	r = conn_send_text(c, call);
	if (r == 0)
		counter_inc(h->counters, COUNTER_API_REQUESTS);
	else if (r == -EPROTO)
		conn_fail(c, r, "%s: %s", h->peer, tls_error(c->tls));
	else
		conn_write_failed(c, r);
}

/* -- connections: reading ---------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init(c->h->read_buf, HTTP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* Kept and free for the next call; or closed, when nothing may keep it.  A stream's goes to the
 * pool, if there is room: a watch that the server ends is opened again without another handshake.
 */
static void conn_idle(struct conn *c)
{
	struct http *h = c->h;

	if (h->closing || c->made_with != h->tls ||
		(c->stream && count_pool(h) >= HTTP_POOL_CONNECTIONS)) {
		conn_close(c, false);
		return;
	}
	c->stream = false;
	c->state = IDLE;
	c->deadline = after(h, HTTP_IDLE_CLOSE_MS);
	(void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read); /* may have been paused */
	watch_deadline(h, c->deadline);
	wake_now(h);
}

/* The answer is complete.  clean: nothing came behind it. */
static void conn_complete(struct conn *c, bool clean)
{
	struct http_call *call = c->call;
	bool all_sent = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) == 0;

	c->served++;
	if (clean && c->keep && all_sent && !c->broken) {
		c->call = NULL;
		call->conn = NULL;
		conn_idle(c);
	} else {
		conn_close(c, false);
	}
	end_call(call, 0, "%s", "");
}

static bool on_head(void *ctx, const struct http1_head *head)
{
	struct conn *c = ctx;
	struct http_call *call = c->call;

	c->keep = head->keep_alive;
	if (call->ops->head != NULL)
		call->ops->head(call->ctx, head);
	return c->call == call;
}

static bool on_body(void *ctx, const char *p, size_t n)
{
	struct conn *c = ctx;
	struct http_call *call = c->call;

	if (call->ops->body != NULL)
		call->ops->body(call->ctx, p, n);
	return c->call == call;
}

static bool on_complete(void *ctx)
{
	struct conn *c = ctx;

	c->complete = true;
	return true;
}

/* What the parser made of bytes or the end. */
static void conn_judge(struct conn *c, enum http1_error e)
{
	if (c->state == CLOSING)
		return; /* cancelled by a callback */
	if (c->complete && c->call != NULL)
		conn_complete(c, e == HTTP1_OK);
	else if (e == HTTP1_TRUNCATED)
		conn_fail(c, -ECONNRESET, "%s %s", c->h->peer,
			c->heard ? http1_error_text(e) : "closed the connection without an answer");
	else if (e != HTTP1_OK)
		conn_fail(c, -EPROTO, "%s %s", c->h->peer, http1_error_text(e));
}

static void conn_plaintext(struct conn *c, const char *p, size_t n)
{
	c->heard = true;
	if (c->call != NULL)
		c->call->silent_deadline = after_or_never(c->h, c->call->silence_ms);
	conn_judge(c, http1_feed(c->parser, p, n));
}

/* No more bytes will come: e as tls_read() says, -ENODATA for a clean end. */
static void conn_ended(struct conn *c, int e)
{
	if (e == -EPROTO)
		counter_inc(c->h->counters, COUNTER_TLS_ERRORS);
	if (e == -ENODATA)
		conn_judge(c, http1_eof(c->parser));
	else
		conn_fail(c, e, "%s: %s", c->h->peer, tls_error(c->tls));
	if (c->state != CLOSING) /* it was idle, or its call has ended well */
		conn_close(c, false);
}

static bool is_readable(const struct conn *c)
{
	return c->state == IDLE || (c->state == BUSY && !c->call->paused);
}

/* A ticket may have come, or may not be due any more. */
static void wake_awaiting(struct http *h)
{
	const struct conn *c;

	DL_FOREACH (h->conns, c)
		if (c->state == AWAIT_TICKET)
			wake_now(h);
}

static void conn_read_tls(struct conn *c)
{
	char plain[16 * 1024];

	while (is_readable(c)) {
		long n = tls_read(c->tls, plain, sizeof plain);

		if (n == 0)
			break;
		if (n < 0)
			conn_ended(c, (int)n);
		else
			conn_plaintext(c, plain, (size_t)n);
	}
	if (c->state != CLOSING)
		(void)conn_flush(c);
	wake_awaiting(c->h);
}

static void conn_try_next(struct conn *c, int error);

/* What answers at this address is not our server; of a name that has others, another may be. */
static void conn_refuse(struct conn *c, int r)
{
	counter_inc(c->h->counters, COUNTER_TLS_ERRORS);
	if (c->at + 1 == c->n_addrs) {
		conn_fail(c, r, "%s: %s", c->h->peer, tls_error(c->tls));
		return;
	}
	log_debug("http", "next address", "peer", c->h->peer, "err", tls_error(c->tls), NULL);
	conn_try_next(c, r);
}

static void conn_handshake(struct conn *c)
{
	int r = tls_handshake(c->tls);
	int sent = conn_flush(c); /* an alert, too */

	if (r < 0) {
		conn_refuse(c, r);
	} else if (sent < 0) {
		conn_write_failed(c, sent);
	} else if (r == 1) {
		log_debug("http", "connected", "peer", c->h->peer, "tls", tls_version(c->tls),
			"resumed", tls_is_resumed(c->tls) ? "yes" : "no", NULL);
		conn_send(c);
	}
}

/* New ciphertext, or its end, or no pause any more. */
static void conn_step_tls(struct conn *c)
{
	if (c->state == HANDSHAKE)
		conn_handshake(c);
	if (c->state != NEXT_ADDRESS)
		conn_read_tls(c);
}

static void on_eof(struct conn *c)
{
	if (c->tls == NULL) {
		conn_ended(c, -ENODATA);
		return;
	}
	tls_feed_eof(c->tls);
	conn_step_tls(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;

	if (n == 0 || c->state == CLOSING || c->state == NEXT_ADDRESS)
		return;
	if (n == UV_EOF) {
		on_eof(c);
	} else if (n < 0 && c->state == HANDSHAKE && c->at + 1 < c->n_addrs) {
		conn_try_next(c, (int)n);
	} else if (n < 0) {
		conn_fail(c, (int)n, "%s: %s", c->h->peer, uv_strerror((int)n));
	} else if (c->tls == NULL) {
		conn_plaintext(c, buf->base, (size_t)n);
	} else if (tls_feed(c->tls, buf->base, (size_t)n) < 0) {
		conn_fail(c, -ENOMEM, "%s: out of memory", c->h->peer);
	} else {
		conn_step_tls(c);
	}
}

/* -- connections: the beginning ---------------------------------------------------------------- */

/* A peer that is gone without a word must be found, on streams that are silent by nature and on
 * writes alike.  Failing to set these costs only that. */
static void set_socket(struct conn *c)
{
	const int on = 1, idle_s = HTTP_STREAM_PROBE_S, interval_s = HTTP_STREAM_PROBE_S / 3,
		  probes = 3;
	const unsigned timeout_ms = HTTP_STREAM_PROBE_S * 1000;
	uv_os_fd_t fd;

	(void)uv_tcp_nodelay(&c->tcp, 1);
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* Is a handshake under way that will bring a ticket, if the server gives any?  In TLS 1.3 it comes
 * after the handshake, before the first answer. */
static bool is_ticket_due(const struct http *h)
{
	const struct conn *c;

	if (h->tls == NULL || tls_can_resume(h->tls, h->tls_name, h->now_ms()))
		return false;
	DL_FOREACH (h->conns, c)
		if (c->made_with == h->tls &&
			(c->state == HANDSHAKE ||
				(c->state == BUSY && c->served == 0 && !c->heard)))
			return true;
	return false;
}

static void conn_begin(struct conn *c)
{
	struct http *h = c->h;
	int r;

	r = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (r < 0) {
		conn_fail(c, r, "%s: %s", h->peer, uv_strerror(r));
		return;
	}
	c->made_with = h->tls;
	if (h->tls == NULL) {
		conn_send(c);
		return;
	}
	c->tls = tls_new(h->tls, h->tls_name, h->now_ms());
	c->state = HANDSHAKE;
	if (c->tls != NULL)
		conn_step_tls(c);
	else
		conn_fail(c, -ENOMEM, "%s: a TLS session cannot be made", h->peer);
}

/* A start opens several connections at once: one full handshake and some resumed ones are much less
 * work than as many full ones. */
static void conn_connected(struct conn *c)
{
	struct http *h = c->h;

	set_socket(c);
	if (!is_ticket_due(h)) {
		conn_begin(c);
		return;
	}
	c->state = AWAIT_TICKET;
	c->ticket_deadline = after(h, HTTP_TICKET_WAIT_MS);
	watch_deadline(h, c->ticket_deadline);
}

static void conn_try_next(struct conn *c, int error)
{
	tls_free(c->tls);
	c->tls = NULL;
	c->last_error = error;
	c->at++;
	c->state = NEXT_ADDRESS;
	uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct conn *c = req->data;

	if (c->state != CONNECTING)
		return; /* its handle is being closed */
	if (status < 0)
		conn_try_next(c, status);
	else
		conn_connected(c);
}

/* Each address gets its share of the time that is left, so that a silent first one does not use up
 * what the others need. */
static void conn_try(struct conn *c)
{
	struct http *h = c->h;
	uint64_t now = h->now_ms();
	uint64_t left = c->deadline > now ? c->deadline - now : 0;
	int r;

	if (c->at >= c->n_addrs) {
		conn_fail(
			c, c->last_error, "connect to %s: %s", h->peer, uv_strerror(c->last_error));
		return;
	}
	c->attempt_deadline = now + left / (c->n_addrs - c->at);
	watch_deadline(h, c->attempt_deadline);
	r = uv_tcp_init(h->loop, &c->tcp);
	if (r < 0) {
		conn_fail(c, r, "connect to %s: %s", h->peer, uv_strerror(r));
		return;
	}
	c->tcp.data = c;
	c->tcp_open = true;
	c->connect.data = c;
	c->state = CONNECTING;
	r = uv_tcp_connect(&c->connect, &c->tcp, &c->addr[c->at].sa, on_connect);
	if (r < 0)
		conn_try_next(c, r);
}

/* Room for one more that is an IPv4 or IPv6 address; else it is left out. */
static void add_address(struct conn *c, const struct sockaddr *sa)
{
	union sockaddr_any *to = &c->addr[c->n_addrs];

	if (c->n_addrs == HTTP_MAX_ADDRESSES)
		return;
	if (sa->sa_family == AF_INET) {
		memcpy(&to->in, sa, sizeof to->in);
		to->in.sin_port = htons(c->h->port);
		c->n_addrs++;
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&to->in6, sa, sizeof to->in6);
		to->in6.sin6_port = htons(c->h->port);
		c->n_addrs++;
	}
}

static bool same_address(const union sockaddr_any *a, const union sockaddr_any *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
}

/* The one that was reached last comes first: a dead one before it would cost each new connection
 * the time that a short request has in all. */
static void prefer_good(struct conn *c)
{
	for (size_t i = 1; i < c->n_addrs; i++) {
		union sockaddr_any a = c->addr[i];

		if (!same_address(&a, &c->h->good))
			continue;
		memmove(&c->addr[1], &c->addr[0], i * sizeof c->addr[0]);
		c->addr[0] = a;
		return;
	}
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct conn *c = req->data;

	c->resolving = false;
	if (c->state == CLOSING) {
		wake_now(c->h);
	} else if (status < 0) {
		conn_fail(
			c, -EHOSTUNREACH, "cannot resolve %s: %s", c->h->host, uv_strerror(status));
	} else {
		c->last_error = -EHOSTUNREACH;
		for (const struct addrinfo *ai = res; ai != NULL; ai = ai->ai_next)
			add_address(c, ai->ai_addr);
		prefer_good(c);
		conn_try(c);
	}
	uv_freeaddrinfo(res);
}

/* An IP address needs no resolver, and must not wait for its threads. */
static void conn_resolve(struct conn *c)
{
	static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct http *h = c->h;
	union sockaddr_any literal;
	int r;

	if (uv_ip4_addr(h->host, h->port, &literal.in) == 0 ||
		uv_ip6_addr(h->host, h->port, &literal.in6) == 0) {
		add_address(c, &literal.sa);
		conn_try(c);
		return;
	}
	c->resolve.data = c;
	r = uv_getaddrinfo(h->loop, &c->resolve, on_resolved, h->host, NULL, &hints);
	if (r < 0)
		conn_fail(c, r, "cannot resolve %s: %s", h->host, uv_strerror(r));
	else
		c->resolving = true;
}

/* A new connection for call; what goes wrong ends the call. */
static void conn_open(struct http *h, struct http_call *call)
{
	static const struct http1_ops ops = {on_head, on_body, on_complete};
	struct conn *c = calloc(1, sizeof *c);
	struct http1 *parser = c != NULL ? http1_new(&ops, c) : NULL;

	if (parser == NULL) {
		free(c);
		end_call(call, -ENOMEM, "out of memory");
		return;
	}
	c->parser = parser;
	c->h = h;
	c->call = call;
	c->stream = call->stream;
	c->state = RESOLVING;
	c->deadline = after(h, h->connect_timeout_ms);
	call->conn = c;
	DL_APPEND(h->conns, c);
	watch_deadline(h, c->deadline);
	conn_resolve(c);
}

/* -- the turn ---------------------------------------------------------------------------------- */

static const char *doing(enum conn_state s)
{
	if (s == RESOLVING)
		return "resolving the name";
	return s == HANDSHAKE || s == AWAIT_TICKET ? "the TLS handshake" : "connecting";
}

static uint64_t conn_deadline(const struct conn *c)
{
	uint64_t call = c->call != NULL ? call_deadline(c->call) : TIME_NEVER;

	switch (c->state) {
	case AWAIT_TICKET:
		return time_min(time_min(call, c->ticket_deadline),
			time_min(c->deadline, c->attempt_deadline));
	case CONNECTING:
	case HANDSHAKE:
		return time_min(time_min(call, c->deadline), c->attempt_deadline);
	case RESOLVING:
	case NEXT_ADDRESS:
	case IDLE:
		return time_min(call, c->deadline);
	case BUSY:
		return call;
	case CLOSING:
		break;
	}
	return TIME_NEVER;
}

/* A server that left a call without an answer may have left the kept connections, too: they all go
 * by the same way, and nothing on them would tell. */
static void drop_idle(struct http *h)
{
	struct conn *c;

	DL_FOREACH (h->conns, c)
		if (c->state == IDLE)
			conn_close(c, false);
}

static void conn_expire(struct conn *c, uint64_t now)
{
	struct http_call *call = c->call;

	if (now < conn_deadline(c))
		return;
	if (call != NULL && now >= call_deadline(call)) {
		if (call->sent)
			drop_idle(c->h);
		conn_close(c, call->sent);
		end_late(call);
	} else if (c->state == IDLE) {
		conn_close(c, false);
	} else if (now >= c->deadline) {
		conn_fail(c, -ETIMEDOUT, "%s: timed out after %llu ms in %s", c->h->peer,
			(unsigned long long)c->h->connect_timeout_ms, doing(c->state));
	} else if (c->state == AWAIT_TICKET && now < c->attempt_deadline) {
		conn_begin(c);
	} else {
		conn_try_next(c, -ETIMEDOUT);
	}
}

/* Ends what is late. */
static void expire(struct http *h)
{
	uint64_t now = h->now_ms();
	struct http_call *call, *tmp;
	struct conn *c;

	if (now < h->next_deadline)
		return;
	DL_FOREACH_SAFE (h->queue, call, tmp) {
		if (now < call_deadline(call))
			continue;
		dequeue(call);
		end_late(call);
	}
	DL_FOREACH (h->conns, c)
		conn_expire(c, now);
}

/* Of what is left: a deadline of a call that has ended must wake nobody. */
static uint64_t find_deadline(const struct http *h)
{
	const struct http_call *call;
	const struct conn *c;
	uint64_t next = TIME_NEVER;

	DL_FOREACH (h->queue, call)
		next = time_min(next, call_deadline(call));
	/* The analyzer does not see that reap() took what it freed off the list (utlist). */
	DL_FOREACH (h->conns, c) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		next = time_min(next, conn_deadline(c));
	return next;
}

/* All at once: if no ticket came, none will come by waiting in a row. */
static void begin_awaiting(struct http *h)
{
	const bool due = is_ticket_due(h);
	struct conn *c;

	DL_FOREACH (h->conns, c)
		if (c->state == AWAIT_TICKET && !due)
			conn_begin(c);
}

static void resume(struct http *h)
{
	struct conn *c;

	DL_FOREACH (h->conns, c) {
		if (!c->resume || c->state != BUSY || c->call->paused)
			continue;
		c->resume = false;
		(void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
		if (c->tls != NULL)
			conn_step_tls(c);
	}
}

/* The one used last: the others grow old and are closed.  Only one that was heard of in the last
 * fresh_ms. */
static struct conn *find_idle(struct http *h, uint64_t fresh_ms)
{
	const uint64_t not_before = h->now_ms() + HTTP_IDLE_CLOSE_MS - fresh_ms;
	struct conn *c, *best = NULL;

	DL_FOREACH (h->conns, c)
		if (c->state == IDLE && c->deadline >= not_before &&
			(best == NULL || c->deadline > best->deadline))
			best = c;
	return best;
}

static void use_idle(struct conn *c, struct http_call *call)
{
	c->call = call;
	call->conn = c;
	conn_send(c);
}

/* An idle connection leaves the pool for the stream: what was just listed is watched without
 * another TLS handshake.  But not an old one, which may be dead without a sign. */
static void start_stream(struct http *h, struct http_call *call)
{
	struct conn *c = find_idle(h, HTTP_FRESH_MS);

	if (c == NULL) {
		conn_open(h, call);
		return;
	}
	c->stream = true;
	use_idle(c, call);
}

static void dispatch(struct http *h)
{
	while (h->queue != NULL && !h->closing) {
		struct http_call *call = h->queue;
		struct conn *c = find_idle(h, HTTP_IDLE_CLOSE_MS);

		if (c == NULL && count_pool(h) >= HTTP_POOL_CONNECTIONS)
			return;
		dequeue(call);
		if (c == NULL)
			conn_open(h, call);
		else
			use_idle(c, call);
	}
}

static void deliver(struct http *h)
{
	while (h->ended != NULL) {
		struct http_call *call = h->ended;

		DL_DELETE(h->ended, call);
		h->n_calls--;
		h->n_streams -= call->stream;
		call->ops->done(call->ctx, call->result, call->sent, call->err);
		free_call(call);
	}
}

static void reap(struct http *h)
{
	struct conn *c, *tmp;

	DL_FOREACH_SAFE (h->conns, c, tmp)
		if (c->state == CLOSING && !c->tcp_open && !c->resolving)
			conn_free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct http *h = handle->data;
	void (*closed)(void *) = h->closed;
	void *ctx = h->closed_ctx;

	tls_conf_unref(h->tls);
	free(h->host);
	free(h->tls_name);
	free(h->read_buf);
	free(h);
	closed(ctx);
}

/* All that is not the direct answer to an event happens here. */
static void turn(struct http *h)
{
	expire(h);
	begin_awaiting(h);
	resume(h);
	dispatch(h);
	deliver(h);
	reap(h);
	h->next_deadline = find_deadline(h);
	if (h->closing && h->conns == NULL && h->ended == NULL)
		uv_close((uv_handle_t *)&h->timer, on_timer_closed);
	else
		wake(h, h->next_deadline);
}

static void on_timer(uv_timer_t *timer)
{
	struct http *h = timer->data;

	h->wake_at = TIME_NEVER;
	turn(h);
}

/* -- the interface ----------------------------------------------------------------------------- */

struct http *http_new(uv_loop_t *loop, const struct http_conf *conf, struct counters *counters)
{
	struct http *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->host = strdup(conf->host);
	h->tls_name = strdup(conf->tls_name != NULL ? conf->tls_name : conf->host);
	h->read_buf = malloc(HTTP_READ_BYTES);
	h->timer.data = h;
	if (h->host == NULL || h->tls_name == NULL || h->read_buf == NULL ||
		uv_timer_init(loop, &h->timer) != 0) {
		free(h->host);
		free(h->tls_name);
		free(h->read_buf);
		free(h);
		return NULL;
	}
	h->loop = loop;
	h->wake_at = h->next_deadline = TIME_NEVER;
	h->now_ms = conf->now_ms;
	h->counters = counters;
	h->port = conf->port;
	h->connect_timeout_ms =
		conf->connect_timeout_ms != 0 ? conf->connect_timeout_ms : HTTP_CONNECT_TIMEOUT_MS;
	h->tls = conf->tls != NULL ? tls_conf_ref(conf->tls) : NULL;
	(void)snprintf(h->peer, sizeof h->peer, strchr(h->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
		h->host, h->port);
	return h;
}

void http_close(struct http *h, void (*closed)(void *ctx), void *ctx)
{
	struct http_call *call, *tmp;
	struct conn *c;

	REQUIRE(!h->closing);
	h->closing = true;
	h->closed = closed;
	h->closed_ctx = ctx;
	DL_FOREACH_SAFE (h->queue, call, tmp)
		http_cancel(call);
	DL_FOREACH (h->conns, c) {
		if (c->call != NULL)
			http_cancel(c->call);
		conn_close(c, false);
	}
	wake_now(h);
}

void http_set_tls(struct http *h, struct tls_conf *tls)
{
	struct tls_conf *old = h->tls;
	struct conn *c;

	h->tls = tls != NULL ? tls_conf_ref(tls) : NULL;
	tls_conf_unref(old);
	DL_FOREACH (h->conns, c)
		if (c->state == IDLE && c->made_with != h->tls)
			conn_close(c, false);
}

/* The request as text; NULL and *ret_e when it cannot be made. */
static struct http_call *new_call(struct http *h, const struct http_request *req, int *ret_e)
{
	struct http_call *call;

	*ret_e = -EINVAL;
	if (!http1_request_ok(&req->r))
		return NULL;
	*ret_e = -ENOMEM;
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return NULL;
	call->h = h;
	call->not_after_ms = req->not_after_ms;
	call->timeout_ms = req->timeout_ms;
	call->silence_ms = req->silence_ms;
	call->deadline = after_or_never(h, call->timeout_ms);
	call->silent_deadline = TIME_NEVER;
	call->stream = req->stream;
	call->is_get = strcmp(req->r.method, "GET") == 0;
	call->is_head = strcmp(req->r.method, "HEAD") == 0;
	buf_init(&call->text, HTTP_MAX_REQUEST);
	http1_print(&req->r, &call->text);
	if (!call->text.bad)
		return call;
	free_call(call);
	return NULL;
}

int http_start(struct http *h, const struct http_request *req, const struct http_ops *ops,
	void *ctx, struct http_call **ret_call)
{
	struct http_call *call;
	int e;

	if (h->closing)
		return -EINVAL;
	if (req->stream ? h->n_streams >= HTTP_MAX_STREAMS : h->n_queue >= HTTP_MAX_QUEUE)
		return -EAGAIN;
	call = new_call(h, req, &e);
	if (call == NULL)
		return e;
	call->ops = ops;
	call->ctx = ctx;
	h->n_calls++;
	h->n_streams += call->stream;
	watch_deadline(h, call_deadline(call));
	*ret_call = call;
	if (call->stream)
		start_stream(h, call);
	else
		enqueue(call);
	return 0;
}

void http_cancel(struct http_call *call)
{
	if (call->ended) { /* done() is due */
		call->result = -ECANCELED;
		(void)snprintf(call->err, sizeof call->err, "cancelled");
		return;
	}
	if (call->conn != NULL)
		conn_close(call->conn, call->sent);
	else
		dequeue(call);
	end_call(call, -ECANCELED, "cancelled");
}

void http_pause(struct http_call *call, bool paused)
{
	struct conn *c = call->conn;

	if (call->paused == paused)
		return;
	call->paused = paused;
	if (c == NULL || c->state != BUSY)
		return;
	if (paused) {
		(void)uv_read_stop((uv_stream_t *)&c->tcp);
	} else {
		c->resume = true;
		begin_silence(call);
		wake_now(c->h);
	}
}

/* NULL: plain, or not yet. */
static const struct tls *tls_of(const struct http_call *call)
{
	const struct conn *c = call->conn;

	return c != NULL && c->state == BUSY ? c->tls : NULL;
}

const char *http_tls_version(const struct http_call *call)
{
	const struct tls *t = tls_of(call);

	return t != NULL ? tls_version(t) : "";
}

bool http_tls_resumed(const struct http_call *call)
{
	const struct tls *t = tls_of(call);

	return t != NULL && tls_is_resumed(t);
}

size_t http_in_flight(const struct http *h)
{
	return h->n_calls;
}
