/* SPDX-License-Identifier: Apache-2.0
 *
 * iface.c - this node's interfaces and addresses, from rtnetlink messages.
 *
 * Owns: a table of links sorted by ifindex, each with its addresses in order of arrival.  No
 * socket. In:   buffers as read from a NETLINK_ROUTE socket -> iface_on_netlink(); a dump is framed
 * by iface_dump_begin() and iface_dump_end(), links and addresses may be two dumps in between. Out:
 * iface_get(), iface_named(), iface_next(); a generation number that moves with each change.
 * Sources: rtnetlink(7), linux/rtnetlink.h, RFC 2863 (operational state).
 * Not done: routes, but for those that were asked for; IFLA_ALT_IFNAME (configuration names the
 * kernel's own name); address lifetimes (the kernel sends RTM_DELADDR when one ends), but to
 * tell lbd's own addresses by.
 *
 * The messages come from our own kernel, yet they are decoded as if from outside: a length that
 * does not fit is -EBADMSG, never a read past the end.
 */
#include "iface.h"

#include "bytes.h"

#include <errno.h>
#include <string.h>

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

enum {
	MESSAGE_HEADER = 16,
	ATTR_HEADER = 4,
	ATTR_TYPE = 0x3fff, /* without the bits for nesting and byte order */
};

struct link {
	struct iface pub;         /* pub.addrs = addrs */
	struct iface_addr *addrs; /* owned */
	bool *addr_fresh;         /* owned; as many as addrs: named by the dump that is running */
	size_t addr_cap;
	bool fresh;
};

/* An address and the link of the route to it; 0 = none. */
struct reach {
	struct addr to;
	unsigned ifindex;
};

struct iface_table {
	struct reach *reach; /* owned */
	size_t n_reach;
	struct link **v; /* owned, and what it points to; sorted by ifindex */
	size_t n, cap;
	uint8_t gone[IFACE_MAX_GONE][6]; /* MACs */
	size_t n_gone;
	uint64_t generation;
	bool dumping;
	iface_bound_fn on_bound; /* NULL = nobody asks */
	void *on_bound_ctx;
};

/* One netlink message, header off. */
struct message {
	uint16_t type;
	struct rd body;
};

struct attribute {
	uint16_t type;
	struct rd body;
};

struct link_message {
	struct iface i; /* addrs and n_addrs unused */
	bool named;
	bool partial; /* a wireless event: RTM_NEWLINK with nothing of the link but its name */
	bool in_vrf;  /* its master is a VRF: a layer 3 matter, the link stays its own at layer 2 */
	uint8_t family; /* not AF_UNSPEC: about a bridge port or an inet6 device, not about the link
			 */
};

struct addr_message {
	unsigned ifindex;
	struct iface_addr a;
	uint32_t valid_s; /* UINT32_MAX = for ever */
	uint8_t proto;
	bool other_family;
};

/* -- the table -- */

struct iface_table *iface_new(void)
{
	return calloc(1, sizeof(struct iface_table));
}

static void free_link(struct link *l)
{
	free(l->addrs);
	free(l->addr_fresh);
	free(l);
}

void iface_free(struct iface_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		free_link(t->v[i]);
	free(t->v);
	free(t->reach);
	free(t);
}

/* The place of the first link whose ifindex is not below the given one. */
static size_t lower_bound(const struct iface_table *t, unsigned ifindex)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->v[mid]->pub.ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct link *find(const struct iface_table *t, unsigned ifindex)
{
	size_t at = lower_bound(t, ifindex);

	return at < t->n && t->v[at]->pub.ifindex == ifindex ? t->v[at] : NULL;
}

static int grow(struct iface_table *t)
{
	size_t cap = t->cap == 0 ? 16 : 2 * t->cap;
	struct link **v;

	if (t->n < t->cap)
		return 0;
	v = realloc(t->v, cap * sizeof(struct link *));
	if (v == NULL)
		return -ENOMEM;
	t->v = v;
	t->cap = cap;
	return 0;
}

