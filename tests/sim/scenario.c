/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c - OWNERSHIP's failures, one by one: a cluster at rest, the fault as it was told, what
 * must come of it.  All runs are under the judge as well.
 *
 * Each is a row of the table at the end.  What cannot be shown here is a row, too, and says where
 * it is shown.
 */
#include "scenario.h"

#include "check.h"
#include "guest.h"
#include "lan.h"
#include "node.h"
#include "server.h"
#include "users.h"

#include <mbedtls/md.h>

#include <inttypes.h>
#include <string.h>

enum { LEASE_S = 40, RENEW_S = 10 };

struct scenario {
	const char *name, *what;
	void (*run)(struct sim *s); /* NULL: not here */
	const char *elsewhere;      /* where */
	unsigned n_nodes, n_services, n_segments;
	bool allocates;
};

#define EXPECT(s, cond, ...)                                                                       \
	do {                                                                                       \
		if (!(cond))                                                                       \
			sim_fail(s, #cond, __VA_ARGS__);                                           \
	} while (0)

/* -- words -- */

static void run_ms(struct sim *s, uint64_t ms)
{
	sim_advance(s, s->now_us + ms * SIM_MS);
}

static void run_s(struct sim *s, uint64_t seconds)
{
	sim_advance(s, s->now_us + seconds * SIM_S);
}

static void start(struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_start(&s->nodes[i]);
}

/* All nodes are up, every VIP has its owner. */
static void settle(struct sim *s)
{
	start(s);
	run_s(s, 60);
	check_measure_anew(s);
}

static uint64_t moves(struct sim *s)
{
	return check_figures(s).moves;
}

static struct node *owner(const struct sim *s, unsigned service)
{
	return check_owner(s, users_service_vip(s, service), users_service_segment(s, service));
}

static unsigned owners(const struct sim *s, unsigned service)
{
	return check_owners(s, users_service_vip(s, service), users_service_segment(s, service));
}

/* Every Service's address has exactly one owner. */
static bool all_owned(const struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_services; i++)
		if (users_service_exists(s, i) && owners(s, i) != 1)
			return false;
	return true;
}

static unsigned held_by(const struct sim *s, const struct node *n)
{
	unsigned held = 0;

	for (unsigned i = 0; i < s->setup.n_services; i++)
		held += owner(s, i) == n;
	return held;
}

/* A node that owns something. */
static struct node *some_owner(struct sim *s)
{
	struct node *n = owner(s, 0);

	if (n == NULL)
		sim_fail(s, "settled", "s0 has no owner to begin with");
	return n != NULL ? n : &s->nodes[0];
}

static void part_from_others(struct sim *s, const struct node *n, unsigned segment)
{
	for (unsigned i = 0; i < s->setup.n_nodes + LAN_GUESTS; i++)
		if (i != n->index) {
			lan_cut(s, segment, n->index, i, true);
			lan_cut(s, segment, i, n->index, true);
		}
	check_on_node(s);
}

static void heal(struct sim *s)
{
	for (unsigned k = 0; k < s->setup.n_segments; k++)
		lan_mend(s, k);
	check_on_node(s);
}

static void expect_still(struct sim *s, uint64_t before)
{
	EXPECT(s, moves(s) == before, "%" PRIu64 " VIPs were taken", moves(s) - before);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
}

/* -- the scenarios -- */

/* Nobody takes but from the isolated node, that takes nothing, and after the heal there is one. */
static void f1(struct sim *s)
{
	struct node *n;
	uint64_t before;
	unsigned held;

	settle(s);
	n = some_owner(s);
	held = held_by(s, n);
	before = moves(s);
	part_from_others(s, n, 0);
	run_s(s, 3 * LEASE_S);
	EXPECT(s, moves(s) - before <= held, "%" PRIu64 " moves, it had %u", moves(s) - before,
		held);
	heal(s);
	run_ms(s, 2100);
	EXPECT(s, all_owned(s), "2.1 s after the heal");
	before = moves(s);
	run_s(s, 60);
	expect_still(s, before);
}

/* Without the API both sides own all. */
static void split(struct sim *s, uint64_t mask)
{
	settle(s);
	server_set_down(s, true);
	run_s(s, 60);
	lan_part(s, 0, mask);
	check_on_node(s);
	run_s(s, 2 * LEASE_S);
}

static void f2(struct sim *s)
{
	uint64_t before;

	split(s, 1);
	heal(s);
	run_ms(s, 2100);
	EXPECT(s, all_owned(s), "2.1 s after the heal");
	before = moves(s);
	server_set_down(s, false);
	run_s(s, 120);
	expect_still(s, before);
}

static void f3(struct sim *s)
{
	unsigned doubled = 0;

	split(s, 3);
	for (unsigned i = 0; i < s->setup.n_services; i++)
		doubled += owners(s, i) == 2;
	EXPECT(s, doubled == s->setup.n_services, "%u of %u VIPs on both sides", doubled,
		s->setup.n_services);
	heal(s);
	run_ms(s, 2100);
	EXPECT(s, all_owned(s), "2.1 s after the heal");
	run_s(s, 60);
	EXPECT(s, all_owned(s), "a minute after the heal");
}

static void f4(struct sim *s)
{
	uint64_t before;

	settle(s);
	before = moves(s);
	server_set_down(s, true);
	run_s(s, 600);
	expect_still(s, before);
	server_set_down(s, false);
	for (unsigned i = 1; i < s->setup.n_nodes; i++)
		s->nodes[i].api_slow = true; /* the first is back much earlier */
	run_s(s, 120);
	expect_still(s, before);
}

