/* SPDX-License-Identifier: Apache-2.0
 *
 * lbd.c - main and the sub-commands: arguments in, exit code out.
 *
 * Exit codes: 0 fine, 1 finding or refused, 2 usage, 3 daemon or API not reachable.
 */
#include "base.h"
#include "buf.h"
#include "config.h"
#include "config_field.h"
#include "config_scalar.h"
#include "control.h"
#include "daemon.h"
#include "doctor_run.h"
#include "explain_text.h"
#include "file.h"
#include "json.h"
#include "kubeconf.h"
#include "kubemake.h"
#include "log.h"
#include "remote.h"
#include "show.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_FINDING = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

enum {
	QUERY_TIMEOUT_MS = 10000,
	MAX_SOURCES = 256,
	HAND_TIMEOUT_MS = 10000,
	HAND_GAP_MS = 50,
	WATCH_GAP_S = 1,
	WATCH_API_GAP_S = 5,
	LOOK_GAP_MS = 100,
	LEAST_WIDTH = 40,
	USUAL_WIDTH = 80
};

#define MAX_CONTROL_PATH (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define DEFAULT_CONFIG   "/etc/lbd/lbd.yaml"
#define DEFAULT_CONTROL  "/run/lbd/lbd.sock"

/* -- usage -- */

struct command {
	const char *name;
	const char *usage; /* lines */
	int (*run)(const struct command *c, int argc, char **argv);
};

/* Values of options that have no short form. */
enum {
	OPT_KUBECONFIG = 256,
	OPT_CONTEXT,
	OPT_NODE_NAME,
	OPT_CONTROL,
	OPT_LOG_LEVEL,
	OPT_DRY_RUN,
	OPT_WITHOUT,
	OPT_TIMEOUT,
	OPT_REASON,
	OPT_ROOT,
	OPT_SERVER,
	OPT_TOKEN_FILE,
	OPT_CA_FILE,
};

static int usage_error(const struct command *c)
{
	(void)fprintf(stderr, "usage:\n%s", c->usage);
	return EXIT_USAGE;
}

static int help(const struct command *c)
{
	(void)fputs(c->usage, stdout);
	return EXIT_FINE;
}

/* Is optopt one of ours?  Then it takes no value, and got one. */
static bool is_known_option(const struct option *longs)
{
	for (; longs->name != NULL; longs++)
		if (longs->val == optopt)
			return true;
	return false;
}

static void report_option(const struct command *c, const struct option *longs, const char *arg)
{
	const char *words[16], *near;
	size_t n = 0;

	for (; longs[n].name != NULL && n + 1 < ARRAY_LEN(words); n++)
		words[n] = longs[n].name;
	words[n] = NULL;
	near = optopt == 0 ? config_nearest(arg, words) : NULL;
	if (optopt != 0 && is_known_option(longs))
		(void)fprintf(stderr, "lbd %s: %s: takes no value\n", c->name, arg);
	else if (optopt != 0)
		(void)fprintf(stderr, "lbd %s: unknown option -%c\n", c->name, optopt);
	else if (near != NULL)
		(void)fprintf(stderr, "lbd %s: unknown option %s, did you mean --%s?\n", c->name,
			arg, near);
	else
		(void)fprintf(stderr, "lbd %s: unknown option %s\n", c->name, arg);
}

/* The next option, -1 at their end; '?' once it was said what is wrong.  shorts begins with ':'. */
static int next_option(const struct command *c, int argc, char **argv, const char *shorts,
	const struct option *longs)
{
	const char *last = argv[argc - 1]; /* getopt_long() may put what is no option behind it */
	int o;

	opterr = 0;
	o = getopt_long(argc, argv, shorts, longs, NULL);
	if (o == ':') /* it is the last; optind is libc's own affair here */
		(void)fprintf(stderr, "lbd %s: %s: needs a value\n", c->name, last);
	else if (o == '?')
		report_option(c, longs, argv[optind - 1]);
	return o == ':' ? '?' : o;
}

/* The value of the option just met. */
static const char *option_value(void)
{
	REQUIRE(optarg != NULL); /* getopt has seen to it: required_argument */
	return optarg;
}

static bool has_more(const struct command *c, int argc, char **argv)
{
	if (optind < argc)
		(void)fprintf(stderr, "lbd %s: unexpected argument %s\n", c->name, argv[optind]);
	return optind < argc;
}

/* Says of a value that will not do what was expected; false, for return refuse(...). */
static bool refuse(
	const struct command *c, const char *option, const char *expected, const char *got)
{
	(void)fprintf(stderr, "lbd %s: %s: expected %s (got %s)\n", c->name, option, expected,
		*got != '\0' ? got : "nothing");
	return false;
}

