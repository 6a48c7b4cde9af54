/* SPDX-License-Identifier: Apache-2.0
 *
 * bfd.c - Bidirectional Forwarding Detection: asynchronous sessions.
 *
 * Owns: the sessions, by path and by local discriminator; a heap of their deadlines; the keys.  No
 *       socket, no clock.
 * In:   UDP payloads with the kernel's time stamps -> bfd_on_packet(); bfd_tick() when
 *       bfd_next_deadline_us() has come and the sockets are empty; bfd_stalled() before it.
 * Out:  control packets through bfd_ops.send(), from bfd_tick() alone; bfd_user.changed().
 * RFCs: 5880 (packet 4, authentication 6.7.4, state machine 6.2, timers 6.8.2 to 6.8.4, reception
 *       6.8.6, transmission 6.8.7), 5881 (one hop: TTL, link), 5883 (several hops).
 * Not done: echo (Required Min Echo RX is 0); entering demand mode (a peer in it is obeyed);
 *       passwords, MD5 and meticulous SHA1 (6.7.2, 6.7.3, and type 5 of 6.7.4).
 *
 * Departures, both of authentication.  Sequence numbers are seconds of CLOCK_BOOTTIME in place of a
 * count from a random start: a process that was started again goes on where it was and is heard at
 * once (OWNERSHIP F19).  A node that was booted again starts lower; it is heard when its peer has
 * forgotten it, after twice the detection time (6.7.4), which is less than a boot takes.  And as
 * seconds pass without packets, too, the window of numbers that are accepted (3 * Detect Mult)
 * grows by the seconds since the last one.
 *
 * A session has one deadline in the heap.  A packet that is heard moves the detection time on
 * without touching the heap: the deadline then comes early once, and finds nothing to declare.
 */
#include "bfd.h"

#include "bytes.h"
#include "deadline.h"
#include "table.h"

#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include <errno.h>

enum {
	VERSION = 1,
	HEADER_LEN = 24,
	AUTH_KEYED_SHA1 = 4, /* 4.4 */
	AUTH_LEN = 28,
	AUTH_MIN_LEN = 2,
	DIGEST_AT = HEADER_LEN + 8,
	DIGEST_LEN = 20,
};
enum { FLAG_POLL = 0x20, FLAG_FINAL = 0x10, FLAG_AUTH = 4, FLAG_DEMAND = 2, FLAG_MULTIPOINT = 1 };

enum {
	SECOND_US = 1000000,
	SLOW_US = SECOND_US, /* 6.8.3: Desired Min TX at least, while not Up */
	FASTEST_US = 1000,   /* nothing is sent more often, whatever both sides want */
	LEAVING_REPEATS = 2, /* of the packet that says AdminDown (OWNERSHIP R27) */
	LEAVING_US = 50000,  /* apart */
	NEWS_MOST = 4,       /* packets out of turn, to say that something changed, in so long: two that */
	NEWS_US = 100000, /* misunderstand each other must not answer each other ever faster */
	LOSS_BUCKET_US = 5000000,
	LATELY = 8,     /* packets: how fast what was lost is forgotten */
	SLOT_BITS = 12, /* of a discriminator: the place in slots; the others are random */
	SEQ_WINDOW = 3, /* times Detect Mult (6.7.4) */
	JITTER_ONE = 65536,
	JITTER_LEAST = JITTER_ONE / 4 * 3,   /* 6.8.7 */
	JITTER_MOST_1 = JITTER_ONE / 10 * 9, /* with Detect Mult 1 */
	EARLY_PART = 8, /* of its interval: so much sooner a packet goes out with others */
};
_Static_assert(1 << SLOT_BITS == BFD_MAX_SESSIONS, "a slot for each session");

/* One control packet (4.1), the fields that we use. */
struct message {
	enum bfd_diag diag;
	enum bfd_state state;
	bool poll, final, auth, demand;
	uint8_t multiplier, length;
	uint32_t my_discr, your_discr, desired_tx_us, required_rx_us;
	uint32_t seq; /* if auth */
};

/* What bfd_user.changed() is called for. */
struct face {
	enum bfd_state state, remote_state;
	enum bfd_diag diag, remote_diag;
	uint64_t since_us, remote_down_us, transmit_us, detect_us;
	uint32_t remote_discr;
	bool heard;
};

struct bucket {
	uint32_t received, lost;
};

struct bfd_session {
	uint32_t hash; /* of the path */
	uint32_t local_discr;
	struct deadline due;
	struct bfd_path path;
	struct bfd_conf conf;
	const struct bfd_user *user; /* borrowed */
	void *ctx;                   /* borrowed */

	enum bfd_state state;
	enum bfd_diag diag;
	uint64_t since_us;

