/* SPDX-License-Identifier: Apache-2.0
 *
 * nodelb.c - servicelb mode: which Service has which nodes' addresses, and what is to be written
 * about it.
 *
 * Owns: a copy of each LoadBalancer Service, who has which port of which node, the queues of
 *       decisions, results and writes; the nodeset of the last look at the Nodes.
 * In:   nodelb_put(), nodelb_delete(), nodelb_write_done(); Nodes and endpoints from the picture.
 * Out:  nodelb_next_result(), nodelb_next_write(): pull, nothing is ever called back.
 * Sources: k3s pkg/cloudprovider/servicelb.go; the status is written as alloc.c writes it.
 *
 * Level-triggered: events only change what is known and put Services on the todo list.  settle()
 * first lets all of them give up the nodes that are not theirs any more, then each take what is
 * free, the eldest first.  What a Service has are bits (seats): the nodes that it is placed on and
 * where it has all of its ports.  So of two Services with a port in common the bits never overlap.
 * The addresses are not kept: they follow from the bits, the nodeset and the endpoints.
 */
#include "nodelb.h"

#include "copy.h"
#include "list.h"
#include "nodeset.h"
#include "outbox.h"
#include "service.h"
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_FAILS = 100,
	CALM_MS = 60000,  /* without a write: the next one goes at once again, */
	QUICK_WRITES = 4, /* and so many after it; */
	SLOW_STEPS = 6,   /* then it waits 0.1 s, doubled so often */
	RETRY_MS = 1000,  /* after the nodeset ran out of memory */
};

/* A (protocol, port) that Services want. */
struct port {
	uint32_t hash;
	struct cluster_port id;
	uint32_t n_claims;
	struct link holders, waiters; /* claims of Services that have nodes, that have none */
};

/* A Service's claim on one of its ports. */
struct claim {
	struct link link; /* port->holders or ->waiters */
	struct svc *svc;
	struct port *port;
};

struct svc {
	uint32_t hash;     /* of key */
	uint32_t told;     /* hash of the last result; 0 = none */
	uint32_t written;  /* hash of what was last written; 0 = none, or it failed */
	uint32_t row;      /* of nodelb->bits */
	struct copy *copy; /* held */
	struct copy *was;  /* held: shows what it had when the untold news began; NULL = no news */
	struct claim *claims; /* owned; one a port */
	uint32_t n_claims;
	struct outbox_item item;
	struct link turning; /* nodelb->todo, when is_todo */
	struct link telling; /* nodelb->report, when was is set */
	uint64_t wrote_ms;   /* when a write was last sent */
	unsigned quick : 8;  /* writes since it was calm */
	unsigned fails : 8;
	bool is_todo : 1;
	bool is_holder : 1;     /* its claims are among the holders */
	bool is_new : 1;        /* until the first decision */
	bool ours : 1;          /* was given addresses since its status was last empty */
	bool doubt : 1;         /* a write was, or may have been, taken since the copy */
	bool put_in_flight : 1; /* a newer object came while a write was under way */
};

struct nodelb {
	struct hash_key hkey;
	const struct cluster *c;   /* borrowed */
	const struct config *conf; /* borrowed; NULL before the first configuration */
	struct nodeset *nodes;     /* owned; NULL before the first look */
	uint64_t generation;       /* of the Nodes at the last look */
	uint64_t retry_ms;         /* not before: the last look ran out of memory */
	size_t n_words;            /* of a row */
	uint64_t *bits; /* owned: rows; of a free row the first word is the next free one */
	uint32_t n_rows, cap_rows, free_row;
	struct table svcs;  /* owned */
	struct table ports; /* owned */
	struct link todo, report;
	struct outbox outbox;
	struct addr out[CLUSTER_MAX_INGRESS]; /* of the last nodelb_next_write() */
	uint64_t now_ms;
	bool ready, adopting;
};

enum { NO_ROW = UINT32_MAX };

/* -- rows of bits -- */

static uint64_t *row_of(const struct nodelb *n, const struct svc *svc)
{
	return n->bits + svc->row * n->n_words;
}

static bool is_empty(const struct nodelb *n, const uint64_t *bits)
{
	for (size_t i = 0; i < n->n_words; i++)
		if (bits[i] != 0)
			return false;
	return true;
}

/* 0 or -ENOMEM. */
static int row_new(struct nodelb *n, struct svc *svc)
{
	uint32_t cap = n->cap_rows > 0 ? n->cap_rows * 2 : 64;
	uint64_t *v;

	if (n->free_row != NO_ROW) {
		svc->row = n->free_row;
		n->free_row = (uint32_t)row_of(n, svc)[0];
	} else {
		if (n->n_rows == n->cap_rows) {
			v = realloc(n->bits, cap * n->n_words * sizeof *v);
			if (v == NULL)
				return -ENOMEM;
			n->bits = v;
			n->cap_rows = cap;
		}
		svc->row = n->n_rows++;
	}
	memset(row_of(n, svc), 0, n->n_words * sizeof *n->bits);
	return 0;
}