static bool is_control_path(const struct command *c, const char *path)
{
	char expected[64];

	if (*path != '\0' && strlen(path) <= MAX_CONTROL_PATH)
		return true;
	(void)snprintf(
		expected, sizeof expected, "a path of at most %zu characters", MAX_CONTROL_PATH);
	return refuse(c, "--control", expected, path);
}

/* -- run -- */

static bool run_values_ok(const struct command *c, const struct daemon_options *o)
{
	enum log_level level;

	if (strcmp(o->config_path, "-") == 0 || *o->config_path == '\0')
		return refuse(c, "-c", "a file: it is read again when it changes", o->config_path);
	if (o->node_name != NULL && *o->node_name != '\0' &&
		!config_field_text_ok(CONFIG_TEXT_OBJECT_NAME, o->node_name))
		return refuse(c, "--node-name", "a Node's name: small letters, digits, - and .",
			o->node_name);
	if (o->log_level != NULL && log_level_parse(o->log_level, &level) != 0)
		return refuse(c, "--log-level", "error, warn, info or debug", o->log_level);
	return is_control_path(c, o->control_path);
}

/* Where the option's value goes; NULL when it has none. */
static const char **run_value(struct daemon_options *o, int option)
{
	switch (option) {
	case 'c':
		return &o->config_path;
	case OPT_KUBECONFIG:
		return &o->where.kubeconfig;
	case OPT_CONTEXT:
		return &o->where.context;
	case OPT_NODE_NAME:
		return &o->node_name;
	case OPT_CONTROL:
		return &o->control_path;
	case OPT_LOG_LEVEL:
		return &o->log_level;
	default:
		return NULL;
	}
}

