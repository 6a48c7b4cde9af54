/* SPDX-License-Identifier: Apache-2.0
 *
 * test_event.c - Kubernetes Events: once per change, counted, rate limited, bounded.
 */
#include "event.h"

#include "check.h"

enum { HOUR_MS = 3600 * 1000 };

static const struct hash_key hkey = {1, 2};
static const struct event_object svc = {.api_version = "v1",
	.kind = "Service",
	.namespace_ = "demo",
	.name = "web",
	.uid = "u-1",
	.resource_version = "7"};

static void add(struct event_queue *q, const char *message, uint64_t now_ms)
{
	event_add(q, &svc, EVENT_NORMAL, "IPAllocated", message, now_ms);
}

/* Sends the next one, which must be there, and tells ok. */
static struct event_write send_ok(struct event_queue *q, uint64_t now_ms)
{
	struct event_write w = {0};

	CHECK(event_next_write(q, now_ms, &w));
	event_done(q, w.id, EVENT_OK, now_ms);
	return w;
}

static void test_one_event(void)
{
	struct counters counters = {0};
	struct event_queue *q = event_new(&hkey, &counters);
	struct event_write w;

	CHECK(!event_next_write(q, 0, &w));
	CHECK(event_next_deadline(q) == TIME_NEVER);
	add(q, "Assigned IP 10.0.0.1", 5000);
	CHECK_INT(event_queued(q), 1);
	CHECK(event_next_deadline(q) <= 5000);
	CHECK(event_next_write(q, 6000, &w));
	CHECK(!w.update);
	CHECK_STR(w.object.api_version, "v1");
	CHECK_STR(w.object.kind, "Service");
	CHECK_STR(w.object.namespace_, "demo");
	CHECK_STR(w.object.name, "web");
	CHECK_STR(w.object.uid, "u-1");
	CHECK_STR(w.object.resource_version, "7");
	CHECK_STR(w.reason, "IPAllocated");
	CHECK_STR(w.message, "Assigned IP 10.0.0.1");
	CHECK_INT(w.type, EVENT_NORMAL);
	CHECK_INT(w.count, 1);
	CHECK_INT(w.first_ms, 5000);
	CHECK_INT(w.last_ms, 5000);
	CHECK(strncmp(w.name, "web.", 4) == 0 && strlen(w.name) == 4 + 16);
	CHECK(strspn(w.name + 4, "0123456789abcdef") == 16);
	CHECK(!event_next_write(q, 6000, &w)); /* it is under way */
	CHECK(event_next_deadline(q) == TIME_NEVER);
	event_done(q, w.id, EVENT_OK, 6000);
	CHECK(!event_next_write(q, 6000, &w));
	CHECK_INT(counters.v[COUNTER_EVENTS_SENT], 1);
	CHECK_INT(counters.v[COUNTER_EVENTS_DROPPED], 0);
	event_free(q);
	event_free(NULL);
}

static void test_same_again(void)
{
	struct event_queue *q = event_new(&hkey, NULL);
	char name[EVENT_NAME_STRLEN];
	struct event_write w;

	add(q, "m", 0);
	add(q, "m", 10); /* before it was sent: one POST with count 2 */
	CHECK_INT(event_queued(q), 1);
	w = send_ok(q, 20);
	CHECK(!w.update);
	CHECK_INT(w.count, 2);
	(void)snprintf(name, sizeof name, "%s", w.name);
	add(q, "m", 30);
	CHECK(event_next_write(q, 30, &w));
	CHECK(w.update);
	CHECK_INT(w.count, 3);
	CHECK_INT(w.first_ms, 0);
	CHECK_INT(w.last_ms, 30);
	CHECK_STR(w.name, name);
	add(q, "m", 40); /* while under way: once more after it */
	CHECK(!event_next_write(q, 40, &w) && event_queued(q) == 0);
	event_done(q, w.id, EVENT_OK, 50);
	w = send_ok(q, 50);
	CHECK(w.update);
	CHECK_INT(w.count, 4);
	CHECK_INT(event_queued(q), 0);
	event_free(q);
}

