/* SPDX-License-Identifier: Apache-2.0
 *
 * announcer.c - which addresses are announced on which interface, and when: what ARP and NDP share.
 *
 * Owns: a table of (interface, address) with one deadline each, the MACs that are or were ours.
 *       No socket, no clock, no frame.
 * In:   the plan's addresses, rtnetlink's interfaces, foreign claims, ann_tick().
 * Out:  ann_proto.announce(); ann_ops.
 * RFCs: 5227 (defence 2.4 (c)); 4861 7.2.6 leaves repetition to its limits, which are not kept:
 *       see the burst.
 */
#include "announcer.h"

#include "deadline.h"
#include "table.h"

#include <errno.h>

enum {
	BURST_LEN = 7,
	DEFEND_INTERVAL_MS = 10000, /* RFC 5227 1.1 */
	OWN_MAC_MS = 60000,         /* OWNERSHIP R1 */
	OWN_MAC_MAX = 4 * ANN_MAX_IFACES,
	RETRY_MS = 2,
	GIVE_UP_MS = 200,
	TICK_MAX = 256,
	SLOW_SLOTS = 128,
	ASKERS_MAX = 64, /* remembered of an interface */
	ASKED_MS = 5 * 60 * 1000,
	REST_STEP = 1,      /* of the burst: the forms that step 0 did not send */
	INTRODUCE_STEP = 2, /* announcements of many addresses go first */
	AHEAD_MS = 60000,   /* by which a first announcement goes before the others */
	KEY_MAX = 4 + ANN_ADDR_MAX,
};

/* At 20 ms: the forms that the first announcement did not send. */
static const uint16_t burst_at_ms[BURST_LEN] = {0, 20, 100, 400, 800, 2000, 5000};

/* A MAC of ours. */
struct own {
	uint32_t hash;
	unsigned refs;     /* interfaces that have it now */
	uint64_t until_ms; /* no refs: counts as ours until then */
	uint8_t mac[6];
};

/* A foreign host that claimed one of our addresses: few ever have one. */
struct ann_foreign {
	uint64_t heard_ms, defended_ms;
	uint8_t mac[6];
	bool defended;
};

/* Who asked for what; one more may displace another. */
struct ann_askers {
	struct asker {
		uint64_t until_ms; /* 0 = none */
		uint8_t vip[ANN_ADDR_MAX], ip[ANN_ADDR_MAX];
		uint8_t mac[6];
	} v[ASKERS_MAX];
};

struct ann {
	const struct ann_proto *proto; /* borrowed */
	const struct ann_ops *ops;     /* borrowed */
	void *ctx;                     /* borrowed */
	struct counters *counters;     /* borrowed, may be NULL */
	struct hash_key hkey;
	uint64_t reannounce_ms;
	struct table ports;   /* of struct ann_port, owned, by ifindex */
	struct table own;     /* of struct own, owned, by MAC */
	struct table vips;    /* of struct ann_vip, owned */
	struct deadlines due; /* of every VIP's next announcement */
	uint64_t state[];     /* the protocol's */
};

/* ifindex in host order, then the address. */
struct key {
	uint8_t b[KEY_MAX];
	size_t n;
};

void *ann_state(struct ann *a)
{
	return a->state;
}

const struct hash_key *ann_hash_key(const struct ann *a)
{
	return &a->hkey;
}

void ann_bump(struct ann *a, enum counter_id id)
{
	counter_inc(a->counters, id);
}

static void count(struct ann *a, enum ann_counter what, uint64_t n)
{
	counter_add(a->counters, a->proto->counter[what], n);
}

/* -- our MACs -- */

static bool own_is(const void *elt, const void *key, size_t len)
{
	return memcmp(((const struct own *)elt)->mac, key, len) == 0;
}

static struct own *find_own(const struct ann *a, const uint8_t mac[6])
{
	return table_find(&a->own, hash_bytes(&a->hkey, mac, 6), own_is, mac, 6);
}

static bool is_member(const struct ann *a, const uint8_t mac[6])
{
	return a->ops->is_member != NULL && a->ops->is_member(a->ctx, mac);
}

bool ann_is_own_mac(const struct ann *a, const uint8_t mac[6], uint64_t now_ms)
{
	const struct own *o = find_own(a, mac);

	if (o == NULL || o->refs > 0)
		return o != NULL;
	return now_ms < o->until_ms && !is_member(a, mac);
}

