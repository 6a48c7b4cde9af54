/* SPDX-License-Identifier: Apache-2.0
 *
 * bgpio.c - the shell of a BGP peer: TCP.
 *
 * Owns: the engine, up to two sockets, what the kernel did not take of the last messages of each, a
 *       timer.  Every uv handle is counted; the last close callback frees the whole.
 * In:   connections, bytes, time -> bgp.h.
 * Out:  messages, as fast as the peer reads them: the next ones are asked for when those before are the
 *       kernel's.
 * RFCs: 4271 (port 179), 2385 (TCP MD5), 5082 (TTL).  Sources: tcp(7), ip(7), ipv6(7).
 */
#include "bgpio.h"

#include "clock.h"
#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_MAX = 16 * 1024,  /* in one turn of the loop: others have theirs */
	PAUSE_MS = 2,          /* after so much: a flood waits in its sender, and the loop does, too */
	WRITE_MAX = 16 * 1024, /* in one system call */
	UNREAD_MAX = 16,       /* reads before the end: what came after an error */
	TOS = 0xc0,            /* network control (RFC 4271 appendix E) */
	DEVICE_MAX = 16,
	AO_ADD_KEY = 38, /* TCP_AO_ADD_KEY */
	AO_MAC_LEN = 12, /* RFC 5926 3.2 */
};

/* A connection, or one that is being made. */
struct conn {
	uv_poll_t poll;
	struct bgpio *p; /* borrowed */
	enum bgp_side side;
	int fd;          /* owned */
	bool connecting;
	uint64_t pause_ms; /* nothing is read until then; 0 = it is */
	uint8_t *rest;     /* owned; what the kernel did not take; NULL = nothing */
	size_t len, sent;  /* of rest */
};

struct bgpio {
	uv_loop_t *loop;             /* borrowed */
	const struct bgpio_ops *ops; /* borrowed */
	void *ctx;                   /* borrowed */
	struct bgpio_conf conf;
	char device[DEVICE_MAX], password[TCP_MD5SIG_MAXKEYLEN + 1];
	unsigned handles; /* open or closing */
	bool closing;
	struct bgp *engine; /* owned */
	struct conn *conns[BGP_SIDES]; /* owned; NULL = none */
	uv_timer_t timer;
	bool connect_due;
};

/* -- sockets -- */

/* Linux 6.7's struct tcp_ao_add, which libraries do not have yet. */
struct ao_add {
	_Alignas(8) struct sockaddr_storage addr;
	char alg_name[64];
	int32_t ifindex;
	uint32_t set_current : 1, set_rnext : 1, reserved : 30;
	uint16_t reserved2;
	uint8_t prefix, sndid, rcvid, maclen, keyflags, keylen;
	uint8_t key[TCP_MD5SIG_MAXKEYLEN];
};

static int set_ao(int fd, const struct bgpio_conf *conf)
{
	bool sha1 = conf->auth == BGPIO_AO_SHA1;
	struct ao_add a = {.prefix = addr_family(conf->remote) == ADDR_V4 ? 32 : 128,
		.sndid = (uint8_t)conf->ao_id,
		.rcvid = (uint8_t)conf->ao_id,
		.maclen = AO_MAC_LEN};
	int err;

	(void)sock_from_address(conf->remote, 0, conf->ifindex, &a.addr);
	(void)snprintf(a.alg_name, sizeof a.alg_name, "%s", sha1 ? "hmac(sha1)" : "cmac(aes128)");
	a.keylen = (uint8_t)strlen(conf->password);
	memcpy(a.key, conf->password, a.keylen);
	err = setsockopt(fd, IPPROTO_TCP, AO_ADD_KEY, &a, sizeof a) == 0 ? 0 : -errno;
	explicit_bzero(&a, sizeof a);
	return err == -EEXIST ? 0 : err;
}

