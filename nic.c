/* SPDX-License-Identifier: Apache-2.0
 *
 * nic.c - which network interfaces need to be promiscuous.
 *
 * Owns: nothing.
 * In:   a name; sysfs.
 * Out:  a verdict.
 * Sources: MetalLB's issues 284, 454, 2353, 2388 and raspberrypi/linux 2677: on Wi-Fi, and on a
 *          Raspberry Pi's own NICs, a VIP that the kernel does not have is not heard to be asked
 *          for until the interface is promiscuous.
 * Not done: an interface on top of such a one (a VLAN, a bridge): the one below is what matters,
 *           and lbd does not listen there.
 */
#include "nic.h"

#include "base.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Raspberry Pi 1 to 3, 3+, 4, 5. */
static const char *const drivers[] = {"smsc95xx", "lan78xx", "bcmgenet", "macb"};

static bool exists(const char *sysfs, const char *name, const char *what)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", sysfs, name, what);
	return access(path, F_OK) == 0;
}

bool nic_needs_promisc(const char *sysfs, const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *driver;
	ssize_t len;

	if (exists(sysfs, name, "wireless") || exists(sysfs, name, "phy80211"))
		return true;
	(void)snprintf(path, sizeof(path), "%s/%s/device/driver", sysfs, name);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	driver = strrchr(target, '/');
	driver = driver != NULL ? driver + 1 : target;
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(driver, drivers[i]) == 0)
			return true;
	return false;
}
