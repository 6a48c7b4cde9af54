/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nodelb.c - servicelb mode: k3s's rules one by one, who keeps a port, Events, writes.
 *
 * Most cases are scripts of one line a step, played to a nodelb and an API that takes each write
 * and shows it by its watch at once:
 *   node NAME [OPTION] ...   a Node is created or changed, see parse_node()
 *   gone NAME                it is deleted
 *   + NAME [OPTION] ...      a Service is created or changed, see parse_service()
 *   - NAME                   it is deleted
 *   ends NAME NODE[,NODE]    where it has ready endpoints; "none"
 *   quiet, go                nothing is shown in between
 *   leader                   another leader begins
 *   @ MS                     time passes
 *   NAME = ADDR[,ADDR] | REASON [TEXT]   what its status shows; or why it is empty, and words that
 *                            the detail must have
 *   NAME ~ TEXT              the detail has TEXT
 *   NAME said WAS -> IS      the last result about it, "-" = no address
 *   writes N, results N      so many since the last such line
 */
#include "check.h"
#include "json.h"
#include "nodelb.h"
#include "oom.h"

#include <stdarg.h>
#include <time.h>

enum { MAX_SERVICES = 16, MAX_TEXT = 200 };

static const struct hash_key hkey = {3, 4};

/* -- the world -- */

static const char *const classes[] = {"lbd.io/lbd"};

/* An object of the API. */
struct object {
	char name[MAX_TEXT], ports[MAX_TEXT], families[MAX_TEXT], policy[MAX_TEXT], meta[MAX_TEXT],
		notes[MAX_TEXT], spec[MAX_TEXT], ingress[4096];
	char said[MAX_TEXT];
	unsigned age, incarnation;
	bool marked;
};

struct world {
	struct cluster *c;
	struct nodelb *n;
	struct config conf;
	struct object objects[MAX_SERVICES];
	size_t n_objects;
	uint64_t now_ms;
	unsigned long rv;
	unsigned age, writes, results;
	bool quiet;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->c = cluster_new(&hkey, NULL);
	w->n = w->c != NULL ? nodelb_new(&hkey, w->c) : NULL;
	if (w->n == NULL)
		abort();
	w->conf.load_balancer_classes = (struct config_strings){classes, 1};
	w->conf.classless = true;
	w->now_ms = 1000000;
	nodelb_configure(w->n, &w->conf);
	nodelb_begin(w->n);
	nodelb_adopted(w->n);
}

static void world_free(struct world *w)
{
	nodelb_free(w->n);
	cluster_free(w->c);
}

/* Text with ' for ". */
static void apply(struct world *w, enum cluster_kind kind, enum cluster_event what, const char *fmt,
	...) PRINTF_LIKE(4, 5);
static void apply(
	struct world *w, enum cluster_kind kind, enum cluster_event what, const char *fmt, ...)
{
	static char s[16384];
	va_list ap;
	cJSON *o;

	va_start(ap, fmt);
	(void)vsnprintf(s, sizeof s, fmt, ap);
	va_end(ap);
	for (char *p = s; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	o = json_parse(s, strlen(s));
	CHECK(o != NULL);
	CHECK_INT(cluster_apply(w->c, kind, what, o), 0);
	cJSON_Delete(o);
}

static struct object *find(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_objects; i++)
		if (strcmp(w->objects[i].name, name) == 0)
			return &w->objects[i];
	return NULL;
}

static void show(struct world *w, const struct object *o)
{
	apply(w, CLUSTER_SERVICE, CLUSTER_PUT,
		"{'metadata':{'name':'%s','namespace':'x','uid':'u-%s-%u','resourceVersion':'%lu',"
		"'creationTimestamp':'2024-01-01T00:%02u:%02uZ','annotations':{%s%s}%s},"
		"'spec':{%s'type':'LoadBalancer','clusterIP':'10.43.0.1','ports':[%s],"
		"'ipFamilies':[%s],'ipFamilyPolicy':'%s'},"
		"'status':{'loadBalancer':{'ingress':[%s]}}}",
		o->name, o->name, o->incarnation, ++w->rv, o->age / 60, o->age % 60,
		o->marked ? "'lbd.io/ip-allocated-from-pool':'lan'," : "",
		o->notes[0] != '\0' ? o->notes : "'a':'b'", o->meta, o->spec, o->ports, o->families,
		o->policy, o->ingress);
}

/* -- the daemon's part -- */

static void feed(struct world *w)
{
	for (size_t i = 0; i < cluster_dirty_count(w->c); i++) {
		struct cluster_dirty d = cluster_dirty_at(w->c, i);
		struct cluster_service s;

		if (cluster_service(w->c, d.key, &s))
			CHECK_INT(nodelb_put(w->n, &s, w->now_ms), 0);
		else
			nodelb_delete(w->n, d.key);
	}
	cluster_clean(w->c);
}

static void ips_text(const struct addr *v, size_t n, char out[MAX_TEXT])
{
	char text[ADDR_STRLEN];
	size_t at = 0;

	(void)snprintf(out, MAX_TEXT, "-");
	for (size_t i = 0; i < n && at + ADDR_STRLEN < MAX_TEXT; i++)
		at += (size_t)snprintf(
			out + at, MAX_TEXT - at, "%s%s", i > 0 ? "," : "", addr_format(v[i], text));
}

static void take_results(struct world *w)
{
	struct nodelb_result r;

	while (nodelb_next_result(w->n, w->now_ms, &r)) {
		struct object *o = find(w, r.name);
		char was[MAX_TEXT], is[MAX_TEXT];

		w->results++;
		ips_text(r.was, r.n_was, was);
		ips_text(r.ips, r.n_ips, is);
		if (o != NULL)
			(void)snprintf(o->said, sizeof o->said, "%.90s -> %.90s", was, is);
	}
}

/* The API's answer to a write: it is taken, and the annotation goes. */
static void take_write(struct world *w, const struct nodelb_write *wr)
{
	struct object *o = find(w, wr->name);
	char text[ADDR_STRLEN];
	size_t at = 0;

	w->writes++;
	if (o == NULL)
		return;
	o->ingress[0] = '\0';
	for (size_t i = 0; i < wr->n_ips; i++)
		at += (size_t)snprintf(o->ingress + at, sizeof o->ingress - at, "%s{'ip':'%s'}",
			i > 0 ? "," : "", addr_format(wr->ips[i], text));
	o->marked = false;
}

static void pass(struct world *w)
{
	struct nodelb_write wr;

	if (w->quiet)
		return;
	feed(w);
	take_results(w);
	while (nodelb_next_write(w->n, w->now_ms, &wr)) {
		uint64_t id = wr.id;
		struct object *o = find(w, wr.name);

		take_write(w, &wr);
		nodelb_write_done(w->n, id, ALLOC_WRITE_OK, w->now_ms);
		if (o != NULL)
			show(w, o);
		feed(w);
		take_results(w);
	}
}

static void new_leader(struct world *w)
{
	struct cluster_service s = {0};

	nodelb_begin(w->n);
	while (cluster_next_service(w->c, &s))
		CHECK_INT(nodelb_put(w->n, &s, w->now_ms), 0);
	nodelb_adopted(w->n);
	cluster_clean(w->c);
	pass(w);
}