/* Forgets MACs whose time is over, and when there are too many, the oldest. */
static void prune_own(struct ann *a, uint64_t now_ms)
{
	struct own *o, *next;

	for (o = table_next(&a->own, NULL); o != NULL; o = next) {
		next = table_next(&a->own, o);
		if (o->refs == 0 && (now_ms >= o->until_ms || a->own.live >= OWN_MAC_MAX)) {
			table_remove(&a->own, o);
			free(o);
		}
	}
}

static int take_mac(struct ann *a, const uint8_t mac[6], uint64_t now_ms)
{
	struct own *o = find_own(a, mac);

	if (o != NULL) {
		o->refs++;
		return 0;
	}
	prune_own(a, now_ms);
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return -ENOMEM;
	memcpy(o->mac, mac, sizeof(o->mac));
	o->hash = hash_bytes(&a->hkey, mac, sizeof(o->mac));
	o->refs = 1;
	if (table_add(&a->own, o) != 0) {
		free(o);
		return -ENOMEM;
	}
	return 0;
}

static void retire_mac(struct ann *a, const uint8_t mac[6], uint64_t now_ms)
{
	struct own *o = find_own(a, mac);

	REQUIRE(o != NULL && o->refs > 0);
	if (--o->refs == 0)
		o->until_ms = now_ms + OWN_MAC_MS;
}

/* -- tables -- */

struct ann *ann_new(const struct ann_proto *proto, const struct ann_ops *ops, void *ctx,
	const struct hash_key *hkey, struct counters *counters)
{
	struct ann *a = calloc(1, sizeof(*a) + proto->state_len);

	if (a == NULL)
		return NULL;
	a->proto = proto;
	a->ops = ops;
	a->ctx = ctx;
	a->hkey = *hkey;
	a->counters = counters;
	return a;
}

void ann_free(struct ann *a)
{
	struct ann_vip *v = NULL;
	struct ann_port *p = NULL;

	if (a == NULL)
		return;
	while ((v = table_next(&a->vips, v)) != NULL)
		free(v->foreign);
	table_free_all(&a->vips);
	while ((p = table_next(&a->ports, p)) != NULL)
		free(p->askers);
	table_free_all(&a->ports);
	table_free_all(&a->own);
	free(a->due.v);
	free(a);
}

static bool port_is(const void *elt, const void *key, size_t len)
{
	return memcmp(&((const struct ann_port *)elt)->ifindex, key, len) == 0;
}

struct ann_port *ann_port(const struct ann *a, unsigned ifindex)
{
	return table_find(&a->ports, hash_bytes(&a->hkey, &ifindex, sizeof(ifindex)), port_is,
		&ifindex, sizeof(ifindex));
}

static struct key make_key(const struct ann *a, unsigned ifindex, const uint8_t *ip)
{
	struct key k = {.n = sizeof(ifindex) + a->proto->addr_len};

	memcpy(k.b, &ifindex, sizeof(ifindex));
	memcpy(k.b + sizeof(ifindex), ip, a->proto->addr_len);
	return k;
}

static bool vip_is(const void *elt, const void *key, size_t len)
{
	const struct ann_vip *v = elt;
	const uint8_t *k = key;

	return memcmp(k, &v->port->ifindex, sizeof(v->port->ifindex)) == 0 &&
	       memcmp(k + sizeof(v->port->ifindex), v->ip, len - sizeof(v->port->ifindex)) == 0;
}

struct ann_vip *ann_vip(const struct ann *a, unsigned ifindex, const uint8_t *ip)
{
	const struct key k = make_key(a, ifindex, ip);

	return table_find(&a->vips, hash_bytes(&a->hkey, k.b, k.n), vip_is, k.b, k.n);
}

/* false: not of the family. */
static bool to_wire(const struct ann *a, struct addr ip, uint8_t ret_ip[ANN_ADDR_MAX])
{
	if (addr_family(ip) != a->proto->family)
		return false;
	if (a->proto->family == ADDR_V4)
		addr_to_v4(ip, ret_ip);
	else
		addr_to_v6(ip, ret_ip);
	return true;
}

