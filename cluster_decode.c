/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster_decode.c - objects of the Kubernetes API, from cJSON trees to the structs of cluster.h.
 *
 * Owns: the scratch; a Lease out of an answer, in one block.
 * In:   cJSON trees, as json_parse() made them.  Out: blocks of exactly an object's size; rows of
 *       endpoints by node.
 * Sources: k8s.io/api core/v1, discovery/v1 and v1beta1, coordination/v1; KEP-1669 (terminating
 *       endpoints); the annotations of MetalLB, OpenELB and kube-vip.
 */
#include "cluster_decode.h"

#include "addr.h"
#include "civil.h"
#include "copy.h"
#include "json.h"
#include "label.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	SCRATCH_BYTES =
		8 * 1024,     /* kept; a bigger object borrows more for as long as it is decoded */
	MAX_LABEL_VALUE = 63, /* Kubernetes' limits */
	MAX_LABEL_KEY = CLUSTER_MAX_NAME + 1 + 63,
};

struct cluster_scratch {
	_Alignas(max_align_t) unsigned char bytes[SCRATCH_BYTES];
};

/* -- room: one block that a decoder fills, arrays from below, text from above ------------------ */

struct room {
	unsigned char *base;
	size_t cap, low, high, peak;
	bool borrows; /* the tree outlives what is decoded: texts stay where they are */
	int err;      /* sticky: -EBADMSG, -E2BIG; -ENOSPC: cap is too small */
};

static void room_fail(struct room *r, int err)
{
	if (r->err == 0)
		r->err = err;
}

static bool room_fits(struct room *r, size_t n)
{
	if (r->err != 0 || n > r->cap - r->low - r->high) {
		room_fail(r, -ENOSPC);
		return false;
	}
	if (r->low + r->high + n > r->peak)
		r->peak = r->low + r->high + n;
	return true;
}

/* n zeroed elements; NULL: r->err says why. */
static void *room_array(struct room *r, size_t n, size_t size)
{
	size_t bytes = (n * size + 7) / 8 * 8;
	void *p;

	if (n > CLUSTER_MAX_OBJECT / size || !room_fits(r, bytes)) {
		room_fail(r, -ENOSPC);
		return NULL;
	}
	p = r->base + r->low;
	r->low += bytes;
	memset(p, 0, bytes);
	return p;
}

/* Room for n characters, and the NUL behind them; NULL: r->err says why. */
static char *room_text(struct room *r, size_t n)
{
	char *p;

	if (n >= CLUSTER_MAX_OBJECT || !room_fits(r, n + 1)) {
		room_fail(r, -ENOSPC);
		return NULL;
	}
	r->high += n + 1;
	p = (char *)r->base + r->cap - r->high;
	p[n] = '\0';
	return p;
}

static const char *keep_n(struct room *r, const char *s, size_t n)
{
	char *p = room_text(r, n);

	if (p != NULL)
		memcpy(p, s, n);
	return p;
}

/* NULL stays NULL. */
static const char *keep(struct room *r, const char *s)
{
	return s != NULL && !r->borrows ? keep_n(r, s, strlen(s)) : s;
}

/* -- fields: absent and null are the same, a wrong type makes the object bad ------------------- */

static const cJSON *field(
	struct room *r, const cJSON *o, const char *key, cJSON_bool (*is_type)(const cJSON *))
{
	const cJSON *v = json_get(o, key);

	if (v == NULL || cJSON_IsNull(v))
		return NULL;
	if (!is_type(v)) {
		r->err = -EBADMSG;
		return NULL;
	}
	return v;
}

static const cJSON *object_of(struct room *r, const cJSON *o, const char *key)
{
	return field(r, o, key, cJSON_IsObject);
}

static const cJSON *array_of(struct room *r, const cJSON *o, const char *key)
{
	return field(r, o, key, cJSON_IsArray);
}

/* Borrowed from the tree; NULL = absent. */
static const char *text_of(struct room *r, const cJSON *o, const char *key)
{
	const cJSON *v = field(r, o, key, cJSON_IsString);

	return v != NULL ? v->valuestring : NULL;
}

static bool is_text(struct room *r, const cJSON *o, const char *key, const char *want)
{
	const char *s = text_of(r, o, key);

	return s != NULL && strcmp(s, want) == 0;
}

static bool is_true(struct room *r, const cJSON *o, const char *key, bool fallback)
{
	const cJSON *v = field(r, o, key, cJSON_IsBool);

	return v != NULL ? (bool)cJSON_IsTrue(v) : fallback;
}

/* Every element of an array must be an object. */
static bool check_object(struct room *r, const cJSON *v)
{
	if (!cJSON_IsObject(v))
		r->err = -EBADMSG;
	return r->err == 0;
}

static size_t length_of(const cJSON *array)
{
	return array != NULL ? (size_t)cJSON_GetArraySize(array) : 0;
}

