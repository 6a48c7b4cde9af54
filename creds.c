/* SPDX-License-Identifier: Apache-2.0
 *
 * creds.c - credentials: where they are, what they say, and when they say something else.
 *
 * Owns: the text of token, CA, certificate and key, wiped when freed; the TLS configuration made of
 *       them.
 * In:   environment, kubeconfig, service account; creds_refresh() at request time.
 * Out:  server, TLS configuration, Authorization value.
 * Sources: client-go clientcmd and rest (BearerTokenFile is re-read, in-cluster paths),
 * systemd.exec (LoadCredential=), shared/INTERFACES.md (order). Not done: several kubeconfigs
 * merged; a new server address without a restart.
 */
#include "creds.h"

#include "buf.h"
#include "file.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define IN_CLUSTER_NAME "kubernetes.default.svc" /* every API certificate holds it */

enum { MAX_FILES = 5, MAX_TEXT = 4096 };

/* What changes when a file does. */
struct stamp {
	uint64_t dev, ino, size;
	int64_t s, ns;
};

/* What one reading of the credentials gave. */
struct reading {
	struct kubeconf conf;  /* owned; of in-cluster: host, port, tls, "" */
	char *token;           /* owned, like the rest; NULL = none */
	char *ca, *cert, *key; /* PEM text; cert and key NULL = none */
	char *file[MAX_FILES]; /* what was read */
	struct stamp stamp[MAX_FILES];
	size_t n_files;
};

struct creds {
	char *kubeconfig;       /* owned; NULL = in-cluster */
	char *context;          /* owned; NULL = current-context */
	struct reading now;     /* owned */
	struct tls_conf *tls;   /* owned; NULL = plain */
	char *authorization;    /* owned; NULL = none */
	char *text;             /* owned */
	uint64_t next_check_ms; /* of the files */
	uint64_t last_read_ms;
	bool read_failed; /* and said so */
};

/* -- files -- */

static struct stamp stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct stamp){0};
	return (struct stamp){.dev = st.st_dev,
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.s = st.st_mtim.tv_sec,
		.ns = st.st_mtim.tv_nsec};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->s == b->s &&
	       a->ns == b->ns;
}

/* The whole file, NUL-terminated.  0, -EFBIG, -EINVAL (a NUL in it), -errno. */
static int read_text(const char *path, size_t max, char **ret_text)
{
	struct buf b;
	int r;

	buf_init(&b, max);
	r = file_read(path, &b);
	if (r == 0 && b.len > 0 && strlen(b.p) != b.len)
		r = -EINVAL;
	if (r == 0) {
		*ret_text = buf_take(&b);
		r = *ret_text != NULL ? 0 : -ENOMEM;
	}
	if (b.p != NULL)
		explicit_bzero(b.p, b.len);
	buf_free(&b);
	return r;
}

/* -- reading the credentials -- */

