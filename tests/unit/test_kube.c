/* SPDX-License-Identifier: Apache-2.0
 *
 * test_kube.c - the Kubernetes client against a tiny plain-HTTP server on the same loop.
 *
 * The server reads whole requests and answers each by the test's handler; it shares no code with
 * http.c.  The clock is the test's: it moves by hand.
 */
#include "kube.h"

#include "buf.h"
#include "check.h"
#include "json.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { MAX_TURNS = 20000 };

static uint64_t clock_ms = 1000000;

static uint64_t fake_now(void)
{
	return clock_ms;
}

/* -- the server -- */

struct rig;

struct peer {
	struct rig *rig;
	uv_tcp_t tcp;
	struct buf in;
	struct peer *next;
	bool closing;
};

struct request {
	char method[16], path[512], authorization[128], content_type[64], host[64];
	const char *body;
	unsigned n; /* the how many-th, from 1 */
};

struct rig {
	uv_loop_t loop;
	uv_tcp_t listener;
	struct peer *peers;
	unsigned n_requests;
	void (*handler)(struct rig *r, struct peer *p, const struct request *q);
	char dir[64];
	int port;
	struct rng rng;
	struct counters counters;
	struct kube *k;
	bool closed;
	/* what came */
	struct buf seen; /* requests */
	struct buf got;  /* answers and watch calls */
	unsigned answers;
	struct kube_watch *w;
	bool unwatch_on_object, relist_on_object;
	struct peer *stream; /* a watch being served */
};

static void peer_closed(uv_handle_t *h)
{
	struct peer *p = h->data;
	struct peer **at = &p->rig->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (p->rig->stream == p)
		p->rig->stream = NULL;
	buf_free(&p->in);
	free(p);
}

static void peer_close(struct peer *p)
{
	if (!p->closing)
		uv_close((uv_handle_t *)&p->tcp, peer_closed);
	p->closing = true;
}

static void send_done(uv_write_t *w, int status)
{
	(void)status;
	free(w->data);
	free(w);
}

static void peer_send(struct peer *p, const char *text, size_t n)
{
	uv_write_t *w = calloc(1, sizeof *w);
	uv_buf_t b;

	w->data = malloc(n);
	memcpy(w->data, text, n);
	b = uv_buf_init(w->data, (unsigned)n);
	CHECK(uv_write(w, (uv_stream_t *)&p->tcp, &b, 1, send_done) == 0);
}

static void peer_sends(struct peer *p, const char *text)
{
	peer_send(p, text, strlen(text));
}

/* headers: "Name: value\r\n" lines, or "". */
static void reply(struct peer *p, unsigned status, const char *headers, const char *body)
{
	struct buf b;

	buf_init(&b, 1 << 24);
	buf_addf(&b,
		"HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
		status, strlen(body), headers);
	buf_adds(&b, body);
	peer_send(p, b.p, b.len);
	buf_free(&b);
}

/* The head of a watch, and chunks of it. */
static void reply_stream(struct peer *p)
{
	p->rig->stream = p;
	peer_sends(p, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n");
}

static void stream_chunk(struct rig *r, const char *text)
{
	struct buf b;

	CHECK(r->stream != NULL);
	if (r->stream == NULL)
		return;
	buf_init(&b, 1 << 16);
	buf_addf(&b, "%zx\r\n%s\r\n", strlen(text), text);
	peer_send(r->stream, b.p, b.len);
	buf_free(&b);
}

static void get_header(const char *head, const char *name, char *to, size_t len)
{
	const char *p = strcasestr(head, name);
	size_t n;

	to[0] = '\0';
	if (p == NULL)
		return;
	p += strlen(name);
	n = strcspn(p, "\r");
	(void)snprintf(to, len, "%.*s", (int)n, p);
}

/* One request off p->in, if a whole one is there. */
static bool take_request(struct peer *p)
{
	char *end = p->in.p != NULL ? strstr(p->in.p, "\r\n\r\n") : NULL;
	struct request q = {.n = p->rig->n_requests + 1};
	size_t head, body;
	char length[16];

	if (end == NULL)
		return false;
	end[2] = '\0';
	get_header(p->in.p, "\r\nContent-Length: ", length, sizeof length);
	head = (size_t)(end - p->in.p) + 4;
	body = strtoul(length, NULL, 10);
	if (p->in.len < head + body) {
		end[2] = '\r';
		return false;
	}
	CHECK(sscanf(p->in.p, "%15s %511s HTTP/1.1", q.method, q.path) == 2);
	get_header(p->in.p, "\r\nAuthorization: ", q.authorization, sizeof q.authorization);
	get_header(p->in.p, "\r\nContent-Type: ", q.content_type, sizeof q.content_type);
	get_header(p->in.p, "\r\nHost: ", q.host, sizeof q.host);
	q.body = strndup(p->in.p + head, body);
	p->rig->n_requests++;
	buf_addf(&p->rig->seen, "%s %s;", q.method, q.path);
	buf_drop(&p->in, head + body);
	p->rig->handler(p->rig, p, &q);
	free((void *)(uintptr_t)q.body);
	return true;
}

static void on_peer_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char space[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(space, sizeof space);
}

static void on_peer_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct peer *p = s->data;

	if (n < 0) {
		peer_close(p);
		return;
	}
	buf_add(&p->in, b->base, (size_t)n);
	while (!p->closing && take_request(p))
		;
}

