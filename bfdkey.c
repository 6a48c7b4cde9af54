/* SPDX-License-Identifier: Apache-2.0
 *
 * bfdkey.c - the nodes' common BFD keys, from a file's text.
 *
 * Owns: nothing.
 * In:   text -> bfdkey_parse().
 * Out:  keys for bfd_set_keys().
 * RFCs: 5880 4.4 (a key has 20 bytes at most).
 */
#include "bfdkey.h"

#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include <stdbool.h>
#include <string.h>

enum { MIN_LINE = 8, DIGEST_LEN = 20 };

static void sha1(const void *data, size_t len, uint8_t ret_digest[DIGEST_LEN])
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);

	REQUIRE(mbedtls_md(md, data, len, ret_digest) == 0);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next line of [*at, end), trimmed. */
static const char *next_line(const char **at, const char *end, size_t *ret_len)
{
	const char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));

	stop = stop != NULL ? stop : end;
	*at = stop < end ? stop + 1 : end;
	while (line < stop && is_blank(*line))
		line++;
	while (stop > line && is_blank(stop[-1]))
		stop--;
	*ret_len = (size_t)(stop - line);
	return line;
}

enum bfdkey_error bfdkey_parse(
	const char *text, size_t len, struct bfd_key ret_v[BFD_MAX_KEYS], size_t *ret_n)
{
	const char *at = text, *end = len > 0 ? text + len : text; /* text may be NULL */
	struct bfd_key v[BFD_MAX_KEYS] = {{0}};
	size_t n = 0;

	while (at < end) {
		size_t line_len;
		const char *line = next_line(&at, end, &line_len);
		uint8_t id[DIGEST_LEN];

		if (line_len == 0 || line[0] == '#')
			continue;
		if (line_len < MIN_LINE)
			return BFDKEY_SHORT;
		if (n == BFD_MAX_KEYS)
			return BFDKEY_MANY;
		sha1(line, line_len, v[n].secret);
		v[n].len = DIGEST_LEN;
		sha1(v[n].secret, DIGEST_LEN, id);
		v[n++].id = id[0];
	}
	if (n == 0)
		return BFDKEY_NONE;
	memcpy(ret_v, v, sizeof v);
	mbedtls_platform_zeroize(v, sizeof v);
	*ret_n = n;
	return BFDKEY_OK;
}

const char *bfdkey_error_text(enum bfdkey_error e)
{
	static const char *const text[] = {
		"",
		"no key in it: a key is a line of 8 characters or more",
		"a key of less than 8 characters",
		"more than two keys",
	};

	return text[e];
}
