/* SPDX-License-Identifier: Apache-2.0
 *
 * crdwatch.c - configFrom: cluster: the API's objects and the file become the configuration.
 *
 * Owns: the watches of those kinds, the set of objects (crd.c), the file's text.
 * In:   kube.c's callbacks, the file.  Out: configurations in force; Events on objects at fault.
 *
 * A kind that the server does not have counts as empty at first.  One that it had and lost keeps
 * its objects, and a change that is wrong keeps the configuration that was right, as a whole.
 * Without one (a start) what is right alone is announced, and nothing is allocated: an address of a
 * pool that cannot be read must not be taken from its Service.
 */
#include "crd.h"
#include "daemon.h"
#include "json.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	SETTLE_MS = 100, /* after the last change */
	SETTLE_MAX_MS = 1000,
	RETRY_MS = 1000,             /* when out of memory */
	MISSING_MS = 30 * 1000,      /* a kind that is not served is asked for again, */
	MISSING_MAX_MS = 600 * 1000, /* doubled up to this unless it is the first of its group */
	SIBLING_MS = 1000,           /* and so soon once another of its group appeared */
	LACKING_MS = 30 * 1000,
	STATUS_MS = 1000, /* between two looks at what the status should be */
};

enum state {
	STATE_WAITING, /* for the first lists */
	STATE_CURRENT,
	STATE_STALE,   /* what there was before stays in force */
	STATE_PARTIAL, /* there was nothing before: what can be used of it */
};

struct watched {
	struct crdwatch *s; /* borrowed */
	enum crd_kind kind;
	struct kube_watch *w; /* owned; NULL when out of memory */
	unsigned way;         /* of crd_row(kind)->path[] */
	bool synced, listed;
	bool missing;      /* not served */
	bool forbidden;    /* 403 */
	uint64_t again_ms; /* when it is asked for again; TIME_NEVER */
	uint64_t delay_ms;
};

struct crdwatch {
	struct daemon *d; /* borrowed */
	struct crd *set;  /* owned */
	char *text;       /* owned: of the file */
	size_t len;
	struct watched watched[CRD_KINDS];
	enum state state;
	uint64_t generation; /* of the set, when it was last looked at */
	uint64_t first_ms, due_ms;
	char *said; /* owned: the errors that were logged last */
	bool was_teller;
	struct {
		bool leads;
		uint64_t alloc, set; /* alloc_changes(), crd_generation() of the last look */
		char hash[17];       /* of the configuration then */
		uint64_t looked_ms;
	} wanted;
	struct write *write; /* owned by its request; NULL = none under way */
};

/* A status under way. */
struct write {
	struct crdwatch *s; /* borrowed; NULL = gone meanwhile */
	struct daemon *d;
	uint64_t id;
	enum crd_kind kind;
	char name[CONFIG_MAX_NAME + 1];
};

static void start_watch(struct watched *w, unsigned way);

/* -- what changed -- */

/* The next configuration is made SETTLE_MS after the last change. */
static void touch(struct crdwatch *s)
{
	uint64_t now_ms = daemon_now_ms();

	if (s->due_ms == TIME_NEVER)
		s->first_ms = now_ms;
	s->due_ms = time_min(now_ms + SETTLE_MS, s->first_ms + SETTLE_MAX_MS);
	daemon_mark(s->d);
}

static void on_list_begin(void *ctx)
{
	struct watched *w = ctx;

	crd_list_begin(w->s->set, w->kind, daemon_now_ms());
}

static void on_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	struct watched *w = ctx;
	int err = 0;

	if (event == WATCH_DELETED)
		crd_delete(w->s->set, w->kind, obj, daemon_now_ms());
	else
		err = crd_put(w->s->set, w->kind, obj, daemon_now_ms());
	if (err == -EINVAL)
		counter_inc(&w->s->d->counters, COUNTER_WATCH_BAD_OBJECTS);
	else if (err != 0)
		log_limited(LOG_ERROR, "config", "an object of the API was not taken", "kind",
			crd_row(w->kind)->kind, "err", strerror(-err), NULL);
	touch(w->s);
}

