/* SPDX-License-Identifier: Apache-2.0
 *
 * member.h - the members: the nodes of which a Lease was seen, what it said, and since when it has
 * been unchanged (R5).  A part of elect.c, which owns the table and decides what follows; what a
 * Lease said is written here alone.  Pure.
 */
#ifndef LBD_MEMBER_H
#define LBD_MEMBER_H

#include "base.h"
#include "claims.h"
#include "cluster.h"
#include "counter.h"
#include "elect.h"
#include "hash.h"
#include "hold.h"
#include "suspect.h"

#include <stdbool.h>
#include <stdint.h>

enum { MEMBER_NAMELEN = 256 }; /* of a Lease object's name, with NUL */

/* What a member's Lease said. */
enum member_text {
	TEXT_RV,
	TEXT_HOLDER,
	TEXT_ADDRESSES,
	TEXT_MACS,
	TEXT_SUBNETS,
	TEXT_VERSION,
	TEXT_CONFIG_HASH,
	TEXT_DRAINING,
	TEXT_SCHEMA,
	TEXT_MOVE, /* of its claims object */
	TEXT_COUNT
};

/* What an inquiry about a node has come to (R8, R12). */
enum member_fate {
	FATE_UNKNOWN, /* it lives, or nothing is certain */
	FATE_DEAD,
	FATE_DEAD_UNWITNESSED, /* there is nobody else who could witness it */
};

struct inquiry {
	struct suspicion suspicion;
	struct suspicion second; /* asked once more by who waits its turn (R12) */
	enum member_fate fate;
	uint64_t fate_ms;    /* since when */
	uint64_t witness_ms; /* when a witness is looked for again; TIME_NEVER or 0 = is not */
};

/* What BFD says of a node in one segment. */
struct member_link {
	unsigned ifindex;
	enum elect_peer state;
	unsigned loss; /* per mille */
	uint64_t reclaimed_ms; /* when our claims were last repeated for it (R23); 0 = never */
	struct inquiry inquiry;
};

enum { MEMBER_MAX_LINKS = 64 };

struct member {
	char *node; /* owned; the key */
	bool self;
	char *text[TEXT_COUNT]; /* owned; NULL = absent */
	uint64_t observed_ms;   /* when its Lease last changed */
	uint64_t duration_ms;   /* that its Lease states, bounded */
	bool has_lease;
	bool lease_gone, claims_gone; /* deleted: remembered as it was until it expires (R5) */
	bool renewed;                 /* its Lease changed since this node first saw it */
	bool expired;                 /* written by elect.c */
	bool at_work;                 /* lives and stays, and is held down since it did; by homing.c */
	bool offered;                 /* was offered a group, which it has not taken yet */
	struct hold_down hold;        /* likewise: until then nothing is offered to it */
	enum elect_peer peer;         /* of all links: by member_set_link() */
	struct member_link *links;    /* owned */
	size_t n_links;
	struct inquiry cold; /* G6: its Lease stands, nobody ever heard it */
	struct lapse {       /* G3: it is expired; does somebody show that our links work (R8)? */
		enum member_fate fate;
		uint64_t fate_ms;    /* since when */
		uint64_t witness_ms; /* when one is looked for again; 0 = was not yet */
	} lapse;
	struct claims claims;
	char *claims_rv; /* owned */
	bool unread;     /* it may claim more: its claims object cannot be read */
	size_t n_held;   /* VIPs it is known to have, by its claims or on the wire; by group.c */
	UT_hash_handle hh;
};

/* One that a Lease publishes. */
struct member_mac {
	struct member *m; /* borrowed */
	uint8_t mac[6];
	bool gone; /* its interface is, for now or for good: another member may have it */
};

struct members {
	struct member *head; /* owned; table by node, in order of being known */
	struct hash_key hkey;
	struct member_mac *macs; /* owned; sorted by MAC; of two with one MAC the one that has it now,
				    then the one known first */
	size_t n_macs, cap_macs;
};

/* -- the table -- */
/* Finds or makes it.  NULL when out of memory. */
struct member *members_get(struct members *t, const char *node, uint64_t now_ms) MUST_CHECK;
struct member *members_find(const struct members *t, const char *node); /* NULL: unknown */
/* Removes and frees it: nothing may point to it any more. */
void members_forget(struct members *t, struct member *m);
void members_free(struct members *t);
size_t members_count_alive(const struct members *t);
/* NULL: no member's Lease publishes it.  Of two that do: the one known first. */
struct member *members_with_mac(const struct members *t, const uint8_t mac[6]);

/* -- what its Leases said -- */
/* Its lbd-node-* Lease.  Returns whether ranks may have changed: it lives, goes, or its subnets are
 * others. */
bool members_on_lease(
	struct members *t, struct member *m, const struct cluster_lease *lease, uint64_t now_ms);
/* Its lbd-claims-* Lease.  true: its claims are new, *ret_old (claims_free()) those before.  false:
 * they stay as they were; what cannot be read is counted, and m->unread. */
bool member_on_claims(struct member *m, const struct cluster_lease *lease,
	struct counters *counters, struct claims *ret_old) MUST_CHECK;
/* One of the two was deleted: counts as unchanged. */
void member_on_deleted(struct member *m, enum cluster_lease_role role);

/* -- what BFD says -- */
/* How far a state is from silence. */
unsigned member_liveness(enum elect_peer state);
/* Finds or makes it.  NULL when out of memory, or of room. */
struct member_link *member_link(struct member *m, unsigned ifindex) MUST_CHECK;
void member_set_link(struct member *m, struct member_link *l, enum elect_peer state, unsigned loss);

/* -- what follows from it -- */
bool member_is_released(const struct member *m);
bool member_is_alive(const struct member *m);
/* Is what it offers of the group offered to another node than that one? */
bool member_offers_to_other(
	const struct member *m, const struct addr *addrs, size_t n, const char *node);
/* R7: it says that it goes, by BFD, by its Lease, or has gone cleanly. */
bool member_is_leaving(const struct member *m);
bool member_is_heard(const struct member *m);
/* Expired, and none of its Leases exists any more. */
bool member_is_forgettable(const struct member *m);
/* How long its Lease may be unchanged; lease_ms is this node's own duration. */
uint64_t member_lease_ms(const struct member *m, uint64_t lease_ms);
/* When its Lease will have been unchanged long enough, for one who has been healthy since
 * healthy_ms (R5); TIME_NEVER. */
uint64_t member_expires_at(const struct member *m, uint64_t lease_ms, uint64_t healthy_ms);

/* -- names -- */
/* MetalLB's order: does node a come before node b by hash alone? */
bool member_before(const char *a, const char *b, struct addr key);
/* The same, for many a: score_b is b's. */
bool member_before_score(const char *a, const char *b, uint64_t score_b, struct addr key);
uint64_t member_score(const char *node, struct addr key);
/* Its place on the ring of nodes (R2): the first 64 bits of sha256(node). */
uint64_t member_ring_score(const char *node);
/* Does the API hold no claims object of it, as far as the watch shows? */
bool member_lacks_claims(const struct member *m);
/* "lbd-node-<node>", "lbd-claims-<node>"; long names are cut and hashed (INTERFACES). */
void member_object_name(enum cluster_lease_role role, const char *node, char ret[MEMBER_NAMELEN]);

#endif
