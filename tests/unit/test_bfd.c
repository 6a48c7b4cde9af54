/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bfd.c - BFD sessions: byte-exact packets, every reason to drop one, the state machine and
 * the timers by a clock of our own, and two engines on a wire that loses, delays, doubles and
 * reorders.
 */
#include "bfd.h"

#include "oom.h"

#include "check.h"

#include <errno.h>

enum { HOSTS = 2, MAX_WIRE = 512, MAX_SENT = 64, IF1 = 3 };
enum { MS = 1000, SECOND = 1000 * MS };
enum { POLL = 0x20, FINAL = 0x10, AUTH = 4, DEMAND = 2, MULTIPOINT = 1 };
enum { SAYS_ADMIN_DOWN = 0, SAYS_DOWN = 0x40, SAYS_INIT = 0x80, SAYS_UP = 0xc0 };

/* One side.  Its clock is the world's and offset. */
struct host {
	struct bfd *b;
	struct bfd_session *s;
	struct counters c;
	struct rng rng;
	struct world *w;
	unsigned i;
	int64_t offset;
	int send_rc;
	unsigned changed, downs;
	enum bfd_state last;
	struct {
		uint64_t at;
		uint8_t b[BFD_PACKET_MAX];
		size_t len;
	} sent[MAX_SENT]; /* the last ones */
	size_t n_sent;
};

struct on_wire {
	uint64_t at;
	unsigned to;
	uint8_t b[BFD_PACKET_MAX];
	size_t len;
};

struct world {
	uint64_t now;
	struct host h[HOSTS];
	struct on_wire wire[MAX_WIRE];
	size_t n_wire;
	struct rng rng;
	unsigned loss_pct[HOSTS], dup_pct; /* of what goes to that host */
	bool cut[HOSTS];
	uint64_t delay, delay_more;
};

static const struct hash_key hkey = {1, 2};
static const struct bfd_conf conf_100ms = {
	.transmit_us = 100 * MS, .receive_us = 100 * MS, .multiplier = 3, .minimum_ttl = 255};
static const struct bfd_key key_a = {.id = 7, .len = 6, .secret = "orange"};
static const struct bfd_key key_b = {.id = 9, .len = 20, .secret = "apples and bananas.."};

static struct addr addr_of(unsigned i)
{
	const uint8_t b[4] = {10, 0, 0, (uint8_t)(i + 1)};

	return addr_from_v4(b);
}

static struct bfd_path path_of(unsigned i)
{
	return (struct bfd_path){IF1, addr_of(i), addr_of(1 - i)};
}

static uint64_t host_now(const struct host *h)
{
	return h->w->now + (uint64_t)h->offset;
}

static void put_on_wire(struct world *w, unsigned to, const uint8_t *b, size_t len)
{
	struct on_wire *o = &w->wire[w->n_wire];

	if (w->cut[to] || rng_below(&w->rng, 100) < w->loss_pct[to])
		return;
	if (w->n_wire == MAX_WIRE)
		abort();
	w->n_wire++;
	o->at = w->now + w->delay + rng_below(&w->rng, w->delay_more + 1);
	o->to = to;
	o->len = len;
	memcpy(o->b, b, len);
}

static int on_send(void *ctx, const struct bfd_path *path, const uint8_t *b, size_t len)
{
	struct host *h = ctx;

	CHECK(path->ifindex == IF1 && len >= 24 && len <= BFD_PACKET_MAX);
	if (h->send_rc != 0)
		return h->send_rc;
	h->sent[h->n_sent % MAX_SENT].at = h->w->now;
	h->sent[h->n_sent % MAX_SENT].len = len;
	memcpy(h->sent[h->n_sent % MAX_SENT].b, b, len);
	h->n_sent++;
	if (!addr_eq(path->remote, addr_of(1 - h->i)))
		return 0;
	put_on_wire(h->w, 1 - h->i, b, len);
	if (rng_below(&h->w->rng, 100) < h->w->dup_pct)
		put_on_wire(h->w, 1 - h->i, b, len);
	return 0;
}

static void on_changed(void *ctx, struct bfd_session *s)
{
	struct host *h = ctx;
	struct bfd_view v;

	bfd_view(s, host_now(h), &v);
	h->changed++;
	h->downs += h->last == BFD_UP && v.state != BFD_UP;
	h->last = v.state;
}

static const struct bfd_ops ops = {.send = on_send};
static const struct bfd_user user = {.changed = on_changed};

static void host_up(struct world *w, unsigned i, const struct bfd_conf *conf)
{
	struct host *h = &w->h[i];
	struct bfd_path path = path_of(i);

	h->w = w;
	h->i = i;
	h->rng.state += 1000 + i;
	h->last = BFD_DOWN;
	h->b = bfd_new(&ops, h, &hkey, &h->rng, &h->c);
	if (h->b == NULL || bfd_add(h->b, &path, conf, &user, h, host_now(h), &h->s) != 0)
		abort();
}

static void host_restart(struct world *w, unsigned i, const struct bfd_conf *conf)
{
	bfd_free(w->h[i].b);
	host_up(w, i, conf);
}

static void set_up(struct world *w, const struct bfd_conf *conf)
{
	memset(w, 0, sizeof *w);
	w->now = 1000 * (uint64_t)SECOND;
	w->delay = 50;
	w->rng.state = 1;
	for (unsigned i = 0; i < HOSTS; i++)
		host_up(w, i, conf);
}

static void set_up_keyed(struct world *w)
{
	struct bfd_conf conf = conf_100ms;

	conf.keyed = true;
	set_up(w, &conf);
	for (unsigned i = 0; i < HOSTS; i++)
		bfd_set_keys(w->h[i].b, &key_a, 1);
}

static void tear_down(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++)
		bfd_free(w->h[i].b);
}

static struct bfd_view view(struct world *w, unsigned i)
{
	struct bfd_view v;

	bfd_view(w->h[i].s, host_now(&w->h[i]), &v);
	return v;
}

static void give(struct world *w, unsigned to, const uint8_t *b, size_t len)
{
	uint8_t *guarded = check_guard(b, len);
	struct bfd_packet p = {.data = guarded,
		.len = len,
		.ifindex = IF1,
		.from = addr_of(1 - to),
		.to = addr_of(to),
		.ttl = 255,
		.at_us = host_now(&w->h[to])};

	bfd_on_packet(w->h[to].b, &p);
	check_unguard(guarded, len);
}

/* The next thing that happens on the wire or in an engine, until the time comes. */
static bool advance(struct world *w, uint64_t until)
{
	struct on_wire *first = NULL, o;
	uint64_t next = until;

	for (size_t i = 0; i < w->n_wire; i++)
		if (w->wire[i].at <= next && (first == NULL || w->wire[i].at < first->at)) {
			first = &w->wire[i];
			next = first->at;
		}
	for (unsigned i = 0; i < HOSTS; i++) {
		uint64_t due = bfd_next_deadline_us(w->h[i].b);

		if (due != TIME_NEVER && due - (uint64_t)w->h[i].offset < next) {
			next = due - (uint64_t)w->h[i].offset;
			first = NULL;
		}
	}
	w->now = next > w->now ? next : w->now;
	if (first != NULL) {
		o = *first;
		*first = w->wire[--w->n_wire];
		give(w, o.to, o.b, o.len);
	}
	for (unsigned i = 0; i < HOSTS; i++)
		bfd_tick(w->h[i].b, host_now(&w->h[i]));
	return first != NULL || next < until;
}

static void run(struct world *w, uint64_t us)
{
	uint64_t until = w->now + us;

	while (advance(w, until))
		;
}

/* Until both are Up, or the time is over.  Returns how long it took. */
static uint64_t run_until_up(struct world *w, uint64_t us)
{
	uint64_t begin = w->now, until = w->now + us;

	while ((view(w, 0).state != BFD_UP || view(w, 1).state != BFD_UP) && advance(w, until))
		;
	CHECK(view(w, 0).state == BFD_UP && view(w, 1).state == BFD_UP);
	return w->now - begin;
}

