/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.c - addresses that outlive their pool, and those that are still claimed: what the allocator,
 * the VIPs and the record of kept addresses have to tell each other.
 *
 * Owns: nothing.
 * In:   a new configuration, the Lease lbd-retired, Services' statuses.  Out: retired.c.
 */
#include "daemon.h"
#include "log.h"

#include <errno.h>
#include <string.h>

static const char *kept(void *ctx, const char *uid, struct addr x)
{
	const struct daemon *d = ctx;

	return retired_pool(d->retired, uid, x);
}

static enum pool_claim claim(void *ctx, struct addr x)
{
	const struct daemon *d = ctx;

	switch (elect_claim(d->elect, x)) {
	case ELECT_CLAIM_NONE:
		return POOL_UNCLAIMED;
	case ELECT_CLAIM_STALE:
		return POOL_STALE;
	case ELECT_CLAIM_ALIVE:
		break;
	}
	return POOL_CLAIMED;
}

static const struct alloc_ops alloc_ops = {.kept = kept, .claim = claim};

void keep_tell(struct daemon *d, struct alloc *a)
{
	alloc_set_ops(a, &alloc_ops, d);
}

void keep_start(struct daemon *d)
{
	vip_set_retired(d->vips, d->retired);
	keep_tell(d, d->alloc);
}

/* -- what a new configuration drops -- */

/* Do Services keep what pool was has no more under now? */
static bool is_kept(const struct config *now, const struct config_pool *was)
{
	const struct config_pool *same = config_pool_named(now, was->name);

	return !config_pool_moves(same != NULL ? same : was);
}

static int keep_vip(struct daemon *d, const struct vip *v, const struct config_pool *was)
{
	int err = 0;

	for (size_t i = 0; i < v->n_holders; i++) {
		struct vip_holder h = vip_holder(v, i);
		struct cluster_service s;

		if (!h.doubled && cluster_service(d->cluster, h.key, &s) && err == 0)
			err = retired_keep(d->retired, h.key, s.uid, v->addr, was->name);
	}
	return err;
}

void keep_dropped(struct daemon *d, const struct config *now)
{
	const struct vip_group *g = NULL;
	int err = 0;

	if (now->servicelb_active) /* which gives every Service other addresses */
		return;
	while ((g = vip_next_group(d->vips, g)) != NULL)
		for (size_t i = 0; i < g->n_vips && err == 0; i++) {
			const struct vip *v = vip_member(g, i);
			const struct config_pool *was = config_pool_of(d->conf, v->addr);

			if (was == NULL || config_pool_of(now, v->addr) != NULL)
				continue;
			if (is_kept(now, was))
				err = keep_vip(d, v, was);
		}
	if (err != 0)
		log_error("alloc",
			"more addresses than can be kept were dropped by the configuration: the "
			"rest is given up",
			"err", strerror(-err), NULL);
}

/* -- what others say -- */

void keep_on_lease(struct daemon *d, const struct cluster_lease *l, bool deleted)
{
	int err = retired_on_lease(d->retired, l, deleted);

	if (err != 0)
		log_limited(LOG_WARN, "alloc", "record of kept addresses not understood: what was known stays",
			"name", l->name, "err", strerror(-err), NULL);
}

void keep_service(struct daemon *d, const char *key, const struct cluster_service *s)
{
	if (retired_count(d->retired) > 0)
		retired_shown(d->retired, key, s != NULL ? s->ingress : NULL,
			s != NULL ? s->n_ingress : 0);
}

/* -- the record -- */

/* What the allocator keeps is to be recorded. */
static void record(struct daemon *d, uint64_t now_ms)
{
	struct alloc_kept *v = calloc(RETIRED_MAX, sizeof *v);
	size_t n, n_lost;
	char text[24];

	if (v == NULL)
		return; /* tried again in the next pass */
	n = alloc_kept(d->alloc, v, RETIRED_MAX);
	n_lost = n > RETIRED_MAX ? n - RETIRED_MAX : 0;
	retired_begin(d->retired);
	for (size_t i = 0; i < n - n_lost; i++)
		retired_add(d->retired, v[i].uid, v[i].addr, v[i].pool);
	n_lost += retired_end(d->retired, now_ms);
	free(v);
	d->kept_generation = alloc_kept_generation(d->alloc);
	if (n_lost > 0)
		log_warn("alloc", "kept addresses that another leader will not know of", "count",
			log_number((int64_t)n_lost, text), NULL);
}

bool keep_next_action(struct daemon *d, uint64_t now_ms, struct lease_action *ret_a)
{
	if (!leader_is_leader(d->leader, now_ms) || !alloc_is_ready(d->alloc)) {
		retired_resign(d->retired);
		d->kept_generation = 0;
		return false;
	}
	if (d->kept_generation != alloc_kept_generation(d->alloc))
		record(d, now_ms);
	if (!retired_next_action(d->retired, now_ms, ret_a))
		return false;
	ret_a->not_after_ms = leader_deadline(d->leader);
	ret_a->timeout_ms = leader_write_ms(d->leader);
	return true;
}
