/* SPDX-License-Identifier: Apache-2.0
 *
 * http1.c - HTTP/1.1 message syntax: an incremental response parser and a request writer, and for a
 * server a parser of request heads and a writer of answers' heads.
 *
 * Owns: the line under way and where in the message the parser stands.  No socket, no clock.
 * In:   http1_expect() for each request, then the connection's bytes in pieces of any size.
 * Out:  head(), body() in pieces, done(); requests as bytes.
 *
 * Strict where two readers could disagree on where a message ends: lines end in CRLF, no folding,
 * no blank before a colon, one framing header with one meaning, digits only in a length.
 *
 * RFCs: 9112 (2.2 lines, 3 request line, 4 status line, 5 fields, 6 framing, 7.1 chunks), 9110 (5.6 tokens, 10.2.3
 *       Retry-After), 3986 2.1 (escapes).
 * Not done: requests to a proxy (absolute-form) and empty lines before one (both refused); their bodies;
 *           responses to CONNECT, 101, transfer codings other than chunked (all refused); dates in
 *           Retry-After and trailer fields (both read over).
 */
#include "http1.h"

#include "civil.h"

#include <string.h>
#include <strings.h>

enum state {
	IDLE,        /* no response is expected */
	STATUS_LINE, /* the states to TRAILER read a line */
	FIELD,
	CHUNK_SIZE,
	CHUNK_END, /* the CRLF behind a chunk's data */
	TRAILER,
	BODY_LENGTH, /* left counts down */
	BODY_CHUNK,  /* left counts down */
	BODY_TO_EOF,
	STOPPED, /* a callback said so */
	FAILED,
};

struct http1 {
	const struct http1_ops *ops; /* borrowed */
	void *ctx;
	enum state state;
	enum http1_error error; /* in FAILED */
	bool in_callback;
	bool head_request;
	bool old;        /* HTTP/1.0 */
	struct buf line; /* owned: the line under way, CRLF included */
	size_t room;     /* bytes that lines may still take */
	uint64_t left;   /* of the body or chunk */
	struct http1_head head;
};

/* Bytes of somebody else's; not terminated. */
struct text {
	const char *p;
	size_t n;
};

const char *http1_error_text(enum http1_error e)
{
	switch (e) {
	case HTTP1_OK:
		return "";
	case HTTP1_BAD_STATUS_LINE:
		return "does not speak HTTP/1.1";
	case HTTP1_BAD_HEADER:
		return "sent a malformed header line";
	case HTTP1_BAD_LENGTH:
		return "sent a malformed or contradictory Content-Length";
	case HTTP1_BAD_CHUNK:
		return "sent a malformed chunk";
	case HTTP1_BAD_ENCODING:
		return "sent a Transfer-Encoding that is not plain chunked";
	case HTTP1_TOO_LONG:
		return "sent a header that is too long";
	case HTTP1_TRUNCATED:
		return "closed the connection in the middle of its answer";
	case HTTP1_SURPLUS:
		return "sent bytes that belong to no answer";
	}
	return "";
}

struct http1 *http1_new(const struct http1_ops *ops, void *ctx)
{
	struct http1 *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->ops = ops;
	h->ctx = ctx;
	buf_init(&h->line, HTTP1_MAX_HEAD);
	return h;
}

void http1_free(struct http1 *h)
{
	if (h == NULL)
		return;
	buf_free(&h->line);
	free(h);
}

bool http1_busy(const struct http1 *h)
{
	return h->state != IDLE && h->state != STOPPED && h->state != FAILED;
}