static struct ann_vip *find_addr(const struct ann *a, unsigned ifindex, struct addr ip)
{
	uint8_t bytes[ANN_ADDR_MAX];

	return to_wire(a, ip, bytes) ? ann_vip(a, ifindex, bytes) : NULL;
}

static void drop_vip(struct ann *a, struct ann_vip *v)
{
	deadline_remove(&a->due, &v->next);
	table_remove(&a->vips, v);
	free(v->foreign);
	free(v);
}

/* -- when -- */

/* The next of v's moments in the slow repetition, after the given time. */
static uint64_t slow_ms(const struct ann *a, const struct ann_vip *v, uint64_t after_ms)
{
	uint64_t period = a->reannounce_ms, t;

	if (period == 0)
		return TIME_NEVER;
	t = after_ms - after_ms % period + period / SLOW_SLOTS * (v->hash % SLOW_SLOTS);
	return t > after_ms ? t : t + period;
}

/* When the next step of the burst is due. */
static uint64_t step_ms(const struct ann_vip *v, uint64_t now_ms)
{
	return now_ms - ((uint32_t)now_ms - v->burst) + burst_at_ms[v->step];
}

static void schedule(struct ann *a, struct ann_vip *v, uint64_t now_ms)
{
	uint64_t due_ms = v->step < BURST_LEN ? step_ms(v, now_ms) : slow_ms(a, v, now_ms);

	if (v->step == 0)
		due_ms -= time_min(due_ms, AHEAD_MS);
	v->late_ms = 0;
	deadline_set(&a->due, &v->next, due_ms);
}

/* Not now: at due_ms instead, which counts as late. */
static void postpone(struct ann *a, struct ann_vip *v, uint64_t due_ms)
{
	uint64_t late_ms = v->late_ms + due_ms - v->next.due;

	v->late_ms = (uint16_t)time_min(late_ms, UINT16_MAX);
	deadline_set(&a->due, &v->next, due_ms);
}

static void start_burst(struct ann *a, struct ann_vip *v, uint64_t now_ms)
{
	v->burst = (uint32_t)now_ms;
	v->step = 0;
	schedule(a, v, now_ms);
}

/* One announcement was sent, or lost for good: what it covers of the burst is done. */
static void finish_step(struct ann *a, struct ann_vip *v, uint64_t now_ms)
{
	if (v->step <= REST_STEP)
		v->step++; /* half an announcement, and nobody was introduced: it covers no other */
	else
		while (v->step < BURST_LEN && step_ms(v, now_ms) <= now_ms)
			v->step++;
	schedule(a, v, now_ms);
}

/* 0, or what send() said of the first frame that failed. */
static int announce(struct ann *a, struct ann_vip *v)
{
	unsigned forms = v->step == 0           ? ANN_FORM_FIRST
			 : v->step == REST_STEP ? ANN_FORM_REST
						: ANN_FORM_FIRST | ANN_FORM_REST;
	unsigned sent = 0;
	int rc = a->proto->announce(a, v, forms, &sent);

	v->announcements += sent;
	count(a, ANN_COUNT_ANNOUNCEMENTS, sent);
	return rc;
}

static void introduce_to(
	struct ann *a, const struct ann_vip *v, const uint8_t *ip, const uint8_t mac[6])
{
	if (a->proto->introduce(a, v, ip, mac) == 0)
		count(a, ANN_COUNT_INTRODUCTIONS, 1);
}

/* To each station that asked for v, and to the gateway.  One that is lost is not sent again: the
 * burst goes on. */
static void introduce(struct ann *a, const struct ann_vip *v, uint64_t now_ms)
{
	const struct ann_askers *askers = v->port->askers;
	uint8_t ip[ANN_ADDR_MAX];
	struct addr gateway;

	for (size_t i = 0; askers != NULL && i < ASKERS_MAX; i++) {
		const struct asker *s = &askers->v[i];

		if (now_ms < s->until_ms && memcmp(s->vip, v->ip, a->proto->addr_len) == 0)
			introduce_to(a, v, s->ip, s->mac);
	}
	if (a->ops->gateway != NULL &&
		a->ops->gateway(a->ctx, v->port->ifindex, a->proto->family, &gateway) &&
		to_wire(a, gateway, ip))
		introduce_to(a, v, ip, NULL);
}

