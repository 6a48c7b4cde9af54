/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h - everything that is one API server, and the way of a request through it.
 */
#ifndef KUBESIM_SIM_H
#define KUBESIM_SIM_H

#include "api.h"
#include "auth.h"
#include "fault.h"
#include "ipam.h"
#include "journal.h"
#include "stats.h"
#include "store.h"

struct sim_options {
	const char *git_version; /* "v1.32.4" */
	uint64_t latency_ms;     /* before every answer */
	uint64_t bookmark_ms;
	size_t ring_max;    /* events kept per kind */
	size_t journal_max; /* writes kept */
	unsigned port_min, port_max;
	bool old; /* behave as a server before 1.21 */
	bool verbose;
};

struct sim {
	struct sim_options options;
	struct kinds kinds;
	struct store store;
	struct ipam ipam;
	struct auth auth;
	struct faults faults;
	struct journal journal;
	struct stats stats;
	long clock_skew_s; /* of the Date header */
	/* The server's hooks for what reaches connections. */
	void (*cut)(void *ctx, const struct match *m, bool reset);
	void (*thaw)(void *ctx, unsigned fault_id);
	void (*freeze)(void *ctx, const struct match *m, unsigned fault_id);
	void *ctx;
	int (*new_ca)(void *ctx); /* fresh CA and certificates for new connections */
	void *new_ca_ctx;
};

void sim_init(struct sim *s, const struct sim_options *options);
void sim_free(struct sim *s);
/* Namespaces and the kubernetes Service, as a new cluster has them. */
void sim_seed(struct sim *s);

/* -- writes, shared by rest.c, admin.c and state.c -- */

/* Store obj as new or changed; keeps allocations, journal and CRDs in step. Borrowed result. */
struct version *sim_store(struct sim *s, struct coll *c, const char *key, cJSON *obj,
	const char *verb, const char *user);
/* Remove, with what it owns and, for a namespace, what is in it. */
void sim_remove(struct sim *s, struct coll *c, const char *key, const char *verb, const char *user);
/* Begin or finish a deletion, as finalizers allow. True: it is gone. */
bool sim_delete(struct sim *s, struct coll *c, const char *key, const char *verb, const char *user);
struct coll *sim_coll(struct sim *s, const char *group, const char *plural);
/* creationTimestamp, uid; metadata is made. */
void sim_new_meta(cJSON *obj);

/* -- persistence: one JSON object a line -- */
int state_save(struct sim *s, const char *path);
int state_load(struct sim *s, const char *path);

#endif
