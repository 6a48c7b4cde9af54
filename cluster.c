/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c - the typed picture of the cluster.
 *
 * Owns: every decoded object, in one block of exactly its size (of a Service a copy, which the
 *       allocator may hold as well); per Service the endpoints counted by node; the list of dirty
 *       Services.
 * In:   cJSON trees of the API, as the watches deliver them -> cluster_apply().
 * Out:  typed structs by key, endpoint counts, the dirty list, cluster_on_lease().
 * Sources: KEP-1669 (terminating endpoints); what the objects look like is cluster_decode.c's.
 *
 * A *service* is what is known under one key: the object, if there is one, and the slices that name
 * it, which may come first and stay longer.  It stays while it is dirty, so that the key of a
 * deleted Service can still be read.
 */
#include "cluster.h"

#include "cluster_decode.h"
#include "copy.h"
#include "table.h"

#include <errno.h>
#include <string.h>

/* The name of a node, shared by all slices that have endpoints there. */
struct node_name {
	uint32_t hash, refs;
	char text[];
};

/* Endpoints of one slice on one node. */
struct share {
	struct node_name *node;  /* holds a reference; NULL = the slice does not say */
	uint32_t ready, serving; /* serving: only because it is terminating */
};

enum { MAX_SHARES = 0x3fff };

/* Slices are named after their Services: only what follows that name is kept. */
struct slice {
	uint32_t hash; /* of the whole key */
	uint16_t seen;
	uint16_t n_shares : 14, is_slice : 1; /* an EndpointSlice; else an Endpoints */
	uint16_t is_short : 1;                /* the Service's key goes before the text */
	struct slice *next;                   /* of the same Service */
	struct service *service;
	struct share share[]; /* sorted by name of the node; the key's text follows */
};

struct service {
	uint32_t hash;
	uint16_t seen;
	bool dirty;
	bool exists;          /* else the copy only has the key: it is gone, or spoken of */
	struct copy *copy;    /* held */
	struct slice *slices; /* borrowed from the slices' table */
};

/* A Node, a Lease or a Namespace. */
struct slot {
	uint32_t hash;
	uint16_t seen;
	union {
		void *any;
		struct cluster_node *node;
		struct cluster_lease *lease;
		struct cluster_namespace *namespace_;
	} o; /* owned */
	char key[];
};

struct list {
	uint16_t mark; /* number of the list under way, or of the last one */
	bool blind;    /* what could not be seen must not be taken for gone */
};

struct cluster {
	struct hash_key hkey;
	struct counters *counters;              /* borrowed */
	struct table services;                  /* of struct service */
	struct table nodes, leases, namespaces; /* of struct slot */
	struct table slices[2];                 /* of struct slice: EndpointSlices, Endpoints */
	struct table node_names;
	struct list list[CLUSTER_KINDS];
	size_t n_services;      /* that exist */
	struct service **dirty; /* owned; room for all of the table */
	size_t n_dirty, cap_dirty;
	uint64_t nodes_generation, namespaces_generation;
	cluster_lease_fn on_lease;
	void *on_lease_ctx;
	struct cluster_scratch *scratch; /* owned */
};

/* -- the tables -------------------------------------------------------------------------------- */

static uint32_t hash_of(const struct cluster *c, const char *key)
{
	return hash_bytes(&c->hkey, key, strlen(key));
}

static bool slot_is(const void *elt, const void *key, size_t len)
{
	const struct slot *s = elt;

	return strncmp(s->key, key, len) == 0 && s->key[len] == '\0';
}

static struct slot *slot_find(const struct cluster *c, const struct table *t, const char *key)
{
	return table_find(t, hash_of(c, key), slot_is, key, strlen(key));
}

static struct slot *slot_add(struct cluster *c, struct table *t, const char *key)
{
	size_t len = strlen(key);
	struct slot *s = calloc(1, sizeof *s + len + 1);

