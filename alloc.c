/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.c - which Service has which address, and what is to be written about it.
 *
 * Owns: a copy of what matters of each Service, the pools, the judge, the queues of decisions,
 *       results and writes.
 * In:   alloc_configure(), alloc_put(), alloc_delete(), alloc_write_done().
 * Out:  alloc_next_result(), alloc_next_write(): pull, nothing is ever called back.
 * Sources: DESIGN 3; CVE-2020-8554.
 *
 * Level-triggered: events only change what is known and put Services on the todo list; settle()
 * then decides them, those first that have waited longest for an address.  A decision is a pure
 * look at the pools (judge.c) and then its difference to what is held (apply()).
 *
 * An address that a Service loses while the API may still show it in that Service's status is
 * guarded: nobody gets it until the watch has shown it gone.  So no two statuses ever have one
 * address because of the order in which writes arrive.
 */
#include "alloc.h"

#include "buf.h"
#include "copy.h"
#include "judge.h"
#include "list.h"
#include "outbox.h"
#include "pool.h"
#include "service.h"
#include "table.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
	FIGHT_WINDOW_MS = 60000,
	MAX_FIGHTS = 2, /* within it: then the status is contested */
	MAX_FAILS = 100,
};

enum turn { TURN_NONE, TURN_TODO, TURN_WAITING };

/* What few have: something to say beside the reason, or a quarrel. */
struct more {
	char *detail;      /* owned; NULL = "" */
	char *note;        /* owned; what adoption found, for the next result */
	uint64_t fight_ms; /* when another last changed a status that was right */
	unsigned fights;   /* how often, each within the window of the one before */
	bool contested;
	bool contest_told; /* once is enough until the next alloc_begin() */
};

/* There are as many as Services: kept small (152 bytes). */
struct svc {
	uint32_t hash;            /* of key */
	uint32_t told;            /* hash of the last result; 0 = none */
	struct judge_party party; /* party.copy is held */
	struct outbox_item item;
	struct link turning; /* alloc->todo or ->waiting */
	struct link telling; /* alloc->report */
	struct more *more;   /* owned; NULL = nothing of it */
	uint32_t ok_ms;      /* of the last write that the API took, its low bits; 0 = none */
	unsigned reason : 7, fails : 7, turn : 2, first : 1;
	unsigned loss : 3; /* enum judge_loss, of what was cleared */
	bool sent_v4 : 1, sent_v6 : 1; /* the API may show what is held */
	bool reporting : 1;            /* is in alloc->report */
	bool cleared : 1;              /* for the next result */
	bool adopted : 1;              /* until the first decision */
	bool ours : 1;                 /* held an address since its status was last without one */
	bool fresh : 1;                /* the decision is newer than the last write */
	bool doubt : 1; /* a write was, or may have been, taken since the copy: its status is old */
	bool put_in_flight : 1;
	bool kept_v4 : 1, kept_v6 : 1; /* has it although no pool gives it (any more) */
	bool stood : 1; /* the status was right, or a write was taken; none else changed it since */
};

static const char *key_of(const struct svc *svc)
{
	return svc->party.holder.key;
}

struct alloc {
	struct hash_key hkey;
	struct counters *counters; /* borrowed, may be NULL */
	const struct config *conf; /* borrowed; NULL before the first configuration */
	struct pool_set *pools;    /* owned */
	struct judge *judge;       /* owned */
	struct table svcs;         /* owned */
	struct link todo, waiting, report;
	struct outbox outbox;
	const struct alloc_ops *ops; /* borrowed; NULL: nothing is kept or claimed */
	void *ops_ctx;               /* borrowed */
	uint64_t kept_generation;
	uint64_t now_ms;
	uint64_t woken;                /* pool_generation() when the waiting were last tried */
	const struct cluster *cluster; /* borrowed, may be NULL: Namespaces */
	uint64_t namespaces;           /* cluster_namespaces_generation() when last looked at */
	bool ready, adopting;
	bool wake;               /* the waiting are to be tried all the same */
	bool starved;            /* some wait for memory only */
	struct {                 /* while alloc_explain() runs */
		const char *key; /* borrowed; NULL = nobody asks */
		const struct judge_trace *trace;
		bool told;
	} asked;
};

/* -- what few have -- */

static const char *detail_of(const struct svc *svc)
{
	return svc->more != NULL ? svc->more->detail : NULL;
}

static const char *note_of(const struct svc *svc)
{
	return svc->more != NULL ? svc->more->note : NULL;
}

/* NULL when out of memory. */
static struct more *more_get(struct svc *svc)
{
	if (svc->more == NULL)
		svc->more = calloc(1, sizeof *svc->more);
	return svc->more;
}

static void more_free(struct svc *svc)
{
	if (svc->more == NULL)
		return;
	free(svc->more->detail);
	free(svc->more->note);
	free(svc->more);
	svc->more = NULL;
}

/* It goes when it is empty. */
static void more_put(struct svc *svc)
{
	const struct more *m = svc->more;

	if (m != NULL && m->detail == NULL && m->note == NULL && m->fights == 0 && !m->contest_told)
		more_free(svc);
}

/* When the quarrel is over, if another writer keeps quiet from now on. */
static uint64_t peace_ms(const struct more *m)
{
	return m->fight_ms + FIGHT_WINDOW_MS + (m->contested ? OUTBOX_CONTESTED_MS : 0);
}

