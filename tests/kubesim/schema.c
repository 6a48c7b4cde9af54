/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.c - check and prune an object by the strings of schema.h.
 *
 * In: a tree and a schema.  Out: the tree without unknown fields; what was wrong.
 * Sources: k8s.io/api types, apimachinery's Time and MicroTime (UnmarshalJSON).
 */
#include "schema.h"

#include <stdio.h>
#include <string.h>

static const char meta_schema[] =
	"apiVersion:s,kind:s,metadata{name:s,generateName:s,namespace:s,uid:s,resourceVersion:s,"
	"generation:i,creationTimestamp:t,deletionTimestamp:t,deletionGracePeriodSeconds:i,"
	"labels:m,annotations:m,finalizers[]:s,selfLink:s,managedFields:l,"
	"ownerReferences[]{apiVersion:s,kind:s,name:s,uid:s,controller:b,blockOwnerDeletion:b}}";

struct walk {
	struct schema_report *report;
	char path[256];
	size_t len;
};

/* Where a field's description starts (just after its name), or NULL. */
static const char *find_field(const char *s, const char *name)
{
	size_t n = strlen(name);
	int depth = 0;

	while (*s && !(depth == 0 && *s == '}')) {
		size_t word = strcspn(s, "[:{},");

		if (depth == 0 && word == n && n && !memcmp(s, name, n))
			return s + word;
		s += word;
		if (*s == '{')
			depth++;
		if (*s == '}' && depth-- == 0)
			return NULL;
		if (*s)
			s++;
	}
	return NULL;
}

static void wrong_type(struct walk *w, const cJSON *v, const char *want)
{
	const char *got = "object";

	if (w->report->error.n)
		return;
	if (cJSON_IsString(v))
		got = "string";
	else if (cJSON_IsNumber(v))
		got = "number";
	else if (cJSON_IsBool(v))
		got = "bool";
	else if (cJSON_IsArray(v))
		got = "array";
	text_fmt(&w->report->error, "json: cannot unmarshal %s into Go struct field %s of type %s",
		got, w->path, want);
}

static bool digits(const char *s, const char *pattern)
{
	for (; *pattern; s++, pattern++) {
		bool digit = *s >= '0' && *s <= '9';

		if (*pattern == '0' ? !digit : *s != *pattern)
			return false;
	}
	return true;
}

static bool zone_ok(const char *s)
{
	return !strcmp(s, "Z") || (strlen(s) == 6 && (digits(s, "+00:00") || digits(s, "-00:00")));
}

static void check_time(struct walk *w, const cJSON *v, bool micro)
{
	const char *s = cJSON_IsString(v) ? v->valuestring : NULL;
	const char *want = micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00";
	const char *zone;

	if (!s) {
		wrong_type(w, v, micro ? "v1.MicroTime" : "v1.Time");
		return;
	}
	if (strlen(s) >= 20 && digits(s, "0000-00-00T00:00:00")) {
		zone = s + 19;
		if (*zone == '.')
			zone += 1 + strspn(zone + 1, "0123456789");
		if (zone_ok(zone) && (!micro || zone - (s + 19) == 7))
			return;
	}
	if (!w->report->error.n)
		text_fmt(&w->report->error,
			"%s: parsing time \"%.64s\" as \"%s\": cannot parse \"%.64s\"", w->path, s,
			want, strlen(s) > 19 ? s + 19 : s);
}

static void check_map(struct walk *w, const cJSON *v)
{
	const cJSON *m;

	if (!cJSON_IsObject(v)) {
		wrong_type(w, v, "map[string]string");
		return;
	}
	cJSON_ArrayForEach (m, v) {
		if (!cJSON_IsString(m))
			wrong_type(w, m, "string");
	}
}

static void check_integer(struct walk *w, const cJSON *v)
{
	double d = v->valuedouble;

	if (!cJSON_IsNumber(v) || d < -9007199254740992.0 || d > 9007199254740992.0 ||
		d != (double)(int64_t)d)
		wrong_type(w, v, "int32");
}

static void check_type(struct walk *w, char type, const cJSON *v)
{
	switch (type) {
	case 's':
		if (!cJSON_IsString(v))
			wrong_type(w, v, "string");
		break;
	case 'i':
		check_integer(w, v);
		break;
	case 'b':
		if (!cJSON_IsBool(v))
			wrong_type(w, v, "bool");
		break;
	case 'm':
		check_map(w, v);
		break;
	case 'o':
		if (!cJSON_IsObject(v))
			wrong_type(w, v, "object");
		break;
	case 'l':
		if (!cJSON_IsArray(v))
			wrong_type(w, v, "array");
		break;
	case 'x':
		if (!cJSON_IsString(v))
			check_integer(w, v);
		break;
	case 't':
	case 'u':
		check_time(w, v, type == 'u');
		break;
	default:
		break;
	}
}

static void walk_object(struct walk *w, const char *schema, cJSON *obj, const char *also);

static void walk_value(struct walk *w, const char *field, cJSON *v)
{
	if (*field == '{')
		walk_object(w, field + 1, v, NULL);
	else if (*field == ':')
		check_type(w, field[1], v);
}

static void walk_array(struct walk *w, const char *field, cJSON *v)
{
	size_t len = w->len;
	cJSON *element;
	int i = 0;

	if (!cJSON_IsArray(v)) {
		wrong_type(w, v, "array");
		return;
	}
	cJSON_ArrayForEach (element, v) {
		int n = snprintf(w->path + w->len, sizeof(w->path) - w->len, "[%d]", i++);

		if (n > 0 && (size_t)n < sizeof(w->path) - w->len)
			w->len += (size_t)n;
		walk_value(w, field, element);
		w->len = len;
		w->path[len] = '\0';
	}
}

static void walk_member(struct walk *w, const char *field, cJSON *v)
{
	size_t len = w->len;
	int n = snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len ? "." : "", v->string);

	if (n > 0 && (size_t)n < sizeof(w->path) - len)
		w->len += (size_t)n;
	if (field && field[0] == '[')
		walk_array(w, field + 2, v);
	else if (field)
		walk_value(w, field, v);
	else if (w->report->unknown.n < 4096)
		text_add(&w->report->unknown, w->path, w->len + 1);
	w->len = len;
	w->path[len] = '\0';
}

/* also: a second schema for the same object (metadata's, at the top). */
static void walk_object(struct walk *w, const char *schema, cJSON *obj, const char *also)
{
	cJSON *v, *next;

	if (!cJSON_IsObject(obj)) {
		wrong_type(w, obj, "object");
		return;
	}
	for (v = obj->child; v; v = next) {
		const char *field = schema ? find_field(schema, v->string) : ":";

		next = v->next;
		if (also && find_field(also, v->string))
			field = find_field(also, v->string);
		if (!cJSON_IsNull(v))
			walk_member(w, field, v);
		if (!field || cJSON_IsNull(v))
			cJSON_Delete(cJSON_DetachItemViaPointer(obj, v));
	}
}

void schema_apply(const char *schema, cJSON *obj, struct schema_report *ret)
{
	struct walk w = {.report = ret};

	walk_object(&w, schema, obj, meta_schema);
}

void schema_report_free(struct schema_report *r)
{
	text_free(&r->error);
	text_free(&r->unknown);
}
