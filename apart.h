/* SPDX-License-Identifier: Apache-2.0
 *
 * apart.h - work that takes long, done by a copy of the process: the loop goes on meanwhile, and
 * what the work reads does not change under it.
 */
#ifndef LBD_APART_H
#define LBD_APART_H

#include "base.h"

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

/* One piece of work at a time.  Lives in its owner, which closes the handle. */
struct apart {
	uv_signal_t signal; /* its data is the owner's */
	pid_t pid;          /* 0 = nothing is done */
	void (*done)(struct apart *a, bool ok);
};

/* 0 or -errno. */
int apart_init(struct apart *a, uv_loop_t *loop, void (*done)(struct apart *a, bool ok)) MUST_CHECK;
static inline bool apart_is_busy(const struct apart *a)
{
	return a->pid != 0;
}
/* Calls work(ctx, fd) in a copy of this process that has no other descriptor than fd and 0 to 2, is
 * scheduled as an ordinary process and ends with this one.  done() comes from the loop; ok: work
 * returned true.  work must neither touch the loop nor write to anything but fd, which may be
 * non-blocking.  0, -EBUSY, or what fork(2) says (-EAGAIN, -ENOMEM). */
int apart_start(struct apart *a, int fd, bool (*work)(void *ctx, int fd), void *ctx) MUST_CHECK;
/* Ends the work, without done(). */
void apart_cancel(struct apart *a);

#endif
