/* SPDX-License-Identifier: Apache-2.0
 *
 * test_elect.c - one node's view: health, taking, yielding, handing over, its own
 * Lease objects. The others are Leases that the test puts; tests/sim plays several nodes against
 * each other.
 */
#include "check.h"
#include "elect.h"
#include "member.h"
#include "world.h"

#include <mbedtls/md.h>

#include <errno.h>

static struct world w;
static struct elect *e;
static struct rng rng;
static uint64_t now;
static unsigned probes, announcements, asks;
static bool third_party; /* is there a host that could witness? */
static uint64_t witness_ms; /* when it was heard last */
static const uint8_t *cloned_mac; /* one of this node's, too; NULL = none */
static const uint8_t *answerer; /* the MAC of a member that answers what is asked; NULL = nobody */
static struct addr asked_for;
static bool asked;
static unsigned long rv = 1000;
static struct lease_action last_lease, last_claims; /* the newest request on each object */
static char claims_now[4096];                       /* what the API holds */
static char move_now[64];                           /* likewise */
static char claims_rv[24], lease_rv[24];
static bool api_up, watch_up, forbidden;
static unsigned n_writes;

static const uint8_t mac_n2[6] = {2, 0, 0, 0, 2, 2}, mac_n3[6] = {2, 0, 0, 0, 3, 2},
		     mac_x[6] = {2, 9, 9, 9, 9, 9};

static void note_question(const struct vip_group *g)
{
	asked = true;
	asked_for = vip_member(g, 0)->addr;
}

static void on_probe(void *ctx, const struct vip_group *g)
{
	(void)ctx;
	note_question(g);
	probes += (unsigned)g->n_vips;
}

static void on_announce(void *ctx, const struct vip_group *g)
{
	(void)ctx;
	announcements += (unsigned)g->n_vips;
}

static void on_ask(void *ctx, const struct vip_group *g, const uint8_t mac[6])
{
	(void)ctx;
	(void)mac;
	note_question(g);
	asks++;
}

static bool on_ask_witness(void *ctx, unsigned ifindex, const char *suspect)
{
	(void)ctx;
	(void)ifindex;
	(void)suspect;
	return third_party;
}

static bool on_witnessed(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	(void)ctx;
	(void)ifindex;
	(void)suspect;
	return witness_ms > since_ms;
}

static bool on_watches(void *ctx, unsigned ifindex, const char *node, const char *owner)
{
	(void)ctx;
	(void)ifindex;
	(void)node;
	(void)owner;
	return true;
}

static void on_forgot(void *ctx, const char *node)
{
	(void)ctx;
	(void)node;
}

static bool on_is_ours(void *ctx, const uint8_t mac[6])
{
	(void)ctx;
	return cloned_mac != NULL && memcmp(cloned_mac, mac, 6) == 0;
}

static const struct elect_ops ops = {on_probe, on_announce, on_ask, on_ask_witness, on_witnessed,
	on_watches, on_forgot, on_is_ours};

/* -- the Leases of others -- */

static void put_lease_with(
	const char *node, const char *holder, const char *notes, const char *macs)
{
	char text[24], name[64];
	struct cluster_lease l = {.name = name,
		.uid = "u",
		.resource_version = text,
		.role = CLUSTER_LEASE_NODE,
		.node = node,
		.holder = holder,
		.duration_ms = 40000,
		.subnets = "10.0.0.0/24",
		.config_hash = w.conf.hash,
		.draining = notes,
		.macs = macs};

	(void)snprintf(text, sizeof text, "%lu", ++rv);
	(void)snprintf(name, sizeof name, "lbd-node-%s", node);
	elect_on_lease(e, &l, false, now);
}

static void put_lease(const char *node, const char *holder, const char *notes)
{
	char macs[40];

	(void)snprintf(macs, sizeof macs, "eth0=02:00:00:00:0%c:02", node[1]);
	put_lease_with(node, holder, notes, macs);
}

static void renew(const char *node)
{
	put_lease(node, "somebody/x/1", NULL);
}

static void put_claims(const char *node, const char *text)
{
	char version[24], name[64];
	struct cluster_lease l = {.name = name,
		.uid = "u",
		.resource_version = version,
		.role = CLUSTER_LEASE_CLAIMS,
		.node = node,
		.holder = "somebody",
		.claims = text};

	(void)snprintf(version, sizeof version, "%lu", ++rv);
	(void)snprintf(name, sizeof name, "lbd-claims-%s", node);
	elect_on_lease(e, &l, false, now);
}

/* -- this node's requests: the API answers at once and the watch shows it at once -- */

static void answer(const struct lease_action *a)
{
	bool claims = a->role == CLUSTER_LEASE_CLAIMS;
	char *own_rv = claims ? claims_rv : lease_rv, version[24];
	struct cluster_lease l = {.name = a->name,
		.uid = "u",
		.role = a->role,
		.node = "n1",
		.holder = a->holder,
		.acquire_time = "t",
		.duration_ms = a->duration_ms,
		.resource_version = version};

	*(claims ? &last_claims : &last_lease) = *a;
	if (!api_up) {
		elect_done(e, a->id, LEASE_FAILED, NULL, now);
		return;
	}
	if (forbidden) {
		elect_done(e, a->id, LEASE_REFUSED, NULL, now);
		return;
	}
	if (a->verb == LEASE_GET ? own_rv[0] == '\0'
				 : (a->verb == LEASE_CREATE) != (own_rv[0] == '\0')) {
		elect_done(e, a->id, a->verb == LEASE_CREATE ? LEASE_CONFLICT : LEASE_NOT_FOUND,
			NULL, now);
		return;
	}
	if (a->verb == LEASE_UPDATE && strcmp(a->resource_version, own_rv) != 0) {
		elect_done(e, a->id, LEASE_CONFLICT, NULL, now);
		return;
	}
	if (a->verb != LEASE_GET) {
		n_writes++;
		(void)snprintf(own_rv, 24, "%lu", ++rv);
		if (claims)
			move_now[0] = '\0';
		for (size_t i = 0; claims && i < a->n_annotations; i++) {
			if (strcmp(a->annotations[i].key, "lbd.io/claims") == 0)
				(void)snprintf(claims_now, sizeof claims_now, "%s",
					a->annotations[i].value);
			if (strcmp(a->annotations[i].key, "lbd.io/move") == 0)
				(void)snprintf(move_now, sizeof move_now, "%s",
					a->annotations[i].value);
		}
	}
	(void)snprintf(version, sizeof version, "%s", own_rv);
	l.claims = claims ? claims_now : NULL;
	elect_done(e, a->id, LEASE_OK, &l, now);
	if (watch_up)
		elect_on_lease(e, &l, false, now);
}

static void pass(void)
{
	struct lease_action a;

	elect_pass(e, now);
	if (asked && answerer != NULL)
		elect_on_wire(e, ELECT_WIRE_ANSWER, asked_for, answerer, now);
	asked = false;
	while (elect_next_action(e, now, &a))
		answer(&a);
}

/* Turns the clock to `until`, stopping wherever the unit asks for it. */
static void turn(uint64_t until)
{
	for (unsigned steps = 0; now < until; steps++) {
		uint64_t at = elect_next_deadline(e);

		if (steps > 5000) {
			CHECK(steps <= 5000);
			return;
		}
		now = at <= now ? now + 1 : time_min(at, until);
		pass();
	}
}

/* Others stay alive meanwhile. */
static void turn_with(uint64_t until, const char *a, const char *b)
{
	while (now < until) {
		turn(time_min(until, now + 9000));
		if (a != NULL)
			renew(a);
		if (b != NULL)
			renew(b);
		pass();
	}
}

static void start(const char *identity)
{
	const struct elect_conf conf = {.node = "n1", .identity = identity, .version = "1"};

	rng.state = 7;
	e = elect_new(&conf, &ops, NULL, &w.hkey, &rng, &w.counters);
	if (e == NULL)
		abort();
	elect_set_input(e, &w.in, now);
}

/* Three nodes; n1 is this one. No Service yet. */
static void open_cluster(void)
{
	world_open(&w, "n1");
	world_link(&w, 2, "eth0", 1, true);
	world_addr(&w, 2, "10.0.0.1/24");
	world_node(&w, "n1", "", "");
	world_node(&w, "n2", "", "");
	world_node(&w, "n3", "", "");
	now = 100000;
	probes = announcements = asks = n_writes = 0;
	third_party = true;
	witness_ms = 0;
	answerer = cloned_mac = NULL;
	asked = false;
	claims_now[0] = claims_rv[0] = lease_rv[0] = '\0';
	api_up = watch_up = true;
	start("n1/b/1");
}

static void synced(void)
{
	elect_on_synced(e, true, now);
	pass();
}

static void close_cluster(void)
{
	elect_free(e);
	world_close(&w);
}

static void serve(const char *name, const char *ip)
{
	char quoted[32];

	(void)snprintf(quoted, sizeof quoted, "'%s'", ip);
	world_service(&w, name, quoted, "", "");
	world_endpoints(&w, name, "n1,n2,n3");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
}

static struct elect_view view(const char *ip)
{
	const struct vip *v = vip_find(w.vips, world_ip(ip));
	struct elect_view r = {.state = ELECT_IDLE};

	CHECK(v != NULL && elect_view(e, v->group->id, &r));
	return r;
}

/* MetalLB's order, reckoned here anew: the first address from 10.0.0.100 for which n1 is (not) the
 * first of n1..n3. */
static const char *address(bool best)
{
	static char ip[ADDR_STRLEN];

	for (unsigned i = 100;; i++) {
		unsigned char sum[4][32];
		char text[64];

		(void)snprintf(ip, sizeof ip, "10.0.0.%u", i);
		for (unsigned n = 1; n <= 3; n++) {
			(void)snprintf(text, sizeof text, "n%u#%s", n, ip);
			if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
				    (const unsigned char *)text, strlen(text), sum[n]) != 0)
				abort();
		}
		if ((memcmp(sum[1], sum[2], 32) < 0 && memcmp(sum[1], sum[3], 32) < 0) == best)
			return ip;
	}
}

/* A cluster at work: synced, joined, n2 and n3 alive. */
static void open_working(void)
{
	open_cluster();
	renew("n2");
	renew("n3");
	put_claims("n2", "");
	put_claims("n3", "");
	synced();
	turn_with(now + 5000, "n2", "n3");
	CHECK(elect_is_healthy(e, now));
}

/* -- membership -- */

