/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_state.c - lbd dump, status, explain; kubectl lbd status, explain: what there is, shown.
 *
 * In:   a daemon's answer, or the API's by remote.c.  Out: tables, lines, JSON.
 */
#include "cmd.h"

#include "apiexplain.h"
#include "config_field.h"
#include "control.h"
#include "explain_text.h"
#include "json.h"
#include "remote.h"
#include "show.h"

#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_GAP_S = 1, WATCH_API_GAP_S = 5, LOOK_GAP_MS = 100 };
enum { LEAST_WIDTH = 40, USUAL_WIDTH = 80 };

/* -- dump -- */

int cmd_dump(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_option options[] = {
		{"control", '\0', CLI_VALUE, 0, &cmd_control}, CLI_END};
	static const struct cli_syntax syntax = {options, 0, 0, NULL};
	const char *control = CMD_CONTROL;
	cJSON *answer;

	if (!cmd_parse(c, &syntax, a, &control))
		return a->code;
	answer = cmd_ask(control, cmd_request("dump"), &a->code);
	if (answer != NULL)
		a->code = cmd_print_json(answer);
	cJSON_Delete(answer);
	return a->code;
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
	int code = EXIT_FINE;

	if (o->json) {
		dump = show_json(dump, &o->show);
		cmd_add_json(out, dump);
	} else if (show_text(dump, &o->show, out) && o->show.what == SHOW_ALL) {
		code = EXIT_FINDING;
	}
	cJSON_Delete(dump);
	return code;
}

/* Lets the daemon ask the wire who has the addresses; what is answered is in the next dump.  A
 * daemon of before does not know how. */
static void look(const char *control)
{
	const struct timespec gap = {.tv_nsec = LOOK_GAP_MS * 1000000L};
	cJSON *request = cmd_request("look"), *answer = NULL;

	if (control_query(control, request, CMD_QUERY_MS, &answer) == 0)
		(void)nanosleep(&gap, NULL);
	cJSON_Delete(request);
	cJSON_Delete(answer);
}

/* The state, or NULL and *ret_code; err says what is wrong. */
static cJSON *status_ask(const struct status_options *o, int *ret_code, char *err, size_t err_len)
{
	cJSON *dump = NULL;

	if (!o->by_api) {
		look(o->control);
		return cmd_query(o->control, cmd_request("dump"), ret_code, err, err_len);
	}
	*ret_code = EXIT_UNREACHABLE;
	return remote_dump(&o->where, CMD_QUERY_MS, &dump, err, err_len) == 0 ? dump : NULL;
}

static int status_once(const struct status_options *o)
{
	char err[CMD_ERROR_LEN] = "";
	int code;
	cJSON *dump = status_ask(o, &code, err, sizeof err);
	struct buf out;

	if (dump == NULL) {
		(void)fprintf(stderr, "lbd: %s\n", err);
		return code;
	}
	buf_init(&out, SIZE_MAX / 2);
	code = status_form(o, dump, &out);
	if (!cmd_print(&out))
		code = EXIT_FINDING;
	buf_free(&out);
	return code;
}

/* The state now, to be printed; key: what tells whether it is news, without ages.  Not 0: an exit
 * code, and out says what is wrong. */
