/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - what the rest asks of a configuration.
 */
#include "config.h"

#include <fnmatch.h>
#include <string.h>

const struct config_pool *config_pool_of(const struct config *c, struct addr a)
{
	for (size_t i = 0; i < c->n_pools; i++)
		for (size_t k = 0; k < c->pools[i].n_ranges; k++)
			if (addr_range_contains(c->pools[i].ranges[k], a))
				return &c->pools[i];
	return NULL;
}

const struct config_pool *config_pool_named(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (strcmp(c->pools[i].name, name) == 0)
			return &c->pools[i];
	return NULL;
}

static bool selects(const struct config_strings *names, const struct selectors *sel,
	const struct config_pool *pool)
{
	if (names->n == 0 && sel->n == 0)
		return true;
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], pool->name) == 0)
			return true;
	return sel->n > 0 && label_matches_any(sel, &pool->labels);
}

bool config_l2_selects_pool(
	const struct config_l2_advertisement *ad, const struct config_pool *pool)
{
	return selects(&ad->ip_address_pools, &ad->ip_address_pool_selectors, pool);
}

bool config_name_matches(const struct config_strings *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->v[i], name, 0) == 0)
			return true;
	return false;
}
