/* SPDX-License-Identifier: Apache-2.0
 *
 * publish.c - this node's own two Lease objects.
 *
 * Owns: both objects as the API has them, the requests on them, what they say.
 * In:   the node's facts, the text of its claims (asked for when it is to be written), answers to
 *       requests, the objects as the watch shows them.
 * Out:  requests (pulled); which renewals the API took; whether a double uses our name.
 *
 * Source: shared/OWNERSHIP.md R3, R27 (the Lease given back), R29.  The claims object is written
 * though empty: others remember a deleted one.  Of two processes of one name (R29) the one whose
 * identity sorts first goes on.
 */
#include "publish.h"

#include "addr.h"
#include "buf.h"
#include "member.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	WRITE_GAP_MS = 1000, /* R3: changes are written at most once in this time */
	RETRY_MIN_MS = 100,
	RETRY_MAX_MS = 5000,
	REQUEST_MIN_MS = 500,
	REQUEST_MAX_MS = 4000,
	REFUSED_MIN_MS = 500,
	RELEASE_TRIES = 3,
	IMPERSONATED = 2, /* foreign renewals of our own Lease that prove a double (R29) */
	FACTS_MAX_BYTES = 16 * 1024, /* one annotation of our Lease */
};

/* One of this node's own Lease objects. */
struct object {
	enum cluster_lease_role role;
	char name[MEMBER_NAMELEN];
	bool exists, written;          /* in the API, as far as known; by this process */
	char *rv, *uid, *acquire_time; /* owned */
	uint64_t in_flight;            /* 0 = none */
	enum lease_verb verb;
	uint64_t sent_ms;
	bool must_get;     /* a write met a 409 */
	bool unsure;       /* a write that failed may have been applied */
	bool dirty;        /* it says something old */
	uint64_t next_ms;  /* no request before */
	uint64_t quiet_ms; /* no write for a mere change before */
	unsigned failures;
};

struct publish {
	char *node, *identity, *version; /* owned */
	struct rng *rng;                 /* borrowed */
	uint64_t renew_ms, lease_ms;     /* 0: not known yet */
	bool timed, started;

	struct object lease, claims;
	uint64_t next_id;
	uint64_t renew_at_ms;
	uint64_t hold_ms; /* the claims object is not written for a mere change before */
	char *addresses, *macs, *subnets, *config_hash; /* owned; what we publish of ourselves */
	char *move;                /* owned; NULL = none */
	char *published, *sending; /* owned; claims text in the API, on its way */
	uint64_t claims_generation;
	char generation_text[24];

	char *draining; /* owned; the reason; NULL = not */
	unsigned release_tries;
	bool releasing, released;

	/* R29 */
	bool impersonated, silenced;
	unsigned foreign_renewals;
	uint64_t foreign_ms;
};

/* -- what the watch shows -- */

static void free_object(struct object *o)
{
	free(o->rv);
	free(o->uid);
	free(o->acquire_time);
}

/* What the API holds now, by an answer or by the first list. */
static void object_is(struct object *o, const struct cluster_lease *l)
{
	o->exists = text_set(&o->rv, l->resource_version) && text_set(&o->uid, l->uid) &&
		    text_set(&o->acquire_time, l->acquire_time);
	if (!o->exists) /* out of memory: read it again */
		o->must_get = true;
}

/* Until our first write the watch says what there is; later our answers do, for it lags.  A
 * deletion may be an old one, of before we wrote it anew: only a GET tells. */
static void own_object_seen(
	struct object *o, const struct cluster_lease *l, bool deleted, uint64_t now_ms)
{
	if (deleted) {
		o->must_get = true;
		o->next_ms = now_ms;
	} else if (!o->written && o->in_flight == 0) {
		object_is(o, l);
	}
}

void publish_on_own(struct publish *p, const struct cluster_lease *l, bool deleted, uint64_t now_ms)
{
	struct object *o = l->role == CLUSTER_LEASE_NODE ? &p->lease : &p->claims;

	own_object_seen(o, l, deleted, now_ms);
	if (!deleted && o == &p->claims && !o->written)
		(void)text_set(&p->published, l->claims != NULL ? l->claims : "");
}

