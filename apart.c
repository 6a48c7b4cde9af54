/* SPDX-License-Identifier: Apache-2.0
 *
 * apart.c - work done by a copy of the process.
 *
 * Owns: one child process at a time.
 * In:   a function that reads the process's memory and writes to one descriptor.
 * Out:  whether it succeeded.
 * Sources: fork(2), close_range(2), prctl(2) PR_SET_PDEATHSIG.
 *
 * The copy must not keep what is alone this process's: rings and sockets that go on receiving, a
 * lock that would outlive a crash, the pipe by which libuv's handlers tell the loop of signals.
 */
#include "apart.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FD_KEPT = 3, NICER = 5 };

static void leave_loop(void)
{
	static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGXCPU};

	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		(void)signal(handled[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!nice(NICER);
}

static void close_from(unsigned first)
{
	if (syscall(SYS_close_range, first, UINT_MAX, 0) == 0) /* musl has no function for it */
		return;
	for (long fd = sysconf(_SC_OPEN_MAX); fd-- > (long)first;) /* before Linux 5.9 */
		(void)close((int)fd);
}

static _Noreturn void be_copy(pid_t parent, int fd, bool (*work)(void *ctx, int fd), void *ctx)
{
	leave_loop();
	if (getppid() != parent || (fd != FD_KEPT && dup2(fd, FD_KEPT) < 0))
		_exit(1);
	close_from(FD_KEPT + 1);
	_exit(work(ctx, FD_KEPT) ? 0 : 1);
}

static pid_t wait_for(pid_t pid, int *ret_status, int options)
{
	pid_t r;

	do
		r = waitpid(pid, ret_status, options);
	while (r < 0 && errno == EINTR);
	return r;
}

static void on_child(uv_signal_t *signal, int number)
{
	struct apart *a = CONTAINER_OF(signal, struct apart, signal);
	int status = 0;

	(void)number;
	if (a->pid == 0 || wait_for(a->pid, &status, WNOHANG) == 0)
		return;
	a->pid = 0;
	a->done(a, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int apart_init(struct apart *a, uv_loop_t *loop, void (*done)(struct apart *a, bool ok))
{
	int r = uv_signal_init(loop, &a->signal);

	a->pid = 0;
	a->done = done;
	return r;
}

int apart_start(struct apart *a, int fd, bool (*work)(void *ctx, int fd), void *ctx)
{
	pid_t parent = getpid(), pid;
	int r;

	if (a->pid != 0)
		return -EBUSY;
	r = uv_signal_start(&a->signal, on_child, SIGCHLD);
	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_copy(parent, fd, work, ctx);
	a->pid = pid;
	return 0;
}

void apart_cancel(struct apart *a)
{
	int status;

	if (a->pid == 0)
		return;
	(void)kill(a->pid, SIGKILL);
	(void)wait_for(a->pid, &status, 0);
	a->pid = 0;
}
