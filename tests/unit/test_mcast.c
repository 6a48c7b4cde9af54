/* SPDX-License-Identifier: Apache-2.0
 *
 * test_mcast.c - multicast groups on a real kernel: a network namespace of this process's own with
 * a veth pair.  /proc/net/igmp6 and /proc/net/dev_mcast are the judges.
 */
#include "mcast.h"

#include "check.h"
#include "log.h"
#include "oom.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const struct hash_key hkey = {1, 2};

/* -- the outside -- */

static bool command(const char *line)
{
	extern char **environ;
	char copy[256], *argv[24], *save = NULL;
	size_t n = 0;
	int status;
	pid_t pid;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	argv[n] = NULL;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return false;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned count_lines(const char *path, const char *a, const char *b)
{
	FILE *f = fopen(path, "r");
	char line[256];
	unsigned n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, a) != NULL && strstr(line, b) != NULL;
	if (f != NULL)
		(void)fclose(f);
	return n;
}

/* Of v0's groups: those of MLD; the filter. */
static unsigned in_group(const char *hex)
{
	return count_lines("/proc/net/igmp6", "v0", hex);
}

static unsigned in_filter(const char *hex)
{
	return count_lines("/proc/net/dev_mcast", "v0", hex);
}

/* -- the inside -- */

struct rig {
	struct mcast *m;
	struct iface_table *t;
	unsigned v0;
};

static struct addr vip(unsigned i)
{
	return (struct addr){.hi = 0xfd00000000000000u, .lo = 0x100 + i};
}

/* What rtnetlink would say of v0: up or not, with a link-local address or without. */
static void set_iface(struct rig *r, bool up, bool local)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		struct rtattr a;
		char name[4];
	} link = {.h = {.nlmsg_len = sizeof(link), .nlmsg_type = RTM_NEWLINK},
		.i = {.ifi_index = (int)r->v0,
			.ifi_type = 1,
			.ifi_flags = up ? IFF_UP | IFF_RUNNING | 0x10000u : 0},
		.a = {.rta_len = 8, .rta_type = IFLA_IFNAME},
		.name = "v0"};
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg i;
		struct rtattr a;
		uint8_t ip[16];
	} addr = {.h = {.nlmsg_len = sizeof(addr), .nlmsg_type = local ? RTM_NEWADDR : RTM_DELADDR},
		.i = {.ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = r->v0},
		.a = {.rta_len = 20, .rta_type = IFA_ADDRESS},
		.ip = {0xfe, 0x80, [15] = 1}};

	CHECK(iface_on_netlink(r->t, &link, sizeof(link)) >= 0);
	CHECK(iface_on_netlink(r->t, &addr, sizeof(addr)) >= 0);
}

static void set_up(struct rig *r)
{
	CHECK(command("ip link add v0 type veth peer name v1"));
	CHECK(command("ip link set v1 up"));
	CHECK(command("ip link set v0 up"));
	r->v0 = if_nametoindex("v0");
	r->m = mcast_new(&hkey);
	r->t = iface_new();
	if (r->m == NULL || r->t == NULL)
		abort();
	set_iface(r, true, true);
}

static void tear_down(struct rig *r)
{
	mcast_free(r->m);
	iface_free(r->t);
	(void)command("ip link del v1");
}

static int join(struct rig *r, unsigned i)
{
	return mcast_join(r->m, r->t, r->v0, vip(i));
}

static void test_join_leave(void)
{
	struct addr same = {.hi = 0xfd01000000000000u, .lo = 0x55000100};
	struct rig r;

	set_up(&r);
	CHECK_INT(in_group("ff000100"), 0);
	CHECK_INT(join(&r, 0), 0);
	CHECK_INT(in_group("ff0200000000000000000001ff000100"), 1);
	CHECK_INT(in_filter("3333ff000100"), 1);
	CHECK_INT(mcast_join(r.m, r.t, r.v0, same), 0); /* another address of the group */
	CHECK_INT(mcast_count(r.m), 1);
	mcast_leave(r.m, r.v0, vip(0));
	CHECK_INT(in_group("ff000100"), 1);
	mcast_leave(r.m, r.v0, same);
	CHECK_INT(in_group("ff000100"), 0);
	CHECK_INT(mcast_count(r.m), 0);
	mcast_leave(r.m, r.v0, same); /* never joined: nothing */
	CHECK_INT(join(&r, 1), 0);
	tear_down(&r); /* the last one is left with the sockets */
	mcast_free(NULL);
}

static void test_hold(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(mcast_hold(r.m, r.t, r.v0, vip(0)), 0);
	CHECK_INT(mcast_hold(r.m, r.t, r.v0, vip(1)), 0);
	CHECK_INT(in_group("ff000100") + in_group("ff000101"), 2);
	CHECK_INT(join(&r, 1), 0);
	mcast_drop_held(r.m);
	CHECK_INT(in_group("ff000100"), 0);
	CHECK_INT(in_group("ff000101"), 1);
	CHECK_INT(mcast_hold(r.m, r.t, r.v0, vip(1)), 0);
	mcast_drop_held(r.m);
	CHECK_INT(mcast_count(r.m), 1);
	tear_down(&r);
}

