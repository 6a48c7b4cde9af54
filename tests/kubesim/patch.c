/* SPDX-License-Identifier: Apache-2.0
 *
 * patch.c - merge patch, strategic merge patch, JSON patch.
 *
 * In: a tree and a patch.  Out: the tree, patched.
 * RFCs: 7386 (merge), 6902 (JSON patch), 6901 (pointers).
 * Source: apimachinery pkg/util/strategicpatch/patch.go; merge keys from the patchMergeKey tags of
 *       k8s.io/api. A Service port's key is "port" alone: of two with one number it takes the
 * first.
 */
#include "patch.h"

#include <stdlib.h>
#include <string.h>

cJSON *patch_merge(cJSON *target, const cJSON *patch)
{
	const cJSON *p;

	if (!cJSON_IsObject(patch)) {
		cJSON_Delete(target);
		return j_dup(patch);
	}
	if (!cJSON_IsObject(target)) {
		cJSON_Delete(target);
		target = cJSON_CreateObject();
	}
	cJSON_ArrayForEach (p, patch) {
		cJSON *was;

		if (cJSON_IsNull(p)) {
			j_del(target, p->string);
			continue;
		}
		was = j_get(target, p->string);
		if (was && cJSON_IsObject(p) && cJSON_IsObject(was))
			patch_merge(was, p);
		else
			j_set(target, p->string, patch_merge(NULL, p));
	}
	return target;
}

/* -- strategic merge -- */

static const struct {
	const char *list, *key;
} merge_keys[] = {
	{"ports", "port"},
	{"containers", "name"},
	{"initContainers", "name"},
	{"ephemeralContainers", "name"},
	{"env", "name"},
	{"volumes", "name"},
	{"volumeMounts", "mountPath"},
	{"volumeDevices", "devicePath"},
	{"imagePullSecrets", "name"},
	{"secrets", "name"},
	{"hostAliases", "ip"},
	{"conditions", "type"},
	{"addresses", "type"},
	{"ownerReferences", "uid"},
	{"podIPs", "ip"},
	{"topologySpreadConstraints", "topologyKey"},
};

static const char *merge_key(const char *list, const cJSON *sample)
{
	if (!strcmp(list, "ports") && j_get(sample, "containerPort"))
		return "containerPort";
	for (size_t i = 0; i < sizeof(merge_keys) / sizeof(merge_keys[0]); i++) {
		if (!strcmp(merge_keys[i].list, list) && cJSON_IsObject(sample))
			return merge_keys[i].key;
	}
	return NULL;
}

static bool same_element(const cJSON *a, const cJSON *patch, const char *key)
{
	const cJSON *k = j_get(patch, key);

	return k && j_eq(j_get(a, key), k);
}

static cJSON *find_element(const cJSON *list, const cJSON *patch, const char *key)
{
	cJSON *e;

	cJSON_ArrayForEach (e, list) {
		if (same_element(e, patch, key))
			return e;
	}
	return NULL;
}

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static bool directive_is(const cJSON *patch, const char *what)
{
	return !strcmp(j_str(patch, "$patch"), what);
}

static bool holds(const cJSON *list, const cJSON *value)
{
	const cJSON *e;

	cJSON_ArrayForEach (e, list) {
		if (j_eq(e, value))
			return true;
	}
	return false;
}

static void remove_primitives(cJSON *list, const cJSON *gone)
{
	cJSON *e, *next;

	for (e = list ? list->child : NULL; e; e = next) {
		next = e->next;
		if (holds(gone, e))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, e));
	}
}

static void merge_set(cJSON *list, const cJSON *patch)
{
	const cJSON *e;

	cJSON_ArrayForEach (e, patch) {
		if (!holds(list, e))
			cJSON_AddItemToArray(list, j_dup(e));
	}
}

static cJSON *clean_copy(const cJSON *patch)
{
	cJSON *v = cJSON_CreateObject();

	patch_strategic(v, patch);
	return v;
}

static bool list_is_replaced(const cJSON *patch)
{
	const cJSON *p;

	cJSON_ArrayForEach (p, patch) {
		if (directive_is(p, "replace"))
			return true;
	}
	return false;
}

static void merge_list(cJSON *list, const cJSON *patch, const char *key)
{
	const cJSON *p;

	if (list_is_replaced(patch)) {
		while (list->child)
			cJSON_Delete(cJSON_DetachItemViaPointer(list, list->child));
	}
	cJSON_ArrayForEach (p, patch) {
		cJSON *e = find_element(list, p, key);

		if (directive_is(p, "replace"))
			continue;
		if (directive_is(p, "delete")) {
			for (; e; e = find_element(list, p, key))
				cJSON_Delete(cJSON_DetachItemViaPointer(list, e));
		} else if (e) {
			patch_strategic(e, p);
		} else if (cJSON_IsObject(p)) {
			cJSON_AddItemToArray(list, clean_copy(p));
		}
	}
}

