/* SPDX-License-Identifier: Apache-2.0
 *
 * test_http1.c - the HTTP/1.1 parser: each row is fed whole, byte by byte and in every two pieces,
 * and must give the same.
 */
#include "http1.h"

#include "check.h"

/* What the callbacks saw, as text: "200 keep len=5|hello|done". */
struct seen {
	struct buf out;
	char stop_at; /* 'h', 'b', 'd': that callback returns false */
};

static bool seen_head(void *ctx, const struct http1_head *head)
{
	struct seen *s = ctx;

	buf_addf(&s->out, "%u%s", head->status, head->keep_alive ? " keep" : "");
	if (head->has_length)
		buf_addf(&s->out, " len=%" PRIu64, head->length);
	if (head->chunked)
		buf_adds(&s->out, " chunked");
	if (head->date_s != 0)
		buf_addf(&s->out, " date=%" PRId64, head->date_s);
	if (head->retry_after_ms != 0)
		buf_addf(&s->out, " retry=%" PRIu64, head->retry_after_ms);
	if (head->content_type[0] != '\0')
		buf_addf(&s->out, " type=%s", head->content_type);
	buf_addc(&s->out, '|');
	return s->stop_at != 'h';
}

static bool seen_body(void *ctx, const char *p, size_t n)
{
	struct seen *s = ctx;

	CHECK(n > 0);
	buf_add(&s->out, p, n);
	return s->stop_at != 'b';
}

static bool seen_done(void *ctx)
{
	struct seen *s = ctx;

	buf_adds(&s->out, "|done");
	return s->stop_at != 'd';
}

static const struct http1_ops seen_ops = {seen_head, seen_body, seen_done};

enum how { NO_EOF, EOF_AFTER, HEAD_REQUEST };

struct row {
	const char *name, *in;
	const char *want; /* what was seen */
	enum http1_error error;
	enum how how;
};

/* Feeds in in pieces of first bytes, then step bytes each (0: all the rest). */
static void run(const struct row *r, size_t first, size_t step)
{
	struct seen s = {0};
	struct http1 *h;
	size_t n = strlen(r->in);
	enum http1_error e = HTTP1_OK;

	buf_init(&s.out, 1 << 20);
	h = http1_new(&seen_ops, &s);
	CHECK(h != NULL);
	http1_expect(h, r->how == HEAD_REQUEST);
	CHECK(http1_busy(h));
	for (size_t at = 0, take = first; at < n; at += take, take = step != 0 ? step : n - at) {
		unsigned char *p;

		take = take > n - at ? n - at : take;
		p = check_guard(r->in + at, take);
		e = http1_feed(h, (const char *)p, take);
		check_unguard(p, take);
	}
	if (r->how == EOF_AFTER)
		e = http1_eof(h);
	CHECK_STR(s.out.p != NULL ? s.out.p : "", r->want);
	if (e != r->error)
		printf("%s: split %zu/%zu: error \"%s\", want \"%s\"\n", r->name, first, step,
			http1_error_text(e), http1_error_text(r->error));
	CHECK(e == r->error);
	if (e != HTTP1_OK)
		CHECK(http1_feed(h, "x", 1) == e);
	http1_free(h);
	buf_free(&s.out);
}

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(rows[i].in);

		check_row = rows[i].name;
		run(&rows[i], len, 0);
		run(&rows[i], 1, 1);
		for (size_t cut = 1; cut < len; cut++)
			run(&rows[i], cut, 0);
	}
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_LINE "Transfer-Encoding: chunked\r\n\r\n"