static bool is_contested(const struct alloc *a, const struct svc *svc)
{
	return svc->more != NULL && svc->more->contested && a->now_ms <= peace_ms(svc->more);
}

static bool has_untold_contest(const struct svc *svc)
{
	return svc->more != NULL && svc->more->contested && !svc->more->contest_told;
}

/* -- what a Service has -- */

static bool is_sent(const struct svc *svc, enum addr_family f)
{
	return f == ADDR_V4 ? svc->sent_v4 : svc->sent_v6;
}

static void set_sent(struct svc *svc, enum addr_family f, bool sent)
{
	if (f == ADDR_V4)
		svc->sent_v4 = sent;
	else
		svc->sent_v6 = sent;
}

static bool holds(const struct svc *svc, enum addr_family f)
{
	return pool_held(&svc->party.holder, f) != NULL;
}

static bool has(const struct svc *svc, struct addr x)
{
	const struct pool_use *u = pool_held(&svc->party.holder, addr_family(x));

	return u != NULL && addr_eq(u->addr, x);
}

static bool holds_any(const struct svc *svc)
{
	return holds(svc, ADDR_V4) || holds(svc, ADDR_V6);
}

/* What it has of its first family (i = 0), of the other (1); NULL = nothing. */
static const struct pool_use *held_at(const struct svc *svc, unsigned i)
{
	return pool_held(&svc->party.holder, (enum addr_family)(svc->first ^ i));
}

static size_t held(const struct svc *svc, struct addr ret_ips[2])
{
	size_t n = 0;

	for (unsigned i = 0; i < ADDR_FAMILIES; i++) {
		if (held_at(svc, i) != NULL)
			ret_ips[n++] = held_at(svc, i)->addr;
	}
	return n;
}

/* The pool of the first address; NULL when there is none. */
static const char *held_pool(const struct svc *svc)
{
	const struct pool_use *u = held_at(svc, 0) != NULL ? held_at(svc, 0) : held_at(svc, 1);

	return u != NULL ? pool_name(u->pool) : NULL;
}

/* -- deciding -- */

static void unturn(struct svc *svc)
{
	if (svc->turn != TURN_NONE)
		list_delete(&svc->turning);
	svc->turn = TURN_NONE;
}

static void make_todo(struct alloc *a, struct svc *svc)
{
	if (svc->turn == TURN_TODO)
		return;
	unturn(svc);
	list_add(&a->todo, &svc->turning);
	svc->turn = TURN_TODO;
}

static void make_waiting(struct alloc *a, struct svc *svc)
{
	unturn(svc);
	list_add(&a->waiting, &svc->turning);
	svc->turn = TURN_WAITING;
}

/* Which of what it has is kept, not lawful. */
static void set_kept(struct alloc *a, struct svc *svc, bool v4, bool v6)
{
	if (svc->kept_v4 != v4 || svc->kept_v6 != v6)
		a->kept_generation++;
	svc->kept_v4 = v4;
	svc->kept_v6 = v6;
}

/* What svc has could be shared by those of its key that wait: it is new to svc, or svc has changed.
 */
static void wake_mates(struct alloc *a, struct svc *svc)
{
	struct judge_party *m = NULL;

	if (list_is_empty(&a->waiting))
		return;
	while ((m = judge_next_mate(&svc->party, m)) != NULL) {
		struct svc *mate = CONTAINER_OF(m, struct svc, party);

		if (mate->turn == TURN_WAITING)
			make_todo(a, mate);
	}
}

/* Takes away what d does not leave. */
static void apply_losses(struct alloc *a, struct svc *svc, const struct judgement *d)
{
	enum judge_loss loss = JUDGE_LOSS_NONE;
	bool cleared = false;

	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		const struct pool_use *u = pool_held(&svc->party.holder, f);

		if (u == NULL || (d->pick[f].has && addr_eq(d->pick[f].addr, u->addr)))
			continue;
		cleared = cleared || is_sent(svc, f);
		if (is_sent(svc, f) && loss == JUDGE_LOSS_NONE)
			loss = d->loss[f];
		svc->fresh = true;
		pool_release(a->pools, &svc->party.holder, f, is_sent(svc, f), a->now_ms);
		set_sent(svc, f, false);
	}
	if (!cleared)
		return;
	svc->cleared = true;
	svc->loss = loss & 7U;
}

/* x of pool p becomes the Service's; whether it may is decided.  0 or -ENOMEM. */
static int occupy(struct alloc *a, struct svc *svc, struct addr x, struct pool *p)
{
	bool guarded = pool_guards(&svc->party.holder, x);

	if (pool_give(a->pools, &svc->party.holder, x, p) != 0)
		return -ENOMEM;
	set_sent(svc, addr_family(x), guarded);
	svc->ours = true;
	return 0;
}

