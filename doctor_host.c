/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_host.c - reads what lbd doctor wants to know of a host.
 *
 * In:   /proc and /sys, of this host or of another tree; what nft and iptables-save print.
 * Out:  facts.  Every file is read to a limit, none is waited for.
 */
#include "doctor_host.h"

#include "buf.h"
#include "doctor_proc.h"
#include "doctor_rules.h"
#include "json.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SMALL_BYTES = 4096,
	TABLE_BYTES = 4 * 1024 * 1024,  /* routes, sockets */
	RULES_BYTES = 16 * 1024 * 1024, /* of a firewall */
	PROGRAM_MS = 3000,
	MAX_PIDS = 32768,
	MAX_FDS = 4096, /* of a process */
	MAX_INODES = DOCTOR_MAX_PORTS,
	ARPHRD_ETHERNET = 1,
};

struct reader {
	const char *root; /* "" = this host's */
	struct doctor_facts *f;
	struct buf text;            /* of the file last read */
	uint64_t inode[MAX_INODES]; /* of the ports, in their order */
	char own_net[64];           /* "net:[4026531840]"; "" = not known */
	unsigned daemon_pid;        /* 0 = none */
};

/* -- files -- */

static bool path_of(const struct reader *r, char path[PATH_MAX], const char *name)
{
	return (size_t)snprintf(path, PATH_MAX, "%s%s", r->root, name) < PATH_MAX;
}

