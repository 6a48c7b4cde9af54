/* SPDX-License-Identifier: Apache-2.0
 *
 * control.c - the control socket.
 *
 * Owns: the listening socket and its file, the clients: for each a pipe, a timer, one request line,
 *       one answer.
 * In:   bytes -> control_parse() -> control_fn.
 * Out:  the answer's text; nothing more is read from a client until it is written.  One that takes
 *       long is made and written by a copy of the process (apart.h), one at a time.
 * Sources: unix(7); fchmod(2) on a socket before bind(2) sets the mode its file is born with.
 * Not done: no check of the peer's credentials; the file's mode decides who may connect.
 */
#include "control.h"

#include "apart.h"
#include "block.h"
#include "json.h"
#include "list.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 * 1024 }; /* taken in CONTROL_IDLE_MS, or the client goes */
enum { BACKLOG = 16, READ_BYTES = 16 * 1024, RETRY_MS = 1000 };
enum { SOCKET_MODE = 0660, FOLDER_MODE = 0755 };

struct control {
	uv_pipe_t listener;
	uv_timer_t retry;       /* of a connection that there was no memory for */
	struct link clients;    /* of client.link, owned */
	unsigned n_clients;
	unsigned n_handles; /* open or closing; the last one frees this */
	const struct control_ops *ops; /* borrowed, as is ctx */
	void *ctx;
	struct apart apart;
	struct client *apart_client; /* whose answer is made apart; NULL = nobody's */
	struct counters *counters; /* borrowed */
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	dev_t dev; /* of the socket's file, to remove no other */
	ino_t ino;
	char bytes[READ_BYTES]; /* of the read under way, whoever's it is */
};

struct client {
	struct link link;
	struct control *control; /* borrowed */
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	unsigned n_handles;
	struct buf in; /* what came and is not yet answered */
	char *answer;  /* owned; being written */
	char feed;     /* the line feed behind it */
	size_t unsent; /* at the last tick */
	bool active;   /* bytes moved since the last tick */
	bool reading;
	bool waits; /* its request is to be answered apart, after others */
	bool ended; /* no more requests: close once all is answered */
	bool closing;
};

/* -- requests and answers ---------------------------------------------------------------------- */

cJSON *control_parse(const char *line, size_t n, const char **ret_error)
{
	cJSON *o;

	if (n > CONTROL_MAX_REQUEST) {
		*ret_error = "the request is too long";
		return NULL;
	}
	if (n > 0 && line[n - 1] == '\r')
		n--;
	o = json_parse(line, n);
	if (o != NULL && cJSON_IsObject(o))
		return o;
	*ret_error = o == NULL ? "the request is not JSON" : "the request is not a JSON object";
	cJSON_Delete(o);
	return NULL;
}

static cJSON *error_answer(const char *text)
{
	cJSON *o = cJSON_CreateObject();

	if (o != NULL)
		(void)cJSON_AddStringToObject(o, "error", text);
	return o;
}

/* The answer's text, cJSON_free(); takes the tree over.  NULL when out of memory. */
static char *answer_text(cJSON *o)
{
	char *s = o != NULL ? cJSON_PrintUnformatted(o) : NULL;

	cJSON_Delete(o);
	if (s == NULL || strlen(s) < CONTROL_MAX_ANSWER)
		return s;
	cJSON_free(s);
	return answer_text(error_answer("the answer is too long"));
}

/* -- closing ----------------------------------------------------------------------------------- */

static void handle_closed(struct control *c)
{
	if (--c->n_handles > 0)
		return;
	if (c->closed != NULL)
		c->closed(c->closed_ctx);
	free(c);
}

static void on_client_closed(uv_handle_t *h)
{
	struct client *k = h->data;
	struct control *c = k->control;

	if (--k->n_handles == 0) {
		buf_free(&k->in);
		cJSON_free(k->answer);
		free(k);
	}
	handle_closed(c);
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
	if (k->control->apart_client == k) {
		apart_cancel(&k->control->apart);
		k->control->apart_client = NULL;
	}
	list_delete(&k->link);
	k->control->n_clients--;
	uv_close((uv_handle_t *)&k->pipe, on_client_closed);
	uv_close((uv_handle_t *)&k->timer, on_client_closed);
}

/* -- a client ---------------------------------------------------------------------------------- */

static void serve(struct client *k);