/* What is held becomes what d says. */
static void apply(struct alloc *a, struct svc *svc, struct judgement *d)
{
	bool gained = false;

	apply_losses(a, svc, d);
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		if (!d->pick[f].has || holds(svc, f))
			continue;
		if (occupy(a, svc, d->pick[f].addr, d->pick[f].pool) != 0) {
			d->reason = REASON_OUT_OF_MEMORY;
			d->waits = a->starved = true;
			continue;
		}
		svc->fresh = gained = true;
		counter_inc(a->counters, COUNTER_ALLOCATIONS);
	}
	if (gained)
		wake_mates(a, svc);
	set_kept(a, svc, d->pick[ADDR_V4].has && d->pick[ADDR_V4].kept,
		d->pick[ADDR_V6].has && d->pick[ADDR_V6].kept);
	svc->first = d->first & 1U;
	svc->reason = d->reason & 0x7fU;
	if (d->waits)
		make_waiting(a, svc);
}

/* -- results -- */

static void set_detail(const struct alloc *a, struct svc *svc)
{
	const char *text = judge_words(a->judge);
	struct more *m = text[0] != '\0' ? more_get(svc) : svc->more;

	if (m == NULL)
		return; /* nothing to say; or out of memory: reason_text() says it all */
	free(m->detail);
	m->detail = text[0] != '\0' ? strdup(text) : NULL;
	more_put(svc);
}

/* It only tells a result from the one before it: nobody gains by two that are alike. */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

/* Never 0. */
static uint32_t result_hash(const struct alloc *a, const struct svc *svc)
{
	uint64_t h = mix(1, svc->reason);
	struct addr ips[2];
	size_t n = held(svc, ips);

	for (size_t i = 0; i < n; i++)
		h = mix(mix(h, ips[i].hi), ips[i].lo);
	if (detail_of(svc) != NULL)
		h = mix(h, hash_bytes(&a->hkey, detail_of(svc), strlen(detail_of(svc))));
	return (uint32_t)h | 1;
}

static bool is_served(const struct svc *svc)
{
	return svc->reason != REASON_NOT_LOAD_BALANCER && svc->reason != REASON_OTHER_CLASS &&
	       svc->reason != REASON_CLASSLESS && svc->reason != REASON_IGNORED &&
	       svc->reason != REASON_DELETED;
}

static void unreport(struct svc *svc)
{
	if (svc->reporting)
		list_delete(&svc->telling);
	svc->reporting = false;
}

static void report(struct alloc *a, struct svc *svc)
{
	if (!svc->reporting)
		list_add(&a->report, &svc->telling);
	svc->reporting = true;
}

/* Is there something to say?  Not of Services that were never ours, nor of those that a new leader
 * finds in order, nor of what is a matter of moments. */
static void note_result(struct alloc *a, struct svc *svc, bool in_order)
{
	bool quiet = svc->reason == REASON_NAMESPACE_UNKNOWN || (svc->told == 0 && !is_served(svc));
	uint32_t h;

	if (svc->cleared || !quiet) {
		h = result_hash(a, svc);
		if (svc->adopted && in_order && detail_of(svc) == NULL)
			svc->told = h;
		quiet = h == svc->told && !svc->cleared && note_of(svc) == NULL;
	}
	if (quiet && !has_untold_contest(svc))
		unreport(svc);
	else
		report(a, svc);
}

static void fill_result(const struct alloc *a, const struct svc *svc, struct alloc_result *r)
{
	const struct copy_names n = copy_names(svc->party.copy);
	const char *detail = detail_of(svc), *note = note_of(svc);

	r->key = n.key;
	r->namespace_ = n.namespace_;
	r->name = n.name;
	r->uid = n.uid;
	r->reason = (enum reason)svc->reason;
	r->cleared = svc->cleared;
	r->loss = (enum judge_loss)svc->loss;
	r->contested = is_contested(a, svc);
	r->n_ips = held(svc, r->ips);
	r->pool = held_pool(svc);
	r->writing = svc->item.state != OUTBOX_IDLE;
	r->fails = svc->fails;
	r->detail[0] = '\0';
	if (detail != NULL || note != NULL)
		(void)snprintf(r->detail, sizeof r->detail, "%s%s%s", detail != NULL ? detail : "",
			detail != NULL && note != NULL ? "; " : "", note != NULL ? note : "");
}

/* -- writes -- */

static void queue(struct alloc *a, struct svc *svc, enum outbox_delay delay)
{
	outbox_queue(&a->outbox, &svc->item, delay, a->now_ms);
}

/* Does the copy's status show exactly what is held?  In any order: an older leader's, or another
 * load balancer's before us, is as good. */
static bool status_right(const struct svc *svc)
{
	struct copy_status st = copy_status(svc->party.copy);
	struct addr ips[2];
	size_t n = held(svc, ips);

	if (st.n != n || st.foreign || (st.not_vip_mode && n > 0))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!copy_shows(svc->party.copy, ips[i]))
			return false;
	}
	return true;
}

static bool status_in_pools(const struct alloc *a, const struct copy_status *st)
{
	for (size_t i = 0; i < st->n; i++) {
		if (pool_of(a->pools, st->v[i]) != NULL)
			return true;
	}
	return false;
}

/* A status that is not ours to keep is cleared only where it was ours: what another load balancer
 * wrote for its own Services stays. */
static bool wants_clear(const struct alloc *a, const struct svc *svc)
{
	struct copy_status st = copy_status(svc->party.copy);

	if (st.n ==
		0) /* the API server empties it at a change of type, but leaves our annotation */
		return svc->ours && st.marked;
	return svc->ours ||
	       (status_in_pools(a, &st) && (svc->reason == REASON_NOT_LOAD_BALANCER || st.marked));
}

