/* SPDX-License-Identifier: Apache-2.0
 *
 * nodename.h - by which name of a Node lbd goes on this host.
 */
#ifndef LBD_NODENAME_H
#define LBD_NODENAME_H

#include "config.h"

#include <stdbool.h>

/* The option's (--node-name), $NODE_NAME, the configuration's (nodeName), the host's in lower case:
 * the first that is neither NULL nor empty.  False: it is the host's. */
bool nodename_choose(
	const char *option, const char *configured, char ret_name[CONFIG_MAX_NAME + 1]);

#endif
