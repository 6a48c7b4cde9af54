/* SPDX-License-Identifier: Apache-2.0
 *
 * show.c - lbd status: the daemon's JSON as text.
 *
 * In:   status.c's tree.  Out: a summary, what is degraded, tables.
 */
#include "show.h"

#include "addr.h"
#include "columns.h"
#include "finding.h"
#include "json.h"

#include <string.h>

enum {
	MAX_ROWS = 20, /* of a table in the summary; those with trouble first */
	MAX_CELL = 4096,
};

struct row {
	const cJSON *o;
	const char *key;  /* sorted by; "" when it has none */
	struct addr addr; /* VIPs */
	bool trouble;
};

struct view {
	const cJSON *dump;
	const struct show_options *opt;
	struct buf *out;
	struct buf cell;
	struct row *vips; /* owned; all, by their text */
	size_t n_vips;
	bool bad; /* out of memory */
};

bool show_parse(const char *word, enum show_what *ret_what)
{
	static const char *const words[] = {[SHOW_ALL] = "",
		[SHOW_SERVICES] = "services",
		[SHOW_VIPS] = "vips",
		[SHOW_POOLS] = "pools",
		[SHOW_NODES] = "nodes",
		[SHOW_PEERS] = "peers",
		[SHOW_EVENTS] = "events"};

	for (size_t i = SHOW_SERVICES; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i]) == 0) {
			*ret_what = (enum show_what)i;
			return true;
		}
	return false;
}

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
	cell_age(v, t, finding_age(v->dump, o, key));
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

static struct columns *table(const struct view *v, const struct columns_head *head, size_t n)
{
	return columns_new(head, n, v->opt->wide);
}

/* Prints and frees it; nothing in it: says so. */
static void table_end(struct view *v, struct columns *t, size_t n, const char *none)
{
	if (t == NULL)
		v->bad = true;
	else if (n == 0)
		columns_wrap(v->out, "", none, v->opt->wide ? COLUMNS_ALL : v->opt->width);
	else
		columns_print(t, v->opt->wide ? COLUMNS_ALL : v->opt->width, v->out);
	columns_free(t);
}

/* -- rows, in order -- */

static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int by_trouble(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->trouble != y->trouble ? (x->trouble ? -1 : 1) : by_key(a, b);
}

static int by_addr(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = addr_cmp(x->addr, y->addr);

	return c != 0 ? c : by_key(a, b);
}

static int by_trouble_addr(const void *a, const void *b)
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

			r[i++] = (struct row){.o = o, .key = s != NULL ? s : ""};
		}
	*ret_n = i;
	return r;
}

/* Is the object of the namespace that was asked for?  key: "NAMESPACE/NAME". */
static bool is_in_namespace(const struct show_options *opt, const char *key)
{
	size_t n = opt->namespace_ != NULL ? strlen(opt->namespace_) : 0;

	return opt->namespace_ == NULL ||
	       (key != NULL && strncmp(key, opt->namespace_, n) == 0 && key[n] == '/');
}

static bool is_vip_in_namespace(const struct show_options *opt, const cJSON *vip)
{
	const cJSON *s;

	if (opt->namespace_ == NULL)
		return true;
	cJSON_ArrayForEach (s, json_array(vip, "services"))
		if (is_in_namespace(opt, cJSON_GetStringValue(s)))
			return true;
	return false;
}

/* How many rows the summary has room for. */
static size_t shown_rows(const struct view *v, size_t n)
{
	return v->opt->what == SHOW_ALL && !v->opt->wide && n > MAX_ROWS ? MAX_ROWS : n;
}

