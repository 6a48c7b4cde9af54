/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.c - what goes wrong, and when.
 *
 * One table says what each kind of fault does as it begins and as it ends.  A fault knows all that
 * it needs by itself: leaving others out does not change it.
 */
#include "faults.h"

#include "check.h"
#include "guest.h"
#include "lan.h"
#include "node.h"
#include "server.h"
#include "users.h"

#include <inttypes.h>
#include <string.h>

enum {
	MAX_NODES = 5,
	MAX_SERVICES = 12,
	BOOT_US = 5 * SIM_S,
	FIRST_FAULT_US = 5 * SIM_S,
	LOSS_MAX = 40,
	STORM = 30000,               /* five nodes at rest make some hundred events a second */
	RESTART_MAX_US = 15 * SIM_S, /* after a clean exit */
	MAX_FAULTS = 512,
};

enum class { CLASS_API, CLASS_CUT, CLASS_NODE, CLASS_LAN, CLASS_USER };

struct kind {
	const char *name;
	enum class class;
	unsigned weight;
	void (*begin)(struct sim *s, const struct fault *f);
	void (*end)(struct sim *s, const struct fault *f); /* NULL: it is over at once */
};

static struct node *node_of(struct sim *s, const struct fault *f)
{
	return &s->nodes[f->node];
}

/* Another node than the fault's. */
static unsigned other_node(const struct sim *s, const struct fault *f)
{
	return (f->node + 1 + (unsigned)(f->arg % (s->setup.n_nodes - 1))) % s->setup.n_nodes;
}

static struct addr vip_of(const struct sim *s, const struct fault *f)
{
	return users_service_vip(s, (unsigned)(f->arg % s->setup.n_services));
}

/* -- of the API plane -- */

static void api_down(struct sim *s, const struct fault *f)
{
	(void)f;
	server_set_down(s, true);
}

static void api_up(struct sim *s, const struct fault *f)
{
	(void)f;
	server_set_down(s, false);
}

static void set_frozen(struct sim *s, const struct fault *f, bool frozen)
{
	unsigned k = (unsigned)(f->arg % (SIM_STREAMS + 1));

	for (unsigned i = 0; i < SIM_STREAMS; i++)
		if (k == SIM_STREAMS || i == k)
			node_freeze(node_of(s, f), server_kinds[i], frozen);
}

static void freeze(struct sim *s, const struct fault *f)
{
	set_frozen(s, f, true);
}

static void thaw(struct sim *s, const struct fault *f)
{
	set_frozen(s, f, false);
}

static void slow(struct sim *s, const struct fault *f)
{
	node_of(s, f)->api_slow = true;
}

static void quick(struct sim *s, const struct fault *f)
{
	node_of(s, f)->api_slow = false;
}

static void reconnect(struct sim *s, const struct fault *f)
{
	struct node *n = node_of(s, f);

	for (unsigned k = 0; k < SIM_STREAMS; k++)
		if (n->streams[k].connected && (f->arg >> k & 1) != 0)
			stream_close(s, &n->streams[k]);
	node_turn(n);
}

static void delete_lease(struct sim *s, const struct fault *f)
{
	char name[64];

	(void)snprintf(
		name, sizeof name, "lbd-%s-n%u", f->arg % 2 == 0 ? "node" : "claims", f->node + 1);
	server_delete(s, CLUSTER_LEASE, name);
}

static void lag(struct sim *s, const struct fault *f)
{
	const uint64_t lease_us = s->setup.elections.node_duration_ms * SIM_MS;

	node_of(s, f)->watch_lag_us = f->arg % lease_us;
}

static void no_lag(struct sim *s, const struct fault *f)
{
	node_of(s, f)->watch_lag_us = 0;
}

static void cut(struct sim *s, const struct fault *f)
{
	node_cut_api(node_of(s, f), true, f->arg % 2 == 0);
}

static void uncut(struct sim *s, const struct fault *f)
{
	node_cut_api(node_of(s, f), false, false);
}

