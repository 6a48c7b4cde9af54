/* SPDX-License-Identifier: Apache-2.0
 *
 * config_links.c - what must hold between the items of a configuration: names given once, addresses
 * in one pool, references to what exists.
 *
 * In:   the decoder's lists, each item with its origin.
 * Out:  errors at the later place that name the earlier one; warnings where MetalLB says nothing.
 * Source: MetalLB internal/config/config.go.
 * Not done: nodes are not known here, so that of two advertisements for different nodeSelectors it
 * is not said that their localPref differ.
 */
#include "config_links.h"

#include "config_field.h"
#include "config_scalar.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

/* Items of one list in the order of their names; those of one name in the file's order. */
struct by_name {
	const char *name;
	size_t i;
};

struct links {
	struct config_decoder *d;
	struct by_name *names[CONFIG_N_LISTS]; /* owned; as many as d->items */
};

static const struct config_pool *pool_at(const struct config_decoder *d, size_t i)
{
	return (const struct config_pool *)(const void *)d->items[CONFIG_POOL].v + i;
}

/* -- the place -- */

static void enter(struct config_decoder *d, const struct config_origin *o)
{
	d->at.in = o->in;
	d->at.subject = o->subject;
	buf_reset(&d->at.path);
	buf_adds(&d->at.path, o->path);
}

/* Steps to item i of the list name of an object; the item, or the object when it has no such list
 * (an Eip has one address). */
static const cJSON *enter_item(
	struct config_decoder *d, const cJSON *obj, const char *name, size_t i)
{
	char s[CONFIG_MAX_KEY];
	const char *spelled = config_at_key(&d->at, name, s);
	const cJSON *list = json_array(obj, spelled), *item;

	if (list == NULL) {
		item = json_get(obj, "address");
		if (item != NULL)
			(void)config_at_key_down(&d->at, "address");
		return item != NULL ? item : obj;
	}
	(void)config_at_key_down(&d->at, spelled);
	(void)config_at_index_down(&d->at, i);
	item = cJSON_GetArrayItem(list, (int)i);
	return item != NULL ? item : list;
}

enum { PLACE_STRLEN = 512 };

/* "FILE:LINE", of an object of the API its name.  Returns s. */
static const char *place_of(
	const struct config_origin *o, struct config_mark m, char s[PLACE_STRLEN])
{
	if (m.file != NULL)
		snprintf(s, PLACE_STRLEN, "%.400s:%u", m.file, m.line);
	else
		snprintf(s, PLACE_STRLEN, "%.400s", o->subject);
	return s;
}

/* -- names -- */

static int compare_names(const void *a, const void *b)
{
	const struct by_name *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : (x->i > y->i) - (x->i < y->i);
}

static int compare_name(const void *a, const void *b)
{
	const struct by_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool is_known(const struct links *l, enum config_record_id id, const char *name)
{
	const struct by_name key = {.name = name};

	return l->d->items[id].n > 0 &&
	       bsearch(&key, l->names[id], l->d->items[id].n, sizeof key, compare_name) != NULL;
}

static struct config_mark mark_of(
	const struct config_decoder *d, enum config_record_id id, size_t i)
{
	const struct config_record *r = config_list_record(id);

	return *(const struct config_mark *)(const void *)(d->items[id].v + i * r->size +
							   r->mark_at);
}

/* From an object's spec, where its fields are, to metadata, where its name is. */
static void enter_metadata(struct config_decoder *d, const struct config_origin *o)
{
	size_t spec = sizeof ".spec" - 1, len = strlen(o->path);

	config_at_up(&d->at, len > spec ? len - spec : 0);
	(void)config_at_key_down(&d->at, "metadata");
}

static void report_duplicate(
	struct config_decoder *d, enum config_record_id id, size_t first, size_t second)
{
	const struct config_origin *o = &d->items[id].origins[second];
	const struct config_origin *before = &d->items[id].origins[first];
	const char *name = config_item_name(&d->items[id], id, second);
	const cJSON *named_in = o->metadata != NULL                 ? o->metadata
				: json_get(o->node, "name") != NULL ? o->node
								    : NULL;
	char got[CONFIG_GOT_STRLEN], place[PLACE_STRLEN];

	place_of(before, mark_of(d, id, first), place);
	enter(d, o);
	config_got_text(name, got);
	if (o->metadata != NULL)
		enter_metadata(d, o);
	if (named_in != NULL)
		config_error_field(&d->at, named_in, "name",
			"must be given once, %s has it (got %s)", place, got);
	else
		config_error(&d->at, o->node, "must have a name of its own, %s has it (got %s)",
			place, got);
	config_error_concerns(&d->at, before->in);
}

static bool sort_names(struct links *l, enum config_record_id id)
{
	const struct config_items *items = &l->d->items[id];
	struct by_name *v = calloc(items->n + 1, sizeof *v);

	if (v == NULL)
		return false;
	l->names[id] = v;
	for (size_t i = 0; i < items->n; i++)
		v[i] = (struct by_name){config_item_name(items, id, i), i};
	qsort(v, items->n, sizeof *v, compare_names);
	for (size_t i = 1, first = 0; i < items->n; i++) {
		if (strcmp(v[i].name, v[first].name) != 0)
			first = i;
		else if (v[i].name[0] != '\0')
			report_duplicate(l->d, id, v[first].i, v[i].i);
	}
	return true;
}

/* -- addresses -- */

struct piece {
	struct addr_range range;
	size_t pool, i; /* the order of the files */
};

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	int c = addr_cmp(x->range.first, y->range.first);

	if (c != 0)
		return c;
	if (x->pool != y->pool)
		return x->pool < y->pool ? -1 : 1;
	return (x->i > y->i) - (x->i < y->i);
}

