/* SPDX-License-Identifier: Apache-2.0
 *
 * hand.c - what an operator does by hand, over the control socket: drain, undrain, freeze, thaw, move,
 * log-level; and by kubectl: cordon, where the configuration says that it drains.
 *
 * In:   requests; this node's Node object.  Out: elect.c, BFD's AdminDown; answers: {"done", "message"}.
 *
 * A request is asked again until it is done: the first one begins it, each answer says how far it is.
 */
#include "config_scalar.h"
#include "daemon.h"
#include "json.h"
#include "log.h"
#include "reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HAND_MESSAGE = 512 };

#define BY_HAND "by hand"

static cJSON *answer(bool done, const char *message)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddBoolToObject(o, "done", done);
	(void)cJSON_AddStringToObject(o, "message", message);
	return o;
}

static cJSON *refuse(const char *why)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "error", why);
	return o;
}

/* -- drain -- */

static void begin_drain(
	struct daemon *d, enum daemon_drain by, const char *reason, uint64_t now_ms)
{
	d->drained = by;
	(void)snprintf(d->drain_reason, sizeof d->drain_reason, "%s", reason);
	elect_drain(d->elect, reason, TIME_NEVER, now_ms);
	mesh_set_leaving(d, true);
	speaker_set_leaving(d, true, true, now_ms);
	daemon_mark(d);
}

static void end_drain(struct daemon *d, uint64_t now_ms)
{
	log_info("lbd", "no longer drained", NULL);
	d->drained = DAEMON_NOT_DRAINED;
	d->drain_reason[0] = '\0';
	elect_drain(d->elect, NULL, 0, now_ms);
	speaker_set_leaving(d, false, true, now_ms);
	mesh_set_leaving(d, false);
	daemon_mark(d);
}

/* Is there another node that could take what this one gives away? */
static bool has_other(const struct daemon *d, uint64_t now_ms)
{
	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		const struct cluster_node *node;
		struct elect_member m;

		elect_member_at(d->elect, i, now_ms, &m);
		node = cluster_node(d->cluster, m.node);
		if (!m.self && m.liveness == ELECT_ALIVE && m.draining == NULL && node != NULL &&
			!node->unschedulable)
			return true;
	}
	return false;
}

/* Where all are cordoned, that says nothing of who should serve. */
static bool is_cordoned(const struct daemon *d, uint64_t now_ms)
{
	const struct cluster_node *node = cluster_node(d->cluster, d->node);

	return d->conf->elections.drain_on_cordon && node != NULL && node->unschedulable &&
	       has_other(d, now_ms);
}

void hand_heed_cordon(struct daemon *d, uint64_t now_ms)
{
	bool cordoned;

	if (d->phase != DAEMON_RUNNING || d->dry != NULL || d->drained == DAEMON_DRAINED_BY_HAND)
		return;
	cordoned = is_cordoned(d, now_ms);
	if (cordoned && d->drained == DAEMON_NOT_DRAINED) {
		log_info("lbd", "drained: " REASON_TEXT_CORDONED, NULL);
		begin_drain(d, DAEMON_DRAINED_BY_CORDON, REASON_TEXT_CORDONED, now_ms);
	} else if (!cordoned && d->drained == DAEMON_DRAINED_BY_CORDON) {
		end_drain(d, now_ms);
	}
}

const char *hand_reason(const struct daemon *d)
{
	return d->phase != DAEMON_RUNNING    ? REASON_TEXT_STOPPING
	       : d->drain_reason[0] != '\0' ? d->drain_reason
					    : BY_HAND;
}

/* The same request is asked again, which is no news; one without a reason leaves that of the one
 * before. */
static void drain_by_hand(struct daemon *d, const char *reason, uint64_t now_ms)
{
	bool given = reason != NULL && reason[0] != '\0';

	if (d->drained == DAEMON_DRAINED_BY_HAND &&
		(!given || strcmp(reason, d->drain_reason) == 0))
		return;
	log_info("lbd", "drained by hand", "reason", given ? reason : "", NULL);
	begin_drain(d, DAEMON_DRAINED_BY_HAND, given ? reason : BY_HAND, now_ms);
}

