/* SPDX-License-Identifier: Apache-2.0
 *
 * api.c - requests, routes, error answers.
 *
 * In:   a parsed request.  Out: what it is about; metav1.Status objects.
 * Sources: Kubernetes API conventions; apiserver's RequestInfo (verbs), apimachinery api/errors.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MAX = 10 };

void request_free(struct request *r)
{
	free(r->method);
	free(r->path);
	free(r->query);
	free(r->accept);
	free(r->content_type);
	free(r->authorization);
	free(r->user_agent);
}

bool request_set_query(struct request *r, const char *query, size_t n)
{
	char *save = NULL, *item;

	r->query = xstrndup(query, n);
	for (item = strtok_r(r->query, "&", &save); item; item = strtok_r(NULL, "&", &save)) {
		char *value = strchr(item, '=');
		static const char empty[] = "";

		if (r->nparams >= PARAMS_MAX)
			return false;
		if (value)
			*value++ = '\0';
		if (!url_decode(item, true) || (value && !url_decode(value, true)))
			continue; /* as Go's net/url does */
		r->params[r->nparams++] = (struct param){item, value ? value : empty};
	}
	return true;
}

const char *request_param(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->nparams; i++) {
		if (!strcmp(r->params[i].name, name))
			return r->params[i].value;
	}
	return "";
}

bool request_flag(const struct request *r, const char *name)
{
	const char *v = request_param(r, name);

	return !strcmp(v, "1") || !strcmp(v, "true");
}

/* -- routes -- */

struct path {
	char *copy; /* owned */
	char *seg[SEGMENTS_MAX];
	size_t n;
};

static bool path_split(struct path *p, const char *path)
{
	char *save = NULL, *s;

	*p = (struct path){.copy = xstrdup(path)};
	for (s = strtok_r(p->copy, "/", &save); s; s = strtok_r(NULL, "/", &save)) {
		if (p->n >= SEGMENTS_MAX)
			return false;
		p->seg[p->n++] = s;
	}
	return p->n > 0;
}

static const char *verb_of(const struct request *r, const struct route *to)
{
	bool named = to->name != NULL;

	if (to->what != ROUTE_RESOURCE)
		return strcmp(r->method, "GET") ? "other" : "get";
	if (!strcmp(r->method, "GET")) {
		if (request_flag(r, "watch"))
			return "watch";
		return named ? "get" : "list";
	}
	if (!strcmp(r->method, "POST"))
		return "create";
	if (!strcmp(r->method, "PUT"))
		return "update";
	if (!strcmp(r->method, "PATCH"))
		return "patch";
	if (!strcmp(r->method, "DELETE"))
		return named ? "delete" : "deletecollection";
	return "other";
}

/* seg[i...] after the version: [namespaces NS] plural [name [sub]] */
static void route_resource(const struct kinds *ks, const struct path *p, size_t i,
	const char *group, const char *version, struct route *ret)
{
	const struct kind *k = NULL;

	if (p->n - i >= 3 && !strcmp(p->seg[i], "namespaces"))
		k = kinds_find(ks, group, version, p->seg[i + 2]);
	if (k && k->flags & KIND_NAMESPACED) {
		ret->ns = xstrdup(p->seg[i + 1]);
		i += 2;
	} else {
		k = kinds_find(ks, group, version, p->seg[i]);
		/* a namespaced name needs its namespace */
		if (k && k->flags & KIND_NAMESPACED && p->n - i >= 2)
			k = NULL;
	}
	if (!k || p->n - i > 3)
		return;
	ret->kind = k;
	ret->what = ROUTE_RESOURCE;
	if (p->n - i >= 2)
		ret->name = xstrdup(p->seg[i + 1]);
	if (p->n - i >= 3)
		ret->sub = xstrdup(p->seg[i + 2]);
}

