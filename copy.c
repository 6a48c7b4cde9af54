/* SPDX-License-Identifier: Apache-2.0
 *
 * copy.c - what the allocator keeps of a Service, packed.
 *
 * Owns: one piece of memory for each copy.
 * In:   a struct cluster_service.  Out: the like, borrowed from the copy.
 */
#include "copy.h"

#include <string.h>

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

/* Labels, ingress and ports stand behind it, then the texts that are present, each with its NUL, in
 * enum text's order, then those of the labels.  The name is the end of the key. */
struct copy {
	int64_t created_s;
	uint16_t n_labels, n_ingress, n_ports, present;
	uint8_t policy, n_families, families[2];
	bool deleting, is_load_balancer, local, ignore, has_cluster_ip, foreign, not_vip, marked;
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
	t[TEXT_UID] = s->uid;
	t[TEXT_VERSION] = s->resource_version;
	t[TEXT_NAMESPACE] = s->namespace_;
	t[TEXT_CLASS] = s->class_;
	t[TEXT_FIELD] = s->load_balancer_ip;
	t[TEXT_IPS] = s->request.ips;
	t[TEXT_POOL] = s->request.pool;
	t[TEXT_SHARING_KEY] = s->request.sharing_key;
	t[TEXT_CONFLICT] = s->request.conflict;
	t[TEXT_BACKEND] = s->local ? s->backend_key : NULL;
}

static size_t size_of(const struct cluster_service *s, const char *const t[TEXTS])
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

static void put_scalars(struct copy *c, const struct cluster_service *s)
{
	*c = (struct copy){
		.created_s = s->created_s,
		.n_labels = (uint16_t)s->labels.n,
		.n_ingress = s->n_ingress,
		.n_ports = s->n_ports,
		.policy = (uint8_t)s->family_policy,
		.n_families = (uint8_t)s->n_families,
		.families = {(uint8_t)s->families[0], (uint8_t)s->families[1]},
		.deleting = s->deleting,
		.is_load_balancer = s->is_load_balancer,
		.local = s->local,
		.ignore = s->request.ignore,
		.has_cluster_ip = s->has_cluster_ip,
		.foreign = s->ingress_foreign,
		.not_vip = s->ingress_not_vip_mode,
		.marked = s->pool_written != NULL,
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
		ports[i] = (struct cluster_port){
			.protocol = s->ports[i].protocol, .port = s->ports[i].port};
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

struct copy *copy_new(const struct cluster_service *s)
{
	const char *t[TEXTS];
	struct copy *c;
	char *at;

	if (s->labels.n > CLUSTER_MAX_LABELS || s->n_ingress > CLUSTER_MAX_INGRESS ||
		s->n_ports > CLUSTER_MAX_PORTS || s->n_families > ARRAY_LEN(c->families))
		return NULL;
	gather_texts(s, t);
	c = malloc(size_of(s, t));
	if (c == NULL)
		return NULL;
	put_scalars(c, s);
	at = put_arrays(c, s);
	for (unsigned i = 0; i < TEXTS; i++) {
		if (t[i] == NULL)
			continue;
		c->present |= (uint16_t)(1U << i);
		(void)put_text(&at, t[i]);
	}
	for (size_t i = 0; i < s->labels.n; i++) {
		c->labels[i].key = put_text(&at, s->labels.v[i].key);
		c->labels[i].value = put_text(&at, s->labels.v[i].value);
	}
	return c;
}

void copy_free(struct copy *c)
{
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

struct cluster_service copy_view(const struct copy *c, const char *key)
{
	const char *at = texts_of(c), *slash = strchr(key, '/');
	struct cluster_service s = {
		.key = key,
		.created_s = c->created_s,
		.deleting = c->deleting,
		.is_load_balancer = c->is_load_balancer,
		.local = c->local,
		.labels = {c->labels, c->n_labels},
		.family_policy = (enum cluster_ip_family_policy)c->policy,
		.families = {(enum addr_family)c->families[0], (enum addr_family)c->families[1]},
		.n_families = c->n_families,
		.has_cluster_ip = c->has_cluster_ip,
		.ports = ports_of(c),
		.n_ports = c->n_ports,
		.ingress = ingress_of(c),
		.n_ingress = c->n_ingress,
		.ingress_foreign = c->foreign,
		.ingress_not_vip_mode = c->not_vip,
		.pool_written = c->marked ? "" : NULL,
	};

	s.uid = next_text(c, TEXT_UID, &at, "");
	s.resource_version = next_text(c, TEXT_VERSION, &at, "");
	s.namespace_ = next_text(c, TEXT_NAMESPACE, &at, "");
	s.name = slash != NULL ? slash + 1 : key;
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

const char *copy_uid(const struct copy *c)
{
	const char *at = texts_of(c);

	return next_text(c, TEXT_UID, &at, "");
}

const char *copy_version(const struct copy *c)
{
	const char *at = texts_of(c);

	(void)next_text(c, TEXT_UID, &at, "");
	return next_text(c, TEXT_VERSION, &at, "");
}

struct copy_status copy_status(const struct copy *c)
{
	return (struct copy_status){.v = ingress_of(c),
		.n = c->n_ingress,
		.foreign = c->foreign,
		.not_vip_mode = c->not_vip,
		.marked = c->marked};
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
