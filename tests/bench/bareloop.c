/* SPDX-License-Identifier: Apache-2.0
 *
 * bareloop.c - what waking up costs on this machine: a timer that fires N times a second, a
 * datagram of BFD's size to nobody at each second one, and nothing else.
 *
 *   bareloop WAKEUPS_PER_S SECONDS        prints the processor time, ms a second
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int a_socket(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
		die("socket");
	return fd;
}

static int a_timer(long per_s)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
	struct itimerspec t;

	memset(&t, 0, sizeof t);
	t.it_interval.tv_nsec = t.it_value.tv_nsec = 1000000000L / per_s;
	if (fd < 0 || timerfd_settime(fd, 0, &t, NULL) != 0)
		die("timerfd");
	return fd;
}

int main(int argc, char **argv)
{
	long per_s = argc == 3 ? strtol(argv[1], NULL, 10) : 0, seconds = 0;
	struct epoll_event event = {.events = EPOLLIN};
	int timer, udp, ep = epoll_create1(EPOLL_CLOEXEC);
	const uint8_t packet[24] = {0};
	struct timespec cpu;
	uint64_t fired;

	if (per_s < 2)
		return 2;
	seconds = strtol(argv[2], NULL, 10);
	timer = a_timer(per_s);
	udp = a_socket();
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, timer, &event) != 0)
		die("epoll");
	for (long i = 0; i < per_s * seconds; i++) {
		if (epoll_wait(ep, &event, 1, -1) < 0 && errno != EINTR)
			die("epoll_wait");
		if (read(timer, &fired, sizeof fired) != sizeof fired)
			die("read");
		if (i % 2 == 0)
			(void)send(udp, packet, sizeof packet, MSG_DONTWAIT);
	}
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("%.3f\n", ((double)cpu.tv_sec * 1e3 + (double)cpu.tv_nsec / 1e6) / (double)seconds);
	return 0;
}
