/* SPDX-License-Identifier: Apache-2.0
 *
 * rival.h - which other program writes a Service's status, and what to do about it.  Pure.
 */
#ifndef LBD_RIVAL_H
#define LBD_RIVAL_H

#include "addr.h"
#include "buf.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum { RIVAL_MAX_NAME = 63 };

/* Who wrote the status.loadBalancer of a Service of the API last: the manager of
 * metadata.managedFields, printable, cut to fit.  "lbd" only when nobody else is recorded; "" when
 * nobody is (old servers do not). */
void rival_name(const cJSON *service, char ret_name[RIVAL_MAX_NAME + 1]);
/* Does the Service's status show these addresses and no others? */
bool rival_shows(const cJSON *service, const struct addr *ips, size_t n);
/* What it is, and the remedy: "k3s's servicelb ...: start k3s with ...". */
const char *rival_remedy(const char *name);
/* The sentence about one that writes what: "this Service's status". */
void rival_words(const char *name, const char *what, struct buf *out);

#endif
