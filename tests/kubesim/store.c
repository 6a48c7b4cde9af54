/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - objects, versions, history.
 *
 * Owns: versions (by reference), collections, event rings.
 * In:   store_put(), store_delete().
 * Out:  store_get(), snapshots, the rings that stream.c reads.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

void store_init(struct store *s, size_t ring_max)
{
	*s = (struct store){.rv = 1, .ring_max = ring_max};
}

static void ring_pop(struct coll *c)
{
	struct event *e = &c->ring[c->first_seq % c->ring_cap];

	c->floor_rv = e->rv;
	c->ring_bytes -= e->now->len;
	version_unref(e->now);
	version_unref(e->prev);
	c->first_seq++;
}

static void coll_free(struct coll *c)
{
	while (c->first_seq < c->next_seq)
		ring_pop(c);
	for (size_t i = 0; i < c->n; i++)
		version_unref(c->v[i]);
	free(c->ring);
	free(c->v);
	free(c);
}

void store_free(struct store *s)
{
	for (size_t i = 0; i < s->n; i++)
		coll_free(s->colls[i]);
	free(s->colls);
}

struct coll *store_coll(struct store *s, const struct kinds *ks, const struct kind *k)
{
	const char *group = k->stored_group ? k->stored_group : k->group;
	struct coll *c;

	for (size_t i = 0; i < s->n; i++) {
		c = s->colls[i];
		if (c->kind == k ||
			(!strcmp(c->kind->group, group) && !strcmp(c->kind->plural, k->plural)))
			return c;
	}
	s->colls = xgrow(s->colls, s->n, &s->cap, sizeof(struct coll *));
	c = xcalloc(1, sizeof(*c));
	c->kind = k->stored_group ? kinds_find_any(ks, group, k->plural) : k;
	c->floor_rv = s->rv;
	s->colls[s->n++] = c;
	return c;
}

/* -- versions -- */

static unsigned add_labels(const cJSON *labels, struct text *t)
{
	const cJSON *v;
	unsigned n = 0;

	cJSON_ArrayForEach (v, labels) {
		if (!cJSON_IsString(v))
			continue;
		text_add(t, v->string, strlen(v->string) + 1);
		text_add(t, v->valuestring, strlen(v->valuestring) + 1);
		n++;
	}
	return n;
}

/* As the field selector code of the real server words them: booleans as true and false. */
static void add_field(const cJSON *obj, const char *path, struct text *t)
{
	const cJSON *v = j_at(obj, path);
	const char *s = "";

	if (cJSON_IsString(v))
		s = v->valuestring;
	else if (!strcmp(path, "spec.unschedulable") || !strcmp(path, "spec.hostNetwork"))
		s = cJSON_IsTrue(v) ? "true" : "false";
	else if (!strcmp(path, "source"))
		s = j_has_str(obj, "source.component") ? j_str(obj, "source.component")
						       : j_str(obj, "reportingComponent");
	else if (!strcmp(path, "name"))
		s = j_str(obj, "metadata.name");
	text_add(t, s, strlen(s) + 1);
}

static void stamp(const struct coll *c, cJSON *obj, uint64_t rv)
{
	struct text t = {0};
	char version[128];

	kind_api_version(c->kind, version, sizeof(version));
	j_del(obj, "apiVersion");
	j_del(obj, "kind");
	cJSON_InsertItemInArray(obj, 0, cJSON_CreateString(version));
	obj->child->string = xstrdup("apiVersion");
	cJSON_InsertItemInArray(obj, 0, cJSON_CreateString(c->kind->kind));
	obj->child->string = xstrdup("kind");
	text_u64(&t, rv);
	j_set_str(j_obj(obj, "metadata"), "resourceVersion", t.p);
	text_free(&t);
}

struct version *version_new(const struct coll *c, const char *key, cJSON *obj, uint64_t rv)
{
	size_t text_len, key_at, labels_at, fields_at, uid_at;
	struct text t = {0};
	struct version *v;
	unsigned nlabels;

