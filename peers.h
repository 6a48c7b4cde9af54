/* SPDX-License-Identifier: Apache-2.0
 *
 * peers.h - the BFD sessions between nodes: which there are, and what each says of its node in its
 * segment (OWNERSHIP R1, R2, R7).  Pure.
 *
 * A segment is one of this node's interfaces on which a VIP could be announced; a node shares it
 * when its Lease publishes an address in one of the interface's on-link subnets.
 */
#ifndef LBD_PEERS_H
#define LBD_PEERS_H

#include "base.h"
#include "bfd.h"
#include "elect.h"
#include "elig.h"

#include <stdbool.h>
#include <stdint.h>

struct peers; /* opaque */

struct peers_ops {
	/* A node's state in a segment is another; loss: per mille, of its packets in the last 10 s or
	 * lately of any there, whichever is more.  NEVER is said of one that a session is made with, and
	 * of one that is gone. */
	void (*state)(void *ctx, const char *node, unsigned ifindex, enum elect_peer state,
		unsigned loss_permille);
	/* peers_update() has something to tell. */
	void (*wake)(void *ctx);
};

/* bfd, ops, ctx are borrowed.  NULL when out of memory. */
struct peers *peers_new(
	struct bfd *bfd, const char *node, const struct peers_ops *ops, void *ctx) MUST_CHECK;
void peers_free(struct peers *p);

/* -- what sessions follow from; they are made and ended by the next peers_update() -- */
/* in is borrowed until the next call. */
void peers_set_input(struct peers *p, const struct elig_input *in);
/* A node and the addresses that its Lease publishes ("10.0.0.5/24,fd00::5/64"; what cannot be read
 * is left out; NULL = none); when the Lease was renewed, 0 = it was given back.  Of two nodes that
 * publish one address the one that has the session keeps it, unless its Lease is over and the
 * other's is not: a host that got another name leaves a Lease of the old one behind.  0 or -ENOMEM
 * (as it was). */
int peers_put(struct peers *p, const char *node, const char *addresses, uint64_t renewed_us)
	MUST_CHECK;
void peers_remove(struct peers *p, const char *node);
/* All sessions AdminDown: this node goes (R27). */
void peers_set_leaving(struct peers *p, bool leaving, uint64_t now_us);

/* Brings sessions in line, and tells by ops.state() what is new.  To be called after bfd_tick(). */
void peers_update(struct peers *p, uint64_t now_us);
/* When a state changes if nothing is heard, or a session waits to be made: TIME_NEVER, or 0 when
 * peers_update() has something to tell. */
uint64_t peers_next_deadline_us(const struct peers *p, uint64_t now_us);

/* -- reading -- */
/* Was a node other than except heard there, later than that? */
bool peers_heard_since(
	const struct peers *p, unsigned ifindex, const char *except, uint64_t since_us);
/* Is there a session with another node than that one there? */
bool peers_has_other(const struct peers *p, unsigned ifindex, const char *except);
/* Would a and b have a session in that segment (R2)? */
bool peers_watches(const struct peers *p, unsigned ifindex, const char *a, const char *b);
struct peers_info {
	const char *node;
	unsigned ifindex;
	enum elect_peer state;
	struct bfd_view bfd;
};
size_t peers_count(const struct peers *p);
void peers_at(const struct peers *p, size_t i, uint64_t now_us, struct peers_info *ret_i);
/* "never", "heard", "up", "late", "silent", "deaf", "leaving". */
const char *peers_state_name(enum elect_peer s);

#endif
