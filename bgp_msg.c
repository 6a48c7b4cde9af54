/* SPDX-License-Identifier: Apache-2.0
 *
 * bgp_msg.c - BGP-4 messages.
 *
 * Owns: nothing.
 * In:   bytes of a session.  Out: what they say, or the NOTIFICATION about what is wrong.
 * RFCs: 4271 (4, 6.1 to 6.3), 4760, 5492, 9072 (OPEN), 6793, 2918, 7313, 4724, 8538, 8950, 8654,
 *       7606 and 7607 (what is done about a wrong attribute), 1997, 8092 (communities), 9003.
 * Not done: attributes that lbd does not know (aggregation, tunnels, segment routing and so on) are
 *       passed over by their length, as RFC 4271 5 has it: nothing of a received route is used.
 */
#include "bgp_msg.h"

#include "bytes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	MARKER_LEN = 16,
	VERSION = 4,
	AFI_IPV4 = 1,
	AFI_IPV6 = 2,
	SAFI_UNICAST = 1,

	PARAMETER_CAPABILITIES = 2,
	PARAMETER_EXTENDED = 255, /* RFC 9072 */

	CAP_MULTIPROTOCOL = 1,
	CAP_REFRESH = 2,
	CAP_EXTENDED_NEXT_HOP = 5,
	CAP_EXTENDED_MESSAGE = 6,
	CAP_GRACEFUL_RESTART = 64,
	CAP_AS4 = 65,
	CAP_ENHANCED_REFRESH = 70,

	GR_RESTARTING = 0x8000,
	GR_NOTIFICATION = 0x4000,
	GR_TIME = 0x0fff,
	GR_FORWARDING = 0x80,

	FLAG_OPTIONAL = 0x80,
	FLAG_TRANSITIVE = 0x40,
	FLAG_EXTENDED = 0x10,

	ATTR_ORIGIN = 1,
	ATTR_AS_PATH,
	ATTR_NEXT_HOP,
	ATTR_MED,
	ATTR_LOCAL_PREF,
	ATTR_ATOMIC_AGGREGATE,
	ATTR_AGGREGATOR,
	ATTR_COMMUNITIES,
	ATTR_ORIGINATOR_ID,
	ATTR_CLUSTER_LIST,
	ATTR_MP_REACH = 14,
	ATTR_MP_UNREACH,
	ATTR_EXTENDED_COMMUNITIES,
	ATTR_AS4_PATH,
	ATTR_AS4_AGGREGATOR,
	ATTR_IPV6_EXTENDED_COMMUNITIES = 25,
	ATTR_LARGE_COMMUNITIES = 32,
	ATTR_ONLY_TO_CUSTOMER = 35,

	ORIGIN_IGP = 0,
	ORIGIN_INCOMPLETE = 2,
	SEGMENT_SET = 1,
	SEGMENT_SEQUENCE = 2,

	LINK_BANDWIDTH = 0x4004, /* non-transitive, AS-specific (draft-ietf-idr-link-bandwidth) */
	MP_REACH_MIN = 5,        /* RFC 7606 5.3 */
	UPDATE_UNRECOGNIZED = 2,
	REFRESH_BODY = 4,
};

static void blame(struct bgp_fault *f, enum bgp_code code, unsigned subcode, const char *why)
{
	*f = (struct bgp_fault){.code = code, .subcode = (uint8_t)subcode, .why = why};
}

static void attach(struct bgp_fault *f, const void *data, size_t len)
{
	f->len = len < sizeof f->data ? len : sizeof f->data;
	if (f->len > 0)
		memcpy(f->data, data, f->len);
}

/* -- the header -- */

static size_t shortest(enum bgp_type type)
{
	switch (type) {
	case BGP_OPEN:
		return BGP_HEADER_LEN + 10;
	case BGP_UPDATE:
		return BGP_HEADER_LEN + 4;
	case BGP_NOTIFICATION:
		return BGP_HEADER_LEN + 2;
	case BGP_KEEPALIVE:
	case BGP_ROUTE_REFRESH: /* its length has an error of its own (RFC 7313 5) */
		return BGP_HEADER_LEN;
	}
	return 0;
}

static size_t longest(enum bgp_type type, size_t max)
{
	if (type == BGP_KEEPALIVE)
		return BGP_HEADER_LEN;
	return type == BGP_OPEN ? BGP_MAX : max;
}