static void test_http1_answers(void)
{
	static const struct row rows[] = {
		{"length", OK_LINE "Content-Length: 5\r\n\r\nhello", "200 keep len=5|hello|done",
			HTTP1_OK, NO_EOF},
		{"length zero", OK_LINE "Content-Length: 0\r\n\r\n", "200 keep len=0||done",
			HTTP1_OK, NO_EOF},
		{"length twice the same", OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
			"200 keep len=1|x|done", HTTP1_OK, NO_EOF},
		{"names and tokens in any case",
			OK_LINE "cONTENT-lENGTH:1\r\nCONNECTION: Foo, CLOSE \r\n\r\nx",
			"200 len=1|x|done", HTTP1_OK, NO_EOF},
		{"chunks", CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
			"200 keep chunked|hello!|done", HTTP1_OK, NO_EOF},
		{"chunk extensions", CHUNKED "5;a=b\r\nhello\r\n1 ; x=\"y\"\r\n!\r\n00\r\n\r\n",
			"200 keep chunked|hello!|done", HTTP1_OK, NO_EOF},
		{"chunk of hex digits", CHUNKED "0B\r\n01234567890\r\n0\r\n\r\n",
			"200 keep chunked|01234567890|done", HTTP1_OK, NO_EOF},
		{"trailers", CHUNKED "1\r\nx\r\n0\r\nContent-Length: 7\r\nA: b\r\n\r\n",
			"200 keep chunked|x|done", HTTP1_OK, NO_EOF},
		{"CRLF as data", CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n",
			"200 keep chunked|\r\n\r\n|done", HTTP1_OK, NO_EOF},
		{"to the end", OK_LINE "\r\nall of it", "200|all of it|done", HTTP1_OK, EOF_AFTER},
		{"to the end, empty", OK_LINE "\r\n", "200||done", HTTP1_OK, EOF_AFTER},
		{"to the end, not ended", OK_LINE "\r\nall", "200|all", HTTP1_OK, NO_EOF},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 len=1|x|done",
			HTTP1_OK, NO_EOF},
		{"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 keep len=0||done",
			HTTP1_OK, NO_EOF},
		{"1xx skipped",
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK_LINE
			"Content-Length: 1\r\n\r\nx",
			"200 keep len=1|x|done", HTTP1_OK, NO_EOF},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", "204 keep||done", HTTP1_OK, NO_EOF},
		{"204 of length 0", "HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n",
			"204 keep len=0||done", HTTP1_OK, NO_EOF},
		{"304 announces a length", "HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n",
			"304 keep len=9||done", HTTP1_OK, NO_EOF},
		{"HEAD", OK_LINE "Content-Length: 9\r\n\r\n", "200 keep len=9||done", HTTP1_OK,
			HEAD_REQUEST},
		{"HEAD chunked", CHUNKED, "200 keep chunked||done", HTTP1_OK, HEAD_REQUEST},
		{"date", "HTTP/1.1 200 O\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n",
			"200 keep len=0 date=784111777||done", HTTP1_OK, NO_EOF},
		{"leap day", "HTTP/1.1 200 O\r\nDate: Thu, 29 Feb 2024 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
			"200 keep len=0 date=1709251199||done", HTTP1_OK, NO_EOF},
		{"after a leap day", "HTTP/1.1 200 O\r\nDate: Fri, 01 Mar 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
			"200 keep len=0 date=1709251200||done", HTTP1_OK, NO_EOF},
		{"no such month", "HTTP/1.1 200 O\r\nDate: Sun, 06 anF 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n",
			"200 keep len=0||done", HTTP1_OK, NO_EOF},
		{"another form", "HTTP/1.1 200 O\r\nDate: Sunday, 06-Nov-94 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n",
			"200 keep len=0||done", HTTP1_OK, NO_EOF},
		{"retry", "HTTP/1.1 429 T\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
			"429 keep len=0 retry=3000||done", HTTP1_OK, NO_EOF},
		{"retry at a date",
			"HTTP/1.1 429 T\r\nRetry-After: Fri, 31 Dec\r\nContent-Length: 0\r\n\r\n",
			"429 keep len=0||done", HTTP1_OK, NO_EOF},
		{"retry in ages",
			"HTTP/1.1 429 T\r\nRetry-After: 99999999999999999999\r\nContent-Length: "
			"0\r\n\r\n",
			"429 keep len=0 retry=1000000000000||done", HTTP1_OK, NO_EOF},
		{"type",
			OK_LINE "Content-Type: Application/JSON ; charset=x\r\nContent-Length: 0"
				"\r\n\r\n",
			"200 keep len=0 type=application/json||done", HTTP1_OK, NO_EOF},
		{"obs-text in a value", OK_LINE "X: \xe4\t!\r\nContent-Length: 0\r\n\r\n",
			"200 keep len=0||done", HTTP1_OK, NO_EOF},
	};

	run_rows(rows, ARRAY_LEN(rows));
}

