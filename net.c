/* SPDX-License-Identifier: Apache-2.0
 *
 * net.c - the shell for packets: rtnetlink, capture rings, injection.
 *
 * Owns: one NETLINK_ROUTE socket, the interface table, one pcap handle an interface and family.
 *       Every uv handle is counted; the last close callback frees the whole.
 * In:   the kernel's link and address events, its answers to look-ups of routes; ARP and NDP frames
 *       that passed the kernel's filter.
 * Out:  net_ops; net_ifaces(); net_send().
 * Sources: rtnetlink(7), netlink(7), packet(7), pcap(3PCAP).
 * Not done: routes are asked for, not watched (a router has a million); a receive time stamp per
 *       frame.
 *
 * A dump is asked for at start, after an overrun of the socket, and after a dump that the kernel
 * marked as interrupted: links first, addresses when those are done.  Events that come in between
 * are taken in as ever, so nothing is held back but the news to the owner.
 *
 * A capture handle is immediate (one frame, one wake-up: block retirement would cost a millisecond)
 * and small: a ring of 64 KiB holds some 180 frames, and costs that much memory where libpcap's
 * default is 2 MiB.  It is bound to an ifindex: a renamed interface keeps it, a re-created one has
 * another.  The kernel reports a link that goes down as an error on the socket; it is closed then
 * and opened again when rtnetlink says up.
 *
 * A ring is made and unmade by libuv's pool: each costs the kernel grace periods of RCU, 10 ms and
 * more, which the loop does not have.  Until it is there, the interface table says so.
 */
#include "net.h"

#include "bpf.h"
#include "bytes.h"
#include "log.h"
#include "nic.h"
#include "rt.h"

#include <pcap/pcap.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	NETLINK_BUFFER = 32 * 1024, /* the kernel fills no more at once */
	NETLINK_RCVBUF = 1024 * 1024,
	NETLINK_READS = 64, /* a turn of the loop */
	FIRST_DUMP_MS = 5000,
	DUMP_AGAIN_MS = 100,
	OPEN_AGAIN_MS = 1000,
	REACH_AGAIN_MS = 5000,
	RING_BYTES = 64 * 1024,
	BATCH = 256,     /* frames a turn and interface: a flood must not starve the loop */
	MANY = 32,       /* frames found at once: time to ask for drops */
	MAX_DROP = 4096, /* frames net_drop_queued() takes from one ring */
};

#define REACH_SEQ 0x80000000U /* and the place of the address; dumps count from 1 */

enum dump { DUMP_NONE, DUMP_LINKS, DUMP_ADDRS };

/* One handle, of the pool while a job has it.  It has its own life: the ring may open another while
 * this one is closing. */
struct capture {
	uv_poll_t poll;
	uv_work_t work;
	struct net *net;   /* borrowed */
	struct ring *ring; /* borrowed; NULL once closed */
	unsigned ifindex;
	char name[IFACE_NAMELEN]; /* this and the next two: for the job that opens it */
	uint16_t ethertype;
	bool promisc;
	pcap_t *pcap;               /* owned; NULL = not made */
	char why[PCAP_ERRBUF_SIZE]; /* not */
	int tid;                    /* the job's thread, for rt_job_over() */
	unsigned drops;
	bool opened;
	bool busy; /* in pcap_dispatch(): a close waits until it returns */
	bool drop; /* of the frames that it still has, none is delivered */
};

/* One interface that net_listen() named. */
struct ring {
	struct listener *of; /* borrowed */
	unsigned ifindex;
	struct capture *capture; /* owned; NULL = neither open nor opening */
	bool failed;             /* and logged */
	uint64_t again_ms;       /* not to be tried before */
	bool wanted;             /* mark of net_listen() */
	bool promisc;            /* and said */
};

/* What net_listen() asked for of one family: ARP, or NDP. */
struct listener {
	enum addr_family family;
	uint16_t ethertype;
	struct ring **rings; /* owned, and what it points to; sorted by ifindex */
	size_t n_rings;
	struct addr_range ranges[BPF_MAX_RANGES]; /* what filter passes */
	size_t n_ranges;
	struct sock_fprog filter; /* its program owned; none when n_ranges is 0 */
};

struct net {
	uv_loop_t *loop;           /* borrowed */
	const struct net_ops *ops; /* borrowed */
	void *ctx;                 /* borrowed */
	struct counters *counters; /* borrowed, may be NULL */
	unsigned handles;          /* open or closing */
	bool closing;
	bool passive;