static void lose_answers(struct sim *s, const struct fault *f)
{
	server_set_loss(s, (unsigned)(f->arg % (LOSS_MAX / 3)));
}

static void keep_answers(struct sim *s, const struct fault *f)
{
	(void)f;
	server_set_loss(s, 0);
}

/* -- of a node -- */

static void crash(struct sim *s, const struct fault *f)
{
	node_kill(node_of(s, f), "is killed");
	if (f->arg % 4 == 0)
		disk_lose(&node_of(s, f)->disk);
}

static void restart(struct sim *s, const struct fault *f)
{
	node_start(node_of(s, f));
}

static void stop(struct sim *s, const struct fault *f)
{
	node_stop(node_of(s, f), false);
}

static void suspend(struct sim *s, const struct fault *f)
{
	node_stop(node_of(s, f), true);
}

static void resume(struct sim *s, const struct fault *f)
{
	node_resume(node_of(s, f));
}

static void drain(struct sim *s, const struct fault *f)
{
	node_drain(node_of(s, f), f->lasts_us / SIM_MS);
}

static void leave(struct sim *s, const struct fault *f)
{
	node_exit(node_of(s, f));
}

static void configure_oddly(struct sim *s, const struct fault *f)
{
	node_set_config(node_of(s, f), true);
}

static void configure(struct sim *s, const struct fault *f)
{
	node_set_config(node_of(s, f), false);
}

static void link_down(struct sim *s, const struct fault *f)
{
	node_set_port(node_of(s, f), f->segment, f->arg % 3 != 0, false);
}

static void link_up(struct sim *s, const struct fault *f)
{
	node_set_port(node_of(s, f), f->segment, true, true);
}

static void new_mac(struct sim *s, const struct fault *f)
{
	const uint8_t mac[6] = {2, 0xbb, 0, (uint8_t)f->segment, (uint8_t)f->node, (uint8_t)f->arg};

	node_set_mac(node_of(s, f), f->segment, mac);
}

static void clone_mac(struct sim *s, const struct fault *f)
{
	uint8_t mac[6];

	memcpy(mac, lan_mac(s, f->segment, other_node(s, f)), 6);
	node_set_mac(node_of(s, f), f->segment, mac);
}

static void own_mac(struct sim *s, const struct fault *f)
{
	node_set_mac(node_of(s, f), f->segment, NULL);
}

/* -- of the LAN -- */

static uint64_t mask_of(const struct sim *s, const struct fault *f)
{
	return f->arg & (((uint64_t)1 << s->setup.n_nodes) - 1);
}

static void set_part(struct sim *s, const struct fault *f, bool on)
{
	uint64_t mask = mask_of(s, f);
	unsigned n = s->setup.n_nodes;

	for (unsigned a = 0; a < n + LAN_GUESTS; a++)
		for (unsigned b = 0; b < n + LAN_GUESTS; b++)
			if ((mask >> (a < n ? a : 0) & 1) != (mask >> (b < n ? b : 0) & 1))
				lan_cut(s, f->segment, a, b, on);
	check_on_node(s);
}

static void part(struct sim *s, const struct fault *f)
{
	set_part(s, f, true);
}

static void join(struct sim *s, const struct fault *f)
{
	set_part(s, f, false);
}

static void one_way(struct sim *s, const struct fault *f)
{
	lan_cut(s, f->segment, f->node, other_node(s, f), true);
	check_on_node(s);
}

static void both_ways(struct sim *s, const struct fault *f)
{
	lan_cut(s, f->segment, f->node, other_node(s, f), false);
	check_on_node(s);
}

static void lose_frames(struct sim *s, const struct fault *f)
{
	lan_set_loss(s, f->segment, (unsigned)(f->arg % (LOSS_MAX + 1)));
}

static void keep_frames(struct sim *s, const struct fault *f)
{
	lan_set_loss(s, f->segment, 0);
}

