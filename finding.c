/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.c - what an operator should know first of a cluster's state, in sentences.
 *
 * In:   status.c's tree.  Out: sentences.
 */
#include "finding.h"

#include "buf.h"
#include "columns.h"
#include "json.h"
#include "reason.h"

#include <string.h>

enum {
	MAX_SENTENCE = 8192,
	MAX_NAMED = 3,      /* Services or addresses in one sentence; the rest is counted */
	MAX_HEAPS = 8,      /* reasons that are told apart */
	MUTE_MS = 15000,    /* of an API server: before, it may be a renewal that was late */
	RECENT_MS = 300000, /* a foreign host that was heard before is no news */
};

struct teller {
	const cJSON *dump;
	finding_fn *tell;
	void *ctx;
	bool timeless;
	struct buf s; /* the sentence */
};

/* -- the dump -- */

int64_t finding_age(const cJSON *dump, const cJSON *o, const char *key)
{
	int64_t now = columns_time(json_string(json_object(dump, "version"), "now")),
		at = columns_time(json_string(o, key));

	if (now < 0 || at < 0)
		return -1;
	return now > at ? now - at : 0;
}

static bool is(const cJSON *o, const char *key, const char *value)
{
	const char *s = json_string(o, key);

	return s != NULL && strcmp(s, value) == 0;
}

/* Is the string one of a NULL-terminated list? */
static bool is_any(const cJSON *o, const char *key, const char *const *list)
{
	for (; *list != NULL; list++)
		if (is(o, key, *list))
			return true;
	return false;
}

const cJSON *finding_node(const cJSON *dump, const char *name)
{
	const cJSON *n;

	cJSON_ArrayForEach (n, json_array(dump, "nodes"))
		if (name != NULL && is(n, "name", name))
			return n;
	return NULL;
}

static const cJSON *self_of(const cJSON *dump)
{
	const cJSON *n;

	cJSON_ArrayForEach (n, json_array(dump, "nodes"))
		if (json_bool(n, "self", false))
			return n;
	return NULL;
}

bool finding_node_lives(const cJSON *node)
{
	return is(node, "lease", "alive");
}

const cJSON *finding_reference(const cJSON *dump)
{
	const cJSON *n = self_of(dump);

	if (n != NULL)
		return n;
	cJSON_ArrayForEach (n, json_array(dump, "nodes"))
		if (finding_node_lives(n))
			return n;
	return NULL;
}

bool finding_is_hijacked(const cJSON *dump, const cJSON *vip)
{
	int64_t age = finding_age(dump, vip, "foreignSeen");

	return is(vip, "state", "conflict") ||
	       (json_string(vip, "foreignMac") != NULL && age >= 0 && age <= RECENT_MS);
}

bool finding_is_unanswered(const cJSON *vip)
{
	static const char *const fine[] = {"nodeAddress", "dryRun", "notSynced", "bgpOnly", NULL};
	const cJSON *here = cJSON_GetArrayItem(json_array(vip, "here"), 0),
		    *bgp = json_object(vip, "bgp");

	if (json_string(vip, "owner") != NULL || is(vip, "state", "conflict") ||
		json_bool(bgp, "announced", false))
		return false;
	return !is_any(here, "reason", fine) || is(bgp, "reason", "noEndpoints");
}

bool finding_service(const cJSON *service)
{
	static const char *const fine[] = {"allocated", "nodeAddress", "notLoadBalancer",
		"otherClass", "classless", "ignored", "serviceDeleted", "beingWritten", "notSynced",
		NULL};

	return json_string(service, "reason") != NULL && !is_any(service, "reason", fine);
}

bool finding_is_node_bad(const cJSON *node)
{
	bool released = is(node, "lease", "released"), known = json_string(node, "lease") != NULL;

	return json_bool(node, "frozen", false) ||
	       (!released && ((known && !finding_node_lives(node)) ||
				     json_string(node, "draining") != NULL));
}

