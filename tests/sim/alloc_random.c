/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc_random.c - random operations on the shipping allocator, decoder and configuration, against
 * a model that says in the plainest way what is lawful.
 *
 *   alloc_random [--ops N] [--seed START] [--verbose]
 *
 * A seed is a run of OPS_A_SEED operations: users create, change, delete and create again; somebody
 * writes statuses; pools are edited; watch events come late and in any order; writes are refused,
 * lost on the way there or back, or answered late; the leader changes, and then knows only the
 * API's state.
 *
 * After every operation:
 * - no write of the leader's brings a Service onto an address that the status of another shows,
 * unless the two may share it;
 * - no two hold an address that they may not share; none gains one that it may not have; nobody but
 * the Service that an operation is about loses anything (unless pools that move their Services are
 * edited). At rest (everything delivered, nothing left to do):
 * - the API shows what is held; each Service that could have an address has one, the others have
 * the right reason; each pool's count is the model's; when all are deleted it is zero. A seed
 * replays exactly: its first seeds are run twice, and their hashes compared.
 */
#include "alloc.h"
#include "cluster.h"
#include "config.h"
#include "json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	NAMES = 24,
	SPACES = 3, /* namespaces */
	OPS_A_SEED = 2000,
	TWICE = 5, /* seeds that are run twice */
	MAX_PENDING = 12,
	MAX_SHOWN = 4, /* addresses in a status */
	MAX_POOLS = 4,
	BLOCKS = 8, /* of BLOCK addresses in each family, each of one pool or of none */
	BLOCK = 6,
	ADDRESSES = BLOCKS * BLOCK,
	NONE = -1,           /* no address, no pool */
	OUTSIDE = ADDRESSES, /* the number of an address in no pool's reach */
	KEYS = 3,
	PORTS = 6, /* TCP and UDP 1..3 */
	REST_STEPS = 3000
};

/* The IPv4 addresses end in .236 to .255 and .0 to .27. */
#define V4_BASE 0x0a0000ecU

/* -- what users wrote: the model's words for it -- */

enum class_ { CLASS_NONE, CLASS_OURS, CLASS_OTHER };
enum text { TEXT_NONE, TEXT_NONSENSE, TEXT_ADDRESS }; /* of a field or annotation */

struct wish {
	enum text kind;
	int at[ADDR_FAMILIES]; /* numbers of addresses; NONE */
};

struct spec {
	bool balancer, ignore, headless, local, front;
	enum class_ class_;
	enum cluster_ip_family_policy policy;
	unsigned n_families;
	enum addr_family families[2];
	unsigned ports;    /* bits */
	unsigned key;      /* 0 = none */
	unsigned selector; /* of pods */
	struct wish field, note;
	int pool; /* asked for; NONE; MAX_POOLS: one that never is */
};

struct shown {
	enum addr_family f;
	int at;
};

/* An object of the API. */
struct object {
	bool exists;
	struct spec spec;
	unsigned long uid, rv;
	struct shown status[MAX_SHOWN];
	unsigned n_status;
	bool hostname; /* somebody planted one */
	bool marked;   /* ip-allocated-from-pool */
};

struct pool_model {
	bool exists, metallb, moves, auto_assign, buggy, selects;
	unsigned priority, spaces; /* 0: not given; bits, 0: not given */
	unsigned first, last;      /* places of its blocks' ends within them */
};

struct pools_model {
	struct pool_model v[MAX_POOLS];
	int owner[ADDR_FAMILIES][BLOCKS]; /* NONE */
};

struct held {
	int at[ADDR_FAMILIES];
};

struct pending {
	unsigned name;
	uint64_t id;
	unsigned long uid, rv;
	int at[ADDR_FAMILIES];
	bool v6_first;
	struct spec known[NAMES]; /* as the leader knew them when it handed the write out */
	uint64_t since[ADDR_FAMILIES];
};

struct run {
	uint64_t seed, op, now_ms, digest;
	struct rng rng;
	bool verbose, failed;
	struct cluster *cluster;
	struct alloc *alloc;
	struct config *conf;
	struct pools_model pools;
	struct object api[NAMES];
	struct object known[NAMES]; /* what the leader was shown last */
	bool dirty[NAMES];
	struct held held[NAMES];
	uint64_t tick;                        /* one more each time that something is delivered */
	uint64_t delivered[NAMES];            /* when last */
	uint64_t since[NAMES][ADDR_FAMILIES]; /* when what is held was got */
	bool planted[ADDR_FAMILIES]
		    [ADDRESSES + 1]; /* by somebody in a status, since all was at rest */
	struct pending pending[MAX_PENDING];
	unsigned n_pending;
	unsigned long uid, rv;
};

static const struct hash_key hkey = {17, 19};

static bool chance(struct run *r, unsigned one_in)
{
	return rng_below(&r->rng, one_in) == 0;
}

static unsigned below(struct run *r, unsigned n)
{
	return (unsigned)rng_below(&r->rng, n);
}

static void fail(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fail(struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (r->failed)
		return;
	r->failed = true;
	printf("seed %" PRIu64 ", operation %" PRIu64 ": ", r->seed, r->op);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nagain: alloc_random --seed %" PRIu64 " --ops %d --verbose\n", r->seed,
		OPS_A_SEED);
}