static int insert(struct iface_table *t, unsigned ifindex, struct link **ret_l)
{
	size_t at = lower_bound(t, ifindex);
	struct link *l;

	if (t->n >= IFACE_MAX)
		return -E2BIG;
	if (grow(t) != 0)
		return -ENOMEM;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->pub.ifindex = ifindex;
	memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof(struct link *));
	t->v[at] = l;
	t->n++;
	*ret_l = l;
	return 0;
}

static void remember_gone(struct iface_table *t, const uint8_t mac[6])
{
	size_t at = 0;

	while (at < t->n_gone && memcmp(t->gone[at], mac, 6) != 0)
		at++;
	if (at == t->n_gone && t->n_gone < IFACE_MAX_GONE)
		t->n_gone++;
	else if (at == t->n_gone)
		at--;
	memmove(t->gone + 1, t->gone, at * sizeof t->gone[0]);
	memcpy(t->gone[0], mac, 6);
}

static void remove_at(struct iface_table *t, size_t at)
{
	const struct iface *i = &t->v[at]->pub;

	if (i->had_addr && iface_could_be_used(i))
		remember_gone(t, i->mac);
	free_link(t->v[at]);
	memmove(t->v + at, t->v + at + 1, (t->n - at - 1) * sizeof(struct link *));
	t->n--;
}

/* -- netlink framing -- */

/* Padding up to four bytes follows all but, at times, the last. */
static void skip_padding(struct rd *r, size_t len)
{
	size_t pad = (4 - len % 4) % 4, left = rd_left(r);

	rd_skip(r, pad < left ? pad : left);
}

static bool next_message(struct rd *r, struct message *ret_m)
{
	uint32_t len = rd_host32(r);

	ret_m->type = rd_host16(r);
	rd_skip(r, 2 + 4 + 4); /* flags, sequence, port: the reader's matter */
	if (r->bad || len < MESSAGE_HEADER)
		return false;
	ret_m->body = rd_sub(r, len - MESSAGE_HEADER);
	if (r->bad)
		return false;
	skip_padding(r, len);
	return true;
}

/* false at the end; r->bad when it ended within an attribute. */
static bool next_attribute(struct rd *r, struct attribute *ret_a)
{
	uint16_t len;

	if (rd_left(r) == 0)
		return false;
	len = rd_host16(r);
	ret_a->type = rd_host16(r) & ATTR_TYPE;
	if (r->bad || len < ATTR_HEADER) {
		r->bad = true;
		return false;
	}
	ret_a->body = rd_sub(r, (size_t)len - ATTR_HEADER);
	if (r->bad)
		return false;
	skip_padding(r, len);
	return true;
}

static bool read_u32(struct rd b, uint32_t *ret_v)
{
	uint32_t v = rd_host32(&b);

	if (!rd_done(&b))
		return false;
	*ret_v = v;
	return true;
}

/* A string with or without its NUL; false when it is empty or too long. */
static bool read_string(struct rd b, char *ret_s, size_t size)
{
	size_t n = rd_left(&b);
	const uint8_t *p = rd_bytes(&b, n);
	const uint8_t *nul = p != NULL && n > 0 ? memchr(p, '\0', n) : NULL;

	if (nul != NULL)
		n = (size_t)(nul - p);
	if (p == NULL || n == 0 || n >= size)
		return false;
	memset(ret_s, 0, size);
	memcpy(ret_s, p, n);
	return true;
}

/* -- links -- */

static bool decode_linkinfo(struct rd b, struct link_message *m)
{
	char slave_kind[IFACE_KINDLEN];
	struct attribute at;

	while (next_attribute(&b, &at)) {
		if (at.type == IFLA_INFO_KIND &&
			!read_string(at.body, m->i.kind, sizeof(m->i.kind)))
			return false;
		if (at.type == IFLA_INFO_SLAVE_KIND)
			m->in_vrf = read_string(at.body, slave_kind, sizeof(slave_kind)) &&
				    strcmp(slave_kind, "vrf") == 0;
	}
	return rd_done(&b);
}

