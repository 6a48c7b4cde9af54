/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bgp.c - two BGP speakers on a wire of memory, and one with a peer that a test plays; a clock of
 * our own.
 */
#include "bgp.h"
#include "check.h"

#include <stdlib.h>

enum { ROOM = 1 << 17, SECOND = 1000 };

struct pipe {
	uint8_t b[ROOM];
	size_t n;
	bool open, blocked; /* blocked: the other side does not read */
};

/* A speaker, and what it has said on each connection that the other did not take yet. */
struct speaker {
	struct bgp *b;
	struct rng rng;
	struct pipe out[BGP_SIDES];
	unsigned connects, changes;
	bool closed[BGP_SIDES];
	struct speaker *other; /* NULL: the test */
	bool unreachable;
};

static struct world {
	uint64_t now;
	struct speaker s[2];
} w;

static const struct hash_key key = {1, 2};

static struct bgp_conf conf(uint32_t local, uint32_t peer, uint32_t id)
{
	return (struct bgp_conf){.local_asn = local,
		.peer_asn = peer,
		.router_id = id,
		.hold_s = 90,
		.connect_ms = 30 * SECOND,
		.families = {true, true}};
}

static void on_connect(void *ctx)
{
	struct speaker *s = ctx;

	s->connects++;
}

static void append(struct pipe *p, const uint8_t *b, size_t n)
{
	if (p->n + n > ROOM)
		abort();
	if (n > 0)
		memcpy(p->b + p->n, b, n);
	p->n += n;
}

static void on_close(void *ctx, enum bgp_side side, const uint8_t *last, size_t len)
{
	struct speaker *s = ctx;

	append(&s->out[side], last, len);
	s->out[side].open = false;
	s->closed[side] = true;
}

static void on_changed(void *ctx, enum bgp_state was)
{
	struct speaker *s = ctx;

	(void)was;
	s->changes++;
}

static const struct bgp_ops ops = {on_connect, on_close, on_changed};

static void set_up(const struct bgp_conf *a, const struct bgp_conf *b)
{
	memset(&w, 0, sizeof w);
	w.now = 1000 * SECOND;
	for (unsigned i = 0; i < 2; i++) {
		struct speaker *s = &w.s[i];
		const struct bgp_conf *c = i == 0 ? a : b;

		if (c == NULL)
			continue;
		s->rng.state = i + 1;
		s->b = bgp_new(c, &ops, s, &key, &s->rng);
		if (s->b == NULL)
			abort();
		if (b != NULL)
			s->other = &w.s[1 - i];
	}
}

static void tear_down(void)
{
	for (unsigned i = 0; i < 2; i++)
		bgp_free(w.s[i].b);
}

static struct bgp_view view(unsigned i)
{
	struct bgp_view v;

	bgp_view(w.s[i].b, &v);
	return v;
}

static void pull(struct speaker *s, enum bgp_side side)
{
	uint8_t b[BGP_MAX_EXTENDED];
	size_t n;

	if (!s->out[side].open || s->out[side].blocked)
		return;
	while ((n = bgp_pull(s->b, side, b, sizeof b, w.now)) > 0)
		append(&s->out[side], b, n);
	bgp_on_sent(s->b, side, w.now);
}

/* Moves what was said to the other speaker; the connection that one began is the other's that was begun
 * by its peer. */
static bool deliver(struct speaker *s, enum bgp_side side)
{
	enum bgp_side theirs = side == BGP_OUT ? BGP_IN : BGP_OUT;
	struct pipe *p = &s->out[side];
	static uint8_t b[ROOM];
	size_t n = p->n;
	bool over = s->closed[side];

	if (n == 0 && !over)
		return false;
	memcpy(b, p->b, n);
	p->n = 0;
	s->closed[side] = false;
	bgp_on_bytes(s->other->b, theirs, b, n, w.now);
	if (over && s->other->out[theirs].open) {
		s->other->out[theirs].open = false;
		bgp_on_closed(s->other->b, theirs, "closed by the peer", w.now);
	}
	return true;
}

static void connect_them(struct speaker *s)
{
	s->connects = 0;
	if (s->unreachable || s->other->unreachable || !bgp_on_accepted(s->other->b, w.now)) {
		bgp_on_closed(s->b, BGP_OUT, "refused", w.now);
		return;
	}
	s->out[BGP_OUT].open = s->other->out[BGP_IN].open = true;
	bgp_on_connected(s->b, w.now);
}

