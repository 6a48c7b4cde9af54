/* SPDX-License-Identifier: Apache-2.0
 *
 * apiview.c - the cluster as the API alone tells of it.
 *
 * Owns: for one answer, the decoded Leases.
 * In:   lists of Leases, Services (with the leader's condition), Events.  Out: a tree as status.c makes it, with less in it.
 */
#include "apiview.h"

#include "addr.h"
#include "claims.h"
#include "cluster_decode.h"
#include "columns.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_MEMBERS = 5000, MAX_EVENTS = 50, KEY_LEN = 512 };

struct member {
	struct cluster_lease *lease; /* owned; lbd-node-* or lbd-claims-* */
	struct claims claims;        /* owned; of a claims object */
	bool alive;                  /* of a node's */
};

struct picture {
	const struct apiview_lists *lists;
	struct member *v; /* owned */
	size_t n;
	const cJSON **events; /* owned; lbd's, the last one last */
	size_t n_events;
	struct use *uses; /* owned; of addresses that lbd gave, or a node claims */
	size_t n_uses, cap_uses;
	cJSON *root;
	bool bad; /* out of memory */
};

/* A Service shows an address. */
struct use {
	const char *ip;
	const cJSON *service;
};

static void add_string(cJSON *o, const char *key, const char *s)
{
	if (s != NULL)
		(void)cJSON_AddStringToObject(o, key, s);
	else
		(void)cJSON_AddNullToObject(o, key);
}

static bool is(const char *s, const char *value)
{
	return s != NULL && strcmp(s, value) == 0;
}

/* -- Events -- */

static const char *time_of(const cJSON *event)
{
	const char *s = json_string(event, "lastTimestamp");

	return s != NULL ? s : "";
}

static int by_time(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;

	return strcmp(time_of(*x), time_of(*y));
}

static bool take_events(struct picture *p)
{
	size_t size = (size_t)cJSON_GetArraySize(p->lists->events);
	const cJSON *e;

	p->events = calloc(size + 1, sizeof(const cJSON *));
	if (p->events == NULL)
		return false;
	cJSON_ArrayForEach (e, p->lists->events)
		if (is(json_string(json_object(e, "source"), "component"), "lbd"))
			p->events[p->n_events++] = e;
	if (p->n_events > 0)
		qsort(p->events, p->n_events, sizeof *p->events, by_time);
	return true;
}

/* -- Leases -- */

/* Milliseconds since it was renewed; -1: not known. */
static int64_t renewed_ms(const struct picture *p, const struct cluster_lease *l)
{
	int64_t now = columns_time(p->lists->now), at = columns_time(l->renew_time);

	return now < 0 || at < 0 ? -1 : now > at ? now - at : 0;
}

static void take_lease(struct picture *p, struct cluster_lease *l)
{
	struct member *m = &p->v[p->n];
	int64_t age = renewed_ms(p, l);

	*m = (struct member){.lease = l};
	m->alive = is(l->holder, "") ? false : age >= 0 && (uint64_t)age < l->duration_ms;
	if (l->role == CLUSTER_LEASE_CLAIMS && l->claims != NULL &&
		claims_parse(l->claims, &m->claims.v, &m->claims.n) == 0)
		claims_sort(m->claims.v, m->claims.n);
	p->n++;
}

static bool take_leases(struct picture *p)
{
	size_t n = (size_t)cJSON_GetArraySize(p->lists->leases);
	const cJSON *o;

	n = n < MAX_MEMBERS ? n : MAX_MEMBERS;
	p->v = calloc(n + 1, sizeof *p->v);
	if (p->v == NULL)
		return false;
	cJSON_ArrayForEach (o, p->lists->leases) {
		struct cluster_lease *l = p->n < n ? cluster_lease_decode(o) : NULL;

		if (l == NULL)
			continue;
		if (l->role == CLUSTER_LEASE_OTHER || l->role == CLUSTER_LEASE_RETIRED)
			cluster_lease_free(l);
		else
			take_lease(p, l);
	}
	return true;
}

static const struct member *find(
	const struct picture *p, enum cluster_lease_role role, const char *node)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].lease->role == role && (node == NULL || is(p->v[i].lease->node, node)))
			return &p->v[i];
	return NULL;
}

