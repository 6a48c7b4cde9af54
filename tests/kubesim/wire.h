/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.h - HTTP/1.1 requests out of bytes.
 */
#ifndef KUBESIM_WIRE_H
#define KUBESIM_WIRE_H

#include "api.h"

enum { WIRE_HEAD_MAX = 32 * 1024, WIRE_BODY_MAX = 3 * 1024 * 1024 };

struct wire {
	size_t used;     /* bytes of the request, head and body */
	bool keep_alive; /* the client wants to go on */
	bool expects;    /* "100-continue", and the body is not here yet */
};

/* One request at p.  0: more bytes are needed (w->expects may be set); 1: *r holds it, body points
 * into p, request_free() it; else the HTTP status to refuse with.  A chunked body is put together
 * in place. */
int wire_parse(char *p, size_t n, struct request *r, struct wire *w);
const char *wire_phrase(int status);

#endif
