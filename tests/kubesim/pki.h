/* SPDX-License-Identifier: Apache-2.0
 *
 * pki.h - the server's own CA, certificates and kubeconfigs.
 */
#ifndef KUBESIM_PKI_H
#define KUBESIM_PKI_H

#include "text.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

struct pki {
	EVP_PKEY *key; /* owned; the CA's */
	X509 *crt;     /* owned */
};

struct pki_want {
	const char *cn, *org; /* org NULL = none */
	const char *sans;     /* "IP:127.0.0.1,DNS:localhost"; NULL: a client's certificate */
	int days;             /* negative: it expired that long ago */
};

/* The CA in dir (ca.crt, ca.key), made when it is not there or fresh. 0 or -errno. */
int pki_open(struct pki *p, const char *dir, bool fresh);
void pki_close(struct pki *p);
/* A new P-256 key and a certificate for it, signed by the CA. False: OpenSSL failed. */
bool pki_issue(
	const struct pki *p, const struct pki_want *want, EVP_PKEY **ret_key, X509 **ret_crt);
void pki_crt_pem(X509 *crt, struct text *ret);
void pki_key_pem(EVP_PKEY *key, struct text *ret);

/* Written to a temporary file and renamed. 0 or -errno. mode as in open(2). */
int file_write(const char *dir, const char *name, const char *p, size_t n, unsigned mode);
/* As k3s writes it, data embedded. token NULL: crt and key. */
int kubeconfig_write(const struct pki *p, const char *dir, const char *name, const char *url,
	const char *token, X509 *crt, EVP_PKEY *key);

#endif
