/* SPDX-License-Identifier: Apache-2.0
 *
 * test_http.c - the HTTP client against a server in the same loop, whose answer is chosen by the
 * path of the request.  TLS is tested by tests/tls.
 */
#include "http.h"

#include "check.h"
#include "some_ca.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

/* -- the clock: real, and the test may put it forward -- */

static uint64_t clock_ahead_ms;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + clock_ahead_ms;
}

/* -- the resolver: libuv finds these before libc's.  No test depends on the machine's hosts. -- */

static const struct {
	const char *name;
	const char *addr[2];
} hosts[] = {
	{"one.test", {"127.0.0.1", NULL}},
	{"two.test", {"127.0.0.2", "127.0.0.1"}}, /* refuses, serves */
};

static struct addrinfo *new_addrinfo(const char *addr, struct addrinfo *next)
{
	struct addrinfo *ai = calloc(1, sizeof *ai);
	struct sockaddr_in *sin = calloc(1, sizeof *sin);

	if (ai == NULL || sin == NULL || uv_ip4_addr(addr, 0, sin) != 0)
		abort();
	ai->ai_family = AF_INET;
	ai->ai_addr = (struct sockaddr *)sin;
	ai->ai_addrlen = sizeof *sin;
	ai->ai_next = next;
	return ai;
}

int getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	(void)service;
	(void)hints;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		if (strcmp(name, hosts[i].name) != 0)
			continue;
		*ret = NULL;
		for (size_t k = 2; k > 0; k--)
			if (hosts[i].addr[k - 1] != NULL)
				*ret = new_addrinfo(hosts[i].addr[k - 1], *ret);
		return 0;
	}
	return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *ai)
{
	while (ai != NULL) {
		struct addrinfo *next = ai->ai_next;

		free(ai->ai_addr);
		free(ai);
		ai = next;
	}
}

/* -- the server -- */

struct peer {
	struct peer *prev, *next;
	struct server *s;
	uv_tcp_t tcp;
	struct buf in;
	unsigned requests;
	bool dead_next; /* closes without a word at the next request */
};

struct server {
	uv_loop_t *loop;
	uv_tcp_t tcp;
	uint16_t port;
	unsigned accepted, open, resets;
	size_t received;
	struct buf log; /* "GET /a 0;" for each request */
	struct peer *peers;
	struct peer *streamer; /* the one that asked for /stream or /never */
	bool deaf;             /* accepts and never reads */
};

struct sent {
	uv_write_t req;
	char text[];
};

static void on_sent(uv_write_t *req, int status)
{
	(void)status;
	free(req->data);
}

static void serve(struct peer *p, const char *text)
{
	size_t n = strlen(text);
	struct sent *s = malloc(sizeof *s + n);
	uv_buf_t b;

	if (s == NULL)
		abort();
	memcpy(s->text, text, n);
	s->req.data = s;
	b = uv_buf_init(s->text, (unsigned)n);
	CHECK(uv_write(&s->req, (uv_stream_t *)&p->tcp, &b, 1, on_sent) == 0);
}

static void on_peer_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;

	p->s->open--;
	DL_DELETE(p->s->peers, p);
	if (p->s->streamer == p)
		p->s->streamer = NULL;
	buf_free(&p->in);
	free(p);
}

static void on_peer_shut(uv_shutdown_t *req, int status)
{
	(void)status;
	if (!uv_is_closing((uv_handle_t *)req->handle))
		uv_close((uv_handle_t *)req->handle, on_peer_closed);
	free(req);
}

/* After what was written. */
static void hang_up(struct peer *p)
{
	uv_shutdown_t *req = malloc(sizeof *req);

	if (req == NULL || uv_shutdown(req, (uv_stream_t *)&p->tcp, on_peer_shut) != 0)
		abort();
}