static cJSON *drain(struct daemon *d, const cJSON *request, uint64_t now_ms)
{
	const char *reason = json_string(request, "reason");
	size_t left;
	char message[HAND_MESSAGE];

	if (d->phase != DAEMON_RUNNING)
		return refuse("the daemon is stopping, which drains it");
	if (reason != NULL && strlen(reason) > DAEMON_MAX_REASON)
		return refuse("the reason is longer than 200 bytes");
	drain_by_hand(d, reason, now_ms);
	left = elect_owned_count(d->elect);
	if (left > 0)
		(void)snprintf(message, sizeof message,
			"%zu %s found no other node yet: this node still answers for %s", left,
			left == 1 ? "address has" : "addresses have", left == 1 ? "it" : "them");
	else
		(void)snprintf(message, sizeof message, "%s",
			speaker_has_left(d)
				? "drained: this node announces nothing until `lbd undrain`"
				: "routers are being told by BGP: this node still takes traffic");
	return answer(left == 0 && speaker_has_left(d), message);
}

static cJSON *undrain(struct daemon *d, uint64_t now_ms)
{
	if (d->phase != DAEMON_RUNNING)
		return refuse("the daemon is stopping");
	if (d->drained == DAEMON_NOT_DRAINED)
		return answer(true, "was not drained");
	if (is_cordoned(d, now_ms)) {
		if (d->drained == DAEMON_DRAINED_BY_HAND)
			begin_drain(d, DAEMON_DRAINED_BY_CORDON, REASON_TEXT_CORDONED, now_ms);
		return refuse("still drained, for " REASON_TEXT_CORDONED
			      " and elections.drainOnCordon is set: kubectl uncordon ends that");
	}
	end_drain(d, now_ms);
	return answer(true, "this node takes addresses again");
}

static cJSON *freeze(struct daemon *d, bool on, uint64_t now_ms)
{
	if (elect_is_frozen(d->elect) != on)
		log_info("lbd", on ? "frozen: takes no address" : "thawed", NULL);
	elect_freeze(d->elect, on, now_ms);
	daemon_mark(d);
	return answer(true, on ? "this node keeps what it announces and takes nothing more until "
				 "`lbd thaw`"
			       : "this node takes addresses again");
}

static const char *why_not_moved(int err)
{
	switch (err) {
	case -ENOENT:
		return "no Service holds that address on layer 2";
	case -EHOSTUNREACH:
		return "there is no other node of that name at work";
	case -ENOTCONN:
		return "the API is not reached, and other nodes learn of the offer by it";
	case -EBUSY:
		return "another address is being moved";
	case -ENOMEM:
		return "out of memory";
	default:
		return NULL;
	}
}

/* Who owns vip, as far as this node knows; NULL = nobody. */
static const char *owner_of(const struct daemon *d, struct addr vip)
{
	const struct vip *v = vip_find(d->vips, vip);
	struct elect_view view;

	return v != NULL && elect_view(d->elect, v->group->id, &view) ? view.owner : NULL;
}

static cJSON *move(struct daemon *d, const cJSON *request, uint64_t now_ms)
{
	const char *ip = json_string(request, "ip"), *node = json_string(request, "node");
	const char *owner, *why;
	char message[HAND_MESSAGE];
	struct addr vip;
	int err = -EBUSY;

	if (ip == NULL || node == NULL || addr_parse(ip, strlen(ip), &vip) != 0)
		return refuse("an address and a node's name are wanted");
	owner = owner_of(d, vip);
	if (owner != NULL && strcmp(owner, node) == 0) {
		(void)snprintf(message, sizeof message, "%s is announced by %s", ip, node);
		return answer(true, message);
	}
	if (!json_bool(request, "again", false))
		err = elect_move(d->elect, vip, node, now_ms);
	why = why_not_moved(err);
	if (err == -EPERM) {
		(void)snprintf(message, sizeof message,
			"this node does not announce %s: ask %s, which does", ip,
			owner != NULL ? owner : "its owner");
		why = message;
	}
	if (err != 0 && !json_bool(request, "again", false))
		return refuse(why);
	if (err == 0) {
		log_info("lbd", "offered by hand", "ip", ip, "to", node, NULL);
		daemon_mark(d);
	}
	(void)snprintf(message, sizeof message, "%s has not taken %s yet", node, ip);
	return answer(false, message);
}

