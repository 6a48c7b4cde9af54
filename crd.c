/* SPDX-License-Identifier: Apache-2.0
 *
 * crd.c - the API's objects that say which pools there are.
 *
 * Owns: the objects, as JSON text, in the configuration's order.
 * In:   lists, additions, deletions; time.  Out: sources for config.c; which object is at fault.
 */
#include "crd.h"

#include "buf.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_SUBJECT = 3 * CONFIG_MAX_NAME, /* "KIND/NAMESPACE/NAME" */
	MAX_ROUNDS = 16,                   /* of leaving out what is wrong for the lack of others */
};

struct kind_state {
	bool lacking;
	size_t n, n_going;
	uint64_t begun_ms;   /* the list under way, or the last one */
	uint64_t deleted_ms; /* the last deletion */
};

struct crd {
	struct crd_object **v; /* owned, sorted */
	size_t n, cap;
	size_t bytes; /* of all texts */
	struct kind_state kinds[CRD_KINDS];
	uint64_t generation;
	struct crdstat_box box;
};

#define METALLB "/apis/metallb.io/"
#define OPENELB "/apis/network.kubesphere.io/v1alpha2/"

static const struct crd_row rows[CRD_KINDS] = {
	[CRD_IP_ADDRESS_POOL] = {.kind = "IPAddressPool",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta1"},
		.path = {METALLB "v1beta1/ipaddresspools"}},
	[CRD_ADDRESS_POOL] = {.kind = "AddressPool",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta1"},
		.path = {METALLB "v1beta1/addresspools"}},
	[CRD_CONFIG_MAP] = {.kind = "ConfigMap",
		.group = "",
		.api_version = {"v1"},
		.path = {"/api/v1/namespaces/metallb-system/configmaps"},
		.field_selector = "metadata.name=config"},
	[CRD_EIP] = {.kind = "Eip",
		.group = "network.kubesphere.io",
		.api_version = {"network.kubesphere.io/v1alpha2"},
		.path = {OPENELB "eips"}},
	[CRD_L2_ADVERTISEMENT] = {.kind = "L2Advertisement",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta1"},
		.path = {METALLB "v1beta1/l2advertisements"}},
	[CRD_COMMUNITY] = {.kind = "Community",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta1"},
		.path = {METALLB "v1beta1/communities"}},
	[CRD_BFD_PROFILE] = {.kind = "BFDProfile",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta1"},
		.path = {METALLB "v1beta1/bfdprofiles"}},
	[CRD_BGP_ADVERTISEMENT] = {.kind = "BGPAdvertisement",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta1"},
		.path = {METALLB "v1beta1/bgpadvertisements"}},
	[CRD_BGP_PEER] = {.kind = "BGPPeer",
		.group = "metallb.io",
		.api_version = {"metallb.io/v1beta2", "metallb.io/v1beta1"},
		.path = {METALLB "v1beta2/bgppeers", METALLB "v1beta1/bgppeers"}},
	[CRD_OPENELB_CONF] = {.kind = "BgpConf",
		.group = "network.kubesphere.io",
		.api_version = {"network.kubesphere.io/v1alpha2"},
		.path = {OPENELB "bgpconfs"}},
	[CRD_OPENELB_PEER] = {.kind = "BgpPeer",
		.group = "network.kubesphere.io",
		.api_version = {"network.kubesphere.io/v1alpha2"},
		.path = {OPENELB "bgppeers"}},
};

const struct crd_row *crd_row(enum crd_kind kind)
{
	return &rows[kind];
}

/* -- the set -- */

struct crd *crd_new(void)
{
	struct crd *c = calloc(1, sizeof *c);

	if (c != NULL)
		crdstat_box_init(&c->box);
	return c;
}

static void free_object(struct crd *c, struct crd_object *o)
{
	if (o == NULL)
		return;
	free(o->namespace_);
	free(o->name);
	free(o->uid);
	free(o->version);
	free(o->text);
	free(o->subject);
	free(o->fault);
	crdstat_free(&c->box, o->stat);
	free(o);
}

void crd_free(struct crd *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		free_object(c, c->v[i]);
	crdstat_box_free(&c->box);
	free(c->v);
	free(c);
}

static int compare(
	const struct crd_object *o, enum crd_kind kind, const char *namespace_, const char *name)
{
	int by;

	if (o->kind != kind)
		return o->kind < kind ? -1 : 1;
	by = strcmp(o->namespace_, namespace_);
	return by != 0 ? by : strcmp(o->name, name);
}

