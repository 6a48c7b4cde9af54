/* SPDX-License-Identifier: Apache-2.0
 *
 * witness.c - neighbours that show whether a link works.
 *
 * Owns: while a node is suspected, one NETLINK_ROUTE socket; what it told of neighbours.
 * In:   the kernel's neighbour tables, IPv4 and IPv6, and its news of them; configured stations.
 * Out:  entries put into the state NUD_PROBE: the kernel then asks that neighbour by unicast, ARP or
 *       neighbour solicitation, and says REACHABLE when it answers; stations that it does not know
 *       are resolved.
 * Sources: rtnetlink(7), arp(7); RFC 4861 7.3.
 *
 * The socket is there only while somebody asks: a node with many pods hears of neighbours all day.
 */
#include "witness.h"

#include "bytes.h"
#include "log.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LINKS_MAX = 64,
	IDLE_MS = 5000,
	DUMP_MS = 200, /* the table is read again, at most so often */
	READS = 64,    /* a turn of the loop */
	BUFFER = 32 * 1024,
	ADDR_MAX = 16,
	MAC_LEN = 6,
};

struct neighbour {
	uint8_t family, len; /* AF_INET or AF_INET6; of addr */
	uint8_t addr[ADDR_MAX];
	bool has_mac; /* else the kernel is to find it */
	bool named;   /* in the configuration */
	uint8_t mac[MAC_LEN];
};

struct asked {
	unsigned ifindex;
	bool in_dump;     /* the dump under way tells of it */
	bool read;        /* the kernel's table was read since it was asked for */
	uint64_t seen_ms; /* 0 = none answered yet */
	struct neighbour v[WITNESS_MAX];
	size_t n;
};

struct witness {
	const struct witness_ops *ops; /* borrowed, as is ctx */
	void *ctx;
	uv_loop_t *loop;
	int fd; /* -1 = closed */
	uv_poll_t poll;
	uv_timer_t idle;
	unsigned handles; /* not closed yet */
	bool closing, dumping;
	uint64_t dumped_ms;
	struct asked links[LINKS_MAX];
	size_t n_links;
};

static struct asked *find_asked(struct witness *w, unsigned ifindex)
{
	for (size_t i = 0; i < w->n_links; i++)
		if (w->links[i].ifindex == ifindex)
			return &w->links[i];
	return NULL;
}

/* -- asking -- */

/* Losing one costs time only: the next round asks again. */
static void send_request(const struct witness *w, void *req, size_t len)
{
	if (send(w->fd, req, len, MSG_DONTWAIT) < 0)
		log_debug("witness", "not asked", "err", strerror(errno), NULL);
}

static void dump(struct witness *w)
{
	struct {
		struct nlmsghdr h;
		struct ndmsg m;
	} req = {.h = {.nlmsg_len = sizeof req,
			 .nlmsg_type = RTM_GETNEIGH,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};

	for (size_t i = 0; i < w->n_links; i++)
		w->links[i].in_dump = true;
	w->dumping = true;
	w->dumped_ms = w->ops->now_ms();
	send_request(w, &req, sizeof req);
}

static void put_attribute(struct wr *w, uint16_t type, const void *data, size_t len)
{
	const struct rtattr a = {(unsigned short)(RTA_LENGTH(len)), type};
	static const uint8_t padding[RTA_ALIGNTO];

	wr_bytes(w, &a, sizeof a);
	wr_bytes(w, data, len);
	wr_bytes(w, padding, RTA_ALIGN(len) - len);
}

/* As `ip neigh replace ADDRESS lladdr MAC dev LINK nud probe` does, or `ip neigh add ADDRESS dev LINK
 * use`, which resolves it.  Created if need be: the kernel may have forgotten it since. */
static void probe(const struct witness *w, const struct asked *l, const struct neighbour *n)
{
	uint8_t buf[128];
	struct wr out = wr_init(buf, sizeof buf);
	struct nlmsghdr h = {.nlmsg_type = RTM_NEWNEIGH,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | (n->has_mac ? NLM_F_REPLACE : 0)};
	const struct ndmsg m = {.ndm_family = n->family,
		.ndm_ifindex = (int)l->ifindex,
		.ndm_state = n->has_mac ? NUD_PROBE : NUD_NONE,
		.ndm_flags = n->has_mac ? 0 : NTF_USE};

	wr_bytes(&out, &h, sizeof h);
	wr_bytes(&out, &m, sizeof m);
	put_attribute(&out, NDA_DST, n->addr, n->len);
	if (n->has_mac)
		put_attribute(&out, NDA_LLADDR, n->mac, MAC_LEN);
	h.nlmsg_len = (uint32_t)wr_len(&out);
	memcpy(buf, &h, sizeof h);
	send_request(w, buf, wr_len(&out));
}

/* -- what the kernel says -- */

static bool same(const struct neighbour *a, const struct neighbour *b)
{
	return a->family == b->family && memcmp(a->addr, b->addr, a->len) == 0;
}

static bool is_of(const struct witness *w, const struct neighbour *n, const char *node)
{
	return n->has_mac && w->ops->is_of(w->ctx, n->mac, node);
}

/* Of those that are asked, b gives way to a: nodes that die together leave room for who does not die
 * with them. */
static bool goes_before(const struct witness *w, const struct neighbour *a, const struct neighbour *b)
{
	return !b->named && (a->named || (!is_of(w, a, NULL) && is_of(w, b, NULL)));
}

static bool make_room(const struct witness *w, struct asked *l, const struct neighbour *n)
{
	if (l->n < WITNESS_MAX)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		if (!goes_before(w, n, &l->v[i]))
			continue;
		l->v[i] = l->v[--l->n];
		return true;
	}
	return false;
}