static void test_own_lease(void)
{
	open_cluster();
	pass();
	CHECK_INT(n_writes, 0); /* nobody knows yet whether it exists */
	synced();
	CHECK_INT(n_writes, 1);
	CHECK_INT(last_lease.verb, LEASE_CREATE);
	CHECK_STR(last_lease.name, "lbd-node-n1");
	CHECK_STR(last_lease.holder, "n1/b/1");
	CHECK_INT(last_lease.duration_ms, 40000);
	CHECK(last_lease.has_renew_time);
	CHECK(last_lease.n_annotations >= 6 &&
		last_lease.n_annotations <= ARRAY_LEN(last_lease.annotations));
	CHECK(elect_is_healthy(e, now));
	/* Idle: one renewal in 10 to 11 s, and the claims object once, empty. */
	turn(now + 5000);
	CHECK_INT(n_writes, 2);
	CHECK_STR(last_claims.name, "lbd-claims-n1");
	CHECK_STR(claims_now, "");
	n_writes = 0;
	turn(now + 600000);
	CHECK(n_writes >= 54 && n_writes <= 60);
	/* An interface comes: written at once. */
	n_writes = 0;
	world_link(&w, 3, "eth1", 1, true);
	world_addr(&w, 3, "10.1.0.1/24");
	elect_set_input(e, &w.in, now);
	pass();
	CHECK_INT(n_writes, 1);
	close_cluster();
}

static void test_health(void)
{
	open_working();
	turn_with(now + 60000, "n2", "n3");
	CHECK(elect_is_healthy(e, now));
	watch_up = false; /* writes succeed, but the watch shows nothing */
	turn_with(now + 15000, "n2", "n3");
	CHECK(!elect_is_healthy(e, now));
	watch_up = true;
	turn_with(now + 12000, "n2", "n3");
	CHECK(elect_is_healthy(e, now));
	elect_on_synced(e, false, now);
	CHECK(!elect_is_healthy(e, now));
	elect_on_synced(e, true, now);
	CHECK(elect_is_healthy(e, now));
	api_up = false; /* no renewal for 1.5 x renew */
	turn_with(now + 15000, "n2", "n3");
	CHECK(!elect_is_healthy(e, now));
	close_cluster();
}

/* The renewal meets a server that does not know its roles yet: asked again before that costs the
 * node its health. */
static void test_refused_once(void)
{
	bool healthy = true;

	open_working();
	turn_with(now + 60000, "n2", "n3");
	forbidden = true;
	for (last_lease.id = 0; last_lease.id == 0;)
		turn_with(now + 100, "n2", "n3");
	forbidden = false;
	for (uint64_t end = now + 15000; now < end; healthy &= elect_is_healthy(e, now))
		turn_with(now + 100, "n2", "n3");
	CHECK(healthy);
	close_cluster();
}

static enum elect_liveness liveness(const char *node)
{
	for (size_t i = 0; i < elect_member_count(e); i++) {
		struct elect_member m;

		elect_member_at(e, i, now, &m);
		if (strcmp(m.node, node) == 0)
			return m.liveness;
	}
	CHECK_STR(node, "a member");
	return ELECT_ALIVE;
}

static void test_expiry(void)
{
	uint64_t last;

	open_working();
	renew("n2");
	last = now;
	turn_with(last + 39000, "n3", NULL);
	CHECK_INT(liveness("n2"), ELECT_ALIVE);
	turn(last + 40001);
	CHECK_INT(liveness("n2"), ELECT_EXPIRED);
	CHECK_INT(liveness("n3"), ELECT_ALIVE);
	renew("n2");
	CHECK_INT(liveness("n2"), ELECT_ALIVE);
	put_lease("n2", "", NULL);
	CHECK_INT(liveness("n2"), ELECT_RELEASED);
	/* Losing health stops the clocks, regaining it starts them from 0. */
	renew("n3");
	turn(now + 30000);
	elect_on_synced(e, false, now);
	elect_on_synced(e, true, now);
	last = now;
	turn(last + 39999);
	CHECK_INT(liveness("n3"), ELECT_ALIVE);
	turn(last + 40001);
	CHECK_INT(liveness("n3"), ELECT_EXPIRED);
	CHECK_INT(liveness("n1"), ELECT_ALIVE);
	close_cluster();
}

/* Cut from the API without a word, this node's own Lease still fresh: it cannot know what others wrote
 * since, and asks by a renewal that comes back (seed 56905). */
static void test_expiry_unheard(void)
{
	uint64_t last;

	open_working();
	renew("n2");
	last = now;
	turn_with(last + 35000, "n3", NULL);
	api_up = watch_up = false;
	while (elect_is_healthy(e, now) && now < last + 60000) {
		turn(now + 10);
		CHECK_INT(liveness("n2"), ELECT_ALIVE);
	}
	CHECK(now > last + 40000); /* else it proves nothing */
	close_cluster();
}

static void test_foreign_names(void)
{
	struct cluster_lease l = {.name = "lbd-node-n9",
		.uid = "u",
		.resource_version = "1",
		.role = CLUSTER_LEASE_NODE,
		.node = "n2",
		.holder = "x"};
	size_t before;
	char longest[300];

	open_working();
	before = elect_member_count(e);
	elect_on_lease(e, &l, false, now); /* an annotation that speaks for another */
	l.node = "n9";
	l.role = CLUSTER_LEASE_OTHER;
	elect_on_lease(e, &l, false, now);
	l.role = CLUSTER_LEASE_NODE;
	l.node = NULL;
	elect_on_lease(e, &l, false, now);
	memset(longest, 'a', sizeof longest);
	longest[254] = '\0';
	l.node = longest;
	elect_on_lease(e, &l, false, now);
	CHECK_INT(elect_member_count(e), before);
	longest[250] = '\0'; /* 250 characters: first 200, "-", 12 hex digits */
	l.name = "lbd-node-"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "-"
		 "3f3e35e0a775";
	elect_on_lease(e, &l, false, now);
	CHECK_INT(elect_member_count(e), before + 1);
	close_cluster();
}

/* A deleted Lease counts as unchanged; when it would have expired the member is forgotten. */
static void test_deleted_lease(void)
{
	struct cluster_lease l = {.name = "lbd-node-n2",
		.uid = "u",
		.resource_version = "9",
		.role = CLUSTER_LEASE_NODE,
		.node = "n2",
		.holder = "x"};
	size_t before;

	open_working();
	before = elect_member_count(e);
	renew("n2");
	elect_on_lease(e, &l, true, now);
	turn_with(now + 30000, "n3", NULL);
	CHECK_INT(liveness("n2"), ELECT_ALIVE);
	CHECK_INT(elect_member_count(e), before);
	l.name = "lbd-claims-n2";
	l.role = CLUSTER_LEASE_CLAIMS;
	elect_on_lease(e, &l, true, now);
	turn_with(now + 15000, "n3", NULL);
	CHECK_INT(elect_member_count(e), before - 1);
	close_cluster();
}

/* It was made anew and deleted between two lists: the watch never showed that (seed 26711). */
static void test_claims_never_seen(void)
{
	struct cluster_lease l = {.name = "lbd-claims-n1",
		.uid = "u",
		.resource_version = "5000",
		.role = CLUSTER_LEASE_CLAIMS,
		.node = "n1",
		.holder = "n1/b/1"};

	open_working();
	watch_up = false;
	claims_rv[0] = '\0';
	elect_on_lease(e, &l, true, now);
	pass();
	CHECK_INT(last_claims.verb, LEASE_CREATE);
	l.name = "lbd-node-n1";
	l.role = CLUSTER_LEASE_NODE;
	elect_on_lease(e, &l, false, now);
	pass(); /* it is there: only the watch is late */
	CHECK_INT(last_claims.verb, LEASE_GET);
	claims_rv[0] = '\0';
	l.resource_version = "5001";
	elect_on_lease(e, &l, false, now);
	pass();
	CHECK_INT(last_claims.verb, LEASE_CREATE);
	CHECK(claims_rv[0] != '\0');
	close_cluster();
}

/* -- taking -- */

static void test_take_free(void)
{
	const char *ip;
	uint64_t t;

	open_working();
	ip = address(true);
	probes = 0;
	serve("web", ip);
	CHECK_INT(view(ip).state, ELECT_PROBE);
	CHECK_INT(probes, 1);
	t = now;
	turn(t + 9);
	CHECK_INT(view(ip).state, ELECT_PROBE);
	turn(t + 10);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK_STR(view(ip).owner, "n1");
	CHECK_INT(view(ip).term, 1);
	turn(t + 400);
	CHECK_INT(probes, 3); /* two more after service began */
	turn(t + 1500);
	CHECK(strncmp(claims_now, "1:10.0.0.", 9) == 0);
	close_cluster();
}

static void test_take_behind(void)
{
	const char *ip;
	uint64_t t;

	open_working();
	ip = address(false);
	serve("web", ip);
	t = now;
	CHECK_INT(view(ip).state, ELECT_WAIT);
	turn(t + 2000);
	CHECK_INT(view(ip).state, ELECT_WAIT); /* the best one has two seconds, and its slot */
	turn(t + 2200);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();
}

/* Nothing is taken before the first sync, nor in the join time after it. */
static void test_join(void)
{
	uint64_t t;

	open_cluster();
	serve("web", "10.0.0.100");
	turn(now + 20000);
	CHECK_INT(view("10.0.0.100").state, ELECT_WATCH);
	synced();
	t = now;
	turn(t + 2999);
	CHECK_INT(view("10.0.0.100").state, ELECT_WATCH);
	turn(t + 3010);
	CHECK_INT(view("10.0.0.100").state, ELECT_OWNER); /* no other member: rank 0 */
	close_cluster();
}

static void test_watch_holder(void)
{
	open_working();
	put_claims("n2", "5:10.0.0.100-50");
	serve("web", "10.0.0.120");
	turn_with(now + 200000, "n2", "n3");
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	CHECK_STR(view("10.0.0.120").owner, "n2");
	close_cluster();
}