static void row_free(struct nodelb *n, struct svc *svc)
{
	row_of(n, svc)[0] = n->free_row;
	n->free_row = svc->row;
}

static void forget_rows(struct nodelb *n)
{
	free(n->bits);
	n->bits = NULL;
	n->n_rows = n->cap_rows = 0;
	n->free_row = NO_ROW;
}

/* -- who claims what -- */

static bool port_is(const void *elt, const void *key, size_t len)
{
	const struct port *p = elt;
	const struct cluster_port *id = key;

	(void)len;
	return p->id.protocol == id->protocol && p->id.port == id->port;
}

/* Of no claim yet, if it is new.  NULL when out of memory. */
static struct port *port_get(struct nodelb *n, struct cluster_port id)
{
	uint32_t hash = hash_bytes(&n->hkey, &id, sizeof id);
	struct port *p = table_find(&n->ports, hash, port_is, &id, sizeof id);

	if (p != NULL)
		return p;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->hash = hash;
	p->id = id;
	list_init(&p->holders);
	list_init(&p->waiters);
	if (table_add(&n->ports, p) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

static void port_drop(struct nodelb *n, struct port *p)
{
	if (p->n_claims > 0)
		return;
	table_remove(&n->ports, p);
	free(p);
}

static void claims_free(struct nodelb *n, struct claim *v, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct port *p = v[i].port;

		list_delete(&v[i].link);
		p->n_claims--;
		port_drop(n, p);
	}
	free(v);
}

/* Claims of nobody yet on the ports of s, in no list.  NULL when out of memory. */
static struct claim *claims_new(struct nodelb *n, const struct cluster_service *s)
{
	struct claim *v = calloc(s->n_ports + 1U, sizeof *v);

