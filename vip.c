/* SPDX-License-Identifier: Apache-2.0
 *
 * vip.c - the addresses in service, and the groups that Services join them to.
 *
 * Owns: a table of VIPs with their holders, one of Services with what they hold, one of groups; the
 *       list of dirty groups.
 * In:   the configuration and the picture of the cluster, at vip_rebuild(); one changed Service at
 *       vip_update().
 * Out:  VIPs by address, groups by id, ids of the groups that changed.
 *
 * A group is a connected component, per family, of the graph of VIPs and Services whose edges are
 * the lawful holdings.  An edge that comes or goes touches the groups at its ends; the touched
 * groups are made anew in two steps: first everything that needs memory, then the exchange, which
 * cannot fail.  When memory runs out in the first step the old groups stand, VIPs without a group
 * are not shown, and the next call rebuilds all.
 */
#include "vip.h"

#include "service.h"
#include "table.h"

#include <errno.h>
#include <string.h>

enum mark { MARK_NONE, MARK_WORK, MARK_DONE };

/* A VIP whose group is NULL is not shown, see above. */

/* A Service that holds VIPs.  Its address is stable: vip_holder.key points into it. */
struct holding {
	uint32_t hash;
	uint32_t rank; /* while holders are put in order */
	uint16_t n;
	bool mark;   /* is in work.owners */
	bool listed; /* in list */
	union {
		struct vip *one;
		struct vip **list; /* owned */
	} vips;
	char key[];
};

struct vip_table {
	struct hash_key hkey;
	const struct retired *retired; /* borrowed; NULL: nothing is kept */
	struct table vips;             /* of struct vip */
	struct table services;         /* of struct holding */
	struct table groups;           /* of struct vip_group */
	uint64_t next_id;
	uint64_t *dirty; /* owned; room for every group that is not in it */
	size_t n_dirty, cap_dirty;
	size_t n_hidden; /* VIPs without a group */
	bool stale;      /* an update ran out of memory: rebuild */
};

/* -- lists of pointers, for the time of one call ----------------------------------------------- */

struct list {
	void **v; /* owned */
	size_t n, cap;
};

static MUST_CHECK int list_add(struct list *l, void *p)
{
	if (l->n == l->cap) {
		size_t cap = l->cap > 0 ? 2 * l->cap : 16;
		void **v = realloc(l->v, cap * sizeof *v);

		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = p;
	return 0;
}

/* One new group may inherit the id of one old group. */
struct heir {
	struct vip_group *made, *old;
	uint32_t shared;
};

/* What one call works on. */
struct work {
	struct vip_table *t;
	const struct cluster *c;
	struct list vips;    /* struct entry: of touched groups, and new ones */
	struct list leaving; /* struct vip */
	struct list old;     /* struct vip_group: touched */
	struct list made;    /* struct vip_group: not yet in the table */
	struct list members; /* struct entry: of the group being made */
	struct list owners;  /* struct holding: likewise */
	struct heir *heirs;  /* owned */
	size_t n_heirs;
};

static void work_free(struct work *w)
{
	struct list *all[] = {&w->vips, &w->leaving, &w->old, &w->made, &w->members, &w->owners};

	for (size_t i = 0; i < w->vips.n; i++)
		((struct vip *)w->vips.v[i])->_mark = MARK_NONE;
	for (size_t i = 0; i < w->old.n; i++)
		((struct vip_group *)w->old.v[i])->_touched = false;
	for (size_t i = 0; i < w->made.n; i++)
		free(w->made.v[i]);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]->v);
	free(w->heirs);
}

/* -- the tables -------------------------------------------------------------------------------- */

/* What a holding holds: n of them. */
static struct vip **held(struct holding *h)
{
	return h->listed ? h->vips.list : &h->vips.one;
}

static bool entry_is(const void *elt, const void *key, size_t len)
{
	return memcmp(&((const struct vip *)elt)->addr, key, len) == 0;
}

static bool holding_is(const void *elt, const void *key, size_t len)
{
	const struct holding *h = elt;

	return strncmp(h->key, key, len) == 0 && h->key[len] == '\0';
}

