/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bpf.c - the packet filter against libpcap's compiler: the same frames pass as with the
 * filter in tcpdump's language, for the edges of ranges and for random ones, in an interpreter
 * here; the largest programs also in the kernel.
 *
 * One difference is meant: a frame that ends before the address in question does is dropped,
 * whatever its first words are.
 */
#include "bpf.h"

#include "check.h"
#include "oom.h"

#include <pcap/pcap.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

enum {
	WORDS = 4,
	ARP_LEN = 42,
	NDP_LEN = 78, /* to the end of the target address */
	FRAME_LEN = 100,
	RANGE_TEXT = 512, /* of one range in the filter's text */
	RANDOM_SETS = 300,
	RANDOM_FRAMES = 1000,
};

struct frame {
	uint8_t b[FRAME_LEN];
	unsigned len;
};

/* The filter under test, and the one in tcpdump's language: as it is written, and optimized. */
struct filters {
	enum addr_family family;
	const struct addr_range *v;
	size_t n;
	struct sock_fprog got;
	struct bpf_program literal, optimized;
	unsigned passed, dropped;
};

/* -- the text -- */

static uint32_t word(struct addr a, unsigned i)
{
	uint64_t half = i < 2 ? a.hi : a.lo;

	return (uint32_t)(i % 2 == 0 ? half >> 32 : half);
}

/* Target address at 24, sender address at 14 of an ARP packet (RFC 826). */
static void print_arp_filter(const struct addr_range *v, size_t n, char *ret_s, size_t size)
{
	static const unsigned offset[] = {24, 14};
	size_t at = (size_t)snprintf(ret_s, size, "arp and (");

	for (size_t i = 0; i < 2 * n; i++) {
		const struct addr_range *r = &v[i % n];
		unsigned off = offset[i / n];

		at += (size_t)snprintf(ret_s + at, size - at,
			"%s(arp[%u:4] >= 0x%x and arp[%u:4] <= 0x%x)", i > 0 ? " or " : "", off,
			word(r->first, 3), off, word(r->last, 3));
	}
	at += (size_t)snprintf(ret_s + at, size - at, ")");
	REQUIRE(at < size);
}

/* The target address, at 48 of the packet, is >= a (op '>') or <= a (op '<'), judged from its i-th
 * word on. */
static size_t print_bound(char *ret_s, size_t size, struct addr a, char op, unsigned i)
{
	unsigned off = 48 + 4 * i, w = word(a, i);
	size_t at;

	if (i == WORDS - 1)
		return (size_t)snprintf(ret_s, size, "ip6[%u:4] %c= 0x%x", off, op, w);
	at = (size_t)snprintf(
		ret_s, size, "(ip6[%u:4] %c 0x%x or (ip6[%u:4] = 0x%x and ", off, op, w, off, w);
	REQUIRE(at < size);
	at += print_bound(ret_s + at, size - at, a, op, i + 1);
	REQUIRE(at < size);
	return at + (size_t)snprintf(ret_s + at, size - at, "))");
}

static size_t print_range(char *ret_s, size_t size, const struct addr_range *r)
{
	size_t at = print_bound(ret_s, size, r->first, '>', 0);

	at += (size_t)snprintf(ret_s + at, size - at, " and ");
	return at + print_bound(ret_s + at, size - at, r->last, '<', 0);
}

/* ICMPv6 135 and 136 without extension headers, hop limit 255. */
static void print_ndp_filter(const struct addr_range *v, size_t n, char *ret_s, size_t size)
{
	size_t at = (size_t)snprintf(ret_s, size,
		"ip6[6] = 58 and ip6[7] = 255 and (ip6[40] = 135 or ip6[40] = 136) and (");

	for (size_t i = 0; i < n; i++) {
		at += (size_t)snprintf(ret_s + at, size - at, i > 0 ? " or (" : "(");
		at += print_range(ret_s + at, size - at, &v[i]);
		at += (size_t)snprintf(ret_s + at, size - at, ")");
	}
	at += (size_t)snprintf(ret_s + at, size - at, ")");
	REQUIRE(at < size);
}

static struct bpf_program compile(const char *text, int optimize)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, BPF_SNAPLEN);
	struct bpf_program f;

	REQUIRE(dead != NULL);
	REQUIRE(pcap_compile(dead, &f, text, optimize, PCAP_NETMASK_UNKNOWN) == 0);
	pcap_close(dead);
	return f;
}

/* -- running it -- */

static uint32_t load(const struct frame *f, unsigned at, unsigned size)
{
	uint32_t k = 0;

	for (unsigned i = 0; i < size; i++)
		k = k << 8 | f->b[at + i];
	return k;
}