bool finding_is_peer_down(const cJSON *peer)
{
	return json_string(peer, "state") != NULL && !is(peer, "state", "Established") &&
	       !is(peer, "lastError", "not a peer of this node");
}

bool finding_is_peer_unwatched(const cJSON *peer)
{
	static const char *const fine[] = {"Up", "none", NULL};

	return is(peer, "state", "Established") && json_string(peer, "bfd") != NULL &&
	       !is_any(peer, "bfd", fine);
}

bool finding_has_session(const cJSON *dump)
{
	const cJSON *p;

	cJSON_ArrayForEach (p, json_array(dump, "peers"))
		if (is(p, "state", "Established"))
			return true;
	return false;
}

/* -- sentences -- */

static void say(struct teller *t, const char *ours)
{
	buf_adds(&t->s, ours);
}

static void say_theirs(struct teller *t, const char *s)
{
	columns_text(&t->s, s != NULL ? s : "?");
}

/* " 5m", or nothing. */
static void say_age(struct teller *t, const char *before, int64_t age, const char *after)
{
	if (age < 0 || t->timeless)
		return;
	say(t, before);
	columns_age((uint64_t)age, &t->s);
	say(t, after);
}

static void end(struct teller *t, bool degraded)
{
	if (t->s.len > 0 && !t->s.bad)
		t->tell(t->ctx, degraded, t->s.p);
	buf_reset(&t->s);
}

/* -- things of one kind, by what is said of them -- */

struct heap {
	const char *text; /* borrowed, as the names */
	const char *name[MAX_NAMED];
	size_t n;
};

struct heaps {
	struct heap v[MAX_HEAPS];
	size_t n;
};

static void heap_add(struct heaps *h, const char *text, const char *name)
{
	size_t i = 0;

	while (i < h->n && strcmp(h->v[i].text, text) != 0)
		i++;
	if (i == MAX_HEAPS) {
		i = MAX_HEAPS - 1;
		h->v[i].text = "for various reasons";
	}
	if (i == h->n)
		h->v[h->n++] = (struct heap){.text = text};
	if (h->v[i].n < MAX_NAMED)
		h->v[i].name[h->v[i].n] = name != NULL && *name != '\0' ? name : NULL;
	h->v[i].n++;
}

static void say_names(struct teller *t, const struct heap *h)
{
	for (size_t i = 0; i < h->n && i < MAX_NAMED; i++) {
		say(t, i > 0 ? ", " : "");
		say_theirs(t, h->name[i]);
	}
	if (h->n > MAX_NAMED)
		buf_addf(&t->s, " and %zu more", h->n - MAX_NAMED);
}

/* "a, b", or "5 things (a, b, c and 2 more)". */
static void say_heap(struct teller *t, const struct heap *h, const char *things)
{
	if (h->n > MAX_NAMED)
		buf_addf(&t->s, "%zu %s (", h->n, things);
	say_names(t, h);
	say(t, h->n > MAX_NAMED ? ")" : "");
}

/* -- the API, the leader, this node -- */

/* It shows what there is, and takes nothing from this node. */
static void tell_mute(struct teller *t, const cJSON *api)
{
	int64_t age = finding_age(t->dump, api, "refusesSince");

	if (age < MUTE_MS || !json_bool(api, "synced", true))
		return;
	say(t, "the API server is in reach, but has not taken this node's Lease");
	say_age(t, " for ", age, "");
	say(t, " (");
	say_theirs(t, json_string(api, "refusesWhy"));
	say(t, "): when that is over, others take its addresses");
	end(t, true);
}