static const uint8_t *last_sent(const struct world *w, unsigned i)
{
	static const uint8_t none[BFD_PACKET_MAX];
	const struct host *h = &w->h[i];

	return h->n_sent > 0 ? h->sent[(h->n_sent - 1) % MAX_SENT].b : none;
}

static const char *hex(const uint8_t *b, size_t n)
{
	static char s[2 * BFD_PACKET_MAX + 1];

	for (size_t i = 0; i < n; i++)
		(void)snprintf(s + 2 * i, 3, "%02x", b[i]);
	return s;
}

static uint32_t be32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_be32(uint8_t *b, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* What a peer of host `to` would send: with its discriminator, from a peer called 0x1234. */
static void compose(struct world *w, unsigned to, unsigned says, uint8_t ret_b[24])
{
	static const uint8_t base[24] = {0x20, 0, 3, 24, 0, 0, 0x12, 0x34};

	memcpy(ret_b, base, sizeof base);
	ret_b[1] = (uint8_t)says;
	put_be32(ret_b + 8, view(w, to).local_discr);
	put_be32(ret_b + 12, 100 * MS);
	put_be32(ret_b + 16, 100 * MS);
}

/* Host 0 Up with a peer that the test plays. */
static void up_alone(struct world *w, const struct bfd_conf *conf)
{
	uint8_t b[24];

	set_up(w, conf);
	w->cut[0] = w->cut[1] = true;
	bfd_tick(w->h[0].b, w->now);
	compose(w, 0, SAYS_DOWN, b);
	give(w, 0, b, sizeof b);
	CHECK_INT(view(w, 0).state, BFD_INIT);
	compose(w, 0, SAYS_UP, b);
	give(w, 0, b, sizeof b);
	CHECK_INT(view(w, 0).state, BFD_UP);
	bfd_tick(w->h[0].b, w->now);
	compose(w, 0, SAYS_UP | FINAL, b);
	give(w, 0, b, sizeof b);
}

/* -- bytes -- */

static void test_packet_bytes(void)
{
	static struct world w;
	char want[2 * 24 + 1];

	set_up(&w, &conf_100ms);
	w.cut[0] = w.cut[1] = true;
	CHECK_INT(bfd_next_deadline_us(w.h[0].b), w.now);
	CHECK_INT(w.h[0].n_sent, 0);
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(w.h[0].n_sent, 1);
	(void)snprintf(want, sizeof want, "20400318%08x00000000000f4240000186a000000000",
		view(&w, 0).local_discr);
	CHECK_STR(hex(last_sent(&w, 0), 24), want);
	CHECK_INT(w.h[0].sent[0].len, 24);
	tear_down(&w);
}

/* The digest is Python's: sha1(header + 041c0700 + sequence + b"orange" + 14 zeros). */
static void test_keyed_bytes(void)
{
	static struct world w;
	uint8_t b[BFD_PACKET_MAX];

	set_up_keyed(&w);
	w.cut[0] = w.cut[1] = true;
	bfd_tick(w.h[0].b, w.now);
	memcpy(b, last_sent(&w, 0), sizeof b);
	CHECK_INT(w.h[0].sent[0].len, 52);
	CHECK_STR(hex(b + 24, 8), "041c0700000003e8");
	CHECK_INT(b[1], SAYS_DOWN | AUTH);
	CHECK_INT(b[3], 52);
	CHECK_STR(hex(b + 4, 4), "194e4000");
	CHECK_STR(hex(b + 32, 20), "e5f1a6ea6e48f9f46b7b46131117c0765f6bbd53");
	tear_down(&w);
}

struct drop_row {
	const char *name;
	unsigned at; /* byte */
	uint8_t v;   /* its value */
	size_t len;  /* of the datagram */
	unsigned ttl, ifindex, from;
	bool multihop;
	enum counter_id why;
};
#define DROP(name_, at_, v_, why_)                                                                 \
	{                                                                                          \
		name_, at_, v_, 24, 255, IF1, 1, false, COUNTER_BFD_##why_                         \
	}

static const struct drop_row drops[] = {
	DROP("well-formed", 0, 0x20, RECEIVED),
	DROP("any diagnostic", 0, 0x3f, RECEIVED),
	DROP("version 0", 0, 0x00, DROP_VERSION),
	DROP("version 2", 0, 0x40, DROP_VERSION),
	DROP("multiplier 0", 2, 0, DROP_MULTIPLIER),
	DROP("length too small", 3, 23, DROP_LENGTH),
	DROP("length 0", 3, 0, DROP_LENGTH),
	DROP("length more than there is", 3, 25, DROP_LENGTH),
	DROP("multipoint", 1, SAYS_UP | MULTIPOINT, DROP_MULTIPOINT),
	DROP("authenticated, nothing there", 1, SAYS_UP | AUTH, DROP_LENGTH),
	DROP("somebody else's session", 8, 0xee, DROP_SESSION),
	DROP("another slot", 11, 0xff, DROP_SESSION),
	{"trailing bytes", 0, 0x20, 30, 255, IF1, 1, false, COUNTER_BFD_RECEIVED},
	{"authenticated, session without key", 1, SAYS_UP | AUTH, 52, 255, IF1, 1, false,
		COUNTER_BFD_DROP_LENGTH},
	{"routed", 0, 0x20, 24, 254, IF1, 1, false, COUNTER_BFD_DROP_TTL},
	{"TTL unknown", 0, 0x20, 24, 0, IF1, 1, false, COUNTER_BFD_DROP_TTL},
	{"another link", 0, 0x20, 24, 255, IF1 + 1, 1, false, COUNTER_BFD_DROP_PATH},
	{"another host", 0, 0x20, 24, 255, IF1, 7, false, COUNTER_BFD_DROP_PATH},
	{"multihop", 0, 0x20, 24, 255, IF1, 1, true, COUNTER_BFD_DROP_PATH},
};

static void give_row(struct world *w, const uint8_t *b, const struct drop_row *row)
{
	uint8_t *guarded = check_guard(b, row->len);
	struct bfd_packet p = {.data = guarded,
		.len = row->len,
		.ifindex = row->ifindex,
		.from = addr_of(row->from),
		.to = addr_of(0),
		.ttl = row->ttl,
		.multihop = row->multihop,
		.at_us = w->now};

	bfd_on_packet(w->h[0].b, &p);
	check_unguard(guarded, row->len);
}

static uint64_t all_drops(const struct counters *c)
{
	uint64_t n = 0;

	for (unsigned i = COUNTER_BFD_DROP_LENGTH; i <= COUNTER_BFD_DROP_DIGEST; i++)
		n += c->v[i];
	return n;
}

static void test_dropped(void)
{
	static struct world w;
	uint8_t b[64] = {0};

	for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
		const struct drop_row *row = &drops[i];
		uint64_t before;

		check_row = row->name;
		up_alone(&w, &conf_100ms);
		compose(&w, 0, SAYS_UP, b);
		b[row->at] = row->v;
		before = w.h[0].c.v[row->why];
		give_row(&w, b, row);
		CHECK_INT(w.h[0].c.v[row->why], before + 1);
		CHECK_INT(all_drops(&w.h[0].c), row->why != COUNTER_BFD_RECEIVED);
		CHECK_INT(view(&w, 0).state, BFD_UP);
		tear_down(&w);
	}
	check_row = "";
}

