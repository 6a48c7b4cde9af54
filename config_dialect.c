/* SPDX-License-Identifier: Apache-2.0
 *
 * config_dialect.c - a YAML document of any dialect -> the decoder's lists.
 *
 * In:   one document: which dialect it is, its metadata, where its fields stand.
 * Out:  items of the root's lists, decoded by the one field table; what a dialect says in another
 *       shape (a pool with its protocol, an Eip) is turned into items here.
 * Sources: MetalLB api/v1beta1, api/v1beta2 and 0.12 internal/config; OpenELB api/v1alpha2.
 * Not done: peer-autodiscovery (gone since MetalLB 0.12).
 */
#include "config_dialect.h"

#include "config_field.h"
#include "config_openelb.h"
#include "config_scalar.h"
#include "config_text.h"
#include "json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What every Kubernetes object has, metadata decoded. */
struct object {
	const cJSON *node, *metadata, *spec; /* metadata and spec: NULL when not given */
	const char *kind, *name;
};

static const char *const object_keys[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
static const char *const metadata_keys[] = {"name", "namespace", "labels", "annotations", "uid",
	"resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "managedFields", "finalizers", "ownerReferences", "selfLink",
	"generateName", "clusterName", NULL};

static bool is_one_of(const char *s, const char *const *v)
{
	for (; *v != NULL; v++)
		if (strcmp(s, *v) == 0)
			return true;
	return false;
}

/* The same text read as another dialect. */
static void read_as(struct config_decoder *d, unsigned dialects, bool kebab)
{
	struct config_input *in = arena_alloc(d->arena, sizeof *in);

	if (in == NULL) {
		d->no_memory = true;
		return;
	}
	*in = *d->at.in;
	in->dialects = dialects;
	in->kebab = kebab;
	d->at.in = in;
}

static bool is_taken(const struct config_decoder *d, enum config_record_id id, const char *name)
{
	const struct config_items *items = &d->items[id];

	for (size_t i = 0; i < items->n; i++)
		if (strcmp(config_item_name(items, id, i), name) == 0)
			return true;
	return false;
}

/* For an item that its dialect gives no name: base for n = 0, else base-n; when that is taken, base
 * and the place in the list.  Should all of some tries be taken, the names clash and that is
 * reported. */
static const char *fresh_name(
	struct config_decoder *d, enum config_record_id id, const char *base, size_t n)
{
	char s[CONFIG_MAX_NAME + 32];

	snprintf(s, sizeof s, "%s", base);
	if (n > 0)
		snprintf(s, sizeof s, "%.*s-%zu", CONFIG_MAX_NAME - 20, base, n);
	for (size_t k = 1; k < 16 && is_taken(d, id, s); k++)
		snprintf(s, sizeof s, "%.*s-%zu", CONFIG_MAX_NAME - 20, base, d->items[id].n + k);
	return config_decode_dup(d, s);
}

/* A list of one string. */
static struct config_strings one_string(struct config_decoder *d, const char *s)
{
	const char **v = arena_array(d->arena, 1, sizeof(char *));

	if (v == NULL) {
		d->no_memory = true;
		return (struct config_strings){0};
	}
	v[0] = s;
	return (struct config_strings){v, 1};
}

/* -- Kubernetes objects -- */

static void set_subject(struct config_decoder *d, const struct object *o)
{
	char s[CONFIG_MAX_NAME + 64];

	if (d->at.in->file == NULL) /* the source's name says more */
		return;
	snprintf(s, sizeof s, "%.40s/%.253s", o->kind, o->name != NULL ? o->name : "");
	d->at.subject = config_decode_dup(d, s);
	if (d->at.subject == NULL)
		d->at.subject = "";
}

static void check_keys(struct config_decoder *d, const cJSON *obj, const char *const *names)
{
	for (const cJSON *c = obj->child; c != NULL; c = c->next)
		if (!is_one_of(c->string, names))
			config_decode_unknown(d, c, names);
}

static const cJSON *map_member(struct config_decoder *d, const cJSON *obj, const char *key)
{
	const cJSON *v = json_get(obj, key);
	char got[CONFIG_GOT_STRLEN];

	if (v == NULL || cJSON_IsNull(v))
		return NULL;
	if (!cJSON_IsObject(v)) {
		config_error_field(
			&d->at, obj, key, "must be a map (got %s)", config_got(&d->at, v, got));
		return NULL;
	}
	return v;
}

/* Its name is NULL when it has no usable one (reported). */
static struct object open_object(struct config_decoder *d, const cJSON *root, const char *kind)
{
	struct object o = {.node = root, .kind = kind};
	const cJSON *metadata = json_object(root, "metadata");
	char got[CONFIG_GOT_STRLEN];
	size_t up;

	o.name = json_string(metadata, "name");
	set_subject(d, &o);
	check_keys(d, root, object_keys);
	o.metadata = map_member(d, root, "metadata");
	o.spec = map_member(d, root, "spec");
	up = config_at_key_down(&d->at, "metadata");
	if (o.metadata != NULL)
		check_keys(d, o.metadata, metadata_keys);
	if (o.name == NULL || *o.name == '\0' || strlen(o.name) > CONFIG_MAX_NAME ||
		!config_field_text_ok(CONFIG_TEXT_NAME, o.name)) {
		config_error_field(&d->at, o.metadata != NULL ? o.metadata : root, "name",
			"must be a name (got %s)",
			config_got(&d->at, json_get(o.metadata, "name"), got));
		o.name = NULL;
	}
	config_at_up(&d->at, up);
	return o;
}

static void decode_pool_labels(
	struct config_decoder *d, const struct object *o, struct config_pool *pool)
{
	const cJSON *labels = json_get(o->metadata, "labels");
	size_t up = config_at_key_down(&d->at, "metadata"), in;

	in = config_at_key_down(&d->at, "labels");
	if (labels != NULL && !cJSON_IsNull(labels))
		(void)config_decode_field(
			d, config_list_record(CONFIG_POOL), "labels", labels, pool);
	config_at_up(&d->at, in);
	config_at_up(&d->at, up);
}

static bool needs_spec(const struct config_record *r)
{
	for (size_t i = 0; i < r->n_fields; i++)
		if (r->fields[i].flags & CONFIG_REQUIRED && r->fields[i].in & CONFIG_IN_CR)
			return true;
	return false;
}

/* The item just added has the object's name. */
static void set_name(
	struct config_decoder *d, enum config_record_id id, void *rec, const struct object *o)
{
	const char **name = (const char **)(void *)((char *)rec + config_list_record(id)->name_at);

	*name = o->name != NULL ? config_decode_dup(d, o->name) : NULL;
	d->items[id].origins[d->items[id].n - 1].metadata = o->metadata;
}

/* -- MetalLB's custom resources -- */

/* A peer's Secret is in the peer's namespace unless it says another. */
static void complete_secret(
	struct config_decoder *d, const struct object *o, struct config_peer *peer)
{
	const char *namespace_ = json_string(o->metadata, "namespace");

	if (peer->password_secret.name != NULL && peer->password_secret.namespace_ == NULL &&
		namespace_ != NULL && config_field_text_ok(CONFIG_TEXT_NAMESPACE, namespace_))
		peer->password_secret.namespace_ = config_decode_dup(d, namespace_);
}

/* The spec is the item. */
static void decode_resource(
	struct config_decoder *d, const struct object *o, enum config_record_id id)
{
	const struct config_record *record = config_list_record(id);
	size_t up = config_at_key_down(&d->at, "spec");
	void *rec = config_decode_add(d, id, o->spec != NULL ? o->spec : o->node, o->node);

	if (rec != NULL) {
		set_name(d, id, rec, o);
		if (o->spec != NULL)
			(void)config_decode_map(d, record, o->spec, rec);
	}
	config_at_up(&d->at, up);
	if (rec != NULL && id == CONFIG_PEER)
		complete_secret(d, o, rec);
	if (o->spec == NULL && needs_spec(record))
		config_error_field(&d->at, o->node, "spec", "must be a map (got nothing)");
	if (rec != NULL && id == CONFIG_POOL) {
		((struct config_pool *)rec)->dialect = CONFIG_METALLB_CR;
		decode_pool_labels(d, o, rec);
	}
}

/* spec.communities is the list. */
static void decode_community(struct config_decoder *d, const struct object *o)
{
	static const char *const keys[] = {"communities", NULL};
	size_t up = config_at_key_down(&d->at, "spec"), in;
	const cJSON *list = json_get(o->spec, "communities");

	if (o->spec != NULL)
		check_keys(d, o->spec, keys);
	in = config_at_key_down(&d->at, "communities");
	if (list != NULL && !cJSON_IsNull(list))
		config_decode_items(d, CONFIG_COMMUNITY, list);
	config_at_up(&d->at, in);
	config_at_up(&d->at, up);
}

static void decode_legacy_pool(struct config_decoder *d, const cJSON *node, const cJSON *mark_node,
	const struct object *o);

static void decode_address_pool(struct config_decoder *d, const struct object *o)
{
	size_t up = config_at_key_down(&d->at, "spec");

	read_as(d, CONFIG_IN_CM, false);
	if (o->spec != NULL)
		decode_legacy_pool(d, o->spec, o->node, o);
	config_at_up(&d->at, up);
	if (o->spec == NULL)
		config_error_field(&d->at, o->node, "spec", "must be a map (got nothing)");
}

static void check_version(
	struct config_decoder *d, const cJSON *root, const char *const *versions, const char *want)
{
	const char *got = json_string(root, "apiVersion");

	if (!is_one_of(got, versions))
		config_error_field(&d->at, root, "apiVersion", "must be %s (got %.80s)", want, got);
}

static void unknown_kind(struct config_decoder *d, const cJSON *root, const char *const *kinds)
{
	char got[CONFIG_GOT_STRLEN];
	const char *kind = json_string(root, "kind"), *near = config_nearest(kind, kinds);

	if (near != NULL)
		config_error_field(&d->at, root, "kind", "unknown kind, did you mean %s? (got %s)",
			near, config_got_text(kind, got));
	else
		config_error_field(
			&d->at, root, "kind", "unknown kind (got %s)", config_got_text(kind, got));
}

static void ignore(struct config_decoder *d, const cJSON *root, const char *kind, const char *why)
{
	struct object o = {
		.kind = kind, .name = json_string(json_object(root, "metadata"), "name")};

	set_subject(d, &o);
	config_warn(&d->at, root, "%s", why);
}

static void decode_metallb(struct config_decoder *d, const cJSON *root, const char *kind)
{
	static const char *const versions[] = {"metallb.io/v1beta1", "metallb.io/v1beta2", NULL};
	static const char *const kinds[] = {"IPAddressPool", "L2Advertisement", "BGPPeer",
		"BGPAdvertisement", "BFDProfile", "Community", "AddressPool", NULL};
	static const enum config_record_id ids[] = {CONFIG_POOL, CONFIG_L2_ADVERTISEMENT,
		CONFIG_PEER, CONFIG_BGP_ADVERTISEMENT, CONFIG_BFD_PROFILE};
	static const char *const states[] = {
		"ServiceL2Status", "ServiceBGPStatus", "ConfigurationState", NULL};
	struct object o;
	size_t i = 0;

	check_version(d, root, versions, "metallb.io/v1beta1 or metallb.io/v1beta2");
	while (kinds[i] != NULL && strcmp(kinds[i], kind) != 0)
		i++;
	if (strcmp(kind, "MetalLB") == 0) {
		ignore(d, root, kind, "is the MetalLB operator's, not configuration: ignored");
	} else if (kinds[i] == NULL && is_one_of(kind, states)) {
		ignore(d, root, kind, "is MetalLB's state, not configuration: ignored");
	} else if (kinds[i] == NULL) {
		unknown_kind(d, root, kinds);
	} else {
		read_as(d, CONFIG_IN_CR, false);
		o = open_object(d, root, kinds[i]);
		if (i < ARRAY_LEN(ids))
			decode_resource(d, &o, ids[i]);
		else if (strcmp(kind, "Community") == 0)
			decode_community(d, &o);
		else
			decode_address_pool(d, &o);
	}
}

/* -- MetalLB's ConfigMap -- */

static void add_l2(struct config_decoder *d, const cJSON *node, const cJSON *mark_node,
	const char *pool, bool bind, const char *interface)
{
	const char *name = fresh_name(d, CONFIG_L2_ADVERTISEMENT, pool, 0);
	struct config_l2_advertisement *ad =
		config_decode_add(d, CONFIG_L2_ADVERTISEMENT, node, mark_node);

	if (ad == NULL)
		return;
	ad->name = name;
	ad->ip_address_pools = one_string(d, pool);
	ad->bind_address = bind;
	if (interface != NULL)
		ad->interfaces = one_string(d, interface);
}

/* The pool's nth advertisement.  from: what the pool says of it, NULL for the default. */
static void add_bgp(struct config_decoder *d, const cJSON *node, const cJSON *mark_node,
	const char *pool, size_t n, const struct config_bgp_advertisement *from)
{
	const char *name = fresh_name(d, CONFIG_BGP_ADVERTISEMENT, pool, n < 2 ? 0 : n);
	struct config_bgp_advertisement *ad =
		config_decode_add(d, CONFIG_BGP_ADVERTISEMENT, node, mark_node);
	struct config_mark mark;

	if (ad == NULL)
		return;
	mark = ad->mark;
	if (from != NULL)
		*ad = *from;
	ad->mark = mark;
	ad->name = name;
	ad->ip_address_pools = one_string(d, pool);
}

/* The pool's announcements, as its protocol says. */
static void announce_legacy(struct config_decoder *d, const cJSON *node, const cJSON *mark_node,
	const struct config_legacy_pool *p)
{
	char s[CONFIG_MAX_KEY];
	const char *spelled = config_at_key(&d->at, "bgpAdvertisements", s);
	const cJSON *list = json_array(node, spelled);
	size_t i = 0, up;

	if (strcmp(p->protocol, "layer2") == 0)
		add_l2(d, node, mark_node, p->pool.name, false, NULL);
	else if (p->n_advertisements == 0)
		add_bgp(d, node, mark_node, p->pool.name, 1, NULL);
	if (strcmp(p->protocol, "layer2") == 0 || list == NULL)
		return;
	up = config_at_key_down(&d->at, spelled);
	for (const cJSON *c = list->child; c != NULL && i < p->n_advertisements; c = c->next, i++) {
		size_t in = config_at_index_down(&d->at, i);

		add_bgp(d, c, c, p->pool.name, i + 1, &p->advertisements[i]);
		config_at_up(&d->at, in);
	}
	config_at_up(&d->at, up);
}

/* o: an AddressPool, which has the name in metadata; NULL when the map has it. */
static void decode_legacy_pool(
	struct config_decoder *d, const cJSON *node, const cJSON *mark_node, const struct object *o)
{
	struct config_legacy_pool p = {.protocol = NULL};
	struct config_pool *pool;
	struct config_mark mark;

	config_decode_defaults(d, config_legacy_pool_record(), &p);
	/* Set before the map is read, which then need not have it. */
	if (o != NULL)
		p.pool.name = config_decode_dup(d, o->name != NULL ? o->name : "");
	(void)config_decode_map(d, config_legacy_pool_record(), node, &p);
	pool = config_decode_add(d, CONFIG_POOL, node, mark_node);
	if (pool == NULL)
		return;
	mark = pool->mark;
	*pool = p.pool;
	if (o != NULL)
		set_name(d, CONFIG_POOL, pool, o);
	pool->mark = mark;
	pool->dialect = CONFIG_METALLB_CM;
	if (p.protocol != NULL && p.pool.name != NULL && *p.pool.name != '\0')
		announce_legacy(d, node, mark_node, &p);
}

static void each_item(struct config_decoder *d, const cJSON *list,
	void (*decode)(struct config_decoder *d, const cJSON *node))
{
	char got[CONFIG_GOT_STRLEN];
	size_t i = 0;

	if (!cJSON_IsArray(list)) {
		config_error(
			&d->at, list, "must be a list (got %s)", config_got(&d->at, list, got));
		return;
	}
	for (const cJSON *c = list->child; c != NULL; c = c->next, i++) {
		size_t up = config_at_index_down(&d->at, i);

		decode(d, c);
		config_at_up(&d->at, up);
	}
}

static void decode_cm_pool(struct config_decoder *d, const cJSON *node)
{
	decode_legacy_pool(d, node, node, NULL);
}

static void decode_cm_peer(struct config_decoder *d, const cJSON *node)
{
	const char *name = fresh_name(d, CONFIG_PEER, "peer", d->items[CONFIG_PEER].n + 1);
	struct config_peer *peer = config_decode_add(d, CONFIG_PEER, node, node);

	if (peer == NULL)
		return;
	peer->name = name;
	(void)config_decode_map(d, config_list_record(CONFIG_PEER), node, peer);
}

/* alias: value */
static void decode_cm_communities(struct config_decoder *d, const cJSON *map)
{
	const struct config_record *record = config_list_record(CONFIG_COMMUNITY);
	char got[CONFIG_GOT_STRLEN];

	if (!cJSON_IsObject(map)) {
		config_error(&d->at, map, "must be a map (got %s)", config_got(&d->at, map, got));
		return;
	}
	for (const cJSON *c = map->child; c != NULL; c = c->next) {
		size_t up = config_at_key_down(&d->at, c->string);
		struct config_community *rec = config_decode_add(d, CONFIG_COMMUNITY, c, c);

		if (rec != NULL) {
			rec->name = config_decode_dup(d, c->string);
			(void)config_decode_field(d, record, "value", c, rec);
		}
		if (*c->string == '\0' || strlen(c->string) > CONFIG_MAX_NAME ||
			!config_field_text_ok(CONFIG_TEXT_NAME, c->string))
			config_error_key(&d->at, c, "must be a name (got %s)",
				config_got_text(c->string, got));
		config_at_up(&d->at, up);
	}
}

static const char *const cm_keys[] = {
	"address-pools", "peers", "bgp-communities", "bfd-profiles", NULL};

static void decode_cm_member(struct config_decoder *d, const cJSON *member)
{
	size_t up = config_at_key_down(&d->at, member->string);

	if (strcmp(member->string, "peer-autodiscovery") == 0)
		config_error_key(&d->at, member, "is not supported: list the peers in peers");
	else if (cJSON_IsNull(member))
		;
	else if (strcmp(member->string, "address-pools") == 0)
		each_item(d, member, decode_cm_pool);
	else if (strcmp(member->string, "peers") == 0)
		each_item(d, member, decode_cm_peer);
	else if (strcmp(member->string, "bfd-profiles") == 0)
		config_decode_items(d, CONFIG_BFD_PROFILE, member);
	else
		decode_cm_communities(d, member);
	config_at_up(&d->at, up);
}

/* The text of data.config. */
static void decode_cm_text(struct config_decoder *d, const cJSON *root)
{
	char got[CONFIG_GOT_STRLEN];

	read_as(d, CONFIG_IN_CM, true);
	if (!cJSON_IsObject(root)) {
		config_error(&d->at, root, "must be a map (got %s)", config_got(&d->at, root, got));
		return;
	}
	for (const cJSON *c = root->child; c != NULL; c = c->next) {
		if (is_one_of(c->string, cm_keys) || strcmp(c->string, "peer-autodiscovery") == 0)
			decode_cm_member(d, c);
		else
			config_decode_unknown(d, c, cm_keys);
	}
}

/* Does a map without apiVersion and kind look like the ConfigMap's text? */
static bool is_cm_text(const cJSON *root)
{
	bool all = root->child != NULL;

	for (const cJSON *c = root->child; c != NULL; c = c->next) {
		if (is_one_of(c->string, cm_keys) && strcmp(c->string, "peers") != 0)
			return true;
		all &= strcmp(c->string, "peers") == 0;
	}
	return all || json_get(root, "peer-autodiscovery") != NULL;
}

static void decode_config_map(struct config_decoder *d, const cJSON *root)
{
	const cJSON *text = json_get(json_object(root, "data"), "config");
	struct config_input in = *d->at.in;
	struct object o = {
		.kind = "ConfigMap", .name = json_string(json_object(root, "metadata"), "name")};
	size_t up = d->at.path.len;
	char got[CONFIG_GOT_STRLEN];
	struct doc_mark block;

	if (text == NULL || cJSON_IsNull(text)) {
		ignore(d, root, "ConfigMap", "has no data.config, ignored");
		return;
	}
	set_subject(d, &o);
	if (!cJSON_IsString(text)) {
		(void)config_at_key_down(&d->at, "data");
		(void)config_at_key_down(&d->at, "config");
		config_error(&d->at, text, "must be text: put | behind config: (got %s)",
			config_got(&d->at, text, got));
		config_at_up(&d->at, up);
		return;
	}
	block = doc_block_origin(in.doc, text);
	in.at = config_input_mark(d->at.in, block.line != 0 ? block : doc_mark(in.doc, text));
	in.is_fixed |= block.line == 0;
	if (!config_text_read(d, &in, text->valuestring, strlen(text->valuestring), decode_cm_text))
		d->documents_missing = true;
}

/* -- OpenELB -- */

/* Is it the one for Services that name none?  There can be one (OpenELB's webhook). */
static bool is_default_eip(struct config_decoder *d, const struct object *o)
{
	static const char key[] = "eip.openelb.kubesphere.io/is-default-eip";
	const cJSON *annotations = json_object(o->metadata, "annotations");
	const char *value = json_string(annotations, key);
	const struct config_mark *m = &d->default_eip;
	size_t up;

	if (value == NULL || strcasecmp(value, "true") != 0)
		return false;
	if (d->has_default_eip) {
		up = config_at_key_down(&d->at, "metadata");
		(void)config_at_key_down(&d->at, "annotations");
		config_error_field(&d->at, annotations, key,
			"must be true of one Eip, %s:%u has it (got true)",
			m->file != NULL ? m->file : "the API", m->line);
		config_at_up(&d->at, up);
	} else {
		d->default_eip = config_at_mark(&d->at, o->node);
		if (d->default_eip.file != NULL)
			d->default_eip.file = config_decode_dup(d, d->default_eip.file);
	}
	d->has_default_eip = true;
	return true;
}

/* Who names neither Eip nor address gets one of those that are for the namespace, the lower
 * priority first, from 0; else of the default one; of any other only where there is none (config.c,
 * at the end).  Here 0 is last.  Who names one gets it whatever the namespace. */
static void eip_allocation(
	struct config_decoder *d, const struct config_eip *e, struct config_pool *pool)
{
	bool bound = e->namespaces.n > 0 || e->namespace_selector.n_match_labels > 0;
	struct config_service_allocation *a = &pool->service_allocation;
	struct selector *sel;

	a->present = bound || e->is_default;
	if (e->is_default) {
		a->priority = INT32_MAX;
		return;
	}
	a->auto_only = bound;
	a->priority = bound ? e->priority + 1 : 0;
	a->namespaces = e->namespaces;
	if (e->namespace_selector.n_match_labels == 0)
		return;
	sel = arena_alloc(d->arena, sizeof *sel);
	if (sel == NULL) {
		d->no_memory = true;
		return;
	}
	*sel = e->namespace_selector;
	a->namespace_selectors = (struct selectors){sel, 1};
}

static void eip_announcement(struct config_decoder *d, const struct object *o,
	const struct config_eip *e, const char *pool)
{
	if (strcmp(e->protocol, "bgp") == 0)
		add_bgp(d, o->spec, o->node, pool, 1, NULL);
	else
		add_l2(d, o->spec, o->node, pool, strcmp(e->protocol, "vip") == 0, e->interface);
}

/* The pool of an Eip; NULL when out of memory or places. */
static struct config_pool *eip_pool(
	struct config_decoder *d, const struct object *o, const struct config_eip *e, bool ok)
{
	struct config_pool *pool = config_decode_add(d, CONFIG_POOL, o->spec, o->node);
	struct addr_range *range = arena_alloc(d->arena, sizeof *range);
	const cJSON *address = json_get(o->spec, "address");
	size_t up;

	if (pool == NULL || range == NULL)
		return NULL;
	set_name(d, CONFIG_POOL, pool, o);
	pool->dialect = CONFIG_OPENELB;
	pool->disabled = e->disable;
	eip_allocation(d, e, pool);
	up = config_at_key_down(&d->at, "address");
	if (ok && config_decode_range(d, address, true, range)) {
		pool->ranges = range;
		pool->n_ranges = 1;
	}
	config_at_up(&d->at, up);
	return pool;
}

static void decode_eip(struct config_decoder *d, const struct object *o)
{
	struct config_eip e = {.is_default = is_default_eip(d, o)};
	struct config_pool *pool;
	size_t up;
	bool ok;

	up = config_at_key_down(&d->at, "spec");
	config_decode_defaults(d, config_eip_record(), &e);
	ok = config_decode_map(d, config_eip_record(), o->spec, &e);
	pool = eip_pool(d, o, &e, ok);
	if (pool != NULL && ok && pool->name != NULL)
		eip_announcement(d, o, &e, pool->name);
	config_at_up(&d->at, up);
	if (pool != NULL)
		decode_pool_labels(d, o, pool);
}

static void decode_bgp_conf(struct config_decoder *d, const struct object *o)
{
	size_t up;

	if (o->name == NULL)
		return;
	if (strcmp(o->name, "default") != 0) {
		ignore(d, o->node, "BgpConf", "only the one named default is read: ignored");
		return;
	}
	up = config_at_key_down(&d->at, "spec");
	config_openelb_conf(d, o->spec, o->node);
	config_at_up(&d->at, up);
}

static void decode_bgp_peer(struct config_decoder *d, const struct object *o)
{
	struct config_peer *peer;
	size_t up;

	if (cJSON_IsTrue(json_get(json_object(o->spec, "conf"), "adminDown"))) {
		ignore(d, o->node, "BgpPeer", "has adminDown: ignored");
		return;
	}
	up = config_at_key_down(&d->at, "spec");
	peer = config_decode_add(d, CONFIG_PEER, o->spec, o->node);
	if (peer != NULL) {
		set_name(d, CONFIG_PEER, peer, o);
		config_openelb_peer(d, o->spec, peer);
	}
	config_at_up(&d->at, up);
}

static void decode_openelb(struct config_decoder *d, const cJSON *root, const char *kind)
{
	static const char *const versions[] = {"network.kubesphere.io/v1alpha2", NULL};
	static const char *const kinds[] = {"Eip", "BgpConf", "BgpPeer", NULL};
	static void (*const decode[])(struct config_decoder * d, const struct object *o) = {
		decode_eip, decode_bgp_conf, decode_bgp_peer};
	struct object o;
	size_t i = 0;

	check_version(d, root, versions, versions[0]);
	while (kinds[i] != NULL && strcmp(kinds[i], kind) != 0)
		i++;
	if (kinds[i] == NULL) {
		unknown_kind(d, root, kinds);
		return;
	}
	read_as(d, CONFIG_IN_EIP, false);
	o = open_object(d, root, kinds[i]);
	if (o.spec != NULL)
		decode[i](d, &o);
	else
		config_error_field(&d->at, o.node, "spec", "must be a map (got nothing)");
}

/* -- any document -- */

static void decode_native(struct config_decoder *d, const cJSON *root, const char *kind)
{
	static const char *const versions[] = {"lbd.io/v1", NULL};
	static const char *const kinds[] = {"Config", NULL};

	check_version(d, root, versions, versions[0]);
	if (strcmp(kind, "Config") != 0) {
		unknown_kind(d, root, kinds);
		return;
	}
	read_as(d, CONFIG_IN_NATIVE, false);
	config_decode_root(d, root);
}

static bool is_group(const char *api_version, const char *group)
{
	size_t n = strlen(group);

	return strncmp(api_version, group, n) == 0 &&
	       (api_version[n] == '/' || api_version[n] == '\0');
}

static bool is_list(const cJSON *root, const char *kind)
{
	size_t n = strlen(kind);

	return n >= 4 && strcmp(kind + n - 4, "List") == 0 && json_array(root, "items") != NULL;
}

/* Is it a kind of ours whose version has no group, or nearly the right one?  Then that is a slip:
 * the same kind of an altogether other group (Calico has a BGPPeer) is another's object.  The right
 * version, or NULL. */
static const char *meant_version(const char *api_version, const char *kind)
{
	static const char *const ours[][3] = {{"Config", "lbd.io", "lbd.io/v1"},
		{"IPAddressPool", "metallb.io", "metallb.io/v1beta1"},
		{"L2Advertisement", "metallb.io", "metallb.io/v1beta1"},
		{"BGPPeer", "metallb.io", "metallb.io/v1beta2"},
		{"BGPAdvertisement", "metallb.io", "metallb.io/v1beta1"},
		{"BFDProfile", "metallb.io", "metallb.io/v1beta1"},
		{"Community", "metallb.io", "metallb.io/v1beta1"},
		{"AddressPool", "metallb.io", "metallb.io/v1beta1"},
		{"Eip", "network.kubesphere.io", "network.kubesphere.io/v1alpha2"},
		{"BgpConf", "network.kubesphere.io", "network.kubesphere.io/v1alpha2"},
		{"BgpPeer", "network.kubesphere.io", "network.kubesphere.io/v1alpha2"}};
	char group[CONFIG_MAX_KEY];

	snprintf(group, sizeof group, "%.*s", (int)strcspn(api_version, "/"), api_version);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (strcmp(kind, ours[i][0]) == 0)
			return strchr(api_version, '/') == NULL ||
					       config_likeness(group, ours[i][1]) > 0
				       ? ours[i][2]
				       : NULL;
	return NULL;
}

static void decode_other(
	struct config_decoder *d, const cJSON *root, const char *api_version, const char *kind)
{
	const char *meant = meant_version(api_version, kind);
	char got[CONFIG_GOT_STRLEN];

	if (meant != NULL)
		config_error_field(&d->at, root, "apiVersion", "must be %s for kind %s (got %s)",
			meant, kind, config_got_text(api_version, got));
	else
		ignore(d, root, kind, "is not configuration, ignored");
}

static void decode_kind(
	struct config_decoder *d, const cJSON *root, const char *api_version, const char *kind)
{
	if (is_group(api_version, "lbd.io"))
		decode_native(d, root, kind);
	else if (is_group(api_version, "metallb.io"))
		decode_metallb(d, root, kind);
	else if (is_group(api_version, "network.kubesphere.io"))
		decode_openelb(d, root, kind);
	else if (strcmp(api_version, "v1") == 0 && strcmp(kind, "ConfigMap") == 0)
		decode_config_map(d, root);
	else
		decode_other(d, root, api_version, kind);
}

static void decode_items_of_list(struct config_decoder *d, const cJSON *root)
{
	size_t up = config_at_key_down(&d->at, "items"), i = 0;

	for (const cJSON *c = json_array(root, "items")->child; c != NULL; c = c->next, i++) {
		size_t in = config_at_index_down(&d->at, i);

		config_dialect_document(d, c);
		config_at_up(&d->at, in);
	}
	config_at_up(&d->at, up);
}

void config_dialect_document(struct config_decoder *d, const cJSON *root)
{
	const struct config_input *in = d->at.in;
	const char *subject = d->at.subject, *api_version, *kind;
	char got[CONFIG_GOT_STRLEN];

	if (!cJSON_IsObject(root)) {
		config_error(&d->at, root, "must be a map (got %s)", config_got(&d->at, root, got));
		return;
	}
	api_version = config_decode_text(d, root, "apiVersion");
	kind = config_decode_text(d, root, "kind");
	if (api_version != NULL && kind != NULL && is_list(root, kind))
		decode_items_of_list(d, root);
	else if (api_version != NULL && kind != NULL)
		decode_kind(d, root, api_version, kind);
	else if (json_get(root, "apiVersion") == NULL && json_get(root, "kind") == NULL &&
		 is_cm_text(root))
		decode_cm_text(d, root);
	else if (json_get(root, "apiVersion") == NULL)
		config_error_field(&d->at, root, "apiVersion",
			"must be lbd.io/v1, or that of a Kubernetes object (got nothing)");
	else if (json_get(root, "kind") == NULL)
		config_error_field(&d->at, root, "kind",
			"must be Config, or that of a Kubernetes object (got nothing)");
	d->at.in = in;
	d->at.subject = subject;
}
