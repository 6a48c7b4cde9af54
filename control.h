/* SPDX-License-Identifier: Apache-2.0
 *
 * control.h - the control socket: one JSON request line in, one JSON answer line out.  Server on
 * libuv, client blocking.
 *
 * A request is a JSON object on one line; the answer is one line too.  Several requests on one
 * connection are answered in turn.  What is no request gets {"error": "..."}.
 */
#ifndef LBD_CONTROL_H
#define LBD_CONTROL_H

#include "base.h"
#include "buf.h"
#include "counter.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <uv.h>

enum {
	CONTROL_MAX_REQUEST = 64 * 1024, /* bytes of a line */
	CONTROL_MAX_ANSWER = 64 * 1024 * 1024,
	CONTROL_MAX_CLIENTS = 32,
	CONTROL_IDLE_MS = 10000, /* a client that neither sends nor takes a byte for so long goes */
};

struct control; /* opaque */

struct control_ops {
	/* Before each request is answered: does the answer take so long that the loop must not wait?
	 * It may be asked again of the same request. */
	bool (*takes_long)(void *ctx, const cJSON *request);
	/* Answers one request: a new tree (taken over), never NULL but when out of memory.  May call
	 * control_close(); one that takes long only reads: it runs in a copy of the process, without
	 * its descriptors. */
	cJSON *(*answer)(void *ctx, const cJSON *request);
};

/* Listens on path, mode 0660 whatever the umask: a left-over socket that nobody listens on is
 * replaced; a living one, or a file that is no socket, is -EADDRINUSE; too long a path is
 * -ENAMETOOLONG.  A missing parent folder is made (0755).  The process must ignore SIGPIPE. */
int control_open(uv_loop_t *loop, const char *path, const struct control_ops *ops, void *ctx,
	struct counters *counters, struct control **ret_control) MUST_CHECK;
/* Stops listening, removes the socket if it is still this one, drops the clients; closed() (may be
 * NULL) comes from the loop once everything is freed.  NULL: nothing happens. */
void control_close(struct control *c, void (*closed)(void *ctx), void *ctx);

/* Client: sends request to path, waits up to timeout_ms.  0 and the answer (cJSON_Delete()), or
 * -errno: -ENOENT or -ECONNREFUSED when nobody listens, -ETIMEDOUT, -EPROTO for an answer that is
 * not JSON or ends early, -E2BIG for one over CONTROL_MAX_ANSWER. */
int control_query(
	const char *path, const cJSON *request, unsigned timeout_ms, cJSON **ret_answer) MUST_CHECK;

/* One request line without its line feed (a carriage return before it is dropped): the object, or
 * NULL and *ret_error says why.  Pure. */
cJSON *control_parse(const char *line, size_t n, const char **ret_error) MUST_CHECK;

#endif
