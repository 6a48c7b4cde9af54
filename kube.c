/* SPDX-License-Identifier: Apache-2.0
 *
 * kube.c - the Kubernetes client on the loop: requests, and watches over watch.c.
 *
 * Owns: one http client, one timer, the requests and watches under way.
 * In:   kube_request(), kube_watch(), kube_lease(), kube_event(); http.c's answers; time, for
 *       watch.c; creds.c's credentials.
 * Out:  answers, watched objects.
 * Sources: Kubernetes API Conventions (Status, 429, timeout), API Concepts (patch types).
 * Not done: what creds.c does not.
 */
#include "kube.h"

#include "buf.h"
#include "creds.h"
#include "json.h"
#include "list.h"
#include "log.h"
#include "object.h"
#include "rights.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_PATH = 64 * 1024 };

struct kube {
	uv_loop_t *loop; /* borrowed, like the next three */
	uint64_t (*now_ms)(void);
	struct rng *rng;
	struct counters *counters;
	struct http *http;             /* owned until closing */
	struct creds *creds;           /* owned */
	const struct kubeconf *server; /* of creds */
	char *host;                    /* owned: the Host header's value */
	char *node;                    /* owned */
	struct rights rights;          /* refused with 403 */
	uint64_t hold_ms;              /* Retry-After: nothing is sent before */
	struct link calls, held;       /* of call.link: sent, and waiting for hold_ms */
	size_t n_calls, n_held;
	struct link watches; /* of kube_watch.link */
	uv_timer_t timer;
	unsigned busy; /* callbacks under way: no kube_watch is freed meanwhile */
	bool closing, read_only;
	unsigned open; /* closing: http and timer, as far as not yet closed */
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static const char *const methods[] = {
	[KUBE_GET] = "GET",
	[KUBE_POST] = "POST",
	[KUBE_PUT] = "PUT",
	[KUBE_MERGE_PATCH] = "PATCH",
	[KUBE_STRATEGIC_PATCH] = "PATCH",
	[KUBE_DELETE] = "DELETE",
};

/* One request. */
struct call {
	struct link link;
	struct kube *k;         /* borrowed */
	struct http_call *http; /* NULL = held */
	kube_answer_fn fn;
	void *ctx;
	enum kube_verb verb;
	char *path, *body; /* owned; body NULL = none */
	uint64_t not_after_ms, timeout_ms;
	uint64_t sent_ms; /* handed to http.c, perhaps for the second time */
	bool repeated; /* after a 401 */
	bool is_secret;
	bool aborted, too_long;
	unsigned status;
	uint64_t retry_after_ms;
	int64_t date_s;
	struct buf answer;
};

struct kube_watch {
	struct link link;
	struct kube *k;                   /* borrowed */
	const struct kube_watch_ops *ops; /* borrowed, with ctx */
	void *ctx;
	struct watch *w;       /* owned */
	struct stream *stream; /* the request under way; NULL = none */
	char *pending;        /* owned: the path of a request that waits for hold_ms; NULL = none */
	struct watch_get get; /* of that one, or the one under way */
	bool dead;
	int start_error; /* to be told from the loop; 0 = none */
	char error[256]; /* the transport's; "" = see watch_last_error() */
	unsigned status; /* of the request under way, or the last one; 0 = none came */
	bool broken_said;
	uint64_t said_ms;
};

/* One HTTP request of a watch; outlives it when cancelled. */
struct stream {
	struct kube_watch *w; /* NULL = nobody listens any more */
	struct http_call *http;
};

static void arm(struct kube *k);
static void on_timer(uv_timer_t *t);

/* -- the client -- */

/* RFC 9110 7.2: brackets around IPv6, the port unless it is the scheme's. */
static char *host_of(const struct kubeconf *s)
{
	const bool v6 = strchr(s->host, ':') != NULL;
	struct buf b;

	buf_init(&b, MAX_PATH);
	buf_addf(&b, "%s%s%s", v6 ? "[" : "", s->host, v6 ? "]" : "");
	if (s->port != (s->tls ? 443 : 80))
		buf_addf(&b, ":%u", (unsigned)s->port);
	return buf_take(&b);
}

static int open_client(struct kube *k)
{
	const struct kubeconf *s = creds_server(k->creds);
	const struct http_conf conf = {
		.host = s->host,
		.port = s->port,
		.tls_name = s->tls_server_name != NULL ? s->tls_server_name : s->host,
		.tls = creds_tls(k->creds),
		.now_ms = k->now_ms,
	};

	k->server = s;
	k->host = host_of(s);
	k->node = strdup("");
	if (k->host == NULL || k->node == NULL)
		return -ENOMEM;
	k->http = http_new(k->loop, &conf, k->counters);
	return k->http != NULL ? 0 : -ENOMEM;
}

static void free_kube(struct kube *k)
{
	if (k == NULL)
		return;
	creds_free(k->creds);
	rights_free(&k->rights);
	free(k->host);
	free(k->node);
	free(k);
}

int kube_new(uv_loop_t *loop, const struct kube_where *where, uint64_t (*now_ms)(void),
	struct rng *rng, struct counters *counters, struct kube **ret_kube, char *err,
	size_t err_len)
{
	struct kube *k = calloc(1, sizeof *k);
	int r = -ENOMEM;

	(void)snprintf(err, err_len, "out of memory");
	if (k != NULL) {
		k->loop = loop;
		k->now_ms = now_ms;
		k->rng = rng;
		k->counters = counters;
		list_init(&k->calls);
		list_init(&k->held);
		list_init(&k->watches);
		r = creds_new(where->kubeconfig, where->context, &k->creds, err, err_len);
	}
	if (r == 0)
		r = open_client(k);
	if (r != 0) {
		free_kube(k);
		return r;
	}
	REQUIRE(uv_timer_init(loop, &k->timer) == 0); /* never fails */
	k->timer.data = k;
	*ret_kube = k;
	return 0;
}

void kube_set_node(struct kube *k, const char *node)
{
	char *copy = strdup(node);

	if (copy == NULL)
		return;
	free(k->node);
	k->node = copy;
}

void kube_set_read_only(struct kube *k)
{
	k->read_only = true;
}

const char *kube_where_text(const struct kube *k)
{
	return creds_text(k->creds);
}

static bool held_back(const struct kube *k)
{
	return k->now_ms() < k->hold_ms;
}

/* A 429 said so. */
static void hold_back(struct kube *k, uint64_t retry_after_ms)
{
	uint64_t until = k->now_ms() + time_min(retry_after_ms, KUBE_RETRY_AFTER_CAP_MS);

	if (until > k->hold_ms)
		k->hold_ms = until;
}

static void refresh(struct kube *k, bool refused)
{
	if (creds_refresh(k->creds, refused, k->now_ms()))
		http_set_tls(k->http, creds_tls(k->creds));
}

static char *full_path(const struct kube *k, const char *path)
{
	char *s = NULL;

	return asprintf(&s, "%s%s", k->server->path_prefix, path) < 0 ? NULL : s;
}

static void count_status(struct kube *k, unsigned status)
{
	if (status == 403)
		counter_inc(k->counters, COUNTER_API_STATUS_403);
	else if (status == 409)
		counter_inc(k->counters, COUNTER_API_STATUS_409);
	else if (status == 429)
		counter_inc(k->counters, COUNTER_API_STATUS_429);
	else if (status >= 500)
		counter_inc(k->counters, COUNTER_API_STATUS_5XX);
	else if (status >= 400)
		counter_inc(k->counters, COUNTER_API_STATUS_4XX);
}

/* -- rights -- */

/* Did the server get past the question who may? */
static bool is_let_through(unsigned status)
{
	return status >= 200 && status < 500 && status != 401 && status != 403 && status != 429;
}

/* A 403 is said once, with the right that lacks, and once more when it is given. */
static void weigh_right(
	struct kube *k, enum right_verb verb, const char *path, unsigned status, const char *err)
{
	struct right right;
	struct buf msg;

