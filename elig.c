/* SPDX-License-Identifier: Apache-2.0
 *
 * elig.c - may a node announce a VIP group on layer 2, and on which interfaces.
 *
 * Owns: the verdicts of a struct elig_set.  Every answer is computed from the configuration and the
 *       picture.
 * In:   config, cluster, vip table, this node's interfaces.
 * Out:  struct elig.
 * Source: OWNERSHIP R1, R11; MetalLB speaker/layer2_controller.go (ShouldAnnounce) for the order of
 *         selectors, weights and endpoints.
 *
 * Not done: a group with several Local Services wants an endpoint of each here; where
 * no node has them all, nobody is eligible (OWNERSHIP F34 asks for "most").
 */
#include "elig.h"

#include "table.h"

#include <errno.h>
#include <string.h>

/* One judgement under way. */
struct judging {
	const struct elig_input *in;
	const struct cluster_node *node;
	bool self;
	const char *subnets; /* of another node; NULL = unknown */
	struct elig *e;
	unsigned vip; /* under judgement: the how manieth of the group's */
	bool overflow;
	bool heard;   /* the VIP under judgement, on one of its paths */
	bool opening; /* one is not, yet, on any */
};

static bool selects_service(
	const struct elig_input *in, const struct config_l2_advertisement *ad, const struct vip *v)
{
	if (ad->service_selectors.n == 0)
		return true;
	for (size_t i = 0; i < v->n_holders; i++) {
		struct cluster_service s;

		if (!vip_holder(v, i).doubled &&
			cluster_service(in->cluster, vip_holder(v, i).key, &s) &&
			label_matches_any(&ad->service_selectors, &s.labels))
			return true;
	}
	return false;
}

static bool ad_applies(
	const struct judging *j, const struct config_l2_advertisement *ad, const struct vip *v)
{
	const struct config_pool *pool = vip_pool(j->in->vips, j->in->conf, j->in->cluster, v);

	return config_l2_selects_pool(ad, pool) &&
	       label_matches_any(&ad->node_selectors, &j->node->labels) &&
	       selects_service(j->in, ad, v);
}

static size_t count_ads(const struct elig_input *in)
{
	return in->conf->n_l2_advertisements + in->conf->n_l2_orphans;
}

/* Why no layer 2 advertisement applies to v. */
static enum reason unadvertised(const struct elig_input *in, const struct vip *v)
{
	const struct config *c = in->conf;
	const struct config_pool *pool = vip_pool(in->vips, c, in->cluster, v);

	for (size_t i = 0; i < count_ads(in); i++)
		if (config_l2_selects_pool(&c->l2_advertisements[i], pool))
			return REASON_NO_ADVERTISEMENT;
	for (size_t i = 0; i < c->n_bgp_advertisements; i++)
		if (config_bgp_selects_pool(&c->bgp_advertisements[i], pool))
			return REASON_BGP_ONLY;
	return REASON_NO_ADVERTISEMENT;
}

/* -- interfaces -- */

/* Is a within one of the prefixes of "10.0.0.0/24,fd00::/64"?  A word that is no prefix is none. */
static bool subnets_contain(const char *text, struct addr a)
{
	while (*text != '\0') {
		size_t n = strcspn(text, ",");
		struct addr_prefix p;

		if (addr_prefix_parse(text, n, &p, NULL) == 0 && addr_prefix_contains(p, a))
			return true;
		text += n;
		text += *text == ',';
	}
	return false;
}

/* Does another member publish a subnet that holds a? */
static bool others_have_subnet(const struct elig_input *in, struct addr a)
{
	const struct cluster_lease *l = NULL;

	while ((l = cluster_next_lease(in->cluster, l)) != NULL)
		if (l->role == CLUSTER_LEASE_NODE && l->subnets != NULL && l->node != NULL &&
			l->holder != NULL && l->holder[0] != '\0' &&
			strcmp(l->node, in->node) != 0 && subnets_contain(l->subnets, a))
			return true;
	return false;
}