/* Its CustomResourceDefinitions come one after the other. */
static void ask_for_siblings(struct crdwatch *s, enum crd_kind kind)
{
	for (size_t i = 0; i < CRD_KINDS; i++) {
		struct watched *w = &s->watched[i];

		if (!w->missing || strcmp(crd_row(w->kind)->group, crd_row(kind)->group) != 0)
			continue;
		w->delay_ms = SIBLING_MS;
		w->again_ms = daemon_now_ms() + SIBLING_MS;
	}
}

static void on_list_end(void *ctx, bool complete)
{
	struct watched *w = ctx;
	bool appeared = w->missing;

	if (!complete)
		return;
	crd_list_end(w->s->set, w->kind, daemon_now_ms());
	w->listed = true;
	w->forbidden = false;
	w->missing = false;
	w->again_ms = TIME_NEVER;
	w->delay_ms = MISSING_MS;
	if (appeared) {
		log_info(
			"config", "the API serves this kind", "kind", crd_row(w->kind)->kind, NULL);
		ask_for_siblings(w->s, w->kind);
	}
	if (crd_is_lacking(w->s->set, w->kind))
		w->again_ms = daemon_now_ms() + LACKING_MS;
	touch(w->s);
}

static void on_synced(void *ctx, bool synced)
{
	struct watched *w = ctx;

	w->synced = synced;
	if (synced)
		touch(w->s);
}

static void note_lost(struct watched *w)
{
	char text[256];

	(void)snprintf(text, sizeof text,
		"the API no longer serves %s: its %zu objects stay in force as they were",
		crd_row(w->kind)->kind, crd_count_of(w->s->set, w->kind));
	log_warn("config", text, NULL);
	daemon_node_event(w->s->d, EVENT_WARNING, "ConfigKindMissing", text, daemon_now_ms());
}

/* The first kind of a group tells whether the group has come; asking for it is the whole price. */
static bool is_first_of_group(enum crd_kind kind)
{
	return kind == CRD_IP_ADDRESS_POOL || kind == CRD_EIP;
}

static void on_missing(void *ctx)
{
	struct watched *w = ctx;
	const struct crd_row *row = crd_row(w->kind);

	if (w->way + 1 < ARRAY_LEN(row->path) && row->path[w->way + 1] != NULL) {
		start_watch(w, w->way + 1);
		return;
	}
	if (!w->missing && crd_count_of(w->s->set, w->kind) > 0)
		note_lost(w);
	crd_keep(w->s->set, w->kind);
	w->missing = true;
	w->again_ms = daemon_now_ms() + w->delay_ms;
	if (!is_first_of_group(w->kind))
		w->delay_ms = time_min(2 * w->delay_ms, MISSING_MAX_MS);
	touch(w->s);
}

/* It may have objects: it is waited for, and the log says which right is missing. */
static void on_forbidden(void *ctx)
{
	struct watched *w = ctx;

	w->forbidden = true;
}

static const struct kube_watch_ops watch_ops = {
	on_list_begin, on_object, on_list_end, on_synced, on_missing, on_forbidden};

static void start_watch(struct watched *w, unsigned way)
{
	const struct crd_row *row = crd_row(w->kind);
	const struct kube_watch_conf conf = {
		.path = row->path[way],
		.field_selector = row->field_selector,
		.required = row->group[0] == '\0',
	};

	kube_unwatch(w->w);
	w->way = way;
	w->synced = false;
	w->w = kube_watch(w->s->d->kube, &conf, &watch_ops, w);
	if (w->w == NULL) {
		w->again_ms = daemon_now_ms() + RETRY_MS;
		log_error("kube", "out of memory: not watched", "path", conf.path, NULL);
	}
}

/* -- lists that are due -- */

static void ask_again(struct watched *w, uint64_t now_ms)
{
	bool again = now_ms >= w->again_ms;

	if (!again && !(w->synced && crd_wants_list(w->s->set, w->kind, now_ms)))
		return;
	w->again_ms = TIME_NEVER;
	if (w->w == NULL || w->way != 0)
		start_watch(w, 0);
	else
		kube_relist(w->w);
}

static bool is_settled(const struct watched *w)
{
	return w->synced || w->missing;
}

static bool is_in_step(const struct crdwatch *s)
{
	for (size_t i = 0; i < CRD_KINDS; i++)
		if (!is_settled(&s->watched[i]))
			return false;
	return true;
}

