/* SPDX-License-Identifier: Apache-2.0
 *
 * remote.h - the cluster's state from the API alone, for who has no daemon to ask.
 */
#ifndef LBD_REMOTE_H
#define LBD_REMOTE_H

#include "base.h"
#include "kube.h"

#include <cjson/cJSON.h>

/* Lists what there is and waits for it, up to timeout_ms; nothing is written.  0 and the tree
 * (cJSON_Delete()); -errno, and err says why. */
int remote_dump(const struct kube_where *where, uint64_t timeout_ms, cJSON **ret_dump, char *err,
	size_t err_len) MUST_CHECK;

#endif
