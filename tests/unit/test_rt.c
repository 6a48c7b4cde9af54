/* SPDX-License-Identifier: Apache-2.0
 *
 * test_rt.c - real-time scheduling is taken where it may be, and given up by a process that does
 * not pause.
 *
 * Each row is a child of its own.  Where this process may not have it (no CAP_SYS_NICE), what is
 * left of each row is that it goes on all the same.
 */
#include "check.h"
#include "rt.h"

#include "log.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { NOBODY = 65534, BUSY_MS = 1500, NOW_MS = 5000 };

static int policy(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

/* May it be had here?  Then it is. */
static bool be_real_time(int priority)
{
	const struct sched_param p = {.sched_priority = priority};

	return sched_setscheduler(0, SCHED_FIFO, &p) == 0;
}

static uint64_t cpu_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Computes until it is ordinary: how long that took; BUSY_MS: it stayed what it was. */
static uint64_t compute(void)
{
	uint64_t begin = cpu_ms();

	while (policy() != SCHED_OTHER && cpu_ms() - begin < BUSY_MS)
		;
	return cpu_ms() - begin;
}

static void pause_shortly(void)
{
	const struct timespec t = {.tv_nsec = 1000000};

	(void)nanosleep(&t, NULL);
}

static int policy_of_child(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(policy());
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

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
		_exit(check_failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
}

/* Nobody asked: nothing is changed, not the stretch either. */
static void not_wanted(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit l;
	struct rt t;

	CHECK_INT(setrlimit(RLIMIT_RTPRIO, &none), 0);
	rt_start(&t);
	rt_run(&t, NOW_MS);
	CHECK_INT(t.priority, 0);
	CHECK_INT(sched_getscheduler(0), SCHED_OTHER);
	CHECK(getrlimit(RLIMIT_RTTIME, &l) == 0 && l.rlim_cur == l.rlim_max);
}

static void taken_and_given_up(void)
{
	uint64_t busy_ms;
	struct rt t;

	if (!be_real_time(3))
		return;
	rt_start(&t);
	CHECK_INT(t.priority, 3);
	CHECK_INT(sched_getscheduler(0), SCHED_RR | SCHED_RESET_ON_FORK);
	CHECK_INT(policy_of_child(), SCHED_OTHER);
	for (unsigned i = 0; i < 3; i++) { /* the kernel moves the limit on by a second each time */
		rt_run(&t, NOW_MS);
		CHECK_INT(policy(), SCHED_RR);
		busy_ms = compute();
		CHECK(busy_ms >= RT_STRETCH_MS - 20 && busy_ms < RT_STRETCH_MS + 300);
		rt_run(&t, NOW_MS);
		rt_run(&t, NOW_MS + RT_ORDINARY_MS - 1);
		CHECK_INT(policy(), SCHED_OTHER);
		rt_run(&t, NOW_MS + RT_ORDINARY_MS);
		CHECK_INT(policy(), SCHED_RR);
		pause_shortly();
	}
}

/* Stretches are counted from the last pause. */
static void pauses(void)
{
	struct rt t;

	if (!be_real_time(1))
		return;
	rt_start(&t);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t begin = cpu_ms();

		while (cpu_ms() - begin < RT_STRETCH_MS / 4)
			;
		pause_shortly();
		CHECK_INT(policy(), SCHED_RR);
	}
}

/* Without the right to have it again: ordinary, and no more asking. */
static void refused(void)
{
	const struct rlimit none = {0, 0};
	struct rt t;

	if (!be_real_time(1))
		return;
	rt_start(&t);
	CHECK_INT(setrlimit(RLIMIT_RTPRIO, &none), 0);
	CHECK_INT(setuid(NOBODY), 0);
	CHECK(compute() < BUSY_MS); /* to give it up needs no right */
	rt_run(&t, NOW_MS);
	rt_run(&t, NOW_MS + RT_ORDINARY_MS);
	CHECK_INT(policy(), SCHED_OTHER);
	CHECK_INT(t.priority, 0);
	rt_run(&t, NOW_MS + 3 * RT_ORDINARY_MS);
	CHECK_INT(policy(), SCHED_OTHER);
}

/* As by a unit file's CPUSchedulingPolicy=fifo, without a right of its own: it may not become RR,
 * and is looked after all the same. */
static void refused_at_start(void)
{
	const struct rlimit none = {0, 0};
	struct rt t;

	if (!be_real_time(1))
		return;
	CHECK_INT(setrlimit(RLIMIT_RTPRIO, &none), 0);
	CHECK_INT(setuid(NOBODY), 0);
	rt_start(&t);
	CHECK_INT(t.priority, 0);
	CHECK_INT(policy(), SCHED_FIFO);
	CHECK(compute() < BUSY_MS);
	rt_run(&t, NOW_MS);
	CHECK_INT(policy(), SCHED_OTHER);
}

static void test_not_wanted(void)
{
	in_child(not_wanted);
}

static void test_taken_and_given_up(void)
{
	in_child(taken_and_given_up);
}

static void test_pauses(void)
{
	in_child(pauses);
}

static void test_refused(void)
{
	in_child(refused);
}

static void test_refused_at_start(void)
{
	in_child(refused_at_start);
}

CHECK_MAIN("test_rt", CHECK_TEST(test_not_wanted), CHECK_TEST(test_taken_and_given_up),
	CHECK_TEST(test_pauses), CHECK_TEST(test_refused), CHECK_TEST(test_refused_at_start))
