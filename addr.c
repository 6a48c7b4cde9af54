/* SPDX-License-Identifier: Apache-2.0
 *
 * addr.c - IPv4 and IPv6 addresses as 128 bits, prefixes, ranges, sets of ranges, maps.
 *
 * Owns: the array inside a struct addr_set, the blocks inside a struct addr_map.
 * In:   text and bytes.  Out: values and text.
 * RFCs: 4291 2.5.5.2 (IPv4-mapped), 5952 (text of IPv6), 4632 (CIDR).
 * Not done: zones (fe80::1%eth0 is refused: a VIP has none).
 */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct addr v4_first = {0, (uint64_t)ADDR_V4_TAG << 32};
static const struct addr v4_last = {0, (uint64_t)ADDR_V4_TAG << 32 | 0xffffffffU};

/* -- single addresses -- */

static uint64_t get_be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void put_be64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

struct addr addr_from_v4(const uint8_t b[4])
{
	uint32_t v = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];

	return (struct addr){0, v4_first.lo | v};
}

struct addr addr_from_v6(const uint8_t b[16])
{
	return (struct addr){get_be64(b), get_be64(b + 8)};
}

void addr_to_v4(struct addr a, uint8_t ret_b[4])
{
	for (unsigned i = 0; i < 4; i++)
		ret_b[i] = (uint8_t)(a.lo >> (24 - 8 * i));
}

void addr_to_v6(struct addr a, uint8_t ret_b[16])
{
	put_be64(ret_b, a.hi);
	put_be64(ret_b + 8, a.lo);
}

struct addr addr_plus(struct addr a, uint64_t n)
{
	uint64_t lo = a.lo + n;

	return (struct addr){a.hi + (lo < n), lo};
}

struct addr addr_next(struct addr a)
{
	return addr_plus(a, 1);
}

struct addr addr_prev(struct addr a)
{
	return (struct addr){a.hi - (a.lo == 0), a.lo - 1};
}

uint64_t addr_distance(struct addr a, struct addr b)
{
	uint64_t hi = b.hi - a.hi - (b.lo < a.lo);

	return hi != 0 ? UINT64_MAX : b.lo - a.lo;
}

/* What inet_pton() may see: the C libraries differ in what else they let pass. */
static bool is_addr_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
			    c == ':' || c == '.'))
			return false;
	}
	return true;
}

int addr_parse(const char *s, size_t len, struct addr *ret_a)
{
	char text[ADDR_STRLEN];
	uint8_t b[16];

	if (len == 0 || len >= sizeof text || !is_addr_text(s, len))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	if (memchr(text, ':', len) != NULL) {
		if (inet_pton(AF_INET6, text, b) != 1)
			return -EINVAL;
		*ret_a = addr_from_v6(b);
		return 0;
	}
	if (inet_pton(AF_INET, text, b) != 1)
		return -EINVAL;
	*ret_a = addr_from_v4(b);
	return 0;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 4.2); its end is
 * *ret_end, 0 and 0 when there is none. */
static unsigned zero_run(const uint16_t g[8], unsigned *ret_end)
{
	unsigned best = 0, best_len = 1;

	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;

		while (i + n < 8 && g[i + n] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
		i += n;
	}
	*ret_end = best_len > 1 ? best + best_len : 0;
	return best;
}

static void format_v6(struct addr a, char s[ADDR_STRLEN])
{
	uint16_t g[8];
	unsigned run, run_end;
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		g[i] = (uint16_t)(a.hi >> (48 - 16 * i));
		g[4 + i] = (uint16_t)(a.lo >> (48 - 16 * i));
	}
	run = zero_run(g, &run_end);
	for (unsigned i = 0; i < 8; i++) {
		bool after_run = run_end != 0 && i == run_end;

		if (run_end != 0 && i == run) {
			s[at++] = ':';
			s[at++] = ':';
			i = run_end - 1;
			continue;
		}
		if (i != 0 && !after_run)
			s[at++] = ':';
		at += (size_t)snprintf(s + at, ADDR_STRLEN - at, "%x", g[i]);
	}
	s[at] = '\0';
}