/* Where it is, or would be. */
static size_t place_of(
	const struct crd *c, enum crd_kind kind, const char *namespace_, const char *name)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(c->v[mid], kind, namespace_, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct crd_object *find(
	const struct crd *c, enum crd_kind kind, const char *namespace_, const char *name)
{
	size_t i = place_of(c, kind, namespace_, name);

	return i < c->n && compare(c->v[i], kind, namespace_, name) == 0 ? c->v[i] : NULL;
}

static int insert(struct crd *c, struct crd_object *o)
{
	size_t i = place_of(c, o->kind, o->namespace_, o->name);
	size_t cap = c->cap > 0 ? c->cap * 2 : 16;

	if (c->n == c->cap) {
		struct crd_object **v = realloc(c->v, cap * sizeof(struct crd_object *));

		if (v == NULL)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	memmove(&c->v[i + 1], &c->v[i], (c->n - i) * sizeof(struct crd_object *));
	c->v[i] = o;
	c->n++;
	c->bytes += o->len;
	c->kinds[o->kind].n++;
	return 0;
}

static void set_going(struct crd *c, struct crd_object *o, bool going, uint64_t now_ms)
{
	struct kind_state *k = &c->kinds[o->kind];

	if (o->going == going)
		return;
	o->going = going;
	k->n_going += going ? 1 : (size_t)-1;
	if (going)
		k->deleted_ms = now_ms;
}

static void drop_going(struct crd *c, enum crd_kind kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct crd_object *o = c->v[i];

		if (o->kind != kind || !o->going) {
			c->v[kept++] = o;
			continue;
		}
		c->bytes -= o->len;
		free_object(c, o);
	}
	c->n = kept;
	c->kinds[kind].n -= c->kinds[kind].n_going;
	c->kinds[kind].n_going = 0;
	c->generation++;
}

static bool has_live(const struct crd *c, enum crd_kind kind)
{
	return c->kinds[kind].n > c->kinds[kind].n_going;
}

/* -- objects -- */

/* A copy of a member of from, if there is one. */
static bool copy_member(cJSON *to, const cJSON *from, const char *key)
{
	const cJSON *v = json_get(from, key);
	cJSON *copy;

	if (v == NULL)
		return true;
	copy = cJSON_Duplicate(v, true);
	if (copy != NULL && cJSON_AddItemToObject(to, key, copy))
		return true;
	cJSON_Delete(copy);
	return false;
}

static bool copy_metadata(cJSON *to, const cJSON *from)
{
	static const char *const keys[] = {"name", "namespace", "labels"};
	static const char is_default[] = "eip.openelb.kubesphere.io/is-default-eip";
	const cJSON *notes = json_object(from, "annotations");
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ok = ok && copy_member(to, from, keys[i]);
	if (ok && json_get(notes, is_default) != NULL)
		ok = copy_member(cJSON_AddObjectToObject(to, "annotations"), notes, is_default);
	return ok;
}

/* As lbd reads it, whatever else the server keeps there; NULL when out of memory.  In a list, the
 * items of core kinds have no kind of their own. */
static char *text_of(enum crd_kind kind, const cJSON *obj)
{
	const struct crd_row *row = &rows[kind];
	const char *version = json_string(obj, "apiVersion");
	cJSON *to = cJSON_CreateObject(), *metadata;
	char *text = NULL;
	bool ok;

	ok = cJSON_AddStringToObject(
		     to, "apiVersion", version != NULL ? version : row->api_version[0]) != NULL &&
	     cJSON_AddStringToObject(to, "kind", row->kind) != NULL;
	metadata = cJSON_AddObjectToObject(to, "metadata");
	ok = ok && metadata != NULL && copy_metadata(metadata, json_object(obj, "metadata")) &&
	     copy_member(to, obj, "spec") && copy_member(to, obj, "data");
	if (ok)
		text = cJSON_PrintUnformatted(to);
	cJSON_Delete(to);
	return text;
}

static char *dup_or_empty(const char *s)
{
	return strdup(s != NULL ? s : "");
}

/* 0 or -ENOMEM; a kind without numbers has none. */
static int make_stat(struct crd_object *o)
{
	if (o->kind == CRD_IP_ADDRESS_POOL)
		o->stat = crdstat_new(CRDSTAT_POOL);
	else if (o->kind == CRD_EIP)
		o->stat = crdstat_new(CRDSTAT_EIP);
	else
		return 0;
	return o->stat != NULL ? 0 : -ENOMEM;
}

/* NULL when out of memory. */
static char *subject_of(const struct crd_object *o)
{
	struct buf b;

	if (o->namespace_ == NULL || o->name == NULL)
		return NULL;
	buf_init(&b, MAX_SUBJECT);
	buf_addf(&b, "%s/%s%s%s", rows[o->kind].kind, o->namespace_,
		*o->namespace_ != '\0' ? "/" : "", o->name);
	return buf_take(&b);
}

static struct crd_object *new_object(struct crd *c, enum crd_kind kind, const cJSON *obj)
{
	const cJSON *metadata = json_object(obj, "metadata");
	struct crd_object *o = calloc(1, sizeof *o);

	if (o == NULL)
		return NULL;
	o->kind = kind;
	o->namespace_ = dup_or_empty(json_string(metadata, "namespace"));
	o->name = dup_or_empty(json_string(metadata, "name"));
	o->uid = dup_or_empty(json_string(metadata, "uid"));
	o->version = dup_or_empty(json_string(metadata, "resourceVersion"));
	o->text = text_of(kind, obj);
	o->subject = subject_of(o);
	if (o->namespace_ == NULL || o->name == NULL || o->uid == NULL || o->version == NULL ||
		o->text == NULL || o->subject == NULL || make_stat(o) != 0) {
		free_object(c, o);
		return NULL;
	}
	o->len = strlen(o->text);
	o->seen = true;
	return o;
}

static bool is_name(const char *s)
{
	return s != NULL && *s != '\0' && strlen(s) <= CONFIG_MAX_NAME;
}

/* Has obj a name, and a namespace if any? */
static bool is_named(const cJSON *obj)
{
	const cJSON *metadata = json_object(obj, "metadata");

	return is_name(json_string(metadata, "name")) &&
	       (json_get(metadata, "namespace") == NULL ||
		       is_name(json_string(metadata, "namespace")));
}

static bool fits(const struct crd *c, const struct crd_object *o, const struct crd_object *was)
{
	if (was == NULL && c->n >= CRD_MAX_OBJECTS)
		return false;
	return c->bytes - (was != NULL ? was->len : 0) + o->len <= CRD_MAX_BYTES;
}

static void observe(struct crd *c, struct crd_object *o, const cJSON *obj, uint64_t now_ms)
{
	if (o->stat != NULL)
		crdstat_observe(&c->box, o->stat, json_object(obj, "status"), now_ms);
}

static void swap(char **a, char **b)
{
	char *s = *a;

	*a = *b;
	*b = s;
}

/* was becomes o, which is freed. */
static void replace(struct crd *c, struct crd_object *was, struct crd_object *o)
{
	if (strcmp(was->text, o->text) != 0) {
		c->generation++;
		was->is_said = false;
	}
	c->bytes += o->len - was->len;
	was->len = o->len;
	was->seen = true;
	set_going(c, was, false, 0);
	swap(&was->text, &o->text);
	swap(&was->uid, &o->uid);
	swap(&was->version, &o->version);
	free_object(c, o);
}

int crd_put(struct crd *c, enum crd_kind kind, const cJSON *obj, uint64_t now_ms)
{
	struct crd_object *o, *was;
	int err = 0;

	if (!is_named(obj))
		return -EINVAL;
	o = new_object(c, kind, obj);
	if (o == NULL) {
		c->kinds[kind].lacking = true;
		return -ENOMEM;
	}
	was = find(c, kind, o->namespace_, o->name);
	if (was != NULL)
		was->seen = true;
	observe(c, was != NULL ? was : o, obj, now_ms);
	if (!fits(c, o, was)) {
		err = -ENOSPC;
	} else if (was != NULL) {
		replace(c, was, o);
		return 0;
	} else {
		err = insert(c, o);
		c->generation += err == 0;
	}
	if (err != 0) {
		c->kinds[kind].lacking = true;
		free_object(c, o);
	}
	return err;
}

void crd_delete(struct crd *c, enum crd_kind kind, const cJSON *obj, uint64_t now_ms)
{
	const cJSON *metadata = json_object(obj, "metadata");
	const char *namespace_ = json_string(metadata, "namespace");
	struct crd_object *o;

	if (!is_named(obj))
		return;
	o = find(c, kind, namespace_ != NULL ? namespace_ : "", json_string(metadata, "name"));
	if (o != NULL)
		set_going(c, o, true, now_ms);
}

void crd_list_begin(struct crd *c, enum crd_kind kind, uint64_t now_ms)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->kind == kind)
			c->v[i]->seen = false;
	c->kinds[kind].begun_ms = now_ms;
	c->kinds[kind].lacking = false;
}