static void test_what_differs(void)
{
	struct event_object other = svc;
	struct event_queue *q = event_new(&hkey, NULL);

	event_add(q, &svc, EVENT_NORMAL, "R", "m", 0);
	event_add(q, &svc, EVENT_WARNING, "R", "m", 0);
	event_add(q, &svc, EVENT_NORMAL, "Q", "m", 0);
	event_add(q, &svc, EVENT_NORMAL, "R", "n", 0);
	event_add(q, &svc, EVENT_NORMAL, "Rm", "", 0);
	other.uid = "u-2";
	event_add(q, &other, EVENT_NORMAL, "R", "m", 0);
	CHECK_INT(event_queued(q), 6);
	other = svc;
	other.resource_version = "8"; /* not part of what it says */
	event_add(q, &other, EVENT_NORMAL, "R", "m", 0);
	CHECK_INT(event_queued(q), 6);
	event_free(q);
}

static void test_after_an_hour(void)
{
	struct event_queue *q = event_new(&hkey, NULL);
	char name[EVENT_NAME_STRLEN];
	struct event_write w;

	add(q, "m", 0);
	w = send_ok(q, 0);
	(void)snprintf(name, sizeof name, "%s", w.name);
	add(q, "m", HOUR_MS - 1);
	w = send_ok(q, HOUR_MS - 1);
	CHECK(w.update);
	add(q, "m", 2 * HOUR_MS - 1); /* an hour after the last */
	w = send_ok(q, 2 * HOUR_MS - 1);
	CHECK(!w.update);
	CHECK_INT(w.count, 1);
	CHECK_STR(w.name, name);
	event_free(q);
}

static void test_spam_filter(void)
{
	struct counters counters = {0};
	struct event_queue *q = event_new(&hkey, &counters);
	struct event_object other = svc;
	char message[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(message, sizeof message, "m %d", i);
		add(q, message, 1000);
	}
	CHECK_INT(event_queued(q), EVENT_BURST);
	CHECK_INT(counters.v[COUNTER_EVENTS_DROPPED], 100 - EVENT_BURST);
	other.uid = "u-2"; /* another object has its own bucket */
	event_add(q, &other, EVENT_NORMAL, "R", "m", 1000);
	CHECK_INT(event_queued(q), EVENT_BURST + 1);
	add(q, "later", 1000 + EVENT_REFILL_MS - 1);
	CHECK_INT(event_queued(q), EVENT_BURST + 1);
	add(q, "later", 1000 + EVENT_REFILL_MS);
	CHECK_INT(event_queued(q), EVENT_BURST + 2);
	add(q, "again", 1000 + EVENT_REFILL_MS);
	CHECK_INT(event_queued(q), EVENT_BURST + 2);
	for (int i = 0; i < 100; i++) { /* long after: a full bucket, no more */
		(void)snprintf(message, sizeof message, "n %d", i);
		add(q, message, 24ull * HOUR_MS);
	}
	CHECK_INT(event_queued(q), 2 * EVENT_BURST + 2);
	event_free(q);
}

static void test_failures(void)
{
	struct counters counters = {0};
	struct event_queue *q = event_new(&hkey, &counters);
	struct event_write w;

	add(q, "m", 0);
	CHECK(event_next_write(q, 0, &w));
	event_done(q, w.id, EVENT_FAILED, 0);
	CHECK_INT(event_queued(q), 1);
	CHECK_INT(event_next_deadline(q), 1000);
	CHECK(!event_next_write(q, 999, &w));
	CHECK(event_next_write(q, 1000, &w));
	CHECK(!w.update);
	event_done(q, w.id, EVENT_FAILED, 1000);
	CHECK_INT(event_next_deadline(q), 3000);
	CHECK(event_next_write(q, 3000, &w));
	event_done(q, w.id, EVENT_FAILED, 3000);
	CHECK(event_next_deadline(q) == TIME_NEVER);
	CHECK_INT(counters.v[COUNTER_EVENTS_DROPPED], 1);
	add(q, "m", 3000); /* forgotten: a new one, after the back-off */
	CHECK_INT(event_next_deadline(q), 7000);
	w = send_ok(q, 7000);
	CHECK(!w.update);
	add(q, "r", 8000);
	CHECK(event_next_write(q, 8000, &w));
	event_done(q, w.id, EVENT_REFUSED, 8000);
	CHECK_INT(event_queued(q), 0);
	CHECK_INT(counters.v[COUNTER_EVENTS_DROPPED], 2);
	event_done(q, w.id, EVENT_OK, 8000); /* told twice: nothing */
	event_done(q, 999, EVENT_OK, 8000);
	CHECK_INT(counters.v[COUNTER_EVENTS_SENT], 1);
	event_free(q);
}