static bool wants_write(const struct alloc *a, const struct svc *svc)
{
	if (svc->doubt)
		return svc->fresh;
	if (!is_served(svc) || (svc->reason == REASON_NO_POOL && !svc->ours))
		return wants_clear(a, svc);
	return !status_right(svc);
}

/* Another changed a status that was right. */
static void count_fight(struct alloc *a, struct svc *svc, struct more *m)
{
	if (a->now_ms > peace_ms(m)) {
		m->fights = 0;
		m->contested = false;
	}
	m->fight_ms = a->now_ms;
	if (m->contested || ++m->fights < MAX_FIGHTS)
		return;
	m->contested = true;
	counter_inc(a->counters, COUNTER_STATUS_CONTESTED);
	if (!m->contest_told)
		report(a, svc);
}

/* The status is not as it should be, and it is not we who changed our mind: corrected, but not
 * fought about. */
static enum outbox_delay correction_delay(struct alloc *a, struct svc *svc)
{
	struct more *m;

	if (!svc->stood)
		return OUTBOX_NOW;
	m = more_get(svc);
	if (m == NULL)
		return OUTBOX_LAST; /* out of memory: no quarrel that nobody counts */
	svc->stood = false;
	count_fight(a, svc, m);
	if (m->contested)
		return OUTBOX_CONTESTED;
	if (svc->ok_ms != 0 && (uint32_t)a->now_ms - svc->ok_ms < OUTBOX_SETTLE_MS)
		return OUTBOX_SETTLE;
	return OUTBOX_NOW;
}

/* Those end that the status no longer shows; all, if it is to stay as it is. */
static void end_guards(struct alloc *a, struct svc *svc, bool all)
{
	struct copy_status st = copy_status(svc->party.copy);

	pool_end_guards(a->pools, &svc->party.holder, st.v, all ? 0 : st.n, a->now_ms);
}

/* Queues a write, or takes it back, after anything that bears on it has changed. */
static void sync_write(struct alloc *a, struct svc *svc)
{
	bool wanted = wants_write(a, svc);

	if (svc->item.state == OUTBOX_UNDER_WAY)
		return;
	if (!svc->doubt)
		end_guards(a, svc, !wanted);
	if (!wanted) {
		svc->fresh = false;
		svc->fails = 0;
		svc->stood = svc->stood || !svc->doubt;
		outbox_unqueue(&svc->item);
		if (!svc->doubt && copy_status(svc->party.copy).n == 0 && !holds_any(svc))
			svc->ours = false;
		return;
	}
	if (svc->item.state == OUTBOX_QUEUED) {
		if (svc->fresh && svc->fails == 0 && svc->item.delay != OUTBOX_NOW)
			queue(a, svc, OUTBOX_NOW);
		return;
	}
	queue(a, svc, svc->fresh ? OUTBOX_NOW : correction_delay(a, svc));
}

static struct judgement judge(struct alloc *a, struct svc *svc)
{
	bool asked = a->asked.key != NULL && strcmp(a->asked.key, key_of(svc)) == 0;
	struct judgement d;

	if (!asked)
		return judge_decide(a->judge, &svc->party, a->now_ms);
	judge_set_trace(a->judge, a->asked.trace);
	d = judge_decide(a->judge, &svc->party, a->now_ms);
	judge_set_trace(a->judge, NULL);
	a->asked.told = true;
	return d;
}

static void decide(struct alloc *a, struct svc *svc)
{
	bool first = svc->told == 0 && !svc->reporting;
	struct judgement d;

	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		const struct pool_use *u = pool_held(&svc->party.holder, f);

		if (u != NULL && copy_shows(svc->party.copy, u->addr))
			set_sent(svc, f, true);
	}
	d = judge(a, svc);
	apply(a, svc, &d);
	set_detail(a, svc);
	sync_write(a, svc);
	if (first && copy_status(svc->party.copy).n > 0 && svc->item.state == OUTBOX_QUEUED)
		svc->cleared = true;
	note_result(a, svc, svc->item.state == OUTBOX_IDLE);
	svc->adopted = false;
}

/* -- adoption -- */

static int by_age(struct link *x, struct link *y)
{
	return judge_elder(
		&CONTAINER_OF(x, struct svc, turning)->party, &CONTAINER_OF(y, struct svc, turning)->party);
}

static int by_turn(struct link *x, struct link *y)
{
	return judge_turn(
		&CONTAINER_OF(x, struct svc, turning)->party, &CONTAINER_OF(y, struct svc, turning)->party);
}

static void set_note(struct svc *svc, struct addr x, const struct svc *other, const char *text)
{
	char ip[ADDR_STRLEN];
	struct buf b;

	buf_init(&b, 512);
	buf_addf(&b, "address %s was also in the status of %s: %s", addr_format(x, ip),
		key_of(other), text);
	if (more_get(svc) != NULL) {
		free(svc->more->note);
		svc->more->note = buf_take(&b);
		more_put(svc);
	}
	buf_free(&b);
}

/* x cannot be the Service's because of a holder before it: both are told. */
static void note_double(
	struct alloc *a, struct svc *svc, const struct cluster_service *s, struct addr x)
{
	const struct pool_use *u = NULL;