static void say_more(struct view *v, size_t n, const char *word)
{
	if (shown_rows(v, n) < n)
		buf_addf(v->out, "and %zu more: lbd status %s\n", n - shown_rows(v, n), word);
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

static bool is_by_bgp(const cJSON *vip)
{
	return json_bool(json_object(vip, "bgp"), "announced", false);
}

/* "n1", "n3 (gone)", "by BGP"; NULL: nobody. */
static void put_owner(const struct view *v, const cJSON *vip, struct buf *out)
{
	const char *owner = json_string(vip, "owner");

	if (owner != NULL) {
		buf_adds(out, owner);
		if (finding_gone_owner(v->dump, vip) != NULL)
			buf_adds(out, " (gone)");
	} else if (is_by_bgp(vip)) {
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
	if (owned && is_by_bgp(vip))
		return "announced, also by BGP";
	if (owned)
		return "announced";
	if (is_by_bgp(vip))
		return "announced by BGP";
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
	cell_age(v, t, is_foreign ? foreign : node);
}

static void put_vip(struct view *v, struct columns *t, const cJSON *vip)
{
	columns_add(t, json_string(vip, "ip"));
	put_owner(v, vip, &v->cell);
	cell_end(v, t);
	cell_since(v, t, vip, "ownerSince");
	cell_list(v, t, json_array(vip, "services"));
	columns_add(t, vip_status(v, vip));
	columns_add(t, json_string(vip, "pool"));
	cells_announced(v, t, vip);
	cells_seen(v, t, vip);
	columns_add(t, vip_why(vip));
}

static bool is_in_trouble(const struct view *v, const cJSON *vip)
{
	return finding_is_hijacked(v->dump, vip) || finding_is_unanswered(vip) ||
	       finding_gone_owner(v->dump, vip) != NULL;
}

static void show_vips(struct view *v)
{
	static const struct columns_head head[] = {{"ADDRESS", false, false}, {"NODE", true, false},
		{"SINCE", false, false}, {"SERVICE", true, false}, {"STATUS", true, false},
		{"POOL", false, true}, {"INTERFACE", false, true}, {"MAC ANNOUNCED", false, true},
		{"MAC SEEN", false, true}, {"SEEN", false, true}, {"REASON", false, true}};
	struct columns *t = table(v, head, ARRAY_LEN(head));
	size_t n = 0, k = 0;
	struct row *r = rows_of(v, json_array(v->dump, "vips"), "ip", &n);

	for (size_t i = 0; i < n; i++) {
		if (!is_vip_in_namespace(v->opt, r[i].o))
			continue;
		r[k] = r[i];
		(void)!addr_parse(r[k].key, strlen(r[k].key), &r[k].addr);
		r[k].trouble = is_in_trouble(v, r[k].o);
		k++;
	}
	if (k > 0)
		qsort(r, k, sizeof *r, shown_rows(v, k) < k ? by_trouble_addr : by_addr);
	for (size_t i = 0; i < shown_rows(v, k) && t != NULL; i++)
		put_vip(v, t, r[i].o);
	table_end(v, t, k, "no address is in service");
	say_more(v, k, "vips");
	free(r);
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

static const char *service_status(const struct view *v, const cJSON *s, const cJSON *vip)
{
	const char *text = json_string(s, "text");

	if (!is(s, "reason", "allocated") || (vip == NULL && json_array(v->dump, "vips") == NULL))
		return text != NULL ? text : json_string(s, "reason");
	return vip != NULL ? vip_status(v, vip) : "not announced yet";
}

/* One row for each of its addresses, or one. */
static void put_service(struct view *v, struct columns *t, const struct row *r, const char *ip)
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
	columns_add(t, service_status(v, r->o, vip));
	columns_add(t, json_string(r->o, "pool"));
	columns_add(t, json_bool(r->o, "local", false) ? "Local" : "Cluster");
	cell_count(v, t, r->o, "readyEndpointsHere");
}

static void put_service_rows(struct view *v, struct columns *t, const struct row *r)
{
	const cJSON *ip;

	if (cJSON_GetArraySize(json_array(r->o, "ips")) == 0)
		put_service(v, t, r, NULL);
	cJSON_ArrayForEach (ip, json_array(r->o, "ips"))
		put_service(v, t, r, cJSON_GetStringValue(ip));
}

static bool has_trouble(const struct view *v, const cJSON *s)
{
	const cJSON *ip;

	if (finding_service(s))
		return true;
	cJSON_ArrayForEach (ip, json_array(s, "ips")) {
		const cJSON *vip = vip_of(v, cJSON_GetStringValue(ip));

		if (vip != NULL && is_in_trouble(v, vip))
			return true;
	}
	return false;
}

static void show_services(struct view *v)
{
	static const struct columns_head head[] = {{"NAMESPACE", true, false},
		{"NAME", true, false}, {"ADDRESS", false, false}, {"NODE", true, false},
		{"ENDPOINTS", false, false}, {"STATUS", true, false}, {"POOL", false, true},
		{"POLICY", false, true}, {"ENDPOINTS HERE", false, true}};
	struct columns *t = table(v, head, ARRAY_LEN(head));
	size_t n = 0, k = 0;
	struct row *r = rows_of(v, json_array(v->dump, "services"), "name", &n);

	for (size_t i = 0; i < n; i++) {
		if (!is_in_namespace(v->opt, r[i].key))
			continue;
		r[k] = r[i];
		r[k].trouble = has_trouble(v, r[k].o);
		k++;
	}
	if (k > 0)
		qsort(r, k, sizeof *r, shown_rows(v, k) < k ? by_trouble : by_key);
	for (size_t i = 0; i < shown_rows(v, k) && t != NULL; i++)
		put_service_rows(v, t, &r[i]);
	table_end(v, t, k, "no Service of type LoadBalancer");
	say_more(v, k, "services");
	free(r);
}

/* -- pools -- */

/* "3 of 256"; IPv6 pools are larger than anybody counts. */
static void cell_use(struct view *v, struct columns *t, const cJSON *pool, const char *used_key,
	const char *total_key)
{
	double used = cJSON_GetNumberValue(json_get(pool, used_key)),
	       total = cJSON_GetNumberValue(json_get(pool, total_key));

	if (used >= 0 && used < 1e15 && total > 0) {
		buf_addf(&v->cell, "%.0f of ", used);
		if (total < 1e9)
			buf_addf(&v->cell, "%.0f", total);
		else
			buf_adds(&v->cell, "over 10^9");
	}
	cell_end(v, t);
}

static void show_pools(struct view *v)
{
	static const struct columns_head head[] = {{"NAME", true, false},
		{"IPV4 IN USE", false, false}, {"IPV6 IN USE", false, false},
		{"ADDRESSES", true, false}};
	struct columns *t = table(v, head, ARRAY_LEN(head));
	size_t n = 0;
	struct row *r = rows_of(v, json_array(v->dump, "pools"), "name", &n);

	for (size_t i = 0; i < n && t != NULL; i++) { /* in the configuration's order */
		columns_add(t, r[i].key);
		cell_use(v, t, r[i].o, "ipv4Used", "ipv4Total");
		cell_use(v, t, r[i].o, "ipv6Used", "ipv6Total");
		cell_list(v, t, json_array(r[i].o, "addresses"));
	}
	table_end(v, t, n,
		json_array(v->dump, "pools") != NULL
			? "no pool is configured"
			: "pools are known to each node's daemon: run lbd status there");
	free(r);
}

/* -- nodes -- */

static const char *node_status(const struct view *v, const cJSON *n)
{
	const char *name = json_string(n, "name");

	if (is(n, "lease", "released"))
		return "stopped";
	if (!finding_node_lives(n))
		return "dead";
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

static void show_nodes(struct view *v)
{
	static const struct columns_head head[] = {{"NAME", true, false}, {"STATUS", true, false},
		{"RENEWED", false, false}, {"BFD", false, false}, {"ANNOUNCES", false, false},
		{"CONFIG", false, false}, {"VERSION", true, false}, {"HASH", false, true},
		{"OWN ADDRESSES", false, true}, {"MACS", false, true}};
	struct columns *t = table(v, head, ARRAY_LEN(head));
	size_t n = 0;
	struct row *r = rows_of(v, json_array(v->dump, "nodes"), "name", &n);
	const char *ours = json_string(finding_reference(v->dump), "configHash");

	if (n > 0)
		qsort(r, n, sizeof *r, by_key);
	for (size_t i = 0; i < n && t != NULL; i++) {
		columns_add(t, r[i].key);
		columns_add(t, node_status(v, r[i].o));
		cell_age(v, t, json_int(r[i].o, "sinceRenewalMs", 0, INT64_MAX / 2, -1));
		columns_add(t, bfd_word(r[i].o));
		cell_count(v, t, r[i].o, "announces");
		columns_add(t, drift_word(r[i].o, ours));
		columns_add(t, json_string(r[i].o, "version"));
		columns_add(t, json_string(r[i].o, "configHash"));
		columns_add(t, json_string(r[i].o, "addresses"));
		columns_add(t, json_string(r[i].o, "macs"));
	}
	table_end(v, t, n, "no node has told of itself by a Lease yet");
	free(r);
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

static void show_peers(struct view *v)
{
	static const struct columns_head head[] = {{"NAME", true, false}, {"ADDRESS", false, false},
		{"AS", false, false}, {"STATE", false, false}, {"SINCE", false, false},
		{"ROUTES", false, false}, {"LAST ERROR", true, false}, {"HEARD", false, true},
		{"HOLD TIME", false, true}, {"BFD", false, true}, {"INTERFACE", false, true}};
	struct columns *t = table(v, head, ARRAY_LEN(head));
	size_t n = 0;
	struct row *r = rows_of(v, json_array(v->dump, "peers"), "name", &n);

	for (size_t i = 0; i < n && t != NULL; i++) {
		columns_add(t, r[i].key);
		columns_add(t, json_string(r[i].o, "address"));
		cell_count(v, t, r[i].o, "asn");
		columns_add(t, json_string(r[i].o, "state"));
		cell_age(v, t,
			finding_is_peer_down(r[i].o) ? -1 : finding_age(v->dump, r[i].o, "since"));
		cell_routes(v, t, json_object(r[i].o, "announced"));
		columns_add(t, json_string(r[i].o, "lastError"));
		cell_routes(v, t, json_object(r[i].o, "received"));
		cell_count(v, t, r[i].o, "holdTime");
		columns_add(t, json_string(r[i].o, "bfd"));
		columns_add(t, json_string(r[i].o, "interface"));
	}
	table_end(v, t, n,
		json_array(v->dump, "peers") != NULL
			? "no BGP peer is configured"
			: "BGP sessions are known to each node's daemon: run lbd status there");
	free(r);
}

/* -- events -- */

static void show_events(struct view *v)
{
	static const struct columns_head head[] = {{"AGE", false, false}, {"TYPE", false, false},
		{"REASON", true, false}, {"OBJECT", true, false}, {"MESSAGE", true, false}};
	struct columns *t = table(v, head, ARRAY_LEN(head));
	size_t n = 0;
	struct row *r = rows_of(v, json_array(v->dump, "events"), "object", &n);

	for (size_t i = 0; i < n && t != NULL; i++) { /* as they came, the last one last */
		cell_since(v, t, r[i].o, "time");
		columns_add(t, json_string(r[i].o, "type"));
		columns_add(t, json_string(r[i].o, "reason"));
		columns_add(t, r[i].key);
		columns_add(t, json_string(r[i].o, "message"));
	}
	table_end(v, t, n, "this node has told of nothing lately");
	free(r);
}

/* -- the summary -- */

struct findings {
	struct view *v;
	bool degraded, notes; /* the heading was printed */
	bool is_first_pass;   /* degraded ones; then the notes */
};

static void on_finding(void *ctx, bool degraded, const char *sentence)
{
	struct findings *f = ctx;
	unsigned width = f->v->opt->wide ? COLUMNS_ALL : f->v->opt->width;

	if (degraded != f->is_first_pass)
		return;
	if (degraded && !f->degraded)
		buf_adds(f->v->out, "\ndegraded:\n");
	if (!degraded && !f->notes)
		buf_adds(f->v->out, f->degraded ? "notes:\n" : "\nnotes:\n");
	*(degraded ? &f->degraded : &f->notes) = true;
	columns_wrap(f->v->out, "- ", sentence, width);
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
	static void (*const part[])(struct view *) = {
		show_services, show_vips, show_pools, show_nodes, show_peers};
	static const char *const title[] = {"SERVICES", "VIPS", "POOLS", "NODES", "PEERS"};
	struct findings f = {.v = v, .is_first_pass = true};

	show_head(v);
	finding_each(v->dump, v->opt->timeless, on_finding, &f);
	f.is_first_pass = false;
	if (!f.degraded)
		buf_adds(v->out, "nothing is degraded\n");
	finding_each(v->dump, v->opt->timeless, on_finding, &f);
	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		buf_addf(v->out, "\n%s\n", title[i]);
		part[i](v);
	}
}

static void show(struct view *v)
{
	switch (v->opt->what) {
	case SHOW_ALL:
		show_summary(v);
		return;
	case SHOW_SERVICES:
		show_services(v);
		return;
	case SHOW_VIPS:
		show_vips(v);
		return;
	case SHOW_POOLS:
		show_pools(v);
		return;
	case SHOW_NODES:
		show_nodes(v);
		return;
	case SHOW_PEERS:
		show_peers(v);
		return;
	case SHOW_EVENTS:
		show_events(v);
		return;
	}
}

bool show_text(const cJSON *dump, const struct show_options *o, struct buf *out)
{
	struct view v = {.dump = dump, .opt = o, .out = out};
	bool degraded = false;

	buf_init(&v.cell, MAX_CELL);
	v.vips = rows_of(&v, json_array(dump, "vips"), "ip", &v.n_vips);
	if (v.n_vips > 0)
		qsort(v.vips, v.n_vips, sizeof *v.vips, by_key);
	show(&v);
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

/* Drops those of another namespace. */
static void filter(cJSON *array, const struct show_options *o, bool vips)
{
	cJSON *e = array != NULL ? array->child : NULL;

	while (e != NULL) {
		cJSON *next = e->next;

		if (vips ? !is_vip_in_namespace(o, e) : !is_in_namespace(o, json_string(e, "name")))
			cJSON_Delete(cJSON_DetachItemViaPointer(array, e));
		e = next;
	}
}

cJSON *show_json(cJSON *dump, const struct show_options *o)
{
	static const char *const key[] = {[SHOW_SERVICES] = "services",
		[SHOW_VIPS] = "vips",
		[SHOW_POOLS] = "pools",
		[SHOW_NODES] = "nodes",
		[SHOW_PEERS] = "peers",
		[SHOW_EVENTS] = "events"};
	cJSON *list[2], *part;

	if (o->what != SHOW_ALL) {
		part = cJSON_DetachItemFromObjectCaseSensitive(dump, key[o->what]);
		cJSON_Delete(dump);
		part = part != NULL ? part : cJSON_CreateArray();
		if (o->what <= SHOW_VIPS)
			filter(part, o, o->what == SHOW_VIPS);
		return part;
	}
	list[0] = cJSON_CreateArray();
	list[1] = cJSON_CreateArray();
	finding_each(dump, false, on_json, list);
	(void)cJSON_AddItemToObject(dump, "degraded", list[0]);
	(void)cJSON_AddItemToObject(dump, "notes", list[1]);
	cJSON_DeleteItemFromObjectCaseSensitive(dump, "counters");
	filter(cJSON_GetObjectItemCaseSensitive(dump, "services"), o, false);
	filter(cJSON_GetObjectItemCaseSensitive(dump, "vips"), o, true);
	return dump;
}
