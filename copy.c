/* SPDX-License-Identifier: Apache-2.0
 *
 * copy.c - a Service, packed.
 *
 * Owns: one piece of memory for each copy, counted.
 * In:   a struct cluster_service.  Out: the like, borrowed from the copy.
 */
#include "copy.h"

#include <string.h>

enum text {
	TEXT_KEY,
	TEXT_UID,
	TEXT_VERSION,
	TEXT_NAMESPACE,
	TEXT_CLASS,
	TEXT_FIELD,
	TEXT_IPS,
	TEXT_POOL,
	TEXT_SHARING_KEY,
	TEXT_PROTOCOL,
	TEXT_CONFLICT,
	TEXT_BACKEND,
	TEXT_POOL_WRITTEN,
	TEXTS
};

enum { CREATED_BITS = 39, MARK_BITS = 10 }; /* to the year 9999 */
#define CREATED_MASK ((UINT64_C(1) << CREATED_BITS) - 1)

/* Labels, ingress and ports stand behind it, then the texts that are present, each with its NUL, in
 * enum text's order, then those of the labels.  The name is the end of the key. */
struct copy {
	uint64_t created_s : CREATED_BITS; /* two's complement */
	uint64_t announced : 2, print : MARK_BITS - 2; /* a struct condition_mark */
	uint64_t refs : 64 - CREATED_BITS - MARK_BITS;
	uint64_t n_labels : 10, n_ports : 11, n_ingress : 7; /* enough for the picture's limits */
	uint64_t present : TEXTS;
	uint64_t policy : 2, n_families : 2, family_0 : 1, family_1 : 1;
	uint64_t deleting : 1, is_load_balancer : 1, local : 1, ignore : 1, has_cluster_ip : 1;
	uint64_t foreign : 1, not_vip : 1, openelb : 1;
	uint64_t ips_by : 3, pool_by : 2, sharing_by : 2;
	struct label labels[];
};

static const struct addr *ingress_of(const struct copy *c)
{
	return (const struct addr *)(const void *)(c->labels + c->n_labels);
}

static const struct cluster_port *ports_of(const struct copy *c)
{
	return (const struct cluster_port *)(const void *)(ingress_of(c) + c->n_ingress);
}

static const char *texts_of(const struct copy *c)
{
	return (const char *)(ports_of(c) + c->n_ports);
}

/* -- making one -- */

static void gather_texts(const struct cluster_service *s, const char *t[TEXTS])
{
	t[TEXT_KEY] = s->key;
	t[TEXT_UID] = s->uid;
	t[TEXT_VERSION] = s->resource_version;
	t[TEXT_NAMESPACE] = s->namespace_;
	t[TEXT_CLASS] = s->class_;
	t[TEXT_FIELD] = s->load_balancer_ip;
	t[TEXT_IPS] = s->request.ips;
	t[TEXT_POOL] = s->request.pool;
	t[TEXT_SHARING_KEY] = s->request.sharing_key;
	t[TEXT_PROTOCOL] = s->request.protocol;
	t[TEXT_CONFLICT] = s->request.conflict;
	t[TEXT_BACKEND] = s->local ? s->backend_key : NULL;
	t[TEXT_POOL_WRITTEN] = s->pool_written;
}

/* ret_n gets the texts' sizes, NUL included; 0 = not present. */
static size_t size_of(
	const struct cluster_service *s, const char *const t[TEXTS], size_t ret_n[TEXTS])
{
	size_t n = sizeof(struct copy);

	n += s->labels.n * sizeof(struct label) + s->n_ingress * sizeof(struct addr) +
	     s->n_ports * sizeof(struct cluster_port);
	for (unsigned i = 0; i < TEXTS; i++) {
		ret_n[i] = t[i] != NULL ? strlen(t[i]) + 1 : 0;
		n += ret_n[i];
	}
	for (size_t i = 0; i < s->labels.n; i++)
		n += strlen(s->labels.v[i].key) + strlen(s->labels.v[i].value) + 2;
	return n;
}