static void settle(void)
{
	for (bool any = true; any;) {
		any = false;
		for (unsigned i = 0; i < 2; i++) {
			struct speaker *s = &w.s[i];

			if (bgp_next_deadline(s->b) <= w.now)
				bgp_tick(s->b, w.now);
			if (s->connects > 0) {
				connect_them(s);
				any = true;
			}
			for (unsigned k = 0; k < BGP_SIDES; k++)
				pull(s, (enum bgp_side)k);
		}
		for (unsigned i = 0; i < 2; i++)
			for (unsigned k = 0; k < BGP_SIDES; k++)
				any |= deliver(&w.s[i], (enum bgp_side)k);
	}
}

static void run(uint64_t ms)
{
	for (uint64_t end = w.now + ms; w.now < end; w.now += 100)
		settle();
}

static void start_both(void)
{
	for (unsigned i = 0; i < 2; i++)
		bgp_start(w.s[i].b, w.now);
}

static void announce(unsigned i, const char *text)
{
	struct bgp_attributes a = {.path = {65001}, .n_path = 1};
	struct addr_prefix p;

	if (addr_prefix_parse(text, strlen(text), &p, NULL) != 0 ||
		addr_parse("10.0.0.1", 8, &a.next_hop) != 0 ||
		bgp_rib_put(bgp_rib(w.s[i].b), p, &a) != 0)
		abort();
}

/* -- two speakers -- */

static void test_session(void)
{
	const struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);

	set_up(&a, &b);
	announce(0, "203.0.113.1/32");
	CHECK_INT(view(0).state, BGP_IDLE);
	start_both(); /* both connect: one of the two connections stays */
	run(5 * SECOND);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	CHECK_INT(view(1).state, BGP_ESTABLISHED);
	CHECK(w.s[1].out[BGP_OUT].open && !w.s[0].out[BGP_OUT].open); /* of the larger identifier */
	CHECK_INT(view(1).announced[ADDR_V4], 1);
	CHECK_INT(view(0).peer_asn, 65002);
	CHECK_INT(view(0).hold_s, 90);
	announce(0, "203.0.113.2/32");
	run(1 * SECOND);
	CHECK_INT(view(1).announced[ADDR_V4], 2);
	run(3600 * SECOND); /* keepalives */
	CHECK_INT(view(0).sessions, 1);
	CHECK(view(0).sent < 10 + 3600 / 22 && view(0).received > 3600 / 30);

	bgp_stop(w.s[0].b, BGP_CEASE_SHUTDOWN, "new disk", w.now);
	run(SECOND);
	CHECK_INT(view(0).state, BGP_IDLE);
	CHECK_STR(view(1).error, "cannot connect: refused");
	tear_down();
}

static void test_shutdown_words(void)
{
	const struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);

	set_up(&a, &b);
	start_both();
	run(5 * SECOND);
	bgp_stop(w.s[0].b, BGP_CEASE_SHUTDOWN, "new disk", w.now);
	settle();
	CHECK_STR(view(1).error, "received administrative shutdown: new disk");
	tear_down();
}

/* A router that was told of its fault resets what comes next: the fault is what is to be read. */
static void test_reset_after_a_word(void)
{
	const struct bgp_conf a = conf(65001, 65002, 1);
	const struct bgp_open o = {.asn = 65009, .hold_s = 90, .router_id = 2, .as4 = true};
	static const char told[] = "sent bad peer AS: another AS number than configured";
	uint8_t bytes[BGP_MAX];
	struct bgp *b;

	set_up(&a, NULL);
	b = w.s[0].b;
	bgp_start(b, w.now);
	bgp_tick(b, w.now += 10 * SECOND);
	bgp_on_connected(b, w.now);
	bgp_on_bytes(b, BGP_OUT, bytes, bgp_open_encode(&o, bytes, sizeof bytes), w.now);
	CHECK_STR(view(0).error, told);
	for (unsigned i = 0; i < 60; i++) {
		bgp_tick(b, w.now += SECOND);
		bgp_on_connected(b, w.now);
		bgp_on_closed(b, BGP_OUT, "reset", w.now);
		CHECK_STR(view(0).error, told);
	}
	bgp_tick(b, w.now += 120 * SECOND);
	bgp_on_connected(b, w.now);
	bgp_on_closed(b, BGP_OUT, "reset", w.now);
	CHECK_STR(view(0).error, "connection lost: reset");
	tear_down();
}