static bool decode_address(struct rd b, struct link_message *m)
{
	m->i.ethernet = m->i.ethernet && rd_left(&b) == sizeof(m->i.mac);
	if (m->i.ethernet)
		rd_copy(&b, m->i.mac, sizeof(m->i.mac));
	return true;
}

/* RFC 2863: only up, and unknown for drivers that do not say, passes packets. */
static bool decode_operstate(struct rd b, struct link_message *m)
{
	uint8_t state = rd_u8(&b);

	m->i.up = m->i.up && (state == IF_OPER_UP || state == IF_OPER_UNKNOWN);
	return rd_done(&b);
}

static bool decode_link_attribute(const struct attribute *at, struct link_message *m)
{
	uint32_t u;

	switch (at->type) {
	case IFLA_IFNAME:
		m->named = true;
		return read_string(at->body, m->i.name, sizeof(m->i.name));
	case IFLA_ADDRESS:
		return decode_address(at->body, m);
	case IFLA_MTU:
		if (!read_u32(at->body, &u))
			return false;
		m->i.mtu = u;
		return true;
	case IFLA_MASTER:
		if (!read_u32(at->body, &u))
			return false;
		m->i.master = u;
		return true;
	case IFLA_OPERSTATE:
		return decode_operstate(at->body, m);
	case IFLA_LINKINFO:
		return decode_linkinfo(at->body, m);
	case IFLA_WIRELESS:
		m->partial = true;
		return true;
	default: /* the kernel has 60 more and adds some each year */
		return true;
	}
}

static void decode_flags(uint32_t flags, uint16_t type, struct iface *i)
{
	i->up = (flags & IFF_UP) != 0 && (flags & IFF_LOWER_UP) != 0;
	i->loopback = (flags & IFF_LOOPBACK) != 0;
	i->noarp = (flags & IFF_NOARP) != 0;
	i->broadcast = (flags & IFF_BROADCAST) != 0;
	i->ethernet = type == ARPHRD_ETHER; /* and an address of six bytes, to be seen */
}

static bool decode_link(struct rd b, struct link_message *ret_m)
{
	bool has_address = false;
	struct attribute at;
	uint32_t index;
	uint16_t type;

	memset(ret_m, 0, sizeof(*ret_m));
	ret_m->family = rd_u8(&b);
	rd_skip(&b, 1);
	type = rd_host16(&b);
	index = rd_host32(&b);
	decode_flags(rd_host32(&b), type, &ret_m->i);
	rd_skip(&b, 4); /* ifi_change */
	if (b.bad || index == 0 || index > INT32_MAX)
		return false;
	ret_m->i.ifindex = index;
	if (ret_m->family != AF_UNSPEC) /* attributes of their own */
		return true;
	while (next_attribute(&b, &at)) {
		has_address = has_address || at.type == IFLA_ADDRESS;
		if (!decode_link_attribute(&at, ret_m))
			return false;
	}
	ret_m->i.ethernet = ret_m->i.ethernet && has_address;
	if (ret_m->in_vrf)
		ret_m->i.master = 0;
	return rd_done(&b);
}

static bool same_link(const struct iface *a, const struct iface *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->kind, b->kind) == 0 &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->ethernet == b->ethernet &&
	       a->up == b->up && a->loopback == b->loopback && a->noarp == b->noarp &&
	       a->broadcast == b->broadcast && a->master == b->master && a->mtu == b->mtu;
}

