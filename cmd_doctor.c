/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_doctor.c - lbd doctor, kubeconfig: what an installation needs.
 */
#include "cmd.h"

#include "doctor_run.h"
#include "file.h"
#include "kubeconf.h"
#include "kubemake.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* -- doctor -- */

static bool take_folder(void *at, const char *value)
{
	struct stat st;

	*(const char **)at = value;
	return stat(value, &st) == 0 && S_ISDIR(st.st_mode);
}

static const struct cli_type folder = {take_folder, "a folder with proc and sys in it"};

#define AT(field) offsetof(struct doctor_options, field)
static const struct cli_option doctor_options[] = {
	{"config", 'c', CLI_VALUE, AT(config), NULL},
	{"root", '\0', CLI_VALUE, AT(root), &folder},
	{"kubeconfig", '\0', CLI_VALUE, AT(kubeconfig), NULL},
	{"context", '\0', CLI_VALUE, AT(context), NULL},
	{"node-name", '\0', CLI_VALUE, AT(node_name), &cmd_node_name},
	{"control", '\0', CLI_VALUE, AT(control), &cmd_control},
	{"output", 'o', CLI_VALUE, AT(json), &cmd_json},
	CLI_END,
};
#undef AT

int cmd_doctor(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_syntax syntax = {doctor_options, 0, 0, NULL};
	struct doctor_options o = {.control = CMD_CONTROL};

	if (!cmd_parse(c, &syntax, a, &o))
		return a->code;
	o.config_given = o.config != NULL;
	if (!o.config_given)
		o.config = CMD_CONFIG;
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
		(void)fprintf(
			stderr, "lbd kubeconfig: %s: cannot be read: %s\n", path, strerror(-err));
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

#define AT(field) offsetof(struct kubeconfig_options, field)
static const struct cli_option kubeconfig_options[] = {
	{"server", '\0', CLI_VALUE, AT(server), NULL},
	{"token-file", '\0', CLI_VALUE, AT(token_file), NULL},
	{"ca-file", '\0', CLI_VALUE, AT(ca_file), NULL},
	{"output", 'o', CLI_VALUE, AT(out), NULL},
	CLI_END,
};
#undef AT

int cmd_kubeconfig(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_syntax syntax = {kubeconfig_options, 0, 0, NULL};
	struct kubeconfig_options o = {DEFAULT_SERVER, DEFAULT_TOKEN, DEFAULT_CA, NULL};

	return cmd_parse(c, &syntax, a, &o) ? kubeconfig(&o) : a->code;
}
