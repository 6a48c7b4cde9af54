/* SPDX-License-Identifier: Apache-2.0
 *
 * ipvs.c - the kernel told not to answer ARP for addresses of other interfaces, nor to ask with
 * them.
 *
 * In:   two files of /proc/sys.  Out: the same.
 * Sources: shared/OWNERSHIP.md F9; ip-sysctl.rst of Linux; kube-proxy, pkg/proxy/ipvs (strictARP).
 *
 * In IPVS mode kube-proxy puts every Service's address on its own interface of every node, and the
 * kernel's default is to answer for any address of the host on any interface: every node would
 * answer for every VIP.
 */
#include "ipvs.h"

#include "buf.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VALUE_MAX = 16, FOLDER_MAX = 256 };

/* The number in the file; negative: -errno. */
static int read_number(const char *path)
{
	struct buf b;
	int n;

	buf_init(&b, VALUE_MAX);
	n = file_read(path, &b);
	if (n == 0)
		n = b.len > 0 && b.p[0] >= '0' && b.p[0] <= '9' ? b.p[0] - '0' : -EBADMSG;
	buf_free(&b);
	return n;
}

static int write_number(const char *path, int n)
{
	const char text[] = {(char)('0' + n), '\n'};
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, sizeof text) != (ssize_t)sizeof text)
		err = -errno;
	(void)close(fd);
	return err;
}

/* At least as much: what is set above it is meant so.  1: written; 0: it was; -errno. */
static int raise_to(const char *folder, const char *name, int least)
{
	char path[FOLDER_MAX];
	int is;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
		return -ENAMETOOLONG;
	is = read_number(path);
	if (is < 0 || is >= least)
		return is < 0 ? is : 0;
	is = write_number(path, least);
	return is < 0 ? is : 1;
}

enum ipvs_result ipvs_make_strict(const char *folder, int *ret_err)
{
	int ignore = raise_to(folder, "arp_ignore", 1);
	int announce = raise_to(folder, "arp_announce", 2);

	if (ignore < 0 || announce < 0) {
		*ret_err = ignore < 0 ? ignore : announce;
		return IPVS_FAILED;
	}
	return ignore + announce > 0 ? IPVS_MADE_STRICT : IPVS_IS_STRICT;
}
