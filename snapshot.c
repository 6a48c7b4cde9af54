/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c - the last picture of the cluster as text, and back.
 *
 * Owns: a writer's place in the picture.
 * In:   the picture; a snapshot's bytes, hostile until checked.
 * Out:  lines of JSON; objects for cluster_apply(), which decodes them as it does the API's.
 * Source: shared/OWNERSHIP.md R4, F12.
 *
 * Left out: Services without an address in their status and those that are no LoadBalancers (they
 * have no VIP), what a Service asks for (a leader's matter, and without the API nobody leads), how
 * many endpoints there are of each sort on a node (that there is one counts).
 */
#include "snapshot.h"

#include "addr.h"
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEPS = 2048, /* objects looked at for one slice */
	HEX_DIGITS = 16,
	TAIL_ROOM = 96,
};

static const char tail_sum[] = "\"sum\":\"", tail_end[] = "\"}\n";

enum stage { HEAD, LEASES, NODES, SERVICES, DONE };

struct snapshot_writer {
	char *node, *namespace_, *claims; /* owned; claims may be NULL */
	enum stage stage;
	char at[CLUSTER_MAX_KEY + 1]; /* the last object that was written or passed over; "" = none
				       */
	uint64_t sum, bytes;
};

/* -- the checksum: FNV-1a, 64 bits; against accidents, not against an adversary -- */

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t sum_on(uint64_t sum, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)p[i]) * FNV_PRIME;
	return sum;
}

/* -- JSON -- */

static void put_text(struct buf *b, const char *s)
{
	size_t plain;

	buf_addc(b, '"');
	for (;;) {
		for (plain = 0;
			(unsigned char)s[plain] >= ' ' && s[plain] != '"' && s[plain] != '\\';
			plain++)
			;
		buf_add(b, s, plain);
		s += plain;
		if (*s == '\0')
			break;
		buf_addf(b, "\\u%04x", (unsigned char)*s++);
	}
	buf_addc(b, '"');
}

/* A comma before all but the first. */
static void put_key(struct buf *b, const char *key)
{
	bool first = b->len == 0 || b->p[b->len - 1] == '{' || b->p[b->len - 1] == '[';

	if (!first)
		buf_addc(b, ',');
	put_text(b, key);
	buf_addc(b, ':');
}

/* NULL: nothing. */
static void put(struct buf *b, const char *key, const char *value)
{
	if (value == NULL)
		return;
	put_key(b, key);
	put_text(b, value);
}

static void put_number(struct buf *b, const char *key, uint64_t n)
{
	put_key(b, key);
	buf_addf(b, "%" PRIu64, n);
}

static void put_true(struct buf *b, const char *key, bool value)
{
	if (!value)
		return;
	put_key(b, key);
	buf_adds(b, "true");
}

static void open_object(struct buf *b, const char *key)
{
	put_key(b, key);
	buf_addc(b, '{');
}

static void open_list(struct buf *b, const char *key)
{
	put_key(b, key);
	buf_addc(b, '[');
}

/* One more element, which is an object. */
static void open_item(struct buf *b)
{
	if (b->len > 0 && b->p[b->len - 1] != '[')
		buf_addc(b, ',');
	buf_addc(b, '{');
}

static void put_labels(struct buf *b, const struct labels *l)
{
	if (l->n == 0)
		return;
	open_object(b, "labels");
	for (size_t i = 0; i < l->n; i++)
		put(b, l->v[i].key, l->v[i].value);
	buf_addc(b, '}');
}

/* -- objects -- */

static void begin(struct buf *b, const char *kind)
{
	buf_addc(b, '{');
	put(b, "kind", kind);
}

static void end(struct buf *b)
{
	buf_adds(b, "}\n");
}

static const char *role_name(enum cluster_lease_role role)
{
	switch (role) {
	case CLUSTER_LEASE_NODE:
		return "node";
	case CLUSTER_LEASE_CLAIMS:
		return "claims";
	case CLUSTER_LEASE_RETIRED:
		return "retired";
	case CLUSTER_LEASE_LEADER: /* without the API nobody leads */
	case CLUSTER_LEASE_OTHER:
		break;
	}
	return NULL;
}

