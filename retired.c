/* SPDX-License-Identifier: Apache-2.0
 *
 * retired.c - addresses that a configuration dropped and that Services have all the same.
 *
 * Owns: a table of them, each with who says so; the text of the record as the API has it and, where
 *       this node leads, as it is to be.
 * In:   what this node saw, the Lease lbd-retired, what the leader's allocator keeps.
 * Out:  is an address kept for a Service; requests on the Lease.
 * Sources: DESIGN 3; CVE-2020-8554.
 *
 * Each node goes by what it saw itself until it has the record: the nodes read their files at
 * different times, and none may withdraw an address because another was first.
 */
#include "retired.h"

#include "buf.h"
#include "schema.h"
#include "table.h"
#include "text.h"

#include <errno.h>
#include <string.h>

enum {
	PAUSE_MS = 1000, /* after a failure, doubled up to */
	MAX_PAUSE_MS = 30000,
	REQUEST_MS = 10000,
	LINE_MAX_BYTES =
		RETIRED_MAX_UID + 1 + ADDR_STRLEN + sizeof SCHEMA_ITEM + sizeof SCHEMA_LINE,
};

enum { BY_SIGHT = 1, BY_RECORD = 2, BY_NEXT = 4 }; /* who says so */

struct entry {
	uint32_t hash; /* of address and UID */
	unsigned by;
	struct addr addr;
	char *pool;    /* owned */
	char *next;    /* owned; the pool's name by a record that is being read, when BY_NEXT */
	char *service; /* owned; its key, when BY_SIGHT */
	char uid[];
};

struct key {
	const char *uid;
	struct addr addr;
};

struct retired {
	struct hash_key hkey;
	struct table entries; /* owned */
	uint64_t generation;
	/* the record */
	bool exists, must_get;
	char *text;                   /* owned; as the API has it; NULL = "" */
	char *uid, *resource_version; /* owned; of the Lease */
	char *want;                   /* owned; NULL: not the leader, or out of memory */
	struct wish *wishes;          /* owned; between retired_begin() and retired_end() */
	size_t n_wishes, cap_wishes, n_lost;
	uint64_t next_ms, in_flight, last_id;
	enum lease_verb verb; /* of what is under way */
	unsigned failures;
};

/* What is to be recorded, before it is put in order. */
struct wish {
	struct addr addr;
	char *pool, *uid; /* owned */
};

/* -- the table -- */

static bool entry_is(const void *elt, const void *key, size_t len)
{
	const struct entry *e = elt;
	const struct key *k = key;

	(void)len;
	return addr_eq(e->addr, k->addr) && strcmp(e->uid, k->uid) == 0;
}

static uint32_t hash_of(const struct retired *r, const struct key *k)
{
	return hash_bytes(&r->hkey, k->uid, strlen(k->uid)) * 31 +
	       hash_bytes(&r->hkey, &k->addr, sizeof k->addr);
}

static struct entry *find(const struct retired *r, const struct key *k)
{
	return table_find(&r->entries, hash_of(r, k), entry_is, k, sizeof *k);
}

static struct entry *entry_new(struct retired *r, const struct key *k, const char *pool)
{
	size_t n = strlen(k->uid) + 1;
	struct entry *e = calloc(1, sizeof *e + n);

	if (e == NULL)
		return NULL;
	e->hash = hash_of(r, k);
	e->addr = k->addr;
	memcpy(e->uid, k->uid, n);
	e->pool = strdup(pool);
	if (e->pool == NULL || table_add(&r->entries, e) < 0) {
		free(e->pool);
		free(e);
		return NULL;
	}
	return e;
}

static void entry_free(struct retired *r, struct entry *e)
{
	table_remove(&r->entries, e);
	free(e->service);
	free(e->next);
	free(e->pool);
	free(e);
}

