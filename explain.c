/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.c - why a Service has its address, or none, and who answers for it: lbd explain's answer
 * as JSON.
 *
 * Owns: nothing; for the time of one answer an allocator of its own.
 * In:   a Service's name or an address; the picture, the allocator, the election, the plan.
 * Out:  a tree; explain_text.c puts it into lines.
 *
 * A node that is not the leader allocates nothing.  To say what the leader would decide it lets an
 * allocator decide everything anew from the picture (a shadow), and says so: what only the leader
 * remembers (which addresses were in use lately, by whom) is not in the picture.
 */
#include "cluster_decode.h"
#include "dry.h"
#include "json.h"
#include "member.h"
#include "service.h"
#include "text.h"
#include "why.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_RULES = 256,    /* told of one Service; the rest is counted */
	MAX_CANDIDATES = 8, /* Services of one name that are listed */
	MAX_SHADOW = 20000, /* Services: more would stop the loop for too long */
	SHADOW_FREE_MS = 5, /* a shadow that takes no longer may be made at any time; */
	SHADOW_PAUSE = 20,  /* others at most in one twentieth of the time */
};

struct question {
	struct daemon *d;
	uint64_t now_ms;
	const char *without; /* NULL = not asked */
	cJSON *answer;       /* owned until it is given */
};

/* -- a little JSON -- */

static void put_string(cJSON *o, const char *key, const char *s)
{
	if (s != NULL)
		(void)cJSON_AddStringToObject(o, key, s);
	else
		(void)cJSON_AddNullToObject(o, key);
}

static void put_addr(cJSON *o, const char *key, struct addr a)
{
	char s[ADDR_STRLEN];

	put_string(o, key, addr_format(a, s));
}

static void item_string(cJSON *array, const char *s)
{
	(void)cJSON_AddItemToArray(array, cJSON_CreateString(s));
}

static cJSON *refusal(const char *text)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "error", text);
	return o;
}

/* Why and whether that is as it should be: the answer's first words. */
static void put_verdict(struct question *q, enum reason reason, const char *text, bool fine)
{
	put_string(q->answer, "reason", reason_code(reason));
	put_string(q->answer, "text", text);
	(void)cJSON_AddBoolToObject(q->answer, "finding", !fine);
}

/* -- the rules that were tried -- */

static const char *rule_name(enum judge_rule r)
{
	switch (r) {
	case JUDGE_SERVED:
		return "served";
	case JUDGE_FAMILIES:
		return "families";
	case JUDGE_REQUEST:
		return "request";
	case JUDGE_POOL:
		return "requestedPool";
	case JUDGE_HELD:
		return "held";
	case JUDGE_ASKED:
		return "requestedAddress";
	case JUDGE_SHOWN:
		return "status";
	case JUDGE_SHARED:
		return "sharingKey";
	case JUDGE_FORMER:
		return "former";
	case JUDGE_FREE:
		return "pool";
	}
	return "";
}

static const char *family_name(enum addr_family f)
{
	return f == ADDR_V4 ? "IPv4" : "IPv6";
}

struct rules {
	cJSON *array; /* borrowed */
	unsigned left_out;
};

static void on_rule(void *ctx, const struct judge_step *step)
{
	struct rules *r = ctx;
	cJSON *o;

	if (step->rule == JUDGE_SERVED) {
		while (cJSON_GetArraySize(r->array) > 0)
			cJSON_DeleteItemFromArray(r->array, 0);
		r->left_out = 0;
	}
	if (cJSON_GetArraySize(r->array) >= MAX_RULES) {
		r->left_out++;
		return;
	}
	o = cJSON_CreateObject();
	put_string(o, "rule", rule_name(step->rule));
	if (step->rule >= JUDGE_HELD)
		put_string(o, "family", family_name(step->family));
	if (step->pool != NULL)
		put_string(o, "pool", step->pool);
	if (step->addr != NULL)
		put_addr(o, "ip", *step->addr);
	put_string(o, "reason", reason_code(step->reason));
	put_string(o, "text", step->words);
	(void)cJSON_AddItemToArray(r->array, o);
}

