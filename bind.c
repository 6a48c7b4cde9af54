/* SPDX-License-Identifier: Apache-2.0
 *
 * bind.c - the addresses that this node puts on its own interfaces: which the kernel has to be told
 * of, and when.
 *
 * Owns: a table of (interface, address); a queue of what is due at once, and one of what is due
 *       later.
 * In:   what is wanted, by the plan; what the kernel has, by rtnetlink; answers to writes.
 * Out:  writes (pulled).
 * Source: shared/OWNERSHIP.md R25, F10.
 *
 * The kernel gets each address for three seconds (nladdr.c) and is told again each second: when lbd
 * ends badly, is stopped, or loses its right, the address goes by itself.  Until a write was taken,
 * and from the moment that rtnetlink says the address is gone, lbd answers for it as for any other:
 * a refused write costs the binding, never the VIP.
 */
#include "bind.h"

#include "list.h"
#include "table.h"

#include <errno.h>

enum {
	BUSY_MS = 50,         /* the kernel had no memory for the message */
	FORBIDDEN_MS = 10000, /* nor will it allow the next one */
};

/* As bytes, no padding. */
struct key {
	unsigned char addr[sizeof(struct addr)], ifindex[sizeof(unsigned)];
};

struct entry {
	uint32_t hash; /* of struct key */
	unsigned ifindex;
	struct addr addr;
	struct link queue; /* in one of the two, or none: under way */
	uint64_t due_ms;   /* in the later one */
	bool wanted;
	bool there;  /* the kernel may have it, and then from us */
	bool held;   /* it took the last write, and has not said that the address went */
	bool busy;   /* a write is under way */
	bool failed; /* the last one was refused, which was said */
};

struct bind {
	struct hash_key hkey;
	struct table entries;
	struct link now;   /* removals, then additions */
	struct link later; /* in order of due_ms: each is put there for the same time */
	uint64_t pause_ms; /* no write before */
	size_t n_removing; /* not wanted, and the kernel may have them */
	bool forbidden;    /* which was said */
};

/* -- the table -- */

static struct key make_key(unsigned ifindex, struct addr a)
{
	struct key k;

	memcpy(k.addr, &a, sizeof k.addr);
	memcpy(k.ifindex, &ifindex, sizeof k.ifindex);
	return k;
}

static bool entry_is(const void *elt, const void *key, size_t len)
{
	const struct entry *e = elt;
	const struct key k = make_key(e->ifindex, e->addr);

	return memcmp(&k, key, len) == 0;
}

static struct entry *find(const struct bind *b, unsigned ifindex, struct addr a)
{
	const struct key k = make_key(ifindex, a);

	if (b->entries.live == 0)
		return NULL;
	return table_find(&b->entries, hash_bytes(&b->hkey, &k, sizeof k), entry_is, &k, sizeof k);
}

static int insert(struct bind *b, unsigned ifindex, struct addr a, struct entry **ret_e)
{
	const struct key k = make_key(ifindex, a);
	struct entry *e;

	if (b->entries.live >= BIND_MAX)
		return -E2BIG;
	e = calloc(1, sizeof *e);
	if (e == NULL)
		return -ENOMEM;
	e->hash = hash_bytes(&b->hkey, &k, sizeof k);
	e->ifindex = ifindex;
	e->addr = a;
	list_init(&e->queue);
	if (table_add(&b->entries, e) < 0) {
		free(e);
		return -ENOMEM;
	}
	*ret_e = e;
	return 0;
}

struct bind *bind_new(const struct hash_key *hkey)
{
	struct bind *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->hkey = *hkey;
	list_init(&b->now);
	list_init(&b->later);
	return b;
}

void bind_free(struct bind *b)
{
	if (b == NULL)
		return;
	table_free_all(&b->entries);
	free(b);
}

/* -- what is due -- */

static bool is_removing(const struct entry *e)
{
	return !e->wanted && e->there;
}

/* Puts it where it belongs after a change; forgets it when there is nothing left to do.  A write
 * that is under way comes first: its answer calls this again. */
static void settle(struct bind *b, struct entry *e)
{
	if (e->busy)
		return;
	list_delete(&e->queue);
	if (is_removing(e)) {
		list_add(b->now.next, &e->queue);
	} else if (e->wanted) {
		list_add(&b->now, &e->queue);
	} else {
		table_remove(&b->entries, e);
		free(e);
	}
}

static void set(struct bind *b, struct entry *e, bool wanted, bool there)
{
	b->n_removing -= is_removing(e);
	e->wanted = wanted;
	e->there = there;
	b->n_removing += is_removing(e);
}

int bind_want(struct bind *b, unsigned ifindex, struct addr a)
{
	struct entry *e = find(b, ifindex, a);
	int err = e == NULL ? insert(b, ifindex, a, &e) : 0;

	if (err < 0)
		return err;
	if (e->wanted)
		return 0;
	set(b, e, true, e->there);
	settle(b, e);
	return 0;
}

