/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h - one line to stderr, logfmt: time, level, unit, fields, msg.  Not for pure units: they
 * return reasons.
 *
 *   log_info("kube", "watch expired", "res", "services", "rv", rv, NULL);
 *   2026-08-21T10:00:00.123Z info kube res=services rv=123 msg="watch expired"
 *
 * Fields are key, value string pairs up to a NULL key; a NULL value prints as "".  Values are
 * quoted and escaped here, so remote strings are safe.  Fixed keys: svc ip iface node peer err.
 * Never pass a secret.
 */
#ifndef LBD_LOG_H
#define LBD_LOG_H

#include "level.h"

#include <stdbool.h>
#include <stdint.h>

#define LOG_SENTINEL __attribute__((sentinel))

void log_set_level(enum log_level level);
enum log_level log_level(void);
/* Under systemd ($JOURNAL_STREAM names stderr) lines get a "<N>" priority and no time. */
void log_open(void);

void log_write(enum log_level level, const char *unit, const char *msg, ...) LOG_SENTINEL;
#define log_error(unit, ...) log_write(LOG_ERROR, unit, __VA_ARGS__)
#define log_warn(unit, ...)  log_write(LOG_WARN, unit, __VA_ARGS__)
#define log_info(unit, ...)  log_write(LOG_INFO, unit, __VA_ARGS__)
/* Its fields are not worked out when it is not written. */
#define log_debug(unit, ...)                                                                       \
	do {                                                                                       \
		if (log_level() >= LOG_DEBUG)                                                      \
			log_write(LOG_DEBUG, unit, __VA_ARGS__);                                   \
	} while (0)

/* The same where others can cause a line as often as they like: each place that calls it is good for
 * LOG_BURST lines in a row and then one in LOG_REFILL_MS; the next that is written says how many were
 * not (left_out=).  Debug lines are written all. */
void log_limited(enum log_level level, const char *unit, const char *msg, ...) LOG_SENTINEL;
enum { LOG_BURST = 20, LOG_REFILL_MS = 10000, LOG_LIMITED_MAX = 32 /* places */ };
/* What it goes by; zero when it is made. */
struct log_bucket {
	const void *place;
	uint64_t full_ms; /* when it will be full again */
	uint32_t left_out;
};
bool log_take(struct log_bucket *b, uint64_t now_ms);

/* Decimal text of v in s, for a field.  Returns s. */
const char *log_number(int64_t v, char s[24]);

#endif