/* -- the log's level -- */

static const char *level_in_force(const struct daemon *d, uint64_t now_ms, char s[LEVEL_TEXT])
{
	char until[STATUS_TIME_LEN];

	return level_text(&d->level, reload_level(d),
		d->opt->log_level != NULL ? "--log-level" : "the configuration",
		status_time(level_next_deadline(&d->level), now_ms, until), s);
}

/* It is said whatever the level was and will be. */
static void change_level(const struct daemon *d, const char *text)
{
	char line[LEVEL_TEXT + 32];

	(void)snprintf(line, sizeof line, "log level: %s", text);
	log_set_level(LOG_INFO);
	log_info("lbd", line, NULL);
	reload_log_level(d);
}

void hand_run(struct daemon *d, uint64_t now_ms)
{
	char text[LEVEL_TEXT];

	if (level_ends(&d->level, now_ms))
		change_level(d, level_in_force(d, now_ms, text));
}

static void set_level(
	struct daemon *d, enum log_level level, uint64_t for_ms, char text[LEVEL_TEXT])
{
	char duration[CONFIG_DURATION_STRLEN];

	level_set(&d->level, level, for_ms, daemon_now_ms());
	(void)snprintf(text, LEVEL_TEXT, "%s, by hand%s%s", level_name(level),
		for_ms != 0 ? ", for " : "",
		for_ms != 0 ? config_duration_format(for_ms, duration) : "");
	change_level(d, text);
	daemon_mark(d); /* the timer */
}

static cJSON *log_level_by_hand(struct daemon *d, const cJSON *request, uint64_t now_ms)
{
	const char *name = json_string(request, "level");
	bool timed = json_get(request, "forMs") != NULL;
	long long for_ms = timed ? json_int(request, "forMs", 1, LEVEL_MAX_MS, 0) : 0;
	enum log_level level;
	char text[LEVEL_TEXT];

	if (timed && (for_ms == 0 || name == NULL))
		return refuse("a level for 1 ms to 366 days is wanted");
	if (name != NULL && !timed && strcmp(name, "config") == 0) {
		d->level.on = false;
		change_level(d, level_in_force(d, now_ms, text));
	} else if (name != NULL && level_parse(name, &level) == 0) {
		set_level(d, level, (uint64_t)for_ms, text);
	} else if (name != NULL || json_get(request, "level") != NULL) {
		return refuse("no such level: " LEVEL_EXPECTED);
	}
	return answer(true, level_in_force(d, now_ms, text));
}

cJSON *hand_answer(struct daemon *d, const char *command, const cJSON *request, uint64_t now_ms)
{
	if (strcmp(command, "log-level") == 0)
		return log_level_by_hand(d, request, now_ms);
	if (d->dry != NULL)
		return refuse("this is a dry run");
	if (strcmp(command, "drain") == 0)
		return drain(d, request, now_ms);
	if (strcmp(command, "undrain") == 0)
		return undrain(d, now_ms);
	if (strcmp(command, "freeze") == 0 || strcmp(command, "thaw") == 0)
		return freeze(d, command[0] == 'f', now_ms);
	return move(d, request, now_ms);
}

bool hand_is_command(const char *command)
{
	static const char *const names[] = {"drain", "undrain", "freeze", "thaw", "move", "log-level"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(command, names[i]) == 0)
			return true;
	return false;
}
