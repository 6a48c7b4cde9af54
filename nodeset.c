/* SPDX-License-Identifier: Apache-2.0
 *
 * nodeset.c - the Nodes as k3s's servicelb looks at them.
 *
 * Owns: an arena with what counts of each Node, and all their addresses in the order in which they
 *       are published.
 * In:   the picture of the cluster.  Out: sets of nodes, lists of addresses.
 * Sources: k3s pkg/cloudprovider/servicelb.go (deployDaemonSet, podIPs, filterByIPFamily).  Not
 *       done: taints, which keep a pod away and not kube-proxy.
 */
#include "nodeset.h"

#include "arena.h"

#include <string.h>

#define LABEL_ENABLE "svccontroller.k3s.cattle.io/enablelb"
#define LABEL_POOL   "svccontroller.k3s.cattle.io/lbpool"

enum { MAX_BYTES = 64 * 1024 * 1024 };
enum kind { EXTERNAL, INTERNAL, KINDS };

struct list {
	const struct addr *v;
	size_t n;
};

struct node {
	const char *name, *pool; /* pool "" = no label */
	bool up, labelled, enabled;
	struct list addrs[KINDS];
};

struct place {
	struct addr addr;
	uint32_t node;
};

struct nodeset {
	struct arena *arena; /* owned; all else lives in it, this, too */
	struct node *v;      /* by name */
	size_t n;
	bool is_labelled; /* any of them has LABEL_ENABLE */
	struct place *places[KINDS][ADDR_FAMILIES];
	size_t n_places[KINDS][ADDR_FAMILIES];
};

/* -- making one -- */

static struct list keep_list(struct arena *a, const struct addr *v, size_t n)
{
	struct addr *kept = arena_array(a, n, sizeof *kept);

	for (size_t i = 0; i < n && kept != NULL; i++)
		kept[i] = v[i];
	return (struct list){kept, n};
}

/* False when out of memory. */
static bool keep_node(struct arena *a, struct node *to, const struct cluster_node *from)
{
	const char *enable = label_get(&from->labels, LABEL_ENABLE);
	const char *pool = label_get(&from->labels, LABEL_POOL);

	*to = (struct node){.name = arena_strdup(a, from->name),
		.pool = arena_strdup(a, pool != NULL ? pool : ""),
		.up = from->ready && !from->network_unavailable,
		.labelled = enable != NULL,
		.enabled = enable != NULL && strcmp(enable, "true") == 0,
		.addrs = {keep_list(a, from->external_ips, from->n_external_ips),
			keep_list(a, from->internal_ips, from->n_internal_ips)}};
	return to->name != NULL && to->pool != NULL && to->addrs[EXTERNAL].v != NULL &&
	       to->addrs[INTERNAL].v != NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool keep_nodes(struct nodeset *t, const struct cluster *c)
{
	const struct cluster_node *node = NULL;

	t->v = arena_array(t->arena, cluster_count(c, CLUSTER_NODE), sizeof *t->v);
	if (t->v == NULL)
		return false;
	while ((node = cluster_next_node(c, node)) != NULL) {
		if (!keep_node(t->arena, &t->v[t->n], node))
			return false;
		t->is_labelled = t->is_labelled || t->v[t->n].labelled;
		t->n++;
	}
	qsort(t->v, t->n, sizeof *t->v, by_name);
	return true;
}

/* As strings. */
static int by_text(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	char s[ADDR_STRLEN], u[ADDR_STRLEN];

	return strcmp(addr_format(x->addr, s), addr_format(y->addr, u));
}

/* Calls it a place: v NULL counts only. */
static void add_place(struct place *v, size_t *io_n, struct addr a, size_t node)
{
	if (v != NULL)
		v[*io_n] = (struct place){.addr = a, .node = (uint32_t)node};
	++*io_n;
}

/* A Node's status is its kubelet's word: what no Service could be reached at is left out. */
static size_t gather(const struct nodeset *t, enum kind k, enum addr_family f, struct place *v)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct list *l = &t->v[i].addrs[k];

		for (size_t j = 0; j < l->n; j++)
			if (addr_family(l->v[j]) == f && !addr_is_unusable(l->v[j]))
				add_place(v, &n, l->v[j], i);
	}
	return n;
}

static bool make_places(struct nodeset *t)
{
	for (enum kind k = EXTERNAL; k < KINDS; k++)
		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
			size_t n = gather(t, k, f, NULL);
			struct place *v = arena_array(t->arena, n, sizeof *v);

			if (v == NULL)
				return false;
			t->n_places[k][f] = gather(t, k, f, v);
			qsort(v, n, sizeof *v, by_text);
			t->places[k][f] = v;
		}
	return true;
}

struct nodeset *nodeset_new(const struct cluster *c)
{
	struct arena *a = arena_new(MAX_BYTES);
	struct nodeset *t = a != NULL ? arena_alloc(a, sizeof *t) : NULL;

