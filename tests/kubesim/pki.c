/* SPDX-License-Identifier: Apache-2.0
 *
 * pki.c - CA, certificates, kubeconfigs.
 *
 * Owns: the CA's key and certificate.
 * In:   names.  Out: files in --dir, certificates for the TLS context.
 * RFCs: 5280.  EC P-256 throughout; serial numbers are random.
 */
#include "pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CA_DAYS = 3650, DAY_S = 86400 };

int file_write(const char *dir, const char *name, const char *p, size_t n, unsigned mode)
{
	struct text tmp = {0}, path = {0};
	int fd, err = 0;

	text_fmt(&path, "%s/%s", dir, name);
	text_fmt(&tmp, "%s.tmp", path.p);
	fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	while (n && !err) {
		ssize_t w = write(fd, p, n);

		if (w < 0) {
			err = -errno;
		} else {
			p += w;
			n -= (size_t)w;
		}
	}
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(tmp.p, path.p))
		err = -errno;
out:
	text_free(&tmp);
	text_free(&path);
	return err;
}

static void bio_take(BIO *bio, struct text *ret)
{
	char *p = NULL;
	long n = BIO_get_mem_data(bio, &p);

	if (n > 0)
		text_add(ret, p, (size_t)n);
	BIO_free(bio);
}

void pki_crt_pem(X509 *crt, struct text *ret)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, crt);
	bio_take(bio, ret);
}

void pki_key_pem(EVP_PKEY *key, struct text *ret)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	bio_take(bio, ret);
}

static bool add_ext(X509 *crt, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, crt, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(crt, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_serial(X509 *crt)
{
	BIGNUM *n = BN_new();
	bool ok = n && BN_rand(n, 120, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
		  BN_to_ASN1_INTEGER(n, X509_get_serialNumber(crt));

	BN_free(n);
	return ok;
}

static bool add_name(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(
		       name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static X509 *blank(EVP_PKEY *key, int days)
{
	X509 *crt = X509_new();
	long from = days < 0 ? (long)days * DAY_S - DAY_S : -DAY_S;

	if (crt && X509_set_version(crt, 2) && set_serial(crt) && X509_set_pubkey(crt, key) &&
		X509_gmtime_adj(X509_getm_notBefore(crt), from) &&
		X509_gmtime_adj(X509_getm_notAfter(crt), (long)days * DAY_S))
		return crt;
	X509_free(crt);
	return NULL;
}

static bool make_ca(struct pki *p)
{
	X509_NAME *name;

	p->key = EVP_EC_gen("P-256");
	p->crt = p->key ? blank(p->key, CA_DAYS) : NULL;
	if (!p->crt)
		return false;
	name = X509_get_subject_name(p->crt);
	return add_name(name, "CN", "kubesim-ca") && X509_set_issuer_name(p->crt, name) &&
	       add_ext(p->crt, p->crt, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_ext(p->crt, p->crt, NID_key_usage,
		       "critical,digitalSignature,keyEncipherment,keyCertSign") &&
	       add_ext(p->crt, p->crt, NID_subject_key_identifier, "hash") &&
	       X509_sign(p->crt, p->key, EVP_sha256()) > 0;
}

static bool load_ca(struct pki *p, const char *dir)
{
	struct text path = {0};
	FILE *f;

	text_fmt(&path, "%s/ca.crt", dir);
	f = fopen(path.p, "re");
	if (f) {
		p->crt = PEM_read_X509(f, NULL, NULL, NULL);
		(void)fclose(f);
	}
	text_clear(&path);
	text_fmt(&path, "%s/ca.key", dir);
	f = fopen(path.p, "re");
	if (f) {
		p->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		(void)fclose(f);
	}
	text_free(&path);
	if (p->crt && p->key && X509_check_private_key(p->crt, p->key) == 1)
		return true;
	pki_close(p);
	return false;
}

static int save_ca(const struct pki *p, const char *dir)
{
	struct text t = {0};
	int err;

	pki_crt_pem(p->crt, &t);
	err = file_write(dir, "ca.crt", t.p, t.n, 0644);
	text_clear(&t);
	pki_key_pem(p->key, &t);
	if (!err)
		err = file_write(dir, "ca.key", t.p, t.n, 0600);
	text_free(&t);
	return err;
}

int pki_open(struct pki *p, const char *dir, bool fresh)
{
	*p = (struct pki){0};
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	if (!fresh && load_ca(p, dir))
		return 0;
	if (!make_ca(p))
		return -EPROTO;
	return save_ca(p, dir);
}

void pki_close(struct pki *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->crt);
	*p = (struct pki){0};
}

bool pki_issue(const struct pki *p, const struct pki_want *want, EVP_PKEY **ret_key, X509 **ret_crt)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *crt = key ? blank(key, want->days) : NULL;
	X509_NAME *name;
	bool ok = false;

	if (!crt)
		goto out;
	name = X509_get_subject_name(crt);
	ok = (!want->org || add_name(name, "O", want->org)) && add_name(name, "CN", want->cn) &&
	     X509_set_issuer_name(crt, X509_get_subject_name(p->crt)) &&
	     add_ext(crt, p->crt, NID_basic_constraints, "critical,CA:FALSE") &&
	     add_ext(crt, p->crt, NID_key_usage, "critical,digitalSignature") &&
	     add_ext(crt, p->crt, NID_ext_key_usage, want->sans ? "serverAuth" : "clientAuth") &&
	     add_ext(crt, p->crt, NID_authority_key_identifier, "keyid") &&
	     (!want->sans || add_ext(crt, p->crt, NID_subject_alt_name, want->sans)) &&
	     X509_sign(crt, p->key, EVP_sha256()) > 0;
out:
	if (!ok) {
		EVP_PKEY_free(key);
		X509_free(crt);
		return false;
	}
	*ret_key = key;
	*ret_crt = crt;
	return true;
}

int kubeconfig_write(const struct pki *p, const char *dir, const char *name, const char *url,
	const char *token, X509 *crt, EVP_PKEY *key)
{
	struct text t = {0}, pem = {0};
	int err;

	text_str(&t, "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ");
	pki_crt_pem(p->crt, &pem);
	b64_encode(pem.p, pem.n, &t);
	text_fmt(&t,
		"\n    server: %s\n  name: default\ncontexts:\n- context:\n    cluster: default\n"
		"    user: default\n  name: default\ncurrent-context: default\nkind: Config\n"
		"preferences: {}\nusers:\n- name: default\n  user:\n",
		url);
	if (token) {
		text_fmt(&t, "    token: %s\n", token);
	} else {
		text_clear(&pem);
		pki_crt_pem(crt, &pem);
		text_str(&t, "    client-certificate-data: ");
		b64_encode(pem.p, pem.n, &t);
		text_clear(&pem);
		pki_key_pem(key, &pem);
		text_str(&t, "\n    client-key-data: ");
		b64_encode(pem.p, pem.n, &t);
		text_char(&t, '\n');
	}
	err = file_write(dir, name, t.p, t.n, 0600);
	text_free(&t);
	text_free(&pem);
	return err;
}
