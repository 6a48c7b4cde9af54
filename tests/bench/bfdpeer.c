/* SPDX-License-Identifier: Apache-2.0
 *
 * bfdpeer.c - lbd's BFD alone: the shipping bfd.c and bfdio.c on a loop, for the laboratory and the
 * figures.
 *
 *   bfdpeer [-t TX_US] [-r RX_US] [-m MULTIPLIER] [-k KEY_FILE] [-K ID:SECRET] [-p PORT] [-T TTL]
 *           [-n COUNT] [-P] IFACE|- LOCAL REMOTE ...
 *
 * One session for each triple, COUNT of them on successive addresses; "-" for the interface is
 * several hops.  -P is passive, -K a raw key as BIRD takes it.  Prints a JSON line for each change
 * (us is CLOCK_BOOTTIME) and, at SIGINT or SIGTERM, one with the sums.  SIGUSR1 says AdminDown,
 * SIGUSR2 takes it back.
 */
#include "bfdio.h"
#include "log.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct peer {
	uv_loop_t loop;
	struct bfdio *io;
	struct bfdio_conf io_conf;
	struct bfd_conf conf;
	struct counters counters;
	struct rng rng;
	struct hash_key hkey;
	const char *key_file;
	unsigned count;
	struct bfd_session *s[BFD_MAX_SESSIONS];
	enum bfd_state last[BFD_MAX_SESSIONS];
	size_t n;
	uint64_t downs;
	uv_signal_t signals[4];
};

struct slot {
	struct peer *p;
	size_t i;
};

static void on_changed(void *ctx, struct bfd_session *s)
{
	const struct slot *slot = ctx;
	uint64_t now_us = bfdio_now_us();
	char local[ADDR_STRLEN], remote[ADDR_STRLEN];
	struct peer *p = slot->p;
	struct bfd_view v;

	bfd_view(s, now_us, &v);
	p->downs += p->last[slot->i] == BFD_UP && v.state != BFD_UP;
	p->last[slot->i] = v.state;
	printf("{\"us\":%llu,\"local\":\"%s\",\"remote\":\"%s\",\"state\":\"%s\",\"diag\":\"%s\","
	       "\"remoteState\":\"%s\",\"remoteDiag\":\"%s\",\"transmitUs\":%u,\"detectUs\":%u,"
	       "\"heardUs\":%llu,\"deaf\":%s,\"loss\":%.4f}\n",
		(unsigned long long)now_us, addr_format(v.path.local, local),
		addr_format(v.path.remote, remote), bfd_state_name(v.state), bfd_diag_text(v.diag),
		bfd_state_name(v.remote_state), bfd_diag_text(v.remote_diag), v.transmit_us,
		v.detect_us, (unsigned long long)v.heard_us,
		v.remote_down_us == TIME_NEVER ? "false" : "true", v.loss);
	(void)fflush(stdout);
}

static const struct bfd_user user = {.changed = on_changed};

static void on_closed(void *ctx)
{
	(void)ctx;
}

static const struct bfdio_ops ops = {.on_closed = on_closed};

