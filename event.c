/* SPDX-License-Identifier: Apache-2.0
 *
 * event.c - the queue of Kubernetes Events to write, and the memory of those written.
 *
 * Owns: a table of Events by content, one of token buckets by object, a queue.  No clock, no wire.
 * In:   event_add(); event_done() for what was sent.
 * Out:  event_next_write().
 * Sources: client-go tools/record/events_cache.go (spam filter: burst 25, one per 300 s there, 30 s
 *       here; aggregation by equality alone), core/v1 Event.
 * Not done: client-go's aggregation of similar messages ("combined from similar events").
 */
#include "event.h"

#include "buf.h"
#include "list.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FIELD = 512, MAX_REASON = 128 };

/* The strings that make two Events equal, in one block with NULs between, so that the block itself
 * is the key; the first OBJECT_FIELDS of them are the object's, the key of its bucket. */
enum field {
	FIELD_API_VERSION,
	FIELD_KIND,
	FIELD_NAMESPACE,
	FIELD_NAME,
	FIELD_UID,
	OBJECT_FIELDS,
	FIELD_TYPE = OBJECT_FIELDS,
	FIELD_REASON,
	FIELD_MESSAGE,
	FIELDS
};

enum state {
	STATE_IDLE,    /* as the API has it */
	STATE_QUEUED,  /* to be sent */
	STATE_SENDING, /* under way */
	STATES
};

/* What is sent: kept from event_add() until the API has it.  The fields' block lies behind it, then
 * the resourceVersion. */
struct letter {
	uint64_t id;
	size_t block_len;
	char text[];
};

/* An Event that stands in the API is known by the hash of its content alone: whoever adds it again
 * brings the words. */
struct event {
	uint32_t hash, more; /* of the content: 64 bits that nobody outside can aim at */
	struct link link;    /* in the list of its state */
	uint64_t first_ms, last_ms;
	struct letter *letter; /* owned; NULL in STATE_IDLE alone */
	uint32_t count;
	uint8_t state; /* enum state */
	uint8_t tries;
	bool posted : 1;   /* the API has it, under the name that make_name() gives it */
	bool again : 1;    /* happened once more while SENDING */
	bool standing : 1; /* as in event_object, until it is posted */
	bool others : 1;   /* another process posted it: how often it happened is not known */
};

struct bucket {
	uint32_t hash, more;  /* of the object, as in struct event */
	struct link link;     /* queue.recent */
	uint64_t refilled_ms; /* tokens was right then */
	unsigned tokens;
};

struct event_queue {
	struct hash_key hkey;
	struct counters *counters; /* borrowed, may be NULL */
	struct table known;        /* of struct event, owned */
	struct link list[STATES];  /* IDLE: longest unchanged first */
	size_t count[STATES];
	struct table buckets; /* of struct bucket, owned */
	struct link recent;   /* longest untouched first */
	struct letter *last;  /* owned: the last that was sent, for whoever still looks at it */
	uint64_t last_id;
	uint64_t hold_ms;             /* nothing is sent before: the API had trouble */
	char name[EVENT_NAME_STRLEN]; /* of the Event last handed out */
};

/* -- by hash of content -- */

struct print {
	uint32_t hash, more;
};

static struct print print_of(const struct event_queue *q, const void *data, size_t len)
{
	const struct hash_key other = {~q->hkey.k0, q->hkey.k1};

	return (struct print){hash_bytes(&q->hkey, data, len), hash_bytes(&other, data, len)};
}

/* Events and buckets alike: they begin with a struct print. */
static bool print_is(const void *elt, const void *key, size_t len)
{
	return memcmp(elt, key, len) == 0;
}

static void *find_print(const struct table *t, const struct print *p)
{
	return table_find(t, p->hash, print_is, p, sizeof *p);
}

/* The analyzer does not see that what leaves a list is no longer in it, and takes the next one for
 * what was freed.  NOLINTBEGIN(clang-analyzer-unix.Malloc) */

/* NULL when empty. */
static struct event *list_first(const struct link *head)
{
	return !list_is_empty(head) ? CONTAINER_OF(head->next, struct event, link) : NULL;
}

/* -- making and freeing -- */

struct event_queue *event_new(const struct hash_key *hkey, struct counters *counters)
{
	struct event_queue *q = calloc(1, sizeof *q);