static void on_written(uv_write_t *req, int status)
{
	struct client *k = req->data;

	cJSON_free(k->answer);
	k->answer = NULL;
	k->active = true;
	if (k->closing)
		return;
	if (status < 0)
		client_close(k);
	else
		serve(k);
}

/* Takes the tree over. */
static void send_answer(struct client *k, cJSON *answer)
{
	uv_buf_t b[2];

	k->answer = answer_text(answer);
	if (k->answer == NULL) {
		client_close(k);
		return;
	}
	k->feed = '\n';
	k->write.data = k;
	b[0] = uv_buf_init(k->answer, (unsigned)strlen(k->answer));
	b[1] = uv_buf_init(&k->feed, 1);
	if (uv_write(&k->write, (uv_stream_t *)&k->pipe, b, ARRAY_LEN(b), on_written) < 0)
		client_close(k);
}

/* The length of the next request, and of its line feed; false when it is not all there. */
static bool next_line(const struct client *k, size_t *ret_n, size_t *ret_feed)
{
	const char *feed = k->in.len > 0 ? memchr(k->in.p, '\n', k->in.len) : NULL;

	*ret_n = feed != NULL ? (size_t)(feed - k->in.p) : k->in.len;
	*ret_feed = feed != NULL;
	return feed != NULL || (k->ended && k->in.len > 0) || k->in.len > CONTROL_MAX_REQUEST;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct client *k = h->data;

	(void)suggested;
	*b = uv_buf_init(k->control->bytes, READ_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct client *k = s->data;

	if (n < 0 && n != UV_EOF) {
		client_close(k);
		return;
	}
	if (n == 0)
		return;
	k->active = true;
	if (n > 0)
		buf_add(&k->in, b->base, (size_t)n);
	else
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
	if (!k->reading && uv_read_start((uv_stream_t *)&k->pipe, on_alloc, on_read) < 0)
		client_close(k);
	k->reading = true;
}

/* -- answers made apart -- */

struct apart_work {
	const struct control *control;
	const cJSON *request;
};

static bool send_chunks(int fd, const char *p, size_t n)
{
	while (n > 0) {
		size_t chunk = n < CHUNK_BYTES ? n : CHUNK_BYTES;

		if (block_send(fd, p, chunk, clock_now_ms() + CONTROL_IDLE_MS) < 0)
			return false;
		p += chunk;
		n -= chunk;
	}
	return true;
}

static bool answer_apart(void *ctx, int fd)
{
	const struct apart_work *w = ctx;
	char *text = answer_text(w->control->ops->answer(w->control->ctx, w->request));

	return text != NULL && send_chunks(fd, text, strlen(text)) && send_chunks(fd, "\n", 1);
}

static struct client *first_waiting(struct control *c)
{
	for (struct link *l = c->clients.next; l != &c->clients; l = l->next)
		if (client_of(l)->waits)
			return client_of(l);
	return NULL;
}

static void on_apart_done(struct apart *a, bool ok)
{
	struct control *c = CONTAINER_OF(a, struct control, apart);
	struct client *k = c->apart_client;

	c->apart_client = NULL;
	k->active = true;
	if (ok)
		serve(k);
	else
		client_close(k);
	while (!apart_is_busy(a) && (k = first_waiting(c)) != NULL) {
		k->waits = false;
		serve(k);
	}
}

/* false: it is to be answered here. */
static bool begin_apart(struct client *k, const cJSON *request)
{
	struct control *c = k->control;
	struct apart_work work = {c, request};
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&k->pipe, &fd) < 0 ||
		apart_start(&c->apart, fd, answer_apart, &work) != 0)
		return false;
	c->apart_client = k;
	return true;
}

/* -- serving -- */

/* The request is answered, and gone; what follows one that is too long is no request. */
static void drop_line(struct client *k, size_t n, size_t feed)
{
	if (n > CONTROL_MAX_REQUEST) {
		k->ended = true;
		n = k->in.len;
		feed = 0;
	}
	buf_drop(&k->in, n + feed);
}

