/* SPDX-License-Identifier: Apache-2.0
 *
 * test_notify.c - what a service manager hears, on a socket of this test.
 */
#include "check.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

enum { NOW_MS = 50000, WATCHDOG_MS = 3000 };

static void test_address(void)
{
	static const struct {
		const char *name, *in;
		bool ok;
		size_t len; /* of sun_path */
	} rows[] = {
		{"a path", "/run/systemd/notify", true, 20},
		{"abstract", "@/org/freedesktop/systemd1/notify", true, 33},
		{"none", NULL, false, 0},
		{"empty", "", false, 0},
		{"a slash", "/", false, 0},
		{"an at sign", "@", false, 0},
		{"vsock", "vsock:2:1234", false, 0},
		{"relative", "run/notify", false, 0},
	};
	char longest[110];
	struct sockaddr_un a;
	socklen_t len = 0;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_row = rows[i].name;
		CHECK(notify_address(rows[i].in, &a, &len) == rows[i].ok);
		if (!rows[i].ok)
			continue;
		CHECK_INT(len, offsetof(struct sockaddr_un, sun_path) + rows[i].len);
		CHECK(a.sun_path[0] == (rows[i].in[0] == '@' ? '\0' : '/'));
		CHECK(memcmp(a.sun_path + 1, rows[i].in + 1, strlen(rows[i].in) - 1) == 0);
	}
	check_row = "lengths";
	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	longest[107] = '\0';
	CHECK(notify_address(longest, &a, &len) && len == sizeof a);
	longest[107] = 'x';
	longest[108] = '\0';
	CHECK(!notify_address(longest, &a, &len));
}

static void test_beat(void)
{
	static const struct {
		const char *name, *usec, *pid;
		uint64_t want;
	} rows[] = {
		{"half of it", "20000000", "77", 10000},
		{"for any process", "20000000", NULL, 10000},
		{"for another process", "20000000", "78", TIME_NEVER},
		{"for no process", "20000000", "", TIME_NEVER},
		{"not set", NULL, NULL, TIME_NEVER},
		{"empty", "", NULL, TIME_NEVER},
		{"zero", "0", NULL, TIME_NEVER},
		{"too short", "1999", NULL, TIME_NEVER},
		{"the shortest", "2000", NULL, 1},
		{"negative", "-1", NULL, TIME_NEVER},
		{"a space before", " 20000000", NULL, TIME_NEVER},
		{"something behind", "20000000s", NULL, TIME_NEVER},
		{"over 64 bits", "18446744073709551616", NULL, TIME_NEVER},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_row = rows[i].name;
		CHECK(notify_beat_ms(rows[i].usec, rows[i].pid, 77) == rows[i].want);
	}
}

/* -- a manager -- */

static int manager(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char text[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int n = snprintf(text, sizeof text, "@lbd-test-notify-%d", (int)getpid());

	memcpy(a.sun_path + 1, text + 1, (size_t)n - 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)) != 0)
		abort();
	(void)setenv("NOTIFY_SOCKET", text, 1);
	return fd;
}

/* The next message, or "-". */
static const char *heard(int fd)
{
	static char text[512];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	(void)snprintf(text + (n > 0 ? n : 0), 2, n < 0 ? "-" : "");
	return text;
}

static void watch(const char *usec)
{
	(void)unsetenv("WATCHDOG_PID");
	if (usec != NULL)
		(void)setenv("WATCHDOG_USEC", usec, 1);
	else
		(void)unsetenv("WATCHDOG_USEC");
}

