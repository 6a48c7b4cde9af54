/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd.c - a small HTTP/1.1 server.
 *
 * Owns: the listening sockets; the clients: for each a connection, a timer, one request's head, one
 *       answer.  Every uv handle is counted; the last close callback frees the whole.
 * In:   bytes -> http1_read_request() -> the path's handler.
 * Out:  the answer; nothing more is read from a client until it is written.  One that takes long is
 *       made and written by a copy of the process (apart.h), one at a time.
 * RFCs: 9112 (by http1.h), 9110 9.3.1, 9.3.2 (GET, HEAD), 15.5.6 (405).
 *
 * Every state of a client has an end that moving some bytes does not put off.  When there are too
 * many, the one that has been silent for longest goes: who only holds connections open keeps nobody
 * out.
 */
#include "httpd.h"

#include "apart.h"
#include "block.h"
#include "http1.h"
#include "list.h"
#include "log.h"
#include "sock.h"

#include <string.h>

enum { BACKLOG = 64, READ_BYTES = HTTPD_MAX_HEAD, AGAIN_MS = 1000 };
/* Connections are taken so many at a time: whoever makes them without end holds up nobody. */
enum { ACCEPTS = 4, PAUSE_MS = 2 };
/* When answers have taken so long, they rest: for others, and for a loop that pauses now and then
 * (rt.h). */
enum { WORK_NS = 1000 * 1000, REST_MS = 2 };
enum { MAX_QUERY = 256, HEAD_ROOM = 1024 };

struct listener {
	struct listener *next;
	uv_tcp_t tcp;
	uv_timer_t pause;
	struct httpd *h;
	struct addr addr;
	unsigned port;
	unsigned n_handles;
	uint64_t turn_ms; /* the loop's time when one was taken last, */
	unsigned taken;   /* and how many were then */
};

struct httpd {
	uv_loop_t *loop; /* borrowed, as the next three */
	const struct httpd_handler *handlers;
	void *ctx;
	struct counters *counters;
	struct listener *listeners;            /* owned */
	struct addr addr[HTTPD_MAX_ADDRESSES]; /* to listen on */
	size_t n_addr;
	unsigned port;
	bool complained[HTTPD_MAX_ADDRESSES]; /* that one cannot be had */
	uv_timer_t again;
	uv_timer_t resume;               /* of those that wait for the end of a rest */
	uint64_t spent_ns;               /* on answers since the last rest */
	uint64_t rest_until_ns;          /* of uv_hrtime() */
	struct link clients; /* of client.link, owned; the one that came first is the first */
	unsigned n_clients;
	unsigned n_handles; /* open or closing; the last one frees this */
	struct apart apart;
	struct client *apart_client; /* whose answer is made apart; NULL = nobody's */
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
	char bytes[READ_BYTES]; /* of the read under way, whoever's it is */
};

struct client {
	struct link link;
	struct httpd *h; /* borrowed */
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	unsigned n_handles;
	struct buf in;           /* what came and is not yet answered */
	struct buf head;         /* of the answer that is being written, */
	struct httpd_answer out; /* and the rest of it */
	unsigned n_requests;
	bool reading;
	bool writing;
	bool waits; /* its request is answered after others */
	bool last;  /* nothing is read behind the answer */
	bool ended; /* it sends no more */
	bool closing;
};

/* -- closing ----------------------------------------------------------------------------------- */

static void handle_closed(struct httpd *h)
{
	if (--h->n_handles > 0)
		return;
	if (h->closed != NULL)
		h->closed(h->closed_ctx);
	free(h);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *k = handle->data;
	struct httpd *h = k->h;

	if (--k->n_handles == 0) {
		buf_free(&k->in);
		buf_free(&k->head);
		buf_free(&k->out.body);
		free(k);
	}
	handle_closed(h);
}

static struct client *client_of(struct link *l)
{
	return CONTAINER_OF(l, struct client, link);
}