/* Of an object that was written and deleted between two lists nobody is told.  The watch may also be
 * behind our write: only a GET tells. */
void publish_on_claims_missing(struct publish *p, uint64_t now_ms)
{
	struct object *o = &p->claims;

	if (o->exists && !o->must_get && o->in_flight == 0) {
		o->must_get = true;
		o->next_ms = now_ms;
	}
}

/* R29: somebody else renews the Lease of our name.  Both find out; the one whose identity sorts
 * first goes on, so that the VIPs are not left dark. */
bool publish_on_renewal(struct publish *p, const struct cluster_lease *l, uint64_t now_ms)
{
	bool was_silenced = p->silenced;
	bool foreign = l->holder[0] != '\0' && strcmp(l->holder, p->identity) != 0;

	if (!foreign || !p->lease.written)
		return false;
	p->foreign_ms = now_ms;
	if (p->foreign_renewals < IMPERSONATED && ++p->foreign_renewals < IMPERSONATED)
		return false;
	p->impersonated = true;
	p->silenced = strcmp(p->identity, l->holder) > 0;
	return p->silenced != was_silenced;
}

bool publish_forget_double(struct publish *p, uint64_t now_ms)
{
	if (now_ms < publish_double_ends(p))
		return false;
	p->foreign_renewals = 0;
	p->impersonated = false;
	if (!p->silenced)
		return false;
	p->silenced = false;
	p->lease.must_get = p->claims.must_get = true;
	return true;
}

uint64_t publish_double_ends(const struct publish *p)
{
	return p->foreign_renewals > 0 ? p->foreign_ms + p->lease_ms : TIME_NEVER;
}

bool publish_is_impersonated(const struct publish *p)
{
	return p->impersonated;
}

bool publish_may_speak(const struct publish *p)
{
	return !p->silenced && !p->releasing;
}

/* -- what is to be written -- */

void publish_set_durations(struct publish *p, uint64_t renew_ms, uint64_t lease_ms)
{
	p->renew_ms = renew_ms;
	p->lease_ms = lease_ms;
	p->timed = true;
}

void publish_start(struct publish *p, uint64_t now_ms)
{
	p->started = true;
	p->renew_at_ms = now_ms;
}

/* Replaces *slot when the text differs; returns whether it did. */
static bool refresh(char **slot, struct buf *b)
{
	bool differs = !b->bad && !text_eq(*slot, b->p != NULL ? b->p : "");

	if (differs)
		differs = text_set(slot, b->p != NULL ? b->p : "");
	buf_reset(b);
	return differs;
}

void publish_refresh(struct publish *p, const struct elig_input *in)
{
	struct buf b;
	bool changed = false;

	buf_init(&b, FACTS_MAX_BYTES);
	if (elig_addresses_text(in->ifaces, &b) == 0)
		changed |= refresh(&p->addresses, &b);
	buf_reset(&b);
	if (elig_macs_text(in->ifaces, &b) == 0)
		changed |= refresh(&p->macs, &b);
	buf_reset(&b);
	if (elig_subnets_text(in->ifaces, &b) == 0)
		changed |= refresh(&p->subnets, &b);
	buf_reset(&b);
	buf_adds(&b, in->conf->hash);
	changed |= refresh(&p->config_hash, &b);
	buf_free(&b);
	if (changed)
		p->lease.dirty = true;
}

void publish_claims_changed(struct publish *p)
{
	p->claims.dirty = true;
}

bool publish_set_move(struct publish *p, const char *text)
{
	return text_set(&p->move, text);
}

void publish_end_move(struct publish *p)
{
	free(p->move);
	p->move = NULL;
}

void publish_renew_since(struct publish *p, uint64_t since_ms, uint64_t now_ms)
{
	if (p->lease.sent_ms < since_ms)
		p->renew_at_ms = time_min(p->renew_at_ms, now_ms);
}

