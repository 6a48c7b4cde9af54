/* SPDX-License-Identifier: Apache-2.0
 *
 * crdstat.c - the status of IPAddressPools and Eips.
 *
 * Owns: what is observed and wanted of each object, as text of one form; the queue of writes.
 * In:   the allocator's numbers, what the API shows.  Out: merge patches: pull.
 * Sources: MetalLB api/v1beta1 IPAddressPoolStatus; OpenELB api/v1alpha2 EipStatus.
 */
#include "crdstat.h"

#include "buf.h"
#include "json.h"

#include <string.h>

/* The most that cJSON prints as a whole number (15 digits), below the 2^53 that every reader of
 * JSON holds exactly: counts of IPv6 addresses saturate. */
#define MAX_COUNT UINT64_C(999999999999999)

enum {
	MAX_TEXT = 2 * CRDSTAT_MAX_USED_BYTES,
	MAX_MISSING = 4, /* 404s in a row: the kind has no status */
};

/* 6.4 s, the first delay that is not below CRDSTAT_PACE_MS. */
static const enum outbox_delay pace = OUTBOX_FIRST + 6;

struct crdstat {
	enum crdstat_kind kind;
	struct outbox_item item;
	char *observed, *want;      /* owned; "" = of another form, NULL = not known; nothing */
	uint64_t sent_ms;           /* 0 = never */
	unsigned sent;              /* so often, since something else was wanted */
	unsigned failures, missing; /* in a row */
	bool is_late;               /* what is under way is not what is wanted now */
};

void crdstat_box_init(struct crdstat_box *b)
{
	*b = (struct crdstat_box){.off_until_ms = {0}};
	outbox_init(&b->outbox);
}

void crdstat_box_free(struct crdstat_box *b)
{
	outbox_free(&b->outbox);
}

struct crdstat *crdstat_new(enum crdstat_kind kind)
{
	struct crdstat *s = calloc(1, sizeof *s);

	if (s != NULL)
		s->kind = kind;
	return s;
}

void crdstat_free(struct crdstat_box *b, struct crdstat *s)
{
	if (s == NULL)
		return;
	outbox_remove(&b->outbox, &s->item);
	free(s->observed);
	free(s->want);
	free(s);
}

/* -- one form of a status: all fields in one order, what is absent as zero -- */

static const char *const pool_counts[] = {
	"assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"};

static void put_count(cJSON *o, const char *key, uint64_t n)
{
	(void)cJSON_AddNumberToObject(o, key, (double)(n < MAX_COUNT ? n : MAX_COUNT));
}

static int by_name(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;

	return strcmp((*x)->string, (*y)->string);
}

/* "used", in the order of its keys.  False when out of memory. */
static bool put_sorted(cJSON *to, const cJSON *used)
{
	size_t n = used != NULL ? (size_t)cJSON_GetArraySize(used) : 0, i = 0;
	const cJSON **v = calloc(n + 1, sizeof(cJSON *));
	cJSON *sorted = cJSON_AddObjectToObject(to, "used"), *last = NULL;
	bool ok = v != NULL && sorted != NULL;

	for (const cJSON *c = used != NULL ? used->child : NULL; ok && c != NULL; c = c->next)
		v[i++] = c;
	if (ok)
		qsort(v, n, sizeof(cJSON *), by_name);
	for (i = 0; ok && i < n; i++) {
		last = cJSON_IsString(v[i])
			       ? cJSON_AddStringToObject(sorted, v[i]->string, v[i]->valuestring)
			       : cJSON_AddNullToObject(sorted, v[i]->string);
		ok = last != NULL;
	}
	free(v);
	return ok;
}

static bool put_eip(cJSON *to, const cJSON *from)
{
	static const char *const bools[] = {"occupied", "ready", "v4"};
	static const char *const counts[] = {"usage", "poolSize"};
	static const char *const strings[] = {"firstIP", "lastIP"};

	for (size_t i = 0; i < ARRAY_LEN(bools); i++)
		(void)cJSON_AddBoolToObject(to, bools[i], json_bool(from, bools[i], false));
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		put_count(to, counts[i],
			(uint64_t)json_int(from, counts[i], 0, (long long)MAX_COUNT, 0));
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		const char *s = json_string(from, strings[i]);

		(void)cJSON_AddStringToObject(to, strings[i], s != NULL ? s : "");
	}
	return put_sorted(to, json_object(from, "used"));
}

/* NULL when out of memory; "" for what is far too long to be ours. */
static char *text_of(enum crdstat_kind kind, const cJSON *status)
{
	cJSON *o = cJSON_CreateObject();
	char *text = NULL;
	bool ok = o != NULL;

	if (ok && kind == CRDSTAT_EIP)
		ok = put_eip(o, status);
	for (size_t i = 0; ok && kind == CRDSTAT_POOL && i < ARRAY_LEN(pool_counts); i++)
		put_count(o, pool_counts[i],
			(uint64_t)json_int(status, pool_counts[i], 0, (long long)MAX_COUNT, 0));
	if (ok)
		text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	if (text == NULL || strlen(text) <= MAX_TEXT)
		return text;
	free(text);
	return strdup("");
}

