/* SPDX-License-Identifier: Apache-2.0
 *
 * reload.c - the configuration file: read at start, on SIGHUP and when it changes.  A bad one
 * leaves the one in force as it is.
 *
 * In:   the file's text.  Out: every unit that works from a configuration.
 */
#include "daemon.h"
#include "log.h"
#include "nodename.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void reload_log_lines(enum log_level level, const struct buf *lines)
{
	const char *p = lines->p;

	while (p != NULL && *p != '\0') {
		const char *end = strchr(p, '\n');
		char line[1024];

		if (end == NULL)
			end = p + strlen(p);
		(void)snprintf(line, sizeof line, "%.*s", (int)(end - p), p);
		log_write(level, "config", line, NULL);
		p = *end != '\0' ? end + 1 : end;
	}
}

/* A pipe would be waited for: the loop must not.  0 or -errno. */
static int read_text(const char *path, struct buf *text)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return -errno;
	return S_ISFIFO(st.st_mode) ? -ESPIPE : file_read(path, text);
}

/* Says once that the file cannot be read, and that it can be again. */
static int note_readable(struct daemon *d, int err)
{
	const char *why = err == -ESPIPE ? "a pipe, not a file" : strerror(-err);
	int before = d->conf_err;

	d->conf_err = err;
	if (err == before)
		return err != 0 ? -EALREADY : 0;
	if (err != 0)
		log_error(
			"config", "cannot be read", "file", d->opt->config_path, "err", why, NULL);
	else
		log_info("config", "can be read again", "file", d->opt->config_path, NULL);
	return err;
}

static bool is_known(const struct daemon *d, const struct buf *text)
{
	return d->conf_text != NULL && d->conf_len == text->len &&
	       (text->len == 0 || memcmp(d->conf_text, text->p, text->len) == 0);
}

/* Files are emptied before they are written, and disks fill up: on reload that is no wish for no
 * pools. */
static int check_emptied(const struct daemon *d, const struct config *conf)
{
	if (d->conf == NULL || d->conf->n_documents == 0 || conf->n_documents > 0)
		return 0;
	log_error("config", "has become empty; to serve nothing, leave a document in it", "file",
		d->opt->config_path, NULL);
	return -EINVAL;
}

static int parse(const struct daemon *d, const struct buf *text, struct config **ret_conf)
{
	struct config_source src = {.name = d->opt->config_path,
		.text = text->p != NULL ? text->p : "",
		.len = text->len};
	struct config_report report;
	struct config *conf = NULL;
	int err;

	config_report_init(&report);
	err = config_parse(&src, 1, &conf, &report);
	reload_log_lines(LOG_ERROR, &report.errors);
	reload_log_lines(LOG_WARN, &report.warnings);
	config_report_free(&report);
	if (err == 0)
		err = check_emptied(d, conf);
	if (err == 0)
		*ret_conf = conf;
	else
		config_free(conf);
	return err;
}

/* Reads and parses. 0 with *ret_conf; -EALREADY: the text, or that it cannot be read, is what it
 * was; else the errors were logged. */
int reload_read(struct daemon *d, struct config **ret_conf)
{
	struct buf text;
	int err;

	buf_init(&text, CONFIG_MAX_BYTES);
	err = note_readable(d, read_text(d->opt->config_path, &text));
	if (err == 0 && is_known(d, &text))
		err = -EALREADY;
	if (err != 0) {
		buf_free(&text);
		return err;
	}
	err = parse(d, &text, ret_conf);
	d->conf_rejected = err != 0;
	/* A bad text is remembered too, so that it is reported once and not at each look. */
	free(d->conf_text);
	d->conf_len = text.len;
	d->conf_text = buf_take(&text);
	return err;
}

enum log_level reload_level(const struct daemon *d)
{
	enum log_level level = LOG_INFO;

	(void)!level_parse(
		d->opt->log_level != NULL ? d->opt->log_level : d->conf->log_level, &level);
	return level;
}

void reload_log_level(const struct daemon *d)
{
	log_set_level(d->level.on ? d->level.level : reload_level(d));
}

struct leader_conf reload_leader_conf(const struct daemon *d, const char *identity)
{
	return (struct leader_conf){
		.identity = identity,
		.duration_ms = d->conf->elections.leader_duration_ms,
		.renew_deadline_ms = d->conf->elections.leader_renew_deadline_ms,
		.retry_period_ms = d->conf->elections.leader_retry_period_ms,
	};
}

bool reload_pools_wait(const struct daemon *d)
{
	return d->conf->servicelb_active && d->conf->servicelb == CONFIG_SERVICELB_AUTO &&
	       d->conf->n_pools > 0;
}

void reload_say_servicelb(const struct daemon *d)
{
	const struct config *conf = d->conf;

	if (conf->servicelb_active)
		log_info("config", "servicelb mode: Services get the nodes' own addresses", NULL);
	if (reload_pools_wait(d))
		log_warn("config",
			"the pools are not used: lbd started without any, and servicelb mode is "
			"left at a restart, or by servicelb.mode: never",
			NULL);
	else if (conf->servicelb == CONFIG_SERVICELB_AUTO && !conf->from_cluster &&
		 !conf->servicelb_active && conf->n_pools == 0)
		log_warn("config",
			"there is no pool: servicelb mode is entered at a restart, or by "
			"servicelb.mode: always",
			NULL);
}

