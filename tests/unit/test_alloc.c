/* SPDX-License-Identifier: Apache-2.0
 *
 * test_alloc.c - pools, sharing, dual stack, adoption, configuration changes, writes; and a long
 * random run against a naive model.
 *
 * Most cases are scripts of one line a step, played to an allocator and an API that takes each
 * write and shows it by its watch at once:
 *   pools NAME=RANGE[,RANGE][;OPTION] ...   noauto buggy prio=N ns=A sel=K:V delay=MS move metallb
 *   + NS/NAME [OPTION] ...                  a Service is created or changed, see parse_service()
 *   - NS/NAME                               it is deleted
 *   api NS/NAME [OPTION] ...                created or changed, not shown before the next leader
 *   @ MS                                    time passes
 *   leader                                  another leader begins, with the list in another order
 *   NS/NAME = ADDR[,ADDR] | REASON [TEXT]   what it holds, and its status shows; or why not, and
 *                                           words that the detail must have
 *   NS/NAME ~ TEXT                          the detail has TEXT
 *   NS/NAME ? TEXT                          the rules tried for it, by step_text(), have TEXT
 *   writes N                                so many since the last such line
 */
#include "alloc.h"
#include "check.h"
#include "service.h"

#include <ctype.h>

enum { MAX_SERVICES = 64, MAX_POOLS = 8, MAX_RANGES = 8, MAX_TEXT = 64, MAX_TEST_PORTS = 4 };

static const struct hash_key hkey = {3, 4};
static const char *const classes[] = {"lbd.io/lbd"};

/* An object of the API. */
struct object {
	char key[MAX_TEXT], ns[MAX_TEXT], name[MAX_TEXT], uid[MAX_TEXT], rv[24];
	char class_[MAX_TEXT], field[MAX_TEXT], ips[MAX_TEXT], pool[MAX_TEXT], share[MAX_TEXT],
		conflict[MAX_TEXT], backend[MAX_TEXT], written[MAX_TEXT], label_key[MAX_TEXT],
		label_value[MAX_TEXT];
	struct label label;
	struct cluster_port ports[MAX_TEST_PORTS];
	struct addr status[4];
	struct cluster_service s;
	bool ever_shared; /* for the model */
};

struct world {
	struct alloc *a;
	struct counters counters;
	struct config conf;
	struct config_pool pools[MAX_POOLS];
	struct addr_range ranges[MAX_POOLS][MAX_RANGES];
	char names[MAX_POOLS][MAX_TEXT];
	char words[MAX_POOLS][2][MAX_TEXT];
	const char *namespaces[MAX_POOLS];
	struct label labels[MAX_POOLS];
	struct selector selectors[MAX_POOLS];
	struct object *objects[MAX_SERVICES];
	size_t n_objects;
	uint64_t now_ms, rv, uid;
	unsigned writes;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->a = alloc_new(&hkey, &w->counters);
	if (w->a == NULL)
		abort();
	w->now_ms = 1000000;
	w->conf.load_balancer_classes = (struct config_strings){classes, 1};
	w->conf.classless = true;
	alloc_adopted(w->a, w->now_ms);
}

static void world_free(struct world *w)
{
	alloc_free(w->a);
	for (size_t i = 0; i < w->n_objects; i++)
		free(w->objects[i]);
}

static void set(char out[MAX_TEXT], const char *s, size_t n)
{
	if (n >= MAX_TEXT)
		abort();
	memcpy(out, s, n);
	out[n] = '\0';
}

static struct addr A(const char *text) {
	struct addr a = {0, 0};

	if (addr_parse(text, strlen(text), &a) != 0)
		abort();
	return a;
}

/* -- pools -- */

static void
parse_pool_option(struct world *w, size_t i, const char *o, size_t n)
{
	struct config_pool *p = &w->pools[i];
	struct config_service_allocation *sa = &p->service_allocation;

	if (strncmp(o, "noauto", n) == 0) {
		p->auto_assign = false;
	} else if (strncmp(o, "buggy", n) == 0) {
		p->avoid_buggy_ips = true;
	} else if (strncmp(o, "move", n) == 0) {
		p->reallocate = true;
	} else if (strncmp(o, "metallb", n) == 0) {
		p->dialect = CONFIG_METALLB_CR;
	} else if (strncmp(o, "delay=", 6) == 0) {
		p->reuse_delay_ms = strtoull(o + 6, NULL, 10);
	} else if (strncmp(o, "prio=", 5) == 0) {
		sa->present = true;
		sa->priority = (unsigned)strtoul(o + 5, NULL, 10);
	} else if (strncmp(o, "ns=", 3) == 0) {
		sa->present = true;
		set(w->words[i][0], o + 3, n - 3);
		w->namespaces[i] = w->words[i][0];
		sa->namespaces = (struct config_strings){&w->namespaces[i], 1};
	} else if (strncmp(o, "nssel", n) == 0) {
		sa->present = true;
		sa->namespace_selectors = (struct selectors){&w->selectors[i], 1};
	} else if (strncmp(o, "sel=", 4) == 0) {
		const char *colon = memchr(o, ':', n);

		sa->present = true;
		set(w->words[i][0], o + 4, (size_t)(colon - o) - 4);
		set(w->words[i][1], colon + 1, n - (size_t)(colon - o) - 1);
		w->labels[i] = (struct label){w->words[i][0], w->words[i][1]};
		w->selectors[i] =
			(struct selector){.match_labels = &w->labels[i], .n_match_labels = 1};
		sa->service_selectors = (struct selectors){&w->selectors[i], 1};
	} else {
		abort();
	}
}

static const char *parse_ranges(struct world *w, size_t i, const char *t)
{
	struct config_pool *p = &w->pools[i];

	while (*t != '\0' && *t != ' ' && *t != ';') {
		size_t n = strcspn(t, ",; ");

		if (addr_range_parse(t, n, true, &w->ranges[i][p->n_ranges++]) != ADDR_RANGE_OK)
			abort();
		t += n + (t[n] == ',');
	}
	return t;
}

/* "name=range,range;option;option name=..." */
static void parse_pools(struct world *w, const char *t)
{
	size_t i = 0;

	memset(w->pools, 0, sizeof w->pools);
	while (*t != '\0') {
		struct config_pool *p = &w->pools[i];
		size_t n = strcspn(t, "=");

		set(w->names[i], t, n);
		*p = (struct config_pool){
			.name = w->names[i], .ranges = w->ranges[i], .auto_assign = true};
		t = parse_ranges(w, i, t + n + 1);
		while (*t == ';') {
			n = strcspn(t + 1, "; ");
			parse_pool_option(w, i, t + 1, n);
			t += n + 1;
		}
		while (*t == ' ')
			t++;
		i++;
	}
	w->conf.pools = w->pools;
	w->conf.n_pools = i;
}

static void configure(struct world *w, const char *t)
{
	parse_pools(w, t);
	CHECK_INT(alloc_configure(w->a, &w->conf, w->now_ms), 0);
}

/* -- Services -- */

static size_t find(const struct world *w, const char *key)
{
	size_t i = 0;

	while (i < w->n_objects && strcmp(w->objects[i]->key, key) != 0)
		i++;
	return i;
}

static size_t parse_addrs(const char *t, struct addr *out)
{
	size_t count = 0;

	while (*t != '\0') {
		size_t n = strcspn(t, ",");

		if (addr_parse(t, n, &out[count++]) != 0)
			abort();
		t += n + (t[n] == ',');
	}
	return count;
}

static void parse_ports(struct object *o, const char *t)
{
	o->s.n_ports = 0;
	while (*t != '\0') {
		struct cluster_port *p = &o->ports[o->s.n_ports++];

		p->protocol = *t == 'u' ? CLUSTER_UDP : CLUSTER_TCP;
		p->port = (uint16_t)strtoul(t + 3, NULL, 10);
		t += strcspn(t, ",");
		t += *t == ',';
	}
}

static bool eat(const char *t, const char *prefix, const char **ret_rest)
{
	size_t n = strlen(prefix);

	if (strncmp(t, prefix, n) != 0)
		return false;
	*ret_rest = t + n;
	return true;
}

static void parse_option(struct object *o, const char *t)
{
	struct cluster_service *s = &o->s;
	const char *v;

	if (strcmp(t, "v6") == 0) {
		s->families[0] = ADDR_V6;
	} else if (strcmp(t, "prefer") == 0 || strcmp(t, "prefer64") == 0 ||
		   strcmp(t, "require") == 0 || strcmp(t, "require64") == 0) {
		s->family_policy = t[0] == 'p' ? CLUSTER_PREFER_DUAL : CLUSTER_REQUIRE_DUAL;
		s->families[0] = strstr(t, "64") != NULL ? ADDR_V6 : ADDR_V4;
		s->families[1] = strstr(t, "64") != NULL ? ADDR_V4 : ADDR_V6;
		s->n_families = 2;
	} else if (strcmp(t, "require1") == 0) {
		s->family_policy = CLUSTER_REQUIRE_DUAL;
	} else if (strcmp(t, "prefer1") == 0) {
		s->family_policy = CLUSTER_PREFER_DUAL;
	} else if (strcmp(t, "clusterip") == 0) {
		s->is_load_balancer = false;
	} else if (strcmp(t, "headless") == 0) {
		s->has_cluster_ip = false;
	} else if (strcmp(t, "deleting") == 0) {
		s->deleting = true;
	} else if (strcmp(t, "ignore") == 0) {
		s->request.ignore = true;
	} else if (strcmp(t, "local") == 0) {
		s->local = true;
	} else if (strcmp(t, "hostname") == 0) {
		s->ingress_foreign = true;
	} else if (strcmp(t, "proxymode") == 0) {
		s->ingress_not_vip_mode = true;
	} else if (strcmp(t, "emptied") == 0) {
		s->n_ingress = 0;
	} else if (strcmp(t, "marked") == 0) {
		s->pool_written = "x";
	} else if (eat(t, "ip=", &v)) {
		set(o->field, v, strlen(v));
	} else if (eat(t, "ips=", &v)) {
		set(o->ips, v, strlen(v));
	} else if (eat(t, "pool=", &v)) {
		set(o->pool, v, strlen(v));
	} else if (eat(t, "key=", &v)) {
		set(o->share, v, strlen(v));
	} else if (eat(t, "conflict=", &v)) {
		set(o->conflict, v, strlen(v));
	} else if (eat(t, "app=", &v)) {
		set(o->backend, v, strlen(v));
	} else if (eat(t, "class=", &v)) {
		set(o->class_, v, strlen(v));
	} else if (eat(t, "born=", &v)) {
		s->created_s = strtoll(v, NULL, 10);
	} else if (eat(t, "uid=", &v)) {
		set(o->uid, v, strlen(v));
	} else if (eat(t, "ports=", &v)) {
		parse_ports(o, v);
	} else if (eat(t, "status=", &v)) {
		s->n_ingress = (uint16_t)parse_addrs(v, o->status);
	} else if (eat(t, "label=", &v)) {
		const char *colon = strchr(v, ':');

		set(o->label_key, v, (size_t)(colon - v));
		set(o->label_value, colon + 1, strlen(colon + 1));
		s->labels.n = 1;
	} else {
		printf("bad option %s\n", t);
		abort();
	}
}

/* Points the Service at its object's texts. */
static void bind(struct world *w, struct object *o)
{
	struct cluster_service *s = &o->s;

	snprintf(o->rv, sizeof o->rv, "%llu", (unsigned long long)++w->rv);
	s->key = o->key;
	s->namespace_ = o->ns;
	s->name = o->name;
	s->uid = o->uid;
	s->resource_version = o->rv;
	s->class_ = o->class_[0] != '\0' ? o->class_ : NULL;
	s->load_balancer_ip = o->field[0] != '\0' ? o->field : NULL;
	s->request.ips = o->ips[0] != '\0' ? o->ips : NULL;
	s->request.pool = o->pool[0] != '\0' ? o->pool : NULL;
	s->request.sharing_key = o->share[0] != '\0' ? o->share : NULL;
	s->request.conflict = o->conflict[0] != '\0' ? o->conflict : NULL;
	s->backend_key = o->backend;
	o->label = (struct label){o->label_key, o->label_value};
	s->labels.v = &o->label;
	s->ports = o->ports;
	s->ingress = o->status;
	o->ever_shared = o->ever_shared || o->share[0] != '\0';
}

static void object_name(struct world *w, struct object *o, const char *key)
{
	const char *slash = strchr(key, '/');

	set(o->key, key, strlen(key));
	set(o->ns, key, (size_t)(slash - key));
	set(o->name, slash + 1, strlen(slash + 1));
	snprintf(o->uid, sizeof o->uid, "uid-%06llu", (unsigned long long)++w->uid);
}