static void chaos(struct sim *s, const struct fault *f)
{
	lan_set_chaos(s, f->segment, (unsigned)(f->arg % 30), (unsigned)(f->arg / 64 % 20));
}

static void order(struct sim *s, const struct fault *f)
{
	lan_set_chaos(s, f->segment, 0, 0);
}

static void foreign(struct sim *s, const struct fault *f)
{
	struct addr vip = vip_of(s, f);
	uint8_t mac[6];

	memcpy(mac, lan_mac(s, f->segment, f->node), 6);
	guest_answer_for(s, f->segment, vip, f->arg / 64 % 2 == 0 ? NULL : mac);
	guest_claim(s, f->segment, vip);
}

static void no_foreign(struct sim *s, const struct fault *f)
{
	guest_be_quiet(s, f->segment);
}

/* -- of the users -- */

static void toggle_service(struct sim *s, const struct fault *f)
{
	users_toggle_service(s, (unsigned)(f->arg % s->setup.n_services));
}

static void change_endpoints(struct sim *s, const struct fault *f)
{
	users_set_endpoints(s, (unsigned)(f->arg % s->setup.n_services), f->arg / 16);
}

static void exclude(struct sim *s, const struct fault *f)
{
	users_exclude_node(s, f->node, true);
}

static void admit(struct sim *s, const struct fault *f)
{
	users_exclude_node(s, f->node, false);
}

static const struct kind kinds[] = {
	{"the API is down", CLASS_API, 6, api_down, api_up},
	{"watches freeze", CLASS_API, 6, freeze, thaw},
	{"the API is slow", CLASS_API, 6, slow, quick},
	{"watches break", CLASS_API, 6, reconnect, NULL},
	{"a Lease is deleted", CLASS_API, 6, delete_lease, NULL},
	{"watches lag", CLASS_API, 3, lag, no_lag},
	{"cut from the API", CLASS_CUT, 6, cut, uncut},
	{"requests are lost", CLASS_CUT, 4, lose_answers, keep_answers},
	{"killed", CLASS_NODE, 6, crash, restart},
	{"stopped", CLASS_NODE, 4, stop, resume},
	{"suspended", CLASS_NODE, 2, suspend, resume},
	{"drained", CLASS_NODE, 4, drain, NULL},
	{"told to exit", CLASS_NODE, 4, leave, NULL},
	{"another configuration", CLASS_NODE, 2, configure_oddly, configure},
	{"link down", CLASS_NODE, 3, link_down, link_up},
	{"another MAC", CLASS_NODE, 1, new_mac, own_mac},
	{"a cloned MAC", CLASS_NODE, 1, clone_mac, own_mac},
	{"the LAN parts", CLASS_LAN, 6, part, join},
	{"deaf one way", CLASS_LAN, 4, one_way, both_ways},
	{"frames are lost", CLASS_LAN, 6, lose_frames, keep_frames},
	{"frames come twice and late", CLASS_LAN, 3, chaos, order},
	{"a foreign host answers", CLASS_LAN, 3, foreign, no_foreign},
	{"a Service comes or goes", CLASS_USER, 8, toggle_service, NULL},
	{"endpoints change", CLASS_USER, 6, change_endpoints, NULL},
	{"a Node is excluded", CLASS_USER, 3, exclude, admit},
};

/* -- a list of them -- */

static unsigned pick_kind(struct rng *r, bool api_only)
{
	unsigned total = 0, k;
	uint64_t at;

	for (k = 0; k < ARRAY_LEN(kinds); k++)
		total += !api_only || kinds[k].class == CLASS_API ? kinds[k].weight : 0;
	at = rng_below(r, total);
	for (k = 0; k < ARRAY_LEN(kinds); k++) {
		if (api_only && kinds[k].class != CLASS_API)
			continue;
		if (at < kinds[k].weight)
			return k;
		at -= kinds[k].weight;
	}
	abort();
}

