/* SPDX-License-Identifier: Apache-2.0
 *
 * test_creds.c - credentials found in the agreed order, read, and read again.
 */
#include "creds.h"

#include "check.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A folder of its own, and no environment. */
struct place {
	char dir[64];
};

static void place_open(struct place *p)
{
	(void)snprintf(p->dir, sizeof p->dir, "/tmp/test_creds.XXXXXX");
	CHECK(mkdtemp(p->dir) != NULL);
	(void)unsetenv("KUBECONFIG");
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	log_set_level(LOG_ERROR);
}

static const char *place_path(const struct place *p, const char *name, char path[128])
{
	(void)snprintf(path, 128, "%s/%s", p->dir, name);
	return path;
}

static void place_write(const struct place *p, const char *name, const void *text, size_t n)
{
	char path[128];
	int fd = open(place_path(p, name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK(write(fd, text, n) == (ssize_t)n);
	CHECK(close(fd) == 0);
}

static void place_puts(const struct place *p, const char *name, const char *text)
{
	place_write(p, name, text, strlen(text));
}

static void place_close(const struct place *p)
{
	static const char *const names[] = {"kubeconfig", "token", "other", "ca"};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(place_path(p, names[i], path));
	CHECK(rmdir(p->dir) == 0);
}

#define HTTP_CONF(user)                                                                            \
	"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"              \
	"clusters: [{name: k, cluster: {server: 'http://127.0.0.1:8080/p'}}]\n"                    \
	"users: [{name: u, user: {" user "}}]\n"

static void test_order(void)
{
	struct place p;
	struct creds *c = NULL;
	char err[512], path[128], text[256];

	place_open(&p);
	place_puts(&p, "kubeconfig", HTTP_CONF("token: one"));
	place_puts(&p, "other", HTTP_CONF("token: two"));

	CHECK(setenv("CREDENTIALS_DIRECTORY", p.dir, 1) == 0);
	CHECK_INT(creds_new(NULL, NULL, &c, err, sizeof err), 0);
	CHECK_STR(creds_authorization(c), "Bearer one");
	(void)snprintf(
		text, sizeof text, "http://127.0.0.1:8080/p (context c of %s/kubeconfig)", p.dir);
	CHECK_STR(creds_text(c), text);
	CHECK(creds_tls(c) == NULL);
	CHECK_STR(creds_server(c)->host, "127.0.0.1");
	CHECK_STR(creds_server(c)->path_prefix, "/p");
	creds_free(c);

	CHECK(setenv("KUBECONFIG", place_path(&p, "other", path), 1) == 0);
	CHECK_INT(creds_new(NULL, NULL, &c, err, sizeof err), 0);
	CHECK_STR(creds_authorization(c), "Bearer two");
	creds_free(c);

	CHECK_INT(creds_new(place_path(&p, "kubeconfig", path), NULL, &c, err, sizeof err), 0);
	CHECK_STR(creds_authorization(c), "Bearer one");
	CHECK_STR(err, "");
	creds_free(c);
	creds_free(NULL);
	place_close(&p);
}

static void test_refused(void)
{
	static const struct {
		const char *name, *env, *text, *want; /* env: of KUBECONFIG; "" = the file */
	} rows[] = {
		{"a list", "/a:/b", "", "KUBECONFIG: \"/a:/b\" is a list of files"},
		{"no file", "/nonexistent/kubeconfig", "",
			"/nonexistent/kubeconfig: No such file or directory"},
		{"place and reason", "", HTTP_CONF("exec: {command: x}"),
			"/kubeconfig:4:32: users[0].user.exec: not supported"},
		{"not YAML", "", "a: [\n", "/kubeconfig:"},
		{"empty", "", "", "/kubeconfig:expected one kubeconfig"},
		{"no token file", "", HTTP_CONF("tokenFile: token"),
			"/token: No such file or directory"},
		{"token file is a folder", "", HTTP_CONF("tokenFile: ."), "Is a directory"},
		{"no CA file", "",
			"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
			"clusters: [{name: k, cluster: {server: 'https://h', "
			"certificate-authority: ca}}]",
			"/ca: No such file or directory"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct place p;
		struct creds *c = NULL;
		char err[512], path[128];

		check_row = rows[i].name;
		place_open(&p);
		place_puts(&p, "kubeconfig", rows[i].text);
		(void)setenv("KUBECONFIG",
			rows[i].env[0] != '\0' ? rows[i].env : place_path(&p, "kubeconfig", path),
			1);
		CHECK_INT(creds_new(NULL, NULL, &c, err, sizeof err), -EINVAL);
		CHECK(strstr(err, rows[i].want) != NULL);
		if (strstr(err, rows[i].want) == NULL)
			printf("  got \"%s\"\n", err);
		CHECK(c == NULL);
		place_close(&p);
	}
}

static void test_token_file(void)
{
	static const struct {
		const char *name, *in;
		size_t len;
		const char *want; /* NULL = refused */
	} rows[] = {
		{"plain", "abc", 3, "Bearer abc"},
		{"line end", "abc\n", 4, "Bearer abc"},
		{"space around", " \t abc \r\n\n", 10, "Bearer abc"},
		{"empty", "", 0, NULL},
		{"only space", " \n", 2, NULL},
		{"two lines", "a\nb", 3, NULL},
		{"header smuggled", "a\r\nX: y", 7, NULL},
		{"not ASCII", "a\xc3\xa9", 3, NULL},
		{"NUL", "a\0b", 3, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct place p;
		struct creds *c = NULL;
		char err[512], path[128];
		int r;

		check_row = rows[i].name;
		place_open(&p);
		place_puts(&p, "kubeconfig", HTTP_CONF("tokenFile: token"));
		place_write(&p, "token", rows[i].in, rows[i].len);
		r = creds_new(place_path(&p, "kubeconfig", path), NULL, &c, err, sizeof err);
		CHECK_INT(r, rows[i].want != NULL ? 0 : -EINVAL);
		if (r == 0)
			CHECK_STR(creds_authorization(c), rows[i].want);
		else
			CHECK(strstr(err, "/token: ") != NULL);
		creds_free(c);
		place_close(&p);
	}
}

static void test_big_token(void)
{
	static char big[CREDS_MAX_TOKEN + 1];
	struct place p;
	struct creds *c = NULL;
	char err[512], path[128];

	memset(big, 'a', sizeof big);
	place_open(&p);
	place_puts(&p, "kubeconfig", HTTP_CONF("tokenFile: token"));
	place_write(&p, "token", big, sizeof big);
	CHECK_INT(
		creds_new(place_path(&p, "kubeconfig", path), NULL, &c, err, sizeof err), -EINVAL);
	CHECK(strstr(err, "File too large") != NULL);
	place_write(&p, "token", big, sizeof big - 1);
	CHECK_INT(creds_new(path, NULL, &c, err, sizeof err), 0);
	creds_free(c);
	place_close(&p);
}

static void test_read_again(void)
{
	struct place p;
	struct creds *c = NULL;
	char err[512], path[128];

	place_open(&p);
	place_puts(&p, "kubeconfig", HTTP_CONF("tokenFile: token"));
	place_puts(&p, "token", "one");
	CHECK_INT(creds_new(place_path(&p, "kubeconfig", path), NULL, &c, err, sizeof err), 0);
	CHECK(!creds_refresh(c, false, 100000)); /* looks */
	place_puts(&p, "token", "second");
	(void)creds_refresh(c, false, 100000 + CREDS_CHECK_MS - 1); /* too early to look again */
	CHECK_STR(creds_authorization(c), "Bearer one");
	(void)creds_refresh(c, false, 100000 + CREDS_CHECK_MS);
	CHECK_STR(creds_authorization(c), "Bearer second");

	/* a 401 reads at once, but not more than once a second */
	place_puts(&p, "token", "third");
	(void)creds_refresh(c, true, 200000);
	CHECK_STR(creds_authorization(c), "Bearer third");
	place_puts(&p, "token", "fourth");
	(void)creds_refresh(c, true, 200000 + CREDS_RETRY_MS - 1);
	CHECK(strcmp(creds_authorization(c), "Bearer third") == 0 ||
		strcmp(creds_authorization(c), "Bearer fourth") == 0);
	(void)creds_refresh(c, true, 200000 + CREDS_RETRY_MS);
	CHECK_STR(creds_authorization(c), "Bearer fourth");

	/* what cannot be read costs nothing */
	CHECK(unlink(place_path(&p, "token", path)) == 0);
	(void)creds_refresh(c, true, 300000);
	CHECK_STR(creds_authorization(c), "Bearer fourth");
	place_puts(&p, "token", "fifth");
	(void)creds_refresh(c, false, 400000);
	CHECK_STR(creds_authorization(c), "Bearer fifth");

	/* the kubeconfig itself: another user, but never another server */
	place_puts(&p, "kubeconfig", HTTP_CONF("token: sixth"));
	(void)creds_refresh(c, false, 500000);
	CHECK_STR(creds_authorization(c), "Bearer sixth");
	place_puts(&p, "kubeconfig",
		"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
		"clusters: [{name: k, cluster: {server: 'http://evil:8080/p'}}]\n");
	(void)creds_refresh(c, false, 600000);
	CHECK_STR(creds_server(c)->host, "127.0.0.1");
	CHECK_STR(creds_authorization(c), "Bearer sixth");
	creds_free(c);
	place_close(&p);
}

CHECK_MAIN("test_creds", CHECK_TEST(test_order), CHECK_TEST(test_refused),
	CHECK_TEST(test_token_file), CHECK_TEST(test_big_token), CHECK_TEST(test_read_again))