/* $setElementOrder/NAME: the elements it names come in its order, then the others. */
static void order_list(cJSON *list, const cJSON *order, const char *key)
{
	cJSON *sorted = cJSON_CreateArray(), *e;
	const cJSON *o;

	cJSON_ArrayForEach (o, order) {
		cJSON_ArrayForEach (e, list) {
			if (key ? same_element(e, o, key) : j_eq(e, o))
				break;
		}
		if (e)
			cJSON_AddItemToArray(sorted, cJSON_DetachItemViaPointer(list, e));
	}
	while (list->child)
		cJSON_AddItemToArray(sorted, cJSON_DetachItemViaPointer(list, list->child));
	list->child = sorted->child;
	sorted->child = NULL;
	cJSON_Delete(sorted);
}

static void merge_array(cJSON *target, const cJSON *p)
{
	const char *key = merge_key(p->string, p->child);
	cJSON *list = j_get(target, p->string);
	bool set = !strcmp(p->string, "finalizers");

	if (!key && !set) {
		j_set(target, p->string, j_dup(p));
		return;
	}
	if (!cJSON_IsArray(list)) {
		j_set(target, p->string, cJSON_CreateArray());
		list = j_get(target, p->string);
	}
	if (set)
		merge_set(list, p);
	else
		merge_list(list, p, key);
}

static void retain_keys(cJSON *target, const cJSON *keys)
{
	cJSON *v, *next;

	for (v = target->child; v; v = next) {
		const cJSON *k;
		bool keep = false;

		next = v->next;
		cJSON_ArrayForEach (k, keys) {
			keep = keep || (cJSON_IsString(k) && !strcmp(k->valuestring, v->string));
		}
		if (!keep)
			cJSON_Delete(cJSON_DetachItemViaPointer(target, v));
	}
}

static void merge_member(cJSON *target, const cJSON *p)
{
	cJSON *was = j_get(target, p->string);

	if (cJSON_IsNull(p) || directive_is(p, "delete")) {
		j_del(target, p->string);
	} else if (cJSON_IsObject(p)) {
		if (directive_is(p, "replace") || !cJSON_IsObject(was))
			j_set(target, p->string, clean_copy(p));
		else
			patch_strategic(was, p);
	} else if (cJSON_IsArray(p)) {
		merge_array(target, p);
	} else {
		j_set(target, p->string, j_dup(p));
	}
}

static void merge_directive(cJSON *target, const cJSON *p)
{
	static const char order[] = "$setElementOrder/", gone[] = "$deleteFromPrimitiveList/";

	if (starts(p->string, gone))
		remove_primitives(j_get(target, p->string + sizeof(gone) - 1), p);
	if (starts(p->string, order)) {
		const char *name = p->string + sizeof(order) - 1;
		cJSON *list = j_get(target, name);

		if (cJSON_IsArray(list))
			order_list(list, p, merge_key(name, p->child));
	}
}

void patch_strategic(cJSON *target, const cJSON *patch)
{
	const cJSON *p;

	if (cJSON_IsArray(j_get(patch, "$retainKeys")))
		retain_keys(target, j_get(patch, "$retainKeys"));
	cJSON_ArrayForEach (p, patch) {
		if (p->string[0] != '$')
			merge_member(target, p);
	}
	cJSON_ArrayForEach (p, patch) {
		if (p->string[0] == '$')
			merge_directive(target, p);
	}
}

/* -- JSON patch -- */

/* One reference token of a pointer, unescaped; s moves past it. False: broken. */
static bool next_token(const char **s, struct text *ret)
{
	text_clear(ret);
	if (**s != '/')
		return false;
	for ((*s)++; **s && **s != '/'; (*s)++) {
		char c = **s;

		if (c == '~') {
			(*s)++;
			if (**s != '0' && **s != '1')
				return false;
			c = **s == '0' ? '~' : '/';
		}
		text_char(ret, c);
	}
	text_need(ret, 0);
	ret->p[ret->n] = '\0';
	return true;
}

static cJSON *element_at(const cJSON *array, const char *token)
{
	uint64_t i;

	if (!parse_u64(token, &i) || i > 1000000)
		return NULL;
	return cJSON_GetArrayItem(array, (int)i);
}

