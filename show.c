/* SPDX-License-Identifier: Apache-2.0
 *
 * show.c - lbd status: the daemon's JSON as text, or as HTML.
 *
 * In:   status.c's tree.  Out: a summary, what is degraded, tables.
 */
#include "show.h"

#include "addr.h"
#include "columns.h"
#include "finding.h"
#include "json.h"
#include "reason.h"

#include <stdio.h>
#include <string.h>

enum {
	MAX_ROWS = 20, /* of a table in the summary; those with trouble first */
	MAX_CELL = 4096,
};

struct row {
	const cJSON *o;
	const char *key;  /* known by; "" when it has none */
	struct addr addr; /* that the key is, if it is one */
	bool trouble;
};

struct view {
	const cJSON *dump;
	const struct show_options *opt;
	struct buf *out;
	struct buf cell;
	struct row *vips; /* owned; all, by their text */
	size_t n_vips;
	bool has_session; /* of BGP, this node */
	bool bad; /* out of memory */
};

/* One table, of the dump's list of that name. */
struct part {
	const char *word, *title;
	const char *key; /* what a row is known by */
	const struct columns_head *head;
	size_t n_heads;
	size_t most; /* rows in the summary; those with trouble first */
	bool sorted; /* else as they come */
	bool (*trouble)(const struct view *v, const cJSON *o); /* NULL: there is none */
	void (*put)(struct view *v, struct columns *t, const struct row *r);
	const char *none, *unknown; /* there is nothing; the dump has no such list */
};

static bool is(const cJSON *o, const char *key, const char *value)
{
	const char *s = json_string(o, key);

	return s != NULL && strcmp(s, value) == 0;
}

/* -- cells -- */

static void cell_end(struct view *v, struct columns *t)
{
	columns_add(t, v->cell.bad || v->cell.len == 0 ? NULL : v->cell.p);
	buf_reset(&v->cell);
}

static void cell_age(struct view *v, struct columns *t, int64_t age)
{
	if (age >= 0 && !v->opt->timeless)
		columns_age((uint64_t)age, &v->cell);
	cell_end(v, t);
}

static void cell_since(struct view *v, struct columns *t, const cJSON *o, const char *key)
{
	int64_t age = finding_age(v->dump, o, key);

	cell_age(v, t, age);
	if (age >= 0)
		columns_mark(t, COLUMNS_TIME, json_string(o, key));
}

/* The one in which trouble shows. */
static void cell_status(struct columns *t, bool trouble, const char *text)
{
	columns_add(t, text);
	if (trouble)
		columns_mark(t, COLUMNS_BAD, "");
}

static void cell_count(struct view *v, struct columns *t, const cJSON *o, const char *key)
{
	long long n = json_int(o, key, 0, INT64_MAX / 2, -1);

	if (n >= 0)
		buf_addf(&v->cell, "%lld", n);
	cell_end(v, t);
}

static void cell_list(struct view *v, struct columns *t, const cJSON *array)
{
	const cJSON *e;

	cJSON_ArrayForEach (e, array) {
		buf_adds(&v->cell, v->cell.len > 0 ? ", " : "");
		buf_adds(&v->cell, cJSON_GetStringValue(e) != NULL ? cJSON_GetStringValue(e) : "?");
	}
	cell_end(v, t);
}

/* -- rows, in order -- */

static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int by_addr(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = addr_cmp(x->addr, y->addr);

	return c != 0 ? c : by_key(a, b);
}

static int by_trouble(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->trouble != y->trouble ? (x->trouble ? -1 : 1) : by_addr(a, b);
}

/* Malloc'ed, of each object of the array; NULL when it is empty or memory is out (v->bad). */
static struct row *rows_of(struct view *v, const cJSON *array, const char *key, size_t *ret_n)
{
	size_t n = (size_t)cJSON_GetArraySize(array), i = 0;
	struct row *r = n > 0 ? calloc(n, sizeof *r) : NULL;
	const cJSON *o;

	*ret_n = 0;
	if (r == NULL) {
		v->bad |= n > 0;
		return NULL;
	}
	cJSON_ArrayForEach (o, array)
		if (cJSON_IsObject(o)) {
			const char *s = json_string(o, key);

			r[i] = (struct row){.o = o, .key = s != NULL ? s : ""};
			(void)!addr_parse(r[i].key, strlen(r[i].key), &r[i].addr);
			i++;
		}
	*ret_n = i;
	return r;
}

