/* SPDX-License-Identifier: Apache-2.0
 *
 * test_peers.c - nodes n1..nN with the shipping bfd.c, on one LAN with a clock of its own: which
 * sessions there are, and what each says of its node.
 */
#include "check.h"
#include "peers.h"
#include "world.h"

enum { NODES = 20, STEP_US = 1000, QUEUE = 4096 };

struct frame {
	uint64_t at_us;
	unsigned to;
	struct bfd_path path; /* as the sender has it */
	uint8_t data[BFD_PACKET_MAX];
	size_t len;
};

static struct lan {
	struct station {
		struct world w;
		char name[16];
		struct bfd *bfd;
		struct peers *peers;
		struct rng rng;
		enum elect_peer told[NODES];
		unsigned loss[NODES]; /* per mille, told with it */
		unsigned changes, wakes;
		bool alive;
	} v[NODES];
	unsigned n;
	bool cut[NODES][NODES]; /* from, to */
	struct frame queue[QUEUE];
	unsigned queued;
	uint64_t now_us;
} lan;

static unsigned number(const char *node)
{
	return (unsigned)strtoul(node + 1, NULL, 10) - 1;
}

/* -- the LAN -- */

static int on_send(void *ctx, const struct bfd_path *path, const uint8_t *packet, size_t len)
{
	const struct station *from = ctx;
	uint8_t ip[4];
	struct frame *f;

	addr_to_v4(path->remote, ip);
	if (ip[3] > lan.n || lan.queued == QUEUE)
		return -1;
	f = &lan.queue[lan.queued++];
	*f = (struct frame){
		.at_us = lan.now_us + STEP_US, .to = ip[3] - 1u, .path = *path, .len = len};
	memcpy(f->data, packet, len);
	if (lan.cut[number(from->name)][f->to] || !lan.v[f->to].alive)
		lan.queued--;
	return 0;
}

static void on_state(void *ctx, const char *node, unsigned ifindex, enum elect_peer state,
	unsigned loss_permille)
{
	struct station *s = ctx;

	CHECK_INT(ifindex, 2);
	s->told[number(node)] = state;
	s->loss[number(node)] = loss_permille;
	s->changes++;
}

static void on_wake(void *ctx)
{
	((struct station *)ctx)->wakes++;
}

static const struct bfd_ops bfd_ops = {.send = on_send};
static const struct peers_ops peers_ops = {on_state, on_wake};

static void deliver(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lan.queued; i++) {
		const struct frame f = lan.queue[i];
		const struct bfd_packet p = {.data = f.data,
			.len = f.len,
			.ifindex = 2,
			.from = f.path.local,
			.to = f.path.remote,
			.ttl = 255,
			.at_us = f.at_us};

		if (f.at_us > lan.now_us)
			lan.queue[n++] = f;
		else if (lan.v[f.to].alive)
			bfd_on_packet(lan.v[f.to].bfd, &p);
	}
	lan.queued = n;
}

static void run(uint64_t us)
{
	for (uint64_t end = lan.now_us + us; lan.now_us < end;) {
		lan.now_us += STEP_US;
		deliver();
		for (unsigned i = 0; i < lan.n; i++) {
			struct station *s = &lan.v[i];

			if (!s->alive)
				continue;
			if (bfd_next_deadline_us(s->bfd) <= lan.now_us)
				bfd_tick(s->bfd, lan.now_us);
			if (peers_next_deadline_us(s->peers, lan.now_us) <= lan.now_us)
				peers_update(s->peers, lan.now_us);
		}
	}
}

/* -- nodes -- */

static void boot(unsigned i)
{
	struct station *s = &lan.v[i];

	s->rng.state = i + 1;
	s->bfd = bfd_new(&bfd_ops, s, &s->w.hkey, &s->rng, &s->w.counters);
	s->peers = s->bfd != NULL ? peers_new(s->bfd, s->name, &peers_ops, s) : NULL;
	if (s->peers == NULL)
		abort();
	memset(s->told, 0, sizeof s->told);
	s->alive = true;
	peers_set_input(s->peers, &s->w.in);
	for (unsigned k = 0; k < lan.n; k++) {
		char addresses[80];

		(void)snprintf(addresses, sizeof addresses, "10.0.0.%u/24", k + 1);
		if (k != i)
			CHECK_INT(peers_put(s->peers, lan.v[k].name, addresses, lan.now_us), 0);
	}
}

