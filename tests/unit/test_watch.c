/* SPDX-License-Identifier: Apache-2.0
 *
 * test_watch.c - the list/watch machine driven by scripts: what is fed, which calls must come of
 * it.
 */
#include "watch.h"

#include "buf.h"
#include "check.h"
#include "json.h"

#include <errno.h>
#include <stdbool.h>

#define BASE     "/api/v1/things"
#define GET_LIST "get " BASE "?limit=500;"
#define GET_WATCH(rv)                                                                              \
	"get " BASE "?watch=true&allowWatchBookmarks=true&resourceVersion=" rv "&timeoutSeconds="  \
	"N;"

#define META(rv)          "{\"resourceVersion\":\"" rv "\"}"
#define META_MORE(rv, c)  "{\"resourceVersion\":\"" rv "\",\"continue\":\"" c "\"}"
#define LIST(meta, items) "{\"kind\":\"ThingList\",\"metadata\":" meta ",\"items\":[" items "]}\n"
#define OBJ(name, rv)                                                                              \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" rv                           \
	"\"},\"spec\":{\"a\":[1,{}]}}"
#define EVENT(type, name, rv) "{\"type\":\"" type "\",\"object\":" OBJ(name, rv) "}\n"
#define ERROR_EVENT(status)   "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\"," status "}}\n"
#define STATUS_410                                                                                 \
	"{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}"

/* -- the driver -- */

struct driver {
	struct watch *w;
	struct rng rng;
	struct counters counters;
	uint64_t now_ms;
	struct buf log; /* calls since the last look */
	bool under_way; /* a request is */
	bool list_open;
	bool relist_on_end; /* ask for a list from inside list_end() */
	unsigned gets;
	unsigned timeout_s;  /* of the last watch */
	uint64_t silence_ms; /* of the last page */
};

static void log_get(struct driver *d, const char *path)
{
	static const char key[] = "timeoutSeconds=";
	const char *t = strstr(path, key);

	if (t == NULL) {
		buf_addf(&d->log, "get %s;", path);
		return;
	}
	t += sizeof key - 1;
	d->timeout_s = (unsigned)strtoul(t, NULL, 10);
	buf_addf(&d->log, "get %.*sN%s;", (int)(t - path), path, t + strspn(t, "0123456789"));
}

static void drv_get(void *ctx, const char *path, const struct watch_get *get)
{
	struct driver *d = ctx;

	CHECK(!d->under_way);
	CHECK(get->stream == (strstr(path, "watch=true") != NULL));
	CHECK((get->timeout_ms == 0) == get->stream);
	CHECK((get->silence_ms == 0) == get->stream);
	d->silence_ms = get->silence_ms;
	d->under_way = true;
	d->gets++;
	log_get(d, path);
}

static void drv_cancel(void *ctx)
{
	struct driver *d = ctx;

	CHECK(d->under_way);
	d->under_way = false;
	buf_adds(&d->log, "cancel;");
}

static void drv_list_begin(void *ctx)
{
	struct driver *d = ctx;

	CHECK(!d->list_open);
	d->list_open = true;
	buf_adds(&d->log, "begin;");
}

static void drv_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	struct driver *d = ctx;
	const char *name = json_string(json_object(obj, "metadata"), "name");

	buf_addf(&d->log, "%c %s;", "AMD"[event], name != NULL ? name : "?");
}

static void drv_list_end(void *ctx, bool complete)
{
	struct driver *d = ctx;

	CHECK(d->list_open);
	d->list_open = false;
	buf_adds(&d->log, complete ? "end+;" : "end-;");
	if (d->relist_on_end)
		watch_relist(d->w, d->now_ms);
	d->relist_on_end = false;
}

static void drv_synced(void *ctx, bool synced)
{
	struct driver *d = ctx;

	buf_adds(&d->log, synced ? "synced;" : "unsynced;");
}

static void drv_missing(void *ctx)
{
	struct driver *d = ctx;

	buf_adds(&d->log, "missing;");
}

static void drv_forbidden(void *ctx)
{
	struct driver *d = ctx;

	buf_adds(&d->log, "forbidden;");
}

static const struct watch_ops drv_ops = {drv_get, drv_cancel, drv_list_begin, drv_object,
	drv_list_end, drv_synced, drv_missing, drv_forbidden};

static void drv_open(struct driver *d)
{
	*d = (struct driver){.rng = {.state = 7}, .now_ms = 1000000};
	buf_init(&d->log, 1 << 20);
	d->w = watch_new(BASE, NULL, NULL, &drv_ops, d, &d->rng, &d->counters);
	CHECK(d->w != NULL);
}

static void drv_close(struct driver *d)
{
	watch_free(d->w);
	buf_free(&d->log);
}

/* The bytes end at an unreadable page. */
static void drv_bytes(struct driver *d, const char *s, size_t n)
{
	unsigned char *g = check_guard(s, n);

	watch_on_bytes(d->w, (const char *)g, n, d->now_ms);
	check_unguard(g, n);
}

static void drv_end(struct driver *d, int result)
{
	d->under_way = false;
	watch_on_end(d->w, result, d->now_ms);
}

/* Moves time to the next deadline. */
static uint64_t drv_due(struct driver *d)
{
	uint64_t t = watch_next_deadline(d->w), waited;

	CHECK(t != TIME_NEVER);
	if (t == TIME_NEVER)
		return 0;
	waited = t > d->now_ms ? t - d->now_ms : 0;
	d->now_ms += waited;
	watch_tick(d->w, d->now_ms);
	return waited;
}

static const char *drv_log(struct driver *d)
{
	return d->log.p != NULL ? d->log.p : "";
}

/* -- scripts -- */

enum op {
	REQUIRED,
	START,
	HEAD,   /* n: status; text: Retry-After in ms, or NULL */
	BYTES,  /* text */
	END,    /* n: result */
	ANSWER, /* HEAD 200, BYTES, END 0 */
	PASS,   /* n ms, then a tick */
	DUE,    /* to the next deadline; n: it must be at most so many ms away */
	RELIST,
	ERR, /* text: watch_last_error() holds it */
	VERSION,
	SYNCED, /* n */
};

