/* SPDX-License-Identifier: Apache-2.0
 *
 * bind.h - the addresses that this node puts on its own interfaces (bindAddress): which the kernel
 * has to be told of, and when.  Pure: now as an argument, writes are pulled.
 */
#ifndef LBD_BIND_H
#define LBD_BIND_H

#include "addr.h"
#include "base.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BIND_MAX = 65536, /* pairs of interface and address */
	BIND_REFRESH_MS = 1000,
	BIND_BATCH = 64, /* writes that make sense at once */
};

enum bind_verb {
	BIND_ADD,     /* -EEXIST where the interface has it already */
	BIND_REFRESH, /* ours: its lifetime begins anew; put back if the kernel lost it */
	BIND_REMOVE,
};

struct bind_write {
	enum bind_verb verb;
	unsigned ifindex;
	struct addr addr;
};

struct bind; /* opaque */

/* hkey is copied.  NULL when out of memory. */
struct bind *bind_new(const struct hash_key *hkey) MUST_CHECK;
void bind_free(struct bind *b);

/* The address is to be on the interface.  Idempotent.  0, -ENOMEM, -E2BIG. */
int bind_want(struct bind *b, unsigned ifindex, struct addr a) MUST_CHECK;
/* It is not any more: its removal is the next write.  Idempotent. */
void bind_unwant(struct bind *b, unsigned ifindex, struct addr a);
/* rtnetlink says that an address of lbd's is there, or no longer.  One that is not wanted was left
 * by a process that ended badly, and is removed; one that went is put back.  0 or -ENOMEM. */
int bind_on_kernel(struct bind *b, unsigned ifindex, struct addr a, bool there) MUST_CHECK;

/* The writes that are due, at most max: removals first, then new addresses, then those to be
 * refreshed.  Each is then under way, and no other for its address is given, until bind_done(). */
size_t bind_next(struct bind *b, uint64_t now_ms, struct bind_write *ret_v, size_t max);
/* One of them was taken, or refused with err (-errno).  Returns whether that is worth a line: the
 * first refusal of an address, and of -EPERM the first of all. */
bool bind_done(struct bind *b, const struct bind_write *w, int err, uint64_t now_ms);
/* When bind_next() has something; TIME_NEVER. */
uint64_t bind_next_deadline(const struct bind *b);

/* Does the kernel have it from us, so that it answers for it? */
bool bind_is_held(const struct bind *b, unsigned ifindex, struct addr a);
/* Is a removal still to be made? */
bool bind_is_busy(const struct bind *b);
size_t bind_count(const struct bind *b);

#endif