	if (!right_of(verb, path, &right))
		return;
	buf_init(&msg, MAX_PATH);
	if (status == 403 && rights_refuse(&k->rights, &right, k->now_ms())) {
		rights_say(&right, err, &msg);
		log_warn("kube", msg.p, "err", err, NULL);
	} else if (is_let_through(status) && rights_allow(&k->rights, &right)) {
		buf_addf(&msg, "the API no longer refuses to %s %s", right.verb, right.resource);
		log_info("kube", msg.p, NULL);
	}
	buf_free(&msg);
}

const char *kube_next_refused(const struct kube *k, const char *prev)
{
	return rights_next(&k->rights, prev);
}

/* -- callbacks -- */

static void free_watch(struct kube_watch *w)
{
	list_delete(&w->link);
	watch_free(w->w);
	free(w->pending);
	free(w);
}

static void reap(struct kube *k)
{
	struct link *l = k->watches.next;

	while (k->busy == 0 && l != &k->watches) {
		struct kube_watch *w = CONTAINER_OF(l, struct kube_watch, link);

		l = l->next;
		if (w->dead)
			free_watch(w);
	}
}

static void enter(struct kube *k)
{
	k->busy++;
}

static void leave(struct kube *k)
{
	k->busy--;
	reap(k);
	arm(k);
}

/* -- requests -- */

static void free_call(struct call *c)
{
	if (c->is_secret && c->answer.p != NULL)
		explicit_bzero(c->answer.p, c->answer.cap);
	free(c->path);
	free(c->body);
	buf_free(&c->answer);
	free(c);
}

/* The Status's message, else the number. */
static void describe(const struct call *c, const cJSON *body, char *text, size_t len)
{
	const char *message = json_string(body, "message");

	text[0] = '\0';
	if (c->status >= 400 && message != NULL)
		(void)snprintf(text, len, "HTTP %u: %s", c->status, message);
	else if (c->status < 200 || c->status >= 300)
		(void)snprintf(text, len, "HTTP %u", c->status);
}

static void weigh_call(const struct call *c, const char *err)
{
	static const enum right_verb verbs[] = {
		[KUBE_GET] = RIGHT_GET,
		[KUBE_POST] = RIGHT_CREATE,
		[KUBE_PUT] = RIGHT_UPDATE,
		[KUBE_MERGE_PATCH] = RIGHT_PATCH,
		[KUBE_STRATEGIC_PATCH] = RIGHT_PATCH,
		[KUBE_DELETE] = RIGHT_DELETE,
	};

	weigh_right(
		c->k, verbs[c->verb], c->path + strlen(c->k->server->path_prefix), c->status, err);
}

/* All strings of it. */
static void wipe_body(const cJSON *o)
{
	for (; o != NULL; o = o->next) {
		if (cJSON_IsString(o))
			explicit_bzero(o->valuestring, strlen(o->valuestring));
		wipe_body(o->child);
	}
}

/* Tells the caller and frees c. */
static void finish(struct call *c, int result, bool sent, const char *err)
{
	struct kube *k = c->k;
	cJSON *body = result == 0 ? json_parse(c->answer.p, c->answer.len) : NULL;
	struct kube_answer a = {.result = result, .sent = sent, .body = body, .err = err};
	char text[256], status[24], ms[24];

	if (result == 0) {
		a.status = c->status;
		a.date_s = c->date_s;
		describe(c, body, text, sizeof text);
		a.err = text;
		count_status(k, c->status);
		weigh_call(c, text);
		if (body == NULL && c->answer.len > 0 && c->status < 300)
			counter_inc(k->counters, COUNTER_API_BAD_BODY);
	}
	log_debug("kube", sent ? "request ended" : "request not sent", "method", methods[c->verb],
		"path", c->path, "status", log_number((int64_t)c->status, status), "ms",
		log_number(sent ? (int64_t)(k->now_ms() - c->sent_ms) : 0, ms), "err", a.err, NULL);
	list_delete(&c->link);
	k->n_calls--;
	enter(k);
	c->fn(c->ctx, &a);
	leave(k);
	if (c->is_secret)
		wipe_body(body);
	cJSON_Delete(body);
	free_call(c);
}

static void call_head(void *ctx, const struct http1_head *head)
{
	struct call *c = ctx;

	c->status = head->status;
	c->retry_after_ms = head->retry_after_ms;
	c->date_s = head->date_s;
}

static void call_body(void *ctx, const char *p, size_t n)
{
	struct call *c = ctx;

	if (c->too_long)
		return;
	buf_add(&c->answer, p, n);
	if (c->answer.bad) {
		c->too_long = true;
		http_cancel(c->http);
	}
}

static int send_call(struct call *c);

static void hold_call(struct call *c)
{
	c->k->n_held++;
	list_delete(&c->link);
	list_add(&c->k->held, &c->link);
	arm(c->k);
}

/* The one repetition after a 401, with what the files say now.  False: cannot be sent. */
static bool repeat(struct call *c)
{
	refresh(c->k, true);
	c->repeated = true;
	buf_reset(&c->answer);
	c->status = 0;
	if (!held_back(c->k))
		return send_call(c) == 0;
	hold_call(c);
	return true;
}

static void call_done(void *ctx, int result, bool sent, const char *err)
{
	struct call *c = ctx;

	c->http = NULL;
	if (sent)
		counter_took(c->k->counters, HISTOGRAM_API_REQUEST, c->k->now_ms() - c->sent_ms);
	if (c->too_long) {
		finish(c, -EMSGSIZE, true, "the answer is too long");
		return;
	}
	if (result == 0 && c->status == 429 && c->retry_after_ms > 0)
		hold_back(c->k, c->retry_after_ms);
	if (result == 0 && c->status == 401 && !c->repeated && !c->aborted && !c->k->closing) {
		count_status(c->k, 401);
		if (repeat(c))
			return;
		c->status = 401;
	}
	finish(c, result, sent, err);
}

static const struct http_ops call_ops = {call_head, call_body, call_done};

static int send_call(struct call *c)
{
	const struct kube *k = c->k;
	struct http_request r = {
		.r = {.method = methods[c->verb],
			.host = k->host,
			.path = c->path,
			.authorization = creds_authorization(k->creds),
			.accept = "application/json"},
		.not_after_ms = c->not_after_ms,
		.timeout_ms = c->timeout_ms,
	};

	if (c->body != NULL) {
		r.r.content_type =
			c->verb == KUBE_MERGE_PATCH       ? "application/merge-patch+json"
			: c->verb == KUBE_STRATEGIC_PATCH ? "application/strategic-merge-patch+json"
							  : "application/json";
		r.r.body = c->body;
		r.r.len = strlen(c->body);
		r.r.has_body = true;
	}
	c->sent_ms = k->now_ms();
	return http_start(k->http, &r, &call_ops, c, &c->http);
}

/* The server, too, shall give up in time: "?timeout=4s" or "540ms", a duration as Go writes it. */
static char *path_of(const struct kube *k, const struct kube_request *r, uint64_t timeout_ms)
{
	const bool whole = timeout_ms % 1000 == 0;
	struct buf b;

	buf_init(&b, MAX_PATH);
	buf_adds(&b, k->server->path_prefix);
	buf_adds(&b, r->path);
	if (r->verb != KUBE_GET)
		buf_addf(&b, "%ctimeout=%" PRIu64 "%s", strchr(r->path, '?') != NULL ? '&' : '?',
			whole ? timeout_ms / 1000 : timeout_ms, whole ? "s" : "ms");
	return buf_take(&b);
}

static struct call *new_call(
	struct kube *k, const struct kube_request *r, kube_answer_fn fn, void *ctx)
{
	struct call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->k = k;
	c->fn = fn;
	c->ctx = ctx;
	c->verb = r->verb;
	c->not_after_ms = r->not_after_ms;
	c->is_secret = r->is_secret;
	c->timeout_ms = r->timeout_ms != 0 ? r->timeout_ms : KUBE_TIMEOUT_MS;
	buf_init(&c->answer, KUBE_MAX_ANSWER);
	c->path = path_of(k, r, c->timeout_ms);
	if (r->body != NULL)
		c->body = cJSON_PrintUnformatted(r->body);
	if (c->path != NULL && (c->body != NULL || r->body == NULL)) {
		list_add(&k->calls, &c->link);
		k->n_calls++;
		return c;
	}
	free_call(c);
	return NULL;
}

int kube_request(struct kube *k, const struct kube_request *r, kube_answer_fn fn, void *ctx)
{
	struct call *c;
	int err = 0;

	if (k->closing)
		return -ECANCELED;
	if (k->read_only && r->verb != KUBE_GET)
		return -EROFS;
	if (k->n_held >= KUBE_MAX_HELD)
		return -EAGAIN;
	c = new_call(k, r, fn, ctx);
	if (c == NULL)
		return -ENOMEM;
	if (held_back(k)) {
		hold_call(c);
		return 0;
	}
	refresh(k, false);
	err = send_call(c);
	if (err != 0) {
		list_delete(&c->link);
		k->n_calls--;
		free_call(c);
	}
	return err;
}

static bool is_deadlined_write(const struct call *c)
{
	return c->verb != KUBE_GET && c->not_after_ms != TIME_NEVER && !c->aborted;
}

void kube_abort_deadlined(struct kube *k)
{
	for (struct link *l = k->calls.next; l != &k->calls; l = l->next) {
		struct call *c = CONTAINER_OF(l, struct call, link);

		if (!is_deadlined_write(c) || c->too_long)
			continue;
		c->aborted = true;
		http_cancel(c->http); /* tells from the loop */
	}
	for (struct link *l = k->held.next; l != &k->held; l = l->next) {
		struct call *c = CONTAINER_OF(l, struct call, link);

		c->aborted = c->aborted || is_deadlined_write(c);
	}
	arm(k);
}

size_t kube_in_flight(const struct kube *k)
{
	return k->n_calls;
}

/* When a held one has something to do. */
static uint64_t held_deadline(const struct call *c)
{
	if (c->aborted)
		return 0;
	return time_min(
		c->k->hold_ms, c->not_after_ms != TIME_NEVER ? c->not_after_ms + 1 : TIME_NEVER);
}

static void run_held_call(struct call *c, uint64_t now_ms)
{
	struct kube *k = c->k;
	int err;

	if (k->closing || c->aborted) {
		finish(c, -ECANCELED, false, "cancelled");
	} else if (now_ms > c->not_after_ms) {
		counter_inc(k->counters, COUNTER_API_TOO_LATE);
		finish(c, -ETIME, false, "its deadline passed before it could be sent");
	} else if (now_ms < k->hold_ms) {
		hold_call(c);
	} else {
		refresh(k, false);
		list_delete(&c->link);
		list_add(&k->calls, &c->link);
		err = send_call(c);
		if (err != 0)
			finish(c, err, false, strerror(-err));
	}
}

/* fn may ask for more, which may be held again: only what is held now is looked at. */
static void run_held(struct kube *k)
{
	uint64_t now_ms = k->now_ms();
	struct link due;

	list_init(&due);
	list_move_all(&due, &k->held);
	while (!list_is_empty(&due)) {
		struct call *c = CONTAINER_OF(due.next, struct call, link);

		k->n_held--;
		run_held_call(c, now_ms);
	}
}

/* -- watches -- */

static void weigh_watch(const struct kube_watch *w, bool stream, unsigned status)
{
	weigh_right(w->k, stream ? RIGHT_WATCH : RIGHT_GET, watch_path(w->w), status,
		kube_watch_error(w));
}

/* One warning when a watch breaks, then one a minute; one line when it is live again. */
static void say_state(struct kube_watch *w)
{
	const char *err = kube_watch_error(w);
	uint64_t now_ms = w->k->now_ms();

	if (w->dead || w->status == 403 || watch_is_missing(w->w)) /* said by others */
		return;
	if (err[0] != '\0' && (!w->broken_said || now_ms - w->said_ms >= KUBE_LOG_AGAIN_MS)) {
		log_warn("kube", "watch broken", "path", watch_path(w->w), "err", err, NULL);
		w->broken_said = true;
		w->said_ms = now_ms;
	} else if (err[0] == '\0' && w->broken_said && watch_is_synced(w->w)) {
		log_info("kube", "watch live again", "path", watch_path(w->w), NULL);
		w->broken_said = false;
	}
}

static void stream_head(void *ctx, const struct http1_head *head)
{
	struct stream *s = ctx;
	struct kube_watch *w = s->w;

	if (w == NULL)
		return;
	enter(w->k);
	w->error[0] = '\0';
	w->status = head->status;
	count_status(w->k, head->status);
	if (head->status != 403) /* its words are to come */
		weigh_watch(w, w->get.stream, head->status);
	if (head->status == 401)
		refresh(w->k, true);
	if (head->status == 429 && head->retry_after_ms > 0)
		hold_back(w->k, head->retry_after_ms);
	watch_on_status(w->w, head->status, head->retry_after_ms, w->k->now_ms());
	say_state(w);
	leave(w->k);
}

static void stream_body(void *ctx, const char *p, size_t n)
{
	struct stream *s = ctx;
	struct kube_watch *w = s->w;

	if (w == NULL)
		return;
	enter(w->k);
	watch_on_bytes(w->w, p, n, w->k->now_ms());
	say_state(w);
	leave(w->k);
}

static void stream_done(void *ctx, int result, bool sent, const char *err)
{
	struct stream *s = ctx;
	struct kube_watch *w = s->w;
	bool was_stream, was_refused;

	(void)sent;
	free(s);
	if (w == NULL)
		return;
	was_stream = w->get.stream;
	was_refused = w->status == 403;
	w->stream = NULL;
	enter(w->k);
	if (result != 0)
		(void)snprintf(w->error, sizeof w->error, "%s", err);
	log_debug("kube", was_stream ? "watch ended" : "list ended", "path", watch_path(w->w), "err",
		w->error, NULL);
	watch_on_end(w->w, result, w->k->now_ms());
	if (was_refused)
		weigh_watch(w, was_stream, 403);
	say_state(w);
	leave(w->k);
}

static const struct http_ops stream_ops = {stream_head, stream_body, stream_done};

static int start_stream(struct kube_watch *w)
{
	struct kube *k = w->k;
	struct http_request r = {
		.r = {.method = "GET",
			.host = k->host,
			.path = w->pending,
			.authorization = creds_authorization(k->creds),
			.accept = "application/json"},
		.not_after_ms = TIME_NEVER,
		.timeout_ms = w->get.timeout_ms,
		.silence_ms = w->get.silence_ms,
		.stream = w->get.stream,
	};
	struct stream *s = calloc(1, sizeof *s);
	int err;

	if (s == NULL)
		return -ENOMEM;
	s->w = w;
	err = http_start(k->http, &r, &stream_ops, s, &s->http);
	if (err != 0) {
		free(s);
		return err;
	}
	w->stream = s;
	w->status = 0;
	log_debug("kube", w->get.stream ? "watching" : "listing", "path", w->pending, NULL);
	return 0;
}

/* Sends what on_get() left, unless a Retry-After stands against it. */
static void try_stream(struct kube_watch *w)
{
	if (w->pending == NULL || held_back(w->k))
		return;
	refresh(w->k, false);
	w->start_error = start_stream(w);
	free(w->pending);
	w->pending = NULL;
}

static void on_get(void *ctx, const char *path, const struct watch_get *get)
{
	struct kube_watch *w = ctx;

	REQUIRE(w->stream == NULL && w->pending == NULL);
	w->get = *get;
	w->pending = full_path(w->k, path);
	if (w->pending == NULL)
		w->start_error = -ENOMEM;
	try_stream(w);
}

static void on_cancel(void *ctx)
{
	struct kube_watch *w = ctx;

	free(w->pending);
	w->pending = NULL;
	w->start_error = 0;
	if (w->stream == NULL)
		return;
	w->stream->w = NULL;
	http_cancel(w->stream->http);
	w->stream = NULL;
}

static void on_list_begin(void *ctx)
{
	struct kube_watch *w = ctx;

	if (!w->dead)
		w->ops->list_begin(w->ctx);
}

static void on_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	struct kube_watch *w = ctx;