/* -- the script -- */

/* "A,B" as members of a JSON array, each in the format. */
static void spread(
	char *out, size_t max, const char *list, const char *fmt_before, const char *after)
{
	char copy[MAX_TEXT], *save = NULL;
	size_t at = strlen(out);

	(void)snprintf(copy, sizeof copy, "%s", list);
	for (char *p = strtok_r(copy, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save))
		at += (size_t)snprintf(out + at, max - at, "%s%s%s%s",
			at > 0 && out[at - 1] == '}' ? "," : "", fmt_before, p, after);
}

/* int=IP,.. ext=IP,.. enable=VALUE pool=VALUE notready nonet cordon */
static void parse_node(struct world *w, char *line)
{
	char addrs[1024] = "", labels[512] = "", *save = NULL;
	const char *name = strtok_r(line, " ", &save), *ready = "True", *net = "False";
	bool cordon = false;

	for (char *o = strtok_r(NULL, " ", &save); o != NULL; o = strtok_r(NULL, " ", &save)) {
		size_t at = strlen(labels);

		if (strncmp(o, "int=", 4) == 0)
			spread(addrs, sizeof addrs, o + 4, "{'type':'InternalIP','address':'",
				"'}");
		else if (strncmp(o, "ext=", 4) == 0)
			spread(addrs, sizeof addrs, o + 4, "{'type':'ExternalIP','address':'",
				"'}");
		else if (strncmp(o, "enable=", 7) == 0)
			(void)snprintf(labels + at, sizeof labels - at,
				"%s'svccontroller.k3s.cattle.io/enablelb':'%s'", at > 0 ? "," : "",
				o + 7);
		else if (strncmp(o, "pool=", 5) == 0)
			(void)snprintf(labels + at, sizeof labels - at,
				"%s'svccontroller.k3s.cattle.io/lbpool':'%s'", at > 0 ? "," : "",
				o + 5);
		else if (strcmp(o, "notready") == 0)
			ready = "Unknown";
		else if (strcmp(o, "nonet") == 0)
			net = "True";
		else if (strcmp(o, "cordon") == 0)
			cordon = true;
		else
			abort();
	}
	apply(w, CLUSTER_NODE, CLUSTER_PUT,
		"{'metadata':{'name':'%s','resourceVersion':'%lu','labels':{%s}},"
		"'spec':{'unschedulable':%s},'status':{'addresses':[%s],'conditions':["
		"{'type':'NetworkUnavailable','status':'%s'},{'type':'Ready','status':'%s'}]}}",
		name, ++w->rv, labels, cordon ? "true" : "false", addrs, net, ready);
}

/* port=TCP/80,UDP/53 family=IPv4,IPv6 policy=P pool=LABEL class=C ask=IP status=IP,..
 * note=ANNOTATION=VALUE mode=IPMODE hostname age=SECONDS local deleting headless clusterip marked
 * again */
static void parse_service_option(struct object *o, const char *t)
{
	size_t spec = strlen(o->spec), meta = strlen(o->meta);

	if (strncmp(t, "port=", 5) == 0) {
		char *at = o->ports, copy[MAX_TEXT], *save = NULL;

		o->ports[0] = '\0';
		(void)snprintf(copy, sizeof copy, "%s", t + 5);
		for (char *p = strtok_r(copy, ",", &save); p != NULL;
			p = strtok_r(NULL, ",", &save)) {
			at += snprintf(at, 64, "%s{'protocol':'%.3s','port':%s}",
				at > o->ports ? "," : "", p, p + 4);
		}
	} else if (strncmp(t, "family=", 7) == 0) {
		(void)snprintf(o->families, sizeof o->families, "%s",
			strcmp(t + 7, "IPv4,IPv6") == 0   ? "'IPv4','IPv6'"
			: strcmp(t + 7, "IPv6,IPv4") == 0 ? "'IPv6','IPv4'"
			: strcmp(t + 7, "IPv6") == 0      ? "'IPv6'"
							  : "'IPv4'");
	} else if (strncmp(t, "policy=", 7) == 0) {
		(void)snprintf(o->policy, sizeof o->policy, "%s", t + 7);
	} else if (strncmp(t, "pool=", 5) == 0) {
		(void)snprintf(o->meta + meta, sizeof o->meta - meta,
			",'labels':{'svccontroller.k3s.cattle.io/lbpool':'%s'}", t + 5);
	} else if (strncmp(t, "class=", 6) == 0) {
		(void)snprintf(
			o->spec + spec, sizeof o->spec - spec, "'loadBalancerClass':'%s',", t + 6);
	} else if (strncmp(t, "ask=", 4) == 0) {
		(void)snprintf(
			o->spec + spec, sizeof o->spec - spec, "'loadBalancerIP':'%s',", t + 4);
	} else if (strncmp(t, "note=", 5) == 0) {
		size_t key = strcspn(t + 5, "=");

		(void)snprintf(
			o->notes, sizeof o->notes, "'%.*s':'%s'", (int)key, t + 5, t + 5 + key + 1);
	} else if (strncmp(t, "status=", 7) == 0) {
		o->ingress[0] = '\0';
		spread(o->ingress, sizeof o->ingress, t + 7, "{'ip':'", "'}");
	} else if (strncmp(t, "mode=", 5) == 0) {
		(void)snprintf(
			o->ingress, sizeof o->ingress, "{'ip':'10.0.0.1','ipMode':'%s'}", t + 5);
	} else if (strcmp(t, "hostname") == 0) {
		(void)snprintf(
			o->ingress, sizeof o->ingress, "{'ip':'10.0.0.1'},{'hostname':'a.b'}");
	} else if (strncmp(t, "age=", 4) == 0) {
		o->age = (unsigned)strtoul(t + 4, NULL, 10);
	} else if (strcmp(t, "local") == 0) {
		(void)snprintf(
			o->spec + spec, sizeof o->spec - spec, "'externalTrafficPolicy':'Local',");
	} else if (strcmp(t, "deleting") == 0) {
		(void)snprintf(o->meta + meta, sizeof o->meta - meta,
			",'deletionTimestamp':'2024-03-01T00:00:00Z'");
	} else if (strcmp(t, "headless") == 0) {
		(void)snprintf(o->spec + spec, sizeof o->spec - spec, "'clusterIP':'None',");
	} else if (strcmp(t, "clusterip") == 0) {
		(void)snprintf(o->spec + spec, sizeof o->spec - spec, "'type':'ClusterIP',");
	} else if (strcmp(t, "marked") == 0) {
		o->marked = true;
	} else if (strcmp(t, "again") == 0) {
		o->incarnation++;
	} else {
		abort();
	}
}

static void parse_service(struct world *w, char *line)
{
	char *save = NULL, *name = strtok_r(line, " ", &save);
	struct object *o = find(w, name);

	if (o == NULL) {
		if (w->n_objects == MAX_SERVICES)
			abort();
		o = &w->objects[w->n_objects++];
		memset(o, 0, sizeof *o);
		o->age = ++w->age;
	}
	(void)snprintf(o->name, sizeof o->name, "%s", name);
	(void)snprintf(o->ports, sizeof o->ports, "{'protocol':'TCP','port':80}");
	(void)snprintf(o->families, sizeof o->families, "'IPv4'");
	(void)snprintf(o->policy, sizeof o->policy, "SingleStack");
	o->meta[0] = o->spec[0] = o->notes[0] = '\0';
	for (char *t = strtok_r(NULL, " ", &save); t != NULL; t = strtok_r(NULL, " ", &save))
		parse_service_option(o, t);
	show(w, o);
}

