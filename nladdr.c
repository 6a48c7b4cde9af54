/* SPDX-License-Identifier: Apache-2.0
 *
 * nladdr.c - addresses put on interfaces and taken off them.
 *
 * Owns: one NETLINK_ROUTE socket, and the batch under way.
 * In:   bind.c's writes.  Out: what the kernel said of each.
 * Sources: rtnetlink(7); linux/if_addr.h; net/ipv4/devinet.c and net/ipv6/addrconf.c of Linux for
 *       what a lifetime of 0, a scope and NODAD do.
 *
 * A write is made within send(2), under the kernel's one lock for all network configuration,
 * which others (a pod's namespace going away) may hold for a tenth of a second: so it is made in
 * libuv's pool, one batch at a time.
 *
 * An address must serve as a destination and never as a source: of IPv4 its scope is the link's,
 * which no route beyond the link and no masquerading takes a source from; of IPv6 it is deprecated
 * from the beginning.  No route comes with it, and no DAD: lbd has asked already.
 */
#include "nladdr.h"

#include "iface.h"
#include "rt.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	REQUEST_ROOM = 128, /* one request is 92 bytes at most */
	ANSWER_ROOM = 8192,
	ANSWER_WAIT_S = 1, /* they are there when send(2) returns */
};

struct nladdr {
	uv_loop_t *loop; /* borrowed */
	nladdr_done_fn done;
	void *ctx; /* borrowed */
	int fd;    /* owned; the worker's while busy */
	uv_work_t work;
	bool busy, closing;
	int tid;      /* of the worker, which writes it */
	uint32_t seq; /* of the first request of the batch */
	struct bind_write v[BIND_BATCH];
	int err[BIND_BATCH];
	size_t n;
};

/* -- requests -- */

struct request {
	struct nlmsghdr h;
	struct ifaddrmsg a;
	unsigned char attrs[REQUEST_ROOM - sizeof(struct nlmsghdr) - sizeof(struct ifaddrmsg)];
};

static void attribute(struct request *r, unsigned short type, const void *p, size_t n)
{
	struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type};
	size_t at = r->h.nlmsg_len - sizeof r->h - sizeof r->a;

	REQUIRE(at + RTA_SPACE(n) <= sizeof r->attrs);
	memcpy(r->attrs + at, &a, sizeof a);
	memcpy(r->attrs + at + sizeof a, p, n);
	r->h.nlmsg_len += (uint32_t)RTA_SPACE(n);
}

static void lifetime(struct request *r)
{
	const struct ifa_cacheinfo life = {.ifa_prefered = 0, .ifa_valid = IFACE_BOUND_S};
	const uint32_t flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
	const uint8_t proto = IFACE_PROTO_LBD;

	attribute(r, IFA_CACHEINFO, &life, sizeof life);
	attribute(r, IFA_FLAGS, &flags, sizeof flags);
	attribute(r, IFA_PROTO, &proto, sizeof proto);
}

static unsigned short flags_of(enum bind_verb verb)
{
	switch (verb) {
	case BIND_ADD:
		return NLM_F_CREATE | NLM_F_EXCL;
	case BIND_REFRESH:
		return NLM_F_CREATE | NLM_F_REPLACE;
	case BIND_REMOVE:
		break;
	}
	return 0;
}

static struct request make_request(const struct bind_write *w, uint32_t seq)
{
	bool is_v4 = addr_family(w->addr) == ADDR_V4;
	struct request r = {
		.h = {.nlmsg_len = sizeof r.h + sizeof r.a,
			.nlmsg_type = w->verb == BIND_REMOVE ? RTM_DELADDR : RTM_NEWADDR,
			.nlmsg_flags =
				(unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags_of(w->verb)),
			.nlmsg_seq = seq},
		.a = {.ifa_family = is_v4 ? AF_INET : AF_INET6,
			.ifa_prefixlen = is_v4 ? 32 : 128,
			.ifa_scope = is_v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
			.ifa_index = w->ifindex},
	};
	uint8_t bytes[16];

	if (is_v4)
		addr_to_v4(w->addr, bytes);
	else
		addr_to_v6(w->addr, bytes);
	attribute(&r, IFA_LOCAL, bytes, is_v4 ? 4 : 16);
	attribute(&r, IFA_ADDRESS, bytes, is_v4 ? 4 : 16);
	if (w->verb != BIND_REMOVE)
		lifetime(&r);
	return r;
}