	/* of the last packet; remote_discr 0 = the detection time since then is over */
	bool heard;
	bool remote_demand;
	uint8_t remote_multiplier;
	enum bfd_state remote_state;
	enum bfd_diag remote_diag;
	uint32_t remote_discr, remote_tx_us, remote_rx_us;
	uint64_t heard_us, packet_us, remote_down_us;
	uint32_t auth_seq;
	uint64_t auth_us; /* of auth_seq; a stall does not move it: the peer counted on */
	bool auth_known;

	/* 6.8.3: what is said, and what is gone by until the Poll Sequence is over */
	uint32_t desired_tx_us, required_rx_us;
	uint32_t tx_in_use_us, rx_in_use_us;
	bool polling, poll_again;
	bool final_due;
	uint8_t repeats;

	uint64_t urgent_us; /* since when there is news to send; TIME_NEVER = none */
	uint64_t news_us;   /* news_sent counts since then */
	uint8_t news_sent;
	uint64_t sent_us; /* the last periodic packet */
	uint32_t jitter;  /* of the next one */
	uint64_t sent, received;

	uint64_t bucket_at; /* of loss[0]: which five seconds */
	struct bucket loss[2];
	double lately; /* loss of about the last LATELY packets */
	struct face shown;
};

struct bfd {
	const struct bfd_ops *ops; /* borrowed */
	void *ctx;                 /* borrowed */
	struct rng *rng;           /* borrowed */
	struct counters *counters; /* borrowed, may be NULL */
	struct hash_key hkey;
	struct table sessions;      /* owned, by path */
	struct bfd_session **slots; /* owned; NULL = free */
	uint32_t n_slots;
	struct deadlines due; /* of every session */
	struct bfd_key keys[BFD_MAX_KEYS];
	size_t n_keys;
};

/* -- paths -- */

uint32_t bfd_path_hash(const struct hash_key *hkey, const struct bfd_path *p)
{
	uint8_t k[sizeof p->ifindex + sizeof p->local + sizeof p->remote];

	memcpy(k, &p->ifindex, sizeof p->ifindex);
	memcpy(k + sizeof p->ifindex, &p->local, sizeof p->local);
	memcpy(k + sizeof p->ifindex + sizeof p->local, &p->remote, sizeof p->remote);
	return hash_bytes(hkey, k, sizeof k);
}

bool bfd_path_eq(const struct bfd_path *a, const struct bfd_path *b)
{
	return a->ifindex == b->ifindex && addr_eq(a->local, b->local) &&
	       addr_eq(a->remote, b->remote);
}

/* -- codec -- */

/* false, and the counter of the reason, in the order of 6.8.6. */
static bool decode(const uint8_t *data, size_t len, struct message *ret_m, enum counter_id *ret_why)
{
	struct rd r = rd_init(data, len);
	uint8_t first = rd_u8(&r), second = rd_u8(&r);
	struct message *m = ret_m;

	m->seq = 0;
	m->diag = (enum bfd_diag)(first & 0x1f);
	m->state = (enum bfd_state)(second >> 6);
	m->poll = (second & FLAG_POLL) != 0;
	m->final = (second & FLAG_FINAL) != 0;
	m->auth = (second & FLAG_AUTH) != 0;
	m->demand = (second & FLAG_DEMAND) != 0;
	m->multiplier = rd_u8(&r);
	m->length = rd_u8(&r);
	m->my_discr = rd_be32(&r);
	m->your_discr = rd_be32(&r);
	m->desired_tx_us = rd_be32(&r);
	m->required_rx_us = rd_be32(&r);
	rd_skip(&r, 4); /* Required Min Echo RX: we send no echo */
	if (!r.bad && first >> 5 != VERSION)
		*ret_why = COUNTER_BFD_DROP_VERSION;
	else if (r.bad || m->length > len || m->length < HEADER_LEN + (m->auth ? AUTH_MIN_LEN : 0))
		*ret_why = COUNTER_BFD_DROP_LENGTH;
	else if (m->multiplier == 0)
		*ret_why = COUNTER_BFD_DROP_MULTIPLIER;
	else if ((second & FLAG_MULTIPOINT) != 0)
		*ret_why = COUNTER_BFD_DROP_MULTIPOINT;
	else if (m->my_discr == 0)
		*ret_why = COUNTER_BFD_DROP_DISCRIMINATOR;
	else if (m->your_discr == 0 && m->state != BFD_DOWN && m->state != BFD_ADMIN_DOWN)
		*ret_why = COUNTER_BFD_DROP_STATE;
	else
		return true;
	return false;
}

/* SHA1 of the packet with the key where the digest is to be (6.7.4). */
static void digest(const uint8_t packet[BFD_PACKET_MAX], const struct bfd_key *key,
	uint8_t ret_digest[DIGEST_LEN])
{
	const mbedtls_md_info_t *sha1 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);
	uint8_t keyed[BFD_PACKET_MAX] = {0};
	int err;

	memcpy(keyed, packet, DIGEST_AT);
	memcpy(keyed + DIGEST_AT, key->secret, key->len);
	err = mbedtls_md(sha1, keyed, sizeof keyed, ret_digest);
	mbedtls_platform_zeroize(keyed, sizeof keyed);
	REQUIRE(err == 0);
}

