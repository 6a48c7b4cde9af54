/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c - a seeded simulator: N nodes, each with the shipping cluster, vip, elig, elect, leader,
 * plan and alloc objects, one API server that is slow and loses answers, one LAN that loses frames.
 * No socket, no clock.
 *
 *   sim [--seeds N] [--seed START] [--verbose]
 *
 * Each seed: some minutes of faults (crashes, restarts, pauses, drains, outages and partitions of
 * the API and of the LAN, slow and frozen watches, lost answers, deleted Leases, Services and
 * endpoints that come and go), then quiet, then the invariants. At every moment: at most one
 * leader; no leader's write applied after its successor took the Lease; no address in the status of
 * two Services that may not share it. In a round of faults of the API alone (no node cut off): no
 * VIP moves. After the quiet time: each Service has an address; one announcer for each VIP that
 * some node may announce, none for the others; the published claims equal to it; only the writes
 * that renewals cost. A seed replays exactly: the hash of its trace is printed.
 *
 * In half of the seeds the leader allocates; in the others Services come with their addresses (so
 * that groups of several VIPs merge and part) and the leader's writes are empty.
 */
#include "world.h"

#include "alloc.h"
#include "claims.h"
#include "elect.h"
#include "leader.h"
#include "plan.h"

#include <inttypes.h>
#include <stdarg.h>

enum { MAX_NODES = 5, MAX_SERVICES = 12, MAX_OBJECTS = 64, BURST = 6, SPIN = 200 };

static const unsigned burst_ms[BURST] = {0, 100, 400, 800, 2000, 5000};

/* -- the API server's state -- */

struct object {
	enum cluster_kind kind;
	char name[64];
	unsigned long rv; /* 0 = does not exist */
	cJSON *json;      /* owned by the journal */
};

/* Every change, in order: what watches deliver. */
struct entry {
	size_t object;
	bool deleted;
	cJSON *json; /* owned */
};

enum event_kind {
	EV_WAKE,    /* a node's own timer */
	EV_WATCH,   /* the next journal entry reaches a node */
	EV_LIST,    /* a node's lists are complete up to a place in the journal */
	EV_ASK,     /* a new leader's request for a fresh list of Services reaches the server */
	EV_RELIST,  /* ... and its answer the node */
	EV_ARRIVE,  /* a request reaches the server */
	EV_ANSWER,  /* an answer, or a time-out, reaches a node */
	EV_FRAME,   /* a frame reaches a node */
	EV_BURST,   /* a node repeats its announcement */
	EV_FAULT,   /* something goes wrong */
	EV_MEND,    /* ... and is over */
	EV_RESUME,  /* a stopped process goes on */
	EV_RESTART, /* a dead process is started */
};

/* A request on its way, and what it wrote. */
struct request {
	bool leaders, status; /* of leader.c; a write that only a leader makes */
	struct lease_action a;
	char rv[32], uid[32], name[64];
	cJSON *json;              /* what to write; NULL for GET; owned */
	struct alloc_write write; /* of a status; its id is 0 when it is empty */
};

struct event {
	uint64_t at, order;
	enum event_kind kind;
	unsigned node, life, session; /* of which process, of which watch of it */
	uint64_t arg;
	enum elect_wire wire;
	struct addr vip;
	uint8_t mac[6];
	struct request *req; /* owned */
	enum lease_outcome outcome;
	cJSON *json; /* owned */
};

struct announced {
	struct addr vip;
	uint64_t since;
};

struct node {
	unsigned index;
	char name[16], identity[32], candidate[32];
	bool alive, stopped, exiting;
	unsigned life, session;
	struct world w;
	struct elect *elect;
	struct leader *leader;
	struct plan *plan;
	uint64_t nodes_generation;
	uint64_t wake_at, wake_order;
	/* watch */
	bool connected, synced;
	size_t place;           /* in the journal */
	size_t services_place;  /* Services are known up to here by a list of their own */
	uint64_t last_delivery; /* watch events stay in order */
	/* what it announces */
	struct announced ann[MAX_SERVICES * 2];
	size_t n_ann;
	/* the leader's writes */
	struct alloc *alloc;
	uint64_t term;
	bool adopting, listed;
	uint64_t next_status;
	unsigned status_in_flight;
	/* faults that stand */
	bool api_cut, watch_frozen, slow;
	uint64_t exit_by, undrain_at;
	unsigned spins;
	uint64_t spin_at;
	unsigned long writes;
};

struct service {
	char name[16];
	char ip[20], second[24]; /* ",'IP'"; "" = none */
	char share[8];
	bool exists, local;
	char endpoints[64];
};

static struct sim {
	uint64_t seed, now, order, trace;
	struct rng rng;
	bool verbose, quiet; /* no more faults */
	bool allocates;      /* the leader gives the addresses */
	bool api_only;       /* only faults that must not move any VIP (OWNERSHIP I4) */
	const char *failure;
	char failure_text[256];
	struct node nodes[MAX_NODES];
	unsigned n_nodes;
	struct service services[MAX_SERVICES];
	unsigned n_services;
	struct object objects[MAX_OBJECTS];
	size_t n_objects;
	struct entry *journal;
	size_t n_journal, cap_journal;
	unsigned long rv;
	struct event *heap;
	size_t n_heap, cap_heap;
	bool api_down;
	bool lan_cut[MAX_NODES][MAX_NODES];
	unsigned loss; /* percent, of frames and answers */
	uint64_t faults_end;
	struct config_elections el;
	char lease_holder[32]; /* of lbd-leader, as the server has it */
	uint64_t changes;      /* of announcers */
	uint64_t last_change;
	uint64_t events;
	struct cluster *scratch;
} S;

static uint64_t below(uint64_t n)
{
	return rng_below(&S.rng, n);
}

static bool chance(unsigned percent)
{
	return below(100) < percent;
}

static void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void trace(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (int i = 0; i < n && line[i] != '\0'; i++)
		S.trace = (S.trace ^ (uint8_t)line[i]) * 0x100000001b3u; /* FNV-1a */
	S.trace = (S.trace ^ S.now) * 0x100000001b3u;
	if (S.verbose)
		printf("%8.3f %s\n", (double)S.now / 1000, line);
}

