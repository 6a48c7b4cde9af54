/* SPDX-License-Identifier: Apache-2.0
 *
 * bpf.c - the kernel's filter for ARP or NDP about ranges of addresses, in classic BPF.
 *
 * Owns: nothing.
 * In:   ranges of addresses of one family.
 * Out:  a program for SO_ATTACH_FILTER.
 * Sources: RFC 826 (ARP), RFC 8200 (IPv6), RFC 4861 4.3, 4.4 (solicitation, advertisement);
 *       the kernel's Documentation/networking/filter.rst.
 * Not done: a search among the ranges; they are tried one after the other.
 *
 * A head tells the kind of frame.  The address in question is read into scratch memory, word by
 * word, once: in the kernel a load from a frame becomes a dozen instructions, which count against
 * net.core.optmem_max.  Then comes one block for each range, which returns when the address lies in
 * it, and else goes on to the next block: no jump leaves its block, so that all are short.
 */
#include "bpf.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>

enum {
	WORDS = 4,         /* of an address; IPv4 is the last one */
	WORD_OF_BOUND = 3, /* instructions: load, above, equal */
	ARP_TARGET = 38,   /* in the frame */
	ARP_SENDER = 28,
	NDP_TARGET = 62,
	NDP_HOP_LIMIT = 255,
	NDP_SOLICITATION = 135,
	NDP_ADVERTISEMENT = 136,
};

#define LOAD(size, at) BPF_STMT(BPF_LD | (size) | BPF_ABS, (uint32_t)(at))
#define EQUAL(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define DROP           BPF_STMT(BPF_RET | BPF_K, 0)

/* Both heads begin with the packet type.  What is not addressed to this interface is dropped, and
 * so is what came with the tag of a VLAN that has no interface of its own, since the kernel takes
 * such a tag off, marks the frame the same way (PACKET_OTHERHOST), and leaves nothing else to tell
 * it by.  Both end with DROP, which is skipped. */
static const struct sock_filter arp_head[] = {
	LOAD(BPF_W, SKF_AD_OFF + SKF_AD_PKTTYPE),
	EQUAL(PACKET_OTHERHOST, 2, 0),
	LOAD(BPF_H, 12),
	EQUAL(ETH_P_ARP, 1, 0),
	DROP,
};

static const struct sock_filter ndp_head[] = {
	LOAD(BPF_W, SKF_AD_OFF + SKF_AD_PKTTYPE),
	EQUAL(PACKET_OTHERHOST, 9, 0),
	LOAD(BPF_H, 12),
	EQUAL(ETH_P_IPV6, 0, 7),
	LOAD(BPF_B, 20),
	EQUAL(IPPROTO_ICMPV6, 0, 5),
	LOAD(BPF_B, 21),
	EQUAL(NDP_HOP_LIMIT, 0, 3),
	LOAD(BPF_B, 54),
	EQUAL(NDP_SOLICITATION, 2, 0),
	EQUAL(NDP_ADVERTISEMENT, 1, 0),
	DROP,
};

struct program {
	struct sock_filter *v; /* borrowed */
	size_t n, cap;
};

static void put(struct program *p, struct sock_filter f)
{
	REQUIRE(p->n < p->cap);
	p->v[p->n++] = f;
}

static void put_stmt(struct program *p, unsigned code, uint32_t k)
{
	put(p, (struct sock_filter)BPF_STMT((uint16_t)code, k));
}

/* yes and no: places further down. */
static void put_jump(struct program *p, unsigned op, uint32_t k, size_t yes, size_t no)
{
	size_t next = p->n + 1;

	REQUIRE(yes >= next && yes - next <= UINT8_MAX && no >= next && no - next <= UINT8_MAX);
	put(p, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | op | BPF_K), k,
		       (uint8_t)(yes - next), (uint8_t)(no - next)));
}

static uint32_t word(struct addr a, size_t i)
{
	uint64_t half = i < 2 ? a.hi : a.lo;

	return (uint32_t)(i % 2 == 0 ? half >> 32 : half);
}

/* Compares words i to 3 with those of a; goes on with what follows when they are equal. */
static void put_bound(struct program *p, struct addr a, size_t i, size_t above, size_t below)
{
	for (; i < WORDS; i++) {
		put_stmt(p, BPF_LD | BPF_MEM, (uint32_t)i);
		put_jump(p, BPF_JGT, word(a, i), above, p->n + 1);
		put_jump(p, BPF_JEQ, word(a, i), p->n + 1, below);
	}
}

/* The words that both ends have in common, then one bound, then the other. */
static void put_range(struct program *p, const struct addr_range *r, size_t from)
{
	size_t i = from, same = from, bound, last, pass, fail;

	while (same < WORDS && word(r->first, same) == word(r->last, same))
		same++;
	bound = WORD_OF_BOUND * (WORDS - same);
	last = p->n + 2 * (same - from) + bound;
	pass = last + bound;
	fail = pass + 1;
	for (; i < same; i++) {
		put_stmt(p, BPF_LD | BPF_MEM, (uint32_t)i);
		put_jump(p, BPF_JEQ, word(r->first, i), p->n + 1, fail);
	}
	put_bound(p, r->first, i, last, fail);
	put_bound(p, r->last, i, fail, pass);
	put_stmt(p, BPF_RET | BPF_K, BPF_SNAPLEN);
}

/* The address at this place of the frame.  A frame that ends before is dropped by the load. */
static void put_ranges(
	struct program *p, size_t at, const struct addr_range *v, size_t n, size_t from)
{
	for (size_t i = from; i < WORDS; i++) {
		put_stmt(p, BPF_LD | BPF_W | BPF_ABS,
			(uint32_t)(at + sizeof(uint32_t) * (i - from)));
		put_stmt(p, BPF_ST, (uint32_t)i);
	}
	for (size_t i = 0; i < n; i++)
		put_range(p, &v[i], from);
}

/* Instructions at most, for n ranges. */
static size_t room(size_t n_head, size_t places, size_t words, size_t n)
{
	return n_head + places * (2 * words + n * (2 * words * WORD_OF_BOUND + 1)) + 1;
}

int bpf_assemble(
	enum addr_family family, const struct addr_range *v, size_t n, struct sock_fprog *ret_f)
{
	bool v4 = family == ADDR_V4;
	const struct sock_filter *head = v4 ? arp_head : ndp_head;
	size_t n_head = v4 ? ARRAY_LEN(arp_head) : ARRAY_LEN(ndp_head);
	struct program p = {.n = n_head};

	REQUIRE(n <= BPF_MAX_RANGES);
	p.cap = v4 ? room(n_head, 2, 1, n) : room(n_head, 1, WORDS, n);
	p.v = calloc(p.cap, sizeof(*p.v));
	if (p.v == NULL)
		return -ENOMEM;
	memcpy(p.v, head, n_head * sizeof(*head));
	if (v4) {
		put_ranges(&p, ARP_TARGET, v, n, WORDS - 1);
		put_ranges(&p, ARP_SENDER, v, n, WORDS - 1);
	} else {
		put_ranges(&p, NDP_TARGET, v, n, 0);
	}
	put_stmt(&p, BPF_RET | BPF_K, 0);
	*ret_f = (struct sock_fprog){.len = (unsigned short)p.n, .filter = p.v};
	return 0;
}