	struct iface_table *ifaces; /* owned */
	uint64_t told;              /* generation of which the owner knows */
	int fd;                     /* owned */
	uv_poll_t poll;
	uv_timer_t dump_timer, open_timer, reach_timer;
	enum dump dump; /* under way */
	bool dump_again;
	uint32_t seq;
	bool complained; /* about messages we cannot take */

	struct listener listeners[ADDR_FAMILIES];
};

/* -- rtnetlink: asking -- */

static int ask(struct net *n, uint16_t type)
{
	struct {
		struct nlmsghdr h;
		union {
			struct ifinfomsg link;
			struct ifaddrmsg addr;
		} u;
	} req;
	ssize_t sent;

	memset(&req, 0, sizeof(req));
	req.h.nlmsg_len = sizeof(req);
	req.h.nlmsg_type = type;
	req.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req.h.nlmsg_seq = ++n->seq;
	sent = send(n->fd, &req, sizeof(req), 0);
	return sent < 0 ? -errno : 0;
}

/* ip route get, answered by RTM_NEWROUTE or an error.  One that is lost is asked again. */
static void ask_route(struct net *n, size_t i, struct addr a)
{
	enum addr_family f = addr_family(a);
	struct {
		struct nlmsghdr h;
		struct rtmsg route;
		struct rtattr attr;
		uint8_t to[16];
	} req;

	memset(&req, 0, sizeof req);
	req.attr.rta_type = RTA_DST;
	req.attr.rta_len = (unsigned short)RTA_LENGTH(f == ADDR_V4 ? 4 : 16);
	req.route.rtm_family = f == ADDR_V4 ? AF_INET : AF_INET6;
	req.route.rtm_dst_len = f == ADDR_V4 ? 32 : 128;
	if (f == ADDR_V4)
		addr_to_v4(a, req.to);
	else
		addr_to_v6(a, req.to);
	req.h.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof req.route) + req.attr.rta_len);
	req.h.nlmsg_type = RTM_GETROUTE;
	req.h.nlmsg_flags = NLM_F_REQUEST;
	req.h.nlmsg_seq = REACH_SEQ | (uint32_t)i;
	(void)send(n->fd, &req, req.h.nlmsg_len, 0);
}

static void ask_routes(struct net *n)
{
	struct addr a;

	for (size_t i = 0; iface_reach_at(n->ifaces, i, &a); i++)
		ask_route(n, i, a);
}

static void dump_later(struct net *n);

static void dump_start(struct net *n)
{
	n->dump_again = false;
	iface_dump_begin(n->ifaces);
	n->dump = DUMP_LINKS;
	if (ask(n, RTM_GETLINK) != 0) {
		n->dump = DUMP_NONE;
		dump_later(n);
	}
}

/* The kernel said that the dump under way is complete. */
static void dump_next(struct net *n)
{
	enum dump was = n->dump;

	n->dump = DUMP_NONE;
	if (n->dump_again) {
		dump_later(n);
	} else if (was == DUMP_LINKS) {
		n->dump = DUMP_ADDRS;
		if (ask(n, RTM_GETADDR) != 0) {
			n->dump = DUMP_NONE;
			dump_later(n);
		}
	} else if (was == DUMP_ADDRS) {
		(void)iface_dump_end(n->ifaces); /* the generation tells */
	}
}

static void on_dump_timer(uv_timer_t *timer)
{
	dump_start(timer->data);
}

/* Not at once: while links come and go fast enough to interrupt one dump, they would the next. */
static void dump_later(struct net *n)
{
	n->dump_again = true;
	if (n->handles > 0 && n->dump == DUMP_NONE &&
		!uv_is_active((const uv_handle_t *)&n->dump_timer))
		(void)uv_timer_start(&n->dump_timer, on_dump_timer, DUMP_AGAIN_MS, 0);
}

/* -- rtnetlink: reading -- */

static void complain(struct net *n, int err)
{
	if (!n->complained)
		log_warn("net",
			err == -E2BIG ? "more links or addresses than lbd keeps: some are left out"
				      : "a message of rtnetlink was not understood",
			"err", strerror(-err), NULL);
	n->complained = true;
}

