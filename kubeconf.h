/* SPDX-License-Identifier: Apache-2.0
 *
 * kubeconf.h - a kubeconfig (client-go's v1 Config) read as text.  Pure: file names in it are given
 * back, not opened.
 */
#ifndef LBD_KUBECONF_H
#define LBD_KUBECONF_H

#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	KUBECONF_MAX_BYTES = 1024 * 1024,
	KUBECONF_MAX_NODES = 65536,
	KUBECONF_MAX_DEPTH = 64,
};

/* Each secret is data (decoded from base64, owned) or a file (path as written), or neither.  Where
 * a kubeconfig has both, data is taken, as client-go does. */
struct kubeconf {
	char *context; /* the one chosen */
	bool tls;      /* https */
	char *host;    /* name or IP, no brackets */
	uint16_t port;
	char *path_prefix;     /* "" or "/k8s/clusters/c-1" */
	char *tls_server_name; /* NULL = host */
	char *ca_data, *ca_file;
	char *cert_data, *cert_file, *key_data, *key_file;
	char *token, *token_file; /* token_file wins over token (client-go) */
	char *namespace_;         /* NULL = none */
};

/* context: NULL = current-context.  0, -EINVAL with a sentence in err, -ENOMEM.  The sentence reads
 * "LINE:COLUMN: users[0].user.exec: ..." where a place can be named, and never holds a secret.
 * Refused by name, because not supported: exec, auth-provider, username/password,
 * insecure-skip-tls-verify, proxy-url, as/impersonation; https without a CA.  Only the chosen
 * context's cluster and user are looked at.  Relative file names are relative to the kubeconfig's
 * folder: dir (NULL = none) is put before them. */
int kubeconf_parse(const char *text, size_t len, const char *context, const char *dir,
	struct kubeconf *ret_k, char *err, size_t err_len) MUST_CHECK;
/* Wipes what is secret.  Leaves *k empty; k itself is the caller's. */
void kubeconf_free(struct kubeconf *k);

#endif