	stamp(c, obj, rv);
	j_print(obj, &t);
	text_len = t.n;
	text_char(&t, '\0');
	key_at = t.n;
	text_add(&t, key, strlen(key) + 1);
	labels_at = t.n;
	nlabels = add_labels(j_at(obj, "metadata.labels"), &t);
	fields_at = t.n;
	for (size_t i = 0; i < KIND_FIELDS_MAX && c->kind->fields[i]; i++)
		add_field(obj, c->kind->fields[i], &t);
	uid_at = t.n;
	text_add(&t, j_str(obj, "metadata.uid"), strlen(j_str(obj, "metadata.uid")) + 1);
	v = xcalloc(1, sizeof(*v) + t.n);
	memcpy(v->text, t.p, t.n);
	text_free(&t);
	v->refs = 1;
	v->rv = rv;
	v->len = text_len;
	v->key = v->text + key_at;
	v->labels = v->text + labels_at;
	v->nlabels = nlabels;
	v->fields = v->text + fields_at;
	v->uid = v->text + uid_at;
	v->owned = j_len(obj, "metadata.ownerReferences") > 0;
	v->deleting = j_has_str(obj, "metadata.deletionTimestamp");
	return v;
}

struct version *version_ref(struct version *v)
{
	if (v)
		v->refs++;
	return v;
}

void version_unref(struct version *v)
{
	if (v && --v->refs == 0)
		free(v);
}

cJSON *version_parse(const struct version *v)
{
	return j_parse(v->text, v->len);
}

size_t version_ns_len(const struct version *v)
{
	const char *slash = strchr(v->key, '/');

	return slash ? (size_t)(slash - v->key) : 0;
}

const char *version_name(const struct version *v)
{
	const char *slash = strchr(v->key, '/');

	return slash ? slash + 1 : v->key;
}

const char *version_item(const struct version *v, const struct kind *k, size_t *ret_len)
{
	static const char marks[] = "{\"kind\":\"\",\"apiVersion\":\"\",";
	size_t skip = sizeof(marks) - 1 + strlen(k->kind) + strlen(k->version) +
		      (*k->group ? strlen(k->group) + 1 : 0);

	if (k->flags & KIND_CUSTOM || skip >= v->len) {
		*ret_len = v->len;
		return v->text;
	}
	*ret_len = v->len - skip; /* the caller adds the brace */
	return v->text + skip;
}

/* -- collections -- */

