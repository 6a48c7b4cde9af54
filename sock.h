/* SPDX-License-Identifier: Apache-2.0
 *
 * sock.h - words that shells with sockets share.  Header only.
 */
#ifndef LBD_SOCK_H
#define LBD_SOCK_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* setsockopt(2): 0 or -errno. */
static inline int sock_set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

/* What a control message says that is an int; 0 when it is less. */
static inline unsigned sock_control_int(const struct cmsghdr *c)
{
	int v;

	memcpy(&v, CMSG_DATA(c), sizeof v);
	return v > 0 ? (unsigned)v : 0;
}

/* musl's macro mixes signed and unsigned. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
static inline struct cmsghdr *sock_next_control(struct msghdr *h, struct cmsghdr *c)
{
	return CMSG_NXTHDR(h, c);
}
#pragma GCC diagnostic pop

#endif