/* -- the configuration -- */

static void log_errors(struct crdwatch *s, const struct config_report *report)
{
	const char *text = report->errors.p != NULL ? report->errors.p : "";

	if (s->said != NULL && strcmp(s->said, text) == 0)
		return;
	free(s->said);
	s->said = strdup(text);
	reload_log_lines(LOG_ERROR, &report->errors);
	counter_inc(&s->d->counters, COUNTER_CONFIG_REJECTED);
}

static int use(struct crdwatch *s, struct config *conf, enum state state)
{
	enum state before = s->state;
	int err;

	s->state = state;
	err = reload_use(s->d, conf);
	if (err != 0) {
		s->state = before;
		config_free(conf);
	}
	return err;
}

static int take_good(struct crdwatch *s, struct config *conf, const struct config_report *report)
{
	struct daemon *d = s->d;
	int err;

	free(s->said);
	s->said = NULL;
	if ((s->state == STATE_CURRENT || s->state == STATE_STALE) &&
		strcmp(conf->hash, d->conf->hash) == 0) {
		if (s->state == STATE_STALE)
			log_info("config", "is right again, as it was", NULL);
		s->state = STATE_CURRENT;
		config_free(conf);
		return 0;
	}
	reload_log_lines(LOG_WARN, &report->warnings);
	err = use(s, conf, STATE_CURRENT);
	if (err == 0) {
		counter_inc(&d->counters, COUNTER_CONFIG_RELOADS);
		log_info("config", "loaded from the API", "hash", d->conf->hash, NULL);
	}
	return err;
}

static int take_bad(struct crdwatch *s, const struct config_source *file)
{
	bool start = !s->d->synced_once || s->state == STATE_PARTIAL;
	struct config *conf;
	int err;

	if (!start) {
		if (s->state != STATE_STALE)
			log_error("config",
				"objects of the API are wrong: the configuration of "
				"before stays in force",
				NULL);
		s->state = STATE_STALE;
		return 0;
	}
	if (s->state != STATE_PARTIAL)
		log_error("config",
			"objects of the API are wrong, and there is no configuration of "
			"before: the rest of them is announced, nothing is allocated",
			NULL);
	err = crd_config_rest(s->set, file, &conf);
	return err == 0 ? use(s, conf, STATE_PARTIAL) : err;
}

static int make(struct crdwatch *s)
{
	const struct config_source file = {
		.name = s->d->opt->config_path, .text = s->text, .len = s->len};
	struct config_report report;
	struct config *conf = NULL;
	int err;

	config_report_init(&report);
	err = crd_config(s->set, &file, &conf, &report);
	if (err == 0) {
		err = take_good(s, conf, &report);
	} else if (err == -EINVAL) {
		log_errors(s, &report);
		err = take_bad(s, &file);
	}
	config_report_free(&report);
	return err;
}

/* Once, with the first lists: a kind that is not served may be one that was not installed. */
static void log_missing(const struct crdwatch *s)
{
	struct buf b;

	buf_init(&b, 512);
	for (size_t i = 0; i < CRD_KINDS; i++)
		if (s->watched[i].missing)
			buf_addf(&b, "%s%s", b.len > 0 ? ", " : "",
				crd_row(s->watched[i].kind)->kind);
	if (b.len > 0)
		log_info("config", "the API does not serve these kinds: there are none of them",
			"kinds", b.p, NULL);
	buf_free(&b);
}

static void make_if_due(struct crdwatch *s, uint64_t now_ms)
{
	uint64_t generation = crd_generation(s->set);
	bool waiting = s->state == STATE_WAITING;

	if (now_ms < s->due_ms || !is_in_step(s))
		return;
	s->due_ms = TIME_NEVER;
	if (generation == s->generation)
		return;
	if (make(s) != 0) {
		s->first_ms = now_ms;
		s->due_ms = now_ms + RETRY_MS;
		return;
	}
	s->generation = generation;
	if (!waiting)
		return;
	log_missing(s);
	feed_update_synced(s->d);
}

/* -- Events on what is wrong -- */

