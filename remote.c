/* SPDX-License-Identifier: Apache-2.0
 *
 * remote.c - the cluster's state from the API alone.
 *
 * Owns: a loop, for as long as it takes; what was listed.
 * In:   lists, page by page.  Out: apiview.c's tree.
 */
#include "remote.h"

#include "apiview.h"
#include "buf.h"
#include "clock.h"
#include "http1.h"
#include "json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { MAX_PATH_BYTES = 16 * 1024, MAX_PAGES = 1000, TIME_LEN = 80 };

#define LEASES "coordination.k8s.io/v1/"
#define OURS   "leases?labelSelector=lbd.io%2Flease"

enum list_id { LIST_LEASES, LIST_SERVICES, LIST_EVENTS, LISTS };

struct list {
	struct remote *remote;
	const char *path; /* with a query */
	bool required;
	cJSON *items; /* owned; so far */
	unsigned pages;
};

struct remote {
	uv_loop_t loop;
	uv_timer_t timer;
	struct kube *kube;
	struct counters counters;
	struct rng rng;
	struct list list[LISTS];
	bool everywhere; /* Leases are looked for in every namespace */
	size_t open;     /* lists that are not complete */
	int result;
	char *err; /* borrowed */
	size_t err_len;
};

static void ask(struct list *l, const char *next);

static void on_closed(void *ctx)
{
	(void)ctx; /* the loop ends by itself */
}

/* Everything is there, or nothing more will be. */
static void end(struct remote *r)
{
	if (r->kube == NULL)
		return;
	kube_close(r->kube, on_closed, NULL);
	r->kube = NULL;
	uv_close((uv_handle_t *)&r->timer, NULL);
}

static void fail(struct remote *r, int result, const char *why)
{
	if (r->result != 0)
		return;
	r->result = result;
	(void)snprintf(r->err, r->err_len, "%s", why);
	end(r);
}

/* Our Leases are in kube-system, unless elections.namespace says otherwise. */
static bool look_everywhere(struct list *l)
{
	struct remote *r = l->remote;

	if (l != &r->list[LIST_LEASES] || cJSON_GetArraySize(l->items) > 0 || r->everywhere)
		return false;
	r->everywhere = true;
	l->path = "/apis/" LEASES OURS;
	return true;
}

static void complete(struct list *l)
{
	if (look_everywhere(l))
		ask(l, NULL);
	else if (--l->remote->open == 0)
		end(l->remote);
}

/* The page's objects move to those before. */
static void take_page(struct list *l, const cJSON *body)
{
	const cJSON *o;

	cJSON_ArrayForEach (o, json_array(body, "items")) {
		cJSON *copy = cJSON_Duplicate(o, true);

		if (copy == NULL || !cJSON_AddItemToArray(l->items, copy)) {
			cJSON_Delete(copy);
			fail(l->remote, -ENOMEM, "out of memory");
			return;
		}
	}
}

static void on_page(void *ctx, const struct kube_answer *a)
{
	struct list *l = ctx;
	const char *next = json_string(json_object(a->body, "metadata"), "continue");
	bool good = a->result == 0 && a->status == 200 && json_array(a->body, "items") != NULL;

	if (l->remote->kube == NULL)
		return; /* ended meanwhile */
	if (!good && l->required) {
		fail(l->remote, a->result != 0 ? a->result : -EPROTO,
			a->err[0] != '\0' ? a->err : "an answer that is no list");
		return;
	}
	if (good)
		take_page(l, a->body);
	if (l->remote->result != 0)
		return;
	if (good && next != NULL && *next != '\0' && ++l->pages < MAX_PAGES)
		ask(l, next);
	else
		complete(l);
}

static void ask(struct list *l, const char *next)
{
	struct kube_request request = {.verb = KUBE_GET, .not_after_ms = TIME_NEVER};
	struct buf path;
	int err = -ENOMEM;

	buf_init(&path, MAX_PATH_BYTES);
	buf_addf(&path, "%s%slimit=500", l->path, strchr(l->path, '?') != NULL ? "&" : "?");
	if (next != NULL) {
		buf_adds(&path, "&continue=");
		http1_escape(next, &path);
	}
	request.path = path.p;
	if (!path.bad)
		err = kube_request(l->remote->kube, &request, on_page, l);
	buf_free(&path);
	if (err != 0)
		fail(l->remote, err, strerror(-err));
}

static void on_timeout(uv_timer_t *timer)
{
	fail(timer->data, -ETIMEDOUT, "no answer in time");
}

static bool begin(struct remote *r)
{
	static const char *const path[LISTS] = {
		[LIST_LEASES] = "/apis/" LEASES "namespaces/kube-system/" OURS,
		[LIST_SERVICES] = "/api/v1/services",
		[LIST_EVENTS] = "/api/v1/events"};

	for (size_t i = 0; i < LISTS; i++) {
		r->list[i] = (struct list){.remote = r,
			.path = path[i],
			.required = i != LIST_EVENTS,
			.items = cJSON_CreateArray()};
		if (r->list[i].items == NULL)
			return false;
	}
	r->open = LISTS;
	for (size_t i = 0; i < LISTS && r->kube != NULL; i++)
		ask(&r->list[i], NULL);
	return true;
}

static void wall_time(char s[TIME_LEN])
{
	struct timespec ts;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)gmtime_r(&ts.tv_sec, &tm);
	(void)snprintf(s, TIME_LEN, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(ts.tv_nsec / 1000000));
}

static int dump_of(const struct remote *r, const char *server, cJSON **ret_dump)
{
	char now[TIME_LEN];
	const struct apiview_lists lists = {.leases = r->list[LIST_LEASES].items,
		.services = r->list[LIST_SERVICES].items,
		.events = r->list[LIST_EVENTS].items,
		.server = server,
		.now = now};

	wall_time(now);
	*ret_dump = apiview_dump(&lists);
	return *ret_dump != NULL ? 0 : -ENOMEM;
}

int remote_dump(const struct kube_where *where, uint64_t timeout_ms, cJSON **ret_dump, char *err,
	size_t err_len)
{
	struct remote r = {.err = err, .err_len = err_len};
	void (*before)(int);
	char *server = NULL;
	int result;

	REQUIRE(getrandom(&r.rng.state, sizeof r.rng.state, 0) == (ssize_t)sizeof r.rng.state);
	REQUIRE(uv_loop_init(&r.loop) == 0);
	result = kube_new(&r.loop, where, clock_now_ms, &r.rng, &r.counters, &r.kube, err, err_len);
	if (result == 0) {
		REQUIRE(uv_timer_init(&r.loop, &r.timer) == 0);
		r.timer.data = &r;
		(void)uv_timer_start(&r.timer, on_timeout, timeout_ms, 0);
		kube_set_read_only(r.kube);
		server = strdup(kube_where_text(r.kube));
		if (server == NULL || !begin(&r))
			fail(&r, -ENOMEM, "out of memory");
		before = signal(SIGPIPE, SIG_IGN); /* a server that closes is no reason to die */
		(void)uv_run(&r.loop, UV_RUN_DEFAULT);
		(void)signal(SIGPIPE, before);
		result = r.result != 0 ? r.result : dump_of(&r, server, ret_dump);
	}
	REQUIRE(uv_loop_close(&r.loop) == 0);
	for (size_t i = 0; i < LISTS; i++)
		cJSON_Delete(r.list[i].items);
	free(server);
	return result;
}
