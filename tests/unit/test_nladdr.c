/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nladdr.c - addresses on a real kernel's interface, in a network namespace of this process's
 * own; what iface.c then says of them.
 */
#include "nladdr.h"

#include "check.h"
#include "iface.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { TURNS = 1000000 };

struct rig {
	uv_loop_t loop;
	struct nladdr *n;
	int err[BIND_BATCH];
	size_t n_done;
	unsigned bound, marked; /* words of iface.c about lbd's addresses */
};

static void on_done(void *ctx, const struct bind_write *v, const int *err, size_t n)
{
	struct rig *r = ctx;

	(void)v;
	memcpy(r->err, err, n * sizeof *err);
	r->n_done = n;
}

static void set_up(struct rig *r)
{
	memset(r, 0, sizeof *r);
	CHECK_INT(system("ip link add v0 type veth peer name v1"), 0);
	CHECK_INT(system("ip link set v0 up"), 0);
	CHECK_INT(uv_loop_init(&r->loop), 0);
	CHECK_INT(nladdr_open(&r->loop, on_done, r, &r->n), 0);
}

static void tear_down(struct rig *r)
{
	nladdr_close(r->n);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&r->loop), 0);
	CHECK_INT(system("ip link del v0"), 0);
}

static struct bind_write make(enum bind_verb verb, const char *text)
{
	struct bind_write w = {.verb = verb, .ifindex = if_nametoindex("v0")};

	if (addr_parse(text, strlen(text), &w.addr) != 0)
		abort();
	return w;
}

static void run(struct rig *r, const struct bind_write *v, size_t n)
{
	r->n_done = 0;
	nladdr_write(r->n, v, n);
	CHECK(nladdr_is_busy(r->n));
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK_INT(r->n_done, n);
	CHECK(!nladdr_is_busy(r->n));
}

static int one(struct rig *r, enum bind_verb verb, const char *text)
{
	struct bind_write w = make(verb, text);

	run(r, &w, 1);
	return r->err[0];
}

static bool shows(const char *what)
{
	char line[256];

	(void)snprintf(
		line, sizeof line, "ip addr show dev v0 | tr -d '\\n' | grep -Eq '%s'", what);
	return system(line) == 0;
}

static void test_attributes(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(one(&r, BIND_ADD, "10.0.0.1"), 0);
	CHECK(shows("inet 10.0.0.1/32 scope link .*v0 +valid_lft [23]sec preferred_lft 0sec"));
	CHECK_INT(one(&r, BIND_ADD, "fd00::1"), 0);
	CHECK(shows("inet6 fd00::1/128 scope global .*deprecated"));
	CHECK(!shows("fd00::1/128 [^/]*tentative"));
	/* No route of its own but the local one. */
	CHECK(system("ip route show dev v0 | grep -q 10.0.0.1") != 0);
	CHECK(system("ip -6 route show dev v0 | grep -q fd00::1") != 0);
	CHECK_INT(one(&r, BIND_REMOVE, "10.0.0.1"), 0);
	CHECK_INT(one(&r, BIND_REMOVE, "fd00::1"), 0);
	CHECK(!shows("10.0.0.1|fd00::1"));
	tear_down(&r);
}

static void test_errors(void)
{
	struct bind_write w[3];
	struct rig r;

	set_up(&r);
	CHECK_INT(one(&r, BIND_REFRESH, "10.0.0.1"), 0); /* puts it there, too */
	CHECK_INT(one(&r, BIND_ADD, "10.0.0.1"), -EEXIST);
	CHECK_INT(one(&r, BIND_REMOVE, "10.0.0.2"), -EADDRNOTAVAIL);
	/* One that fails does not stop those behind it. */
	w[0] = make(BIND_REMOVE, "10.0.0.1");
	w[1] = make(BIND_ADD, "10.0.0.3");
	w[1].ifindex = 4711;
	w[2] = make(BIND_ADD, "fd00::3");
	run(&r, w, 3);
	CHECK_INT(r.err[0], 0);
	CHECK_INT(r.err[1], -ENODEV);
	CHECK_INT(r.err[2], 0);
	CHECK(shows("fd00::3/128") && !shows("10.0.0.1/32"));
	tear_down(&r);
}

/* The host's own address is left as it is, lifetime and all. */
static void test_not_the_hosts(void)
{
	struct rig r;

	set_up(&r);
	CHECK_INT(system("ip addr add 10.0.0.9/32 dev v0"), 0);
	CHECK_INT(one(&r, BIND_ADD, "10.0.0.9"), -EEXIST);
	CHECK(shows("10.0.0.9/32 scope global v0 +valid_lft forever"));
	tear_down(&r);
}