struct step {
	enum op op;
	const char *text;
	long long n;
	const char *want; /* the calls; NULL = none */
};

static void run_step(struct driver *d, const struct step *s)
{
	switch (s->op) {
	case REQUIRED:
		watch_set_required(d->w);
		break;
	case START:
		watch_start(d->w, d->now_ms);
		break;
	case HEAD:
		watch_on_status(d->w, (unsigned)s->n,
			s->text != NULL ? strtoull(s->text, NULL, 10) : 0, d->now_ms);
		break;
	case BYTES:
		drv_bytes(d, s->text, strlen(s->text));
		break;
	case END:
		drv_end(d, (int)s->n);
		break;
	case ANSWER:
		watch_on_status(d->w, 200, 0, d->now_ms);
		drv_bytes(d, s->text, strlen(s->text));
		drv_end(d, 0);
		break;
	case PASS:
		d->now_ms += (uint64_t)s->n;
		watch_tick(d->w, d->now_ms);
		break;
	case DUE:
		CHECK(drv_due(d) <= (uint64_t)s->n);
		break;
	case RELIST:
		watch_relist(d->w, d->now_ms);
		break;
	case ERR:
		CHECK(strstr(watch_last_error(d->w), s->text) != NULL);
		CHECK(s->text[0] != '\0' || watch_last_error(d->w)[0] == '\0');
		break;
	case VERSION:
		CHECK_STR(watch_resource_version(d->w), s->text);
		break;
	case SYNCED:
		CHECK_INT(watch_is_synced(d->w), s->n);
		break;
	}
}

static void run(const char *name, const struct step *steps, size_t n)
{
	struct driver d;
	char row[96];

	drv_open(&d);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(row, sizeof row, "%s, step %zu", name, i);
		check_row = row;
		buf_reset(&d.log);
		run_step(&d, &steps[i]);
		CHECK_STR(drv_log(&d), steps[i].want != NULL ? steps[i].want : "");
	}
	drv_close(&d);
	check_row = name;
}
#define RUN(name, ...)                                                                             \
	do {                                                                                       \
		static const struct step steps_[] = {__VA_ARGS__};                                 \
		run(name, steps_, ARRAY_LEN(steps_));                                              \
	} while (0)

/* The opening of most scripts: live from version 10. */
#define LIVE                                                                                       \
	{START, NULL, 0, GET_LIST},                                                                \
		{ANSWER, LIST(META("10"), OBJ("a", "5")), 0, "begin;A a;end+;" GET_WATCH("10")},   \
	{                                                                                          \
		HEAD, NULL, 200, "synced;"                                                         \
	}

static void test_list_then_watch(void)
{
	RUN("plain", LIVE, {ERR, "", 0, NULL}, {VERSION, "10", 0, NULL},
		{BYTES, EVENT("ADDED", "b", "11") EVENT("MODIFIED", "a", "12"), 0, "A b;M a;"},
		{BYTES, EVENT("DELETED", "a", "13"), 0, "D a;"}, {VERSION, "13", 0, NULL},
		{BYTES, EVENT("BOOKMARK", "", "99"), 0, NULL}, {VERSION, "99", 0, NULL},
		{SYNCED, NULL, 1, NULL}, {PASS, NULL, 60000, NULL}, {END, NULL, 0, GET_WATCH("99")},
		{SYNCED, NULL, 1, NULL}, {HEAD, NULL, 200, NULL},
		{BYTES, EVENT("ADDED", "c", "100"), 0, "A c;"});
	RUN("no newline between events", LIVE,
		{BYTES,
			"{\"type\":\"ADDED\",\"object\":" OBJ("x", "1") "}{\"object\":" OBJ(
				"y", "2") ",\"type\":\"ADDED\"}",
			0, "A x;A y;"});
	RUN("opaque version", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META("a&b/\\u00e9"), ""), 0,
			"begin;end+;" GET_WATCH("a%26b%2F%C3%A9")});
	RUN("version zero is no number", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST("{\"resourceVersion\":10}", ""), 0, "begin;cancel;end-;"},
		{ERR, "resourceVersion", 0, NULL});
}

static void test_list_shapes(void)
{
	RUN("items first", {START, NULL, 0, GET_LIST},
		{ANSWER,
			"{\"items\":[" OBJ("a", "1") " , " OBJ("b", "2") "] , \"metadata\":" META(
				"7") "}",
			0, "begin;A a;A b;end+;" GET_WATCH("7")});
	RUN("null items", {START, NULL, 0, GET_LIST},
		{ANSWER, "{\"metadata\":" META("7") ",\"items\":null,\"x\":-1.5e+3 }", 0,
			"begin;end+;" GET_WATCH("7")});
	RUN("strings that look like structure", {START, NULL, 0, GET_LIST},
		{ANSWER,
			"{\"x\":\"]}\\\"{\\\\\",\"it\\u0065ms\":[{}],\"metadata\":" META(
				"7") ",\"items\":[{\"metadata\":{"
				     "\"name\":\"}],\\\"\"}}]}",
			0, "begin;A }],\";end+;" GET_WATCH("7")});
	RUN("white space everywhere", {START, NULL, 0, GET_LIST},
		{ANSWER, " \r\n\t{ \"items\" : [ { } ] , \"metadata\" : " META("7") " } \n ", 0,
			"begin;A ?;end+;" GET_WATCH("7")});
}