static void free_secret(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void free_reading(struct reading *rd)
{
	kubeconf_free(&rd->conf);
	free_secret(rd->token);
	free(rd->ca);
	free(rd->cert);
	free_secret(rd->key);
	for (size_t i = 0; i < rd->n_files; i++)
		free(rd->file[i]);
	*rd = (struct reading){0};
}

/* Reads a file and remembers it.  0 or -errno with a sentence. */
static int take_file(struct reading *rd, const char *path, size_t max, char **ret_text, char *err,
	size_t err_len)
{
	int r;

	REQUIRE(rd->n_files < MAX_FILES);
	rd->stamp[rd->n_files] = stamp_of(path); /* before: a change meanwhile is seen later */
	rd->file[rd->n_files] = strdup(path);
	if (rd->file[rd->n_files] == NULL)
		return -ENOMEM;
	rd->n_files++;
	r = read_text(path, max, ret_text);
	if (r != 0)
		(void)snprintf(err, err_len, "%s: %s", path,
			r == -EINVAL ? "not a text file" : strerror(-r));
	return r;
}

/* data (moved), else the file, else neither. */
static int take_pem(struct reading *rd, char **data, const char *file, char **ret_text, char *err,
	size_t err_len)
{
	if (*data != NULL) {
		*ret_text = *data;
		*data = NULL;
		return 0;
	}
	return file != NULL ? take_file(rd, file, CREDS_MAX_PEM, ret_text, err, err_len) : 0;
}

/* White space around it is not part of a token; inside it is an error. */
static int check_token(char *token, const char *path, char *err, size_t err_len)
{
	static const char space[] = " \t\r\n";
	size_t skip = strspn(token, space), n = strlen(token);

	while (n > skip && strchr(space, token[n - 1]) != NULL)
		n--;
	memmove(token, token + skip, n - skip);
	token[n - skip] = '\0';
	for (const char *p = token; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			token[0] = '\0';
	if (token[0] != '\0')
		return 0;
	(void)snprintf(err, err_len, "%s: expected a token", path);
	return -EINVAL;
}

static int take_token(struct reading *rd, const char *file, char *err, size_t err_len)
{
	int r = take_file(rd, file, CREDS_MAX_TOKEN, &rd->token, err, err_len);

	return r != 0 ? r : check_token(rd->token, file, err, err_len);
}

static int parse_kubeconfig(struct reading *rd, const char *path, const char *context,
	const char *text, char *err, size_t err_len)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash != NULL ? strndup(path, (size_t)(slash - path)) : strdup(".");
	char why[384] = "";
	int r = -ENOMEM;

	if (dir != NULL)
		r = kubeconf_parse(text, strlen(text), context, dir, &rd->conf, why, sizeof why);
	if (r != 0)
		(void)snprintf(err, err_len, "%s:%s", path, why);
	free(dir);
	return r;
}

static int read_kubeconfig(
	struct reading *rd, const char *path, const char *context, char *err, size_t err_len)
{
	struct kubeconf *k = &rd->conf;
	char *text = NULL;
	int r = take_file(rd, path, KUBECONF_MAX_BYTES, &text, err, err_len);

	if (r == 0)
		r = parse_kubeconfig(rd, path, context, text, err, err_len);
	free_secret(text);
	if (r == 0)
		r = take_pem(rd, &k->ca_data, k->ca_file, &rd->ca, err, err_len);
	if (r == 0)
		r = take_pem(rd, &k->cert_data, k->cert_file, &rd->cert, err, err_len);
	if (r == 0)
		r = take_pem(rd, &k->key_data, k->key_file, &rd->key, err, err_len);
	if (r == 0 && k->token_file != NULL)
		return take_token(rd, k->token_file, err, err_len);
	rd->token = k->token;
	k->token = NULL;
	return r;
}

static int read_in_cluster(struct reading *rd, char *err, size_t err_len)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	unsigned long n = port != NULL ? strtoul(port, NULL, 10) : 443;
	struct kubeconf *k = &rd->conf;
	int r;

	if (host == NULL || n == 0 || n > UINT16_MAX) {
		(void)snprintf(err, err_len, "in-cluster: bad KUBERNETES_SERVICE_HOST or _PORT");
		return -EINVAL;
	}
	k->tls = true;
	k->port = (uint16_t)n;
	k->host = strdup(host);
	k->path_prefix = strdup("");
	k->tls_server_name = strdup(IN_CLUSTER_NAME);
	if (k->host == NULL || k->path_prefix == NULL || k->tls_server_name == NULL)
		return -ENOMEM;
	r = take_file(rd, SERVICE_ACCOUNT "/ca.crt", CREDS_MAX_PEM, &rd->ca, err, err_len);
	return r != 0 ? r : take_token(rd, SERVICE_ACCOUNT "/token", err, err_len);
}

/* *ret_rd is filled only on success. */
static int read_creds(const struct creds *creds, struct reading *ret_rd, char *err, size_t err_len)
{
	struct reading rd = {0};
	int r;

	(void)snprintf(err, err_len, "out of memory");
	if (creds->kubeconfig != NULL)
		r = read_kubeconfig(&rd, creds->kubeconfig, creds->context, err, err_len);
	else
		r = read_in_cluster(&rd, err, err_len);
	if (r == 0)
		*ret_rd = rd;
	else
		free_reading(&rd);
	return r == 0 || r == -ENOMEM ? r : -EINVAL;
}

static int make_tls(const struct creds *creds, const struct reading *rd, struct tls_conf **ret_tls,
	char *err, size_t err_len)
{
	const struct tls_files files = {.ca = rd->ca, .cert = rd->cert, .key = rd->key};
	char why[256] = "";
	int r;

	*ret_tls = NULL;
	if (!rd->conf.tls)
		return 0;
	r = tls_conf_new(&files, ret_tls, why, sizeof why);
	if (r != 0)
		(void)snprintf(err, err_len, "%s: %s",
			creds->kubeconfig != NULL ? creds->kubeconfig : SERVICE_ACCOUNT, why);
	return r;
}