static void client_close(struct client *k)
{
	if (k->closing)
		return;
	k->closing = true;
	if (k->h->apart_client == k) {
		apart_cancel(&k->h->apart);
		k->h->apart_client = NULL;
	}
	list_delete(&k->link);
	k->h->n_clients--;
	uv_close((uv_handle_t *)&k->tcp, on_client_closed);
	uv_close((uv_handle_t *)&k->timer, on_client_closed);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void serve(struct client *k);

static void on_late(uv_timer_t *timer)
{
	struct client *k = timer->data;

	if (k->in.len > 0 || k->writing || k->waits)
		counter_inc(k->h->counters, COUNTER_HTTP_SLOW);
	client_close(k);
}

static void expect_in(struct client *k, uint64_t ms)
{
	if (uv_timer_start(&k->timer, on_late, ms, 0) < 0)
		client_close(k);
}

static void on_written(uv_write_t *req, int status)
{
	struct client *k = req->data;

	k->writing = false;
	buf_free(&k->out.body);
	buf_reset(&k->head);
	if (k->closing)
		return;
	if (status < 0 || k->last) {
		client_close(k);
		return;
	}
	expect_in(k, HTTPD_REQUEST_MS);
	serve(k);
}

static void print_head(const struct client *k, struct buf *out)
{
	http1_print_answer(k->out.status, k->out.type, k->out.body.len, !k->last, k->out.more, out);
}

/* Sends what is in k->out. */
static void send_answer(struct client *k, bool head_only)
{
	uv_buf_t b[2];

	print_head(k, &k->head);
	if (k->head.bad || k->out.body.bad) {
		client_close(k);
		return;
	}
	b[0] = uv_buf_init(k->head.p, (unsigned)k->head.len);
	b[1] = uv_buf_init(k->out.body.p, head_only ? 0 : (unsigned)k->out.body.len);
	k->write.data = k;
	k->writing = true;
	if (uv_write(&k->write, (uv_stream_t *)&k->tcp, b, b[1].len > 0 ? 2 : 1, on_written) < 0) {
		k->writing = false;
		client_close(k);
	}
}

static void begin_answer(struct client *k, unsigned status)
{
	buf_init(&k->out.body, HTTPD_MAX_ANSWER);
	k->out.status = status;
	k->out.type = "text/plain; charset=utf-8";
	k->out.more = "";
}

/* One without a handler. */
static void send_text(
	struct client *k, unsigned status, const char *text, bool head_only, const char *more)
{
	begin_answer(k, status);
	k->out.more = more;
	buf_adds(&k->out.body, text);
	buf_addc(&k->out.body, '\n');
	send_answer(k, head_only);
}

/* Nothing behind it can be understood. */
static void refuse(struct client *k, unsigned status, const char *text)
{
	counter_inc(k->h->counters, COUNTER_HTTP_BAD);
	k->last = true;
	buf_reset(&k->in);
	send_text(k, status, text, false, "");
}

/* -- answers made apart -- */

struct work {
	const struct httpd_handler *handler;
	const struct httpd_request *request;
	struct client *k;
	bool head_only;
};

static void make_answer(const struct work *w)
{
	struct client *k = w->k;

	begin_answer(k, 200);
	if (w->handler->answer(k->h->ctx, w->request, &k->out) && !k->out.body.bad)
		return;
	buf_free(&k->out.body);
	begin_answer(k, 500);
	buf_adds(&k->out.body, "out of memory\n");
}

static bool answer_apart(void *ctx, int fd)
{
	const struct work *w = ctx;
	uint64_t until_ms = clock_now_ms() + HTTPD_APART_MS;
	struct buf head;

	buf_init(&head, HEAD_ROOM);
	make_answer(w);
	print_head(w->k, &head);
	return !head.bad && !w->k->out.body.bad &&
	       block_send(fd, head.p, head.len, until_ms) == 0 &&
	       (w->head_only ||
		       block_send(fd, w->k->out.body.p, w->k->out.body.len, until_ms) == 0);
}

/* Each once, the one that came first before the others. */
static void serve_waiting(struct httpd *h)
{
	struct link *l = h->clients.next, *next;

	for (unsigned n = h->n_clients; l != &h->clients && n > 0; l = next, n--) {
		struct client *k = client_of(l);

		next = l->next;
		if (!k->waits)
			continue;
		k->waits = false;
		serve(k);
	}
}

static void on_apart_done(struct apart *a, bool ok)
{
	struct httpd *h = CONTAINER_OF(a, struct httpd, apart);
	struct client *k = h->apart_client;

	h->apart_client = NULL;
	if (ok && !k->last) {
		expect_in(k, HTTPD_REQUEST_MS);
		serve(k);
	} else {
		client_close(k);
	}
	serve_waiting(h);
}

/* false: it is to be answered here. */
static bool begin_apart(struct client *k, struct work *w)
{
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&k->tcp, &fd) < 0 ||
		apart_start(&k->h->apart, fd, answer_apart, w) != 0)
		return false;
	k->h->apart_client = k;
	return true;
}

