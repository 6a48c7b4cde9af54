/* SPDX-License-Identifier: Apache-2.0
 *
 * routes.c - from Services to prefixes.
 *
 * Owns: what each group of VIPs contributes (prefix, advertisement), and for each prefix the
 *       advertisements that it is announced by, counted: an aggregate goes with its last VIP.
 * In:   configuration, picture, VIPs.  Out: bgp_rib_put(), bgp_rib_del() for each peer.
 * Sources: MetalLB speaker/bgp_controller.go (ShouldAnnounce, SetBalancer, and how advertisements of
 *         one prefix are merged), RFC 1997, 8092, 8326, draft-ietf-idr-link-bandwidth.
 */
#include "routes.h"

#include "addr.h"
#include "config_scalar.h"
#include "list.h"
#include "reason.h"
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GRACEFUL_SHUTDOWN = 0xffff0000 }; /* RFC 8326 5 */

/* An advertisement as this node uses it. */
struct ad {
	const struct config_bgp_advertisement *conf; /* borrowed from the configuration */
	bool applies;                                /* to this node */
	uint32_t n_communities, n_large;
	uint32_t communities[BGP_COMMUNITIES_MAX];
	struct bgp_large large[BGP_COMMUNITIES_MAX];
};

/* All zero but what is set, so that two can be compared as bytes. */
struct part {
	struct addr_prefix prefix;
	uint32_t ad;     /* the how manieth */
	uint32_t weight; /* ready endpoints here, if routers are to know; else 0 */
};

struct group {
	uint32_t hash;
	uint32_t n;
	uint64_t id;
	struct part v[];
};

/* An advertisement that a prefix is announced by. */
struct by {
	uint32_t ad;
	uint32_t refs; /* VIPs */
	uint32_t weight;
};

struct prefix {
	uint32_t hash;
	uint32_t n;      /* of by; 0: gone, and to be withdrawn */
	struct link dirty; /* in routes.dirty, if it changed */
	struct addr_prefix p;
	struct by *by; /* owned; by ad */
};

struct routes {
	struct hash_key hkey;
	struct table groups;   /* of struct group, owned, by id */
	struct table prefixes; /* of struct prefix, owned */
	struct link dirty;     /* of struct prefix */
	struct ad *ads;        /* owned */
	size_t n_ads;
	struct part *parts; /* owned; of the group at hand */
	size_t n_parts, cap_parts;
	uint64_t fresh[ROUTES_MAX_FRESH];
	size_t n_fresh;
};

/* -- advertisements -- */

static const char *value_of(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_communities; i++)
		if (strcmp(c->communities[i].name, name) == 0)
			return c->communities[i].value;
	return name;
}

static int cmp_community(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int cmp_large(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct bgp_large)); /* any order will do (RFC 8092) */
}

/* Adds to a set that is sorted by cmp, if it is not there; over the maximum it is left out. */
static void add_to_set(void *v, uint32_t *n, const void *elt, size_t size,
	int (*cmp)(const void *, const void *))
{
	uint8_t *at = v;

	for (; at < (uint8_t *)v + *n * size; at += size) {
		int c = cmp(at, elt);

		if (c == 0)
			return;
		if (c > 0)
			break;
	}
	if (*n == BGP_COMMUNITIES_MAX)
		return;
	memmove(at + size, at, (size_t)((uint8_t *)v + *n * size - at));
	memcpy(at, elt, size);
	++*n;
}

static void add_community(uint32_t v[BGP_COMMUNITIES_MAX], uint32_t *n, uint32_t c)
{
	add_to_set(v, n, &c, sizeof c, cmp_community);
}

static void add_large(struct bgp_large v[BGP_COMMUNITIES_MAX], uint32_t *n, struct bgp_large l)
{
	add_to_set(v, n, &l, sizeof l, cmp_large);
}