static void fail(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(const char *what, const char *fmt, ...)
{
	va_list ap;

	if (S.failure != NULL)
		return;
	S.failure = what;
	va_start(ap, fmt);
	(void)vsnprintf(S.failure_text, sizeof S.failure_text, fmt, ap);
	va_end(ap);
	trace("FAILED: %s: %s", what, S.failure_text);
}

/* -- the event queue -- */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static uint64_t post(struct event ev)
{
	size_t i = S.n_heap;

	ev.order = ++S.order;
	if (S.n_heap == S.cap_heap) {
		S.cap_heap = S.cap_heap != 0 ? 2 * S.cap_heap : 256;
		S.heap = realloc(S.heap, S.cap_heap * sizeof *S.heap);
		if (S.heap == NULL)
			abort();
	}
	S.n_heap++;
	for (; i > 0 && earlier(&ev, &S.heap[(i - 1) / 2]); i = (i - 1) / 2)
		S.heap[i] = S.heap[(i - 1) / 2];
	S.heap[i] = ev;
	return ev.order;
}

static struct event pop(void)
{
	struct event top = S.heap[0], last = S.heap[--S.n_heap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < S.n_heap) {
		if (child + 1 < S.n_heap && earlier(&S.heap[child + 1], &S.heap[child]))
			child++;
		if (!earlier(&S.heap[child], &last))
			break;
		S.heap[i] = S.heap[child];
		i = child;
	}
	S.heap[i] = last;
	return top;
}

/* A delay of a network that is mostly quick. */
static uint64_t delay(const struct node *n)
{
	if (n->slow)
		return 20 + below(time_min(S.el.node_duration_ms / 10, 1500));
	return chance(98) ? 1 + below(8) : 20 + below(150);
}

/* -- the server -- */

static size_t object_named(enum cluster_kind kind, const char *name)
{
	for (size_t i = 0; i < S.n_objects; i++)
		if (S.objects[i].kind == kind && strcmp(S.objects[i].name, name) == 0)
			return i;
	if (S.n_objects == MAX_OBJECTS)
		abort();
	S.objects[S.n_objects].kind = kind;
	(void)snprintf(S.objects[S.n_objects].name, sizeof S.objects[0].name, "%s", name);
	return S.n_objects++;
}

static void deliver_to(struct node *n)
{
	uint64_t at;

	if (!n->alive || !n->connected || n->watch_frozen)
		return;
	at = S.now + delay(n);
	if (at < n->last_delivery)
		at = n->last_delivery;
	n->last_delivery = at;
	(void)post((struct event){.at = at,
		.kind = EV_WATCH,
		.node = n->index,
		.life = n->life,
		.session = n->session});
	if (chance(3)) /* once more: a watch may repeat itself after a reconnect */
		(void)post((struct event){.at = at + 1,
			.kind = EV_WATCH,
			.node = n->index,
			.life = n->life,
			.session = n->session,
			.arg = 1});
}

/* Takes json over. */
static void server_put(enum cluster_kind kind, const char *name, cJSON *json, bool deleted)
{
	size_t i = object_named(kind, name);
	struct object *o = &S.objects[i];
	char rv[32];

	(void)snprintf(rv, sizeof rv, "%lu", ++S.rv);
	cJSON_DeleteItemFromObjectCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(json, "metadata"), "resourceVersion");
	cJSON_AddStringToObject(
		cJSON_GetObjectItemCaseSensitive(json, "metadata"), "resourceVersion", rv);
	o->rv = deleted ? 0 : S.rv;
	o->json = json;
	if (S.n_journal == S.cap_journal) {
		S.cap_journal = S.cap_journal != 0 ? 2 * S.cap_journal : 256;
		S.journal = realloc(S.journal, S.cap_journal * sizeof *S.journal);
		if (S.journal == NULL)
			abort();
	}
	S.journal[S.n_journal++] = (struct entry){.object = i, .deleted = deleted, .json = json};
	for (unsigned k = 0; k < S.n_nodes; k++)
		deliver_to(&S.nodes[k]);
}

static void server_delete(enum cluster_kind kind, const char *name)
{
	struct object *o = &S.objects[object_named(kind, name)];

	if (o->rv != 0)
		server_put(kind, name, cJSON_Duplicate(o->json, true), true);
}

static cJSON *lease_json(const struct node *n, const struct lease_action *a)
{
	static const char *const roles[] = {"leader", "node", "claims"};
	cJSON *o = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(o, "metadata");
	cJSON *notes = cJSON_AddObjectToObject(meta, "annotations"),
	      *spec = cJSON_AddObjectToObject(o, "spec");
	char when[48];

	cJSON_AddStringToObject(meta, "namespace", "kube-system");
	cJSON_AddStringToObject(meta, "name", a->name);
	cJSON_AddStringToObject(meta, "uid", a->name);
	cJSON_AddStringToObject(
		cJSON_AddObjectToObject(meta, "labels"), "lbd.io/lease", roles[a->role]);
	for (size_t i = 0; i < a->n_annotations; i++)
		cJSON_AddStringToObject(notes, a->annotations[i].key, a->annotations[i].value);
	cJSON_AddStringToObject(spec, "holderIdentity", a->holder);
	if (a->duration_ms > 0)
		cJSON_AddNumberToObject(
			spec, "leaseDurationSeconds", (double)(a->duration_ms / 1000));
	/* Every node's wall clock is wrong in its own way. */
	(void)snprintf(when, sizeof when, "2026-%02u-01T00:%02u:%02u.%06uZ", 1 + n->index * 2,
		(unsigned)(S.now / 60000 % 60), (unsigned)(S.now / 1000 % 60),
		(unsigned)(S.now % 1000 * 1000));
	if (a->has_renew_time)
		cJSON_AddStringToObject(spec, "renewTime", when);
	if (a->set_acquire_time || a->acquire_time != NULL)
		cJSON_AddStringToObject(
			spec, "acquireTime", a->set_acquire_time ? when : a->acquire_time);
	if (a->transitions >= 0)
		cJSON_AddNumberToObject(spec, "leaseTransitions", (double)a->transitions);
	return o;
}

static enum lease_outcome server_take(struct node *n, struct request *r, cJSON **ret_json)
{
	struct object *o = &S.objects[object_named(CLUSTER_LEASE, r->name)];
	char rv[32];

	(void)snprintf(rv, sizeof rv, "%lu", o->rv);
	if (r->a.verb == LEASE_CREATE ? o->rv != 0 : o->rv == 0)
		return r->a.verb == LEASE_CREATE ? LEASE_CONFLICT : LEASE_NOT_FOUND;
	if (r->a.verb == LEASE_UPDATE && strcmp(rv, r->rv) != 0)
		return LEASE_CONFLICT;
	if (r->a.verb != LEASE_GET) {
		if (r->leaders)
			(void)snprintf(S.lease_holder, sizeof S.lease_holder, "%s",
				cJSON_GetStringValue(cJSON_GetObjectItem(
					cJSON_GetObjectItem(r->json, "spec"), "holderIdentity")));
		server_put(CLUSTER_LEASE, r->name, r->json, false);
		r->json = NULL;
		n->writes++;
	}
	*ret_json = cJSON_Duplicate(o->json, true);
	return LEASE_OK;
}

/* Is the address in the status of o? */
static bool status_has(const struct object *o, struct addr ip)
{
	const cJSON *lb = cJSON_GetObjectItem(
			    cJSON_GetObjectItem(o->json, "status"), "loadBalancer"),
		    *i;

	cJSON_ArrayForEach (i, cJSON_GetObjectItem(lb, "ingress"))
		if (addr_eq(world_ip(cJSON_GetStringValue(cJSON_GetObjectItem(i, "ip"))), ip))
			return true;
	return false;
}

static const char *sharing_key(const struct object *o)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(
		cJSON_GetObjectItem(cJSON_GetObjectItem(o->json, "metadata"), "annotations"),
		"lbd.io/allow-shared-ip"));
}