void ann_note_asker(struct ann *a, struct ann_port *port, const uint8_t *vip, const uint8_t *ip,
	const uint8_t mac[6], uint64_t now_ms)
{
	size_t len = a->proto->addr_len;
	struct asker *s;

	if (port->askers == NULL)
		port->askers = calloc(1, sizeof(*port->askers));
	if (port->askers == NULL)
		return; /* out of memory: it hears of a take as all do */
	s = &port->askers->v[(ip[len - 1] + 7u * vip[len - 1]) % ASKERS_MAX];
	s->until_ms = now_ms + ASKED_MS;
	memcpy(s->vip, vip, len);
	memcpy(s->ip, ip, len);
	memcpy(s->mac, mac, sizeof(s->mac));
}

static void try_announce(struct ann *a, struct ann_vip *v, uint64_t now_ms)
{
	uint64_t first_ms = v->step == 0 ? step_ms(v, now_ms) : v->next.due - v->late_ms;
	bool last_try = now_ms >= first_ms + GIVE_UP_MS;
	int rc = -EAGAIN;

	if (v->port->blocked_ms <= now_ms)
		rc = announce(a, v);
	if (rc == 0 && v->step == INTRODUCE_STEP)
		introduce(a, v, now_ms);
	if (rc != -EAGAIN && rc != -ENOBUFS) {
		finish_step(a, v, now_ms);
		return;
	}
	if (v->port->blocked_ms <= now_ms)
		v->port->blocked_ms = now_ms + RETRY_MS;
	if (last_try)
		finish_step(a, v, now_ms);
	else
		postpone(a, v, v->port->blocked_ms);
}

uint64_t ann_next_deadline(const struct ann *a)
{
	const struct deadline *first = deadline_first(&a->due);

	return first != NULL ? first->due : TIME_NEVER;
}

/* Of many addresses that are taken at one time each is announced once before any is again: their
 * failover takes half as long. */
void ann_tick(struct ann *a, uint64_t now_ms)
{
	bool firsts = false;

	for (unsigned i = 0; i < TICK_MAX; i++) {
		struct deadline *d = deadline_first(&a->due);
		struct ann_vip *v;

		if (d == NULL || d->due > now_ms)
			return;
		v = CONTAINER_OF(d, struct ann_vip, next);
		if (firsts && v->step > 0)
			return;
		firsts |= v->step == 0;
		try_announce(a, v, now_ms);
	}
}

void ann_set_reannounce(struct ann *a, uint64_t reannounce_ms, uint64_t now_ms)
{
	struct ann_vip *v = NULL;

	if (reannounce_ms == a->reannounce_ms)
		return;
	a->reannounce_ms = reannounce_ms;
	while ((v = table_next(&a->vips, v)) != NULL)
		if (v->step == BURST_LEN)
			schedule(a, v, now_ms);
}

/* -- interfaces -- */

static int add_port(struct ann *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms)
{
	struct ann_port *p;
	int rc;

	if (a->ports.live >= ANN_MAX_IFACES)
		return -E2BIG;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->hash = hash_bytes(&a->hkey, &ifindex, sizeof(ifindex));
	p->ifindex = ifindex;
	memcpy(p->mac, mac, sizeof(p->mac));
	rc = table_add(&a->ports, p);
	if (rc != 0) {
		free(p);
		return rc;
	}
	rc = take_mac(a, mac, now_ms);
	if (rc != 0) {
		table_remove(&a->ports, p);
		free(p);
	}
	return rc;
}

int ann_set_iface(struct ann *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms)
{
	struct ann_port *p = ann_port(a, ifindex);
	struct ann_vip *v = NULL;
	int rc;

	if (p == NULL)
		return add_port(a, ifindex, mac, now_ms);
	if (memcmp(p->mac, mac, sizeof(p->mac)) == 0)
		return 0;
	rc = take_mac(a, mac, now_ms);
	if (rc != 0)
		return rc;
	retire_mac(a, p->mac, now_ms);
	memcpy(p->mac, mac, sizeof(p->mac));
	while ((v = table_next(&a->vips, v)) != NULL)
		if (v->port == p)
			start_burst(a, v, now_ms);
	return 0;
}

