/* SPDX-License-Identifier: Apache-2.0
 *
 * fault.c - the table of faults.
 *
 * Owns: the faults.
 * In:   POST and DELETE /kubesim/fault; each request, to be matched.
 * Out:  the fault a request meets; server.c and sim.c act on it.
 */
#include "fault.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS_MAX = 1000 };

static const struct {
	const char *name;
	enum fault_kind kind;
	int code;
} names[] = {
	{"drop", FAULT_DROP, 0},
	{"delay", FAULT_DELAY, 0},
	{"half-open", FAULT_HALF_OPEN, 0},
	{"401", FAULT_STATUS, 401},
	{"403", FAULT_STATUS, 403},
	{"404", FAULT_STATUS, 404},
	{"409", FAULT_STATUS, 409},
	{"410", FAULT_STATUS, 410},
	{"429", FAULT_STATUS, 429},
	{"500", FAULT_STATUS, 500},
	{"503", FAULT_STATUS, 503},
	{"504", FAULT_STATUS, 504},
	{"garbage", FAULT_GARBAGE, 0},
	{"garbage-http", FAULT_GARBAGE_HTTP, 0},
	{"byte-at-a-time", FAULT_SLOW, 0},
	{"truncate", FAULT_TRUNCATE, 0},
	{"close", FAULT_CLOSE, 0},
	{"lost-answer", FAULT_LOST_ANSWER, 0},
	{"mute", FAULT_MUTE, 0},
	{"stale-list", FAULT_STALE_LIST, 0},
	{"oversize", FAULT_OVERSIZE, 0},
	{"freeze", FAULT_FREEZE, 0},
	{"cut", FAULT_CUT, 0},
	{"compact", FAULT_COMPACT, 0},
};

static const char *const garbage[] = {
	"this is not JSON",
	"{\"kind\":\"ServiceList\",\"items\":[",
	"[]",
	"null",
	"{\"kind\":\"ServiceList\",\"metadata\":{},\"items\":\"none\"}",
	"{\"kind\":\"ServiceList\",\"metadata\":7,\"items\":[7,null,{\"spec\":[]}]}",
	"{\"type\":\"ADDED\",\"object\":7}",
	"{\"type\":\"NONSENSE\",\"object\":{}}",
	"\x80\x81\xfe\xff\x01\x02",
	"{\"\\u0000\":\"\\ud800\"}",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
};

void match_free(struct match *m)
{
	free(m->verb);
	free(m->path);
	free(m->user);
}

static char *dup_or_null(const cJSON *spec, const char *key)
{
	return j_has_str(spec, key) ? xstrdup(j_str(spec, key)) : NULL;
}

bool match_parse(const cJSON *spec, struct match *ret)
{
	const cJSON *v;

	*ret = (struct match){0};
	if (spec && !cJSON_IsObject(spec))
		return false;
	cJSON_ArrayForEach (v, spec) {
		if (!cJSON_IsString(v) ||
			(strcmp(v->string, "verb") != 0 && strcmp(v->string, "path") != 0 &&
				strcmp(v->string, "user") != 0))
			return false;
	}
	ret->verb = dup_or_null(spec, "verb");
	ret->path = dup_or_null(spec, "path");
	ret->user = dup_or_null(spec, "user");
	return true;
}

static bool glob(const char *pattern, const char *s)
{
	if (strpbrk(pattern, "*?["))
		return fnmatch(pattern, s, 0) == 0;
	return !strncmp(pattern, s, strlen(pattern));
}

bool match_is(const struct match *m, const char *verb, const char *path, const char *user)
{
	if (m->verb && fnmatch(m->verb, verb, 0) != 0)
		return false;
	if (m->path && !glob(m->path, path))
		return false;
	return !m->user || fnmatch(m->user, user, 0) == 0;
}

static void fault_free(struct fault *f)
{
	match_free(&f->match);
	free(f->name);
	free(f->body);
	free(f);
}

static bool known_members(const cJSON *spec, struct text *err)
{
	static const char *const known[] = {"kind", "match", "count", "delayMs", "retryAfterS",
		"probability", "seed", "bytes", "everyMs", "rv", "body", "before", "reset"};
	const cJSON *v;

	cJSON_ArrayForEach (v, spec) {
		bool found = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found = found || !strcmp(known[i], v->string);
		if (found)
			continue;
		text_fmt(err, "unknown member \"%.64s\"", v->string);
		return false;
	}
	return true;
}

