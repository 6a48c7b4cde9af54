/* SPDX-License-Identifier: Apache-2.0
 *
 * bpf.h - the kernel's filter for ARP or NDP about ranges of addresses, in classic BPF.  Pure.
 */
#ifndef LBD_BPF_H
#define LBD_BPF_H

#include "addr.h"

struct sock_fprog; /* of linux/filter.h */

enum {
	BPF_MAX_RANGES = 32,
	BPF_SNAPLEN = 256, /* bytes of a frame that passes */
};

/* For a packet socket (SO_ATTACH_FILTER).  It passes, of what is addressed to the interface: with
 * ADDR_V4, ARP whose target or sender address lies in one of the ranges; with ADDR_V6, ICMPv6 types
 * 135 and 136 without extension headers, hop limit 255, whose target address does.  The n ranges,
 * at most BPF_MAX_RANGES, are of that family.  The program in *ret_f is the caller's to free().  0
 * or -ENOMEM. */
int bpf_assemble(enum addr_family family, const struct addr_range *v, size_t n,
	struct sock_fprog *ret_f) MUST_CHECK;

#endif