static void tell_api(struct teller *t)
{
	const cJSON *api = json_object(t->dump, "api"), *w, *refused;
	const char *error = NULL;

	if (api != NULL && !json_bool(api, "synced", true)) {
		cJSON_ArrayForEach (w, json_array(api, "watches"))
			if (json_string(w, "error") != NULL && *json_string(w, "error") != '\0')
				error = json_string(w, "error");
		say(t, "API server out of reach");
		say_age(t, " for ", finding_age(t->dump, api, "since"), "");
		say(t, ": what is announced stays so, but no Service gets a new address");
		if (error != NULL) {
			say(t, " (");
			say_theirs(t, error);
			say(t, ")");
		}
		end(t, true);
	}
	tell_mute(t, api);
	cJSON_ArrayForEach (refused, json_array(api, "refused")) {
		say(t, "the API server refuses lbd a right: ");
		say_theirs(t, cJSON_GetStringValue(refused));
		end(t, true);
	}
}

static void tell_leader(struct teller *t)
{
	const cJSON *leader = json_object(t->dump, "leader");
	const char *node = json_string(leader, "node");

	if (node == NULL || *node != '\0')
		return;
	say(t, "no node leads: no Service gets an address until one does");
	end(t, true);
}

static void tell_config(struct teller *t)
{
	const cJSON *config = json_object(t->dump, "config"), *fault;

	if (json_bool(config, "stale", false)) {
		say(t, "the configuration in force is older than the file's, which has errors");
		if (is(config, "from", "file")) {
			say(t, ": see `lbd check-config ");
			say_theirs(t, json_string(config, "file"));
			say(t, "`");
		}
		end(t, true);
	}
	cJSON_ArrayForEach (fault, json_array(config, "faults")) {
		say_theirs(t, json_string(fault, "kind"));
		say(t, " ");
		say_theirs(t, json_string(fault, "name"));
		say(t, " is wrong: ");
		say_theirs(t, json_string(fault, "error"));
		end(t, true);
	}
}

static void tell_self(struct teller *t)
{
	const cJSON *self = self_of(t->dump), *deaf;

	if (json_bool(self, "impersonated", false)) {
		say(t, "another process runs under this node's name, ");
		say_theirs(t, json_string(self, "name"));
		say(t, ": two machines must not have one name");
		end(t, true);
	}
	if (json_bool(self, "nodeMissing", false)) {
		say(t, "there is no Node ");
		say_theirs(t, json_string(self, "name"));
		say(t, " in the API: this host announces nothing; its Node's name is nodeName in "
		       "the configuration");
		end(t, true);
	}
	if (json_string(self, "nextName") != NULL) {
		say(t, "lbd goes by the node's name ");
		say_theirs(t, json_string(self, "name"));
		say(t, ", but nodeName in the configuration, or the host's name, is ");
		say_theirs(t, json_string(self, "nextName"));
		say(t, " now: restart lbd");
		end(t, true);
	}
	cJSON_ArrayForEach (deaf, json_array(self, "deaf")) {
		say(t, "lbd cannot listen on ");
		say_theirs(t, cJSON_GetStringValue(deaf));
		say(t, ": this node announces no address there; its log says why");
		end(t, true);
	}
	if (json_bool(self, "frozen", false)) {
		say(t, "this node is frozen: it keeps what it announces and takes nothing more "
		       "until "
		       "`lbd thaw`");
		end(t, true);
	}
	if (json_bool(json_object(t->dump, "version"), "dryRun", false)) {
		say(t, "a dry run: lbd says what it would do, and changes nothing");
		end(t, false);
	}
}

/* -- the other nodes -- */

static void tell_death(struct teller *t, const cJSON *n)
{
	bool released = is(n, "lease", "released");

	if (finding_node_lives(n) || json_string(n, "lease") == NULL)
		return;
	say(t, released ? "lbd was stopped on node " : "node ");
	say_theirs(t, json_string(n, "name"));
	if (!released) {
		say(t, " is dead, or cut off: its Lease was last renewed");
		say_age(t, " ", json_int(n, "sinceRenewalMs", 0, INT64_MAX, -1), " ago");
	}
	end(t, !released);
}

