/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c - the simulated API server.
 *
 * Owns: objects and every change of them, by kind, in order; requests under way.
 * In:   what users and nodes write; faults.
 * Out:  lists, watch events and answers, to nodes alone.
 *
 * A stream is always in order, may repeat an event, and may lag (a second API server's cache).
 * Lists are consistent, since watch.c asks for no version.
 */
#include "server.h"

#include "check.h"
#include "node.h"

#include "cluster_decode.h"
#include "object.h"

#include <string.h>

enum {
	REPEAT_PERCENT = 3,
	SLOW_MIN_MS = 20,
	RETRY_US = 200 * SIM_MS,
	NAMELEN = 80,
	WALL_2026_S = 1767225600,
};

struct object {
	enum cluster_kind kind;
	char name[NAMELEN];
	unsigned long rv; /* 0 = does not exist */
	struct change *last;
	UT_hash_handle hh;
};

struct journal {
	struct change **v; /* owned, and what it points to */
	size_t n, cap;
	struct object **objects; /* owned; of this kind */
	size_t n_objects, cap_objects;
};

struct request {
	struct request *next, **prev; /* of all under way */
	enum request_kind kind;
	struct lease_action a; /* its strings are not to be read */
	char name[NAMELEN], rv[32], leader[40];
	uint64_t dies_us;
	cJSON *json; /* owned; what to write; NULL for GET */
	bool empty;  /* a status write that changes nothing */
	struct addr ips[2];
	size_t n_ips;
	uint64_t id;
	enum lease_outcome outcome;
	struct change *answer; /* borrowed */
};

struct server {
	struct hash_key hkey;
	struct object *objects; /* owned; by kind and name */
	struct journal journal[CLUSTER_KINDS];
	struct request *requests; /* owned */
	unsigned long rv;
	char holder[64]; /* of lbd-leader */
	bool down;
	unsigned loss;
	size_t biggest;
	uint64_t writes;
};

const enum cluster_kind server_kinds[SIM_STREAMS] = {
	CLUSTER_SERVICE, CLUSTER_NODE, CLUSTER_ENDPOINT_SLICE, CLUSTER_LEASE};

struct server *server_new(struct sim *s)
{
	struct server *v = sim_alloc(1, sizeof *v);

	v->hkey = (struct hash_key){s->setup.seed, 5};
	return v;
}

static void request_free(struct request *r)
{
	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	cJSON_Delete(r->json);
	free(r);
}

static void journal_free(struct journal *j)
{
	for (size_t i = 0; i < j->n; i++) {
		cJSON_Delete(j->v[i]->json);
		cluster_lease_free(j->v[i]->lease);
		free(j->v[i]);
	}
	free(j->v);
	free(j->objects);
}

void server_free(struct server *v)
{
	struct object *o, *tmp;

	if (v == NULL)
		return;
	while (v->requests != NULL)
		request_free(v->requests);
	for (unsigned k = 0; k < CLUSTER_KINDS; k++)
		journal_free(&v->journal[k]);
	HASH_ITER (hh, v->objects, o, tmp) {
		HASH_DEL(v->objects, o);
		free(o);
	}
	free(v);
}

/* A delay of a network that is mostly quick. */
static uint64_t delay_us(struct sim *s, const struct node *n)
{
	const uint64_t slow_ms = time_min(s->setup.elections.node_duration_ms / 10, 1500);

	if (n->api_slow)
		return (SLOW_MIN_MS + rng_below(&s->rng_api, slow_ms)) * SIM_MS;
	return sim_chance(&s->rng_api, 98) ? 500 + rng_below(&s->rng_api, 8 * SIM_MS)
					   : 20 * SIM_MS + rng_below(&s->rng_api, 150 * SIM_MS);
}

bool server_is_up(const struct sim *s)
{
	return !s->server->down;
}

bool server_is_reachable(const struct sim *s, const struct node *n)
{
	return !s->server->down && !n->api_cut;
}

/* -- the store -- */

struct key {
	uint8_t kind;
	char name[NAMELEN];
};

static size_t make_key(enum cluster_kind kind, const char *name, struct key *k)
{
	size_t n = strlen(name);

	REQUIRE(n < sizeof k->name);
	k->kind = (uint8_t)kind;
	memcpy(k->name, name, n);
	return n + 1;
}

static struct object *find(const struct server *v, enum cluster_kind kind, const char *name)
{
	struct object *o;
	struct key k;
	size_t n = make_key(kind, name, &k);
	unsigned hash = hash_bytes(&v->hkey, &k, n);

	/* The name alone is compared, and so the kind goes into the hash and is looked at here. */
	HASH_FIND_BYHASHVALUE(hh, v->objects, name, strlen(name), hash, o);
	REQUIRE(o == NULL || o->kind == kind);
	return o;
}

static struct object *get(struct server *v, enum cluster_kind kind, const char *name)
{
	struct object *o = find(v, kind, name);
	struct journal *j = &v->journal[kind];
	struct key k;

	if (o != NULL)
		return o;
	o = sim_alloc(1, sizeof *o);
	o->kind = kind;
	memcpy(o->name, name, strlen(name) + 1);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, v->objects, o->name, strlen(o->name),
		hash_bytes(&v->hkey, &k, make_key(kind, name, &k)), o);
	REQUIRE(!hash_oom(o));
	j->objects = sim_grow(j->objects, &j->cap_objects, j->n_objects + 1, sizeof *j->objects);
	j->objects[j->n_objects++] = o;
	return o;
}

