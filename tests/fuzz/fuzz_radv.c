/* uses: radv addr */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_radv.c - ICMPv6 messages off a link into the table of routers.  The input is a row of them:
 * a byte that chooses the sender and the hop limit, one of the seconds that pass before it, one of
 * its length, its bytes.
 *
 * What must hold for any input: what is sent is whole and goes where it should, advertisements
 * three seconds apart; the router is a link-local sender with hop limit 255 that is not this node,
 * and only as long as it is held; every change is told.
 */
#include "radv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IF1 = 3, RS = 133, RA = 134, SENDERS = 4, MESSAGE_MAX = 255 };
enum { HOLD_MS = 45000, LONGEST_MS = 65535 * 1000, TICKS = 200 /* in 255 s */ };

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
static const struct addr senders[SENDERS] = {
	{0xfe80000000000000, 10}, {0xfe80000000000000, 1}, {0x20010db800000000, 10}, {0, 0}};

static uint8_t room[MESSAGE_MAX];

struct rig {
	struct radv *r;
	struct rng rng;
	uint64_t now_ms, sent_ms;
	bool found;
};

static int on_send(void *ctx, unsigned ifindex, struct addr to, const uint8_t *b, size_t len)
{
	struct rig *r = ctx;

	REQUIRE(ifindex == IF1 && to.hi == 0xff02000000000000);
	REQUIRE(b[1] == 0 && b[2] == 0 && b[3] == 0);
	REQUIRE(b[len - 8] == 1 && b[len - 7] == 1 && memcmp(b + len - 6, mac, 6) == 0);
	if (b[0] == RS) {
		REQUIRE(len == 16 && to.lo == 2);
		return 0;
	}
	REQUIRE(b[0] == RA && len == 24 && to.lo == 1 && b[6] == 0 && b[7] == 0);
	REQUIRE(r->sent_ms == 0 || r->now_ms - r->sent_ms >= 3000);
	r->sent_ms = r->now_ms;
	return 0;
}

static bool is_own(void *ctx, unsigned ifindex, struct addr a)
{
	(void)ctx;
	return ifindex == IF1 && addr_eq(a, senders[1]);
}

static void on_changed(void *ctx, unsigned ifindex)
{
	struct rig *r = ctx;
	struct addr a;

	r->found = !r->found;
	REQUIRE(radv_router(r->r, ifindex, &a) == r->found);
	REQUIRE(!r->found || addr_eq(a, senders[0]));
}

static const struct radv_ops ops = {on_send, is_own, on_changed};

static void tick(struct rig *r, uint64_t until_ms)
{
	for (unsigned i = 0; i < TICKS && radv_next_deadline(r->r) <= until_ms; i++) {
		r->now_ms = time_max(r->now_ms, radv_next_deadline(r->r));
		radv_tick(r->r, r->now_ms);
	}
	r->now_ms = until_ms;
	REQUIRE(radv_next_deadline(r->r) > r->now_ms);
}

/* At the end of room, so that one byte too far is found. */
static void hear(struct rig *r, uint8_t who, const uint8_t *data, size_t len)
{
	const struct radv_message m = {.data = room + MESSAGE_MAX - len,
		.len = len,
		.ifindex = IF1,
		.from = senders[who % SENDERS],
		.hop_limit = who / SENDERS == 0 ? 255 : who};
	struct radv_view v;

	memcpy(room + MESSAGE_MAX - len, data, len);
	radv_on_message(r->r, &m, r->now_ms);
	REQUIRE(radv_view(r->r, IF1, &v) && v.found == r->found && v.other_ms == 0);
	REQUIRE(!v.found || (v.until_ms - v.heard_ms >= HOLD_MS && v.until_ms > r->now_ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r = {.rng = {size}, .now_ms = 1000};

	r.r = radv_new(&ops, &r, &r.rng);
	REQUIRE(r.r != NULL && radv_want(r.r, IF1, mac, r.now_ms) == 0);
	while (size >= 3 && size - 3 >= data[2]) {
		size_t len = data[2];

		tick(&r, r.now_ms + data[1] * 1000u);
		hear(&r, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	r.now_ms += LONGEST_MS;
	radv_tick(r.r, r.now_ms);
	REQUIRE(!r.found);
	radv_free(r.r);
	return 0;
}