void ann_set_source(struct ann *a, unsigned ifindex, const struct addr *source)
{
	struct ann_port *p = ann_port(a, ifindex);

	if (p != NULL && (source == NULL || !to_wire(a, *source, p->source)))
		memset(p->source, 0, sizeof(p->source));
}

void ann_del_iface(struct ann *a, unsigned ifindex, uint64_t now_ms)
{
	struct ann_port *p = ann_port(a, ifindex);
	struct ann_vip *v, *next;

	if (p == NULL)
		return;
	for (v = table_next(&a->vips, NULL); v != NULL; v = next) {
		next = table_next(&a->vips, v);
		if (v->port == p)
			drop_vip(a, v);
	}
	retire_mac(a, p->mac, now_ms);
	table_remove(&a->ports, p);
	free(p->askers);
	free(p);
}

void ann_retain_ifaces(
	struct ann *a, bool (*keep)(void *ctx, unsigned ifindex), void *ctx, uint64_t now_ms)
{
	struct ann_port *p, *next;

	for (p = table_next(&a->ports, NULL); p != NULL; p = next) {
		next = table_next(&a->ports, p);
		if (!keep(ctx, p->ifindex))
			ann_del_iface(a, p->ifindex, now_ms);
	}
}

/* -- addresses -- */

static int insert_vip(struct ann *a, struct ann_vip *v)
{
	if (table_add(&a->vips, v) < 0)
		return -ENOMEM;
	if (deadline_add(&a->due, &v->next) != 0) {
		table_remove(&a->vips, v);
		return -ENOMEM;
	}
	return 0;
}

static struct ann_vip *vip_new(
	const struct ann *a, struct ann_port *port, const uint8_t *ip, uint64_t now_ms)
{
	size_t size = offsetof(struct ann_vip, ip) + a->proto->addr_len;
	struct ann_vip *v = calloc(1, size > sizeof(*v) ? size : sizeof(*v));
	struct key k;

	if (v == NULL)
		return NULL;
	k = make_key(a, port->ifindex, ip);
	v->hash = hash_bytes(&a->hkey, k.b, k.n);
	memcpy(v->ip, ip, a->proto->addr_len);
	v->port = port;
	v->since_ms = now_ms;
	v->next.due = TIME_NEVER;
	return v;
}

int ann_add(struct ann *a, unsigned ifindex, struct addr ip, uint64_t now_ms)
{
	struct ann_port *port = ann_port(a, ifindex);
	uint8_t bytes[ANN_ADDR_MAX];
	struct ann_vip *v;

	if (!to_wire(a, ip, bytes))
		return -EINVAL;
	if (port == NULL)
		return -ENODEV;
	if (ann_vip(a, ifindex, bytes) != NULL)
		return 0;
	if (a->due.n >= ANN_MAX_VIPS)
		return -E2BIG;
	v = vip_new(a, port, bytes, now_ms);
	if (v == NULL)
		return -ENOMEM;
	if (insert_vip(a, v) != 0) {
		free(v);
		return -ENOMEM;
	}
	start_burst(a, v, now_ms);
	return 0;
}

void ann_del(struct ann *a, unsigned ifindex, struct addr ip)
{
	struct ann_vip *v = find_addr(a, ifindex, ip);

	if (v != NULL)
		drop_vip(a, v);
}

int ann_announce(struct ann *a, unsigned ifindex, struct addr ip, uint64_t now_ms)
{
	struct ann_vip *v = find_addr(a, ifindex, ip);

	if (v == NULL)
		return -ENOENT;
	if (v->next.due > now_ms) {
		if (v->step == REST_STEP)
			v->step++; /* in all its forms */
		v->late_ms = 0;
		deadline_set(&a->due, &v->next, now_ms);
	}
	return 0;
}

int ann_probe(struct ann *a, unsigned ifindex, struct addr ip, uint64_t now_ms)
{
	return ann_probe_unicast(a, ifindex, ip, NULL, now_ms);
}

int ann_probe_unicast(
	struct ann *a, unsigned ifindex, struct addr ip, const uint8_t mac[6], uint64_t now_ms)
{
	const struct ann_port *port = ann_port(a, ifindex);
	uint8_t bytes[ANN_ADDR_MAX];
	int rc;