/* I8: no address in two Services that may not share it. */
static void check_doubles(const struct object *o, struct addr ip)
{
	for (size_t i = 0; i < S.n_objects; i++) {
		const struct object *x = &S.objects[i];

		if (x == o || x->kind != CLUSTER_SERVICE || x->rv == 0 || !status_has(x, ip))
			continue;
		if (sharing_key(x) == NULL || sharing_key(o) == NULL)
			fail("double", "%s is given an address of %s", o->name, x->name);
	}
}

static enum lease_outcome server_status(const struct node *n, const struct request *r)
{
	struct object *o = &S.objects[object_named(CLUSTER_SERVICE, r->name)];
	const struct alloc_write *w = &r->write;
	char rv[32], text[ADDR_STRLEN];
	cJSON *json, *list, *item;

	/* I9: no write of a leader is applied after its successor holds the Lease. */
	if (strcmp(S.lease_holder, r->uid) != 0)
		fail("late write", "%s wrote as leader while %s held the Lease", n->name,
			S.lease_holder);
	if (w->id == 0)
		return LEASE_OK;
	(void)snprintf(rv, sizeof rv, "%lu", o->rv);
	if (o->rv == 0)
		return LEASE_NOT_FOUND;
	if (strcmp(rv, r->rv) != 0)
		return LEASE_CONFLICT;
	json = cJSON_Duplicate(o->json, true);
	list = cJSON_CreateArray();
	for (size_t i = 0; i < w->n_ips; i++) {
		check_doubles(o, w->ips[i]);
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "ip", addr_format(w->ips[i], text));
		cJSON_AddStringToObject(item, "ipMode", "VIP");
		cJSON_AddItemToArray(list, item);
	}
	trace("api: %s gives %s %s", n->name, r->name, w->n_ips > 0 ? text : "nothing");
	cJSON_ReplaceItemInObjectCaseSensitive(
		cJSON_GetObjectItem(cJSON_GetObjectItem(json, "status"), "loadBalancer"), "ingress",
		list);
	server_put(CLUSTER_SERVICE, r->name, json, false);
	return LEASE_OK;
}

static void request_free(struct request *r)
{
	if (r != NULL)
		cJSON_Delete(r->json);
	free(r);
}

static bool api_reachable(const struct node *n)
{
	return !S.api_down && !n->api_cut;
}

/* Sends it; it dies at its time-out, wherever it is. */
static void send_request(struct node *n, struct request *r)
{
	uint64_t dies = S.now + r->a.timeout_ms, at = S.now + delay(n);
	struct event ev = {.kind = EV_ARRIVE,
		.at = at,
		.node = n->index,
		.life = n->life,
		.req = r,
		.arg = dies};

	if (!api_reachable(n) || at >= dies || chance(S.quiet ? 0 : S.loss / 3)) {
		ev.kind = EV_ANSWER;
		ev.at = chance(50) ? dies : at < dies ? at : dies; /* refused at once, or silence */
		ev.outcome = LEASE_FAILED;
	}
	(void)post(ev);
}

static void on_arrive(struct event *ev)
{
	struct node *n = &S.nodes[ev->node];
	struct request *r = ev->req;
	struct event back = {.kind = EV_ANSWER, .node = ev->node, .life = ev->life, .req = r};

	ev->req = NULL;
	back.at = S.now + delay(n);
	if (!api_reachable(n)) {
		back.outcome = LEASE_FAILED;
	} else if (r->status) {
		back.outcome = server_status(n, r);
	} else {
		back.outcome = server_take(n, r, &back.json);
		if (r->a.verb != LEASE_GET)
			trace("api: %s %s -> %d", n->name, r->name, (int)back.outcome);
	}
	/* A write that succeeded and whose answer is lost. */
	if (back.at >= ev->arg || !api_reachable(n) || chance(S.quiet ? 0 : S.loss / 3)) {
		back.at = back.at > ev->arg ? back.at : ev->arg;
		back.outcome = LEASE_FAILED;
		cJSON_Delete(back.json);
		back.json = NULL;
	}
	(void)post(back);
}

/* -- the LAN -- */

static void mac_of(const struct node *n, uint8_t mac[6])
{
	const uint8_t m[6] = {2, 0, 0, 0, (uint8_t)(n->index + 1), 2};

	memcpy(mac, m, 6);
}

static void frame(struct node *from, struct node *to, enum elect_wire what, struct addr vip)
{
	struct event ev = {
		.kind = EV_FRAME, .node = to->index, .life = to->life, .wire = what, .vip = vip};

	if (from == to || !to->alive || to->stopped || S.lan_cut[from->index][to->index] ||
		chance(S.loss))
		return;
	ev.at = S.now + below(3);
	mac_of(from, ev.mac);
	(void)post(ev);
}

static void broadcast(struct node *from, enum elect_wire what, struct addr vip)
{
	for (unsigned i = 0; i < S.n_nodes; i++)
		frame(from, &S.nodes[i], what, vip);
}

static struct announced *announced(struct node *n, struct addr vip)
{
	for (size_t i = 0; i < n->n_ann; i++)
		if (addr_eq(n->ann[i].vip, vip))
			return &n->ann[i];
	return NULL;
}

static void announce(struct node *n, struct addr vip, bool on)
{
	struct announced *a = announced(n, vip);
	char text[ADDR_STRLEN];

	if (on == (a != NULL))
		return;
	trace("%s %s %s", n->name, on ? "announces" : "drops", addr_format(vip, text));
	S.changes++;
	S.last_change = S.now;
	if (!on) {
		*a = n->ann[--n->n_ann];
		return;
	}
	if (n->n_ann == ARRAY_LEN(n->ann))
		abort();
	n->ann[n->n_ann++] = (struct announced){vip, S.now};
	for (unsigned i = 0; i < BURST; i++)
		(void)post((struct event){.at = S.now + burst_ms[i],
			.kind = EV_BURST,
			.node = n->index,
			.life = n->life,
			.vip = vip,
			.arg = S.now});
}

static void on_frame(struct event *ev)
{
	struct node *n = &S.nodes[ev->node];

	if (n->stopped)
		return;
	/* Whoever announces it answers a probe. */
	if (ev->wire == ELECT_WIRE_PROBE && announced(n, ev->vip) != NULL)
		for (unsigned i = 0; i < S.n_nodes; i++) {
			uint8_t mac[6];

			mac_of(&S.nodes[i], mac);
			if (memcmp(mac, ev->mac, 6) == 0)
				frame(n, &S.nodes[i], ELECT_WIRE_ANSWER, ev->vip);
		}
	elect_on_wire(n->elect, ev->wire, ev->vip, ev->mac, S.now);
}

static void op_probe(void *ctx, const struct vip_group *g)
{
	for (size_t i = 0; i < g->n_vips; i++)
		broadcast(ctx, ELECT_WIRE_PROBE, vip_member(g, i)->addr);
}

static void op_announce(void *ctx, const struct vip_group *g)
{
	for (size_t i = 0; i < g->n_vips; i++)
		broadcast(ctx, ELECT_WIRE_CLAIM, vip_member(g, i)->addr);
}

/* No BFD here: nobody is ever UP or SILENT. */
static void op_ask(void *ctx, const struct vip_group *g, const uint8_t mac[6])
{
	(void)mac;
	op_probe(ctx, g);
}