size_t versions_find(struct version *const *v, size_t n, const char *key)
{
	size_t lo = 0, hi = n;

	/* most creations come in order */
	if (hi && strcmp(v[hi - 1]->key, key) < 0)
		return hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(v[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t coll_find(const struct coll *c, const char *key)
{
	return versions_find(c->v, c->n, key);
}

struct version *store_get(const struct coll *c, const char *key)
{
	size_t i = coll_find(c, key);

	return i < c->n && !strcmp(c->v[i]->key, key) ? c->v[i] : NULL;
}

static void ring_grow(struct coll *c)
{
	size_t cap = c->ring_cap ? c->ring_cap * 2 : 64;
	struct event *ring = xcalloc(cap, sizeof(*ring));

	for (uint64_t s = c->first_seq; c->ring_cap && s < c->next_seq; s++)
		ring[s % cap] = c->ring[s % c->ring_cap];
	free(c->ring);
	c->ring = ring;
	c->ring_cap = cap;
}

static void ring_push(struct store *s, struct coll *c, struct event e)
{
	while (c->first_seq < c->next_seq &&
		(c->next_seq - c->first_seq >= s->ring_max || c->ring_bytes > RING_BYTES))
		ring_pop(c);
	if (c->next_seq - c->first_seq >= c->ring_cap)
		ring_grow(c);
	c->ring[c->next_seq % c->ring_cap] = e;
	c->ring_bytes += e.now->len;
	c->next_seq++;
}

struct version *store_put(struct store *s, struct coll *c, const char *key, cJSON *obj)
{
	size_t i = coll_find(c, key);
	bool found = i < c->n && !strcmp(c->v[i]->key, key);
	struct version *v = version_new(c, key, obj, ++s->rv), *prev = NULL;

	if (found) {
		prev = c->v[i];
		c->owned -= prev->owned;
	} else {
		c->v = xgrow(c->v, c->n, &c->cap, sizeof(struct version *));
		memmove(c->v + i + 1, c->v + i, (c->n - i) * sizeof(struct version *));
		c->n++;
	}
	c->v[i] = v;
	c->owned += v->owned;
	ring_push(s, c,
		(struct event){.type = found ? EVENT_MODIFIED : EVENT_ADDED,
			.rv = s->rv,
			.now = version_ref(v),
			.prev = prev});
	return v;
}

uint64_t store_delete(struct store *s, struct coll *c, const char *key, cJSON *obj)
{
	size_t i = coll_find(c, key);
	struct version *prev;

	if (i >= c->n || strcmp(c->v[i]->key, key) != 0)
		return 0;
	prev = c->v[i];
	ring_push(s, c,
		(struct event){.type = EVENT_DELETED,
			.rv = s->rv + 1,
			.now = version_new(c, key, obj, s->rv + 1),
			.prev = prev});
	s->rv++;
	c->owned -= prev->owned;
	c->n--;
	memmove(c->v + i, c->v + i + 1, (c->n - i) * sizeof(struct version *));
	return s->rv;
}

void store_compact(struct store *s, struct coll *c)
{
	while (c->first_seq < c->next_seq)
		ring_pop(c);
	c->floor_rv = ++s->rv;
}

/* -- the past -- */

/* What a key held at the snapshot's version, from the first event after it. */
struct past {
	const char *key;
	struct version *v; /* NULL: not there */
	uint64_t seq;
};

static int past_cmp(const void *a, const void *b)
{
	const struct past *p = a, *q = b;
	int order = strcmp(p->key, q->key);

	if (order)
		return order;
	return p->seq < q->seq ? -1 : p->seq > q->seq;
}

/* One entry per key changed since rv, sorted by key. */
static struct past *collect_past(const struct coll *c, uint64_t rv, size_t *ret_n)
{
	uint64_t from = c->next_seq;
	struct past *past;
	size_t n = 0, kept = 0;

	while (from > c->first_seq && c->ring[(from - 1) % c->ring_cap].rv > rv)
		from--;
	past = xcalloc(c->next_seq - from + 1, sizeof(*past));
	for (uint64_t s = from; s < c->next_seq; s++) {
		const struct event *e = &c->ring[s % c->ring_cap];

		past[n++] = (struct past){.key = e->now->key, .v = e->prev, .seq = s};
	}
	qsort(past, n, sizeof(*past), past_cmp);
	for (size_t i = 0; i < n; i++) {
		if (!kept || strcmp(past[kept - 1].key, past[i].key) != 0)
			past[kept++] = past[i];
	}
	*ret_n = kept;
	return past;
}

static void snapshot_add(struct snapshot *s, struct version *v)
{
	if (!v)
		return;
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(struct version *));
	s->v[s->n++] = version_ref(v);
}

bool store_snapshot(const struct coll *c, uint64_t rv, struct snapshot *ret)
{
	size_t n, i = 0, p = 0;
	struct past *past;

	*ret = (struct snapshot){0};
	if (rv < c->floor_rv)
		return false;
	past = collect_past(c, rv, &n);
	while (i < c->n || p < n) {
		int order;

		if (i >= c->n)
			order = 1;
		else
			order = p < n ? strcmp(c->v[i]->key, past[p].key) : -1;
		if (order < 0) {
			snapshot_add(ret, c->v[i++]);
			continue;
		}
		if (order == 0)
			i++;
		snapshot_add(ret, past[p++].v);
	}
	free(past);
	return true;
}

void snapshot_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++)
		version_unref(s->v[i]);
	free(s->v);
}
