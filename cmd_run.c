/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_run.c - lbd run, check-config, version.
 */
#include "cmd.h"

#include "config.h"
#include "daemon.h"
#include "file.h"
#include "level.h"
#include "log.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* -- run -- */

static bool take_config(void *at, const char *value)
{
	*(const char **)at = value;
	return *value != '\0' && strcmp(value, "-") != 0;
}

static bool take_log_level(void *at, const char *value)
{
	enum log_level level;

	*(const char **)at = value;
	return level_parse(value, &level) == 0;
}

static const struct cli_type config_file = {
	take_config, "a file: it is read again when it changes"};
static const struct cli_type level_type = {take_log_level, LEVEL_EXPECTED};

#define AT(field) offsetof(struct daemon_options, field)
static const struct cli_option run_options[] = {
	{"config", 'c', CLI_VALUE, AT(config_path), &config_file},
	{"kubeconfig", '\0', CLI_VALUE, AT(where.kubeconfig), NULL},
	{"context", '\0', CLI_VALUE, AT(where.context), NULL},
	{"node-name", '\0', CLI_VALUE, AT(node_name), &cmd_node_name},
	{"control", '\0', CLI_VALUE, AT(control_path), &cmd_control},
	{"log-level", '\0', CLI_VALUE, AT(log_level), &level_type},
	{"dry-run", '\0', CLI_FLAG, AT(dry_run), NULL},
	CLI_END,
};
#undef AT

int cmd_run(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_syntax syntax = {run_options, 0, 0, NULL};
	struct daemon_options o = {.config_path = CMD_CONFIG, .control_path = CMD_CONTROL};

	if (!cmd_parse(c, &syntax, a, &o))
		return a->code;
	log_open();
	return daemon_run(&o);
}

/* -- check-config -- */

enum { MAX_SOURCES = 256 };

/* False, and it was said of each which cannot be read. */
static bool read_sources(char **names, size_t n, struct config_source *src, struct buf *text)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++) {
		int err;

		buf_init(&text[i], CONFIG_MAX_BYTES);
		err = file_read(names[i], &text[i]);
		if (err != 0)
			(void)fprintf(stderr, "%s: cannot be read: %s\n", names[i], strerror(-err));
		ok &= err == 0;
		src[i] = (struct config_source){.name = names[i],
			.text = text[i].p != NULL ? text[i].p : "",
			.len = text[i].len};
	}
	return ok;
}

static int print_canonical(const struct config *conf)
{
	struct buf out;
	int code;

	buf_init(&out, SIZE_MAX / 2);
	(void)!config_print(conf, &out); /* cmd_print() says it */
	code = cmd_print(&out) ? EXIT_FINE : EXIT_FINDING;
	buf_free(&out);
	return code;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void print_verdict(const struct config *c)
{
	(void)printf("configuration is good: %zu pool%s, %zu layer 2 advertisement%s, %zu BGP "
		     "peer%s%s\n",
		c->n_pools, plural(c->n_pools), c->n_l2_advertisements,
		plural(c->n_l2_advertisements), c->n_peers, plural(c->n_peers),
		c->servicelb_active ? "; servicelb mode: Services get the nodes' own addresses"
				    : "");
}

struct check_options {
	bool print, quiet;
};

static int check_sources(char **names, size_t n, const struct check_options *o)
{
	struct config_source src[MAX_SOURCES];
	struct buf text[MAX_SOURCES] = {0};
	struct config_report report;
	struct config *conf = NULL;
	int code = EXIT_FINDING;

	config_report_init(&report);
	if (read_sources(names, n, src, text)) {
		if (config_parse(src, n, &conf, &report) == 0)
			code = o->print ? print_canonical(conf) : EXIT_FINE;
		if (!o->quiet && report.warnings.p != NULL)
			(void)fprintf(stderr, "%s", report.warnings.p);
		if (report.errors.p != NULL)
			(void)fprintf(stderr, "%s", report.errors.p);
		if (code == EXIT_FINE && !o->print && !o->quiet)
			print_verdict(conf);
	}
	config_free(conf);
	config_report_free(&report);
	for (size_t i = 0; i < n; i++)
		buf_free(&text[i]);
	return code;
}

int cmd_check_config(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_option options[] = {
		{"print", 'p', CLI_FLAG, offsetof(struct check_options, print), NULL},
		{"quiet", 'q', CLI_FLAG, offsetof(struct check_options, quiet), NULL},
		CLI_END,
	};
	static const struct cli_syntax syntax = {
		options, 1, INT_MAX, "no file given; - is standard input"};
	struct check_options o = {false, false};

	if (!cmd_parse(c, &syntax, a, &o))
		return a->code;
	if (a->n <= MAX_SOURCES)
		return check_sources(a->v, (size_t)a->n, &o);
	(void)fprintf(stderr, "lbd %s: more than %d files\n", c->name, MAX_SOURCES);
	return cmd_usage_error(c);
}

/* -- version -- */

int cmd_version(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_option options[] = {
		{"output", 'o', CLI_VALUE, 0, &cmd_json}, CLI_END};
	static const struct cli_syntax syntax = {options, 0, 0, NULL};
	bool json = false;

	if (!cmd_parse(c, &syntax, a, &json))
		return a->code;
	(void)printf(json ? "{\"version\":\"%s\"}\n" : "lbd %s\n", LBD_VERSION);
	return EXIT_FINE;
}
