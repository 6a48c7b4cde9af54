/* SPDX-License-Identifier: Apache-2.0
 *
 * config_openelb.h - OpenELB's BgpConf and BgpPeer -> peers.  Pure.
 */
#ifndef LBD_CONFIG_OPENELB_H
#define LBD_CONFIG_OPENELB_H

#include "config_decode.h"

/* The decoder is at the spec.  Wrong things are reported. */
/* The BgpConf named default; node is the object. */
void config_openelb_conf(struct config_decoder *d, const cJSON *spec, const cJSON *node);
/* A BgpPeer; peer has its name and defaults already. */
void config_openelb_peer(struct config_decoder *d, const cJSON *spec, struct config_peer *peer);
/* After the last document: the peers get what the BgpConf says, wherever it stood. */
void config_openelb_end(struct config_decoder *d);

#endif
