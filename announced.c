/* SPDX-License-Identifier: Apache-2.0
 *
 * announced.c - the condition lbd.io/Announced of each Service.
 *
 * Owns: which Services are to be looked at; condition.c's records.
 * In:   the picture, the election's view, BGP.  Out: at most one status write at a time, only while
 *       no address waits to be written.
 *
 * What a leader knows: on layer 2, who owns each address, by the claims of living members and the
 * wire.  By BGP, of its own sessions whether they are up; of another node only whether it may
 * announce, so the reason is another one then.  The words name no node: they would be written anew
 * whenever an address moves.
 */
#include "announced.h"

#include "cluster_decode.h"
#include "json.h"
#include "log.h"
#include "object.h"
#include "routes.h"
#include "service.h"
#include "why.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	MAX_LOOKS = 64, /* more Services than this in a pass: all are looked at, a little later */
	SLICE = 256,    /* Services of all, in one pass */
	SLICE_PAUSE_MS = 5,
	SETTLE_MS = 1000,         /* from a change that bears on many to the look at all */
	START_MS = 3000,          /* from the beginning of a leadership */
	ROUTINE_MS = 600 * 1000,  /* what was missed is found */
	MEMBERS_MS = 5000,        /* between two looks at who lives */
	FULL_MS = 1000,           /* condition.c has no room */
};

struct announced {
	struct daemon *d;              /* borrowed */
	struct conditions *conditions; /* owned */
	char *look[MAX_LOOKS];         /* owned: keys */
	size_t n_look;
	bool leads;
	char at[CLUSTER_MAX_KEY + 1]; /* of all, the last that was looked at; "" = none */
	uint64_t sweep_ms;            /* when the next ones of all are */
	bool again;                   /* and then all once more */
	uint64_t members_ms;
	size_t n_alive;
	bool session; /* a BGP session of this node is up */
	struct condition_due sent; /* id 0 = none is under way */
	bool dropped; /* the API server does not keep conditions of Services */
	bool failing; /* the last write failed, which was said */
};

/* -- is an address announced? REASON_OWNER: by a known owner; REASON_BGP_ONLY: by BGP -- */

/* Another node where lbd runs, as its Lease says; starts and ends with NULL. */
static const struct cluster_lease *next_other(const struct daemon *d, const struct cluster_lease *l)
{
	while ((l = cluster_next_lease(d->cluster, l)) != NULL)
		if (l->role == CLUSTER_LEASE_NODE && l->node != NULL && l->holder[0] != '\0' &&
			l->draining == NULL && strcmp(l->node, d->node) != 0)
			return l;
	return NULL;
}

/* Of several nodes the one counts that comes nearest; reasons stand in about this order. */
static enum reason nearer(enum reason a, enum reason b)
{
	return b != REASON_NO_NODE && (a == REASON_NO_NODE || b > a) ? b : a;
}

static enum reason on_layer2(const struct daemon *d, const struct vip *v)
{
	const struct cluster_lease *l = NULL;
	struct elect_view view;
	enum reason why;

	if (!elect_view(d->elect, v->group->id, &view))
		return REASON_NO_OWNER;
	if (view.state == ELECT_OWNER || view.state == ELECT_HANDOVER ||
		(view.owner != NULL && elect_claim(d->elect, v->addr) == ELECT_CLAIM_ALIVE))
		return REASON_OWNER;
	if (view.state == ELECT_CONFLICT)
		return REASON_CONFLICT;
	why = view.elig->reason;
	while (why != REASON_OWNER && why != REASON_NO_ENDPOINTS && (l = next_other(d, l)) != NULL) {
		struct elig e;

		elig_judge_other(&d->elig_input, v->group, l->node, l->subnets, &e);
		why = e.reason == REASON_OWNER ? e.reason : nearer(why, e.reason);
	}
	return why == REASON_OWNER ? REASON_NO_OWNER : why;
}

static bool has_peer(const struct daemon *d, const char *name)
{
	const struct cluster_node *n = cluster_node(d->cluster, name);

	for (size_t i = 0; n != NULL && i < d->conf->n_peers; i++)
		if (label_matches_any(&d->conf->peers[i].node_selectors, &n->labels))
			return true;
	return false;
}

static enum reason by_bgp(const struct announced *a, const struct vip *v)
{
	const struct daemon *d = a->d;
	struct routes_input in = {.conf = d->conf, .cluster = d->cluster, .vips = d->vips};
	enum reason why = speaker_why(d, v), other;
	const struct cluster_lease *l = NULL;