void publish_hold_claims(struct publish *p, uint64_t until_ms)
{
	p->hold_ms = until_ms;
}

bool publish_drain(struct publish *p, const char *reason, uint64_t now_ms)
{
	if (!text_set(&p->draining, reason))
		return false;
	p->lease.dirty = true;
	p->lease.quiet_ms = p->claims.quiet_ms = now_ms; /* the offer must not wait either */
	return true;
}

void publish_release(struct publish *p, uint64_t now_ms)
{
	if (p->releasing)
		return;
	p->releasing = true;
	p->hold_ms = 0;
	p->claims.dirty = true;
	p->claims.quiet_ms = p->claims.next_ms = p->lease.next_ms = now_ms;
	if (!p->started || p->silenced)
		p->released = true;
}

bool publish_is_releasing(const struct publish *p)
{
	return p->releasing;
}

bool publish_is_released(const struct publish *p)
{
	return p->released;
}

/* -- requests -- */

/* Long enough for a slow API, short enough for a second try within the Lease. */
static uint64_t request_ms(const struct publish *p)
{
	uint64_t ms = p->lease_ms * 2 / 5;

	return ms < REQUEST_MIN_MS ? REQUEST_MIN_MS : time_min(ms, REQUEST_MAX_MS);
}

/* Is the claims object as it should be, or given up on?  Only then the Lease may be given back. */
static bool claims_are_settled(const struct publish *p)
{
	return p->claims.in_flight == 0 && (!p->claims.dirty || p->release_tries >= RELEASE_TRIES);
}

/* When the object's next request is due; TIME_NEVER. */
static uint64_t object_due(const struct publish *p, const struct object *o)
{
	uint64_t at = o->dirty ? o->quiet_ms : TIME_NEVER;

	if (o->in_flight != 0 || !p->started || p->silenced || p->released || !p->timed)
		return TIME_NEVER;
	if (o->must_get)
		return o->next_ms;
	if (o == &p->lease) {
		if (p->releasing)
			return claims_are_settled(p) ? o->next_ms : TIME_NEVER;
		at = time_min(at, p->renew_at_ms);
	} else if (p->releasing && p->release_tries >= RELEASE_TRIES) {
		return TIME_NEVER;
	} else if (at < p->hold_ms) {
		at = p->hold_ms; /* not before G7 had its chance: our memory is in there */
	}
	return at > o->next_ms ? at : o->next_ms;
}

static struct lease_action begin(
	struct publish *p, struct object *o, enum lease_verb verb, uint64_t now_ms)
{
	o->in_flight = p->next_id++;
	o->verb = verb;
	o->sent_ms = now_ms;
	return (struct lease_action){
		.verb = verb,
		.name = o->name,
		.resource_version = verb == LEASE_UPDATE ? o->rv : NULL,
		.uid = verb == LEASE_UPDATE ? o->uid : NULL,
		.not_after_ms = now_ms + request_ms(p),
		.timeout_ms = request_ms(p),
		.id = o->in_flight,
		.role = o->role,
		.holder = p->identity,
		.transitions = -1,
	};
}

static void annotate(struct lease_action *a, const char *key, const char *value)
{
	REQUIRE(a->n_annotations < ARRAY_LEN(a->annotations));
	if (value == NULL)
		return;
	a->annotations[a->n_annotations].key = key;
	a->annotations[a->n_annotations++].value = value;
}

static struct lease_action lease_action(struct publish *p, uint64_t now_ms)
{
	struct object *o = &p->lease;
	struct lease_action a = begin(p, o, o->exists ? LEASE_UPDATE : LEASE_CREATE, now_ms);