static bool op_ask_witness(void *ctx, unsigned ifindex, const char *suspect)
{
	(void)ctx;
	(void)ifindex;
	(void)suspect;
	return true;
}

static bool op_witnessed(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	(void)ctx;
	(void)ifindex;
	(void)suspect;
	(void)since_ms;
	return false;
}

static bool op_watches(void *ctx, unsigned ifindex, const char *node, const char *owner)
{
	(void)ctx;
	(void)ifindex;
	(void)node;
	(void)owner;
	return false;
}

static void op_forgot(void *ctx, const char *node)
{
	(void)ctx;
	(void)node;
}

static const struct elect_ops ops = {
	op_probe, op_announce, op_ask, op_ask_witness, op_witnessed, op_watches, op_forgot};

/* -- one node -- */

static void on_lease(void *ctx, const struct cluster_lease *l, bool deleted)
{
	struct node *n = ctx;

	if (l->role == CLUSTER_LEASE_LEADER)
		leader_on_lease(n->leader, deleted ? NULL : l, S.now);
	else
		elect_on_lease(n->elect, l, deleted, S.now);
}

static void wake_at(struct node *n, uint64_t at)
{
	n->wake_at = at;
	if (at != TIME_NEVER)
		n->wake_order = post((struct event){
			.at = at, .kind = EV_WAKE, .node = n->index, .life = n->life});
}

static void set_synced(struct node *n, bool synced)
{
	n->synced = synced;
	leader_on_synced(n->leader, synced, S.now);
	elect_on_synced(n->elect, synced, S.now);
}

static void open_watch(struct node *n)
{
	n->connected = api_reachable(n) && !n->watch_frozen;
	if (!n->connected)
		return;
	n->last_delivery = S.now + 5 + delay(n);
	(void)post((struct event){.at = n->last_delivery,
		.kind = EV_LIST,
		.node = n->index,
		.life = n->life,
		.session = n->session,
		.arg = S.n_journal});
}

/* The node learns of it when its watch ends. */
static void disconnect(struct node *n)
{
	n->connected = false;
	n->session++; /* what was on its way to it is lost */
	if (n->alive) {
		set_synced(n, false);
		wake_at(n, S.now);
	}
}

/* A full list of one kind, as the journal was at a place. */
static void take_list(struct node *n, enum cluster_kind kind, size_t place)
{
	const struct entry *last[MAX_OBJECTS] = {NULL};

	for (size_t i = 0; i < place; i++)
		last[S.journal[i].object] = &S.journal[i];
	cluster_list_begin(n->w.cluster, kind);
	for (size_t i = 0; i < S.n_objects; i++)
		if (S.objects[i].kind == kind && last[i] != NULL && !last[i]->deleted &&
			cluster_apply(n->w.cluster, kind, CLUSTER_PUT, last[i]->json) != 0)
			abort();
	cluster_list_end(n->w.cluster, kind);
}

static void on_list(struct node *n, size_t place)
{
	for (enum cluster_kind k = 0; k < CLUSTER_KINDS; k++)
		if (k != CLUSTER_SERVICE || place > n->services_place)
			take_list(n, k, place);
	n->place = place;
	set_synced(n, true);
	for (size_t i = place; i < S.n_journal; i++)
		deliver_to(n);
}

static void on_watch(struct node *n, bool again)
{
	const struct entry *e;

	if (again && n->place > 0)
		n->place--;
	if (n->place >= S.n_journal)
		return;
	e = &S.journal[n->place++];
	if (S.objects[e->object].kind == CLUSTER_SERVICE && n->place <= n->services_place)
		return; /* the newer list says it all */
	if (cluster_apply(n->w.cluster, S.objects[e->object].kind,
		    e->deleted ? CLUSTER_DELETE : CLUSTER_PUT, e->json) != 0)
		abort();
}

static void node_start(struct node *n)
{
	struct elect_conf ec = {.node = n->name, .identity = n->identity, .version = "sim"};
	struct leader_conf lc = {.identity = n->candidate,
		.duration_ms = S.el.leader_duration_ms,
		.renew_deadline_ms = S.el.leader_renew_deadline_ms,
		.retry_period_ms = S.el.leader_retry_period_ms};

	n->alive = true;
	n->stopped = n->exiting = false;
	n->life++;
	n->exit_by = n->undrain_at = n->next_status = 0;
	n->status_in_flight = 0;
	n->nodes_generation = 0;
	n->place = n->services_place = 0;
	n->term = 0;
	n->adopting = n->listed = false;
	(void)snprintf(n->identity, sizeof n->identity, "n%u/boot/%u", n->index + 1, n->life);
	(void)snprintf(n->candidate, sizeof n->candidate, "n%u_%u", n->index + 1, n->life);
	world_open(&n->w, n->name);
	n->w.conf.elections = S.el;
	if (S.allocates) { /* few addresses, so that they are used again */
		n->w.ranges[0] = world_range("10.0.0.100-10.0.0.125");
		n->w.pools[0].reuse_delay_ms = 2000;
	}
	world_link(&n->w, 2, "eth0", n->index + 1, true);
	world_addr(&n->w, 2, "10.0.0.1/24");
	n->elect = elect_new(&ec, &ops, n, &n->w.hkey, &S.rng, NULL);
	n->leader = leader_new(&lc, &S.rng, NULL);
	n->plan = plan_new(&n->w.hkey);
	n->alloc = alloc_new(&n->w.hkey, NULL);
	if (n->elect == NULL || n->leader == NULL || n->plan == NULL || n->alloc == NULL ||
		alloc_configure(n->alloc, &n->w.conf, S.now) != 0)
		abort();
	alloc_begin(n->alloc);
	cluster_on_lease(n->w.cluster, on_lease, n);
	elect_set_input(n->elect, &n->w.in, S.now);
	open_watch(n);
	wake_at(n, S.now);
	trace("%s starts as %s", n->name, n->identity);
}

static void node_stop(struct node *n, const char *how)
{
	trace("%s %s", n->name, how);
	while (n->n_ann > 0)
		announce(n, n->ann[0].vip, false);
	n->alive = n->connected = n->synced = n->exiting = false;
	n->life++;
	elect_free(n->elect);
	leader_free(n->leader);
	plan_free(n->plan);
	alloc_free(n->alloc);
	world_close(&n->w);
}

static struct request *request_new(const struct lease_action *a)
{
	struct request *r = calloc(1, sizeof *r);

	if (r == NULL)
		abort();
	r->a = *a;
	(void)snprintf(
		r->rv, sizeof r->rv, "%s", a->resource_version != NULL ? a->resource_version : "");
	(void)snprintf(r->name, sizeof r->name, "%s", a->name);
	return r;
}

/* What only a leader may do; the shell's part of the promise is to check the deadline as it sends.
 */
static void send_status(struct node *n, const char *name, const struct alloc_write *w)
{
	const struct lease_action a = {.verb = LEASE_UPDATE,
		.name = name,
		.resource_version = w != NULL ? w->resource_version : NULL,
		.timeout_ms = (S.el.leader_duration_ms - S.el.leader_renew_deadline_ms) * 4 / 5};
	struct request *r = request_new(&a);

	r->status = true;
	(void)snprintf(r->uid, sizeof r->uid, "%s", n->candidate);
	if (w != NULL)
		r->write = *w;
	n->status_in_flight++;
	send_request(n, r);
}