	if (!to_wire(a, ip, bytes))
		return -EINVAL;
	if (port == NULL)
		return -ENODEV;
	rc = a->proto->probe(a, port, bytes, mac, now_ms);
	if (rc == 0)
		count(a, ANN_COUNT_PROBES, 1);
	return rc;
}

/* -- frames -- */

void ann_on_frame(
	struct ann *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms)
{
	a->proto->on_frame(a, ifindex, frame, len, now_ms);
}

bool ann_is_station(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return (mac[0] & 1) == 0 && memcmp(mac, zero, sizeof(zero)) != 0;
}

int ann_send(struct ann *a, const struct ann_port *port, const uint8_t *frame, size_t len)
{
	int rc = a->ops->send(a->ctx, port->ifindex, frame, len);

	if (rc != 0)
		count(a, ANN_COUNT_SEND_ERRORS, 1);
	return rc;
}

static struct addr addr_of(const struct ann *a, const uint8_t *ip)
{
	return a->proto->family == ADDR_V4 ? addr_from_v4(ip) : addr_from_v6(ip);
}

void ann_tell(struct ann *a, enum ann_heard what, unsigned ifindex, const uint8_t *ip,
	const uint8_t mac[6])
{
	a->ops->heard(a->ctx, what, ifindex, addr_of(a, ip), mac);
}

bool ann_is_bound(const struct ann *a, const struct ann_vip *v)
{
	return a->ops->is_bound != NULL &&
	       a->ops->is_bound(a->ctx, v->port->ifindex, addr_of(a, v->ip));
}

void ann_answered(struct ann *a, struct ann_vip *v, int rc)
{
	v->requests++;
	v->unanswered += rc != 0;
	count(a, ANN_COUNT_REQUESTS, 1);
	count(a, ANN_COUNT_REPLIES, rc == 0);
}

void ann_on_sender(struct ann *a, unsigned ifindex, const uint8_t *ip, const uint8_t mac[6])
{
	if (ann_vip(a, ifindex, ip) == NULL)
		return;
	count(a, ANN_COUNT_SENDER_IS_VIP, 1);
	ann_tell(a, ANN_HEARD_SENDER, ifindex, ip, mac);
}

static void defend(struct ann *a, struct ann_vip *v, const uint8_t mac[6], uint64_t now_ms)
{
	struct ann_foreign *f = v->foreign != NULL ? v->foreign : calloc(1, sizeof(*f));

	if (f == NULL)
		return; /* out of memory: a defence without a memory of it would not be limited */
	v->foreign = f;
	f->heard_ms = now_ms;
	memcpy(f->mac, mac, sizeof(f->mac));
	if (f->defended && now_ms < f->defended_ms + DEFEND_INTERVAL_MS)
		return;
	f->defended = true;
	f->defended_ms = now_ms;
	if (announce(a, v) == 0)
		count(a, ANN_COUNT_DEFENCES, 1);
}

void ann_on_claim(
	struct ann *a, unsigned ifindex, const uint8_t *ip, const uint8_t mac[6], uint64_t now_ms)
{
	struct ann_vip *v;

	if (ann_vip(a, ifindex, ip) != NULL)
		count(a, ANN_COUNT_CLAIMS_HEARD, 1);
	ann_tell(a, ANN_HEARD_CLAIM, ifindex, ip, mac);
	v = ann_vip(a, ifindex, ip); /* heard() may have given it up */
	if (v == NULL || is_member(a, mac))
		return;
	defend(a, v, mac, now_ms);
}

/* -- for status -- */

bool ann_info(const struct ann *a, unsigned ifindex, struct addr ip, struct ann_info *ret_i)
{
	const struct ann_vip *v = find_addr(a, ifindex, ip);

	if (v == NULL)
		return false;
	*ret_i = (struct ann_info){.ifindex = ifindex,
		.ip = ip,
		.since_ms = v->since_ms,
		.requests = v->requests,
		.replies = v->requests - v->unanswered,
		.announcements = v->announcements,
		.foreign = v->foreign != NULL};
	if (v->foreign == NULL)
		return true;
	ret_i->foreign_ms = v->foreign->heard_ms;
	memcpy(ret_i->foreign_mac, v->foreign->mac, sizeof(ret_i->foreign_mac));
	return true;
}

size_t ann_count(const struct ann *a)
{
	return a->due.n;
}
