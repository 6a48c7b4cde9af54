/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - YAML of any dialect -> one struct config, and what the rest asks of it.
 *
 * Owns: the order of the steps, and the defaults that depend on the whole.
 *
 *   config_text     text -> YAML documents (doc.c), past those that do not parse
 *   config_dialect  a document -> which map holds which record's fields
 *   config_openelb  OpenELB's BGP objects -> peers
 *   config_decode   a map -> a struct, by config_table and config_field
 *   config_rules    what must hold between the fields of one record
 *   config_links    what must hold between the items of all documents
 *   config_report   errors and warnings with file, line, column and path
 *   config_print    struct config -> canonical YAML, by config_table
 */
#include "config.h"

#include "config_dialect.h"
#include "config_links.h"
#include "config_openelb.h"
#include "config_print.h"
#include "config_text.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

enum { MAX_ARENA_BYTES = 256 * 1024 * 1024 };

/* Before it is known where the pools come from. */
static const double max_share_not_given = -1;

/* -- defaults that depend on the whole -- */

static struct config_pool *pool_item(const struct config_decoder *d, size_t i)
{
	return (struct config_pool *)(void *)d->items[CONFIG_POOL].v + i;
}

static bool is_field_given(const struct config_decoder *d, enum config_record_id id)
{
	return d->given[config_list_field(id) - config_root_record()->fields].line != 0;
}

/* The default advertisement names the pools of dialect 1 when there are others too. */
static struct config_strings native_pools(struct config_decoder *d)
{
	size_t n = d->items[CONFIG_POOL].n, k = 0;
	const char **v = arena_array(d->arena, n, sizeof(char *));

	if (v == NULL) {
		d->no_memory = true;
		return (struct config_strings){0};
	}
	for (size_t i = 0; i < n; i++)
		if (pool_item(d, i)->dialect == CONFIG_NATIVE && pool_item(d, i)->name != NULL)
			v[k++] = pool_item(d, i)->name;
	return k == n ? (struct config_strings){0} : (struct config_strings){v, k};
}

/* Pools of dialect 1 and no word about advertisements: announce them by layer 2.  An empty list is
 * a word. */
static void add_default_advertisement(struct config_decoder *d)
{
	struct config_l2_advertisement *ad;
	size_t i = 0;

	while (i < d->items[CONFIG_POOL].n && pool_item(d, i)->dialect != CONFIG_NATIVE)
		i++;
	if (d->conf->from_cluster || i == d->items[CONFIG_POOL].n ||
		d->items[CONFIG_L2_ADVERTISEMENT].n > 0 ||
		d->items[CONFIG_BGP_ADVERTISEMENT].n > 0 ||
		is_field_given(d, CONFIG_L2_ADVERTISEMENT) ||
		is_field_given(d, CONFIG_BGP_ADVERTISEMENT))
		return;
	d->at.in = d->items[CONFIG_POOL].origins[i].in;
	ad = config_decode_add(d, CONFIG_L2_ADVERTISEMENT, d->items[CONFIG_POOL].origins[i].node,
		d->items[CONFIG_POOL].origins[i].node);
	if (ad == NULL)
		return;
	ad->name = config_decode_dup(d, "default");
	ad->ip_address_pools = native_pools(d);
}

/* Who names no Eip gets one of the default Eip, as OpenELB has it; where none is the default, of
 * any that is not bound to namespaces: without that nobody would get anything. */
static void set_automatic(struct config_decoder *d)
{
	for (size_t i = 0; i < d->items[CONFIG_POOL].n; i++) {
		struct config_pool *p = pool_item(d, i);

		if (p->dialect == CONFIG_OPENELB && !p->service_allocation.present)
			p->auto_assign = !d->has_default_eip;
	}
}

