/* SPDX-License-Identifier: Apache-2.0
 *
 * scrape.c - what the port for metrics answers: /metrics, /healthz, /readyz, the page, and where it
 * listens.
 *
 * Owns: the server (httpd.h); what is known of this process.
 * In:   requests; the configuration, the Node, interfaces.
 * Out:  answers.  One of a large cluster is made by a copy of the process (apart.h), as lbd dump's.
 * Sources: proc(5), getrusage(2); the form of kube-apiserver's /readyz?verbose.
 *
 * /healthz says whether this process does its work: who restarts it when it says no must not do so
 * for an API that is out of reach, which a restart makes worse.  /readyz says whether it serves.
 */
#include "gauge.h"
#include "httpd.h"
#include "page.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { APART = 200 };    /* Services and addresses: some milliseconds' work */
enum { LATE_MS = 5000 }; /* the loop's own timer must not be so late */
enum { MAX_METRICS = HTTPD_MAX_ANSWER };

/* Of this process, and not of a copy. */
struct process {
	uint64_t cpu_ms, resident_bytes, virtual_bytes, start_ms, open_fds, max_fds;
};

struct scrape {
	struct httpd *httpd; /* owned */
	struct process process;
};

/* -- this process ------------------------------------------------------------------------------ */

static uint64_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n > 3 ? n - 3 : 0; /* "." and "..", and the folder itself */
}

static void read_memory(struct process *p)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct buf text;
	char *rest;

	buf_init(&text, 4096);
	if (file_read("/proc/self/statm", &text) == 0 && text.len > 0) {
		p->virtual_bytes = strtoull(text.p, &rest, 10) * page;
		p->resident_bytes = strtoull(rest, NULL, 10) * page;
	}
	buf_free(&text);
}

static uint64_t ms_of(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000;
}

static void read_process(struct process *p, uint64_t started_ms, uint64_t now_ms)
{
	struct rusage used;
	struct rlimit fds;
	struct timespec ts;

	*p = (struct process){.open_fds = count_fds()};
	if (getrusage(RUSAGE_SELF, &used) == 0)
		p->cpu_ms = ms_of(used.ru_utime) + ms_of(used.ru_stime);
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
		p->max_fds = fds.rlim_cur;
	if (clock_gettime(CLOCK_REALTIME, &ts) == 0)
		p->start_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 -
			      (now_ms - started_ms);
	read_memory(p);
}

static void add_process(struct metrics *m, const struct process *p)
{
	metrics_family(m, "process_cpu_seconds_total", METRICS_COUNTER,
		"processor time of this process, in user and system mode");
	metrics_set_ms(m, p->cpu_ms);
	metrics_family(m, "process_open_fds", METRICS_GAUGE, "open file descriptors");
	metrics_set(m, p->open_fds);
	metrics_family(m, "process_max_fds", METRICS_GAUGE, "so many may be open");
	metrics_set(m, p->max_fds);
	metrics_family(m, "process_resident_memory_bytes", METRICS_GAUGE, "memory in use");
	metrics_set(m, p->resident_bytes);
	metrics_family(m, "process_virtual_memory_bytes", METRICS_GAUGE, "address space in use");
	metrics_set(m, p->virtual_bytes);
	metrics_family(m, "process_start_time_seconds", METRICS_GAUGE,
		"when this process began, in seconds since 1970");
	metrics_set_ms(m, p->start_ms);
}

/* -- /metrics ---------------------------------------------------------------------------------- */

static bool are_many(const struct daemon *d)
{
	return vip_count(d->vips) + cluster_count(d->cluster, CLUSTER_SERVICE) > APART;
}

static bool metrics_take_long(void *ctx, const struct httpd_request *request)
{
	struct daemon *d = ctx;

	(void)request;
	net_count_drops(d->net);
	read_process(&d->scrape->process, d->started_ms, daemon_now_ms());
	return are_many(d);
}