/* own: in the place of its claims, if not NULL. */
static void put_lease(struct buf *b, const struct cluster_lease *l, const char *own)
{
	char generation[24];

	if (role_name(l->role) == NULL)
		return;
	(void)snprintf(generation, sizeof generation, "%" PRIu64, l->claims_generation);
	begin(b, "Lease");
	open_object(b, "metadata");
	put(b, "name", l->name);
	put(b, "uid", l->uid);
	open_object(b, "labels");
	put(b, "lbd.io/lease", role_name(l->role));
	buf_addc(b, '}');
	open_object(b, "annotations");
	put(b, "lbd.io/node", l->node);
	put(b, "lbd.io/schema", l->schema);
	put(b, "lbd.io/version", l->version);
	put(b, "lbd.io/config-hash", l->config_hash);
	put(b, "lbd.io/addresses", l->addresses);
	put(b, "lbd.io/macs", l->macs);
	put(b, "lbd.io/subnets", l->subnets);
	put(b, "lbd.io/bfd", l->bfd);
	put(b, "lbd.io/draining", l->draining);
	put(b, "lbd.io/claims", own != NULL ? own : l->claims);
	put(b, "lbd.io/retired", l->retired);
	if (l->role == CLUSTER_LEASE_CLAIMS)
		put(b, "lbd.io/claims-generation", generation);
	buf_adds(b, "}}");
	open_object(b, "spec");
	put(b, "holderIdentity", l->holder);
	if (l->duration_ms > 0)
		put_number(b, "leaseDurationSeconds", l->duration_ms / 1000);
	buf_addc(b, '}');
	end(b);
}

static void put_condition(struct buf *b, const char *type, bool is)
{
	if (!is)
		return;
	open_item(b);
	put(b, "type", type);
	put(b, "status", "True");
	buf_addc(b, '}');
}

static void put_addresses(struct buf *b, const char *type, const struct addr *v, size_t n)
{
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < n; i++) {
		open_item(b);
		put(b, "type", type);
		put(b, "address", addr_format(v[i], text));
		buf_addc(b, '}');
	}
}

static void put_node(struct buf *b, const struct cluster_node *n)
{
	begin(b, "Node");
	open_object(b, "metadata");
	put(b, "name", n->name);
	put(b, "uid", n->uid);
	put_labels(b, &n->labels);
	buf_addc(b, '}');
	open_object(b, "spec");
	put_true(b, "unschedulable", n->unschedulable);
	buf_addc(b, '}');
	open_object(b, "status");
	open_list(b, "conditions");
	put_condition(b, "Ready", n->ready);
	put_condition(b, "NetworkUnavailable", n->network_unavailable);
	buf_addc(b, ']');
	open_list(b, "addresses");
	put_addresses(b, "InternalIP", n->internal_ips, n->n_internal_ips);
	put_addresses(b, "ExternalIP", n->external_ips, n->n_external_ips);
	buf_adds(b, "]}");
	end(b);
}

/* Seconds since 1970 as RFC 3339, by the proleptic Gregorian calendar (H. Hinnant,
 * "civil_from_days"); years 0 to 9999, as cluster_decode.c reads them. */
