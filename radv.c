/* SPDX-License-Identifier: Apache-2.0
 *
 * radv.c - Router Advertisements: the router on a link of an unnumbered BGP peer.
 *
 * Owns: the links that are wanted, the router of each.  No socket, no clock.
 * In:   ICMPv6 messages -> radv_on_message(); radv_tick() when radv_next_deadline() has come.
 * Out:  advertisements and solicitations by radv_ops.send(), from radv_tick() alone;
 *       radv_ops.changed().
 * RFCs: 4861 (validation 6.1, sending 6.2.4, answers to solicitations 6.2.6, soliciting 6.3.7, form
 *       4.1, 4.2, 4.6.1).
 * Not done: being a default router (what is sent has lifetime 0 and nothing specified: 6.2.5 has
 *       nothing to take back, 6.2.7 nothing to compare); reading options; unicast answers.
 *
 * A router is an address of the link that advertises, whatever its lifetime: one that is no default
 * router says 0 and is a peer all the same.  So that neither a short lifetime nor a long interval
 * makes it come and go, it is held for HOLD_LEAST_MS at least, and solicited before it expires.
 *
 * While none is known, the first advertisements go with solicitations: a router that runs already
 * is found at once, and one that comes later advertises by itself and is advertised to in answer.
 */
#include "radv.h"

#include "bytes.h"

#include <errno.h>

enum {
	TYPE_SOLICITATION = 133,
	TYPE_ADVERTISEMENT = 134,
	HOP_LIMIT = 255,
	OPTION_SOURCE = 1,
	OPTION_UNIT = 8,
	MAC_LEN = 6,
};

/* Between advertisements (10). */
enum {
	INTERVAL_LEAST_MS = 10000, /* MinRtrAdvInterval */
	INTERVAL_MOST_MS = 15000,  /* MaxRtrAdvInterval */
	INITIAL = 3,               /* MAX_INITIAL_RTR_ADVERTISEMENTS */
	INITIAL_LEAST_MS = 3000,   /* MIN_DELAY_BETWEEN_RAS */
	INITIAL_MOST_MS = 4000,    /* no more than MAX_INITIAL_RTR_ADVERT_INTERVAL, 16 s */
	APART_MS = 3000,           /* MIN_DELAY_BETWEEN_RAS */
	ANSWER_MS = 500,           /* MAX_RA_DELAY_TIME */
	AGAIN_MS = 1000,           /* after it could not be sent */
};

/* How long a router is held. */
enum {
	HOLD_LEAST_MS = 45000, /* after its last message; longer if its lifetime is */
	ASK_MS = 12000,        /* so long before it expires it is solicited for the first time, */
	ASK_AGAIN_MS = 4000,   /* and then again: RTR_SOLICITATION_INTERVAL (10) */
};

struct router {
	struct addr addr;
	uint64_t heard_ms, until_ms;
	uint64_t ask_ms; /* when it will be solicited */
};

struct radv_link {
	unsigned ifindex;
	uint8_t mac[MAC_LEN];
	unsigned initial; /* of the first advertisements, how many are sent */
	uint64_t due_ms, earliest_ms;
	bool found;
	struct router router; /* if found */
	struct addr other;
	uint64_t other_ms; /* 0 = none */
	uint64_t sent, received, dropped;
};

struct radv {
	const struct radv_ops *ops; /* borrowed, as are ctx and rng */
	void *ctx;
	struct rng *rng;
	struct radv_link *v; /* owned */
	size_t n;
};

static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
static const uint8_t all_routers[16] = {0xff, 0x02, [15] = 2};

static struct radv_link *find(const struct radv *r, unsigned ifindex)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].ifindex == ifindex)
			return &r->v[i];
	return NULL;
}

/* -- codec -- */

struct heard {
	uint8_t type;
	uint16_t lifetime_s; /* of an advertisement */
};

/* Options are read over, but one of length zero damns the whole message (6.1). */
static bool skip_options(struct rd *r, bool *ret_source)
{
	*ret_source = false;
	while (rd_left(r) > 0) {
		uint8_t type = rd_u8(r);
		size_t len = (size_t)rd_u8(r) * OPTION_UNIT;

		if (len == 0)
			return false;
		rd_skip(r, len - 2);
		*ret_source |= type == OPTION_SOURCE;
	}
	return !r->bad;
}