/* Is the object of the namespace that was asked for?  key: "NAMESPACE/NAME". */
static bool is_in_namespace(const struct show_options *opt, const char *key)
{
	size_t n = strlen(opt->namespace_);

	return key != NULL && strncmp(key, opt->namespace_, n) == 0 && key[n] == '/';
}

static bool is_asked_for(const struct show_options *opt, enum show_what what, const cJSON *o)
{
	const cJSON *s;

	if (opt->namespace_ == NULL || what > SHOW_VIPS)
		return true;
	if (what == SHOW_SERVICES)
		return is_in_namespace(opt, json_string(o, "name"));
	cJSON_ArrayForEach (s, json_array(o, "services"))
		if (is_in_namespace(opt, cJSON_GetStringValue(s)))
			return true;
	return false;
}

/* -- VIPs -- */

/* The first interface on which this node announces it; NULL: it does not. */
static const cJSON *announced_here(const cJSON *vip)
{
	const cJSON *e;

	cJSON_ArrayForEach (e, json_array(vip, "here"))
		if (json_bool(e, "announced", false))
			return e;
	return NULL;
}

static const cJSON *first_here(const cJSON *vip)
{
	return cJSON_GetArrayItem(json_array(vip, "here"), 0);
}

/* May this node announce it by BGP? */
static bool is_for_bgp(const cJSON *vip)
{
	return json_bool(json_object(vip, "bgp"), "announced", false);
}

static bool is_by_bgp(const struct view *v, const cJSON *vip)
{
	return is_for_bgp(vip) && v->has_session;
}

/* "n1", "n3 (gone)", "by BGP"; NULL: nobody. */
static void put_owner(const struct view *v, const cJSON *vip, struct buf *out)
{
	const char *owner = json_string(vip, "owner");

	if (owner != NULL) {
		buf_adds(out, owner);
		if (finding_gone_owner(v->dump, vip) != NULL)
			buf_adds(out, " (gone)");
	} else if (is_by_bgp(v, vip)) {
		buf_adds(out, "(routers)");
	}
}

/* The one thing to know of its state. */
static const char *vip_status(const struct view *v, const cJSON *vip)
{
	bool owned = json_string(vip, "owner") != NULL;

	if (is(vip, "state", "conflict"))
		return "in use by a foreign host";
	if (finding_is_hijacked(v->dump, vip))
		return "claimed by a foreign host, too";
	if (json_bool(vip, "disputed", false))
		return "disputed between nodes";
	if (is(vip, "state", "handover"))
		return "being handed over";
	if (finding_gone_owner(v->dump, vip) != NULL)
		return "its node is gone";
	if (owned && is_by_bgp(v, vip))
		return "announced, also by BGP";
	if (owned)
		return "announced";
	if (is_for_bgp(vip))
		return v->has_session ? "announced by BGP" : "no BGP session is up here";
	if (is(vip, "state", "probe"))
		return "asking whether it is free";
	if (is(vip, "state", "wait"))
		return "this node's turn comes";
	return finding_unanswered_text(vip);
}

/* Why its node has it, in words. */
static const char *vip_why(const cJSON *vip)
{
	static const char *const word[][2] = {
		{"free", "it was free"},
		{"offered", "its node before offered it"},
		{"leaseExpired", "the Lease of its node before expired"},
		{"ownBefore", "had it before its restart"},
		{"fenced", "had it, and asked again after a stall"},
		{"ownerSilent", "BFD lost its node before"},
		{"ownerMute", "its node before did not answer for it"},
		{"ownerNeverSeen", "its node before was never heard"},
	};
	static const char *const by[][2] = {
		{"claim", "its node says so in the API"},
		{"wire", "its node was heard on the wire"},
		{"claimAndWire", "its node says so in the API and was heard"},
	};

	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		if (is(vip, "why", word[i][0]))
			return word[i][1];
	for (size_t i = 0; i < ARRAY_LEN(by); i++)
		if (is(vip, "ownerBy", by[i][0]))
			return by[i][1];
	return json_string(first_here(vip), "text");
}

