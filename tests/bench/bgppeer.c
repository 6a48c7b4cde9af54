/* SPDX-License-Identifier: Apache-2.0
 *
 * bgppeer.c - the other end of a BGP session, for the figures: counts the prefixes that it is told,
 * or sends many.
 *
 *   bgppeer [-l LOCAL] [-p PORT] [-a ASN] [-i ROUTER_ID] [-n COUNT] [-s COUNT] [-f FIRST]
 *           [-d MS] [-x] [-v] [REMOTE ...]
 *
 * Connects to each REMOTE, from LOCAL; without one it listens at LOCAL.  -x: extended messages.
 * -s: sends so many IPv4 host prefixes from FIRST on, full messages, and the End-of-RIB; -d: so
 * long after the session was established.
 *
 * Out:  a JSON line for each event; ns is CLOCK_BOOTTIME.
 *       opened       our KEEPALIVE is on its way, so that the other side may announce
 *       established  its KEEPALIVE came
 *       first        prefix
 *       all          COUNT distinct ones (-n) are announced
 *       fewer        no longer
 *       none         the last was withdrawn
 *       end-of-rib
 *       sent         the last of -s is the kernel's
 *       closed       with the sums
 *       announced, withdrawn (-v)  a prefix: its last 32 bits as a number
 *
 * It shares no code with lbd, so that it cannot share its errors; what is malformed ends it.
 * RFCs: 4271, 4724 (End-of-RIB), 4760, 5492, 6793, 8654.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, UPDATE, NOTIFICATION, KEEPALIVE };
enum { HEADER = 19, MESSAGE = 4096, EXTENDED = 65535, UPDATE_EMPTY = HEADER + 4 };
enum { HOLD_S = 240, KEEPALIVE_MS = 30000, RETRY_MS = 200, AS_TRANS = 23456 };
enum { MP_REACH = 14, MP_UNREACH = 15, FLAG_EXTENDED = 0x10 };
enum { MAX_SESSIONS = 64, ROOM = 4 * EXTENDED, LOW_BITS = 16, BLOCKS = 1 << 16 };

/* Which are there of the prefixes of one length that differ in the last 16 bits alone. */
struct block {
	uint8_t key[18]; /* the address (IPv4 at its end), the last 16 bits zero; family, length */
	uint64_t bits[(1 << LOW_BITS) / 64];
};

struct session {
	int fd;          /* -1: to be connected */
	bool connecting; /* the kernel is at it */
	char peer[INET6_ADDRSTRLEN];
	bool opened, established, extended;
	uint8_t in[ROOM];
	size_t in_len;
	struct block *blocks[BLOCKS]; /* owned; by a hash of the key */
	struct block *recent;
	uint32_t count;
	uint64_t announced, withdrawn, updates;
	size_t out_sent; /* of the messages of -s */
	bool sending;
	int64_t keepalive_ms, retry_ms, send_ms; /* when the next is due */
};

struct bench {
	const char *local, *port;
	uint32_t asn, router_id, expected, first, send;
	int64_t delay_ms;
	bool extended, verbose;
	int listener; /* -1: none */
	struct session *v[MAX_SESSIONS];
	size_t n;
	uint8_t *out[2]; /* messages of -s of up to MESSAGE, of up to EXTENDED */
	size_t out_len[2];
};

static volatile sig_atomic_t ended;

static void on_signal(int signum)
{
	(void)signum;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t now_ms(void)
{
	return (int64_t)(now_ns() / 1000000);
}

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bgppeer: %s: %s\n", what, errno != 0 ? strerror(errno) : "wrong");
	exit(1);
}

static _Noreturn void malformed(const struct session *s, const char *what)
{
	printf("{\"ns\":%" PRIu64 ",\"peer\":\"%s\",\"event\":\"malformed\",\"what\":\"%s\"}\n",
		now_ns(), s->peer, what);
	exit(1);
}

static void tell(const struct session *s, uint64_t ns, const char *event)
{
	printf("{\"ns\":%" PRIu64 ",\"peer\":\"%s\",\"event\":\"%s\",\"count\":%" PRIu32 "}\n", ns,
		s->peer, event, s->count);
	(void)fflush(stdout);
}

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

