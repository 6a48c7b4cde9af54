/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.c - pools, and which Service has which address.
 *
 * Owns: a copy of what matters of each Service, the table address -> holders, the pools' search
 *       state, the addresses lately released, the queues of decisions, results and writes.
 * In:   alloc_configure(), alloc_put(), alloc_delete(), alloc_write_done().
 * Out:  alloc_next_result(), alloc_next_write(): pull, nothing is ever called back.
 * Sources: DESIGN 3; MetalLB's internal/allocator (order of pools, sharing); CVE-2020-8554.
 * Not done: namespaceSelectors (Namespace objects are not watched: they admit nobody).
 *
 * Level-triggered: events only change what is known and put Services on the todo list; settle()
 * then decides them, those first that have waited longest for an address.  A decision is a pure
 * look at the table (judge()) and then its difference to what is held (apply()).
 *
 * An address that a Service loses while the API may still show it in that Service's status is
 * guarded: nobody gets it until the watch has shown it gone.  So no two statuses ever have one
 * address because of the order in which writes arrive.
 */
#include "alloc.h"

#include "buf.h"
#include "service.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_FORMER = 2048, /* released addresses that are remembered */
	MAX_GUARDS = 8,    /* a Service */
	MAX_FLIGHTS = 1 << 20,
	SETTLE_MS = 2000,   /* after a write: time for the watch to show it */
	CONFLICT_MS = 1000, /* after a 409: time for the watch to bring the newer object */
	FIGHT_WINDOW_MS = 60000,
	MAX_FIGHTS = 5, /* corrections of a foreign writer in a row; then only the longest delay */
	MAX_FAILS = 100,
	CONFLICT_PUTS = 5, /* conflicts in a row that the next object cuts short */
};

/* Writes wait in one list for each length of delay, so each list is in order of its deadlines. */
enum {
	DELAY_NONE,
	DELAY_FIRST, /* 0.1 s, doubled up to DELAY_LAST */
	DELAY_LAST = DELAY_FIRST + 9,
	DELAY_CONFLICT,
	DELAY_SETTLE,
	DELAYS
};

static const uint32_t delay_ms[DELAYS] = {
	0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, CONFLICT_MS, SETTLE_MS};

/* A circle: the head is one of its links, an object is in it by a link of its own. */
struct link {
	struct link *prev, *next;
};

#define LINK_OF(type, member, link) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* One place in the chain of those that have an address. */
struct use {
	struct addr addr;
	struct use *next;  /* the next that has addr, in order of coming */
	struct svc *svc;   /* NULL: nobody, addr is only remembered */
	struct pool *pool; /* where it came from; perhaps no longer configured */
	bool sent;         /* the API may show it */
	bool kept;         /* a configuration dropped it from its pool */
};

/* An address after its Service: guarded (use.svc set, in its guards), or free and remembered. */
struct former {
	struct use use;
	struct link link; /* svc->guards, or pool->former[] with the oldest first */
	struct link age;  /* alloc->former, when free */
	uint64_t freed_ms;
	UT_hash_handle hh; /* alloc->by_name[], when free and the latest of its name */
	bool named;
	char key[];
};

/* Where the search for a never-used address goes on: there is none before. */
struct cursor {
	size_t range;
	struct addr at;
};

struct pool {
	char *name;                     /* owned */
	const struct config_pool *conf; /* borrowed; NULL = gone, but Services were left in it */
	uint64_t rank;                  /* pools of one rank are alike; lower first */
	size_t turn;                    /* place in alloc->order */
	uint64_t total[ADDR_FAMILIES], used[ADDR_FAMILIES];
	struct cursor cursor[ADDR_FAMILIES];
	struct link former[ADDR_FAMILIES];
	bool wanted; /* while configuring */
	UT_hash_handle hh;
};

struct span {
	struct addr_range range;
	struct pool *pool;
	size_t index; /* in the pool */
};

/* The Services of one sharing key. */
struct share {
	struct link members; /* svc.peer */
	UT_hash_handle hh;
	char key[];
};

enum text {
	TEXT_UID,
	TEXT_VERSION,
	TEXT_NAMESPACE,
	TEXT_CLASS,
	TEXT_FIELD,
	TEXT_IPS,
	TEXT_POOL,
	TEXT_SHARING_KEY,
	TEXT_CONFLICT,
	TEXT_BACKEND,
	TEXTS
};

/* What is kept of a struct cluster_service, in one piece of memory: labels, ingress and ports stand
 * behind it, then the texts that are present, each with its NUL, in enum text's order.  The name
 * is the end of the key. */
struct copy {
	int64_t created_s;
	uint16_t n_labels, n_ingress, n_ports, present;
	uint8_t policy, n_families, families[2];
	bool deleting, is_load_balancer, local, ignore, has_cluster_ip, foreign, not_vip, marked;
	struct label labels[];
};

enum turn { TURN_NONE, TURN_TODO, TURN_WAITING };
enum send { SEND_NONE, SEND_QUEUED, SEND_IN_FLIGHT };

struct svc {
	UT_hash_handle hh;
	struct copy *copy;             /* owned */
	struct use use[ADDR_FAMILIES]; /* held where .svc is set */
	struct link guards;            /* owned */
	struct share *share;           /* NULL = no sharing key */
	struct link peer;              /* share->members */
	struct link turning;           /* alloc->todo or ->waiting */
	struct link sending;           /* alloc->send[delay] */
	struct link telling;           /* alloc->report */
	char *detail;                  /* owned; NULL = "" */
	char *note;                    /* owned; what adoption found, for the next result */
	uint64_t due_ms;               /* when QUEUED */
	uint64_t ok_ms;                /* of the last write that the API took; 0 = none */
	uint64_t fight_ms;
	uint32_t flight; /* slot, when IN_FLIGHT */
	uint32_t told;   /* hash of the last result; 0 = none */
	uint8_t reason, turn, send, delay, first, fails, fights;
	bool reporting; /* is in alloc->report */
	bool cleared;   /* for the next result */
	bool adopted;   /* until the first decision */
	bool ours;      /* held an address since its status was last without one */
	bool fresh;     /* the decision is newer than the last write */
	bool doubt;     /* a write was, or may have been, taken since the copy: its status is old */
	bool put_in_flight;
	char key[];
};

struct flight {
	uint64_t id;     /* 0 = free slot */
	struct svc *svc; /* NULL = deleted meanwhile */
	uint32_t next_free;
};

struct alloc {
	struct hash_key hkey;
	struct counters *counters; /* borrowed, may be NULL */
	const struct config *conf; /* borrowed; NULL before the first configuration */
	struct pool **pools;       /* in the file's order; the pools are owned by by_pool */
	struct pool **order;       /* in order of search */
	size_t n_pools;
	struct span *spans; /* sorted by address */
	size_t n_spans;
	struct pool *by_pool; /* by name, those that are gone included */
	struct addr_map map;  /* -> struct use, the first of its chain */
	struct svc *svcs;
	struct share *shares;
	struct former *by_name[ADDR_FAMILIES];
	struct link former; /* the free ones, oldest first */
	size_t n_former;
	struct link todo, waiting, report, send[DELAYS];
	struct flight *flights;
	uint32_t n_flights, cap_flights, free_flight;
	uint64_t last_id;
	uint64_t now_ms;
	struct buf words; /* the detail of the decision at hand */
	bool ready, adopting;
	bool wake;    /* something became free: the waiting are to be tried */
	bool starved; /* some wait for memory only */
};

enum { NO_FLIGHT = UINT32_MAX };

/* -- lists -- */

static void list_init(struct link *head)
{
	head->prev = head->next = head;
}

static bool list_empty(const struct link *head)
{
	return head->next == head;
}

static void list_append(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static void list_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
}

/* All of from go before all of head; from is empty then. */
static void list_prepend_all(struct link *head, struct link *from)
{
	if (list_empty(from))
		return;
	from->prev->next = head->next;
	head->next->prev = from->prev;
	from->next->prev = head;
	head->next = from->next;
	list_init(from);
}

/* -- copies of Services -- */

static void gather_texts(const struct cluster_service *s, const char *t[TEXTS])
{
	t[TEXT_UID] = s->uid;
	t[TEXT_VERSION] = s->resource_version;
	t[TEXT_NAMESPACE] = s->namespace_;
	t[TEXT_CLASS] = s->class_;
	t[TEXT_FIELD] = s->load_balancer_ip;
	t[TEXT_IPS] = s->request.ips;
	t[TEXT_POOL] = s->request.pool;
	t[TEXT_SHARING_KEY] = s->request.sharing_key;
	t[TEXT_CONFLICT] = s->request.conflict;
	t[TEXT_BACKEND] = s->backend_key;
}

static struct addr *copy_ingress(struct copy *c)
{
	return (struct addr *)(void *)(c->labels + c->n_labels);
}

static struct cluster_port *copy_ports(struct copy *c)
{
	return (struct cluster_port *)(void *)(copy_ingress(c) + c->n_ingress);
}

static char *copy_text(struct copy *c)
{
	return (char *)(copy_ports(c) + c->n_ports);
}

static char *add_text(char **at, const char *s)
{
	char *start = *at;
	size_t n = strlen(s) + 1;

	memcpy(start, s, n);
	*at += n;
	return start;
}

static size_t copy_size(const struct cluster_service *s, const char *const t[TEXTS])
{
	size_t n = sizeof(struct copy);

	n += s->labels.n * sizeof(struct label) + s->n_ingress * sizeof(struct addr) +
	     s->n_ports * sizeof(struct cluster_port);
	for (unsigned i = 0; i < TEXTS; i++)
		n += t[i] != NULL ? strlen(t[i]) + 1 : 0;
	for (size_t i = 0; i < s->labels.n; i++)
		n += strlen(s->labels.v[i].key) + strlen(s->labels.v[i].value) + 2;
	return n;
}