static void test_list_pages(void)
{
	RUN("three pages", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META_MORE("10", "t/1="), OBJ("a", "1")), 0,
			"begin;A a;get " BASE "?limit=500&continue=t%2F1%3D;"},
		{SYNCED, NULL, 0, NULL},
		{ANSWER, LIST(META_MORE("10", "t2"), OBJ("b", "1")), 0,
			"A b;get " BASE "?limit=500&continue=t2;"},
		/* an odd server: the watch starts at the first page's version */
		{ANSWER, LIST(META_MORE("12", ""), OBJ("c", "1")), 0, "A c;end+;" GET_WATCH("10")});
	RUN("a page fails and is asked for again", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META_MORE("10", "t"), OBJ("a", "1")), 0,
			"begin;A a;get " BASE "?limit=500&continue=t;"},
		{HEAD, NULL, 200, NULL},
		{BYTES, "{\"metadata\":" META("10") ",\"items\":[{}", 0, "A ?;"},
		{END, NULL, -ECONNRESET, NULL},
		{DUE, NULL, 100, "get " BASE "?limit=500&continue=t;"}, {HEAD, NULL, 500, NULL},
		{END, NULL, 0, NULL}, {DUE, NULL, 200, "get " BASE "?limit=500&continue=t;"},
		{ANSWER, LIST(META("10"), OBJ("b", "1")), 0, "A b;end+;" GET_WATCH("10")});
	RUN("a page that always fails", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META_MORE("10", "t"), ""), 0,
			"begin;get " BASE "?limit=500&continue=t;"},
		{END, NULL, -ETIMEDOUT, NULL},
		{DUE, NULL, 5000, "get " BASE "?limit=500&continue=t;"},
		{END, NULL, -ETIMEDOUT, NULL},
		{DUE, NULL, 5000, "get " BASE "?limit=500&continue=t;"},
		{END, NULL, -ETIMEDOUT, NULL},
		{DUE, NULL, 5000, "get " BASE "?limit=500&continue=t;"},
		{END, NULL, -ETIMEDOUT, NULL},
		{DUE, NULL, 5000, "get " BASE "?limit=500&continue=t;"},
		{END, NULL, -ETIMEDOUT, "end-;"}, {DUE, NULL, 5000, GET_LIST});
	RUN("the token expires", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META_MORE("10", "t"), OBJ("a", "1")), 0,
			"begin;A a;get " BASE "?limit=500&continue=t;"},
		{HEAD, NULL, 410, NULL}, {BYTES, STATUS_410, 0, NULL}, {END, NULL, 0, "end-;"},
		{ERR, "HTTP 410: too old", 0, NULL}, {DUE, NULL, 100, "get " BASE "?limit=0;"},
		{ANSWER, LIST(META("20"), OBJ("a", "1")), 0, "begin;A a;end+;" GET_WATCH("20")},
		{HEAD, NULL, 410, NULL}, {END, NULL, 0, NULL}, {DUE, NULL, 200, GET_LIST});
}

static void test_first_page_failures(void)
{
	RUN("before a byte", {START, NULL, 0, GET_LIST}, {END, NULL, -ECONNREFUSED, NULL},
		{ERR, "refused", 0, NULL}, {DUE, NULL, 100, GET_LIST});
	RUN("in the middle", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 200, "begin;"},
		{BYTES, "{\"metadata\":" META("1") ",\"items\":[" OBJ("a", "1") ",{\"a\"", 0,
			"A a;"},
		{END, NULL, -ECONNRESET, "end-;"}, {DUE, NULL, 100, GET_LIST});
	RUN("clean end, but not complete", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 200, "begin;"},
		{BYTES, "{\"metadata\":" META("1") ",\"items\":[]", 0, NULL},
		{END, NULL, 0, "end-;"}, {ERR, "ends early", 0, NULL});
	RUN("no metadata", {START, NULL, 0, GET_LIST},
		{ANSWER, "{\"items\":[]}", 0, "begin;end-;"});
	RUN("no items", {START, NULL, 0, GET_LIST},
		{ANSWER, "{\"kind\":\"Status\",\"metadata\":" META("1") "}", 0, "begin;end-;"});
	RUN("an empty 200", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 200, "begin;"},
		{END, NULL, 0, "end-;"});
	RUN("500", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 500, NULL}, {BYTES, "oops", 0, NULL},
		{END, NULL, 0, NULL}, {ERR, "HTTP 500", 0, NULL}, {DUE, NULL, 100, GET_LIST},
		{ANSWER, LIST(META("1"), ""), 0, "begin;end+;" GET_WATCH("1")}, {ERR, "", 0, NULL});
	RUN("403 says why", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 403, NULL},
		{BYTES, "{\"kind\":\"Status\",\"code\":403,\"message\":\"things is forbidden\"}", 0,
			NULL},
		{END, NULL, 0, "forbidden;"}, {ERR, "HTTP 403: things is forbidden", 0, NULL},
		{DUE, NULL, 5000, GET_LIST});
	RUN("401", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 401, NULL}, {END, NULL, 0, NULL},
		{ERR, "HTTP 401", 0, NULL}, {DUE, NULL, 5000, GET_LIST});
}

static void test_garbage_lists(void)
{
	static const char *const bodies[] = {
		"x",
		"[]",
		"{\"items\":[]}}",
		"{\"items\":[]}{",
		"{\"items\":[1]}",
		"{\"items\":[\"a\"]}",
		"{\"items\":[{}]]",
		"{\"items\":[{},]}",
		"{\"items\":[,{}]}",
		"{\"items\":[{}{}]}",
		"{\"items\":{}}",
		"{\"items\":\"\"}",
		"{\"items\" []}",
		"{,\"a\":1}",
		"{\"a\":1,}",
		"{\"a\":1 2}",
		"{\"a\":}",
		"{a:1}",
		"{\"metadata\":null}",
		"{\"metadata\":[]}",
		"{\"metadata\":{}}",
		"{\"metadata\":{\"resourceVersion\":\"\"}}",
		"{\"items\":[{\"a\":\x01}]}",
		"{\"items\":[{\"a\x01\":1}]}",
		"{\"items\":[{\"a\":1]]",
		"{\"items\":[{\"a\" 1}]}",
		"{\"items\":[{\"a\":\"\\x\"}]}",
		"<html>",
		"\xff\xfe",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct driver d;

		check_row = bodies[i];
		drv_open(&d);
		watch_start(d.w, d.now_ms);
		watch_on_status(d.w, 200, 0, d.now_ms);
		drv_bytes(&d, bodies[i], strlen(bodies[i]));
		CHECK(strstr(drv_log(&d), "begin;") != NULL);
		CHECK(strstr(drv_log(&d), "cancel;end-;") != NULL);
		CHECK(!d.under_way);
		CHECK_INT(d.counters.v[COUNTER_WATCH_BAD_OBJECTS], 1);
		CHECK(watch_last_error(d.w)[0] != '\0');
		CHECK(drv_due(&d) <= 100);
		CHECK(d.under_way);
		drv_close(&d);
	}
}

