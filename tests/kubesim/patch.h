/* SPDX-License-Identifier: Apache-2.0
 *
 * patch.h - the four patch types of the Kubernetes API, on trees.
 */
#ifndef KUBESIM_PATCH_H
#define KUBESIM_PATCH_H

#include "jsn.h"

/* RFC 7386. target may be NULL; takes it over and returns the result. */
cJSON *patch_merge(cJSON *target, const cJSON *patch);
/* Strategic merge: lists by their merge keys, $patch, $retainKeys, $setElementOrder,
 * $deleteFromPrimitiveList. In place. */
void patch_strategic(cJSON *target, const cJSON *patch);
/* RFC 6902. 0; 400: no patch; 422: an operation failed (err says why); *target may be replaced. */
int patch_json(cJSON **target, const cJSON *ops, struct text *err);

#endif