/* Two digits at *io_s; it moves past them.  -1 when they are none. */
static int two_digits(const char **io_s)
{
	const char *s = *io_s;

	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	*io_s += 2;
	return (s[0] - '0') * 10 + s[1] - '0';
}

/* RFC 3339 in UTC as metav1.Time prints it, seconds since 1970; 0 = absent or not understood. */
static int64_t time_of(const char *s)
{
	static const char after[] = {'-', '-', 'T', ':', ':', 'Z'};
	int v[6], century;

	if (s == NULL)
		return 0;
	century = two_digits(&s);
	if (century < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = two_digits(&s);
		if (v[i] < 0 || *s++ != after[i])
			return 0;
	}
	if (*s != '\0' || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 ||
		v[4] > 59 || v[5] > 60)
		return 0;
	return ((civil_days(century * 100 + v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
}

static uint64_t number_of(const char *s)
{
	uint64_t n = 0;

	for (; s != NULL && *s >= '0' && *s <= '9' && n < UINT64_MAX / 10 - 1; s++)
		n = n * 10 + (uint64_t)(*s - '0');
	return s != NULL && *s == '\0' ? n : 0;
}

/* -- labels ------------------------------------------------------------------------------------ */

/* Fills v (room for all of o) with borrowed text, sorted.  Returns how many. */
static size_t sorted_labels(struct room *r, const cJSON *o, struct label *v, bool skip_long)
{
	const cJSON *i;
	size_t n = 0;

	cJSON_ArrayForEach (i, o) {
		if (!cJSON_IsString(i)) {
			r->err = -EBADMSG;
			return 0;
		}
		if (skip_long && (strlen(i->string) > MAX_LABEL_KEY ||
					 strlen(i->valuestring) > MAX_LABEL_VALUE))
			continue;
		v[n++] = (struct label){.key = i->string, .value = i->valuestring};
	}
	return label_sort(v, n);
}

static void decode_labels(struct room *r, const cJSON *meta, struct labels *ret_labels)
{
	const cJSON *o = object_of(r, meta, "labels");
	size_t n = length_of(o);
	struct label *v;

	if (n > CLUSTER_MAX_LABELS) {
		room_fail(r, -E2BIG);
		return;
	}
	v = n > 0 ? room_array(r, n, sizeof *v) : NULL;
	if (v == NULL)
		return;
	n = sorted_labels(r, o, v, true);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct label){.key = keep(r, v[i].key), .value = keep(r, v[i].value)};
	*ret_labels = (struct labels){.v = v, .n = n};
}

/* With the NUL, which what follows overwrites.  Returns where that is. */
static char *put_text(char *to, const char *s)
{
	size_t n = strlen(s);

	memcpy(to, s, n + 1);
	return to + n;
}

/* "k=v,k=v" sorted by key, as Go's labels.Set.String() has it. */
static const char *decode_selector(struct room *r, const cJSON *spec)
{
	const cJSON *o = object_of(r, spec, "selector");
	size_t n = length_of(o), bytes = 0, low = r->low;
	struct label *v;
	char *text, *to;

	if (n > CLUSTER_MAX_LABELS)
		room_fail(r, -E2BIG);
	v = room_array(r, n, sizeof *v);
	if (v == NULL)
		return NULL;
	n = sorted_labels(r, o, v, false);
	for (size_t i = 0; i < n; i++)
		bytes += strlen(v[i].key) + strlen(v[i].value) + 1 + (i > 0);
	text = to = room_text(r, bytes);
	for (size_t i = 0; i < n && to != NULL; i++) {
		if (i > 0)
			*to++ = ',';
		to = put_text(to, v[i].key);
		*to++ = '=';
		to = put_text(to, v[i].value);
	}
	r->low = low; /* the sorted array was only borrowed */
	return text;
}

/* -- Service ----------------------------------------------------------------------------------- */

static const char *const ips_names[] = {"lbd.io/loadBalancerIPs", "metallb.io/loadBalancerIPs",
	"metallb.universe.tf/loadBalancerIPs", "kube-vip.io/loadbalancerIPs",
	"eip.openelb.kubesphere.io/v1alpha1"};
static const char *const pool_names[] = {"lbd.io/address-pool", "metallb.io/address-pool",
	"metallb.universe.tf/address-pool", "eip.openelb.kubesphere.io/v1alpha2"};
static const char *const sharing_names[] = {"lbd.io/allow-shared-ip", "metallb.io/allow-shared-ip",
	"metallb.universe.tf/allow-shared-ip"};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* *io_n characters without the blanks around them: where they begin, and how many. */
static const char *trim(const char *s, size_t *io_n)
{
	while (*io_n > 0 && is_blank(*s)) {
		s++;
		--*io_n;
	}
	while (*io_n > 0 && is_blank(s[*io_n - 1]))
		--*io_n;
	return s;
}

static bool same_text(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	a = trim(a, &n);
	b = trim(b, &m);
	return n == m && memcmp(a, b, n) == 0;
}

enum { MAX_ASKED_IPS = 2 }; /* one a family */

/* "a" or "a,b".  Returns how many; 0: that is not what it says. */
static size_t read_ips(const char *s, struct addr ret_v[MAX_ASKED_IPS])
{
	for (size_t n = 0; n < MAX_ASKED_IPS; n++) {
		size_t len = strcspn(s, ",");
		const char *end = s + len;

		s = trim(s, &len);
		if (addr_parse(s, len, &ret_v[n]) != 0)
			return 0;
		if (*end == '\0')
			return n + 1;
		s = end + 1;
	}
	return 0;
}

/* The same addresses, however they are written and in whatever order; else the same text. */
static bool same_ips(const char *a, const char *b)
{
	struct addr v[MAX_ASKED_IPS], w[MAX_ASKED_IPS];
	size_t n = read_ips(a, v), m = read_ips(b, w);

	if (n == 0 || m != n)
		return same_text(a, b);
	return (addr_eq(v[0], w[0]) && addr_eq(v[n - 1], w[n - 1])) ||
	       (addr_eq(v[0], w[n - 1]) && addr_eq(v[n - 1], w[0]));
}

/* One thing that may be asked for under several names. */
struct asked {
	bool (*same)(const char *a, const char *b);
	const char *name, *value; /* NULL = not asked for */
	unsigned by;              /* which name it was */
	const char *conflict;     /* in the room; NULL = the names agree */
};

static void ask(struct room *r, struct asked *a, const char *name, const char *value)
{
	char both[128];

	if (value == NULL || same_text(value, ""))
		return;
	if (a->name == NULL) {
		a->name = name;
		a->value = value;
	} else if (a->conflict == NULL && !a->same(a->value, value)) {
		(void)snprintf(both, sizeof both, "%s and %s", a->name, name);
		a->conflict = keep_n(r, both, strlen(both));
	}
}

static struct asked ask_all(struct room *r, const cJSON *annotations, const char *const *names,
	size_t n_names, bool (*same)(const char *a, const char *b))
{
	struct asked a = {.same = same};

	for (size_t i = 0; i < n_names; i++) {
		ask(r, &a, names[i], text_of(r, annotations, names[i]));
		if (a.name == names[i])
			a.by = (unsigned)i;
	}
	return a;
}

static const char *keep_trimmed(struct room *r, const char *s)
{
	size_t n;

	if (s == NULL)
		return NULL;
	n = strlen(s);
	s = trim(s, &n);
	return keep_n(r, s, n);
}

static void decode_request(struct room *r, const cJSON *annotations, struct cluster_service *s)
{
	struct asked ips = ask_all(r, annotations, ips_names, ARRAY_LEN(ips_names), same_ips);
	struct asked pool = ask_all(r, annotations, pool_names, ARRAY_LEN(pool_names), same_text);
	struct asked sharing =
		ask_all(r, annotations, sharing_names, ARRAY_LEN(sharing_names), same_text);

	s->request.ips = keep_trimmed(r, ips.value);
	s->request.pool = keep_trimmed(r, pool.value);
	s->request.sharing_key = keep_trimmed(r, sharing.value);
	s->request.ips_by = ips.by & 7U;
	s->request.pool_by = pool.by & 3U;
	s->request.sharing_by = sharing.by & 3U;
	s->request.conflict = ips.conflict != NULL    ? ips.conflict
			      : pool.conflict != NULL ? pool.conflict
						      : sharing.conflict;
	s->request.protocol =
		keep_trimmed(r, text_of(r, annotations, "protocol.openelb.kubesphere.io/v1alpha1"));
	s->request.ignore = is_text(r, annotations, "lbd.io/ignore", "true");
	s->request.openelb = is_text(r, annotations, "lb.kubesphere.io/v1alpha1", "openelb");
}

struct cluster_asked_by cluster_asked_by(const struct cluster_request *r)
{
	REQUIRE(r->ips_by < ARRAY_LEN(ips_names) && r->pool_by < ARRAY_LEN(pool_names) &&
		r->sharing_by < ARRAY_LEN(sharing_names));
	return (struct cluster_asked_by){
		ips_names[r->ips_by], pool_names[r->pool_by], sharing_names[r->sharing_by]};
}

static enum cluster_protocol protocol_of(const char *s)
{
	static const char *const name[] = {"TCP", "UDP", "SCTP"};

	if (s == NULL)
		return CLUSTER_TCP;
	for (size_t i = 0; i < ARRAY_LEN(name); i++)
		if (strcmp(s, name[i]) == 0)
			return (enum cluster_protocol)i;
	return CLUSTER_OTHER;
}

static void decode_ports(struct room *r, const cJSON *spec, struct cluster_service *s)
{
	const cJSON *a = array_of(r, spec, "ports"), *i;
	size_t n = length_of(a);
	struct cluster_port *v;

	if (n > CLUSTER_MAX_PORTS) {
		room_fail(r, -E2BIG);
		return;
	}
	v = n > 0 ? room_array(r, n, sizeof *v) : NULL;
	if (v == NULL)
		return;
	s->ports = v;
	cJSON_ArrayForEach (i, a) {
		if (!check_object(r, i))
			return;
		v->protocol = protocol_of(text_of(r, i, "protocol"));
		v->port = (uint16_t)json_int(i, "port", 1, UINT16_MAX, 0);
		if (v->port == 0)
			r->err = -EBADMSG;
		v++;
	}
	s->n_ports = (uint16_t)n;
}

static void add_family(struct cluster_service *s, enum addr_family f)
{
	if (s->n_families < ARRAY_LEN(s->families) && (s->n_families == 0 || s->families[0] != f))
		s->families[s->n_families++] = f;
}

static bool is_cluster_ip(const char *s, struct addr *ret_a)
{
	return s != NULL && addr_parse(s, strlen(s), ret_a) == 0;
}

/* spec.ipFamilies; before Kubernetes 1.20, what the cluster IPs are. */
static void decode_families(struct room *r, const cJSON *spec, struct cluster_service *s)
{
	const cJSON *families = array_of(r, spec, "ipFamilies");
	const cJSON *ips = array_of(r, spec, "clusterIPs"), *i;
	const char *policy = text_of(r, spec, "ipFamilyPolicy");
	struct addr a;

	if ((families != NULL && !json_is_strings(families)) ||
		(ips != NULL && !json_is_strings(ips))) {
		r->err = -EBADMSG;
		return;
	}
	cJSON_ArrayForEach (i, families) {
		if (strcmp(i->valuestring, "IPv4") == 0)
			add_family(s, ADDR_V4);
		else if (strcmp(i->valuestring, "IPv6") == 0)
			add_family(s, ADDR_V6);
	}
	s->has_cluster_ip = is_cluster_ip(text_of(r, spec, "clusterIP"), &a);
	if (s->has_cluster_ip && families == NULL)
		add_family(s, addr_family(a));
	cJSON_ArrayForEach (i, ips)
		if (families == NULL && is_cluster_ip(i->valuestring, &a))
			add_family(s, addr_family(a));
	if (policy != NULL && strcmp(policy, "PreferDualStack") == 0)
		s->family_policy = CLUSTER_PREFER_DUAL;
	else if (policy != NULL && strcmp(policy, "RequireDualStack") == 0)
		s->family_policy = CLUSTER_REQUIRE_DUAL;
}

static bool has_addr(const struct addr *v, size_t n, struct addr a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(v[i], a))
			return true;
	return false;
}

static void decode_ingress(struct room *r, const cJSON *obj, struct cluster_service *s)
{
	const cJSON *lb = object_of(r, object_of(r, obj, "status"), "loadBalancer");
	const cJSON *a = array_of(r, lb, "ingress"), *i;
	size_t n = length_of(a);
	struct addr *v;

	if (n > CLUSTER_MAX_INGRESS) {
		room_fail(r, -E2BIG);
		return;
	}
	v = n > 0 ? room_array(r, n, sizeof *v) : NULL;
	if (v == NULL)
		return;
	s->ingress = v;
	cJSON_ArrayForEach (i, a) {
		const char *ip = text_of(r, i, "ip"), *mode = text_of(r, i, "ipMode");
		struct addr addr;

		if (!check_object(r, i))
			return;
		if (mode != NULL && strcmp(mode, "VIP") != 0)
			s->ingress_not_vip_mode = true;
		if (ip == NULL || addr_parse(ip, strlen(ip), &addr) != 0)
			s->ingress_foreign = true;
		else if (!has_addr(v, s->n_ingress, addr))
			v[s->n_ingress++] = addr;
	}
}

struct condition_mark cluster_decode_condition(const cJSON *service)
{
	const cJSON *c, *all = json_array(json_object(service, "status"), "conditions");

	cJSON_ArrayForEach (c, all) {
		const char *type = json_string(c, "type"), *status = json_string(c, "status");

		if (type != NULL && strcmp(type, CONDITION_TYPE) == 0)
			return condition_mark(status != NULL ? status : "",
				json_string(c, "reason"), json_string(c, "message"));
	}
	return condition_mark(NULL, NULL, NULL);
}

static void decode_meta(struct room *r, const cJSON *meta, const char **uid, const char **version)
{
	*uid = keep(r, text_of(r, meta, "uid"));
	*version = keep(r, text_of(r, meta, "resourceVersion"));
	if (*uid == NULL)
		*uid = "";
	if (*version == NULL)
		*version = "";
}

static void decode_service(struct room *r, const char *key, const cJSON *obj)
{
	const cJSON *meta = object_of(r, obj, "metadata"), *spec = object_of(r, obj, "spec");
	const cJSON *annotations = object_of(r, meta, "annotations");
	const char *slash = strchr(key, '/');
	struct cluster_service *s = room_array(r, 1, sizeof *s);

	if (s == NULL || slash == NULL)
		return;
	s->key = key;
	s->name = slash + 1;
	s->namespace_ = keep_n(r, key, (size_t)(slash - key));
	decode_meta(r, meta, &s->uid, &s->resource_version);
	s->created_s = time_of(text_of(r, meta, "creationTimestamp"));
	s->deleting = text_of(r, meta, "deletionTimestamp") != NULL;
	s->is_load_balancer = is_text(r, spec, "type", "LoadBalancer");
	s->backend_key = "";
	decode_ingress(r, obj, s);
	s->announced = cluster_decode_condition(obj);
	s->pool_written = keep(r, text_of(r, annotations, "lbd.io/ip-allocated-from-pool"));
	if (!s->is_load_balancer)
		return;
	s->local = is_text(r, spec, "externalTrafficPolicy", "Local");
	s->class_ = keep(r, text_of(r, spec, "loadBalancerClass"));
	s->load_balancer_ip = keep_trimmed(r, text_of(r, spec, "loadBalancerIP"));
	s->backend_key = decode_selector(r, spec);
	decode_request(r, annotations, s);
	decode_families(r, spec, s);
	decode_ports(r, spec, s);
	decode_labels(r, meta, &s->labels);
}

/* -- Node -------------------------------------------------------------------------------------- */

static void decode_conditions(struct room *r, const cJSON *status, struct cluster_node *n)
{
	const cJSON *conditions = array_of(r, status, "conditions"), *i;

	cJSON_ArrayForEach (i, conditions) {
		if (!check_object(r, i))
			return;
		if (is_text(r, i, "type", "Ready"))
			n->ready = is_text(r, i, "status", "True");
		else if (is_text(r, i, "type", "NetworkUnavailable"))
			n->network_unavailable = is_text(r, i, "status", "True");
	}
}

/* The addresses of one type; *ret_n of them are written. */
static const struct addr *decode_addresses(
	struct room *r, const cJSON *a, const char *type, size_t *ret_n)
{
	const cJSON *i;
	struct addr *v;
	size_t n = 0;

	cJSON_ArrayForEach (i, a) {
		if (!check_object(r, i))
			return NULL;
		n += is_text(r, i, "type", type);
	}
	v = n > 0 ? room_array(r, n, sizeof *v) : NULL;
	if (v == NULL)
		return NULL;
	n = 0;
	cJSON_ArrayForEach (i, a) {
		const char *s = text_of(r, i, "address");

		if (is_text(r, i, "type", type) && s != NULL &&
			addr_parse(s, strlen(s), &v[n]) == 0)
			n++;
	}
	*ret_n = n;
	return v;
}

static void decode_node(struct room *r, const char *key, const cJSON *obj)
{
	const cJSON *meta = object_of(r, obj, "metadata"), *spec = object_of(r, obj, "spec");
	const cJSON *status = object_of(r, obj, "status");
	const cJSON *addresses = array_of(r, status, "addresses");
	struct cluster_node *n = room_array(r, 1, sizeof *n);

	if (n == NULL)
		return;
	n->name = key;
	decode_meta(r, meta, &n->uid, &n->resource_version);
	decode_conditions(r, status, n);
	n->unschedulable = is_true(r, spec, "unschedulable", false);
	n->internal_ips = decode_addresses(r, addresses, "InternalIP", &n->n_internal_ips);
	n->external_ips = decode_addresses(r, addresses, "ExternalIP", &n->n_external_ips);
	decode_labels(r, meta, &n->labels);
	if (r->err == 0)
		n->excluded =
			label_get(&n->labels,
				"node.kubernetes.io/exclude-from-external-load-balancers") != NULL;
}

/* -- Lease ------------------------------------------------------------------------------------- */

static const struct {
	const char *label, *name; /* of the label's value; of the object, or its beginning */
	enum cluster_lease_role role;
} lease_roles[] = {
	{"leader", "lbd-leader", CLUSTER_LEASE_LEADER},
	{"node", "lbd-node-", CLUSTER_LEASE_NODE},
	{"claims", "lbd-claims-", CLUSTER_LEASE_CLAIMS},
	{"retired", "lbd-retired", CLUSTER_LEASE_RETIRED},
};

/* Is there one such Lease, or one a node? */
static bool is_single(enum cluster_lease_role role)
{
	return role == CLUSTER_LEASE_LEADER || role == CLUSTER_LEASE_RETIRED;
}

/* The label says what the Lease is for, else its name does. */
static void decode_role(
	struct room *r, const cJSON *meta, const cJSON *notes, struct cluster_lease *l)
{
	const char *label = text_of(r, object_of(r, meta, "labels"), "lbd.io/lease");

	l->role = CLUSTER_LEASE_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(lease_roles); i++) {
		const char *begin = lease_roles[i].name;
		bool is_named = strncmp(l->name, begin, strlen(begin)) == 0;

		if (is_single(lease_roles[i].role))
			is_named = strcmp(l->name, begin) == 0;
		if (label != NULL ? strcmp(label, lease_roles[i].label) != 0 : !is_named)
			continue;
		if (is_single(lease_roles[i].role) && !is_named)
			return;
		l->role = lease_roles[i].role;
		if (is_single(l->role))
			return;
		l->node = keep(r, text_of(r, notes, "lbd.io/node"));
		if (l->node == NULL && is_named)
			l->node = l->name + strlen(begin);
		if (l->node == NULL || *l->node == '\0')
			l->role = CLUSTER_LEASE_OTHER;
		return;
	}
}

