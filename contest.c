/* SPDX-License-Identifier: Apache-2.0
 *
 * contest.c - Services whose status another program writes, too: asks the API who it is, and says
 * so.
 *
 * Owns: the Services that wait to be asked about.
 * In:   what the allocator found.  Out: one request each, an Event StatusConflict and a line in the
 * log; of more than DAEMON_MAX_CONTESTS, one for all.
 */
#include "daemon.h"
#include "json.h"
#include "log.h"
#include "rival.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char event_reason[] = "StatusConflict";

struct contest {
	struct daemon *d;
	struct link link; /* while it waits */
	char uid[64];
	char key[CLUSTER_MAX_KEY + 1], namespace_[CLUSTER_MAX_NAME + 1];
	const char *name; /* the end of key */
};

void contest_init(struct daemon *d)
{
	list_init(&d->contests.waiting);
}

void contest_reset(struct daemon *d)
{
	struct link *next;

	for (struct link *l = d->contests.waiting.next; l != &d->contests.waiting; l = next) {
		next = l->next;
		free(CONTAINER_OF(l, struct contest, link));
	}
	list_init(&d->contests.waiting);
	d->contests.n = 0;
	d->contests.many_said = false;
	d->contests.name[0] = '\0';
}

void contest_add(struct daemon *d, const struct alloc_result *r)
{
	struct contest *c;

	if (d->contests.n++ >= DAEMON_MAX_CONTESTS)
		return;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return; /* alloc_why() still knows it */
	c->d = d;
	(void)snprintf(c->uid, sizeof c->uid, "%s", r->uid);
	(void)snprintf(c->key, sizeof c->key, "%s", r->key);
	(void)snprintf(c->namespace_, sizeof c->namespace_, "%s", r->namespace_);
	c->name = c->key + strlen(c->namespace_) + 1;
	list_add(&d->contests.waiting, &c->link);
}

/* name is "" when the API did not say. */
static void say(struct daemon *d, const struct contest *c, const char *name)
{
	const struct event_object o = {.api_version = "v1",
		.kind = "Service",
		.namespace_ = c->namespace_,
		.name = c->name,
		.uid = c->uid,
		.standing = true};
	struct buf words;

	buf_init(&words, EVENT_MAX_MESSAGE);
	rival_words(name, "this Service's status", &words);
	log_warn("alloc", "another program writes this Service's status", "svc", c->key, "by", name,
		"remedy", rival_remedy(name), NULL);
	daemon_event(d, &o, EVENT_WARNING, event_reason, words.p, daemon_now_ms());
	buf_free(&words);
}

/* Once a leadership. */
static void say_many(struct daemon *d, uint64_t now_ms)
{
	struct buf words;
	char what[64];

	d->contests.many_said = true;
	(void)snprintf(
		what, sizeof what, "the status of more than %d Services", DAEMON_MAX_CONTESTS);
	buf_init(&words, EVENT_MAX_MESSAGE);
	rival_words(d->contests.name, what, &words);
	log_warn("alloc", words.p, NULL);
	daemon_node_event(d, EVENT_WARNING, event_reason, words.p, now_ms);
	buf_free(&words);
}

static bool is_told(const struct daemon *d, const struct contest *c, const struct kube_answer *a,
	const cJSON *service, const char *name)
{
	struct addr ips[2];

	if (a->result == -ECANCELED || !d->was_leader)
		return false;
	if (a->status == 200 && service == NULL) /* deleted meanwhile */
		return false;
	/* What stands there now is what we wrote meanwhile. */
	return strcmp(name, "lbd") != 0 ||
	       !rival_shows(service, ips, alloc_holding(d->alloc, c->key, ips));
}

static void on_answer(void *ctx, const struct kube_answer *a)
{
	struct contest *c = ctx;
	struct daemon *d = c->d;
	const cJSON *service = cJSON_GetArrayItem(json_array(a->body, "items"), 0);
	char name[RIVAL_MAX_NAME + 1];

	d->contests.asking = false;
	rival_name(service, name);
	if (is_told(d, c, a, service, name)) {
		(void)snprintf(d->contests.name, sizeof d->contests.name, "%s", name);
		say(d, c, name);
	}
	free(c);
	daemon_mark(d);
}

/* As a list of one: lbd has no right to get Services, and needs none. */
static int ask(struct contest *c)
{
	char path[CLUSTER_MAX_KEY + 64];
	const struct kube_request r = {
		.verb = KUBE_GET,
		.path = path,
		.not_after_ms = TIME_NEVER,
	};

	(void)snprintf(path, sizeof path,
		"/api/v1/namespaces/%s/services?fieldSelector=metadata.name%%3D%s", c->namespace_,
		c->name);
	return kube_request(c->d->kube, &r, on_answer, c);
}

void contest_run(struct daemon *d, uint64_t now_ms)
{
	while (!d->contests.asking && !list_is_empty(&d->contests.waiting)) {
		struct contest *c = CONTAINER_OF(d->contests.waiting.next, struct contest, link);

		list_delete(&c->link);
		d->contests.asking = ask(c) == 0;
		if (d->contests.asking)
			return;
		say(d, c, "");
		free(c);
	}
	if (!d->contests.asking && d->contests.n > DAEMON_MAX_CONTESTS && !d->contests.many_said)
		say_many(d, now_ms);
}
