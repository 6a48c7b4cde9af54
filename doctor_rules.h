/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_rules.h - do a firewall's rules drop BFD or BGP that comes in?  Pure.
 *
 * Only what is plain is understood: protocols, ports, connection states, the loopback interface,
 * jumps, policies.  Where the answer hangs on more, it is "cannot tell".  A rule that drops under
 * other conditions is about something else.
 */
#ifndef LBD_DOCTOR_RULES_H
#define LBD_DOCTOR_RULES_H

#include "doctor.h"

#include <cjson/cJSON.h>

/* What "nft -j list ruleset" printed.  iptables_read: tables with rules that nft cannot tell are
 * passed over, for iptables-save has told them. */
void doctor_rules_nft(
	const cJSON *ruleset, bool iptables_read, enum doctor_verdict ret_v[DOCTOR_PACKETS]);
/* What iptables-save or ip6tables-save printed. */
void doctor_rules_iptables(const char *text, size_t len, enum doctor_verdict ret_v[DOCTOR_PACKETS]);
/* Of two firewalls, or two families: the worse. */
enum doctor_verdict doctor_rules_worse(enum doctor_verdict a, enum doctor_verdict b);

#endif
