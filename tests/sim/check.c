/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c - the judge.
 *
 * Owns: who announces what, since when two do or nobody does, and the table of invariants.
 * In:   what nodes, server and faults do.
 * Out:  sim_fail() with the invariant's name and the measured figure.
 *
 * What a node announces is read from its ARP and NDP responders, not from what it believes.
 */
#include "check.h"

#include "guest.h"
#include "lan.h"
#include "node.h"
#include "users.h"

#include "claims.h"

#include <inttypes.h>
#include <string.h>

enum {
	SAMPLE_US = 100 * SIM_MS,
	CLOSELY = 10,            /* every so many samples */
	OWNER_WORDS = 4,         /* 256 nodes */
	DOUBLE_US = 3 * SIM_S,   /* I1: 2 s after a heal, and the API's latency */
	HALF_US = 16 * SIM_S,    /* I1: 13 s, likewise */
	DARK_US = 3 * SIM_S,     /* worth a line in the trace */
	ANSWER_US = 20 * SIM_MS, /* a client has its answer in */
	MINUTE_US = 60 * SIM_S,
	OBJECT_MAX = 128 * 1024,
	CLAIMS_A_MINUTE = 61,
	ALONE_US = 3 * SIM_S,   /* I6: longer than it takes to ask about a suspicion, and than that is
				   good for a take */
	ALONE_COLD_US = 8 * SIM_S, /* ... in five seconds (G6) */
	SPOKEN_US = 10 * SIM_S, /* I11: in so long */
	SPOKEN_MAX = 100,       /* ... a node claims a VIP so often at most */
};

struct invariant {
	const char *name, *what;
	const char *off; /* why it is not judged; NULL: it is */
};

static const struct invariant invariants[] = {
	{"I1", "two OWNERs end: in 3 s if they hear each other, in 16 s if one does", NULL},
	{"I2", "at most one OWNER on each connected side at rest", NULL},
	{"I3", "a VIP that somebody may own has an owner: at rest", NULL},
	{"I3 in time", "... and within 0.55 s of its owner's death",
		"among other faults it is only measured; judged by the scenarios I3, F4outage"},
	{"I4", "faults of the API plane alone, and their end, move nothing", NULL},
	{"I5", "nothing changes in 60 s at rest", NULL},
	{"I6", "no take but a weak one where nothing is heard", NULL},
	{"I7", "no answer and no claim for what is not owned", NULL},
	{"I8", "no address is given to two Services", NULL},
	{"I9", "one leader; no write of it after its deadline, or its successor's first", NULL},
	{"I10", "writes at rest, claims once a second, objects of 128 kB", NULL},
	{"I11", "no storm of claims: 100 of a VIP in 10 s by ARP", NULL},
	{"I12", "newly placed VIPs are spread",
		"who may own them changes while they are placed; judged by the scenario F15"},
	{"I13", "at rest none waits or asks, and claims equal the wire", NULL},
	{"answers", "at rest a client that asks is answered by the owner alone", NULL},
};

struct tracked {
	struct addr vip;
	unsigned segment;
	uint64_t owners[OWNER_WORDS]; /* announce it, running or not */
	unsigned n_owners;
	uint64_t dark_us, double_us, half_us; /* since when; TIME_NEVER */
	uint64_t minute_us;                   /* of moves */
	unsigned moves;
	uint64_t spoken_us; /* when it was last counted anew, of each node */
	uint8_t *spoken;    /* owned */
};

struct check {
	struct tracked *vips; /* owned; those of segment 0, then 1 */
	size_t n_vips;        /* of each segment */
	bool api_only, resting;
	bool lenient; /* I1 is only measured */
	uint64_t rest_us;
	uint64_t *writes; /* owned; of each node, since rest began */
	struct claims_count {
		uint64_t minute_us;
		unsigned n;
	} * claims; /* owned; of each node */
	struct check_figures figures;
	uint64_t generation; /* of what is known about sides */
	uint64_t nodes_changed, n_samples;
	uint8_t *side; /* owned; of each segment, of each node; 0xff = is nowhere */
	unsigned n_sides[SIM_SEGMENTS];
	uint64_t *alone_us; /* owned; of each segment, of each node: since when it hears nothing;
			       TIME_NEVER */
};