/* In a time that does not depend on what they are. */
static bool same_digest(const uint8_t a[DIGEST_LEN], const uint8_t b[DIGEST_LEN])
{
	uint8_t diff = 0;

	for (unsigned i = 0; i < DIGEST_LEN; i++)
		diff |= a[i] ^ b[i];
	return diff == 0;
}

static size_t encode(const struct bfd *b, const struct bfd_session *s, uint8_t flags,
	uint64_t now_us, uint8_t ret_packet[BFD_PACKET_MAX])
{
	size_t len = s->conf.keyed ? HEADER_LEN + AUTH_LEN : HEADER_LEN;
	struct wr w = wr_init(ret_packet, BFD_PACKET_MAX);

	wr_u8(&w, (uint8_t)(VERSION << 5 | s->diag));
	wr_u8(&w, (uint8_t)(s->state << 6 | flags | (s->conf.keyed ? FLAG_AUTH : 0)));
	wr_u8(&w, (uint8_t)s->conf.multiplier);
	wr_u8(&w, (uint8_t)len);
	wr_be32(&w, s->local_discr);
	wr_be32(&w, s->remote_discr);
	wr_be32(&w, s->desired_tx_us);
	wr_be32(&w, s->required_rx_us);
	wr_be32(&w, 0); /* no echo */
	if (!s->conf.keyed)
		return wr_len(&w);
	wr_u8(&w, AUTH_KEYED_SHA1);
	wr_u8(&w, AUTH_LEN);
	wr_u8(&w, b->keys[0].id);
	wr_u8(&w, 0);
	wr_be32(&w, (uint32_t)(now_us / SECOND_US));
	digest(ret_packet, &b->keys[0], ret_packet + DIGEST_AT);
	return len;
}

/* -- timers -- */

/* 6.8.2 */
static uint64_t transmit_us(const struct bfd_session *s)
{
	return time_max(time_max(s->tx_in_use_us, s->remote_rx_us), FASTEST_US);
}

/* Between two packets of the other's, at most, if none is lost. */
static uint64_t receive_us(const struct bfd_session *s)
{
	return time_max(s->rx_in_use_us, s->remote_tx_us);
}

/* 6.8.4; 0 before anything was heard. */
static uint64_t detect_us(const struct bfd_session *s)
{
	return s->remote_multiplier * receive_us(s);
}

static bool is_alive(const struct bfd_session *s)
{
	return s->remote_discr != 0;
}

/* Desired Min TX and Required Min RX by state and configuration (6.8.3).  While Up, a slower
 * transmission and a shorter detection time wait for the end of the Poll Sequence. */
static void set_timers(struct bfd_session *s)
{
	bool up = s->state == BFD_UP;
	uint32_t rx_us = s->conf.receive_us, tx_us = s->conf.transmit_us;

	if (!up && tx_us < SLOW_US)
		tx_us = SLOW_US;
	if (!up || tx_us < s->tx_in_use_us)
		s->tx_in_use_us = tx_us;
	if (!up || rx_us > s->rx_in_use_us)
		s->rx_in_use_us = rx_us;
	if (tx_us == s->desired_tx_us && rx_us == s->required_rx_us)
		return;
	s->desired_tx_us = tx_us;
	s->required_rx_us = rx_us;
	s->poll_again = s->polling; /* the answer to come may be to what was said before */
	s->polling = true;
}

static void end_poll(struct bfd_session *s)
{
	if (s->poll_again) {
		s->poll_again = false;
		return;
	}
	s->polling = false;
	s->tx_in_use_us = s->desired_tx_us;
	s->rx_in_use_us = s->required_rx_us;
}

static void draw_jitter(struct bfd *b, struct bfd_session *s)
{
	uint32_t most = s->conf.multiplier == 1 ? JITTER_MOST_1 : JITTER_ONE;

	s->jitter = JITTER_LEAST + (uint32_t)rng_below(b->rng, most - JITTER_LEAST + 1);
}

static bool may_send(const struct bfd *b, const struct bfd_session *s)
{
	if (s->conf.keyed && b->n_keys == 0)
		return false;
	return !s->conf.passive || is_alive(s);
}

/* When the next periodic packet is due (6.8.7). */
static uint64_t periodic_us(const struct bfd_session *s)
{
	bool demanded = s->remote_demand && s->state == BFD_UP && s->remote_state == BFD_UP;

	if (s->remote_rx_us == 0 || (demanded && !s->polling))
		return TIME_NEVER;
	if (s->repeats > 0)
		return s->sent_us + time_max(LEAVING_US, s->remote_rx_us);
	return s->sent_us + (transmit_us(s) * s->jitter) / JITTER_ONE;
}