static void f5(struct sim *s)
{
	struct node *n = &s->nodes[1];
	uint64_t before;

	settle(s);
	before = moves(s);
	for (unsigned k = 0; k < SIM_STREAMS; k++)
		node_freeze(n, server_kinds[k], true);
	run_s(s, 5 * LEASE_S);
	expect_still(s, before);
	for (unsigned k = 0; k < SIM_STREAMS; k++)
		node_freeze(n, server_kinds[k], false);
	run_s(s, 60);
	expect_still(s, before);
}

/* The API stalls as a whole, as k3s does: 30 s of silence, then all at once. */
static void f5_stall(struct sim *s)
{
	uint64_t before;

	settle(s);
	before = moves(s);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_cut_api(&s->nodes[i], true, true);
	run_s(s, 35);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_cut_api(&s->nodes[i], false, false);
	run_s(s, 120);
	expect_still(s, before);
}

/* What n's responder has answered. */
static uint64_t both(const struct node *n, enum counter_id arp, enum counter_id ndp)
{
	return n->w.counters.v[arp] + n->w.counters.v[ndp];
}

static uint64_t answers_of(const struct node *n)
{
	return both(n, COUNTER_ARP_REPLIES, COUNTER_NDP_REPLIES);
}

enum { FENCE_MS = 10 }; /* after a stop; less than its two probes take */

static void f6_for(struct sim *s, uint64_t ms)
{
	uint64_t answers;
	struct node *n;

	settle(s);
	n = some_owner(s);
	node_stop(n, false);
	run_ms(s, ms * 2 / 3);
	answers = answers_of(n);
	for (unsigned i = 0; i < s->setup.n_services; i++)
		guest_ask(s, 0, users_service_vip(s, i));
	run_ms(s, ms / 3);
	node_resume(n);
	EXPECT(s, answers_of(n) == answers, "a question of %" PRIu64 " ms ago was answered",
		ms / 3);
	for (unsigned i = 0; i < s->setup.n_services; i++)
		guest_ask(s, 0, users_service_vip(s, i));
	run_ms(s, FENCE_MS);
	EXPECT(s, answers_of(n) == answers, "it answered before it had asked itself (R24)");
	run_s(s, 2);
	EXPECT(s, all_owned(s), "2 s after it went on");
}

static void f6(struct sim *s)
{
	f6_for(s, 30000);
}

/* Long enough for others to take over, and shorter than its own timers. */
static void f6_short(struct sim *s)
{
	f6_for(s, 600);
}

/* The same for longer than a Lease: somebody else has it when the node wakes up. */
static void f6_long(struct sim *s)
{
	struct node *n;

	settle(s);
	n = some_owner(s);
	node_stop(n, true);
	run_s(s, 3 * LEASE_S);
	EXPECT(s, owner(s, 0) != NULL && owner(s, 0) != n, "nobody took it");
	node_resume(n);
	run_s(s, 2);
	EXPECT(s, all_owned(s), "two owners, 2 s after it woke up");
}

/* (a): the owner cannot hear one node; (b): one node cannot hear the owner. */
static void f7(struct sim *s, bool deaf_owner)
{
	struct node *n, *x;
	uint64_t before;

	settle(s);
	n = some_owner(s);
	x = &s->nodes[(n->index + 1) % s->setup.n_nodes];
	before = moves(s);
	if (deaf_owner)
		lan_cut(s, 0, x->index, n->index, true);
	else
		lan_cut(s, 0, n->index, x->index, true);
	check_on_node(s);
	run_s(s, 120);
	EXPECT(s, moves(s) - before <= s->setup.n_services, "%" PRIu64 " moves in two minutes",
		moves(s) - before);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two, while the link is one-way");
	heal(s);
	run_ms(s, 2100);
	EXPECT(s, all_owned(s), "2.1 s after the heal");
}

static void f7_a(struct sim *s)
{
	f7(s, true);
}

static void f7_b(struct sim *s)
{
	f7(s, false);
}

static void f8(struct sim *s)
{
	settle(s);
	EXPECT(s, all_owned(s), "a VIP has no owner");
	EXPECT(s, server_biggest(s) < 128 * 1024, "%zu bytes", server_biggest(s));
	check_begin_rest(s);
	run_s(s, 100);
	check_end_rest(s);
}

/* Every VIP is answered for by another member's kernel while the owner is dead. */
static void f9(struct sim *s)
{
	struct node *n;

	settle(s);
	n = some_owner(s);
	guest_answer_for(s, 0, users_service_vip(s, 0), s->nodes[(n->index + 1) % 3].ports[0].mac);
	guest_answer_for(s, 0, users_service_vip(s, 0), NULL);
	node_kill(n, "is killed");
	run_s(s, 2 * LEASE_S);
	EXPECT(s, owner(s, 0) != NULL, "nobody took it");
}

static void f11(struct sim *s)
{
	uint64_t before;

	settle(s);
	before = moves(s);
	for (unsigned i = 0; i < 200; i++) {
		node_stop(&s->nodes[i % s->setup.n_nodes], false);
		run_ms(s, 10 + i * 19 / 20); /* with a packet's interval less than detection */
		node_resume(&s->nodes[i % s->setup.n_nodes]);
		run_ms(s, 300);
	}
	expect_still(s, before);
}