static int status_look(const struct status_options *o, struct buf *key, struct buf *out)
{
	struct show_options timeless = o->show;
	char err[CMD_ERROR_LEN] = "";
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
	buf_init(&key, SIZE_MAX / 2);
	buf_init(&before, SIZE_MAX / 2);
	buf_init(&out, SIZE_MAX / 2);
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
			ok = cmd_print(&out);
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

/* Of the ways to ask the last one counts. */
static bool take_daemon(void *at, const char *value)
{
	struct status_options *o = at;

	o->by_api = false;
	return cmd_take_control(&o->control, value);
}

static bool take_kubeconfig(void *at, const char *value)
{
	struct status_options *o = at;

	o->by_api = true;
	o->where.kubeconfig = value;
	return true;
}

static bool take_context(void *at, const char *value)
{
	struct status_options *o = at;

	o->by_api = true;
	o->where.context = value;
	return true;
}

static bool take_form(void *at, const char *value)
{
	struct status_options *o = at;

	o->json = strcmp(value, "json") == 0;
	o->show.wide = strcmp(value, "wide") == 0;
	return o->json || o->show.wide;
}

static bool take_name(void *at, const char *value)
{
	*(const char **)at = value;
	return config_field_text_ok(CONFIG_TEXT_OBJECT_NAME, value);
}

static const struct cli_type form = {take_form, "wide or json"};
static const struct cli_type namespace_name = {
	take_name, "a namespace's name: small letters, digits and -"};
static const struct cli_type daemon_way = {take_daemon, CMD_CONTROL_EXPECTED};
static const struct cli_type kubeconfig_way = {take_kubeconfig, ""};
static const struct cli_type context_way = {take_context, ""};

#define AT(field) offsetof(struct status_options, field)
static const struct cli_option status_options[] = {
	{"output", 'o', CLI_VALUE, 0, &form},
	{"watch", 'w', CLI_FLAG, AT(watch), NULL},
	{"namespace", 'n', CLI_VALUE, AT(show.namespace_), &namespace_name},
	{"control", '\0', CLI_VALUE, 0, &daemon_way},
	{"kubeconfig", '\0', CLI_VALUE, 0, &kubeconfig_way},
	{"context", '\0', CLI_VALUE, 0, &context_way},
	CLI_END,
};
#undef AT

static int status(const struct cmd *c, struct cmd_args *a, struct status_options o)
{
	static const struct cli_syntax syntax = {status_options, 0, 1, NULL};

	if (!cmd_parse(c, &syntax, a, &o))
		return a->code;
	if (a->n > 0 && !show_parse(a->v[0], &o.show.what))
		return cmd_refuse(
			c, "what", "services, vips, pools, nodes, peers or events", a->v[0]);
	o.show.width = terminal_width();
	return o.watch ? status_watch(&o) : status_once(&o);
}

int cmd_status(const struct cmd *c, struct cmd_args *a)
{
	return status(c, a, (struct status_options){.control = CMD_CONTROL});
}

/* As kubectl finds it: $KUBECONFIG, which is looked at in any case, or this; NULL: neither. */
static const char *kubectl_config(char *path, size_t len)
{
	const char *home = getenv("HOME");

	path[0] = '\0';
	if (home != NULL && getenv("KUBECONFIG") == NULL)
		(void)snprintf(path, len, "%s/.kube/config", home);
	return access(path, R_OK) == 0 ? path : NULL;
}

int cmd_plugin_status(const struct cmd *c, struct cmd_args *a)
{
	struct status_options o = {.control = CMD_CONTROL, .by_api = true};
	char path[4096];

	o.where.kubeconfig = kubectl_config(path, sizeof path);
	return status(c, a, o);
}

/* -- explain -- */

struct explain_options {
	const char *what, *without, *control;
	struct kube_where where; /* of kubectl lbd */
	bool json;
};

static int print_explained(const cJSON *answer, bool json)
{
	struct buf out;
	int code = EXIT_FINDING;

	if (json)
		return cmd_print_json(answer);
	buf_init(&out, CONTROL_MAX_ANSWER);
	explain_text(answer, &out);
	if (cmd_print(&out))
		code = EXIT_FINE;
	buf_free(&out);
	return code;
}

/* Taken over; NULL: code. */
static int explained(cJSON *answer, bool json, int code)
{
	if (answer != NULL)
		code = print_explained(answer, json);
	if (code == EXIT_FINE && json_bool(answer, "finding", true))
		code = EXIT_FINDING;
	cJSON_Delete(answer);
	return code;
}

static int explain(const struct explain_options *o)
{
	cJSON *request = cmd_request("explain"), *answer;
	int code = EXIT_FINE;

	(void)cJSON_AddStringToObject(request, "what", o->what);
	if (o->without != NULL)
		(void)cJSON_AddStringToObject(request, "without", o->without);
	answer = cmd_ask(o->control, request, &code);
	return explained(answer, o->json, code);
}

static int explain_by_api(const struct explain_options *o)
{
	char err[CMD_ERROR_LEN] = "";
	cJSON *dump = NULL, *answer;
	const char *error;

	if (remote_dump(&o->where, CMD_QUERY_MS, &dump, err, sizeof err) != 0) {
		(void)fprintf(stderr, "lbd: %s\n", err);
		return EXIT_UNREACHABLE;
	}
	answer = apiexplain(dump, o->what);
	cJSON_Delete(dump);
	error = answer != NULL ? json_string(answer, "error") : "out of memory";
	if (error == NULL)
		return explained(answer, o->json, EXIT_FINE);
	(void)fprintf(stderr, "lbd: %s\n", error);
	cJSON_Delete(answer);
	return EXIT_FINDING;
}

static const struct cli_type node_name = {
	take_name, "a Node's name: small letters, digits, - and ."};

#define AT(field) offsetof(struct explain_options, field)
static const struct cli_option explain_options[] = {
	{"without", '\0', CLI_VALUE, AT(without), &node_name},
	{"output", 'o', CLI_VALUE, AT(json), &cmd_json},
	{"control", '\0', CLI_VALUE, AT(control), &cmd_control},
	CLI_END,
};
static const struct cli_option plugin_explain_options[] = {
	{"output", 'o', CLI_VALUE, AT(json), &cmd_json},
	{"kubeconfig", '\0', CLI_VALUE, AT(where.kubeconfig), NULL},
	{"context", '\0', CLI_VALUE, AT(where.context), NULL},
	CLI_END,
};
#undef AT

static bool parse_explain(const struct cmd *c, const struct cli_option *options, struct cmd_args *a,
	struct explain_options *o)
{
	const struct cli_syntax syntax = {options, 1, 1, "which Service or address?"};

	if (!cmd_parse(c, &syntax, a, o))
		return false;
	o->what = a->v[0];
	if (o->what[0] == '\0')
		a->code = cmd_refuse(
			c, "SERVICE", "NAMESPACE/NAME, NAME or an address", o->what);
	return o->what[0] != '\0';
}

int cmd_explain(const struct cmd *c, struct cmd_args *a)
{
	struct explain_options o = {.control = CMD_CONTROL};

	return parse_explain(c, explain_options, a, &o) ? explain(&o) : a->code;
}

int cmd_plugin_explain(const struct cmd *c, struct cmd_args *a)
{
	struct explain_options o = {.control = CMD_CONTROL};
	char path[4096];

	o.where.kubeconfig = kubectl_config(path, sizeof path);
	return parse_explain(c, plugin_explain_options, a, &o) ? explain_by_api(&o) : a->code;
}
