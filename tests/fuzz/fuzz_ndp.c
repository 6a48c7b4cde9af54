/* uses: announcer ndp addr */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_ndp.c - a frame off the wire into Neighbor Discovery.  The first byte chooses the interface
 * (one of ours, another of ours, none), the time, and whether the checksum is made right; the rest
 * is the frame.
 *
 * What must hold for any input: frames that go out are whole, their checksum right, and say our
 * MAC; an answer goes to who asked, or to all, and only for an address announced on that interface;
 * one question has one answer.
 */
#include "ndp.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IF1 = 3, IF2 = 4, HEAD = 54, MAX_FRAME = 2048 };

static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const uint8_t all_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t vip[16] = {0xfd, [14] = 1};

static uint8_t room[MAX_FRAME];

struct rig {
	struct ann *a;
	uint8_t *frame; /* ends where room ends, so that one byte too far is found */
	size_t len;
	unsigned ifindex;
	unsigned answers, announcements, told;
};

static uint32_t sum16(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

/* Of an IPv6 frame whose payload is ICMPv6: what the checksum must be, or 0 when it is right. */
static uint16_t checksum(const uint8_t *f, size_t len)
{
	uint32_t sum = sum16(f + 22, 32) + (uint32_t)len + 58 + sum16(f + HEAD, len);

	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static int on_send(void *ctx, unsigned ifindex, const uint8_t *f, size_t len)
{
	struct rig *r = ctx;

	REQUIRE(len == HEAD + 32 && ifindex == r->ifindex && ifindex == IF1);
	REQUIRE(memcmp(f + 6, mac[0], 6) == 0 && f[12] == 0x86 && f[13] == 0xdd && f[21] == 255);
	REQUIRE(f[19] == 32 && f[54] == 136 && checksum(f, 32) == 0);
	REQUIRE(memcmp(f + 22, vip, 16) == 0 && memcmp(f + 62, vip, 16) == 0);
	REQUIRE(f[78] == 2 && f[79] == 1 && memcmp(f + 80, mac[0], 6) == 0);
	if (memcmp(f, all_mac, 6) == 0) {
		REQUIRE(f[58] == 0x20);
		r->announcements++;
		return 0;
	}
	REQUIRE(f[58] == 0x60 && (f[0] & 1) == 0 && memcmp(f + 38, r->frame + 22, 16) == 0);
	r->answers++;
	return 0;
}

static void on_heard(
	void *ctx, enum ann_heard what, unsigned ifindex, struct addr a, const uint8_t from[6])
{
	struct rig *r = ctx;
	uint8_t b[16];

	addr_to_v6(a, b);
	REQUIRE(r->len >= HEAD + 24 && ifindex == r->ifindex && what <= ANN_HEARD_SENDER);
	REQUIRE(memcmp(b, r->frame + (what == ANN_HEARD_SENDER ? 22 : 62), 16) == 0);
	REQUIRE((from[0] & 1) == 0 && memcmp(from, mac[0], 6) != 0 && memcmp(from, mac[1], 6) != 0);
	r->told++;
}

static const struct ann_ops ops = {.send = on_send, .heard = on_heard};

/* Made once: the table is not what is fuzzed, and making it costs more than all the rest. */
static struct rig *the_rig(void)
{
	static const struct hash_key key = {1, 2};
	static struct rig r;

	if (r.a != NULL)
		return &r;
	r.a = ndp_new(&ops, &r, &key, NULL);
	REQUIRE(r.a != NULL && ann_set_iface(r.a, IF1, mac[0], 0) == 0);
	REQUIRE(ann_set_iface(r.a, IF2, mac[1], 0) == 0);
	return &r;
}

/* Few inputs would pass otherwise. */
static void seal(struct rig *r)
{
	size_t len = r->len >= HEAD + 4 ? (size_t)r->frame[18] << 8 | r->frame[19] : 0;
	uint16_t sum;

	if (len < 4 || len > r->len - HEAD)
		return;
	r->frame[56] = r->frame[57] = 0;
	sum = checksum(r->frame, len);
	r->frame[56] = (uint8_t)(sum >> 8);
	r->frame[57] = (uint8_t)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig *r = the_rig();
	uint64_t now_ms;

	if (size == 0 || size > MAX_FRAME)
		return 0;
	now_ms = (uint64_t)(data[0] >> 3) * 1000;
	r->ifindex = IF1 + (data[0] & 3u);
	r->len = size - 1;
	r->frame = room + MAX_FRAME - r->len;
	memcpy(r->frame, data + 1, r->len);
	if ((data[0] & 4) == 0)
		seal(r);
	r->answers = r->announcements = r->told = 0;
	REQUIRE(ann_add(r->a, IF1, addr_from_v6(vip), 0) == 0);
	ann_on_frame(r->a, r->ifindex, r->frame, r->len, now_ms);
	REQUIRE(r->answers + r->announcements <= 1 && r->told <= 1);
	REQUIRE(ann_count(r->a) == 1);
	ann_del(r->a, IF1, addr_from_v6(vip));
	return 0;
}