/* G3: dead by its Lease. Failover takes the Lease and less than half a second. */
static void test_take_expired(void)
{
	uint64_t last, t;

	open_working();
	put_claims("n2", "5:10.0.0.100-50");
	serve("web", "10.0.0.120");
	renew("n2");
	last = now;
	turn_with(last + 39990, "n3", NULL);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	witness_ms = last + 40010;
	for (t = now; t < last + 41000 && view("10.0.0.120").state != ELECT_OWNER; t++)
		turn(t);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK(!view("10.0.0.120").weak);
	CHECK(now >= last + 40000 && now < last + 40500);
	CHECK_INT(view("10.0.0.120").term, 6);
	/* It comes back and still claims the old term: it will yield, not we. */
	renew("n2");
	turn_with(now + 5000, "n2", "n3");
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* ... but not by a node that hears nobody, though there are some (R8); where there is nobody else who
 * could be heard, weakly. */
static void test_take_expired_alone(void)
{
	open_working();
	put_claims("n2", "5:10.0.0.120");
	serve("web", "10.0.0.120");
	turn_with(now + 60000, "n3", NULL);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	witness_ms = now; /* the link is mended */
	turn_with(now + 2000, "n3", NULL);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK(!view("10.0.0.120").weak);
	close_cluster();

	open_working();
	third_party = false;
	put_claims("n2", "5:10.0.0.120");
	serve("web", "10.0.0.120");
	turn_with(now + 45000, "n3", NULL);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK(view("10.0.0.120").weak);
	close_cluster();
}

/* Without health nothing expires and nothing is free. */
static void test_unhealthy(void)
{
	open_working();
	put_claims("n2", "5:10.0.0.120");
	serve("web", "10.0.0.120");
	watch_up = false;
	turn(now + 300000);
	CHECK(!elect_is_healthy(e, now));
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	serve("new", "10.0.0.121");
	turn(now + 60000);
	CHECK_INT(view("10.0.0.121").state, ELECT_WATCH);
	close_cluster();
}

static void test_expiry_void(void)
{
	open_working();
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
	elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 0, now);
	put_claims("n2", "5:10.0.0.120");
	answerer = mac_n2;
	serve("web", "10.0.0.120");
	turn(now + 100000); /* both expire while heard: it is the API's fault */
	CHECK_INT(liveness("n2"), ELECT_EXPIRED);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	elect_on_peer(e, "n2", 2, ELECT_PEER_NEVER, 0, now);
	witness_ms = now + 500; /* that the Lease was found expired is long ago */
	turn(now + 1000);
	turn(now + 500);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* G2: draining by its Lease, by its claim, by BFD, or gone cleanly. */
static void test_take_offered(void)
{
	static const struct {
		const char *name, *holder, *draining, *claims; /* NULL = as before */
		bool bfd;
		unsigned term; /* 0 = not taken */
	} rows[] = {
		{"drained", "x/y/1", "by hand", "5o:10.0.0.120", false, 6},
		{"offered", NULL, NULL, "5o:10.0.0.120", false, 6},
		{"released", "", NULL, "", false, 1},
		{"BFD says so", NULL, NULL, NULL, true, 6},
		/* one object says so, the other does not: forged, or not written yet */
		{"forged draining", "x/y/1", "by hand", NULL, false, 0},
		{"forged release", "", NULL, NULL, false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		open_working();
		put_claims("n2", "5:10.0.0.120");
		serve("web", "10.0.0.120");
		turn(now + 1000);
		CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
		if (rows[i].holder != NULL)
			put_lease("n2", rows[i].holder, rows[i].draining);
		if (rows[i].claims != NULL)
			put_claims("n2", rows[i].claims);
		if (rows[i].bfd)
			elect_on_peer(e, "n2", 2, ELECT_PEER_LEAVING, 0, now);
		turn(now + 300);
		CHECK_INT(view("10.0.0.120").state, rows[i].term > 0 ? ELECT_OWNER : ELECT_WATCH);
		CHECK_INT(view("10.0.0.120").term, rows[i].term);
		close_cluster();
	}
}

/* R13, R14: n2 comes first for 10.0.0.107, then this node.  A better node that is heard to hold its share is given no grace; one that is not, is. */
static void test_share(void)
{
	static const struct {
		const char *name, *holder;
		bool at_once;
	} rows[] = {
		{"best has its share", "n2", true},
		{"best has room", "n3", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t from;

		check_row = rows[i].name;
		open_working();
		w.conf.elections.max_share = 1.25;
		for (unsigned k = 101; k <= 106; k++) {
			char name[8], ip[16];

			(void)snprintf(name, sizeof name, "s%u", k);
			(void)snprintf(ip, sizeof ip, "10.0.0.%u", k);
			serve(name, ip);
		}
		put_claims(rows[i].holder, "5:10.0.0.101-6");
		turn(now + 200);
		serve("web", "10.0.0.107");
		from = now;
		turn_with(from + 200, "n2", "n3");
		CHECK_INT(view("10.0.0.107").state == ELECT_OWNER, rows[i].at_once);
		turn_with(from + 2400, "n2", "n3");
		CHECK_INT(view("10.0.0.107").state, ELECT_OWNER);
		close_cluster();
	}
}

/* G7: what this node claimed before its restart is asked for at once. */
static void test_restore(void)
{
	open_cluster();
	renew("n2");
	put_claims("n1", "4:10.0.0.120");
	(void)snprintf(claims_rv, sizeof claims_rv, "%lu", rv);
	(void)snprintf(claims_now, sizeof claims_now, "4:10.0.0.120");
	serve("web", "10.0.0.120");
	serve("new", "10.0.0.130");
	synced();
	turn(now + 10);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK_INT(view("10.0.0.120").term, 5);
	CHECK_INT(view("10.0.0.130").state, ELECT_WATCH);
	turn(now + 1500);
	CHECK_STR(claims_now, "4:10.0.0.120"); /* memory stays until the join time is over */
	turn(now + 2500);
	CHECK(strstr(claims_now, "5:10.0.0.120") != NULL);
	close_cluster();

	open_cluster(); /* another one has taken it since */
	renew("n2");
	put_claims("n1", "4:10.0.0.120");
	put_claims("n2", "5:10.0.0.120");
	(void)snprintf(claims_rv, sizeof claims_rv, "%s", "1");
	serve("web", "10.0.0.120");
	synced();
	turn_with(now + 8000, "n2", NULL);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	CHECK_STR(claims_now, "");
	close_cluster();
}

/* R4: the API does not answer, and the Leases are those of a picture from before the start: what was
 * this node's own is taken again, nothing else is, and nothing moves when the API is there. */
static void test_restore_without_api(void)
{
	char *text;

	open_cluster();
	api_up = watch_up = false;
	renew("n2");
	put_claims("n1", "4:10.0.0.120-2");
	put_claims("n2", "5:10.0.0.121 6:10.0.0.122");
	(void)snprintf(claims_rv, sizeof claims_rv, "%lu", rv - 1);
	(void)snprintf(claims_now, sizeof claims_now, "4:10.0.0.120-2");
	serve("own", "10.0.0.120");
	serve("both", "10.0.0.121");
	serve("theirs", "10.0.0.122");
	serve("free", "10.0.0.123");
	turn(now + 1000);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH); /* it may still answer */
	elect_on_snapshot(e, now);
	turn(now + 20);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK_INT(view("10.0.0.120").term, 5);
	turn(now + 2000);
	CHECK_INT(view("10.0.0.121").state, ELECT_WATCH);
	CHECK_INT(view("10.0.0.122").state, ELECT_WATCH);
	CHECK_INT(view("10.0.0.123").state, ELECT_WATCH);
	CHECK_INT(n_writes, 0);
	turn(now + 2000); /* joined: it can say what it owns, and what it has still a right to */
	text = elect_claims_text(e);
	CHECK_STR(text, "4:10.0.0.121 5:10.0.0.120");
	free(text);
	/* The lists come: the same, and the term as well. */
	api_up = watch_up = true;
	synced();
	turn_with(now + 8000, "n2", NULL);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK_INT(view("10.0.0.120").term, 5);
	CHECK_INT(view("10.0.0.122").state, ELECT_WATCH);
	CHECK(strstr(claims_now, "5:10.0.0.120") != NULL);
	elect_on_snapshot(e, now); /* too late to mean anything */
	turn(now + 100);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* G6: a node that nobody heard and whose Lease stands still since we came, whatever the picture on disk
 * had of it. */
static void test_cold(void)
{
	open_cluster();
	renew("n2");
	put_claims("n2", "3:10.0.0.120");
	serve("web", "10.0.0.120");
	renew("n2"); /* the lists: later than the picture */
	synced();
	witness_ms = now + 20000;
	turn(now + 3500);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	turn(now + 6000);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();

	open_cluster();
	renew("n2");
	put_claims("n2", "3:10.0.0.120");
	serve("web", "10.0.0.120");
	synced();
	witness_ms = now + 20000;
	turn(now + 2000);
	renew("n2"); /* it lives */
	turn(now + 10000);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	close_cluster();
}

/* ... and another takes it before us: it is heard, though its claim is not published yet (R16). */
static void test_cold_taken(void)
{
	open_cluster();
	renew("n2");
	renew("n3");
	put_claims("n2", "3:10.0.0.120");
	serve("web", "10.0.0.120");
	synced();
	elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 0, now);
	witness_ms = now + 20000;
	turn(now + 3500);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip("10.0.0.120"), mac_n3, now);
	answerer = mac_n3;
	turn(now + 10000);
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	CHECK_STR(view("10.0.0.120").owner, "n3");
	close_cluster();
}

/* G6 above the mesh limit: left to those that have a session with the node. */
static void test_cold_of_many(void)
{
	static const struct {
		unsigned limit;
		bool session;
		enum elect_state want;
	} rows[] = {
		{2, false, ELECT_OWNER},
		{1, false, ELECT_WATCH},
		{1, true, ELECT_OWNER},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		open_cluster();
		w.conf.elections.bfd_mesh_limit = rows[i].limit;
		renew("n2");
		if (rows[i].session)
			elect_on_peer(e, "n2", 2, ELECT_PEER_NEVER, 0, now);
		put_claims("n2", "3:10.0.0.120");
		serve("web", "10.0.0.120");
		synced();
		witness_ms = now + 20000;
		turn(now + 10000);
		CHECK_INT(view("10.0.0.120").state, rows[i].want);
		CHECK_INT(probes > 0, rows[i].want == ELECT_OWNER);
		close_cluster();
	}
}

static bool is(const char *name, const char *want)
{
	return name != NULL && strcmp(name, want) == 0;
}

/* Whose a MAC is: of two that publish it, of the one known first. */
static void test_macs(void)
{
	static const struct {
		const char *node, *macs, *want[3]; /* of 02:..:01, :02, :03 */
	} rows[] = {
		{"n3", "eth0=02:00:00:00:00:02,eth1=02:00:00:00:00:01", {"n3", "n3", NULL}},
		{"n2", "eth0=02:00:00:00:00:03", {"n3", "n3", "n2"}},
		{"n2", "eth0=02:00:00:00:00:02", {"n3", "n3", NULL}},
		{"n3", "eth0=02:00:00:00:00:01", {"n3", "n2", NULL}},
		{"n3", "eth0=02:00:00:00:00:02", {NULL, "n3", NULL}},
		{"n3", "eth0=02:00:00:00:00:0,,=02:00:00:00:00:03", {NULL, "n2", "n3"}},
		{"n2", "eth0=02:00:00:00:00:03", {NULL, NULL, "n2"}}, /* n3's is gone */
		{"n3", "=02:00:00:00:00:03,=02:00:00:00:00:01", {"n3", NULL, "n2"}},
		{"n2", "=02:00:00:00:00:03", {"n3", NULL, "n3"}},
		{"n2", NULL, {"n3", NULL, "n3"}},
	};
	uint8_t mac[6] = {2};

	open_cluster();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_lease_with(rows[i].node, "somebody", NULL, rows[i].macs);
		for (uint8_t k = 0; k < 3; k++) {
			mac[5] = (uint8_t)(k + 1);
			CHECK(elect_is_member_mac(e, mac) == (rows[i].want[k] != NULL));
			CHECK(elect_is_mac_of(e, mac, "n2") == is(rows[i].want[k], "n2"));
			CHECK(elect_is_mac_of(e, mac, "n3") == is(rows[i].want[k], "n3"));
		}
	}
	close_cluster();
}

