/* SPDX-License-Identifier: Apache-2.0
 *
 * udpprobe.c - what a client sees of a service: numbered datagrams at a fixed rate, and who answered
 * which.
 *
 *   udpprobe -e ADDRESS PORT ID                echoes each datagram with ID (0 to 255) in it, for ever;
 *                                              the address need not be there yet
 *   udpprobe -r RATE -t SECONDS ADDRESS PORT   probes
 *
 * Out:  "sent=N lost=N gap_us=N": the longest time between the sending of two probes that were
 *       answered with none answered between them; then a line for each change of who answers, the
 *       first included: "by=ID at_ns=N", when the probe was sent, by CLOCK_MONOTONIC.
 *
 * Late answers count: a probe is lost if none has come within LINGER_MS of the last one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINGER_MS = 300, MAX_PROBES = 4 << 20, EX_USAGE = 2, EX_SOCKET = 3 };
enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000 };

struct datagram {
	uint32_t number;
	uint8_t by;
	uint8_t pad[3];
};

struct probe {
	uint64_t sent_ns;
	bool answered;
	uint8_t by;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int open_udp(const char *address, const char *port, bool listens)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atol(port))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20, yes = 1;

	if (fd < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &yes, sizeof yes);
	if ((listens ? bind : connect)(fd, (const struct sockaddr *)&at, sizeof at) != 0)
		return -1;
	return fd;
}

static int echo(const char *address, const char *port, uint8_t id)
{
	int fd = open_udp(address, port, true);

	while (fd >= 0) {
		struct datagram d;
		struct sockaddr_in from;
		socklen_t len = sizeof from;

		if (recvfrom(fd, &d, sizeof d, 0, (struct sockaddr *)&from, &len) != sizeof d)
			continue;
		d.by = id;
		(void)sendto(fd, &d, sizeof d, 0, (const struct sockaddr *)&from, len);
	}
	return EX_SOCKET;
}

/* Answers that come until then. */
static void receive(int fd, struct probe *v, size_t n, uint64_t until_ns)
{
	for (uint64_t now = now_ns(); now < until_ns; now = now_ns()) {
		const struct timespec wait = {.tv_nsec = (long)(until_ns - now)};
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct datagram d;

		if (ppoll(&p, 1, &wait, NULL) <= 0)
			continue;
		while (recv(fd, &d, sizeof d, MSG_DONTWAIT) == sizeof d)
			if (d.number < n) {
				v[d.number].answered = true;
				v[d.number].by = d.by;
			}
	}
}

static void tell(const struct probe *v, size_t n)
{
	const struct probe *last = NULL;
	uint64_t gap_ns = 0;
	size_t lost = 0;

	for (size_t i = 0; i < n; i++) {
		lost += !v[i].answered;
		if (!v[i].answered)
			continue;
		if (last != NULL && v[i].sent_ns - last->sent_ns > gap_ns)
			gap_ns = v[i].sent_ns - last->sent_ns;
		last = &v[i];
	}
	printf("sent=%zu lost=%zu gap_us=%" PRIu64 "\n", n, lost, gap_ns / 1000);
	last = NULL;
	for (size_t i = 0; i < n; i++) {
		if (v[i].answered && (last == NULL || last->by != v[i].by))
			printf("by=%u at_ns=%" PRIu64 "\n", v[i].by, v[i].sent_ns);
		if (v[i].answered)
			last = &v[i];
	}
}

static int probe(const char *address, const char *port, double rate, double seconds)
{
	size_t n = rate > 0 && seconds > 0 ? (size_t)(rate * seconds) : 0;
	int fd = open_udp(address, port, false);
	struct probe *v = n > 0 && n <= MAX_PROBES ? calloc(n, sizeof *v) : NULL;
	uint64_t begin_ns = now_ns();

	if (fd < 0 || v == NULL)
		return EX_SOCKET;
	for (size_t i = 0; i < n; i++) {
		const struct datagram d = {.number = (uint32_t)i};

		v[i].sent_ns = now_ns();
		(void)send(fd, &d, sizeof d, MSG_DONTWAIT); /* refused: it counts as lost */
		receive(fd, v, i + 1, begin_ns + (uint64_t)((double)(i + 1) * NS_PER_S / rate));
	}
	for (unsigned i = 0; i < LINGER_MS; i++)
		receive(fd, v, n, now_ns() + NS_PER_MS);
	tell(v, n);
	free(v);
	(void)close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	double rate = 1000, seconds = 1;
	int c;

	if (argc == 5 && strcmp(argv[1], "-e") == 0)
		return echo(argv[2], argv[3], (uint8_t)atol(argv[4]));
	while ((c = getopt(argc, argv, "r:t:")) != -1) {
		if (c == 'r')
			rate = atof(optarg);
		else if (c == 't')
			seconds = atof(optarg);
		else
			return EX_USAGE;
	}
	return argc - optind == 2 ? probe(argv[optind], argv[optind + 1], rate, seconds) : EX_USAGE;
}