bool bgp_header_decode(
	const uint8_t *data, size_t max, struct bgp_header *ret_h, struct bgp_fault *ret_f)
{
	static const uint8_t marker[MARKER_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct rd r = rd_init(data, BGP_HEADER_LEN);
	const uint8_t *m = rd_bytes(&r, MARKER_LEN);
	size_t len = rd_be16(&r);
	unsigned type = rd_u8(&r);

	if (memcmp(m, marker, MARKER_LEN) != 0) {
		blame(ret_f, BGP_ERR_HEADER, BGP_HEADER_SYNC, "the marker is not all ones");
		return false;
	}
	if (type < BGP_OPEN || type > BGP_ROUTE_REFRESH) {
		blame(ret_f, BGP_ERR_HEADER, BGP_HEADER_TYPE, "an unknown type of message");
		attach(ret_f, data + MARKER_LEN + 2, 1);
		return false;
	}
	if (len < shortest((enum bgp_type)type) || len > longest((enum bgp_type)type, max)) {
		blame(ret_f, BGP_ERR_HEADER, BGP_HEADER_LENGTH, "a message of a wrong length");
		attach(ret_f, data + MARKER_LEN, 2);
		return false;
	}
	*ret_h = (struct bgp_header){(enum bgp_type)type, len};
	return true;
}

static struct wr begin(uint8_t *to, size_t room, enum bgp_type type)
{
	struct wr w = wr_init(to, room);

	for (unsigned i = 0; i < MARKER_LEN; i++)
		wr_u8(&w, 0xff);
	wr_be16(&w, 0);
	wr_u8(&w, (uint8_t)type);
	return w;
}

/* Writes a length of two bytes at at. */
static void put_length(uint8_t *at, size_t len)
{
	struct wr w = wr_init(at, 2);

	wr_be16(&w, (uint16_t)len);
}

static size_t finish(struct wr *w)
{
	size_t len = wr_len(w);

	if (len > 0)
		put_length(w->start + MARKER_LEN, len);
	return len;
}

/* -- families -- */

static bool family_of(unsigned afi, unsigned safi, enum addr_family *ret_f)
{
	if (safi != SAFI_UNICAST || (afi != AFI_IPV4 && afi != AFI_IPV6))
		return false;
	*ret_f = afi == AFI_IPV4 ? ADDR_V4 : ADDR_V6;
	return true;
}

static unsigned afi_of(enum addr_family f)
{
	return f == ADDR_V4 ? AFI_IPV4 : AFI_IPV6;
}

static unsigned bits_of(enum addr_family f)
{
	return f == ADDR_V4 ? 32 : 128;
}

/* -- OPEN -- */

static void read_graceful(struct rd r, struct bgp_open *o)
{
	unsigned flags = rd_be16(&r);

	if (r.bad || rd_left(&r) % 4 != 0)
		return;
	o->graceful = true;
	o->restarting = (flags & GR_RESTARTING) != 0;
	o->notification = (flags & GR_NOTIFICATION) != 0;
	o->restart_s = flags & GR_TIME;
	while (rd_left(&r) > 0) {
		unsigned afi = rd_be16(&r), safi = rd_u8(&r), kept = rd_u8(&r);
		enum addr_family f;

		if (!family_of(afi, safi, &f))
			continue;
		o->preserved[f] = true;
		o->forwarding[f] = (kept & GR_FORWARDING) != 0;
	}
}

static void read_next_hops(struct rd r, struct bgp_open *o)
{
	while (rd_left(&r) >= 6) {
		unsigned afi = rd_be16(&r), safi = rd_be16(&r), via = rd_be16(&r);

		o->extended_next_hop |= afi == AFI_IPV4 && safi == SAFI_UNICAST && via == AFI_IPV6;
	}
}

/* One of a wrong length is as one that is not there. */
static void read_capability(unsigned code, struct rd r, struct bgp_open *o)
{
	size_t len = rd_left(&r);
	enum addr_family f;
	unsigned afi;

	switch (code) {
	case CAP_MULTIPROTOCOL:
		afi = rd_be16(&r);
		rd_skip(&r, 1);
		if (len == 4 && family_of(afi, rd_u8(&r), &f))
			o->multiprotocol[f] = true;
		break;
	case CAP_AS4:
		if (len != 4)
			break;
		o->as4 = true;
		o->asn = rd_be32(&r);
		break;
	case CAP_REFRESH:
		o->refresh |= len == 0;
		break;
	case CAP_ENHANCED_REFRESH:
		o->enhanced_refresh |= len == 0;
		break;
	case CAP_EXTENDED_MESSAGE:
		o->extended_message |= len == 0;
		break;
	case CAP_EXTENDED_NEXT_HOP:
		read_next_hops(r, o);
		break;
	case CAP_GRACEFUL_RESTART:
		read_graceful(r, o);
		break;
	}
}

static bool read_capabilities(struct rd r, struct bgp_open *o)
{
	while (rd_left(&r) > 0) {
		unsigned code = rd_u8(&r), len = rd_u8(&r);

		read_capability(code, rd_sub(&r, len), o);
		if (r.bad)
			return false;
	}
	return true;
}

/* RFC 9072 2: the first parameter's type 255 says that lengths have two bytes. */
static bool begin_parameters(struct rd *r, bool *ret_wide)
{
	size_t len = rd_u8(r);
	struct rd ahead = *r;

	*ret_wide = len > 0 && rd_u8(&ahead) == PARAMETER_EXTENDED && !ahead.bad;
	if (*ret_wide) {
		*r = ahead;
		len = rd_be16(r);
	}
	return !r->bad && rd_left(r) == len;
}

static bool read_parameters(struct rd *r, struct bgp_open *o, struct bgp_fault *f)
{
	bool wide;

	blame(f, BGP_ERR_OPEN, 0, "an OPEN whose parameters do not fit into it");
	if (!begin_parameters(r, &wide))
		return false;
	while (rd_left(r) > 0) {
		unsigned type = rd_u8(r);
		size_t len = wide ? rd_be16(r) : rd_u8(r);
		struct rd value = rd_sub(r, len);

		if (r->bad)
			return false;
		if (type != PARAMETER_CAPABILITIES) {
			blame(f, BGP_ERR_OPEN, BGP_OPEN_PARAMETER, "an unknown parameter");
			return false;
		}
		if (!read_capabilities(value, o))
			return false;
	}
	return true;
}

bool bgp_open_decode(
	const uint8_t *body, size_t len, struct bgp_open *ret_o, struct bgp_fault *ret_f)
{
	static const uint8_t ours[2] = {0, VERSION};
	struct rd r = rd_init(body, len);
	struct bgp_open o = {0};
	unsigned version = rd_u8(&r);

	o.asn = rd_be16(&r);
	o.hold_s = rd_be16(&r);
	o.router_id = rd_be32(&r);
	if (!r.bad && version != VERSION) {
		blame(ret_f, BGP_ERR_OPEN, BGP_OPEN_VERSION, "another version than BGP-4");
		attach(ret_f, ours, sizeof ours);
		return false;
	}
	if (!read_parameters(&r, &o, ret_f))
		return false;
	if (o.hold_s == 1 || o.hold_s == 2) {
		blame(ret_f, BGP_ERR_OPEN, BGP_OPEN_HOLD_TIME, "a hold time below three seconds");
		return false;
	}
	if (o.router_id == 0) { /* RFC 6286 2.1 */
		blame(ret_f, BGP_ERR_OPEN, BGP_OPEN_ID, "the BGP identifier is zero");
		return false;
	}
	*ret_o = o;
	return true;
}

static void put_families(struct wr *w, const struct bgp_open *o)
{
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		if (!o->multiprotocol[f])
			continue;
		wr_u8(w, CAP_MULTIPROTOCOL);
		wr_u8(w, 4);
		wr_be16(w, (uint16_t)afi_of((enum addr_family)f));
		wr_be16(w, SAFI_UNICAST);
	}
}