static void read_ad(
	const struct routes_input *in, const struct config_bgp_advertisement *conf, struct ad *ret)
{
	const struct cluster_node *node = cluster_node(in->cluster, in->node);

	*ret = (struct ad){.conf = conf};
	ret->applies = node != NULL && label_matches_any(&conf->node_selectors, &node->labels);
	for (size_t i = 0; i < conf->communities.n; i++) {
		const char *text = value_of(in->conf, conf->communities.v[i]);
		uint32_t v[3];

		switch (config_community_parse(text, v)) {
		case CONFIG_COMMUNITY_STANDARD:
			add_community(ret->communities, &ret->n_communities, v[0]);
			break;
		case CONFIG_COMMUNITY_LARGE:
			add_large(ret->large, &ret->n_large, (struct bgp_large){v[0], v[1], v[2]});
			break;
		case CONFIG_COMMUNITY_NONE:
			break; /* the configuration was checked */
		}
	}
}

static int read_ads(struct routes *r, const struct routes_input *in)
{
	size_t n = in->conf->n_bgp_advertisements;
	struct ad *v = calloc(n + 1, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		read_ad(in, &in->conf->bgp_advertisements[i], &v[i]);
	free(r->ads);
	r->ads = v;
	r->n_ads = n;
	return 0;
}

/* -- what a VIP contributes -- */

/* What the Service's endpoints say of announcing it from this node. */
static enum reason judge_service(const struct routes_input *in, const struct cluster_service *s)
{
	struct cluster_endpoints e = cluster_endpoints(in->cluster, s->key, in->node);

	if (e.ready == 0)
		return REASON_NO_ENDPOINTS;
	return s->local && e.ready_on_node == 0 ? REASON_NO_LOCAL_ENDPOINTS : REASON_OWNER;
}

static enum reason judge_node(const struct routes_input *in)
{
	const struct cluster_node *node = cluster_node(in->cluster, in->node);

	if (node == NULL)
		return REASON_NO_NODE;
	if (node->network_unavailable)
		return REASON_NETWORK_UNAVAILABLE;
	return node->excluded ? REASON_NODE_EXCLUDED : REASON_OWNER;
}

/* The Services of a VIP that this node can serve and the advertisement selects. */
struct served {
	bool any, local;
	unsigned endpoints; /* ready here */
	enum reason why;    /* not any */
};

static struct served served_by(const struct routes_input *in,
	const struct config_bgp_advertisement *ad, const struct vip *v)
{
	struct served x = {.why = REASON_NO_ADVERTISEMENT};

	for (size_t i = 0; i < v->n_holders; i++) {
		struct vip_holder h = vip_holder(v, i);
		struct cluster_service s;
		enum reason why;

		if (h.doubled || !cluster_service(in->cluster, h.key, &s) ||
			!label_matches_any(&ad->service_selectors, &s.labels))
			continue;
		why = judge_service(in, &s);
		if (why != REASON_OWNER) {
			x.why = why;
			continue;
		}
		x.any = true;
		x.local |= s.local;
		x.endpoints += cluster_endpoints(in->cluster, s.key, in->node).ready_on_node;
	}
	return x;
}

static struct addr_prefix prefix_of(
	const struct config_bgp_advertisement *ad, struct addr a, bool host)
{
	bool v4 = addr_family(a) == ADDR_V4;
	unsigned full = v4 ? 32 : 128;

	if (host)
		return addr_prefix_of(a, full);
	return addr_prefix_of(a, v4 ? ad->aggregation_length : ad->aggregation_length_v6);
}

static bool add_part(struct routes *r, struct addr_prefix p, uint32_t ad, uint32_t weight)
{
	struct part *v = r->parts;

	if (r->n_parts == r->cap_parts) {
		r->cap_parts += r->cap_parts / 2 + 16;
		v = realloc(v, r->cap_parts * sizeof *v);
		if (v == NULL) {
			r->cap_parts = r->n_parts;
			return false;
		}
		r->parts = v;
	}
	v += r->n_parts++;
	memset(v, 0, sizeof *v);
	v->prefix.base = p.base;
	v->prefix.len = p.len;
	v->ad = ad;
	v->weight = weight;
	return true;
}

static bool add_parts(struct routes *r, const struct routes_input *in, const struct vip *v)
{
	const struct config_pool *pool = vip_pool(in->vips, in->conf, in->cluster, v);

	for (uint32_t i = 0; i < r->n_ads; i++) {
		const struct config_bgp_advertisement *ad = r->ads[i].conf;
		struct served x;
		bool host;

		if (!r->ads[i].applies || !config_bgp_selects_pool(ad, pool))
			continue;
		x = served_by(in, ad, v);
		/* What is about an address that no pool gives any more is not ours to attract. */
		host = pool == NULL || (x.local && ad->host_routes_for_local);
		if (x.any && !add_part(r, prefix_of(ad, v->addr, host), i,
				     ad->link_bandwidth && x.local ? x.endpoints : 0))
			return false;
	}
	return true;
}

/* -- prefixes -- */

static bool prefix_is(const void *elt, const void *key, size_t len)
{
	const struct prefix *x = elt;
	(void)len;
	return addr_prefix_eq(&x->p, key);
}

static void mark(struct routes *r, struct prefix *x)
{
	list_delete(&x->dirty);
	list_add(&r->dirty, &x->dirty);
}

static struct prefix *prefix_get(struct routes *r, struct addr_prefix p)
{
	uint32_t hash = addr_prefix_hash(&r->hkey, &p);
	struct prefix *x = table_find(&r->prefixes, hash, prefix_is, &p, sizeof p);

	if (x != NULL)
		return x;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return NULL;
	x->hash = hash;
	x->p = p;
	list_init(&x->dirty);
	if (table_add(&r->prefixes, x) < 0) {
		free(x);
		return NULL;
	}
	mark(r, x);
	return x;
}

static struct by *by_find(const struct prefix *x, uint32_t ad)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (x->by[i].ad == ad)
			return &x->by[i];
	return NULL;
}

