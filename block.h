/* SPDX-License-Identifier: Apache-2.0
 *
 * block.h - descriptors waited for by a deadline: for commands and copies of the process, never for
 * the loop.  Header only.
 */
#ifndef LBD_BLOCK_H
#define LBD_BLOCK_H

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

/* Waits until fd is ready; deadline_ms is of clock_now_ms().  0, -ETIMEDOUT or -errno. */
static inline int block_wait(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		uint64_t now_ms = clock_now_ms();
		uint64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
		int n = left > 0 ? poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* All of it, to a socket.  0, -ETIMEDOUT or -errno. */
static inline int block_send(int fd, const char *p, size_t n, uint64_t deadline_ms)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
			continue;
		}
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		r = block_wait(fd, POLLOUT, deadline_ms);
		if (r < 0)
			return r;
	}
	return 0;
}

#endif