#define ANSWER_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void answer(struct peer *p, const char *path)
{
	p->requests++;
	if (p->dead_next)
		hang_up(p);
	else if (strcmp(path, "/ok") == 0)
		serve(p, ANSWER_OK);
	else if (strcmp(path, "/409") == 0)
		serve(p, "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/last") == 0)
		serve(p, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
	else if (strcmp(path, "/surplus") == 0)
		serve(p, ANSWER_OK "HTTP/1.1 200 OK\r\n");
	else if (strcmp(path, "/garbage") == 0)
		serve(p, "SSH-2.0-x\r\n");
	else if (strcmp(path, "/chunks") == 0)
		serve(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
			 "4\r\nmore\r\n0\r\n\r\n");
	else if (strcmp(path, "/smuggle") == 0)
		serve(p, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
			 "\r\n");
	else if (strcmp(path, "/dead-next") == 0) {
		serve(p, ANSWER_OK);
		p->dead_next = true;
	} else if (strcmp(path, "/eof") == 0) {
		hang_up(p);
	} else if (strcmp(path, "/half") == 0) {
		serve(p, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
		hang_up(p);
	} else if (strcmp(path, "/to-eof") == 0) {
		serve(p, "HTTP/1.1 200 OK\r\n\r\nto the end");
		hang_up(p);
	} else if (strcmp(path, "/stream") == 0) {
		p->s->streamer = p;
		serve(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
	} else {
		p->s->streamer = p; /* "/never" */
	}
}

/* Takes whole requests off p->in. */
static void take_requests(struct peer *p)
{
	char *end;

	while (p->in.len > 0 && (end = strstr(p->in.p, "\r\n\r\n")) != NULL) {
		const char *length = strstr(p->in.p, "Content-Length: ");
		size_t head = (size_t)(end - p->in.p) + 4;
		size_t body = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;
		char method[8], path[100];

		if (p->in.len < head + body)
			return;
		CHECK(sscanf(p->in.p, "%7s %99s", method, path) == 2);
		buf_addf(&p->s->log, "%s %s %zu;", method, path, body);
		buf_drop(&p->in, head + body);
		answer(p, path);
	}
}

static void on_peer_alloc(uv_handle_t *handle, size_t size, uv_buf_t *b)
{
	static char space[65536];

	(void)handle;
	(void)size;
	*b = uv_buf_init(space, sizeof space);
}

static void on_peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct peer *p = stream->data;

	if (n > 0) {
		p->s->received += (size_t)n;
		buf_add(&p->in, b->base, (size_t)n);
		take_requests(p);
	} else if (n < 0) {
		p->s->resets += n == UV_ECONNRESET;
		if (!uv_is_closing((uv_handle_t *)stream))
			uv_close((uv_handle_t *)stream, on_peer_closed);
	}
}

static void on_accept(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct peer *p = calloc(1, sizeof *p);

	if (status != 0 || p == NULL || uv_tcp_init(s->loop, &p->tcp) != 0)
		abort();
	p->s = s;
	p->tcp.data = p;
	buf_init(&p->in, 1 << 26);
	s->accepted++;
	s->open++;
	DL_APPEND(s->peers, p);
	if (uv_accept(listener, (uv_stream_t *)&p->tcp) != 0)
		abort();
	if (s->deaf)
		s->streamer = p;
	else if (uv_read_start((uv_stream_t *)&p->tcp, on_peer_alloc, on_peer_read) != 0)
		abort();
}

static void server_start(struct server *s, uv_loop_t *loop)
{
	struct sockaddr_in a;
	int n = sizeof a;

	*s = (struct server){.loop = loop};
	buf_init(&s->log, 1 << 20);
	buf_adds(&s->log, "");
	if (uv_ip4_addr("127.0.0.1", 0, &a) != 0 || uv_tcp_init(loop, &s->tcp) != 0 ||
		uv_tcp_bind(&s->tcp, (struct sockaddr *)&a, 0) != 0 ||
		uv_listen((uv_stream_t *)&s->tcp, 128, on_accept) != 0 ||
		uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&a, &n) != 0)
		abort();
	s->tcp.data = s;
	s->port = ntohs(a.sin_port);
}

static void close_peers(struct server *s)
{
	struct peer *p;

	DL_FOREACH (s->peers, p)
		if (!uv_is_closing((uv_handle_t *)&p->tcp))
			uv_close((uv_handle_t *)&p->tcp, on_peer_closed);
}

/* -- the world: loop, server, client -- */

struct world {
	uv_loop_t loop;
	uv_timer_t tick; /* uv_run() returns at least this often */
	unsigned ticks;  /* a test that hangs fails */
	struct server s;
	struct counters counters;
	struct http *h;
	bool closed, late;
};

enum { TICK_MS = 5, LIMIT_MS = 10000 };

static void on_tick(uv_timer_t *t)
{
	struct world *w = t->data;

	w->late = ++w->ticks > LIMIT_MS / TICK_MS;
}

static void on_http_closed(void *ctx)
{
	struct world *w = ctx;

	w->closed = true;
}

static void world_start_conf(struct world *w, struct http_conf conf)
{
	*w = (struct world){0};
	clock_ahead_ms = 0;
	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&w->loop) != 0 || uv_timer_init(&w->loop, &w->tick) != 0)
		abort();
	w->tick.data = w;
	(void)uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
	server_start(&w->s, &w->loop);
	if (conf.host == NULL)
		conf.host = "127.0.0.1";
	if (conf.port == 0)
		conf.port = w->s.port;
	conf.now_ms = now_ms;
	w->h = http_new(&w->loop, &conf, &w->counters);
	CHECK(w->h != NULL);
}

static void world_start(struct world *w)
{
	world_start_conf(w, (struct http_conf){0});
}

#define RUN_UNTIL(w, cond)                                                                         \
	do {                                                                                       \
		while (!(cond) && !(w)->late)                                                      \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                           \
		CHECK(cond);                                                                       \
	} while (0)

/* Nothing may be left: handles, memory (asan). */
static void world_end(struct world *w)
{
	if (!w->closed && w->h != NULL)
		http_close(w->h, on_http_closed, w);
	RUN_UNTIL(w, w->closed);
	close_peers(&w->s);
	uv_close((uv_handle_t *)&w->s.tcp, NULL);
	uv_close((uv_handle_t *)&w->tick, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&w->loop), 0);
	buf_free(&w->s.log);
}

