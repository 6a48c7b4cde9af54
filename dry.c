/* SPDX-License-Identifier: Apache-2.0
 *
 * dry.c - `lbd run --dry-run`: what lbd would write and announce, told and not done.
 *
 * Owns: for each Service whose status would be another, what it was.
 * In:   the allocator's writes, the plan.  Out: log lines; a picture that goes on as if each write
 *       had been taken, so that the next decision is the one that would follow.
 * The daemon itself goes its usual way: it decides as the leader would, and every node is judged as
 * if it could be the owner.  What must not happen is stopped where it would leave the process:
 * kube_set_read_only(), and send_frame() in wire.c.
 */
#include "dry.h"

#include "log.h"
#include "service.h"
#include "table.h"
#include "why.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_LINES = 16, /* about single Services, a pass */
	MAX_EXAMPLES = 8,
	MAX_GET_EXAMPLES = 3,
	MAX_WORDS = 4096,
	MAX_SHOWN = 4, /* addresses of one Service, in a line */
	ADDRS_LEN = MAX_SHOWN * (ADDR_STRLEN + 1) + 8,
};

/* One piece of memory: the addresses and texts stand behind it. */
struct supposed {
	uint32_t hash; /* of key */
	uint16_t n_was, n_is;
	uint64_t number; /* of its version in the picture */
	const char *key, *pool;
	struct addr v[]; /* those that were, then those that are */
};

/* A write, whoever decided it. */
struct write {
	const char *key;
	const struct addr *ips;
	size_t n_ips;
	const char *pool; /* NULL = none */
};

struct dry {
	struct hash_key hkey;
	struct table changes; /* of struct supposed, owned */
	uint64_t number;      /* of the last version that was made up */
	unsigned lines;       /* told in this pass */
	bool summed;
	uint64_t conf_loaded_ms; /* of the configuration that was summed up */
};

struct dry *dry_new(const struct hash_key *hkey)
{
	struct dry *y = calloc(1, sizeof *y);

	if (y != NULL)
		y->hkey = *hkey;
	return y;
}

void dry_free(struct dry *y)
{
	if (y == NULL)
		return;
	table_free_all(&y->changes);
	free(y);
}

/* -- what was changed -- */

static bool is_key(const void *elt, const void *key, size_t len)
{
	const struct supposed *s = elt;

	return strncmp(s->key, key, len) == 0 && s->key[len] == '\0';
}

static struct supposed *find(const struct dry *y, const char *key)
{
	size_t n = strlen(key);

	return table_find(&y->changes, hash_bytes(&y->hkey, key, n), is_key, key, n);
}

static void forget(struct dry *y, const char *key)
{
	struct supposed *s = find(y, key);

	if (s == NULL)
		return;
	table_remove(&y->changes, s);
	free(s);
}

void dry_forget(struct daemon *d, const char *key)
{
	if (d->dry != NULL)
		forget(d->dry, key);
}

/* resourceVersions of the API are never like it. */
static void version_text(uint64_t number, char ret[32])
{
	(void)snprintf(ret, 32, "dry-run-%" PRIu64, number);
}

bool dry_change(const struct daemon *d, const struct cluster_service *s, struct dry_change *ret_c)
{
	const struct supposed *x = d->dry != NULL ? find(d->dry, s->key) : NULL;
	char version[32];

	if (x == NULL)
		return false;
	version_text(x->number, version);
	if (strcmp(version, s->resource_version) != 0)
		return false; /* the API has shown it since */
	*ret_c = (struct dry_change){x->v, x->v + x->n_was, x->n_was, x->n_is, x->pool};
	return true;
}

/* The status is was, as the API shows it, and is to be what w says.  NULL when out of memory. */
static struct supposed *supposed_new(
	struct dry *y, const struct addr *was, size_t n_was, const struct write *w)
{
	const char *pool = w->pool != NULL ? w->pool : "";
	size_t n_key = strlen(w->key) + 1, n_pool = strlen(pool) + 1,
	       n_addrs = (n_was + w->n_ips) * sizeof(struct addr);
	struct supposed *x = malloc(sizeof *x + n_addrs + n_key + n_pool);
	char *text;