static void decode_notes(struct room *r, const cJSON *notes, struct cluster_lease *l)
{
	const char *claims = text_of(r, notes, "lbd.io/claims");
	const char *retired = text_of(r, notes, "lbd.io/retired");

	if (retired != NULL && strlen(retired) > CLUSTER_MAX_RETIRED) {
		room_fail(r, -E2BIG);
		return;
	}
	if (claims != NULL && strlen(claims) > CLUSTER_MAX_CLAIMS)
		claims = CLUSTER_CLAIMS_TOO_LONG;
	l->claims = keep(r, claims);
	l->move = keep(r, text_of(r, notes, "lbd.io/move"));
	l->retired = keep(r, retired);
	l->claims_generation = number_of(text_of(r, notes, "lbd.io/claims-generation"));
	l->schema = keep(r, text_of(r, notes, "lbd.io/schema"));
	l->version = keep(r, text_of(r, notes, "lbd.io/version"));
	l->config_hash = keep(r, text_of(r, notes, "lbd.io/config-hash"));
	l->addresses = keep(r, text_of(r, notes, "lbd.io/addresses"));
	l->macs = keep(r, text_of(r, notes, "lbd.io/macs"));
	l->subnets = keep(r, text_of(r, notes, "lbd.io/subnets"));
	l->bfd = keep(r, text_of(r, notes, "lbd.io/bfd"));
	l->draining = keep(r, text_of(r, notes, "lbd.io/draining"));
}