void check_print_table(FILE *out)
{
	for (size_t i = 0; i < ARRAY_LEN(invariants); i++)
		fprintf(out, "%-10s %s: %s%s\n", invariants[i].name,
			invariants[i].off == NULL ? "judged" : "off", invariants[i].what,
			invariants[i].off == NULL ? "" : "; ");
	for (size_t i = 0; i < ARRAY_LEN(invariants); i++)
		if (invariants[i].off != NULL)
			fprintf(out, "%s is off: %s\n", invariants[i].name, invariants[i].off);
}

static void sample(struct sim *s, const struct event *ev);

struct check *check_new(struct sim *s)
{
	struct check *c = sim_alloc(1, sizeof *c);

	c->n_vips = users_vip_count(s);
	c->vips = sim_alloc(c->n_vips * s->setup.n_segments, sizeof *c->vips);
	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++)
		c->vips[i] = (struct tracked){
			.vip = users_vip(s, (unsigned)(i / c->n_vips), i % c->n_vips),
			.segment = (unsigned)(i / c->n_vips),
			.spoken = sim_alloc(s->setup.n_nodes, 1),
			.dark_us = TIME_NEVER,
			.double_us = TIME_NEVER,
			.half_us = TIME_NEVER};
	c->writes = sim_alloc(s->setup.n_nodes, sizeof *c->writes);
	c->claims = sim_alloc(s->setup.n_nodes, sizeof *c->claims);
	c->side = sim_alloc((size_t)s->setup.n_nodes * SIM_SEGMENTS, 1);
	c->alone_us = sim_alloc((size_t)s->setup.n_nodes * SIM_SEGMENTS, sizeof *c->alone_us);
	memset(c->alone_us, 0xff, (size_t)s->setup.n_nodes * SIM_SEGMENTS * sizeof *c->alone_us);
	REQUIRE(s->setup.n_nodes <= OWNER_WORDS * 64);
	sim_post(s, s->now_us + SAMPLE_US, &(struct event){.fn = sample});
	return c;
}

void check_free(struct sim *s)
{
	struct check *c = s->check;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++)
		free(c->vips[i].spoken);
	free(c->vips);
	free(c->writes);
	free(c->claims);
	free(c->side);
	free(c->alone_us);
	free(c);
}

static struct tracked *find(const struct sim *s, struct addr vip, unsigned segment)
{
	struct check *c = s->check;
	struct tracked *t;
	uint8_t ip[16], first[16];
	size_t at;

	if (segment >= s->setup.n_segments)
		return NULL;
	addr_to_v6(vip, ip);
	addr_to_v6(c->vips[segment * c->n_vips].vip, first);
	at = (size_t)(ip[14] << 8 | ip[15]) - (size_t)(first[14] << 8 | first[15]);
	if (at >= c->n_vips)
		return NULL;
	t = &c->vips[segment * c->n_vips + at];
	return addr_eq(t->vip, vip) ? t : NULL;
}

static bool owns(const struct tracked *t, unsigned node)
{
	return t->owners[node / 64] >> (node % 64) & 1;
}

/* -- sides: who hears whom, both ways -- */

static bool hears(const struct sim *s, unsigned segment, const struct node *a, const struct node *b)
{
	return lan_passes(s, segment, a->index, b->index) &&
	       lan_passes(s, segment, b->index, a->index);
}

static bool is_on(const struct node *n, unsigned segment)
{
	return node_runs(n) && n->ports[segment].there && n->ports[segment].carrier;
}

static void spread_side(const struct sim *s, unsigned segment, unsigned from, uint8_t *side)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (side[i] == 0xff && is_on(&s->nodes[i], segment) &&
			hears(s, segment, &s->nodes[from], &s->nodes[i])) {
			side[i] = side[from];
			spread_side(s, segment, i, side);
		}
}

/* Does anything come to n there: of another process, of the kernel of a machine whose process does not
 * run, of the client? */
static bool is_reached(const struct sim *s, const struct node *n, unsigned segment)
{
	if (!s->setup.lonely &&
		lan_passes(s, segment, s->setup.n_nodes + LAN_CLIENT, n->index))
		return true;
	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		const struct node *from = &s->nodes[i];

		if (from != n && !from->suspended && from->ports[segment].there &&
			from->ports[segment].carrier && lan_passes(s, segment, i, n->index))
			return true;
	}
	return false;
}

