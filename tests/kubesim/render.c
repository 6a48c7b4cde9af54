/* SPDX-License-Identifier: Apache-2.0
 *
 * render.c - objects as JSON, Tables and PartialObjectMetadata.
 *
 * In:   versions.  Out: text appended to an answer or a stream.
 * Sources: API concepts ("Receiving resources as Tables"), apiserver handlers/response.go.
 */
#include "render.h"

#include <string.h>

static bool item_is(const char *item, size_t n, const char *what)
{
	return memmem(item, n, what, strlen(what)) != NULL;
}

static bool take_item(struct render *r, const char *item, size_t n)
{
	if (item_is(item, n, "as=Table")) {
		r->form = FORM_TABLE;
		r->meta_version = item_is(item, n, "v=v1beta1") ? "v1beta1" : "v1";
		return item_is(item, n, "json") && item_is(item, n, "g=meta.k8s.io");
	}
	if (item_is(item, n, "as=PartialObjectMetadata")) {
		r->form = FORM_PARTIAL;
		r->meta_version = item_is(item, n, "v=v1beta1") ? "v1beta1" : "v1";
		return item_is(item, n, "json");
	}
	if (item_is(item, n, "as="))
		return false;
	r->form = FORM_JSON;
	return item_is(item, n, "application/json") || item_is(item, n, "*/*") ||
	       item_is(item, n, "application/*");
}

bool render_accept(struct render *r, const char *accept)
{
	r->form = FORM_JSON;
	r->meta_version = "v1";
	if (!*accept)
		return true;
	while (*accept) {
		size_t n = strcspn(accept, ",");

		if (take_item(r, accept, n))
			return true;
		accept += n + (accept[n] == ',');
	}
	return false;
}

/* The object in the asked kind's form. */
static cJSON *tree_of(const struct render *r, const struct version *v)
{
	char version[128];
	cJSON *obj = version_parse(v);

	if (r->kind == r->coll->kind || !obj)
		return obj;
	kind_api_version(r->kind, version, sizeof(version));
	if (r->kind->from_stored)
		r->kind->from_stored(obj);
	j_set_str(obj, "apiVersion", version);
	j_set_str(obj, "kind", r->kind->kind);
	return obj;
}

static void add_json(const struct render *r, const struct version *v, struct text *out)
{
	cJSON *obj;

	if (r->kind == r->coll->kind) {
		text_add(out, v->text, v->len);
		return;
	}
	obj = tree_of(r, v);
	j_print(obj, out);
	cJSON_Delete(obj);
}

static void add_partial(const struct render *r, const cJSON *obj, struct text *out)
{
	text_fmt(out,
		"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\","
		"\"metadata\":",
		r->meta_version);
	j_print(j_get(obj, "metadata"), out);
	text_char(out, '}');
}

/* -- tables -- */

static const struct column plain_columns[] = {
	{"Name", "string", false}, {"Age", "date", false}, {NULL, NULL, false}};

static void add_columns(const struct kind *k, struct text *out)
{
	const struct column *c = k->columns ? k->columns : plain_columns;

	text_str(out, ",\"columnDefinitions\":[");
	for (int i = 0; c[i].name; i++)
		text_fmt(out,
			"%s{\"name\":\"%s\",\"type\":\"%s\",\"format\":\"%s\",\"description\":\"\","
			"\"priority\":%d}",
			i ? "," : "", c[i].name, c[i].type, strcmp(c[i].name, "Name") ? "" : "name",
			c[i].wide);
	text_char(out, ']');
}

static void plain_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	/* a configmap's Data column is its only own one */
	configmap_cells(obj, cells, now);
	cJSON_DeleteItemFromArray(cells, 1);
}

static void add_row(const struct render *r, const struct version *v, time_t now, struct text *out)
{
	cJSON *obj = version_parse(v), *cells = cJSON_CreateArray(), *shown;

	if (r->kind->cells)
		r->kind->cells(obj, cells, now);
	else
		plain_cells(obj, cells, now);
	text_str(out, "{\"cells\":");
	j_print(cells, out);
	if (r->include != INCLUDE_NONE) {
		text_str(out, ",\"object\":");
		shown = r->kind == r->coll->kind ? NULL : tree_of(r, v);
		if (r->include == INCLUDE_OBJECT)
			j_print(shown ? shown : obj, out);
		else
			add_partial(r, obj, out);
		cJSON_Delete(shown);
	}
	text_char(out, '}');
	cJSON_Delete(cells);
	cJSON_Delete(obj);
}

