/* SPDX-License-Identifier: Apache-2.0
 *
 * config_text.h - text -> YAML documents, one after the other, past those that do not parse.  Pure.
 */
#ifndef LBD_CONFIG_TEXT_H
#define LBD_CONFIG_TEXT_H

#include "config_decode.h"

/* Calls document() for each document of text, with d->at at it.  where says which file and where in
 * it the text begins, and how it is read; it is copied.  A syntax error is reported, costs its own
 * document and no other; false then. */
bool config_text_read(struct config_decoder *d, const struct config_input *where, const char *text,
	size_t len, void (*document)(struct config_decoder *d, const cJSON *root));

#endif
