/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.c - list, then watch, one Kubernetes resource kind.
 *
 * Owns: the state of one kind's list or watch: version, continue token, back-off, the object being
 *       cut out of the stream.  No socket, no clock, no picture of the objects.
 * In:   watch_start(), watch_tick(); the answer under way by watch_on_status/bytes/end().
 * Out:  requests by ops->get(); objects by ops->list_begin/object/list_end(); ops->synced().
 * Sources: Kubernetes "API Concepts" (efficient detection of changes, chunks, bookmarks, 410);
 *       RFC 8259 (JSON), RFC 3986 2.1 (escapes).
 * Not done: sendInitialEvents (WatchList): old servers ignore it without a word.
 */
#include "watch.h"

#include "buf.h"
#include "json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_METADATA = 64 * 1024,   /* bytes of a list's metadata, or of a key */
	MAX_ERROR_BODY = 16 * 1024, /* bytes kept of an answer that is no 200 */
	KEEP_BUFFER = 64 * 1024,    /* a text buffer that grew over this is given back */
	MAX_PATH = 64 * 1024,
	TOO_MANY_MS = 1000,   /* a 429 without Retry-After */
	MAX_BACKOFF_STEP = 6, /* 100 ms << 6 is over the cap */
};

enum phase {
	PHASE_OFF,
	PHASE_WAIT, /* until due_ms, then send what next says */
	PHASE_LIST, /* a page is under way */
	PHASE_OPEN, /* a watch is asked for */
	PHASE_LIVE, /* its 200 came */
};

enum next { NEXT_LIST, NEXT_PAGE, NEXT_WATCH };

/* How a request ended. */
enum end {
	END_OK,
	END_FAILED,  /* transport, status or ERROR event: try again */
	END_GARBAGE, /* not what a list or a watch looks like */
	END_EXPIRED, /* 410 */
	END_STALE,   /* the server does not like the version: list */
	END_MISSING, /* 404 */
};

/* Where in the text the cutter stands: a list is { "key": value, ..., "items": [ {}, {} ], ... },
 * a watch is {} {} {}. */
enum at {
	AT_START,
	AT_FIRST_KEY,
	AT_KEY,
	AT_COLON,
	AT_VALUE,
	AT_SCALAR,
	AT_AFTER_VALUE,
	AT_FIRST_ITEM,
	AT_ITEM,
	AT_AFTER_ITEM,
	AT_DONE,
	AT_EVENT,
	AT_CUT, /* inside the value that cut.what names */
};

enum what { CUT_KEY, CUT_METADATA, CUT_OTHER, CUT_ITEM, CUT_EVENT };
enum key { KEY_ITEMS, KEY_METADATA, KEY_OTHER };

/* One string, object or array on its way out of the stream. */
struct cut {
	enum what what;
	enum at after; /* where the cutter goes on */
	size_t size;   /* bytes so far, kept or not */
	size_t depth;  /* of { and [ */
	bool in_string, escaped;
	bool left_out; /* over its limit, or nobody wants it */
	struct buf text;
};

struct watch {
	const struct watch_ops *ops; /* borrowed, with ctx */
	void *ctx;
	struct rng *rng;           /* borrowed */
	struct counters *counters; /* borrowed, may be NULL */
	char *base_path;           /* owned */
	char *selectors;           /* owned: "&labelSelector=..." escaped, or "" */

	enum phase phase;
	enum next next;
	uint64_t due_ms;   /* PHASE_WAIT */
	uint64_t sent_ms;  /* the request under way */
	uint64_t live_ms;  /* PHASE_LIVE: since */
	uint64_t over_ms;  /* PHASE_LIVE: the server has ended it by then; its length before that */
	uint64_t grace_ms; /* a lost watch is called so at this time */
	unsigned failures; /* since a watch lived */
	unsigned garbage;  /* garbled watches since a good event */
	bool expired;      /* a 410 since a watch lived */
	bool synced;
	bool required;    /* never missing */
	bool missing;     /* waits because of a 404 */
	uint64_t lost_ms; /* the first 404 since the last list; TIME_NEVER = none */
	bool busy, relist;

