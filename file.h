/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h - small files: read whole, and told when they change.
 */
#ifndef LBD_FILE_H
#define LBD_FILE_H

#include "base.h"
#include "buf.h"

#include <uv.h>

/* Reads all of path ("-": standard input) into out (initialised, its max is the limit).  0, -EFBIG
 * over the limit, -EISDIR, or -errno.  Waits for the other end of a pipe. */
int file_read(const char *path, struct buf *out) MUST_CHECK;

/* Puts n bytes in the place of what path held, for its owner's eyes alone; whoever reads it
 * meanwhile has the old or the new.  Not made to outlive a power cut.  0 or -errno. */
int file_replace(const char *path, const void *p, size_t n) MUST_CHECK;

struct file_watch; /* opaque */

/* changed() comes from the loop, 100 ms after the last sign that what path names may have changed, 1 s
 * after the first at the latest: written, replaced by rename, or a symlink on the way swapped (as
 * kubelet does with a ConfigMap volume: the folder of path and that of its real file are both
 * watched).  It may come without a change.  What is not seen so (a symlink farther up swapped, a
 * network file system) is found by a look every 10 s, every second while there is no folder to
 * watch.  NULL when out of memory. */
struct file_watch *file_watch_new(
	uv_loop_t *loop, const char *path, void (*changed)(void *ctx), void *ctx) MUST_CHECK;
/* The handles close from the loop; nothing is called any more. */
void file_watch_close(struct file_watch *w);

#endif