static bool answer_metrics(void *ctx, const struct httpd_request *request, struct httpd_answer *a)
{
	const struct daemon *d = ctx;
	struct metrics m;
	bool ok;

	(void)request;
	metrics_init(&m, MAX_METRICS);
	ok = gauge_write(d, &m, daemon_now_ms());
	add_process(&m, &d->scrape->process);
	if (ok)
		metrics_print(&m, &a->body);
	a->type = METRICS_CONTENT_TYPE;
	metrics_free(&m);
	return ok && !a->body.bad;
}

/* -- /healthz, /readyz ------------------------------------------------------------------------- */

/* One line: "[+]api ok", "[-]api failed: why". */
static bool check(struct buf *out, const char *name, bool ok, const char *why)
{
	buf_addf(out, "[%c]%s %s", ok ? '+' : '-', name, ok ? "ok" : "failed");
	if (why[0] != '\0')
		buf_addf(out, ": %s", why);
	buf_addc(out, '\n');
	return ok;
}

static void conclude(struct httpd_answer *a, const char *name, bool ok)
{
	a->status = ok ? 200 : 503;
	buf_addf(&a->body, "%s check %s\n", name, ok ? "passed" : "failed");
}

static bool answer_health(void *ctx, const struct httpd_request *request, struct httpd_answer *a)
{
	const struct daemon *d = ctx;
	uint64_t now_ms = daemon_now_ms();
	bool late = now_ms > d->armed_ms && now_ms - d->armed_ms > LATE_MS;
	bool ok = check(&a->body, "loop", !late, late ? "its timer is late" : "");

	(void)request;
	conclude(a, "healthz", ok);
	return true;
}

static bool check_api(const struct daemon *d, struct buf *out)
{
	bool may = daemon_may_act(d);

	return check(out, "api", may,
		d->synced && d->mute.since_ms == 0 ? ""
		: d->synced ? "it takes no Lease of this node's"
		: may     ? "not in step: the last picture is served"
			  : "Services and nodes are not known yet");
}

static bool check_config(const struct daemon *d, struct buf *out)
{
	if (!crdwatch_is_ready(d))
		return check(out, "config", false, "the API has not said which pools there are");
	return check(out, "config", true,
		daemon_conf_is_stale(d) ? "the latest one was not taken, the one before is in force"
					: "");
}

static bool check_interfaces(const struct daemon *d, struct buf *out)
{
	const struct iface *i = NULL;
	bool any = false;

	while ((i = iface_next(net_ifaces(d->net), i)) != NULL)
		any |= iface_is_usable(i) && i->capture[ADDR_V4] != IFACE_DEAF &&
		       i->capture[ADDR_V6] != IFACE_DEAF;
	return check(out, "interfaces", any,
		any ? "" : "none is up that could be used, and can be listened on");
}

static bool answer_ready(void *ctx, const struct httpd_request *request, struct httpd_answer *a)
{
	const struct daemon *d = ctx;
	bool runs = d->phase == DAEMON_RUNNING;
	bool ok = check_api(d, &a->body);

	(void)request;
	ok &= check_config(d, &a->body);
	ok &= check_interfaces(d, &a->body);
	ok &= check(&a->body, "running", runs, runs ? "" : "it stops");
	conclude(a, "readyz", ok);
	return true;
}

/* -- the page ---------------------------------------------------------------------------------- */

static bool is_page_shown(const struct daemon *d, const struct httpd_request *request)
{
	return d->conf->metrics_page && page_is_own_host(request->host, d->node);
}

/* Who looks at the page looks at the wire, too. */
static bool page_takes_long(void *ctx, const struct httpd_request *request)
{
	struct daemon *d = ctx;

	if (!is_page_shown(d, request))
		return false;
	wire_look(d, daemon_now_ms());
	return are_many(d);
}