static void on_connection(uv_stream_t *s, int status)
{
	struct rig *r = s->data;
	struct peer *p = calloc(1, sizeof *p);

	CHECK(status == 0);
	p->rig = r;
	p->next = r->peers;
	r->peers = p;
	buf_init(&p->in, 1 << 22);
	CHECK(uv_tcp_init(&r->loop, &p->tcp) == 0);
	p->tcp.data = p;
	CHECK(uv_accept(s, (uv_stream_t *)&p->tcp) == 0);
	CHECK(uv_read_start((uv_stream_t *)&p->tcp, on_peer_alloc, on_peer_read) == 0);
}

/* -- the rig -- */

static void rig_file(struct rig *r, const char *name, const char *text)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static void rig_listen(struct rig *r)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof a;

	CHECK(uv_loop_init(&r->loop) == 0);
	CHECK(uv_tcp_init(&r->loop, &r->listener) == 0);
	r->listener.data = r;
	CHECK(uv_tcp_bind(&r->listener, (struct sockaddr *)&a, 0) == 0);
	CHECK(uv_listen((uv_stream_t *)&r->listener, 64, on_connection) == 0);
	CHECK(uv_tcp_getsockname(&r->listener, (struct sockaddr *)&a, &len) == 0);
	r->port = ntohs(a.sin_port);
}

static void rig_open(
	struct rig *r, void (*handler)(struct rig *, struct peer *, const struct request *))
{
	struct kube_where where = {0};
	char text[512], path[128], err[512];

	*r = (struct rig){.handler = handler, .rng = {.state = 3}};
	buf_init(&r->seen, 1 << 20);
	buf_init(&r->got, 1 << 20);
	log_set_level(LOG_ERROR);
	rig_listen(r);
	(void)snprintf(r->dir, sizeof r->dir, "/tmp/test_kube.XXXXXX");
	CHECK(mkdtemp(r->dir) != NULL);
	(void)snprintf(text, sizeof text,
		"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
		"clusters: [{name: k, cluster: {server: 'http://127.0.0.1:%d/pre'}}]\n"
		"users: [{name: u, user: {tokenFile: token}}]\n",
		r->port);
	rig_file(r, "kubeconfig", text);
	rig_file(r, "token", "one\n");
	(void)snprintf(path, sizeof path, "%s/kubeconfig", r->dir);
	where.kubeconfig = path;
	CHECK_INT(
		kube_new(&r->loop, &where, fake_now, &r->rng, &r->counters, &r->k, err, sizeof err),
		0);
	kube_set_node(r->k, "n1");
}

static void on_closed(void *ctx)
{
	struct rig *r = ctx;

	r->closed = true;
}

static void rig_unlink(struct rig *r)
{
	static const char *const names[] = {"kubeconfig", "token"};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", r->dir, names[i]);
		(void)unlink(path);
	}
	CHECK(rmdir(r->dir) == 0);
}

static void rig_close(struct rig *r)
{
	if (r->k != NULL)
		kube_close(r->k, on_closed, r);
	uv_close((uv_handle_t *)&r->listener, NULL);
	for (unsigned i = 0; r->k != NULL && !r->closed && i < MAX_TURNS; i++)
		(void)uv_run(&r->loop, UV_RUN_ONCE);
	CHECK(r->k == NULL || r->closed);
	for (struct peer *p = r->peers; p != NULL; p = p->next)
		peer_close(p);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&r->loop) == 0);
	rig_unlink(r);
	buf_free(&r->seen);
	buf_free(&r->got);
}

static void on_limit(uv_timer_t *t)
{
	bool *late = t->data;

	*late = true;
}

/* Turns the loop until the condition holds, 5 s at most. */
#define UNTIL(r, cond)                                                                             \
	do {                                                                                       \
		uv_timer_t limit_;                                                                 \
		bool late_ = false;                                                                \
		limit_.data = &late_;                                                              \
		(void)uv_timer_init(&(r)->loop, &limit_);                                          \
		(void)uv_timer_start(&limit_, on_limit, 5000, 0);                                  \
		while (!(cond) && !late_)                                                          \
			(void)uv_run(&(r)->loop, UV_RUN_ONCE);                                     \
		uv_close((uv_handle_t *)&limit_, NULL);                                            \
		(void)uv_run(&(r)->loop, UV_RUN_NOWAIT);                                           \
		CHECK(cond);                                                                       \
	} while (0)

static const char *text_of(const struct buf *b)
{
	return b->p != NULL ? b->p : "";
}

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool got(const struct rig *r, const char *what)
{
	return strstr(text_of(&r->got), what) != NULL;
}