/* The interface to which a node's Lease says that the MAC belongs: "eth0=02:..,eth1=.."; *ret_len
 * is 0: to none. */
static const char *iface_of_mac(const cJSON *node, const char *mac, size_t *ret_len)
{
	const char *s = json_string(node, "macs");
	size_t n = mac != NULL ? strlen(mac) : 0;

	for (*ret_len = 0; s != NULL && n > 0 && *s != '\0';) {
		size_t len = strcspn(s, ",");
		const char *sep = memchr(s, '=', len);

		if (sep != NULL && len - (size_t)(sep - s) - 1 == n &&
			memcmp(sep + 1, mac, n) == 0) {
			*ret_len = (size_t)(sep - s);
			return s;
		}
		s += len + (s[len] == ',');
	}
	return "";
}

/* The interface and the MAC that its node announces it with, as far as known. */
static void cells_announced(struct view *v, struct columns *t, const cJSON *vip)
{
	const cJSON *here = announced_here(vip),
		    *node = finding_node(v->dump, json_string(vip, "owner"));
	const char *mac =
		here != NULL ? json_string(here, "mac") : json_string(vip, "answeredByMac");
	size_t len;
	const char *iface = iface_of_mac(node, mac, &len);

	if (here != NULL) {
		columns_add(t, json_string(here, "interface"));
		columns_add(t, mac);
		return;
	}
	buf_add(&v->cell, iface, len);
	cell_end(v, t);
	columns_add(t, len > 0 ? mac : NULL);
}

/* Who was last heard to have it, and when. */
static void cells_seen(struct view *v, struct columns *t, const cJSON *vip)
{
	int64_t foreign = finding_age(v->dump, vip, "foreignSeen"),
		node = finding_age(v->dump, vip, "answeredSeen");
	bool is_foreign =
		foreign >= 0 && (node < 0 || foreign <= node || finding_is_hijacked(v->dump, vip));

	columns_add(t, json_string(vip, is_foreign ? "foreignMac" : "answeredByMac"));
	cell_since(v, t, vip, is_foreign ? "foreignSeen" : "answeredSeen");
}

static bool is_vip_bad(const struct view *v, const cJSON *vip)
{
	return finding_is_hijacked(v->dump, vip) || finding_is_unanswered(vip) ||
	       (json_string(vip, "owner") == NULL && is_for_bgp(vip) && !v->has_session) ||
	       finding_gone_owner(v->dump, vip) != NULL;
}

static const struct columns_head vip_head[] = {{"ADDRESS", false, false}, {"NODE", true, false},
	{"SINCE", false, false}, {"SERVICE", true, false}, {"STATUS", true, false},
	{"POOL", false, true}, {"INTERFACE", false, true}, {"MAC ANNOUNCED", false, true},
	{"MAC SEEN", false, true}, {"SEEN", false, true}, {"REASON", false, true}};

static void put_vip(struct view *v, struct columns *t, const struct row *r)
{
	const cJSON *vip = r->o;

	columns_add(t, r->key);
	put_owner(v, vip, &v->cell);
	cell_end(v, t);
	cell_since(v, t, vip, "ownerSince");
	cell_list(v, t, json_array(vip, "services"));
	cell_status(t, r->trouble, vip_status(v, vip));
	columns_add(t, json_string(vip, "pool"));
	cells_announced(v, t, vip);
	cells_seen(v, t, vip);
	columns_add(t, vip_why(vip));
}

/* -- Services -- */

static const cJSON *vip_of(const struct view *v, const char *ip)
{
	const struct row want = {.key = ip};
	const struct row *r = ip != NULL && v->n_vips > 0
				      ? bsearch(&want, v->vips, v->n_vips, sizeof want, by_key)
				      : NULL;

	return r != NULL ? r->o : NULL;
}

/* What is said of one of its addresses; NULL: nothing. */
static const char *text_of_address(const cJSON *s, const char *ip)
{
	const cJSON *a;

	cJSON_ArrayForEach (a, json_array(s, "addresses"))
		if (ip != NULL && is(a, "ip", ip))
			return json_string(a, "text");
	return NULL;
}