static void decode_lease(struct room *r, const char *key, const cJSON *obj)
{
	const cJSON *meta = object_of(r, obj, "metadata"), *spec = object_of(r, obj, "spec");
	const cJSON *notes = object_of(r, meta, "annotations");
	struct cluster_lease *l = room_array(r, 1, sizeof *l);

	if (l == NULL)
		return;
	l->name = key;
	decode_meta(r, meta, &l->uid, &l->resource_version);
	decode_role(r, meta, notes, l);
	l->holder = keep(r, text_of(r, spec, "holderIdentity"));
	if (l->holder == NULL)
		l->holder = "";
	l->duration_ms = 1000 * (uint64_t)json_int(spec, "leaseDurationSeconds", 0, INT32_MAX, 0);
	l->renew_time = keep(r, text_of(r, spec, "renewTime"));
	l->acquire_time = keep(r, text_of(r, spec, "acquireTime"));
	l->transitions = json_int(spec, "leaseTransitions", 0, INT32_MAX, 0);
	decode_notes(r, notes, l);
}

/* -- Namespace --------------------------------------------------------------------------------- */

static const char name_label[] = "kubernetes.io/metadata.name";

/* The labels, and the one that names it. */
static void decode_namespace(struct room *r, const char *key, const cJSON *obj)
{
	const cJSON *meta = object_of(r, obj, "metadata");
	struct cluster_namespace *n = room_array(r, 1, sizeof *n);
	const char *uid;
	struct label *v;

	if (n == NULL)
		return;
	n->name = key;
	decode_meta(r, meta, &uid, &n->resource_version);
	decode_labels(r, meta, &n->labels);
	if (r->err != 0 || label_get(&n->labels, name_label) != NULL)
		return;
	v = room_array(r, n->labels.n + 1, sizeof *v);
	if (v == NULL)
		return;
	for (size_t i = 0; i < n->labels.n; i++)
		v[i] = n->labels.v[i];
	v[n->labels.n] = (struct label){.key = name_label, .value = key};
	n->labels = (struct labels){.v = v, .n = label_sort(v, n->labels.n + 1)};
}