/* The rules' array; *ret_left_out: how many more there are. */
static cJSON *rules_of(struct question *q, struct alloc *a, const char *key, unsigned *ret_left_out)
{
	struct rules r = {.array = cJSON_CreateArray()};
	struct judge_trace trace = {on_rule, &r};

	if (a != NULL && r.array != NULL)
		(void)!alloc_explain(a, key, &trace, q->now_ms);
	*ret_left_out = r.left_out;
	return r.array;
}

/* -- the allocator that is asked -- */

static bool fill_shadow(struct alloc *a, struct daemon *d, uint64_t now_ms)
{
	struct cluster_service s = {0};

	keep_tell(d, a);
	alloc_set_namespaces(a, d->cluster, d->namespaces_forbidden, now_ms);
	if (alloc_configure(a, d->conf, now_ms) != 0)
		return false;
	alloc_begin(a);
	while (cluster_next_service(d->cluster, &s))
		if (alloc_put(a, &s, now_ms) != 0)
			return false;
	alloc_adopted(a, now_ms);
	return true;
}

struct alloc *explain_shadow(struct daemon *d, uint64_t now_ms)
{
	struct alloc *a = NULL;

	if (d->synced_once && !d->conf->servicelb_active &&
		cluster_count(d->cluster, CLUSTER_SERVICE) <= MAX_SHADOW)
		a = alloc_new(&d->hkey, NULL);
	if (a != NULL && !fill_shadow(a, d, now_ms)) {
		alloc_free(a);
		return NULL;
	}
	return a;
}

/* The same; NULL, too: not again so soon. */
static struct alloc *shadow_new(struct question *q)
{
	return q->now_ms >= q->d->shadow_again_ms ? explain_shadow(q->d, q->now_ms) : NULL;
}

/* It cost time in which nothing else was done: the next one waits. */
static void shadow_free(struct question *q, struct alloc *a)
{
	uint64_t took_ms = daemon_now_ms() - q->now_ms;

	if (a == NULL)
		return;
	alloc_free(a);
	if (took_ms > SHADOW_FREE_MS)
		q->d->shadow_again_ms = q->now_ms + took_ms * SHADOW_PAUSE;
}

/* -- who would be next -- */

/* The best so far, in the order of OWNERSHIP R13: weight, then the hash. */
struct contest {
	const struct daemon *d;
	const struct vip_group *g;
	const char *best; /* borrowed; NULL = nobody can */
	unsigned weight;
};

static void enter(struct contest *c, const char *node, const char *subnets)
{
	const struct daemon *d = c->d;
	struct elig e;

	if (strcmp(node, d->node) == 0)
		elig_judge_self(&d->elig_input, c->g, &e);
	else
		elig_judge_other(&d->elig_input, c->g, node, subnets, &e);
	if (e.reason != REASON_OWNER)
		return;
	if (c->best != NULL &&
		(e.weight < c->weight ||
			(e.weight == c->weight && !member_before(node, c->best, c->g->key))))
		return;
	c->best = node;
	c->weight = e.weight;
}

/* The first in the group's order among those that could take it: of the members, in a dry run of
 * all Nodes.  The n of but are left out. */
static const char *first_node(const struct daemon *d, const struct vip_group *g,
	const char *const but[2], uint64_t now_ms)
{
	struct contest c = {.d = d, .g = g};
	const struct cluster_node *n = NULL;
	struct elect_member m;

	for (size_t i = 0; d->dry == NULL && i < elect_member_count(d->elect); i++) {
		elect_member_at(d->elect, i, now_ms, &m);
		if (m.liveness == ELECT_ALIVE && m.draining == NULL && !text_eq(m.node, but[0]) &&
			!text_eq(m.node, but[1]))
			enter(&c, m.node, m.subnets);
	}
	while (d->dry != NULL && (n = cluster_next_node(d->cluster, n)) != NULL)
		if (!text_eq(n->name, but[0]) && !text_eq(n->name, but[1]))
			enter(&c, n->name, NULL);
	return c.best;
}

