/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c - the state of one API server, and what a write drags along: cluster IPs, the journal,
 * garbage collection, namespaces, CustomResourceDefinitions; saving and loading it all.
 *
 * Owns: struct sim.
 * In:   objects that were validated.  Out: the store, in step with everything else.
 */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_init(struct sim *s, const struct sim_options *options)
{
	*s = (struct sim){.options = *options};
	kinds_init(&s->kinds, options->old);
	store_init(&s->store, options->ring_max);
	ipam_init(&s->ipam, options->port_min, options->port_max);
	journal_init(&s->journal, options->journal_max);
	s->stats.since_ns = mono_ns();
}

void sim_free(struct sim *s)
{
	stats_free(&s->stats);
	journal_free(&s->journal);
	faults_free(&s->faults);
	auth_free(&s->auth);
	ipam_free(&s->ipam);
	store_free(&s->store);
	kinds_free(&s->kinds);
}

struct coll *sim_coll(struct sim *s, const char *group, const char *plural)
{
	return store_coll(&s->store, &s->kinds, kinds_find_any(&s->kinds, group, plural));
}

void sim_new_meta(cJSON *obj)
{
	cJSON *meta = j_obj(obj, "metadata");
	char uid[37], now[32];

	uuid_make(uid);
	time_now(now);
	j_set_str(meta, "uid", uid);
	j_set_str(meta, "creationTimestamp", now);
}

static bool is_kind(const struct coll *c, const char *group, const char *kind)
{
	return !strcmp(c->kind->group, group) && !strcmp(c->kind->kind, kind);
}

struct version *sim_store(struct sim *s, struct coll *c, const char *key, cJSON *obj,
	const char *verb, const char *user)
{
	const struct version *was = store_get(c, key);
	struct version *v;
	cJSON *old = NULL;

	if (is_kind(c, "", "Service")) {
		old = was ? version_parse(was) : NULL;
		ipam_forget(&s->ipam, old);
		ipam_learn(&s->ipam, obj);
		cJSON_Delete(old);
	}
	v = store_put(&s->store, c, key, obj);
	journal_add(&s->journal, c->kind, key, obj, v->rv, verb, user);
	if (is_kind(c, "apiextensions.k8s.io", "CustomResourceDefinition"))
		kinds_add_crd(&s->kinds, obj);
	return v;
}

/* -- deletion -- */

static bool owned_by(const struct version *v, const char *uid)
{
	cJSON *obj = version_parse(v);
	const cJSON *ref;
	bool mine = false;

	cJSON_ArrayForEach (ref, j_at(obj, "metadata.ownerReferences")) {
		mine = mine || !strcmp(j_str(ref, "uid"), uid);
	}
	cJSON_Delete(obj);
	return mine;
}

struct keys {
	char **v; /* owned */
	size_t n, cap;
};

static void keys_add(struct keys *k, const char *key)
{
	k->v = xgrow(k->v, k->n, &k->cap, sizeof(char *));
	k->v[k->n++] = xstrdup(key);
}

static void delete_keys(struct sim *s, struct coll *c, struct keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		if (store_get(c, k->v[i]))
			(void)sim_delete(s, c, k->v[i], "delete", "system:controller");
		free(k->v[i]);
	}
	free(k->v);
}

/* The garbage collector. */
static void collect_garbage(struct sim *s, const char *uid)
{
	for (size_t i = 0; i < s->store.n; i++) {
		struct coll *c = s->store.colls[i];
		struct keys keys = {0};

		if (!c->owned)
			continue;
		for (size_t n = 0; n < c->n; n++) {
			if (c->v[n]->owned && !c->v[n]->deleting && owned_by(c->v[n], uid))
				keys_add(&keys, c->v[n]->key);
		}
		delete_keys(s, c, &keys);
	}
}

/* Objects of a namespace in a collection. */
static size_t ns_keys(const struct coll *c, const char *ns, struct keys *ret)
{
	size_t len = strlen(ns), n = 0;
	struct text prefix = {0};

	if (!(c->kind->flags & KIND_NAMESPACED))
		return 0;
	text_fmt(&prefix, "%s/", ns);
	for (size_t i = coll_find(c, prefix.p); i < c->n; i++) {
		if (strncmp(c->v[i]->key, prefix.p, len + 1) != 0)
			break;
		n++;
		if (ret)
			keys_add(ret, c->v[i]->key);
	}
	text_free(&prefix);
	return n;
}