static int new_link(struct iface_table *t, struct rd body)
{
	struct link_message m;
	struct link *l;
	bool known;
	int rc;

	if (!decode_link(body, &m))
		return -EBADMSG;
	if (m.family != AF_UNSPEC || m.partial)
		return 0;
	if (!m.named)
		return -EBADMSG;
	l = find(t, m.i.ifindex);
	known = l != NULL;
	if (!known) {
		rc = insert(t, m.i.ifindex, &l);
		if (rc != 0)
			return rc;
	}
	l->fresh = true;
	if (known && same_link(&l->pub, &m.i))
		return 0;
	m.i.addrs = l->addrs;
	m.i.n_addrs = l->pub.n_addrs;
	m.i.had_addr = l->pub.had_addr;
	memcpy(m.i.capture, l->pub.capture, sizeof m.i.capture);
	l->pub = m.i;
	return 1;
}

/* RTM_DELLINK of AF_BRIDGE says that a port left its bridge; the link lives on. */
static int del_link(struct iface_table *t, struct rd body)
{
	struct link_message m;

	if (!decode_link(body, &m))
		return -EBADMSG;
	if (m.family != AF_UNSPEC || find(t, m.i.ifindex) == NULL)
		return 0;
	remove_at(t, lower_bound(t, m.i.ifindex));
	return 1;
}

/* -- addresses -- */

static bool read_address(struct rd b, uint8_t family, struct addr *ret_a)
{
	uint8_t bytes[16];

	if (rd_left(&b) != (family == AF_INET ? 4U : 16U))
		return false;
	rd_copy(&b, bytes, rd_left(&b));
	*ret_a = family == AF_INET ? addr_from_v4(bytes) : addr_from_v6(bytes);
	return true;
}

/* IFA_LOCAL is ours; IFA_ADDRESS the same or, on a link with a peer, the peer's: the prefix length
 * belongs to IFA_ADDRESS.  IPv6 sends IFA_LOCAL only with a peer. */
struct addr_parts {
	struct addr local, address;
	bool has_local, has_address;
	uint32_t flags, valid_s;
	uint8_t proto;
};

/* struct ifa_cacheinfo */
static bool read_valid(struct rd b, uint32_t *ret_s)
{
	uint32_t v;

	rd_skip(&b, 4); /* preferred */
	v = rd_host32(&b);
	rd_skip(&b, 4 + 4); /* when it was made and changed */
	if (!rd_done(&b))
		return false;
	*ret_s = v;
	return true;
}

static bool read_u8(struct rd b, uint8_t *ret_v)
{
	uint8_t v = rd_u8(&b);

	if (!rd_done(&b))
		return false;
	*ret_v = v;
	return true;
}

static bool decode_addr_attributes(struct rd *b, uint8_t family, struct addr_parts *p)
{
	struct attribute at;
	bool ok = true;

	while (ok && next_attribute(b, &at)) {
		if (at.type == IFA_LOCAL)
			ok = p->has_local = read_address(at.body, family, &p->local);
		else if (at.type == IFA_ADDRESS)
			ok = p->has_address = read_address(at.body, family, &p->address);
		else if (at.type == IFA_FLAGS)
			ok = read_u32(at.body, &p->flags);
		else if (at.type == IFA_CACHEINFO)
			ok = read_valid(at.body, &p->valid_s);
		else if (at.type == IFA_PROTO)
			ok = read_u8(at.body, &p->proto);
	}
	return ok && rd_done(b);
}

/* ::ffff:10.0.0.1 can be put on an interface, and is no address of either family there. */
static bool is_mapped(struct addr a)
{
	return addr_family(a) == ADDR_V4;
}

