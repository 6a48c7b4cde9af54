/* SPDX-License-Identifier: Apache-2.0
 *
 * test_httpd.c - the HTTP server: requests, limits, clients that misbehave, addresses that change.
 */
#include "httpd.h"

#include "check.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* -- the timers of the client that came last, to be fired by hand -- */

typedef int timer_start_fn(uv_timer_t *h, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);

static struct {
	uv_timer_t *timer;
	uv_timer_cb fire;
	uint64_t ms;
} late;

int uv_timer_start(uv_timer_t *h, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	timer_start_fn *real;
	void *symbol = dlsym(RTLD_NEXT, "uv_timer_start");

	if (timeout == HTTPD_REQUEST_MS || timeout == HTTPD_ANSWER_MS) {
		late.timer = h;
		late.fire = cb;
		late.ms = timeout;
	}
	memcpy(&real, &symbol, sizeof real);
	return real(h, cb, timeout, repeat);
}

/* -- a server on a loop of its own -- */

struct server {
	uv_loop_t loop;
	struct httpd *httpd;
	struct counters counters;
	unsigned port;
	size_t fill; /* bytes of /big */
	bool is_long, closed;
};

static bool answer_echo(void *ctx, const struct httpd_request *r, struct httpd_answer *a)
{
	(void)ctx;
	buf_addf(&a->body, "%s?%s", r->path, r->query);
	return true;
}

static bool answer_big(void *ctx, const struct httpd_request *r, struct httpd_answer *a)
{
	const struct server *s = ctx;

	(void)r;
	a->type = "x/y";
	a->status = 503;
	for (size_t i = 0; i < s->fill; i++)
		buf_addc(&a->body, i + 1 < s->fill ? 'a' : 'z');
	return true;
}

static bool big_takes_long(void *ctx, const struct httpd_request *r)
{
	return ((const struct server *)ctx)->is_long || strcmp(r->host, "apart") == 0;
}

static bool answer_nothing(void *ctx, const struct httpd_request *r, struct httpd_answer *a)
{
	(void)ctx;
	(void)r;
	buf_adds(&a->body, "half of it");
	return false;
}

static bool answer_host(void *ctx, const struct httpd_request *r, struct httpd_answer *a)
{
	(void)ctx;
	buf_addf(&a->body, "(%s)", r->host);
	a->more = "X-More: yes\r\n";
	return true;
}

static const struct httpd_handler handlers[] = {{"/echo", NULL, answer_echo},
	{"/host", big_takes_long, answer_host}, {"/big", big_takes_long, answer_big},
	{"/none", NULL, answer_nothing}, {NULL, NULL, NULL}};

static struct addr at_v4(unsigned last)
{
	return addr_from_v4((const uint8_t[4]){127, 0, 0, (uint8_t)last});
}

static struct sockaddr_in place(unsigned last, unsigned port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = {htonl(0x7f000000u | last)}};
}

/* Bound to a port that was free, and listening. */
static int take_port(unsigned last, unsigned *io_port)
{
	struct sockaddr_in in = place(last, *io_port);
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(fd, 5) != 0 ||
		getsockname(fd, (struct sockaddr *)&in, &len) != 0)
		abort();
	*io_port = ntohs(in.sin_port);
	return fd;
}

static bool can_connect(struct server *s, unsigned last)
{
	struct sockaddr_in in = place(last, s->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&in, sizeof in) == 0;

	(void)close(fd);
	return ok;
}

/* Until the loop or the client has something to do. */
static void turn(struct server *s, int client)
{
	struct pollfd p[] = {{.fd = uv_backend_fd(&s->loop), .events = POLLIN},
		{.fd = client, .events = POLLIN}};

	(void)poll(p, ARRAY_LEN(p), uv_backend_timeout(&s->loop));
	(void)uv_run(&s->loop, UV_RUN_NOWAIT);
}

static void start(struct server *s)
{
	struct addr a = at_v4(1);

	*s = (struct server){.fill = 10};
	(void)close(take_port(1, &s->port));
	CHECK_INT(uv_loop_init(&s->loop), 0);
	CHECK_INT(httpd_open(&s->loop, handlers, s, &s->counters, &s->httpd), 0);
	httpd_listen(s->httpd, &a, 1, s->port);
	while (!can_connect(s, 1))
		(void)uv_run(&s->loop, UV_RUN_NOWAIT);
}

