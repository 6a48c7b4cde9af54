/* SPDX-License-Identifier: Apache-2.0
 *
 * bfdkey.h - the nodes' common BFD keys, from the text of elections.bfd.keyFile.  Pure.
 *
 * A line is a key: any bytes, 8 of them at least, without the line's end and blanks around it.  The
 * first is signed with, the second, if there is one, is accepted as well, while one takes the
 * other's place.  Empty lines and those that begin with # are not keys.  The secret of RFC 5880 4.4
 * is SHA1(line), so that a line may be of any length; its key ID is the first byte of SHA1(secret),
 * so that it is the same on every node, whatever line it stands on.
 */
#ifndef LBD_BFDKEY_H
#define LBD_BFDKEY_H

#include "base.h"
#include "bfd.h"

#include <stddef.h>

enum bfdkey_error {
	BFDKEY_OK,
	BFDKEY_NONE,  /* no key in it */
	BFDKEY_SHORT, /* a line of less than 8 bytes */
	BFDKEY_MANY,  /* more than BFD_MAX_KEYS */
};

/* *ret_n and ret_v are written on OK alone.  The caller wipes text and ret_v. */
enum bfdkey_error bfdkey_parse(
	const char *text, size_t len, struct bfd_key ret_v[BFD_MAX_KEYS], size_t *ret_n) MUST_CHECK;
const char *bfdkey_error_text(enum bfdkey_error e);

#endif