static int cmd_run(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
		{"context", required_argument, NULL, OPT_CONTEXT},
		{"node-name", required_argument, NULL, OPT_NODE_NAME},
		{"control", required_argument, NULL, OPT_CONTROL},
		{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct daemon_options o = {.config_path = DEFAULT_CONFIG, .control_path = DEFAULT_CONTROL};
	int option;

	while ((option = next_option(c, argc, argv, ":c:h", longs)) != -1) {
		const char **value = run_value(&o, option);

		if (option == 'h')
			return help(c);
		if (value != NULL)
			*value = option_value();
		else if (option == OPT_DRY_RUN)
			o.dry_run = true;
		else
			return usage_error(c);
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	if (!run_values_ok(c, &o))
		return EXIT_USAGE;
	log_open();
	return daemon_run(&o);
}

/* -- check-config -- */

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

static int check_sources(char **names, size_t n, bool print, bool quiet)
{
	struct config_source src[MAX_SOURCES];
	struct buf text[MAX_SOURCES] = {0};
	struct config_report report;
	struct config *conf = NULL;
	int code = EXIT_FINDING;

	config_report_init(&report);
	if (read_sources(names, n, src, text)) {
		if (config_parse(src, n, &conf, &report) == 0)
			code = print ? print_canonical(conf) : EXIT_FINE;
		if (!quiet && report.warnings.p != NULL)
			(void)fprintf(stderr, "%s", report.warnings.p);
		if (report.errors.p != NULL)
			(void)fprintf(stderr, "%s", report.errors.p);
		if (code == EXIT_FINE && !print && !quiet)
			print_verdict(conf);
	}
	config_free(conf);
	config_report_free(&report);
	for (size_t i = 0; i < n; i++)
		buf_free(&text[i]);
	return code;
}

static int cmd_check_config(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"print", no_argument, NULL, 'p'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool print = false, quiet = false;
	int option;

	while ((option = next_option(c, argc, argv, ":pqh", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		print |= option == 'p';
		quiet |= option == 'q';
	}
	if (optind < argc && argc - optind <= MAX_SOURCES)
		return check_sources(argv + optind, (size_t)(argc - optind), print, quiet);
	if (optind == argc)
		(void)fprintf(stderr, "lbd %s: no file given; - is standard input\n", c->name);
	else
		(void)fprintf(stderr, "lbd %s: more than %d files\n", c->name, MAX_SOURCES);
	return usage_error(c);
}

/* -- what the daemon answers -- */

static int print_json(const cJSON *answer)
{
	char *text = cJSON_Print(answer);
	bool ok = text != NULL && puts(text) >= 0 && fflush(stdout) == 0;

	if (!ok)
		(void)fprintf(stderr, "lbd: cannot print: %s\n", strerror(errno));
	free(text);
	return ok ? EXIT_FINE : EXIT_FINDING;
}

/* The answer, or NULL and *ret_code: it was said what is wrong.  Takes request over. */
static cJSON *ask(const char *path, cJSON *request, int *ret_code)
{
	cJSON *answer = NULL;
	int err = control_query(path, request, QUERY_TIMEOUT_MS, &answer);
	const char *error = json_string(answer, "error");

	cJSON_Delete(request);
	if (err == 0 && error == NULL)
		return answer;
	*ret_code = err != 0 ? EXIT_UNREACHABLE : EXIT_FINDING;
	if (err != 0)
		(void)fprintf(stderr, "lbd: no daemon answers on %s: %s\n", path, strerror(-err));
	else
		(void)fprintf(stderr, "lbd: %s\n", error);
	cJSON_Delete(answer);
	return NULL;
}

static cJSON *request_new(const char *command)
{
	cJSON *request = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(request, "command", command);
	return request;
}

/* -- dump -- */

static int dump(const char *path)
{
	int code = EXIT_FINE;
	cJSON *answer = ask(path, request_new("dump"), &code);

	if (answer != NULL)
		code = print_json(answer);
	cJSON_Delete(answer);
	return code;
}

static int cmd_dump(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"control", required_argument, NULL, OPT_CONTROL},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = DEFAULT_CONTROL;
	int option;

	while ((option = next_option(c, argc, argv, ":h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		path = option_value();
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	return is_control_path(c, path) ? dump(path) : EXIT_USAGE;
}

/* -- status -- */

struct status_options {
	struct show_options show;
	const char *control;
	struct kube_where where;
	bool by_api; /* the API is asked, by where; else the daemon */
	bool json, watch;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* The terminal's; else $COLUMNS, else 80: what is cut then is whole with -o wide. */
static unsigned terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w = {0};
	unsigned long n = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		n = w.ws_col;
	else if (columns != NULL)
		n = strtoul(columns, NULL, 10);
	return n == 0 || n > USHRT_MAX ? USUAL_WIDTH : n < LEAST_WIDTH ? LEAST_WIDTH : (unsigned)n;
}

/* The dump in the form that was asked for, taken over.  Its exit code; out->bad: out of memory. */
static int status_form(const struct status_options *o, cJSON *dump, struct buf *out)
{
	bool degraded;
	char *text;

	if (!o->json) {
		degraded = show_text(dump, &o->show, out);
		cJSON_Delete(dump);
		return degraded && o->show.what == SHOW_ALL ? EXIT_FINDING : EXIT_FINE;
	}
	dump = show_json(dump, &o->show);
	text = cJSON_Print(dump);
	cJSON_Delete(dump);
	if (text != NULL) {
		buf_adds(out, text);
		buf_addc(out, '\n');
	}
	out->bad |= text == NULL;
	cJSON_free(text);
	return EXIT_FINE;
}

static bool print_text(const struct buf *out)
{
	if (!out->bad && fwrite(out->p, 1, out->len, stdout) == out->len && fflush(stdout) == 0)
		return true;
	(void)fprintf(
		stderr, "lbd: cannot print: %s\n", out->bad ? "out of memory" : strerror(errno));
	return false;
}

/* Lets the daemon ask the wire who has the addresses; what is answered is in the next dump.  A
 * daemon of before does not know how. */
static void look(const char *control)
{
	const struct timespec gap = {.tv_nsec = LOOK_GAP_MS * 1000000L};
	cJSON *request = request_new("look"), *answer = NULL;

	if (control_query(control, request, QUERY_TIMEOUT_MS, &answer) == 0)
		(void)nanosleep(&gap, NULL);
	cJSON_Delete(request);
	cJSON_Delete(answer);
}

/* The state, or NULL and *ret_code; err says what is wrong. */
static cJSON *status_ask(const struct status_options *o, int *ret_code, char *err, size_t err_len)
{
	cJSON *dump = NULL, *request;
	const char *error;
	int result;

	*ret_code = EXIT_UNREACHABLE;
	if (o->by_api) {
		result = remote_dump(&o->where, QUERY_TIMEOUT_MS, &dump, err, err_len);
		return result == 0 ? dump : NULL;
	}
	look(o->control);
	request = request_new("dump");
	result = control_query(o->control, request, QUERY_TIMEOUT_MS, &dump);
	cJSON_Delete(request);
	error = json_string(dump, "error");
	if (result == 0 && error == NULL)
		return dump;
	if (result != 0)
		(void)snprintf(
			err, err_len, "no daemon answers on %s: %s", o->control, strerror(-result));
	else
		(void)snprintf(err, err_len, "%s", error);
	*ret_code = result != 0 ? EXIT_UNREACHABLE : EXIT_FINDING;
	cJSON_Delete(dump);
	return NULL;
}

static int status_once(const struct status_options *o)
{
	char err[512] = "";
	int code;
	cJSON *dump = status_ask(o, &code, err, sizeof err);
	struct buf out;

	if (dump == NULL) {
		(void)fprintf(stderr, "lbd: %s\n", err);
		return code;
	}
	buf_init(&out, CONTROL_MAX_ANSWER);
	code = status_form(o, dump, &out);
	if (!print_text(&out))
		code = EXIT_FINDING;
	buf_free(&out);
	return code;
}

/* The state now, to be printed; key: what tells whether it is news, without ages.  Not 0: an exit
 * code, and out says what is wrong. */
static int status_look(const struct status_options *o, struct buf *key, struct buf *out)
{
	struct show_options timeless = o->show;
	char err[512] = "";
	int code;
	cJSON *dump = status_ask(o, &code, err, sizeof err);

	buf_reset(key);
	buf_reset(out);
	if (dump == NULL) {
		buf_addf(key, "%s\n", err);
		buf_add(out, key->p, key->len);
		return code;
	}
	timeless.timeless = timeless.wide = true;
	(void)show_text(dump, &timeless, key);
	(void)status_form(o, dump, out);
	return EXIT_FINE;
}

/* On a terminal the picture stands and its ages go on; else one block for each change. */
static int status_watch(const struct status_options *o)
{
	const struct sigaction act = {.sa_handler = on_interrupt};
	const struct timespec gap = {.tv_sec = o->by_api ? WATCH_API_GAP_S : WATCH_GAP_S};
	bool draws = isatty(STDOUT_FILENO) == 1, ok = true;
	int code = EXIT_FINE;
	struct buf key, before, out;

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	buf_init(&key, CONTROL_MAX_ANSWER);
	buf_init(&before, CONTROL_MAX_ANSWER);
	buf_init(&out, CONTROL_MAX_ANSWER);
	while (ok && !interrupted) {
		bool first = before.len == 0, news;

		code = status_look(o, &key, &out);
		if (first && code != EXIT_FINE) {
			(void)fprintf(stderr, "lbd: %s", key.p);
			break;
		}
		news = first || key.len != before.len || memcmp(key.p, before.p, key.len) != 0;
		if (draws)
			(void)fputs("\033[H\033[J", stdout);
		else if (news && !first && !o->json)
			(void)fputs("\n", stdout);
		if (news || draws)
			ok = print_text(&out);
		buf_reset(&before);
		buf_add(&before, key.p, key.len);
		if (ok && !interrupted)
			(void)nanosleep(&gap, NULL);
	}
	buf_free(&key);
	buf_free(&before);
	buf_free(&out);
	return !ok ? EXIT_FINDING : interrupted ? EXIT_FINE : code;
}

/* False: it was said what is wrong. */
static bool status_option(const struct command *c, int option, struct status_options *o)
{
	if (option == OPT_CONTROL || option == OPT_KUBECONFIG || option == OPT_CONTEXT)
		o->by_api = option != OPT_CONTROL;
	if (option == OPT_CONTROL)
		o->control = option_value();
	else if (option == OPT_KUBECONFIG)
		o->where.kubeconfig = option_value();
	else if (option == OPT_CONTEXT)
		o->where.context = option_value();
	else if (option == 'n')
		o->show.namespace_ = option_value();
	else if (option == 'w')
		o->watch = true;
	if (option == 'n' && !config_field_text_ok(CONFIG_TEXT_OBJECT_NAME, o->show.namespace_))
		return refuse(c, "-n", "a namespace's name: small letters, digits and -",
			o->show.namespace_);
	if (option != 'o')
		return true;
	o->json = strcmp(option_value(), "json") == 0;
	o->show.wide = strcmp(option_value(), "wide") == 0;
	return o->json || o->show.wide || refuse(c, "-o", "wide or json", option_value());
}

static int status(const struct command *c, int argc, char **argv, struct status_options o)
{
	static const struct option longs[] = {
		{"output", required_argument, NULL, 'o'},
		{"watch", no_argument, NULL, 'w'},
		{"namespace", required_argument, NULL, 'n'},
		{"control", required_argument, NULL, OPT_CONTROL},
		{"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
		{"context", required_argument, NULL, OPT_CONTEXT},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = next_option(c, argc, argv, ":o:wn:h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		if (!status_option(c, option, &o))
			return EXIT_USAGE;
	}
	if (optind < argc && !show_parse(argv[optind++], &o.show.what)) {
		(void)refuse(c, "what", "services, vips, pools, nodes, peers or events",
			argv[optind - 1]);
		return EXIT_USAGE;
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	o.show.width = terminal_width();
	if (!is_control_path(c, o.control))
		return EXIT_USAGE;
	return o.watch ? status_watch(&o) : status_once(&o);
}

static int cmd_status(const struct command *c, int argc, char **argv)
{
	return status(c, argc, argv, (struct status_options){.control = DEFAULT_CONTROL});
}

/* As kubectl finds it: $KUBECONFIG, which is looked at in any case, or this. */
static int cmd_plugin_status(const struct command *c, int argc, char **argv)
{
	struct status_options o = {.control = DEFAULT_CONTROL, .by_api = true};
	const char *home = getenv("HOME");
	char path[4096] = "";

	if (home != NULL && getenv("KUBECONFIG") == NULL)
		(void)snprintf(path, sizeof path, "%s/.kube/config", home);
	if (access(path, R_OK) == 0)
		o.where.kubeconfig = path;
	return status(c, argc, argv, o);
}

/* -- explain -- */

struct explain_options {
	const char *what, *without, *control;
	bool json;
};

static int print_explained(const cJSON *answer, bool json)
{
	struct buf out;
	int code = EXIT_FINDING;

	if (json)
		return print_json(answer);
	buf_init(&out, CONTROL_MAX_ANSWER);
	explain_text(answer, &out);
	if (print_text(&out))
		code = EXIT_FINE;
	buf_free(&out);
	return code;
}

static int explain(const struct explain_options *o)
{
	cJSON *request = request_new("explain"), *answer;
	int code = EXIT_FINE;

	(void)cJSON_AddStringToObject(request, "what", o->what);
	if (o->without != NULL)
		(void)cJSON_AddStringToObject(request, "without", o->without);
	answer = ask(o->control, request, &code);
	if (answer != NULL)
		code = print_explained(answer, o->json);
	if (code == EXIT_FINE && json_bool(answer, "finding", true))
		code = EXIT_FINDING;
	cJSON_Delete(answer);
	return code;
}

/* False: it was said what is wrong. */
static bool explain_option(const struct command *c, int option, struct explain_options *o)
{
	if (option == OPT_CONTROL)
		o->control = option_value();
	else if (option == OPT_WITHOUT)
		o->without = option_value();
	else
		o->json = true;
	if (option == 'o' && strcmp(option_value(), "json") != 0)
		return refuse(c, "-o", "json", option_value());
	if (option == OPT_WITHOUT && !config_field_text_ok(CONFIG_TEXT_OBJECT_NAME, o->without))
		return refuse(c, "--without", "a Node's name: small letters, digits, - and .",
			o->without);
	return true;
}

static int cmd_explain(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"without", required_argument, NULL, OPT_WITHOUT},
		{"output", required_argument, NULL, 'o'},
		{"control", required_argument, NULL, OPT_CONTROL},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct explain_options o = {.control = DEFAULT_CONTROL};
	int option;

	while ((option = next_option(c, argc, argv, ":o:h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		if (!explain_option(c, option, &o))
			return EXIT_USAGE;
	}
	if (optind == argc) {
		(void)fprintf(stderr, "lbd %s: which Service or address?\n", c->name);
		return usage_error(c);
	}
	o.what = argv[optind++];
	if (has_more(c, argc, argv))
		return usage_error(c);
	if (o.what[0] == '\0') {
		(void)refuse(c, "SERVICE", "NAMESPACE/NAME, NAME or an address", o.what);
		return EXIT_USAGE;
	}
	return is_control_path(c, o.control) ? explain(&o) : EXIT_USAGE;
}

/* -- by hand: drain, undrain, freeze, thaw, move -- */

struct hand_options {
	const char *control, *reason, *ip, *node; /* NULL = not given */
	uint64_t timeout_ms;
};

static cJSON *hand_request(const struct command *c, const struct hand_options *o, bool again)
{
	cJSON *request = request_new(c->name);

	if (o->reason != NULL)
		(void)cJSON_AddStringToObject(request, "reason", o->reason);
	if (o->ip != NULL)
		(void)cJSON_AddStringToObject(request, "ip", o->ip);
	if (o->node != NULL)
		(void)cJSON_AddStringToObject(request, "node", o->node);
	(void)cJSON_AddBoolToObject(request, "again", again);
	return request;
}

/* Asks until it is done, or the time is over: what is under way goes on then. */
static int by_hand(const struct command *c, const struct hand_options *o)
{
	const struct timespec gap = {.tv_nsec = HAND_GAP_MS * 1000000L};
	uint64_t waited_ms = 0;
	int code = EXIT_FINE;
	cJSON *answer;

	for (;;) {
		bool done;

		answer = ask(o->control, hand_request(c, o, waited_ms > 0), &code);
		if (answer == NULL)
			return code;
		done = json_bool(answer, "done", true);
		if (done || waited_ms >= o->timeout_ms)
			(void)fprintf(
				done ? stdout : stderr, "%s\n", json_string(answer, "message"));
		cJSON_Delete(answer);
		if (done || waited_ms >= o->timeout_ms)
			return done ? EXIT_FINE : EXIT_FINDING;
		(void)nanosleep(&gap, NULL);
		waited_ms += HAND_GAP_MS;
	}
}

/* False: it was said what is wrong. */
static bool hand_option(const struct command *c, int option, struct hand_options *o)
{
	if (option == OPT_CONTROL)
		o->control = option_value();
	else if (option == OPT_REASON)
		o->reason = option_value();
	else if (config_duration_parse(option_value(), &o->timeout_ms) != 0)
		return refuse(c, "--timeout", "a duration like 10s", option_value());
	return true;
}

static int cmd_hand(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"timeout", required_argument, NULL, OPT_TIMEOUT},
		{"reason", required_argument, NULL, OPT_REASON},
		{"control", required_argument, NULL, OPT_CONTROL},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct hand_options o = {.control = DEFAULT_CONTROL, .timeout_ms = HAND_TIMEOUT_MS};
	bool moves = strcmp(c->name, "move") == 0;
	int option;

	while ((option = next_option(c, argc, argv, ":h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		if (!hand_option(c, option, &o))
			return EXIT_USAGE;
	}
	if (moves && argc - optind < 2) {
		(void)fprintf(stderr, "lbd move: which address, to which node?\n");
		return usage_error(c);
	}
	if (moves) {
		o.ip = argv[optind++];
		o.node = argv[optind++];
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	return is_control_path(c, o.control) ? by_hand(c, &o) : EXIT_USAGE;
}

/* -- doctor -- */

/* Where the option's value goes; NULL for -o. */
static const char **doctor_value(struct doctor_options *o, int option)
{
	switch (option) {
	case 'c':
		o->config_given = true;
		return &o->config;
	case OPT_ROOT:
		return &o->root;
	case OPT_KUBECONFIG:
		return &o->kubeconfig;
	case OPT_CONTEXT:
		return &o->context;
	case OPT_CONTROL:
		return &o->control;
	default:
		return NULL;
	}
}

/* False: it was said what is wrong. */
static bool doctor_option(const struct command *c, int option, struct doctor_options *o)
{
	const char **value = doctor_value(o, option);

	if (value != NULL) {
		*value = option_value();
		return true;
	}
	o->json = strcmp(option_value(), "json") == 0;
	return o->json || refuse(c, "-o", "json", option_value());
}

static bool is_folder(const struct command *c, const char *root)
{
	struct stat st;

	return root == NULL || (stat(root, &st) == 0 && S_ISDIR(st.st_mode)) ||
	       refuse(c, "--root", "a folder with proc and sys in it", root);
}

static int cmd_doctor(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
		{"context", required_argument, NULL, OPT_CONTEXT},
		{"control", required_argument, NULL, OPT_CONTROL},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct doctor_options o = {.config = DEFAULT_CONFIG, .control = DEFAULT_CONTROL};
	int option;

	while ((option = next_option(c, argc, argv, ":c:o:h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		if (!doctor_option(c, option, &o))
			return EXIT_USAGE;
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	if (!is_folder(c, o.root) || !is_control_path(c, o.control))
		return EXIT_USAGE;
	return doctor_run(&o);
}

/* -- kubeconfig -- */

/* On an agent k3s itself has a load balancer to all servers there. */
#define DEFAULT_SERVER "https://127.0.0.1:6444"
#define DEFAULT_TOKEN  "/etc/lbd/token"
#define DEFAULT_CA     "/var/lib/rancher/k3s/agent/server-ca.crt"

struct kubeconfig_options {
	const char *server, *token_file, *ca_file, *out; /* out: NULL = standard output */
};

/* False: it was said what is wrong. */
static bool read_into(const char *path, size_t max_bytes, struct buf *b)
{
	int err;

	buf_init(b, max_bytes);
	err = file_read(path, b);
	if (err != 0)
		(void)fprintf(stderr, "lbd kubeconfig: %s: cannot be read: %s\n", path,
			strerror(-err));
	return err == 0;
}

static int deliver(const char *path, const struct buf *text)
{
	int err = 0;

	if (path != NULL)
		err = file_replace(path, text->p, text->len);
	else if (fwrite(text->p, 1, text->len, stdout) != text->len || fflush(stdout) != 0)
		err = -errno;
	if (err != 0)
		(void)fprintf(stderr, "lbd kubeconfig: %s: cannot be written: %s\n",
			path != NULL ? path : "standard output", strerror(-err));
	return err == 0 ? EXIT_FINE : EXIT_FINDING;
}

static int kubeconfig(const struct kubeconfig_options *o)
{
	struct buf ca = {0}, token = {0}, out;
	int code = EXIT_FINDING;
	char why[256];

	buf_init(&out, KUBECONF_MAX_BYTES);
	if (read_into(o->ca_file, KUBEMAKE_MAX_CA, &ca) &&
		read_into(o->token_file, KUBEMAKE_MAX_TOKEN, &token)) {
		if (kubemake(o->server, &ca, &token, &out, why, sizeof why) == 0)
			code = deliver(o->out, &out);
		else
			(void)fprintf(stderr, "lbd kubeconfig: %s\n", why);
	}
	buf_free(&ca);
	buf_free(&token);
	buf_free(&out);
	return code;
}

static const char **kubeconfig_value(struct kubeconfig_options *o, int option)
{
	switch (option) {
	case OPT_SERVER:
		return &o->server;
	case OPT_TOKEN_FILE:
		return &o->token_file;
	case OPT_CA_FILE:
		return &o->ca_file;
	default:
		return &o->out;
	}
}

static int cmd_kubeconfig(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"server", required_argument, NULL, OPT_SERVER},
		{"token-file", required_argument, NULL, OPT_TOKEN_FILE},
		{"ca-file", required_argument, NULL, OPT_CA_FILE},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct kubeconfig_options o = {DEFAULT_SERVER, DEFAULT_TOKEN, DEFAULT_CA, NULL};
	int option;

	while ((option = next_option(c, argc, argv, ":o:h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		*kubeconfig_value(&o, option) = option_value();
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	return kubeconfig(&o);
}

/* -- version -- */

static int cmd_version(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool json = false;
	int option;

	while ((option = next_option(c, argc, argv, ":o:h", longs)) != -1) {
		if (option == 'h')
			return help(c);
		if (option == '?')
			return usage_error(c);
		json = strcmp(option_value(), "json") == 0;
		if (!json) {
			(void)refuse(c, "-o", "json", option_value());
			return EXIT_USAGE;
		}
	}
	if (has_more(c, argc, argv))
		return usage_error(c);
	(void)printf(json ? "{\"version\":\"%s\"}\n" : "lbd %s\n", LBD_VERSION);
	return EXIT_FINE;
}

/* -- which command -- */

static const struct command commands[] = {
	{"run",
		"  lbd run           [-c FILE] [--kubeconfig F] [--context C] [--node-name N]\n"
		"                    [--control PATH] [--log-level LEVEL] [--dry-run]\n",
		cmd_run},
	{"check-config",
		"  lbd check-config  [-p] [-q] FILE...|-    is a configuration good? -p prints "
		"what it means,\n"
		"                                           -q no warnings\n",
		cmd_check_config},
	{"status",
		"  lbd status        [services|vips|pools|nodes|peers|events] [-o wide|json] [-w] "
		"[-n NS]\n"
		"                    [--control PATH | --kubeconfig F [--context C]]\n"
		"                                           what is degraded, and the whole "
		"cluster as "
		"tables;\n"
		"                                           -w watches, -n one namespace's\n",
		cmd_status},
	{"dump", "  lbd dump          [--control PATH]       the running daemon's state as JSON\n",
		cmd_dump},
	{"explain",
		"  lbd explain       NAMESPACE/NAME|NAME|ADDRESS [--without NODE] [-o json] "
		"[--control "
		"PATH]\n"
		"                                           why that address or none, who answers "
		"for it\n",
		cmd_explain},
	{"drain",
		"  lbd drain         [--timeout 10s] [--reason TEXT] [--control PATH]\n"
		"                                           hand this node's addresses to others, "
		"take "
		"none\n",
		cmd_hand},
	{"undrain", "  lbd undrain       [--control PATH]       take addresses again\n", cmd_hand},
	{"move",
		"  lbd move          ADDRESS NODE [--timeout 10s] [--control PATH]\n"
		"                                           hand one that this node announces to "
		"NODE\n",
		cmd_hand},
	{"freeze",
		"  lbd freeze        [--control PATH]       keep what is announced, take nothing "
		"more\n",
		cmd_hand},
	{"thaw", "  lbd thaw          [--control PATH]       end of that\n", cmd_hand},
	{"doctor",
		"  lbd doctor        [-c FILE] [--root DIR] [-o json] [--kubeconfig F] [--context C]\n"
		"                    [--control PATH]       what of this host or cluster is in the way, "
		"and\n"
		"                                           what to do; before and after an "
		"installation\n",
		cmd_doctor},
	{"kubeconfig",
		"  lbd kubeconfig    [--server URL] [--token-file F] [--ca-file F] [-o FILE]\n"
		"                                           a way to the API for lbd on a k3s agent\n",
		cmd_kubeconfig},
	{"version", "  lbd version       [-o json]\n", cmd_version},
};

/* As kubectl-lbd: there is no daemon here, but an API server. */
static const struct command plugin_commands[] = {
	{"status",
		"  kubectl lbd status  [services|vips|pools|nodes|peers|events] [-o wide|json] "
		"[-w] "
		"[-n NS]\n"
		"                      [--kubeconfig F] [--context C]\n"
		"                                           the cluster as the API knows it\n",
		cmd_plugin_status},
	{"version", "  kubectl lbd version [-o json]\n", cmd_version},
};

static int usage(FILE *f, int code)
{
	(void)fputs(
		"lbd gives Services of type LoadBalancer addresses, and announces them.\n\n", f);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fputs(commands[i].usage, f);
	(void)fputs("\nDefaults: -c " DEFAULT_CONFIG ", --control " DEFAULT_CONTROL
		    ", --log-level from the\n"
		    "configuration.  Exit codes: 0 fine, 1 finding or refused, 2 usage, 3 daemon "
		    "not reachable.\n",
		f);
	return code;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *words[ARRAY_LEN(commands) + 1] = {NULL}, *near;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		words[i] = commands[i].name;
	near = config_nearest(name, words);
	if (near != NULL)
		(void)fprintf(stderr, "lbd: unknown command %s, did you mean %s?\n\n", name, near);
	else
		(void)fprintf(stderr, "lbd: unknown command %s\n\n", name);
	return usage(stderr, EXIT_USAGE);
}

static int run_command(int argc, char **argv)
{
	bool wants_help = strcmp(argv[0], "help") == 0 || strcmp(argv[0], "-h") == 0 ||
			  strcmp(argv[0], "--help") == 0;
	const char *name = wants_help && argc > 1 ? argv[1] : argv[0];
	const struct command *c;

	if (wants_help && argc == 1)
		return usage(stdout, EXIT_FINE);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	c = find_command(name);
	if (c == NULL)
		return unknown_command(name);
	return wants_help ? help(c) : c->run(c, argc, argv);
}

static int plugin_usage(FILE *f, int code)
{
	for (size_t i = 0; i < ARRAY_LEN(plugin_commands); i++)
		(void)fputs(plugin_commands[i].usage, f);
	(void)fputs("\nAll else needs a node's daemon: lbd there.\n", f);
	return code;
}

static int run_plugin(int argc, char **argv)
{
	const char *name = argc > 0 ? argv[0] : "";

	for (size_t i = 0; i < ARRAY_LEN(plugin_commands); i++)
		if (strcmp(name, plugin_commands[i].name) == 0)
			return plugin_commands[i].run(&plugin_commands[i], argc, argv);
	if (strcmp(name, "help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
		return plugin_usage(stdout, EXIT_FINE);
	if (find_command(name) != NULL)
		(void)fprintf(stderr,
			"kubectl lbd: %s asks a node's daemon by its socket, which the API does "
			"not "
			"reach: run `lbd %s` on a node\n",
			name, name);
	else if (*name != '\0')
		(void)fprintf(stderr, "kubectl lbd: unknown command %s\n", name);
	return find_command(name) != NULL ? EXIT_USAGE : plugin_usage(stderr, EXIT_USAGE);
}

static bool is_plugin(const char *program)
{
	const char *slash = program != NULL ? strrchr(program, '/') : NULL;

	return program != NULL && strcmp(slash != NULL ? slash + 1 : program, "kubectl-lbd") == 0;
}

int main(int argc, char **argv)
{
	int code = argc > 0 && is_plugin(argv[0]) ? run_plugin(argc - 1, argv + 1)
		   : argc < 2                     ? usage(stderr, EXIT_USAGE)
						  : run_command(argc - 1, argv + 1);

	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_FINE) {
		(void)fprintf(stderr, "lbd: cannot print: %s\n", strerror(errno));
		code = EXIT_FINDING;
	}
	return code;
}
