/* uses: bfd */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_bfd.c - UDP payloads into a BFD engine with two sessions, one of them keyed.  Each packet is
 * two bytes, how much time passes before it and its length with the session in the top bit, and the
 * bytes.
 *
 * What must hold for any input: the deadline is never in the past after a tick; what goes out is
 * well-formed, never Poll and Final at once; a keyed session hears nothing that was not signed.
 */
#include "bfd.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 24, IF1 = 3, KEYED = 0x80, MAX_INPUT = 256 };

static const struct bfd_key key = {.id = 1, .len = 20, .secret = "not in the corpus..."};

static struct bfd_path path_of(bool keyed)
{
	return (struct bfd_path){
		IF1, {0, 0xffff0a000001}, {0, keyed ? 0xffff0a000003 : 0xffff0a000002}};
}

static int on_send(void *ctx, const struct bfd_path *path, const uint8_t *b, size_t len)
{
	bool keyed = addr_eq(path->remote, path_of(true).remote);

	(void)ctx;
	REQUIRE(len == HEADER + (keyed ? 28 : 0) && b[0] >> 5 == 1 && b[3] == len);
	REQUIRE((b[1] & 0x30) != 0x30 && (b[1] & 0x0b) == 0);
	return 0;
}

static const struct bfd_ops ops = {.send = on_send};
static const struct bfd_user user = {0};

static void give(struct bfd *b, bool keyed, const uint8_t *data, size_t len, uint64_t now_us)
{
	const struct bfd_path path = path_of(keyed);
	const struct bfd_packet p = {.data = data,
		.len = len,
		.ifindex = path.ifindex,
		.from = path.remote,
		.to = path.local,
		.ttl = 255,
		.at_us = now_us};

	bfd_on_packet(b, &p);
	bfd_tick(b, now_us);
	REQUIRE(bfd_next_deadline_us(b) > now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_key hkey = {1, 2};
	struct rng rng = {1};
	struct bfd *b = bfd_new(&ops, NULL, &hkey, &rng, NULL);
	struct bfd_session *s[2];
	uint64_t now_us = 1000000000;
	struct bfd_view v;

	size = size < MAX_INPUT ? size : MAX_INPUT;
	REQUIRE(b != NULL);
	bfd_set_keys(b, &key, 1);
	for (unsigned i = 0; i < 2; i++) {
		const struct bfd_conf conf = {100000, 100000, 3, false, i == 1, 255};
		const struct bfd_path path = path_of(i == 1);

		REQUIRE(bfd_add(b, &path, &conf, &user, NULL, now_us, &s[i]) == 0);
	}
	bfd_tick(b, now_us);
	while (size >= 2) {
		bool keyed = (data[1] & KEYED) != 0;
		size_t len = data[1] & (KEYED - 1U);

		now_us += (uint64_t)data[0] << (data[0] & 15);
		data += 2;
		size -= 2;
		len = len < size ? len : size;
		give(b, keyed, data, len, now_us);
		data += len;
		size -= len;
	}
	bfd_view(s[1], now_us, &v);
	REQUIRE(!v.heard);
	bfd_free(b);
	return 0;
}