/* -- which object it is ------------------------------------------------------------------------ */

/* RFC 1123 subdomains, read generously: what must not be in a key or a path is not let in. */
static bool is_name(const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	if (n == 0 || n > CLUSTER_MAX_NAME || s[0] == '.')
		return false;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			    (*s >= '0' && *s <= '9') || *s == '-' || *s == '.' || *s == '_'))
			return false;
	return true;
}

int cluster_decode_key(enum cluster_kind kind, const cJSON *obj, char ret_key[CLUSTER_MAX_KEY + 1])
{
	const cJSON *meta = json_object(obj, "metadata");
	const char *name = json_string(meta, "name"), *ns = json_string(meta, "namespace");

	if (!is_name(name))
		return -EBADMSG;
	if (kind == CLUSTER_NODE || kind == CLUSTER_LEASE || kind == CLUSTER_NAMESPACE) {
		(void)snprintf(ret_key, CLUSTER_MAX_KEY + 1, "%s", name);
		return 0;
	}
	if (!is_name(ns))
		return -EBADMSG;
	(void)snprintf(ret_key, CLUSTER_MAX_KEY + 1, "%s/%s", ns, name);
	return 0;
}

const char *cluster_decode_version(const cJSON *obj)
{
	const char *version = json_string(json_object(obj, "metadata"), "resourceVersion");

	return version != NULL ? version : "";
}

