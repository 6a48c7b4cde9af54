/* SPDX-License-Identifier: Apache-2.0
 *
 * elect.h - membership and the ownership of each VIP group: shared/OWNERSHIP.md.  Pure: state in, events in,
 * actions out.
 */
#ifndef LBD_ELECT_H
#define LBD_ELECT_H

#include "base.h"
#include "cluster.h"
#include "config.h"
#include "counter.h"
#include "elig.h"
#include "hash.h"
#include "leader.h"
#include "vip.h"

#include <stdbool.h>
#include <stdint.h>

struct elect; /* opaque */

struct elect_conf {
	const char *node;     /* this node's name; copied */
	const char *identity; /* "<node>/<boot id>/<process start>"; copied */
	const char *version;  /* for the Lease's annotations; copied */
};

/* R7 */
enum elect_peer {
	ELECT_PEER_NEVER,
	ELECT_PEER_HEARD, /* its packets come, the session is not Up yet, or no more */
	ELECT_PEER_UP,
	ELECT_PEER_LATE,
	ELECT_PEER_SILENT,
	ELECT_PEER_DEAF,
	ELECT_PEER_LEAVING
};

/* Per VIP group, on this node. */
enum elect_state {
	ELECT_IDLE,  /* not eligible */
	ELECT_WATCH, /* another's */
	ELECT_WAIT,  /* grounds to take it: waiting for our turn */
	ELECT_PROBE, /* asking the wire */
	ELECT_OWNER,
	ELECT_HANDOVER, /* ours, offered to others */
	ELECT_CONFLICT, /* a foreign host answers for it */
};

/* None of them may call back. */
struct elect_ops {
	/* Send one probe for each of the group's VIPs (ELECT_PROBE); answers come by
	 * elect_on_wire(). */
	void (*probe)(void *ctx, const struct vip_group *g);
	/* Claim the group's VIPs on the wire, now (a defence, R19). */
	void (*announce)(void *ctx, const struct vip_group *g);
	/* Ask one station for the group's VIPs, by unicast (R18, R22). */
	void (*ask)(void *ctx, const struct vip_group *g, const uint8_t mac[6]);
	/* Ask third parties on a link to show that it works: members, the gateway, other neighbours
	 * (R8).  Returns whether there is any but suspect. */
	bool (*ask_witness)(void *ctx, unsigned ifindex, const char *suspect);
	/* Was one of them heard there later than since_ms? */
	bool (*witnessed)(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms);
	/* Would node have a BFD session with owner in that segment (R2)? */
	bool (*watches)(void *ctx, unsigned ifindex, const char *node, const char *owner);
	/* The node is no member any more. */
	void (*forgot)(void *ctx, const char *node);
	/* Is mac one of this node's, or was lately: whose frames are taken for our own (R1)? */
	bool (*is_ours)(void *ctx, const uint8_t mac[6]);
};

/* conf's strings are copied; ops, ctx, rng are borrowed. */
struct elect *elect_new(const struct elect_conf *conf, const struct elect_ops *ops, void *ctx,
	const struct hash_key *hkey, struct rng *rng, struct counters *counters) MUST_CHECK;
void elect_free(struct elect *e);

/* -- events: they update state and mark; elect_pass() draws the conclusions -- */
/* in is borrowed until the next call; all groups are judged again. */
void elect_set_input(struct elect *e, const struct elig_input *in, uint64_t now_ms);
/* A lbd-node-* or lbd-claims-* Lease as the watch has it; deleted: R5, counts as unchanged. */
void elect_on_lease(
	struct elect *e, const struct cluster_lease *lease, bool deleted, uint64_t now_ms);
/* Are all lists complete and all watches live? */
void elect_on_synced(struct elect *e, bool synced, uint64_t now_ms);
/* The Leases known so far are those of a picture from before the start, and the API does not answer
 * (R4): what this node claimed then is its own to take again (G7), what others did is theirs unless
 * BFD or the wire says otherwise.  Until the first lists. */
void elect_on_snapshot(struct elect *e, uint64_t now_ms);
/* What BFD says of a member in one segment (shared/OWNERSHIP.md R7); loss there as peers.h has
 * it, per mille. Without BFD every peer is NEVER. */
void elect_on_peer(struct elect *e, const char *node, unsigned ifindex, enum elect_peer state,
	unsigned loss_permille, uint64_t now_ms);
/* A wire claim or an answer for a VIP was heard. mac tells a member (its Lease's macs) from a
 * foreign host. */
enum elect_wire { ELECT_WIRE_CLAIM, ELECT_WIRE_ANSWER, ELECT_WIRE_PROBE };
void elect_on_wire(struct elect *e, enum elect_wire what, struct addr vip, const uint8_t mac[6],
	uint64_t now_ms);
/* The loop stalled, the clock resumed, a link or address was lost: owners go back to PROBE (R24).
 */
void elect_fence(struct elect *e, uint64_t now_ms);
/* By hand and at exit (R27): offers everything; elect_drained() once nothing is owned or the time
 * is over. reason is copied; NULL ends it. */