	if (!w->dead)
		w->ops->object(w->ctx, event, obj);
}

static void on_list_end(void *ctx, bool complete)
{
	struct kube_watch *w = ctx;

	if (!w->dead)
		w->ops->list_end(w->ctx, complete);
}

static void on_synced(void *ctx, bool synced)
{
	struct kube_watch *w = ctx;

	if (!w->dead)
		w->ops->synced(w->ctx, synced);
}

static void on_missing(void *ctx)
{
	struct kube_watch *w = ctx;

	if (!w->dead)
		w->ops->missing(w->ctx);
}

static void on_forbidden(void *ctx)
{
	struct kube_watch *w = ctx;

	if (!w->dead)
		w->ops->forbidden(w->ctx);
}

static const struct watch_ops watch_ops = {on_get, on_cancel, on_list_begin, on_object, on_list_end,
	on_synced, on_missing, on_forbidden};

struct kube_watch *kube_watch(struct kube *k, const struct kube_watch_conf *conf,
	const struct kube_watch_ops *ops, void *ctx)
{
	struct kube_watch *w;

	if (k->closing)
		return NULL;
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	w->k = k;
	w->ops = ops;
	w->ctx = ctx;
	w->w = watch_new(conf->path, conf->label_selector, conf->field_selector, &watch_ops, w,
		k->rng, k->counters);
	if (w->w == NULL) {
		free(w);
		return NULL;
	}
	if (conf->required)
		watch_set_required(w->w);
	list_add(&k->watches, &w->link);
	enter(k);
	watch_start(w->w, k->now_ms());
	leave(k);
	return w;
}