static bool group_is(const void *elt, const void *key, size_t len)
{
	return memcmp(&((const struct vip_group *)elt)->id, key, len) == 0;
}

static uint32_t hash_addr(const struct vip_table *t, const struct addr *a)
{
	return hash_bytes(&t->hkey, a, sizeof *a);
}

static struct vip *find_entry(const struct vip_table *t, struct addr a)
{
	return table_find(&t->vips, hash_addr(t, &a), entry_is, &a, sizeof a);
}

static struct vip_group *find_group(const struct vip_table *t, uint64_t id)
{
	return table_find(
		&t->groups, hash_bytes(&t->hkey, &id, sizeof id), group_is, &id, sizeof id);
}

static struct holding *find_holding(const struct vip_table *t, const char *key)
{
	size_t len = strlen(key);

	return table_find(&t->services, hash_bytes(&t->hkey, key, len), holding_is, key, len);
}

static struct holding *holding_add(struct vip_table *t, const char *key)
{
	size_t len = strlen(key);
	struct holding *h = calloc(1, sizeof *h + len + 1);

	if (h == NULL)
		return NULL;
	h->hash = hash_bytes(&t->hkey, key, len);
	memcpy(h->key, key, len + 1);
	if (table_add(&t->services, h) < 0) {
		free(h);
		return NULL;
	}
	return h;
}

static void holding_free(struct holding *h)
{
	if (h->listed)
		free(h->vips.list);
	free(h);
}

static struct vip *entry_add(struct vip_table *t, struct addr a)
{
	struct vip *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->_hash = hash_addr(t, &a);
	e->addr = a;
	if (table_add(&t->vips, e) < 0) {
		free(e);
		return NULL;
	}
	t->n_hidden++;
	return e;
}

static void entry_free(struct vip *e)
{
	if (e->_listed)
		free(e->_holders.list);
	free(e);
}

/* -- who holds what ---------------------------------------------------------------------------- */

static size_t holder_index(const struct vip *e, const char *key)
{
	size_t i = 0;

	while (i < e->n_holders && strcmp(vip_holder(e, i).key, key) != 0)
		i++;
	return i;
}

static bool holds(struct holding *h, const struct vip *e)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (held(h)[i] == e)
			return true;
	return false;
}

/* Room for one more VIP, and for one more holder.  0 or -ENOMEM. */
static MUST_CHECK int reserve_held(struct holding *h)
{
	struct vip **v;

	if (h->n == 0)
		return 0;
	v = calloc(h->n + 1U, sizeof(void *));
	if (v == NULL)
		return -ENOMEM;
	memcpy(v, held(h), h->n * sizeof(void *));
	if (h->listed)
		free(h->vips.list);
	h->vips.list = v;
	h->listed = true;
	return 0;
}

static MUST_CHECK int reserve_holder(struct vip *e)
{
	struct vip_holder *v;

	if (e->n_holders == 0)
		return 0;
	v = calloc(e->n_holders + 1U, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_holders; i++)
		v[i] = vip_holder(e, i);
	if (e->_listed)
		free(e->_holders.list);
	e->_holders.list = v;
	e->_listed = true;
	return 0;
}

static MUST_CHECK int add_holder(struct vip *e, struct holding *h)
{
	if (reserve_held(h) < 0 || reserve_holder(e) < 0)
		return -ENOMEM;
	if (e->_listed)
		e->_holders.list[e->n_holders] = (struct vip_holder){.key = h->key};
	else
		e->_holders.one = h->key;
	e->n_holders++;
	held(h)[h->n++] = e;
	return 0;
}

/* The i-th holder gives the VIP up; there is another, so there is a list. */
static void drop_holder(struct vip *e, size_t i)
{
	struct vip_holder *v = e->_holders.list;

	e->n_holders--;
	memmove(&v[i], &v[i + 1], (e->n_holders - i) * sizeof *v);
}

static void drop_held(struct holding *h, const struct vip *e)
{
	struct vip **v = held(h);
	unsigned i = 0;

	while (v[i] != e)
		i++;
	h->n--;
	memmove(&v[i], &v[i + 1], (h->n - i) * sizeof(void *));
}

