/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.h - /openapi/v2, in protobuf.
 */
#ifndef KUBESIM_OPENAPI_H
#define KUBESIM_OPENAPI_H

#include "kinds.h"
#include "text.h"

void openapi_print(const struct kinds *kinds, struct text *out);

#endif