	while ((u = pool_next_use(a->pools, x, u)) != NULL) {
		struct svc *other = CONTAINER_OF(u->holder, struct svc, party.holder);
		struct cluster_service holder = judge_view(&other->party);

		if (service_sharing(s, &holder, NULL) == SERVICE_SHARING_OK)
			continue;
		set_note(svc, x, other, "that one is older and keeps it");
		set_note(other, x, svc, "this one is older and keeps it");
		return;
	}
}

/* The pool that x of the Service is from; NULL: x is not lawful for it. */
static struct pool *home_of(
	struct alloc *a, struct svc *svc, const struct cluster_service *s, struct addr x)
{
	struct pool *p = pool_of(a->pools, x);
	const char *name = NULL;

	if (p != NULL && judge_is_lawful(a->judge, &svc->party, x))
		return p;
	if (a->ops != NULL && a->ops->kept != NULL)
		name = a->ops->kept(a->ops_ctx, s->uid, x);
	if (name == NULL)
		return NULL;
	return p != NULL ? p : pool_retired(a->pools, name);
}

static void adopt(struct alloc *a, struct svc *svc)
{
	struct cluster_service s = judge_view(&svc->party);

	if (service_served(a->conf, &s) != REASON_ALLOCATED)
		return;
	svc->first = s.families[0] & 1U;
	for (size_t i = 0; i < s.n_ingress; i++) {
		struct addr x = s.ingress[i];
		struct pool *p = home_of(a, svc, &s, x);

		if (p == NULL || holds(svc, addr_family(x)))
			continue;
		if (judge_may_share(a->judge, &svc->party, x) != REASON_ALLOCATED) {
			note_double(a, svc, &s, x);
			continue;
		}
		if (occupy(a, svc, x, p) != 0)
			continue; /* out of memory: decided as if the status were empty */
		set_sent(svc, addr_family(x), true);
		svc->adopted = true;
		counter_inc(a->counters, COUNTER_ALLOC_ADOPTED);
	}
}

/* Will what the status shows beside what is held be taken away? */
static bool is_corrected(const struct alloc *a, const struct svc *svc)
{
	struct cluster_service s = judge_view(&svc->party);
	enum reason r = service_served(a->conf, &s);

	return r == REASON_ALLOCATED || r == REASON_NOT_LOAD_BALANCER || s.pool_written != NULL;
}

/* What a status shows is given to nobody else before it is gone. */
static void guard_rest(struct alloc *a, struct svc *svc)
{
	struct copy_status st = copy_status(svc->party.copy);

	for (size_t i = 0; i < st.n && i < POOL_MAX_GUARDS; i++) {
		struct pool *p = pool_of(a->pools, st.v[i]);

		if (p == NULL || has(svc, st.v[i]) || pool_guards(&svc->party.holder, st.v[i]))
			continue;
		if (!is_corrected(a, svc))
			return;
		pool_guard(a->pools, &svc->party.holder, st.v[i], p);
	}
}

static void adopt_all(struct alloc *a)
{
	struct link *l;

	/* What is decided does not hang on the order in which a list came. */
	list_sort(&a->todo, by_age);
	for (l = a->todo.next; l != &a->todo; l = l->next)
		adopt(a, CONTAINER_OF(l, struct svc, turning));
	for (l = a->todo.next; l != &a->todo; l = l->next)
		guard_rest(a, CONTAINER_OF(l, struct svc, turning));
	list_sort(&a->todo, by_turn);
	a->adopting = false;
}

/* -- the pass -- */

/* Has something become free since the waiting were last tried? */
static bool is_woken(const struct alloc *a)
{
	return a->wake || a->woken != pool_generation(a->pools);
}

/* Those that wait go before those that come. */
static void wake_waiting(struct alloc *a)
{
	for (struct link *l = a->waiting.next; l != &a->waiting; l = l->next)
		CONTAINER_OF(l, struct svc, turning)->turn = TURN_TODO;
	list_move_all(&a->waiting, &a->todo);
	list_move_all(&a->todo, &a->waiting);
	a->woken = pool_generation(a->pools);
	a->wake = false;
}

/* Ends: a waiting Service holds nothing that its decision could release. */
static void settle(struct alloc *a)
{
	if (!a->ready || a->conf == NULL)
		return;
	if (a->adopting)
		adopt_all(a);
	for (;;) {
		struct svc *svc;

		if (is_woken(a))
			wake_waiting(a);
		if (list_is_empty(&a->todo))
			return;
		svc = CONTAINER_OF(a->todo.next, struct svc, turning);
		unturn(svc);
		decide(a, svc);
	}
}

static void arrive(struct alloc *a, uint64_t now_ms)
{
	a->now_ms = now_ms;
	if (a->starved)
		a->wake = true;
	a->starved = false;
}

/* -- Services coming and going -- */

static bool svc_is(const void *elt, const void *key, size_t len)
{
	const char *k = key_of(elt);

	return strncmp(k, key, len) == 0 && k[len] == '\0';
}

static struct svc *svc_find_hashed(const struct alloc *a, const char *key, uint32_t hash)
{
	return table_find(&a->svcs, hash, svc_is, key, strlen(key));
}

static struct svc *svc_find(const struct alloc *a, const char *key)
{
	return svc_find_hashed(a, key, hash_bytes(&a->hkey, key, strlen(key)));
}