void bgp_open_blame(struct bgp_fault *f, const struct bgp_open *missing)
{
	struct wr w = wr_init(f->data, sizeof f->data);

	put_families(&w, missing);
	f->len = wr_len(&w);
}

static void put_graceful(struct wr *w, const struct bgp_open *o)
{
	unsigned n = (unsigned)o->preserved[ADDR_V4] + (unsigned)o->preserved[ADDR_V6];
	unsigned flags = (o->restarting ? (unsigned)GR_RESTARTING : 0) |
			 (o->notification ? (unsigned)GR_NOTIFICATION : 0);

	wr_u8(w, CAP_GRACEFUL_RESTART);
	wr_u8(w, (uint8_t)(2 + 4 * n));
	wr_be16(w, (uint16_t)(flags | (o->restart_s & GR_TIME)));
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		if (!o->preserved[f])
			continue;
		wr_be16(w, (uint16_t)afi_of((enum addr_family)f));
		wr_u8(w, SAFI_UNICAST);
		wr_u8(w, o->forwarding[f] ? GR_FORWARDING : 0);
	}
}

static void put_flag(struct wr *w, bool on, unsigned code)
{
	if (!on)
		return;
	wr_u8(w, (uint8_t)code);
	wr_u8(w, 0);
}

static void put_capabilities(struct wr *w, const struct bgp_open *o)
{
	put_families(w, o);
	put_flag(w, o->refresh, CAP_REFRESH);
	put_flag(w, o->enhanced_refresh, CAP_ENHANCED_REFRESH);
	put_flag(w, o->extended_message, CAP_EXTENDED_MESSAGE);
	if (o->extended_next_hop) {
		wr_u8(w, CAP_EXTENDED_NEXT_HOP);
		wr_u8(w, 6);
		wr_be16(w, AFI_IPV4);
		wr_be16(w, SAFI_UNICAST);
		wr_be16(w, AFI_IPV6);
	}
	if (o->graceful)
		put_graceful(w, o);
	if (o->as4) {
		wr_u8(w, CAP_AS4);
		wr_u8(w, 4);
		wr_be32(w, o->asn);
	}
}

size_t bgp_open_encode(const struct bgp_open *o, uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_OPEN);
	size_t at;

	wr_u8(&w, VERSION);
	wr_be16(&w, o->asn > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)o->asn);
	wr_be16(&w, o->hold_s);
	wr_be32(&w, o->router_id);
	at = wr_len(&w);
	wr_u8(&w, 0); /* of the parameters; of the one there is, below */
	wr_u8(&w, PARAMETER_CAPABILITIES);
	wr_u8(&w, 0);
	put_capabilities(&w, o);
	if (w.bad)
		return 0;
	to[at] = (uint8_t)(wr_len(&w) - at - 1);
	to[at + 2] = (uint8_t)(wr_len(&w) - at - 3);
	return finish(&w);
}

/* -- prefixes -- */

/* False: one is too long, or more than there is (RFC 7606 5.3). */
static bool count_prefixes(struct rd r, enum addr_family family, uint32_t *io_n)
{
	while (rd_left(&r) > 0) {
		unsigned bits = rd_u8(&r);

		rd_skip(&r, (bits + 7) / 8);
		if (r.bad || bits > bits_of(family))
			return false;
		(*io_n)++;
	}
	return true;
}

static size_t prefix_len(const struct addr_prefix *p)
{
	return 1 + (size_t)(p->len + 7) / 8;
}

static void put_prefix(struct wr *w, const struct addr_prefix *p)
{
	uint8_t b[1 + 16] = {p->len};

	if (addr_family(p->base) == ADDR_V4)
		addr_to_v4(p->base, b + 1);
	else
		addr_to_v6(p->base, b + 1);
	wr_bytes(w, b, prefix_len(p));
}

/* -- UPDATE, received -- */

struct attribute {
	const uint8_t *start; /* with its header */
	size_t whole;         /* of it */
	unsigned flags, type;
	struct rd value;
};

struct reading {
	const struct bgp_terms *terms;
	struct bgp_update *u;
	uint8_t seen[256 / 8];
	size_t n_attributes; /* one that is cut off included */
	bool wrong_next_hop;
	bool reachable; /* MP_REACH_NLRI has prefixes, of whatever family */
};

/* The strongest of several verdicts stands (RFC 7606 3 (h)), and the first of its kind. */
static void judge(struct reading *x, enum bgp_verdict v, const char *why)
{
	if (v <= x->u->verdict)
		return;
	x->u->verdict = v;
	x->u->fault.why = why;
}

static void reset(struct reading *x, unsigned subcode, const struct attribute *a, const char *why)
{
	if (x->u->verdict == BGP_RESET)
		return;
	x->u->verdict = BGP_RESET;
	blame(&x->u->fault, BGP_ERR_UPDATE, subcode, why);
	if (a != NULL)
		attach(&x->u->fault, a->start, a->whole);
}

static bool has(const struct reading *x, unsigned type)
{
	return (x->seen[type / 8] >> type % 8 & 1) != 0;
}

/* RFC 7606 7.2, RFC 7607: of AS_PATH and AS4_PATH. */
static bool is_path(struct rd r, size_t as_len)
{
	while (rd_left(&r) > 0) {
		unsigned type = rd_u8(&r), n = rd_u8(&r);

		if (r.bad || (type != SEGMENT_SET && type != SEGMENT_SEQUENCE) || n == 0)
			return false; /* the confederation's kinds are not for us (RFC 5065 5) */
		for (; n > 0; n--)
			if ((as_len == 4 ? rd_be32(&r) : rd_be16(&r)) == 0)
				return false; /* AS 0 */
	}
	return !r.bad;
}

static bool is_multiple(const struct attribute *a, size_t of)
{
	size_t len = rd_left(&a->value);

	return len > 0 && len % of == 0;
}