/* The on-link subnet of i that holds a: the longest. */
static const struct addr_prefix *subnet_of(const struct iface *i, struct addr a)
{
	const struct addr_prefix *best = NULL;

	for (size_t k = 0; k < i->n_addrs; k++) {
		const struct addr_prefix *p = &i->addrs[k].subnet;

		if (addr_prefix_contains(*p, a) && (best == NULL || p->len > best->len))
			best = p;
	}
	return best;
}

static bool excluded(const struct config_l2_advertisement *ad, const struct iface *i)
{
	return config_name_matches(&ad->exclude_interfaces, i->name);
}

/* One that cannot be listened on is as one that is down: who hears no question answers none. */
static bool can_announce(const struct iface *i, struct addr a)
{
	return iface_is_usable(i) && i->capture[addr_family(a)] != IFACE_DEAF;
}

/* Does an interface with a lower index already serve the subnet?  A second NIC in one segment would
 * hear the first one's announcements as another host's (OWNERSHIP F32). */
static bool subnet_served(const struct elig_input *in, const struct config_l2_advertisement *ad,
	const struct iface *i, struct addr a)
{
	const struct addr_prefix *mine = subnet_of(i, a);
	const struct iface *k = NULL;

	if (addr_is_link_local(a))
		return false; /* every link has this subnet, and each is one of its own */
	while ((k = iface_next(in->ifaces, k)) != NULL && k->ifindex < i->ifindex) {
		const struct addr_prefix *p = subnet_of(k, a);

		if (p != NULL && p->len == mine->len && addr_eq(p->base, mine->base) &&
			can_announce(k, a) && !excluded(ad, k))
			return true;
	}
	return false;
}

/* Does the advertisement name i, or an address whose route leaves by it? */
static bool names_interface(const struct elig_input *in, const struct config_l2_advertisement *ad,
	const struct iface *i)
{
	struct addr a;

	if (config_name_matches(&ad->interfaces, i->name))
		return true;
	for (size_t k = 0; k < ad->interfaces.n; k++)
		if (config_can_reach(ad->interfaces.v[k], &a) &&
			iface_reach(in->ifaces, a) == i->ifindex)
			return true;
	return false;
}

static bool ad_uses(const struct elig_input *in, const struct config_l2_advertisement *ad,
	const struct iface *i, struct addr a)
{
	if (!can_announce(i, a))
		return false;
	if (ad->interfaces.n > 0)
		return names_interface(in, ad, i);
	return !excluded(ad, i) && iface_has_subnet_of(i, a) && !subnet_served(in, ad, i, a);
}

static void add_path(struct judging *j, unsigned ifindex, bool bind)
{
	struct elig *e = j->e;
	size_t at = e->n_paths;

	/* Interfaces come in order of ifindex for each advertisement; keep all in order. */
	while (at > 0 && e->paths[at - 1].vip == j->vip && e->paths[at - 1].ifindex >= ifindex)
		at--;
	if (at < e->n_paths && e->paths[at].ifindex == ifindex) {
		e->paths[at].bind |= bind;
		return;
	}
	if (e->n_paths == ELIG_MAX_PATHS) {
		j->overflow = true;
		return;
	}
	memmove(&e->paths[at + 1], &e->paths[at], (e->n_paths - at) * sizeof e->paths[0]);
	e->paths[at] = (struct elig_path){
		.vip = j->vip & INT32_MAX, .bind = bind, .ifindex = ifindex};
	e->n_paths++;
}

/* The interfaces that one advertisement gives the VIP under judgement on this node; returns whether
 * there is any. */
static bool add_paths(
	struct judging *j, const struct config_l2_advertisement *ad, const struct vip *v, bool any)
{
	const struct iface *i = NULL;
	bool found = false;

	while ((i = iface_next(j->in->ifaces, i)) != NULL) {
		if (any ? !can_announce(i, v->addr) || excluded(ad, i)
			: !ad_uses(j->in, ad, i, v->addr))
			continue;
		add_path(j, i->ifindex, ad->bind_address);
		j->heard |= i->capture[addr_family(v->addr)] == IFACE_HEARD;
		found = true;
	}
	return found;
}