static void copy_scalars(struct copy *c, const struct cluster_service *s)
{
	c->created_s = s->created_s;
	c->policy = (uint8_t)s->family_policy;
	c->n_families = (uint8_t)s->n_families;
	for (size_t i = 0; i < s->n_families && i < ARRAY_LEN(c->families); i++)
		c->families[i] = (uint8_t)s->families[i];
	c->deleting = s->deleting;
	c->is_load_balancer = s->is_load_balancer;
	c->local = s->local;
	c->ignore = s->request.ignore;
	c->has_cluster_ip = s->has_cluster_ip;
	c->foreign = s->ingress_foreign;
	c->not_vip = s->ingress_not_vip_mode;
	c->marked = s->pool_written != NULL;
}

/* NULL when out of memory, or over the limits of the picture. */
static struct copy *copy_new(const struct cluster_service *s)
{
	const char *t[TEXTS];
	struct cluster_port *ports;
	struct copy *c;
	char *at;

	if (s->labels.n > CLUSTER_MAX_LABELS || s->n_ingress > CLUSTER_MAX_INGRESS ||
		s->n_ports > CLUSTER_MAX_PORTS || s->n_families > 2)
		return NULL;
	gather_texts(s, t);
	c = malloc(copy_size(s, t));
	if (c == NULL)
		return NULL;
	*c = (struct copy){.n_labels = (uint16_t)s->labels.n,
		.n_ingress = (uint16_t)s->n_ingress,
		.n_ports = (uint16_t)s->n_ports};
	copy_scalars(c, s);
	ports = copy_ports(c);
	for (size_t i = 0; i < s->n_ingress; i++)
		copy_ingress(c)[i] = s->ingress[i];
	for (size_t i = 0; i < s->n_ports; i++)
		ports[i] = (struct cluster_port){
			.protocol = s->ports[i].protocol, .port = s->ports[i].port};
	at = copy_text(c);
	for (unsigned i = 0; i < TEXTS; i++) {
		if (t[i] == NULL)
			continue;
		c->present |= (uint16_t)(1U << i);
		(void)add_text(&at, t[i]);
	}
	for (size_t i = 0; i < s->labels.n; i++) {
		c->labels[i].key = add_text(&at, s->labels.v[i].key);
		c->labels[i].value = add_text(&at, s->labels.v[i].value);
	}
	return c;
}

/* The next text if it is present. */
static const char *next_text(const struct copy *c, unsigned i, const char **at, const char *absent)
{
	const char *s = *at;

	if ((c->present >> i & 1) == 0)
		return absent;
	*at = s + strlen(s) + 1;
	return s;
}

/* The Service as the rules want to see it; borrowed from svc. */
static struct cluster_service view(const struct svc *svc)
{
	struct copy *c = svc->copy;
	const char *at = copy_text(c), *slash = strchr(svc->key, '/');
	struct cluster_service s = {
		.key = svc->key,
		.created_s = c->created_s,
		.deleting = c->deleting,
		.is_load_balancer = c->is_load_balancer,
		.local = c->local,
		.labels = {c->labels, c->n_labels},
		.family_policy = (enum cluster_ip_family_policy)c->policy,
		.families = {(enum addr_family)c->families[0], (enum addr_family)c->families[1]},
		.n_families = c->n_families,
		.has_cluster_ip = c->has_cluster_ip,
		.ports = copy_ports(c),
		.n_ports = c->n_ports,
		.ingress = copy_ingress(c),
		.n_ingress = c->n_ingress,
		.ingress_foreign = c->foreign,
		.ingress_not_vip_mode = c->not_vip,
	};

	s.uid = next_text(c, TEXT_UID, &at, "");
	s.resource_version = next_text(c, TEXT_VERSION, &at, "");
	s.namespace_ = next_text(c, TEXT_NAMESPACE, &at, "");
	s.name = slash != NULL ? slash + 1 : svc->key;
	s.class_ = next_text(c, TEXT_CLASS, &at, NULL);
	s.load_balancer_ip = next_text(c, TEXT_FIELD, &at, NULL);
	s.request.ips = next_text(c, TEXT_IPS, &at, NULL);
	s.request.pool = next_text(c, TEXT_POOL, &at, NULL);
	s.request.sharing_key = next_text(c, TEXT_SHARING_KEY, &at, NULL);
	s.request.conflict = next_text(c, TEXT_CONFLICT, &at, NULL);
	s.backend_key = next_text(c, TEXT_BACKEND, &at, "");
	s.request.ignore = c->ignore;
	return s;
}

static const char *version_of(struct copy *c)
{
	const char *at = copy_text(c);

	(void)next_text(c, TEXT_UID, &at, "");
	return next_text(c, TEXT_VERSION, &at, "");
}

static bool status_shows(const struct svc *svc, struct addr a)
{
	for (size_t i = 0; i < svc->copy->n_ingress; i++) {
		if (addr_eq(copy_ingress(svc->copy)[i], a))
			return true;
	}
	return false;
}

/* -- pools: asking -- */

static const struct span *span_of(const struct alloc *a, struct addr x)
{
	size_t lo = 0, hi = a->n_spans;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(a->spans[mid].range.last, x) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < a->n_spans && addr_range_contains(a->spans[lo].range, x) ? &a->spans[lo] : NULL;
}

/* NULL when no pool has x. */
static struct pool *pool_of(const struct alloc *a, struct addr x)
{
	const struct span *s = span_of(a, x);

	return s != NULL ? s->pool : NULL;
}

/* serviceAllocation: namespaces and namespaceSelectors are one condition, serviceSelectors another;
 * one that is not given holds (MetalLB's isPoolCompatibleWithService). */
static bool pool_admits(const struct pool *p, const struct cluster_service *s)
{
	const struct config_service_allocation *sa = &p->conf->service_allocation;
	bool named = sa->namespaces.n == 0 && sa->namespace_selectors.n == 0;

	if (!sa->present)
		return true;
	for (size_t i = 0; i < sa->namespaces.n && !named; i++)
		named = strcmp(sa->namespaces.v[i], s->namespace_) == 0;
	return named && label_matches_any(&sa->service_selectors, &s->labels);
}

static bool is_metallb(const struct config_pool *p)
{
	return p->dialect == CONFIG_METALLB_CR || p->dialect == CONFIG_METALLB_CM;
}

/* Do Services move when p no longer has, or no longer admits, what they hold?  MetalLB's users rely
 * on it; a pool that is gone is judged by those that there are. */
static bool pool_moves(const struct alloc *a, const struct pool *p)
{
	if (p->conf != NULL)
		return p->conf->reallocate || is_metallb(p->conf);
	for (size_t i = 0; i < a->n_pools; i++) {
		if (is_metallb(a->pools[i]->conf))
			return true;
	}
	return false;
}

static bool is_buggy(const struct pool *p, struct addr x)
{
	return p->conf->avoid_buggy_ips && addr_family(x) == ADDR_V4 &&
	       ((x.lo & 0xff) == 0 || (x.lo & 0xff) == 0xff);
}

/* The lowest address that nobody has had, in the order of the file's ranges. */
static bool pool_unused(struct alloc *a, struct pool *p, enum addr_family f, struct addr *ret_x)
{
	struct cursor *c = &p->cursor[f];

	for (; c->range < p->conf->n_ranges; c->range++, c->at = (struct addr){0, 0}) {
		struct addr_range r = p->conf->ranges[c->range];

		if (addr_family(r.first) != f)
			continue;
		if (addr_cmp(c->at, r.first) > 0)
			r.first = c->at;
		while (addr_map_gap(&a->map, r, &r.first)) {
			c->at = r.first;
			if (!is_buggy(p, r.first)) {
				*ret_x = r.first;
				return true;
			}
			if (addr_eq(r.first, r.last))
				break;
			r.first = addr_next(r.first);
		}
	}
	return false;
}

/* The one that has been free longest, if that is before not_after_ms. */
static bool pool_oldest(
	const struct pool *p, enum addr_family f, uint64_t not_after_ms, struct addr *ret_x)
{
	for (struct link *l = p->former[f].next; l != &p->former[f]; l = l->next) {
		const struct former *o = LINK_OF(struct former, link, l);

		if (o->freed_ms > not_after_ms)
			return false;
		if (!is_buggy(p, o->use.addr)) {
			*ret_x = o->use.addr;
			return true;
		}
	}
	return false;
}

/* x left the table: it counts as never used again. */
static void pool_reopen(struct alloc *a, struct addr x)
{
	const struct span *s = span_of(a, x);
	struct cursor *c;

	if (s == NULL)
		return;
	c = &s->pool->cursor[addr_family(x)];
	if (s->index < c->range || (s->index == c->range && addr_cmp(x, c->at) < 0)) {
		c->range = s->index;
		c->at = x;
	}
}

/* -- the table: who has an address -- */

static bool is_guard(const struct use *u)
{
	return u->svc != NULL && u != &u->svc->use[ADDR_V4] && u != &u->svc->use[ADDR_V6];
}

/* Every former begins with its use. */
static struct former *former_of(struct use *u)
{
	return (struct former *)(void *)u;
}

/* Puts by (not NULL) into u's place. */
static void chain_swap(struct alloc *a, struct use *u, struct use *by)
{
	struct use *at = addr_map_get(&a->map, u->addr);

	by->next = u->next;
	if (at == u) {
		/* In the map already, so there is nothing to allocate. */
		REQUIRE(addr_map_put(&a->map, u->addr, by) == 0);
		return;
	}
	while (at->next != u)
		at = at->next;
	at->next = by;
}

/* True when u was the only one: the address left the table. */
static bool chain_remove(struct alloc *a, struct use *u)
{
	struct use *at = addr_map_get(&a->map, u->addr);

	if (at != u) {
		while (at->next != u)
			at = at->next;
		at->next = u->next;
		return false;
	}
	if (u->next != NULL) {
		REQUIRE(addr_map_put(&a->map, u->addr, u->next) == 0);
		return false;
	}
	addr_map_remove(&a->map, u->addr);
	pool_reopen(a, u->addr);
	return true;
}

static bool is_alone(struct alloc *a, const struct use *u)
{
	return u->next == NULL && addr_map_get(&a->map, u->addr) == u;
}