/* Mostly short, at times longer than a Lease. */
static uint64_t pick_length_us(struct rng *r, uint64_t lease_us)
{
	if (rng_below(r, 4) == 0)
		return 10 * SIM_MS + rng_below(r, 2 * SIM_S);
	return 400 * SIM_MS + rng_below(r, 2 * lease_us);
}

static struct fault invent(struct rng *r, const struct schedule *c, unsigned round, uint64_t at_us)
{
	struct fault f = {.at_us = at_us,
		.kind = pick_kind(r, c->rounds[round].api_only),
		.node = (unsigned)rng_below(r, c->setup.n_nodes),
		.segment = (unsigned)rng_below(r, c->setup.n_segments),
		.arg = rng_next(r) >> 1};

	if (kinds[f.kind].end != NULL || kinds[f.kind].begin == drain)
		f.lasts_us = pick_length_us(r, c->setup.elections.node_duration_ms * SIM_MS);
	if (at_us + f.lasts_us > c->rounds[round].end_us)
		f.lasts_us = c->rounds[round].end_us - at_us;
	return f;
}

static struct config_elections pick_timers(struct rng *r)
{
	static const struct config_elections choices[] = {
		{.node_duration_ms = 3000,
			.node_renew_ms = 750,
			.leader_duration_ms = 2000,
			.leader_renew_deadline_ms = 1300,
			.leader_retry_period_ms = 400}, /* the laboratory */
		{.node_duration_ms = 10000,
			.node_renew_ms = 2500,
			.leader_duration_ms = 5000,
			.leader_renew_deadline_ms = 3500,
			.leader_retry_period_ms = 1000},
		{.node_duration_ms = 40000,
			.node_renew_ms = 10000,
			.leader_duration_ms = 15000,
			.leader_renew_deadline_ms = 10000,
			.leader_retry_period_ms = 5000}, /* the default */
	};
	/* The longer the Leases, the longer a run: few of them. */
	struct config_elections el = choices[sim_chance(r, 60) ? 0 : sim_chance(r, 70) ? 1 : 2];

	el.namespace_ = "kube-system";
	el.bfd_interval_ms = 100;
	el.bfd_multiplier = 3;
	el.bfd_mesh_limit = 16;
	el.hold_down_ms = 5000;
	el.max_share = sim_chance(r, 50) ? 1.25 : 0;
	return el;
}

/* By a generator of its own, so that a seed of before is as it was but for these. */
static void pick_more(struct sim_setup *p)
{
	struct rng mix = {.state = ~p->seed}, r = {.state = rng_next(&mix)};

	p->v6 = p->allocates ? 0 : (unsigned)rng_below(&r, UINT64_C(1) << p->n_segments);
	p->disks = sim_chance(&r, 75);
}

static struct sim_setup pick_setup(struct rng *r, uint64_t seed)
{
	struct sim_setup p = {.seed = seed, .elections = pick_timers(r)};

	p.storm = STORM;
	p.allocates = sim_chance(r, 50);
	p.clocks_vary = sim_chance(r, 75);
	p.n_nodes = 2 + (unsigned)rng_below(r, MAX_NODES - 1);
	p.n_segments = !p.allocates && sim_chance(r, 40) ? 2 : 1;
	p.n_services = 2 + (unsigned)rng_below(r, MAX_SERVICES - 1);
	pick_more(&p);
	return p;
}

static void plan_rounds(struct schedule *c, struct rng *r)
{
	uint64_t lease_us = c->setup.elections.node_duration_ms * SIM_MS, at_us = 0;
	uint64_t settle_us = 2 * lease_us + 20 * SIM_S;

	for (unsigned i = 0; i < FAULTS_ROUNDS; i++) {
		c->rounds[i].begin_us = at_us;
		c->rounds[i].end_us = at_us + 20 * SIM_S + 4 * lease_us;
		c->rounds[i].rest_us = c->rounds[i].end_us + 2 * lease_us + 21 * SIM_S +
				       (settle_us > 60 * SIM_S ? settle_us : 60 * SIM_S);
		c->rounds[i].over_us =
			c->rounds[i].rest_us + 10 * c->setup.elections.node_renew_ms * SIM_MS;
		c->rounds[i].api_only = i == 1 && sim_chance(r, 40);
		at_us = c->rounds[i].over_us;
	}
}

