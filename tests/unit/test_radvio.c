/* SPDX-License-Identifier: Apache-2.0
 *
 * test_radvio.c - Router Advertisements through the kernel: a network namespace of this process's
 * own with a veth pair, v0 and v1, whose link-local addresses are fe80::1 and fe80::2.
 */
#include "radvio.h"

#include "check.h"
#include "log.h"
#include "oom.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { LINKS = 2, MESSAGE = 4096 };

static const uint8_t mac[LINKS][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const char ll[LINKS][8] = {"fe80::1", "fe80::2"};

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

/* Raw ICMPv6 sockets of the namespace: local address ::, next header 3a. */
static unsigned sockets(void)
{
	return count_lines("/proc/net/raw6", "00000000000000000000000000000000:003A", "");
}

/* Is v0 in the group of all routers? */
static unsigned in_group(void)
{
	return count_lines("/proc/net/igmp6", "v0", "ff020000000000000000000000000002");
}

static struct addr addr(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

/* -- the inside -- */

struct rig {
	uv_loop_t loop;
	struct radvio *io;
	struct rng rng;
	unsigned v[LINKS];
	unsigned changed;
	bool unwant; /* what changed() does */
	bool closed;
	int fd; /* a router's socket on v1 */
};

static void on_closed(void *ctx)
{
	((struct rig *)ctx)->closed = true;
}

static void on_changed(void *ctx, unsigned ifindex)
{
	struct rig *r = ctx;

	r->changed++;
	if (r->unwant)
		radvio_unwant(r->io, ifindex);
}

static const struct radvio_ops ops = {on_changed, on_closed};

static void add_address(unsigned i)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "ip -6 addr add %s/64 dev v%u nodad", ll[i], i);
	CHECK(command(line));
}

static int open_socket(const char *dev)
{
	const struct ipv6_mreq routers = {.ipv6mr_multiaddr.s6_addr = {0xff, 0x02, [15] = 2},
		.ipv6mr_interface = if_nametoindex(dev)};
	const int on = 1, hops = 255;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, 3) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &routers, sizeof routers) != 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) != 0)
		abort();
	return fd;
}

static void set_up(struct rig *r)
{
	memset(r, 0, sizeof *r);
	r->rng.state = (uint64_t)getpid();
	CHECK(command("ip link add v0 type veth peer name v1"));
	for (unsigned i = 0; i < LINKS; i++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "ip link set v%u addrgenmode none up", i);
		CHECK(command(line));
		add_address(i);
	}
	r->v[0] = if_nametoindex("v0");
	r->v[1] = if_nametoindex("v1");
	r->fd = open_socket("v1");
	(void)uv_loop_init(&r->loop);
	if (radvio_open(&r->loop, &ops, r, &r->rng, &r->io) != 0)
		abort();
}

static void tear_down(struct rig *r)
{
	radvio_close(r->io);
	radvio_close(NULL);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK(r->closed);
	CHECK_INT(uv_loop_close(&r->loop), 0);
	(void)close(r->fd);
	(void)command("ip link del v1");
}

static void want(struct rig *r, unsigned i)
{
	CHECK_INT(radvio_want(r->io, r->v[i], mac[i]), 0);
}

static void on_alarm(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void run(struct rig *r, unsigned ms)
{
	uv_timer_t t;

	(void)uv_timer_init(&r->loop, &t);
	(void)uv_timer_start(&t, on_alarm, ms, 0);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&t, NULL);
	(void)uv_run(&r->loop, UV_RUN_NOWAIT);
}

static bool router_is(const struct rig *r, unsigned i, const char *s)
{
	struct addr a;

	return radvio_router(r->io, r->v[i], &a) && addr_eq(a, addr(s));
}

static struct radv_view view(const struct rig *r)
{
	struct radv_view v = {0};

	CHECK(radv_view(radvio_engine(r->io), r->v[0], &v));
	return v;
}