void crd_list_end(struct crd *c, enum crd_kind kind, uint64_t now_ms)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->kind == kind && !c->v[i]->seen)
			set_going(c, c->v[i], true, now_ms);
	if (crd_wants_list(c, kind, c->kinds[kind].begun_ms))
		drop_going(c, kind);
}

void crd_keep(struct crd *c, enum crd_kind kind)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->kind == kind)
			set_going(c, c->v[i], false, 0);
}

/* -- time -- */

uint64_t crd_due(const struct crd *c, enum crd_kind kind)
{
	const struct kind_state *k = &c->kinds[kind];

	if (k->n_going == 0)
		return TIME_NEVER;
	return k->deleted_ms + (has_live(c, kind) ? CRD_DELETED_MS : CRD_EMPTIED_MS);
}

bool crd_wants_list(const struct crd *c, enum crd_kind kind, uint64_t now_ms)
{
	return !has_live(c, kind) && now_ms >= crd_due(c, kind);
}

void crd_run(struct crd *c, uint64_t now_ms)
{
	for (enum crd_kind kind = 0; kind < CRD_KINDS; kind++)
		if (has_live(c, kind) && now_ms >= crd_due(c, kind))
			drop_going(c, kind);
}

bool crd_is_lacking(const struct crd *c, enum crd_kind kind)
{
	return c->kinds[kind].lacking;
}