/* The framing of a dump: its end, its failure, the kernel's doubt about it. */
static void follow_dump(struct net *n, struct rd r)
{
	while (rd_left(&r) >= sizeof(struct nlmsghdr)) {
		uint32_t len = rd_host32(&r);
		uint16_t type = rd_host16(&r), flags = rd_host16(&r);
		uint32_t seq = rd_host32(&r);
		size_t rest = len < sizeof(struct nlmsghdr) ? 0 : NLMSG_ALIGN(len) - 12;
		struct rd body = rd_sub(&r, rest < rd_left(&r) ? rest : rd_left(&r));

		if (len < sizeof(struct nlmsghdr))
			return;
		if ((seq & REACH_SEQ) != 0 && type == NLMSG_ERROR)
			iface_reach_lost(n->ifaces, seq & ~REACH_SEQ);
		if (n->dump == DUMP_NONE || seq != n->seq)
			continue;
		if ((flags & NLM_F_DUMP_INTR) != 0)
			n->dump_again = true;
		if (type != NLMSG_DONE && type != NLMSG_ERROR)
			continue;
		rd_skip(&body, 4); /* nlmsg_pid; then the error, 0 or -errno */
		if (rd_host32(&body) != 0)
			n->dump_again = true;
		dump_next(n);
	}
}

static void take_in(struct net *n, const uint8_t *buf, size_t len)
{
	int rc = iface_on_netlink(n->ifaces, buf, len);

	if (rc == -ENOMEM)
		n->dump_again = true;
	else if (rc < 0)
		complain(n, rc);
	follow_dump(n, rd_init(buf, len));
}

/* One datagram.  false when there is none. */
static bool read_netlink(struct net *n)
{
	uint8_t buf[NETLINK_BUFFER];
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t len = recvmsg(n->fd, &msg, MSG_DONTWAIT);

	if (len < 0 && errno == EINTR)
		return true;
	if (len < 0 && errno == ENOBUFS) {
		counter_inc(n->counters, COUNTER_NET_NETLINK_OVERRUN);
		log_limited(LOG_INFO, "net", "rtnetlink overrun: reading everything again", NULL);
		dump_later(n);
		return true;
	}
	if (len <= 0)
		return false;
	if (from.nl_pid != 0) /* not the kernel */
		return true;
	if ((msg.msg_flags & MSG_TRUNC) != 0)
		complain(n, -EMSGSIZE);
	take_in(n, buf, (size_t)len);
	return true;
}

static void update_rings(struct net *n);

static void tell_owner(struct net *n)
{
	if (n->dump != DUMP_NONE || n->told == iface_generation(n->ifaces))
		return;
	update_rings(n);
	n->told = iface_generation(n->ifaces);
	ask_routes(n);
	n->ops->on_ifaces(n->ctx);
}

/* libuv stops the handle when the socket has an error (an overrun is one): read it, go on. */
static void on_netlink(uv_poll_t *poll, int status, int events)
{
	struct net *n = poll->data;

	(void)events;
	for (unsigned i = 0; i < NETLINK_READS && read_netlink(n); i++)
		;
	if (n->dump_again)
		dump_later(n);
	tell_owner(n);
	if (status < 0 && !n->closing)
		(void)uv_poll_start(poll, UV_READABLE, on_netlink);
}

/* -- capture: the filter -- */

struct gap {
	uint64_t size;
	size_t after; /* index of the range before it */
	bool kept;
};

static int by_size_falling(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->after < y->after ? -1 : x->after > y->after;
}

/* At most BPF_MAX_RANGES ranges that cover the set, closing its smallest gaps. */
static int coarsen(const struct addr_set *s, struct addr_range *ret_v, size_t *ret_n)
{
	size_t n_gaps = s->n > 0 ? s->n - 1 : 0, n = 0;
	struct gap *gaps = calloc(n_gaps + 1, sizeof(*gaps));

	if (gaps == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n_gaps; i++)
		gaps[i] = (struct gap){
			.size = addr_distance(s->v[i].last, s->v[i + 1].first), .after = i};
	qsort(gaps, n_gaps, sizeof(*gaps), by_size_falling);
	for (size_t i = 0; i < n_gaps && i < BPF_MAX_RANGES - 1; i++)
		gaps[i].kept = true;
	qsort(gaps, n_gaps, sizeof(*gaps), by_place);
	for (size_t i = 0; i < s->n; i++) {
		if (i == 0 || gaps[i - 1].kept)
			ret_v[n++] = s->v[i];
		else
			ret_v[n - 1].last = s->v[i].last;
	}
	free(gaps);
	*ret_n = n;
	return 0;
}