static struct neighbour *find(struct asked *l, const struct neighbour *n)
{
	for (size_t i = 0; i < l->n; i++)
		if (same(&l->v[i], n))
			return &l->v[i];
	return NULL;
}

/* Asked at once, unless enough are. */
static void add(struct witness *w, struct asked *l, const struct neighbour *n)
{
	if (!make_room(w, l, n))
		return;
	l->v[l->n++] = *n;
	probe(w, l, n);
}

static void learn_mac(struct neighbour *k, const struct neighbour *n)
{
	memcpy(k->mac, n->mac, MAC_LEN);
	k->has_mac = true;
}

/* A neighbour of the table. */
static void found(struct witness *w, struct asked *l, const struct neighbour *n, unsigned state)
{
	const unsigned usable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
	struct neighbour *known = find(l, n);

	if ((state & usable) == 0)
		return;
	if (known == NULL) {
		add(w, l, n);
	} else if (!known->has_mac) {
		learn_mac(known, n);
		probe(w, l, known);
	}
}

/* News: has one of those that were asked answered? */
static void changed(struct witness *w, struct asked *l, const struct neighbour *n, unsigned state)
{
	struct neighbour *known = find(l, n);

	if ((state & NUD_REACHABLE) == 0 || known == NULL)
		return;
	learn_mac(known, n);
	l->seen_ms = w->ops->now_ms();
	w->ops->seen(w->ctx);
}

/* false: not a neighbour that could be asked. */
static bool parse(struct rd *r, struct ndmsg *ret_m, struct neighbour *ret_n)
{
	bool has_addr = false, has_mac = false;

	rd_copy(r, ret_m, sizeof *ret_m);
	while (rd_left(r) >= sizeof(struct rtattr)) {
		size_t len = rd_host16(r);
		uint16_t type = rd_host16(r);
		size_t n = len < sizeof(struct rtattr) ? 0 : len - sizeof(struct rtattr);
		struct rd body = rd_sub(r, n);

		rd_skip(r, rd_left(r) < RTA_ALIGN(n) - n ? rd_left(r) : RTA_ALIGN(n) - n);
		if (type == NDA_DST && n <= ADDR_MAX) {
			ret_n->len = (uint8_t)n;
			rd_copy(&body, ret_n->addr, n);
			has_addr = true;
		} else if (type == NDA_LLADDR && n == MAC_LEN) {
			rd_copy(&body, ret_n->mac, n);
			has_mac = true;
		}
	}
	ret_n->family = ret_m->ndm_family;
	ret_n->has_mac = has_mac;
	return !r->bad && has_addr && has_mac &&
	       ((ret_n->family == AF_INET && ret_n->len == 4) ||
		       (ret_n->family == AF_INET6 && ret_n->len == 16));
}

static void end_dump(struct witness *w)
{
	w->dumping = false;
	for (size_t i = 0; i < w->n_links; i++)
		w->links[i].read |= w->links[i].in_dump;
}

static void on_message(struct witness *w, uint16_t type, uint16_t flags, struct rd *body)
{
	struct neighbour n = {0};
	struct ndmsg m;
	struct asked *l;

	if (type == NLMSG_DONE)
		end_dump(w);
	if (type != RTM_NEWNEIGH || !parse(body, &m, &n))
		return;
	l = find_asked(w, (unsigned)m.ndm_ifindex);
	if (l == NULL)
		return;
	if ((flags & NLM_F_MULTI) != 0)
		found(w, l, &n, m.ndm_state);
	else
		changed(w, l, &n, m.ndm_state);
}