/* -- a call -- */

struct ask {
	struct http_call *call;
	struct buf body;
	unsigned status, heads, dones;
	int result;
	bool sent;
	bool cancel_in_body, pause_in_body, close_in_body;
	char err[400];
	uint64_t done_ms;
	struct world *w;
};

static void on_head(void *ctx, const struct http1_head *head)
{
	struct ask *a = ctx;

	a->heads++;
	a->status = head->status;
}

static void on_body(void *ctx, const char *p, size_t n)
{
	struct ask *a = ctx;

	CHECK(a->dones == 0);
	buf_add(&a->body, p, n);
	if (a->cancel_in_body)
		http_cancel(a->call);
	if (a->pause_in_body)
		http_pause(a->call, true);
	if (a->close_in_body)
		http_close(a->w->h, on_http_closed, a->w);
}

static void on_done(void *ctx, int result, bool sent, const char *err)
{
	struct ask *a = ctx;

	a->dones++;
	a->result = result;
	a->sent = sent;
	a->done_ms = now_ms();
	CHECK((result == 0) == (err[0] == '\0'));
	(void)snprintf(a->err, sizeof a->err, "%s", err);
}

static const struct http_ops ask_ops = {on_head, on_body, on_done};

static struct http_request request(const char *method, const char *path)
{
	return (struct http_request){
		.r = {.method = method, .host = "h", .path = path}, .not_after_ms = TIME_NEVER};
}

static struct http_request stream_request(uint64_t silence_ms)
{
	struct http_request r = request("GET", "/stream");

	r.stream = true;
	r.silence_ms = silence_ms;
	return r;
}

static void ask(struct world *w, struct ask *a, struct http_request r)
{
	*a = (struct ask){.w = w};
	buf_init(&a->body, 1 << 26);
	buf_adds(&a->body, "");
	CHECK_INT(http_start(w->h, &r, &ask_ops, a, &a->call), 0);
	CHECK(a->dones == 0);
}

/* A whole call. */
static void get(struct world *w, struct ask *a, const char *method, const char *path)
{
	ask(w, a, request(method, path));
	RUN_UNTIL(w, a->dones > 0);
	CHECK_INT(a->dones, 1);
}

static void ask_free(struct ask *a)
{
	buf_free(&a->body);
}

/* -- tests -- */

static void test_http_keep_alive(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	for (unsigned i = 0; i < 3; i++) {
		get(&w, &a, "GET", "/ok");
		CHECK_INT(a.result, 0);
		CHECK_INT(a.status, 200);
		CHECK(a.sent);
		CHECK_STR(a.body.p, "ok");
		ask_free(&a);
	}
	get(&w, &a, "DELETE", "/409");
	CHECK_INT(a.status, 409);
	ask_free(&a);
	CHECK_INT(w.s.accepted, 1);
	CHECK_STR(w.s.log.p, "GET /ok 0;GET /ok 0;GET /ok 0;DELETE /409 0;");
	CHECK_INT(w.counters.v[COUNTER_API_REQUESTS], 4);
	CHECK_INT(w.counters.v[COUNTER_API_ERRORS], 0);
	CHECK_INT(http_in_flight(w.h), 0);
	world_end(&w);
}

