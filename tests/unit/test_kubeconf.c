/* SPDX-License-Identifier: Apache-2.0
 *
 * test_kubeconf.c - kubeconfigs read, and refused with the place and the reason.
 */
#include "kubeconf.h"

#include "check.h"

#include <errno.h>

/* The frame around a cluster's and a user's fields (flow maps). */
#define CONF(cluster, user)                                                                        \
	"apiVersion: v1\nkind: Config\ncurrent-context: c\n"                                       \
	"contexts:\n- name: c\n  context: {cluster: k, user: u}\n"                                 \
	"clusters:\n- name: k\n  cluster: {" cluster "}\n"                                         \
	"users:\n- name: u\n  user: {" user "}\n"
#define CA "certificate-authority: /ca"

/* The text ends at an unreadable page. */
static int parse(const char *text, const char *context, struct kubeconf *k, char err[256])
{
	size_t n = strlen(text);
	unsigned char *g = check_guard(text, n);
	int r;

	*k = (struct kubeconf){0};
	err[0] = '\0';
	r = kubeconf_parse((const char *)g, n, context, "/etc/lbd", k, err, 256);
	check_unguard(g, n);
	CHECK((r == 0) == (err[0] == '\0'));
	return r;
}

/* k3s.yaml as k3s writes it, shortened. */
static void test_k3s_file(void)
{
	static const char text[] = "apiVersion: v1\n"
				   "clusters:\n"
				   "- cluster:\n"
				   "    certificate-authority-data: LS0tQ0EtLS0K\n"
				   "    server: https://127.0.0.1:6443\n"
				   "  name: default\n"
				   "contexts:\n"
				   "- context:\n"
				   "    cluster: default\n"
				   "    user: default\n"
				   "  name: default\n"
				   "current-context: default\n"
				   "kind: Config\n"
				   "preferences: {}\n"
				   "users:\n"
				   "- name: default\n"
				   "  user:\n"
				   "    client-certificate-data: LS0tQ0VSVC0tLQo=\n"
				   "    client-key-data: LS0tS0VZLS0t\n";
	struct kubeconf k;
	char err[256];

	CHECK_INT(parse(text, NULL, &k, err), 0);
	CHECK_STR(k.context, "default");
	CHECK(k.tls);
	CHECK_STR(k.host, "127.0.0.1");
	CHECK_INT(k.port, 6443);
	CHECK_STR(k.path_prefix, "");
	CHECK_STR(k.ca_data, "---CA---\n");
	CHECK_STR(k.cert_data, "---CERT---\n");
	CHECK_STR(k.key_data, "---KEY---");
	CHECK(k.tls_server_name == NULL && k.ca_file == NULL && k.cert_file == NULL);
	CHECK(k.key_file == NULL && k.token == NULL && k.token_file == NULL);
	CHECK(k.namespace_ == NULL);
	kubeconf_free(&k);
	CHECK(k.host == NULL);
	kubeconf_free(&k);
	kubeconf_free(NULL);
}