const char *explain_first(const struct daemon *d, const struct vip_group *g, uint64_t now_ms)
{
	const char *const nobody[2] = {NULL, NULL};

	return g != NULL ? first_node(d, g, nobody, now_ms) : NULL;
}

/* -- one address in service -- */

static void put_here(
	struct question *q, cJSON *o, const struct vip *v, const struct elect_view *view)
{
	const struct config_l2_advertisement *ad = NULL;
	cJSON *list = cJSON_AddArrayToObject(o, "advertisements");

	while ((ad = elig_next_advertisement(&q->d->elig_input, v, ad)) != NULL)
		item_string(list, ad->name);
	(void)cJSON_AddBoolToObject(o, "eligibleHere", view->elig->reason == REASON_OWNER);
	put_string(o, "eligibility", reason_code(view->elig->reason));
	(void)cJSON_AddBoolToObject(o, "offSubnet", view->elig->off_subnet);
}

/* What would happen if the node went. */
static void put_without(struct question *q, cJSON *o, const char *owner, const char *next)
{
	bool moves = owner == NULL || strcmp(owner, q->without) == 0;
	cJSON *w = cJSON_AddObjectToObject(o, "without");

	put_string(w, "node", q->without);
	put_string(w, "owner", moves ? next : owner);
	(void)cJSON_AddBoolToObject(w, "moves", owner != NULL && moves);
}

static void put_vip(struct question *q, const struct vip *v)
{
	const struct daemon *d = q->d;
	cJSON *array = cJSON_GetObjectItemCaseSensitive(q->answer, "vips");
	cJSON *o = status_vip(d, v, q->now_ms);
	struct elect_view view;

	(void)cJSON_AddItemToArray(array, o);
	if (!elect_view(d->elect, v->group->id, &view))
		return;
	put_here(q, o, v, &view);
	put_string(o, "next",
		first_node(d, v->group, (const char *const[2]){view.owner, q->without}, q->now_ms));
	if (q->without != NULL)
		put_without(q, o, view.owner, json_string(o, "next"));
}

/* In a dry run: could anybody? */
static bool would_be_answered(
	const struct question *q, const struct vip *v, const char *ip, struct why *w)
{
	const char *first = v != NULL ? explain_first(q->d, v->group, q->now_ms) : NULL;

	if (first == NULL)
		return false;
	w->reason = REASON_DRY_RUN;
	(void)snprintf(
		w->text, sizeof w->text, "node %s would be the first to answer for %s", first, ip);
	return true;
}

/* Does anybody answer for it?  Else text says why this node does not. */
static bool is_answered(const struct question *q, struct addr x, struct why *w)
{
	const struct vip *v = vip_find(q->d->vips, x);
	struct elect_view view = {.state = ELECT_IDLE};
	char ip[ADDR_STRLEN];

	addr_format(x, ip);
	w->reason = REASON_NO_OWNER;
	if (v != NULL && elect_view(q->d->elect, v->group->id, &view) && view.owner != NULL) {
		w->reason = REASON_OWNER;
		(void)snprintf(w->text, sizeof w->text, "node %s answers for %s", view.owner, ip);
		return true;
	}
	if (q->d->dry != NULL && would_be_answered(q, v, ip, w))
		return true;
	if (view.state == ELECT_CONFLICT)
		w->reason = REASON_CONFLICT;
	else if (view.elig != NULL && view.elig->reason != REASON_OWNER)
		w->reason = view.elig->reason;
	(void)snprintf(w->text, sizeof w->text, "no node is known to answer for %s%s%s", ip,
		w->reason != REASON_NO_OWNER ? "; on this node: " : "",
		w->reason != REASON_NO_OWNER ? reason_text(w->reason) : "");
	return false;
}