int bgpio_set_password(int fd, const struct bgpio_conf *conf)
{
	struct tcp_md5sig sig = {0};
	struct sockaddr_storage peer;
	size_t len = conf->password != NULL ? strlen(conf->password) : 0;

	if (len > TCP_MD5SIG_MAXKEYLEN)
		return -EINVAL;
	if (conf->auth != BGPIO_MD5 && len > 0)
		return set_ao(fd, conf);
	(void)sock_from_address(conf->remote, 0, conf->ifindex, &peer);
	memcpy(&sig.tcpm_addr, &peer, sizeof peer);
	sig.tcpm_keylen = (uint16_t)len;
	if (len > 0)
		memcpy(sig.tcpm_key, conf->password, len);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof sig) == 0)
		return 0;
	return len == 0 && errno == ENOENT ? 0 : -errno;
}

/* Options of a connection of either side. */
static int set_options(int fd, const struct bgpio_conf *conf)
{
	bool v4 = addr_family(conf->remote) == ADDR_V4;
	int err = sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (err == 0)
		err = v4 ? sock_set_int(fd, IPPROTO_IP, IP_TOS, TOS)
			 : sock_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, TOS);
	if (err == 0 && conf->ttl > 0)
		err = v4 ? sock_set_int(fd, IPPROTO_IP, IP_TTL, (int)conf->ttl)
			 : sock_set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, (int)conf->ttl);
	if (err == 0 && conf->min_ttl > 0)
		err = v4 ? sock_set_int(fd, IPPROTO_IP, IP_MINTTL, (int)conf->min_ttl)
			 : sock_set_int(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, (int)conf->min_ttl);
	return err;
}

static bool is_zero(struct addr a)
{
	return a.hi == 0 && a.lo == 0;
}

/* A socket that is connecting, or -errno. */
static int connect_socket(const struct bgpio_conf *conf)
{
	bool v4 = addr_family(conf->remote) == ADDR_V4;
	struct sockaddr_storage s;
	socklen_t len;
	int err, fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	err = set_options(fd, conf);
	if (err == 0 && conf->device != NULL &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, conf->device,
			(socklen_t)strlen(conf->device)) != 0)
		err = -errno;
	if (err == 0 && conf->password != NULL)
		err = bgpio_set_password(fd, conf);
	if (err == 0 && !is_zero(conf->local)) {
		len = sock_from_address(conf->local, 0, conf->ifindex, &s);
		err = bind(fd, (struct sockaddr *)&s, len) == 0 ? 0 : -errno;
	}
	len = sock_from_address(conf->remote, conf->port, conf->ifindex, &s);
	if (err == 0 && connect(fd, (struct sockaddr *)&s, len) != 0 && errno != EINPROGRESS)
		err = -errno;
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}

/* -- handles -- */

static void unref(struct bgpio *p)
{
	const struct bgpio_ops *ops = p->ops;
	void *ctx = p->ctx;

	if (--p->handles > 0)
		return;
	bgp_free(p->engine);
	explicit_bzero(p->password, sizeof p->password);
	free(p);
	ops->on_closed(ctx);
}

static void on_handle_closed(uv_handle_t *h)
{
	unref(h->data);
}

static void on_conn_closed(uv_handle_t *h)
{
	struct conn *c = CONTAINER_OF(h, struct conn, poll);
	struct bgpio *p = c->p;

	(void)close(c->fd);
	free(c->rest);
	free(c);
	unref(p);
}

static void drop(struct conn *c)
{
	c->p->conns[c->side] = NULL;
	uv_close((uv_handle_t *)&c->poll, on_conn_closed);
}

static void arm(struct bgpio *p)
{
	uint64_t at = bgp_next_deadline(p->engine), now = clock_now_ms();

	if (p->closing)
		return;
	for (unsigned i = 0; i < BGP_SIDES; i++)
		if (p->conns[i] != NULL && p->conns[i]->pause_ms > 0)
			at = time_min(at, p->conns[i]->pause_ms);
	if (at == TIME_NEVER)
		(void)uv_timer_stop(&p->timer);
	else
		REQUIRE(uv_timer_start(&p->timer, p->timer.timer_cb, at > now ? at - now : 0, 0) ==
			0);
}