/* All requests in one datagram: the kernel makes them one after the other.  0 or -errno. */
static int send_all(const struct nladdr *n)
{
	uint8_t bytes[BIND_BATCH * sizeof(struct request)];
	size_t len = 0;

	for (size_t i = 0; i < n->n; i++) {
		const struct request r = make_request(&n->v[i], n->seq + (uint32_t)i);

		memcpy(bytes + len, &r, r.h.nlmsg_len);
		len += NLMSG_ALIGN(r.h.nlmsg_len);
	}
	return send(n->fd, bytes, len, 0) < 0 ? -errno : 0;
}

/* -- answers -- */

/* Takes in what one datagram says; returns how many requests it answers. */
static size_t take_answers(struct nladdr *n, const uint8_t *p, size_t len)
{
	struct nlmsghdr h;
	size_t known = 0;

	while (len >= sizeof h) {
		memcpy(&h, p, sizeof h);
		if (h.nlmsg_len < sizeof h || h.nlmsg_len > len)
			break;
		if (h.nlmsg_type == NLMSG_ERROR && h.nlmsg_seq - n->seq < n->n &&
			h.nlmsg_len >= sizeof h + sizeof(int)) {
			memcpy(&n->err[h.nlmsg_seq - n->seq], p + sizeof h, sizeof(int));
			known++;
		}
		if (NLMSG_ALIGN(h.nlmsg_len) >= len)
			break;
		p += NLMSG_ALIGN(h.nlmsg_len);
		len -= NLMSG_ALIGN(h.nlmsg_len);
	}
	return known;
}

/* In the pool. */
static void change(struct nladdr *n)
{
	uint8_t answer[ANSWER_ROOM];
	int err = send_all(n);
	size_t known = 0;

	/* What is not answered is tried again. */
	for (size_t i = 0; i < n->n; i++)
		n->err[i] = err != 0 ? err : -ENOBUFS;
	while (err == 0 && known < n->n) {
		ssize_t len = recv(n->fd, answer, sizeof answer, 0);

		if (len > 0)
			known += take_answers(n, answer, (size_t)len);
		else if (len == 0 || errno != EINTR)
			return;
	}
}

static void on_work(uv_work_t *work)
{
	struct nladdr *n = work->data;

	change(n);
	n->tid = rt_job_done();
}

static void free_all(struct nladdr *n)
{
	(void)close(n->fd);
	free(n);
}

static void on_worked(uv_work_t *work, int status)
{
	struct nladdr *n = work->data;

	(void)status; /* never cancelled */
	rt_job_over(n->tid);
	n->busy = false;
	if (n->closing) {
		free_all(n);
		return;
	}
	n->done(n->ctx, n->v, n->err, n->n);
}

void nladdr_write(struct nladdr *n, const struct bind_write *v, size_t n_v)
{
	REQUIRE(!n->busy && !n->closing && n_v > 0 && n_v <= BIND_BATCH);
	memcpy(n->v, v, n_v * sizeof *v);
	n->seq += (uint32_t)n->n;
	n->n = n_v;
	n->busy = true;
	REQUIRE(uv_queue_work(n->loop, &n->work, on_work, on_worked) == 0);
}

bool nladdr_is_busy(const struct nladdr *n)
{
	return n->busy;
}

/* -- life -- */

static int open_socket(int *ret_fd)
{
	const struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	const int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int err;

	if (fd < 0)
		return -errno;
	/* Short answers, without the request in them; an old kernel sends the long ones. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	/* Connected to the kernel: nobody else's messages come in. */
	if (connect(fd, (const struct sockaddr *)&kernel, sizeof kernel) < 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int nladdr_open(uv_loop_t *loop, nladdr_done_fn done, void *ctx, struct nladdr **ret_n)
{
	struct nladdr *n = calloc(1, sizeof *n);
	int err;

	if (n == NULL)
		return -ENOMEM;
	err = open_socket(&n->fd);
	if (err < 0) {
		free(n);
		return err;
	}
	n->loop = loop;
	n->done = done;
	n->ctx = ctx;
	n->seq = 1;
	n->work.data = n;
	*ret_n = n;
	return 0;
}

void nladdr_close(struct nladdr *n)
{
	if (n == NULL)
		return;
	n->closing = true;
	if (!n->busy)
		free_all(n);
}