	/* the list under way */
	bool list_open;      /* list_begin() without list_end() */
	bool whole;          /* ask without limit: the last continue token expired */
	uint64_t silence_ms; /* of the page under way */
	unsigned pages, page_failures;
	char *token; /* owned; NULL on the first page */
	char list_version[WATCH_MAX_VERSION];

	/* the answer under way */
	unsigned status;
	uint64_t retry_after_ms;
	struct buf body; /* of an answer that is no 200 */
	enum at at;
	enum key key;
	struct cut cut;
	bool seen_items, seen_metadata;
	char *next_token; /* owned; NULL = the last page */

	char version[WATCH_MAX_VERSION];
	char error[256];
};

static void end_request(struct watch *w, enum end end, uint64_t now_ms);

/* -- making and freeing -- */

/* http1.c has the same five lines, but watch.c may not use it (it knows nothing of HTTP). */
static void add_escaped(struct buf *out, const char *s)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *s != '\0'; s++)
		if (strchr(plain, *s) != NULL)
			buf_addc(out, *s);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)*s);
}

static char *make_selectors(const char *label_selector, const char *field_selector)
{
	struct buf b;

	buf_init(&b, MAX_PATH);
	if (label_selector != NULL) {
		buf_adds(&b, "&labelSelector=");
		add_escaped(&b, label_selector);
	}
	if (field_selector != NULL) {
		buf_adds(&b, "&fieldSelector=");
		add_escaped(&b, field_selector);
	}
	return buf_take(&b);
}

struct watch *watch_new(const char *base_path, const char *label_selector,
	const char *field_selector, const struct watch_ops *ops, void *ctx, struct rng *rng,
	struct counters *counters)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->ops = ops;
	w->ctx = ctx;
	w->rng = rng;
	w->counters = counters;
	w->grace_ms = w->lost_ms = TIME_NEVER;
	w->silence_ms = WATCH_SILENCE_MS;
	w->base_path = strdup(base_path);
	w->selectors = make_selectors(label_selector, field_selector);
	buf_init(&w->body, MAX_ERROR_BODY);
	buf_init(&w->cut.text, WATCH_MAX_OBJECT);
	if (w->base_path == NULL || w->selectors == NULL) {
		watch_free(w);
		return NULL;
	}
	return w;
}

void watch_free(struct watch *w)
{
	if (w == NULL)
		return;
	free(w->base_path);
	free(w->selectors);
	free(w->token);
	free(w->next_token);
	buf_free(&w->body);
	buf_free(&w->cut.text);
	free(w);
}

void watch_set_required(struct watch *w)
{
	w->required = true;
}

/* -- small steps -- */

