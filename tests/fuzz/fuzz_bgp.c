/* uses: bgp */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_bgp.c - TCP bytes into a BGP session, over the connections of both sides, and all else that
 * may happen to it between them: time, lost and second connections, routes, a reader that stops.
 *
 * The first three bytes are the configuration, the capabilities of the peer and the state to begin
 * in.  Then steps follow, of a byte that says what and its operands; what is said by the peer is
 * raw bytes, or the body of a message whose header the harness writes.
 *
 * What must hold for any input: a connection is closed once, with nothing or one NOTIFICATION;
 * states follow each other as they were told; what is pulled is a message that this side may send
 * now, and that reads back; what a peer made of the UPDATEs, when all was pulled, is what the
 * Adj-RIB-Out has.
 */
#include "bgp.h"
#include "bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MAX_INPUT = 2048,
	LOCAL_ASN = 65001,
	PEER_ASN = 65002,
	LOCAL_ID = 2,
	PREFIXES = 8, /* of each family */
	ABSENT = -1,
	MED_BY_SELF = 1, /* a route whose next hop is this node */
	MED_BY_V6 = 2,   /* a route that has an IPv6 next hop, whichever family it is of */
	MED_LONG = 3,    /* one with many communities */

	ATTR_MED = 4,
	ATTR_MP_REACH = 14,
	ATTR_MP_UNREACH = 15,
};

static const uint8_t hop4[4] = {10, 0, 0, 1}, hop6[16] = {0xfd, 0, 2};
static const uint8_t local6[16] = {0xfe, 0x80, [15] = 1};

enum wire { GONE, MAKING, OPEN };

struct connection {
	enum wire wire;
	unsigned pulled;                    /* messages */
	int table[ADDR_FAMILIES][PREFIXES]; /* as the peer has it: the MED, or ABSENT */
};

struct driver {
	struct bgp *b;
	struct bgp_conf conf;
	struct rng rng;
	uint64_t now_ms;
	bool connect_due, accepting;
	bool self4, self6; /* this node has a next hop of the family */
	struct connection c[BGP_SIDES];
	enum bgp_state state; /* as told */
	int wanted[ADDR_FAMILIES][PREFIXES];
};

/* -- what the engine says -- */

static void on_connect(void *ctx)
{
	struct driver *d = ctx;

	REQUIRE(d->c[BGP_OUT].wire == GONE && !d->conf.passive);
	d->c[BGP_OUT].wire = MAKING;
	d->connect_due = true;
}

static void on_close(void *ctx, enum bgp_side side, const uint8_t *last, size_t len)
{
	struct driver *d = ctx;
	struct bgp_header h;
	struct bgp_fault f;

	REQUIRE(d->c[side].wire != GONE);
	if (len > 0) {
		REQUIRE(d->c[side].wire == OPEN && len >= BGP_HEADER_LEN);
		REQUIRE(bgp_header_decode(last, BGP_MAX, &h, &f));
		REQUIRE(h.type == BGP_NOTIFICATION && h.len == len);
	}
	d->c[side] = (struct connection){0};
	d->connect_due &= side != BGP_OUT;
}

static void on_changed(void *ctx, enum bgp_state was)
{
	struct driver *d = ctx;
	struct bgp_view v;

	bgp_view(d->b, &v);
	REQUIRE(was == d->state && v.state != was && v.state <= BGP_ESTABLISHED);
	REQUIRE(v.state != BGP_ESTABLISHED || was == BGP_OPEN_CONFIRM);
	d->state = v.state;
}

static const struct bgp_ops ops = {on_connect, on_close, on_changed};

/* -- the peer's side of what is pulled -- */

static struct addr_prefix prefix_of(enum addr_family f, unsigned i)
{
	static const uint8_t v4[4] = {203, 0, 113, 0}, v6[16] = {0xfd, 0, 1};
	struct addr base = f == ADDR_V4 ? addr_from_v4(v4) : addr_from_v6(v6);

	return (struct addr_prefix){addr_plus(base, i), f == ADDR_V4 ? 32 : 128};
}

static void set_prefixes(struct connection *c, enum addr_family f, struct rd r, int med)
{
	while (rd_left(&r) > 0) {
		unsigned bits = rd_u8(&r), i;

		rd_skip(&r, bits / 8 - 1);
		i = rd_u8(&r);
		REQUIRE(!r.bad && bits == prefix_of(f, 0).len && i < PREFIXES);
		c->table[f][i] = med;
	}
}

static enum addr_family read_family(struct rd *r)
{
	unsigned afi = rd_be16(r);

	REQUIRE((afi == 1 || afi == 2) && rd_u8(r) == 1);
	return afi == 1 ? ADDR_V4 : ADDR_V6;
}