static void remove_service(struct world *w, const char *name)
{
	struct object *o = find(w, name);

	if (o == NULL)
		abort();
	apply(w, CLUSTER_SERVICE, CLUSTER_DELETE, "{'metadata':{'name':'%s','namespace':'x'}}",
		name);
	*o = w->objects[--w->n_objects];
}

static void put_ends(struct world *w, char *line)
{
	char ends[1024] = "", *save = NULL;
	const char *name = strtok_r(line, " ", &save), *nodes = strtok_r(NULL, " ", &save);

	if (nodes == NULL)
		abort();
	if (strcmp(nodes, "none") != 0)
		spread(ends, sizeof ends, nodes,
			"{'addresses':['10.42.0.1'],'conditions':{'ready':true},'nodeName':'",
			"'}");
	apply(w, CLUSTER_ENDPOINT_SLICE, CLUSTER_PUT,
		"{'metadata':{'name':'%s-1','namespace':'x','resourceVersion':'%lu','labels':"
		"{'kubernetes.io/service-name':'%s'}},'endpoints':[%s]}",
		name, ++w->rv, name, ends);
}

static void expect_why(struct world *w, const char *name, const char *reason, const char *text)
{
	struct nodelb_result r;
	char key[MAX_TEXT];

	(void)snprintf(key, sizeof key, "x/%s", name);
	if (!nodelb_why(w->n, key, &r)) {
		CHECK_STR("unknown", name);
		return;
	}
	if (reason != NULL)
		CHECK_STR(reason_code(r.reason), reason);
	if (text != NULL && strstr(r.detail, text) == NULL)
		CHECK_STR(r.detail, text);
}

static void expect_status(struct world *w, const char *name, const char *want)
{
	struct cluster_service s;
	char key[MAX_TEXT], got[MAX_TEXT];

	(void)snprintf(key, sizeof key, "x/%s", name);
	CHECK(cluster_service(w->c, key, &s));
	ips_text(s.ingress, s.n_ingress, got);
	CHECK_STR(got, want);
}

static bool is_address(const char *s)
{
	return strchr("0123456789-", s[0]) != NULL || strncmp(s, "fd", 2) == 0;
}

static void expect(struct world *w, char *line)
{
	char *save = NULL, *name = strtok_r(line, " ", &save), *what = strtok_r(NULL, " ", &save);
	char *rest = save;
	const struct object *o = find(w, name);

	if (what == NULL)
		abort();
	if (strcmp(what, "~") == 0) {
		expect_why(w, name, NULL, rest);
	} else if (strcmp(what, "said") == 0) {
		CHECK_STR(o != NULL ? o->said : "", rest);
	} else if (is_address(rest)) {
		expect_status(w, name, rest);
	} else {
		char *reason = strtok_r(NULL, " ", &save);

		expect_status(w, name, "-");
		expect_why(w, name, reason, save != NULL && save[0] != '\0' ? save : NULL);
	}
}

static void play_line(struct world *w, char *line)
{
	if (strncmp(line, "node ", 5) == 0)
		parse_node(w, line + 5);
	else if (strncmp(line, "gone ", 5) == 0)
		apply(w, CLUSTER_NODE, CLUSTER_DELETE, "{'metadata':{'name':'%s'}}", line + 5);
	else if (strncmp(line, "+ ", 2) == 0)
		parse_service(w, line + 2);
	else if (strncmp(line, "- ", 2) == 0)
		remove_service(w, line + 2);
	else if (strncmp(line, "ends ", 5) == 0)
		put_ends(w, line + 5);
	else if (strcmp(line, "quiet") == 0 || strcmp(line, "go") == 0)
		w->quiet = line[0] == 'q';
	else if (strcmp(line, "leader") == 0)
		new_leader(w);
	else if (strncmp(line, "@ ", 2) == 0)
		w->now_ms += strtoull(line + 2, NULL, 10);
	else if (strncmp(line, "writes ", 7) == 0 || strncmp(line, "results ", 8) == 0) {
		unsigned *n = line[0] == 'w' ? &w->writes : &w->results;

		CHECK_INT(*n, strtol(line + strcspn(line, " "), NULL, 10));
		*n = 0;
	} else {
		expect(w, line);
	}
	pass(w);
}

static void play(const char *name, const char *script)
{
	char text[4096], row[256], *save = NULL;
	struct world w;

	world_init(&w);
	(void)snprintf(text, sizeof text, "%s", script);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		(void)snprintf(row, sizeof row, "%.100s: %.140s", name, line);
		check_row = row;
		play_line(&w, line);
	}
	world_free(&w);
}

#define N3                                                                                         \
	"node n1 int=10.0.0.1\n"                                                                   \
	"node n2 int=10.0.0.2\n"                                                                   \
	"node n3 int=10.0.0.3\n"
#define DUAL                                                                                       \
	"node n1 int=10.0.0.1,fd00::1\n"                                                           \
	"node n2 int=10.0.0.2,fd00::2\n"

struct row {
	const char *name, *script;
};

static void play_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		play(rows[i].name, rows[i].script);
}

/* -- which nodes, which addresses -- */