/* Any way of cutting the bytes into pieces gives the same calls. */
static void test_chunking(void)
{
	static const char list[] = "{\"kind\":\"L\",\"items\":[" OBJ("a", "1") "," OBJ(
		"b\\\"]}", "2") ",{\"metadata\":{\"name\":"
				"\"\\u00e9\"}}],\"n\":"
				"null,\"metadata\":" META("9") "}";
	static const char events[] = EVENT("ADDED", "x", "10") EVENT("MODIFIED", "y{", "11");
	static const char want[] =
		"begin;A a;A b\"]};A \xc3\xa9;end+;" GET_WATCH("9") "synced;A x;M y{;";

	for (size_t piece = 1; piece < sizeof list; piece++) {
		struct driver d;

		drv_open(&d);
		watch_start(d.w, d.now_ms);
		buf_reset(&d.log);
		watch_on_status(d.w, 200, 0, d.now_ms);
		for (size_t at = 0, n; at < sizeof list - 1; at += n) {
			n = piece < sizeof list - 1 - at ? piece : sizeof list - 1 - at;
			drv_bytes(&d, list + at, n);
		}
		drv_end(&d, 0);
		watch_on_status(d.w, 200, 0, d.now_ms);
		for (size_t at = 0, n; at < sizeof events - 1; at += n) {
			n = piece < sizeof events - 1 - at ? piece : sizeof events - 1 - at;
			drv_bytes(&d, events + at, n);
		}
		CHECK_STR(drv_log(&d), want);
		CHECK_STR(watch_resource_version(d.w), "11");
		drv_close(&d);
	}
}

static void test_expired(void)
{
	RUN("410 as a status", LIVE, {PASS, NULL, 60000, NULL}, {END, NULL, 0, GET_WATCH("10")},
		{HEAD, NULL, 410, NULL}, {BYTES, STATUS_410, 0, NULL}, {END, NULL, 0, "unsynced;"},
		{DUE, NULL, 100, GET_LIST},
		{ANSWER, LIST(META("20"), OBJ("b", "15")), 0, "begin;A b;end+;" GET_WATCH("20")},
		{HEAD, NULL, 200, "synced;"});
	RUN("410 inside a 200 stream", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES,
			EVENT("ADDED", "b", "11")
				ERROR_EVENT("\"code\":410,\"message\":\"too old\"")
					EVENT("ADDED", "never", "12"),
			0, "A b;cancel;"},
		{ERR, "HTTP 410: too old", 0, NULL}, {SYNCED, NULL, 1, NULL},
		{DUE, NULL, 100, GET_LIST},
		{ANSWER, LIST(META("20"), ""), 0, "begin;end+;" GET_WATCH("20")},
		{HEAD, NULL, 200, NULL}, {SYNCED, NULL, 1, NULL});
	RUN("a version the server does not take", LIVE, {PASS, NULL, 60000, NULL},
		{END, NULL, 0, GET_WATCH("10")}, {HEAD, NULL, 400, NULL},
		{END, NULL, 0, "unsynced;"}, {DUE, NULL, 100, GET_LIST});
	RUN("a version of the future", LIVE, {PASS, NULL, 60000, NULL},
		{END, NULL, 0, GET_WATCH("10")}, {HEAD, NULL, 504, NULL},
		{BYTES,
			"{\"code\":504,\"details\":{\"retryAfterSeconds\":1,\"causes\":[{"
			"\"reason\":"
			"\"ResourceVersionTooLarge\"}]}}",
			0, NULL},
		{END, NULL, 0, "unsynced;"}, {PASS, NULL, 999, NULL}, {DUE, NULL, 1, GET_LIST});
}

static void test_retry_after(void)
{
	RUN("list", {START, NULL, 0, GET_LIST}, {HEAD, "7000", 429, NULL}, {END, NULL, 0, NULL},
		{PASS, NULL, 6999, NULL}, {PASS, NULL, 1, GET_LIST});
	RUN("bounded", {START, NULL, 0, GET_LIST}, {HEAD, "99999000", 503, NULL},
		{END, NULL, 0, NULL}, {PASS, NULL, 299999, NULL}, {PASS, NULL, 1, GET_LIST});
	RUN("429 without one", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 429, NULL},
		{END, NULL, 0, NULL}, {PASS, NULL, 999, NULL}, {PASS, NULL, 1, GET_LIST});
	RUN("in an ERROR event", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES,
			ERROR_EVENT("\"code\":429,\"message\":\"busy\",\"details\":{"
				    "\"retryAfterSeconds\":2}"),
			0, "cancel;"},
		{PASS, NULL, 1999, NULL}, {PASS, NULL, 1, GET_WATCH("10")});
	RUN("a proxy's page", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 503, NULL},
		{BYTES, "<html><body>503 Service Unavailable</body></html>", 0, NULL},
		{END, NULL, 0, NULL}, {ERR, "HTTP 503", 0, NULL}, {DUE, NULL, 100, GET_LIST});
	RUN("a proxy's page as a list", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 200, "begin;"},
		{BYTES, "<html><body>Sign in</body></html>", 0, "cancel;end-;"},
		{DUE, NULL, 100, GET_LIST});
	RUN("a compressed list", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 200, "begin;"},
		{BYTES, "\x1f\x8b\b", 0, "cancel;end-;"}, {DUE, NULL, 100, GET_LIST});
	RUN("forbidden", LIVE, {PASS, NULL, 60000, NULL}, {END, NULL, 0, GET_WATCH("10")},
		{HEAD, NULL, 403, NULL}, {BYTES, "{\"message\":\"no\"}", 0, NULL},
		{END, NULL, 0, "unsynced;"}, {ERR, "HTTP 403: no", 0, NULL},
		{DUE, NULL, 100, GET_WATCH("10")}, {HEAD, NULL, 200, "synced;"});
	RUN("an ERROR event without a code keeps the version", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES, ERROR_EVENT("\"message\":\"?\""), 0, "cancel;"},
		{DUE, NULL, 100, GET_WATCH("10")});
	RUN("500 in an ERROR event keeps the version", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES, ERROR_EVENT("\"code\":500"), 0, "cancel;"},
		{DUE, NULL, 100, GET_WATCH("10")});
	RUN("a relist waits for it too", {START, NULL, 0, GET_LIST}, {HEAD, "7000", 429, NULL},
		{END, NULL, 0, NULL}, {RELIST, NULL, 0, NULL}, {PASS, NULL, 6999, NULL},
		{PASS, NULL, 1, GET_LIST});
}