	for (uint32_t i = 0; v != NULL && i < s->n_ports; i++) {
		v[i].port = port_get(n, s->ports[i]);
		if (v[i].port == NULL) {
			claims_free(n, v, i);
			return NULL;
		}
		v[i].port->n_claims++;
		list_init(&v[i].link);
	}
	return v;
}

static void claims_join(struct svc *svc)
{
	for (uint32_t i = 0; i < svc->n_claims; i++) {
		struct claim *c = &svc->claims[i];

		c->svc = svc;
		list_delete(&c->link);
		list_add(svc->is_holder ? &c->port->holders : &c->port->waiters, &c->link);
	}
}

static void seat(const struct nodelb *n, struct svc *svc)
{
	bool holder = !is_empty(n, row_of(n, svc));

	if (holder == svc->is_holder)
		return;
	svc->is_holder = holder;
	claims_join(svc);
}

static void make_todo(struct nodelb *n, struct svc *svc)
{
	if (svc->is_todo)
		return;
	list_add(&n->todo, &svc->turning);
	svc->is_todo = true;
}

/* The Service gave something up: the others at its ports may have it. */
static void wake_others(struct nodelb *n, const struct svc *svc)
{
	for (uint32_t i = 0; i < svc->n_claims; i++) {
		struct link *list[] = {
			&svc->claims[i].port->holders, &svc->claims[i].port->waiters};

		for (size_t j = 0; j < ARRAY_LEN(list); j++)
			for (struct link *l = list[j]->next; l != list[j]; l = l->next)
				if (CONTAINER_OF(l, struct claim, link)->svc != svc)
					make_todo(n, CONTAINER_OF(l, struct claim, link)->svc);
	}
}

/* May another Service have a port of this one? */
static bool is_contested(const struct svc *svc)
{
	for (uint32_t i = 0; i < svc->n_claims; i++)
		if (svc->claims[i].port->n_claims > 1)
			return true;
	return false;
}

/* Takes out of bits the nodes where another Service has a port of this one. */
static void leave_taken(const struct nodelb *n, const struct svc *svc, uint64_t *bits)
{
	for (uint32_t i = 0; i < svc->n_claims; i++) {
		const struct link *head = &svc->claims[i].port->holders;

		for (struct link *l = head->next; l != head; l = l->next) {
			const struct svc *other = CONTAINER_OF(l, struct claim, link)->svc;

			for (size_t w = 0; other != svc && w < n->n_words; w++)
				bits[w] &= ~row_of(n, other)[w];
		}
	}
}

/* Who has a port of the Service on node i, and which port; NULL: nobody. */
static const struct svc *holder_at(
	const struct nodelb *n, const struct svc *svc, size_t i, struct cluster_port *ret_port)
{
	for (uint32_t j = 0; j < svc->n_claims; j++) {
		const struct link *head = &svc->claims[j].port->holders;

		for (struct link *l = head->next; l != head; l = l->next) {
			const struct svc *other = CONTAINER_OF(l, struct claim, link)->svc;

			if (other == svc || !nodeset_has(row_of(n, other), i))
				continue;
			*ret_port = svc->claims[j].port->id;
			return other;
		}
	}
	return NULL;
}

/* -- what a Service has -- */

static bool is_served(enum reason r)
{
	return r != REASON_NOT_LOAD_BALANCER && r != REASON_DELETED && r != REASON_OTHER_CLASS &&
	       r != REASON_IGNORED;
}

/* Without a cluster IP there is nothing to balance to: servicelb makes no pods. */
static bool can_balance(const struct cluster_service *s)
{
	return s->has_cluster_ip && s->n_families > 0;
}

/* The nodes that it is placed on, taken or not. */
static void choose(const struct nodelb *n, const struct cluster_service *s,
	uint64_t ret_bits[NODESET_MAX_WORDS])
{
	if (service_served(n->conf, s) == REASON_ALLOCATED && can_balance(s))
		nodeset_choose(n->nodes, s, ret_bits);
	else
		memset(ret_bits, 0, n->n_words * sizeof *ret_bits);
}

/* Of what it has, the nodes whose addresses are published. */
static void usable(const struct nodelb *n, const struct svc *svc, const struct cluster_service *s,
	uint64_t ret_bits[NODESET_MAX_WORDS])
{
	const uint64_t *row = row_of(n, svc);

	memset(ret_bits, 0, n->n_words * sizeof *ret_bits);
	for (size_t i = 0; i < nodeset_count(n->nodes); i++)
		if (nodeset_has(row, i) && nodeset_state(n->nodes, n->c, s, i) == NODESET_USABLE)
			nodeset_add(ret_bits, i);
}

/* What follows from the bits: the reason and the addresses of *ret_r. */
static void look(const struct nodelb *n, const struct svc *svc, struct nodelb_result *ret_r)
{
	struct cluster_service s = copy_view(svc->copy);
	uint64_t bits[NODESET_MAX_WORDS];

	ret_r->n_ips = 0;
	ret_r->reason = service_served(n->conf, &s);
	if (ret_r->reason != REASON_ALLOCATED)
		return;
	if (!can_balance(&s)) {
		ret_r->reason = REASON_NO_CLUSTER_IP;
		return;
	}
	usable(n, svc, &s, bits);
	ret_r->n_ips = nodeset_addresses(n->nodes, &s, bits, ret_r->ips);
	if (ret_r->n_ips > 0)
		return;
	choose(n, &s, bits);
	ret_r->reason = !svc->is_holder && !is_empty(n, bits) ? REASON_PORT_TAKEN
							      : REASON_NO_AVAILABLE_NODE;
}

/* -- words -- */

/* One more sentence of the detail. */
static void PRINTF_LIKE(2, 3) say(struct nodelb_result *r, const char *fmt, ...)
{
	size_t at = strlen(r->detail);
	va_list ap;

	if (at > 0 && at + 2 < sizeof r->detail) {
		memcpy(r->detail + at, "; ", 3);
		at += 2;
	}
	va_start(ap, fmt);
	(void)vsnprintf(r->detail + at, sizeof r->detail - at, fmt, ap);
	va_end(ap);
}

/* The first node that it is placed on and another Service has a port of. */
static void say_taken(const struct nodelb *n, const struct svc *svc,
	const struct cluster_service *s, struct nodelb_result *r)
{
	uint64_t bits[NODESET_MAX_WORDS];

	if (!is_contested(svc))
		return;
	choose(n, s, bits);
	for (size_t i = 0; i < nodeset_count(n->nodes); i++) {
		struct cluster_port port;
		const struct svc *other;

		if (!nodeset_has(bits, i) || nodeset_has(row_of(n, svc), i))
			continue;
		other = holder_at(n, svc, i, &port);
		if (other == NULL)
			continue;
		if (svc->is_holder)
			say(r, "%s port %u of node %s is taken by %s",
				service_protocol_name(port.protocol), port.port,
				nodeset_name(n->nodes, i), copy_key(other->copy));
		else
			say(r, "%s port %u is taken by %s", service_protocol_name(port.protocol),
				port.port, copy_key(other->copy));
		return;
	}
}

static void say_unavailable(const struct nodelb *n, const struct svc *svc,
	const struct cluster_service *s, struct nodelb_result *r)
{
	bool any_usable = false, any_ready = false;

	for (size_t i = 0; svc->is_holder && i < nodeset_count(n->nodes); i++) {
		if (!nodeset_has(row_of(n, svc), i))
			continue;
		switch (nodeset_state(n->nodes, n->c, s, i)) {
		case NODESET_USABLE:
			any_usable = any_ready = true;
			break;
		case NODESET_NO_ENDPOINT:
			any_ready = true;
			break;
		case NODESET_NOT_READY:
			break;
		}
	}
	if (nodeset_count(n->nodes) == 0)
		say(r, "there is no Node");
	else if (!svc->is_holder)
		say(r, "no node has the labels svccontroller.k3s.cattle.io/enablelb and lbpool "
		       "that it needs");
	else if (any_usable)
		say(r, "no node has an address of the Service's IP families");
	else if (any_ready)
		say(r, "externalTrafficPolicy is Local and no node that is Ready has a ready "
		       "endpoint");
	else
		say(r, "no node is Ready");
}

/* Does it ask for what servicelb does not look at? */
static bool asks(const struct cluster_service *s)
{
	return (s->load_balancer_ip != NULL && s->load_balancer_ip[0] != '\0') ||
	       s->request.ips != NULL || s->request.pool != NULL;
}

/* The detail of what look() found. */
static void explain(const struct nodelb *n, const struct svc *svc, struct nodelb_result *r)
{
	struct cluster_service s = copy_view(svc->copy);

	r->detail[0] = '\0';
	if (!is_served(r->reason))
		return;
	if (r->reason == REASON_NO_AVAILABLE_NODE)
		say_unavailable(n, svc, &s, r);
	else
		say_taken(n, svc, &s, r);
	if (asks(&s))
		say(r, "the address or pool that it asks for is not looked at in servicelb mode");
}

/* -- writes -- */

static uint32_t hash_of_ips(const struct nodelb *n, const struct nodelb_result *r)
{
	return hash_bytes(&n->hkey, r->ips, r->n_ips * sizeof r->ips[0]) | 1;
}

static bool shows_just(const struct svc *svc, const struct nodelb_result *r)
{
	struct copy_status st = copy_status(svc->copy);

	if (st.n != r->n_ips)
		return false;
	for (size_t i = 0; i < st.n; i++)
		if (!addr_eq(st.v[i], r->ips[i]))
			return false;
	return true;
}

/* Without ipMode it is as good: an old server drops the field. */
static bool is_status_right(const struct svc *svc, const struct nodelb_result *r)
{
	struct copy_status st = copy_status(svc->copy);

	return shows_just(svc, r) && !st.foreign && !st.marked && !(st.not_vip_mode && st.n > 0);
}

/* A status that is not ours to keep is cleared only where it was ours: what another load balancer
 * wrote for its own Services stays. */
static bool wants_clear(
	const struct nodelb *n, const struct svc *svc, const struct nodelb_result *r)
{
	struct copy_status st = copy_status(svc->copy);
	struct cluster_service s = copy_view(svc->copy);
	uint64_t bits[NODESET_MAX_WORDS];

	if (st.n == 0)
		return svc->ours && st.marked;
	if (svc->ours || st.marked)
		return true;
	nodeset_shown(n->nodes, &s, bits);
	return r->reason == REASON_NOT_LOAD_BALANCER && !is_empty(n, bits);
}

static bool wants_write(
	const struct nodelb *n, const struct svc *svc, const struct nodelb_result *r)
{
	if (svc->doubt)
		return svc->written != hash_of_ips(n, r);
	return is_served(r->reason) ? !is_status_right(svc, r) : wants_clear(n, svc, r);
}

/* Whatever the reason: a node that comes and goes, endpoints, another writer. */
static enum outbox_delay pace(const struct nodelb *n, const struct svc *svc)
{
	if (svc->quick <= QUICK_WRITES || n->now_ms - svc->wrote_ms > CALM_MS)
		return OUTBOX_NOW;
	return outbox_backoff(svc->quick - QUICK_WRITES - 1U);
}

static void count_write(const struct nodelb *n, struct svc *svc)
{
	if (n->now_ms - svc->wrote_ms > CALM_MS)
		svc->quick = 0;
	if (svc->quick <= QUICK_WRITES + SLOW_STEPS)
		svc->quick++;
	svc->wrote_ms = n->now_ms;
}

/* Queues a write, or takes it back, after anything that bears on it has changed. */
static void sync_write(struct nodelb *n, struct svc *svc, const struct nodelb_result *r)
{
	svc->ours = svc->ours || r->n_ips > 0;
	if (svc->item.state == OUTBOX_UNDER_WAY)
		return;
	if (!wants_write(n, svc, r)) {
		svc->fails = 0;
		outbox_unqueue(&svc->item);
		if (!svc->doubt && copy_status(svc->copy).n == 0 && r->n_ips == 0)
			svc->ours = false;
		return;
	}
	if (svc->item.state == OUTBOX_IDLE)
		outbox_queue(&n->outbox, &svc->item, pace(n, svc), n->now_ms);
}

/* -- results -- */

static void take_back_news(struct svc *svc)
{
	if (svc->was == NULL)
		return;
	list_delete(&svc->telling);
	copy_drop(svc->was);
	svc->was = NULL;
}

/* Not of the detail: who has the port may change without any news for those who wait for it. */
static uint32_t result_hash(
	const struct nodelb *n, const struct svc *svc, const struct nodelb_result *r)
{
	struct cluster_service s = copy_view(svc->copy);
	uint32_t more[] = {(uint32_t)r->reason, asks(&s), hash_of_ips(n, r)};

	return hash_bytes(&n->hkey, more, sizeof more) | 1;
}

/* Is there something to say?  Not of Services that were never ours, nor of those that a new leader
 * finds in order. */
static void note_result(struct nodelb *n, struct svc *svc, const struct nodelb_result *r)
{
	struct cluster_service s = copy_view(svc->copy);
	uint32_t h = result_hash(n, svc, r);

	if (svc->is_new && r->n_ips > 0 && shows_just(svc, r))
		svc->told = h;
	svc->is_new = false;
	if (h == svc->told ||
		(svc->told == 0 && !is_served(r->reason) && svc->item.state == OUTBOX_IDLE)) {
		take_back_news(svc);
	} else if (svc->was == NULL) {
		svc->was = copy_hold(&s); /* a view's: it needs no memory */
		list_add(&n->report, &svc->telling);
	}
}

static void fill(const struct nodelb *n, const struct svc *svc, struct nodelb_result *r)
{
	struct cluster_service s = copy_view(svc->copy);
	struct copy_status st = copy_status(svc->was != NULL ? svc->was : svc->copy);

	look(n, svc, r);
	explain(n, svc, r);
	r->key = s.key;
	r->namespace_ = s.namespace_;
	r->name = s.name;
	r->uid = s.uid;
	r->n_was = st.n;
	for (size_t i = 0; i < st.n; i++)
		r->was[i] = st.v[i];
}

/* -- the pass -- */

static void unturn(struct svc *svc)
{
	if (svc->is_todo)
		list_delete(&svc->turning);
	svc->is_todo = false;
}

/* Gives up the nodes that it is not placed on any more. */
static void let_go(struct nodelb *n, struct svc *svc)
{
	struct cluster_service s = copy_view(svc->copy);
	uint64_t *row = row_of(n, svc), bits[NODESET_MAX_WORDS];
	bool lost = false;

	if (!svc->is_holder)
		return;
	choose(n, &s, bits);
	for (size_t i = 0; i < n->n_words; i++) {
		lost = lost || (row[i] & ~bits[i]) != 0;
		row[i] &= bits[i];
	}
	if (!lost)
		return;
	seat(n, svc);
	wake_others(n, svc);
}

/* Takes what is free of the nodes that it is placed on. */
static void take(struct nodelb *n, struct svc *svc)
{
	struct cluster_service s = copy_view(svc->copy);
	uint64_t bits[NODESET_MAX_WORDS];

	choose(n, &s, bits);
	leave_taken(n, svc, bits);
	memcpy(row_of(n, svc), bits, n->n_words * sizeof bits[0]);
	seat(n, svc);
}

static void decide(struct nodelb *n, struct svc *svc)
{
	struct nodelb_result r;

	take(n, svc);
	look(n, svc, &r);
	sync_write(n, svc, &r);
	note_result(n, svc, &r);
}

static int by_age(struct link *x, struct link *y)
{
	struct cluster_service a = copy_view(CONTAINER_OF(x, struct svc, turning)->copy);
	struct cluster_service b = copy_view(CONTAINER_OF(y, struct svc, turning)->copy);

	return service_elder(&a, &b);
}

static int by_turn(struct link *x, struct link *y)
{
	struct cluster_service a = copy_view(CONTAINER_OF(x, struct svc, turning)->copy);
	struct cluster_service b = copy_view(CONTAINER_OF(y, struct svc, turning)->copy);

	return service_turn(&a, &b);
}

/* It keeps the nodes that its status shows. */
static void adopt(struct nodelb *n, struct svc *svc)
{
	struct cluster_service s = copy_view(svc->copy);
	uint64_t *row = row_of(n, svc), bits[NODESET_MAX_WORDS];

	if (!is_contested(svc) || s.n_ingress == 0)
		return;
	choose(n, &s, row);
	nodeset_shown(n->nodes, &s, bits);
	for (size_t i = 0; i < n->n_words; i++)
		row[i] &= bits[i];
	leave_taken(n, svc, row);
	seat(n, svc);
}

/* Those that have something take the rest of what they are placed on before those that have
 * nothing. */
static void adopt_all(struct nodelb *n)
{
	struct link *l, *next;

	list_sort(&n->todo, by_age);
	for (l = n->todo.next; l != &n->todo; l = l->next)
		adopt(n, CONTAINER_OF(l, struct svc, turning));
	for (l = n->todo.next; l != &n->todo; l = next) {
		struct svc *svc = CONTAINER_OF(l, struct svc, turning);

		next = l->next;
		if (!svc->is_holder)
			continue;
		unturn(svc);
		decide(n, svc);
	}
	n->adopting = false;
}

static void all_todo(struct nodelb *n)
{
	struct svc *svc = NULL;

	while ((svc = table_next(&n->svcs, svc)) != NULL)
		make_todo(n, svc);
}

/* The bits of one row, by the names of the nodes. */
static void move_row(
	const struct nodeset *from, const uint64_t *old, const struct nodeset *to, uint64_t *fresh)
{
	for (size_t i = 0; i < nodeset_count(from); i++) {
		size_t at = nodeset_has(old, i) ? nodeset_find(to, nodeset_name(from, i))
						: nodeset_count(to);

		if (at < nodeset_count(to))
			nodeset_add(fresh, at);
	}
}

/* 0 or -ENOMEM (nothing changed). */
static int move_rows(struct nodelb *n, const struct nodeset *to)
{
	size_t words = nodeset_words(to);
	uint64_t *fresh = calloc(n->cap_rows + 1U, words * sizeof *fresh);
	struct svc *svc = NULL;

	if (fresh == NULL)
		return -ENOMEM;
	while (n->nodes != NULL && (svc = table_next(&n->svcs, svc)) != NULL)
		move_row(n->nodes, row_of(n, svc), to, fresh + svc->row * words);
	for (uint32_t row = n->free_row; row != NO_ROW; row = (uint32_t)n->bits[row * n->n_words])
		fresh[row * words] = n->bits[row * n->n_words];
	free(n->bits);
	n->bits = fresh;
	n->n_words = words;
	return 0;
}

/* Looks at the Nodes, if one was put since the last time: mostly it was a sign of life only. */
static void see_nodes(struct nodelb *n)
{
	uint64_t generation = cluster_nodes_generation(n->c);
	struct nodeset *fresh;

	if ((n->nodes != NULL && n->generation == generation) || n->now_ms < n->retry_ms)
		return;
	fresh = nodeset_new(n->c);
	if (fresh != NULL && n->nodes != NULL && nodeset_equal(n->nodes, fresh)) {
		nodeset_free(fresh);
	} else if (fresh != NULL && move_rows(n, fresh) == 0) {
		nodeset_free(n->nodes);
		n->nodes = fresh;
		all_todo(n);
	} else {
		nodeset_free(fresh);
		n->retry_ms = n->now_ms + RETRY_MS;
		return;
	}
	n->generation = generation;
	n->retry_ms = 0;
}

static void settle(struct nodelb *n)
{
	if (!n->ready || n->conf == NULL)
		return;
	see_nodes(n);
	if (n->nodes == NULL || list_is_empty(&n->todo))
		return;
	if (n->adopting)
		adopt_all(n);
	for (struct link *l = n->todo.next; l != &n->todo; l = l->next)
		let_go(n, CONTAINER_OF(l, struct svc, turning));
	list_sort(&n->todo, by_turn);
	while (!list_is_empty(&n->todo)) {
		struct svc *svc = CONTAINER_OF(n->todo.next, struct svc, turning);

		unturn(svc);
		decide(n, svc);
	}
}

/* -- Services coming and going -- */

static bool svc_is(const void *elt, const void *key, size_t len)
{
	const char *k = copy_key(((const struct svc *)elt)->copy);

	return strncmp(k, key, len) == 0 && k[len] == '\0';
}

static struct svc *svc_find(const struct nodelb *n, const char *key)
{
	size_t len = strlen(key);

