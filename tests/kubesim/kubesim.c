/* SPDX-License-Identifier: Apache-2.0
 *
 * kubesim.c - a small Kubernetes API server for tests: options, files, start and end.
 *
 * Owns: the simulator, the server, the CA.
 * In:   the command line, SIGTERM.
 * Out:  the files of --dir; "URL https://..." lines on stdout.
 */
#include "pki.h"
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LISTEN_MAX = 16, TOKENS_MAX = 256, CERT_DAYS = 365 };

struct config {
	const char *listen[LISTEN_MAX], *dir, *control, *state;
	size_t nlisten;
	char *token[TOKENS_MAX], *user[TOKENS_MAX]; /* owned */
	size_t ntokens;
	struct text sans; /* owned */
	bool default_sans, fresh;
	int tls_min, tls_max, cert_days;
	struct sim_options sim;
};

struct app {
	struct config conf;
	struct sim sim;
	struct server *server;
	struct pki pki;
	char *url; /* owned */
};

static const char usage[] =
	"usage: kubesim --dir DIR [--listen ADDR:PORT]... [option]...\n"
	"  --listen ADDR:PORT     repeatable; port 0: any, printed; default 127.0.0.1:0\n"
	"  --dir DIR              ca.crt ca.key server.crt *.kubeconfig *.token ready; an "
	"existing\n"
	"                         CA and token there are used again\n"
	"  --fresh                new CA and token all the same\n"
	"  --control PATH         unix socket: plain HTTP, as admin, never faulty\n"
	"  --token TOKEN=USER     repeatable; USER.kubeconfig is written; user admin is admin;\n"
	"                         lbd has a random one if none is given for it\n"
	"  --san NAME             further name or address in the server certificate\n"
	"  --no-default-sans      only those\n"
	"  --cert-days N          life of the server certificate; negative: expired\n"
	"  --tls MIN[-MAX]        1.0 1.1 1.2 1.3; default 1.2-1.3\n"
	"  --state FILE           objects are loaded at start and saved at the end\n"
	"  --kube-version V       gitVersion, default v1.32.4; below v1.21 it behaves so\n"
	"  --no-discovery-v1      EndpointSlices in v1beta1 only\n"
	"  --latency-ms N         before each answer\n"
	"  --bookmark-ms N        between bookmarks, default 5000\n"
	"  --history N            events kept per kind, default 100000\n"
	"  --journal N            writes kept for /kubesim/log, default 1000000\n"
	"  --node-ports MIN-MAX   default 30000-32767\n"
	"  --verbose              a line for each request on stderr\n";

static _Noreturn void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "kubesim: %s: %s\n", what, why);
	exit(2);
}

static unsigned number(const char *option, const char *s, unsigned max)
{
	uint64_t v;

	if (!parse_u64(s, &v) || v > max)
		die(option, "not a number in range");
	return (unsigned)v;
}

static void add_token(struct config *c, const char *arg)
{
	const char *eq = strrchr(arg, '=');

	if (!eq || eq == arg || !eq[1] || c->ntokens >= TOKENS_MAX)
		die("--token", "want TOKEN=USER");
	c->token[c->ntokens] = xstrndup(arg, (size_t)(eq - arg));
	c->user[c->ntokens++] = xstrdup(eq + 1);
}

static int tls_version(const char *s, size_t n)
{
	static const int versions[] = {
		TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};

	if (n != 3 || s[0] != '1' || s[1] != '.' || s[2] < '0' || s[2] > '3')
		die("--tls", "want 1.0, 1.1, 1.2 or 1.3");
	return versions[s[2] - '0'];
}

static void set_tls(struct config *c, const char *s)
{
	size_t n = strcspn(s, "-");

	c->tls_min = tls_version(s, n);
	c->tls_max = s[n] ? tls_version(s + n + 1, strlen(s + n + 1)) : c->tls_min;
}

static void set_ports(struct config *c, const char *s)
{
	size_t n = strcspn(s, "-");
	char *min = xstrndup(s, n);

	if (!s[n])
		die("--node-ports", "want MIN-MAX");
	c->sim.port_min = number("--node-ports", min, 65535);
	c->sim.port_max = number("--node-ports", s + n + 1, 65535);
	free(min);
	if (!c->sim.port_min || c->sim.port_min > c->sim.port_max)
		die("--node-ports", "want MIN-MAX");
}