static struct former *former_new(const struct use *u, const char *key)
{
	size_t n = strlen(key) + 1;
	struct former *o = malloc(sizeof *o + n);

	if (o == NULL)
		return NULL;
	*o = (struct former){.use = *u};
	memcpy(o->key, key, n);
	return o;
}

static void former_unname(struct alloc *a, struct former *o)
{
	if (o->named)
		HASH_DEL(a->by_name[addr_family(o->use.addr)], o);
	o->named = false;
}

/* Takes a free one out of all lists but the table. */
static void former_unlist(struct alloc *a, struct former *o)
{
	former_unname(a, o);
	list_remove(&o->link);
	list_remove(&o->age);
	a->n_former--;
}

static void former_forget(struct alloc *a, struct former *o)
{
	former_unlist(a, o);
	(void)chain_remove(a, &o->use);
	free(o);
}

/* o stands alone in the table and is now free.  Only the latest of a name is found by it. */
static void former_list(struct alloc *a, struct former *o)
{
	enum addr_family f = addr_family(o->use.addr);
	size_t n = strlen(o->key);
	struct former *same;

	o->use.svc = NULL;
	o->use.next = NULL;
	o->freed_ms = a->now_ms;
	list_append(&o->use.pool->former[f], &o->link);
	list_append(&a->former, &o->age);
	a->n_former++;
	HASH_FIND_KEYED(hh, a->by_name[f], &a->hkey, o->key, n, same);
	if (same != NULL)
		former_unname(a, same);
	HASH_ADD_KEYED(hh, a->by_name[f], &a->hkey, o->key, n, o);
	o->named = !hash_oom(o);
	if (a->n_former > MAX_FORMER)
		former_forget(a, LINK_OF(struct former, age, a->former.next));
}

/* Is it in the pool that it came from?  What a configuration has dropped is neither counted in the
 * pool nor remembered. */
static bool is_at_home(const struct alloc *a, const struct use *u)
{
	return pool_of(a, u->addr) == u->pool;
}

static void count_freed(struct alloc *a, const struct use *u)
{
	if (is_at_home(a, u))
		u->pool->used[addr_family(u->addr)]--;
	counter_inc(a->counters, COUNTER_ALLOC_RELEASED);
}

/* The watch has shown that the status no longer has it. */
static void guard_end(struct alloc *a, struct former *o)
{
	list_remove(&o->link);
	a->wake = true;
	if (is_alone(a, &o->use)) {
		count_freed(a, &o->use);
		if (is_at_home(a, &o->use)) {
			former_list(a, o);
			return;
		}
	}
	(void)chain_remove(a, &o->use);
	free(o);
}

static void guard_begin(struct alloc *a, struct svc *svc, struct use *u, struct former *o)
{
	size_t n = 0;

	chain_swap(a, u, &o->use);
	list_append(&svc->guards, &o->link);
	for (const struct link *l = svc->guards.next; l != &svc->guards; l = l->next)
		n++;
	if (n > MAX_GUARDS)
		guard_end(a, LINK_OF(struct former, link, svc->guards.next));
}

/* The Service has the address of family f no longer.  Without memory it is neither guarded nor
 * remembered: it is free. */
static void release(struct alloc *a, struct svc *svc, enum addr_family f, bool guard)
{
	struct use *u = &svc->use[f];
	bool alone = is_alone(a, u);
	struct former *o = NULL;

	if (guard || (alone && is_at_home(a, u)))
		o = former_new(u, svc->key);
	if (guard && o != NULL) {
		guard_begin(a, svc, u, o);
	} else {
		a->wake = true;
		if (alone)
			count_freed(a, u);
		if (alone && o != NULL) {
			chain_swap(a, u, &o->use);
			former_list(a, o);
		} else {
			(void)chain_remove(a, u);
		}
	}
	*u = (struct use){.svc = NULL};
}

static struct former *guard_of(const struct svc *svc, struct addr x)
{
	for (struct link *l = svc->guards.next; l != &svc->guards; l = l->next) {
		struct former *o = LINK_OF(struct former, link, l);

		if (addr_eq(o->use.addr, x))
			return o;
	}
	return NULL;
}

/* Gives x of pool p to the Service; whether it may have it is decided.  0 or -ENOMEM. */
static int occupy(struct alloc *a, struct svc *svc, struct addr x, struct pool *p)
{
	enum addr_family f = addr_family(x);
	struct use *u = &svc->use[f], *at = addr_map_get(&a->map, x);
	struct former *own = guard_of(svc, x);
	struct use mine = {.addr = x, .svc = svc, .pool = p, .sent = own != NULL};

	if (at == NULL && addr_map_put(&a->map, x, u) != 0)
		return -ENOMEM;
	*u = mine;
	svc->ours = true;
	if (own != NULL) {
		list_remove(&own->link);
		chain_swap(a, &own->use, u);
		free(own);
		return 0;
	}
	if (at == NULL || at->svc == NULL)
		p->used[f]++;
	if (at == NULL)
		return 0;
	if (at->svc == NULL) {
		former_unlist(a, former_of(at));
		chain_swap(a, at, u);
		free(former_of(at));
		return 0;
	}
	while (at->next != NULL)
		at = at->next;
	at->next = u;
	return 0;
}

/* -- may a Service be on an address -- */

/* Where the next sentence of the detail goes. */
static struct buf *sentence(struct alloc *a)
{
	if (a->words.len > 0)
		buf_adds(&a->words, "; ");
	return &a->words;
}

static const char *family_name(enum addr_family f)
{
	return f == ADDR_V4 ? "IPv4" : "IPv6";
}

static const char *protocol_name(enum cluster_protocol p)
{
	switch (p) {
	case CLUSTER_TCP:
		return "TCP";
	case CLUSTER_UDP:
		return "UDP";
	case CLUSTER_SCTP:
		return "SCTP";
	case CLUSTER_OTHER:
		break;
	}
	return "other";
}

/* Why s may not be beside the holder, as a sentence. */
static void say_sharing(struct alloc *a, struct addr x, const struct cluster_service *holder,
	const struct cluster_service *s, enum service_sharing why, const struct cluster_port *port)
{
	const char *key = s->request.sharing_key;
	bool has_key = key != NULL && key[0] != '\0';
	char text[ADDR_STRLEN];

	buf_addf(sentence(a), "address %s is used by %s: ", addr_format(x, text), holder->key);
	switch (why) {
	case SERVICE_SHARING_OK:
		break;
	case SERVICE_SHARING_NO_KEY:
		buf_addf(
			&a->words, "%s has no sharing key", has_key ? holder->key : "this Service");
		break;
	case SERVICE_SHARING_KEY_DIFFERS:
		buf_adds(&a->words, "the sharing keys differ");
		break;
	case SERVICE_SHARING_BACKEND_DIFFERS:
		buf_adds(&a->words, "externalTrafficPolicy or, with policy Local, the selectors "
				    "differ");
		break;
	case SERVICE_SHARING_PORT_TAKEN:
		buf_addf(&a->words, "port %s/%u is taken there", protocol_name(port->protocol),
			(unsigned)port->port);
		break;
	}
}

/* May the Service be on x beside all who have it?  REASON_ALLOCATED, IN_USE or SHARING_REFUSED; the
 * words name who is in the way, unless quiet. */
static enum reason may_share(struct alloc *a, const struct svc *svc,
	const struct cluster_service *s, struct addr x, bool quiet)
{
	const struct use *u;

	for (u = addr_map_get(&a->map, x); u != NULL; u = u->next) {
		const struct cluster_port *port = NULL;
		struct cluster_service holder;
		enum service_sharing why;
		char text[ADDR_STRLEN];

		if (u->svc == NULL || u->svc == svc)
			continue;
		if (is_guard(u)) {
			if (!quiet)
				buf_addf(sentence(a), "address %s is still in the status of %s",
					addr_format(x, text), u->svc->key);
			return REASON_IN_USE;
		}
		holder = view(u->svc);
		why = service_sharing(s, &holder, &port);
		if (why == SERVICE_SHARING_OK)
			continue;
		if (!quiet)
			say_sharing(a, x, &holder, s, why, port);
		return why == SERVICE_SHARING_NO_KEY ? REASON_IN_USE : REASON_SHARING_REFUSED;
	}
	return REASON_ALLOCATED;
}

/* -- choosing an address -- */

struct ask {
	struct svc *svc;
	const struct cluster_service *s;
	const struct service_request *req;
	struct pool *only; /* the pool asked for; NULL = any with automatic assignment */
};

struct pick {
	bool has, kept;
	struct addr addr;
	struct pool *pool;
};

struct decision {
	enum reason reason;
	struct pick pick[ADDR_FAMILIES];
	enum addr_family first;
	bool waits; /* for a release by others */
};

static bool is_eligible(const struct ask *q, const struct pool *p)
{
	if (p == NULL || p->conf == NULL || (q->only != NULL && p != q->only))
		return false;
	return (q->only != NULL || p->conf->auto_assign) && pool_admits(p, q->s);
}

static void pick_set(struct pick *pick, struct addr x, struct pool *p)
{
	*pick = (struct pick){.has = true, .addr = x, .pool = p};
}

/* What the status already shows: written by the leader before, or before this Service was ours. */
static bool pick_shown(struct alloc *a, const struct ask *q, enum addr_family f, struct pick *pick)
{
	for (size_t i = 0; i < q->s->n_ingress; i++) {
		struct addr x = q->s->ingress[i];
		struct pool *p = addr_family(x) == f ? pool_of(a, x) : NULL;

		if (is_eligible(q, p) && may_share(a, q->svc, q->s, x, true) == REASON_ALLOCATED) {
			pick_set(pick, x, p);
			return true;
		}
	}
	return false;
}

/* An address that the sharing key has: of the first pool, the lowest.  Each is looked at once, for
 * the holder that is first in its chain. */