/* -- on the wire -- */

static void test_wire_member(void)
{
	const char *ip;
	struct addr a;

	open_working();
	ip = address(true);
	a = world_ip(ip);
	serve("web", ip);
	CHECK_INT(view(ip).state, ELECT_PROBE);
	elect_on_wire(e, ELECT_WIRE_ANSWER, a, mac_n2, now); /* a member has it */
	turn(now + 20000);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	CHECK_STR(view(ip).owner, "n2");
	put_claims("n2", "3:10.0.0.100-100");
	pass();
	put_claims("n2", ""); /* published, then withdrawn: the wire's word is void */
	turn(now + 50);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();
}

/* The MAC of the one of n2 and n3 that comes first for ip. */
static const uint8_t *member_first(const char *ip)
{
	unsigned char sum[2][32];
	char text[64];

	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(text, sizeof text, "n%u#%s", i + 2, ip);
		if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
			    (const unsigned char *)text, strlen(text), sum[i]) != 0)
			abort();
	}
	return memcmp(sum[0], sum[1], 32) < 0 ? mac_n2 : mac_n3;
}

/* R18: a claim that its sender does not answer for is asked about twice and defended against once.
 */
static void test_dispute_forged(void)
{
	const char *ip = address(true);

	open_working();
	serve("web", ip);
	turn(now + 3000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	asks = announcements = 0;
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac_n3, now);
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac_n3, now);
	turn(now + 250);
	CHECK(view(ip).disputed);
	turn(now + 2000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK_INT(asks, 2);
	CHECK_INT(announcements, 1);
	turn_with(now + 16000, "n2", "n3");
	CHECK(!view(ip).disputed);
	close_cluster();
}

/* A rival that answers for the VIP, as it claims it again each 100 ms. */
static void rival_claims(const char *ip, const uint8_t mac[6], uint64_t until)
{
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac, now);
	pass();
	elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac, now);
	while (now < until && view(ip).state == ELECT_OWNER) {
		turn(now + 100);
		elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac, now);
	}
	pass();
}

/* This node owns ip, and hears n3. */
static void own_beside_n3(const char *ip)
{
	open_working();
	elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 0, now);
	serve("web", ip);
	turn(now + 3000);
}

/* R27: one that goes and offers it, by a higher term, has this node for a successor: the API says so. */
static void test_outranks_leaving(void)
{
	const char *ip = address(true);
	char text[64];

	own_beside_n3(ip);
	CHECK_INT(view(ip).term, 1);
	elect_on_peer(e, "n3", 2, ELECT_PEER_LEAVING, 0, now);
	(void)snprintf(text, sizeof text, "9o:%s", ip);
	put_claims("n3", text);
	turn(now + 100);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK_INT(view(ip).term, 10);
	close_cluster();
}

/* R19: whose claim is published and read back stays; R20: against a rival that cannot hear it not
 * for ever. */
static void test_dispute_published(void)
{
	const char *ip = address(true);
	uint64_t start;

	own_beside_n3(ip);
	announcements = 0;
	start = now;
	rival_claims(ip, mac_n3, now + 3000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK_INT(announcements, 15); /* I11 */
	turn_with(now + 2000, "n2", "n3");
	CHECK(!view(ip).disputed);

	elect_on_peer(e, "n3", 2, ELECT_PEER_DEAF, 0, now);
	start = now;
	rival_claims(ip, mac_n3, now + 3000);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	CHECK(now - start >= 1500 && now - start < 1800);
	close_cluster();
}

/* This node owns ip, and the API tells of a higher term of n3's, which is heard, and answers with
 * mac (NULL: does not). */
static void outbid(const char *ip, const uint8_t *mac)
{
	char text[64];

	own_beside_n3(ip);
	answerer = mac;
	(void)snprintf(text, sizeof text, "9:%s", ip);
	put_claims("n3", text);
}

/* The API tells that the rival's term is higher: it is asked, and has it if it answers.  What it has
 * given up meanwhile is not given up twice (F2; the laboratory, LAN parted with the API on one side). */
static void test_dispute_higher_term(void)
{
	for (unsigned answers = 0; answers < 2; answers++) {
		const char *ip = address(true);

		outbid(ip, answers ? mac_n3 : NULL);
		turn(now + 1000);
		CHECK_INT(view(ip).state, answers ? ELECT_WATCH : ELECT_OWNER);
		CHECK_STR(view(ip).owner, answers ? "n3" : "n1");
		close_cluster();
	}
}

/* What it showed before our last defence is no proof any more: it gave the VIP up then, and its claim
 * came to the API late (F2). */
static void test_dispute_given_up(void)
{
	const char *ip = address(true);
	char text[64];

	own_beside_n3(ip);
	rival_claims(ip, mac_n3, now + 1);
	turn(now + 150);
	CHECK(view(ip).disputed);
	(void)snprintf(text, sizeof text, "9:%s", ip);
	put_claims("n3", text);
	turn(now + 1500);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK_INT((long long)w.counters.v[COUNTER_VIP_YIELDS], 0); /* nor was it given up meanwhile */
	close_cluster();
}

/* A node that exited, as its Lease still says, is back when BFD hears it, be it on another link than
 * the VIP's (seed 6236). */
static void test_dispute_with_one_that_is_back(void)
{
	static const enum elect_peer rows[] = {ELECT_PEER_NEVER, ELECT_PEER_UP};
	const char *ip = address(true);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		own_beside_n3(ip);
		put_lease("n3", "", NULL);
		elect_on_peer(e, "n3", 2, ELECT_PEER_NEVER, 0, now);
		elect_on_peer(e, "n3", 3, rows[i], 0, now);
		rival_claims(ip, mac_n3, now + 1);
		turn(now + 150);
		CHECK_INT(view(ip).disputed, rows[i] == ELECT_PEER_UP);
		close_cluster();
	}
}

/* One that was asked in vain is asked again, and at once when it is heard to claim. */
static void test_dispute_disowned(void)
{
	const char *ip = address(true);

	outbid(ip, NULL);
	turn(now + 1000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK(!view(ip).disputed);
	answerer = mac_n3;
	turn(now + 8000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	turn(now + 2000);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	close_cluster();
	outbid(ip, NULL);
	turn(now + 1000);
	answerer = mac_n3;
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac_n3, now);
	turn(now + 100);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	answerer = NULL;
	close_cluster();
}

/* Where frames are lost two questions say little (seed 4344). */
static void test_dispute_lossy(void)
{
	const char *ip = address(true);

	outbid(ip, NULL);
	elect_on_peer(e, "n3", 2, ELECT_PEER_LATE, 300, now);
	elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 300, now);
	turn(now + 1200);
	CHECK(view(ip).disputed);
	answerer = mac_n3;
	turn(now + 200);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	answerer = NULL;
	close_cluster();
}

/* One whose frames are taken for this node's own cannot be asked: what the API says holds (F32). */
static void test_dispute_cloned_mac(void)
{
	const char *ip = address(true);

	outbid(ip, NULL);
	cloned_mac = mac_n3;
	pass();
	CHECK_INT(view(ip).state, ELECT_WATCH);
	CHECK_STR(view(ip).owner, "n3");
	cloned_mac = NULL;
	close_cluster();
}

/* R21: a claim in the API of one who is not heard makes nobody yield (F1). */
static void test_dispute_not_heard(void)
{
	const char *ip = address(true);
	char text[64];

	own_beside_n3(ip);
	elect_on_peer(e, "n3", 2, ELECT_PEER_LATE, 0, now);
	elect_on_peer(e, "n3", 2, ELECT_PEER_SILENT, 0, now);
	(void)snprintf(text, sizeof text, "9:%s", ip);
	put_claims("n3", text);
	turn(now + 2000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();
}

/* Without the API the hash decides, in the first moment as later. */
static void test_dispute_unpublished(void)
{
	for (unsigned best = 0; best < 2; best++) {
		const char *ip = address(best == 1);

		open_working();
		elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
		elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 0, now);
		api_up = false;
		serve("web", ip);
		turn(now + 4000);
		CHECK_INT(view(ip).state, ELECT_OWNER);
		rival_claims(ip, member_first(ip), now + 300);
		CHECK_INT(view(ip).state, best == 1 ? ELECT_OWNER : ELECT_WATCH);
		close_cluster();
	}
}

/* -- BFD: a dead owner is replaced without the API (R9 G4, R12) -- */

/* n2 owns ip, published long ago, and was heard. */
static void open_owned_by_n2(const char *ip)
{
	char text[64];

	open_working();
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
	elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 0, now);
	(void)snprintf(text, sizeof text, "3:%s", ip);
	put_claims("n2", text);
	answerer = mac_n2;
	serve("web", ip);
	turn_with(now + 9000, "n2", "n3");
	CHECK_INT(view(ip).state, ELECT_WATCH);
	api_up = watch_up = false;
	elect_on_synced(e, false, now);
	pass();
	probes = 0;
}