static void set_error(struct watch *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void set_error(struct watch *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(w->error, sizeof w->error, fmt, ap);
	va_end(ap);
}

static void set_synced(struct watch *w, bool synced)
{
	if (w->synced == synced)
		return;
	w->synced = synced;
	w->ops->synced(w->ctx, synced);
}

static void close_list(struct watch *w, bool complete)
{
	free(w->token);
	w->token = NULL;
	w->pages = 0;
	w->page_failures = 0;
	if (!w->list_open)
		return;
	w->list_open = false;
	w->ops->list_end(w->ctx, complete);
}

/* Exponential, with jitter over its upper half: servers that come back are not met by all at once.
 */
static uint64_t back_off(struct watch *w)
{
	unsigned step = w->failures < MAX_BACKOFF_STEP ? w->failures : MAX_BACKOFF_STEP;
	uint64_t d = time_min((uint64_t)WATCH_BACKOFF_MIN_MS << step, WATCH_BACKOFF_CAP_MS);
	uint64_t asked = time_min(w->retry_after_ms, WATCH_RETRY_AFTER_CAP_MS);

	w->failures = step + 1;
	d = d / 2 + rng_below(w->rng, d / 2 + 1);
	return d > asked ? d : asked;
}

/* -- requests -- */

static void add_list_query(struct watch *w, struct buf *path)
{
	if (!w->whole)
		buf_addf(path, "?limit=%d", WATCH_PAGE);
	else
		buf_adds(path, "?limit=0");
	buf_adds(path, w->selectors);
	if (w->next == NEXT_PAGE) {
		buf_adds(path, "&continue=");
		add_escaped(path, w->token);
	}
}

static void add_watch_query(struct watch *w, struct buf *path)
{
	const unsigned life_s =
		WATCH_LIFE_MIN_MS / 1000 +
		(unsigned)rng_below(w->rng, (WATCH_LIFE_MAX_MS - WATCH_LIFE_MIN_MS) / 1000 + 1);

	w->over_ms = (uint64_t)life_s * 1000 + WATCH_OVERDUE_MS;
	buf_adds(path, "?watch=true&allowWatchBookmarks=true&resourceVersion=");
	add_escaped(path, w->version);
	buf_addf(path, "&timeoutSeconds=%u", life_s);
	buf_adds(path, w->selectors);
}

static void reset_answer(struct watch *w, bool watching)
{
	w->status = 0;
	w->retry_after_ms = 0;
	w->seen_items = w->seen_metadata = false;
	w->at = watching ? AT_EVENT : AT_START;
	free(w->next_token);
	w->next_token = NULL;
	buf_reset(&w->body);
}

static void send_request(struct watch *w, uint64_t now_ms)
{
	const bool watching = w->next == NEXT_WATCH;
	const struct watch_get get = {
		.stream = watching,
		.timeout_ms = watching ? 0 : WATCH_LIST_TIMEOUT_MS,
		.silence_ms = watching ? 0 : w->silence_ms,
	};
	struct buf path;

	reset_answer(w, watching);
	w->missing = false;
	w->phase = watching ? PHASE_OPEN : PHASE_LIST;
	w->sent_ms = now_ms;
	buf_init(&path, MAX_PATH);
	buf_adds(&path, w->base_path);
	if (watching)
		add_watch_query(w, &path);
	else
		add_list_query(w, &path);
	if (path.bad) {
		set_error(w, "out of memory");
		end_request(w, END_FAILED, now_ms);
	} else {
		w->ops->get(w->ctx, path.p, &get);
	}
	buf_free(&path);
}

static void wait_until(struct watch *w, enum next next, uint64_t due_ms, uint64_t now_ms)
{
	w->next = next;
	w->phase = PHASE_WAIT;
	w->due_ms = due_ms;
	if (due_ms <= now_ms)
		send_request(w, now_ms);
}

/* Does a 404 on the list mean that there is no such resource? */
static bool is_missing(struct watch *w, uint64_t now_ms)
{
	if (w->required)
		return false;
	if (w->lost_ms == TIME_NEVER)
		w->lost_ms = now_ms;
	return w->version[0] == '\0' || now_ms - w->lost_ms >= WATCH_LOST_MS;
}

static void end_list_request(struct watch *w, enum end end, uint64_t now_ms)
{
	uint64_t delay_ms = back_off(w);
	bool again;

	if (end == END_MISSING && !is_missing(w, now_ms))
		end = END_FAILED;
	again = end == END_FAILED || end == END_GARBAGE;
	set_synced(w, false);
	if (w->status == 403)
		w->ops->forbidden(w->ctx);
	/* A token names a version: the rest of the same list can still be had. The first page
	 * cannot: its second answer would be of a later version. */
	if (again && w->token != NULL && ++w->page_failures < WATCH_PAGE_TRIES) {
		wait_until(w, NEXT_PAGE, now_ms + delay_ms, now_ms);
		return;
	}
	if (end == END_EXPIRED && w->token != NULL)
		w->whole = true;
	close_list(w, false);
	if (end == END_MISSING) {
		w->missing = true;
		delay_ms = WATCH_NOT_FOUND_MS;
		w->ops->missing(w->ctx);
	}
	wait_until(w, NEXT_LIST, now_ms + delay_ms, now_ms);
}

/* What the end of a live watch says about the next try. */
static void end_life(struct watch *w, enum end end, uint64_t now_ms)
{
	w->grace_ms = now_ms + (end == END_OK ? WATCH_CLEAN_GRACE_MS : WATCH_GRACE_MS);
	if (now_ms - w->live_ms >= WATCH_LIVED_MS) {
		w->failures = 0;
		w->expired = false;
	}
}

/* How long a watch that ended waits for its successor, or for a list. */
static uint64_t reopen_delay(struct watch *w, enum end end, uint64_t now_ms)
{
	const uint64_t clean_ms = w->sent_ms + WATCH_REOPEN_MIN_MS;

	if (end == END_OK)
		return clean_ms > now_ms ? clean_ms - now_ms : 0;
	if (end == END_EXPIRED && !w->expired) {
		/* The server's plain word, after which nothing can be done but list: at once,
		 * whatever failed before. */
		w->expired = true;
		return rng_below(w->rng, WATCH_BACKOFF_MIN_MS + 1);
	}
	return back_off(w);
}

static void end_watch_request(struct watch *w, enum end end, uint64_t now_ms)
{
	enum next next = NEXT_WATCH;

	if (w->phase == PHASE_LIVE)
		end_life(w, end, now_ms);
	else
		set_synced(w, false);
	if (end == END_GARBAGE && ++w->garbage >= WATCH_GARBAGE_TRIES)
		end = END_STALE;
	if (end == END_EXPIRED)
		counter_inc(w->counters, COUNTER_WATCH_EXPIRED);
	if (end == END_EXPIRED || end == END_STALE || end == END_MISSING)
		next = NEXT_LIST; /* after a 404 the list says whether it is gone */
	wait_until(w, next, now_ms + reopen_delay(w, end, now_ms), now_ms);
}

/* The request under way is over, and what it was for was not done; or a watch ended cleanly. */
static void end_request(struct watch *w, enum end end, uint64_t now_ms)
{
	if (w->phase == PHASE_LIST)
		end_list_request(w, end, now_ms);
	else
		end_watch_request(w, end, now_ms);
}

/* -- what was cut out -- */

/* The key's text has its quotes. */
static enum key key_of(const char *p, size_t n)
{
	static const char items[] = "\"items\"", metadata[] = "\"metadata\"";

	if (n == sizeof items - 1 && memcmp(p, items, n) == 0)
		return KEY_ITEMS;
	if (n == sizeof metadata - 1 && memcmp(p, metadata, n) == 0)
		return KEY_METADATA;
	return KEY_OTHER;
}

static const char *version_of(const cJSON *metadata)
{
	const char *v = json_string(metadata, "resourceVersion");

	return v != NULL && v[0] != '\0' && strlen(v) < WATCH_MAX_VERSION ? v : NULL;
}

static void set_version(char to[WATCH_MAX_VERSION], const char *v)
{
	memcpy(to, v, strlen(v) + 1); /* version_of() measured it */
}

static enum end take_metadata(struct watch *w, const cJSON *metadata)
{
	const char *version = version_of(metadata);
	const char *token = json_string(metadata, "continue");

	if (version == NULL || (token != NULL && strlen(token) > WATCH_MAX_TOKEN)) {
		set_error(w, "a list without a usable metadata.resourceVersion or continue");
		return END_GARBAGE;
	}
	w->seen_metadata = true;
	if (w->token == NULL) /* all pages are of the first one's version */
		set_version(w->list_version, version);
	free(w->next_token);
	w->next_token = NULL;
	if (token == NULL || token[0] == '\0')
		return END_OK;
	w->next_token = strdup(token);
	if (w->next_token == NULL)
		set_error(w, "out of memory");
	return w->next_token != NULL ? END_OK : END_FAILED;
}

static bool says_version_too_large(const cJSON *status)
{
	const cJSON *cause;

	cJSON_ArrayForEach (cause, json_array(json_object(status, "details"), "causes")) {
		const char *reason = json_string(cause, "reason");

		if (reason != NULL && strcmp(reason, "ResourceVersionTooLarge") == 0)
			return true;
	}
	return false;
}

/* A Status object (meta/v1), or NULL: which end it means, with its words and its wish to wait. */
static enum end take_status(struct watch *w, unsigned code, const cJSON *status)
{
	const char *message = json_string(status, "message");
	long long wait_s =
		json_int(json_object(status, "details"), "retryAfterSeconds", 0, 24LL * 3600, 0);
	uint64_t wait_ms = (uint64_t)wait_s * 1000;

	if (wait_ms > w->retry_after_ms)
		w->retry_after_ms = wait_ms;
	if (code == 429 && w->retry_after_ms == 0)
		w->retry_after_ms = TOO_MANY_MS;
	if (message != NULL)
		set_error(w, "HTTP %u: %s", code, message);
	else
		set_error(w, "HTTP %u", code);
	if (code == 404)
		return END_MISSING;
	if (code == 410)
		return END_EXPIRED;
	if (says_version_too_large(status))
		return END_STALE;
	if (code == 401 || code == 403 || code == 408 || code == 429)
		return END_FAILED;
	/* The server finds fault with the request itself; of a watch only the version varies. */
	return code >= 400 && code < 500 ? END_STALE : END_FAILED;
}

static bool event_of(const char *type, enum watch_event *ret_event)
{
	static const char *const names[] = {
		[WATCH_ADDED] = "ADDED",
		[WATCH_MODIFIED] = "MODIFIED",
		[WATCH_DELETED] = "DELETED",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(type, names[i]) == 0) {
			*ret_event = (enum watch_event)i;
			return true;
		}
	return false;
}

static enum end take_event(struct watch *w, const cJSON *e)
{
	const char *type = json_string(e, "type");
	const cJSON *obj = json_object(e, "object");
	const char *version = version_of(json_object(obj, "metadata"));
	enum watch_event event;

	if (type != NULL && obj != NULL && strcmp(type, "ERROR") == 0)
		return take_status(w, (unsigned)json_int(obj, "code", 100, 999, 500), obj);
	if (type != NULL && version != NULL && strcmp(type, "BOOKMARK") == 0) {
		counter_inc(w->counters, COUNTER_WATCH_BOOKMARKS);
	} else if (type != NULL && version != NULL && event_of(type, &event)) {
		counter_inc(w->counters, COUNTER_WATCH_EVENTS);
		w->ops->object(w->ctx, event, obj);
	} else {
		set_error(w, "a watch event without a known type or a usable resourceVersion");
		return END_GARBAGE;
	}
	set_version(w->version, version);
	w->garbage = 0;
	return END_OK;
}

/* A whole value came. */
static enum end take_cut(struct watch *w, const char *p, size_t n)
{
	enum end end = END_OK;
	cJSON *v;

	if (w->cut.left_out) {
		if (w->cut.what != CUT_OTHER)
			counter_inc(w->counters, COUNTER_WATCH_BAD_OBJECTS);
		return END_OK;
	}
	if (w->cut.what == CUT_KEY) {
		w->key = key_of(p, n);
		return END_OK;
	}
	v = json_parse(p, n);
	if (!cJSON_IsObject(v)) {
		cJSON_Delete(v);
		set_error(w, "not JSON");
		return END_GARBAGE;
	}
	if (w->cut.what == CUT_METADATA)
		end = take_metadata(w, v);
	else if (w->cut.what == CUT_ITEM)
		w->ops->object(w->ctx, WATCH_ADDED, v);
	else if (w->cut.what == CUT_EVENT)
		end = take_event(w, v);
	cJSON_Delete(v);
	return end;
}

/* -- cutting values out of the stream -- */

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* What numbers, true, false and null are made of. */
static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
	       c == '.' || c == 'E';
}

