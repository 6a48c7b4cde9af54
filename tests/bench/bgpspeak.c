/* SPDX-License-Identifier: Apache-2.0
 *
 * bgpspeak.c - lbd's BGP alone: the shipping bgp.c, bgp_rib.c and bgpio.c on a loop, for the
 * figures.
 *
 *   bgpspeak [-n COUNT] [-f FIRST] [-a ASN] [-A PEER_ASN] [-p PORT] LOCAL REMOTE ...
 *
 * Connects to each REMOTE and announces COUNT host prefixes from FIRST on to each.  SIGUSR1 takes
 * them all back, SIGUSR2 announces them again, SIGTERM ends.  Prints a JSON line for each of these
 * and for each change of state; ns is CLOCK_BOOTTIME.
 */
#include "bgpio.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { PEERS_MAX = 64 };

struct speaker {
	uv_loop_t loop;
	struct bgpio *peers[PEERS_MAX]; /* each frees itself once it is closed */
	size_t n_peers;
	struct addr local, first;
	unsigned count, asn, peer_asn, port;
	struct hash_key hkey;
	struct rng rng;
	uv_signal_t signals[4];
};

struct slot {
	struct speaker *s;
	size_t i;
};

static void die(const char *what, int rc)
{
	(void)fprintf(stderr, "bgpspeak: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void tell(const char *event)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	printf("{\"ns\":%" PRIu64 ",\"event\":\"%s\"}\n",
		(uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec, event);
	(void)fflush(stdout);
}

static void on_changed(void *ctx, enum bgp_state was)
{
	const struct slot *slot = ctx;
	struct bgp_view v;

	(void)was;
	bgp_view(bgpio_engine(slot->s->peers[slot->i]), &v);
	tell(bgp_state_name(v.state));
}

static void on_closed(void *ctx)
{
	free(ctx);
}

static const struct bgpio_ops ops = {.changed = on_changed, .on_closed = on_closed};

static void announce_all(struct speaker *s, struct bgpio *p)
{
	const uint8_t len = addr_family(s->first) == ADDR_V4 ? 32 : 128;
	const struct bgp_attributes a = {.path = {s->asn}, .n_path = 1, .next_hop = s->local};
	struct addr at = s->first;

	for (unsigned i = 0; i < s->count; i++, at = addr_next(at)) {
		int rc = bgp_rib_put(bgp_rib(bgpio_engine(p)), (struct addr_prefix){at, len}, &a);

		if (rc != 0)
			die("bgp_rib_put", rc);
	}
}

static void withdraw_all(struct bgpio *p)
{
	struct bgp_rib *r = bgp_rib(bgpio_engine(p));

	bgp_rib_begin_sync(r);
	bgp_rib_end_sync(r);
}

static void finish(struct speaker *s)
{
	for (size_t i = 0; i < s->n_peers; i++)
		bgpio_close(s->peers[i], BGP_CEASE_SHUTDOWN, NULL);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct speaker *s = handle->data;

	if (signum == SIGINT || signum == SIGTERM) {
		finish(s);
		return;
	}
	tell(signum == SIGUSR1 ? "withdraw" : "announce");
	for (size_t i = 0; i < s->n_peers; i++) {
		if (signum == SIGUSR1)
			withdraw_all(s->peers[i]);
		else
			announce_all(s, s->peers[i]);
		bgpio_flush(s->peers[i]);
	}
}

static struct addr parse(const char *text)
{
	struct addr a;

	if (addr_parse(text, strlen(text), &a) != 0)
		die(text, -EINVAL);
	return a;
}

static void add(struct speaker *s, const char *remote)
{
	const struct bgpio_conf io_conf = {
		.remote = parse(remote), .local = s->local, .port = s->port};
	const struct bgp_conf conf = {.local_asn = s->asn,
		.asn = BGP_ASN_GIVEN,
		.peer_asn = s->peer_asn,
		.router_id = (uint32_t)s->local.lo,
		.hold_s = 90,
		.connect_ms = 1000,
		.families = {true, true}};
	struct slot *slot = malloc(sizeof *slot);
	int rc;

	if (slot == NULL || s->n_peers == PEERS_MAX)
		die("peers", -ENOMEM);
	*slot = (struct slot){s, s->n_peers};
	rc = bgpio_open(
		&s->loop, &io_conf, &conf, &ops, slot, &s->hkey, &s->rng, &s->peers[s->n_peers]);
	if (rc != 0)
		die(remote, rc);
	announce_all(s, s->peers[s->n_peers]);
	bgpio_start(s->peers[s->n_peers++]);
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

static void read_options(struct speaker *s, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:f:a:A:p:")) != -1) {
		if (c == 'n')
			s->count = number(optarg);
		else if (c == 'f')
			s->first = parse(optarg);
		else if (c == 'a')
			s->asn = number(optarg);
		else if (c == 'A')
			s->peer_asn = number(optarg);
		else if (c == 'p')
			s->port = number(optarg);
		else
			exit(2);
	}
	if (argc - optind < 2)
		exit(2);
	s->local = parse(argv[optind]);
}

static void watch_signals(struct speaker *s)
{
	static const int signums[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < ARRAY_LEN(signums); i++) {
		(void)uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		(void)uv_signal_start(&s->signals[i], on_signal, signums[i]);
	}
}

int main(int argc, char **argv)
{
	static struct speaker s = {.asn = 65001, .peer_asn = 65000, .port = BGPIO_PORT};

	read_options(&s, argc, argv);
	if (getrandom(&s.rng, sizeof s.rng, 0) != sizeof s.rng ||
		getrandom(&s.hkey, sizeof s.hkey, 0) != sizeof s.hkey)
		die("getrandom", -errno);
	(void)uv_loop_init(&s.loop);
	watch_signals(&s);
	for (int i = optind + 1; i < argc; i++)
		add(&s, argv[i]);
	(void)uv_run(&s.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&s.loop) == 0 ? 0 : 1;
}
