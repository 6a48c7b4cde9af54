/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.c - watches.
 *
 * Owns: a place in a collection's ring, the filter, two deadlines.
 * In:   the ring, time.  Out: JSON lines of watch events.
 * Sources: apiserver storage/cacher (what a selector makes of an update; bookmarks at an interval
 *       and 2 s before the end; too old a version is an ERROR event in a 200 stream).
 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum { LAST_BOOKMARK_MS = 2000 };

struct stream {
	struct coll *coll;   /* borrowed */
	struct store *store; /* borrowed */
	struct render render;
	struct filter filter; /* owned */
	uint64_t seq, bookmark_rv;
	uint64_t start_rv; /* events after this one */
	uint64_t bookmark_ms, bookmark_at, ends_at;
	bool columns_sent, over, mute;
};

static void line_open(struct text *out, const char *type)
{
	text_fmt(out, "{\"type\":\"%s\",\"object\":", type);
}

static void line_close(struct text *out)
{
	text_str(out, "}\n");
}

static void send_object(struct stream *st, const char *type, struct version *v, struct text *out)
{
	line_open(out, type);
	render_event(&st->render, v, !st->columns_sent, out);
	line_close(out);
	st->columns_sent = true;
}

static void send_bookmark(struct stream *st, bool initial_end, struct text *out)
{
	line_open(out, "BOOKMARK");
	render_bookmark(&st->render, st->store->rv, initial_end, out);
	line_close(out);
	st->bookmark_rv = st->store->rv;
}

static void send_expired(struct stream *st, uint64_t rv, struct text *out)
{
	struct text message = {0};

	text_fmt(&message, "too old resource version: %llu (%llu)", (unsigned long long)rv,
		(unsigned long long)st->coll->floor_rv);
	line_open(out, "ERROR");
	status_text(out, 410, "Expired", message.p, NULL);
	line_close(out);
	text_free(&message);
	st->over = true;
}

/* The first event after rv. */
static uint64_t seq_after(const struct coll *c, uint64_t rv)
{
	uint64_t lo = c->first_seq, hi = c->next_seq;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (c->ring[mid % c->ring_cap].rv <= rv)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* At the interval, and 2 s before the end. */
static void next_bookmark(struct stream *st, uint64_t now_ms)
{
	st->bookmark_at = now_ms + st->bookmark_ms;
	if (now_ms + LAST_BOOKMARK_MS < st->ends_at &&
		st->bookmark_at + LAST_BOOKMARK_MS > st->ends_at)
		st->bookmark_at = st->ends_at - LAST_BOOKMARK_MS;
}

struct stream *stream_new(
	struct sim *s, struct coll *c, struct stream_conf *conf, uint64_t now_ms, struct text *out)
{
	struct stream *st = xcalloc(1, sizeof(*st));

	*st = (struct stream){
		.coll = c,
		.store = &s->store,
		.render = conf->render,
		.filter = *conf->filter,
		.seq = conf->initial ? c->next_seq : seq_after(c, conf->from_rv),
		.start_rv = conf->initial ? s->store.rv : conf->from_rv,
		.bookmark_ms = conf->bookmarks ? conf->bookmark_ms : 0,
		.bookmark_at = UINT64_MAX,
		.ends_at = now_ms + conf->timeout_ms,
	};
	*conf->filter = (struct filter){0};
	st->bookmark_rv = st->start_rv;
	if (conf->bookmarks)
		next_bookmark(st, now_ms);
	if (!conf->initial && conf->from_rv < c->floor_rv) {
		send_expired(st, conf->from_rv, out);
		return st;
	}
	for (size_t i = 0; conf->initial && i < c->n; i++) {
		if (filter_match(&st->filter, st->render.kind, c->v[i]))
			send_object(st, "ADDED", c->v[i], out);
	}
	if (conf->initial_end)
		send_bookmark(st, true, out);
	return st;
}

void stream_free(struct stream *st)
{
	if (!st)
		return;
	filter_free(&st->filter);
	free(st);
}

/* Its CustomResourceDefinition is no more. */
static bool is_kind_gone(const struct stream *st)
{
	return st->render.kind->flags & KIND_GONE;
}

bool stream_has_news(const struct stream *st)
{
	return !st->mute && (st->seq < st->coll->next_seq || st->over || is_kind_gone(st));
}

/* It left the selection: the client sees it go, as it was, with the event's version. */
static void send_gone(struct stream *st, const struct event *e, struct text *out)
{
	cJSON *obj = version_parse(e->prev);
	struct version *v = version_new(st->coll, e->prev->key, obj, e->rv);

	send_object(st, "DELETED", v, out);
	version_unref(v);
	cJSON_Delete(obj);
}

static void send_event(struct stream *st, const struct event *e, struct text *out)
{
	if (e->rv <= st->start_rv) /* it was asked for from the future */
		return;
	bool was = e->prev && filter_match(&st->filter, st->render.kind, e->prev);
	bool is = filter_match(&st->filter, st->render.kind, e->now);

	if (e->type == EVENT_DELETED) {
		if (was)
			send_object(st, "DELETED", e->now, out);
	} else if (is) {
		send_object(st, was ? "MODIFIED" : "ADDED", e->now, out);
	} else if (was) {
		send_gone(st, e, out);
	}
}

static void bookmark_if_due(struct stream *st, uint64_t now_ms, struct text *out)
{
	if (now_ms < st->bookmark_at)
		return;
	if (st->store->rv > st->bookmark_rv)
		send_bookmark(st, false, out);
	next_bookmark(st, now_ms);
}

bool stream_pump(struct stream *st, uint64_t now_ms, size_t max, struct text *out)
{
	if (st->mute)
		return true;
	if (st->over || st->seq < st->coll->first_seq)
		return false;
	while (st->seq < st->coll->next_seq && out->n < max) {
		const struct event *e = &st->coll->ring[st->seq % st->coll->ring_cap];

		if (e->rv >
			st->start_rv) /* a version from the future: silent until it is reached */
			send_event(st, e, out);
		st->seq++;
	}
	if (st->seq == st->coll->next_seq && is_kind_gone(st))
		return false;
	if (st->seq == st->coll->next_seq)
		bookmark_if_due(st, now_ms, out);
	return now_ms < st->ends_at;
}

void stream_mute(struct stream *st)
{
	st->mute = true;
}

uint64_t stream_deadline(const struct stream *st)
{
	if (st->mute)
		return UINT64_MAX;
	if (st->over || is_kind_gone(st))
		return 0;
	return st->bookmark_at < st->ends_at ? st->bookmark_at : st->ends_at;
}