static void put_scalars(struct copy *c, const struct cluster_service *s)
{
	*c = (struct copy){
		.created_s = (uint64_t)s->created_s & CREATED_MASK,
		.refs = 1,
		.n_labels = s->labels.n & 0x3ffU,
		.n_ports = s->n_ports & 0x7ffU,
		.n_ingress = s->n_ingress & 0x7fU,
		.policy = s->family_policy & 3U,
		.n_families = s->n_families & 3U,
		.family_0 = s->families[0] & 1U,
		.family_1 = s->families[1] & 1U,
		.deleting = s->deleting,
		.is_load_balancer = s->is_load_balancer,
		.local = s->local,
		.ignore = s->request.ignore,
		.openelb = s->request.openelb,
		.ips_by = s->request.ips_by,
		.pool_by = s->request.pool_by,
		.sharing_by = s->request.sharing_by,
		.has_cluster_ip = s->has_cluster_ip,
		.foreign = s->ingress_foreign,
		.not_vip = s->ingress_not_vip_mode,
		.announced = s->announced.status,
		.print = s->announced.print,
	};
}

/* Returns where the texts begin. */
static char *put_arrays(struct copy *c, const struct cluster_service *s)
{
	struct addr *ingress = (struct addr *)(void *)(c->labels + c->n_labels);
	struct cluster_port *ports = (struct cluster_port *)(void *)(ingress + c->n_ingress);

	for (size_t i = 0; i < s->n_ingress; i++)
		ingress[i] = s->ingress[i];
	for (size_t i = 0; i < s->n_ports; i++)
		ports[i] = s->ports[i];
	return (char *)(ports + c->n_ports);
}

static char *put_text(char **at, const char *s)
{
	char *start = *at;
	size_t n = strlen(s) + 1;

	memcpy(start, s, n);
	*at += n;
	return start;
}

size_t copy_bytes(const struct cluster_service *s)
{
	const char *t[TEXTS];
	size_t n[TEXTS];

	gather_texts(s, t);
	return size_of(s, t, n);
}

static struct copy *copy_new(const struct cluster_service *s)
{
	const char *t[TEXTS];
	size_t n[TEXTS];
	unsigned present = 0;
	struct copy *c;
	char *at;

	if (s->labels.n > CLUSTER_MAX_LABELS || s->n_ingress > CLUSTER_MAX_INGRESS ||
		s->n_ports > CLUSTER_MAX_PORTS || s->n_families > ARRAY_LEN(s->families))
		return NULL;
	gather_texts(s, t);
	c = malloc(size_of(s, t, n));
	if (c == NULL)
		return NULL;
	put_scalars(c, s);
	at = put_arrays(c, s);
	for (unsigned i = 0; i < TEXTS; i++) {
		if (n[i] == 0)
			continue;
		present |= 1U << i;
		memcpy(at, t[i], n[i]);
		at += n[i];
	}
	c->present = present & ((1U << TEXTS) - 1);
	for (size_t i = 0; i < s->labels.n; i++) {
		c->labels[i].key = put_text(&at, s->labels.v[i].key);
		c->labels[i].value = put_text(&at, s->labels.v[i].value);
	}
	return c;
}

struct copy *copy_hold(const struct cluster_service *s)
{
	if (s->copy == NULL)
		return copy_new(s);
	s->copy->refs++;
	return s->copy;
}

void copy_drop(struct copy *c)
{
	if (c == NULL)
		return;
	c->refs--;
	if (c->refs == 0)
		free(c);
}

/* -- reading it -- */

/* The next text if it is present. */
static const char *next_text(const struct copy *c, unsigned i, const char **at, const char *absent)
{
	const char *s = *at;

	if ((c->present >> i & 1) == 0)
		return absent;
	*at = s + strlen(s) + 1;
	return s;
}

/* The view's word for "whose": it counts holders, and nothing else of a copy ever changes. */
static struct copy *shared(const struct copy *c)
{
	struct copy *p;

	memcpy(&p, &c, sizeof(void *));
	return p;
}

static int64_t created_of(const struct copy *c)
{
	return (int64_t)((uint64_t)c->created_s << (64 - CREATED_BITS)) >> (64 - CREATED_BITS);
}

