/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h - which fields a kind has and of which type, in one string.
 *
 *	fields := field { ',' field };  field := name [ '[]' ] ( ':' type | '{' fields '}' )
 *	type   := s string | i integer | b bool | m map of strings | o any object | x integer or
 *	          string | t metav1.Time | u metav1.MicroTime (exactly six fraction digits)
 *
 * As the real server decodes: an unknown field is dropped (and reported), null is absent, a wrong
 * type is an error.
 */
#ifndef KUBESIM_SCHEMA_H
#define KUBESIM_SCHEMA_H

#include "jsn.h"

struct schema_report {
	struct text error;   /* the first wrong type, as Go words it; empty = none */
	struct text unknown; /* NUL-separated paths of dropped fields */
};

/* Checks and prunes obj, apiVersion, kind and metadata included.  schema NULL: metadata only. */
void schema_apply(const char *schema, cJSON *obj, struct schema_report *ret);
void schema_report_free(struct schema_report *r);

#endif
