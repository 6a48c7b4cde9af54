/* SPDX-License-Identifier: Apache-2.0
 *
 * config_links.h - what must hold between the items of a configuration.  Pure.
 */
#ifndef LBD_CONFIG_LINKS_H
#define LBD_CONFIG_LINKS_H

#include "config_decode.h"

/* After the last document.  Reports names given twice, addresses in two pools, and, unless
 * documents are missing (they did not parse), names that nothing has. */
void config_links_check(struct config_decoder *d, bool documents_missing);
/* With configFrom: cluster.  Reports what a file has of the things that come from the API. */
void config_links_check_cluster(struct config_decoder *d);

#endif