static void test_missing(void)
{
	RUN("404 on the list", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 404, NULL},
		{BYTES, "404 page not found", 0, NULL}, {END, NULL, 0, "missing;"},
		{PASS, NULL, WATCH_NOT_FOUND_MS - 1, NULL}, {PASS, NULL, 1, GET_LIST},
		{HEAD, NULL, 404, NULL}, {END, NULL, 0, "missing;"}, {RELIST, NULL, 0, GET_LIST},
		{ANSWER, LIST(META("1"), ""), 0, "begin;end+;" GET_WATCH("1")});
	RUN("404 of what was there", LIVE, {PASS, NULL, 60000, NULL},
		{END, NULL, 0, GET_WATCH("10")}, {HEAD, NULL, 404, NULL},
		{END, NULL, 0, "unsynced;"}, {DUE, NULL, 100, GET_LIST}, {HEAD, NULL, 404, NULL},
		{END, NULL, 0, NULL}, {DUE, NULL, 200, GET_LIST},
		{PASS, NULL, WATCH_LOST_MS - 1000, NULL}, {HEAD, NULL, 404, NULL},
		{END, NULL, 0, NULL}, {DUE, NULL, 400, GET_LIST}, {PASS, NULL, 1000, NULL},
		{HEAD, NULL, 404, NULL}, {END, NULL, 0, "missing;"},
		{PASS, NULL, WATCH_NOT_FOUND_MS - 1, NULL}, {PASS, NULL, 1, GET_LIST});
	RUN("404 of what every server has", {REQUIRED, NULL, 0, NULL}, {START, NULL, 0, GET_LIST},
		{HEAD, NULL, 404, NULL}, {END, NULL, 0, NULL}, {DUE, NULL, 100, GET_LIST},
		{ANSWER, LIST(META("1"), ""), 0, "begin;end+;" GET_WATCH("1")},
		{HEAD, NULL, 404, NULL}, {END, NULL, 0, NULL}, {DUE, NULL, 200, GET_LIST},
		{PASS, NULL, WATCH_LOST_MS, NULL}, {HEAD, NULL, 404, NULL}, {END, NULL, 0, NULL},
		{DUE, NULL, 400, GET_LIST});
}

static void test_forbidden(void)
{
	RUN("403 on the list", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 403, NULL},
		{END, NULL, 0, "forbidden;"}, {DUE, NULL, 100, GET_LIST}, {HEAD, NULL, 403, NULL},
		{END, NULL, 0, "forbidden;"}, {DUE, NULL, 200, GET_LIST},
		{ANSWER, LIST(META("1"), ""), 0, "begin;end+;" GET_WATCH("1")});
	RUN("403 on the watch", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META("1"), ""), 0, "begin;end+;" GET_WATCH("1")},
		{HEAD, NULL, 403, NULL}, {END, NULL, 0, NULL}, {DUE, NULL, 100, GET_WATCH("1")});
	RUN("no answer after a 403", {START, NULL, 0, GET_LIST}, {HEAD, NULL, 403, NULL},
		{END, NULL, 0, "forbidden;"}, {DUE, NULL, 100, GET_LIST},
		{END, NULL, -ECONNRESET, NULL});
}

static void test_garbage_watch(void)
{
	RUN("from the last good version", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES, EVENT("ADDED", "b", "11") "\x01\x02", 0, "A b;cancel;"},
		{SYNCED, NULL, 1, NULL}, {DUE, NULL, 100, GET_WATCH("11")}, {HEAD, NULL, 200, NULL},
		{BYTES, "{\"type\":\"ADDED\"}", 0, "cancel;"}, {DUE, NULL, 200, GET_WATCH("11")},
		{HEAD, NULL, 200, NULL}, {BYTES, "nonsense", 0, "cancel;"},
		/* the third time: what comes after this version cannot be read */
		{DUE, NULL, 400, GET_LIST});
	RUN("a good event starts the count anew", LIVE, {BYTES, "}", 0, "cancel;"},
		{DUE, NULL, 5000, GET_WATCH("10")}, {HEAD, NULL, 200, NULL},
		{BYTES, "}", 0, "cancel;"}, {DUE, NULL, 5000, GET_WATCH("10")},
		{HEAD, NULL, 200, NULL}, {BYTES, EVENT("ADDED", "b", "11") "}", 0, "A b;cancel;"},
		{DUE, NULL, 5000, GET_WATCH("11")});
	RUN("a bookmark without a version", LIVE,
		{BYTES, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Thing\"}}", 0, "cancel;"},
		{VERSION, "10", 0, NULL});
	RUN("a bookmark of null", LIVE,
		{BYTES, "{\"type\":\"BOOKMARK\",\"object\":null}", 0, "cancel;"});
	RUN("a bookmark with more than it needs", LIVE,
		{BYTES,
			"{\"object\":{\"spec\":null,\"items\":[{}],\"metadata\":{\"annotations\":{"
			"\"k8s.io/initial-events-end\":\"true\"},\"resourceVersion\":\"12\"}},"
			"\"extra\":[1],\"type\":\"BOOKMARK\"}",
			0, NULL},
		{VERSION, "12", 0, NULL});
	RUN("unknown type", LIVE, {BYTES, EVENT("RENAMED", "b", "11"), 0, "cancel;"});
	RUN("no version", LIVE,
		{BYTES, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}", 0, "cancel;"},
		{VERSION, "10", 0, NULL});
	RUN("object is none", LIVE, {BYTES, "{\"type\":\"ADDED\",\"object\":1}", 0, "cancel;"});
	RUN("an array", LIVE, {BYTES, "[]", 0, "cancel;"});
	RUN("ends inside an object", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES, "{\"type\":\"ADD", 0, NULL}, {END, NULL, 0, NULL},
		{ERR, "inside an object", 0, NULL}, {DUE, NULL, 100, GET_WATCH("10")});
}