bool cluster_decode_service_key(enum cluster_kind kind, const char *key, const cJSON *obj,
	char ret_service[CLUSTER_MAX_KEY + 1])
{
	const char *slash = strchr(key, '/'), *name = slash != NULL ? slash + 1 : key;

	if (kind == CLUSTER_ENDPOINT_SLICE)
		name = json_string(json_object(json_object(obj, "metadata"), "labels"),
			"kubernetes.io/service-name");
	if (slash == NULL || name == NULL || strlen(name) > CLUSTER_MAX_NAME || *name == '\0')
		return false;
	(void)snprintf(ret_service, CLUSTER_MAX_KEY + 1, "%.*s/%s", (int)(slash - key), key, name);
	return true;
}

/* -- whole objects ----------------------------------------------------------------------------- */

typedef void decode_fn(struct room *r, const char *key, const cJSON *obj);

static decode_fn *decoder_of(enum cluster_kind kind)
{
	REQUIRE(kind == CLUSTER_NODE || kind == CLUSTER_LEASE || kind == CLUSTER_NAMESPACE);
	return kind == CLUSTER_NODE    ? decode_node
	       : kind == CLUSTER_LEASE ? decode_lease
				       : decode_namespace;
}

/* A room big enough for one object: the scratch, or borrowed memory (free() it unless it is the
 * scratch).  What is called again sees the room grow until it fits. */