static void set_version(struct config *c, const char *s)
{
	const char *dot = strchr(s, '.');

	c->sim.git_version = s;
	if (s[0] != 'v' || !dot)
		die("--kube-version", "want vMAJOR.MINOR.PATCH");
	if (strtol(dot + 1, NULL, 10) < 21)
		c->sim.old = true;
}

static void add_san(struct config *c, const char *name)
{
	struct in6_addr a;
	bool ip = inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;

	text_fmt(&c->sans, "%s%s:%s", c->sans.n ? "," : "", ip ? "IP" : "DNS", name);
}

enum option_id {
	OPT_LISTEN = 1,
	OPT_DIR,
	OPT_FRESH,
	OPT_CONTROL,
	OPT_TOKEN,
	OPT_SAN,
	OPT_NO_SANS,
	OPT_CERT_DAYS,
	OPT_TLS,
	OPT_STATE,
	OPT_VERSION,
	OPT_NO_V1,
	OPT_LATENCY,
	OPT_BOOKMARK,
	OPT_HISTORY,
	OPT_JOURNAL,
	OPT_PORTS,
	OPT_VERBOSE,
	OPT_HELP,
};

static const struct option options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"dir", required_argument, NULL, OPT_DIR},
	{"fresh", no_argument, NULL, OPT_FRESH},
	{"control", required_argument, NULL, OPT_CONTROL},
	{"token", required_argument, NULL, OPT_TOKEN},
	{"san", required_argument, NULL, OPT_SAN},
	{"no-default-sans", no_argument, NULL, OPT_NO_SANS},
	{"cert-days", required_argument, NULL, OPT_CERT_DAYS},
	{"tls", required_argument, NULL, OPT_TLS},
	{"state", required_argument, NULL, OPT_STATE},
	{"kube-version", required_argument, NULL, OPT_VERSION},
	{"no-discovery-v1", no_argument, NULL, OPT_NO_V1},
	{"latency-ms", required_argument, NULL, OPT_LATENCY},
	{"bookmark-ms", required_argument, NULL, OPT_BOOKMARK},
	{"history", required_argument, NULL, OPT_HISTORY},
	{"journal", required_argument, NULL, OPT_JOURNAL},
	{"node-ports", required_argument, NULL, OPT_PORTS},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static void take_option(struct config *c, int opt)
{
	switch ((enum option_id)opt) {
	case OPT_LISTEN:
		if (c->nlisten >= LISTEN_MAX)
			die("--listen", "too many");
		c->listen[c->nlisten++] = optarg;
		break;
	case OPT_DIR:
		c->dir = optarg;
		break;
	case OPT_FRESH:
		c->fresh = true;
		break;
	case OPT_CONTROL:
		c->control = optarg;
		break;
	case OPT_TOKEN:
		add_token(c, optarg);
		break;
	case OPT_SAN:
		add_san(c, optarg);
		break;
	case OPT_NO_SANS:
		c->default_sans = false;
		break;
	case OPT_CERT_DAYS:
		c->cert_days = (int)strtol(optarg, NULL, 10);
		break;
	case OPT_TLS:
		set_tls(c, optarg);
		break;
	case OPT_STATE:
		c->state = optarg;
		break;
	case OPT_VERSION:
		set_version(c, optarg);
		break;
	case OPT_NO_V1:
		c->sim.old = true;
		break;
	case OPT_LATENCY:
		c->sim.latency_ms = number("--latency-ms", optarg, 3600000);
		break;
	case OPT_BOOKMARK:
		c->sim.bookmark_ms = number("--bookmark-ms", optarg, 3600000);
		break;
	case OPT_HISTORY:
		c->sim.ring_max = number("--history", optarg, 10000000);
		break;
	case OPT_JOURNAL:
		c->sim.journal_max = number("--journal", optarg, 10000000);
		break;
	case OPT_PORTS:
		set_ports(c, optarg);
		break;
	case OPT_VERBOSE:
		c->sim.verbose = true;
		break;
	case OPT_HELP:
		(void)fputs(usage, stdout);
		exit(0);
	}
}

