/* SPDX-License-Identifier: Apache-2.0
 *
 * lbd.c - main and the sub-commands: arguments in, exit code out.
 *
 * Exit codes: 0 fine, 1 finding or refused, 2 usage, 3 daemon or API not reachable.
 */
#include "base.h"
#include "buf.h"
#include "config.h"
#include "control.h"
#include "daemon.h"
#include "file.h"
#include "json.h"
#include "log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_FINE = 0, EXIT_FINDING = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

enum { QUERY_TIMEOUT_MS = 10000, MAX_SOURCES = 256 };

#define DEFAULT_CONFIG  "/etc/lbd/lbd.yaml"
#define DEFAULT_CONTROL "/run/lbd/lbd.sock"

static const char usage_text[] =
	"lbd gives Services of type LoadBalancer addresses, and announces them.\n"
	"\n"
	"  lbd run           [-c FILE] [--kubeconfig F] [--context C] [--node-name N]\n"
	"                    [--control PATH] [--log-level LEVEL] [--dry-run]\n"
	"  lbd check-config  [-p] [-q] FILE...|-    is a configuration good? -p prints what it "
	"means\n"
	"  lbd dump          [--control PATH]       the running daemon's state as JSON\n"
	"  lbd version       [-o json]\n"
	"\n"
	"Defaults: -c " DEFAULT_CONFIG ", --control " DEFAULT_CONTROL ", --log-level from the\n"
	"configuration.  Exit codes: 0 fine, 1 finding or refused, 2 usage, 3 daemon not "
	"reachable.\n";

static int usage(void)
{
	(void)fputs(usage_text, stderr);
	return EXIT_USAGE;
}

/* -- run -- */

static int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"kubeconfig", required_argument, NULL, 'k'},
		{"context", required_argument, NULL, 'x'},
		{"node-name", required_argument, NULL, 'n'},
		{"control", required_argument, NULL, 's'},
		{"log-level", required_argument, NULL, 'l'},
		{"dry-run", no_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	struct daemon_options o = {.config_path = DEFAULT_CONFIG, .control_path = DEFAULT_CONTROL};
	enum log_level level;
	int c;

	while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o.config_path = optarg;
			break;
		case 'k':
			o.where.kubeconfig = optarg;
			break;
		case 'x':
			o.where.context = optarg;
			break;
		case 'n':
			o.node_name = optarg;
			break;
		case 's':
			o.control_path = optarg;
			break;
		case 'l':
			o.log_level = optarg;
			if (log_level_parse(optarg, &level) != 0) {
				(void)fprintf(stderr,
					"lbd: --log-level: expected error, warn, info or debug "
					"(got %s)\n",
					optarg);
				return EXIT_USAGE;
			}
			break;
		case 'd':
			o.dry_run = true;
			break;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	log_open();
	return daemon_run(&o);
}

/* -- check-config -- */

static int read_sources(char **names, size_t n, struct config_source *src, struct buf *text)
{
	for (size_t i = 0; i < n; i++) {
		int err;

		buf_init(&text[i], CONFIG_MAX_BYTES);
		err = file_read(names[i], &text[i]);
		if (err != 0) {
			(void)fprintf(stderr, "%s: cannot be read: %s\n", names[i], strerror(-err));
			return -EINVAL;
		}
		src[i] = (struct config_source){.name = names[i],
			.text = text[i].p != NULL ? text[i].p : "",
			.len = text[i].len};
	}
	return 0;
}

static int print_canonical(const struct config *conf)
{
	struct buf out;
	int code = EXIT_FINDING;

	buf_init(&out, SIZE_MAX / 2);
	if (config_print(conf, &out) == 0 && fwrite(out.p, 1, out.len, stdout) == out.len &&
		fflush(stdout) == 0)
		code = EXIT_FINE;
	else
		(void)fprintf(stderr, "lbd: cannot print: %s\n", strerror(errno));
	buf_free(&out);
	return code;
}

