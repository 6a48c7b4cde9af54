/* uses: kubeconf doc json arena */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_kubeconf.c - a kubeconfig's text.
 *
 * Held: a refusal has a sentence; what is accepted has a server, and https has a CA; nothing that
 * goes into a request line or header has a control character.
 */
#include "kubeconf.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_printable(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		REQUIRE(*s > ' ' && *s <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kubeconf k;
	char err[200] = "";
	int r = kubeconf_parse((const char *)data, size, NULL, "/etc/lbd", &k, err, sizeof err);

	if (r != 0) {
		REQUIRE(r == -EINVAL || r == -ENOMEM);
		REQUIRE(err[0] != '\0');
		return 0;
	}
	REQUIRE(k.context != NULL && k.host != NULL && k.host[0] != '\0' && k.port != 0);
	REQUIRE(!k.tls || k.ca_data != NULL || k.ca_file != NULL);
	REQUIRE((k.cert_data != NULL || k.cert_file != NULL) ==
		(k.key_data != NULL || k.key_file != NULL));
	require_printable(k.host);
	require_printable(k.path_prefix);
	require_printable(k.token);
	kubeconf_free(&k);
	return 0;
}