static void on_closed(void *ctx)
{
	((struct server *)ctx)->closed = true;
}

static void stop(struct server *s)
{
	httpd_close(s->httpd, on_closed, s);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	CHECK(s->closed);
	CHECK_INT(uv_loop_close(&s->loop), 0);
}

/* -- clients -- */

static int dial(struct server *s)
{
	struct sockaddr_in in = place(1, s->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof in) != 0)
		abort();
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* What comes until the text ends like that, or the connection does.  Returns whether it is still
 * open. */
static bool read_to(struct server *s, int fd, const char *end, struct buf *got)
{
	for (;;) {
		char bytes[65536];
		ssize_t n = recv(fd, bytes, sizeof bytes, 0);

		if (n > 0)
			buf_add(got, bytes, (size_t)n);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (end != NULL && got->len >= strlen(end) &&
			strcmp(got->p + got->len - strlen(end), end) == 0)
			return true;
		if (n < 0)
			turn(s, fd);
	}
}

static void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (long long)strlen(text));
}

#define FIELDS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
#define PLAIN  "Content-Type: text/plain; charset=utf-8\r\n"

static void test_requests(void)
{
	static const struct {
		const char *name, *in, *want;
		bool stays;
	} rows[] = {
		{"get", "GET /echo HTTP/1.1\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 6\r\n" FIELDS "\r\n/echo?",
			true},
		{"query", "GET /echo?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 9\r\n" FIELDS "\r\n/echo?a=b",
			true},
		{"head", "HEAD /echo HTTP/1.1\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 6\r\n" FIELDS "\r\n", true},
		{"old", "GET /echo HTTP/1.0\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 6\r\n" FIELDS
			"Connection: close\r\n\r\n/echo?",
			false},
		{"another status and type", "GET /big HTTP/1.1\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 503 Service Unavailable\r\nContent-Type: x/y\r\nContent-Length: "
			"10\r\n" FIELDS "Connection: close\r\n\r\naaaaaaaaaz",
			false},
		{"out of memory", "GET /none HTTP/1.1\r\n\r\n",
			"HTTP/1.1 500 Internal Server Error\r\n" PLAIN
			"Content-Length: 14\r\n" FIELDS "\r\nout of memory\n",
			true},
		{"host, and more fields", "GET /host HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 10\r\n" FIELDS
			"X-More: yes\r\n\r\n([::1]:80)",
			true},
		{"the same, made apart", "GET /host HTTP/1.1\r\nHost: apart\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 7\r\n" FIELDS
			"X-More: yes\r\n\r\n(apart)",
			true},
		{"no host", "GET /host HTTP/1.1\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 2\r\n" FIELDS
			"X-More: yes\r\n\r\n()",
			true},
		{"no such path", "GET /echo/ HTTP/1.1\r\n\r\n",
			"HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 10\r\n" FIELDS
			"\r\nnot found\n",
			true},
		{"no such path, head", "HEAD /ech HTTP/1.1\r\n\r\n",
			"HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 10\r\n" FIELDS "\r\n",
			true},
		{"method", "DELETE /echo HTTP/1.1\r\n\r\n",
			"HTTP/1.1 405 Method Not Allowed\r\n" PLAIN "Content-Length: 18\r\n" FIELDS
			"Allow: GET, HEAD\r\n\r\nonly GET and HEAD\n",
			true},
		{"pipelined", "GET /echo HTTP/1.1\r\n\r\nGET /echo?2 HTTP/1.0\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 6\r\n" FIELDS
			"\r\n/echo?HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 7\r\n" FIELDS
			"Connection: close\r\n\r\n/echo?2",
			false},
		{"a body is no request",
			"GET /echo HTTP/1.1\r\nContent-Length: 23\r\n\r\n"
			"GET /big HTTP/1.1\r\n\r\n\r\n",
			"HTTP/1.1 400 Bad Request\r\n" PLAIN "Content-Length: 22\r\n" FIELDS
			"Connection: close\r\n\r\na request with a body\n",
			false},
		{"garbage", "\x16\x03\x01\r\n",
			"HTTP/1.1 400 Bad Request\r\n" PLAIN "Content-Length: 26\r\n" FIELDS
			"Connection: close\r\n\r\nnot a request of HTTP/1.1\n",
			false},
	};
	struct server s;

	start(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = dial(&s);
		struct buf got;

		check_row = rows[i].name;
		buf_init(&got, 100000);
		say(fd, rows[i].in);
		CHECK(read_to(&s, fd, rows[i].stays ? rows[i].want : NULL, &got) == rows[i].stays);
		CHECK_STR(got.p, rows[i].want);
		(void)close(fd);
		buf_free(&got);
	}
	CHECK_INT(s.counters.v[COUNTER_HTTP_BAD], 2);
	CHECK_INT(s.counters.v[COUNTER_HTTP_REQUESTS], ARRAY_LEN(rows) - 1);
	stop(&s);
}