	if (why == REASON_OWNER && a->session)
		return REASON_BGP_ONLY;
	why = why == REASON_OWNER ? REASON_NO_SESSION : why;
	while (why != REASON_NO_ENDPOINTS && (l = next_other(d, l)) != NULL) {
		in.node = l->node;
		other = routes_why(&in, v);
		if (other == REASON_OWNER && has_peer(d, l->node))
			return REASON_BGP_ONLY;
		why = nearer(why, other == REASON_OWNER ? REASON_NO_SESSION : other);
	}
	return why;
}

static enum reason judge_vip(const struct announced *a, const struct vip *v)
{
	enum reason why = on_layer2(a->d, v), bgp;

	if (why == REASON_OWNER || a->d->conf->n_bgp_advertisements == 0)
		return why;
	bgp = by_bgp(a, v);
	if (bgp == REASON_BGP_ONLY || why == REASON_NO_ADVERTISEMENT || why == REASON_BGP_ONLY)
		return bgp;
	return why;
}

/* -- of a Service -- */

struct verdict {
	const char *status; /* NULL: the condition is not to be there */
	char reason[32];
	const char *words;
	bool keep; /* whatever is there stays: it may be another lbd's */
};

/* Where those of reason.h speak of one node. */
static const char *words_of(enum reason r)
{
	static const struct {
		enum reason reason;
		const char *words;
	} rows[] = {
		{REASON_OWNER, "every address is announced"},
		{REASON_BGP_ONLY,
			"every address is announced, by BGP from the nodes that may: lbd status on "
			"each shows whether its sessions are up"},
		{REASON_NO_ADVERTISEMENT, "no advertisement selects the pool and this Service"},
		{REASON_NETWORK_UNAVAILABLE,
			"the condition NetworkUnavailable is True on each node that could announce"},
		{REASON_NODE_EXCLUDED, "each node that could announce has the label "
				       "node.kubernetes.io/exclude-from-external-load-balancers"},
		{REASON_NO_LOCAL_ENDPOINTS, "externalTrafficPolicy is Local, and no node that may "
					    "announce has a ready endpoint"},
		{REASON_NO_INTERFACE, "no node has a usable interface that carries the address"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].reason == r)
			return rows[i].words;
	return reason_text(r);
}

static void say(struct verdict *v, enum reason r)
{
	bool is = r == REASON_OWNER || r == REASON_BGP_ONLY;

	v->status = is ? "True" : "False";
	v->words = words_of(r);
	(void)snprintf(v->reason, sizeof v->reason, "%s",
		r == REASON_OWNER      ? "Announced"
		: r == REASON_BGP_ONLY ? "AnnouncedByBGP"
				       : reason_code(r));
	if (v->reason[0] >= 'a') /* CamelCase here */
		v->reason[0] = (char)(v->reason[0] - 'a' + 'A');
}

/* The first address that is not announced decides. */
static enum reason judge_addresses(const struct announced *a, const struct cluster_service *s)
{
	const struct daemon *d = a->d;
	enum reason all = REASON_OWNER;

	for (size_t i = 0; i < s->n_ingress; i++) {
		enum reason r = vip_why(d->vips, d->conf, d->cluster, s, s->ingress[i]);

		if (r == REASON_OWNER)
			r = judge_vip(a, vip_find(d->vips, s->ingress[i]));
		if (r == REASON_BGP_ONLY)
			all = r;
		else if (r != REASON_OWNER)
			return r;
	}
	return all;
}

static void judge(const struct announced *a, const struct cluster_service *s, struct verdict *v)
{
	const struct daemon *d = a->d;
	enum reason served = service_served(d->conf, s);
	struct why why = {.reason = REASON_NO_IP};

	*v = (struct verdict){.keep = false};
	if (served == REASON_NOT_LOAD_BALANCER || served == REASON_IGNORED ||
		(served == REASON_ALLOCATED && d->conf->servicelb_active))
		return;
	if (served != REASON_ALLOCATED) {
		v->keep = true;
		return;
	}
	if (s->n_ingress > 0) {
		say(v, judge_addresses(a, s));
		return;
	}
	why_service(d, s, d->alloc, &why);
	say(v, why.reason == REASON_ALLOCATED ? REASON_NO_IP : why.reason);
}

static struct condition_mark mark_of(const struct cluster_service *s, const struct verdict *v)
{
	return v->keep ? s->announced : condition_mark(v->status, v->reason, v->words);
}

bool announced_goes(const struct daemon *d, const char *key)
{
	struct cluster_service s;
	enum reason served;

	if (!cluster_service(d->cluster, key, &s) || s.announced.status == CONDITION_ABSENT)
		return false;
	served = service_served(d->conf, &s);
	return served != REASON_ALLOCATED && served != REASON_DELETED;
}

/* -- which are looked at -- */

static bool observe(struct announced *a, const struct cluster_service *s, uint64_t now_ms)
{
	struct verdict v;

	judge(a, s, &v);
	return conditions_observe(a->conditions, s->key, s->announced, mark_of(s, &v), now_ms);
}