	a.duration_ms = (p->lease_ms + 999) / 1000 * 1000;
	a.has_renew_time = true;
	a.set_acquire_time = !o->written || o->acquire_time == NULL;
	a.acquire_time = o->acquire_time;
	annotate(&a, "lbd.io/node", p->node);
	annotate(&a, "lbd.io/version", p->version);
	annotate(&a, "lbd.io/config-hash", p->config_hash);
	annotate(&a, "lbd.io/addresses", p->addresses);
	annotate(&a, "lbd.io/macs", p->macs);
	annotate(&a, "lbd.io/subnets", p->subnets);
	annotate(&a, "lbd.io/draining", p->draining);
	if (o->dirty)
		o->quiet_ms = now_ms + WRITE_GAP_MS;
	o->dirty = false;
	if (p->releasing)
		a.holder = "";
	return a;
}

/* The claims object, if it does not say text (taken over; NULL = out of memory). */
static bool claims_action(
	struct publish *p, uint64_t now_ms, char *text, struct lease_action *ret_a)
{
	struct object *o = &p->claims;
	bool same;

	if (text == NULL) {
		o->next_ms = now_ms + RETRY_MAX_MS;
		return false;
	}
	/* It is written though empty: others may remember a deleted one. */
	same = o->exists && !o->unsure && text_eq(text, p->published);
	o->dirty = false;
	if (same) {
		free(text);
		return false;
	}
	free(p->sending);
	p->sending = text;
	*ret_a = begin(p, o, o->exists ? LEASE_UPDATE : LEASE_CREATE, now_ms);
	o->quiet_ms = now_ms + WRITE_GAP_MS;
	(void)snprintf(
		p->generation_text, sizeof p->generation_text, "%" PRIu64, ++p->claims_generation);
	annotate(ret_a, "lbd.io/node", p->node);
	annotate(ret_a, "lbd.io/claims", p->sending);
	if (p->move != NULL)
		annotate(ret_a, "lbd.io/move", p->move);
	annotate(ret_a, "lbd.io/claims-generation", p->generation_text);
	return true;
}

bool publish_next_action(struct publish *p, uint64_t now_ms, publish_text_fn text_of,
	const void *ctx, struct lease_action *ret_a)
{
	if (now_ms >= object_due(p, &p->lease)) {
		if (!p->releasing || p->lease.must_get || p->lease.written) {
			*ret_a = p->lease.must_get ? begin(p, &p->lease, LEASE_GET, now_ms)
						   : lease_action(p, now_ms);
			return true;
		}
		p->released = true; /* never written: nothing to give back */
	}
	if (now_ms < object_due(p, &p->claims))
		return false;
	if (p->claims.must_get) {
		*ret_a = begin(p, &p->claims, LEASE_GET, now_ms);
		return true;
	}
	return claims_action(p, now_ms, text_of(ctx), ret_a);
}

/* -- answers -- */

static void on_renewed(struct publish *p)
{
	uint64_t tenth = p->renew_ms / 10 + 1;

	/* Never sooner than renew: the idle budget of 0.1 writes/s is a limit, not a mean. */
	p->renew_at_ms = p->lease.sent_ms + p->renew_ms + rng_below(p->rng, tenth);
	if (p->releasing)
		p->released = true;
}

static void on_written(
	struct publish *p, struct object *o, const struct cluster_lease *lease, uint64_t now_ms)
{
	object_is(o, lease);
	o->written = true;
	o->unsure = false;
	o->failures = 0;
	o->next_ms = now_ms;
	if (o == &p->lease) {
		on_renewed(p);
		return;
	}
	free(p->published);
	p->published = p->sending;
	p->sending = NULL;
}

static void on_read(
	struct publish *p, struct object *o, const struct cluster_lease *lease, uint64_t now_ms)
{
	o->must_get = false;
	o->unsure = false;
	o->next_ms = now_ms;
	o->exists = false;
	o->dirty = true; /* written anew from what was read, at once */
	o->quiet_ms = now_ms;
	if (lease == NULL)
		return;
	object_is(o, lease);
	if (o == &p->claims && !text_set(&p->published, lease->claims != NULL ? lease->claims : ""))
		o->must_get = true;
	if (o == &p->claims && lease->claims_generation > p->claims_generation)
		p->claims_generation = lease->claims_generation;
}