static bool decode_addr(struct rd b, struct addr_message *ret_m)
{
	struct addr_parts p = {.valid_s = UINT32_MAX};
	uint8_t family, len;
	uint32_t index;

	family = rd_u8(&b);
	len = rd_u8(&b);
	p.flags = rd_u8(&b); /* the low eight; IFA_FLAGS has all */
	rd_skip(&b, 1);      /* scope: the address itself tells link-local */
	index = rd_host32(&b);
	ret_m->other_family = family != AF_INET && family != AF_INET6;
	if (b.bad || ret_m->other_family)
		return !b.bad;
	ret_m->ifindex = index;
	if (index == 0 || index > INT32_MAX)
		return false;
	if (len > (family == AF_INET ? 32 : 128) || !decode_addr_attributes(&b, family, &p) ||
		(!p.has_local && !p.has_address))
		return false;
	if (!p.has_local)
		p.local = p.address;
	if (!p.has_address)
		p.address = p.local;
	if (family == AF_INET6 && (is_mapped(p.local) || is_mapped(p.address))) {
		ret_m->other_family = true;
		return true;
	}
	ret_m->a.addr = p.local;
	ret_m->a.subnet = addr_prefix_of(p.address, len);
	ret_m->a.deprecated = (p.flags & IFA_F_DEPRECATED) != 0;
	ret_m->a.tentative = (p.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
	ret_m->valid_s = p.valid_s;
	ret_m->proto = p.proto;
	return true;
}

/* The kernel tells addresses apart by address and subnet: 10.0.0.1/24 and 10.0.0.1/16 are two. */
static size_t find_addr(const struct link *l, const struct iface_addr *a)
{
	size_t i;

	for (i = 0; i < l->pub.n_addrs; i++)
		if (addr_eq(l->addrs[i].addr, a->addr) && l->addrs[i].subnet.len == a->subnet.len &&
			addr_eq(l->addrs[i].subnet.base, a->subnet.base))
			break;
	return i;
}

static int grow_addrs(struct link *l)
{
	size_t cap = l->addr_cap == 0 ? 4 : 2 * l->addr_cap;
	struct iface_addr *addrs;
	bool *fresh;

	if (l->pub.n_addrs < l->addr_cap)
		return 0;
	addrs = realloc(l->addrs, cap * sizeof(*addrs));
	if (addrs == NULL)
		return -ENOMEM;
	l->addrs = addrs;
	l->pub.addrs = addrs;
	fresh = realloc(l->addr_fresh, cap * sizeof(*fresh));
	if (fresh == NULL)
		return -ENOMEM;
	l->addr_fresh = fresh;
	l->addr_cap = cap;
	return 0;
}

static void remove_addr(struct link *l, size_t at)
{
	size_t after = l->pub.n_addrs - at - 1;

	memmove(l->addrs + at, l->addrs + at + 1, after * sizeof(*l->addrs));
	memmove(l->addr_fresh + at, l->addr_fresh + at + 1, after * sizeof(*l->addr_fresh));
	l->pub.n_addrs--;
}

/* Did lbd put it there?  A kernel before 5.18 keeps no protocol number: then by its lifetime. */
static bool is_bound(const struct addr_message *m)
{
	unsigned full = addr_family(m->a.addr) == ADDR_V4 ? 32 : 128;

	return m->proto == IFACE_PROTO_LBD ||
	       (m->proto == 0 && m->a.subnet.len == full && m->valid_s <= IFACE_BOUND_S);
}

static void tell_bound(const struct iface_table *t, const struct addr_message *m, bool there)
{
	if (t->on_bound != NULL)
		t->on_bound(t->on_bound_ctx, m->ifindex, m->a.addr, there,
			m->proto == IFACE_PROTO_LBD);
}

static int new_addr(struct iface_table *t, struct rd body)
{
	struct addr_message m = {0};
	struct iface_addr *have;
	struct link *l;
	size_t at;

	if (!decode_addr(body, &m))
		return -EBADMSG;
	l = find(t, m.ifindex);
	if (m.other_family || l == NULL)
		return 0;
	at = find_addr(l, &m.a);
	if (at < l->pub.n_addrs) {
		have = &l->addrs[at];
		l->addr_fresh[at] = true;
		if (have->deprecated == m.a.deprecated && have->tentative == m.a.tentative)
			return 0;
		*have = m.a;
		return 1;
	}
	if (is_bound(&m)) {
		tell_bound(t, &m, true);
		return 0;
	}
	if (strcmp(l->pub.name, IFACE_IPVS) == 0)
		return 0;
	if (at >= IFACE_MAX_ADDRS)
		return -E2BIG;
	if (grow_addrs(l) != 0)
		return -ENOMEM;
	l->addrs[at] = m.a;
	l->addr_fresh[at] = true;
	l->pub.n_addrs++;
	l->pub.had_addr |= !addr_is_link_local(m.a.addr);
	return 1;
}

static int del_addr(struct iface_table *t, struct rd body)
{
	struct addr_message m = {0};
	struct link *l;
	size_t at;

	if (!decode_addr(body, &m))
		return -EBADMSG;
	l = find(t, m.ifindex);
	if (m.other_family || l == NULL)
		return 0;
	at = find_addr(l, &m.a);
	if (at == l->pub.n_addrs) {
		if (is_bound(&m))
			tell_bound(t, &m, false);
		return 0;
	}
	remove_addr(l, at);
	return 1;
}

void iface_on_bound(struct iface_table *t, iface_bound_fn fn, void *ctx)
{
	t->on_bound = fn;
	t->on_bound_ctx = ctx;
}

/* -- routes that were asked for -- */

static struct reach *find_reach(const struct iface_table *t, struct addr a)
{
	for (size_t i = 0; i < t->n_reach; i++)
		if (addr_eq(t->reach[i].to, a))
			return &t->reach[i];
	return NULL;
}

int iface_set_reach(struct iface_table *t, const struct addr *v, size_t n)
{
	struct reach *old = t->reach, *reach;

	if (n > IFACE_MAX_REACH)
		return -E2BIG;
	reach = calloc(n + 1, sizeof *reach);
	if (reach == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		reach[i] = (struct reach){v[i], iface_reach(t, v[i])};
	t->reach = reach;
	t->n_reach = 0;
	for (size_t i = 0; i < n; i++)
		if (find_reach(t, v[i]) == NULL)
			reach[t->n_reach++] = reach[i];
	free(old);
	return 0;
}

bool iface_reach_at(const struct iface_table *t, size_t i, struct addr *ret_a)
{
	if (i >= t->n_reach)
		return false;
	*ret_a = t->reach[i].to;
	return true;
}

static int set_route(struct reach *r, unsigned ifindex)
{
	bool changed = r->ifindex != ifindex;

	r->ifindex = ifindex;
	return changed;
}

void iface_reach_lost(struct iface_table *t, size_t i)
{
	if (i < t->n_reach)
		t->generation += (uint64_t)set_route(&t->reach[i], 0);
}

unsigned iface_reach(const struct iface_table *t, struct addr a)
{
	const struct reach *r = find_reach(t, a);

	return r != NULL ? r->ifindex : 0;
}

/* The answer to a look-up names the address itself as destination, at full length. */
static int new_route(struct iface_table *t, struct rd body)
{
	uint8_t family = rd_u8(&body), len = rd_u8(&body), type;
	bool ok = true, has_to = false;
	struct attribute at;
	uint32_t oif = 0;
	struct addr to;
	struct reach *r;

	rd_skip(&body, 1 + 1 + 1 + 1 + 1); /* source length, TOS, table, protocol, scope */
	type = rd_u8(&body);
	rd_skip(&body, 4); /* flags */
	if (body.bad)
		return -EBADMSG;
	if ((family != AF_INET && family != AF_INET6) || len != (family == AF_INET ? 32 : 128))
		return 0;
	while (ok && next_attribute(&body, &at)) {
		if (at.type == RTA_DST)
			ok = has_to = read_address(at.body, family, &to);
		else if (at.type == RTA_OIF)
			ok = read_u32(at.body, &oif);
	}
	if (!ok || !rd_done(&body))
		return -EBADMSG;
	r = has_to ? find_reach(t, to) : NULL;
	return r != NULL ? set_route(r, type == RTN_UNICAST ? oif : 0) : 0;
}

/* -- entry points -- */

static int apply(struct iface_table *t, const struct message *m)
{
	switch (m->type) {
	case RTM_NEWLINK:
		return new_link(t, m->body);
	case RTM_DELLINK:
		return del_link(t, m->body);
	case RTM_NEWADDR:
		return new_addr(t, m->body);
	case RTM_DELADDR:
		return del_addr(t, m->body);
	case RTM_NEWROUTE:
		return new_route(t, m->body);
	default: /* NLMSG_DONE, NLMSG_ERROR, and groups we did not ask for */
		return 0;
	}
}

int iface_on_netlink(struct iface_table *t, const void *buf, size_t len)
{
	struct rd r = {.p = buf, .end = len == 0 ? buf : (const uint8_t *)buf + len};
	int changed = 0, failed = 0;

	while (rd_left(&r) > 0) {
		struct message m;
		int rc = next_message(&r, &m) ? apply(t, &m) : -EBADMSG;

		if (rc == -EBADMSG)
			return rc;
		if (rc < 0) {
			failed = rc;
			continue;
		}
		changed += rc;
		t->generation += (uint64_t)rc;
	}
	return failed != 0 ? failed : changed;
}

void iface_dump_begin(struct iface_table *t)
{
	t->dumping = true;
	for (size_t i = 0; i < t->n; i++) {
		struct link *l = t->v[i];

		l->fresh = false;
		if (l->pub.n_addrs > 0)
			memset(l->addr_fresh, 0, l->pub.n_addrs * sizeof(*l->addr_fresh));
	}
}

static bool sweep_addrs(struct link *l)
{
	bool removed = false;

	for (size_t i = l->pub.n_addrs; i-- > 0;)
		if (!l->addr_fresh[i]) {
			remove_addr(l, i);
			removed = true;
		}
	return removed;
}

bool iface_dump_end(struct iface_table *t)
{
	bool removed = false;

	if (!t->dumping)
		return false;
	t->dumping = false;
	for (size_t i = t->n; i-- > 0;) {
		if (!t->v[i]->fresh) {
			remove_at(t, i);
			removed = true;
		} else if (sweep_addrs(t->v[i])) {
			removed = true;
		}
	}
	if (removed)
		t->generation++;
	return removed;
}

void iface_set_capture(struct iface_table *t, unsigned ifindex, enum addr_family family,
	enum iface_capture capture)
{
	struct link *l = find(t, ifindex);

	if (l == NULL || l->pub.capture[family] == capture)
		return;
	l->pub.capture[family] = capture;
	t->generation++;
}

const struct iface *iface_get(const struct iface_table *t, unsigned ifindex)
{
	const struct link *l = find(t, ifindex);

	return l != NULL ? &l->pub : NULL;
}

const struct iface *iface_named(const struct iface_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i]->pub.name, name) == 0)
			return &t->v[i]->pub;
	return NULL;
}

const struct iface *iface_next(const struct iface_table *t, const struct iface *i)
{
	size_t at = i == NULL ? 0 : lower_bound(t, i->ifindex + 1);

	return at < t->n ? &t->v[at]->pub : NULL;
}

const uint8_t *iface_gone_mac(const struct iface_table *t, size_t i)
{
	return i < t->n_gone ? t->gone[i] : NULL;
}

uint64_t iface_generation(const struct iface_table *t)
{
	return t->generation;
}

bool iface_could_be_used(const struct iface *i)
{
	return i->ethernet && i->broadcast && !i->noarp && !i->loopback && i->master == 0;
}

bool iface_is_usable(const struct iface *i)
{
	return i->up && iface_could_be_used(i);
}

bool iface_has_subnet_of(const struct iface *i, struct addr a)
{
	for (size_t k = 0; k < i->n_addrs; k++)
		if (addr_prefix_contains(i->addrs[k].subnet, a))
			return true;
	return false;
}