/* What classic BPF the filter is made of, and no more of it. */
static uint32_t run(const struct sock_fprog *p, const struct frame *f, uint32_t packet_type)
{
	uint32_t a = 0, m[BPF_MEMWORDS] = {0};

	for (size_t pc = 0; pc < p->len; pc++) {
		const struct sock_filter *i = &p->filter[pc];
		unsigned size = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
		case BPF_LD | BPF_H | BPF_ABS:
		case BPF_LD | BPF_B | BPF_ABS:
			if (i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)) {
				a = packet_type;
				break;
			}
			if (i->k + size > f->len)
				return 0;
			a = load(f, i->k, size);
			break;
		case BPF_LD | BPF_MEM:
			REQUIRE(i->k < BPF_MEMWORDS);
			a = m[i->k];
			break;
		case BPF_ST:
			REQUIRE(i->k < BPF_MEMWORDS);
			m[i->k] = a;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			REQUIRE(false);
		}
	}
	REQUIRE(false); /* ran out of the program */
}

/* Every way through it ends in a return: jumps, forward by their type, land inside. */
static void check_program(const struct sock_fprog *p)
{
	REQUIRE(p->len > 0 && p->len <= BPF_MAXINSNS);
	for (size_t pc = 0; pc < p->len; pc++) {
		const struct sock_filter *i = &p->filter[pc];

		if (BPF_CLASS(i->code) == BPF_JMP)
			CHECK(pc + 1 + i->jt < p->len && pc + 1 + i->jf < p->len);
		CHECK(BPF_CLASS(i->code) == BPF_RET || pc + 1 < p->len);
	}
}

static void set_up(struct filters *t, enum addr_family family, const struct addr_range *v, size_t n)
{
	static char text[2 * BPF_MAX_RANGES * RANGE_TEXT];

	*t = (struct filters){.family = family, .v = v, .n = n};
	REQUIRE(bpf_assemble(family, v, n, &t->got) == 0);
	check_program(&t->got);
	if (family == ADDR_V4)
		print_arp_filter(v, n, text, sizeof text);
	else
		print_ndp_filter(v, n, text, sizeof text);
	t->literal = compile(text, 0);
	t->optimized = compile(text, 1);
}

static void tear_down(struct filters *t)
{
	free(t->got.filter);
	pcap_freecode(&t->literal);
	pcap_freecode(&t->optimized);
}

static uint32_t oracle(const struct bpf_program *p, const struct frame *f)
{
	return bpf_filter(p->bf_insns, f->b, f->len, f->len);
}

static uint32_t want(const struct filters *t, const struct frame *f)
{
	bool whole = f->len >= (t->family == ADDR_V4 ? ARP_LEN : NDP_LEN);

	if (whole)
		CHECK(oracle(&t->literal, f) == oracle(&t->optimized, f));
	return whole ? oracle(&t->literal, f) : 0;
}

static void try(struct filters *t, const struct frame *f)
{
	uint32_t w = want(t, f);

	CHECK_INT(run(&t->got, f, PACKET_HOST), w);
	CHECK_INT(run(&t->got, f, PACKET_BROADCAST), w);
	CHECK_INT(run(&t->got, f, PACKET_MULTICAST), w);
	CHECK_INT(run(&t->got, f, PACKET_OTHERHOST), 0);
	if (w > 0)
		t->passed++;
	else
		t->dropped++;
}

/* -- frames -- */

static void put_v4(uint8_t *to, struct addr a)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (uint8_t)(word(a, 3) >> (24 - 8 * i));
}

static struct frame arp_frame(struct addr sender, struct addr target)
{
	static const uint8_t head[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};
	struct frame f = {.len = 60};

	memcpy(f.b + 12, head, sizeof head);
	put_v4(f.b + 28, sender);
	put_v4(f.b + 38, target);
	return f;
}

static struct frame ndp_frame(struct addr target)
{
	struct frame f = {.len = 86};

	f.b[12] = 0x86;
	f.b[13] = 0xdd;
	f.b[14] = 0x60;
	f.b[20] = 58;
	f.b[21] = 255;
	f.b[54] = 135;
	addr_to_v6(target, f.b + 62);
	return f;
}

/* Of the family, in any case. */
static struct addr in_family(enum addr_family family, struct addr a)
{
	return family == ADDR_V4 ? (struct addr){.lo = (uint64_t)ADDR_V4_TAG << 32 | (uint32_t)a.lo}
				 : a;
}

static struct frame frame_of(enum addr_family family, struct addr sender, struct addr target)
{
	return family == ADDR_V4 ? arp_frame(sender, target) : ndp_frame(target);
}

static struct frame tagged(struct frame f)
{
	static const uint8_t tag[] = {0x81, 0, 0, 20};

	memmove(f.b + 16, f.b + 12, f.len - 12);
	memcpy(f.b + 12, tag, sizeof tag);
	f.len += (unsigned)sizeof tag;
	return f;
}