void elect_drain(struct elect *e, const char *reason, uint64_t until_ms, uint64_t now_ms);
bool elect_drained(const struct elect *e, uint64_t now_ms);
bool elect_is_draining(const struct elect *e);
/* By hand: while frozen this node takes nothing; what it has it keeps. */
void elect_freeze(struct elect *e, bool frozen, uint64_t now_ms);
bool elect_is_frozen(const struct elect *e);
/* By hand: offers the group of vip to one member, for 30 s at most.  0; -ENOENT (no such VIP);
 * -EPERM (this node does not own it); -EHOSTUNREACH (no live member of that name, or it is this
 * node); -ENOTCONN (the API is not reached, which the offer needs); -EBUSY (another is under way);
 * -ENOMEM. */
int elect_move(struct elect *e, struct addr vip, const char *node, uint64_t now_ms) MUST_CHECK;
/* Clean exit, after the drain: nothing is taken any more, the last claims are written, then the
 * node's Lease is given back (holderIdentity emptied), so that others need not wait for it to
 * expire.  elect_released() turns true when that is done, was given up (3 tries), or not needed. */
void elect_release(struct elect *e, uint64_t now_ms);
bool elect_released(const struct elect *e);

/* Groups that vip_table reports dirty are judged again; then every group's state is brought up to
 * date.  Cheap when nothing is dirty and nothing is due. */
void elect_pass(struct elect *e, uint64_t now_ms);
/* Groups whose state changed since elect_clean(). */
size_t elect_dirty_count(const struct elect *e);
uint64_t elect_dirty_at(const struct elect *e, size_t i);
void elect_clean(struct elect *e);

/* -- writes: this node's Lease and claims object -- */
bool elect_next_action(struct elect *e, uint64_t now_ms, struct lease_action *ret_a);
void elect_done(struct elect *e, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms);

/* Malloc'ed text of what this node owns, as it publishes it, and without the API what it owned
 * before its start; NULL: out of memory, or too early to say. */
char *elect_claims_text(const struct elect *e) MUST_CHECK;

/* When elect_next_action() has something, as far as is known; and that, or when elect_pass() is due. */
uint64_t elect_next_write(const struct elect *e);
uint64_t elect_next_deadline(const struct elect *e);

/* -- reading -- */
struct elect_view {
	enum elect_state state;
	uint64_t since_ms;
	uint64_t term;
	const char *owner; /* node name, as far as known; NULL = nobody known; valid until the next
			      call */
	const struct elig *elig;  /* this node's verdict */
	const struct addr *addrs; /* of elig->paths[].vip; valid until the next elect_pass() */
	bool weak, disputed;
	const char *why; /* how this node came to own it, one word; NULL = it does not */
	const uint8_t *wire_mac; /* last seen speaking or answering for it; NULL = none; as addrs */
	uint64_t wire_ms;        /* when */
	/* Of an owner that is another node: since when it is known to be, and by which words. */
	uint64_t owner_ms;
	bool owner_claims, owner_spoke; /* its claims object in the API says so; the wire did */
};
/* false for an unknown group. */
bool elect_view(const struct elect *e, uint64_t group, struct elect_view *ret_v);
bool elect_is_healthy(const struct elect *e, uint64_t now_ms); /* R5 */
/* Does the API take our renewals, and the watch show none of them? */
bool elect_watch_lags(const struct elect *e, uint64_t now_ms);
/* Is the node name's Lease written by somebody else as well (R29)? */
bool elect_is_impersonated(const struct elect *e);

enum elect_liveness { ELECT_ALIVE, ELECT_EXPIRED, ELECT_RELEASED };
struct elect_member {
	const char *node, *holder, *addresses, *macs, *subnets, *version, *config_hash, *draining,
		*schema; /* NULL = absent */
	enum elect_liveness liveness;
	enum elect_peer peer;
	uint64_t observed_ms; /* when its Lease last changed */
	uint64_t n_claims;    /* addresses it claims */
	bool unread;          /* and perhaps more: its claims object cannot be read */
	bool self;
};
size_t elect_owned_count(const struct elect *e); /* VIPs */
size_t elect_member_count(const struct elect *e);
/* Does a member, this node included, say that it announces a?  STALE: one that does not live, or
 * one whose claims cannot be read may. */
enum elect_claim { ELECT_CLAIM_NONE, ELECT_CLAIM_STALE, ELECT_CLAIM_ALIVE };
enum elect_claim elect_claim(const struct elect *e, struct addr a);
/* Is it a MAC that another member's Lease publishes? */
bool elect_is_member_mac(const struct elect *e, const uint8_t mac[6]);
/* Is it one of that node's; of any other member's if node is NULL? */
bool elect_is_mac_of(const struct elect *e, const uint8_t mac[6], const char *node);
void elect_member_at(const struct elect *e, size_t i, uint64_t now_ms, struct elect_member *ret_m);

#endif