/* Another node: what it publishes, as far as that goes. */
static bool other_carries(
	struct judging *j, const struct config_l2_advertisement *ad, const struct vip *v)
{
	return ad->interfaces.n > 0 || j->subnets == NULL || subnets_contain(j->subnets, v->addr);
}

/* One VIP: REASON_OWNER when it can be announced from the node. */
static enum reason judge_vip(struct judging *j, const struct vip *v)
{
	const struct config *c = j->in->conf;
	const struct config_l2_advertisement *by_subnet = NULL;
	bool applies = false, carried = false;

	j->heard = !j->self;
	for (size_t i = 0; i < count_ads(j->in); i++) {
		const struct config_l2_advertisement *ad = &c->l2_advertisements[i];

		if (!ad_applies(j, ad, v))
			continue;
		applies = true;
		if (ad->interfaces.n == 0)
			by_subnet = ad;
		if (j->self ? add_paths(j, ad, v, false) : other_carries(j, ad, v))
			carried = true;
	}
	if (!applies)
		return unadvertised(j->in, v);
	if (carried)
		return REASON_OWNER;
	/* Nobody has the subnet: any interface will do (MetalLB's way), with a warning. */
	if (by_subnet == NULL || others_have_subnet(j->in, v->addr))
		return REASON_NO_INTERFACE;
	if (j->self && !add_paths(j, by_subnet, v, true))
		return REASON_NO_INTERFACE;
	j->e->off_subnet = true;
	return REASON_OWNER;
}

/* All advertised VIPs of the group must be carried: they move together. */
static enum reason judge_vips(struct judging *j, const struct vip_group *g)
{
	enum reason why = REASON_NO_ADVERTISEMENT, r;
	bool carried = false;

	for (size_t i = 0; i < g->n_vips; i++) {
		j->vip = (unsigned)i;
		r = judge_vip(j, vip_member(g, i));
		if (r == REASON_OWNER) {
			carried = true;
			j->opening |= !j->heard;
		} else if (r == REASON_NO_INTERFACE) {
			return r;
		} else if (r == REASON_BGP_ONLY) {
			why = r;
		}
	}
	if (j->overflow)
		return REASON_NOT_SERVED;
	return carried ? REASON_OWNER : why;
}

/* -- the rest -- */

static enum reason judge_endpoints(
	const struct elig_input *in, const struct vip_group *g, const char *node)
{
	bool ready = false, missing = false;

	for (size_t i = 0; i < g->n_services; i++) {
		struct cluster_service s;
		struct cluster_endpoints n;

		if (!cluster_service(in->cluster, vip_service(g, i), &s))
			continue;
		n = cluster_endpoints(in->cluster, s.key, node);
		if (n.ready == 0)
			continue;
		ready = true;
		if (s.local && n.ready_on_node == 0)
			missing = true;
	}
	if (!ready)
		return REASON_NO_ENDPOINTS;
	return missing ? REASON_NO_LOCAL_ENDPOINTS : REASON_OWNER;
}

/* MetalLB sums the weights of all advertisements that apply. */
static unsigned weight(const struct judging *j, const struct vip_group *g)
{
	const struct config *c = j->in->conf;
	unsigned sum = 0;

	for (size_t i = 0; i < count_ads(j->in); i++) {
		const struct config_l2_advertisement *ad = &c->l2_advertisements[i];
		bool applies = false;

		for (size_t k = 0; ad->n_preferred_node_selectors > 0 && k < g->n_vips && !applies;
			k++)
			applies = ad_applies(j, ad, vip_member(g, k));
		for (size_t k = 0; applies && k < ad->n_preferred_node_selectors; k++)
			if (label_matches(
				    &ad->preferred_node_selectors[k].preference, &j->node->labels))
				sum += ad->preferred_node_selectors[k].weight;
	}
	return sum;
}

