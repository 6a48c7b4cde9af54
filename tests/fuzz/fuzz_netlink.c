/* uses: iface addr */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_netlink.c - a buffer of rtnetlink messages into the interface table, twice: as events on an
 * empty table and then as a dump, which must leave nothing behind that it did not name.  The corpus
 * was recorded from a kernel.
 */
#include "iface.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_addrs(const struct iface *i)
{
	for (size_t k = 0; k < i->n_addrs; k++) {
		const struct iface_addr *a = &i->addrs[k];

		REQUIRE(a->subnet.len <= (addr_family(a->addr) == ADDR_V4 ? 32 : 128));
		REQUIRE(addr_family(a->addr) == addr_family(a->subnet.base));
		REQUIRE(addr_prefix_contains(a->subnet, a->subnet.base));
	}
}

static unsigned check_table(const struct iface_table *t)
{
	const struct iface *i = NULL;
	unsigned last = 0, n = 0;

	while ((i = iface_next(t, i)) != NULL) {
		REQUIRE(i->ifindex > last && iface_get(t, i->ifindex) == i);
		REQUIRE(i->name[0] != '\0' && memchr(i->name, '\0', IFACE_NAMELEN) != NULL);
		REQUIRE(memchr(i->kind, '\0', IFACE_KINDLEN) != NULL);
		REQUIRE(iface_named(t, i->name) != NULL);
		REQUIRE(!iface_is_usable(i) || (i->up && i->ethernet && i->master == 0));
		check_addrs(i);
		last = i->ifindex;
		n++;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iface_table *t = iface_new();
	uint64_t generation;
	unsigned before;
	int rc;

	if (t == NULL)
		return 0;
	rc = iface_on_netlink(t, data, size);
	REQUIRE(rc >= 0 || rc == -EBADMSG || rc == -E2BIG || rc == -ENOMEM);
	before = check_table(t);
	iface_dump_begin(t);
	rc = iface_on_netlink(t, data, size);
	generation = iface_generation(t);
	REQUIRE(iface_dump_end(t) == (iface_generation(t) != generation));
	REQUIRE(rc == -ENOMEM || check_table(t) <= before);
	iface_dump_begin(t);
	(void)iface_dump_end(t);
	REQUIRE(check_table(t) == 0);
	iface_free(t);
	return 0;
}
