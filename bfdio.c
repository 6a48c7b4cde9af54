/* SPDX-License-Identifier: Apache-2.0
 *
 * bfdio.c - the shell of BFD: UDP sockets, time stamps, a timer of microseconds, the key file.
 *
 * Owns: the engine; a listening socket for each port and family; a sending socket for each session;
 *       a timerfd.  Every uv handle is counted; the last close callback frees the whole.
 * In:   datagrams with their link, TTL and the kernel's receive time stamp -> bfd_on_packet(); the
 *       engine's deadline -> bfd_tick().
 * Out:  control packets (bfd_ops.send).
 * RFCs: 5881 4 (ports; a source port of its own for each session), 5 (TTL 255); 5883 5; 7419 asks
 *       for no less.  Sources: ip(7), ipv6(7), socket(7), timerfd_create(2).
 * Not done: VRFs (a listening socket outside them hears what comes in there only with
 *       net.ipv4.udp_l3mdev_accept).
 *
 * A wake-up, whatever for, goes the same way (turn()): look at the clock; read the sockets empty if
 * anything is due; tell the engine how long this process had not run; then let it judge and send.
 * So no session falls because of a packet that waited in a socket (OWNERSHIP R6, F11).
 *
 * The kernel stamps packets by the wall clock.  What that is ahead of CLOCK_BOOTTIME is looked at
 * in each turn; when it has changed since the turn before, the wall clock was set, and packets
 * count as received now.
 *
 * A timerfd and not a uv_timer: libuv counts in milliseconds, and its timers fire before its
 * sockets are read.
 */
#include "bfdio.h"

#include "addr.h"
#include "bfdkey.h"
#include "buf.h"
#include "file.h"
#include "log.h"
#include "sock.h"
#include "table.h"

#include <mbedtls/platform_util.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
	SOURCE_PORT_FIRST = 49152, /* RFC 5881 4 */
	SOURCE_PORTS = 65536 - SOURCE_PORT_FIRST,
	SOURCE_TRIES = 16,
	TTL = 255,
	RCVBUF = 1024 * 1024,
	BATCH = 32,
	DRAIN_MAX = 64, /* batches a turn: a flood must not starve the loop */
	DATAGRAM = 256, /* more than the length field can say */
	CONTROL = 128,
	OPEN_AGAIN_MS = 1000,
	STALL_US = 2000, /* to wake up later than this is a stall */
	STEP_US = 1000,  /* the wall clock was set by more than this */
	LOOK_US = 50,    /* both clocks are looked at within so long, or again */
	LOOKS = 4,
	KEY_FILE_MAX = 64 * 1024,
	KEY_FILE_FOR_OTHERS = 027, /* mode bits; the group may be lbd's own, and reads */
};

enum { LISTENERS = 2 * ADDR_FAMILIES }; /* one link, several hops */

/* An open listening socket.  It closes alone: bfdio may have opened another by then. */
struct listener {
	uv_poll_t poll;
	struct bfdio *io; /* borrowed */
	int fd;           /* owned */
	enum addr_family family;
	bool multihop;
};

/* A session's own socket, connected to its peer. */
struct sender {
	uint32_t hash; /* of path */
	struct bfd_path path;
	int fd;          /* owned; -1 = to be opened when there is something to send */
	bool complained; /* that it cannot be opened */
};

struct bfdio {
	uv_loop_t *loop;             /* borrowed */
	const struct bfdio_ops *ops; /* borrowed */
	void *ctx;                   /* borrowed */
	struct rng *rng;             /* borrowed */
	struct counters *counters;   /* borrowed, may be NULL */
	struct hash_key hkey;
	struct bfdio_conf conf;
	unsigned handles; /* open or closing */
	bool closing;

	struct bfd *engine;                   /* owned */
	struct listener *listener[LISTENERS]; /* owned; NULL = not open */
	bool complained[LISTENERS];
	struct table senders; /* of struct sender, owned */

	int timer_fd; /* owned */
	uv_poll_t timer;
	uv_prepare_t prepare;
	uv_timer_t open_timer;
	uint64_t armed_us; /* when timer_fd will fire; TIME_NEVER = not */
	uint64_t due_us;   /* the same, or when it was armed for a time that was over: a session that
			      had no key is overdue when it gets one, and nobody is late */

