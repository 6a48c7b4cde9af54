/* SPDX-License-Identifier: Apache-2.0
 *
 * test_radv.c - Router Advertisements: bytes, what is refused, when something is sent, which router
 * is held for how long.
 */
#include "radv.h"

#include "check.h"
#include "oom.h"

#include <errno.h>

enum {
	IF1 = 3,
	IF2 = 4,
	MAX_SENT = 256,
	RS = 133,
	RA = 134,
	SECOND = 1000,
	HOLD = 45 * SECOND,
	START = 1000 * SECOND,
};

static const uint8_t mac1[6] = {2, 0, 0, 0, 0, 1}, mac2[6] = {2, 0, 0, 0, 0, 2};
static const char peer_s[] = "fe80::a", second_s[] = "fe80::b", own_s[] = "fe80::1";

struct sent {
	uint64_t at_ms;
	unsigned ifindex;
	struct addr to;
	size_t len;
	uint8_t b[RADV_MESSAGE_MAX];
};

struct rig {
	struct radv *r;
	struct rng rng;
	uint64_t now_ms;
	struct sent sent[MAX_SENT];
	size_t n_sent;
	unsigned tries, changed;
	unsigned unwant; /* what changed() does with this link; 0 = nothing */
	int send_rc;
};

static struct addr addr(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

static int on_send(void *ctx, unsigned ifindex, struct addr to, const uint8_t *message, size_t len)
{
	struct rig *r = ctx;

	r->tries++;
	if (r->send_rc != 0)
		return r->send_rc;
	CHECK(len <= RADV_MESSAGE_MAX && r->n_sent < MAX_SENT);
	r->sent[r->n_sent] = (struct sent){r->now_ms, ifindex, to, len, {0}};
	memcpy(r->sent[r->n_sent++].b, message, len);
	return 0;
}

static bool is_own(void *ctx, unsigned ifindex, struct addr a)
{
	(void)ctx;
	CHECK(ifindex == IF1 || ifindex == IF2);
	return addr_eq(a, addr(own_s));
}

static void on_changed(void *ctx, unsigned ifindex)
{
	struct rig *r = ctx;

	r->changed++;
	if (r->unwant == 0)
		return;
	radv_unwant(r->r, r->unwant);
	CHECK_INT(radv_want(r->r, 100 + ifindex, mac1, r->now_ms), 0);
}

static const struct radv_ops ops = {on_send, is_own, on_changed};

static void set_up(struct rig *r)
{
	memset(r, 0, sizeof *r);
	r->rng.state = 1;
	r->now_ms = START;
	r->r = radv_new(&ops, r, &r->rng);
	if (r->r == NULL)
		abort();
	CHECK_INT(radv_want(r->r, IF1, mac1, r->now_ms), 0);
}

static void tear_down(struct rig *r)
{
	radv_free(r->r);
}

/* Time passes. */
static void run_until(struct rig *r, uint64_t ms)
{
	for (unsigned i = 0; i < 100000 && radv_next_deadline(r->r) <= ms; i++) {
		r->now_ms = time_max(r->now_ms, radv_next_deadline(r->r));
		radv_tick(r->r, r->now_ms);
	}
	r->now_ms = ms;
	CHECK(radv_next_deadline(r->r) > ms);
}

static void run(struct rig *r, uint64_t ms)
{
	run_until(r, r->now_ms + ms);
}

static void hear(struct rig *r, unsigned ifindex, const void *data, size_t len, const char *from,
	unsigned hop_limit)
{
	unsigned char *p = check_guard(data, len);
	const struct radv_message m = {p, len, ifindex, addr(from), hop_limit};

	radv_on_message(r->r, &m, r->now_ms);
	check_unguard(p, len);
}

static void hear_router(struct rig *r, const char *from, uint16_t lifetime_s)
{
	const uint8_t ra[16] = {
		RA, 0, 0, 0, 64, 0, (uint8_t)(lifetime_s >> 8), (uint8_t)lifetime_s};

	hear(r, IF1, ra, sizeof ra, from, 255);
}

static void hear_solicitation(struct rig *r)
{
	const uint8_t rs[8] = {RS};

	hear(r, IF1, rs, sizeof rs, peer_s, 255);
}

/* To where nothing was sent just now, and nothing is due soon. */
static void run_to_quiet(struct rig *r)
{
	while (r->n_sent == 0 || r->now_ms < r->sent[r->n_sent - 1].at_ms + 3 * SECOND ||
		radv_next_deadline(r->r) < r->now_ms + SECOND)
		run(r, SECOND);
	r->n_sent = 0;
}

static size_t count(const struct rig *r, uint8_t type)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_sent; i++)
		n += r->sent[i].b[0] == type;
	return n;
}