static void test_dropped_discriminators(void)
{
	static const struct {
		const char *name;
		uint32_t my, your;
		unsigned says;
		enum counter_id why;
	} rows[] = {
		{"mine 0", 0, 1, SAYS_UP, COUNTER_BFD_DROP_DISCRIMINATOR},
		{"yours 0, Down", 5, 0, SAYS_DOWN, COUNTER_BFD_RECEIVED},
		{"yours 0, AdminDown", 5, 0, SAYS_ADMIN_DOWN, COUNTER_BFD_RECEIVED},
		{"yours 0, Init", 5, 0, SAYS_INIT, COUNTER_BFD_DROP_STATE},
		{"yours 0, Up", 5, 0, SAYS_UP, COUNTER_BFD_DROP_STATE},
		{"yours unknown, Down", 5, 0xffffffff, SAYS_DOWN, COUNTER_BFD_DROP_SESSION},
	};
	static struct world w;
	uint8_t b[24];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		set_up(&w, &conf_100ms);
		compose(&w, 0, rows[i].says, b);
		put_be32(b + 4, rows[i].my);
		put_be32(b + 8, rows[i].your);
		give(&w, 0, b, sizeof b);
		CHECK_INT(w.h[0].c.v[rows[i].why], 1);
		CHECK_INT(view(&w, 0).heard, rows[i].why == COUNTER_BFD_RECEIVED);
		tear_down(&w);
	}
	check_row = "";
}

/* With the other side's discriminator unknown, the path alone tells: all of it. */
static void test_dropped_other_path(void)
{
	struct drop_row other[] = {
		{"another link", 0, 0x20, 24, 255, IF1 + 1, 1, false, COUNTER_BFD_DROP_SESSION},
		{"another host", 0, 0x20, 24, 255, IF1, 7, false, COUNTER_BFD_DROP_SESSION},
		{"multihop", 0, 0x20, 24, 255, IF1, 1, true, COUNTER_BFD_DROP_SESSION},
	};
	static struct world w;
	uint8_t b[24];

	set_up(&w, &conf_100ms);
	compose(&w, 0, SAYS_DOWN, b);
	put_be32(b + 8, 0);
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		check_row = other[i].name;
		give_row(&w, b, &other[i]);
		CHECK_INT(w.h[0].c.v[COUNTER_BFD_DROP_SESSION], i + 1);
	}
	check_row = "";
	tear_down(&w);
}

static void test_dropped_every_length(void)
{
	static struct world w;
	uint8_t b[BFD_PACKET_MAX];
	size_t n;

	set_up_keyed(&w);
	(void)run_until_up(&w, 5 * SECOND);
	w.cut[0] = true;
	run(&w, 100 * MS);
	memcpy(b, last_sent(&w, 1), sizeof b);
	for (n = 0; n < sizeof b; n++) {
		give(&w, 0, b, n);
		CHECK_INT(w.h[0].c.v[COUNTER_BFD_DROP_LENGTH], n + 1);
	}
	b[3] = 24; /* of what there is, none is the authentication */
	give(&w, 0, b, 24);
	CHECK_INT(w.h[0].c.v[COUNTER_BFD_DROP_LENGTH], n + 1);
	tear_down(&w);
}

static void test_dropped_auth(void)
{
	static const struct {
		const char *name;
		unsigned at;
		uint8_t v;
		enum counter_id why;
	} rows[] = {
		{"as sent", 0, 0x20, COUNTER_BFD_RECEIVED},
		{"reserved is not looked at, but signed", 27, 1, COUNTER_BFD_DROP_DIGEST},
		{"without", 1, SAYS_UP, COUNTER_BFD_DROP_AUTH},
		{"password", 24, 1, COUNTER_BFD_DROP_AUTH_TYPE},
		{"meticulous", 24, 5, COUNTER_BFD_DROP_AUTH_TYPE},
		{"its length", 25, 27, COUNTER_BFD_DROP_AUTH_TYPE},
		{"its length, long", 25, 29, COUNTER_BFD_DROP_AUTH_TYPE},
		{"another key", 26, 8, COUNTER_BFD_DROP_KEY},
		{"from the past", 31, 0, COUNTER_BFD_DROP_SEQUENCE},
		{"from the future", 31, 0xff, COUNTER_BFD_DROP_SEQUENCE},
		{"multiplier changed", 2, 4, COUNTER_BFD_DROP_DIGEST},
		{"state changed", 1, SAYS_DOWN | AUTH, COUNTER_BFD_DROP_DIGEST},
		{"digest changed", 51, 0, COUNTER_BFD_DROP_DIGEST},
	};
	static struct world w;
	uint8_t b[BFD_PACKET_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t before;

		check_row = rows[i].name;
		set_up_keyed(&w);
		(void)run_until_up(&w, 5 * SECOND);
		w.cut[0] = true;
		run(&w, 200 * MS);
		memcpy(b, last_sent(&w, 1), sizeof b);
		b[rows[i].at] = b[rows[i].at] == rows[i].v && rows[i].at > 31 ? 1 : rows[i].v;
		before = w.h[0].c.v[rows[i].why];
		give(&w, 0, b, sizeof b);
		CHECK_INT(w.h[0].c.v[rows[i].why], before + 1);
		CHECK_INT(all_drops(&w.h[0].c), rows[i].why != COUNTER_BFD_RECEIVED);
		tear_down(&w);
	}
	check_row = "";
}

/* -- the state machine -- */

static void test_three_way(void)
{
	static struct world w;
	uint64_t took;

	set_up(&w, &conf_100ms);
	took = run_until_up(&w, 5 * SECOND);
	CHECK(took < 1 * MS); /* each state is said at once */
	run(&w, 500 * MS);
	CHECK_INT(view(&w, 0).remote_state, BFD_UP);
	CHECK_INT(view(&w, 0).remote_discr, view(&w, 1).local_discr);
	CHECK_INT(view(&w, 0).transmit_us, 100 * MS);
	CHECK_INT(view(&w, 0).detect_us, 300 * MS);
	CHECK_INT(view(&w, 0).diag, BFD_DIAG_NONE);
	CHECK(view(&w, 0).remote_down_us == TIME_NEVER);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP); /* no poll any more */
	CHECK(w.h[0].changed > 0);
	tear_down(&w);
}

/* Every state against every state that the other may say: 6.8.6. */
static void test_every_transition(void)
{
	static const unsigned says[] = {SAYS_ADMIN_DOWN, SAYS_DOWN, SAYS_INIT, SAYS_UP};
	static const enum bfd_state want[4][4] = {
		{BFD_ADMIN_DOWN, BFD_ADMIN_DOWN, BFD_ADMIN_DOWN, BFD_ADMIN_DOWN},
		{BFD_DOWN, BFD_INIT, BFD_UP, BFD_DOWN},
		{BFD_DOWN, BFD_INIT, BFD_UP, BFD_UP},
		{BFD_DOWN, BFD_DOWN, BFD_UP, BFD_UP},
	};
	static struct world w;
	uint8_t b[24];

	for (unsigned from = BFD_ADMIN_DOWN; from <= BFD_UP; from++)
		for (unsigned said = 0; said < 4; said++) {
			set_up(&w, &conf_100ms);
			w.cut[0] = w.cut[1] = true;
			bfd_set_admin_down(w.h[0].b, w.h[0].s, from == BFD_ADMIN_DOWN, w.now);
			if (from == BFD_INIT || from == BFD_UP) {
				compose(&w, 0, from == BFD_INIT ? SAYS_DOWN : SAYS_INIT, b);
				give(&w, 0, b, sizeof b);
			}
			CHECK_INT(view(&w, 0).state, from);
			compose(&w, 0, says[said], b);
			give(&w, 0, b, sizeof b);
			CHECK_INT(view(&w, 0).state, want[from][said]);
			CHECK_INT(view(&w, 0).remote_state, said);
			if (from == BFD_UP && said < BFD_INIT)
				CHECK_INT(view(&w, 0).diag, BFD_DIAG_NEIGHBOR_DOWN);
			tear_down(&w);
		}
}