/* Of a peer that drops what is signed with another password nothing at all is heard. */
static void test_no_answer(void)
{
	struct bgp_conf a = conf(65001, 65002, 1);

	set_up(&a, NULL);
	bgp_start(w.s[0].b, w.now);
	for (unsigned i = 0; i < 30; i++)
		bgp_tick(w.s[0].b, w.now += SECOND);
	CHECK_STR(view(0).error, "cannot connect: no answer");
	a.keyed = true;
	bgp_set_conf(w.s[0].b, &a, w.now);
	for (unsigned i = 0; i < 60; i++)
		bgp_tick(w.s[0].b, w.now += SECOND);
	CHECK_STR(view(0).error, "cannot connect: no answer, as if the passwords differ");
	tear_down();
}

/* Whatever comes first, of many beginnings: one session, and soon. */
static void test_collisions(void)
{
	for (unsigned i = 0; i < 200; i++) {
		struct bgp_conf a = conf(65001, 65002, 1 + i % 3), b = conf(65002, 65001, 2);

		set_up(&a, &b);
		w.s[0].rng.state = i;
		bgp_start(w.s[i % 2].b, w.now);
		w.now += i % 7;
		if (i % 5 == 0)
			settle();
		bgp_start(w.s[1 - i % 2].b, w.now);
		run(10 * SECOND);
		CHECK_INT(view(0).state, BGP_ESTABLISHED);
		CHECK_INT(view(1).state, BGP_ESTABLISHED);
		CHECK_INT(w.s[0].out[BGP_OUT].open + w.s[0].out[BGP_IN].open, 1);
		run(100 * SECOND);
		CHECK_INT(view(0).sessions, 1);
		tear_down();
	}
}

static void test_passive(void)
{
	struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);

	a.passive = true;
	set_up(&a, &b);
	bgp_start(w.s[0].b, w.now);
	run(100 * SECOND);
	CHECK_INT(view(0).state, BGP_ACTIVE);
	CHECK_INT(w.s[0].connects, 0);
	bgp_start(w.s[1].b, w.now);
	run(5 * SECOND);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	CHECK(w.s[0].out[BGP_IN].open);
	tear_down();
	/* Both wait; then one is not to wait any more. */
	b.passive = true;
	set_up(&a, &b);
	start_both();
	run(100 * SECOND);
	CHECK_INT(w.s[0].connects + w.s[1].connects, 0);
	a.passive = false;
	bgp_set_conf(w.s[0].b, &a, w.now);
	run(5 * SECOND);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	tear_down();
}

static void test_asn(void)
{
	static const struct {
		enum bgp_asn asn;
		uint32_t peer_asn, is;
		bool up;
	} rows[] = {
		{BGP_ASN_GIVEN, 65002, 65002, true},
		{BGP_ASN_GIVEN, 65003, 65002, false},
		{BGP_ASN_GIVEN, 4200000001, 4200000001, true},
		{BGP_ASN_INTERNAL, 0, 65001, true},
		{BGP_ASN_INTERNAL, 0, 65002, false},
		{BGP_ASN_EXTERNAL, 0, 65002, true},
		{BGP_ASN_EXTERNAL, 0, 65001, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_conf a = conf(65001, rows[i].peer_asn, 1), b = conf(rows[i].is, 65001, 2);

		a.asn = rows[i].asn;
		set_up(&a, &b);
		start_both();
		run(5 * SECOND);
		CHECK_INT(view(0).state == BGP_ESTABLISHED, rows[i].up);
		if (rows[i].up)
			CHECK_INT(view(0).terms.internal, rows[i].is == 65001);
		else
			CHECK(strstr(view(0).error, "bad peer AS") != NULL ||
				strstr(view(1).error, "bad peer AS") != NULL);
		tear_down();
	}
}

static void test_hold(void)
{
	struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);

	b.hold_s = 9;
	set_up(&a, &b);
	start_both();
	run(5 * SECOND);
	CHECK_INT(view(0).hold_s, 9);
	for (unsigned k = 0; k < BGP_SIDES; k++) /* its process hangs, its kernel does not */
		w.s[1].out[k].blocked = true;
	w.s[1].unreachable = true;
	run(5500); /* the last keepalive may be three seconds old */
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	run(4 * SECOND);
	CHECK(view(0).state != BGP_ESTABLISHED);
	tear_down();
}