static void test_fields(void)
{
	static const char text[] =
		"{\"contexts\": [{\"name\": \"other\", \"context\": {\"cluster\": \"x\"}},"
		" {\"name\": \"c\", \"context\": {\"cluster\": \"k\", \"user\": \"u\", "
		"\"namespace\": \"ns\"}}],"
		"\"clusters\": [{\"name\": \"k\", \"cluster\": {\"server\": \"https://api\","
		" \"certificate-authority\": \"pki/ca.crt\", \"tls-server-name\": \"kubernetes\","
		" \"insecure-skip-tls-verify\": false, \"proxy-url\": \"\"}}],"
		"\"users\": [{\"name\": \"u\", \"user\": {\"tokenFile\": \"/run/token\", "
		"\"token\": \"abc.DEF-1\","
		" \"client-certificate\": \"c.pem\", \"client-key\": \"/k.pem\", \"exec\": null,"
		" \"as-groups\": [], \"username\": \"\"}}]}";
	struct kubeconf k;
	char err[256];

	CHECK_INT(parse(text, "c", &k, err), 0);
	CHECK_STR(k.namespace_, "ns");
	CHECK_STR(k.host, "api");
	CHECK_INT(k.port, 443);
	CHECK_STR(k.tls_server_name, "kubernetes");
	CHECK_STR(k.ca_file, "/etc/lbd/pki/ca.crt");
	CHECK_STR(k.cert_file, "/etc/lbd/c.pem");
	CHECK_STR(k.key_file, "/k.pem");
	CHECK_STR(k.token_file, "/run/token");
	CHECK_STR(k.token, "abc.DEF-1");
	kubeconf_free(&k);

	CHECK_INT(parse(text, NULL, &k, err), -EINVAL);
	CHECK_STR(err, "current-context: missing, and no --context is given");
	CHECK_INT(parse(text, "none", &k, err), -EINVAL);
	CHECK(strstr(err, "contexts: none is named \"none\"") != NULL);
	CHECK_INT(parse(text, "other", &k, err), -EINVAL);
	CHECK(strstr(err, "clusters: none is named \"x\"") != NULL);
}

/* Data wins over a file, as in client-go; without a user there are no credentials. */
static void test_precedence(void)
{
	struct kubeconf k;
	char err[256];

	CHECK_INT(parse(CONF("server: 'https://h', " CA ", certificate-authority-data: QQ==", ""),
			  NULL, &k, err),
		0);
	CHECK_STR(k.ca_data, "A");
	CHECK(k.ca_file == NULL && k.token == NULL);
	kubeconf_free(&k);
	CHECK_INT(parse("current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
			"clusters: [{name: k, cluster: {server: 'http://h'}}]\n",
			  NULL, &k, err),
		0);
	CHECK(!k.tls);
	CHECK_INT(k.port, 80);
	kubeconf_free(&k);
}