static void test_nodes(void)
{
	static const struct row rows[] = {
		{"one node, the commonest", "node n1 int=10.0.0.1\n+ a\na = 10.0.0.1\nwrites 1\n"},
		{"all nodes, sorted",
			"node c int=10.0.0.3\nnode a int=10.0.0.2\nnode b int=10.0.0.1\n"
			"+ a\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"sorted as strings, not as numbers",
			"node n1 int=10.0.0.9\nnode n2 int=10.0.0.10\n+ a\na = "
			"10.0.0.10,10.0.0.9\n"},
		{"no Node", "+ a\na = noAvailableNode there is no Node\n"},
		{"a node comes and goes",
			"node n1 int=10.0.0.1\n+ a\nnode n2 int=10.0.0.2\na = 10.0.0.1,10.0.0.2\n"
			"gone n1\na = 10.0.0.2\ngone n2\na = noAvailableNode\n"},
		{"its address changes",
			"node n1 int=10.0.0.1\n+ a\nnode n1 int=10.0.0.7\na = 10.0.0.7\n"},
		{"not Ready", N3 "node n2 int=10.0.0.2 notready\n+ a\na = 10.0.0.1,10.0.0.3\n"},
		{"no node Ready", "node n1 int=10.0.0.1 notready\n+ a\na = noAvailableNode no node "
				  "is Ready\n"},
		{"Ready again",
			"node n1 int=10.0.0.1 notready\n+ a\nnode n1 int=10.0.0.1\na = 10.0.0.1\n"},
		{"NetworkUnavailable",
			N3 "node n3 int=10.0.0.3 nonet\n+ a\na = 10.0.0.1,10.0.0.2\n"},
		{"a cordon does not matter", N3 "node n1 int=10.0.0.1 cordon\n+ a\n"
						"a = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"a sign of life is no change", N3 "+ a\nwrites 1\nnode n2 int=10.0.0.2\n"
						   "writes 0\nresults 1\n"},
		{"enablelb on one", N3 "node n2 int=10.0.0.2 enable=true\n+ a\na = 10.0.0.2\n"},
		{"enablelb, not true, counts as a label, too",
			N3 "node n2 int=10.0.0.2 enable=false\n+ a\n"
			   "a = noAvailableNode no node has the labels\n"},
		{"enablelb true and false",
			N3 "node n1 int=10.0.0.1 enable=true\n"
			   "node n2 int=10.0.0.2 enable=True\n+ a\na = 10.0.0.1\n"},
		{"enablelb taken away: all nodes again",
			N3 "node n1 int=10.0.0.1 enable=true\n+ a\na = 10.0.0.1\n"
			   "node n1 int=10.0.0.1\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"lbpool", N3 "node n1 int=10.0.0.1 enable=true pool=p\n"
			      "node n2 int=10.0.0.2 enable=true pool=q\n"
			      "+ a pool=p\na = 10.0.0.1\n+ b port=TCP/81 pool=q\nb = 10.0.0.2\n"
			      "+ c port=TCP/82\nc = 10.0.0.1,10.0.0.2\n"},
		{"lbpool of no node",
			N3 "node n1 int=10.0.0.1 enable=true pool=p\n"
			   "+ a pool=x\na = noAvailableNode no node has the labels\n"},
		{"lbpool without enablelb on any node is not looked at",
			N3 "node n1 int=10.0.0.1 pool=p\n+ a pool=p\na = "
			   "10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"lbpool on a node without enablelb",
			"node n1 int=10.0.0.1 pool=p\nnode n2 int=10.0.0.2 enable=true pool=p\n"
			"+ a pool=p\na = 10.0.0.2\n"},
		{"an empty lbpool asks for nothing",
			N3 "node n1 int=10.0.0.1 enable=true pool=p\n+ a pool=\na = 10.0.0.1\n"},
		{"lbpool of the Service changes",
			N3 "node n1 int=10.0.0.1 enable=true pool=p\n"
			   "node n2 int=10.0.0.2 enable=true pool=q\n"
			   "+ a pool=p\na = 10.0.0.1\n+ a pool=q\na = 10.0.0.2\n"},
		{"ExternalIPs before InternalIPs",
			"node n1 int=10.0.0.1 ext=192.0.2.1\n+ a\na = 192.0.2.1\n"},
		{"one ExternalIP outweighs all InternalIPs",
			N3 "node n2 int=10.0.0.2 ext=192.0.2.2\n+ a\na = 192.0.2.2\n"},
		{"an ExternalIP of a node that is not Ready does not",
			N3 "node n2 int=10.0.0.2 ext=192.0.2.2 notready\n+ a\na = "
			   "10.0.0.1,10.0.0.3\n"},
		{"all ExternalIPs of a node", "node n1 int=10.0.0.1 ext=192.0.2.2,192.0.2.1\n+ a\n"
					      "a = 192.0.2.1,192.0.2.2\n"},
		{"an address of two nodes is listed once",
			"node n1 int=10.0.0.1 ext=192.0.2.1\nnode n2 int=10.0.0.2 ext=192.0.2.1\n+ "
			"a\n"
			"a = 192.0.2.1\n"},
		{"addresses that nobody could be reached at are left out",
			"node n1 int=127.0.0.1,10.0.0.1 ext=0.0.0.0\n+ a\na = 10.0.0.1\n"},
	};

	play_rows(rows, ARRAY_LEN(rows));
}