static void say(const struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(const struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->verbose)
		return;
	printf("%" PRIu64 " (%" PRIu64 " ms): ", r->op, r->now_ms);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static void digest(struct run *r, uint64_t v)
{
	r->digest = (r->digest ^ v) * 1099511628211u;
}

/* -- numbers and addresses -- */

static struct addr address(enum addr_family f, int at)
{
	unsigned char v4[4];
	uint32_t n = V4_BASE + (unsigned)at;

	if (at == OUTSIDE)
		n = 0x08080808;
	if (f == ADDR_V4) {
		for (unsigned i = 0; i < 4; i++)
			v4[i] = (unsigned char)(n >> (24 - 8 * i));
		return addr_from_v4(v4);
	}
	return (struct addr){.hi = 0xfd00000000000000u, .lo = n};
}

static int number(struct addr a)
{
	for (int at = 0; at <= OUTSIDE; at++) {
		if (addr_eq(address(addr_family(a), at), a))
			return at;
	}
	return OUTSIDE;
}

static const char *text_of(enum addr_family f, int at, char out[ADDR_STRLEN])
{
	return addr_format(address(f, at), out);
}

/* -- the naive model -- */

static bool served(const struct spec *s)
{
	return s->balancer && !s->ignore && s->class_ != CLASS_OTHER;
}

/* MetalLB's condition. */
static bool may_share(const struct spec *a, const struct spec *b)
{
	unsigned backend_a = a->local ? a->selector : 0, backend_b = b->local ? b->selector : 0;

	return a->key != 0 && a->key == b->key && backend_a == backend_b &&
	       (a->ports & b->ports) == 0;
}

/* The pool that has the address; NONE. */
static int pool_of_number(const struct run *r, enum addr_family f, int at)
{
	int p = at < ADDRESSES ? r->pools.owner[f][at / BLOCK] : NONE;
	unsigned place = (unsigned)at % BLOCK;

	if (p == NONE || place < r->pools.v[p].first || place > r->pools.v[p].last)
		return NONE;
	return p;
}

static bool is_buggy(enum addr_family f, int at)
{
	unsigned low = (V4_BASE + (unsigned)at) & 0xff;

	return f == ADDR_V4 && (low == 0 || low == 255);
}

/* The pool that gives the address: one that avoids buggy ones does not, even to who asks. */
static int giver(const struct run *r, enum addr_family f, int at)
{
	int p = pool_of_number(r, f, at);

	return p != NONE && r->pools.v[p].buggy && is_buggy(f, at) ? NONE : p;
}

static bool admits(const struct run *r, int p, unsigned name, const struct spec *s)
{
	const struct pool_model *m = &r->pools.v[p];

	return (m->spaces == 0 || (m->spaces >> name % SPACES & 1) != 0) &&
	       (!m->selects || s->front);
}

/* What the Service asks for: of each family, and in all; the field may repeat the annotation. */
static enum reason asked(const struct spec *s, int ret_at[ADDR_FAMILIES])
{
	const struct wish *w = s->note.kind != TEXT_NONE ? &s->note : &s->field;

	ret_at[ADDR_V4] = ret_at[ADDR_V6] = NONE;
	if (w->kind == TEXT_NONE)
		return REASON_ALLOCATED;
	if (s->note.kind == TEXT_NONSENSE || s->field.kind == TEXT_NONSENSE)
		return REASON_BAD_REQUEST;
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		if (s->field.kind == TEXT_ADDRESS && s->field.at[f] != NONE &&
			s->field.at[f] != w->at[f])
			return REASON_REQUEST_CONFLICT;
	}
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		if (w->at[f] != NONE && s->families[0] != f &&
			(s->n_families < 2 || s->families[1] != f))
			return REASON_FAMILY_MISMATCH;
	}
	memcpy(ret_at, w->at, sizeof w->at);
	return REASON_ALLOCATED;
}

/* Who is in the way of name on the address, by holdings: NAMES when nobody is. */
static unsigned in_the_way(const struct run *r, unsigned name, enum addr_family f, int at)
{
	unsigned i = 0;

	while (i < NAMES && (i == name || r->held[i].at[f] != at ||
				    may_share(&r->known[i].spec, &r->known[name].spec)))
		i++;
	return i;
}

/* May the pool serve the Service, which asked for a pool or did not? */
static bool fits(const struct run *r, int p, unsigned name, const struct spec *s)
{
	return r->pools.v[p].exists && admits(r, p, name, s) &&
	       (s->pool != NONE ? s->pool == p : r->pools.v[p].auto_assign);
}

static enum reason could_have_asked(const struct run *r, unsigned name, enum addr_family f, int at)
{
	const struct spec *s = &r->known[name].spec;
	int p = pool_of_number(r, f, at);
	unsigned other;

	if (p == NONE)
		return REASON_NOT_IN_POOL;
	if (s->pool != NONE && s->pool != p)
		return REASON_REQUEST_CONFLICT;
	if (!admits(r, p, name, s))
		return REASON_POOL_NOT_ADMITTED;
	if (giver(r, f, at) == NONE)
		return REASON_NOT_IN_POOL;
	other = in_the_way(r, name, f, at);
	if (other == NAMES)
		return REASON_ALLOCATED;
	return s->key == 0 || r->known[other].spec.key == 0 ? REASON_IN_USE
							    : REASON_SHARING_REFUSED;
}

/* Any address of any pool that fits. */
static enum reason could_have_any(const struct run *r, unsigned name, enum addr_family f)
{
	const struct spec *s = &r->known[name].spec;
	enum reason why = REASON_NO_FITTING_POOL;

	for (int at = 0; at < ADDRESSES; at++) {
		int p = giver(r, f, at);

		if (p == NONE || !fits(r, p, name, s))
			continue;
		why = REASON_POOL_EXHAUSTED;
		if (in_the_way(r, name, f, at) == NAMES)
			return REASON_ALLOCATED;
	}
	return why;
}

static enum reason could_have(const struct run *r, unsigned name, enum addr_family f, int at)
{
	return at != NONE ? could_have_asked(r, name, f, at) : could_have_any(r, name, f);
}

static bool any_pool(const struct run *r)
{
	bool any = false;

	for (int p = 0; p < MAX_POOLS; p++)
		any = any || r->pools.v[p].exists;
	return any;
}

/* What is wrong with the Service whatever the addresses' state; REASON_ALLOCATED: nothing. */
static enum reason wrong_by_itself(const struct run *r, unsigned name, int ret_at[ADDR_FAMILIES])
{
	const struct spec *s = &r->known[name].spec;
	enum reason why;

	if (s->headless || (s->policy == CLUSTER_REQUIRE_DUAL && s->n_families < 2))
		return REASON_NO_CLUSTER_IP;
	why = asked(s, ret_at);
	if (why == REASON_ALLOCATED && s->pool != NONE) {
		if (s->pool == MAX_POOLS || !r->pools.v[s->pool].exists)
			return REASON_POOL_UNKNOWN;
		if (!admits(r, s->pool, name, s))
			return REASON_POOL_NOT_ADMITTED;
	}
	return why;
}