static void want_all(struct announced *a, uint64_t at_ms)
{
	if (a->at[0] != '\0')
		a->again = true;
	else
		a->sweep_ms = time_min(a->sweep_ms, at_ms);
}

void announced_touch(struct announced *a, const char *key)
{
	char *copy;

	if (a == NULL || !a->leads)
		return;
	copy = a->n_look < MAX_LOOKS ? strdup(key) : NULL;
	if (copy == NULL)
		want_all(a, 0);
	else
		a->look[a->n_look++] = copy;
}

static void touch_group(struct announced *a, uint64_t id)
{
	const struct vip_group *g = vip_group(a->d->vips, id);

	for (size_t i = 0; g != NULL && i < g->n_services; i++)
		announced_touch(a, vip_service(g, i));
}

void announced_touch_groups(struct announced *a, bool all, uint64_t now_ms)
{
	size_t n_vips = vip_dirty_count(a->d->vips), n_elect = elect_dirty_count(a->d->elect);

	if (!a->leads)
		return;
	if (all || n_vips + n_elect > MAX_LOOKS) {
		want_all(a, now_ms + SETTLE_MS);
		return;
	}
	for (size_t i = 0; i < n_vips; i++)
		touch_group(a, vip_dirty_at(a->d->vips, i));
	for (size_t i = 0; i < n_elect; i++)
		touch_group(a, elect_dirty_at(a->d->elect, i));
}

static void drop_looks(struct announced *a)
{
	while (a->n_look > 0)
		free(a->look[--a->n_look]);
}

static void look(struct announced *a, uint64_t now_ms)
{
	struct cluster_service s;

	for (size_t i = 0; i < a->n_look; i++) {
		if (!cluster_service(a->d->cluster, a->look[i], &s))
			conditions_forget(a->conditions, a->look[i]);
		else if (!observe(a, &s, now_ms))
			want_all(a, now_ms + FULL_MS);
	}
	drop_looks(a);
}

/* The next ones of all.  Where there is no room it goes on later, at the same place. */
static void sweep(struct announced *a, uint64_t now_ms)
{
	struct cluster_service s = {.key = a->at[0] != '\0' ? a->at : NULL};

	for (unsigned i = 0; i < SLICE; i++) {
		if (!cluster_next_service(a->d->cluster, &s)) {
			a->sweep_ms = now_ms + (a->again ? SETTLE_MS : ROUTINE_MS);
			a->again = false;
			a->at[0] = '\0';
			return;
		}
		if (!observe(a, &s, now_ms)) {
			a->sweep_ms = now_ms + FULL_MS;
			return;
		}
		(void)snprintf(a->at, sizeof a->at, "%s", s.key);
	}
	a->sweep_ms = now_ms + SLICE_PAUSE_MS;
}

static bool has_session(const struct daemon *d)
{
	for (size_t i = 0; i < speaker_count(d); i++) {
		struct speaker_peer p;

		speaker_peer(d, i, &p);
		if (p.bgp.state == BGP_ESTABLISHED)
			return true;
	}
	return false;
}

/* What makes no group dirty: a member that dies and has no heir, this node's BGP sessions. */
static void look_around(struct announced *a, uint64_t now_ms)
{
	const struct daemon *d = a->d;
	bool session = d->conf->n_bgp_advertisements > 0 && has_session(d);
	size_t n = 0, n_members = elect_member_count(d->elect);

	if (session != a->session) {
		a->session = session;
		want_all(a, now_ms + SETTLE_MS);
	}
	if (now_ms < a->members_ms)
		return;
	a->members_ms = now_ms + MEMBERS_MS + n_members * n_members / 64; /* what it costs */
	for (size_t i = 0; i < n_members; i++) {
		struct elect_member m;

		elect_member_at(d->elect, i, now_ms, &m);
		n += m.liveness == ELECT_ALIVE;
	}
	if (n != a->n_alive) {
		a->n_alive = n;
		want_all(a, now_ms + SETTLE_MS);
	}
}

/* -- writing -- */

static enum condition_outcome outcome_of(struct announced *a, const struct kube_answer *k)
{
	struct condition_mark got = cluster_decode_condition(k->body);

	if (k->result != 0)
		return k->sent ? CONDITION_FAILED : CONDITION_LATER;
	if (k->status == 404 || k->status == 409 || k->status == 422)
		return CONDITION_GONE;
	if (k->status >= 300 || json_string(json_object(k->body, "metadata"), "uid") == NULL)
		return CONDITION_FAILED;
	if (a->sent.want.status == CONDITION_ABSENT || got.status != CONDITION_ABSENT)
		return CONDITION_OK;
	a->dropped = true;
	log_info("kube",
		"the API server keeps no conditions of Services (Kubernetes before 1.20): "
		"lbd.io/Announced is not written",
		NULL);
	return CONDITION_GONE;
}