static uint64_t pause_ms(struct publish *p, struct object *o)
{
	uint64_t ms = (uint64_t)RETRY_MIN_MS << (o->failures < 6 ? o->failures : 6);
	uint64_t cap = time_min(RETRY_MAX_MS, p->renew_ms);

	if (o->failures < UINT32_MAX)
		o->failures++;
	if (ms > cap)
		ms = cap;
	return ms / 2 + rng_below(p->rng, ms / 2 + 1);
}

/* Seldom, and yet so that a refusal that is short (a server that does not know its roles yet) costs no
 * health: a renewal may be half its period late (R5). */
static uint64_t refused_ms(const struct publish *p)
{
	uint64_t ms = p->renew_ms / 4;

	return time_min(p->renew_ms, ms > REFUSED_MIN_MS ? ms : REFUSED_MIN_MS);
}

static void on_failed(
	struct publish *p, struct object *o, enum lease_outcome outcome, uint64_t now_ms)
{
	if (o == &p->claims)
		o->dirty = true;
	if (p->releasing)
		p->release_tries++;
	if (p->releasing && o == &p->lease && p->release_tries >= RELEASE_TRIES)
		p->released = true; /* it will expire instead */
	if (outcome == LEASE_REFUSED ||
		(outcome == LEASE_NOT_FOUND && o->verb == LEASE_CREATE)) { /* no such namespace */
		o->next_ms = now_ms + refused_ms(p);
	} else if (outcome == LEASE_NOT_FOUND) {
		on_read(p, o, NULL, now_ms);
	} else if (outcome == LEASE_CONFLICT) {
		/* Most often a lost answer to our own write (F33): look, and write again. */
		o->must_get = true;
		o->next_ms = now_ms + (o->failures++ > 0 ? pause_ms(p, o) : 0);
	} else {
		o->unsure |= outcome == LEASE_FAILED && o->verb != LEASE_GET;
		o->next_ms = now_ms + pause_ms(p, o);
	}
}

bool publish_done(struct publish *p, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms, struct publish_renewal *ret_r)
{
	struct object *o = id == p->lease.in_flight ? &p->lease : &p->claims;

	if (id == 0 || id != o->in_flight)
		return false;
	o->in_flight = 0;
	if (outcome == LEASE_OK && lease == NULL)
		outcome = LEASE_FAILED;
	if (outcome != LEASE_OK) {
		on_failed(p, o, outcome, now_ms);
		return false;
	}
	if (o->verb == LEASE_GET) {
		on_read(p, o, lease, now_ms);
		return false;
	}
	on_written(p, o, lease, now_ms);
	if (o != &p->lease)
		return false;
	*ret_r = (struct publish_renewal){.rv = o->rv, .sent_ms = o->sent_ms};
	return true;
}

uint64_t publish_next_deadline(const struct publish *p)
{
	return time_min(object_due(p, &p->lease), object_due(p, &p->claims));
}

/* -- construction -- */

struct publish *publish_new(
	const char *node, const char *identity, const char *version, struct rng *rng)
{
	struct publish *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->rng = rng;
	p->next_id = 1;
	p->lease.role = CLUSTER_LEASE_NODE;
	p->claims.role = CLUSTER_LEASE_CLAIMS;
	member_object_name(p->lease.role, node, p->lease.name);
	member_object_name(p->claims.role, node, p->claims.name);
	if (!text_set(&p->node, node) || !text_set(&p->identity, identity) ||
		!text_set(&p->version, version)) {
		publish_free(p);
		return NULL;
	}
	return p;
}

void publish_free(struct publish *p)
{
	if (p == NULL)
		return;
	free_object(&p->lease);
	free_object(&p->claims);
	free(p->addresses);
	free(p->macs);
	free(p->subnets);
	free(p->move);
	free(p->config_hash);
	free(p->published);
	free(p->sending);
	free(p->draining);
	free(p->node);
	free(p->identity);
	free(p->version);
	free(p);
}