static void kill_node(unsigned i)
{
	peers_free(lan.v[i].peers);
	bfd_free(lan.v[i].bfd);
	lan.v[i].alive = false;
}

static void open_lan(unsigned n)
{
	memset(&lan, 0, sizeof lan);
	lan.n = n;
	lan.now_us = 5000000;
	for (unsigned i = 0; i < n; i++) {
		struct station *s = &lan.v[i];
		char text[32];

		(void)snprintf(s->name, sizeof s->name, "n%u", i + 1);
		world_open(&s->w, s->name);
		s->w.conf.elections.bfd_mesh_limit = 16;
		world_link(&s->w, 2, "eth0", i + 1, true);
		(void)snprintf(text, sizeof text, "10.0.0.%u/24", i + 1);
		world_addr(&s->w, 2, text);
	}
	for (unsigned i = 0; i < n; i++)
		boot(i);
}

static void close_lan(void)
{
	for (unsigned i = 0; i < lan.n; i++) {
		if (lan.v[i].alive)
			kill_node(i);
		world_close(&lan.v[i].w);
	}
}

static void open_up(unsigned n)
{
	open_lan(n);
	run(5000000);
	for (unsigned i = 1; i < n; i++)
		CHECK_INT(lan.v[0].told[i], ELECT_PEER_UP);
}

/* -- states (R7) -- */

/* Until n1 is told of n2 what is wanted; ms, at most 20 s. */
static uint64_t until(enum elect_peer state)
{
	uint64_t start = lan.now_us;

	while (lan.v[0].told[1] != state && lan.now_us - start < 20000000)
		run(STEP_US);
	return (lan.now_us - start) / 1000;
}

static void test_silent(void)
{
	uint64_t late, silent;

	open_up(3);
	kill_node(1);
	late = until(ELECT_PEER_LATE);
	silent = late + until(ELECT_PEER_SILENT);
	CHECK(silent >= 200 && silent <= 302);
	CHECK_INT(lan.v[0].told[2], ELECT_PEER_UP);
	CHECK(peers_heard_since(lan.v[0].peers, 2, "n2", lan.now_us - 101000));
	CHECK(!peers_heard_since(lan.v[0].peers, 2, "n3", lan.now_us - 101000));
	CHECK(!peers_heard_since(lan.v[0].peers, 3, "n2", 0));
	run(10000000);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_SILENT);
	boot(1); /* heard again: not silent, whatever its session is */
	CHECK(until(ELECT_PEER_UP) < 2000);
	close_lan();
}

/* Never heard is not silent (F18), nor is a node whose session never came up: it is told of once,
 * when the session is made. */
static void test_never(void)
{
	open_lan(2);
	memset(lan.cut, 1, sizeof lan.cut);
	run(10000000);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_NEVER);
	CHECK_INT(lan.v[0].changes, 1);
	close_lan();
}

/* F7: it is heard, and says that it does not hear us. */
static void test_deaf(void)
{
	open_up(2);
	lan.cut[0][1] = true;
	CHECK(until(ELECT_PEER_DEAF) < 2000);
	run(10000000);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_DEAF);
	CHECK_INT(lan.v[1].told[0], ELECT_PEER_SILENT);
	lan.cut[0][1] = false;
	CHECK(until(ELECT_PEER_UP) < 3000);
	close_lan();
}

/* What waited while this node was stopped is as old as it is (seed 35485). */
static void test_stalled(void)
{
	open_up(2);
	lan.cut[0][1] = true;
	CHECK(until(ELECT_PEER_DEAF) < 2000);
	lan.cut[1][0] = true;
	lan.now_us += 2000000;
	bfd_stalled(lan.v[0].bfd, 2000000, lan.now_us);
	CHECK(until(ELECT_PEER_SILENT) <= 1510);
	close_lan();
}

static void test_leaving(void)
{
	open_up(2);
	peers_set_leaving(lan.v[1].peers, true, lan.now_us);
	CHECK(until(ELECT_PEER_LEAVING) < 10);
	run(5000000);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_LEAVING);
	kill_node(1); /* gone as it said */
	run(10000000);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_LEAVING);
	boot(1);
	CHECK(until(ELECT_PEER_UP) < 3000);
	close_lan();
}