static void test_detect(void)
{
	static struct world w;
	uint64_t heard, cut;

	set_up(&w, &conf_100ms);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 5 * SECOND);
	w.cut[0] = w.cut[1] = true;
	cut = w.now;
	run(&w, 1 * MS);
	heard = view(&w, 0).heard_us;
	CHECK(heard <= cut + w.delay);
	run(&w, heard + 300 * MS - 1 - w.now);
	CHECK_INT(view(&w, 0).state, BFD_UP);
	run(&w, 1);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	CHECK_INT(view(&w, 0).diag, BFD_DIAG_DETECTION_TIME);
	CHECK_INT(view(&w, 0).since_us, heard + 300 * MS);
	CHECK_INT(view(&w, 0).remote_discr, 0);
	CHECK_INT(view(&w, 0).heard_us, heard);
	CHECK_INT(w.h[0].c.v[COUNTER_BFD_DETECTED], 1);
	CHECK_INT(last_sent(&w, 0)[1] & 0xc0, SAYS_DOWN);
	CHECK_INT(last_sent(&w, 0)[0], 0x20 | BFD_DIAG_DETECTION_TIME);
	run(&w, 1 * SECOND);
	w.cut[0] = w.cut[1] = false;
	CHECK(run_until_up(&w, 5 * SECOND) <= 1 * SECOND + 1 * MS);
	tear_down(&w);
}

/* R6: packets that waited in the socket are taken by their time stamps, whenever they are read. */
static void test_late_tick(void)
{
	static struct world w;
	uint8_t b[24];

	up_alone(&w, &conf_100ms);
	compose(&w, 0, SAYS_UP, b);
	w.now += 290 * MS;
	give(&w, 0, b, sizeof b); /* stamped here, read with the tick below */
	w.now += 290 * MS;
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(view(&w, 0).state, BFD_UP);
	w.now += 10 * MS;
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	tear_down(&w);
}

static void test_stalled(void)
{
	static struct world w;
	uint64_t came;

	up_alone(&w, &conf_100ms);
	came = view(&w, 0).packet_us;
	CHECK_INT(came, view(&w, 0).heard_us);
	w.now += 5 * SECOND;
	bfd_stalled(w.h[0].b, 5 * SECOND - 100 * MS, w.now);
	CHECK_INT(view(&w, 0).packet_us, came);
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(view(&w, 0).state, BFD_UP);
	CHECK_INT(view(&w, 0).heard_us, w.now - 100 * MS);
	w.now += 199 * MS;
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(view(&w, 0).state, BFD_UP);
	w.now += 1 * MS;
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	bfd_stalled(w.h[0].b, SECOND, w.now); /* of the dead, nothing moves */
	CHECK_INT(view(&w, 0).heard_us, w.now - 300 * MS);
	tear_down(&w);
}

/* More than the whole silence: not into the future. */
static void test_stalled_long(void)
{
	static struct world w;

	up_alone(&w, &conf_100ms);
	w.now += 1 * SECOND;
	bfd_stalled(w.h[0].b, 7 * SECOND, w.now);
	CHECK_INT(view(&w, 0).heard_us, w.now);
	tear_down(&w);
}

static void test_admin_down(void)
{
	static struct world w;
	size_t before;

	set_up(&w, &conf_100ms);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 1 * SECOND);
	before = w.h[0].n_sent;
	bfd_set_admin_down(w.h[0].b, w.h[0].s, true, w.now);
	bfd_set_admin_down(w.h[0].b, w.h[0].s, true, w.now);
	run(&w, 1 * MS);
	CHECK_INT(w.h[0].n_sent, before + 1);
	CHECK_INT(view(&w, 1).state, BFD_DOWN);
	CHECK_INT(view(&w, 1).diag, BFD_DIAG_NEIGHBOR_DOWN);
	CHECK_INT(view(&w, 1).remote_state, BFD_ADMIN_DOWN);
	CHECK_INT(view(&w, 1).remote_diag, BFD_DIAG_ADMIN_DOWN);
	CHECK(view(&w, 1).remote_down_us == TIME_NEVER); /* it leaves: it is not deaf */
	run(&w, 300 * MS);
	CHECK_INT(w.h[0].n_sent, before + 3); /* a lost one is made up for soon */
	run(&w, 10 * SECOND);
	CHECK_INT(view(&w, 1).state, BFD_DOWN);
	CHECK(view(&w, 0).heard && view(&w, 0).heard_us > w.now - 2 * SECOND);
	bfd_set_admin_down(w.h[0].b, w.h[0].s, false, w.now);
	CHECK(run_until_up(&w, 5 * SECOND) <= 1 * SECOND + 1 * MS);
	bfd_set_admin_down(w.h[0].b, w.h[0].s, true, w.now);
	run(&w, 1 * MS);
	w.cut[1] = true;
	run(&w, 10 * SECOND); /* what it said last stays */
	CHECK_INT(view(&w, 1).remote_state, BFD_ADMIN_DOWN);
	CHECK_INT(view(&w, 1).remote_discr, 0);
	tear_down(&w);
}

/* R7 DEAF: it is heard, and says that it does not hear us. */
static void test_one_way(void)
{
	static struct world w;
	uint64_t since;

	set_up(&w, &conf_100ms);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 1 * SECOND);
	CHECK(view(&w, 0).remote_down_us == TIME_NEVER);
	w.cut[1] = true; /* host 1 hears nothing */
	run(&w, 400 * MS);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	CHECK_INT(view(&w, 1).state, BFD_DOWN);
	since = view(&w, 0).remote_down_us;
	CHECK(since > w.now - 200 * MS && since <= w.now);
	CHECK(view(&w, 1).remote_down_us == TIME_NEVER); /* of it nothing is known */
	run(&w, 20 * SECOND);
	CHECK_INT(view(&w, 0).remote_down_us, since);
	CHECK_INT(view(&w, 0).state, BFD_INIT);
	w.cut[0] = true; /* now silent, no longer deaf */
	run(&w, 4 * SECOND);
	CHECK(view(&w, 0).remote_down_us == TIME_NEVER);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	w.cut[0] = w.cut[1] = false;
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 1 * MS);
	CHECK(view(&w, 0).remote_down_us == TIME_NEVER);
	tear_down(&w);
}

/* A peer that was started again, faster than it could be missed. */
static void test_restart(void)
{
	static struct world w;

	for (unsigned keyed = 0; keyed < 2; keyed++) {
		struct bfd_conf conf = conf_100ms;
		uint32_t before;

		conf.keyed = keyed;
		if (keyed)
			set_up_keyed(&w);
		else
			set_up(&w, &conf);
		(void)run_until_up(&w, 5 * SECOND);
		run(&w, 3500 * MS);
		before = view(&w, 0).remote_discr;
		host_restart(&w, 1, &conf);
		if (keyed)
			bfd_set_keys(w.h[1].b, &key_a, 1);
		run(&w, 1 * MS);
		CHECK(view(&w, 0).heard_us > w.now - 1 * MS); /* heard at once */
		CHECK(view(&w, 0).remote_discr != before);
		CHECK(run_until_up(&w, 5 * SECOND) < 1 * SECOND);
		CHECK_INT(w.h[0].downs, 1);
		run(&w, 5 * SECOND);
		CHECK_INT(w.h[0].downs, 1);
		CHECK_INT(w.h[0].c.v[COUNTER_BFD_DROP_SEQUENCE], 0);
		tear_down(&w);
	}
}

/* A node that was booted again counts from 0: heard once it is forgotten, twice the detection time
 * after its last packet (6.7.4). */
static void test_reboot(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;

	conf.keyed = true;
	set_up_keyed(&w);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 2 * SECOND);
	w.h[1].offset = -(int64_t)w.now + 3 * SECOND;
	host_restart(&w, 1, &conf);
	bfd_set_keys(w.h[1].b, &key_a, 1);
	run(&w, 10 * MS);
	CHECK(w.h[0].c.v[COUNTER_BFD_DROP_SEQUENCE] > 0);
	CHECK(run_until_up(&w, 10 * SECOND) < 2 * SECOND);
	tear_down(&w);
}

/* -- timers -- */