static bool is_next_hop(const struct attribute *a)
{
	struct rd r = a->value;
	uint8_t b[4];

	rd_copy(&r, b, sizeof b);
	return rd_done(&r) && !addr_is_unusable(addr_from_v4(b));
}

static bool is_origin(const struct attribute *a)
{
	struct rd r = a->value;
	unsigned origin = rd_u8(&r);

	return rd_done(&r) && origin <= ORIGIN_INCOMPLETE;
}

static bool is_aggregator(const struct attribute *a, size_t as_len)
{
	struct rd r = a->value;
	uint32_t as = as_len == 4 ? rd_be32(&r) : rd_be16(&r);

	rd_skip(&r, 4);
	return rd_done(&r) && as != 0;
}

/* Of a family that was not agreed on nothing is looked at (RFC 4760 7). */
static void read_reach(struct reading *x, const struct attribute *a)
{
	struct rd r = a->value;
	unsigned afi = rd_be16(&r), safi = rd_u8(&r);
	size_t hop = rd_u8(&r);
	enum addr_family f;

	rd_skip(&r, hop + 1);
	x->reachable = rd_left(&r) > 0;
	if (rd_left(&a->value) < MP_REACH_MIN) {
		reset(x, BGP_UPDATE_OPTIONAL, a, "MP_REACH_NLRI is cut off");
		return;
	}
	if (!family_of(afi, safi, &f) || !x->terms->families[f])
		return;
	if (r.bad || !(hop == 16 || hop == 32 || (hop == 4 && f == ADDR_V4)) ||
		(f == ADDR_V4 && hop != 4 && !x->terms->extended_next_hop)) {
		reset(x, BGP_UPDATE_OPTIONAL, a, "MP_REACH_NLRI with a next hop of a wrong length");
		return;
	}
	if (!count_prefixes(r, f, &x->u->announced[f]))
		reset(x, BGP_UPDATE_OPTIONAL, a, "MP_REACH_NLRI with a wrong prefix");
}

static void read_unreach(struct reading *x, const struct attribute *a)
{
	struct rd r = a->value;
	unsigned afi = rd_be16(&r), safi = rd_u8(&r);
	enum addr_family f;

	if (r.bad) {
		reset(x, BGP_UPDATE_OPTIONAL, a, "MP_UNREACH_NLRI is cut off");
		return;
	}
	if (!family_of(afi, safi, &f) || !x->terms->families[f])
		return;
	if (!count_prefixes(r, f, &x->u->withdrawn[f]))
		reset(x, BGP_UPDATE_OPTIONAL, a, "MP_UNREACH_NLRI with a wrong prefix");
	x->u->end_of_rib = rd_left(&r) == 0;
	x->u->family = f;
}

enum class { WELL_KNOWN, TRANSITIVE, NON_TRANSITIVE };
/* Whom it may come from; from others it is discarded unread. */
enum sender { ANYONE, INTERNAL, OLD /* of two-octet AS numbers (RFC 6793 4.1) */ };

/* What RFC 7606 7 says of each: its class, and what is done about a wrong value. */
static const struct rule {
	unsigned type;
	enum class class;
	enum bgp_verdict wrong;
	enum sender from;
	const char *name;
} rules[] = {
	{ATTR_ORIGIN, WELL_KNOWN, BGP_WITHDRAWN, ANYONE, "a wrong ORIGIN"},
	{ATTR_AS_PATH, WELL_KNOWN, BGP_WITHDRAWN, ANYONE, "a wrong AS_PATH"},
	{ATTR_NEXT_HOP, WELL_KNOWN, BGP_WITHDRAWN, ANYONE, "a wrong NEXT_HOP"},
	{ATTR_MED, NON_TRANSITIVE, BGP_WITHDRAWN, ANYONE, "a wrong MULTI_EXIT_DISC"},
	{ATTR_LOCAL_PREF, WELL_KNOWN, BGP_WITHDRAWN, INTERNAL, "a wrong LOCAL_PREF"},
	{ATTR_ATOMIC_AGGREGATE, WELL_KNOWN, BGP_DISCARDED, ANYONE, "a wrong ATOMIC_AGGREGATE"},
	{ATTR_AGGREGATOR, TRANSITIVE, BGP_DISCARDED, ANYONE, "a wrong AGGREGATOR"},
	{ATTR_COMMUNITIES, TRANSITIVE, BGP_WITHDRAWN, ANYONE, "wrong COMMUNITIES"},
	{ATTR_ORIGINATOR_ID, NON_TRANSITIVE, BGP_WITHDRAWN, INTERNAL, "a wrong ORIGINATOR_ID"},
	{ATTR_CLUSTER_LIST, NON_TRANSITIVE, BGP_WITHDRAWN, INTERNAL, "a wrong CLUSTER_LIST"},
	{ATTR_MP_REACH, NON_TRANSITIVE, BGP_RESET, ANYONE, "a wrong MP_REACH_NLRI"},
	{ATTR_MP_UNREACH, NON_TRANSITIVE, BGP_RESET, ANYONE, "a wrong MP_UNREACH_NLRI"},
	{ATTR_EXTENDED_COMMUNITIES, TRANSITIVE, BGP_WITHDRAWN, ANYONE,
		"wrong extended communities"},
	{ATTR_AS4_PATH, TRANSITIVE, BGP_DISCARDED, OLD, "a wrong AS4_PATH"},
	{ATTR_AS4_AGGREGATOR, TRANSITIVE, BGP_DISCARDED, OLD, "a wrong AS4_AGGREGATOR"},
	{ATTR_IPV6_EXTENDED_COMMUNITIES, TRANSITIVE, BGP_WITHDRAWN, ANYONE,
		"wrong IPv6 extended communities"},
	{ATTR_LARGE_COMMUNITIES, TRANSITIVE, BGP_WITHDRAWN, ANYONE, "wrong large communities"},
	{ATTR_ONLY_TO_CUSTOMER, TRANSITIVE, BGP_WITHDRAWN, ANYONE, "a wrong ONLY_TO_CUSTOMER"},
};

static const struct rule *rule_of(unsigned type)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

