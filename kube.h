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
#include "http.h"
#include "leader.h"
#include "watch.h"

#include <cjson/cJSON.h>
#include <uv.h>

/* Where the credentials come from, in the order of shared/INTERFACES.md. */
struct kube_where {
	const char *kubeconfig; /* --kubeconfig; NULL = not given */
	const char *context;    /* --context; NULL = current-context */
};

struct kube; /* opaque */

/* Finds and reads the credentials. 0; -ENOENT: none found; -EINVAL: refused; err says which file
 * and why.  now_ms as in http.h. */
int kube_new(uv_loop_t *loop, const struct kube_where *where, uint64_t (*now_ms)(void),
	struct rng *rng, struct counters *counters, struct kube **ret_kube, char *err,
	size_t err_len) MUST_CHECK;
/* Watches end without a word, requests end with -ECANCELED; closed() comes from the loop when k is
 * freed. */
void kube_close(struct kube *k, void (*closed)(void *ctx), void *ctx);
/* For a log line: "https://127.0.0.1:6443 (context default of /etc/lbd/kubeconfig)". */
const char *kube_where_text(const struct kube *k);

/* -- watches: generic over resource kinds, added and removed at run time -- */
struct kube_watch_ops {
	void (*list_begin)(void *ctx);
	void (*object)(void *ctx, enum watch_event event, const cJSON *obj);
	void (*list_end)(void *ctx, bool complete);
	void (*synced)(void *ctx, bool synced);
	void (*missing)(void *ctx);
};
struct kube_watch; /* opaque */
struct kube_watch_conf {
	const char *path;                            /* "/api/v1/services"; copied */
	const char *label_selector, *field_selector; /* NULL = none */
};
/* Starts at once.  NULL when out of memory.  ops borrowed. */
struct kube_watch *kube_watch(struct kube *k, const struct kube_watch_conf *conf,
	const struct kube_watch_ops *ops, void *ctx) MUST_CHECK;
void kube_unwatch(struct kube_watch *w);
void kube_relist(struct kube_watch *w);
bool kube_watch_is_synced(const struct kube_watch *w);
const char *kube_watch_error(const struct kube_watch *w);

/* -- requests -- */
enum kube_verb { KUBE_GET, KUBE_POST, KUBE_PUT, KUBE_MERGE_PATCH, KUBE_DELETE };
struct kube_request {
	enum kube_verb verb;
	const char *path;      /* with query, escaped; copied */
	const cJSON *body;     /* printed at once; NULL = none */
	uint64_t not_after_ms; /* checked immediately before it is sent; TIME_NEVER */
	uint64_t timeout_ms;   /* 0 = 10 s; also sent as ?timeout= on writes */
};
struct kube_answer {
	int result;        /* 0 = an HTTP answer came; -ETIME not sent; -errno */
	bool sent;         /* may have been applied */
	unsigned status;   /* HTTP, when result is 0 */
	const cJSON *body; /* NULL = none or not JSON */
	const char *err;   /* a sentence; "" = none */
};
/* fn is called exactly once, from the loop.  429 with Retry-After holds back every request of this
 * client until then; a 401 re-reads the token and repeats once.  0 and *ret_id, -ENOMEM, -EAGAIN.
 */
typedef void (*kube_answer_fn)(void *ctx, const struct kube_answer *a);
int kube_request(
	struct kube *k, const struct kube_request *r, kube_answer_fn fn, void *ctx) MUST_CHECK;
/* Ends every write (POST, PUT, PATCH, DELETE) under way or queued whose not_after_ms is not
 * TIME_NEVER: the leader's deadline (R28). Each ends with -ECANCELED. */
void kube_abort_deadlined(struct kube *k);
size_t kube_in_flight(const struct kube *k);

/* -- objects -- */
/* Writes a lease_action: POST, PUT or GET in namespace_; fn as above. wall clock for renewTime is
 * read here. */
int kube_lease(struct kube *k, const char *namespace_, const struct lease_action *a,
	kube_answer_fn fn, void *ctx) MUST_CHECK;
/* What an answer to it means. */
enum lease_outcome kube_lease_outcome(const struct kube_answer *a);

#endif
