/* SPDX-License-Identifier: Apache-2.0
 *
 * radvio.c - the shell of Router Advertisements: one raw ICMPv6 socket, a timer.
 *
 * Owns: the engine; while a link is wanted, a socket for all links.  Every uv handle is counted;
 *       the last close callback frees the whole.
 * In:   advertisements and solicitations with their link and hop limit -> radv_on_message(); the
 *       engine's deadline -> radv_tick().
 * Out:  the engine's messages; memberships of the group of all routers, where solicitations go.
 * RFCs: 3542 (the socket, its checksum, its filter), 6980 5 (no fragments), 4861 6.2.2 (the group).
 *       Sources: ipv6(7), raw(7).
 *
 * The kernel chooses the source, which to a group of the link is the link-local address.  It
 * forgets a membership with the interface's IPv6 and does not say so, but sending fails then.  So
 * the group is joined before each message, and left when one fails.
 */
#include "radvio.h"

#include "clock.h"
#include "log.h"
#include "sock.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <unistd.h>

enum {
	HOP_LIMIT = 255,
	MESSAGE_MAX = 2048, /* more than a link carries without fragments, as a rule */
	CONTROL = 128,
	READS = 32, /* a turn of the loop */
	FILTER_BITS = 32,
};

/* It closes alone: radvio may have opened another by then. */
struct sock {
	uv_poll_t poll;
	struct radvio *io; /* borrowed */
	int fd;            /* owned */
};

struct radvio {
	uv_loop_t *loop;              /* borrowed */
	const struct radvio_ops *ops; /* borrowed */
	void *ctx;                    /* borrowed */
	struct radv *engine;          /* owned */
	struct sock *sock;            /* owned; NULL = not open */
	uv_timer_t timer;
	unsigned handles; /* open or closing */
	bool closing;
	bool complained; /* that there is no socket */
};

uint64_t radvio_now_ms(void)
{
	return clock_now_ms();
}

/* -- handles -- */

static void unref(struct radvio *io)
{
	const struct radvio_ops *ops = io->ops;
	void *ctx = io->ctx;

	if (--io->handles > 0)
		return;
	radv_free(io->engine);
	free(io);
	ops->on_closed(ctx);
}

static void on_sock_closed(uv_handle_t *handle)
{
	struct sock *s = handle->data;
	struct radvio *io = s->io;

	(void)close(s->fd);
	free(s);
	unref(io);
}

static void close_sock(struct radvio *io)
{
	if (io->sock == NULL)
		return;
	uv_close((uv_handle_t *)&io->sock->poll, on_sock_closed);
	io->sock = NULL;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct radvio *io)
{
	uint64_t at = radv_next_deadline(io->engine), now_ms = radvio_now_ms();

	if (at == TIME_NEVER)
		(void)uv_timer_stop(&io->timer);
	else
		(void)uv_timer_start(&io->timer, on_timer, at > now_ms ? at - now_ms : 0, 0);
}

/* -- the socket -- */

static void pass(struct icmp6_filter *f, unsigned type)
{
	f->icmp6_filt[type / FILTER_BITS] &= ~(1u << type % FILTER_BITS);
}

static int set_options(int fd)
{
	struct icmp6_filter f;
	int rc;

	memset(&f, 0xff, sizeof f); /* nothing passes */
	pass(&f, ND_ROUTER_SOLICIT);
	pass(&f, ND_ROUTER_ADVERT);
	rc = setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof f) == 0 ? 0 : -errno;
	rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1);
	rc = rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOP_LIMIT);
	return rc != 0 ? rc : sock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
}

static int open_fd(void)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	int rc = fd < 0 ? -errno : set_options(fd);

	if (rc == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int open_sock(struct radvio *io)
{
	struct sock *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL)
		return -ENOMEM;
	rc = s->fd = open_fd();
	if (rc >= 0)
		rc = uv_poll_init(io->loop, &s->poll, s->fd);
	if (rc == 0) {
		s->io = io;
		s->poll.data = s;
		io->sock = s;
		io->handles++;
		(void)uv_poll_start(&s->poll, UV_READABLE, on_poll);
		return 0;
	}
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s);
	return rc;
}

static int ensure_open(struct radvio *io)
{
	int rc = io->sock != NULL ? 0 : open_sock(io);

	if (rc != 0 && !io->complained)
		log_warn("bgp", "no socket for router advertisements; trying again each second",
			"err", strerror(-rc), NULL);
	io->complained = rc != 0;
	return rc;
}

static void set_member(const struct sock *s, int option, unsigned ifindex)
{
	const struct ipv6_mreq req = {
		.ipv6mr_multiaddr.s6_addr = {0xff, 0x02, [15] = 2}, .ipv6mr_interface = ifindex};

	(void)setsockopt(s->fd, IPPROTO_IPV6, option, &req, sizeof req); /* it may be one */
}

/* -- the engine -- */

