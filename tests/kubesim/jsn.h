/* SPDX-License-Identifier: Apache-2.0
 *
 * jsn.h - the handful of cJSON helpers the rest uses: always case-sensitive, never surprised by a
 * wrong type.
 */
#ifndef KUBESIM_JSN_H
#define KUBESIM_JSN_H

#include "text.h"

#include <cjson/cJSON.h>

/* One whole JSON value, white space around it allowed; NULL otherwise. */
cJSON *j_parse(const char *p, size_t n);
void j_print(const cJSON *v, struct text *ret); /* appended */

/* NULL when o is no object or has no such member. */
cJSON *j_get(const cJSON *o, const char *key);
/* Dotted path of members: "metadata.labels". */
cJSON *j_at(const cJSON *o, const char *path);
/* The string there, or "". */
const char *j_str(const cJSON *o, const char *path);
bool j_has_str(const cJSON *o, const char *path); /* a string that is not empty */
/* The number there, or otherwise. */
double j_num(const cJSON *o, const char *path, double otherwise);
/* The number there cut to an int, or otherwise. */
int j_int(const cJSON *o, const char *path, int otherwise);
bool j_nonzero(const cJSON *o, const char *path); /* a number there, not 0 */
bool j_bool(const cJSON *o, const char *path, bool otherwise);
int j_len(const cJSON *o, const char *path); /* elements of the array or object there, 0 if none */

/* Replace or add; value is taken over. */
void j_set(cJSON *o, const char *key, cJSON *value);
void j_set_str(cJSON *o, const char *key, const char *s);
void j_set_num(cJSON *o, const char *key, double v);
void j_del(cJSON *o, const char *key);
/* The member as an object, made when it is missing or something else. */
cJSON *j_obj(cJSON *o, const char *key);
/* Copy of from's member to o; deleted there when from has none. */
void j_copy(cJSON *o, const cJSON *from, const char *key);
cJSON *j_dup(const cJSON *v);              /* NULL for NULL */
bool j_eq(const cJSON *a, const cJSON *b); /* members in any order; NULL equals NULL */
cJSON *j_strings(const char *const *v, size_t n);
/* An absent, null, "" , {} or [] value. */
bool j_empty(const cJSON *v);
bool j_truthy(const cJSON *v); /* true, not just there */

#endif
