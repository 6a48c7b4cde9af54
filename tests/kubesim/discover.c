/* SPDX-License-Identifier: Apache-2.0
 *
 * discover.c - what there is: /api, /apis, /version, health, OpenAPI.
 *
 * In:   the table of kinds.  Out: discovery documents.
 * Sources: API concepts ("API discovery"); kubectl's needs (it refuses apply unless /openapi/v2
 *       answers in protobuf).
 * Not done: aggregated discovery (kubectl falls back), /openapi/v3.
 */
#include "openapi.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void add_list(const char *commas, cJSON *o, const char *key)
{
	char *copy, *save = NULL, *s;
	cJSON *list;

	if (!commas || !*commas)
		return;
	copy = xstrdup(commas);
	list = cJSON_CreateArray();
	for (s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save))
		cJSON_AddItemToArray(list, cJSON_CreateString(s));
	j_set(o, key, list);
	free(copy);
}

static cJSON *resource(const struct kind *k, bool status)
{
	static const char *const all[] = {
		"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
	static const char *const some[] = {"get", "patch", "update"};
	static const char *const one[] = {"create"};
	cJSON *r = cJSON_CreateObject();
	struct text name = {0}, singular = {0};

	text_fmt(&name, "%s%s", k->plural, status ? "/status" : "");
	for (const char *s = k->kind; *s; s++)
		text_char(&singular, (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s));
	j_set_str(r, "name", name.p);
	j_set_str(r, "singularName", status ? "" : singular.p);
	j_set(r, "namespaced", cJSON_CreateBool((k->flags & KIND_NAMESPACED) != 0));
	j_set_str(r, "kind", k->kind);
	if (status)
		j_set(r, "verbs", j_strings(some, 3));
	else if (k->flags & KIND_CREATE_ONLY)
		j_set(r, "verbs", j_strings(one, 1));
	else
		j_set(r, "verbs", j_strings(all, 8));
	if (!status) {
		add_list(k->shorts, r, "shortNames");
		add_list(k->categories, r, "categories");
	}
	text_free(&name);
	text_free(&singular);
	return r;
}

/* False: nothing served there. */
static bool group_version(
	const struct sim *s, const char *group, const char *version, struct text *out)
{
	cJSON *doc = cJSON_CreateObject(), *list = cJSON_CreateArray();
	struct text gv = {0};
	bool any = false;

	for (size_t i = 0; i < s->kinds.n; i++) {
		const struct kind *k = s->kinds.v[i];

		if (strcmp(k->group, group) != 0 || strcmp(k->version, version) != 0 ||
			!kind_is_served(&s->kinds, k))
			continue;
		cJSON_AddItemToArray(list, resource(k, false));
		if (k->flags & KIND_STATUS)
			cJSON_AddItemToArray(list, resource(k, true));
		any = true;
	}
	text_fmt(&gv, "%s%s%s", group, *group ? "/" : "", version);
	j_set_str(doc, "kind", "APIResourceList");
	j_set_str(doc, "apiVersion", "v1");
	j_set_str(doc, "groupVersion", gv.p);
	j_set(doc, "resources", list);
	if (any)
		j_print(doc, out);
	text_free(&gv);
	cJSON_Delete(doc);
	return any;
}

static cJSON *version_entry(const struct kind *k)
{
	cJSON *v = cJSON_CreateObject();
	char gv[128];

	kind_api_version(k, gv, sizeof(gv));
	j_set_str(v, "groupVersion", gv);
	j_set_str(v, "version", k->version);
	return v;
}

static cJSON *find_group(cJSON *groups, const char *name)
{
	cJSON *g;

	cJSON_ArrayForEach (g, groups) {
		if (!strcmp(j_str(g, "name"), name))
			return g;
	}
	g = cJSON_CreateObject();
	j_set_str(g, "name", name);
	j_set(g, "versions", cJSON_CreateArray());
	cJSON_AddItemToArray(groups, g);
	return g;
}

static cJSON *all_groups(const struct sim *s)
{
	cJSON *groups = cJSON_CreateArray();

	for (size_t i = 0; i < s->kinds.n; i++) {
		const struct kind *k = s->kinds.v[i];
		cJSON *g, *v;
		bool known = false;

		if (!*k->group || !kind_is_served(&s->kinds, k))
			continue;
		g = find_group(groups, k->group);
		cJSON_ArrayForEach (v, j_get(g, "versions")) {
			known = known || !strcmp(j_str(v, "version"), k->version);
		}
		if (!known)
			cJSON_AddItemToArray(j_get(g, "versions"), version_entry(k));
		if (!j_get(g, "preferredVersion"))
			j_set(g, "preferredVersion", version_entry(k));
	}
	return groups;
}

static void group_list(const struct sim *s, struct text *out)
{
	cJSON *doc = cJSON_CreateObject();

	j_set_str(doc, "kind", "APIGroupList");
	j_set_str(doc, "apiVersion", "v1");
	j_set(doc, "groups", all_groups(s));
	j_print(doc, out);
	cJSON_Delete(doc);
}

static bool one_group(const struct sim *s, const char *name, struct text *out)
{
	cJSON *groups = all_groups(s), *g, *found = NULL;

	cJSON_ArrayForEach (g, groups) {
		if (!strcmp(j_str(g, "name"), name))
			found = g;
	}
	if (found) {
		j_set_str(found, "kind", "APIGroup");
		j_set_str(found, "apiVersion", "v1");
		j_print(found, out);
	}
	cJSON_Delete(groups);
	return found != NULL;
}

static void version_doc(const struct sim *s, struct text *out)
{
	const char *git = s->options.git_version;
	const char *dot = strchr(git, '.');
	int minor = dot ? (int)strtol(dot + 1, NULL, 10) : 0;

	text_fmt(out, "{\"major\":\"1\",\"minor\":\"%d\",\"gitVersion\":", minor);
	text_json(out, git);
	text_str(out, ",\"gitCommit\":\"\",\"gitTreeState\":\"clean\",\"buildDate\":"
		      "\"2024-12-11T00:00:00Z\",\"goVersion\":\"kubesim\",\"compiler\":\"gcc\","
		      "\"platform\":\"linux/amd64\"}");
}

static bool apis(const struct sim *s, const char *rest, struct text *out)
{
	const char *slash;
	char *group;
	bool ok;

	while (*rest == '/')
		rest++;
	if (!*rest) {
		group_list(s, out);
		return true;
	}
	slash = strchr(rest, '/');
	if (!slash || !slash[1])
		slash = rest + strcspn(rest, "/");
	group = xstrndup(rest, (size_t)(slash - rest));
	ok = *slash && slash[1] ? group_version(s, group, slash + 1, out)
				: one_group(s, group, out);
	free(group);
	return ok;
}

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

void info_handle(struct sim *s, const struct request *r, struct answer *a)
{
	const char *p = r->path;
	bool ok = true;

	a->status = 200;
	a->type = "application/json";
	if (!strcmp(p, "/version")) {
		version_doc(s, &a->body);
	} else if (starts(p, "/healthz") || starts(p, "/livez") || starts(p, "/readyz")) {
		a->type = "text/plain; charset=utf-8";
		text_str(&a->body, "ok");
	} else if (!strcmp(p, "/api") || !strcmp(p, "/api/")) {
		text_str(&a->body, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
				   "\"serverAddressByClientCIDRs\":[]}");
	} else if (starts(p, "/api/")) {
		ok = group_version(s, "", p + 5, &a->body);
	} else if (starts(p, "/apis")) {
		ok = apis(s, p + 5, &a->body);
	} else if (starts(p, "/openapi/v2")) {
		/* an '@' in a media type, as the proper one has, some clients cannot parse */
		a->type = "application/octet-stream";
		openapi_print(&s->kinds, &a->body);
	} else if (!strcmp(p, "/")) {
		text_str(&a->body, "{\"paths\":[\"/api\",\"/apis\",\"/healthz\",\"/version\"]}");
	} else {
		ok = false;
	}
	if (!ok)
		answer_error(a, 404, NULL, "the server could not find the requested resource");
}