static void test_graceful(void)
{
	struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);
	struct bgp_view v;

	a.graceful = b.graceful = true;
	a.restart_s = b.restart_s = 120;
	set_up(&a, &b);
	start_both();
	run(5 * SECOND);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	/* It restarts; the old connection still seems to be there. */
	bgp_free(w.s[0].b);
	w.s[0].b = bgp_new(&a, &ops, &w.s[0], &key, &w.s[0].rng);
	memset(w.s[0].out, 0, sizeof w.s[0].out);
	bgp_set_restarting(w.s[0].b, true);
	bgp_start(w.s[0].b, w.now);
	run(5 * SECOND);
	v = view(1);
	CHECK_INT(v.state, BGP_ESTABLISHED);
	CHECK_INT(v.sessions, 2);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	tear_down();
}

/* What is for good is a hard reset (RFC 8538), where both may keep routes over a NOTIFICATION; a reset
 * after which the session is to come back is not. */
static void test_hard(void)
{
	static const struct {
		unsigned subcode;
		bool graceful;
		const char *want;
	} rows[] = {
		{BGP_CEASE_SHUTDOWN, true, "received hard reset: moved"},
		{BGP_CEASE_SHUTDOWN, false, "received administrative shutdown: moved"},
		{BGP_CEASE_DECONFIGURED, true, "received hard reset"},
		{BGP_CEASE_CONFIG_CHANGE, true, "received other configuration change"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);

		a.graceful = true;
		b.graceful = rows[i].graceful;
		a.restart_s = b.restart_s = 120;
		set_up(&a, &b);
		start_both();
		run(5 * SECOND);
		CHECK_INT(view(0).state, BGP_ESTABLISHED);
		bgp_stop(w.s[0].b, rows[i].subcode, "moved", w.now);
		run(100);
		CHECK_STR(view(1).error, rows[i].want);
		tear_down();
	}
}

/* A peer that never answers is tried less and less often. */
static void test_retry(void)
{
	const struct bgp_conf a = conf(65001, 65002, 1), b = conf(65002, 65001, 2);
	unsigned tries = 0;

	set_up(&a, &b);
	w.s[1].unreachable = true;
	bgp_start(w.s[0].b, w.now);
	for (unsigned i = 0; i < 6000; i++) {
		uint64_t was = view(0).since_ms;

		run(100);
		tries += view(0).since_ms != was;
	}
	CHECK(tries >= 20 && tries <= 35); /* 1, 2, 4, 8, 16, then each 30 s but for jitter */
	w.s[1].unreachable = false;
	bgp_start(w.s[1].b, w.now);
	run(31 * SECOND);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	tear_down();
}

/* -- a peer that the test plays -- */

#define MARKER 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff

static const uint8_t keepalive[] = {MARKER, 0, 19, 4};
static const uint8_t update[] = {MARKER, 0, 23, 2, 0, 0, 0, 0};
static const uint8_t bad_update[] = {MARKER, 0, 23, 2, 0, 1, 0, 0};

static size_t peer_open(uint8_t b[static 256])
{
	const struct bgp_open o = {.asn = 65002,
		.hold_s = 90,
		.router_id = 2,
		.as4 = true,
		.refresh = true,
		.multiprotocol = {true, true}};

	return bgp_open_encode(&o, b, 256);
}

static void say(const void *b, size_t n)
{
	bgp_on_bytes(w.s[0].b, BGP_IN, b, n, w.now);
}

/* Up to a phase, with the peer's connection. */
static void play_to(enum bgp_state state)
{
	const struct bgp_conf a = conf(65001, 65002, 1);
	uint8_t open[256];
	size_t n = peer_open(open);

	set_up(&a, NULL);
	w.s[0].unreachable = true;
	bgp_start(w.s[0].b, w.now);
	CHECK(bgp_on_accepted(w.s[0].b, w.now));
	w.s[0].out[BGP_IN].open = true;
	if (state >= BGP_OPEN_CONFIRM)
		say(open, n);
	if (state >= BGP_ESTABLISHED)
		say(keepalive, sizeof keepalive);
	pull(&w.s[0], BGP_IN);
	w.s[0].out[BGP_IN].n = 0;
	CHECK_INT(view(0).state, state);
}