static uint8_t *put(uint8_t *p, const void *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

/* -- what there is -- */

static struct block *block_of(struct session *s, const uint8_t key[static 18])
{
	uint32_t hash = 0;

	if (s->recent != NULL && memcmp(s->recent->key, key, sizeof s->recent->key) == 0)
		return s->recent;
	for (size_t i = 0; i < sizeof s->recent->key; i++)
		hash = (hash ^ key[i]) * 16777619u;
	for (uint32_t i = hash % BLOCKS;; i = (i + 1) % BLOCKS) {
		struct block *b = s->blocks[i];

		if (b == NULL) {
			b = calloc(1, sizeof *b);
			if (b == NULL)
				die("memory");
			memcpy(b->key, key, sizeof b->key);
			s->blocks[i] = b;
		}
		if (memcmp(b->key, key, sizeof b->key) == 0)
			return s->recent = b;
	}
}

static void count(struct bench *k, struct session *s, unsigned afi, const uint8_t *address,
	unsigned len, bool announced, uint64_t ns)
{
	uint8_t key[18] = {[16] = (uint8_t)afi, [17] = (uint8_t)len};
	unsigned at = afi == 1 ? 12 : 0, low;
	uint64_t bit;
	uint64_t *word;

	memcpy(key + at, address, (len + 7) / 8);
	low = be16(key + 14);
	if (k->verbose)
		printf("{\"ns\":%" PRIu64 ",\"peer\":\"%s\",\"event\":\"%s\",\"prefix\":%" PRIu32
		       "}\n",
			ns, s->peer, announced ? "announced" : "withdrawn", be32(key + 12));
	key[14] = key[15] = 0;
	word = &block_of(s, key)->bits[low / 64];
	bit = 1ull << low % 64;
	if (((*word & bit) != 0) == announced)
		return;
	*word ^= bit;
	s->count += announced ? 1u : -1u;
	if (announced && s->count == 1)
		tell(s, ns, "first");
	if (announced && s->count == k->expected)
		tell(s, ns, "all");
	if (!announced && s->count + 1 == k->expected)
		tell(s, ns, "fewer");
	if (s->count == 0)
		tell(s, ns, "none");
}

static void on_prefixes(struct bench *k, struct session *s, unsigned afi, const uint8_t *p,
	size_t n, bool announced, uint64_t ns)
{
	const uint8_t *end = p + n;

	while (p < end) {
		unsigned len = *p++, bytes = (len + 7) / 8;

		if (len > (afi == 1 ? 32 : 128) || (size_t)(end - p) < bytes)
			malformed(s, "prefix");
		count(k, s, afi, p, len, announced, ns);
		*(announced ? &s->announced : &s->withdrawn) += 1;
		p += bytes;
	}
}

/* -- UPDATE -- */

static void on_mp(struct bench *k, struct session *s, unsigned type, const uint8_t *p, size_t n,
	size_t whole, uint64_t ns)
{
	size_t skip = 3; /* AFI, SAFI */

	if (n < skip)
		malformed(s, "MP attribute");
	if (type == MP_REACH) {
		if (n < 5 || n < 5u + p[3])
			malformed(s, "MP_REACH_NLRI");
		skip = 5u + p[3]; /* length and next hop, a reserved octet */
	}
	if (type == MP_UNREACH && n == 3 && whole == UPDATE_EMPTY + 6)
		tell(s, ns, "end-of-rib");
	on_prefixes(k, s, be16(p), p + skip, n - skip, type == MP_REACH, ns);
}

static void on_update(struct bench *k, struct session *s, const uint8_t *p, size_t n, uint64_t ns)
{
	const uint8_t *end = p + n, *attributes, *at;
	size_t withdrawn = n >= 4 ? be16(p) : 0, len;

	if (n < 4 || withdrawn > n - 4)
		malformed(s, "UPDATE");
	attributes = p + 2 + withdrawn;
	len = be16(attributes);
	attributes += 2;
	if (len > (size_t)(end - attributes))
		malformed(s, "UPDATE");
	s->updates++;
	on_prefixes(k, s, 1, p + 2, withdrawn, false, ns);
	for (at = attributes; at < attributes + len;) {
		size_t left = (size_t)(attributes + len - at), size;
		size_t head = at[0] & FLAG_EXTENDED ? 4 : 3;

		if (left < head)
			malformed(s, "attributes");
		size = head == 4 ? be16(at + 2) : at[2];
		if (left - head < size)
			malformed(s, "attributes");
		if (at[1] == MP_REACH || at[1] == MP_UNREACH)
			on_mp(k, s, at[1], at + head, size, n + HEADER, ns);
		at += head + size;
	}
	on_prefixes(k, s, 1, attributes + len, (size_t)(end - attributes) - len, true, ns);
	if (n + HEADER == UPDATE_EMPTY)
		tell(s, ns, "end-of-rib");
}

/* -- the session -- */

static uint8_t *put_header(uint8_t *p, unsigned type, size_t len)
{
	memset(p, 0xff, 16);
	p = put16(p + 16, (unsigned)len);
	*p = (uint8_t)type;
	return p + 1;
}

static void send_all(struct session *s, const uint8_t *p, size_t n)
{
	if (send(s->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		(void)shutdown(s->fd, SHUT_RDWR);
}

static void send_open(const struct bench *k, struct session *s)
{
	static const uint8_t families[] = {1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1};
	uint8_t m[128], *p = m + HEADER, *len;

	*p++ = 4;
	p = put16(p, k->asn > UINT16_MAX ? AS_TRANS : k->asn);
	p = put32(put16(p, HOLD_S), k->router_id);
	len = p;
	p[1] = 2; /* one parameter, capabilities, in which all are */
	p = put(p + 3, families, sizeof families);
	*p++ = 65;
	*p++ = 4;
	p = put32(p, k->asn);
	if (k->extended)
		p = put(p, "\6", 2);
	len[2] = (uint8_t)(p - len - 3);
	len[0] = (uint8_t)(len[2] + 2);
	(void)put_header(m, OPEN, (size_t)(p - m));
	send_all(s, m, (size_t)(p - m));
}

static void send_keepalive(struct session *s)
{
	uint8_t m[HEADER];

	(void)put_header(m, KEEPALIVE, sizeof m);
	send_all(s, m, sizeof m);
	s->keepalive_ms = now_ms() + KEEPALIVE_MS;
}

static bool has_extended(const struct session *s, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	while (end - p >= 2) { /* parameters */
		const uint8_t *q = p + 2, *last = q + p[1];

		if (last > end)
			malformed(s, "OPEN");
		for (; p[0] == 2 && last - q >= 2; q += 2 + q[1])
			if (q[0] == 6)
				return true;
		p = last;
	}
	return false;
}

static void on_open(const struct bench *k, struct session *s, const uint8_t *p, size_t n)
{
	if (n < 10 || p[0] != 4 || n - 10 != p[9])
		malformed(s, "OPEN");
	s->extended = k->extended && has_extended(s, p + 10, n - 10);
	send_keepalive(s);
	s->opened = true;
	tell(s, now_ns(), "opened");
}

static void on_message(struct bench *k, struct session *s, const uint8_t *m, size_t n, uint64_t ns)
{
	switch (m[18]) {
	case OPEN:
		on_open(k, s, m + HEADER, n - HEADER);
		break;
	case UPDATE:
		on_update(k, s, m + HEADER, n - HEADER, ns);
		break;
	case NOTIFICATION:
		printf("{\"ns\":%" PRIu64 ",\"peer\":\"%s\",\"event\":\"notification\",\"code\":%u,"
		       "\"subcode\":%u}\n",
			ns, s->peer, n > HEADER ? m[HEADER] : 0,
			n > HEADER + 1 ? m[HEADER + 1] : 0);
		(void)fflush(stdout);
		break;
	case KEEPALIVE:
		if (!s->established && s->opened) {
			s->established = true;
			s->sending = k->send > 0;
			s->send_ms = now_ms() + k->delay_ms;
			tell(s, ns, "established");
		}
		break;
	default: /* ROUTE-REFRESH and what else there may be */
		break;
	}
}

static void close_session(struct session *s)
{
	printf("{\"ns\":%" PRIu64 ",\"peer\":\"%s\",\"event\":\"closed\",\"count\":%" PRIu32
	       ",\"announced\":%" PRIu64 ",\"withdrawn\":%" PRIu64 ",\"updates\":%" PRIu64 "}\n",
		now_ns(), s->peer, s->count, s->announced, s->withdrawn, s->updates);
	(void)fflush(stdout);
	(void)close(s->fd);
	s->fd = -1;
	for (size_t i = 0; i < BLOCKS; i++)
		free(s->blocks[i]);
	memset(s->blocks, 0, sizeof s->blocks);
	s->recent = NULL;
	s->count = 0;
	s->in_len = s->out_sent = 0;
	s->opened = s->established = s->sending = false;
	s->retry_ms = now_ms() + RETRY_MS;
}

static void on_readable(struct bench *k, struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_len, sizeof s->in - s->in_len, MSG_DONTWAIT);
	uint64_t ns = now_ns();
	size_t at = 0, len;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_session(s);
		return;
	}
	s->in_len += (size_t)n;
	for (; s->in_len - at >= HEADER; at += len) {
		len = be16(s->in + at + 16);
		if (len < HEADER || len > (s->extended ? EXTENDED : MESSAGE))
			malformed(s, "length");
		if (s->in_len - at < len)
			break;
		on_message(k, s, s->in + at, len, ns);
	}
	memmove(s->in, s->in + at, s->in_len - at);
	s->in_len -= at;
	if (k->verbose)
		(void)fflush(stdout);
}

/* -- sending -- */

static uint8_t *put_attributes(const struct bench *k, uint8_t *p, const uint8_t next_hop[4])
{
	static const uint8_t origin_and_path[] = {0x40, 1, 1, 0, 0x40, 2, 6, 2, 1};
	static const uint8_t hop[] = {0x40, 3, 4};

	p = put16(put16(p, 0), 27 - 7);
	p = put32(put(p, origin_and_path, sizeof origin_and_path), k->asn);
	return put(put(p, hop, sizeof hop), next_hop, 4);
}

/* All messages of -s, one behind the other. */
static void build(struct bench *k, unsigned which, const uint8_t next_hop[4])
{
	size_t most = which == 1 ? EXTENDED : MESSAGE, per = (most - HEADER - 24) / 5;
	size_t messages = k->send / per + 2;
	uint8_t *p = malloc(messages * most);

	if (p == NULL)
		die("memory");
	k->out[which] = p;
	for (uint32_t i = 0; i < k->send;) {
		uint8_t *m = p;

		p = put_attributes(k, p + HEADER, next_hop);
		for (size_t j = 0; j < per && i < k->send; j++, i++) {
			*p++ = 32;
			p = put32(p, k->first + i);
		}
		(void)put_header(m, UPDATE, (size_t)(p - m));
	}
	(void)put_header(p, UPDATE, UPDATE_EMPTY);
	p = put32(p + HEADER, 0);
	k->out_len[which] = (size_t)(p - k->out[which]);
}

static void build_for(struct bench *k, const struct session *s)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof own;
	uint8_t next_hop[4] = {10, 0, 0, 1};

	if (getsockname(s->fd, (struct sockaddr *)&own, &len) == 0 && own.ss_family == AF_INET)
		memcpy(next_hop, &((struct sockaddr_in *)(void *)&own)->sin_addr, sizeof next_hop);
	for (unsigned which = 0; which < 2; which++)
		if (k->out[which] == NULL)
			build(k, which, next_hop);
}