static void begin_cut(struct watch *w, enum what what, enum at after)
{
	struct cut *c = &w->cut;

	c->what = what;
	c->after = after;
	c->size = c->depth = 0;
	c->in_string = c->escaped = false;
	c->left_out = what == CUT_OTHER;
	if (c->text.cap > KEEP_BUFFER)
		buf_free(&c->text);
	buf_reset(&c->text);
	w->at = AT_CUT;
}

/* Moves *p over the value's bytes.  *ret_whole: its last one was among them.  False: garbage. */
static bool scan_cut(struct cut *c, const char **p, const char *end, bool *ret_whole)
{
	*ret_whole = false;
	while (*p < end && !*ret_whole) {
		const char ch = *(*p)++;

		if (c->in_string) {
			if ((unsigned char)ch < ' ')
				return false;
			if (c->escaped)
				c->escaped = false;
			else if (ch == '\\')
				c->escaped = true;
			else if (ch == '"')
				c->in_string = false;
			*ret_whole = !c->in_string && c->depth == 0;
		} else if (ch == '"') {
			c->in_string = true;
		} else if (ch == '{' || ch == '[') {
			c->depth++;
		} else if (ch == '}' || ch == ']') {
			*ret_whole = --c->depth == 0; /* begun by one of { [ ": never below */
		} else if (ch != ',' && ch != ':' && !is_space(ch) && !is_scalar(ch)) {
			return false;
		}
	}
	return true;
}