static void finish(struct peer *p)
{
	unsigned long long sent = 0, received = 0, up = 0;
	struct bfd_view v;

	for (size_t i = 0; i < p->n; i++) {
		bfd_view(p->s[i], bfdio_now_us(), &v);
		sent += v.sent;
		received += v.received;
		up += v.state == BFD_UP;
	}
	printf("{\"sessions\":%zu,\"up\":%llu,\"downs\":%llu,\"sent\":%llu,\"received\":%llu", p->n,
		up, (unsigned long long)p->downs, sent, received);
	for (unsigned i = COUNTER_BFD_DROP_LENGTH; i <= COUNTER_BFD_DROP_DIGEST; i++)
		if (p->counters.v[i] > 0)
			printf(",\"%.*s\":%llu",
				(int)strcspn(counter_row(i)->labels + strlen("reason=\""), "\""),
				counter_row(i)->labels + strlen("reason=\""),
				(unsigned long long)p->counters.v[i]);
	printf("}\n");
	(void)fflush(stdout);
	bfdio_close(p->io);
	for (size_t i = 0; i < ARRAY_LEN(p->signals); i++)
		uv_close((uv_handle_t *)&p->signals[i], NULL);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct peer *p = handle->data;

	if (signum == SIGINT || signum == SIGTERM) {
		finish(p);
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		bfd_set_admin_down(bfdio_engine(p->io), p->s[i], signum == SIGUSR1, bfdio_now_us());
	bfdio_flush(p->io);
}

static void die(const char *what, int rc)
{
	(void)fprintf(stderr, "bfdpeer: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static struct addr parse(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		die(s, -EINVAL);
	return a;
}

static void add(struct peer *p, const char *iface, const char *local, const char *remote)
{
	struct bfd_path path = {.local = parse(local), .remote = parse(remote)};

	if (strcmp(iface, "-") != 0) {
		path.ifindex = if_nametoindex(iface);
		if (path.ifindex == 0)
			die(iface, -errno);
	} else if (p->conf.minimum_ttl == UINT8_MAX) {
		p->conf.minimum_ttl = 254; /* FRR's and MetalLB's default */
	}
	for (unsigned i = 0; i < p->count; i++) {
		struct slot *slot = malloc(sizeof *slot);
		int rc;

		if (slot == NULL || p->n == BFD_MAX_SESSIONS)
			die("sessions", -ENOMEM);
		*slot = (struct slot){p, p->n};
		rc = bfd_add(bfdio_engine(p->io), &path, &p->conf, &user, slot, bfdio_now_us(),
			&p->s[p->n]);
		if (rc != 0)
			die("bfd_add", rc);
		p->last[p->n++] = BFD_DOWN;
		path.local = addr_next(path.local);
		path.remote = addr_next(path.remote);
	}
}

static unsigned number(const char *s)
{
	return (unsigned)strtoul(s, NULL, 10);
}

static struct bfd_key raw_key(const char *s)
{
	const char *colon = strchr(s, ':');
	struct bfd_key k = {.id = (uint8_t)number(s)};

	if (colon == NULL || strlen(colon + 1) > BFD_KEY_MAX)
		die(s, -EINVAL);
	k.len = strlen(colon + 1);
	memcpy(k.secret, colon + 1, k.len);
	return k;
}

static void read_options(struct peer *p, int argc, char **argv, const char **ret_raw_key)
{
	int c;

	while ((c = getopt(argc, argv, "t:r:m:k:K:p:T:n:P")) != -1) {
		if (c == 't')
			p->conf.transmit_us = number(optarg);
		else if (c == 'r')
			p->conf.receive_us = number(optarg);
		else if (c == 'm')
			p->conf.multiplier = number(optarg);
		else if (c == 'k')
			p->key_file = optarg;
		else if (c == 'K')
			*ret_raw_key = optarg;
		else if (c == 'p')
			p->io_conf.port = number(optarg);
		else if (c == 'T')
			p->conf.minimum_ttl = number(optarg);
		else if (c == 'n')
			p->count = number(optarg);
		else if (c == 'P')
			p->conf.passive = true;
		else
			exit(2);
	}
}

static void watch_signals(struct peer *p)
{
	static const int signums[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < ARRAY_LEN(signums); i++) {
		(void)uv_signal_init(&p->loop, &p->signals[i]);
		p->signals[i].data = p;
		(void)uv_signal_start(&p->signals[i], on_signal, signums[i]);
	}
}

int main(int argc, char **argv)
{
	static struct peer p;
	const char *raw = NULL;
	struct bfd_key key;
	int rc;

	p.conf = (struct bfd_conf){100000, 100000, 3, false, false, 255};
	p.io_conf.port = BFDIO_PORT;
	p.count = 1;
	read_options(&p, argc, argv, &raw);
	if (getrandom(&p.rng, sizeof p.rng, 0) != sizeof p.rng ||
		getrandom(&p.hkey, sizeof p.hkey, 0) != sizeof p.hkey)
		die("getrandom", -errno);
	for (int i = optind; i < argc; i += 3)
		p.io_conf.multihop = p.io_conf.multihop || strcmp(argv[i], "-") == 0;
	(void)uv_loop_init(&p.loop);
	rc = bfdio_open(&p.loop, &p.io_conf, &ops, &p, &p.hkey, &p.rng, &p.counters, &p.io);
	if (rc != 0)
		die("bfdio_open", rc);
	p.conf.keyed = p.key_file != NULL || raw != NULL;
	if (raw != NULL) {
		key = raw_key(raw);
		bfd_set_keys(bfdio_engine(p.io), &key, 1);
	} else {
		bfdio_set_key_file(p.io, p.key_file);
	}
	for (int i = optind; i + 2 < argc; i += 3)
		add(&p, argv[i], argv[i + 1], argv[i + 2]);
	watch_signals(&p);
	(void)uv_run(&p.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&p.loop) == 0 ? 0 : 1;
}
