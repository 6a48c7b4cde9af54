/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_proc.c - the text of files of /proc, read for lbd doctor.
 *
 * In:   text.  Out: routes, addresses, ports, capabilities.
 * Sources: Linux, Documentation/filesystems/proc.rst; net/ipv4/fib_trie.c (route, fib_trie),
 * net/ipv6/ route.c, addrconf.c; net/ipv4/tcp_ipv4.c, udp.c; fs/proc/array.c; uapi/linux/route.h.
 */
#include "doctor_proc.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512, FIELDS_MAX = 24 };
enum { RTF_GATEWAY = 2, RTF_REJECT = 0x200, RTF_ANYCAST = 0x100000 };
enum { TCP_LISTEN = 0x0a, UDP_UNCONNECTED = 0x07 };
enum {
	STAT_POLICY = 38,
	SCHED_FIFO = 1,
	SCHED_RR = 2
}; /* the field's place behind the name's ')' */

struct line {
	char text[LINE_MAX_BYTES]; /* its blanks are NUL */
	const char *field[FIELDS_MAX];
	size_t n;
};

/* The next line, cut into fields.  False: there is none. */
static bool next_line(const char **text, size_t *len, struct line *l)
{
	const char *end = *len > 0 ? memchr(*text, '\n', *len) : NULL;
	const size_t whole = end != NULL ? (size_t)(end - *text) : *len,
		     n = whole < sizeof l->text - 1 ? whole : sizeof l->text - 1;

	if (*len == 0)
		return false;
	memcpy(l->text, *text, n);
	l->text[n] = '\0';
	*text += whole + (end != NULL);
	*len -= whole + (end != NULL);
	l->n = 0;
	for (char *p = l->text; l->n < FIELDS_MAX;) {
		p += strspn(p, " \t");
		if (*p == '\0')
			break;
		l->field[l->n++] = p;
		p += strcspn(p, " \t");
		if (*p != '\0')
			*p++ = '\0';
	}
	return true;
}

/* Exactly that, to its end.  False: it is no such number. */
static bool number(const char *s, int base, uint64_t *ret_v)
{
	enum { MOST = 16 }; /* characters: whatever they are, 64 bits hold them */
	char *end;

	*ret_v = strtoull(s, &end, base);
	return end != s && *end == '\0' && *s != '-' && *s != '+' && end - s <= MOST;
}

static bool hex_bytes(const char *s, uint8_t *b, size_t n)
{
	char two[3] = "";
	uint64_t v;

	if (strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		two[0] = s[2 * i];
		two[1] = s[2 * i + 1];
		if (!number(two, 16, &v))
			return false;
		b[i] = (uint8_t)v;
	}
	return true;
}

static void copy_name(char to[DOCTOR_NAME], const char *from)
{
	const size_t n = strlen(from);

	memcpy(to, from, n < DOCTOR_NAME ? n + 1 : DOCTOR_NAME);
	to[DOCTOR_NAME - 1] = '\0';
}

/* -- routes -- */

static void add_route(
	struct doctor_host *h, struct addr to, unsigned len, const char *iface, bool on_link)
{
	struct doctor_route *t = &h->routes[h->n_routes];

	if (h->n_routes == DOCTOR_MAX_ROUTES)
		return;
	h->n_routes++;
	*t = (struct doctor_route){.to = addr_prefix_of(to, len), .on_link = on_link};
	copy_name(t->iface, iface);
}

/* A word of the kernel's: an address's bytes, printed as a number of this machine's order. */
static bool word_v4(const char *s, uint8_t b[4])
{
	uint64_t v;
	uint32_t w;

	if (!number(s, 16, &v) || v > UINT32_MAX)
		return false;
	w = (uint32_t)v;
	memcpy(b, &w, sizeof w);
	return true;
}

/* The length of a mask; -1: it is none. */
static int mask_len(const uint8_t b[4])
{
	const uint32_t m = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	int len = 0;

	while (len < 32 && (m >> (31 - len) & 1) != 0)
		len++;
	return len == 32 || (m << len) == 0 ? len : -1;
}

void doctor_proc_route(const char *text, size_t len, struct doctor_host *h)
{
	struct line l;

	while (next_line(&text, &len, &l)) {
		uint8_t to[4], mask[4];
		uint64_t flags;
		int bits;

		if (l.n < 8 || !word_v4(l.field[1], to) || !word_v4(l.field[7], mask) ||
			!number(l.field[3], 16, &flags) || (flags & RTF_REJECT) != 0)
			continue;
		bits = mask_len(mask);
		if (bits < 0)
			continue;
		add_route(h, addr_from_v4(to), (unsigned)bits, l.field[0],
			(flags & RTF_GATEWAY) == 0 && bits > 0 && bits < 32);
	}
}