static void put_time(struct buf *b, const char *key, int64_t s)
{
	int64_t days = s >= 0 ? s / 86400 : -((86399 - s) / 86400), z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t m = (5 * of_year + 2) / 153, day = of_year - (153 * m + 2) / 5 + 1;
	int64_t month = m < 10 ? m + 3 : m - 9, rest = s - days * 86400;

	if (s == 0)
		return;
	put_key(b, key);
	buf_addf(b, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", (int)(year + era * 400 + (month <= 2)),
		(int)month, (int)day, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
}

static const char *protocol_text(enum cluster_protocol p)
{
	static const char *const text[] = {"TCP", "UDP", "SCTP"};

	return p < CLUSTER_OTHER ? text[p] : "other";
}

/* What tells whether it is served, and whether it may share its address. */
static void put_annotations(struct buf *b, const struct cluster_service *s)
{
	open_object(b, "annotations");
	put(b, "lbd.io/ip-allocated-from-pool", s->pool_written);
	put(b, "lbd.io/allow-shared-ip", s->request.sharing_key);
	put(b, "lbd.io/ignore", s->request.ignore ? "true" : NULL);
	put(b, "lb.kubesphere.io/v1alpha1", s->request.openelb ? "openelb" : NULL);
	buf_addc(b, '}');
}

/* The canonical text "k=v,k=v" is that of a selector with one long value, too. */
static void put_selector(struct buf *b, const char *backend_key)
{
	size_t n = strcspn(backend_key, "=");
	char key[CLUSTER_MAX_KEY + 1];

	if (backend_key[n] != '=' || n >= sizeof key)
		return;
	memcpy(key, backend_key, n);
	key[n] = '\0';
	open_object(b, "selector");
	put(b, key, backend_key + n + 1);
	buf_addc(b, '}');
}

static void put_ports(struct buf *b, const struct cluster_service *s)
{
	open_list(b, "ports");
	for (size_t i = 0; i < s->n_ports; i++) {
		open_item(b);
		put_number(b, "port", s->ports[i].port);
		put(b, "protocol", protocol_text(s->ports[i].protocol));
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

static void put_families(struct buf *b, const struct cluster_service *s)
{
	open_list(b, "ipFamilies");
	for (size_t i = 0; i < s->n_families; i++) {
		if (i > 0)
			buf_addc(b, ',');
		put_text(b, s->families[i] == ADDR_V4 ? "IPv4" : "IPv6");
	}
	buf_addc(b, ']');
}

static void put_ingress(struct buf *b, const struct cluster_service *s)
{
	char text[ADDR_STRLEN];

	open_list(b, "ingress");
	for (size_t i = 0; i < s->n_ingress; i++) {
		open_item(b);
		put(b, "ip", addr_format(s->ingress[i], text));
		if (i == 0 && s->ingress_not_vip_mode)
			put(b, "ipMode", "Proxy");
		buf_addc(b, '}');
	}
	if (s->ingress_foreign) {
		open_item(b);
		put(b, "hostname", "other");
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

static void put_service(struct buf *b, const struct cluster_service *s)
{
	begin(b, "Service");
	open_object(b, "metadata");
	put(b, "namespace", s->namespace_);
	put(b, "name", s->name);
	put(b, "uid", s->uid);
	put_time(b, "creationTimestamp", s->created_s);
	if (s->deleting)
		put(b, "deletionTimestamp", "");
	put_annotations(b, s);
	put_labels(b, &s->labels);
	buf_addc(b, '}');
	open_object(b, "spec");
	put(b, "type", "LoadBalancer");
	put(b, "externalTrafficPolicy", s->local ? "Local" : NULL);
	put(b, "loadBalancerClass", s->class_);
	put(b, "clusterIP", s->has_cluster_ip ? "0.0.0.0" : NULL);
	put_families(b, s);
	put_selector(b, s->backend_key);
	put_ports(b, s);
	buf_addc(b, '}');
	open_object(b, "status");
	open_object(b, "loadBalancer");
	put_ingress(b, s);
	buf_adds(b, "}}");
	end(b);
}

/* One endpoint of the slice that stands for all of a Service's. */
static void put_endpoint(struct buf *b, const char *node, bool ready)
{
	open_item(b);
	open_list(b, "addresses");
	buf_adds(b, "\"0.0.0.0\"]");
	if (node[0] != '\0')
		put(b, "nodeName", node);
	open_object(b, "conditions");
	put_key(b, "ready");
	buf_adds(b, ready ? "true" : "false");
	put_true(b, "serving", !ready);
	put_true(b, "terminating", !ready);
	buf_adds(b, "}}");
}

struct place {
	const char *node; /* borrowed of the picture */
	bool ready, serving;
};

struct places {
	struct place *v;
	size_t n, cap;
	bool bad; /* out of memory */
};

static void on_share(void *ctx, const char *node, bool ready, bool serving)
{
	struct places *p = ctx;

	if (p->n == p->cap) {
		size_t cap = p->cap > 0 ? 2 * p->cap : 16;
		struct place *v = realloc(p->v, cap * sizeof *v);

		if (v == NULL) {
			p->bad = true;
			return;
		}
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = (struct place){node, ready, serving};
}

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->node, ((const struct place *)b)->node);
}

/* Each node once, however many slices tell of it. */
static void put_places(struct buf *b, struct places *p)
{
	if (p->n > 0)
		qsort(p->v, p->n, sizeof *p->v, compare_places);
	for (size_t i = 0; i < p->n; i++) {
		struct place all = p->v[i];

		for (; i + 1 < p->n && strcmp(p->v[i + 1].node, all.node) == 0; i++) {
			all.ready |= p->v[i + 1].ready;
			all.serving |= p->v[i + 1].serving;
		}
		if (all.ready)
			put_endpoint(b, all.node, true);
		if (all.serving)
			put_endpoint(b, all.node, false);
	}
	b->bad |= p->bad;
}

static void put_slice(struct buf *b, const struct cluster *c, const struct cluster_service *s)
{
	struct places places = {0};

	begin(b, "EndpointSlice");
	open_object(b, "metadata");
	put(b, "namespace", s->namespace_);
	put(b, "name", s->name);
	open_object(b, "labels");
	put(b, "kubernetes.io/service-name", s->name);
	buf_adds(b, "}}");
	open_list(b, "endpoints");
	cluster_each_share(c, s->key, on_share, &places);
	put_places(b, &places);
	free(places.v);
	buf_addc(b, ']');
	end(b);
}

/* -- writing -- */

struct snapshot_writer *snapshot_writer_new(const struct snapshot_owner *o, const char *claims)
{
	struct snapshot_writer *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->sum = FNV_BASIS;
	w->node = strdup(o->node);
	w->namespace_ = strdup(o->namespace_);
	w->claims = claims != NULL ? strdup(claims) : NULL;
	if (w->node == NULL || w->namespace_ == NULL || (claims != NULL && w->claims == NULL)) {
		snapshot_writer_free(w);
		return NULL;
	}
	return w;
}

void snapshot_writer_free(struct snapshot_writer *w)
{
	if (w == NULL)
		return;
	free(w->node);
	free(w->namespace_);
	free(w->claims);
	free(w);
}

static void put_head(const struct snapshot_writer *w, struct buf *b)
{
	begin(b, "lbd-snapshot");
	put_number(b, "schema", SNAPSHOT_SCHEMA);
	put(b, "node", w->node);
	put(b, "namespace", w->namespace_);
	end(b);
}

static void stand_at(struct snapshot_writer *w, const char *key)
{
	(void)snprintf(w->at, sizeof w->at, "%s", key);
}

static void enter(struct snapshot_writer *w, enum stage stage)
{
	w->stage = stage;
	w->at[0] = '\0';
}

static int lease_step(struct snapshot_writer *w, const struct cluster *c, struct buf *out)
{
	const struct cluster_lease *l = w->at[0] != '\0' ? cluster_lease(c, w->at) : NULL;
	bool own;

	if (l == NULL && w->at[0] != '\0')
		return -ESTALE;
	l = cluster_next_lease(c, l);
	if (l == NULL) {
		enter(w, NODES);
		return 0;
	}
	own = l->role == CLUSTER_LEASE_CLAIMS && l->node != NULL && strcmp(l->node, w->node) == 0;
	put_lease(out, l, own ? w->claims : NULL);
	stand_at(w, l->name);
	return 0;
}

static int node_step(struct snapshot_writer *w, const struct cluster *c, struct buf *out)
{
	const struct cluster_node *n = w->at[0] != '\0' ? cluster_node(c, w->at) : NULL;

	if (n == NULL && w->at[0] != '\0')
		return -ESTALE;
	n = cluster_next_node(c, n);
	if (n == NULL) {
		enter(w, SERVICES);
		return 0;
	}
	put_node(out, n);
	stand_at(w, n->name);
	return 0;
}

static int service_step(struct snapshot_writer *w, const struct cluster *c, struct buf *out)
{
	struct cluster_service s = {.key = w->at[0] != '\0' ? w->at : NULL};

	if (s.key != NULL && !cluster_service(c, s.key, NULL))
		return -ESTALE;
	if (!cluster_next_service(c, &s)) {
		enter(w, DONE);
		return 0;
	}
	if (s.is_load_balancer && s.n_ingress > 0) {
		put_service(out, &s);
		put_slice(out, c, &s);
	}
	stand_at(w, s.key);
	return 0;
}

static int one_step(struct snapshot_writer *w, const struct cluster *c, struct buf *out)
{
	switch (w->stage) {
	case HEAD:
		put_head(w, out);
		enter(w, LEASES);
		return 0;
	case LEASES:
		return lease_step(w, c, out);
	case NODES:
		return node_step(w, c, out);
	case SERVICES:
		return service_step(w, c, out);
	case DONE:
		break;
	}
	return 0;
}

int snapshot_next(struct snapshot_writer *w, const struct cluster *c, struct buf *out)
{
	int err = 0;

	for (unsigned i = 0;
		i < STEPS && err == 0 && w->stage != DONE && !out->bad && out->len < SNAPSHOT_SLICE;
		i++)
		err = one_step(w, c, out);
	if (err < 0)
		return err;
	if (out->bad)
		return -ENOMEM;
	w->bytes += out->len;
	if (w->bytes > SNAPSHOT_MAX_BYTES - TAIL_ROOM)
		return -E2BIG;
	w->sum = sum_on(w->sum, out->p, out->len);
	return w->stage != DONE;
}

void snapshot_tail(const struct snapshot_writer *w, uint64_t sequence, struct buf *out)
{
	size_t at = out->len;

	buf_addf(out, "{\"sequence\":%" PRIu64 ",%s", sequence, tail_sum);
	if (!out->bad)
		buf_addf(out, "%016" PRIx64 "%s", sum_on(w->sum, out->p + at, out->len - at),
			tail_end);
}

uint64_t snapshot_sum(const struct snapshot_writer *w)
{
	return w->sum;
}

/* -- reading -- */

/* The line that begins at p, and where the next one does; NULL when no whole one is left. */
static const char *line_end(const char *p, const char *end)
{
	return p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
}

/* Is the last line the sum of what is before it?  *ret_n: bytes before that line. */
static bool check_tail(const char *p, size_t n, size_t *ret_n, uint64_t *ret_sequence)
{
	const size_t fixed = HEX_DIGITS + sizeof tail_end - 1;
	const char *last = n > fixed ? memrchr(p, '\n', n - 1) : NULL;
	char want[HEX_DIGITS + 1];
	size_t summed = n - fixed;
	cJSON *o;

	if (last == NULL || (size_t)(++last - p) > summed)
		return false;
	(void)snprintf(want, sizeof want, "%016" PRIx64, sum_on(FNV_BASIS, p, summed));
	if (memcmp(p + summed, want, HEX_DIGITS) != 0)
		return false;
	o = json_parse(last, n - (size_t)(last - p));
	*ret_sequence = (uint64_t)json_int(o, "sequence", 0, INT64_C(1) << 53, 0);
	cJSON_Delete(o);
	*ret_n = (size_t)(last - p);
	return o != NULL;
}

static enum snapshot_fault check_head(const cJSON *o, const struct snapshot_owner *want)
{
	const char *kind = json_string(o, "kind"), *node = json_string(o, "node");
	const char *namespace_ = json_string(o, "namespace");

	if (kind == NULL || strcmp(kind, "lbd-snapshot") != 0)
		return SNAPSHOT_DAMAGED;
	if (json_int(o, "schema", 0, INT32_MAX, 0) != SNAPSHOT_SCHEMA)
		return SNAPSHOT_OTHER_SCHEMA;
	if (node == NULL || strcmp(node, want->node) != 0 || namespace_ == NULL ||
		strcmp(namespace_, want->namespace_) != 0)
		return SNAPSHOT_FOREIGN;
	return SNAPSHOT_FINE;
}

enum snapshot_fault snapshot_check(
	const char *p, size_t n, const struct snapshot_owner *o, uint64_t *ret_sequence)
{
	const char *eol;
	enum snapshot_fault fault;
	uint64_t sequence;
	cJSON *head;
	size_t body;

	if (n > SNAPSHOT_MAX_BYTES || !check_tail(p, n, &body, &sequence))
		return SNAPSHOT_DAMAGED;
	eol = line_end(p, p + body);
	head = eol != NULL ? json_parse(p, (size_t)(eol - p)) : NULL;
	fault = check_head(head, o);
	cJSON_Delete(head);
	if (fault == SNAPSHOT_FINE)
		*ret_sequence = sequence;
	return fault;
}

const char *snapshot_fault_text(enum snapshot_fault f)
{
	switch (f) {
	case SNAPSHOT_FINE:
		break;
	case SNAPSHOT_DAMAGED:
		return "damaged, or no snapshot";
	case SNAPSHOT_OTHER_SCHEMA:
		return "of another version of lbd";
	case SNAPSHOT_FOREIGN:
		return "of another node or namespace";
	}
	return "fine";
}

static bool apply_line(const char *p, size_t n, struct cluster *c)
{
	static const struct {
		const char *name;
		enum cluster_kind kind;
	} kinds[] = {
		{"Service", CLUSTER_SERVICE},
		{"EndpointSlice", CLUSTER_ENDPOINT_SLICE},
		{"Node", CLUSTER_NODE},
		{"Lease", CLUSTER_LEASE},
	};
	cJSON *o = json_parse(p, n);
	const char *kind = json_string(o, "kind");
	bool ok = false;

	for (size_t i = 0; kind != NULL && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kind, kinds[i].name) == 0)
			ok = cluster_apply(c, kinds[i].kind, CLUSTER_PUT, o) == 0;
	cJSON_Delete(o);
	return ok;
}

size_t snapshot_apply(const char *p, size_t n, struct cluster *c)
{
	const char *end = p + n, *eol;
	size_t count = 0;

	for (; (eol = line_end(p, end)) != NULL; p = eol + 1)
		count += apply_line(p, (size_t)(eol - p), c);
	return count;
}

uint64_t snapshot_sum_leases(const struct cluster *c)
{
	const struct cluster_lease *l = NULL;
	uint64_t sum = 0;
	struct buf b;

	buf_init(&b, SNAPSHOT_SLICE_MAX);
	while ((l = cluster_next_lease(c, l)) != NULL) {
		buf_reset(&b);
		put_lease(&b, l, NULL);
		if (b.len > 0)
			sum += sum_on(FNV_BASIS, b.p, b.len); /* in whatever order */
	}
	buf_free(&b);
	return sum;
}