static void find_alone(struct sim *s)
{
	for (unsigned k = 0; k < s->setup.n_segments; k++)
		for (unsigned i = 0; i < s->setup.n_nodes; i++) {
			uint64_t *us = &s->check->alone_us[k * s->setup.n_nodes + i];

			if (is_reached(s, &s->nodes[i], k))
				*us = TIME_NEVER;
			else if (*us == TIME_NEVER)
				*us = s->now_us;
		}
}

static void find_sides(struct sim *s)
{
	struct check *c = s->check;
	uint64_t now = lan_generation(s) + c->nodes_changed;

	if (c->generation == now)
		return;
	c->generation = now;
	find_alone(s);
	memset(c->side, 0xff, (size_t)s->setup.n_nodes * SIM_SEGMENTS);
	for (unsigned k = 0; k < s->setup.n_segments; k++) {
		uint8_t *side = c->side + (size_t)k * s->setup.n_nodes;

		c->n_sides[k] = 0;
		for (unsigned i = 0; i < s->setup.n_nodes; i++)
			if (side[i] == 0xff && is_on(&s->nodes[i], k)) {
				side[i] = (uint8_t)c->n_sides[k]++;
				spread_side(s, k, i, side);
			}
	}
}

/* -- one VIP -- */

/* Would this node own it if nobody did?  By what its units believe. */
static bool is_able(const struct node *n, const struct tracked *t)
{
	struct elect_view view;
	const struct vip *v;

	if (!node_runs(n) || !n->synced_once || n->exiting)
		return false;
	v = vip_find(n->w.vips, t->vip);
	return v != NULL && elect_view(n->elect, v->group->id, &view) &&
	       view.elig->reason == REASON_OWNER;
}

/* Is there somebody on n's side who can show it that its link works (R8)? */
static bool is_witnessed(const struct sim *s, const struct node *n, unsigned segment)
{
	const uint8_t *side = s->check->side + (size_t)segment * s->setup.n_nodes;
	unsigned client = s->setup.n_nodes + LAN_CLIENT;

	if (!s->setup.lonely && lan_passes(s, segment, n->index, client) &&
		lan_passes(s, segment, client, n->index))
		return true;
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (i != n->index && side[i] == side[n->index])
			return true;
	return false;
}

/* Is there a side with somebody who could take it, and no owner? */
static bool is_dark(const struct sim *s, const struct tracked *t)
{
	const uint8_t *side = s->check->side + (size_t)t->segment * s->setup.n_nodes;

	for (unsigned k = 0; k < s->check->n_sides[t->segment]; k++) {
		unsigned owners = 0;
		bool able = false;

		for (unsigned i = 0; i < s->setup.n_nodes; i++) {
			const struct node *n = &s->nodes[i];

			if (side[i] != k)
				continue;
			owners += owns(t, i);
			able = able || (owners == 0 && is_able(n, t) &&
					       is_witnessed(s, n, t->segment));
		}
		if (owners == 0 && able)
			return true;
	}
	return false;
}

/* How well do two owners hear each other: not at all, one the other, both? */
enum hearing { HEAR_NOT, HEAR_ONE, HEAR_BOTH };

static enum hearing hearing_of(const struct sim *s, const struct tracked *t)
{
	enum hearing best = HEAR_NOT;

	for (unsigned a = 0; t->n_owners > 1 && a < s->setup.n_nodes; a++)
		for (unsigned b = 0; b < a && owns(t, a) && is_on(&s->nodes[a], t->segment); b++) {
			unsigned ways = (unsigned)lan_passes(s, t->segment, a, b) +
					(unsigned)lan_passes(s, t->segment, b, a);

			if (owns(t, b) && is_on(&s->nodes[b], t->segment) && ways > best)
				best = (enum hearing)ways;
		}
	return best;
}

/* Something is so since *io_since_us, or is not (TIME_NEVER).  Returns for how long it has been. */
static uint64_t follow(struct sim *s, bool is, uint64_t *io_since_us, uint64_t *io_longest)
{
	uint64_t us = *io_since_us != TIME_NEVER ? s->now_us - *io_since_us : 0;

	if (us > *io_longest)
		*io_longest = us;
	if (!is)
		*io_since_us = TIME_NEVER;
	else if (*io_since_us == TIME_NEVER)
		*io_since_us = s->now_us;
	return us;
}