/* Is its value as it should be?  Of those that are read by themselves: yes. */
static bool is_right(const struct reading *x, const struct attribute *a)
{
	size_t len = rd_left(&a->value), as_len = x->terms->as4 ? 4 : 2;

	switch (a->type) {
	case ATTR_ORIGIN:
		return is_origin(a);
	case ATTR_AS_PATH:
		return is_path(a->value, as_len);
	case ATTR_AS4_PATH:
		return len > 0 && is_path(a->value, 4);
	case ATTR_NEXT_HOP:
		return is_next_hop(a);
	case ATTR_MED:
	case ATTR_LOCAL_PREF:
	case ATTR_ORIGINATOR_ID:
	case ATTR_ONLY_TO_CUSTOMER:
		return len == 4;
	case ATTR_ATOMIC_AGGREGATE:
		return len == 0;
	case ATTR_AGGREGATOR:
		return is_aggregator(a, as_len);
	case ATTR_AS4_AGGREGATOR:
		return is_aggregator(a, 4);
	case ATTR_COMMUNITIES:
	case ATTR_CLUSTER_LIST:
		return is_multiple(a, 4);
	case ATTR_EXTENDED_COMMUNITIES:
		return is_multiple(a, 8);
	case ATTR_IPV6_EXTENDED_COMMUNITIES:
		return is_multiple(a, 20);
	case ATTR_LARGE_COMMUNITIES:
		return is_multiple(a, 12);
	}
	return true;
}

static bool has_flags_of(const struct attribute *a, enum class class)
{
	unsigned flags = a->flags & (FLAG_OPTIONAL | FLAG_TRANSITIVE);

	switch (class) {
	case WELL_KNOWN:
		return flags == FLAG_TRANSITIVE;
	case TRANSITIVE:
		return flags == (FLAG_OPTIONAL | FLAG_TRANSITIVE);
	case NON_TRANSITIVE:
		return flags == FLAG_OPTIONAL;
	}
	return false;
}

static bool may_send(const struct bgp_terms *t, enum sender from)
{
	switch (from) {
	case ANYONE:
		return true;
	case INTERNAL:
		return t->internal;
	case OLD:
		return !t->as4;
	}
	return false;
}

/* RFC 7606 3 (c): for wrong flags a route is withdrawn, whatever is done about a wrong value; but
 * 5.3: those of the attributes that have the prefixes end the session. */
static void check_attribute(struct reading *x, const struct attribute *a, const struct rule *rule)
{
	bool flags = has_flags_of(a, rule->class);

	if (!may_send(x->terms, rule->from))
		judge(x, BGP_DISCARDED, rule->name);
	else if (flags && is_right(x, a))
		return;
	else if (a->type == ATTR_NEXT_HOP) /* does it matter?  Known when all are read */
		x->wrong_next_hop = true;
	else if (rule->wrong == BGP_RESET)
		reset(x, BGP_UPDATE_OPTIONAL, a, rule->name);
	else
		judge(x, flags ? rule->wrong : BGP_WITHDRAWN, rule->name);
}

static void read_attribute(struct reading *x, const struct attribute *a)
{
	const struct rule *rule = rule_of(a->type);
	bool again = has(x, a->type);

	x->n_attributes++;
	x->seen[a->type / 8] |= (uint8_t)(1u << a->type % 8);
	if (again) { /* RFC 7606 3 (g) */
		if (a->type == ATTR_MP_REACH || a->type == ATTR_MP_UNREACH)
			reset(x, BGP_UPDATE_ATTRIBUTES, NULL, "prefixes of MP-BGP twice in an UPDATE");
		else
			judge(x, BGP_DISCARDED, "an attribute is there twice");
		return;
	}
	if (rule == NULL) {
		if ((a->flags & FLAG_OPTIONAL) == 0)
			reset(x, UPDATE_UNRECOGNIZED, a, "an unknown well-known attribute");
		return;
	}
	check_attribute(x, a, rule);
	if (a->type == ATTR_MP_REACH)
		read_reach(x, a);
	else if (a->type == ATTR_MP_UNREACH)
		read_unreach(x, a);
}

/* RFC 7606 4: where they do not add up, what is left of them is not read. */
static void read_attributes(struct reading *x, struct rd r)
{
	while (rd_left(&r) > 0) {
		struct attribute a = {.start = r.p};
		size_t len;

		a.flags = rd_u8(&r);
		a.type = rd_u8(&r);
		len = (a.flags & FLAG_EXTENDED) ? rd_be16(&r) : rd_u8(&r);
		a.value = rd_sub(&r, len);
		if (r.bad) {
			x->n_attributes++;
			judge(x, BGP_WITHDRAWN, "an attribute longer than all of them");
			return;
		}
		a.whole = (size_t)(r.p - a.start);
		read_attribute(x, &a);
	}
}

/* RFC 7606 3 (d): what each route must have. */
static void check_mandatory(struct reading *x, size_t nlri_len)
{
	bool any = nlri_len > 0 || has(x, ATTR_MP_REACH);

	if (any && (!has(x, ATTR_ORIGIN) || !has(x, ATTR_AS_PATH) ||
			   (nlri_len > 0 && !has(x, ATTR_NEXT_HOP)) ||
			   (x->terms->internal && !has(x, ATTR_LOCAL_PREF))))
		judge(x, BGP_WITHDRAWN, "a mandatory attribute is missing");
	/* Beside MP_REACH_NLRI alone it is to be ignored (RFC 4760 3). */
	if (x->wrong_next_hop && (nlri_len > 0 || !has(x, ATTR_MP_REACH)))
		judge(x, BGP_WITHDRAWN, "a wrong NEXT_HOP");
}

/* RFC 7606 5.2: where nothing is announced although there are attributes, the prefixes were not
 * found, and the session ends. */
static void withdraw(struct reading *x, size_t nlri_len)
{
	bool others = x->n_attributes > has(x, ATTR_MP_UNREACH);

	if (x->u->verdict != BGP_WITHDRAWN)
		return;
	if (others && nlri_len == 0 && !x->reachable)
		reset(x, BGP_UPDATE_ATTRIBUTES, NULL, x->u->fault.why);
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		x->u->withdrawn[f] += x->u->announced[f];
		x->u->announced[f] = 0;
	}
}