/* One who says so more.  0, -E2BIG, -ENOMEM. */
static int add(struct retired *r, const struct key *k, const char *pool, unsigned by)
{
	struct entry *e = find(r, k);

	if (strlen(k->uid) > RETIRED_MAX_UID)
		return -E2BIG;
	if (e == NULL && r->entries.live >= RETIRED_MAX)
		return -E2BIG;
	if (e == NULL)
		e = entry_new(r, k, pool);
	if (e == NULL || !text_set(by == BY_NEXT ? &e->next : &e->pool, pool))
		return -ENOMEM;
	e->by |= by;
	return 0;
}

/* Nobody of by says so any more: the entries that nobody else speaks for go. */
static void forget(struct retired *r, unsigned by)
{
	struct entry *e = table_next(&r->entries, NULL), *next;

	for (; e != NULL; e = next) {
		next = table_next(&r->entries, e);
		e->by &= ~by;
		if (e->by == 0)
			entry_free(r, e);
	}
}

/* -- asking -- */

const char *retired_pool(const struct retired *r, const char *uid, struct addr x)
{
	const struct key k = {uid, x};
	const struct entry *e = uid != NULL && r->entries.live > 0 ? find(r, &k) : NULL;

	return e != NULL ? e->pool : NULL;
}

uint64_t retired_generation(const struct retired *r)
{
	return r->generation;
}

size_t retired_count(const struct retired *r)
{
	return r->entries.live;
}

bool retired_next(
	const struct retired *r, const void **io_at, struct addr *ret_x, const char **ret_pool)
{
	const struct entry *e = table_next(&r->entries, *io_at);

	*io_at = e;
	if (e == NULL)
		return false;
	*ret_x = e->addr;
	*ret_pool = e->pool;
	return true;
}

/* -- what this node saw -- */

static void forget_sight(struct retired *r, struct entry *e)
{
	e->by &= ~(unsigned)BY_SIGHT;
	if (e->by == 0)
		entry_free(r, e);
}

int retired_keep(struct retired *r, const char *service_key, const char *uid, struct addr x,
	const char *pool)
{
	const struct key k = {uid, x};
	int err = add(r, &k, pool, BY_SIGHT);

	if (err != 0)
		return err;
	if (!text_set(&find(r, &k)->service, service_key)) {
		forget_sight(r, find(r, &k));
		return -ENOMEM;
	}
	r->generation++;
	return 0;
}

static bool is_among(const struct addr *v, size_t n, struct addr x)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(v[i], x))
			return true;
	return false;
}

void retired_shown(struct retired *r, const char *service_key, const struct addr *v, size_t n)
{
	struct entry *e = table_next(&r->entries, NULL), *next;

	for (; e != NULL; e = next) {
		next = table_next(&r->entries, e);
		if ((e->by & BY_SIGHT) == 0 || !text_eq(e->service, service_key) ||
			is_among(v, n, e->addr))
			continue;
		r->generation++;
		forget_sight(r, e);
	}
}

/* -- the record, read -- */

/* "UID ADDRESS[ WORD...]", of pool.  0, -EBADMSG, -E2BIG, -ENOMEM. */
static int read_address(struct retired *r, char *line, const char *pool)
{
	char *blank = strchr(line, ' ');
	struct key k = {.uid = line};

	if (blank == NULL || blank == line || pool == NULL)
		return -EBADMSG;
	*blank = '\0';
	if (addr_parse(blank + 1, strcspn(blank + 1, " "), &k.addr) != 0 ||
		addr_is_unusable(k.addr))
		return -EBADMSG;
	return add(r, &k, pool, BY_NEXT);
}

/* Takes the lines in by BY_NEXT; text is written to.  0 or -errno. */
static int read_lines(struct retired *r, char *text)
{
	const char *pool = NULL;
	char *next;
	int err = 0;

	for (char *line = text; *line != '\0' && err == 0; line = next) {
		next = strchr(line, '\n');
		if (next == NULL)
			return -EBADMSG;
		*next++ = '\0';
		if (*line == '=')
			pool = line + 1;
		else if (*line != '#') /* a later version's */
			err = read_address(r, line, pool);
	}
	return err;
}

static void record_entry(struct entry *e)
{
	e->by |= BY_RECORD;
	free(e->pool);
	e->pool = e->next;
	e->next = NULL;
}