/* What two readers could read in two ways (RFC 9112 2.2, 5.1, 5.2, 6.3, 11.1, 11.2), and nonsense.
 */
static void test_http1_refused(void)
{
	static const struct row rows[] = {
		{"garbage", "\x15\x03\x01", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"blank first", " HTTP/1.1 200 OK\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"empty first", "\r\nHTTP/1.1 200 OK\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"status of 2 digits", "HTTP/1.1 20 OK\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"status of 4 digits", "HTTP/1.1 2000 OK\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"status 600", "HTTP/1.1 600 X\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"status 099", "HTTP/1.1 099 X\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"status signed", "HTTP/1.1 +20 X\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"status without blank", "HTTP/1.1 200\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"101", "HTTP/1.1 101 Switching\r\n\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"control in reason", "HTTP/1.1 200 O\001K\r\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"LF alone", "HTTP/1.1 200 OK\n\n", "", HTTP1_BAD_STATUS_LINE, NO_EOF},
		{"LF alone behind a field", OK_LINE "A: b\n\r\n", "", HTTP1_BAD_HEADER, NO_EOF},
		{"CR inside a field", OK_LINE "A: b\rC: d\r\n\r\n", "", HTTP1_BAD_HEADER, NO_EOF},
		{"field folded", OK_LINE "A: b\r\n c\r\n\r\n", "", HTTP1_BAD_HEADER, NO_EOF},
		{"field without colon", OK_LINE "Oops\r\n\r\n", "", HTTP1_BAD_HEADER, NO_EOF},
		{"field without name", OK_LINE ": x\r\n\r\n", "", HTTP1_BAD_HEADER, NO_EOF},
		{"blank before colon", OK_LINE "Content-Length : 1\r\n\r\nx", "", HTTP1_BAD_HEADER,
			NO_EOF},
		{"blank in a name", OK_LINE "Content Length: 1\r\n\r\nx", "", HTTP1_BAD_HEADER,
			NO_EOF},
		{"length empty", OK_LINE "Content-Length:\r\n\r\n", "", HTTP1_BAD_LENGTH, NO_EOF},
		{"length signed", OK_LINE "Content-Length: +1\r\n\r\n", "", HTTP1_BAD_LENGTH,
			NO_EOF},
		{"length negative", OK_LINE "Content-Length: -1\r\n\r\n", "", HTTP1_BAD_LENGTH,
			NO_EOF},
		{"length hex", OK_LINE "Content-Length: 0x1\r\n\r\n", "", HTTP1_BAD_LENGTH, NO_EOF},
		{"length with blanks", OK_LINE "Content-Length: 1 1\r\n\r\n", "", HTTP1_BAD_LENGTH,
			NO_EOF},
		{"length list", OK_LINE "Content-Length: 1, 1\r\n\r\n", "", HTTP1_BAD_LENGTH,
			NO_EOF},
		{"length over 64 bits", OK_LINE "Content-Length: 18446744073709551616\r\n\r\n", "",
			HTTP1_BAD_LENGTH, NO_EOF},
		{"two lengths", OK_LINE "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "",
			HTTP1_BAD_LENGTH, NO_EOF},
		{"length and chunked",
			OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "",
			HTTP1_BAD_LENGTH, NO_EOF},
		{"chunked and length",
			OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "",
			HTTP1_BAD_LENGTH, NO_EOF},
		{"chunked twice",
			OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
			"", HTTP1_BAD_ENCODING, NO_EOF},
		{"gzip", OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", "", HTTP1_BAD_ENCODING,
			NO_EOF},
		{"identity", OK_LINE "Transfer-Encoding: identity\r\n\r\n", "", HTTP1_BAD_ENCODING,
			NO_EOF},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "",
			HTTP1_BAD_ENCODING, NO_EOF},
		{"204 chunked", "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n", "",
			HTTP1_BAD_ENCODING, NO_EOF},
		{"204 with a body", "HTTP/1.1 204 N\r\nContent-Length: 1\r\n\r\nx", "",
			HTTP1_BAD_LENGTH, NO_EOF},
		{"100 with a body", "HTTP/1.1 100 C\r\nContent-Length: 1\r\n\r\nx", "",
			HTTP1_BAD_LENGTH, NO_EOF},
		{"chunk size missing", CHUNKED "\r\n", "200 keep chunked|", HTTP1_BAD_CHUNK,
			NO_EOF},
		{"chunk size signed", CHUNKED "+1\r\nx\r\n", "200 keep chunked|", HTTP1_BAD_CHUNK,
			NO_EOF},
		{"chunk size in C", CHUNKED "0x1\r\nx\r\n", "200 keep chunked|", HTTP1_BAD_CHUNK,
			NO_EOF},
		{"chunk size over 64 bits", CHUNKED "10000000000000000\r\n", "200 keep chunked|",
			HTTP1_BAD_CHUNK, NO_EOF},
		{"chunk size then text", CHUNKED "1 x\r\nx\r\n", "200 keep chunked|",
			HTTP1_BAD_CHUNK, NO_EOF},
		{"chunk size then blank", CHUNKED "1 \r\nx\r\n", "200 keep chunked|",
			HTTP1_BAD_CHUNK, NO_EOF},
		{"chunk size ends in LF", CHUNKED "1\nx\r\n", "200 keep chunked|", HTTP1_BAD_CHUNK,
			NO_EOF},
		{"chunk longer than its size", CHUNKED "1\r\nxy\r\n0\r\n\r\n", "200 keep chunked|x",
			HTTP1_BAD_CHUNK, NO_EOF},
		{"chunk ends in LF", CHUNKED "1\r\nx\n0\r\n\r\n", "200 keep chunked|x",
			HTTP1_BAD_CHUNK, NO_EOF},
		{"trailer malformed", CHUNKED "0\r\nA b\r\n\r\n", "200 keep chunked|",
			HTTP1_BAD_HEADER, NO_EOF},
		{"bytes behind the answer", OK_LINE "Content-Length: 1\r\n\r\nxy",
			"200 keep len=1|x|done", HTTP1_SURPLUS, NO_EOF},
		{"an answer nobody asked for", OK_LINE "Content-Length: 0\r\n\r\n" OK_LINE,
			"200 keep len=0||done", HTTP1_SURPLUS, NO_EOF},
		{"a body behind 304", "HTTP/1.1 304 N\r\nContent-Length: 1\r\n\r\nx",
			"304 keep len=1||done", HTTP1_SURPLUS, NO_EOF},
	};

	run_rows(rows, ARRAY_LEN(rows));
}