/* Is its reason that of one of its addresses? */
static bool is_of_address(const cJSON *s)
{
	const char *reason = json_string(s, "reason");
	const cJSON *a;

	cJSON_ArrayForEach (a, json_array(s, "addresses"))
		if (reason != NULL && is(a, "reason", reason))
			return true;
	return false;
}

static const char *service_status(
	const struct view *v, const cJSON *s, const char *ip, const cJSON *vip)
{
	const char *text = json_string(s, "text"), *own = text_of_address(s, ip);

	if (own != NULL)
		return own;
	if ((!is(s, "reason", "allocated") && !is_of_address(s)) ||
		(vip == NULL && json_array(v->dump, "vips") == NULL))
		return text != NULL ? text : json_string(s, "reason");
	return vip != NULL ? vip_status(v, vip) : "not announced yet";
}

static const struct columns_head service_head[] = {{"NAMESPACE", true, false},
	{"NAME", true, false}, {"ADDRESS", false, false}, {"NODE", true, false},
	{"ENDPOINTS", false, false}, {"STATUS", true, false}, {"POOL", false, true},
	{"POLICY", false, true}, {"ENDPOINTS HERE", false, true}};

/* One row for each of its addresses, or one. */
static void put_service_row(struct view *v, struct columns *t, const struct row *r, const char *ip)
{
	const cJSON *vip = vip_of(v, ip);
	size_t len = strcspn(r->key, "/");

	buf_add(&v->cell, r->key, len);
	cell_end(v, t);
	columns_add(t, r->key[len] == '/' ? r->key + len + 1 : NULL);
	columns_add(t, ip);
	put_owner(v, vip, &v->cell);
	cell_end(v, t);
	cell_count(v, t, r->o, "readyEndpoints");
	cell_status(t, vip != NULL ? finding_service(r->o) || is_vip_bad(v, vip) : r->trouble,
		service_status(v, r->o, ip, vip));
	columns_add(t, json_string(r->o, "pool"));
	columns_add(t, json_bool(r->o, "local", false) ? "Local" : "Cluster");
	cell_count(v, t, r->o, "readyEndpointsHere");
}

static void put_service(struct view *v, struct columns *t, const struct row *r)
{
	const cJSON *ip;

	if (cJSON_GetArraySize(json_array(r->o, "ips")) == 0)
		put_service_row(v, t, r, NULL);
	cJSON_ArrayForEach (ip, json_array(r->o, "ips"))
		put_service_row(v, t, r, cJSON_GetStringValue(ip));
}

static bool is_service_bad(const struct view *v, const cJSON *s)
{
	const cJSON *ip;

	if (finding_service(s))
		return true;
	cJSON_ArrayForEach (ip, json_array(s, "ips")) {
		const cJSON *vip = vip_of(v, cJSON_GetStringValue(ip));

		if (vip != NULL && is_vip_bad(v, vip))
			return true;
	}
	return false;
}

/* -- pools -- */

/* "3 of 256"; IPv6 pools are larger than anybody counts. */
static void cell_use(struct view *v, struct columns *t, const cJSON *pool, const char *used_key,
	const char *total_key)
{
	double used = cJSON_GetNumberValue(json_get(pool, used_key)),
	       total = cJSON_GetNumberValue(json_get(pool, total_key));
	char percent[16];

	if (!(used >= 0 && used < 1e15 && total > 0)) {
		cell_end(v, t);
		return;
	}
	buf_addf(&v->cell, "%.0f of ", used);
	if (total < 1e9)
		buf_addf(&v->cell, "%.0f", total);
	else
		buf_adds(&v->cell, "over 10^9");
	cell_end(v, t);
	/* 0 and 100 are none and all, nothing else */
	(void)snprintf(percent, sizeof percent, "%d",
		used >= total ? 100 : (int)(used * 99 / total) + (used > 0));
	columns_mark(t, COLUMNS_BAR, percent);
}

static const struct columns_head pool_head[] = {{"NAME", true, false},
	{"IPV4 IN USE", false, false}, {"IPV6 IN USE", false, false}, {"ADDRESSES", true, false}};

static void put_pool(struct view *v, struct columns *t, const struct row *r)
{
	columns_add(t, r->key);
	cell_use(v, t, r->o, "ipv4Used", "ipv4Total");
	cell_use(v, t, r->o, "ipv6Used", "ipv6Total");
	cell_list(v, t, json_array(r->o, "addresses"));
}