/* -- what is held, before and after -- */

static void read_held(struct run *r, struct held out[NAMES])
{
	struct addr v[2];
	char key[32];

	for (unsigned i = 0; i < NAMES; i++) {
		size_t n;

		(void)snprintf(key, sizeof key, "n%u/s%u", i % SPACES, i);
		n = alloc_holding(r->alloc, key, v);
		out[i] = (struct held){{NONE, NONE}};
		for (size_t k = 0; k < n; k++) {
			if (out[i].at[addr_family(v[k])] != NONE)
				fail(r, "s%u holds two of a family", i);
			out[i].at[addr_family(v[k])] = number(v[k]);
		}
	}
}

static bool shows(const struct object *o, enum addr_family f, int at)
{
	for (unsigned i = 0; i < o->n_status; i++) {
		if (o->status[i].f == f && o->status[i].at == at)
			return true;
	}
	return false;
}

/* May the Service have got this address just now, which it did not have? */
static void check_gain(struct run *r, unsigned name, enum addr_family f, int at, bool adopting)
{
	const struct object *o = &r->known[name];
	int p = pool_of_number(r, f, at), want[ADDR_FAMILIES];

	if (!o->exists || !served(&o->spec) || o->spec.headless)
		fail(r, "s%u is not served and got an address", name);
	else if (o->spec.families[0] != f && (o->spec.n_families < 2 || o->spec.families[1] != f))
		fail(r, "s%u got an address of another family", name);
	else if (p == NONE)
		fail(r, "s%u got address %d, which is in no pool", name, at);
	else if (adopting && shows(o, f, at))
		return;
	else if (giver(r, f, at) == NONE)
		fail(r, "s%u got address %d, which pool %d avoids", name, at, p);
	else if (!admits(r, p, name, &o->spec))
		fail(r, "s%u got address %d of pool %d, which does not admit it", name, at, p);
	else if (asked(&o->spec, want) != REASON_ALLOCATED || (want[f] != NONE && want[f] != at))
		fail(r, "s%u got address %d, asked for %d", name, at, want[f]);
	else if (want[f] == NONE && !fits(r, p, name, &o->spec))
		fail(r, "s%u got address %d of pool %d, which does not fit", name, at, p);
}

static void check_change(struct run *r, unsigned name, const struct held *was,
	const struct held *is, bool may_lose, bool adopting)
{
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		if (was->at[f] == is->at[f])
			continue;
		if (was->at[f] != NONE && !may_lose)
			fail(r, "s%u lost address %d for no fault of its own", name, was->at[f]);
		if (is->at[f] != NONE)
			check_gain(r, name, f, is->at[f], adopting);
		/* Who shows it to a new leader had it before. */
		r->since[name][f] = adopting && shows(&r->known[name], f, is->at[f]) ? 0 : r->tick;
	}
}

static void check_pairs(struct run *r)
{
	for (unsigned i = 0; i < NAMES; i++) {
		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
			int at = r->held[i].at[f];
			unsigned other = at != NONE ? in_the_way(r, i, f, at) : NAMES;

			if (other != NAMES)
				fail(r, "s%u and s%u hold address %d", i, other, at);
		}
	}
}

static void take_results(struct run *r)
{
	struct alloc_result res;
	unsigned n = 0;

	while (alloc_next_result(r->alloc, &res)) {
		say(r, "%s: %s, %s", res.name, reason_code(res.reason), res.detail);
		digest(r, res.reason);
		for (size_t i = 0; i < res.n_ips; i++)
			digest(r, (uint64_t)number(res.ips[i]));
		if (++n > NAMES)
			fail(r, "results without end");
	}
}

/* An edit moved the address that it holds out of the pool that it asks for. */
static bool is_elsewhere(const struct run *r, unsigned name)
{
	const struct spec *s = &r->known[name].spec;
	bool any = false;

	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES && s->pool != NONE; f++) {
		int at = r->held[name].at[f];
		int p = at != NONE ? pool_of_number(r, f, at) : NONE;

		any = any || (p != NONE && p != s->pool);
	}
	return any;
}

/* What an operation did; name: whose, NAMES = nobody's; all: everybody may lose. */
static void after(struct run *r, unsigned name, bool all, bool adopting)
{
	struct held was[NAMES];
	bool elsewhere[NAMES];

	for (unsigned i = 0; i < NAMES; i++)
		elsewhere[i] = is_elsewhere(r, i);
	take_results(r);
	memcpy(was, r->held, sizeof was);
	read_held(r, r->held);
	for (unsigned i = 0; i < NAMES && r->verbose; i++) {
		if (memcmp(&was[i], &r->held[i], sizeof was[i]) != 0)
			say(r, "s%u: %d,%d -> %d,%d", i, was[i].at[ADDR_V4], was[i].at[ADDR_V6],
				r->held[i].at[ADDR_V4], r->held[i].at[ADDR_V6]);
	}
	for (unsigned i = 0; i < NAMES; i++)
		check_change(
			r, i, &was[i], &r->held[i], all || i == name || elsewhere[i], adopting);
	check_pairs(r);
}

/* -- JSON -- */

struct out {
	char b[4096];
	size_t n;
};

static void put(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->b + o->n, sizeof o->b - o->n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof o->b - o->n)
		abort();
	o->n += (size_t)n;
}

static void put_wish(struct out *o, const struct wish *w)
{
	const char *comma = "";
	char t[ADDR_STRLEN];

	if (w->kind == TEXT_NONSENSE)
		put(o, "nonsense");
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES && w->kind == TEXT_ADDRESS; f++) {
		if (w->at[f] == NONE)
			continue;
		put(o, "%s%s", comma, text_of(f, w->at[f], t));
		comma = ",";
	}
}

