/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.c - what this process may still ask of the kernel: few capabilities, few system calls.
 *
 * Owns: nothing; what it takes away is gone until the process ends.
 * In:   a table, what the configuration wants.  Out: seccomp(2), capset(2).
 * Sources: seccomp(2), capabilities(7); the kernel's Documentation/userspace-api/seccomp_filter.rst.
 * Not done: a look at arguments, but for clone's.
 *
 * Why EPERM and no signal: a call that a library makes once a year is then an error like others,
 * and a node goes on serving.  Who wants to know: docs/lbd.8, SANDBOX.
 *
 * Capabilities are dropped from the permitted set only.  The bounding and ambient sets speak of
 * what execve(2) gives, and that is not among the calls.
 */
#include "confine.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#endif

/* -- system calls -- */

#ifdef ARCHITECTURE
/* Sorted within each part.  Both libcs are meant, glibc and musl, and both builds' libuv. */
static const uint16_t calls[] = {
	__NR_accept4,
	__NR_bind,
	__NR_brk,
	__NR_capget, /* rights go when the configuration is read: confine_capabilities() */
	__NR_capset,
	__NR_clock_getres,
	__NR_clock_gettime, /* where the vDSO cannot tell */
	__NR_close,
	__NR_close_range, /* apart.c, as are fork, clone, prctl, setpriority, wait4 and kill */
	__NR_connect,
	__NR_dup3,
	__NR_epoll_create1,
	__NR_epoll_ctl,
	__NR_epoll_pwait,
	__NR_eventfd2,
	__NR_exit,
	__NR_exit_group,
	__NR_faccessat,
	__NR_fchmod,
	__NR_fchmodat,
	__NR_fcntl,
	__NR_fstat,
	__NR_fsync,
	__NR_futex,
	__NR_getcwd, /* realpath(3) of a relative -c */
	__NR_getdents64, /* this and getrusage: what scrape.c says of this process */
	__NR_getpid,
	__NR_getppid,
	__NR_getpriority,
	__NR_getrandom,
	__NR_getrusage,
	__NR_getsockname,
	__NR_getsockopt,
	__NR_gettid,
	__NR_inotify_add_watch,
	__NR_inotify_init1,
	__NR_inotify_rm_watch,
	__NR_ioctl,
	__NR_kill,
	__NR_listen,
	__NR_lseek,
	__NR_madvise,
	__NR_mkdirat,
	__NR_mprotect,
	__NR_mremap,
	__NR_munmap,
	__NR_openat,
	__NR_pipe2,
	__NR_ppoll,
	__NR_prctl,
	__NR_pread64, /* glibc: what it loads to resolve names */
	__NR_prlimit64,
	__NR_read,
	__NR_readlinkat,
	__NR_readv,
	__NR_recvfrom,
	__NR_recvmmsg,
	__NR_recvmsg,
	__NR_renameat,
	__NR_restart_syscall, /* the kernel's own, after a stop */
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
	__NR_sched_getaffinity,
	__NR_sched_getparam,
	__NR_sched_getscheduler,
	__NR_sched_setscheduler,
	__NR_sched_yield,
	__NR_sendmmsg,
	__NR_sendmsg,
	__NR_sendto,
	__NR_set_robust_list, /* this and the next: in a new thread or copy */
	__NR_set_tid_address,
	__NR_setpriority,
	__NR_setsockopt,
	__NR_shutdown,
	__NR_socket,
	__NR_statx,
	__NR_tgkill, /* REQUIRE(): a core file is worth more than a riddle */
	__NR_timerfd_create,
	__NR_timerfd_settime,
	__NR_tkill,
	__NR_uname,
	__NR_unlinkat,
	__NR_wait4,
	__NR_write,
	__NR_writev,
#ifdef __NR_rseq /* glibc, in a new thread */
	__NR_rseq,
#endif
#ifdef __NR_mmap
	__NR_mmap,
#endif
#ifdef __NR_newfstatat
	__NR_newfstatat,
#endif
#ifdef __x86_64__ /* older names for the same */
	__NR_access,
	__NR_chmod,
	__NR_dup2,
	__NR_epoll_wait,
	__NR_fork, /* musl's way to it */
	__NR_lstat,
	__NR_mkdir,
	__NR_open,
	__NR_poll,
	__NR_readlink,
	__NR_rename,
	__NR_stat,
	__NR_unlink,
#endif
#ifdef __arm__ /* the same for files and times of 64 bits, and older names */
	__NR__llseek,
	__NR_access,
	__NR_chmod,
	__NR_clock_getres_time64,
	__NR_clock_gettime64,
	__NR_dup2,
	__NR_fcntl64,
	__NR_fork,
	__NR_fstat64,
	__NR_fstatat64,
	__NR_futex_time64,
	__NR_lstat64,
	__NR_mkdir,
	__NR_mmap2,
	__NR_open,
	__NR_poll,
	__NR_ppoll_time64,
	__NR_readlink,
	__NR_recvmmsg_time64,
	__NR_rename,
	__NR_sigreturn,
	__NR_stat64,
	__NR_timerfd_settime64,
	__NR_unlink,
#endif
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define EQUAL(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(k), t, f)
#define ANSWER(k)      BPF_STMT(BPF_RET | BPF_K, (uint32_t)(k))
#define REFUSE(err)    ANSWER(SECCOMP_RET_ERRNO | (uint32_t)(err))

enum {
	NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		     CLONE_NEWPID | CLONE_NEWNET,
};

/* Another processor's calls (the same kernel takes those of 32 bits) have other numbers.  clone3
 * has its flags where no filter sees them; glibc takes ENOSYS for a word to use clone.  A process
 * that may make a user namespace has every capability there, and with them the kernel's worst
 * corners; of clone's flags all of those are in the lower half (args[0], little-endian). */
static const struct sock_filter head[] = {
	LOAD(arch),
	EQUAL(ARCHITECTURE, 1, 0),
	REFUSE(EPERM),
	LOAD(nr),
	EQUAL(__NR_clone3, 0, 1),
	REFUSE(ENOSYS),
	EQUAL(__NR_clone, 0, 4),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)NAMESPACES, 0, 1),
	REFUSE(EPERM),
	ANSWER(SECCOMP_RET_ALLOW),
};