static bool is_before(const struct piece *a, const struct piece *b)
{
	return a->pool != b->pool ? a->pool < b->pool : a->i < b->i;
}

static void report_overlap(
	struct config_decoder *d, const struct piece *earlier, const struct piece *later)
{
	const struct config_origin *before = &d->items[CONFIG_POOL].origins[earlier->pool];
	const struct config_origin *o = &d->items[CONFIG_POOL].origins[later->pool];
	char a[ADDR_RANGE_STRLEN], b[ADDR_RANGE_STRLEN], got[CONFIG_GOT_STRLEN];
	char place[PLACE_STRLEN];
	const cJSON *node;

	enter(d, before);
	node = enter_item(d, before->node, "addresses", earlier->i);
	place_of(before, config_at_mark(&d->at, node), place);
	enter(d, o);
	node = enter_item(d, o->node, "addresses", later->i);
	config_got_text(addr_range_format(later->range, b), got);
	config_error(&d->at, node, "must not overlap %s of pool %s at %s (got %s)",
		addr_range_format(earlier->range, a),
		config_item_name(&d->items[CONFIG_POOL], CONFIG_POOL, earlier->pool), place, got);
	config_error_concerns(&d->at, before->in);
}

/* In the order of addresses, a piece can only overlap the one that reaches farthest so far: n log n
 * steps, one report a piece. */
static void find_overlaps(struct config_decoder *d, struct piece *v, size_t n)
{
	const struct piece *far = v;

	qsort(v, n, sizeof *v, compare_pieces);
	for (size_t i = 1; i < n; i++) {
		bool later = is_before(far, &v[i]);

		if (addr_range_overlaps(far->range, v[i].range))
			report_overlap(d, later ? far : &v[i], later ? &v[i] : far);
		if (addr_cmp(v[i].range.last, far->range.last) > 0)
			far = &v[i];
	}
}

static bool check_overlaps(struct config_decoder *d)
{
	size_t n = 0, k = 0;
	struct piece *v;

	for (size_t i = 0; i < d->items[CONFIG_POOL].n; i++)
		n += pool_at(d, i)->n_ranges;
	v = calloc(n + 1, sizeof *v);
	if (v == NULL)
		return false;
	for (size_t i = 0; i < d->items[CONFIG_POOL].n; i++)
		for (size_t r = 0; r < pool_at(d, i)->n_ranges; r++)
			v[k++] = (struct piece){pool_at(d, i)->ranges[r], i, r};
	find_overlaps(d, v, n);
	free(v);
	return true;
}

/* -- references -- */

/* Each name of list field must be an item of list id; as MetalLB, one that is not selects nothing.
 */