static void tell_drain(struct teller *t, const cJSON *n)
{
	const char *why = json_string(n, "draining");

	if (why == NULL || is(n, "lease", "released"))
		return;
	if (strcmp(why, REASON_TEXT_STOPPING) == 0) {
		say(t, "lbd is stopping on node ");
		say_theirs(t, json_string(n, "name"));
		say(t, ": it hands its addresses over");
		end(t, true);
		return;
	}
	say(t, "node ");
	say_theirs(t, json_string(n, "name"));
	say(t, " is drained (");
	say_theirs(t, why);
	if (strcmp(why, REASON_TEXT_CORDONED) == 0) {
		say(t, "): it takes no address until `kubectl uncordon ");
		say_theirs(t, json_string(n, "name"));
		say(t, "`");
	} else {
		say(t, "): it takes no address until `lbd undrain` there");
	}
	end(t, true);
}

static void tell_unread(struct teller *t, const cJSON *n)
{
	if (!json_bool(n, "claimsUnread", false))
		return;
	say(t, "what node ");
	say_theirs(t, json_string(n, "name"));
	say(t, " announces cannot be read from its Lease lbd-claims-");
	say_theirs(t, json_string(n, "name"));
	end(t, true);
}

/* Nodes that BFD should watch and does not. */
static bool is_bfd_down(const cJSON *n)
{
	static const char *const fine[] = {"up", "late", "leaving", NULL};

	return finding_node_lives(n) && !json_bool(n, "self", false) &&
	       json_bool(n, "watched", false) && !is_any(n, "peer", fine);
}

static void tell_bfd(struct teller *t)
{
	long long lease_ms =
		json_int(json_object(t->dump, "config"), "nodeLeaseMs", 0, INT64_MAX / 2, -1);
	struct heap h = {0};
	const cJSON *n;

	cJSON_ArrayForEach (n, json_array(t->dump, "nodes"))
		if (is_bfd_down(n)) {
			if (h.n < MAX_NAMED)
				h.name[h.n] = json_string(n, "name");
			h.n++;
		}
	if (h.n == 0)
		return;
	say(t, "BFD not up to ");
	say_names(t, &h);
	say(t, ": failover by lease");
	if (lease_ms >= 0)
		buf_addf(&t->s, ", %lld s", lease_ms / 1000);
	say(t, ", instead of within a second");
	end(t, true);
}

/* Nodes that live and whose text under key is not this node's. */
static void heap_differing(struct teller *t, const char *key, struct heap *ret_h)
{
	const char *ours = json_string(finding_reference(t->dump), key);
	const cJSON *n;

	*ret_h = (struct heap){0};
	cJSON_ArrayForEach (n, json_array(t->dump, "nodes")) {
		const char *theirs = json_string(n, key);

		if (ours == NULL || theirs == NULL || strcmp(ours, theirs) == 0 ||
			!finding_node_lives(n))
			continue;
		if (ret_h->n < MAX_NAMED)
			ret_h->name[ret_h->n] = json_string(n, "name");
		ret_h->n++;
	}
}

static void tell_drift(struct teller *t)
{
	struct heap h;

	heap_differing(t, "configHash", &h);
	if (h.n > 0) {
		const cJSON *reference = finding_reference(t->dump);

		say(t, "the configuration differs from ");
		say_theirs(t, json_bool(reference, "self", false) ? "this node"
								  : json_string(reference, "name"));
		say(t, h.n == 1 ? "'s on node " : "'s on nodes ");
		say_names(t, &h);
		end(t, true);
	}
	heap_differing(t, "version", &h);
	if (h.n > 0) {
		say(t, h.n == 1 ? "another version of lbd runs on node "
				: "another version of lbd runs on nodes ");
		say_names(t, &h);
		end(t, false);
	}
}

