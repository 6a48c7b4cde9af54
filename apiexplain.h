/* SPDX-License-Identifier: Apache-2.0
 *
 * apiexplain.h - kubectl lbd explain: what the API alone tells of a Service or an address.  Pure.
 */
#ifndef LBD_APIEXPLAIN_H
#define LBD_APIEXPLAIN_H

#include "base.h"

#include <cjson/cJSON.h>

/* dump is apiview.c's tree; what: NAMESPACE/NAME, NAME or an address.  A tree as explain.c's answers
 * are, for explain_text(), with what only a daemon knows left out; {"error"} where nothing is found.
 * NULL when out of memory. */
cJSON *apiexplain(const cJSON *dump, const char *what) MUST_CHECK;

#endif