static void check_gaps(const struct world *w, unsigned i, uint64_t least, uint64_t most, size_t n)
{
	const struct host *h = &w->h[i];

	CHECK(h->n_sent > n);
	for (size_t k = h->n_sent - n; k < h->n_sent; k++) {
		uint64_t gap = h->sent[k % MAX_SENT].at - h->sent[(k - 1) % MAX_SENT].at;

		CHECK(gap >= least && gap <= most);
	}
}

static void test_slow_when_down(void)
{
	static struct world w;

	set_up(&w, &conf_100ms);
	w.cut[0] = w.cut[1] = true;
	run(&w, 60 * SECOND);
	check_gaps(&w, 0, 750 * MS, 1 * SECOND, 50);
	CHECK_INT(be32(last_sent(&w, 0) + 12), 1 * SECOND);
	CHECK_INT(be32(last_sent(&w, 0) + 16), 100 * MS);
	tear_down(&w);
}

static void test_jitter(void)
{
	static const struct {
		unsigned multiplier;
		uint64_t least, most;
	} rows[] = {{3, 75 * MS, 100 * MS}, {1, 75 * MS, 90 * MS}};
	static struct world w;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bfd_conf conf = conf_100ms;
		uint64_t least = UINT64_MAX, most = 0;
		const struct host *h = &w.h[0];

		conf.multiplier = rows[i].multiplier;
		set_up(&w, &conf);
		(void)run_until_up(&w, 5 * SECOND);
		run(&w, 10 * SECOND);
		check_gaps(&w, 0, rows[i].least, rows[i].most, MAX_SENT - 1);
		for (size_t k = h->n_sent - MAX_SENT + 1; k < h->n_sent; k++) {
			uint64_t gap = h->sent[k % MAX_SENT].at - h->sent[(k - 1) % MAX_SENT].at;

			least = gap < least ? gap : least;
			most = gap > most ? gap : most;
		}
		CHECK(least < rows[i].least + 2 * MS && most > rows[i].most - 2 * MS);
		CHECK_INT(w.h[0].downs + w.h[1].downs, 0);
		tear_down(&w);
	}
}

/* The slower of what one wants to send and the other wants to hear. */
static void test_negotiation(void)
{
	struct bfd_conf slow = conf_100ms;
	static struct world w;

	slow.transmit_us = 300 * MS;
	slow.receive_us = 200 * MS;
	slow.multiplier = 5;
	set_up(&w, &conf_100ms);
	host_restart(&w, 1, &slow);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 2 * SECOND);
	CHECK_INT(view(&w, 0).transmit_us, 200 * MS);
	CHECK_INT(view(&w, 0).detect_us, 5 * 300 * MS);
	CHECK_INT(view(&w, 1).transmit_us, 300 * MS);
	CHECK_INT(view(&w, 1).detect_us, 3 * 200 * MS);
	run(&w, 20 * SECOND);
	check_gaps(&w, 0, 150 * MS, 200 * MS, 20);
	check_gaps(&w, 1, 225 * MS, 300 * MS, 20);
	tear_down(&w);
}

static void test_poll_on_change(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;
	uint8_t b[24];

	up_alone(&w, &conf);
	run(&w, 100 * MS);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP);
	CHECK_INT(view(&w, 0).detect_us, 300 * MS);
	bfd_set_conf(w.h[0].b, w.h[0].s, &conf, w.now); /* the same */
	CHECK(bfd_next_deadline_us(w.h[0].b) > w.now);
	conf.transmit_us = 200 * MS;
	conf.receive_us = 50 * MS;
	bfd_set_conf(w.h[0].b, w.h[0].s, &conf, w.now);
	run(&w, 1 * MS);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP | POLL);
	CHECK_INT(be32(last_sent(&w, 0) + 12), 200 * MS);
	CHECK_INT(be32(last_sent(&w, 0) + 16), 50 * MS);
	CHECK_INT(view(&w, 0).transmit_us, 100 * MS); /* slower: not before the answer */
	compose(&w, 0, SAYS_UP, b);
	put_be32(b + 12, 10 * MS);
	give(&w, 0, b, sizeof b);
	CHECK_INT(view(&w, 0).detect_us, 300 * MS); /* shorter: neither */
	run(&w, 100 * MS);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP | POLL); /* until it is answered */
	b[1] |= FINAL;
	give(&w, 0, b, sizeof b);
	CHECK_INT(view(&w, 0).transmit_us, 200 * MS);
	CHECK_INT(view(&w, 0).detect_us, 150 * MS);
	tear_down(&w);
}

/* Changed again while a Poll is out: the first answer may be to the first change. */
static void test_poll_again(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;
	uint8_t b[24];

	up_alone(&w, &conf);
	conf.transmit_us = 200 * MS;
	bfd_set_conf(w.h[0].b, w.h[0].s, &conf, w.now);
	run(&w, 1 * MS);
	conf.transmit_us = 300 * MS;
	bfd_set_conf(w.h[0].b, w.h[0].s, &conf, w.now);
	compose(&w, 0, SAYS_UP | FINAL, b);
	give(&w, 0, b, sizeof b);
	CHECK_INT(view(&w, 0).transmit_us, 100 * MS);
	run(&w, 100 * MS);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP | POLL);
	give(&w, 0, b, sizeof b);
	CHECK_INT(view(&w, 0).transmit_us, 300 * MS);
	tear_down(&w);
}

/* Faster takes effect at once (6.8.3). */
static void test_faster_at_once(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;
	uint8_t b[24];
	uint64_t sent_at;

	conf.transmit_us = 10 * MS;
	up_alone(&w, &conf);
	compose(&w, 0, SAYS_UP, b);
	put_be32(b + 16, 5 * SECOND);
	give(&w, 0, b, sizeof b);
	run(&w, 1 * MS);
	sent_at = w.now - 1 * MS;
	CHECK(bfd_next_deadline_us(w.h[0].b) <= sent_at + 300 * MS); /* the detection time */
	put_be32(b + 16, 20 * MS);
	give(&w, 0, b, sizeof b);
	CHECK(bfd_next_deadline_us(w.h[0].b) <= sent_at + 20 * MS);
	tear_down(&w);
}

/* A Final is not a Poll, is sent at once, and does not put the next packet off. */
static void test_final(void)
{
	static struct world w;
	uint64_t due;
	uint8_t b[24];

	up_alone(&w, &conf_100ms);
	run(&w, 10 * MS);
	due = bfd_next_deadline_us(w.h[0].b);
	compose(&w, 0, SAYS_UP | POLL, b);
	give(&w, 0, b, sizeof b);
	CHECK_INT(bfd_next_deadline_us(w.h[0].b), w.now);
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP | FINAL);
	CHECK_INT(bfd_next_deadline_us(w.h[0].b), due);
	tear_down(&w);
}

/* Polled while polling: an answer without our Poll, and then, in its time, our Poll. */
static void test_final_while_polling(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;
	uint8_t b[24];
	size_t n;

	up_alone(&w, &conf);
	conf.transmit_us = 200 * MS;
	bfd_set_conf(w.h[0].b, w.h[0].s, &conf, w.now);
	compose(&w, 0, SAYS_UP | POLL, b);
	give(&w, 0, b, sizeof b);
	n = w.h[0].n_sent;
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(w.h[0].n_sent, n + 1);
	CHECK_INT(w.h[0].sent[n % MAX_SENT].b[1], SAYS_UP | FINAL);
	run(&w, 100 * MS);
	CHECK_INT(w.h[0].sent[(n + 1) % MAX_SENT].b[1], SAYS_UP | POLL);
	tear_down(&w);
}

/* A peer in demand mode is sent nothing while both are Up, but answers; its silence still counts
 * (6.8.4: we are not in demand mode). */
