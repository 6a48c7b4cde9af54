/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.c - counts of requests and bytes per user, verb and resource.
 *
 * Owns: the table.
 * In:   the server, for each request.  Out: JSON for GET /kubesim/stats.
 */
#include "stats.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 500 };

struct stats_user *stats_user(struct stats *s, const char *user)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].user == user || !strcmp(s->v[i].user, user))
			return &s->v[i];
	}
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n] = (struct stats_user){.user = user};
	return &s->v[s->n++];
}

struct stats_count *stats_count(
	struct stats *s, const char *user, const char *verb, const char *resource)
{
	struct stats_user *u = stats_user(s, user);

	if (u->n >= ROWS_MAX)
		resource = "others";
	for (size_t i = 0; i < u->n; i++) {
		if (!strcmp(u->v[i].verb, verb) && !strcmp(u->v[i].resource, resource))
			return &u->v[i];
	}
	u->v = xgrow(u->v, u->n, &u->cap, sizeof(*u->v));
	u->v[u->n] = (struct stats_count){
		.verb = verb, .resource = xstrdup(resource), .first_ns = mono_ns()};
	return &u->v[u->n++];
}

static void user_clear(struct stats_user *u)
{
	for (size_t i = 0; i < u->n; i++)
		free(u->v[i].resource);
	u->n = 0;
	u->bytes_in = u->bytes_out = 0;
}

void stats_reset(struct stats *s)
{
	for (size_t i = 0; i < s->n; i++)
		user_clear(&s->v[i]);
	s->since_ns = mono_ns();
}

static void print_count(const struct stats_count *c, struct text *out)
{
	text_str(out, "{\"verb\":");
	text_json(out, c->verb);
	text_str(out, ",\"resource\":");
	text_json(out, c->resource);
	text_fmt(out,
		",\"n\":%llu,\"bytesIn\":%llu,\"bytesOut\":%llu,\"firstNs\":%llu,\"lastNs\":%llu,"
		"\"codes\":{",
		(unsigned long long)c->n, (unsigned long long)c->bytes_in,
		(unsigned long long)c->bytes_out, (unsigned long long)c->first_ns,
		(unsigned long long)c->last_ns);
	for (int i = 0, first = 1; i < 6; i++) {
		if (!c->codes[i])
			continue;
		text_fmt(out, "%s\"%dxx\":%llu", first ? "" : ",", i,
			(unsigned long long)c->codes[i]);
		first = 0;
	}
	text_str(out, "}}");
}

static void print_user(const struct stats_user *u, struct text *out)
{
	uint64_t requests = 0, watches = 0, reads = 0;

	for (size_t i = 0; i < u->n; i++) {
		const char *verb = u->v[i].verb;

		requests += u->v[i].n;
		if (!strcmp(verb, "watch"))
			watches += u->v[i].n;
		else if (!strcmp(verb, "get") || !strcmp(verb, "list"))
			reads += u->v[i].n;
	}
	text_json(out, u->user);
	text_fmt(out,
		":{\"requests\":%llu,\"reads\":%llu,\"writes\":%llu,\"watchOpens\":%llu,"
		"\"watchesOpen\":%llu,\"bytes\":%llu,\"bytesIn\":%llu,\"bytesOut\":%llu,"
		"\"counts\":[",
		(unsigned long long)requests, (unsigned long long)reads,
		(unsigned long long)(requests - reads - watches), (unsigned long long)watches,
		(unsigned long long)u->watch_open, (unsigned long long)(u->bytes_in + u->bytes_out),
		(unsigned long long)u->bytes_in, (unsigned long long)u->bytes_out);
	for (size_t i = 0; i < u->n; i++) {
		if (i)
			text_char(out, ',');
		print_count(&u->v[i], out);
	}
	text_str(out, "]}");
}

void stats_print(const struct stats *s, struct text *out)
{
	text_fmt(out, "{\"sinceNs\":%llu,\"nowNs\":%llu,\"users\":{",
		(unsigned long long)s->since_ns, (unsigned long long)mono_ns());
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			text_str(out, ",\n");
		print_user(&s->v[i], out);
	}
	text_str(out, "}}\n");
}

void stats_free(struct stats *s)
{
	for (size_t i = 0; i < s->n; i++) {
		user_clear(&s->v[i]);
		free(s->v[i].v);
	}
	free(s->v);
}