static void put_meta(struct out *o, unsigned name, const struct object *b)
{
	const struct spec *s = &b->spec;

	put(o,
		"{\"metadata\":{\"namespace\":\"n%u\",\"name\":\"s%u\",\"uid\":\"u%08lu\","
		"\"resourceVersion\":"
		"\"%lu\",\"creationTimestamp\":\"2024-01-01T%02lu:%02lu:%02luZ\",\"labels\":{%s},"
		"\"annotations\":{\"x/y\":\"z\"",
		name % SPACES, name, b->uid, b->rv, b->uid / 3600 % 24, b->uid / 60 % 60,
		b->uid % 60, s->front ? "\"tier\":\"front\"" : "");
	if (s->key != 0)
		put(o, ",\"metallb.io/allow-shared-ip\":\"k%u\"", s->key);
	if (s->pool != NONE)
		put(o, ",\"metallb.io/address-pool\":\"p%d\"", s->pool);
	if (s->ignore)
		put(o, ",\"lbd.io/ignore\":\"true\"");
	if (s->note.kind != TEXT_NONE) {
		put(o, ",\"metallb.io/loadBalancerIPs\":\"");
		put_wish(o, &s->note);
		put(o, "\"");
	}
	put(o, "%s}}", b->marked ? ",\"lbd.io/ip-allocated-from-pool\":\"x\"" : "");
}

static void put_spec(struct out *o, const struct spec *s)
{
	static const char *const policy[] = {"SingleStack", "PreferDualStack", "RequireDualStack"};
	const char *comma = "";

	put(o,
		",\"spec\":{\"type\":\"%s\",\"ipFamilyPolicy\":\"%s\",\"externalTrafficPolicy\":\"%"
		"s\",",
		s->balancer ? "LoadBalancer" : "ClusterIP", policy[s->policy],
		s->local ? "Local" : "Cluster");
	put(o, "\"clusterIP\":\"%s\",\"ipFamilies\":[", s->headless ? "None" : "10.43.0.1");
	for (unsigned i = 0; i < s->n_families; i++)
		put(o, "%s\"%s\"", i > 0 ? "," : "", s->families[i] == ADDR_V4 ? "IPv4" : "IPv6");
	put(o, "],\"selector\":{");
	if (s->selector != 0)
		put(o, "\"app\":\"a%u\"", s->selector);
	put(o, "},\"ports\":[");
	for (unsigned i = 0; i < PORTS; i++) {
		if ((s->ports >> i & 1) == 0)
			continue;
		put(o, "%s{\"protocol\":\"%s\",\"port\":%u}", comma, i % 2 != 0 ? "UDP" : "TCP",
			i / 2 + 1);
		comma = ",";
	}
	put(o, "]");
	if (s->class_ != CLASS_NONE)
		put(o, ",\"loadBalancerClass\":\"%s\"",
			s->class_ == CLASS_OURS ? "lbd.io/lbd" : "example.com/lb");
	if (s->field.kind != TEXT_NONE) {
		put(o, ",\"loadBalancerIP\":\"");
		put_wish(o, &s->field);
		put(o, "\"");
	}
	put(o, "}");
}

static void put_status(struct out *o, const struct object *b)
{
	char t[ADDR_STRLEN];

	put(o, ",\"status\":{\"loadBalancer\":{\"ingress\":[%s",
		b->hostname ? "{\"hostname\":\"lb.example.com\"}" : "");
	for (unsigned i = 0; i < b->n_status; i++)
		put(o, "%s{\"ip\":\"%s\"}", i > 0 || b->hostname ? "," : "",
			text_of(b->status[i].f, b->status[i].at, t));
	put(o, "]}}}");
}

static void say_spec(struct run *r, unsigned name, const struct object *b)
{
	struct out o;

	if (!r->verbose)
		return;
	o.n = 0;
	put_meta(&o, name, b);
	put_spec(&o, &b->spec);
	put_status(&o, b);
	say(r, "%s", o.b);
}

static void apply(struct run *r, unsigned name, const struct object *b, enum cluster_event event)
{
	struct out o = {.n = 0};
	cJSON *json;

	put_meta(&o, name, b);
	put_spec(&o, &b->spec);
	put_status(&o, b);
	json = json_parse(o.b, o.n);
	if (json == NULL || cluster_apply(r->cluster, CLUSTER_SERVICE, event, json) != 0)
		abort();
	cJSON_Delete(json);
}

/* -- pools -- */

static void put_pool_more(struct out *o, const struct pool_model *m)
{
	const char *comma = "";

	put(o, "autoAssign: %s, avoidBuggyIPs: %s", m->auto_assign ? "true" : "false",
		m->buggy ? "true" : "false");
	if (!m->metallb)
		put(o, ", reuseDelay: 20s, reallocate: %s", m->moves ? "true" : "false");
	if (m->priority == 0 && m->spaces == 0 && !m->selects)
		return;
	put(o, ", serviceAllocation: {priority: %u", m->priority);
	if (m->spaces != 0)
		put(o, ", namespaces: [");
	for (unsigned i = 0; i < SPACES; i++) {
		if ((m->spaces >> i & 1) == 0)
			continue;
		put(o, "%sn%u", comma, i);
		comma = ", ";
	}
	put(o, "%s%s}", m->spaces != 0 ? "]" : "",
		m->selects ? ", serviceSelectors: [{matchLabels: {tier: front}}]" : "");
}

static void put_pool(struct out *o, const struct pools_model *m, int p)
{
	const struct pool_model *v = &m->v[p];
	const char *comma = "";
	char a[ADDR_STRLEN], b[ADDR_STRLEN];

	if (v->metallb)
		put(o,
			"---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: "
			"{name: p%d, "
			"namespace: metallb-system}\nspec: {addresses: [",
			p);
	else
		put(o, "- {name: p%d, addresses: [", p);
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		for (int k = 0; k < BLOCKS; k++) {
			if (m->owner[f][k] != p)
				continue;
			put(o, "%s'%s-%s'", comma, text_of(f, k * BLOCK + (int)v->first, a),
				text_of(f, k * BLOCK + (int)v->last, b));
			comma = ", ";
		}
	}
	put(o, "], ");
	put_pool_more(o, v);
	put(o, "}\n");
}