/* MetalLB's users rely on its order of nodes. */
static void set_max_share(struct config_decoder *d)
{
	bool metallb = false;

	for (size_t i = 0; i < d->items[CONFIG_POOL].n; i++)
		metallb |= pool_item(d, i)->dialect == CONFIG_METALLB_CR ||
			   pool_item(d, i)->dialect == CONFIG_METALLB_CM;
	if (d->conf->elections.max_share < 0)
		d->conf->elections.max_share = metallb ? 0 : 1.25;
}

/* -- the end -- */

static void warn_not_yet(struct config_decoder *d)
{
	if (d->not_yet.len == 0)
		return;
	d->at.in = d->not_yet_in;
	d->at.subject = "";
	buf_reset(&d->at.path);
	config_warn(&d->at, d->not_yet_node, "checked, but not served by this version: %s",
		d->not_yet.p);
}

static void keep_items(struct config_decoder *d, enum config_record_id id)
{
	const struct config_field *f = config_list_field(id);
	struct config_items *items = &d->items[id];
	void *v = arena_array(d->arena, items->n, f->record->size);

	if (v == NULL) {
		d->no_memory = true;
		return;
	}
	if (items->n > 0)
		memcpy(v, items->v, items->n * f->record->size);
	*(void **)(void *)((char *)d->conf + f->offset) = v;
	*(size_t *)(void *)((char *)d->conf + f->offset_n) = items->n;
}

static bool starts_servicelb(const struct config *c)
{
	switch (c->servicelb) {
	case CONFIG_SERVICELB_ALWAYS:
		return true;
	case CONFIG_SERVICELB_NEVER:
		return false;
	case CONFIG_SERVICELB_AUTO:
		break;
	}
	return c->n_pools == 0 && !c->from_cluster;
}

static bool takes_all(const struct config_strings *pools, const struct selectors *selectors)
{
	return pools->n == 0 && selectors->n == 0;
}

static bool selects_all(const struct config_l2_advertisement *ad)
{
	return takes_all(&ad->ip_address_pools, &ad->ip_address_pool_selectors);
}

/* How an address is announced that is kept although its pool is gone: as those say that are for all
 * pools; where there is none, as all say; where nothing is said of announcing, as by default. */
static void add_orphans(struct config_decoder *d)
{
	struct config *c = d->conf;
	size_t n = c->n_l2_advertisements, n_all = 0, k = 0;
	struct config_l2_advertisement *v = arena_array(d->arena, 2 * n + 1, sizeof *v);

	if (v == NULL) {
		d->no_memory = true;
		return;
	}
	if (n > 0)
		memcpy(v, c->l2_advertisements, n * sizeof *v);
	for (size_t i = 0; i < n; i++)
		n_all += selects_all(&v[i]);
	for (size_t i = 0; i < n; i++)
		if (n_all == 0 || selects_all(&v[i]))
			v[n + k++] = v[i];
	if (n == 0 && c->n_bgp_advertisements == 0) {
		config_decode_defaults(
			d, config_list_field(CONFIG_L2_ADVERTISEMENT)->record, &v[n]);
		v[n].name = "default";
		k = 1;
	}
	for (size_t i = n; i < n + k; i++)
		v[i].for_orphans = true;
	c->l2_advertisements = v;
	c->n_l2_orphans = k;
}

/* BGP reaches further: those that are for all pools; all of them only where nothing else announces. */
static void mark_bgp_orphans(struct config_decoder *d)
{
	struct config_bgp_advertisement *v = (void *)d->items[CONFIG_BGP_ADVERTISEMENT].v;
	size_t n = d->items[CONFIG_BGP_ADVERTISEMENT].n;
	bool none = d->items[CONFIG_L2_ADVERTISEMENT].n == 0;

	for (size_t i = 0; i < n; i++) {
		v[i].for_orphans =
			takes_all(&v[i].ip_address_pools, &v[i].ip_address_pool_selectors);
		none &= !v[i].for_orphans;
	}
	for (size_t i = 0; none && i < n; i++)
		v[i].for_orphans = true;
}