static void take_update(struct connection *c, struct rd r)
{
	struct rd withdrawn = rd_sub(&r, rd_be16(&r)), all = rd_sub(&r, rd_be16(&r)), reach = {0};
	enum addr_family f = ADDR_V4;
	int med = ABSENT;

	REQUIRE(!r.bad);
	set_prefixes(c, ADDR_V4, withdrawn, ABSENT);
	while (rd_left(&all) > 0) {
		unsigned flags = rd_u8(&all), type = rd_u8(&all);
		struct rd a = rd_sub(&all, (flags & 0x10) != 0 ? rd_be16(&all) : rd_u8(&all));

		if (type == ATTR_MED) {
			med = (int)rd_be32(&a);
		} else if (type == ATTR_MP_UNREACH) {
			f = read_family(&a);
			set_prefixes(c, f, a, ABSENT);
		} else if (type == ATTR_MP_REACH) {
			f = read_family(&a);
			rd_skip(&a, rd_u8(&a) + 1);
			reach = a;
		}
	}
	REQUIRE(!all.bad);
	set_prefixes(c, f, reach, med);
	set_prefixes(c, ADDR_V4, r, med);
}

static void take(struct driver *d, enum bgp_side side, const uint8_t *b, size_t len)
{
	struct connection *c = &d->c[side];
	struct bgp_refresh refresh;
	struct bgp_update u;
	struct bgp_header h;
	struct bgp_fault f;
	struct bgp_open o;
	struct bgp_view v;

	bgp_view(d->b, &v);
	REQUIRE(len >= BGP_HEADER_LEN && bgp_header_decode(b, len, &h, &f) && h.len == len);
	REQUIRE((h.type == BGP_OPEN) == (c->pulled++ == 0));
	b += BGP_HEADER_LEN;
	len -= BGP_HEADER_LEN;
	switch (h.type) {
	case BGP_OPEN:
		REQUIRE(bgp_open_decode(b, len, &o, &f) && o.asn == d->conf.local_asn);
		break;
	case BGP_UPDATE:
		bgp_update_decode(b, len, &v.terms, &u);
		REQUIRE(v.state == BGP_ESTABLISHED && u.verdict == BGP_TAKEN);
		take_update(c, rd_init(b, len));
		break;
	case BGP_ROUTE_REFRESH:
		REQUIRE(v.state == BGP_ESTABLISHED && len == 4);
		REQUIRE(bgp_refresh_decode(b, len, true, &refresh, &f) && refresh.known);
		break;
	case BGP_KEEPALIVE:
		break;
	case BGP_NOTIFICATION:
		abort(); /* comes with on_close() alone */
	}
}

static bool is_by_v6(enum addr_family f, int med)
{
	return f == ADDR_V6 || med == MED_BY_V6;
}

static bool can_be_said(
	const struct driver *d, const struct bgp_terms *t, enum addr_family f, int med)
{
	bool v6 = f == ADDR_V6 || t->extended_next_hop;

	if (!t->families[f])
		return false;
	if (med == MED_BY_SELF)
		return (f == ADDR_V4 && d->self4) || (v6 && d->self6);
	return v6 || !is_by_v6(f, med);
}

/* All was pulled: does the peer have what it should? */
static void compare(struct driver *d, const struct connection *c)
{
	struct bgp_view v;

	bgp_view(d->b, &v);
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		for (unsigned i = 0; i < PREFIXES; i++)
			REQUIRE(c->table[f][i] ==
				(can_be_said(d, &v.terms, (enum addr_family)f, d->wanted[f][i])
						? d->wanted[f][i]
						: ABSENT));
}

static void pull(struct driver *d, enum bgp_side side, unsigned most)
{
	static uint8_t b[BGP_MAX_EXTENDED];
	size_t room = most % 2 == 0 ? BGP_MAX : sizeof b, len = 1;

	for (unsigned i = 0; d->c[side].wire == OPEN && i <= most && len > 0; i++) {
		len = bgp_pull(d->b, side, b, room, d->now_ms);
		REQUIRE(len <= room);
		if (len > 0)
			take(d, side, b, len);
	}
	if (len > 0)
		return;
	bgp_on_sent(d->b, side, d->now_ms);
	if (d->state == BGP_ESTABLISHED && d->c[side].pulled > 0 && d->c[!side].wire != OPEN)
		compare(d, &d->c[side]);
}

/* -- what happens to it -- */

static void opened(struct driver *d, enum bgp_side side)
{
	struct connection *c = &d->c[side];

	c->wire = OPEN;
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		for (unsigned i = 0; i < PREFIXES; i++)
			c->table[f][i] = ABSENT;
}

