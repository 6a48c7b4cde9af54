/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway.c - the default gateway of an interface, as the kernel routes.
 *
 * Owns: a NETLINK_ROUTE socket, the last answers.
 * In:   the kernel's routes, looked up one at a time (`ip route get ADDRESS oif LINK`).
 * Out:  an address.
 * Sources: rtnetlink(7); RFC 5737 and RFC 3849 for addresses that are nobody's.
 *
 * The kernel answers a look-up before send() returns, so the answer can be read at once.  Routes
 * are not watched: a router has a million.
 */
#include "gateway.h"

#include "bytes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CACHED_MAX = 16, /* interfaces and families */
	CACHED_MS = 1000,
	BUFFER = 4096,
	READS = 8,
};

struct cached {
	unsigned ifindex; /* 0 = unused */
	enum addr_family family;
	uint64_t until_ms;
	bool found;
	struct addr gateway;
};

struct gateway {
	int fd; /* -1 = not open */
	uint32_t seq;
	struct cached cached[CACHED_MAX];
	size_t next; /* to be replaced */
};

struct gateway *gateway_new(void)
{
	struct gateway *g = calloc(1, sizeof(*g));

	if (g != NULL)
		g->fd = -1;
	return g;
}

void gateway_free(struct gateway *g)
{
	if (g == NULL)
		return;
	if (g->fd >= 0)
		(void)close(g->fd);
	free(g);
}

/* An address far away (documentation's) out by the interface. */
static bool ask(struct gateway *g, unsigned ifindex, enum addr_family family)
{
	static const uint8_t v4[4] = {192, 0, 2, 1}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	size_t len = family == ADDR_V4 ? sizeof(v4) : sizeof(v6);
	const struct rtattr to = {(unsigned short)RTA_LENGTH(len), RTA_DST};
	const struct rtattr oif = {(unsigned short)RTA_LENGTH(sizeof(ifindex)), RTA_OIF};
	const struct rtmsg route = {.rtm_family = family == ADDR_V4 ? AF_INET : AF_INET6,
		.rtm_dst_len = (unsigned char)(8 * len)};
	struct nlmsghdr h = {
		.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = ++g->seq};
	uint8_t buf[64];
	struct wr w = wr_init(buf, sizeof(buf));

	h.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(route)) + to.rta_len + oif.rta_len);
	wr_bytes(&w, &h, sizeof(h));
	wr_bytes(&w, &route, sizeof(route));
	wr_bytes(&w, &to, sizeof(to));
	wr_bytes(&w, family == ADDR_V4 ? v4 : v6, len);
	wr_bytes(&w, &oif, sizeof(oif));
	wr_bytes(&w, &ifindex, sizeof(ifindex));
	REQUIRE(wr_len(&w) == h.nlmsg_len);
	return send(g->fd, buf, h.nlmsg_len, MSG_DONTWAIT) == (ssize_t)h.nlmsg_len;
}

/* The attribute's body; false: there are no more, or it is cut. */
static bool next_attribute(struct rd *r, uint16_t *ret_type, struct rd *ret_body)
{
	uint16_t len;

	if (rd_left(r) < sizeof(struct rtattr))
		return false;
	len = rd_host16(r);
	*ret_type = rd_host16(r) & (uint16_t)NLA_TYPE_MASK;
	if (len < sizeof(struct rtattr) || len - sizeof(struct rtattr) > rd_left(r))
		return false;
	*ret_body = rd_sub(r, len - sizeof(struct rtattr));
	rd_skip(r, rd_left(r) < RTA_ALIGN(len) - len ? rd_left(r) : RTA_ALIGN(len) - len);
	return true;
}

static bool read_route(struct rd r, struct cached *c)
{
	size_t len = c->family == ADDR_V4 ? 4 : 16;
	unsigned oif = 0;
	struct rd body;
	uint16_t type;
	bool has_gateway = false;
	uint8_t b[16] = {0};

	rd_skip(&r, sizeof(struct rtmsg));
	while (next_attribute(&r, &type, &body)) {
		if (type == RTA_OIF)
			oif = rd_host32(&body);
		if (type == RTA_GATEWAY && rd_left(&body) == len) {
			rd_copy(&body, b, len);
			has_gateway = true;
		}
	}
	c->gateway = c->family == ADDR_V4 ? addr_from_v4(b) : addr_from_v6(b);
	return has_gateway && oif == c->ifindex;
}

/* One datagram: is it the answer?  Then whether it names a gateway is in c->found. */
static bool is_answer(const struct gateway *g, const uint8_t *buf, size_t len, struct cached *c)
{
	struct rd r = rd_init(buf, len);
	uint32_t size = rd_host32(&r);
	uint16_t type = rd_host16(&r);

	rd_skip(&r, 2);
	if (rd_host32(&r) != g->seq || size < sizeof(struct nlmsghdr) || size > len)
		return false;
	rd_skip(&r, 4);
	c->found = type == RTM_NEWROUTE && !r.bad &&
		   read_route(rd_sub(&r, size - sizeof(struct nlmsghdr)), c);
	return true;
}

static void receive(struct gateway *g, struct cached *c)
{
	struct sockaddr_nl from = {0};
	uint8_t buf[BUFFER];

	for (unsigned i = 0; i < READS; i++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(
			g->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && from.nl_pid == 0 && is_answer(g, buf, (size_t)n, c))
			return;
	}
}

static struct cached *find(struct gateway *g, unsigned ifindex, enum addr_family family)
{
	struct cached *c;

	for (size_t i = 0; i < CACHED_MAX; i++)
		if (g->cached[i].ifindex == ifindex && g->cached[i].family == family)
			return &g->cached[i];
	c = &g->cached[g->next++ % CACHED_MAX];
	*c = (struct cached){.ifindex = ifindex, .family = family};
	return c;
}

bool gateway_of(struct gateway *g, unsigned ifindex, enum addr_family family, uint64_t now_ms,
	struct addr *ret_gateway)
{
	struct cached *c = find(g, ifindex, family);

	if (g->fd < 0)
		g->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (g->fd >= 0 && now_ms >= c->until_ms) {
		c->until_ms = now_ms + CACHED_MS;
		c->found = false;
		if (ask(g, ifindex, family))
			receive(g, c);
	}
	if (c->found)
		*ret_gateway = c->gateway;
	return c->found;
}