/* 6.1.1 and 6.1.2 */
static bool decode(const struct radv_message *m, struct heard *ret_h)
{
	struct rd r = rd_init(m->data, m->len);
	uint8_t type = rd_u8(&r), code = rd_u8(&r);
	bool is_advertisement = type == TYPE_ADVERTISEMENT, source;

	if (!is_advertisement && type != TYPE_SOLICITATION)
		return false;
	rd_skip(&r, 2 + 2); /* checksum; hop limit and flags, or reserved */
	ret_h->type = type;
	ret_h->lifetime_s = rd_be16(&r);
	if (is_advertisement)
		rd_skip(&r, 4 + 4); /* times of the router's hosts */
	if (r.bad || code != 0 || m->hop_limit != HOP_LIMIT || !skip_options(&r, &source))
		return false;
	if (is_advertisement)
		return addr_is_link_local(m->from);
	return !source || m->from.hi != 0 || m->from.lo != 0;
}

static struct wr begin(uint8_t message[RADV_MESSAGE_MAX], uint8_t type)
{
	struct wr w = wr_init(message, RADV_MESSAGE_MAX);

	wr_u8(&w, type);
	wr_u8(&w, 0);
	wr_be16(&w, 0); /* checksum */
	wr_be32(&w, 0); /* hop limit unspecified, no flags, lifetime 0; or reserved */
	return w;
}

static int finish(
	const struct radv *r, const struct radv_link *l, struct wr *w, const uint8_t group[16])
{
	wr_u8(w, OPTION_SOURCE);
	wr_u8(w, 1);
	wr_bytes(w, l->mac, MAC_LEN);
	REQUIRE(wr_len(w) > 0);
	return r->ops->send(r->ctx, l->ifindex, addr_from_v6(group), w->start, wr_len(w));
}

static int send_advertisement(const struct radv *r, const struct radv_link *l)
{
	uint8_t message[RADV_MESSAGE_MAX];
	struct wr w = begin(message, TYPE_ADVERTISEMENT);

	wr_be32(&w, 0); /* Reachable Time, Retrans Timer: unspecified */
	wr_be32(&w, 0);
	return finish(r, l, &w, all_nodes);
}

/* Losing one costs time only. */
static void send_solicitation(const struct radv *r, const struct radv_link *l)
{
	uint8_t message[RADV_MESSAGE_MAX];
	struct wr w = begin(message, TYPE_SOLICITATION);

	(void)finish(r, l, &w, all_routers);
}

/* -- sending -- */

static uint64_t between(const struct radv *r, uint64_t least_ms, uint64_t most_ms)
{
	return least_ms + rng_below(r->rng, most_ms - least_ms + 1);
}

/* Soon, but not so that others could make us send ever faster (6.2.6). */
static void hurry(const struct radv *r, struct radv_link *l, uint64_t now_ms)
{
	uint64_t soon_ms = time_max(now_ms + between(r, 0, ANSWER_MS), l->earliest_ms);

	l->due_ms = time_min(l->due_ms, soon_ms);
}

static void advertise(const struct radv *r, struct radv_link *l, uint64_t now_ms)
{
	if (send_advertisement(r, l) != 0) {
		l->due_ms = l->earliest_ms = now_ms + AGAIN_MS;
		return;
	}
	l->sent++;
	l->earliest_ms = now_ms + APART_MS;
	if (l->initial < INITIAL && !l->found)
		send_solicitation(r, l);
	if (l->initial < INITIAL)
		l->initial++;
	if (l->initial < INITIAL)
		l->due_ms = now_ms + between(r, INITIAL_LEAST_MS, INITIAL_MOST_MS);
	else
		l->due_ms = now_ms + between(r, INTERVAL_LEAST_MS, INTERVAL_MOST_MS);
}

/* -- routers -- */

static void refresh(struct router *x, uint16_t lifetime_s, uint64_t now_ms)
{
	x->heard_ms = now_ms;
	x->until_ms = now_ms + time_max((uint64_t)lifetime_s * 1000, HOLD_LEAST_MS);
	x->ask_ms = x->until_ms - ASK_MS;
}

static void ask(const struct radv *r, struct radv_link *l, uint64_t now_ms)
{
	send_solicitation(r, l);
	l->router.ask_ms = now_ms + ASK_AGAIN_MS;
}

static void on_advertisement(const struct radv *r, struct radv_link *l, struct addr from,
	uint16_t lifetime_s, uint64_t now_ms)
{
	bool same = l->found && addr_eq(l->router.addr, from);

	if (!same && r->ops->is_own(r->ctx, l->ifindex, from))
		return;
	l->received++;
	if (same) {
		refresh(&l->router, lifetime_s, now_ms);
	} else if (l->found) {
		l->other = from;
		l->other_ms = now_ms;
	} else {
		l->found = true;
		l->router = (struct router){.addr = from};
		refresh(&l->router, lifetime_s, now_ms);
		hurry(r, l, now_ms);
		r->ops->changed(r->ctx, l->ifindex);
	}
}

