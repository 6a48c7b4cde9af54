/* SPDX-License-Identifier: Apache-2.0
 *
 * rights.c - what the API server refuses with 403, in the words of an RBAC rule.
 *
 * Owns: the rights that were refused, whether they still are, and when that was said.
 * In:   requests (verb, path) and whether the server let them through.
 * Out:  what is to be said, once.
 * Sources: Kubernetes "Authorization Overview" (request verbs), "API Concepts" (resource URIs),
 *       "Using RBAC Authorization" (subresources).
 */
#include "rights.h"

#include <stdio.h>
#include <string.h>

struct refused {
	struct refused *next; /* owned */
	uint64_t said_ms;
	bool refused; /* still */
	bool said;    /* since it was last allowed */
	char text[];  /* "list services" */
};

/* A piece of a path between two slashes. */
struct segment {
	const char *p;
	size_t len;
};

/* -- what a request needs -- */

/* Takes the next segment off *path.  False: there is none. */
static bool take(const char **path, struct segment *ret_s)
{
	const char *p = *path;

	if (*p != '/' || p[1] == '\0' || p[1] == '?')
		return false;
	p++;
	*ret_s = (struct segment){p, strcspn(p, "/?")};
	*path = p + ret_s->len;
	return ret_s->len > 0;
}

static bool is(const struct segment *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

/* "/api/v1" or "/apis/GROUP/VERSION"; the core group has no name. */
static bool take_group(const char **path, struct segment *ret_group)
{
	struct segment root, version;

	*ret_group = (struct segment){"", 0};
	if (!take(path, &root))
		return false;
	if (is(&root, "apis") && !take(path, ret_group))
		return false;
	return (is(&root, "api") || is(&root, "apis")) && take(path, &version);
}

/* As kubectl prints it: "RESOURCE/SUBRESOURCE.GROUP", what is empty left out. */
static bool put_resource(struct right *r, const struct segment *resource,
	const struct segment *subresource, const struct segment *group)
{
	const int n =
		snprintf(r->resource, sizeof r->resource, "%.*s%s%.*s%s%.*s", (int)resource->len,
			resource->p, subresource->len > 0 ? "/" : "", (int)subresource->len,
			subresource->p, group->len > 0 ? "." : "", (int)group->len, group->p);

	return n > 0 && (size_t)n < sizeof r->resource;
}

static const char *verb_word(enum right_verb verb, bool named)
{
	switch (verb) {
	case RIGHT_GET:
		return named ? "get" : "list";
	case RIGHT_WATCH:
		return "watch";
	case RIGHT_CREATE:
		return "create";
	case RIGHT_UPDATE:
		return "update";
	case RIGHT_PATCH:
		return "patch";
	case RIGHT_DELETE:
		return "delete";
	}
	return "";
}

bool right_of(enum right_verb verb, const char *path, struct right *ret_right)
{
	struct segment group, resource, name = {"", 0}, sub = {"", 0}, more;
	struct right r = {.verb = ""};
	const char *at = path;

	if (!take_group(&at, &group) || !take(&at, &resource))
		return false;
	if (take(&at, &name) && is(&resource, "namespaces") && take(&at, &more)) {
		if (name.len >= sizeof r.namespace_)
			return false;
		memcpy(r.namespace_, name.p, name.len);
		resource = more;
		name.len = 0;
		(void)take(&at, &name);
	}
	(void)take(&at, &sub);
	r.verb = verb_word(verb, name.len > 0);
	if (!put_resource(&r, &resource, &sub, &group))
		return false;
	*ret_right = r;
	return true;
}

/* -- which are refused -- */

/* The namespace does not count: one rule gives a right in all of them, or in the only one. */
static bool same(const struct refused *f, const struct right *what)
{
	const size_t n = strlen(what->verb);

	return strncmp(f->text, what->verb, n) == 0 && f->text[n] == ' ' &&
	       strcmp(f->text + n + 1, what->resource) == 0;
}

static struct refused *find(const struct rights *r, const struct right *what)
{
	struct refused *f = r->first;

	while (f != NULL && !same(f, what))
		f = f->next;
	return f;
}

static struct refused *add(struct rights *r, const struct right *what)
{
	const size_t len = strlen(what->verb) + 1 + strlen(what->resource) + 1;
	struct refused *f = r->n < RIGHTS_MAX ? calloc(1, sizeof *f + len) : NULL;

	if (f == NULL)
		return NULL;
	(void)snprintf(f->text, len, "%s %s", what->verb, what->resource);
	f->next = r->first;
	r->first = f;
	r->n++;
	return f;
}

void rights_free(struct rights *r)
{
	while (r->first != NULL) {
		struct refused *next = r->first->next;

		free(r->first);
		r->first = next;
	}
	r->n = 0;
}

bool rights_refuse(struct rights *r, const struct right *what, uint64_t now_ms)
{
	struct refused *f = find(r, what);
	const bool known = f != NULL;

	if (!known)
		f = add(r, what);
	if (f == NULL)
		return false;
	f->refused = true;
	if (f->said || (known && now_ms - f->said_ms < RIGHTS_QUIET_MS))
		return false;
	f->said = true;
	f->said_ms = now_ms;
	return true;
}

bool rights_allow(struct rights *r, const struct right *what)
{
	struct refused *f = r->n > 0 ? find(r, what) : NULL;
	bool was;

	if (f == NULL)
		return false;
	was = f->said;
	f->refused = f->said = false;
	return was;
}

const char *rights_next(const struct rights *r, const char *prev)
{
	const struct refused *f = r->first;

	while (prev != NULL && f != NULL && f->text != prev)
		f = f->next;
	if (prev != NULL && f != NULL)
		f = f->next;
	while (f != NULL && !f->refused)
		f = f->next;
	return f != NULL ? f->text : NULL;
}

/* -- words -- */

/* 'User "x" cannot list resource "services" in API group "" at the cluster scope' */
static bool is_authorizer(const char *words)
{
	return strstr(words, " cannot ") != NULL && strstr(words, " resource \"") != NULL;
}

void rights_say(const struct right *what, const char *server_words, struct buf *out)
{
	const bool everywhere = what->namespace_[0] == '\0';

	buf_addf(out, "the API refuses to %s %s", what->verb, what->resource);
	if (!everywhere)
		buf_addf(out, " in namespace %s", what->namespace_);
	buf_adds(out, " (403)");
	if (is_authorizer(server_words))
		buf_addf(out, ": no %s of lbd's has %s on %s, see rbac.yaml",
			everywhere ? "ClusterRole" : "Role or ClusterRole", what->verb,
			what->resource);
}
