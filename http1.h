/* SPDX-License-Identifier: Apache-2.0
 *
 * http1.h - HTTP/1.1 message syntax (RFC 9112).  Client: an incremental response parser and a request
 * writer; server: a parser of whole request heads and a writer of answers' heads.  Pure.
 */
#ifndef LBD_HTTP1_H
#define LBD_HTTP1_H

#include "base.h"
#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP1_MAX_HEAD = 64 * 1024,  /* bytes of status line and headers, with the 1xx before them;
					again for the trailers */
	HTTP1_MAX_CHUNK_LINE = 4096, /* bytes of one chunk's size line, extensions included */
	HTTP1_MAX_HOST = 280,        /* of a request's Host: a name of DNS, a port, some room */
};

struct http1_head {
	unsigned status; /* 200..599; 1xx are skipped */
	bool keep_alive; /* the connection may be used again after the body; never for HTTP/1.0 */
	bool has_length;
	uint64_t length; /* Content-Length */
	bool chunked;
	uint64_t retry_after_ms; /* Retry-After in seconds as ms; 0 = absent or a date */
	int64_t date_s;          /* Date as Unix seconds; 0 = absent, or not RFC 9110's fixed form */
	char content_type[64];   /* in lower case, parameters cut off; "" = absent or longer */
};

enum http1_error {
	HTTP1_OK,
	HTTP1_BAD_STATUS_LINE,
	HTTP1_BAD_HEADER,
	HTTP1_BAD_LENGTH, /* Content-Length malformed or contradicting, or beside chunked (RFC
			     9112 6.3) */
	HTTP1_BAD_CHUNK,
	HTTP1_BAD_ENCODING, /* a Transfer-Encoding other than chunked */
	HTTP1_TOO_LONG,     /* over HTTP1_MAX_HEAD or HTTP1_MAX_CHUNK_LINE, or out of memory */
	HTTP1_TRUNCATED,    /* the stream ended inside the message */
	HTTP1_SURPLUS,      /* bytes after the message ended */
};
/* The rest of a sentence that began with the server: "sent a malformed header line". */
const char *http1_error_text(enum http1_error e);

struct http1_ops {
	/* Each is called from http1_feed() and http1_eof() only, and may not call back into the
	 * parser.  Returning false stops it: http1_feed() returns HTTP1_OK and takes no more. */
	bool (*head)(void *ctx, const struct http1_head *head);
	bool (*body)(void *ctx, const char *p, size_t n);
	bool (*done)(void *ctx);
};

struct http1; /* opaque: the parser of one connection's responses */
struct http1 *http1_new(const struct http1_ops *ops, void *ctx) MUST_CHECK;
void http1_free(struct http1 *h);
/* A request was sent: one response is expected (head_request: without body).  Not while busy. */
void http1_expect(struct http1 *h, bool head_request);
/* Bytes from the connection, in pieces of any size.  After an error the parser stays in it. */
enum http1_error http1_feed(struct http1 *h, const char *p, size_t n) MUST_CHECK;
/* The peer closed cleanly: completes a body that runs to the end, else HTTP1_TRUNCATED. */
enum http1_error http1_eof(struct http1 *h) MUST_CHECK;
/* Is a response under way or expected? */
bool http1_busy(const struct http1 *h);

struct http1_request {
	const char *method, *host, *path;  /* path with query, already escaped */
	const char *authorization;         /* NULL = none; the whole value */
	const char *accept, *content_type; /* NULL = none */
	const void *body;
	size_t len;
	bool has_body;
};
/* Can r be printed: a token as method, no blank or control character in host and path, no control
 * character in the other values?  What it guards against is a request split in two. */
bool http1_request_ok(const struct http1_request *r) MUST_CHECK;
/* Appends the request.  Marks out bad where http1_request_ok() says no. */
void http1_print(const struct http1_request *r, struct buf *out);
/* -- the server's side -- */

/* What is asked for; the texts are in the bytes that it was read from, not terminated. */
struct http1_asked {
	const char *method, *path, *query; /* as sent: escapes are left in; query: behind "?" */
	const char *host; /* NULL = none */
	size_t method_len, path_len, query_len, host_len;
	bool keep_alive; /* the connection may be used again */
	bool has_body;   /* of another length than 0 */
};
/* Reads the head of one request from its beginning.  HTTP1_TRUNCATED: it is not all there yet;
 * HTTP1_OK: *ret_len bytes are it; else nothing of what follows on this connection can be trusted. */
enum http1_error http1_read_request(const char *p, size_t n, struct http1_asked *ret_a,
	size_t *ret_len) MUST_CHECK;
/* Appends the head of an answer with so long a body.  more: further fields, each line with its CRLF;
 * "" = none. */
void http1_print_answer(unsigned status, const char *content_type, size_t len, bool keep_alive,
	const char *more, struct buf *out);
/* "OK"; "" for those that a server here does not send. */
const char *http1_status_text(unsigned status);

/* Percent-escapes a query value or path segment (RFC 3986 unreserved stay). */
void http1_escape(const char *s, struct buf *out);

#endif