/* -- nodes -- */

static const char *node_status(const struct view *v, const cJSON *n)
{
	const char *name = json_string(n, "name");

	if (is(n, "lease", "released"))
		return "stopped";
	if (!finding_node_lives(n))
		return "dead";
	if (is(n, "draining", REASON_TEXT_STOPPING))
		return "stopping";
	if (json_string(n, "draining") != NULL)
		return "drained";
	if (json_bool(n, "frozen", false))
		return "frozen";
	if (name != NULL && is(json_object(v->dump, "leader"), "node", name))
		return "leader";
	return "alive";
}

static const char *bfd_word(const cJSON *n)
{
	static const char *const word[][2] = {{"up", "up"}, {"late", "late"},
		{"heard", "coming up"}, {"silent", "silent"}, {"deaf", "one way"},
		{"leaving", "leaving"}};

	if (json_bool(n, "self", false))
		return "(this node)";
	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		if (is(n, "peer", word[i][0]) && finding_node_lives(n))
			return word[i][1];
	return !finding_node_lives(n) || json_string(n, "peer") == NULL ? NULL
	       : json_bool(n, "watched", false)                         ? "not up"
									: "none";
}

/* Is its configuration this node's? */
static const char *drift_word(const cJSON *n, const char *ours)
{
	const char *theirs = json_string(n, "configHash");

	return theirs == NULL || ours == NULL ? NULL
	       : strcmp(theirs, ours) == 0    ? "same"
					      : "differs";
}

static bool is_node_bad(const struct view *v, const cJSON *n)
{
	(void)v;
	return finding_is_node_bad(n);
}

static const struct columns_head node_head[] = {{"NAME", true, false}, {"STATUS", true, false},
	{"RENEWED", false, false}, {"BFD", false, false}, {"ANNOUNCES", false, false},
	{"CONFIG", false, false}, {"VERSION", true, false}, {"HASH", false, true},
	{"OWN ADDRESSES", false, true}, {"MACS", false, true}};

static void put_node(struct view *v, struct columns *t, const struct row *r)
{
	const cJSON *n = r->o;

	columns_add(t, r->key);
	cell_status(t, r->trouble, node_status(v, n));
	cell_age(v, t, json_int(n, "sinceRenewalMs", 0, INT64_MAX / 2, -1));
	columns_add(t, bfd_word(n));
	cell_count(v, t, n, "announces");
	columns_add(t, drift_word(n, json_string(finding_reference(v->dump), "configHash")));
	columns_add(t, json_string(n, "version"));
	columns_add(t, json_string(n, "configHash"));
	columns_add(t, json_string(n, "addresses"));
	columns_add(t, json_string(n, "macs"));
}

/* -- peers -- */

static void cell_routes(struct view *v, struct columns *t, const cJSON *counts)
{
	if (counts != NULL)
		buf_addf(&v->cell, "%lld",
			json_int(counts, "ipv4", 0, INT32_MAX, 0) +
				json_int(counts, "ipv6", 0, INT32_MAX, 0));
	cell_end(v, t);
}

/* In seconds, as BGP has it; none: the session does not end by silence, or there is none. */
static void cell_hold_time(struct view *v, struct columns *t, const cJSON *peer)
{
	long long s = json_int(peer, "holdTime", 1, UINT16_MAX, 0);

	if (s > 0)
		buf_addf(&v->cell, "%llds", s);
	cell_end(v, t);
}

static bool is_peer_bad(const struct view *v, const cJSON *p)
{
	(void)v;
	return finding_is_peer_down(p) || finding_is_peer_unwatched(p);
}

static const struct columns_head peer_head[] = {{"NAME", true, false}, {"ADDRESS", false, false},
	{"AS", false, false}, {"STATE", false, false}, {"SINCE", false, false},
	{"ROUTES", false, false}, {"LAST ERROR", true, false}, {"ROUTES HEARD", false, true},
	{"HOLD TIME", false, true}, {"BFD", false, true}, {"INTERFACE", false, true}};