static void configure(struct run *r)
{
	struct out o = {.n = 0};
	struct config_source src = {.name = "random", .text = o.b};
	struct config_report report;
	struct config *conf;
	bool native = false;

	put(&o, "apiVersion: lbd.io/v1\nkind: Config\nservicelb: {mode: never}\n");
	for (unsigned metallb = 0; metallb < 2; metallb++) {
		for (int p = 0; p < MAX_POOLS; p++) {
			const struct pool_model *m = &r->pools.v[p];

			if (!m->exists || m->metallb != (metallb == 1))
				continue;
			if (!m->metallb && !native)
				put(&o, "pools:\n");
			native = native || !m->metallb;
			put_pool(&o, &r->pools, p);
		}
	}
	src.len = o.n;
	config_report_init(&report);
	if (config_parse(&src, 1, &conf, &report) != 0) {
		printf("%s%s", o.b, report.errors.p);
		abort();
	}
	config_report_free(&report);
	if (alloc_configure(r->alloc, conf, r->now_ms) != 0)
		abort();
	config_free(r->conf);
	r->conf = conf;
	say(r, "configured:\n%s", o.b);
}

static bool any_moves(const struct pools_model *m)
{
	bool any = false;

	for (int p = 0; p < MAX_POOLS; p++)
		any = any || (m->v[p].exists && (m->v[p].moves || m->v[p].metallb));
	return any;
}

static void random_pool(struct run *r, struct pool_model *m)
{
	*m = (struct pool_model){.exists = false, /* until it gets a block */
		.metallb = chance(r, 4),
		.moves = chance(r, 5),
		.auto_assign = !chance(r, 4),
		.buggy = chance(r, 3),
		.selects = chance(r, 6),
		.priority = chance(r, 2) ? below(r, 3) : 0,
		.spaces = chance(r, 3) ? below(r, 1U << SPACES) : 0,
		.first = chance(r, 3) ? below(r, 2) : 0,
		.last = BLOCK - 1 - (chance(r, 3) ? below(r, 3) : 0)};
}

static void edit_pools(struct run *r)
{
	bool moved = any_moves(&r->pools);

	for (int p = 0; p < MAX_POOLS; p++) {
		if (r->op == 0 || chance(r, 3))
			random_pool(r, &r->pools.v[p]);
		r->pools.v[p].exists = false;
	}
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		for (unsigned k = 0; k < BLOCKS; k++) {
			int *owner = &r->pools.owner[f][k];

			if (r->op == 0 || chance(r, 4))
				*owner = (int)below(r, MAX_POOLS + 2) - 2;
			if (*owner < 0)
				*owner = NONE;
			else
				r->pools.v[*owner].exists = true;
		}
	}
	configure(r);
	after(r, NAMES, moved || any_moves(&r->pools), false);
}

/* -- users -- */

static int some_address(struct run *r)
{
	return chance(r, 12) ? OUTSIDE : (int)below(r, ADDRESSES);
}

static void random_wish(struct run *r, const struct spec *s, struct wish *w)
{
	enum addr_family f = chance(r, 10) ? ADDR_V6 : s->families[0];

	*w = (struct wish){
		.kind = chance(r, 15) ? TEXT_NONSENSE : TEXT_ADDRESS, .at = {NONE, NONE}};
	w->at[f] = some_address(r);
	if (s->n_families == 2 && chance(r, 2))
		w->at[ADDR_V4 + ADDR_V6 - f] = some_address(r);
}

static void random_families(struct run *r, struct spec *s)
{
	s->families[0] = chance(r, 4) ? ADDR_V6 : ADDR_V4;
	s->families[1] = (enum addr_family)(ADDR_V4 + ADDR_V6 - s->families[0]);
	s->policy = CLUSTER_SINGLE_STACK;
	s->n_families = 1;
	if (!chance(r, 3))
		return;
	s->policy = chance(r, 2) ? CLUSTER_PREFER_DUAL : CLUSTER_REQUIRE_DUAL;
	s->n_families = chance(r, 8) ? 1 : 2;
}

static void random_spec(struct run *r, struct spec *s)
{
	*s = (struct spec){.balancer = !chance(r, 12),
		.ignore = chance(r, 25),
		.headless = chance(r, 40),
		.local = chance(r, 4),
		.front = chance(r, 3),
		.class_ = chance(r, 8)   ? CLASS_OTHER
			  : chance(r, 4) ? CLASS_OURS
					 : CLASS_NONE,
		.ports = 1U << below(r, PORTS),
		.key = chance(r, 2) ? below(r, KEYS) + 1 : 0,
		.selector = below(r, 3),
		.pool = chance(r, 8) ? (int)below(r, MAX_POOLS + 1) : NONE};
	random_families(r, s);
	if (chance(r, 3))
		s->ports |= 1U << below(r, PORTS);
	if (chance(r, 6))
		random_wish(r, s, &s->field);
	if (chance(r, 6))
		random_wish(r, s, &s->note);
	if (s->note.kind == TEXT_ADDRESS && chance(r, 4))
		s->field = s->note;
	/* The field holds one address. */
	if (s->field.kind == TEXT_ADDRESS && s->field.at[ADDR_V4] != NONE)
		s->field.at[ADDR_V6] = NONE;
}

static void touched(struct run *r, unsigned name)
{
	r->api[name].rv = ++r->rv;
	r->dirty[name] = true;
}

static void user_creates(struct run *r, unsigned name)
{
	struct object *o = &r->api[name];

	*o = (struct object){.exists = true, .uid = ++r->uid};
	random_spec(r, &o->spec);
	touched(r, name);
	say(r, "s%u is created, uid %lu", name, o->uid);
}

/* One part of the spec, or all. */
static void user_changes(struct run *r, unsigned name)
{
	struct spec *s = &r->api[name].spec, n;

	random_spec(r, &n);
	switch (below(r, 7)) {
	case 0:
		s->key = n.key;
		break;
	case 1:
		s->ports = n.ports;
		break;
	case 2:
		s->pool = n.pool;
		break;
	case 3:
		s->field = n.field;
		s->note = n.note;
		break;
	case 4:
		s->balancer = n.balancer;
		s->class_ = n.class_;
		s->ignore = n.ignore;
		break;
	case 5:
		s->local = n.local;
		s->selector = n.selector;
		s->front = n.front;
		break;
	default:
		*s = n;
		break;
	}
	touched(r, name);
	say(r, "s%u is changed", name);
}

