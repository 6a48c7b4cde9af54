/* SPDX-License-Identifier: Apache-2.0
 *
 * server.h - the simulated API server: objects, a journal of each kind, streams (list and watch)
 * and requests, all of them slow, lossy or cut off as the faults have it.
 */
#ifndef LBD_SIM_SERVER_H
#define LBD_SIM_SERVER_H

#include "sim.h"

#include "alloc.h"
#include "leader.h"

struct object; /* opaque */

/* One change. */
struct change {
	struct object *object; /* borrowed */
	struct change *before; /* of the same object; borrowed */
	uint64_t at_us;
	size_t place; /* in its kind's journal */
	bool deleted;
	cJSON *json;                 /* owned */
	struct cluster_lease *lease; /* owned; decoded when first asked for; NULL */
};

/* -- the store -- */
struct server *server_new(struct sim *s) MUST_CHECK;
void server_free(struct server *v);
/* json is the server's from now on. */
void server_put(struct sim *s, enum cluster_kind kind, const char *name, cJSON *json);
void server_delete(struct sim *s, enum cluster_kind kind, const char *name);
/* As it is now; NULL: it does not exist. */
const cJSON *server_get(const struct sim *s, enum cluster_kind kind, const char *name);
const struct cluster_lease *server_lease(struct sim *s, const char *name);
/* Goes through the objects of a kind that exist: *io_i from 0; NULL ends. */
const cJSON *server_next(const struct sim *s, enum cluster_kind kind, size_t *io_i);
/* How many bytes the biggest object of all has had. */
size_t server_biggest(const struct sim *s);
uint64_t server_writes(const struct sim *s);

/* -- faults -- */
void server_set_down(struct sim *s, bool down);
/* Percent of requests and of answers that are lost. */
void server_set_loss(struct sim *s, unsigned percent);
bool server_is_up(const struct sim *s);
bool server_is_reachable(const struct sim *s, const struct node *n);

/* -- streams: what a node watches -- */
struct stream {
	struct node *node; /* borrowed */
	enum cluster_kind kind;
	bool connected, synced;
	bool frozen; /* half open: the node does not know */
	bool posted; /* an event is on its way */
	unsigned session;
	size_t place;     /* in the journal */
	uint64_t last_us; /* of the last delivery: they stay in order */
};
extern const enum cluster_kind server_kinds[SIM_STREAMS];
/* Lists, then watches.  Tries again by itself until it is closed. */
void stream_open(struct sim *s, struct stream *st);
/* The connection ends, and the node learns of it. */
void stream_close(struct sim *s, struct stream *st);
/* There may be more to deliver (thawed; a stopped node goes on). */
void stream_kick(struct sim *s, struct stream *st);
/* A fresh, consistent list. */
void stream_relist(struct sim *s, struct stream *st);

/* -- requests -- */
enum request_kind { REQUEST_LEADER, REQUEST_ELECT, REQUEST_STATUS };
/* A Lease request, or a status write (w NULL: an empty one, only a leader makes it).  The node
 * hears of it by node_on_answer(). */
void server_send_lease(
	struct sim *s, struct node *n, enum request_kind kind, const struct lease_action *a);
void server_send_status(struct sim *s, struct node *n, const char *leader, uint64_t timeout_ms,
	const struct alloc_write *w);

#endif