/* The texts that name it; *ret_at (may be NULL) is where the next one begins. */
static struct copy_names names_of(const struct copy *c, const char **ret_at)
{
	const char *at = texts_of(c), *slash;
	struct copy_names n;

	n.key = next_text(c, TEXT_KEY, &at, "");
	n.uid = next_text(c, TEXT_UID, &at, "");
	n.version = next_text(c, TEXT_VERSION, &at, "");
	n.namespace_ = next_text(c, TEXT_NAMESPACE, &at, "");
	slash = strchr(n.key, '/');
	n.name = slash != NULL ? slash + 1 : n.key;
	if (ret_at != NULL)
		*ret_at = at;
	return n;
}

struct copy_names copy_names(const struct copy *c)
{
	return names_of(c, NULL);
}

struct cluster_service copy_view(const struct copy *c)
{
	const char *at;
	const struct copy_names names = names_of(c, &at);
	struct cluster_service s = {
		.key = names.key,
		.namespace_ = names.namespace_,
		.name = names.name,
		.uid = names.uid,
		.resource_version = names.version,
		.copy = shared(c),
		.created_s = created_of(c),
		.deleting = c->deleting,
		.is_load_balancer = c->is_load_balancer,
		.local = c->local,
		.labels = {c->labels, c->n_labels},
		.family_policy = (enum cluster_ip_family_policy)c->policy,
		.families = {(enum addr_family)c->family_0, (enum addr_family)c->family_1},
		.n_families = c->n_families,
		.has_cluster_ip = c->has_cluster_ip,
		.ports = ports_of(c),
		.n_ports = c->n_ports,
		.ingress = ingress_of(c),
		.n_ingress = c->n_ingress,
		.ingress_foreign = c->foreign,
		.ingress_not_vip_mode = c->not_vip,
		.announced = {.status = c->announced & 3U, .print = c->print & 0xffU},
	};

	s.class_ = next_text(c, TEXT_CLASS, &at, NULL);
	s.load_balancer_ip = next_text(c, TEXT_FIELD, &at, NULL);
	s.request.ips = next_text(c, TEXT_IPS, &at, NULL);
	s.request.pool = next_text(c, TEXT_POOL, &at, NULL);
	s.request.sharing_key = next_text(c, TEXT_SHARING_KEY, &at, NULL);
	s.request.protocol = next_text(c, TEXT_PROTOCOL, &at, NULL);
	s.request.conflict = next_text(c, TEXT_CONFLICT, &at, NULL);
	s.backend_key = next_text(c, TEXT_BACKEND, &at, "");
	s.pool_written = next_text(c, TEXT_POOL_WRITTEN, &at, NULL);
	s.request.ignore = c->ignore;
	s.request.openelb = c->openelb;
	s.request.ips_by = c->ips_by & 7U;
	s.request.pool_by = c->pool_by & 3U;
	s.request.sharing_by = c->sharing_by & 3U;
	return s;
}

const char *copy_key(const struct copy *c)
{
	const char *at = texts_of(c);

	return next_text(c, TEXT_KEY, &at, "");
}

const char *copy_uid(const struct copy *c)
{
	const char *at = texts_of(c);

	(void)next_text(c, TEXT_KEY, &at, "");
	return next_text(c, TEXT_UID, &at, "");
}

const char *copy_version(const struct copy *c)
{
	const char *at = texts_of(c);

	(void)next_text(c, TEXT_KEY, &at, "");
	(void)next_text(c, TEXT_UID, &at, "");
	return next_text(c, TEXT_VERSION, &at, "");
}

bool copy_is_load_balancer(const struct copy *c)
{
	return c->is_load_balancer;
}

struct copy_status copy_status(const struct copy *c)
{
	return (struct copy_status){.v = ingress_of(c),
		.n = c->n_ingress,
		.foreign = c->foreign,
		.not_vip_mode = c->not_vip,
		.marked = (c->present >> TEXT_POOL_WRITTEN & 1) != 0};
}

bool copy_shows(const struct copy *c, struct addr a)
{
	const struct addr *v = ingress_of(c);

	for (size_t i = 0; i < c->n_ingress; i++) {
		if (addr_eq(v[i], a))
			return true;
	}
	return false;
}
