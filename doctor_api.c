/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_api.c - lbd doctor's checks of what the API server said, and of the clock.
 *
 * In:   facts.  Out: findings.
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

enum {
	SKEW_WARN_MS = 2000,
	LEASE_MS = 40 * 1000, /* elections.nodeLease, where there is no configuration */
	EXPIRY_WARN_S = 14 * 24 * 3600,
	DAY_S = 24 * 3600,
};

/* Where a package has it; in a clone it lies elsewhere. */
#define MANIFEST                                                                                   \
	"/usr/share/lbd/kubernetes/rbac.yaml (in the sources: packaging/kubernetes/rbac.yaml)"

static void check_api(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_api *a = &f->api;

	switch (a->state) {
	case DOCTOR_API_NOT_ASKED:
		(void)doctor_add(r, DOCTOR_SKIP, "the API server was not asked: %s", a->err);
		break;
	case DOCTOR_API_NO_CREDENTIALS:
		doctor_fix(doctor_add(r, DOCTOR_FAIL, "the API server cannot be asked: %s", a->err),
			"Make a kubeconfig for the ServiceAccount of " MANIFEST
			" and put it to /etc/lbd/kubeconfig, or name one with --kubeconfig");
		break;
	case DOCTOR_API_UNREACHABLE:
		doctor_fix(doctor_add(r, DOCTOR_FAIL, "the API server does not answer at %s: %s",
				   a->where, a->err),
			"See that it runs and that its address in the kubeconfig is right: lbd "
			"gives no "
			"address without it, and keeps those that it gave");
		break;
	case DOCTOR_API_REFUSED:
		doctor_fix(doctor_add(r, DOCTOR_FAIL,
				   "the API server at %s does not accept the credentials: %s",
				   a->where, a->err),
			"Make the kubeconfig's token or certificate anew");
		break;
	case DOCTOR_API_ANSWERED:
		(void)doctor_add(r, DOCTOR_OK, "Kubernetes %s answers at %.*s", a->version,
			(int)strcspn(a->where, " "), a->where);
		break;
	}
}

/* False: it did not answer, and check_api() said why. */
static bool answered(const struct doctor_facts *f, struct doctor_report *r)
{
	if (f->api.state != DOCTOR_API_ANSWERED)
		(void)doctor_add(r, DOCTOR_SKIP, "the API server did not answer");
	return f->api.state == DOCTOR_API_ANSWERED;
}

static void check_rights(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_api *a = &f->api;
	size_t denied = 0, unknown = 0;

	if (!answered(f, r))
		return;
	for (size_t i = 0; i < a->n_rights; i++) {
		unknown += a->rights[i].allowed == DOCTOR_UNKNOWN;
		if (a->rights[i].allowed != DOCTOR_NO)
			continue;
		denied++;
		doctor_fix(
			doctor_add(r, DOCTOR_FAIL, "these credentials may not %s, which lbd must",
				a->rights[i].text),
			"kubectl apply -f " MANIFEST
			", and use the token of the ServiceAccount lbd (kube-system)");
	}
	if (unknown > 0)
		(void)doctor_add(r, DOCTOR_SKIP, "%zu of %zu rights could not be asked for (%s)",
			unknown, a->n_rights, "SelfSubjectAccessReview");
	else if (denied == 0)
		(void)doctor_add(r, DOCTOR_OK,
			"these credentials have all %zu rights that lbd needs", a->n_rights);
}

/* "; its Nodes are a, b, c (and 2 more)", or nothing. */
static void list_nodes(const struct doctor_api *a, char *s, size_t size)
{
	const char *before = a->n_nodes == 1 ? "; its only Node is " : "; its Nodes are ";
	size_t named = 0, len = 0;

	s[0] = '\0';
	for (; named < a->n_nodes && named < DOCTOR_NAMED_NODES && len < size; named++) {
		len += (size_t)snprintf(s + len, size - len, "%s%s", before, a->nodes[named]);
		before = ", ";
	}
	if (a->n_nodes > named && len < size)
		(void)snprintf(s + len, size - len, " (and %zu more)", a->n_nodes - named);
}