static void on_answer(void *ctx, const struct kube_answer *k)
{
	struct announced *a = ctx;
	enum condition_outcome outcome = outcome_of(a, k);
	char status[24];

	a->d->status_in_flight--;
	if (outcome == CONDITION_FAILED && !a->failing && k->status != 403)
		log_warn("kube", "conditions of Services cannot be written; trying again", "status",
			log_number((int64_t)k->status, status), "err", k->err, NULL);
	if (outcome == CONDITION_FAILED || outcome == CONDITION_OK)
		a->failing = outcome == CONDITION_FAILED;
	conditions_done(a->conditions, a->sent.id, outcome, daemon_now_ms());
	a->sent.id = 0;
	daemon_mark(a->d);
}

static int request(struct announced *a, const struct cluster_service *s, const struct verdict *v)
{
	const struct object_condition c = {.uid = s->uid,
		.type = CONDITION_TYPE,
		.status = v->status,
		.reason = v->reason,
		.message = v->words,
		.turned = s->announced.status != a->sent.want.status};
	struct timespec ts;
	char path[CLUSTER_MAX_KEY + 64];
	struct kube_request r = {.verb = KUBE_STRATEGIC_PATCH,
		.path = path,
		.not_after_ms = leader_deadline(a->d->leader),
		.timeout_ms = leader_write_ms(a->d->leader)};
	cJSON *body;
	int err = -1;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)snprintf(path, sizeof path, "/api/v1/namespaces/%s/services/%s/status", s->namespace_,
		s->name);
	body = object_condition(&c, (int64_t)ts.tv_sec * 1000000);
	r.body = body;
	if (body != NULL)
		err = kube_request(a->d->kube, &r, on_answer, a);
	cJSON_Delete(body);
	return err;
}

/* Its address is being written, or somebody changed his mind unheard: later. */
static bool is_due(struct announced *a, const struct cluster_service *s, struct verdict *v)
{
	struct alloc_result r;
	struct condition_mark want;

	judge(a, s, v);
	want = mark_of(s, v);
	if (!v->keep && condition_equal(want, a->sent.want) && !condition_equal(want, s->announced))
		return !alloc_why(a->d->alloc, s->key, &r) || !r.writing;
	(void)conditions_observe(a->conditions, s->key, s->announced, want, 0);
	return false;
}

static void write_next(struct announced *a, uint64_t now_ms)
{
	struct daemon *d = a->d;
	struct cluster_service s;
	struct verdict v;

	while (a->sent.id == 0 && !a->dropped && d->status_in_flight == 0 &&
		leader_is_leader(d->leader, now_ms) &&
		conditions_next(a->conditions, now_ms, &a->sent)) {
		enum condition_outcome outcome = CONDITION_GONE;

		if (cluster_service(d->cluster, a->sent.key, &s)) {
			outcome = is_due(a, &s, &v) ? CONDITION_FAILED : CONDITION_LATER;
			if (outcome == CONDITION_FAILED && request(a, &s, &v) == 0) {
				d->status_in_flight++;
				return;
			}
		}
		conditions_done(a->conditions, a->sent.id, outcome, now_ms);
		a->sent.id = 0;
	}
}

/* -- for the daemon -- */

static void begin(struct announced *a, bool leads, uint64_t now_ms)
{
	a->leads = leads;
	conditions_reset(a->conditions);
	drop_looks(a);
	a->at[0] = '\0';
	a->again = false;
	a->sweep_ms = now_ms + START_MS;
	a->dropped = false;
}

void announced_run(struct announced *a, uint64_t now_ms)
{
	struct daemon *d = a->d;
	bool leads = d->kube != NULL && d->dry == NULL && d->phase == DAEMON_RUNNING && d->synced &&
		     d->was_leader && daemon_is_ready(d);

	if (leads != a->leads)
		begin(a, leads, now_ms);
	if (!leads)
		return;
	look_around(a, now_ms);
	look(a, now_ms);
	if (now_ms >= a->sweep_ms)
		sweep(a, now_ms);
	write_next(a, now_ms);
}

uint64_t announced_next_deadline(const struct announced *a)
{
	bool may_write = a->sent.id == 0 && !a->dropped && a->d->status_in_flight == 0;

	if (!a->leads)
		return TIME_NEVER;
	return time_min(
		a->sweep_ms, may_write ? conditions_next_deadline(a->conditions) : TIME_NEVER);
}

struct announced *announced_new(struct daemon *d)
{
	struct announced *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->d = d;
	a->conditions = conditions_new(&d->hkey, &d->counters);
	if (a->conditions == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void announced_free(struct announced *a)
{
	if (a == NULL)
		return;
	drop_looks(a);
	conditions_free(a->conditions);
	free(a);
}