/* NULL: out of memory. */
static struct by *by_add(struct prefix *x, uint32_t ad)
{
	struct by *v = realloc(x->by, (x->n + 1) * sizeof *v);
	uint32_t at = x->n;

	if (v == NULL)
		return NULL;
	for (; at > 0 && v[at - 1].ad > ad; at--)
		v[at] = v[at - 1];
	v[at] = (struct by){.ad = ad};
	x->by = v;
	x->n++;
	return &v[at];
}

static bool count_in(struct routes *r, const struct part *part)
{
	struct prefix *x = prefix_get(r, part->prefix);
	struct by *b = x != NULL ? by_find(x, part->ad) : NULL;

	if (x == NULL)
		return false;
	if (b == NULL || part->weight > 0)
		mark(r, x);
	if (b == NULL)
		b = by_add(x, part->ad);
	if (b == NULL)
		return false;
	b->refs++;
	b->weight += part->weight;
	return true;
}

static void count_out(struct routes *r, const struct part *part)
{
	struct prefix *x = prefix_get(r, part->prefix); /* it is there */
	struct by *b = x != NULL ? by_find(x, part->ad) : NULL;

	REQUIRE(b != NULL && b->refs > 0);
	b->weight -= part->weight;
	if (--b->refs == 0) {
		memmove(b, b + 1, (size_t)(x->by + x->n - b - 1) * sizeof *b);
		x->n--;
	} else if (part->weight == 0) {
		return;
	}
	mark(r, x);
}

/* -- groups -- */

static bool group_is(const void *elt, const void *key, size_t len)
{
	(void)len;
	return ((const struct group *)elt)->id == *(const uint64_t *)key;
}

static struct group *find_in(const struct routes *r, const struct table *groups, uint64_t id)
{
	return table_find(groups, hash_bytes(&r->hkey, &id, sizeof id), group_is, &id, sizeof id);
}

static struct group *group_find(const struct routes *r, uint64_t id)
{
	return find_in(r, &r->groups, id);
}

static void note_fresh(struct routes *r, uint64_t id)
{
	if (r->n_fresh < ROUTES_MAX_FRESH)
		r->fresh[r->n_fresh] = id;
	r->n_fresh++;
}

static void group_drop(struct routes *r, struct group *g)
{
	if (g == NULL)
		return;
	for (uint32_t i = 0; i < g->n; i++)
		count_out(r, &g->v[i]);
	table_remove(&r->groups, g);
	free(g);
}

/* A group with the parts at hand, counted in. */
static struct group *group_new(struct routes *r, uint64_t id)
{
	struct group *g = malloc(sizeof *g + r->n_parts * sizeof g->v[0]);