/* When news may be sent. */
static uint64_t news_due_us(const struct bfd_session *s)
{
	if (s->urgent_us == TIME_NEVER || s->news_sent < NEWS_MOST)
		return s->urgent_us;
	return time_max(s->urgent_us, s->news_us + NEWS_US);
}

static void count_news(struct bfd_session *s, uint64_t now_us)
{
	if (now_us >= s->news_us + NEWS_US) {
		s->news_us = now_us;
		s->news_sent = 0;
	}
	s->news_sent++;
}

/* Is a packet due, or nearly?  One that would be soon goes out in the same turn as others, no
 * sooner than jitter may have it: many sessions then cost few wake-ups. */
static bool is_due(const struct bfd_session *s, uint64_t now_us)
{
	uint64_t interval_us = transmit_us(s), periodic = periodic_us(s);

	if (news_due_us(s) <= now_us || periodic <= now_us)
		return true;
	return s->repeats == 0 && periodic - now_us <= interval_us / EARLY_PART &&
	       now_us - s->sent_us >= interval_us / 4 * 3;
}

static uint64_t expiry_us(const struct bfd_session *s)
{
	return is_alive(s) ? s->heard_us + detect_us(s) : TIME_NEVER;
}

static void plan(struct bfd *b, struct bfd_session *s, uint64_t now_us)
{
	uint64_t due = expiry_us(s);

	if (may_send(b, s)) {
		due = time_min(due, time_min(news_due_us(s), periodic_us(s)));
		if (s->final_due)
			due = time_min(due, now_us);
	}
	deadline_set(&b->due, &s->due, due);
}

/* -- what others see -- */

static void look(const struct bfd_session *s, struct face *ret_f)
{
	ret_f->state = s->state;
	ret_f->remote_state = s->remote_state;
	ret_f->diag = s->diag;
	ret_f->remote_diag = s->remote_diag;
	ret_f->since_us = s->since_us;
	ret_f->remote_down_us = s->remote_down_us;
	ret_f->transmit_us = transmit_us(s);
	ret_f->detect_us = detect_us(s);
	ret_f->remote_discr = s->remote_discr;
	ret_f->heard = s->heard;
}

static bool same_face(const struct face *a, const struct face *b)
{
	return a->state == b->state && a->remote_state == b->remote_state && a->diag == b->diag &&
	       a->remote_diag == b->remote_diag && a->since_us == b->since_us &&
	       a->remote_down_us == b->remote_down_us && a->transmit_us == b->transmit_us &&
	       a->detect_us == b->detect_us && a->remote_discr == b->remote_discr &&
	       a->heard == b->heard;
}

static void tell(struct bfd_session *s)
{
	struct face f;

	look(s, &f);
	if (same_face(&f, &s->shown))
		return;
	s->shown = f;
	if (s->user->changed != NULL)
		s->user->changed(s->ctx, s);
}

/* -- loss -- */

/* The buckets are those of at_us. */
static void turn_buckets(struct bfd_session *s, uint64_t at_us)
{
	uint64_t at = at_us / LOSS_BUCKET_US;

	if (at <= s->bucket_at)
		return;
	s->loss[1] = at == s->bucket_at + 1 ? s->loss[0] : (struct bucket){0};
	s->loss[0] = (struct bucket){0};
	s->bucket_at = at;
}

/* n that should have come did not; after some 4 x LATELY nothing is left of what was before. */
static void weigh_lost(struct bfd_session *s, uint64_t n)
{
	for (uint64_t i = 0; i < n && i < UINT64_C(4) * LATELY; i++)
		s->lately += (1.0 - s->lately) / LATELY;
}

/* A packet came: how many did not, since the one before?  Jitter leaves 7/8 of the interval between
 * two, on average. */
static void count_loss(struct bfd_session *s, uint64_t at_us)
{
	uint64_t mean_us = receive_us(s) * 7 / 8, gap_us = 0, lost = 0;

	turn_buckets(s, at_us);
	if (is_alive(s) && at_us > s->heard_us)
		gap_us = at_us - s->heard_us;
	if (mean_us > 0 && gap_us > mean_us)
		lost = (gap_us + mean_us / 2) / mean_us - 1;
	s->loss[0].received++;
	s->loss[0].lost += (uint32_t)lost;
	weigh_lost(s, lost);
	s->lately -= s->lately / LATELY;
}

static double loss_at(const struct bfd_session *s, uint64_t now_us)
{
	uint64_t age = now_us / LOSS_BUCKET_US - s->bucket_at;
	uint64_t received = 0, lost = 0;

	for (unsigned i = 0; i + age < 2; i++) {
		received += s->loss[i].received;
		lost += s->loss[i].lost;
	}
	return lost == 0 ? 0 : (double)lost / (double)(received + lost);
}

