/* SPDX-License-Identifier: Apache-2.0
 *
 * addr.h - IPv4 and IPv6 addresses as 128 bits, prefixes, ranges, sets of ranges, maps.  Pure.
 *
 * IPv4 is kept as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so one order and one arithmetic serve both
 * families; a mapped address read as text is IPv4, as in Go.
 */
#ifndef LBD_ADDR_H
#define LBD_ADDR_H

#include "base.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
	uint64_t hi, lo; /* big-endian halves, host order */
};

#define ADDR_V4_TAG 0x0000ffffU /* bits 80..95 of an IPv4-mapped address, above the 32 of IPv4 */

enum addr_family { ADDR_V4, ADDR_V6, ADDR_FAMILIES };

enum { ADDR_STRLEN = 46, ADDR_PREFIX_STRLEN = 50, ADDR_RANGE_STRLEN = 96 };

/* first <= last, both of one family. */
struct addr_range {
	struct addr first, last;
};

/* len counts within the family: 0..32 or 0..128.  Host bits of base are zero. */
struct addr_prefix {
	struct addr base;
	uint8_t len;
};

/* -- single addresses -- */
struct addr addr_from_v4(const uint8_t b[4]);
struct addr addr_from_v6(const uint8_t b[16]);
void addr_to_v4(struct addr a, uint8_t ret_b[4]); /* a must be IPv4 */
void addr_to_v6(struct addr a, uint8_t ret_b[16]);
static inline enum addr_family addr_family(struct addr a)
{
	return a.hi == 0 && a.lo >> 32 == ADDR_V4_TAG ? ADDR_V4 : ADDR_V6;
}
/* <0, 0, >0; IPv4 in numeric order. */
static inline int addr_cmp(struct addr a, struct addr b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	if (a.lo != b.lo)
		return a.lo < b.lo ? -1 : 1;
	return 0;
}
static inline bool addr_eq(struct addr a, struct addr b)
{
	return a.hi == b.hi && a.lo == b.lo;
}
/* Plain 128-bit arithmetic, blind to families; wrap around at the ends. */
struct addr addr_next(struct addr a);
struct addr addr_prev(struct addr a);
struct addr addr_plus(struct addr a, uint64_t n);
/* b - a, saturated at UINT64_MAX; a <= b. */
uint64_t addr_distance(struct addr a, struct addr b);
/* Exactly len characters, no zone, no leading zeros in IPv4.  0 or -EINVAL. */
int addr_parse(const char *s, size_t len, struct addr *ret_a) MUST_CHECK;
/* RFC 5952 text.  Returns s. */
char *addr_format(struct addr a, char s[ADDR_STRLEN]);
bool addr_is_link_local(struct addr a); /* of IPv6 (RFC 4291 2.5.6): fe80::/10 */
/* Not usable as a VIP: unspecified, loopback, multicast, IPv4 broadcast. Link-local is allowed. */
bool addr_is_unusable(struct addr a);

/* -- prefixes and ranges -- */
/* "a/len"; host bits set are masked off (ret_masked, may be NULL, says so).  0 or -EINVAL. */
int addr_prefix_parse(
	const char *s, size_t len, struct addr_prefix *ret_p, bool *ret_masked) MUST_CHECK;
/* The one of len bits, at most the family's, that a is in. */
struct addr_prefix addr_prefix_of(struct addr a, unsigned len);
char *addr_prefix_format(struct addr_prefix p, char s[ADDR_PREFIX_STRLEN]);
struct addr_range addr_prefix_range(struct addr_prefix p);
static inline bool addr_prefix_eq(const struct addr_prefix *a, const struct addr_prefix *b)
{
	return addr_eq(a->base, b->base) && a->len == b->len;
}
uint32_t addr_prefix_hash(const struct hash_key *hkey, const struct addr_prefix *p);
bool addr_prefix_contains(struct addr_prefix p, struct addr a);

enum addr_range_error {
	ADDR_RANGE_OK,
	ADDR_RANGE_SYNTAX,    /* neither CIDR nor a-b */
	ADDR_RANGE_ADDRESS,   /* an end is not an address */
	ADDR_RANGE_LENGTH,    /* prefix length out of range */
	ADDR_RANGE_HOST_BITS, /* CIDR with host bits: still parsed, masked; MetalLB (Go's ParseCIDR)
				 accepts it */
	ADDR_RANGE_FAMILIES,  /* ends of two families */
	ADDR_RANGE_REVERSED,  /* first > last */
};
/* "a/len", "a-b" (blanks around both, as MetalLB) or, if single is true, "a".  *ret_r is written on
 * OK and HOST_BITS. */
enum addr_range_error addr_range_parse(
	const char *s, size_t len, bool single, struct addr_range *ret_r) MUST_CHECK;
/* Shortest form: an address, a CIDR where it is one, else "a-b". */
char *addr_range_format(struct addr_range r, char s[ADDR_RANGE_STRLEN]);
/* Is there an address in it that is not usable as a VIP? */
bool addr_range_has_unusable(struct addr_range r);
bool addr_range_contains(struct addr_range r, struct addr a);
bool addr_range_overlaps(struct addr_range a, struct addr_range b);
/* Number of addresses, saturated at UINT64_MAX. */
uint64_t addr_range_size(struct addr_range r);
/* The shortest prefix list that covers r exactly: writes at most max, returns how many are needed.
 */
size_t addr_range_prefixes(struct addr_range r, struct addr_prefix *ret_v, size_t max);

/* -- sets: sorted, disjoint, merged ranges -- */
struct addr_set {
	struct addr_range *v; /* owned */
	size_t n, cap;
};
void addr_set_free(struct addr_set *s);
/* 0 or -ENOMEM (set unchanged). */
int addr_set_add(struct addr_set *s, struct addr_range r) MUST_CHECK;
int addr_set_remove(struct addr_set *s, struct addr_range r) MUST_CHECK;
bool addr_set_contains(const struct addr_set *s, struct addr a);
uint64_t addr_set_size(const struct addr_set *s); /* saturated */
/* The first address >= from that is in the set; false if none.  O(log n). */
bool addr_set_next(const struct addr_set *s, struct addr from, struct addr *ret_a);
/* The first address in [r.first, r.last] that is NOT in the set; false if the range is full.  O(log
 * n + 1). */
bool addr_set_gap(const struct addr_set *s, struct addr_range r, struct addr *ret_a);

/* -- maps: address -> pointer; and the lowest address of a range that has none -- */
struct addr_block; /* opaque: 256 neighbours, those that have a pointer side by side */
struct addr_map {
	struct hash_key hkey;
	struct addr_block *blocks; /* owned */
	struct addr_block *recent; /* the one last found, or NULL */
	struct addr_set full;      /* owned: the blocks without a gap */
	size_t n_full;
};
void addr_map_init(struct addr_map *m, const struct hash_key *hkey);
void addr_map_free(struct addr_map *m); /* usable again; the pointers are the caller's */
/* value is not NULL and takes the place of what was there.  0 or -ENOMEM (map unchanged; never when
 * the address was in the map). */
int addr_map_put(struct addr_map *m, struct addr a, void *value) MUST_CHECK;
void *addr_map_get(struct addr_map *m, struct addr a); /* NULL when absent */
void addr_map_remove(struct addr_map *m, struct addr a);
/* The first address in [r.first, r.last] that is NOT in the map; false if the range is full.  r
 * keeps to one family.  O(log n), n the addresses in the map. */
bool addr_map_gap(struct addr_map *m, struct addr_range r, struct addr *ret_a);

#endif