static void user_deletes(struct run *r, unsigned name)
{
	r->api[name].exists = false;
	r->dirty[name] = true;
	say(r, "s%u is deleted", name);
}

static void user_acts(struct run *r, unsigned name)
{
	if (!r->api[name].exists) {
		user_creates(r, name);
	} else if (chance(r, 3)) {
		user_deletes(r, name);
		if (chance(r, 2))
			user_creates(r, name); /* between two looks */
	} else {
		user_changes(r, name);
	}
}

/* Somebody writes the status: another load balancer, a thief, a restored backup. */
static void foreign_writes(struct run *r, unsigned name)
{
	struct object *o = &r->api[name];

	if (!o->exists)
		return;
	o->hostname = chance(r, 6);
	if (chance(r, 3))
		o->n_status = 0;
	while (o->n_status < MAX_SHOWN && !chance(r, 3)) {
		enum addr_family f = chance(r, 4) ? ADDR_V6 : ADDR_V4;
		int at = some_address(r);

		if (!shows(o, f, at))
			o->status[o->n_status++] = (struct shown){f, at};
		r->planted[f][at] = true;
	}
	touched(r, name);
	say(r, "somebody writes the status of s%u", name);
}

/* -- the watch -- */

static void pass(struct run *r)
{
	for (size_t i = 0; i < cluster_dirty_count(r->cluster); i++) {
		struct cluster_dirty d = cluster_dirty_at(r->cluster, i);
		struct cluster_service s;

		if (!cluster_service(r->cluster, d.key, &s))
			alloc_delete(r->alloc, d.key, r->now_ms);
		else if (alloc_put(r->alloc, &s, r->now_ms) != 0)
			abort();
	}
	cluster_clean(r->cluster);
}

static void deliver(struct run *r, unsigned name)
{
	struct object *o = &r->api[name];

	if (!o->exists && !r->known[name].exists) {
		r->dirty[name] = false;
		return;
	}
	say(r, "s%u is delivered, %s", name, o->exists ? "there" : "gone");
	if (o->exists)
		say_spec(r, name, o);
	apply(r, name, o->exists ? o : &r->known[name], o->exists ? CLUSTER_PUT : CLUSTER_DELETE);
	r->known[name] = *o;
	r->dirty[name] = false;
	r->delivered[name] = ++r->tick;
	pass(r);
	after(r, name, false, false);
}

/* -- writes -- */

static void hand_out(struct run *r)
{
	struct pending *p = &r->pending[r->n_pending];
	struct alloc_write w;

	if (r->n_pending == MAX_PENDING || !alloc_next_write(r->alloc, r->now_ms, &w))
		return;
	p->name = (unsigned)strtoul(w.name + 1, NULL, 10);
	p->id = w.id;
	p->uid = strtoul(w.uid + 1, NULL, 10);
	p->rv = strtoul(w.resource_version, NULL, 10);
	p->at[ADDR_V4] = p->at[ADDR_V6] = NONE;
	p->v6_first = w.n_ips > 0 && addr_family(w.ips[0]) == ADDR_V6;
	for (size_t i = 0; i < w.n_ips; i++)
		p->at[addr_family(w.ips[i])] = number(w.ips[i]);
	for (unsigned i = 0; i < NAMES; i++)
		p->known[i] = r->known[i].spec;
	memcpy(p->since, r->since[p->name], sizeof p->since);
	for (unsigned i = 0; i < r->n_pending; i++) {
		if (r->pending[i].uid == p->uid)
			fail(r, "two writes of s%u are under way", p->name);
	}
	digest(r, p->name * 1000U + (unsigned)(p->at[ADDR_V4] * 50 + p->at[ADDR_V6]));
	say(r, "write of s%u: %d, %d", p->name, p->at[ADDR_V4], p->at[ADDR_V6]);
	r->n_pending++;
	after(r, NAMES, false, false);
}

/* Does somebody show it whom lbd itself put there, and who may not share it?  What is said of the
 * other is what the leader knew of it then.  One that a user has changed since the two came to
 * share could as well have been changed a moment after the write: its own correction is under way.
 * An address that somebody planted is doubled by that, whoever has it, until all has come to rest.
 */
static void check_written(struct run *r, const struct pending *p, enum addr_family f)
{
	const struct spec *s = &r->api[p->name].spec;

	if (r->planted[f][p->at[f]])
		return;
	for (unsigned i = 0; i < NAMES; i++) {
		const struct object *o = &r->api[i];

		if (i == p->name || !o->exists || may_share(s, &p->known[i]) ||
			r->delivered[i] > p->since[f])
			continue;
		if (shows(o, f, p->at[f]))
			fail(r, "s%u was written address %d, which s%u shows", p->name, p->at[f],
				i);
	}
}

/* The API takes the write, if it is of the object as it is. */
static enum alloc_outcome api_takes(struct run *r, const struct pending *p)
{
	struct object *o = &r->api[p->name], was = *o;

	if (!o->exists)
		return ALLOC_WRITE_GONE;
	if (o->uid != p->uid || o->rv != p->rv)
		return ALLOC_WRITE_CONFLICT;
	o->n_status = 0;
	o->hostname = false;
	for (unsigned i = 0; i < ADDR_FAMILIES; i++) {
		enum addr_family f = (enum addr_family)((i + p->v6_first) % ADDR_FAMILIES);

		if (p->at[f] == NONE)
			continue;
		if (!shows(&was, f, p->at[f]))
			check_written(r, p, f);
		o->status[o->n_status++] = (struct shown){f, p->at[f]};
	}
	o->marked = o->n_status > 0;
	touched(r, p->name);
	return ALLOC_WRITE_OK;
}

static struct pending take_pending(struct run *r, unsigned at)
{
	struct pending p = r->pending[at];

	r->pending[at] = r->pending[--r->n_pending];
	return p;
}