/* Answers the next request, or reads on until there is one. */
static void serve(struct client *k)
{
	struct control *c = k->control;
	const char *error = "";
	cJSON *request, *answer;
	size_t n, feed;
	bool is_long;

	if (!next_line(k, &n, &feed)) {
		read_on(k);
		return;
	}
	(void)uv_read_stop((uv_stream_t *)&k->pipe);
	k->reading = false;
	request = control_parse(k->in.p, n, &error);
	is_long = request != NULL && c->ops->takes_long(c->ctx, request);
	k->waits = is_long && apart_is_busy(&c->apart);
	if (k->waits) {
		cJSON_Delete(request);
		return;
	}
	counter_inc(c->counters, COUNTER_CONTROL_REQUESTS);
	drop_line(k, n, feed);
	if (!is_long || !begin_apart(k, request)) {
		answer = request != NULL ? c->ops->answer(c->ctx, request) : error_answer(error);
		if (k->closing)
			cJSON_Delete(answer);
		else
			send_answer(k, answer);
	}
	cJSON_Delete(request);
}

/* A client that has not moved a byte since the last tick goes. */
static void on_tick(uv_timer_t *timer)
{
	struct client *k = timer->data;
	size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&k->pipe);

	if (!k->active && !k->waits && k->control->apart_client != k && unsent >= k->unsent)
		client_close(k);
	k->active = false;
	k->unsent = unsent;
}

static struct client *client_new(struct control *c)
{
	struct client *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->control = c;
	buf_init(&k->in, CONTROL_MAX_REQUEST + READ_BYTES);
	/* Neither can fail: no descriptor is opened yet. */
	REQUIRE(uv_pipe_init(c->listener.loop, &k->pipe, 0) == 0);
	REQUIRE(uv_timer_init(c->listener.loop, &k->timer) == 0);
	k->pipe.data = k->timer.data = k;
	k->n_handles = 2;
	c->n_handles += 2;
	list_add(&c->clients, &k->link);
	c->n_clients++;
	return k;
}

static void on_connection(uv_stream_t *listener, int status);