static void test_gone(void)
{
	struct event_queue *q = event_new(&hkey, NULL);
	char name[EVENT_NAME_STRLEN];
	struct event_write w;

	add(q, "m", 0);
	(void)send_ok(q, 0);
	add(q, "m", 10);
	CHECK(event_next_write(q, 10, &w) && w.update);
	(void)snprintf(name, sizeof name, "%s", w.name);
	event_done(q, w.id, EVENT_GONE, 20);
	CHECK(event_next_write(q, 20, &w));
	CHECK(!w.update);
	CHECK_INT(w.count, 1);
	CHECK_INT(w.first_ms, 20);
	CHECK_STR(w.name, name);
	event_done(q, w.id, EVENT_GONE, 30); /* of a POST: its namespace is gone */
	CHECK(event_next_deadline(q) == TIME_NEVER);
	event_free(q);
}

/* Two processes tell the same: the second meets the first one's Event.  What begins to be told stays as
 * it is; what happens is noted there, without a count that nobody knows. */
static void test_another_process(void)
{
	const struct hash_key other = {77, 78};
	struct event_queue *a = event_new(&hkey, NULL), *b = event_new(&other, NULL);
	struct event_object standing = svc;
	char name[EVENT_NAME_STRLEN];
	struct event_write w;

	standing.standing = true;
	event_add(a, &svc, EVENT_WARNING, "R", "m", 0);
	(void)snprintf(name, sizeof name, "%s", send_ok(a, 0).name);
	event_add(a, &svc, EVENT_WARNING, "R", "another", 0);
	CHECK(strcmp(send_ok(a, 0).name, name) != 0);

	event_add(b, &standing, EVENT_WARNING, "R", "m", 1000);
	CHECK(event_next_write(b, 1000, &w) && !w.update);
	CHECK_STR(w.name, name);
	event_done(b, w.id, EVENT_EXISTS, 1000);
	CHECK(event_next_deadline(b) == TIME_NEVER);
	event_add(b, &svc, EVENT_WARNING, "R", "m", 2000);
	w = send_ok(b, 2000);
	CHECK(w.update && w.count == 0 && w.last_ms == 2000);
	CHECK_STR(w.name, name);

	event_add(b, &svc, EVENT_WARNING, "R", "another", 3000);
	CHECK(event_next_write(b, 3000, &w) && !w.update);
	event_done(b, w.id, EVENT_EXISTS, 3000);
	w = send_ok(b, 3000);
	CHECK(w.update && w.count == 0);
	CHECK(event_next_deadline(b) == TIME_NEVER);

	/* A POST whose answer was lost meets itself. */
	event_add(b, &svc, EVENT_WARNING, "R", "lost", 4000);
	CHECK(event_next_write(b, 4000, &w));
	event_done(b, w.id, EVENT_FAILED, 4000);
	CHECK(event_next_write(b, 6000, &w) && !w.update);
	event_done(b, w.id, EVENT_EXISTS, 6000);
	CHECK(event_next_deadline(b) == TIME_NEVER);
	event_add(b, &svc, EVENT_WARNING, "R", "lost", 7000);
	CHECK_INT(send_ok(b, 7000).count, 2);
	event_free(a);
	event_free(b);
}