void kube_unwatch(struct kube_watch *w)
{
	if (w == NULL || w->dead)
		return;
	w->dead = true;
	on_cancel(w);
	reap(w->k);
}

void kube_relist(struct kube_watch *w)
{
	enter(w->k);
	watch_relist(w->w, w->k->now_ms());
	leave(w->k);
}

bool kube_watch_is_synced(const struct kube_watch *w)
{
	return watch_is_synced(w->w);
}

const char *kube_watch_error(const struct kube_watch *w)
{
	return w->error[0] != '\0' ? w->error : watch_last_error(w->w);
}

static void run_watch(struct kube_watch *w)
{
	int err = w->start_error;

	w->start_error = 0;
	if (err != 0)
		watch_on_end(w->w, err, w->k->now_ms());
	if (!w->dead)
		watch_tick(w->w, w->k->now_ms());
	if (!w->dead)
		try_stream(w);
	say_state(w);
}

/* -- time -- */

static uint64_t next_deadline(const struct kube *k)
{
	uint64_t t = TIME_NEVER;

	for (struct link *l = k->held.next; l != &k->held; l = l->next)
		t = time_min(t, held_deadline(CONTAINER_OF(l, struct call, link)));
	for (struct link *l = k->watches.next; l != &k->watches; l = l->next) {
		const struct kube_watch *w = CONTAINER_OF(l, struct kube_watch, link);

		if (w->dead)
			continue;
		t = time_min(t, w->start_error != 0 ? 0 : watch_next_deadline(w->w));
		t = time_min(t, w->pending != NULL ? k->hold_ms : TIME_NEVER);
	}
	return t;
}

