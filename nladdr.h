/* SPDX-License-Identifier: Apache-2.0
 *
 * nladdr.h - addresses put on interfaces and taken off them, by rtnetlink, off the loop's thread.
 */
#ifndef LBD_NLADDR_H
#define LBD_NLADDR_H

#include "bind.h"

#include <uv.h>

struct nladdr; /* opaque */

/* err[i]: 0, or -errno, of v[i].  From the loop; nladdr_write() may be called. */
typedef void (*nladdr_done_fn)(void *ctx, const struct bind_write *v, const int *err, size_t n);

/* 0 or -errno. */
int nladdr_open(uv_loop_t *loop, nladdr_done_fn done, void *ctx, struct nladdr **ret_n) MUST_CHECK;
/* What is under way is ended first, without a word; the loop waits for it.  NULL: nothing. */
void nladdr_close(struct nladdr *n);

bool nladdr_is_busy(const struct nladdr *n);
/* Begins 1 to BIND_BATCH writes, made in their order; not while busy.  v is copied. */
void nladdr_write(struct nladdr *n, const struct bind_write *v, size_t n_v);

#endif