/* -- a Service -- */

static const char *policy_name(enum cluster_ip_family_policy p)
{
	switch (p) {
	case CLUSTER_SINGLE_STACK:
		return "SingleStack";
	case CLUSTER_PREFER_DUAL:
		return "PreferDualStack";
	case CLUSTER_REQUIRE_DUAL:
		return "RequireDualStack";
	}
	return "";
}

static void item_asked(cJSON *array, const char *field, const char *value)
{
	cJSON *o;

	if (value == NULL || value[0] == '\0')
		return;
	o = cJSON_CreateObject();
	put_string(o, "field", field);
	put_string(o, "value", value);
	(void)cJSON_AddItemToArray(array, o);
}

/* What it asks for, by the fields' names. */
static void put_asks(struct question *q, const struct cluster_service *s)
{
	const struct cluster_asked_by by = cluster_asked_by(&s->request);
	cJSON *o = cJSON_AddObjectToObject(q->answer, "asks"), *list;

	list = cJSON_AddArrayToObject(o, "families");
	for (size_t i = 0; i < s->n_families; i++)
		item_string(list, family_name(s->families[i]));
	put_string(o, "ipFamilyPolicy", policy_name(s->family_policy));
	list = cJSON_AddArrayToObject(o, "fields");
	item_asked(list, "spec.loadBalancerClass", s->class_);
	item_asked(list, "spec.externalTrafficPolicy", s->local ? "Local" : NULL);
	item_asked(list, "spec.loadBalancerIP", s->load_balancer_ip);
	item_asked(list, by.ips, s->request.ips);
	item_asked(list, by.pool, s->request.pool);
	item_asked(list, by.sharing_key, s->request.sharing_key);
	item_asked(list, "protocol.openelb.kubesphere.io/v1alpha1", s->request.protocol);
}

static void put_addrs(cJSON *o, const char *key, const struct addr *v, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(o, key);
	char ip[ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		item_string(list, addr_format(v[i], ip));
}

static void put_status(struct question *q, const struct cluster_service *s)
{
	struct dry_change c;

	if (!dry_change(q->d, s, &c)) {
		put_addrs(q->answer, "status", s->ingress, s->n_ingress);
		return;
	}
	put_addrs(q->answer, "status", c.was, c.n_was);
	put_addrs(q->answer, "wouldWrite", c.is, c.n_is);
}

/* What the allocator has for it. */
static void put_holds(struct question *q, const struct alloc *a, const char *key)
{
	struct alloc_result r = {.n_ips = 0};
	bool known = a != NULL && alloc_why(a, key, &r);

	put_addrs(q->answer, "decided", r.ips, r.n_ips);
	if (known)
		put_string(q->answer, "pool", r.pool);
}

/* What this node does not know for sure. */
static void put_notes(struct question *q)
{
	cJSON *list = cJSON_AddArrayToObject(q->answer, "notes");
	const struct daemon *d = q->d;
	struct elect_member m;
	char leader[CONFIG_MAX_NAME + 1], text[2 * CONFIG_MAX_NAME + 128];

	why_leader(d, leader);
	if (!d->synced)
		item_string(list, "out of step with the API server: this is what was known last");
	if (d->conf_err != 0 || d->conf_rejected)
		item_string(
			list, "the configuration file was rejected: the one before it is in force");
	if (!crdwatch_is_current(d))
		item_string(list,
			"objects in the API are wrong, or not all known yet: what is in force is "
			"another configuration");
	if (d->dry != NULL)
		item_string(list, "a dry run: nothing is written, nothing is announced");
	if (!daemon_is_ready(d) && leader[0] != '\0') {
		(void)snprintf(text, sizeof text,
			"as this node, %s, sees it: the leader, node %s, decides", d->node, leader);
		item_string(list, text);
	}
	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		elect_member_at(d->elect, i, q->now_ms, &m);
		if (strcmp(m.node, leader) != 0 || m.self || m.config_hash == NULL ||
			strcmp(m.config_hash, d->conf->hash) == 0)
			continue;
		(void)snprintf(text, sizeof text,
			"the leader, node %s, works from another configuration than this node",
			leader);
		item_string(list, text);
	}
}