static void on_bytes(struct witness *w, const void *buf, size_t size)
{
	struct rd r = rd_init(buf, size);

	while (rd_left(&r) >= sizeof(struct nlmsghdr)) {
		size_t len = rd_host32(&r);
		uint16_t type = rd_host16(&r), flags = rd_host16(&r);
		struct rd body;

		if (len < sizeof(struct nlmsghdr))
			return;
		rd_skip(&r, sizeof(struct nlmsghdr) - 8);
		body = rd_sub(&r, len - sizeof(struct nlmsghdr));
		rd_skip(&r, rd_left(&r) < NLMSG_ALIGN(len) - len ? rd_left(&r)
								 : NLMSG_ALIGN(len) - len);
		on_message(w, type, flags, &body);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct witness *w = poll->data;
	uint8_t buf[BUFFER];

	(void)status;
	(void)events;
	for (unsigned i = 0; i < READS; i++) {
		ssize_t n = recv(w->fd, buf, sizeof buf, MSG_DONTWAIT);

		if (n > 0)
			on_bytes(w, buf, (size_t)n);
		else if (n < 0 && errno == ENOBUFS)
			w->dumping = false; /* news were lost: the next round reads all again */
		else if (n < 0 && errno == EINTR)
			continue;
		else
			return;
	}
}

/* -- life -- */

static void on_handle_closed(uv_handle_t *h)
{
	struct witness *w = h->data;

	if (--w->handles > 0 || !w->closing)
		return;
	w->ops->closed(w->ctx);
	free(w);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct witness *w = h->data;

	(void)close(w->fd);
	w->fd = -1;
	on_handle_closed(h);
}

static void shut(struct witness *w)
{
	if (w->fd < 0 || uv_is_closing((uv_handle_t *)&w->poll))
		return;
	w->n_links = 0;
	w->dumping = false;
	w->dumped_ms = 0;
	uv_close((uv_handle_t *)&w->poll, on_poll_closed);
}

static void on_idle(uv_timer_t *t)
{
	shut(t->data);
}

static int open_socket(void)
{
	const struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_NEIGH};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static bool ensure_open(struct witness *w)
{
	if (w->fd >= 0)
		return !uv_is_closing((uv_handle_t *)&w->poll);
	w->fd = open_socket();
	if (w->fd < 0)
		return false;
	if (uv_poll_init(w->loop, &w->poll, w->fd) != 0) {
		(void)close(w->fd);
		w->fd = -1;
		return false;
	}
	w->poll.data = w;
	w->handles++;
	(void)uv_poll_start(&w->poll, UV_READABLE, on_readable);
	return true;
}

struct witness *witness_new(uv_loop_t *loop, const struct witness_ops *ops, void *ctx)
{
	struct witness *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->ops = ops;
	w->ctx = ctx;
	w->loop = loop;
	w->fd = -1;
	(void)uv_timer_init(loop, &w->idle);
	w->idle.data = w;
	w->handles = 1;
	return w;
}

void witness_close(struct witness *w)
{
	if (w == NULL || w->closing)
		return;
	w->closing = true;
	shut(w);
	uv_close((uv_handle_t *)&w->idle, on_handle_closed);
}

static void add_named(struct witness *w, struct asked *l, struct addr a)
{
	struct neighbour n = {.family = AF_INET6, .len = 16, .named = true};
	struct neighbour *known;

	addr_to_v6(a, n.addr);
	if (addr_family(a) == ADDR_V4) {
		n.family = AF_INET;
		n.len = 4;
		addr_to_v4(a, n.addr);
	}
	known = find(l, &n);
	if (known == NULL)
		add(w, l, &n);
	else
		known->named = true;
}

bool witness_ask(struct witness *w, unsigned ifindex, const char *suspect,
	const struct addr *named, size_t n_named)
{
	bool known = false;
	struct asked *l;
	uint64_t now_ms = w->ops->now_ms();

	if (w->closing || !ensure_open(w))
		return true; /* not known: as if there were one that keeps silent */
	(void)uv_timer_start(&w->idle, on_idle, IDLE_MS, 0);
	l = find_asked(w, ifindex);
	if (l == NULL) {
		if (w->n_links == LINKS_MAX)
			return true;
		l = &w->links[w->n_links++];
		*l = (struct asked){.ifindex = ifindex};
	}
	for (size_t i = 0; i < n_named; i++)
		add_named(w, l, named[i]);
	for (size_t i = 0; i < l->n; i++) {
		probe(w, l, &l->v[i]);
		known |= !is_of(w, &l->v[i], suspect);
	}
	if (!w->dumping && (!l->read || now_ms - w->dumped_ms >= DUMP_MS))
		dump(w);
	return !l->read || known;
}

bool witness_seen(const struct witness *w, unsigned ifindex, uint64_t since_ms)
{
	for (size_t i = 0; i < w->n_links; i++)
		if (w->links[i].ifindex == ifindex)
			return w->links[i].seen_ms > since_ms;
	return false;
}