static int merge(enum addr_family family, const struct addr_range *v, size_t n,
	struct addr_range *ret_v, size_t *ret_n)
{
	struct addr_set set = {0};
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (addr_family(v[i].first) == family)
			rc = addr_set_add(&set, v[i]);
	if (rc == 0)
		rc = coarsen(&set, ret_v, ret_n);
	addr_set_free(&set);
	return rc;
}

static bool same_ranges(const struct listener *l, const struct addr_range *v, size_t n_v)
{
	if (n_v != l->n_ranges)
		return false;
	for (size_t i = 0; i < n_v; i++)
		if (!addr_eq(v[i].first, l->ranges[i].first) ||
			!addr_eq(v[i].last, l->ranges[i].last))
			return false;
	return true;
}

/* NULL: none, or one that is still in the making. */
static struct capture *opened(const struct ring *r)
{
	return r->capture != NULL && r->capture->opened ? r->capture : NULL;
}

static void capture_lost(struct capture *c, const char *why);

/* Not by pcap_setfilter(): that applies a filter to the first frame once more, outside the kernel,
 * where the packet type cannot be read. */
static int attach(const struct listener *l, pcap_t *p)
{
	return setsockopt(
		pcap_fileno(p), SOL_SOCKET, SO_ATTACH_FILTER, &l->filter, sizeof(l->filter));
}

static void install(struct listener *l)
{
	for (size_t i = 0; i < l->n_rings; i++) {
		struct capture *c = opened(l->rings[i]);

		if (c != NULL && l->n_ranges > 0 && attach(l, c->pcap) != 0)
			capture_lost(c, strerror(errno));
	}
}

static int set_ranges(struct listener *l, const struct addr_range *ranges, size_t n_ranges)
{
	struct sock_fprog filter = {0};
	struct addr_range v[BPF_MAX_RANGES];
	size_t n_v = 0;
	int rc;

	rc = merge(l->family, ranges, n_ranges, v, &n_v);
	if (rc != 0 || same_ranges(l, v, n_v))
		return rc;
	if (n_v > 0)
		rc = bpf_assemble(l->family, v, n_v, &filter);
	if (rc != 0)
		return rc;
	free(l->filter.filter);
	l->filter = filter;
	memcpy(l->ranges, v, n_v * sizeof(v[0]));
	l->n_ranges = n_v;
	install(l);
	return 0;
}

/* -- capture: opening -- */

static void explain(pcap_t *p, int rc, char *ret_why)
{
	if (rc == PCAP_ERROR_PERM_DENIED)
		(void)snprintf(ret_why, PCAP_ERRBUF_SIZE,
			"no permission: lbd needs the capability CAP_NET_RAW");
	else
		(void)snprintf(
			ret_why, PCAP_ERRBUF_SIZE, "%s: %s", pcap_statustostr(rc), pcap_geterr(p));
}

/* The name may have gone to another interface since rtnetlink told us of it. */
static bool is_bound_to(pcap_t *p, unsigned ifindex)
{
	struct sockaddr_ll at = {0};
	socklen_t len = sizeof(at);

	return getsockname(pcap_fileno(p), (struct sockaddr *)&at, &len) == 0 &&
	       at.sll_ifindex == (int)ifindex;
}

static void on_drop(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
	(void)user;
	(void)h;
	(void)bytes;
}

static size_t drain(pcap_t *p)
{
	size_t dropped = 0;
	int got = 1;

	while (got > 0 && dropped < MAX_DROP) {
		got = pcap_dispatch(p, BATCH, on_drop, NULL);
		dropped += got > 0 ? (size_t)got : 0;
	}
	return dropped;
}

static bool set_up(struct capture *c, pcap_t *p)
{
	int rc;

	/* Bound to one protocol, the socket costs other traffic nothing, and sees nothing outgoing;
	 * the price is bpf.c's test of the packet type. */
	(void)pcap_set_protocol_linux(p, c->ethertype);
	(void)pcap_set_snaplen(p, BPF_SNAPLEN);
	(void)pcap_set_promisc(p, c->promisc);
	(void)pcap_set_immediate_mode(p, 1);
	(void)pcap_set_buffer_size(p, RING_BYTES);
	rc = pcap_activate(p);
	if (rc < 0) {
		explain(p, rc, c->why);
		return false;
	}
	if (pcap_datalink(p) != DLT_EN10MB || !is_bound_to(p, c->ifindex)) {
		(void)snprintf(c->why, sizeof c->why, "not the Ethernet interface it was");
		return false;
	}
	if (pcap_setnonblock(p, 1, c->why) != 0)
		return false;
	if (pcap_setdirection(p, PCAP_D_IN) != 0) {
		explain(p, PCAP_ERROR, c->why);
		return false;
	}
	return true;
}

