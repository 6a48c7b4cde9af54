/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bgp_msg.c - BGP messages byte by byte, and what is done about each wrong one (RFC 7606).
 */
#include "bgp_msg.h"
#include "check.h"

#include <ctype.h>
#include <stdlib.h>

enum { ROOM = 4096 };

/* Hex with blanks; returns how many bytes. */
static size_t unhex(const char *s, uint8_t *to)
{
	size_t n = 0;

	for (; *s != '\0'; s++) {
		char two[3] = {s[0], s[1], '\0'};

		if (isspace((unsigned char)*s))
			continue;
		to[n++] = (uint8_t)strtoul(two, NULL, 16);
		s++;
	}
	return n;
}

static char *hex(const uint8_t *b, size_t n)
{
	static char text[2 * ROOM + 1];

	for (size_t i = 0; i < n; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", b[i]);
	text[2 * n] = '\0';
	return text;
}

static struct addr ip(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

static struct addr_prefix prefix(const char *s)
{
	struct addr_prefix p;

	if (addr_prefix_parse(s, strlen(s), &p, NULL) != 0)
		abort();
	return p;
}

/* -- header -- */

#define MARKER "ffffffffffffffffffffffffffffffff"

static void test_header(void)
{
	static const struct {
		const char *in;
		size_t max;
		unsigned type; /* 0: wrong */
		unsigned subcode;
		const char *data;
	} rows[] = {
		{MARKER "0013 04", BGP_MAX, BGP_KEEPALIVE, 0, ""},
		{MARKER "0014 04", BGP_MAX, 0, BGP_HEADER_LENGTH, "0014"},
		{MARKER "0012 04", BGP_MAX, 0, BGP_HEADER_LENGTH, "0012"},
		{MARKER "001d 01", BGP_MAX, BGP_OPEN, 0, ""},
		{MARKER "001c 01", BGP_MAX, 0, BGP_HEADER_LENGTH, "001c"},
		{MARKER "1001 01", BGP_MAX_EXTENDED, 0, BGP_HEADER_LENGTH, "1001"},
		{MARKER "0017 02", BGP_MAX, BGP_UPDATE, 0, ""},
		{MARKER "0016 02", BGP_MAX, 0, BGP_HEADER_LENGTH, "0016"},
		{MARKER "1000 02", BGP_MAX, BGP_UPDATE, 0, ""},
		{MARKER "1001 02", BGP_MAX, 0, BGP_HEADER_LENGTH, "1001"},
		{MARKER "1001 02", BGP_MAX_EXTENDED, BGP_UPDATE, 0, ""},
		{MARKER "ffff 02", BGP_MAX_EXTENDED, BGP_UPDATE, 0, ""},
		{MARKER "0015 03", BGP_MAX, BGP_NOTIFICATION, 0, ""},
		{MARKER "0014 03", BGP_MAX, 0, BGP_HEADER_LENGTH, "0014"},
		{MARKER "0017 05", BGP_MAX, BGP_ROUTE_REFRESH, 0, ""},
		{MARKER "0013 00", BGP_MAX, 0, BGP_HEADER_TYPE, "00"},
		{MARKER "0013 06", BGP_MAX, 0, BGP_HEADER_TYPE, "06"},
		{"fffffffffffffffffffffffffffffffe 0013 04", BGP_MAX, 0, BGP_HEADER_SYNC, ""},
		{"00000000000000000000000000000000 0013 04", BGP_MAX, 0, BGP_HEADER_SYNC, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_header h;
		struct bgp_fault f = {0};
		uint8_t b[ROOM];

		CHECK_INT(unhex(rows[i].in, b), BGP_HEADER_LEN);
		if (bgp_header_decode(b, rows[i].max, &h, &f)) {
			CHECK_INT(h.type, rows[i].type);
			CHECK_INT(h.len, (size_t)b[16] << 8 | b[17]);
		} else {
			CHECK_INT(rows[i].type, 0);
			CHECK_INT(f.code, BGP_ERR_HEADER);
			CHECK_INT(f.subcode, rows[i].subcode);
			CHECK_STR(hex(f.data, f.len), rows[i].data);
		}
	}
}

/* -- OPEN -- */

#define OPEN_HEAD "04 fde9 005a 0a000001 "

static void test_open_wrong(void)
{
	static const struct {
		const char *name, *in;
		int subcode; /* -1: taken */
		const char *data;
	} rows[] = {
		{"no parameters", OPEN_HEAD "00", -1, ""},
		{"version 3", "03 fde9 005a 0a000001 00", BGP_OPEN_VERSION, "0004"},
		{"hold time 0", "04 fde9 0000 0a000001 00", -1, ""},
		{"hold time 1", "04 fde9 0001 0a000001 00", BGP_OPEN_HOLD_TIME, ""},
		{"hold time 2", "04 fde9 0002 0a000001 00", BGP_OPEN_HOLD_TIME, ""},
		{"hold time 3", "04 fde9 0003 0a000001 00", -1, ""},
		{"identifier 0", "04 fde9 005a 00000000 00", BGP_OPEN_ID, ""},
		{"a multicast identifier", "04 fde9 005a e0000001 00", -1, ""},
		{"parameters longer than it", OPEN_HEAD "04 0202", 0, ""},
		{"parameters shorter than it", OPEN_HEAD "02 020000", 0, ""},
		{"authentication, deprecated", OPEN_HEAD "04 0102 0000", BGP_OPEN_PARAMETER, ""},
		{"an unknown parameter", OPEN_HEAD "02 6300", BGP_OPEN_PARAMETER, ""},
		{"half a parameter", OPEN_HEAD "01 02", 0, ""},
		{"a parameter overruns", OPEN_HEAD "03 0202 00", 0, ""},
		{"a capability overruns", OPEN_HEAD "04 0202 4104", 0, ""},
		{"half a capability", OPEN_HEAD "03 0201 41", 0, ""},
		{"no capabilities", OPEN_HEAD "02 0200", -1, ""},
		{"an unknown capability", OPEN_HEAD "05 0203 ee0105", -1, ""},
		{"two parameters", OPEN_HEAD "08 0202 0200 0202 4600", -1, ""},
		{"extended", OPEN_HEAD "ff ff 0005 02 0002 0200", -1, ""},
		{"extended, another length before", OPEN_HEAD "08 ff 0005 02 0002 0200", -1, ""},
		{"extended, nothing in it", OPEN_HEAD "ff ff 0000", -1, ""},
		{"extended, cut off", OPEN_HEAD "ff ff", 0, ""},
		{"extended, half a length", OPEN_HEAD "ff ff 00", 0, ""},
		{"extended, too long", OPEN_HEAD "ff ff 0006 02 0002 0200", 0, ""},
		{"extended, one overruns", OPEN_HEAD "ff ff 0005 02 0003 0200", 0, ""},
		{"extended, half a head", OPEN_HEAD "ff ff 0002 0200", 0, ""},
		{"255 without the type", OPEN_HEAD "ff 02 0005", 0, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_open o;
		struct bgp_fault f = {0};
		uint8_t b[ROOM];
		bool ok = bgp_open_decode(b, unhex(rows[i].in, b), &o, &f);

		check_row = rows[i].name;
		CHECK_INT(ok ? -1 : f.subcode, rows[i].subcode);
		CHECK(ok || f.code == BGP_ERR_OPEN);
		if (!ok)
			CHECK_STR(hex(f.data, f.len), rows[i].data);
	}
}

static void test_open_capabilities(void)
{
	struct bgp_open o;
	struct bgp_fault f;
	uint8_t b[ROOM];
	size_t n = unhex(OPEN_HEAD "38 0236"
				   "0104 00010001 0104 00020001 0104 00010080" /* the last: VPN */
				   "0200 4600 0600"
				   "0506 000100010002"
				   "400a 8078 00010180 00020100"
				   "4104 0001e240"
				   "4902 0161",
		b);

	CHECK(bgp_open_decode(b, n, &o, &f));
	CHECK_INT(o.asn, 123456);
	CHECK_INT(o.hold_s, 90);
	CHECK_INT(o.router_id, 0x0a000001);
	CHECK(o.as4 && o.multiprotocol[ADDR_V4] && o.multiprotocol[ADDR_V6]);
	CHECK(o.refresh && o.enhanced_refresh && o.extended_message && o.extended_next_hop);
	CHECK(o.graceful && o.restarting && !o.notification);
	CHECK_INT(o.restart_s, 120);
	CHECK(o.preserved[ADDR_V4] && o.forwarding[ADDR_V4]);
	CHECK(o.preserved[ADDR_V6] && !o.forwarding[ADDR_V6]);

	/* Each of a wrong length: as if it were not there. */
	n = unhex(OPEN_HEAD "21 021f 0103 000100 0201 00 4601 00 0601 00 0505 0001000100"
			    "4003 000000 4103 000001",
		b);
	CHECK(bgp_open_decode(b, n, &o, &f));
	CHECK_INT(o.asn, 65001);
	CHECK(!o.as4 && !o.multiprotocol[ADDR_V4] && !o.refresh && !o.enhanced_refresh);
	CHECK(!o.extended_message && !o.extended_next_hop && !o.graceful);
}

static void test_open_encode(void)
{
	const struct bgp_open small = {.asn = 65001, .hold_s = 90, .router_id = 0x0a000001},
			      full = {.asn = 4200000001,
				      .hold_s = 9,
				      .router_id = 0x0a000001,
				      .as4 = true,
				      .multiprotocol = {true, true},
				      .extended_next_hop = true,
				      .extended_message = true,
				      .refresh = true,
				      .enhanced_refresh = true,
				      .graceful = true,
				      .notification = true,
				      .restart_s = 120,
				      .preserved = {true, true},
				      .forwarding = {true, true}};
	struct bgp_open o;
	struct bgp_fault f;
	uint8_t b[ROOM];
	size_t n = bgp_open_encode(&small, b, sizeof b);

	CHECK_STR(hex(b, n), MARKER "001f01"
				    "04fde9005a0a000001020200");
	n = bgp_open_encode(&full, b, sizeof b);
	CHECK_INT(b[16] << 8 | b[17], n);
	CHECK_STR(hex(b + 20, 2), "5ba0"); /* AS_TRANS */
	CHECK(bgp_open_decode(b + BGP_HEADER_LEN, n - BGP_HEADER_LEN, &o, &f));
	CHECK(memcmp(&o, &full, sizeof o) == 0);
	for (size_t room = 0; room < n; room++)
		CHECK_INT(bgp_open_encode(&full, b, room), 0);
	CHECK_INT(bgp_open_encode(&full, b, n), n);
}

/* -- UPDATE, received -- */

#define ORIGIN "400101 00 "
#define PATH   "400206 0201 0000fde9 "
#define HOP    "400304 0a000001 "
#define GOOD   ORIGIN PATH HOP
#define PREF   "400504 00000064 "
#define NET    "18 cb0071 "
#define REACH6 "800e1e 0002 01 10 20010db8000000000000000000000001 00 40 20010db800010002 "

enum { EBGP, IBGP, TWO /* eBGP with a peer of two-octet AS numbers */ };

struct update_row {
	const char *name;
	unsigned session;
	const char *withdrawn, *attributes, *nlri;
	enum bgp_verdict verdict;
	unsigned subcode;
};

static void judge_row(const struct update_row *row)
{
	const struct bgp_terms terms = {.as4 = row->session != TWO,
		.internal = row->session == IBGP,
		.families = {true, true}};
	uint8_t b[ROOM], part[ROOM];
	size_t n = 0, len;
	struct bgp_update u;

	len = unhex(row->withdrawn, part);
	b[n++] = (uint8_t)(len >> 8);
	b[n++] = (uint8_t)len;
	memcpy(b + n, part, len);
	n += len;
	len = unhex(row->attributes, part);
	b[n++] = (uint8_t)(len >> 8);
	b[n++] = (uint8_t)len;
	memcpy(b + n, part, len);
	n += len;
	n += unhex(row->nlri, b + n);
	bgp_update_decode(b, n, &terms, &u);
	check_row = row->name;
	CHECK_INT(u.verdict, row->verdict);
	if (u.verdict == BGP_RESET) {
		CHECK_INT(u.fault.code, BGP_ERR_UPDATE);
		CHECK_INT(u.fault.subcode, row->subcode);
	}
	CHECK((u.verdict == BGP_TAKEN) == (u.fault.why == NULL));
}

static void test_update_verdicts(void)
{
	static const struct update_row rows[] = {
		{"good", EBGP, "", GOOD, NET, BGP_TAKEN, 0},
		{"good, IPv6", EBGP, "", ORIGIN PATH REACH6, "", BGP_TAKEN, 0},
		{"a withdrawal", EBGP, NET, "", "", BGP_TAKEN, 0},
		{"iBGP", IBGP, "", GOOD PREF, NET, BGP_TAKEN, 0},
		{"iBGP, no path", IBGP, "", ORIGIN "400200 " HOP PREF, NET, BGP_TAKEN, 0},
		{"two octets", TWO, "", ORIGIN "400204 0201 fde9 " HOP, NET, BGP_TAKEN, 0},
		{"the extended length of a short one", EBGP, "", "50010001 00 " PATH HOP, NET,
			BGP_TAKEN, 0},
		{"attributes and nothing they belong to", EBGP, "", ORIGIN, "", BGP_TAKEN, 0},

		{"ORIGIN, length 0", EBGP, "", "400100 " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN, length 2", EBGP, "", "400102 0000 " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN 3", EBGP, "", "400101 03 " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN 4", EBGP, "", "400101 04 " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN 255", EBGP, "", "400101 ff " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN, optional", EBGP, "", "c00101 00 " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN, not transitive", EBGP, "", "000101 00 " PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"ORIGIN, partial", EBGP, "", "600101 00 " PATH HOP, NET, BGP_TAKEN, 0},

		{"AS_PATH, optional", EBGP, "", ORIGIN "c00206 0201 0000fde9 " HOP, NET,
			BGP_WITHDRAWN, 0},
		{"segment type 0", EBGP, "", ORIGIN "400206 0001 0000fde9 " HOP, NET, BGP_WITHDRAWN,
			0},
		{"segment type 5", EBGP, "", ORIGIN "400206 0501 0000fde9 " HOP, NET, BGP_WITHDRAWN,
			0},
		{"a confederation's segment", EBGP, "", ORIGIN "400206 0301 0000fde9 " HOP, NET,
			BGP_WITHDRAWN, 0},
		{"segment of none", EBGP, "", ORIGIN "400202 0200 " HOP, NET, BGP_WITHDRAWN, 0},
		{"segment overruns", EBGP, "", ORIGIN "400206 0202 0000fde9 " HOP, NET,
			BGP_WITHDRAWN, 0},
		{"half a segment's head", EBGP, "", ORIGIN "400201 02 " HOP, NET, BGP_WITHDRAWN, 0},
		{"one byte after the segment", EBGP, "", ORIGIN "400207 0201 0000fde9 02 " HOP, NET,
			BGP_WITHDRAWN, 0},
		{"two octets where four are agreed", EBGP, "", ORIGIN "400204 0201 fde9 " HOP, NET,
			BGP_WITHDRAWN, 0},
		{"AS 0", EBGP, "", ORIGIN "400206 0201 00000000 " HOP, NET, BGP_WITHDRAWN, 0},
		{"an AS_SET", EBGP, "", ORIGIN "400206 0101 0000fde9 " HOP, NET, BGP_TAKEN, 0},

		{"NEXT_HOP 0.0.0.0", EBGP, "", ORIGIN PATH "400304 00000000 ", NET, BGP_WITHDRAWN,
			0},
		{"NEXT_HOP loopback", EBGP, "", ORIGIN PATH "400304 7f000001 ", NET, BGP_WITHDRAWN,
			0},
		{"NEXT_HOP multicast", EBGP, "", ORIGIN PATH "400304 e0000001 ", NET, BGP_WITHDRAWN,
			0},
		{"NEXT_HOP, length 3", EBGP, "", ORIGIN PATH "400303 0a0000 ", NET, BGP_WITHDRAWN,
			0},
		{"NEXT_HOP, length 5", EBGP, "", ORIGIN PATH "400305 0a00000100 ", NET,
			BGP_WITHDRAWN, 0},

		{"MED, length 0", EBGP, "", GOOD "800400 ", NET, BGP_WITHDRAWN, 0},
		{"MED, length 3", EBGP, "", GOOD "800403 000000 ", NET, BGP_WITHDRAWN, 0},
		{"MED, length 5", EBGP, "", GOOD "800405 0000000000 ", NET, BGP_WITHDRAWN, 0},
		{"MED, transitive", EBGP, "", GOOD "c00404 00000000 ", NET, BGP_WITHDRAWN, 0},
		{"MED", EBGP, "", GOOD "800404 00000000 ", NET, BGP_TAKEN, 0},

		{"LOCAL_PREF from outside", EBGP, "", GOOD PREF, NET, BGP_DISCARDED, 0},
		{"a wrong one from outside", EBGP, "", GOOD "400503 000000 ", NET, BGP_DISCARDED, 0},
		{"LOCAL_PREF, length 3", IBGP, "", GOOD "400503 000000 ", NET, BGP_WITHDRAWN, 0},
		{"LOCAL_PREF, length 5", IBGP, "", GOOD "400505 0000000000 ", NET, BGP_WITHDRAWN,
			0},
		{"LOCAL_PREF, length 0", IBGP, "", GOOD "400500 ", NET, BGP_WITHDRAWN, 0},
		{"LOCAL_PREF, optional", IBGP, "", GOOD "c00504 00000064 ", NET, BGP_WITHDRAWN, 0},

		{"ATOMIC_AGGREGATE, length 1", EBGP, "", GOOD "400601 00 ", NET, BGP_DISCARDED, 0},
		{"ATOMIC_AGGREGATE", EBGP, "", GOOD "400600 ", NET, BGP_TAKEN, 0},
		{"AGGREGATOR, length 5", EBGP, "", GOOD "c00705 0000fde90a ", NET, BGP_DISCARDED, 0},
		{"AGGREGATOR, length 6 of four octets", EBGP, "", GOOD "c00706 fde90a000001 ", NET,
			BGP_DISCARDED, 0},
		{"AGGREGATOR, length 7", EBGP, "", GOOD "c00707 0000fde90a0000 ", NET,
			BGP_DISCARDED, 0},
		{"AGGREGATOR, length 9", EBGP, "", GOOD "c00709 0000fde90a00000100 ", NET,
			BGP_DISCARDED, 0},
		{"AGGREGATOR, AS 0", EBGP, "", GOOD "c00708 000000000a000001 ", NET, BGP_DISCARDED,
			0},
		{"AGGREGATOR", EBGP, "", GOOD "c00708 0000fde90a000001 ", NET, BGP_TAKEN, 0},
		{"AGGREGATOR of two octets", TWO, "",
			ORIGIN "400204 0201 fde9 " HOP "c00706 fde90a000001 ", NET, BGP_TAKEN, 0},

		{"COMMUNITIES, length 0", EBGP, "", GOOD "c00800 ", NET, BGP_WITHDRAWN, 0},
		{"COMMUNITIES, length 3", EBGP, "", GOOD "c00803 fde900 ", NET, BGP_WITHDRAWN, 0},
		{"COMMUNITIES, not transitive", EBGP, "", GOOD "800804 fde90001 ", NET,
			BGP_WITHDRAWN, 0},
		{"COMMUNITIES", EBGP, "", GOOD "c00808 fde90001fde90002 ", NET, BGP_TAKEN, 0},
		{"extended communities, length 0", EBGP, "", GOOD "c01000 ", NET, BGP_WITHDRAWN, 0},
		{"extended communities, length 9", EBGP, "", GOOD "c01009 000000000000000000 ", NET,
			BGP_WITHDRAWN, 0},
		{"extended communities", EBGP, "", GOOD "c01008 0002fde900000001 ", NET, BGP_TAKEN,
			0},
		{"IPv6 extended communities, length 8", EBGP, "", GOOD "c01908 0000000000000000 ",
			NET, BGP_WITHDRAWN, 0},
		{"large communities, length 0", EBGP, "", GOOD "c02000 ", NET, BGP_WITHDRAWN, 0},
		{"large communities, length 11", EBGP, "", GOOD "c0200b 0000000000000000000000 ",
			NET, BGP_WITHDRAWN, 0},
		{"large communities", EBGP, "", GOOD "c0200c 000000010000000200000003 ", NET,
			BGP_TAKEN, 0},

		{"ORIGINATOR_ID from outside", EBGP, "", GOOD "800904 0a000001 ", NET,
			BGP_DISCARDED, 0},
		{"ORIGINATOR_ID, length 3", IBGP, "", GOOD PREF "800903 0a0000 ", NET,
			BGP_WITHDRAWN, 0},
		{"ORIGINATOR_ID", IBGP, "", GOOD PREF "800904 0a000001 ", NET, BGP_TAKEN, 0},
		{"CLUSTER_LIST from outside", EBGP, "", GOOD "800a04 0a000001 ", NET, BGP_DISCARDED,
			0},
		{"CLUSTER_LIST, length 0", IBGP, "", GOOD PREF "800a00 ", NET, BGP_WITHDRAWN, 0},
		{"CLUSTER_LIST, length 5", IBGP, "", GOOD PREF "800a05 0a00000100 ", NET,
			BGP_WITHDRAWN, 0},

		{"AS4_PATH of a peer of four octets", EBGP, "", GOOD "c01106 0201 0000fde9 ", NET,
			BGP_DISCARDED, 0},
		{"AS4_PATH", TWO, "", ORIGIN "400204 0201 5ba0 " HOP "c01106 0201 0001e240 ", NET,
			BGP_TAKEN, 0},
		{"AS4_PATH, segment overruns", TWO, "",
			ORIGIN "400204 0201 5ba0 " HOP "c01106 0202 0001e240 ", NET, BGP_DISCARDED, 0},
		{"AS4_PATH, segment type 0", TWO, "",
			ORIGIN "400204 0201 5ba0 " HOP "c01106 0001 0001e240 ", NET, BGP_DISCARDED, 0},
		{"AS4_AGGREGATOR, length 7", TWO, "",
			ORIGIN "400204 0201 5ba0 " HOP "c01207 0001e2400a0000 ", NET, BGP_DISCARDED,
			0},
		{"AS4_AGGREGATOR of a peer of four octets", EBGP, "",
			GOOD "c01208 0001e2400a000001 ", NET, BGP_DISCARDED, 0},

		{"ONLY_TO_CUSTOMER, length 3", EBGP, "", GOOD "c02303 0000fd ", NET, BGP_WITHDRAWN,
			0},
		{"ONLY_TO_CUSTOMER, length 1024", EBGP, "", GOOD "d0230400 00 ", NET,
			BGP_WITHDRAWN, 0},
		{"an unknown optional one, transitive", EBGP, "", GOOD "c0ee02 0102 ", NET,
			BGP_TAKEN, 0},
		{"an unknown optional one", EBGP, "", GOOD "80ee02 0102 ", NET, BGP_TAKEN, 0},
		{"an unknown one, well-known", EBGP, "", GOOD "40ee02 0102 ", NET, BGP_RESET, 2},
		{"tunnel encapsulation (VU#347067)", EBGP, "", GOOD "e01702 ffff ", NET, BGP_TAKEN,
			0},
		{"prefix SID, rubbish", EBGP, "", GOOD "e02803 ffffff ", NET, BGP_TAKEN, 0},
		{"ATTR_SET", EBGP, "", GOOD "e08001 00 ", NET, BGP_TAKEN, 0},

		{"no ORIGIN", EBGP, "", PATH HOP, NET, BGP_WITHDRAWN, 0},
		{"no AS_PATH", EBGP, "", ORIGIN HOP, NET, BGP_WITHDRAWN, 0},
		{"no NEXT_HOP", EBGP, "", ORIGIN PATH, NET, BGP_WITHDRAWN, 0},
		{"no LOCAL_PREF inside", IBGP, "", GOOD, NET, BGP_WITHDRAWN, 0},
		{"nothing but a prefix", EBGP, "", "", NET, BGP_WITHDRAWN, 0},
		{"no AS_PATH, IPv6", EBGP, "", ORIGIN REACH6, "", BGP_WITHDRAWN, 0},
		{"twice", EBGP, "", GOOD ORIGIN, NET, BGP_DISCARDED, 0},
		{"twice, the second one wrong", EBGP, "", GOOD "400101 ff ", NET, BGP_DISCARDED, 0},
		{"MP_REACH_NLRI twice", EBGP, "", ORIGIN PATH REACH6 REACH6, "", BGP_RESET,
			BGP_UPDATE_ATTRIBUTES},
		{"MP_UNREACH_NLRI twice", EBGP, "", "800f03 000201 800f03 000201 ", "", BGP_RESET,
			BGP_UPDATE_ATTRIBUTES},

		{"an attribute longer than all", EBGP, "", GOOD "c00808 fde90001 ", NET,
			BGP_WITHDRAWN, 0},
		{"two bytes left", EBGP, "", GOOD "c008 ", NET, BGP_WITHDRAWN, 0},
		{"one byte left", EBGP, "", GOOD "c0 ", NET, BGP_WITHDRAWN, 0},
		{"half an extended length", EBGP, "", GOOD "d00800 ", NET, BGP_WITHDRAWN, 0},

		{"MP_REACH_NLRI, no length of the next hop", EBGP, "", ORIGIN PATH "800e03 000201 ",
			"", BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, empty", EBGP, "", ORIGIN PATH "800e00 ", "", BGP_RESET,
			BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, next hop of 15", EBGP, "",
			ORIGIN PATH "800e14 0002 01 0f 20010db80000000000000000000000 00 ", "",
			BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, next hop of 0", EBGP, "", ORIGIN PATH "800e05 0002 01 00 00 ", "",
			BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, next hop overruns", EBGP, "",
			ORIGIN PATH "800e08 0002 01 10 20010db8 ", "", BGP_RESET,
			BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, no reserved byte", EBGP, "",
			ORIGIN PATH "800e14 0002 01 10 20010db8000000000000000000000001 ", "",
			BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, prefix of 129", EBGP, "",
			ORIGIN PATH "800e26 0002 01 10 20010db8000000000000000000000001 00 "
				    "81 20010db8000000000000000000000001 00 ",
			"", BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, prefix overruns", EBGP, "",
			ORIGIN PATH "800e17 0002 01 10 20010db8000000000000000000000001 00 40 20 ",
			"", BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI, no prefix", EBGP, "",
			ORIGIN PATH "800e15 0002 01 10 20010db8000000000000000000000001 00 ", "",
			BGP_TAKEN, 0},
		{"MP_REACH_NLRI, transitive", EBGP, "",
			ORIGIN PATH "c00e15 0002 01 10 20010db8000000000000000000000001 00 ", "",
			BGP_WITHDRAWN, 0},
		{"MP_REACH_NLRI, IPv4 by IPv6 without being asked", EBGP, "",
			ORIGIN PATH "800e15 0001 01 10 20010db8000000000000000000000001 00 ", "",
			BGP_RESET, BGP_UPDATE_OPTIONAL},
		{"MP_REACH_NLRI of a VPN", EBGP, "", ORIGIN PATH "800e05 0001 80 ff 00 ", "",
			BGP_TAKEN, 0},
		{"flow specification of length 0", EBGP, "",
			ORIGIN PATH "800e06 0001 85 00 00 00 ", "", BGP_TAKEN, 0},
		{"MP_UNREACH_NLRI, cut off", EBGP, "", "800f02 0002 ", "", BGP_RESET,
			BGP_UPDATE_OPTIONAL},
		{"MP_UNREACH_NLRI, prefix overruns", EBGP, "", "800f05 0002 01 40 20 ", "",
			BGP_RESET, BGP_UPDATE_OPTIONAL},

		{"prefix of 33", EBGP, "", GOOD, "21 0a00000100 ", BGP_RESET, BGP_UPDATE_NETWORK},
		{"prefix overruns", EBGP, "", GOOD, "18 cb00 ", BGP_RESET, BGP_UPDATE_NETWORK},
		{"withdrawn prefix of 33", EBGP, "21 0a00000100 ", "", "", BGP_RESET,
			BGP_UPDATE_NETWORK},
		{"withdrawn prefix overruns", EBGP, "18 cb00 ", "", "", BGP_RESET,
			BGP_UPDATE_NETWORK},
		{"a wrong attribute, and then a reset", EBGP, "",
			"400101 ff " PATH HOP "40ee00 ", NET, BGP_RESET, 2},
		{"a discard, and then a withdrawal", EBGP, "", "400101 ff " PATH HOP "400601 00 ",
			NET, BGP_WITHDRAWN, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		judge_row(&rows[i]);
}

/* Lengths that go beyond the message: nothing in it can be found. */
static void test_update_lengths(void)
{
	static const char *const rows[] = {"0001 0000", "0000 0001", "0004 0000", "ffff 0000",
		"0000 ffff", "0000 0005 40010100", "0002 18cb 00"};
	const struct bgp_terms terms = {.as4 = true, .families = {true, true}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_update u;
		uint8_t b[ROOM];

		bgp_update_decode(b, unhex(rows[i], b), &terms, &u);
		CHECK_INT(u.verdict, BGP_RESET);
		CHECK_INT(u.fault.subcode, BGP_UPDATE_ATTRIBUTES);
	}
}

static void test_update_counts(void)
{
	const struct bgp_terms both = {.as4 = true, .families = {true, true}},
			       four = {.as4 = true, .families = {true, false}};
	static const char mixed[] = "0008 18cb0071 18cb0072 0035 " GOOD REACH6 "18cb0073 00 ";
	struct bgp_update u;
	uint8_t b[ROOM];
	size_t n = unhex(mixed, b);

	bgp_update_decode(b, n, &both, &u);
	CHECK_INT(u.verdict, BGP_TAKEN);
	CHECK(!u.end_of_rib);
	CHECK_INT(u.withdrawn[ADDR_V4], 2);
	CHECK_INT(u.announced[ADDR_V4], 2);
	CHECK_INT(u.announced[ADDR_V6], 1);
	bgp_update_decode(b, n, &four, &u);
	CHECK_INT(u.announced[ADDR_V6], 0);

	bgp_update_decode(b, unhex("0000 0000", b), &both, &u);
	CHECK(u.end_of_rib && u.family == ADDR_V4);
	bgp_update_decode(b, unhex("0000 0006 800f03000201", b), &both, &u);
	CHECK(u.end_of_rib && u.family == ADDR_V6);
	bgp_update_decode(b, unhex("0000 0006 800f03000201", b), &four, &u);
	CHECK(!u.end_of_rib);
	bgp_update_decode(b, unhex("0000 000f 800f0c000201 4020010db800010002", b), &both, &u);
	CHECK(!u.end_of_rib);
	CHECK_INT(u.withdrawn[ADDR_V6], 1);
}

/* Every message cut short, and every byte of it changed: a verdict, and no byte is read beyond it. */
static void test_update_hostile(void)
{
	static const char mixed[] = "0008 18cb0071 18cb0072 0035 " GOOD REACH6 "18cb0073 00 ";
	const struct bgp_terms terms = {
		.as4 = true, .internal = true, .extended_next_hop = true, .families = {true, true}};
	uint8_t whole[ROOM];
	size_t n = unhex(mixed, whole);

	for (size_t len = 0; len <= n; len++)
		for (size_t at = 0; at < len; at++)
			for (unsigned value = 0; value < 256; value += 3) {
				uint8_t *b = malloc(len);
				struct bgp_update u;

				if (b == NULL)
					abort();
				memcpy(b, whole, len);
				b[at] = (uint8_t)value;
				bgp_update_decode(b, len, &terms, &u);
				CHECK(u.verdict <= BGP_RESET);
				free(b);
			}
}

/* -- NOTIFICATION -- */

static void test_notification(void)
{
	const struct bgp_fault shutdown = {
		.code = BGP_ERR_CEASE, .subcode = BGP_CEASE_SHUTDOWN},
			       hold = {.code = BGP_ERR_HOLD};
	struct bgp_notification n;
	uint8_t b[ROOM];
	char unknown[48], lang[400];
	size_t len = bgp_notification_encode(&shutdown, "new disk", b, sizeof b);

	CHECK_STR(hex(b, len), MARKER "001e03"
				      "0602086e6577206469736b");
	CHECK(bgp_notification_decode(b + BGP_HEADER_LEN, len - BGP_HEADER_LEN, &n));
	CHECK_INT(n.code, BGP_ERR_CEASE);
	CHECK_INT(n.subcode, BGP_CEASE_SHUTDOWN);
	CHECK_STR(n.reason, "new disk");
	len = bgp_notification_encode(&hold, "not of this one", b, sizeof b);
	CHECK_STR(hex(b, len), MARKER "001503"
				      "0400");
	CHECK(!bgp_notification_decode(b, 1, &n));

	len = unhex("06 02 05 610a1b7f62", b); /* no line, no escape */
	CHECK(bgp_notification_decode(b, len, &n));
	CHECK_STR(n.reason, "a???b");
	CHECK(bgp_notification_decode(b, unhex("06 02 09 6162", b), &n)); /* overruns */
	CHECK_STR(n.reason, "");
	CHECK(bgp_notification_decode(b, unhex("06 09 06 02 02 6869", b), &n));
	CHECK_INT(n.subcode, BGP_CEASE_HARD_RESET);
	CHECK_STR(n.reason, "hi");

	memset(lang, 'x', sizeof lang - 1);
	lang[sizeof lang - 1] = '\0';
	memcpy(lang + BGP_REASON_MAX - 1, "\xc3\xa4", 2); /* is not cut in half */
	len = bgp_notification_encode(&shutdown, lang, b, sizeof b);
	CHECK_INT(b[BGP_HEADER_LEN + 2], BGP_REASON_MAX - 1);
	CHECK_INT(len, BGP_HEADER_LEN + 3 + BGP_REASON_MAX - 1);

	CHECK_STR(bgp_notification_text(6, 2, unknown), "administrative shutdown");
	CHECK_STR(bgp_notification_text(6, 99, unknown), "code 6, subcode 99");
}

/* -- KEEPALIVE, ROUTE-REFRESH -- */

static void test_small_ones(void)
{
	struct bgp_refresh r = {.family = ADDR_V6, .kind = BGP_REFRESH_BEGIN};
	struct bgp_fault f;
	uint8_t b[ROOM];

	CHECK_STR(hex(b, bgp_keepalive_encode(b, sizeof b)), MARKER "001304");
	CHECK_INT(bgp_keepalive_encode(b, BGP_HEADER_LEN - 1), 0);
	CHECK_STR(hex(b, bgp_refresh_encode(&r, b, sizeof b)), MARKER "00170500020101");

	CHECK(bgp_refresh_decode(b, unhex("0001 00 01", b), false, &r, &f));
	CHECK(r.known && r.family == ADDR_V4 && r.kind == BGP_REFRESH_ASK);
	CHECK(bgp_refresh_decode(b, unhex("0002 02 01", b), true, &r, &f));
	CHECK(r.known && r.family == ADDR_V6 && r.kind == BGP_REFRESH_END);
	CHECK(bgp_refresh_decode(b, unhex("0002 07 01", b), true, &r, &f) && !r.known);
	CHECK(bgp_refresh_decode(b, unhex("0001 00 80", b), true, &r, &f) && !r.known);
	CHECK(bgp_refresh_decode(b, unhex("0001 00 01 01 02 0000", b), true, &r, &f)); /* ORF */
	CHECK(!bgp_refresh_decode(b, unhex("0001 01 01 00", b), true, &r, &f));
	CHECK_INT(f.code, BGP_ERR_REFRESH);
	CHECK_INT(f.subcode, BGP_REFRESH_LENGTH);
	CHECK(!bgp_refresh_decode(b, unhex("0001 00", b), true, &r, &f));
}

/* -- UPDATE, sent -- */

static void test_announce_bytes(void)
{
	const struct bgp_terms ebgp = {.as4 = true, .families = {true, true}};
	const struct bgp_attributes a = {
		.path = {65001}, .n_path = 1, .next_hop = ip("10.0.0.1")};
	const struct addr_prefix v[] = {prefix("203.0.113.7/32"), prefix("198.51.100.0/24")};
	uint8_t b[ROOM];
	size_t done, n = bgp_announce_encode(&a, &ebgp, v, 2, &done, b, sizeof b);

	CHECK_INT(done, 2);
	CHECK_STR(hex(b, n), MARKER "003402"
				    "00000014"
				    "40010100"
				    "40020602010000fde9"
				    "4003040a000001"
				    "20cb007107"
				    "18c63364");
}

static void test_announce_more(void)
{
	const struct bgp_terms two = {.internal = false, .families = {true, true}},
			       ibgp = {.as4 = true, .internal = true, .families = {true, true}};
	struct bgp_attributes a = {.path = {4200000001},
		.n_path = 1,
		.next_hop = ip("fd00::1"),
		.next_hop_local = ip("fe80::1"),
		.has_med = 1,
		.med = 7,
		.n_communities = 2,
		.communities = {0xffff0000, 0xffffff01},
		.n_large = 1,
		.large = {{64512, 1, 2}},
		.has_bandwidth = 1,
		.bandwidth = 125000.0F};
	const struct addr_prefix v6 = prefix("fd00::100/128");
	struct bgp_update u;
	uint8_t b[ROOM];
	size_t done, n = bgp_announce_encode(&a, &two, &v6, 1, &done, b, sizeof b);

	CHECK_STR(hex(b + BGP_HEADER_LEN, n - BGP_HEADER_LEN),
		"0000" "007a"
		"40010100"
		"4002040201" "5ba0"
		"80040400000007"
		"c00808ffff0000ffffff01"
		"c010084004" "5ba0" "47f42400"
		"c011060201" "fa56ea01"
		"c0200c0000fc000000000100000002"
		"900e0036" "000201" "20"
		"fd000000000000000000000000000001"
		"fe800000000000000000000000000001"
		"00" "80" "fd000000000000000000000000000100");
	bgp_update_decode(b + BGP_HEADER_LEN, n - BGP_HEADER_LEN, &two, &u);
	CHECK_INT(u.verdict, BGP_TAKEN);
	CHECK_INT(u.announced[ADDR_V6], 1);

	a = (struct bgp_attributes){
		.next_hop = ip("fd00::1"), .has_local_pref = 1, .local_pref = 100};
	n = bgp_announce_encode(&a, &ibgp, &v6, 1, &done, b, sizeof b);
	bgp_update_decode(b + BGP_HEADER_LEN, n - BGP_HEADER_LEN, &ibgp, &u);
	CHECK_INT(u.verdict, BGP_TAKEN);
	for (size_t room = 0; room < n; room++)
		CHECK_INT(bgp_announce_encode(&a, &ibgp, &v6, 1, &done, b, room), 0);
}

/* What does not fit into one goes into the next; what another speaker reads is what was given. */
static void test_packing(void)
{
	enum { N = 3000 };
	static struct addr_prefix v[N];
	const struct bgp_terms terms[] = {{.as4 = true, .families = {true, true}},
		{.as4 = true, .extended_next_hop = true, .families = {true, true}}};
	const struct bgp_attributes a = {
		.path = {65001}, .n_path = 1, .next_hop = ip("fd00::1")},
				    classic = {.path = {65001},
					    .n_path = 1,
					    .next_hop = ip("10.0.0.1")};

	for (unsigned k = 0; k < 3; k++) {
		const struct bgp_terms *t = &terms[k == 1];
		unsigned messages[2] = {0}, prefixes[2] = {0};
		enum addr_family family = k == 2 ? ADDR_V6 : ADDR_V4;

		for (unsigned i = 0; i < N; i++) {
			v[i] = prefix(k == 2 ? "fd00::/128" : "10.0.0.0/32");
			v[i].base = addr_plus(v[i].base, i);
		}
		for (unsigned withdraw = 0; withdraw < 2; withdraw++)
			for (size_t at = 0, done; at < N; at += done) {
				uint8_t b[ROOM];
				struct bgp_update u;
				size_t n =
					withdraw ? bgp_withdraw_encode(t, v + at, N - at, &done, b,
							   sizeof b)
						 : bgp_announce_encode(k == 0 ? &classic : &a, t,
							   v + at, N - at, &done, b, sizeof b);

				CHECK(n > BGP_HEADER_LEN && n <= ROOM && done > 0);
				if (n == 0 || done == 0)
					return;
				CHECK_INT(b[16] << 8 | b[17], n);
				bgp_update_decode(
					b + BGP_HEADER_LEN, n - BGP_HEADER_LEN, t, &u);
				CHECK_INT(u.verdict, BGP_TAKEN);
				CHECK_INT(withdraw ? u.withdrawn[family] : u.announced[family],
					done);
				messages[withdraw]++;
				prefixes[withdraw] += (unsigned)done;
			}
		CHECK_INT(prefixes[0], N);
		CHECK_INT(prefixes[1], N);
		CHECK_INT(messages[0], k == 2 ? 13 : 4);
		CHECK_INT(messages[1], k == 2 ? 13 : 4);
	}
}

static void test_end_of_rib(void)
{
	uint8_t b[ROOM];

	CHECK_STR(hex(b, bgp_end_of_rib_encode(ADDR_V4, b, sizeof b)), MARKER "00170200000000");
	CHECK_STR(hex(b, bgp_end_of_rib_encode(ADDR_V6, b, sizeof b)),
		MARKER "001e0200000007900f0003000201");
	CHECK_INT(bgp_end_of_rib_encode(ADDR_V6, b, 29), 0);
}

CHECK_MAIN("test_bgp_msg", CHECK_TEST(test_header), CHECK_TEST(test_open_wrong),
	CHECK_TEST(test_open_capabilities), CHECK_TEST(test_open_encode),
	CHECK_TEST(test_update_verdicts), CHECK_TEST(test_update_lengths),
	CHECK_TEST(test_update_counts), CHECK_TEST(test_update_hostile),
	CHECK_TEST(test_notification), CHECK_TEST(test_small_ones),
	CHECK_TEST(test_announce_bytes), CHECK_TEST(test_announce_more), CHECK_TEST(test_packing),
	CHECK_TEST(test_end_of_rib))