/* -- requests ---------------------------------------------------------------------------------- */

static bool is(const char *p, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(p, word, n) == 0;
}

static const struct httpd_handler *find_handler(
	const struct httpd *h, const char *path, size_t path_len)
{
	for (const struct httpd_handler *x = h->handlers; x->path != NULL; x++)
		if (is(path, path_len, x->path))
			return x;
	return NULL;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *b)
{
	struct client *k = handle->data;

	(void)suggested;
	*b = uv_buf_init(k->h->bytes, READ_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct client *k = s->data;

	if (n < 0 && n != UV_EOF) {
		client_close(k);
		return;
	}
	if (n > 0)
		buf_add(&k->in, b->base, (size_t)n);
	else if (n < 0)
		k->ended = true;
	if (k->in.bad)
		client_close(k);
	else
		serve(k);
}

static void read_on(struct client *k)
{
	if (k->ended) {
		client_close(k);
		return;
	}
	if (!k->reading && uv_read_start((uv_stream_t *)&k->tcp, on_alloc, on_read) < 0)
		client_close(k);
	k->reading = true;
}

/* Answers what was asked; its head is still in k->in. */
static void answer(struct client *k, const struct http1_asked *a, size_t len)
{
	bool head_only = is(a->method, a->method_len, "HEAD");
	const struct httpd_handler *handler = find_handler(k->h, a->path, a->path_len);
	char query[MAX_QUERY] = "", host[HTTP1_MAX_HOST + 1] = "";
	struct httpd_request request = {
		.path = handler != NULL ? handler->path : "", .query = query, .host = host};
	struct work work = {handler, &request, k, head_only};
	bool is_long;

	if (a->query_len < sizeof query)
		memcpy(query, a->query, a->query_len);
	if (a->host != NULL)
		memcpy(host, a->host, a->host_len);
	is_long = handler != NULL && handler->takes_long != NULL &&
		  handler->takes_long(k->h->ctx, &request);
	k->waits = is_long && apart_is_busy(&k->h->apart);
	if (k->waits)
		return;
	counter_inc(k->h->counters, COUNTER_HTTP_REQUESTS);
	k->last = !a->keep_alive || ++k->n_requests >= HTTPD_MAX_REQUESTS;
	if (!head_only && !is(a->method, a->method_len, "GET")) {
		send_text(k, 405, "only GET and HEAD", false, "Allow: GET, HEAD\r\n");
	} else if (handler == NULL) {
		send_text(k, 404, "not found", head_only, "");
	} else if (!is_long || !begin_apart(k, &work)) {
		make_answer(&work);
		send_answer(k, head_only);
	}
	buf_drop(&k->in, len);
}

static void on_resume(uv_timer_t *t)
{
	serve_waiting(t->data);
}

/* Then it is served later. */
static bool must_rest(struct client *k)
{
	struct httpd *h = k->h;

	k->waits = uv_hrtime() < h->rest_until_ns;
	if (!k->waits || uv_is_active((uv_handle_t *)&h->resume))
		return k->waits;
	uv_update_time(h->loop); /* else the rest has passed when it begins */
	return uv_timer_start(&h->resume, on_resume, REST_MS, 0) == 0;
}

static void answer_in_turn(struct client *k, const struct http1_asked *a, size_t len)
{
	struct httpd *h = k->h;
	uint64_t began_ns = uv_hrtime(), ended_ns;

	if (must_rest(k))
		return;
	answer(k, a, len);
	ended_ns = uv_hrtime();
	h->spent_ns += ended_ns - began_ns;
	if (h->spent_ns < WORK_NS)
		return;
	h->spent_ns = 0;
	h->rest_until_ns = ended_ns + REST_MS * 1000ull * 1000;
}

static const char *refusal(enum http1_error e)
{
	return e == HTTP1_BAD_STATUS_LINE ? "not a request of HTTP/1.1"
	       : e == HTTP1_BAD_LENGTH    ? "a malformed or contradictory Content-Length"
					  : "a malformed header line";
}

/* Answers the next request, or reads on until there is one. */
static void serve(struct client *k)
{
	struct http1_asked a;
	size_t len = 0;
	enum http1_error e = HTTP1_TRUNCATED;

	if (k->closing || k->writing || k->h->apart_client == k)
		return;
	if (k->in.len > 0)
		e = http1_read_request(k->in.p, k->in.len, &a, &len);
	if (e == HTTP1_TRUNCATED && k->in.len <= HTTPD_MAX_HEAD) {
		read_on(k);
		return;
	}
	(void)uv_read_stop((uv_stream_t *)&k->tcp);
	k->reading = false;
	expect_in(k, HTTPD_ANSWER_MS);
	/* Served again it is the one that came last. */
	list_delete(&k->link);
	list_add(&k->h->clients, &k->link);
	if (e == HTTP1_TRUNCATED || len > HTTPD_MAX_HEAD)
		refuse(k, 431, "the request is too long");
	else if (e != HTTP1_OK)
		refuse(k, 400, refusal(e));
	else if (a.has_body)
		refuse(k, 400, "a request with a body");
	else
		answer_in_turn(k, &a, len);
}

/* -- connections ------------------------------------------------------------------------------- */

static struct client *client_new(struct httpd *h)
{
	struct client *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->h = h;
	buf_init(&k->in, HTTPD_MAX_HEAD + READ_BYTES);
	buf_init(&k->head, HEAD_ROOM);
	/* Neither can fail: no descriptor is opened yet. */
	REQUIRE(uv_tcp_init(h->loop, &k->tcp) == 0);
	REQUIRE(uv_timer_init(h->loop, &k->timer) == 0);
	k->tcp.data = k->timer.data = k;
	k->n_handles = 2;
	h->n_handles += 2;
	list_add(&h->clients, &k->link);
	h->n_clients++;
	return k;
}

/* One goes for another: the first to have come of those that are owed nothing. */
static void make_room(struct httpd *h)
{
	counter_inc(h->counters, COUNTER_HTTP_CROWDED);
	for (struct link *l = h->clients.next; l != &h->clients; l = l->next) {
		struct client *k = client_of(l);

		if (k->writing || k->waits || h->apart_client == k)
			continue;
		client_close(k);
		return;
	}
}

static void on_connection(uv_stream_t *s, int status);

static void on_pause_over(uv_timer_t *timer)
{
	struct listener *l = timer->data;

	l->taken = 0;
	on_connection((uv_stream_t *)&l->tcp, 0);
}

static bool takes_too_many(struct listener *l)
{
	uint64_t turn_ms = uv_now(l->h->loop);

	if (turn_ms != l->turn_ms)
		l->taken = 0;
	l->turn_ms = turn_ms;
	return ++l->taken > ACCEPTS;
}

/* libuv tells of no other connection until this one is accepted. */
static void on_connection(uv_stream_t *s, int status)
{
	struct listener *l = s->data;
	struct httpd *h = l->h;
	struct client *k;

	if (status != 0)
		return;
	k = takes_too_many(l) ? NULL : client_new(h);
	if (k == NULL) {
		(void)uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
		return;
	}
	if (uv_accept(s, (uv_stream_t *)&k->tcp) < 0) {
		client_close(k);
		return;
	}
	if (h->n_clients > HTTPD_MAX_CLIENTS)
		make_room(h);
	if (h->n_clients > HTTPD_MAX_CLIENTS) {
		client_close(k);
		return;
	}
	expect_in(k, HTTPD_REQUEST_MS);
	serve(k);
}

/* -- listening --------------------------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	struct httpd *h = l->h;

	if (--l->n_handles == 0)
		free(l);
	handle_closed(h);
}

/* Takes it out of the list at *at. */
static void drop_listener(struct listener **at)
{
	struct listener *l = *at;

	*at = l->next;
	uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
	uv_close((uv_handle_t *)&l->pause, on_listener_closed);
}

static int bind_and_listen(struct listener *l, struct addr a)
{
	struct sockaddr_storage s;
	int r;

	(void)sock_from_address(a, l->port, 0, &s);
	r = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&s, 0);
	return r < 0 ? r : uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
}