static bool router_is(const struct rig *r, const char *s)
{
	struct addr a;

	return radv_router(r->r, IF1, &a) && addr_eq(a, addr(s));
}

static struct radv_view view(const struct rig *r)
{
	struct radv_view v = {0};

	CHECK(radv_view(r->r, IF1, &v));
	return v;
}

/* -- bytes -- */

static void test_bytes(void)
{
	static const uint8_t ra[24] = {RA, [16] = 1, 1, 2, 0, 0, 0, 0, 1};
	static const uint8_t rs[16] = {RS, [8] = 1, 1, 2, 0, 0, 0, 0, 1};
	struct rig r;

	set_up(&r);
	run(&r, 0);
	CHECK_INT(r.n_sent, 2);
	CHECK(r.sent[0].len == sizeof ra && memcmp(r.sent[0].b, ra, sizeof ra) == 0);
	CHECK(addr_eq(r.sent[0].to, addr("ff02::1")) && r.sent[0].ifindex == IF1);
	CHECK(r.sent[1].len == sizeof rs && memcmp(r.sent[1].b, rs, sizeof rs) == 0);
	CHECK(addr_eq(r.sent[1].to, addr("ff02::2")) && r.sent[1].ifindex == IF1);
	tear_down(&r);
}

struct row {
	const char *name;
	size_t len;
	uint8_t b[64];
	const char *from;
	unsigned hop_limit;
	bool want;
};

#define ADVERTISEMENT RA, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0
#define SOLICITATION  RS, 0, 0, 0, 0, 0, 0, 0
#define SOURCE        1, 1, 2, 0, 0, 0, 0, 9

static const struct row rows[] = {
	{"advertisement", 16, {ADVERTISEMENT}, "fe80::a", 255, true},
	{"with source", 24, {ADVERTISEMENT, SOURCE}, "fe80::a", 255, true},
	{"unknown option", 32, {ADVERTISEMENT, 200, 2}, "fe80::a", 255, true},
	{"reserved bits", 16, {RA, 0, 1, 2, 3, 0xff, 0, 30}, "fe80::a", 255, true},
	{"last of fe80::/10", 16, {ADVERTISEMENT}, "febf::a", 255, true},
	{"hop limit 254", 16, {ADVERTISEMENT}, "fe80::a", 254, false},
	{"hop limit unknown", 16, {ADVERTISEMENT}, "fe80::a", 0, false},
	{"code", 16, {RA, 1, 0, 0, 64}, "fe80::a", 255, false},
	{"global source", 16, {ADVERTISEMENT}, "2001:db8::a", 255, false},
	{"site-local source", 16, {ADVERTISEMENT}, "fec0::a", 255, false},
	{"unspecified source", 16, {ADVERTISEMENT}, "::", 255, false},
	{"multicast source", 16, {ADVERTISEMENT}, "ff02::1", 255, false},
	{"one byte short", 15, {ADVERTISEMENT}, "fe80::a", 255, false},
	{"type alone", 1, {RA}, "fe80::a", 255, false},
	{"empty", 0, {0}, "fe80::a", 255, false},
	{"option of length 0", 24, {ADVERTISEMENT, 200, 0}, "fe80::a", 255, false},
	{"second of length 0", 32, {ADVERTISEMENT, SOURCE, 5, 0}, "fe80::a", 255, false},
	{"option too long", 24, {ADVERTISEMENT, 1, 2}, "fe80::a", 255, false},
	{"option of 2,040 bytes", 24, {ADVERTISEMENT, 1, 255}, "fe80::a", 255, false},
	{"option cut", 17, {ADVERTISEMENT, 1}, "fe80::a", 255, false},
	{"another type", 16, {136}, "fe80::a", 255, false},
	{"redirect", 40, {137}, "fe80::a", 255, false},
	{"solicitation", 8, {SOLICITATION}, "fe80::a", 255, true},
	{"from a global address", 8, {SOLICITATION}, "2001:db8::a", 255, true},
	{"from nowhere", 8, {SOLICITATION}, "::", 255, true},
	{"solicitation with source", 16, {SOLICITATION, SOURCE}, "fe80::a", 255, true},
	{"from nowhere with source", 16, {SOLICITATION, SOURCE}, "::", 255, false},
	{"solicitation, hop limit 254", 8, {SOLICITATION}, "fe80::a", 254, false},
	{"solicitation, code", 8, {RS, 1}, "fe80::a", 255, false},
	{"solicitation, short", 7, {SOLICITATION}, "fe80::a", 255, false},
	{"solicitation, length 0", 16, {SOLICITATION, 1, 0}, "fe80::a", 255, false},
};