/* A claims object is what can get big. */
static void measure(struct server *v, const cJSON *json)
{
	const cJSON *notes = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(json, "metadata"), "annotations");
	size_t bytes = 0;

	for (const cJSON *i = notes != NULL ? notes->child : NULL; i != NULL; i = i->next)
		bytes += strlen(i->string) + (i->valuestring != NULL ? strlen(i->valuestring) : 0);
	if (bytes > v->biggest)
		v->biggest = bytes;
}

static const struct change *commit(struct sim *s, struct object *o, cJSON *json, bool deleted)
{
	struct server *v = s->server;
	struct journal *j = &v->journal[o->kind];
	cJSON *meta = cJSON_GetObjectItemCaseSensitive(json, "metadata");
	struct change *c = sim_alloc(1, sizeof *c);
	char rv[32];

	(void)snprintf(rv, sizeof rv, "%lu", ++v->rv);
	cJSON_DeleteItemFromObjectCaseSensitive(meta, "resourceVersion");
	cJSON_AddStringToObject(meta, "resourceVersion", rv);
	*c = (struct change){.object = o,
		.before = o->last,
		.at_us = s->now_us,
		.place = j->n,
		.deleted = deleted,
		.json = json};
	o->rv = deleted ? 0 : v->rv;
	o->last = c;
	j->v = sim_grow(j->v, &j->cap, j->n + 1, sizeof *j->v);
	j->v[j->n++] = c;
	measure(v, json);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		for (unsigned k = 0; k < SIM_STREAMS; k++)
			if (server_kinds[k] == o->kind)
				stream_kick(s, &s->nodes[i].streams[k]);
	return c;
}

void server_put(struct sim *s, enum cluster_kind kind, const char *name, cJSON *json)
{
	(void)commit(s, get(s->server, kind, name), json, false);
}

void server_delete(struct sim *s, enum cluster_kind kind, const char *name)
{
	struct object *o = find(s->server, kind, name);

	if (o != NULL && o->rv != 0)
		(void)commit(s, o, cJSON_Duplicate(o->last->json, true), true);
}

const cJSON *server_get(const struct sim *s, enum cluster_kind kind, const char *name)
{
	const struct object *o = find(s->server, kind, name);

	return o != NULL && o->rv != 0 ? o->last->json : NULL;
}

static const struct cluster_lease *decoded(struct change *c)
{
	if (c->lease == NULL)
		c->lease = cluster_lease_decode(c->json);
	REQUIRE(c->lease != NULL);
	return c->lease;
}

const struct cluster_lease *server_lease(struct sim *s, const char *name)
{
	const struct object *o = find(s->server, CLUSTER_LEASE, name);

	return o != NULL && o->rv != 0 ? decoded(o->last) : NULL;
}

const cJSON *server_next(const struct sim *s, enum cluster_kind kind, size_t *io_i)
{
	const struct journal *j = &s->server->journal[kind];

	while (*io_i < j->n_objects) {
		const struct object *o = j->objects[(*io_i)++];

		if (o->rv != 0)
			return o->last->json;
	}
	return NULL;
}