static void connected(struct driver *d, bool made)
{
	if (!d->connect_due)
		return;
	d->connect_due = false;
	if (made) {
		opened(d, BGP_OUT);
		bgp_on_connected(d->b, d->now_ms);
	} else {
		d->c[BGP_OUT] = (struct connection){0};
		bgp_on_closed(d->b, BGP_OUT, "refused", d->now_ms);
	}
}

static void accept_one(struct driver *d)
{
	bool taken;

	d->accepting = true;
	taken = bgp_on_accepted(d->b, d->now_ms);
	d->accepting = false;
	REQUIRE(!taken || d->c[BGP_IN].wire == GONE); /* the one before was closed */
	if (taken)
		opened(d, BGP_IN);
}

static void lose(struct driver *d, enum bgp_side side)
{
	if (d->c[side].wire != OPEN)
		return;
	d->c[side] = (struct connection){0};
	bgp_on_closed(d->b, side, "closed by the peer", d->now_ms);
}

static void say(struct driver *d, enum bgp_side side, const uint8_t *b, size_t len)
{
	if (d->c[side].wire == OPEN)
		bgp_on_bytes(d->b, side, b, len, d->now_ms);
}

/* A message of this type, its body the len bytes again and again, in pieces. */
static void say_message(struct driver *d, enum bgp_side side, unsigned type, unsigned times,
	const uint8_t *body, size_t len)
{
	static uint8_t m[BGP_MAX_EXTENDED];
	struct wr w = wr_init(m, sizeof m);
	size_t piece = (times + 1) * len < 100 ? 1 + times : sizeof m, whole;

	while (times > 0 && BGP_HEADER_LEN + (times + 1) * len > sizeof m)
		times--;
	whole = BGP_HEADER_LEN + (times + 1) * len;
	for (unsigned i = 0; i < 16; i++)
		wr_u8(&w, 0xff);
	wr_be16(&w, (uint16_t)whole);
	wr_u8(&w, (uint8_t)type);
	for (unsigned i = 0; i <= times; i++)
		wr_bytes(&w, body, len);
	for (size_t at = 0; at < whole; at += piece)
		say(d, side, m + at, whole - at < piece ? whole - at : piece);
}

static void tick(struct driver *d)
{
	bgp_tick(d->b, d->now_ms);
	REQUIRE(bgp_next_deadline(d->b) > d->now_ms);
}

static void change_route(struct driver *d, unsigned which)
{
	enum addr_family f = which & 1 ? ADDR_V6 : ADDR_V4;
	unsigned i = which >> 1 & (PREFIXES - 1U), med = which >> 4 & 3;
	struct bgp_attributes a = {.path = {LOCAL_ASN + (which >> 7) * 100000},
		.n_path = d->conf.asn != BGP_ASN_INTERNAL,
		.next_hop = is_by_v6(f, (int)med) ? addr_from_v6(hop6) : addr_from_v4(hop4),
		.has_local_pref = d->conf.asn == BGP_ASN_INTERNAL,
		.has_med = 1,
		.med = med,
		.n_communities = med == MED_LONG ? BGP_COMMUNITIES_MAX : 0};

	if (med == MED_BY_SELF)
		a.next_hop = (struct addr){0};
	if ((which >> 6 & 1) != 0) {
		bgp_rib_del(bgp_rib(d->b), prefix_of(f, i));
		d->wanted[f][i] = ABSENT;
	} else {
		REQUIRE(bgp_rib_put(bgp_rib(d->b), prefix_of(f, i), &a) == 0);
		d->wanted[f][i] = (int)med;
	}
}

/* This node's own addresses are others. */
static void change_self(struct driver *d, unsigned which)
{
	struct bgp_self self = {0};

	d->self4 = (which & 1) != 0;
	d->self6 = (which & 6) != 0;
	if (d->self4)
		self.next_hop[ADDR_V4] = addr_from_v4(hop4);
	if ((which & 2) != 0)
		self.next_hop[ADDR_V6] = addr_from_v6(hop6);
	if ((which & 4) != 0)
		self.link_local = addr_from_v6(local6);
	bgp_rib_set_self(bgp_rib(d->b), &self);
}

static void stop(struct driver *d, unsigned subcode)
{
	bgp_stop(d->b, subcode, "by hand", d->now_ms);
	REQUIRE(d->state == BGP_IDLE && bgp_next_deadline(d->b) == TIME_NEVER);
	REQUIRE(d->c[BGP_OUT].wire == GONE && d->c[BGP_IN].wire == GONE);
}