/* Of no copy yet: take_copy().  key is the copy's to be. */
static struct svc *svc_new(struct alloc *a, const char *key, uint32_t hash)
{
	struct svc *svc = calloc(1, sizeof *svc);

	if (svc == NULL)
		return NULL;
	svc->hash = hash;
	svc->party.holder.key = key;
	svc->reason = REASON_NO_IP;
	if (table_add(&a->svcs, svc) < 0) {
		free(svc);
		return NULL;
	}
	return svc;
}

/* Frees what the Service owns, not its place in the tables. */
static void svc_free(struct svc *svc)
{
	copy_drop(svc->party.copy);
	pool_holder_free(&svc->party.holder);
	more_free(svc);
	free(svc);
}

/* The object is gone from the API, and with it its status. */
static void svc_remove(struct alloc *a, struct svc *svc)
{
	set_kept(a, svc, false, false);
	pool_leave(a->pools, &svc->party.holder, a->now_ms);
	judge_leave(a->judge, &svc->party);
	outbox_remove(&a->outbox, &svc->item);
	unturn(svc);
	unreport(svc);
	table_remove(&a->svcs, svc);
	svc_free(svc);
}

static bool is_same_object(const struct svc *svc, const struct cluster_service *s)
{
	return strcmp(copy_uid(svc->party.copy), s->uid != NULL ? s->uid : "") == 0;
}

/* An object of another resourceVersion than the one that a write was conditional on ends the doubt
 * about what became of the write: either it shows it, or it kept it from being taken. */
static void take_copy(struct svc *svc, struct copy *copy)
{
	struct copy *old = svc->party.copy;

	svc->party.copy = copy;
	svc->party.holder.key = copy_key(copy);
	if (old == NULL || strcmp(copy_version(old), copy_version(copy)) != 0) {
		svc->doubt = false;
		svc->put_in_flight = svc->item.state == OUTBOX_UNDER_WAY;
	}
	copy_drop(old);
}

int alloc_put(struct alloc *a, const struct cluster_service *s, uint64_t now_ms)
{
	uint32_t hash = hash_bytes(&a->hkey, s->key, strlen(s->key));
	struct svc *svc = svc_find_hashed(a, s->key, hash);
	struct copy *copy;

	arrive(a, now_ms);
	if (svc != NULL && !is_same_object(svc, s)) {
		svc_remove(a, svc);
		svc = NULL;
	}
	if (svc == NULL && !s->is_load_balancer && s->n_ingress == 0)
		return 0; /* most Services of a cluster */
	copy = copy_hold(s);
	if (copy == NULL)
		return -ENOMEM;
	if (svc == NULL)
		svc = svc_new(a, copy_key(copy), hash);
	if (svc == NULL) {
		copy_drop(copy);
		return -ENOMEM;
	}
	take_copy(svc, copy);
	if (a->ready && !a->adopting)
		guard_rest(a, svc);
	make_todo(a, svc);
	if (svc->item.state == OUTBOX_QUEUED && svc->item.delay == OUTBOX_CONFLICT &&
		svc->fails < OUTBOX_CONFLICT_PUTS)
		queue(a, svc, OUTBOX_NOW);
	if (judge_join(a->judge, &svc->party, s->request.sharing_key) != 0)
		return -ENOMEM;
	wake_mates(a, svc);
	return 0;
}

void alloc_delete(struct alloc *a, const char *key, uint64_t now_ms)
{
	struct svc *svc = svc_find(a, key);

	arrive(a, now_ms);
	if (svc != NULL)
		svc_remove(a, svc);
}

/* -- configuration -- */

int alloc_configure(struct alloc *a, const struct config *conf, uint64_t now_ms)
{
	struct svc *svc = NULL;

	if (pool_configure(a->pools, conf) != 0)
		return -ENOMEM;
	while ((svc = table_next(&a->svcs, svc)) != NULL)
		pool_rehome(a->pools, &svc->party.holder);
	pool_sweep(a->pools);
	judge_configure(a->judge, conf);
	a->conf = conf;
	a->kept_generation++;
	arrive(a, now_ms);
	while ((svc = table_next(&a->svcs, svc)) != NULL) {
		if (a->ready && !a->adopting)
			guard_rest(a, svc);
		make_todo(a, svc);
	}
	list_sort(&a->todo, by_turn);
	return 0;
}

/* -- Namespaces -- */

void alloc_set_namespaces(struct alloc *a, const struct cluster *c, bool forbidden, uint64_t now_ms)
{
	struct svc *svc = NULL;

	a->cluster = c;
	a->namespaces = c != NULL ? cluster_namespaces_generation(c) : 0;
	judge_set_namespaces(a->judge, c, forbidden);
	arrive(a, now_ms);
	while ((svc = table_next(&a->svcs, svc)) != NULL)
		make_todo(a, svc);
	list_sort(&a->todo, by_turn);
}

/* Without unpacking it: all are looked at. */
static const struct cluster_namespace *namespace_of(const struct alloc *a, const struct svc *svc)
{
	const char *key = key_of(svc);
	size_t n = strcspn(key, "/");
	char name[CLUSTER_MAX_NAME + 1];

	if (n >= sizeof name)
		return NULL;
	memcpy(name, key, n);
	name[n] = '\0';
	return cluster_namespace(a->cluster, name);
}

