/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_host.h - reads what lbd doctor wants to know of a host: /proc, /sys, its firewall's rules.
 */
#ifndef LBD_DOCTOR_HOST_H
#define LBD_DOCTOR_HOST_H

#include "doctor.h"

/* Fills host, firewall and, by processes' names, rivals.  root: the tree whose /proc and /sys are
 * read; NULL = this host's, and then the programs nft and iptables-save are asked, 3 s at most
 * each. f->conf, if there is one, says which ports matter.  What cannot be read is not known. */
void doctor_host_read(const char *root, struct doctor_facts *f);

#endif