/* It stays after all: the others, which it heard little of meanwhile, are not silent to it for that,
 * nor deaf; one that died while it was leaving is found when the time is over. */
static void test_stays(void)
{
	for (int dead = 0; dead < 2; dead++) {
		open_up(2);
		peers_set_leaving(lan.v[0].peers, true, lan.now_us);
		run(2000000);
		if (dead)
			kill_node(1);
		run(5000000);
		lan.v[0].changes = 0;
		peers_set_leaving(lan.v[0].peers, false, lan.now_us);
		run(STEP_US);
		CHECK_INT(lan.v[0].told[1], ELECT_PEER_HEARD);
		if (dead) {
			CHECK_INT(until(ELECT_PEER_SILENT) / 100, 34);
		} else {
			CHECK(until(ELECT_PEER_UP) < 2000);
			CHECK_INT(lan.v[0].changes, 2); /* nothing between */
		}
		close_lan();
	}
}

static void test_loss(void)
{
	struct peers_info i;

	open_up(2);
	for (unsigned k = 0; k < 10000; k++) { /* of three packets one is lost */
		lan.cut[1][0] = k / 100 % 3 == 0;
		run(STEP_US);
	}
	peers_at(lan.v[0].peers, 0, lan.now_us, &i);
	CHECK(i.bfd.loss > 0.15 && i.bfd.loss < 0.5);
	close_lan();
}

/* A second of loss on one session shows that the link loses what others send, too. */
static void test_loss_begins(void)
{
	open_up(3);
	lan.cut[1][0] = true;
	CHECK(until(ELECT_PEER_LATE) < 1000);
	CHECK_INT(lan.v[0].loss[1], 0);
	lan.cut[1][0] = false;
	CHECK(until(ELECT_PEER_UP) < 1000);
	run(10000000);
	for (unsigned k = 0; k < 1000; k++) {
		lan.cut[2][0] = k / 100 % 3 == 0;
		run(STEP_US);
	}
	lan.cut[1][0] = true;
	CHECK(until(ELECT_PEER_LATE) < 1000);
	CHECK(lan.v[0].loss[1] > 100 && lan.v[0].loss[1] < 600);
	close_lan();
}

/* -- which sessions (R1, R2) -- */

static const struct bfd_path *path(unsigned node)
{
	static struct peers_info i;

	for (size_t k = 0; k < peers_count(lan.v[0].peers); k++) {
		peers_at(lan.v[0].peers, k, lan.now_us, &i);
		if (number(i.node) == node)
			return &i.bfd.path;
	}
	return NULL;
}

static void test_addresses(void)
{
	static const struct {
		const char *name, *published, *remote; /* NULL = no session */
	} rows[] = {
		{"nothing", NULL, NULL},
		{"empty", "", NULL},
		{"another subnet", "10.0.1.7/24", NULL},
		{"another length", "10.0.0.7/25", NULL},
		{"an older version's: no length", "10.0.0.7", NULL},
		{"one", "10.0.0.7/24", "10.0.0.7"},
		{"the first in the subnet", "10.0.1.9/24,10.0.0.8/24,10.0.0.7/24", "10.0.0.8"},
		{"IPv4 before IPv6", "fd00::7/64,10.0.0.7/24", "10.0.0.7"},
		{"ours", "10.0.0.1/24", NULL},
		{"rubbish between", "x/24,/,10.0.0.0.7/24,10.0.0.7/33,,10.0.0.7/24", "10.0.0.7"},
	};

	open_lan(2);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[ADDR_STRLEN] = "";

		check_row = rows[i].name;
		CHECK_INT(peers_put(lan.v[0].peers, "n2", rows[i].published, lan.now_us), 0);
		peers_update(lan.v[0].peers, lan.now_us);
		CHECK((path(1) != NULL) == (rows[i].remote != NULL));
		if (path(1) != NULL)
			CHECK_STR(addr_format(path(1)->remote, text), rows[i].remote);
	}
	close_lan();
}