static void test_servers(void)
{
	static const struct {
		const char *url, *host, *prefix;
		unsigned port; /* 0 = refused */
	} rows[] = {
		{"https://h", "h", "", 443},
		{"https://h/", "h", "", 443},
		{"https://h:6443", "h", "", 6443},
		{"https://h:6443///", "h", "", 6443},
		{"https://h:65535/k8s/clusters/c-1/", "h", "/k8s/clusters/c-1", 65535},
		{"https://10.0.0.1:6443", "10.0.0.1", "", 6443},
		{"https://[::1]:6443", "::1", "", 6443},
		{"https://[fd00::1]", "fd00::1", "", 443},
		{"https://[fd00::1]/p", "fd00::1", "/p", 443},
		{"https://API.Example.com", "API.Example.com", "", 443},
		{"http://h", "h", "", 80},
		{"http://h:1", "h", "", 1},
		{"", NULL, NULL, 0},
		{"h:6443", NULL, NULL, 0},
		{"https:/h", NULL, NULL, 0},
		{"https://", NULL, NULL, 0},
		{"https:///x", NULL, NULL, 0},
		{"https://:6443", NULL, NULL, 0},
		{"https://h:", NULL, NULL, 0},
		{"https://h:0", NULL, NULL, 0},
		{"https://h:65536", NULL, NULL, 0},
		{"https://h:999999", NULL, NULL, 0},
		{"https://h:64x", NULL, NULL, 0},
		{"https://u:p@h", NULL, NULL, 0},
		{"https://h?x=1", NULL, NULL, 0},
		{"https://h/x?y=1", NULL, NULL, 0},
		{"https://h/x#y", NULL, NULL, 0},
		{"https://h/x y", NULL, NULL, 0},
		{"https://h/\\r\\nX: y", NULL, NULL, 0},
		{"https://[::1", NULL, NULL, 0},
		{"https://[]", NULL, NULL, 0},
		{"https://[1.2.3.4]", NULL, NULL, 0},
		{"https://[fe80::1%25eth0]", NULL, NULL, 0},
		{"https://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, NULL, 0},
		{"https://[::1]x", NULL, NULL, 0},
		{"https://-h", NULL, NULL, 0},
		{"https://h_1", "h_1", "", 443},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kubeconf k;
		char text[512], err[256];

		check_row = rows[i].url;
		(void)snprintf(text, sizeof text, CONF("server: \"%s\", " CA, ""), rows[i].url);
		CHECK_INT(parse(text, NULL, &k, err), rows[i].port != 0 ? 0 : -EINVAL);
		if (rows[i].port == 0) {
			CHECK(strstr(err, "clusters[0].cluster.server: ") != NULL);
			continue;
		}
		CHECK_STR(k.host, rows[i].host);
		CHECK_STR(k.path_prefix, rows[i].prefix);
		CHECK_INT(k.port, rows[i].port);
		kubeconf_free(&k);
	}
}

static void test_base64(void)
{
	static const struct {
		const char *in, *want; /* NULL = refused */
	} rows[] = {
		{"QQ==", "A"},
		{"QUI=", "AB"},
		{"QUJD", "ABC"},
		{"QUJDRA==", "ABCD"},
		{"QU\\nJD\\r\\n", "ABC"},
		{"+/+/", "\xfb\xff\xbf"},
		{"Q", NULL},
		{"QQ", NULL},
		{"QQ=", NULL},
		{"QQ===", NULL},
		{"QUI==", NULL},
		{"QUJD=", NULL},
		{"====", NULL},
		{"Q===", NULL},
		{"QQ==QQ==", NULL},
		{"QQ=Q", NULL},
		{"QR==", NULL}, /* bits that are cut off must be zero */
		{"QUJ=", NULL},
		{"QU JD", NULL},
		{"QU-_", NULL},
		{"QUJD\\u00e9", NULL},
		{"AAAA", NULL}, /* NUL */
		{"QUIA", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kubeconf k;
		char text[512], err[256];

		check_row = rows[i].in;
		(void)snprintf(text, sizeof text,
			CONF("server: 'https://h', certificate-authority-data: \"%s\"", ""),
			rows[i].in);
		CHECK_INT(parse(text, NULL, &k, err), rows[i].want != NULL ? 0 : -EINVAL);
		if (rows[i].want != NULL)
			CHECK_STR(k.ca_data, rows[i].want);
		else
			CHECK(strstr(err, "certificate-authority-data: expected base64") != NULL);
		kubeconf_free(&k);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *name, *text, *want;
	} rows[] = {
		{"exec", CONF("server: 'https://h', " CA, "exec: {command: aws}"),
			"12:16: users[0].user.exec: not supported"},
		{"auth-provider", CONF("server: 'https://h', " CA, "auth-provider: {name: gcp}"),
			"users[0].user.auth-provider: not supported"},
		{"username", CONF("server: 'https://h', " CA, "username: a"),
			"users[0].user.username: not supported"},
		{"password", CONF("server: 'https://h', " CA, "password: hush"),
			"users[0].user.password: not supported"},
		{"as", CONF("server: 'https://h', " CA, "as: root"),
			"users[0].user.as: not supported: lbd does not impersonate"},
		{"as-groups", CONF("server: 'https://h', " CA, "as-groups: [a]"),
			"users[0].user.as-groups: not supported"},
		{"insecure", CONF("server: 'https://h', insecure-skip-tls-verify: true", ""),
			"9:60: clusters[0].cluster.insecure-skip-tls-verify: not supported"},
		{"proxy-url", CONF("server: 'https://h', " CA ", proxy-url: 'http://p'", ""),
			"clusters[0].cluster.proxy-url: not supported"},
		{"no CA", CONF("server: 'https://h'", ""),
			"9:12: clusters[0].cluster.certificate-authority-data: missing"},
		{"no server", CONF(CA, ""), "clusters[0].cluster.server: missing"},
		{"certificate alone", CONF("server: 'https://h', " CA, "client-certificate: a"),
			"client-certificate and client-key go together"},
		{"key alone", CONF("server: 'https://h', " CA, "client-key: a"),
			"client-certificate and client-key go together"},
		{"token is a number", CONF("server: 'https://h', " CA, "token: 12345"),
			"users[0].user.token: expected a string"},
		{"token with a line end",
			CONF("server: 'https://h', " CA, "token: \"a\\r\\nX: y\""),
			"users[0].user.token: expected printable"},
		{"server is a map", CONF("server: {a: b}, " CA, ""),
			"clusters[0].cluster.server: expected a string"},
		{"kind", "kind: Pod\n", "1:7: kind: expected Config"},
		{"apiVersion", "apiVersion: v2\n", "1:13: apiVersion: expected v1"},
		{"empty", "", "expected one kubeconfig"},
		{"a list", "[]", "expected one kubeconfig"},
		{"a string", "hello", "expected one kubeconfig"},
		{"two documents", "a: 1\n---\nb: 2\n", "expected one kubeconfig"},
		{"not YAML", "a: [", ":"},
		{"no contexts", "current-context: c\n", "contexts: none is named \"c\""},
		{"contexts is a map", "current-context: c\ncontexts: {}\n",
			"2:11: contexts: expected a list"},
		{"context is none", "current-context: c\ncontexts: [{name: c}]\n",
			"contexts[0].context: expected a map"},
		{"context without cluster",
			"current-context: c\ncontexts: [{name: c, context: {}}]\n",
			"contexts[0].context.cluster: missing"},
		{"odd entries", "current-context: c\ncontexts: [1, null, {name: 3}]\n",
			"contexts: none is named \"c\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kubeconf k;
		char err[256];

		check_row = rows[i].name;
		CHECK_INT(parse(rows[i].text, NULL, &k, err), -EINVAL);
		CHECK(strstr(err, rows[i].want) != NULL);
		if (strstr(err, rows[i].want) == NULL)
			printf("  got \"%s\"\n", err);
		CHECK(strstr(err, "hush") == NULL);
	}
}

/* Faults of contexts that are not chosen do not matter. */
static void test_other_contexts(void)
{
	static const char text[] =
		"current-context: c\n"
		"contexts:\n- name: a\n  context: {cluster: bad, user: bad}\n"
		"- name: c\n  context: {cluster: k, user: u}\n"
		"clusters:\n- name: bad\n  cluster: {server: x}\n- name: k\n  cluster: {server: "
		"'https://h', " CA "}\n"
		"users:\n- name: bad\n  user: {exec: {command: x}}\n- name: u\n  user: {token: "
		"t}\n";
	struct kubeconf k;
	char err[256];

	CHECK_INT(parse(text, NULL, &k, err), 0);
	CHECK_STR(k.token, "t");
	kubeconf_free(&k);
	CHECK_INT(parse(text, "a", &k, err), -EINVAL);
	CHECK(strstr(err, "clusters[0].cluster.server") != NULL);
}

static void test_short_error_buffer(void)
{
	struct kubeconf k;
	char err[8] = "zzzzzzz";

	CHECK_INT(kubeconf_parse("kind: Pod\n", 10, NULL, NULL, &k, err, 0), -EINVAL);
	CHECK_STR(err, "zzzzzzz");
	for (size_t n = 1; n <= sizeof err; n++) {
		CHECK_INT(kubeconf_parse("kind: Pod\n", 10, NULL, NULL, &k, err, n), -EINVAL);
		CHECK(strlen(err) < n);
	}
}

CHECK_MAIN("test_kubeconf", CHECK_TEST(test_k3s_file), CHECK_TEST(test_fields),
	CHECK_TEST(test_precedence), CHECK_TEST(test_servers), CHECK_TEST(test_base64),
	CHECK_TEST(test_refused), CHECK_TEST(test_other_contexts),
	CHECK_TEST(test_short_error_buffer))