/* The server ends each watch after the time it was given; one that it does not end is given up soon
 * after: behind a proxy that keeps the connection a dead server is silent for ever. */
static void test_renewal(void)
{
	struct driver d;
	uint64_t waited;

	RUN("reset by the server", LIVE, {PASS, NULL, 60000, NULL}, {END, NULL, -ECONNRESET, NULL},
		{SYNCED, NULL, 1, NULL}, {DUE, NULL, 100, GET_WATCH("10")}, {HEAD, NULL, 200, NULL},
		{SYNCED, NULL, 1, NULL});
	RUN("silent", LIVE, {DUE, NULL, 605000, "cancel;" GET_WATCH("10")}, {SYNCED, NULL, 1, NULL},
		{DUE, NULL, 3000, "unsynced;"}, {DUE, NULL, 12000, "cancel;"});
	RUN("busy, and not ended either", LIVE, {PASS, NULL, 59000, NULL},
		{BYTES, EVENT("ADDED", "b", "11"), 0, "A b;"},
		{DUE, NULL, 546000, "cancel;" GET_WATCH("11")});
	drv_open(&d);
	watch_start(d.w, d.now_ms);
	watch_on_status(d.w, 200, 0, d.now_ms);
	drv_bytes(&d, LIST(META("1"), ""), strlen(LIST(META("1"), "")));
	drv_end(&d, 0);
	for (int i = 0; i < 50; i++) {
		watch_on_status(d.w, 200, 0, d.now_ms);
		buf_reset(&d.log);
		CHECK(d.timeout_s >= 300 && d.timeout_s <= 600);
		waited = watch_next_deadline(d.w) - d.now_ms;
		CHECK_INT(waited, d.timeout_s * 1000ull + WATCH_OVERDUE_MS);
		if (i % 2 == 0) {
			(void)drv_due(&d);
			CHECK_STR(drv_log(&d), "cancel;" GET_WATCH("1"));
		} else {
			d.now_ms += d.timeout_s * 1000ull;
			drv_end(&d, 0);
			CHECK_STR(drv_log(&d), GET_WATCH("1"));
		}
		CHECK(watch_is_synced(d.w));
		waited = watch_next_deadline(d.w) - d.now_ms;
		CHECK_INT(waited, i % 2 == 0 ? WATCH_GRACE_MS : WATCH_CLEAN_GRACE_MS);
	}
	drv_close(&d);
}

/* A page that nobody answers is asked for again soon; a server that is only slow gets more time at
 * each turn, until one page came. */
static void test_silent_pages(void)
{
	static const uint64_t want[] = {10000, 20000, 40000, 60000, 60000};
	struct driver d;

	drv_open(&d);
	watch_start(d.w, d.now_ms);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CHECK_INT(d.silence_ms, want[i]);
		d.now_ms += want[i];
		drv_end(&d, -ETIMEDOUT);
		(void)drv_due(&d);
	}
	d.now_ms += 5000; /* no connection: that is another matter */
	drv_end(&d, -ETIMEDOUT);
	(void)drv_due(&d);
	CHECK_INT(d.silence_ms, WATCH_SILENCE_CAP_MS);
	watch_on_status(d.w, 200, 0, d.now_ms);
	drv_bytes(&d, LIST(META_MORE("1", "t"), ""), strlen(LIST(META_MORE("1", "t"), "")));
	drv_end(&d, 0);
	CHECK_INT(d.silence_ms, WATCH_SILENCE_MS);
	d.now_ms += 5000;
	drv_end(&d, -ETIMEDOUT);
	(void)drv_due(&d);
	CHECK_INT(d.silence_ms, WATCH_SILENCE_MS);
	drv_close(&d);
}

static void test_grace(void)
{
	RUN("the re-open hangs", LIVE, {PASS, NULL, 60000, NULL}, {END, NULL, 0, GET_WATCH("10")},
		{PASS, NULL, 9999, NULL}, {PASS, NULL, 1, "unsynced;"}, {PASS, NULL, 1, NULL},
		{PASS, NULL, 4998, NULL}, {PASS, NULL, 1, "cancel;"}, {ERR, "no answer", 0, NULL},
		{DUE, NULL, 100, GET_WATCH("10")}, {HEAD, NULL, 200, "synced;"});
	RUN("the re-open fails", LIVE, {PASS, NULL, 60000, NULL}, {END, NULL, -ECONNRESET, NULL},
		{DUE, NULL, 100, GET_WATCH("10")}, {END, NULL, -ECONNREFUSED, "unsynced;"},
		{PASS, NULL, 4000, GET_WATCH("10")}, {END, NULL, -ECONNREFUSED, NULL},
		{PASS, NULL, 4000, GET_WATCH("10")}, {HEAD, NULL, 200, "synced;"},
		{PASS, NULL, 4000, NULL});
	RUN("a refused re-open that never ends", LIVE, {PASS, NULL, 60000, NULL},
		{END, NULL, 0, GET_WATCH("10")}, {HEAD, NULL, 410, NULL},
		{PASS, NULL, WATCH_OPEN_TIMEOUT_MS, "cancel;unsynced;"},
		{DUE, NULL, 5000, GET_LIST});
	RUN("the list after a 410 is slow", LIVE, {PASS, NULL, 60000, NULL},
		{BYTES, ERROR_EVENT("\"code\":410"), 0, "cancel;"}, {DUE, NULL, 100, GET_LIST},
		{HEAD, NULL, 200, "begin;"}, {PASS, NULL, 3000, "unsynced;"},
		{BYTES, LIST(META("20"), ""), 0, NULL}, {END, NULL, 0, "end+;" GET_WATCH("20")},
		{HEAD, NULL, 200, "synced;"});
}