/* The length: head, a comparison for each call, the two answers. */
enum { FILTER_LEN = ARRAY_LEN(head) + ARRAY_LEN(calls) + 2 };

static void assemble(struct sock_filter v[static FILTER_LEN])
{
	const size_t n = ARRAY_LEN(calls);
	size_t len = 0;

	_Static_assert(ARRAY_LEN(calls) <= UINT8_MAX, "a jump's reach");
	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		v[len++] = head[i];
	for (size_t i = 0; i < n; i++)
		v[len++] = (struct sock_filter)EQUAL(calls[i], (uint8_t)(n - i), 0);
	v[len++] = (struct sock_filter)REFUSE(EPERM);
	v[len] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
}

static int install(void)
{
	struct sock_filter v[FILTER_LEN];
	const struct sock_fprog f = {.len = FILTER_LEN, .filter = v};

	assemble(v);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f) < 0 ? -errno : 0;
}
#else
static int install(void)
{
	return -ENOSYS;
}
#endif

int confine_calls(void)
{
#ifdef __SANITIZE_ADDRESS__ /* whose search for leaks traces the process */
	const bool traced = true;
#else
	const bool traced = false;
#endif

	return traced ? 0 : install();
}

/* -- capabilities -- */

#define BIT(capability) (UINT64_C(1) << (capability))

uint64_t confine_needed(bool listens, bool reschedules)
{
	return BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | (listens ? BIT(CAP_NET_BIND_SERVICE) : 0) |
	       (reschedules ? BIT(CAP_SYS_NICE) : 0);
}

int confine_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct v[_LINUX_CAPABILITY_U32S_3] = {0};
	uint32_t dropped = 0;

	if (syscall(__NR_capget, &h, v) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		const uint32_t mask = (uint32_t)(keep >> (32 * i));

		dropped |= v[i].permitted & ~mask;
		v[i].permitted &= mask;
		v[i].effective &= mask;
		v[i].inheritable = 0;
	}
	/* Where there is nothing to drop, the unit file's own filter has no capset. */
	if (dropped == 0)
		return 0;
	return syscall(__NR_capset, &h, v) < 0 ? -errno : 0;
}