/* -- a connection -- */

static void on_poll(uv_poll_t *h, int status, int events);

static void watch(struct conn *c)
{
	bool out = c->connecting || c->rest != NULL;

	if (clock_now_ms() >= c->pause_ms)
		c->pause_ms = 0;
	REQUIRE(uv_poll_start(&c->poll,
			(out ? UV_WRITABLE : 0) | (c->pause_ms == 0 ? UV_READABLE : 0),
			on_poll) == 0);
}

/* How much the kernel takes of that, or -errno. */
static ssize_t send_some(int fd, const uint8_t *p, size_t len)
{
	ssize_t n;

	do
		n = send(fd, p, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

/* 0, or -errno. */
static int write_rest(struct conn *c)
{
	ssize_t n = send_some(c->fd, c->rest + c->sent, c->len - c->sent);

	if (n < 0)
		return (int)n;
	c->sent += (size_t)n;
	if (c->sent < c->len)
		return 0;
	free(c->rest);
	c->rest = NULL;
	bgp_on_sent(c->p->engine, c->side, clock_now_ms());
	return 0;
}

/* The next messages, as many as there are and fit. */
static size_t pull(struct conn *c, uint8_t to[static WRITE_MAX])
{
	size_t len = 0, n;

	do {
		n = bgp_pull(c->p->engine, c->side, to + len, WRITE_MAX - len, clock_now_ms());
		len += n;
	} while (n > 0 && WRITE_MAX - len >= BGP_MAX);
	return len;
}

/* What was left, and what there is to be said since, until the kernel takes no more.  0, or -errno. */
static int write_out(struct conn *c)
{
	uint8_t buf[WRITE_MAX];

	for (;;) {
		int err = c->rest != NULL ? write_rest(c) : 0;
		size_t len;
		ssize_t n;

		if (err != 0 || c->rest != NULL)
			return err;
		len = pull(c, buf);
		n = len > 0 ? send_some(c->fd, buf, len) : 0;
		if (n < 0 || len == 0)
			return (int)n;
		if ((size_t)n == len) {
			bgp_on_sent(c->p->engine, c->side, clock_now_ms());
			continue;
		}
		c->len = len - (size_t)n;
		c->sent = 0;
		c->rest = malloc(c->len);
		if (c->rest == NULL)
			return -ENOMEM;
		memcpy(c->rest, buf + n, c->len);
		return 0;
	}
}

static void lose(struct conn *c, const char *why)
{
	struct bgpio *p = c->p;
	enum bgp_side side = c->side;

	drop(c);
	bgp_on_closed(p->engine, side, why, clock_now_ms());
}

static void pump(struct bgpio *p)
{
	for (unsigned i = 0; i < BGP_SIDES; i++) {
		struct conn *c = p->conns[i];
		int err;

		if (c == NULL || c->connecting)
			continue;
		err = write_out(c);
		if (err != 0)
			lose(c, strerror(-err));
		else
			watch(c);
	}
}

static void read_in(struct conn *c)
{
	struct bgpio *p = c->p;
	enum bgp_side side = c->side;
	uint8_t buf[READ_MAX];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);

	if (n == sizeof buf)
		c->pause_ms = clock_now_ms() + PAUSE_MS;
	if (n > 0)
		bgp_on_bytes(p->engine, side, buf, (size_t)n, clock_now_ms());
	else if (n == 0)
		lose(c, "closed by the peer");
	else if (errno != EAGAIN && errno != EINTR)
		lose(c, strerror(errno));
}

static void finish_connect(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (err != 0) {
		lose(c, strerror(err));
		return;
	}
	c->connecting = false;
	bgp_on_connected(c->p->engine, clock_now_ms());
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct conn *c = CONTAINER_OF(h, struct conn, poll);
	struct bgpio *p = c->p;
	enum bgp_side side = c->side;

	if (c->connecting)
		finish_connect(c);
	else if (status < 0 || (events & UV_READABLE) != 0) /* what came before an error, and then which */
		read_in(c);
	if (p->conns[side] == c || p->connect_due)
		bgpio_flush(p);
	arm(p);
}

/* fd is owned by it from now on.  NULL: out of memory, and fd is closed. */
static struct conn *conn_new(struct bgpio *p, enum bgp_side side, int fd, bool connecting)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL || uv_poll_init(p->loop, &c->poll, fd) != 0) {
		free(c);
		(void)close(fd);
		return NULL;
	}
	c->p = p;
	c->side = side;
	c->fd = fd;
	c->connecting = connecting;
	p->handles++;
	p->conns[side] = c;
	watch(c);
	return c;
}