static void add_leader(struct picture *p)
{
	const struct member *m = find(p, CLUSTER_LEASE_LEADER, NULL);
	const char *holder = m != NULL && m->alive ? m->lease->holder : "",
		   *sep = strrchr(holder, '_');
	cJSON *o = cJSON_AddObjectToObject(p->root, "leader");
	char node[CLUSTER_MAX_NAME + 1];

	(void)snprintf(node, sizeof node, "%.*s", sep != NULL ? (int)(sep - holder) : 0, holder);
	add_string(o, "node", node);
	add_string(o, "holder", holder);
}

static void add_node(const struct picture *p, cJSON *array, const struct member *m)
{
	const struct member *c = find(p, CLUSTER_LEASE_CLAIMS, m->lease->node);
	const struct cluster_lease *l = m->lease;
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToArray(array, o);
	add_string(o, "name", l->node);
	add_string(o, "lease", is(l->holder, "") ? "released" : m->alive ? "alive" : "expired");
	add_string(o, "holder", l->holder);
	add_string(o, "version", l->version);
	add_string(o, "schema", l->schema);
	add_string(o, "configHash", l->config_hash);
	add_string(o, "addresses", l->addresses);
	add_string(o, "macs", l->macs);
	add_string(o, "subnets", l->subnets);
	add_string(o, "draining", l->draining);
	if (renewed_ms(p, l) >= 0)
		(void)cJSON_AddNumberToObject(o, "sinceRenewalMs", (double)renewed_ms(p, l));
	(void)cJSON_AddNumberToObject(o, "announces", c != NULL ? (double)claims_size(&c->claims) : 0);
}

static void add_nodes(struct picture *p)
{
	cJSON *array = cJSON_AddArrayToObject(p->root, "nodes");

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].lease->role == CLUSTER_LEASE_NODE)
			add_node(p, array, &p->v[i]);
}

/* Who claims it: who lives before who does not, then the later term. */
static const char *owner_of(const struct picture *p, struct addr a)
{
	const struct member *best = NULL;
	uint64_t term = 0;
	bool best_lives = false;

	for (size_t i = 0; i < p->n; i++) {
		const struct member *m = &p->v[i];
		const struct claim *c = claims_find(&m->claims, a);
		const struct member *node =
			c != NULL ? find(p, CLUSTER_LEASE_NODE, m->lease->node) : NULL;
		bool lives = node != NULL && node->alive;

		if (c == NULL ||
			(best != NULL && (lives != best_lives ? best_lives : c->term <= term)))
			continue;
		best = m;
		best_lives = lives;
		term = c->term;
	}
	return best != NULL ? best->lease->node : NULL;
}

/* -- Services -- */

static const char *pool_of(const cJSON *service)
{
	return json_string(json_object(json_object(service, "metadata"), "annotations"),
		"lbd.io/ip-allocated-from-pool");
}

static const cJSON *ingress_of(const cJSON *service)
{
	return json_array(json_object(json_object(service, "status"), "loadBalancer"), "ingress");
}

/* Who a node lately told of that claims it, too: "MAC, no node of this cluster, claims IP, ..." */
static void add_foreign(const struct picture *p, cJSON *o, const char *ip)
{
	const char *last = "";
	char claim[64], mac[18] = "";

	(void)snprintf(claim, sizeof claim, ", no node of this cluster, claims %s, ", ip);
	for (size_t i = 0; i < p->n_events; i++) {
		const char *text = json_string(p->events[i], "message");

		if (!is(json_string(p->events[i], "reason"), "addressConflict") || text == NULL ||
			strlen(text) < sizeof mac ||
			strncmp(text + sizeof mac - 1, claim, strlen(claim)) != 0)
			continue;
		last = time_of(p->events[i]);
		(void)snprintf(mac, sizeof mac, "%.17s", text);
	}
	if (mac[0] == '\0')
		return;
	add_string(o, "foreignMac", mac);
	add_string(o, "foreignSeen", last);
}

/* What the leader wrote of it; NULL = nothing. */
static const cJSON *condition_of(const cJSON *service)
{
	const cJSON *c;

	cJSON_ArrayForEach (c, json_array(json_object(service, "status"), "conditions"))
		if (is(json_string(c, "type"), CONDITION_TYPE))
			return c;
	return NULL;
}