/* One step; what it takes of r is what it needs. */
static void step(struct driver *d, struct rd *r)
{
	static const uint8_t times[8] = {0, 0, 0, 0, 0, 1, 16, 64};
	unsigned what = rd_u8(r), operand = rd_u8(r);
	enum bgp_side side = what & 0x80 ? BGP_OUT : BGP_IN;
	size_t len = operand < rd_left(r) ? operand : rd_left(r);

	if (r->bad)
		return;
	switch (what & 15) {
	case 0:
		say(d, side, rd_bytes(r, len), len);
		break;
	case BGP_OPEN:
	case BGP_UPDATE:
	case BGP_NOTIFICATION:
	case BGP_KEEPALIVE:
	case BGP_ROUTE_REFRESH:
		say_message(d, side, what & 15, times[what >> 4 & 7], rd_bytes(r, len), len);
		break;
	case 6:
		pull(d, side, operand);
		break;
	case 7:
		d->now_ms += (uint64_t)operand << (what >> 4 & 7) * 2;
		tick(d);
		break;
	case 8:
		lose(d, side);
		break;
	case 9:
		connected(d, operand % 4 != 0);
		break;
	case 10:
		accept_one(d);
		break;
	case 11:
		change_route(d, operand);
		break;
	case 12:
		stop(d, operand % 12);
		break;
	case 13:
		bgp_start(d->b, d->now_ms);
		tick(d);
		break;
	case 14:
		if ((operand & 8) != 0)
			bgp_reset(d->b, BGP_CEASE_BFD_DOWN, "BFD is down", d->now_ms);
		else
			change_self(d, operand);
		break;
	default:
		for (unsigned s = 0; s < BGP_SIDES; s++)
			pull(d, (enum bgp_side)s, UINT8_MAX);
	}
}

/* -- to the state to begin in -- */

static struct bgp_conf conf_of(unsigned bits)
{
	return (struct bgp_conf){.local_asn = LOCAL_ASN,
		.asn = bits & 1 ? BGP_ASN_INTERNAL : BGP_ASN_GIVEN,
		.peer_asn = PEER_ASN,
		.router_id = LOCAL_ID,
		.hold_s = bits & 2 ? 0 : 90,
		.connect_ms = 30000,
		.passive = (bits & 4) != 0,
		.families = {(bits & 24) != 8, (bits & 24) != 16},
		.extended_next_hop = (bits & 32) != 0,
		.graceful = (bits & 64) != 0,
		.restart_s = 120};
}

static struct bgp_open open_of(const struct driver *d, unsigned bits)
{
	return (struct bgp_open){.asn = d->conf.asn == BGP_ASN_INTERNAL ? LOCAL_ASN : PEER_ASN,
		.hold_s = 90,
		.router_id = bits & 1 ? LOCAL_ID - 1 : LOCAL_ID + 1,
		.as4 = (bits & 2) != 0,
		.multiprotocol = {(bits & 4) != 0, (bits & 8) != 0},
		.extended_next_hop = (bits & 16) != 0,
		.extended_message = (bits & 32) != 0,
		.refresh = true,
		.enhanced_refresh = (bits & 64) != 0,
		.graceful = (bits & 128) != 0};
}

static void begin(struct driver *d, unsigned capabilities, unsigned state)
{
	const struct bgp_open o = open_of(d, capabilities);
	enum bgp_side side = state & 4 && !d->conf.passive ? BGP_OUT : BGP_IN;
	uint8_t b[BGP_MAX];

	for (unsigned i = 0; i < (state >> 6); i++)
		change_route(d, i * 5);
	bgp_start(d->b, d->now_ms);
	tick(d);
	if (side == BGP_OUT)
		connected(d, true);
	else
		accept_one(d);
	pull(d, side, 0);
	if ((state & 3) >= 1)
		say(d, side, b, bgp_open_encode(&o, b, sizeof b));
	pull(d, side, 0);
	if ((state & 3) >= 2)
		say(d, side, b, bgp_keepalive_encode(b, sizeof b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_key hkey = {1, 2};
	struct rd r = rd_init(data, size < MAX_INPUT ? size : MAX_INPUT);
	struct driver d = {.rng = {1}, .now_ms = 1000000};
	unsigned conf = rd_u8(&r), capabilities = rd_u8(&r), state = rd_u8(&r);

	if (r.bad)
		return 0;
	memset(d.wanted, 0xff, sizeof d.wanted);
	d.conf = conf_of(conf);
	d.b = bgp_new(&d.conf, &ops, &d, &hkey, &d.rng);
	REQUIRE(d.b != NULL);
	begin(&d, capabilities, state);
	while (rd_left(&r) > 0)
		step(&d, &r);
	for (unsigned s = 0; s < BGP_SIDES; s++)
		pull(&d, (enum bgp_side)s, UINT8_MAX);
	stop(&d, BGP_CEASE_SHUTDOWN);
	bgp_free(d.b);
	return 0;
}
