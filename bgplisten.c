/* SPDX-License-Identifier: Apache-2.0
 *
 * bgplisten.c - the listening sockets of BGP.
 *
 * Owns: a socket of each family, a timer.  Every uv handle is counted; the last close callback frees
 *       the whole.
 * In:   connections.  Out: bgplisten_ops.accepted().
 * RFCs: 4271 8.2.1 (port 179), 2385, 5082.  Sources: tcp(7), ipv6(7).
 *
 * Who may connect is the caller's to say, by address; a connection that it does not want costs one
 * accept(2) and one close(2).
 */
#include "bgplisten.h"

#include "log.h"
#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64, ACCEPTS = 16 /* a turn of the loop */, AGAIN_MS = 1000 };

/* It closes alone: another may be open by then. */
struct listener {
	uv_poll_t poll;
	struct bgplisten *l; /* borrowed */
	enum addr_family family;
	int fd; /* owned */
};

struct bgplisten {
	uv_loop_t *loop;                 /* borrowed */
	const struct bgplisten_ops *ops; /* borrowed */
	void *ctx;                       /* borrowed */
	unsigned port;
	struct listener *v[ADDR_FAMILIES]; /* owned; NULL = not open */
	uv_timer_t timer;
	unsigned handles; /* open or closing */
	bool complained;
};

static void unref(struct bgplisten *l)
{
	const struct bgplisten_ops *ops = l->ops;
	void *ctx = l->ctx;

	if (--l->handles > 0)
		return;
	free(l);
	ops->on_closed(ctx);
}

static void on_timer_closed(uv_handle_t *h)
{
	unref(h->data);
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *x = h->data;
	struct bgplisten *l = x->l;

	(void)close(x->fd);
	free(x);
	unref(l);
}

static void drop(struct listener *x)
{
	x->l->v[x->family] = NULL;
	uv_close((uv_handle_t *)&x->poll, on_listener_closed);
}

/* -- connections -- */

/* False: there is none that could be taken. */
static bool accept_one(struct listener *x)
{
	struct sockaddr_storage s = {0};
	socklen_t len = sizeof s;
	int fd = accept4(x->fd, (struct sockaddr *)&s, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED;
	x->l->ops->accepted(x->l->ctx, fd, sock_address(&s), sock_scope(&s));
	return true;
}

/* Without a descriptor left the connection stays in the backlog, and the loop would not rest. */
static void pause_for(struct listener *x)
{
	(void)uv_poll_stop(&x->poll);
	(void)uv_timer_start(&x->l->timer, x->l->timer.timer_cb, AGAIN_MS, 0);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct listener *x = h->data;
	bool more = true;

	(void)status;
	(void)events;
	errno = 0;
	for (unsigned i = 0; i < ACCEPTS && more; i++)
		more = accept_one(x);
	if (!more && errno != EAGAIN)
		pause_for(x);
}

/* -- sockets -- */

static int open_fd(enum addr_family family, unsigned port)
{
	const struct addr any = family == ADDR_V4 ? addr_from_v4((const uint8_t[4]){0})
						  : addr_from_v6((const uint8_t[16]){0});
	struct sockaddr_storage s;
	socklen_t len = sock_from_address(any, port, 0, &s);
	int err, fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	err = sock_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err == 0) /* for its TTL (RFC 5082) */
		err = sock_set_int(fd, IPPROTO_TCP, TCP_SAVE_SYN, 1);
	if (err == 0 && family == ADDR_V6)
		err = sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (err == 0 && (bind(fd, (struct sockaddr *)&s, len) != 0 || listen(fd, BACKLOG) != 0))
		err = -errno;
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}

static int open_listener(struct bgplisten *l, enum addr_family family)
{
	struct listener *x = calloc(1, sizeof *x);
	int err = -ENOMEM;

	if (x == NULL)
		return err;
	x->l = l;
	x->family = family;
	err = x->fd = open_fd(family, l->port);
	if (err >= 0)
		err = uv_poll_init(l->loop, &x->poll, x->fd);
	if (err == 0) {
		x->poll.data = x;
		l->handles++;
		l->v[family] = x;
		return 0;
	}
	if (x->fd >= 0)
		(void)close(x->fd);
	free(x);
	return err;
}

/* A kernel without IPv6 is one without peers there. */
static bool is_missing(int err)
{
	return err == -EAFNOSUPPORT;
}

static const char *complaint(int err)
{
	if (err == -EADDRINUSE)
		return "cannot listen for peers: another program has the port";
	if (err == -EACCES) /* never given, or dropped at start, when no peer was passive */
		return "cannot listen for peers: no CAP_NET_BIND_SERVICE; under systemd "
		       "lbd.service.d/listen.conf gives it; then start lbd again";
	return "cannot listen for peers";
}

/* Opens what is not open, listens again where that was paused. */
static void open_all(struct bgplisten *l)
{
	bool opened = false;
	int worst = 0;

	for (enum addr_family f = 0; f < ADDR_FAMILIES; f++) {
		int err = l->v[f] == NULL ? open_listener(l, f) : 0;

		opened |= err == 0;
		if (err != 0 && !is_missing(err))
			worst = err;
		if (l->v[f] != NULL)
			(void)uv_poll_start(&l->v[f]->poll, UV_READABLE, on_poll);
	}
	if (worst != 0) {
		if (!l->complained)
			log_error("bgp", complaint(worst), "err", strerror(-worst), NULL);
		(void)uv_timer_start(&l->timer, l->timer.timer_cb, AGAIN_MS, 0);
	}
	l->complained = worst != 0;
	if (opened)
		l->ops->opened(l->ctx);
}

static void on_timer(uv_timer_t *t)
{
	open_all(t->data);
}

int bgplisten_set_password(struct bgplisten *l, const struct bgpio_conf *conf)
{
	const struct listener *x = l->v[addr_family(conf->remote)];

	return x != NULL ? bgpio_set_password(x->fd, conf) : -ENOTCONN;
}

/* -- life -- */

int bgplisten_open(uv_loop_t *loop, unsigned port, const struct bgplisten_ops *ops, void *ctx,
	struct bgplisten **ret_l)
{
	struct bgplisten *l = calloc(1, sizeof *l);

	if (l == NULL)
		return -ENOMEM;
	l->loop = loop;
	l->port = port;
	l->ops = ops;
	l->ctx = ctx;
	REQUIRE(uv_timer_init(loop, &l->timer) == 0);
	l->timer.data = l;
	l->handles = 1;
	REQUIRE(uv_timer_start(&l->timer, on_timer, 0, 0) == 0);
	*ret_l = l;
	return 0;
}

void bgplisten_close(struct bgplisten *l)
{
	if (l == NULL)
		return;
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		if (l->v[f] != NULL)
			drop(l->v[f]);
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
