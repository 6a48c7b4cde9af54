/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd.h - the sub-commands, and what they share: arguments in, exit code out.
 */
#ifndef LBD_CMD_H
#define LBD_CMD_H

#include "base.h"
#include "buf.h"
#include "cli.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { EXIT_FINE, EXIT_FINDING, EXIT_USAGE, EXIT_UNREACHABLE };

#define CMD_CONFIG  "/etc/lbd/lbd.yaml"
#define CMD_CONTROL "/run/lbd/lbd.sock"

enum {
	CMD_QUERY_MS = 10000, /* a daemon's time to answer */
	CMD_ERROR_LEN = 512,
};

struct cmd_args {
	int n; /* behind the command's name; once they are parsed its operands */
	char **v;
	int code; /* once that failed: the exit code */
};

struct cmd {
	const char *name;
	const char *usage; /* lines */
	int (*run)(const struct cmd *c, struct cmd_args *a);
};

int cmd_run(const struct cmd *c, struct cmd_args *a);
int cmd_check_config(const struct cmd *c, struct cmd_args *a);
int cmd_version(const struct cmd *c, struct cmd_args *a);
int cmd_status(const struct cmd *c, struct cmd_args *a);
int cmd_plugin_status(const struct cmd *c, struct cmd_args *a); /* of kubectl-lbd */
int cmd_dump(const struct cmd *c, struct cmd_args *a);
int cmd_explain(const struct cmd *c, struct cmd_args *a);
int cmd_plugin_explain(const struct cmd *c, struct cmd_args *a);
int cmd_hand(const struct cmd *c, struct cmd_args *a); /* drain, undrain, freeze, thaw, move */
int cmd_log_level(const struct cmd *c, struct cmd_args *a);
int cmd_doctor(const struct cmd *c, struct cmd_args *a);
int cmd_kubeconfig(const struct cmd *c, struct cmd_args *a);

/* -- arguments -- */
/* Into options, the command's own struct.  False: the exit code is in a->code, and it was said what
 * is wrong, or help was given. */
bool cmd_parse(const struct cmd *c, const struct cli_syntax *syntax, struct cmd_args *a,
	void *options) MUST_CHECK;
/* Both print; the exit code. */
int cmd_help(const struct cmd *c);
int cmd_usage_error(const struct cmd *c);
/* Says of a value that will not do what was expected.  EXIT_USAGE. */
int cmd_refuse(const struct cmd *c, const char *what, const char *expected, const char *got);

/* --control's and --node-name's, which may be empty, into a const char *; -o's that is json or
 * nothing, into a bool. */
#define CMD_CONTROL_EXPECTED "a path of at most 107 characters"
bool cmd_take_control(void *at, const char *value);
extern const struct cli_type cmd_control, cmd_node_name, cmd_json;

/* -- the daemon's answers -- */
/* A request with only its command in it. */
cJSON *cmd_request(const char *command) MUST_CHECK;
/* The answer (cJSON_Delete()); NULL: *ret_code, and err says what is wrong.  Takes request over. */
cJSON *cmd_query(
	const char *control, cJSON *request, int *ret_code, char *err, size_t err_len) MUST_CHECK;
/* The same, and it was said what is wrong. */
cJSON *cmd_ask(const char *control, cJSON *request, int *ret_code) MUST_CHECK;

/* -- standard output -- */
/* False: it was said that it cannot be printed. */
bool cmd_print(const struct buf *out) MUST_CHECK;
/* Indented, with a line feed; out->bad when out of memory. */
void cmd_add_json(struct buf *out, const cJSON *tree);
/* Returns the exit code. */
int cmd_print_json(const cJSON *tree);

#endif