static bool may_write(const struct node *n)
{
	return leader_is_leader(n->leader, S.now) && S.now < leader_deadline(n->leader);
}

static void write_status(struct node *n)
{
	struct alloc_write w;
	struct alloc_result result;

	while (alloc_next_result(n->alloc, &result))
		trace("%s: %s: %s", n->name, result.key, reason_code(result.reason));
	while (S.allocates && may_write(n) && alloc_next_write(n->alloc, S.now, &w))
		send_status(n, w.name, &w);
	if (S.allocates || !may_write(n) || S.now < n->next_status)
		return;
	n->next_status = S.now + 50 + below(400);
	send_status(n, "", NULL);
}

/* A new leader lists consistently, adopts what it finds, and only then gives (DESIGN section 3). */
static void follow_leadership(struct node *n)
{
	bool is = leader_is_leader(n->leader, S.now);

	if (is ? n->term == leader_term(n->leader) : n->term == 0)
		return;
	n->term = is ? leader_term(n->leader) : 0;
	trace("%s %s", n->name, is ? "leads" : "leads no more");
	alloc_begin(n->alloc);
	n->adopting = is;
	n->listed = false;
	if (is)
		(void)post((struct event){.at = S.now + delay(n),
			.kind = EV_ASK,
			.node = n->index,
			.life = n->life,
			.arg = n->term});
}

static void adopt(struct node *n)
{
	struct cluster_service s = {0};

	if (!n->adopting || !n->listed)
		return;
	alloc_begin(n->alloc);
	while (cluster_next_service(n->w.cluster, &s))
		if (alloc_put(n->alloc, &s, S.now) != 0)
			abort();
	alloc_adopted(n->alloc, S.now);
	n->adopting = false;
}

static void take_services(struct node *n)
{
	bool ready = n->term != 0 && alloc_is_ready(n->alloc);

	for (size_t i = 0; ready && i < cluster_dirty_count(n->w.cluster); i++) {
		struct cluster_dirty d = cluster_dirty_at(n->w.cluster, i);
		struct cluster_service s;

		if (!cluster_service(n->w.cluster, d.key, &s))
			alloc_delete(n->alloc, d.key, S.now);
		else if (alloc_put(n->alloc, &s, S.now) != 0)
			abort();
	}
	world_vips(&n->w);
}

/* The server answers with what there is; asked for again when it is lost. */
static void on_ask(struct event *ev)
{
	struct node *n = &S.nodes[ev->node];
	struct event back = *ev;

	back.at = S.now + delay(n);
	back.kind = api_reachable(n) ? EV_RELIST : EV_ASK;
	if (back.kind == EV_RELIST)
		back.session = (unsigned)S.n_journal;
	else
		back.at += 500;
	if (n->alive && n->life == ev->life)
		(void)post(back);
}

static void on_relist(struct node *n, const struct event *ev)
{
	if (n->term != ev->arg)
		return;
	if (ev->session > n->place) {
		take_list(n, CLUSTER_SERVICE, ev->session);
		n->services_place = ev->session;
	}
	n->listed = true;
}

static void write_leases(struct node *n)
{
	struct lease_action a;
	struct request *r;

	for (unsigned i = 0; i < 2; i++)
		while (i == 0 ? leader_next_action(n->leader, S.now, &a)
			      : elect_next_action(n->elect, S.now, &a)) {
			r = request_new(&a);
			r->leaders = i == 0;
			r->json = a.verb != LEASE_GET ? lease_json(n, &a) : NULL;
			if (S.now > a.not_after_ms)
				fail("not_after", "%s asks for a write in the past", n->name);
			send_request(n, r);
		}
}

static enum alloc_outcome status_outcome(enum lease_outcome outcome)
{
	switch (outcome) {
	case LEASE_OK:
		return ALLOC_WRITE_OK;
	case LEASE_CONFLICT:
		return ALLOC_WRITE_CONFLICT;
	case LEASE_NOT_FOUND:
		return ALLOC_WRITE_GONE;
	case LEASE_NOT_SENT:
		return ALLOC_WRITE_NOT_SENT;
	case LEASE_REFUSED:
	case LEASE_FAILED:
		break;
	}
	return ALLOC_WRITE_FAILED;
}

static void on_answer(struct event *ev)
{
	struct node *n = &S.nodes[ev->node];
	const struct cluster_lease *l = NULL;
	struct request *r = ev->req;

	if (ev->json != NULL) {
		if (cluster_apply(S.scratch, CLUSTER_LEASE, CLUSTER_PUT, ev->json) != 0)
			abort();
		l = cluster_lease(S.scratch, r->name);
	}
	if (r->status) {
		n->status_in_flight--;
		if (r->write.id != 0)
			alloc_write_done(n->alloc, r->write.id, status_outcome(ev->outcome), S.now);
	} else if (r->leaders)
		leader_done(n->leader, r->a.id, ev->outcome, l, S.now);
	else
		elect_done(n->elect, r->a.id, ev->outcome, l, S.now);
}

static void update_plan(struct node *n)
{
	const struct plan_input in = {.vips = n->w.vips, .elect = n->elect};
	int err = 0;

	for (size_t i = 0; i < vip_dirty_count(n->w.vips); i++)
		err |= plan_update(n->plan, &in, vip_dirty_at(n->w.vips, i));
	for (size_t i = 0; i < elect_dirty_count(n->elect); i++)
		err |= plan_update(n->plan, &in, elect_dirty_at(n->elect, i));
	if (err != 0)
		abort();
	for (size_t i = 0; i < plan_change_count(n->plan); i++) {
		struct plan_change c = plan_change_at(n->plan, i);

		announce(n, (c.is != NULL ? c.is : c.was)->vip, c.is != NULL && c.is->announced);
	}
	vip_clean(n->w.vips);
	elect_clean(n->elect);
	plan_clean(n->plan);
}

static void step_exit(struct node *n)
{
	if (n->undrain_at != 0 && S.now >= n->undrain_at) {
		n->undrain_at = 0;
		elect_drain(n->elect, NULL, 0, S.now);
	}
	if (!n->exiting)
		return;
	if ((elect_drained(n->elect, S.now) || S.now >= n->exit_by) && n->status_in_flight == 0) {
		elect_release(n->elect, S.now);
		leader_release(n->leader, S.now);
	}
	if (leader_released(n->leader) && elect_released(n->elect)) {
		(void)post((struct event){
			.at = S.now + 100 + below(15000), .kind = EV_RESTART, .node = n->index});
		node_stop(n, "exits");
	}
}

