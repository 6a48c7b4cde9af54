/* SPDX-License-Identifier: Apache-2.0
 *
 * journal.h - every write in order, so that a test can check an invariant over all history.
 */
#ifndef KUBESIM_JOURNAL_H
#define KUBESIM_JOURNAL_H

#include "kinds.h"

struct journal_entry {
	uint64_t ns, rv;         /* CLOCK_MONOTONIC */
	const struct kind *kind; /* borrowed */
	const char *verb, *user; /* static, interned */
	char *key;               /* owned; behind its NUL: what the kind is watched for */
};

struct journal {
	struct journal_entry *v; /* owned ring; entry seq s (from 1) is v[(s - 1) % cap] */
	size_t cap, max;
	uint64_t next; /* seq of the next entry */
	uint64_t first;
};

void journal_init(struct journal *j, size_t max);
void journal_free(struct journal *j);
/* obj: the object as written (of a deletion: as it was). Of Services its addresses are kept, of
 * Leases the holder. */
void journal_add(struct journal *j, const struct kind *k, const char *key, const cJSON *obj,
	uint64_t rv, const char *verb, const char *user);
/* {"first":..,"last":..,"now":..,"entries":[..]}: entries with seq > since, at most limit; last is
 * what to ask with next. */
void journal_print(const struct journal *j, uint64_t since, size_t limit, struct text *out);

#endif
