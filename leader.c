/* SPDX-License-Identifier: Apache-2.0
 *
 * leader.c - one holder of the Lease lbd-leader.
 *
 * Owns: what was last seen of the Lease, and since when; the one request in flight. No clock.
 * In:   the Lease watch (leader_on_lease), answers (leader_done), is the watch live.
 * Out:  one lease_action at a time, pulled; leader_is_leader() and the deadline of every write.
 *
 * Why two leaders never write at once: a renewal SENT at t lets us write until t + renewDeadline;
 * the API applied it at t or later, so nobody sees the Lease unchanged for its duration before
 * t + duration, which is later.  A lost answer is never guessed at: the next write meets a 409, a
 * GET shows our own name, and only an answered write counts.  The watch can only take leadership
 * away, because it may lag.
 *
 * Source: client-go tools/leaderelection (tryAcquireOrRenew, release), with the watch in place of
 * its GET every retryPeriod.  Not done: coordinated leader election (KEP-4355, spec.strategy).
 */
#include "leader.h"

#include <string.h>

enum {
	LEASE_MIN_MS = 1000, /* what a Lease may say of its own duration */
	LEASE_MAX_MS = 3600 * 1000,
	REQUEST_MAX_MS = 4000, /* deadline 10 s + 4 s < lease 15 s (OWNERSHIP R28) */
	REQUEST_MIN_MS = 100,
	JITTER_MAX_MS = 1000,
	RELEASE_TRIES = 3,
};

/* The Lease as last seen.  All strings owned; NULL = absent. */
struct observed {
	bool exists;
	char *holder, *resource_version, *uid, *acquire_time;
	uint64_t duration_ms;
	int64_t transitions;
	uint64_t since_ms; /* when it last changed, or the watch came back */
};

struct leader {
	char *identity; /* owned */
	uint64_t duration_ms, renew_deadline_ms, retry_period_ms;
	struct rng *rng;           /* borrowed */
	struct counters *counters; /* borrowed, may be NULL */

	bool candidate, synced;
	struct observed seen;
	uint64_t jitter_ms; /* added to the moment the Lease may be taken; drawn at each change */

	bool leading;
	uint64_t deadline_ms; /* while leading */
	uint64_t term;

	uint64_t next_id, in_flight; /* in_flight 0 = none */
	enum lease_verb in_flight_verb;
	uint64_t sent_ms;
	bool sent_release;

	bool must_get;      /* a write met a 409 */
	uint64_t next_ms;   /* not before; while leading: the next renewal */
	unsigned failures;  /* requests in a row that brought nothing */
	unsigned conflicts; /* 409s in a row */
	uint64_t unsynced_ms;

	bool releasing, released;
	unsigned release_tries;
};

static void observed_free(struct observed *o)
{
	free(o->holder);
	free(o->resource_version);
	free(o->uid);
	free(o->acquire_time);
	*o = (struct observed){0};
}

static bool copy(char **ret, const char *s)
{
	*ret = s != NULL ? strdup(s) : NULL;
	return s == NULL || *ret != NULL;
}

static bool observed_copy(struct observed *o, const struct cluster_lease *lease, uint64_t now_ms)
{
	*o = (struct observed){
		.exists = true,
		.duration_ms = lease->duration_ms,
		.transitions = lease->transitions,
		.since_ms = now_ms,
	};
	if (copy(&o->holder, lease->holder != NULL ? lease->holder : "") &&
		copy(&o->resource_version, lease->resource_version) && copy(&o->uid, lease->uid) &&
		copy(&o->acquire_time, lease->acquire_time))
		return true;
	observed_free(o);
	return false;
}

