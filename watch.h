/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.h - the list/watch state machine of one Kubernetes resource kind.  Pure: bytes and time in,
 * requests and objects out.
 *
 * List in pages (resourceVersion unset: consistent), then watch from the list's version with
 * bookmarks; 410 (as a status or as an ERROR event inside a 200 stream) lists anew, and so does any
 * answer that blames the version; everything else that ends a watch re-opens it from the last
 * version with back-off and jitter.  Objects are cut out of the page as it arrives, so that memory
 * is one object's, not a page's.  Source: Kubernetes API Concepts, "Efficient detection of
 * changes".
 *
 * A watch of what does not change is silent, and so is one whose server is gone behind a proxy that
 * keeps the connection.  So the server is asked to end each watch after a random 5 to 10 minutes: it
 * is then opened again on the same connection, which costs one small request.  One that the server
 * does not end is given up and opened on another connection.  (What our own Leases show is found
 * sooner, and then everything is listed anew: health.h, history.h.)
 */
#ifndef LBD_WATCH_H
#define LBD_WATCH_H

#include "base.h"
#include "counter.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	WATCH_PAGE = 500,
	/* Bytes of one object's text: etcd's limit and air.  A longer one is left out and counted,
	 * so that one hostile object costs only itself; over WATCH_MAX_SKIP the stream counts as
	 * garbage. */
	WATCH_MAX_OBJECT = 3 * 1024 * 1024,
	WATCH_MAX_SKIP = 4 * WATCH_MAX_OBJECT,
	WATCH_MAX_PAGES = 4096,
	WATCH_MAX_VERSION = 256, /* bytes of a resourceVersion, an opaque string */
	WATCH_MAX_TOKEN = 8192,  /* bytes of a continue token */
	WATCH_BACKOFF_MIN_MS = 100,
	WATCH_BACKOFF_CAP_MS = 5000,   /* retry cap of shared/OWNERSHIP.md */
	WATCH_LIFE_MIN_MS = 300 * 1000, /* the server shall end a watch after so long, in whole s */
	WATCH_LIFE_MAX_MS = 600 * 1000,
	WATCH_OVERDUE_MS = 5 * 1000,     /* one that it did not end by then is given up */
	WATCH_NOT_FOUND_MS = 600 * 1000, /* a 404 resource is asked for again after this */
	WATCH_LOST_MS = 15 * 1000, /* one that was there is missing after so long a time of 404s */
	WATCH_RETRY_AFTER_CAP_MS = 300 * 1000, /* Retry-After is obeyed up to this */
	WATCH_LIST_TIMEOUT_MS = 120 * 1000,    /* one page, as long as bytes come */
	WATCH_SILENCE_MS = 10 * 1000,      /* a page of which no byte comes is asked for again; */
	WATCH_SILENCE_CAP_MS = 60 * 1000,  /* each time the server gets twice as long, up to this */
	WATCH_OPEN_TIMEOUT_MS = 15 * 1000, /* from asking for a watch to its 200 */
	WATCH_LIVED_MS = 500,       /* a watch this old was a success: back-off starts anew */
	WATCH_REOPEN_MIN_MS = 1000, /* a watch that ends cleanly is opened at most this often */
	WATCH_GRACE_MS = 3000,      /* a lost watch may be re-opened within this, still synced */
	WATCH_CLEAN_GRACE_MS = 10 * 1000, /* likewise, when the server ended it as it was asked to:
					   * it lives, and may be slow each time */
	WATCH_PAGE_TRIES = 5,    /* a page with a token is asked for this often, then list anew */
	WATCH_GARBAGE_TRIES = 3, /* so many garbled watches from one version, then list anew */
};

struct watch_get {
	bool stream;                     /* a watch, else a page of a list */
	uint64_t timeout_ms, silence_ms; /* 0 = none */
};

enum watch_event { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED };

struct watch_ops {
	/* GET path (with query).  A stream has no limits, a page both: timeout_ms for the whole,
	 * silence_ms without a byte of the answer (both end it with -ETIMEDOUT).  Answers come by
	 * watch_on_*(), never from inside. */
	void (*get)(void *ctx, const char *path, const struct watch_get *get);
	/* Drop the request under way; no more watch_on_* for it. */
	void (*cancel)(void *ctx);
	void (*list_begin)(void *ctx);
	/* In a list each object comes as WATCH_ADDED. obj is the caller's. */
	void (*object)(void *ctx, enum watch_event event, const cJSON *obj);
	/* complete: what the list did not hold is gone; else the list failed and nothing is known
	 * to be gone. */
	void (*list_end)(void *ctx, bool complete);
	/* The picture of this kind is complete and live (true): a whole list, and the 200 of a
	 * watch from its version.  Or it cannot be trusted to be fresh (false): the watch was lost
	 * and the first request after that failed, or no watch was open again within
	 * WATCH_GRACE_MS (WATCH_CLEAN_GRACE_MS).  A renewal, or an end that is re-opened at once,
	 * changes nothing.  Only on change. */
	void (*synced)(void *ctx, bool synced);
	/* 404: this server does not have the resource, or no longer (asked again after
	 * WATCH_NOT_FOUND_MS).  Of one that was listed before, a 404 is at first taken for a server
	 * that starts up: tried again with back-off, and missing only after WATCH_LOST_MS. */
	void (*missing)(void *ctx);
	/* 403: the server does not let us list it (tried again with back-off). */
	void (*forbidden)(void *ctx);
};
/* From inside any of these watch_relist() may be called; nothing else that changes the watch. */

struct watch; /* opaque */

/* base_path: "/api/v1/services"; label_selector, field_selector may be NULL; strings are copied.
 * ops, ctx, rng borrowed. */
struct watch *watch_new(const char *base_path, const char *label_selector,
	const char *field_selector, const struct watch_ops *ops, void *ctx, struct rng *rng,
	struct counters *counters) MUST_CHECK;
void watch_free(struct watch *w); /* cancels nothing: cancel first */
/* Every API server has this resource: a 404 is a failure like any other, and missing() never comes.
 */
void watch_set_required(struct watch *w);

/* Sends the first request.  Once. */
void watch_start(struct watch *w, uint64_t now_ms);
/* List anew, consistently (a new leader; a doubt): a list under way is given up, for it may be
 * older than the call; only a back-off under way is waited for.  list_end(true) tells when it is
 * there. */
void watch_relist(struct watch *w, uint64_t now_ms);

/* From the request under way. */
/* Once, before any bytes.  retry_after_ms 0 = none. */
void watch_on_status(struct watch *w, unsigned status, uint64_t retry_after_ms, uint64_t now_ms);
/* In pieces of any size. */
void watch_on_bytes(struct watch *w, const char *p, size_t n, uint64_t now_ms);
/* It ended, once, last: result 0, or -errno. */
void watch_on_end(struct watch *w, int result, uint64_t now_ms);

void watch_tick(struct watch *w, uint64_t now_ms);
uint64_t watch_next_deadline(const struct watch *w);

const char *watch_path(const struct watch *w); /* base_path */
bool watch_is_synced(const struct watch *w);
/* Does it wait because the server does not have the resource? */
bool watch_is_missing(const struct watch *w);
const char *watch_resource_version(const struct watch *w); /* "" before the first list */
/* How the last request failed, in words; "" = it did not. */
const char *watch_last_error(const struct watch *w);

#endif