/* What is refused is counted, and nothing else comes of it. */
static void test_valid(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *w = &rows[i];
		uint64_t due_ms;
		struct addr a;
		struct rig r;

		check_row = w->name;
		set_up(&r);
		run(&r, 20 * SECOND);
		due_ms = radv_next_deadline(r.r);
		hear(&r, IF1, w->b, w->len, w->from, w->hop_limit);
		CHECK_INT(view(&r).dropped, !w->want);
		CHECK_INT(radv_next_deadline(r.r) < due_ms, w->want);
		CHECK_INT(radv_router(r.r, IF1, &a), w->want && w->b[0] == RA);
		CHECK_INT(r.changed, w->want && w->b[0] == RA);
		tear_down(&r);
	}
}

static void test_every_length(void)
{
	const uint8_t whole[40] = {ADVERTISEMENT, SOURCE, 3, 2};

	for (size_t len = 0; len <= sizeof whole; len++) {
		struct rig r;

		set_up(&r);
		hear(&r, IF1, whole, len, peer_s, 255);
		CHECK_INT(r.changed, len == 16 || len == 24 || len == 40);
		tear_down(&r);
	}
}

/* -- when something is sent -- */

static void test_first(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(radv_next_deadline(r.r), START);
	run(&r, 8 * SECOND);
	CHECK_INT(count(&r, RA), 3);
	CHECK_INT(count(&r, RS), 3);
	for (size_t i = 2; i < 6; i += 2) {
		uint64_t gap = r.sent[i].at_ms - r.sent[i - 2].at_ms;

		CHECK(gap >= 3 * SECOND && gap <= 4 * SECOND);
	}
	run(&r, 60 * SECOND);
	CHECK_INT(count(&r, RS), 3);
	tear_down(&r);
}

/* Each interval is drawn anew from 10 to 15 s. */
static void test_jitter(void)
{
	uint64_t least = UINT64_MAX, most = 0;
	struct rig r;

	set_up(&r);
	run(&r, 1000 * SECOND);
	CHECK(r.n_sent > 70 && r.n_sent < 110);
	for (size_t i = 7; i < r.n_sent; i++) {
		least = time_min(least, r.sent[i].at_ms - r.sent[i - 1].at_ms);
		most = time_max(most, r.sent[i].at_ms - r.sent[i - 1].at_ms);
	}
	CHECK(least >= 10 * SECOND && least < 11 * SECOND);
	CHECK(most > 14 * SECOND && most <= 15 * SECOND);
	tear_down(&r);
}