	if (x == NULL)
		return NULL;
	*x = (struct supposed){.hash = hash_bytes(&y->hkey, w->key, n_key - 1),
		.n_was = (uint16_t)n_was,
		.n_is = (uint16_t)w->n_ips,
		.number = ++y->number};
	if (n_was > 0)
		memcpy(x->v, was, n_was * sizeof *x->v);
	if (w->n_ips > 0)
		memcpy(x->v + n_was, w->ips, w->n_ips * sizeof *x->v);
	text = (char *)(x->v + n_was + w->n_ips);
	x->key = memcpy(text, w->key, n_key);
	x->pool = memcpy(text + n_key, pool, n_pool);
	return x;
}

/* Remembers it in the place of what was remembered of the Service.  NULL when out of memory. */
static struct supposed *note(struct dry *y, const struct cluster_service *s,
	const struct dry_change *before, const struct write *w)
{
	struct supposed *x = before != NULL ? supposed_new(y, before->was, before->n_was, w)
					    : supposed_new(y, s->ingress, s->n_ingress, w);

	if (x == NULL)
		return NULL;
	forget(y, w->key);
	if (table_add(&y->changes, x) < 0) {
		free(x);
		return NULL;
	}
	return x;
}

/* -- telling -- */

enum log_level dry_level(struct daemon *d, enum log_level level)
{
	return d->dry->lines++ < MAX_LINES ? level : LOG_DEBUG;
}

static const char *addrs_text(const struct addr *v, size_t n, char s[ADDRS_LEN])
{
	char text[ADDR_STRLEN];

	s[0] = '\0';
	for (size_t i = 0; i < n && i < MAX_SHOWN; i++)
		(void)snprintf(s + strlen(s), ADDRS_LEN - strlen(s), "%s%s", i > 0 ? "," : "",
			addr_format(v[i], text));
	if (n > MAX_SHOWN)
		(void)snprintf(s + strlen(s), ADDRS_LEN - strlen(s), ",...");
	return s;
}

static void tell_write(struct daemon *d, const struct supposed *x)
{
	char was[ADDRS_LEN], is[ADDRS_LEN];

	log_write(dry_level(d, LOG_INFO), "dry",
		x->n_is > 0 ? "would write status" : "would clear status", "svc", x->key, "ip",
		addrs_text(x->v + x->n_was, x->n_is, is), "pool", x->pool, "was",
		addrs_text(x->v, x->n_was, was), NULL);
}

/* The same as was told already?  It comes up again whenever the API shows the Service anew. */
static bool is_told(const struct supposed *before, const struct write *w)
{
	if (before == NULL || before->n_is != w->n_ips)
		return false;
	for (size_t i = 0; i < w->n_ips; i++)
		if (!addr_eq(before->v[before->n_was + i], w->ips[i]))
			return false;
	return true;
}

/* -- in place of writing -- */

/* Into the picture.  0, -ENOENT or -ENOMEM. */
static int put(struct daemon *d, const struct supposed *x)
{
	char version[32];

	version_text(x->number, version);
	return cluster_suppose(d->cluster, x->key,
		&(struct cluster_supposed){.ips = x->v + x->n_was,
			.n_ips = x->n_is,
			.pool = x->n_is > 0 ? x->pool : NULL,
			.version = version});
}

static int suppose(struct daemon *d, const struct write *w)
{
	struct cluster_service s;
	struct dry_change before;
	bool told = is_told(find(d->dry, w->key), w), was;
	struct supposed *x;

	if (!cluster_service(d->cluster, w->key, &s))
		return -ENOENT;
	was = dry_change(d, &s, &before);
	x = note(d->dry, &s, was ? &before : NULL, w);
	if (x == NULL)
		return -ENOMEM;
	if (!told)
		tell_write(d, x);
	return put(d, x);
}

