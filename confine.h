/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.h - what this process may still ask of the kernel: few capabilities, few system calls.
 */
#ifndef LBD_CONFINE_H
#define LBD_CONFINE_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>

/* Every system call but those that lbd makes is answered with EPERM from now on, for this process
 * and what it forks; nor can it gain a right by running a program.  To be called before the event
 * loop is made, which else opens an io_uring, past which calls go unseen.  0 or -errno: where the
 * kernel has no such filters, -EINVAL or -ENOSYS. */
int confine_calls(void) MUST_CHECK;

/* The capabilities that stay, as bits: those for frames and interfaces; to listen at a port below
 * 1024, and to ask for a real-time class anew, where wanted.  Pure. */
uint64_t confine_needed(bool listens, bool reschedules) MUST_CHECK;
/* Gives up all but those, of what there is.  For the calling thread: before there are others.  0
 * or -errno. */
int confine_capabilities(uint64_t keep) MUST_CHECK;

#endif