static void tell_nodes(struct teller *t)
{
	size_t alive = 0;
	const cJSON *n;

	cJSON_ArrayForEach (n, json_array(t->dump, "nodes")) {
		alive += finding_node_lives(n);
		tell_death(t, n);
		tell_drain(t, n);
		tell_unread(t, n);
	}
	tell_bfd(t);
	tell_drift(t);
	if (alive == 1) {
		say(t, "only one node runs lbd: nobody takes over when it fails");
		end(t, false);
	}
}

/* -- addresses -- */

static const char *first_service(const cJSON *vip)
{
	return cJSON_GetStringValue(cJSON_GetArrayItem(json_array(vip, "services"), 0));
}

static void tell_hijack(struct teller *t, const cJSON *v)
{
	const char *mac = json_string(v, "foreignMac"), *service = first_service(v);
	bool conflict = is(v, "state", "conflict");

	say_theirs(t, json_string(v, "ip"));
	if (service != NULL) {
		say(t, " of ");
		say_theirs(t, service);
	}
	say(t, conflict ? " is in use by a foreign host" : " is claimed by a foreign host, too");
	if (mac != NULL) {
		say(t, ", MAC ");
		say_theirs(t, mac);
		say_age(t, ", heard ", finding_age(t->dump, v, "foreignSeen"), " ago");
	}
	say(t, conflict ? ": no node announces it until that host gives it up"
			: ": clients may reach that host instead");
	end(t, true);
}

const char *finding_unanswered_text(const cJSON *vip)
{
	static const char *const unclear[] = {
		"notOwner", "noOwner", "waiting", "probing", "owner", NULL};
	const cJSON *here = cJSON_GetArrayItem(json_array(vip, "here"), 0);
	const char *text = json_string(here, "text");

	if (is(json_object(vip, "bgp"), "reason", "noEndpoints"))
		return "the Service has no ready endpoint";
	return text == NULL || is_any(here, "reason", unclear) ? "no node has taken it yet" : text;
}

const char *finding_gone_owner(const cJSON *dump, const cJSON *vip)
{
	const char *owner = json_string(vip, "owner");
	const cJSON *n = finding_node(dump, owner);

	return n != NULL && !finding_node_lives(n) && json_string(n, "lease") != NULL ? owner
										      : NULL;
}

static void tell_vips(struct teller *t)
{
	struct heaps none = {.n = 0}, dead = {.n = 0};
	const cJSON *v;

	cJSON_ArrayForEach (v, json_array(t->dump, "vips")) {
		const char *owner = finding_gone_owner(t->dump, v);

		if (finding_is_hijacked(t->dump, v))
			tell_hijack(t, v);
		else if (finding_is_unanswered(v))
			heap_add(&none, finding_unanswered_text(v), json_string(v, "ip"));
		else if (owner != NULL)
			heap_add(&dead, owner, json_string(v, "ip"));
	}
	for (size_t i = 0; i < none.n; i++) {
		say(t, "no node answers for ");
		say_heap(t, &none.v[i], "addresses");
		say(t, ": ");
		say_theirs(t, none.v[i].text);
		end(t, true);
	}
	for (size_t i = 0; i < dead.n; i++) {
		say(t, "no other node has taken over from node ");
		say_theirs(t, dead.v[i].text);
		say(t, ", which is gone: ");
		say_heap(t, &dead.v[i], "addresses");
		end(t, true);
	}
}

static void tell_services(struct teller *t)
{
	struct heaps without = {.n = 0}, odd = {.n = 0};
	const cJSON *s;

	cJSON_ArrayForEach (s, json_array(t->dump, "services")) {
		bool has = cJSON_GetArraySize(json_array(s, "ips")) > 0;
		const char *text = json_string(s, "text");

		if (finding_service(s))
			heap_add(has ? &odd : &without, text != NULL ? text : "no reason is given",
				json_string(s, "name"));
	}
	for (size_t i = 0; i < without.n; i++) {
		say(t, "no address for ");
		say_heap(t, &without.v[i], "Services");
		say(t, ": ");
		say_theirs(t, without.v[i].text);
		end(t, true);
	}
	for (size_t i = 0; i < odd.n; i++) {
		say_heap(t, &odd.v[i], "Services");
		say(t, ": ");
		say_theirs(t, odd.v[i].text);
		end(t, true);
	}
}