/* The ports that the lawful holders of a VIP use. */
struct ports {
	uint64_t v[CLUSTER_OTHER + 1][65536 / 64];
};

static bool is_port_free(const struct ports *p, const struct cluster_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if ((p->v[s->ports[i].protocol][s->ports[i].port / 64] >> (s->ports[i].port % 64) &
			    1) != 0)
			return false;
	return true;
}

static void use_ports(struct ports *p, const struct cluster_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		p->v[s->ports[i].protocol][s->ports[i].port / 64] |= UINT64_C(1)
								     << (s->ports[i].port % 64);
}

/* May s use the address beside the lawful holders?  Sharing keys and backends must be equal, so one
 * of them (first) speaks for all; for the ports there is the set.  Ten thousand Services on one
 * address are looked at once each, not each against each. */
static bool may_share(const struct cluster_service *s, const struct cluster_service *first,
	const struct ports *used)
{
	enum service_sharing r = service_sharing(s, first, NULL);

	return (r == SERVICE_SHARING_OK || r == SERVICE_SHARING_PORT_TAKEN) &&
	       is_port_free(used, s);
}

/* -- work: what is touched --------------------------------------------------------------------- */

static MUST_CHECK int touch_vip(struct work *w, struct vip *e)
{
	if (e->_mark != MARK_NONE)
		return 0;
	if (list_add(&w->vips, e) < 0)
		return -ENOMEM;
	e->_mark = MARK_WORK;
	return 0;
}

/* The VIP's whole group, or the VIP alone while it has none. */
static MUST_CHECK int touch(struct work *w, struct vip *e)
{
	struct vip_group *g;

	if (e->group == NULL)
		return touch_vip(w, e);
	g = e->group;
	if (g->_touched)
		return 0;
	if (list_add(&w->old, g) < 0)
		return -ENOMEM;
	g->_touched = true;
	for (size_t i = 0; i < g->n_vips; i++)
		if (touch_vip(w, g->_v[i].vip) < 0)
			return -ENOMEM;
	return 0;
}

