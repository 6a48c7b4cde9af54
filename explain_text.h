/* SPDX-License-Identifier: Apache-2.0
 *
 * explain_text.h - explain.c's answer as lines for a person.  Pure.
 */
#ifndef LBD_EXPLAIN_TEXT_H
#define LBD_EXPLAIN_TEXT_H

#include "buf.h"

#include <cjson/cJSON.h>

/* The one clear reason first, then what led to it.  What is not printable ASCII becomes '?'; what
 * is missing or of another type is left out. */
void explain_text(const cJSON *answer, struct buf *out);

#endif