/* What disturbs the wire itself: the bounds of I1 are for frames that arrive. */
static bool is_disturbed(const struct sim *s, unsigned segment)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (s->now_us < s->nodes[i].mac_odd_us)
			return true;
	return lan_is_disturbed(s, segment);
}

/* Nodes that know different things of each other by their Leases take longer (I1: "+ API latency"):
 * as long as that lasts.  Where all are without the API, they do not. */
static uint64_t latency_us(const struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_nodes && server_is_up(s); i++)
		if (node_runs(&s->nodes[i]) && node_lags(&s->nodes[i]))
			return 2 * s->setup.elections.node_duration_ms * SIM_MS;
	return 0;
}

static void judge(struct sim *s, struct tracked *t)
{
	struct check_figures *f = &s->check->figures;
	bool disturbed = is_disturbed(s, t->segment);
	enum hearing h = disturbed ? HEAR_NOT : hearing_of(s, t);
	uint64_t dark_us, both_us, one_us;
	bool dark;
	char text[ADDR_STRLEN];

	find_sides(s);
	dark = is_dark(s, t);
	dark_us = follow(s, dark, &t->dark_us, &f->dark_us);
	if (!dark && dark_us >= DARK_US)
		sim_trace(s, "%s was nobody's for %.3f s", addr_format(t->vip, text),
			(double)dark_us / SIM_S);
	both_us = follow(s, h == HEAR_BOTH, &t->double_us, &f->double_us);
	one_us = follow(s, h != HEAR_NOT, &t->half_us, &f->half_us);
	if (disturbed || s->check->lenient)
		return;
	if (both_us > DOUBLE_US + latency_us(s))
		sim_fail(s, "I1", "%s has two owners that hear each other for %.3f s",
			addr_format(t->vip, text), (double)both_us / SIM_S);
	if (one_us > HALF_US + latency_us(s))
		sim_fail(s, "I1", "%s has two owners, one of which hears the other, for %.3f s",
			addr_format(t->vip, text), (double)one_us / SIM_S);
}

/* A VIP with one owner, where all hear each other, needs no second look, and one that nobody has or
 * wants not so often. */
static bool is_plain(const struct sim *s, const struct tracked *t, bool closely)
{
	if (t->dark_us != TIME_NEVER || t->double_us != TIME_NEVER || t->half_us != TIME_NEVER)
		return false;
	return t->n_owners == 0 ? !closely : s->check->n_sides[t->segment] == 1 && t->n_owners == 1;
}

static void judge_all(struct sim *s, bool closely)
{
	struct check *c = s->check;

	find_sides(s);
	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++)
		if (!is_plain(s, &c->vips[i], closely))
			judge(s, &c->vips[i]);
}

static void sample(struct sim *s, const struct event *ev)
{
	judge_all(s, s->check->n_samples++ % CLOSELY == 0);
	sim_post(s, s->now_us + SAMPLE_US, ev);
}

static void count_move(struct sim *s, struct tracked *t)
{
	struct check_figures *f = &s->check->figures;

	if (s->now_us - t->minute_us > MINUTE_US) {
		t->minute_us = s->now_us;
		t->moves = 0;
	}
	if (++t->moves > f->moves_a_minute)
		f->moves_a_minute = t->moves;
	f->moves++;
	f->last_move_us = s->now_us;
}

/* -- what happens -- */

/* Does n take this from another, knowing nothing of its being gone but that it hears nothing at all? */
static bool is_blind_take(struct sim *s, const struct node *n, const struct tracked *t)
{
	const struct vip *v = vip_find(n->w.vips, t->vip);
	struct elect_view view;
	uint64_t long_us;

	if (v == NULL || !elect_view(n->elect, v->group->id, &view) || view.weak || view.why == NULL)
		return false;
	long_us = strcmp(view.why, "ownerNeverSeen") == 0 ? ALONE_COLD_US : ALONE_US;
	if (strcmp(view.why, "leaseExpired") != 0 && strncmp(view.why, "owner", 5) != 0)
		return false;
	find_sides(s);
	for (unsigned k = 0; k < s->setup.n_segments; k++) {
		uint64_t us = s->check->alone_us[k * s->setup.n_nodes + n->index];

		if (us == TIME_NEVER || s->now_us - us < long_us)
			return false;
	}
	return true;
}