/* Counts n more bytes against the limits. False: too many to go on. */
static bool charge_cut(struct cut *c, size_t n)
{
	const bool small = c->what == CUT_KEY || c->what == CUT_METADATA;

	c->size += n;
	if (c->size > (small ? (size_t)MAX_METADATA : (size_t)WATCH_MAX_SKIP))
		return false;
	if (c->size > WATCH_MAX_OBJECT && !c->left_out) {
		c->left_out = true;
		buf_free(&c->text);
	}
	return true;
}

static enum end feed_cut(struct watch *w, const char **p, const char *end)
{
	struct cut *c = &w->cut;
	const char *start = *p;
	bool whole;
	size_t n;

	if (!scan_cut(c, p, end, &whole) || !charge_cut(c, (size_t)(*p - start))) {
		set_error(w, "not JSON, or a value too long");
		return END_GARBAGE;
	}
	n = (size_t)(*p - start);
	if (whole)
		w->at = c->after;
	if (whole && c->text.len == 0)
		return take_cut(w, start, n); /* all of it in this piece: no copy */
	if (!c->left_out)
		buf_add(&c->text, start, n);
	if (c->text.bad) {
		set_error(w, "out of memory");
		return END_FAILED;
	}
	return whole ? take_cut(w, c->text.p, c->text.len) : END_OK;
}