static void renew(struct daemon *d, const char *key)
{
	struct supposed *x = find(d->dry, key);
	struct cluster_service s;
	struct dry_change c;

	if (x == NULL || !cluster_service(d->cluster, key, &s) || dry_change(d, &s, &c) ||
		s.n_ingress != x->n_was)
		return;
	for (size_t i = 0; i < x->n_was; i++)
		if (!addr_eq(s.ingress[i], x->v[i]))
			return;
	x->number = ++d->dry->number;
	(void)!put(d, x); /* out of memory: decided anew */
}

void dry_renew(struct daemon *d)
{
	for (size_t i = 0; i < cluster_dirty_count(d->cluster); i++)
		renew(d, cluster_dirty_at(d->cluster, i).key);
}

static enum alloc_outcome outcome_of(int err)
{
	switch (err) {
	case 0:
		return ALLOC_WRITE_OK;
	case -ENOENT:
		return ALLOC_WRITE_GONE;
	default:
		return ALLOC_WRITE_FAILED;
	}
}

/* -- the sum -- */

struct examples {
	struct buf *out;      /* NULL = nobody reads them */
	size_t n_told, n_get; /* n_get: of Services that get one, the least of news */
	bool more;            /* there are others */
};

static bool same_set(const struct dry_change *c)
{
	size_t found = 0;

	for (size_t i = 0; i < c->n_is; i++)
		for (size_t k = 0; k < c->n_was; k++)
			found += addr_eq(c->is[i], c->was[k]);
	return found == c->n_is && found == c->n_was; /* neither has one twice */
}

static void example(struct examples *e, const struct cluster_service *s, const char *what)
{
	e->more = e->more || e->n_told >= MAX_EXAMPLES;
	if (e->n_told >= MAX_EXAMPLES || e->out == NULL)
		return;
	e->n_told++;
	buf_addf(e->out, "; %s %s", s->key, what);
}

static void sum_change(const struct daemon *d, struct dry_sum *sum, struct examples *e,
	const struct cluster_service *s, const struct dry_change *c)
{
	char was[ADDRS_LEN], is[ADDRS_LEN], text[sizeof(struct why) + 2 * ADDRS_LEN];
	struct why why;

	addrs_text(c->was, c->n_was, was);
	addrs_text(c->is, c->n_is, is);
	if (same_set(c)) {
		sum->keep++;
		return;
	}
	if (c->n_was == 0) {
		sum->get++;
		(void)snprintf(text, sizeof text, "would get %s", is);
		if (e->n_get++ >= MAX_GET_EXAMPLES) {
			e->more = true;
			return;
		}
	} else if (c->n_is == 0) {
		sum->lose++;
		why_service(d, s, d->alloc, &why);
		(void)snprintf(text, sizeof text, "would lose %s: %s", was, why.text);
	} else {
		sum->change++;
		(void)snprintf(text, sizeof text, "would go from %s to %s", was, is);
	}
	example(e, s, text);
}

static void sum_refused(const struct daemon *d, struct dry_sum *sum, struct examples *e,
	const struct cluster_service *s)
{
	struct why why;
	char text[sizeof why.text + 16];

	why_service(d, s, d->alloc, &why);
	if (why.reason == REASON_ALLOCATED)
		return;
	sum->refused++;
	(void)snprintf(text, sizeof text, "refused: %s", why.text);
	example(e, s, text);
}

struct dry_sum dry_sum(const struct daemon *d, struct buf *examples)
{
	struct dry_sum sum = {0};
	struct examples e = {.out = examples};
	struct cluster_service s = {0};
	struct dry_change c;