static void fall_silent(const char *node)
{
	answerer = NULL;
	elect_on_peer(e, node, 2, ELECT_PEER_LATE, 0, now);
	turn(now + 100);
	elect_on_peer(e, node, 2, ELECT_PEER_SILENT, 0, now);
}

static void test_silent_owner(void)
{
	uint64_t start;

	open_owned_by_n2(address(true));
	witness_ms = now + 50;
	fall_silent("n2");
	CHECK_INT(probes, 5);
	start = now;
	turn(now + 10);
	CHECK_INT(view(address(true)).state, ELECT_OWNER);
	CHECK(now - start <= 10);
	CHECK_INT(probes, 5);
	CHECK(!view(address(true)).weak);
	CHECK_INT(view(address(true)).term, 4);
	close_cluster();
}

/* It was found dead, and with a witness; what it claims later it has taken since then, perhaps unseen by
 * a node that hears nobody by now. */
static void test_silent_for_long(void)
{
	open_owned_by_n2(address(true));
	serve("later", "10.0.0.150");
	witness_ms = now + 50;
	fall_silent("n2");
	turn(now + 10);
	CHECK_INT(view(address(true)).state, ELECT_OWNER);
	turn_with(now + 10000, "n2", "n3");
	put_claims("n2", "9:10.0.0.150");
	turn_with(now + 5000, "n2", "n3");
	CHECK_INT(view("10.0.0.150").state, ELECT_WATCH);
	witness_ms = now;
	turn_with(now + 1500, "n2", "n3");
	CHECK_INT(view("10.0.0.150").state, ELECT_OWNER);
	close_cluster();
}

/* Of many VIPs eight are asked for while the owner is suspected; its silence is that of all. */
static void test_silent_owner_of_many(void)
{
	enum { MANY = 12, SAMPLE = 8 };
	char ip[MANY][ADDR_STRLEN];

	open_owned_by_n2(address(true));
	put_claims("n2", "3:10.0.0.150-12");
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(ip[i], sizeof ip[i], "10.0.0.%u", 150 + i);
		serve(ip[i], ip[i]);
	}
	turn(now + 100);
	witness_ms = now + 50;
	probes = 0;
	fall_silent("n2");
	turn(now + 300);
	for (unsigned i = 0; i < MANY; i++)
		CHECK_INT(view(ip[i]).state, ELECT_OWNER);
	CHECK_INT(probes, 2 * 5 * SAMPLE); /* again for those that another node would take first */
	close_cluster();
}

/* Thousands are stepped a part at a time, and none is left behind. */
static void test_parts(void)
{
	enum { MANY = 600, PART = 256 };
	char name[16], quoted[32];

	open_working();
	w.ranges[0] = world_range("10.1.0.0/16");
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof name, "s%u", i);
		(void)snprintf(quoted, sizeof quoted, "'10.1.%u.%u'", i / 200, i % 200 + 1);
		world_service(&w, name, quoted, "", "");
	}
	world_vips(&w);
	for (size_t left = MANY; left > 0; left -= left < PART ? left : PART) {
		elect_clean(e);
		elect_pass(e, now);
		vip_clean(w.vips);
		CHECK_INT(elect_dirty_count(e), left < PART ? left : PART);
		CHECK((elect_next_deadline(e) <= now) == (left > PART));
	}
	close_cluster();
}

/* An answer with its MAC: it lives, whatever BFD says; asked again each second, and in vain once it
 * is dead. */
static void test_silent_owner_answers(void)
{
	const char *ip = address(true);

	open_owned_by_n2(ip);
	witness_ms = now + 50;
	answerer = NULL;
	elect_on_peer(e, "n2", 2, ELECT_PEER_LATE, 0, now);
	turn(now + 50);
	elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac_n2, now);
	turn(now + 50);
	elect_on_peer(e, "n2", 2, ELECT_PEER_SILENT, 0, now);
	for (unsigned i = 0; i < 5; i++) {
		probes = 0;
		turn(now + 900);
		CHECK_INT(view(ip).state, ELECT_WATCH);
		while (probes == 0)
			turn(now + 10);
		elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac_n2, now);
	}
	witness_ms = now + 1010;
	turn(now + 1500);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();
}

/* Others may answer for the dead (F9), for so long. */
static void test_silent_owner_veto_ends(void)
{
	const char *ip = address(true);
	uint64_t start;

	open_owned_by_n2(ip);
	fall_silent("n2");
	start = now;
	while (view(ip).state == ELECT_WATCH && now - start < 60000) {
		elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac_n2, now);
		witness_ms = now + 10;
		turn(now + 20);
	}
	CHECK(now - start >= 39000 && now - start < 41500);
	close_cluster();
}

/* F1: an isolated node takes nothing; when it is told that it is not alone, it does. */
static void test_silent_owner_no_witness(void)
{
	const char *ip = address(true);

	open_owned_by_n2(ip);
	witness_ms = now - 1;
	fall_silent("n2");
	turn(now + 30000);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	witness_ms = now;
	turn(now + 1100);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();

	open_owned_by_n2(ip); /* nobody else could tell: weak, until somebody does */
	third_party = false;
	fall_silent("n2");
	turn(now + 50);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK(view(ip).weak);
	witness_ms = now + 4000;
	turn(now + 12000);
	CHECK(!view(ip).weak);
	close_cluster();
}

/* Only who was UP can fall silent; DEAF and NEVER fall to their Leases alone (F7, F18). */
static void test_not_silent(void)
{
	static const enum elect_peer state[] = {
		ELECT_PEER_DEAF, ELECT_PEER_UP, ELECT_PEER_LATE};
	const char *ip = address(true);

	for (unsigned i = 0; i < ARRAY_LEN(state); i++) {
		open_owned_by_n2(ip);
		elect_on_peer(e, "n2", 2, state[i], 0, now);
		while (now < 150000) {
			witness_ms = now;
			elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac_n2, now);
			turn(now + 400);
		}
		CHECK_INT(view(ip).state, ELECT_WATCH);
		close_cluster();
	}
}

/* G5: its owner lives and is mute. */
static void test_orphan(void)
{
	const char *ip = address(true);
	uint64_t start;

	open_owned_by_n2(ip);
	answerer = NULL;
	start = now;
	asks = 0;
	while (view(ip).state != ELECT_OWNER && now - start < 30000)
		turn(now + 100);
	CHECK_INT(asks, 3);
	CHECK(now - start < 12000);
	close_cluster();
}

/* A better node is there: it waits its slots, and is the first of those that see the dead. */
static void test_silent_owner_rank(void)
{
	const char *ip = address(false);
	uint64_t start;

	open_owned_by_n2(ip);
	witness_ms = now + 50;
	fall_silent("n2");
	start = now;
	while (view(ip).state != ELECT_OWNER && now - start < 1000)
		turn(now + 1);
	CHECK(now - start <= 70);
	CHECK_INT(probes, 10);
	close_cluster();
}

/* F30: loss that begins just now may leave five questions without an answer: who waits asks again. */
static void test_silent_owner_rank_answers(void)
{
	const char *ip = address(false);

	open_owned_by_n2(ip);
	witness_ms = now + 50;
	fall_silent("n2");
	answerer = mac_n2;
	turn(now + 900);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	close_cluster();
}

/* R23: one who was not heard is told at once what we own. */
static void test_reclaim(void)
{
	const char *ip = address(true);

	open_owned_by_n2(ip);
	witness_ms = now + 50;
	fall_silent("n2");
	turn(now + 50);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	announcements = 0;
	turn(now + 30500);
	CHECK_INT(announcements, 3); /* it may not hear us, and should */
	announcements = 0;
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
	pass();
	CHECK_INT(announcements, 1);
	elect_on_peer(e, "n2", 2, ELECT_PEER_SILENT, 0, now);
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
	pass();
	CHECK_INT(announcements, 1);
	close_cluster();
}

/* Where frames are lost, so may be what it was told (seed 41156). */
static void test_reclaim_lossy(void)
{
	open_owned_by_n2(address(true));
	witness_ms = now + 50;
	fall_silent("n2");
	turn(now + 50);
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 100, now);
	announcements = 0;
	turn(now + 60000);
	CHECK_INT(announcements, 11);
	close_cluster();
}

static void hear(enum iface_capture capture)
{
	iface_set_capture(w.ifaces, 2, ADDR_V4, capture);
	elect_set_input(e, &w.in, now);
	pass();
}

/* R14: so is one whose link came back. */
static void test_hold_down_link(void)
{
	const char *ip = address(true);
	uint64_t start;

	open_owned_by_n2(ip);
	w.conf.elections.hold_down_ms = 5000;
	for (unsigned up = 0; up < 2; up++) {
		world_link(&w, 2, "eth0", 1, up == 1);
		hear(IFACE_OPENING);
	}
	hear(IFACE_HEARD);
	witness_ms = now + 50;
	fall_silent("n2");
	start = now;
	while (view(ip).state != ELECT_OWNER && now - start < 1000)
		turn(now + 1);
	CHECK(now - start >= 50 && now - start < 80);
	close_cluster();
}

/* R14: after a stall a node is last in rank for a while. */
static void test_hold_down(void)
{
	const char *ip = address(true);
	uint64_t start;

	open_owned_by_n2(ip);
	witness_ms = now + 50;
	w.conf.elections.hold_down_ms = 5000;
	elect_fence(e, now);
	fall_silent("n2");
	start = now;
	while (view(ip).state != ELECT_OWNER && now - start < 1000)
		turn(now + 1);
	CHECK(now - start >= 50 && now - start < 80); /* one other at work: a slot */
	close_cluster();
}