static size_t ns_left(struct sim *s, const char *ns)
{
	size_t n = 0;

	for (size_t i = 0; i < s->store.n; i++)
		n += ns_keys(s->store.colls[i], ns, NULL);
	return n;
}

/* The last object of a namespace that is going takes the namespace along. */
static void finish_namespace(struct sim *s, const struct version *gone)
{
	struct coll *namespaces = sim_coll(s, "", "namespaces");
	char *ns = xstrndup(gone->key, version_ns_len(gone));
	const struct version *v = *ns ? store_get(namespaces, ns) : NULL;

	if (v && v->deleting && !ns_left(s, ns))
		sim_remove(s, namespaces, ns, "delete", "system:controller");
	free(ns);
}

/* A kind takes its objects along. */
static void empty_kind(struct sim *s, const cJSON *crd)
{
	struct coll *c = sim_coll(s, j_str(crd, "spec.group"), j_str(crd, "spec.names.plural"));
	struct keys keys = {0};

	for (size_t i = 0; c && i < c->n; i++)
		keys_add(&keys, c->v[i]->key);
	if (c)
		delete_keys(s, c, &keys);
}

void sim_remove(struct sim *s, struct coll *c, const char *key, const char *verb, const char *user)
{
	struct version *v = version_ref(store_get(c, key));
	cJSON *obj = v ? version_parse(v) : NULL;
	uint64_t rv;

	if (!v)
		return;
	if (is_kind(c, "", "Service"))
		ipam_forget(&s->ipam, obj);
	if (is_kind(c, "apiextensions.k8s.io", "CustomResourceDefinition")) {
		empty_kind(s, obj);
		kinds_drop_crd(&s->kinds, obj);
	}
	rv = store_delete(&s->store, c, v->key, obj);
	journal_add(&s->journal, c->kind, v->key, obj, rv, verb, user);
	collect_garbage(s, v->uid);
	finish_namespace(s, v);
	cJSON_Delete(obj);
	version_unref(v);
}

static void mark_deleting(struct sim *s, struct coll *c, const char *key, cJSON *obj,
	const char *verb, const char *user)
{
	cJSON *meta = j_obj(obj, "metadata");
	char now[32];

	if (j_has_str(meta, "deletionTimestamp"))
		return;
	time_now(now);
	j_set_str(meta, "deletionTimestamp", now);
	j_set_num(meta, "deletionGracePeriodSeconds", 0);
	if (is_kind(c, "", "Namespace"))
		j_set_str(j_obj(obj, "status"), "phase", "Terminating");
	(void)sim_store(s, c, key, obj, verb, user);
}

static void empty_namespace(struct sim *s, const char *ns)
{
	for (size_t i = 0; i < s->store.n; i++) {
		struct keys keys = {0};

		ns_keys(s->store.colls[i], ns, &keys);
		delete_keys(s, s->store.colls[i], &keys);
	}
}

bool sim_delete(struct sim *s, struct coll *c, const char *key, const char *verb, const char *user)
{
	struct version *v = version_ref(store_get(c, key));
	cJSON *obj = v ? version_parse(v) : NULL;
	bool is_ns = is_kind(c, "", "Namespace"), gone = false;

	if (is_ns && v && ns_left(s, key)) {
		mark_deleting(s, c, key, obj, verb, user);
		/* the last of its objects takes it along; one with a finalizer keeps it */
		empty_namespace(s, key);
		gone = !store_get(c, key);
	} else if (j_len(obj, "metadata.finalizers")) {
		mark_deleting(s, c, key, obj, verb, user);
	} else {
		sim_remove(s, c, key, verb, user);
		gone = true;
	}
	cJSON_Delete(obj);
	version_unref(v);
	return gone;
}

/* -- a new cluster -- */

static void seed(struct sim *s, const char *plural, const char *key, const char *json)
{
	struct coll *c = sim_coll(s, "", plural);
	cJSON *obj = j_parse(json, strlen(json));

	if (!store_get(c, key)) {
		sim_new_meta(obj);
		(void)sim_store(s, c, key, obj, "create", "system:apiserver");
	}
	cJSON_Delete(obj);
}

