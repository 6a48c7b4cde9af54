/* SPDX-License-Identifier: Apache-2.0
 *
 * test_gateway.c - the default gateway by interface, of a real kernel: a network namespace of this
 * process's own.
 */
#include "gateway.h"

#include "check.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

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

static void set_up(void)
{
	static const char *const lines[] = {"ip link add v0 type veth peer name v1",
		"ip link set v1 up", "ip link set v0 up", "ip addr add 10.1.0.2/24 dev v0",
		"ip addr add 10.2.0.2/24 dev v1", "ip addr add fd01::2/64 dev v0 nodad",
		"ip route add default via 10.1.0.1 dev v0",
		"ip route add default via 10.2.0.1 dev v1 metric 100",
		"ip -6 route add default via fe80::1 dev v0"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		check_row = lines[i];
		CHECK(command(lines[i]));
	}
	check_row = "";
}

/* As text; "" = none. */
static const char *gateway(struct gateway *g, const char *dev, enum addr_family f, uint64_t now_ms)
{
	static char s[ADDR_STRLEN];
	struct addr a;

	s[0] = '\0';
	if (gateway_of(g, if_nametoindex(dev), f, now_ms, &a))
		(void)addr_format(a, s);
	return s;
}

static void test_by_interface(void)
{
	struct gateway *g = gateway_new();

	set_up();
	CHECK_STR(gateway(g, "v0", ADDR_V4, 0), "10.1.0.1");
	CHECK_STR(gateway(g, "v1", ADDR_V4, 0), "10.2.0.1"); /* not the best, but out by it */
	CHECK_STR(gateway(g, "v0", ADDR_V6, 0), "fe80::1");
	CHECK_STR(gateway(g, "v1", ADDR_V6, 0), "");
	CHECK_STR(gateway(g, "lo", ADDR_V4, 0), "");
	CHECK(command("ip route change default via 10.1.0.9 dev v0"));
	CHECK_STR(gateway(g, "v0", ADDR_V4, 999), "10.1.0.1"); /* asked once a second */
	CHECK_STR(gateway(g, "v0", ADDR_V4, 1000), "10.1.0.9");
	CHECK(command("ip link del v1"));
	CHECK_STR(gateway(g, "v0", ADDR_V4, 2000), "");
	gateway_free(g);
	gateway_free(NULL);
}

/* More interfaces than are remembered, and no descriptor for the socket. */
static void test_limits(void)
{
	struct gateway *g = gateway_new();
	struct rlimit was, none;
	struct addr a;

	set_up();
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	none = was;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(!gateway_of(g, if_nametoindex("v0"), ADDR_V4, 0, &a));
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	CHECK_STR(gateway(g, "v0", ADDR_V4, 0), "10.1.0.1");
	for (unsigned i = 0; i < 100; i++)
		CHECK(!gateway_of(g, 1000 + i, ADDR_V4, 0, &a));
	CHECK_STR(gateway(g, "v0", ADDR_V4, 0), "10.1.0.1");
	gateway_free(g);
	(void)command("ip link del v1");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_by_interface), CHECK_TEST(test_limits)};

	if (unshare(CLONE_NEWNET) != 0 || !command("ip link set lo up")) {
		printf("test_gateway: 0 passed, 0 failed, %zu skipped (needs root: no network "
		       "namespace of its own: %s)\n",
			ARRAY_LEN(tests), strerror(errno));
		return 0;
	}
	return check_main("test_gateway", tests, ARRAY_LEN(tests));
}
