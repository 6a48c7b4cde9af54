/* SPDX-License-Identifier: Apache-2.0
 *
 * arpblast.c - asks for IPv4 addresses by ARP, or for IPv6 ones by neighbor solicitations, as fast as
 * a window allows, and says how fast and how soon the answers come.
 *
 *   arpblast -i IFACE [-s SENDER] [-w WINDOW] [-n COUNT] [-t SECONDS] FIRST [HOW-MANY]
 *   arpblast -i IFACE -j RATE [-t SECONDS] FIRST [HOW-MANY]       junk: asks and waits for nothing
 *
 * In:   a window of 1 measures the round trip; a larger one, 64 say, the rate.  Addresses are asked
 *       for in turn, FIRST and the HOW-MANY - 1 behind it.
 * Out:  one line: sent=N replies=N lost=N seconds=S rate=N/s rtt_p50_us= rtt_p99_us= rtt_p999_us=
 *       rtt_max_us=; exit 0, 1 when no reply came, 2 for wrong usage, 3 when the socket failed.
 *
 * A reply is matched with the oldest request that is still open, so with a window above 1 the round
 * trip includes the queue.  The receive is a blocking one: spinning would take a core from the
 * answering side.  When nothing comes for 100 ms all that is open counts as lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ARP_LEN = 42, NS_LEN = 86, MAX_WINDOW = 4096, MAX_SAMPLES = 1 << 20, LOST_MS = 100, EX_SOCKET = 3 };

/* Of IPv4 the last four bytes. */
struct ip {
	bool v6;
	uint8_t b[16];
};

struct options {
	const char *iface;
	struct ip sender, first;
	uint32_t how_many;
	unsigned window;
	uint64_t count; /* 0 = until the time is over */
	double seconds;
	uint64_t junk_rate; /* 0 = wait for replies */
};