/* leave() calls it when a callback is over. */
static void arm(struct kube *k)
{
	uint64_t now_ms, t;

	if (k->closing || k->busy > 0)
		return;
	t = next_deadline(k);
	now_ms = k->now_ms();
	uv_update_time(k->loop);
	if (t == TIME_NEVER)
		uv_timer_stop(&k->timer);
	else
		uv_timer_start(&k->timer, on_timer, t > now_ms ? t - now_ms : 0, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct kube *k = t->data;

	enter(k);
	run_held(k);
	for (struct link *l = k->watches.next; l != &k->watches; l = l->next) {
		struct kube_watch *w = CONTAINER_OF(l, struct kube_watch, link);

		if (!w->dead)
			run_watch(w); /* new ones join at the end, dead ones stay: busy */
	}
	leave(k);
}

/* -- the end -- */

static void part_closed(struct kube *k)
{
	void (*closed)(void *ctx) = k->closed;
	void *ctx = k->closed_ctx;

	if (--k->open > 0)
		return;
	reap(k);
	REQUIRE(k->busy == 0 && k->n_calls == 0 && list_is_empty(&k->watches));
	free_kube(k);
	closed(ctx);
}

static void on_http_closed(void *ctx)
{
	part_closed(ctx);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct kube *k = h->data;

	run_held(k); /* closing: they end */
	part_closed(k);
}

void kube_close(struct kube *k, void (*closed)(void *ctx), void *ctx)
{
	if (k == NULL || k->closing)
		return;
	k->closing = true;
	k->closed = closed;
	k->closed_ctx = ctx;
	k->open = 2;
	enter(k);
	for (struct link *l = k->watches.next; l != &k->watches; l = l->next)
		kube_unwatch(CONTAINER_OF(l, struct kube_watch, link));
	leave(k);
	http_close(k->http, on_http_closed, k);
	uv_close((uv_handle_t *)&k->timer, on_timer_closed);
}

/* -- objects -- */

static int64_t wall_us(void)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* "BASE/namespaces/NS/RESOURCE", and "/NAME" unless it is NULL. */
static char *object_path(
	const char *base, const char *namespace_, const char *resource, const char *name)
{
	struct buf b;

	buf_init(&b, MAX_PATH);
	buf_addf(&b, "%s/namespaces/", base);
	http1_escape(namespace_, &b);
	buf_addf(&b, "/%s", resource);
	if (name != NULL) {
		buf_addc(&b, '/');
		http1_escape(name, &b);
	}
	return buf_take(&b);
}

/* Sends r with path and body, and frees both; NULL stands for out of memory. */
static int request_object(struct kube *k, struct kube_request *r, char *path, cJSON *body,
	kube_answer_fn fn, void *ctx)
{
	int err = -ENOMEM;

	r->path = path;
	r->body = body;
	if (path != NULL && (body != NULL || r->verb == KUBE_GET))
		err = kube_request(k, r, fn, ctx);
	free(path);
	cJSON_Delete(body);
	return err;
}

int kube_lease(struct kube *k, const char *namespace_, const struct lease_action *a,
	kube_answer_fn fn, void *ctx)
{
	static const enum kube_verb verbs[] = {
		[LEASE_CREATE] = KUBE_POST,
		[LEASE_UPDATE] = KUBE_PUT,
		[LEASE_GET] = KUBE_GET,
	};
	struct kube_request r = {
		.verb = verbs[a->verb],
		.not_after_ms = a->not_after_ms,
		.timeout_ms = a->timeout_ms,
	};
	char *path = object_path("/apis/coordination.k8s.io/v1", namespace_, "leases",
		a->verb != LEASE_CREATE ? a->name : NULL);
	cJSON *body = a->verb != LEASE_GET ? object_lease(a, namespace_, wall_us()) : NULL;

	return request_object(k, &r, path, body, fn, ctx);
}

enum lease_outcome kube_lease_outcome(const struct kube_answer *a)
{
	if (a->result == -ETIME || (a->result == -ECANCELED && !a->sent))
		return LEASE_NOT_SENT;
	if (a->result != 0)
		return LEASE_FAILED;
	if (a->status >= 200 && a->status < 300)
		return a->body != NULL ? LEASE_OK : LEASE_FAILED;
	if (a->status == 404)
		return LEASE_NOT_FOUND;
	if (a->status == 409)
		return LEASE_CONFLICT;
	if (a->status == 408 || a->status == 429)
		return LEASE_FAILED;
	return a->status >= 400 && a->status < 500 ? LEASE_REFUSED : LEASE_FAILED;
}

int kube_event(
	struct kube *k, const struct event_write *w, uint64_t now_ms, kube_answer_fn fn, void *ctx)
{
	struct kube_request r = {
		.verb = w->update ? KUBE_MERGE_PATCH : KUBE_POST,
		.not_after_ms = TIME_NEVER,
	};
	char *path = object_path(
		"/api/v1", object_event_namespace(w), "events", w->update ? w->name : NULL);
	cJSON *body = w->update ? object_event_patch(w, now_ms, wall_us())
				: object_event(w, k->node, now_ms, wall_us());

	return request_object(k, &r, path, body, fn, ctx);
}

enum event_outcome kube_event_outcome(const struct kube_answer *a, bool update)
{
	if (a->result != 0 || a->status >= 500 || a->status == 429 || a->status == 408)
		return EVENT_FAILED;
	if (a->status == 404)
		return EVENT_GONE;
	if (a->status == 409 && !update)
		return EVENT_EXISTS;
	return a->status >= 200 && a->status < 300 ? EVENT_OK : EVENT_REFUSED;
}