	while (cluster_next_service(d->cluster, &s)) {
		bool changed = dry_change(d, &s, &c);
		bool served = service_served(d->conf, &s) == REASON_ALLOCATED;

		if (changed)
			sum_change(d, &sum, &e, &s, &c);
		else if (served && s.n_ingress > 0)
			sum.keep++;
		else if (served)
			sum_refused(d, &sum, &e, &s);
	}
	if (examples != NULL && e.more)
		buf_adds(examples, "; and more");
	return sum;
}

/* Everything that was there is decided, and what follows from that. */
static bool is_settled(const struct daemon *d, uint64_t now_ms)
{
	uint64_t next_ms = d->conf->servicelb_active ? nodelb_next_deadline(d->nodelb)
						     : alloc_next_deadline(d->alloc);

	return d->synced_once && daemon_is_ready(d) && cluster_dirty_count(d->cluster) == 0 &&
	       next_ms > now_ms;
}

/* Once for each configuration. */
static void sum_up(struct daemon *d, uint64_t now_ms)
{
	struct buf words, examples;
	struct dry_sum sum;

	if (d->dry->conf_loaded_ms != d->conf_loaded_ms)
		d->dry->summed = false;
	if (d->dry->summed || !is_settled(d, now_ms))
		return;
	d->dry->summed = true;
	d->dry->conf_loaded_ms = d->conf_loaded_ms;
	buf_init(&words, MAX_WORDS);
	buf_init(&examples, MAX_WORDS);
	sum = dry_sum(d, &examples);
	buf_addf(&words,
		"dry run: %zu Services keep their address, %zu would get one, %zu would get "
		"another, %zu would lose theirs, %zu refused%s",
		sum.keep, sum.get, sum.change, sum.lose, sum.refused,
		examples.p != NULL ? examples.p : "");
	log_info("dry", words.p, NULL);
	buf_free(&examples);
	buf_free(&words);
}

static void write_alloc(struct daemon *d, uint64_t now_ms)
{
	struct alloc_write w;

	while (alloc_next_write(d->alloc, now_ms, &w)) {
		const struct write x = {w.key, w.ips, w.n_ips, w.pool};
		int err = suppose(d, &x);

		alloc_write_done(d->alloc, w.id, outcome_of(err), now_ms);
		daemon_mark(d);
	}
}

static void write_nodelb(struct daemon *d, uint64_t now_ms)
{
	struct nodelb_write w;

	while (nodelb_next_write(d->nodelb, now_ms, &w)) {
		const struct write x = {w.key, w.ips, w.n_ips, NULL};
		int err = suppose(d, &x);

		nodelb_write_done(d->nodelb, w.id, outcome_of(err), now_ms);
		daemon_mark(d);
	}
}

void dry_write(struct daemon *d, uint64_t now_ms)
{
	if (d->conf->servicelb_active)
		write_nodelb(d, now_ms);
	else
		write_alloc(d, now_ms);
	sum_up(d, now_ms);
	if (d->dry->lines > MAX_LINES)
		log_info("dry", "more Services and addresses (each one: level debug)", NULL);
	d->dry->lines = 0;
}

/* -- in place of announcing -- */

static bool would(const struct plan_entry *e)
{
	return e != NULL && e->reason == REASON_DRY_RUN;
}

void dry_announce(struct daemon *d, uint64_t now_ms)
{
	char ip[ADDR_STRLEN];

	for (size_t i = 0; i < plan_change_count(d->plan); i++) {
		struct plan_change c = plan_change_at(d->plan, i);
		enum log_level level;

		if (!would(c.is) || would(c.was))
			continue;
		level = dry_level(d, LOG_INFO);
		if (level <= log_level()) {
			const struct iface *f = iface_get(net_ifaces(d->net), c.is->ifindex);
			const char *first =
				explain_first(d, vip_group(d->vips, c.is->group), now_ms);

			log_write(level, "dry",
				first != NULL && strcmp(first, d->node) == 0
					? "would announce"
					: "would leave it to the first node",
				"ip", addr_format(c.is->vip, ip), "iface", f != NULL ? f->name : "",
				"node", first, NULL);
		}
	}
}
