/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c - connections: TLS, HTTP framing, faults on the wire, watches' pace.
 *
 * Owns: sockets, connections and their buffers, the epoll.
 * In:   bytes.  Out: requests to rest.c, discover.c, admin.c; their answers as bytes.
 * A connection serves one request at a time; what is pipelined waits in its input buffer. A watch
 * takes the connection over and is fed from its collection's ring while less than BACKLOG bytes
 * wait to be sent, so that a slow client costs no memory and is dropped when the ring passes it.
 */
#include "server.h"

#include "stream.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	READ_CHUNK = 64 * 1024,
	IN_MAX = WIRE_HEAD_MAX + WIRE_BODY_MAX + WIRE_BODY_MAX / 4,
	WRITE_MAX = 1024 * 1024, /* in one turn, so that others get theirs */
	BACKLOG = 256 * 1024,
	EVENTS_MAX = 256,
	FROZEN_FOR_EVER = -1, /* half-open: no fault's end brings it back */
};

/* What an epoll entry points at. */
enum source { SOURCE_CONN, SOURCE_LISTEN, SOURCE_SIGNAL };

struct listener {
	enum source source;
	int fd;
	bool local;
	char *path; /* owned; of a unix socket */
	struct listener *next;
};

struct conn {
	enum source source;
	int fd;
	SSL *ssl; /* owned; NULL on the control socket */
	bool local, handshaken, dead;
	struct text in, out;
	size_t out_at;         /* bytes of out already sent */
	uint32_t interest;     /* as epoll knows it */
	const char *cert_user; /* interned; NULL: no client certificate */
	bool cert_admin;
	int frozen;   /* fault id, FROZEN_FOR_EVER, 0 */
	bool busy;    /* an answer is under way */
	bool mute;    /* a watch that must not say anything more */
	bool swallow; /* drop: never answer this request */
	bool close_after, reset_after;
	bool faults_met;    /* the held request was through them already */
	uint64_t send_at;   /* output waits until then */
	uint64_t resume_at; /* the request in the buffer waits until then */
	uint64_t drip_ms, drip_at;
	struct stream *stream; /* owned */
	bool keep_alive;
	const char *user, *verb; /* of the request under way, or the last one */
	char *path;              /* owned */
	char resource[160];
	struct conn *prev, *next;
};

struct server {
	struct sim *sim; /* borrowed */
	int epoll, signals;
	SSL_CTX *tls; /* owned */
	struct listener *listeners;
	struct conn *conns;
	size_t nconns;
	uint64_t now_ms;
	uint64_t wake_at; /* no connection has anything due before */
	bool stop;
};

/* -- connections -- */