/* -- characters and pieces of lines ------------------------------------------------------------ */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110 5.6.2 */
static bool is_token(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 9110 5.5: visible characters, obs-text, blanks. */
static bool is_value(char c)
{
	return (unsigned char)c >= ' ' ? c != 0x7f : c == '\t';
}

static bool all(struct text t, bool (*is)(char))
{
	for (size_t i = 0; i < t.n; i++)
		if (!is(t.p[i]))
			return false;
	return true;
}

static struct text trim(struct text t)
{
	while (t.n > 0 && is_blank(t.p[0]))
		t = (struct text){t.p + 1, t.n - 1};
	while (t.n > 0 && is_blank(t.p[t.n - 1]))
		t.n--;
	return t;
}

/* Cuts what stands before the first sep off *rest, without sep; all of it when there is none. */
static struct text cut(struct text *rest, char sep)
{
	const char *at = rest->n > 0 ? memchr(rest->p, sep, rest->n) : NULL;
	struct text head = {rest->p, at != NULL ? (size_t)(at - rest->p) : rest->n};
	size_t skip = head.n + (at != NULL);

	*rest = (struct text){rest->p + skip, rest->n - skip};
	return head;
}

/* RFC 9110: names and these values are case-insensitive. */
static bool is(struct text t, const char *word)
{
	return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

/* Digits only; false when there are none, anything else, or the number is over 64 bits. */
static bool parse_number(struct text t, uint64_t *ret_v)
{
	uint64_t v = 0;

	if (t.n == 0 || !all(t, is_digit))
		return false;
	for (size_t i = 0; i < t.n; i++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
			__builtin_add_overflow(v, (uint64_t)(t.p[i] - '0'), &v))
			return false;
	*ret_v = v;
	return true;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* -- the head ---------------------------------------------------------------------------------- */

static void begin_head(struct http1 *h)
{
	h->head = (struct http1_head){.keep_alive = true};
	h->old = false;
	h->state = STATUS_LINE;
}

void http1_expect(struct http1 *h, bool head_request)
{
	REQUIRE(!h->in_callback && !http1_busy(h));
	if (h->state == FAILED || h->state == STOPPED)
		return;
	h->head_request = head_request;
	h->room = HTTP1_MAX_HEAD;
	begin_head(h);
}

/* "HTTP/1.1 200 OK": the blank behind the code must be there, the reason need not (RFC 9112 4). */
static enum http1_error on_status_line(struct http1 *h, struct text line)
{
	static const char version[] = "HTTP/1.";
	enum { VERSION_AT = sizeof version - 1, CODE_AT = VERSION_AT + 2, REASON_AT = CODE_AT + 4 };
	uint64_t status;

	if (line.n < REASON_AT || memcmp(line.p, version, VERSION_AT) != 0 ||
		(line.p[VERSION_AT] != '1' && line.p[VERSION_AT] != '0') ||
		line.p[VERSION_AT + 1] != ' ' || line.p[REASON_AT - 1] != ' ' ||
		!parse_number((struct text){line.p + CODE_AT, 3}, &status) ||
		!all((struct text){line.p + REASON_AT, line.n - REASON_AT}, is_value))
		return HTTP1_BAD_STATUS_LINE;
	/* 101 would change protocol, and nobody asked for that. */
	if (status < 100 || status > 599 || status == 101)
		return HTTP1_BAD_STATUS_LINE;
	h->head.status = (unsigned)status;
	h->old = line.p[VERSION_AT] == '0';
	if (h->old)
		h->head.keep_alive = false;
	h->state = FIELD;
	return HTTP1_OK;
}

/* RFC 9112 6.3: the same length twice is harmless; a list, a sign, another length is not. */
static enum http1_error on_content_length(struct http1 *h, struct text value)
{
	uint64_t length;

	if (!parse_number(value, &length) || (h->head.has_length && h->head.length != length))
		return HTTP1_BAD_LENGTH;
	h->head.has_length = true;
	h->head.length = length;
	return HTTP1_OK;
}

static enum http1_error on_transfer_encoding(struct http1 *h, struct text value)
{
	if (h->head.chunked || h->old || !is(value, "chunked"))
		return HTTP1_BAD_ENCODING;
	h->head.chunked = true;
	return HTTP1_OK;
}

static void on_connection(struct http1 *h, struct text value)
{
	while (value.n > 0)
		if (is(trim(cut(&value, ',')), "close"))
			h->head.keep_alive = false;
}

static void on_content_type(struct http1 *h, struct text value)
{
	struct text type = trim(cut(&value, ';'));

	if (h->head.content_type[0] != '\0' || type.n >= sizeof h->head.content_type)
		return;
	for (size_t i = 0; i < type.n; i++) {
		char c = type.p[i];

		h->head.content_type[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
}

/* An absurd number of seconds is cut to one that can be added to a clock. */
static void on_retry_after(struct http1 *h, struct text value)
{
	enum { MOST_S = 1000 * 1000 * 1000 };
	uint64_t s;

	if (value.n > 0 && all(value, is_digit))
		h->head.retry_after_ms =
			parse_number(value, &s) && s < MOST_S ? s * 1000u : MOST_S * 1000ull;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7); the obsolete forms are not looked at. */
static void on_date(struct http1 *h, struct text value)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	enum { LEN = 29, DAY = 5, MONTH = 8, YEAR = 12, HOUR = 17, MINUTE = 20, SECOND = 23 };
	uint64_t day, year, hour, minute, second;
	char month[4] = "";
	const char *at;

	if (value.n != LEN || memcmp(value.p + LEN - 4, " GMT", 4) != 0)
		return;
	memcpy(month, value.p + MONTH, 3);
	at = strstr(months, month);
	if (at == NULL || (at - months) % 3 != 0 ||
		!parse_number((struct text){value.p + DAY, 2}, &day) ||
		!parse_number((struct text){value.p + YEAR, 4}, &year) ||
		!parse_number((struct text){value.p + HOUR, 2}, &hour) ||
		!parse_number((struct text){value.p + MINUTE, 2}, &minute) ||
		!parse_number((struct text){value.p + SECOND, 2}, &second) || day < 1 || day > 31 ||
		year < 1970 || hour > 23 || minute > 59 || second > 60)
		return;
	h->head.date_s =
		civil_days((int64_t)year, (int)((at - months) / 3) + 1, (int)day) * 86400 +
		(int64_t)(hour * 3600 + minute * 60 + second);
}

/* One "name: value" line. No blank stands before the colon, and a line that begins with one would
 * be a folded value: both are refused (RFC 9112 5.1, 5.2). */
static enum http1_error split_field(struct text line, struct text *ret_name, struct text *ret_value)
{
	struct text value = line;
	struct text name = cut(&value, ':');

	if (name.n == 0 || name.n == line.n || !all(name, is_token) || !all(value, is_value))
		return HTTP1_BAD_HEADER;
	*ret_name = name;
	*ret_value = trim(value);
	return HTTP1_OK;
}

static enum http1_error on_field(struct http1 *h, struct text line)
{
	struct text name, value;
	enum http1_error e = split_field(line, &name, &value);

	if (e != HTTP1_OK)
		return e;
	if (is(name, "content-length"))
		return on_content_length(h, value);
	if (is(name, "transfer-encoding"))
		return on_transfer_encoding(h, value);
	if (is(name, "connection"))
		on_connection(h, value);
	else if (is(name, "content-type"))
		on_content_type(h, value);
	else if (is(name, "retry-after"))
		on_retry_after(h, value);
	else if (is(name, "date"))
		on_date(h, value);
	return HTTP1_OK;
}

/* -- the body ---------------------------------------------------------------------------------- */

static void expect_chunk(struct http1 *h)
{
	h->room = HTTP1_MAX_CHUNK_LINE;
	h->state = CHUNK_SIZE;
}

/* Callbacks: whether the parser goes on. */
static bool tell_head(struct http1 *h)
{
	bool go;

	h->in_callback = true;
	go = h->ops->head(h->ctx, &h->head);
	h->in_callback = false;
	if (!go)
		h->state = STOPPED;
	return go;
}

static bool tell_body(struct http1 *h, const char *p, size_t n)
{
	bool go;

	h->in_callback = true;
	go = h->ops->body(h->ctx, p, n);
	h->in_callback = false;
	if (!go)
		h->state = STOPPED;
	return go;
}

static void tell_done(struct http1 *h)
{
	bool go;

	h->in_callback = true;
	go = h->ops->done(h->ctx);
	h->in_callback = false;
	h->state = go ? IDLE : STOPPED;
}

/* Neither body nor framing belongs to these (RFC 9112 6.3 rule 1); a 304 and the answer to HEAD
 * may announce the length that a GET would have had. */
static bool is_bodiless(const struct http1 *h)
{
	return h->head_request || h->head.status < 200 || h->head.status == 204 ||
	       h->head.status == 304;
}

static enum http1_error check_framing(const struct http1 *h)
{
	bool none = h->head.status < 200 || h->head.status == 204;

	if (h->head.chunked && h->head.has_length)
		return HTTP1_BAD_LENGTH;
	if (none && h->head.chunked)
		return HTTP1_BAD_ENCODING;
	if (none && h->head.has_length && h->head.length != 0)
		return HTTP1_BAD_LENGTH;
	return HTTP1_OK;
}

/* The empty line behind the fields: what follows is decided by RFC 9112 6.3. */
static enum http1_error on_head_end(struct http1 *h)
{
	bool bodiless = is_bodiless(h);
	bool to_eof = !bodiless && !h->head.chunked && !h->head.has_length;
	enum http1_error e = check_framing(h);

	if (e != HTTP1_OK)
		return e;
	if (h->head.status < 200) {
		begin_head(h); /* the final answer follows; room is not given back */
		return HTTP1_OK;
	}
	if (to_eof)
		h->head.keep_alive = false;
	if (!tell_head(h))
		return HTTP1_OK;
	h->left = h->head.length;
	if (to_eof)
		h->state = BODY_TO_EOF;
	else if (bodiless || (!h->head.chunked && h->left == 0))
		tell_done(h);
	else if (h->head.chunked)
		expect_chunk(h);
	else
		h->state = BODY_LENGTH;
	return HTTP1_OK;
}

/* "1a" or "1a;name=value" (RFC 9112 7.1, 7.1.1); blanks before the semicolon are the errata's. */
static enum http1_error on_chunk_size(struct http1 *h, struct text line)
{
	size_t i = 0;
	uint64_t size = 0;
	struct text rest;

	for (; i < line.n && hex_digit(line.p[i]) >= 0; i++) {
		if (size >> 60 != 0)
			return HTTP1_BAD_CHUNK;
		size = size << 4 | (uint64_t)hex_digit(line.p[i]);
	}
	rest = (struct text){line.p + i, line.n - i};
	if (i == 0 || !all(rest, is_value))
		return HTTP1_BAD_CHUNK;
	if (rest.n > 0 && (trim(rest).n == 0 || trim(rest).p[0] != ';'))
		return HTTP1_BAD_CHUNK;
	h->left = size;
	h->state = size != 0 ? BODY_CHUNK : TRAILER;
	if (size == 0)
		h->room = HTTP1_MAX_HEAD;
	return HTTP1_OK;
}

/* -- lines ------------------------------------------------------------------------------------- */

static enum http1_error on_line(struct http1 *h, struct text line)
{
	struct text name, value;

	switch (h->state) {
	case STATUS_LINE:
		return on_status_line(h, line);
	case FIELD:
		return line.n == 0 ? on_head_end(h) : on_field(h, line);
	case CHUNK_SIZE:
		return on_chunk_size(h, line);
	case CHUNK_END:
		if (line.n != 0)
			return HTTP1_BAD_CHUNK;
		expect_chunk(h);
		return HTTP1_OK;
	case TRAILER:
		if (line.n != 0)
			return split_field(line, &name, &value);
		tell_done(h);
		return HTTP1_OK;
	case IDLE:
	case BODY_LENGTH:
	case BODY_CHUNK:
	case BODY_TO_EOF:
	case STOPPED:
	case FAILED:
		break;
	}
	REQUIRE(false);
	return HTTP1_OK;
}

/* What a line that does not end in CRLF is called. */
static enum http1_error line_error(enum state s)
{
	if (s == STATUS_LINE)
		return HTTP1_BAD_STATUS_LINE;
	return s == CHUNK_SIZE || s == CHUNK_END ? HTTP1_BAD_CHUNK : HTTP1_BAD_HEADER;
}

/* A peer of another protocol is known by its first bytes; it may never send a line's end. */
static bool begins_wrong(const struct http1 *h)
{
	static const char version[] = "HTTP/1.";
	size_t n = h->line.len < sizeof version - 1 ? h->line.len : sizeof version - 1;

	return h->state == STATUS_LINE && memcmp(h->line.p, version, n) != 0;
}

/* Takes bytes up to the end of a line at most; returns how many. */
static size_t feed_line(struct http1 *h, struct text in, enum http1_error *ret_e)
{
	const char *end = memchr(in.p, '\n', in.n);
	size_t n = end != NULL ? (size_t)(end - in.p) + 1 : in.n;
	bool over = n > h->room;
	enum state s = h->state;

	n = over ? h->room : n;
	h->room -= n;
	buf_add(&h->line, in.p, n);
	*ret_e = HTTP1_OK;
	if (h->line.bad)
		*ret_e = HTTP1_TOO_LONG;
	else if (begins_wrong(h))
		*ret_e = HTTP1_BAD_STATUS_LINE;
	else if (over)
		*ret_e = s == CHUNK_END ? HTTP1_BAD_CHUNK : HTTP1_TOO_LONG;
	else if (end != NULL && (h->line.len < 2 || h->line.p[h->line.len - 2] != '\r'))
		*ret_e = line_error(s);
	else if (end != NULL)
		*ret_e = on_line(h, (struct text){h->line.p, h->line.len - 2});
	if (end != NULL)
		buf_reset(&h->line);
	return n;
}

/* Takes body bytes; returns how many. */
static size_t feed_body(struct http1 *h, struct text in)
{
	size_t n = in.n;

	if (h->state == BODY_TO_EOF) {
		(void)tell_body(h, in.p, n);
		return n;
	}
	if (n > h->left)
		n = (size_t)h->left;
	h->left -= n;
	if (!tell_body(h, in.p, n) || h->left > 0)
		return n;
	if (h->state == BODY_LENGTH) {
		tell_done(h);
	} else {
		h->room = 2;
		h->state = CHUNK_END;
	}
	return n;
}

enum http1_error http1_feed(struct http1 *h, const char *p, size_t n)
{
	struct text in = {p, n};

	REQUIRE(!h->in_callback);
	while (in.n > 0 && h->state != STOPPED && h->state != FAILED) {
		enum http1_error e = HTTP1_OK;
		size_t took = 0;

		if (h->state == IDLE)
			e = HTTP1_SURPLUS;
		else if (h->state <= TRAILER)
			took = feed_line(h, in, &e);
		else
			took = feed_body(h, in);
		if (e != HTTP1_OK) {
			h->state = FAILED;
			h->error = e;
		}
		in = (struct text){in.p + took, in.n - took};
	}
	return h->state == FAILED ? h->error : HTTP1_OK;
}

enum http1_error http1_eof(struct http1 *h)
{
	REQUIRE(!h->in_callback);
	if (h->state == BODY_TO_EOF) {
		tell_done(h);
	} else if (http1_busy(h)) {
		h->state = FAILED;
		h->error = HTTP1_TRUNCATED;
	}
	return h->state == FAILED ? h->error : HTTP1_OK;
}

/* -- requests ---------------------------------------------------------------------------------- */

static bool is_visible(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f;
}

static bool ok(const char *s, bool (*is_good)(char))
{
	return s == NULL || all((struct text){s, strlen(s)}, is_good);
}

static bool absent(const char *s)
{
	return s == NULL || s[0] == '\0';
}

bool http1_request_ok(const struct http1_request *r)
{
	return !absent(r->method) && ok(r->method, is_token) && !absent(r->host) &&
	       ok(r->host, is_visible) && !absent(r->path) && r->path[0] == '/' &&
	       ok(r->path, is_visible) && ok(r->authorization, is_value) &&
	       ok(r->accept, is_value) && ok(r->content_type, is_value);
}

static void print_field(struct buf *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_adds(out, name);
	buf_adds(out, ": ");
	buf_adds(out, value);
	buf_adds(out, "\r\n");
}

void http1_print(const struct http1_request *r, struct buf *out)
{
	if (!http1_request_ok(r)) {
		out->bad = true;
		return;
	}
	buf_adds(out, r->method);
	buf_addc(out, ' ');
	buf_adds(out, r->path);
	buf_adds(out, " HTTP/1.1\r\n");
	print_field(out, "Host", r->host);
	print_field(out, "User-Agent", "lbd/" LBD_VERSION);
	print_field(out, "Authorization", r->authorization);
	print_field(out, "Accept", r->accept);
	print_field(out, "Content-Type", r->content_type);
	if (r->has_body)
		buf_addf(out, "Content-Length: %zu\r\n", r->len);
	buf_adds(out, "\r\n");
	if (r->has_body)
		buf_add(out, r->body, r->len);
}

/* -- the server's side ------------------------------------------------------------------------- */

/* "GET /metrics?x HTTP/1.1" (RFC 9112 3): one blank each. */
static enum http1_error on_request_line(struct http1 *h, struct text line, struct http1_asked *a)
{
	struct text method = cut(&line, ' '), target = cut(&line, ' '), path;

	if (method.n == 0 || !all(method, is_token) || target.n == 0 || target.p[0] != '/' ||
		!all(target, is_visible))
		return HTTP1_BAD_STATUS_LINE;
	if (line.n != 8 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
		(line.p[7] != '0' && line.p[7] != '1'))
		return HTTP1_BAD_STATUS_LINE;
	h->old = line.p[7] == '0';
	h->head.keep_alive = !h->old;
	path = cut(&target, '?');
	*a = (struct http1_asked){.method = method.p,
		.method_len = method.n,
		.path = path.p,
		.path_len = path.n,
		.query = target.p,
		.query_len = target.n};
	return HTTP1_OK;
}

/* Two of them, and a server before this one may have read the other (RFC 9112 3.2). */
static enum http1_error on_host(struct text line, struct http1_asked *a)
{
	struct text value = line;

	if (!is(cut(&value, ':'), "host"))
		return HTTP1_OK;
	value = trim(value);
	if (a->host != NULL || value.n > HTTP1_MAX_HOST || !all(value, is_visible))
		return HTTP1_BAD_HEADER;
	a->host = value.p;
	a->host_len = value.n;
	return HTTP1_OK;
}

/* Cuts a line off *rest.  HTTP1_TRUNCATED: it has not ended. */
static enum http1_error cut_line(struct text *rest, struct text *ret_line)
{
	const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end != NULL ? (size_t)(end - rest->p) : 0;

	if (end == NULL)
		return HTTP1_TRUNCATED;
	if (n == 0 || end[-1] != '\r')
		return HTTP1_BAD_HEADER;
	*ret_line = (struct text){rest->p, n - 1};
	*rest = (struct text){end + 1, rest->n - n - 1};
	return HTTP1_OK;
}

enum http1_error http1_read_request(
	const char *p, size_t n, struct http1_asked *ret_a, size_t *ret_len)
{
	struct http1 h = {.head = {.keep_alive = true}};
	struct text rest = {p, n}, line = {p, 0};
	struct http1_asked a = {0};
	enum http1_error e = cut_line(&rest, &line);

	if (e == HTTP1_OK)
		e = on_request_line(&h, line, &a);
	while (e == HTTP1_OK && (e = cut_line(&rest, &line)) == HTTP1_OK && line.n > 0) {
		e = on_host(line, &a);
		if (e == HTTP1_OK)
			e = on_field(&h, line);
	}
	if (e == HTTP1_OK && h.head.chunked && h.head.has_length)
		e = HTTP1_BAD_LENGTH;
	if (e != HTTP1_OK)
		return e;
	a.keep_alive = h.head.keep_alive;
	a.has_body = h.head.chunked || h.head.length > 0;
	*ret_a = a;
	*ret_len = n - rest.n;
	return HTTP1_OK;
}

const char *http1_status_text(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	default:
		return "";
	}
}

void http1_print_answer(unsigned status, const char *content_type, size_t len, bool keep_alive,
	const char *more, struct buf *out)
{
	buf_addf(out, "HTTP/1.1 %u %s\r\n", status, http1_status_text(status));
	print_field(out, "Content-Type", content_type);
	buf_addf(out, "Content-Length: %zu\r\n", len);
	print_field(out, "Cache-Control", "no-store");
	print_field(out, "X-Content-Type-Options", "nosniff");
	if (!keep_alive)
		print_field(out, "Connection", "close");
	buf_adds(out, more);
	buf_adds(out, "\r\n");
}

void http1_escape(const char *s, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (is_alnum(*s) || strchr("-._~", *s) != NULL) {
			buf_addc(out, *s);
		} else {
			buf_addc(out, '%');
			buf_addc(out, hex[c >> 4]);
			buf_addc(out, hex[c & 15]);
		}
	}
}