/* What asks for a, at every length and with each byte of its headers changed. */
static void try_variants(struct filters *t, struct addr a)
{
	const struct frame whole =
		frame_of(t->family, in_family(t->family, (struct addr){.lo = 1}), a);
	struct frame f = tagged(whole);

	try(t, &f);
	for (unsigned len = 0; len <= whole.len; len++) {
		f = whole;
		f.len = len;
		try(t, &f);
	}
	for (unsigned i = 12; i < (t->family == ADDR_V4 ? 22u : 62u); i++)
		for (unsigned k = 0; k <= UINT8_MAX; k++) {
			f = whole;
			f.b[i] = (uint8_t)k;
			try(t, &f);
		}
}

/* a and its neighbours, and those of which one word is beside it. */
static void try_near(struct filters *t, struct addr a)
{
	static const struct addr step[] = {{0, 1}, {0, 1ull << 32}, {1, 0}, {1ull << 32, 0}};

	for (size_t i = 0; i < ARRAY_LEN(step); i++)
		for (int up = -1; up <= 1; up++) {
			struct addr b =
				in_family(t->family, (struct addr){a.hi + (uint64_t)up * step[i].hi,
							     a.lo + (uint64_t)up * step[i].lo});
			struct addr far = in_family(t->family, (struct addr){~b.hi, ~b.lo});
			struct frame f = frame_of(t->family, far, b);

			try(t, &f);
			f = frame_of(t->family, b, far);
			try(t, &f);
		}
}

static struct addr random_addr(enum addr_family family, struct rng *r)
{
	return in_family(family, (struct addr){rng_next(r), rng_next(r)});
}

/* The upper bits are those of a. */
static struct addr random_below(enum addr_family family, struct rng *r, struct addr a)
{
	unsigned bits = (unsigned)rng_below(r, family == ADDR_V4 ? 33 : 129);
	uint64_t lo = bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
	uint64_t hi = bits >= 128 ? UINT64_MAX : bits > 64 ? (1ull << (bits - 64)) - 1 : 0;

	return in_family(
		family, (struct addr){a.hi ^ (rng_next(r) & hi), a.lo ^ (rng_next(r) & lo)});
}

static struct addr_range random_range(enum addr_family family, struct rng *r)
{
	struct addr a = random_addr(family, r);
	struct addr b = rng_below(r, 8) == 0 ? a : random_below(family, r, a);

	return addr_cmp(a, b) <= 0 ? (struct addr_range){a, b} : (struct addr_range){b, a};
}

/* Near a range, with something wrong now and then. */
static struct frame random_frame(const struct filters *t, struct rng *r)
{
	const struct addr_range *near = &t->v[rng_below(r, t->n)];
	struct addr a = random_below(t->family, r, rng_below(r, 2) == 0 ? near->first : near->last);
	struct addr b = random_addr(t->family, r);
	struct frame f =
		rng_below(r, 2) == 0 ? frame_of(t->family, a, b) : frame_of(t->family, b, a);

	if (rng_below(r, 8) == 0)
		f.b[12 + rng_below(r, 50)] = (uint8_t)rng_next(r);
	if (rng_below(r, 8) == 0)
		f.len = (unsigned)rng_below(r, f.len + 1);
	return f;
}

/* -- */

static struct addr_range range(const char *s)
{
	struct addr_range r;

	REQUIRE(addr_range_parse(s, strlen(s), true, &r) == ADDR_RANGE_OK);
	return r;
}

static void test_edges(void)
{
	static const char *const text[] = {"192.168.1.200-192.168.1.210", "10.0.0.0/8", "0.0.0.0/0",
		"0.0.0.0", "255.255.255.255", "127.255.255.255-128.0.0.0", "fd00::100-fd00::1ff",
		"fd00::/64", "fd00::ffff:fff0-fd00::1:0:10", "fd00:0:0:1::-fd00:0:0:2::5",
		"fe80::7", "2001:db8::-2001:db9::1", "::1:0:0:0-ffff::", "8000::/1",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32", "2001:db8:0:8000::/49",
		"1::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};

	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		struct addr_range v = range(text[i]);
		struct filters t;

		check_row = text[i];
		set_up(&t, addr_family(v.first), &v, 1);
		try_near(&t, v.first);
		try_near(&t, v.last);
		try_variants(&t, v.first);
		try_variants(&t, v.last);
		CHECK(t.passed > 0 && t.dropped > 0);
		tear_down(&t);
	}
}

/* All of IPv6, which is not a range of one family in text: IPv4 is in it. */
static void test_whole_space(void)
{
	const struct addr_range all = {{0, 0}, {UINT64_MAX, UINT64_MAX}};
	struct filters t;

	set_up(&t, ADDR_V6, &all, 1);
	try_near(&t, all.first);
	try_near(&t, all.last);
	CHECK(t.passed > 0 && t.dropped == 0);
	try_variants(&t, all.first);
	CHECK(t.dropped > 0);
	tear_down(&t);
}