	uint64_t now_us;   /* of this turn */
	int64_t offset_us; /* CLOCK_BOOTTIME less CLOCK_REALTIME */
	bool stepped;      /* the wall clock was set since the last turn */

	char *key_path; /* owned; NULL = no keys */
	bool warned;    /* that there are none */
	struct file_watch *key_watch;
};

/* -- clocks -- */

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;

	REQUIRE(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t bfdio_now_us(void)
{
	return (uint64_t)clock_us(CLOCK_BOOTTIME);
}

/* Looks at both clocks, one right after the other: not if this process was put aside in between. */
static void look_at_clocks(struct bfdio *io)
{
	int64_t before, real, after, offset;
	unsigned looks = 0;

	do {
		before = clock_us(CLOCK_BOOTTIME);
		real = clock_us(CLOCK_REALTIME);
		after = clock_us(CLOCK_BOOTTIME);
	} while (after - before > LOOK_US && ++looks < LOOKS);
	offset = after - real;
	io->stepped = offset - io->offset_us > STEP_US || io->offset_us - offset > STEP_US;
	io->offset_us = offset;
	io->now_us = (uint64_t)after;
}

/* -- sending -- */

static int open_socket(enum addr_family f)
{
	int fd = socket(f == ADDR_V4 ? AF_INET : AF_INET6,
		SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);

	return fd < 0 ? -errno : fd;
}

static int set_up_sender(int fd, const struct bfd_path *p)
{
	bool v4 = addr_family(p->local) == ADDR_V4;
	int rc = v4 ? sock_set_int(fd, IPPROTO_IP, IP_TTL, TTL)
		    : sock_set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, TTL);

	if (rc == 0 && p->ifindex != 0)
		rc = sock_set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)p->ifindex);
	/* Of use, but not needed: priority over other traffic, and no memory for what comes in. */
	(void)(v4 ? sock_set_int(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6)
		  : sock_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, IPTOS_CLASS_CS6));
	(void)sock_set_int(fd, SOL_SOCKET, SO_RCVBUF, 0);
	return rc;
}

static int bind_sender(struct bfdio *io, int fd, const struct bfd_path *p)
{
	struct sockaddr_storage at;
	int rc = -EADDRINUSE;

	for (unsigned i = 0; i < SOURCE_TRIES && rc == -EADDRINUSE; i++) {
		unsigned port = SOURCE_PORT_FIRST + (unsigned)rng_below(io->rng, SOURCE_PORTS);
		socklen_t len = sock_from_address(p->local, port, p->ifindex, &at);

		rc = bind(fd, (const struct sockaddr *)&at, len) == 0 ? 0 : -errno;
	}
	return rc;
}

