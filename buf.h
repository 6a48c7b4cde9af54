/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h - a growable byte buffer with a limit and a sticky error.  Pure.
 */
#ifndef LBD_BUF_H
#define LBD_BUF_H

#include "base.h"

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *p; /* owned; always NUL-terminated when not NULL */
	size_t len, cap, max;
	bool bad; /* out of memory, or over max: contents are incomplete */
};

/* max_bytes bounds len. */
void buf_init(struct buf *b, size_t max_bytes);
void buf_free(struct buf *b);
/* Empties, keeps the memory, clears the error. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Drops the first n bytes (n <= len). */
void buf_drop(struct buf *b, size_t n);
/* Hands the memory over to the caller (free()), NULL after an error; leaves b empty. */
char *buf_take(struct buf *b) MUST_CHECK;

#endif