static void check_names(struct links *l, const struct config_origin *o, const char *field,
	const struct config_strings *names, enum config_record_id id, const char *what)
{
	char got[CONFIG_GOT_STRLEN];

	for (size_t i = 0; i < names->n; i++) {
		const cJSON *node;

		if (is_known(l, id, names->v[i]))
			continue;
		enter(l->d, o);
		node = enter_item(l->d, o->node, field, i);
		config_warn(&l->d->at, node, "no such %s, it selects nothing (got %s)", what,
			config_got_text(names->v[i], got));
	}
}

static void check_communities(
	struct links *l, const struct config_origin *o, const struct config_bgp_advertisement *ad)
{
	char got[CONFIG_GOT_STRLEN];
	uint32_t numbers[3];

	for (size_t i = 0; i < ad->communities.n; i++) {
		const char *s = ad->communities.v[i];
		const cJSON *node;

		if (config_community_parse(s, numbers) != CONFIG_COMMUNITY_NONE ||
			is_known(l, CONFIG_COMMUNITY, s))
			continue;
		enter(l->d, o);
		node = enter_item(l->d, o->node, "communities", i);
		config_error(&l->d->at, node,
			"must be a:b, large:a:b:c or the name of a community (got %s)",
			config_got_text(s, got));
	}
}

static void check_peer(struct links *l, const struct config_origin *o, const struct config_peer *p)
{
	char got[CONFIG_GOT_STRLEN];

	if (p->bfd_profile == NULL || is_known(l, CONFIG_BFD_PROFILE, p->bfd_profile))
		return;
	enter(l->d, o);
	config_error_field(&l->d->at, o->node, "bfdProfile",
		"must be the name of a BFD profile (got %s)", config_got_text(p->bfd_profile, got));
}

/* The length of the largest prefix in a range. */
static unsigned shortest_prefix(struct addr_range r)
{
	struct addr_prefix v[256]; /* a range needs at most 2 * 128 - 2 */
	size_t n = addr_range_prefixes(r, v, ARRAY_LEN(v));
	unsigned best = 128;

	for (size_t i = 0; i < n && i < ARRAY_LEN(v); i++)
		if (v[i].len < best)
			best = v[i].len;
	return best;
}

/* MetalLB: every entry of the pool must hold a prefix at least as large as what is announced. */
static void check_aggregation(struct links *l, const struct config_origin *o,
	const struct config_bgp_advertisement *ad, const struct config_pool *pool,
	const unsigned longest[ADDR_FAMILIES])
{
	const char *name = pool->name != NULL ? pool->name : "";

	if (longest[ADDR_V4] <= ad->aggregation_length &&
		longest[ADDR_V6] <= ad->aggregation_length_v6)
		return;
	enter(l->d, o);
	if (longest[ADDR_V4] > ad->aggregation_length)
		config_error_field(&l->d->at, o->node, "aggregationLength",
			"must be at least %u, a prefix of pool %s (got %u)", longest[ADDR_V4], name,
			ad->aggregation_length);
	if (longest[ADDR_V6] > ad->aggregation_length_v6)
		config_error_field(&l->d->at, o->node, "aggregationLengthV6",
			"must be at least %u, a prefix of pool %s (got %u)", longest[ADDR_V6], name,
			ad->aggregation_length_v6);
}

static void check_aggregations_of(struct links *l, const struct config_pool *pool)
{
	const struct config_items *ads = &l->d->items[CONFIG_BGP_ADVERTISEMENT];
	unsigned longest[ADDR_FAMILIES] = {0, 0};

	for (size_t i = 0; i < pool->n_ranges; i++) {
		enum addr_family family = addr_family(pool->ranges[i].first);
		unsigned len = shortest_prefix(pool->ranges[i]);

		if (len > longest[family])
			longest[family] = len;
	}
	for (size_t i = 0; i < ads->n; i++) {
		const struct config_bgp_advertisement *ad =
			(const struct config_bgp_advertisement *)(const void *)ads->v + i;

		if (config_bgp_selects_pool(ad, pool))
			check_aggregation(l, &ads->origins[i], ad, pool, longest);
	}
}

/* -- localPref -- */

/* Each advertisement is compared with so many before it, and so many times pools are looked at for
 * one in common: far more than a cluster has. */
