/* SPDX-License-Identifier: Apache-2.0
 *
 * bgp.c - one BGP-4 peer.
 *
 * Owns: up to two connections, what was received of the next message of each, timers, the
 *       Adj-RIB-Out.
 * In:   connections made, accepted and lost, bytes, time.
 * Out:  bgp_ops; messages by bgp_pull(), one at a time, so that a peer that does not read costs
 *       nothing.
 * RFCs: 4271 (8: the state machine; 6.8: collisions), 6608, 9687 (send hold timer), 6286 (AS-wide
 *       identifiers), 4724 and 8538 (graceful restart, as one that keeps no routes of others).
 */
#include "bgp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPEN_HOLD_MS = 240 * 1000, /* RFC 4271 8.2.2: "4 minutes is suggested" */
	CONNECT_TIMEOUT_MS = 20 * 1000,
	RETRY_MIN_MS = 1000,
	STABLE_MS = 60 * 1000, /* a session of so long has no part in what failed before */
	SEND_HOLD_MIN_MS = 480 * 1000, /* RFC 9687 4 */
	SAID_MS = 120 * 1000, /* a NOTIFICATION tells more than the resets that follow it */
	ERROR_MAX = 320,
};

/* NONE: there is no connection.  The others as of RFC 4271 8.2.2. */
enum phase { NONE, CONNECTING, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED };

struct conn {
	enum phase phase;
	bool open_due, keepalive_due;
	uint64_t hold_ms;      /* when it is over; TIME_NEVER */
	uint64_t keepalive_ms; /* when the next is due; TIME_NEVER */
	uint64_t in_flight_ms; /* since when what was pulled is not sent; TIME_NEVER = it is */
	struct bgp_open peer;  /* from OPEN_CONFIRM on */
	uint16_t hold_s;       /* as agreed */
	uint8_t *buf;          /* owned; of the message that is coming, at least its header */
	size_t cap, len;
};

struct bgp {
	struct bgp_conf conf;
	const struct bgp_ops *ops; /* borrowed */
	void *ctx;                 /* borrowed */
	struct rng *rng;           /* borrowed */
	bool started, restarting;
	struct conn conns[BGP_SIDES];
	struct bgp_rib *rib;  /* owned */
	uint64_t connect_ms;  /* when to connect next; TIME_NEVER */
	uint64_t retry_ms;    /* how long that takes, without jitter */
	enum bgp_state state; /* as told */
	uint64_t since_ms;
	struct bgp_terms terms;
	char error[ERROR_MAX];
	uint64_t said_ms; /* when error was a NOTIFICATION's, either side's; 0 = it is not */
	uint32_t peer_asn, peer_id;
	uint16_t hold_s;
	uint64_t received, sent, discarded, withdrawn;
	uint64_t received_of[BGP_TYPES], sent_of[BGP_TYPES];
	uint32_t announced[ADDR_FAMILIES], sessions;
};

/* -- state -- */

static enum bgp_state state_of(const struct bgp *b)
{
	static const enum bgp_state of_phase[] = {
		[NONE] = BGP_ACTIVE,
		[CONNECTING] = BGP_CONNECT,
		[OPEN_SENT] = BGP_OPEN_SENT,
		[OPEN_CONFIRM] = BGP_OPEN_CONFIRM,
		[ESTABLISHED] = BGP_ESTABLISHED,
	};
	enum phase furthest = NONE;

	for (unsigned i = 0; i < BGP_SIDES; i++)
		if (b->conns[i].phase > furthest)
			furthest = b->conns[i].phase;
	return b->started ? of_phase[furthest] : BGP_IDLE;
}

static void tell_state(struct bgp *b, uint64_t now_ms)
{
	enum bgp_state was = b->state, is = state_of(b);

	if (was == is)
		return;
	b->state = is;
	b->since_ms = now_ms;
	b->ops->changed(b->ctx, was);
}

static void set_error(struct bgp *b, const char *who, const char *what, const char *more)
{
	(void)snprintf(b->error, sizeof b->error, "%s%s%s%s", who, what,
		more[0] != '\0' ? ": " : "", more);
	b->said_ms = 0;
}