	if (t == NULL) {
		arena_free(a);
		return NULL;
	}
	t->arena = a;
	if (keep_nodes(t, c) && make_places(t))
		return t;
	arena_free(a);
	return NULL;
}

void nodeset_free(struct nodeset *t)
{
	if (t != NULL)
		arena_free(t->arena);
}

/* -- comparing two -- */

static bool list_equal(const struct list *a, const struct list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addr_eq(a->v[i], b->v[i]))
			return false;
	return true;
}

static bool node_equal(const struct node *a, const struct node *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->pool, b->pool) == 0 && a->up == b->up &&
	       a->labelled == b->labelled && a->enabled == b->enabled &&
	       list_equal(&a->addrs[EXTERNAL], &b->addrs[EXTERNAL]) &&
	       list_equal(&a->addrs[INTERNAL], &b->addrs[INTERNAL]);
}

bool nodeset_equal(const struct nodeset *a, const struct nodeset *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!node_equal(&a->v[i], &b->v[i]))
			return false;
	return true;
}

/* -- reading -- */

size_t nodeset_count(const struct nodeset *t)
{
	return t->n;
}

size_t nodeset_words(const struct nodeset *t)
{
	return t->n / 64 + 1;
}

const char *nodeset_name(const struct nodeset *t, size_t i)
{
	REQUIRE(i < t->n);
	return t->v[i].name;
}

size_t nodeset_find(const struct nodeset *t, const char *name)
{
	const struct node key = {.name = name};
	const struct node *found = bsearch(&key, t->v, t->n, sizeof key, by_name);

	return found != NULL ? (size_t)(found - t->v) : t->n;
}

void nodeset_choose(const struct nodeset *t, const struct cluster_service *s, uint64_t *ret_bits)
{
	const char *pool = label_get(&s->labels, LABEL_POOL);
	bool any_pool = pool == NULL || pool[0] == '\0';

	memset(ret_bits, 0, nodeset_words(t) * sizeof *ret_bits);
	for (size_t i = 0; i < t->n; i++)
		if (!t->is_labelled ||
			(t->v[i].enabled && (any_pool || strcmp(t->v[i].pool, pool) == 0)))
			nodeset_add(ret_bits, i);
}

static bool shows(const struct cluster_service *s, struct addr a)
{
	for (size_t i = 0; i < s->n_ingress; i++)
		if (addr_eq(s->ingress[i], a))
			return true;
	return false;
}

void nodeset_shown(const struct nodeset *t, const struct cluster_service *s, uint64_t *ret_bits)
{
	memset(ret_bits, 0, nodeset_words(t) * sizeof *ret_bits);
	if (s->n_ingress == 0)
		return;
	for (enum kind k = EXTERNAL; k < KINDS; k++)
		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
			for (size_t i = 0; i < t->n_places[k][f]; i++)
				if (shows(s, t->places[k][f][i].addr))
					nodeset_add(ret_bits, t->places[k][f][i].node);
}

enum nodeset_state nodeset_state(
	const struct nodeset *t, const struct cluster *c, const struct cluster_service *s, size_t i)
{
	REQUIRE(i < t->n);
	if (!t->v[i].up)
		return NODESET_NOT_READY;
	if (s->local && cluster_endpoints(c, s->key, t->v[i].name).ready_on_node == 0)
		return NODESET_NO_ENDPOINT;
	return NODESET_USABLE;
}

/* Is one of the usable nodes' addresses of this kind?  Of either family: servicelb looks at the
 * families only afterwards. */
static bool have_kind(const struct nodeset *t, enum kind k, const uint64_t *usable)
{
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
		for (size_t i = 0; i < t->n_places[k][f]; i++)
			if (nodeset_has(usable, t->places[k][f][i].node))
				return true;
	return false;
}

/* Appends to v, which holds n. */
static size_t add_family(const struct nodeset *t, enum kind k, enum addr_family f,
	const uint64_t *usable, struct addr v[CLUSTER_MAX_INGRESS], size_t n)
{
	for (size_t i = 0; i < t->n_places[k][f] && n < CLUSTER_MAX_INGRESS; i++) {
		const struct place *p = &t->places[k][f][i];

		if (nodeset_has(usable, p->node) && (n == 0 || !addr_eq(v[n - 1], p->addr)))
			v[n++] = p->addr;
	}
	return n;
}

size_t nodeset_addresses(const struct nodeset *t, const struct cluster_service *s,
	const uint64_t *usable, struct addr ret_v[CLUSTER_MAX_INGRESS])
{
	enum kind k = have_kind(t, EXTERNAL, usable) ? EXTERNAL : INTERNAL;
	size_t n = 0;

	if (s->n_families > 0)
		n = add_family(t, k, s->families[0], usable, ret_v, 0);
	if (s->n_families > 1 && s->families[1] != s->families[0] &&
		s->family_policy != CLUSTER_SINGLE_STACK)
		n = add_family(t, k, s->families[1], usable, ret_v, n);
	return n;
}