/* -- finding them -- */

static int one_file(const char *s, char **ret_path, char *err, size_t err_len)
{
	if (strchr(s, ':') != NULL) {
		(void)snprintf(err, err_len,
			"KUBECONFIG: \"%s\" is a list of files: lbd reads one, not several merged",
			s);
		return -EINVAL;
	}
	*ret_path = strdup(s);
	return *ret_path != NULL ? 0 : -ENOMEM;
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* "$CREDENTIALS_DIRECTORY/kubeconfig" of systemd's LoadCredential=, if it is there. */
static char *systemd_credential(void)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path = NULL;

	if (dir == NULL || dir[0] == '\0' || asprintf(&path, "%s/kubeconfig", dir) < 0)
		return NULL;
	if (exists(path))
		return path;
	free(path);
	return NULL;
}

/* *ret_path: the kubeconfig, or NULL for in-cluster. */
static int find_kubeconfig(const char *given, char **ret_path, char *err, size_t err_len)
{
	static const char lbd[] = "/etc/lbd/kubeconfig", k3s[] = "/etc/rancher/k3s/k3s.yaml";
	const char *env = getenv("KUBECONFIG");

	*ret_path = NULL;
	if (given != NULL) {
		*ret_path = strdup(given);
		return *ret_path != NULL ? 0 : -ENOMEM;
	}
	if (env != NULL && env[0] != '\0')
		return one_file(env, ret_path, err, err_len);
	*ret_path = systemd_credential();
	if (*ret_path != NULL)
		return 0;
	if (exists(lbd))
		return one_file(lbd, ret_path, err, err_len);
	if (getenv("KUBERNETES_SERVICE_HOST") != NULL && exists(SERVICE_ACCOUNT "/token"))
		return 0;
	if (exists(k3s)) {
		log_warn("kube",
			"using the cluster administrator's credentials; better: "
			"/etc/lbd/kubeconfig",
			"file", k3s, NULL);
		return one_file(k3s, ret_path, err, err_len);
	}
	(void)snprintf(err, err_len,
		"no credentials: no --kubeconfig, $KUBECONFIG, $CREDENTIALS_DIRECTORY/kubeconfig, "
		"%s, service account or %s",
		lbd, k3s);
	return -ENOENT;
}

/* -- using them -- */

/* NULL for no token. -ENOMEM. */
static int make_authorization(const char *token, char **ret_value)
{
	char *s = NULL;

	if (token != NULL && asprintf(&s, "Bearer %s", token) < 0)
		return -ENOMEM;
	*ret_value = s;
	return 0;
}

static char *make_text(const struct creds *creds)
{
	const struct kubeconf *k = &creds->now.conf;
	const bool v6 = strchr(k->host, ':') != NULL;
	struct buf b;

	buf_init(&b, MAX_TEXT);
	buf_addf(&b, "http%s://%s%s%s:%u%s", k->tls ? "s" : "", v6 ? "[" : "", k->host,
		v6 ? "]" : "", (unsigned)k->port, k->path_prefix);
	if (creds->kubeconfig != NULL)
		buf_addf(&b, " (context %s of %s)", k->context, creds->kubeconfig);
	else
		buf_adds(&b, " (in-cluster)");
	return buf_take(&b);
}

static int open_first(struct creds *creds, const char *given, char *err, size_t err_len)
{
	int r = find_kubeconfig(given, &creds->kubeconfig, err, err_len);

	if (r == 0)
		r = read_creds(creds, &creds->now, err, err_len);
	if (r == 0)
		r = make_tls(creds, &creds->now, &creds->tls, err, err_len);
	if (r == 0)
		r = make_authorization(creds->now.token, &creds->authorization);
	if (r != 0)
		return r;
	creds->text = make_text(creds);
	return creds->text != NULL ? 0 : -ENOMEM;
}

int creds_new(const char *kubeconfig, const char *context, struct creds **ret_creds, char *err,
	size_t err_len)
{
	struct creds *creds = calloc(1, sizeof *creds);
	int r = -ENOMEM;

	(void)snprintf(err, err_len, "out of memory");
	if (creds != NULL && context != NULL)
		creds->context = strdup(context);
	if (creds != NULL && (context == NULL || creds->context != NULL))
		r = open_first(creds, kubeconfig, err, err_len);
	if (r != 0) {
		creds_free(creds);
		return r;
	}
	err[0] = '\0';
	*ret_creds = creds;
	return 0;
}