/* One node is enough: the leader, or where there is none the first that lives. */
static bool is_teller(const struct daemon *d, uint64_t now_ms)
{
	if (leader_is_leader(d->leader, now_ms))
		return true;
	if (leader_holder(d->leader)[0] != '\0' || !d->synced_once)
		return false;
	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		struct elect_member m;

		elect_member_at(d->elect, i, now_ms, &m);
		if (m.liveness == ELECT_ALIVE && strcmp(m.node, d->node) < 0)
			return false;
	}
	return true;
}

static void tell_faults(struct crdwatch *s, uint64_t now_ms)
{
	bool is = is_teller(s->d, now_ms), again = is && !s->was_teller;
	const struct crd_object *o;
	char text[EVENT_MAX_MESSAGE];

	if (again)
		crd_tell_again(s->set);
	s->was_teller = is;
	while (is && (o = crd_next_fault(s->set)) != NULL) {
		(void)snprintf(text, sizeof text, "%s: %s", o->fault,
			s->state == STATE_PARTIAL ? "nothing is allocated until this is right"
						  : "the configuration of before stays in force");
		daemon_event(s->d,
			&(struct event_object){.api_version = crd_row(o->kind)->api_version[0],
				.kind = crd_row(o->kind)->kind,
				.namespace_ = o->namespace_,
				.name = o->name,
				.uid = o->uid,
				.resource_version = o->version,
				.standing = again},
			EVENT_WARNING, "ConfigInvalid", text, now_ms);
	}
}

/* -- status -- */

static bool is_wanted_anew(const struct crdwatch *s)
{
	const struct daemon *d = s->d;

	return !s->wanted.leads || s->wanted.alloc != alloc_changes(d->alloc) ||
	       s->wanted.set != crd_generation(s->set) ||
	       strcmp(s->wanted.hash, d->conf->hash) != 0;
}

/* Level-triggered, and looked at once a second at most: what the leader's allocator says. */
static void want_status(struct crdwatch *s, uint64_t now_ms)
{
	struct daemon *d = s->d;
	bool leads = leader_is_leader(d->leader, now_ms) && alloc_is_ready(d->alloc) &&
		     d->conf->from_cluster;

	if (!leads) {
		if (s->wanted.leads)
			crd_want_nothing(s->set);
		s->wanted.leads = false;
		return;
	}
	if (!is_wanted_anew(s) || now_ms < s->wanted.looked_ms + STATUS_MS)
		return;
	crd_want(s->set, d->alloc, d->conf, now_ms);
	s->wanted.leads = true;
	s->wanted.alloc = alloc_changes(d->alloc);
	s->wanted.set = crd_generation(s->set);
	s->wanted.looked_ms = now_ms;
	(void)snprintf(s->wanted.hash, sizeof s->wanted.hash, "%s", d->conf->hash);
}

static enum crdstat_outcome outcome_of(const struct kube_answer *a)
{
	if (a->result != 0 || a->status >= 500)
		return CRDSTAT_FAILED;
	if (a->status >= 200 && a->status < 300)
		return json_object(a->body, "metadata") != NULL ? CRDSTAT_OK : CRDSTAT_FAILED;
	if (a->status == 404)
		return CRDSTAT_MISSING;
	return a->status == 409 || a->status == 429 ? CRDSTAT_FAILED : CRDSTAT_REFUSED;
}

static void say_not_written(const struct write *w, bool off, const struct kube_answer *a)
{
	const char *why =
		a->err[0] != '\0'
			? a->err
			: "the server drops the fields (an older definition of the kind?)";

	log_limited(LOG_WARN, "kube",
		off ? "the status of this kind is not written any more" : "status not written",
		"kind", crd_row(w->kind)->kind, "name", w->name, "err", why, NULL);
}

static void on_written(void *ctx, const struct kube_answer *a)
{
	struct write *w = ctx;
	enum crdstat_outcome outcome = outcome_of(a);
	bool off;

	if (w->s != NULL) {
		w->s->write = NULL;
		off = crd_write_done(
			w->s->set, w->id, outcome, json_object(a->body, "status"), daemon_now_ms());
		if (off || outcome == CRDSTAT_FAILED)
			say_not_written(w, off, a);
		if (outcome == CRDSTAT_OK)
			counter_inc(&w->d->counters, COUNTER_POOL_STATUS_WRITES);
	}
	daemon_mark(w->d);
	free(w);
}

