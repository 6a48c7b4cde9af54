/* SPDX-License-Identifier: Apache-2.0
 *
 * proto.c - Kubernetes objects out of protobuf.
 *
 * In:   "k8s\0" and a runtime.Unknown.  Out: a tree.
 * Sources: protobuf encoding (varints, length-delimited fields); the field numbers of
 *       k8s.io/api/core/v1/generated.proto and apimachinery's meta/v1. Only the kinds that kubectl
 *       sends so. Zero numbers and empty strings, but of lists, are absent: the encoder writes them
 *       regardless.
 */
#include "proto.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum type { P_STR, P_INT, P_BOOL, P_MSG, P_MAP, P_BYTES_MAP, P_TIME, P_INT_OR_STR };

struct field {
	unsigned number;
	const char *name;
	enum type type;
	bool repeated;
	const struct field *fields; /* of a P_MSG */
};

#define END                                                                                        \
	{                                                                                          \
		0, NULL, P_STR, false, NULL                                                        \
	}

static const struct field owner_fields[] = {{1, "kind", P_STR, false, NULL},
	{3, "name", P_STR, false, NULL}, {4, "uid", P_STR, false, NULL},
	{5, "apiVersion", P_STR, false, NULL}, {6, "controller", P_BOOL, false, NULL},
	{7, "blockOwnerDeletion", P_BOOL, false, NULL}, END};

static const struct field meta_fields[] = {{1, "name", P_STR, false, NULL},
	{2, "generateName", P_STR, false, NULL}, {3, "namespace", P_STR, false, NULL},
	{5, "uid", P_STR, false, NULL}, {6, "resourceVersion", P_STR, false, NULL},
	{8, "creationTimestamp", P_TIME, false, NULL},
	{9, "deletionTimestamp", P_TIME, false, NULL}, {11, "labels", P_MAP, false, NULL},
	{12, "annotations", P_MAP, false, NULL}, {13, "ownerReferences", P_MSG, true, owner_fields},
	{14, "finalizers", P_STR, true, NULL}, END};

static const struct field port_fields[] = {{1, "name", P_STR, false, NULL},
	{2, "protocol", P_STR, false, NULL}, {3, "port", P_INT, false, NULL},
	{4, "targetPort", P_INT_OR_STR, false, NULL}, {5, "nodePort", P_INT, false, NULL},
	{6, "appProtocol", P_STR, false, NULL}, END};

static const struct field service_spec[] = {{1, "ports", P_MSG, true, port_fields},
	{2, "selector", P_MAP, false, NULL}, {3, "clusterIP", P_STR, false, NULL},
	{4, "type", P_STR, false, NULL}, {5, "externalIPs", P_STR, true, NULL},
	{7, "sessionAffinity", P_STR, false, NULL}, {8, "loadBalancerIP", P_STR, false, NULL},
	{9, "loadBalancerSourceRanges", P_STR, true, NULL},
	{10, "externalName", P_STR, false, NULL}, {11, "externalTrafficPolicy", P_STR, false, NULL},
	{12, "healthCheckNodePort", P_INT, false, NULL},
	{13, "publishNotReadyAddresses", P_BOOL, false, NULL},
	{17, "ipFamilyPolicy", P_STR, false, NULL}, {18, "clusterIPs", P_STR, true, NULL},
	{19, "ipFamilies", P_STR, true, NULL},
	{20, "allocateLoadBalancerNodePorts", P_BOOL, false, NULL},
	{21, "loadBalancerClass", P_STR, false, NULL},
	{22, "internalTrafficPolicy", P_STR, false, NULL},
	{23, "trafficDistribution", P_STR, false, NULL}, END};

static const struct field service_fields[] = {
	{1, "metadata", P_MSG, false, meta_fields}, {2, "spec", P_MSG, false, service_spec}, END};
static const struct field plain_fields[] = {{1, "metadata", P_MSG, false, meta_fields}, END};
static const struct field configmap_fields[] = {{1, "metadata", P_MSG, false, meta_fields},
	{2, "data", P_MAP, false, NULL}, {3, "binaryData", P_BYTES_MAP, false, NULL},
	{4, "immutable", P_BOOL, false, NULL}, END};
static const struct field secret_fields[] = {{1, "metadata", P_MSG, false, meta_fields},
	{2, "data", P_BYTES_MAP, false, NULL}, {3, "type", P_STR, false, NULL},
	{4, "stringData", P_MAP, false, NULL}, {5, "immutable", P_BOOL, false, NULL}, END};

static const struct field attributes_fields[] = {{1, "namespace", P_STR, false, NULL},
	{2, "verb", P_STR, false, NULL}, {3, "group", P_STR, false, NULL},
	{4, "version", P_STR, false, NULL}, {5, "resource", P_STR, false, NULL},
	{6, "subresource", P_STR, false, NULL}, {7, "name", P_STR, false, NULL}, END};