static bool is_allmulti(void)
{
	FILE *f = popen("ip -d link show v0", "r");
	char text[1024] = "";
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	CHECK(f != NULL && pclose(f) == 0);
	return strstr(text, " allmulti 1 ") != NULL;
}

/* One socket has no more than net.core.optmem_max lets it have: others are opened.  Past 4,096 all
 * groups of the interface are taken. */
static void test_many_groups(void)
{
	const char all[] = "ff0200000000000000000001ff";
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < 4096; i++)
		CHECK_INT(join(&r, i), 0);
	CHECK_INT(in_group(all), 4096 + 1); /* one is the kernel's own */
	CHECK(!is_allmulti());
	CHECK_INT(join(&r, 4096), 0);
	CHECK_INT(join(&r, 4097), 0);
	CHECK_INT(in_group(all), 4096 + 1);
	CHECK(is_allmulti());
	mcast_leave(r.m, r.v0, vip(4096));
	CHECK(is_allmulti());
	mcast_leave(r.m, r.v0, vip(4097));
	CHECK(!is_allmulti());
	for (unsigned i = 0; i < 4096; i++)
		mcast_leave(r.m, r.v0, vip(i));
	CHECK_INT(in_group(all), 1);
	tear_down(&r);
}

/* No descriptor for an IPv6 socket, but a packet socket that is open: nothing is lost for long. */
static void test_no_descriptors(void)
{
	struct rlimit was, none;
	struct rig r;

	set_up(&r);
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	none = was;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK_INT(join(&r, 0), 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	CHECK_INT(in_group("ff000100"), 0);
	mcast_sync(r.m, r.t);
	CHECK_INT(in_group("ff000100"), 1);
	tear_down(&r);
}

/* Without IPv6 the filter is set all the same; with it, MLD. */
static void test_no_ipv6(void)
{
	struct rig r;

	set_up(&r);
	CHECK(command("ip link set v0 mtu 1200")); /* less than IPv6 wants: the kernel ends it */
	set_iface(&r, true, false);
	CHECK_INT(join(&r, 0), 0);
	CHECK_INT(in_group("ff000100"), 0);
	CHECK_INT(in_filter("3333ff000100"), 1);
	CHECK_INT(in_filter("333300000001"), 1);
	mcast_sync(r.m, r.t);
	CHECK_INT(in_filter("3333ff000100"), 1);
	CHECK(command("ip link set v0 mtu 1500"));
	set_iface(&r, true, true);
	mcast_sync(r.m, r.t);
	CHECK_INT(in_group("ff000100"), 1);
	mcast_leave(r.m, r.v0, vip(0));
	CHECK_INT(in_filter("3333ff000100"), 0);
	tear_down(&r);
}

/* The kernel forgot the group with the interface's IPv6. */
static void test_joined_anew(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(join(&r, 0), 0);
	CHECK(command("ip link set v0 mtu 1200"));
	CHECK(command("ip link set v0 mtu 1500"));
	CHECK_INT(in_group("ff000100"), 0);
	set_iface(&r, true, false);
	mcast_sync(r.m, r.t);
	set_iface(&r, true, true);
	mcast_sync(r.m, r.t);
	CHECK_INT(in_group("ff000100"), 1);
	tear_down(&r);
}

static void test_interface_gone(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(join(&r, 0), 0);
	CHECK(command("ip link del v1"));
	mcast_sync(r.m, r.t);
	mcast_leave(r.m, r.v0, vip(0));
	CHECK_INT(mcast_count(r.m), 0);
	CHECK_INT(mcast_join(r.m, r.t, 4000, vip(0)), 0); /* not there yet */
	CHECK_INT(mcast_count(r.m), 1);
	mcast_free(r.m);
	iface_free(r.t);
}

#ifdef MEMORY_CAN_FAIL
/* Who wants which group is not known any more: none is left. */
static void test_out_of_memory(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(join(&r, 0), 0);
	fail_after = 0;
	CHECK(mcast_new(&hkey) == NULL);
	CHECK_INT(mcast_hold(r.m, r.t, r.v0, vip(1)), -ENOMEM);
	fail_after = -1;
	mcast_leave(r.m, r.v0, vip(0));
	CHECK_INT(in_group("ff000100"), 0);
	CHECK_INT(join(&r, 0), 0);
	fail_after = 0;
	CHECK_INT(join(&r, 1), -ENOMEM);
	fail_after = -1;
	mcast_leave(r.m, r.v0, vip(0));
	CHECK_INT(in_group("ff000100"), 1);
	tear_down(&r);
}
#endif

static bool enter_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 && command("ip link set lo up");
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_join_leave),
		CHECK_TEST(test_hold), CHECK_TEST(test_many_groups),
		CHECK_TEST(test_no_descriptors), CHECK_TEST(test_no_ipv6),
		CHECK_TEST(test_joined_anew),
#ifdef MEMORY_CAN_FAIL
		CHECK_TEST(test_out_of_memory),
#endif
		CHECK_TEST(test_interface_gone)};

	if (!enter_namespace()) {
		printf("test_mcast: 0 passed, 0 failed, %zu skipped (needs root: no network "
		       "namespace of its own: %s)\n",
			ARRAY_LEN(tests), strerror(errno));
		return 0;
	}
	log_set_level(LOG_ERROR);
	return check_main("test_mcast", tests, ARRAY_LEN(tests));
}