/* What the router hears next, other than what it says itself: its type; 0 = nothing. */
static uint8_t heard(struct rig *r, struct sockaddr_in6 *from, int *ret_hops)
{
	uint8_t data[MESSAGE];
	uint64_t control[16];
	struct iovec iov = {data, sizeof data};
	struct msghdr h = {.msg_name = from,
		.msg_namelen = sizeof *from,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control};
	ssize_t n = recvmsg(r->fd, &h, 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	if (n <= 0 || c == NULL)
		return 0;
	memcpy(ret_hops, CMSG_DATA(c), sizeof *ret_hops);
	return data[0];
}

static bool run_until_heard(struct rig *r, uint8_t type)
{
	for (unsigned i = 0; i < 250; i++) {
		struct sockaddr_in6 from;
		uint8_t what;
		int hops;

		while ((what = heard(r, &from, &hops)) != 0) {
			if (what != type)
				continue;
			CHECK_INT(hops, 255);
			CHECK(addr_eq(addr_from_v6(from.sin6_addr.s6_addr), addr(ll[0])));
			return true;
		}
		run(r, 20);
	}
	return false;
}

/* As the router, or by v0 as another program of this node: len bytes, the last ones options. */
static void say(struct rig *r, unsigned i, uint8_t type, size_t len, int hops)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = r->v[i]};
	uint8_t data[MESSAGE] = {type};
	int fd = i == 1 ? r->fd : socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	for (size_t at = 16; at < len; at += 8)
		data[at + 1] = 1;
	CHECK(inet_pton(AF_INET6, type == ND_ROUTER_SOLICIT ? "ff02::2" : "ff02::1",
		      &to.sin6_addr) == 1);
	CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) == 0);
	CHECK_INT(sendto(fd, data, len, 0, (const struct sockaddr *)&to, sizeof to), len);
	if (i != 1)
		(void)close(fd);
}

/* One process on both ends. */
static void test_both_ends(void)
{
	struct rig r;

	set_up(&r);
	want(&r, 0);
	want(&r, 1);
	for (unsigned i = 0; i < 250 && r.changed < 2; i++)
		run(&r, 20);
	CHECK(router_is(&r, 0, ll[1]));
	CHECK(router_is(&r, 1, ll[0]));
	CHECK_INT(sockets() - 1, 1); /* and the router's */
	tear_down(&r);
	CHECK_INT(sockets(), 0);
}

/* It says that it is there, it asks, and is asked; to the link, not to itself. */
static void test_said(void)
{
	uint8_t byte;
	struct rig r;
	int fd;

	set_up(&r);
	fd = open_socket("v0");
	want(&r, 0);
	CHECK(run_until_heard(&r, ND_ROUTER_ADVERT));
	CHECK(run_until_heard(&r, ND_ROUTER_SOLICIT));
	CHECK(recv(fd, &byte, sizeof byte, 0) < 0 && errno == EAGAIN);
	say(&r, 1, ND_ROUTER_SOLICIT, 8, 254); /* to see that it is heard */
	say(&r, 1, ND_NEIGHBOR_ADVERT, 24, 255);
	run(&r, 50);
	CHECK_INT(view(&r).dropped, 1);
	(void)close(fd);
	tear_down(&r);
}

static const struct {
	const char *name;
	size_t len;
	int hops;
	bool want;
} rows[] = {
	{"good", 16, 255, true},
	{"with options", 1200, 255, true},
	{"from another link", 16, 254, false},
	{"in fragments", 1600, 255, false},
	{"long", 4000, 255, false},
};

static void test_heard(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig r;

		check_row = rows[i].name;
		set_up(&r);
		want(&r, 0);
		run(&r, 20);
		say(&r, 1, ND_ROUTER_ADVERT, rows[i].len, rows[i].hops);
		run(&r, 50);
		CHECK_INT(router_is(&r, 0, ll[1]), rows[i].want);
		CHECK_INT(view(&r).dropped, !rows[i].want);
		CHECK_INT(r.changed, rows[i].want);
		tear_down(&r);
	}
}

/* Too long, and not in fragments. */
static void test_heard_cut(void)
{
	struct rig r;

	set_up(&r);
	CHECK(command("ip link set v0 mtu 9000") && command("ip link set v1 mtu 9000"));
	want(&r, 0);
	run(&r, 20);
	say(&r, 1, ND_ROUTER_ADVERT, 4000, 255);
	run(&r, 50);
	CHECK_INT(r.changed, 0);
	CHECK_INT(view(&r).dropped, 1);
	tear_down(&r);
}

/* What another program of this node says on the link is heard here, too. */
static void test_own(void)
{
	struct rig r;

	set_up(&r);
	want(&r, 0);
	run(&r, 20);
	say(&r, 0, ND_ROUTER_ADVERT, 16, 255);
	say(&r, 0, ND_ROUTER_ADVERT, 16, 254); /* to see that it is heard */
	run(&r, 50);
	CHECK_INT(view(&r).dropped, 1);
	CHECK_INT(r.changed, 0);
	tear_down(&r);
}

