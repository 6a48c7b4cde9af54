/* SPDX-License-Identifier: Apache-2.0
 *
 * elect.c - membership, and who owns each VIP group.
 *
 * Owns: the members (what their Leases said, and when), the groups' states, this node's own two
 *       Lease objects and the requests on them. No socket, no clock.
 * In:   Leases by the watch, VIP groups by the vip table, frames that ARP heard, answers to writes.
 * Out:  each group's state (plan.c reads it), probes and claims through elect_ops, Lease writes
 *       (pulled).
 *
 * Events only update facts and mark groups; elect_pass() steps the marked and the due ones, so a
 * missed or repeated event wedges nothing.  Groups rest in WATCH or OWNER without a timer: they are
 * looked at again when a claim on them, a member's liveness or the input changes.
 *
 * Source: shared/OWNERSHIP.md.  Built: R3, R5, R7's inputs, R9 G1 G2 G3 G7, R11, R13-R17, R19's
 * half that reads claims, R24, R26, R27, R29.  Until BFD is there every peer is NEVER, so only
 * Leases tell that a node is dead, and a rank-0 node that lives by its Lease counts as UP in R13.
 * Beyond its text: G1 to G3 want health (R5), because a frozen watch shows old claims.  A node over
 * its share (R14) gives others R13's two seconds too.  The claims object is written though empty:
 * others remember a deleted one.  Two that took at once settle it on the wire by hash, in the first
 * two seconds only.  Of two processes of one name (R29) the one whose identity sorts first goes on.
 * Not done: BFD's rules (G4 to G6, R2, R6, R8 witness, R12 vetoes, R20 to R23), R4 (picture on
 * disk), R14's hold-down, R18 (confirming a claim by unicast), R25, R27's failback and rebalance.
 */
#include "elect.h"

#include <mbedtls/md.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SLOT_MIN_MS = 10,
	JOIN_MS = 3000,           /* after the first sync, before anything not ours is taken */
	LOOPBACK_MS = 3000,       /* a renewal is seen in the watch within this (R5) */
	HEALTH_FLOOR_MS = 2000,   /* with very short leases one slow answer is no ill health */
	RANK0_GRACE_MS = 2000,    /* R13: the best node takes a free group undisturbed */
	PROBE_MS = 10,            /* R15 */
	LATE_PROBES = 2,          /* R15: more after service began, for neighbours slow to answer */
	LATE_PROBE_MS = 100,      /* R15 */
	BACK_OFF_SLOTS = 4,       /* R16 */
	CONFLICT_MS = 10 * 1000,  /* R26: asked again */
	CONFLICT_QUIET_MS = 1000, /* this long without an answer: free */
	RACE_MS = 2000,           /* two that took at once settle it on the wire in this time */
	DEFENCE_MS = 1000,        /* one claim against a member's, at most, in this time */
	SOFT_MS = 30 * 1000,      /* R27 */
	SOFT_ENDPOINT_MS = 2000,  /* R27 */
	WRITE_GAP_MS = 1000,      /* R3: changes are written at most once in this time */
	RETRY_MIN_MS = 100,
	RETRY_MAX_MS = 5000,
	REQUEST_MIN_MS = 500,
	REQUEST_MAX_MS = 4000,
	RELEASE_TRIES = 3,
	SCALE_MEMBERS = 32,         /* above, renewals become rarer (F36) */
	LEASE_MAX_MS = 3600 * 1000, /* what a Lease may say of its own duration */
	IMPERSONATED = 2,    /* foreign renewals of our own Lease that prove a double (R29) */
	NODE_NAME_MAX = 240, /* longer ones are shortened in object names */
	NODE_NAME_KEPT = 200,
	OBJECT_NAMELEN = 256,
	MEMBER_MAX_MACS = 64,
	SHA256_LEN = 32,
	FACTS_MAX_BYTES = 16 * 1024,          /* one annotation of our Lease */
	CLAIMS_ROOM = 2 * CLUSTER_MAX_CLAIMS, /* the printer cuts at the limit, not the buffer */
	MAX_STEPS = 8, /* of one group in one pass; the longest way is IDLE..OWNER */
};

/* Why a group may be taken (R9), or is asked for again. */
enum ground {
	GROUND_NONE,
	GROUND_FREE,    /* G1 */
	GROUND_OFFERED, /* G2 */
	GROUND_EXPIRED, /* G3 */
	GROUND_OWN,     /* G7 */
	GROUND_FENCE,   /* R24: ours already, after a stall */
};

/* What a member's Lease said. */
enum text {
	TEXT_RV,
	TEXT_HOLDER,
	TEXT_ADDRESSES,
	TEXT_MACS,
	TEXT_SUBNETS,
	TEXT_VERSION,
	TEXT_CONFIG_HASH,
	TEXT_DRAINING,
	TEXT_COUNT
};

struct claims {
	struct elect_claim *v; /* owned; sorted, disjoint */
	size_t n;
};

struct member {
	char *node; /* owned; the key */
	bool self;
	char *text[TEXT_COUNT]; /* owned; NULL = absent */
	uint64_t observed_ms;   /* when its Lease last changed */
	uint64_t duration_ms;   /* that its Lease states, bounded */
	bool has_lease;
	bool lease_gone, claims_gone; /* deleted: remembered as it was until it expires (R5) */
	bool expired;
	enum elect_peer peer;
	uint8_t (*macs)[6]; /* owned */
	size_t n_macs;
	struct claims claims;
	char *claims_rv; /* owned */
	UT_hash_handle hh;
};

/* One VIP group, as this node sees it. */
struct group {
	uint64_t id;
	enum elect_state state;
	enum ground ground; /* WAIT, PROBE and OWNER: why */
	bool gone, marked, active, changed, judged, outranked;
	unsigned probes_left;
	uint64_t since_ms;   /* in this state */
	uint64_t due_ms;     /* the state's own timer */
	uint64_t hold_ms;    /* not to be waited for before */
	uint64_t term;       /* of our last take */
	uint64_t foreign_ms; /* a foreign host spoke for it; 0 = not */
	uint64_t defended_ms;
	struct member *owner;      /* another, as far as known; borrowed */
	struct member *wire_owner; /* last member heard speaking for it; borrowed */
	uint64_t wire_ms;
	unsigned rank;
	uint64_t rank_generation; /* of which rank is; 0 = of none */
	struct elig *elig;        /* owned; this node's verdict; NULL = none yet */
	struct addr *addrs;       /* owned; sorted */
	size_t n_addrs;
};

/* One of this node's own Lease objects. */
struct object {
	enum cluster_lease_role role;
	char name[OBJECT_NAMELEN];
	bool exists, written;          /* in the API, as far as known; by this process */
	char *rv, *uid, *acquire_time; /* owned */
	uint64_t in_flight;            /* 0 = none */
	enum lease_verb verb;
	uint64_t sent_ms;
	bool must_get;     /* a write met a 409 */
	bool unsure;       /* a write that failed may have been applied */
	bool dirty;        /* it says something old */
	uint64_t next_ms;  /* no request before */
	uint64_t quiet_ms; /* no write for a mere change before */
	unsigned failures;
};

struct elect {
	char *node, *identity, *version; /* owned */
	const struct elect_ops *ops;     /* borrowed, as are ctx and rng */
	void *ctx;
	struct hash_key hkey;
	struct rng *rng;
	struct counters *counters;

	const struct elig_input *in; /* borrowed; NULL until the first elect_set_input() */
	uint64_t renew_ms, lease_ms, health_age_ms, loopback_ms; /* R5, scaled by F36 */

	struct member *members; /* table by node */
	struct member *self;
	uint64_t generation; /* one more when any rank may have changed */

	struct group **groups; /* owned; sorted by id */
	size_t n_groups, cap_groups;
	struct group **active; /* owned; those with a mark or a timer */
	size_t n_active, cap_active;
	struct group **retired; /* owned, and what it points to, while groups are taken in */
	size_t n_retired, cap_retired;
	uint64_t *dirty; /* owned; ids for elect_dirty_at() */
	size_t n_dirty, cap_dirty;
	size_t n_owned_vips;
	uint64_t wake_ms; /* the next pass that has something to do */

	/* Health (R5). */
	bool resync; /* all groups are to be compared with the vip table */
	bool synced, synced_once, joined;
	bool healthy;
	bool looped;         /* some renewal came back in time */
	bool loop_pending;   /* the last renewal has not come back yet */
	uint64_t join_ms;    /* first sync + JOIN_MS */
	uint64_t healthy_ms; /* since when */
	uint64_t looped_ms;  /* when that one was sent */
	uint64_t renewed_ms; /* when the last renewal was sent that the API took */
	char *renewed_rv;    /* owned; its resourceVersion */
	char *watched_rv;    /* owned; of our Lease as the watch last showed it */
	uint64_t watched_ms;

	/* Our own objects. */
	struct object lease, claims;
	uint64_t next_id;
	uint64_t renew_at_ms;
	char *addresses, *macs, *subnets, *config_hash; /* owned; what we publish of ourselves */
	struct claims old;         /* ours from before the restart (G7), until join_ms */
	char *published, *sending; /* owned; claims text in the API, on its way */
	uint64_t claims_generation;
	char generation_text[24];

	char *draining; /* owned; the reason; NULL = not */
	uint64_t drain_until_ms;
	unsigned release_tries;
	bool releasing, released;

	/* R29 */
	bool impersonated, silenced;
	unsigned foreign_renewals;
	uint64_t foreign_ms;
};

/* -- small things -- */

static bool text_eq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Replaces *slot by a copy of s.  false when out of memory (unchanged). */
static bool set_text(char **slot, const char *s)
{
	char *copy = NULL;

	if (text_eq(*slot, s))
		return true;
	if (s != NULL) {
		copy = strdup(s);
		if (copy == NULL)
			return false;
	}
	free(*slot);
	*slot = copy;
	return true;
}

/* Room for n elements of *v in all. */
static bool reserve(void *v, size_t *cap, size_t n, size_t size)
{
	void **p = v;
	size_t want = *cap != 0 ? *cap : 16;
	void *grown;

	if (n <= *cap)
		return true;
	while (want < n)
		want *= 2;
	grown = realloc(*p, want * size);
	if (grown == NULL)
		return false;
	*p = grown;
	*cap = want;
	return true;
}

static void sha256(const void *data, size_t n, uint8_t ret[SHA256_LEN])
{
	int err = mbedtls_md(
		mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const unsigned char *)data, n, ret);

	REQUIRE(err == 0);
}

/* MetalLB's order: ascending by sha256(node + "#" + first address of the Service).  Its first 64
 * bits order any real cluster; names break a tie. */
