/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h - the simulated world: who is in it, and what its parts offer each other.
 *
 * One struct sim is one run: nodes with the shipping units, an API server, segments of a LAN,
 * users, faults, and the judge.  Nothing in it is random but by its seed's generators, one for each
 * part, so that leaving out a fault disturbs the rest of the run as little as possible.
 *
 * Global time is in microseconds since the run began; each node has a clock of its own.
 */
#ifndef LBD_SIM_H
#define LBD_SIM_H

#include "queue.h"

#include "addr.h"
#include "base.h"
#include "cluster.h"
#include "config.h"
#include "hash.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* In the microseconds of the queue. */
#define SIM_MS UINT64_C(1000)
#define SIM_S  UINT64_C(1000000)

enum {
	SIM_SEGMENTS = 2,
	SIM_STREAMS = 4, /* kinds that are watched */
	SIM_FAILURE = 256,
};

struct sim;
struct node;   /* node.h */
struct server; /* server.h */
struct lan;    /* lan.h */
struct guests; /* guest.h */
struct users;  /* users.h */
struct check;  /* check.h */

/* What a run is made of, before it begins. */
struct sim_setup {
	uint64_t seed;
	unsigned n_nodes, n_segments, n_services;
	unsigned v6; /* a bit for each segment whose VIPs are IPv6 */
	struct config_elections elections;
	bool allocates;   /* the leader gives the addresses; else Services come with them */
	bool clocks_vary; /* each node's clock has a rate of its own */
	bool disks;       /* nodes keep the last picture on theirs */
	bool lonely;      /* nobody but the nodes can witness */
	bool plain;       /* no Service shares an address or is Local */
	uint64_t turn_us; /* a turn of a node's loop takes so long, and takes in what came meanwhile
			   */
	bool even;        /* a broadcast reaches all at one moment: one event */
	uint64_t storm;   /* so many events in a second are a storm; 0 = never */
	FILE *trace;      /* borrowed; NULL: only its hash is kept */
};

struct sim {
	struct sim_setup setup;
	uint64_t now_us;
	uint64_t n_events;                 /* that reached somebody */
	uint64_t second_us, second_events; /* of this second, before it */
	uint64_t trace_hash;
	struct rng rng_api, rng_lan, rng_users;
	struct queue *queue; /* owned, as are the others */
	struct server *server;
	struct lan *lan;
	struct guests *guests;
	struct users *users;
	struct check *check;
	struct node *nodes;
	char failed[32]; /* the invariant that did not hold first; "" = all did */
	char failure[SIM_FAILURE];
	uint64_t failed_us;
};

/* Nodes are there, but not started. */
struct sim *sim_new(const struct sim_setup *setup) MUST_CHECK;
void sim_free(struct sim *s);
/* Runs until then, or until an invariant breaks. */
void sim_advance(struct sim *s, uint64_t until_us);
bool sim_has_failed(const struct sim *s);
/* An invariant is broken: the first one is kept. */
void sim_fail(struct sim *s, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One line of the trace, and of its hash. */
void sim_trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_post(struct sim *s, uint64_t at_us, const struct event *ev);

static inline bool sim_is_v6(const struct sim *s, unsigned segment)
{
	return (s->setup.v6 >> segment & 1) != 0;
}

static inline bool sim_chance(struct rng *r, unsigned percent)
{
	return percent > 0 && rng_below(r, 100) < percent;
}

/* The simulator does not survive running out of memory. */
void *sim_alloc(size_t n, size_t size) MUST_CHECK;
/* Room for n elements, doubled as needed. */
void *sim_grow(void *v, size_t *cap, size_t n, size_t size) MUST_CHECK;

#endif