/* Byte by byte it is the same request; one that never ends is refused at the limit. */
static void test_pieces(void)
{
	static const char in[] = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";
	static char line[HTTPD_MAX_HEAD + 3];
	struct server s;
	struct buf got;
	int fd;

	start(&s);
	fd = dial(&s);
	buf_init(&got, 100000);
	for (size_t i = 0; i + 1 < sizeof in; i++) {
		CHECK_INT(send(fd, &in[i], 1, MSG_NOSIGNAL), 1);
		(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	}
	CHECK(read_to(&s, fd, "/echo?", &got));
	memset(line, 'x', sizeof line - 1);
	say(fd, line);
	buf_reset(&got);
	CHECK(!read_to(&s, fd, NULL, &got));
	CHECK(got.p != NULL && strncmp(got.p, "HTTP/1.1 431 ", 13) == 0);
	(void)close(fd);
	buf_free(&got);
	stop(&s);
}

/* A connection is not for ever. */
static void test_many_requests(void)
{
	struct server s;
	struct buf got;
	unsigned n = 0;
	int fd;

	start(&s);
	fd = dial(&s);
	for (bool open = true; open; n++) {
		buf_init(&got, 100000);
		say(fd, "GET /echo HTTP/1.1\r\n\r\n");
		open = read_to(&s, fd, n + 1 < HTTPD_MAX_REQUESTS ? "/echo?" : NULL, &got);
		CHECK((strstr(got.p, "Connection: close") == NULL) == open);
		buf_free(&got);
	}
	CHECK_INT(n, HTTPD_MAX_REQUESTS);
	(void)close(fd);
	stop(&s);
}

/* Who holds connections open keeps nobody out: the first of them goes. */
static void test_crowd(void)
{
	int fd[HTTPD_MAX_CLIENTS + 8];
	struct server s;
	struct buf got;

	start(&s);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = dial(&s);
		buf_init(&got, 100000);
		say(fd[i], "GET /echo HTTP/1.1\r\n\r\nGET /e");
		CHECK(read_to(&s, fd[i], "/echo?", &got));
		buf_free(&got);
	}
	CHECK(s.counters.v[COUNTER_HTTP_CROWDED] >= 8);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		char c;
		bool gone = recv(fd[i], &c, 1, 0) == 0;

		CHECK(gone == (i < 8));
		(void)close(fd[i]);
	}
	stop(&s);
}

static void fire(struct server *s)
{
	late.fire(late.timer);
	(void)uv_run(&s->loop, UV_RUN_NOWAIT);
}