static uint64_t number(const cJSON *spec, const char *key, double otherwise)
{
	double v = j_num(spec, key, otherwise);

	return v > 0 && v < 1e15 ? (uint64_t)v : 0;
}

static void fault_fill(struct fault *f, const cJSON *spec, uint64_t rv)
{
	bool slow = f->kind == FAULT_SLOW || f->kind == FAULT_DELAY;

	f->count = number(spec, "count", 0);
	f->delay_ms = number(spec, "delayMs", slow ? 1000 : 0);
	f->retry_after_s = number(spec, "retryAfterS", 1);
	f->bytes = number(spec, "bytes", 16.0 * 1024 * 1024);
	f->every_ms = number(spec, "everyMs", 0);
	f->next_ms = f->every_ms ? mono_ms() + f->every_ms : UINT64_MAX;
	f->probability = j_num(spec, "probability", 1);
	f->rng = number(spec, "seed", 1) * 2 + 1;
	f->rv = number(spec, "rv", (double)rv);
	f->body = dup_or_null(spec, "body");
	f->before = j_bool(spec, "before", false);
	f->reset = j_bool(spec, "reset", false);
}

struct fault *fault_add(struct faults *f, const cJSON *spec, uint64_t rv, struct text *err)
{
	const char *kind = j_str(spec, "kind");
	struct fault *one;
	size_t i = 0;

	while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i].name, kind) != 0)
		i++;
	if (i == sizeof(names) / sizeof(names[0]) || f->n >= FAULTS_MAX) {
		text_fmt(err, f->n >= FAULTS_MAX ? "too many faults" : "unknown kind \"%.64s\"",
			kind);
		return NULL;
	}
	if (!known_members(spec, err))
		return NULL;
	one = xcalloc(1, sizeof(*one));
	one->kind = names[i].kind;
	one->code = names[i].code;
	one->name = xstrdup(kind);
	if (!match_parse(j_get(spec, "match"), &one->match)) {
		text_str(err, "match: {verb, path, user}, strings");
		fault_free(one);
		return NULL;
	}
	fault_fill(one, spec, rv);
	one->id = ++f->next_id;
	f->v = xgrow(f->v, f->n, &f->cap, sizeof(struct fault *));
	f->v[f->n++] = one;
	return one;
}

bool fault_remove(struct faults *f, unsigned id, void (*gone)(void *ctx, struct fault *), void *ctx)
{
	size_t kept = 0, n = f->n;

	for (size_t i = 0; i < n; i++) {
		struct fault *one = f->v[i];

		if (id && one->id != id) {
			f->v[kept++] = one;
			continue;
		}
		if (gone)
			gone(ctx, one);
		fault_free(one);
	}
	f->n = kept;
	return kept < n || !id;
}

static bool dice(struct fault *f)
{
	/* SplitMix64: the same seed gives the same faults */
	uint64_t z = f->rng += 0x9e3779b97f4a7c15u;

	if (f->probability >= 1)
		return true;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1.0p-53 < f->probability;
}

struct fault *fault_meet(struct faults *f, const char *verb, const char *path, const char *user)
{
	for (size_t i = 0; i < f->n; i++) {
		struct fault *one = f->v[i];

		if (one->kind == FAULT_CUT || (one->count && one->hits >= one->count))
			continue;
		if (!match_is(&one->match, verb, path, user) || !dice(one))
			continue;
		if (one->kind == FAULT_STALE_LIST && strcmp(verb, "list") != 0 &&
			strcmp(verb, "get") != 0)
			continue;
		one->hits++;
		return one;
	}
	return NULL;
}

const char *fault_garbage(struct fault *f)
{
	if (f->body)
		return f->body;
	return garbage[(f->hits - 1) % (sizeof(garbage) / sizeof(garbage[0]))];
}

void faults_print(const struct faults *f, struct text *out)
{
	text_str(out, "{\"faults\":[");
	for (size_t i = 0; i < f->n; i++)
		text_fmt(out, "%s{\"id\":%u,\"kind\":\"%s\",\"hits\":%llu,\"count\":%llu}",
			i ? "," : "", f->v[i]->id, f->v[i]->name, (unsigned long long)f->v[i]->hits,
			(unsigned long long)f->v[i]->count);
	text_str(out, "]}\n");
}

void faults_free(struct faults *f)
{
	fault_remove(f, 0, NULL, NULL);
	free(f->v);
}

uint64_t faults_next_ms(const struct faults *f)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i]->kind == FAULT_CUT && f->v[i]->next_ms < next)
			next = f->v[i]->next_ms;
	}
	return next;
}