static int read_record(struct retired *r, const char *text)
{
	char *copy = strdup(text);
	struct entry *e = NULL;
	int err;

	if (copy == NULL)
		return -ENOMEM;
	err = strlen(text) > RETIRED_MAX_TEXT ? -EBADMSG : read_lines(r, copy);
	free(copy);
	if (err != 0) {
		forget(r, BY_NEXT);
		return err == -ENOMEM ? err : -EBADMSG;
	}
	while ((e = table_next(&r->entries, e)) != NULL)
		if ((e->by & BY_NEXT) != 0)
			record_entry(e);
		else
			e->by &= ~(unsigned)BY_RECORD;
	forget(r, BY_NEXT);
	return 0;
}

/* The Lease is as l says; NULL: there is none. */
static int observe(struct retired *r, const struct cluster_lease *l)
{
	const char *text = l != NULL && l->retired != NULL ? l->retired : "";
	int err;

	r->exists = l != NULL;
	if (!text_set(&r->uid, l != NULL ? l->uid : NULL) ||
		!text_set(&r->resource_version, l != NULL ? l->resource_version : NULL))
		return -ENOMEM;
	if (text_eq(text, r->text != NULL ? r->text : ""))
		return 0;
	/* Remembered as it is, so that a leader mends what cannot be read. */
	if (!text_set(&r->text, text))
		return -ENOMEM;
	r->generation++;
	err = read_record(r, text);
	if (err == -ENOMEM) { /* to be read again */
		free(r->text);
		r->text = NULL;
	}
	return err;
}

int retired_on_lease(struct retired *r, const struct cluster_lease *l, bool deleted)
{
	return observe(r, deleted ? NULL : l);
}

/* -- the record, to be written -- */

static void drop_wishes(struct retired *r)
{
	for (size_t i = 0; i < r->n_wishes; i++) {
		free(r->wishes[i].pool);
		free(r->wishes[i].uid);
	}
	free(r->wishes);
	r->wishes = NULL;
	r->n_wishes = r->cap_wishes = r->n_lost = 0;
}

void retired_begin(struct retired *r)
{
	drop_wishes(r);
}

static bool has_room(struct retired *r)
{
	size_t cap = r->cap_wishes > 0 ? 2 * r->cap_wishes : 16;
	struct wish *v;

	if (r->n_wishes < r->cap_wishes)
		return true;
	v = r->n_wishes < RETIRED_MAX ? realloc(r->wishes, cap * sizeof *v) : NULL;
	if (v == NULL)
		return false;
	r->wishes = v;
	r->cap_wishes = cap;
	return true;
}

void retired_add(struct retired *r, const char *uid, struct addr x, const char *pool)
{
	struct wish w = {.addr = x};

	if (has_room(r) && strlen(uid) <= RETIRED_MAX_UID && strchr(pool, '\n') == NULL) {
		w.uid = strdup(uid);
		w.pool = strdup(pool);
	}
	if (w.uid == NULL || w.pool == NULL) {
		free(w.uid);
		free(w.pool);
		r->n_lost++;
		return;
	}
	r->wishes[r->n_wishes++] = w;
}

static int by_pool(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;
	int c = strcmp(x->pool, y->pool);

	if (c == 0)
		c = strcmp(x->uid, y->uid);
	return c != 0 ? c : addr_cmp(x->addr, y->addr);
}

/* The text of the wishes, as many as it may hold; what is left out counts as lost. */
static void print(struct retired *r, struct buf *out)
{
	const char *pool = NULL;

	for (size_t i = 0; i < r->n_wishes; i++) {
		const struct wish *w = &r->wishes[i];
		char ip[ADDR_STRLEN];

		if (out->len + strlen(w->pool) + 2 + LINE_MAX_BYTES + 1 > RETIRED_MAX_TEXT) {
			r->n_lost += r->n_wishes - i;
			return;
		}
		if (!text_eq(pool, w->pool))
			buf_addf(out, SCHEMA_LINE "=%s\n", w->pool);
		pool = w->pool;
		buf_addf(out, "%s %s" SCHEMA_ITEM "\n", w->uid, addr_format(w->addr, ip));
	}
}