void doctor_proc_route6(const char *text, size_t len, struct doctor_host *h)
{
	static const uint8_t none[16];
	struct line l;

	while (next_line(&text, &len, &l)) {
		uint8_t to[16], via[16];
		uint64_t bits, flags;
		struct addr a;

		if (l.n < 10 || !hex_bytes(l.field[0], to, 16) || !number(l.field[1], 16, &bits) ||
			!hex_bytes(l.field[4], via, 16) || !number(l.field[8], 16, &flags))
			continue;
		a = addr_from_v6(to);
		if (bits > 128 || addr_family(a) != ADDR_V6 || to[0] == 0xff ||
			addr_is_link_local(a) || (flags & (RTF_REJECT | RTF_ANYCAST)) != 0 ||
			strcmp(l.field[9], "lo") == 0)
			continue;
		add_route(h, a, (unsigned)bits, l.field[9],
			memcmp(via, none, sizeof via) == 0 && bits > 0 && bits < 128);
	}
}

/* -- own addresses -- */

static void add_own(struct doctor_host *h, struct addr a)
{
	if (addr_is_unusable(a) || addr_is_link_local(a) || h->n_own == DOCTOR_MAX_OWN)
		return;
	for (size_t i = 0; i < h->n_own; i++)
		if (addr_eq(h->own[i], a))
			return;
	h->own[h->n_own++] = a;
}

/* "|-- 10.0.0.1", then "/32 host LOCAL". */
void doctor_proc_fib_trie(const char *text, size_t len, struct doctor_host *h)
{
	struct addr a = {0};
	bool has = false;
	struct line l;

	while (next_line(&text, &len, &l)) {
		if (l.n == 2 && strcmp(l.field[0], "|--") == 0)
			has = addr_parse(l.field[1], strlen(l.field[1]), &a) == 0;
		else if (has && l.n >= 3 && strcmp(l.field[0], "/32") == 0 &&
			 strcmp(l.field[2], "LOCAL") == 0)
			add_own(h, a);
	}
}

void doctor_proc_if_inet6(const char *text, size_t len, struct doctor_host *h)
{
	struct line l;

	while (next_line(&text, &len, &l)) {
		uint8_t b[16];

		if (l.n >= 6 && hex_bytes(l.field[0], b, 16))
			add_own(h, addr_from_v6(b));
	}
}

/* -- sockets -- */

void doctor_proc_sockets(const char *text, size_t len, bool tcp, doctor_socket_fn fn, void *ctx)
{
	struct line l;

	while (next_line(&text, &len, &l)) {
		const char *colon = l.n >= 10 ? strrchr(l.field[1], ':') : NULL;
		uint64_t port, state, inode;

		if (colon == NULL || !number(colon + 1, 16, &port) || port > UINT16_MAX ||
			!number(l.field[3], 16, &state) || !number(l.field[9], 10, &inode))
			continue;
		if (state == (uint64_t)(tcp ? TCP_LISTEN : UDP_UNCONNECTED))
			fn(ctx, tcp, (uint16_t)port, inode);
	}
}

/* -- processes -- */

bool doctor_proc_caps(const char *text, size_t len, const char *key, uint64_t *ret_caps)
{
	struct line l;

	while (next_line(&text, &len, &l))
		if (l.n == 2 && strcmp(l.field[0], key) == 0)
			return number(l.field[1], 16, ret_caps);
	return false;
}

enum doctor_known doctor_proc_real_time(const char *text, size_t len)
{
	const char *p = memrchr(text, ')', len);
	uint64_t policy = 0;
	size_t n = 0;

	/* text is not NUL-terminated for the fuzzer's sake: digits are taken one by one. */
	for (size_t i = p != NULL ? (size_t)(p - text) + 1 : len; i < len && n <= STAT_POLICY + 1;
		i++) {
		if (text[i] == ' ')
			n++;
		else if (n == STAT_POLICY + 1 && text[i] >= '0' && text[i] <= '9' && policy < 100)
			policy = policy * 10 + (uint64_t)(text[i] - '0');
	}
	if (n <= STAT_POLICY)
		return DOCTOR_UNKNOWN;
	return policy == SCHED_FIFO || policy == SCHED_RR ? DOCTOR_YES : DOCTOR_NO;
}

/* -- kube-proxy -- */

void doctor_proc_kube_proxy(const char *text, size_t len, struct doctor_api *a)
{
	struct line l;

	a->ipvs = DOCTOR_NO;
	a->strict_arp = DOCTOR_NO;
	while (next_line(&text, &len, &l)) {
		if (l.n != 2)
			continue;
		if (strcmp(l.field[0], "mode:") == 0 &&
			(strcmp(l.field[1], "ipvs") == 0 || strcmp(l.field[1], "\"ipvs\"") == 0))
			a->ipvs = DOCTOR_YES;
		else if (strcmp(l.field[0], "strictARP:") == 0 && strcmp(l.field[1], "true") == 0)
			a->strict_arp = DOCTOR_YES;
	}
}
