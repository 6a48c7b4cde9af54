/* SPDX-License-Identifier: Apache-2.0
 *
 * kube.h - the Kubernetes client: credentials, watches (watch.c over http.c), requests.  On the
 * caller's libuv loop.
 */
#ifndef LBD_KUBE_H
#define LBD_KUBE_H

#include "base.h"
#include "cluster.h"
#include "counter.h"
#include "event.h"
#include "http.h"
#include "leader.h"
#include "watch.h"

#include <cjson/cJSON.h>
#include <uv.h>

/* Limits, in one place. */
enum {
	KUBE_MAX_ANSWER = 4 * 1024 * 1024, /* bytes of an answer to a request */
	KUBE_MAX_HELD = HTTP_MAX_QUEUE,    /* requests waiting for a Retry-After to pass */
	KUBE_RETRY_AFTER_CAP_MS = 300 * 1000,
	KUBE_TIMEOUT_MS = 10 * 1000,   /* of a request that names none */
	KUBE_LOG_AGAIN_MS = 60 * 1000, /* a watch that stays broken is logged this often */
};

/* Where the credentials come from, in the order of creds.h. */
struct kube_where {
	const char *kubeconfig; /* --kubeconfig; NULL = not given */
	const char *context;    /* --context; NULL = current-context */
};

struct kube; /* opaque */

/* Finds and reads the credentials, and reads them again when they change.  0; -ENOENT: none found;
 * -EINVAL: refused; -ENOMEM; err says which file and why.  now_ms as in http.h.  Strings of where
 * are copied, the rest is borrowed. */
int kube_new(uv_loop_t *loop, const struct kube_where *where, uint64_t (*now_ms)(void),
	struct rng *rng, struct counters *counters, struct kube **ret_kube, char *err,
	size_t err_len) MUST_CHECK;
/* Watches end without a word, requests end with -ECANCELED; closed() comes from the loop when k is
 * freed.  NULL is a no-op: closed() is not called. */
void kube_close(struct kube *k, void (*closed)(void *ctx), void *ctx);
/* The node's name for Events' source; copied.  "" until set. */
void kube_set_node(struct kube *k, const char *node);
/* From now on only GET is sent: kube_request() refuses all else. */
void kube_set_read_only(struct kube *k);
/* For a log line: "https://127.0.0.1:6443 (context default of /etc/lbd/kubeconfig)". */
const char *kube_where_text(const struct kube *k);

/* -- watches: generic over resource kinds, added and removed at run time -- */
/* As in watch.h.  From inside any of these everything here may be called, kube_unwatch() too: then
 * nothing more comes. */
struct kube_watch_ops {
	void (*list_begin)(void *ctx);
	void (*object)(void *ctx, enum watch_event event, const cJSON *obj);
	void (*list_end)(void *ctx, bool complete);
	void (*synced)(void *ctx, bool synced);
	void (*missing)(void *ctx);
	void (*forbidden)(void *ctx);
};
struct kube_watch; /* opaque */
struct kube_watch_conf {
	const char *path;                            /* "/api/v1/services"; copied */
	const char *label_selector, *field_selector; /* NULL = none */
	bool required;                               /* watch_set_required() */
};
/* Starts at once; the first call comes from the loop.  NULL when out of memory.  ops borrowed. */
struct kube_watch *kube_watch(struct kube *k, const struct kube_watch_conf *conf,
	const struct kube_watch_ops *ops, void *ctx) MUST_CHECK;
void kube_unwatch(struct kube_watch *w); /* NULL is a no-op */
void kube_relist(struct kube_watch *w);
bool kube_watch_is_synced(const struct kube_watch *w);
/* Why it is not live, in words; "" = nothing is known to be wrong. */
const char *kube_watch_error(const struct kube_watch *w);

/* -- requests -- */
enum kube_verb { KUBE_GET, KUBE_POST, KUBE_PUT, KUBE_MERGE_PATCH, KUBE_STRATEGIC_PATCH, KUBE_DELETE };
struct kube_request {
	enum kube_verb verb;
	const char *path;      /* with query, escaped; copied */
	const cJSON *body;     /* printed at once; NULL = none */
	uint64_t not_after_ms; /* checked immediately before it is sent; TIME_NEVER */
	uint64_t timeout_ms;   /* 0 = 10 s; also sent as ?timeout= on writes */
	bool is_secret;        /* the answer is wiped when fn has had it */
};
struct kube_answer {
	int result;        /* 0 = an HTTP answer came; -ETIME not sent; -errno */
	bool sent;         /* may have been applied */
	unsigned status;   /* HTTP, when result is 0 */
	const cJSON *body; /* NULL = none or not JSON */
	int64_t date_s;    /* the server's clock, Unix seconds; 0 = it did not say */
	const char *err;   /* a sentence: the transport's, or the Status's message; "" = none */
};
/* fn is called exactly once, from the loop.  429 with Retry-After holds back every request of this
 * client until then; a 401 re-reads the token and repeats once.  0, -ENOMEM, -EAGAIN (too many),
 * -ECANCELED (closing), -EROFS (kube_set_read_only()). */
typedef void (*kube_answer_fn)(void *ctx, const struct kube_answer *a);
int kube_request(
	struct kube *k, const struct kube_request *r, kube_answer_fn fn, void *ctx) MUST_CHECK;
/* Ends every write (POST, PUT, PATCH, DELETE) under way or queued whose not_after_ms is not
 * TIME_NEVER: the leader's deadline (R28). Each ends with -ECANCELED. */
void kube_abort_deadlined(struct kube *k);
size_t kube_in_flight(const struct kube *k);
/* A 403 is logged by kube.c, once, with the right that lacks; callers need not. Which are refused
 * now: as rights_next(). */
const char *kube_next_refused(const struct kube *k, const char *prev);

/* -- objects -- */
/* Writes a lease_action: POST, PUT or GET in namespace_; fn as above.  wall clock for renewTime is
 * read here.  Everything is copied. */
int kube_lease(struct kube *k, const char *namespace_, const struct lease_action *a,
	kube_answer_fn fn, void *ctx) MUST_CHECK;
/* What an answer to it means.  NOT_SENT: not one byte of it was, for its deadline or an abort; a
 * server out of reach is FAILED. */
enum lease_outcome kube_lease_outcome(const struct kube_answer *a);

/* Writes an event_write: POST, or PATCH of the count, in the object's namespace ("default" for
 * cluster scoped).  now_ms: against which its times are monotonic.  Everything is copied. */
int kube_event(struct kube *k, const struct event_write *w, uint64_t now_ms, kube_answer_fn fn,
	void *ctx) MUST_CHECK;
/* What an answer to it means. update as in the event_write. */
enum event_outcome kube_event_outcome(const struct kube_answer *a, bool update);

#endif
