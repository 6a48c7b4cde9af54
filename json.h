/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - the handful of helpers through which every field from outside is read, type-checked.
 * Over cJSON; names compare case-sensitively.  Pure.
 */
#ifndef LBD_JSON_H
#define LBD_JSON_H

#include "base.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* Parses exactly n bytes; NULL on a syntax error, trailing bytes, or out of memory. cJSON_Delete().
 * Control characters between two tokens pass for blanks, as cJSON has it. */
cJSON *json_parse(const char *p, size_t n) MUST_CHECK;
/* All of these take o == NULL and answer "absent" for a missing key or a wrong type. */
const cJSON *json_get(const cJSON *o, const char *key);
const cJSON *json_object(const cJSON *o, const char *key);
const cJSON *json_array(const cJSON *o, const char *key);
const char *json_string(const cJSON *o, const char *key);
/* A whole number within [min, max], else fallback. */
long long json_int(
	const cJSON *o, const char *key, long long min, long long max, long long fallback);
bool json_bool(const cJSON *o, const char *key, bool fallback);
/* Is o an array all of whose elements are strings? */
bool json_is_strings(const cJSON *o);

#endif