static void set_said(struct bgp *b, const char *who, unsigned code, unsigned subcode,
	const char *more, uint64_t now_ms)
{
	char unknown[48];

	set_error(b, who, bgp_notification_text(code, subcode, unknown), more);
	b->said_ms = now_ms;
}

/* -- ending -- */

/* After a quarter less at most (RFC 4271 10). */
static uint64_t jittered(struct bgp *b, uint64_t ms)
{
	return ms - rng_below(b->rng, ms / 4 + 1);
}

static void schedule_connect(struct bgp *b, uint64_t now_ms)
{
	if (!b->started || b->conf.passive) {
		b->connect_ms = TIME_NEVER;
		return;
	}
	b->connect_ms = now_ms + jittered(b, b->retry_ms);
	b->retry_ms = time_min(2 * b->retry_ms, time_max(b->conf.connect_ms, RETRY_MIN_MS));
}

/* The connection is no more, for whatever reason. */
static void forget(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];
	bool was_up = c->phase == ESTABLISHED;

	free(c->buf);
	*c = (struct conn){.hold_ms = TIME_NEVER,
		.keepalive_ms = TIME_NEVER,
		.in_flight_ms = TIME_NEVER};
	if (was_up) {
		bgp_rib_close(b->rib);
		if (now_ms - b->since_ms >= STABLE_MS)
			b->retry_ms = RETRY_MIN_MS;
	}
	if (b->connect_ms == TIME_NEVER && b->conns[BGP_OUT].phase == NONE)
		schedule_connect(b, now_ms);
	tell_state(b, now_ms);
}

/* Where a NOTIFICATION lets the peer keep routes, one that is for good must say so (RFC 8538 5). */
static bool is_hard(const struct bgp *b, const struct conn *c, const struct bgp_fault *f)
{
	return b->conf.graceful && c->phase >= OPEN_CONFIRM && c->peer.graceful &&
	       c->peer.notification && f->code == BGP_ERR_CEASE &&
	       (f->subcode == BGP_CEASE_SHUTDOWN || f->subcode == BGP_CEASE_DECONFIGURED);
}

static void count_sent(struct bgp *b, unsigned type)
{
	b->sent++;
	b->sent_of[type]++;
}

/* f NULL: without a word. */
static void end(struct bgp *b, enum bgp_side side, const struct bgp_fault *f, const char *reason,
	uint64_t now_ms)
{
	uint8_t last[BGP_MAX];
	size_t len = 0;

	if (b->conns[side].phase == NONE)
		return;
	if (f != NULL && b->conns[side].phase > CONNECTING) {
		len = bgp_notification_encode(
			f, is_hard(b, &b->conns[side], f), reason, last, sizeof last);
		count_sent(b, BGP_NOTIFICATION);
	}
	b->ops->close(b->ctx, side, last, len);
	forget(b, side, now_ms);
}

/* The peer did something wrong: it is told so, and the session ends. */
static void fail(struct bgp *b, enum bgp_side side, const struct bgp_fault *f, uint64_t now_ms)
{
	set_said(b, "sent ", f->code, f->subcode, f->why != NULL ? f->why : "", now_ms);
	end(b, side, f, NULL, now_ms);
}

static void fail_with(struct bgp *b, enum bgp_side side, enum bgp_code code, unsigned subcode,
	const char *why, uint64_t now_ms)
{
	const struct bgp_fault f = {.code = code, .subcode = (uint8_t)subcode, .why = why};

	fail(b, side, &f, now_ms);
}

/* -- beginning -- */

static void begin(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];

	c->phase = OPEN_SENT;
	c->open_due = true;
	c->hold_ms = now_ms + OPEN_HOLD_MS;
	tell_state(b, now_ms);
}

void bgp_on_connected(struct bgp *b, uint64_t now_ms)
{
	if (b->conns[BGP_OUT].phase == CONNECTING)
		begin(b, BGP_OUT, now_ms);
}

/* RFC 4724 4.2: one that restarts connects anew while its old session still seems to be there. */
static bool replaces(const struct bgp *b, enum bgp_side side)
{
	const struct conn *c = &b->conns[side];

	return c->phase == ESTABLISHED && b->conf.graceful && c->peer.graceful;
}

