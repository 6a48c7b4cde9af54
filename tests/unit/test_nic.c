/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nic.c - which interfaces are made promiscuous, by a sysfs of our own.
 */
#include "nic.h"

#include "base.h"
#include "check.h"

#include <ftw.h>
#include <sys/stat.h>

static char root[] = "/tmp/lbd-nic-XXXXXX";

static const char *path(const char *rest)
{
	static char s[256];

	(void)snprintf(s, sizeof(s), "%s/%s", root, rest);
	return s;
}

static void make(const char *dir)
{
	CHECK(mkdir(path(dir), 0700) == 0);
}

static void driver(const char *name, const char *target)
{
	char dir[64];

	make(name);
	(void)snprintf(dir, sizeof(dir), "%s/device", name);
	make(dir);
	(void)snprintf(dir, sizeof(dir), "%s/device/driver", name);
	CHECK(symlink(target, path(dir)) == 0);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(name);
}

static void test_needs_promisc(void)
{
	static const struct {
		const char *name;
		bool want;
	} rows[] = {{"eth0", false}, {"wlan0", true}, {"wlan1", true}, {"pi4", true}, {"pi3", true},
		{"veth0", false}, {"none", false}, {"bare", true}};

	if (mkdtemp(root) == NULL)
		abort();
	driver("eth0", "../../../bus/pci/drivers/e1000e");
	make("wlan0");
	make("wlan0/wireless");
	make("wlan1");
	make("wlan1/phy80211");
	driver("pi4", "../../../bus/platform/drivers/bcmgenet");
	driver("pi3", "../../../bus/usb/drivers/lan78xx");
	driver("bare", "macb");
	make("veth0");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		CHECK_INT(nic_needs_promisc(root, rows[i].name), rows[i].want);
	}
	check_row = "";
	CHECK(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

CHECK_MAIN("test_nic", CHECK_TEST(test_needs_promisc))