static MUST_CHECK int touch_all(struct work *w, struct holding *h)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (touch(w, held(h)[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* A Service that became lawful or unlawful joins or leaves other groups. */
static MUST_CHECK int set_doubled(struct work *w, struct vip_holder *h, bool doubled)
{
	if (doubled == h->doubled)
		return 0;
	h->doubled = doubled;
	return touch_all(w, find_holding(w->t, h->key));
}

/* Judges the holders from the i-th on.  One that is gone from the picture, its own update still to
 * come, stands in nobody's way. */
static MUST_CHECK int judge(struct work *w, struct vip *e, size_t from)
{
	struct cluster_service first = {0}, s;
	struct vip_holder *v = e->_holders.list;
	struct ports *used;
	int r = 0;

	if (e->n_holders == 1)
		return e->_listed ? set_doubled(w, &v[0], false) : 0;
	used = calloc(1, sizeof *used);
	if (used == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_holders && r == 0; i++) {
		bool known = cluster_service(w->c, v[i].key, &s);

		if (i >= from)
			r = set_doubled(w, &v[i],
				known && first.key != NULL && !may_share(&s, &first, used));
		if (!known || v[i].doubled)
			continue;
		if (first.key == NULL)
			first = s;
		use_ports(used, &s);
	}
	free(used);
	return r;
}

/* -- groups, first step: what needs memory ----------------------------------------------------- */

static bool is_lawful(const struct vip *e, const struct holding *h)
{
	size_t i = holder_index(e, h->key);

	return i < e->n_holders && !vip_holder(e, i).doubled;
}

/* Adds to the group being made what hangs together with the Service h. */
static MUST_CHECK int collect_holding(struct work *w, struct holding *h, enum addr_family family)
{
	if (h->mark)
		return 0;
	if (list_add(&w->owners, h) < 0)
		return -ENOMEM;
	h->mark = true;
	for (uint32_t i = 0; i < h->n; i++) {
		struct vip *e = held(h)[i];

		if (e->_mark == MARK_DONE || addr_family(e->addr) != family || !is_lawful(e, h))
			continue;
		REQUIRE(e->_mark == MARK_WORK);
		if (list_add(&w->members, e) < 0)
			return -ENOMEM;
		e->_mark = MARK_DONE;
	}
	return 0;
}

/* Fills members and owners with the component that e is in. */
static MUST_CHECK int collect(struct work *w, struct vip *e)
{
	enum addr_family family = addr_family(e->addr);

	w->members.n = w->owners.n = 0;
	if (list_add(&w->members, e) < 0)
		return -ENOMEM;
	e->_mark = MARK_DONE;
	for (size_t i = 0; i < w->members.n; i++) {
		const struct vip *m = w->members.v[i];

		for (size_t j = 0; j < m->n_holders; j++)
			if (!vip_holder(m, j).doubled &&
				collect_holding(
					w, find_holding(w->t, vip_holder(m, j).key), family) < 0)
				return -ENOMEM;
	}
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct vip *const *x = a, *const *y = b;

	return addr_cmp((*x)->addr, (*y)->addr);
}

struct aged {
	const char *key; /* the table's own */
	bool gone;       /* from the picture: comes last */
	struct service_age age;
};

static int by_age(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	if (!x->gone && !y->gone)
		return service_age_cmp(&x->age, &y->age);
	if (x->gone && y->gone)
		return strcmp(x->key, y->key);
	return x->gone ? 1 : -1;
}

/* The owners' keys go into g, the eldest first. */
static MUST_CHECK int sort_owners(const struct work *w, struct vip_group *g)
{
	struct aged *v = calloc(w->owners.n, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < w->owners.n; i++) {
		const struct holding *h = w->owners.v[i];
		struct cluster_service s;

		v[i] = (struct aged){.key = h->key, .gone = !cluster_service(w->c, h->key, &s)};
		if (!v[i].gone)
			v[i].age = service_age(&s);
	}
	qsort(v, w->owners.n, sizeof *v, by_age);
	for (size_t i = 0; i < w->owners.n; i++)
		g->_v[g->n_vips + i].service = v[i].key;
	free(v);
	return 0;
}

/* A group of members and owners, without an id. */
static MUST_CHECK int make_group(struct work *w)
{
	size_t n_vips = w->members.n, n_services = w->owners.n;
	struct vip_group *g = calloc(1, sizeof *g + (n_vips + n_services) * sizeof g->_v[0]);
	struct cluster_service eldest;

	if (g == NULL)
		return -ENOMEM;
	g->n_vips = (uint32_t)n_vips;
	g->n_services = (uint32_t)n_services;
	qsort(w->members.v, n_vips, sizeof(void *), by_addr);
	for (size_t i = 0; i < n_vips; i++)
		g->_v[i].vip = w->members.v[i];
	if (sort_owners(w, g) < 0 || list_add(&w->made, g) < 0) {
		free(g);
		return -ENOMEM;
	}
	g->key = vip_member(g, 0)->addr;
	g->family = addr_family(g->key);
	if (cluster_service(w->c, vip_service(g, 0), &eldest) && eldest.n_ingress > 0)
		g->key = eldest.ingress[0];
	return 0;
}

static MUST_CHECK int make_groups(struct work *w)
{
	for (size_t i = 0; i < w->vips.n; i++) {
		struct vip *e = w->vips.v[i];
		int r;

		if (e->_mark == MARK_DONE || e->_leaving)
			continue;
		r = collect(w, e);
		for (size_t j = 0; j < w->owners.n; j++)
			((struct holding *)w->owners.v[j])->mark = false;
		if (r < 0 || make_group(w) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* -- groups, first step: whose id goes on ------------------------------------------------------ */

/* One heir for each old group that the made one has VIPs of. */
static void add_heirs(struct work *w, struct vip_group *made)
{
	size_t first = w->n_heirs;

	for (size_t i = 0; i < made->n_vips; i++) {
		struct vip_group *old = vip_member(made, i)->group;

		if (old == NULL || old->_shared++ > 0)
			continue;
		w->heirs[w->n_heirs++] = (struct heir){.made = made, .old = old};
	}
	for (size_t i = first; i < w->n_heirs; i++) {
		w->heirs[i].shared = w->heirs[i].old->_shared;
		w->heirs[i].old->_shared = 0;
	}
}

/* The most VIPs in common first, then the oldest id, then the lowest address. */
static int by_claim(const void *a, const void *b)
{
	const struct heir *x = a, *y = b;

	if (x->shared != y->shared)
		return x->shared > y->shared ? -1 : 1;
	if (x->old != y->old)
		return x->old->id < y->old->id ? -1 : 1;
	return addr_cmp(vip_member(x->made, 0)->addr, vip_member(y->made, 0)->addr);
}

/* Sorts out which made group may have which old id, and finds room for the exchange. */
static MUST_CHECK int find_heirs(struct work *w)
{
	struct vip_table *t = w->t;
	size_t dirty = t->n_dirty + t->groups.live + w->made.n;
	uint64_t *v;

	w->heirs = calloc(w->vips.n + 1, sizeof *w->heirs);
	if (w->heirs == NULL || table_reserve(&t->groups, (uint32_t)w->made.n) < 0)
		return -ENOMEM;
	if (dirty > t->cap_dirty) {
		v = realloc(t->dirty, dirty * sizeof *v);
		if (v == NULL)
			return -ENOMEM;
		t->dirty = v;
		t->cap_dirty = dirty;
	}
	for (size_t i = 0; i < w->made.n; i++)
		add_heirs(w, w->made.v[i]);
	qsort(w->heirs, w->n_heirs, sizeof *w->heirs, by_claim);
	return 0;
}

/* -- groups, second step: the exchange, which cannot fail -------------------------------------- */

static void mark_dirty(struct vip_table *t, struct vip_group *g)
{
	if (g->_dirty)
		return;
	REQUIRE(t->n_dirty < t->cap_dirty);
	g->_dirty = true;
	t->dirty[t->n_dirty++] = g->id;
}

/* The heirs step into their old groups' places in the table; ids never go to two. */
static void inherit(struct work *w)
{
	for (size_t i = 0; i < w->n_heirs; i++) {
		struct vip_group *made = w->heirs[i].made, *old = w->heirs[i].old;

		if (made->id != 0 || old->_taken)
			continue;
		old->_taken = true;
		made->_hash = old->_hash;
		made->_dirty = old->_dirty;
		made->id = old->id;
		table_replace(&w->t->groups, old, made);
	}
}

static void remove_groups(struct work *w)
{
	for (size_t i = 0; i < w->old.n; i++) {
		struct vip_group *g = w->old.v[i];

		if (!g->_taken) {
			mark_dirty(w->t, g);
			table_remove(&w->t->groups, g);
		}
		free(g);
	}
	w->old.n = 0;
}

static void install_groups(struct work *w)
{
	struct vip_table *t = w->t;

	for (size_t i = 0; i < w->made.n; i++) {
		struct vip_group *g = w->made.v[i];

		if (g->id == 0) {
			g->id = ++t->next_id;
			g->_hash = hash_bytes(&t->hkey, &g->id, sizeof g->id);
			REQUIRE(table_add(&t->groups, g) == 0);
		}
		mark_dirty(t, g);
		for (size_t j = 0; j < g->n_vips; j++) {
			t->n_hidden -= g->_v[j].vip->group == NULL;
			g->_v[j].vip->group = g;
		}
	}
	w->made.n = 0;
}

static void remove_vips(struct work *w)
{
	for (size_t i = 0; i < w->leaving.n; i++) {
		struct vip *e = w->leaving.v[i];

		w->t->n_hidden -= e->group == NULL;
		table_remove(&w->t->vips, e);
		entry_free(e);
	}
}

/* Makes the touched VIPs' groups anew.  0 or -ENOMEM with the old groups as they were. */
static MUST_CHECK int regroup(struct work *w)
{
	if (make_groups(w) < 0 || find_heirs(w) < 0)
		return -ENOMEM;
	inherit(w);
	for (size_t i = 0; i < w->vips.n; i++)
		((struct vip *)w->vips.v[i])->_mark = MARK_NONE;
	w->vips.n = 0;
	install_groups(w);
	remove_groups(w);
	remove_vips(w);
	return 0;
}

/* -- one Service ------------------------------------------------------------------------------- */

static bool is_lawful_for(const struct vip_table *t, const struct config *conf,
	const struct cluster_service *s, struct addr a)
{
	if (conf->servicelb_active)
		return false; /* a node's own address, also where a pool has it */
	return config_pool_of(conf, a) != NULL ||
	       (t->retired != NULL && retired_pool(t->retired, s->uid, a) != NULL);
}

/* The addresses that the Service lawfully has by its status. */
static size_t wanted_of(const struct vip_table *t, const struct config *conf,
	const struct cluster_service *s, struct addr v[CLUSTER_MAX_INGRESS])
{
	size_t n = 0;

	if (service_served(conf, s) != REASON_ALLOCATED)
		return 0;
	for (size_t i = 0; i < s->n_ingress && i < CLUSTER_MAX_INGRESS; i++)
		if (is_lawful_for(t, conf, s, s->ingress[i]))
			v[n++] = s->ingress[i];
	return n;
}

static bool is_wanted(const struct addr *v, size_t n, struct addr a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(v[i], a))
			return true;
	return false;
}

/* Gives up what is not wanted any more. */
static MUST_CHECK int release(struct work *w, struct holding *h, const struct addr *v, size_t n)
{
	uint32_t i = 0;

	while (i < h->n) {
		struct vip *e = held(h)[i];
		size_t at = holder_index(e, h->key);

		if (is_wanted(v, n, e->addr)) {
			i++;
			continue;
		}
		if (e->n_holders > 1) {
			drop_held(h, e);
			drop_holder(e, at);
			if (judge(w, e, at) < 0)
				return -ENOMEM;
			continue;
		}
		if (list_add(&w->leaving, e) < 0)
			return -ENOMEM;
		e->_leaving = true;
		drop_held(h, e);
	}
	return 0;
}

/* Takes what is wanted and not yet held.  0, -ENOMEM, -E2BIG. */
static MUST_CHECK int acquire(struct work *w, struct holding *h, const struct addr *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		struct vip *e = find_entry(w->t, v[i]);

		if (e != NULL && holds(h, e))
			continue;
		if (e == NULL && w->t->vips.live >= VIP_MAX) {
			r = -E2BIG;
			continue;
		}
		if (e == NULL)
			e = entry_add(w->t, v[i]);
		if (e == NULL || add_holder(e, h) < 0)
			return -ENOMEM;
	}
	return r;
}

static MUST_CHECK int judge_all(struct work *w, struct holding *h)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (judge(w, held(h)[i], holder_index(held(h)[i], h->key)) < 0)
			return -ENOMEM;
	return 0;
}

static MUST_CHECK int update(struct work *w, struct holding *h, const struct addr *v, size_t n)
{
	int r, over;

	if (touch_all(w, h) < 0 || release(w, h, v, n) < 0)
		return -ENOMEM;
	over = acquire(w, h, v, n);
	if (over == -ENOMEM || touch_all(w, h) < 0 || judge_all(w, h) < 0)
		return -ENOMEM;
	r = regroup(w);
	return r < 0 ? r : over;
}

int vip_update(struct vip_table *t, const struct config *conf, const struct cluster *c,
	const char *service_key)
{
	struct addr v[CLUSTER_MAX_INGRESS];
	struct work w = {.t = t, .c = c};
	struct cluster_service s;
	struct holding *h;
	size_t n;
	int r;

	if (t->stale)
		return vip_rebuild(t, conf, c);
	n = cluster_service(c, service_key, &s) ? wanted_of(t, conf, &s, v) : 0;
	h = find_holding(t, service_key);
	if (h == NULL && n == 0)
		return 0;
	if (h == NULL)
		h = holding_add(t, service_key);
	if (h == NULL)
		return -ENOMEM;
	r = update(&w, h, v, n);
	t->stale = r == -ENOMEM;
	work_free(&w);
	if (h->n == 0 && !t->stale) {
		table_remove(&t->services, h);
		holding_free(h);
	}
	return r;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void free_vips(struct table *vips, struct table *services)
{
	struct holding *h = NULL;
	struct vip *e = NULL;

	while ((h = table_next(services, h)) != NULL)
		if (h->listed)
			free(h->vips.list);
	while ((e = table_next(vips, e)) != NULL)
		if (e->_listed)
			free(e->_holders.list);
	table_free_all(services);
	table_free_all(vips);
}

static int by_elder(const void *a, const void *b)
{
	return service_age_cmp(a, b);
}

/* Every Service takes what is wanted for it, the eldest first. */
static MUST_CHECK int acquire_all(struct work *w, const struct config *conf)
{
	struct cluster_service s = {0};
	struct addr wanted[CLUSTER_MAX_INGRESS];
	struct service_age *v;
	size_t n = 0;
	int r = 0;

	while (cluster_next_service(w->c, &s))
		n += wanted_of(w->t, conf, &s, wanted) > 0;
	v = calloc(n + 1, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	n = 0;
	s = (struct cluster_service){0};
	while (cluster_next_service(w->c, &s))
		if (wanted_of(w->t, conf, &s, wanted) > 0)
			v[n++] = service_age(&s);
	qsort(v, n, sizeof *v, by_elder);
	for (size_t i = 0; i < n && r != -ENOMEM; i++) {
		struct holding *h = holding_add(w->t, v[i].key);
		size_t n_wanted =
			cluster_service(w->c, v[i].key, &s) ? wanted_of(w->t, conf, &s, wanted) : 0;

		r = h != NULL ? acquire(w, h, wanted, n_wanted) : -ENOMEM;
		if (h != NULL && h->n == 0) { /* all over VIP_MAX */
			table_remove(&w->t->services, h);
			holding_free(h);
		}
	}
	free(v);
	return r == -ENOMEM ? r : 0;
}

struct ranked {
	struct vip_holder holder;
	uint32_t rank;
};

static int by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Those who held the VIP before come first, in their old order. */
static MUST_CHECK int restore_order(struct work *w, struct vip *e, const struct vip *was)
{
	size_t n = e->n_holders;
	struct vip_holder *holders = e->_holders.list;
	struct ranked *v;

	if (n < 2)
		return 0;
	v = calloc(n, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		find_holding(w->t, holders[i].key)->rank = (uint32_t)(was->n_holders + i);
	for (size_t i = 0; i < was->n_holders; i++) {
		struct holding *h = find_holding(w->t, vip_holder(was, i).key);

		if (h != NULL)
			h->rank = (uint32_t)i;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = (struct ranked){holders[i], find_holding(w->t, holders[i].key)->rank};
	qsort(v, n, sizeof *v, by_rank);
	for (size_t i = 0; i < n; i++)
		holders[i] = v[i].holder;
	free(v);
	return 0;
}

/* Judges and touches every VIP.  Each remembers its old group, for the id. */
static MUST_CHECK int judge_and_touch(struct work *w, const struct vip_table *was)
{
	struct vip *e = NULL;
	struct vip_group *g = NULL;

	while ((e = table_next(&w->t->vips, e)) != NULL) {
		const struct vip *old = find_entry(was, e->addr);

		if (old != NULL && restore_order(w, e, old) < 0)
			return -ENOMEM;
		if (touch_vip(w, e) < 0 || judge(w, e, 0) < 0)
			return -ENOMEM;
	}
	while ((e = table_next(&w->t->vips, e)) != NULL) {
		const struct vip *old = find_entry(was, e->addr);

		e->group = old != NULL ? old->group : NULL;
		w->t->n_hidden -= e->group != NULL;
	}
	while ((g = table_next(&w->t->groups, g)) != NULL) {
		if (list_add(&w->old, g) < 0)
			return -ENOMEM;
		g->_touched = true;
	}
	return 0;
}

/* Everything goes, the groups into the dirty list. */
static void clear(struct vip_table *t)
{
	struct vip_group *g = table_next(&t->groups, NULL), *next;

	for (; g != NULL; g = next) {
		next = table_next(&t->groups, g);
		mark_dirty(t, g);
		table_remove(&t->groups, g);
		free(g);
	}
	free_vips(&t->vips, &t->services);
	t->n_hidden = 0;
}

int vip_rebuild(struct vip_table *t, const struct config *conf, const struct cluster *c)
{
	struct vip_table was = *t;
	struct work w = {.t = t, .c = c};
	int r;

	t->vips = t->services = (struct table){0};
	t->n_hidden = 0;
	r = acquire_all(&w, conf);
	if (r == 0)
		r = judge_and_touch(&w, &was);
	if (r == 0)
		r = regroup(&w);
	work_free(&w);
	free_vips(&was.vips, &was.services);
	if (r < 0)
		clear(t);
	t->stale = r < 0;
	return r;
}

struct vip_table *vip_new(const struct hash_key *hkey)
{
	struct vip_table *t = calloc(1, sizeof *t);

	if (t != NULL)
		t->hkey = *hkey;
	return t;
}

void vip_set_retired(struct vip_table *t, const struct retired *r)
{
	t->retired = r;
}

const struct retired *vip_retired(const struct vip_table *t)
{
	return t->retired;
}

void vip_free(struct vip_table *t)
{
	if (t == NULL)
		return;
	free_vips(&t->vips, &t->services);
	table_free_all(&t->groups);
	free(t->dirty);
	free(t);
}

/* -- reading ----------------------------------------------------------------------------------- */

const struct vip *vip_find(const struct vip_table *t, struct addr a)
{
	const struct vip *e = find_entry(t, a);

	return e != NULL && e->group != NULL ? e : NULL;
}

const struct vip_group *vip_group(const struct vip_table *t, uint64_t id)
{
	const struct vip_group *g = find_group(t, id);

	return g != NULL ? g : NULL;
}

const struct vip_group *vip_next_group(const struct vip_table *t, const struct vip_group *g)
{
	const struct vip_group *next =
		table_next(&t->groups, g != NULL ? find_group(t, g->id) : NULL);

	return next;
}

size_t vip_count(const struct vip_table *t)
{
	return t->vips.live - t->n_hidden;
}

size_t vip_group_count(const struct vip_table *t)
{
	return t->groups.live;
}

enum reason vip_why(const struct vip_table *t, const struct config *conf, const struct cluster *c,
	const struct cluster_service *s, struct addr a)
{
	enum reason served = service_served(conf, s);
	const struct vip *v = vip_find(t, a);

	if (served != REASON_ALLOCATED)
		return served;
	for (size_t i = 0; v != NULL && i < v->n_holders; i++)
		if (strcmp(vip_holder(v, i).key, s->key) == 0)
			return vip_holder(v, i).doubled ? REASON_DOUBLE_ALLOCATION : REASON_OWNER;
	if (is_lawful_for(t, conf, s, a))
		return REASON_NO_IP;
	return conf->servicelb_active && cluster_is_node_address(c, a) ? REASON_NODE_ADDRESS
								       : REASON_IP_NOT_ALLOWED;
}

const struct config_pool *vip_pool(const struct vip_table *t, const struct config *conf,
	const struct cluster *c, const struct vip *v)
{
	const struct config_pool *pool = config_pool_of(conf, v->addr);

	for (size_t i = 0; i < v->n_holders && pool == NULL && t->retired != NULL; i++) {
		struct cluster_service s;
		const char *name = NULL;

		if (cluster_service(c, vip_holder(v, i).key, &s))
			name = retired_pool(t->retired, s.uid, v->addr);
		if (name != NULL)
			pool = config_pool_named(conf, name);
	}
	return pool;
}

size_t vip_dirty_count(const struct vip_table *t)
{
	return t->n_dirty;
}

uint64_t vip_dirty_at(const struct vip_table *t, size_t i)
{
	REQUIRE(i < t->n_dirty);
	return t->dirty[i];
}

void vip_clean(struct vip_table *t)
{
	for (size_t i = 0; i < t->n_dirty; i++) {
		struct vip_group *g = find_group(t, t->dirty[i]);

		if (g != NULL)
			g->_dirty = false;
	}
	t->n_dirty = 0;
}