static void put_decider(struct question *q)
{
	cJSON *o = cJSON_AddObjectToObject(q->answer, "leader");
	char leader[CONFIG_MAX_NAME + 1];

	why_leader(q->d, leader);
	put_string(o, "node", leader);
	(void)cJSON_AddBoolToObject(o, "self", leader_is_leader(q->d->leader, q->now_ms));
	put_string(q->answer, "node", q->d->node);
	(void)cJSON_AddBoolToObject(q->answer, "dryRun", q->d->dry != NULL);
	put_notes(q);
}

void explain_why(const struct daemon *d, const struct cluster_service *s,
	const struct alloc *shadow, struct why *w)
{
	struct why by_rules;

	why_service(d, s, alloc_is_ready(d->alloc) ? d->alloc : NULL, w);
	if (shadow == NULL || s->n_ingress > 0 || w->reason == REASON_NO_POOL)
		return;
	why_service(d, s, shadow, &by_rules);
	if (by_rules.reason != REASON_WRITING)
		*w = by_rules;
}

/* The first words: why it has no address, else whether somebody answers for those that it has. */
static void judge_service(
	struct question *q, const struct cluster_service *s, const struct alloc *shadow)
{
	struct why w, announced;
	bool fine;

	explain_why(q->d, s, shadow, &w);
	fine = w.reason == REASON_ALLOCATED;
	for (size_t i = 0; fine && i < s->n_ingress; i++) {
		fine = is_answered(q, s->ingress[i], &announced);
		if (i == 0 || !fine)
			w = announced;
	}
	put_verdict(q, w.reason, w.text, fine || w.reason == REASON_NODE_ADDRESS);
}

static void put_vips(struct question *q, const struct cluster_service *s)
{
	(void)cJSON_AddArrayToObject(q->answer, "vips");
	for (size_t i = 0; i < s->n_ingress; i++) {
		const struct vip *v = vip_find(q->d->vips, s->ingress[i]);

		if (v != NULL)
			put_vip(q, v);
	}
}

/* By allocator a: this node's own, or a shadow; NULL = by none. */
static void explain_by(struct question *q, const struct cluster_service *s, struct alloc *a)
{
	bool served = service_served(q->d->conf, s) == REASON_ALLOCATED;
	unsigned left_out;
	cJSON *rules = rules_of(q, a, s->key, &left_out); /* first: it lets a shadow decide */

	put_string(q->answer, "service", s->key);
	judge_service(q, s, a != q->d->alloc ? a : NULL);
	put_status(q, s);
	put_holds(q, a, s->key);
	put_asks(q, s);
	(void)cJSON_AddItemToObject(q->answer, "rules", rules);
	if (left_out > 0)
		(void)cJSON_AddNumberToObject(q->answer, "rulesLeftOut", left_out);
	put_vips(q, s);
	put_decider(q);
	if (a == NULL && served && !q->d->conf->servicelb_active)
		item_string(cJSON_GetObjectItemCaseSensitive(q->answer, "notes"),
			"the rules that were tried are left out: asked again too soon, or too many "
			"Services; the leader can tell");
}

static void explain_service(struct question *q, const char *key)
{
	struct alloc *shadow = NULL;
	struct cluster_service s;

	if (!cluster_service(q->d->cluster, key, &s))
		return;
	if (alloc_is_ready(q->d->alloc)) {
		explain_by(q, &s, q->d->alloc);
		return;
	}
	if (service_served(q->d->conf, &s) == REASON_ALLOCATED)
		shadow = shadow_new(q);
	explain_by(q, &s, shadow);
	shadow_free(q, shadow);
}

/* -- an address -- */