/* A link that is down: each second, until it works; then as if it began. */
static void test_send_fails(void)
{
	struct rig r;

	set_up(&r);
	r.send_rc = -EADDRNOTAVAIL;
	run(&r, 10 * SECOND);
	CHECK_INT(r.tries, 11);
	CHECK_INT(view(&r).sent, 0);
	r.send_rc = 0;
	run(&r, 9 * SECOND);
	CHECK_INT(count(&r, RA), 3);
	CHECK_INT(count(&r, RS), 3);
	tear_down(&r);
}

static void test_answer(void)
{
	struct rig r;

	set_up(&r);
	run(&r, 20 * SECOND);
	run_to_quiet(&r);
	hear_solicitation(&r);
	run(&r, 500);
	CHECK_INT(r.n_sent, 1);
	CHECK_INT(r.sent[0].b[0], RA);
	CHECK(addr_eq(r.sent[0].to, addr("ff02::1")));
	tear_down(&r);
}

/* However many ask: one in three seconds. */
static void test_answer_rate(void)
{
	struct rig r;

	set_up(&r);
	run(&r, 20 * SECOND);
	r.n_sent = 0;
	for (unsigned i = 0; i < 6000; i++) {
		hear_solicitation(&r);
		run(&r, 10);
	}
	CHECK(r.n_sent >= 18 && r.n_sent <= 21);
	for (size_t i = 1; i < r.n_sent; i++)
		CHECK(r.sent[i].at_ms - r.sent[i - 1].at_ms >= 3 * SECOND);
	r.send_rc = -ENETDOWN;
	run(&r, 3 * SECOND);
	r.tries = 0;
	for (unsigned i = 0; i < 1000; i++) {
		hear_solicitation(&r);
		run(&r, 10);
	}
	CHECK(r.tries >= 9 && r.tries <= 11);
	tear_down(&r);
}

/* -- routers -- */

/* It is told of us at once. */
static void test_found(void)
{
	struct addr a;
	struct rig r;

	set_up(&r);
	run(&r, 60 * SECOND);
	CHECK(!radv_router(r.r, IF1, &a) && !view(&r).found);
	run_to_quiet(&r);
	hear_router(&r, peer_s, 0);
	CHECK(router_is(&r, peer_s));
	CHECK_INT(r.changed, 1);
	CHECK(view(&r).found && view(&r).heard_ms == r.now_ms);
	run(&r, 500);
	CHECK_INT(r.n_sent, 1);
	CHECK_INT(r.sent[0].b[0], RA);
	r.n_sent = 0;
	hear_router(&r, peer_s, 0); /* again: nothing new */
	CHECK_INT(r.changed, 1);
	run(&r, 9 * SECOND);
	CHECK_INT(r.n_sent, 0);
	CHECK_INT(view(&r).received, 2);
	tear_down(&r);
}

/* Found before the first advertisement: nobody need be asked. */
static void test_found_early(void)
{
	struct rig r;

	set_up(&r);
	hear_router(&r, peer_s, 1800);
	run(&r, 30 * SECOND);
	CHECK_INT(count(&r, RS), 0);
	CHECK(count(&r, RA) >= 4);
	tear_down(&r);
}

static const struct {
	const char *name;
	uint16_t lifetime_s;
	uint64_t want_ms;
} holds[] = {
	{"no default router", 0, HOLD},
	{"shorter than its interval", 1, HOLD},
	{"as we hold", 45, HOLD},
	{"a second longer", 46, 46 * SECOND},
	{"the default", 1800, 1800 * SECOND},
	{"the longest", 65535, 65535ull * SECOND},
};