static void put_peer(struct view *v, struct columns *t, const struct row *r)
{
	columns_add(t, r->key);
	columns_add(t, json_string(r->o, "address"));
	cell_count(v, t, r->o, "asn");
	cell_status(t, r->trouble, json_string(r->o, "state"));
	cell_since(v, t, r->trouble ? NULL : r->o, "since");
	cell_routes(v, t, json_object(r->o, "announced"));
	columns_add(t, json_string(r->o, "lastError"));
	cell_routes(v, t, json_object(r->o, "received"));
	cell_hold_time(v, t, r->o);
	columns_add(t, json_string(r->o, "bfd"));
	columns_add(t, json_string(r->o, "interface"));
}

/* -- events -- */

static bool is_event_bad(const struct view *v, const cJSON *e)
{
	(void)v;
	return is(e, "type", "Warning");
}

static const struct columns_head event_head[] = {{"AGE", false, false}, {"TYPE", false, false},
	{"REASON", true, false}, {"OBJECT", true, false}, {"MESSAGE", true, false}};

static void put_event(struct view *v, struct columns *t, const struct row *r)
{
	cell_since(v, t, r->o, "time");
	cell_status(t, r->trouble, json_string(r->o, "type"));
	columns_add(t, json_string(r->o, "reason"));
	columns_add(t, r->key);
	columns_add(t, json_string(r->o, "message"));
}

/* -- tables -- */

#define HEADS(h) .head = (h), .n_heads = ARRAY_LEN(h)

static const struct part parts[] = {
	[SHOW_SERVICES] = {"services", "Services", "name", HEADS(service_head), MAX_ROWS, true,
		is_service_bad, put_service, "no Service of type LoadBalancer", NULL},
	[SHOW_VIPS] = {"vips", "Addresses", "ip", HEADS(vip_head), MAX_ROWS, true, is_vip_bad,
		put_vip, "no address is in service", NULL},
	[SHOW_POOLS] = {"pools", "Pools", "name", HEADS(pool_head), SIZE_MAX, false, NULL, put_pool,
		"no pool is configured",
		"pools are known to each node's daemon: run lbd status there"},
	[SHOW_NODES] = {"nodes", "Nodes", "name", HEADS(node_head), SIZE_MAX, true, is_node_bad,
		put_node, "no node has told of itself by a Lease yet", NULL},
	[SHOW_PEERS] = {"peers", "BGP sessions of this node", "name", HEADS(peer_head), SIZE_MAX,
		false, is_peer_bad, put_peer, "no BGP peer is configured",
		"BGP sessions are known to each node's daemon: run lbd status there"},
	[SHOW_EVENTS] = {"events", "Events from this node", "object", HEADS(event_head), SIZE_MAX,
		false, is_event_bad, put_event, "this node has told of nothing lately", NULL},
};

bool show_parse(const char *word, enum show_what *ret_what)
{
	for (size_t i = SHOW_SERVICES; i < ARRAY_LEN(parts); i++)
		if (strcmp(word, parts[i].word) == 0) {
			*ret_what = (enum show_what)i;
			return true;
		}
	return false;
}

/* Its rows that were asked for, in order; *ret_shown: for so many there is room. */
static struct row *part_rows(struct view *v, enum show_what what, size_t *ret_n, size_t *ret_shown)
{
	const struct part *p = &parts[what];
	const struct show_options *opt = v->opt;
	size_t n = 0, k = 0,
	       most = opt->html                             ? SHOW_HTML_ROWS
		      : opt->what == SHOW_ALL && !opt->wide ? p->most
							    : SIZE_MAX;
	struct row *r = rows_of(v, json_array(v->dump, p->word), p->key, &n);

	for (size_t i = 0; i < n; i++)
		if (is_asked_for(opt, what, r[i].o)) {
			r[k] = r[i];
			r[k].trouble = p->trouble != NULL && p->trouble(v, r[k].o);
			k++;
		}
	if (k > 0 && p->sorted)
		qsort(r, k, sizeof *r, k > most ? by_trouble : by_addr);
	*ret_n = k;
	*ret_shown = k < most ? k : most;
	return r;
}

static void print_table(const struct view *v, const struct columns *t)
{
	if (v->opt->html)
		columns_print_html(t, v->out);
	else
		columns_print(t, v->opt->wide ? COLUMNS_ALL : v->opt->width, v->out);
}

