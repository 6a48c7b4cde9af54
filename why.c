/* SPDX-License-Identifier: Apache-2.0
 *
 * why.c - the one reason why a Service has, or has not, its address.
 *
 * In:   the picture, the allocator, the leader.  Out: a reason and a sentence.
 * Reads all, changes nothing.  The allocator's reason is the one that the Service's Event has; this
 * unit adds what stands between a decision and the Service: no leader, a write that is not taken, a
 * status that somebody else wrote.
 */
#include "why.h"

#include "service.h"

#include <stdio.h>
#include <string.h>

void why_leader(const struct daemon *d, char ret_node[CONFIG_MAX_NAME + 1])
{
	bool over = leader_is_over(d->leader, daemon_now_ms());
	const char *holder = over ? "" : leader_holder(d->leader), *sep = strrchr(holder, '_');

	(void)snprintf(ret_node, CONFIG_MAX_NAME + 1, "%.*s", sep != NULL ? (int)(sep - holder) : 0,
		holder);
}

static void say(struct why *w, enum reason reason, const char *text)
{
	w->reason = reason;
	(void)snprintf(w->text, sizeof w->text, "%s", text);
}

/* Decided, and not in the status yet. */
static void say_unwritten(const struct daemon *d, const struct alloc_result *r, struct why *w)
{
	enum reason reason = r->fails > 0 ? REASON_NOT_WRITTEN : REASON_WRITING;

	say(w, reason, reason_text(reason));
	if (reason == REASON_NOT_WRITTEN && d->not_written[0] != '\0')
		(void)snprintf(
			w->text, sizeof w->text, "%s: %s", reason_text(reason), d->not_written);
}

/* No allocator here knows: who would? */
static void say_undecided(const struct daemon *d, struct why *w)
{
	char node[CONFIG_MAX_NAME + 1];

	why_leader(d, node);
	if (!d->synced_once || d->was_leader)
		say(w, REASON_NOT_SYNCED, reason_text(REASON_NOT_SYNCED));
	else if (d->conf->n_pools == 0 && !d->conf->servicelb_active)
		say(w, REASON_NO_POOL, reason_text(REASON_NO_POOL));
	else if (node[0] == '\0')
		say(w, REASON_NO_LEADER, reason_text(REASON_NO_LEADER));
	else {
		w->reason = REASON_NO_IP;
		(void)snprintf(w->text, sizeof w->text, "%s; the leader, node %s, decides",
			reason_text(REASON_NO_IP), node);
	}
}

enum reason why_address(const struct daemon *d, const struct cluster_service *s, struct addr a)
{
	enum reason r = vip_why(d->vips, d->conf, d->cluster, s, a);

	return r == REASON_NO_IP ? REASON_OWNER : r; /* it is just not looked at yet */
}

/* Is each address that the status shows one that may be announced?  A node's own is said of where
 * there is nothing worse. */
static bool is_lawful(const struct daemon *d, const struct cluster_service *s, struct why *w)
{
	bool lawful = true;

	for (size_t i = 0; i < s->n_ingress; i++) {
		enum reason r = why_address(d, s, s->ingress[i]);
		char ip[ADDR_STRLEN];

		if (r == REASON_OWNER || (r == REASON_NODE_ADDRESS && !lawful))
			continue;
		lawful = false;
		w->reason = r;
		(void)snprintf(w->text, sizeof w->text, "%s: %s", addr_format(s->ingress[i], ip),
			reason_text(r));
		if (r != REASON_NODE_ADDRESS)
			break;
	}
	return lawful;
}

/* In servicelb mode. */
static void why_nodelb(const struct daemon *d, const struct cluster_service *s, struct why *w)
{
	struct nodelb_result r = {.reason = REASON_NO_IP};
	bool known = nodelb_is_ready(d->nodelb) && nodelb_why(d->nodelb, s->key, &r);

	if (known && r.reason != REASON_ALLOCATED)
		say(w, r.reason, r.detail[0] != '\0' ? r.detail : reason_text(r.reason));
	else if (s->n_ingress > 0 && is_lawful(d, s, w))
		say(w, REASON_ALLOCATED, reason_text(REASON_ALLOCATED));
	else if (s->n_ingress == 0 && known)
		say(w, REASON_WRITING, reason_text(REASON_WRITING));
	else if (s->n_ingress == 0)
		say_undecided(d, w);
}

void why_service(const struct daemon *d, const struct cluster_service *s, const struct alloc *a,
	struct why *ret_why)
{
	enum reason served = service_served(d->conf, s);
	struct alloc_result r = {.reason = REASON_NO_IP};
	bool known = a != NULL && alloc_is_ready(a) && alloc_why(a, s->key, &r);

	if (served != REASON_ALLOCATED)
		say(ret_why, served, reason_text(served));
	else if (d->conf->servicelb_active)
		why_nodelb(d, s, ret_why);
	else if (known && r.contested)
		say(ret_why, REASON_STATUS_CONTESTED, reason_text(REASON_STATUS_CONTESTED));
	else if (known && (r.reason != REASON_ALLOCATED || s->n_ingress > 0))
		say(ret_why, r.reason, r.detail[0] != '\0' ? r.detail : reason_text(r.reason));
	else if (known)
		say_unwritten(d, &r, ret_why);
	else if (s->n_ingress == 0)
		say_undecided(d, ret_why);
	else if (is_lawful(d, s, ret_why))
		say(ret_why, REASON_ALLOCATED, reason_text(REASON_ALLOCATED));
}