static void test_names(void)
{
	static char a300[301];
	static const struct {
		const char *name, *in;
		size_t prefix; /* bytes before the dot */
	} rows[] = {
		{"short", "a", 1},
		{"at the limit", a300 + 100, 200},
		{"over it", a300, 200},
		{"the cut falls behind a dash", NULL, 198},
		{"empty", "", 0},
	};
	char dashed[260];

	memset(a300, 'a', 300);
	memset(dashed, 'a', sizeof dashed - 1);
	dashed[sizeof dashed - 1] = '\0';
	dashed[198] = '.';
	dashed[199] = '-';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct event_queue *q = event_new(&hkey, NULL);
		struct event_object o = svc;
		struct event_write w;

		check_row = rows[i].name;
		o.name = rows[i].in != NULL ? rows[i].in : dashed;
		event_add(q, &o, EVENT_NORMAL, "R", "m", 0);
		w = send_ok(q, 0);
		CHECK_INT(strlen(w.name), rows[i].prefix + 17);
		CHECK_INT(w.name[rows[i].prefix], '.');
		CHECK(strlen(w.name) <= 253);
		event_free(q);
	}
}

static void test_long_message(void)
{
	static char message[EVENT_MAX_MESSAGE + 16];
	struct event_queue *q = event_new(&hkey, NULL);
	struct event_write w;

	memset(message, 'x', sizeof message - 1);
	memcpy(message + EVENT_MAX_MESSAGE - 1, "\xc3\xa9", 2); /* the cut would halve it */
	add(q, message, 0);
	w = send_ok(q, 0);
	CHECK_INT(strlen(w.message), EVENT_MAX_MESSAGE - 1);
	event_add(q, &(struct event_object){.kind = "Node", .name = "n1"}, EVENT_WARNING, NULL,
		NULL, 0);
	w = send_ok(q, 0);
	CHECK_STR(w.object.namespace_, "");
	CHECK_STR(w.object.resource_version, "");
	CHECK_STR(w.message, "");
	event_free(q);
}

static void add_numbered(struct event_queue *q, unsigned i, uint64_t now_ms)
{
	struct event_object o = svc;
	char uid[32];

	(void)snprintf(uid, sizeof uid, "u-%u", i);
	o.uid = uid;
	event_add(q, &o, EVENT_NORMAL, "R", "m", now_ms);
}

static void test_limits(void)
{
	struct counters counters = {0};
	struct event_queue *q = event_new(&hkey, &counters);
	struct event_write w;
	unsigned n = 0;

	for (unsigned i = 0; i < EVENT_MAX_QUEUE + 100; i++)
		add_numbered(q, i, 0);
	CHECK_INT(event_queued(q), EVENT_MAX_QUEUE);
	CHECK_INT(counters.v[COUNTER_EVENTS_DROPPED], 100);
	while (event_next_write(q, 0, &w))
		n++;
	CHECK_INT(n, EVENT_MAX_SENDING);
	CHECK(event_next_deadline(q) == TIME_NEVER);
	event_done(q, w.id, EVENT_OK, 0);
	CHECK(event_next_deadline(q) == 0);
	while (event_next_write(q, 0, &w))
		event_done(q, w.id, EVENT_OK, 0);
	CHECK_INT(event_queued(q), 0);
	/* what is written makes room, the oldest first */
	add_numbered(q, 999999, 1);
	CHECK_INT(event_queued(q), 1);
	w = send_ok(q, 1);
	CHECK(!w.update);
	add_numbered(q, EVENT_MAX_QUEUE - 1, 1);
	w = send_ok(q, 1);
	CHECK(w.update);
	event_free(q);
}

CHECK_MAIN("test_event", CHECK_TEST(test_one_event), CHECK_TEST(test_same_again),
	CHECK_TEST(test_what_differs), CHECK_TEST(test_after_an_hour), CHECK_TEST(test_spam_filter),
	CHECK_TEST(test_failures), CHECK_TEST(test_gone), CHECK_TEST(test_another_process), CHECK_TEST(test_names),
	CHECK_TEST(test_long_message), CHECK_TEST(test_limits))