static bool may_send(const struct session *s)
{
	return s->sending && now_ms() >= s->send_ms;
}

static void on_writable(struct bench *k, struct session *s)
{
	unsigned which = s->extended;
	size_t len = k->out_len[which];
	ssize_t n = send(
		s->fd, k->out[which] + s->out_sent, len - s->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0)
		s->out_sent += (size_t)n;
	if (s->out_sent < len)
		return;
	s->sending = false;
	s->out_sent = 0;
	tell(s, now_ns(), "sent");
}

/* -- connections -- */

static void resolve(
	const char *address, const char *port, struct sockaddr_storage *ret_s, socklen_t *ret_len)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;

	if (getaddrinfo(address, port, &hints, &found) != 0)
		die(address);
	memcpy(ret_s, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
}

/* Of that family; it is at LOCAL, if that was given. */
static int open_socket(const struct bench *k, int family, const char *port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
	struct sockaddr_storage at;
	socklen_t len;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
		die("socket");
	if (k->local == NULL)
		return fd;
	resolve(k->local, port, &at, &len);
	if (bind(fd, (struct sockaddr *)&at, len) != 0)
		die(k->local);
	return fd;
}

static struct session *add(struct bench *k, int fd, const char *peer)
{
	struct session *s = k->n < MAX_SESSIONS ? calloc(1, sizeof *s) : NULL;

