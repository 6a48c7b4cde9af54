/* SPDX-License-Identifier: Apache-2.0
 *
 * mesh.c - between BFD's sockets, the sessions between nodes, the neighbours that can witness, and
 * the election.
 *
 * In:   Leases' addresses, interfaces, drains; what elect.c asks of links.
 * Out:  sessions (peers.c on bfdio.c's engine); elect_on_peer(); questions to neighbours.
 *
 * Without a single session all of this is silent, and a dead node is found by its Lease.
 */
#include "daemon.h"
#include "log.h"

#include <errno.h>
#include <string.h>

enum { BREATH_MS = 5 };

static void on_state(void *ctx, const char *node, unsigned ifindex, enum elect_peer state,
	unsigned loss_permille)
{
	struct daemon *d = ctx;
	const struct iface *i = iface_get(net_ifaces(d->net), ifindex);
	bool minor = state == ELECT_PEER_LATE || state == ELECT_PEER_UP;

	log_limited(minor ? LOG_DEBUG : LOG_INFO, "bfd", "a node's state is another", "node", node,
		"iface", i != NULL ? i->name : "", "state", peers_state_name(state), NULL);
	elect_on_peer(d->elect, node, ifindex, state, loss_permille, daemon_now_ms());
}

static void on_wake(void *ctx)
{
	daemon_mark(ctx);
}

static const struct peers_ops peers_ops = {on_state, on_wake};

static void on_closed(void *ctx)
{
	(void)ctx;
}

static void on_stall(void *ctx, uint64_t us)
{
	daemon_stalled(ctx, us / 1000);
}

static const struct bfdio_ops bfdio_ops = {on_stall, on_closed};

static bool is_of(void *ctx, const uint8_t mac[6], const char *node)
{
	const struct daemon *d = ctx;

	return elect_is_mac_of(d->elect, mac, node);
}

static const struct witness_ops witness_ops = {daemon_now_ms, is_of, on_wake, on_closed};

/* -- life -- */

static struct bfdio_conf io_conf(const struct daemon *d)
{
	return (struct bfdio_conf){.port = d->conf->elections.bfd_port,
		.multihop = speaker_wants_multihop(d)};
}

int mesh_start(struct daemon *d)
{
	const struct bfdio_conf conf = io_conf(d);
	int err;

	if (d->dry != NULL)
		return 0;
	d->witness = witness_new(&d->loop, &witness_ops, d);
	err = bfdio_open(
		&d->loop, &conf, &bfdio_ops, d, &d->hkey, &d->rng, &d->counters, &d->bfdio);
	if (err == 0) {
		d->peers = peers_new(bfdio_engine(d->bfdio), d->node, &peers_ops, d);
		bfdio_set_key_file(d->bfdio, d->conf->elections.bfd_key_file);
	}
	return err != 0 ? err : d->witness == NULL || d->peers == NULL ? -ENOMEM : 0;
}

void mesh_stop(struct daemon *d)
{
	peers_free(d->peers); /* its sessions are the engine's, which closes with the sockets */
	d->peers = NULL;
	bfdio_close(d->bfdio);
	d->bfdio = NULL;
	witness_close(d->witness);
	d->witness = NULL;
}

/* -- what sessions follow from -- */

void mesh_sync(struct daemon *d)
{
	const struct bfdio_conf conf = io_conf(d);

	if (d->peers == NULL)
		return;
	bfdio_set_conf(d->bfdio, &conf);
	bfdio_set_key_file(d->bfdio, d->conf->elections.bfd_key_file);
	peers_set_input(d->peers, &d->elig_input);
	daemon_mark(d);
}

void mesh_on_lease(struct daemon *d, const struct cluster_lease *l)
{
	bool has_holder = l->holder != NULL && l->holder[0] != '\0';

	if (d->peers == NULL || l->role != CLUSTER_LEASE_NODE || l->node == NULL ||
		strcmp(l->node, d->node) == 0)
		return;
	if (peers_put(d->peers, l->node, l->addresses, has_holder ? bfdio_now_us() : 0) != 0)
		log_limited(LOG_WARN, "bfd", "no session with a node", "node", l->node, "err",
			"out of memory", NULL);
}