static void print_none(const struct view *v, const struct part *p)
{
	bool servicelb = p == &parts[SHOW_VIPS] &&
			 json_bool(json_object(v->dump, "config"), "servicelb", false);
	const char *none =
		p->unknown != NULL && json_array(v->dump, p->word) == NULL ? p->unknown
		: servicelb ? "servicelb mode: Services have the nodes' own addresses, for which "
			      "each node's kernel answers"
			    : p->none;

	buf_adds(v->out, v->opt->html ? "<p>" : "");
	columns_wrap(v->out, "", none, v->opt->wide ? COLUMNS_ALL : v->opt->width);
}

static void show_part(struct view *v, enum show_what what)
{
	const struct part *p = &parts[what];
	struct columns *t = columns_new(p->head, p->n_heads, v->opt->wide);
	bool html = v->opt->html;
	size_t n, shown;
	struct row *r = part_rows(v, what, &n, &shown);

	/* in text as they came, the last one last: there one reads from the end */
	for (size_t i = 0; i < shown && t != NULL; i++)
		p->put(v, t, &r[html && what == SHOW_EVENTS ? n - 1 - i : i]);
	if (t == NULL)
		v->bad = true;
	else if (n == 0)
		print_none(v, p);
	else
		print_table(v, t);
	if (shown < n)
		buf_addf(v->out, "%sand %zu more: lbd status %s\n", html ? "<p>" : "", n - shown,
			p->word);
	columns_free(t);
	free(r);
}

/* -- the summary -- */

struct findings {
	struct view *v;
	bool degraded; /* those are asked for, or the notes */
	const char *title;
	size_t n;
};

static void on_finding(void *ctx, bool degraded, const char *sentence)
{
	struct findings *f = ctx;
	const struct show_options *opt = f->v->opt;

	if (degraded != f->degraded)
		return;
	if (f->n++ == 0)
		buf_adds(f->v->out, f->title);
	if (!opt->html) {
		columns_wrap(f->v->out, "- ", sentence, opt->wide ? COLUMNS_ALL : opt->width);
	} else if (f->n <= SHOW_HTML_FINDINGS) {
		buf_adds(f->v->out, "<li>");
		columns_escape(f->v->out, sentence);
		buf_addc(f->v->out, '\n');
	}
}

/* Those of one kind, under a title.  Returns how many there are. */
static size_t show_findings(struct view *v, bool degraded, const char *title)
{
	struct findings f = {.v = v, .degraded = degraded, .title = title};

	finding_each(v->dump, v->opt->timeless, on_finding, &f);
	if (v->opt->html && f.n > SHOW_HTML_FINDINGS)
		buf_addf(v->out, "<li>and %zu more: lbd status\n", f.n - SHOW_HTML_FINDINGS);
	if (v->opt->html && f.n > 0)
		buf_adds(v->out, "</ul>\n");
	return f.n;
}

static void on_degraded(void *ctx, bool degraded, const char *sentence)
{
	bool *any = ctx;

	(void)sentence;
	*any |= degraded;
}

static void add_age(struct view *v, const char *before, int64_t age)
{
	if (age < 0 || v->opt->timeless)
		return;
	buf_adds(v->out, before);
	columns_age((uint64_t)age, v->out);
}

static void show_head(struct view *v)
{
	const cJSON *version = json_object(v->dump, "version"), *api = json_object(v->dump, "api");
	const char *node = json_string(version, "node"), *server = json_string(api, "server"),
		   *leader = json_string(json_object(v->dump, "leader"), "node"),
		   *number = json_string(version, "version");
	bool synced = json_bool(api, "synced", false);

	if (node == NULL && server != NULL) /* without the file's name behind it */
		buf_add(&v->cell, server, strcspn(server, " "));
	columns_text(v->out, node != NULL ? node : v->cell.p);
	buf_reset(&v->cell);
	buf_adds(v->out, node != NULL ? ": lbd " : ": as the API has it");
	if (node != NULL)
		columns_text(v->out, number != NULL ? number : "?");
	add_age(v, ", up ", finding_age(v->dump, version, "started"));
	buf_adds(v->out, leader != NULL && *leader != '\0' ? "; leader " : "; no leader");
	columns_text(v->out, leader);
	if (api != NULL && node != NULL) {
		buf_adds(v->out, synced ? "; API server in reach" : "; API server out of reach");
		add_age(v, " for ", finding_age(v->dump, api, "since"));
	}
	buf_addc(v->out, '\n');
}