/* An edit that loses all pools, or adds some, must not change every address of the cluster: the
 * mode is entered and left by its field alone. */
static void keep_mode(const struct daemon *d, struct config *conf)
{
	if (conf->servicelb == CONFIG_SERVICELB_AUTO)
		conf->servicelb_active = d->conf->servicelb_active;
}

/* The other one takes over from what the statuses show. */
static void change_mode(struct daemon *d)
{
	reload_say_servicelb(d);
	if (!d->conf->servicelb_active)
		log_info("config", "servicelb mode is left", NULL);
	pass_begin(d);
}

/* Without a pool, and with nothing that is left of one, there is nothing to lead. */
void reload_candidacy(struct daemon *d, uint64_t now_ms)
{
	bool any = d->conf->servicelb_active || d->conf->n_pools > 0 ||
		   retired_count(d->retired) > 0;

	leader_set_candidate(
		d->leader,
		any && crdwatch_may_allocate(d) && !d->opt->dry_run && d->phase == DAEMON_RUNNING,
		now_ms);
}

/* The old one is freed last, when nobody borrows from it any more. */
int reload_use(struct daemon *d, struct config *conf)
{
	struct config *old = d->conf;
	bool moved = strcmp(old->elections.namespace_, conf->elections.namespace_) != 0;
	uint64_t now_ms = daemon_now_ms();
	struct leader_conf lc;

	keep_mode(d, conf);
	keep_dropped(d, conf);
	if (alloc_configure(d->alloc, conf, now_ms) != 0)
		return -ENOMEM;
	mesh_breathe(d);
	nodelb_configure(d->nodelb, conf);
	d->conf = conf;
	d->elig_input.conf = conf;
	d->conf_loaded_ms = now_ms;
	lc = reload_leader_conf(d, NULL);
	leader_configure(d->leader, &lc);
	reload_candidacy(d, now_ms);
	d->rebuild = vip_rebuild(d->vips, conf, d->cluster) != 0;
	wire_sync(d, now_ms);
	elect_set_input(d->elect, &d->elig_input, now_ms);
	mesh_breathe(d);
	d->rebuild = true;
	wire_set_reannounce(d, conf->elections.reannounce_ms, now_ms);
	mesh_sync(d);
	speaker_use(d);
	reload_log_level(d);
	if (conf->servicelb_active != old->servicelb_active)
		change_mode(d);
	else if (conf->n_pools != old->n_pools)
		reload_say_servicelb(d);
	if (moved)
		feed_move_leases(d);
	feed_want_namespaces(d);
	config_free(old);
	return 0;
}

/* What the file says is in force at once, what the API says when it has been asked. */
static int use_file(struct daemon *d, struct config *conf)
{
	int err;

	if (conf->from_cluster) {
		err = crdwatch_set_file(d, d->conf_text, d->conf_len);
		if (err == 0)
			config_free(conf);
		return err;
	}
	err = reload_use(d, conf);
	if (err == 0)
		crdwatch_stop(d);
	return err;
}

/* Leases, claims and Events are in the name that lbd was started with. */
static void note_name(struct daemon *d, const struct config *conf)
{
	char name[CONFIG_MAX_NAME + 1];

	(void)nodename_choose(d->opt->node_name, conf->node_name, name);
	if (strcmp(name, d->node) == 0)
		name[0] = '\0';
	if (name[0] != '\0' && strcmp(name, d->next_node) != 0)
		log_warn("config", "this node has another name from a restart of lbd on", "now",
			d->node, "then", name, NULL);
	(void)snprintf(d->next_node, sizeof d->next_node, "%s", name);
}

static void note_loaded(struct daemon *d, bool from_cluster)
{
	if (from_cluster)
		return; /* crdwatch.c does */
	counter_inc(&d->counters, COUNTER_CONFIG_RELOADS);
	log_info("config", "loaded", "file", d->opt->config_path, "hash", d->conf->hash, NULL);
}

void reload_again(struct daemon *d)
{
	struct config *conf = NULL;
	bool from_cluster = false;
	int err;

	if (d->phase != DAEMON_RUNNING) /* on the way out */
		return;
	err = reload_read(d, &conf);
	if (err == -EALREADY)
		return;
	if (err == 0) {
		from_cluster = conf->from_cluster;
		note_name(d, conf);
		err = use_file(d, conf);
	}
	if (err != 0) {
		d->conf_rejected = true;
		config_free(conf);
		counter_inc(&d->counters, COUNTER_CONFIG_REJECTED);
		log_error("config", "new configuration rejected: the old one stays in force",
			"file", d->opt->config_path, NULL);
		daemon_node_event(d, EVENT_WARNING, "ConfigRejected",
			"the new configuration was rejected, the old one stays in force: see lbd's "
			"log, or lbd check-config",
			daemon_now_ms());
	} else {
		note_loaded(d, from_cluster);
	}
	daemon_mark(d);
}
