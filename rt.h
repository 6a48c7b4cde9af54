/* SPDX-License-Identifier: Apache-2.0
 *
 * rt.h - real-time scheduling, where the process may have it: it is run before ordinary processes,
 * but for no long stretch.
 */
#ifndef LBD_RT_H
#define LBD_RT_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RT_STRETCH_MS = 200, /* of computing without a pause: then it is an ordinary process */
	RT_ORDINARY_MS = 10 * 1000, /* for so long */
};

struct rt {
	int priority;      /* 0: nobody asked for it, or it was refused */
	uint64_t again_ms; /* ordinary until then; 0 = it is not */
};

/* Takes SCHED_RR at its lowest priority if RLIMIT_RTPRIO says that it may; a process that was
 * started in a real-time class keeps its priority.  One that is neither is left as it is; one that
 * is refused says so in the log.  Children and threads are ordinary.  SIGXCPU is rt.c's from then
 * on. */
void rt_start(struct rt *t);
/* To be called now and then: notes that it is ordinary, and ends that. */
void rt_run(struct rt *t, uint64_t now_ms);

/* Is CAP_SYS_NICE wanted for it? It is where the class comes with no limit that allows it: a process
 * that was made ordinary could not have it again. */
bool rt_wants_right(void);

/* The last thing that a job in libuv's pool does, and, with what that returned, the first one of
 * the loop when the job is over: between them the thread has the loop's class.  The loop spins until
 * the thread has said that it is done (uv_async_send()), and would keep an ordinary one from saying
 * so (libuv 1.44, uv__async_spin()). */
int rt_job_done(void);
void rt_job_over(int tid);

#endif
