/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bgp_msg.c - BGP messages byte by byte, and what is done about each wrong one (RFC 7606): the
 * rows of tests/golden/bgp-malformed.txt.  Run from the top of the tree.
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

/* -- the rows of messages, which a scripted peer sends, too -- */

enum session { EBGP, IBGP, TWO /* eBGP with a peer of two-octet AS numbers */, SESSIONS };
enum { CELLS = 5, LINE = 512, WORDS = 32 };

static enum session session_of(const char *name)
{
	static const char *const names[] = {"ebgp", "ibgp", "two"};
	unsigned i = 0;

	while (i < SESSIONS && strcmp(names[i], name) != 0)
		i++;
	return (enum session)i;
}

static struct word {
	char name[16], text[LINE];
	enum session session; /* SESSIONS: of each */
} words[WORDS];
static size_t n_words;

/* let WORD [SESSION] = BYTES */
static void words_add(const char *line)
{
	struct word *w = &words[n_words++];
	char session[16] = "";

	if (n_words > WORDS || sscanf(line, "let %15s %15s", w->name, session) != 2)
		abort();
	w->session = session_of(session);
	(void)snprintf(w->text, sizeof w->text, "%s", strchr(line, '=') + 1);
}

static const char *words_find(const char *name, enum session session)
{
	const char *found = NULL;

	for (size_t i = 0; i < n_words; i++)
		if (strcmp(words[i].name, name) == 0 &&
			(words[i].session == session ||
				(words[i].session == SESSIONS && found == NULL)))
			found = words[i].text;
	return found;
}

/* The bytes of a cell of hex and words; returns how many. */
static size_t words_bytes(const char *cell, enum session session, uint8_t *to)
{
	char copy[LINE], *save = NULL;
	size_t n = 0;

	(void)snprintf(copy, sizeof copy, "%s", cell);
	for (char *s = strtok_r(copy, " ", &save); s != NULL; s = strtok_r(NULL, " ", &save)) {
		const char *text = words_find(s, session);

		n += text != NULL ? words_bytes(text, session, to + n) : unhex(s, to + n);
	}
	return n;
}

/* Cuts a line at its bars, and the blanks around them. */
static void split(char *line, char *cell[static CELLS])
{
	static char none[1];

	for (unsigned i = 0; i < CELLS; i++) {
		char *bar = line != NULL ? strchr(line, '|') : NULL, *end;

		cell[i] = line != NULL ? line + strspn(line, " ") : none;
		end = bar != NULL ? bar : strchr(cell[i], '\0');
		while (end > cell[i] && end[-1] == ' ')
			end--;
		line = bar != NULL ? bar + 1 : NULL;
		*end = '\0';
	}
}

/* judge() for each row of a kind; returns how many there are. */
static unsigned each_row(const char *kind, void (*judge)(char *const cell[static CELLS]))
{
	FILE *f = fopen("tests/golden/bgp-malformed.txt", "r");
	char line[LINE], *cell[CELLS];
	unsigned n = 0;

	if (f == NULL)
		abort();
	n_words = 0;
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "let ", 4) == 0)
			words_add(line);
		if (strncmp(line, kind, strlen(kind)) != 0)
			continue;
		split(line + strlen(kind), cell);
		check_row = cell[0];
		judge(cell);
		n++;
	}
	(void)fclose(f);
	return n;
}

/* -- OPEN -- */

#define OPEN_HEAD "04 fde9 005a 0a000001 "

/* A row: name | body | "taken", or the subcode and the data of the NOTIFICATION. */
static void judge_open(char *const cell[static CELLS])
{
	struct bgp_open o;
	struct bgp_fault f = {0};
	uint8_t b[ROOM];
	bool ok = bgp_open_decode(b, words_bytes(cell[1], EBGP, b), &o, &f);
	const char *got = "taken";
	char text[32];

	if (!ok) {
		(void)snprintf(text, sizeof text, f.len > 0 ? "%u %s" : "%u", f.subcode,
			hex(f.data, f.len));
		got = text;
		CHECK_INT(f.code, BGP_ERR_OPEN);
	}
	CHECK_STR(got, cell[2]);
}

