/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot_text.h - a whole snapshot at once, for tests, the fuzzer and the simulator.
 */
#ifndef LBD_SNAPSHOT_TEXT_H
#define LBD_SNAPSHOT_TEXT_H

#include "snapshot.h"

#include <string.h>

/* malloc'ed; never NULL.  The picture must fit, and there must be memory. */
static inline char *snapshot_text(const struct cluster *c, const struct snapshot_owner *o,
	const char *claims, uint64_t sequence)
{
	struct snapshot_writer *w = snapshot_writer_new(o, claims);
	struct buf slice, all;
	char *text;
	int r = 1;

	REQUIRE(w != NULL);
	buf_init(&slice, SNAPSHOT_SLICE_MAX);
	buf_init(&all, SNAPSHOT_MAX_BYTES);
	while (r == 1) {
		buf_reset(&slice);
		r = snapshot_next(w, c, &slice);
		if (slice.len > 0)
			buf_add(&all, slice.p, slice.len);
	}
	REQUIRE(r == 0);
	snapshot_tail(w, sequence, &all);
	snapshot_writer_free(w);
	buf_free(&slice);
	text = buf_take(&all);
	REQUIRE(text != NULL);
	return text;
}

#endif
