/* SPDX-License-Identifier: Apache-2.0
 *
 * tlsget.c - one GET by http.c and tls.c, for tests/lab/test_tls.py.
 *
 *   tlsget [-c cert -k key] [-t connect-ms] [-T answer-ms] [-n times] [-a ms] host port tls-name
 * ca-file [path]
 *
 * Prints "status body-length tls-version", and " resumed" when the TLS session was, and exits 0; or
 * prints the error and exits 1; 2 for a wrong use.  -n: so often, one after the other, each on a
 * connection of its own; 0 if the last went well.  -a: the clock goes forward by so much each time.
 */
#include "http.h"

#include <errno.h>
#include <getopt.h>
#include <mbedtls/version.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_FILE = 1024 * 1024 };

struct get {
	struct http *h;
	struct http_call *call;
	unsigned status;
	size_t length;
	char version[16];
	bool resumed, failed;
};

static uint64_t ahead_ms;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + ahead_ms;
}

static void on_head(void *ctx, const struct http1_head *head)
{
	struct get *g = ctx;

	g->status = head->status;
	(void)snprintf(g->version, sizeof g->version, "%s", http_tls_version(g->call));
	g->resumed = http_tls_resumed(g->call);
}

static void on_body(void *ctx, const char *p, size_t n)
{
	struct get *g = ctx;

	(void)p;
	g->length += n;
}

static void on_closed(void *ctx)
{
	(void)ctx;
}

static void on_done(void *ctx, int result, bool sent, const char *err)
{
	struct get *g = ctx;

	(void)sent;
	g->failed = result != 0;
	if (g->failed)
		printf("%s\n", err);
	else
		printf("%u %zu %s%s\n", g->status, g->length, g->version,
			g->resumed ? " resumed" : "");
	(void)fflush(stdout);
	http_close(g->h, on_closed, g);
}

/* The whole file as text, NULL when it cannot be read; free() it. */
static char *read_file(const char *name)
{
	FILE *f = fopen(name, "re");
	char *text = f != NULL ? calloc(1, MAX_FILE + 1) : NULL;

	if (text != NULL && fread(text, 1, MAX_FILE, f) == 0)
		text[0] = '\0';
	if (f != NULL)
		(void)fclose(f);
	return text;
}

struct options {
	const char *cert, *key, *ca;
	struct http_conf http;
	uint64_t answer_ms, times, ahead_ms;
	const char *path;
};

static bool parse_options(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){.answer_ms = 5000, .times = 1, .path = "/"};
	while ((c = getopt(argc, argv, "c:k:t:T:n:a:V")) != -1) {
		switch (c) {
		case 'c':
			o->cert = optarg;
			break;
		case 'k':
			o->key = optarg;
			break;
		case 't':
			o->http.connect_timeout_ms = strtoull(optarg, NULL, 10);
			break;
		case 'T':
			o->answer_ms = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			o->times = strtoull(optarg, NULL, 10);
			break;
		case 'a':
			o->ahead_ms = strtoull(optarg, NULL, 10);
			break;
		case 'V':
			printf("mbedTLS %u.%u libuv %s\n", (unsigned)(MBEDTLS_VERSION_NUMBER >> 24),
				(unsigned)(MBEDTLS_VERSION_NUMBER >> 16 & 0xff),
				uv_version_string());
			exit(0);
		default:
			return false;
		}
	}
	if (argc - optind < 4 || argc - optind > 5)
		return false;
	o->http.host = argv[optind];
	o->http.port = (uint16_t)strtoul(argv[optind + 1], NULL, 10);
	o->http.tls_name = argv[optind + 2];
	o->ca = argv[optind + 3];
	if (argc - optind == 5)
		o->path = argv[optind + 4];
	return true;
}

static int load_tls(struct options *o)
{
	char *ca = read_file(o->ca);
	char *cert = o->cert != NULL ? read_file(o->cert) : NULL;
	char *key = o->key != NULL ? read_file(o->key) : NULL;
	const struct tls_files files = {.ca = ca, .cert = cert, .key = key};
	char err[256];
	int e = tls_conf_new(&files, &o->http.tls, err, sizeof err);

	if (e < 0)
		printf("%s\n", err);
	free(ca);
	free(cert);
	free(key);
	return e;
}

static bool get(const struct options *o)
{
	static const struct http_ops ops = {on_head, on_body, on_done};
	const struct http_request req = {
		.r = {.method = "GET", .host = o->http.tls_name, .path = o->path},
		.not_after_ms = TIME_NEVER,
		.timeout_ms = o->answer_ms,
	};
	struct get g = {.failed = true};
	uv_loop_t loop;

	if (uv_loop_init(&loop) != 0)
		return false;
	g.h = http_new(&loop, &o->http, NULL);
	if (g.h == NULL || http_start(g.h, &req, &ops, &g, &g.call) != 0) {
		printf("cannot start\n");
		return false;
	}
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop) != 0) {
		printf("handles left open\n");
		return false;
	}
	return !g.failed;
}

int main(int argc, char **argv)
{
	struct options o;
	bool ok = false;

	signal(SIGPIPE, SIG_IGN);
	if (!parse_options(argc, argv, &o)) {
		printf("usage: tlsget [-c cert -k key] [-t connect-ms] [-T answer-ms] [-n times] "
		       "[-a ms] "
		       "host port tls-name ca-file [path]\n");
		return 2;
	}
	o.http.now_ms = now_ms;
	if (load_tls(&o) < 0)
		return 1;
	for (uint64_t i = 0; i < o.times; i++) {
		ok = get(&o);
		ahead_ms += o.ahead_ms;
	}
	tls_conf_unref(o.http.tls);
	return ok ? 0 : 1;
}