	if (s == NULL)
		die("sessions");
	s->fd = fd;
	(void)snprintf(s->peer, sizeof s->peer, "%s", peer);
	k->v[k->n++] = s;
	return s;
}

static void begin(struct bench *k, struct session *s)
{
	s->connecting = false;
	if (k->send > 0)
		build_for(k, s);
	send_open(k, s);
}

static void connect_to(struct bench *k, struct session *s)
{
	struct sockaddr_storage to;
	socklen_t len;

	resolve(s->peer, k->port, &to, &len);
	s->fd = open_socket(k, to.ss_family, "0");
	s->connecting = true;
	if (connect(s->fd, (struct sockaddr *)&to, len) == 0)
		begin(k, s);
}

static void on_connected(struct bench *k, struct session *s)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0) {
		begin(k, s);
		return;
	}
	(void)close(s->fd);
	s->fd = -1;
	s->retry_ms = now_ms() + RETRY_MS;
}

static void on_acceptable(struct bench *k)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char peer[INET6_ADDRSTRLEN];
	int fd = accept4(k->listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getnameinfo(
		    (struct sockaddr *)&from, len, peer, sizeof peer, NULL, 0, NI_NUMERICHOST) != 0)
		die("getnameinfo");
	begin(k, add(k, fd, peer));
}