static void test_demand(void)
{
	static struct world w;
	uint8_t b[24];
	size_t n;

	up_alone(&w, &conf_100ms);
	compose(&w, 0, SAYS_UP | DEMAND, b);
	give(&w, 0, b, sizeof b);
	n = w.h[0].n_sent;
	run(&w, 290 * MS);
	CHECK_INT(w.h[0].n_sent, n);
	b[1] |= POLL;
	give(&w, 0, b, sizeof b);
	run(&w, 290 * MS);
	CHECK_INT(w.h[0].n_sent, n + 1);
	CHECK_INT(last_sent(&w, 0)[1], SAYS_UP | FINAL);
	run(&w, 20 * MS);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	CHECK_INT(last_sent(&w, 0)[1] & 0xc0, SAYS_DOWN);
	tear_down(&w);
}

static void test_wants_nothing_periodic(void)
{
	static struct world w;
	uint8_t b[24];
	size_t n;

	up_alone(&w, &conf_100ms);
	compose(&w, 0, SAYS_UP, b);
	put_be32(b + 16, 0);
	give(&w, 0, b, sizeof b);
	n = w.h[0].n_sent;
	run(&w, 290 * MS);
	CHECK_INT(w.h[0].n_sent, n);
	run(&w, 5 * SECOND); /* after the detection time that is forgotten */
	CHECK(w.h[0].n_sent > n);
	tear_down(&w);
}

/* Whatever the other asks for, not more often than each millisecond. */
static void test_fastest(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;
	uint8_t b[24];
	size_t n;

	conf.transmit_us = conf.receive_us = 1;
	up_alone(&w, &conf);
	compose(&w, 0, SAYS_UP, b);
	put_be32(b + 12, 0);
	put_be32(b + 16, 1);
	b[2] = 255;
	n = w.h[0].n_sent;
	for (unsigned i = 0; i < 10000; i++) {
		w.now += 10;
		give(&w, 0, b, sizeof b);
		bfd_tick(w.h[0].b, w.now);
	}
	CHECK(w.h[0].n_sent - n > 90 && w.h[0].n_sent - n < 140);
	tear_down(&w);
}

/* Numbers as large as the fields are. */
static void test_huge_timers(void)
{
	static struct world w;
	uint8_t b[24];

	up_alone(&w, &conf_100ms);
	compose(&w, 0, SAYS_UP, b);
	put_be32(b + 12, UINT32_MAX);
	put_be32(b + 16, UINT32_MAX);
	b[2] = 255;
	give(&w, 0, b, sizeof b);
	CHECK_INT(view(&w, 0).transmit_us, UINT32_MAX);
	CHECK_INT(view(&w, 0).detect_us, UINT32_MAX); /* as far as it can be said */
	CHECK(bfd_next_deadline_us(w.h[0].b) > w.now + 3000ULL * SECOND);
	tear_down(&w);
}

static void test_passive(void)
{
	struct bfd_conf passive = conf_100ms;
	static struct world w;

	passive.passive = true;
	set_up(&w, &passive);
	run(&w, 10 * SECOND);
	CHECK_INT(w.h[0].n_sent + w.h[1].n_sent, 0);
	CHECK_INT(bfd_next_deadline_us(w.h[0].b), TIME_NEVER);
	host_restart(&w, 1, &conf_100ms);
	(void)run_until_up(&w, 5 * SECOND);
	tear_down(&w);
}

/* -- authentication -- */

static void test_keyed(void)
{
	static struct world w;

	set_up_keyed(&w);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 60 * SECOND);
	CHECK_INT(w.h[0].downs + w.h[1].downs, 0);
	CHECK_INT(all_drops(&w.h[0].c) + all_drops(&w.h[1].c), 0);
	tear_down(&w);
}

static void test_wrong_key(void)
{
	static struct world w;

	set_up_keyed(&w);
	bfd_set_keys(w.h[1].b, &key_b, 1);
	run(&w, 10 * SECOND);
	CHECK(!view(&w, 0).heard && !view(&w, 1).heard);
	CHECK(w.h[0].c.v[COUNTER_BFD_DROP_KEY] > 0);
	tear_down(&w);
}

static void test_no_key(void)
{
	static struct world w;

	set_up_keyed(&w);
	bfd_set_keys(w.h[0].b, NULL, 0);
	run(&w, 10 * SECOND);
	CHECK_INT(w.h[0].n_sent, 0);
	CHECK_INT(bfd_next_deadline_us(w.h[0].b), TIME_NEVER);
	CHECK(w.h[0].c.v[COUNTER_BFD_DROP_KEY] > 0);
	bfd_set_keys(w.h[0].b, &key_a, 1);
	(void)run_until_up(&w, 5 * SECOND);
	tear_down(&w);
}

/* Old, then old and new, then new and old, then new: on one node after the other, nothing is lost.
 */
static void test_rotation(void)
{
	const struct bfd_key step[3][2] = {{key_a, key_b}, {key_b, key_a}, {key_b}};
	static struct world w;

	set_up_keyed(&w);
	(void)run_until_up(&w, 5 * SECOND);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned h = 0; h < HOSTS; h++) {
			bfd_set_keys(w.h[h].b, step[i], i < 2 ? 2 : 1);
			run(&w, 2 * SECOND);
		}
	CHECK_INT(w.h[0].downs + w.h[1].downs, 0);
	CHECK_INT(all_drops(&w.h[0].c) + all_drops(&w.h[1].c), 0);
	CHECK_INT(last_sent(&w, 0)[26], key_b.id);
	tear_down(&w);
}

/* Two keys by one name: either is tried. */
static void test_same_key_id(void)
{
	struct bfd_key v[2] = {key_b, key_a};
	static struct world w;

	v[0].id = key_a.id;
	set_up_keyed(&w);
	bfd_set_keys(w.h[1].b, v, 2);
	run(&w, 1 * SECOND);
	CHECK(view(&w, 1).heard);
	CHECK(w.h[0].c.v[COUNTER_BFD_DROP_DIGEST] > 0);
	tear_down(&w);
}

/* What was said before is not heard again. */
static void test_replay(void)
{
	uint8_t down[BFD_PACKET_MAX];
	static struct world w;

	set_up_keyed(&w);
	bfd_tick(w.h[1].b, w.now);
	memcpy(down, last_sent(&w, 1), sizeof down);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 5 * SECOND);
	give(&w, 0, down, sizeof down);
	CHECK_INT(view(&w, 0).state, BFD_UP);
	CHECK_INT(w.h[0].c.v[COUNTER_BFD_DROP_SEQUENCE], 1);
	tear_down(&w);
}

/* Our own packets, signed by ourselves, sent back as if they were the peer's. */
static void test_reflection(void)
{
	static struct world w;
	uint32_t before;

	set_up_keyed(&w);
	w.cut[0] = w.cut[1] = true;
	for (unsigned i = 0; i < 10; i++) {
		bfd_tick(w.h[0].b, w.now);
		before = view(&w, 0).local_discr;
		give(&w, 0, last_sent(&w, 0), BFD_PACKET_MAX);
		CHECK(view(&w, 0).local_discr != before);
		w.now += SECOND;
	}
	CHECK(!view(&w, 0).heard);
	CHECK_INT(view(&w, 0).state, BFD_DOWN);
	CHECK_INT(w.h[0].c.v[COUNTER_BFD_DROP_DISCRIMINATOR], 10);
	w.cut[0] = w.cut[1] = false;
	(void)run_until_up(&w, 5 * SECOND);
	before = view(&w, 0).local_discr;
	give(&w, 0, last_sent(&w, 0), BFD_PACKET_MAX);
	CHECK_INT(view(&w, 0).local_discr, before);
	CHECK_INT(view(&w, 0).state, BFD_UP);
	tear_down(&w);
}