static void answer(struct run *r, bool faults)
{
	enum alloc_outcome outcome;
	unsigned luck = below(r, 12);
	struct pending p;

	if (r->n_pending == 0)
		return;
	p = take_pending(r, below(r, r->n_pending));
	if (faults && luck == 0) {
		outcome = ALLOC_WRITE_NOT_SENT;
	} else if (faults && luck == 1) {
		outcome = ALLOC_WRITE_FAILED; /* lost on the way there */
	} else {
		outcome = api_takes(r, &p);
		if (faults && luck == 2)
			outcome = ALLOC_WRITE_FAILED; /* lost on the way back */
	}
	say(r, "answer to the write of s%u: %d", p.name, (int)outcome);
	alloc_write_done(r->alloc, p.id, outcome, r->now_ms);
	after(r, NAMES, false, false);
}

/* -- another leader -- */

static void new_alloc(struct run *r)
{
	alloc_free(r->alloc);
	r->alloc = alloc_new(&hkey, NULL);
	if (r->alloc == NULL || alloc_configure(r->alloc, r->conf, r->now_ms) != 0)
		abort();
}

/* The old one's writes arrive before the list of the new, or never. */
static void change_leader(struct run *r)
{
	struct cluster_service s = {0};

	say(r, "another leader");
	while (r->n_pending > 0) {
		struct pending p = take_pending(r, 0);

		if (chance(r, 2))
			(void)api_takes(r, &p);
	}
	if (chance(r, 2))
		new_alloc(r);
	r->tick++;
	alloc_begin(r->alloc);
	cluster_list_begin(r->cluster, CLUSTER_SERVICE);
	for (unsigned i = 0; i < NAMES; i++) {
		if (r->api[i].exists) {
			say_spec(r, i, &r->api[i]);
			apply(r, i, &r->api[i], CLUSTER_PUT);
		}
		r->known[i] = r->api[i];
		r->dirty[i] = false;
		r->delivered[i] = r->tick;
	}
	cluster_list_end(r->cluster, CLUSTER_SERVICE);
	cluster_clean(r->cluster);
	while (cluster_next_service(r->cluster, &s)) {
		if (alloc_put(r->alloc, &s, r->now_ms) != 0)
			abort();
	}
	alloc_adopted(r->alloc, r->now_ms);
	memset(r->held, 0xff, sizeof r->held); /* NONE */
	after(r, NAMES, true, true);
}

/* -- at rest -- */

static void come_to_rest(struct run *r)
{
	for (unsigned n = 0; n < REST_STEPS && !r->failed; n++) {
		bool moved = r->n_pending > 0;

		for (unsigned i = 0; i < NAMES; i++) {
			moved = moved || r->dirty[i];
			if (r->dirty[i])
				deliver(r, i);
		}
		hand_out(r);
		moved = moved || r->n_pending > 0;
		answer(r, false);
		if (moved)
			continue;
		if (alloc_next_deadline(r->alloc) == TIME_NEVER)
			return;
		if (alloc_next_deadline(r->alloc) > r->now_ms)
			r->now_ms = alloc_next_deadline(r->alloc);
	}
	fail(r, "it never comes to rest");
}

static bool shows_exactly(const struct object *o, const struct held *h)
{
	unsigned n = 0;

	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		if (h->at[f] == NONE)
			continue;
		n++;
		if (!shows(o, f, h->at[f]))
			return false;
	}
	return o->n_status == n && !o->hostname;
}

/* It has an address, and is said to have all that it may have. */
static void check_has(struct run *r, unsigned name, const int want[ADDR_FAMILIES])
{
	const struct spec *s = &r->known[name].spec;
	unsigned n = s->policy == CLUSTER_SINGLE_STACK ? 1 : s->n_families, got = 0;

	for (unsigned i = 0; i < n; i++) {
		enum addr_family f = s->families[i];

		got += r->held[name].at[f] != NONE;
		if (r->held[name].at[f] == NONE &&
			could_have(r, name, f, want[f]) == REASON_ALLOCATED)
			fail(r, "s%u could have an address of family %d, too", name, (int)f);
	}
	if (got == 0)
		fail(r, "s%u is said to have an address", name);
}

/* It has none: is that one of the reasons?  Any family's that cannot be had: another one may have
 * become so since. */
static bool is_why_none(
	struct run *r, unsigned name, const int want[ADDR_FAMILIES], enum reason said)
{
	const struct spec *s = &r->known[name].spec;
	unsigned n = s->policy == CLUSTER_SINGLE_STACK ? 1 : s->n_families, can = 0;
	bool all = s->policy == CLUSTER_REQUIRE_DUAL, is = false;

	for (unsigned i = 0; i < n; i++) {
		enum addr_family f = s->families[i];
		enum reason why = could_have(r, name, f, want[f]);

		can += why == REASON_ALLOCATED;
		all = all || (why != REASON_ALLOCATED && want[f] != NONE);
		if (why == REASON_NO_FITTING_POOL && !any_pool(r))
			why = REASON_NO_POOL;
		if (why == REASON_SHARING_REFUSED && said == REASON_IN_USE)
			why = said; /* the other has got or lost its key since */
		if (why == REASON_IN_USE && said == REASON_SHARING_REFUSED)
			why = said;
		is = is || (why != REASON_ALLOCATED && why == said);
	}
	return is && (can == 0 || all);
}

static void check_served(struct run *r, unsigned name, enum reason said)
{
	const struct held *h = &r->held[name];
	bool has = h->at[ADDR_V4] != NONE || h->at[ADDR_V6] != NONE;
	int want[ADDR_FAMILIES] = {NONE, NONE};
	enum reason wrong = wrong_by_itself(r, name, want);

	if (said != REASON_NO_POOL && !shows_exactly(&r->api[name], h))
		fail(r, "the status of s%u is not what it holds", name);
	if (has && r->known[name].spec.policy == CLUSTER_REQUIRE_DUAL &&
		wrong != REASON_BAD_REQUEST && wrong != REASON_REQUEST_CONFLICT &&
		(h->at[ADDR_V4] == NONE || h->at[ADDR_V6] == NONE))
		fail(r, "s%u has half of what it requires", name);
	if (has && (wrong == REASON_POOL_UNKNOWN || wrong == REASON_POOL_NOT_ADMITTED))
		return; /* an edit took the pool that it asked for, not the address */
	if (wrong != REASON_ALLOCATED) {
		if (said != wrong)
			fail(r, "s%u: %s is wrong with it, not %s", name, reason_code(wrong),
				reason_code(said));
		if (has && wrong != REASON_BAD_REQUEST && wrong != REASON_REQUEST_CONFLICT)
			fail(r, "s%u has an address although %s", name, reason_code(wrong));
		return;
	}
	if (has && said != REASON_ALLOCATED)
		fail(r, "s%u has an address and is said to be %s", name, reason_code(said));
	else if (has)
		check_has(r, name, want);
	else if (!is_why_none(r, name, want, said))
		fail(r, "s%u has no address, and %s is not why", name, reason_code(said));
}