void bgp_update_decode(const uint8_t *body, size_t len, const struct bgp_terms *terms,
	struct bgp_update *ret_u)
{
	struct reading x = {.terms = terms, .u = ret_u};
	struct rd r = rd_init(body, len), withdrawn, attributes;

	*ret_u = (struct bgp_update){.verdict = BGP_TAKEN};
	withdrawn = rd_sub(&r, rd_be16(&r));
	attributes = rd_sub(&r, rd_be16(&r));
	if (r.bad) {
		reset(&x, BGP_UPDATE_ATTRIBUTES, NULL, "an UPDATE whose parts do not fit into it");
		return;
	}
	if (rd_left(&withdrawn) + rd_left(&attributes) + rd_left(&r) == 0) {
		ret_u->end_of_rib = true;
		ret_u->family = ADDR_V4;
		return;
	}
	if (!count_prefixes(withdrawn, ADDR_V4, &ret_u->withdrawn[ADDR_V4]))
		reset(&x, BGP_UPDATE_NETWORK, NULL, "a wrong withdrawn prefix");
	read_attributes(&x, attributes);
	if (!count_prefixes(r, ADDR_V4, &ret_u->announced[ADDR_V4]))
		reset(&x, BGP_UPDATE_NETWORK, NULL, "a wrong prefix");
	check_mandatory(&x, rd_left(&r));
	withdraw(&x, rd_left(&r));
	ret_u->end_of_rib &= x.n_attributes == 1 && rd_left(&withdrawn) + rd_left(&r) == 0 &&
			     ret_u->verdict == BGP_TAKEN;
}

/* -- NOTIFICATION -- */

/* RFC 9003 2: UTF-8 of an operator; what is not plain text becomes '?'. */
static void read_reason(struct rd *r, char reason[BGP_REASON_MAX + 1])
{
	size_t len = rd_u8(r);
	const uint8_t *b = rd_bytes(r, len);

	if (b == NULL)
		return;
	for (size_t i = 0; i < len; i++)
		reason[i] = (char)(b[i] < ' ' || b[i] == 0x7f ? '?' : b[i]);
	reason[len] = '\0';
}

static bool has_reason(unsigned code, unsigned subcode)
{
	return code == BGP_ERR_CEASE && (subcode == BGP_CEASE_SHUTDOWN || subcode == BGP_CEASE_RESET);
}

bool bgp_notification_decode(const uint8_t *body, size_t len, struct bgp_notification *ret_n)
{
	struct rd r = rd_init(body, len);
	struct bgp_notification n = {0};

	n.code = (enum bgp_code)rd_u8(&r);
	n.subcode = rd_u8(&r);
	if (r.bad)
		return false;
	if (n.code == BGP_ERR_CEASE && n.subcode == BGP_CEASE_HARD_RESET && rd_left(&r) >= 2) {
		unsigned code = rd_u8(&r), subcode = rd_u8(&r); /* RFC 8538 3.1 */

		if (has_reason(code, subcode))
			read_reason(&r, n.reason);
	} else if (has_reason(n.code, n.subcode)) {
		read_reason(&r, n.reason);
	}
	*ret_n = n;
	return true;
}