/* -- the state machine -- */

static void enter(struct bfd_session *s, enum bfd_state to, enum bfd_diag diag, uint64_t at_us)
{
	s->state = to;
	s->diag = diag;
	s->since_us = at_us;
	s->urgent_us = at_us;
	s->repeats = 0;
	set_timers(s);
}

/* 6.8.6, from "If received state is AdminDown" on. */
static void step(struct bfd_session *s, enum bfd_state said, uint64_t at_us)
{
	switch (s->state) {
	case BFD_ADMIN_DOWN:
		break;
	case BFD_DOWN:
		if (said == BFD_DOWN)
			enter(s, BFD_INIT, BFD_DIAG_NONE, at_us);
		else if (said == BFD_INIT)
			enter(s, BFD_UP, BFD_DIAG_NONE, at_us);
		break;
	case BFD_INIT:
		if (said == BFD_INIT || said == BFD_UP)
			enter(s, BFD_UP, BFD_DIAG_NONE, at_us);
		else if (said == BFD_ADMIN_DOWN)
			enter(s, BFD_DOWN, BFD_DIAG_NEIGHBOR_DOWN, at_us);
		break;
	case BFD_UP:
		if (said == BFD_DOWN || said == BFD_ADMIN_DOWN)
			enter(s, BFD_DOWN, BFD_DIAG_NEIGHBOR_DOWN, at_us);
		break;
	}
}

/* The detection time without a packet is over (6.8.4; 6.8.1 RemoteDiscr). */
static void expire(struct bfd_session *s, uint64_t now_us)
{
	turn_buckets(s, now_us);
	s->loss[0].lost += s->remote_multiplier;
	weigh_lost(s, s->remote_multiplier);
	s->remote_discr = 0;
	s->remote_rx_us = 1;
	s->remote_demand = false;
	s->remote_down_us = TIME_NEVER;
	if (s->remote_state != BFD_ADMIN_DOWN)
		s->remote_state = BFD_DOWN;
	if (s->state == BFD_INIT || s->state == BFD_UP)
		enter(s, BFD_DOWN, BFD_DIAG_DETECTION_TIME, now_us);
}

/* -- reception -- */

static bool has_path(const void *elt, const void *key, size_t len)
{
	(void)len;
	return bfd_path_eq(&((const struct bfd_session *)elt)->path, key);
}

static struct bfd_session *by_path(const struct bfd *b, const struct bfd_path *p)
{
	return table_find(&b->sessions, bfd_path_hash(&b->hkey, p), has_path, p, sizeof *p);
}

static struct bfd_session *by_discr(const struct bfd *b, uint32_t discr)
{
	uint32_t slot = discr & (BFD_MAX_SESSIONS - 1);
	struct bfd_session *s = slot < b->n_slots ? b->slots[slot] : NULL;

	return s != NULL && s->local_discr == discr ? s : NULL;
}

/* Whose it is (6.3).  Stricter than the RFC where it names a session: it must have come by the
 * session's link from the session's peer, since a session stands for that link. */
static struct bfd_session *find(const struct bfd *b, const struct bfd_packet *p,
	const struct message *m, enum counter_id *ret_why)
{
	const struct bfd_path path = {p->multihop ? 0 : p->ifindex, p->to, p->from};
	struct bfd_session *s;

	*ret_why = COUNTER_BFD_DROP_SESSION;
	if (m->your_discr == 0)
		return by_path(b, &path);
	s = by_discr(b, m->your_discr);
	if (s == NULL)
		return NULL;
	*ret_why = COUNTER_BFD_DROP_PATH;
	return s->path.ifindex == path.ifindex && addr_eq(s->path.remote, p->from) ? s : NULL;
}

/* 6.7.4: is it in the window?  A peer unheard for twice the detection time may have begun anew. */
static bool is_seq_accepted(const struct bfd_session *s, uint32_t seq, uint64_t at_us)
{
	uint64_t silent_us = at_us > s->auth_us ? at_us - s->auth_us : 0;

	if (!s->auth_known || silent_us >= 2 * detect_us(s))
		return true;
	return seq - s->auth_seq <=
	       SEQ_WINDOW * (uint64_t)s->remote_multiplier + silent_us / SECOND_US;
}

static bool is_signed(const struct bfd *b, const uint8_t packet[BFD_PACKET_MAX], uint8_t key_id,
	enum counter_id *ret_why)
{
	uint8_t want[DIGEST_LEN];

	*ret_why = COUNTER_BFD_DROP_KEY;
	for (size_t i = 0; i < b->n_keys; i++) {
		if (b->keys[i].id != key_id)
			continue;
		digest(packet, &b->keys[i], want);
		if (same_digest(want, packet + DIGEST_AT))
			return true;
		*ret_why = COUNTER_BFD_DROP_DIGEST;
	}
	return false;
}