static const struct field review_spec[] = {
	{1, "resourceAttributes", P_MSG, false, attributes_fields}, END};
static const struct field review_fields[] = {
	{1, "metadata", P_MSG, false, meta_fields}, {2, "spec", P_MSG, false, review_spec}, END};

static const struct field rules_review_spec[] = {{1, "namespace", P_STR, false, NULL}, END};
static const struct field rules_review_fields[] = {{1, "metadata", P_MSG, false, meta_fields},
	{2, "spec", P_MSG, false, rules_review_spec}, END};

static const struct field rule_fields[] = {{1, "verbs", P_STR, true, NULL},
	{2, "apiGroups", P_STR, true, NULL}, {3, "resources", P_STR, true, NULL},
	{4, "resourceNames", P_STR, true, NULL}, {5, "nonResourceURLs", P_STR, true, NULL}, END};
static const struct field role_fields[] = {
	{1, "metadata", P_MSG, false, meta_fields}, {2, "rules", P_MSG, true, rule_fields}, END};
static const struct field subject_fields[] = {{1, "kind", P_STR, false, NULL},
	{2, "apiGroup", P_STR, false, NULL}, {3, "name", P_STR, false, NULL},
	{4, "namespace", P_STR, false, NULL}, END};
static const struct field role_ref_fields[] = {{1, "apiGroup", P_STR, false, NULL},
	{2, "kind", P_STR, false, NULL}, {3, "name", P_STR, false, NULL}, END};
static const struct field binding_fields[] = {{1, "metadata", P_MSG, false, meta_fields},
	{2, "subjects", P_MSG, true, subject_fields}, {3, "roleRef", P_MSG, false, role_ref_fields},
	END};

static const struct field precondition_fields[] = {
	{1, "uid", P_STR, false, NULL}, {2, "resourceVersion", P_STR, false, NULL}, END};
static const struct field delete_fields[] = {{1, "gracePeriodSeconds", P_INT, false, NULL},
	{2, "preconditions", P_MSG, false, precondition_fields},
	{4, "propagationPolicy", P_STR, false, NULL}, {5, "dryRun", P_STR, true, NULL}, END};

static const struct {
	const char *kind;
	const struct field *fields;
} kinds[] = {
	{"Service", service_fields},
	{"Namespace", plain_fields},
	{"ServiceAccount", plain_fields},
	{"ConfigMap", configmap_fields},
	{"Secret", secret_fields},
	{"SelfSubjectAccessReview", review_fields},
	{"SelfSubjectRulesReview", rules_review_fields},
	{"Role", role_fields},
	{"ClusterRole", role_fields},
	{"RoleBinding", binding_fields},
	{"ClusterRoleBinding", binding_fields},
	{"DeleteOptions", delete_fields},
};

/* -- the encoding -- */

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct reader {
	const unsigned char *p, *end;
	bool bad;
};

struct value {
	unsigned number;
	uint64_t integer;    /* of a varint */
	struct reader bytes; /* of a length-delimited field */
	bool is_bytes;
};