bool bgp_on_accepted(struct bgp *b, uint64_t now_ms)
{
	struct conn *c = &b->conns[BGP_IN];

	if (!b->started)
		return false;
	if (replaces(b, BGP_IN)) {
		set_error(b, "the peer ", "connected anew", "");
		end(b, BGP_IN, NULL, NULL, now_ms);
	}
	if (c->phase != NONE)
		return false;
	begin(b, BGP_IN, now_ms);
	return true;
}

void bgp_on_refused(struct bgp *b, const char *why)
{
	set_error(b, "connection refused", "", why);
}

void bgp_on_closed(struct bgp *b, enum bgp_side side, const char *why, uint64_t now_ms)
{
	enum phase phase = b->conns[side].phase;
	bool begins = phase == OPEN_SENT || phase == OPEN_CONFIRM;

	if (phase == NONE)
		return;
	if (!begins || b->said_ms == 0 || now_ms - b->said_ms >= SAID_MS)
		set_error(b, phase == CONNECTING ? "cannot connect" : "connection lost", "", why);
	forget(b, side, now_ms);
}

/* -- OPEN -- */

static struct bgp_open our_open(const struct bgp *b)
{
	const struct bgp_conf *k = &b->conf;
	struct bgp_open o = {.asn = k->local_asn,
		.hold_s = k->hold_s,
		.router_id = k->router_id,
		.as4 = true,
		.refresh = true,
		.enhanced_refresh = true,
		.extended_message = true,
		.extended_next_hop = k->extended_next_hop && k->families[ADDR_V4],
		.graceful = k->graceful,
		.notification = k->graceful,
		.restarting = k->graceful && b->restarting,
		.restart_s = k->graceful ? k->restart_s : 0};

	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		o.multiprotocol[f] = k->families[f];
		o.preserved[f] = o.forwarding[f] = k->graceful && k->families[f];
	}
	return o;
}

/* RFC 4760 8: without the capability it is IPv4 unicast. */
static bool takes(const struct bgp_open *o, enum addr_family f)
{
	if (!o->multiprotocol[ADDR_V4] && !o->multiprotocol[ADDR_V6])
		return f == ADDR_V4;
	return o->multiprotocol[f];
}

static struct bgp_terms terms_of(const struct bgp *b, const struct bgp_open *o)
{
	struct bgp_terms t = {.as4 = o->as4,
		.internal = o->asn == b->conf.local_asn,
		.extended_next_hop = o->extended_next_hop && b->conf.extended_next_hop};

	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		t.families[f] = b->conf.families[f] && takes(o, (enum addr_family)f);
	return t;
}

static bool is_expected_asn(const struct bgp_conf *k, uint32_t asn)
{
	switch (k->asn) {
	case BGP_ASN_GIVEN:
		return asn == k->peer_asn && asn != 0;
	case BGP_ASN_INTERNAL:
		return asn == k->local_asn;
	case BGP_ASN_EXTERNAL:
		return asn != k->local_asn && asn != 0; /* RFC 7607 */
	}
	return false;
}

/* Is what it says acceptable?  Else *ret_f. */
static bool check_open(const struct bgp *b, const struct bgp_open *o, struct bgp_fault *ret_f)
{
	const struct bgp_terms t = terms_of(b, o);
	const struct bgp_open ours = our_open(b);

	*ret_f = (struct bgp_fault){.code = BGP_ERR_OPEN};
	if (!is_expected_asn(&b->conf, o->asn)) {
		ret_f->subcode = BGP_OPEN_PEER_AS;
		ret_f->why = "another AS number than configured";
	} else if (t.internal && o->router_id == b->conf.router_id) { /* RFC 6286 2.2 */
		ret_f->subcode = BGP_OPEN_ID;
		ret_f->why = "it has this node's BGP identifier";
	} else if (!t.families[ADDR_V4] && !t.families[ADDR_V6]) {
		ret_f->subcode = BGP_OPEN_CAPABILITY;
		ret_f->why = "no address family in common";
		bgp_open_blame(ret_f, &ours);
	} else {
		return true;
	}
	return false;
}