void alloc_namespaces_changed(struct alloc *a, uint64_t now_ms)
{
	uint64_t seen = a->namespaces;
	struct svc *svc = NULL;

	if (a->cluster == NULL || cluster_namespaces_generation(a->cluster) == seen)
		return;
	a->namespaces = cluster_namespaces_generation(a->cluster);
	arrive(a, now_ms);
	while ((svc = table_next(&a->svcs, svc)) != NULL) {
		const struct cluster_namespace *n = namespace_of(a, svc);

		if (n != NULL && n->generation > seen)
			make_todo(a, svc);
	}
	list_sort(&a->todo, by_turn);
}

/* -- life -- */

static void init_lists(struct alloc *a)
{
	list_init(&a->todo);
	list_init(&a->waiting);
	list_init(&a->report);
}

struct alloc *alloc_new(const struct hash_key *hkey, struct counters *counters)
{
	struct alloc *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->hkey = *hkey;
	a->counters = counters;
	a->adopting = true;
	init_lists(a);
	outbox_init(&a->outbox);
	a->pools = pool_set_new(hkey, counters);
	if (a->pools != NULL)
		a->judge = judge_new(hkey, a->pools);
	if (a->judge == NULL) {
		alloc_free(a);
		return NULL;
	}
	return a;
}

static void free_services(struct alloc *a)
{
	struct svc *svc = table_next(&a->svcs, NULL), *next;

	for (; svc != NULL; svc = next) {
		next = table_next(&a->svcs, svc);
		svc_free(svc);
	}
	table_free(&a->svcs);
}

void alloc_free(struct alloc *a)
{
	if (a == NULL)
		return;
	free_services(a);
	judge_free(a->judge);
	pool_set_free(a->pools);
	outbox_free(&a->outbox);
	free(a);
}

void alloc_set_ops(struct alloc *a, const struct alloc_ops *ops, void *ctx)
{
	a->ops = ops;
	a->ops_ctx = ctx;
	pool_set_claims(a->pools, ops->claim, ctx);
}

void alloc_claims_changed(struct alloc *a)
{
	a->wake = true;
}

void alloc_begin(struct alloc *a)
{
	free_services(a);
	outbox_forget_all(&a->outbox);
	judge_forget_all(a->judge);
	pool_forget_all(a->pools);
	init_lists(a);
	a->woken = pool_generation(a->pools);
	a->wake = a->starved = false;
	a->kept_generation++;
	a->ready = false;
	a->adopting = true;
}

void alloc_adopted(struct alloc *a, uint64_t now_ms)
{
	arrive(a, now_ms);
	a->ready = true;
}

bool alloc_is_ready(const struct alloc *a)
{
	return a->ready;
}

/* -- what the shell pulls -- */

bool alloc_next_result(struct alloc *a, struct alloc_result *ret_r)
{
	struct svc *svc;

	settle(a);
	if (list_is_empty(&a->report))
		return false;
	svc = CONTAINER_OF(a->report.next, struct svc, telling);
	fill_result(a, svc, ret_r);
	ret_r->contested = has_untold_contest(svc);
	if (ret_r->contested) {
		svc->more->contest_told = true;
		note_result(a, svc, false);
		return true;
	}
	unreport(svc);
	svc->told = result_hash(a, svc);
	svc->cleared = false;
	svc->loss = JUDGE_LOSS_NONE;
	if (svc->more != NULL) {
		free(svc->more->note);
		svc->more->note = NULL;
		more_put(svc);
	}
	if (ret_r->reason != REASON_ALLOCATED && is_served(svc))
		counter_inc(a->counters, COUNTER_ALLOC_REFUSED);
	return true;
}

bool alloc_why(const struct alloc *a, const char *key, struct alloc_result *ret_r)
{
	const struct svc *svc = svc_find(a, key);

	if (svc == NULL)
		return false;
	fill_result(a, svc, ret_r);
	return true;
}

bool alloc_explain(struct alloc *a, const char *key, const struct judge_trace *t, uint64_t now_ms)
{
	struct svc *svc;

	if (!a->ready || a->conf == NULL)
		return false;
	a->now_ms = now_ms;
	a->asked.key = key;
	a->asked.trace = t;
	a->asked.told = false;
	settle(a);
	svc = svc_find(a, key);
	if (svc != NULL && !a->asked.told)
		(void)judge(a, svc);
	a->asked.key = NULL;
	return svc != NULL;
}

struct alloc_address alloc_look(struct alloc *a, struct addr x)
{
	const struct pool *p = pool_of(a->pools, x);
	const struct pool_use *u = pool_next_use(a->pools, x, NULL);
	struct alloc_address r = {.pool = p != NULL ? pool_name(p) : NULL};

	if (u != NULL) {
		r.place = pool_is_guard(u) ? ALLOC_GUARDED : ALLOC_HELD;
		r.user = u->holder->key;
	} else if (p != NULL) {
		r.place = pool_was_used(a->pools, x, &r.freed_ms) ? ALLOC_RESTING : ALLOC_UNUSED;
	}
	return r;
}

