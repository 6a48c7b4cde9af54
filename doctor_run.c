/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_run.c - lbd doctor: reads all there is to know, examines it, prints what was found.
 *
 * In:   options; the configuration's file; doctor_host, doctor_kube, doctor_wire.  Out: standard
 *       output, an exit code.
 */
#include "doctor_run.h"

#include "buf.h"
#include "config.h"
#include "doctor.h"
#include "doctor_host.h"
#include "doctor_kube.h"
#include "doctor_wire.h"
#include "file.h"
#include "log.h"
#include "nodename.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OUTPUT = 1024 * 1024 };

struct work {
	struct doctor_facts facts;
	struct doctor_report report;
	struct config_report errors;
	struct config *conf; /* owned */
};

/* The first line of errors. */
static void take_error(struct work *w, const char *errors)
{
	(void)snprintf(w->facts.config_error, sizeof w->facts.config_error, "%.*s",
		(int)strcspn(errors, "\n"), errors);
}

static void read_config(const struct doctor_options *o, struct work *w)
{
	struct config_source src = {.name = o->config};
	struct buf text;
	int err;

	buf_init(&text, CONFIG_MAX_BYTES);
	err = file_read(o->config, &text);
	src.text = text.p != NULL ? text.p : "";
	src.len = text.len;
	if (err != -ENOENT || o->config_given)
		w->facts.config_path = o->config;
	if (err != 0)
		(void)snprintf(w->facts.config_error, sizeof w->facts.config_error,
			"%s: cannot be read: %s", o->config, strerror(-err));
	else if (config_parse(&src, 1, &w->conf, &w->errors) != 0)
		take_error(w, w->errors.errors.p != NULL ? w->errors.errors.p : "out of memory");
	w->facts.conf = w->conf;
	buf_free(&text);
}

/* As the daemon does it, or did it: its unit may name an option or a variable. */
static void choose_node(const struct doctor_options *o, struct work *w)
{
	struct doctor_facts *f = &w->facts;
	const char *configured = w->conf != NULL ? w->conf->node_name : NULL;

	if (!nodename_choose(o->node_name, configured, f->node) && o->root != NULL)
		f->node[0] = '\0';
	if (o->node_name == NULL && f->wire.node[0] != '\0')
		(void)snprintf(f->node, sizeof f->node, "%s", f->wire.node);
}

static int print(const struct doctor_options *o, const struct work *w)
{
	struct buf out;
	bool ok;

	buf_init(&out, MAX_OUTPUT);
	if (o->json)
		doctor_json(&w->report, &out);
	else
		doctor_text(&w->report, &out);
	ok = !out.bad && fwrite(out.p, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
	if (!ok)
		(void)fprintf(stderr, "lbd: cannot print: %s\n", strerror(errno));
	buf_free(&out);
	return !ok || doctor_has_finding(&w->report) ? 1 : 0;
}

int doctor_run(const struct doctor_options *o)
{
	struct work *w = calloc(1, sizeof *w);
	int code = 1;

	if (w == NULL) {
		(void)fprintf(stderr, "lbd doctor: out of memory\n");
		return code;
	}
	log_set_level(LOG_ERROR);       /* what goes wrong is a finding, not a line of the log */
	(void)signal(SIGPIPE, SIG_IGN); /* http.h */
	config_report_init(&w->errors);
	read_config(o, w);
	doctor_host_read(o->root, &w->facts);
	if (o->root == NULL)
		doctor_wire_read(o->control, &w->facts);
	else
		w->facts.wire.why = "--root is for another tree's files";
	choose_node(o, w);
	doctor_kube_read(o->kubeconfig, o->context, &w->facts);
	doctor_examine(&w->facts, &w->report);
	code = print(o, w);
	config_free(w->conf);
	config_report_free(&w->errors);
	free(w);
	return code;
}