/* -- what it should be -- */

static void want_pool(cJSON *o, const struct alloc_pool_use *use)
{
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
		put_count(o, pool_counts[f], use->used[f]);
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
		put_count(o, pool_counts[2 + f],
			use->total[f] > use->used[f] ? use->total[f] - use->used[f] : 0);
}

struct holder {
	struct addr addr;
	const char *key; /* borrowed of the allocator */
};

static int by_address(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;
	int c = addr_cmp(x->addr, y->addr);

	return c != 0 ? c : strcmp(x->key, y->key);
}

/* Those who have addresses of pool, sorted; NULL when out of memory. */
static struct holder *holders_of(const struct alloc *a, const char *pool, size_t *ret_n)
{
	size_t cap = 64, n = 0;
	struct holder *v = malloc(cap * sizeof *v), *more;
	struct alloc_holding h = {.key = NULL};

	while (v != NULL && alloc_next_holding(a, &h)) {
		for (size_t i = 0; i < h.n_ips; i++) {
			if (strcmp(h.pools[i], pool) != 0)
				continue;
			if (n == cap) {
				more = realloc(v, 2 * cap * sizeof *v);
				if (more == NULL) {
					free(v);
					return NULL;
				}
				v = more;
				cap *= 2;
			}
			v[n++] = (struct holder){h.ips[i], h.key};
		}
	}
	if (v != NULL)
		qsort(v, n, sizeof *v, by_address);
	*ret_n = n;
	return v;
}

/* {"10.0.0.1": "ns/a;ns/b"}, as far as it fits.  False when out of memory. */
static bool want_used(cJSON *o, const struct holder *v, size_t n)
{
	cJSON *used = cJSON_AddObjectToObject(o, "used");
	size_t entries = 0, bytes = 0, i = 0;
	char text[ADDR_STRLEN];
	struct buf keys;
	bool ok = used != NULL;

	buf_init(&keys, CRDSTAT_MAX_USED_BYTES);
	while (ok && i < n && entries < CRDSTAT_MAX_USED) {
		struct addr x = v[i].addr;

		buf_reset(&keys);
		for (; i < n && addr_eq(v[i].addr, x); i++)
			buf_addf(&keys, "%s%s", keys.len > 0 ? ";" : "", v[i].key);
		bytes += keys.len + ADDR_STRLEN;
		if (keys.bad || bytes > CRDSTAT_MAX_USED_BYTES)
			break;
		ok = cJSON_AddStringToObject(used, addr_format(x, text), keys.p) != NULL;
		entries++;
	}
	buf_free(&keys);
	return ok;
}

static bool want_eip(cJSON *o, const struct alloc *a, const struct config_pool *p,
	const struct alloc_pool_use *use)
{
	const struct addr_range *r = p->ranges;
	enum addr_family f = addr_family(r->first);
	char text[ADDR_STRLEN];
	struct holder *v;
	size_t n = 0;
	bool ok;

	(void)cJSON_AddBoolToObject(o, "occupied", use->used[f] >= use->total[f]);
	(void)cJSON_AddBoolToObject(o, "ready", true);
	(void)cJSON_AddBoolToObject(o, "v4", f == ADDR_V4);
	put_count(o, "usage", use->used[f]);
	put_count(o, "poolSize", use->total[f]);
	(void)cJSON_AddStringToObject(o, "firstIP", addr_format(r->first, text));
	(void)cJSON_AddStringToObject(o, "lastIP", addr_format(r->last, text));
	v = holders_of(a, p->name, &n);
	ok = v != NULL && want_used(o, v, n);
	free(v);
	return ok;
}

/* -- the queue -- */

static bool is_wanted(const struct crdstat *s)
{
	return s->want != NULL && s->observed != NULL && strcmp(s->want, s->observed) != 0 &&
	       s->sent < CRDSTAT_TRIES;
}

/* When it is not the first of its kind, or not the first try, it waits. */
static enum outbox_delay delay_of(const struct crdstat *s, uint64_t now_ms)
{
	unsigned n = s->sent > s->failures ? s->sent : s->failures;

	if (n > 0)
		return outbox_backoff(pace - OUTBOX_FIRST + n - 1);
	return s->sent_ms == 0 || now_ms - s->sent_ms >= CRDSTAT_PACE_MS ? OUTBOX_NOW : pace;
}

static void sync(struct crdstat_box *b, struct crdstat *s, uint64_t now_ms)
{
	if (s->item.state == OUTBOX_UNDER_WAY)
		return;
	if (!is_wanted(s) || now_ms < b->off_until_ms[s->kind])
		outbox_unqueue(&s->item);
	else if (s->item.state == OUTBOX_IDLE)
		outbox_queue(&b->outbox, &s->item, delay_of(s, now_ms), now_ms);
}

