/* SPDX-License-Identifier: Apache-2.0
 *
 * test_control.c - the control socket: its file, its requests, and clients that misbehave.
 */
#include "check.h"
#include "control.h"
#include "json.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/* -- the idle timer of the client that came last, to be fired by hand -- */

typedef int timer_start_fn(uv_timer_t *h, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);

static struct {
	uv_timer_t *timer;
	uv_timer_cb fire;
} idle;

int uv_timer_start(uv_timer_t *h, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	timer_start_fn *real;
	void *symbol = dlsym(RTLD_NEXT, "uv_timer_start");

	if (timeout == CONTROL_IDLE_MS) {
		idle.timer = h;
		idle.fire = cb;
	}
	memcpy(&real, &symbol, sizeof real);
	return real(h, cb, timeout, repeat);
}

/* Time passes for the client that came last.  Is it still there? */
static bool tick_stays(void)
{
	idle.fire(idle.timer);
	return !uv_is_closing((uv_handle_t *)idle.timer);
}

/* -- a server on a loop of its own -- */

struct server {
	uv_loop_t loop;
	struct control *control;
	struct counters counters;
	char folder[32], path[64];
	size_t fill; /* letters of the answer beside the echo */
	unsigned asked;
	bool close_when_asked, give_nothing, closed, dies;
	pid_t pid; /* of the process that runs the loop */
};

static void on_closed(void *ctx)
{
	((struct server *)ctx)->closed = true;
}

static cJSON *on_request(void *ctx, const cJSON *request)
{
	struct server *s = ctx;
	cJSON *answer = s->give_nothing ? NULL : cJSON_CreateObject();

	s->asked++;
	if (s->close_when_asked)
		control_close(s->control, on_closed, s);
	if (answer == NULL)
		return NULL;
	cJSON_AddItemToObject(answer, "echo", cJSON_Duplicate(request, 1));
	if (s->fill > 0) {
		char *p = malloc(s->fill + 1);

		memset(p, 'x', s->fill);
		p[s->fill] = '\0';
		cJSON_AddStringToObject(answer, "fill", p);
		free(p);
	}
	return answer;
}

static bool takes_long(void *ctx, const cJSON *request)
{
	(void)ctx;
	return cJSON_GetObjectItemCaseSensitive(request, "long") != NULL;
}

static cJSON *on_any_request(void *ctx, const cJSON *request)
{
	const struct server *s = ctx;

	if (takes_long(ctx, request) && (s->dies || getpid() == s->pid))
		_exit(1);
	return on_request(ctx, request);
}

static const struct control_ops server_ops = {takes_long, on_any_request};

static void server_init(struct server *s)
{
	*s = (struct server){.folder = "/tmp/lbd-test-XXXXXX", .pid = getpid()};
	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(s->folder) == NULL || uv_loop_init(&s->loop) != 0)
		abort();
	(void)snprintf(s->path, sizeof s->path, "%s/s", s->folder);
}

static int server_open(struct server *s)
{
	return control_open(&s->loop, s->path, &server_ops, s, &s->counters, &s->control);
}

static void server_start(struct server *s)
{
	server_init(s);
	CHECK_INT(server_open(s), 0);
}

/* Everything is given back: no handle, no file. */
static void server_stop(struct server *s)
{
	if (!s->close_when_asked || s->asked == 0)
		control_close(s->control, on_closed, s);
	CHECK_INT(uv_run(&s->loop, UV_RUN_DEFAULT), 0);
	CHECK(s->closed || s->control == NULL);
	CHECK_INT(uv_loop_close(&s->loop), 0);
	CHECK(access(s->path, F_OK) != 0);
	CHECK_INT(rmdir(s->folder), 0);
}

/* -- a client of raw bytes -- */

static int dial(const struct server *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", s->path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0)
		abort();
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK_INT(write(fd, text, strlen(text)), (long long)strlen(text));
}

