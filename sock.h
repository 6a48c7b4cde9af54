/* SPDX-License-Identifier: Apache-2.0
 *
 * sock.h - words that shells with sockets share.  Header only.
 */
#ifndef LBD_SOCK_H
#define LBD_SOCK_H

#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* setsockopt(2): 0 or -errno. */
static inline int sock_set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

/* ifindex: of the link that a link-local address is on.  Returns the length. */
static inline socklen_t sock_from_address(
	struct addr a, unsigned port, unsigned ifindex, struct sockaddr_storage *ret_s)
{
	memset(ret_s, 0, sizeof *ret_s);
	if (addr_family(a) == ADDR_V4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

		addr_to_v4(a, (uint8_t *)&in.sin_addr);
		memcpy(ret_s, &in, sizeof in);
		return sizeof in;
	} else {
		struct sockaddr_in6 in = {.sin6_family = AF_INET6,
			.sin6_port = htons((uint16_t)port),
			.sin6_scope_id = addr_is_link_local(a) ? ifindex : 0};

		addr_to_v6(a, in.sin6_addr.s6_addr);
		memcpy(ret_s, &in, sizeof in);
		return sizeof in;
	}
}

static inline struct addr sock_address(const struct sockaddr_storage *s)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (s->ss_family == AF_INET) {
		memcpy(&in, s, sizeof in);
		return addr_from_v4((const uint8_t *)&in.sin_addr);
	}
	memcpy(&in6, s, sizeof in6);
	return addr_from_v6(in6.sin6_addr.s6_addr);
}

/* The link of a link-local address; else 0. */
static inline unsigned sock_scope(const struct sockaddr_storage *s)
{
	struct sockaddr_in6 in6;

	if (s->ss_family != AF_INET6)
		return 0;
	memcpy(&in6, s, sizeof in6);
	return in6.sin6_scope_id;
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
