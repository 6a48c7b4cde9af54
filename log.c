/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - one logfmt line to stderr.
 *
 * The level is one of the two globals that lbd has (the other is none: signals arrive through
 * libuv).
 */
#include "log.h"

#include "base.h"
#include "buf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, VALUE_MAX_BYTES = 1024 };

static enum log_level threshold = LOG_INFO;
static bool to_journal;

void log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level log_level(void)
{
	return threshold;
}

void log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return;
	(void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	to_journal = strcmp(stream, own) == 0;
}

static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || *s == '"' ||
			*s == '=' || *s == '\\')
			return false;
	return true;
}

static void add_value(struct buf *b, const char *s)
{
	size_t n = 0;

	if (s == NULL)
		s = "";
	if (is_plain(s) && strlen(s) <= VALUE_MAX_BYTES) {
		buf_adds(b, s);
		return;
	}
	buf_addc(b, '"');
	for (; *s != '\0' && n < VALUE_MAX_BYTES; s++, n++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c == '\n')
			buf_adds(b, "\\n");
		else if (c < ' ' || c >= 0x7f) /* C1 controls too, in whatever encoding */
			buf_addf(b, "\\x%02x", c);
		else
			buf_addc(b, (char)c);
	}
	buf_adds(b, *s != '\0' ? "...\"" : "\"");
}

static void add_prefix(struct buf *b, enum log_level level)
{
	static const int priority[] = {3, 4, 6, 7}; /* syslog(3) */
	struct timespec ts;
	struct tm tm;

	if (to_journal) {
		buf_addf(b, "<%d>", priority[level]);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	buf_addf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
}

/* A line that came out too long ends all the same. */
static void end_line(struct buf *b)
{
	if (!b->bad)
		return;
	b->bad = false;
	b->max += 8;
	buf_adds(b, " ...\n");
}

void log_write(enum log_level level, const char *unit, const char *msg, ...)
{
	int saved = errno; /* the caller's, which it may still want to return */
	struct buf b;
	const char *key;
	va_list ap;

	if (level > threshold)
		return;
	buf_init(&b, LINE_MAX_BYTES);
	add_prefix(&b, level);
	buf_addf(&b, "%s %s", level_name(level), unit);
	va_start(ap, msg);
	while ((key = va_arg(ap, const char *)) != NULL) {
		buf_addf(&b, " %s=", key);
		add_value(&b, va_arg(ap, const char *));
	}
	va_end(ap);
	buf_adds(&b, " msg=");
	add_value(&b, msg);
	buf_addc(&b, '\n');
	end_line(&b);
	/* One write(2), so that lines of several processes do not mix; a full or closed stderr is
	 * not our end. */
	if (b.p != NULL) {
		ssize_t ignored = write(STDERR_FILENO, b.p, b.len);

		(void)ignored;
	}
	buf_free(&b);
	errno = saved;
}

const char *log_number(int64_t v, char s[24])
{
	(void)snprintf(s, 24, "%" PRId64, v);
	return s;
}