static int check_sources(char **names, size_t n, bool print, bool quiet)
{
	struct config_source src[MAX_SOURCES];
	struct buf text[MAX_SOURCES] = {0};
	struct config_report report;
	struct config *conf = NULL;
	int code = EXIT_FINDING;

	config_report_init(&report);
	if (read_sources(names, n, src, text) == 0) {
		if (config_parse(src, n, &conf, &report) == 0)
			code = print ? print_canonical(conf) : EXIT_FINE;
		if (!quiet && report.warnings.p != NULL)
			(void)fprintf(stderr, "%s", report.warnings.p);
		if (report.errors.p != NULL)
			(void)fprintf(stderr, "%s", report.errors.p);
		if (code == EXIT_FINE && !print && !quiet)
			(void)printf("configuration is good: %zu pools, %zu layer 2 "
				     "advertisements, %zu BGP peers\n",
				conf->n_pools, conf->n_l2_advertisements, conf->n_peers);
	}
	config_free(conf);
	config_report_free(&report);
	for (size_t i = 0; i < n; i++)
		buf_free(&text[i]);
	return code;
}

static int cmd_check_config(int argc, char **argv)
{
	bool print = false, quiet = false;
	int c;

	while ((c = getopt(argc, argv, "pq")) != -1) {
		if (c == 'p')
			print = true;
		else if (c == 'q')
			quiet = true;
		else
			return usage();
	}
	if (optind == argc || argc - optind > MAX_SOURCES)
		return usage();
	return check_sources(argv + optind, (size_t)(argc - optind), print, quiet);
}

/* -- dump -- */

static int print_answer(const cJSON *answer)
{
	const char *error = json_string(answer, "error");
	char *text;

	if (error != NULL) {
		(void)fprintf(stderr, "lbd: %s\n", error);
		return EXIT_FINDING;
	}
	text = cJSON_Print(answer);
	if (text == NULL || puts(text) < 0 || fflush(stdout) != 0) {
		(void)fprintf(stderr, "lbd: cannot print: %s\n", strerror(errno));
		free(text);
		return EXIT_FINDING;
	}
	free(text);
	return EXIT_FINE;
}

static int cmd_dump(int argc, char **argv)
{
	static const struct option options[] = {
		{"control", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	const char *path = DEFAULT_CONTROL;
	cJSON *request, *answer = NULL;
	int c, err, code;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 's')
			return usage();
		path = optarg;
	}
	if (optind != argc)
		return usage();
	request = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(request, "command", "dump");
	err = control_query(path, request, QUERY_TIMEOUT_MS, &answer);
	cJSON_Delete(request);
	if (err != 0) {
		(void)fprintf(stderr, "lbd: no daemon answers on %s: %s\n", path, strerror(-err));
		return EXIT_UNREACHABLE;
	}
	code = print_answer(answer);
	cJSON_Delete(answer);
	return code;
}

/* -- version -- */

static int cmd_version(int argc, char **argv)
{
	if (argc == 1) {
		(void)printf("lbd %s\n", LBD_VERSION);
		return EXIT_FINE;
	}
	if (argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0) {
		(void)printf("{\"version\":\"%s\"}\n", LBD_VERSION);
		return EXIT_FINE;
	}
	return usage();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} command[] = {
		{"run", cmd_run},
		{"check-config", cmd_check_config},
		{"dump", cmd_dump},
		{"version", cmd_version},
	};

	if (argc < 2)
		return usage();
	for (size_t i = 0; i < ARRAY_LEN(command); i++)
		if (strcmp(argv[1], command[i].name) == 0)
			return command[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
		strcmp(argv[1], "help") == 0) {
		(void)fputs(usage_text, stdout);
		return EXIT_FINE;
	}
	(void)fprintf(stderr, "lbd: unknown command %s\n", argv[1]);
	return usage();
}