static void refuse_page(const struct daemon *d, const char *host, struct httpd_answer *a)
{
	if (!d->conf->metrics_page) {
		a->status = 404;
		buf_adds(&a->body, "the page is switched off (metrics.page)\n");
	} else if (host[0] == '\0') {
		a->status = 400;
		buf_adds(&a->body, "a request without Host\n");
	} else {
		a->status = 421;
		buf_addf(&a->body,
			"this host has another name: ask for it by its IP address, as localhost, "
			"or as %s\n",
			d->node);
	}
}

static bool answer_page(void *ctx, const struct httpd_request *request, struct httpd_answer *a)
{
	struct daemon *d = ctx;
	cJSON *dump;

	if (!is_page_shown(d, request)) {
		refuse_page(d, request->host, a);
		return true;
	}
	dump = status_dump(d, daemon_now_ms());
	if (dump == NULL)
		return false;
	page_print(dump, &a->body);
	cJSON_Delete(dump);
	a->type = "text/html; charset=utf-8";
	a->more = page_fields;
	return true;
}

static const struct httpd_handler handlers[] = {
	{"/", page_takes_long, answer_page},
	{"/metrics", metrics_take_long, answer_metrics},
	{"/healthz", NULL, answer_health},
	{"/readyz", NULL, answer_ready},
	{NULL, NULL, NULL},
};

/* -- where it listens -------------------------------------------------------------------------- */

static bool is_for_others(const struct iface_addr *a)
{
	return !a->deprecated && !a->tentative && !addr_is_link_local(a->addr);
}

/* The first address of each family of each interface: until the Node is known. */
static size_t own_addresses(const struct daemon *d, struct addr v[HTTPD_MAX_ADDRESSES])
{
	const struct iface *i = NULL;
	size_t n = 0;

	while ((i = iface_next(net_ifaces(d->net), i)) != NULL) {
		bool has[ADDR_FAMILIES] = {false, false};

		for (size_t k = 0; iface_is_usable(i) && k < i->n_addrs; k++) {
			enum addr_family f = addr_family(i->addrs[k].addr);

			if (has[f] || !is_for_others(&i->addrs[k]) || n == HTTPD_MAX_ADDRESSES)
				continue;
			has[f] = true;
			v[n++] = i->addrs[k].addr;
		}
	}
	return n;
}

static size_t wanted_addresses(const struct daemon *d, struct addr v[HTTPD_MAX_ADDRESSES])
{
	const char *where = d->conf->metrics_address;
	const struct cluster_node *node;
	size_t n = 0;

	if (d->conf->metrics_port == 0)
		return 0;
	if (strcmp(where, "node") != 0)
		return addr_parse(where, strlen(where), &v[0]) == 0;
	node = cluster_node(d->cluster, d->node);
	while (node != NULL && n < node->n_internal_ips && n < HTTPD_MAX_ADDRESSES) {
		v[n] = node->internal_ips[n];
		n++;
	}
	return n > 0 ? n : own_addresses(d, v);
}

void scrape_run(struct daemon *d)
{
	struct addr v[HTTPD_MAX_ADDRESSES];

	if (d->scrape != NULL && d->phase != DAEMON_CLOSING)
		httpd_listen(d->scrape->httpd, v, wanted_addresses(d, v), d->conf->metrics_port);
}

/* -- life -------------------------------------------------------------------------------------- */

int scrape_start(struct daemon *d)
{
	struct scrape *s;
	int err;

	if (d->dry != NULL)
		return 0;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	err = httpd_open(&d->loop, handlers, d, &d->counters, &s->httpd);
	if (err != 0) {
		free(s);
		return err;
	}
	d->scrape = s;
	scrape_run(d);
	return 0;
}

void scrape_stop(struct daemon *d)
{
	if (d->scrape == NULL)
		return;
	httpd_close(d->scrape->httpd, NULL, NULL);
	free(d->scrape);
	d->scrape = NULL;
}