/* At most BGP_REASON_MAX bytes, and no half of a character. */
static size_t reason_len(const char *s)
{
	size_t n = strnlen(s, BGP_REASON_MAX + 1);

	if (n <= BGP_REASON_MAX)
		return n;
	n = BGP_REASON_MAX;
	while (n > 0 && ((uint8_t)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

size_t bgp_notification_encode(
	const struct bgp_fault *f, bool hard, const char *reason, uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_NOTIFICATION);

	if (hard) {
		wr_u8(&w, BGP_ERR_CEASE);
		wr_u8(&w, BGP_CEASE_HARD_RESET);
	}
	wr_u8(&w, (uint8_t)f->code);
	wr_u8(&w, f->subcode);
	wr_bytes(&w, f->data, f->len);
	if (reason != NULL && has_reason(f->code, f->subcode)) {
		wr_u8(&w, (uint8_t)reason_len(reason));
		wr_bytes(&w, reason, reason_len(reason));
	}
	return finish(&w);
}

const char *bgp_notification_text(unsigned code, unsigned subcode, char s[static 48])
{
	static const struct {
		uint8_t code, subcode;
		const char *text;
	} known[] = {
		{BGP_ERR_HEADER, BGP_HEADER_SYNC, "connection not synchronized"},
		{BGP_ERR_HEADER, BGP_HEADER_LENGTH, "bad message length"},
		{BGP_ERR_HEADER, BGP_HEADER_TYPE, "bad message type"},
		{BGP_ERR_OPEN, BGP_OPEN_VERSION, "unsupported version number"},
		{BGP_ERR_OPEN, BGP_OPEN_PEER_AS, "bad peer AS"},
		{BGP_ERR_OPEN, BGP_OPEN_ID, "bad BGP identifier"},
		{BGP_ERR_OPEN, BGP_OPEN_PARAMETER, "unsupported optional parameter"},
		{BGP_ERR_OPEN, BGP_OPEN_HOLD_TIME, "unacceptable hold time"},
		{BGP_ERR_OPEN, BGP_OPEN_CAPABILITY, "unsupported capability"},
		{BGP_ERR_UPDATE, BGP_UPDATE_ATTRIBUTES, "malformed attribute list"},
		{BGP_ERR_UPDATE, UPDATE_UNRECOGNIZED, "unrecognized well-known attribute"},
		{BGP_ERR_UPDATE, BGP_UPDATE_OPTIONAL, "optional attribute error"},
		{BGP_ERR_UPDATE, BGP_UPDATE_NETWORK, "invalid network field"},
		{BGP_ERR_HOLD, 0, "hold timer expired"},
		{BGP_ERR_SEND_HOLD, 0, "send hold timer expired"},
		{BGP_ERR_FSM, BGP_FSM_OPEN_SENT, "unexpected message in OpenSent"},
		{BGP_ERR_FSM, BGP_FSM_OPEN_CONFIRM, "unexpected message in OpenConfirm"},
		{BGP_ERR_FSM, BGP_FSM_ESTABLISHED, "unexpected message in Established"},
		{BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES, "maximum number of prefixes reached"},
		{BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, "administrative shutdown"},
		{BGP_ERR_CEASE, BGP_CEASE_DECONFIGURED, "peer de-configured"},
		{BGP_ERR_CEASE, BGP_CEASE_RESET, "administrative reset"},
		{BGP_ERR_CEASE, BGP_CEASE_REJECTED, "connection rejected"},
		{BGP_ERR_CEASE, BGP_CEASE_CONFIG_CHANGE, "other configuration change"},
		{BGP_ERR_CEASE, BGP_CEASE_COLLISION, "connection collision resolution"},
		{BGP_ERR_CEASE, BGP_CEASE_RESOURCES, "out of resources"},
		{BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, "hard reset"},
		{BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN, "BFD down"},
		{BGP_ERR_REFRESH, BGP_REFRESH_LENGTH, "invalid ROUTE-REFRESH length"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].code == code && known[i].subcode == subcode)
			return known[i].text;
	(void)snprintf(s, 48, "code %u, subcode %u", code, subcode);
	return s;
}

/* -- KEEPALIVE, ROUTE-REFRESH -- */

size_t bgp_keepalive_encode(uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_KEEPALIVE);

	return finish(&w);
}

/* The whole message, or its beginning (RFC 7313 5). */
static void attach_refresh(struct bgp_fault *f, const uint8_t *body, size_t len)
{
	struct wr w = begin(f->data, sizeof f->data, BGP_ROUTE_REFRESH);
	size_t room = sizeof f->data - BGP_HEADER_LEN;

	put_length(f->data + MARKER_LEN, BGP_HEADER_LEN + len);
	if (len > 0)
		wr_bytes(&w, body, len < room ? len : room);
	f->len = wr_len(&w);
}

bool bgp_refresh_decode(const uint8_t *body, size_t len, bool enhanced, struct bgp_refresh *ret_r,
	struct bgp_fault *ret_f)
{
	struct rd r = rd_init(body, len);
	struct bgp_refresh m = {0};
	unsigned afi = rd_be16(&r), kind = rd_u8(&r), safi = rd_u8(&r);

	if (r.bad || (enhanced && kind != BGP_REFRESH_ASK && len != REFRESH_BODY)) {
		blame(ret_f, BGP_ERR_REFRESH, BGP_REFRESH_LENGTH,
			"a ROUTE-REFRESH of a wrong length");
		attach_refresh(ret_f, body, len);
		return false;
	}
	m.known = family_of(afi, safi, &m.family) && (!enhanced || kind <= BGP_REFRESH_END);
	m.kind = enhanced && m.known ? (enum bgp_refresh_kind)kind : BGP_REFRESH_ASK;
	*ret_r = m;
	return true;
}

size_t bgp_refresh_encode(const struct bgp_refresh *r, uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_ROUTE_REFRESH);

	wr_be16(&w, (uint16_t)afi_of(r->family));
	wr_u8(&w, (uint8_t)r->kind);
	wr_u8(&w, SAFI_UNICAST);
	return finish(&w);
}

/* -- UPDATE, sent -- */

static void put_attribute(struct wr *w, unsigned flags, unsigned type, size_t len)
{
	wr_u8(w, (uint8_t)(flags | (len > UINT8_MAX ? (unsigned)FLAG_EXTENDED : 0)));
	wr_u8(w, (uint8_t)type);
	if (len > UINT8_MAX)
		wr_be16(w, (uint16_t)len);
	else
		wr_u8(w, (uint8_t)len);
}

static void put_as(struct wr *w, uint32_t as, bool as4)
{
	if (as4)
		wr_be32(w, as);
	else
		wr_be16(w, as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)as);
}

static void put_path_of(struct wr *w, const struct bgp_attributes *a, unsigned flags, unsigned type,
	bool as4)
{
	put_attribute(w, flags, type, a->n_path > 0 ? 2 + a->n_path * (as4 ? 4u : 2u) : 0);
	if (a->n_path == 0)
		return;
	wr_u8(w, SEGMENT_SEQUENCE);
	wr_u8(w, (uint8_t)a->n_path);
	for (unsigned i = 0; i < a->n_path; i++)
		put_as(w, a->path[i], as4);
}

/* RFC 6793 4.2.2: towards a peer of two octets the true path goes beside it. */
static bool needs_as4_path(const struct bgp_attributes *a, const struct bgp_terms *terms)
{
	bool wide = false;

	for (unsigned i = 0; i < a->n_path; i++)
		wide |= a->path[i] > UINT16_MAX;
	return wide && !terms->as4;
}

static void put_communities(struct wr *w, const struct bgp_attributes *a)
{
	if (a->n_communities == 0)
		return;
	put_attribute(w, FLAG_OPTIONAL | FLAG_TRANSITIVE, ATTR_COMMUNITIES,
		4 * (size_t)a->n_communities);
	for (unsigned i = 0; i < a->n_communities; i++)
		wr_be32(w, a->communities[i]);
}

static void put_large(struct wr *w, const struct bgp_attributes *a)
{
	if (a->n_large == 0)
		return;
	put_attribute(w, FLAG_OPTIONAL | FLAG_TRANSITIVE, ATTR_LARGE_COMMUNITIES,
		12 * (size_t)a->n_large);
	for (unsigned i = 0; i < a->n_large; i++) {
		wr_be32(w, a->large[i].global);
		wr_be32(w, a->large[i].local1);
		wr_be32(w, a->large[i].local2);
	}
}

static void put_bandwidth(struct wr *w, const struct bgp_attributes *a)
{
	uint32_t bits;

	if (!a->has_bandwidth)
		return;
	memcpy(&bits, &a->bandwidth, sizeof bits);
	put_attribute(w, FLAG_OPTIONAL | FLAG_TRANSITIVE, ATTR_EXTENDED_COMMUNITIES, 8);
	wr_be16(w, LINK_BANDWIDTH);
	put_as(w, a->n_path > 0 ? a->path[0] : 0, false);
	wr_be32(w, bits);
}