/* "PATH/namespaces/NS/PLURAL/NAME/status" of what was listed as "PATH/PLURAL". */
static void status_path(const struct crd_object *o, char *path, size_t len)
{
	const char *list = crd_row(o->kind)->path[0];
	const char *plural = strrchr(list, '/');
	bool in_namespace = o->namespace_[0] != '\0';

	(void)snprintf(path, len, "%.*s%s%s%s/%s/status", (int)(plural - list), list,
		in_namespace ? "/namespaces/" : "", o->namespace_, plural, o->name);
}

static int send_status(struct crdwatch *s, const struct crd_write *cw, struct write *w)
{
	struct daemon *d = s->d;
	char path[2 * CONFIG_MAX_NAME + 128];
	const struct kube_request r = {
		.verb = KUBE_MERGE_PATCH,
		.path = path,
		.body = cw->body,
		.not_after_ms = leader_deadline(d->leader),
		.timeout_ms = leader_write_ms(d->leader),
	};

	if (w == NULL || cw->body == NULL)
		return -ENOMEM;
	*w = (struct write){.s = s, .d = d, .id = cw->id, .kind = cw->object->kind};
	(void)snprintf(w->name, sizeof w->name, "%s", cw->object->name);
	status_path(cw->object, path, sizeof path);
	return kube_request(d->kube, &r, on_written, w);
}

void crdwatch_write(struct daemon *d, uint64_t now_ms)
{
	struct crdwatch *s = d->crdwatch;
	struct crd_write cw;
	struct write *w;

	if (s == NULL || d->phase != DAEMON_RUNNING)
		return;
	want_status(s, now_ms);
	if (!s->wanted.leads || s->write != NULL || !crd_next_write(s->set, now_ms, &cw))
		return;
	w = malloc(sizeof *w);
	if (send_status(s, &cw, w) == 0) {
		s->write = w;
	} else {
		free(w);
		crd_write_failed(s->set, cw.id, now_ms);
	}
	cJSON_Delete(cw.body);
}

static uint64_t write_deadline(const struct crdwatch *s)
{
	uint64_t next_ms = TIME_NEVER;

	if (!s->wanted.leads)
		return next_ms;
	if (is_wanted_anew(s))
		next_ms = s->wanted.looked_ms + STATUS_MS;
	return s->write == NULL ? time_min(next_ms, crd_next_write_deadline(s->set)) : next_ms;
}

/* -- for the daemon -- */

static int set_file(struct crdwatch *s, const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	free(s->text);
	s->text = copy;
	s->len = len;
	s->generation = UINT64_MAX; /* none: it is to be made anew */
	touch(s);
	return 0;
}

static void free_all(struct crdwatch *s)
{
	crd_free(s->set);
	free(s->text);
	free(s->said);
	free(s);
}

static int start(struct daemon *d, const char *text, size_t len)
{
	struct crdwatch *s = calloc(1, sizeof *s);

	if (s == NULL)
		return -ENOMEM;
	s->d = d;
	s->due_ms = TIME_NEVER;
	s->set = crd_new();
	if (s->set == NULL || set_file(s, text, len) != 0) {
		free_all(s);
		return -ENOMEM;
	}
	log_info("config", "pools come from the API: waiting for its lists", NULL);
	d->crdwatch = s;
	for (enum crd_kind kind = 0; kind < CRD_KINDS; kind++) {
		s->watched[kind] = (struct watched){
			.s = s, .kind = kind, .again_ms = TIME_NEVER, .delay_ms = MISSING_MS};
		start_watch(&s->watched[kind], 0);
	}
	return 0;
}

int crdwatch_set_file(struct daemon *d, const char *text, size_t len)
{
	return d->crdwatch != NULL ? set_file(d->crdwatch, text, len) : start(d, text, len);
}

void crdwatch_stop(struct daemon *d)
{
	struct crdwatch *s = d->crdwatch;

	if (s == NULL)
		return;
	d->crdwatch = NULL;
	if (s->write != NULL)
		s->write->s = NULL;
	for (size_t i = 0; i < CRD_KINDS; i++)
		kube_unwatch(s->watched[i].w);
	free_all(s);
}