static void show_summary(struct view *v)
{
	show_head(v);
	if (show_findings(v, true, "\ndegraded:\n") > 0) {
		(void)show_findings(v, false, "notes:\n");
	} else {
		buf_adds(v->out, "nothing is degraded\n");
		(void)show_findings(v, false, "\nnotes:\n");
	}
	for (enum show_what what = SHOW_SERVICES; what <= SHOW_PEERS; what++) {
		buf_addc(v->out, '\n');
		for (const char *c = parts[what].word; *c != '\0'; c++)
			buf_addc(v->out, (char)(*c - 'a' + 'A'));
		buf_addc(v->out, '\n');
		show_part(v, what);
	}
}

static void show_html_summary(struct view *v)
{
	static const enum show_what order[] = {
		SHOW_NODES, SHOW_VIPS, SHOW_SERVICES, SHOW_POOLS, SHOW_PEERS, SHOW_EVENTS};
	struct buf line, *out = v->out;

	buf_init(&line, MAX_CELL);
	v->out = &line;
	show_head(v);
	v->out = out;
	buf_adds(out, "<p>");
	columns_escape(out, line.bad ? "?" : line.p);
	buf_free(&line);
	if (show_findings(v, true, "<h2>Degraded</h2><ul class=bad>\n") == 0)
		buf_adds(out, "<p>nothing is degraded\n");
	(void)show_findings(v, false, "<h2>Notes</h2><ul>\n");
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		buf_addf(out, "<h2>%s</h2>\n", parts[order[i]].title);
		show_part(v, order[i]);
	}
}

bool show_text(const cJSON *dump, const struct show_options *o, struct buf *out)
{
	struct view v = {
		.dump = dump, .opt = o, .out = out, .has_session = finding_has_session(dump)};
	bool degraded = false;

	buf_init(&v.cell, MAX_CELL);
	v.vips = rows_of(&v, json_array(dump, "vips"), "ip", &v.n_vips);
	if (v.n_vips > 0)
		qsort(v.vips, v.n_vips, sizeof *v.vips, by_key);
	if (o->what != SHOW_ALL)
		show_part(&v, o->what);
	else if (o->html)
		show_html_summary(&v);
	else
		show_summary(&v);
	free(v.vips);
	buf_free(&v.cell);
	out->bad |= v.bad;
	finding_each(dump, true, on_degraded, &degraded);
	return degraded;
}

/* -- JSON -- */

static void on_json(void *ctx, bool degraded, const char *sentence)
{
	cJSON **list = ctx;

	(void)cJSON_AddItemToArray(list[degraded ? 0 : 1], cJSON_CreateString(sentence));
}

/* Drops those that were not asked for. */
static void filter(cJSON *dump, const struct show_options *o, enum show_what what)
{
	cJSON *array = cJSON_GetObjectItemCaseSensitive(dump, parts[what].word),
	      *e = cJSON_IsArray(array) ? array->child : NULL;

	while (e != NULL) {
		cJSON *next = e->next;

		if (!is_asked_for(o, what, e))
			cJSON_Delete(cJSON_DetachItemViaPointer(array, e));
		e = next;
	}
}

cJSON *show_json(cJSON *dump, const struct show_options *o)
{
	cJSON *list[2], *part;

	if (o->what != SHOW_ALL) {
		filter(dump, o, o->what);
		part = cJSON_DetachItemFromObjectCaseSensitive(dump, parts[o->what].word);
		cJSON_Delete(dump);
		return part != NULL ? part : cJSON_CreateArray();
	}
	list[0] = cJSON_CreateArray();
	list[1] = cJSON_CreateArray();
	finding_each(dump, false, on_json, list);
	(void)cJSON_AddItemToObject(dump, "degraded", list[0]);
	(void)cJSON_AddItemToObject(dump, "notes", list[1]);
	cJSON_DeleteItemFromObjectCaseSensitive(dump, "counters");
	filter(dump, o, SHOW_SERVICES);
	filter(dump, o, SHOW_VIPS);
	return dump;
}