/* Two that draw the same numbers. */
static void test_same_discriminator(void)
{
	static struct world w;

	set_up(&w, &conf_100ms);
	bfd_free(w.h[1].b);
	w.h[1].rng.state = w.h[0].rng.state = 5;
	bfd_free(w.h[0].b);
	host_up(&w, 0, &conf_100ms);
	w.h[1].rng.state = 4; /* host_up() adds 1 more to it */
	host_up(&w, 1, &conf_100ms);
	CHECK_INT(view(&w, 0).local_discr, view(&w, 1).local_discr);
	w.h[1].rng.state = 77;
	(void)run_until_up(&w, 10 * SECOND);
	tear_down(&w);
}

/* Nothing was received for longer than the window is, because this host stood still. */
static void test_keyed_and_stalled(void)
{
	static struct world w;

	set_up_keyed(&w);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 1 * SECOND);
	w.n_wire = 0;
	w.now += 20 * (uint64_t)SECOND;
	bfd_stalled(w.h[0].b, 20 * SECOND, w.now);
	bfd_stalled(w.h[1].b, 20 * SECOND, w.now);
	run(&w, 5 * SECOND);
	CHECK_INT(w.h[0].downs + w.h[1].downs, 0);
	CHECK_INT(all_drops(&w.h[0].c), 0);
	tear_down(&w);
}

/* Packets so far apart that more seconds pass than the window has numbers. */
static void test_keyed_and_slow(void)
{
	struct bfd_conf conf = conf_100ms;
	static struct world w;

	conf.keyed = true;
	conf.transmit_us = conf.receive_us = 60 * SECOND;
	set_up_keyed(&w);
	for (unsigned i = 0; i < HOSTS; i++)
		bfd_set_conf(w.h[i].b, w.h[i].s, &conf, w.now);
	(void)run_until_up(&w, 200 * (uint64_t)SECOND);
	run(&w, 3600 * (uint64_t)SECOND);
	CHECK_INT(w.h[0].downs + w.h[1].downs, 0);
	CHECK_INT(all_drops(&w.h[0].c) + all_drops(&w.h[1].c), 0);
	tear_down(&w);
}

/* -- loss -- */

static void test_loss(void)
{
	static const unsigned pct[] = {0, 5, 30};
	static struct world w;

	for (size_t i = 0; i < ARRAY_LEN(pct); i++) {
		struct bfd_conf conf = conf_100ms;
		double sum = 0;

		conf.multiplier = 20; /* it is loss that is measured, not falls */
		set_up(&w, &conf);
		(void)run_until_up(&w, 5 * SECOND);
		w.loss_pct[0] = pct[i];
		w.delay_more = 2 * MS;
		run(&w, 2 * SECOND);
		CHECK(pct[i] == 0 ? view(&w, 0).loss_lately == 0
				  : view(&w, 0).loss_lately > pct[i] / 500.0);
		run(&w, 8 * SECOND);
		for (unsigned k = 0; k < 30; k++) {
			run(&w, 10 * SECOND);
			sum += view(&w, 0).loss;
			CHECK(view(&w, 1).loss < 0.01);
		}
		CHECK(sum / 30 > pct[i] / 100.0 - 0.02 && sum / 30 < pct[i] / 100.0 + 0.02);
		w.loss_pct[0] = 0;
		run(&w, 10 * SECOND);
		CHECK(view(&w, 0).loss < 0.01); /* what is older is forgotten */
		CHECK(view(&w, 0).loss_lately < 0.001);
		tear_down(&w);
	}
}

/* A fall is loss, too; what comes after it is not. */
static void test_loss_of_a_fall(void)
{
	static struct world w;
	double loss;

	set_up(&w, &conf_100ms);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 20 * SECOND);
	w.cut[0] = w.cut[1] = true;
	run(&w, 400 * MS);
	loss = view(&w, 0).loss;
	CHECK(loss > 0.01 && loss < 0.1);
	run(&w, 3 * SECOND);
	CHECK(view(&w, 0).loss > 0.01 && view(&w, 0).loss < 0.2);
	run(&w, 10 * SECOND);
	CHECK(view(&w, 0).loss == 0);
	tear_down(&w);
}

/* -- many -- */

static void test_many(void)
{
	static struct bfd_session *v[BFD_MAX_SESSIONS];
	struct bfd_conf conf = conf_100ms;
	struct bfd_path path = path_of(0);
	struct bfd_session *one_more;
	static struct world w;
	uint64_t last = 0;

	set_up(&w, &conf);
	w.cut[0] = w.cut[1] = true;
	bfd_del(w.h[0].b, w.h[0].s);
	for (unsigned i = 0; i < BFD_MAX_SESSIONS; i++) {
		path.remote.lo = addr_of(0).lo + 256 + i;
		CHECK_INT(bfd_add(w.h[0].b, &path, &conf, &user, &w.h[0], w.now, &v[i]), 0);
	}
	path.remote.lo++;
	CHECK_INT(bfd_add(w.h[0].b, &path, &conf, &user, &w.h[0], w.now, &one_more), -E2BIG);
	bfd_tick(w.h[0].b, w.now);
	CHECK_INT(w.h[0].n_sent, BFD_MAX_SESSIONS);
	for (unsigned i = 0; i < BFD_MAX_SESSIONS; i += 2)
		bfd_del(w.h[0].b, v[i]);
	for (unsigned i = 0; i < 5000; i++) {
		w.now = bfd_next_deadline_us(w.h[0].b);
		CHECK(w.now >= last);
		last = w.now;
		bfd_tick(w.h[0].b, w.now);
	}
	CHECK(w.h[0].n_sent >= BFD_MAX_SESSIONS + 5000);
	path.remote = addr_of(1);
	CHECK_INT(bfd_add(w.h[0].b, &path, &conf, &user, &w.h[0], w.now, &w.h[0].s), 0);
	w.cut[0] = w.cut[1] = false;
	(void)run_until_up(&w, 5 * SECOND);
	tear_down(&w);
}

/* Many that are Up: their packets go out together, each within its own time. */
static void test_together(void)
{
	enum { N = 200 };
	static struct bfd_session *v[N];
	struct bfd_path path = path_of(0);
	static struct world w;
	unsigned moments = 0;
	uint64_t until;
	uint8_t b[24];
	size_t n;

	up_alone(&w, &conf_100ms);
	for (unsigned i = 0; i < N; i++) {
		struct bfd_view s;
		struct bfd_packet p = {
			.data = b, .len = 24, .ifindex = IF1, .to = addr_of(0), .ttl = 255};

		p.at_us = w.now + i * MS;
		p.from = path.remote = addr_of(10 + i);
		CHECK_INT(bfd_add(w.h[0].b, &path, &conf_100ms, &user, &w.h[0], w.now, &v[i]), 0);
		bfd_view(v[i], w.now, &s);
		compose(&w, 0, SAYS_INIT | FINAL, b);
		put_be32(b + 8, s.local_discr);
		b[2] = 255;
		bfd_on_packet(w.h[0].b, &p);
	}
	run(&w, 1 * SECOND);
	n = w.h[0].n_sent;
	for (until = w.now + 1 * SECOND; w.now < until; moments++)
		(void)advance(&w, until);
	CHECK(w.h[0].n_sent - n > 10 * N && w.h[0].n_sent - n < 15 * N);
	CHECK(moments < 1000 / 100 * 16 * 2);
	tear_down(&w);
}

static void test_add_refusals(void)
{
	static const struct bfd_conf bad[] = {
		{.receive_us = 1, .multiplier = 3},
		{.transmit_us = 1, .multiplier = 3},
		{.transmit_us = 1, .receive_us = 1},
		{.transmit_us = 1, .receive_us = 1, .multiplier = 256},
		{.transmit_us = 1, .receive_us = 1, .multiplier = 3, .minimum_ttl = 256},
	};
	struct bfd_path path = path_of(0);
	struct bfd_session *s = NULL;
	static struct world w;

	set_up(&w, &conf_100ms);
	CHECK_INT(bfd_add(w.h[0].b, &path, &conf_100ms, &user, NULL, w.now, &s), -EEXIST);
	path.remote = addr_of(2);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(bfd_add(w.h[0].b, &path, &bad[i], &user, NULL, w.now, &s), -EINVAL);
	path.remote.hi = 1;
	CHECK_INT(bfd_add(w.h[0].b, &path, &conf_100ms, &user, NULL, w.now, &s), -EINVAL);
	CHECK(s == NULL);
	CHECK(bfd_ctx(w.h[0].s) == &w.h[0]);
	bfd_free(NULL);
	tear_down(&w);
}