static int open_listener(struct httpd *h, struct addr a)
{
	struct listener *l = calloc(1, sizeof *l);
	int r;

	if (l == NULL)
		return -ENOMEM;
	l->h = h;
	l->addr = a;
	l->port = h->port;
	REQUIRE(uv_tcp_init(h->loop, &l->tcp) == 0);
	REQUIRE(uv_timer_init(h->loop, &l->pause) == 0);
	l->tcp.data = l->pause.data = l;
	l->n_handles = 2;
	h->n_handles += 2;
	l->next = h->listeners;
	h->listeners = l;
	r = bind_and_listen(l, a);
	if (r == -EAFNOSUPPORT && addr_eq(a, addr_from_v6((const uint8_t[16]){0})))
		r = bind_and_listen(l, addr_from_v4((const uint8_t[4]){0}));
	if (r < 0)
		drop_listener(&h->listeners);
	return r;
}

static bool is_open(const struct httpd *h, struct addr a)
{
	for (const struct listener *l = h->listeners; l != NULL; l = l->next)
		if (l->port == h->port && addr_eq(l->addr, a))
			return true;
	return false;
}

static void complain(struct addr a, unsigned port, int err)
{
	char at[ADDR_STRLEN], number[24];

	log_error("http",
		err == -EADDRINUSE ? "cannot listen: another program has the port"
				   : "cannot listen",
		"address", addr_format(a, at), "port", log_number((int64_t)port, number), "err",
		strerror(-err), NULL);
}

