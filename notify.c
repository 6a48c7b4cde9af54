/* SPDX-License-Identifier: Apache-2.0
 *
 * notify.c - what the service manager is told: ready, a sentence about how it goes, and that the
 * loop turns.
 *
 * Owns: a datagram socket.
 * In:   $NOTIFY_SOCKET, $WATCHDOG_USEC, $WATCHDOG_PID.  Out: lines of KEY=value.
 * Sources: sd_notify(3), sd_watchdog_enabled(3), unix(7).
 *
 * Ready is said once the sockets are open, not when the API has answered: on a k3s server that may
 * be long after, and systemd would take lbd for one that does not start.
 */
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { AGAIN_MS = 100, MAX_MESSAGE = NOTIFY_MAX_STATUS + 64 };

/* -- the environment -- */

bool notify_address(const char *text, struct sockaddr_un *ret_to, socklen_t *ret_len)
{
	size_t n = text != NULL ? strlen(text) : 0;
	bool abstract = n > 0 && text[0] == '@';

	if (n < 2 || n >= sizeof ret_to->sun_path || (!abstract && text[0] != '/'))
		return false;
	*ret_to = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_to->sun_path, text, n);
	if (abstract) /* its length is part of the name, its first byte is none */
		ret_to->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
	return true;
}

/* A number without sign, space or anything behind it; 0 else. */
static uint64_t number(const char *s)
{
	char *end;
	uint64_t v;

	if (s == NULL || *s < '0' || *s > '9')
		return 0;
	errno = 0;
	v = strtoull(s, &end, 10);
	return errno == 0 && *end == '\0' ? v : 0;
}

uint64_t notify_beat_ms(const char *usec, const char *pid_text, int64_t pid)
{
	uint64_t ms = number(usec) / 1000;

	if (ms < NOTIFY_MIN_WATCHDOG_MS || (pid_text != NULL && number(pid_text) != (uint64_t)pid))
		return TIME_NEVER;
	return ms / 2;
}

void notify_open(struct notify *n)
{
	*n = (struct notify){.fd = -1, .beat_ms = TIME_NEVER, .next_status_ms = TIME_NEVER};
	if (!notify_address(getenv("NOTIFY_SOCKET"), &n->to, &n->to_len))
		return;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	n->beat_ms = notify_beat_ms(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid());
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
}

/* -- what is said -- */

static bool send_text(const struct notify *n, const char *text)
{
	ssize_t r;

	do
		r = sendto(n->fd, text, strlen(text), MSG_NOSIGNAL,
			(const struct sockaddr *)&n->to, n->to_len);
	while (r < 0 && errno == EINTR);
	return r >= 0;
}

static void say_ready(struct notify *n, uint64_t now_ms)
{
	if (n->ready || now_ms < n->next_ready_ms)
		return;
	n->ready = send_text(n, "READY=1\n");
	n->next_ready_ms = n->ready ? TIME_NEVER : now_ms + AGAIN_MS;
}

static void beat(struct notify *n, uint64_t now_ms)
{
	if (n->beat_ms == TIME_NEVER || now_ms < n->next_beat_ms)
		return;
	n->next_beat_ms = now_ms + (send_text(n, "WATCHDOG=1\n") ? n->beat_ms
								  : time_min(n->beat_ms, AGAIN_MS));
}

/* A line is one of the protocol's: what would begin another one is left out. */
static void say_status(struct notify *n, const char *status, uint64_t now_ms)
{
	char line[NOTIFY_MAX_STATUS], text[MAX_MESSAGE];

	(void)snprintf(line, sizeof line, "%.*s", (int)strcspn(status, "\n"), status);
	if (strcmp(line, n->said) == 0) {
		n->next_status_ms = TIME_NEVER;
		return;
	}
	if (n->next_status_ms == TIME_NEVER)
		n->next_status_ms = n->said[0] == '\0' ? now_ms : now_ms + NOTIFY_STATUS_MS;
	if (now_ms < n->next_status_ms)
		return;
	n->next_status_ms = now_ms + NOTIFY_STATUS_MS;
	(void)snprintf(text, sizeof text, "STATUS=%s\n", line);
	if (!send_text(n, text))
		return;
	memcpy(n->said, line, sizeof n->said);
	n->next_status_ms = TIME_NEVER;
}

void notify_run(struct notify *n, const char *status, uint64_t now_ms)
{
	if (n->fd < 0)
		return;
	say_ready(n, now_ms);
	beat(n, now_ms);
	say_status(n, status, now_ms);
}

void notify_reloading(struct notify *n)
{
	char text[MAX_MESSAGE];
	struct timespec ts;

	if (n->fd < 0 || clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		return;
	/* The time tells the manager which of two reloads this is (systemd 253). */
	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
		(uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	if (send_text(n, text)) {
		n->ready = false;
		n->next_ready_ms = 0;
	}
}

void notify_stopping(struct notify *n)
{
	if (n->fd >= 0)
		(void)send_text(n, "STOPPING=1\nSTATUS=handing its addresses to other nodes\n");
}

uint64_t notify_next_deadline(const struct notify *n)
{
	uint64_t next_ms = time_min(n->next_status_ms, n->next_ready_ms);

	if (n->fd < 0)
		return TIME_NEVER;
	return n->beat_ms == TIME_NEVER ? next_ms : time_min(next_ms, n->next_beat_ms);
}