void sim_seed(struct sim *s)
{
	static const char *const names[] = {
		"default", "kube-node-lease", "kube-public", "kube-system"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct text t = {0};

		text_fmt(&t,
			"{\"metadata\":{\"name\":\"%s\",\"labels\":{\"kubernetes.io/"
			"metadata.name\":"
			"\"%s\"}},\"spec\":{\"finalizers\":[\"kubernetes\"]},"
			"\"status\":{\"phase\":\"Active\"}}",
			names[i], names[i]);
		seed(s, "namespaces", names[i], t.p);
		text_free(&t);
	}
	seed(s, "services", "default/kubernetes",
		"{\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"default\",\"labels\":{"
		"\"component\":\"apiserver\",\"provider\":\"kubernetes\"}},\"spec\":{\"ports\":[{"
		"\"name\":\"https\",\"protocol\":\"TCP\",\"port\":443,\"targetPort\":6443}],"
		"\"clusterIP\":\"10.96.0.1\",\"clusterIPs\":[\"10.96.0.1\"],\"type\":\"ClusterIP\","
		"\"sessionAffinity\":\"None\",\"ipFamilies\":[\"IPv4\"],\"ipFamilyPolicy\":"
		"\"SingleStack\",\"internalTrafficPolicy\":\"Cluster\"},"
		"\"status\":{\"loadBalancer\":{}}}");
}

/* -- persistence -- */

int state_save(struct sim *s, const char *path)
{
	struct text tmp = {0};
	FILE *f;
	int err = 0;

	text_fmt(&tmp, "%s.tmp", path);
	f = fopen(tmp.p, "we");
	if (!f) {
		err = -errno;
		goto out;
	}
	(void)fprintf(f, "{\"resourceVersion\":\"%llu\"}\n", (unsigned long long)s->store.rv);
	for (size_t i = 0; i < s->store.n; i++) {
		const struct coll *c = s->store.colls[i];

		for (size_t n = 0; n < c->n; n++)
			(void)fprintf(f, "%s\t%s\t%s\t%s\n", *c->kind->group ? c->kind->group : "-",
				c->kind->plural, c->v[n]->key, c->v[n]->text);
	}
	if (ferror(f))
		err = -EIO;
	if (fclose(f) || err || rename(tmp.p, path))
		err = err ? err : -errno;
out:
	text_free(&tmp);
	return err;
}

/* "group plural key object", tab-separated. Each keeps its resourceVersion. */
static bool load_line(struct sim *s, char *line)
{
	char *save = NULL, *group = strtok_r(line, "\t", &save);
	const char *plural = strtok_r(NULL, "\t", &save), *key = strtok_r(NULL, "\t", &save);
	const char *text = strtok_r(NULL, "\n", &save);
	const struct kind *k;
	uint64_t rv, now = s->store.rv;
	cJSON *obj;

	if (!text)
		return false;
	k = kinds_find_any(&s->kinds, strcmp(group, "-") ? group : "", plural);
	obj = j_parse(text, strlen(text));
	if (!k || !obj || !parse_u64(j_str(obj, "metadata.resourceVersion"), &rv) || !rv) {
		cJSON_Delete(obj);
		return false;
	}
	s->store.rv = rv - 1;
	(void)sim_store(
		s, store_coll(&s->store, &s->kinds, k), key, obj, "load", "system:apiserver");
	s->store.rv = now;
	cJSON_Delete(obj);
	return true;
}

int state_load(struct sim *s, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int err = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (getline(&line, &cap, f) > 0) {
		cJSON *head = j_parse(line, strlen(line));

		if (!parse_u64(j_str(head, "resourceVersion"), &s->store.rv))
			err = -EINVAL;
		cJSON_Delete(head);
	}
	while (!err && getline(&line, &cap, f) > 0) {
		if (!load_line(s, line))
			err = -EINVAL;
	}
	/* as after a restart of the real one: what was before is too old to watch from */
	for (size_t i = 0; i < s->store.n; i++)
		store_compact(&s->store, s->store.colls[i]);
	free(line);
	(void)fclose(f);
	return err;
}