static void check_counts(struct run *r)
{
	for (size_t i = 0; i < alloc_pool_count(r->alloc); i++) {
		struct alloc_pool_use use = alloc_pool_use(r->alloc, i);
		int p = (int)strtoul(use.name + 1, NULL, 10);

		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
			uint64_t used = 0, total = 0;

			for (int at = 0; at < ADDRESSES; at++) {
				unsigned k = 0;

				if (pool_of_number(r, f, at) != p)
					continue;
				while (k < NAMES && r->held[k].at[f] != at)
					k++;
				total += giver(r, f, at) == p;
				used += k < NAMES;
			}
			if (use.used[f] != used || use.total[f] != total)
				fail(r,
					"pool p%d counts %" PRIu64 " of %" PRIu64 ", not %" PRIu64
					" of %" PRIu64,
					p, use.used[f], use.total[f], used, total);
		}
	}
}

static void check_at_rest(struct run *r)
{
	for (unsigned i = 0; i < NAMES && !r->failed; i++) {
		const struct held *h = &r->held[i];
		struct alloc_result res = {.reason = REASON_NOT_LOAD_BALANCER};
		char key[32];
		bool known;

		(void)snprintf(key, sizeof key, "n%u/s%u", i % SPACES, i);
		known = alloc_why(r->alloc, key, &res);
		digest(r, res.reason * 10000U + (unsigned)(h->at[ADDR_V4] * 50 + h->at[ADDR_V6]));
		if (!r->api[i].exists && known)
			fail(r, "s%u is gone, and known", i);
		if (r->api[i].exists && served(&r->api[i].spec))
			check_served(r, i, res.reason);
		else if (h->at[ADDR_V4] != NONE || h->at[ADDR_V6] != NONE)
			fail(r, "s%u is not served, and has an address", i);
	}
	check_counts(r);
}

/* What is corrected by now.  A status that is not lbd's stays as it is. */
static void forget_planted(struct run *r)
{
	memset(r->planted, 0, sizeof r->planted);
	for (unsigned i = 0; i < NAMES; i++) {
		const struct object *o = &r->api[i];

		for (unsigned k = 0; o->exists && k < o->n_status; k++) {
			if (r->held[i].at[o->status[k].f] != o->status[k].at)
				r->planted[o->status[k].f][o->status[k].at] = true;
		}
	}
}

static void rest(struct run *r)
{
	come_to_rest(r);
	if (!r->failed)
		check_at_rest(r);
	forget_planted(r);
}

/* -- runs -- */

static void operation(struct run *r)
{
	unsigned luck = below(r, 1000), name = below(r, NAMES);

	if (luck < 200)
		user_acts(r, name);
	else if (luck < 220)
		foreign_writes(r, name);
	else if (luck < 560)
		deliver(r, name);
	else if (luck < 740)
		hand_out(r);
	else if (luck < 920)
		answer(r, true);
	else if (luck < 970)
		r->now_ms += below(r, 3000);
	else if (luck < 985)
		edit_pools(r);
	else if (luck < 992)
		change_leader(r);
	else
		rest(r);
}

static void start(struct run *r, uint64_t seed, bool verbose)
{
	*r = (struct run){.seed = seed, .now_ms = 1000000, .rng = {seed}, .verbose = verbose};
	memset(r->held, 0xff, sizeof r->held); /* NONE */
	r->cluster = cluster_new(&hkey, NULL);
	r->alloc = alloc_new(&hkey, NULL);
	if (r->cluster == NULL || r->alloc == NULL)
		abort();
	edit_pools(r);
	alloc_begin(r->alloc);
	alloc_adopted(r->alloc, r->now_ms);
	take_results(r);
}

/* All are deleted: nothing is left anywhere. */
static void finish(struct run *r)
{
	if (!r->failed)
		rest(r);
	for (unsigned i = 0; i < NAMES && !r->failed; i++)
		if (r->api[i].exists)
			user_deletes(r, i);
	if (!r->failed)
		rest(r);
	alloc_free(r->alloc);
	cluster_free(r->cluster);
	config_free(r->conf);
}

/* The hash of all that the allocator said; *ret_failed. */
static uint64_t play(uint64_t seed, uint64_t ops, bool verbose, bool *ret_failed)
{
	struct run *r = malloc(sizeof *r);
	uint64_t hash;

	if (r == NULL)
		abort();
	start(r, seed, verbose);
	for (r->op = 1; r->op <= ops && !r->failed; r->op++)
		operation(r);
	finish(r);
	hash = r->digest;
	*ret_failed = r->failed;
	free(r);
	return hash;
}

int main(int argc, char **argv)
{
	uint64_t ops = 100000, seed = 1, all = 0, seeds = 0, failed = 0;
	bool verbose = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
			ops = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else
			return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint64_t done = 0; done < ops; done += OPS_A_SEED, seeds++) {
		bool bad = false, again = false;
		uint64_t n = ops - done < OPS_A_SEED ? ops - done : OPS_A_SEED;
		uint64_t hash = play(seed + seeds, n, verbose, &bad);

		if (!bad && seeds < TWICE && play(seed + seeds, n, false, &again) != hash) {
			printf("seed %" PRIu64 ": the second run was another\n", seed + seeds);
			bad = true;
		}
		failed += bad;
		all = (all ^ hash) * 1099511628211u;
	}
	printf("alloc_random: %" PRIu64 " operations, seeds %" PRIu64 " to %" PRIu64
	       ", hash %016" PRIx64 "\n",
		ops, seed, seed + seeds - 1, all);
	printf("alloc_random: %" PRIu64 " passed, %" PRIu64 " failed\n", seeds - failed, failed);
	return failed == 0 ? 0 : 1;
}