static void arm(struct server *srv, struct conn *c)
{
	uint32_t want = EPOLLRDHUP;
	struct epoll_event ev = {.data.ptr = c};

	if (!c->frozen) {
		if (c->in.n < IN_MAX)
			want |= EPOLLIN;
		if (c->out.n > c->out_at && !c->drip_ms && c->send_at <= srv->now_ms)
			want |= EPOLLOUT;
	}
	if (want == c->interest)
		return;
	ev.events = want;
	c->interest = want;
	(void)epoll_ctl(srv->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void wake_by(struct server *srv, uint64_t when)
{
	if (when < srv->wake_at)
		srv->wake_at = when;
}

static void end_stream(struct server *srv, struct conn *c)
{
	if (!c->stream)
		return;
	stream_free(c->stream);
	c->stream = NULL;
	stats_user(&srv->sim->stats, c->user)->watch_open--;
}

/* Marks it; it is freed at the end of the turn, when nobody holds a pointer to it any more. */
static void conn_close(struct server *srv, struct conn *c, bool reset)
{
	const struct linger linger = {.l_onoff = 1};

	if (c->dead)
		return;
	c->dead = true;
	if (reset)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	end_stream(srv, c);
	(void)epoll_ctl(srv->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	wake_by(srv, 0);
}

static void conn_free(struct server *srv, struct conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		srv->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	srv->nconns--;
	SSL_free(c->ssl);
	(void)close(c->fd);
	text_free(&c->in);
	text_free(&c->out);
	free(c->path);
	free(c);
}

static void conn_new(struct server *srv, int fd, bool local)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
	int one = 1;

	*c = (struct conn){.source = SOURCE_CONN,
		.fd = fd,
		.local = local,
		.handshaken = local,
		.interest = ev.events,
		.user = "",
		.verb = "",
		.path = xstrdup("")};
	if (!local) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->ssl = srv->tls ? SSL_new(srv->tls) : NULL;
		if (c->ssl) {
			SSL_set_fd(c->ssl, fd);
			SSL_set_accept_state(c->ssl);
		}
	}
	c->next = srv->conns;
	if (srv->conns)
		srv->conns->prev = c;
	srv->conns = c;
	srv->nconns++;
	if (epoll_ctl(srv->epoll, EPOLL_CTL_ADD, fd, &ev) || (!local && !c->ssl))
		conn_close(srv, c, true);
	for (size_t i = 0; !local && i < srv->sim->faults.n; i++) {
		const struct fault *f = srv->sim->faults.v[i];

		/* a stopped process: the kernel accepts, nobody answers */
		if (f->kind == FAULT_FREEZE && !f->match.user && !f->match.path && !f->match.verb) {
			c->frozen = (int)f->id;
			arm(srv, c);
		}
	}
}

static void accept_all(struct server *srv, const struct listener *l)
{
	for (;;) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (srv->nconns >= CONNS_MAX)
			(void)close(fd);
		else
			conn_new(srv, fd, l->local);
	}
}

/* -- sending -- */

static long raw_write(struct conn *c, const char *p, size_t n)
{
	int got;

	if (!c->ssl) {
		ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);

		return w < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : w;
	}
	ERR_clear_error();
	got = SSL_write(c->ssl, p, n > (1u << 30) ? 1 << 30 : (int)n);
	if (got > 0)
		return got;
	got = SSL_get_error(c->ssl, got);
	return got == SSL_ERROR_WANT_READ || got == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void drip(struct server *srv, struct conn *c)
{
	long w;

	if (srv->now_ms < c->drip_at)
		return;
	w = raw_write(c, c->out.p + c->out_at, 1);
	if (w < 0) {
		conn_close(srv, c, false);
		return;
	}
	c->out_at += (size_t)w;
	c->drip_at = srv->now_ms + c->drip_ms;
}

static void out_done(struct server *srv, struct conn *c)
{
	text_clear(&c->out);
	c->out_at = 0;
	if (c->out.cap > BACKLOG)
		text_free(&c->out);
	if (c->close_after)
		conn_close(srv, c, c->reset_after);
	if (c->stream || c->swallow)
		return;
	c->drip_ms = 0;
	c->busy = false;
}

static void flush(struct server *srv, struct conn *c)
{
	size_t sent = 0;

	if (c->dead || c->frozen || !c->handshaken || c->send_at > srv->now_ms)
		return;
	while (c->out_at < c->out.n && sent < WRITE_MAX && !c->drip_ms) {
		long w = raw_write(c, c->out.p + c->out_at, c->out.n - c->out_at);

		if (w < 0) {
			conn_close(srv, c, false);
			return;
		}
		if (!w)
			break;
		c->out_at += (size_t)w;
		sent += (size_t)w;
	}
	if (c->out_at < c->out.n && c->drip_ms)
		drip(srv, c);
	if (c->out.n && c->out_at == c->out.n)
		out_done(srv, c);
	else if (c->out_at > BACKLOG) {
		text_drop(&c->out, c->out_at);
		c->out_at = 0;
	}
}

/* -- answers -- */

static void count_out(struct server *srv, const struct conn *c, size_t n)
{
	stats_count(&srv->sim->stats, c->user, c->verb, c->resource)->bytes_out += n;
	stats_user(&srv->sim->stats, c->user)->bytes_out += n;
}

