/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_hand.c - lbd drain, undrain, move, freeze, thaw, log-level: what an operator does by hand.
 *
 * In:   the daemon's answers, each says how far it is.  Out: requests, until it is done.
 */
#include "cmd.h"

#include "config_scalar.h"
#include "json.h"
#include "level.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HAND_TIMEOUT_MS = 10000, HAND_GAP_MS = 50 };

struct hand_options {
	const char *control, *reason, *ip, *node, *level; /* NULL = not given */
	uint64_t timeout_ms, for_ms;                      /* 0 = no end */
};

static cJSON *hand_request(const struct cmd *c, const struct hand_options *o, bool again)
{
	cJSON *request = cmd_request(c->name);

	if (o->reason != NULL)
		(void)cJSON_AddStringToObject(request, "reason", o->reason);
	if (o->ip != NULL)
		(void)cJSON_AddStringToObject(request, "ip", o->ip);
	if (o->node != NULL)
		(void)cJSON_AddStringToObject(request, "node", o->node);
	if (o->level != NULL)
		(void)cJSON_AddStringToObject(request, "level", o->level);
	if (o->for_ms != 0)
		(void)cJSON_AddNumberToObject(request, "forMs", (double)o->for_ms);
	(void)cJSON_AddBoolToObject(request, "again", again);
	return request;
}

/* Asks until it is done, or the time is over: what is under way goes on then. */
static int by_hand(const struct cmd *c, const struct hand_options *o)
{
	const struct timespec gap = {.tv_nsec = HAND_GAP_MS * 1000000L};
	uint64_t waited_ms = 0;
	int code = EXIT_FINE;
	cJSON *answer;

	for (;;) {
		const char *message;
		bool done;

		answer = cmd_ask(o->control, hand_request(c, o, waited_ms > 0), &code);
		if (answer == NULL)
			return code;
		done = json_bool(answer, "done", true);
		message = json_string(answer, "message");
		if (message == NULL) /* of a daemon of another version */
			message = done ? "done" : "under way";
		if (done || waited_ms >= o->timeout_ms)
			(void)fprintf(done ? stdout : stderr, "%s\n", message);
		cJSON_Delete(answer);
		if (done || waited_ms >= o->timeout_ms)
			return done ? EXIT_FINE : EXIT_FINDING;
		(void)nanosleep(&gap, NULL);
		waited_ms += HAND_GAP_MS;
	}
}

static bool take_duration(void *at, const char *value)
{
	return config_duration_parse(value, at) == 0;
}

static const struct cli_type duration = {take_duration, "a duration like 10s"};

#define AT(field) offsetof(struct hand_options, field)
static const struct cli_option hand_options[] = {
	{"timeout", '\0', CLI_VALUE, AT(timeout_ms), &duration},
	{"reason", '\0', CLI_VALUE, AT(reason), NULL},
	{"control", '\0', CLI_VALUE, AT(control), &cmd_control},
	CLI_END,
};
#undef AT

int cmd_hand(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_syntax moving = {
		hand_options, 2, 2, "which address, to which node?"};
	static const struct cli_syntax plain = {hand_options, 0, 0, NULL};
	struct hand_options o = {.control = CMD_CONTROL, .timeout_ms = HAND_TIMEOUT_MS};
	bool moves = strcmp(c->name, "move") == 0;

	if (!cmd_parse(c, moves ? &moving : &plain, a, &o))
		return a->code;
	if (moves) {
		o.ip = a->v[0];
		o.node = a->v[1];
	}
	return by_hand(c, &o);
}

/* -- log-level -- */

static bool take_period(void *at, const char *value)
{
	uint64_t *ms = at;

	return take_duration(ms, value) && *ms > 0 && *ms <= LEVEL_MAX_MS;
}

static const struct cli_type period = {take_period, "a duration like 10m, at most 8784h"};

#define AT(field) offsetof(struct hand_options, field)
static const struct cli_option level_options[] = {
	{"for", '\0', CLI_VALUE, AT(for_ms), &period},
	{"control", '\0', CLI_VALUE, AT(control), &cmd_control},
	CLI_END,
};
#undef AT

int cmd_log_level(const struct cmd *c, struct cmd_args *a)
{
	static const struct cli_syntax syntax = {level_options, 0, 1, NULL};
	struct hand_options o = {.control = CMD_CONTROL};
	bool timed, known, config;
	enum log_level level;

	if (!cmd_parse(c, &syntax, a, &o))
		return a->code;
	if (a->n > 0)
		o.level = a->v[0];
	timed = o.for_ms != 0;
	known = o.level != NULL && level_parse(o.level, &level) == 0;
	config = o.level != NULL && strcmp(o.level, "config") == 0;
	if (timed ? !known : o.level != NULL && !known && !config)
		return cmd_refuse(c, "LEVEL",
			timed ? LEVEL_EXPECTED " beside --for"
			      : "error, warn, info, debug or config",
			o.level != NULL ? o.level : "");
	return by_hand(c, &o);
}