static void test_life(void)
{
	int fd = manager();
	struct notify n;

	watch("3000000");
	notify_open(&n);
	CHECK_STR(heard(fd), "-");
	CHECK(notify_next_deadline(&n) <= NOW_MS);
	notify_run(&n, "waits", NOW_MS);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK_STR(heard(fd), "WATCHDOG=1\n");
	CHECK_STR(heard(fd), "STATUS=waits\n");
	CHECK_INT(notify_next_deadline(&n), NOW_MS + WATCHDOG_MS / 2);
	check_row = "nothing new";
	notify_run(&n, "waits", NOW_MS + WATCHDOG_MS / 2 - 1);
	CHECK_STR(heard(fd), "-");
	notify_run(&n, "waits", NOW_MS + WATCHDOG_MS / 2);
	CHECK_STR(heard(fd), "WATCHDOG=1\n");
	CHECK_STR(heard(fd), "-");
	check_row = "reload";
	notify_reloading(&n);
	CHECK(strncmp(heard(fd), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
	notify_run(&n, "waits", NOW_MS + WATCHDOG_MS / 2 + 1);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK_STR(heard(fd), "-");
	check_row = "end";
	notify_stopping(&n);
	CHECK(strncmp(heard(fd), "STOPPING=1\n", 11) == 0);
	notify_close(&n);
	CHECK(notify_next_deadline(&n) == TIME_NEVER);
	(void)close(fd);
}

/* A sentence at most once a second, and the last one in the end; one line of it. */
static void test_status(void)
{
	int fd = manager();
	struct notify n;

	watch(NULL);
	notify_open(&n);
	notify_run(&n, "a", NOW_MS);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK_STR(heard(fd), "STATUS=a\n");
	CHECK(notify_next_deadline(&n) == TIME_NEVER);
	notify_run(&n, "b", NOW_MS + 10);
	CHECK_STR(heard(fd), "-");
	notify_run(&n, "c\nWATCHDOG=1", NOW_MS + 500);
	CHECK_STR(heard(fd), "-");
	CHECK_INT(notify_next_deadline(&n), NOW_MS + 10 + NOTIFY_STATUS_MS);
	notify_run(&n, "c\nWATCHDOG=1", NOW_MS + 10 + NOTIFY_STATUS_MS);
	CHECK_STR(heard(fd), "STATUS=c\n");
	CHECK(notify_next_deadline(&n) == TIME_NEVER);
	check_row = "back before it was said";
	notify_run(&n, "d", NOW_MS + 5000);
	notify_run(&n, "c", NOW_MS + 5001);
	CHECK(notify_next_deadline(&n) == TIME_NEVER);
	notify_close(&n);
	(void)close(fd);
}

/* A manager that reads nothing: what did not fit is said once it does. */
static void test_full(void)
{
	int fd = manager();
	struct notify n;
	unsigned sent = 0;

	watch(NULL);
	notify_open(&n);
	while (sendto(n.fd, "x", 1, 0, (struct sockaddr *)&n.to, n.to_len) == 1)
		sent++;
	CHECK(errno == EAGAIN && sent > 0);
	notify_run(&n, "a", NOW_MS);
	CHECK(!n.ready);
	CHECK(notify_next_deadline(&n) > NOW_MS && notify_next_deadline(&n) <= NOW_MS + 100);
	while (recv(fd, &(char){0}, 1, 0) == 1)
		;
	notify_run(&n, "a", NOW_MS + NOTIFY_STATUS_MS);
	CHECK_STR(heard(fd), "READY=1\n");
	CHECK_STR(heard(fd), "STATUS=a\n");
	CHECK(notify_next_deadline(&n) == TIME_NEVER);
	notify_close(&n);
	(void)close(fd);
}

static void test_nobody(void)
{
	struct notify n;

	(void)unsetenv("NOTIFY_SOCKET");
	watch("3000000");
	notify_open(&n);
	CHECK(n.fd < 0 && notify_next_deadline(&n) == TIME_NEVER);
	notify_run(&n, "a", NOW_MS);
	notify_reloading(&n);
	notify_stopping(&n);
	CHECK(notify_next_deadline(&n) == TIME_NEVER);
	notify_close(&n);
}

CHECK_MAIN("test_notify", CHECK_TEST(test_address), CHECK_TEST(test_beat), CHECK_TEST(test_life),
	CHECK_TEST(test_status), CHECK_TEST(test_full), CHECK_TEST(test_nobody))