/* The plain Service, IPv4, TCP port 80; then what the options say. What the status shows and the
 * identity stay when it was there before. */
static struct object *parse_service(struct world *w, char *t)
{
	char *save = NULL, *key = strtok_r(t, " ", &save), *option;
	size_t i = find(w, key);
	struct object fresh = {.s = {.is_load_balancer = true,
				       .has_cluster_ip = true,
				       .families = {ADDR_V4, ADDR_V4},
				       .n_families = 1,
				       .n_ports = 1},
		.ports = {{CLUSTER_TCP, 80}}};
	struct object *o;

	if (i == w->n_objects) {
		w->objects[i] = calloc(1, sizeof *o);
		if (w->objects[i] == NULL || ++w->n_objects > MAX_SERVICES)
			abort();
		object_name(w, &fresh, key);
	} else {
		o = w->objects[i];
		memcpy(fresh.status, o->status, sizeof o->status);
		fresh.s.n_ingress = o->s.n_ingress;
		fresh.s.ingress_foreign = o->s.ingress_foreign;
		fresh.s.created_s = o->s.created_s;
		fresh.s.pool_written = o->s.pool_written;
		memcpy(fresh.uid, o->uid, sizeof o->uid);
		memcpy(fresh.key, o->key, sizeof o->key);
		memcpy(fresh.ns, o->ns, sizeof o->ns);
		memcpy(fresh.name, o->name, sizeof o->name);
		fresh.ever_shared = o->ever_shared;
	}
	o = w->objects[i];
	*o = fresh;
	while ((option = strtok_r(NULL, " ", &save)) != NULL)
		parse_option(o, option);
	bind(w, o);
	return o;
}

static void put(struct world *w, struct object *o)
{
	CHECK_INT(alloc_put(w->a, &o->s, w->now_ms), 0);
}

static void put_text(struct world *w, const char *text)
{
	char t[256];

	snprintf(t, sizeof t, "%s", text);
	put(w, parse_service(w, t));
}

static void delete (struct world *w, const char *key)
{
	size_t i = find(w, key);

	if (i == w->n_objects)
		abort();
	free(w->objects[i]);
	w->objects[i] = w->objects[--w->n_objects];
	alloc_delete(w->a, key, w->now_ms);
}

/* The API takes a write. */
static void take(struct world *w, struct object *o, const struct alloc_write *wr)
{
	memcpy(o->status, wr->ips, sizeof wr->ips);
	o->s.n_ingress = (uint16_t)wr->n_ips;
	o->s.ingress_foreign = o->s.ingress_not_vip_mode = false;
	o->s.pool_written = wr->n_ips > 0 ? "x" : NULL;
	bind(w, o);
	w->writes++;
}

/* All writes that may be sent now are taken, and shown by the watch. */
static void play(struct world *w)
{
	struct alloc_write wr;

	for (unsigned n = 0; alloc_next_write(w->a, w->now_ms, &wr); n++) {
		size_t i = find(w, wr.key);

		CHECK(n < 1000);
		if (n >= 1000 || i == w->n_objects)
			abort();
		CHECK_STR(wr.resource_version, w->objects[i]->rv);
		CHECK_STR(wr.uid, w->objects[i]->uid);
		CHECK((wr.pool != NULL) == (wr.n_ips > 0));
		take(w, w->objects[i], &wr);
		alloc_write_done(w->a, wr.id, ALLOC_WRITE_OK, w->now_ms);
		put(w, w->objects[i]);
	}
}

static void new_leader(struct world *w)
{
	alloc_begin(w->a);
	for (size_t i = w->n_objects; i > 0; i--)
		put(w, w->objects[i - 1]);
	alloc_adopted(w->a, w->now_ms);
}

/* -- the script -- */

static const char *addrs_text(const struct addr *v, size_t n, char *out, size_t size)
{
	char t[ADDR_STRLEN];

	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s", i > 0 ? "," : "",
			addr_format(v[i], t));
	return out;
}

static void check_detail(const struct alloc_result *r, const char *want)
{
	if (strstr(r->detail, want) != NULL)
		return;
	printf("%s: detail \"%s\" lacks \"%s\"\n", check_row, r->detail, want);
	check_failures++;
}

/* "KEY = ADDRS" or "KEY = REASON TEXT" */
static void expect(struct world *w, const char *key, const char *want)
{
	struct alloc_result r;
	char got[128];
	size_t i = find(w, key), n = strcspn(want, " ");

	play(w);
	if (!alloc_why(w->a, key, &r)) {
		CHECK_STR("unknown", want);
		return;
	}
	if (isdigit((unsigned char)want[0]) || memchr(want, ':', n) != NULL) {
		CHECK_STR(reason_code(r.reason), "allocated");
		CHECK_STR(addrs_text(r.ips, r.n_ips, got, sizeof got), want);
		if (w->objects[i]->s.n_ingress == r.n_ips) /* the order may be an older leader's */
			addrs_text(w->objects[i]->status, r.n_ips, got, sizeof got);
		CHECK_INT(strlen(got), strlen(want));
		CHECK(r.pool != NULL);
		return;
	}
	CHECK_INT(r.n_ips, 0);
	CHECK(strlen(reason_code(r.reason)) == n && strncmp(reason_code(r.reason), want, n) == 0);
	if (strncmp(reason_code(r.reason), want, n) != 0)
		printf("%s: %s is %s (%s), want %s\n", check_row, key, reason_code(r.reason),
			r.detail, want);
	if (want[n] == ' ')
		check_detail(&r, want + n + 1);
}

/* -- the rules that are tried -- */

struct told {
	char text[2048]; /* a line each */
};

static const char *rule_name(enum judge_rule r)
{
	static const char *const name[] = {"served", "families", "request", "pool", "held", "asked",
		"shown", "shared", "former", "free"};

	return name[r];
}

/* "RULE [4|6] [POOL] [ADDR] REASON: WORDS" */
static void step_text(void *ctx, const struct judge_step *s)
{
	struct told *t = ctx;
	char ip[ADDR_STRLEN] = "";
	size_t n;

	if (s->rule == JUDGE_SERVED)
		t->text[0] = '\0';
	if (s->addr != NULL)
		addr_format(*s->addr, ip);
	n = strlen(t->text);
	snprintf(t->text + n, sizeof t->text - n, "%s%s%s%s%s%s %s: %s\n", rule_name(s->rule),
		s->rule < JUDGE_HELD   ? ""
		: s->family == ADDR_V4 ? " 4"
				       : " 6",
		s->pool != NULL ? " " : "", s->pool != NULL ? s->pool : "",
		ip[0] != '\0' ? " " : "", ip, reason_code(s->reason), s->words);
}

static void check_told(struct world *w, const char *key, const char *want)
{
	struct told t = {.text = ""};
	struct judge_trace trace = {step_text, &t};

	CHECK(alloc_explain(w->a, key, &trace, w->now_ms));
	if (strstr(t.text, want) == NULL) {
		printf("%s: %s: no \"%s\" in\n%s", check_row, key, want, t.text);
		check_failures++;
	}
}

/* Of what is decided already: nothing changes by it. */
static void check_told_again(struct world *w, const char *key, const char *want)
{
	struct addr before[2], after[2];
	size_t n = alloc_holding(w->a, key, before);

	check_told(w, key, want);
	CHECK_INT(alloc_holding(w->a, key, after), n);
	CHECK(memcmp(before, after, n * sizeof before[0]) == 0);
}

static void step(struct world *w, const char *text)
{
	char key[MAX_TEXT];
	size_t n = strcspn(text, " ");
	struct alloc_result r;
	const char *v;

	play(w);
	if (eat(text, "pools", &v)) {
		configure(w, *v == ' ' ? v + 1 : v);
	} else if (eat(text, "+ ", &v)) {
		put_text(w, v);
	} else if (eat(text, "api ", &v)) {
		char t[256];

		snprintf(t, sizeof t, "%s", v);
		(void)parse_service(w, t);
	} else if (eat(text, "- ", &v)) {
		delete (w, v);
	} else if (eat(text, "@ ", &v)) {
		w->now_ms += strtoull(v, NULL, 10);
	} else if (strcmp(text, "leader") == 0) {
		new_leader(w);
	} else if (eat(text, "writes ", &v)) {
		CHECK_INT(w->writes, strtoul(v, NULL, 10));
		w->writes = 0;
	} else if (strcmp(text, "only lbd.io/lbd") == 0) {
		w->conf.classless = false;
	} else {
		set(key, text, n);
		if (text[n] == ' ' && text[n + 1] == '=') {
			expect(w, key, text + n + 3);
		} else if (text[n] == ' ' && text[n + 1] == '~') {
			CHECK(alloc_why(w->a, key, &r));
			check_detail(&r, text + n + 3);
		} else if (text[n] == ' ' && text[n + 1] == '?') {
			check_told_again(w, key, text + n + 3);
		} else {
			abort();
		}
	}
	play(w);
}

struct script {
	const char *name;
	const char *step[16];
};

static void run_scripts(const struct script *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct world w;
		struct alloc_result r;
		unsigned results = 0;

		check_row = v[i].name;
		world_init(&w);
		for (size_t j = 0; j < ARRAY_LEN(v[i].step) && v[i].step[j] != NULL; j++)
			step(&w, v[i].step[j]);
		while (alloc_next_result(w.a, &r))
			CHECK(++results <= 2 * MAX_SERVICES);
		world_free(&w);
	}
}

/* -- the tables -- */

