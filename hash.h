/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h - uthash with a keyed hash (SipHash-2-4), so that names chosen by an attacker cannot pile
 * up in one bucket.  The key belongs to the table's owner: there is no global.  Pure, header only.
 *
 * Iteration (HASH_ITER) is in order of insertion.  After HASH_ADD_KEYED check hash_oom(elt).
 */
#ifndef LBD_HASH_H
#define LBD_HASH_H

#include "base.h"

#include <stddef.h>
#include <string.h>

/* Every table goes through the _KEYED macros below; uthash's own function must never be reached. */
#define HASH_FUNCTION(keyptr, keylen, hashv)                                                       \
	do {                                                                                       \
		(void)(keyptr);                                                                    \
		(void)(keylen);                                                                    \
		(hashv) = 0;                                                                       \
		abort();                                                                           \
	} while (0)
#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((void)(elt))
#include <uthash.h>

struct hash_key {
	uint64_t k0, k1;
};

static inline uint64_t hash_rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static inline void hash_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = hash_rotl(v[1], 13) ^ v[0], v[0] = hash_rotl(v[0], 32);
	v[2] += v[3], v[3] = hash_rotl(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = hash_rotl(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = hash_rotl(v[1], 17) ^ v[2], v[2] = hash_rotl(v[2], 32);
}

/* Eight bytes, the lowest first; compilers make one load of it. */
static inline uint64_t hash_le64(const unsigned char *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

/* SipHash-2-4 (Aumasson, Bernstein 2012), folded to uthash's 32 bits. */
static inline unsigned hash_bytes(const struct hash_key *key, const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
	size_t whole = n & ~(size_t)7;
	uint64_t m = 0;

	for (size_t i = 0; i < whole; i += 8) {
		m = hash_le64(p + i);
		v[3] ^= m;
		hash_round(v);
		hash_round(v);
		v[0] ^= m;
	}
	m = 0;
	for (size_t i = whole; i < n; i++)
		m |= (uint64_t)p[i] << (8 * (i & 7));
	m |= (uint64_t)n << 56;
	v[3] ^= m;
	hash_round(v);
	hash_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		hash_round(v);
	m = v[0] ^ v[1] ^ v[2] ^ v[3];
	return (unsigned)(m ^ m >> 32);
}

/* HASH_FIND_KEYED(hh, head, const struct hash_key *, ptr, len, out) */
#define HASH_FIND_KEYED(hh, head, hkey, keyptr, keylen, out)                                       \
	do {                                                                                       \
		unsigned hk_v_ = hash_bytes((hkey), (keyptr), (keylen));                           \
		HASH_FIND_BYHASHVALUE(hh, head, keyptr, keylen, hk_v_, out);                       \
	} while (0)
/* The key bytes stay in the element and must not change while it is in the table. */
#define HASH_ADD_KEYED(hh, head, hkey, keyptr, keylen, elt)                                        \
	do {                                                                                       \
		unsigned hk_v_ = hash_bytes((hkey), (keyptr), (keylen));                           \
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, keyptr, keylen, hk_v_, elt);                 \
	} while (0)
/* True when the last HASH_ADD_KEYED of elt failed for lack of memory: it is not in the table. */
#define hash_oom(elt) ((elt)->hh.tbl == NULL)

#endif