/* It is solicited three times before it expires, and lost only then. */
static void test_expiry(void)
{
	for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
		uint64_t until_ms = START + holds[i].want_ms;
		struct rig r;

		check_row = holds[i].name;
		set_up(&r);
		hear_router(&r, peer_s, holds[i].lifetime_s);
		CHECK_INT(view(&r).until_ms, until_ms);
		r.rng.state = 2;
		while (r.now_ms < until_ms - 13 * SECOND) {
			r.n_sent = 0;
			run_until(&r, time_min(r.now_ms + 60 * SECOND, until_ms - 13 * SECOND));
			CHECK_INT(count(&r, RS), 0);
		}
		run_until(&r, until_ms - 1);
		CHECK_INT(count(&r, RS), 3);
		CHECK(router_is(&r, peer_s));
		CHECK_INT(r.changed, 1);
		run_until(&r, until_ms);
		CHECK(!router_is(&r, peer_s));
		CHECK_INT(r.changed, 2);
		r.n_sent = 0;
		run(&r, 12 * SECOND);
		CHECK_INT(count(&r, RS), 3);
		tear_down(&r);
	}
}

/* An answer, even the last moment's, keeps it; no word of it otherwise. */
static void test_answered_in_time(void)
{
	struct rig r;

	set_up(&r);
	hear_router(&r, peer_s, 0);
	for (unsigned i = 0; i < 10; i++) {
		run(&r, HOLD - 1);
		hear_router(&r, peer_s, 0);
		r.n_sent = 0;
	}
	CHECK_INT(r.changed, 1);
	run(&r, HOLD - 13 * SECOND);
	CHECK_INT(count(&r, RS), 0);
	r.now_ms += 20 * SECOND; /* the loop stood still, but it had come in time to be read */
	hear_router(&r, peer_s, 0);
	run(&r, 0);
	CHECK_INT(r.changed, 1);
	CHECK(router_is(&r, peer_s));
	tear_down(&r);
}

/* The first one, while it lives; that there is another is seen. */
static void test_several(void)
{
	struct rig r;

	set_up(&r);
	hear_router(&r, peer_s, 0);
	for (unsigned i = 0; i < 4; i++) {
		run(&r, 10 * SECOND);
		hear_router(&r, second_s, 9000);
		CHECK(router_is(&r, peer_s));
	}
	CHECK(addr_eq(view(&r).other, addr(second_s)) && view(&r).other_ms == r.now_ms);
	CHECK_INT(r.changed, 1);
	run(&r, HOLD - 40 * SECOND);
	CHECK(!view(&r).found);
	hear_router(&r, second_s, 9000);
	CHECK(router_is(&r, second_s));
	CHECK_INT(r.changed, 3);
	hear_router(&r, peer_s, 0);
	CHECK(router_is(&r, second_s));
	CHECK(addr_eq(view(&r).other, addr(peer_s)));
	tear_down(&r);
}

/* Another program of this node that advertises on the link. */
static void test_own(void)
{
	struct rig r;

	set_up(&r);
	hear_router(&r, own_s, 1800);
	CHECK_INT(r.changed, 0);
	hear_router(&r, peer_s, 0);
	hear_router(&r, own_s, 1800);
	CHECK(router_is(&r, peer_s));
	CHECK_INT(view(&r).other_ms, 0);
	CHECK_INT(view(&r).received, 1);
	tear_down(&r);
}

/* -- links -- */

static void test_links(void)
{
	struct radv_view v;
	struct addr a;
	struct rig r;

	set_up(&r);
	hear_router(&r, peer_s, 1800);
	run(&r, 20 * SECOND);
	CHECK_INT(radv_want(r.r, IF1, mac1, r.now_ms), 0);
	CHECK_INT(radv_count(r.r), 1);
	r.n_sent = 0;
	CHECK_INT(radv_want(r.r, IF2, mac2, r.now_ms), 0);
	CHECK_INT(radv_count(r.r), 2);
	CHECK_INT(radv_next_deadline(r.r), r.now_ms);
	run(&r, 0);
	CHECK_INT(r.n_sent, 2);
	CHECK(r.sent[0].ifindex == IF2 && memcmp(r.sent[0].b + 18, mac2, 6) == 0);
	CHECK(!radv_router(r.r, IF2, &a) && router_is(&r, peer_s));
	radv_unwant(r.r, IF1);
	CHECK(!radv_router(r.r, IF1, &a) && !radv_view(r.r, IF1, &v));
	CHECK_INT(radv_count(r.r), 1);
	hear_router(&r, peer_s, 0); /* on no link of ours */
	CHECK_INT(r.changed, 1);
	radv_unwant(r.r, IF1);
	radv_unwant(r.r, IF2);
	CHECK(radv_next_deadline(r.r) == TIME_NEVER);
	radv_tick(r.r, r.now_ms);
	CHECK_INT(r.n_sent, 2);
	tear_down(&r);
	radv_free(NULL);
}