size_t server_biggest(const struct sim *s)
{
	return s->server->biggest;
}

uint64_t server_writes(const struct sim *s)
{
	return s->server->writes;
}

/* -- faults -- */

void server_set_down(struct sim *s, bool down)
{
	s->server->down = down;
	for (unsigned i = 0; down && i < s->setup.n_nodes; i++)
		for (unsigned k = 0; k < SIM_STREAMS; k++)
			if (s->nodes[i].streams[k].connected)
				stream_close(s, &s->nodes[i].streams[k]);
}

void server_set_loss(struct sim *s, unsigned percent)
{
	s->server->loss = percent;
}

/* -- streams -- */

static void on_stream(struct sim *s, const struct event *ev);
static void on_list(struct sim *s, const struct event *ev);

static void post_stream(struct sim *s, struct stream *st, uint64_t at_us, event_fn fn, size_t place)
{
	sim_post(s, at_us, &(struct event){.fn = fn, .p = st, .a = st->session, .arg = place});
}

static void retry_open(struct sim *s, const struct event *ev)
{
	struct stream *st = ev->p;

	if (st->node->alive && !st->connected && ev->a == st->session)
		stream_open(s, st);
}

void stream_open(struct sim *s, struct stream *st)
{
	st->connected = server_is_reachable(s, st->node) && !st->frozen;
	if (!st->connected) {
		post_stream(s, st, s->now_us + RETRY_US + rng_below(&s->rng_api, RETRY_US),
			retry_open, 0);
		return;
	}
	st->posted = true; /* nothing is delivered before the list */
	st->last_us = s->now_us + 2 * SIM_MS + delay_us(s, st->node);
	post_stream(s, st, st->last_us, on_list, s->server->journal[st->kind].n);
}

void stream_close(struct sim *s, struct stream *st)
{
	st->connected = st->posted = false;
	st->session++; /* what was on its way is lost */
	if (st->synced) {
		st->synced = false;
		node_on_synced(st->node);
	}
	if (st->node->alive)
		post_stream(s, st, s->now_us + RETRY_US, retry_open, 0);
}

/* Nothing reaches a process that is stopped: it waits in a socket. */
static bool is_deaf(const struct stream *st)
{
	return !st->connected || st->frozen || st->node->stopped;
}

void stream_kick(struct sim *s, struct stream *st)
{
	const struct journal *j = &s->server->journal[st->kind];
	uint64_t at_us;

	if (st->posted || is_deaf(st) || !st->synced || st->place >= j->n)
		return;
	at_us = j->v[st->place]->at_us + delay_us(s, st->node) + st->node->watch_lag_us;
	if (at_us < s->now_us)
		at_us = s->now_us;
	if (at_us < st->last_us)
		at_us = st->last_us;
	st->last_us = at_us;
	st->posted = true;
	post_stream(s, st, at_us, on_stream, 0);
}

static void on_stream(struct sim *s, const struct event *ev)
{
	struct stream *st = ev->p;
	const struct journal *j = &s->server->journal[st->kind];

	if (ev->a != st->session)
		return;
	st->posted = false;
	if (is_deaf(st))
		return; /* kicked again when that is over */
	if (st->place > 0 && sim_chance(&s->rng_api, REPEAT_PERCENT))
		node_on_watch(st->node, st->kind, j->v[st->place - 1]);
	node_on_watch(st->node, st->kind, j->v[st->place++]);
	node_turn(st->node);
	stream_kick(s, st);
}

/* The state as it was when the journal had so many changes. */
static void deliver_list(struct stream *st, const struct journal *j, size_t place)
{
	struct cluster *c = st->node->w.cluster;

	cluster_list_begin(c, st->kind);
	for (size_t i = 0; i < j->n_objects; i++) {
		const struct change *at = j->objects[i]->last;

		while (at != NULL && at->place >= place)
			at = at->before;
		if (at != NULL && !at->deleted &&
			cluster_apply(c, st->kind, CLUSTER_PUT, at->json) != 0)
			abort();
	}
	cluster_list_end(c, st->kind);
}