static void parse_options(struct config *c, int argc, char **argv)
{
	int opt;

	*c = (struct config){.default_sans = true,
		.cert_days = CERT_DAYS,
		.sim = {.git_version = "v1.32.4",
			.bookmark_ms = 5000,
			.ring_max = RING_EVENTS,
			.journal_max = 1000000,
			.port_min = 30000,
			.port_max = 32767}};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?') {
			(void)fputs(usage, stderr);
			exit(2);
		}
		take_option(c, opt);
	}
	if (!c->dir || optind != argc) {
		(void)fputs(usage, stderr);
		exit(2);
	}
	if (!c->nlisten)
		c->listen[c->nlisten++] = "127.0.0.1:0";
	if (!c->sim.ring_max || !c->sim.journal_max || !c->sim.bookmark_ms)
		die("--history, --journal, --bookmark-ms", "must not be 0");
}

/* -- tokens, certificates, kubeconfigs -- */

/* lbd's token of an earlier run in the same folder, or a random one. */
static char *default_token(const struct config *c)
{
	struct text path = {0}, t = {0};
	char line[256] = "";
	unsigned char r[24] = {0};
	FILE *f;

	text_fmt(&path, "%s/lbd.token", c->dir);
	f = c->fresh ? NULL : fopen(path.p, "re");
	if (f) {
		if (fgets(line, sizeof(line), f))
			line[strcspn(line, "\n")] = '\0';
		(void)fclose(f);
	}
	text_free(&path);
	if (*line)
		return xstrdup(line);
	(void)RAND_bytes(r, sizeof(r));
	for (size_t i = 0; i < sizeof(r); i++)
		text_fmt(&t, "%02x", r[i]);
	return text_take(&t);
}

static void load_tokens(struct app *app)
{
	struct config *c = &app->conf;

	bool has_lbd = false;

	for (size_t i = 0; i < c->ntokens; i++)
		has_lbd = has_lbd || !strcmp(c->user[i], "lbd");
	if (!has_lbd && c->ntokens < TOKENS_MAX) {
		c->token[c->ntokens] = default_token(c);
		c->user[c->ntokens++] = xstrdup("lbd");
	}
	for (size_t i = 0; i < c->ntokens; i++)
		auth_set_token(&app->sim.auth, c->token[i], c->user[i]);
}

static void collect_sans(struct config *c)
{
	static const char *const usual[] = {"127.0.0.1", "::1", "localhost", "kubernetes",
		"kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", "10.96.0.1"};

	for (size_t i = 0; c->default_sans && i < sizeof(usual) / sizeof(usual[0]); i++)
		add_san(c, usual[i]);
	for (size_t i = 0; c->default_sans && i < c->nlisten; i++) {
		const char *colon = strrchr(c->listen[i], ':'), *s = c->listen[i];
		size_t n = colon ? (size_t)(colon - s) : 0;
		char *host;

		if (n >= 2 && *s == '[') {
			s++;
			n -= 2;
		}
		host = xstrndup(s, n);
		if (*host)
			add_san(c, host);
		free(host);
	}
	if (!c->sans.n)
		add_san(c, "nowhere.invalid");
}

/* The server's certificate into the TLS context and server.crt. */
static int open_tls(struct app *app)
{
	const struct pki_want want = {
		.cn = "kube-apiserver", .sans = app->conf.sans.p, .days = app->conf.cert_days};
	struct text pem = {0};
	EVP_PKEY *key;
	SSL_CTX *ctx;
	X509 *crt;
	int err;

	if (!pki_issue(&app->pki, &want, &key, &crt))
		return -EPROTO;
	pki_crt_pem(crt, &pem);
	err = file_write(app->conf.dir, "server.crt", pem.p, pem.n, 0644);
	text_free(&pem);
	ctx = server_tls(app->pki.crt, crt, key, app->conf.tls_min, app->conf.tls_max);
	X509_free(crt);
	EVP_PKEY_free(key);
	if (!ctx)
		return -EPROTO;
	server_set_tls(app->server, ctx);
	return err;
}

static int write_admin(struct app *app)
{
	const struct pki_want want = {.cn = "admin", .org = "system:masters", .days = CERT_DAYS};
	struct text pem = {0};
	EVP_PKEY *key;
	X509 *crt;
	int err;

	if (!pki_issue(&app->pki, &want, &key, &crt))
		return -EPROTO;
	err = kubeconfig_write(
		&app->pki, app->conf.dir, "admin.kubeconfig", app->url, NULL, crt, key);
	pki_crt_pem(crt, &pem);
	if (!err)
		err = file_write(app->conf.dir, "admin.crt", pem.p, pem.n, 0644);
	text_clear(&pem);
	pki_key_pem(key, &pem);
	if (!err)
		err = file_write(app->conf.dir, "admin.key", pem.p, pem.n, 0600);
	text_free(&pem);
	X509_free(crt);
	EVP_PKEY_free(key);
	return err;
}