static int room_open(struct cluster_scratch *s, struct room *r)
{
	size_t cap = r->base == NULL ? SCRATCH_BYTES : r->cap * 4;

	if (r->base != NULL && r->cap >= CLUSTER_MAX_OBJECT)
		return -E2BIG;
	if (r->base != NULL && r->base != s->bytes)
		free(r->base);
	if (cap > CLUSTER_MAX_OBJECT)
		cap = CLUSTER_MAX_OBJECT;
	*r = (struct room){.cap = cap, .borrows = r->borrows};
	r->base = cap == SCRATCH_BYTES ? s->bytes : malloc(cap);
	return r->base != NULL ? 0 : -ENOMEM;
}

/* What was borrowed; NULL when the scratch was enough. */
static void *room_borrowed(const struct cluster_scratch *s, const struct room *r)
{
	return r->base != s->bytes ? r->base : NULL;
}

struct cluster_scratch *cluster_scratch_new(void)
{
	return malloc(sizeof(struct cluster_scratch));
}

void cluster_scratch_free(struct cluster_scratch *s)
{
	free(s);
}

int cluster_decode_service(
	struct cluster_scratch *s, const char *key, const cJSON *obj, struct copy **ret_copy)
{
	struct room r = {.borrows = true};
	const struct cluster_service *view;
	struct copy *copy = NULL;
	int err;

	do {
		err = room_open(s, &r);
		if (err < 0)
			break;
		decode_service(&r, key, obj);
		err = r.err;
	} while (err == -ENOSPC);
	view = (const void *)r.base; /* the room's first array */
	if (err == 0 && copy_bytes(view) > CLUSTER_MAX_OBJECT)
		err = -E2BIG;
	if (err == 0)
		copy = copy_hold(view);
	if (err == 0 && copy == NULL)
		err = -ENOMEM;
	free(room_borrowed(s, &r));
	if (err == 0)
		*ret_copy = copy;
	return err;
}

int cluster_decode_measure(struct cluster_scratch *s, enum cluster_kind kind, const char *key,
	const cJSON *obj, size_t *ret_bytes)
{
	struct room r = {0};
	int err;

	do {
		err = room_open(s, &r);
		if (err < 0)
			break;
		decoder_of(kind)(&r, key, obj);
		err = r.err;
	} while (err == -ENOSPC);
	if (err == 0)
		*ret_bytes = r.peak;
	free(room_borrowed(s, &r));
	return err;
}

void cluster_decode(
	enum cluster_kind kind, const char *key, const cJSON *obj, void *block, size_t bytes)
{
	struct room r = {.base = block, .cap = bytes};

	decoder_of(kind)(&r, key, obj);
	REQUIRE(r.err == 0);
}