/* The socket, or -errno. */
static int connect_sender(struct bfdio *io, const struct bfd_path *p)
{
	unsigned port = p->ifindex != 0 ? io->conf.port : BFDIO_PORT_MULTIHOP;
	struct sockaddr_storage to;
	socklen_t len = sock_from_address(p->remote, port, p->ifindex, &to);
	int fd = open_socket(addr_family(p->local)), rc;

	if (fd < 0)
		return fd;
	rc = set_up_sender(fd, p);
	if (rc == 0)
		rc = bind_sender(io, fd, p);
	if (rc == 0 && connect(fd, (const struct sockaddr *)&to, len) != 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

static void open_sender(struct bfdio *io, struct sender *s)
{
	char peer[ADDR_STRLEN], iface[IF_NAMESIZE] = "";

	s->fd = connect_sender(io, &s->path);
	if (s->fd >= 0 && !s->complained)
		return;
	(void)if_indextoname(s->path.ifindex, iface);
	addr_format(s->path.remote, peer);
	if (s->fd >= 0) {
		log_info("bfd", "sending works again", "peer", peer, "iface", iface, NULL);
		s->complained = false;
		return;
	}
	counter_inc(io->counters, COUNTER_BFD_SOCKET_ERRORS);
	if (!s->complained)
		log_warn("bfd", "cannot open a socket to send by; trying again with each packet",
			"peer", peer, "iface", iface, "err", strerror(-s->fd), NULL);
	s->complained = true;
}

static bool has_path(const void *elt, const void *key, size_t len)
{
	(void)len;
	return bfd_path_eq(&((const struct sender *)elt)->path, key);
}

static struct sender *find_sender(const struct bfdio *io, const struct bfd_path *path)
{
	return table_find(
		&io->senders, bfd_path_hash(&io->hkey, path), has_path, path, sizeof *path);
}

static struct sender *add_sender(struct bfdio *io, const struct bfd_path *path)
{
	struct sender *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->hash = bfd_path_hash(&io->hkey, path);
	s->path = *path;
	s->fd = -1;
	if (table_add(&io->senders, s) != 0) {
		free(s);
		return NULL;
	}
	if (io->key_path == NULL && !io->warned) {
		log_warn("bfd",
			"no key: who can send on a link can feign that a node lives or has left "
			"(elections.bfd.keyFile)",
			NULL);
		io->warned = true;
	}
	return s;
}

static void close_sender(struct sender *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

/* An error that the network sent back for an earlier packet (nobody listens there) is read by the
 * first try. */
static int send_once(const struct sender *s, const uint8_t *packet, size_t len)
{
	for (unsigned i = 0; i < 2; i++) {
		if (send(s->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != EINTR)
			break;
	}
	return -errno;
}

static int on_send(void *ctx, const struct bfd_path *path, const uint8_t *packet, size_t len)
{
	struct bfdio *io = ctx;
	struct sender *s = find_sender(io, path);
	int rc;

	if (s == NULL)
		s = add_sender(io, path);
	if (s == NULL)
		return -ENOMEM;
	if (s->fd < 0)
		open_sender(io, s);
	if (s->fd < 0)
		return s->fd;
	rc = send_once(s, packet, len);
	/* Full queues pass; anything else may be a link or an address that went and came back. */
	if (rc != 0 && rc != -EAGAIN && rc != -ENOBUFS && rc != -ECONNREFUSED)
		close_sender(s);
	return rc;
}

static void on_gone(void *ctx, const struct bfd_path *path)
{
	struct bfdio *io = ctx;
	struct sender *s = find_sender(io, path);

	if (s == NULL)
		return;
	table_remove(&io->senders, s);
	close_sender(s);
	free(s);
}

static const struct bfd_ops engine_ops = {.send = on_send, .gone = on_gone};

/* -- receiving -- */

struct inbox {
	struct mmsghdr v[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	uint8_t data[BATCH][DATAGRAM];
	uint64_t control[BATCH][CONTROL / sizeof(uint64_t)];
};

/* What was read in one turn. */
struct reading {
	uint64_t oldest_us; /* time stamp */
	uint64_t until_us;  /* before it, all that came was read */
};

/* The kernel's time stamp on our clock; now if that cannot be told. */
static uint64_t stamp_us(const struct bfdio *io, const struct cmsghdr *c)
{
	struct timespec ts;
	int64_t at;

	memcpy(&ts, CMSG_DATA(c), sizeof ts);
	at = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + io->offset_us;
	if (io->stepped || at < 0 || (uint64_t)at > io->now_us)
		return io->now_us;
	return (uint64_t)at;
}

static bool is_ttl(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT);
}

static void read_control(const struct bfdio *io, const struct cmsghdr *c, struct bfd_packet *p)
{
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
		p->at_us = stamp_us(io, c);
	} else if (is_ttl(c)) {
		p->ttl = sock_control_int(c);
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&v4, CMSG_DATA(c), sizeof v4);
		p->ifindex = (unsigned)v4.ipi_ifindex;
		p->to = addr_from_v4((const uint8_t *)&v4.ipi_addr);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&v6, CMSG_DATA(c), sizeof v6);
		p->ifindex = v6.ipi6_ifindex;
		p->to = addr_from_v6(v6.ipi6_addr.s6_addr);
	}
}

static void take_in(struct listener *l, struct inbox *in, unsigned i, struct reading *r)
{
	struct msghdr *h = &in->v[i].msg_hdr;
	struct bfd_packet p = {.data = in->data[i],
		.len = in->v[i].msg_len,
		.from = sock_address(&in->from[i]),
		.multihop = l->multihop,
		.at_us = l->io->now_us};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = sock_next_control(h, c))
		read_control(l->io, c, &p);
	r->oldest_us = time_min(r->oldest_us, p.at_us);
	r->until_us = p.at_us;
	bfd_on_packet(l->io->engine, &p);
}

