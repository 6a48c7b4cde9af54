/* uses: arp announcer addr */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_arp.c - a frame off the wire into the ARP responder.  The first byte chooses the interface
 * (one of ours, another of ours, none) and the time; the rest is the frame.
 *
 * What must hold for any input: frames that go out are whole and say our MAC; a reply goes to who
 * asked, and only for an address announced on that interface; one question has one answer.
 */
#include "arp.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IF1 = 3, IF2 = 4 };

static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const uint8_t vip[4] = {192, 168, 1, 200};

struct rig {
	struct ann *a;
	const uint8_t *frame;
	size_t len;
	unsigned ifindex;
	unsigned replies, announcements, told;
};

static int on_send(void *ctx, unsigned ifindex, const uint8_t *f, size_t len)
{
	struct rig *r = ctx;

	REQUIRE(len == ARP_FRAME_LEN && ifindex == r->ifindex && ifindex == IF1);
	REQUIRE(memcmp(f + 6, mac[0], 6) == 0 && memcmp(f + 22, mac[0], 6) == 0);
	REQUIRE(f[12] == 8 && f[13] == 6 && memcmp(f + 28, vip, 4) == 0);
	if (memcmp(f + 28, f + 38, 4) == 0) {
		REQUIRE(f[0] == 0xff);
		r->announcements++;
		return 0;
	}
	REQUIRE(f[21] == 2 && memcmp(f, r->frame + 22, 6) == 0);
	REQUIRE((f[0] & 1) == 0 && memcmp(f + 38, r->frame + 28, 4) == 0);
	r->replies++;
	return 0;
}

static void on_heard(
	void *ctx, enum ann_heard what, unsigned ifindex, struct addr a, const uint8_t from[6])
{
	struct rig *r = ctx;

	REQUIRE(r->len >= ARP_FRAME_LEN && ifindex == r->ifindex && what <= ANN_HEARD_SENDER);
	REQUIRE(addr_family(a) == ADDR_V4 && memcmp(from, r->frame + 22, 6) == 0);
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
	r.a = arp_new(&ops, &r, &key, NULL);
	REQUIRE(r.a != NULL && ann_set_iface(r.a, IF1, mac[0], 0) == 0);
	REQUIRE(ann_set_iface(r.a, IF2, mac[1], 0) == 0);
	return &r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig *r = the_rig();
	uint64_t now_ms;

	if (size == 0)
		return 0;
	now_ms = (uint64_t)(data[0] >> 2) * 1000;
	r->ifindex = IF1 + (data[0] & 3u);
	r->frame = data + 1;
	r->len = size - 1;
	r->replies = r->announcements = r->told = 0;
	REQUIRE(ann_add(r->a, IF1, addr_from_v4(vip), 0) == 0);
	ann_on_frame(r->a, r->ifindex, r->frame, r->len, now_ms);
	REQUIRE(r->replies <= 1 && r->announcements <= 2 && r->told <= 1);
	REQUIRE(r->replies == 0 || r->announcements == 0);
	REQUIRE(ann_count(r->a) == 1);
	ann_del(r->a, IF1, addr_from_v4(vip));
	return 0;
}
