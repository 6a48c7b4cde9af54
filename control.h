/* SPDX-License-Identifier: Apache-2.0
 *
 * control.h - the control socket: one JSON request line in, one JSON answer out.  Server on libuv,
 * client blocking.
 */
#ifndef LBD_CONTROL_H
#define LBD_CONTROL_H

#include "base.h"
#include "buf.h"
#include "counter.h"

#include <cjson/cJSON.h>
#include <uv.h>

enum { CONTROL_MAX_REQUEST = 64 * 1024, CONTROL_MAX_CLIENTS = 32, CONTROL_IDLE_MS = 10000 };

struct control; /* opaque */

/* Answers one request: a new tree (taken over), never NULL but when out of memory. */
typedef cJSON *(*control_fn)(void *ctx, const cJSON *request);

/* Listens on path, mode 0660: a left-over socket that nobody listens on is replaced; a living one
 * is -EADDRINUSE.  Missing parent folder is made (0755). */
int control_open(uv_loop_t *loop, const char *path, control_fn fn, void *ctx,
	struct counters *counters, struct control **ret_control) MUST_CHECK;
void control_close(struct control *c, void (*closed)(void *ctx), void *ctx);

/* Client: sends request to path, waits up to timeout_ms.  0 and the answer (cJSON_Delete()), or
 * -errno. */
int control_query(
	const char *path, const cJSON *request, unsigned timeout_ms, cJSON **ret_answer) MUST_CHECK;

#endif
