/* SPDX-License-Identifier: Apache-2.0
 *
 * big.c - a cluster beyond a laboratory.
 *
 * All nodes come back after a power cut with their claims still in the API; they rest; one dies and
 * its VIPs find new owners; Services are added.  After each phase: what it cost.
 */
#include "big.h"

#include "check.h"
#include "lan.h"
#include "node.h"
#include "server.h"
#include "users.h"

#include "buf.h"
#include "claims.h"

#include <inttypes.h>
#include <time.h>

enum {
	NEW = 20, /* Services that are made anew */
	RENEW_MS = 10000,
	CLAIMS_ROOM = 128 * 1024,
	BOOT_US = 10 * SIM_S,
	TURN_US = 5 * SIM_MS,
};

static const struct config_elections timers = {
	.namespace_ = "kube-system",
	.node_duration_ms = 4 * RENEW_MS,
	.node_renew_ms = RENEW_MS,
	.leader_duration_ms = 15000,
	.leader_renew_deadline_ms = 10000,
	.leader_retry_period_ms = 5000,
	.bfd_interval_ms = 100,
	.bfd_multiplier = 3,
	.bfd_mesh_limit = 16,
	.hold_down_ms = 5000,
};

struct counts {
	uint64_t events, frames, writes, moves;
	double cpu_s;
};

static struct counts count(struct sim *s)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
	return (struct counts){.events = s->n_events,
		.frames = lan_frames(s),
		.writes = server_writes(s),
		.moves = check_figures(s).moves,
		.cpu_s = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9};
}

static void tell(struct sim *s, const char *what, struct counts *io_before, double span_s)
{
	struct counts now = count(s);

	printf("big: %s (%.0f s): %" PRIu64 " VIPs taken, %" PRIu64 " frames, %" PRIu64
	       " API writes (%.2f a second), biggest object %zu bytes, %" PRIu64
	       " events, %.1f s of CPU\n",
		what, span_s, now.moves - io_before->moves, now.frames - io_before->frames,
		now.writes - io_before->writes, (double)(now.writes - io_before->writes) / span_s,
		server_biggest(s), now.events - io_before->events, now.cpu_s - io_before->cpu_s);
	fflush(stdout);
	*io_before = now;
}

/* What a node claimed before the power cut: as many addresses as others, one after the other. */
static void put_claims(struct sim *s, unsigned node)
{
	const unsigned share = s->setup.n_services / s->setup.n_nodes;
	struct claims c = {NULL, 0};
	struct buf text;
	char name[64];

	for (unsigned i = node * share; i < (node + 1) * share; i++)
		if (claims_add(&c, users_service_vip(s, i), 1, 0) != 0)
			abort();
	buf_init(&text, CLAIMS_ROOM);
	claims_sort(c.v, c.n);
	if (claims_print(c.v, c.n, &text) != 0)
		abort();
	(void)snprintf(name, sizeof name, "lbd-claims-n%u", node + 1);
	server_put(s, CLUSTER_LEASE, name,
		world_json("{'metadata':{'namespace':'kube-system','name':'%s','uid':'%s','labels':"
			   "{'lbd.io/lease':'claims'},'annotations':{'lbd.io/node':'n%u','lbd.io/"
			   "claims':'%s'}},'spec':{'holderIdentity':'n%u/boot/0'}}",
			name, name, node + 1, text.p, node + 1));
	buf_free(&text);
	claims_free(&c);
}

/* Its Lease of before: otherwise each would see the others come one by one. */
static void put_lease(struct sim *s, unsigned node)
{
	const uint8_t *mac = lan_mac(s, 0, node);
	char name[64], ip[ADDR_STRLEN];

	(void)snprintf(name, sizeof name, "lbd-node-n%u", node + 1);
	server_put(s, CLUSTER_LEASE, name,
		world_json("{'metadata':{'namespace':'kube-system','name':'%s','uid':'%s','labels':"
			   "{'lbd.io/lease':'node'},'annotations':{'lbd.io/node':'n%u','lbd.io/"
			   "addresses':'%s/16','lbd.io/subnets':'10.0.0.0/16','lbd.io/macs':"
			   "'eth0=%02x:%02x:%02x:%02x:%02x:%02x'}},'spec':{'holderIdentity':'n%u/"
			   "boot/0','leaseDurationSeconds':"
			   "250}}",
			name, name, node + 1, addr_format(node_addr(0, node), ip), mac[0], mac[1],
			mac[2], mac[3], mac[4], mac[5], node + 1));
}

static unsigned unowned(const struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->setup.n_services; i++)
		n += users_service_exists(s, i) && check_owners(s, users_service_vip(s, i), 0) != 1;
	return n;
}

static void phase(struct sim *s, const char *what, struct counts *io_at, uint64_t span_us)
{
	sim_advance(s, s->now_us + span_us);
	tell(s, what, io_at, (double)span_us / SIM_S);
	if (unowned(s) > 0)
		sim_fail(s, "big", "%s: %u VIPs have no owner, or several", what, unowned(s));
}

static void boot(struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		sim_advance(s, s->now_us + BOOT_US / s->setup.n_nodes);
		node_start(&s->nodes[i]);
	}
}

static void run(struct sim *s)
{
	const struct counts first = count(s);
	struct counts at = first;

	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		put_lease(s, i);
		put_claims(s, i);
	}
	tell(s, "the API's objects", &at, 1);
	boot(s);
	tell(s, "all nodes start", &at, (double)BOOT_US / SIM_S);
	phase(s, "after a power cut", &at, 30 * SIM_S);
	phase(s, "at rest", &at, 60 * SIM_S);
	node_kill(&s->nodes[7], "is killed");
	phase(s, "a node dies", &at, 30 * SIM_S);
	for (unsigned i = 0; i < NEW; i++) {
		users_toggle_service(s, i * s->setup.n_services / NEW);
		sim_advance(s, s->now_us + 20 * SIM_MS);
		users_toggle_service(s, i * s->setup.n_services / NEW);
	}
	phase(s, "Services made anew", &at, 60 * SIM_S);
	printf("big: %u nodes, %u Services, %.0f s: %" PRIu64 " frames, %" PRIu64
	       " API writes, %" PRIu64 " events, %.0f a second\n",
		s->setup.n_nodes, s->setup.n_services, (double)s->now_us / SIM_S,
		at.frames - first.frames, at.writes - first.writes, at.events - first.events,
		(double)(at.events - first.events) / (at.cpu_s - first.cpu_s));
}

int big_run(unsigned nodes, unsigned services, bool verbose)
{
	const struct sim_setup setup = {.seed = 1,
		.n_nodes = nodes,
		.n_segments = 1,
		.n_services = services - services % nodes,
		.elections = timers,
		.plain = true,
		.even = true,
		.turn_us = TURN_US,
		.clocks_vary = true,
		.trace = verbose ? stdout : NULL};
	struct sim *s = sim_new(&setup);
	bool ok;

	run(s);
	ok = !sim_has_failed(s);
	if (!ok)
		printf("big: %s: %s, at %.3f s\n", s->failed, s->failure,
			(double)s->failed_us / SIM_S);
	printf("big: %d passed, %d failed\n", ok, !ok);
	sim_free(s);
	return ok ? 0 : 1;
}