static void test_send_errors(void)
{
	static struct world w;

	set_up(&w, &conf_100ms);
	w.h[0].send_rc = -ENOBUFS;
	run(&w, 3 * SECOND);
	CHECK(w.h[0].c.v[COUNTER_BFD_SEND_ERRORS] >= 3 && w.h[0].c.v[COUNTER_BFD_SEND_ERRORS] <= 8);
	CHECK_INT(view(&w, 0).sent, 0);
	w.h[0].send_rc = 0;
	(void)run_until_up(&w, 5 * SECOND);
	tear_down(&w);
}

static void test_names(void)
{
	CHECK_STR(bfd_state_name(BFD_ADMIN_DOWN), "AdminDown");
	CHECK_STR(bfd_state_name(BFD_UP), "Up");
	CHECK_STR(bfd_diag_text(BFD_DIAG_DETECTION_TIME), "detection time expired");
	CHECK_STR(bfd_diag_text((enum bfd_diag)31), "unknown");
}

/* changed() is called for news alone. */
static void test_changed(void)
{
	static struct world w;
	unsigned before;

	set_up(&w, &conf_100ms);
	CHECK_INT(w.h[0].changed, 0);
	(void)run_until_up(&w, 5 * SECOND);
	run(&w, 1 * SECOND);
	before = w.h[0].changed;
	CHECK(before > 0 && before < 10);
	run(&w, 60 * SECOND);
	CHECK_INT(w.h[0].changed, before);
	w.cut[0] = true;
	run(&w, 1 * SECOND);
	CHECK(w.h[0].changed > before);
	tear_down(&w);
}

/* -- a bad network -- */

/* Whatever it did: once it is good again both are Up within two slow packets and a detection time,
 * and stay so. */
static void test_random_networks(void)
{
	static struct world w;

	for (unsigned seed = 1; seed <= 200; seed++) {
		struct bfd_conf conf = conf_100ms;
		size_t before, most = 0;
		char row[32];

		(void)snprintf(row, sizeof row, "seed %u", seed);
		check_row = row;
		conf.multiplier = 1 + seed % 4;
		conf.keyed = seed % 2 != 0;
		set_up(&w, &conf);
		w.rng.state = seed;
		for (unsigned i = 0; i < HOSTS; i++)
			bfd_set_keys(w.h[i].b, &key_a, 1);
		for (unsigned k = 0; k < 20; k++) {
			unsigned i = (unsigned)rng_below(&w.rng, HOSTS);

			w.loss_pct[0] = (unsigned)rng_below(&w.rng, 60);
			w.loss_pct[1] = (unsigned)rng_below(&w.rng, 60);
			w.dup_pct = (unsigned)rng_below(&w.rng, 30);
			w.delay_more = rng_below(&w.rng, 200 * MS);
			w.cut[0] = rng_below(&w.rng, 5) == 0;
			w.cut[1] = rng_below(&w.rng, 5) == 0;
			bfd_set_admin_down(
				w.h[i].b, w.h[i].s, rng_below(&w.rng, 6) == 0, host_now(&w.h[i]));
			if (rng_below(&w.rng, 6) == 0) {
				host_restart(&w, i, &conf);
				bfd_set_keys(w.h[i].b, &key_a, 1);
			}
			before = w.h[0].n_sent + w.h[1].n_sent;
			run(&w, 2 * SECOND);
			most = w.h[0].n_sent + w.h[1].n_sent - before > most
				       ? w.h[0].n_sent + w.h[1].n_sent - before
				       : most;
		}
		/* Two that misunderstand each other do not talk ever faster for it. */
		CHECK(most < 200); /* in two seconds, of both */
		memset(w.loss_pct, 0, sizeof w.loss_pct);
		memset(w.cut, 0, sizeof w.cut);
		w.dup_pct = 0;
		w.delay_more = 0;
		for (unsigned i = 0; i < HOSTS; i++)
			bfd_set_admin_down(w.h[i].b, w.h[i].s, false, host_now(&w.h[i]));
		run(&w, 300 * MS); /* what was under way */
		(void)run_until_up(&w, 6 * SECOND);
		run(&w, 3 * SECOND);
		w.h[0].downs = w.h[1].downs = 0;
		run(&w, 30 * SECOND);
		CHECK_INT(w.h[0].downs + w.h[1].downs, 0);
		tear_down(&w);
	}
	check_row = "";
}

#ifdef MEMORY_CAN_FAIL
static void test_memory(void)
{
	struct bfd_path path = path_of(0);
	struct bfd_session *s = NULL;
	static struct world w;
	long n;

	set_up(&w, &conf_100ms);
	for (unsigned i = 0; i < 100; i++) {
		int rc = -ENOMEM;

		path.remote.lo = addr_of(0).lo + 256 + i;
		for (n = 0; rc == -ENOMEM; n++) {
			fail_after = n;
			rc = bfd_add(w.h[0].b, &path, &conf_100ms, &user, &w.h[0], w.now, &s);
			fail_after = -1;
		}
		CHECK_INT(rc, 0);
		CHECK(n > 1);
	}
	fail_after = 0;
	CHECK(bfd_new(&ops, NULL, &hkey, &w.rng, NULL) == NULL);
	(void)run_until_up(&w, 5 * SECOND); /* once made, a session needs none */
	fail_after = -1;
	tear_down(&w);
}
#else
static void test_memory(void)
{
}
#endif

CHECK_MAIN("test_bfd", CHECK_TEST(test_packet_bytes), CHECK_TEST(test_keyed_bytes),
	CHECK_TEST(test_dropped), CHECK_TEST(test_dropped_discriminators),
	CHECK_TEST(test_dropped_other_path), CHECK_TEST(test_dropped_every_length),
	CHECK_TEST(test_dropped_auth), CHECK_TEST(test_three_way),
	CHECK_TEST(test_every_transition), CHECK_TEST(test_detect), CHECK_TEST(test_late_tick),
	CHECK_TEST(test_stalled), CHECK_TEST(test_stalled_long), CHECK_TEST(test_admin_down),
	CHECK_TEST(test_one_way), CHECK_TEST(test_restart), CHECK_TEST(test_reboot),
	CHECK_TEST(test_slow_when_down), CHECK_TEST(test_jitter), CHECK_TEST(test_negotiation),
	CHECK_TEST(test_poll_on_change), CHECK_TEST(test_poll_again),
	CHECK_TEST(test_faster_at_once), CHECK_TEST(test_final),
	CHECK_TEST(test_final_while_polling), CHECK_TEST(test_demand),
	CHECK_TEST(test_wants_nothing_periodic), CHECK_TEST(test_fastest),
	CHECK_TEST(test_huge_timers), CHECK_TEST(test_passive), CHECK_TEST(test_keyed),
	CHECK_TEST(test_wrong_key), CHECK_TEST(test_no_key), CHECK_TEST(test_rotation),
	CHECK_TEST(test_same_key_id), CHECK_TEST(test_replay), CHECK_TEST(test_keyed_and_slow),
	CHECK_TEST(test_reflection), CHECK_TEST(test_same_discriminator),
	CHECK_TEST(test_keyed_and_stalled), CHECK_TEST(test_loss), CHECK_TEST(test_loss_of_a_fall),
	CHECK_TEST(test_many), CHECK_TEST(test_together), CHECK_TEST(test_add_refusals),
	CHECK_TEST(test_send_errors), CHECK_TEST(test_names), CHECK_TEST(test_changed),
	CHECK_TEST(test_random_networks), CHECK_TEST(test_memory))