static const char *place_name(enum alloc_place p)
{
	switch (p) {
	case ALLOC_IN_NO_POOL:
		return "inNoPool";
	case ALLOC_UNUSED:
		return "free";
	case ALLOC_RESTING:
		return "resting";
	case ALLOC_GUARDED:
		return "guarded";
	case ALLOC_HELD:
		return "held";
	}
	return "";
}

/* Of an address that no VIP is. */
static void judge_place(struct question *q, const struct alloc_address *l)
{
	char text[CLUSTER_MAX_KEY + CONFIG_MAX_NAME + 128];
	enum reason reason = REASON_NO_IP;

	switch (l->place) {
	case ALLOC_IN_NO_POOL:
		reason = REASON_IP_NOT_ALLOWED;
		(void)snprintf(text, sizeof text, "no pool has it");
		break;
	case ALLOC_UNUSED:
		(void)snprintf(text, sizeof text, "an address of pool %s, free", l->pool);
		break;
	case ALLOC_RESTING:
		(void)snprintf(text, sizeof text,
			"an address of pool %s, free, in use until %" PRIu64
			" s ago: others are given before it",
			l->pool, (q->now_ms - l->freed_ms) / 1000);
		break;
	case ALLOC_GUARDED:
		(void)snprintf(text, sizeof text,
			"taken from %s, whose status may still show it: nobody gets it before",
			l->user);
		break;
	case ALLOC_HELD:
		reason = REASON_WRITING;
		(void)snprintf(text, sizeof text, "given to %s, whose status does not show it yet",
			l->user);
		break;
	}
	put_verdict(q, reason, text, false);
}

/* What is known where nobody allocates: the configuration. */
static struct alloc_address look(const struct question *q, struct addr x)
{
	const struct config_pool *p = config_pool_of(q->d->conf, x);

	if (alloc_is_ready(q->d->alloc))
		return alloc_look(q->d->alloc, x);
	return (struct alloc_address){
		.place = p != NULL ? ALLOC_UNUSED : ALLOC_IN_NO_POOL,
		.pool = p != NULL ? p->name : NULL,
	};
}

/* Services whose status shows x: whether lawfully is for the reader to see. */
static void put_shown(struct question *q, struct addr x)
{
	cJSON *list = cJSON_AddArrayToObject(q->answer, "services");
	struct cluster_service s = {0};

	while (cluster_next_service(q->d->cluster, &s)) {
		cJSON *o;
		enum reason r;
		size_t i = 0;

		while (i < s.n_ingress && !addr_eq(s.ingress[i], x))
			i++;
		if (i == s.n_ingress)
			continue;
		r = vip_why(q->d->vips, q->d->conf, q->d->cluster, &s, x);
		o = cJSON_CreateObject();
		put_string(o, "name", s.key);
		(void)cJSON_AddBoolToObject(
			o, "lawful", r == REASON_OWNER || r == REASON_NODE_ADDRESS);
		put_string(o, "reason", reason_code(r == REASON_OWNER ? REASON_ALLOCATED : r));
		put_string(o, "text", reason_text(r == REASON_OWNER ? REASON_ALLOCATED : r));
		(void)cJSON_AddItemToArray(list, o);
	}
}

/* In servicelb mode. */
static void judge_node_address(struct question *q, struct addr x)
{
	bool is = cluster_is_node_address(q->d->cluster, x);
	enum reason r = is ? REASON_NODE_ADDRESS : REASON_IP_NOT_ALLOWED;

	put_verdict(q, r, reason_text(r), is);
}