/* The first byte of the value of w->key. False: garbage. */
static bool step_value(struct watch *w, const char **p)
{
	const char ch = **p;

	if (w->key == KEY_ITEMS && ch == '[') {
		++*p;
		w->seen_items = true;
		w->at = AT_FIRST_ITEM;
	} else if (w->key == KEY_METADATA && ch == '{') {
		begin_cut(w, CUT_METADATA, AT_AFTER_VALUE);
	} else if (w->key == KEY_OTHER && (ch == '{' || ch == '[' || ch == '"')) {
		begin_cut(w, CUT_OTHER, AT_AFTER_VALUE);
	} else if (w->key != KEY_METADATA && is_scalar(ch)) {
		w->seen_items |= w->key == KEY_ITEMS; /* null: Go's empty list */
		w->at = AT_SCALAR;
	} else {
		return false;
	}
	return true;
}

/* Takes ch and goes on at yes, if *p is ch. */
static bool step_over(struct watch *w, const char **p, char ch, enum at yes)
{
	if (**p != ch)
		return false;
	++*p;
	w->at = yes;
	return true;
}

static bool step_into(struct watch *w, const char **p, char ch, enum what what, enum at after)
{
	if (**p != ch)
		return false;
	begin_cut(w, what, after);
	return true;
}

/* One byte between values that is no white space; it may stay for the next step. False: garbage. */
static bool step(struct watch *w, const char **p)
{
	switch (w->at) {
	case AT_START:
		return step_over(w, p, '{', AT_FIRST_KEY);
	case AT_FIRST_KEY:
		return step_over(w, p, '}', AT_DONE) || step_into(w, p, '"', CUT_KEY, AT_COLON);
	case AT_KEY:
		return step_into(w, p, '"', CUT_KEY, AT_COLON);
	case AT_COLON:
		return step_over(w, p, ':', AT_VALUE);
	case AT_VALUE:
		return step_value(w, p);
	case AT_SCALAR:
		w->at = is_scalar(**p) ? AT_SCALAR : AT_AFTER_VALUE;
		*p += w->at == AT_SCALAR;
		return true;
	case AT_AFTER_VALUE:
		return step_over(w, p, ',', AT_KEY) || step_over(w, p, '}', AT_DONE);
	case AT_FIRST_ITEM:
		return step_over(w, p, ']', AT_AFTER_VALUE) ||
		       step_into(w, p, '{', CUT_ITEM, AT_AFTER_ITEM);
	case AT_ITEM:
		return step_into(w, p, '{', CUT_ITEM, AT_AFTER_ITEM);
	case AT_AFTER_ITEM:
		return step_over(w, p, ',', AT_ITEM) || step_over(w, p, ']', AT_AFTER_VALUE);
	case AT_EVENT:
		return step_into(w, p, '{', CUT_EVENT, AT_EVENT);
	case AT_DONE:
	case AT_CUT:
		break;
	}
	return false;
}

static enum end feed(struct watch *w, const char *p, size_t n)
{
	const char *const end = p + n;
	enum end verdict = END_OK;