void check_on_announced(struct sim *s, const struct node *n, struct addr vip, unsigned segment,
	bool on, const char *why)
{
	struct tracked *t = find(s, vip, segment);
	struct check *c = s->check;
	char text[ADDR_STRLEN];

	sim_trace(s, "%s %s %s (%s)", n->name, on ? "announces" : "drops", addr_format(vip, text),
		why);
	if (t == NULL)
		return; /* off its subnet, where no member has it: OWNERSHIP R1 */
	if (c->api_only)
		sim_fail(s, "I4", "%s %s %s after faults of the API alone", n->name,
			on ? "takes" : "drops", text);
	if (c->resting)
		sim_fail(s, "I5", "%s %s %s at rest", n->name, on ? "takes" : "drops", text);
	t->owners[n->index / 64] ^= (uint64_t)1 << (n->index % 64);
	t->n_owners = on ? t->n_owners + 1 : t->n_owners - 1;
	if (on)
		count_move(s, t);
	if (on && is_blind_take(s, n, t))
		sim_fail(s, "I6", "%s takes %s and hears nobody", n->name, text);
	judge(s, t);
}

void check_on_dead(struct sim *s, const struct node *n)
{
	struct check *c = s->check;

	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++) {
		struct tracked *t = &c->vips[i];

		if (!owns(t, n->index))
			continue;
		t->owners[n->index / 64] ^= (uint64_t)1 << (n->index % 64);
		t->n_owners--;
	}
}

/* At every moment at most one believes that it may write. */
static void check_leaders(struct sim *s)
{
	const struct node *first = NULL;

	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		const struct node *n = &s->nodes[i];

		if (!node_is_leader(n))
			continue;
		if (first != NULL)
			sim_fail(s, "I9", "%s and %s are leaders", first->name, n->name);
		first = n;
	}
}

void check_on_node(struct sim *s)
{
	s->check->nodes_changed++;
	check_leaders(s);
	judge_all(s, true);
}

void check_on_turn(struct sim *s, const struct node *n)
{
	if (n->was_leader)
		check_leaders(s);
}

/* Frames that speak for a VIP come from who owns it. */
void check_on_sent(
	struct sim *s, const struct node *n, unsigned segment, const uint8_t *frame, size_t len)
{
	struct tracked *t;
	struct word w;
	char text[ADDR_STRLEN];

	if (!guest_read_word(frame, len, &w) || w.kind == WORD_PROBE)
		return;
	t = find(s, w.sender, segment);
	if (t == NULL)
		return;
	if (!owns(t, n->index))
		sim_fail(s, "I7", "%s speaks for %s, which it does not own", n->name,
			addr_format(w.sender, text));
	if (s->now_us - t->spoken_us > SPOKEN_US) {
		t->spoken_us = s->now_us;
		memset(t->spoken, 0, s->setup.n_nodes);
	}
	/* NDP's answer to a probe looks like a claim (RFC 4861 7.2.4). */
	if (w.kind == WORD_CLAIM && addr_family(w.sender) == ADDR_V4 &&
		++t->spoken[n->index] > SPOKEN_MAX)
		sim_fail(s, "I11", "%s claims %s %u times in %.3f s", n->name,
			addr_format(t->vip, text), t->spoken[n->index],
			(double)(s->now_us - t->spoken_us) / SIM_S);
}

void check_on_write(struct sim *s, const struct node *n, enum request_kind kind, const char *name)
{
	struct claims_count *k = &s->check->claims[n->index];

	s->check->writes[n->index]++;
	if (kind != REQUEST_ELECT || strncmp(name, "lbd-claims-", 11) != 0)
		return;
	if (s->now_us - k->minute_us > MINUTE_US)
		*k = (struct claims_count){.minute_us = s->now_us};
	if (++k->n > CLAIMS_A_MINUTE)
		sim_fail(s, "I10", "%s wrote its claims %u times in a minute", n->name, k->n);
	if (server_biggest(s) > OBJECT_MAX)
		sim_fail(s, "I10", "an object of %zu bytes", server_biggest(s));
}