static void test_other_mac(void)
{
	struct rig r;

	set_up(&r);
	hear_router(&r, peer_s, 1800);
	run(&r, 20 * SECOND);
	run_to_quiet(&r);
	CHECK_INT(radv_want(r.r, IF1, mac2, r.now_ms), 0);
	run(&r, 500);
	CHECK_INT(r.n_sent, 1);
	CHECK(memcmp(r.sent[0].b + 18, mac2, 6) == 0);
	CHECK(router_is(&r, peer_s));
	tear_down(&r);
}

static void test_most_links(void)
{
	struct rig r;

	set_up(&r);
	for (unsigned i = 1; i < RADV_MAX_LINKS; i++)
		CHECK_INT(radv_want(r.r, 1000 + i, mac1, r.now_ms), 0);
	CHECK_INT(radv_want(r.r, 2000, mac1, r.now_ms), -E2BIG);
	CHECK_INT(radv_want(r.r, IF1, mac1, r.now_ms), 0);
	radv_unwant(r.r, 1001);
	CHECK_INT(radv_want(r.r, 2000, mac1, r.now_ms), 0);
	tear_down(&r);
}

/* Links come and go from within changed(), the one in question and others. */
static void test_changed_changes_links(void)
{
	for (unsigned gone = IF1; gone <= IF2; gone++) {
		struct rig r;

		set_up(&r);
		CHECK_INT(radv_want(r.r, IF2, mac2, r.now_ms), 0);
		hear_router(&r, peer_s, 0);
		r.unwant = gone;
		run(&r, HOLD);
		CHECK_INT(r.changed, 2);
		CHECK_INT(radv_count(r.r), 2);
		r.n_sent = 0;
		run(&r, 20 * SECOND);
		CHECK(count(&r, RA) >= 4);
		for (size_t i = 0; i < r.n_sent; i++)
			CHECK(r.sent[i].ifindex != gone);
		tear_down(&r);
	}
}

#ifdef MEMORY_CAN_FAIL
static void test_out_of_memory(void)
{
	struct rig r;

	set_up(&r);
	fail_after = 0;
	CHECK(radv_new(&ops, &r, &r.rng) == NULL);
	CHECK_INT(radv_want(r.r, IF2, mac2, r.now_ms), -ENOMEM);
	fail_after = -1;
	CHECK_INT(radv_count(r.r), 1);
	hear_router(&r, peer_s, 0);
	CHECK(router_is(&r, peer_s));
	CHECK_INT(radv_want(r.r, IF2, mac2, r.now_ms), 0);
	tear_down(&r);
}
#endif

CHECK_MAIN("test_radv", CHECK_TEST(test_bytes), CHECK_TEST(test_valid),
	CHECK_TEST(test_every_length), CHECK_TEST(test_first), CHECK_TEST(test_jitter),
	CHECK_TEST(test_send_fails), CHECK_TEST(test_answer), CHECK_TEST(test_answer_rate),
	CHECK_TEST(test_found), CHECK_TEST(test_found_early), CHECK_TEST(test_expiry),
	CHECK_TEST(test_answered_in_time), CHECK_TEST(test_several), CHECK_TEST(test_own),
	CHECK_TEST(test_links), CHECK_TEST(test_other_mac), CHECK_TEST(test_most_links),
#ifdef MEMORY_CAN_FAIL
	CHECK_TEST(test_out_of_memory),
#endif
	CHECK_TEST(test_changed_changes_links))