static void expire(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

/* Runs the server and reads until the answer has n line feeds, or the server hangs up; gives up
 * after some seconds.  The text is malloc'ed. */
static char *hear(struct server *s, int fd, unsigned n)
{
	struct buf b;
	uv_timer_t timer;
	bool late = false;

	uv_timer_init(&s->loop, &timer);
	timer.data = &late;
	uv_timer_start(&timer, expire, 5000, 0);
	buf_init(&b, CONTROL_MAX_ANSWER + 1);
	while (n > 0 && !late) {
		char bytes[65536];
		ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

		if (got == 0 || (got < 0 && errno != EAGAIN))
			break;
		for (ssize_t i = 0; i < got; i++)
			n -= bytes[i] == '\n';
		if (got > 0)
			buf_add(&b, bytes, (size_t)got);
		else
			(void)uv_run(&s->loop, UV_RUN_NOWAIT);
	}
	CHECK(!late);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&s->loop, UV_RUN_NOWAIT);
	return buf_take(&b);
}

static void check_talk(struct server *s, int fd, unsigned lines, const char *want)
{
	char *got = hear(s, fd, lines);

	CHECK_STR(got, want);
	free(got);
}

/* -- the parser -- */

static void test_parse(void)
{
	static const struct {
		const char *name, *in, *want; /* the tree printed, or the error */
	} rows[] = {
		{"object", "{\"a\":1}", "{\"a\":1}"},
		{"carriage return", "{}\r", "{}"},
		{"blanks", " { } ", "{}"},
		{"empty", "", "the request is not JSON"},
		{"lone carriage return", "\r", "the request is not JSON"},
		{"one byte short", "{\"a\":1", "the request is not JSON"},
		{"trailing", "{}x", "the request is not JSON"},
		{"two", "{}{}", "the request is not JSON"},
		{"array", "[1]", "the request is not a JSON object"},
		{"text", "\"dump\"", "the request is not a JSON object"},
		{"null", "null", "the request is not a JSON object"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].in);
		unsigned char *in = check_guard(rows[i].in, n);
		const char *error = "none";
		cJSON *o = control_parse((const char *)in, n, &error);
		char *text = o != NULL ? cJSON_PrintUnformatted(o) : NULL;

		check_row = rows[i].name;
		CHECK_STR(text != NULL ? text : error, rows[i].want);
		cJSON_free(text);
		cJSON_Delete(o);
		check_unguard(in, n);
	}
}

static void test_parse_length(void)
{
	const char *error = "none";
	char *line = malloc(CONTROL_MAX_REQUEST + 1);
	cJSON *o;

	memset(line, ' ', CONTROL_MAX_REQUEST + 1);
	memcpy(line, "{}", 2);
	o = control_parse(line, CONTROL_MAX_REQUEST, &error);
	CHECK(o != NULL);
	cJSON_Delete(o);
	CHECK(control_parse(line, CONTROL_MAX_REQUEST + 1, &error) == NULL);
	CHECK_STR(error, "the request is too long");
	memset(line, '[', CONTROL_MAX_REQUEST);
	CHECK(control_parse(line, CONTROL_MAX_REQUEST, &error) == NULL);
	CHECK_STR(error, "the request is not JSON");
	free(line);
}

/* -- the file -- */

static void test_file_mode_and_end(void)
{
	static const mode_t masks[] = {0, 022, 0777};

	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		struct server s;
		struct stat st = {0};
		mode_t old;

		server_init(&s);
		old = umask(masks[i]);
		CHECK_INT(server_open(&s), 0);
		umask(old);
		CHECK_INT(lstat(s.path, &st), 0);
		CHECK(S_ISSOCK(st.st_mode));
		CHECK_INT(st.st_mode & 07777, 0660);
		server_stop(&s);
	}
	control_close(NULL, NULL, NULL);
}

