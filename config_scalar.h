/* SPDX-License-Identifier: Apache-2.0
 *
 * config_scalar.h - the configuration's scalars as text: Go durations, communities, labels, key
 * names.  Pure.
 */
#ifndef LBD_CONFIG_SCALAR_H
#define LBD_CONFIG_SCALAR_H

#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_DURATION_STRLEN = 24, CONFIG_MAX_KEY = 64 };

/* A Go duration ("1h2m3.5s", "100ms", "0"), not negative, in whole milliseconds.  0, or -EINVAL. */
int config_duration_parse(const char *s, uint64_t *ret_ms) MUST_CHECK;
/* In the largest unit that leaves no rest: "90s", "10m", "100ms", "0s".  Returns s. */
char *config_duration_format(uint64_t ms, char s[CONFIG_DURATION_STRLEN]);

/* A literal BGP community: "65535:65282" or a registered name, "no-export" (RFC 1997), or
 * "large:64500:1:2" (RFC 8092): its one or three numbers. */
enum config_community_kind {
	CONFIG_COMMUNITY_NONE,
	CONFIG_COMMUNITY_STANDARD,
	CONFIG_COMMUNITY_LARGE
};
enum config_community_kind config_community_parse(const char *s, uint32_t ret_v[static 3]);

/* Kubernetes' syntax: key "prefix/name" or "name", value at most 63 characters or empty. */
bool config_label_key_ok(const char *s);
bool config_label_value_ok(const char *s);
/* An RFC 1123 subdomain: "n1.example.com". */
bool config_object_name_ok(const char *s);

/* "avoidBuggyIPs" -> "avoid-buggy-ips".  Returns s. */
char *config_kebab(const char *camel, char s[CONFIG_MAX_KEY]);

/* Is candidate what someone who wrote got may have meant?  0 = no, else the better the smaller. */
unsigned config_likeness(const char *got, const char *candidate);

#endif