/* 0, -EINVAL, -ENOMEM. */
static int finish(struct config_decoder *d)
{
	int rc;

	config_openelb_end(d);
	add_default_advertisement(d);
	set_automatic(d);
	set_max_share(d);
	if (d->conf->from_cluster)
		config_links_check_cluster(d);
	config_links_check(d, d->documents_missing);
	warn_not_yet(d);
	mark_bgp_orphans(d);
	for (enum config_record_id id = CONFIG_POOL; id < CONFIG_N_LISTS; id++)
		keep_items(d, id);
	if (!d->no_memory)
		add_orphans(d);
	d->conf->servicelb_active = starts_servicelb(d->conf);
	if (d->conf->elections.bfd_key_secret != NULL && d->conf->elections.bfd_key_file == NULL)
		d->conf->elections.bfd_key_file = CONFIG_BFD_KEY_FILE;
	config_report_end(d->at.report);
	if (d->no_memory)
		return -ENOMEM;
	if (d->at.report->n_errors > 0)
		return -EINVAL;
	rc = config_hash(d->conf, d->conf->hash);
	return rc;
}

static void read_document(struct config_decoder *d, const cJSON *root)
{
	d->conf->n_documents++;
	config_dialect_document(d, root);
}

struct reading {
	struct config_decoder *d;
	size_t total; /* bytes */
	size_t n;     /* sources */
};

/* False: no more can be read. */
static bool read_source(struct reading *r, const struct config_source *src, bool is_object)
{
	struct config_input in = {.file = is_object ? NULL : src->name,
		.source = r->n++,
		.at = is_object ? (struct doc_mark){0, 0} : (struct doc_mark){1, 1},
		.is_fixed = is_object,
		.dialects = CONFIG_IN_NATIVE};
	struct config_decoder *d = r->d;

	d->at.subject = is_object ? src->name : "";
	r->total += src->len <= CONFIG_MAX_BYTES ? src->len : CONFIG_MAX_BYTES;
	if (r->total > CONFIG_MAX_BYTES) {
		config_error_mark(&d->at, &in, in.at, "too large: all files have 4 MiB together");
		d->documents_missing = true;
		return false;
	}
	if (!config_text_read(d, &in, src->text, src->len, read_document))
		d->documents_missing = true;
	return true;
}

static void read_sources(struct config_decoder *d, const struct config_source *src, size_t n_src,
	const struct config_source *objects, size_t n_objects)
{
	struct reading r = {.d = d};
	bool go_on = true;

	for (size_t i = 0; go_on && i < n_src; i++)
		go_on = read_source(&r, &src[i], false);
	for (size_t i = 0; go_on && i < n_objects; i++)
		go_on = read_source(&r, &objects[i], true);
}

static struct config *new_config(void)
{
	struct arena *arena = arena_new(MAX_ARENA_BYTES);
	struct config *c = arena != NULL ? arena_alloc(arena, sizeof *c) : NULL;

	if (c == NULL) {
		arena_free(arena);
		return NULL;
	}
	c->arena = arena;
	return c;
}

static int parse(const struct config_source *src, size_t n_src, const struct config_source *objects,
	size_t n_objects, struct config **ret_conf, struct config_report *report)
{
	struct config *c = new_config();
	struct config_decoder d;
	int rc;

	if (c == NULL)
		return -ENOMEM;
	config_decoder_init(&d, c->arena, c, report);
	c->elections.max_share = max_share_not_given;
	read_sources(&d, src, n_src, objects, n_objects);
	rc = finish(&d);
	config_decoder_free(&d);
	if (rc == 0)
		*ret_conf = c;
	else
		config_free(c);
	return rc;
}

int config_parse(const struct config_source *src, size_t n_src, struct config **ret_conf,
	struct config_report *report)
{
	return parse(src, n_src, NULL, 0, ret_conf, report);
}