	if (q != NULL) {
		q->hkey = *hkey;
		q->counters = counters;
		for (size_t i = 0; i < STATES; i++)
			list_init(&q->list[i]);
		list_init(&q->recent);
	}
	return q;
}

static void unlink_event(struct event_queue *q, struct event *e)
{
	list_delete(&e->link);
	q->count[e->state]--;
}

/* Into the list of state; first: before the others. */
static void link_event(struct event_queue *q, struct event *e, enum state state, bool first)
{
	struct link *head = &q->list[state];

	e->state = (uint8_t)state;
	list_add(first ? head->next : head, &e->link); /* before that one */
	q->count[state]++;
}

static void move(struct event_queue *q, struct event *e, enum state state, bool first)
{
	unlink_event(q, e);
	link_event(q, e, state, first);
}

static void free_event(struct event *e)
{
	if (e == NULL)
		return;
	free(e->letter);
	free(e);
}

static void forget(struct event_queue *q, struct event *e)
{
	unlink_event(q, e);
	table_remove(&q->known, e);
	free_event(e);
}

static void forget_bucket(struct event_queue *q, struct bucket *b)
{
	list_delete(&b->link);
	table_remove(&q->buckets, b);
	free(b);
}

void event_free(struct event_queue *q)
{
	struct event *e = NULL;

	if (q == NULL)
		return;
	while ((e = table_next(&q->known, e)) != NULL)
		free(e->letter);
	table_free_all(&q->known);
	table_free_all(&q->buckets);
	free(q->last);
	free(q);
}

/* -- token buckets -- */

static struct bucket *bucket_at(struct link *l)
{
	return CONTAINER_OF(l, struct bucket, link);
}

static struct bucket *new_bucket(struct event_queue *q, const struct print *p, uint64_t now_ms)
{
	struct bucket *b;

	if (q->buckets.live >= EVENT_MAX_KNOWN)
		forget_bucket(q, bucket_at(q->recent.next));
	b = malloc(sizeof *b);
	if (b == NULL)
		return NULL;
	*b = (struct bucket){
		.hash = p->hash, .more = p->more, .refilled_ms = now_ms, .tokens = EVENT_BURST};
	if (table_add(&q->buckets, b) < 0) {
		free(b);
		return NULL;
	}
	list_add(&q->recent, &b->link);
	return b;
}

/* Full ones say nothing: they go. */
static void drop_full_buckets(struct event_queue *q, uint64_t now_ms)
{
	while (!list_is_empty(&q->recent)) {
		struct bucket *b = bucket_at(q->recent.next);

		if (now_ms - b->refilled_ms < (uint64_t)EVENT_BURST * EVENT_REFILL_MS)
			break;
		forget_bucket(q, b);
	}
}

static void refill(struct bucket *b, uint64_t now_ms)
{
	uint64_t fresh = (now_ms - b->refilled_ms) / EVENT_REFILL_MS;

	b->refilled_ms += fresh * EVENT_REFILL_MS;
	b->tokens += (unsigned)time_min(fresh, EVENT_BURST);
	if (b->tokens >= EVENT_BURST) {
		b->tokens = EVENT_BURST;
		b->refilled_ms = now_ms;
	}
}

