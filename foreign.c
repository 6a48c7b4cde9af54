/* SPDX-License-Identifier: Apache-2.0
 *
 * foreign.c - hosts that are no node of the cluster and were heard to have one of our addresses.
 *
 * Owns: a short table.
 * In:   what the wire says.  Out: the last such host of an address.
 *
 * The announcer and the election decide what is done about such a host, and only where the address
 * is announced or asked for; here every node remembers it, so that each can tell.
 */
#include "foreign.h"

#include <string.h>

/* Its place; n when it has none. */
static size_t place(const struct foreign *f, struct addr vip)
{
	size_t i = 0;

	while (i < f->n && addr_cmp(f->v[i].vip, vip) != 0)
		i++;
	return i;
}

static struct foreign_host *oldest(struct foreign *f)
{
	struct foreign_host *best = &f->v[0];

	for (size_t i = 1; i < f->n; i++)
		if (f->v[i].last_ms < best->last_ms)
			best = &f->v[i];
	return best;
}

bool foreign_heard(struct foreign *f, struct addr vip, const uint8_t mac[6], uint64_t now_ms)
{
	size_t i = place(f, vip);
	struct foreign_host *h = i < f->n ? &f->v[i] : NULL;
	bool news = h == NULL || memcmp(h->mac, mac, sizeof h->mac) != 0;

	if (news) {
		h = h != NULL ? h : f->n < FOREIGN_MAX ? &f->v[f->n++] : oldest(f);
		h->vip = vip;
		memcpy(h->mac, mac, sizeof h->mac);
		h->first_ms = now_ms;
	}
	h->last_ms = now_ms;
	return news;
}

const struct foreign_host *foreign_find(const struct foreign *f, struct addr vip)
{
	size_t i = place(f, vip);

	return i < f->n ? &f->v[i] : NULL;
}