static void on_list(struct sim *s, const struct event *ev)
{
	struct stream *st = ev->p;

	if (ev->a != st->session)
		return;
	st->posted = false;
	if (st->frozen || st->node->stopped) { /* it comes later */
		st->posted = true;
		post_stream(s, st, s->now_us + 50 * SIM_MS, on_list, (size_t)ev->arg);
		return;
	}
	(void)node_wake(st->node);
	deliver_list(st, &s->server->journal[st->kind], (size_t)ev->arg);
	st->place = (size_t)ev->arg;
	st->synced = true;
	node_on_list(st->node, st->kind);
	node_turn(st->node);
	stream_kick(s, st);
}

/* Older than the watch it cannot be; the watch goes on where the list ends. */
void stream_relist(struct sim *s, struct stream *st)
{
	if (!st->connected || !st->synced)
		return; /* the list that is due anyway will do */
	st->session++;
	st->posted = true;
	st->last_us = s->now_us + delay_us(s, st->node) + delay_us(s, st->node);
	post_stream(s, st, st->last_us, on_list, s->server->journal[st->kind].n);
}

/* -- requests -- */

static void on_arrive(struct sim *s, const struct event *ev);
static void on_answer(struct sim *s, const struct event *ev);

static struct request *request_new(
	struct sim *s, enum request_kind kind, const struct lease_action *a)
{
	struct request *r = sim_alloc(1, sizeof *r);

	r->kind = kind;
	r->a = *a;
	r->dies_us = s->now_us + a->timeout_ms * SIM_MS;
	r->id = a->id;
	(void)snprintf(r->name, sizeof r->name, "%s", a->name);
	(void)snprintf(
		r->rv, sizeof r->rv, "%s", a->resource_version != NULL ? a->resource_version : "");
	r->next = s->server->requests;
	r->prev = &s->server->requests;
	if (r->next != NULL)
		r->next->prev = &r->next;
	s->server->requests = r;
	return r;
}

static void post_request(struct sim *s, struct node *n, struct request *r, unsigned life,
	uint64_t at_us, event_fn fn)
{
	(void)r;
	sim_post(s, at_us, &(struct event){.fn = fn, .p = r, .a = n->index, .b = life});
}

/* It dies at its time-out, wherever it is. */
static void send_request(struct sim *s, struct node *n, struct request *r)
{
	uint64_t at_us = s->now_us + delay_us(s, n);

	if (server_is_reachable(s, n) && at_us < r->dies_us && !n->api_silent &&
		!sim_chance(&s->rng_api, s->server->loss)) {
		post_request(s, n, r, n->life, at_us, on_arrive);
		return;
	}
	r->outcome = LEASE_FAILED;
	if (n->api_silent || sim_chance(&s->rng_api, 50) || at_us > r->dies_us)
		at_us = r->dies_us; /* silence; else it is refused at once */
	post_request(s, n, r, n->life, at_us, on_answer);
}

void server_send_lease(
	struct sim *s, struct node *n, enum request_kind kind, const struct lease_action *a)
{
	struct request *r = request_new(s, kind, a);

	if (a->verb != LEASE_GET) {
		/* Every node's wall clock is wrong in its own way. */
		r->json = object_lease(a, "kube-system",
			(int64_t)((WALL_2026_S + n->index * UINT64_C(86400)) * SIM_S + s->now_us));
		REQUIRE(r->json != NULL);
		cJSON_AddStringToObject(
			cJSON_GetObjectItemCaseSensitive(r->json, "metadata"), "uid", a->name);
	}
	send_request(s, n, r);
}

void server_send_status(struct sim *s, struct node *n, const char *leader, uint64_t timeout_ms,
	const struct alloc_write *w)
{
	const struct lease_action a = {.verb = LEASE_UPDATE,
		.name = w != NULL ? w->name : "",
		.resource_version = w != NULL ? w->resource_version : NULL,
		.timeout_ms = timeout_ms,
		.id = w != NULL ? w->id : 0};
	struct request *r = request_new(s, REQUEST_STATUS, &a);

	(void)snprintf(r->leader, sizeof r->leader, "%s", leader);
	r->empty = w == NULL;
	for (size_t i = 0; w != NULL && i < w->n_ips; i++)
		r->ips[r->n_ips++] = w->ips[i];
	send_request(s, n, r);
}

static bool is_current(const struct object *o, const struct request *r)
{
	char rv[32];

	(void)snprintf(rv, sizeof rv, "%lu", o->rv);
	return strcmp(rv, r->rv) == 0;
}

