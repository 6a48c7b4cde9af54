/* SPDX-License-Identifier: Apache-2.0
 *
 * level.c - the log's levels, and one that is set by hand, perhaps for a time.
 *
 * Owns: nothing.  In: a level, a duration, time.  Out: when it is over, words.
 */
#include "level.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"error", "warn", "info", "debug"};

const char *level_name(enum log_level level)
{
	return names[level];
}

int level_parse(const char *s, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(s, names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

void level_set(struct level_hand *h, enum log_level level, uint64_t for_ms, uint64_t now_ms)
{
	*h = (struct level_hand){true, level, for_ms != 0 ? now_ms + for_ms : TIME_NEVER};
}

uint64_t level_next_deadline(const struct level_hand *h)
{
	return h->on ? h->until_ms : TIME_NEVER;
}

bool level_ends(struct level_hand *h, uint64_t now_ms)
{
	if (!h->on || now_ms < h->until_ms)
		return false;
	*h = (struct level_hand){0};
	return true;
}

const char *level_text(const struct level_hand *h, enum log_level otherwise, const char *by,
	const char *until, char s[LEVEL_TEXT])
{
	if (!h->on)
		(void)snprintf(s, LEVEL_TEXT, "%s, by %s", names[otherwise], by);
	else if (h->until_ms == TIME_NEVER)
		(void)snprintf(s, LEVEL_TEXT,
			"%s, by hand: until a restart or `lbd log-level config`", names[h->level]);
	else
		(void)snprintf(s, LEVEL_TEXT, "%s until %s, then %s", names[h->level], until,
			names[otherwise]);
	return s;
}