static bool is_info(const struct path *p)
{
	static const char *const roots[] = {
		"version", "healthz", "livez", "readyz", "openapi", "api", "apis"};
	size_t limit = !strcmp(p->seg[0], "api") ? 2 : !strcmp(p->seg[0], "apis") ? 3 : 10;

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (!strcmp(p->seg[0], roots[i]))
			return p->n <= limit;
	}
	return false;
}

static void route_label(const struct request *r, struct route *ret)
{
	if (ret->what == ROUTE_RESOURCE)
		(void)snprintf(ret->resource, sizeof(ret->resource), "%s%s%s", ret->kind->plural,
			ret->sub ? "/" : "", ret->sub ? ret->sub : "");
	else
		(void)snprintf(ret->resource, sizeof(ret->resource), "%.128s", r->path);
}

void route_find(const struct kinds *ks, const struct request *r, struct route *ret)
{
	struct path p;

	*ret = (struct route){.what = ROUTE_NONE};
	if (path_split(&p, r->path)) {
		if (!strcmp(p.seg[0], "kubesim"))
			ret->what = ROUTE_ADMIN;
		else if (is_info(&p))
			ret->what = ROUTE_INFO;
		else if (!strcmp(p.seg[0], "api") && p.n >= 3)
			route_resource(ks, &p, 2, "", p.seg[1], ret);
		else if (!strcmp(p.seg[0], "apis") && p.n >= 4)
			route_resource(ks, &p, 3, p.seg[1], p.seg[2], ret);
	} else if (!strcmp(r->path, "/")) {
		ret->what = ROUTE_INFO;
	}
	free(p.copy);
	ret->verb = verb_of(r, ret);
	route_label(r, ret);
}

void route_free(struct route *r)
{
	free(r->ns);
	free(r->name);
	free(r->sub);
}

/* -- answers -- */

void answer_free(struct answer *a)
{
	text_free(&a->headers);
	text_free(&a->body);
}

static const char *usual_reason(int code)
{
	switch (code) {
	case 400:
		return "BadRequest";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "NotFound";
	case 405:
		return "MethodNotAllowed";
	case 406:
		return "NotAcceptable";
	case 409:
		return "Conflict";
	case 410:
		return "Expired";
	case 413:
		return "RequestEntityTooLarge";
	case 415:
		return "UnsupportedMediaType";
	case 422:
		return "Invalid";
	case 429:
		return "TooManyRequests";
	case 500:
		return "InternalError";
	case 503:
		return "ServiceUnavailable";
	case 504:
		return "Timeout";
	default:
		return "Unknown";
	}
}

void status_text(
	struct text *t, int code, const char *reason, const char *message, const cJSON *details)
{
	text_str(t, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		    "\"Failure\",\"message\":");
	text_json(t, message);
	text_fmt(t, ",\"reason\":\"%s\"", reason ? reason : usual_reason(code));
	if (details && details->child) {
		text_str(t, ",\"details\":");
		j_print(details, t);
	}
	text_fmt(t, ",\"code\":%d}", code);
}

void answer_error(struct answer *a, int code, const char *reason, const char *fmt, ...)
{
	struct text t = {0};
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(&t, fmt, ap);
	va_end(ap);
	a->status = code;
	a->type = "application/json";
	text_clear(&a->body);
	status_text(&a->body, code, reason, t.p ? t.p : "", NULL);
	text_char(&a->body, '\n');
	text_free(&t);
}

void answer_error_of(struct answer *a, int code, const char *reason, const struct kind *k,
	const char *name, cJSON *causes, const char *message)
{
	cJSON *details = cJSON_CreateObject();

	if (name && *name)
		j_set_str(details, "name", name);
	if (*k->group)
		j_set_str(details, "group", k->group);
	/* Invalid names the kind, the others the resource: so does the real one */
	j_set_str(details, "kind", code == 422 ? k->kind : k->plural);
	j_set(details, "causes", causes);
	a->status = code;
	a->type = "application/json";
	text_clear(&a->body);
	status_text(&a->body, code, reason, message, details);
	text_char(&a->body, '\n');
	cJSON_Delete(details);
}