	while (p < end && verdict == END_OK) {
		if (w->at == AT_CUT) {
			verdict = feed_cut(w, &p, end);
		} else if (is_space(*p)) {
			if (w->at == AT_SCALAR)
				w->at = AT_AFTER_VALUE;
			p++;
		} else if (!step(w, &p)) {
			set_error(w, "not what a Kubernetes list or watch looks like");
			verdict = END_GARBAGE;
		}
	}
	return verdict;
}

/* -- the answer under way -- */

static void do_relist(struct watch *w, uint64_t now_ms)
{
	const bool under_way =
		w->phase == PHASE_LIST || w->phase == PHASE_OPEN || w->phase == PHASE_LIVE;

	w->relist = false;
	if (w->phase == PHASE_OFF)
		return;
	if (under_way)
		w->ops->cancel(w->ctx);
	if (w->phase == PHASE_LIVE)
		w->grace_ms = now_ms + WATCH_GRACE_MS;
	close_list(w, false);
	w->relist = false; /* list_end() may have asked again */
	wait_until(w, NEXT_LIST, under_way || w->missing ? now_ms : w->due_ms, now_ms);
}

/* Callbacks may ask for a list while we stand in the middle of a feed: that waits for leave(). */
static void enter(struct watch *w)
{
	REQUIRE(!w->busy);
	w->busy = true;
}

static void leave(struct watch *w, uint64_t now_ms)
{
	if (w->relist)
		do_relist(w, now_ms);
	w->busy = false;
}

static void on_live(struct watch *w, uint64_t now_ms)
{
	counter_inc(w->counters, COUNTER_WATCH_OPENS);
	w->phase = PHASE_LIVE;
	w->live_ms = now_ms;
	w->over_ms += now_ms;
	w->grace_ms = TIME_NEVER;
	w->error[0] = '\0';
	set_synced(w, true);
}

void watch_on_status(struct watch *w, unsigned status, uint64_t retry_after_ms, uint64_t now_ms)
{
	if (w->phase != PHASE_LIST && w->phase != PHASE_OPEN)
		return;
	enter(w);
	w->status = status;
	w->retry_after_ms = retry_after_ms;
	if (status == 200 && w->phase == PHASE_OPEN) {
		on_live(w, now_ms);
	} else if (status == 200 && !w->list_open) {
		w->list_open = true;
		w->ops->list_begin(w->ctx);
	}
	leave(w, now_ms);
}

void watch_on_bytes(struct watch *w, const char *p, size_t n, uint64_t now_ms)
{
	enum end end;

	if (w->phase != PHASE_LIST && w->phase != PHASE_OPEN && w->phase != PHASE_LIVE)
		return;
	if (w->status != 200) {
		buf_add(&w->body, p, n);
		return;
	}
	enter(w);
	end = feed(w, p, n);
	if (end == END_GARBAGE)
		counter_inc(w->counters, COUNTER_WATCH_BAD_OBJECTS);
	if (end != END_OK) {
		w->ops->cancel(w->ctx);
		end_request(w, end, now_ms);
	}
	leave(w, now_ms);
}

/* A page came to its end. */
static void end_page(struct watch *w, uint64_t now_ms)
{
	if (w->at != AT_DONE || !w->seen_items || !w->seen_metadata ||
		++w->pages > WATCH_MAX_PAGES) {
		set_error(w, "a list that ends early, has no items or no metadata, or no end");
		counter_inc(w->counters, COUNTER_WATCH_BAD_OBJECTS);
		end_request(w, END_GARBAGE, now_ms);
		return;
	}
	w->page_failures = 0;
	w->silence_ms = WATCH_SILENCE_MS;
	w->error[0] = '\0';
	free(w->token);
	w->token = w->next_token;
	w->next_token = NULL;
	if (w->token != NULL) {
		w->next = NEXT_PAGE;
		send_request(w, now_ms);
		return;
	}
	counter_inc(w->counters, COUNTER_WATCH_LISTS);
	set_version(w->version, w->list_version);
	w->garbage = 0;
	w->lost_ms = TIME_NEVER;
	w->whole = false;
	close_list(w, true);
	w->next = NEXT_WATCH;
	send_request(w, now_ms);
}