static void check_node(const struct doctor_facts *f, struct doctor_report *r)
{
	char list[DOCTOR_TEXT];

	if (!answered(f, r))
		return;
	list_nodes(&f->api, list, sizeof list);
	if (f->node[0] == '\0')
		(void)doctor_add(r, DOCTOR_SKIP,
			"another tree does not say which Node it is of: --node-name does");
	else if (f->api.node_there == DOCTOR_YES)
		(void)doctor_add(r, DOCTOR_OK, "this host is Node %s", f->node);
	else if (f->api.node_there == DOCTOR_UNKNOWN)
		(void)doctor_add(r, DOCTOR_SKIP,
			"the API server does not say whether there is a Node %s", f->node);
	else
		doctor_fix(doctor_add(r, DOCTOR_FAIL, "there is no Node %s in the API%s", f->node,
				   list),
			"Set nodeName in the configuration to the name of this host's Node%s",
			f->host.daemon == DOCTOR_YES ? ", and restart lbd" : "");
}

static void check_skew(const struct doctor_facts *f, struct doctor_report *r)
{
	const uint64_t lease_ms =
		f->conf != NULL ? f->conf->elections.node_duration_ms : (uint64_t)LEASE_MS;
	const int64_t skew = f->api.skew_ms, size = skew < 0 ? -skew : skew;
	const bool fails = (uint64_t)size > lease_ms / 2;

	if (!answered(f, r))
		return;
	if (!f->api.has_skew)
		(void)doctor_add(r, DOCTOR_SKIP, "the API server does not say what time it is");
	else if (size <= SKEW_WARN_MS)
		(void)doctor_add(
			r, DOCTOR_OK, "this host's clock and the API server's agree within 2 s");
	else
		doctor_fix(doctor_add(r, fails ? DOCTOR_FAIL : DOCTOR_WARN,
				   "this host's clock is %lld s %s the API server's: Leases, "
				   "Events and "
				   "certificates go by it",
				   (long long)(size / 1000), skew < 0 ? "behind" : "ahead of"),
			"Set it by NTP (timedatectl set-ntp true, or chronyc makestep), here or "
			"there");
}

static void check_certificates(const struct doctor_facts *f, struct doctor_report *r)
{
	const struct doctor_certs *c = &f->certs;

	if (!c->known) {
		(void)doctor_add(r, DOCTOR_SKIP, "the kubeconfig's certificates were not read");
		return;
	}
	if (c->now_s < c->from_s)
		doctor_fix(
			doctor_add(r, DOCTOR_FAIL,
				"the %s is not valid yet by this host's clock, for %lld more hours",
				c->from_whose, (long long)((c->from_s - c->now_s + 3599) / 3600)),
			"Set the clock by NTP; if it is right, make the certificate anew");
	else if (c->now_s >= c->until_s)
		doctor_fix(doctor_add(r, DOCTOR_FAIL, "the %s has expired %lld days ago",
				   c->until_whose, (long long)((c->now_s - c->until_s) / DAY_S)),
			"Renew it, or set the clock if that is wrong");
	else if (c->until_s - c->now_s < EXPIRY_WARN_S)
		doctor_fix(doctor_add(r, DOCTOR_WARN, "the %s expires in %lld days", c->until_whose,
				   (long long)((c->until_s - c->now_s) / DAY_S)),
			"Renew it in time: lbd reads a changed kubeconfig by itself");
	else
		(void)doctor_add(r, DOCTOR_OK,
			"certificates of the kubeconfig: valid for %lld days",
			(long long)((c->until_s - c->now_s) / DAY_S));
}

const struct doctor_check doctor_api_checks[] = {
	{"api", check_api},
	{"rights", check_rights},
	{"node-name", check_node},
	{"clock-skew", check_skew},
	{"certificate", check_certificates},
	{NULL, NULL},
};