static void test_wire_foreign(void)
{
	const char *ip;
	struct addr a;
	unsigned before;

	open_working();
	ip = address(true);
	a = world_ip(ip);
	serve("web", ip);
	elect_on_wire(e, ELECT_WIRE_ANSWER, a, mac_x, now);
	turn(now + 1000);
	CHECK_INT(view(ip).state, ELECT_CONFLICT);
	before = probes;
	for (unsigned i = 0; i < 3; i++) { /* asked for each 10 s */
		while (probes == before)
			turn(now + 100);
		before = probes;
		elect_on_wire(e, ELECT_WIRE_ANSWER, a, mac_x, now);
		turn(now + 5000);
		CHECK_INT(view(ip).state, ELECT_CONFLICT);
	}
	turn_with(now + 20000, "n2", "n3"); /* silence: it is free */
	CHECK_INT(view(ip).state, ELECT_OWNER);
	turn(now + 1000);
	elect_on_wire(e, ELECT_WIRE_ANSWER, a, mac_x, now); /* in service: never yielded to */
	elect_on_wire(e, ELECT_WIRE_CLAIM, a, mac_x, now);
	turn(now + 1000);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();

	open_working(); /* a late answer to the first probes withdraws a fresh take */
	ip = address(true);
	serve("web", ip);
	turn(now + 50);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac_x, now);
	pass();
	CHECK_INT(view(ip).state, ELECT_CONFLICT);
	close_cluster();

	open_working(); /* a failover is not stopped by a stranger (F27) */
	put_claims("n2", "5o:10.0.0.120");
	serve("web", "10.0.0.120");
	turn(now + 200);
	elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip("10.0.0.120"), mac_x, now);
	turn(now + 200);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* A node cut from the API still answers while its successor does (simulator, seed 59846): the
 * living one counts, and nobody asks again and again. */
static void test_wire_dead_and_living(void)
{
	open_working();
	turn_with(now + 50000, "n3", NULL);
	CHECK_INT(liveness("n2"), ELECT_EXPIRED);
	put_claims("n2", "3:10.0.0.120");
	serve("web", "10.0.0.120");
	elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip("10.0.0.120"), mac_n3, now);
	probes = 0;
	for (unsigned i = 0; i < 10; i++) {
		elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip("10.0.0.120"), mac_n2, now);
		pass();
		CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
		CHECK_STR(view("10.0.0.120").owner, "n3");
	}
	CHECK_INT(probes, 0);
	close_cluster();
}

/* R16: a better member's probe sends us back, a stranger's does not. */
static void test_wire_probe(void)
{
	const char *ip;
	uint64_t t;

	open_working();
	ip = address(true);
	serve("web", ip);
	elect_on_wire(e, ELECT_WIRE_PROBE, world_ip(ip), mac_n2, now); /* worse: go on */
	elect_on_wire(e, ELECT_WIRE_PROBE, world_ip(ip), mac_x, now);
	turn(now + 10);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();

	open_working();
	ip = address(false);
	serve("web", ip);
	CHECK_INT(view(ip).state, ELECT_WAIT);
	elect_on_wire(e, ELECT_WIRE_PROBE, world_ip(ip), mac_n2, now);
	elect_on_wire(e, ELECT_WIRE_PROBE, world_ip(ip), mac_n3, now); /* one of them is better */
	t = now;
	pass();
	CHECK_INT(view(ip).state, ELECT_WATCH);
	turn(t + 250);
	CHECK_INT(view(ip).state, ELECT_WAIT);
	elect_on_peer(e, "n2", 2, ELECT_PEER_LEAVING, 0, now);
	elect_on_peer(e, "n3", 2, ELECT_PEER_LEAVING, 0, now);
	elect_on_wire(e, ELECT_WIRE_PROBE, world_ip(ip), mac_n2, now); /* whether they are relieved */
	elect_on_wire(e, ELECT_WIRE_PROBE, world_ip(ip), mac_n3, now);
	pass();
	CHECK(view(ip).state == ELECT_WAIT || view(ip).state == ELECT_PROBE);
	close_cluster();
}

/* -- disputes -- */

static void own(const char *ip)
{
	serve("web", ip);
	turn_with(now + 3000, "n2", "n3");
	CHECK_INT(view(ip).state, ELECT_OWNER);
}

static void test_dispute(void)
{
	static const struct {
		const char *name, *claim;
		bool best; /* is our hash the better one? */
		enum elect_state want;
	} rows[] = {
		{"higher term", "2:10.0.0.100-100", true, ELECT_WATCH},
		{"higher term, worse hash", "2:10.0.0.100-100", false, ELECT_WATCH},
		{"equal term, we are better", "1:10.0.0.100-100", true, ELECT_OWNER},
		{"weak loses", "9w:10.0.0.100-100", true, ELECT_OWNER},
		{"offered loses", "9o:10.0.0.100-100", true, ELECT_OWNER},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *ip;

		check_row = rows[i].name;
		open_working();
		ip = address(rows[i].best);
		own(ip);
		put_claims("n2", rows[i].claim);
		pass();
		CHECK_INT(view(ip).state, rows[i].want);
		close_cluster();
	}
	/* Equal terms: exactly one of two yields. */
	check_row = "equal term";
	for (unsigned i = 0; i < 2; i++) {
		const char *ip;
		bool yields[2];

		open_working();
		ip = address(i == 0);
		own(ip);
		put_claims("n2", "1:10.0.0.100-100");
		pass();
		yields[0] = view(ip).state == ELECT_WATCH;
		put_claims("n2", "");
		put_claims("n3", "1:10.0.0.100-100");
		turn(now + 3000);
		pass();
		yields[1] = view(ip).state == ELECT_WATCH;
		CHECK(i == 0 ? !yields[0] && !yields[1] : yields[0] || yields[1]);
		close_cluster();
	}
	check_row = "an expired rival";
	open_working();
	turn_with(now + 50000, "n3", NULL);
	serve("web", "10.0.0.120");
	turn_with(now + 3000, "n3", NULL);
	put_claims("n2", "99:10.0.0.120");
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* R20, R22: one that is cut from the API and hears no claim of ours is left what its Lease would have cost
 * it, for as long as it claims it (seed 9842). */
static void test_ceded(void)
{
	const char *ip = address(true);
	uint64_t until;

	open_working();
	elect_on_peer(e, "n2", 2, ELECT_PEER_DEAF, 0, now);
	witness_ms = TIME_NEVER;
	put_claims("n2", "5:10.0.0.100-50");
	serve("web", ip);
	turn_with(now + 45000, "n3", NULL);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	rival_claims(ip, mac_n2, now + 5000);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	for (until = now + 60000; now < until;) {
		turn_with(now + 10000, "n3", NULL);
		CHECK_INT(view(ip).state, ELECT_WATCH);
		elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac_n2, now);
		pass();
	}
	turn_with(now + 14900, "n3", NULL);
	CHECK_INT(view(ip).state, ELECT_WATCH);
	turn_with(now + 3000, "n3", NULL);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();
}

static void test_fence(void)
{
	open_working();
	own("10.0.0.120");
	probes = 0;
	elect_fence(e, now);
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_PROBE);
	CHECK_INT(probes, 1);
	turn(now + 66);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK_INT(probes, 2);
	CHECK_INT(view("10.0.0.120").term, 1);
	elect_fence(e, now);
	pass();
	elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip("10.0.0.120"), mac_n2, now);
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	close_cluster();
}

/* Joining two Services on one address makes a new group: it stays ours without a gap. */
static void test_inherit(void)
{
	const char *const share = "'lbd.io/allow-shared-ip':'k'";

	open_working();
	world_service(&w, "a", "'10.0.0.120'", share, "");
	world_endpoints(&w, "a", "n1,n2,n3");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	turn_with(now + 3000, "n2", "n3");
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	world_service(&w, "b", "'10.0.0.120','10.0.0.121'", share,
		",'ports':[{'port':81,'protocol':'TCP'}]");
	world_endpoints(&w, "b", "n2");
	world_vips(&w);
	CHECK_INT(vip_find(w.vips, world_ip("10.0.0.120"))->group->n_vips, 2);
	n_writes = 0;
	pass();
	vip_clean(w.vips);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK_INT(view("10.0.0.120").term, 1);
	turn(now + 2000);
	CHECK_INT(n_writes, 1);
	CHECK_STR(claims_now, "1:10.0.0.120-2");
	/* And apart again: both halves stay. */
	world_apply(
		&w, CLUSTER_SERVICE, CLUSTER_DELETE, world_service_json(++w.rv, "b", "", "", ""));
	world_service(&w, "c", "'10.0.0.121'", "", "");
	world_endpoints(&w, "c", "n1");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	turn_with(now + 3000, "n2", "n3");
	CHECK_INT(view("10.0.0.121").state, ELECT_OWNER);
	CHECK(strstr(claims_now, "10.0.0.120") != NULL);
	close_cluster();
}

/* -- leaving -- */

static void test_drain(void)
{
	uint64_t t;

	open_working();
	own("10.0.0.120");
	turn(now + 2000);
	t = now;
	elect_drain(e, "shutdown", t + 10000, t);
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_HANDOVER);
	CHECK_STR(claims_now, "1o:10.0.0.120"); /* offered, written at once */
	CHECK(!elect_drained(e, now));
	turn(t + 5000);
	CHECK_INT(view("10.0.0.120").state, ELECT_HANDOVER);
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip("10.0.0.120"), mac_n2, now); /* the successor */
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	CHECK(elect_drained(e, now));
	serve("new", "10.0.0.130");
	turn(now + 4000);
	CHECK_INT(view("10.0.0.130").state, ELECT_IDLE); /* nothing new */
	elect_drain(e, NULL, 0, now);
	pass();
	CHECK(!elect_drained(e, now));
	CHECK_INT(view("10.0.0.120").state, ELECT_WATCH);
	CHECK_STR(view("10.0.0.120").owner, "n2");
	close_cluster();

	open_working(); /* seen by the API, then: no successor at all */
	own("10.0.0.120");
	serve("more", "10.0.0.121");
	turn_with(now + 3000, "n2", "n3");
	t = now;
	elect_drain(e, "by hand", t + 2000, t);
	pass();
	put_claims("n3", "2:10.0.0.120");
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	CHECK_INT(view("10.0.0.121").state, ELECT_HANDOVER);
	turn(t + 1999);
	CHECK(!elect_drained(e, now));
	turn(t + 2000);
	CHECK_INT(view("10.0.0.121").state, ELECT_IDLE);
	CHECK(elect_drained(e, now));
	close_cluster();

	open_cluster(); /* alone: nobody to wait for */
	synced();
	turn(now + 4000);
	own("10.0.0.120");
	turn(now + 60000);
	elect_drain(e, "shutdown", now + 10000, now);
	turn(now + 100000);
	CHECK(elect_drained(e, now));
	close_cluster();
}