/* In the pool. */
static void make_pcap(uv_work_t *work)
{
	struct capture *c = work->data;
	pcap_t *p = pcap_create(c->name, c->why);

	if (p != NULL && !set_up(c, p)) {
		pcap_close(p);
		p = NULL;
	}
	c->pcap = p;
	c->tid = rt_job_done();
}

static void on_readable(uv_poll_t *poll, int status, int events);

/* The loop's part of it.  false: c->why says why not. */
static bool start(struct capture *c)
{
	int rc;

	if (c->pcap == NULL)
		return false;
	if (attach(c->ring->of, c->pcap) != 0) {
		(void)snprintf(c->why, sizeof c->why, "filter: %s", strerror(errno));
		return false;
	}
	(void)drain(c->pcap); /* what came in before the filter was there */
	rc = uv_poll_init(c->net->loop, &c->poll, pcap_get_selectable_fd(c->pcap));
	if (rc != 0) {
		(void)snprintf(c->why, sizeof c->why, "%s", uv_strerror(rc));
		return false;
	}
	c->poll.data = c;
	c->opened = true;
	(void)uv_poll_start(&c->poll, UV_READABLE, on_readable);
	return true;
}

static const char *protocol(const struct listener *l)
{
	return l->family == ADDR_V4 ? "ARP" : "NDP";
}

/* Of a link that went down meanwhile its own event tells. */
static void note_failed(const struct net *n, struct ring *r, const char *why)
{
	const struct iface *i = iface_get(n->ifaces, r->ifindex);

	if (r->failed || i == NULL || !i->up)
		return;
	log_warn("net", "cannot capture; trying again each second", "iface", i->name, "protocol",
		protocol(r->of), "err", why, NULL);
	r->failed = true;
}

static void unmake(struct capture *c);
static void update_soon(struct net *n);

static void on_made(uv_work_t *work, int status)
{
	struct capture *c = work->data;
	struct ring *r = c->ring;
	struct net *n = c->net;

	(void)status; /* never cancelled */
	rt_job_over(c->tid);
	if (r == NULL) { /* not wanted any more */
		unmake(c);
		return;
	}
	update_soon(n);
	if (start(c)) {
		log_info("net", r->failed ? "capture works again" : "capture opened", "iface",
			c->name, "protocol", protocol(r->of), NULL);
		r->failed = false;
	} else {
		r->capture = NULL;
		note_failed(n, r, c->why);
		r->again_ms = r->failed ? uv_now(n->loop) + OPEN_AGAIN_MS : 0;
		unmake(c);
	}
}

static void find_promisc(const struct net *n, struct ring *r, const struct iface *i)
{
	bool was = r->promisc;

	r->promisc = !n->passive && nic_needs_promisc(NIC_SYSFS, i->name);
	if (r->promisc && !was)
		log_info("net",
			"Wi-Fi or a driver known to lose questions for service addresses: the "
			"interface is made promiscuous",
			"iface", i->name, "protocol", protocol(r->of), NULL);
}

/* Begins to; on_made() ends it. */
static void ring_open(struct net *n, struct ring *r, const struct iface *i)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		note_failed(n, r, "out of memory");
		return;
	}
	find_promisc(n, r, i);
	c->net = n;
	c->ring = r;
	c->ifindex = i->ifindex;
	memcpy(c->name, i->name, sizeof c->name);
	c->ethertype = r->of->ethertype;
	c->promisc = r->promisc;
	c->work.data = c;
	r->capture = c;
	n->handles++;
	REQUIRE(uv_queue_work(n->loop, &c->work, make_pcap, on_made) == 0);
}

/* -- capture: closing -- */

static void net_unref(struct net *n);

/* In the pool. */
static void close_pcap(uv_work_t *work)
{
	struct capture *c = work->data;

	pcap_close(c->pcap);
	c->tid = rt_job_done();
}

static void on_unmade(uv_work_t *work, int status)
{
	struct capture *c = work->data;

	(void)status; /* never cancelled */
	rt_job_over(c->tid);
	c->pcap = NULL;
	unmake(c);
}

static void unmake(struct capture *c)
{
	struct net *n = c->net;

	if (c->pcap != NULL) {
		REQUIRE(uv_queue_work(n->loop, &c->work, close_pcap, on_unmade) == 0);
		return;
	}
	free(c);
	net_unref(n);
}

