/* SPDX-License-Identifier: Apache-2.0
 *
 * arp.c - answer and announce IPv4 service addresses with ARP.
 *
 * Owns: a table of (interface, address) with one deadline each, the MACs that are or were ours.
 *       No socket, no clock.
 * In:   frames -> arp_on_frame(); arp_add() and arp_del() from the plan; arp_set_iface() from
 *       rtnetlink; arp_tick() when arp_next_deadline() has come.
 * Out:  replies, announcements and probes through arp_ops.send(); arp_ops.heard().
 * RFCs: 826 (format, reply), 5227 (probe 2.1.1, announcement 2.3, defence 2.4 (c)).
 * Not done: 5227's own timing of probe and announcement (shared OWNERSHIP F26 says why); its rate
 *       limit after ten conflicts (we never look for another address); VLAN tags: such a frame is
 *       of another segment than the interface it came by, and is dropped.
 *
 * An announcement is two frames, both of which Linux obeys at once: the request of RFC 5227 2.3,
 * and a reply with target = sender hardware address.  The usual gratuitous reply, target
 * ff:ff:ff:ff:ff:ff, is ignored by a Linux neighbour confirmed less than a second ago (`locktime`),
 * and never sent here.
 */
#include "arp.h"

#include "bytes.h"
#include "table.h"

#include <errno.h>

enum {
	FRAME_ARP = 0x0806,
	HTYPE_ETHERNET = 1,
	PTYPE_IPV4 = 0x0800,
	OP_REQUEST = 1,
	OP_REPLY = 2,
	ETHER_HEADER_LEN = 14,
};

enum {
	BURST_LEN = 6,
	DEFEND_INTERVAL_MS = 10000, /* RFC 5227 1.1 */
	OWN_MAC_MS = 60000,         /* OWNERSHIP R1 */
	OWN_MAC_MAX = 4 * ARP_MAX_IFACES,
	RETRY_MS = 2,
	GIVE_UP_MS = 200,
	TICK_MAX = 256,
	SLOW_SLOTS = 128,
};

static const uint16_t burst_at_ms[BURST_LEN] = {0, 100, 400, 800, 2000, 5000};
static const uint8_t mac_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t mac_zero[6];
static const uint8_t ip_zero[4];

struct port {
	unsigned ifindex;
	uint8_t mac[6];
	uint64_t blocked_ms; /* its queue was full: no announcement before this */
	UT_hash_handle hh;
};

/* A MAC of ours. */
struct own {
	uint8_t mac[6];
	unsigned refs;     /* interfaces that have it now */
	uint64_t until_ms; /* no refs: counts as ours until then */
	UT_hash_handle hh;
};

struct key {
	uint8_t ifindex[4]; /* host order */
	uint8_t ip[4];
};

/* A foreign host that claimed one of our addresses: few ever have one. */
struct foreign {
	uint64_t heard_ms, defended_ms;
	uint8_t mac[6];
	bool defended;
};

/* There are as many as VIPs: kept small (72 bytes). */
struct vip {
	uint32_t hash; /* of struct key */
	uint8_t ip[4];
	struct port *port; /* borrowed; never NULL */
	uint32_t heap_at;
	uint16_t late_ms;  /* how long before due_ms the announcement was first due; saturated */
	uint8_t step;      /* of the burst: the next one to send; BURST_LEN = burst is over */
	uint64_t burst_ms; /* when the burst began */
	uint64_t due_ms;   /* when to try the next announcement */
	uint64_t since_ms;
	uint64_t requests;
	uint32_t unanswered; /* of the requests: the reply could not be sent */
	uint32_t announcements;
	struct foreign *foreign; /* owned; NULL = none was heard */
};

struct arp {
	const struct arp_ops *ops; /* borrowed */
	void *ctx;                 /* borrowed */
	struct counters *counters; /* borrowed, may be NULL */
	struct hash_key hkey;
	uint64_t reannounce_ms;
	struct port *ports; /* owned, by ifindex */
	struct own *own;    /* owned, by MAC */
	struct table vips;  /* of struct vip, owned */
	struct vip **heap;  /* owned; every VIP, the one due first on top */
	uint32_t n_heap, heap_cap;
};

/* -- codec -- */

struct packet {
	uint8_t dst[6];
	uint16_t op;
	uint8_t sha[6], spa[4], tpa[4];
};

