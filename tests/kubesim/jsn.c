/* SPDX-License-Identifier: Apache-2.0
 *
 * jsn.c - cJSON helpers.
 *
 * In: trees.  Out: trees.  Members are found case-sensitively, as Kubernetes does.
 */
#include "jsn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cJSON *j_parse(const char *p, size_t n)
{
	const char *end = NULL;
	cJSON *v = p ? cJSON_ParseWithLengthOpts(p, n, &end, 0) : NULL;

	if (!v)
		return NULL;
	for (; end < p + n; end++) {
		if (!strchr(" \t\r\n", *end) || !*end) {
			cJSON_Delete(v);
			return NULL;
		}
	}
	return v;
}

void j_print(const cJSON *v, struct text *ret)
{
	size_t room = 4096;
	const union {
		const cJSON *in;
		cJSON *out;
	} same = {.in = v}; /* cJSON does not change it, but does not say so */

	for (;;) {
		text_need(ret, room);
		if (room > INT32_MAX / 2)
			return;
		if (cJSON_PrintPreallocated(same.out, ret->p + ret->n, (int)room, 0))
			break;
		room *= 4;
	}
	ret->n += strlen(ret->p + ret->n);
}

cJSON *j_get(const cJSON *o, const char *key)
{
	return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

cJSON *j_at(const cJSON *o, const char *path)
{
	cJSON *v = NULL;

	while (o) {
		size_t n = strcspn(path, ".");
		char key[64];

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		v = j_get(o, key);
		if (!path[n])
			return v;
		path += n + 1;
		o = v;
	}
	return NULL;
}

const char *j_str(const cJSON *o, const char *path)
{
	const cJSON *v = j_at(o, path);

	return cJSON_IsString(v) && v->valuestring ? v->valuestring : "";
}

bool j_has_str(const cJSON *o, const char *path)
{
	return *j_str(o, path) != '\0';
}

double j_num(const cJSON *o, const char *path, double otherwise)
{
	const cJSON *v = j_at(o, path);

	return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

int j_int(const cJSON *o, const char *path, int otherwise)
{
	double d = j_num(o, path, otherwise);

	if (d > INT32_MAX)
		return INT32_MAX;
	return d < INT32_MIN ? INT32_MIN : (int)d;
}

bool j_nonzero(const cJSON *o, const char *path)
{
	const cJSON *v = j_at(o, path);

	return cJSON_IsNumber(v) && (v->valuedouble < 0 || v->valuedouble > 0);
}

bool j_bool(const cJSON *o, const char *path, bool otherwise)
{
	const cJSON *v = j_at(o, path);

	return cJSON_IsBool(v) ? cJSON_IsTrue(v) != 0 : otherwise;
}

int j_len(const cJSON *o, const char *path)
{
	const cJSON *v = j_at(o, path);

	return v ? cJSON_GetArraySize(v) : 0;
}

void j_set(cJSON *o, const char *key, cJSON *value)
{
	if (!cJSON_IsObject(o) || !value) {
		cJSON_Delete(value);
		return;
	}
	if (cJSON_GetObjectItemCaseSensitive(o, key))
		cJSON_ReplaceItemInObjectCaseSensitive(o, key, value);
	else
		cJSON_AddItemToObject(o, key, value);
}

void j_set_str(cJSON *o, const char *key, const char *s)
{
	j_set(o, key, cJSON_CreateString(s));
}

void j_set_num(cJSON *o, const char *key, double v)
{
	j_set(o, key, cJSON_CreateNumber(v));
}

void j_del(cJSON *o, const char *key)
{
	cJSON_DeleteItemFromObjectCaseSensitive(o, key);
}

cJSON *j_obj(cJSON *o, const char *key)
{
	cJSON *v = j_get(o, key);

	if (cJSON_IsObject(v))
		return v;
	j_set(o, key, cJSON_CreateObject());
	return j_get(o, key);
}

void j_copy(cJSON *o, const cJSON *from, const char *key)
{
	const cJSON *v = j_get(from, key);

	if (v)
		j_set(o, key, j_dup(v));
	else
		j_del(o, key);
}

cJSON *j_dup(const cJSON *v)
{
	return v ? cJSON_Duplicate(v, 1) : NULL;
}

bool j_eq(const cJSON *a, const cJSON *b)
{
	if (!a || !b)
		return a == b;
	return cJSON_Compare(a, b, 1) != 0;
}

cJSON *j_strings(const char *const *v, size_t n)
{
	cJSON *a = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(a, cJSON_CreateString(v[i]));
	return a;
}

bool j_empty(const cJSON *v)
{
	if (!v || cJSON_IsNull(v))
		return true;
	if (cJSON_IsString(v))
		return !v->valuestring || !*v->valuestring;
	return (cJSON_IsObject(v) || cJSON_IsArray(v)) && !v->child;
}

bool j_truthy(const cJSON *v)
{
	return cJSON_IsTrue(v) != 0;
}
