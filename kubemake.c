/* SPDX-License-Identifier: Apache-2.0
 *
 * kubemake.c - a kubeconfig made of a server, its CA and a token.
 *
 * Owns: nothing.
 * In:   texts.  Out: YAML with the three in it, so that it is one file to guard.
 * Sources: packaging/kubeconfig.tmpl (the same text, for kubectl); RFC 6750 2.1 (a token's
 *       characters); RFC 3986 2 (a URL's).
 *
 * What is made is read again by kubeconf.c: whatever that refuses is refused here, too.
 */
#include "kubemake.h"

#include "kubeconf.h"
#include "text.h"

#include <errno.h>
#include <mbedtls/base64.h>
#include <stdio.h>
#include <string.h>

static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char begins[] = "-----BEGIN CERTIFICATE-----";

enum { MAX_SERVER = 1024 };

struct span {
	const char *p;
	size_t n;
};

static struct span trim(const struct buf *b)
{
	static const char space[] = " \t\r\n";
	struct span s = {b->p, b->len};

	while (s.n > 0 && memchr(space, s.p[s.n - 1], sizeof space - 1) != NULL)
		s.n--;
	for (; s.n > 0 && memchr(space, *s.p, sizeof space - 1) != NULL; s.n--)
		s.p++;
	return s;
}

/* Letters, digits and others alone, and any of them? */
static bool is_of(struct span s, const char *others)
{
	for (size_t i = 0; i < s.n; i++)
		if (memchr(alnum, s.p[i], sizeof alnum - 1) == NULL &&
			(s.p[i] == '\0' || strchr(others, s.p[i]) == NULL))
			return false;
	return s.n > 0;
}

static int put_base64(struct buf *out, const struct buf *ca)
{
	size_t len = 0, max = ca->len / 3 * 4 + 5;
	unsigned char *text = malloc(max);
	int r = -ENOMEM;

	if (text == NULL)
		return r;
	if (mbedtls_base64_encode(text, max, &len, (const unsigned char *)ca->p, ca->len) == 0) {
		buf_add(out, text, len);
		r = 0;
	}
	free(text);
	return r;
}

static int put(const char *server, const struct buf *ca, struct span token, struct buf *out)
{
	int r;

	buf_addf(out,
		"apiVersion: v1\nkind: Config\nclusters:\n- name: cluster\n  cluster:\n"
		"    server: %s\n    certificate-authority-data: ",
		server);
	r = put_base64(out, ca);
	buf_adds(out, "\nusers:\n- name: lbd\n  user:\n    token: ");
	buf_add(out, token.p, token.n);
	buf_adds(out, "\ncontexts:\n- name: lbd\n  context: {cluster: cluster, user: lbd}\n"
		      "current-context: lbd\n");
	return r != 0 || out->bad ? -ENOMEM : 0;
}

/* NULL: nothing. */
static const char *fault(const char *server, const struct buf *ca, struct span token)
{
	const struct span url = {server, strlen(server)};

	if (url.n > MAX_SERVER || strncmp(server, "https://", 8) != 0 || !is_of(url, "-._~:/[]%"))
		return "the server: expected https://HOST:PORT";
	if (ca->len < sizeof begins || memchr(ca->p, '\0', ca->len) != NULL ||
		strstr(ca->p, begins) == NULL) /* a buf ends with a NUL */
		return "the CA: expected certificates in PEM";
	if (ca->len > KUBEMAKE_MAX_CA)
		return "the CA: too long";
	if (strstr(ca->p, "PRIVATE KEY") != NULL)
		return "the CA: there is a private key in it, which nobody else should have";
	if (token.n > KUBEMAKE_MAX_TOKEN || !is_of(token, "-._~+/="))
		return "the token: expected one word of letters, digits and -._~+/=";
	return NULL;
}

static int read_again(const struct buf *out, size_t from, struct span token, char *err, size_t err_len)
{
	struct kubeconf k = {0};
	int r = kubeconf_parse(out->p + from, out->len - from, NULL, NULL, &k, err, err_len);

	if (r == 0 && (!text_eq(k.context, "lbd") || k.token == NULL ||
			      strlen(k.token) != token.n || memcmp(k.token, token.p, token.n) != 0)) {
		(void)snprintf(err, err_len, "the token: YAML would read it as something else");
		r = -EINVAL;
	}
	kubeconf_free(&k);
	return r;
}

int kubemake(const char *server, const struct buf *ca, const struct buf *token, struct buf *out,
	char *err, size_t err_len)
{
	const struct span t = trim(token);
	const char *why = fault(server, ca, t);
	size_t from = out->len;
	int r;

	if (why != NULL) {
		(void)snprintf(err, err_len, "%s", why);
		return -EINVAL;
	}
	r = put(server, ca, t, out);
	if (r != 0)
		(void)snprintf(err, err_len, "out of memory");
	return r == 0 ? read_again(out, from, t, err, err_len) : r;
}
