/* uses: watch buf json */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_watch.c - the list/watch machine from its outermost entry: the bytes of answers.
 *
 * data[0] bit 0: a list is answered first with a good page, and the body is the watch's; bit 1: the
 * body is a second page; bits 2..: how the answer ends.  data[1]: bytes in a piece (0 = all).  The
 * rest is the body.
 * Held: each list_begin() is followed by exactly one list_end(); objects come only while a list is
 * open or a watch is live; one request at a time; a failed request is followed by another.
 */
#include "watch.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct driver {
	struct watch *w;
	bool under_way, streaming, list_open, live;
	uint64_t now_ms;
};

static void on_get(void *ctx, const char *path, const struct watch_get *get)
{
	struct driver *d = ctx;

	REQUIRE(!d->under_way && strncmp(path, "/x?", 3) == 0);
	for (const char *p = path; *p != '\0'; p++)
		REQUIRE(*p > ' ' && *p <= '~'); /* it becomes a request line */
	d->under_way = true;
	d->streaming = get->stream;
	d->live = false;
}

static void on_cancel(void *ctx)
{
	struct driver *d = ctx;

	REQUIRE(d->under_way);
	d->under_way = false;
}

static void on_list_begin(void *ctx)
{
	struct driver *d = ctx;

	REQUIRE(!d->list_open && !d->streaming);
	d->list_open = true;
}

static void on_object(void *ctx, enum watch_event event, const cJSON *obj)
{
	const struct driver *d = ctx;

	REQUIRE(cJSON_IsObject(obj));
	REQUIRE(d->streaming ? d->live : d->list_open && event == WATCH_ADDED);
}

static void on_list_end(void *ctx, bool complete)
{
	struct driver *d = ctx;

	(void)complete;
	REQUIRE(d->list_open);
	d->list_open = false;
}

static void on_synced(void *ctx, bool synced)
{
	(void)ctx;
	(void)synced;
}

static void on_missing(void *ctx)
{
	(void)ctx;
}

static void on_forbidden(void *ctx)
{
	(void)ctx;
}

static const struct watch_ops ops = {on_get, on_cancel, on_list_begin, on_object, on_list_end,
	on_synced, on_missing, on_forbidden};

static void feed(struct driver *d, const char *p, size_t n, size_t piece)
{
	d->live = d->streaming;
	watch_on_status(d->w, 200, 0, d->now_ms);
	if (piece == 0 || piece > n)
		piece = n;
	for (size_t at = 0; at < n && d->under_way; at += piece)
		watch_on_bytes(d->w, p + at, piece < n - at ? piece : n - at, d->now_ms);
}

static void end(struct driver *d, int result)
{
	if (!d->under_way)
		return;
	d->under_way = false;
	watch_on_end(d->w, result, d->now_ms);
}

static void wait_for_request(struct driver *d)
{
	while (!d->under_way) {
		uint64_t t = watch_next_deadline(d->w);

		REQUIRE(t != TIME_NEVER);
		d->now_ms = t > d->now_ms ? t : d->now_ms;
		watch_tick(d->w, d->now_ms);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char page[] = "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[]}";
	static const char more[] =
		"{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"t\"},\"items\":[{}]}";
	struct rng rng = {.state = 1};
	struct driver d = {.now_ms = 1000};

	if (size < 2)
		return 0;
	d.w = watch_new("/x", "a=b", NULL, &ops, &d, &rng, NULL);
	if (d.w == NULL)
		return 0;
	watch_start(d.w, d.now_ms);
	if ((data[0] & 2) != 0) {
		feed(&d, more, sizeof more - 1, 0);
		end(&d, 0);
	} else if ((data[0] & 1) != 0) {
		feed(&d, page, sizeof page - 1, 0);
		end(&d, 0);
	}
	feed(&d, (const char *)data + 2, size - 2, data[1]);
	end(&d, (data[0] & 4) != 0 ? -ECONNRESET : 0);
	for (int i = 0; i < 10; i++) { /* whatever came: it goes on, and every list ends */
		wait_for_request(&d);
		end(&d, -ECONNREFUSED);
	}
	REQUIRE(!d.list_open && !watch_is_synced(d.w));
	watch_free(d.w);
	return 0;
}