static void test_random(void)
{
	static const size_t sizes[] = {1, 2, 5, BPF_MAX_RANGES};
	struct rng r = {.state = 1};
	unsigned passed = 0, dropped = 0;

	for (unsigned k = 0; k < RANDOM_SETS; k++) {
		enum addr_family family = k % 2 == 0 ? ADDR_V4 : ADDR_V6;
		size_t n = sizes[k / 2 % ARRAY_LEN(sizes)];
		struct addr_range v[BPF_MAX_RANGES];
		struct filters t;

		for (size_t i = 0; i < n; i++)
			v[i] = random_range(family, &r);
		set_up(&t, family, v, n);
		for (size_t i = 0; i < n; i++) {
			try_near(&t, v[i].first);
			try_near(&t, v[i].last);
		}
		for (unsigned i = 0; i < RANDOM_FRAMES; i++) {
			struct frame f = random_frame(&t, &r);

			try(&t, &f);
		}
		passed += t.passed;
		dropped += t.dropped;
		tear_down(&t);
	}
	CHECK(passed > RANDOM_SETS * RANDOM_FRAMES / 10);
	CHECK(dropped > RANDOM_SETS * RANDOM_FRAMES / 10);
}

static void test_no_range(void)
{
	struct addr a = range("192.168.1.1").first;

	for (enum addr_family family = 0; family < ADDR_FAMILIES; family++) {
		struct frame f = frame_of(family, a, a);
		struct sock_fprog p;

		REQUIRE(bpf_assemble(family, NULL, 0, &p) == 0);
		check_program(&p);
		CHECK_INT(run(&p, &f, PACKET_HOST), 0);
		free(p.filter);
	}
}

/* -- in the kernel: a datagram through a pair of sockets is a frame to the filter -- */

static bool kernel_passes(int fd[2], const struct frame *f)
{
	uint8_t b[FRAME_LEN];

	(void)send(fd[0], f->b, f->len, 0); /* fails when the filter drops it */
	return recv(fd[1], b, sizeof b, MSG_DONTWAIT) == (ssize_t)f->len;
}

/* Ranges that need the most instructions, as many as there may be. */
static void test_largest_in_kernel(void)
{
	for (enum addr_family family = 0; family < ADDR_FAMILIES; family++) {
		struct addr_range v[BPF_MAX_RANGES];
		struct filters t;
		int fd[2];

		for (uint64_t i = 0; i < BPF_MAX_RANGES; i++) {
			v[i].first = in_family(family,
				(struct addr){.hi = (0x80000000u + 4 * i) << 32 | 0xf0000000u,
					.lo = 0xf0000000ull << 32 | (0xf0000000u + 16 * i)});
			v[i].last = in_family(
				family, (struct addr){.hi = v[i].first.hi + (1ull << 32) + 1,
						.lo = v[i].first.lo + (1ull << 32) + 8});
		}
		set_up(&t, family, v, BPF_MAX_RANGES);
		REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
		CHECK_INT(setsockopt(fd[1], SOL_SOCKET, SO_ATTACH_FILTER, &t.got, sizeof t.got), 0);
		for (size_t i = 0; i < BPF_MAX_RANGES; i++) {
			const struct addr a[] = {
				addr_prev(v[i].first), v[i].first, v[i].last, addr_next(v[i].last)};

			for (size_t k = 0; k < ARRAY_LEN(a); k++) {
				struct addr none = in_family(family, (struct addr){.lo = 1});
				struct frame f = frame_of(family, none, a[k]);

				CHECK_INT(want(&t, &f) > 0, k == 1 || k == 2);
				CHECK_INT(kernel_passes(fd, &f), k == 1 || k == 2);
			}
		}
		(void)close(fd[0]);
		(void)close(fd[1]);
		tear_down(&t);
	}
}

#ifdef MEMORY_CAN_FAIL
static void test_out_of_memory(void)
{
	struct addr_range v = range("fd00::/64");
	struct sock_fprog p = {.len = 7};

	fail_after = 0;
	CHECK_INT(bpf_assemble(ADDR_V6, &v, 1, &p), -ENOMEM);
	fail_after = -1;
	CHECK(p.len == 7 && p.filter == NULL);
}
#endif

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_edges),
		CHECK_TEST(test_whole_space), CHECK_TEST(test_random), CHECK_TEST(test_no_range),
#ifdef MEMORY_CAN_FAIL
		CHECK_TEST(test_out_of_memory),
#endif
		CHECK_TEST(test_largest_in_kernel)};

	return check_main("test_bpf", tests, ARRAY_LEN(tests));
}