/* RFC 4271 6.8, RFC 6286 2.3: which of two connections stays; false: the one that the OPEN came by
 * does not. */
static bool settle_collision(
	struct bgp *b, enum bgp_side side, const struct bgp_open *o, uint64_t now_ms)
{
	const struct bgp_fault f = {.code = BGP_ERR_CEASE, .subcode = BGP_CEASE_COLLISION};
	enum bgp_side other = side == BGP_OUT ? BGP_IN : BGP_OUT, loser;
	bool ours_is_larger = b->conf.router_id != o->router_id
				      ? b->conf.router_id > o->router_id
				      : b->conf.local_asn > o->asn;

	if (replaces(b, other)) {
		end(b, other, NULL, NULL, now_ms);
		return true;
	}
	if (b->conns[other].phase < OPEN_CONFIRM)
		return true;
	/* The connection stays that was begun by the side with the larger identifier. */
	loser = b->conns[other].phase == ESTABLISHED ? side : ours_is_larger ? BGP_IN : BGP_OUT;
	end(b, loser, &f, NULL, now_ms);
	return loser != side;
}

static void arm_hold(struct conn *c, uint64_t now_ms)
{
	c->hold_ms = c->hold_s > 0 ? now_ms + UINT64_C(1000) * c->hold_s : TIME_NEVER;
}

static void arm_keepalive(struct bgp *b, struct conn *c, uint64_t now_ms)
{
	uint64_t ms = b->conf.keepalive_ms, most = UINT64_C(1000) * c->hold_s / 3;

	if (c->hold_s == 0)
		c->keepalive_ms = TIME_NEVER;
	else
		c->keepalive_ms = now_ms + jittered(b, ms == 0 || ms > most ? most : ms);
}

static void on_open(struct bgp *b, enum bgp_side side, const uint8_t *body, size_t len,
	uint64_t now_ms)
{
	struct conn *c = &b->conns[side];
	struct bgp_fault f;
	struct bgp_open o;

	if (!bgp_open_decode(body, len, &o, &f) || !check_open(b, &o, &f)) {
		fail(b, side, &f, now_ms);
		return;
	}
	b->peer_asn = o.asn;
	b->peer_id = o.router_id;
	if (!settle_collision(b, side, &o, now_ms))
		return;
	c->peer = o;
	c->hold_s = o.hold_s < b->conf.hold_s ? o.hold_s : b->conf.hold_s;
	c->phase = OPEN_CONFIRM;
	c->keepalive_due = true;
	arm_hold(c, now_ms);
	arm_keepalive(b, c, now_ms);
	tell_state(b, now_ms);
}

/* -- Established -- */

static void establish(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	const struct bgp_fault f = {.code = BGP_ERR_CEASE, .subcode = BGP_CEASE_COLLISION};
	struct conn *c = &b->conns[side];
	enum bgp_side other = side == BGP_OUT ? BGP_IN : BGP_OUT;

	c->phase = ESTABLISHED;
	b->said_ms = 0;
	b->connect_ms = TIME_NEVER;
	end(b, other, &f, NULL, now_ms);
	b->connect_ms = TIME_NEVER;
	b->terms = terms_of(b, &c->peer);
	b->hold_s = c->hold_s;
	b->sessions++;
	memset(b->announced, 0, sizeof b->announced);
	bgp_rib_open(b->rib, &b->terms);
	tell_state(b, now_ms);
}

static void on_update(struct bgp *b, enum bgp_side side, const uint8_t *body, size_t len,
	uint64_t now_ms)
{
	struct bgp_update u;

	bgp_update_decode(body, len, &b->terms, &u);
	if (u.verdict == BGP_RESET) {
		fail(b, side, &u.fault, now_ms);
		return;
	}
	b->discarded += u.verdict == BGP_DISCARDED;
	b->withdrawn += u.verdict == BGP_WITHDRAWN;
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		b->announced[f] += u.announced[f];
}