static bool take_token(struct event_queue *q, const char *key, size_t key_len, uint64_t now_ms)
{
	struct print p = print_of(q, key, key_len);
	struct bucket *b;

	drop_full_buckets(q, now_ms);
	b = find_print(&q->buckets, &p);
	if (b == NULL)
		b = new_bucket(q, &p, now_ms);
	if (b == NULL)
		return false;
	list_delete(&b->link);
	list_add(&q->recent, &b->link); /* now the last */
	refill(b, now_ms);
	if (b->tokens == 0)
		return false;
	b->tokens--;
	return true;
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* -- Events by content -- */

/* Bytes of s up to max, not ending inside a UTF-8 character. */
static size_t cut_len(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return n;
	for (n = max; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
		;
	return n;
}

static void add_field(struct buf *b, const char *s, size_t max)
{
	if (s != NULL)
		buf_add(b, s, cut_len(s, max));
	buf_addc(b, '\0');
}

/* *ret_object_len: of the part that names the object. */
static void print_block(struct buf *b, const struct event_object *o, enum event_type type,
	const char *reason, const char *message, size_t *ret_object_len)
{
	add_field(b, o->api_version, MAX_FIELD);
	add_field(b, o->kind, MAX_FIELD);
	add_field(b, o->namespace_, MAX_FIELD);
	add_field(b, o->name, MAX_FIELD);
	add_field(b, o->uid, MAX_FIELD);
	*ret_object_len = b->len;
	add_field(b, type == EVENT_WARNING ? "Warning" : "Normal", MAX_FIELD);
	add_field(b, reason, MAX_REASON);
	add_field(b, message, EVENT_MAX_MESSAGE);
}

/* Returns the resourceVersion. */
static const char *split_letter(const struct letter *l, const char *ret_field[FIELDS])
{
	const char *p = l->text;

	for (size_t i = 0; i < FIELDS; i++, p += strlen(p) + 1)
		ret_field[i] = p;
	return p;
}

/* An Event's name is a DNS subdomain (RFC 1123): the cut must end on a letter or digit. The hash is
 * of the content, and the same in every process: what another leader told, or this one before its
 * start, meets that Event. */
static void make_name(const struct event *e, const char *object, char *ret_name)
{
	static const struct hash_key mine = {1, 0}, other = {2, 0};
	size_t n = strnlen(object, EVENT_MAX_NAME);

	while (n > 0 && (object[n - 1] == '-' || object[n - 1] == '.'))
		n--;
	(void)snprintf(ret_name, EVENT_NAME_STRLEN, "%.*s.%08x%08x", (int)n, object,
		hash_bytes(&mine, e->letter->text, e->letter->block_len),
		hash_bytes(&other, e->letter->text, e->letter->block_len));
}

static void begin_count(struct event *e, uint64_t now_ms)
{
	e->posted = e->others = false;
	e->count = 1;
	e->first_ms = e->last_ms = now_ms;
}

/* NULL when out of memory. */
static struct letter *new_letter(const struct buf *block, const char *version)
{
	size_t n = version != NULL ? strlen(version) : 0;
	struct letter *l = malloc(sizeof *l + block->len + n + 1);

	if (l == NULL)
		return NULL;
	l->id = 0;
	l->block_len = block->len;
	memcpy(l->text, block->p, block->len);
	if (n > 0)
		memcpy(l->text + block->len, version, n);
	l->text[block->len + n] = '\0';
	return l;
}

/* Queued.  NULL when out of memory. */
static struct event *new_event(struct event_queue *q, const struct print *p,
	const struct buf *block, const struct event_object *o, uint64_t now_ms)
{
	struct event *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->hash = p->hash;
	e->more = p->more;
	e->letter = new_letter(block, o->resource_version);
	e->standing = o->standing;
	begin_count(e, now_ms);
	if (e->letter == NULL || table_add(&q->known, e) < 0) {
		free_event(e);
		return NULL;
	}
	link_event(q, e, STATE_QUEUED, false);
	return e;
}

/* Room for one more: those out of their hour go, then the longest unchanged. */
static bool make_room(struct event_queue *q, uint64_t now_ms)
{
	struct event *e = list_first(&q->list[STATE_IDLE]);

	while (e != NULL &&
		(now_ms - e->last_ms >= EVENT_AGGREGATE_MS || q->known.live >= EVENT_MAX_KNOWN)) {
		forget(q, e);
		e = list_first(&q->list[STATE_IDLE]);
	}
	return q->known.live < EVENT_MAX_KNOWN && q->count[STATE_QUEUED] < EVENT_MAX_QUEUE;
}

/* false when out of memory: nothing happened. */
static bool happened_again(struct event_queue *q, struct event *e, const struct buf *block,
	const char *version, uint64_t now_ms)
{
	if (e->letter == NULL)
		e->letter = new_letter(block, version);
	if (e->letter == NULL)
		return false;
	if (e->count < UINT32_MAX)
		e->count++;
	e->last_ms = now_ms;
	e->standing = false;
	if (e->state == STATE_SENDING)
		e->again = true;
	else if (e->state == STATE_IDLE)
		move(q, e, STATE_QUEUED, false);
	return true;
}

void event_add(struct event_queue *q, const struct event_object *o, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms)
{
	bool room = make_room(q, now_ms), taken = false;
	size_t object_len;
	struct buf block;

	buf_init(&block, OBJECT_FIELDS * (MAX_FIELD + 1) + MAX_REASON + EVENT_MAX_MESSAGE + 64);
	print_block(&block, o, type, reason, message, &object_len);
	if (!block.bad && take_token(q, block.p, object_len, now_ms)) {
		struct print p = print_of(q, block.p, block.len);
		struct event *e = find_print(&q->known, &p);

		if (e != NULL)
			taken = happened_again(q, e, &block, o->resource_version, now_ms);
		else if (room)
			taken = new_event(q, &p, &block, o, now_ms) != NULL;
	}
	if (!taken)
		counter_inc(q->counters, COUNTER_EVENTS_DROPPED);
	buf_free(&block);
}

/* -- what is to be written -- */

bool event_next_write(struct event_queue *q, uint64_t now_ms, struct event_write *ret_w)
{
	struct event *e = list_first(&q->list[STATE_QUEUED]);
	const char *field[FIELDS], *version;

	if (e == NULL || now_ms < q->hold_ms || q->count[STATE_SENDING] >= EVENT_MAX_SENDING)
		return false;
	e->letter->id = ++q->last_id;
	move(q, e, STATE_SENDING, false);
	version = split_letter(e->letter, field);
	make_name(e, field[FIELD_NAME], q->name);
	*ret_w = (struct event_write){
		.update = e->posted,
		.name = q->name,
		.object = {.api_version = field[FIELD_API_VERSION],
			.kind = field[FIELD_KIND],
			.namespace_ = field[FIELD_NAMESPACE],
			.name = field[FIELD_NAME],
			.uid = field[FIELD_UID],
			.resource_version = version},
		.type = strcmp(field[FIELD_TYPE], "Warning") == 0 ? EVENT_WARNING : EVENT_NORMAL,
		.reason = field[FIELD_REASON],
		.message = field[FIELD_MESSAGE],
		.count = e->others ? 0 : e->count,
		.first_ms = e->first_ms,
		.last_ms = e->last_ms,
		.id = e->letter->id,
	};
	return true;
}

static void drop(struct event_queue *q, struct event *e)
{
	counter_inc(q->counters, COUNTER_EVENTS_DROPPED);
	forget(q, e);
}

static void failed(struct event_queue *q, struct event *e, uint64_t now_ms)
{
	uint64_t hold_ms = now_ms + ((uint64_t)EVENT_RETRY_MS << e->tries);

	if (q->hold_ms < hold_ms)
		q->hold_ms = hold_ms;
	if (++e->tries >= EVENT_TRIES)
		drop(q, e);
	else
		move(q, e, STATE_QUEUED, true);
}

static void written(struct event_queue *q, struct event *e)
{
	counter_inc(q->counters, COUNTER_EVENTS_SENT);
	e->posted = true;
	e->tries = 0;
	move(q, e, e->again ? STATE_QUEUED : STATE_IDLE, false);
	if (!e->again) {
		free(q->last);
		q->last = e->letter;
		e->letter = NULL;
	}
	e->again = false;
}

/* A POST that was tried before may have met itself. */
static void met(struct event_queue *q, struct event *e)
{
	e->others = e->tries == 0;
	if (e->standing || !e->others) {
		written(q, e);
		return;
	}
	e->posted = true;
	e->again = false;
	move(q, e, STATE_QUEUED, false);
}

static struct event *find_sending(const struct event_queue *q, uint64_t id)
{
	const struct link *head = &q->list[STATE_SENDING];

	for (struct link *l = head->next; l != head; l = l->next) {
		struct event *e = CONTAINER_OF(l, struct event, link);

		if (e->letter->id == id)
			return e;
	}
	return NULL;
}

void event_done(struct event_queue *q, uint64_t id, enum event_outcome outcome, uint64_t now_ms)
{
	struct event *e = find_sending(q, id);

	if (e == NULL)
		return;
	switch (outcome) {
	case EVENT_OK:
		written(q, e);
		break;
	case EVENT_EXISTS:
		met(q, e);
		break;
	case EVENT_GONE:
		if (!e->posted) {
			drop(q, e);
			break;
		}
		begin_count(e, now_ms);
		e->again = false;
		move(q, e, STATE_QUEUED, false);
		break;
	case EVENT_FAILED:
		failed(q, e, now_ms);
		break;
	case EVENT_REFUSED:
		drop(q, e);
		break;
	}
}

uint64_t event_next_deadline(const struct event_queue *q)
{
	if (q->count[STATE_QUEUED] == 0 || q->count[STATE_SENDING] >= EVENT_MAX_SENDING)
		return TIME_NEVER;
	return q->hold_ms;
}

size_t event_queued(const struct event_queue *q)
{
	return q->count[STATE_QUEUED];
}