/* Logs "result/sent/status/message-or-x;". */
static void on_answer(void *ctx, const struct kube_answer *a)
{
	struct rig *r = ctx;
	const char *kind = json_string(a->body, "kind");

	r->answers++;
	buf_addf(&r->got, "%d/%d/%u/%s;", a->result, a->sent, a->status,
		kind != NULL ? kind : (a->body != NULL ? "?" : "-"));
}

static void ask(struct rig *r, enum kube_verb verb, const char *path, uint64_t not_after_ms)
{
	struct kube_request q = {
		.verb = verb, .path = path, .not_after_ms = not_after_ms, .timeout_ms = 4000};
	cJSON *body = verb == KUBE_GET || verb == KUBE_DELETE ? NULL : cJSON_Parse("{\"a\":1}");

	q.body = body;
	CHECK_INT(kube_request(r->k, &q, on_answer, r), 0);
	cJSON_Delete(body);
}

/* -- requests -- */

static void handle_echo(struct rig *r, struct peer *p, const struct request *q)
{
	char host[64];

	(void)snprintf(host, sizeof host, "127.0.0.1:%d", r->port);
	CHECK_STR(q->host, host);
	CHECK_STR(q->authorization, "Bearer one");
	buf_addf(&r->seen, "%s %s;", q->content_type, q->body);
	reply(p, 200, "", "{\"kind\":\"Thing\"}");
}

static void test_requests(void)
{
	static const struct {
		enum kube_verb verb;
		const char *path, *want;
	} rows[] = {
		{KUBE_GET, "/x", "GET /pre/x; ;"},
		{KUBE_POST, "/x", "POST /pre/x?timeout=4s;application/json {\"a\":1};"},
		{KUBE_PUT, "/x?y=1", "PUT /pre/x?y=1&timeout=4s;application/json {\"a\":1};"},
		{KUBE_MERGE_PATCH, "/x",
			"PATCH /pre/x?timeout=4s;application/merge-patch+json {\"a\":1};"},
		{KUBE_DELETE, "/x", "DELETE /pre/x?timeout=4s; ;"},
	};
	struct rig r;
	char where[256];

	rig_open(&r, handle_echo);
	(void)snprintf(where, sizeof where, "http://127.0.0.1:%d/pre (context c of %s/kubeconfig)",
		r.port, r.dir);
	CHECK_STR(kube_where_text(r.k), where);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].want;
		buf_reset(&r.seen);
		buf_reset(&r.got);
		ask(&r, rows[i].verb, rows[i].path, TIME_NEVER);
		CHECK_INT(kube_in_flight(r.k), 1);
		CHECK_STR(text_of(&r.got), ""); /* never from inside */
		UNTIL(&r, r.answers == i + 1);
		CHECK_STR(text_of(&r.seen), rows[i].want);
		CHECK_STR(text_of(&r.got), "0/1/200/Thing;");
		CHECK_INT(kube_in_flight(r.k), 0);
	}
	rig_close(&r);
}

static void handle_statuses(struct rig *r, struct peer *p, const struct request *q)
{
	(void)r;
	if (strcmp(q->path, "/pre/409") == 0)
		reply(p, 409, "", "{\"kind\":\"Status\",\"message\":\"stale\"}");
	else if (strcmp(q->path, "/pre/html") == 0)
		reply(p, 200, "", "<html>");
	else if (strcmp(q->path, "/pre/empty") == 0)
		reply(p, 204, "", "");
	else if (strcmp(q->path, "/pre/cut") == 0)
		peer_close(p);
	else
		reply(p, 503, "", "no");
}

static void on_error_text(void *ctx, const struct kube_answer *a)
{
	struct rig *r = ctx;

	r->answers++;
	buf_addf(&r->got, "%d %u %s;", a->result != 0, a->status, a->result != 0 ? "" : a->err);
	CHECK(a->result == 0 || a->err[0] != '\0');
}

static void test_statuses(void)
{
	static const struct {
		const char *path, *want;
	} rows[] = {
		{"/409", "0 409 HTTP 409: stale;"},
		{"/html", "0 200 ;"},
		{"/503", "0 503 HTTP 503;"},
		{"/cut", "1 0 ;"},
	};
	struct rig r;

	rig_open(&r, handle_statuses);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kube_request q = {
			.verb = KUBE_GET, .path = rows[i].path, .not_after_ms = TIME_NEVER};

		check_row = rows[i].path;
		buf_reset(&r.got);
		CHECK_INT(kube_request(r.k, &q, on_error_text, &r), 0);
		UNTIL(&r, r.answers == i + 1);
		CHECK_STR(text_of(&r.got), rows[i].want);
	}
	CHECK_INT(r.counters.v[COUNTER_API_STATUS_409], 1);
	CHECK_INT(r.counters.v[COUNTER_API_STATUS_5XX], 1);
	CHECK_INT(r.counters.v[COUNTER_API_BAD_BODY], 1);
	rig_close(&r);
}

static void handle_big(struct rig *r, struct peer *p, const struct request *q)
{
	static char body[KUBE_MAX_ANSWER + 2];

	(void)r;
	memset(body, ' ', sizeof body - 1);
	body[0] = '1';
	body[sizeof body - 1] = '\0';
	if (strcmp(q->path, "/pre/fits") == 0)
		body[sizeof body - 2] = '\0';
	reply(p, 200, "", body);
}