static void on_refresh(struct bgp *b, enum bgp_side side, const uint8_t *body, size_t len,
	uint64_t now_ms)
{
	bool enhanced = b->conns[side].peer.enhanced_refresh;
	struct bgp_refresh r;
	struct bgp_fault f;

	if (!bgp_refresh_decode(body, len, enhanced, &r, &f)) {
		fail(b, side, &f, now_ms);
		return;
	}
	if (!r.known || r.kind != BGP_REFRESH_ASK)
		return;
	bgp_rib_refresh(b->rib, r.family, enhanced);
}

static void on_notification(
	struct bgp *b, enum bgp_side side, const uint8_t *body, size_t len, uint64_t now_ms)
{
	struct bgp_notification n;

	if (bgp_notification_decode(body, len, &n))
		set_said(b, "received ", n.code, n.subcode, n.reason, now_ms);
	end(b, side, NULL, NULL, now_ms);
}

/* RFC 6608. */
static void on_unexpected(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	static const uint8_t subcode[] = {[OPEN_SENT] = BGP_FSM_OPEN_SENT,
		[OPEN_CONFIRM] = BGP_FSM_OPEN_CONFIRM,
		[ESTABLISHED] = BGP_FSM_ESTABLISHED};

	fail_with(b, side, BGP_ERR_FSM, subcode[b->conns[side].phase], "", now_ms);
}

static void on_keepalive(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];

	arm_hold(c, now_ms);
	if (c->phase == OPEN_CONFIRM)
		establish(b, side, now_ms);
}

static void on_message(struct bgp *b, enum bgp_side side, enum bgp_type type, const uint8_t *body,
	size_t len, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];
	bool up = c->phase == ESTABLISHED;

	b->received++;
	b->received_of[type]++;
	if (type == BGP_NOTIFICATION)
		on_notification(b, side, body, len, now_ms);
	else if (type == BGP_OPEN && c->phase == OPEN_SENT)
		on_open(b, side, body, len, now_ms);
	else if (type == BGP_KEEPALIVE && c->phase >= OPEN_CONFIRM)
		on_keepalive(b, side, now_ms);
	else if (type == BGP_ROUTE_REFRESH && up)
		on_refresh(b, side, body, len, now_ms);
	else if (type == BGP_UPDATE && up) {
		arm_hold(c, now_ms);
		on_update(b, side, body, len, now_ms);
	} else
		on_unexpected(b, side, now_ms);
}

/* -- bytes -- */

static size_t longest(const struct conn *c)
{
	return c->phase >= OPEN_CONFIRM && c->peer.extended_message ? BGP_MAX_EXTENDED : BGP_MAX;
}

/* Room for a message of len bytes.  False: out of memory, and the connection is closed. */
static bool make_room(struct bgp *b, enum bgp_side side, size_t len, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];
	uint8_t *buf;

	if (len <= c->cap)
		return true;
	len = len < BGP_MAX ? BGP_MAX : len;
	buf = realloc(c->buf, len);
	if (buf == NULL) {
		fail_with(b, side, BGP_ERR_CEASE, BGP_CEASE_RESOURCES, "", now_ms);
		return false;
	}
	c->buf = buf;
	c->cap = len;
	return true;
}

/* How long the message is that begins in the buffer; 0: a wrong one, and the connection is closed;
 * BGP_HEADER_LEN until that is known. */
static size_t expected(struct bgp *b, enum bgp_side side, struct bgp_header *ret_h, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];
	struct bgp_fault f;

	if (c->len < BGP_HEADER_LEN)
		return BGP_HEADER_LEN;
	if (bgp_header_decode(c->buf, longest(c), ret_h, &f))
		return ret_h->len;
	b->received++;
	fail(b, side, &f, now_ms);
	return 0;
}

void bgp_on_bytes(
	struct bgp *b, enum bgp_side side, const uint8_t *data, size_t len, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];

	while (c->phase > CONNECTING) {
		struct bgp_header h = {0};
		size_t whole = expected(b, side, &h, now_ms), n;

		if (whole == 0 || !make_room(b, side, whole, now_ms))
			return;
		n = whole - c->len < len ? whole - c->len : len;
		if (n > 0)
			memcpy(c->buf + c->len, data, n);
		c->len += n;
		data += n;
		len -= n;
		if (c->len < whole)
			return;
		if (h.len == 0)
			continue; /* that was the header */
		c->len = 0;
		on_message(b, side, h.type, c->buf + BGP_HEADER_LEN, h.len - BGP_HEADER_LEN, now_ms);
	}
}

