/* SPDX-License-Identifier: Apache-2.0
 *
 * lbd.c - main: which sub-command (cmd.h) it is.
 *
 * Exit codes: 0 fine, 1 finding or refused, 2 usage, 3 daemon or API not reachable.
 */
#include "cmd.h"
#include "config_field.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct cmd commands[] = {
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
	{"log-level",
		"  lbd log-level     [error|warn|info|debug|config] [--for 10m] [--control PATH]\n"
		"                                           the log's level; another, until a restart "
		"or for\n"
		"                                           a time\n",
		cmd_log_level},
	{"doctor",
		"  lbd doctor        [-c FILE] [--root DIR] [-o json] [--kubeconfig F] [--context C]\n"
		"                    [--node-name N] [--control PATH]\n"
		"                                           what of this host or cluster is in the way, "
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
static const struct cmd plugin_commands[] = {
	{"status",
		"  kubectl lbd status  [services|vips|pools|nodes|peers|events] [-o wide|json] "
		"[-w] "
		"[-n NS]\n"
		"                      [--kubeconfig F] [--context C]\n"
		"                                           the cluster as the API knows it\n",
		cmd_plugin_status},
	{"explain",
		"  kubectl lbd explain NAMESPACE/NAME|NAME|ADDRESS [-o json] [--kubeconfig F] "
		"[--context C]\n"
		"                                           who announces it, or why nobody does\n",
		cmd_plugin_explain},
	{"version", "  kubectl lbd version [-o json]\n", cmd_version},
};

static int usage(FILE *f, int code)
{
	(void)fputs(
		"lbd gives Services of type LoadBalancer addresses, and announces them.\n\n", f);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fputs(commands[i].usage, f);
	(void)fputs("\nDefaults: -c " CMD_CONFIG ", --control " CMD_CONTROL
		    ", --log-level from the\n"
		    "configuration.  Exit codes: 0 fine, 1 finding or refused, 2 usage, 3 daemon "
		    "not reachable.\n",
		f);
	return code;
}

static const struct cmd *find_command(const char *name)
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
	struct cmd_args args = {argc - 1, argv + 1, EXIT_FINE};
	const struct cmd *c;

	if (wants_help && argc == 1)
		return usage(stdout, EXIT_FINE);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	c = find_command(name);
	if (c == NULL)
		return unknown_command(name);
	return wants_help ? cmd_help(c) : c->run(c, &args);
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
	struct cmd_args args = {argc - 1, argv + 1, EXIT_FINE};

	for (size_t i = 0; i < ARRAY_LEN(plugin_commands); i++)
		if (strcmp(name, plugin_commands[i].name) == 0)
			return plugin_commands[i].run(&plugin_commands[i], &args);
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