/* But for MP_REACH_NLRI, in ascending order of their types, as RFC 4271 5 recommends. */
static void put_attributes(
	struct wr *w, const struct bgp_attributes *a, const struct bgp_terms *terms, bool classic)
{
	put_attribute(w, FLAG_TRANSITIVE, ATTR_ORIGIN, 1);
	wr_u8(w, ORIGIN_IGP);
	put_path_of(w, a, FLAG_TRANSITIVE, ATTR_AS_PATH, terms->as4);
	if (classic) {
		uint8_t b[4];

		addr_to_v4(a->next_hop, b);
		put_attribute(w, FLAG_TRANSITIVE, ATTR_NEXT_HOP, sizeof b);
		wr_bytes(w, b, sizeof b);
	}
	if (a->has_med) {
		put_attribute(w, FLAG_OPTIONAL, ATTR_MED, 4);
		wr_be32(w, a->med);
	}
	if (a->has_local_pref) {
		put_attribute(w, FLAG_TRANSITIVE, ATTR_LOCAL_PREF, 4);
		wr_be32(w, a->local_pref);
	}
	put_communities(w, a);
	put_bandwidth(w, a);
	if (needs_as4_path(a, terms))
		put_path_of(w, a, FLAG_OPTIONAL | FLAG_TRANSITIVE, ATTR_AS4_PATH, true);
	put_large(w, a);
}

/* As many as fit; at least the first one. */
static size_t put_prefixes(struct wr *w, const struct addr_prefix *v, size_t n)
{
	size_t i = 0;

	do
		put_prefix(w, &v[i++]);
	while (i < n && (size_t)(w->end - w->p) >= prefix_len(&v[i]));
	return i;
}

/* The header of an MP attribute; returns where its length is. */
static size_t begin_multiprotocol(struct wr *w, unsigned type, enum addr_family family)
{
	size_t at;

	wr_u8(w, FLAG_OPTIONAL | FLAG_EXTENDED);
	wr_u8(w, (uint8_t)type);
	at = wr_len(w);
	wr_be16(w, 0);
	wr_be16(w, (uint16_t)afi_of(family));
	wr_u8(w, SAFI_UNICAST);
	return at;
}

static void put_next_hops(struct wr *w, const struct bgp_attributes *a)
{
	bool local = a->next_hop_local.hi != 0 || a->next_hop_local.lo != 0;
	uint8_t b[16];

	wr_u8(w, local ? 32 : 16);
	addr_to_v6(a->next_hop, b);
	wr_bytes(w, b, sizeof b);
	if (local) {
		addr_to_v6(a->next_hop_local, b);
		wr_bytes(w, b, sizeof b);
	}
	wr_u8(w, 0); /* reserved */
}

size_t bgp_announce_encode(const struct bgp_attributes *a, const struct bgp_terms *terms,
	const struct addr_prefix *v, size_t n, size_t *ret_done, uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_UPDATE);
	enum addr_family family = addr_family(v[0].base);
	bool classic = family == ADDR_V4 && addr_family(a->next_hop) == ADDR_V4;
	size_t at, mp, len, done;

	wr_be16(&w, 0);
	at = wr_len(&w);
	wr_be16(&w, 0);
	put_attributes(&w, a, terms, classic);
	if (w.bad)
		return 0;
	len = wr_len(&w) - at - 2;
	if (classic) {
		put_length(to + at, len);
		done = put_prefixes(&w, v, n);
	} else { /* MP_REACH_NLRI goes before the others (RFC 7606 5.1), which wait at the end */
		w.p -= len;
		w.end -= len;
		memmove(w.end, w.p, len);
		mp = begin_multiprotocol(&w, ATTR_MP_REACH, family);
		put_next_hops(&w, a);
		done = put_prefixes(&w, v, n);
		if (w.bad)
			return 0;
		put_length(to + mp, wr_len(&w) - mp - 2);
		memmove(w.p, w.end, len);
		w.p += len;
		put_length(to + at, wr_len(&w) - at - 2);
	}
	if (w.bad)
		return 0;
	*ret_done = done;
	return finish(&w);
}

size_t bgp_withdraw_encode(const struct bgp_terms *terms, const struct addr_prefix *v, size_t n,
	size_t *ret_done, uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_UPDATE);
	enum addr_family family = addr_family(v[0].base);
	size_t at = wr_len(&w), mp, done;

	wr_be16(&w, 0);
	if (family == ADDR_V4 && !terms->extended_next_hop) {
		w.end -= w.end - w.p > 2 ? 2 : 0; /* the attributes' length comes after them */
		done = put_prefixes(&w, v, n);
		if (w.bad)
			return 0;
		put_length(to + at, wr_len(&w) - at - 2);
		w.end += 2;
		wr_be16(&w, 0);
	} else {
		at = wr_len(&w);
		wr_be16(&w, 0);
		mp = begin_multiprotocol(&w, ATTR_MP_UNREACH, family);
		done = put_prefixes(&w, v, n);
		if (w.bad)
			return 0;
		put_length(to + mp, wr_len(&w) - mp - 2);
		put_length(to + at, wr_len(&w) - at - 2);
	}
	if (w.bad)
		return 0;
	*ret_done = done;
	return finish(&w);
}

size_t bgp_end_of_rib_encode(enum addr_family family, uint8_t *to, size_t room)
{
	struct wr w = begin(to, room, BGP_UPDATE);
	size_t at;

	wr_be16(&w, 0);
	at = wr_len(&w);
	wr_be16(&w, 0);
	if (family == ADDR_V6) {
		size_t mp = begin_multiprotocol(&w, ATTR_MP_UNREACH, family);

		if (w.bad)
			return 0;
		put_length(to + mp, wr_len(&w) - mp - 2);
		put_length(to + at, wr_len(&w) - at - 2);
	}
	return finish(&w);
}