size_t bgp_pull(struct bgp *b, enum bgp_side side, uint8_t *to, size_t room, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];
	struct bgp_open o;
	size_t len = 0;

	if (c->open_due) {
		c->open_due = false;
		o = our_open(b);
		len = bgp_open_encode(&o, to, room);
	} else if (c->keepalive_due) {
		c->keepalive_due = false;
		len = bgp_keepalive_encode(to, room);
	} else if (c->phase == ESTABLISHED) {
		len = bgp_rib_pull(b->rib, to, longest(c) < room ? longest(c) : room);
	}
	if (len == 0)
		return 0;
	count_sent(b, to[BGP_HEADER_LEN - 1]);
	if (c->in_flight_ms == TIME_NEVER)
		c->in_flight_ms = now_ms;
	if (c->phase >= OPEN_CONFIRM) /* any message keeps the other side's hold timer up */
		arm_keepalive(b, c, now_ms);
	return len;
}

void bgp_on_sent(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	(void)now_ms;
	b->conns[side].in_flight_ms = TIME_NEVER;
}

/* -- time -- */

static uint64_t send_hold_ms(const struct conn *c)
{
	if (c->in_flight_ms == TIME_NEVER || c->hold_s == 0)
		return TIME_NEVER;
	return c->in_flight_ms + time_max(SEND_HOLD_MIN_MS, UINT64_C(2000) * c->hold_s);
}

uint64_t bgp_next_deadline(const struct bgp *b)
{
	uint64_t at = b->connect_ms;

	for (unsigned i = 0; i < BGP_SIDES; i++) {
		const struct conn *c = &b->conns[i];

		if (c->phase == NONE)
			continue;
		at = time_min(at, time_min(c->hold_ms, c->keepalive_ms));
		at = time_min(at, send_hold_ms(c));
	}
	return at;
}

static void tick_conn(struct bgp *b, enum bgp_side side, uint64_t now_ms)
{
	struct conn *c = &b->conns[side];

	if (c->phase == NONE)
		return;
	if (c->phase == CONNECTING && now_ms >= c->hold_ms) {
		set_error(b, "cannot connect", "",
			b->conf.keyed ? "no answer, as if the passwords differ" : "no answer");
		end(b, side, NULL, NULL, now_ms);
	} else if (now_ms >= c->hold_ms) {
		fail_with(b, side, BGP_ERR_HOLD, 0, "", now_ms);
	} else if (now_ms >= send_hold_ms(c)) {
		/* Nothing more can be sent: the other side is not told (RFC 9687 4). */
		set_error(b, "send hold timer expired", "", "the peer does not read");
		end(b, side, NULL, NULL, now_ms);
	} else if (now_ms >= c->keepalive_ms) {
		c->keepalive_due = true;
		arm_keepalive(b, c, now_ms);
	}
}

void bgp_tick(struct bgp *b, uint64_t now_ms)
{
	for (unsigned i = 0; i < BGP_SIDES; i++)
		tick_conn(b, (enum bgp_side)i, now_ms);
	if (now_ms < b->connect_ms)
		return;
	b->connect_ms = TIME_NEVER;
	if (b->conns[BGP_OUT].phase != NONE || b->conns[BGP_IN].phase == ESTABLISHED)
		return;
	b->conns[BGP_OUT].phase = CONNECTING;
	b->conns[BGP_OUT].hold_ms = now_ms + CONNECT_TIMEOUT_MS;
	tell_state(b, now_ms);
	b->ops->connect(b->ctx);
}

/* -- by hand -- */

void bgp_start(struct bgp *b, uint64_t now_ms)
{
	if (b->started)
		return;
	b->started = true;
	b->retry_ms = RETRY_MIN_MS;
	b->connect_ms = b->conf.passive ? TIME_NEVER : now_ms;
	tell_state(b, now_ms);
}