static void test_http_answers(void)
{
	static const struct {
		const char *path;
		int result;
		const char *body, *err;
		unsigned accepted; /* after one more call */
	} rows[] = {
		{"/ok", 0, "ok", NULL, 1},
		{"/last", 0, "ok", NULL, 2},
		{"/surplus", 0, "ok", NULL, 2},
		{"/to-eof", 0, "to the end", NULL, 2},
		{"/half", -ECONNRESET, "half", "in the middle of its answer", 2},
		{"/eof", -ECONNRESET, "", "closed the connection without an answer", 2},
		{"/garbage", -EPROTO, "", "does not speak HTTP/1.1", 2},
		{"/smuggle", -EPROTO, "", "contradictory Content-Length", 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;
		struct ask a;

		check_row = rows[i].path;
		world_start(&w);
		get(&w, &a, "GET", rows[i].path);
		CHECK_INT(a.result, rows[i].result);
		CHECK(a.sent);
		CHECK_STR(a.body.p, rows[i].body);
		if (rows[i].err != NULL)
			CHECK(strstr(a.err, rows[i].err) != NULL);
		ask_free(&a);
		get(&w, &a, "GET", "/ok");
		CHECK_INT(a.result, 0);
		ask_free(&a);
		CHECK_INT(w.s.accepted, rows[i].accepted);
		world_end(&w);
	}
}

/* The server drops a kept connection when it is used again: only what has no effect is repeated. */
static void test_http_stale(void)
{
	static const struct {
		const char *method;
		int result;
		const char *log;
	} rows[] = {
		{"GET", 0, "GET /dead-next 0;GET /ok 0;GET /ok 0;"},
		{"PUT", -ECONNRESET, "GET /dead-next 0;PUT /ok 0;"},
		{"PATCH", -ECONNRESET, "GET /dead-next 0;PATCH /ok 0;"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;
		struct ask a;

		check_row = rows[i].method;
		world_start(&w);
		get(&w, &a, "GET", "/dead-next");
		ask_free(&a);
		get(&w, &a, rows[i].method, "/ok");
		CHECK_INT(a.result, rows[i].result);
		CHECK(a.sent);
		CHECK_STR(w.s.log.p, rows[i].log);
		ask_free(&a);
		world_end(&w);
	}
}

/* Only one repetition, and none of an answer that never was. */
static void test_http_stale_twice(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	get(&w, &a, "GET", "/ok");
	ask_free(&a);
	get(&w, &a, "GET", "/eof");
	CHECK_INT(a.result, -ECONNRESET);
	CHECK_STR(w.s.log.p, "GET /ok 0;GET /eof 0;GET /eof 0;");
	ask_free(&a);
	world_end(&w);
}

/* The server is gone and the client does not know yet: what it writes reaches nobody, and may be
 * sent again even if it is a write. */
static void test_http_stale_unsent(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	get(&w, &a, "GET", "/ok");
	ask_free(&a);
	CHECK_INT(uv_tcp_close_reset(&w.s.peers->tcp, on_peer_closed), 0);
	get(&w, &a, "PUT", "/ok");
	CHECK_INT(a.result, 0);
	CHECK_STR(w.s.log.p, "GET /ok 0;PUT /ok 0;");
	CHECK_INT(w.s.accepted, 2);
	ask_free(&a);
	world_end(&w);
}

/* Connections made with other certificates are not kept, the idle one and the busy one. */
static void test_http_set_tls(void)
{
	struct world w;
	struct ask a, b;
	struct tls_conf *conf = NULL;
	char err[100];

	CHECK_INT(tls_conf_new(&(struct tls_files){.ca = some_ca}, &conf, err, sizeof err), 0);
	world_start(&w);
	ask(&w, &a, request("GET", "/ok"));
	ask(&w, &b, stream_request(0));
	RUN_UNTIL(&w, a.dones > 0 && w.s.streamer != NULL);
	ask_free(&a);
	ask(&w, &a, request("GET", "/never"));
	RUN_UNTIL(&w, strstr(w.s.log.p, "/never") != NULL);
	http_set_tls(w.h, conf);
	serve(w.s.streamer, ANSWER_OK);
	RUN_UNTIL(&w, a.dones > 0 && w.s.open == 1); /* the stream's is left */
	CHECK_INT(a.result, 0);
	CHECK_INT(b.dones, 0);
	ask_free(&a);
	http_set_tls(w.h, NULL);
	get(&w, &a, "GET", "/ok");
	ask_free(&a);
	http_set_tls(w.h, conf);
	RUN_UNTIL(&w, w.s.open == 1);
	tls_conf_unref(conf);
	world_end(&w);
	ask_free(&b);
}

static void test_http_idle_closed_by_server(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	get(&w, &a, "GET", "/ok");
	ask_free(&a);
	close_peers(&w.s);
	RUN_UNTIL(&w, w.s.open == 0);
	get(&w, &a, "POST", "/ok");
	CHECK_INT(a.result, 0);
	CHECK_INT(w.s.accepted, 2);
	ask_free(&a);
	world_end(&w);
}

static void test_http_idle_closed_by_age(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	get(&w, &a, "GET", "/ok");
	ask_free(&a);
	clock_ahead_ms += HTTP_IDLE_CLOSE_MS + 1;
	get(&w, &a, "GET", "/ok"); /* the turn that starts it finds the old one aged */
	ask_free(&a);
	RUN_UNTIL(&w, w.s.open == 1);
	CHECK_INT(w.s.accepted, 2);
	world_end(&w);
}

static void test_http_hundred(void)
{
	struct world w;
	static struct ask a[100];
	unsigned done;

	world_start(&w);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&w, &a[i], request(i % 2 == 0 ? "GET" : "PUT", "/ok"));
	CHECK_INT(http_in_flight(w.h), 100);
	do {
		uv_run(&w.loop, UV_RUN_ONCE);
		done = 0;
		for (size_t i = 0; i < ARRAY_LEN(a); i++)
			done += a[i].dones;
	} while (done < ARRAY_LEN(a) && !w.late);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		CHECK_INT(a[i].result, 0);
		CHECK_STR(a[i].body.p, "ok");
		CHECK_INT(a[i].dones, 1);
		ask_free(&a[i]);
	}
	CHECK_INT(w.s.accepted, HTTP_POOL_CONNECTIONS);
	world_end(&w);
}