static bool pick_shared(struct alloc *a, const struct ask *q, enum addr_family f, struct pick *pick)
{
	const struct share *h = q->svc->share;

	if (h == NULL)
		return false;
	for (struct link *l = h->members.next; l != &h->members; l = l->next) {
		const struct svc *m = LINK_OF(struct svc, peer, l);
		const struct use *u = &m->use[f];
		struct pool *p = u->svc != NULL ? pool_of(a, u->addr) : NULL;

		if (m == q->svc || !is_eligible(q, p) || addr_map_get(&a->map, u->addr) != u)
			continue;
		if (pick->has && (p->turn > pick->pool->turn ||
					 (p == pick->pool && addr_cmp(u->addr, pick->addr) > 0)))
			continue;
		if (may_share(a, q->svc, q->s, u->addr, true) == REASON_ALLOCATED)
			pick_set(pick, u->addr, p);
	}
	return pick->has;
}

/* What a Service of this name had before. */
static bool pick_former(struct alloc *a, const struct ask *q, enum addr_family f, struct pick *pick)
{
	const struct svc *svc = q->svc;
	struct former *o;

	HASH_FIND_BYHASHVALUE(hh, a->by_name[f], svc->key, svc->hh.keylen, svc->hh.hashv, o);
	if (o == NULL || !is_eligible(q, o->use.pool))
		return false;
	pick_set(pick, o->use.addr, o->use.pool);
	return true;
}

/* An address of p that was not in use lately. */
static bool pool_rested(struct alloc *a, struct pool *p, enum addr_family f, struct addr *ret_x)
{
	uint64_t delay = p->conf->reuse_delay_ms;

	return pool_unused(a, p, f, ret_x) ||
	       (a->now_ms >= delay && pool_oldest(p, f, a->now_ms - delay, ret_x));
}

/* One of the pools order[from..to), which are alike: one that was not in use lately, else the least
 * recently released.  reuseDelay is a preference that never overrules the pools' ranks. */
static bool pick_from(struct alloc *a, const struct ask *q, enum addr_family f, size_t from,
	size_t to, struct pick *pick)
{
	struct addr x;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = from; i < to; i++) {
			struct pool *p = a->order[i];

			if (p->total[f] == 0 || !is_eligible(q, p))
				continue;
			if (pass == 0 ? pool_rested(a, p, f, &x)
				      : pool_oldest(p, f, UINT64_MAX, &x)) {
				pick_set(pick, x, p);
				return true;
			}
		}
	}
	return false;
}

static bool has_fitting(const struct alloc *a, const struct ask *q, enum addr_family f)
{
	for (size_t i = 0; i < a->n_pools; i++) {
		if (a->pools[i]->total[f] > 0 && is_eligible(q, a->pools[i]))
			return true;
	}
	return false;
}

static enum reason refuse_auto(struct alloc *a, const struct ask *q, enum addr_family f)
{
	bool fits = has_fitting(a, q, f);

	if (q->only != NULL)
		buf_addf(sentence(a),
			fits ? "every %s address of the requested pool %s is in use"
			     : "no %s address is in the requested pool %s",
			family_name(f), q->only->name);
	else
		buf_addf(sentence(a),
			fits ? "every %s address of the fitting pools is in use"
			     : "no pool with automatic assignment and %s addresses "
			       "admits this Service",
			family_name(f));
	return fits ? REASON_POOL_EXHAUSTED : REASON_NO_FITTING_POOL;
}

static enum reason pick_auto(
	struct alloc *a, const struct ask *q, enum addr_family f, struct pick *pick)
{
	if (pick_shown(a, q, f, pick) || pick_shared(a, q, f, pick) || pick_former(a, q, f, pick))
		return REASON_ALLOCATED;
	for (size_t from = 0, to; from < a->n_pools; from = to) {
		for (to = from + 1; to < a->n_pools; to++) {
			if (a->order[to]->rank != a->order[from]->rank)
				break;
		}
		if (pick_from(a, q, f, from, to, pick))
			return REASON_ALLOCATED;
	}
	return refuse_auto(a, q, f);
}

static enum reason pick_asked(
	struct alloc *a, const struct ask *q, struct addr x, struct pick *pick)
{
	struct pool *p = pool_of(a, x);
	char text[ADDR_STRLEN];
	enum reason r;

	addr_format(x, text);
	if (p == NULL) {
		buf_addf(sentence(a), "the requested address %s is in no pool", text);
		return REASON_NOT_IN_POOL;
	}
	if (q->only != NULL && p != q->only) {
		buf_addf(sentence(a),
			"the requested address %s is in pool %s, not in the requested "
			"pool %s",
			text, p->name, q->only->name);
		return REASON_REQUEST_CONFLICT;
	}
	if (!pool_admits(p, q->s)) {
		buf_addf(sentence(a),
			"pool %s of the requested address %s does not admit this "
			"Service",
			p->name, text);
		return REASON_POOL_NOT_ADMITTED;
	}
	r = may_share(a, q->svc, q->s, x, false);
	if (r == REASON_ALLOCATED)
		pick_set(pick, x, p);
	return r;
}

static const struct addr *asked_address(const struct service_request *req, enum addr_family f)
{
	for (size_t i = 0; i < req->n; i++) {
		if (addr_family(req->v[i]) == f)
			return &req->v[i];
	}
	return NULL;
}

/* May the Service keep the address that it holds?  Then *pick says so. */
static bool pick_held(struct alloc *a, const struct ask *q, enum addr_family f, struct pick *pick)
{
	const struct use *u = &q->svc->use[f];
	const struct addr *want = asked_address(q->req, f);
	struct pool *p = u->svc != NULL ? pool_of(a, u->addr) : NULL;
	bool lawful = p != NULL && pool_admits(p, q->s);

	if (u->svc == NULL || (want != NULL && !addr_eq(*want, u->addr)))
		return false;
	if (p == NULL)
		p = u->pool;
	if ((q->only != NULL && q->only != p) || (!lawful && pool_moves(a, p)) ||
		may_share(a, q->svc, q->s, u->addr, true) != REASON_ALLOCATED)
		return false;
	pick_set(pick, u->addr, p);
	pick->kept = !lawful;
	return true;
}

static void say_kept(struct alloc *a, const struct pick *pick)
{
	char text[ADDR_STRLEN];
	bool gone = pool_of(a, pick->addr) == NULL;

	buf_addf(sentence(a), "address %s is kept although %s %s", addr_format(pick->addr, text),
		gone ? "the configuration no longer has it in pool"
		     : "this Service is no longer admitted by pool",
		pick->pool->name);
}

static enum reason pick_family(
	struct alloc *a, const struct ask *q, enum addr_family f, struct pick *pick)
{
	const struct addr *want = asked_address(q->req, f);

	if (pick_held(a, q, f, pick)) {
		if (pick->kept)
			say_kept(a, pick);
		return REASON_ALLOCATED;
	}
	return want != NULL ? pick_asked(a, q, *want, pick) : pick_auto(a, q, f, pick);
}

/* -- deciding -- */

/* Could a release by another Service change the answer? */
static bool is_waiting_reason(enum reason r)
{
	return r == REASON_POOL_EXHAUSTED || r == REASON_IN_USE || r == REASON_SHARING_REFUSED ||
	       r == REASON_OUT_OF_MEMORY;
}

/* What is held stays as far as it may.  False when nothing is. */
static bool keep_held(struct alloc *a, const struct ask *q, struct decision *d)
{
	bool any = false;

	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		any = pick_held(a, q, (enum addr_family)f, &d->pick[f]) || any;
	return any;
}

/* Both families or none, where the user said so or named the addresses. */
static void judge_families(struct alloc *a, const struct ask *q, size_t n, struct decision *d)
{
	bool all = q->s->family_policy == CLUSTER_REQUIRE_DUAL;
	enum reason failed = REASON_ALLOCATED;
	size_t got = 0;

	for (size_t i = 0; i < n; i++) {
		enum addr_family f = q->s->families[i];
		enum reason r = pick_family(a, q, f, &d->pick[f]);

		if (r == REASON_ALLOCATED) {
			got++;
			continue;
		}
		d->waits = d->waits || is_waiting_reason(r);
		failed = failed == REASON_ALLOCATED ? r : failed;
		all = all || asked_address(q->req, f) != NULL;
	}
	if (failed == REASON_ALLOCATED || (got > 0 && !all))
		return;
	d->reason = failed;
	memset(d->pick, 0, sizeof d->pick);
}

/* The pool asked for.  One that a configuration took away from a Service which has its address is
 * no reason to take the address, too. */
static enum reason judge_pool(struct alloc *a, struct ask *q, struct decision *d)
{
	const char *name = q->req->pool;
	struct pool *p;
	bool exists;

	if (name == NULL)
		return REASON_ALLOCATED;
	HASH_FIND_KEYED(hh, a->by_pool, &a->hkey, name, strlen(name), p);
	exists = p != NULL && p->conf != NULL;
	q->only = p;
	if (exists && pool_admits(p, q->s))
		return REASON_ALLOCATED;
	if (p != NULL && keep_held(a, q, d)) {
		for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
			if (d->pick[f].has)
				say_kept(a, &d->pick[f]);
		}
		return REASON_ALLOCATED;
	}
	buf_addf(sentence(a), "the requested pool %.100s %s", name,
		exists ? "does not admit this Service" : "does not exist");
	return exists ? REASON_POOL_NOT_ADMITTED : REASON_POOL_UNKNOWN;
}

/* How many of spec.ipFamilies are to be served; 0 with the reason in d. */
static size_t judge_policy(struct alloc *a, const struct cluster_service *s, struct decision *d)
{
	if (!s->has_cluster_ip || s->n_families == 0) {
		d->reason = REASON_NO_CLUSTER_IP;
		return 0;
	}
	if (s->family_policy == CLUSTER_REQUIRE_DUAL && s->n_families < 2) {
		buf_adds(sentence(a), "ipFamilyPolicy is RequireDualStack but the Service has a "
				      "cluster IP of one family only");
		d->reason = REASON_NO_CLUSTER_IP;
		return 0;
	}
	return s->family_policy == CLUSTER_SINGLE_STACK ? 1 : s->n_families;
}

