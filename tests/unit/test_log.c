/* SPDX-License-Identifier: Apache-2.0
 *
 * test_log.c - one line of logfmt whatever is logged; stderr is caught in a pipe.
 */
#include "base.h"
#include "check.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

static struct {
	int stderr_was, pipe[2];
	char text[32768];
} caught;

static void catch_begin(void)
{
	(void)fflush(stderr);
	caught.stderr_was = dup(STDERR_FILENO);
	if (caught.stderr_was < 0 || pipe2(caught.pipe, O_NONBLOCK) < 0 ||
		dup2(caught.pipe[1], STDERR_FILENO) < 0)
		abort();
}

/* What came, without the time in front of each line. */
static const char *catch_end(bool has_time)
{
	ssize_t n = read(caught.pipe[0], caught.text, sizeof caught.text - 1);

	(void)dup2(caught.stderr_was, STDERR_FILENO);
	close(caught.stderr_was);
	close(caught.pipe[0]);
	close(caught.pipe[1]);
	caught.text[n > 0 ? n : 0] = '\0';
	if (!has_time || n <= 0)
		return caught.text;
	/* 2026-08-21T10:00:00.123Z and a blank */
	CHECK(n > 25 && caught.text[4] == '-' && caught.text[10] == 'T' && caught.text[19] == '.' &&
		caught.text[23] == 'Z' && caught.text[24] == ' ');
	return caught.text + 25;
}

static void test_line(void)
{
	catch_begin();
	log_info("kube", "watch expired", "res", "services", "rv", "12", NULL);
	CHECK_STR(catch_end(true), "info kube res=services rv=12 msg=\"watch expired\"\n");
	catch_begin();
	log_error("lbd", "x", NULL);
	CHECK_STR(catch_end(true), "error lbd msg=x\n");
}

static void test_values(void)
{
	static const struct {
		const char *name, *value, *want;
	} rows[] = {
		{"plain", "a-b/c:1", "a-b/c:1"},
		{"missing", NULL, "\"\""},
		{"empty", "", "\"\""},
		{"blank", "a b", "\"a b\""},
		{"quote", "a\"b", "\"a\\\"b\""},
		{"backslash", "a\\b", "\"a\\\\b\""},
		{"equals", "a=b", "\"a=b\""},
		{"line feed", "a\nerror lbd msg=forged", "\"a\\nerror lbd msg=forged\""},
		{"carriage return", "a\rb", "\"a\\x0db\""},
		{"escape sequence", "\033[31m", "\"\\x1b[31m\""},
		{"delete", "\x7f", "\"\\x7f\""},
		{"C1 control",
			"\x9b"
			"31m",
			"\"\\x9b31m\""},
		{"C1 control in UTF-8", "\xc2\x9b", "\"\\xc2\\x9b\""},
		{"per cent", "%s%n", "%s%n"},
	};
	char want[128];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		(void)snprintf(want, sizeof want, "warn u k=%s msg=m\n", rows[i].want);
		catch_begin();
		log_warn("u", "m", "k", rows[i].value, NULL);
		CHECK_STR(catch_end(true), want);
	}
}

static void test_long_values_are_cut(void)
{
	static const size_t lengths[] = {1024, 1025, 100000};
	char *value = malloc(100001);

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		const char *got;
		bool cut = lengths[i] > 1024;

		memset(value, 'x', lengths[i]);
		value[lengths[i]] = '\0';
		catch_begin();
		log_warn("u", "m", "k", value, NULL);
		got = catch_end(true);
		CHECK_INT(strspn(strchr(got, 'x'), "x"), 1024);
		CHECK_INT(strstr(got, "...\" msg=m\n") != NULL, cut);
	}
	free(value);
}

/* Too much of everything: the line is cut, but it is one line. */
static void test_long_line_ends(void)
{
	char value[1000];
	const char *got;
	size_t n;

	memset(value, 1, sizeof value - 1); /* four bytes each when escaped */
	value[sizeof value - 1] = '\0';
	catch_begin();
	log_warn("u", "m", "a", value, "b", value, "c", value, "d", value, NULL);
	log_warn("u", "next", NULL);
	got = catch_end(true);
	n = strcspn(got, "\n");
	CHECK(n > 4000 && n < 9000);
	CHECK(strncmp(got + n - 4, " ...", 4) == 0);
	CHECK(strlen(got + n) > 26 && strcmp(got + n + 26, "warn u msg=next\n") == 0);
}

