/* SPDX-License-Identifier: Apache-2.0
 *
 * health.h - may this node trust what it sees of the others (R5)?  It may while its lists are in
 * step and its own renewals come back through its own watch in time.  Pure.
 */
#ifndef LBD_HEALTH_H
#define LBD_HEALTH_H

#include "base.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed to begin with; written here alone, but for synced. */
struct health {
	bool ok;             /* as of the last health_update() */
	uint64_t since_ms;   /* since when it is as it is */
	bool synced;         /* all lists are complete and all watches live; written by elect.c */
	bool looped;         /* some renewal came back in time */
	bool pending;        /* the last renewal has not come back yet */
	uint64_t looped_ms;  /* when that one was sent */
	uint64_t renewed_ms; /* when the last renewal was sent that the API took */
	char *renewed_rv;    /* owned; its resourceVersion */
	char *watched_rv;    /* owned; of our Lease as the watch last showed it */
	uint64_t watched_ms;
	uint64_t age_ms, loopback_ms; /* how old a renewal may be; how long its way back */
};

void health_free(struct health *h);
void health_set_durations(struct health *h, uint64_t renew_ms, uint64_t lease_ms);
/* The API took a renewal that was sent then: now it must come back. */
void health_on_renewed(struct health *h, const char *rv, uint64_t sent_ms);
/* Our Lease as the watch shows it.  Returns whether that is news. */
bool health_on_watched(struct health *h, const char *rv, uint64_t now_ms);
/* After either: has the last renewal come back, just now? */
bool health_close_loop(struct health *h);
/* When health ends if nothing comes; 0 = there is none. */
uint64_t health_ends(const struct health *h);
/* Brings ok up to date; returns whether it changed. */
bool health_update(struct health *h, uint64_t now_ms);
/* Does the API take our renewals, and the watch show none of them? */
bool health_lags(const struct health *h, uint64_t now_ms);

#endif