/* Reasons that leave no path first, those that may pass after. */
static void judge(struct judging *j, const struct vip_group *g, const char *node)
{
	struct elig *e = j->e;

	e->reason = REASON_OWNER;
	e->off_subnet = false;
	e->weight = 0;
	e->n_paths = 0;
	j->node = cluster_node(j->in->cluster, node);
	if (j->node == NULL) {
		e->reason = REASON_NO_NODE;
		return;
	}
	e->reason = judge_vips(j, g);
	if (e->reason != REASON_OWNER) {
		e->n_paths = 0;
		return;
	}
	e->weight = weight(j, g);
	if (j->node->network_unavailable)
		e->reason = REASON_NETWORK_UNAVAILABLE;
	else if (j->node->excluded)
		e->reason = REASON_NODE_EXCLUDED;
	else
		e->reason = judge_endpoints(j->in, g, node);
	if (e->reason == REASON_OWNER && j->opening)
		e->reason = REASON_NOT_LISTENING;
}

void elig_judge_self(const struct elig_input *in, const struct vip_group *g, struct elig *ret_e)
{
	struct judging j = {.in = in, .self = true, .e = ret_e};

	judge(&j, g, in->node);
}

void elig_judge_other(const struct elig_input *in, const struct vip_group *g, const char *node,
	const char *subnets, struct elig *ret_e)
{
	struct judging j = {.in = in, .subnets = subnets, .e = ret_e};

	judge(&j, g, node);
}

const struct config_l2_advertisement *elig_next_advertisement(
	const struct elig_input *in, const struct vip *v, const struct config_l2_advertisement *ad)
{
	const struct config_l2_advertisement *end = in->conf->l2_advertisements + count_ads(in);
	struct judging j = {.in = in, .node = cluster_node(in->cluster, in->node)};

	if (j.node == NULL)
		return NULL;
	for (ad = ad == NULL ? in->conf->l2_advertisements : ad + 1; ad < end; ad++)
		if (ad_applies(&j, ad, v))
			return ad;
	return NULL;
}

bool elig_equal(const struct elig *a, const struct elig *b)
{
	if (a->reason != b->reason || a->off_subnet != b->off_subnet || a->weight != b->weight ||
		a->n_paths != b->n_paths)
		return false;
	for (size_t i = 0; i < a->n_paths; i++)
		if (a->paths[i].ifindex != b->paths[i].ifindex ||
			a->paths[i].vip != b->paths[i].vip ||
			a->paths[i].bind != b->paths[i].bind)
			return false;
	return true;
}

/* -- verdicts that are kept -- */

struct kept {
	uint32_t hash, refs;
	struct elig e; /* as long as its paths need */
};

struct elig_set {
	struct hash_key hkey;
	struct table kept; /* owned */
};

struct elig_set *elig_set_new(const struct hash_key *hkey)
{
	struct elig_set *s = calloc(1, sizeof *s);

	if (s != NULL)
		s->hkey = *hkey;
	return s;
}

void elig_set_free(struct elig_set *s)
{
	if (s == NULL)
		return;
	table_free_all(&s->kept);
	free(s);
}

static bool kept_is(const void *elt, const void *key, size_t len)
{
	(void)len;
	return elig_equal(&((const struct kept *)elt)->e, key);
}

static uint32_t hash_of(const struct elig_set *s, const struct elig *e)
{
	uint32_t head = ((uint32_t)e->reason * 2 + e->off_subnet) * 31 + e->weight;

	return hash_bytes(&s->hkey, e->paths, e->n_paths * sizeof e->paths[0]) + head;
}

static struct kept *kept_new(struct elig_set *s, const struct elig *e, uint32_t hash)
{
	size_t size = offsetof(struct elig, paths) + e->n_paths * sizeof e->paths[0];
	struct kept *k = malloc(offsetof(struct kept, e) + size);

	if (k == NULL)
		return NULL;
	k->hash = hash;
	k->refs = 0;
	memcpy(&k->e, e, size);
	if (table_add(&s->kept, k) < 0) {
		free(k);
		return NULL;
	}
	return k;
}