	if (g == NULL)
		return NULL;
	g->hash = hash_bytes(&r->hkey, &id, sizeof id);
	g->id = id;
	g->n = (uint32_t)r->n_parts;
	memcpy(g->v, r->parts, r->n_parts * sizeof g->v[0]);
	for (uint32_t i = 0; i < g->n; i++) {
		if (count_in(r, &g->v[i]))
			continue;
		while (i-- > 0)
			count_out(r, &g->v[i]);
		free(g);
		return NULL;
	}
	return g;
}

static bool gather(struct routes *r, const struct routes_input *in, const struct vip_group *g)
{
	r->n_parts = 0;
	if (g == NULL || judge_node(in) != REASON_OWNER)
		return true;
	for (size_t i = 0; i < g->n_vips; i++)
		if (!add_parts(r, in, vip_member(g, i)))
			return false;
	return true;
}

/* old: where it may have been before, beside the table. */
static int update(
	struct routes *r, const struct routes_input *in, const struct table *old, uint64_t group)
{
	struct group *was = group_find(r, group), *is;

	if (!gather(r, in, vip_group(in->vips, group)))
		return -ENOMEM;
	if (r->n_parts == 0) {
		group_drop(r, was);
		return 0;
	}
	if (was != NULL && was->n == r->n_parts &&
		memcmp(was->v, r->parts, r->n_parts * sizeof was->v[0]) == 0)
		return 0;
	/* The new one first: what is in both is not withdrawn in between. */
	is = group_new(r, group);
	if (is == NULL)
		return -ENOMEM;
	if (was == NULL && (old == NULL || find_in(r, old, group) == NULL))
		note_fresh(r, group);
	group_drop(r, was);
	if (table_add(&r->groups, is) < 0) {
		for (uint32_t i = 0; i < is->n; i++)
			count_out(r, &is->v[i]);
		free(is);
		return -ENOMEM;
	}
	return 0;
}

int routes_update(struct routes *r, const struct routes_input *in, uint64_t group)
{
	return update(r, in, NULL, group);
}

static void prefixes_free(struct routes *r)
{
	struct prefix *x = NULL;

	while ((x = table_next(&r->prefixes, x)) != NULL)
		free(x->by);
	table_free_all(&r->prefixes);
	list_init(&r->dirty);
}

int routes_rebuild(struct routes *r, const struct routes_input *in)
{
	const struct vip_group *g = NULL;
	struct table old = r->groups;
	int err = read_ads(r, in);

	if (err != 0)
		return err;
	r->groups = (struct table){0};
	prefixes_free(r);
	while (err == 0 && (g = vip_next_group(in->vips, g)) != NULL)
		err = update(r, in, &old, g->id);
	table_free_all(&old);
	return err;
}

/* -- what a peer is told -- */

static bool selects_peer(const struct config_bgp_advertisement *ad, const char *name)
{
	for (size_t i = 0; i < ad->peers.n; i++)
		if (strcmp(ad->peers.v[i], name) == 0)
			return true;
	return ad->peers.n == 0;
}

static void merge(struct bgp_attributes *a, const struct ad *ad, uint32_t weight)
{
	for (uint32_t i = 0; i < ad->n_communities; i++)
		add_community(a->communities, &a->n_communities, ad->communities[i]);
	for (uint32_t i = 0; i < ad->n_large; i++)
		add_large(a->large, &a->n_large, ad->large[i]);
	if (ad->conf->has_local_pref &&
		(!a->has_local_pref || a->local_pref < ad->conf->local_pref)) {
		a->has_local_pref = 1;
		a->local_pref = ad->conf->local_pref;
	}
	if (ad->conf->has_med && (!a->has_med || a->med > ad->conf->med)) {
		a->has_med = 1;
		a->med = ad->conf->med;
	}
	if (weight > 0) {
		a->has_bandwidth = 1;
		a->bandwidth = (float)weight * ROUTES_ENDPOINT_BANDWIDTH;
	}
}

/* By what the RFCs want of a session of its kind. */
static void finish(struct bgp_attributes *a, const struct routes_peer *peer)
{
	if (peer->leaving)
		add_community(a->communities, &a->n_communities, GRACEFUL_SHUTDOWN);
	if (!peer->internal) {
		a->path[0] = peer->asn;
		a->n_path = 1;
		a->has_local_pref = a->local_pref = 0;
		return;
	}
	if (!a->has_local_pref)
		a->local_pref = ROUTES_DEFAULT_LOCAL_PREF;
	if (peer->leaving)
		a->local_pref = 0; /* RFC 8326 4.2: the lowest */
	a->has_local_pref = 1;
}