void bind_unwant(struct bind *b, unsigned ifindex, struct addr a)
{
	struct entry *e = find(b, ifindex, a);

	if (e == NULL || !e->wanted)
		return;
	set(b, e, false, e->there);
	e->held = false;
	settle(b, e);
}

int bind_on_kernel(struct bind *b, unsigned ifindex, struct addr a, bool there)
{
	struct entry *e = find(b, ifindex, a);
	int err;

	if (e == NULL && !there)
		return 0;
	err = e == NULL ? insert(b, ifindex, a, &e) : 0;
	if (err < 0)
		return err;
	/* Writes outrun rtnetlink: what it says now may be of one before.  So an address that went
	 * is refreshed, which puts it back or does no harm; it is never added anew. */
	if (there && e->there)
		return 0;
	set(b, e, e->wanted, there || (e->wanted && e->there));
	e->held = false;
	settle(b, e);
	return 0;
}

static enum bind_verb verb_of(const struct entry *e)
{
	if (is_removing(e))
		return BIND_REMOVE;
	return e->there ? BIND_REFRESH : BIND_ADD;
}

static void begin(struct entry *e, struct bind_write *ret_w)
{
	list_delete(&e->queue);
	e->busy = true;
	*ret_w = (struct bind_write){verb_of(e), e->ifindex, e->addr};
	e->there |= e->wanted; /* from now on it may be */
}

size_t bind_next(struct bind *b, uint64_t now_ms, struct bind_write *ret_v, size_t max)
{
	size_t n = 0;

	while (n < max && now_ms >= bind_next_deadline(b)) {
		struct link *q = list_is_empty(&b->now) ? &b->later : &b->now;

		begin(CONTAINER_OF(q->next, struct entry, queue), &ret_v[n++]);
	}
	return n;
}

uint64_t bind_next_deadline(const struct bind *b)
{
	uint64_t at = TIME_NEVER;

	if (!list_is_empty(&b->now))
		at = 0;
	else if (!list_is_empty(&b->later))
		at = CONTAINER_OF(b->later.next, const struct entry, queue)->due_ms;
	return at != TIME_NEVER && at < b->pause_ms ? b->pause_ms : at;
}

/* -- answers -- */

static bool is_no_room(int err)
{
	return err == -ENOBUFS || err == -ENOMEM || err == -EAGAIN || err == -EINTR;
}

/* The next write of what is as it should be, or could not be made so. */
static void park(struct bind *b, struct entry *e, uint64_t now_ms)
{
	list_delete(&e->queue);
	e->due_ms = now_ms + BIND_REFRESH_MS;
	list_add(&b->later, &e->queue);
}

/* Returns whether it is to be said. */
static bool refused(struct bind *b, struct entry *e, int err, uint64_t now_ms)
{
	bool first = !e->failed;

	e->failed = true;
	if (err != -EPERM)
		return first;
	first = !b->forbidden;
	b->forbidden = true;
	b->pause_ms = now_ms + FORBIDDEN_MS;
	return first;
}

/* An interface that is gone has no address; what was refused when it was new is not there. */
static bool is_absent(const struct bind_write *w, int err)
{
	return err == -ENODEV || err == -EADDRNOTAVAIL || w->verb == BIND_ADD;
}

/* May the kernel have the address after that? */
static bool may_be_there(const struct bind_write *w, int err)
{
	if (is_no_room(err) || err == -EPERM)
		return w->verb != BIND_ADD;
	if (w->verb == BIND_REMOVE)
		return false;
	return err == 0 || !is_absent(w, err);
}

bool bind_done(struct bind *b, const struct bind_write *w, int err, uint64_t now_ms)
{
	struct entry *e = find(b, w->ifindex, w->addr);
	bool tell = false;

	REQUIRE(e != NULL && e->busy);
	e->busy = false;
	set(b, e, e->wanted, may_be_there(w, err));
	e->held = err == 0 && w->verb != BIND_REMOVE && e->wanted;
	if (err == 0)
		e->failed = b->forbidden = false;
	else if (is_no_room(err))
		b->pause_ms = now_ms + BUSY_MS;
	else if (e->wanted || err == -EPERM)
		tell = refused(b, e, err, now_ms);
	if (e->wanted && w->verb != BIND_REMOVE && !is_no_room(err))
		park(b, e, now_ms);
	else
		settle(b, e);
	return tell;
}

/* -- reading -- */

bool bind_is_held(const struct bind *b, unsigned ifindex, struct addr a)
{
	const struct entry *e = find(b, ifindex, a);

	return e != NULL && e->held;
}

bool bind_is_busy(const struct bind *b)
{
	return b->n_removing > 0;
}

size_t bind_count(const struct bind *b)
{
	return b->entries.live;
}