void bgp_stop(struct bgp *b, unsigned subcode, const char *reason, uint64_t now_ms)
{
	const struct bgp_fault f = {.code = BGP_ERR_CEASE, .subcode = (uint8_t)subcode};

	b->started = false;
	for (unsigned i = 0; i < BGP_SIDES; i++)
		end(b, (enum bgp_side)i, subcode != 0 ? &f : NULL, reason, now_ms);
	b->connect_ms = TIME_NEVER;
	tell_state(b, now_ms);
}

void bgp_reset(struct bgp *b, unsigned subcode, const char *why, uint64_t now_ms)
{
	const struct bgp_fault f = {
		.code = BGP_ERR_CEASE, .subcode = (uint8_t)subcode, .why = why};

	for (unsigned i = 0; i < BGP_SIDES; i++)
		if (b->conns[i].phase != NONE)
			fail(b, (enum bgp_side)i, &f, now_ms);
}

void bgp_set_conf(struct bgp *b, const struct bgp_conf *conf, uint64_t now_ms)
{
	bool waits = b->conf.passive && b->conns[BGP_OUT].phase == NONE &&
		     b->conns[BGP_IN].phase != ESTABLISHED;

	b->conf = *conf;
	if (waits && !conf->passive)
		schedule_connect(b, now_ms);
}

bool bgp_needs_reset(const struct bgp_conf *a, const struct bgp_conf *b)
{
	return a->local_asn != b->local_asn || a->asn != b->asn || a->peer_asn != b->peer_asn ||
	       a->router_id != b->router_id || a->hold_s != b->hold_s ||
	       memcmp(a->families, b->families, sizeof a->families) != 0 ||
	       a->extended_next_hop != b->extended_next_hop || a->graceful != b->graceful ||
	       a->restart_s != b->restart_s;
}

void bgp_set_restarting(struct bgp *b, bool restarting)
{
	b->restarting = restarting;
}

/* -- construction, reading -- */

struct bgp *bgp_new(const struct bgp_conf *conf, const struct bgp_ops *ops, void *ctx,
	const struct hash_key *hkey, struct rng *rng)
{
	struct bgp *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->rib = bgp_rib_new(hkey);
	if (b->rib == NULL) {
		free(b);
		return NULL;
	}
	b->conf = *conf;
	b->ops = ops;
	b->ctx = ctx;
	b->rng = rng;
	b->connect_ms = TIME_NEVER;
	b->retry_ms = RETRY_MIN_MS;
	for (unsigned i = 0; i < BGP_SIDES; i++)
		b->conns[i] = (struct conn){.hold_ms = TIME_NEVER,
			.keepalive_ms = TIME_NEVER,
			.in_flight_ms = TIME_NEVER};
	return b;
}

void bgp_free(struct bgp *b)
{
	if (b == NULL)
		return;
	for (unsigned i = 0; i < BGP_SIDES; i++)
		free(b->conns[i].buf);
	bgp_rib_free(b->rib);
	free(b);
}

struct bgp_rib *bgp_rib(struct bgp *b)
{
	return b->rib;
}

void bgp_view(const struct bgp *b, struct bgp_view *ret_v)
{
	*ret_v = (struct bgp_view){.state = b->state,
		.since_ms = b->since_ms,
		.peer_asn = b->peer_asn,
		.peer_id = b->peer_id,
		.hold_s = b->hold_s,
		.terms = b->terms,
		.error = b->error,
		.received = b->received,
		.sent = b->sent,
		.discarded = b->discarded,
		.withdrawn = b->withdrawn,
		.sessions = b->sessions};
	memcpy(ret_v->announced, b->announced, sizeof b->announced);
	memcpy(ret_v->received_of, b->received_of, sizeof b->received_of);
	memcpy(ret_v->sent_of, b->sent_of, sizeof b->sent_of);
}

const char *bgp_state_name(enum bgp_state s)
{
	static const char *const name[] = {[BGP_IDLE] = "Idle",
		[BGP_CONNECT] = "Connect",
		[BGP_ACTIVE] = "Active",
		[BGP_OPEN_SENT] = "OpenSent",
		[BGP_OPEN_CONFIRM] = "OpenConfirm",
		[BGP_ESTABLISHED] = "Established"};

	return name[s];
}
