/* SPDX-License-Identifier: Apache-2.0
 *
 * notify.h - what the service manager is told: ready, a sentence about how it goes, and that the
 * loop turns.
 *
 * Without a manager that listens ($NOTIFY_SOCKET) every function does nothing.
 */
#ifndef LBD_NOTIFY_H
#define LBD_NOTIFY_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	NOTIFY_MAX_STATUS = 160,
	NOTIFY_STATUS_MS = 1000, /* a sentence at most this often */
	NOTIFY_MIN_WATCHDOG_MS = 2,
};

struct notify {
	int fd; /* owned; -1 = nobody listens */
	struct sockaddr_un to;
	socklen_t to_len;
	bool ready;             /* was said */
	uint64_t next_ready_ms; /* TIME_NEVER = it was */
	uint64_t beat_ms;       /* between two signs of life; TIME_NEVER = none are wanted */
	uint64_t next_beat_ms;
	uint64_t next_status_ms; /* TIME_NEVER = the last sentence still holds */
	char said[NOTIFY_MAX_STATUS];
};

/* $NOTIFY_SOCKET as an address: a path, or @name in the abstract name space.  Pure.  False: it is
 * neither, or too long. */
bool notify_address(const char *text, struct sockaddr_un *ret_to, socklen_t *ret_len) MUST_CHECK;
/* $WATCHDOG_USEC and $WATCHDOG_PID (NULL = not set) as half of the time that the manager waits for
 * pid.  Pure.  TIME_NEVER: it does not wait for it. */
uint64_t notify_beat_ms(const char *usec, const char *pid_text, int64_t pid) MUST_CHECK;

/* Reads the environment. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* Once all is opened and after each pass, and nowhere else: whoever no longer makes any is restarted.  status: borrowed, a
 * sentence.  What the manager does not take at once is said again later. */
void notify_run(struct notify *n, const char *status, uint64_t now_ms);
/* The configuration is read again; notify_run() ends that. */
void notify_reloading(struct notify *n);
void notify_stopping(struct notify *n);
/* When notify_run() has something to say though nothing happens. */
uint64_t notify_next_deadline(const struct notify *n);

#endif