/* Of m, which is from the packet, seq is set. */
static bool is_authentic(const struct bfd *b, const struct bfd_session *s,
	const struct bfd_packet *p, struct message *m, enum counter_id *ret_why)
{
	struct rd r = rd_init(p->data, m->length);
	uint8_t type, len, key_id;

	rd_skip(&r, HEADER_LEN);
	type = rd_u8(&r);
	len = rd_u8(&r);
	key_id = rd_u8(&r);
	rd_skip(&r, 1);
	m->seq = rd_be32(&r);
	rd_skip(&r, DIGEST_LEN);
	*ret_why = COUNTER_BFD_DROP_AUTH_TYPE;
	if (!rd_done(&r) || type != AUTH_KEYED_SHA1 || len != AUTH_LEN)
		return false;
	*ret_why = COUNTER_BFD_DROP_SEQUENCE;
	return is_seq_accepted(s, m->seq, p->at_us) && is_signed(b, p->data, key_id, ret_why);
}

static bool is_acceptable(const struct bfd *b, const struct bfd_session *s,
	const struct bfd_packet *p, struct message *m, enum counter_id *ret_why)
{
	*ret_why = COUNTER_BFD_DROP_TTL;
	if (p->ttl < s->conf.minimum_ttl)
		return false;
	*ret_why = COUNTER_BFD_DROP_AUTH;
	if (m->auth != s->conf.keyed)
		return false;
	return !m->auth || is_authentic(b, s, p, m, ret_why);
}

/* Random but for the slot, and not 0. */
static uint32_t draw_discr(struct bfd *b, uint32_t slot)
{
	uint32_t n = (1U << (32 - SLOT_BITS)) - 1;

	return (1 + (uint32_t)rng_below(b->rng, n)) << SLOT_BITS | slot;
}

/* Our own packet that somebody sent back, or a peer that drew our number: while the session is Down
 * we take another, so that the two can be told apart. */
static bool is_reflected(
	struct bfd *b, struct bfd_session *s, const struct message *m, enum counter_id *ret_why)
{
	if (m->my_discr != s->local_discr)
		return false;
	*ret_why = COUNTER_BFD_DROP_DISCRIMINATOR;
	if (s->state == BFD_DOWN)
		s->local_discr = draw_discr(b, s->local_discr & (BFD_MAX_SESSIONS - 1));
	return true;
}

/* Does it say that it does not hear us? */
static bool is_deaf(const struct message *m)
{
	return m->state == BFD_DOWN || (m->your_discr == 0 && m->state != BFD_ADMIN_DOWN);
}

static void take_in(struct bfd_session *s, const struct message *m, uint64_t at_us)
{
	count_loss(s, at_us);
	s->received++;
	if (m->auth) {
		s->auth_known = true;
		s->auth_seq = m->seq;
		s->auth_us = time_max(s->auth_us, at_us);
	}
	s->heard = true;
	s->heard_us = time_max(s->heard_us, at_us);
	s->packet_us = time_max(s->packet_us, at_us);
	s->remote_discr = m->my_discr;
	s->remote_state = m->state;
	s->remote_diag = m->diag;
	s->remote_demand = m->demand;
	s->remote_rx_us = m->required_rx_us;
	s->remote_tx_us = m->desired_tx_us;
	s->remote_multiplier = m->multiplier;
	if (!is_deaf(m))
		s->remote_down_us = TIME_NEVER;
	else if (s->remote_down_us == TIME_NEVER)
		s->remote_down_us = at_us;
	if (m->final && s->polling)
		end_poll(s);
	if (m->poll && s->state != BFD_ADMIN_DOWN)
		s->final_due = true;
	step(s, m->state, at_us);
}

void bfd_on_packet(struct bfd *b, const struct bfd_packet *p)
{
	enum counter_id why;
	struct bfd_session *s;
	struct message m;

	if (!decode(p->data, p->len, &m, &why) || (s = find(b, p, &m, &why)) == NULL ||
		!is_acceptable(b, s, p, &m, &why) || is_reflected(b, s, &m, &why)) {
		counter_inc(b->counters, why);
		return;
	}
	counter_inc(b->counters, COUNTER_BFD_RECEIVED);
	take_in(s, &m, p->at_us);
	plan(b, s, p->at_us);
	tell(s);
}

/* -- transmission -- */

static void emit(struct bfd *b, struct bfd_session *s, uint8_t flags, uint64_t now_us)
{
	uint8_t packet[BFD_PACKET_MAX];
	size_t len = encode(b, s, flags, now_us, packet);

	if (b->ops->send(b->ctx, &s->path, packet, len) != 0) {
		counter_inc(b->counters, COUNTER_BFD_SEND_ERRORS);
		return;
	}
	counter_inc(b->counters, COUNTER_BFD_SENT);
	s->sent++;
}