static bool is_gone(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* A request must be there in time, however its bytes trickle; an answer must be taken in time. */
static void test_slow(void)
{
	struct server s;
	int fd;

	start(&s);
	fd = dial(&s);
	late.timer = NULL;
	while (late.timer == NULL)
		turn(&s, -1);
	say(fd, "GET");
	turn(&s, -1);
	CHECK_INT(late.ms, HTTPD_REQUEST_MS);
	CHECK(!is_gone(fd));
	fire(&s);
	CHECK(is_gone(fd));
	CHECK_INT(s.counters.v[COUNTER_HTTP_SLOW], 1);
	(void)close(fd);

	s.fill = 32 * 1024 * 1024;
	fd = dial(&s);
	say(fd, "GET /big HTTP/1.1\r\n\r\n");
	while (s.counters.v[COUNTER_HTTP_REQUESTS] == 0)
		turn(&s, -1);
	CHECK_INT(late.ms, HTTPD_ANSWER_MS);
	fire(&s);
	CHECK_INT(s.counters.v[COUNTER_HTTP_SLOW], 2);
	(void)close(fd);
	stop(&s);
}

/* Answers made apart come one after the other, on connections that stay. */
static void test_apart(void)
{
	int fd[3];
	struct server s;

	start(&s);
	s.is_long = true;
	s.fill = 1000000;
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = dial(&s);
		say(fd[i], i == 2 ? "HEAD /big HTTP/1.1\r\n\r\n" : "GET /big HTTP/1.1\r\n\r\n");
	}
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		const char *end = i == 2 ? "nosniff\r\n\r\n" : "z";
		struct buf got;

		buf_init(&got, 2000000);
		CHECK(read_to(&s, fd[i], end, &got));
		CHECK(strstr(got.p, "Content-Length: 1000000\r\n") != NULL);
		buf_reset(&got);
		say(fd[i], "GET /echo HTTP/1.1\r\n\r\n");
		CHECK(read_to(&s, fd[i], "/echo?", &got));
		buf_free(&got);
	}
	/* one that goes while its answer is made takes the copy with it */
	say(fd[0], "GET /big HTTP/1.0\r\n\r\n");
	while (s.counters.v[COUNTER_HTTP_REQUESTS] < 7)
		turn(&s, -1);
	fire(&s);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		(void)close(fd[i]);
	stop(&s);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
}

/* When answers took long, the next one waits for another turn of the loop. */
static void test_rest(void)
{
	enum { CLIENTS = 3 };
	int fd[CLIENTS];
	uint64_t before = 0;
	struct server s;

	start(&s);
	s.fill = 4 * 1000 * 1000; /* some milliseconds' work */
	for (size_t i = 0; i < CLIENTS; i++) {
		fd[i] = dial(&s);
		turn(&s, -1);
	}
	for (size_t i = 0; i < CLIENTS; i++)
		say(fd[i], "GET /big HTTP/1.0\r\n\r\n");
	while (before < CLIENTS) {
		turn(&s, -1);
		CHECK(s.counters.v[COUNTER_HTTP_REQUESTS] <= before + 1);
		before = s.counters.v[COUNTER_HTTP_REQUESTS];
	}
	for (size_t i = 0; i < CLIENTS; i++)
		(void)close(fd[i]);
	stop(&s);
}

/* An address that is taken is tried again; those that stay are not touched; none is nowhere. */
static void test_addresses(void)
{
	struct addr v[2] = {at_v4(1), at_v4(2)};
	struct server s;
	struct buf got;
	int taken, fd;

	start(&s);
	fd = dial(&s);
	taken = take_port(2, &s.port);
	httpd_listen(s.httpd, v, 2, s.port);
	turn(&s, -1);
	(void)close(taken);
	CHECK(can_connect(&s, 1));
	while (!can_connect(&s, 2))
		turn(&s, -1);
	httpd_listen(s.httpd, &v[1], 1, s.port);
	(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	CHECK(!can_connect(&s, 1));
	CHECK(can_connect(&s, 2));
	buf_init(&got, 1000);
	say(fd, "GET /echo HTTP/1.1\r\n\r\n"); /* a client stays */
	CHECK(read_to(&s, fd, "/echo?", &got));
	httpd_listen(s.httpd, v, 0, s.port);
	(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	CHECK(!can_connect(&s, 2));
	(void)close(fd);
	buf_free(&got);
	stop(&s);
}

CHECK_MAIN("test_httpd", CHECK_TEST(test_requests), CHECK_TEST(test_pieces),
	CHECK_TEST(test_many_requests), CHECK_TEST(test_crowd), CHECK_TEST(test_slow),
	CHECK_TEST(test_apart), CHECK_TEST(test_rest), CHECK_TEST(test_addresses))