void creds_free(struct creds *creds)
{
	if (creds == NULL)
		return;
	tls_conf_unref(creds->tls);
	free_reading(&creds->now);
	free_secret(creds->authorization);
	free(creds->kubeconfig);
	free(creds->context);
	free(creds->text);
	free(creds);
}

/* -- reading them again -- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_server(const struct kubeconf *a, const struct kubeconf *b)
{
	return a->tls == b->tls && a->port == b->port && same_text(a->host, b->host) &&
	       same_text(a->path_prefix, b->path_prefix) &&
	       same_text(a->tls_server_name, b->tls_server_name);
}

static bool same_tls(const struct reading *a, const struct reading *b)
{
	return same_text(a->ca, b->ca) && same_text(a->cert, b->cert) && same_text(a->key, b->key);
}

/* Takes what a second reading gave into use, and empties it; the server stays.  0, or -errno with a
 * sentence and nothing changed. */
static int adopt(struct creds *creds, struct reading *fresh, char *err, size_t err_len)
{
	struct tls_conf *tls = NULL;
	char *authorization = NULL;
	int r = 0;

	if (!same_server(&fresh->conf, &creds->now.conf)) {
		(void)snprintf(err, err_len, "the server's address changed: restart lbd to use it");
		return -EINVAL;
	}
	if (!same_tls(fresh, &creds->now))
		r = make_tls(creds, fresh, &tls, err, err_len);
	if (r == 0)
		r = make_authorization(fresh->token, &authorization);
	if (r != 0) {
		tls_conf_unref(tls);
		return r;
	}
	if (tls != NULL) {
		tls_conf_unref(creds->tls);
		creds->tls = tls;
	}
	free_secret(creds->authorization);
	creds->authorization = authorization;
	kubeconf_free(&fresh->conf); /* equal, and callers hold pointers into the first one */
	fresh->conf = creds->now.conf;
	creds->now.conf = (struct kubeconf){0};
	free_reading(&creds->now);
	creds->now = *fresh;
	*fresh = (struct reading){0};
	return 0;
}

static bool files_changed(const struct reading *r)
{
	for (size_t i = 0; i < r->n_files; i++) {
		struct stamp s = stamp_of(r->file[i]);

		if (!same_stamp(&s, &r->stamp[i]))
			return true;
	}
	return false;
}

/* True: another TLS configuration. */
static bool read_again(struct creds *creds, uint64_t now_ms)
{
	const struct tls_conf *before = creds->tls;
	struct reading fresh = {0};
	char err[512] = "out of memory";
	int r;

	creds->last_read_ms = now_ms;
	r = read_creds(creds, &fresh, err, sizeof err);
	if (r == 0)
		r = adopt(creds, &fresh, err, sizeof err);
	free_reading(&fresh);
	if (r != 0 && !creds->read_failed)
		log_warn("kube", "credentials changed, the old ones are kept", "err", err, NULL);
	else if (r == 0 && creds->read_failed)
		log_info("kube", "credentials can be read again", NULL);
	creds->read_failed = r != 0;
	return creds->tls != before;
}

bool creds_refresh(struct creds *creds, bool refused, uint64_t now_ms)
{
	if (refused && (creds->last_read_ms == 0 || now_ms - creds->last_read_ms >= CREDS_RETRY_MS))
		return read_again(creds, now_ms);
	if (now_ms < creds->next_check_ms)
		return false;
	creds->next_check_ms = now_ms + CREDS_CHECK_MS;
	return files_changed(&creds->now) && read_again(creds, now_ms);
}

/* -- what they say -- */

const struct kubeconf *creds_server(const struct creds *creds)
{
	return &creds->now.conf;
}

struct tls_conf *creds_tls(const struct creds *creds)
{
	return creds->tls;
}

const char *creds_authorization(const struct creds *creds)
{
	return creds->authorization;
}

const char *creds_text(const struct creds *creds)
{
	return creds->text;
}

const char *creds_ca(const struct creds *creds)
{
	return creds->now.ca;
}

const char *creds_certificate(const struct creds *creds)
{
	return creds->now.cert;
}