static void on_poll_closed(uv_handle_t *handle)
{
	unmake(handle->data);
}

static void read_drops(struct capture *c)
{
	struct pcap_stat st;

	if (pcap_stats(c->pcap, &st) != 0)
		return;
	counter_add(c->net->counters, COUNTER_NET_CAPTURE_DROPS, st.ps_drop - c->drops);
	c->drops = st.ps_drop;
}

static void capture_destroy(struct capture *c)
{
	read_drops(c);
	uv_close((uv_handle_t *)&c->poll, on_poll_closed);
}

/* The ring lets go of its capture; the rest waits while the capture delivers frames, or is being
 * opened. */
static void ring_close(struct ring *r)
{
	struct capture *c = r->capture;

	if (c == NULL)
		return;
	r->capture = NULL;
	c->ring = NULL;
	if (c->busy)
		pcap_breakloop(c->pcap);
	else if (c->opened)
		capture_destroy(c);
}

static void on_open_timer(uv_timer_t *timer)
{
	struct net *n = timer->data;

	update_rings(n);
	tell_owner(n);
}

/* From the loop: what others wait for to be done in this turn, a link's own event, comes first. */
static void update_soon(struct net *n)
{
	if (!n->closing)
		(void)uv_timer_start(&n->open_timer, on_open_timer, 1, 0);
}

/* A dry run, which answers nothing, shows what would be if it heard. */
static enum iface_capture capture_state(const struct net *n, const struct ring *r)
{
	if (n->passive)
		return IFACE_HEARD;
	if (r->failed)
		return IFACE_DEAF;
	if (r->capture == NULL)
		return IFACE_NOT_HEARD;
	return r->capture->opened ? IFACE_HEARD : IFACE_OPENING;
}

/* Nothing is to be heard there. */
static void ring_end(struct net *n, struct ring *r)
{
	ring_close(r);
	r->failed = false;
	iface_set_capture(n->ifaces, r->ifindex, r->of->family, IFACE_NOT_HEARD);
}

/* Opens what is wanted and can be had.  An interface that is down is not tried: its event comes.
 * Returns whether to try again. */
static bool update_listener(struct net *n, struct listener *l)
{
	bool again = false;

	for (size_t k = 0; k < l->n_rings; k++) {
		struct ring *r = l->rings[k];
		const struct iface *i = iface_get(n->ifaces, r->ifindex);

		if (i == NULL || l->n_ranges == 0) {
			ring_end(n, r);
			continue;
		}
		if (!i->up)
			r->again_ms = 0;
		else if (r->capture == NULL && uv_now(n->loop) >= r->again_ms)
			ring_open(n, r, i);
		iface_set_capture(n->ifaces, r->ifindex, l->family, capture_state(n, r));
		again = again || (i->up && r->failed);
	}
	return again;
}

static void update_rings(struct net *n)
{
	bool again = false;

	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		again |= update_listener(n, &n->listeners[f]);
	if (n->told != iface_generation(n->ifaces) && n->dump == DUMP_NONE)
		update_soon(n);
	else if (again)
		(void)uv_timer_start(&n->open_timer, on_open_timer, OPEN_AGAIN_MS, 0);
	else
		(void)uv_timer_stop(&n->open_timer);
}

static void capture_lost(struct capture *c, const char *why)
{
	const struct iface *i = iface_get(c->net->ifaces, c->ifindex);
	struct net *n = c->net;

	log_info("net", "capture ended", "iface", i != NULL ? i->name : "", "err", why, NULL);
	ring_close(c->ring);
	update_soon(n);
}

/* -- capture: frames -- */

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct capture *c = (struct capture *)(void *)user;

	if (c->ring != NULL && !c->drop)
		c->net->ops->on_frame(
			c->net->ctx, c->ring->of->family, c->ifindex, bytes, h->caplen);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct capture *c = poll->data;
	int got;

	(void)events;
	if (status < 0) {
		capture_lost(c, "the link went down or away");
		return;
	}
	c->busy = true;
	got = pcap_dispatch(c->pcap, BATCH, on_packet, (u_char *)c);
	c->busy = c->drop = false;
	if (c->ring == NULL)
		capture_destroy(c);
	else if (got < 0 && got != PCAP_ERROR_BREAK)
		capture_lost(c, pcap_geterr(c->pcap));
	else if (got >= MANY)
		read_drops(c);
}