/* One pass, as the daemon's. */
static void run(struct node *n)
{
	uint64_t next;

	if (!n->alive || n->stopped)
		return;
	if (n->spin_at != S.now)
		n->spins = 0;
	n->spin_at = S.now;
	if (++n->spins > SPIN)
		fail("spinning", "%s asks to be called again and again", n->name);
	adopt(n);
	take_services(n);
	if (n->nodes_generation != cluster_nodes_generation(n->w.cluster)) {
		n->nodes_generation = cluster_nodes_generation(n->w.cluster);
		elect_set_input(n->elect, &n->w.in, S.now);
	}
	elect_pass(n->elect, S.now);
	update_plan(n);
	follow_leadership(n);
	write_status(n);
	write_leases(n);
	step_exit(n);
	if (!n->alive)
		return;
	next = time_min(elect_next_deadline(n->elect), leader_next_deadline(n->leader));
	if (may_write(n) && !S.allocates)
		next = time_min(next, n->next_status > S.now ? n->next_status : S.now + 1);
	if (may_write(n) && S.allocates && alloc_is_ready(n->alloc))
		next = time_min(next, alloc_next_deadline(n->alloc));
	if (n->undrain_at != 0)
		next = time_min(next, n->undrain_at);
	if (n->exiting)
		next = time_min(next, n->exit_by > S.now ? n->exit_by : S.now + 50);
	wake_at(n, next > S.now ? next : S.now);
}

/* I9, from the nodes' side: at every moment at most one believes that it may write. */
static void check_leaders(void)
{
	const struct node *first = NULL;

	for (unsigned i = 0; i < S.n_nodes; i++) {
		const struct node *n = &S.nodes[i];

		if (!n->alive || n->stopped || !leader_is_leader(n->leader, S.now))
			continue;
		if (first != NULL)
			fail("two leaders", "%s and %s", first->name, n->name);
		first = n;
	}
}

/* -- the world's doings -- */

static void put_service(struct service *s)
{
	char share[128] = "", spec[128], ip[64];

	if (s->share[0] != '\0')
		(void)snprintf(share, sizeof share,
			"'lbd.io/allow-shared-ip':'%s','lbd.io/loadBalancerIPs':'%s'", s->share,
			s->ip);
	(void)snprintf(spec, sizeof spec, ",'ports':[{'port':%u,'protocol':'TCP'}]%s",
		1000 + (unsigned)(s - S.services),
		s->local ? ",'externalTrafficPolicy':'Local'" : "");
	(void)snprintf(ip, sizeof ip, "'%s'%s", s->ip, s->second);
	if (S.allocates)
		ip[0] = '\0';
	s->exists = true;
	server_put(
		CLUSTER_SERVICE, s->name, world_service_json(0, s->name, ip, share, spec), false);
}

static void put_endpoints(struct service *s)
{
	char list[512] = "";
	size_t k = 0, at = 0;

	s->endpoints[0] = '\0';
	for (unsigned i = 0; i < S.n_nodes; i++)
		if (chance(s->local ? 50 : 80)) {
			at += (size_t)snprintf(s->endpoints + at, sizeof s->endpoints - at, "%s",
				S.nodes[i].name);
			REQUIRE(at < sizeof s->endpoints);
			k += (size_t)snprintf(list + k, sizeof list - k,
				"%s{'addresses':['10.42.0.%u'],'nodeName':'%s','conditions':{'"
				"ready':true}}",
				k > 0 ? "," : "", i + 1, S.nodes[i].name);
		}
	server_put(CLUSTER_ENDPOINT_SLICE, s->name,
		world_json("{'metadata':{'namespace':'default','name':'%s-1','uid':'s-%s',"
			   "'labels':{'kubernetes.io/"
			   "service-name':'%s'}},'addressType':'IPv4','endpoints':[%s]}",
			s->name, s->name, s->name, list),
		false);
}

static void put_node(unsigned i, bool excluded)
{
	server_put(CLUSTER_NODE, S.nodes[i].name,
		world_json("{'metadata':{'name':'%s','uid':'n%u','labels':{%s}}}", S.nodes[i].name,
			i,
			excluded ? "'node.kubernetes.io/exclude-from-external-load-balancers':''"
				 : ""),
		false);
}

static void change_service(void)
{
	struct service *s = &S.services[below(S.n_services)];

	if (s->exists && chance(30)) {
		trace("Service %s is deleted", s->name);
		s->exists = false;
		server_delete(CLUSTER_SERVICE, s->name);
	} else if (!s->exists) {
		trace("Service %s is created", s->name);
		put_service(s);
	} else {
		trace("endpoints of %s change", s->name);
		put_endpoints(s);
	}
}

static void watch_back(struct node *n)
{
	if (n->alive && !n->connected)
		open_watch(n);
}

/* All faults of the API and of the LAN end here, or one by one by EV_MEND. */
static void mend(void)
{
	S.api_down = false;
	S.loss = 0;
	memset(S.lan_cut, 0, sizeof S.lan_cut);
	for (unsigned i = 0; i < S.n_nodes; i++) {
		if (S.nodes[i].watch_frozen && S.nodes[i].connected)
			disconnect(&S.nodes[i]); /* found dead at last */
		S.nodes[i].api_cut = S.nodes[i].watch_frozen = S.nodes[i].slow = false;
		watch_back(&S.nodes[i]);
	}
}

static void cut_lan(void)
{
	unsigned mask = (unsigned)below(1u << S.n_nodes);

	trace("the LAN parts: %x", mask);
	for (unsigned i = 0; i < S.n_nodes; i++)
		for (unsigned k = 0; k < S.n_nodes; k++)
			S.lan_cut[i][k] = (mask >> i & 1) != (mask >> k & 1);
}

/* Somebody deletes a Lease by hand: it counts as unchanged, and is written anew. */
static void delete_lease(const struct node *n)
{
	char name[64];

	(void)snprintf(name, sizeof name, "lbd-%s-%s", chance(50) ? "node" : "claims", n->name);
	trace("%s is deleted", name);
	server_delete(CLUSTER_LEASE, name);
}

static void api_fault(struct node *n)
{
	switch (below(S.api_only ? 5 : 7)) {
	case 0:
		trace("the API is down");
		S.api_down = true;
		for (unsigned i = 0; i < S.n_nodes; i++)
			if (S.nodes[i].connected)
				disconnect(&S.nodes[i]);
		break;
	case 1: /* half open: the node does not know */
		trace("the watch of %s freezes", n->name);
		n->watch_frozen = true;
		break;
	case 2:
		trace("the API is slow for %s", n->name);
		n->slow = true;
		break;
	case 3:
		trace("%s reconnects", n->name);
		if (n->connected)
			disconnect(n);
		watch_back(n);
		break;
	case 4:
		delete_lease(n);
		break;
	case 5:
		trace("%s is cut from the API", n->name);
		n->api_cut = true;
		if (n->connected)
			disconnect(n);
		break;
	case 6:
		S.loss = (unsigned)below(40);
		trace("%u %% is lost", S.loss);
		break;
	}
}

static void node_fault(struct node *n)
{
	if (!n->alive) {
		return;
	}
	switch (below(5)) {
	case 0:
		node_stop(n, "is killed");
		(void)post((struct event){.at = S.now + 100 + below(2 * S.el.node_duration_ms),
			.kind = EV_RESTART,
			.node = n->index});
		break;
	case 1:
		trace("%s stops", n->name);
		n->stopped = true;
		(void)post((struct event){.at = S.now + 400 + below(2 * S.el.node_duration_ms),
			.kind = EV_RESUME,
			.node = n->index,
			.life = n->life});
		break;
	case 2:
		if (n->exiting)
			break;
		trace("%s drains", n->name);
		elect_drain(n->elect, "by hand", S.now + 2000, S.now);
		n->undrain_at = S.now + below(20000);
		break;
	case 3:
		trace("%s is told to exit", n->name);
		n->exiting = true;
		n->undrain_at = 0;
		n->exit_by = S.now + 2000;
		elect_drain(n->elect, "shutdown", n->exit_by, S.now);
		break;
	case 4: {
		bool excluded = chance(40);

		trace("node %s is %s", n->name, excluded ? "excluded" : "admitted");
		put_node(n->index, excluded);
		break;
	}
	}
	wake_at(n, S.now);
}

