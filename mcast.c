/* SPDX-License-Identifier: Apache-2.0
 *
 * mcast.c - the solicited-node groups of this node's IPv6 addresses.
 *
 * Owns: a table of (interface, group) with the number of addresses that want it; the sockets that
 *       hold the memberships.
 * In:   mcast_join(), mcast_leave() from the plan; interfaces from rtnetlink.
 * Out:  memberships in the kernel: its MLD reports, the interface's filter.
 * Sources: ipv6(7), packet(7); RFC 4291 2.7.1, RFC 3810 (the kernel's part), RFC 2464 7.
 * Not done: another form of the filter on an interface whose driver has a faulty one: net.c makes
 *       those promiscuous.
 *
 * A membership is one of three.  By an IPv6 socket: MLD, and the filter; the kernel bounds how many
 * one socket has (net.core.optmem_max), so there are several.  By a packet socket, the filter
 * alone: where the interface has no IPv6, MLD cannot be spoken.  All groups of the interface, again
 * by a packet socket: past GROUPS_MAX, where filters are full anyway.
 */
#include "mcast.h"

#include "log.h"
#include "table.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	GROUPS_MAX = 4096, /* joined by MLD */
	SOCKETS_MAX = 32,
	NO_SOCKET = -1,
};

enum how { HOW_NONE, HOW_MLD, HOW_FILTER, HOW_ALL };

struct group {
	uint32_t hash;
	uint32_t ifindex;
	uint32_t low; /* the low 24 bits of the addresses */
	uint32_t refs;
	enum how how : 8;
	int8_t socket; /* which one holds it */
	bool able;     /* the interface was up and had IPv6 */
};

struct mcast {
	struct hash_key hkey;
	struct table groups; /* of struct group, owned */
	int fd[SOCKETS_MAX]; /* owned: IPv6 sockets; the first n_fd */
	size_t n_fd;
	int packet; /* owned: a packet socket, or NO_SOCKET */
	size_t n_mld, n_held;
	bool uncounted;      /* memory failed: nobody knows who wants what */
	bool said_all, said; /* once each */
};

/* -- the table -- */

struct mcast *mcast_new(const struct hash_key *hkey)
{
	struct mcast *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->hkey = *hkey;
	m->packet = NO_SOCKET;
	return m;
}

void mcast_free(struct mcast *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n_fd; i++)
		(void)close(m->fd[i]);
	if (m->packet != NO_SOCKET)
		(void)close(m->packet);
	table_free_all(&m->groups);
	free(m);
}

size_t mcast_count(const struct mcast *m)
{
	return m->groups.live;
}

static uint32_t low_of(struct addr vip)
{
	return (uint32_t)vip.lo & 0xffffff;
}

static uint32_t hash_of(const struct mcast *m, unsigned ifindex, uint32_t low)
{
	uint64_t key = (uint64_t)ifindex << 32 | low;

	return hash_bytes(&m->hkey, &key, sizeof(key));
}

static bool group_is(const void *elt, const void *key, size_t len)
{
	const struct group *g = elt, *k = key;

	(void)len;
	return g->ifindex == k->ifindex && g->low == k->low;
}

static struct group *find(const struct mcast *m, unsigned ifindex, struct addr vip)
{
	const struct group k = {.ifindex = ifindex, .low = low_of(vip)};

	return table_find(&m->groups, hash_of(m, ifindex, k.low), group_is, &k, sizeof(k));
}

/* -- memberships -- */

static int set_mld(int fd, int option, const struct group *g)
{
	struct ipv6_mreq req = {.ipv6mr_interface = g->ifindex};
	const uint8_t head[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};

	memcpy(req.ipv6mr_multiaddr.s6_addr, head, sizeof(head));
	req.ipv6mr_multiaddr.s6_addr[13] = (uint8_t)(g->low >> 16);
	req.ipv6mr_multiaddr.s6_addr[14] = (uint8_t)(g->low >> 8);
	req.ipv6mr_multiaddr.s6_addr[15] = (uint8_t)g->low;
	return setsockopt(fd, IPPROTO_IPV6, option, &req, sizeof(req)) == 0 ? 0 : -errno;
}

static int open_another(struct mcast *m)
{
	int fd;

	if (m->n_fd == SOCKETS_MAX)
		return -ENOBUFS;
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	m->fd[m->n_fd++] = fd;
	return 0;
}

static bool is_full(int err)
{
	return err == -ENOMEM || err == -ENOBUFS;
}

/* The last socket first: those before it were full, and may have room again. */
static int join_mld(struct mcast *m, struct group *g)
{
	int err = -ENOBUFS;

	if (m->n_mld >= GROUPS_MAX)
		return err;
	for (size_t i = m->n_fd; i-- > 0 && is_full(err);) {
		err = set_mld(m->fd[i], IPV6_JOIN_GROUP, g);
		g->socket = (int8_t)i;
	}
	if (!is_full(err))
		return err;
	err = open_another(m);
	if (err != 0)
		return err;
	g->socket = (int8_t)(m->n_fd - 1);
	return set_mld(m->fd[m->n_fd - 1], IPV6_JOIN_GROUP, g);
}

static int set_packet(
	struct mcast *m, int option, unsigned short type, unsigned ifindex, const uint8_t mac[6])
{
	struct packet_mreq req = {.mr_ifindex = (int)ifindex, .mr_type = type, .mr_alen = 6};