uint64_t crd_generation(const struct crd *c)
{
	return c->generation;
}

/* -- the configuration -- */

/* What config_parse() is given, and which object each source is. */
struct build {
	struct config_source *src;   /* owned */
	struct config_fault *faults; /* owned; [0] is the file's */
	struct crd_object **object;  /* owned; of src[] */
	bool *left_out;              /* owned; of crd->v */
	size_t n;
};

static void build_free(struct build *b)
{
	free(b->src);
	free(b->faults);
	free(b->object);
	free(b->left_out);
}

static int build_alloc(struct build *b, const struct crd *c)
{
	*b = (struct build){
		.src = calloc(c->n + 1, sizeof *b->src),
		.faults = calloc(c->n + 1, sizeof *b->faults),
		.object = calloc(c->n + 1, sizeof(struct crd_object *)),
		.left_out = calloc(c->n + 1, sizeof *b->left_out),
	};
	if (b->src != NULL && b->faults != NULL && b->object != NULL && b->left_out != NULL)
		return 0;
	build_free(b);
	return -ENOMEM;
}

static void add_source(struct build *b, struct crd_object *o)
{
	b->object[b->n] = o;
	b->src[b->n] = (struct config_source){.name = o->subject, .text = o->text, .len = o->len};
	b->n++;
}

static void add_sources(struct build *b, const struct crd *c)
{
	b->n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (!b->left_out[i])
			add_source(b, c->v[i]);
	memset(b->faults, 0, (b->n + 1) * sizeof *b->faults);
}

static int parse(struct build *b, const struct config_source *file, struct config **ret_conf,
	struct config_report *report)
{
	int err;

	report->faults = b->faults;
	err = config_parse_cluster(file, b->src, b->n, ret_conf, report);
	report->faults = NULL;
	return err;
}

/* The line without the object's own name. */
static char *fault_text(
	const struct config_fault *f, const struct config_report *r, const char *subject)
{
	const char *line = r->errors.p + f->at;
	size_t len = f->len, n = strlen(subject);

	if (len > n + 2 && strncmp(line, subject, n) == 0 && strncmp(line + n, ": ", 2) == 0) {
		line += n + 2;
		len -= n + 2;
	}
	return strndup(line, len);
}

static void note_faults(struct build *b, const struct config_report *r)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct config_fault *f = &b->faults[i + 1];
		struct crd_object *o = b->object[i];
		char *fault = f->len > 0 ? fault_text(f, r, o->subject) : NULL;

		o->is_said &= o->fault != NULL && fault != NULL && strcmp(o->fault, fault) == 0;
		free(o->fault);
		o->fault = fault;
		o->is_bad = f->n_errors > 0;
	}
}

const struct crd_object *crd_next_fault(struct crd *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i]->fault == NULL || c->v[i]->is_said)
			continue;
		c->v[i]->is_said = true;
		return c->v[i];
	}
	return NULL;
}

void crd_tell_again(struct crd *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->v[i]->is_said = false;
}

/* Objects that were not taken: the configuration would be another one than the API has. */
static int check_lacking(const struct crd *c, struct config_report *report)
{
	int err = 0;

	for (enum crd_kind kind = 0; kind < CRD_KINDS; kind++) {
		if (!c->kinds[kind].lacking)
			continue;
		buf_addf(&report->errors,
			"%s: not all were taken: at most %d objects of %d bytes together\n",
			rows[kind].kind, CRD_MAX_OBJECTS, CRD_MAX_BYTES);
		report->n_errors++;
		err = -EINVAL;
	}
	return err;
}