/* False: the peer is not told of it. */
static bool attributes_of(const struct routes *r, const struct prefix *x,
	const struct routes_peer *peer, struct bgp_attributes *ret_a)
{
	bool any = false;

	memset(ret_a, 0, sizeof *ret_a);
	for (uint32_t i = 0; i < x->n; i++) {
		const struct ad *ad = &r->ads[x->by[i].ad];

		if (!selects_peer(ad->conf, peer->name))
			continue;
		merge(ret_a, ad, x->by[i].weight);
		any = true;
	}
	if (any)
		finish(ret_a, peer);
	return any;
}

static int tell(const struct routes *r, const struct prefix *x, const struct routes_peer *peer,
	struct bgp_rib *rib)
{
	struct bgp_attributes a;

	if (attributes_of(r, x, peer, &a))
		return bgp_rib_put(rib, x->p, &a);
	bgp_rib_del(rib, x->p);
	return 0;
}

/* The first error; what follows it is told all the same. */
static int first_error(int err, int next)
{
	return err != 0 ? err : next;
}

int routes_tell(
	const struct routes *r, const struct routes_peer *peer, bool all, struct bgp_rib *rib)
{
	const struct prefix *x = NULL;
	int err = 0;

	if (!all) {
		for (struct link *l = r->dirty.next; l != &r->dirty; l = l->next)
			err = first_error(err,
				tell(r, CONTAINER_OF(l, struct prefix, dirty), peer, rib));
		return err;
	}
	bgp_rib_begin_sync(rib);
	while ((x = table_next(&r->prefixes, x)) != NULL)
		err = first_error(err, tell(r, x, peer, rib));
	bgp_rib_end_sync(rib);
	return err;
}

bool routes_is_dirty(const struct routes *r)
{
	return !list_is_empty(&r->dirty);
}

size_t routes_fresh_count(const struct routes *r)
{
	return r->n_fresh;
}

uint64_t routes_fresh_at(const struct routes *r, size_t i)
{
	return r->fresh[i];
}

void routes_clean(struct routes *r)
{
	struct link *l = r->dirty.next, *next;

	r->n_fresh = 0;
	for (; l != &r->dirty; l = next) {
		struct prefix *x = CONTAINER_OF(l, struct prefix, dirty);

		next = l->next;
		list_init(&x->dirty);
		if (x->n > 0)
			continue;
		table_remove(&r->prefixes, x);
		free(x->by);
		free(x);
	}
	list_init(&r->dirty);
}

/* -- construction, reading -- */

struct routes *routes_new(const struct hash_key *hkey)
{
	struct routes *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->hkey = *hkey;
	list_init(&r->dirty);
	return r;
}

void routes_free(struct routes *r)
{
	if (r == NULL)
		return;
	table_free_all(&r->groups);
	prefixes_free(r);
	free(r->ads);
	free(r->parts);
	free(r);
}

size_t routes_count(const struct routes *r)
{
	const struct prefix *x = NULL;
	size_t n = 0;

	while ((x = table_next(&r->prefixes, x)) != NULL)
		n += x->n > 0;
	return n;
}

enum reason routes_why(const struct routes_input *in, const struct vip *v)
{
	const struct config_pool *pool = vip_pool(in->vips, in->conf, in->cluster, v);
	const struct cluster_node *node = cluster_node(in->cluster, in->node);
	enum reason why = judge_node(in), found = REASON_NO_ADVERTISEMENT;

	for (size_t i = 0; why == REASON_OWNER && i < in->conf->n_bgp_advertisements; i++) {
		const struct config_bgp_advertisement *ad = &in->conf->bgp_advertisements[i];
		struct served x;

		if (!label_matches_any(&ad->node_selectors, &node->labels) ||
			!config_bgp_selects_pool(ad, pool))
			continue;
		x = served_by(in, ad, v);
		if (x.any)
			return REASON_OWNER;
		if (x.why != REASON_NO_ADVERTISEMENT)
			found = x.why;
	}
	return why != REASON_OWNER ? why : found;
}