/* What the Service should have, by the table as it is.  Changes nothing. */
static void judge(
	struct alloc *a, struct svc *svc, const struct cluster_service *s, struct decision *d)
{
	struct service_request req = {.n = 0};
	struct ask q = {.svc = svc, .s = s, .req = &req};
	size_t n;

	d->reason = service_served(a->conf, s);
	if (d->reason != REASON_ALLOCATED)
		return;
	n = judge_policy(a, s, d);
	if (n == 0)
		return;
	d->first = s->families[0];
	d->reason = service_request(s, &req, &a->words);
	if (d->reason == REASON_BAD_REQUEST || d->reason == REASON_REQUEST_CONFLICT) {
		/* Nobody knows that it means another address: bad input does not cost what works.
		 */
		(void)keep_held(a, &q, d);
		return;
	}
	if (d->reason == REASON_ALLOCATED)
		d->reason = judge_pool(a, &q, d);
	if (d->reason != REASON_ALLOCATED || d->pick[ADDR_V4].has || d->pick[ADDR_V6].has)
		return;
	judge_families(a, &q, n, d);
	if (d->reason == REASON_NO_FITTING_POOL && a->n_pools == 0) {
		buf_reset(&a->words);
		d->reason = REASON_NO_POOL;
	}
}

static void unturn(struct svc *svc)
{
	if (svc->turn != TURN_NONE)
		list_remove(&svc->turning);
	svc->turn = TURN_NONE;
}

static void make_todo(struct alloc *a, struct svc *svc)
{
	if (svc->turn == TURN_TODO)
		return;
	unturn(svc);
	list_append(&a->todo, &svc->turning);
	svc->turn = TURN_TODO;
}

static void make_waiting(struct alloc *a, struct svc *svc)
{
	unturn(svc);
	list_append(&a->waiting, &svc->turning);
	svc->turn = TURN_WAITING;
}

/* What is held becomes what d says. */
static void apply(struct alloc *a, struct svc *svc, struct decision *d)
{
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		struct use *u = &svc->use[f];

		if (u->svc == NULL || (d->pick[f].has && addr_eq(d->pick[f].addr, u->addr)))
			continue;
		svc->cleared = svc->cleared || u->sent;
		svc->fresh = true;
		release(a, svc, (enum addr_family)f, u->sent);
	}
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		const struct pick *p = &d->pick[f];
		struct use *u = &svc->use[f];

		if (!p->has)
			continue;
		if (u->svc == NULL) {
			if (occupy(a, svc, p->addr, p->pool) != 0) {
				d->reason = REASON_OUT_OF_MEMORY;
				d->waits = a->starved = true;
				continue;
			}
			svc->fresh = true;
			counter_inc(a->counters, COUNTER_ALLOCATIONS);
		}
		u->kept = p->kept;
	}
	svc->first = (uint8_t)d->first;
	svc->reason = (uint8_t)d->reason;
	if (d->waits)
		make_waiting(a, svc);
}

/* The addresses that the Service has, the first of its families first. */
static size_t held(const struct svc *svc, struct addr ret_ips[2])
{
	size_t n = 0;

	for (unsigned i = 0; i < ADDR_FAMILIES; i++) {
		const struct use *u = &svc->use[svc->first ^ i];

		if (u->svc != NULL)
			ret_ips[n++] = u->addr;
	}
	return n;
}

static bool holds_any(const struct svc *svc)
{
	return svc->use[ADDR_V4].svc != NULL || svc->use[ADDR_V6].svc != NULL;
}

/* -- results -- */

static void set_detail(struct alloc *a, struct svc *svc)
{
	const char *text = a->words.len > 0 ? a->words.p : "";

	if (svc->detail == NULL && text[0] == '\0')
		return;
	free(svc->detail);
	/* Out of memory: reason_text() says it all. */
	svc->detail = text[0] != '\0' ? strdup(text) : NULL;
}

/* Never 0. */
static uint32_t result_hash(const struct alloc *a, const struct svc *svc)
{
	struct {
		struct addr ips[2];
		uint64_t n, reason;
	} h = {.n = 0};
	uint32_t v;

	h.n = held(svc, h.ips);
	h.reason = svc->reason;
	v = hash_bytes(&a->hkey, &h, sizeof h);
	if (svc->detail != NULL)
		v = v * 31 + hash_bytes(&a->hkey, svc->detail, strlen(svc->detail));
	return v | 1;
}

static bool is_served(const struct svc *svc)
{
	return svc->reason != REASON_NOT_LOAD_BALANCER && svc->reason != REASON_OTHER_CLASS &&
	       svc->reason != REASON_IGNORED && svc->reason != REASON_DELETED;
}

static void unreport(struct svc *svc)
{
	if (svc->reporting)
		list_remove(&svc->telling);
	svc->reporting = false;
}

/* Is there something to say?  Not of Services that were never ours, nor of those that a new leader
 * finds in order. */
static void note_result(struct alloc *a, struct svc *svc, bool in_order)
{
	uint32_t h;
	bool quiet;

	if (!svc->cleared && svc->told == 0 && !is_served(svc)) {
		unreport(svc);
		return;
	}
	h = result_hash(a, svc);
	if (svc->adopted && in_order && svc->detail == NULL)
		svc->told = h;
	quiet = h == svc->told && !svc->cleared && svc->note == NULL;
	if (quiet == !svc->reporting)
		return;
	if (svc->reporting) {
		unreport(svc);
		return;
	}
	list_append(&a->report, &svc->telling);
	svc->reporting = true;
}

static void fill_result(const struct svc *svc, struct alloc_result *r)
{
	struct cluster_service s = view(svc);
	const struct use *u = &svc->use[svc->first];

	r->key = s.key;
	r->namespace_ = s.namespace_;
	r->name = s.name;
	r->uid = s.uid;
	r->reason = (enum reason)svc->reason;
	r->cleared = svc->cleared;
	r->n_ips = held(svc, r->ips);
	if (u->svc == NULL)
		u = &svc->use[svc->first ^ 1];
	r->pool = u->svc != NULL ? u->pool->name : NULL;
	r->detail[0] = '\0';
	if (svc->detail == NULL && svc->note == NULL)
		return;
	(void)snprintf(r->detail, sizeof r->detail, "%s%s%s",
		svc->detail != NULL ? svc->detail : "",
		svc->detail != NULL && svc->note != NULL ? "; " : "",
		svc->note != NULL ? svc->note : "");
}

/* -- writes -- */

static void unqueue(struct svc *svc)
{
	if (svc->send != SEND_QUEUED)
		return;
	list_remove(&svc->sending);
	svc->send = SEND_NONE;
}

static void queue(struct alloc *a, struct svc *svc, unsigned delay)
{
	REQUIRE(svc->send != SEND_IN_FLIGHT && delay < DELAYS);
	unqueue(svc);
	svc->delay = (uint8_t)delay;
	svc->due_ms = a->now_ms + delay_ms[delay];
	svc->send = SEND_QUEUED;
	list_append(&a->send[delay], &svc->sending);
}

static unsigned backoff(unsigned n)
{
	return n < DELAY_LAST - DELAY_FIRST ? DELAY_FIRST + n : DELAY_LAST;
}

/* Does the copy's status show exactly what is held?  In any order: an older leader's, or another
 * load balancer's before us, is as good. */
static bool status_right(const struct svc *svc)
{
	const struct copy *c = svc->copy;
	struct addr ips[2];
	size_t n = held(svc, ips);

	if (c->n_ingress != n || c->foreign || (c->not_vip && n > 0))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!status_shows(svc, ips[i]))
			return false;
	}
	return true;
}

static bool status_in_pools(const struct alloc *a, const struct svc *svc)
{
	for (size_t i = 0; i < svc->copy->n_ingress; i++) {
		if (pool_of(a, copy_ingress(svc->copy)[i]) != NULL)
			return true;
	}
	return false;
}

/* A status that is not ours to keep is cleared only where it was ours: what another load balancer
 * wrote for its own Services stays. */
static bool wants_clear(const struct alloc *a, const struct svc *svc)
{
	if (svc->copy->n_ingress == 0)
		return false;
	return svc->ours || (status_in_pools(a, svc) &&
				    (svc->reason == REASON_NOT_LOAD_BALANCER || svc->copy->marked));
}

static bool wants_write(const struct alloc *a, const struct svc *svc)
{
	if (svc->doubt)
		return svc->fresh;
	if (!is_served(svc) || (svc->reason == REASON_NO_POOL && !svc->ours))
		return wants_clear(a, svc);
	return !status_right(svc);
}

/* Somebody else changed what stood in the status: correct it, but do not fight. */
static unsigned correction_delay(const struct alloc *a, struct svc *svc)
{
	unsigned delay;

	if (a->now_ms - svc->fight_ms > FIGHT_WINDOW_MS)
		svc->fights = 0;
	svc->fight_ms = a->now_ms;
	if (svc->fights >= MAX_FIGHTS)
		return DELAY_LAST;
	delay = svc->fights == 0 ? DELAY_NONE : backoff(svc->fights - 1U);
	svc->fights++;
	if (svc->ok_ms != 0 && a->now_ms - svc->ok_ms < SETTLE_MS)
		return DELAY_SETTLE;
	return delay;
}

/* Those end that the status no longer shows; all, if it is to stay as it is. */
static void end_guards(struct alloc *a, struct svc *svc, bool all)
{
	struct link *next;

	for (struct link *l = svc->guards.next; l != &svc->guards; l = next) {
		struct former *o = LINK_OF(struct former, link, l);

		next = l->next;
		if (all || !status_shows(svc, o->use.addr))
			guard_end(a, o);
	}
}

/* Queues a write, or takes it back, after anything that bears on it has changed. */
static void sync_write(struct alloc *a, struct svc *svc)
{
	bool wanted = wants_write(a, svc);

	if (svc->send == SEND_IN_FLIGHT)
		return;
	if (!svc->doubt)
		end_guards(a, svc, !wanted);
	if (!wanted) {
		svc->fresh = false;
		svc->fails = 0;
		unqueue(svc);
		if (!svc->doubt && svc->copy->n_ingress == 0 && !holds_any(svc))
			svc->ours = false;
		return;
	}
	if (svc->send == SEND_QUEUED) {
		if (svc->fresh && svc->fails == 0 && svc->delay != DELAY_NONE)
			queue(a, svc, DELAY_NONE);
		return;
	}
	queue(a, svc, svc->fresh ? (unsigned)DELAY_NONE : correction_delay(a, svc));
}

