/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - HTTP/1.1 requests.
 *
 * In:   bytes of one connection.  Out: struct request.
 * RFCs: 9112 (message format, chunked coding 7.1), 9110 (Expect 10.1.1).
 * Not done: obsolete line folding, trailers' meaning, HTTP/0.9, HTTP/2.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEADERS_MAX = 100 };

struct head {
	uint64_t length;
	bool chunked, has_length, expects, close, keep, v10;
};

static bool name_is(const char *line, size_t n, const char *name)
{
	return n == strlen(name) && !strncasecmp(line, name, n);
}

static void set(char **where, const char *value, size_t n)
{
	free(*where);
	*where = xstrndup(value, n);
}

static bool has_word(const char *s, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++) {
		if (!strncasecmp(s + i, word, len))
			return true;
	}
	return false;
}

static int take_length(struct head *h, const char *v, size_t vn)
{
	char digits[24] = "";
	uint64_t was = h->length;

	if (!vn || vn >= sizeof(digits))
		return 400;
	memcpy(digits, v, vn);
	if (!parse_u64(digits, &h->length) || (h->has_length && was != h->length))
		return 400;
	h->has_length = true;
	return 0;
}

static int take_header(struct request *r, struct head *h, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n), *v;
	size_t name, vn;

	if (!colon || colon == line || memchr(line, '\0', n))
		return 400;
	name = (size_t)(colon - line);
	v = colon + 1;
	vn = n - name - 1;
	while (vn && (*v == ' ' || *v == '\t')) {
		v++;
		vn--;
	}
	while (vn && (v[vn - 1] == ' ' || v[vn - 1] == '\t'))
		vn--;
	if (name_is(line, name, "accept"))
		set(&r->accept, v, vn);
	else if (name_is(line, name, "content-type"))
		set(&r->content_type, v, vn);
	else if (name_is(line, name, "authorization"))
		set(&r->authorization, v, vn);
	else if (name_is(line, name, "user-agent"))
		set(&r->user_agent, v, vn);
	else if (name_is(line, name, "transfer-encoding"))
		h->chunked = has_word(v, vn, "chunked");
	else if (name_is(line, name, "expect"))
		h->expects = has_word(v, vn, "100-continue");
	else if (name_is(line, name, "connection")) {
		h->close = has_word(v, vn, "close");
		h->keep = has_word(v, vn, "keep-alive");
	} else if (name_is(line, name, "content-length"))
		return take_length(h, v, vn);
	return 0;
}

/* "GET /path?query HTTP/1.1" */
static int take_request_line(struct request *r, struct head *h, const char *line, size_t n)
{
	const char *sp1 = memchr(line, ' ', n), *sp2, *target, *question;
	size_t tn, pn;

	if (!sp1 || memchr(line, '\0', n))
		return 400;
	target = sp1 + 1;
	sp2 = memchr(target, ' ', n - (size_t)(target - line));
	if (!sp2 || sp1 == line || sp1 - line > 16 || *target != '/')
		return 400;
	if (n - (size_t)(sp2 - line) != 9 || memcmp(sp2, " HTTP/1.", 8) != 0)
		return 400;
	h->v10 = sp2[8] == '0';
	tn = (size_t)(sp2 - target);
	question = memchr(target, '?', tn);
	pn = question ? (size_t)(question - target) : tn;
	set(&r->method, line, (size_t)(sp1 - line));
	set(&r->path, target, pn);
	if (!url_decode(r->path, false))
		return 400;
	if (!request_set_query(r, question ? question + 1 : "", question ? tn - pn - 1 : 0))
		return 400;
	return 0;
}

static int take_head(struct request *r, struct head *h, const char *p, size_t n)
{
	int lines = 0, code = n ? 0 : 400;

	while (n && !code) {
		const char *end = memmem(p, n, "\r\n", 2);
		size_t len = end ? (size_t)(end - p) : n;

		if (lines > HEADERS_MAX)
			return 431;
		code = lines++ ? take_header(r, h, p, len) : take_request_line(r, h, p, len);
		p += len + 2;
		n -= end ? len + 2 : n;
	}
	return code;
}

/* The chunk's size line at p; 0: not all there; -1: broken. */
static long chunk_line(const char *p, size_t n, size_t *ret_size)
{
	const char *end = memmem(p, n, "\r\n", 2);
	char *stop;

	if (!end)
		return n > 256 ? -1 : 0;
	*ret_size = strtoul(p, &stop, 16);
	if (stop == p || (*stop != ';' && *stop != '\r') || *p == '-' || *p == '+' || *p == ' ')
		return -1;
	return *ret_size > WIRE_BODY_MAX ? -1 : (long)(end - p) + 2;
}

/* 0: not all there; 1: p[0..*ret_len) is the body, *ret_used bytes were its coding; else status.
 * move: put the body together; a first pass without tells whether all is there. */
static int chunked_pass(char *p, size_t n, bool move, size_t *ret_len, size_t *ret_used)
{
	size_t at = 0, out = 0, size = 0;

	for (;;) {
		long line = chunk_line(p + at, n - at, &size);

		if (line <= 0)
			return line ? 400 : 0;
		at += (size_t)line;
		if (!size)
			break;
		if (n - at < size + 2)
			return 0;
		if (memcmp(p + at + size, "\r\n", 2) != 0)
			return 400;
		if (out + size > WIRE_BODY_MAX)
			return 413;
		if (move)
			memmove(p + out, p + at, size);
		out += size;
		at += size + 2;
	}
	/* trailers, up to an empty line */
	for (;;) {
		const char *end = memmem(p + at, n - at, "\r\n", 2);
		size_t len = end ? (size_t)(end - (p + at)) : 0;

		if (!end)
			return n - at > WIRE_HEAD_MAX ? 400 : 0;
		at += len + 2;
		if (!len)
			break;
	}
	*ret_len = out;
	*ret_used = at;
	return 1;
}

static int take_body(char *p, size_t n, const struct head *h, struct request *r, struct wire *w)
{
	size_t len = 0, used = 0;
	int code;

	r->body = p;
	if (h->chunked && h->has_length)
		return 400;
	if (h->chunked) {
		code = chunked_pass(p, n, false, &len, &used);
		if (code != 1)
			return code;
		(void)chunked_pass(p, n, true, &len, &used);
	} else {
		if (h->length > WIRE_BODY_MAX)
			return 413;
		if (n < h->length)
			return 0;
		len = used = (size_t)h->length;
	}
	r->body_len = len;
	w->used += used;
	return 1;
}

static void empty_strings(struct request *r)
{
	char **all[] = {&r->method, &r->path, &r->query, &r->accept, &r->content_type,
		&r->authorization, &r->user_agent};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!*all[i])
			*all[i] = xstrdup("");
	}
}

int wire_parse(char *p, size_t n, struct request *r, struct wire *w)
{
	const char *end = n ? memmem(p, n, "\r\n\r\n", 4) : NULL;
	struct head h = {0};
	size_t head;
	int code;

	*w = (struct wire){0};
	*r = (struct request){0};
	if (!end)
		return n > WIRE_HEAD_MAX ? 431 : 0;
	head = (size_t)(end - p) + 4;
	if (head > WIRE_HEAD_MAX)
		return 431;
	w->used = head;
	code = take_head(r, &h, p, head - 4);
	empty_strings(r);
	if (!code)
		code = take_body(p + head, n - head, &h, r, w);
	w->keep_alive = h.v10 ? h.keep : !h.close;
	w->expects = h.expects;
	if (code != 1)
		request_free(r);
	return code;
}

const char *wire_phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	default:
		return status < 400 ? "OK" : "Error";
	}
}