static void on_fault(void)
{
	struct node *n = &S.nodes[below(S.n_nodes)];

	if (S.now >= S.faults_end)
		return;
	switch (S.api_only ? 0 : below(5)) {
	case 0:
	case 1:
		api_fault(n);
		break;
	case 2:
		node_fault(n);
		break;
	case 3:
		change_service();
		break;
	case 4:
		cut_lan();
		break;
	}
	if (chance(40))
		(void)post((struct event){
			.at = S.now + 500 + below(2 * S.el.node_duration_ms), .kind = EV_MEND});
	(void)post(
		(struct event){.at = S.now + 100 + below(S.el.node_duration_ms), .kind = EV_FAULT});
}

static void on_resume(struct node *n)
{
	trace("%s goes on", n->name);
	n->stopped = false;
	check_leaders();              /* not even in the first moment */
	elect_fence(n->elect, S.now); /* the shell's loop saw the gap; its rings were emptied */
	wake_at(n, S.now);
}

static void on_burst(struct event *ev)
{
	struct node *n = &S.nodes[ev->node];
	struct announced *a = announced(n, ev->vip);

	if (!n->stopped && a != NULL && a->since == ev->arg)
		broadcast(n, ELECT_WIRE_CLAIM, ev->vip);
}

/* Is the event for a node that is not there any more, or that cannot run now? */
static bool is_stale(const struct event *ev)
{
	const struct node *n = &S.nodes[ev->node];

	switch (ev->kind) {
	case EV_FAULT:
	case EV_MEND:
	case EV_RESTART:
		return false;
	case EV_ARRIVE: /* the server does not know that its sender is dead */
	case EV_ASK:
		return false;
	case EV_WAKE:
		return !n->alive || ev->order != n->wake_order;
	case EV_WATCH:
	case EV_LIST:
		return !n->alive || ev->life != n->life || ev->session != n->session;
	case EV_FRAME:
	case EV_RELIST:
	case EV_ANSWER:
	case EV_BURST:
	case EV_RESUME:
		return !n->alive || ev->life != n->life;
	}
	return true;
}

static void handle(struct event *ev)
{
	struct node *n = &S.nodes[ev->node];

	if (is_stale(ev))
		return;
	if (n->stopped && (ev->kind == EV_WATCH || ev->kind == EV_LIST || ev->kind == EV_RELIST ||
				  ev->kind == EV_ANSWER || ev->kind == EV_WAKE)) {
		/* It waits in a socket, in order, until the process goes on. */
		struct event later = *ev;

		later.at = S.now + 50;
		later.order = ev->order;
		if (ev->kind == EV_WAKE)
			n->wake_order = post(later);
		else
			(void)post(later);
		ev->req = NULL;
		ev->json = NULL;
		return;
	}
	switch (ev->kind) {
	case EV_WAKE:
		break;
	case EV_WATCH:
		on_watch(n, ev->arg == 1);
		break;
	case EV_LIST:
		on_list(n, (size_t)ev->arg);
		break;
	case EV_ASK:
		on_ask(ev);
		return;
	case EV_RELIST:
		on_relist(n, ev);
		break;
	case EV_ARRIVE:
		on_arrive(ev);
		return;
	case EV_ANSWER:
		on_answer(ev);
		break;
	case EV_FRAME:
		on_frame(ev);
		break;
	case EV_BURST:
		on_burst(ev);
		return;
	case EV_FAULT:
		on_fault();
		return;
	case EV_MEND:
		trace("mended");
		mend();
		return;
	case EV_RESUME:
		on_resume(n);
		break;
	case EV_RESTART:
		if (!n->alive)
			node_start(n);
		return;
	}
	run(n);
}

static void advance(uint64_t until)
{
	while (S.n_heap > 0 && S.heap[0].at <= until && S.failure == NULL) {
		struct event ev = pop();

		S.now = ev.at;
		S.events++;
		handle(&ev);
		request_free(ev.req);
		cJSON_Delete(ev.json);
		check_leaders();
	}
	S.now = until;
}

/* -- quiescence -- */

static bool may_announce(const struct node *n, struct addr vip)
{
	const struct vip *v = vip_find(n->w.vips, vip);
	struct elig e;

	if (v == NULL)
		return false;
	elig_judge_self(&n->w.in, v->group, &e);
	return e.reason == REASON_OWNER;
}

