/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - one logfmt line to stderr.
 *
 * The level, and how often the limited places have spoken, are the globals that lbd has (signals
 * arrive through libuv).
 */
#include "log.h"

#include "base.h"
#include "buf.h"
#include "clock.h"

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
static struct log_bucket buckets[LOG_LIMITED_MAX];

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

static void write_line(
	enum log_level level, const char *unit, const char *msg, uint32_t left_out, va_list ap)
{
	int saved = errno; /* the caller's, which it may still want to return */
	struct buf b;
	const char *key;

	buf_init(&b, LINE_MAX_BYTES);
	add_prefix(&b, level);
	buf_addf(&b, "%s %s", level_name(level), unit);
	while ((key = va_arg(ap, const char *)) != NULL) {
		buf_addf(&b, " %s=", key);
		add_value(&b, va_arg(ap, const char *));
	}
	if (left_out > 0)
		buf_addf(&b, " left_out=%" PRIu32, left_out);
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

void log_write(enum log_level level, const char *unit, const char *msg, ...)
{
	va_list ap;

	if (level > threshold)
		return;
	va_start(ap, msg);
	write_line(level, unit, msg, 0, ap);
	va_end(ap);
}

bool log_take(struct log_bucket *b, uint64_t now_ms)
{
	uint64_t full_ms = time_max(b->full_ms, now_ms) + LOG_REFILL_MS;

	if (full_ms - now_ms > (uint64_t)LOG_BURST * LOG_REFILL_MS)
		return false;
	b->full_ms = full_ms;
	return true;
}

/* There are fewer places than buckets; the last is for what is over. */
static struct log_bucket *bucket_of(const void *place)
{
	size_t i = 0;

	while (i < LOG_LIMITED_MAX - 1 && buckets[i].place != NULL && buckets[i].place != place)
		i++;
	buckets[i].place = place;
	return &buckets[i];
}

void log_limited(enum log_level level, const char *unit, const char *msg, ...)
{
	struct log_bucket *b = bucket_of(__builtin_return_address(0));
	va_list ap;

	if (level > threshold)
		return;
	if (level < LOG_DEBUG && !log_take(b, clock_now_ms())) {
		b->left_out++;
		return;
	}
	va_start(ap, msg);
	write_line(level, unit, msg, b->left_out, ap);
	va_end(ap);
	b->left_out = 0;
}

const char *log_number(int64_t v, char s[24])
{
	(void)snprintf(s, 24, "%" PRId64, v);
	return s;
}