static void test_http_queue_full(void)
{
	struct world w;
	static struct ask a[HTTP_MAX_QUEUE];
	struct http_request r = request("GET", "/ok");
	struct http_call *call;
	struct ask extra = {0};

	world_start(&w);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&w, &a[i], r);
	CHECK_INT(http_start(w.h, &r, &ask_ops, &extra, &call), -EAGAIN);
	http_close(w.h, on_http_closed, &w);
	CHECK_INT(http_start(w.h, &r, &ask_ops, &extra, &call), -EINVAL);
	RUN_UNTIL(&w, w.closed);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		CHECK_INT(a[i].dones, 1);
		CHECK_INT(a[i].result, -ECANCELED);
		CHECK(!a[i].sent);
		ask_free(&a[i]);
	}
	CHECK_INT(extra.dones, 0);
	world_end(&w);
}

static void test_http_bad_request(void)
{
	struct world w;
	struct ask a = {0};
	struct http_request r = request("GET", "/ok HTTP/1.1\r\nX: y");
	static const char big[HTTP_MAX_REQUEST];

	world_start(&w);
	CHECK_INT(http_start(w.h, &r, &ask_ops, &a, &a.call), -EINVAL);
	r = request("PUT", "/ok");
	r.r.has_body = true;
	r.r.body = big;
	r.r.len = sizeof big;
	CHECK_INT(http_start(w.h, &r, &ask_ops, &a, &a.call), -ENOMEM);
	CHECK_INT(http_in_flight(w.h), 0);
	world_end(&w);
}

/* A body that the kernel does not take at once. */
static void test_http_large_body(void)
{
	struct world w;
	struct ask a;
	static char big[3 * 1024 * 1024];
	struct http_request r = request("PUT", "/ok");

	world_start(&w);
	memset(big, 'x', sizeof big);
	r.r.has_body = true;
	r.r.body = big;
	r.r.len = sizeof big;
	ask(&w, &a, r);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, 0);
	CHECK_STR(w.s.log.p, "PUT /ok 3145728;");
	ask_free(&a);
	world_end(&w);
}

static void test_http_not_after_past(void)
{
	struct world w;
	struct ask a;
	struct http_request r = request("PUT", "/ok");

	world_start(&w);
	r.not_after_ms = now_ms() - 1;
	ask(&w, &a, r);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ETIME);
	CHECK(!a.sent);
	ask_free(&a);
	get(&w, &a, "GET", "/ok"); /* the server saw this one alone */
	CHECK_STR(w.s.log.p, "GET /ok 0;");
	CHECK_INT(w.counters.v[COUNTER_API_TOO_LATE], 1);
	ask_free(&a);
	world_end(&w);
}

/* The deadline passes while the name is resolved: what counts is the moment of the write. */
static void test_http_not_after_connecting(void)
{
	struct world w;
	struct ask a;
	struct http_request r = request("PUT", "/ok");

	world_start_conf(
		&w, (struct http_conf){.host = "one.test", .connect_timeout_ms = 3600 * 1000});
	r.not_after_ms = now_ms() + 60000;
	ask(&w, &a, r);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	CHECK_INT(a.dones, 0);
	clock_ahead_ms += 60001;
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ETIME);
	CHECK(!a.sent);
	ask_free(&a);
	get(&w, &a, "GET", "/ok");
	CHECK_STR(w.s.log.p, "GET /ok 0;");
	ask_free(&a);
	world_end(&w);
}

/* Eight connections are busy; what waits for one ends at its deadline, unsent. */
static void test_http_not_after_queued(void)
{
	struct world w;
	struct ask busy[HTTP_POOL_CONNECTIONS], a, b;
	struct http_request r = request("PUT", "/ok");

	world_start(&w);
	for (size_t i = 0; i < ARRAY_LEN(busy); i++)
		ask(&w, &busy[i], request("GET", "/never"));
	r.not_after_ms = now_ms() + 60000;
	ask(&w, &a, r);
	r.not_after_ms = TIME_NEVER;
	r.timeout_ms = 60000;
	ask(&w, &b, r);
	RUN_UNTIL(&w, strlen(w.s.log.p) == strlen("GET /never 0;") * ARRAY_LEN(busy));
	CHECK(a.dones == 0 && b.dones == 0);
	clock_ahead_ms += 60001;
	http_cancel(busy[0].call); /* a connection gets free at the same moment */
	RUN_UNTIL(&w, a.dones > 0 && b.dones > 0);
	CHECK_INT(a.result, -ETIME);
	CHECK(!a.sent);
	CHECK_INT(b.result, -ETIMEDOUT);
	CHECK(!b.sent);
	CHECK(strstr(w.s.log.p, "PUT") == NULL);
	world_end(&w);
	for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
		CHECK_INT(busy[i].result, -ECANCELED);
		ask_free(&busy[i]);
	}
	ask_free(&a);
	ask_free(&b);
}

static void test_http_timeout(void)
{
	struct world w;
	struct ask a;
	struct http_request r = request("GET", "/never");

	world_start(&w);
	r.timeout_ms = 50;
	ask(&w, &a, r);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ETIMEDOUT);
	CHECK(a.sent);
	CHECK(strstr(a.err, "no answer within 50 ms") != NULL);
	ask_free(&a);
	RUN_UNTIL(&w, w.s.open == 0);
	CHECK_INT(w.s.resets, 1);
	world_end(&w);
}

