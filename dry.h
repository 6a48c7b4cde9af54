/* SPDX-License-Identifier: Apache-2.0
 *
 * dry.h - `lbd run --dry-run`: what lbd would write and announce, told and not done.
 */
#ifndef LBD_DRY_H
#define LBD_DRY_H

#include "daemon.h"

/* What became of a Service's status in the picture, where it is not what the API shows. */
struct dry_change {
	const struct addr *was, *is;
	size_t n_was, n_is;
	const char *pool; /* of is; "" = none */
};

/* NULL when out of memory. */
struct dry *dry_new(const struct hash_key *hkey) MUST_CHECK;
void dry_free(struct dry *y);

/* In place of sending: tells what is to be written, and lets the picture go on as if it had been.
 */
void dry_write(struct daemon *d, uint64_t now_ms);
/* In place of announcing: tells what this node could. */
void dry_announce(struct daemon *d, uint64_t now_ms);
/* Of what the API shows anew: where a status is what it was, the picture goes on as if it had been
 * written; another one is decided about anew. */
void dry_renew(struct daemon *d);
/* The Service is gone. */
void dry_forget(struct daemon *d, const char *key);
/* The level of the next line about one Service or address: of many in one pass only the first are
 * told at level. */
enum log_level dry_level(struct daemon *d, enum log_level level);

/* False: the picture has s as the API shows it.  Valid until the next call of dry_write(). */
bool dry_change(const struct daemon *d, const struct cluster_service *s, struct dry_change *ret_c);
/* How many Services keep their address, and so on. */
struct dry_sum {
	size_t keep, get, change, lose, refused;
};
/* examples (may be NULL) gets the words. */
struct dry_sum dry_sum(const struct daemon *d, struct buf *examples);

#endif