static void test_http1_truncated(void)
{
	static const struct row rows[] = {
		{"nothing", "", "", HTTP1_TRUNCATED, EOF_AFTER},
		{"in the status line", "HTTP/1", "", HTTP1_TRUNCATED, EOF_AFTER},
		{"in the fields", OK_LINE "A: b\r\n", "", HTTP1_TRUNCATED, EOF_AFTER},
		{"behind a 1xx", "HTTP/1.1 100 C\r\n\r\n", "", HTTP1_TRUNCATED, EOF_AFTER},
		{"in the body", OK_LINE "Content-Length: 5\r\n\r\nhell", "200 keep len=5|hell",
			HTTP1_TRUNCATED, EOF_AFTER},
		{"in a chunk", CHUNKED "5\r\nhell", "200 keep chunked|hell", HTTP1_TRUNCATED,
			EOF_AFTER},
		{"between chunks", CHUNKED "5\r\nhello\r\n", "200 keep chunked|hello",
			HTTP1_TRUNCATED, EOF_AFTER},
		{"before the last CRLF", CHUNKED "0\r\n", "200 keep chunked|", HTTP1_TRUNCATED,
			EOF_AFTER},
		{"after the end", OK_LINE "Content-Length: 0\r\n\r\n", "200 keep len=0||done",
			HTTP1_OK, EOF_AFTER},
	};

	run_rows(rows, ARRAY_LEN(rows));
}