int config_parse_cluster(const struct config_source *file, const struct config_source *objects,
	size_t n_objects, struct config **ret_conf, struct config_report *report)
{
	return parse(file, 1, objects, n_objects, ret_conf, report);
}

void config_free(struct config *c)
{
	if (c != NULL)
		arena_free(c->arena);
}

/* -- what the rest asks -- */

const struct config_pool *config_pool_of(const struct config *c, struct addr a)
{
	for (size_t i = 0; i < c->n_pools; i++)
		for (size_t k = 0; k < c->pools[i].n_ranges; k++)
			if (addr_range_contains(c->pools[i].ranges[k], a))
				return &c->pools[i];
	return NULL;
}

const struct config_pool *config_pool_named(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (strcmp(c->pools[i].name, name) == 0)
			return &c->pools[i];
	return NULL;
}

bool config_pool_moves(const struct config_pool *pool)
{
	return pool->reallocate || pool->dialect == CONFIG_METALLB_CR ||
	       pool->dialect == CONFIG_METALLB_CM;
}

static bool selects(const struct config_strings *names, const struct selectors *sel,
	const struct config_pool *pool)
{
	if (names->n == 0 && sel->n == 0)
		return true;
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], pool->name) == 0)
			return true;
	return sel->n > 0 && label_matches_any(sel, &pool->labels);
}

bool config_selects_namespaces(const struct config *c)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (c->pools[i].service_allocation.namespace_selectors.n > 0)
			return true;
	return false;
}

bool config_l2_selects_pool(
	const struct config_l2_advertisement *ad, const struct config_pool *pool)
{
	if (pool == NULL || ad->for_orphans)
		return pool == NULL && ad->for_orphans;
	return selects(&ad->ip_address_pools, &ad->ip_address_pool_selectors, pool);
}

bool config_bgp_selects_pool(
	const struct config_bgp_advertisement *ad, const struct config_pool *pool)
{
	return pool == NULL ? ad->for_orphans
			    : selects(&ad->ip_address_pools, &ad->ip_address_pool_selectors, pool);
}

const char *config_protocol_name(enum config_protocol protocol)
{
	switch (protocol) {
	case CONFIG_ANY_PROTOCOL:
		break;
	case CONFIG_LAYER2:
		return "layer2";
	case CONFIG_BGP:
		return "bgp";
	case CONFIG_VIP:
		return "vip";
	}
	return "any";
}

static bool announces_l2(const struct config *c, const struct config_pool *pool, bool bind)
{
	for (size_t i = 0; i < c->n_l2_advertisements; i++)
		if (c->l2_advertisements[i].bind_address == bind &&
			config_l2_selects_pool(&c->l2_advertisements[i], pool))
			return true;
	return false;
}

static bool announces_bgp(const struct config *c, const struct config_pool *pool)
{
	for (size_t i = 0; i < c->n_bgp_advertisements; i++)
		if (config_bgp_selects_pool(&c->bgp_advertisements[i], pool))
			return true;
	return false;
}

bool config_announces(
	const struct config *c, const struct config_pool *pool, enum config_protocol protocol)
{
	switch (protocol) {
	case CONFIG_ANY_PROTOCOL:
		break;
	case CONFIG_LAYER2:
		return announces_l2(c, pool, false);
	case CONFIG_BGP:
		return announces_bgp(c, pool);
	case CONFIG_VIP:
		return announces_l2(c, pool, true);
	}
	return true;
}

bool config_can_reach(const char *interface, struct addr *ret_a)
{
	static const char reach[] = "can_reach:";
	size_t n = sizeof reach - 1;

	return strncmp(interface, reach, n) == 0 &&
	       addr_parse(interface + n, strlen(interface + n), ret_a) == 0;
}

bool config_name_matches(const struct config_strings *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->v[i], name, 0) == 0)
			return true;
	return false;
}