static enum end end_of_bad_status(struct watch *w)
{
	cJSON *status = w->body.bad ? NULL : json_parse(w->body.p, w->body.len);
	enum end end = take_status(w, w->status, status);

	cJSON_Delete(status);
	return end;
}

/* The page that failed so may have been hung, or its server slow, as one is that puts requests into
 * a queue: that one gets more time. */
static void lengthen_silence(struct watch *w, int result, uint64_t now_ms)
{
	if (w->phase == PHASE_LIST && result == -ETIMEDOUT && now_ms - w->sent_ms >= w->silence_ms)
		w->silence_ms = time_min(2 * w->silence_ms, WATCH_SILENCE_CAP_MS);
}

void watch_on_end(struct watch *w, int result, uint64_t now_ms)
{
	if (w->phase != PHASE_LIST && w->phase != PHASE_OPEN && w->phase != PHASE_LIVE)
		return;
	enter(w);
	lengthen_silence(w, result, now_ms);
	if (w->status != 0 && w->status != 200) {
		end_request(w, end_of_bad_status(w), now_ms);
	} else if (result != 0 || w->status == 0) {
		set_error(w, "%s", strerror(result != 0 ? -result : EPROTO));
		end_request(w, END_FAILED, now_ms);
	} else if (w->phase == PHASE_LIST) {
		end_page(w, now_ms);
	} else if (w->at != AT_EVENT) {
		set_error(w, "the watch ended inside an object");
		end_request(w, END_FAILED, now_ms);
	} else {
		end_request(w, END_OK, now_ms);
	}
	leave(w, now_ms);
}

/* -- time -- */

void watch_start(struct watch *w, uint64_t now_ms)
{
	REQUIRE(w->phase == PHASE_OFF);
	enter(w);
	wait_until(w, NEXT_LIST, now_ms, now_ms);
	leave(w, now_ms);
}

void watch_relist(struct watch *w, uint64_t now_ms)
{
	w->relist = true;
	if (w->busy)
		return;
	enter(w);
	leave(w, now_ms);
}

static void give_up_opening(struct watch *w, uint64_t now_ms)
{
	enum end end = END_FAILED;

	w->ops->cancel(w->ctx);
	set_error(w, "no answer to a watch within %d s", WATCH_OPEN_TIMEOUT_MS / 1000);
	if (w->status != 0)
		end = end_of_bad_status(w);
	end_request(w, end, now_ms);
}

/* The server has not ended it: it may be gone. */
static void renew(struct watch *w, uint64_t now_ms)
{
	w->ops->cancel(w->ctx);
	w->grace_ms = now_ms + WATCH_GRACE_MS;
	w->failures = 0;
	w->next = NEXT_WATCH;
	send_request(w, now_ms);
}

void watch_tick(struct watch *w, uint64_t now_ms)
{
	enter(w);
	if (w->phase == PHASE_WAIT && now_ms >= w->due_ms)
		send_request(w, now_ms);
	else if (w->phase == PHASE_OPEN && now_ms >= w->sent_ms + WATCH_OPEN_TIMEOUT_MS)
		give_up_opening(w, now_ms);
	else if (w->phase == PHASE_LIVE && now_ms >= w->over_ms)
		renew(w, now_ms);
	if (now_ms >= w->grace_ms) {
		w->grace_ms = TIME_NEVER;
		set_synced(w, false);
	}
	leave(w, now_ms);
}

uint64_t watch_next_deadline(const struct watch *w)
{
	uint64_t t = w->grace_ms;

	switch (w->phase) {
	case PHASE_OFF:
	case PHASE_LIST:
		return t;
	case PHASE_WAIT:
		return time_min(t, w->due_ms);
	case PHASE_OPEN:
		return time_min(t, w->sent_ms + WATCH_OPEN_TIMEOUT_MS);
	case PHASE_LIVE:
		return time_min(t, w->over_ms);
	}
	return t;
}

bool watch_is_missing(const struct watch *w)
{
	return w->missing;
}

bool watch_is_synced(const struct watch *w)
{
	return w->synced;
}

const char *watch_resource_version(const struct watch *w)
{
	return w->version;
}

const char *watch_last_error(const struct watch *w)
{
	return w->error;
}

const char *watch_path(const struct watch *w)
{
	return w->base_path;
}