static void add_date(struct conn *c, long skew_s)
{
	time_t now = time(NULL) + skew_s;
	char text[40];
	struct tm tm;

	if (gmtime_r(&now, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		text_fmt(&c->out, "Date: %s\r\n", text);
}

static void add_head(struct server *srv, struct conn *c, const struct answer *a, bool chunked)
{
	text_fmt(&c->out,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
		"Cache-Control: no-cache, private\r\n",
		a->status, wire_phrase(a->status), a->type);
	add_date(c, srv->sim->clock_skew_s);
	if (a->headers.n)
		text_add(&c->out, a->headers.p, a->headers.n);
	if (c->close_after)
		text_str(&c->out, "Connection: close\r\n");
	if (chunked)
		text_str(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
	else
		text_fmt(&c->out, "Content-Length: %zu\r\n\r\n", a->body.n);
}

static void add_chunk(struct conn *c, const struct text *t)
{
	if (!t->n)
		return;
	text_fmt(&c->out, "%zx\r\n", t->n);
	text_add(&c->out, t->p, t->n);
	text_str(&c->out, "\r\n");
}

/* The answer into the output; a stream goes over to the connection. */
static void send_answer(struct server *srv, struct conn *c, struct answer *a)
{
	size_t before = c->out.n;
	uint64_t delay = a->delay_ms + (c->local ? 0 : srv->sim->options.latency_ms);
	struct stats_count *row;

	c->busy = true;
	add_head(srv, c, a, a->stream != NULL);
	if (a->stream) {
		add_chunk(c, &a->body);
		c->stream = a->stream;
		a->stream = NULL;
		stats_user(&srv->sim->stats, c->user)->watch_open++;
		wake_by(srv, 0);
	} else {
		text_add(&c->out, a->body.p ? a->body.p : "", a->body.n);
	}
	row = stats_count(&srv->sim->stats, c->user, c->verb, c->resource);
	row->codes[a->status / 100 < 6 ? a->status / 100 : 0]++;
	count_out(srv, c, c->out.n - before);
	if (delay) {
		c->send_at = srv->now_ms + delay;
		wake_by(srv, c->send_at);
	}
	if (srv->sim->options.verbose)
		(void)fprintf(
			stderr, "kubesim: %s %s %s %d\n", c->user, c->verb, c->path, a->status);
}

static void run(
	struct server *srv, const struct request *r, const struct route *to, struct answer *a)
{
	switch (to->what) {
	case ROUTE_RESOURCE:
		rest_handle(srv->sim, r, to, a);
		break;
	case ROUTE_INFO:
		info_handle(srv->sim, r, a);
		break;
	case ROUTE_ADMIN:
		admin_handle(srv->sim, r, a);
		break;
	case ROUTE_NONE:
		answer_error(a, 404, NULL, "the server could not find the requested resource");
		break;
	}
}

/* -- faults -- */

static void fault_status(struct fault *f, const struct route *to, struct answer *a)
{
	/* too old a version is said inside a watch's stream */
	if (f->code == 410 && !strcmp(to->verb, "watch")) {
		struct text t = {0};

		status_text(&t, 410, "Expired", "too old resource version: 1 (2)", NULL);
		a->status = 200;
		a->type = "application/json";
		text_fmt(&a->body, "{\"type\":\"ERROR\",\"object\":%s}\n", t.p);
		text_free(&t);
		return;
	}
	answer_error(a, f->code, NULL, "kubesim: a fault was asked for");
	if (f->code == 429 || f->code == 503)
		text_fmt(
			&a->headers, "Retry-After: %llu\r\n", (unsigned long long)f->retry_after_s);
}

static void fault_oversize(const struct fault *f, const struct route *to, struct answer *a)
{
	a->status = 200;
	a->type = "application/json";
	text_fmt(&a->body,
		"{\"kind\":\"%sList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
		"\"1\"},\"items\":[{\"metadata\":{\"name\":\"big\",\"annotations\":{\"big\":\"",
		to->kind ? to->kind->kind : "");
	text_need(&a->body, f->bytes);
	memset(a->body.p + a->body.n, 'x', f->bytes);
	a->body.n += f->bytes;
	text_str(&a->body, "\"}}}]}\n");
}

static void raw_answer(struct conn *c, const char *p)
{
	text_str(&c->out, p);
	c->busy = true;
	c->close_after = true;
}

static void cut_answer(struct conn *c, size_t before)
{
	size_t len = c->out.n - before;

	text_need(&c->out, 0);
	c->out.n = before + len / 2 + (len > 1);
	c->out.p[c->out.n] = '\0';
	c->close_after = true;
}

static void slow_down(struct server *srv, struct conn *c, const struct fault *f)
{
	c->drip_ms = f->delay_ms ? f->delay_ms : 1;
	c->drip_at = srv->now_ms;
	wake_by(srv, srv->now_ms);
}

/* True: the request is answered, or never will be. */
static bool fault_instead(struct server *srv, struct conn *c, struct fault *f, struct answer *a,
	const struct route *to)
{
	switch (f->kind) {
	case FAULT_DROP:
		c->busy = c->swallow = true;
		return true;
	case FAULT_HALF_OPEN:
		c->frozen = FROZEN_FOR_EVER;
		return true;
	case FAULT_FREEZE:
		c->frozen = (int)f->id;
		return true;
	case FAULT_CLOSE:
		conn_close(srv, c, f->reset);
		return true;
	case FAULT_GARBAGE_HTTP:
		raw_answer(c, f->body ? f->body : "\x16\x03\x01 HTTP/9.9 banana\r\n: \r\n\r\n\x80");
		return true;
	case FAULT_STATUS:
		fault_status(f, to, a);
		break;
	case FAULT_GARBAGE:
		a->status = 200;
		a->type = "application/json";
		text_fmt(&a->body, "%s\n", fault_garbage(f));
		break;
	case FAULT_OVERSIZE:
		fault_oversize(f, to, a);
		break;
	case FAULT_DELAY:
	case FAULT_SLOW:
	case FAULT_TRUNCATE:
	case FAULT_LOST_ANSWER:
	case FAULT_MUTE:
	case FAULT_STALE_LIST:
	case FAULT_CUT:
	case FAULT_COMPACT:
		return false;
	}
	send_answer(srv, c, a);
	return true;
}

static void fault_after(struct server *srv, struct conn *c, struct fault *f, size_t before)
{
	if (f->kind == FAULT_LOST_ANSWER) {
		conn_close(srv, c, f->reset);
	} else if (f->kind == FAULT_TRUNCATE) {
		end_stream(srv, c);
		cut_answer(c, before);
	} else if (f->kind == FAULT_SLOW) {
		slow_down(srv, c, f);
	} else if (f->kind == FAULT_MUTE && c->stream) {
		stream_mute(c->stream);
	}
}

/* The request goes through the faults. True: it waits in the buffer for its time. */
static bool meet_faults(
	struct server *srv, struct conn *c, struct request *r, const struct route *to)
{
	struct fault *f = NULL;
	struct answer a = {0};
	size_t before = c->out.n;

	if (to->what != ROUTE_ADMIN && !c->local && !c->faults_met)
		f = fault_meet(&srv->sim->faults, to->verb, r->path, r->user);
	c->faults_met = false;
	if (f && f->kind == FAULT_DELAY && f->before) {
		c->resume_at = srv->now_ms + f->delay_ms;
		c->busy = c->faults_met = true;
		wake_by(srv, c->resume_at);
		return true;
	}
	if (!f || !fault_instead(srv, c, f, &a, to)) {
		r->stale_rv = f && f->kind == FAULT_STALE_LIST ? f->rv : 0;
		if (f && f->kind == FAULT_DELAY)
			a.delay_ms = f->delay_ms;
		run(srv, r, to, &a);
		send_answer(srv, c, &a);
		if (f)
			fault_after(srv, c, f, before);
	}
	answer_free(&a);
	return false;
}

/* -- requests -- */

static void identify(struct server *srv, const struct conn *c, struct request *r)
{
	r->local = c->local;
	if (c->local && !*r->authorization)
		r->user = auth_intern(&srv->sim->auth, "admin");
	else if (*r->authorization)
		r->user = auth_by_header(&srv->sim->auth, r->authorization);
	else
		r->user = c->cert_user;
	r->admin = c->local || (r->user && !strcmp(r->user, "admin")) ||
		   (r->user && r->user == c->cert_user && c->cert_admin);
}

static void remember(struct conn *c, const struct request *r, const struct route *to)
{
	free(c->path);
	c->path = xstrdup(r->path);
	c->user = r->user;
	c->verb = to->verb;
	memcpy(c->resource, to->resource, sizeof(c->resource));
}

static void count_in(struct server *srv, const struct conn *c, size_t n)
{
	struct stats_count *row = stats_count(&srv->sim->stats, c->user, c->verb, c->resource);

	row->n++;
	row->bytes_in += n;
	row->last_ns = mono_ns();
	stats_user(&srv->sim->stats, c->user)->bytes_in += n;
}

/* True: it stays in the buffer. */
static bool serve(struct server *srv, struct conn *c, struct request *r, const struct wire *w)
{
	struct answer a = {0};
	struct route to;
	const char *user;
	bool held = false;

	identify(srv, c, r);
	route_find(&srv->sim->kinds, r, &to);
	user = r->user;
	if (!user)
		r->user = auth_intern(&srv->sim->auth, "system:anonymous");
	if (!c->faults_met) {
		remember(c, r, &to);
		count_in(srv, c, w->used);
	}
	c->close_after = !w->keep_alive;
	if (!user) {
		answer_error(&a, 401, NULL, "Unauthorized");
		send_answer(srv, c, &a);
	} else if (to.what == ROUTE_ADMIN && !r->admin) {
		answer_error(&a, 403, NULL, "/kubesim/ is for admins");
		send_answer(srv, c, &a);
	} else {
		held = meet_faults(srv, c, r, &to);
	}
	answer_free(&a);
	route_free(&to);
	return held;
}

static void refuse(struct server *srv, struct conn *c, int code)
{
	struct answer a = {0};

	c->user = auth_intern(&srv->sim->auth, "system:anonymous");
	c->verb = "other";
	(void)snprintf(c->resource, sizeof(c->resource), "bad request");
	answer_error(&a, code, NULL, "the request could not be understood");
	c->close_after = true;
	text_clear(&c->in);
	send_answer(srv, c, &a);
	answer_free(&a);
}

/* Serve what is in the input buffer, one after the other. */
static void process(struct server *srv, struct conn *c)
{
	while (!c->busy && !c->dead && !c->frozen && c->in.n) {
		struct request r;
		struct wire w;
		int got = wire_parse(c->in.p, c->in.n, &r, &w);

		if (got == 0) {
			if (w.expects && c->out.n == 0)
				text_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
			if (w.expects)
				flush(srv, c);
			return;
		}
		if (got != 1) {
			refuse(srv, c, got);
			flush(srv, c);
			return;
		}
		if (!serve(srv, c, &r, &w))
			text_drop(&c->in, w.used);
		request_free(&r);
		flush(srv, c);
	}
}

/* -- receiving -- */

static void peer_identity(struct server *srv, struct conn *c)
{
	X509 *crt = SSL_get1_peer_certificate(c->ssl);
	char cn[256] = "", org[256] = "";
	X509_NAME *name;

	if (!crt)
		return;
	name = X509_get_subject_name(crt);
	(void)X509_NAME_get_text_by_NID(name, NID_commonName, cn, sizeof(cn));
	(void)X509_NAME_get_text_by_NID(name, NID_organizationName, org, sizeof(org));
	if (SSL_get_verify_result(c->ssl) == X509_V_OK && *cn) {
		c->cert_user = auth_intern(&srv->sim->auth, cn);
		c->cert_admin = !strcmp(org, "system:masters");
	}
	X509_free(crt);
}

/* False: not done, or over. */
static bool handshake(struct server *srv, struct conn *c)
{
	int got;

	if (c->handshaken)
		return true;
	ERR_clear_error();
	got = SSL_accept(c->ssl);
	if (got == 1) {
		c->handshaken = true;
		peer_identity(srv, c);
		return true;
	}
	got = SSL_get_error(c->ssl, got);
	if (got != SSL_ERROR_WANT_READ && got != SSL_ERROR_WANT_WRITE)
		conn_close(srv, c, false);
	return false;
}

static long raw_read(struct conn *c, char *p, size_t n)
{
	int got;

	if (!c->ssl) {
		ssize_t r = recv(c->fd, p, n, 0);

		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return r > 0 ? r : -1;
	}
	ERR_clear_error();
	got = SSL_read(c->ssl, p, (int)n);
	if (got > 0)
		return got;
	got = SSL_get_error(c->ssl, got);
	return got == SSL_ERROR_WANT_READ || got == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void receive(struct server *srv, struct conn *c)
{
	for (int turns = 0; turns < 16 && c->in.n < IN_MAX; turns++) {
		long n;

		text_need(&c->in, READ_CHUNK);
		n = raw_read(c, c->in.p + c->in.n, READ_CHUNK);
		if (n < 0) {
			conn_close(srv, c, false);
			return;
		}
		if (!n)
			break;
		c->in.n += (size_t)n;
		c->in.p[c->in.n] = '\0';
	}
	/* a client has nothing to say while a watch runs */
	if (c->stream && c->in.n > WIRE_HEAD_MAX)
		conn_close(srv, c, false);
}

static void conn_event(struct server *srv, struct conn *c, uint32_t events)
{
	if (c->dead)
		return;
	if (c->frozen) {
		if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			conn_close(srv, c, false);
		return;
	}
	if (c->in.n >= IN_MAX && events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
		conn_close(srv, c, false);
		return;
	}
	if (!handshake(srv, c))
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		receive(srv, c);
	flush(srv, c);
	process(srv, c);
	if (!c->dead)
		arm(srv, c);
}

/* -- time -- */

static void pump(struct server *srv, struct conn *c)
{
	bool more = true;

	while (c->stream && more && !c->mute && c->out.n - c->out_at < BACKLOG &&
		(stream_has_news(c->stream) || stream_deadline(c->stream) <= srv->now_ms)) {
		struct text t = {0};
		size_t before = c->out.n;

		more = stream_pump(c->stream, srv->now_ms, READ_CHUNK, &t);
		add_chunk(c, &t);
		text_free(&t);
		count_out(srv, c, c->out.n - before);
		flush(srv, c);
		if (c->dead)
			return;
	}
	if (more)
		return;
	end_stream(srv, c);
	text_str(&c->out, "0\r\n\r\n");
	flush(srv, c);
}

/* When this connection has something to do by itself. */
static uint64_t conn_deadline(const struct server *srv, const struct conn *c)
{
	uint64_t when = UINT64_MAX;

	if (c->dead)
		return 0;
	if (c->frozen)
		return when;
	if (c->stream && !c->mute && c->out.n - c->out_at < BACKLOG)
		when = stream_deadline(c->stream);
	if (c->send_at > srv->now_ms && c->send_at < when)
		when = c->send_at;
	if (c->resume_at && c->resume_at < when)
		when = c->resume_at;
	if (c->drip_ms && c->out.n > c->out_at && c->drip_at < when)
		when = c->drip_at;
	return when;
}

static void conn_turn(struct server *srv, struct conn *c)
{
	if (c->frozen || !c->handshaken)
		return;
	if (c->resume_at && c->resume_at <= srv->now_ms) {
		c->resume_at = 0;
		c->busy = false;
		process(srv, c);
	}
	if (c->send_at && c->send_at <= srv->now_ms)
		c->send_at = 0;
	pump(srv, c);
	if (c->out.n > c->out_at)
		flush(srv, c);
	/* what came pipelined, or after an answer that had to wait */
	if (!c->busy && c->in.n && !c->dead)
		process(srv, c);
	if (!c->dead)
		arm(srv, c);
}

static bool has_news(const struct conn *c)
{
	return c->stream && !c->mute && !c->frozen && c->out.n - c->out_at < BACKLOG &&
	       stream_has_news(c->stream);
}

static void all_turns(struct server *srv)
{
	bool due = srv->now_ms >= srv->wake_at;
	struct conn *c, *next;

	if (due)
		srv->wake_at = UINT64_MAX;
	for (c = srv->conns; c; c = next) {
		next = c->next;
		if (!c->dead && (has_news(c) || conn_deadline(srv, c) <= srv->now_ms ||
					(c->send_at && c->send_at <= srv->now_ms)))
			conn_turn(srv, c);
		if (due && !c->dead)
			wake_by(srv, conn_deadline(srv, c));
		if (c->dead)
			conn_free(srv, c);
	}
}

static void periodic_cuts(struct server *srv)
{
	struct faults *f = &srv->sim->faults;

	for (size_t i = 0; i < f->n; i++) {
		struct fault *one = f->v[i];

		if (one->kind != FAULT_CUT || one->next_ms > srv->now_ms)
			continue;
		one->next_ms = srv->now_ms + one->every_ms;
		if (one->count && one->hits >= one->count)
			one->next_ms = UINT64_MAX;
		else
			srv->sim->cut(srv->sim->ctx, &one->match, one->reset);
		one->hits++;
	}
}

/* -- the simulator's hooks -- */

static void hook_cut(void *ctx, const struct match *m, bool reset)
{
	struct server *srv = ctx;
	struct conn *c;

	for (c = srv->conns; c; c = c->next) {
		if (c->stream && !c->local && match_is(m, c->verb, c->path, c->user))
			conn_close(srv, c, reset);
	}
}

static void hook_freeze(void *ctx, const struct match *m, unsigned id)
{
	struct server *srv = ctx;
	struct conn *c;

	for (c = srv->conns; c; c = c->next) {
		if (c->local || c->frozen || c->dead || !match_is(m, c->verb, c->path, c->user))
			continue;
		c->frozen = (int)id;
		arm(srv, c);
	}
}

static void hook_thaw(void *ctx, unsigned id)
{
	struct server *srv = ctx;
	struct conn *c;

	for (c = srv->conns; c; c = c->next) {
		if (c->frozen != (int)id || c->dead)
			continue;
		c->frozen = 0;
		arm(srv, c);
	}
	wake_by(srv, 0);
}

/* -- listening -- */

static int add_listener(struct server *srv, int fd, bool local, const char *path)
{
	struct listener *l = xcalloc(1, sizeof(*l));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};

	*l = (struct listener){.source = SOURCE_LISTEN, .fd = fd, .local = local};
	l->path = path ? xstrdup(path) : NULL;
	l->next = srv->listeners;
	srv->listeners = l;
	return epoll_ctl(srv->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static bool split_address(const char *address, char *host, size_t len, const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;

	if (!colon)
		return false;
	if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	if (n >= len)
		return false;
	memcpy(host, address, n);
	host[n] = '\0';
	*ret_port = colon + 1;
	return true;
}

static int listen_at(const struct addrinfo *ai, unsigned *ret_port)
{
	int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} got = {0};
	socklen_t len = sizeof(got);
	int err;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 4096) ||
		getsockname(fd, &got.any, &len)) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	*ret_port = ntohs(got.any.sa_family == AF_INET6 ? got.v6.sin6_port : got.v4.sin_port);
	return fd;
}

int server_listen(struct server *srv, const char *address, unsigned *ret_port)
{
	const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *ai = NULL;
	const char *port;
	char host[64];
	int fd;

	if (!split_address(address, host, sizeof(host), &port) ||
		getaddrinfo(*host ? host : NULL, port, &hints, &ai) || !ai)
		return -EINVAL;
	fd = listen_at(ai, ret_port);
	freeaddrinfo(ai);
	return fd < 0 ? fd : add_listener(srv, fd, false, NULL);
}

int server_listen_control(struct server *srv, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096)) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return add_listener(srv, fd, true, path);
}