struct blast {
	struct options o;
	int fd;
	uint8_t frame[NS_LEN];
	size_t len;
	uint64_t open_ns[MAX_WINDOW]; /* send times, a ring: oldest at head */
	unsigned head, n_open;
	uint64_t sent, replies, lost;
	uint32_t *rtt_ns; /* owned */
	size_t n_rtt;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* -- the socket -- */

static int attach_filter(int fd, bool v6)
{
	/* ARP replies, or advertisements, alone: what others ask must not wake us. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | (v6 ? BPF_B : BPF_H) | BPF_ABS, v6 ? 54 : 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v6 ? 136 : 2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, NS_LEN),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static bool read_mac(int fd, const char *iface, uint8_t mac[6])
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	if (ioctl(fd, SIOCGIFHWADDR, &r) != 0)
		return false;
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	return true;
}

static bool open_socket(struct blast *b, uint8_t mac[6])
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
		.sll_protocol = htons(b->o.first.v6 ? ETH_P_IPV6 : ETH_P_ARP)};
	struct timeval wait = {.tv_usec = LOST_MS * 1000L};
	int on = 1, size = 4 << 20;

	at.sll_ifindex = (int)if_nametoindex(b->o.iface);
	b->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (b->fd < 0 || at.sll_ifindex == 0 || attach_filter(b->fd, b->o.first.v6) != 0 ||
		setsockopt(b->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
		!read_mac(b->fd, b->o.iface, mac) ||
		bind(b->fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
		return false;
	(void)setsockopt(b->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	(void)setsockopt(b->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(b->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return true;
}

static void make_arp(struct blast *b, const uint8_t mac[6])
{
	static const uint8_t head[10] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};

	b->len = ARP_LEN;
	memset(b->frame, 0xff, 6);
	memcpy(b->frame + 6, mac, 6);
	memcpy(b->frame + 12, head, sizeof(head));
	memcpy(b->frame + 22, mac, 6);
	memcpy(b->frame + 28, b->o.sender.b + 12, 4);
}

/* To the solicited-node group, from SENDER, with its link-layer address (RFC 4861 4.3). */
static void make_ns(struct blast *b, const uint8_t mac[6])
{
	static const uint8_t head[10] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, NS_LEN - 54, 58, 255};
	static const uint8_t group[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	b->len = NS_LEN;
	memcpy(b->frame, "\x33\x33\xff", 3);
	memcpy(b->frame + 6, mac, 6);
	memcpy(b->frame + 12, head, sizeof(head));
	memcpy(b->frame + 22, b->o.sender.b, 16);
	memcpy(b->frame + 38, group, sizeof(group));
	b->frame[54] = 135;
	memcpy(b->frame + 62, b->o.first.b, 16);
	b->frame[78] = b->frame[79] = 1;
	memcpy(b->frame + 80, mac, 6);
}

static void seal(uint8_t *f)
{
	uint32_t sum = NS_LEN - 54 + 58;

	f[56] = f[57] = 0;
	for (unsigned i = 22; i < NS_LEN; i += 2)
		sum += (uint32_t)f[i] << 8 | f[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[56] = (uint8_t)(sum >> 8);
	f[57] = (uint8_t)sum;
}

static void set_target(struct blast *b)
{
	uint32_t target;

	memcpy(&target, b->o.first.b + 12, 4);
	target = htonl(ntohl(target) + (uint32_t)(b->sent % b->o.how_many));
	if (!b->o.first.v6) {
		memcpy(b->frame + 38, &target, 4);
		return;
	}
	memcpy(b->frame + 74, &target, 4);
	memcpy(b->frame + 3, b->frame + 75, 3);
	memcpy(b->frame + 51, b->frame + 75, 3);
	seal(b->frame);
}

static bool send_one(struct blast *b)
{
	set_target(b);
	if (send(b->fd, b->frame, b->len, 0) < 0 && errno != ENOBUFS && errno != EAGAIN)
		return false;
	b->sent++;
	return true;
}

/* -- asking and waiting -- */

static void take_reply(struct blast *b)
{
	uint64_t rtt = now_ns() - b->open_ns[b->head];

	b->replies++;
	if (b->n_open == 0) /* of one that was given up */
		return;
	b->head = (b->head + 1) % MAX_WINDOW;
	b->n_open--;
	if (b->n_rtt < MAX_SAMPLES)
		b->rtt_ns[b->n_rtt++] = rtt > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt;
}

/* Waits for the first reply, takes what else is there. */
static bool receive(struct blast *b)
{
	uint8_t buf[NS_LEN];
	int flags = 0;

	while (b->n_open > 0) {
		if (recv(b->fd, buf, sizeof(buf), flags) > 0) {
			take_reply(b);
			flags = MSG_DONTWAIT;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return false;
		if (flags == 0) {
			b->lost += b->n_open;
			b->n_open = 0;
		}
		return true;
	}
	return true;
}

static bool run(struct blast *b)
{
	uint64_t end = now_ns() + (uint64_t)(b->o.seconds * 1e9);

	for (;;) {
		bool more = (b->o.count == 0 || b->sent < b->o.count) && now_ns() < end;

		if (!more && b->n_open == 0)
			return true;
		while (more && b->n_open < b->o.window &&
			(b->o.count == 0 || b->sent < b->o.count)) {
			b->open_ns[(b->head + b->n_open) % MAX_WINDOW] = now_ns();
			if (!send_one(b))
				return false;
			b->n_open++;
		}
		if (!receive(b))
			return false;
	}
}

/* In slices of a millisecond, so that the rate is even. */
static bool run_junk(struct blast *b)
{
	uint64_t start = now_ns(), end = start + (uint64_t)(b->o.seconds * 1e9), now;

	while ((now = now_ns()) < end) {
		uint64_t due = (uint64_t)((double)(now - start) * 1e-9 * (double)b->o.junk_rate);
		struct timespec nap = {.tv_nsec = 200000};

		while (b->sent < due)
			if (!send_one(b))
				return false;
		(void)nanosleep(&nap, NULL);
	}
	return true;
}

/* -- result -- */

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double quantile_us(const struct blast *b, double q)
{
	if (b->n_rtt == 0)
		return 0;
	return b->rtt_ns[(size_t)(q * (double)(b->n_rtt - 1))] / 1e3;
}

static void report(struct blast *b, double seconds)
{
	qsort(b->rtt_ns, b->n_rtt, sizeof(*b->rtt_ns), by_value);
	printf("sent=%" PRIu64 " replies=%" PRIu64 " lost=%" PRIu64 " seconds=%.3f rate=%.0f",
		b->sent, b->replies, b->lost, seconds,
		(double)(b->o.junk_rate != 0 ? b->sent : b->replies) / seconds);
	printf(" rtt_p50_us=%.1f rtt_p99_us=%.1f rtt_p999_us=%.1f rtt_max_us=%.1f\n",
		quantile_us(b, 0.5), quantile_us(b, 0.99), quantile_us(b, 0.999),
		quantile_us(b, 1));
}

/* -- command line -- */

static bool parse_ip(const char *s, struct ip *ret_v)
{
	ret_v->v6 = strchr(s, ':') != NULL;
	return ret_v->v6 ? inet_pton(AF_INET6, s, ret_v->b) == 1
			 : inet_pton(AF_INET, s, ret_v->b + 12) == 1;
}

static bool parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *ret_v)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || v < min || v > max)
		return false;
	*ret_v = v;
	return true;
}

static bool parse_option(int c, const char *arg, struct options *o)
{
	uint64_t v;

	switch (c) {
	case 'i':
		o->iface = arg;
		return true;
	case 's':
		return parse_ip(arg, &o->sender);
	case 'w':
		if (!parse_number(arg, 1, MAX_WINDOW, &v))
			return false;
		o->window = (unsigned)v;
		return true;
	case 'n':
		return parse_number(arg, 1, UINT32_MAX, &o->count);
	case 't':
		o->seconds = strtod(arg, NULL);
		return o->seconds > 0 && o->seconds <= 3600;
	case 'j':
		return parse_number(arg, 1, 100000000, &o->junk_rate);
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct options *o)
{
	uint64_t v = 1;
	int c;

	*o = (struct options){.how_many = 1, .window = 1, .seconds = 10};
	while ((c = getopt(argc, argv, "i:s:w:n:t:j:")) != -1)
		if (!parse_option(c, optarg, o))
			return false;
	if (o->iface == NULL || optind >= argc || argc - optind > 2 ||
		!parse_ip(argv[optind], &o->first))
		return false;
	if (argc - optind == 2 && !parse_number(argv[optind + 1], 1, UINT32_MAX, &v))
		return false;
	o->how_many = (uint32_t)v;
	return true;
}

int main(int argc, char **argv)
{
	static struct blast b;
	uint64_t start;
	uint8_t mac[6];
	bool ok;

	if (!parse(argc, argv, &b.o)) {
		(void)fprintf(stderr, "usage: arpblast -i IFACE [-s SENDER] [-w WINDOW] [-n COUNT] "
				      "[-t SECONDS] [-j RATE] FIRST [HOW-MANY]\n");
		return 2;
	}
	b.rtt_ns = calloc(MAX_SAMPLES, sizeof(*b.rtt_ns));
	if (b.rtt_ns == NULL || !open_socket(&b, mac)) {
		(void)fprintf(stderr, "arpblast: %s: %s\n", b.o.iface, strerror(errno));
		return EX_SOCKET;
	}
	if (b.o.first.v6)
		make_ns(&b, mac);
	else
		make_arp(&b, mac);
	start = now_ns();
	ok = b.o.junk_rate != 0 ? run_junk(&b) : run(&b);
	if (!ok)
		(void)fprintf(stderr, "arpblast: %s: %s\n", b.o.iface, strerror(errno));
	report(&b, (double)(now_ns() - start) * 1e-9);
	free(b.rtt_ns);
	(void)close(b.fd);
	if (!ok)
		return EX_SOCKET;
	return b.replies > 0 || b.o.junk_rate != 0 ? 0 : 1;
}