	memcpy(req.mr_address, mac, 6);
	if (m->packet == NO_SOCKET)
		m->packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */
	if (m->packet == NO_SOCKET)
		return -errno;
	return setsockopt(m->packet, SOL_PACKET, option, &req, sizeof(req)) == 0 ? 0 : -errno;
}

static int set_all(struct mcast *m, int option, const struct group *g)
{
	static const uint8_t none[6];

	return set_packet(m, option, PACKET_MR_ALLMULTI, g->ifindex, none);
}

/* Without IPv6 the kernel is not in the group of all nodes there either, where answers go. */
static int set_filter(struct mcast *m, int option, const struct group *g)
{
	static const uint8_t all_nodes[6] = {0x33, 0x33, 0, 0, 0, 1};
	const uint8_t mac[6] = {
		0x33, 0x33, 0xff, (uint8_t)(g->low >> 16), (uint8_t)(g->low >> 8), (uint8_t)g->low};
	int err = set_packet(m, option, PACKET_MR_MULTICAST, g->ifindex, all_nodes);

	if (err != 0)
		return err;
	err = set_packet(m, option, PACKET_MR_MULTICAST, g->ifindex, mac);
	if (err != 0 && option == PACKET_ADD_MEMBERSHIP)
		(void)set_packet(
			m, PACKET_DROP_MEMBERSHIP, PACKET_MR_MULTICAST, g->ifindex, all_nodes);
	return err;
}

static void say_all(struct mcast *m)
{
	if (!m->said_all)
		log_warn("ndp",
			"more multicast groups than the kernel gives: the interface takes all, and "
			"switches that follow MLD may not send what is for the groups left out",
			NULL);
	m->said_all = true;
}

static void join(struct mcast *m, struct group *g)
{
	int err = join_mld(m, g);

	g->how = HOW_NONE;
	if (err == 0) {
		g->how = HOW_MLD;
		m->n_mld++;
	} else if (is_full(err)) {
		err = set_all(m, PACKET_ADD_MEMBERSHIP, g);
		g->how = err == 0 ? HOW_ALL : HOW_NONE;
		say_all(m);
	} else {
		err = set_filter(m, PACKET_ADD_MEMBERSHIP, g);
		g->how = err == 0 ? HOW_FILTER : HOW_NONE;
	}
	if (err != 0 && err != -ENODEV && !m->said) {
		m->said = true;
		log_warn("ndp", "cannot join a multicast group", "err", strerror(-err), NULL);
	}
}

/* That the kernel knows it no longer (the interface is gone) is as good. */
static void leave(struct mcast *m, struct group *g)
{
	switch (g->how) {
	case HOW_NONE:
		break;
	case HOW_MLD:
		(void)set_mld(m->fd[g->socket], IPV6_LEAVE_GROUP, g);
		m->n_mld--;
		break;
	case HOW_FILTER:
		(void)set_filter(m, PACKET_DROP_MEMBERSHIP, g);
		break;
	case HOW_ALL:
		(void)set_all(m, PACKET_DROP_MEMBERSHIP, g);
		break;
	}
	g->how = HOW_NONE;
}

/* Is the interface up, with IPv6? */
static bool is_able(const struct iface_table *t, unsigned ifindex)
{
	const struct iface *i = iface_get(t, ifindex);

	if (i == NULL || !i->up)
		return false;
	for (size_t k = 0; k < i->n_addrs; k++)
		if (addr_is_link_local(i->addrs[k].addr))
			return true;
	return false;
}

/* -- verbs -- */

static struct group *add(
	struct mcast *m, const struct iface_table *t, unsigned ifindex, struct addr vip)
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->ifindex = ifindex;
	g->low = low_of(vip);
	g->hash = hash_of(m, ifindex, g->low);
	g->able = is_able(t, ifindex);
	if (table_add(&m->groups, g) < 0) {
		free(g);
		return NULL;
	}
	join(m, g);
	return g;
}

static void drop(struct mcast *m, struct group *g)
{
	leave(m, g);
	table_remove(&m->groups, g);
	free(g);
}

int mcast_hold(struct mcast *m, const struct iface_table *t, unsigned ifindex, struct addr vip)
{
	if (find(m, ifindex, vip) != NULL)
		return 0;
	if (add(m, t, ifindex, vip) == NULL)
		return -ENOMEM;
	m->n_held++;
	return 0;
}

void mcast_drop_held(struct mcast *m)
{
	struct group *g, *next;

	for (g = table_next(&m->groups, NULL); m->n_held > 0 && g != NULL; g = next) {
		next = table_next(&m->groups, g);
		if (g->refs == 0)
			drop(m, g);
	}
	m->n_held = 0;
}

int mcast_join(struct mcast *m, const struct iface_table *t, unsigned ifindex, struct addr vip)
{
	struct group *g = find(m, ifindex, vip);

	if (g == NULL)
		g = add(m, t, ifindex, vip);
	if (g == NULL) {
		m->uncounted = true;
		return -ENOMEM;
	}
	g->refs++;
	return 0;
}

void mcast_leave(struct mcast *m, unsigned ifindex, struct addr vip)
{
	struct group *g = find(m, ifindex, vip);

	if (g == NULL || m->uncounted)
		return;
	REQUIRE(g->refs > 0);
	if (--g->refs == 0)
		drop(m, g);
}

void mcast_sync(struct mcast *m, const struct iface_table *t)
{
	struct group *g = NULL;

	while ((g = table_next(&m->groups, g)) != NULL) {
		bool able = is_able(t, g->ifindex);

		if (g->how == HOW_NONE || (able && !g->able)) {
			leave(m, g);
			join(m, g);
		}
		g->able = able;
	}
}