const struct elig *elig_set_keep(struct elig_set *s, const struct elig *e)
{
	uint32_t hash = hash_of(s, e);
	struct kept *k = table_find(&s->kept, hash, kept_is, e, 0);

	if (k == NULL)
		k = kept_new(s, e, hash);
	if (k == NULL)
		return NULL;
	k->refs++;
	return &k->e;
}

void elig_set_drop(struct elig_set *s, const struct elig *e)
{
	struct kept *k;

	if (e == NULL)
		return;
	k = table_find(&s->kept, hash_of(s, e), kept_is, e, 0);
	REQUIRE(k != NULL && &k->e == e);
	if (--k->refs > 0)
		return;
	table_remove(&s->kept, k);
	free(k);
}

size_t elig_set_count(const struct elig_set *s)
{
	return s->kept.live;
}

/* -- where to listen -- */

static bool carries_range(const struct iface *i, const struct addr_range *r)
{
	for (size_t k = 0; k < i->n_addrs; k++)
		if (addr_range_overlaps(addr_prefix_range(i->addrs[k].subnet), *r))
			return true;
	return false;
}

/* Is there a usable, not excluded interface with a subnet of r? */
static bool is_on_link(const struct elig_input *in, const struct config_l2_advertisement *ad,
	const struct addr_range *r)
{
	const struct iface *i = NULL;

	while ((i = iface_next(in->ifaces, i)) != NULL)
		if (iface_is_usable(i) && !excluded(ad, i) && carries_range(i, r))
			return true;
	return false;
}

/* One question of elig_interfaces(). */
struct listening {
	const struct elig_input *in;
	const struct config_l2_advertisement *ad;
	bool family[ADDR_FAMILIES]; /* of interest */
	const struct iface *i;
};

/* On the interfaces that the advertisement names; else on those in the range's subnet, or on all
 * when there is none. */
static bool range_listens(const struct listening *q, const struct addr_range *r)
{
	if (!q->family[addr_family(r->first)])
		return false;
	if (q->ad->interfaces.n > 0)
		return true;
	return carries_range(q->i, r) || !is_on_link(q->in, q->ad, r);
}

static bool has_orphans(const struct elig_input *in)
{
	const struct retired *kept = vip_retired(in->vips);

	return kept != NULL && retired_count(kept) > 0;
}

/* For an address that is kept although no pool has it. */
static bool kept_listens(const struct listening *q)
{
	const struct retired *kept = vip_retired(q->in->vips);
	const void *at = NULL;
	const char *pool;
	struct addr x;

	while (kept != NULL && retired_next(kept, &at, &x, &pool)) {
		const struct addr_range r = {x, x};

		if (config_l2_selects_pool(q->ad, config_pool_named(q->in->conf, pool)) &&
			range_listens(q, &r))
			return true;
	}
	return false;
}

static bool ad_listens(const struct listening *q)
{
	const struct config *c = q->in->conf;

	if (q->ad->for_orphans && !has_orphans(q->in))
		return false;
	if (q->ad->interfaces.n > 0 ? !names_interface(q->in, q->ad, q->i) : excluded(q->ad, q->i))
		return false;
	for (size_t p = 0; p < c->n_pools; p++) {
		if (!config_l2_selects_pool(q->ad, &c->pools[p]))
			continue;
		for (size_t r = 0; r < c->pools[p].n_ranges; r++)
			if (range_listens(q, &c->pools[p].ranges[r]))
				return true;
	}
	return kept_listens(q);
}

static bool listens(struct listening *q)
{
	for (size_t k = 0; iface_is_usable(q->i) && k < count_ads(q->in); k++) {
		q->ad = &q->in->conf->l2_advertisements[k];
		if (ad_listens(q))
			return true;
	}
	return false;
}

static size_t list_listening(struct listening *q, unsigned *ret_ifindex, size_t max)
{
	size_t n = 0;

	while (n < max && (q->i = iface_next(q->in->ifaces, q->i)) != NULL)
		if (listens(q))
			ret_ifindex[n++] = q->i->ifindex;
	return n;
}

