/* SPDX-License-Identifier: Apache-2.0
 *
 * rt.c - real-time scheduling, where the process may have it.
 *
 * Owns: this thread's scheduling policy, RLIMIT_RTTIME, SIGXCPU.
 * In:   the limits that the unit file sets; time.
 * Out:  nothing but log lines: whatever is refused, lbd goes on.
 * Not done: the threads that resolve names, which getaddrinfo() ends with no word of ours.
 * Sources: sched(7), prlimit(2), signal(7); Linux's Documentation/scheduler/sched-rt-group.rst.
 *
 * Why not by systemd's CPUSchedulingPolicy=: that is set before the program runs, and where it is
 * refused (CONFIG_RT_GROUP_SCHED and a control group without a real-time budget) there is no lbd.
 *
 * Why it starves nobody: whoever computes for RT_STRETCH_MS without once waiting gets SIGXCPU,
 * whose handler gives the class up; a loop that never ends is then one busy process among others,
 * as is a node under a flood of frames.  The signal is the kernel's, so it needs nothing of the
 * event loop.
 *
 * musl's sched_* functions are empty, as POSIX means processes and Linux threads: hence syscall().
 * Its setrlimit() brings in all that a process needs to stop its own threads; prlimit() does not.
 */
#include "rt.h"

#include "log.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t is_ordinary; /* by the handler */

/* Of the main thread, whichever runs the handler.  0 or -errno. */
static int set_policy(int policy, int priority)
{
	const struct sched_param p = {.sched_priority = priority};

	if (syscall(SYS_sched_setscheduler, getpid(), policy | SCHED_RESET_ON_FORK, &p) < 0)
		return -errno;
	return 0;
}

static void on_stretch(int number)
{
	int err = errno;

	(void)number;
	if (set_policy(SCHED_OTHER, 0) == 0)
		is_ordinary = 1;
	errno = err;
}

/* The kernel moves the limit on each time that it is reached: it is set anew.  0 or -errno. */
static int limit_stretch(void)
{
	const rlim_t us = (rlim_t)RT_STRETCH_MS * 1000;
	struct rlimit l;

	if (prlimit(0, RLIMIT_RTTIME, NULL, &l) < 0)
		return -errno;
	l.rlim_cur = us < l.rlim_max ? us : l.rlim_max;
	return prlimit(0, RLIMIT_RTTIME, &l, NULL) < 0 ? -errno : 0;
}

static void take(struct rt *t)
{
	int err = limit_stretch();

	is_ordinary = 0;
	if (err == 0)
		err = set_policy(SCHED_RR, t->priority);
	if (err == 0)
		return;
	log_warn("lbd", "no real-time scheduling: under load, others may take this node for dead",
		"err", strerror(-err), NULL);
	t->priority = 0;
}

/* The priority that it is to have; 0: none. */
static int wanted(void)
{
	struct sched_param p = {0};
	struct rlimit l;

	if (syscall(SYS_sched_getparam, 0, &p) == 0 && p.sched_priority > 0)
		return p.sched_priority;
	return prlimit(0, RLIMIT_RTPRIO, NULL, &l) == 0 && l.rlim_cur > 0;
}

bool rt_wants_right(void)
{
	struct rlimit l;

	return wanted() > 0 && prlimit(0, RLIMIT_RTPRIO, NULL, &l) == 0 &&
	       l.rlim_cur < (rlim_t)wanted();
}

void rt_start(struct rt *t)
{
	const struct sigaction a = {.sa_handler = on_stretch, .sa_flags = SA_RESTART};

	*t = (struct rt){.priority = wanted()};
	if (t->priority == 0 || sigaction(SIGXCPU, &a, NULL) < 0)
		return;
	take(t);
}

int rt_job_done(void)
{
	long policy = syscall(SYS_sched_getscheduler, getpid());
	struct sched_param p;

	if (policy > 0 && syscall(SYS_sched_getparam, getpid(), &p) == 0)
		(void)syscall(SYS_sched_setscheduler, 0, policy, &p); /* refused: it waits longer */
	return (int)syscall(SYS_gettid);
}

void rt_job_over(int tid)
{
	const struct sched_param p = {0};

	(void)syscall(SYS_sched_setscheduler, tid, SCHED_OTHER, &p);
}

void rt_run(struct rt *t, uint64_t now_ms)
{
	if (!is_ordinary || t->priority == 0)
		return;
	if (t->again_ms == 0) {
		t->again_ms = now_ms + RT_ORDINARY_MS;
		log_info("lbd", "long busy: an ordinary process for 10 s", NULL);
	} else if (now_ms >= t->again_ms) {
		t->again_ms = 0;
		take(t);
	}
}