static void table_open(const struct render *r, const struct list_meta *meta, struct text *out)
{
	text_fmt(out,
		"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":{"
		"\"resourceVersion\":\"%llu\"",
		r->meta_version, (unsigned long long)meta->rv);
	if (meta->next)
		text_fmt(out, ",\"continue\":\"%s\"", meta->next);
	if (meta->has_remaining)
		text_fmt(out, ",\"remainingItemCount\":%llu", (unsigned long long)meta->remaining);
	text_char(out, '}');
}

static void add_table(const struct render *r, struct version *const *v, size_t n,
	const struct list_meta *meta, bool columns, struct text *out)
{
	time_t now = time(NULL);

	table_open(r, meta, out);
	if (columns)
		add_columns(r->kind, out);
	else
		text_str(out, ",\"columnDefinitions\":null");
	text_str(out, ",\"rows\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			text_char(out, ',');
		add_row(r, v[i], now, out);
	}
	text_str(out, "]}");
}

static void add_object(const struct render *r, struct version *v, bool first, struct text *out)
{
	const struct list_meta meta = {.rv = v->rv};
	cJSON *obj;

	switch (r->form) {
	case FORM_JSON:
		add_json(r, v, out);
		break;
	case FORM_TABLE:
		add_table(r, &v, 1, &meta, first, out);
		break;
	case FORM_PARTIAL:
		obj = tree_of(r, v);
		add_partial(r, obj, out);
		cJSON_Delete(obj);
		break;
	}
}

void render_object(const struct render *r, struct version *v, struct text *out)
{
	add_object(r, v, true, out);
}

void render_event(const struct render *r, struct version *v, bool first, struct text *out)
{
	add_object(r, v, first, out);
}

/* -- lists -- */

static void add_item(const struct render *r, struct version *v, struct text *out)
{
	const char *item;
	size_t len;

	if (r->form == FORM_PARTIAL || r->kind != r->coll->kind) {
		add_object(r, v, true, out);
		return;
	}
	item = version_item(v, r->kind, &len);
	if (*item != '{')
		text_char(out, '{');
	text_add(out, item, len);
}

void render_list(const struct render *r, struct version *const *v, size_t n,
	const struct list_meta *meta, struct text *out)
{
	char version[128];

	if (r->form == FORM_TABLE) {
		add_table(r, v, n, meta, true, out);
		return;
	}
	if (r->form == FORM_PARTIAL) {
		text_fmt(out,
			"{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":"
			"\"meta.k8s.io/%s\"",
			r->meta_version);
	} else {
		kind_api_version(r->kind, version, sizeof(version));
		text_fmt(out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\"", r->kind->kind, version);
	}
	text_fmt(out, ",\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)meta->rv);
	if (meta->next)
		text_fmt(out, ",\"continue\":\"%s\"", meta->next);
	if (meta->has_remaining)
		text_fmt(out, ",\"remainingItemCount\":%llu", (unsigned long long)meta->remaining);
	text_str(out, "},\"items\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			text_char(out, ',');
		add_item(r, v[i], out);
	}
	text_str(out, "]}\n");
}

void render_bookmark(const struct render *r, uint64_t rv, bool initial_end, struct text *out)
{
	const struct list_meta meta = {.rv = rv};
	char version[128];

	if (r->form == FORM_TABLE) {
		add_table(r, NULL, 0, &meta, false, out);
		return;
	}
	kind_api_version(r->kind, version, sizeof(version));
	text_fmt(out,
		"{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%llu\","
		"\"creationTimestamp\":null%s}}",
		r->form == FORM_PARTIAL ? "PartialObjectMetadata" : r->kind->kind,
		r->form == FORM_PARTIAL ? "meta.k8s.io/v1" : version, (unsigned long long)rv,
		initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}