size_t retired_end(struct retired *r, uint64_t now_ms)
{
	struct buf b;
	size_t n_lost;

	buf_init(&b, RETIRED_MAX_TEXT);
	if (r->n_wishes > 1)
		qsort(r->wishes, r->n_wishes, sizeof *r->wishes, by_pool);
	print(r, &b);
	free(r->want);
	r->want = b.len > 0 ? buf_take(&b) : strdup("");
	buf_free(&b);
	n_lost = r->want != NULL ? r->n_lost : r->n_wishes + r->n_lost;
	r->next_ms = now_ms;
	r->failures = 0;
	drop_wishes(r);
	return n_lost;
}

void retired_resign(struct retired *r)
{
	free(r->want);
	r->want = NULL;
}

static bool is_due(const struct retired *r)
{
	return r->want != NULL && r->in_flight == 0 &&
	       (r->must_get || !text_eq(r->want, r->text != NULL ? r->text : ""));
}

uint64_t retired_next_deadline(const struct retired *r)
{
	return is_due(r) ? r->next_ms : TIME_NEVER;
}

bool retired_next_action(struct retired *r, uint64_t now_ms, struct lease_action *ret_a)
{
	if (!is_due(r) || now_ms < r->next_ms)
		return false;
	r->in_flight = ++r->last_id;
	r->verb = r->must_get ? LEASE_GET : r->exists ? LEASE_UPDATE : LEASE_CREATE;
	*ret_a = (struct lease_action){.verb = r->verb,
		.name = "lbd-retired",
		.resource_version = r->verb == LEASE_UPDATE ? r->resource_version : NULL,
		.uid = r->verb == LEASE_UPDATE ? r->uid : NULL,
		.not_after_ms = TIME_NEVER,
		.timeout_ms = REQUEST_MS,
		.id = r->in_flight,
		.role = CLUSTER_LEASE_RETIRED,
		.transitions = -1};
	if (r->verb == LEASE_GET)
		return true;
	ret_a->annotations[0].key = "lbd.io/retired";
	ret_a->annotations[0].value = r->want;
	ret_a->n_annotations = 1;
	return true;
}

static void pause_for(struct retired *r, uint64_t now_ms)
{
	uint64_t ms = (uint64_t)PAUSE_MS << (r->failures < 5 ? r->failures : 5);

	r->failures++;
	r->next_ms = now_ms + time_min(ms, MAX_PAUSE_MS);
}

void retired_done(struct retired *r, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *lease, uint64_t now_ms)
{
	if (id == 0 || id != r->in_flight)
		return;
	r->in_flight = 0;
	switch (outcome) {
	case LEASE_OK:
		r->must_get = lease == NULL;
		r->failures = r->must_get ? r->failures : 0;
		if (lease == NULL || observe(r, lease) != 0)
			pause_for(r, now_ms);
		return;
	case LEASE_NOT_FOUND:
		if (r->verb == LEASE_CREATE || observe(r, NULL) != 0)
			pause_for(r, now_ms);
		r->must_get = false;
		return;
	case LEASE_CONFLICT:
		r->must_get = true;
		pause_for(r, now_ms);
		return;
	case LEASE_REFUSED:
	case LEASE_FAILED:
	case LEASE_NOT_SENT:
		pause_for(r, now_ms);
		return;
	}
}

/* -- life -- */

struct retired *retired_new(const struct hash_key *hkey)
{
	struct retired *r = calloc(1, sizeof *r);

	if (r != NULL)
		r->hkey = *hkey;
	return r;
}

void retired_free(struct retired *r)
{
	if (r == NULL)
		return;
	forget(r, BY_SIGHT | BY_RECORD | BY_NEXT);
	table_free(&r->entries);
	drop_wishes(r);
	free(r->text);
	free(r->uid);
	free(r->resource_version);
	free(r->want);
	free(r);
}