/* By hand: one per write, Event and dump, and several times as fast as snprintf(). */
static void format_v4(struct addr a, char s[ADDR_STRLEN])
{
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned v = (unsigned)(a.lo >> (24 - 8 * i)) & 0xff;

		if (i != 0)
			s[at++] = '.';
		if (v >= 100)
			s[at++] = (char)('0' + v / 100);
		if (v >= 10)
			s[at++] = (char)('0' + v / 10 % 10);
		s[at++] = (char)('0' + v % 10);
	}
	s[at] = '\0';
}

char *addr_format(struct addr a, char s[ADDR_STRLEN])
{
	switch (addr_family(a)) {
	case ADDR_V4:
		format_v4(a, s);
		break;
	case ADDR_V6:
	case ADDR_FAMILIES:
		format_v6(a, s);
		break;
	}
	return s;
}

bool addr_is_link_local(struct addr a)
{
	return a.hi >> 54 == 0xfe80U >> 6;
}

bool addr_is_unusable(struct addr a)
{
	uint32_t v4 = (uint32_t)a.lo;

	if (addr_family(a) == ADDR_V4)
		return v4 == 0 || v4 >> 24 == 127 || v4 >> 28 == 0xe || v4 == 0xffffffffU;
	return (a.hi == 0 && a.lo <= 1) || a.hi >> 56 == 0xff;
}

bool addr_range_has_unusable(struct addr_range r)
{
	uint32_t first = (uint32_t)r.first.lo, last = (uint32_t)r.last.lo;

	if (addr_is_unusable(r.first) || addr_is_unusable(r.last))
		return true;
	/* What is left are blocks inside the range; IPv6 has none that are not at its ends. */
	return addr_family(r.first) == ADDR_V4 &&
	       ((first >> 24 < 127 && last >> 24 > 127) || (first >> 28 < 0xe && last >> 28 > 0xe));
}

/* -- prefixes -- */

static unsigned family_bits(enum addr_family f)
{
	return f == ADDR_V4 ? 32 : 128;
}

/* The low n bits set, 0 <= n <= 128. */
static struct addr low_bits(unsigned n)
{
	if (n > 64)
		return (struct addr){UINT64_MAX >> (128 - n), UINT64_MAX};
	return (struct addr){0, n == 0 ? 0 : UINT64_MAX >> (64 - n)};
}

static struct addr host_mask(struct addr base, unsigned len)
{
	unsigned bits = family_bits(addr_family(base));

	REQUIRE(len <= bits);
	return low_bits(bits - len);
}

struct addr_prefix addr_prefix_of(struct addr a, unsigned len)
{
	struct addr mask = host_mask(a, len);

	return (struct addr_prefix){{a.hi & ~mask.hi, a.lo & ~mask.lo}, (uint8_t)len};
}