/* Each rule says what came of it. */
static void test_explain(void)
{
	static const struct script row[] = {
		{"not ours", {"pools p=10.0.0.1", "+ d/a class=x", "d/a ? served otherClass: the",
				     "+ d/a ignore", "d/a ? served ignored: the Service carries",
				     "+ d/a deleting", "d/a ? served serviceDeleted: "}},
		{"cluster IPs",
			{"pools p=10.0.0.1", "+ d/a headless",
				"d/a ? served allocated: it is for lbd to serve\n"
				"families noClusterIP: the Service has no cluster IP",
				"+ d/a require1", "d/a ? families noClusterIP: ipFamilyPol"}},
		{"nonsense", {"pools p=10.0.0.1", "+ d/a ip=auto",
				     "d/a ? request badRequest: requested address \"auto\""}},
		{"a pool",
			{"pools p=10.0.0.1;ns=web q=10.0.1.1;noauto", "+ d/a pool=r",
				"d/a ? pool r poolUnknown: the requested pool r does not exist\n",
				"+ d/a pool=p", "d/a ? pool p poolNotAdmitted: the requested",
				"+ d/b pool=q", "d/b ? pool q allocated: it is asked for",
				"+ d/c pool=q",
				"d/c ? free 4 p requestConflict: another pool is asked for\n"
				"free 4 q poolExhausted: 1 of 1 in use"}},
		{"it keeps what it has", {"pools p=10.0.0.1", "+ d/a", "d/a = 10.0.0.1",
						 "d/a ? held 4 p 10.0.0.1 allocated: it has this "
						 "one, and keeps it\n"}},
		{"although its pool is gone",
			{"pools p=10.0.0.1", "+ d/a", "d/a = 10.0.0.1", "pools q=10.0.1.1",
				"d/a ? held 4 p 10.0.0.1 allocated: it has this one, and keeps it "
				"although"}},
		{"the address asked for",
			{"pools p=10.0.0.0/24", "+ d/a", "+ d/b ip=10.0.0.0",
				"d/b ? held 4 noIPAllocated: it has none yet\n"
				"asked 4 10.0.0.0 addressInUse: address 10.0.0.0 is used by d/a",
				"+ d/c ip=10.0.0.3", "d/c ? held 4 p 10.0.0.3 allocated"}},
		{"nothing to go by",
			{"pools p=10.0.0.1;noauto q=fd00::1 r=10.0.1.1;ns=web "
			 "s=10.0.2.1;sel=a:b t=10.0.3.1",
				"+ d/x", "+ d/a",
				"d/a ? shown 4 noIPAllocated: its status shows none\n"
				"shared 4 noIPAllocated: it has no sharing key\n"
				"former 4 noIPAllocated: no Service of its name",
				"d/a ? free 4 r poolNotAdmitted: serviceAllocation does "
				"not admit the Service's namespace\n"
				"free 4 s poolNotAdmitted: serviceAllocation's service",
				"d/a ? free 4 p noFittingPool: autoAssign is false",
				"d/a ? free 4 q noFittingPool: it has no IPv4 address\n"
				"free 4 t poolExhausted: 1 of 1 in use\n"}},
		{"no pool",
			{"pools", "+ d/a", "d/a ? free 4 noIPAllocated: no pool is configured\n"}},
		{"of its sharing key",
			{"pools p=10.0.0.1", "+ d/a key=k", "+ d/b key=k",
				"d/b ? shared 4 p 10.0.0.1 sharingRefused: address "
				"10.0.0.1 is used by d/a: port TCP/80 is taken",
				"+ e/c key=l",
				"e/c ? shared 4 noIPAllocated: no other Service of"}},
		{"both families",
			{"pools p=10.0.0.1", "+ d/a prefer", "d/a ? held 4 p 10.0.0.1 all",
				"d/a ? free 6 p noFittingPool: it has no IPv6 address"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

/* A decision that is not made yet is told itself: of a new leader, that begins with what the API
 * shows; after a change. */
static void test_explain_first(void)
{
	static const struct {
		const char *name, *step[6], *last, *want;
	} row[] = {
		{"a free one", {"pools p=10.0.0.1-10.0.0.9", "api d/a"}, "leader",
			"free 4 p 10.0.0.1 allocated: the lowest that nobody has had lately\n"},
		{"what the status shows", {"pools p=10.0.0.1-10.0.0.9", "api d/a status=10.0.0.5"},
			"leader", "held 4 p 10.0.0.5 allocated"},
		{"a status that is of no pool",
			{"pools p=10.0.0.1-10.0.0.9", "api d/a status=192.0.2.1"}, "leader",
			"shown 4 192.0.2.1 requestNotInPool: no pool has it\n"},
		{"a status from before", {"pools p=10.0.0.1-10.0.0.9"}, "d/a status=10.0.0.5",
			"shown 4 p 10.0.0.5 allocated: it may have that one\n"},
		{"another's",
			{"pools p=10.0.0.1-10.0.0.9", "api d/b status=10.0.0.1 born=1",
				"api d/a status=10.0.0.1 born=2"},
			"leader",
			"shown 4 p 10.0.0.1 addressInUse: address 10.0.0.1 is used by d/b"},
		{"of its sharing key",
			{"pools p=10.0.0.1-10.0.0.9", "api d/b status=10.0.0.4 key=k ports=udp53",
				"api d/a key=k"},
			"leader", "shared 4 p 10.0.0.4 allocated: it may have that one\n"},
		{"another address is asked for now", {"pools p=10.0.0.1-10.0.0.9", "+ d/a"},
			"d/a ip=10.0.0.4",
			"held 4 p 10.0.0.1 requestConflict: another address is asked for\n"
			"asked 4 10.0.0.4 allocated: it is asked for, and may be had\n"},
		{"another pool is asked for now", {"pools p=10.0.0.1 q=10.0.1.1", "+ d/a"},
			"d/a pool=q", "held 4 p 10.0.0.1 poolNotAdmitted: another pool is asked"},
		{"a pool lets go", {"pools p=10.0.0.1-10.0.0.9", "+ d/a"},
			"pools p=10.0.0.2-10.0.0.9;move",
			"held 4 p 10.0.0.1 ipNotAllowed: its pool no longer has it"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct world w;
		const char *v;

		check_row = row[i].name;
		world_init(&w);
		for (size_t k = 0; row[i].step[k] != NULL; k++)
			step(&w, row[i].step[k]);
		if (strcmp(row[i].last, "leader") == 0)
			new_leader(&w);
		else if (eat(row[i].last, "pools ", &v))
			configure(&w, v);
		else
			put_text(&w, row[i].last);
		check_told(&w, "d/a", row[i].want);
		world_free(&w);
	}
}

/* A free address that was in use lately. */
static void test_explain_rested(void)
{
	static const struct script row[] = {
		{"its own", {"pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/b", "- d/a",
				    "d/b ? held 4 p 10.0.0.2"}},
	};
	struct world w;
	struct told t = {.text = ""};
	struct judge_trace trace = {step_text, &t};

	run_scripts(row, ARRAY_LEN(row));
	world_init(&w);
	step(&w, "pools p=10.0.0.1");
	step(&w, "+ d/a");
	step(&w, "- d/a");
	step(&w, "@ 5000");
	put_text(&w, "d/b");
	CHECK(alloc_explain(w.a, "d/b", &trace, w.now_ms));
	CHECK(strstr(t.text, "free 4 p 10.0.0.1 allocated: the one that has been free longest, "
			     "for 5 s\n") != NULL);
	play(&w);
	step(&w, "- d/b");
	put_text(&w, "d/b");
	CHECK(alloc_explain(w.a, "d/b", &trace, w.now_ms));
	CHECK(strstr(t.text, "former 4 p 10.0.0.1 allocated: a Service of this name had it") !=
		NULL);
	CHECK(!alloc_explain(w.a, "d/none", &trace, w.now_ms));
	alloc_begin(w.a);
	CHECK(!alloc_explain(w.a, "d/b", &trace, w.now_ms));
	world_free(&w);
}

static void test_look(void)
{
	struct world w;
	struct alloc_address l;

	world_init(&w);
	step(&w, "pools p=10.0.0.1-10.0.0.2");
	CHECK_INT(alloc_look(w.a, A("10.0.0.1")).place, ALLOC_UNUSED);
	CHECK_INT(alloc_look(w.a, A("10.0.1.1")).place, ALLOC_IN_NO_POOL);
	step(&w, "+ d/a");
	l = alloc_look(w.a, A("10.0.0.1"));
	CHECK_INT(l.place, ALLOC_HELD);
	CHECK_STR(l.user, "d/a");
	CHECK_STR(l.pool, "p");
	step(&w, "- d/a");
	l = alloc_look(w.a, A("10.0.0.1"));
	CHECK_INT(l.place, ALLOC_RESTING);
	CHECK(l.user == NULL && l.freed_ms == w.now_ms);
	step(&w, "+ d/a");
	put_text(&w, "d/a ip=10.0.0.2");
	CHECK(alloc_explain(
		w.a, "d/a", &(struct judge_trace){step_text, &(struct told){""}}, w.now_ms));
	l = alloc_look(w.a, A("10.0.0.1"));
	CHECK_INT(l.place, ALLOC_GUARDED);
	CHECK_STR(l.user, "d/a");
	world_free(&w);
}

static void test_choice(void)
{
	static const struct script row[] = {
		{"lowest first", {"pools lan=10.0.0.5-10.0.0.9", "+ d/a", "+ d/b", "d/a = 10.0.0.5",
					 "d/b = 10.0.0.6", "writes 2"}},
		{"ranges in the file's order",
			{"pools lan=10.0.9.1,10.0.0.1-10.0.0.2", "+ d/a", "+ d/b", "d/a = 10.0.9.1",
				"d/b = 10.0.0.1"}},
		{"pools in the file's order", {"pools z=10.0.1.1 a=10.0.0.1", "+ d/a", "+ d/b",
						      "d/a = 10.0.1.1", "d/b = 10.0.0.1"}},
		{"priority before the file's order",
			{"pools p=10.0.0.1 q=10.0.1.1;prio=20 r=10.0.2.1;prio=10", "+ d/a", "+ d/b",
				"+ d/c", "d/a = 10.0.2.1", "d/b = 10.0.1.1", "d/c = 10.0.0.1"}},
		{"priority 0 is last of those with one",
			{"pools p=10.0.0.1 q=10.0.1.1;prio=0 r=10.0.2.1;prio=99", "+ d/a", "+ d/b",
				"+ d/c", "d/a = 10.0.2.1", "d/b = 10.0.1.1", "d/c = 10.0.0.1"}},
		{"equal priority, the file's order",
			{"pools q=10.0.1.1;prio=5 r=10.0.0.1;prio=5", "+ d/a", "d/a = 10.0.1.1"}},
		{"no automatic assignment",
			{"pools p=10.0.0.1;noauto q=10.0.1.1", "+ d/a", "+ d/b", "d/a = 10.0.1.1",
				"d/b = poolExhausted every IPv4 address"}},
		{"only without automatic assignment",
			{"pools p=10.0.0.1;noauto", "+ d/a", "d/a = noFittingPool IPv4"}},
		{"no pool at all", {"pools", "+ d/a", "d/a = noPool"}},
		{"exhausted, then released",
			{"pools p=10.0.0.1", "+ d/a", "+ d/b", "+ d/c", "d/b = poolExhausted",
				"- d/a", "d/b = 10.0.0.1", "d/c = poolExhausted"}},
		{"those that wait go before those that come",
			{"pools p=10.0.0.1", "+ d/a", "+ d/b", "- d/a", "+ d/c", "d/b = 10.0.0.1",
				"d/c = poolExhausted"}},
		{"buggy addresses are skipped",
			{"pools p=10.0.0.254-10.0.1.1;buggy", "+ d/a", "+ d/b", "+ d/c",
				"d/a = 10.0.0.254", "d/b = 10.0.1.1", "d/c = poolExhausted"}},
		/* MetalLB's poolFor() does not find them. */
		{"buggy addresses may not even be asked for",
			{"pools p=10.0.0.254-10.0.1.1;buggy", "+ d/a ip=10.0.0.255",
				"d/a = requestNotInPool pool p leaves out the requested address "
				"10.0.0.255: avoidBuggyIPs",
				"+ d/b", "+ d/c", "+ d/e", "d/b = 10.0.0.254", "d/c = 10.0.1.1",
				"d/e = poolExhausted"}},
		{"a buggy address that is had stays",
			{"pools p=10.0.0.254-10.0.1.1", "+ d/a ip=10.0.0.255",
				"pools p=10.0.0.254-10.0.1.1;buggy", "d/a = 10.0.0.255",
				"d/a ~ is kept although avoidBuggyIPs leaves it out of pool p"}},
		{"a buggy address that is had is taken away, MetalLB",
			{"pools p=10.0.0.254-10.0.1.1;metallb", "+ d/a ip=10.0.0.255", "+ d/b",
				"+ d/c", "d/c = 10.0.1.0",
				"pools p=10.0.0.254-10.0.1.1;metallb;buggy",
				"d/a = requestNotInPool", "d/b = 10.0.0.254", "d/c = 10.0.1.1"}},
		{"a buggy address does not come back with the name",
			{"pools p=10.0.0.255-10.0.1.1", "+ d/a", "d/a = 10.0.0.255", "- d/a",
				"pools p=10.0.0.255-10.0.1.1;buggy", "+ d/a", "d/a = 10.0.1.1"}},
		{"a buggy address is not shared",
			{"pools p=10.0.0.255-10.0.1.2", "+ d/a key=k ports=tcp80",
				"d/a = 10.0.0.255", "pools p=10.0.0.255-10.0.1.2;buggy",
				"+ d/b key=k ports=tcp81", "d/b = 10.0.1.1"}},
		{"buggy is of IPv4 only", {"pools p=fd00::ff-fd00::100;buggy", "+ d/a v6",
						  "+ d/b v6", "d/a = fd00::ff", "d/b = fd00::100"}},
		{"a pool of buggy ones only",
			{"pools p=10.0.0.255;buggy", "+ d/a", "d/a = noFittingPool"}},
		{"namespaces", {"pools p=10.0.0.1-10.0.0.9;ns=web q=10.0.1.1-10.0.1.9", "+ web/a",
				       "+ d/b", "web/a = 10.0.0.1", "d/b = 10.0.1.1"}},
		{"service selectors",
			{"pools p=10.0.0.1-10.0.0.9;sel=tier:front q=10.0.1.1-10.0.1.9",
				"+ d/a label=tier:front", "+ d/b label=tier:back", "+ d/c",
				"d/a = 10.0.0.1", "d/b = 10.0.1.1", "d/c = 10.0.1.2"}},
		{"not for this namespace",
			{"pools p=10.0.0.1;ns=web", "+ d/a", "d/a = noFittingPool"}},
		{"namespace selectors wait for the labels",
			{"pools p=10.0.0.1;nssel", "+ d/a", "d/a = namespaceUnknown"}},
		{"namespace selectors beside names",
			{"pools p=10.0.0.1;nssel;ns=d", "+ d/a", "d/a = 10.0.0.1"}},
		{"an IPv6 Service, no IPv6 pool",
			{"pools p=10.0.0.1", "+ d/a v6", "d/a = noFittingPool IPv6"}},
		{"never-used first, then the least recently released",
			{"pools p=10.0.0.1-10.0.0.3", "+ d/a", "+ d/b", "- d/b", "- d/a", "+ d/c",
				"+ d/e", "+ d/f", "d/c = 10.0.0.3", "d/e = 10.0.0.2",
				"d/f = 10.0.0.1"}},
		{"a Service created again gets its address back",
			{"pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/b", "- d/a", "+ d/c", "+ d/a",
				"d/a = 10.0.0.1", "d/c = 10.0.0.3"}},
		{"unless somebody has it", {"pools p=10.0.0.1-10.0.0.9", "+ d/a", "- d/a",
						   "+ d/b ip=10.0.0.1", "+ d/a", "d/a = 10.0.0.2"}},
		{"created again between two looks",
			{"pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/b",
				"+ d/a uid=other status=", "d/a = 10.0.0.1", "d/b = 10.0.0.2"}},
		{"another namespace is another Service",
			{"pools p=10.0.0.1-10.0.0.9", "+ d/a", "- d/a", "+ e/a", "e/a = 10.0.0.2"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

static void test_reuse_delay(void)
{
	static const struct script row[] = {
		{"an otherwise full pool gives it at once",
			{"pools p=10.0.0.1;delay=60000", "+ d/a", "- d/a", "+ d/b",
				"d/b = 10.0.0.1"}},
		{"a pool beside it is preferred",
			{"pools p=10.0.0.1;delay=60000 q=10.0.1.1", "+ d/a", "- d/a", "+ d/b",
				"d/b = 10.0.1.1"}},
		{"until the delay is over", {"pools p=10.0.0.1;delay=60000 q=10.0.1.1", "+ d/a",
						    "- d/a", "@ 60000", "+ d/b", "d/b = 10.0.0.1"}},
		{"it never overrules priority",
			{"pools p=10.0.0.1;delay=60000;prio=1 q=10.0.1.1", "+ d/a", "- d/a",
				"+ d/b", "d/b = 10.0.0.1"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

static void test_asking(void)
{
	static const struct script row[] = {
		{"an address", {"pools p=10.0.0.0/24", "+ d/a ip=10.0.0.7", "d/a = 10.0.0.7"}},
		{"by annotation",
			{"pools p=10.0.0.0/24;noauto", "+ d/a ips=10.0.0.7", "d/a = 10.0.0.7"}},
		{"in no pool", {"pools p=10.0.0.0/24", "+ d/a ip=10.0.1.7",
				       "d/a = requestNotInPool 10.0.1.7 is in no pool"}},
		{"not admitted", {"pools p=10.0.0.0/24;ns=web", "+ d/a ip=10.0.0.7",
					 "d/a = poolNotAdmitted pool p"}},
		{"in use", {"pools p=10.0.0.0/24", "+ d/a", "+ d/b ip=10.0.0.0",
				   "d/b = addressInUse address 10.0.0.0 is used by d/a:",
				   "d/b ~ this Service has no sharing key", "- d/a",
				   "d/b = 10.0.0.0"}},
		{"other family", {"pools p=10.0.0.0/24,fd00::/64", "+ d/a ip=fd00::7",
					 "d/a = familyMismatch fd00::7 is IPv6"}},
		{"nonsense", {"pools p=10.0.0.0/24", "+ d/a ip=auto", "d/a = badRequest auto"}},
		{"two that differ", {"pools p=10.0.0.0/24", "+ d/a ip=10.0.0.1 ips=10.0.0.2",
					    "d/a = requestConflict 10.0.0.2"}},
		{"two annotations that differ", {"pools p=10.0.0.0/24", "+ d/a conflict=A-and-B",
							"d/a = requestConflict A-and-B"}},
		{"a pool", {"pools p=10.0.0.1 q=10.0.1.1;noauto", "+ d/a pool=q", "d/a = 10.0.1.1",
				   "+ d/b pool=q", "d/b = poolExhausted requested pool q"}},
		{"a pool that is not there",
			{"pools p=10.0.0.1", "+ d/a pool=q",
				"d/a = poolUnknown requested pool q does not exist",
				"pools p=10.0.0.1 q=10.0.1.1", "d/a = 10.0.1.1"}},
		{"a pool that does not admit", {"pools p=10.0.0.1;ns=web", "+ d/a pool=p",
						       "d/a = poolNotAdmitted pool p"}},
		{"a pool without the family",
			{"pools p=10.0.0.1 q=fd00::1", "+ d/a pool=q", "d/a = noFittingPool IPv4"}},
		{"an address of another pool",
			{"pools p=10.0.0.1 q=10.0.1.1", "+ d/a pool=q ip=10.0.0.1",
				"d/a = requestConflict pool p"}},
		{"address and pool that agree",
			{"pools p=10.0.0.1 q=10.0.1.1", "+ d/a pool=q ip=10.0.1.1",
				"d/a = 10.0.1.1"}},
		{"a wish that changes", {"pools p=10.0.0.0/24", "+ d/a", "d/a = 10.0.0.0",
						"+ d/a ip=10.0.0.9", "d/a = 10.0.0.9", "+ d/a",
						"d/a = 10.0.0.9", "+ d/b", "d/b = 10.0.0.1"}},
		{"a wish for another pool",
			{"pools p=10.0.0.1 q=10.0.1.1", "+ d/a", "d/a = 10.0.0.1", "+ d/a pool=q",
				"d/a = 10.0.1.1", "+ d/a pool=p", "d/a = 10.0.0.1"}},
		{"a wish that cannot be had takes what was held",
			{"pools p=10.0.0.0/24", "+ d/a", "+ d/b", "d/b = 10.0.0.1",
				"+ d/b ip=10.0.0.0", "d/b = addressInUse", "+ d/c",
				"d/c = 10.0.0.2"}},
		{"two change places",
			{"pools p=10.0.0.0/24", "+ d/a", "+ d/b", "+ d/a ip=10.0.0.1",
				"+ d/b ip=10.0.0.0", "d/a = 10.0.0.1", "d/b = 10.0.0.0"}},
		{"a plain Service is not moved by what another asks for",
			{"pools p=10.0.0.0/24", "+ d/a", "+ d/b ip=10.0.0.0", "d/a = 10.0.0.0"}},
		{"no cluster IP", {"pools p=10.0.0.0/24", "+ d/a headless", "d/a = noClusterIP",
					  "+ d/a", "d/a = 10.0.0.0"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

/* Bad input does not cost what works: the address stays, the reason says what is wrong. */
static void test_nonsense_keeps(void)
{
	static const char *const edit[] = {
		"d/a ip=auto", "d/a ip=10.0.0.1 ips=10.0.0.2", "d/a conflict=A-and-B"};
	struct addr ips[2];

	for (size_t i = 0; i < ARRAY_LEN(edit); i++) {
		struct world w;
		struct alloc_result r;

		check_row = edit[i];
		world_init(&w);
		step(&w, "pools p=10.0.0.5-10.0.0.9");
		step(&w, "+ d/a");
		step(&w, "writes 1");
		put_text(&w, edit[i]);
		play(&w);
		CHECK(alloc_why(w.a, "d/a", &r));
		CHECK(r.reason != REASON_ALLOCATED && r.detail[0] != '\0');
		CHECK_INT(alloc_holding(w.a, "d/a", ips), 1);
		step(&w, "writes 0");
		step(&w, "+ d/a");
		step(&w, "d/a = 10.0.0.5");
		world_free(&w);
	}
}

static void test_sharing(void)
{
	static const struct script row[] = {
		{"joins the address of its key",
			{"pools p=10.0.0.0/24", "+ d/x", "+ d/a key=k", "+ d/b key=k ports=udp80",
				"d/a = 10.0.0.1", "d/b = 10.0.0.1"}},
		{"not with the same port",
			{"pools p=10.0.0.0/24", "+ d/a key=k", "+ d/b key=k", "d/b = 10.0.0.1",
				"+ d/c key=k ports=tcp443", "d/c = 10.0.0.0"}},
		{"not with another key", {"pools p=10.0.0.0/24", "+ d/a key=k",
						 "+ d/b key=l ports=tcp443", "d/b = 10.0.0.1"}},
		{"asked for: other key",
			{"pools p=10.0.0.0/24", "+ d/a key=k",
				"+ d/b key=l ports=tcp443 ip=10.0.0.0",
				"d/b = sharingRefused address 10.0.0.0 is used by d/a: the sharing "
				"keys differ"}},
		{"asked for: port taken", {"pools p=10.0.0.0/24", "+ default/web key=k",
						  "+ d/b key=k ports=udp53,tcp80 ip=10.0.0.0",
						  "d/b = sharingRefused address 10.0.0.0 is used "
						  "by default/web: port "
						  "TCP/80 is taken there"}},
		{"asked for: the other has no key",
			{"pools p=10.0.0.0/24", "+ d/a", "+ d/b key=k ports=udp53 ip=10.0.0.0",
				"d/b = addressInUse d/a has no sharing key"}},
		{"asked for: policies differ",
			{"pools p=10.0.0.0/24", "+ d/a key=k app=x",
				"+ d/b key=k ports=udp53 local app=x ip=10.0.0.0",
				"d/b = sharingRefused externalTrafficPolicy"}},
		{"asked for: Local with the same pods",
			{"pools p=10.0.0.0/24", "+ d/a key=k local app=x",
				"+ d/b key=k ports=udp53 local app=x ip=10.0.0.0",
				"d/b = 10.0.0.0"}},
		{"the third is checked against each",
			{"pools p=10.0.0.0/24", "+ d/a key=k", "+ d/b key=k ports=tcp81",
				"+ d/c key=k ports=tcp81 ip=10.0.0.0",
				"d/c = sharingRefused d/b: port TCP/81", "- d/a",
				"d/c = sharingRefused d/b", "- d/b", "d/c = 10.0.0.0"}},
		{"the address is free after the last",
			{"pools p=10.0.0.1", "+ d/a key=k", "+ d/b key=k ports=tcp81", "+ d/c",
				"- d/a", "d/c = poolExhausted", "d/b = 10.0.0.1", "- d/b",
				"d/c = 10.0.0.1"}},
		{"one that loses its key leaves",
			{"pools p=10.0.0.0/24", "+ d/a key=k", "+ d/b key=k ports=tcp81",
				"+ d/b ports=tcp81", "d/b = 10.0.0.1", "d/a = 10.0.0.0"}},
		{"the only one may change its key",
			{"pools p=10.0.0.0/24", "+ d/a key=k", "+ d/a key=l", "d/a = 10.0.0.0",
				"+ d/b key=l ports=tcp81", "d/b = 10.0.0.0"}},
		{"a port that comes later",
			{"pools p=10.0.0.0/24", "+ d/a key=k", "+ d/b key=k ports=tcp81",
				"+ d/b key=k ports=tcp81,tcp80", "d/b = 10.0.0.1",
				"d/a = 10.0.0.0"}},
		{"of several, the lowest of the first pool",
			{"pools p=10.0.0.1-10.0.0.9 q=10.0.1.1", "+ d/a key=k ip=10.0.1.1",
				"+ d/b key=k ip=10.0.0.5", "+ d/c key=k ip=10.0.0.3",
				"+ d/e key=k ports=udp53", "d/e = 10.0.0.3"}},
		{"not where it may not be", {"pools p=10.0.0.1;ns=web q=10.0.1.1", "+ web/a key=k",
						    "+ d/b key=k ports=udp53", "d/b = 10.0.1.1"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

static void test_dual_stack(void)
{
	static const struct script row[] = {
		{"single", {"pools p=10.0.0.1,fd00::1", "+ d/a", "d/a = 10.0.0.1"}},
		{"single IPv6", {"pools p=10.0.0.1,fd00::1", "+ d/a v6", "d/a = fd00::1"}},
		{"prefer", {"pools p=10.0.0.1,fd00::1", "+ d/a prefer", "d/a = 10.0.0.1,fd00::1"}},
		{"the order is the Service's",
			{"pools p=10.0.0.1,fd00::1", "+ d/a prefer64", "d/a = fd00::1,10.0.0.1"}},
		{"prefer on a cluster of one family",
			{"pools p=10.0.0.1,fd00::1", "+ d/a prefer1", "d/a = 10.0.0.1"}},
		{"prefer takes what there is",
			{"pools p=10.0.0.1", "+ d/a prefer64", "d/a = 10.0.0.1",
				"d/a ~ no pool with automatic assignment and IPv6"}},
		{"and the rest when it comes",
			{"pools p=10.0.0.1", "+ d/a prefer", "d/a = 10.0.0.1",
				"pools p=10.0.0.1,fd00::1", "d/a = 10.0.0.1,fd00::1"}},
		{"or when it is released",
			{"pools p=10.0.0.1,10.0.0.2,fd00::1", "+ d/x v6", "+ d/a prefer",
				"d/a = 10.0.0.1", "- d/x", "d/a = 10.0.0.1,fd00::1"}},
		{"require",
			{"pools p=10.0.0.1,fd00::1", "+ d/a require64", "d/a = fd00::1,10.0.0.1"}},
		{"require refuses half", {"pools p=10.0.0.1", "+ d/a require", "+ d/b",
						 "d/a = noFittingPool IPv6", "d/b = 10.0.0.1"}},
		{"require waits for both",
			{"pools p=10.0.0.1,fd00::1", "+ d/x v6", "+ d/a require",
				"d/a = poolExhausted", "- d/x", "d/a = 10.0.0.1,fd00::1"}},
		{"require with one family", {"pools p=10.0.0.1,fd00::1", "+ d/a require1",
						    "d/a = noClusterIP RequireDualStack"}},
		{"from two pools",
			{"pools p=10.0.0.1 q=fd00::1", "+ d/a require", "d/a = 10.0.0.1,fd00::1"}},
		{"two asked for",
			{"pools p=10.0.0.0/24 q=fd00::/64", "+ d/a require ips=fd00::5,10.0.0.5",
				"d/a = 10.0.0.5,fd00::5"}},
		{"one asked for, the other found",
			{"pools p=10.0.0.0/24,fd00::/64", "+ d/a prefer ip=10.0.0.5",
				"d/a = 10.0.0.5,fd00::"}},
		{"prefer, but what is asked for is in use",
			{"pools p=10.0.0.0/24,fd00::/64", "+ d/x", "+ d/a prefer ip=10.0.0.0",
				"d/a = addressInUse d/x"}},
		{"both shared with the key",
			{"pools p=10.0.0.0/24,fd00::/64", "+ d/a require key=k",
				"+ d/b prefer key=k ports=udp53", "d/b = 10.0.0.0,fd00::"}},
		{"becomes single", {"pools p=10.0.0.1,fd00::1", "+ d/a require", "+ d/a",
					   "d/a = 10.0.0.1", "+ d/b v6", "d/b = fd00::1"}},
		{"becomes dual", {"pools p=10.0.0.1,fd00::1", "+ d/a v6", "+ d/a require",
					 "d/a = 10.0.0.1,fd00::1"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

static void test_not_served(void)
{
	static const struct script row[] = {
		{"never ours, not kept", {"pools p=10.0.0.1", "+ d/a clusterip", "d/a = unknown"}},
		{"type change frees and clears",
			{"pools p=10.0.0.1", "+ d/a", "+ d/b", "+ d/a clusterip",
				"d/a = notLoadBalancer", "d/b = 10.0.0.1", "writes 3"}},
		{"type change whose status the API server empties: the annotation goes, once",
			{"pools p=10.0.0.1", "+ d/a", "+ d/a clusterip emptied", "writes 2",
				"+ d/a clusterip", "+ d/a clusterip label=x:y", "writes 0"}},
		{"and back", {"pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/a clusterip", "+ d/b",
				     "+ d/a", "d/a = 10.0.0.1", "d/b = 10.0.0.2"}},
		{"ignored",
			{"pools p=10.0.0.1", "+ d/a", "+ d/a ignore", "d/a = ignored", "writes 2"}},
		{"class change", {"pools p=10.0.0.1", "+ d/a class=lbd.io/lbd", "d/a = 10.0.0.1",
					 "+ d/a class=x/y", "d/a = otherClass", "writes 2"}},
		{"classless no longer", {"pools p=10.0.0.1", "+ d/a", "writes 1", "only lbd.io/lbd",
						"pools p=10.0.0.1", "d/a = classless", "writes 1"}},
		{"deleting", {"pools p=10.0.0.1", "+ d/a", "+ d/b", "+ d/a deleting",
				     "d/a = serviceDeleted", "d/b = 10.0.0.1"}},
		{"another load balancer's is left alone",
			{"pools p=10.0.0.1", "+ d/a class=x/y status=192.168.0.1",
				"+ d/b class=x/y status=10.0.0.1", "+ d/c ignore status=10.0.0.1",
				"writes 0"}},
		{"one that a leader before us wrote is cleared",
			{"pools p=10.0.0.1", "+ d/a class=x/y status=10.0.0.1 marked", "writes 1"}},
		{"not a load balancer, but shows one of ours",
			{"pools p=10.0.0.1", "+ d/a clusterip status=10.0.0.1", "writes 1"}},
		{"not a load balancer, and shows a foreign one",
			{"pools p=10.0.0.1", "+ d/a clusterip status=192.168.0.1", "writes 0"}},
		{"without any pool nothing is ours",
			{"pools", "+ d/a status=192.168.0.1", "d/a = noPool", "writes 0"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

static void test_configuration(void)
{
	static const struct script row[] = {
		{"an address that leaves its pool stays",
			{"pools p=10.0.0.1-10.0.0.9", "+ d/a", "writes 1",
				"pools p=10.0.0.5-10.0.0.9", "d/a = 10.0.0.1",
				"d/a ~ 10.0.0.1 is kept although the configuration",
				"d/a ~ no longer has it in pool p", "writes 0"}},
		{"and is nobody else's",
			{"pools p=10.0.0.1-10.0.0.2", "+ d/a", "pools p=10.0.0.2",
				"+ d/b ip=10.0.0.1", "d/b = requestNotInPool", "- d/a",
				"pools p=10.0.0.1-10.0.0.2", "d/b = 10.0.0.1"}},
		{"a pool that goes altogether",
			{"pools p=10.0.0.1", "+ d/a", "pools q=10.0.1.1", "d/a = 10.0.0.1", "- d/a",
				"+ d/a", "d/a = 10.0.1.1"}},
		{"all pools go", {"pools p=10.0.0.1", "+ d/a", "pools", "d/a = 10.0.0.1"}},
		{"reallocate",
			{"pools p=10.0.0.1-10.0.0.9", "+ d/a", "pools p=10.0.0.5-10.0.0.9;move",
				"d/a = 10.0.0.5", "writes 2"}},
		{"a pool of MetalLB's",
			{"pools p=10.0.0.1-10.0.0.9;metallb", "+ d/a",
				"pools p=10.0.0.5-10.0.0.9;metallb", "d/a = 10.0.0.5"}},
		{"a pool of MetalLB's that goes",
			{"pools p=10.0.0.1;metallb", "+ d/a", "pools q=10.0.1.1;metallb",
				"d/a = 10.0.1.1"}},
		{"moved away, nothing left",
			{"pools p=10.0.0.1;metallb", "+ d/a", "pools q=10.0.1.1;metallb;noauto",
				"d/a = noFittingPool", "writes 2"}},
		{"a pool that is renamed", {"pools p=10.0.0.1", "+ d/a", "pools q=10.0.0.1",
						   "d/a = 10.0.0.1", "writes 1"}},
		{"a pool that grows helps those that wait",
			{"pools p=10.0.0.1", "+ d/a", "+ d/b", "d/b = poolExhausted",
				"pools p=10.0.0.1-10.0.0.2", "d/b = 10.0.0.2"}},
		{"a pool that shrinks and grows again",
			{"pools p=10.0.0.1-10.0.0.2", "+ d/a", "pools p=10.0.0.2", "+ d/b",
				"pools p=10.0.0.1-10.0.0.2", "+ d/c", "d/c = poolExhausted",
				"d/a = 10.0.0.1", "d/b = 10.0.0.2"}},
		{"a pool that no longer admits keeps whom it has",
			{"pools p=10.0.0.1", "+ d/a", "pools p=10.0.0.1;ns=web", "d/a = 10.0.0.1",
				"d/a ~ no longer admitted by pool p", "- d/a", "+ d/a",
				"d/a = noFittingPool"}},
		{"a pool of MetalLB's that no longer admits does not",
			{"pools p=10.0.0.1;metallb", "+ d/a", "pools p=10.0.0.1;ns=web;metallb",
				"d/a = noFittingPool"}},
		{"the pool asked for goes",
			{"pools p=10.0.0.1 q=10.0.1.1", "+ d/a pool=q", "pools p=10.0.0.1",
				"d/a = 10.0.1.1", "d/a ~ kept although", "- d/a", "+ d/a pool=q",
				"d/a = poolUnknown"}},
		{"the address asked for goes",
			{"pools p=10.0.0.1-10.0.0.2", "+ d/a ip=10.0.0.1", "pools p=10.0.0.2",
				"d/a = 10.0.0.1", "+ d/a ip=10.0.0.2", "d/a = 10.0.0.2"}},
		{"a released one outside of the pools is forgotten",
			{"pools p=10.0.0.1-10.0.0.2", "+ d/a", "- d/a", "pools p=10.0.0.2", "+ d/a",
				"d/a = 10.0.0.2", "pools p=10.0.0.1-10.0.0.2", "+ d/b",
				"d/b = 10.0.0.1"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

static void test_adoption(void)
{
	static const struct script row[] = {
		{"what is lawful stays, unwritten",
			{"pools p=10.0.0.0/24", "+ d/a", "+ d/b", "+ d/c ip=10.0.0.9", "- d/a",
				"writes 3", "leader", "d/b = 10.0.0.1", "d/c = 10.0.0.9",
				"writes 0"}},
		{"adopted before anything is given",
			{"pools p=10.0.0.1-10.0.0.9", "api d/new born=1",
				"api d/old born=9 status=10.0.0.1", "leader", "d/old = 10.0.0.1",
				"d/new = 10.0.0.2"}},
		{"a doubled one: the elder keeps",
			{"pools p=10.0.0.1-10.0.0.9", "api d/a born=20 status=10.0.0.1",
				"api d/b born=10 status=10.0.0.1", "leader", "d/b = 10.0.0.1",
				"d/a = 10.0.0.2", "d/a ~ 10.0.0.1 was also in the status of d/b",
				"d/b ~ 10.0.0.1 was also in the status of d/a", "writes 1"}},
		{"unknown age is youngest", {"pools p=10.0.0.1-10.0.0.9", "api d/a status=10.0.0.1",
						    "api d/b born=10 status=10.0.0.1", "leader",
						    "d/b = 10.0.0.1", "d/a = 10.0.0.2"}},
		{"shared lawfully", {"pools p=10.0.0.0/24", "+ d/a key=k",
					    "+ d/b key=k ports=udp53", "writes 2", "leader",
					    "d/a = 10.0.0.0", "d/b = 10.0.0.0", "writes 0"}},
		{"an address in no pool is replaced (CVE-2020-8554)",
			{"pools p=10.0.0.1", "+ d/a status=8.8.8.8", "d/a = 10.0.0.1", "writes 1"}},
		{"and by a new leader, too", {"pools p=10.0.0.1", "api d/a status=8.8.8.8",
						     "leader", "d/a = 10.0.0.1", "writes 1"}},
		{"and taken away where none can be had",
			{"pools p=10.0.0.1", "+ d/a", "+ d/b status=8.8.8.8", "d/b = poolExhausted",
				"writes 2"}},
		{"one lawful and one not",
			{"pools p=10.0.0.1-10.0.0.9", "+ d/a status=8.8.8.8,10.0.0.5",
				"d/a = 10.0.0.5", "writes 1"}},
		{"two of a family: one stays",
			{"pools p=10.0.0.1-10.0.0.9", "api d/a status=10.0.0.6,10.0.0.5", "leader",
				"d/a = 10.0.0.6", "writes 1"}},
		{"not what it asks for",
			{"pools p=10.0.0.1-10.0.0.9", "api d/a status=10.0.0.6 ip=10.0.0.7",
				"leader", "d/a = 10.0.0.7", "writes 1"}},
		{"the other order is as good",
			{"pools p=10.0.0.1,fd00::1", "api d/a prefer64 status=10.0.0.1,fd00::1",
				"leader", "d/a = fd00::1,10.0.0.1", "writes 0"}},
		{"a host name beside it is removed",
			{"pools p=10.0.0.1", "+ d/a hostname", "d/a = 10.0.0.1", "writes 1"}},
		{"ipMode Proxy is corrected",
			{"pools p=10.0.0.1", "+ d/a proxymode status=10.0.0.1", "d/a = 10.0.0.1",
				"writes 1"}},
		{"a kept one is not known to the next leader",
			{"pools p=10.0.0.1-10.0.0.2", "+ d/a", "pools p=10.0.0.2", "d/a = 10.0.0.1",
				"leader", "d/a = 10.0.0.2"}},
		{"a forged status of a new Service: only where it could get it",
			{"pools p=10.0.0.1;noauto q=10.0.1.1-10.0.1.9", "+ d/a status=10.0.0.1",
				"+ d/b status=10.0.1.5", "d/a = 10.0.1.1", "d/b = 10.0.1.5"}},
	};

	run_scripts(row, ARRAY_LEN(row));
}

/* -- results: once a change -- */

static unsigned drain(struct world *w, struct alloc_result *ret_last)
{
	unsigned n = 0;

	while (alloc_next_result(w->a, ret_last))
		n++;
	return n;
}

static void test_results_once(void)
{
	struct alloc_result r;
	struct world w;

	world_init(&w);
	step(&w, "pools p=10.0.0.1");
	step(&w, "+ d/a");
	CHECK_INT(drain(&w, &r), 1);
	CHECK_STR(r.key, "d/a");
	CHECK_STR(r.namespace_, "d");
	CHECK_STR(r.name, "a");
	CHECK_STR(r.pool, "p");
	CHECK(r.reason == REASON_ALLOCATED && r.n_ips == 1 && !r.cleared && r.detail[0] == '\0');
	CHECK(addr_eq(r.ips[0], A("10.0.0.1")));
	step(&w, "+ d/a");
	step(&w, "+ d/a label=x:y");
	CHECK_INT(drain(&w, &r), 0);
	step(&w, "+ d/b");
	CHECK_INT(drain(&w, &r), 1);
	CHECK(r.reason == REASON_POOL_EXHAUSTED && r.n_ips == 0 && r.pool == NULL);
	step(&w, "+ d/b");
	step(&w, "pools p=10.0.0.1");
	CHECK_INT(drain(&w, &r), 0);
	step(&w, "+ d/b ip=10.0.0.1");
	CHECK_INT(drain(&w, &r), 1);
	CHECK(r.reason == REASON_IN_USE);
	step(&w, "- d/a");
	CHECK_INT(drain(&w, &r), 1);
	CHECK(r.reason == REASON_ALLOCATED && !r.cleared);
	step(&w, "+ d/c clusterip");
	step(&w, "+ d/e class=x/y");
	step(&w, "+ d/f ignore");
	CHECK_INT(drain(&w, &r), 0);
	step(&w, "+ d/b clusterip");
	CHECK_INT(drain(&w, &r), 1);
	CHECK(r.reason == REASON_NOT_LOAD_BALANCER && r.cleared);
	CHECK_INT(drain(&w, &r), 0);
	CHECK_INT(w.counters.v[COUNTER_ALLOCATIONS], 2);
	CHECK_INT(w.counters.v[COUNTER_ALLOC_REFUSED], 2);
	CHECK_INT(w.counters.v[COUNTER_ALLOC_RELEASED], 2);
	world_free(&w);
}

static void test_results_cleared(void)
{
	struct alloc_result r;
	struct world w;

	world_init(&w);
	step(&w, "pools p=10.0.0.1;metallb");
	step(&w, "+ d/a");
	CHECK_INT(drain(&w, &r), 1);
	step(&w, "pools p=10.0.0.5;metallb");
	CHECK_INT(drain(&w, &r), 1);
	CHECK(r.cleared && r.reason == REASON_ALLOCATED && addr_eq(r.ips[0], A("10.0.0.5")));
	step(&w, "pools p=10.0.0.6");
	CHECK_INT(drain(&w, &r), 1);
	CHECK(!r.cleared && r.reason == REASON_ALLOCATED && r.detail[0] != '\0');
	world_free(&w);
}

/* Why the address that it had was taken away is told, whatever it has now. */
static void test_results_loss(void)
{
	static const struct {
		const char *name, *pools, *service, *then;
		enum judge_loss want;
		enum reason reason;
	} row[] = {
		{"another address", "pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/a ip=10.0.0.4",
			JUDGE_LOSS_ADDRESS, REASON_ALLOCATED},
		{"another one, in use", "pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/a ip=10.0.0.1",
			JUDGE_LOSS_ADDRESS, REASON_IN_USE},
		{"another one, in no pool", "pools p=10.0.0.1-10.0.0.9", "+ d/a",
			"+ d/a ip=192.0.2.1", JUDGE_LOSS_ADDRESS, REASON_NOT_IN_POOL},
		{"another pool", "pools p=10.0.0.1-10.0.0.9 q=10.0.1.1", "+ d/a", "+ d/a pool=q",
			JUDGE_LOSS_POOL, REASON_ALLOCATED},
		{"its pool moves Services", "pools p=10.0.0.1-10.0.0.9;metallb", "+ d/a",
			"pools p=10.0.0.5;metallb", JUDGE_LOSS_RULED, REASON_ALLOCATED},
		{"shared no more", "pools p=10.0.0.1-10.0.0.9", "+ d/a key=k ip=10.0.0.1",
			"+ d/a key=l", JUDGE_LOSS_SHARING, REASON_ALLOCATED},
		{"no LoadBalancer", "pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/a clusterip",
			JUDGE_LOSS_NONE, REASON_NOT_LOAD_BALANCER},
		{"no such pool", "pools p=10.0.0.1-10.0.0.9", "+ d/a", "+ d/a pool=q",
			JUDGE_LOSS_NONE, REASON_POOL_UNKNOWN},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct alloc_result r = {.n_ips = 0};
		struct world w;

		check_row = row[i].name;
		world_init(&w);
		step(&w, row[i].pools);
		step(&w, "+ d/first key=k ports=TCP/81");
		step(&w, row[i].service);
		CHECK_INT(drain(&w, &r), 2);
		CHECK(!r.cleared && r.loss == JUDGE_LOSS_NONE && r.reason == REASON_ALLOCATED);
		step(&w, row[i].then);
		while (alloc_next_result(w.a, &r) && strcmp(r.key, "d/a") != 0)
			;
		CHECK_STR(r.key, "d/a");
		CHECK(r.cleared);
		CHECK_INT(r.loss, row[i].want);
		CHECK_INT(r.reason, row[i].reason);
		CHECK((judge_loss_text(r.loss) != NULL) == (r.loss != JUDGE_LOSS_NONE));
		CHECK(alloc_why(w.a, "d/a", &r) && r.loss == JUDGE_LOSS_NONE);
		world_free(&w);
	}
}

/* A new leader does not repeat an Event for each Service that is in order. */
static void test_results_new_leader(void)
{
	struct alloc_result r;
	struct world w;

	world_init(&w);
	step(&w, "pools p=10.0.0.1-10.0.0.2");
	step(&w, "+ d/a born=1");
	step(&w, "+ d/b born=2");
	step(&w, "+ d/c born=3");
	(void)drain(&w, &r);
	new_leader(&w);
	CHECK(alloc_is_ready(w.a));
	CHECK_INT(drain(&w, &r), 1);
	CHECK_STR(r.key, "d/c");
	CHECK_INT(w.counters.v[COUNTER_ALLOC_ADOPTED], 2);
	alloc_begin(w.a);
	CHECK(!alloc_is_ready(w.a));
	CHECK_INT(drain(&w, &r), 0);
	CHECK(alloc_next_deadline(w.a) == TIME_NEVER);
	world_free(&w);
}

static void test_results_doubled(void)
{
	struct alloc_result r;
	struct world w;
	unsigned keeps = 0, moves = 0;

	world_init(&w);
	step(&w, "pools");
	step(&w, "+ d/a born=20 status=10.0.0.1");
	step(&w, "+ d/b born=10 status=10.0.0.1");
	(void)drain(&w, &r);
	configure(&w, "p=10.0.0.1-10.0.0.2");
	new_leader(&w);
	while (alloc_next_result(w.a, &r)) {
		CHECK(r.reason == REASON_ALLOCATED);
		keeps += strcmp(r.key, "d/b") == 0 && !r.cleared;
		moves += strcmp(r.key, "d/a") == 0 && r.cleared;
	}
	CHECK_INT(keeps, 1);
	CHECK_INT(moves, 1);
	world_free(&w);
}

/* -- writes -- */

static bool next_write(struct world *w, struct alloc_write *wr)
{
	return alloc_next_write(w->a, w->now_ms, wr);
}

/* One Service with one write handed out. */
static void begin_write(struct world *w, struct alloc_write *wr)
{
	world_init(w);
	configure(w, "p=10.0.0.1-10.0.0.9");
	put_text(w, "d/a");
	CHECK_INT(alloc_next_deadline(w->a), 0);
	CHECK(next_write(w, wr));
	CHECK_STR(wr->key, "d/a");
	CHECK(wr->n_ips == 1 && addr_eq(wr->ips[0], A("10.0.0.1")));
}

static void test_write_one_in_flight(void)
{
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	CHECK(!next_write(&w, &wr));
	put_text(&w, "d/a label=x:y");
	CHECK(!next_write(&w, &wr));
	CHECK(alloc_next_deadline(w.a) == TIME_NEVER);
	world_free(&w);
}

/* The write stands until the watch shows it; a stale object does not cause another at once. */
static void test_write_stale_object(void)
{
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_OK, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == TIME_NEVER);
	put_text(&w, "d/a");
	CHECK(!next_write(&w, &wr));
	CHECK(alloc_next_deadline(w.a) == w.now_ms + 2000);
	put_text(&w, "d/a status=10.0.0.1");
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == TIME_NEVER);
	w.now_ms += 61000; /* long enough for it not to be the same quarrel */
	put_text(&w, "d/a status=");
	CHECK(next_write(&w, &wr));
	world_free(&w);
}

/* An object that came while the write was under way. */
static void test_write_object_in_flight(void)
{
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	put_text(&w, "d/a status=10.0.0.1");
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_OK, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == TIME_NEVER);
	world_free(&w);
	begin_write(&w, &wr);
	put_text(&w, "d/a label=x:y");
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_OK, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == w.now_ms + 2000);
	world_free(&w);
}

static void test_write_back_off(void)
{
	static const uint64_t want[] = {
		100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		uint64_t id = wr.id;

		alloc_write_done(w.a, id, ALLOC_WRITE_FAILED, w.now_ms);
		alloc_write_done(w.a, id, ALLOC_WRITE_OK, w.now_ms); /* an id counts once */
		CHECK(!next_write(&w, &wr));
		CHECK_INT(alloc_next_deadline(w.a), w.now_ms + want[i]);
		put_text(&w, "d/a");
		w.now_ms += want[i] - 1;
		CHECK(!next_write(&w, &wr));
		w.now_ms++;
		CHECK(next_write(&w, &wr));
		CHECK(wr.id != id);
	}
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_OK, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == TIME_NEVER);
	world_free(&w);
}

static void test_write_conflict(void)
{
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_CONFLICT, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == w.now_ms + 1000);
	put_text(&w, "d/a label=x:y"); /* the newer object */
	CHECK(next_write(&w, &wr));
	CHECK_STR(wr.resource_version, w.objects[0]->rv);
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_CONFLICT, w.now_ms);
	w.now_ms += 1000;
	CHECK(next_write(&w, &wr));
	put_text(&w, "d/a"); /* came before the answer */
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_CONFLICT, w.now_ms);
	CHECK(next_write(&w, &wr));
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_CONFLICT, w.now_ms);
	put_text(&w, "d/a status=10.0.0.1"); /* somebody did it for us */
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == TIME_NEVER);
	world_free(&w);
}

static void test_write_not_sent(void)
{
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_NOT_SENT, w.now_ms);
	CHECK(next_write(&w, &wr));
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_NOT_SENT, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == w.now_ms + 100);
	world_free(&w);
}

static void test_write_gone(void)
{
	struct alloc_write wr;
	struct world w;

	begin_write(&w, &wr);
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_GONE, w.now_ms);
	CHECK(!next_write(&w, &wr) && alloc_next_deadline(w.a) == TIME_NEVER);
	delete (&w, "d/a");
	put_text(&w, "d/a");
	CHECK(next_write(&w, &wr));
	world_free(&w);
}

static void test_write_deleted_in_flight(void)
{
	struct alloc_write wr, other;
	struct world w;

	begin_write(&w, &wr);
	delete (&w, "d/a");
	put_text(&w, "d/b");
	CHECK(next_write(&w, &other));
	CHECK(other.id != wr.id);
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_FAILED, w.now_ms);
	alloc_write_done(w.a, other.id, ALLOC_WRITE_OK, w.now_ms);
	alloc_write_done(w.a, 12345, ALLOC_WRITE_OK, w.now_ms);
	CHECK(!next_write(&w, &wr));
	world_free(&w);
}

/* A write of the leader before, answered after alloc_begin(). */
static void test_write_of_before(void)
{
	struct alloc_write wr, again;
	struct world w;

	begin_write(&w, &wr);
	new_leader(&w);
	CHECK(next_write(&w, &again));
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_FAILED, w.now_ms);
	CHECK(alloc_next_deadline(w.a) == TIME_NEVER); /* the second is still under way */
	world_free(&w);
}

static void test_write_fair_order(void)
{
	static const char *const key[] = {"d/a", "d/b", "d/c"};
	struct alloc_write wr;
	struct world w;

	world_init(&w);
	configure(&w, "p=10.0.0.1-10.0.0.9");
	for (size_t i = 0; i < ARRAY_LEN(key); i++)
		put_text(&w, key[i]);
	for (size_t i = 0; i < ARRAY_LEN(key); i++) {
		CHECK(next_write(&w, &wr));
		CHECK_STR(wr.key, key[i]);
		alloc_write_done(w.a, wr.id, ALLOC_WRITE_NOT_SENT, w.now_ms);
	}
	CHECK(next_write(&w, &wr));
	CHECK_STR(wr.key, "d/a");
	world_free(&w);
}

/* An address is given to nobody else while the API may still show it in the status of the old. */
static void test_guard(void)
{
	struct alloc_write wr, two;
	struct addr ips[2];
	struct alloc_result r;
	struct world w;

	world_init(&w);
	step(&w, "pools p=10.0.0.1");
	step(&w, "+ d/a");
	put_text(&w, "d/a clusterip");
	put_text(&w, "d/b");
	CHECK(next_write(&w, &wr));
	CHECK_STR(wr.key, "d/a");
	CHECK_INT(wr.n_ips, 0);
	CHECK(!next_write(&w, &two));
	CHECK_INT(alloc_holding(w.a, "d/b", ips), 0);
	CHECK_INT(alloc_pool_use(w.a, 0).used[ADDR_V4], 1);
	put_text(&w, "d/b ip=10.0.0.1");
	(void)alloc_next_result(w.a, &r);
	CHECK(alloc_why(w.a, "d/b", &r));
	CHECK_STR(r.detail, "address 10.0.0.1 is still in the status of d/a");
	alloc_write_done(w.a, wr.id, ALLOC_WRITE_OK, w.now_ms);
	CHECK(!next_write(&w, &two));
	put_text(&w, "d/a clusterip status=");
	CHECK(next_write(&w, &two));
	CHECK_STR(two.key, "d/b");
	world_free(&w);
	world_init(&w);
	step(&w, "pools p=10.0.0.1");
	step(&w, "+ d/a");
	put_text(&w, "d/a clusterip");
	put_text(&w, "d/b");
	CHECK(next_write(&w, &wr));
	delete (&w, "d/a");
	CHECK(next_write(&w, &two));
	CHECK_STR(two.key, "d/b");
	world_free(&w);
}

/* One of two that share goes elsewhere: the other one is not moved by what the status of the first
 * still shows, however often it is looked at. */
static void test_guard_sharer(void)
{
	struct world w;
	struct alloc_result r;
	struct addr ips[2];

	world_init(&w);
	step(&w, "pools p=10.0.0.1-10.0.0.9");
	step(&w, "+ d/a key=k");
	step(&w, "+ d/b key=k ports=udp53");
	step(&w, "+ d/c key=k ports=tcp81");
	put_text(&w, "d/c ports=tcp81");
	while (alloc_next_result(w.a, &r))
		;
	put_text(&w, "d/b key=k ports=udp53");
	put_text(&w, "d/a key=k");
	put_text(&w, "d/e key=k ports=udp99");
	while (alloc_next_result(w.a, &r))
		;
	CHECK_INT(alloc_holding(w.a, "d/a", ips), 1);
	CHECK(addr_eq(ips[0], A("10.0.0.1")));
	CHECK_INT(alloc_holding(w.a, "d/b", ips), 1);
	CHECK(addr_eq(ips[0], A("10.0.0.1")));
	CHECK_INT(alloc_holding(w.a, "d/e", ips), 1);
	CHECK(!addr_eq(ips[0], A("10.0.0.1"))); /* nobody joins before it is gone */
	world_free(&w);
}

/* Never written: free at once. */
static void test_guard_not_needed(void)
{
	struct world w;
	struct addr ips[2];
	struct alloc_result r;

	world_init(&w);
	configure(&w, "p=10.0.0.1");
	put_text(&w, "d/a");
	(void)alloc_next_result(w.a, &r);
	put_text(&w, "d/a clusterip");
	put_text(&w, "d/b");
	(void)alloc_next_result(w.a, &r);
	CHECK_INT(alloc_holding(w.a, "d/b", ips), 1);
	world_free(&w);
}

/* -- limits -- */

static void test_large_pools(void)
{
	static const struct script row[] = {
		{"a /8 and a /64",
			{"pools p=10.0.0.0/8,fd00::/64", "+ d/a require", "d/a = 10.0.0.0,fd00::"}},
		{"the end of all",
			{"pools p=255.255.255.254/31,ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
				"+ d/a require", "+ d/b require", "+ d/c require",
				"d/b = 255.255.255.255,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
				"d/c = poolExhausted"}},
	};
	struct alloc_pool_use use;
	struct world w;

	run_scripts(row, ARRAY_LEN(row));
	world_init(&w);
	step(&w, "pools p=10.0.0.0/8,fd00::/64 q=192.168.0.1-192.168.0.3");
	step(&w, "+ d/a require");
	step(&w, "+ d/b key=k");
	step(&w, "+ d/c key=k ports=tcp81");
	CHECK_INT(alloc_pool_count(w.a), 2);
	use = alloc_pool_use(w.a, 0);
	CHECK_STR(use.name, "p");
	CHECK(use.total[ADDR_V4] == 1 << 24 && use.total[ADDR_V6] == UINT64_MAX);
	CHECK(use.used[ADDR_V4] == 2 && use.used[ADDR_V6] == 1);
	use = alloc_pool_use(w.a, 1);
	CHECK(use.total[ADDR_V4] == 3 && use.used[ADDR_V4] == 0 && use.total[ADDR_V6] == 0);
	world_free(&w);
}

/* More released addresses than are remembered: the oldest count as never used. */
static void test_many_released(void)
{
	enum { N = 5000 };
	struct alloc_write wr;
	struct addr ips[2];
	struct world w;
	char key[32];

	world_init(&w);
	configure(&w, "p=10.0.0.0/16");
	for (unsigned i = 0; i < N; i++) {
		struct object o = {
			.s = {.is_load_balancer = true, .has_cluster_ip = true, .n_families = 1}};

		snprintf(key, sizeof key, "d/s%u", i);
		object_name(&w, &o, key);
		bind(&w, &o);
		CHECK_INT(alloc_put(w.a, &o.s, w.now_ms), 0);
		while (next_write(&w, &wr))
			alloc_write_done(w.a, wr.id, ALLOC_WRITE_OK, w.now_ms);
		alloc_delete(w.a, key, w.now_ms);
	}
	CHECK_INT(alloc_pool_use(w.a, 0).used[ADDR_V4], 0);
	put_text(&w, "d/s4999");
	put_text(&w, "d/s4998");
	(void)next_write(&w, &wr);
	CHECK_INT(alloc_holding(w.a, "d/s4999", ips), 1);
	/* 2048 are remembered and one more is taken: the walk is 2049 long. */
	CHECK_INT(addr_distance(A("10.0.0.0"), ips[0]), 4999 % 2049);
	world_free(&w);
}

static void test_long_texts(void)
{
	static char key[3000], long_text[3000];
	struct alloc_result r;
	struct world w;
	struct object o = {
		.s = {.is_load_balancer = true, .has_cluster_ip = true, .n_families = 1}};

	memset(key, 'k', sizeof key - 1);
	memset(long_text, 'x', sizeof long_text - 1);
	world_init(&w);
	configure(&w, "p=10.0.0.1");
	object_name(&w, &o, "d/a");
	bind(&w, &o);
	o.s.key = key;
	o.s.request.pool = long_text;
	CHECK_INT(alloc_put(w.a, &o.s, w.now_ms), 0);
	CHECK(alloc_next_result(w.a, &r));
	CHECK(r.reason == REASON_POOL_UNKNOWN && strlen(r.detail) < 300);
	o.s.request.pool = NULL;
	CHECK_INT(alloc_put(w.a, &o.s, w.now_ms), 0);
	put_text(&w, "d/b ip=10.0.0.1");
	while (alloc_next_result(w.a, &r))
		;
	CHECK(alloc_why(w.a, "d/b", &r));
	CHECK(r.reason == REASON_IN_USE && strlen(r.detail) < sizeof r.detail);
	world_free(&w);
}

/* -- a long random run against a naive model --
 *
 * The API is w.objects; what the allocator has been shown of it is known[].  Events and answers to
 * writes come late, in any order between objects, and some writes fail after they were taken. */

enum { NAMES = 24, MAX_PENDING = 16 };

struct pending {
	struct alloc_write wr;
	char key[MAX_TEXT], uid[MAX_TEXT], rv[24];
};

struct run {
	struct world w;
	struct rng rng;
	struct object known[NAMES]; /* key[0] = 0: not known */
	bool dirty[NAMES];
	struct addr before[NAMES][2];
	size_t n_before[NAMES];
	bool forged[NAMES];
	struct pending pending[MAX_PENDING];
	size_t n_pending;
	uint64_t digest;
	unsigned configuration;
};

static const char *const configurations[] = {
	"p=10.0.0.1-10.0.0.6 q=fd00::1-fd00::4",
	"p=10.0.0.1-10.0.0.6,fd00::1-fd00::9",
	"p=10.0.0.3-10.0.0.9;delay=5000 q=fd00::2-fd00::8;prio=1 r=10.0.1.0-10.0.1.3;noauto;buggy",
	"r=10.0.1.0-10.0.1.9;ns=n1 p=10.0.0.1-10.0.0.4,10.0.0.8-10.0.0.9,fd00::1-fd00::4",
	"p=10.0.0.1-10.0.0.4;move q=fd00::1-fd00::4;metallb",
	"x=10.0.0.5-10.0.0.9;metallb y=fd00::4-fd00::9;metallb",
};

static void key_of(size_t i, char out[MAX_TEXT])
{
	snprintf(out, MAX_TEXT, "n%zu/s%zu", i % 2, i);
}

static size_t index_of(const char *key)
{
	return (size_t)strtoul(strchr(key, '/') + 2, NULL, 10);
}

static struct object *object_of(struct run *r, size_t i)
{
	char key[MAX_TEXT];
	size_t at;

	key_of(i, key);
	at = find(&r->w, key);
	return at < r->w.n_objects ? r->w.objects[at] : NULL;
}

static const char *pick_text(struct run *r, const char *const *v, size_t n)
{
	return v[rng_below(&r->rng, n)];
}

static void user_puts(struct run *r, size_t i)
{
	static const char *const family[] = {"", "", "", " v6", " prefer", " prefer64", " require"};
	static const char *const wish[] = {"", "", "", "", "", "", " ip=10.0.0.4", " ip=10.0.0.5",
		" ip=fd00::3", " ips=10.0.0.2,fd00::2", " pool=p", " pool=r", " ip=10.0.1.2",
		" ip=x", " ip=10.9.9.9"};
	static const char *const share[] = {"", "", "", " key=k", " key=k ports=tcp81",
		" key=k ports=udp53 local app=x", " key=l ports=tcp80,tcp81"};
	static const char *const kind[] = {
		"", "", "", "", "", "", "", "", " clusterip", " class=x/y", " ignore", " headless"};
	char key[MAX_TEXT], text[256];
	struct object *o = object_of(r, i);

	key_of(i, key);
	snprintf(text, sizeof text, "%s born=%u%s%s%s%s", key,
		o != NULL ? (unsigned)o->s.created_s : (unsigned)rng_below(&r->rng, 50),
		pick_text(r, family, ARRAY_LEN(family)), pick_text(r, wish, ARRAY_LEN(wish)),
		pick_text(r, share, ARRAY_LEN(share)), pick_text(r, kind, ARRAY_LEN(kind)));
	(void)parse_service(&r->w, text);
	r->dirty[i] = true;
}

static void user_deletes(struct run *r, size_t i)
{
	char key[MAX_TEXT];
	size_t at;

	key_of(i, key);
	at = find(&r->w, key);
	if (at == r->w.n_objects)
		return;
	free(r->w.objects[at]);
	r->w.objects[at] = r->w.objects[--r->w.n_objects];
	r->dirty[i] = true;
	r->forged[i] = false;
}

static void user_forges(struct run *r, size_t i)
{
	struct object *o = object_of(r, i);

	if (o == NULL)
		return;
	o->status[0] = addr_plus(A("10.0.0.1"), rng_below(&r->rng, 12));
	o->s.n_ingress = 1;
	bind(&r->w, o);
	r->dirty[i] = r->forged[i] = true;
}

/* Shows the allocator the object as the API has it. */
static void deliver(struct run *r, size_t i)
{
	struct object *o = object_of(r, i), *k = &r->known[i];
	char key[MAX_TEXT], rv[24];

	r->dirty[i] = false;
	if (o == NULL) {
		key_of(i, key);
		k->key[0] = '\0';
		alloc_delete(r->w.a, key, r->w.now_ms);
		return;
	}
	*k = *o;
	memcpy(rv, o->rv, sizeof rv);
	bind(&r->w, k);
	memcpy(k->rv, rv, sizeof rv);
	put(&r->w, k);
}

static void digest(struct run *r, const char *text, const struct addr *ips, size_t n)
{
	r->digest = r->digest * 1099511628211u + hash_bytes(&hkey, text, strlen(text));
	for (size_t i = 0; i < n; i++)
		r->digest = r->digest * 1099511628211u + ips[i].hi * 31 + ips[i].lo;
}

static void hand_out(struct run *r)
{
	struct pending *p = &r->pending[r->n_pending];

	if (r->n_pending == MAX_PENDING || !alloc_next_write(r->w.a, r->w.now_ms, &p->wr))
		return;
	set(p->key, p->wr.key, strlen(p->wr.key));
	set(p->uid, p->wr.uid, strlen(p->wr.uid));
	snprintf(p->rv, sizeof p->rv, "%s", p->wr.resource_version);
	digest(r, p->key, p->wr.ips, p->wr.n_ips);
	for (size_t i = 0; i < r->n_pending; i++)
		CHECK(strcmp(r->pending[i].uid, p->uid) != 0); /* one a Service */
	r->n_pending++;
}

/* The API's answer; the write is conditional on uid and resourceVersion. */
static enum alloc_outcome api_write(struct run *r, const struct pending *p)
{
	size_t i = index_of(p->key);
	struct object *o = object_of(r, i);

	if (o == NULL)
		return ALLOC_WRITE_GONE;
	if (strcmp(o->uid, p->uid) != 0 || strcmp(o->rv, p->rv) != 0)
		return ALLOC_WRITE_CONFLICT;
	take(&r->w, o, &p->wr);
	r->dirty[i] = true;
	r->forged[i] = false;
	return ALLOC_WRITE_OK;
}

static void answer(struct run *r, bool faults)
{
	size_t at = r->n_pending > 0 ? rng_below(&r->rng, r->n_pending) : 0;
	struct pending p = r->pending[at];
	uint64_t luck = rng_below(&r->rng, 10);
	enum alloc_outcome outcome;

	if (r->n_pending == 0)
		return;
	r->pending[at] = r->pending[--r->n_pending];
	if (faults && luck == 0) {
		outcome = ALLOC_WRITE_NOT_SENT;
	} else if (faults && luck == 1) {
		outcome = ALLOC_WRITE_FAILED;
	} else {
		outcome = api_write(r, &p);
		if (faults && luck == 2)
			outcome = ALLOC_WRITE_FAILED; /* taken, but the answer was lost */
	}
	alloc_write_done(r->w.a, p.wr.id, outcome, r->w.now_ms);
}

static void another_leader(struct run *r)
{
	r->n_pending = 0;
	alloc_begin(r->w.a);
	for (size_t i = 0; i < NAMES; i++) {
		r->known[i].key[0] = '\0';
		r->n_before[i] = 0;
		if (object_of(r, i) != NULL)
			deliver(r, i);
		r->dirty[i] = false;
	}
	alloc_adopted(r->w.a, r->w.now_ms);
}

static bool in_pools(const struct run *r, struct addr x)
{
	for (size_t i = 0; i < r->w.conf.n_pools; i++) {
		for (size_t j = 0; j < r->w.pools[i].n_ranges; j++) {
			if (addr_range_contains(r->w.pools[i].ranges[j], x))
				return true;
		}
	}
	return false;
}

static bool is_among(const struct addr *v, size_t n, struct addr x)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_eq(v[i], x))
			return true;
	}
	return false;
}

/* No two hold an address unlawfully; each address is in a pool, or was held before. */
static void check_holdings(struct run *r)
{
	struct addr ips[NAMES][2];
	size_t n[NAMES] = {0};
	char key[MAX_TEXT];

	for (size_t i = 0; i < NAMES; i++) {
		key_of(i, key);
		n[i] = alloc_holding(r->w.a, key, ips[i]);
		if (n[i] > 0)
			CHECK(r->known[i].key[0] != '\0');
		if (n[i] == 2)
			CHECK(addr_family(ips[i][0]) != addr_family(ips[i][1]));
		for (size_t k = 0; k < n[i]; k++) {
			CHECK(in_pools(r, ips[i][k]) ||
				is_among(r->before[i], r->n_before[i], ips[i][k]));
			for (size_t j = 0; j < i; j++) {
				if (is_among(ips[j], n[j], ips[i][k]))
					CHECK(service_sharing(&r->known[i].s, &r->known[j].s,
						      NULL) == SERVICE_SHARING_OK);
			}
		}
	}
	memcpy(r->before, ips, sizeof ips);
	memcpy(r->n_before, n, sizeof n);
}

/* No two statuses in the API have one address, as far as it was the allocator that wrote them. */
static void check_statuses(struct run *r)
{
	for (size_t i = 0; i < r->w.n_objects; i++) {
		const struct object *x = r->w.objects[i];

		for (size_t j = 0; j < i; j++) {
			const struct object *y = r->w.objects[j];

			if (x->ever_shared || y->ever_shared || r->forged[index_of(x->key)] ||
				r->forged[index_of(y->key)])
				continue;
			for (size_t k = 0; k < x->s.n_ingress; k++)
				CHECK(!is_among(y->status, y->s.n_ingress, x->status[k]));
		}
	}
}

static void take_results(struct run *r)
{
	struct alloc_result res;
	unsigned n = 0;

	while (alloc_next_result(r->w.a, &res)) {
		digest(r, reason_code(res.reason), res.ips, res.n_ips);
		digest(r, res.detail, NULL, 0);
		CHECK(++n <= NAMES);
	}
}

/* Everything arrives and time passes, until nothing is left to do. */
static void come_to_rest(struct run *r)
{
	for (unsigned n = 0; n < 400; n++) {
		bool moved = false;

		for (size_t i = 0; i < NAMES; i++) {
			moved = moved || r->dirty[i];
			if (r->dirty[i])
				deliver(r, i);
		}
		hand_out(r);
		moved = moved || r->n_pending > 0;
		answer(r, false);
		if (!moved && alloc_next_deadline(r->w.a) == TIME_NEVER)
			return;
		if (!moved)
			r->w.now_ms = alloc_next_deadline(r->w.a);
	}
	CHECK(alloc_next_deadline(r->w.a) == TIME_NEVER); /* it never comes to rest */
}

static void check_exhausted(struct run *r, const struct object *o)
{
	enum addr_family f = o->s.families[0];

	if (o->field[0] != '\0' || o->ips[0] != '\0' || o->pool[0] != '\0' || o->s.n_families > 1)
		return;
	for (size_t i = 0; i < r->w.conf.n_pools; i++) {
		const struct config_pool *p = &r->w.pools[i];
		struct alloc_pool_use use = alloc_pool_use(r->w.a, i);

		if (p->auto_assign && !p->service_allocation.namespaces.n && !p->avoid_buggy_ips)
			CHECK(use.used[f] == use.total[f]);
	}
}

/* At rest the API shows what is held, nothing is leaked and nobody waits for nothing. */
static void check_at_rest(struct run *r)
{
	struct addr seen[2 * NAMES];
	size_t n_seen = 0;
	uint64_t used = 0, in_use = 0;

	for (size_t i = 0; i < r->w.n_objects; i++) {
		const struct object *o = r->w.objects[i];
		struct alloc_result res;
		bool known = alloc_why(r->w.a, o->key, &res);
		bool served = service_served(&r->w.conf, &o->s) == REASON_ALLOCATED;

		CHECK(known || !served);
		if (!known)
			continue;
		CHECK(!served || res.reason == REASON_ALLOCATED || res.n_ips == 0 ||
			res.reason == REASON_BAD_REQUEST);
		CHECK(res.reason != REASON_ALLOCATED || res.n_ips > 0);
		if (served) {
			CHECK_INT(o->s.n_ingress, res.n_ips);
			for (size_t k = 0; k < res.n_ips; k++)
				CHECK(is_among(o->status, o->s.n_ingress, res.ips[k]));
		}
		if (res.reason == REASON_POOL_EXHAUSTED)
			check_exhausted(r, o);
		for (size_t k = 0; k < res.n_ips; k++) {
			if (in_pools(r, res.ips[k]) && !is_among(seen, n_seen, res.ips[k]))
				in_use++;
			seen[n_seen++] = res.ips[k];
		}
	}
	for (size_t i = 0; i < alloc_pool_count(r->w.a); i++)
		used += alloc_pool_use(r->w.a, i).used[ADDR_V4] +
			alloc_pool_use(r->w.a, i).used[ADDR_V6];
	CHECK(used == in_use);
}

static void random_step(struct run *r)
{
	size_t i = rng_below(&r->rng, NAMES);
	uint64_t luck = rng_below(&r->rng, 1000);

	if (luck < 150)
		user_puts(r, i);
	else if (luck < 220)
		user_deletes(r, i);
	else if (luck < 230)
		user_forges(r, i);
	else if (luck < 600)
		deliver(r, i);
	else if (luck < 760)
		hand_out(r);
	else if (luck < 920)
		answer(r, true);
	else if (luck < 980)
		r->w.now_ms += rng_below(&r->rng, 3000);
	else if (luck < 990)
		configure(&r->w, configurations[rng_below(&r->rng, ARRAY_LEN(configurations))]);
	else if (luck < 993)
		another_leader(r);
	else if (luck < 996) {
		come_to_rest(r);
		check_at_rest(r);
	}
}

static uint64_t random_run(uint64_t seed, unsigned steps)
{
	struct run *r = calloc(1, sizeof *r);
	uint64_t result;

	if (r == NULL)
		abort();
	world_init(&r->w);
	r->rng.state = seed;
	configure(&r->w, configurations[0]);
	for (unsigned i = 0; i < steps; i++) {
		unsigned before = check_failures;

		random_step(r);
		take_results(r);
		check_holdings(r);
		check_statuses(r);
		if (check_failures > before) {
			printf("seed %llu, step %u\n", (unsigned long long)seed, i);
			break;
		}
	}
	come_to_rest(r);
	check_at_rest(r);
	result = r->digest;
	world_free(&r->w);
	free(r);
	return result;
}

static void test_model(void)
{
	enum { SEEDS = 10, STEPS = 2000 };

	for (uint64_t seed = 1; seed <= SEEDS && check_failures == 0; seed++) {
		uint64_t first = random_run(seed, STEPS);

		CHECK(first == random_run(seed, STEPS));
		CHECK(first != random_run(seed + 1000, 100));
	}
}

CHECK_MAIN("test_alloc", CHECK_TEST(test_choice), CHECK_TEST(test_reuse_delay),
	CHECK_TEST(test_asking), CHECK_TEST(test_nonsense_keeps), CHECK_TEST(test_sharing),
	CHECK_TEST(test_dual_stack), CHECK_TEST(test_not_served), CHECK_TEST(test_configuration),
	CHECK_TEST(test_adoption), CHECK_TEST(test_results_once), CHECK_TEST(test_results_cleared),
	CHECK_TEST(test_results_loss), CHECK_TEST(test_results_new_leader),
	CHECK_TEST(test_results_doubled),
	CHECK_TEST(test_write_one_in_flight), CHECK_TEST(test_write_stale_object),
	CHECK_TEST(test_write_object_in_flight), CHECK_TEST(test_write_back_off),
	CHECK_TEST(test_write_conflict), CHECK_TEST(test_write_not_sent),
	CHECK_TEST(test_write_gone), CHECK_TEST(test_write_deleted_in_flight),
	CHECK_TEST(test_write_of_before), CHECK_TEST(test_write_fair_order), CHECK_TEST(test_guard),
	CHECK_TEST(test_guard_sharer), CHECK_TEST(test_guard_not_needed),
	CHECK_TEST(test_large_pools), CHECK_TEST(test_many_released), CHECK_TEST(test_long_texts),
	CHECK_TEST(test_explain), CHECK_TEST(test_explain_first), CHECK_TEST(test_explain_rested),
	CHECK_TEST(test_look), CHECK_TEST(test_model))