/* Of the last message that was said: code and subcode of a NOTIFICATION, else 0. */
static unsigned notified(void)
{
	const struct pipe *p = &w.s[0].out[BGP_IN];

	return p->n >= 21 && p->b[18] == BGP_NOTIFICATION ? p->b[19] * 256u + p->b[20] : 0;
}

static void test_unexpected(void)
{
	static const uint8_t refresh[] = {MARKER, 0, 23, 5, 0, 1, 0, 1};
	static const uint8_t unknown[] = {MARKER, 0, 19, 9}, long_one[] = {MARKER, 0xff, 0xff, 2};
	static const uint8_t unmarked[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 19, 4};
	uint8_t open[256];
	const size_t open_len = peer_open(open);
	const struct {
		enum bgp_state in;
		const uint8_t *b;
		size_t n;
		unsigned notified;
	} rows[] = {
		{BGP_OPEN_SENT, keepalive, sizeof keepalive, 0x0501},
		{BGP_OPEN_SENT, update, sizeof update, 0x0501},
		{BGP_OPEN_SENT, refresh, sizeof refresh, 0x0501},
		{BGP_OPEN_CONFIRM, update, sizeof update, 0x0502},
		{BGP_OPEN_CONFIRM, open, open_len, 0x0502},
		{BGP_ESTABLISHED, open, open_len, 0x0503},
		{BGP_ESTABLISHED, bad_update, sizeof bad_update, 0x0301},
		{BGP_ESTABLISHED, unknown, sizeof unknown, 0x0103},
		{BGP_ESTABLISHED, long_one, sizeof long_one, 0x0102},
		{BGP_OPEN_SENT, unmarked, sizeof unmarked, 0x0101},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		play_to(rows[i].in);
		say(rows[i].b, rows[i].n);
		CHECK_INT(notified(), rows[i].notified);
		CHECK(!w.s[0].out[BGP_IN].open);
		CHECK(view(0).state <= BGP_ACTIVE);
		tear_down();
	}
}

/* RFC 5492 5: it is told what it lacks. */
static void test_no_family(void)
{
	static const uint8_t wants[] = {2, 7, 1, 4, 0, 2, 0, 1};
	struct bgp_conf a = conf(65001, 65002, 1);
	const struct bgp_open o = {
		.asn = 65002, .hold_s = 90, .router_id = 2, .multiprotocol = {true, false}};
	uint8_t b[256];

	a.families[ADDR_V4] = false;
	set_up(&a, NULL);
	bgp_start(w.s[0].b, w.now);
	CHECK(bgp_on_accepted(w.s[0].b, w.now));
	say(b, bgp_open_encode(&o, b, sizeof b));
	CHECK_INT(w.s[0].out[BGP_IN].n, 19 + sizeof wants);
	CHECK(memcmp(w.s[0].out[BGP_IN].b + 19, wants, sizeof wants) == 0);
	tear_down();
}

/* What is treated as withdrawn was not announced. */
static void test_counts(void)
{
	static const uint8_t good[] = {MARKER, 0, 47, 2, 0, 0, 0, 20, 0x40, 1, 1, 0, 0x40, 2, 6, 2,
		1, 0, 0, 0xfd, 0xea, 0x40, 3, 4, 10, 0, 0, 1, 24, 203, 0, 113};
	uint8_t wrong[sizeof good];

	memcpy(wrong, good, sizeof good);
	wrong[26] = 3; /* ORIGIN */
	play_to(BGP_ESTABLISHED);
	say(wrong, sizeof wrong);
	CHECK_INT(view(0).announced[ADDR_V4], 0);
	CHECK_INT(view(0).withdrawn, 1);
	say(good, sizeof good);
	CHECK_INT(view(0).announced[ADDR_V4], 1);
	CHECK_INT(view(0).withdrawn, 1);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	tear_down();
}

/* One byte at a time, and many messages in one piece. */
static void test_pieces(void)
{
	uint8_t many[100 * sizeof keepalive];

	play_to(BGP_ESTABLISHED);
	for (size_t i = 0; i < sizeof update; i++)
		say(update + i, 1);
	for (size_t i = 0; i < 100; i++)
		memcpy(many + i * sizeof keepalive, keepalive, sizeof keepalive);
	say(many, sizeof many - 1);
	say(many, 0);
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	CHECK_INT(view(0).received, 2 + 1 + 99);
	tear_down();
}