static void test_http_cancel_queued(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	ask(&w, &a, request("PUT", "/ok"));
	http_cancel(a.call);
	CHECK_INT(a.dones, 0);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ECANCELED);
	CHECK(!a.sent);
	CHECK_INT(w.s.accepted, 0);
	ask_free(&a);
	world_end(&w);
}

/* R28: a write under way whose leader's time is over is cut off, not left to the kernel. */
static void test_http_cancel_sent(void)
{
	struct world w;
	struct ask a;
	static char big[3 * 1024 * 1024];
	struct http_request r = request("PUT", "/never");

	world_start(&w);
	w.s.deaf = true; /* bytes wait in both kernels */
	r.r.has_body = true;
	r.r.body = big;
	r.r.len = sizeof big;
	ask(&w, &a, r);
	RUN_UNTIL(&w, w.counters.v[COUNTER_API_REQUESTS] == 1 && w.s.streamer != NULL);
	http_cancel(a.call);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ECANCELED);
	CHECK(a.sent);
	CHECK(uv_read_start((uv_stream_t *)&w.s.streamer->tcp, on_peer_alloc, on_peer_read) == 0);
	RUN_UNTIL(&w, w.s.open == 0);
	CHECK(w.s.received < sizeof big);
	CHECK_STR(w.s.log.p, "");
	ask_free(&a);
	world_end(&w);
}

static void test_http_cancel_in_callback(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	ask(&w, &a, request("GET", "/chunks"));
	a.cancel_in_body = true;
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ECANCELED);
	CHECK_STR(a.body.p, "ok");
	ask_free(&a);
	world_end(&w);
}

static void test_http_close_in_callback(void)
{
	struct world w;
	struct ask a, b;

	world_start(&w);
	ask(&w, &a, request("GET", "/ok"));
	ask(&w, &b, request("GET", "/never"));
	a.close_in_body = true;
	RUN_UNTIL(&w, w.closed);
	CHECK_INT(a.dones, 1);
	CHECK_INT(b.dones, 1);
	CHECK_INT(b.result, -ECANCELED);
	ask_free(&a);
	ask_free(&b);
	world_end(&w);
}

static void test_http_stream(void)
{
	struct world w;
	struct ask a, b;

	world_start(&w);
	get(&w, &b, "GET", "/ok"); /* leaves a kept connection, which the stream takes for itself */
	ask_free(&b);
	ask(&w, &a, stream_request(60000));
	RUN_UNTIL(&w, strcmp(a.body.p, "first") == 0);
	CHECK_INT(w.s.accepted, 1);
	clock_ahead_ms += 40000; /* each byte starts the silence anew */
	serve(w.s.streamer, "1\r\n2\r\n");
	RUN_UNTIL(&w, strcmp(a.body.p, "first2") == 0);
	clock_ahead_ms += 40000;
	get(&w, &b, "GET", "/ok"); /* deadlines are looked at */
	ask_free(&b);
	CHECK_INT(w.s.accepted, 2);
	serve(w.s.streamer, "1\r\n3\r\n0\r\n\r\n");
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, 0);
	CHECK_STR(a.body.p, "first23");
	ask_free(&a);
	ask(&w, &a, stream_request(60000)); /* the next goes on where that one ended */
	RUN_UNTIL(&w, strcmp(a.body.p, "first") == 0);
	CHECK_INT(w.s.accepted, 2);
	CHECK_INT(w.s.open, 2);
	http_cancel(a.call);
	RUN_UNTIL(&w, a.dones > 0);
	ask_free(&a);
	world_end(&w);
}

static void test_http_stream_silence(void)
{
	struct world w;
	struct ask a;

	world_start(&w);
	ask(&w, &a, stream_request(100));
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_STR(a.body.p, "first");
	CHECK_INT(a.result, -ETIMEDOUT);
	ask_free(&a);
	world_end(&w);
}

/* A call of which no byte comes ends before its time is over, one that comes slowly does not; what
 * it waits in the queue for is not the server's silence. */
static void test_http_silence(void)
{
	struct http_request r = request("GET", "/never");
	struct world w;
	struct ask a, b;

	world_start(&w);
	r.timeout_ms = 60000;
	r.silence_ms = 100;
	ask(&w, &a, r);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ETIMEDOUT);
	CHECK(strstr(a.err, "silent for 100 ms") != NULL);
	CHECK(a.sent);
	ask_free(&a);
	r = request("GET", "/stream");
	r.timeout_ms = 60000;
	r.silence_ms = 10000;
	ask(&w, &a, r);
	for (int i = 0; i < 3; i++) {
		RUN_UNTIL(&w, a.body.len == 5 + (size_t)i);
		clock_ahead_ms += 9000;
		serve(w.s.streamer, "1\r\nx\r\n");
		get(&w, &b, "GET", "/ok"); /* deadlines are looked at */
		ask_free(&b);
	}
	CHECK_INT(a.dones, 0);
	clock_ahead_ms += 33001; /* the whole has a limit, too */
	serve(w.s.streamer, "1\r\nx\r\n");
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ETIMEDOUT);
	CHECK(strstr(a.err, "no answer within 60000 ms") != NULL);
	ask_free(&a);
	world_end(&w);
}