/* Claimed by no node. */
static void add_unclaimed(cJSON *here, const cJSON *service)
{
	const cJSON *c = condition_of(service);
	const char *message = json_string(c, "message");
	bool not = is(json_string(c, "status"), "False") && message != NULL;

	add_string(here, "reason", not ? "notAnnounced" : "bgpOnly");
	add_string(here, "text",
		not                                       ? message
		: is(json_string(c, "status"), "True") ? "announced by BGP"
							  : "claimed by no node: by BGP alone, or by nobody");
}

static cJSON *add_vip(const struct picture *p, cJSON *vips, const char *ip, const cJSON *service)
{
	struct addr a;
	const char *owner = addr_parse(ip, strlen(ip), &a) == 0 ? owner_of(p, a) : NULL;
	cJSON *o = cJSON_CreateObject(), *here = cJSON_CreateObject();

	(void)cJSON_AddItemToArray(vips, o);
	add_string(o, "ip", ip);
	add_string(o, "pool", pool_of(service));
	(void)cJSON_AddArrayToObject(o, "services");
	add_string(o, "owner", owner);
	add_string(o, "ownerBy", owner != NULL ? "claim" : NULL);
	add_foreign(p, o, ip);
	(void)cJSON_AddItemToArray(cJSON_AddArrayToObject(o, "here"), here);
	if (owner != NULL) {
		add_string(here, "reason", "notOwner");
		add_string(here, "text", "another node owns the address");
	} else {
		add_unclaimed(here, service);
	}
	return o;
}

/* What follows the Service's name, which stands beside it anyhow. */
static const char *without_begin(const char *text)
{
	static const char begin[] = "Failed to allocate IP for \"";
	const char *rest = strncmp(text, begin, sizeof begin - 1) == 0
				   ? strstr(text + sizeof begin, "\": ")
				   : NULL;

	return rest != NULL ? rest + 3 : text;
}

/* The last thing that lbd told of it; NULL: nothing that went wrong. */
static const char *told_of(const struct picture *p, const char *namespace_, const char *name)
{
	for (size_t i = p->n_events; i-- > 0;) {
		const cJSON *e = p->events[i], *of = json_object(e, "involvedObject");
		const char *text = json_string(e, "message");

		if (is(json_string(of, "kind"), "Service") && is(json_string(of, "name"), name) &&
			is(json_string(of, "namespace"), namespace_))
			return text != NULL && is(json_string(e, "type"), "Warning")
				       ? without_begin(text)
				       : NULL;
	}
	return NULL;
}

static void add_reason(const struct picture *p, cJSON *o, const cJSON *service, bool has)
{
	const cJSON *meta = json_object(service, "metadata");
	const char *class = json_string(json_object(service, "spec"), "loadBalancerClass"),
		   *told = told_of(p, json_string(meta, "namespace"), json_string(meta, "name"));

	if (has) {
		add_string(o, "reason", "allocated");
		add_string(o, "text", "an address was given");
	} else if (class != NULL && strcmp(class, "lbd.io/lbd") != 0 && told == NULL) {
		add_string(o, "reason", "otherClass");
		add_string(o, "text", "the Service has another loadBalancerClass");
	} else {
		add_string(o, "reason", "noIPAllocated");
		add_string(o, "text",
			told != NULL ? told
				     : "lbd has told of no reason: lbd explain on a node does");
	}
}

static void note_use(struct picture *p, const char *ip, const cJSON *service)
{
	size_t cap = p->cap_uses > 0 ? p->cap_uses * 2 : 64;
	struct use *v;

	if (p->n_uses == p->cap_uses) {
		v = realloc(p->uses, cap * sizeof *v);
		p->bad |= v == NULL;
		if (v == NULL)
			return;
		p->uses = v;
		p->cap_uses = cap;
	}
	p->uses[p->n_uses++] = (struct use){ip, service};
}

static void add_addresses(struct picture *p, cJSON *ips, const cJSON *service)
{
	const cJSON *i;

	cJSON_ArrayForEach (i, ingress_of(service)) {
		const char *ip = json_string(i, "ip");
		struct addr a;

		if (ip == NULL)
			continue;
		(void)cJSON_AddItemToArray(ips, cJSON_CreateString(ip));
		if (addr_parse(ip, strlen(ip), &a) == 0 &&
			(pool_of(service) != NULL || owner_of(p, a) != NULL))
			note_use(p, ip, service);
	}
}