static void put_again(const char *node, bool given_back)
{
	CHECK_INT(peers_put(lan.v[0].peers, node, "10.0.0.2/24", given_back ? 0 : lan.now_us), 0);
	run(2000000);
}

static const char *watched(void)
{
	struct peers_info i;

	if (peers_count(lan.v[0].peers) != 1)
		return "";
	peers_at(lan.v[0].peers, 0, lan.now_us, &i);
	return i.bfd.state == BFD_UP ? i.node : "not up";
}

/* A host that has another name now: the Lease of the old one is not renewed, or was given back. */
static void test_renamed(void)
{
	for (int given_back = 0; given_back < 2; given_back++) {
		open_lan(2);
		peers_remove(lan.v[0].peers, "n2");
		put_again("n3", false);
		CHECK_STR(watched(), "n3");
		put_again("n2", false);
		CHECK_STR(watched(), "n3"); /* it may live */
		if (given_back) {
			put_again("n3", true);
		} else {
			for (unsigned i = 0; i < 4; i++) {
				CHECK_STR(watched(), "n3");
				put_again("n2", false);
				run(9000000);
			}
			put_again("n2", false);
		}
		CHECK_STR(watched(), "n2");
		put_again("n3", false); /* a list names it again */
		CHECK_STR(watched(), "n2");
		run(100000000); /* no API: nobody's is renewed */
		peers_set_input(lan.v[0].peers, &lan.v[0].w.in);
		run(2000000);
		peers_set_input(lan.v[0].peers, &lan.v[0].w.in);
		run(2000000);
		CHECK_STR(watched(), "n2");
		peers_remove(lan.v[0].peers, "n2");
		run(2000000);
		CHECK_STR(watched(), "n3");
		close_lan();
	}
}

static void test_gone(void)
{
	open_up(2);
	peers_remove(lan.v[0].peers, "n2");
	peers_remove(lan.v[0].peers, "n9");
	peers_update(lan.v[0].peers, lan.now_us);
	CHECK_INT(peers_count(lan.v[0].peers), 0);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_NEVER);
	CHECK_INT(peers_next_deadline_us(lan.v[0].peers, lan.now_us) == TIME_NEVER, 1);
	close_lan();
}

/* The interface goes, and comes back with another address. */
static void test_interface(void)
{
	open_up(2);
	world_link(&lan.v[0].w, 2, "eth0", 1, false);
	peers_set_input(lan.v[0].peers, &lan.v[0].w.in);
	peers_update(lan.v[0].peers, lan.now_us);
	CHECK_INT(peers_count(lan.v[0].peers), 0);
	world_link(&lan.v[0].w, 2, "eth0", 1, true);
	peers_set_input(lan.v[0].peers, &lan.v[0].w.in);
	run(5000000);
	CHECK_INT(lan.v[0].told[1], ELECT_PEER_UP);
	close_lan();
}

/* F16: above meshLimit eight sessions a node, and both ends agree on each. */
static void test_ring(void)
{
	size_t least = NODES, most = 0;

	open_lan(NODES);
	run(4000000);
	for (unsigned i = 0; i < NODES; i++) {
		size_t n = peers_count(lan.v[i].peers);

		least = n < least ? n : least;
		most = n > most ? n : most;
		for (unsigned k = 0; k < NODES; k++) {
			bool up = lan.v[i].told[k] == ELECT_PEER_UP;

			CHECK(up == (lan.v[k].told[i] == ELECT_PEER_UP));
			if (i != k)
				CHECK(up == peers_watches(lan.v[(i + 7) % NODES].peers, 2,
						    lan.v[i].name, lan.v[k].name));
		}
	}
	CHECK_INT(least, 8);
	CHECK_INT(most, 8);
	close_lan();
}

CHECK_MAIN("test_peers", CHECK_TEST(test_silent), CHECK_TEST(test_never), CHECK_TEST(test_deaf), CHECK_TEST(test_stalled),
	CHECK_TEST(test_leaving), CHECK_TEST(test_stays), CHECK_TEST(test_loss), CHECK_TEST(test_loss_begins),
	CHECK_TEST(test_addresses), CHECK_TEST(test_renamed), CHECK_TEST(test_gone), CHECK_TEST(test_interface),
	CHECK_TEST(test_ring))