static void test_batch(void)
{
	struct bind_write v[BIND_BATCH];
	char text[32];
	struct rig r;

	set_up(&r);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < BIND_BATCH; i++) {
			(void)snprintf(text, sizeof text, i % 2 ? "10.0.1.%u" : "fd00::1:%u", i);
			v[i] = make((enum bind_verb)round, text);
		}
		run(&r, v, BIND_BATCH);
		for (unsigned i = 0; i < BIND_BATCH; i++)
			CHECK_INT(r.err[i], 0);
	}
	CHECK(!shows("10.0.1.|fd00::1:"));
	tear_down(&r);
}

static void test_close_under_way(void)
{
	struct bind_write w;
	struct rig r;

	set_up(&r);
	w = make(BIND_ADD, "10.0.0.1");
	nladdr_write(r.n, &w, 1);
	tear_down(&r);
	CHECK_INT(r.n_done, 0);
}

/* -- what iface.c says of them -- */

static void on_bound(void *ctx, unsigned ifindex, struct addr a, bool there, bool marked)
{
	struct rig *r = ctx;

	(void)a;
	CHECK(ifindex == if_nametoindex("v0"));
	r->bound += there;
	r->marked += there && marked;
}

static void dump(struct iface_table *t, int fd, uint16_t type)
{
	static uint8_t buf[65536];
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} req = {.h = {.nlmsg_len = sizeof req,
			 .nlmsg_type = type,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	bool done = false;

	CHECK(send(fd, &req, sizeof req, 0) == (ssize_t)sizeof req);
	while (!done) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);
		struct nlmsghdr h;

		if (n < (ssize_t)sizeof h)
			abort();
		CHECK(iface_on_netlink(t, buf, (size_t)n) >= 0);
		memcpy(&h, buf, sizeof h);
		done = h.nlmsg_type == NLMSG_DONE;
	}
}

/* They are not the node's: in no list, and told of apart. */
static void test_seen_apart(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct iface_table *t = iface_new();
	struct rig r;

	set_up(&r);
	iface_on_bound(t, on_bound, &r);
	CHECK_INT(system("ip addr add 10.0.0.9/24 dev v0"), 0);
	CHECK_INT(one(&r, BIND_ADD, "10.0.0.1"), 0);
	CHECK_INT(one(&r, BIND_ADD, "fd00::1"), 0);
	dump(t, fd, RTM_GETLINK);
	dump(t, fd, RTM_GETADDR);
	CHECK_INT(r.bound, 2);
	CHECK_INT(r.marked, 2);
	for (size_t i = 0; i < iface_named(t, "v0")->n_addrs; i++)
		CHECK(iface_named(t, "v0")->addrs[i].subnet.len < 128 &&
			!addr_eq(iface_named(t, "v0")->addrs[i].addr,
				make(BIND_ADD, "10.0.0.1").addr));
	iface_free(t);
	(void)close(fd);
	tear_down(&r);
}

/* The kernel fences itself when nobody refreshes. */
static void test_ends_by_itself(void)
{
	struct rig r;
	unsigned i;

	set_up(&r);
	CHECK_INT(one(&r, BIND_ADD, "10.0.0.1"), 0);
	CHECK(shows("10.0.0.1/32"));
	for (i = 0; shows("10.0.0.1/32") && i < 80; i++)
		(void)usleep(50000);
	CHECK(i < 70);
	tear_down(&r);
}

static void test_no_permission(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2], less[2];
	struct rig r;

	set_up(&r);
	CHECK(syscall(SYS_capget, &head, caps) == 0);
	memcpy(less, caps, sizeof less);
	less[0].effective &= ~(1U << CAP_NET_ADMIN);
	/* Capabilities are a thread's, and the pool's threads may be there already: so the socket
	 * is opened without, which netlink looks at as well. */
	CHECK(syscall(SYS_capset, &head, less) == 0);
	nladdr_close(r.n);
	CHECK_INT(nladdr_open(&r.loop, on_done, &r, &r.n), 0);
	CHECK_INT(one(&r, BIND_ADD, "10.0.0.1"), -EPERM);
	CHECK(syscall(SYS_capset, &head, caps) == 0);
	tear_down(&r);
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_attributes),
		CHECK_TEST(test_errors), CHECK_TEST(test_not_the_hosts), CHECK_TEST(test_batch),
		CHECK_TEST(test_close_under_way), CHECK_TEST(test_seen_apart),
		CHECK_TEST(test_ends_by_itself), CHECK_TEST(test_no_permission)};

	if (unshare(CLONE_NEWNET) != 0 || system("ip link set lo up") != 0) {
		printf("test_nladdr: 0 passed, 0 failed, %zu skipped (needs root: no network "
		       "namespace of its own: %s)\n",
			ARRAY_LEN(tests), strerror(errno));
		return 0;
	}
	return check_main("test_nladdr", tests, ARRAY_LEN(tests));
}