	if (s == NULL)
		return NULL;
	s->hash = hash_of(c, key);
	memcpy(s->key, key, len);
	if (table_add(t, s) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

/* -- Services ---------------------------------------------------------------------------------- */

static bool service_is(const void *elt, const void *key, size_t len)
{
	const char *k = copy_key(((const struct service *)elt)->copy);

	return strncmp(k, key, len) == 0 && k[len] == '\0';
}

static struct service *service_find(const struct cluster *c, const char *key)
{
	return table_find(&c->services, hash_of(c, key), service_is, key, strlen(key));
}

/* A place for one more in the dirty list, so that marking it never fails. */
static int reserve_dirty(struct cluster *c)
{
	size_t cap = c->cap_dirty + c->cap_dirty / 4 + 64;
	struct service **v;

	if (c->services.live < c->cap_dirty)
		return 0;
	v = realloc(c->dirty, cap * sizeof(void *));
	if (v == NULL)
		return -ENOMEM;
	c->dirty = v;
	c->cap_dirty = cap;
	return 0;
}

/* NULL when out of memory: copy is still the caller's. */
static struct service *service_add(struct cluster *c, struct copy *copy)
{
	struct service *s;

	if (reserve_dirty(c) < 0)
		return NULL;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	s->hash = hash_of(c, copy_key(copy));
	s->copy = copy;
	if (table_add(&c->services, s) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

/* The one of that key, made if need be: then it is only spoken of. */
static struct service *service_get(struct cluster *c, const char *key)
{
	const struct cluster_service hollow = {.key = key};
	struct service *s = service_find(c, key);
	struct copy *copy;

	if (s != NULL)
		return s;
	copy = copy_hold(&hollow);
	s = copy != NULL ? service_add(c, copy) : NULL;
	if (s == NULL)
		copy_drop(copy);
	return s;
}

/* It goes when nothing is known under its key any more. */
static void service_put(struct cluster *c, struct service *s)
{
	if (s->exists || s->slices != NULL || s->dirty)
		return;
	table_remove(&c->services, s);
	copy_drop(s->copy);
	free(s);
}

static void mark_dirty(struct cluster *c, struct service *s)
{
	if (s->dirty)
		return;
	REQUIRE(c->n_dirty < c->cap_dirty);
	s->dirty = true;
	c->dirty[c->n_dirty++] = s;
}

static void endpoints_changed(struct cluster *c, struct service *s)
{
	if (s->exists && copy_is_load_balancer(s->copy))
		mark_dirty(c, s);
}

/* known may be NULL. */
static int put_service(struct cluster *c, struct service *known, const char *key, const cJSON *obj)
{
	bool is_new = known == NULL || !known->exists;
	struct copy *copy;
	int err = cluster_decode_service(c->scratch, key, obj, &copy);

	if (err < 0)
		return err;
	if (is_new && c->n_services >= CLUSTER_MAX_SERVICES) {
		copy_drop(copy);
		return -E2BIG;
	}
	if (known != NULL) {
		copy_drop(known->copy);
		known->copy = copy;
	} else {
		known = service_add(c, copy);
	}
	if (known == NULL) {
		copy_drop(copy);
		return -ENOMEM;
	}
	known->exists = true;
	known->seen = c->list[CLUSTER_SERVICE].mark;
	c->n_services += is_new;
	mark_dirty(c, known);
	return 0;
}

static void delete_service(struct cluster *c, struct service *s)
{
	s->exists = false;
	c->n_services--;
	mark_dirty(c, s);
}

static int apply_service(
	struct cluster *c, enum cluster_event event, const char *key, const cJSON *obj)
{
	struct service *s = service_find(c, key);
	const char *version = cluster_decode_version(obj);

	if (s == NULL || !s->exists)
		return event == CLUSTER_PUT ? put_service(c, s, key, obj) : 0;
	s->seen = c->list[CLUSTER_SERVICE].mark;
	if (event == CLUSTER_DELETE) {
		delete_service(c, s);
		return 0;
	}
	if (*version != '\0' && strcmp(version, copy_version(s->copy)) == 0)
		return 0;
	return put_service(c, s, key, obj);
}

int cluster_suppose(struct cluster *c, const char *key, const struct cluster_supposed *st)
{
	struct service *s = service_find(c, key);
	struct cluster_service view;
	struct copy *copy;

	if (s == NULL || !s->exists)
		return -ENOENT;
	view = copy_view(s->copy);
	view.copy = NULL;
	view.ingress = st->ips;
	view.n_ingress = st->n_ips;
	view.ingress_foreign = view.ingress_not_vip_mode = false;
	view.pool_written = st->pool;
	view.resource_version = st->version;
	copy = copy_hold(&view);
	if (copy == NULL)
		return -ENOMEM;
	copy_drop(s->copy);
	s->copy = copy;
	mark_dirty(c, s);
	return 0;
}

/* -- Nodes, Leases, Namespaces ----------------------------------------------------------------- */

static struct table *table_of(struct cluster *c, enum cluster_kind kind)
{
	switch (kind) {
	case CLUSTER_SERVICE:
		return &c->services;
	case CLUSTER_NODE:
		return &c->nodes;
	case CLUSTER_LEASE:
		return &c->leases;
	case CLUSTER_NAMESPACE:
		return &c->namespaces;
	case CLUSTER_ENDPOINT_SLICE:
		return &c->slices[0];
	case CLUSTER_ENDPOINTS:
		return &c->slices[1];
	case CLUSTER_KINDS:
		break;
	}
	abort();
}

static const char *version_of(enum cluster_kind kind, const struct slot *s)
{
	return kind == CLUSTER_NODE    ? s->o.node->resource_version
	       : kind == CLUSTER_LEASE ? s->o.lease->resource_version
				       : s->o.namespace_->resource_version;
}

static size_t max_of(enum cluster_kind kind)
{
	static const size_t max[CLUSTER_KINDS] = {
		[CLUSTER_SERVICE] = CLUSTER_MAX_SERVICES,
		[CLUSTER_NODE] = CLUSTER_MAX_NODES,
		[CLUSTER_ENDPOINT_SLICE] = CLUSTER_MAX_SLICES,
		[CLUSTER_ENDPOINTS] = CLUSTER_MAX_SLICES,
		[CLUSTER_LEASE] = CLUSTER_MAX_LEASES,
		[CLUSTER_NAMESPACE] = CLUSTER_MAX_NAMESPACES,
	};

	return max[kind];
}

/* old is NULL when it is new. */
static void namespace_changed(
	struct cluster *c, const struct cluster_namespace *old, struct cluster_namespace *new)
{
	if (old != NULL && label_equal(&old->labels, &new->labels))
		new->generation = old->generation;
	else
		new->generation = ++c->namespaces_generation;
}

/* A new object is in the place of old (NULL: none). */
static void object_changed(
	struct cluster *c, enum cluster_kind kind, struct slot *s, const void *old)
{
	if (kind == CLUSTER_NODE)
		c->nodes_generation++;
	else if (kind == CLUSTER_NAMESPACE)
		namespace_changed(c, old, s->o.namespace_);
	else if (c->on_lease != NULL)
		c->on_lease(c->on_lease_ctx, s->o.lease, false);
}

static size_t objects_of(const struct cluster *c, enum cluster_kind kind)
{
	switch (kind) {
	case CLUSTER_SERVICE:
		return c->n_services;
	case CLUSTER_NODE:
		return c->nodes.live;
	case CLUSTER_LEASE:
		return c->leases.live;
	case CLUSTER_NAMESPACE:
		return c->namespaces.live;
	case CLUSTER_ENDPOINT_SLICE:
		return c->slices[0].live;
	case CLUSTER_ENDPOINTS:
		return c->slices[1].live;
	case CLUSTER_KINDS:
		break;
	}
	abort();
}

/* known may be NULL. */
static int put_object(struct cluster *c, enum cluster_kind kind, struct slot *known,
	const char *key, const cJSON *obj)
{
	size_t bytes;
	void *block, *old;
	int err = cluster_decode_measure(c->scratch, kind, key, obj, &bytes);

	if (err < 0)
		return err;
	if (known == NULL && objects_of(c, kind) >= max_of(kind))
		return -E2BIG;
	block = malloc(bytes);
	if (block == NULL)
		return -ENOMEM;
	if (known == NULL)
		known = slot_add(c, table_of(c, kind), key);
	if (known == NULL) {
		free(block);
		return -ENOMEM;
	}
	cluster_decode(kind, known->key, obj, block, bytes);
	old = known->o.any;
	known->o.any = block;
	known->seen = c->list[kind].mark;
	object_changed(c, kind, known, old);
	free(old);
	return 0;
}

static void delete_object(struct cluster *c, enum cluster_kind kind, struct slot *s)
{
	if (kind == CLUSTER_LEASE && c->on_lease != NULL)
		c->on_lease(c->on_lease_ctx, s->o.lease, true);
	if (kind == CLUSTER_NODE)
		c->nodes_generation++;
	free(s->o.any);
	table_remove(table_of(c, kind), s);
	free(s);
}

static int apply_object(struct cluster *c, enum cluster_kind kind, enum cluster_event event,
	const char *key, const cJSON *obj)
{
	struct slot *s = slot_find(c, table_of(c, kind), key);
	const char *version = cluster_decode_version(obj);

	if (s == NULL)
		return event == CLUSTER_PUT ? put_object(c, kind, s, key, obj) : 0;
	s->seen = c->list[kind].mark;
	if (event == CLUSTER_DELETE) {
		delete_object(c, kind, s);
		return 0;
	}
	if (*version != '\0' && strcmp(version, version_of(kind, s)) == 0)
		return 0;
	return put_object(c, kind, s, key, obj);
}

/* -- slices ------------------------------------------------------------------------------------ */

/* The key, or its end. */
static const char *slice_text(const struct slice *s)
{
	return (const char *)&s->share[s->n_shares];
}

static enum cluster_kind slice_kind(const struct slice *s)
{
	return s->is_slice ? CLUSTER_ENDPOINT_SLICE : CLUSTER_ENDPOINTS;
}

static bool slice_is(const void *elt, const void *key, size_t len)
{
	const struct slice *s = elt;
	const char *begin = s->is_short ? copy_key(s->service->copy) : "", *k = key;
	size_t n = strlen(begin);

	return n <= len && memcmp(begin, k, n) == 0 && strlen(slice_text(s)) == len - n &&
	       memcmp(slice_text(s), k + n, len - n) == 0;
}

static bool node_name_is(const void *elt, const void *key, size_t len)
{
	const struct node_name *n = elt;

	return strncmp(n->text, key, len) == 0 && n->text[len] == '\0';
}

/* One more reference to the name.  NULL when out of memory. */
static struct node_name *node_name_get(struct cluster *c, const char *text)
{
	size_t len = strlen(text);
	uint32_t hash = hash_of(c, text);
	struct node_name *n = table_find(&c->node_names, hash, node_name_is, text, len);

	if (n == NULL) {
		n = calloc(1, sizeof *n + len + 1);
		if (n == NULL)
			return NULL;
		n->hash = hash;
		memcpy(n->text, text, len);
		if (table_add(&c->node_names, n) < 0) {
			free(n);
			return NULL;
		}
	}
	n->refs++;
	return n;
}

static void node_name_put(struct cluster *c, struct node_name *n)
{
	if (n == NULL || --n->refs > 0)
		return;
	table_remove(&c->node_names, n);
	free(n);
}

static void slice_free(struct cluster *c, struct slice *s)
{
	for (uint32_t i = 0; i < s->n_shares; i++)
		node_name_put(c, s->share[i].node);
	free(s);
}

/* Of service, but not linked to it. */
static struct slice *slice_new(struct cluster *c, enum cluster_kind kind, const char *key,
	struct service *service, const struct cluster_rows *t)
{
	size_t shares = t->n * sizeof(struct share), n = strlen(copy_key(service->copy));
	bool is_short = strncmp(key, copy_key(service->copy), n) == 0;
	const char *text = is_short ? key + n : key;
	struct slice *s = calloc(1, sizeof *s + shares + strlen(text) + 1);

	if (s == NULL)
		return NULL;
	s->hash = hash_of(c, key);
	s->seen = c->list[kind].mark;
	s->is_slice = kind == CLUSTER_ENDPOINT_SLICE;
	s->is_short = is_short;
	s->n_shares = t->n & MAX_SHARES;
	s->service = service;
	memcpy((char *)s->share + shares, text, strlen(text) + 1);
	for (size_t i = 0; i < t->n; i++) {
		s->share[i].ready = t->v[i].ready;
		s->share[i].serving = t->v[i].serving;
		if (*t->v[i].node == '\0')
			continue;
		s->share[i].node = node_name_get(c, t->v[i].node);
		if (s->share[i].node == NULL) {
			slice_free(c, s);
			return NULL;
		}
	}
	return s;
}

static bool slice_equal(const struct slice *a, const struct slice *b)
{
	return a->service == b->service && a->n_shares == b->n_shares &&
	       memcmp(a->share, b->share, a->n_shares * sizeof a->share[0]) == 0;
}

static void slice_unlink(struct slice *s)
{
	struct slice **at = &s->service->slices;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
}

static enum cluster_kind kind_in_use(const struct cluster *c)
{
	return c->slices[0].live > 0 ? CLUSTER_ENDPOINT_SLICE : CLUSTER_ENDPOINTS;
}

/* The other kind counts from now on: every Service may have other endpoints. */
static void kind_changed(struct cluster *c, enum cluster_kind before)
{
	struct service *s = NULL;

	if (kind_in_use(c) == before || c->slices[1].live == 0)
		return;
	while ((s = table_next(&c->services, s)) != NULL)
		endpoints_changed(c, s);
}

static void slice_delete(struct cluster *c, struct slice *s)
{
	enum cluster_kind before = kind_in_use(c);
	struct service *service = s->service;

	slice_unlink(s);
	table_remove(table_of(c, slice_kind(s)), s);
	if (s->n_shares > 0)
		endpoints_changed(c, service);
	slice_free(c, s);
	service_put(c, service);
	kind_changed(c, before);
}

/* new, linked to no Service yet, comes in the place of old (NULL: none).  0 or -ENOMEM. */
static int slice_install(struct cluster *c, struct slice *old, struct slice *new)
{
	enum cluster_kind before = kind_in_use(c);
	struct service *was = old != NULL ? old->service : NULL;
	struct table *t = table_of(c, slice_kind(new));

	if (old == NULL && table_add(t, new) < 0)
		return -ENOMEM;
	if (old != NULL)
		table_replace(t, old, new);
	if (old != NULL ? !slice_equal(old, new) : new->n_shares > 0) {
		if (old != NULL)
			endpoints_changed(c, was);
		endpoints_changed(c, new->service);
	}
	new->next = new->service->slices;
	new->service->slices = new;
	if (old != NULL) {
		slice_unlink(old);
		slice_free(c, old);
		service_put(c, was);
	}
	kind_changed(c, before);
	return 0;
}

static int slice_put(struct cluster *c, enum cluster_kind kind, struct slice *old, const char *key,
	const char *service, const struct cluster_rows *t)
{
	struct service *to;
	struct slice *s;
	int r = -ENOMEM;

	if (t->n > MAX_SHARES || (old == NULL && objects_of(c, kind) >= max_of(kind)))
		return -E2BIG;
	to = service_get(c, service);
	if (to == NULL)
		return -ENOMEM;
	s = slice_new(c, kind, key, to, t);
	if (s != NULL)
		r = slice_install(c, old, s);
	if (r < 0 && s != NULL)
		slice_free(c, s);
	if (r < 0)
		service_put(c, to);
	return r;
}

static int apply_slice(struct cluster *c, enum cluster_kind kind, enum cluster_event event,
	const char *key, const cJSON *obj)
{
	struct slice *old =
		table_find(table_of(c, kind), hash_of(c, key), slice_is, key, strlen(key));
	char service[CLUSTER_MAX_KEY + 1];
	struct cluster_rows t;
	int err;

	if (old != NULL)
		old->seen = c->list[kind].mark;
	if (event == CLUSTER_DELETE || !cluster_decode_service_key(kind, key, obj, service)) {
		if (old != NULL)
			slice_delete(c, old);
		return 0;
	}
	err = cluster_decode_rows(c->scratch, kind, obj, &t);
	if (err < 0)
		return err;
	err = slice_put(c, kind, old, key, service, &t);
	cluster_rows_free(&t);
	return err;
}

/* -- the outside ------------------------------------------------------------------------------- */

struct cluster *cluster_new(const struct hash_key *hkey, struct counters *counters)
{
	struct cluster *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->hkey = *hkey;
	c->counters = counters;
	c->scratch = cluster_scratch_new();
	if (c->scratch == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

static void free_slots(struct table *t)
{
	struct slot *s = NULL;

	while ((s = table_next(t, s)) != NULL)
		free(s->o.any);
	table_free_all(t);
}

void cluster_free(struct cluster *c)
{
	struct service *s = NULL;

	if (c == NULL)
		return;
	while ((s = table_next(&c->services, s)) != NULL)
		copy_drop(s->copy);
	table_free_all(&c->services);
	free_slots(&c->nodes);
	free_slots(&c->leases);
	free_slots(&c->namespaces);
	table_free_all(&c->slices[0]);
	table_free_all(&c->slices[1]);
	table_free_all(&c->node_names);
	free(c->dirty);
	cluster_scratch_free(c->scratch);
	free(c);
}

void cluster_on_lease(struct cluster *c, cluster_lease_fn fn, void *ctx)
{
	c->on_lease = fn;
	c->on_lease_ctx = ctx;
}

static bool is_slice(enum cluster_kind kind)
{
	return kind == CLUSTER_ENDPOINT_SLICE || kind == CLUSTER_ENDPOINTS;
}

int cluster_apply(
	struct cluster *c, enum cluster_kind kind, enum cluster_event event, const cJSON *obj)
{
	char key[CLUSTER_MAX_KEY + 1];
	int r = cluster_decode_key(kind, obj, key);

	REQUIRE((unsigned)kind < CLUSTER_KINDS);
	if (r < 0)
		c->list[kind].blind = true;
	else if (is_slice(kind))
		r = apply_slice(c, kind, event, key, obj);
	else if (kind == CLUSTER_SERVICE)
		r = apply_service(c, event, key, obj);
	else
		r = apply_object(c, kind, event, key, obj);
	if (r == -ENOMEM)
		c->list[kind].blind = true;
	if (r == -EBADMSG || r == -E2BIG)
		counter_inc(c->counters, COUNTER_WATCH_BAD_OBJECTS);
	return r;
}

void cluster_list_begin(struct cluster *c, enum cluster_kind kind)
{
	c->list[kind].mark++;
	c->list[kind].blind = false;
}

static void sweep_slices(struct cluster *c, enum cluster_kind kind, bool all)
{
	struct table *t = table_of(c, kind);
	struct slice *s = table_next(t, NULL), *next;

	for (; s != NULL; s = next) {
		next = table_next(t, s);
		if (all || s->seen != c->list[kind].mark)
			slice_delete(c, s);
	}
}

static void sweep_services(struct cluster *c, bool all)
{
	struct service *s = NULL;

	while ((s = table_next(&c->services, s)) != NULL)
		if (s->exists && (all || s->seen != c->list[CLUSTER_SERVICE].mark))
			delete_service(c, s);
}

static void sweep_objects(struct cluster *c, enum cluster_kind kind, bool all)
{
	struct table *t = table_of(c, kind);
	struct slot *s = table_next(t, NULL), *next;

	for (; s != NULL; s = next) {
		next = table_next(t, s);
		if (all || s->seen != c->list[kind].mark)
			delete_object(c, kind, s);
	}
}

/* Deletes the objects that the present list did not hold, or all. */
static void sweep(struct cluster *c, enum cluster_kind kind, bool all)
{
	if (is_slice(kind))
		sweep_slices(c, kind, all);
	else if (kind == CLUSTER_SERVICE)
		sweep_services(c, all);
	else
		sweep_objects(c, kind, all);
}

void cluster_list_end(struct cluster *c, enum cluster_kind kind)
{
	if (!c->list[kind].blind)
		sweep(c, kind, false);
}

void cluster_list_abort(struct cluster *c, enum cluster_kind kind)
{
	c->list[kind].blind = true;
}

void cluster_forget(struct cluster *c, enum cluster_kind kind)
{
	sweep(c, kind, true);
}

/* -- reading ----------------------------------------------------------------------------------- */

bool cluster_service(const struct cluster *c, const char *key, struct cluster_service *ret_s)
{
	const struct service *s = service_find(c, key);

	if (s == NULL || !s->exists)
		return false;
	if (ret_s != NULL)
		*ret_s = copy_view(s->copy);
	return true;
}

const struct cluster_node *cluster_node(const struct cluster *c, const char *name)
{
	const struct slot *s = slot_find(c, &c->nodes, name);

	return s != NULL ? s->o.node : NULL;
}

const struct cluster_lease *cluster_lease(const struct cluster *c, const char *name)
{
	const struct slot *s = slot_find(c, &c->leases, name);

	return s != NULL ? s->o.lease : NULL;
}

const struct cluster_namespace *cluster_namespace(const struct cluster *c, const char *name)
{
	const struct slot *s = slot_find(c, &c->namespaces, name);

	return s != NULL ? s->o.namespace_ : NULL;
}

size_t cluster_count(const struct cluster *c, enum cluster_kind kind)
{
	return objects_of(c, kind);
}

bool cluster_next_service(const struct cluster *c, struct cluster_service *io_s)
{
	const struct service *s = io_s->key != NULL ? service_find(c, io_s->key) : NULL;

	do
		s = table_next(&c->services, s);
	while (s != NULL && !s->exists);
	if (s != NULL)
		*io_s = copy_view(s->copy);
	return s != NULL;
}

/* The slot after that of key (NULL: the first). */
static const struct slot *next_slot(const struct cluster *c, const struct table *t, const char *key)
{
	return table_next(t, key != NULL ? slot_find(c, t, key) : NULL);
}

const struct cluster_node *cluster_next_node(const struct cluster *c, const struct cluster_node *n)
{
	const struct slot *next = next_slot(c, &c->nodes, n != NULL ? n->name : NULL);

	return next != NULL ? next->o.node : NULL;
}

const struct cluster_lease *cluster_next_lease(
	const struct cluster *c, const struct cluster_lease *l)
{
	const struct slot *next = next_slot(c, &c->leases, l != NULL ? l->name : NULL);

	return next != NULL ? next->o.lease : NULL;
}

static bool is_among(const struct addr *v, size_t n, struct addr a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(v[i], a))
			return true;
	return false;
}

bool cluster_is_node_address(const struct cluster *c, struct addr a)
{
	const struct cluster_node *n = NULL;

	while ((n = cluster_next_node(c, n)) != NULL)
		if (is_among(n->internal_ips, n->n_internal_ips, a) ||
			is_among(n->external_ips, n->n_external_ips, a))
			return true;
	return false;
}

uint64_t cluster_nodes_generation(const struct cluster *c)
{
	return c->nodes_generation;
}

uint64_t cluster_namespaces_generation(const struct cluster *c)
{
	return c->namespaces_generation;
}

struct cluster_endpoints cluster_endpoints(
	const struct cluster *c, const char *service_key, const char *node)
{
	const struct service *service = service_find(c, service_key);
	enum cluster_kind kind = kind_in_use(c);
	struct cluster_endpoints e = {0};
	unsigned serving = 0, serving_on_node = 0;

	for (const struct slice *s = service != NULL ? service->slices : NULL; s != NULL;
		s = s->next)
		for (uint32_t i = 0; slice_kind(s) == kind && i < s->n_shares; i++) {
			const struct share *h = &s->share[i];

			e.ready += h->ready;
			serving += h->serving;
			if (node == NULL || h->node == NULL || strcmp(h->node->text, node) != 0)
				continue;
			e.ready_on_node += h->ready;
			serving_on_node += h->serving;
		}
	if (e.ready == 0)
		e.ready = serving;
	if (e.ready_on_node == 0)
		e.ready_on_node = serving_on_node;
	return e;
}

void cluster_each_share(
	const struct cluster *c, const char *service_key, cluster_share_fn fn, void *ctx)
{
	const struct service *service = service_find(c, service_key);
	enum cluster_kind kind = kind_in_use(c);

	for (const struct slice *s = service != NULL ? service->slices : NULL; s != NULL;
		s = s->next)
		for (uint32_t i = 0; slice_kind(s) == kind && i < s->n_shares; i++) {
			const struct share *h = &s->share[i];

			fn(ctx, h->node != NULL ? h->node->text : "", h->ready > 0,
				h->serving > 0);
		}
}

/* -- what changed ------------------------------------------------------------------------------ */

size_t cluster_dirty_count(const struct cluster *c)
{
	return c->n_dirty;
}

struct cluster_dirty cluster_dirty_at(const struct cluster *c, size_t i)
{
	REQUIRE(i < c->n_dirty);
	return (struct cluster_dirty){copy_key(c->dirty[i]->copy), !c->dirty[i]->exists};
}

void cluster_clean(struct cluster *c)
{
	for (size_t i = 0; i < c->n_dirty; i++) {
		c->dirty[i]->dirty = false;
		service_put(c, c->dirty[i]);
	}
	c->n_dirty = 0;
}