static bool text_eq(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool is_ours(const struct leader *l)
{
	return text_eq(l->seen.holder, l->identity);
}

static bool is_held(const struct leader *l)
{
	return l->seen.holder != NULL && l->seen.holder[0] != '\0';
}

static void draw_jitter(struct leader *l)
{
	l->jitter_ms = rng_below(l->rng, time_min(l->retry_period_ms / 4, JITTER_MAX_MS) + 1);
}

/* What the Lease was seen to be.  Out of memory: the old picture stays, a 409 will mend it. */
static void observe(struct leader *l, const struct cluster_lease *lease, uint64_t now_ms)
{
	struct observed fresh;

	if (lease == NULL) {
		/* Deleted: its holder may not know yet, so its time runs on (R5). */
		l->seen.exists = false;
	} else if (!l->seen.exists || !text_eq(l->seen.resource_version, lease->resource_version)) {
		if (!observed_copy(&fresh, lease, now_ms))
			return;
		observed_free(&l->seen);
		l->seen = fresh;
	} else {
		return; /* seen before */
	}
	draw_jitter(l);
}

/* Leadership ends by the clock alone, whoever asks first. */
static void expire(struct leader *l, uint64_t now_ms)
{
	if (l->leading && now_ms >= l->deadline_ms)
		l->leading = false;
}

struct leader *leader_new(
	const struct leader_conf *conf, struct rng *rng, struct counters *counters)
{
	struct leader *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->identity = strdup(conf->identity);
	if (l->identity == NULL) {
		free(l);
		return NULL;
	}
	l->rng = rng;
	l->counters = counters;
	l->candidate = true;
	l->next_id = 1;
	leader_configure(l, conf);
	draw_jitter(l);
	return l;
}

void leader_free(struct leader *l)
{
	if (l == NULL)
		return;
	observed_free(&l->seen);
	free(l->identity);
	free(l);
}

void leader_configure(struct leader *l, const struct leader_conf *conf)
{
	/* The order that the proof above rests on; config.c refuses anything else. */
	REQUIRE(conf->renew_deadline_ms < conf->duration_ms &&
		conf->retry_period_ms < conf->renew_deadline_ms && conf->retry_period_ms > 0);
	/* A running term keeps the deadline that its last renewal was written with, or less. */
	if (l->leading && conf->renew_deadline_ms < l->renew_deadline_ms)
		l->deadline_ms -= l->renew_deadline_ms - conf->renew_deadline_ms;
	l->duration_ms = conf->duration_ms;
	l->renew_deadline_ms = conf->renew_deadline_ms;
	l->retry_period_ms = conf->retry_period_ms;
}

void leader_on_lease(struct leader *l, const struct cluster_lease *lease, uint64_t now_ms)
{
	bool ours = lease != NULL && text_eq(lease->holder, l->identity);

	expire(l, now_ms);
	/* Our own writes come back late: answers say the same, earlier and in order. */
	if (l->leading && ours)
		return;
	if (lease != NULL && text_eq(l->seen.resource_version, lease->resource_version) &&
		l->seen.exists)
		return;
	if (l->leading)
		l->next_ms = now_ms;
	l->leading = false;
	if (l->in_flight == 0)
		l->must_get = false;
	observe(l, lease, now_ms);
}

void leader_on_synced(struct leader *l, bool synced, uint64_t now_ms)
{
	expire(l, now_ms);
	/* A longer gap may be the API's fault: let the holder renew first.  A short one hides
	 * nothing, for a take carries the resourceVersion that it rests on. */
	if (synced && !l->synced && now_ms - l->unsynced_ms > l->retry_period_ms) {
		l->seen.since_ms = now_ms;
		draw_jitter(l);
	}
	if (!synced && l->synced)
		l->unsynced_ms = now_ms;
	l->synced = synced;
}

void leader_set_candidate(struct leader *l, bool candidate, uint64_t now_ms)
{
	expire(l, now_ms);
	l->candidate = candidate;
	if (!candidate)
		l->leading = false;
}

/* How long the Lease's holder may go on without a sign of life. */
static uint64_t lease_ms(const struct leader *l)
{
	uint64_t ms = l->seen.duration_ms != 0 ? l->seen.duration_ms : l->duration_ms;

	if (ms < LEASE_MIN_MS)
		return LEASE_MIN_MS;
	return time_min(ms, LEASE_MAX_MS);
}

/* When the Lease may be taken, as it was last seen. */
static uint64_t takeable_at(const struct leader *l)
{
	if (is_ours(l))
		return l->seen.since_ms;
	if (!is_held(l))
		return l->seen.since_ms + l->jitter_ms;
	return l->seen.since_ms + lease_ms(l) + l->jitter_ms;
}

/* When the next request is due; TIME_NEVER. */
static uint64_t due_at(const struct leader *l)
{
	uint64_t at;

	if (l->in_flight != 0 || l->released)
		return TIME_NEVER;
	if (l->releasing || l->must_get)
		return l->next_ms;
	if (!l->candidate)
		return TIME_NEVER;
	if (l->leading)
		return l->next_ms;
	if (!l->synced)
		return TIME_NEVER;
	at = takeable_at(l);
	return at > l->next_ms ? at : l->next_ms;
}

/* A request dies early enough that another one can be tried before the deadline. */
static uint64_t request_ms(const struct leader *l)
{
	uint64_t ms = (l->renew_deadline_ms - l->retry_period_ms) * 3 / 5;

	return ms < REQUEST_MIN_MS ? REQUEST_MIN_MS : time_min(ms, REQUEST_MAX_MS);
}

/* Common to all requests; remembers it as the one in flight. */
static struct lease_action begin(struct leader *l, enum lease_verb verb, uint64_t now_ms)
{
	l->in_flight = l->next_id++;
	l->in_flight_verb = verb;
	l->sent_ms = now_ms;
	l->sent_release = false;
	return (struct lease_action){
		.verb = verb,
		.name = "lbd-leader",
		.not_after_ms = now_ms + request_ms(l),
		.timeout_ms = request_ms(l),
		.id = l->in_flight,
		.role = CLUSTER_LEASE_LEADER,
		.transitions = -1,
	};
}

/* Acquire or renew, as the Lease was last seen. */
static struct lease_action write_action(struct leader *l, uint64_t now_ms)
{
	bool create = !l->seen.exists;
	struct lease_action a = begin(l, create ? LEASE_CREATE : LEASE_UPDATE, now_ms);

	a.holder = l->identity;
	/* leaseDurationSeconds is a whole number: never less than what we keep to. */
	a.duration_ms = (l->duration_ms + 999) / 1000 * 1000;
	a.has_renew_time = true;
	a.set_acquire_time = create || !is_ours(l) || l->seen.acquire_time == NULL;
	a.acquire_time = l->seen.acquire_time;
	a.transitions = create ? 0 : l->seen.transitions + (is_ours(l) ? 0 : 1);
	if (!create) {
		a.resource_version = l->seen.resource_version;
		a.uid = l->seen.uid;
	}
	return a;
}

/* client-go's release(): nobody holds it, one second long, transitions kept. */
static struct lease_action release_action(struct leader *l, uint64_t now_ms)
{
	struct lease_action a = write_action(l, now_ms);

	l->sent_release = true;
	a.holder = "";
	a.duration_ms = 1000;
	a.set_acquire_time = true;
	return a;
}

bool leader_next_action(struct leader *l, uint64_t now_ms, struct lease_action *ret_a)
{
	expire(l, now_ms);
	if (now_ms < due_at(l))
		return false;
	if (l->must_get) {
		*ret_a = begin(l, LEASE_GET, now_ms);
	} else if (l->releasing) {
		if (!l->seen.exists || !is_ours(l)) {
			l->released = true;
			return false;
		}
		*ret_a = release_action(l, now_ms);
	} else {
		*ret_a = write_action(l, now_ms);
	}
	return true;
}

/* A pause that grows with failures in a row, up to the retry period, with jitter. */
static uint64_t pause_ms(struct leader *l)
{
	uint64_t ms = (l->retry_period_ms / 8 + 1) << (l->failures < 4 ? l->failures : 4);

	if (l->failures < UINT32_MAX)
		l->failures++;
	ms = time_min(ms, l->retry_period_ms);
	return ms / 2 + rng_below(l->rng, ms / 2 + 1);
}

/* A write was answered: we hold the Lease, counted from when it was sent. */
static void on_written(struct leader *l, const struct cluster_lease *lease, uint64_t now_ms)
{
	observe(l, lease, now_ms);
	l->failures = 0;
	l->conflicts = 0;
	l->next_ms = l->releasing ? now_ms : l->sent_ms + l->retry_period_ms;
	if (l->releasing || !l->candidate || now_ms >= l->sent_ms + l->renew_deadline_ms)
		return;
	l->deadline_ms = l->sent_ms + l->renew_deadline_ms;
	if (!l->leading) {
		l->leading = true;
		l->term++;
		counter_inc(l->counters, COUNTER_LEADER_TERMS);
	}
}

static void on_read(struct leader *l, const struct cluster_lease *lease, uint64_t now_ms)
{
	l->must_get = false;
	observe(l, lease, now_ms);
	if (!l->seen.exists || !is_ours(l))
		l->leading = false;
	l->next_ms = now_ms + (l->conflicts > 1 ? pause_ms(l) : 0);
}

/* The Lease is not what it was thought to be: the leader looks at once, a candidate may wait. */
static void on_conflict(struct leader *l, uint64_t now_ms)
{
	l->must_get = true;
	l->next_ms = now_ms + (l->leading && l->conflicts == 0 ? 0 : pause_ms(l));
	if (l->conflicts < UINT32_MAX)
		l->conflicts++;
}

static void on_answered(struct leader *l, const struct cluster_lease *lease, uint64_t now_ms)
{
	if (l->sent_release) {
		l->released = true;
	} else if (lease == NULL) { /* a 2xx without a body that we understand: look again */
		l->must_get = true;
		l->next_ms = now_ms + pause_ms(l);
	} else if (l->in_flight_verb == LEASE_GET) {
		on_read(l, lease, now_ms);
	} else {
		on_written(l, lease, now_ms);
	}
}

void leader_done(struct leader *l, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms)
{
	if (id == 0 || id != l->in_flight)
		return;
	expire(l, now_ms);
	l->in_flight = 0;
	switch (outcome) {
	case LEASE_OK:
		on_answered(l, lease, now_ms);
		break;
	case LEASE_NOT_FOUND:
		if (l->in_flight_verb == LEASE_CREATE) /* no such namespace */
			l->next_ms = now_ms + l->retry_period_ms;
		else
			on_read(l, NULL, now_ms);
		break;
	case LEASE_CONFLICT:
		on_conflict(l, now_ms);
		break;
	case LEASE_REFUSED:
		/* A server that has just begun may not know its roles yet, which must not cost a
		 * leader its term; else no oftener than a renewal: it costs no more than one. */
		l->next_ms = now_ms + (l->leading ? pause_ms(l) : l->retry_period_ms);
		break;
	case LEASE_FAILED:
	case LEASE_NOT_SENT:
		l->next_ms = now_ms + pause_ms(l);
		break;
	}
	if (l->releasing && outcome != LEASE_OK && ++l->release_tries >= RELEASE_TRIES)
		l->released = true; /* it will expire instead */
}

bool leader_is_leader(const struct leader *l, uint64_t now_ms)
{
	return l->leading && now_ms < l->deadline_ms;
}

uint64_t leader_deadline(const struct leader *l)
{
	return l->leading ? l->deadline_ms : 0;
}

/* Sent at the deadline, dead with a fifth of the rest of the Lease to spare (OWNERSHIP R28, F23).
 */
uint64_t leader_write_ms(const struct leader *l)
{
	uint64_t ms = (l->duration_ms - l->renew_deadline_ms) * 4 / 5;

	return ms == 0 ? 1 : time_min(ms, REQUEST_MAX_MS);
}

uint64_t leader_term(const struct leader *l)
{
	return l->term;
}

const char *leader_holder(const struct leader *l)
{
	return l->seen.exists && l->seen.holder != NULL ? l->seen.holder : "";
}

bool leader_is_over(const struct leader *l, uint64_t now_ms)
{
	return l->synced && !leader_is_leader(l, now_ms) &&
	       now_ms >= l->seen.since_ms + l->seen.duration_ms + l->retry_period_ms;
}

void leader_release(struct leader *l, uint64_t now_ms)
{
	if (l->releasing)
		return;
	l->leading = false;
	l->releasing = true;
	l->next_ms = now_ms;
	if (l->in_flight == 0 && !l->must_get && (!l->seen.exists || !is_ours(l)))
		l->released = true;
}

bool leader_released(const struct leader *l)
{
	return l->released;
}

uint64_t leader_next_deadline(const struct leader *l)
{
	uint64_t at = due_at(l);

	return l->leading ? time_min(at, l->deadline_ms) : at;
}