/* -- the engine -- */

static void on_connect(void *ctx)
{
	struct bgpio *p = ctx;

	p->connect_due = true; /* not from within the engine: it may fail at once */
}

static void connect_now(struct bgpio *p)
{
	int fd = connect_socket(&p->conf);

	p->connect_due = false;
	if (fd >= 0 && conn_new(p, BGP_OUT, fd, true) == NULL)
		fd = -ENOMEM;
	if (fd == -ENOPROTOOPT && p->conf.auth != BGPIO_MD5)
		bgp_on_closed(p->engine, BGP_OUT, "this kernel has no TCP-AO", clock_now_ms());
	else if (fd < 0)
		bgp_on_closed(p->engine, BGP_OUT, strerror(-fd), clock_now_ms());
}

/* close() answers bytes that nobody read with RST, and that may overtake the last message. */
static void end(int fd)
{
	uint8_t buf[READ_MAX];

	(void)shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < UNREAD_MAX && recv(fd, buf, sizeof buf, 0) > 0; i++)
		;
}

/* What is left goes out before the last message, as far as the kernel takes them: it may begin within one. */
static void on_close(void *ctx, enum bgp_side side, const uint8_t *last, size_t len)
{
	struct bgpio *p = ctx;
	struct conn *c = p->conns[side];

	if (side == BGP_OUT)
		p->connect_due = false;
	if (c == NULL)
		return;
	if (c->rest != NULL)
		(void)write_rest(c);
	if (!c->connecting && c->rest == NULL && len > 0 && send_some(c->fd, last, len) > 0)
		end(c->fd); /* else it sees the connection end */
	drop(c);
}

static void on_changed(void *ctx, enum bgp_state was)
{
	struct bgpio *p = ctx;

	if (!p->closing)
		p->ops->changed(p->ctx, was);
}

static const struct bgp_ops engine_ops = {on_connect, on_close, on_changed};

void bgpio_flush(struct bgpio *p)
{
	if (p->connect_due)
		connect_now(p);
	pump(p);
	arm(p);
}

static void on_timer(uv_timer_t *h)
{
	struct bgpio *p = h->data;

	bgp_tick(p->engine, clock_now_ms());
	bgpio_flush(p);
}

/* The TTL or hop limit of the packet that fd was accepted for, or -1: the kernel did not save it. */
static int syn_ttl(int fd, enum addr_family family)
{
	enum { AT_V4 = 8, AT_V6 = 7 }; /* RFC 791 3.1, RFC 8200 3 */
	uint8_t syn[128];
	socklen_t len = sizeof syn;

	if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len) != 0 || len <= AT_V4)
		return -1;
	return syn[family == ADDR_V4 ? AT_V4 : AT_V6];
}

/* Who comes from too far off is not heard (IP_MINTTL), and would have the place for as long as an OPEN is
 * waited for. */