static void decide(struct alloc *a, struct svc *svc)
{
	struct cluster_service s = view(svc);
	struct decision d = {.reason = REASON_ALLOCATED};
	bool first = svc->told == 0 && !svc->reporting;

	buf_reset(&a->words);
	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		if (svc->use[f].svc != NULL && status_shows(svc, svc->use[f].addr))
			svc->use[f].sent = true;
	}
	judge(a, svc, &s, &d);
	apply(a, svc, &d);
	set_detail(a, svc);
	sync_write(a, svc);
	if (first && s.n_ingress > 0 && svc->send == SEND_QUEUED)
		svc->cleared = true;
	note_result(a, svc, svc->send == SEND_NONE);
	svc->adopted = false;
}

/* -- adoption -- */

static int elder(const struct svc *x, const struct svc *y)
{
	struct cluster_service a = view(x), b = view(y);

	return service_elder(&a, &b);
}

/* Merges two sorted chains, by next alone; of equals x's go first. */
static struct link *merge(struct link *x, struct link *y)
{
	struct link *head = NULL, **at = &head;

	while (x != NULL && y != NULL) {
		bool y_first =
			elder(LINK_OF(struct svc, turning, x), LINK_OF(struct svc, turning, y)) > 0;
		struct link **from = y_first ? &y : &x;

		*at = *from;
		at = &(*from)->next;
		*from = (*from)->next;
	}
	*at = x != NULL ? x : y;
	return head;
}

static struct link *sort(struct link *chain)
{
	struct link *middle = chain, *second;

	if (chain == NULL || chain->next == NULL)
		return chain;
	for (struct link *end = chain->next; end != NULL && end->next != NULL;
		end = end->next->next)
		middle = middle->next;
	second = middle->next;
	middle->next = NULL;
	return merge(sort(chain), sort(second));
}

/* The eldest first: what is decided does not hang on the order in which a list came. */
static void sort_todo(struct alloc *a)
{
	struct link *chain, *next;

	if (list_empty(&a->todo))
		return;
	a->todo.prev->next = NULL;
	chain = sort(a->todo.next);
	list_init(&a->todo);
	for (; chain != NULL; chain = next) {
		next = chain->next;
		list_append(&a->todo, chain);
	}
}

static void set_note(struct svc *svc, struct addr x, const struct svc *other, const char *text)
{
	char ip[ADDR_STRLEN];
	struct buf b;

	buf_init(&b, 512);
	buf_addf(&b, "address %s was also in the status of %s: %s", addr_format(x, ip), other->key,
		text);
	free(svc->note);
	svc->note = buf_take(&b);
	buf_free(&b);
}

/* x cannot be the Service's because of a holder before it: both are told. */
static void note_double(
	struct alloc *a, struct svc *svc, const struct cluster_service *s, struct addr x)
{
	const struct use *u;

	for (u = addr_map_get(&a->map, x); u != NULL; u = u->next) {
		struct cluster_service holder = view(u->svc);

		if (service_sharing(s, &holder, NULL) == SERVICE_SHARING_OK)
			continue;
		set_note(svc, x, u->svc, "that one is older and keeps it");
		set_note(u->svc, x, svc, "this one is older and keeps it");
		return;
	}
}

static void adopt(struct alloc *a, struct svc *svc)
{
	struct cluster_service s = view(svc);

	if (service_served(a->conf, &s) != REASON_ALLOCATED)
		return;
	svc->first = (uint8_t)s.families[0];
	for (size_t i = 0; i < s.n_ingress; i++) {
		struct addr x = s.ingress[i];
		struct pool *p = pool_of(a, x);

		if (p == NULL || svc->use[addr_family(x)].svc != NULL)
			continue;
		if (may_share(a, svc, &s, x, true) != REASON_ALLOCATED) {
			note_double(a, svc, &s, x);
			continue;
		}
		if (occupy(a, svc, x, p) != 0)
			continue; /* out of memory: decided as if the status were empty */
		svc->use[addr_family(x)].sent = true;
		svc->adopted = true;
		counter_inc(a->counters, COUNTER_ALLOC_ADOPTED);
	}
}

/* x is nobody's, or only remembered. */
static void guard_shown(struct alloc *a, struct svc *svc, struct addr x, struct pool *p)
{
	struct use u = {.addr = x, .svc = svc, .pool = p, .sent = true};
	struct use *at = addr_map_get(&a->map, x);
	struct former *o;

	if (at != NULL) {
		o = former_of(at);
		former_unlist(a, o);
		o->use = u;
	} else {
		o = former_new(&u, svc->key);
		if (o == NULL || addr_map_put(&a->map, x, &o->use) != 0) {
			free(o);
			return;
		}
	}
	list_append(&svc->guards, &o->link);
	p->used[addr_family(x)]++;
}

/* Will what the status shows beside what is held be taken away? */
static bool is_corrected(const struct alloc *a, const struct svc *svc)
{
	struct cluster_service s = view(svc);
	enum reason r = service_served(a->conf, &s);

	return r == REASON_ALLOCATED || r == REASON_NOT_LOAD_BALANCER || svc->copy->marked;
}

/* What a status shows and nobody has is not given away before it is gone. */
static void guard_rest(struct alloc *a, struct svc *svc)
{
	const struct addr *shown = copy_ingress(svc->copy);

	for (size_t i = 0; i < svc->copy->n_ingress && i < MAX_GUARDS; i++) {
		struct pool *p = pool_of(a, shown[i]);
		const struct use *at = addr_map_get(&a->map, shown[i]);

		if (p == NULL || (at != NULL && at->svc != NULL))
			continue;
		if (!is_corrected(a, svc))
			return;
		guard_shown(a, svc, shown[i], p);
	}
}

static void adopt_all(struct alloc *a)
{
	struct link *l;

	sort_todo(a);
	for (l = a->todo.next; l != &a->todo; l = l->next)
		adopt(a, LINK_OF(struct svc, turning, l));
	for (l = a->todo.next; l != &a->todo; l = l->next)
		guard_rest(a, LINK_OF(struct svc, turning, l));
	a->adopting = false;
}

/* -- the pass -- */

/* Those that wait go before those that come. */
static void wake_waiting(struct alloc *a)
{
	for (struct link *l = a->waiting.next; l != &a->waiting; l = l->next)
		LINK_OF(struct svc, turning, l)->turn = TURN_TODO;
	list_prepend_all(&a->todo, &a->waiting);
	a->wake = false;
}

/* Ends: a waiting Service holds nothing that its decision could release. */
static void settle(struct alloc *a)
{
	if (!a->ready || a->conf == NULL)
		return;
	if (a->adopting)
		adopt_all(a);
	for (;;) {
		struct svc *svc;

		if (a->wake)
			wake_waiting(a);
		if (list_empty(&a->todo))
			return;
		svc = LINK_OF(struct svc, turning, a->todo.next);
		unturn(svc);
		decide(a, svc);
	}
}

static void arrive(struct alloc *a, uint64_t now_ms)
{
	a->now_ms = now_ms;
	if (a->starved)
		a->wake = true;
	a->starved = false;
}

/* -- Services coming and going -- */

static void share_leave(struct alloc *a, struct svc *svc)
{
	struct share *h = svc->share;

	if (h == NULL)
		return;
	list_remove(&svc->peer);
	svc->share = NULL;
	if (list_empty(&h->members)) {
		HASH_DEL(a->shares, h);
		free(h);
	}
}

static struct share *share_new(struct alloc *a, const char *key, size_t n)
{
	struct share *h = malloc(sizeof *h + n + 1);

	if (h == NULL)
		return NULL;
	list_init(&h->members);
	memcpy(h->key, key, n + 1);
	HASH_ADD_KEYED(hh, a->shares, &a->hkey, h->key, n, h);
	if (hash_oom(h)) {
		free(h);
		return NULL;
	}
	return h;
}

/* 0 or -ENOMEM (nothing changed). */
static int share_join(struct alloc *a, struct svc *svc, const char *key)
{
	size_t n = key != NULL ? strlen(key) : 0;
	struct share *h = NULL;

	if (n > 0) {
		HASH_FIND_KEYED(hh, a->shares, &a->hkey, key, n, h);
		if (h == NULL)
			h = share_new(a, key, n);
		if (h == NULL)
			return -ENOMEM;
	}
	if (h == svc->share)
		return 0;
	share_leave(a, svc);
	svc->share = h;
	if (h != NULL)
		list_append(&h->members, &svc->peer);
	return 0;
}

static struct svc *svc_find_hashed(const struct alloc *a, const char *key, unsigned hash)
{
	struct svc *svc;

	HASH_FIND_BYHASHVALUE(hh, a->svcs, key, strlen(key), hash, svc);
	return svc;
}

static struct svc *svc_find(const struct alloc *a, const char *key)
{
	return svc_find_hashed(a, key, hash_bytes(&a->hkey, key, strlen(key)));
}

static struct svc *svc_new(struct alloc *a, const char *key, unsigned hash)
{
	size_t n = strlen(key);
	struct svc *svc = calloc(1, sizeof *svc + n + 1);

	if (svc == NULL)
		return NULL;
	memcpy(svc->key, key, n + 1);
	list_init(&svc->guards);
	svc->flight = NO_FLIGHT;
	svc->reason = REASON_NO_IP;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, a->svcs, svc->key, n, hash, svc);
	if (hash_oom(svc)) {
		free(svc);
		return NULL;
	}
	return svc;
}

/* Frees what the Service owns, not its place in the tables. */
static void svc_free(struct svc *svc)
{
	struct link *next;

	for (struct link *l = svc->guards.next; l != &svc->guards; l = next) {
		next = l->next;
		free(LINK_OF(struct former, link, l));
	}
	free(svc->copy);
	free(svc->detail);
	free(svc->note);
	free(svc);
}