/* Who drains hears no BFD: it asks whether a successor is there whose claim it missed (seed 26706). */
static void test_drain_relieved(void)
{
	open_working();
	own("10.0.0.120");
	turn(now + 2000);
	elect_drain(e, "by hand", TIME_NEVER, now);
	pass();
	probes = 0;
	turn(now + 3500);
	CHECK_INT(probes, 3);
	CHECK_INT(view("10.0.0.120").state, ELECT_HANDOVER);
	answerer = mac_n2;
	turn(now + 1000);
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	probes = 0;
	turn(now + 10000);
	CHECK_INT(probes, 0);
	elect_drain(e, NULL, 0, now);
	close_cluster();
}

static void test_release(void)
{
	open_working();
	own("10.0.0.120");
	elect_drain(e, "shutdown", now + 100, now);
	turn(now + 100);
	elect_release(e, now);
	CHECK(!elect_released(e));
	turn(now + 3000);
	CHECK(elect_released(e));
	CHECK_STR(claims_now, "");
	CHECK_STR(last_lease.holder, "");
	n_writes = 0;
	turn(now + 100000);
	CHECK_INT(n_writes, 0);
	close_cluster();

	open_working(); /* the API is gone: three tries */
	api_up = false;
	elect_release(e, now);
	turn(now + 20000);
	CHECK(elect_released(e));
	close_cluster();

	open_cluster(); /* never synced: nothing to give back */
	elect_release(e, now);
	CHECK(elect_released(e));
	close_cluster();
}

/* Eligibility lost: hard at once, soft by hand-over, back without a move. */
static void test_ineligible(void)
{
	uint64_t t;

	open_working();
	own("10.0.0.120");
	world_endpoints(&w, "web", "");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	CHECK_INT(view("10.0.0.120").state, ELECT_HANDOVER);
	world_endpoints(&w, "web", "n1");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	world_endpoints(&w, "web", "");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	t = now;
	turn(t + 2001);
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	CHECK_INT(view("10.0.0.120").elig->reason, REASON_NO_ENDPOINTS);
	world_endpoints(&w, "web", "n1");
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	turn(now + 3000);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK_INT(view("10.0.0.120").term, 2);
	world_link(&w, 2, "eth0", 1, false); /* no carrier */
	elect_set_input(e, &w.in, now);
	pass();
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	turn(now + 1500);
	CHECK_STR(claims_now, "");
	close_cluster();
}

/* R11: nobody takes where nothing is heard yet; who has an address keeps it as long as that may pass. */
static void test_not_heard(void)
{
	open_working();
	hear(IFACE_OPENING);
	serve("web", "10.0.0.120");
	turn(now + 2000);
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	CHECK_INT(probes, 0);
	hear(IFACE_HEARD);
	turn(now + 2000);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	hear(IFACE_OPENING);
	turn(now + 2000);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	hear(IFACE_DEAF);
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	CHECK_INT(view("10.0.0.120").elig->reason, REASON_NO_INTERFACE);
	hear(IFACE_HEARD);
	turn(now + 3000);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* After a pause what goes by unheard is no silence. */
static void test_fenced_not_heard(void)
{
	open_working();
	own("10.0.0.120");
	elect_fence(e, now);
	hear(IFACE_OPENING);
	CHECK_INT(view("10.0.0.120").state, ELECT_IDLE);
	hear(IFACE_HEARD);
	turn(now + 3000);
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	close_cluster();
}

/* R29: a second process of our name. The one whose identity sorts first goes on. */
static void test_impersonated(void)
{
	for (unsigned i = 0; i < 2; i++) {
		const char *other = i == 0 ? "n1/a/1" : "n1/c/1"; /* ours is n1/b/1 */

		check_row = other;
		open_working();
		own("10.0.0.120");
		put_lease("n1", other, NULL);
		pass();
		CHECK(!elect_is_impersonated(e)); /* once may be a restart's last write */
		put_lease("n1", other, NULL);
		pass();
		CHECK(elect_is_impersonated(e));
		CHECK_INT(view("10.0.0.120").state, i == 0 ? ELECT_IDLE : ELECT_OWNER);
		turn_with(now + 60000, "n2", "n3");
		CHECK(!elect_is_impersonated(e)); /* it is gone */
		turn_with(now + 20000, "n2", "n3");
		CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
		close_cluster();
	}
}

/* -- writes -- */

static void test_write_errors(void)
{
	open_working();
	own("10.0.0.120");
	turn(now + 2000);
	/* The API is away: announcing goes on, and the claims are right when it is back. */
	api_up = false;
	world_apply(
		&w, CLUSTER_SERVICE, CLUSTER_DELETE, world_service_json(++w.rv, "web", "", "", ""));
	world_vips(&w);
	pass();
	vip_clean(w.vips);
	turn(now + 30000);
	CHECK_STR(claims_now, "1:10.0.0.120");
	api_up = true;
	turn(now + 6000);
	CHECK_STR(claims_now, "");
	/* Somebody else wrote our object: 409, GET, written anew. */
	(void)snprintf(claims_rv, sizeof claims_rv, "%lu", ++rv);
	(void)snprintf(claims_now, sizeof claims_now, "77:10.0.0.200");
	(void)snprintf(lease_rv, sizeof lease_rv, "%lu", ++rv);
	renew("n2");
	renew("n3");
	serve("web", "10.0.0.121");
	turn_with(now + 15000, "n2", "n3");
	CHECK_STR(claims_now, "1:10.0.0.121");
	CHECK(elect_is_healthy(e, now));
	claims_rv[0] = lease_rv[0] = '\0'; /* and somebody deletes both */
	serve("more", "10.0.0.123");
	turn_with(now + 15000, "n2", "n3");
	CHECK(strstr(claims_now, "10.0.0.121") != NULL);
	CHECK(lease_rv[0] != '\0');
	close_cluster();
}

/* The write was applied, its answer lost, and meanwhile we want what stood there before. */
static void test_lost_answer(void)
{
	struct lease_action a;
	unsigned seen = 0;

	open_working();
	own("10.0.0.120");
	turn(now + 2000);
	elect_drain(e, "by hand", now + 10000, now);
	elect_pass(e, now);
	if (asked && answerer != NULL)
		elect_on_wire(e, ELECT_WIRE_ANSWER, asked_for, answerer, now);
	asked = false;
	while (elect_next_action(e, now, &a)) {
		if (a.role == CLUSTER_LEASE_CLAIMS) { /* "1o:..." is applied */
			(void)snprintf(claims_rv, sizeof claims_rv, "%lu", ++rv);
			(void)snprintf(claims_now, sizeof claims_now, "1o:10.0.0.120");
			elect_done(e, a.id, LEASE_FAILED, NULL, now);
			seen++;
		} else {
			answer(&a);
		}
	}
	CHECK_INT(seen, 1);
	elect_drain(e, NULL, 0, now);
	turn_with(now + 5000, "n2", "n3");
	CHECK_STR(claims_now, "1:10.0.0.120");
	close_cluster();
}

/* Bad claims of others leave what was known; hostile terms do not wrap. */
static void test_hostile_claims(void)
{
	open_working();
	put_claims("n2", "5:10.0.0.120");
	serve("web", "10.0.0.120");
	put_claims("n2", "nonsense");
	turn_with(now + 5000, "n2", "n3");
	CHECK_STR(view("10.0.0.120").owner, "n2");
	put_claims("n2", "18446744073709551615o:10.0.0.120");
	turn_with(now + 1000, "n2", "n3");
	CHECK_INT(view("10.0.0.120").state, ELECT_OWNER);
	CHECK(view("10.0.0.120").term == UINT64_MAX);
	close_cluster();
}

/* R3: what cannot be read is not "claims nothing": the wire is asked as often as a loss could need,
 * and an address is no longer one that surely nobody has. */
static void test_unread_claims(void)
{
	static const char *const rows[] = {"7Z:10.0.0.100", CLUSTER_CLAIMS_TOO_LONG, NULL};
	const char *ip = address(true);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i] != NULL ? rows[i] : "no text";
		open_working();
		elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
		CHECK_INT(elect_claim(e, world_ip(ip)), ELECT_CLAIM_NONE);
		put_claims("n2", rows[i]);
		CHECK_INT(elect_claim(e, world_ip(ip)), ELECT_CLAIM_STALE);
		probes = 0;
		serve("web", ip);
		turn(now + 139);
		CHECK_INT(view(ip).state, ELECT_PROBE); /* all the rest may be lost */
		elect_on_wire(e, ELECT_WIRE_ANSWER, world_ip(ip), mac_n2, now);
		answerer = mac_n2;
		turn_with(now + 60000, "n2", "n3"); /* longer than a Lease: it is heard */
		CHECK_INT(view(ip).state, ELECT_WATCH);
		CHECK_STR(view(ip).owner, "n2");
		put_claims("n2", ""); /* as of old */
		CHECK_INT(elect_claim(e, world_ip(ip)), ELECT_CLAIM_NONE);
		close_cluster();
	}
}

/* Nobody answers for it: it is taken all the same. */
static void test_unread_claims_free(void)
{
	const char *ip = address(true);
	uint64_t start;

	open_working();
	put_claims("n2", "?");
	start = now;
	probes = 0;
	serve("web", ip);
	turn(now + 150);
	CHECK_INT(view(ip).state, ELECT_OWNER);
	CHECK_INT(probes, 14);
	CHECK(now - start <= 150);
	turn_with(now + 3000, "n2", "n3");
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
	rival_claims(ip, mac_n2, now + 300);
	CHECK_INT(view(ip).state, ELECT_WATCH); /* ours is published, but what does n2 say? */
	close_cluster();
}

/* Above 32 members renewals become rarer (F36). */
static void test_many_members(void)
{
	char name[8];

	open_cluster();
	for (unsigned i = 2; i <= 64; i++) {
		(void)snprintf(name, sizeof name, "m%u", i);
		renew(name);
	}
	synced();
	pass();
	turn(now + 9000);
	n_writes = 0;
	turn(now + 13500); /* 20 s now, not 10 */
	CHECK_INT(n_writes, 1);
	CHECK_INT(last_lease.duration_ms, 80000);
	close_cluster();
}