static void test_http_stream_limit(void)
{
	struct world w;
	static struct ask a[HTTP_MAX_STREAMS];
	struct http_request r = stream_request(0);
	struct http_call *call;

	world_start(&w);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&w, &a[i], r);
	CHECK_INT(http_start(w.h, &r, &ask_ops, &a[0], &call), -EAGAIN);
	world_end(&w);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask_free(&a[i]);
}

/* While paused nothing more is read, and silence is not the server's. */
static void test_http_stream_pause(void)
{
	struct world w;
	struct ask a, b;
	struct buf chunk;

	world_start(&w);
	buf_init(&chunk, 1 << 20);
	buf_adds(&chunk, "10000\r\n");
	for (unsigned i = 0; i < 0x10000; i++)
		buf_addc(&chunk, 'x');
	buf_adds(&chunk, "\r\n");
	ask(&w, &a, stream_request(1000));
	a.pause_in_body = true;
	RUN_UNTIL(&w, a.body.len > 0);
	for (unsigned i = 0; i < 16; i++)
		serve(w.s.streamer, chunk.p);
	clock_ahead_ms += 5000;
	get(&w, &b, "GET", "/ok"); /* deadlines are looked at */
	ask_free(&b);
	for (unsigned i = 0; i < 100; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	CHECK(a.body.len <= HTTP_READ_BYTES + 5);
	CHECK_INT(a.dones, 0);
	a.pause_in_body = false;
	http_pause(a.call, false);
	RUN_UNTIL(&w, a.body.len == 5 + 16 * 0x10000);
	serve(w.s.streamer, "0\r\n\r\n");
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, 0);
	buf_free(&chunk);
	ask_free(&a);
	world_end(&w);
}

/* Nothing listens: the one that was tried for and all that waited learn it at once. */
static void test_http_refused(void)
{
	struct world w;
	static struct ask a[100];
	unsigned done = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sin;

	CHECK(bind(fd, (struct sockaddr *)&sin, n) == 0 &&
		getsockname(fd, (struct sockaddr *)&sin, &n) == 0);
	world_start_conf(&w, (struct http_conf){.port = ntohs(sin.sin_port)});
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&w, &a[i], request("GET", "/ok"));
	do {
		uv_run(&w.loop, UV_RUN_ONCE);
		done = 0;
		for (size_t i = 0; i < ARRAY_LEN(a); i++)
			done += a[i].dones;
	} while (done < ARRAY_LEN(a) && !w.late);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		CHECK_INT(a[i].result, -ECONNREFUSED);
		CHECK(!a[i].sent);
		CHECK(strstr(a[i].err, "connect to 127.0.0.1:") != NULL);
		ask_free(&a[i]);
	}
	CHECK_INT(w.counters.v[COUNTER_API_ERRORS], 100);
	world_end(&w);
	close(fd);
}

/* Listens, and its queue is full: SYNs get no answer. */
struct silent {
	int listener, fill[4];
	uint16_t port;
};

static void silent_open(struct silent *s, const char *addr, uint16_t port)
{
	struct sockaddr_in sin;
	socklen_t n = sizeof sin;

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(uv_ip4_addr(addr, port, &sin) == 0 &&
		bind(s->listener, (struct sockaddr *)&sin, n) == 0 && listen(s->listener, 0) == 0 &&
		getsockname(s->listener, (struct sockaddr *)&sin, &n) == 0);
	for (size_t i = 0; i < ARRAY_LEN(s->fill); i++) {
		s->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(s->fill[i], (struct sockaddr *)&sin, n);
	}
	s->port = ntohs(sin.sin_port);
}

static void silent_close(struct silent *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->fill); i++)
		close(s->fill[i]);
	close(s->listener);
}

static void test_http_connect_timeout(void)
{
	struct world w;
	static struct ask a[30];
	struct silent s;

	silent_open(&s, "127.0.0.1", 0);
	world_start_conf(&w, (struct http_conf){.port = s.port, .connect_timeout_ms = 100});
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&w, &a[i], request("GET", "/ok"));
	RUN_UNTIL(&w, http_in_flight(w.h) == 0);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		CHECK_INT(a[i].result, -ETIMEDOUT);
		CHECK(strstr(a[i].err, "timed out after 100 ms in connecting") != NULL);
		CHECK(!a[i].sent);
		CHECK(a[i].done_ms - a[0].done_ms < 90); /* none waits for a second try */
		ask_free(&a[i]);
	}
	world_end(&w);
	silent_close(&s);
}

