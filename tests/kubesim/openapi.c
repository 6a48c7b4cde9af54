/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.c - as much of /openapi/v2 as kubectl 1.20 wants before "diff" and "apply
 * --dry-run=server": that each kind's PATCH has the parameter dryRun.  No definitions: nothing is
 * validated at the client.
 *
 * Out:     an openapi_v2.Document in protobuf.
 * Source:  gnostic openapiv2/OpenAPIv2.proto (field numbers); kubectl pkg/util/openapi/dryrun.go.
 */
#include "openapi.h"

#include <string.h>

enum {
	DOCUMENT_SWAGGER = 1,
	DOCUMENT_PATHS = 8,
	PATHS_PATH = 2,
	NAMED_NAME = 1, /* of a NamedPathItem and a NamedAny */
	NAMED_VALUE = 2,
	PATH_PATCH = 8,
	OPERATION_PARAMETERS = 8,
	OPERATION_EXTENSION = 13,
	ANY_YAML = 2,
	ITEM_PARAMETER = 1,
	PARAMETER_NON_BODY = 2,
	NON_BODY_QUERY = 3,
	QUERY_NAME = 4,
};

static void varint(struct text *t, size_t v)
{
	for (; v > 0x7f; v >>= 7)
		text_char(t, (char)(0x80 | (v & 0x7f)));
	text_char(t, (char)v);
}

static void add_string(struct text *t, unsigned number, const char *s)
{
	size_t n = strlen(s);

	varint(t, (size_t)number << 3 | 2);
	varint(t, n);
	text_add(t, s, n);
}

/* What t holds becomes the only field of a message. */
static void wrap(struct text *t, unsigned number)
{
	struct text outer = {0};

	varint(&outer, (size_t)number << 3 | 2);
	varint(&outer, t->n);
	text_add(&outer, t->p, t->n);
	text_free(t);
	*t = outer;
}

static void add_message(struct text *t, struct text *message)
{
	text_add(t, message->p, message->n);
	text_free(message);
}

static void add_dry_run(struct text *operation)
{
	struct text t = {0};

	add_string(&t, QUERY_NAME, "dryRun");
	wrap(&t, NON_BODY_QUERY);
	wrap(&t, PARAMETER_NON_BODY);
	wrap(&t, ITEM_PARAMETER);
	wrap(&t, OPERATION_PARAMETERS);
	add_message(operation, &t);
}

static void add_kind(struct text *operation, const struct kind *k)
{
	struct text t = {0}, yaml = {0}, value = {0};

	text_fmt(&yaml, "{group: \"%s\", version: %s, kind: %s}", k->group, k->version, k->kind);
	add_string(&value, ANY_YAML, yaml.p);
	wrap(&value, NAMED_VALUE);
	add_string(&t, NAMED_NAME, "x-kubernetes-group-version-kind");
	add_message(&t, &value);
	wrap(&t, OPERATION_EXTENSION);
	add_message(operation, &t);
	text_free(&yaml);
}

static void add_path(struct text *document, const struct kind *k)
{
	struct text item = {0}, t = {0};

	add_dry_run(&item);
	add_kind(&item, k);
	wrap(&item, PATH_PATCH);
	wrap(&item, NAMED_VALUE);
	add_string(&t, NAMED_NAME, k->plural);
	add_message(&t, &item);
	wrap(&t, PATHS_PATH);
	wrap(&t, DOCUMENT_PATHS); /* parts of one message in many pieces are one message */
	add_message(document, &t);
}

void openapi_print(const struct kinds *kinds, struct text *out)
{
	add_string(out, DOCUMENT_SWAGGER, "2.0");
	for (size_t i = 0; i < kinds->n; i++)
		add_path(out, kinds->v[i]);
}