enum { MAX_RIVALS = 64, MAX_LOOKS = 1000 * 1000 };

static const struct config_bgp_advertisement *bgp_at(const struct config_decoder *d, size_t i)
{
	return (const struct config_bgp_advertisement *)(const void *)d
		       ->items[CONFIG_BGP_ADVERTISEMENT]
		       .v +
	       i;
}

static bool have_common(const struct config_strings *a, const struct config_strings *b)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			if (strcmp(a->v[i], b->v[k]) == 0)
				return true;
	return a->n == 0 || b->n == 0; /* all peers */
}

/* For the same nodes, as far as the text says. */
static bool have_common_nodes(const struct config_decoder *d, size_t i, size_t k)
{
	const struct config_origin *o = d->items[CONFIG_BGP_ADVERTISEMENT].origins;

	return bgp_at(d, i)->node_selectors.n == 0 || bgp_at(d, k)->node_selectors.n == 0 ||
	       cJSON_Compare(json_get(o[i].node, "nodeSelectors"),
		       json_get(o[k].node, "nodeSelectors"), true);
}

/* Would the routes of a pool in common go to one peer with two preferences?  (MetalLB refuses
 * that.) */
static bool contradict(const struct config_decoder *d, size_t i, size_t k)
{
	const struct config_bgp_advertisement *a = bgp_at(d, i), *b = bgp_at(d, k);

	return a->local_pref != b->local_pref &&
	       (a->aggregation_length == b->aggregation_length ||
		       a->aggregation_length_v6 == b->aggregation_length_v6) &&
	       a->service_selectors.n == 0 && b->service_selectors.n == 0 &&
	       have_common(&a->peers, &b->peers) && have_common_nodes(d, i, k);
}

static bool has_family(const struct config_pool *pool, enum addr_family family)
{
	for (size_t i = 0; i < pool->n_ranges; i++)
		if (addr_family(pool->ranges[i].first) == family)
			return true;
	return false;
}

/* The first pool of which both announce the same routes; NULL when there is none. */
static const struct config_pool *common_pool(
	const struct config_decoder *d, size_t i, size_t k, size_t *looks)
{
	const struct config_bgp_advertisement *a = bgp_at(d, i), *b = bgp_at(d, k);
	bool v4 = a->aggregation_length == b->aggregation_length;
	bool v6 = a->aggregation_length_v6 == b->aggregation_length_v6;

	for (size_t n = 0; n<d->items[CONFIG_POOL].n && * looks> 0; n++, --*looks) {
		const struct config_pool *pool = pool_at(d, n);

		if (pool->name != NULL && config_bgp_selects_pool(a, pool) &&
			config_bgp_selects_pool(b, pool) &&
			((v4 && has_family(pool, ADDR_V4)) || (v6 && has_family(pool, ADDR_V6))))
			return pool;
	}
	return NULL;
}

static void report_preferences(
	struct config_decoder *d, size_t earlier, size_t later, const struct config_pool *pool)
{
	const struct config_origin *o = d->items[CONFIG_BGP_ADVERTISEMENT].origins;
	const struct config_bgp_advertisement *a = bgp_at(d, earlier);
	char place[PLACE_STRLEN];

	place_of(&o[earlier], a->mark, place);
	enter(d, &o[later]);
	config_error_field(&d->at, o[later].node, "localPref",
		"must be %u, as %s has it for the same routes of pool %s (got %u)", a->local_pref,
		place, pool->name, bgp_at(d, later)->local_pref);
	config_error_concerns(&d->at, o[earlier].in);
}

static void check_preferences(struct config_decoder *d)
{
	size_t looks = MAX_LOOKS;

	for (size_t i = 1; i < d->items[CONFIG_BGP_ADVERTISEMENT].n; i++)
		for (size_t k = i > MAX_RIVALS ? i - MAX_RIVALS : 0; k < i; k++) {
			const struct config_pool *pool =
				contradict(d, k, i) ? common_pool(d, k, i, &looks) : NULL;

			if (pool != NULL) {
				report_preferences(d, k, i, pool);
				break;
			}
		}
}

