/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_run.h - lbd doctor: reads all there is to know, examines it, prints what was found.
 */
#ifndef LBD_DOCTOR_RUN_H
#define LBD_DOCTOR_RUN_H

#include "base.h"

#include <stdbool.h>

struct doctor_options {
	const char *config;               /* -c */
	bool config_given;                /* else it may be absent */
	const char *root;                 /* --root; NULL = this host */
	const char *kubeconfig, *context; /* NULL = not given */
	const char *node_name;            /* --node-name; NULL = not given */
	const char *control;
	bool json;
};

/* 0: nothing is to be done; 1: something is; or what was found cannot be printed, which it said. */
int doctor_run(const struct doctor_options *o) MUST_CHECK;

#endif