static void test_levels(void)
{
	CHECK_INT(log_level(), LOG_INFO);
	catch_begin();
	log_debug("u", "m", NULL);
	CHECK_STR(catch_end(true), "");
	log_set_level(LOG_ERROR);
	catch_begin();
	log_warn("u", "m", NULL);
	CHECK_STR(catch_end(true), "");
	log_set_level(LOG_DEBUG);
	catch_begin();
	log_debug("u", "m", NULL);
	CHECK_STR(catch_end(true), "debug u msg=m\n");
	log_set_level(LOG_INFO);
}

static void test_errno_is_kept(void)
{
	int was = dup(STDERR_FILENO);

	close(STDERR_FILENO);
	errno = ENOENT;
	log_warn("u", "m", NULL);
	CHECK_INT(errno, ENOENT);
	(void)dup2(was, STDERR_FILENO);
	close(was);
}

static void test_number(void)
{
	char s[24];

	CHECK_STR(log_number(0, s), "0");
	CHECK_STR(log_number(INT64_MIN, s), "-9223372036854775808");
	CHECK_STR(log_number(INT64_MAX, s), "9223372036854775807");
}

/* Last: there is no way back from the journal's form. */
static void test_journal(void)
{
	struct stat st;
	char stream[64];
	static const char *const want[] = {"<3>error u msg=m\n", "<4>warn u msg=m\n",
		"<6>info u msg=m\n", "<7>debug u msg=m\n"};

	catch_begin();
	(void)setenv("JOURNAL_STREAM", "nonsense", 1);
	log_open();
	log_info("u", "m", NULL);
	CHECK_STR(catch_end(true), "info u msg=m\n");
	log_set_level(LOG_DEBUG);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		catch_begin();
		CHECK_INT(fstat(STDERR_FILENO, &st), 0);
		(void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev,
			(uintmax_t)st.st_ino);
		(void)setenv("JOURNAL_STREAM", stream, 1);
		log_open();
		log_write((enum log_level)i, "u", "m", NULL);
		CHECK_STR(catch_end(false), want[i]);
	}
}

/* So many in a row, then one in a while; what waited does not save up more. */
static void test_bucket(void)
{
	struct log_bucket b = {.place = NULL};
	unsigned n = 0;

	for (uint64_t ms = 5000; ms < 5100; ms++)
		n += log_take(&b, ms);
	CHECK_INT(n, LOG_BURST);
	n = 0;
	for (uint64_t ms = 5100; ms < 5100 + 10 * LOG_REFILL_MS; ms += 100)
		n += log_take(&b, ms);
	CHECK_INT(n, 10);
	n = 0;
	for (uint64_t ms = 1000 * LOG_REFILL_MS; ms < 1000 * LOG_REFILL_MS + 100; ms++)
		n += log_take(&b, ms);
	CHECK_INT(n, LOG_BURST);
}

static __attribute__((noinline)) void speak(enum log_level level, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		log_limited(level, "arp", "flood", NULL);
}

static unsigned lines_of(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

/* One place that floods takes nothing from another. */
static void test_limited(void)
{
	catch_begin();
	speak(LOG_WARN, 100);
	CHECK_INT(lines_of(catch_end(true)), LOG_BURST);
	catch_begin();
	log_limited(LOG_WARN, "arp", "another", "ip", "10.0.0.1", NULL);
	CHECK_STR(catch_end(true), "warn arp ip=10.0.0.1 msg=another\n");
	log_set_level(LOG_DEBUG);
	catch_begin();
	speak(LOG_DEBUG, 100);
	CHECK_INT(lines_of(catch_end(true)), 100);
	log_set_level(LOG_INFO);
}

CHECK_MAIN("test_log", CHECK_TEST(test_line), CHECK_TEST(test_values),
	CHECK_TEST(test_long_values_are_cut), CHECK_TEST(test_long_line_ends),
	CHECK_TEST(test_levels), CHECK_TEST(test_errno_is_kept), CHECK_TEST(test_number),
	CHECK_TEST(test_bucket), CHECK_TEST(test_limited), CHECK_TEST(test_journal))