void crdstat_observe(struct crdstat_box *b, struct crdstat *s, const cJSON *status, uint64_t now_ms)
{
	free(s->observed);
	s->observed = text_of(s->kind, status);
	sync(b, s, now_ms);
}

void crdstat_want(struct crdstat_box *b, struct crdstat *s, const struct alloc *a,
	const struct config_pool *p, uint64_t now_ms)
{
	cJSON *o = cJSON_CreateObject();
	struct alloc_pool_use use;
	char *text = NULL;
	bool ok = o != NULL && p->n_ranges > 0 && alloc_pool_find(a, p->name, &use);

	if (ok && s->kind == CRDSTAT_POOL)
		want_pool(o, &use);
	else if (ok)
		ok = want_eip(o, a, p, &use);
	if (ok)
		text = text_of(s->kind, o);
	cJSON_Delete(o);
	if (text == NULL)
		return; /* as it was; the next change tries again */
	if (s->want == NULL || strcmp(s->want, text) != 0) {
		s->sent = s->failures = s->missing = 0;
		s->is_late = true;
	}
	free(s->want);
	s->want = text;
	sync(b, s, now_ms);
}

void crdstat_want_nothing(struct crdstat *s)
{
	free(s->want);
	s->want = NULL;
	outbox_unqueue(&s->item);
}

struct crdstat *crdstat_next(struct crdstat_box *b, uint64_t now_ms, uint64_t *ret_id)
{
	struct outbox_item *item;

	while ((item = outbox_due(&b->outbox, now_ms)) != NULL) {
		struct crdstat *s = CONTAINER_OF(item, struct crdstat, item);

		if (!is_wanted(s) || now_ms < b->off_until_ms[s->kind]) {
			outbox_unqueue(item);
			continue;
		}
		*ret_id = outbox_send(&b->outbox, item);
		if (*ret_id == 0) {
			outbox_queue(&b->outbox, item, pace, now_ms);
			return NULL;
		}
		s->sent_ms = now_ms;
		s->sent++;
		s->is_late = false;
		return s;
	}
	return NULL;
}

/* In a merge patch a key that is left out stays: what is used no longer must be null. */
static bool forget_used(cJSON *status, const char *observed)
{
	cJSON *was = json_parse(observed, strlen(observed)), *used;
	const cJSON *old = json_object(was, "used");
	bool ok = true;

	used = cJSON_GetObjectItemCaseSensitive(status, "used");
	for (const cJSON *c = old != NULL ? old->child : NULL; ok && c != NULL; c = c->next)
		if (json_get(used, c->string) == NULL)
			ok = cJSON_AddNullToObject(used, c->string) != NULL;
	cJSON_Delete(was);
	return ok;
}

cJSON *crdstat_patch(const struct crdstat *s, const char *uid)
{
	cJSON *root = cJSON_CreateObject(), *status = json_parse(s->want, strlen(s->want));
	cJSON *metadata = cJSON_AddObjectToObject(root, "metadata");
	bool ok = cJSON_AddStringToObject(metadata, "uid", uid) != NULL && status != NULL;

	if (ok && s->kind == CRDSTAT_EIP)
		ok = forget_used(status, s->observed);
	if (ok && cJSON_AddItemToObject(root, "status", status))
		return root;
	cJSON_Delete(status);
	cJSON_Delete(root);
	return NULL;
}

/* Was what the server took not kept? */
static bool take_answer(struct crdstat_box *b, struct crdstat *s, const cJSON *status)
{
	free(s->observed);
	s->observed = text_of(s->kind, status);
	if (s->observed == NULL || s->want == NULL || s->is_late ||
		strcmp(s->observed, s->want) == 0)
		return false;
	b->off_until_ms[s->kind] = TIME_NEVER;
	return true;
}

bool crdstat_done(struct crdstat_box *b, uint64_t id, enum crdstat_outcome outcome,
	const cJSON *status, uint64_t now_ms)
{
	struct outbox_item *item = outbox_land(&b->outbox, id);
	struct crdstat *s = item != NULL ? CONTAINER_OF(item, struct crdstat, item) : NULL;
	bool off = false;

	if (s == NULL)
		return false;
	s->missing = outcome == CRDSTAT_MISSING ? s->missing + 1 : 0;
	s->failures = outcome == CRDSTAT_OK ? 0 : s->failures + 1;
	if (outcome != CRDSTAT_OK && s->sent > 0)
		s->sent--; /* it does not stand: that is no sign of another writer */
	if (outcome == CRDSTAT_REFUSED || s->missing >= MAX_MISSING) {
		b->off_until_ms[s->kind] = now_ms + CRDSTAT_OFF_MS;
		off = true;
	} else if (outcome == CRDSTAT_OK) {
		off = take_answer(b, s, status);
	}
	sync(b, s, now_ms);
	return off;
}

uint64_t crdstat_next_deadline(const struct crdstat_box *b)
{
	return outbox_next_deadline(&b->outbox);
}