/* One header line of n bytes, whole and in pieces: HTTP1_MAX_HEAD counts all lines of the head. */
static enum http1_error feed_head_of(size_t n, size_t piece)
{
	static const char start[] = OK_LINE "X: ";
	struct seen s = {0};
	struct http1 *h = http1_new(&seen_ops, &s);
	struct buf in;
	enum http1_error e = HTTP1_OK;

	buf_init(&s.out, 1 << 20);
	buf_init(&in, 1 << 20);
	buf_adds(&in, start);
	while (in.len + 4 < n)
		buf_addc(&in, 'x');
	buf_adds(&in, "\r\n\r\n");
	http1_expect(h, false);
	for (size_t at = 0; at < in.len; at += piece)
		e = http1_feed(h, in.p + at, piece < in.len - at ? piece : in.len - at);
	http1_free(h);
	buf_free(&in);
	buf_free(&s.out);
	return e;
}

static void test_http1_limits(void)
{
	CHECK(feed_head_of(HTTP1_MAX_HEAD, 1 << 20) == HTTP1_OK);
	CHECK(feed_head_of(HTTP1_MAX_HEAD, 1) == HTTP1_OK);
	CHECK(feed_head_of(HTTP1_MAX_HEAD + 1, 1 << 20) == HTTP1_TOO_LONG);
	CHECK(feed_head_of(HTTP1_MAX_HEAD + 1, 1) == HTTP1_TOO_LONG);
	CHECK(feed_head_of(HTTP1_MAX_HEAD * 4, 999) == HTTP1_TOO_LONG);
}

/* Interim answers without end may not keep the parser busy for ever. */
static void test_http1_endless_1xx(void)
{
	struct seen s = {0};
	struct http1 *h = http1_new(&seen_ops, &s);
	static const char more[] = "HTTP/1.1 102 P\r\n\r\n";
	enum http1_error e = HTTP1_OK;

	http1_expect(h, false);
	for (size_t i = 0; i < HTTP1_MAX_HEAD && e == HTTP1_OK; i++)
		e = http1_feed(h, more, sizeof more - 1);
	CHECK(e == HTTP1_TOO_LONG);
	http1_free(h);
}

/* A watch lives for hours: its many chunk lines are not added up; one long one is refused. */
static void test_http1_long_stream(void)
{
	struct seen s = {0};
	struct http1 *h = http1_new(&seen_ops, &s);
	enum http1_error e;

	buf_init(&s.out, 1 << 20);
	http1_expect(h, false);
	e = http1_feed(h, CHUNKED, sizeof CHUNKED - 1);
	for (size_t i = 0; i < HTTP1_MAX_HEAD && e == HTTP1_OK; i++)
		e = http1_feed(h, "1;a=b\r\nx\r\n", 10);
	CHECK(e == HTTP1_OK);
	CHECK(http1_feed(h, "1;", 2) == HTTP1_OK);
	for (size_t i = 0; i < HTTP1_MAX_CHUNK_LINE && e == HTTP1_OK; i++)
		e = http1_feed(h, "y", 1);
	CHECK(e == HTTP1_TOO_LONG);
	http1_free(h);
	buf_free(&s.out);
}