static enum lease_outcome take_lease(struct sim *s, const struct node *n, struct request *r)
{
	struct object *o = get(s->server, CLUSTER_LEASE, r->name);

	if (r->a.verb == LEASE_CREATE ? o->rv != 0 : o->rv == 0)
		return r->a.verb == LEASE_CREATE ? LEASE_CONFLICT : LEASE_NOT_FOUND;
	if (r->a.verb == LEASE_UPDATE && !is_current(o, r))
		return LEASE_CONFLICT;
	if (r->a.verb != LEASE_GET) {
		(void)commit(s, o, r->json, false);
		r->json = NULL;
		s->server->writes++;
		check_on_write(s, n, r->kind, r->name);
		if (r->kind == REQUEST_LEADER)
			(void)snprintf(s->server->holder, sizeof s->server->holder, "%s",
				decoded(o->last)->holder);
	}
	r->answer = o->last;
	return LEASE_OK;
}

static cJSON *with_ingress(const cJSON *json, const struct addr *v, size_t n)
{
	cJSON *copy = cJSON_Duplicate(json, true), *list = cJSON_CreateArray();
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "ip", addr_format(v[i], text));
		cJSON_AddStringToObject(item, "ipMode", "VIP");
		cJSON_AddItemToArray(list, item);
	}
	cJSON_ReplaceItemInObjectCaseSensitive(
		cJSON_GetObjectItem(cJSON_GetObjectItem(copy, "status"), "loadBalancer"), "ingress",
		list);
	return copy;
}

static enum lease_outcome take_status(struct sim *s, const struct node *n, const struct request *r)
{
	char text[ADDR_STRLEN] = "nothing";
	struct object *o;

	if (strcmp(s->server->holder, r->leader) != 0)
		sim_fail(s, "I9", "%s wrote as leader while %s held the Lease", n->name,
			s->server->holder);
	if (r->empty)
		return LEASE_OK;
	o = get(s->server, CLUSTER_SERVICE, r->name);
	if (o->rv == 0)
		return LEASE_NOT_FOUND;
	if (!is_current(o, r))
		return LEASE_CONFLICT;
	for (size_t i = 0; i < r->n_ips; i++) {
		check_on_given(s, o->last->json, r->ips[i]);
		(void)addr_format(r->ips[i], text);
	}
	sim_trace(s, "api: %s gives %s %s", n->name, r->name, text);
	s->server->writes++;
	(void)commit(s, o, with_ingress(o->last->json, r->ips, r->n_ips), false);
	return LEASE_OK;
}

static void on_arrive(struct sim *s, const struct event *ev)
{
	static const char *const said[] = {
		"ok", "not found", "conflict", "refused", "failed", "not sent"};
	struct node *n = &s->nodes[ev->a];
	struct request *r = ev->p;
	uint64_t back_us = s->now_us + delay_us(s, n);

	if (!server_is_reachable(s, n)) {
		r->outcome = LEASE_FAILED;
	} else if (r->kind == REQUEST_STATUS) {
		r->outcome = take_status(s, n, r);
	} else {
		r->outcome = take_lease(s, n, r);
		if (r->a.verb != LEASE_GET && (r->outcome != LEASE_OK || s->setup.trace != NULL))
			sim_trace(s, "api: %s writes %s: %s", n->name, r->name, said[r->outcome]);
	}
	/* A write that succeeded and whose answer is lost. */
	if (back_us >= r->dies_us || !server_is_reachable(s, n) ||
		sim_chance(&s->rng_api, s->server->loss)) {
		back_us = back_us > r->dies_us ? back_us : r->dies_us;
		r->outcome = LEASE_FAILED;
		r->answer = NULL;
	}
	post_request(s, n, r, ev->b, back_us, on_answer);
}

static void on_answer(struct sim *s, const struct event *ev)
{
	struct node *n = &s->nodes[ev->a];
	struct request *r = ev->p;

	if (n->alive && n->life == ev->b && n->stopped) { /* it waits in a socket */
		post_request(s, n, r, ev->b, s->now_us + 50 * SIM_MS, on_answer);
		return;
	}
	if (n->alive && n->life == ev->b) {
		const struct cluster_lease *l = NULL;

		if (r->outcome == LEASE_OK && r->answer != NULL)
			l = decoded(r->answer);
		node_on_answer(n, r->kind, r->id, r->outcome, l);
	}
	request_free(r);
}