static void test_relist(void)
{
	struct driver d;

	RUN("while live", LIVE, {RELIST, NULL, 0, "cancel;" GET_LIST}, {SYNCED, NULL, 1, NULL},
		{ANSWER, LIST(META("30"), OBJ("z", "1")), 0, "begin;A z;end+;" GET_WATCH("30")},
		{HEAD, NULL, 200, NULL}, {SYNCED, NULL, 1, NULL});
	RUN("while listing: that list may be too old", {START, NULL, 0, GET_LIST},
		{HEAD, NULL, 200, "begin;"}, {RELIST, NULL, 0, "cancel;end-;" GET_LIST});
	RUN("between pages", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META_MORE("10", "t"), ""), 0,
			"begin;get " BASE "?limit=500&continue=t;"},
		{END, NULL, -ECONNRESET, NULL}, {RELIST, NULL, 0, "end-;"},
		{DUE, NULL, 100, GET_LIST});
	RUN("while opening", {START, NULL, 0, GET_LIST},
		{ANSWER, LIST(META("1"), ""), 0, "begin;end+;" GET_WATCH("1")},
		{RELIST, NULL, 0, "cancel;" GET_LIST});
	RUN("before the start", {RELIST, NULL, 0, NULL}, {START, NULL, 0, GET_LIST});

	check_row = "from inside list_end";
	drv_open(&d);
	d.relist_on_end = true;
	watch_start(d.w, d.now_ms);
	buf_reset(&d.log);
	watch_on_status(d.w, 200, 0, d.now_ms);
	drv_bytes(&d, LIST(META("1"), ""), strlen(LIST(META("1"), "")));
	drv_end(&d, 0);
	CHECK_STR(drv_log(&d), "begin;end+;" GET_WATCH("1") "cancel;" GET_LIST);
	drv_close(&d);
}

static void test_back_off(void)
{
	struct driver d;
	uint64_t waited, low = UINT64_MAX, high = 0;

	drv_open(&d);
	watch_start(d.w, d.now_ms);
	for (unsigned i = 0; i < 200; i++) {
		drv_end(&d, -ECONNREFUSED);
		CHECK(watch_next_deadline(d.w) > d.now_ms);
		waited = drv_due(&d);
		CHECK(waited <= WATCH_BACKOFF_CAP_MS);
		CHECK(i > 0 || waited <= WATCH_BACKOFF_MIN_MS);
		if (i < 20)
			continue;
		low = time_min(low, waited);
		high = high > waited ? high : waited;
	}
	CHECK(low >= WATCH_BACKOFF_CAP_MS / 2 && low < 3000); /* jitter over the upper half */
	CHECK(high > 4500);
	drv_close(&d);
}

/* Live, with a list of version 1 behind it. */
static void drv_live(struct driver *d)
{
	drv_open(d);
	watch_start(d->w, d->now_ms);
	watch_on_status(d->w, 200, 0, d->now_ms);
	drv_bytes(d, LIST(META("1"), ""), strlen(LIST(META("1"), "")));
	drv_end(d, 0);
	watch_on_status(d->w, 200, 0, d->now_ms);
	d->gets = 0;
}