static void test_file_left_over(void)
{
	struct server s;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	server_init(&s);
	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", s.path);
	CHECK_INT(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
	close(fd);
	CHECK_INT(server_open(&s), 0);
	fd = dial(&s);
	say(fd, "{}\n");
	check_talk(&s, fd, 1, "{\"echo\":{}}\n");
	close(fd);
	server_stop(&s);
}

static void test_file_taken(void)
{
	struct server s;
	struct control *other = NULL;
	char path[64];
	FILE *f;

	server_start(&s);
	CHECK_INT(control_open(&s.loop, s.path, &server_ops, &s, NULL, &other), -EADDRINUSE);
	CHECK(other == NULL);
	CHECK_INT(access(s.path, F_OK), 0);
	/* A file that is no socket is nobody's to remove. */
	(void)snprintf(path, sizeof path, "%s/file", s.folder);
	f = fopen(path, "w");
	CHECK(f != NULL);
	fclose(f);
	CHECK_INT(control_open(&s.loop, path, &server_ops, &s, NULL, &other), -EADDRINUSE);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(symlink("/nowhere/at/all", path), 0);
	CHECK_INT(control_open(&s.loop, path, &server_ops, &s, NULL, &other), -EADDRINUSE);
	CHECK_INT(unlink(path), 0);
	server_stop(&s);
}

static void test_file_replaced_by_another(void)
{
	struct server s;
	FILE *f;

	server_start(&s);
	CHECK_INT(unlink(s.path), 0);
	f = fopen(s.path, "w");
	fclose(f);
	control_close(s.control, on_closed, &s);
	s.control = NULL;
	(void)uv_run(&s.loop, UV_RUN_DEFAULT);
	CHECK_INT(access(s.path, F_OK), 0); /* not ours: it stays */
	CHECK_INT(unlink(s.path), 0);
	server_stop(&s);
}

static void test_file_path(void)
{
	struct server s;
	char folder[64], path[256];
	struct stat st = {0};

	server_init(&s);
	memset(path, 'x', sizeof path);
	path[108] = '\0'; /* sun_path without room for the NUL */
	CHECK_INT(control_open(&s.loop, path, &server_ops, &s, NULL, &s.control), -ENAMETOOLONG);
	CHECK_INT(control_open(&s.loop, "", &server_ops, &s, NULL, &s.control), -EINVAL);
	(void)snprintf(path, sizeof path, "%s/a/b/s", s.folder);
	CHECK_INT(control_open(&s.loop, path, &server_ops, &s, NULL, &s.control), -ENOENT);
	CHECK(s.control == NULL);
	(void)snprintf(folder, sizeof folder, "%s/run", s.folder);
	(void)snprintf(s.path, sizeof s.path, "%s/run/s", s.folder);
	CHECK_INT(server_open(&s), 0);
	CHECK_INT(stat(folder, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0755);
	control_close(s.control, on_closed, &s);
	s.control = NULL;
	(void)uv_run(&s.loop, UV_RUN_DEFAULT);
	CHECK_INT(rmdir(folder), 0);
	server_stop(&s);
}

/* -- requests -- */

static void test_requests(void)
{
	struct server s;
	int fd;

	server_start(&s);
	fd = dial(&s);
	say(fd, "{\"a\":1}\n");
	check_talk(&s, fd, 1, "{\"echo\":{\"a\":1}}\n");
	say(fd, "{\"a\":2}\r\n{\"a\":3}\n{\"a\""); /* two and a half at once */
	check_talk(&s, fd, 2, "{\"echo\":{\"a\":2}}\n{\"echo\":{\"a\":3}}\n");
	say(fd, ":4}\n");
	check_talk(&s, fd, 1, "{\"echo\":{\"a\":4}}\n");
	for (const char *p = "{\"b\":5}\n"; *p != '\0'; p++) {
		CHECK_INT(write(fd, p, 1), 1);
		(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	}
	check_talk(&s, fd, 1, "{\"echo\":{\"b\":5}}\n");
	CHECK_INT(s.counters.v[COUNTER_CONTROL_REQUESTS], 5);
	/* Without a line feed, but at the end. */
	say(fd, "{\"c\":6}");
	shutdown(fd, SHUT_WR);
	check_talk(&s, fd, 9, "{\"echo\":{\"c\":6}}\n");
	close(fd);
	server_stop(&s);
}

static void test_requests_refused(void)
{
	struct server s;
	char *long_line = malloc(CONTROL_MAX_REQUEST + 2);
	int fd;

	server_start(&s);
	fd = dial(&s);
	say(fd, "\nhello\n[]\n{}\n");
	check_talk(&s, fd, 4,
		"{\"error\":\"the request is not JSON\"}\n"
		"{\"error\":\"the request is not JSON\"}\n"
		"{\"error\":\"the request is not a JSON object\"}\n"
		"{\"echo\":{}}\n");
	CHECK_INT(s.asked, 1);
	memset(long_line, 'x', CONTROL_MAX_REQUEST + 1);
	long_line[CONTROL_MAX_REQUEST + 1] = '\0';
	say(fd, long_line);
	/* Answered, and hung up. */
	check_talk(&s, fd, 9, "{\"error\":\"the request is too long\"}\n");
	close(fd);
	free(long_line);
	server_stop(&s);
}

static void test_request_of_greatest_length(void)
{
	struct server s;
	char *line = malloc(CONTROL_MAX_REQUEST + 2);
	int fd;

	memset(line, ' ', CONTROL_MAX_REQUEST);
	memcpy(line, "{}", 2);
	line[CONTROL_MAX_REQUEST] = '\n';
	line[CONTROL_MAX_REQUEST + 1] = '\0';
	server_start(&s);
	fd = dial(&s);
	say(fd, line);
	check_talk(&s, fd, 1, "{\"echo\":{}}\n");
	close(fd);
	free(line);
	server_stop(&s);
}

static void test_answer_missing(void)
{
	struct server s;
	int fd;

	server_start(&s);
	s.give_nothing = true;
	fd = dial(&s);
	say(fd, "{}\n");
	check_talk(&s, fd, 9, "");
	close(fd);
	server_stop(&s);
}

static void test_answer_too_long(void)
{
	struct server s;
	int fd;

	server_start(&s);
	s.fill = CONTROL_MAX_ANSWER;
	fd = dial(&s);
	say(fd, "{}\n");
	check_talk(&s, fd, 1, "{\"error\":\"the answer is too long\"}\n");
	close(fd);
	server_stop(&s);
}

/* -- clients -- */

static void test_peer_vanishes(void)
{
	struct server s;

	server_start(&s);
	s.fill = 4 * 1024 * 1024; /* more than the socket's buffer takes */
	for (int i = 0; i < 8; i++) {
		int fd = dial(&s);

		if (i > 0)
			say(fd, i % 2 == 0 ? "{\"a\":1" : "{}\n");
		if (i > 3)
			(void)uv_run(&s.loop, UV_RUN_NOWAIT);
		if (i > 5)
			(void)uv_run(&s.loop, UV_RUN_NOWAIT);
		close(fd);
		(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	}
	server_stop(&s);
}

static void test_too_many_clients(void)
{
	struct server s;
	int fd[CONTROL_MAX_CLIENTS + 1];

	server_start(&s);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		fd[i] = dial(&s);
		say(fd[i], "{}\n");
		check_talk(&s, fd[i], 1, "{\"echo\":{}}\n");
	}
	fd[CONTROL_MAX_CLIENTS] = dial(&s);
	check_talk(&s, fd[CONTROL_MAX_CLIENTS], 9, "{\"error\":\"too many clients\"}\n");
	close(fd[0]);
	close(fd[CONTROL_MAX_CLIENTS]);
	(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	(void)uv_run(&s.loop, UV_RUN_NOWAIT);
	fd[0] = dial(&s);
	say(fd[0], "{}\n");
	check_talk(&s, fd[0], 1, "{\"echo\":{}}\n");
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fd[i]);
	server_stop(&s);
}

/* Connects, and waits until the server has the client. */
static int dial_in(struct server *s)
{
	int fd = dial(s);

	for (idle.timer = NULL; idle.timer == NULL;)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	return fd;
}

static void wait_asked(struct server *s)
{
	while (s->asked == 0)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
}

static void test_silent_client_goes(void)
{
	struct server s;
	int fd;

	server_start(&s);
	fd = dial_in(&s);
	say(fd, "{");
	(void)uv_run(&s.loop, UV_RUN_ONCE);
	CHECK(tick_stays()); /* it said something */
	CHECK(!tick_stays());
	check_talk(&s, fd, 9, "");
	close(fd);
	server_stop(&s);
}

static void test_client_that_takes_nothing_goes(void)
{
	struct server s;
	int fd;

	server_start(&s);
	s.fill = 4 * 1024 * 1024;
	fd = dial_in(&s);
	say(fd, "{}\n");
	wait_asked(&s);
	CHECK(tick_stays());
	CHECK(!tick_stays());
	close(fd);
	server_stop(&s);
}

static void test_slow_reader_stays(void)
{
	struct server s;
	int fd;
	size_t len = 0;
	char bytes[65536] = "";
	ssize_t n = 0;

	server_start(&s);
	s.fill = 4 * 1024 * 1024;
	fd = dial_in(&s);
	say(fd, "{}\n");
	wait_asked(&s);
	while (n == 0 || bytes[n - 1] != '\n') {
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n > 0) {
			len += (size_t)n;
			continue;
		}
		n = 0;
		(void)uv_run(&s.loop, UV_RUN_ONCE);
		if (!tick_stays())
			break;
	}
	CHECK(len > s.fill);
	close(fd);
	server_stop(&s);
}

/* Who sends on and on and takes no answer is not read from meanwhile. */
static void test_requests_wait_for_the_answer(void)
{
	struct server s;
	int fd;
	size_t sent = 0;

	server_start(&s);
	s.fill = 4 * 1024 * 1024;
	fd = dial_in(&s);
	for (int quiet = 0; quiet < 20;) {
		ssize_t n = send(fd, "{}\n", 3, MSG_DONTWAIT);

		sent += n > 0 ? (size_t)n : 0;
		quiet = n > 0 ? 0 : quiet + 1;
		(void)uv_run(&s.loop, UV_RUN_NOWAIT);
		if (sent > 4 * 1024 * 1024)
			break;
	}
	CHECK_INT(s.asked, 1);
	CHECK(sent < 4 * 1024 * 1024);
	close(fd);
	server_stop(&s);
}

static void test_closed_while_asked(void)
{
	struct server s;
	int fd, other;

	server_start(&s);
	s.close_when_asked = true;
	other = dial(&s);
	fd = dial(&s);
	say(fd, "{}\n{}\n");
	check_talk(&s, fd, 9, "");
	CHECK_INT(s.asked, 1);
	close(fd);
	close(other);
	server_stop(&s);
}

static void test_closed_while_writing(void)
{
	struct server s;
	int fd;

	server_start(&s);
	s.fill = 4 * 1024 * 1024;
	fd = dial(&s);
	say(fd, "{}\n");
	while (s.asked == 0)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	server_stop(&s);
	close(fd);
}

/* -- the client's side -- */

struct query {
	const char *path;
	unsigned timeout_ms;
	int result;
	cJSON *answer;
	uv_async_t done;
};

static void *query_thread(void *arg)
{
	struct query *q = arg;
	cJSON *request = cJSON_CreateObject();

	cJSON_AddStringToObject(request, "do", "dump");
	q->result = control_query(q->path, request, q->timeout_ms, &q->answer);
	cJSON_Delete(request);
	uv_async_send(&q->done);
	return NULL;
}

static void on_done(uv_async_t *a)
{
	uv_close((uv_handle_t *)a, NULL);
	uv_stop(a->loop);
}

static void query(struct server *s, struct query *q)
{
	pthread_t thread;

	uv_async_init(&s->loop, &q->done, on_done);
	if (pthread_create(&thread, NULL, query_thread, q) != 0)
		abort();
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	pthread_join(thread, NULL);
}

static void test_query(void)
{
	static const size_t fill[] = {0, 100, 20 * 1024 * 1024};
	struct server s;

	server_start(&s);
	for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
		struct query q = {.path = s.path, .timeout_ms = 20000};
		const char *text;

		s.fill = fill[i];
		query(&s, &q);
		CHECK_INT(q.result, 0);
		CHECK_STR(json_string(json_object(q.answer, "echo"), "do"), "dump");
		text = json_string(q.answer, "fill");
		CHECK(fill[i] == 0 || (text != NULL && strlen(text) == fill[i]));
		cJSON_Delete(q.answer);
	}
	server_stop(&s);
}

static void test_query_fails(void)
{
	struct server s;
	struct query q = {.timeout_ms = 5000};
	char path[200];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	cJSON *request = cJSON_CreateObject(), *answer = NULL;

	server_start(&s);
	s.give_nothing = true;
	q.path = s.path;
	query(&s, &q);
	CHECK_INT(q.result, -EPROTO);
	CHECK(q.answer == NULL);

	(void)snprintf(path, sizeof path, "%s/none", s.folder);
	CHECK_INT(control_query(path, request, 100, &answer), -ENOENT);
	memset(path, 'x', sizeof path);
	path[199] = '\0';
	CHECK_INT(control_query(path, request, 100, &answer), -ENAMETOOLONG);
	/* Somebody listens and does not answer; then nobody listens. */
	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s/mute", s.folder);
	CHECK_INT(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
	CHECK_INT(listen(fd, 1), 0);
	CHECK_INT(control_query(a.sun_path, request, 30, &answer), -ETIMEDOUT);
	CHECK_INT(control_query(a.sun_path, request, 0, &answer), -ETIMEDOUT);
	close(fd);
	CHECK_INT(control_query(a.sun_path, request, 100, &answer), -ECONNREFUSED);
	CHECK(answer == NULL);
	CHECK_INT(unlink(a.sun_path), 0);
	cJSON_Delete(request);
	server_stop(&s);
}

/* -- answers that take long -- */

static void test_long(void)
{
	struct server s;
	int fd, other;

	server_start(&s);
	fd = dial(&s);
	other = dial(&s);
	say(fd, "{\"long\":1}\n{\"n\":2}\n{\"long\":3}\n");
	say(other, "{\"long\":4}\n");
	check_talk(&s, fd, 3,
		"{\"echo\":{\"long\":1}}\n{\"echo\":{\"n\":2}}\n{\"echo\":{\"long\":3}}\n");
	check_talk(&s, other, 1, "{\"echo\":{\"long\":4}}\n");
	CHECK_INT(s.asked, 1); /* in this process */
	CHECK_INT((long long)s.counters.v[COUNTER_CONTROL_REQUESTS], 4);
	close(fd);
	close(other);
	server_stop(&s);
}

/* More than the socket takes at once. */
static void test_long_and_big(void)
{
	struct server s;
	char *got;
	int fd;

	server_start(&s);
	s.fill = 8 << 20;
	fd = dial(&s);
	say(fd, "{\"long\":1}\n");
	got = hear(&s, fd, 1);
	CHECK(got != NULL && strlen(got) > s.fill);
	free(got);
	close(fd);
	server_stop(&s);
}

/* One that fails costs its client alone. */
static void test_long_fails(void)
{
	struct server s;
	int fd, other;

	server_start(&s);
	s.dies = true;
	fd = dial(&s);
	say(fd, "{\"long\":1}\n");
	check_talk(&s, fd, 1, "");
	s.dies = false;
	s.give_nothing = true;
	other = dial(&s);
	say(other, "{\"long\":1}\n");
	check_talk(&s, other, 1, "");
	close(other);
	s.give_nothing = false;
	other = dial(&s);
	say(other, "{\"long\":2}\n");
	check_talk(&s, other, 1, "{\"echo\":{\"long\":2}}\n");
	close(fd);
	close(other);
	server_stop(&s);
}

/* The server goes while the answer is being made: the copy goes with it, and is not left a zombie. */
static void test_long_cancelled(void)
{
	struct server s;
	int fd;

	server_start(&s);
	s.fill = 8 << 20; /* nobody reads it */
	fd = dial(&s);
	say(fd, "{\"long\":1}\n");
	while (s.counters.v[COUNTER_CONTROL_REQUESTS] == 0)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	CHECK(tick_stays());
	server_stop(&s);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
	close(fd);
}

CHECK_MAIN("test_control", CHECK_TEST(test_parse), CHECK_TEST(test_parse_length),
	CHECK_TEST(test_file_mode_and_end), CHECK_TEST(test_file_left_over),
	CHECK_TEST(test_file_taken), CHECK_TEST(test_file_replaced_by_another),
	CHECK_TEST(test_file_path), CHECK_TEST(test_requests), CHECK_TEST(test_requests_refused),
	CHECK_TEST(test_request_of_greatest_length), CHECK_TEST(test_answer_missing),
	CHECK_TEST(test_answer_too_long), CHECK_TEST(test_peer_vanishes),
	CHECK_TEST(test_too_many_clients), CHECK_TEST(test_silent_client_goes),
	CHECK_TEST(test_client_that_takes_nothing_goes), CHECK_TEST(test_slow_reader_stays),
	CHECK_TEST(test_requests_wait_for_the_answer), CHECK_TEST(test_closed_while_asked),
	CHECK_TEST(test_closed_while_writing), CHECK_TEST(test_query),
	CHECK_TEST(test_long), CHECK_TEST(test_long_and_big), CHECK_TEST(test_long_fails),
	CHECK_TEST(test_long_cancelled), CHECK_TEST(test_query_fails))