static void listen_at(struct bench *k)
{
	k->listener = open_socket(k, strchr(k->local, ':') != NULL ? AF_INET6 : AF_INET, k->port);
	if (listen(k->listener, MAX_SESSIONS) != 0)
		die(k->local);
}

/* -- the loop -- */

static void turn(struct bench *k)
{
	struct pollfd p[MAX_SESSIONS + 1];
	size_t n = k->n;

	for (size_t i = 0; i < n; i++) {
		struct session *s = k->v[i];

		if (s->fd < 0 && k->listener < 0 && now_ms() >= s->retry_ms)
			connect_to(k, s);
		if (s->established && now_ms() >= s->keepalive_ms && s->out_sent == 0)
			send_keepalive(s);
		p[i] = (struct pollfd){.fd = s->fd,
			.events = s->connecting ? POLLOUT
				  : may_send(s) ? POLLIN | POLLOUT
						: POLLIN};
	}
	p[n] = (struct pollfd){.fd = k->listener, .events = POLLIN};
	if (poll(p, n + 1, RETRY_MS) <= 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct session *s = k->v[i];

		if (s->connecting && p[i].revents != 0)
			on_connected(k, s);
		else if (p[i].revents & ~POLLOUT)
			on_readable(k, s);
		if (s->fd >= 0 && may_send(s) && p[i].revents & POLLOUT)
			on_writable(k, s);
	}
	if (p[n].revents != 0)
		on_acceptable(k);
}

static uint32_t number(const char *s)
{
	return (uint32_t)strtoul(s, NULL, 10);
}

static uint32_t address(const char *s)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1)
		die(s);
	return ntohl(a.s_addr);
}

static void read_options(struct bench *k, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "l:p:a:i:n:s:f:d:xv")) != -1) {
		if (c == 'l')
			k->local = optarg;
		else if (c == 'p')
			k->port = optarg;
		else if (c == 'a')
			k->asn = number(optarg);
		else if (c == 'i')
			k->router_id = address(optarg);
		else if (c == 'n')
			k->expected = number(optarg);
		else if (c == 's')
			k->send = number(optarg);
		else if (c == 'f')
			k->first = address(optarg);
		else if (c == 'd')
			k->delay_ms = number(optarg);
		else if (c == 'x')
			k->extended = true;
		else if (c == 'v')
			k->verbose = true;
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench k = {
		.port = "179", .asn = 65000, .router_id = 0x0a59fefe, .listener = -1};

	read_options(&k, argc, argv);
	if (k.local == NULL && optind == argc)
		k.local = "0.0.0.0";
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	for (int i = optind; i < argc; i++)
		(void)add(&k, -1, argv[i]);
	if (optind == argc)
		listen_at(&k);
	while (!ended)
		turn(&k);
	for (size_t i = 0; i < k.n; i++) {
		if (k.v[i]->fd >= 0)
			close_session(k.v[i]);
		free(k.v[i]);
	}
	for (unsigned which = 0; which < 2; which++)
		free(k.out[which]);
	return 0;
}
