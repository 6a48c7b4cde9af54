/* SPDX-License-Identifier: Apache-2.0
 *
 * config_rules.h - what must hold between the fields of one record.  Pure.
 */
#ifndef LBD_CONFIG_RULES_H
#define LBD_CONFIG_RULES_H

#include "config_report.h"
#include "config_table.h"

/* rec was decoded from obj without an error; at is at obj.  Reports what contradicts, and fills in
 * what follows from other fields (keepaliveTime from holdTime). */
void config_rules_record(
	struct config_at *at, enum config_record_id id, const cJSON *obj, void *rec);

#endif
