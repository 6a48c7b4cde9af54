/* SPDX-License-Identifier: Apache-2.0
 *
 * ipam.c - cluster IPs and node ports.
 *
 * Owns: three bitmaps.
 * In:   Services stored and removed.  Out: free addresses and ports.
 */
#include "ipam.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V4_HOSTS = 1 << 20, V6_HOSTS = 1 << 16, PORTS = 1 << 16, FIRST_DYNAMIC = 16 };

static const uint32_t v4_base = 0x0a600000; /* 10.96.0.0/12 */
static const uint8_t v6_base[14] = {0xfd, 0x00, 0x00, 0x96};

static bool bit(const uint8_t *map, unsigned i)
{
	return map[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *map, unsigned i, bool on)
{
	if (on)
		map[i / 8] |= (uint8_t)(1u << (i % 8));
	else
		map[i / 8] &= (uint8_t) ~(1u << (i % 8));
}

void ipam_init(struct ipam *m, unsigned port_min, unsigned port_max)
{
	*m = (struct ipam){
		.v4 = xcalloc(V4_HOSTS / 8, 1),
		.v6 = xcalloc(V6_HOSTS / 8, 1),
		.ports = xcalloc(PORTS / 8, 1),
		.next_v4 = FIRST_DYNAMIC,
		.next_v6 = FIRST_DYNAMIC,
		.port_min = port_min,
		.port_max = port_max,
		.next_port = port_min,
	};
}

void ipam_free(struct ipam *m)
{
	free(m->v4);
	free(m->v6);
	free(m->ports);
}

/* The next free bit in [from, to) after *cursor, wrapping; 0 when none. */
static unsigned pick(const uint8_t *map, unsigned from, unsigned to, unsigned *cursor)
{
	for (unsigned tries = 0; tries < to - from; tries++) {
		unsigned i = *cursor;

		*cursor = i + 1 < to ? i + 1 : from;
		if (!bit(map, i))
			return i;
	}
	return 0;
}

bool ipam_pick_ip(struct ipam *m, bool v6, char *ip, size_t len)
{
	unsigned i = v6 ? pick(m->v6, FIRST_DYNAMIC, V6_HOSTS, &m->next_v6)
			: pick(m->v4, FIRST_DYNAMIC, V4_HOSTS, &m->next_v4);
	struct in6_addr a6;
	struct in_addr a4;

	if (!i)
		return false;
	a4.s_addr = htonl(v4_base + i);
	memcpy(a6.s6_addr, v6_base, sizeof(v6_base));
	a6.s6_addr[14] = (uint8_t)(i >> 8);
	a6.s6_addr[15] = (uint8_t)i;
	return inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? (void *)&a6 : (void *)&a4, ip,
		       (socklen_t)len) != NULL;
}

unsigned ipam_pick_port(struct ipam *m)
{
	return pick(m->ports, m->port_min, m->port_max + 1, &m->next_port);
}

/* The bitmap and bit of a cluster IP; NULL when it is of neither range. */
static uint8_t *locate(const struct ipam *m, const char *ip, unsigned *ret_bit)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (inet_pton(AF_INET, ip, &a4) == 1) {
		uint32_t host = ntohl(a4.s_addr) - v4_base;

		*ret_bit = host;
		return host < V4_HOSTS ? m->v4 : NULL;
	}
	if (inet_pton(AF_INET6, ip, &a6) == 1 && !memcmp(a6.s6_addr, v6_base, sizeof(v6_base))) {
		*ret_bit = (unsigned)a6.s6_addr[14] << 8 | a6.s6_addr[15];
		return m->v6;
	}
	return NULL;
}

bool ipam_ip_is_taken(const struct ipam *m, const char *ip)
{
	unsigned i = 0;
	const uint8_t *map = locate(m, ip, &i);

	return map && bit(map, i);
}

bool ipam_ip_in_range(const char *ip)
{
	uint8_t some;
	const struct ipam m = {.v4 = &some, .v6 = &some};
	unsigned i;

	return locate(&m, ip, &i) != NULL;
}

bool ipam_port_is_taken(const struct ipam *m, unsigned port)
{
	return port < PORTS && bit(m->ports, port);
}

static void mark(struct ipam *m, const cJSON *svc, bool on)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, j_at(svc, "spec.clusterIPs")) {
		unsigned i = 0;
		uint8_t *map = cJSON_IsString(item) ? locate(m, item->valuestring, &i) : NULL;

		if (map)
			bit_set(map, i, on);
	}
	cJSON_ArrayForEach (item, j_at(svc, "spec.ports")) {
		double port = j_num(item, "nodePort", 0);

		if (port > 0 && port < PORTS)
			bit_set(m->ports, (unsigned)port, on);
	}
	if (j_num(svc, "spec.healthCheckNodePort", 0) > 0 &&
		j_num(svc, "spec.healthCheckNodePort", 0) < PORTS)
		bit_set(m->ports, (unsigned)j_num(svc, "spec.healthCheckNodePort", 0), on);
}

void ipam_learn(struct ipam *m, const cJSON *svc)
{
	mark(m, svc, true);
}

void ipam_forget(struct ipam *m, const cJSON *svc)
{
	mark(m, svc, false);
}