size_t elig_interfaces(const struct elig_input *in, unsigned *ret_ifindex, size_t max)
{
	struct listening q = {.in = in, .family = {[ADDR_V4] = true, [ADDR_V6] = true}};

	return list_listening(&q, ret_ifindex, max);
}

size_t elig_interfaces_of(
	const struct elig_input *in, enum addr_family family, unsigned *ret_ifindex, size_t max)
{
	struct listening q = {.in = in};

	q.family[family] = true;
	return list_listening(&q, ret_ifindex, max);
}

/* -- what the node publishes of itself -- */

bool elig_is_meeting_place(const struct addr_prefix *p)
{
	if (addr_family(p->base) == ADDR_V4)
		return p->len < 32;
	return p->len < 128 && !addr_is_link_local(p->base);
}

static void add_subnet(struct buf *out, const struct addr_prefix *p, const struct addr *host)
{
	char text[ADDR_PREFIX_STRLEN];

	if (out->len > 0)
		buf_addc(out, ',');
	if (host != NULL)
		buf_addf(out, "%s/%u", addr_format(*host, text), p->len);
	else
		buf_adds(out, addr_prefix_format(*p, text));
}

/* Each subnet once; hosts: as the first address in it. */
static int subnets_text(const struct iface_table *ifaces, bool hosts, struct buf *out)
{
	struct addr_prefix seen[ELIG_MAX_SUBNETS];
	const struct iface *i = NULL;
	size_t n = 0, k;

	while ((i = iface_next(ifaces, i)) != NULL) {
		for (size_t a = 0; iface_is_usable(i) && a < i->n_addrs; a++) {
			const struct addr_prefix *p = &i->addrs[a].subnet;

			for (k = 0; k < n; k++)
				if (seen[k].len == p->len && addr_eq(seen[k].base, p->base))
					break;
			if (k < n || n == ELIG_MAX_SUBNETS || i->addrs[a].tentative ||
				!elig_is_meeting_place(p))
				continue;
			seen[n++] = *p;
			add_subnet(out, p, hosts ? &i->addrs[a].addr : NULL);
		}
	}
	return out->bad ? -ENOMEM : 0;
}

int elig_addresses_text(const struct iface_table *ifaces, struct buf *out)
{
	return subnets_text(ifaces, true, out);
}

int elig_subnets_text(const struct iface_table *ifaces, struct buf *out)
{
	return subnets_text(ifaces, false, out);
}

/* One entry for each MAC; returns false when there is no more room. */
static bool add_mac(
	const char *name, const uint8_t m[6], uint8_t (*seen)[6], size_t *n, struct buf *out)
{
	for (size_t k = 0; k < *n; k++)
		if (memcmp(seen[k], m, 6) == 0)
			return true;
	if (*n == ELIG_MAX_MACS)
		return false;
	memcpy(seen[(*n)++], m, 6);
	buf_addf(out, "%s%s=%02x:%02x:%02x:%02x:%02x:%02x", *n > 1 ? "," : "", name, m[0], m[1], m[2],
		m[3], m[4], m[5]);
	return true;
}

int elig_macs_text(const struct iface_table *ifaces, struct buf *out)
{
	uint8_t seen[ELIG_MAX_MACS][6];
	const struct iface *i = NULL;
	const uint8_t *gone;
	size_t n = 0;

	/* Interfaces with an address first: pods' veths have none, and there may be hundreds.  Those
	 * that are down or gone, too: when one is back the API may be away, and others must know it. */
	while ((i = iface_next(ifaces, i)) != NULL)
		if (iface_could_be_used(i) && (i->n_addrs > 0 || i->had_addr) &&
			!add_mac(i->name, i->mac, seen, &n, out))
			break;
	for (size_t k = 0; (gone = iface_gone_mac(ifaces, k)) != NULL; k++)
		if (!add_mac("", gone, seen, &n, out))
			break;
	while ((i = iface_next(ifaces, i)) != NULL)
		if (iface_is_usable(i) && i->n_addrs == 0 && !add_mac(i->name, i->mac, seen, &n, out))
			break;
	return out->bad ? -ENOMEM : 0;
}
