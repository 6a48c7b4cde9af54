/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.c - a simulated node's disk.
 *
 * Owns: one file's text.  In: marks when the picture changed.  Out: the file, by the shipping
 * snapshot.c; at start the picture.
 *
 * What snapfile.c does around the same unit; a file is whole at once.  A torn one is a matter of
 * the unit tests: its checksum gives it away, and it is as if there were none.
 */
#include "disk.h"

#include "node.h"

#include "snapshot_text.h"

#include <string.h>

enum {
	USE_MS = 1000, /* snapfile.c's, as is the next */
	EVERY_MS = 1000,
};

void disk_free(struct disk *d)
{
	free(d->text);
	*d = (struct disk){0};
}

void disk_lose(struct disk *d)
{
	free(d->text);
	d->text = NULL;
}

void disk_load(struct node *n)
{
	const struct snapshot_owner me = {n->name, n->w.conf.elections.namespace_};
	struct disk *d = &n->disk;

	d->loaded = d->dirty = d->leases = false;
	d->next_ms = d->look_ms = d->lease_sum = 0;
	if (d->text == NULL)
		return;
	d->loaded = snapshot_check(d->text, strlen(d->text), &me, &d->sequence) == SNAPSHOT_FINE;
	REQUIRE(d->loaded);
	(void)snapshot_apply(d->text, strlen(d->text), n->w.cluster);
}

bool disk_is_to_be_used(const struct node *n)
{
	return n->disk.loaded && !node_may_act(n) && n->now_ms >= n->started_ms + USE_MS;
}

void disk_mark(struct node *n)
{
	n->disk.dirty = true;
}

void disk_on_lease(struct node *n)
{
	n->disk.leases = true;
}

static void look_at_leases(struct node *n)
{
	struct disk *d = &n->disk;
	uint64_t sum;

	if (!d->leases || n->now_ms < d->look_ms)
		return;
	d->leases = false;
	d->look_ms = n->now_ms + EVERY_MS;
	sum = snapshot_sum_leases(n->w.cluster);
	d->dirty |= sum != d->lease_sum;
	d->lease_sum = sum;
}

static char *print(const struct node *n)
{
	const struct snapshot_owner me = {n->name, n->w.conf.elections.namespace_};
	char *claims = elect_claims_text(n->elect);
	char *text = snapshot_text(n->w.cluster, &me, claims, n->disk.sequence + 1);

	free(claims);
	return text;
}

static bool may_write(const struct node *n)
{
	return n->sim->setup.disks && node_may_act(n) && !n->exiting;
}

void disk_run(struct node *n)
{
	struct disk *d = &n->disk;

	if (!may_write(n))
		return;
	look_at_leases(n);
	if (!d->dirty || n->now_ms < d->next_ms)
		return;
	free(d->text);
	d->text = print(n);
	d->sequence++;
	d->dirty = false;
	d->next_ms = n->now_ms + EVERY_MS;
}

uint64_t disk_next_deadline(const struct node *n)
{
	const struct disk *d = &n->disk;
	uint64_t at = TIME_NEVER;

	if (d->loaded && !node_may_act(n))
		at = n->started_ms + USE_MS;
	if (may_write(n) && d->leases)
		at = time_min(at, d->look_ms);
	if (may_write(n) && d->dirty)
		at = time_min(at, d->next_ms);
	return at;
}
