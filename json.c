/* SPDX-License-Identifier: Apache-2.0
 *
 * json.c - type-checked reading of what came from outside.
 */
#include "json.h"

#include <string.h>

cJSON *json_parse(const char *p, size_t n)
{
	const char *end = NULL;
	cJSON *o = cJSON_ParseWithLengthOpts(p, n, &end, 0);

	if (o == NULL)
		return NULL;
	for (; end < p + n; end++)
		if (strchr(" \t\r\n", *end) == NULL || *end == '\0') {
			cJSON_Delete(o);
			return NULL;
		}
	return o;
}

const cJSON *json_get(const cJSON *o, const char *key)
{
	return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

const cJSON *json_object(const cJSON *o, const char *key)
{
	const cJSON *v = json_get(o, key);

	return cJSON_IsObject(v) ? v : NULL;
}

const cJSON *json_array(const cJSON *o, const char *key)
{
	const cJSON *v = json_get(o, key);

	return cJSON_IsArray(v) ? v : NULL;
}

const char *json_string(const cJSON *o, const char *key)
{
	const cJSON *v = json_get(o, key);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

long long json_int(
	const cJSON *o, const char *key, long long min, long long max, long long fallback)
{
	const cJSON *v = json_get(o, key);

	/* The comparison with 2^63 comes first: a double beyond it must not be converted. */
	if (!cJSON_IsNumber(v) || !(v->valuedouble >= -0x1p63 && v->valuedouble < 0x1p63) ||
		(double)(long long)v->valuedouble != v->valuedouble ||
		(long long)v->valuedouble < min || (long long)v->valuedouble > max)
		return fallback;
	return (long long)v->valuedouble;
}

bool json_bool(const cJSON *o, const char *key, bool fallback)
{
	const cJSON *v = json_get(o, key);

	return cJSON_IsBool(v) ? (bool)cJSON_IsTrue(v) : fallback;
}

bool json_is_strings(const cJSON *o)
{
	const cJSON *i;

	if (!cJSON_IsArray(o))
		return false;
	cJSON_ArrayForEach (i, o)
		if (!cJSON_IsString(i))
			return false;
	return true;
}
