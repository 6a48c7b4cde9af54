/* SPDX-License-Identifier: Apache-2.0
 *
 * creds.h - finds, reads and re-reads the credentials for the API server: a kubeconfig and the
 * files it names, or the Pod's service account.
 */
#ifndef LBD_CREDS_H
#define LBD_CREDS_H

#include "base.h"
#include "kubeconf.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	CREDS_CHECK_MS = 10 * 1000,  /* the files are looked at this often, at most */
	CREDS_RETRY_MS = 1000,       /* after a 401: read again this often, at most */
	CREDS_MAX_TOKEN = 64 * 1024, /* bytes of a token file */
	CREDS_MAX_PEM = 1024 * 1024, /* bytes of a CA, certificate or key file */
};

struct creds; /* opaque */

/* kubeconfig: --kubeconfig, NULL = look for it: $KUBECONFIG (one file, no list),
 * $CREDENTIALS_DIRECTORY/kubeconfig, /etc/lbd/kubeconfig, in-cluster, /etc/rancher/k3s/k3s.yaml.
 * The first that exists is taken; what is wrong with it is an error, not a reason to look on.
 * context: NULL = current-context.  Both are copied. 0; -ENOENT: none found; -EINVAL: refused;
 * -ENOMEM; err says which file and why. */
int creds_new(const char *kubeconfig, const char *context, struct creds **ret_creds, char *err,
	size_t err_len) MUST_CHECK;
void creds_free(struct creds *c);

/* Looks at the files (CREDS_CHECK_MS) and reads them again when one changed; refused: a 401 came,
 * so it reads them anyway (CREDS_RETRY_MS).  What cannot be read or used is logged once, and the
 * old goes on.  True: creds_tls() is another one now. */
bool creds_refresh(struct creds *c, bool refused, uint64_t now_ms);

/* All of these are valid until the next creds_refresh(), the server until creds_free(). */
/* host, port, tls, path_prefix, tls_server_name: these never change. */
const struct kubeconf *creds_server(const struct creds *c);
/* NULL: plain HTTP. */
struct tls_conf *creds_tls(const struct creds *c);
/* The header's value; NULL = none. */
const char *creds_authorization(const struct creds *c);
/* PEM text: certificates of the authority, of the client; NULL = none. */
const char *creds_ca(const struct creds *c);
const char *creds_certificate(const struct creds *c);
/* "https://127.0.0.1:6443 (context default of /etc/lbd/kubeconfig)" */
const char *creds_text(const struct creds *c);

#endif