/* Up to three digits, no sign and no leading zero; -EINVAL otherwise. */
static int parse_length(const char *s, size_t n, unsigned *ret_len)
{
	unsigned v = 0;

	if (n == 0 || n > 3 || (n > 1 && s[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	*ret_len = v;
	return 0;
}

static enum addr_range_error parse_cidr(
	const char *s, size_t len, struct addr_prefix *ret_p, bool *ret_masked)
{
	const char *slash = memchr(s, '/', len);
	size_t at = slash != NULL ? (size_t)(slash - s) : len;
	struct addr a, mask;
	unsigned bits;

	if (slash == NULL)
		return ADDR_RANGE_SYNTAX;
	if (addr_parse(s, at, &a) != 0)
		return ADDR_RANGE_ADDRESS;
	if (parse_length(slash + 1, len - at - 1, &bits) != 0)
		return ADDR_RANGE_LENGTH;
	if (addr_family(a) == ADDR_V4 && memchr(s, ':', at) != NULL) {
		/* ::ffff:10.0.0.0/104 counts from the IPv6 end. */
		if (bits < 96)
			return ADDR_RANGE_LENGTH;
		bits -= 96;
	}
	if (bits > family_bits(addr_family(a)))
		return ADDR_RANGE_LENGTH;
	mask = host_mask(a, bits);
	*ret_masked = (a.hi & mask.hi) != 0 || (a.lo & mask.lo) != 0;
	*ret_p = addr_prefix_of(a, bits);
	return ADDR_RANGE_OK;
}

int addr_prefix_parse(const char *s, size_t len, struct addr_prefix *ret_p, bool *ret_masked)
{
	struct addr_prefix p;
	bool masked;

	if (parse_cidr(s, len, &p, &masked) != ADDR_RANGE_OK)
		return -EINVAL;
	*ret_p = p;
	if (ret_masked != NULL)
		*ret_masked = masked;
	return 0;
}

char *addr_prefix_format(struct addr_prefix p, char s[ADDR_PREFIX_STRLEN])
{
	char base[ADDR_STRLEN];

	snprintf(s, ADDR_PREFIX_STRLEN, "%s/%u", addr_format(p.base, base), (unsigned)p.len);
	return s;
}

struct addr_range addr_prefix_range(struct addr_prefix p)
{
	struct addr mask = host_mask(p.base, p.len);

	return (struct addr_range){p.base, {p.base.hi | mask.hi, p.base.lo | mask.lo}};
}

uint32_t addr_prefix_hash(const struct hash_key *hkey, const struct addr_prefix *p)
{
	const uint64_t k[] = {p->base.hi, p->base.lo, p->len};

	return hash_bytes(hkey, k, sizeof k);
}

bool addr_prefix_contains(struct addr_prefix p, struct addr a)
{
	return addr_range_contains(addr_prefix_range(p), a);
}

/* -- ranges -- */

/* An IPv6 range that runs into ::ffff:0:0/96, which is IPv4's place and no IPv6 address. */
static bool straddles_v4(struct addr_range r)
{
	return addr_cmp(r.first, v4_first) < 0 && addr_cmp(r.last, v4_first) >= 0;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* An address with blanks around it. */
static int parse_end(const char *s, size_t len, struct addr *ret_a)
{
	for (; len > 0 && is_blank(*s); len--)
		s++;
	while (len > 0 && is_blank(s[len - 1]))
		len--;
	return addr_parse(s, len, ret_a);
}

static enum addr_range_error parse_ends(
	const char *s, size_t len, const char *dash, struct addr_range *ret_r)
{
	size_t left = (size_t)(dash - s);
	struct addr_range r;

	if (parse_end(s, left, &r.first) != 0 || parse_end(dash + 1, len - left - 1, &r.last) != 0)
		return ADDR_RANGE_ADDRESS;
	if (addr_family(r.first) != addr_family(r.last) || straddles_v4(r))
		return ADDR_RANGE_FAMILIES;
	if (addr_cmp(r.first, r.last) > 0)
		return ADDR_RANGE_REVERSED;
	*ret_r = r;
	return ADDR_RANGE_OK;
}

enum addr_range_error addr_range_parse(
	const char *s, size_t len, bool single, struct addr_range *ret_r)
{
	const char *dash = len > 0 ? memchr(s, '-', len) : NULL;
	enum addr_range_error err;
	struct addr_prefix p;
	struct addr_range r;
	struct addr a;
	bool masked;

	if (dash != NULL)
		return parse_ends(s, len, dash, ret_r);
	if (len > 0 && memchr(s, '/', len) != NULL) {
		err = parse_cidr(s, len, &p, &masked);
		if (err != ADDR_RANGE_OK)
			return err;
		r = addr_prefix_range(p);
		if (straddles_v4(r))
			return ADDR_RANGE_FAMILIES;
		*ret_r = r;
		return masked ? ADDR_RANGE_HOST_BITS : ADDR_RANGE_OK;
	}
	if (!single)
		return ADDR_RANGE_SYNTAX;
	if (addr_parse(s, len, &a) != 0)
		return ADDR_RANGE_ADDRESS;
	*ret_r = (struct addr_range){a, a};
	return ADDR_RANGE_OK;
}

char *addr_range_format(struct addr_range r, char s[ADDR_RANGE_STRLEN])
{
	char first[ADDR_STRLEN], last[ADDR_STRLEN];
	struct addr_prefix p;

	if (addr_eq(r.first, r.last))
		return addr_format(r.first, s);
	if (addr_range_prefixes(r, &p, 1) == 1)
		return addr_prefix_format(p, s);
	snprintf(s, ADDR_RANGE_STRLEN, "%s-%s", addr_format(r.first, first),
		addr_format(r.last, last));
	return s;
}

bool addr_range_contains(struct addr_range r, struct addr a)
{
	return addr_cmp(a, r.first) >= 0 && addr_cmp(a, r.last) <= 0 &&
	       addr_family(a) == addr_family(r.first);
}

bool addr_range_overlaps(struct addr_range a, struct addr_range b)
{
	return addr_cmp(a.first, b.last) <= 0 && addr_cmp(b.first, a.last) <= 0 &&
	       addr_family(a.first) == addr_family(b.first);
}

uint64_t addr_range_size(struct addr_range r)
{
	uint64_t n = addr_distance(r.first, r.last);

	return n == UINT64_MAX ? n : n + 1;
}

/* The largest block that starts at first and ends no later than last, as host bits. */
static unsigned block_bits(struct addr first, struct addr last)
{
	unsigned bits = family_bits(addr_family(first));
	unsigned aligned = first.lo != 0   ? (unsigned)__builtin_ctzll(first.lo)
			   : first.hi != 0 ? 64 + (unsigned)__builtin_ctzll(first.hi)
					   : 128;

	if (aligned < bits)
		bits = aligned;
	for (; bits > 0; bits--) {
		struct addr mask = low_bits(bits);
		struct addr end = {first.hi | mask.hi, first.lo | mask.lo};

		if (addr_cmp(end, last) <= 0)
			break;
	}
	return bits;
}

size_t addr_range_prefixes(struct addr_range r, struct addr_prefix *ret_v, size_t max)
{
	unsigned width = family_bits(addr_family(r.first));
	size_t n = 0;

	for (;;) {
		unsigned bits = block_bits(r.first, r.last);
		struct addr_prefix p = {r.first, (uint8_t)(width - bits)};
		struct addr end = addr_prefix_range(p).last;

		if (n < max)
			ret_v[n] = p;
		n++;
		if (addr_eq(end, r.last))
			return n;
		r.first = addr_next(end);
	}
}

/* -- sets --
 *
 * No range of a set holds both families, and two that only touch at IPv4's edges stay two: so what
 * comes out of a set is a lawful struct addr_range. */

void addr_set_free(struct addr_set *s)
{
	free(s->v);
	*s = (struct addr_set){NULL, 0, 0};
}

/* Room for `more` further ranges. */
static int set_reserve(struct addr_set *s, size_t more)
{
	size_t cap = s->cap > 0 ? s->cap : 4;
	struct addr_range *v;

	if (s->cap - s->n >= more)
		return 0;
	while (cap - s->n < more) {
		if (cap > SIZE_MAX / 2 / sizeof *v)
			return -ENOMEM;
		cap *= 2;
	}
	v = realloc(s->v, cap * sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	s->v = v;
	s->cap = cap;
	return 0;
}

/* Index of the first range whose last is >= a; n when there is none. */
static size_t set_find(const struct addr_set *s, struct addr a)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(s->v[mid].last, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Puts the n_new ranges of v in place of the ranges [from, to); there is room. */
static void set_splice(
	struct addr_set *s, size_t from, size_t to, const struct addr_range *v, size_t n_new)
{
	if (to < s->n)
		memmove(s->v + from + n_new, s->v + to, (s->n - to) * sizeof *s->v);
	if (n_new > 0)
		memcpy(s->v + from, v, n_new * sizeof *v);
	s->n = s->n - (to - from) + n_new;
}

/* b begins right after a ends, in the same family. */
static bool touches(struct addr_range a, struct addr_range b)
{
	return addr_eq(addr_next(a.last), b.first) && addr_family(a.last) == addr_family(b.first) &&
	       addr_cmp(a.last, b.first) < 0;
}

static void set_add_one(struct addr_set *s, struct addr_range r)
{
	size_t from = set_find(s, r.first), to;

	if (from > 0 && touches(s->v[from - 1], r))
		from--;
	for (to = from; to < s->n; to++) {
		struct addr_range t = s->v[to];

		if (!addr_range_overlaps(t, r) && !touches(t, r) && !touches(r, t))
			break;
		if (addr_cmp(t.first, r.first) < 0)
			r.first = t.first;
		if (addr_cmp(t.last, r.last) > 0)
			r.last = t.last;
	}
	set_splice(s, from, to, &r, 1);
}

static void set_remove_one(struct addr_set *s, struct addr_range r)
{
	size_t from = set_find(s, r.first), to, n = 0;
	struct addr_range rest[2];

	for (to = from; to < s->n && addr_cmp(s->v[to].first, r.last) <= 0; to++) {
		struct addr_range t = s->v[to];

		if (addr_cmp(t.first, r.first) < 0)
			rest[n++] = (struct addr_range){t.first, addr_prev(r.first)};
		if (addr_cmp(t.last, r.last) > 0)
			rest[n++] = (struct addr_range){addr_next(r.last), t.last};
	}
	set_splice(s, from, to, rest, n);
}

/* r without IPv4's place if it is an IPv6 range: one or two parts. */
static size_t family_parts(struct addr_range r, struct addr_range ret_v[2])
{
	size_t n = 0;

	ret_v[0] = r;
	if (!straddles_v4(r))
		return 1;
	ret_v[n++] = (struct addr_range){r.first, addr_prev(v4_first)};
	if (addr_cmp(r.last, v4_last) > 0)
		ret_v[n++] = (struct addr_range){addr_next(v4_last), r.last};
	return n;
}

int addr_set_add(struct addr_set *s, struct addr_range r)
{
	struct addr_range part[2];
	size_t n = family_parts(r, part);

	if (set_reserve(s, n) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		set_add_one(s, part[i]);
	return 0;
}

int addr_set_remove(struct addr_set *s, struct addr_range r)
{
	struct addr_range part[2];
	size_t n = family_parts(r, part);

	if (s->n == 0)
		return 0;
	if (set_reserve(s, n) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		set_remove_one(s, part[i]);
	return 0;
}

bool addr_set_contains(const struct addr_set *s, struct addr a)
{
	size_t i = set_find(s, a);

	return i < s->n && addr_cmp(s->v[i].first, a) <= 0;
}

uint64_t addr_set_size(const struct addr_set *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		uint64_t n = addr_range_size(s->v[i]);

		sum = sum > UINT64_MAX - n ? UINT64_MAX : sum + n;
	}
	return sum;
}

bool addr_set_next(const struct addr_set *s, struct addr from, struct addr *ret_a)
{
	size_t i = set_find(s, from);

	if (i == s->n)
		return false;
	*ret_a = addr_cmp(s->v[i].first, from) < 0 ? from : s->v[i].first;
	return true;
}

static bool set_gap_one(const struct addr_set *s, struct addr_range r, struct addr *ret_a)
{
	size_t i = set_find(s, r.first);

	if (i == s->n || addr_cmp(s->v[i].first, r.first) > 0) {
		*ret_a = r.first;
		return true;
	}
	/* The ranges are merged within a family, so what follows this one is free. */
	if (addr_cmp(s->v[i].last, r.last) >= 0)
		return false;
	*ret_a = addr_next(s->v[i].last);
	return true;
}

bool addr_set_gap(const struct addr_set *s, struct addr_range r, struct addr *ret_a)
{
	struct addr_range part[2];
	size_t n = family_parts(r, part);

	for (size_t i = 0; i < n; i++) {
		if (set_gap_one(s, part[i], ret_a))
			return true;
	}
	return false;
}

/* -- maps --
 *
 * Addresses in use stand close together or far apart, never evenly: a block of 256 neighbours has
 * a bitmap of those that are in the map, and their pointers side by side in that order.  Full
 * blocks are known as a set of ranges, so a search steps over a run of any length at once. */

enum { BLOCK_SIZE = 256, BLOCK_WORDS = BLOCK_SIZE / 64, BLOCK_FIRST_CAP = 4 };

struct addr_block {
	struct addr base; /* key: the address without its low 8 bits */
	uint64_t present[BLOCK_WORDS];
	void **v; /* owned; one for each bit that is set */
	unsigned n, cap;
	UT_hash_handle hh;
};

static struct addr block_base(struct addr a)
{
	return (struct addr){a.hi, a.lo & ~(uint64_t)(BLOCK_SIZE - 1)};
}

static struct addr_range block_range(const struct addr_block *b)
{
	return (struct addr_range){b->base, {b->base.hi, b->base.lo | (BLOCK_SIZE - 1)}};
}

static struct addr_block *block_find(struct addr_map *m, struct addr a)
{
	struct addr base = block_base(a);
	struct addr_block *b = m->recent;
	unsigned char key[sizeof base];

	if (b != NULL && addr_eq(b->base, base))
		return b;
	memcpy(key, &base, sizeof key);
	HASH_FIND_KEYED(hh, m->blocks, &m->hkey, key, sizeof key, b);
	if (b != NULL)
		m->recent = b;
	return b;
}

static bool block_has(const struct addr_block *b, unsigned bit)
{
	return (b->present[bit / 64] >> (bit % 64) & 1) != 0;
}

/* How many bits below bit are set: where its pointer stands. */
static unsigned block_rank(const struct addr_block *b, unsigned bit)
{
	unsigned n = 0;

	for (unsigned w = 0; w < bit / 64; w++)
		n += (unsigned)__builtin_popcountll(b->present[w]);
	if (bit % 64 != 0)
		n += (unsigned)__builtin_popcountll(b->present[bit / 64] << (64 - bit % 64));
	return n;
}

/* The first bit >= from that is not set; BLOCK_SIZE when there is none. */
static unsigned block_gap(const struct addr_block *b, unsigned from)
{
	uint64_t below = (1ULL << (from % 64)) - 1;

	for (unsigned w = from / 64; w < BLOCK_WORDS; w++, below = 0) {
		uint64_t gaps = ~(b->present[w] | below);

		if (gaps != 0)
			return w * 64 + (unsigned)__builtin_ctzll(gaps);
	}
	return BLOCK_SIZE;
}

static void block_free(struct addr_map *m, struct addr_block *b)
{
	if (m->recent == b)
		m->recent = NULL;
	HASH_DEL(m->blocks, b);
	free(b->v);
	free(b);
}

static struct addr_block *block_new(struct addr_map *m, struct addr a)
{
	struct addr_block *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->base = block_base(a);
	HASH_ADD_KEYED(hh, m->blocks, &m->hkey, &b->base, sizeof b->base, b);
	if (hash_oom(b)) {
		free(b);
		return NULL;
	}
	m->recent = b;
	return b;
}

static int block_reserve(struct addr_block *b)
{
	unsigned cap = b->cap > 0 ? b->cap * 2 : BLOCK_FIRST_CAP;
	void **v;

	if (b->n < b->cap)
		return 0;
	v = realloc(b->v, cap * sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	b->v = v;
	b->cap = cap;
	return 0;
}

void addr_map_init(struct addr_map *m, const struct hash_key *hkey)
{
	*m = (struct addr_map){.hkey = *hkey};
}

void addr_map_free(struct addr_map *m)
{
	struct addr_block *b = m->blocks, *next;

	HASH_CLEAR(hh, m->blocks);
	for (; b != NULL; b = next) {
		next = b->hh.next;
		free(b->v);
		free(b);
	}
	addr_set_free(&m->full);
	m->recent = NULL;
	m->n_full = 0;
}

/* The block is to become full: done first, for it may fail.  One range a full block is the most
 * that there can be, so with room for one more the removal never needs memory. */
static int note_full(struct addr_map *m, const struct addr_block *b)
{
	if (set_reserve(&m->full, m->n_full + 2 - m->full.n) != 0)
		return -ENOMEM;
	set_add_one(&m->full, block_range(b));
	m->n_full++;
	return 0;
}

int addr_map_put(struct addr_map *m, struct addr a, void *value)
{
	struct addr_block *b = block_find(m, a);
	unsigned bit = (unsigned)(a.lo % BLOCK_SIZE), at;

	REQUIRE(value != NULL);
	if (b == NULL)
		b = block_new(m, a);
	if (b == NULL)
		return -ENOMEM;
	at = block_rank(b, bit);
	if (block_has(b, bit)) {
		b->v[at] = value;
		return 0;
	}
	if (block_reserve(b) != 0 || (b->n == BLOCK_SIZE - 1 && note_full(m, b) != 0)) {
		if (b->n == 0)
			block_free(m, b);
		return -ENOMEM;
	}
	memmove(b->v + at + 1, b->v + at, (b->n - at) * sizeof(*b->v));
	b->v[at] = value;
	b->n++;
	b->present[bit / 64] |= 1ULL << (bit % 64);
	return 0;
}

void *addr_map_get(struct addr_map *m, struct addr a)
{
	struct addr_block *b = block_find(m, a);
	unsigned bit = (unsigned)(a.lo % BLOCK_SIZE);

	return b != NULL && block_has(b, bit) ? b->v[block_rank(b, bit)] : NULL;
}

void addr_map_remove(struct addr_map *m, struct addr a)
{
	struct addr_block *b = block_find(m, a);
	unsigned bit = (unsigned)(a.lo % BLOCK_SIZE), at;

	if (b == NULL || !block_has(b, bit))
		return;
	if (b->n == BLOCK_SIZE) {
		set_remove_one(&m->full, block_range(b));
		m->n_full--;
	}
	at = block_rank(b, bit);
	b->n--;
	memmove(b->v + at, b->v + at + 1, (b->n - at) * sizeof(*b->v));
	b->present[bit / 64] &= ~(1ULL << (bit % 64));
	if (b->n == 0)
		block_free(m, b);
}

bool addr_map_gap(struct addr_map *m, struct addr_range r, struct addr *ret_a)
{
	struct addr at;

	/* Twice at most: only the block that r begins in may be full from there on. */
	while (set_gap_one(&m->full, r, &at)) {
		struct addr_block *b = block_find(m, at);
		unsigned bit = b != NULL ? block_gap(b, (unsigned)(at.lo % BLOCK_SIZE)) : 0;

		if (b != NULL && bit == BLOCK_SIZE) {
			struct addr end = block_range(b).last;

			if (addr_cmp(end, r.last) >= 0)
				return false;
			r.first = addr_next(end);
			continue;
		}
		if (b != NULL)
			at = addr_plus(b->base, bit);
		*ret_a = at;
		return addr_cmp(at, r.last) <= 0;
	}
	return false;
}