void crdwatch_relist(struct daemon *d)
{
	for (size_t i = 0; d->crdwatch != NULL && i < CRD_KINDS; i++)
		if (d->crdwatch->watched[i].w != NULL)
			kube_relist(d->crdwatch->watched[i].w);
}

bool crdwatch_is_ready(const struct daemon *d)
{
	return d->crdwatch == NULL || d->crdwatch->state != STATE_WAITING;
}

bool crdwatch_is_current(const struct daemon *d)
{
	return d->crdwatch == NULL || d->crdwatch->state == STATE_CURRENT;
}

bool crdwatch_may_allocate(const struct daemon *d)
{
	if (!d->conf->from_cluster)
		return true;
	return d->crdwatch != NULL && d->crdwatch->state != STATE_WAITING &&
	       d->crdwatch->state != STATE_PARTIAL;
}

void crdwatch_run(struct daemon *d, uint64_t now_ms)
{
	struct crdwatch *s = d->crdwatch;

	if (s == NULL || d->phase != DAEMON_RUNNING)
		return;
	for (size_t i = 0; i < CRD_KINDS; i++)
		ask_again(&s->watched[i], now_ms);
	crd_run(s->set, now_ms);
	if (crd_generation(s->set) != s->generation && s->due_ms == TIME_NEVER)
		touch(s);
	make_if_due(s, now_ms);
	tell_faults(s, now_ms);
}

uint64_t crdwatch_next_deadline(const struct daemon *d)
{
	const struct crdwatch *s = d->crdwatch;
	uint64_t next_ms;

	if (s == NULL || d->phase != DAEMON_RUNNING)
		return TIME_NEVER;
	next_ms = is_in_step(s) ? s->due_ms : TIME_NEVER;
	if (!d->opt->dry_run)
		next_ms = time_min(next_ms, write_deadline(s));
	for (size_t i = 0; i < CRD_KINDS; i++) {
		const struct watched *w = &s->watched[i];

		next_ms = time_min(next_ms, w->again_ms);
		if (w->synced)
			next_ms = time_min(next_ms, crd_due(s->set, w->kind));
	}
	return next_ms;
}

/* -- lbd dump -- */

static const char *state_name(enum state state)
{
	switch (state) {
	case STATE_WAITING:
		return "waiting";
	case STATE_CURRENT:
		return "current";
	case STATE_STALE:
		return "stale";
	case STATE_PARTIAL:
		return "partial";
	}
	return "";
}

static const char *watched_name(const struct watched *w)
{
	if (w->synced)
		return "live";
	if (w->missing)
		return w->listed ? "lost" : "not served";
	return w->forbidden ? "forbidden" : "out of step";
}

void crdwatch_dump(const struct daemon *d, cJSON *config)
{
	const struct crdwatch *s = d->crdwatch;
	cJSON *kinds, *faults;

	(void)cJSON_AddStringToObject(config, "from", s != NULL ? "cluster" : "file");
	(void)cJSON_AddStringToObject(
		config, "state", state_name(s != NULL ? s->state : STATE_CURRENT));
	if (s == NULL)
		return;
	kinds = cJSON_AddArrayToObject(config, "kinds");
	for (size_t i = 0; i < CRD_KINDS; i++) {
		const struct watched *w = &s->watched[i];
		cJSON *o = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(o, "kind", crd_row(w->kind)->kind);
		(void)cJSON_AddStringToObject(o, "group", crd_row(w->kind)->group);
		(void)cJSON_AddStringToObject(o, "state", watched_name(w));
		(void)cJSON_AddNumberToObject(o, "objects", (double)crd_count_of(s->set, w->kind));
		cJSON_AddItemToArray(kinds, o);
	}
	faults = cJSON_AddArrayToObject(config, "faults");
	for (size_t i = 0; i < crd_count(s->set); i++) {
		const struct crd_object *at = crd_at(s->set, i);
		cJSON *o;

		if (at->fault == NULL)
			continue;
		o = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(o, "kind", crd_row(at->kind)->kind);
		(void)cJSON_AddStringToObject(o, "namespace", at->namespace_);
		(void)cJSON_AddStringToObject(o, "name", at->name);
		(void)cJSON_AddStringToObject(o, "error", at->fault);
		cJSON_AddItemToArray(faults, o);
	}
}