static bool is_zero_ip(const uint8_t ip[4])
{
	return memcmp(ip, ip_zero, sizeof(ip_zero)) == 0;
}

/* A host's own address: unicast, not zero. */
static bool is_station_mac(const uint8_t mac[6])
{
	return (mac[0] & 1) == 0 && memcmp(mac, mac_zero, sizeof(mac_zero)) != 0;
}

/* false, and the counter of the reason.  What follows the packet is padding. */
static bool decode(const uint8_t *frame, size_t len, struct packet *ret_p, enum counter_id *ret_why)
{
	struct rd r = rd_init(frame, len);
	uint16_t htype, ptype;
	uint8_t hlen, plen;

	*ret_why = COUNTER_ARP_DROP_SHORT;
	rd_copy(&r, ret_p->dst, 6);
	rd_skip(&r, 6); /* the Ethernet source: access points and bonds put their own there */
	if (rd_be16(&r) != FRAME_ARP && !r.bad)
		*ret_why = COUNTER_ARP_DROP_ETHERTYPE;
	if (r.bad || *ret_why == COUNTER_ARP_DROP_ETHERTYPE)
		return false;
	htype = rd_be16(&r);
	ptype = rd_be16(&r);
	hlen = rd_u8(&r);
	plen = rd_u8(&r);
	ret_p->op = rd_be16(&r);
	rd_copy(&r, ret_p->sha, 6);
	rd_copy(&r, ret_p->spa, 4);
	rd_skip(&r, 6); /* tha means nothing in a request, and says nothing in a reply */
	rd_copy(&r, ret_p->tpa, 4);
	if (r.bad)
		return false;
	*ret_why = COUNTER_ARP_DROP_FORMAT;
	if (htype != HTYPE_ETHERNET || ptype != PTYPE_IPV4 || hlen != 6 || plen != 4 ||
		(ret_p->op != OP_REQUEST && ret_p->op != OP_REPLY))
		return false;
	*ret_why = COUNTER_ARP_DROP_SENDER;
	return is_station_mac(ret_p->sha) && ret_p->spa[0] < 224 &&
	       !(is_zero_ip(ret_p->spa) && (ret_p->op == OP_REPLY || is_zero_ip(ret_p->tpa)));
}

struct arp_fields {
	const uint8_t *dst; /* Ethernet destination */
	uint16_t op;
	const uint8_t *spa, *tha, *tpa;
};

static int send_frame(struct arp *a, const struct port *port, const struct arp_fields *f)
{
	uint8_t frame[ARP_FRAME_LEN];
	struct wr w = wr_init(frame, sizeof(frame));
	int rc;

	wr_bytes(&w, f->dst, 6);
	wr_bytes(&w, port->mac, 6);
	wr_be16(&w, FRAME_ARP);
	wr_be16(&w, HTYPE_ETHERNET);
	wr_be16(&w, PTYPE_IPV4);
	wr_u8(&w, 6);
	wr_u8(&w, 4);
	wr_be16(&w, f->op);
	wr_bytes(&w, port->mac, 6);
	wr_bytes(&w, f->spa, 4);
	wr_bytes(&w, f->tha, 6);
	wr_bytes(&w, f->tpa, 4);
	REQUIRE(wr_len(&w) == ARP_FRAME_LEN);
	rc = a->ops->send(a->ctx, port->ifindex, frame, sizeof(frame));
	if (rc != 0)
		counter_inc(a->counters, COUNTER_ARP_SEND_ERRORS);
	return rc;
}

/* -- the heap of deadlines -- */

static void heap_put(struct arp *a, uint32_t at, struct vip *v)
{
	a->heap[at] = v;
	v->heap_at = at;
}

static void heap_up(struct arp *a, struct vip *v)
{
	uint32_t at = v->heap_at;

	while (at > 0 && a->heap[(at - 1) / 2]->due_ms > v->due_ms) {
		heap_put(a, at, a->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(a, at, v);
}

static void heap_down(struct arp *a, struct vip *v)
{
	uint32_t at = v->heap_at;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < a->n_heap && a->heap[child + 1]->due_ms < a->heap[child]->due_ms)
			child++;
		if (child >= a->n_heap || a->heap[child]->due_ms >= v->due_ms)
			break;
		heap_put(a, at, a->heap[child]);
		at = child;
	}
	heap_put(a, at, v);
}

