/* SPDX-License-Identifier: Apache-2.0
 *
 * node.h - one simulated node: the shipping units, and what the daemon's shell does around them.
 */
#ifndef LBD_SIM_NODE_H
#define LBD_SIM_NODE_H

#include "disk.h"
#include "lan.h"
#include "server.h"
#include "sim.h"
#include "world.h"

#include "alloc.h"
#include "arp.h"
#include "bfd.h"
#include "elect.h"
#include "leader.h"
#include "ndp.h"
#include "peers.h"
#include "plan.h"

enum { NODE_IFINDEX = 2 /* of the port on segment 0; the others follow */ };

struct port {
	bool there, carrier;
	enum iface_capture capture;
	unsigned opening; /* one more with each time that a capture is opened or closed */
	uint8_t mac[6];
};

/* Runs at a rate of its own, and goes on while the node is suspended. */
struct clock {
	uint64_t local_us, global_us; /* they were so at one moment */
	int32_t ppm;
};

/* Frames that wait for the process: of the capture ring, of BFD's socket. */
struct ring {
	struct waiting {
		struct frame *frame; /* a reference */
		unsigned segment;
		uint64_t at_us; /* by the node's clock */
	} v[LAN_RING];
	unsigned n;
};

struct node {
	struct sim *sim; /* borrowed */
	unsigned index;
	char name[16], identity[40], candidate[40];
	struct clock clock;
	uint64_t now_us, now_ms; /* of the node's own clock, as of its last node_wake() */
	bool alive;
	bool stopped;   /* the process does not run; frames and answers wait */
	bool suspended; /* nor does the machine: frames are lost */
	bool exiting, releasing;
	unsigned life; /* one more with each start and each end */
	struct rng rng, rng_opening;
	struct hash_key hkey; /* its own: what others make with theirs is not taken for its own
				 (NDP's nonces) */

	/* the shipping units, while alive */
	struct world w;
	struct elect *elect;
	struct leader *leader;
	struct plan *plan;
	struct alloc *alloc;
	struct ann *arp, *ndp;
	struct bfd *bfd;
	struct peers *peers;

	/* the shell */
	uint64_t armed_ms;  /* when its timer will fire */
	uint64_t fenced_ms; /* when what is owned was last asked for again; 0 = never */
	uint64_t wake_us;   /* when that is, or an earlier event that is under way; TIME_NEVER */
	unsigned wake_session;
	bool turn_posted, turning;
	struct inbox {
		struct waiting *v; /* owned; until the next turn, when turns take time */
		size_t n, cap;
	} inbox;
	bool dirty, synced, synced_once, rebuild;
	bool restored; /* serves from its disk, or did */
	uint64_t started_ms;
	struct disk disk;
	uint64_t nodes_generation;
	bool was_leader, adopting, services_listed;
	unsigned status_in_flight;
	uint64_t next_status_ms; /* when the leader does not allocate */
	uint64_t exit_by_ms, undrain_ms;
	unsigned spins;
	uint64_t spin_us;
	struct bfd_shell {
		uint64_t armed_us; /* by the node's clock: when the engine has work */
		uint64_t wake_us;  /* when an event comes for it; TIME_NEVER */
		unsigned session;
	} bfd_shell;
	uint64_t witness_ms[SIM_SEGMENTS]; /* a neighbour answered; 0 = never */

	struct stream streams[SIM_STREAMS];
	struct port ports[SIM_SEGMENTS];
	struct ring arp_ring, bfd_ring;

	/* faults that stand */
	bool api_cut;    /* refused at once */
	bool api_silent; /* no answer */
	bool api_slow;
	uint64_t watch_lag_us;
	uint64_t mac_odd_us; /* until then it has one that is not its own, or remembers it */
	bool config_odd;     /* its configuration advertises nothing */
};

/* A node's address on a segment. */
struct addr node_addr(unsigned segment, unsigned index);
void node_init(struct sim *s, unsigned index);
void node_start(struct node *n);
/* The process is gone, without a word. */
void node_kill(struct node *n, const char *how);
void node_end(struct node *n); /* the run is over */

/* -- what the shell does -- */
/* For every entry from the loop.  False: the loop was stopped, what waits is stale (R24). */
bool node_wake(struct node *n);
/* Before the loop waits: a pass if something is marked. */
void node_turn(struct node *n);
void node_on_frame(struct node *n, unsigned segment, struct frame *f);
void node_on_watch(struct node *n, enum cluster_kind kind, const struct change *c);
void node_on_list(struct node *n, enum cluster_kind kind);
void node_on_synced(struct node *n);
void node_on_answer(struct node *n, enum request_kind kind, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *l);

/* -- what happens to it -- */
void node_stop(struct node *n, bool suspend);
void node_resume(struct node *n);
void node_drain(struct node *n, uint64_t undrain_after_ms);
void node_exit(struct node *n);
void node_set_port(struct node *n, unsigned segment, bool there, bool carrier);
void node_set_mac(struct node *n, unsigned segment, const uint8_t mac[6]);
void node_set_config(struct node *n, bool odd);
void node_cut_api(struct node *n, bool cut, bool silent);
void node_freeze(struct node *n, enum cluster_kind kind, bool frozen);

/* -- reading -- */
bool node_runs(const struct node *n); /* and is not stopped */
/* daemon_may_act(): it has a picture of the cluster. */
bool node_may_act(const struct node *n);
/* What n believes of another in a segment. */
enum elect_peer node_peer(const struct node *n, const struct node *other, unsigned segment);
bool node_announces(const struct node *n, struct addr vip, unsigned segment);
/* By its own verdict. */
bool node_may_own(const struct node *n, struct addr vip);
uint64_t node_clock_ms(const struct node *n);
/* Is what it knows of the API's objects older than others'? */
bool node_lags(const struct node *n);
bool node_is_leader(const struct node *n);

#endif