void mesh_set_leaving(struct daemon *d, bool leaving)
{
	if (d->peers == NULL)
		return;
	peers_set_leaving(d->peers, leaving, bfdio_now_us());
	bfdio_flush(d->bfdio);
}

void mesh_run(struct daemon *d)
{
	if (d->peers != NULL)
		peers_update(d->peers, bfdio_now_us());
}

uint64_t mesh_late_ms(const struct daemon *d)
{
	return d->peers != NULL && peers_count(d->peers) > 0 ? bfdio_late_us(d->bfdio) / 1000 : 0;
}

void mesh_flush(struct daemon *d)
{
	if (d->peers != NULL)
		bfdio_flush(d->bfdio);
}

void mesh_breathe(struct daemon *d)
{
	uint64_t now_ms = daemon_now_ms();

	if (d->peers == NULL || now_ms - d->breath_ms < BREATH_MS)
		return;
	d->breath_ms = now_ms;
	bfdio_flush(d->bfdio);
	if (peers_count(d->peers) > 0 && d->armed_ms < now_ms)
		d->armed_ms = now_ms;
}

uint64_t mesh_next_deadline(const struct daemon *d)
{
	uint64_t us = TIME_NEVER;

	if (d->peers != NULL)
		us = peers_next_deadline_us(d->peers, bfdio_now_us());
	return us == TIME_NEVER ? TIME_NEVER : (us + 999) / 1000;
}

/* -- what elect.c asks -- */

/* fn on the link, or on each that VIPs could be on (0); returns whether it was true of one. */
static bool on_links(const struct daemon *d, unsigned ifindex, const char *node, uint64_t since_ms,
	bool (*fn)(const struct daemon *d, unsigned ifindex, const char *node, uint64_t since_ms))
{
	unsigned v[DAEMON_MAX_LISTEN];
	size_t n = 1;
	bool any = false;

	v[0] = ifindex;
	if (ifindex == 0)
		n = elig_interfaces(&d->elig_input, v, DAEMON_MAX_LISTEN);
	for (size_t i = 0; i < n; i++)
		any |= fn(d, v[i], node, since_ms);
	return any;
}

/* The configured witnesses on a link, as many as are asked. */
static size_t named_on(
	const struct daemon *d, unsigned ifindex, struct addr ret_v[static WITNESS_MAX])
{
	const struct config_strings *named = &d->conf->elections.witness;
	const struct iface *link = iface_get(net_ifaces(d->net), ifindex);
	size_t n = 0;

	for (size_t i = 0; link != NULL && i < named->n && n < WITNESS_MAX; i++)
		if (addr_parse(named->v[i], strlen(named->v[i]), &ret_v[n]) == 0)
			n += iface_has_subnet_of(link, ret_v[n]);
	return n;
}

static bool ask(const struct daemon *d, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	struct addr named[WITNESS_MAX];
	bool known = witness_ask(d->witness, ifindex, suspect, named, named_on(d, ifindex, named));

	(void)since_ms;
	return known || peers_has_other(d->peers, ifindex, suspect);
}

static bool seen(const struct daemon *d, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	return peers_heard_since(d->peers, ifindex, suspect, since_ms * 1000) ||
	       witness_seen(d->witness, ifindex, since_ms);
}

bool mesh_ask_witness(void *ctx, unsigned ifindex, const char *suspect)
{
	const struct daemon *d = ctx;

	return d->peers != NULL && on_links(d, ifindex, suspect, 0, ask);
}

bool mesh_witnessed(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	const struct daemon *d = ctx;

	return d->peers != NULL && on_links(d, ifindex, suspect, since_ms, seen);
}

bool mesh_watches(void *ctx, unsigned ifindex, const char *node, const char *owner)
{
	const struct daemon *d = ctx;

	return d->peers == NULL || peers_watches(d->peers, ifindex, node, owner);
}

void mesh_forgot(void *ctx, const char *node)
{
	struct daemon *d = ctx;

	if (d->peers != NULL)
		peers_remove(d->peers, node);
}
