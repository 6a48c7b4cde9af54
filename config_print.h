/* SPDX-License-Identifier: Apache-2.0
 *
 * config_print.h - the canonical text's hash.  config_print() itself is in config.h.  Pure.
 */
#ifndef LBD_CONFIG_PRINT_H
#define LBD_CONFIG_PRINT_H

#include "config.h"

/* The first 16 hex digits of the sha256 of the canonical text without secrets: it is published in a
 * Lease, and 64 bits of a hash are enough to try passwords against.  0 or -ENOMEM. */
int config_hash(const struct config *c, char ret_hash[17]) MUST_CHECK;

#endif
