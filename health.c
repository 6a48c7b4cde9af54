/* SPDX-License-Identifier: Apache-2.0
 *
 * health.c - may this node trust what it sees of the others?
 *
 * Owns: the way of the last renewal: sent, taken by the API, seen in the watch.
 * In:   renewals that the API took, our Lease as the watch shows it, whether the lists are in step.
 * Out:  healthy or not, since when, until when if nothing comes.
 *
 * Source: shared/OWNERSHIP.md R5.
 */
#include "health.h"

#include "text.h"

enum {
	LOOPBACK_MS = 3000, /* a renewal is seen in the watch within this (R5) */
	FLOOR_MS = 2000,    /* with very short leases one slow answer is no ill health */
};

void health_free(struct health *h)
{
	free(h->renewed_rv);
	free(h->watched_rv);
}

void health_set_durations(struct health *h, uint64_t renew_ms, uint64_t lease_ms)
{
	uint64_t floor = time_min(lease_ms / 2, FLOOR_MS);

	h->age_ms = renew_ms * 3 / 2;
	if (h->age_ms < floor)
		h->age_ms = floor;
	h->loopback_ms = time_min(LOOPBACK_MS, h->age_ms);
}

uint64_t health_ends(const struct health *h)
{
	uint64_t end = h->looped_ms + h->age_ms;

	if (h->pending)
		end = time_min(end, h->renewed_ms + h->loopback_ms);
	return h->synced && h->looped ? end : 0;
}

bool health_update(struct health *h, uint64_t now_ms)
{
	bool ok = now_ms < health_ends(h);

	if (ok == h->ok)
		return false;
	h->ok = ok;
	h->since_ms = now_ms; /* the clocks of expiry start from 0 */
	return true;
}

void health_on_renewed(struct health *h, const char *rv, uint64_t sent_ms)
{
	h->renewed_ms = sent_ms;
	h->pending = text_set(&h->renewed_rv, rv);
}

bool health_on_watched(struct health *h, const char *rv, uint64_t now_ms)
{
	if (text_eq(h->watched_rv, rv) || !text_set(&h->watched_rv, rv))
		return false;
	h->watched_ms = now_ms;
	return true;
}

bool health_close_loop(struct health *h)
{
	if (!h->pending || h->watched_rv == NULL || !text_eq(h->renewed_rv, h->watched_rv))
		return false;
	if (h->watched_ms > h->renewed_ms + h->loopback_ms)
		return false; /* too late: the watch lags */
	h->pending = false;
	h->looped = true;
	h->looped_ms = h->renewed_ms;
	return true;
}

bool health_lags(const struct health *h, uint64_t now_ms)
{
	return h->pending && now_ms > h->looped_ms + h->age_ms;
}