static void read_up_to(int fd, size_t max, struct buf *out)
{
	char chunk[16384];

	while (out->len < max) {
		const size_t room = max - out->len;
		ssize_t n = read(fd, chunk, room < sizeof chunk ? room : sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		buf_add(out, chunk, (size_t)n);
	}
}

/* The first max bytes of a regular file into r->text.  False: it cannot be read, or is another sort
 * of file. */
static bool read_file(struct reader *r, size_t max, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	buf_reset(&r->text);
	if (!path_of(r, path, name))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		read_up_to(fd, max, &r->text);
	(void)close(fd);
	return r->text.p != NULL && r->text.len > 0 && !r->text.bad;
}

/* The first word in r->text. */
static const char *first_word(struct reader *r)
{
	r->text.p[strcspn(r->text.p, " \t\n")] = '\0';
	return r->text.p;
}

/* -1: it cannot be read. */
static int read_number(struct reader *r, const char *name)
{
	char *end;
	long v;

	if (!read_file(r, SMALL_BYTES, name))
		return -1;
	v = strtol(r->text.p, &end, 0);
	return end != r->text.p && v >= 0 && v <= INT_MAX ? (int)v : -1;
}

static bool iface_has(const struct reader *r, const char *iface, const char *name)
{
	char tail[PATH_MAX], path[PATH_MAX];

	(void)snprintf(tail, sizeof tail, "/sys/class/net/%s/%s", iface, name);
	return path_of(r, path, tail) && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static DIR *open_folder(const struct reader *r, const char *name)
{
	char path[PATH_MAX];

	return path_of(r, path, name) ? opendir(path) : NULL;
}

/* -- interfaces -- */

static void read_sysctls(struct reader *r, struct doctor_iface *i)
{
	const struct {
		const char *name;
		int *to;
	} v[] = {{"arp_ignore", &i->arp_ignore}, {"arp_announce", &i->arp_announce},
		{"rp_filter", &i->rp_filter}};
	char path[PATH_MAX];

	for (size_t k = 0; k < ARRAY_LEN(v); k++) {
		(void)snprintf(
			path, sizeof path, "/proc/sys/net/ipv4/conf/%s/%s", i->name, v[k].name);
		*v[k].to = read_number(r, path);
	}
}

static void read_iface(struct reader *r, const char *name)
{
	struct doctor_host *h = &r->f->host;
	struct doctor_iface *i = &h->ifaces[h->n_ifaces++];
	char path[PATH_MAX];
	int flags;

	*i = (struct doctor_iface){.up = false};
	(void)snprintf(i->name, sizeof i->name, "%.*s", DOCTOR_NAME - 1, name);
	(void)snprintf(path, sizeof path, "/sys/class/net/%s/type", name);
	i->ethernet = read_number(r, path) == ARPHRD_ETHERNET;
	(void)snprintf(path, sizeof path, "/sys/class/net/%s/flags", name);
	flags = read_number(r, path);
	(void)snprintf(path, sizeof path, "/sys/class/net/%s/operstate", name);
	if (read_file(r, SMALL_BYTES, path)) {
		const char *state = first_word(r);

		i->up = (strcmp(state, "up") == 0 || strcmp(state, "unknown") == 0) &&
			(flags < 0 || (flags & 1) != 0);
	}
	i->wireless = iface_has(r, name, "wireless") || iface_has(r, name, "phy80211");
	i->enslaved = iface_has(r, name, "brport") || iface_has(r, name, "bonding_slave");
	read_sysctls(r, i);
}

static void read_ifaces(struct reader *r)
{
	struct doctor_host *h = &r->f->host;
	DIR *d = open_folder(r, "/sys/class/net");
	const struct dirent *e;

	(void)snprintf(h->all.name, sizeof h->all.name, "all");
	read_sysctls(r, &h->all);
	while (d != NULL && (e = readdir(d)) != NULL && h->n_ifaces < DOCTOR_MAX_IFACES)
		if (e->d_name[0] != '.' && strlen(e->d_name) < DOCTOR_NAME &&
			strcmp(e->d_name, "lo") != 0)
			read_iface(r, e->d_name);
	if (d != NULL)
		(void)closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(
		((const struct doctor_iface *)a)->name, ((const struct doctor_iface *)b)->name);
}

static void read_routes(struct reader *r)
{
	struct doctor_host *h = &r->f->host;

	if (read_file(r, TABLE_BYTES, "/proc/net/route")) {
		h->has_routes = true;
		doctor_proc_route(r->text.p, r->text.len, h);
	}
	if (read_file(r, TABLE_BYTES, "/proc/net/ipv6_route"))
		doctor_proc_route6(r->text.p, r->text.len, h);
	if (read_file(r, TABLE_BYTES, "/proc/net/fib_trie")) {
		h->has_own = true;
		doctor_proc_fib_trie(r->text.p, r->text.len, h);
	}
	if (read_file(r, TABLE_BYTES, "/proc/net/if_inet6"))
		doctor_proc_if_inet6(r->text.p, r->text.len, h);
}

/* -- ports -- */

static bool port_matters(const struct doctor_facts *f, bool tcp, unsigned port)
{
	if (f->conf != NULL && port == (tcp ? f->conf->metrics_port : f->conf->elections.bfd_port))
		return true;
	return tcp ? port == 179 || port == 7472 : port == 3784 || port == 4784;
}

static void on_socket(void *ctx, bool tcp, uint16_t port, uint64_t inode)
{
	struct reader *r = ctx;
	struct doctor_host *h = &r->f->host;

	if (!port_matters(r->f, tcp, port) || h->n_ports == DOCTOR_MAX_PORTS)
		return;
	r->inode[h->n_ports] = inode;
	h->ports[h->n_ports++] = (struct doctor_port){.tcp = tcp, .port = port};
}

static void read_ports(struct reader *r)
{
	static const struct {
		const char *name;
		bool tcp;
	} v[] = {{"/proc/net/tcp", true}, {"/proc/net/tcp6", true}, {"/proc/net/udp", false},
		{"/proc/net/udp6", false}};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (read_file(r, TABLE_BYTES, v[i].name)) {
			r->f->host.has_ports = true;
			doctor_proc_sockets(r->text.p, r->text.len, v[i].tcp, on_socket, r);
		}
}

/* The process has the socket: it is the port's, then. */
static void note_socket(struct reader *r, const char *link, const char *comm)
{
	struct doctor_host *h = &r->f->host;
	static const char socket_of[] = "socket:[";
	unsigned long long inode;

	if (strncmp(link, socket_of, sizeof socket_of - 1) != 0)
		return;
	inode = strtoull(link + sizeof socket_of - 1, NULL, 10);
	for (size_t i = 0; i < h->n_ports; i++)
		if (r->inode[i] == inode) {
			(void)snprintf(h->ports[i].program, DOCTOR_NAME, "%s", comm);
			h->ports[i].ours = strcmp(comm, "lbd") == 0;
		}
}

static void read_sockets_of(struct reader *r, unsigned pid, const char *comm)
{
	char name[64], path[PATH_MAX], link[64];
	const struct dirent *e;
	size_t n = 0;
	DIR *d;

	(void)snprintf(name, sizeof name, "/proc/%u/fd", pid);
	d = open_folder(r, name);
	while (d != NULL && (e = readdir(d)) != NULL && n++ < MAX_FDS) {
		ssize_t len;

		if ((size_t)snprintf(path, sizeof path, "%s%s/%s", r->root, name, e->d_name) >=
			sizeof path)
			continue;
		len = readlink(path, link, sizeof link - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		note_socket(r, link, comm);
	}
	if (d != NULL)
		(void)closedir(d);
}

/* -- processes -- */

static bool link_of(const struct reader *r, const char *name, char *to, size_t size)
{
	char path[PATH_MAX];
	ssize_t n = path_of(r, path, name) ? readlink(path, to, size - 1) : -1;

	to[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* In a network namespace of its own, what it does there is not this host's. */
static bool is_elsewhere(const struct reader *r, unsigned pid)
{
	char name[64], net[64];

	(void)snprintf(name, sizeof name, "/proc/%u/ns/net", pid);
	return r->own_net[0] != '\0' && link_of(r, name, net, sizeof net) &&
	       strcmp(net, r->own_net) != 0;
}

/* "lbd run", not another command of it. */
static bool is_daemon(struct reader *r, unsigned pid)
{
	char name[64];
	size_t first;

	(void)snprintf(name, sizeof name, "/proc/%u/cmdline", pid);
	if (!read_file(r, SMALL_BYTES, name))
		return false;
	first = strlen(r->text.p) + 1;
	return first < r->text.len && strcmp(r->text.p + first, "run") == 0;
}

static void read_process(struct reader *r, unsigned pid)
{
	char name[64], comm[DOCTOR_NAME];

	(void)snprintf(name, sizeof name, "/proc/%u/comm", pid);
	if (!read_file(r, SMALL_BYTES, name))
		return;
	r->text.p[strcspn(r->text.p, "\n")] = '\0';
	(void)snprintf(comm, sizeof comm, "%s", r->text.p);
	if (r->f->host.n_ports > 0)
		read_sockets_of(r, pid, comm);
	if (is_elsewhere(r, pid))
		return;
	(void)doctor_rival_by_process(r->f, comm);
	r->f->firewall.firewalld |= strcmp(comm, "firewalld") == 0;
	if (strcmp(comm, "lbd") == 0 && is_daemon(r, pid))
		r->daemon_pid = pid;
}

static void read_processes(struct reader *r)
{
	DIR *d = open_folder(r, "/proc");
	const struct dirent *e;
	size_t n = 0;

	while (d != NULL && (e = readdir(d)) != NULL && n < MAX_PIDS)
		if (isdigit((unsigned char)e->d_name[0]) && strlen(e->d_name) < 10) {
			n++;
			read_process(r, (unsigned)strtoul(e->d_name, NULL, 10));
		}
	if (d != NULL)
		(void)closedir(d);
	r->f->host.daemon = r->daemon_pid != 0 ? DOCTOR_YES : n > 0 ? DOCTOR_NO : DOCTOR_UNKNOWN;
}

/* What the daemon has; where none runs, the most that a process started here could have. */
static void read_daemon(struct reader *r)
{
	struct doctor_host *h = &r->f->host;
	char name[64] = "/proc/self/status";

	if (r->daemon_pid != 0)
		(void)snprintf(name, sizeof name, "/proc/%u/status", r->daemon_pid);
	if (read_file(r, SMALL_BYTES, name))
		h->has_caps = doctor_proc_caps(r->text.p, r->text.len,
			r->daemon_pid != 0 ? "CapEff:" : "CapBnd:", &h->caps);
	(void)snprintf(name, sizeof name, "/proc/%u/stat", r->daemon_pid);
	if (r->daemon_pid != 0 && read_file(r, SMALL_BYTES, name))
		h->real_time = doctor_proc_real_time(r->text.p, r->text.len);
	/* Whose socket it is, only root may see; were it not lbd's, lbd would say so in its log. */
	for (size_t i = 0; i < h->n_ports && r->daemon_pid != 0; i++)
		h->ports[i].ours |= h->ports[i].program[0] == '\0';
}

/* -- the firewall -- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until its end, the limit or the time.  False: it did not come to its end. */
static bool read_pipe(int fd, struct buf *out)
{
	const uint64_t end = now_ms() + PROGRAM_MS;
	char chunk[16384];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		const uint64_t now = now_ms();
		ssize_t n;

		if (now >= end || out->bad)
			return false;
		if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
			return false;
		if ((p.revents & (POLLIN | POLLHUP | POLLERR)) == 0)
			continue;
		n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		buf_add(out, chunk, (size_t)n);
	}
}

static void become(char *const argv[], int out)
{
	char *const env[] = {NULL};
	int none = open("/dev/null", O_RDWR);

	if (none < 0 || dup2(none, STDIN_FILENO) < 0 || dup2(none, STDERR_FILENO) < 0 ||
		dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	(void)execve(argv[0], argv, env);
	_exit(127);
}

/* What the program prints.  False: it is not there, failed, or took too long. */
static bool run_program(char *const argv[], struct buf *out)
{
	int fd[2], status = 0;
	bool ended;
	pid_t pid;

	buf_reset(out);
	if (access(argv[0], X_OK) != 0 || pipe2(fd, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid == 0)
		become(argv, fd[1]);
	(void)close(fd[1]);
	ended = pid > 0 && read_pipe(fd[0], out);
	(void)close(fd[0]);
	if (pid > 0 && !ended)
		(void)kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void take_verdicts(
	struct doctor_firewall *w, const char *program, const enum doctor_verdict v[DOCTOR_PACKETS])
{
	for (size_t i = 0; i < DOCTOR_PACKETS; i++)
		w->verdict[i] = w->program == NULL ? v[i] : doctor_rules_worse(w->verdict[i], v[i]);
	w->program = program;
}

static void ask_nft(struct reader *r)
{
	static const char *const paths[] = {"/usr/sbin/nft", "/sbin/nft"};
	enum doctor_verdict v[DOCTOR_PACKETS];

	const bool iptables_read = r->f->firewall.program != NULL;
	bool done = false;

	for (size_t i = 0; i < ARRAY_LEN(paths) && !done; i++) {
		char path[16];
		char json[] = "-j", list[] = "list", ruleset[] = "ruleset";
		char *argv[] = {path, json, list, ruleset, NULL};
		cJSON *tree;

		(void)snprintf(path, sizeof path, "%s", paths[i]);
		if (!run_program(argv, &r->text))
			continue;
		tree = json_parse(r->text.p != NULL ? r->text.p : "", r->text.len);
		doctor_rules_nft(tree, iptables_read, v);
		cJSON_Delete(tree);
		done = true;
		take_verdicts(&r->f->firewall, "nft", v);
	}
}

/* The legacy ones are rules of which nft knows nothing. */
static void ask_iptables(struct reader *r)
{
	static const char *const paths[] = {"/usr/sbin/iptables-save", "/usr/sbin/ip6tables-save",
		"/usr/sbin/iptables-legacy-save", "/usr/sbin/ip6tables-legacy-save"};
	enum doctor_verdict v[DOCTOR_PACKETS];

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		char path[40];
		char *argv[] = {path, NULL};

		(void)snprintf(path, sizeof path, "%s", paths[i]);
		if (!run_program(argv, &r->text))
			continue;
		doctor_rules_iptables(r->text.p != NULL ? r->text.p : "", r->text.len, v);
		take_verdicts(&r->f->firewall, "iptables", v);
	}
}

static void read_firewall(struct reader *r)
{
	struct doctor_firewall *w = &r->f->firewall;

	if (read_file(r, SMALL_BYTES, "/etc/ufw/ufw.conf"))
		w->ufw = strstr(r->text.p, "\nENABLED=yes") != NULL;
	if (r->root[0] != '\0') {
		w->why = "the rules of another tree are not in its files";
		return;
	}
	if (geteuid() != 0) {
		w->why = "only root may read its rules";
		return;
	}
	ask_iptables(r);
	ask_nft(r);
	if (w->program == NULL)
		w->why = "neither nft nor iptables-save is here, or they failed";
}

void doctor_host_read(const char *root, struct doctor_facts *f)
{
	struct reader r = {.root = root != NULL ? root : "", .f = f};

	buf_init(&r.text, RULES_BYTES);
	(void)snprintf(f->host.root, sizeof f->host.root, "%s", r.root);
	(void)link_of(&r, "/proc/self/ns/net", r.own_net, sizeof r.own_net);
	read_ifaces(&r);
	qsort(f->host.ifaces, f->host.n_ifaces, sizeof f->host.ifaces[0], by_name);
	read_routes(&r);
	read_ports(&r);
	read_processes(&r);
	read_daemon(&r);
	read_firewall(&r);
	buf_free(&r.text);
}