/* A watch that is cut again and again makes progress, stays synced, and is no storm. */
static void test_cut_watch(void)
{
	static const struct {
		const char *name;
		uint64_t after_ms;
		int result;
		unsigned most_gets; /* in 100 s */
		bool synced;
	} rows[] = {
		{"every second, cleanly", 1000, 0, 101, true},
		{"every second, reset", 1000, -ECONNRESET, 101, true},
		{"at once, cleanly", 0, 0, 101, true},
		{"at once, reset", 0, -ECONNRESET, 60, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct driver d;
		uint64_t until;

		check_row = rows[i].name;
		drv_live(&d);
		until = d.now_ms + 100000;
		while (d.now_ms < until) {
			d.now_ms += rows[i].after_ms;
			drv_end(&d, rows[i].result);
			while (!d.under_way)
				(void)drv_due(&d);
			watch_on_status(d.w, 200, 0, d.now_ms);
		}
		CHECK(d.gets <= rows[i].most_gets);
		CHECK(d.gets >= 15);
		CHECK_INT(strstr(drv_log(&d), "unsynced;") == NULL, rows[i].synced);
		CHECK_INT(d.counters.v[COUNTER_WATCH_LISTS], 1);
		drv_close(&d);
	}
}

/* After a long outage the version is too old: the list is asked for at once, not after the pause
 * that the outage had grown to. */
static void test_410_after_failures(void)
{
	static const char expired[] = ERROR_EVENT("\"code\":410");
	struct driver d;

	drv_live(&d);
	for (unsigned i = 0; i < 10; i++) {
		drv_end(&d, -ECONNREFUSED);
		(void)drv_due(&d);
	}
	watch_on_status(d.w, 200, 0, d.now_ms);
	buf_reset(&d.log);
	drv_bytes(&d, expired, sizeof expired - 1);
	CHECK(drv_due(&d) <= WATCH_BACKOFF_MIN_MS);
	CHECK_STR(drv_log(&d), "cancel;" GET_LIST);
	drv_close(&d);
}

/* A server that answers every watch with 410 is not asked for lists without end. */
static void test_endless_410(void)
{
	static const char expired[] = ERROR_EVENT("\"code\":410");
	static const char list[] = LIST(META("1"), "");
	struct driver d;
	uint64_t until;

	drv_live(&d);
	until = d.now_ms + 100000;
	while (d.now_ms < until) {
		drv_bytes(&d, expired, sizeof expired - 1);
		while (!d.under_way)
			(void)drv_due(&d);
		watch_on_status(d.w, 200, 0, d.now_ms);
		drv_bytes(&d, list, sizeof list - 1);
		drv_end(&d, 0);
		watch_on_status(d.w, 200, 0, d.now_ms);
	}
	CHECK(d.counters.v[COUNTER_WATCH_LISTS] < 50);
	CHECK(d.counters.v[COUNTER_WATCH_EXPIRED] > 20);
	CHECK(!d.list_open);
	drv_close(&d);
}

/* {"type":"ADDED","object":{"metadata":{...},"x":"aaa..."}} of n bytes of a. */
static void feed_big(struct driver *d, const char *before, size_t n, const char *after)
{
	static char piece[65536];

	memset(piece, 'a', sizeof piece);
	watch_on_bytes(d->w, before, strlen(before), d->now_ms);
	for (size_t k; n > 0; n -= k) {
		k = n < sizeof piece ? n : sizeof piece;
		watch_on_bytes(d->w, piece, k, d->now_ms);
	}
	watch_on_bytes(d->w, after, strlen(after), d->now_ms);
}

static void test_big_objects(void)
{
	static const char before[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":"
				     "\"big\",\"resourceVersion\":"
				     "\"5\"},\"x\":\"";
	static const char after[] = "\"}}" EVENT("ADDED", "next", "6");
	struct driver d;

	check_row = "just fits";
	drv_live(&d);
	buf_reset(&d.log);
	feed_big(&d, before, WATCH_MAX_OBJECT - strlen(before) - 3, after);
	CHECK_STR(drv_log(&d), "A big;A next;");
	drv_close(&d);

	check_row = "too long is left out";
	drv_live(&d);
	buf_reset(&d.log);
	feed_big(&d, before, WATCH_MAX_OBJECT - strlen(before) - 2, after);
	CHECK_STR(drv_log(&d), "A next;");
	CHECK_INT(d.counters.v[COUNTER_WATCH_BAD_OBJECTS], 1);
	drv_close(&d);

	check_row = "without end is garbage";
	drv_live(&d);
	buf_reset(&d.log);
	feed_big(&d, before, WATCH_MAX_SKIP, "");
	CHECK_STR(drv_log(&d), "cancel;");
	drv_close(&d);

	check_row = "a key without end is garbage";
	drv_open(&d);
	watch_start(d.w, d.now_ms);
	watch_on_status(d.w, 200, 0, d.now_ms);
	buf_reset(&d.log);
	feed_big(&d, "{\"", 70000, "");
	CHECK_STR(drv_log(&d), "cancel;end-;");
	drv_close(&d);
}

static void test_selectors(void)
{
	struct driver d = {.rng = {.state = 1}};

	buf_init(&d.log, 4096);
	d.w = watch_new(
		"/x", "lbd.io/lease in (a,b)", "metadata.name=q&r", &drv_ops, &d, &d.rng, NULL);
	watch_start(d.w, 0);
	CHECK_STR(drv_log(&d), "get /x?limit=500&labelSelector=lbd.io%2Flease%20in%20%28a%2Cb%29"
			       "&fieldSelector=metadata.name%3Dq%26r;");
	buf_reset(&d.log);
	watch_on_status(d.w, 200, 0, 0);
	drv_bytes(&d, LIST(META("1"), ""), strlen(LIST(META("1"), "")));
	drv_end(&d, 0);
	CHECK(strstr(drv_log(&d), "&labelSelector=lbd.io%2Flease") != NULL);
	CHECK_STR(watch_path(d.w), "/x");
	drv_close(&d);
	watch_free(NULL);
}

static void test_version_limit(void)
{
	char rv[WATCH_MAX_VERSION + 1], body[WATCH_MAX_VERSION + 64];

	for (size_t n = WATCH_MAX_VERSION - 1; n <= WATCH_MAX_VERSION; n++) {
		struct driver d;

		memset(rv, '7', n);
		rv[n] = '\0';
		(void)snprintf(body, sizeof body,
			"{\"metadata\":{\"resourceVersion\":\"%s\"},\"items\":[]}", rv);
		drv_open(&d);
		watch_start(d.w, d.now_ms);
		watch_on_status(d.w, 200, 0, d.now_ms);
		drv_bytes(&d, body, strlen(body));
		if (n < WATCH_MAX_VERSION)
			drv_end(&d, 0);
		CHECK_STR(watch_resource_version(d.w), n < WATCH_MAX_VERSION ? rv : "");
		drv_close(&d);
	}
}

/* What nobody waits for is not listened to. */
static void test_stray_calls(void)
{
	RUN("in a back-off", {HEAD, NULL, 200, NULL}, {BYTES, "x", 0, NULL}, {END, NULL, 0, NULL},
		{START, NULL, 0, GET_LIST}, {END, NULL, -EPIPE, NULL}, {HEAD, NULL, 200, NULL},
		{BYTES, "x", 0, NULL}, {END, NULL, 0, NULL}, {DUE, NULL, 100, GET_LIST},
		{END, NULL, -EPIPE, NULL});
}

CHECK_MAIN("test_watch", CHECK_TEST(test_list_then_watch), CHECK_TEST(test_list_shapes),
	CHECK_TEST(test_list_pages), CHECK_TEST(test_first_page_failures),
	CHECK_TEST(test_garbage_lists), CHECK_TEST(test_chunking), CHECK_TEST(test_expired),
	CHECK_TEST(test_retry_after), CHECK_TEST(test_missing), CHECK_TEST(test_forbidden),
	CHECK_TEST(test_garbage_watch),
	CHECK_TEST(test_renewal), CHECK_TEST(test_silent_pages), CHECK_TEST(test_grace),
	CHECK_TEST(test_relist), CHECK_TEST(test_back_off), CHECK_TEST(test_cut_watch),
	CHECK_TEST(test_410_after_failures), CHECK_TEST(test_endless_410),
	CHECK_TEST(test_big_objects), CHECK_TEST(test_selectors), CHECK_TEST(test_version_limit),
	CHECK_TEST(test_stray_calls))