/* -- TLS -- */

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
	const unsigned char *in, unsigned inlen, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *picked;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&picked, outlen, ours, sizeof(ours) - 1, in, inlen) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = picked;
	return SSL_TLSEXT_ERR_OK;
}

/* A certificate that does not verify makes an anonymous user, not a failed handshake. */
static int accept_any(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

SSL_CTX *server_tls(X509 *ca, X509 *crt, EVP_PKEY *key, int min, int max)
{
	static const unsigned char id_context[] = "kubesim";
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return NULL;
	if (max && max < TLS1_2_VERSION)
		SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	/* One ticket after each handshake, as Go's servers do. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
	if (SSL_CTX_set_session_id_context(ctx, id_context, sizeof(id_context) - 1) != 1 ||
		SSL_CTX_set_min_proto_version(ctx, min ? min : TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_max_proto_version(ctx, max) != 1 ||
		SSL_CTX_use_certificate(ctx, crt) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
		SSL_CTX_add_client_CA(ctx, ca) != 1 ||
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

void server_set_tls(struct server *srv, SSL_CTX *ctx)
{
	SSL_CTX_free(srv->tls);
	srv->tls = ctx;
}

/* -- life -- */

static int signals_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static enum source signal_source = SOURCE_SIGNAL;

struct server *server_new(struct sim *s)
{
	struct server *srv = xcalloc(1, sizeof(*srv));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &signal_source};

	srv->sim = s;
	srv->epoll = epoll_create1(EPOLL_CLOEXEC);
	srv->signals = signals_fd();
	srv->wake_at = UINT64_MAX;
	srv->now_ms = mono_ms();
	s->cut = hook_cut;
	s->freeze = hook_freeze;
	s->thaw = hook_thaw;
	s->ctx = srv;
	if (srv->epoll < 0 || srv->signals < 0 ||
		epoll_ctl(srv->epoll, EPOLL_CTL_ADD, srv->signals, &ev)) {
		server_free(srv);
		return NULL;
	}
	return srv;
}

void server_free(struct server *srv)
{
	struct conn *c, *next;
	struct listener *l;

	for (c = srv->conns; c; c = next) {
		next = c->next;
		end_stream(srv, c);
		conn_free(srv, c);
	}
	while ((l = srv->listeners)) {
		srv->listeners = l->next;
		(void)close(l->fd);
		if (l->path)
			(void)unlink(l->path);
		free(l->path);
		free(l);
	}
	SSL_CTX_free(srv->tls);
	(void)close(srv->signals);
	(void)close(srv->epoll);
	free(srv);
}

static int timeout(const struct server *srv)
{
	uint64_t when = faults_next_ms(&srv->sim->faults);

	if (srv->wake_at < when)
		when = srv->wake_at;
	if (when == UINT64_MAX)
		return -1;
	if (when <= srv->now_ms)
		return 0;
	return when - srv->now_ms > 60000 ? 60000 : (int)(when - srv->now_ms);
}

static void on_event(struct server *srv, const struct epoll_event *ev)
{
	enum source *source = ev->data.ptr;

	switch (*source) {
	case SOURCE_CONN:
		conn_event(srv, ev->data.ptr, ev->events);
		break;
	case SOURCE_LISTEN:
		accept_all(srv, ev->data.ptr);
		break;
	case SOURCE_SIGNAL:
		srv->stop = true;
		break;
	}
}

int server_run(struct server *srv)
{
	struct epoll_event events[EVENTS_MAX];

	while (!srv->stop) {
		int n = epoll_wait(srv->epoll, events, EVENTS_MAX, timeout(srv));

		if (n < 0 && errno != EINTR)
			return -errno;
		srv->now_ms = mono_ms();
		for (int i = 0; i < n; i++)
			on_event(srv, &events[i]);
		periodic_cuts(srv);
		all_turns(srv);
	}
	return 0;
}