static void test_notification(void)
{
	static const uint8_t cease[] = {MARKER, 0, 24, 3, 6, 2, 2, 'h', 'i'};

	play_to(BGP_ESTABLISHED);
	say(cease, sizeof cease);
	CHECK_INT(notified(), 0); /* is not answered */
	CHECK(!w.s[0].out[BGP_IN].open);
	CHECK_STR(view(0).error, "received administrative shutdown: hi");
	tear_down();
}

static void test_second_connection(void)
{
	play_to(BGP_ESTABLISHED);
	CHECK(!bgp_on_accepted(w.s[0].b, w.now)); /* no graceful restart was agreed on */
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	bgp_stop(w.s[0].b, BGP_CEASE_DECONFIGURED, NULL, w.now);
	CHECK_INT(notified(), 0x0603);
	CHECK(!bgp_on_accepted(w.s[0].b, w.now));
	tear_down();
}

/* It does not read: what waits for it is one message, and in the end it is given up (RFC 9687). */
static void test_does_not_read(void)
{
	uint8_t b[BGP_MAX];

	play_to(BGP_ESTABLISHED);
	announce(0, "203.0.113.1/32");
	CHECK(bgp_pull(w.s[0].b, BGP_IN, b, sizeof b, w.now) > 0);
	for (unsigned i = 0; i < 479; i++) {
		w.now += SECOND;
		say(keepalive, sizeof keepalive);
		if (bgp_next_deadline(w.s[0].b) <= w.now)
			bgp_tick(w.s[0].b, w.now);
	}
	CHECK_INT(view(0).state, BGP_ESTABLISHED);
	w.now += SECOND;
	CHECK(bgp_next_deadline(w.s[0].b) <= w.now);
	bgp_tick(w.s[0].b, w.now);
	CHECK(view(0).state <= BGP_ACTIVE);
	CHECK_STR(view(0).error, "send hold timer expired: the peer does not read");
	tear_down();
}

/* Any bytes in any state: it ends or it goes on, and nothing is read or written beyond. */
static void test_hostile(void)
{
	uint8_t open[256];
	size_t n = peer_open(open);
	struct rng rng = {.state = 3};

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t bytes[600];
		size_t len = 0;

		play_to((enum bgp_state)(BGP_OPEN_SENT + rng_below(&rng, 3)));
		for (unsigned k = 0; k < 4; k++) {
			switch (rng_below(&rng, 4)) {
			case 0:
				memcpy(bytes + len, open, n);
				len += n;
				break;
			case 1:
				memcpy(bytes + len, keepalive, sizeof keepalive);
				len += sizeof keepalive;
				break;
			case 2:
				memcpy(bytes + len, update, sizeof update);
				len += sizeof update;
				break;
			default:
				bytes[len++] = (uint8_t)rng_next(&rng);
			}
		}
		if (rng_below(&rng, 2) == 0)
			bytes[rng_below(&rng, len)] ^= (uint8_t)rng_next(&rng);
		say(bytes, len);
		CHECK(view(0).state <= BGP_ESTABLISHED);
		tear_down();
	}
}

static void test_names(void)
{
	CHECK_STR(bgp_state_name(BGP_IDLE), "Idle");
	CHECK_STR(bgp_state_name(BGP_ESTABLISHED), "Established");
}

CHECK_MAIN("test_bgp", CHECK_TEST(test_session), CHECK_TEST(test_shutdown_words),
	CHECK_TEST(test_reset_after_a_word), CHECK_TEST(test_no_answer), CHECK_TEST(test_collisions), CHECK_TEST(test_passive), CHECK_TEST(test_asn),
	CHECK_TEST(test_hold), CHECK_TEST(test_graceful), CHECK_TEST(test_hard), CHECK_TEST(test_retry),
	CHECK_TEST(test_unexpected), CHECK_TEST(test_no_family), CHECK_TEST(test_counts),
	CHECK_TEST(test_pieces), CHECK_TEST(test_notification),
	CHECK_TEST(test_second_connection), CHECK_TEST(test_does_not_read), CHECK_TEST(test_hostile),
	CHECK_TEST(test_names))
