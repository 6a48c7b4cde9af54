/* SPDX-License-Identifier: Apache-2.0
 *
 * config_field.h - one field of the table: its default, what it accepts, and the words that say so.
 * Pure.
 */
#ifndef LBD_CONFIG_FIELD_H
#define LBD_CONFIG_FIELD_H

#include "config_table.h"

enum { CONFIG_EXPECT_STRLEN = 256 };

/* Stores the default of a scalar at its place; nothing for lists and maps. */
void config_field_default(const struct config_field *f, void *at);
/* Is what is stored at at the default?  False for types that no one asks about. */
bool config_field_is_default(const struct config_field *f, const void *at);
/* The index of s in f->words, or their count. */
unsigned config_field_word(const struct config_field *f, const char *s);
/* "must be a whole number 1..65535".  Returns s or a constant. */
const char *config_field_expect(const struct config_field *f, char s[CONFIG_EXPECT_STRLEN]);
/* Of numbers and durations. */
bool config_field_in_range(const struct config_field *f, uint64_t v);
/* Of strings; not their length. */
bool config_field_text_ok(enum config_text text, const char *s);
/* The word (up to NULL) that is most like got; NULL when none is. */
const char *config_nearest(const char *got, const char *const *words);

#endif