static void open_missing(struct httpd *h)
{
	char at[ADDR_STRLEN], number[24];
	bool again = false;

	for (size_t i = 0; i < h->n_addr; i++) {
		int err;

		if (is_open(h, h->addr[i]))
			continue;
		err = open_listener(h, h->addr[i]);
		if (err == 0)
			log_info("http", "listening", "address", addr_format(h->addr[i], at),
				"port", log_number((int64_t)h->port, number), NULL);
		else if (!h->complained[i])
			complain(h->addr[i], h->port, err);
		h->complained[i] = err != 0;
		again |= err != 0;
	}
	if (again)
		(void)uv_timer_start(&h->again, h->again.timer_cb, AGAIN_MS, 0);
}

static void on_again(uv_timer_t *t)
{
	open_missing(t->data);
}

static bool is_wanted(const struct httpd *h, const struct listener *l)
{
	for (size_t i = 0; i < h->n_addr; i++)
		if (l->port == h->port && addr_eq(l->addr, h->addr[i]))
			return true;
	return false;
}

static bool is_same(const struct httpd *h, const struct addr *v, size_t n, unsigned port)
{
	bool same = n == h->n_addr && port == h->port;

	for (size_t i = 0; same && i < n; i++)
		same = addr_eq(v[i], h->addr[i]);
	return same;
}

void httpd_listen(struct httpd *h, const struct addr *v, size_t n, unsigned port)
{
	n = n < HTTPD_MAX_ADDRESSES ? n : HTTPD_MAX_ADDRESSES;
	if (is_same(h, v, n, port))
		return;
	for (size_t i = 0; i < n; i++)
		h->addr[i] = v[i];
	h->n_addr = n;
	h->port = port;
	memset(h->complained, 0, sizeof h->complained);
	for (struct listener **at = &h->listeners; *at != NULL;) {
		if (is_wanted(h, *at))
			at = &(*at)->next;
		else
			drop_listener(at);
	}
	/* From the loop: what was just closed is free then. */
	(void)uv_timer_start(&h->again, on_again, 0, 0);
}

/* -- life -------------------------------------------------------------------------------------- */

static void on_own_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

int httpd_open(uv_loop_t *loop, const struct httpd_handler *handlers, void *ctx,
	struct counters *counters, struct httpd **ret_h)
{
	struct httpd *h = calloc(1, sizeof *h);

	if (h == NULL)
		return -ENOMEM;
	h->loop = loop;
	h->handlers = handlers;
	h->ctx = ctx;
	h->counters = counters;
	REQUIRE(uv_timer_init(loop, &h->again) == 0);
	REQUIRE(uv_timer_init(loop, &h->resume) == 0);
	REQUIRE(apart_init(&h->apart, loop, on_apart_done) == 0);
	h->again.data = h->resume.data = h->apart.signal.data = h;
	h->n_handles = 3;
	list_init(&h->clients);
	*ret_h = h;
	return 0;
}

void httpd_close(struct httpd *h, void (*closed)(void *ctx), void *ctx)
{
	if (h == NULL || h->closing)
		return;
	h->closing = true;
	h->closed = closed;
	h->closed_ctx = ctx;
	while (!list_is_empty(&h->clients))
		client_close(client_of(h->clients.next));
	while (h->listeners != NULL)
		drop_listener(&h->listeners);
	uv_close((uv_handle_t *)&h->again, on_own_closed);
	uv_close((uv_handle_t *)&h->resume, on_own_closed);
	uv_close((uv_handle_t *)&h->apart.signal, on_own_closed);
}
