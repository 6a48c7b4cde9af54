/* SPDX-License-Identifier: Apache-2.0
 *
 * test_kubemake.c - a kubeconfig made, and what none is made of.
 */
#include "kubemake.h"

#include "check.h"
#include "kubeconf.h"

#include <errno.h>

#define CA     "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
#define SERVER "https://127.0.0.1:6444"

static int make(const char *server, const char *ca, const char *token, struct buf *out, char err[128])
{
	const struct buf c = {.p = (char *)(uintptr_t)ca, .len = strlen(ca)};
	const struct buf t = {.p = (char *)(uintptr_t)token, .len = strlen(token)};

	buf_init(out, KUBECONF_MAX_BYTES);
	err[0] = '\0';
	return kubemake(server, &c, &t, out, err, 128);
}

static void test_made(void)
{
	static const char *const servers[] = {
		SERVER, "https://[fd00::1]:6443", "https://k3s.lan", "https://k.example:443/k8s/clusters/c-1"};
	struct buf out;
	char err[128];
	struct kubeconf k = {0};

	for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
		check_row = servers[i];
		CHECK_INT(make(servers[i], CA, "\n eyJh.b_-c.d=\r\n", &out, err), 0);
		CHECK_INT(kubeconf_parse(out.p, out.len, NULL, NULL, &k, err, sizeof err), 0);
		CHECK_STR(k.token, "eyJh.b_-c.d=");
		CHECK_STR(k.ca_data, CA);
		CHECK(k.tls && k.context != NULL && strcmp(k.context, "lbd") == 0);
		kubeconf_free(&k);
		buf_free(&out);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *server, *ca, *token, *want;
	} rows[] = {
		{"http://127.0.0.1:6444", CA, "t", "the server: expected https://HOST:PORT"},
		{"", CA, "t", "the server: expected https://HOST:PORT"},
		{SERVER " #", CA, "t", "the server: expected https://HOST:PORT"},
		{SERVER "\n    insecure-skip-tls-verify: true", CA, "t", "the server: expected https://HOST:PORT"},
		{SERVER, "", "t", "the CA: expected certificates in PEM"},
		{SERVER, "-----BEGIN CERTIFICATE-----", "t", "the CA: expected certificates in PEM"},
		{SERVER, "MIIB", "t", "the CA: expected certificates in PEM"},
		{SERVER, CA "-----BEGIN EC PRIVATE KEY-----\n", "t",
			"the CA: there is a private key in it, which nobody else should have"},
		{SERVER, CA, "", "the token: expected one word of letters, digits and -._~+/="},
		{SERVER, CA, " \n", "the token: expected one word of letters, digits and -._~+/="},
		{SERVER, CA, "a b", "the token: expected one word of letters, digits and -._~+/="},
		{SERVER, CA, "a\n    username: x", "the token: expected one word of letters, digits and -._~+/="},
		{SERVER, CA, "{a}", "the token: expected one word of letters, digits and -._~+/="},
		{SERVER, CA, "\xc3\xa4", "the token: expected one word of letters, digits and -._~+/="},
	};
	struct buf out;
	char err[128];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_row = rows[i].want;
		CHECK_INT(make(rows[i].server, rows[i].ca, rows[i].token, &out, err), -EINVAL);
		CHECK_STR(err, rows[i].want);
		CHECK_INT(out.len, 0);
		buf_free(&out);
	}
	check_row = "what YAML takes for a number, or nothing";
	CHECK(make(SERVER, CA, "~", &out, err) == -EINVAL && err[0] != '\0');
	buf_free(&out);
	CHECK(make(SERVER, CA, "12345", &out, err) == 0 || err[0] != '\0');
	buf_free(&out);
	check_row = "a host that is none";
	CHECK(make("https://:0", CA, "t", &out, err) == -EINVAL && err[0] != '\0');
	buf_free(&out);
}

static void test_limits(void)
{
	struct buf out;
	char err[128], *token = malloc(KUBEMAKE_MAX_TOKEN + 2), *ca = malloc(KUBEMAKE_MAX_CA + 2);

	memset(token, 'a', KUBEMAKE_MAX_TOKEN + 1);
	token[KUBEMAKE_MAX_TOKEN + 1] = '\0';
	CHECK_INT(make(SERVER, CA, token, &out, err), -EINVAL);
	buf_free(&out);
	CHECK_INT(make(SERVER, CA, token + 1, &out, err), 0);
	buf_free(&out);
	memset(ca, '\n', KUBEMAKE_MAX_CA + 1);
	ca[KUBEMAKE_MAX_CA + 1] = '\0';
	memcpy(ca + 1, CA, sizeof CA - 1);
	CHECK_INT(make(SERVER, ca, "t", &out, err), -EINVAL);
	buf_free(&out);
	CHECK_INT(make(SERVER, ca + 1, "t", &out, err), 0);
	buf_free(&out);
	free(token);
	free(ca);
}

CHECK_MAIN("test_kubemake", CHECK_TEST(test_made), CHECK_TEST(test_refused), CHECK_TEST(test_limits))