static bool is_near(const struct bgpio *p, int fd)
{
	int ttl = p->conf.min_ttl > 0 ? syn_ttl(fd, addr_family(p->conf.remote)) : -1;
	char why[48];

	if (ttl < 0 || (unsigned)ttl >= p->conf.min_ttl)
		return true;
	(void)snprintf(why, sizeof why, "its TTL is %d, not %u or more", ttl, p->conf.min_ttl);
	bgp_on_refused(p->engine, why);
	return false;
}

bool bgpio_accept(struct bgpio *p, int fd)
{
	/* The engine may end the one before: then its place is free. */
	if (p->closing || !is_near(p, fd) || set_options(fd, &p->conf) != 0 ||
		!bgp_on_accepted(p->engine, clock_now_ms())) {
		(void)close(fd);
		return false;
	}
	if (conn_new(p, BGP_IN, fd, false) == NULL) {
		bgp_on_closed(p->engine, BGP_IN, "out of memory", clock_now_ms());
		return false;
	}
	bgpio_flush(p);
	return true;
}

/* -- life -- */

int bgpio_open(uv_loop_t *loop, const struct bgpio_conf *conf, const struct bgp_conf *bgp_conf,
	const struct bgpio_ops *ops, void *ctx, const struct hash_key *hkey, struct rng *rng,
	struct bgpio **ret_p)
{
	struct bgpio *p;

	if ((conf->password != NULL && strlen(conf->password) > TCP_MD5SIG_MAXKEYLEN) ||
		(conf->device != NULL && strlen(conf->device) >= DEVICE_MAX))
		return -EINVAL;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return -ENOMEM;
	p->loop = loop;
	p->ops = ops;
	p->ctx = ctx;
	p->conf = *conf;
	if (conf->password != NULL) {
		memcpy(p->password, conf->password, strlen(conf->password) + 1);
		p->conf.password = p->password;
	}
	if (conf->device != NULL) {
		memcpy(p->device, conf->device, strlen(conf->device) + 1);
		p->conf.device = p->device;
	}
	p->engine = bgp_new(bgp_conf, &engine_ops, p, hkey, rng);
	if (p->engine == NULL) {
		free(p);
		return -ENOMEM;
	}
	REQUIRE(uv_timer_init(loop, &p->timer) == 0);
	p->timer.timer_cb = on_timer;
	p->timer.data = p;
	p->handles = 1;
	*ret_p = p;
	return 0;
}

void bgpio_start(struct bgpio *p)
{
	bgp_start(p->engine, clock_now_ms());
	arm(p);
}

void bgpio_close(struct bgpio *p, unsigned subcode, const char *reason)
{
	p->closing = true;
	bgp_stop(p->engine, subcode, reason, clock_now_ms());
	uv_close((uv_handle_t *)&p->timer, on_handle_closed);
}

void bgpio_reset(struct bgpio *p, unsigned subcode, const char *why)
{
	bgp_reset(p->engine, subcode, why, clock_now_ms());
	bgpio_flush(p);
}

struct bgp *bgpio_engine(const struct bgpio *p)
{
	return p->engine;
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool bgpio_has_conf(const struct bgpio *p, const struct bgpio_conf *conf)
{
	const struct bgpio_conf *c = &p->conf;

	return addr_eq(c->remote, conf->remote) && addr_eq(c->local, conf->local) &&
	       c->port == conf->port && c->ifindex == conf->ifindex && c->ttl == conf->ttl &&
	       c->min_ttl == conf->min_ttl && same_text(c->device, conf->device) &&
	       same_text(c->password, conf->password) && c->auth == conf->auth &&
	       c->ao_id == conf->ao_id;
}

bool bgpio_local(const struct bgpio *p, struct addr *ret_a)
{
	for (unsigned i = 0; i < BGP_SIDES; i++) {
		const struct conn *c = p->conns[i];
		struct sockaddr_storage s = {0};
		socklen_t len = sizeof s;

		if (c == NULL || c->connecting ||
			getsockname(c->fd, (struct sockaddr *)&s, &len) != 0)
			continue;
		*ret_a = sock_address(&s);
		return true;
	}
	return false;
}