static size_t drop_queued(struct capture *c)
{
	if (c == NULL)
		return 0;
	if (!c->busy)
		return drain(c->pcap);
	c->drop = true; /* its ring holds less than a batch */
	return 0;
}

size_t net_drop_queued(struct net *n)
{
	size_t dropped = 0;

	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		for (size_t i = 0; i < n->listeners[f].n_rings; i++)
			dropped += drop_queued(opened(n->listeners[f].rings[i]));
	return dropped;
}

void net_count_drops(struct net *n)
{
	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		for (size_t i = 0; i < n->listeners[f].n_rings; i++)
			if (opened(n->listeners[f].rings[i]) != NULL)
				read_drops(n->listeners[f].rings[i]->capture);
}

/* -- the set of interfaces -- */

static struct ring *find_ring(const struct listener *l, unsigned ifindex)
{
	size_t lo = 0, hi = l->n_rings;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->rings[mid]->ifindex == ifindex)
			return l->rings[mid];
		if (l->rings[mid]->ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct ring *const *x = a, *const *y = b;

	return (*x)->ifindex < (*y)->ifindex ? -1 : (*x)->ifindex > (*y)->ifindex;
}

/* Marks or makes the rings of the new set in v; -ENOMEM undoes it. */
static int want_rings(
	struct listener *l, const unsigned *ifindex, size_t count, struct ring **v, size_t *ret_n)
{
	size_t made = 0, k = 0;

	for (size_t i = 0; i < count; i++) {
		struct ring *r = find_ring(l, ifindex[i]);

		if (r != NULL && r->wanted) /* named twice */
			continue;
		if (r == NULL) {
			r = calloc(1, sizeof(*r));
			if (r == NULL)
				goto fail;
			r->of = l;
			r->ifindex = ifindex[i];
			made++;
		}
		r->wanted = true;
		v[k++] = r;
	}
	*ret_n = k;
	return 0;
fail:
	while (made > 0 && k-- > 0)
		if (find_ring(l, v[k]->ifindex) == NULL) {
			free(v[k]);
			made--;
		}
	return -ENOMEM;
}

static size_t drop_doubles(struct ring **v, size_t n)
{
	size_t k = 0;

	qsort(v, n, sizeof(struct ring *), by_ifindex);
	for (size_t i = 0; i < n; i++) {
		if (k > 0 && v[k - 1]->ifindex == v[i]->ifindex)
			free(v[i]);
		else
			v[k++] = v[i];
	}
	return k;
}

static int set_rings(struct net *n, struct listener *l, const unsigned *ifindex, size_t count)
{
	struct ring **v = calloc(count + 1, sizeof(struct ring *));
	size_t k = 0;
	int rc;

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_rings; i++)
		l->rings[i]->wanted = false;
	rc = want_rings(l, ifindex, count, v, &k);
	if (rc != 0) {
		free(v);
		return rc;
	}
	k = drop_doubles(v, k);
	for (size_t i = 0; i < l->n_rings; i++)
		if (!l->rings[i]->wanted) {
			ring_end(n, l->rings[i]);
			free(l->rings[i]);
		}
	free(l->rings);
	l->rings = v;
	l->n_rings = k;
	return 0;
}

int net_listen(struct net *n, enum addr_family family, const unsigned *ifindex, size_t n_ifindex,
	const struct addr_range *ranges, size_t n_ranges)
{
	struct listener *l = &n->listeners[family];
	int rc;

	if (n->closing)
		return 0;
	rc = set_ranges(l, ranges, n_ranges);
	if (rc == 0)
		rc = set_rings(n, l, ifindex, n_ifindex);
	update_rings(n);
	return rc;
}