static void explain_address(struct question *q, struct addr x)
{
	const struct vip *v = vip_find(q->d->vips, x);
	struct alloc_address l = look(q, x);
	struct why w;

	if (v != NULL)
		l.place = ALLOC_HELD;
	put_addr(q->answer, "ip", x);
	put_string(q->answer, "pool", l.pool);
	put_string(q->answer, "place", place_name(l.place));
	if (q->d->conf->servicelb_active) {
		judge_node_address(q, x);
	} else if (v == NULL) {
		judge_place(q, &l);
	} else {
		bool fine = is_answered(q, x, &w);

		put_verdict(q, w.reason, w.text, fine);
	}
	put_shown(q, x);
	(void)cJSON_AddArrayToObject(q->answer, "vips");
	if (v != NULL)
		put_vip(q, v);
	put_decider(q);
}

/* -- what is asked about -- */

/* The Services of this name: the key of the only one, else why there is none. */
static bool find_by_name(const struct question *q, const char *name,
	char ret_key[CLUSTER_MAX_KEY + 1], struct buf *why)
{
	struct cluster_service s = {0};
	unsigned n = 0;

	while (cluster_next_service(q->d->cluster, &s)) {
		if (strcmp(s.name, name) != 0)
			continue;
		n++;
		(void)snprintf(ret_key, CLUSTER_MAX_KEY + 1, "%s", s.key);
		if (n <= MAX_CANDIDATES)
			buf_addf(why, "%s%s", n > 1 ? ", " : "Services of that name: ", s.key);
	}
	if (n > MAX_CANDIDATES)
		buf_addf(why, " and %u more", n - MAX_CANDIDATES);
	return n == 1;
}

static void say_none(const struct question *q, const char *what, struct buf *why)
{
	char swapped[CLUSTER_MAX_KEY + 1];

	buf_addf(why, "no Service %.300s%s is known here", what,
		strchr(what, '/') != NULL ? " (NAMESPACE/NAME)" : "");
	if (text_swap(what, swapped, sizeof swapped) &&
		cluster_service(q->d->cluster, swapped, NULL))
		buf_addf(why, ": did you mean %s?", swapped);
	else if (!q->d->synced)
		buf_adds(why, "; but this node is out of step with the API server");
}

static bool find_service(const struct question *q, const char *what,
	char ret_key[CLUSTER_MAX_KEY + 1], struct buf *why)
{
	if (strchr(what, '/') == NULL ? find_by_name(q, what, ret_key, why)
				      : cluster_service(q->d->cluster, what, NULL)) {
		if (strchr(what, '/') != NULL)
			(void)snprintf(ret_key, CLUSTER_MAX_KEY + 1, "%s", what);
		return true;
	}
	if (why->len == 0)
		say_none(q, what, why);
	return false;
}

static bool is_known_node(const struct daemon *d, const char *node)
{
	struct elect_member m;

	for (size_t i = 0; i < elect_member_count(d->elect); i++) {
		elect_member_at(d->elect, i, 0, &m);
		if (strcmp(m.node, node) == 0)
			return true;
	}
	return cluster_node(d->cluster, node) != NULL;
}

static cJSON *answer_service(struct question *q, const char *what)
{
	char key[CLUSTER_MAX_KEY + 1];
	struct buf why;
	bool found;

	buf_init(&why, (MAX_CANDIDATES + 1) * (CLUSTER_MAX_KEY + 3));
	found = find_service(q, what, key, &why);
	if (found) {
		explain_service(q, key);
	} else {
		cJSON_Delete(q->answer);
		q->answer = refusal(why.p != NULL ? why.p : "out of memory");
	}
	buf_free(&why);
	return q->answer;
}

cJSON *explain_answer(struct daemon *d, const cJSON *request, uint64_t now_ms)
{
	const char *what = json_string(request, "what");
	struct question q = {.d = d, .now_ms = now_ms, .without = json_string(request, "without")};
	struct addr x;

	if (what == NULL || what[0] == '\0')
		return refusal("explain: what?");
	if (q.without != NULL && !is_known_node(d, q.without))
		return refusal("no such node is known here");
	q.answer = cJSON_CreateObject();
	if (addr_parse(what, strlen(what), &x) != 0)
		return answer_service(&q, what);
	explain_address(&q, x);
	return q.answer;
}