bool alloc_next_write(struct alloc *a, uint64_t now_ms, struct alloc_write *ret_w)
{
	struct outbox_item *item;
	struct copy_names names;
	struct svc *svc;
	uint64_t id;

	a->now_ms = now_ms;
	settle(a);
	item = outbox_due(&a->outbox, now_ms);
	if (item == NULL)
		return false;
	svc = CONTAINER_OF(item, struct svc, item);
	id = outbox_send(&a->outbox, item);
	if (id == 0) {
		queue(a, svc, OUTBOX_FIRST);
		return false;
	}
	svc->fresh = false;
	svc->put_in_flight = false;
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
		set_sent(svc, f, holds(svc, f));
	names = copy_names(svc->party.copy);
	*ret_w = (struct alloc_write){.key = names.key,
		.namespace_ = names.namespace_,
		.name = names.name,
		.uid = names.uid,
		.resource_version = names.version,
		.pool = held_pool(svc),
		.id = id};
	ret_w->n_ips = held(svc, ret_w->ips);
	return true;
}

/* The write did not come to anything: it still has to. */
static void again(struct alloc *a, struct svc *svc, enum outbox_delay delay)
{
	svc->fresh = true;
	if (svc->fails < MAX_FAILS)
		svc->fails++;
	queue(a, svc, delay);
	sync_write(a, svc);
}

void alloc_write_done(struct alloc *a, uint64_t id, enum alloc_outcome outcome, uint64_t now_ms)
{
	struct outbox_item *item = outbox_land(&a->outbox, id);
	struct svc *svc;

	a->now_ms = now_ms;
	if (item == NULL)
		return;
	svc = CONTAINER_OF(item, struct svc, item);
	switch (outcome) {
	case ALLOC_WRITE_OK:
		svc->fails = 0;
		svc->ok_ms = (uint32_t)now_ms;
		svc->stood = true;
		/* An object that came meanwhile is judged by itself; it may be the written one. */
		svc->doubt = !svc->put_in_flight;
		sync_write(a, svc);
		return;
	case ALLOC_WRITE_GONE:
		svc->doubt = true;
		sync_write(a, svc);
		return;
	case ALLOC_WRITE_CONFLICT:
		again(a, svc, outbox_conflict(svc->fails, svc->put_in_flight));
		return;
	case ALLOC_WRITE_FAILED:
		svc->doubt = !svc->put_in_flight; /* it may have been taken all the same */
		again(a, svc, outbox_backoff(svc->fails));
		return;
	case ALLOC_WRITE_NOT_SENT:
		again(a, svc, outbox_not_sent(svc->fails));
		return;
	}
}

uint64_t alloc_next_deadline(const struct alloc *a)
{
	if (!a->ready || a->conf == NULL)
		return TIME_NEVER;
	if (!list_is_empty(&a->todo) || (is_woken(a) && !list_is_empty(&a->waiting)))
		return 0;
	return outbox_next_deadline(&a->outbox);
}

/* -- what is kept -- */

uint64_t alloc_kept_generation(struct alloc *a)
{
	settle(a);
	return a->kept_generation;
}

size_t alloc_kept(const struct alloc *a, struct alloc_kept *v, size_t max)
{
	const struct svc *svc = NULL;
	size_t n = 0;

	while ((svc = table_next(&a->svcs, svc)) != NULL)
		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
			const struct pool_use *u = pool_held(&svc->party.holder, f);

			if (u == NULL || !(f == ADDR_V4 ? svc->kept_v4 : svc->kept_v6))
				continue;
			if (n < max)
				v[n] = (struct alloc_kept){key_of(svc), copy_uid(svc->party.copy),
					pool_name(u->pool), u->addr};
			n++;
		}
	return n;
}

/* -- for status and tests -- */

size_t alloc_pool_count(const struct alloc *a)
{
	return pool_count(a->pools);
}

static struct alloc_pool_use use_of(const struct pool *p)
{
	struct alloc_pool_use use = {.name = pool_name(p)};

	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		use.total[f] = pool_total(p, f);
		use.used[f] = pool_used(p, f);
	}
	return use;
}

struct alloc_pool_use alloc_pool_use(const struct alloc *a, size_t i)
{
	return use_of(pool_at(a->pools, i));
}

bool alloc_pool_find(const struct alloc *a, const char *name, struct alloc_pool_use *ret_use)
{
	const struct pool *p = pool_named(a->pools, name);

	if (p == NULL || pool_conf(p) == NULL)
		return false;
	*ret_use = use_of(p);
	return true;
}

uint64_t alloc_changes(const struct alloc *a)
{
	return pool_changes(a->pools);
}

bool alloc_next_holding(const struct alloc *a, struct alloc_holding *io_h)
{
	const struct svc *svc = table_next(&a->svcs, io_h->at);

	*io_h = (struct alloc_holding){.at = svc};
	if (svc == NULL)
		return false;
	io_h->key = key_of(svc);
	for (unsigned i = 0; i < ADDR_FAMILIES; i++) {
		const struct pool_use *u = held_at(svc, i);

		if (u == NULL)
			continue;
		io_h->ips[io_h->n_ips] = u->addr;
		io_h->pools[io_h->n_ips++] = pool_name(u->pool);
	}
	return true;
}

size_t alloc_holding(const struct alloc *a, const char *key, struct addr ret_ips[2])
{
	const struct svc *svc = svc_find(a, key);

	return svc != NULL ? held(svc, ret_ips) : 0;
}