static int write_user(struct app *app, const char *user, const char *token)
{
	struct text name = {0};
	int err;

	if (strchr(user, '/') || !strcmp(user, "admin"))
		return 0;
	text_fmt(&name, "%s.kubeconfig", user);
	err = kubeconfig_write(&app->pki, app->conf.dir, name.p, app->url, token, NULL, NULL);
	text_clear(&name);
	text_fmt(&name, "%s.token", user);
	if (!err)
		err = file_write(app->conf.dir, name.p, token, strlen(token), 0600);
	text_free(&name);
	return err;
}

static int write_kubeconfigs(struct app *app)
{
	const struct config *c = &app->conf;
	int err = write_admin(app);

	for (size_t i = 0; !err && i < c->ntokens; i++)
		err = write_user(app, c->user[i], c->token[i]);
	return err;
}

/* POST /kubesim/ca */
static int rotate_ca(void *ctx)
{
	struct app *app = ctx;
	struct pki fresh;
	int err = pki_open(&fresh, app->conf.dir, true);

	if (err)
		return err;
	pki_close(&app->pki);
	app->pki = fresh;
	err = open_tls(app);
	return err ? err : write_kubeconfigs(app);
}

/* -- life -- */

static int listen_all(struct app *app)
{
	const struct config *c = &app->conf;

	for (size_t i = 0; i < c->nlisten; i++) {
		const char *colon = strrchr(c->listen[i], ':');
		struct text url = {0};
		unsigned port = 0;
		int err = server_listen(app->server, c->listen[i], &port);
		int host = colon ? (int)(colon - c->listen[i]) : 0;

		if (err)
			die(c->listen[i], strerror(-err));
		if (!host || !strncmp(c->listen[i], "0.0.0.0:", 8))
			text_fmt(&url, "https://127.0.0.1:%u", port);
		else if (!strncmp(c->listen[i], "[::]:", 5))
			text_fmt(&url, "https://[::1]:%u", port);
		else
			text_fmt(&url, "https://%.*s:%u", host, c->listen[i], port);
		(void)printf("URL %s\n", url.p);
		if (i == 0)
			app->url = xstrdup(url.p);
		text_free(&url);
	}
	return fflush(stdout);
}

static int start(struct app *app)
{
	struct config *c = &app->conf;
	struct text ready = {0};
	int err = pki_open(&app->pki, c->dir, c->fresh);

	if (err)
		return err;
	load_tokens(app);
	collect_sans(c);
	if (c->state)
		err = state_load(&app->sim, c->state);
	if (err)
		return err;
	sim_seed(&app->sim);
	err = open_tls(app);
	if (!err)
		err = listen_all(app);
	if (!err && c->control)
		err = server_listen_control(app->server, c->control);
	if (!err)
		err = write_kubeconfigs(app);
	text_fmt(&ready, "%s\n", app->url ? app->url : "");
	if (!err)
		err = file_write(c->dir, "ready", ready.p, ready.n, 0644);
	text_free(&ready);
	return err;
}

static void config_free(struct config *c)
{
	for (size_t i = 0; i < c->ntokens; i++) {
		free(c->token[i]);
		free(c->user[i]);
	}
	text_free(&c->sans);
}

int main(int argc, char **argv)
{
	struct app app = {0};
	struct text ready = {0};
	int err;

	parse_options(&app.conf, argc, argv);
	sim_init(&app.sim, &app.conf.sim);
	app.server = server_new(&app.sim);
	if (!app.server)
		die("epoll", strerror(errno));
	app.sim.new_ca = rotate_ca;
	app.sim.new_ca_ctx = &app;
	err = start(&app);
	if (!err)
		err = server_run(app.server);
	if (err)
		(void)fprintf(stderr, "kubesim: %s\n", strerror(-err));
	if (!err && app.conf.state)
		err = state_save(&app.sim, app.conf.state);
	text_fmt(&ready, "%s/ready", app.conf.dir);
	(void)unlink(ready.p);
	text_free(&ready);
	server_free(app.server);
	sim_free(&app.sim);
	pki_close(&app.pki);
	free(app.url);
	config_free(&app.conf);
	return err ? 1 : 0;
}