static bool status_has(const cJSON *json, struct addr ip)
{
	const cJSON *lb = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "status"), "loadBalancer"),
		    *i;

	cJSON_ArrayForEach (i, cJSON_GetObjectItem(lb, "ingress"))
		if (addr_eq(world_ip(cJSON_GetStringValue(cJSON_GetObjectItem(i, "ip"))), ip))
			return true;
	return false;
}

static const cJSON *metadata(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItem(cJSON_GetObjectItem(json, "metadata"), key);
}

static const char *sharing_key(const cJSON *json)
{
	return cJSON_GetStringValue(
		cJSON_GetObjectItem(metadata(json, "annotations"), "lbd.io/allow-shared-ip"));
}

void check_on_given(struct sim *s, const cJSON *json, struct addr ip)
{
	const char *name = cJSON_GetStringValue(metadata(json, "name"));
	const cJSON *x;
	size_t i = 0;

	while ((x = server_next(s, CLUSTER_SERVICE, &i)) != NULL)
		if (x != json && status_has(x, ip) &&
			(sharing_key(x) == NULL || sharing_key(json) == NULL))
			sim_fail(s, "I8", "%s is given an address of %s", name,
				cJSON_GetStringValue(metadata(x, "name")));
}

/* -- phases -- */

void check_api_only(struct sim *s, bool on)
{
	s->check->api_only = on;
}

void check_begin_rest(struct sim *s)
{
	struct check *c = s->check;

	c->resting = true;
	c->rest_us = s->now_us;
	memset(c->writes, 0, s->setup.n_nodes * sizeof *c->writes);
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (!node_runs(&s->nodes[i]) || s->nodes[i].exiting)
			sim_fail(s, "simulator", "%s is not back", s->nodes[i].name);
}

/* Does the API say that n owns it? */
static bool publishes(struct sim *s, const struct node *n, struct addr vip)
{
	char name[64];
	const struct cluster_lease *l;
	struct claim *v;
	size_t count;
	bool hit = false;

	(void)snprintf(name, sizeof name, "lbd-claims-%s", n->name);
	l = server_lease(s, name);
	if (l == NULL || l->claims == NULL)
		return false;
	if (claims_parse(l->claims, &v, &count) != 0) {
		sim_fail(s, "I13", "%s publishes what cannot be read: %s", n->name, l->claims);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		hit |= addr_range_contains(v[i].range, vip);
	free(v);
	return hit;
}

static void check_state(struct sim *s, const struct node *n, struct addr vip, const char *text)
{
	const struct vip *v = vip_find(n->w.vips, vip);
	struct elect_view view;

	if (v != NULL && elect_view(n->elect, v->group->id, &view) &&
		(view.state == ELECT_WAIT || view.state == ELECT_PROBE))
		sim_fail(s, "I13", "%s is still in %s on %s", text,
			view.state == ELECT_WAIT ? "WAIT" : "PROBE", n->name);
}

static void check_vip(struct sim *s, const struct tracked *t)
{
	unsigned able = 0, owners = 0;
	char text[ADDR_STRLEN];

	(void)addr_format(t->vip, text);
	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		const struct node *n = &s->nodes[i];
		bool on = node_announces(n, t->vip, t->segment), may = node_may_own(n, t->vip);

		able += may;
		owners += on;
		if (on != owns(t, i))
			sim_fail(
				s, "simulator", "%s: who announces %s is not known", n->name, text);
		if (on && !may)
			sim_fail(s, "I7", "%s announces %s and may not", n->name, text);
		if (on != publishes(s, n, t->vip))
			sim_fail(s, "I13", "%s %s %s but its claims say otherwise", n->name,
				on ? "announces" : "does not announce", text);
		check_state(s, n, t->vip, text);
	}
	if (owners > 1)
		sim_fail(s, "I2", "%s has %u owners at rest", text, owners);
	if (owners == 0 && able > 0)
		sim_fail(s, "I3", "%s has no owner at rest, and %u candidates", text, able);
}

static void ask_all(struct sim *s)
{
	const struct check *c = s->check;

	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++)
		guest_ask(s, c->vips[i].segment, c->vips[i].vip);
	sim_advance(s, s->now_us + ANSWER_US);
}

