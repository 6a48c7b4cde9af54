/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.h - what each user asked for, and how much of it.
 */
#ifndef KUBESIM_STATS_H
#define KUBESIM_STATS_H

#include "text.h"

struct stats_count {
	const char *verb; /* static */
	char *resource;   /* owned */
	uint64_t n, bytes_in, bytes_out;
	uint64_t first_ns, last_ns;
	uint64_t codes[6]; /* by hundreds of the status; [0]: no answer */
};

struct stats_user {
	const char *user; /* borrowed, interned */
	struct stats_count *v;
	size_t n, cap;
	uint64_t bytes_in, bytes_out, watch_open;
};

struct stats {
	struct stats_user *v; /* owned */
	size_t n, cap;
	uint64_t since_ns;
};

struct stats_user *stats_user(struct stats *s, const char *user);
/* The row of a request; valid until the next call. */
struct stats_count *stats_count(
	struct stats *s, const char *user, const char *verb, const char *resource);
void stats_reset(struct stats *s); /* open watches stay counted */
void stats_print(const struct stats *s, struct text *out);
void stats_free(struct stats *s);

#endif
