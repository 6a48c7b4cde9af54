/* SPDX-License-Identifier: Apache-2.0
 *
 * journal.c - the record of all writes.
 *
 * Owns: a ring of entries.
 * In:   journal_add() for each write.  Out: JSON for GET /kubesim/log.
 */
#include "journal.h"

#include <stdlib.h>
#include <string.h>

void journal_init(struct journal *j, size_t max)
{
	*j = (struct journal){.max = max, .next = 1, .first = 1};
}

void journal_free(struct journal *j)
{
	for (uint64_t s = j->first; s < j->next; s++)
		free(j->v[(s - 1) % j->cap].key);
	free(j->v);
}

static void grow(struct journal *j)
{
	size_t cap = j->cap ? j->cap * 2 : 1024;
	struct journal_entry *v;

	if (cap > j->max)
		cap = j->max;
	v = xcalloc(cap, sizeof(*v));
	for (uint64_t s = j->first; j->cap && s < j->next; s++)
		v[(s - 1) % cap] = j->v[(s - 1) % j->cap];
	free(j->v);
	j->v = v;
	j->cap = cap;
}

/* As they are, where there are any. */
static void conditions(const cJSON *obj, struct text *t)
{
	const cJSON *list = j_at(obj, "status.conditions");
	char *s = cJSON_GetArraySize(list) > 0 ? cJSON_PrintUnformatted(list) : NULL;

	if (s) {
		text_str(t, ",\"conditions\":");
		text_str(t, s);
	}
	cJSON_free(s);
}

/* What tests ask about: JSON members without braces. */
static void summary(const struct kind *k, const cJSON *obj, struct text *t)
{
	const cJSON *in;

	if (!strcmp(k->kind, "Service")) {
		bool first = true;

		text_str(t, ",\"type\":");
		text_json(t, j_str(obj, "spec.type"));
		text_str(t, ",\"ips\":[");
		cJSON_ArrayForEach (in, j_at(obj, "status.loadBalancer.ingress")) {
			if (!first)
				text_char(t, ',');
			first = false;
			text_json(t, j_str(in, "ip"));
		}
		text_char(t, ']');
		conditions(obj, t);
	} else if (!strcmp(k->kind, "Lease")) {
		text_str(t, ",\"holder\":");
		text_json(t, j_str(obj, "spec.holderIdentity"));
	} else if (!strcmp(k->kind, "Event")) {
		text_str(t, ",\"reason\":");
		text_json(t, j_str(obj, "reason"));
	}
}

void journal_add(struct journal *j, const struct kind *k, const char *key, const cJSON *obj,
	uint64_t rv, const char *verb, const char *user)
{
	struct text t = {0};

	if (j->next - j->first >= j->cap && j->cap < j->max)
		grow(j);
	if (j->next - j->first >= j->cap) {
		free(j->v[(j->first - 1) % j->cap].key);
		j->first++;
	}
	text_add(&t, key, strlen(key) + 1);
	summary(k, obj, &t);
	j->v[(j->next - 1) % j->cap] = (struct journal_entry){
		.ns = mono_ns(), .rv = rv, .kind = k, .verb = verb, .user = user, .key = t.p};
	j->next++;
}

static void print_entry(const struct journal_entry *e, uint64_t seq, struct text *out)
{
	const char *slash = strchr(e->key, '/');

	text_fmt(out, "{\"seq\":%llu,\"ns\":%llu,\"rv\":%llu,\"verb\":\"%s\",\"resource\":\"%s\"",
		(unsigned long long)seq, (unsigned long long)e->ns, (unsigned long long)e->rv,
		e->verb, e->kind->plural);
	if (slash)
		text_fmt(out, ",\"namespace\":\"%.*s\"", (int)(slash - e->key), e->key);
	text_str(out, ",\"name\":");
	text_json(out, slash ? slash + 1 : e->key);
	text_str(out, ",\"user\":");
	text_json(out, e->user);
	text_str(out, e->key + strlen(e->key) + 1);
	text_char(out, '}');
}

void journal_print(const struct journal *j, uint64_t since, size_t limit, struct text *out)
{
	uint64_t from = since >= j->first ? since + 1 : j->first, to = j->next;

	if (from > to)
		from = to;
	if (to - from > limit)
		to = from + limit;
	text_fmt(out, "{\"first\":%llu,\"last\":%llu,\"now\":%llu,\"entries\":[",
		(unsigned long long)j->first, (unsigned long long)(to - 1),
		(unsigned long long)mono_ns());
	for (uint64_t s = from; s < to; s++) {
		if (s > from)
			text_str(out, ",\n");
		print_entry(&j->v[(s - 1) % j->cap], s, out);
	}
	text_str(out, "]}\n");
}
