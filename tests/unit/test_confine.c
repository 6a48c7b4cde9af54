/* SPDX-License-Identifier: Apache-2.0
 *
 * test_confine.c - what the kernel refuses to a confined process, and what not.  Each test is a
 * child of its own.
 */
#include "check.h"
#include "confine.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/capability.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <uv.h>

static void in_child(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		check_failures = 0;
		fn();
		(void)fflush(stdout);
		_exit(check_failures == 0 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* -- system calls -- */

#ifdef __SANITIZE_ADDRESS__
static const bool filtered = false;
#else
static const bool filtered = true;
#endif

static void refused(void)
{
	char *const argv[] = {(char *)(uintptr_t)"true", NULL};
	int err = confine_calls();

	CHECK_INT(err, 0);
	if (!filtered)
		return;
	CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK(execv("/bin/true", argv) == -1 && errno == EPERM);
	CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
	CHECK(syscall(__NR_io_uring_setup, 1, NULL) == -1 && errno == EPERM);
	CHECK(syscall(__NR_mount, NULL, NULL, NULL, 0, NULL) == -1 && errno == EPERM);
	CHECK(syscall(__NR_bpf, 0, NULL, 0) == -1 && errno == EPERM);
	CHECK(syscall(__NR_unshare, 0) == -1 && errno == EPERM);
	CHECK(syscall(__NR_setuid, 0) == -1 && errno == EPERM);
	check_row = "a number that there is not";
	CHECK(syscall(100000) == -1 && errno == EPERM);
	check_row = "clone3, before the kernel sees that it has no arguments";
	CHECK(syscall(__NR_clone3, NULL, 0) == -1 && errno == ENOSYS);
	check_row = "a second filter";
	CHECK(confine_calls() == -EPERM);
}

static void test_refused(void)
{
	in_child(refused);
}

/* A child with these flags: 0, or errno. */
static int clone_with(long flags)
{
	long pid = syscall(__NR_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : waitpid((pid_t)pid, NULL, 0) == pid ? 0 : ECHILD;
}

static void namespaces(void)
{
	static const struct {
		const char *name;
		long flag;
	} rows[] = {{"user", CLONE_NEWUSER}, {"net", CLONE_NEWNET}, {"mount", CLONE_NEWNS},
		{"pid", CLONE_NEWPID}, {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC},
		{"cgroup", CLONE_NEWCGROUP}};

	CHECK_INT(confine_calls(), 0);
	CHECK_INT(clone_with(0), 0);
	for (size_t i = 0; filtered && i < sizeof rows / sizeof rows[0]; i++) {
		check_row = rows[i].name;
		CHECK_INT(clone_with(rows[i].flag), EPERM);
	}
}

static void test_namespaces(void)
{
	in_child(namespaces);
}

#ifdef __x86_64__
/* getpid() by the way of programs of 32 bits, whose 20 is writev() here, which may be called. */
static void other_calls(void)
{
	long r = 20;

	CHECK_INT(confine_calls(), 0);
	__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
	CHECK(!filtered || r == -EPERM || r == -ENOSYS);
	check_row = "x32";
	CHECK(!filtered || (syscall(__NR_getpid | 0x40000000) == -1 && errno == EPERM));
}

static void test_other_calls(void)
{
	in_child(other_calls);
}
#else
static void test_other_calls(void)
{
}
#endif

static void job(uv_work_t *w)
{
	*(bool *)w->data = true;
}

static void resolved(uv_getaddrinfo_t *r, int status, struct addrinfo *list)
{
	*(int *)r->data = status;
	uv_freeaddrinfo(list);
}

/* The loop, its threads, names, a copy of the process: all of it goes on. */
static void allowed(void)
{
	uv_loop_t loop;
	uv_work_t work;
	uv_getaddrinfo_t names;
	bool done = false;
	int status = -1;
	long pid;

	CHECK_INT(confine_calls(), 0);
	CHECK_INT(uv_loop_init(&loop), 0);
	work.data = &done;
	names.data = &status;
	CHECK_INT(uv_queue_work(&loop, &work, job, NULL), 0);
	CHECK_INT(uv_getaddrinfo(&loop, &names, resolved, "localhost", "80", NULL), 0);
	CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CHECK(done);
	CHECK_INT(status, 0);
	CHECK_INT(uv_loop_close(&loop), 0);
	CHECK_INT(clone_with(0), 0);
#ifdef __NR_fork /* musl's way */
	pid = syscall(__NR_fork);
	if (pid == 0)
		_exit(0);
	CHECK(pid > 0 && waitpid((pid_t)pid, NULL, 0) == pid);
#endif
	check_row = "nice";
	errno = 0;
	CHECK(nice(1) != -1 || errno == 0);
}

static void test_allowed(void)
{
	in_child(allowed);
}

/* -- capabilities -- */

static uint64_t permitted(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct v[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(__NR_capget, &h, v) < 0)
		abort();
	CHECK(v[0].effective == v[0].permitted && v[1].effective == v[1].permitted);
	return (uint64_t)v[1].permitted << 32 | v[0].permitted;
}

static void test_needed(void)
{
	const uint64_t net = UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_NET_ADMIN;

	CHECK(confine_needed(false, false) == net);
	CHECK(confine_needed(true, false) == (net | UINT64_C(1) << CAP_NET_BIND_SERVICE));
	CHECK(confine_needed(false, true) == (net | UINT64_C(1) << CAP_SYS_NICE));
}

static void dropped(void)
{
	const uint64_t had = permitted(), keep = confine_needed(false, false);

	CHECK_INT(confine_calls(), 0); /* as lbd does: it leaves the way to drop them */
	CHECK_INT(confine_capabilities(keep), 0);
	CHECK(permitted() == (had & keep));
	CHECK_INT(confine_capabilities(keep), 0);
	CHECK(permitted() == (had & keep));
	check_row = "the upper half of the set";
	CHECK_INT(confine_capabilities(0), 0);
	CHECK(permitted() == 0);
}

static void test_dropped(void)
{
	in_child(dropped);
}

CHECK_MAIN("test_confine", CHECK_TEST(test_refused), CHECK_TEST(test_namespaces),
	CHECK_TEST(test_other_calls), CHECK_TEST(test_allowed), CHECK_TEST(test_needed),
	CHECK_TEST(test_dropped))