static void test_families(void)
{
	static const struct row rows[] = {
		{"IPv4 of a dual-stack node", DUAL "+ a\na = 10.0.0.1,10.0.0.2\n"},
		{"IPv6", DUAL "+ a family=IPv6\na = fd00::1,fd00::2\n"},
		{"both, IPv4 first", DUAL "+ a family=IPv4,IPv6 policy=RequireDualStack\n"
					  "a = 10.0.0.1,10.0.0.2,fd00::1,fd00::2\n"},
		{"both, IPv6 first", DUAL "+ a family=IPv6,IPv4 policy=PreferDualStack\n"
					  "a = fd00::1,fd00::2,10.0.0.1,10.0.0.2\n"},
		{"PreferDualStack on nodes of one family: what there is",
			N3 "+ a family=IPv4,IPv6 policy=PreferDualStack\na = "
			   "10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"RequireDualStack, too, as servicelb does",
			N3 "+ a family=IPv6,IPv4 policy=RequireDualStack\n"
			   "a = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"SingleStack", DUAL "+ a family=IPv4,IPv6\na = 10.0.0.1,10.0.0.2\n"},
		{"no node of the family", N3 "+ a family=IPv6\na = noAvailableNode no node has an "
					     "address of the Service's\n"},
		{"an ExternalIP of the other family outweighs, too, as in servicelb",
			"node n1 int=10.0.0.1,fd00::1 ext=192.0.2.1\n+ a family=IPv6\n"
			"a = noAvailableNode no node has an address of the Service's\n"},
		{"the order of ipFamilies changes: it is written anew",
			DUAL "+ a family=IPv4,IPv6 policy=PreferDualStack\n"
			     "+ a family=IPv6,IPv4 policy=PreferDualStack\n"
			     "a = fd00::1,fd00::2,10.0.0.1,10.0.0.2\n"},
		{"no cluster IP", N3 "+ a headless\na = noClusterIP\n"},
	};

	play_rows(rows, ARRAY_LEN(rows));
}

static void test_local(void)
{
	static const struct row rows[] = {
		{"only nodes with a ready endpoint", N3 "+ a local\nends a n2\na = 10.0.0.2\n"},
		{"they move", N3 "+ a local\nends a n2\nends a n1,n3\na = 10.0.0.1,10.0.0.3\n"},
		{"none", N3 "+ a local\nends a n2\nends a none\n"
			    "a = noAvailableNode externalTrafficPolicy is Local\n"
			    "a said 10.0.0.2 -> -\n"},
		{"one on a node that is not Ready",
			N3 "node n2 int=10.0.0.2 notready\n+ a local\nends a n2\n"
			   "a = noAvailableNode externalTrafficPolicy is Local\n"},
		{"the policy changes",
			N3 "+ a\nends a n2\na = 10.0.0.1,10.0.0.2,10.0.0.3\n+ a local\n"
			   "a = 10.0.0.2\n"},
		{"policy Cluster needs no endpoint",
			N3 "+ a\nends a none\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"a node without an ExternalIP has the endpoint", N3
			"node n1 int=10.0.0.1 ext=192.0.2.1\n+ a local\nends a n2\na = 10.0.0.2\n"},
	};

	play_rows(rows, ARRAY_LEN(rows));
}

/* -- ports -- */

static void test_ports(void)
{
	static const struct row rows[] = {
		{"two ports, both everywhere",
			N3 "+ a\n+ b port=TCP/81\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"one port: who has it keeps it", N3 "+ a\n+ b\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"
						     "b = portTaken TCP port 80 is taken by x/a\n"},
		{"also when the other is older", N3 "+ b age=9\n+ a age=1\na = portTaken x/b\n"
						    "b = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"of two at once the eldest",
			N3 "quiet\n+ b age=9\n+ a age=1\ngo\n"
			   "b = portTaken x/a\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"of one age the lower UID",
			N3 "quiet\n+ b age=9\n+ a age=9\ngo\nb = portTaken x/a\n"},
		{"another protocol is another port",
			N3 "+ a port=TCP/53\n+ b port=UDP/53\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"one of several ports is enough", N3 "+ a port=UDP/53\n+ b port=TCP/80,UDP/53\nb "
						      "= portTaken UDP port 53 is taken by x/a\n"},
		{"it goes: the eldest of those who wait",
			N3 "+ a age=1\n+ c age=3\n+ b age=2\n- a\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"
			   "c = portTaken x/b\n"},
		{"it takes another port",
			N3 "+ a\n+ b\n+ a port=TCP/8080\n"
			   "a = 10.0.0.1,10.0.0.2,10.0.0.3\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"it takes a port more, which is free: what it has stays",
			N3 "+ a age=9\n+ b age=1\n+ a port=TCP/80,TCP/81\n"
			   "a = 10.0.0.1,10.0.0.2,10.0.0.3\nb = portTaken\n"},
		{"it takes a port more, which is not: it loses all, those who wait get it",
			N3 "+ a\n+ b\n+ c port=TCP/81\n+ a port=TCP/80,TCP/81\n"
			   "a = portTaken TCP port 80 is taken by x/b\nb = "
			   "10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"it takes a port more, and who has that is decided before it",
			N3 "+ a age=9\n+ c age=1 port=TCP/81\nquiet\n+ a port=TCP/80,TCP/81\n"
			   "+ c port=TCP/81 ask=1.2.3.4\ngo\nc = 10.0.0.1,10.0.0.2,10.0.0.3\n"
			   "a = portTaken x/c\n"},
		{"it changes its type",
			N3 "+ a\n+ b\n+ a clusterip\nb = 10.0.0.1,10.0.0.2,10.0.0.3\na = -\n"},
		{"it is to be ignored", N3 "+ a\n+ b\n+ a note=lbd.io/ignore=true\n"
					   "b = 10.0.0.1,10.0.0.2,10.0.0.3\na = -\n"},
		{"it is being deleted",
			N3 "+ a\n+ b\n+ a deleting\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"a port of a headless Service is no node's",
			N3 "+ a headless\n+ b\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"made anew under its name: the eldest that waits was first",
			N3 "+ a\n+ b\n- a\n+ a\na = portTaken\n"},
		{"another object of its name", N3
			"+ a age=1\n+ b age=2\n+ a again age=3\nb = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"taken on one node only: it gets the others",
			N3 "node n1 int=10.0.0.1 enable=true pool=p\nnode n2 int=10.0.0.2 "
			   "enable=true pool=q\n"
			   "+ a pool=p\n+ b\nb = 10.0.0.2\nb ~ TCP port 80 of node n1 is taken by "
			   "x/a\n"},
		{"given up there: it gets that, too",
			N3 "node n1 int=10.0.0.1 enable=true pool=p\nnode n2 int=10.0.0.2 "
			   "enable=true pool=q\n"
			   "+ a pool=p\n+ b\n+ a pool=q port=TCP/81\nb = 10.0.0.1,10.0.0.2\n"},
		{"a node of two Services' pools changes hands by its label",
			N3 "node n1 int=10.0.0.1 enable=true pool=p\nnode n2 int=10.0.0.2 "
			   "enable=true pool=q\n"
			   "+ a pool=p\n+ b pool=q\nnode n2 int=10.0.0.2 enable=true pool=p\n"
			   "a = 10.0.0.1,10.0.0.2\nb = noAvailableNode\n"
			   "node n1 int=10.0.0.1 enable=true pool=q\na = 10.0.0.2\nb = 10.0.0.1\n"},
		{"kept while the node is not Ready", "node n1 int=10.0.0.1\n+ a age=9\n+ b "
						     "age=1\nnode n1 int=10.0.0.1 notready\n"
						     "a = noAvailableNode\nb = portTaken x/a\nnode "
						     "n1 int=10.0.0.1\na = 10.0.0.1\n"},
		{"kept where a Local Service has no endpoint: its pods would be there",
			N3 "+ a local age=9\nends a n1\n+ b age=1\nb = portTaken x/a\nends a n2\na "
			   "= 10.0.0.2\n"},
		{"a new node is the eldest's", "node n1 int=10.0.0.1\n+ a age=9\n+ b age=1\n" N3
					       "a = 10.0.0.1\nb = 10.0.0.2,10.0.0.3\n"},
		{"and a restart of the leader changes none of it",
			"node n1 int=10.0.0.1\n+ a age=9\n+ b age=1\n" N3
			"writes 3\nleader\nwrites 0\n"
			"a = 10.0.0.1\nb = 10.0.0.2,10.0.0.3\n"},
		{"a new leader: who is in the status keeps it, younger or not",
			N3 "+ b age=9\n+ a age=1\nwrites 1\nleader\na = portTaken x/b\nwrites 0\n"},
		{"a new leader: also the nodes that its status does not show just now",
			N3 "+ b local age=9\nends b n1\n+ a age=1\nleader\na = portTaken x/b\n"
			   "ends b n2\nb = 10.0.0.2\n"},
		{"a new leader, two of one age: in the order of their names",
			"node n1 int=10.0.0.1\nquiet\n+ b age=5\n+ a age=5\ngo\nleader\n"
			"a = 10.0.0.1\nb = portTaken x/a\n"},
		{"a new leader: two in the status of one node, the elder keeps it",
			"node n1 int=10.0.0.1\nquiet\n+ b age=9 status=10.0.0.1\n+ a age=1 "
			"status=10.0.0.1\n"
			"go\nleader\na = 10.0.0.1\nb = portTaken x/a\n"},
	};

	play_rows(rows, ARRAY_LEN(rows));
}

/* -- which Services, what is said -- */

static void test_services(void)
{
	static const struct row rows[] = {
		{"another class",
			N3 "+ a class=example.com/x\na = otherClass\nresults 0\nwrites 0\n"},
		{"lbd's class", N3 "+ a class=lbd.io/lbd\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"ignored", N3 "+ a note=lbd.io/ignore=true\na = ignored\nwrites 0\n"},
		{"another's status is left alone",
			N3 "+ a class=example.com/x status=192.0.2.1\na = 192.0.2.1\nwrites 0\n"},
		{"ours is cleared", N3 "+ a\n+ a note=lbd.io/ignore=true\na = -\n"
				       "a said 10.0.0.1,10.0.0.2,10.0.0.3 -> -\n"},
		{"left by an earlier lbd on a Service that is none any more",
			N3 "+ a clusterip status=10.0.0.2\na = -\n"},
		{"an address of a pool time is replaced, its annotation goes",
			N3 "+ a status=10.9.0.1 marked\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"
			   "a said 10.9.0.1 -> 10.0.0.1,10.0.0.2,10.0.0.3\n"},
		{"the annotation alone is a write",
			"node n1 int=10.0.0.1\n+ a status=10.0.0.1 marked\n"
			"writes 1\nresults 0\n"},
		{"ipMode Proxy is corrected",
			"node n1 int=10.0.0.1\n+ a mode=Proxy\nwrites 1\nresults 0\n"},
		{"ipMode VIP is right", "node n1 int=10.0.0.1\n+ a mode=VIP\nwrites 0\n"},
		{"a server that drops ipMode makes no loop",
			"node n1 int=10.0.0.1\n+ a\nwrites 1\n@ 100000\n+ a\nwrites 0\n"},
		{"a host name beside it is taken out",
			"node n1 int=10.0.0.1\n+ a hostname\nwrites 1\n"},
		{"a foreign status is replaced",
			"node n1 int=10.0.0.1\n+ a\n+ a status=192.0.2.1\na = 10.0.0.1\n"},
		{"spec.loadBalancerIP is not looked at",
			N3 "+ a ask=10.0.0.2\na = 10.0.0.1,10.0.0.2,10.0.0.3\n"
			   "a ~ that it asks for is not looked at\n"},
		{"nor is a requested address",
			"node n1 int=10.0.0.1\n+ a note=lbd.io/loadBalancerIPs=1.2.3.4\n"
			"a = 10.0.0.1\na ~ is not looked at\n"},
		{"nor a pool",
			"node n1 int=10.0.0.1\n+ a note=metallb.io/address-pool=lan\na = 10.0.0.1\n"
			"a ~ is not looked at\nresults 1\nleader\nresults 0\n"},
		{"the news",
			N3 "+ a\na said - -> 10.0.0.1,10.0.0.2,10.0.0.3\n"
			   "node n2 int=10.0.0.2 notready\n"
			   "a said 10.0.0.1,10.0.0.2,10.0.0.3 -> 10.0.0.1,10.0.0.3\nresults 2\n"},
		{"no address is news, once",
			"+ a\na said - -> -\nresults 1\n+ a\n+ a\nresults 0\n"},
		{"a new leader that finds all in order says nothing",
			N3 "+ a\nresults 1\nleader\nresults 0\nwrites 1\n"},
		{"another that has the port is no news for those who wait",
			N3 "+ a\n+ b\n+ c\nresults 3\n- a\nresults 1\nc ~ x/b\n"},
		{"it comes and goes before anybody asks",
			N3 "+ a\nresults 1\nquiet\nnode n2 int=10.0.0.2 notready\n"
			   "node n2 int=10.0.0.2\ngo\nresults 0\nwrites 1\n"},
	};

	play_rows(rows, ARRAY_LEN(rows));
}

/* -- writes -- */

/* Sends the next write of the one Service a; 0 = there is none. */
static uint64_t send_write(struct world *w)
{
	struct nodelb_write wr;

	if (!nodelb_next_write(w->n, w->now_ms, &wr))
		return 0;
	w->writes++;
	return wr.id;
}

static void one_service(struct world *w)
{
	char node[] = "node n1 int=10.0.0.1", service[] = "+ a";

	world_init(w);
	w->quiet = true;
	play_line(w, node);
	play_line(w, service);
	feed(w);
}

static void test_outcomes(void)
{
	static const struct {
		const char *name;
		enum alloc_outcome outcome;
		uint64_t again_ms; /* TIME_NEVER: not again */
	} rows[] = {
		{"taken", ALLOC_WRITE_OK, TIME_NEVER},
		{"conflict", ALLOC_WRITE_CONFLICT, 1000},
		{"gone", ALLOC_WRITE_GONE, TIME_NEVER},
		{"failed", ALLOC_WRITE_FAILED, 100},
		{"not sent", ALLOC_WRITE_NOT_SENT, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;
		uint64_t id;

		check_row = rows[i].name;
		one_service(&w);
		CHECK_INT(nodelb_next_deadline(w.n), 0);
		id = send_write(&w);
		CHECK(id != 0);
		CHECK_INT(send_write(&w), 0); /* one at a time */
		nodelb_write_done(w.n, id, rows[i].outcome, w.now_ms);
		nodelb_write_done(w.n, id, rows[i].outcome, w.now_ms);
		nodelb_write_done(w.n, 77, rows[i].outcome, w.now_ms);
		if (rows[i].again_ms == TIME_NEVER) {
			CHECK(nodelb_next_deadline(w.n) == TIME_NEVER);
			w.now_ms += 1000000;
			CHECK_INT(send_write(&w), 0);
		} else {
			w.now_ms += rows[i].again_ms;
			CHECK(send_write(&w) != 0);
		}
		world_free(&w);
	}
}

/* The second failure in a row waits longer, up to 30 s. */
static void test_back_off(void)
{
	static const uint64_t want_ms[] = {
		100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct world w;

	one_service(&w);
	for (size_t i = 0; i < ARRAY_LEN(want_ms); i++) {
		uint64_t id = send_write(&w);

		CHECK(id != 0);
		nodelb_write_done(w.n, id, ALLOC_WRITE_FAILED, w.now_ms);
		CHECK_INT(nodelb_next_deadline(w.n), w.now_ms + want_ms[i]);
		w.now_ms += want_ms[i];
	}
	world_free(&w);
}

/* A write was taken and the watch is slow: the status that is still shown is no reason for another,
 * a change of mind is. */
static void test_slow_watch(void)
{
	char gone[] = "node n1 int=10.0.0.2";
	struct world w;
	uint64_t id;

	one_service(&w);
	id = send_write(&w);
	nodelb_write_done(w.n, id, ALLOC_WRITE_OK, w.now_ms);
	CHECK_INT(send_write(&w), 0);
	play_line(&w, gone);
	CHECK_INT(nodelb_next_deadline(w.n), 0);
	CHECK(send_write(&w) != 0);
	world_free(&w);
}

/* The object that shows the write comes before its answer. */
static void test_quick_watch(void)
{
	struct nodelb_write wr;
	struct world w;
	uint64_t id;

	one_service(&w);
	CHECK(nodelb_next_write(w.n, w.now_ms, &wr));
	CHECK_INT(wr.n_ips, 1);
	CHECK_STR(wr.name, "a");
	id = wr.id;
	take_write(&w, &wr);
	show(&w, &w.objects[0]);
	feed(&w);
	CHECK_INT(send_write(&w), 0);
	nodelb_write_done(w.n, id, ALLOC_WRITE_OK, w.now_ms);
	CHECK_INT(send_write(&w), 0);
	CHECK(nodelb_next_deadline(w.n) == TIME_NEVER);
	world_free(&w);
}

/* After a conflict the newer object is not waited for longer than it takes to come. */
static void test_conflict(void)
{
	struct world w;
	uint64_t id;

	one_service(&w);
	id = send_write(&w);
	nodelb_write_done(w.n, id, ALLOC_WRITE_CONFLICT, w.now_ms);
	CHECK_INT(send_write(&w), 0);
	show(&w, &w.objects[0]);
	feed(&w);
	id = send_write(&w);
	CHECK(id != 0);
	nodelb_write_done(w.n, id, ALLOC_WRITE_OK, w.now_ms);
	CHECK_INT(send_write(&w), 0); /* the watch did not show this one yet */
	world_free(&w);
}

/* An object that came during an earlier write says nothing of the later one. */
static void test_conflict_in_flight(void)
{
	struct world w;
	uint64_t id;

	one_service(&w);
	id = send_write(&w);
	show(&w, &w.objects[0]);
	feed(&w);
	nodelb_write_done(w.n, id, ALLOC_WRITE_CONFLICT, w.now_ms);
	id = send_write(&w); /* at once: the object is there */
	CHECK(id != 0);
	nodelb_write_done(w.n, id, ALLOC_WRITE_OK, w.now_ms);
	CHECK_INT(send_write(&w), 0);
	world_free(&w);
}

/* Another writer of the status is not fought at its own pace. */
static void test_no_fight(void)
{
	struct world w;

	one_service(&w);
	w.quiet = false;
	pass(&w);
	w.writes = 0;
	for (int i = 0; i < 600; i++) { /* a minute */
		char foreign[] = "+ a status=192.0.2.1";

		play_line(&w, foreign);
		w.now_ms += 100;
	}
	CHECK(w.writes >= 5 && w.writes <= 20);
	w.now_ms += 100000;
	w.writes = 0;
	pass(&w);
	CHECK_INT(w.writes, 1);
	expect_status(&w, "a", "10.0.0.1");
	world_free(&w);
}

/* -- many -- */

struct crowd {
	struct world w;
	size_t n;
};

static void put_many(struct crowd *m, size_t i, const char *ingress)
{
	apply(&m->w, CLUSTER_SERVICE, CLUSTER_PUT,
		"{'metadata':{'name':'s%zu','namespace':'x','uid':'u-%zu','resourceVersion':'%lu'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.43.0.1','ipFamilies':['IPv4'],"
		"'ports':[{'port':%zu}]},'status':{'loadBalancer':{'ingress':[%s]}}}",
		i, i, ++m->w.rv, i + 1, ingress);
}

static void crowd_init(struct crowd *m, size_t n)
{
	world_init(&m->w);
	m->w.quiet = true;
	m->n = n;
	for (size_t i = 0; i < n; i++)
		put_many(m, i, "");
}

/* Takes up to max writes and shows them.  Returns how many there were. */
static size_t crowd_write(struct crowd *m, size_t max)
{
	size_t n = 0;

	feed(&m->w);
	for (; n < max; n++) {
		char ingress[512] = "", text[ADDR_STRLEN];
		struct nodelb_write wr;
		size_t at = 0, who;

		if (!nodelb_next_write(m->w.n, m->w.now_ms, &wr))
			break;
		for (size_t i = 0; i < wr.n_ips; i++)
			at += (size_t)snprintf(ingress + at, sizeof ingress - at, "%s{'ip':'%s'}",
				i > 0 ? "," : "", addr_format(wr.ips[i], text));
		who = strtoul(wr.name + 1, NULL, 10);
		nodelb_write_done(m->w.n, wr.id, ALLOC_WRITE_OK, m->w.now_ms);
		put_many(m, who, ingress);
		feed(&m->w);
	}
	return n;
}

static void three_nodes(struct world *w, bool second_ready)
{
	char n1[] = "node n1 int=10.0.0.1", n3[] = "node n3 int=10.0.0.3";
	char n2[64];

	(void)snprintf(n2, sizeof n2, "node n2 int=10.0.0.2%s", second_ready ? "" : " notready");
	play_line(w, n1);
	play_line(w, n2);
	play_line(w, n3);
}

/* A node goes: one write for each Service, and it is in no status any more.  It comes and goes
 * every second for two minutes: what is written stays far below a write a change, and ends right.
 */
static void test_flapping_node(void)
{
	enum { SERVICES = 1000, SECONDS = 120, PER_SECOND = 600 };
	struct crowd m = {.n = 0};
	size_t n = 0;

	crowd_init(&m, SERVICES);
	three_nodes(&m.w, true);
	CHECK_INT(crowd_write(&m, SIZE_MAX), SERVICES);
	m.w.now_ms += 100000;
	three_nodes(&m.w, false);
	CHECK_INT(crowd_write(&m, SIZE_MAX), SERVICES);
	m.w.now_ms += 100000;
	for (unsigned s = 0; s < SECONDS; s++) {
		three_nodes(&m.w, s % 2 == 0);
		n += crowd_write(&m, PER_SECOND);
		m.w.now_ms += 1000;
	}
	CHECK(n >= 5 * SERVICES && n <= 30 * SERVICES);
	m.w.now_ms += 100000;
	(void)crowd_write(&m, SIZE_MAX);
	expect_status(&m.w, "s0", "10.0.0.1,10.0.0.3");
	expect_status(&m.w, "s999", "10.0.0.1,10.0.0.3");
	CHECK_INT(crowd_write(&m, SIZE_MAX), 0);
	world_free(&m.w);
}

/* Ten thousand Services on three nodes are decided in well under a second, each with a port of its
 * own, and all of them after one. */
static void test_ten_thousand(void)
{
	enum { SERVICES = 10000 };
	struct crowd m = {.n = 0};
	struct nodelb_result r;
	clock_t begin;
	size_t n = 0;

	crowd_init(&m, SERVICES);
	three_nodes(&m.w, true);
	feed(&m.w);
	begin = clock();
	while (nodelb_next_result(m.w.n, m.w.now_ms, &r))
		n += r.reason == REASON_ALLOCATED && r.n_ips == 3;
	CHECK_INT(n, SERVICES);
	CHECK((clock() - begin) / (CLOCKS_PER_SEC / 1000) < 900);
	for (size_t i = 0; i < SERVICES; i++)
		apply(&m.w, CLUSTER_SERVICE, CLUSTER_PUT,
			"{'metadata':{'name':'s%zu','namespace':'x','uid':'u-%zu',"
			"'resourceVersion':'%lu'},'spec':{'type':'LoadBalancer','clusterIP':"
			"'10.43.0.1','ipFamilies':['IPv4'],'ports':[{'port':80}]}}",
			i, i, ++m.w.rv);
	feed(&m.w);
	begin = clock();
	n = 0;
	while (nodelb_next_result(m.w.n, m.w.now_ms, &r))
		n += r.reason == REASON_PORT_TAKEN;
	CHECK_INT(n, SERVICES - 1);
	CHECK((clock() - begin) / (CLOCKS_PER_SEC / 1000) < 900);
	world_free(&m.w);
}

/* More nodes than a Service can have addresses: the first of them. */
static void test_many_nodes(void)
{
	char service[] = "+ a";
	struct nodelb_result r;
	struct world w;

	world_init(&w);
	w.quiet = true;
	for (unsigned i = 0; i < 200; i++)
		apply(&w, CLUSTER_NODE, CLUSTER_PUT,
			"{'metadata':{'name':'n%u','resourceVersion':'%lu'},'status':{'addresses':["
			"{'type':'InternalIP','address':'10.0.0.%u'}],'conditions':["
			"{'type':'Ready','status':'True'}]}}",
			i, ++w.rv, i);
	play_line(&w, service);
	feed(&w);
	CHECK(nodelb_next_result(w.n, w.now_ms, &r));
	CHECK_INT(r.n_ips, CLUSTER_MAX_INGRESS);
	world_free(&w);
}

/* -- a long random run -- */

enum { NODES = 70, SERVICES = 12, PORTS = 3 };

/* What the model knows of it. */
struct model {
	struct {
		bool there, up, enabled;
		unsigned pool;
	} node[NODES];
	struct {
		bool there, local;
		unsigned pool, ports; /* bits */
		unsigned end;         /* the node of its only endpoint */
	} svc[SERVICES];
};

static void play_fmt(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void play_fmt(struct world *w, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	play_line(w, line);
}

static void change_node(struct world *w, struct model *m, struct rng *rng)
{
	size_t i = rng_below(rng, NODES);

	if (m->node[i].there && rng_below(rng, 6) == 0) {
		m->node[i].there = false;
		play_fmt(w, "gone n%zu", i);
		return;
	}
	m->node[i].there = true;
	m->node[i].up = rng_below(rng, 4) > 0;
	m->node[i].enabled = rng_below(rng, 8) > 0;
	m->node[i].pool = (unsigned)rng_below(rng, 2);
	play_fmt(w, "node n%zu int=10.0.0.%zu enable=%s pool=p%u%s", i, i + 1,
		m->node[i].enabled ? "true" : "false", m->node[i].pool,
		m->node[i].up ? "" : " notready");
}

static void change_service(struct world *w, struct model *m, struct rng *rng)
{
	size_t i = rng_below(rng, SERVICES);
	unsigned p = m->svc[i].ports = (unsigned)rng_below(rng, (1U << PORTS) - 1) + 1;

	if (m->svc[i].there && rng_below(rng, 4) == 0) {
		m->svc[i].there = false;
		play_fmt(w, "- s%zu", i);
		return;
	}
	m->svc[i].there = true;
	m->svc[i].local = rng_below(rng, 3) == 0;
	m->svc[i].pool = (unsigned)rng_below(rng, 3);
	m->svc[i].end = (unsigned)rng_below(rng, NODES);
	play_fmt(w, "ends s%zu n%u", i, m->svc[i].end);
	play_fmt(w, "+ s%zu port=%s%s%s%s%s", i, (p & 1) != 0 ? "TCP/1," : "",
		(p & 2) != 0 ? "TCP/2," : "", (p & 4) != 0 ? "TCP/3," : "",
		m->svc[i].pool == 0   ? " pool=p0"
		: m->svc[i].pool == 1 ? " pool=p1"
				      : "",
		m->svc[i].local ? " local" : "");
}

static bool is_placed(const struct model *m, size_t s, size_t n)
{
	return m->svc[s].there && m->node[n].there && m->node[n].enabled &&
	       (m->svc[s].pool == 2 || m->svc[s].pool == m->node[n].pool);
}

static bool shows_node(const struct world *w, size_t s, size_t n)
{
	struct cluster_service v;
	char key[32], ip[32];
	struct addr a;

	(void)snprintf(key, sizeof key, "x/s%zu", s);
	(void)snprintf(ip, sizeof ip, "10.0.0.%zu", n + 1);
	if (!cluster_service(w->c, key, &v) || addr_parse(ip, strlen(ip), &a) != 0)
		return false;
	for (size_t i = 0; i < v.n_ingress; i++)
		if (addr_eq(v.ingress[i], a))
			return true;
	return false;
}

/* Of all Services on node n: only where they may, never two with a port in common, and nobody waits
 * for a port that nobody could have. */
static bool node_is_right(const struct world *w, const struct model *m, size_t n)
{
	bool labelled = false;

	for (size_t i = 0; i < NODES; i++)
		labelled = labelled || m->node[i].there;
	for (size_t s = 0; s < SERVICES; s++) {
		bool may = is_placed(m, s, n) && m->node[n].up &&
			   (!m->svc[s].local || m->svc[s].end == n);
		bool shown = shows_node(w, s, n), contested = false;

		for (size_t t = 0; t < SERVICES; t++) {
			bool common = t != s && (m->svc[t].ports & m->svc[s].ports) != 0;

			if (common && shown && shows_node(w, t, n))
				return false;
			contested = contested || (common && is_placed(m, t, n));
		}
		if (labelled && (shown ? !may : may && !contested))
			return false;
	}
	return true;
}

static bool all_is_right(const struct world *w, const struct model *m)
{
	for (size_t n = 0; n < NODES; n++)
		if (!node_is_right(w, m, n))
			return false;
	return true;
}

/* A new leader takes nothing from anybody. */
static void restart(struct world *w)
{
	static bool before[SERVICES][NODES];
	char line[] = "leader";

	for (size_t s = 0; s < SERVICES; s++)
		for (size_t n = 0; n < NODES; n++)
			before[s][n] = shows_node(w, s, n);
	play_line(w, line);
	for (size_t s = 0; s < SERVICES; s++)
		for (size_t n = 0; n < NODES; n++)
			CHECK(!before[s][n] || shows_node(w, s, n));
}

static void random_step(struct world *w, struct model *m, struct rng *rng)
{
	w->now_ms += 61000; /* no write waits */
	if (rng_below(rng, 3) == 0)
		change_service(w, m, rng);
	else
		change_node(w, m, rng);
}

static void test_model(void)
{
	struct rng rng = {.state = 7};
	static struct model m;
	struct world w;

	world_init(&w);
	for (int i = 0; i < 4000; i++) {
		random_step(&w, &m, &rng);
		if (rng_below(&rng, 20) == 0)
			restart(&w);
		CHECK(all_is_right(&w, &m));
		if (check_failures > 0) {
			printf("step %d\n", i);
			break;
		}
	}
	world_free(&w);
}

#ifdef MEMORY_CAN_FAIL
/* As the daemon does: after a failure all is put anew. */
static void test_out_of_memory(void)
{
	struct rng rng = {.state = 9};
	struct nodelb_result r;
	static struct model m;
	struct world w;

	world_init(&w);
	for (int i = 0; i < 2000; i++) {
		struct cluster_service s = {0};
		bool failed = false;

		w.quiet = true;
		random_step(&w, &m, &rng);
		fail_after = (long)rng_below(&rng, 12);
		for (size_t k = 0; k < cluster_dirty_count(w.c); k++) {
			struct cluster_dirty d = cluster_dirty_at(w.c, k);

			if (!cluster_service(w.c, d.key, &s))
				nodelb_delete(w.n, d.key);
			else
				failed = nodelb_put(w.n, &s, w.now_ms) != 0 || failed;
		}
		while (nodelb_next_result(w.n, w.now_ms, &r))
			continue;
		(void)send_write(&w);
		fail_after = -1;
		cluster_clean(w.c);
		w.now_ms += 2000;
		w.quiet = false;
		if (failed || rng_below(&rng, 4) == 0) {
			new_leader(&w);
			CHECK(all_is_right(&w, &m));
		}
	}
	world_free(&w);
}
#else
static void test_out_of_memory(void)
{
}
#endif

CHECK_MAIN("test_nodelb", CHECK_TEST(test_nodes), CHECK_TEST(test_families), CHECK_TEST(test_local),
	CHECK_TEST(test_ports), CHECK_TEST(test_services), CHECK_TEST(test_outcomes),
	CHECK_TEST(test_back_off), CHECK_TEST(test_slow_watch), CHECK_TEST(test_quick_watch),
	CHECK_TEST(test_conflict), CHECK_TEST(test_conflict_in_flight), CHECK_TEST(test_no_fight),
	CHECK_TEST(test_flapping_node), CHECK_TEST(test_ten_thousand), CHECK_TEST(test_many_nodes),
	CHECK_TEST(test_model), CHECK_TEST(test_out_of_memory))
