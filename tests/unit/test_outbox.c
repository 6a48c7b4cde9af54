/* SPDX-License-Identifier: Apache-2.0
 *
 * test_outbox.c - the order of what waits, the delays, and what is under way.
 */
#include "check.h"
#include "outbox.h"

static void test_delays(void)
{
	const struct {
		const char *name;
		enum outbox_delay delay;
		uint64_t want_ms;
	} rows[] = {
		{"now", OUTBOX_NOW, 0},
		{"first failure", outbox_backoff(0), 100},
		{"second failure", outbox_backoff(1), 200},
		{"ninth failure", outbox_backoff(8), 25600},
		{"tenth failure", outbox_backoff(9), 30000},
		{"many failures", outbox_backoff(1000), 30000},
		{"conflict", OUTBOX_CONFLICT, 1000},
		{"settle", OUTBOX_SETTLE, OUTBOX_SETTLE_MS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outbox_item item = {.due_ms = 0};
		struct outbox o;

		check_row = rows[i].name;
		outbox_init(&o);
		CHECK(outbox_next_deadline(&o) == TIME_NEVER);
		outbox_queue(&o, &item, rows[i].delay, 5000);
		if (rows[i].want_ms > 0) {
			CHECK_INT(outbox_next_deadline(&o), 5000 + rows[i].want_ms);
			CHECK(outbox_due(&o, 5000 + rows[i].want_ms - 1) == NULL);
		}
		CHECK(outbox_due(&o, 5000 + rows[i].want_ms) == &item);
		CHECK_INT(outbox_next_deadline(&o), 0);
		outbox_free(&o);
	}
}

static void test_order(void)
{
	struct outbox_item v[4] = {{.due_ms = 0}};
	struct outbox o;

	outbox_init(&o);
	outbox_queue(&o, &v[0], OUTBOX_FIRST, 0);
	outbox_queue(&o, &v[1], OUTBOX_NOW, 0);
	outbox_queue(&o, &v[2], OUTBOX_NOW, 1);
	outbox_queue(&o, &v[3], OUTBOX_NOW, 1);
	outbox_unqueue(&v[2]);
	outbox_unqueue(&v[2]);
	CHECK_INT(v[2].state, OUTBOX_IDLE);
	CHECK(outbox_due(&o, 100) == &v[1]);
	outbox_queue(&o, &v[1], OUTBOX_NOW, 100); /* to the end */
	CHECK(outbox_due(&o, 100) == &v[3]);
	outbox_remove(&o, &v[3]);
	CHECK(outbox_due(&o, 100) == &v[0]);
	outbox_remove(&o, &v[0]);
	CHECK(outbox_due(&o, 100) == &v[1]);
	outbox_forget_all(&o);
	CHECK(outbox_due(&o, TIME_NEVER) == NULL);
	outbox_free(&o);
}

static void test_under_way(void)
{
	enum { N = 200 }; /* more than the first slots */
	struct outbox_item v[N] = {{.due_ms = 0}};
	uint64_t id[N], again;
	struct outbox o;

	outbox_init(&o);
	for (size_t i = 0; i < N; i++) {
		outbox_queue(&o, &v[i], OUTBOX_NOW, 0);
		CHECK(outbox_due(&o, 0) == &v[i]);
		id[i] = outbox_send(&o, &v[i]);
		CHECK(id[i] != 0 && (i == 0 || id[i] != id[i - 1]));
		CHECK_INT(v[i].state, OUTBOX_UNDER_WAY);
		CHECK(outbox_due(&o, TIME_NEVER) == NULL);
	}
	CHECK(outbox_land(&o, id[7]) == &v[7]);
	CHECK_INT(v[7].state, OUTBOX_IDLE);
	CHECK(outbox_land(&o, id[7]) == NULL);
	again = outbox_send(&o, &v[7]); /* the same slot */
	CHECK(again != id[7] && outbox_land(&o, id[7]) == NULL);
	CHECK(outbox_land(&o, again) == &v[7]);

	outbox_remove(&o, &v[8]);
	CHECK(outbox_land(&o, id[8]) == NULL);
	CHECK(outbox_land(&o, 0) == NULL);
	CHECK(outbox_land(&o, UINT64_MAX) == NULL);
	outbox_free(&o);
}

static void test_under_way_forgotten(void)
{
	struct outbox_item old = {.due_ms = 0}, new = {.due_ms = 0};
	uint64_t old_id, new_id;
	struct outbox o;

	outbox_init(&o);
	old_id = outbox_send(&o, &old);
	outbox_forget_all(&o);
	CHECK(outbox_land(&o, old_id) == NULL);
	new_id = outbox_send(&o, &new);
	CHECK(new_id != old_id && outbox_land(&o, old_id) == NULL);
	CHECK(outbox_land(&o, new_id) == &new);
	outbox_free(&o);
}

CHECK_MAIN("test_outbox", CHECK_TEST(test_delays), CHECK_TEST(test_order),
	CHECK_TEST(test_under_way), CHECK_TEST(test_under_way_forgotten))
