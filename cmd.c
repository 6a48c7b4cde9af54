/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd.c - what the sub-commands share: arguments, a question to the daemon, what is printed.
 */
#include "cmd.h"

#include "config_field.h"
#include "control.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* -- arguments -- */

int cmd_help(const struct cmd *c)
{
	(void)fputs(c->usage, stdout);
	return EXIT_FINE;
}

int cmd_usage_error(const struct cmd *c)
{
	(void)fprintf(stderr, "usage:\n%s", c->usage);
	return EXIT_USAGE;
}

bool cmd_parse(
	const struct cmd *c, const struct cli_syntax *syntax, struct cmd_args *a, void *options)
{
	enum cli_result r;
	struct buf say;

	buf_init(&say, SIZE_MAX / 2);
	r = cli_parse(c->name, syntax, a->n, a->v, options, &a->n, &say);
	if (say.p != NULL)
		(void)fputs(say.p, stderr);
	buf_free(&say);
	if (r == CLI_WANTS_HELP)
		a->code = cmd_help(c);
	else if (r != CLI_FINE)
		a->code = r == CLI_WRONG ? cmd_usage_error(c) : EXIT_USAGE;
	return r == CLI_FINE;
}

int cmd_refuse(const struct cmd *c, const char *what, const char *expected, const char *got)
{
	struct buf say;

	buf_init(&say, SIZE_MAX / 2);
	cli_refuse(&say, c->name, what, expected, got);
	if (say.p != NULL)
		(void)fputs(say.p, stderr);
	buf_free(&say);
	return EXIT_USAGE;
}

bool cmd_take_control(void *at, const char *value)
{
	enum { MOST = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };
	_Static_assert(MOST == 107, "CMD_CONTROL_EXPECTED says so");

	*(const char **)at = value;
	return *value != '\0' && strlen(value) <= MOST;
}

static bool take_json(void *at, const char *value)
{
	*(bool *)at = true;
	return strcmp(value, "json") == 0;
}

static bool take_node_name(void *at, const char *value)
{
	*(const char **)at = value;
	return *value == '\0' || config_field_text_ok(CONFIG_TEXT_OBJECT_NAME, value);
}

const struct cli_type cmd_control = {cmd_take_control, CMD_CONTROL_EXPECTED};
const struct cli_type cmd_node_name = {
	take_node_name, "a Node's name: small letters, digits, - and ."};
const struct cli_type cmd_json = {take_json, "json"};

/* -- the daemon's answers -- */

cJSON *cmd_request(const char *command)
{
	cJSON *request = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(request, "command", command);
	return request;
}

cJSON *cmd_query(const char *control, cJSON *request, int *ret_code, char *err, size_t err_len)
{
	cJSON *answer = NULL;
	int result = control_query(control, request, CMD_QUERY_MS, &answer);
	const char *error = json_string(answer, "error");

	cJSON_Delete(request);
	if (result == 0 && error == NULL)
		return answer;
	*ret_code = result != 0 ? EXIT_UNREACHABLE : EXIT_FINDING;
	if (result != 0)
		(void)snprintf(
			err, err_len, "no daemon answers on %s: %s", control, strerror(-result));
	else
		(void)snprintf(err, err_len, "%s", error);
	cJSON_Delete(answer);
	return NULL;
}

cJSON *cmd_ask(const char *control, cJSON *request, int *ret_code)
{
	char err[CMD_ERROR_LEN];
	cJSON *answer = cmd_query(control, request, ret_code, err, sizeof err);

	if (answer == NULL)
		(void)fprintf(stderr, "lbd: %s\n", err);
	return answer;
}

/* -- standard output -- */

bool cmd_print(const struct buf *out)
{
	if (!out->bad && fwrite(out->p, 1, out->len, stdout) == out->len && fflush(stdout) == 0)
		return true;
	(void)fprintf(
		stderr, "lbd: cannot print: %s\n", out->bad ? "out of memory" : strerror(errno));
	return false;
}

void cmd_add_json(struct buf *out, const cJSON *tree)
{
	char *text = cJSON_Print(tree);

	if (text != NULL) {
		buf_adds(out, text);
		buf_addc(out, '\n');
	}
	out->bad |= text == NULL;
	cJSON_free(text);
}

int cmd_print_json(const cJSON *tree)
{
	struct buf out;
	int code;

	buf_init(&out, SIZE_MAX / 2);
	cmd_add_json(&out, tree);
	code = cmd_print(&out) ? EXIT_FINE : EXIT_FINDING;
	buf_free(&out);
	return code;
}