static void tell_full(struct teller *t, const cJSON *pool, const char *family, const char *used_key,
	const char *total_key)
{
	double used = cJSON_GetNumberValue(json_get(pool, used_key)),
	       total = cJSON_GetNumberValue(json_get(pool, total_key));

	if (!(total >= 1 && used >= total && used < 1e15)) /* nor when one of them is no number */
		return;
	say(t, "pool ");
	say_theirs(t, json_string(pool, "name"));
	buf_addf(&t->s, " is full: %.0f of %.0f %s addresses are in use", used, total, family);
	end(t, true);
}

/* Pools that came when servicelb mode was on. */
static void tell_waiting(struct teller *t)
{
	struct heaps pools = {.n = 0};
	const cJSON *p;

	if (!json_bool(json_object(t->dump, "config"), "poolsWait", false))
		return;
	cJSON_ArrayForEach (p, json_array(t->dump, "pools"))
		heap_add(&pools, "", json_string(p, "name"));
	if (pools.n == 0)
		return;
	say(t, pools.v[0].n > 1 ? "pools " : "pool ");
	say_names(t, &pools.v[0]);
	say(t, pools.v[0].n > 1 ? " are not used" : " is not used");
	say(t, ": lbd started without any, in servicelb mode; restart lbd on every node to leave "
	       "that mode, or say servicelb.mode: always to stay in it");
	end(t, true);
}

static void tell_pools(struct teller *t)
{
	const cJSON *p;

	tell_waiting(t);
	cJSON_ArrayForEach (p, json_array(t->dump, "pools")) {
		tell_full(t, p, "IPv4", "ipv4Used", "ipv4Total");
		tell_full(t, p, "IPv6", "ipv6Used", "ipv6Total");
	}
}

static void say_peer(struct teller *t, const char *what, const cJSON *p)
{
	say(t, what);
	say_theirs(t, json_string(p, "name"));
	if (json_string(p, "address") != NULL) {
		say(t, " (");
		say_theirs(t, json_string(p, "address"));
		say(t, ")");
	}
	say(t, " is not up: ");
}

static void tell_peer(struct teller *t, const cJSON *p)
{
	const char *error = json_string(p, "lastError");
	long long hold_s = json_int(p, "holdTime", 1, 65535, 0);

	if (finding_is_peer_down(p)) {
		say_peer(t, "BGP session with ", p);
		say_theirs(t, error != NULL && *error != '\0' ? error : json_string(p, "state"));
		end(t, true);
	} else if (finding_is_peer_unwatched(p)) {
		say_peer(t, "BFD with the router ", p);
		if (hold_s > 0)
			buf_addf(&t->s, "when it dies, the hold time of %lld s has to pass", hold_s);
		else
			say(t, "only BGP itself notices when it dies");
		end(t, true);
	}
}

static void tell_peers(struct teller *t)
{
	const cJSON *p;

	cJSON_ArrayForEach (p, json_array(t->dump, "peers"))
		tell_peer(t, p);
}

void finding_each(const cJSON *dump, bool timeless, finding_fn *tell, void *ctx)
{
	struct teller t = {.dump = dump, .tell = tell, .ctx = ctx, .timeless = timeless};

	buf_init(&t.s, MAX_SENTENCE);
	tell_api(&t);
	tell_self(&t);
	tell_leader(&t);
	tell_vips(&t);
	tell_nodes(&t);
	tell_services(&t);
	tell_pools(&t);
	tell_peers(&t);
	tell_config(&t);
	buf_free(&t.s);
}