/* As if the link were new: others there are asked for. */
static void lose(const struct radv *r, struct radv_link *l, uint64_t now_ms)
{
	l->found = false;
	l->initial = 0;
	hurry(r, l, now_ms);
	r->ops->changed(r->ctx, l->ifindex);
}

void radv_on_message(struct radv *r, const struct radv_message *m, uint64_t now_ms)
{
	struct radv_link *l = find(r, m->ifindex);
	struct heard h;

	if (l == NULL)
		return;
	if (!decode(m, &h))
		l->dropped++;
	else if (h.type == TYPE_ADVERTISEMENT)
		on_advertisement(r, l, m->from, h.lifetime_s, now_ms);
	else
		hurry(r, l, now_ms);
}

/* -- time -- */

static uint64_t link_deadline(const struct radv_link *l)
{
	const struct router *x = &l->router;

	return l->found ? time_min(l->due_ms, time_min(x->ask_ms, x->until_ms)) : l->due_ms;
}

uint64_t radv_next_deadline(const struct radv *r)
{
	uint64_t next = TIME_NEVER;

	for (size_t i = 0; i < r->n; i++)
		next = time_min(next, link_deadline(&r->v[i]));
	return next;
}

static void tick_link(const struct radv *r, struct radv_link *l, uint64_t now_ms)
{
	if (l->due_ms <= now_ms)
		advertise(r, l, now_ms);
	if (!l->found)
		return;
	if (l->router.until_ms <= now_ms)
		lose(r, l, now_ms);
	else if (l->router.ask_ms <= now_ms)
		ask(r, l, now_ms);
}

/* changed() may take links away: what is passed over by that is still due. */
void radv_tick(struct radv *r, uint64_t now_ms)
{
	for (size_t i = 0; i < r->n; i++)
		tick_link(r, &r->v[i], now_ms);
}

/* -- links -- */

static int add(struct radv *r, unsigned ifindex, const uint8_t mac[MAC_LEN], uint64_t now_ms)
{
	struct radv_link *v;

	if (r->n == RADV_MAX_LINKS)
		return -E2BIG;
	v = realloc(r->v, (r->n + 1) * sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	r->v = v;
	v[r->n] = (struct radv_link){.ifindex = ifindex, .due_ms = now_ms};
	memcpy(v[r->n++].mac, mac, MAC_LEN);
	return 0;
}

int radv_want(struct radv *r, unsigned ifindex, const uint8_t mac[MAC_LEN], uint64_t now_ms)
{
	struct radv_link *l = find(r, ifindex);

	if (l == NULL)
		return add(r, ifindex, mac, now_ms);
	if (memcmp(l->mac, mac, MAC_LEN) != 0) {
		memcpy(l->mac, mac, MAC_LEN);
		hurry(r, l, now_ms);
	}
	return 0;
}

void radv_unwant(struct radv *r, unsigned ifindex)
{
	struct radv_link *l = find(r, ifindex);

	if (l != NULL)
		*l = r->v[--r->n];
}

size_t radv_count(const struct radv *r)
{
	return r->n;
}

struct radv *radv_new(const struct radv_ops *ops, void *ctx, struct rng *rng)
{
	struct radv *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->ops = ops;
	r->ctx = ctx;
	r->rng = rng;
	return r;
}

void radv_free(struct radv *r)
{
	if (r == NULL)
		return;
	free(r->v);
	free(r);
}

/* -- reading -- */

bool radv_router(const struct radv *r, unsigned ifindex, struct addr *ret_a)
{
	const struct radv_link *l = find(r, ifindex);

	if (l == NULL || !l->found)
		return false;
	*ret_a = l->router.addr;
	return true;
}

bool radv_view(const struct radv *r, unsigned ifindex, struct radv_view *ret_v)
{
	const struct radv_link *l = find(r, ifindex);

	if (l == NULL)
		return false;
	*ret_v = (struct radv_view){.found = l->found,
		.router = l->router.addr,
		.heard_ms = l->router.heard_ms,
		.until_ms = l->router.until_ms,
		.other = l->other,
		.other_ms = l->other_ms,
		.sent = l->sent,
		.received = l->received,
		.dropped = l->dropped};
	return true;
}