static uint64_t varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (r->p == r->end)
			break;
		v |= (uint64_t)(*r->p & 0x7f) << shift;
		if (!(*r->p++ & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

static void skip(struct reader *r, size_t n)
{
	if ((size_t)(r->end - r->p) < n)
		r->bad = true;
	else
		r->p += n;
}

/* False at the end, and when it is broken. */
static bool next_value(struct reader *r, struct value *ret)
{
	uint64_t tag, n;

	if (r->bad || r->p == r->end)
		return false;
	tag = varint(r);
	*ret = (struct value){.number = (unsigned)(tag >> 3)};
	switch (tag & 7) {
	case WIRE_VARINT:
		ret->integer = varint(r);
		break;
	case WIRE_BYTES:
		n = varint(r);
		if (r->bad || n > (uint64_t)(r->end - r->p)) {
			r->bad = true;
			return false;
		}
		ret->is_bytes = true;
		ret->bytes = (struct reader){.p = r->p, .end = r->p + n};
		r->p += n;
		break;
	case WIRE_64:
		skip(r, 8);
		break;
	case WIRE_32:
		skip(r, 4);
		break;
	default:
		r->bad = true;
	}
	return !r->bad;
}

static char *string_of(const struct reader *r)
{
	return xstrndup((const char *)r->p, (size_t)(r->end - r->p));
}

/* -- trees -- */

static void put(cJSON *obj, const struct field *f, cJSON *v)
{
	cJSON *list;

	if (!f->repeated) {
		j_set(obj, f->name, v);
		return;
	}
	list = j_get(obj, f->name);
	if (!list) {
		list = cJSON_CreateArray();
		j_set(obj, f->name, list);
	}
	cJSON_AddItemToArray(list, v);
}

static void put_string(cJSON *obj, const struct field *f, const struct reader *r)
{
	char *s = string_of(r);

	if (*s || f->repeated) /* apiGroups: [""] */
		put(obj, f, cJSON_CreateString(s));
	cJSON_free(s);
}

/* One entry: key 1, value 2. */
static void put_entry(cJSON *obj, const struct field *f, struct reader *r)
{
	struct reader key = {0}, data = {0};
	struct text b64 = {0};
	struct value v;
	char *k, *s;

	while (next_value(r, &v)) {
		if (v.is_bytes && v.number == 1)
			key = v.bytes;
		else if (v.is_bytes && v.number == 2)
			data = v.bytes;
	}
	if (!key.p)
		return;
	k = string_of(&key);
	s = data.p ? string_of(&data) : xstrdup("");
	if (f->type == P_BYTES_MAP) {
		b64_encode(data.p ? data.p : (const unsigned char *)"", (size_t)(data.end - data.p),
			&b64);
		j_set_str(j_obj(obj, f->name), k, b64.p ? b64.p : "");
		text_free(&b64);
	} else {
		j_set_str(j_obj(obj, f->name), k, s);
	}
	cJSON_free(k);
	cJSON_free(s);
}

static void put_time(cJSON *obj, const struct field *f, struct reader *r)
{
	struct value v;
	struct tm tm;
	char out[40];
	time_t t = 0;

	while (next_value(r, &v)) {
		if (v.number == 1)
			t = (time_t)v.integer;
	}
	if (t > 0 && gmtime_r(&t, &tm) && strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm))
		put(obj, f, cJSON_CreateString(out));
}

static void put_int_or_str(cJSON *obj, const struct field *f, struct reader *r)
{
	static const struct field text = {3, "", P_STR, false, NULL};
	struct field as = text;
	uint64_t type = 0, n = 0;
	struct reader s = {0};
	struct value v;

	as.name = f->name;
	while (next_value(r, &v)) {
		if (v.number == 1)
			type = v.integer;
		else if (v.number == 2)
			n = v.integer;
		else if (v.number == 3 && v.is_bytes)
			s = v.bytes;
	}
	if (type == 1 && s.p)
		put_string(obj, &as, &s);
	else if (n)
		put(obj, f, cJSON_CreateNumber((double)(int32_t)n));
}

static cJSON *message(struct reader *r, const struct field *fields);

static void put_field(cJSON *obj, const struct field *f, struct value *v)
{
	switch (f->type) {
	case P_STR:
		put_string(obj, f, &v->bytes);
		break;
	case P_INT:
		if (v->integer)
			put(obj, f, cJSON_CreateNumber((double)(int64_t)v->integer));
		break;
	case P_BOOL:
		put(obj, f, cJSON_CreateBool(v->integer != 0));
		break;
	case P_MSG:
		put(obj, f, message(&v->bytes, f->fields));
		break;
	case P_MAP:
	case P_BYTES_MAP:
		put_entry(obj, f, &v->bytes);
		break;
	case P_TIME:
		put_time(obj, f, &v->bytes);
		break;
	case P_INT_OR_STR:
		put_int_or_str(obj, f, &v->bytes);
		break;
	}
}

static cJSON *message(struct reader *r, const struct field *fields)
{
	cJSON *obj = cJSON_CreateObject();
	struct value v;

	while (next_value(r, &v)) {
		for (const struct field *f = fields; f->name; f++) {
			bool scalar = f->type == P_INT || f->type == P_BOOL;

			if (f->number == v.number && v.is_bytes == !scalar)
				put_field(obj, f, &v);
		}
	}
	return obj;
}

/* TypeMeta: apiVersion 1, kind 2. */
static void type_meta(struct reader *r, char **ret_version, char **ret_kind)
{
	struct value v;

	while (next_value(r, &v)) {
		char **to = v.number == 1 ? ret_version : ret_kind;

		if (!v.is_bytes || v.number > 2)
			continue;
		cJSON_free(*to);
		*to = string_of(&v.bytes);
	}
}

cJSON *proto_decode(const char *p, size_t n)
{
	struct reader r = {.p = (const unsigned char *)p, .end = (const unsigned char *)p + n};
	struct reader raw = {0};
	char *version = NULL, *kind = NULL;
	cJSON *obj = NULL;
	struct value v;

	if (n < 4 || memcmp(p, "k8s\0", 4) != 0)
		return NULL;
	r.p += 4;
	while (next_value(&r, &v)) {
		if (v.number == 1 && v.is_bytes)
			type_meta(&v.bytes, &version, &kind);
		else if (v.number == 2 && v.is_bytes)
			raw = v.bytes;
	}
	for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]) && !obj; i++) {
		if (!strcmp(kinds[i].kind, kind))
			obj = message(&raw, kinds[i].fields);
	}
	if (obj) {
		j_set_str(obj, "apiVersion", version ? version : "");
		j_set_str(obj, "kind", kind);
	}
	if (obj && (r.bad || raw.bad)) {
		cJSON_Delete(obj);
		obj = NULL;
	}
	cJSON_free(version);
	cJSON_free(kind);
	return obj;
}