/* send(2) on the capture's own socket, which is what pcap_inject() does, for the sake of errno. */
int net_send(struct net *n, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct rd r_type = rd_init(frame, len);
	const struct ring *r;

	rd_skip(&r_type, 12);
	r = find_ring(
		&n->listeners[rd_be16(&r_type) == ETH_P_IPV6 ? ADDR_V6 : ADDR_V4], ifindex);
	if (r == NULL || r->capture == NULL)
		return -ENODEV;
	if (!r->capture->opened)
		return -EAGAIN;
	if (send(pcap_fileno(r->capture->pcap), frame, len, MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

void net_set_passive(struct net *n)
{
	n->passive = true;
}

const struct iface_table *net_ifaces(const struct net *n)
{
	return n->ifaces;
}

/* -- life -- */

static int open_netlink(int *ret_fd)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	int size = NETLINK_RCVBUF, rc;

	if (fd < 0)
		return -errno;
	/* Past rmem_max only with CAP_NET_ADMIN, which lbd need not have. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		rc = -errno;
		(void)close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

/* The first dump, before there is a loop to wait in. */
static int first_dump(struct net *n)
{
	uint64_t end_ms = uv_hrtime() / 1000000 + FIRST_DUMP_MS, now_ms;
	struct pollfd p = {.fd = n->fd, .events = POLLIN};

	dump_start(n);
	while (n->dump != DUMP_NONE || n->dump_again) {
		now_ms = uv_hrtime() / 1000000;
		if (now_ms >= end_ms)
			return -ETIMEDOUT;
		if (n->dump == DUMP_NONE)
			dump_start(n);
		if (poll(&p, 1, (int)(end_ms - now_ms)) < 0 && errno != EINTR)
			return -errno;
		while (read_netlink(n))
			;
	}
	n->told = iface_generation(n->ifaces);
	return 0;
}

static int start_handles(struct net *n)
{
	int rc = uv_poll_init(n->loop, &n->poll, n->fd);

	if (rc != 0)
		return rc;
	(void)uv_timer_init(n->loop, &n->dump_timer);
	(void)uv_timer_init(n->loop, &n->open_timer);
	(void)uv_timer_init(n->loop, &n->reach_timer);
	n->poll.data = n->dump_timer.data = n->open_timer.data = n->reach_timer.data = n;
	n->handles = 4;
	(void)uv_poll_start(&n->poll, UV_READABLE, on_netlink);
	return 0;
}

static void on_reach_timer(uv_timer_t *timer)
{
	ask_routes(timer->data);
}

int net_reach(struct net *n, const struct addr *v, size_t n_v)
{
	int rc = iface_set_reach(n->ifaces, v, n_v);

	if (rc != 0)
		return rc;
	ask_routes(n);
	if (n_v > 0)
		(void)uv_timer_start(
			&n->reach_timer, on_reach_timer, REACH_AGAIN_MS, REACH_AGAIN_MS);
	else
		(void)uv_timer_stop(&n->reach_timer);
	return 0;
}

static void net_free(struct net *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	for (size_t f = 0; f < ADDR_FAMILIES; f++) {
		free(n->listeners[f].filter.filter);
		free(n->listeners[f].rings);
	}
	iface_free(n->ifaces);
	free(n);
}

int net_open(uv_loop_t *loop, const struct net_ops *ops, void *ctx, struct counters *counters,
	struct net **ret_net)
{
	struct net *n = calloc(1, sizeof(*n));
	int rc = -ENOMEM;

	if (n == NULL)
		return rc;
	n->loop = loop;
	n->ops = ops;
	n->ctx = ctx;
	n->counters = counters;
	n->fd = -1;
	n->listeners[ADDR_V4] = (struct listener){.family = ADDR_V4, .ethertype = ETH_P_ARP};
	n->listeners[ADDR_V6] = (struct listener){.family = ADDR_V6, .ethertype = ETH_P_IPV6};
	n->ifaces = iface_new();
	if (n->ifaces != NULL)
		rc = open_netlink(&n->fd);
	if (rc == 0)
		iface_on_bound(n->ifaces, ops->on_bound, ctx);
	if (rc == 0)
		rc = first_dump(n);
	if (rc == 0)
		rc = start_handles(n);
	if (rc != 0) {
		net_free(n);
		return rc;
	}
	*ret_net = n;
	return 0;
}

static void net_unref(struct net *n)
{
	const struct net_ops *ops = n->ops;
	void *ctx = n->ctx;

	if (--n->handles > 0)
		return;
	net_free(n);
	ops->on_closed(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
	net_unref(handle->data);
}

static void close_rings(struct listener *l)
{
	for (size_t i = 0; i < l->n_rings; i++) {
		ring_close(l->rings[i]);
		free(l->rings[i]);
	}
	l->n_rings = 0;
}

void net_close(struct net *n)
{
	if (n == NULL || n->closing)
		return;
	n->closing = true;
	for (size_t f = 0; f < ADDR_FAMILIES; f++)
		close_rings(&n->listeners[f]);
	uv_close((uv_handle_t *)&n->poll, on_handle_closed);
	uv_close((uv_handle_t *)&n->dump_timer, on_handle_closed);
	uv_close((uv_handle_t *)&n->open_timer, on_handle_closed);
	uv_close((uv_handle_t *)&n->reach_timer, on_handle_closed);
}