/* Does the API say that n owns vip? */
static bool publishes(const struct node *n, struct addr vip)
{
	char name[64];
	const struct object *o;
	struct claim *v;
	const char *text;
	size_t count;
	bool hit = false;

	(void)snprintf(name, sizeof name, "lbd-claims-%s", n->name);
	o = &S.objects[object_named(CLUSTER_LEASE, name)];
	if (o->rv == 0)
		return false;
	text = cJSON_GetStringValue(cJSON_GetObjectItem(
		cJSON_GetObjectItem(cJSON_GetObjectItem(o->json, "metadata"), "annotations"),
		"lbd.io/claims"));
	if (text == NULL || claims_parse(text, &v, &count) != 0) {
		fail("claims", "%s publishes what cannot be read: %s", n->name, text);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		hit |= addr_range_contains(v[i].range, vip);
	free(v);
	return hit;
}

static void check_vip(const char *ip)
{
	struct addr vip = world_ip(ip);
	unsigned able = 0, owners = 0;

	for (unsigned i = 0; i < S.n_nodes; i++) {
		struct node *n = &S.nodes[i];
		bool on = announced(n, vip) != NULL;

		able += may_announce(n, vip);
		owners += on;
		if (on && !may_announce(n, vip))
			fail("ineligible owner", "%s announces %s", n->name, ip);
		if (on != publishes(n, vip))
			fail("claims", "%s %s %s but its claims say otherwise", n->name,
				on ? "announces" : "does not announce", ip);
	}
	if (owners != (able > 0 ? 1u : 0u))
		fail("owners", "%s has %u owners and %u candidates", ip, owners, able);
}

/* No Service is lost: it has an address, as far as there is one. */
static void check_service(const struct service *s)
{
	const struct object *o = &S.objects[object_named(CLUSTER_SERVICE, s->name)];
	const cJSON *lb =
		cJSON_GetObjectItem(cJSON_GetObjectItem(o->json, "status"), "loadBalancer");

	if (s->exists && cJSON_GetArraySize(cJSON_GetObjectItem(lb, "ingress")) < 1)
		fail("lost", "%s has no address", s->name);
}

static void check_quiet(uint64_t span_ms)
{
	unsigned long leaders = 0;

	for (unsigned i = 100; i < 130; i++) { /* all that any Service may have */
		char ip[20];

		(void)snprintf(ip, sizeof ip, "10.0.0.%u", i);
		check_vip(ip);
	}
	for (unsigned i = 0; i < S.n_services; i++)
		check_service(&S.services[i]);
	if (S.changes != 0)
		fail("unrest", "owners changed %" PRIu64 " times, last at %.3f s", S.changes,
			(double)S.last_change / 1000);
	for (unsigned i = 0; i < S.n_nodes; i++) {
		const struct node *n = &S.nodes[i];
		bool leader = leader_is_leader(n->leader, S.now);
		unsigned long most = (unsigned long)(span_ms / S.el.node_renew_ms + 1);

		leaders += leader;
		if (leader)
			most += (unsigned long)(span_ms / S.el.leader_retry_period_ms + 1);
		if (n->writes > most)
			fail("writes", "%s wrote %lu times in %.0f s, %lu are enough", n->name,
				n->writes, (double)span_ms / 1000, most);
	}
	if (leaders != 1)
		fail("leader", "%lu leaders", leaders);
}

/* Ends all faults, starts all nodes, waits, and looks. */
static void quiesce(void)
{
	uint64_t settle = 60000, span = 10 * S.el.node_renew_ms;

	if (settle < 2 * S.el.node_duration_ms + 20000)
		settle = 2 * S.el.node_duration_ms + 20000;
	S.quiet = true;
	mend();
	trace("quiet");
	advance(S.now + 2 * S.el.node_duration_ms + 21000); /* late resumes and restarts */
	for (unsigned i = 0; i < S.n_nodes; i++)
		if (!S.nodes[i].alive || S.nodes[i].stopped || S.nodes[i].exiting)
			fail("simulator", "%s is not back", S.nodes[i].name);
	advance(S.now + settle);
	for (unsigned i = 0; i < S.n_nodes; i++)
		S.nodes[i].writes = 0;
	S.changes = 0;
	advance(S.now + span);
	if (S.failure == NULL)
		check_quiet(span);
	S.quiet = false;
}

/* -- a seed -- */

static void choose_timers(void)
{
	static const struct config_elections choices[] = {
		{.node_duration_ms = 3000,
			.node_renew_ms = 750,
			.leader_duration_ms = 2000,
			.leader_renew_deadline_ms = 1300,
			.leader_retry_period_ms = 400}, /* the laboratory */
		{.node_duration_ms = 10000,
			.node_renew_ms = 2500,
			.leader_duration_ms = 5000,
			.leader_renew_deadline_ms = 3500,
			.leader_retry_period_ms = 1000},
		{.node_duration_ms = 40000,
			.node_renew_ms = 10000,
			.leader_duration_ms = 15000,
			.leader_renew_deadline_ms = 10000,
			.leader_retry_period_ms = 5000}, /* the default */
	};

	S.el = choices[below(3)];
	S.el.namespace_ = "kube-system";
	S.el.bfd_interval_ms = 100;
	S.el.bfd_multiplier = 3;
	S.el.max_share = chance(50) ? 1.25 : 0;
}

static void set_up(uint64_t seed, bool verbose)
{
	memset(&S, 0, sizeof S);
	S.seed = seed;
	S.verbose = verbose;
	S.rng.state = seed * 0x9e3779b97f4a7c15u + 1;
	S.trace = 0xcbf29ce484222325u;
	S.now = 1000000;
	S.scratch = cluster_new(&(struct hash_key){3, 4}, NULL);
	choose_timers();
	S.allocates = chance(50);
	S.n_nodes = 2 + (unsigned)below(MAX_NODES - 1);
	S.n_services = 2 + (unsigned)below(MAX_SERVICES - 1);
	for (unsigned i = 0; i < S.n_nodes; i++) {
		S.nodes[i].index = i;
		(void)snprintf(S.nodes[i].name, sizeof S.nodes[i].name, "n%u", i + 1);
		put_node(i, false);
	}
	for (unsigned i = 0; i < S.n_services; i++) {
		struct service *s = &S.services[i];
		unsigned shared = chance(25) ? (unsigned)below(3) : i + 10;

		(void)snprintf(s->name, sizeof s->name, "s%u", i & 0xff);
		(void)snprintf(s->ip, sizeof s->ip, "10.0.0.%u",
			((S.allocates && shared < 3 ? 123 : 100) + shared) & 0xff);
		if (shared < 3) /* groups that merge and part as such Services come and go */
			(void)snprintf(s->share, sizeof s->share, "k");
		if (shared < 3 && chance(40) && !S.allocates)
			(void)snprintf(s->second, sizeof s->second, ",'10.0.0.%u'",
				100 + (shared + 1) % 3);
		s->local = s->share[0] == '\0' && chance(30);
		put_service(s);
		put_endpoints(s);
	}
	for (unsigned i = 0; i < S.n_nodes; i++)
		(void)post(
			(struct event){.at = S.now + below(5000), .kind = EV_RESTART, .node = i});
}

static void tear_down(void)
{
	for (unsigned i = 0; i < S.n_nodes; i++)
		if (S.nodes[i].alive)
			node_stop(&S.nodes[i], "ends");
	while (S.n_heap > 0) {
		struct event ev = pop();

		request_free(ev.req);
		cJSON_Delete(ev.json);
	}
	free(S.heap);
	for (size_t i = 0; i < S.n_journal; i++)
		cJSON_Delete(S.journal[i].json);
	free(S.journal);
	cluster_free(S.scratch);
}

/* true when all held. */
static bool run_seed(uint64_t seed, bool verbose, uint64_t *ret_trace, uint64_t *ret_events)
{
	bool ok;

	set_up(seed, verbose);
	for (unsigned round = 0; round < 2 && S.failure == NULL; round++) {
		S.api_only = round == 1 && chance(40);
		S.changes = 0;
		S.faults_end = S.now + 20000 + 4 * S.el.node_duration_ms;
		(void)post((struct event){.at = S.now + 5000 + below(20000), .kind = EV_FAULT});
		advance(S.faults_end);
		if (S.api_only && S.changes > 0)
			fail("moved", "the API alone moved something at %.3f s",
				(double)S.last_change / 1000);
		quiesce();
	}
	ok = S.failure == NULL;
	*ret_trace = S.trace;
	*ret_events = S.events;
	if (!ok)
		printf("seed %" PRIu64 ": %s: %s, at %.3f s; replay: make sim SEED=%" PRIu64
		       " SEEDS=1 VERBOSE=1\n",
			seed, S.failure, S.failure_text, (double)S.now / 1000, seed);
	tear_down();
	return ok;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 300, first = 1, hash = 0, events = 0, one, n;
	unsigned passed = 0, failed = 0;
	bool verbose = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			first = strtoull(argv[++i], NULL, 10);
		else
			return 2;
	}
	for (uint64_t i = 0; i < seeds; i++) {
		if (run_seed(first + i, verbose, &one, &n))
			passed++;
		else
			failed++;
		hash = (hash ^ one) * 0x100000001b3u;
		events += n;
	}
	printf("sim: seeds %" PRIu64 " to %" PRIu64 ", %" PRIu64 " events, trace %016" PRIx64 "\n",
		first, first + seeds - 1, events, hash);
	printf("sim: %u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
