/* SPDX-License-Identifier: Apache-2.0
 *
 * config_dialect.h - a YAML document of any dialect -> the decoder's lists.  Pure.
 */
#ifndef LBD_CONFIG_DIALECT_H
#define LBD_CONFIG_DIALECT_H

#include "config_decode.h"

/* Tells what root is and decodes it: lbd's Config, MetalLB's and OpenELB's objects, MetalLB's
 * ConfigMap or its bare text, a Kubernetes list of these.  Any other Kubernetes object gets a
 * warning.  d->at is at root; other texts that it holds are parsed. */
void config_dialect_document(struct config_decoder *d, const cJSON *root);

#endif