static void f13(struct sim *s)
{
	struct node *n;

	settle(s);
	n = some_owner(s);
	node_exit(n);
	run_s(s, 3);
	EXPECT(s, all_owned(s), "the successors have not taken over");
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

/* The same without the API: only BFD can say that it goes. */
static void f13_outage(struct sim *s)
{
	struct node *n;

	settle(s);
	server_set_down(s, true);
	run_s(s, 60);
	n = some_owner(s);
	node_exit(n);
	run_s(s, 3);
	EXPECT(s, all_owned(s), "the successors have not taken over");
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

static void exit_and_wait(struct sim *s, struct node *n)
{
	node_exit(n);
	for (unsigned waited = 0; n->alive && waited < 100; waited++)
		run_ms(s, 100);
}

/* A rolling upgrade in a hurry: each node is restarted as soon as the one before is in step with the
 * API, which may be the only one that can take what it has. */
static void f13_rolling(struct sim *s)
{
	settle(s);
	for (unsigned i = 0; i < 3 * s->setup.n_nodes; i++) {
		struct node *n = &s->nodes[i % s->setup.n_nodes];

		exit_and_wait(s, n);
		node_start(n);
		run_ms(s, 500 + i * 37 % 500);
	}
	run_s(s, 5);
	EXPECT(s, all_owned(s), "5 s after the last restart");
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

/* Only Leases say who goes. */
static void f13_rolling_without_bfd(struct sim *s)
{
	s->setup.elections.bfd_interval_ms = 0;
	f13_rolling(s);
}

/* ... which reads from the API, but nothing that it writes comes through: the one that goes knows of
 * nobody who could take over, and does not wait. */
static void f13_rolling_unwritten(struct sim *s)
{
	settle(s);
	exit_and_wait(s, &s->nodes[0]);
	server_set_loss(s, 100);
	node_start(&s->nodes[0]);
	run_ms(s, 500);
	node_exit(&s->nodes[1]);
	run_ms(s, 500);
	EXPECT(s, all_owned(s), "0.5 s after the second exit");
	EXPECT(s, check_figures(s).dark_us <= 20 * SIM_MS, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

/* Owners die at any moment of BFD's and ARP's timers: how long is a VIP dark?  I3's bound, and the
 * sampling of who is able. */
static void i3(struct sim *s)
{
	settle(s);
	for (unsigned i = 0; i < 200; i++) {
		struct node *n = some_owner(s);

		node_kill(n, "is killed");
		run_ms(s, 1000);
		EXPECT(s, all_owned(s), "1 s after the %u. death", i + 1);
		node_start(n);
		run_s(s, 20 + i % 7);
		run_ms(s, i * 37 % 100);
	}
	EXPECT(s, check_figures(s).dark_us <= 550 * SIM_MS, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

/* Ten minutes without the API: the dead are replaced at BFD's speed. */
/* A claim that no API has, as it was away before it could be written: it was heard once, longer ago than
 * a Lease lasts. */
static void outage_unpublished(struct sim *s)
{
	s->setup.elections.node_duration_ms = 2000;
	s->setup.elections.node_renew_ms = 500;
	settle(s);
	users_toggle_service(s, 0);
	run_s(s, 30);
	users_toggle_service(s, 0);
	for (unsigned i = 0; i < 500 && owner(s, 0) == NULL; i++)
		run_ms(s, 1);
	server_set_down(s, true);
	for (unsigned i = 0; i < 2 && owner(s, 0) != NULL; i++) {
		run_s(s, 60);
		node_kill(owner(s, 0), "is killed");
		run_ms(s, 1000);
		EXPECT(s, owner(s, 0) != NULL, "1 s after the %u. death", i + 1);
	}
}

static void outage(struct sim *s)
{
	uint64_t before;

	settle(s);
	server_set_down(s, true);
	run_s(s, 300);
	node_kill(some_owner(s), "is killed");
	run_ms(s, 1000);
	EXPECT(s, all_owned(s), "1 s after a node died");
	run_s(s, 299);
	EXPECT(s, check_figures(s).dark_us <= 550 * SIM_MS, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
	before = moves(s);
	server_set_down(s, false);
	run_s(s, 3 * LEASE_S);
	expect_still(s, before);
}

/* A site loses its power: what was served is served again from the nodes' disks, by who served it.
 */
static void f12(struct sim *s)
{
	struct node *was[12];
	uint64_t before;

	settle(s);
	for (unsigned i = 0; i < s->setup.n_services; i++)
		was[i] = owner(s, i);
	server_set_down(s, true);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_kill(&s->nodes[i], "is killed");
	run_s(s, 20);
	start(s);
	run_s(s, 2);
	for (unsigned i = 0; i < s->setup.n_services; i++)
		EXPECT(s, owner(s, i) == was[i], "s%u is another's, or nobody's", i);
	before = moves(s);
	run_s(s, 600);
	expect_still(s, before);
	server_set_down(s, false);
	run_s(s, 3 * LEASE_S);
	expect_still(s, before);
}

/* One of them does not come back: its VIPs are found, too. */
static void f12_without(struct sim *s)
{
	struct node *n;

	settle(s);
	n = some_owner(s);
	server_set_down(s, true);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_kill(&s->nodes[i], "is killed");
	run_s(s, 20);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (&s->nodes[i] != n)
			node_start(&s->nodes[i]);
	run_s(s, 15);
	EXPECT(s, all_owned(s), "15 s after the start");
	server_set_down(s, false);
	run_s(s, 3 * LEASE_S);
	EXPECT(s, all_owned(s), "after the API came back");
}

/* During the outage the one node takes the other's VIPs; then it is restarted itself. */
static void f12_taken(struct sim *s)
{
	struct node *n;

	settle(s);
	n = some_owner(s);
	server_set_down(s, true);
	run_s(s, 30);
	node_kill(n, "is killed");
	run_s(s, 5);
	EXPECT(s, all_owned(s), "5 s after a node died");
	n = &s->nodes[1 - n->index];
	node_kill(n, "is killed");
	run_ms(s, 300);
	node_start(n);
	run_s(s, 2);
	EXPECT(s, held_by(s, n) == s->setup.n_services, "it has %u of the VIPs that it had",
		held_by(s, n));
}

/* The nodes' second segment: what is on the first stays. */
static void f17(struct sim *s)
{
	struct node *n;
	unsigned first;

	settle(s);
	n = owner(s, 1);
	EXPECT(s, users_service_segment(s, 1) == 1 && n != NULL, "s1 is not on segment 1");
	if (n == NULL)
		return;
	first = 0;
	for (unsigned i = 0; i < s->setup.n_services; i += 2)
		first += owner(s, i) == n;
	part_from_others(s, n, 1);
	run_s(s, 1);
	EXPECT(s, owner(s, 1) != n, "nobody on the other side took it");
	for (unsigned i = 0; i < s->setup.n_services; i += 2)
		first -= owner(s, i) == n;
	EXPECT(s, first == 0, "%u VIPs of segment 0 were taken", first);
	heal(s);
	run_ms(s, 2100);
	EXPECT(s, all_owned(s), "2.1 s after the heal");
}

/* Twenty nodes: eight sessions each; a rack of three dies. */
static void f16(struct sim *s)
{
	struct peers_info info;
	unsigned sessions = 0;

	settle(s);
	for (size_t i = 0; i < peers_count(s->nodes[0].peers); i++) {
		peers_at(s->nodes[0].peers, i, s->nodes[0].now_us, &info);
		sessions++;
	}
	EXPECT(s, sessions == 8, "%u sessions", sessions);
	for (unsigned i = 0; i < 3; i++)
		node_kill(&s->nodes[i], "is killed");
	run_s(s, 2);
	EXPECT(s, all_owned(s), "2 s after three nodes of twenty died");
}

/* An owner that is cut from the API alone: relieved when its Lease expires, and yields. */
static void f21(struct sim *s)
{
	struct node *n;

	settle(s);
	n = some_owner(s);
	node_cut_api(n, true, true);
	run_s(s, LEASE_S + 20);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
	run_s(s, 60);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two, later");
}

static void f29(struct sim *s)
{
	uint64_t before;
	struct node *n;

	settle(s);
	n = some_owner(s);
	before = moves(s);
	for (unsigned i = 0; i < 60; i++) {
		node_set_port(n, 0, true, false);
		run_s(s, 2);
		node_set_port(n, 0, true, true);
		run_s(s, 3);
	}
	EXPECT(s, moves(s) - before <= s->setup.n_services, "%" PRIu64 " moves in 5 minutes",
		moves(s) - before);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
}

/* A node dies and returns: with failback each of its VIPs goes back, once, and no frame is lost. */
static void failback(struct sim *s)
{
	struct node *n;
	unsigned held;
	uint64_t before;

	s->setup.elections.failback = true;
	settle(s);
	n = some_owner(s);
	held = held_by(s, n);
	node_kill(n, "is killed");
	run_s(s, 30);
	EXPECT(s, all_owned(s), "its VIPs were not taken over");
	before = moves(s);
	node_start(n);
	check_measure_anew(s);
	run_s(s, 60);
	EXPECT(s, held_by(s, n) == held, "it has %u of its %u VIPs", held_by(s, n), held);
	expect_still(s, before + held);
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
	run_s(s, 300);
	expect_still(s, before + held);
}

/* Up for longer than the first hold-down, 100 times: what goes back is taken over again. */
static void f29_failback(struct sim *s)
{
	uint64_t before;
	struct node *n;
	unsigned held;

	s->setup.elections.failback = true;
	settle(s);
	n = some_owner(s);
	held = held_by(s, n);
	before = moves(s);
	for (unsigned i = 0; i < 100; i++) {
		node_set_port(n, 0, true, false);
		run_s(s, 2);
		node_set_port(n, 0, true, true);
		run_s(s, 25);
	}
	/* 5, 5, 10 and 20 s are shorter: four times there and back, and there. */
	EXPECT(s, moves(s) - before <= 9 * (uint64_t)held, "%" PRIu64 " moves of %u VIPs",
		moves(s) - before, held);
	run_s(s, 400);
	EXPECT(s, held_by(s, n) == held, "it has %u of its %u VIPs in the end", held_by(s, n),
		held);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
}

/* Nobody has more than 1.25 times its share, and one more. */
static void expect_balanced(struct sim *s)
{
	unsigned n = s->setup.n_services, m = s->setup.n_nodes;

	for (unsigned i = 0; i < m; i++) {
		unsigned held = held_by(s, &s->nodes[i]);

		EXPECT(s, 4 * m * held < 5 * n + 4 * m, "%s has %u of %u", s->nodes[i].name, held,
			n);
	}
}

static void rolling_restart(struct sim *s, bool failback_too)
{
	uint64_t before;

	s->setup.elections.rebalance = true;
	s->setup.elections.failback = failback_too;
	settle(s);
	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		node_exit(&s->nodes[i]);
		run_s(s, 5);
		node_start(&s->nodes[i]);
		run_s(s, 15);
	}
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
	run_s(s, 300);
	expect_balanced(s);
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
	before = moves(s);
	run_s(s, 600);
	expect_still(s, before);
}

static void f35(struct sim *s)
{
	rolling_restart(s, false);
}

static void f35_failback(struct sim *s)
{
	rolling_restart(s, true);
}

static void f14(struct sim *s)
{
	struct node *n;
	unsigned held;
	uint64_t before;

	settle(s);
	n = some_owner(s);
	held = held_by(s, n);
	before = moves(s);
	node_set_config(n, true);
	run_s(s, 120);
	EXPECT(s, moves(s) == before + held, "%" PRIu64 " moves of %u VIPs", moves(s) - before,
		held);
	node_set_config(n, false);
	run_s(s, 120);
	expect_still(s, before + held);
}

/* A node is excluded and no more, and another one's watch does not show it: it thinks of it
 * otherwise. */
static void f14_lag(struct sim *s)
{
	struct node *n, *x;
	unsigned held;
	uint64_t before;

	settle(s);
	n = some_owner(s);
	x = &s->nodes[(n->index + 1) % s->setup.n_nodes];
	held = held_by(s, n);
	before = moves(s);
	for (unsigned i = 0; i < 2; i++) {
		node_freeze(x, CLUSTER_NODE, true);
		users_exclude_node(s, n->index, i == 0);
		run_s(s, 120);
		EXPECT(s, moves(s) == before + held, "%" PRIu64 " moves of %u VIPs",
			moves(s) - before, held);
		node_freeze(x, CLUSTER_NODE, false);
		run_s(s, 60);
	}
	expect_still(s, before + held);
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

static void f15(struct sim *s)
{
	unsigned most = 0, n = s->setup.n_services, m = s->setup.n_nodes;

	settle(s);
	EXPECT(s, all_owned(s), "a VIP of a burst has no owner");
	for (unsigned i = 0; i < m; i++)
		most = held_by(s, &s->nodes[i]) > most ? held_by(s, &s->nodes[i]) : most;
	EXPECT(s, most <= (5 * n + 4 * m - 1) / (4 * m) + m, "one node has %u of %u", most, n);
}

static void f18(struct sim *s)
{
	uint64_t before;

	lan_part(s, 0, 3);
	settle(s);
	before = moves(s);
	run_s(s, 3 * LEASE_S);
	expect_still(s, before);
}

static void f20(struct sim *s)
{
	start(s);
	run_s(s, 10);
	EXPECT(s, all_owned(s), "10 s after all were started at once");
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_kill(&s->nodes[i], "loses its power");
	run_s(s, 30);
	for (unsigned i = 1; i < s->setup.n_nodes; i++)
		node_start(&s->nodes[i]);
	run_s(s, 60);
	EXPECT(s, all_owned(s), "60 s after all but one came back");
}

/* It restarts quicker than it is missed: its own old claims are restored at once (G7). */
static void f20_own(struct sim *s)
{
	struct node *n;
	unsigned held;

	settle(s);
	n = some_owner(s);
	held = held_by(s, n);
	node_kill(n, "is killed");
	run_ms(s, 50);
	node_start(n);
	run_ms(s, 2000);
	EXPECT(s, all_owned(s), "2 s after a restart");
	EXPECT(s, held_by(s, n) <= held, "%u of its %u VIPs", held_by(s, n), held);
}

static bool has_address(const struct sim *s, const char *service, struct addr a)
{
	const cJSON *o = server_get(s, CLUSTER_SERVICE, service), *i;

	cJSON_ArrayForEach (
		i, cJSON_GetObjectItem(
			   cJSON_GetObjectItem(cJSON_GetObjectItem(o, "status"), "loadBalancer"),
			   "ingress"))
		if (addr_eq(world_ip(cJSON_GetStringValue(cJSON_GetObjectItem(i, "ip"))), a))
			return true;
	return false;
}

/* The address that the leader gave to Service i. */
static struct addr given(const struct sim *s, unsigned service)
{
	for (size_t i = 0; i < users_vip_count(s); i++)
		if (has_address(s, users_service_name(s, service), users_vip(s, 0, i)))
			return users_vip(s, 0, i);
	return (struct addr){0};
}

static void f22(struct sim *s)
{
	struct node *n;
	struct addr a;

	settle(s);
	a = given(s, 0);
	n = check_owner(s, a, 0);
	EXPECT(s, n != NULL, "s0 has no owner to begin with");
	if (n == NULL)
		return;
	node_cut_api(n, true, false);
	users_toggle_service(s, 0);
	run_s(s, 5);
	for (unsigned i = 1; i < s->setup.n_services; i++) { /* all are asked for anew */
		users_toggle_service(s, i);
		users_toggle_service(s, i);
	}
	run_s(s, LEASE_S - RENEW_S - 6);
	for (unsigned i = 1; i < s->setup.n_services; i++)
		EXPECT(s, !has_address(s, users_service_name(s, i), a),
			"%s has what a node that is cut off announces", users_service_name(s, i));
}

static struct node *leader(struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (node_is_leader(&s->nodes[i]))
			return &s->nodes[i];
	return NULL;
}

static void f23(struct sim *s)
{
	struct node *n;

	settle(s);
	for (unsigned round = 0; round < 20; round++) {
		n = leader(s);
		for (unsigned i = 0; i < s->setup.n_services; i++)
			users_toggle_service(s, i);
		if (n == NULL)
			continue;
		run_ms(s, 1 + round);
		node_stop(n, round % 2 == 1);
		run_s(s, 25);
		EXPECT(s, leader(s) != NULL && leader(s) != n, "nobody leads");
		node_resume(n);
		run_s(s, 5);
	}
	EXPECT(s, leader(s) != NULL, "nobody leads at the end");
}

/* In o's metadata, which have the key. */
static void set_meta(cJSON *o, const char *key, const char *value)
{
	if (!cJSON_ReplaceItemInObject(
		    cJSON_GetObjectItem(o, "metadata"), key, cJSON_CreateString(value)))
		abort();
}

/* An elder Service, with a pod on each node, has s0's address in its status all of a sudden. */
static void f24(struct sim *s)
{
	const char *first = users_service_name(s, 0);
	cJSON *elder, *pods, *labels;
	struct node *n;
	struct addr a;

	settle(s);
	a = given(s, 0);
	n = check_owner(s, a, 0);
	EXPECT(s, n != NULL, "s0 has no owner to begin with");
	elder = cJSON_Duplicate(server_get(s, CLUSTER_SERVICE, first), true);
	pods = cJSON_Duplicate(server_get(s, CLUSTER_ENDPOINT_SLICE, first), true);
	set_meta(elder, "name", "elder");
	set_meta(elder, "uid", "u-elder");
	set_meta(elder, "creationTimestamp", "2001-01-01T00:00:00Z");
	set_meta(pods, "name", "elder-1");
	set_meta(pods, "uid", "s-elder");
	labels = cJSON_GetObjectItem(cJSON_GetObjectItem(pods, "metadata"), "labels");
	if (!cJSON_ReplaceItemInObject(
		    labels, "kubernetes.io/service-name", cJSON_CreateString("elder")))
		abort();
	server_put(s, CLUSTER_ENDPOINT_SLICE, "elder", pods);
	server_put(s, CLUSTER_SERVICE, "elder", elder);
	run_s(s, 30);
	EXPECT(s, has_address(s, first, a), "it was taken from who had it");
	EXPECT(s, !has_address(s, "elder", a), "the elder keeps what it was wrongly given");
	EXPECT(s, check_owner(s, a, 0) == n, "it moved, or has no owner");
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

static void f25(struct sim *s)
{
	uint64_t before;

	settle(s);
	before = server_writes(s);
	run_s(s, 1000);
	EXPECT(s, server_writes(s) - before <= 1000 * (3 + s->setup.n_nodes - 1) / 10 + 20,
		"%" PRIu64 " writes of %u nodes in 1000 s", server_writes(s) - before,
		s->setup.n_nodes);
}

static void f26(struct sim *s)
{
	uint64_t at_us;

	settle(s);
	users_toggle_service(s, 0);
	run_s(s, 70);
	users_toggle_service(s, 0);
	at_us = s->now_us;
	while (owner(s, 0) == NULL && s->now_us - at_us < 5 * SIM_S)
		run_ms(s, 1);
	EXPECT(s, s->now_us - at_us < 250 * SIM_MS, "answered after %.3f s",
		(double)(s->now_us - at_us) / SIM_S);
	run_ms(s, 50); /* a foreign host that is slow to answer: the first probe is over */
	guest_answer_for(s, 0, users_service_vip(s, 0), NULL);
	run_ms(s, 200);
	EXPECT(s, owner(s, 0) == NULL, "it is announced beside a foreign host");
}

static void f27(struct sim *s)
{
	struct node *n;
	uint64_t defended;

	settle(s);
	n = some_owner(s);
	run_s(s, 10);
	defended = both(n, COUNTER_ARP_DEFENCES, COUNTER_NDP_DEFENCES);
	for (unsigned i = 0; i < 200; i++) {
		guest_claim(s, 0, users_service_vip(s, 0));
		run_ms(s, 100);
	}
	EXPECT(s, owner(s, 0) == n, "a foreign claim moved it");
	defended = both(n, COUNTER_ARP_DEFENCES, COUNTER_NDP_DEFENCES) - defended;
	EXPECT(s, defended >= 1 && defended <= 3, "%" PRIu64 " defences in 20 s", defended);
	guest_answer_for(s, 0, users_service_vip(s, 0), NULL);
	node_kill(n, "is killed");
	run_s(s, 2 * LEASE_S);
	EXPECT(s, owner(s, 0) != NULL, "a foreign answer pins a dead VIP");
}

static void f27_first(struct sim *s)
{
	guest_answer_for(s, 0, users_service_vip(s, 0), NULL);
	settle(s);
	EXPECT(s, owners(s, 0) == 0, "it is put into service beside a foreign host");
	guest_be_quiet(s, 0);
	run_s(s, 30);
	EXPECT(s, owners(s, 0) == 1, "30 s after the foreign host went");
}

static void f28(struct sim *s)
{
	struct node *n;
	unsigned next;

	users_make_local(s, 0);
	settle(s);
	n = some_owner(s);
	next = (n->index + 1) % s->setup.n_nodes;
	users_set_endpoints(s, 0, (uint64_t)1 << next);
	run_s(s, 3);
	EXPECT(s, owner(s, 0) == &s->nodes[next], "it did not follow its endpoint");
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

static void f30(struct sim *s)
{
	uint64_t before;

	settle(s);
	before = moves(s);
	lan_set_loss(s, 0, 30);
	run_s(s, 600);
	expect_still(s, before);
	lan_set_loss(s, 0, 0);
	run_s(s, 10);
	expect_still(s, before);
}

/* It comes and goes: nobody knows of it yet when it matters. */
static void f30_onset(struct sim *s)
{
	uint64_t before;

	settle(s);
	before = moves(s);
	for (unsigned i = 0; i < 30; i++) {
		lan_set_loss(s, 0, 30);
		run_s(s, 2);
		lan_set_loss(s, 0, 0);
		run_s(s, 20);
	}
	expect_still(s, before);
}

/* One that no longer hears the owner of hundreds asks for a few of its VIPs. */
static void f31(struct sim *s)
{
	struct node *n, *x;
	uint64_t asked, most = 0, before;

	settle(s);
	n = some_owner(s);
	x = &s->nodes[(n->index + 1) % s->setup.n_nodes];
	run_s(s, 30);
	before = moves(s);
	for (unsigned i = 0; i < 20; i++) {
		asked = both(x, COUNTER_ARP_PROBES, COUNTER_NDP_PROBES);
		lan_cut(s, 0, n->index, x->index, true);
		run_ms(s, 140); /* two packets at most, which are 75 ms apart: never silent */
		lan_cut(s, 0, n->index, x->index, false);
		run_ms(s, 160);
		asked = both(x, COUNTER_ARP_PROBES, COUNTER_NDP_PROBES) - asked;
		most = asked > most ? asked : most;
		run_s(s, 15);
	}
	/* Eight VIPs, three times (R12); beside it one each 100 ms (R22). */
	EXPECT(s, most >= 8 && most <= 3 * 8 + 3, "%" PRIu64 " questions to the owner of %u VIPs",
		most, held_by(s, n));
	expect_still(s, before);
}

static void f32(struct sim *s)
{
	lan_set_reflecting(s, 0, true);
	settle(s);
	EXPECT(s, all_owned(s), "own frames are taken for others'");
	EXPECT(s, moves(s) == s->setup.n_services, "%" PRIu64 " moves", moves(s));
}

/* A Node object is deleted while its node lives: its Leases are collected. */
static void f33(struct sim *s)
{
	char name[64];
	struct node *n;
	uint64_t before;

	settle(s);
	n = some_owner(s);
	before = moves(s);
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof name, "lbd-%s-%s", i == 0 ? "node" : "claims", n->name);
		server_delete(s, CLUSTER_LEASE, name);
	}
	run_s(s, 2 * LEASE_S);
	expect_still(s, before);
}

/* Both of two nodes are drained, the first one then no more: it takes all, and the other one, which is
 * deaf as long as it drains, hears that it did. */
static void drained_both(struct sim *s)
{
	settle(s);
	node_drain(&s->nodes[0], 30000);
	run_s(s, 10);
	node_drain(&s->nodes[1], 60000);
	run_s(s, 10);
	EXPECT(s, all_owned(s), "nobody answers while both are drained");
	run_s(s, 12);
	EXPECT(s, held_by(s, &s->nodes[0]) == s->setup.n_services,
		"the one that is drained no more has %u", held_by(s, &s->nodes[0]));
	run_s(s, 60);
	EXPECT(s, all_owned(s), "in the end");
	EXPECT(s, check_figures(s).dark_us == 0, "dark for %.3f s",
		(double)check_figures(s).dark_us / SIM_S);
}

/* Two machines have one name. */
static void f33_twins(struct sim *s)
{
	memcpy(s->nodes[1].name, s->nodes[0].name, sizeof s->nodes[1].name);
	settle(s);
	run_s(s, 2 * LEASE_S);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
}

static void hash_of(const struct node *n, const char *ip, unsigned char ret_sum[32])
{
	char text[80];

	(void)snprintf(text, sizeof text, "%s#%s", n->name, ip);
	if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const unsigned char *)text,
		    strlen(text), ret_sum) != 0)
		abort();
}

/* With maxShare 0 each VIP is where MetalLB would have it, reckoned here anew. */
static void f34(struct sim *s)
{
	s->setup.elections.max_share = 0;
	settle(s);
	for (unsigned i = 0; i < s->setup.n_services; i++) {
		unsigned char best[32], sum[32];
		struct node *first = NULL;
		char ip[ADDR_STRLEN];

		(void)addr_format(users_service_vip(s, i), ip);
		for (unsigned k = 0; k < s->setup.n_nodes; k++) {
			hash_of(&s->nodes[k], ip, sum);
			if (first != NULL && memcmp(sum, best, sizeof sum) > 0)
				continue;
			first = &s->nodes[k];
			memcpy(best, sum, sizeof best);
		}
		EXPECT(s, owner(s, i) == first, "%s is not at %s", ip, first->name);
	}
}

static void f36(struct sim *s)
{
	uint64_t before;

	settle(s);
	run_s(s, 60);
	before = server_writes(s);
	run_s(s, 1000);
	/* 32 nodes' worth of renewals, whatever their number, and the leader's. */
	EXPECT(s, server_writes(s) - before <= 1000 * 32 / 10 * 12 / 10 + 250,
		"%" PRIu64 " writes in 1000 s", server_writes(s) - before);
	EXPECT(s, all_owned(s), "a VIP has no owner, or two");
}

static const struct scenario scenarios[] = {
	{"F1", "an isolated node that has the API takes nothing", f1, NULL, 4, 8, 1, false},
	{"F2", "the LAN parts without the API; after the heal one owner", f2, NULL, 4, 8, 1, false},
	{"F3", "after a heal two owners hear each other in 2 s", f3, NULL, 4, 8, 1, false},
	{"F4", "10 minutes without the API, and its return, move nothing", f4, NULL, 4, 8, 1,
		false},
	{"I3", "a dead owner is replaced in 0.55 s", i3, NULL, 5, 12, 1, false},
	{"F4outage", "... and a node that dies meanwhile is replaced", outage, NULL, 4, 8, 1,
		false},
	{"F4unread", "... even one whose claim was not written yet", outage_unpublished, NULL, 4, 8, 1, false},
	{"F5", "a half-open watch takes nothing", f5, NULL, 4, 8, 1, false},
	{"F5stall", "... nor does an API that stalls for all", f5_stall, NULL, 4, 8, 1, false},
	{"F6", "a stopped owner answers no stale question", f6, NULL, 4, 8, 1, false},
	{"F6short", "... not even of a short stop", f6_short, NULL, 4, 8, 1, false},
	{"F6long", "... and yields when it wakes up too late", f6_long, NULL, 4, 8, 1, false},
	{"F7a", "an owner that is deaf to one", f7_a, NULL, 4, 8, 1, false},
	{"F7b", "one that is deaf to the owner", f7_b, NULL, 4, 8, 1, false},
	{"F8", "claims of many VIPs fit", f8, NULL, 2, 900, 1, false},
	{"F9", "answers of others do not pin a dead VIP", f9, NULL, 3, 8, 1, false},
	{"F10", "protocol vip, process killed", NULL, "lab/bind:test_sigkill_fences_itself", 0, 0,
		0, false},
	{"F11", "a starved loop moves nothing", f11, NULL, 4, 8, 1, false},
	{"F12", "a restart of all during an outage", f12, NULL, 4, 12, 1, false},
	{"F12without", "... one of which does not come back", f12_without, NULL, 4, 12, 1, false},
	{"F12taken", "a restart of one that took during the outage", f12_taken, NULL, 2, 12, 1,
		false},
	{"F13", "an exit loses no frame", f13, NULL, 4, 8, 1, false},
	{"F13outage", "... without the API either", f13_outage, NULL, 4, 8, 1, false},
	{"F13roll", "... nor do restarts of one node after another", f13_rolling, NULL, 2, 8, 1, false},
	{"F13nobfd", "... without BFD either", f13_rolling_without_bfd, NULL, 2, 8, 1, false},
	{"F13write", "... nor when the one that stays cannot write", f13_rolling_unwritten, NULL, 2, 8, 1,
		false},
	{"F14", "configurations that differ do not play ping-pong", f14, NULL, 4, 8, 1, false},
	{"F14lag", "... nor do watches that lag", f14_lag, NULL, 4, 8, 1, false},
	{"F15", "a burst of Services leaves no orphan", f15, NULL, 5, 200, 1, false},
	{"F16", "above 16 nodes no full mesh", f16, NULL, 20, 40, 1, false},
	{"F17", "the segment that VIPs are on is watched", f17, NULL, 4, 8, 2, false},
	{"F18", "one subnet on two segments", f18, NULL, 4, 8, 1, false},
	{"F19", "a key that is missing or other", NULL, "lab/l2:test_wrong_key", 0, 0, 0, false},
	{"F20", "a cold start", f20, NULL, 4, 8, 1, false},
	{"F20own", "... a node restores what it had", f20_own, NULL, 4, 8, 1, false},
	{"F21", "an owner that is cut from the API alone", f21, NULL, 4, 8, 1, false},
	{"F22", "what a cut-off node announces is not given again", f22, NULL, 3, 8, 1, true},
	{"F23", "a stale leader writes nothing", f23, NULL, 3, 10, 1, true},
	{"F24", "the first holder keeps a doubled address", f24, NULL, 3, 8, 1, true},
	{"F25", "the budget of writes", f25, NULL, 3, 8, 1, false},
	{"F26", "a new VIP answers at once, and is withdrawn when it was wrong", f26, NULL, 3, 8, 1,
		false},
	{"F27", "a foreign host moves nothing in service", f27, NULL, 3, 8, 1, false},
	{"F27first", "... and what it has is not put into service", f27_first, NULL, 3, 8, 1,
		false},
	{"F28", "a VIP follows its last local endpoint", f28, NULL, 3, 8, 1, false},
	{"F29", "a flapping link", f29, NULL, 4, 8, 1, false},
	{"F29back", "... with failback", f29_failback, NULL, 4, 8, 1, false},
	{"failback", "VIPs go back once", failback, NULL, 4, 20, 1, false},
	{"F30", "30 % loss moves nothing", f30, NULL, 4, 8, 1, false},
	{"F30onset", "... nor does its beginning", f30_onset, NULL, 4, 8, 1, false},
	{"F31", "who asks for the VIPs of one that has hundreds", f31, NULL, 3, 900, 1, false},
	{"F32", "own frames that come back", f32, NULL, 3, 8, 1, false},
	{"F33", "Leases that are collected while their node lives", f33, NULL, 3, 8, 1, false},
	{"F33twins", "two machines of one name", f33_twins, NULL, 3, 8, 1, false},
	{"drains", "two nodes are drained at one time", drained_both, NULL, 2, 8, 1, false},
	{"F34", "MetalLB's order", f34, NULL, 5, 40, 1, false},
	{"F35", "a rolling restart with rebalance ends balanced", f35, NULL, 5, 60, 1, false},
	{"F35back", "... and with failback", f35_failback, NULL, 5, 60, 1, false},
	{"F36", "renewals of many nodes", f36, NULL, 40, 8, 1, false},
};

static const struct config_elections timers = {
	.namespace_ = "kube-system",
	.node_duration_ms = LEASE_S * 1000,
	.node_renew_ms = RENEW_S * 1000,
	.leader_duration_ms = 15000,
	.leader_renew_deadline_ms = 10000,
	.leader_retry_period_ms = 5000,
	.bfd_interval_ms = 100,
	.bfd_multiplier = 3,
	.bfd_mesh_limit = 16,
	.hold_down_ms = 5000,
	.max_share = 1.25,
};

static bool run_one(const struct scenario *c, const struct scenario_options *o)
{
	const struct sim_setup setup = {.seed = o->seed,
		.n_nodes = c->n_nodes,
		.n_segments = c->n_segments,
		.n_services = c->n_services,
		.v6 = o->v6 ? ~0U : 0,
		.elections = timers,
		.allocates = c->allocates,
		.plain = true,
		.disks = true,
		.clocks_vary = true,
		.trace = o->verbose ? stdout : NULL};
	struct sim *s = sim_new(&setup);
	bool ok;

	c->run(s);
	ok = !sim_has_failed(s);
	if (!ok)
		printf("%s: %s: %s: %s, at %.3f s; replay: build/sim/sim --scenario %s --seed "
		       "%" PRIu64 "%s --verbose\n",
			c->name, c->what, s->failed, s->failure, (double)s->failed_us / SIM_S,
			c->name, o->seed, o->v6 ? " --v6" : "");
	sim_free(s);
	return ok;
}

int scenario_run(const char *name, const struct scenario_options *o)
{
	bool all = strcmp(name, "all") == 0;
	unsigned passed = 0, failed = 0, skipped = 0;

	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
		const struct scenario *c = &scenarios[i];

		if (!all && strcmp(name, c->name) != 0)
			continue;
		if (c->run == NULL) {
			printf("%s: %s: not here: %s\n", c->name, c->what, c->elsewhere);
			skipped++;
		} else if (o->v6 && c->allocates) {
			printf("%s: %s: not with IPv6: it gives addresses itself\n", c->name,
				c->what);
			skipped++;
		} else if (run_one(c, o)) {
			passed++;
		} else {
			failed++;
		}
	}
	printf("scenarios: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed > 0 || passed + skipped == 0 ? 1 : 0;
}