/* Its owner has answered the client, and nobody else. */
static void check_answer(struct sim *s, const struct tracked *t)
{
	const struct node *owner = check_owner(s, t->vip, t->segment);
	const struct guest_asked *a = guest_asked(s, t->segment, t->vip);
	char text[ADDR_STRLEN];

	(void)addr_format(t->vip, text);
	if (a->n_answers != (owner != NULL))
		sim_fail(s, "answers", "%s is answered for %u times", text, a->n_answers);
	else if (owner != NULL && memcmp(a->mac, owner->ports[t->segment].mac, 6) != 0)
		sim_fail(s, "answers", "%s is answered for by another than %s", text, owner->name);
}

/* No Service is lost: it has an address. */
static void check_services(struct sim *s)
{
	const cJSON *o;
	size_t i = 0;

	while ((o = server_next(s, CLUSTER_SERVICE, &i)) != NULL) {
		const cJSON *lb =
			cJSON_GetObjectItem(cJSON_GetObjectItem(o, "status"), "loadBalancer");

		if (cJSON_GetArraySize(cJSON_GetObjectItem(lb, "ingress")) < 1)
			sim_fail(s, "lost", "%s has no address",
				cJSON_GetStringValue(metadata(o, "name")));
	}
}

/* In units of the renewals that there may have been. */
static uint64_t most_writes(const struct sim *s, const struct node *n, uint64_t span_ms)
{
	const struct config_elections *el = &s->setup.elections;
	uint64_t renew_ms = el->node_renew_ms;
	uint64_t most;

	if (s->setup.n_nodes > 32) /* F36 */
		renew_ms = renew_ms * s->setup.n_nodes / 32;
	most = span_ms / renew_ms + 2;
	if (node_is_leader(n))
		most += span_ms / el->leader_retry_period_ms + 2;
	return most;
}

void check_end_rest(struct sim *s)
{
	struct check *c = s->check;
	uint64_t span_ms = (s->now_us - c->rest_us) / SIM_MS;
	unsigned leaders = 0;

	ask_all(s);
	c->resting = false;
	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++) {
		check_vip(s, &c->vips[i]);
		check_answer(s, &c->vips[i]);
	}
	check_services(s);
	for (unsigned i = 0; i < s->setup.n_nodes; i++) {
		const struct node *n = &s->nodes[i];

		leaders += node_is_leader(n);
		if (c->writes[i] > most_writes(s, n, span_ms))
			sim_fail(s, "I10",
				"%s wrote %" PRIu64 " times in %.0f s at rest, %" PRIu64
				" are enough",
				n->name, c->writes[i], (double)span_ms / 1000,
				most_writes(s, n, span_ms));
	}
	if (leaders != 1)
		sim_fail(s, "I9", "%u leaders at rest", leaders);
}

void check_be_lenient(struct sim *s)
{
	s->check->lenient = true;
}

/* -- measured -- */

struct check_figures check_figures(struct sim *s)
{
	struct check *c = s->check;
	struct check_figures f = c->figures;

	for (size_t i = 0; i < c->n_vips * s->setup.n_segments; i++) {
		struct tracked t = c->vips[i]; /* what goes on counts as well */

		(void)follow(s, false, &t.dark_us, &f.dark_us);
		(void)follow(s, false, &t.double_us, &f.double_us);
		(void)follow(s, false, &t.half_us, &f.half_us);
	}
	return f;
}

void check_measure_anew(struct sim *s)
{
	struct check_figures *f = &s->check->figures;

	f->double_us = f->half_us = f->dark_us = 0;
}

unsigned check_owners(const struct sim *s, struct addr vip, unsigned segment)
{
	const struct tracked *t = find(s, vip, segment);
	unsigned n = 0;

	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		n += owns(t, i) && node_runs(&s->nodes[i]);
	return n;
}

struct node *check_owner(const struct sim *s, struct addr vip, unsigned segment)
{
	const struct tracked *t = find(s, vip, segment);
	struct node *found = NULL;

	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		if (owns(t, i) && node_runs(&s->nodes[i])) {
			if (found != NULL)
				return NULL;
			found = &s->nodes[i];
		}
	return found;
}