static uint64_t score_of(const char *node, struct addr key)
{
	char text[CONFIG_MAX_NAME + 1 + ADDR_STRLEN + 1], ip[ADDR_STRLEN];
	uint8_t sum[SHA256_LEN];
	uint64_t score = 0;
	int n = snprintf(text, sizeof text, "%s#%s", node, addr_format(key, ip));

	sha256(text, time_min((uint64_t)n, sizeof text - 1), sum);
	for (size_t i = 0; i < 8; i++)
		score = score << 8 | sum[i];
	return score;
}

/* Does node a come before node b by hash alone? */
static bool hash_before(const char *a, const char *b, struct addr key)
{
	uint64_t x = score_of(a, key), y = score_of(b, key);

	return x != y ? x < y : strcmp(a, b) < 0;
}

static const struct vip_group *vip_of(const struct elect *e, const struct group *g)
{
	return vip_group(e->in->vips, g->id);
}

static uint64_t slot_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / 2;

	return ms > SLOT_MIN_MS ? ms : SLOT_MIN_MS;
}

static uint64_t probe_gap_ms(const struct elect *e)
{
	uint64_t ms = e->in->conf->elections.bfd_interval_ms / 3;

	return ms > 0 ? ms : 1;
}

/* "lbd-node-<node>"; long names are cut and hashed (INTERFACES). */
static void object_name(const char *prefix, const char *node, char ret[OBJECT_NAMELEN])
{
	uint8_t sum[SHA256_LEN];
	size_t n = strlen(node);

	if (n <= NODE_NAME_MAX) {
		(void)snprintf(ret, OBJECT_NAMELEN, "%s%s", prefix, node);
		return;
	}
	sha256(node, n, sum);
	(void)snprintf(ret, OBJECT_NAMELEN, "%s%.*s-%02x%02x%02x%02x%02x%02x", prefix,
		NODE_NAME_KEPT, node, sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]);
}

static const char *role_prefix(enum cluster_lease_role role)
{
	return role == CLUSTER_LEASE_NODE ? "lbd-node-" : "lbd-claims-";
}

/* -- marks -- */