/* A Final goes out whatever the timer says, and does not move it (6.8.7).  It says what is new,
 * too; the Poll that may go with that comes with the next packet, so that one packet never has two
 * answers. */
static void transmit(struct bfd *b, struct bfd_session *s, uint64_t now_us)
{
	if (!may_send(b, s))
		return;
	if (s->final_due) {
		emit(b, s, FLAG_FINAL, now_us);
		s->final_due = false;
		s->urgent_us = TIME_NEVER;
	}
	if (!is_due(s, now_us))
		return;
	emit(b, s, s->polling ? FLAG_POLL : 0, now_us);
	if (s->urgent_us != TIME_NEVER)
		count_news(s, now_us);
	else if (s->repeats > 0)
		s->repeats--;
	s->urgent_us = TIME_NEVER;
	s->sent_us = now_us;
	draw_jitter(b, s);
}

uint64_t bfd_next_deadline_us(const struct bfd *b)
{
	const struct deadline *d = deadline_first(&b->due);

	return d != NULL ? d->due : TIME_NEVER;
}

/* The first session of the heap, if there is something to do for it. */
static struct bfd_session *next_due(const struct bfd *b, uint64_t now_us)
{
	struct deadline *d = deadline_first(&b->due);
	struct bfd_session *s;

	if (d == NULL)
		return NULL;
	s = CONTAINER_OF(d, struct bfd_session, due);
	return d->due <= now_us || (may_send(b, s) && is_due(s, now_us)) ? s : NULL;
}

void bfd_tick(struct bfd *b, uint64_t now_us)
{
	struct bfd_session *s;

	while ((s = next_due(b, now_us)) != NULL) {
		if (expiry_us(s) <= now_us) {
			counter_add(b->counters, COUNTER_BFD_DETECTED, s->state == BFD_UP);
			expire(s, now_us);
		}
		transmit(b, s, now_us);
		plan(b, s, now_us);
		tell(s);
	}
}

void bfd_stalled(struct bfd *b, uint64_t stall_us, uint64_t now_us)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct bfd_session *s = b->slots[i];

		if (s == NULL || !is_alive(s) || s->heard_us >= now_us)
			continue;
		s->heard_us += time_min(stall_us, now_us - s->heard_us);
		plan(b, s, now_us);
	}
}

/* -- sessions -- */

static bool same_conf(const struct bfd_conf *a, const struct bfd_conf *b)
{
	return a->transmit_us == b->transmit_us && a->receive_us == b->receive_us &&
	       a->multiplier == b->multiplier && a->passive == b->passive && a->keyed == b->keyed &&
	       a->minimum_ttl == b->minimum_ttl;
}

static bool is_valid(const struct bfd_conf *c)
{
	return c->transmit_us > 0 && c->receive_us > 0 && c->multiplier > 0 &&
	       c->multiplier <= UINT8_MAX && c->minimum_ttl <= UINT8_MAX;
}

/* A free slot.  0, -ENOMEM, -E2BIG. */
static int find_slot(struct bfd *b, uint32_t *ret_slot)
{
	uint32_t cap = b->n_slots > 0 ? 2 * b->n_slots : 8;
	struct bfd_session **slots;

	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->slots[i] == NULL) {
			*ret_slot = i;
			return 0;
		}
	if (b->n_slots == BFD_MAX_SESSIONS)
		return -E2BIG;
	slots = realloc(b->slots, cap * sizeof(struct bfd_session *));
	if (slots == NULL)
		return -ENOMEM;
	memset(slots + b->n_slots, 0, (cap - b->n_slots) * sizeof(struct bfd_session *));
	b->slots = slots;
	*ret_slot = b->n_slots;
	b->n_slots = cap;
	return 0;
}

static struct bfd_session *new_session(const struct bfd_path *path, const struct bfd_conf *conf,
	const struct bfd_user *user, void *ctx, uint64_t now_us)
{
	struct bfd_session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->path = *path;
	s->conf = *conf;
	s->user = user;
	s->ctx = ctx;
	s->remote_state = BFD_DOWN;
	s->remote_rx_us = 1; /* 6.8.1 */
	s->remote_down_us = TIME_NEVER;
	s->sent_us = now_us;
	enter(s, BFD_DOWN, BFD_DIAG_NONE, now_us);
	s->polling = false; /* nobody heard other timers */
	return s;
}