/* The Lease is the room's first array: it frees with its block. */
struct cluster_lease *cluster_lease_decode(const cJSON *obj)
{
	const char *name = json_string(json_object(obj, "metadata"), "name");
	struct room r = {.err = -ENOSPC};

	for (size_t cap = SCRATCH_BYTES;
		name != NULL && r.err == -ENOSPC && cap <= CLUSTER_MAX_OBJECT; cap *= 4) {
		free(r.base);
		r = (struct room){.base = malloc(cap), .cap = cap};
		if (r.base == NULL)
			return NULL;
		decode_lease(&r, keep(&r, name), obj);
	}
	if (r.err == 0)
		return (struct cluster_lease *)(void *)r.base;
	free(r.base);
	return NULL;
}

void cluster_lease_free(struct cluster_lease *l)
{
	free(l);
}

/* -- endpoints --------------------------------------------------------------------------------- */

static int by_node(const void *a, const void *b)
{
	const struct cluster_row *x = a, *y = b;

	return strcmp(x->node, y->node);
}

/* Of one row an endpoint, one a node. */
static void rows_merge(struct cluster_rows *t)
{
	size_t out = 0;

	if (t->n == 0)
		return;
	qsort(t->v, t->n, sizeof *t->v, by_node);
	for (size_t i = 1; i < t->n; i++) {
		if (strcmp(t->v[i].node, t->v[out].node) != 0) {
			t->v[++out] = t->v[i];
		} else {
			t->v[out].ready += t->v[i].ready;
			t->v[out].serving += t->v[i].serving;
		}
	}
	t->n = out + 1;
}

static void rows_add(struct cluster_rows *t, const char *node, uint32_t ready, uint32_t serving)
{
	if (ready + serving > 0)
		t->v[t->n++] = (struct cluster_row){
			node != NULL ? node : "", .ready = ready, .serving = serving};
}

/* discovery/v1: an absent ready is true; v1beta1 knows the node by its topology label alone. */
static void slice_row(struct room *r, const cJSON *endpoint, struct cluster_rows *t)
{
	const cJSON *conditions = object_of(r, endpoint, "conditions");
	bool ready = is_true(r, conditions, "ready", true);
	bool serving = is_true(r, conditions, "serving", ready);
	bool terminating = is_true(r, conditions, "terminating", false);
	const char *node = text_of(r, endpoint, "nodeName");

	if (node == NULL)
		node = text_of(r, object_of(r, endpoint, "topology"), "kubernetes.io/hostname");
	if (length_of(array_of(r, endpoint, "addresses")) > 0)
		rows_add(t, node, ready, !ready && serving && terminating);
}

static void slice_rows(struct room *r, const cJSON *obj, struct cluster_rows *t)
{
	const cJSON *a = array_of(r, obj, "endpoints"), *i;

	t->v = room_array(r, length_of(a), sizeof *t->v);
	if (t->v == NULL)
		return;
	cJSON_ArrayForEach (i, a) {
		if (!check_object(r, i))
			return;
		slice_row(r, i, t);
	}
}

static void subset_rows(struct room *r, const cJSON *subset, struct cluster_rows *t)
{
	const cJSON *addresses = array_of(r, subset, "addresses"), *i;

	cJSON_ArrayForEach (i, addresses) {
		if (!check_object(r, i))
			return;
		rows_add(t, text_of(r, i, "nodeName"), 1, 0);
	}
}

/* core/v1: a subset's addresses are the ready ones. */
static void endpoints_rows(struct room *r, const cJSON *obj, struct cluster_rows *t)
{
	const cJSON *subsets = array_of(r, obj, "subsets"), *i;
	size_t n = 0;

	cJSON_ArrayForEach (i, subsets) {
		if (!check_object(r, i))
			return;
		n += length_of(array_of(r, i, "addresses"));
	}
	t->v = room_array(r, n, sizeof *t->v);
	if (t->v == NULL)
		return;
	cJSON_ArrayForEach (i, subsets)
		subset_rows(r, i, t);
}

int cluster_decode_rows(struct cluster_scratch *s, enum cluster_kind kind, const cJSON *obj,
	struct cluster_rows *ret_rows)
{
	struct cluster_rows t = {0};
	struct room r = {0};
	int err;

	do {
		err = room_open(s, &r);
		if (err < 0)
			break;
		t.n = 0;
		if (kind == CLUSTER_ENDPOINT_SLICE)
			slice_rows(&r, obj, &t);
		else
			endpoints_rows(&r, obj, &t);
		err = r.err;
	} while (err == -ENOSPC);
	t.memory = room_borrowed(s, &r);
	if (err < 0) {
		cluster_rows_free(&t);
		return err;
	}
	rows_merge(&t);
	*ret_rows = t;
	return 0;
}

void cluster_rows_free(struct cluster_rows *t)
{
	free(t->memory);
	*t = (struct cluster_rows){0};
}