int crd_config(struct crd *c, const struct config_source *file, struct config **ret_conf,
	struct config_report *report)
{
	struct config *conf = NULL;
	struct build b;
	int err, lacking;

	if (build_alloc(&b, c) != 0)
		return -ENOMEM;
	add_sources(&b, c);
	err = parse(&b, file, &conf, report);
	if (err == 0 || err == -EINVAL)
		note_faults(&b, report);
	build_free(&b);
	lacking = check_lacking(c, report);
	if (err == 0)
		err = lacking;
	if (err == 0)
		*ret_conf = conf;
	else
		config_free(conf);
	return err;
}

/* Leaves out what has an error of its own.  False: nothing has. */
static bool leave_out(struct build *b, const struct crd *c)
{
	bool any = false;

	for (size_t i = 0, k = 0; i < c->n; i++) {
		if (b->left_out[i])
			continue;
		b->left_out[i] = b->faults[++k].n_errors > 0;
		any |= b->left_out[i];
	}
	return any;
}

int crd_config_rest(struct crd *c, const struct config_source *file, struct config **ret_conf)
{
	struct config_report report;
	struct build b;
	int err = -EINVAL;

	if (build_alloc(&b, c) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++)
		b.left_out[i] = c->v[i]->is_bad;
	for (unsigned round = 0; err == -EINVAL && round < MAX_ROUNDS; round++) {
		config_report_init(&report);
		add_sources(&b, c);
		err = parse(&b, file, ret_conf, &report);
		if (err == -EINVAL && !leave_out(&b, c))
			round = MAX_ROUNDS;
		config_report_free(&report);
	}
	build_free(&b);
	return err;
}

/* -- reading -- */

size_t crd_count(const struct crd *c)
{
	return c->n;
}

const struct crd_object *crd_at(const struct crd *c, size_t i)
{
	REQUIRE(i < c->n);
	return c->v[i];
}

size_t crd_count_of(const struct crd *c, enum crd_kind kind)
{
	return c->kinds[kind].n;
}

/* -- status -- */

/* The pool that o is in the configuration in force; NULL when it is not in it. */
static const struct config_pool *in_force(const struct crd_object *o, const struct config *conf)
{
	const struct config_pool *p = config_pool_named(conf, o->name);
	enum config_dialect dialect = o->kind == CRD_EIP ? CONFIG_OPENELB : CONFIG_METALLB_CR;

	return p != NULL && p->dialect == dialect && !o->going ? p : NULL;
}

void crd_want(struct crd *c, const struct alloc *a, const struct config *conf, uint64_t now_ms)
{
	for (size_t i = 0; i < c->n; i++) {
		struct crd_object *o = c->v[i];
		const struct config_pool *p = o->stat != NULL ? in_force(o, conf) : NULL;

		if (p != NULL)
			crdstat_want(&c->box, o->stat, a, p, now_ms);
		else if (o->stat != NULL)
			crdstat_want_nothing(o->stat);
	}
}

void crd_want_nothing(struct crd *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->stat != NULL)
			crdstat_want_nothing(c->v[i]->stat);
}

static const struct crd_object *object_of(const struct crd *c, const struct crdstat *stat)
{
	size_t i = 0;

	while (i < c->n && c->v[i]->stat != stat)
		i++;
	REQUIRE(i < c->n);
	return c->v[i];
}

bool crd_next_write(struct crd *c, uint64_t now_ms, struct crd_write *ret_w)
{
	struct crdstat *stat = crdstat_next(&c->box, now_ms, &ret_w->id);

	if (stat == NULL)
		return false;
	ret_w->object = object_of(c, stat);
	ret_w->body = crdstat_patch(stat, ret_w->object->uid);
	return true;
}

bool crd_write_done(struct crd *c, uint64_t id, enum crdstat_outcome outcome, const cJSON *status,
	uint64_t now_ms)
{
	return crdstat_done(&c->box, id, outcome, status, now_ms);
}

void crd_write_failed(struct crd *c, uint64_t id, uint64_t now_ms)
{
	/* What fails here is no sign of the kind's. */
	REQUIRE(!crdstat_done(&c->box, id, CRDSTAT_FAILED, NULL, now_ms));
}

uint64_t crd_next_write_deadline(const struct crd *c)
{
	return crdstat_next_deadline(&c->box);
}
