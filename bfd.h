/* SPDX-License-Identifier: Apache-2.0
 *
 * bfd.h - Bidirectional Forwarding Detection (RFC 5880, 5881, 5883): asynchronous sessions between
 * nodes and, for BGP, with routers.  Pure: packets in, packets out by ops, now as an argument.
 *
 * Times are microseconds of CLOCK_BOOTTIME, RFC 5880's unit.
 */
#ifndef LBD_BFD_H
#define LBD_BFD_H

#include "addr.h"
#include "base.h"
#include "counter.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BFD_PACKET_MAX = 24 + 28, /* with keyed SHA1 */
	BFD_MAX_SESSIONS = 4096,
	BFD_KEY_MAX = 20, /* bytes of a SHA1 key (4.4) */
	BFD_MAX_KEYS = 2, /* while one replaces the other */
};

enum bfd_state { BFD_ADMIN_DOWN, BFD_DOWN, BFD_INIT, BFD_UP }; /* 4.1 */

enum bfd_diag {
	BFD_DIAG_NONE,
	BFD_DIAG_DETECTION_TIME,
	BFD_DIAG_ECHO_FAILED,
	BFD_DIAG_NEIGHBOR_DOWN,
	BFD_DIAG_FORWARDING_RESET,
	BFD_DIAG_PATH_DOWN,
	BFD_DIAG_CONCATENATED_PATH_DOWN,
	BFD_DIAG_ADMIN_DOWN,
	BFD_DIAG_REVERSE_PATH_DOWN,
};

/* Between which two addresses.  Single hop (5881): ifindex is the link.  Multihop (5883): 0. */
struct bfd_path {
	unsigned ifindex;
	struct addr local, remote;
};

struct bfd_conf {
	uint32_t transmit_us, receive_us; /* desired min TX, required min RX; not 0 */
	unsigned multiplier;              /* 1 to 255 */
	bool passive;                     /* sends nothing before the other was heard (6.1) */
	bool keyed;                       /* authenticated with the engine's keys; else without */
	unsigned minimum_ttl;             /* of what is received: 255 on one link (5881 5) */
};

struct bfd_key {
	uint8_t id;
	size_t len;
	uint8_t secret[BFD_KEY_MAX];
};

struct bfd;         /* opaque: the engine */
struct bfd_session; /* opaque */

struct bfd_ops {
	/* Sends one control packet: destination port, source port and TTL 255 are the shell's.  0
	 * or -errno: lost, the next one follows as always.  Must not call back. */
	int (*send)(void *ctx, const struct bfd_path *path, const uint8_t *packet, size_t len);
	/* bfd_del(): nothing more will be sent on the path.  May be NULL; must not call back. */
	void (*gone)(void *ctx, const struct bfd_path *path);
};

/* For tables by path. */
uint32_t bfd_path_hash(const struct hash_key *hkey, const struct bfd_path *p);
bool bfd_path_eq(const struct bfd_path *a, const struct bfd_path *b);

/* Whose session it is. */
struct bfd_user {
	/* Something of bfd_view() but its counts is new: to be looked at, nothing else.  May not
	 * call back.  Not called for packets that change nothing. */
	void (*changed)(void *ctx, struct bfd_session *s);
};

/* ops, ctx, rng (jitter, discriminators) and counters (may be NULL) are
 * borrowed.  NULL when out of memory. */
struct bfd *bfd_new(const struct bfd_ops *ops, void *ctx, const struct hash_key *hkey,
	struct rng *rng, struct counters *counters) MUST_CHECK;
void bfd_free(struct bfd *b); /* without a word on the wire */
/* Copied.  What is sent is signed with the first; either is accepted.  None: keyed sessions are
 * silent and hear nothing. */
void bfd_set_keys(struct bfd *b, const struct bfd_key *v, size_t n);

/* user is borrowed, as is what ctx points to.  0; -ENOMEM; -E2BIG; -EEXIST (the path has one);
 * -EINVAL.  It begins Down and sends its first packet at the next bfd_tick(). */
int bfd_add(struct bfd *b, const struct bfd_path *path, const struct bfd_conf *conf,
	const struct bfd_user *user, void *ctx, uint64_t now_us,
	struct bfd_session **ret_s) MUST_CHECK;
/* Without a word on the wire. */
void bfd_del(struct bfd *b, struct bfd_session *s);
/* New timers: by a Poll Sequence where the RFC wants one (6.8.3).  The same ones: nothing. */
void bfd_set_conf(
	struct bfd *b, struct bfd_session *s, const struct bfd_conf *conf, uint64_t now_us);
/* AdminDown: said at once and then as always, until it is taken back (6.8.16). */
void bfd_set_admin_down(struct bfd *b, struct bfd_session *s, bool down, uint64_t now_us);

/* A UDP payload as it was received. */
struct bfd_packet {
	const uint8_t *data;
	size_t len;
	unsigned ifindex; /* that it came by */
	struct addr from, to;
	unsigned ttl;
	bool multihop;  /* came to port 4784 */
	uint64_t at_us; /* the kernel's receive time stamp */
};
/* Takes it in, or counts why not.  Never keeps it. */
void bfd_on_packet(struct bfd *b, const struct bfd_packet *p);

/* The next time bfd_tick() has work; TIME_NEVER. */
uint64_t bfd_next_deadline_us(const struct bfd *b);
/* Sends what is due, and declares Down whose detection time is over.  To be called only after the
 * sockets were read empty: the verdict goes by the packets' own time stamps (OWNERSHIP R6). */
void bfd_tick(struct bfd *b, uint64_t now_us);
/* This process could not run for so long until now: nobody's silence in that time counts (R6). */
void bfd_stalled(struct bfd *b, uint64_t stall_us, uint64_t now_us);

/* -- reading -- */
struct bfd_view {
	struct bfd_path path;
	enum bfd_state state, remote_state;
	enum bfd_diag diag, remote_diag;
	bool heard;              /* a valid packet since bfd_add() */
	uint64_t heard_us;       /* the last one's time stamp, moved on by bfd_stalled() */
	uint64_t packet_us;      /* the same as it came: for who asks what was heard since */
	uint64_t since_us;       /* of state */
	uint64_t remote_down_us; /* since when it has said, without a break, that it does not hear
				    us; TIME_NEVER = it does not say so */
	uint32_t transmit_us, detect_us; /* as negotiated */
	double loss; /* of the last 10 s, 0 to 1: what came of what should have come */
	double loss_lately; /* the same of about the last eight packets: it begins */
	uint32_t local_discr, remote_discr;
	uint64_t sent, received;
};
void bfd_view(const struct bfd_session *s, uint64_t now_us, struct bfd_view *ret_v);
void *bfd_ctx(const struct bfd_session *s);
/* For logs: "Up", "Down", ...; the diagnostic in words. */
const char *bfd_state_name(enum bfd_state s);
const char *bfd_diag_text(enum bfd_diag d);

#endif
