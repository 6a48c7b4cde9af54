/* uses: tls buf */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_tls.c - bytes of a server that has proved nothing yet.  First byte 0 to 127: the extensions
 * of its certificate, as tls.c walks them; 128 and on: what it says to a ClientHello, in pieces of
 * that size.
 */
#include "tls.h"

#include "buf.h"
#include "tests/unit/some_ca.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"a.test", "b.kube.test", "127.0.0.1", "::1", "10.0.0.1"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)tls_extensions_name(data, size, names[i]);
}

static void talk(struct tls *t, const uint8_t *data, size_t size, size_t piece)
{
	int r = tls_handshake(t);

	for (size_t at = 0; at < size && r == 0; at += piece) {
		const void *out;

		REQUIRE(tls_feed(t, data + at, piece < size - at ? piece : size - at) == 0 ||
			size > TLS_MAX_UNREAD);
		r = tls_handshake(t);
		tls_sent(t, tls_pending(t, &out));
	}
	tls_feed_eof(t);
	REQUIRE(tls_handshake(t) < 0 && tls_error(t)[0] != '\0'); /* nobody can guess our keys */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_conf *c;
	struct tls *t;
	char err[100];

	if (size == 0)
		return 0;
	if (data[0] < 128) {
		walk(data + 1, size - 1);
		return 0;
	}
	REQUIRE(tls_conf_new(&(struct tls_files){.ca = some_ca}, &c, err, sizeof err) == 0);
	t = tls_new(c, "127.0.0.1", 0);
	REQUIRE(t != NULL);
	talk(t, data + 1, size - 1, data[0] - 127u);
	tls_free(t);
	tls_conf_unref(c);
	return 0;
}