static void test_not_wanted(void)
{
	struct rig r;

	set_up(&r);
	run(&r, 20);
	CHECK_INT(sockets(), 1); /* the router's */
	want(&r, 0);
	run(&r, 20);
	CHECK_INT(sockets(), 2);
	CHECK_INT(in_group(), 1);
	want(&r, 1);
	radvio_unwant(r.io, r.v[0]);
	CHECK_INT(in_group(), 0);
	CHECK_INT(sockets(), 2);
	radvio_unwant(r.io, r.v[1]);
	want(&r, 0); /* while the other socket is closing */
	run(&r, 20);
	CHECK_INT(sockets(), 2);
	radvio_unwant(r.io, r.v[0]);
	run(&r, 20);
	CHECK_INT(sockets(), 1);
	tear_down(&r);
}

static void test_not_wanted_by_changed(void)
{
	struct rig r;

	set_up(&r);
	r.unwant = true;
	want(&r, 0);
	run(&r, 20);
	for (unsigned i = 0; i < 3; i++)
		say(&r, 1, ND_ROUTER_ADVERT, 16, 255);
	run(&r, 50);
	CHECK_INT(r.changed, 1);
	CHECK_INT(sockets(), 1);
	tear_down(&r);
}

/* The link has no IPv6 for a while: the kernel forgets the group. */
static void test_no_ipv6(void)
{
	struct rig r;

	set_up(&r);
	CHECK(command("ip link set v0 mtu 1200"));
	want(&r, 0);
	run(&r, 1200);
	CHECK_INT(view(&r).sent, 0);
	CHECK(command("ip link set v0 mtu 1500"));
	add_address(0);
	CHECK(run_until_heard(&r, ND_ROUTER_ADVERT));
	CHECK_INT(in_group(), 1);
	CHECK(command("ip link set v0 mtu 1200"));
	run(&r, 5000); /* another was due */
	CHECK(command("ip link set v0 mtu 1500"));
	add_address(0);
	run(&r, 1200);
	CHECK_INT(in_group(), 1);
	tear_down(&r);
}

static void test_no_descriptors(void)
{
	struct rlimit was, none;
	struct rig r;

	set_up(&r);
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	none = was;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	want(&r, 0);
	run(&r, 100);
	CHECK_INT(view(&r).sent, 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	CHECK(run_until_heard(&r, ND_ROUTER_ADVERT));
	tear_down(&r);
}

#ifdef MEMORY_CAN_FAIL
static void test_out_of_memory(void)
{
	struct radvio *io;
	struct rig r;

	set_up(&r);
	for (long i = 0; i < 2; i++) {
		fail_after = i;
		CHECK_INT(radvio_open(&r.loop, &ops, &r, &r.rng, &io), -ENOMEM);
	}
	fail_after = 0;
	CHECK_INT(radvio_want(r.io, r.v[0], mac[0]), -ENOMEM);
	fail_after = -1;
	want(&r, 0);
	fail_after = 0;
	run(&r, 100);
	fail_after = -1;
	CHECK_INT(view(&r).sent, 0);
	CHECK(run_until_heard(&r, ND_ROUTER_ADVERT));
	tear_down(&r);
}
#endif

static void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		abort();
	(void)close(fd);
}

/* The kernel is to ask for no routers of its own accord. */
static bool enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) != 0 || !command("ip link set lo up"))
		return false;
	write_setting("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
	return true;
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_both_ends), CHECK_TEST(test_said),
		CHECK_TEST(test_heard), CHECK_TEST(test_heard_cut), CHECK_TEST(test_own),
		CHECK_TEST(test_not_wanted), CHECK_TEST(test_not_wanted_by_changed),
		CHECK_TEST(test_no_ipv6),
#ifdef MEMORY_CAN_FAIL
		CHECK_TEST(test_out_of_memory),
#endif
		CHECK_TEST(test_no_descriptors)};

	if (!enter_namespace()) {
		printf("test_radvio: 0 passed, 0 failed, %zu skipped (needs root: no network "
		       "namespace of its own: %s)\n",
			ARRAY_LEN(tests), strerror(errno));
		return 0;
	}
	log_set_level(LOG_ERROR);
	return check_main("test_radvio", tests, ARRAY_LEN(tests));
}