static cJSON *child_at(const cJSON *v, const char *token)
{
	return cJSON_IsArray(v) ? element_at(v, token) : j_get(v, token);
}

/* The value's parent and the last token; false when there is no such parent. */
static bool find_parent(cJSON *root, const char *pointer, cJSON **ret_parent, struct text *token)
{
	cJSON *v = root;

	if (!next_token(&pointer, token))
		return false;
	while (*pointer) {
		v = child_at(v, token->p);
		if (!v || !next_token(&pointer, token))
			return false;
	}
	*ret_parent = v;
	return cJSON_IsObject(v) || cJSON_IsArray(v);
}

static cJSON *value_at(cJSON *root, const char *pointer)
{
	struct text token = {0};
	cJSON *parent = NULL, *v = NULL;

	if (!*pointer)
		return root;
	if (find_parent(root, pointer, &parent, &token))
		v = child_at(parent, token.p);
	text_free(&token);
	return v;
}

/* value is taken over. */
static bool insert_at(cJSON **root, const char *pointer, cJSON *value)
{
	struct text token = {0};
	cJSON *parent = NULL;
	uint64_t i = 0;
	bool ok = false;

	if (!*pointer) {
		cJSON_Delete(*root);
		*root = value;
		return true;
	}
	if (find_parent(*root, pointer, &parent, &token)) {
		ok = true;
		if (cJSON_IsObject(parent))
			j_set(parent, token.p, value);
		else if (!strcmp(token.p, "-"))
			cJSON_AddItemToArray(parent, value);
		else if (parse_u64(token.p, &i) && i <= (uint64_t)cJSON_GetArraySize(parent))
			cJSON_InsertItemInArray(parent, (int)i, value);
		else
			ok = false;
	}
	if (!ok)
		cJSON_Delete(value);
	text_free(&token);
	return ok;
}

static cJSON *detach_at(cJSON *root, const char *pointer)
{
	struct text token = {0};
	cJSON *parent = NULL, *v = NULL;

	if (find_parent(root, pointer, &parent, &token))
		v = child_at(parent, token.p);
	text_free(&token);
	return v ? cJSON_DetachItemViaPointer(parent, v) : NULL;
}

static bool replace_at(cJSON **root, const char *pointer, const cJSON *value)
{
	cJSON *was = value_at(*root, pointer);

	if (!was)
		return false;
	if (*pointer)
		cJSON_Delete(detach_at(*root, pointer));
	return insert_at(root, pointer, j_dup(value));
}

static bool move_or_copy(cJSON **root, const char *from, const char *to, bool move)
{
	cJSON *v = move ? detach_at(*root, from) : j_dup(value_at(*root, from));

	if (!v)
		return false;
	if (v->string) {
		cJSON_free(v->string);
		v->string = NULL;
	}
	return insert_at(root, to, v);
}

static int apply_op(cJSON **root, const cJSON *o)
{
	const char *op = j_str(o, "op"), *path = j_str(o, "path");
	const cJSON *value = j_get(o, "value");
	cJSON *gone;

	if (!cJSON_IsString(j_get(o, "path")))
		return 400;
	if ((!strcmp(op, "add") || !strcmp(op, "replace") || !strcmp(op, "test")) && !value)
		return 400;
	if (!strcmp(op, "add"))
		return insert_at(root, path, j_dup(value)) ? 0 : 422;
	if (!strcmp(op, "replace"))
		return replace_at(root, path, value) ? 0 : 422;
	if (!strcmp(op, "test"))
		return j_eq(value_at(*root, path), value) ? 0 : 422;
	if (!strcmp(op, "move") || !strcmp(op, "copy"))
		return move_or_copy(root, j_str(o, "from"), path, *op == 'm') ? 0 : 422;
	if (strcmp(op, "remove") != 0)
		return 422;
	gone = detach_at(*root, path);
	cJSON_Delete(gone);
	return gone ? 0 : 422;
}

int patch_json(cJSON **target, const cJSON *ops, struct text *err)
{
	const cJSON *o;

	if (!cJSON_IsArray(ops)) {
		text_str(
			err, "json: cannot unmarshal object into Go value of type jsonpatch.Patch");
		return 400;
	}
	cJSON_ArrayForEach (o, ops) {
		int code = apply_op(target, o);

		if (code) {
			text_fmt(err,
				"the server rejected our request due to an error in our "
				"request: %s operation on %.128s failed",
				j_str(o, "op"), j_str(o, "path"));
			return code;
		}
	}
	return 0;
}