static void test_http_names(void)
{
	static const struct {
		const char *host;
		int result;
		const char *err;
	} rows[] = {
		{"one.test", 0, ""},
		{"two.test", 0, ""},
		{"none.test", -EHOSTUNREACH, "cannot resolve none.test"},
		{"not a name", -EHOSTUNREACH, "cannot resolve not a name"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;
		struct ask a;

		check_row = rows[i].host;
		world_start_conf(&w, (struct http_conf){.host = rows[i].host});
		get(&w, &a, "GET", "/ok");
		CHECK_INT(a.result, rows[i].result);
		CHECK(strstr(a.err, rows[i].err) != NULL);
		ask_free(&a);
		world_end(&w);
	}
}

/* The first address is silent: it gets half of the time. */
static void test_http_names_silent(void)
{
	struct world w;
	struct ask a;
	struct silent s;

	world_start_conf(&w, (struct http_conf){.host = "two.test", .connect_timeout_ms = 200});
	silent_open(&s, "127.0.0.2", w.s.port);
	get(&w, &a, "GET", "/ok");
	CHECK_INT(a.result, 0);
	ask_free(&a);
	world_end(&w);
	silent_close(&s);
}

/* The address that was reached last is the first to be tried: the second connection does not wait
 * for the dead one, though its call has less time than that would take. */
static void test_http_names_good(void)
{
	struct http_request r = request("GET", "/ok");
	struct world w;
	struct ask a;
	struct silent s;

	world_start_conf(&w, (struct http_conf){.host = "two.test", .connect_timeout_ms = 400});
	silent_open(&s, "127.0.0.2", w.s.port);
	get(&w, &a, "GET", "/last");
	CHECK_INT(a.result, 0);
	ask_free(&a);
	r.timeout_ms = 150;
	ask(&w, &a, r);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, 0);
	CHECK_INT(w.s.accepted, 2);
	ask_free(&a);
	world_end(&w);
	silent_close(&s);
}

/* What a call was not answered on goes by the same way as the idle connections: they are not
 * trusted any more.  A stream takes no idle connection that has been so for long. */
static void test_http_doubted(void)
{
	struct http_request r = request("GET", "/never");
	struct world w;
	struct ask a, b;

	world_start(&w);
	ask(&w, &a, request("GET", "/ok"));
	get(&w, &b, "GET", "/ok");
	RUN_UNTIL(&w, a.dones > 0);
	ask_free(&a);
	ask_free(&b);
	CHECK_INT(w.s.open, 2);
	r.timeout_ms = 100;
	ask(&w, &a, r);
	RUN_UNTIL(&w, a.dones > 0);
	CHECK_INT(a.result, -ETIMEDOUT);
	ask_free(&a);
	RUN_UNTIL(&w, w.s.open == 0);

	get(&w, &b, "GET", "/ok");
	ask_free(&b);
	CHECK_INT(w.s.accepted, 3);
	clock_ahead_ms += HTTP_FRESH_MS + 1;
	ask(&w, &a, stream_request(0));
	RUN_UNTIL(&w, strcmp(a.body.p, "first") == 0);
	CHECK_INT(w.s.accepted, 4);
	http_cancel(a.call);
	RUN_UNTIL(&w, a.dones > 0);
	ask_free(&a);
	world_end(&w);
}

static void test_http_no_descriptors(void)
{
	struct world w;
	struct ask a;
	struct rlimit old, none;

	world_start(&w);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = old;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	get(&w, &a, "GET", "/ok");
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK_INT(a.result, -EMFILE);
	CHECK(strstr(a.err, "too many open files") != NULL);
	ask_free(&a);
	get(&w, &a, "GET", "/ok");
	CHECK_INT(a.result, 0);
	ask_free(&a);
	world_end(&w);
}

CHECK_MAIN("test_http", CHECK_TEST(test_http_keep_alive), CHECK_TEST(test_http_answers),
	CHECK_TEST(test_http_stale), CHECK_TEST(test_http_stale_twice),
	CHECK_TEST(test_http_stale_unsent), CHECK_TEST(test_http_set_tls),
	CHECK_TEST(test_http_idle_closed_by_server), CHECK_TEST(test_http_idle_closed_by_age),
	CHECK_TEST(test_http_hundred), CHECK_TEST(test_http_queue_full),
	CHECK_TEST(test_http_bad_request), CHECK_TEST(test_http_large_body),
	CHECK_TEST(test_http_not_after_past), CHECK_TEST(test_http_not_after_connecting),
	CHECK_TEST(test_http_not_after_queued), CHECK_TEST(test_http_timeout),
	CHECK_TEST(test_http_cancel_queued), CHECK_TEST(test_http_cancel_sent),
	CHECK_TEST(test_http_cancel_in_callback), CHECK_TEST(test_http_close_in_callback),
	CHECK_TEST(test_http_stream), CHECK_TEST(test_http_stream_silence),
	CHECK_TEST(test_http_silence), CHECK_TEST(test_http_stream_limit),
	CHECK_TEST(test_http_stream_pause), CHECK_TEST(test_http_refused),
	CHECK_TEST(test_http_connect_timeout), CHECK_TEST(test_http_names),
	CHECK_TEST(test_http_names_silent), CHECK_TEST(test_http_names_good),
	CHECK_TEST(test_http_doubted), CHECK_TEST(test_http_no_descriptors))