static const char *key_of(const cJSON *service, char key[KEY_LEN])
{
	const cJSON *meta = json_object(service, "metadata");

	(void)snprintf(
		key, KEY_LEN, "%s/%s", json_string(meta, "namespace"), json_string(meta, "name"));
	return key;
}

static int by_ip(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return strcmp(x->ip, y->ip);
}

/* One VIP for each address, with all that show it. */
static void add_vips(struct picture *p, cJSON *vips)
{
	cJSON *v = NULL;
	char key[KEY_LEN];

	if (p->n_uses > 0)
		qsort(p->uses, p->n_uses, sizeof *p->uses, by_ip);
	for (size_t i = 0; i < p->n_uses; i++) {
		const struct use *u = &p->uses[i];

		if (i == 0 || strcmp(u[-1].ip, u->ip) != 0)
			v = add_vip(p, vips, u->ip, u->service);
		(void)cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(v, "services"),
			cJSON_CreateString(key_of(u->service, key)));
	}
}

static void add_service(struct picture *p, cJSON *services, const cJSON *service)
{
	const cJSON *meta = json_object(service, "metadata"), *spec = json_object(service, "spec");
	char key[KEY_LEN];
	cJSON *o, *ips;

	if (json_string(meta, "name") == NULL || json_string(meta, "namespace") == NULL ||
		!is(json_string(spec, "type"), "LoadBalancer"))
		return;
	o = cJSON_CreateObject();
	(void)cJSON_AddItemToArray(services, o);
	add_string(o, "name", key_of(service, key));
	ips = cJSON_AddArrayToObject(o, "ips");
	add_addresses(p, ips, service);
	add_reason(p, o, service, cJSON_GetArraySize(ips) > 0);
	add_string(o, "pool", pool_of(service));
	(void)cJSON_AddBoolToObject(
		o, "local", is(json_string(spec, "externalTrafficPolicy"), "Local"));
}

/* -- the tree -- */

static void add_event(cJSON *array, const cJSON *e)
{
	const cJSON *of = json_object(e, "involvedObject");
	cJSON *o = cJSON_CreateObject();
	char object[512];

	(void)snprintf(object, sizeof object, "%s/%s",
		json_string(of, "kind") != NULL ? json_string(of, "kind") : "?",
		json_string(of, "name") != NULL ? json_string(of, "name") : "?");
	(void)cJSON_AddItemToArray(array, o);
	add_string(o, "time", json_string(e, "lastTimestamp"));
	add_string(o, "type", json_string(e, "type"));
	add_string(o, "reason", json_string(e, "reason"));
	add_string(o, "object", object);
	add_string(o, "message", json_string(e, "message"));
}

static void add_events(const struct picture *p)
{
	cJSON *array = cJSON_AddArrayToObject(p->root, "events");
	size_t n = p->n_events;

	for (size_t i = n > MAX_EVENTS ? n - MAX_EVENTS : 0; i < n; i++)
		add_event(array, p->events[i]);
}

static void build(struct picture *p)
{
	cJSON *o = cJSON_AddObjectToObject(p->root, "version"), *services;
	const cJSON *s;

	add_string(o, "now", p->lists->now);
	add_leader(p);
	add_nodes(p);
	services = cJSON_AddArrayToObject(p->root, "services");
	cJSON_ArrayForEach (s, p->lists->services)
		add_service(p, services, s);
	add_vips(p, cJSON_AddArrayToObject(p->root, "vips"));
	add_events(p);
	o = cJSON_AddObjectToObject(p->root, "api");
	add_string(o, "server", p->lists->server);
	(void)cJSON_AddBoolToObject(o, "synced", true);
}

cJSON *apiview_dump(const struct apiview_lists *l)
{
	struct picture p = {.lists = l, .root = cJSON_CreateObject()};

	p.bad = p.root == NULL || !take_leases(&p) || !take_events(&p);
	if (!p.bad)
		build(&p);
	for (size_t i = 0; i < p.n; i++) {
		claims_free(&p.v[i].claims);
		cluster_lease_free(p.v[i].lease);
	}
	free(p.v);
	free(p.events);
	free(p.uses);
	if (!p.bad)
		return p.root;
	cJSON_Delete(p.root);
	return NULL;
}