/* MetalLB's commonest surprise. */
static void check_announced(struct config_decoder *d, size_t i)
{
	const struct config_items *l2 = &d->items[CONFIG_L2_ADVERTISEMENT];
	const struct config_items *bgp = &d->items[CONFIG_BGP_ADVERTISEMENT];
	const struct config_pool *pool = pool_at(d, i);
	const struct config_origin *o = &d->items[CONFIG_POOL].origins[i];

	for (size_t k = 0; k < l2->n; k++)
		if (config_l2_selects_pool(
			    (const struct config_l2_advertisement *)(const void *)l2->v + k, pool))
			return;
	for (size_t k = 0; k < bgp->n; k++)
		if (config_bgp_selects_pool(
			    (const struct config_bgp_advertisement *)(const void *)bgp->v + k,
			    pool))
			return;
	enter(d, o);
	config_warn(&d->at, o->node,
		"no advertisement selects this pool: its addresses are given, not announced");
}

/* They load, so that a change of servicelb.mode needs no other file. */
static void warn_not_used(struct config_decoder *d)
{
	const struct config_origin *o = d->items[CONFIG_POOL].origins;

	enter(d, o);
	config_warn(&d->at, o->node,
		"pools are not used: servicelb.mode is always, Services get the nodes' own "
		"addresses");
}

static void check_pools(struct links *l)
{
	if (l->d->conf->servicelb == CONFIG_SERVICELB_ALWAYS && l->d->items[CONFIG_POOL].n > 0)
		warn_not_used(l->d);
	for (size_t i = 0; i < l->d->items[CONFIG_POOL].n; i++) {
		const struct config_pool *pool = pool_at(l->d, i);

		if (pool->name == NULL)
			continue;
		check_aggregations_of(l, pool);
		if (l->d->at.report->n_errors ==
			0) /* an advertisement may be among what is wrong */
			check_announced(l->d, i);
	}
}

static void check_references(struct links *l)
{
	const struct config_items *items = l->d->items;

	for (size_t i = 0; i < items[CONFIG_L2_ADVERTISEMENT].n; i++) {
		const struct config_l2_advertisement *ad =
			(const void *)items[CONFIG_L2_ADVERTISEMENT].v;

		check_names(l, &items[CONFIG_L2_ADVERTISEMENT].origins[i], "ipAddressPools",
			&ad[i].ip_address_pools, CONFIG_POOL, "pool");
	}
	for (size_t i = 0; i < items[CONFIG_BGP_ADVERTISEMENT].n; i++) {
		const struct config_bgp_advertisement *ad =
			(const void *)items[CONFIG_BGP_ADVERTISEMENT].v;
		const struct config_origin *o = &items[CONFIG_BGP_ADVERTISEMENT].origins[i];

		check_names(l, o, "ipAddressPools", &ad[i].ip_address_pools, CONFIG_POOL, "pool");
		check_names(l, o, "peers", &ad[i].peers, CONFIG_PEER, "peer");
		check_communities(l, o, &ad[i]);
	}
	for (size_t i = 0; i < items[CONFIG_PEER].n; i++)
		check_peer(l, &items[CONFIG_PEER].origins[i],
			(const struct config_peer *)(const void *)items[CONFIG_PEER].v + i);
}

/* The file says how lbd runs, the API which pools there are: a pool in both places would be two
 * people's. */
void config_links_check_cluster(struct config_decoder *d)
{
	for (enum config_record_id id = CONFIG_POOL; id < CONFIG_N_LISTS; id++)
		for (size_t i = 0; i < d->items[id].n; i++) {
			const struct config_origin *o = &d->items[id].origins[i];

			if (o->in->file == NULL)
				continue;
			enter(d, o);
			config_error(&d->at, o->node,
				"must be an object in the API: configFrom is cluster");
			break; /* one of a kind is enough */
		}
}

void config_links_check(struct config_decoder *d, bool documents_missing)
{
	struct links l = {.d = d};
	bool ok = true;

	for (enum config_record_id id = CONFIG_POOL; id < CONFIG_N_LISTS; id++)
		ok = ok && sort_names(&l, id);
	ok = ok && check_overlaps(d);
	if (ok && !documents_missing) {
		check_references(&l);
		check_pools(&l);
		check_preferences(d);
	}
	d->no_memory |= !ok;
	for (size_t i = 0; i < CONFIG_N_LISTS; i++)
		free(l.names[i]);
}