/* Where the group of an id is, or would be, in e->groups. */
static size_t place_of(const struct elect *e, uint64_t id)
{
	size_t lo = 0, hi = e->n_groups;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->groups[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct group *find_group(const struct elect *e, uint64_t id)
{
	size_t at = place_of(e, id);

	return at < e->n_groups && e->groups[at]->id == id ? e->groups[at] : NULL;
}

/* Stepped in the next pass.  The active list always has room for all groups. */
static void mark(struct elect *e, struct group *g)
{
	g->marked = true;
	e->wake_ms = 0;
	if (g->active)
		return;
	g->active = true;
	e->active[e->n_active++] = g;
}

static void mark_all(struct elect *e)
{
	for (size_t i = 0; i < e->n_groups; i++)
		mark(e, e->groups[i]);
}

/* Ranks may have changed. */
static void members_changed(struct elect *e)
{
	e->generation++;
	mark_all(e);
}

static struct group *group_with(const struct elect *e, struct addr a)
{
	const struct vip *v = e->in != NULL ? vip_find(e->in->vips, a) : NULL;

	return v != NULL ? find_group(e, v->group->id) : NULL;
}

/* -- members -- */

static void claims_free(struct claims *c)
{
	free(c->v);
	*c = (struct claims){0};
}

/* The claim that holds a; NULL = none. */
static const struct elect_claim *claims_find(const struct claims *c, struct addr a)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(c->v[mid].range.last, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && addr_range_contains(c->v[lo].range, a) ? &c->v[lo] : NULL;
}

/* The strongest claim on any of the group's addresses; NULL = none. */
static const struct elect_claim *claims_on(const struct claims *c, const struct group *g)
{
	const struct elect_claim *best = NULL;

	for (size_t i = 0; c->n > 0 && i < g->n_addrs; i++) {
		const struct elect_claim *k = claims_find(c, g->addrs[i]);

		if (k != NULL && (best == NULL || k->term > best->term))
			best = k;
	}
	return best;
}

static void member_free(struct member *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free(m->text[i]);
	claims_free(&m->claims);
	free(m->claims_rv);
	free(m->macs);
	free(m->node);
	free(m);
}

static struct member *find_member(const struct elect *e, const char *node)
{
	struct member *m;

	HASH_FIND_KEYED(hh, e->members, &e->hkey, node, strlen(node), m);
	return m;
}

/* Finds or makes it.  NULL when out of memory. */
static struct member *member_of(struct elect *e, const char *node, uint64_t now_ms)
{
	struct member *m = find_member(e, node);

	if (m != NULL)
		return m;
	m = calloc(1, sizeof *m);
	if (m == NULL)
		return NULL;
	m->node = strdup(node);
	m->observed_ms = now_ms;
	if (m->node == NULL) {
		member_free(m);
		return NULL;
	}
	HASH_ADD_KEYED(hh, e->members, &e->hkey, m->node, strlen(m->node), m);
	if (hash_oom(m)) {
		member_free(m);
		return NULL;
	}
	return m;
}

static bool is_released(const struct member *m)
{
	return m->has_lease && text_eq(m->text[TEXT_HOLDER], "");
}

static bool is_alive(const struct member *m)
{
	return m->self || (m->has_lease && !m->expired && !is_released(m));
}

/* R7: it says that it goes, by BFD, by its Lease, or has gone cleanly. */
static bool is_leaving(const struct member *m)
{
	return m->peer == ELECT_PEER_LEAVING || is_released(m) ||
	       (m->text[TEXT_DRAINING] != NULL && m->text[TEXT_DRAINING][0] != '\0');
}

static bool is_heard(const struct member *m)
{
	return m->peer == ELECT_PEER_UP || m->peer == ELECT_PEER_LATE || m->peer == ELECT_PEER_DEAF;
}

static size_t count_alive(const struct elect *e)
{
	size_t n = 0;

	for (const struct member *m = e->members; m != NULL; m = m->hh.next)
		n += is_alive(m);
	return n;
}

static uint64_t lease_ms_of(const struct elect *e, const struct member *m)
{
	uint64_t ms = m->duration_ms > e->lease_ms ? m->duration_ms : e->lease_ms;

	return time_min(ms, LEASE_MAX_MS);
}

/* When its Lease will have been unchanged long enough, if I stay healthy (R5). */
static uint64_t expires_at(const struct elect *e, const struct member *m)
{
	uint64_t from = m->observed_ms > e->healthy_ms ? m->observed_ms : e->healthy_ms;

	if (!e->healthy || m->self || m->expired)
		return TIME_NEVER;
	return from + lease_ms_of(e, m);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "xx:xx:xx:xx:xx:xx", lower case. */
static bool parse_mac(const char *s, size_t n, uint8_t ret[6])
{
	if (n != 17)
		return false;
	for (size_t i = 0; i < 6; i++) {
		int hi = hex(s[3 * i]), lo = hex(s[3 * i + 1]);

		if (hi < 0 || lo < 0 || (i < 5 && s[3 * i + 2] != ':'))
			return false;
		ret[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* "eth0=02:..,eth1=.."; what cannot be read is left out. */
static void parse_macs(struct member *m)
{
	const char *p = m->text[TEXT_MACS];
	uint8_t macs[MEMBER_MAX_MACS][6];
	size_t n = 0;

	while (p != NULL && *p != '\0' && n < MEMBER_MAX_MACS) {
		size_t len = strcspn(p, ","), name = strcspn(p, "=");

		if (name < len && parse_mac(p + name + 1, len - name - 1, macs[n]))
			n++;
		p += len;
		p += *p == ',';
	}
	free(m->macs);
	m->macs = n > 0 ? malloc(n * sizeof *m->macs) : NULL;
	m->n_macs = m->macs != NULL ? n : 0;
	if (m->n_macs > 0)
		memcpy(m->macs, macs, n * sizeof *m->macs);
}

static struct member *member_with_mac(const struct elect *e, const uint8_t mac[6])
{
	for (struct member *m = e->members; m != NULL; m = m->hh.next)
		for (size_t i = 0; i < m->n_macs; i++)
			if (memcmp(m->macs[i], mac, 6) == 0)
				return m;
	return NULL;
}

bool elect_is_member_mac(const struct elect *e, const uint8_t mac[6])
{
	const struct member *m = member_with_mac(e, mac);

	return m != NULL && m != e->self;
}

static bool has_claim(const struct claims *c, const struct elect_claim *k)
{
	const struct elect_claim *f = claims_find(c, k->range.first);

	return f != NULL && f->term == k->term && f->flags == k->flags &&
	       addr_eq(f->range.first, k->range.first) && addr_eq(f->range.last, k->range.last);
}

/* Marks the groups on which m's claims differ: those of a that b has not. */
static void mark_difference(struct elect *e, struct member *m, const struct claims *a,
	const struct claims *b, bool withdrawn)
{
	for (size_t i = 0; i < a->n; i++) {
		struct addr at = a->v[i].range.first;

		if (has_claim(b, &a->v[i]))
			continue;
		for (;; at = addr_next(at)) { /* VIP_MAX addresses at most, by the parser */
			struct group *g = group_with(e, at);

			if (g != NULL) {
				/* A later word replaces what was heard on the wire before. */
				if ((g->wire_owner == m) == withdrawn && claims_find(b, at) == NULL)
					g->wire_owner = NULL;
				mark(e, g);
			}
			if (addr_eq(at, a->v[i].range.last))
				break;
		}
	}
}

static void claims_seen(struct elect *e, struct member *m, const struct cluster_lease *lease)
{
	struct claims fresh = {0};

	m->claims_gone = false;
	if (text_eq(m->claims_rv, lease->resource_version))
		return;
	if (elect_claims_parse(lease->claims != NULL ? lease->claims : "", &fresh.v, &fresh.n) !=
		0) {
		counter_inc(e->counters, COUNTER_WATCH_BAD_OBJECTS);
		return; /* what was known of it stays */
	}
	if (!set_text(&m->claims_rv, lease->resource_version)) {
		claims_free(&fresh);
		return;
	}
	mark_difference(e, m, &m->claims, &fresh, true);
	mark_difference(e, m, &fresh, &m->claims, false);
	claims_free(&m->claims);
	m->claims = fresh;
}

static bool copy_texts(struct member *m, const struct cluster_lease *l)
{
	return set_text(&m->text[TEXT_HOLDER], l->holder) &&
	       set_text(&m->text[TEXT_ADDRESSES], l->addresses) &&
	       set_text(&m->text[TEXT_MACS], l->macs) &&
	       set_text(&m->text[TEXT_SUBNETS], l->subnets) &&
	       set_text(&m->text[TEXT_VERSION], l->version) &&
	       set_text(&m->text[TEXT_CONFIG_HASH], l->config_hash) &&
	       set_text(&m->text[TEXT_DRAINING], l->draining) &&
	       set_text(&m->text[TEXT_RV], l->resource_version);
}

static void lease_seen(
	struct elect *e, struct member *m, const struct cluster_lease *lease, uint64_t now_ms)
{
	bool was_alive = is_alive(m), was_leaving = is_leaving(m);
	bool moved;

	m->lease_gone = false;
	if (m->has_lease && text_eq(m->text[TEXT_RV], lease->resource_version))
		return;
	moved = !text_eq(m->text[TEXT_SUBNETS], lease->subnets);
	if (!copy_texts(m, lease)) {
		free(m->text[TEXT_RV]); /* half new: the next renewal mends it */
		m->text[TEXT_RV] = NULL;
	}
	parse_macs(m);
	m->has_lease = true;
	m->observed_ms = now_ms;
	m->duration_ms = time_min(lease->duration_ms, LEASE_MAX_MS);
	m->expired = false;
	if (moved || is_alive(m) != was_alive || is_leaving(m) != was_leaving)
		members_changed(e);
}

static void forget_member(struct elect *e, struct member *m)
{
	for (size_t i = 0; i < e->n_groups; i++) {
		struct group *g = e->groups[i];

		if (g->wire_owner == m)
			g->wire_owner = NULL;
		if (g->owner == m)
			g->owner = NULL;
	}
	HASH_DEL(e->members, m);
	member_free(m);
}

/* Leases that were unchanged for long enough expire; deleted ones are forgotten then. */
static void expire_members(struct elect *e, uint64_t now_ms)
{
	struct member *m, *next;
	bool any = false;

	for (m = e->members; m != NULL; m = next) {
		next = m->hh.next;
		if (now_ms >= expires_at(e, m)) {
			m->expired = true;
			any = true;
		}
		if (m->expired && (m->lease_gone || !m->has_lease) &&
			(m->claims_gone || m->claims_rv == NULL)) {
			forget_member(e, m);
			any = true;
		}
	}
	if (any)
		members_changed(e);
}

/* -- health (R5) -- */

/* When health ends if nothing comes. */
static uint64_t health_ends(const struct elect *e)
{
	uint64_t end = e->looped_ms + e->health_age_ms;

	if (e->loop_pending)
		end = time_min(end, e->renewed_ms + e->loopback_ms);
	return e->synced && e->looped ? end : 0;
}

static void update_health(struct elect *e, uint64_t now_ms)
{
	bool healthy = now_ms < health_ends(e);

	if (healthy == e->healthy)
		return;
	e->healthy = healthy;
	e->healthy_ms = now_ms; /* the clocks of expiry start from 0 */
	mark_all(e);
}

/* Has the last renewal come back through the watch? */
static void check_loop(struct elect *e, uint64_t now_ms)
{
	if (!e->loop_pending || e->watched_rv == NULL || !text_eq(e->renewed_rv, e->watched_rv))
		return;
	if (e->watched_ms > e->renewed_ms + e->loopback_ms)
		return; /* too late: the watch lags */
	e->loop_pending = false;
	e->looped = true;
	e->looped_ms = e->renewed_ms;
	e->wake_ms = 0;
	update_health(e, now_ms);
}

/* The durations in force: the configured ones, longer in large clusters (F36). */
static void set_durations(struct elect *e)
{
	const struct config_elections *c = &e->in->conf->elections;
	uint64_t n = count_alive(e), floor;

	e->renew_ms = c->node_renew_ms;
	e->lease_ms = c->node_duration_ms;
	if (n > SCALE_MEMBERS) {
		e->renew_ms = e->renew_ms * n / SCALE_MEMBERS;
		e->lease_ms = 4 * e->renew_ms;
	}
	floor = time_min(e->lease_ms / 2, HEALTH_FLOOR_MS);
	e->health_age_ms = e->renew_ms * 3 / 2;
	if (e->health_age_ms < floor)
		e->health_age_ms = floor;
	e->loopback_ms = time_min(LOOPBACK_MS, e->health_age_ms);
}

/* -- judging -- */

static bool is_owned(const struct group *g)
{
	return g->state == ELECT_OWNER || g->state == ELECT_HANDOVER ||
	       (g->state == ELECT_PROBE && g->ground == GROUND_FENCE);
}

/* This node's verdict, anew.  Out of memory: the old one stays and is judged again later. */
static void judge(struct elect *e, struct group *g)
{
	struct elig verdict, *copy;

	g->judged = true;
	elig_judge_self(e->in, vip_of(e, g), &verdict);
	if (g->elig != NULL && elig_equal(g->elig, &verdict))
		return;
	copy = elig_dup(&verdict);
	if (copy == NULL) {
		g->judged = false;
		return;
	}
	free(g->elig);
	g->elig = copy;
	g->rank_generation = 0;
	g->changed = true;
}

static bool is_eligible(const struct group *g)
{
	return g->elig != NULL && g->elig->reason == REASON_OWNER;
}

static bool may_own(const struct elect *e, const struct group *g)
{
	return is_eligible(g) && e->draining == NULL && !e->silenced && !e->releasing;
}

/* What the others say of one group. */
struct survey {
	struct member *holder;                  /* lives, and has it; the strongest of them */
	const struct elect_claim *holder_claim; /* NULL: heard on the wire alone */
	struct member *leaving, *expired;       /* has it, and goes, or is gone */
	uint64_t leaving_term, expired_term;
	uint64_t known_term; /* the highest of all */
	bool unpublished;    /* somebody was heard on the wire whose term is not known yet */
};

/* Is claim a of node x stronger than claim b of node y (R19)?  NULL: no published claim. */
static bool claim_beats(const struct elect_claim *a, const char *x, const struct elect_claim *b,
	const char *y, struct addr key)
{
	bool weak_a = a == NULL || (a->flags & ELECT_CLAIM_WEAK) != 0;
	bool weak_b = b == NULL || (b->flags & ELECT_CLAIM_WEAK) != 0;

	if (weak_a != weak_b)
		return weak_b;
	if (a != NULL && b != NULL && a->term != b->term)
		return a->term > b->term;
	return hash_before(x, y, key);
}

static void survey_member(const struct elect *e, const struct group *g, struct member *m,
	uint64_t now_ms, struct survey *s)
{
	const struct elect_claim *c = claims_on(&m->claims, g);
	bool wire = g->wire_owner == m && now_ms - g->wire_ms < lease_ms_of(e, m);
	uint64_t term = c != NULL ? c->term : 0;

	if (c == NULL && !wire)
		return;
	if (term > s->known_term)
		s->known_term = term;
	s->unpublished |= c == NULL;
	if (m->expired) {
		if (s->expired == NULL || term > s->expired_term) {
			s->expired = m;
			s->expired_term = term;
		}
	} else if (is_leaving(m) || (c != NULL && (c->flags & ELECT_CLAIM_OFFERED) != 0)) {
		if (s->leaving == NULL || term > s->leaving_term) {
			s->leaving = m;
			s->leaving_term = term;
		}
	} else if (s->holder == NULL ||
		   claim_beats(c, m->node, s->holder_claim, s->holder->node, vip_of(e, g)->key)) {
		s->holder = m;
		s->holder_claim = c;
	}
}

static struct survey survey(const struct elect *e, const struct group *g, uint64_t now_ms)
{
	struct survey s = {0};

	for (struct member *m = e->members; m != NULL; m = m->hh.next)
		if (!m->self)
			survey_member(e, g, m, now_ms, &s);
	return s;
}

/* R9 G3: when most of the others look dead but are heard, the API is at fault. */
static bool is_expiry_void(const struct elect *e)
{
	size_t others = 0, bad = 0;

	for (const struct member *m = e->members; m != NULL; m = m->hh.next) {
		others += !m->self && m->has_lease;
		bad += m->expired && is_heard(m);
	}
	return bad >= 2 && 2 * bad > others;
}

/* May the group be taken, and why (R9)? */
static enum ground find_ground(const struct elect *e, const struct group *g, const struct survey *s)
{
	const struct elect_claim *old;

	if (s->holder != NULL || !e->synced)
		return GROUND_NONE;
	old = claims_on(&e->old, g);
	if (old != NULL && old->term >= s->leaving_term && old->term >= s->expired_term)
		return GROUND_OWN;
	if (!e->healthy || !e->joined)
		return GROUND_NONE;
	if (s->leaving != NULL)
		return GROUND_OFFERED;
	if (s->expired != NULL)
		return is_expiry_void(e) ? GROUND_NONE : GROUND_EXPIRED;
	return GROUND_FREE;
}

/* -- rank (R13) -- */

/* Would m come before this node for g, as far as this node can judge? */
static bool comes_before(const struct elect *e, const struct group *g, const struct member *m)
{
	const struct vip_group *v = vip_of(e, g);
	struct elig other;

	elig_judge_other(e->in, v, m->node, m->text[TEXT_SUBNETS], &other);
	if (other.reason != REASON_OWNER)
		return false;
	if (other.weight != g->elig->weight)
		return other.weight > g->elig->weight;
	return hash_before(m->node, e->node, v->key);
}

/* How many living members come before this one; except (may be NULL) is being taken from. */
static unsigned rank_of(struct elect *e, struct group *g, const struct member *except)
{
	if (g->rank_generation == e->generation)
		return g->rank;
	g->rank = 0;
	for (const struct member *m = e->members; m != NULL; m = m->hh.next)
		if (!m->self && m != except && is_alive(m) && !is_leaving(m) &&
			m->peer != ELECT_PEER_SILENT && comes_before(e, g, m))
			g->rank++;
	g->rank_generation = e->generation;
	return g->rank;
}

/* Does this node hold more than its share (R14)? */
static bool is_over_share(const struct elect *e, uint64_t members)
{
	double share = e->in->conf->elections.max_share;

	return share > 0 && (double)e->n_owned_vips >=
				    share * (double)vip_count(e->in->vips) / (double)members + 1;
}

/* How long WAIT lasts (R13, R14). */
static uint64_t wait_ms(struct elect *e, struct group *g, const struct survey *s)
{
	uint64_t members = count_alive(e), ms;
	unsigned rank;
	bool behind;

	if (g->ground == GROUND_OWN)
		return 0;
	rank = rank_of(e, g, s->leaving != NULL ? s->leaving : s->expired);
	ms = rank * slot_ms(e);
	behind = rank > 0;
	if (is_over_share(e, members)) {
		ms += time_min(members - 1, 4) * slot_ms(e);
		behind = members > 1; /* the grace is another's now */
	}
	return g->ground == GROUND_FREE && behind ? ms + RANK0_GRACE_MS : ms;
}

/* -- states -- */

static void enter(struct elect *e, struct group *g, enum elect_state state, uint64_t now_ms)
{
	bool was = is_owned(g);

	g->state = state;
	g->since_ms = now_ms;
	g->due_ms = TIME_NEVER;
	g->outranked = false;
	g->changed = true;
	if (state != ELECT_OWNER && state != ELECT_PROBE && state != ELECT_WAIT)
		g->ground = GROUND_NONE;
	if (is_owned(g) == was)
		return;
	if (was)
		e->n_owned_vips -= g->n_addrs;
	else
		e->n_owned_vips += g->n_addrs;
}

/* Something that others read of us has changed. */
static void publish(struct elect *e)
{
	e->claims.dirty = true;
}

static void start_probe(struct elect *e, struct group *g, unsigned n, uint64_t now_ms)
{
	enter(e, g, ELECT_PROBE, now_ms);
	g->probes_left = n;
	g->due_ms = now_ms;
	g->foreign_ms = 0;
}

static void take(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	const struct elect_claim *old = claims_on(&e->old, g);
	const struct elect_claim *mine = claims_on(&e->self->claims, g);
	uint64_t term = s->known_term > g->term ? s->known_term : g->term;

	if (old != NULL && old->term > term)
		term = old->term;
	if (mine != NULL && mine->term > term)
		term = mine->term;
	if (s->unpublished && term < UINT64_MAX)
		term++; /* its claim, one above what was known, may still come */
	g->term = term < UINT64_MAX ? term + 1 : term;
	enter(e, g, ELECT_OWNER, now_ms);
	g->foreign_ms = 0;
	if (g->ground == GROUND_FREE) {
		g->probes_left = LATE_PROBES;
		g->due_ms = now_ms + LATE_PROBE_MS;
	}
	counter_add(e->counters, COUNTER_VIP_TAKES, g->n_addrs);
	publish(e);
}

/* Stop answering, at once. */
static void give_up(struct elect *e, struct group *g, uint64_t now_ms)
{
	counter_add(e->counters, COUNTER_VIP_YIELDS, g->n_addrs);
	enter(e, g, may_own(e, g) ? ELECT_WATCH : ELECT_IDLE, now_ms);
	publish(e);
}

static void step_idle(struct elect *e, struct group *g, uint64_t now_ms)
{
	if (may_own(e, g))
		enter(e, g, ELECT_WATCH, now_ms);
}

static void step_watch(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	enum ground ground;

	g->due_ms = TIME_NEVER;
	if (!may_own(e, g)) {
		enter(e, g, ELECT_IDLE, now_ms);
		return;
	}
	ground = find_ground(e, g, s);
	if (ground == GROUND_NONE) {
		/* A word on the wire holds as long as a Lease would. */
		if (g->wire_owner != NULL && now_ms - g->wire_ms < lease_ms_of(e, g->wire_owner))
			g->due_ms = g->wire_ms + lease_ms_of(e, g->wire_owner);
	} else if (now_ms < g->hold_ms) {
		g->due_ms = g->hold_ms;
	} else {
		enter(e, g, ELECT_WAIT, now_ms);
		g->ground = ground;
		g->rank_generation = 0; /* who is taken from has changed */
	}
}

/* Is the ground still there?  WAIT and PROBE ask at each step (R10). */
static bool keeps_ground(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	enum ground ground;

	if (!may_own(e, g)) {
		enter(e, g, ELECT_IDLE, now_ms);
		return false;
	}
	if (g->outranked) { /* R16: a better member asks for it */
		g->hold_ms = now_ms + BACK_OFF_SLOTS * slot_ms(e);
		enter(e, g, ELECT_WATCH, now_ms);
		return false;
	}
	ground = find_ground(e, g, s);
	if (ground == GROUND_NONE) {
		enter(e, g, ELECT_WATCH, now_ms);
		return false;
	}
	/* Another ground is as good: asking anew at each change of it never ends while two that go
	 * answer in turn. */
	if (ground != g->ground)
		g->rank_generation = 0;
	g->ground = ground;
	return true;
}

static void step_wait(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!keeps_ground(e, g, s, now_ms))
		return;
	g->due_ms = g->since_ms + wait_ms(e, g, s);
	if (now_ms >= g->due_ms)
		start_probe(e, g, 1, now_ms);
}

/* R26: a foreign host has it. */
static void enter_conflict(struct elect *e, struct group *g, uint64_t now_ms)
{
	bool was = is_owned(g);

	enter(e, g, ELECT_CONFLICT, now_ms);
	g->due_ms = now_ms + CONFLICT_MS;
	g->probes_left = 1;
	if (was)
		publish(e);
}

/* A member of at least our strength claims what we hold. */
static bool must_yield(const struct elect *e, const struct group *g, const struct survey *s)
{
	const struct elect_claim mine = {.term = g->term};

	if (s->holder == NULL || s->holder_claim == NULL)
		return false;
	return claim_beats(s->holder_claim, s->holder->node, &mine, e->node, vip_of(e, g)->key);
}

static void step_probe(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	bool fence = g->ground == GROUND_FENCE;

	if (fence && (!may_own(e, g) || must_yield(e, g, s) ||
			     (g->wire_owner != NULL && g->wire_ms >= g->since_ms))) {
		give_up(e, g, now_ms);
		return;
	}
	if (!fence && !keeps_ground(e, g, s, now_ms))
		return;
	if (g->ground == GROUND_FREE && g->foreign_ms != 0) {
		enter_conflict(e, g, now_ms);
		return;
	}
	if (now_ms < g->due_ms)
		return;
	if (g->probes_left > 0) {
		g->probes_left--;
		g->due_ms = now_ms + (fence ? probe_gap_ms(e) : PROBE_MS);
		e->ops->probe(e->ctx, vip_of(e, g));
	} else if (fence) {
		enter(e, g, ELECT_OWNER, now_ms); /* silence: it is still ours, term and all */
	} else {
		take(e, g, s, now_ms);
	}
}

/* Losses of eligibility that may pass, or that another node can make good: how long to go on
 * answering meanwhile (R27); 0 = not at all. */
static uint64_t soft_ms(const struct group *g)
{
	enum reason why = g->elig != NULL ? g->elig->reason : REASON_NOT_SYNCED;

	if (g->elig == NULL || g->elig->n_paths == 0)
		return 0;
	if (why == REASON_NO_ENDPOINTS || why == REASON_NO_LOCAL_ENDPOINTS)
		return SOFT_ENDPOINT_MS;
	return why == REASON_NODE_EXCLUDED || why == REASON_NETWORK_UNAVAILABLE ? SOFT_MS : 0;
}

/* An OWNER that may no longer be one. */
static void leave_office(struct elect *e, struct group *g, uint64_t now_ms)
{
	uint64_t until_ms = 0;

	if (e->draining != NULL && g->elig != NULL && g->elig->n_paths > 0)
		until_ms = e->drain_until_ms;
	else if (!e->silenced && !e->releasing)
		until_ms = now_ms + soft_ms(g);
	if (until_ms <= now_ms) {
		give_up(e, g, now_ms);
		return;
	}
	enter(e, g, ELECT_HANDOVER, now_ms);
	g->due_ms = until_ms;
	publish(e);
}

/* Two that took at once hear each other before the API tells them (R19, strength 1): the better
 * hash stays.  Later than that a frame alone moves nothing: it is easily forged. */
static bool lost_race(const struct elect *e, const struct group *g, uint64_t now_ms)
{
	const struct member *m = g->wire_owner;

	return m != NULL && g->wire_ms >= g->since_ms && now_ms - g->since_ms < RACE_MS &&
	       g->ground != GROUND_FENCE && !m->expired && !is_leaving(m) &&
	       hash_before(m->node, e->node, vip_of(e, g)->key);
}

static void step_owner(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!may_own(e, g)) {
		leave_office(e, g, now_ms);
	} else if (must_yield(e, g, s) || lost_race(e, g, now_ms)) {
		give_up(e, g, now_ms);
	} else if (g->foreign_ms != 0 && g->due_ms != TIME_NEVER) {
		enter_conflict(e, g, now_ms); /* R15: a late answer withdraws a fresh take */
	} else if (now_ms >= g->due_ms) {
		if (g->probes_left == 0) {
			g->due_ms = TIME_NEVER;
			return;
		}
		g->probes_left--;
		g->due_ms = now_ms + LATE_PROBE_MS;
		e->ops->probe(e->ctx, vip_of(e, g));
	}
}

/* R27: has a successor's claim been seen? */
static bool is_succeeded(const struct group *g, const struct survey *s)
{
	if (s->holder == NULL)
		return false;
	if (g->wire_owner == s->holder && g->wire_ms >= g->since_ms)
		return true;
	return s->holder_claim != NULL && s->holder_claim->term > g->term;
}

static void step_handover(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (may_own(e, g)) {
		enter(e, g, ELECT_OWNER, now_ms);
		publish(e);
	} else if (is_succeeded(g, s) || must_yield(e, g, s) || now_ms >= g->due_ms ||
		   g->elig->n_paths == 0 || e->silenced || e->releasing ||
		   (e->draining != NULL && count_alive(e) == 1)) {
		give_up(e, g, now_ms);
	}
}

/* Was the last probe for it left without an answer? */
static bool is_quiet(const struct group *g, uint64_t now_ms)
{
	return now_ms >= g->due_ms && g->probes_left == 0 && g->foreign_ms == 0;
}

static void step_conflict(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	if (!may_own(e, g)) {
		enter(e, g, ELECT_IDLE, now_ms);
	} else if (s->holder != NULL || is_quiet(g, now_ms)) {
		enter(e, g, ELECT_WATCH, now_ms);
	} else if (now_ms < g->due_ms) {
		return;
	} else if (g->probes_left > 0) {
		g->probes_left--;
		g->foreign_ms = 0;
		g->due_ms = now_ms + CONFLICT_QUIET_MS;
		e->ops->probe(e->ctx, vip_of(e, g));
	} else { /* it was heard since the probe */
		g->probes_left = 1;
		g->due_ms = now_ms + CONFLICT_MS - CONFLICT_QUIET_MS;
	}
}

static void step_state(struct elect *e, struct group *g, const struct survey *s, uint64_t now_ms)
{
	switch (g->state) {
	case ELECT_IDLE:
		step_idle(e, g, now_ms);
		break;
	case ELECT_WATCH:
		step_watch(e, g, s, now_ms);
		break;
	case ELECT_WAIT:
		step_wait(e, g, s, now_ms);
		break;
	case ELECT_PROBE:
		step_probe(e, g, s, now_ms);
		break;
	case ELECT_OWNER:
		step_owner(e, g, s, now_ms);
		break;
	case ELECT_HANDOVER:
		step_handover(e, g, s, now_ms);
		break;
	case ELECT_CONFLICT:
		step_conflict(e, g, s, now_ms);
		break;
	}
}

static void note_dirty(struct elect *e, uint64_t id)
{
	if (reserve(&e->dirty, &e->cap_dirty, e->n_dirty + 1, sizeof *e->dirty))
		e->dirty[e->n_dirty++] = id;
	else
		e->resync = true; /* the next pass notes all again */
}

/* Steps one group until it rests. */
static void step(struct elect *e, struct group *g, uint64_t now_ms)
{
	struct member *owner;
	struct survey s;

	g->marked = false;
	if (vip_of(e, g) == NULL) {
		e->resync = true; /* the vip table was changed behind our back */
		return;
	}
	if (!g->judged)
		judge(e, g);
	if (g->elig == NULL)
		return;
	s = survey(e, g, now_ms);
	for (unsigned i = 0; i < MAX_STEPS; i++) {
		enum elect_state was = g->state;

		step_state(e, g, &s, now_ms);
		if (g->state == was)
			break;
	}
	owner = s.holder != NULL ? s.holder : s.leaving != NULL ? s.leaving : s.expired;
	if (owner != g->owner) {
		g->owner = owner;
		g->changed = true;
	}
	if (g->changed)
		note_dirty(e, g->id);
	g->changed = false;
}

/* -- groups come and go -- */

static void group_free(struct group *g)
{
	if (g == NULL)
		return;
	free(g->elig);
	free(g->addrs);
	free(g);
}

static struct group *group_new(const struct vip_group *v, uint64_t now_ms)
{
	struct group *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->addrs = malloc(v->n_vips * sizeof *g->addrs);
	if (g->addrs == NULL) {
		free(g);
		return NULL;
	}
	g->id = v->id;
	g->n_addrs = v->n_vips;
	for (size_t i = 0; i < v->n_vips; i++)
		g->addrs[i] = v->vips[i]->addr;
	g->since_ms = now_ms;
	g->due_ms = TIME_NEVER;
	g->changed = true;
	return g;
}

/* Puts a group of the vip table in.  false when out of memory. */
static bool add_group(struct elect *e, const struct vip_group *v, uint64_t now_ms)
{
	size_t at = place_of(e, v->id);
	struct group *g;

	if (!reserve(&e->groups, &e->cap_groups, e->n_groups + 1, sizeof(struct group *)) ||
		!reserve(&e->active, &e->cap_active, e->n_groups + e->n_retired + 1,
			sizeof(struct group *)))
		return false;
	g = group_new(v, now_ms);
	if (g == NULL)
		return false;
	memmove(&e->groups[at + 1], &e->groups[at], (e->n_groups - at) * sizeof(struct group *));
	e->groups[at] = g;
	e->n_groups++;
	mark(e, g);
	return true;
}

/* An address of a group that is gone. */
struct legacy {
	struct addr addr;
	const struct group *from;
};

static int by_addr(const void *a, const void *b)
{
	const struct legacy *x = a, *y = b;

	return addr_cmp(x->addr, y->addr);
}

/* A group made of others' VIPs goes on where they were: joining Services costs no answer. */
static void inherit(struct elect *e, struct group *g, const struct legacy *v, size_t n)
{
	for (size_t i = 0; i < g->n_addrs; i++) {
		const struct legacy want = {.addr = g->addrs[i]};
		const struct legacy *l = bsearch(&want, v, n, sizeof *v, by_addr);

		if (l == NULL)
			continue;
		if (l->from->wire_ms >= g->wire_ms) {
			g->wire_owner = l->from->wire_owner;
			g->wire_ms = l->from->wire_ms;
		}
		if (!is_owned(l->from) || (is_owned(g) && g->term >= l->from->term))
			continue;
		enter(e, g, ELECT_OWNER, l->from->since_ms);
		g->term = l->from->term;
		if (l->from->state == ELECT_PROBE) { /* fenced: goes on asking */
			g->ground = GROUND_FENCE;
			start_probe(e, g, l->from->probes_left, l->from->since_ms);
			g->due_ms = l->from->due_ms;
		}
	}
}

static size_t list_addrs(const struct group *g, struct legacy *v)
{
	for (size_t a = 0; v != NULL && g->gone && a < g->n_addrs; a++)
		v[a] = (struct legacy){g->addrs[a], g};
	return g->gone ? g->n_addrs : 0;
}

/* The addresses of all groups that are gone; v == NULL: only counts them. */
static size_t list_legacy(const struct elect *e, struct legacy *v)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_groups; i++)
		n += list_addrs(e->groups[i], v != NULL ? v + n : NULL);
	for (size_t i = 0; i < e->n_retired; i++)
		n += list_addrs(e->retired[i], v != NULL ? v + n : NULL);
	return n;
}

/* Hands the states of gone groups on to the new ones: those not yet judged. */
static void hand_on(struct elect *e)
{
	size_t n = list_legacy(e, NULL);
	struct legacy *v = n > 0 ? malloc(n * sizeof *v) : NULL;

	if (v == NULL)
		return; /* out of memory: new groups begin as IDLE, which is slower, not wrong */
	(void)list_legacy(e, v);
	qsort(v, n, sizeof *v, by_addr);
	for (size_t i = 0; i < e->n_groups; i++)
		if (!e->groups[i]->gone && e->groups[i]->elig == NULL)
			inherit(e, e->groups[i], v, n);
	free(v);
}

static void bury_one(struct elect *e, struct group *g)
{
	if (is_owned(g)) {
		e->n_owned_vips -= g->n_addrs;
		publish(e);
	}
	note_dirty(e, g->id);
	group_free(g);
}

/* Frees the gone groups. */
static void bury(struct elect *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_active; i++)
		if (!e->active[i]->gone)
			e->active[n++] = e->active[i];
	e->n_active = n;
	n = 0;
	for (size_t i = 0; i < e->n_groups; i++) {
		if (e->groups[i]->gone)
			bury_one(e, e->groups[i]);
		else
			e->groups[n++] = e->groups[i];
	}
	e->n_groups = n;
	while (e->n_retired > 0)
		bury_one(e, e->retired[--e->n_retired]);
}

static bool has_addrs(const struct group *g, const struct vip_group *v)
{
	if (g->n_addrs != v->n_vips)
		return false;
	for (size_t i = 0; i < g->n_addrs; i++)
		if (!addr_eq(g->addrs[i], v->vips[i]->addr))
			return false;
	return true;
}

/* The group goes on with other VIPs: a new one takes its place.  false when out of memory. */
static bool replace_group(
	struct elect *e, struct group *old, const struct vip_group *v, uint64_t now_ms)
{
	struct group *g;

	if (!reserve(&e->retired, &e->cap_retired, e->n_retired + 1, sizeof(struct group *)) ||
		!reserve(&e->active, &e->cap_active, e->n_groups + e->n_retired + 1,
			sizeof(struct group *)))
		return false;
	g = group_new(v, now_ms);
	if (g == NULL)
		return false;
	old->gone = true;
	e->retired[e->n_retired++] = old;
	e->groups[place_of(e, old->id)] = g;
	mark(e, g);
	return true;
}

/* One group of the vip table was made, changed or is gone.  Returns whether one is to be buried. */
static bool take_group(struct elect *e, uint64_t id, uint64_t now_ms)
{
	const struct vip_group *v = vip_group(e->in->vips, id);
	struct group *g = find_group(e, id);
	bool gone = false;

	if (v == NULL) {
		if (g != NULL)
			g->gone = true;
		return g != NULL;
	}
	if (g == NULL) {
		e->resync |= !add_group(e, v, now_ms);
		return false;
	}
	if (!has_addrs(g, v)) {
		gone = replace_group(e, g, v, now_ms);
		e->resync |= !gone;
		return gone;
	}
	g->judged = false;
	g->rank_generation = 0;
	mark(e, g);
	return false;
}

static void take_groups(struct elect *e, uint64_t now_ms)
{
	const struct vip_group *v = NULL;
	bool gone = false;

	if (e->resync) {
		e->resync = false;
		for (size_t i = 0; i < e->n_groups; i++)
			if (vip_group(e->in->vips, e->groups[i]->id) == NULL)
				gone = e->groups[i]->gone = true;
		while ((v = vip_next_group(e->in->vips, v)) != NULL)
			(void)take_group(e, v->id, now_ms);
	} else {
		for (size_t i = 0; i < vip_dirty_count(e->in->vips); i++)
			gone |= take_group(e, vip_dirty_at(e->in->vips, i), now_ms);
	}
	if (!gone)
		return;
	hand_on(e);
	bury(e);
}

/* -- this node's own objects (R3) -- */

static void free_object(struct object *o)
{
	free(o->rv);
	free(o->uid);
	free(o->acquire_time);
}

/* What the API holds now, by an answer or by the first list. */
static void object_is(struct object *o, const struct cluster_lease *l)
{
	o->exists = set_text(&o->rv, l->resource_version) && set_text(&o->uid, l->uid) &&
		    set_text(&o->acquire_time, l->acquire_time);
	if (!o->exists) /* out of memory: read it again */
		o->must_get = true;
}

/* Until our first write the watch says what there is; later our answers do, for it lags.  A
 * deletion may be an old one, of before we wrote it anew: only a GET tells. */
static void own_object_seen(
	struct object *o, const struct cluster_lease *l, bool deleted, uint64_t now_ms)
{
	if (deleted) {
		o->must_get = true;
		o->next_ms = now_ms;
	} else if (!o->written && o->in_flight == 0) {
		object_is(o, l);
	}
}

/* R29: somebody else renews the Lease of our name.  Both find out; the one whose identity sorts
 * first goes on, so that the VIPs are not left dark. */
static void own_lease_seen(struct elect *e, const struct cluster_lease *l, uint64_t now_ms)
{
	bool foreign = l->holder[0] != '\0' && strcmp(l->holder, e->identity) != 0;

	if (text_eq(e->watched_rv, l->resource_version) ||
		!set_text(&e->watched_rv, l->resource_version))
		return;
	e->watched_ms = now_ms;
	check_loop(e, now_ms);
	if (!foreign || !e->lease.written)
		return;
	e->foreign_ms = now_ms;
	if (e->foreign_renewals < IMPERSONATED && ++e->foreign_renewals < IMPERSONATED)
		return;
	e->impersonated = true;
	if (e->silenced != (strcmp(e->identity, l->holder) > 0)) {
		e->silenced = !e->silenced;
		mark_all(e);
	}
}

/* The double is gone: its renewals stopped. */
static void forget_double(struct elect *e, uint64_t now_ms)
{
	if (e->foreign_renewals == 0 || now_ms < e->foreign_ms + e->lease_ms)
		return;
	e->foreign_renewals = 0;
	e->impersonated = false;
	if (!e->silenced)
		return;
	e->silenced = false;
	e->lease.must_get = e->claims.must_get = true;
	mark_all(e);
}

static void addresses_text(const struct elect *e, struct buf *out)
{
	const struct cluster_node *n = cluster_node(e->in->cluster, e->node);
	const struct iface *i = NULL;
	char text[ADDR_STRLEN];

	for (size_t k = 0; n != NULL && k < n->n_internal_ips; k++)
		buf_addf(out, "%s%s", out->len > 0 ? "," : "",
			addr_format(n->internal_ips[k], text));
	while (out->len == 0 && (i = iface_next(e->in->ifaces, i)) != NULL)
		if (iface_is_usable(i) && i->n_addrs > 0)
			buf_adds(out, addr_format(i->addrs[0].addr, text));
}

/* Replaces *slot when the text differs; returns whether it did. */
static bool refresh(char **slot, struct buf *b)
{
	bool differs = !b->bad && !text_eq(*slot, b->p != NULL ? b->p : "");

	if (differs)
		differs = set_text(slot, b->p != NULL ? b->p : "");
	buf_reset(b);
	return differs;
}

/* What our Lease says of this node; written soon when it changed. */
static void refresh_facts(struct elect *e)
{
	struct buf b;
	bool changed = false;

	buf_init(&b, FACTS_MAX_BYTES);
	addresses_text(e, &b);
	changed |= refresh(&e->addresses, &b);
	if (elig_macs_text(e->in->ifaces, &b) == 0)
		changed |= refresh(&e->macs, &b);
	buf_reset(&b);
	if (elig_subnets_text(e->in->ifaces, &b) == 0)
		changed |= refresh(&e->subnets, &b);
	buf_reset(&b);
	buf_adds(&b, e->in->conf->hash);
	changed |= refresh(&e->config_hash, &b);
	buf_free(&b);
	if (changed)
		e->lease.dirty = true;
}

/* Long enough for a slow API, short enough for a second try within the Lease. */
static uint64_t request_ms(const struct elect *e)
{
	uint64_t ms = e->lease_ms * 2 / 5;

	return ms < REQUEST_MIN_MS ? REQUEST_MIN_MS : time_min(ms, REQUEST_MAX_MS);
}

/* Is the claims object as it should be, or given up on?  Only then the Lease may be given back. */
static bool claims_are_settled(const struct elect *e)
{
	return e->claims.in_flight == 0 && (!e->claims.dirty || e->release_tries >= RELEASE_TRIES);
}

/* When the object's next request is due; TIME_NEVER. */
static uint64_t object_due(const struct elect *e, const struct object *o)
{
	uint64_t at = o->dirty ? o->quiet_ms : TIME_NEVER;

	if (o->in_flight != 0 || !e->synced_once || e->silenced || e->released || e->in == NULL)
		return TIME_NEVER;
	if (o->must_get)
		return o->next_ms;
	if (o == &e->lease) {
		if (e->releasing)
			return claims_are_settled(e) ? o->next_ms : TIME_NEVER;
		at = time_min(at, e->renew_at_ms);
	} else if (e->releasing && e->release_tries >= RELEASE_TRIES) {
		return TIME_NEVER;
	} else if (e->old.n > 0 && at != TIME_NEVER && at < e->join_ms) {
		at = e->join_ms; /* not before G7 had its chance: our memory is in there */
	}
	return at > o->next_ms ? at : o->next_ms;
}

static struct lease_action begin(
	struct elect *e, struct object *o, enum lease_verb verb, uint64_t now_ms)
{
	o->in_flight = e->next_id++;
	o->verb = verb;
	o->sent_ms = now_ms;
	return (struct lease_action){
		.verb = verb,
		.name = o->name,
		.resource_version = verb == LEASE_UPDATE ? o->rv : NULL,
		.uid = verb == LEASE_UPDATE ? o->uid : NULL,
		.not_after_ms = now_ms + request_ms(e),
		.timeout_ms = request_ms(e),
		.id = o->in_flight,
		.role = o->role,
		.holder = e->identity,
		.transitions = -1,
	};
}

static void annotate(struct lease_action *a, const char *key, const char *value)
{
	REQUIRE(a->n_annotations < ARRAY_LEN(a->annotations));
	if (value == NULL)
		return;
	a->annotations[a->n_annotations].key = key;
	a->annotations[a->n_annotations++].value = value;
}

static struct lease_action lease_action(struct elect *e, uint64_t now_ms)
{
	struct object *o = &e->lease;
	struct lease_action a = begin(e, o, o->exists ? LEASE_UPDATE : LEASE_CREATE, now_ms);

	a.duration_ms = (e->lease_ms + 999) / 1000 * 1000;
	a.has_renew_time = true;
	a.set_acquire_time = !o->written || o->acquire_time == NULL;
	a.acquire_time = o->acquire_time;
	annotate(&a, "lbd.io/schema", "1");
	annotate(&a, "lbd.io/node", e->node);
	annotate(&a, "lbd.io/version", e->version);
	annotate(&a, "lbd.io/config-hash", e->config_hash);
	annotate(&a, "lbd.io/addresses", e->addresses);
	annotate(&a, "lbd.io/macs", e->macs);
	annotate(&a, "lbd.io/subnets", e->subnets);
	annotate(&a, "lbd.io/draining", e->draining);
	if (o->dirty)
		o->quiet_ms = now_ms + WRITE_GAP_MS;
	o->dirty = false;
	if (e->releasing)
		a.holder = "";
	return a;
}

static int by_claim(const void *a, const void *b)
{
	const struct elect_claim *x = a, *y = b;

	return addr_cmp(x->range.first, y->range.first);
}

/* The text of what this node owns.  NULL when out of memory. */
static char *claims_text(const struct elect *e)
{
	size_t n = 0, max = e->n_owned_vips;
	struct elect_claim *v = calloc(max > 0 ? max : 1, sizeof *v);
	struct buf b;
	int err;

	if (v == NULL)
		return NULL;
	for (size_t i = 0; i < e->n_groups; i++) {
		const struct group *g = e->groups[i];

		for (size_t a = 0; is_owned(g) && a < g->n_addrs && n < max; a++)
			v[n++] = (struct elect_claim){
				.range = {g->addrs[a], g->addrs[a]},
				.term = g->term,
				.flags = g->state == ELECT_HANDOVER ? ELECT_CLAIM_OFFERED : 0,
			};
	}
	qsort(v, n, sizeof *v, by_claim);
	buf_init(&b, CLAIMS_ROOM);
	err = elect_claims_print(v, n, &b);
	free(v);
	if (err == -ENOMEM) {
		buf_free(&b);
		return NULL;
	}
	return buf_take(&b);
}

/* The claims object, if it is not as it should be. */
static bool claims_action(struct elect *e, uint64_t now_ms, struct lease_action *ret_a)
{
	struct object *o = &e->claims;
	char *text = claims_text(e);
	bool same;

	if (text == NULL) {
		o->next_ms = now_ms + RETRY_MAX_MS;
		return false;
	}
	/* It is written though empty: others may remember a deleted one. */
	same = o->exists && !o->unsure && text_eq(text, e->published);
	o->dirty = false;
	if (same) {
		free(text);
		return false;
	}
	free(e->sending);
	e->sending = text;
	*ret_a = begin(e, o, o->exists ? LEASE_UPDATE : LEASE_CREATE, now_ms);
	o->quiet_ms = now_ms + WRITE_GAP_MS;
	(void)snprintf(
		e->generation_text, sizeof e->generation_text, "%" PRIu64, ++e->claims_generation);
	annotate(ret_a, "lbd.io/schema", "1");
	annotate(ret_a, "lbd.io/node", e->node);
	annotate(ret_a, "lbd.io/claims", e->sending);
	annotate(ret_a, "lbd.io/claims-generation", e->generation_text);
	return true;
}

bool elect_next_action(struct elect *e, uint64_t now_ms, struct lease_action *ret_a)
{
	update_health(e, now_ms);
	if (now_ms >= object_due(e, &e->lease)) {
		if (!e->releasing || e->lease.must_get || e->lease.written) {
			*ret_a = e->lease.must_get ? begin(e, &e->lease, LEASE_GET, now_ms)
						   : lease_action(e, now_ms);
			return true;
		}
		e->released = true; /* never written: nothing to give back */
	}
	if (now_ms < object_due(e, &e->claims))
		return false;
	if (e->claims.must_get) {
		*ret_a = begin(e, &e->claims, LEASE_GET, now_ms);
		return true;
	}
	return claims_action(e, now_ms, ret_a);
}

/* A renewal was taken; now it must come back through the watch (R5). */
static void on_renewed(struct elect *e, uint64_t now_ms)
{
	uint64_t tenth = e->renew_ms / 10 + 1;

	/* Never sooner than renew: the idle budget of 0.1 writes/s is a limit, not a mean. */
	e->renew_at_ms = e->lease.sent_ms + e->renew_ms + rng_below(e->rng, tenth);
	e->renewed_ms = e->lease.sent_ms;
	e->loop_pending = set_text(&e->renewed_rv, e->lease.rv);
	if (e->releasing)
		e->released = true;
	check_loop(e, now_ms);
	update_health(e, now_ms);
}

static void on_written(
	struct elect *e, struct object *o, const struct cluster_lease *lease, uint64_t now_ms)
{
	object_is(o, lease);
	o->written = true;
	o->unsure = false;
	o->failures = 0;
	o->next_ms = now_ms;
	if (o == &e->lease) {
		on_renewed(e, now_ms);
		return;
	}
	free(e->published);
	e->published = e->sending;
	e->sending = NULL;
}

static void on_read(
	struct elect *e, struct object *o, const struct cluster_lease *lease, uint64_t now_ms)
{
	o->must_get = false;
	o->unsure = false;
	o->next_ms = now_ms;
	o->exists = false;
	o->dirty = true; /* written anew from what was read, at once */
	o->quiet_ms = now_ms;
	if (lease == NULL)
		return;
	object_is(o, lease);
	if (o == &e->claims && !set_text(&e->published, lease->claims != NULL ? lease->claims : ""))
		o->must_get = true;
	if (o == &e->claims && lease->claims_generation > e->claims_generation)
		e->claims_generation = lease->claims_generation;
}

static uint64_t pause_ms(struct elect *e, struct object *o)
{
	uint64_t ms = (uint64_t)RETRY_MIN_MS << (o->failures < 6 ? o->failures : 6);
	uint64_t cap = time_min(RETRY_MAX_MS, e->renew_ms);

	if (o->failures < UINT32_MAX)
		o->failures++;
	if (ms > cap)
		ms = cap;
	return ms / 2 + rng_below(e->rng, ms / 2 + 1);
}

static void on_failed(
	struct elect *e, struct object *o, enum lease_outcome outcome, uint64_t now_ms)
{
	if (o == &e->claims)
		o->dirty = true;
	if (e->releasing)
		e->release_tries++;
	if (e->releasing && o == &e->lease && e->release_tries >= RELEASE_TRIES)
		e->released = true; /* it will expire instead */
	if (outcome == LEASE_REFUSED ||
		(outcome == LEASE_NOT_FOUND && o->verb == LEASE_CREATE)) { /* no such namespace */
		/* At the pace of renewals, so that a short one (a server that starts up without
		 * its RBAC) costs no Lease. */
		o->next_ms = now_ms + e->renew_ms;
	} else if (outcome == LEASE_NOT_FOUND) {
		on_read(e, o, NULL, now_ms);
	} else if (outcome == LEASE_CONFLICT) {
		/* Most often a lost answer to our own write (F33): look, and write again. */
		o->must_get = true;
		o->next_ms = now_ms + (o->failures++ > 0 ? pause_ms(e, o) : 0);
	} else {
		o->unsure |= outcome == LEASE_FAILED && o->verb != LEASE_GET;
		o->next_ms = now_ms + pause_ms(e, o);
	}
}

void elect_done(struct elect *e, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms)
{
	struct object *o = id == e->lease.in_flight ? &e->lease : &e->claims;

	if (id == 0 || id != o->in_flight)
		return;
	o->in_flight = 0;
	if (outcome == LEASE_OK && lease == NULL)
		outcome = LEASE_FAILED;
	if (outcome != LEASE_OK)
		on_failed(e, o, outcome, now_ms);
	else if (o->verb == LEASE_GET)
		on_read(e, o, lease, now_ms);
	else
		on_written(e, o, lease, now_ms);
}

/* -- construction -- */

struct elect *elect_new(const struct elect_conf *conf, const struct elect_ops *ops, void *ctx,
	const struct hash_key *hkey, struct rng *rng, struct counters *counters)
{
	struct elect *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->ops = ops;
	e->ctx = ctx;
	e->hkey = *hkey;
	e->rng = rng;
	e->counters = counters;
	e->generation = 1;
	e->next_id = 1;
	e->join_ms = TIME_NEVER;
	e->wake_ms = TIME_NEVER;
	e->lease.role = CLUSTER_LEASE_NODE;
	e->claims.role = CLUSTER_LEASE_CLAIMS;
	object_name(role_prefix(e->lease.role), conf->node, e->lease.name);
	object_name(role_prefix(e->claims.role), conf->node, e->claims.name);
	if (!set_text(&e->node, conf->node) || !set_text(&e->identity, conf->identity) ||
		!set_text(&e->version, conf->version)) {
		elect_free(e);
		return NULL;
	}
	e->self = member_of(e, conf->node, 0);
	if (e->self == NULL) {
		elect_free(e);
		return NULL;
	}
	e->self->self = true;
	return e;
}

void elect_free(struct elect *e)
{
	if (e == NULL)
		return;
	for (struct member *m = e->members, *next; m != NULL; m = next) {
		next = m->hh.next;
		HASH_DEL(e->members, m);
		member_free(m);
	}
	for (size_t i = 0; i < e->n_groups; i++)
		group_free(e->groups[i]);
	free(e->groups);
	free(e->active);
	free(e->retired);
	free(e->dirty);
	free_object(&e->lease);
	free_object(&e->claims);
	claims_free(&e->old);
	free(e->renewed_rv);
	free(e->watched_rv);
	free(e->addresses);
	free(e->macs);
	free(e->subnets);
	free(e->config_hash);
	free(e->published);
	free(e->sending);
	free(e->draining);
	free(e->node);
	free(e->identity);
	free(e->version);
	free(e);
}

/* -- events -- */

void elect_set_input(struct elect *e, const struct elig_input *in, uint64_t now_ms)
{
	e->in = in;
	set_durations(e);
	refresh_facts(e);
	e->resync = true;
	e->generation++;
	update_health(e, now_ms);
	for (size_t i = 0; i < e->n_groups; i++)
		e->groups[i]->judged = false;
	mark_all(e);
	e->wake_ms = 0;
}

void elect_on_lease(
	struct elect *e, const struct cluster_lease *lease, bool deleted, uint64_t now_ms)
{
	struct object *own;
	char name[OBJECT_NAMELEN];
	struct member *m;

	if ((lease->role != CLUSTER_LEASE_NODE && lease->role != CLUSTER_LEASE_CLAIMS) ||
		lease->node == NULL || strlen(lease->node) > CONFIG_MAX_NAME)
		return;
	/* One node has one name: an annotation cannot speak for another's Lease. */
	object_name(role_prefix(lease->role), lease->node, name);
	if (strcmp(name, lease->name) != 0)
		return;
	update_health(e, now_ms);
	m = member_of(e, lease->node, now_ms);
	if (m == NULL)
		return;
	if (m->self) {
		own = lease->role == CLUSTER_LEASE_NODE ? &e->lease : &e->claims;
		own_object_seen(own, lease, deleted, now_ms);
		if (!deleted && own == &e->claims && !own->written)
			(void)set_text(&e->published, lease->claims != NULL ? lease->claims : "");
		if (!deleted && own == &e->lease)
			own_lease_seen(e, lease, now_ms);
	}
	if (lease->role == CLUSTER_LEASE_NODE && deleted)
		m->lease_gone = true;
	else if (lease->role == CLUSTER_LEASE_NODE)
		lease_seen(e, m, lease, now_ms);
	else if (deleted)
		m->claims_gone = true;
	else
		claims_seen(e, m, lease);
}

/* The first lists are complete: what we claimed before the restart is ours to restore (G7). */
static void first_sync(struct elect *e, uint64_t now_ms)
{
	const struct claims *c = &e->self->claims;

	e->synced_once = true;
	e->join_ms = now_ms + JOIN_MS;
	e->renew_at_ms = now_ms;
	if (c->n == 0)
		return;
	e->old.v = malloc(c->n * sizeof *c->v);
	if (e->old.v == NULL)
		return;
	memcpy(e->old.v, c->v, c->n * sizeof *c->v);
	e->old.n = c->n;
}

void elect_on_synced(struct elect *e, bool synced, uint64_t now_ms)
{
	if (synced == e->synced)
		return;
	e->synced = synced;
	if (synced && !e->synced_once)
		first_sync(e, now_ms);
	update_health(e, now_ms);
	mark_all(e);
	e->wake_ms = 0;
}

void elect_on_peer(struct elect *e, const char *node, enum elect_peer state, uint64_t now_ms)
{
	struct member *m = member_of(e, node, now_ms);

	if (m == NULL || m->self || m->peer == state)
		return;
	m->peer = state;
	members_changed(e);
}

/* R16: a member asks for what we wait for. */
static void on_member_probe(struct elect *e, struct group *g, const struct member *m)
{
	if (g->state != ELECT_WAIT && (g->state != ELECT_PROBE || g->ground == GROUND_FENCE))
		return;
	if (vip_of(e, g) == NULL || g->elig == NULL || !comes_before(e, g, m))
		return;
	g->outranked = true;
	mark(e, g);
}

/* A member speaks for the group: it owns it, unless the Leases say that it goes. */
static void on_member_claim(struct elect *e, struct group *g, struct member *m, uint64_t now_ms)
{
	const struct vip_group *v = vip_of(e, g);
	const struct member *w = g->wire_owner;

	/* The word of one who goes or is gone does not replace a living one's: both answer while a
	 * successor relieves a node that is cut from the API. */
	if ((m->expired || is_leaving(m)) && w != NULL && w != m && !w->expired && !is_leaving(w) &&
		now_ms - g->wire_ms < lease_ms_of(e, w))
		return;
	g->wire_owner = m;
	g->wire_ms = now_ms;
	mark(e, g);
	if (g->state != ELECT_OWNER || v == NULL || m->expired || is_leaving(m) ||
		(g->defended_ms != 0 && now_ms - g->defended_ms < DEFENCE_MS))
		return;
	g->defended_ms = now_ms; /* so that it hears us; who stays is settled by the claims */
	e->ops->announce(e->ctx, v);
}

/* A host that is no member.  An OWNER in service is not moved by it (R26, arp.c defends); a free
 * group is not taken from it. */
static void on_foreign(struct elect *e, struct group *g, enum elect_wire what, uint64_t now_ms)
{
	switch (g->state) {
	case ELECT_PROBE:
	case ELECT_CONFLICT:
		break;
	case ELECT_OWNER: /* only the answer to a probe of the first moments */
		if (what == ELECT_WIRE_ANSWER)
			break;
		return;
	case ELECT_IDLE:
	case ELECT_WATCH:
	case ELECT_WAIT:
	case ELECT_HANDOVER:
		return;
	}
	g->foreign_ms = now_ms;
	mark(e, g);
}

void elect_on_wire(struct elect *e, enum elect_wire what, struct addr vip, const uint8_t mac[6],
	uint64_t now_ms)
{
	struct group *g = group_with(e, vip);
	struct member *m = member_with_mac(e, mac);

	if (g == NULL || m == e->self)
		return;
	switch (what) {
	case ELECT_WIRE_PROBE:
		if (m != NULL)
			on_member_probe(e, g, m);
		return;
	case ELECT_WIRE_CLAIM:
	case ELECT_WIRE_ANSWER:
		if (m != NULL)
			on_member_claim(e, g, m, now_ms);
		else
			on_foreign(e, g, what, now_ms);
		return;
	}
}

void elect_fence(struct elect *e, uint64_t now_ms)
{
	for (size_t i = 0; i < e->n_groups; i++) {
		struct group *g = e->groups[i];

		if (is_owned(g)) {
			g->ground = GROUND_FENCE;
			start_probe(e, g, 2, now_ms);
			mark(e, g);
		} else if (g->state == ELECT_WAIT || g->state == ELECT_PROBE) {
			enter(e, g, ELECT_WATCH, now_ms);
			mark(e, g);
		}
	}
	update_health(e, now_ms);
}

void elect_drain(struct elect *e, const char *reason, uint64_t until_ms, uint64_t now_ms)
{
	if (!set_text(&e->draining, reason) && reason != NULL)
		return; /* out of memory: the caller's own time-out ends the wait */
	e->drain_until_ms = until_ms;
	e->lease.dirty = true;
	e->lease.quiet_ms = now_ms;
	mark_all(e);
}

bool elect_drained(const struct elect *e, uint64_t now_ms)
{
	return e->draining != NULL && (e->n_owned_vips == 0 || now_ms >= e->drain_until_ms);
}

void elect_release(struct elect *e, uint64_t now_ms)
{
	if (e->releasing)
		return;
	e->releasing = true;
	for (size_t i = 0; i < e->n_groups; i++)
		if (is_owned(e->groups[i]))
			give_up(e, e->groups[i], now_ms);
	claims_free(&e->old);
	publish(e);
	e->claims.quiet_ms = e->claims.next_ms = e->lease.next_ms = now_ms;
	mark_all(e);
	if (!e->synced_once || e->silenced)
		e->released = true;
}

bool elect_released(const struct elect *e)
{
	return e->released;
}

/* -- the pass -- */

/* The join time is over: what was ours before and was not restored is no longer claimed. */
static void end_join(struct elect *e, uint64_t now_ms)
{
	if (e->joined || now_ms < e->join_ms)
		return;
	e->joined = true;
	publish(e);
	claims_free(&e->old);
	mark_all(e);
}

/* When something will have to be looked at again, if nothing happens. */
static uint64_t next_wake(const struct elect *e)
{
	uint64_t at = e->resync ? 0 : TIME_NEVER;

	for (size_t i = 0; i < e->n_active; i++)
		at = time_min(at, e->active[i]->due_ms);
	for (const struct member *m = e->members; m != NULL; m = m->hh.next)
		at = time_min(at, expires_at(e, m));
	if (e->healthy)
		at = time_min(at, health_ends(e));
	if (!e->joined)
		at = time_min(at, e->join_ms);
	if (e->foreign_renewals > 0)
		at = time_min(at, e->foreign_ms + e->lease_ms);
	return at;
}

void elect_pass(struct elect *e, uint64_t now_ms)
{
	size_t n = 0;

	if (e->in == NULL)
		return;
	update_health(e, now_ms);
	forget_double(e, now_ms);
	end_join(e, now_ms);
	expire_members(e, now_ms);
	set_durations(e);
	take_groups(e, now_ms);
	for (size_t i = 0; i < e->n_active; i++) {
		struct group *g = e->active[i];

		if (g->marked || g->due_ms <= now_ms)
			step(e, g, now_ms);
		g->active = g->marked || g->due_ms != TIME_NEVER;
		if (g->active)
			e->active[n++] = g;
	}
	e->n_active = n;
	e->wake_ms = next_wake(e);
}

size_t elect_dirty_count(const struct elect *e)
{
	return e->n_dirty;
}

uint64_t elect_dirty_at(const struct elect *e, size_t i)
{
	REQUIRE(i < e->n_dirty);
	return e->dirty[i];
}

void elect_clean(struct elect *e)
{
	e->n_dirty = 0;
}

uint64_t elect_next_deadline(const struct elect *e)
{
	uint64_t at = time_min(object_due(e, &e->lease), object_due(e, &e->claims));

	return time_min(at, e->wake_ms);
}

/* -- reading -- */

bool elect_view(const struct elect *e, uint64_t group, struct elect_view *ret_v)
{
	static const struct elig unknown = {.reason = REASON_NOT_SYNCED};
	const struct group *g = find_group(e, group);

	if (g == NULL)
		return false;
	*ret_v = (struct elect_view){
		.state = g->state,
		.since_ms = g->since_ms,
		.term = is_owned(g) ? g->term : 0,
		.owner = is_owned(g)        ? e->node
			 : g->owner != NULL ? g->owner->node
					    : NULL,
		.elig = g->elig != NULL ? g->elig : &unknown,
	};
	return true;
}

bool elect_watch_lags(const struct elect *e, uint64_t now_ms)
{
	return e->loop_pending && now_ms > e->looped_ms + e->health_age_ms;
}

bool elect_is_healthy(const struct elect *e, uint64_t now_ms)
{
	return now_ms < health_ends(e);
}

bool elect_is_impersonated(const struct elect *e)
{
	return e->impersonated;
}

size_t elect_member_count(const struct elect *e)
{
	return HASH_CNT(hh, e->members);
}

void elect_member_at(const struct elect *e, size_t i, uint64_t now_ms, struct elect_member *ret_m)
{
	const struct member *m = e->members;

	(void)now_ms;
	while (i-- > 0 && m != NULL)
		m = m->hh.next;
	REQUIRE(m != NULL);
	*ret_m = (struct elect_member){
		.node = m->node,
		.holder = m->text[TEXT_HOLDER],
		.addresses = m->text[TEXT_ADDRESSES],
		.macs = m->text[TEXT_MACS],
		.subnets = m->text[TEXT_SUBNETS],
		.version = m->text[TEXT_VERSION],
		.config_hash = m->text[TEXT_CONFIG_HASH],
		.draining = m->text[TEXT_DRAINING],
		.liveness = !m->self && is_released(m) ? ELECT_RELEASED
			    : m->expired               ? ELECT_EXPIRED
						       : ELECT_ALIVE,
		.peer = m->peer,
		.observed_ms = m->observed_ms,
		.self = m->self,
	};
	for (size_t k = 0; k < m->claims.n; k++)
		ret_m->n_claims += addr_range_size(m->claims.v[k].range);
}

/* -- the claims annotation -- */

static int by_section(const void *a, const void *b)
{
	const struct elect_claim *x = a, *y = b;

	if (x->term != y->term)
		return x->term < y->term ? -1 : 1;
	if (x->flags != y->flags)
		return x->flags < y->flags ? -1 : 1;
	return addr_cmp(x->range.first, y->range.first);
}

static int by_first(const void *a, const void *b)
{
	const struct elect_claim *x = a, *y = b;

	return addr_cmp(x->range.first, y->range.first);
}

static bool adjoins(const struct elect_claim *a, const struct elect_claim *b)
{
	return a->term == b->term && a->flags == b->flags &&
	       addr_family(a->range.first) == addr_family(b->range.first) &&
	       addr_eq(addr_next(a->range.last), b->range.first);
}

/* One section's ranges follow each other at a distance that fits a number. */
static bool continues(const struct elect_claim *a, const struct elect_claim *b)
{
	return a->term == b->term && a->flags == b->flags &&
	       addr_family(a->range.first) == addr_family(b->range.first) &&
	       addr_distance(a->range.last, b->range.first) != UINT64_MAX;
}

static void print_claim(
	const struct elect_claim *prev, const struct elect_claim *c, struct buf *out)
{
	uint64_t count = addr_range_size(c->range);
	char text[ADDR_STRLEN];

	if (prev != NULL && continues(prev, c))
		buf_addf(out, ",+%" PRIu64, addr_distance(prev->range.last, c->range.first));
	else
		buf_addf(out, "%s%" PRIu64 "%s%s:%s", out->len > 0 ? " " : "", c->term,
			(c->flags & ELECT_CLAIM_WEAK) != 0 ? "w" : "",
			(c->flags & ELECT_CLAIM_OFFERED) != 0 ? "o" : "",
			addr_format(c->range.first, text));
	if (count > 1)
		buf_addf(out, "-%" PRIu64, count);
}

int elect_claims_print(const struct elect_claim *v, size_t n, struct buf *out)
{
	struct elect_claim *s;
	size_t n_s = 0, start;
	int err = 0;

	if (n == 0)
		return 0;
	s = malloc(n * sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (n_s > 0 && adjoins(&s[n_s - 1], &v[i]))
			s[n_s - 1].range.last = v[i].range.last;
		else
			s[n_s++] = v[i];
	}
	qsort(s, n_s, sizeof *s, by_section);
	for (size_t i = 0; i < n_s && err == 0; i++) {
		start = out->len;
		print_claim(i > 0 ? &s[i - 1] : NULL, &s[i], out);
		if (out->bad) {
			err = -ENOMEM;
		} else if (out->len > CLUSTER_MAX_CLAIMS) {
			out->len = start;
			out->p[start] = '\0';
			err = -E2BIG;
		}
	}
	free(s);
	return err;
}

/* Where the parser stands. */
struct claims_text {
	const char *p;
	struct elect_claim *v;
	size_t n, cap;
	uint64_t total; /* addresses so far */
};

/* A decimal number without leading zeros; 0 itself only where it may be. */
static bool take_number(struct claims_text *t, uint64_t *ret)
{
	uint64_t n = 0;

	if (*t->p < '1' || *t->p > '9')
		return false;
	for (; *t->p >= '0' && *t->p <= '9'; t->p++) {
		uint64_t digit = (uint64_t)(*t->p - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

static bool take_char(struct claims_text *t, char c)
{
	if (*t->p != c)
		return false;
	t->p++;
	return true;
}

/* The range that begins at first; -COUNT may follow. */
static int take_range(struct claims_text *t, const struct elect_claim *section, struct addr first)
{
	struct elect_claim c = *section;
	uint64_t count = 1;

	if (take_char(t, '-') && (!take_number(t, &count) || count < 2))
		return -EBADMSG;
	if (count > VIP_MAX || t->total + count > VIP_MAX)
		return -E2BIG;
	t->total += count;
	c.range.first = first;
	c.range.last = addr_plus(first, count - 1);
	if (addr_cmp(c.range.last, first) < 0 || addr_family(c.range.last) != addr_family(first))
		return -EBADMSG;
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 16;
		struct elect_claim *v = realloc(t->v, cap * sizeof *v);

		if (v == NULL)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = c;
	return 0;
}

/* ",+GAP[-COUNT]" */
static int take_next(struct claims_text *t, const struct elect_claim *section)
{
	struct addr last = t->v[t->n - 1].range.last, first;
	uint64_t gap;

	if (!take_char(t, '+') || !take_number(t, &gap))
		return -EBADMSG;
	first = addr_plus(last, gap);
	if (addr_cmp(first, last) <= 0 || addr_family(first) != addr_family(last))
		return -EBADMSG;
	return take_range(t, section, first);
}

/* "TERM[w][o]:START[-COUNT]" and what follows up to a blank or the end. */
static int take_section(struct claims_text *t)
{
	struct elect_claim section = {0};
	struct addr first;
	size_t len;
	int err;

	if (!take_number(t, &section.term))
		return -EBADMSG;
	if (take_char(t, 'w'))
		section.flags |= ELECT_CLAIM_WEAK;
	if (take_char(t, 'o'))
		section.flags |= ELECT_CLAIM_OFFERED;
	if (!take_char(t, ':'))
		return -EBADMSG;
	len = strcspn(t->p, "-, ");
	if (addr_parse(t->p, len, &first) != 0)
		return -EBADMSG;
	t->p += len;
	err = take_range(t, &section, first);
	while (err == 0 && take_char(t, ','))
		err = take_next(t, &section);
	return err;
}

static int take_sections(struct claims_text *t)
{
	int err;

	if (*t->p == '\0')
		return 0;
	do {
		err = take_section(t);
		if (err != 0)
			return err;
	} while (take_char(t, ' '));
	if (*t->p != '\0')
		return -EBADMSG;
	qsort(t->v, t->n, sizeof *t->v, by_first);
	for (size_t i = 1; i < t->n; i++)
		if (addr_cmp(t->v[i - 1].range.last, t->v[i].range.first) >= 0)
			return -EBADMSG; /* twice the same address */
	return 0;
}

int elect_claims_parse(const char *s, struct elect_claim **ret_v, size_t *ret_n)
{
	struct claims_text t = {.p = s};
	int err;

	if (strnlen(s, CLUSTER_MAX_CLAIMS + 1) > CLUSTER_MAX_CLAIMS)
		return -E2BIG;
	err = take_sections(&t);
	if (err != 0) {
		free(t.v);
		return err;
	}
	*ret_v = t.v;
	*ret_n = t.n;
	return 0;
}