static void test_http1_stop(void)
{
	static const char in[] = OK_LINE "Content-Length: 2\r\n\r\nab";
	static const struct {
		char at;
		const char *want;
	} rows[] = {{'h', "200 keep len=2|"}, {'b', "200 keep len=2|ab"},
		{'d', "200 keep len=2|ab|done"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seen s = {.stop_at = rows[i].at};
		struct http1 *h = http1_new(&seen_ops, &s);

		buf_init(&s.out, 1000);
		http1_expect(h, false);
		CHECK(http1_feed(h, in, sizeof in - 1) == HTTP1_OK);
		CHECK(http1_feed(h, "more", 4) == HTTP1_OK);
		CHECK(http1_eof(h) == HTTP1_OK);
		CHECK_STR(s.out.p, rows[i].want);
		CHECK(!http1_busy(h));
		http1_free(h);
		buf_free(&s.out);
	}
}

static void test_http1_reuse(void)
{
	struct seen s = {0};
	struct http1 *h = http1_new(&seen_ops, &s);

	buf_init(&s.out, 1000);
	CHECK(!http1_busy(h));
	CHECK(http1_eof(h) == HTTP1_OK);
	for (unsigned i = 0; i < 2; i++) {
		static const char a[] =
			"HTTP/1.0 404 N\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n";
		static const char b[] = "HTTP/1.1 204 N\r\n\r\n";

		http1_expect(h, false);
		CHECK(http1_feed(h, i == 0 ? a : b, i == 0 ? sizeof a - 1 : sizeof b - 1) ==
			HTTP1_OK);
		CHECK(!http1_busy(h));
	}
	CHECK_STR(s.out.p, "404 len=0 type=a/b||done204 keep||done");
	CHECK(http1_feed(h, "x", 1) == HTTP1_SURPLUS);
	http1_free(h);
	buf_free(&s.out);
	http1_free(NULL);
}

static void test_http1_print(void)
{
	static const struct {
		const char *name;
		struct http1_request r;
		const char *want; /* NULL = refused */
	} rows[] = {
		{"get", {.method = "GET", .host = "h:1", .path = "/a?b=c"},
			"GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nUser-Agent: lbd/" LBD_VERSION
			"\r\n\r\n"},
		{"all",
			{.method = "PATCH",
				.host = "[::1]:6443",
				.path = "/",
				.authorization = "Bearer x",
				.accept = "a/b",
				.content_type = "c/d",
				.body = "{}",
				.len = 2,
				.has_body = true},
			"PATCH / HTTP/1.1\r\nHost: [::1]:6443\r\nUser-Agent: lbd/" LBD_VERSION
			"\r\nAuthorization: Bearer x\r\nAccept: a/b\r\nContent-Type: c/d\r\n"
			"Content-Length: 2\r\n\r\n{}"},
		{"empty body", {.method = "POST", .host = "h", .path = "/", .has_body = true},
			"POST / HTTP/1.1\r\nHost: h\r\nUser-Agent: lbd/" LBD_VERSION
			"\r\nContent-Length: 0\r\n\r\n"},
		{"CRLF in path", {.method = "GET", .host = "h", .path = "/\r\nX: y"}, NULL},
		{"blank in path", {.method = "GET", .host = "h", .path = "/ HTTP/1.1"}, NULL},
		{"path without slash", {.method = "GET", .host = "h", .path = "a"}, NULL},
		{"no path", {.method = "GET", .host = "h", .path = ""}, NULL},
		{"no method", {.host = "h", .path = "/"}, NULL},
		{"blank in method", {.method = "G T", .host = "h", .path = "/"}, NULL},
		{"LF in host", {.method = "GET", .host = "h\n", .path = "/"}, NULL},
		{"CR in token",
			{.method = "GET", .host = "h", .path = "/", .authorization = "B x\r"},
			NULL},
		{"LF in accept", {.method = "GET", .host = "h", .path = "/", .accept = "a\nb"},
			NULL},
		{"DEL in type", {.method = "GET", .host = "h", .path = "/", .content_type = "\x7f"},
			NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out;

		check_row = rows[i].name;
		buf_init(&out, 10000);
		http1_print(&rows[i].r, &out);
		CHECK(out.bad == (rows[i].want == NULL));
		CHECK(http1_request_ok(&rows[i].r) == (rows[i].want != NULL));
		if (rows[i].want != NULL)
			CHECK_STR(out.p, rows[i].want);
		else
			CHECK_INT(out.len, 0);
		buf_free(&out);
	}
}

static void test_http1_escape(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {{"", ""}, {"aZ09-._~", "aZ09-._~"}, {"a/b c=%", "a%2Fb%20c%3D%25"},
		{"\xc3\xa4\r\n", "%C3%A4%0D%0A"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out;

		buf_init(&out, 1000);
		http1_escape(rows[i].in, &out);
		CHECK_STR(out.p != NULL ? out.p : "", rows[i].want);
		buf_free(&out);
	}
}

/* -- the server's side -- */

#define NOT_YET HTTP1_TRUNCATED

static void test_http1_requests(void)
{
	static const struct {
		const char *name, *in;
		enum http1_error error;
		const char *want; /* "method path query flags rest" */
	} rows[] = {
		{"get", "GET /metrics HTTP/1.1\r\n\r\n", HTTP1_OK, "GET|/metrics||keep|0"},
		{"host, query", "GET /a?b=c?d HTTP/1.1\r\nHost: x\r\n\r\n", HTTP1_OK,
			"GET|/a|b=c?d|keep|0"},
		{"what follows", "HEAD / HTTP/1.1\r\n\r\nGET", HTTP1_OK, "HEAD|/||keep|3"},
		{"old", "GET / HTTP/1.0\r\n\r\n", HTTP1_OK, "GET|/||close|0"},
		{"close", "GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", HTTP1_OK,
			"GET|/||close|0"},
		{"other method", "DELETE / HTTP/1.1\r\n\r\n", HTTP1_OK, "DELETE|/||keep|0"},
		{"length 0", "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", HTTP1_OK,
			"GET|/||keep|0"},
		{"body", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", HTTP1_OK,
			"POST|/||keep body|3"},
		{"chunked", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_OK,
			"GET|/||keep body|0"},
		{"both", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
			HTTP1_BAD_LENGTH, NULL},
		{"both, turned", "GET / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
			HTTP1_BAD_LENGTH, NULL},
		{"two lengths", "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n",
			HTTP1_BAD_LENGTH, NULL},
		{"signed length", "GET / HTTP/1.1\r\nContent-Length: +0\r\n\r\n", HTTP1_BAD_LENGTH,
			NULL},
		{"other coding", "GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
			HTTP1_BAD_ENCODING, NULL},
		{"chunked, 1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
			HTTP1_BAD_ENCODING, NULL},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nhOst: a\r\n\r\n", HTTP1_BAD_HEADER,
			NULL},
		{"blank before colon", "GET / HTTP/1.1\r\nContent-Length : 0\r\n\r\n",
			HTTP1_BAD_HEADER, NULL},
		{"folded", "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", HTTP1_BAD_HEADER, NULL},
		{"LF in a field", "GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n", HTTP1_BAD_HEADER, NULL},
		{"CR in a field", "GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n", HTTP1_BAD_HEADER, NULL},
		{"bare LF", "GET / HTTP/1.1\n\n", HTTP1_BAD_HEADER, NULL},
		{"empty line before", "\r\nGET / HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"LF at once", "\n", HTTP1_BAD_HEADER, NULL},
		{"two blanks", "GET  / HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"blank behind", "GET / HTTP/1.1 \r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"no version", "GET /\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"2.0", "GET / HTTP/2.0\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"1.2", "GET / HTTP/1.2\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"small letters", "GET / http/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"absolute", "GET http://x/ HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"star", "OPTIONS * HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"no path", "GET  HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"no method", " / HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"TLS", "\x16\x03\x01\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"DEL in the path", "GET /\x7f HTTP/1.1\r\n\r\n", HTTP1_BAD_STATUS_LINE, NULL},
		{"nothing", "", NOT_YET, NULL},
		{"a part", "GET / HT", NOT_YET, NULL},
		{"no end", "GET / HTTP/1.1\r\nHost: x\r\n\r", NOT_YET, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].in), len = 0;
		unsigned char *in = check_guard(rows[i].in, n);
		struct http1_asked a;
		struct buf got;

		check_row = rows[i].name;
		buf_init(&got, 1000);
		CHECK_INT(http1_read_request((char *)in, n, &a, &len), rows[i].error);
		if (rows[i].want != NULL) {
			buf_addf(&got, "%.*s|%.*s|%.*s|%s%s|%zu", (int)a.method_len, a.method,
				(int)a.path_len, a.path, (int)a.query_len, a.query,
				a.keep_alive ? "keep" : "close", a.has_body ? " body" : "", n - len);
			CHECK_STR(got.p, rows[i].want);
			/* each shorter piece is one that is not all there */
			for (size_t k = 0; k < len; k++)
				CHECK_INT(http1_read_request((char *)in, k, &a, &len), NOT_YET);
		}
		buf_free(&got);
		check_unguard(in, n);
	}
}

static void test_http1_hosts(void)
{
	static char longest[HTTP1_MAX_HOST + 1], longer[HTTP1_MAX_HOST + 2];
	const struct {
		const char *name, *field;
		enum http1_error error;
		const char *want; /* NULL = none */
	} rows[] = {
		{"none", "X-Host: a\r\n", HTTP1_OK, NULL},
		{"a name", "hOST:\t n1.example.com:7472 \r\n", HTTP1_OK, "n1.example.com:7472"},
		{"empty", "Host:\r\n", HTTP1_OK, ""},
		{"empty, then another", "Host:\r\nHost: a\r\n", HTTP1_BAD_HEADER, NULL},
		{"the longest", longest, HTTP1_OK, longest},
		{"longer", longer, HTTP1_BAD_HEADER, NULL},
		{"a blank inside", "Host: a b\r\n", HTTP1_BAD_HEADER, NULL},
		{"a control character", "Host: a\x01\r\n", HTTP1_BAD_HEADER, NULL},
		{"no colon", "Host\r\n", HTTP1_BAD_HEADER, NULL},
	};

	memset(longest, 'a', sizeof longest - 1);
	memset(longer, 'a', sizeof longer - 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool bare = strchr(rows[i].field, '\n') == NULL;
		struct http1_asked a;
		struct buf in, got;
		size_t len;

		check_row = rows[i].name;
		buf_init(&in, 1000);
		buf_init(&got, 1000);
		buf_addf(&in, "GET / HTTP/1.1\r\n%s%s%s\r\n", bare ? "Host: " : "", rows[i].field,
			bare ? "\r\n" : "");
		CHECK_INT(http1_read_request(in.p, in.len, &a, &len), rows[i].error);
		if (rows[i].error == HTTP1_OK) {
			CHECK((a.host != NULL) == (rows[i].want != NULL));
			buf_addf(&got, "%.*s", (int)a.host_len, a.host != NULL ? a.host : "");
			CHECK_STR(got.p, rows[i].want != NULL ? rows[i].want : "");
		}
		buf_free(&in);
		buf_free(&got);
	}
}

static void test_http1_print_answer(void)
{
	struct buf out;

	buf_init(&out, 1000);
	http1_print_answer(405, "a/b", 3, false, "Allow: GET\r\n", &out);
	CHECK_STR(out.p,
		"HTTP/1.1 405 Method Not Allowed\r\nContent-Type: a/b\r\nContent-Length: 3\r\n"
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		"Connection: close\r\nAllow: GET\r\n\r\n");
	buf_free(&out);
}

CHECK_MAIN("test_http1", CHECK_TEST(test_http1_answers), CHECK_TEST(test_http1_refused),
	CHECK_TEST(test_http1_truncated), CHECK_TEST(test_http1_limits),
	CHECK_TEST(test_http1_endless_1xx), CHECK_TEST(test_http1_long_stream),
	CHECK_TEST(test_http1_stop), CHECK_TEST(test_http1_reuse), CHECK_TEST(test_http1_print),
	CHECK_TEST(test_http1_escape), CHECK_TEST(test_http1_requests),
	CHECK_TEST(test_http1_hosts), CHECK_TEST(test_http1_print_answer))
