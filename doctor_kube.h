/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_kube.h - asks the API server what lbd doctor wants to know of it, and of the cluster.
 */
#ifndef LBD_DOCTOR_KUBE_H
#define LBD_DOCTOR_KUBE_H

#include "doctor.h"

/* Fills api, certs and, by DaemonSets, rivals; kubeconfig, context: as creds_new() has them.  It
 * takes up to 10 s.  f->conf, if there is one, says which rights are needed, f->node whose Node is
 * looked for. */
void doctor_kube_read(const char *kubeconfig, const char *context, struct doctor_facts *f);

#endif