static void set_due(struct arp *a, struct vip *v, uint64_t due_ms)
{
	v->due_ms = due_ms;
	heap_up(a, v);
	heap_down(a, v);
}

static int heap_add(struct arp *a, struct vip *v)
{
	uint32_t cap = a->heap_cap + a->heap_cap / 4 + 64;
	struct vip **heap;

	if (a->n_heap == a->heap_cap) {
		heap = realloc(a->heap, cap * sizeof(struct vip *));
		if (heap == NULL)
			return -ENOMEM;
		a->heap = heap;
		a->heap_cap = cap;
	}
	heap_put(a, a->n_heap++, v);
	heap_up(a, v);
	return 0;
}

static void heap_remove(struct arp *a, const struct vip *v)
{
	struct vip *last = a->heap[--a->n_heap];

	if (last == v)
		return;
	heap_put(a, v->heap_at, last);
	heap_up(a, last);
	heap_down(a, last);
}

/* -- our MACs -- */

static struct own *find_own(const struct arp *a, const uint8_t mac[6])
{
	struct own *o;

	HASH_FIND_KEYED(hh, a->own, &a->hkey, mac, 6, o);
	return o;
}

bool arp_is_own_mac(const struct arp *a, const uint8_t mac[6], uint64_t now_ms)
{
	const struct own *o = find_own(a, mac);

	return o != NULL && (o->refs > 0 || now_ms < o->until_ms);
}

/* Forgets MACs whose time is over, and when there are too many, the oldest.
 *
 * (The analyzer takes a table's head for an element that may have a predecessor, and so for freed.)
 * NOLINTBEGIN(clang-analyzer-unix.Malloc) */
static void prune_own(struct arp *a, uint64_t now_ms)
{
	struct own *o, *tmp;

	HASH_ITER (hh, a->own, o, tmp)
		if (o->refs == 0 && (now_ms >= o->until_ms || HASH_COUNT(a->own) >= OWN_MAC_MAX)) {
			HASH_DEL(a->own, o);
			free(o);
		}
}

static int take_mac(struct arp *a, const uint8_t mac[6], uint64_t now_ms)
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
	o->refs = 1;
	HASH_ADD_KEYED(hh, a->own, &a->hkey, o->mac, sizeof(o->mac), o);
	if (hash_oom(o)) {
		free(o);
		return -ENOMEM;
	}
	return 0;
}

static void retire_mac(struct arp *a, const uint8_t mac[6], uint64_t now_ms)
{
	struct own *o = find_own(a, mac);

	REQUIRE(o != NULL && o->refs > 0);
	if (--o->refs == 0)
		o->until_ms = now_ms + OWN_MAC_MS;
}

/* -- tables -- */

struct arp *arp_new(const struct arp_ops *ops, void *ctx, const struct hash_key *hkey,
	struct counters *counters)
{
	struct arp *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->ops = ops;
	a->ctx = ctx;
	a->hkey = *hkey;
	a->counters = counters;
	return a;
}