/* R19: what was read of a rival's claims may be older than what the watch has shown since. */
static void test_look_behind_the_watch(void)
{
	static const struct {
		const char *name, *version;
		uint64_t generation;
		const char *owner;
	} rows[] = {{"older", "6", 8, "nobody"}, {"newer", "8", 8, "n2"},
		{"newer, of an object that was made anew", "10", 1, "n2"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cluster_lease l = {.name = "lbd-claims-n2",
			.uid = "u",
			.resource_version = "7",
			.role = CLUSTER_LEASE_CLAIMS,
			.node = "n2",
			.holder = "somebody",
			.claims = "",
			.claims_generation = 7};

		check_row = rows[i].name;
		open_working();
		serve("web", address(false));
		elect_on_lease(e, &l, false, now);
		l.resource_version = rows[i].version;
		l.claims_generation = rows[i].generation;
		l.claims = "5:10.0.0.100-255";
		elect_done(e, UINT64_MAX, LEASE_OK, &l, now); /* elect.c's own number for it */
		pass();
		CHECK_STR(elect_claim(e, world_ip("10.0.0.100")) == ELECT_CLAIM_ALIVE ? "n2" : "nobody",
			rows[i].owner);
		close_cluster();
	}
}

/* -- failback and rebalance (R27) -- */

/* An address that n2 comes before n1 for, and n3 after both. */
static const char *address_of_n2(void)
{
	static char ip[ADDR_STRLEN];
	unsigned i = 100;

	do
		(void)snprintf(ip, sizeof ip, "10.0.0.%u", i++);
	while (!member_before("n2", "n1", world_ip(ip)) || !member_before("n1", "n3", world_ip(ip)));
	return ip;
}

static bool is_offered_to(const char *ip, const char *node)
{
	char want[64];

	(void)snprintf(want, sizeof want, "%s=%s", ip, node);
	return view(ip).state == ELECT_HANDOVER && strcmp(move_now, want) == 0;
}

/* Everything is as it should be for n1 to give ip back to n2, but for what the row says. */
static void open_away(const char *ip)
{
	open_working();
	w.conf.elections.failback = true;
	w.conf.elections.hold_down_ms = 5000;
	elect_set_input(e, &w.in, now);
	own(ip);
	elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
	elect_on_peer(e, "n3", 2, ELECT_PEER_UP, 0, now);
}

static void nothing(void)
{
}

static void turn_off(void)
{
	w.conf.elections.failback = false;
}

static void silence_n2(void)
{
	elect_on_peer(e, "n2", 2, ELECT_PEER_DEAF, 0, now);
}

static void drain_n2(void)
{
	elect_on_peer(e, "n2", 2, ELECT_PEER_LEAVING, 0, now);
}

static void exclude_n2(void)
{
	world_node(&w, "n2", "'node.kubernetes.io/exclude-from-external-load-balancers': ''", "");
	elect_set_input(e, &w.in, now);
}

static void configure_anew(void)
{
	(void)snprintf(w.conf.hash, sizeof w.conf.hash, "fedcba9876543210");
}

static void freeze(void)
{
	elect_freeze(e, true, now);
}

static void test_failback(void)
{
	static const struct {
		const char *name;
		void (*but)(void);
		const char *to; /* NULL: nobody */
	} rows[] = {
		{"n2 is back", nothing, "n2"},
		{"it is not configured", turn_off, NULL},
		{"n2 is deaf", silence_n2, NULL},
		{"n2 goes", drain_n2, NULL},
		{"n2 is not eligible", exclude_n2, NULL},
		{"n2 has another configuration", configure_anew, NULL},
		{"n1 is frozen", freeze, NULL},
	};
	const char *ip = address_of_n2();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		open_away(ip);
		rows[i].but();
		turn(now + 11000);
		CHECK_INT(view(ip).state, ELECT_OWNER); /* it was taken less than 15 s ago */
		turn(now + 8000);
		CHECK_INT(view(ip).state, rows[i].to != NULL ? ELECT_HANDOVER : ELECT_OWNER);
		if (rows[i].to != NULL)
			CHECK(is_offered_to(ip, rows[i].to));
		close_cluster();
	}
	check_row = "n1 comes first";
	ip = address(true);
	open_away(ip);
	turn_with(now + 30000, "n2", "n3");
	CHECK_INT(view(ip).state, ELECT_OWNER);
	close_cluster();
}

/* From now on, in ms; 0: not within a minute. */
static uint64_t offered_after(const char *ip)
{
	uint64_t from = now;

	while (view(ip).state == ELECT_OWNER && now - from < 60000)
		turn_with(now + 100, "n2", "n3");
	return view(ip).state == ELECT_HANDOVER ? now - from : 0;
}

/* It is held down each time that it comes back, longer from the third time on; and when it did not
 * take what it was offered. */
static void test_failback_held(void)
{
	static const unsigned want_s[] = {10, 20, 40};
	const char *ip = address_of_n2();
	uint64_t after;

	open_away(ip);
	w.conf.elections.hold_down_ms = 10000;
	turn_with(now + 12500, "n2", "n3"); /* that was the first time */
	for (unsigned i = 0; i < ARRAY_LEN(want_s); i++) {
		elect_on_peer(e, "n2", 2, ELECT_PEER_SILENT, 0, now);
		elect_on_peer(e, "n2", 2, ELECT_PEER_UP, 0, now);
		after = offered_after(ip);
		CHECK(after >= want_s[i] * 1000 && after <= want_s[i] * 1000 + 2200);
		turn_with(now + 30500, "n2", "n3");
		CHECK_INT(view(ip).state, ELECT_OWNER);
		CHECK_STR(move_now, "");
	}
	close_cluster();
}

/* n2 has it from now on. */
static void take_as_n2(const char *ip)
{
	elect_on_wire(e, ELECT_WIRE_CLAIM, world_ip(ip), mac_n2, now);
	turn_with(now + 100, "n2", "n3");
	CHECK_INT(view(ip).state, ELECT_WATCH);
}

static void test_rebalance(void)
{
	static const struct {
		const char *name;
		double max_share;
		unsigned given; /* of six, among three nodes */
	} rows[] = {{"over 1.25 times its share", 1.25, 3}, {"no share", 0, 0}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned given = 0;
		uint64_t at[6], from;

		check_row = rows[i].name;
		open_away("10.0.0.101");
		for (unsigned k = 102; k <= 106; k++) {
			char name[8], ip[16];

			(void)snprintf(name, sizeof name, "s%u", k);
			(void)snprintf(ip, sizeof ip, "10.0.0.%u", k);
			serve(name, ip);
		}
		turn_with(now + 5000, "n2", "n3");
		CHECK_INT(elect_owned_count(e), 6);
		w.conf.elections.failback = false;
		w.conf.elections.rebalance = true;
		w.conf.elections.max_share = rows[i].max_share;
		elect_set_input(e, &w.in, now);
		answerer = mac_n2; /* for what it has */
		from = now;
		while (now - from < 60000) {
			char ip[sizeof move_now];

			turn_with(now + 200, "n2", "n3");
			if (move_now[0] == '\0' || given == ARRAY_LEN(at))
				continue;
			(void)snprintf(ip, sizeof ip, "%.*s", (int)strcspn(move_now, "="), move_now);
			at[given++] = now;
			take_as_n2(ip);
			move_now[0] = '\0';
		}
		CHECK_INT(given, rows[i].given);
		CHECK_INT(elect_owned_count(e), 6 - rows[i].given);
		for (unsigned k = 1; k < given; k++)
			CHECK(at[k] - at[k - 1] >= 4500);
		close_cluster();
	}
}

CHECK_MAIN("test_elect", CHECK_TEST(test_own_lease), CHECK_TEST(test_health),
	CHECK_TEST(test_refused_once),
	CHECK_TEST(test_expiry), CHECK_TEST(test_expiry_unheard), CHECK_TEST(test_foreign_names), CHECK_TEST(test_deleted_lease),
	CHECK_TEST(test_claims_never_seen), CHECK_TEST(test_silent_owner_rank_answers),
	CHECK_TEST(test_reclaim_lossy), CHECK_TEST(test_drain_relieved),
	CHECK_TEST(test_take_free), CHECK_TEST(test_take_behind), CHECK_TEST(test_join),
	CHECK_TEST(test_watch_holder), CHECK_TEST(test_take_expired),
	CHECK_TEST(test_take_expired_alone), CHECK_TEST(test_unhealthy),
	CHECK_TEST(test_expiry_void), CHECK_TEST(test_take_offered), CHECK_TEST(test_share),
	CHECK_TEST(test_restore), CHECK_TEST(test_restore_without_api),
	CHECK_TEST(test_outranks_leaving), CHECK_TEST(test_wire_member), CHECK_TEST(test_dispute_forged),
	CHECK_TEST(test_dispute_published), CHECK_TEST(test_dispute_higher_term),
	CHECK_TEST(test_dispute_given_up), CHECK_TEST(test_dispute_with_one_that_is_back),
	CHECK_TEST(test_dispute_disowned),
	CHECK_TEST(test_dispute_lossy), CHECK_TEST(test_dispute_cloned_mac),
	CHECK_TEST(test_dispute_not_heard), CHECK_TEST(test_dispute_unpublished),
	CHECK_TEST(test_cold), CHECK_TEST(test_cold_taken), CHECK_TEST(test_cold_of_many), CHECK_TEST(test_macs),
	CHECK_TEST(test_silent_owner), CHECK_TEST(test_silent_for_long),
	CHECK_TEST(test_silent_owner_of_many),
	CHECK_TEST(test_parts), CHECK_TEST(test_silent_owner_answers),
	CHECK_TEST(test_silent_owner_veto_ends), CHECK_TEST(test_silent_owner_no_witness),
	CHECK_TEST(test_not_silent), CHECK_TEST(test_orphan), CHECK_TEST(test_silent_owner_rank),
	CHECK_TEST(test_reclaim), CHECK_TEST(test_hold_down), CHECK_TEST(test_hold_down_link),
	CHECK_TEST(test_not_heard), CHECK_TEST(test_fenced_not_heard),
	CHECK_TEST(test_wire_foreign), CHECK_TEST(test_wire_probe),
	CHECK_TEST(test_wire_dead_and_living), CHECK_TEST(test_dispute), CHECK_TEST(test_ceded), CHECK_TEST(test_fence),
	CHECK_TEST(test_inherit), CHECK_TEST(test_drain), CHECK_TEST(test_release),
	CHECK_TEST(test_ineligible), CHECK_TEST(test_impersonated), CHECK_TEST(test_write_errors),
	CHECK_TEST(test_lost_answer), CHECK_TEST(test_hostile_claims),
	CHECK_TEST(test_unread_claims), CHECK_TEST(test_unread_claims_free),
	CHECK_TEST(test_many_members), CHECK_TEST(test_look_behind_the_watch),
	CHECK_TEST(test_failback), CHECK_TEST(test_failback_held), CHECK_TEST(test_rebalance))