static void on_retry(uv_timer_t *timer)
{
	struct control *c = timer->data;

	on_connection((uv_stream_t *)&c->listener, 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct control *c = listener->data;
	struct client *k = status == 0 ? client_new(c) : NULL;

	if (status != 0)
		return;
	if (k == NULL) { /* libuv tells of no other connection until this one is accepted */
		(void)uv_timer_start(&c->retry, on_retry, RETRY_MS, 0);
	} else if (uv_accept(listener, (uv_stream_t *)&k->pipe) < 0 ||
		   uv_timer_start(&k->timer, on_tick, CONTROL_IDLE_MS, CONTROL_IDLE_MS) < 0) {
		client_close(k);
	} else if (c->n_clients > CONTROL_MAX_CLIENTS) {
		k->ended = true;
		send_answer(k, error_answer("too many clients"));
	} else {
		serve(k);
	}
}

/* -- listening --------------------------------------------------------------------------------- */

static int address_of(const char *path, struct sockaddr_un *ret_a)
{
	size_t n = strlen(path);

	*ret_a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (n == 0)
		return -EINVAL;
	if (n >= sizeof ret_a->sun_path)
		return -ENAMETOOLONG;
	memcpy(ret_a->sun_path, path, n + 1);
	return 0;
}

static int make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return -ENOENT;
	(void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	return mkdir(folder, FOLDER_MODE) == 0 ? 0 : -errno;
}

/* Is the file a socket that nobody listens on? */
static bool is_left_over(const struct sockaddr_un *a)
{
	struct stat st;
	bool refused;
	int fd;

	/* connect(2) to a file of another kind is refused as well. */
	if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED;
	(void)close(fd);
	return refused;
}

static int bind_once(int fd, const struct sockaddr_un *a)
{
	return bind(fd, (const struct sockaddr *)a, sizeof *a) < 0 ? -errno : 0;
}

static int bind_socket(int fd, const struct sockaddr_un *a)
{
	int r = fchmod(fd, SOCKET_MODE) < 0 ? -errno : bind_once(fd, a);

	if (r == -ENOENT) {
		r = make_folder(a->sun_path);
		if (r == 0)
			r = bind_once(fd, a);
	}
	if (r == -EADDRINUSE && is_left_over(a)) {
		if (unlink(a->sun_path) < 0)
			return -errno;
		r = bind_once(fd, a);
	}
	return r;
}

/* A bound socket whose file has its mode: the descriptor, or -errno and no file. */
static int open_socket(const char *path, struct stat *ret_st)
{
	struct sockaddr_un a;
	int r = address_of(path, &a), fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = bind_socket(fd, &a);
	if (r == 0 && (chmod(path, SOCKET_MODE) < 0 || lstat(path, ret_st) < 0)) {
		r = -errno;
		(void)unlink(path);
	}
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

static void on_own_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

static void remove_socket(const struct control *c)
{
	struct stat st;

	if (lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
		(void)unlink(c->path);
}

int control_open(uv_loop_t *loop, const char *path, const struct control_ops *ops, void *ctx,
	struct counters *counters, struct control **ret_control)
{
	struct stat st = {0};
	int fd = open_socket(path, &st), r;
	struct control *c;

	if (fd < 0)
		return fd;
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		(void)close(fd);
		(void)unlink(path);
		return -ENOMEM;
	}
	c->ops = ops;
	c->ctx = ctx;
	c->counters = counters;
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	(void)snprintf(c->path, sizeof c->path, "%s", path);
	REQUIRE(uv_pipe_init(loop, &c->listener, 0) == 0);
	REQUIRE(uv_timer_init(loop, &c->retry) == 0);
	REQUIRE(apart_init(&c->apart, loop, on_apart_done) == 0);
	c->listener.data = c->retry.data = c->apart.signal.data = c;
	c->n_handles = 3;
	list_init(&c->clients);
	r = uv_pipe_open(&c->listener, fd);
	if (r < 0)
		(void)close(fd);
	else
		r = uv_listen((uv_stream_t *)&c->listener, BACKLOG, on_connection);
	if (r < 0) {
		control_close(c, NULL, NULL);
		return r;
	}
	log_debug("control", "listening", "path", path, NULL);
	*ret_control = c;
	return 0;
}

void control_close(struct control *c, void (*closed)(void *ctx), void *ctx)
{
	if (c == NULL || c->closing)
		return;
	c->closing = true;
	c->closed = closed;
	c->closed_ctx = ctx;
	remove_socket(c);
	while (!list_is_empty(&c->clients))
		client_close(client_of(c->clients.next));
	uv_close((uv_handle_t *)&c->listener, on_own_closed);
	uv_close((uv_handle_t *)&c->retry, on_own_closed);
	uv_close((uv_handle_t *)&c->apart.signal, on_own_closed);
}

/* -- the client's side ------------------------------------------------------------------------- */

/* connect(2) to a busy server blocks for at most SO_SNDTIMEO, and says EAGAIN then. */
static int connect_to(const char *path, unsigned timeout_ms)
{
	struct timeval tv = {
		.tv_sec = timeout_ms / 1000, .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
	struct sockaddr_un a;
	int r = address_of(path, &a), fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0 &&
		connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	r = errno == EAGAIN ? -ETIMEDOUT : -errno;
	(void)close(fd);
	return r;
}

/* Reads up to the line feed, or to the end. */
static int receive_line(int fd, struct buf *b, uint64_t deadline_ms)
{
	char bytes[READ_BYTES];

	for (;;) {
		int r = block_wait(fd, POLLIN, deadline_ms);
		ssize_t n = r == 0 ? recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) : 0;

		if (r < 0)
			return r;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		buf_add(b, bytes, (size_t)n);
		if (b->bad)
			return -E2BIG;
		if (n == 0 || bytes[n - 1] == '\n')
			return 0;
	}
}

static int ask(int fd, const cJSON *request, uint64_t deadline_ms, cJSON **ret_answer)
{
	char *line = cJSON_PrintUnformatted(request);
	struct buf b;
	cJSON *answer;
	int r;

	if (line == NULL)
		return -ENOMEM;
	buf_init(&b, CONTROL_MAX_ANSWER);
	r = block_send(fd, line, strlen(line), deadline_ms);
	if (r == 0)
		r = block_send(fd, "\n", 1, deadline_ms);
	if (r == 0)
		r = receive_line(fd, &b, deadline_ms);
	cJSON_free(line);
	if (r == 0) {
		answer = b.len > 0 ? json_parse(b.p, b.len) : NULL;
		r = answer != NULL ? 0 : -EPROTO;
		if (answer != NULL)
			*ret_answer = answer;
	}
	buf_free(&b);
	return r;
}

int control_query(const char *path, const cJSON *request, unsigned timeout_ms, cJSON **ret_answer)
{
	uint64_t deadline_ms = clock_now_ms() + timeout_ms;
	int fd = connect_to(path, timeout_ms > 0 ? timeout_ms : 1), r;

	if (fd < 0)
		return fd;
	r = ask(fd, request, deadline_ms, ret_answer);
	(void)close(fd);
	return r;
}