static void test_long_answers(void)
{
	struct rig r;
	char want[64];

	rig_open(&r, handle_big);
	ask(&r, KUBE_GET, "/fits", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(text_of(&r.got), "0/1/200/?;");
	buf_reset(&r.got);
	ask(&r, KUBE_GET, "/toolong", TIME_NEVER);
	UNTIL(&r, r.answers == 2);
	(void)snprintf(want, sizeof want, "%d/1/0/-;", -EMSGSIZE);
	CHECK_STR(text_of(&r.got), want);
	rig_close(&r);
}

static void handle_token(struct rig *r, struct peer *p, const struct request *q)
{
	if (strcmp(q->authorization, "Bearer two") == 0)
		reply(p, 200, "", "{\"kind\":\"Thing\"}");
	else
		reply(p, 401, "", "{\"kind\":\"Status\"}");
	if (q->n == 1)
		rig_file(r, "token", "two\n");
}

static void handle_401(struct rig *r, struct peer *p, const struct request *q)
{
	(void)r;
	(void)q;
	reply(p, 401, "", "{\"kind\":\"Status\"}");
}

static void test_unauthorized(void)
{
	struct rig r;

	check_row = "the token changed";
	rig_open(&r, handle_token);
	ask(&r, KUBE_POST, "/x", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(text_of(&r.seen), "POST /pre/x?timeout=4s;POST /pre/x?timeout=4s;");
	CHECK_STR(text_of(&r.got), "0/1/200/Thing;");
	rig_close(&r);

	check_row = "repeated once, no more";
	rig_open(&r, handle_401);
	ask(&r, KUBE_GET, "/x", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	CHECK_INT(r.n_requests, 2);
	CHECK_STR(text_of(&r.got), "0/1/401/Status;");
	rig_close(&r);
}

static void handle_429_first(struct rig *r, struct peer *p, const struct request *q)
{
	(void)r;
	if (q->n == 1)
		reply(p, 429, "Retry-After: 30\r\n", "{\"kind\":\"Status\"}");
	else
		reply(p, 200, "", "{\"kind\":\"Thing\"}");
}

static void test_retry_after(void)
{
	struct rig r;

	rig_open(&r, handle_429_first);
	ask(&r, KUBE_GET, "/a", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(text_of(&r.got), "0/1/429/Status;");
	buf_reset(&r.got);
	ask(&r, KUBE_GET, "/b", TIME_NEVER);
	ask(&r, KUBE_POST, "/late", clock_ms + 20000);
	ask(&r, KUBE_POST, "/intime", clock_ms + 40000);
	ask(&r, KUBE_POST, "/aborted", clock_ms + 50000);
	CHECK_INT(kube_in_flight(r.k), 4);
	for (int i = 0; i < 20; i++)
		(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	CHECK_INT(r.n_requests, 1); /* held back */
	clock_ms += 20001;
	kube_abort_deadlined(r.k); /* and here the timer sees the clock */
	UNTIL(&r, r.answers == 4);
	CHECK(got(&r, "-125/0/0/-;")); /* ECANCELED, both writes: their deadline is the leader's */
	CHECK_INT(r.n_requests, 1);
	buf_reset(&r.got);
	ask(&r, KUBE_POST, "/late", clock_ms + 5000);
	ask(&r, KUBE_POST, "/intime", clock_ms + 40000);
	clock_ms += 5001;
	ask(&r, KUBE_GET, "/c", TIME_NEVER);
	UNTIL(&r, r.answers == 5);
	CHECK_STR(text_of(&r.got), "-62/0/0/-;"); /* ETIME, not sent */
	CHECK_INT(r.counters.v[COUNTER_API_TOO_LATE], 1);
	buf_reset(&r.got);
	clock_ms += 5000;
	ask(&r, KUBE_GET, "/d", TIME_NEVER);
	UNTIL(&r, r.answers == 9);
	CHECK_STR(text_of(&r.got), "0/1/200/Thing;0/1/200/Thing;0/1/200/Thing;0/1/200/Thing;");
	CHECK(strstr(text_of(&r.seen), "/late") == NULL);
	CHECK(strstr(text_of(&r.seen), "/intime") != NULL);
	rig_close(&r);
}

static void handle_never(struct rig *r, struct peer *p, const struct request *q)
{
	(void)p;
	(void)q;
	buf_addc(&r->seen, '!');
}

static void test_abort(void)
{
	struct rig r;

	rig_open(&r, handle_never);
	ask(&r, KUBE_POST, "/w", clock_ms + 5000);
	ask(&r, KUBE_POST, "/event", TIME_NEVER);
	ask(&r, KUBE_GET, "/g", clock_ms + 5000);
	UNTIL(&r, r.n_requests == 3);
	kube_abort_deadlined(r.k);
	kube_abort_deadlined(r.k); /* twice is as good as once */
	CHECK_INT(r.answers, 0);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(text_of(&r.got), "-125/1/0/-;");
	CHECK_INT(kube_in_flight(r.k), 2);
	rig_close(&r); /* the others end too */
	CHECK_INT(r.answers, 3);
}

/* Nothing but GET leaves. */
static void test_read_only(void)
{
	static const enum kube_verb write[] = {KUBE_POST, KUBE_PUT, KUBE_MERGE_PATCH, KUBE_DELETE};
	struct rig r;

	rig_open(&r, handle_echo);
	kube_set_read_only(r.k);
	for (size_t i = 0; i < ARRAY_LEN(write); i++) {
		struct kube_request q = {
			.verb = write[i], .path = "/x", .not_after_ms = TIME_NEVER};

		CHECK_INT(kube_request(r.k, &q, on_answer, &r), -EROFS);
	}
	ask(&r, KUBE_GET, "/x", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(r.seen.p, "GET /pre/x; ;");
	rig_close(&r);
}

static void on_answer_close(void *ctx, const struct kube_answer *a)
{
	struct rig *r = ctx;
	struct kube_request q = {.verb = KUBE_GET, .path = "/x", .not_after_ms = TIME_NEVER};

	on_answer(ctx, a);
	if (r->answers == 1)
		kube_close(r->k, on_closed, r);
	CHECK_INT(kube_request(r->k, &q, on_answer, r), -ECANCELED);
}

static void test_close_from_callback(void)
{
	struct kube_request q = {.verb = KUBE_GET, .path = "/x", .not_after_ms = TIME_NEVER};
	struct rig r;

	rig_open(&r, handle_echo);
	CHECK_INT(kube_request(r.k, &q, on_answer_close, &r), 0);
	CHECK_INT(kube_request(r.k, &q, on_answer_close, &r), 0);
	UNTIL(&r, r.closed);
	CHECK_INT(r.answers, 2);
	r.k = NULL;
	rig_close(&r);
	kube_close(NULL, on_closed, &r);
}

static void test_close_while_held(void)
{
	struct rig r;

	rig_open(&r, handle_429_first);
	ask(&r, KUBE_GET, "/a", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	ask(&r, KUBE_GET, "/b", TIME_NEVER);
	ask(&r, KUBE_POST, "/c", clock_ms + 1);
	rig_close(&r);
	CHECK_INT(r.answers, 3);
}

static void test_refused_connection(void)
{
	struct rig r;
	char want[64];

	rig_open(&r, handle_echo);
	uv_close((uv_handle_t *)&r.listener, NULL);
	(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	ask(&r, KUBE_POST, "/x", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	(void)snprintf(want, sizeof want, "%d/0/0/-;", -ECONNREFUSED);
	CHECK_STR(text_of(&r.got), want);
	CHECK_INT(uv_tcp_init(&r.loop, &r.listener), 0); /* for rig_close() */
	rig_close(&r);
}

/* -- watches -- */

static void w_list_begin(void *ctx)
{
	buf_adds(&((struct rig *)ctx)->got, "begin;");
}

static void w_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	struct rig *r = ctx;
	const char *name = json_string(json_object(obj, "metadata"), "name");

	buf_addf(&r->got, "%c %s;", "AMD"[event], name != NULL ? name : "?");
	if (r->unwatch_on_object) {
		kube_unwatch(r->w);
		r->w = NULL;
	}
	if (r->relist_on_object)
		kube_relist(r->w);
	r->relist_on_object = false;
}

static void w_list_end(void *ctx, bool complete)
{
	buf_adds(&((struct rig *)ctx)->got, complete ? "end+;" : "end-;");
}

static void w_synced(void *ctx, bool synced)
{
	buf_adds(&((struct rig *)ctx)->got, synced ? "synced;" : "unsynced;");
}

static void w_missing(void *ctx)
{
	buf_adds(&((struct rig *)ctx)->got, "missing;");
}

static void w_forbidden(void *ctx)
{
	buf_adds(&((struct rig *)ctx)->got, "forbidden;");
}

static const struct kube_watch_ops w_ops = {
	w_list_begin, w_object, w_list_end, w_synced, w_missing, w_forbidden};

static void start_watch(struct rig *r)
{
	struct kube_watch_conf conf = {.path = "/things", .label_selector = "a=b"};

	r->w = kube_watch(r->k, &conf, &w_ops, r);
	CHECK(r->w != NULL);
	CHECK_STR(text_of(&r->got), "");
}

/* Two pages, then a stream that the test feeds. */
static void handle_things(struct rig *r, struct peer *p, const struct request *q)
{
	(void)r;
	CHECK(strncmp(q->path, "/pre/things?", 12) == 0);
	CHECK(strstr(q->path, "labelSelector=a%3Db") != NULL);
	if (strstr(q->path, "watch=true") != NULL)
		reply_stream(p);
	else if (strstr(q->path, "continue=t") != NULL)
		reply(p, 200, "",
			"{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{\"metadata\":{"
			"\"name\":\"b\"}}]}");
	else
		reply(p, 200, "",
			"{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"t\"},\"items\":[{"
			"\"metadata\":{\"name\":\"a\"}}]}");
}

#define ADDED(name, rv)                                                                            \
	"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"" name                           \
	"\",\"resourceVersion\":\"" rv "\"}}}\n"

static void test_watch(void)
{
	struct rig r;

	rig_open(&r, handle_things);
	start_watch(&r);
	UNTIL(&r, got(&r, "synced;"));
	CHECK_STR(text_of(&r.got), "begin;A a;A b;end+;synced;");
	CHECK(kube_watch_is_synced(r.w));
	CHECK_STR(kube_watch_error(r.w), "");
	stream_chunk(&r, ADDED("c", "6") ADDED("d", "7"));
	UNTIL(&r, got(&r, "A d;"));
	CHECK(strstr(text_of(&r.seen), "resourceVersion=5&") != NULL);

	check_row = "the server ends it: opened again from the last version";
	clock_ms += 60000;
	buf_reset(&r.got);
	peer_sends(r.stream, "0\r\n\r\n");
	UNTIL(&r, strstr(text_of(&r.seen), "resourceVersion=7&") != NULL);
	UNTIL(&r, r.counters.v[COUNTER_WATCH_OPENS] == 2);
	CHECK_STR(text_of(&r.got), "");
	CHECK(kube_watch_is_synced(r.w));

	check_row = "relist";
	kube_relist(r.w);
	UNTIL(&r, got(&r, "end+;") && r.counters.v[COUNTER_WATCH_OPENS] == 3);
	CHECK_STR(text_of(&r.got), "begin;A a;A b;end+;");

	check_row = "relist from inside a callback";
	buf_reset(&r.got);
	r.relist_on_object = true;
	stream_chunk(&r, ADDED("e", "8"));
	UNTIL(&r, r.counters.v[COUNTER_WATCH_OPENS] == 4);
	CHECK_STR(text_of(&r.got), "A e;begin;A a;A b;end+;");

	check_row = "unwatch from inside a callback: nothing more comes";
	buf_reset(&r.got);
	r.unwatch_on_object = true;
	stream_chunk(&r, ADDED("f", "9") ADDED("g", "10"));
	UNTIL(&r, got(&r, "A f;"));
	for (int i = 0; i < 20; i++)
		(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	CHECK_STR(text_of(&r.got), "A f;");
	rig_close(&r);
}

static void test_watch_garbage(void)
{
	struct rig r;

	rig_open(&r, handle_things);
	start_watch(&r);
	UNTIL(&r, got(&r, "synced;"));
	clock_ms += 60000;
	stream_chunk(&r, ADDED("c", "6") "\x01garbage");
	UNTIL(&r, kube_watch_error(r.w)[0] != '\0');
	clock_ms += 200;
	kube_abort_deadlined(r.k); /* so that the timer sees the clock */
	UNTIL(&r, strstr(text_of(&r.seen), "resourceVersion=6&") != NULL);
	UNTIL(&r, kube_watch_error(r.w)[0] == '\0');
	CHECK(strstr(text_of(&r.got), "unsynced;") == NULL);
	CHECK(r.stream != NULL);
	rig_close(&r); /* closes while live */
	CHECK(!got(&r, "unsynced;"));
}

static void handle_missing(struct rig *r, struct peer *p, const struct request *q)
{
	(void)r;
	(void)q;
	reply(p, 404, "", "404 page not found");
}

static void test_watch_missing(void)
{
	struct rig r;

	rig_open(&r, handle_missing);
	start_watch(&r);
	UNTIL(&r, got(&r, "missing;"));
	CHECK_STR(kube_watch_error(r.w), "HTTP 404");
	kube_unwatch(r.w);
	kube_unwatch(NULL);
	rig_close(&r);
}

static void handle_watch_401(struct rig *r, struct peer *p, const struct request *q)
{
	if (strcmp(q->authorization, "Bearer two") == 0) {
		handle_things(r, p, q);
		return;
	}
	rig_file(r, "token", "two\n");
	reply(p, 401, "", "{\"kind\":\"Status\",\"message\":\"who?\"}");
}

static void test_watch_unauthorized(void)
{
	struct rig r;

	rig_open(&r, handle_watch_401);
	start_watch(&r);
	UNTIL(&r, r.n_requests == 1 && kube_watch_error(r.w)[0] != '\0');
	CHECK_STR(kube_watch_error(r.w), "HTTP 401: who?");
	clock_ms += 200;
	kube_abort_deadlined(r.k);
	UNTIL(&r, got(&r, "synced;"));
	rig_close(&r);
}

static void handle_403(struct rig *r, struct peer *p, const struct request *q)
{
	const char *forbidden = "{\"kind\":\"Status\",\"message\":\"User \\\"u\\\" cannot watch "
				"resource \\\"things\\\"\"}";

	if (strstr(q->path, "/things") != NULL && strstr(q->path, "watch=true") == NULL)
		reply(p, 200, "", "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[]}");
	else if (strcmp(q->authorization, "Bearer two") != 0)
		reply(p, 403, "", forbidden);
	else if (strstr(q->path, "/things") != NULL)
		reply_stream(p);
	else
		reply(p, 404, "", "{}");
	(void)r;
}

static const char *refused_of(const struct rig *r)
{
	static char text[256];
	struct buf b;

	buf_init(&b, sizeof text - 1);
	for (const char *s = NULL; (s = kube_next_refused(r->k, s)) != NULL;)
		buf_addf(&b, "%s;", s);
	(void)snprintf(text, sizeof text, "%s", text_of(&b));
	buf_free(&b);
	return text;
}

/* What is refused with 403 is known by its right, until the server lets it through: the watch, not
 * the list before it; and a request, even if what it asks for is not there. */
static void test_rights(void)
{
	struct kube_watch_conf conf = {.path = "/api/v1/things"};
	struct rig r;

	rig_open(&r, handle_403);
	r.w = kube_watch(r.k, &conf, &w_ops, &r);
	CHECK(r.w != NULL);
	UNTIL(&r, kube_watch_error(r.w)[0] != '\0');
	CHECK_STR(refused_of(&r), "watch things;");
	CHECK(strstr(kube_watch_error(r.w), "403: User \"u\" cannot watch") != NULL);
	CHECK_INT(r.counters.v[COUNTER_API_STATUS_403], 1);
	ask(&r, KUBE_MERGE_PATCH, "/api/v1/namespaces/x/services/y/status", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(refused_of(&r), "patch services/status;watch things;");
	CHECK_INT(r.counters.v[COUNTER_API_STATUS_403], 2);
	rig_file(&r, "token", "two\n");
	clock_ms += 2 * 60 * 1000; /* the token is read again */
	ask(&r, KUBE_MERGE_PATCH, "/api/v1/namespaces/x/services/y/status", TIME_NEVER);
	UNTIL(&r, r.answers == 2);
	CHECK_STR(refused_of(&r), "watch things;");
	kube_abort_deadlined(r.k);
	UNTIL(&r, got(&r, "synced;"));
	CHECK_STR(refused_of(&r), "");
	rig_close(&r);
}

static void test_watch_refused(void)
{
	struct rig r;

	rig_open(&r, handle_things);
	uv_close((uv_handle_t *)&r.listener, NULL);
	(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	start_watch(&r);
	UNTIL(&r, kube_watch_error(r.w)[0] != '\0');
	CHECK(strstr(kube_watch_error(r.w), "efused") != NULL);
	CHECK_INT(uv_tcp_init(&r.loop, &r.listener), 0);
	rig_close(&r);
}

static void handle_429_then_things(struct rig *r, struct peer *p, const struct request *q)
{
	if (q->n == 1)
		reply(p, 429, "Retry-After: 9\r\n", "{}");
	else
		handle_things(r, p, q);
}

/* A 429 to a request holds back a watch that begins afterwards. */
static void test_watch_held(void)
{
	struct rig r;

	rig_open(&r, handle_429_then_things);
	ask(&r, KUBE_GET, "/x", TIME_NEVER);
	UNTIL(&r, r.answers == 1);
	buf_reset(&r.got);
	start_watch(&r);
	for (int i = 0; i < 20; i++)
		(void)uv_run(&r.loop, UV_RUN_NOWAIT);
	CHECK_INT(r.n_requests, 1);
	clock_ms += 9000;
	kube_abort_deadlined(r.k);
	UNTIL(&r, got(&r, "synced;"));
	rig_close(&r);
}

/* -- objects -- */

static void handle_objects(struct rig *r, struct peer *p, const struct request *q)
{
	buf_addf(&r->seen, "%s;", q->body);
	reply(p, 201, "", "{\"kind\":\"Lease\"}");
}

static void test_lease(void)
{
	struct lease_action a = {
		.verb = LEASE_CREATE,
		.name = "lbd-node-n1",
		.not_after_ms = TIME_NEVER,
		.timeout_ms = 1300,
		.role = CLUSTER_LEASE_NODE,
		.holder = "h",
		.transitions = -1,
	};
	struct rig r;

	rig_open(&r, handle_objects);
	CHECK_INT(kube_lease(r.k, "kube-system", &a, on_answer, &r), 0);
	UNTIL(&r, r.answers == 1);
	CHECK_STR(text_of(&r.seen),
		"POST "
		"/pre/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?timeout=1300ms;"
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
		"\"name\":\"lbd-node-n1\",\"namespace\":\"kube-system\",\"labels\":{\"lbd.io/"
		"lease\":\"node\"},\"annotations\":{\"lbd.io/schema\":\"1\"}},\"spec\":{"
		"\"holderIdentity\":\"h\"}};");
	buf_reset(&r.seen);
	a.verb = LEASE_GET;
	CHECK_INT(kube_lease(r.k, "kube-system", &a, on_answer, &r), 0);
	UNTIL(&r, r.answers == 2);
	CHECK_STR(text_of(&r.seen),
		"GET /pre/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lbd-node-n1;;");
	buf_reset(&r.seen);
	a.verb = LEASE_UPDATE;
	a.not_after_ms = clock_ms - 1; /* too late: not sent */
	CHECK_INT(kube_lease(r.k, "kube-system", &a, on_answer, &r), 0);
	UNTIL(&r, r.answers == 3);
	CHECK_STR(text_of(&r.seen), "");
	CHECK(got(&r, "-62/0/0/-;"));
	a.not_after_ms = clock_ms + 1000;
	CHECK_INT(kube_lease(r.k, "kube-system", &a, on_answer, &r), 0);
	UNTIL(&r, r.answers == 4);
	CHECK(starts(text_of(&r.seen), "PUT /pre/apis/"));
	CHECK(strstr(text_of(&r.seen), "/leases/lbd-node-n1?timeout=1300ms;") != NULL);
	rig_close(&r);
}

static void test_event(void)
{
	struct event_write w = {
		.name = "n1.0123",
		.object = {.kind = "Node", .name = "n1"},
		.reason = "R",
		.message = "m",
		.count = 1,
		.first_ms = clock_ms,
		.last_ms = clock_ms,
	};
	struct rig r;

	rig_open(&r, handle_objects);
	CHECK_INT(kube_event(r.k, &w, clock_ms, on_answer, &r), 0);
	UNTIL(&r, r.answers == 1);
	CHECK(starts(text_of(&r.seen), "POST /pre/api/v1/namespaces/default/events?timeout=10s;"));
	CHECK(strstr(text_of(&r.seen), "\"source\":{\"component\":\"lbd\",\"host\":\"n1\"}") !=
		NULL);
	buf_reset(&r.seen);
	w.update = true;
	w.object.namespace_ = "demo";
	CHECK_INT(kube_event(r.k, &w, clock_ms, on_answer, &r), 0);
	UNTIL(&r, r.answers == 2);
	CHECK(starts(text_of(&r.seen),
		"PATCH /pre/api/v1/namespaces/demo/events/n1.0123?timeout=10s;{\"count\":1,"));
	rig_close(&r);
}

static void test_outcomes(void)
{
	static const struct {
		int result;
		bool sent;
		unsigned status;
		bool body;
		enum lease_outcome lease;
		enum event_outcome post, patch;
	} rows[] = {
		{0, true, 200, true, LEASE_OK, EVENT_OK, EVENT_OK},
		{0, true, 201, true, LEASE_OK, EVENT_OK, EVENT_OK},
		{0, true, 200, false, LEASE_FAILED, EVENT_OK, EVENT_OK},
		{0, true, 400, true, LEASE_REFUSED, EVENT_REFUSED, EVENT_REFUSED},
		{0, true, 401, true, LEASE_REFUSED, EVENT_REFUSED, EVENT_REFUSED},
		{0, true, 403, true, LEASE_REFUSED, EVENT_REFUSED, EVENT_REFUSED},
		{0, true, 404, true, LEASE_NOT_FOUND, EVENT_GONE, EVENT_GONE},
		{0, true, 408, true, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
		{0, true, 409, true, LEASE_CONFLICT, EVENT_EXISTS, EVENT_REFUSED},
		{0, true, 422, true, LEASE_REFUSED, EVENT_REFUSED, EVENT_REFUSED},
		{0, true, 429, true, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
		{0, true, 500, true, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
		{0, true, 503, false, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
		{0, true, 302, false, LEASE_FAILED, EVENT_REFUSED, EVENT_REFUSED},
		{-ETIME, false, 0, false, LEASE_NOT_SENT, EVENT_FAILED, EVENT_FAILED},
		{-ECANCELED, false, 0, false, LEASE_NOT_SENT, EVENT_FAILED, EVENT_FAILED},
		{-ECANCELED, true, 0, false, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
		{-ECONNREFUSED, false, 0, false, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
		{-ETIMEDOUT, true, 0, false, LEASE_FAILED, EVENT_FAILED, EVENT_FAILED},
	};
	cJSON *body = cJSON_CreateObject();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kube_answer a = {.result = rows[i].result,
			.sent = rows[i].sent,
			.status = rows[i].status,
			.body = rows[i].body ? body : NULL,
			.err = ""};
		char row[32];

		(void)snprintf(row, sizeof row, "row %zu", i);
		check_row = row;
		CHECK_INT(kube_lease_outcome(&a), rows[i].lease);
		CHECK_INT(kube_event_outcome(&a, false), rows[i].post);
		CHECK_INT(kube_event_outcome(&a, true), rows[i].patch);
	}
	cJSON_Delete(body);
}

CHECK_MAIN("test_kube", CHECK_TEST(test_requests), CHECK_TEST(test_statuses),
	CHECK_TEST(test_long_answers), CHECK_TEST(test_unauthorized), CHECK_TEST(test_retry_after),
	CHECK_TEST(test_abort), CHECK_TEST(test_read_only), CHECK_TEST(test_close_from_callback),
	CHECK_TEST(test_close_while_held), CHECK_TEST(test_refused_connection),
	CHECK_TEST(test_watch), CHECK_TEST(test_watch_garbage), CHECK_TEST(test_watch_missing),
	CHECK_TEST(test_watch_unauthorized), CHECK_TEST(test_rights),
	CHECK_TEST(test_watch_refused), CHECK_TEST(test_watch_held), CHECK_TEST(test_lease),
	CHECK_TEST(test_event), CHECK_TEST(test_outcomes))