/* The object is gone from the API, and with it its status. */
static void svc_remove(struct alloc *a, struct svc *svc)
{
	struct link *next;

	for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
		if (svc->use[f].svc != NULL)
			release(a, svc, (enum addr_family)f, false);
	}
	for (struct link *l = svc->guards.next; l != &svc->guards; l = next) {
		next = l->next;
		guard_end(a, LINK_OF(struct former, link, l));
	}
	if (svc->send == SEND_IN_FLIGHT)
		a->flights[svc->flight].svc = NULL;
	unqueue(svc);
	unturn(svc);
	unreport(svc);
	share_leave(a, svc);
	HASH_DEL(a->svcs, svc);
	svc_free(svc);
}

static bool is_same_object(const struct svc *svc, const struct cluster_service *s)
{
	return strcmp(view(svc).uid, s->uid != NULL ? s->uid : "") == 0;
}

/* An object of another resourceVersion than the one that a write was conditional on ends the doubt
 * about what became of the write: either it shows it, or it kept it from being taken. */
static void take_copy(struct svc *svc, struct copy *copy)
{
	struct copy *old = svc->copy;

	svc->copy = copy;
	if (old == NULL || strcmp(version_of(old), version_of(copy)) != 0) {
		svc->doubt = false;
		svc->put_in_flight = svc->send == SEND_IN_FLIGHT;
	}
	free(old);
}

int alloc_put(struct alloc *a, const struct cluster_service *s, uint64_t now_ms)
{
	unsigned hash = hash_bytes(&a->hkey, s->key, strlen(s->key));
	struct svc *svc = svc_find_hashed(a, s->key, hash);
	struct copy *copy;

	arrive(a, now_ms);
	if (svc != NULL && !is_same_object(svc, s)) {
		svc_remove(a, svc);
		svc = NULL;
	}
	if (svc == NULL && !s->is_load_balancer && s->n_ingress == 0)
		return 0; /* most Services of a cluster */
	copy = copy_new(s);
	if (copy == NULL)
		return -ENOMEM;
	if (svc == NULL)
		svc = svc_new(a, s->key, hash);
	if (svc == NULL) {
		free(copy);
		return -ENOMEM;
	}
	take_copy(svc, copy);
	if (a->ready && !a->adopting)
		guard_rest(a, svc);
	make_todo(a, svc);
	if (svc->send == SEND_QUEUED && svc->delay == DELAY_CONFLICT && svc->fails < CONFLICT_PUTS)
		queue(a, svc, DELAY_NONE);
	return share_join(a, svc, s->request.sharing_key);
}

void alloc_delete(struct alloc *a, const char *key, uint64_t now_ms)
{
	struct svc *svc = svc_find(a, key);

	arrive(a, now_ms);
	if (svc != NULL)
		svc_remove(a, svc);
}

/* -- configuration -- */

/* Searched first: pools that say whom they are for, by priority, 0 last; then the rest. */
static uint64_t pool_rank(const struct config_pool *p)
{
	if (!p->service_allocation.present)
		return UINT64_MAX;
	return p->service_allocation.priority != 0 ? p->service_allocation.priority
						   : UINT64_MAX - 1;
}

static int by_rank(const void *x, const void *y)
{
	const struct pool *const *a = x, *const *b = y;

	if ((*a)->rank != (*b)->rank)
		return (*a)->rank < (*b)->rank ? -1 : 1;
	return (*a)->turn < (*b)->turn ? -1 : (*a)->turn > (*b)->turn; /* the file's order */
}

static int by_address(const void *x, const void *y)
{
	const struct span *a = x, *b = y;

	return addr_cmp(a->range.first, b->range.first);
}

/* The arrays of a configuration while they are made. */
struct tables {
	struct pool **pools, **order;
	struct span *spans;
	size_t n_spans;
};

static void tables_free(struct tables *t)
{
	free((void *)t->pools);
	free((void *)t->order);
	free(t->spans);
}

static int tables_alloc(struct tables *t, const struct config *conf)
{
	for (size_t i = 0; i < conf->n_pools; i++)
		t->n_spans += conf->pools[i].n_ranges;
	t->pools = (struct pool **)calloc(conf->n_pools + 1, sizeof(struct pool *));
	t->order = (struct pool **)calloc(conf->n_pools + 1, sizeof(struct pool *));
	t->spans = calloc(t->n_spans + 1, sizeof *t->spans);
	if (t->pools != NULL && t->order != NULL && t->spans != NULL)
		return 0;
	tables_free(t);
	return -ENOMEM;
}

static struct pool *pool_new(struct alloc *a, const char *name)
{
	struct pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	list_init(&p->former[ADDR_V4]);
	list_init(&p->former[ADDR_V6]);
	p->name = strdup(name);
	if (p->name != NULL)
		HASH_ADD_KEYED(hh, a->by_pool, &a->hkey, p->name, strlen(p->name), p);
	if (p->name == NULL || hash_oom(p)) {
		free(p->name);
		free(p);
		return NULL;
	}
	return p;
}

/* The analyzer takes a table's head for one that may have a predecessor, and so for freed.
 * NOLINTBEGIN(clang-analyzer-unix.Malloc) */