	return table_find(&n->svcs, hash_bytes(&n->hkey, key, len), svc_is, key, len);
}

static void svc_free(struct svc *svc)
{
	copy_drop(svc->copy);
	copy_drop(svc->was);
	free(svc);
}

/* Without claims.  NULL when out of memory. */
static struct svc *svc_new(struct nodelb *n, const struct cluster_service *s)
{
	struct svc *svc = calloc(1, sizeof *svc);

	if (svc == NULL)
		return NULL;
	svc->hash = hash_bytes(&n->hkey, s->key, strlen(s->key));
	svc->is_new = true;
	svc->copy = copy_hold(s);
	if (svc->copy == NULL || row_new(n, svc) < 0) {
		svc_free(svc);
		return NULL;
	}
	if (table_add(&n->svcs, svc) < 0) {
		row_free(n, svc);
		svc_free(svc);
		return NULL;
	}
	return svc;
}

static void svc_remove(struct nodelb *n, struct svc *svc)
{
	if (svc->is_holder)
		wake_others(n, svc);
	claims_free(n, svc->claims, svc->n_claims);
	row_free(n, svc);
	outbox_remove(&n->outbox, &svc->item);
	unturn(svc);
	take_back_news(svc);
	table_remove(&n->svcs, svc);
	svc_free(svc);
}

static bool has_ports(const struct svc *svc, const struct cluster_service *s)
{
	if (svc->n_claims != s->n_ports)
		return false;
	for (uint32_t i = 0; i < svc->n_claims; i++) {
		const struct cluster_port *id = &svc->claims[i].port->id;

		if (id->protocol != s->ports[i].protocol || id->port != s->ports[i].port)
			return false;
	}
	return true;
}

/* It keeps the nodes where nobody has the ports that are new.  0 or -ENOMEM (nothing changed). */
static int take_ports(struct nodelb *n, struct svc *svc, const struct cluster_service *s)
{
	struct claim *fresh;

	if (has_ports(svc, s))
		return 0;
	fresh = claims_new(n, s);
	if (fresh == NULL)
		return -ENOMEM;
	if (svc->is_holder)
		wake_others(n, svc);
	claims_free(n, svc->claims, svc->n_claims);
	svc->claims = fresh;
	svc->n_claims = s->n_ports;
	claims_join(svc);
	leave_taken(n, svc, row_of(n, svc));
	seat(n, svc);
	return 0;
}

/* An object of another resourceVersion than the one that a write was conditional on ends the doubt
 * about what became of the write: either it shows it, or it kept it from being taken. */
static void take_copy(struct svc *svc, struct copy *copy)
{
	if (strcmp(copy_version(svc->copy), copy_version(copy)) != 0) {
		svc->doubt = false;
		svc->put_in_flight = svc->item.state == OUTBOX_UNDER_WAY;
	}
	copy_drop(svc->copy);
	svc->copy = copy;
}

static bool is_same_object(const struct svc *svc, const struct cluster_service *s)
{
	return strcmp(copy_uid(svc->copy), s->uid != NULL ? s->uid : "") == 0;
}

int nodelb_put(struct nodelb *n, const struct cluster_service *s, uint64_t now_ms)
{
	struct svc *known = svc_find(n, s->key), *svc;
	struct copy *copy;

	n->now_ms = now_ms;
	if (known != NULL && !is_same_object(known, s)) {
		svc_remove(n, known);
		known = NULL;
	}
	if (known == NULL && !s->is_load_balancer && s->n_ingress == 0)
		return 0; /* most Services of a cluster */
	copy = copy_hold(s);
	svc = known != NULL || copy == NULL ? known : svc_new(n, s);
	if (svc == NULL || copy == NULL || take_ports(n, svc, s) < 0) {
		if (svc != known)
			svc_remove(n, svc);
		copy_drop(copy);
		return -ENOMEM;
	}
	take_copy(svc, copy);
	make_todo(n, svc);
	if (svc->item.state == OUTBOX_QUEUED && svc->item.delay == OUTBOX_CONFLICT &&
		svc->fails < OUTBOX_CONFLICT_PUTS)
		outbox_queue(&n->outbox, &svc->item, OUTBOX_NOW, now_ms);
	return 0;
}

void nodelb_delete(struct nodelb *n, const char *key)
{
	struct svc *svc = svc_find(n, key);

	if (svc != NULL)
		svc_remove(n, svc);
}

void nodelb_configure(struct nodelb *n, const struct config *conf)
{
	n->conf = conf;
	all_todo(n);
}

/* -- life -- */

static void free_all(struct nodelb *n)
{
	struct svc *svc = table_next(&n->svcs, NULL), *next;

	for (; svc != NULL; svc = next) {
		next = table_next(&n->svcs, svc);
		free(svc->claims);
		svc_free(svc);
	}
	table_free(&n->svcs);
	table_free_all(&n->ports);
	forget_rows(n);
	list_init(&n->todo);
	list_init(&n->report);
}

struct nodelb *nodelb_new(const struct hash_key *hkey, const struct cluster *c)
{
	struct nodelb *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->hkey = *hkey;
	n->c = c;
	n->n_words = 1;
	n->adopting = true;
	outbox_init(&n->outbox);
	free_all(n);
	return n;
}

void nodelb_free(struct nodelb *n)
{
	if (n == NULL)
		return;
	free_all(n);
	nodeset_free(n->nodes);
	outbox_free(&n->outbox);
	free(n);
}

void nodelb_begin(struct nodelb *n)
{
	free_all(n);
	outbox_forget_all(&n->outbox);
	n->ready = false;
	n->adopting = true;
}

void nodelb_adopted(struct nodelb *n)
{
	n->ready = true;
}

bool nodelb_is_ready(const struct nodelb *n)
{
	return n->ready;
}

/* -- what the shell pulls -- */

bool nodelb_next_result(struct nodelb *n, uint64_t now_ms, struct nodelb_result *ret_r)
{
	struct svc *svc;

	n->now_ms = now_ms;
	settle(n);
	if (list_is_empty(&n->report))
		return false;
	svc = CONTAINER_OF(n->report.next, struct svc, telling);
	fill(n, svc, ret_r);
	svc->told = result_hash(n, svc, ret_r);
	take_back_news(svc);
	return true;
}

bool nodelb_why(const struct nodelb *n, const char *key, struct nodelb_result *ret_r)
{
	const struct svc *svc = n->nodes != NULL && n->conf != NULL ? svc_find(n, key) : NULL;

	if (svc != NULL)
		fill(n, svc, ret_r);
	return svc != NULL;
}

bool nodelb_next_write(struct nodelb *n, uint64_t now_ms, struct nodelb_write *ret_w)
{
	struct outbox_item *item;
	struct nodelb_result r;
	struct cluster_service s;
	struct svc *svc;
	uint64_t id;

	n->now_ms = now_ms;
	settle(n);
	item = outbox_due(&n->outbox, now_ms);
	if (item == NULL)
		return false;
	svc = CONTAINER_OF(item, struct svc, item);
	id = outbox_send(&n->outbox, item);
	if (id == 0) {
		outbox_queue(&n->outbox, item, OUTBOX_FIRST, now_ms);
		return false;
	}
	look(n, svc, &r);
	svc->written = hash_of_ips(n, &r);
	svc->put_in_flight = false;
	count_write(n, svc);
	memcpy(n->out, r.ips, r.n_ips * sizeof n->out[0]);
	s = copy_view(svc->copy);
	*ret_w = (struct nodelb_write){.key = s.key,
		.namespace_ = s.namespace_,
		.name = s.name,
		.uid = s.uid,
		.resource_version = s.resource_version,
		.ips = n->out,
		.n_ips = r.n_ips,
		.id = id};
	return true;
}

static void sync_again(struct nodelb *n, struct svc *svc)
{
	struct nodelb_result r;

	look(n, svc, &r);
	sync_write(n, svc, &r);
}

/* The write did not come to anything, or nobody knows: it still has to. */
static void again(struct nodelb *n, struct svc *svc, enum outbox_delay delay)
{
	svc->written = 0;
	if (svc->fails < MAX_FAILS)
		svc->fails++;
	outbox_queue(&n->outbox, &svc->item, delay, n->now_ms);
	sync_again(n, svc);
}

void nodelb_write_done(struct nodelb *n, uint64_t id, enum alloc_outcome outcome, uint64_t now_ms)
{
	struct outbox_item *item = outbox_land(&n->outbox, id);
	struct svc *svc;

	n->now_ms = now_ms;
	if (item == NULL)
		return;
	svc = CONTAINER_OF(item, struct svc, item);
	switch (outcome) {
	case ALLOC_WRITE_OK:
		svc->fails = 0;
		/* An object that came meanwhile is judged by itself; it may be the written one. */
		svc->doubt = !svc->put_in_flight;
		sync_again(n, svc);
		return;
	case ALLOC_WRITE_GONE:
		svc->doubt = true;
		sync_again(n, svc);
		return;
	case ALLOC_WRITE_CONFLICT:
		again(n, svc, outbox_conflict(svc->fails, svc->put_in_flight));
		return;
	case ALLOC_WRITE_FAILED:
		svc->doubt = !svc->put_in_flight; /* it may have been taken all the same */
		again(n, svc, outbox_backoff(svc->fails));
		return;
	case ALLOC_WRITE_NOT_SENT:
		again(n, svc, outbox_not_sent(svc->fails));
		return;
	}
}

uint64_t nodelb_next_deadline(const struct nodelb *n)
{
	uint64_t at;

	if (!n->ready || n->conf == NULL)
		return TIME_NEVER;
	if (n->nodes == NULL || n->generation != cluster_nodes_generation(n->c))
		return n->retry_ms;
	at = outbox_next_deadline(&n->outbox);
	return list_is_empty(&n->todo) ? at : 0;
}