int bfd_add(struct bfd *b, const struct bfd_path *path, const struct bfd_conf *conf,
	const struct bfd_user *user, void *ctx, uint64_t now_us, struct bfd_session **ret_s)
{
	struct bfd_session *s;
	uint32_t slot;
	int rc;

	if (!is_valid(conf) || addr_family(path->local) != addr_family(path->remote))
		return -EINVAL;
	if (by_path(b, path) != NULL)
		return -EEXIST;
	rc = find_slot(b, &slot);
	if (rc != 0)
		return rc;
	s = new_session(path, conf, user, ctx, now_us);
	if (s == NULL)
		return -ENOMEM;
	s->hash = bfd_path_hash(&b->hkey, path);
	s->local_discr = draw_discr(b, slot);
	draw_jitter(b, s);
	look(s, &s->shown);
	s->due.due = now_us;
	if (table_add(&b->sessions, s) != 0) {
		free(s);
		return -ENOMEM;
	}
	if (deadline_add(&b->due, &s->due) != 0) {
		table_remove(&b->sessions, s);
		free(s);
		return -ENOMEM;
	}
	b->slots[slot] = s;
	plan(b, s, now_us);
	*ret_s = s;
	return 0;
}

void bfd_del(struct bfd *b, struct bfd_session *s)
{
	b->slots[s->local_discr & (BFD_MAX_SESSIONS - 1)] = NULL;
	table_remove(&b->sessions, s);
	deadline_remove(&b->due, &s->due);
	if (b->ops->gone != NULL)
		b->ops->gone(b->ctx, &s->path);
	free(s);
}

void bfd_set_conf(
	struct bfd *b, struct bfd_session *s, const struct bfd_conf *conf, uint64_t now_us)
{
	REQUIRE(is_valid(conf));
	if (same_conf(&s->conf, conf))
		return;
	s->conf = *conf;
	set_timers(s);
	s->urgent_us = time_min(s->urgent_us, now_us);
	plan(b, s, now_us);
	tell(s);
}

void bfd_set_admin_down(struct bfd *b, struct bfd_session *s, bool down, uint64_t now_us)
{
	if (down == (s->state == BFD_ADMIN_DOWN))
		return;
	enter(s, down ? BFD_ADMIN_DOWN : BFD_DOWN, down ? BFD_DIAG_ADMIN_DOWN : BFD_DIAG_NONE,
		now_us);
	s->repeats = down ? LEAVING_REPEATS : 0;
	plan(b, s, now_us);
	tell(s);
}

void bfd_set_keys(struct bfd *b, const struct bfd_key *v, size_t n)
{
	REQUIRE(n <= BFD_MAX_KEYS);
	mbedtls_platform_zeroize(b->keys, sizeof b->keys);
	for (size_t i = 0; i < n; i++) {
		REQUIRE(v[i].len <= BFD_KEY_MAX);
		b->keys[i] = v[i];
	}
	b->n_keys = n;
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->slots[i] != NULL)
			plan(b, b->slots[i], b->slots[i]->sent_us);
}

struct bfd *bfd_new(const struct bfd_ops *ops, void *ctx, const struct hash_key *hkey,
	struct rng *rng, struct counters *counters)
{
	struct bfd *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->ops = ops;
	b->ctx = ctx;
	b->hkey = *hkey;
	b->rng = rng;
	b->counters = counters;
	return b;
}

void bfd_free(struct bfd *b)
{
	if (b == NULL)
		return;
	mbedtls_platform_zeroize(b->keys, sizeof b->keys);
	table_free_all(&b->sessions);
	free(b->due.v);
	free(b->slots);
	free(b);
}

/* -- reading -- */

void bfd_view(const struct bfd_session *s, uint64_t now_us, struct bfd_view *ret_v)
{
	*ret_v = (struct bfd_view){
		.path = s->path,
		.state = s->state,
		.remote_state = s->remote_state,
		.diag = s->diag,
		.remote_diag = s->remote_diag,
		.heard = s->heard,
		.heard_us = s->heard_us,
		.packet_us = s->packet_us,
		.since_us = s->since_us,
		.remote_down_us = s->remote_down_us,
		.transmit_us = (uint32_t)transmit_us(s),
		.detect_us = (uint32_t)time_min(detect_us(s), UINT32_MAX),
		.loss = loss_at(s, now_us),
		.loss_lately = s->lately,
		.local_discr = s->local_discr,
		.remote_discr = s->remote_discr,
		.sent = s->sent,
		.received = s->received,
	};
}

void *bfd_ctx(const struct bfd_session *s)
{
	return s->ctx;
}

const char *bfd_state_name(enum bfd_state s)
{
	static const char *const name[] = {"AdminDown", "Down", "Init", "Up"};

	return name[s];
}

const char *bfd_diag_text(enum bfd_diag d)
{
	static const char *const text[] = {
		"none",
		"detection time expired",
		"echo failed",
		"the neighbour said down",
		"forwarding plane reset",
		"path down",
		"concatenated path down",
		"administratively down",
		"reverse concatenated path down",
	};

	return d < ARRAY_LEN(text) ? text[d] : "unknown";
}