static void pool_free(struct alloc *a, struct pool *p)
{
	HASH_DEL(a->by_pool, p);
	free(p->name);
	free(p);
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* Drops the pools that are neither configured nor needed. */
static void sweep_pools(struct alloc *a)
{
	struct pool *p, *next;

	for (p = a->by_pool; p != NULL; p = next) {
		next = p->hh.next;
		if (p->conf == NULL && !p->wanted)
			pool_free(a, p);
	}
}

/* Finds or makes the object of each pool; all that can fail is here. */
static int find_pools(struct alloc *a, const struct config *conf, struct tables *t)
{
	for (size_t i = 0; i < conf->n_pools; i++) {
		const char *name = conf->pools[i].name;
		struct pool *p;

		HASH_FIND_KEYED(hh, a->by_pool, &a->hkey, name, strlen(name), p);
		if (p == NULL)
			p = pool_new(a, name);
		if (p == NULL)
			return -ENOMEM;
		t->pools[i] = t->order[i] = p;
	}
	return 0;
}

static void fill_pool(struct pool *p, const struct config_pool *conf, size_t turn)
{
	p->conf = conf;
	p->rank = pool_rank(conf);
	p->turn = turn;
	for (size_t i = 0; i < conf->n_ranges; i++) {
		uint64_t *total = &p->total[addr_family(conf->ranges[i].first)];
		uint64_t n = addr_range_size(conf->ranges[i]);

		*total = *total > UINT64_MAX - n ? UINT64_MAX : *total + n;
	}
}

static void reset_pools(struct alloc *a)
{
	for (struct pool *p = a->by_pool; p != NULL; p = p->hh.next) {
		p->conf = NULL;
		p->wanted = false;
		memset(p->total, 0, sizeof p->total);
		memset(p->used, 0, sizeof p->used);
		memset(p->cursor, 0, sizeof p->cursor);
		list_init(&p->former[ADDR_V4]);
		list_init(&p->former[ADDR_V6]);
	}
}

static void fill_tables(struct alloc *a, const struct config *conf, struct tables *t)
{
	size_t n = 0;

	reset_pools(a);
	for (size_t i = 0; i < conf->n_pools; i++) {
		const struct config_pool *p = &conf->pools[i];

		fill_pool(t->pools[i], p, i);
		for (size_t j = 0; j < p->n_ranges; j++)
			t->spans[n++] = (struct span){p->ranges[j], t->pools[i], j};
	}
	qsort(t->spans, n, sizeof *t->spans, by_address);
	qsort((void *)t->order, conf->n_pools, sizeof(struct pool *), by_rank);
	for (size_t i = 0; i < conf->n_pools; i++)
		t->order[i]->turn = i;
}

/* An address goes with the pool that has it now, else stays with the one that it came from. */
static void rehome(struct alloc *a, struct use *u)
{
	struct pool *p = pool_of(a, u->addr);

	if (p != NULL)
		u->pool = p;
	u->pool->wanted = true;
	if (p != NULL && addr_map_get(&a->map, u->addr) == u)
		p->used[addr_family(u->addr)]++;
}

static void rehome_all(struct alloc *a)
{
	struct link *l, *next;

	for (struct svc *svc = a->svcs; svc != NULL; svc = svc->hh.next) {
		for (unsigned f = 0; f < ADDR_FAMILIES; f++) {
			if (svc->use[f].svc != NULL)
				rehome(a, &svc->use[f]);
		}
		for (l = svc->guards.next; l != &svc->guards; l = l->next)
			rehome(a, &LINK_OF(struct former, link, l)->use);
	}
	for (l = a->former.next; l != &a->former; l = next) {
		struct former *o = LINK_OF(struct former, age, l);
		struct pool *p = pool_of(a, o->use.addr);

		next = l->next;
		o->use.pool = p != NULL ? p : o->use.pool;
		list_append(&o->use.pool->former[addr_family(o->use.addr)], &o->link);
		if (p == NULL)
			former_forget(a, o);
	}
}

int alloc_configure(struct alloc *a, const struct config *conf, uint64_t now_ms)
{
	struct tables t = {.n_spans = 0};

	if (tables_alloc(&t, conf) != 0)
		return -ENOMEM;
	if (find_pools(a, conf, &t) != 0) {
		/* Those made just now have no configuration and nobody in them. */
		tables_free(&t);
		sweep_pools(a);
		return -ENOMEM;
	}
	fill_tables(a, conf, &t);
	tables_free(&(struct tables){a->pools, a->order, a->spans, a->n_spans});
	a->conf = conf;
	a->pools = t.pools;
	a->order = t.order;
	a->n_pools = conf->n_pools;
	a->spans = t.spans;
	a->n_spans = t.n_spans;
	rehome_all(a);
	sweep_pools(a);
	arrive(a, now_ms);
	for (struct svc *svc = a->svcs; svc != NULL; svc = svc->hh.next) {
		if (a->ready && !a->adopting)
			guard_rest(a, svc);
		make_todo(a, svc);
	}
	sort_todo(a);
	return 0;
}

/* -- life -- */

static void init_lists(struct alloc *a)
{
	list_init(&a->former);
	list_init(&a->todo);
	list_init(&a->waiting);
	list_init(&a->report);
	for (unsigned d = 0; d < DELAYS; d++)
		list_init(&a->send[d]);
}

struct alloc *alloc_new(const struct hash_key *hkey, struct counters *counters)
{
	struct alloc *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->hkey = *hkey;
	a->counters = counters;
	a->free_flight = NO_FLIGHT;
	a->adopting = true;
	init_lists(a);
	addr_map_init(&a->map, hkey);
	buf_init(&a->words, sizeof((struct alloc_result *)NULL)->detail - 1);
	return a;
}

/* Forgets every Service and every address. */
static void forget_all(struct alloc *a)
{
	struct svc *svc = a->svcs, *next_svc;
	struct share *h = a->shares, *next_share;
	struct link *next;

	HASH_CLEAR(hh, a->by_name[ADDR_V4]);
	HASH_CLEAR(hh, a->by_name[ADDR_V6]);
	for (struct link *l = a->former.next; l != &a->former; l = next) {
		next = l->next;
		free(LINK_OF(struct former, age, l));
	}
	a->n_former = 0;
	HASH_CLEAR(hh, a->shares);
	for (; h != NULL; h = next_share) {
		next_share = h->hh.next;
		free(h);
	}
	HASH_CLEAR(hh, a->svcs);
	for (; svc != NULL; svc = next_svc) {
		next_svc = svc->hh.next;
		svc_free(svc);
	}
	addr_map_free(&a->map);
	init_lists(a);
	a->n_flights = 0;
	a->free_flight = NO_FLIGHT;
	a->wake = a->starved = false;
}

void alloc_free(struct alloc *a)
{
	struct pool *p, *next;

	if (a == NULL)
		return;
	forget_all(a);
	p = a->by_pool;
	HASH_CLEAR(hh, a->by_pool);
	for (; p != NULL; p = next) {
		next = p->hh.next;
		free(p->name);
		free(p);
	}
	free((void *)a->pools);
	free((void *)a->order);
	free(a->spans);
	free(a->flights);
	buf_free(&a->words);
	free(a);
}

void alloc_begin(struct alloc *a)
{
	forget_all(a);
	a->ready = false;
	a->adopting = true;
	for (struct pool *p = a->by_pool; p != NULL; p = p->hh.next) {
		p->wanted = false;
		memset(p->used, 0, sizeof p->used);
		memset(p->cursor, 0, sizeof p->cursor);
		list_init(&p->former[ADDR_V4]);
		list_init(&p->former[ADDR_V6]);
	}
	sweep_pools(a);
}

void alloc_adopted(struct alloc *a, uint64_t now_ms)
{
	arrive(a, now_ms);
	a->ready = true;
}

bool alloc_is_ready(const struct alloc *a)
{
	return a->ready;
}

/* -- what the shell pulls -- */

bool alloc_next_result(struct alloc *a, struct alloc_result *ret_r)
{
	struct svc *svc;

	settle(a);
	if (list_empty(&a->report))
		return false;
	svc = LINK_OF(struct svc, telling, a->report.next);
	unreport(svc);
	fill_result(svc, ret_r);
	svc->told = result_hash(a, svc);
	svc->cleared = false;
	free(svc->note);
	svc->note = NULL;
	if (ret_r->reason != REASON_ALLOCATED && is_served(svc))
		counter_inc(a->counters, COUNTER_ALLOC_REFUSED);
	return true;
}

bool alloc_why(const struct alloc *a, const char *key, struct alloc_result *ret_r)
{
	const struct svc *svc = svc_find(a, key);

	if (svc == NULL)
		return false;
	fill_result(svc, ret_r);
	return true;
}

/* A slot for a write in flight, or NO_FLIGHT when out of memory. */
static uint32_t flight_new(struct alloc *a)
{
	uint32_t slot = a->free_flight, cap = a->cap_flights > 0 ? a->cap_flights * 2 : 64;
	struct flight *v;

	if (slot != NO_FLIGHT) {
		a->free_flight = a->flights[slot].next_free;
		return slot;
	}
	if (a->n_flights == a->cap_flights) {
		v = cap <= MAX_FLIGHTS ? realloc(a->flights, cap * sizeof *v) : NULL;
		if (v == NULL)
			return NO_FLIGHT;
		a->flights = v;
		a->cap_flights = cap;
	}
	return a->n_flights++;
}

/* Ids are never re-used: the low bits are the slot. */
static void take_off(struct alloc *a, struct svc *svc, uint32_t slot)
{
	unqueue(svc);
	svc->send = SEND_IN_FLIGHT;
	svc->flight = slot;
	svc->fresh = false;
	svc->put_in_flight = false;
	for (unsigned f = 0; f < ADDR_FAMILIES; f++)
		svc->use[f].sent = svc->use[f].svc != NULL;
	a->last_id += MAX_FLIGHTS;
	a->flights[slot] = (struct flight){.id = a->last_id | slot, .svc = svc};
}

static void send_due(struct alloc *a)
{
	for (unsigned d = DELAY_NONE + 1; d < DELAYS; d++) {
		while (!list_empty(&a->send[d])) {
			struct svc *svc = LINK_OF(struct svc, sending, a->send[d].next);

			if (svc->due_ms > a->now_ms)
				break;
			queue(a, svc, DELAY_NONE);
		}
	}
}

bool alloc_next_write(struct alloc *a, uint64_t now_ms, struct alloc_write *ret_w)
{
	struct cluster_service s;
	struct svc *svc;
	uint32_t slot;

	a->now_ms = now_ms;
	settle(a);
	send_due(a);
	if (list_empty(&a->send[DELAY_NONE]))
		return false;
	svc = LINK_OF(struct svc, sending, a->send[DELAY_NONE].next);
	slot = flight_new(a);
	if (slot == NO_FLIGHT) {
		queue(a, svc, DELAY_FIRST);
		return false;
	}
	take_off(a, svc, slot);
	s = view(svc);
	*ret_w = (struct alloc_write){.key = svc->key,
		.namespace_ = s.namespace_,
		.name = s.name,
		.uid = s.uid,
		.resource_version = s.resource_version,
		.id = a->flights[slot].id};
	ret_w->n_ips = held(svc, ret_w->ips);
	if (ret_w->n_ips > 0)
		ret_w->pool = svc->use[addr_family(ret_w->ips[0])].pool->name;
	return true;
}

/* NULL when the Service is gone, or the id is of before alloc_begin(). */
static struct svc *land(struct alloc *a, uint64_t id)
{
	uint32_t slot = (uint32_t)(id % MAX_FLIGHTS);
	struct svc *svc;

	if (slot >= a->n_flights || a->flights[slot].id != id)
		return NULL;
	svc = a->flights[slot].svc;
	a->flights[slot] = (struct flight){.next_free = a->free_flight};
	a->free_flight = slot;
	if (svc != NULL) {
		svc->flight = NO_FLIGHT;
		svc->send = SEND_NONE;
	}
	return svc;
}

/* The write did not come to anything: it still has to. */
static void again(struct alloc *a, struct svc *svc, unsigned delay)
{
	svc->fresh = true;
	if (svc->fails < MAX_FAILS)
		svc->fails++;
	queue(a, svc, delay);
	sync_write(a, svc);
}

void alloc_write_done(struct alloc *a, uint64_t id, enum alloc_outcome outcome, uint64_t now_ms)
{
	struct svc *svc = land(a, id);

	a->now_ms = now_ms;
	if (svc == NULL)
		return;
	switch (outcome) {
	case ALLOC_WRITE_OK:
		svc->fails = 0;
		svc->ok_ms = now_ms;
		/* An object that came meanwhile is judged by itself; it may be the written one. */
		svc->doubt = !svc->put_in_flight;
		sync_write(a, svc);
		return;
	case ALLOC_WRITE_GONE:
		svc->doubt = true;
		sync_write(a, svc);
		return;
	case ALLOC_WRITE_CONFLICT:
		again(a, svc,
			svc->put_in_flight && svc->fails < CONFLICT_PUTS ? DELAY_NONE
									 : DELAY_CONFLICT);
		return;
	case ALLOC_WRITE_FAILED:
		svc->doubt = !svc->put_in_flight; /* it may have been taken all the same */
		again(a, svc, backoff(svc->fails));
		return;
	case ALLOC_WRITE_NOT_SENT:
		/* At once, but an API that cannot be reached at all is not asked in a circle. */
		again(a, svc, svc->fails == 0 ? DELAY_NONE : backoff(svc->fails - 1U));
		return;
	}
}

uint64_t alloc_next_deadline(const struct alloc *a)
{
	uint64_t next_ms = TIME_NEVER;

	if (!a->ready || a->conf == NULL)
		return TIME_NEVER;
	if (!list_empty(&a->todo) || (a->wake && !list_empty(&a->waiting)) ||
		!list_empty(&a->send[DELAY_NONE]))
		return 0;
	for (unsigned d = DELAY_NONE + 1; d < DELAYS; d++) {
		if (!list_empty(&a->send[d]))
			next_ms = time_min(
				next_ms, LINK_OF(struct svc, sending, a->send[d].next)->due_ms);
	}
	return next_ms;
}

/* -- for status and tests -- */

size_t alloc_pool_count(const struct alloc *a)
{
	return a->n_pools;
}

struct alloc_pool_use alloc_pool_use(const struct alloc *a, size_t i)
{
	const struct pool *p;
	struct alloc_pool_use use;

	REQUIRE(i < a->n_pools);
	p = a->pools[i];
	use.name = p->name;
	memcpy(use.total, p->total, sizeof use.total);
	memcpy(use.used, p->used, sizeof use.used);
	return use;
}

size_t alloc_holding(const struct alloc *a, const char *key, struct addr ret_ips[2])
{
	const struct svc *svc = svc_find(a, key);

	return svc != NULL ? held(svc, ret_ips) : 0;
}
