/* SPDX-License-Identifier: Apache-2.0
 *
 * level.h - the log's levels, and one that is set by hand, perhaps for a time.  Pure.
 */
#ifndef LBD_LEVEL_H
#define LBD_LEVEL_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum { LEVEL_TEXT = 128 };
#define LEVEL_EXPECTED "error, warn, info or debug"
#define LEVEL_MAX_MS   (UINT64_C(366) * 24 * 3600 * 1000) /* of a level by hand */

const char *level_name(enum log_level level);
/* "error", "warn", "info", "debug"; 0 or -EINVAL. */
int level_parse(const char *s, enum log_level *ret_level) MUST_CHECK;

/* By hand; all zero: not. */
struct level_hand {
	bool on;
	enum log_level level;
	uint64_t until_ms; /* TIME_NEVER: until a restart */
};

/* for_ms: at most LEVEL_MAX_MS; 0 = without an end. */
void level_set(struct level_hand *h, enum log_level level, uint64_t for_ms, uint64_t now_ms);
/* Has its time just ended?  It is not by hand any more then. */
bool level_ends(struct level_hand *h, uint64_t now_ms);
/* When it will. */
uint64_t level_next_deadline(const struct level_hand *h);

/* Which level is in force, and why: "info, by the configuration", "debug until
 * 2026-08-21T10:00:00Z, then info".  otherwise: what is in force where nothing is by hand, and by
 * what; until: the wall clock at until_ms.  Returns s. */
const char *level_text(const struct level_hand *h, enum log_level otherwise, const char *by,
	const char *until, char s[LEVEL_TEXT]);

#endif