static void prepare_inbox(struct inbox *in)
{
	for (unsigned i = 0; i < BATCH; i++) {
		in->iov[i] = (struct iovec){.iov_base = in->data[i], .iov_len = DATAGRAM};
		in->v[i].msg_hdr = (struct msghdr){.msg_name = &in->from[i],
			.msg_namelen = sizeof in->from[i],
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
			.msg_control = in->control[i],
			.msg_controllen = sizeof in->control[i]};
	}
}

/* Empty, as a rule; else verdicts are given up to the last packet that was read. */
static void drain(struct listener *l, struct reading *r)
{
	struct reading mine = {r->oldest_us, r->until_us};
	struct inbox in;
	int n = BATCH;

	for (unsigned turn = 0; turn < DRAIN_MAX && n == BATCH; turn++) {
		prepare_inbox(&in);
		n = recvmmsg(l->fd, in.v, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take_in(l, &in, (unsigned)i, &mine);
	}
	r->oldest_us = mine.oldest_us;
	if (n == BATCH)
		r->until_us = time_min(r->until_us, mine.until_us);
}

/* -- turns -- */

static void arm(struct bfdio *io)
{
	uint64_t due = bfd_next_deadline_us(io->engine);
	struct itimerspec t;

	if (due == io->armed_us)
		return;
	memset(&t, 0, sizeof t);
	io->armed_us = due;
	io->due_us = time_max(due, bfdio_now_us());
	if (due != TIME_NEVER) {
		t.it_value.tv_sec = (time_t)(due / 1000000);
		t.it_value.tv_nsec = (long)(due % 1000000) * 1000 + 1; /* 0 would disarm it */
	}
	/* Setting it anew also takes back that it fired. */
	REQUIRE(timerfd_settime(io->timer_fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
}

/* How long before this turn there was something to do. */
static uint64_t late_us(const struct bfdio *io, const struct reading *r)
{
	uint64_t since = time_min(io->due_us, r->oldest_us);

	return since < io->now_us ? io->now_us - since : 0;
}

/* only is the socket that has something, NULL when it may be any. */
static void turn(struct bfdio *io, struct listener *only)
{
	struct reading r = {.oldest_us = TIME_NEVER};
	uint64_t late;

	look_at_clocks(io);
	r.until_us = io->now_us;
	if (bfd_next_deadline_us(io->engine) <= io->now_us)
		only = NULL;
	for (unsigned i = 0; i < LISTENERS; i++)
		if (io->listener[i] != NULL && (only == NULL || io->listener[i] == only))
			drain(io->listener[i], &r);
	late = late_us(io, &r);
	if (late >= STALL_US) {
		bfd_stalled(io->engine, late, io->now_us);
		if (io->ops->on_stall != NULL)
			io->ops->on_stall(io->ctx, late);
	}
	bfd_tick(io->engine, r.until_us);
	arm(io);
}

uint64_t bfdio_late_us(const struct bfdio *io)
{
	uint64_t now_us = bfdio_now_us();

	return io->due_us < now_us ? now_us - io->due_us : 0;
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
	struct bfdio *io = poll->data;

	(void)status;
	(void)events;
	turn(io, NULL);
}

/* What was asked of the engine in this turn of the loop, by whom ever, is not slept over. */
static void on_prepare(uv_prepare_t *prepare)
{
	arm(prepare->data);
}

/* -- listening -- */

static void unref(struct bfdio *io)
{
	const struct bfdio_ops *ops = io->ops;
	void *ctx = io->ctx;

	if (--io->handles > 0)
		return;
	free(io);
	ops->on_closed(ctx);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	struct bfdio *io = l->io;

	free(l);
	unref(io);
}

static void close_listener(struct bfdio *io, unsigned i)
{
	struct listener *l = io->listener[i];

	if (l == NULL)
		return;
	io->listener[i] = NULL;
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
	(void)close(l->fd);
}

static int bind_listener(int fd, enum addr_family f, unsigned port)
{
	struct sockaddr_storage at;
	socklen_t len = sock_from_address(
		f == ADDR_V4 ? (struct addr){0, (uint64_t)ADDR_V4_TAG << 32} : (struct addr){0},
		port, 0, &at);
	int rc;

	if (f == ADDR_V4) {
		rc = sock_set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
		rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IP, IP_RECVTTL, 1);
	} else {
		rc = sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
		rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	}
	rc = rc != 0 ? rc : sock_set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	/* Past rmem_max only with CAP_NET_ADMIN. */
	if (sock_set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF) != 0)
		(void)sock_set_int(fd, SOL_SOCKET, SO_RCVBUF, RCVBUF);
	if (rc == 0 && bind(fd, (const struct sockaddr *)&at, len) != 0)
		rc = -errno;
	return rc;
}

static void open_later(struct bfdio *io);

static void on_datagram(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	struct bfdio *io = l->io;

	(void)events;
	if (status >= 0) {
		turn(io, l);
		return;
	}
	for (unsigned i = 0; i < LISTENERS; i++)
		if (io->listener[i] == l)
			close_listener(io, i);
	open_later(io);
}

static int watch(struct bfdio *io, struct listener *l)
{
	int rc = uv_poll_init(io->loop, &l->poll, l->fd);

	if (rc != 0)
		return rc;
	l->poll.data = l;
	io->handles++;
	(void)uv_poll_start(&l->poll, UV_READABLE, on_datagram);
	return 0;
}

static int open_listener(struct bfdio *io, unsigned i, unsigned port)
{
	struct listener *l = calloc(1, sizeof *l);
	int rc = -ENOMEM;

	if (l == NULL)
		return rc;
	l->io = io;
	l->family = i % ADDR_FAMILIES == 0 ? ADDR_V4 : ADDR_V6;
	l->multihop = i >= ADDR_FAMILIES;
	l->fd = rc = open_socket(l->family);
	if (rc >= 0)
		rc = bind_listener(l->fd, l->family, port);
	if (rc == 0)
		rc = watch(io, l);
	if (rc == 0) {
		io->listener[i] = l;
		return 0;
	}
	if (l->fd >= 0)
		(void)close(l->fd);
	free(l);
	return rc;
}

static void complain(struct bfdio *io, unsigned i, unsigned port, int rc)
{
	const char *family = i % ADDR_FAMILIES == 0 ? "IPv4" : "IPv6";
	char number[24];

	log_number(port, number);
	if (rc == 0) {
		if (io->complained[i])
			log_info("bfd", "listening works again", "port", number, "family", family,
				NULL);
		io->complained[i] = false;
		return;
	}
	counter_inc(io->counters, COUNTER_BFD_SOCKET_ERRORS);
	if (!io->complained[i])
		log_warn("bfd",
			rc == -EADDRINUSE ? "another program on this node speaks BFD: its port is "
					    "taken; trying again each second"
					  : "cannot listen; trying again each second",
			"port", number, "family", family, "err", strerror(-rc), NULL);
	io->complained[i] = true;
}

static void open_listeners(struct bfdio *io)
{
	for (unsigned i = 0; i < LISTENERS; i++) {
		bool multihop = i >= ADDR_FAMILIES;
		unsigned port = multihop ? BFDIO_PORT_MULTIHOP : io->conf.port;
		int rc;

		if (io->listener[i] != NULL || (multihop && !io->conf.multihop))
			continue;
		rc = open_listener(io, i, port);
		if (rc == -EAFNOSUPPORT) /* a kernel without IPv6 */
			continue;
		complain(io, i, port, rc);
		if (rc != 0)
			open_later(io);
	}
}

static void on_open_timer(uv_timer_t *timer)
{
	open_listeners(timer->data);
}

static void open_later(struct bfdio *io)
{
	(void)uv_timer_start(&io->open_timer, on_open_timer, OPEN_AGAIN_MS, 0);
}

/* -- keys -- */

static void read_keys(struct bfdio *io)
{
	struct bfd_key v[BFD_MAX_KEYS];
	enum bfdkey_error e = BFDKEY_OK;
	struct stat st;
	struct buf text;
	size_t n;
	int rc;

	buf_init(&text, KEY_FILE_MAX);
	rc = file_read(io->key_path, &text);
	if (rc == 0)
		e = bfdkey_parse(text.p, text.len, v, &n);
	if (rc != 0 || e != BFDKEY_OK)
		log_error("bfd", "the key file cannot be used", "file", io->key_path, "err",
			rc != 0 ? strerror(-rc) : bfdkey_error_text(e), NULL);
	else
		bfd_set_keys(io->engine, v, n);
	if (rc == 0 && stat(io->key_path, &st) == 0 && (st.st_mode & KEY_FILE_FOR_OTHERS) != 0)
		log_warn("bfd",
			"the key file is open to others: its mode should be 0640, its group lbd",
			"file", io->key_path, NULL);
	mbedtls_platform_zeroize(v, sizeof v);
	if (text.p != NULL)
		mbedtls_platform_zeroize(text.p, text.cap);
	buf_free(&text);
}

static void on_key_file(void *ctx)
{
	read_keys(ctx);
}

static void drop_key_file(struct bfdio *io)
{
	if (io->key_watch != NULL)
		file_watch_close(io->key_watch);
	io->key_watch = NULL;
	free(io->key_path);
	io->key_path = NULL;
}

void bfdio_set_key_file(struct bfdio *io, const char *path)
{
	char *copy;

	if (path == NULL) {
		drop_key_file(io);
		bfd_set_keys(io->engine, NULL, 0);
		return;
	}
	if (io->key_path != NULL && strcmp(io->key_path, path) == 0)
		return;
	copy = strdup(path);
	if (copy == NULL)
		return;
	drop_key_file(io);
	io->key_path = copy;
	io->key_watch = file_watch_new(io->loop, path, on_key_file, io);
	read_keys(io);
}

/* -- life -- */

struct bfd *bfdio_engine(const struct bfdio *io)
{
	return io->engine;
}

void bfdio_flush(struct bfdio *io)
{
	turn(io, NULL);
}

static void close_senders(struct bfdio *io)
{
	for (struct sender *s = table_next(&io->senders, NULL); s != NULL;
		s = table_next(&io->senders, s))
		close_sender(s);
}

void bfdio_set_conf(struct bfdio *io, const struct bfdio_conf *conf)
{
	for (unsigned i = 0; i < LISTENERS; i++)
		if (i >= ADDR_FAMILIES ? !conf->multihop : conf->port != io->conf.port) {
			close_listener(io, i);
			io->complained[i] = false;
		}
	if (conf->port != io->conf.port)
		close_senders(io);
	io->conf = *conf;
	open_listeners(io);
}

static int start_handles(struct bfdio *io)
{
	int rc = uv_poll_init(io->loop, &io->timer, io->timer_fd);

	if (rc != 0)
		return rc;
	(void)uv_prepare_init(io->loop, &io->prepare);
	(void)uv_timer_init(io->loop, &io->open_timer);
	io->timer.data = io->prepare.data = io->open_timer.data = io;
	io->handles = 3;
	(void)uv_poll_start(&io->timer, UV_READABLE, on_timer);
	(void)uv_prepare_start(&io->prepare, on_prepare);
	return 0;
}

int bfdio_open(uv_loop_t *loop, const struct bfdio_conf *conf, const struct bfdio_ops *ops,
	void *ctx, const struct hash_key *hkey, struct rng *rng, struct counters *counters,
	struct bfdio **ret_io)
{
	struct bfdio *io = calloc(1, sizeof *io);
	int rc = -ENOMEM;

	if (io == NULL)
		return rc;
	io->loop = loop;
	io->ops = ops;
	io->ctx = ctx;
	io->hkey = *hkey;
	io->rng = rng;
	io->counters = counters;
	io->conf = *conf;
	io->armed_us = io->due_us = TIME_NEVER;
	io->engine = bfd_new(&engine_ops, io, hkey, rng, counters);
	io->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (io->timer_fd < 0)
		rc = -errno;
	else if (io->engine != NULL)
		rc = start_handles(io);
	if (rc != 0) {
		bfd_free(io->engine);
		if (io->timer_fd >= 0)
			(void)close(io->timer_fd);
		free(io);
		return rc;
	}
	look_at_clocks(io);
	open_listeners(io);
	*ret_io = io;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

void bfdio_close(struct bfdio *io)
{
	if (io == NULL || io->closing)
		return;
	io->closing = true;
	for (unsigned i = 0; i < LISTENERS; i++)
		close_listener(io, i);
	drop_key_file(io);
	bfd_free(io->engine);
	close_senders(io);
	table_free_all(&io->senders);
	uv_close((uv_handle_t *)&io->timer, on_handle_closed);
	uv_close((uv_handle_t *)&io->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&io->open_timer, on_handle_closed);
	(void)close(io->timer_fd);
}