void arp_free(struct arp *a)
{
	struct vip *v = NULL;
	struct port *p, *p_tmp;
	struct own *o, *o_tmp;

	if (a == NULL)
		return;
	while ((v = table_next(&a->vips, v)) != NULL)
		free(v->foreign);
	table_free_all(&a->vips);
	HASH_ITER (hh, a->ports, p, p_tmp) {
		HASH_DEL(a->ports, p);
		free(p);
	}
	HASH_ITER (hh, a->own, o, o_tmp) {
		HASH_DEL(a->own, o);
		free(o);
	}
	free(a->heap);
	free(a);
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

static struct port *find_port(const struct arp *a, unsigned ifindex)
{
	struct port *p;

	HASH_FIND_KEYED(hh, a->ports, &a->hkey, &ifindex, sizeof(ifindex), p);
	return p;
}

static struct key make_key(unsigned ifindex, const uint8_t ip[4])
{
	struct key k;

	memcpy(k.ifindex, &ifindex, sizeof(k.ifindex));
	memcpy(k.ip, ip, sizeof(k.ip));
	return k;
}

static uint32_t hash_key_of(const struct arp *a, const struct key *k)
{
	return hash_bytes(&a->hkey, k, sizeof(*k));
}

static bool vip_is(const void *elt, const void *key, size_t len)
{
	const struct vip *v = elt;
	const struct key k = make_key(v->port->ifindex, v->ip);

	return memcmp(&k, key, len) == 0;
}

static struct vip *find_vip(const struct arp *a, unsigned ifindex, const uint8_t ip[4])
{
	const struct key k = make_key(ifindex, ip);

	return table_find(&a->vips, hash_key_of(a, &k), vip_is, &k, sizeof(k));
}

static struct vip *find_addr(const struct arp *a, unsigned ifindex, struct addr ip)
{
	uint8_t bytes[4];

	if (addr_family(ip) != ADDR_V4)
		return NULL;
	addr_to_v4(ip, bytes);
	return find_vip(a, ifindex, bytes);
}

static void drop_vip(struct arp *a, struct vip *v)
{
	heap_remove(a, v);
	table_remove(&a->vips, v);
	free(v->foreign);
	free(v);
}

/* -- when -- */

/* The next of v's moments in the slow repetition, after the given time. */
static uint64_t slow_ms(const struct arp *a, const struct vip *v, uint64_t after_ms)
{
	uint64_t period = a->reannounce_ms, t;

	if (period == 0)
		return TIME_NEVER;
	t = after_ms - after_ms % period + period / SLOW_SLOTS * (v->hash % SLOW_SLOTS);
	return t > after_ms ? t : t + period;
}

static void schedule(struct arp *a, struct vip *v, uint64_t now_ms)
{
	uint64_t due_ms =
		v->step < BURST_LEN ? v->burst_ms + burst_at_ms[v->step] : slow_ms(a, v, now_ms);

	v->late_ms = 0;
	set_due(a, v, due_ms);
}

/* Not now: at due_ms instead, which counts as late. */
static void postpone(struct arp *a, struct vip *v, uint64_t due_ms)
{
	uint64_t late_ms = v->late_ms + due_ms - v->due_ms;

	v->late_ms = (uint16_t)time_min(late_ms, UINT16_MAX);
	set_due(a, v, due_ms);
}

static void start_burst(struct arp *a, struct vip *v, uint64_t now_ms)
{
	v->burst_ms = now_ms;
	v->step = 0;
	schedule(a, v, now_ms);
}

/* One announcement was sent, or lost for good: what it covers of the burst is done. */
static void finish_step(struct arp *a, struct vip *v, uint64_t now_ms)
{
	while (v->step < BURST_LEN && v->burst_ms + burst_at_ms[v->step] <= now_ms)
		v->step++;
	schedule(a, v, now_ms);
}

/* 0, or what send() said of the first frame that failed. */
static int announce(struct arp *a, struct vip *v)
{
	const struct arp_fields request = {mac_broadcast, OP_REQUEST, v->ip, mac_zero, v->ip};
	const struct arp_fields reply = {mac_broadcast, OP_REPLY, v->ip, v->port->mac, v->ip};
	int rc = send_frame(a, v->port, &request);
	unsigned sent = rc == 0;

	if (rc == 0) {
		rc = send_frame(a, v->port, &reply);
		sent += rc == 0;
	}
	v->announcements += sent;
	counter_add(a->counters, COUNTER_ARP_ANNOUNCEMENTS, sent);
	return rc;
}

static void try_announce(struct arp *a, struct vip *v, uint64_t now_ms)
{
	bool last_try = now_ms >= v->due_ms - v->late_ms + GIVE_UP_MS;
	int rc = -EAGAIN;

	if (v->port->blocked_ms <= now_ms)
		rc = announce(a, v);
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

uint64_t arp_next_deadline(const struct arp *a)
{
	return a->n_heap > 0 ? a->heap[0]->due_ms : TIME_NEVER;
}

void arp_tick(struct arp *a, uint64_t now_ms)
{
	for (unsigned i = 0; i < TICK_MAX && arp_next_deadline(a) <= now_ms; i++)
		try_announce(a, a->heap[0], now_ms);
}

void arp_set_reannounce(struct arp *a, uint64_t reannounce_ms, uint64_t now_ms)
{
	struct vip *v = NULL;

	if (reannounce_ms == a->reannounce_ms)
		return;
	a->reannounce_ms = reannounce_ms;
	while ((v = table_next(&a->vips, v)) != NULL)
		if (v->step == BURST_LEN)
			schedule(a, v, now_ms);
}

/* -- interfaces -- */

static int add_port(struct arp *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms)
{
	struct port *p;
	int rc;

	if (HASH_COUNT(a->ports) >= ARP_MAX_IFACES)
		return -E2BIG;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->ifindex = ifindex;
	memcpy(p->mac, mac, sizeof(p->mac));
	HASH_ADD_KEYED(hh, a->ports, &a->hkey, &p->ifindex, sizeof(p->ifindex), p);
	if (hash_oom(p)) {
		free(p);
		return -ENOMEM;
	}
	rc = take_mac(a, mac, now_ms);
	if (rc != 0) {
		HASH_DEL(a->ports, p);
		free(p);
	}
	return rc;
}

int arp_set_iface(struct arp *a, unsigned ifindex, const uint8_t mac[6], uint64_t now_ms)
{
	struct port *p = find_port(a, ifindex);
	struct vip *v = NULL;
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

void arp_del_iface(struct arp *a, unsigned ifindex, uint64_t now_ms)
{
	struct port *p = find_port(a, ifindex);
	struct vip *v, *next;

	if (p == NULL)
		return;
	for (v = table_next(&a->vips, NULL); v != NULL; v = next) {
		next = table_next(&a->vips, v);
		if (v->port == p)
			drop_vip(a, v);
	}
	retire_mac(a, p->mac, now_ms);
	HASH_DEL(a->ports, p); /* NOLINT(clang-analyzer-core.NullDereference): see above */
	free(p);
}

void arp_retain_ifaces(
	struct arp *a, bool (*keep)(void *ctx, unsigned ifindex), void *ctx, uint64_t now_ms)
{
	struct port *p, *tmp;

	HASH_ITER (hh, a->ports, p, tmp)
		if (!keep(ctx, p->ifindex))
			arp_del_iface(a, p->ifindex, now_ms);
}

/* -- addresses -- */

static int insert_vip(struct arp *a, struct vip *v)
{
	if (table_add(&a->vips, v) < 0)
		return -ENOMEM;
	if (heap_add(a, v) != 0) {
		table_remove(&a->vips, v);
		return -ENOMEM;
	}
	return 0;
}

int arp_add(struct arp *a, unsigned ifindex, struct addr ip, uint64_t now_ms)
{
	struct port *port = find_port(a, ifindex);
	uint8_t bytes[4];
	struct vip *v;
	struct key k;

	if (addr_family(ip) != ADDR_V4)
		return -EINVAL;
	if (port == NULL)
		return -ENODEV;
	addr_to_v4(ip, bytes);
	if (find_vip(a, ifindex, bytes) != NULL)
		return 0;
	if (a->n_heap >= ARP_MAX_VIPS)
		return -E2BIG;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	k = make_key(ifindex, bytes);
	v->hash = hash_key_of(a, &k);
	memcpy(v->ip, bytes, sizeof(v->ip));
	v->port = port;
	v->since_ms = now_ms;
	v->due_ms = TIME_NEVER;
	if (insert_vip(a, v) != 0) {
		free(v);
		return -ENOMEM;
	}
	start_burst(a, v, now_ms);
	return 0;
}

void arp_del(struct arp *a, unsigned ifindex, struct addr ip)
{
	struct vip *v = find_addr(a, ifindex, ip);

	if (v != NULL)
		drop_vip(a, v);
}

int arp_announce(struct arp *a, unsigned ifindex, struct addr ip, uint64_t now_ms)
{
	struct vip *v = find_addr(a, ifindex, ip);

	if (v == NULL)
		return -ENOENT;
	if (v->due_ms > now_ms) {
		v->late_ms = 0;
		set_due(a, v, now_ms);
	}
	return 0;
}

int arp_probe(struct arp *a, unsigned ifindex, struct addr ip)
{
	const struct port *port = find_port(a, ifindex);
	uint8_t tpa[4];
	const struct arp_fields probe = {mac_broadcast, OP_REQUEST, ip_zero, mac_zero, tpa};
	int rc;

	if (addr_family(ip) != ADDR_V4)
		return -EINVAL;
	if (port == NULL)
		return -ENODEV;
	addr_to_v4(ip, tpa);
	rc = send_frame(a, port, &probe);
	if (rc == 0)
		counter_inc(a->counters, COUNTER_ARP_PROBES);
	return rc;
}

/* -- frames -- */

static void tell(struct arp *a, enum arp_heard what, unsigned ifindex, const uint8_t ip[4],
	const struct packet *p)
{
	a->ops->heard(a->ctx, what, ifindex, addr_from_v4(ip), p->sha);
}

/* To the asker alone, at its hardware address as RFC 826 has it. */
static void answer(struct arp *a, struct vip *v, const struct packet *p)
{
	const struct arp_fields reply = {p->sha, OP_REPLY, p->tpa, p->sha, p->spa};

	v->requests++;
	counter_inc(a->counters, COUNTER_ARP_REQUESTS);
	if (send_frame(a, v->port, &reply) != 0) {
		v->unanswered++;
		return;
	}
	counter_inc(a->counters, COUNTER_ARP_REPLIES);
}

static void defend(struct arp *a, struct vip *v, const struct packet *p, uint64_t now_ms)
{
	struct foreign *f = v->foreign != NULL ? v->foreign : calloc(1, sizeof(*f));

	if (f == NULL)
		return; /* out of memory: a defence without a memory of it would not be limited */
	v->foreign = f;
	f->heard_ms = now_ms;
	memcpy(f->mac, p->sha, sizeof(f->mac));
	if (f->defended && now_ms < f->defended_ms + DEFEND_INTERVAL_MS)
		return;
	f->defended = true;
	f->defended_ms = now_ms;
	if (announce(a, v) == 0)
		counter_inc(a->counters, COUNTER_ARP_DEFENCES);
}

static void on_claim(struct arp *a, unsigned ifindex, const struct packet *p, uint64_t now_ms)
{
	struct vip *v;

	if (find_vip(a, ifindex, p->spa) != NULL)
		counter_inc(a->counters, COUNTER_ARP_CLAIMS_HEARD);
	tell(a, ARP_HEARD_CLAIM, ifindex, p->spa, p);
	v = find_vip(a, ifindex, p->spa); /* heard() may have given it up */
	if (v == NULL || (a->ops->is_member != NULL && a->ops->is_member(a->ctx, p->sha)))
		return;
	defend(a, v, p, now_ms);
}

static void on_request(struct arp *a, unsigned ifindex, const struct packet *p)
{
	struct vip *v = find_vip(a, ifindex, p->tpa);

	if (v != NULL)
		answer(a, v, p);
	if (is_zero_ip(p->spa)) {
		tell(a, ARP_HEARD_PROBE, ifindex, p->tpa, p);
	} else if (find_vip(a, ifindex, p->spa) != NULL) {
		counter_inc(a->counters, COUNTER_ARP_SENDER_IS_VIP);
		tell(a, ARP_HEARD_SENDER, ifindex, p->spa, p);
	}
}

/* Is the frame for this interface: to all, or to its own MAC?  Bridges flood what is for others. */
static bool is_for(const struct port *port, const struct packet *p)
{
	return memcmp(p->dst, mac_broadcast, 6) == 0 || memcmp(p->dst, port->mac, 6) == 0;
}

void arp_on_frame(
	struct arp *a, unsigned ifindex, const uint8_t *frame, size_t len, uint64_t now_ms)
{
	const struct port *port = find_port(a, ifindex);
	enum counter_id why;
	struct packet p;

	if (!decode(frame, len, &p, &why))
		counter_inc(a->counters, why);
	else if (arp_is_own_mac(a, p.sha, now_ms))
		counter_inc(a->counters, COUNTER_ARP_DROP_OWN);
	else if (port == NULL || !is_for(port, &p))
		counter_inc(a->counters, COUNTER_ARP_DROP_IFACE);
	else if (memcmp(p.spa, p.tpa, sizeof(p.spa)) == 0)
		on_claim(a, ifindex, &p, now_ms);
	else if (p.op == OP_REPLY)
		tell(a, ARP_HEARD_ANSWER, ifindex, p.spa, &p);
	else
		on_request(a, ifindex, &p);
}

/* -- for status -- */

bool arp_info(const struct arp *a, unsigned ifindex, struct addr ip, struct arp_vip_info *ret_i)
{
	const struct vip *v = find_addr(a, ifindex, ip);

	if (v == NULL)
		return false;
	*ret_i = (struct arp_vip_info){.ifindex = ifindex,
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

size_t arp_count(const struct arp *a)
{
	return a->n_heap;
}
