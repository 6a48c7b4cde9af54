/* uses: http1 buf */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_http1.c - bytes of a server into the HTTP/1.1 parser.  The first byte chooses the size of
 * the pieces (and with its top bit a HEAD request); whole and in pieces must give the same.
 */
#include "http1.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct buf out;
	uint64_t body; /* bytes */
};

static bool on_head(void *ctx, const struct http1_head *head)
{
	struct seen *s = ctx;

	REQUIRE(memchr(head->content_type, '\0', sizeof head->content_type) != NULL);
	buf_addf(&s->out, "<%u %d %d %llu %d %llu %s>", head->status, head->keep_alive,
		head->has_length, (unsigned long long)head->length, head->chunked,
		(unsigned long long)head->retry_after_ms, head->content_type);
	return true;
}

static bool on_body(void *ctx, const char *p, size_t n)
{
	struct seen *s = ctx;

	REQUIRE(n > 0);
	s->body += n;
	buf_add(&s->out, p, n);
	return true;
}

static bool on_done(void *ctx)
{
	struct seen *s = ctx;

	buf_adds(&s->out, "<done>");
	return true;
}

static enum http1_error run(
	struct seen *s, const uint8_t *data, size_t size, size_t piece, bool head_request)
{
	static const struct http1_ops ops = {on_head, on_body, on_done};
	struct http1 *h = http1_new(&ops, s);
	enum http1_error e = HTTP1_OK;

	REQUIRE(h != NULL);
	buf_init(&s->out, size * 2 + 100000);
	http1_expect(h, head_request);
	for (size_t at = 0; at < size && e == HTTP1_OK; at += piece)
		e = http1_feed(h, (const char *)data + at, piece < size - at ? piece : size - at);
	if (e == HTTP1_OK)
		e = http1_eof(h);
	REQUIRE(!http1_busy(h) && s->body <= size);
	http1_free(h);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, pieces = {0};
	enum http1_error a, b;

	if (size == 0)
		return 0;
	a = run(&whole, data + 1, size - 1, size, data[0] >> 7 != 0);
	b = run(&pieces, data + 1, size - 1, (data[0] & 0x7fu) + 1, data[0] >> 7 != 0);
	REQUIRE(a == b && whole.out.len == pieces.out.len);
	REQUIRE(whole.out.len == 0 || memcmp(whole.out.p, pieces.out.p, whole.out.len) == 0);
	buf_free(&whole.out);
	buf_free(&pieces.out);
	return 0;
}