static struct sockaddr_in6 to_sockaddr(struct addr a, unsigned ifindex)
{
	struct sockaddr_in6 s = {.sin6_family = AF_INET6, .sin6_scope_id = ifindex};

	addr_to_v6(a, s.sin6_addr.s6_addr);
	return s;
}

static int on_send(void *ctx, unsigned ifindex, struct addr to, const uint8_t *message, size_t len)
{
	struct radvio *io = ctx;
	const struct sockaddr_in6 s = to_sockaddr(to, ifindex);
	int rc = ensure_open(io);

	if (rc != 0)
		return rc;
	set_member(io->sock, IPV6_JOIN_GROUP, ifindex);
	if (sendto(io->sock->fd, message, len, MSG_DONTWAIT, (const struct sockaddr *)&s,
		    sizeof s) >= 0)
		return 0;
	rc = -errno;
	set_member(io->sock, IPV6_LEAVE_GROUP, ifindex);
	return rc;
}

/* Only an own address can be bound. */
static bool is_own(void *ctx, unsigned ifindex, struct addr a)
{
	const struct sockaddr_in6 s = to_sockaddr(a, ifindex);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own = fd >= 0 && bind(fd, (const struct sockaddr *)&s, sizeof s) == 0;

	(void)ctx;
	if (fd >= 0)
		(void)close(fd);
	return own;
}

static void on_changed(void *ctx, unsigned ifindex)
{
	struct radvio *io = ctx;

	io->ops->changed(io->ctx, ifindex);
}

static const struct radv_ops engine_ops = {on_send, is_own, on_changed};

/* -- receiving -- */

static void read_control(const struct cmsghdr *c, struct radv_message *m)
{
	struct in6_pktinfo info;

	if (c->cmsg_level != IPPROTO_IPV6)
		return;
	if (c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof info);
		m->ifindex = info.ipi6_ifindex;
	} else if (c->cmsg_type == IPV6_HOPLIMIT) {
		m->hop_limit = sock_control_int(c);
	} else if (c->cmsg_type == IPV6_RECVFRAGSIZE) {
		m->len = 0; /* it came in fragments */
	}
}

/* False: there is no more. */
static bool receive(struct radvio *io)
{
	uint8_t data[MESSAGE_MAX];
	uint64_t control[CONTROL / sizeof(uint64_t)];
	struct sockaddr_in6 from = {0};
	struct iovec iov = {data, sizeof data};
	struct msghdr h = {.msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control};
	struct radv_message m = {.data = data};
	ssize_t n = recvmsg(io->sock->fd, &h, MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR;
	m.len = (h.msg_flags & MSG_TRUNC) != 0 ? 0 : (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = sock_next_control(&h, c))
		read_control(c, &m);
	m.from = addr_from_v6(from.sin6_addr.s6_addr);
	radv_on_message(io->engine, &m, radvio_now_ms());
	return true;
}

/* changed() may close the socket. */
static void turn(struct radvio *io)
{
	for (unsigned i = 0; i < READS && io->sock != NULL && receive(io); i++)
		;
	radv_tick(io->engine, radvio_now_ms());
	arm(io);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct sock *s = poll->data;
	struct radvio *io = s->io;

	(void)events;
	if (status < 0) {
		close_sock(io);
		(void)ensure_open(io);
	}
	turn(io);
}

static void on_timer(uv_timer_t *timer)
{
	turn(timer->data);
}

/* -- verbs -- */

int radvio_want(struct radvio *io, unsigned ifindex, const uint8_t mac[6])
{
	int rc = radv_want(io->engine, ifindex, mac, radvio_now_ms());

	arm(io);
	return rc;
}

void radvio_unwant(struct radvio *io, unsigned ifindex)
{
	radv_unwant(io->engine, ifindex);
	if (io->sock != NULL)
		set_member(io->sock, IPV6_LEAVE_GROUP, ifindex);
	if (radv_count(io->engine) == 0)
		close_sock(io);
	arm(io);
}

bool radvio_router(const struct radvio *io, unsigned ifindex, struct addr *ret_a)
{
	return radv_router(io->engine, ifindex, ret_a);
}

const struct radv *radvio_engine(const struct radvio *io)
{
	return io->engine;
}

/* -- life -- */

int radvio_open(uv_loop_t *loop, const struct radvio_ops *ops, void *ctx, struct rng *rng,
	struct radvio **ret_io)
{
	struct radvio *io = calloc(1, sizeof *io);

	if (io == NULL)
		return -ENOMEM;
	io->engine = radv_new(&engine_ops, io, rng);
	if (io->engine == NULL) {
		free(io);
		return -ENOMEM;
	}
	io->loop = loop;
	io->ops = ops;
	io->ctx = ctx;
	(void)uv_timer_init(loop, &io->timer);
	io->timer.data = io;
	io->handles = 1;
	*ret_io = io;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

void radvio_close(struct radvio *io)
{
	if (io == NULL || io->closing)
		return;
	io->closing = true;
	close_sock(io);
	uv_close((uv_handle_t *)&io->timer, on_timer_closed);
}