struct schedule schedule_make(uint64_t seed)
{
	struct rng mix = {.state = seed}, r = {.state = rng_next(&mix)};
	struct schedule c = {.setup = pick_setup(&r, seed)};
	uint64_t lease_us = c.setup.elections.node_duration_ms * SIM_MS;

	plan_rounds(&c, &r);
	c.v = sim_alloc(MAX_FAULTS, sizeof *c.v);
	for (unsigned i = 0; i < FAULTS_ROUNDS; i++) {
		uint64_t at_us =
			c.rounds[i].begin_us + FIRST_FAULT_US + rng_below(&r, 4 * FIRST_FAULT_US);

		while (at_us < c.rounds[i].end_us && c.n < MAX_FAULTS) {
			c.v[c.n++] = invent(&r, &c, i, at_us);
			at_us += 100 * SIM_MS + rng_below(&r, lease_us);
		}
	}
	return c;
}

void schedule_free(struct schedule *c)
{
	free(c->v);
}

void fault_print(const struct fault *f, FILE *out)
{
	fprintf(out, "at %.3f s for %.3f s: %s, n%u, segment %u, %" PRIu64,
		(double)f->at_us / SIM_S, (double)f->lasts_us / SIM_S, kinds[f->kind].name,
		f->node + 1, f->segment, f->arg);
}

/* -- a run -- */

static void on_end(struct sim *s, const struct event *ev)
{
	const struct fault *f = ev->p;

	sim_trace(s, "over: %s, n%u, segment %u", kinds[f->kind].name, f->node + 1, f->segment);
	kinds[f->kind].end(s, f);
}

static void on_begin(struct sim *s, const struct event *ev)
{
	struct fault *f = ev->p;

	sim_trace(s, "fault: %s, n%u, segment %u", kinds[f->kind].name, f->node + 1, f->segment);
	kinds[f->kind].begin(s, f);
	if (kinds[f->kind].end != NULL)
		sim_post(s, f->at_us + f->lasts_us, &(struct event){.fn = on_end, .p = f});
}

static void on_boot(struct sim *s, const struct event *ev)
{
	node_start(&s->nodes[ev->a]);
}

/* A killed node may have been told to exit before, and so on: all are there at the end. */
static void start_all(struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		node_resume(&s->nodes[i]);
		node_start(&s->nodes[i]);
	}
}

struct sim *schedule_run(const struct schedule *c, const bool *keep, FILE *trace)
{
	struct sim_setup setup = c->setup;
	struct sim *s;

	setup.trace = trace;
	s = sim_new(&setup);
	for (unsigned i = 0; i < setup.n_nodes; i++)
		sim_post(s, rng_below(&s->rng_users, BOOT_US),
			&(struct event){.fn = on_boot, .a = i});
	for (size_t i = 0; i < c->n; i++)
		if (keep == NULL || keep[i])
			sim_post(s, c->v[i].at_us, &(struct event){.fn = on_begin, .p = &c->v[i]});
	for (unsigned i = 0; i < FAULTS_ROUNDS; i++) {
		check_api_only(s, c->rounds[i].api_only);
		sim_advance(s, c->rounds[i].end_us);
		sim_trace(s, "the faults are over");
		sim_advance(s, c->rounds[i].end_us + RESTART_MAX_US + 5 * SIM_S);
		start_all(s);
		sim_advance(s, c->rounds[i].rest_us);
		check_begin_rest(s);
		sim_advance(s, c->rounds[i].over_us);
		if (!sim_has_failed(s))
			check_end_rest(s);
	}
	return s;
}