static void test_open_rows(void)
{
	CHECK(each_row("open ", judge_open) > 30);
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
#define REACH6 "800e1e 0002 01 10 20010db8000000000000000000000001 00 40 20010db800010002 "

/* Behind its length. */
static size_t put_part(const char *cell, enum session session, uint8_t *to)
{
	size_t len = words_bytes(cell, session, to + 2);

	to[0] = (uint8_t)(len >> 8);
	to[1] = (uint8_t)len;
	return 2 + len;
}

/* What is to become of a row in this session: from "discarded, ibgp reset 9".  False: it has no
 * part in it. */
static bool verdict_of(
	const char *cell, enum session session, enum bgp_verdict *ret_v, unsigned *ret_subcode)
{
	static const char *const names[] = {"taken", "discarded", "withdrawn", "reset"};
	char copy[128], *save = NULL;
	bool found = false, named = false;

	(void)snprintf(copy, sizeof copy, "%s", cell);
	for (char *s = strtok_r(copy, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save)) {
		char first[16] = "", second[16] = "", *what = first;
		unsigned subcode = 0;

		if (sscanf(s, "%15s %15s %u", first, second, &subcode) < 1)
			abort();
		if (session_of(first) < SESSIONS) {
			named = session_of(first) == session;
			what = second;
		} else {
			(void)sscanf(s, "%*s %u", &subcode);
		}
		if (what == second && !named)
			continue;
		for (unsigned v = 0; v < ARRAY_LEN(names); v++)
			if (strcmp(what, names[v]) == 0) {
				*ret_v = (enum bgp_verdict)v;
				*ret_subcode = subcode;
				found = true;
			}
	}
	return found;
}

static void judge_in(char *const cell[static CELLS], enum session session)
{
	const struct bgp_terms terms = {
		.as4 = session != TWO, .internal = session == IBGP, .families = {true, true}};
	enum bgp_verdict want;
	unsigned subcode;
	struct bgp_update u;
	uint8_t b[ROOM], *guarded;
	size_t n;

	if (!verdict_of(cell[4], session, &want, &subcode))
		return;
	n = put_part(cell[1], session, b);
	n += put_part(cell[2], session, b + n);
	n += words_bytes(cell[3], session, b + n);
	guarded = check_guard(b, n);
	bgp_update_decode(guarded, n, &terms, &u);
	check_unguard(guarded, n);
	CHECK_INT(u.verdict, want);
	if (u.verdict == BGP_RESET) {
		CHECK_INT(u.fault.code, BGP_ERR_UPDATE);
		CHECK_INT(u.fault.subcode, subcode);
	}
	if (u.verdict == BGP_WITHDRAWN) {
		CHECK_INT(u.announced[ADDR_V4] + u.announced[ADDR_V6], 0);
		CHECK(u.withdrawn[ADDR_V4] + u.withdrawn[ADDR_V6] > 0);
	}
	CHECK((u.verdict == BGP_TAKEN) == (u.fault.why == NULL));
}

/* A row: name | withdrawn routes | path attributes | prefixes | verdicts. */
static void judge_update(char *const cell[static CELLS])
{
	for (unsigned i = 0; i < SESSIONS; i++)
		judge_in(cell, (enum session)i);
}

static void test_update_rows(void)
{
	CHECK(each_row("update ", judge_update) > 200);
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
	size_t len = bgp_notification_encode(&shutdown, false, "new disk", b, sizeof b);

	CHECK_STR(hex(b, len), MARKER "001e03"
				      "0602086e6577206469736b");
	CHECK(bgp_notification_decode(b + BGP_HEADER_LEN, len - BGP_HEADER_LEN, &n));
	CHECK_INT(n.code, BGP_ERR_CEASE);
	CHECK_INT(n.subcode, BGP_CEASE_SHUTDOWN);
	CHECK_STR(n.reason, "new disk");
	len = bgp_notification_encode(&hold, false, "not of this one", b, sizeof b);
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
	len = bgp_notification_encode(&shutdown, false, lang, b, sizeof b);
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
	CHECK_STR(hex(f.data, f.len), MARKER "0018050001010100"); /* all of it (RFC 7313 5) */
	memset(b, BGP_REFRESH_BEGIN, sizeof b);
	CHECK(!bgp_refresh_decode(b, 200, true, &r, &f));
	CHECK_INT(f.len, sizeof f.data);
	CHECK_INT(f.data[17], BGP_HEADER_LEN + 200);
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
		"900e0036" "000201" "20"
		"fd000000000000000000000000000001"
		"fe800000000000000000000000000001"
		"00" "80" "fd000000000000000000000000000100"
		"40010100"
		"4002040201" "5ba0"
		"80040400000007"
		"c00808ffff0000ffffff01"
		"c010084004" "5ba0" "47f42400"
		"c011060201" "fa56ea01"
		"c0200c0000fc000000000100000002");
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

CHECK_MAIN("test_bgp_msg", CHECK_TEST(test_header), CHECK_TEST(test_open_rows),
	CHECK_TEST(test_open_capabilities), CHECK_TEST(test_open_encode),
	CHECK_TEST(test_update_rows), CHECK_TEST(test_update_lengths),
	CHECK_TEST(test_update_counts), CHECK_TEST(test_update_hostile),
	CHECK_TEST(test_notification), CHECK_TEST(test_small_ones),
	CHECK_TEST(test_announce_bytes), CHECK_TEST(test_announce_more), CHECK_TEST(test_packing),
	CHECK_TEST(test_end_of_rib))
