/* SPDX-License-Identifier: Apache-2.0
 *
 * users.c - Services, endpoints and Nodes, as people and controllers change them.
 *
 * Some Services share addresses, have two, or are Local: so groups of VIPs merge and part as they
 * come and go.  Where the leader allocates there are fewer addresses than could be wanted, so that
 * they are used again.
 */
#include "users.h"

#include "server.h"
#include "world.h"

enum {
	FIRST_HOST = 100, /* of the VIPs: 10.<segment>.0.100, fd00:<segment>::64 */
	SHARED = 3,       /* addresses that Services share */
	MANY = 1000,      /* Services */
	SCARCE = 26,      /* addresses there are where the leader allocates */
};

struct service {
	char name[16];
	struct addr ip;
	char second[24]; /* ",'IP'"; "" = none */
	char share[8];
	unsigned segment;
	bool exists, local;
	uint64_t endpoints; /* a bit for each node; of more than 64: all */
};

struct users {
	struct service *services; /* owned */
};

static struct addr vip_at(const struct sim *s, unsigned segment, size_t i)
{
	size_t at = FIRST_HOST + i;

	if (sim_is_v6(s, segment))
		return addr_from_v6((const uint8_t[16]){0xfd, [3] = (uint8_t)segment,
			[14] = (uint8_t)(at >> 8), [15] = (uint8_t)(at & 0xff)});
	return addr_from_v4(
		(const uint8_t[4]){10, (uint8_t)segment, (uint8_t)(at >> 8), (uint8_t)(at & 0xff)});
}

struct users *users_new(struct sim *s)
{
	struct users *u = sim_alloc(1, sizeof *u);

	u->services = sim_alloc(s->setup.n_services, sizeof *u->services);
	return u;
}

void users_free(struct users *u)
{
	if (u != NULL)
		free(u->services);
	free(u);
}

size_t users_vip_count(const struct sim *s)
{
	return s->setup.n_services + USERS_VIPS;
}

struct addr users_vip(const struct sim *s, unsigned segment, size_t i)
{
	return vip_at(s, segment, i);
}

struct addr_range users_range(const struct sim *s, unsigned segment)
{
	size_t n =
		s->setup.allocates && s->setup.n_services <= SCARCE ? SCARCE : users_vip_count(s);

	return (struct addr_range){vip_at(s, segment, 0), vip_at(s, segment, n - 1)};
}

struct addr users_service_vip(const struct sim *s, unsigned service)
{
	return s->users->services[service].ip;
}

unsigned users_service_segment(const struct sim *s, unsigned service)
{
	return s->users->services[service].segment;
}

bool users_service_exists(const struct sim *s, unsigned service)
{
	return s->users->services[service].exists;
}

const char *users_service_name(const struct sim *s, unsigned service)
{
	return s->users->services[service].name;
}

static void put_service(struct sim *s, unsigned i)
{
	struct service *v = &s->users->services[i];
	char share[128] = "", spec[128], ips[ADDR_STRLEN + 64] = "", text[ADDR_STRLEN];

	(void)addr_format(v->ip, text);
	if (v->share[0] != '\0')
		(void)snprintf(share, sizeof share,
			"'lbd.io/allow-shared-ip':'%s','lbd.io/loadBalancerIPs':'%s'", v->share,
			text);
	(void)snprintf(spec, sizeof spec, ",'ports':[{'port':%u,'protocol':'TCP'}]%s",
		1 + i % 65535, v->local ? ",'externalTrafficPolicy':'Local'" : "");
	if (!s->setup.allocates)
		(void)snprintf(ips, sizeof ips, "'%s'%s", text, v->second);
	v->exists = true;
	server_put(s, CLUSTER_SERVICE, v->name, world_service_json(0, v->name, ips, share, spec));
}

void users_toggle_service(struct sim *s, unsigned service)
{
	struct service *v = &s->users->services[service];

	sim_trace(s, "Service %s is %s", v->name, v->exists ? "deleted" : "created");
	if (!v->exists) {
		put_service(s, service);
		return;
	}
	v->exists = false;
	server_delete(s, CLUSTER_SERVICE, v->name);
}

void users_make_local(struct sim *s, unsigned service)
{
	struct service *v = &s->users->services[service];

	v->local = true;
	v->share[0] = v->second[0] = '\0';
	put_service(s, service);
}

static bool has_endpoint(const struct service *v, unsigned node)
{
	return v->endpoints >> (node % 64) & 1;
}

void users_set_endpoints(struct sim *s, unsigned service, uint64_t nodes)
{
	struct service *v = &s->users->services[service];
	size_t room = 128 + s->setup.n_nodes * 112, n = 0;
	char *list = sim_alloc(room, 1);

	v->endpoints = nodes;
	for (unsigned i = 0; i < s->setup.n_nodes && (i < 64 || n == 0); i++)
		if (has_endpoint(v, i))
			n += (size_t)snprintf(list + n, room - n,
				"%s{'addresses':['10.42.%u.9'],'nodeName':'n%u','conditions':{'"
				"ready':true}}",
				n > 0 ? "," : "", i, i + 1);
	server_put(s, CLUSTER_ENDPOINT_SLICE, v->name,
		world_json("{'metadata':{'namespace':'default','name':'%s-1','uid':'s-%s',"
			   "'labels':{'kubernetes.io/service-name':'%s'}},'addressType':'IPv4',"
			   "'endpoints':[%s]}",
			v->name, v->name, v->name, list));
	free(list);
}

void users_exclude_node(struct sim *s, unsigned node, bool excluded)
{
	char name[16];

	(void)snprintf(name, sizeof name, "n%u", node + 1);
	server_put(s, CLUSTER_NODE, name,
		world_json("{'metadata':{'name':'%s','uid':'u-%s','labels':{%s}}}", name, name,
			excluded ? "'node.kubernetes.io/exclude-from-external-load-balancers':''"
				 : ""));
}

/* What Service i is like. */
static void invent(struct sim *s, unsigned i)
{
	struct service *v = &s->users->services[i];
	bool shares = !s->setup.plain && sim_chance(&s->rng_users, 25);
	unsigned at = shares ? (unsigned)rng_below(&s->rng_users, SHARED) : i + 2 * SHARED;
	unsigned last = s->setup.allocates ? SCARCE - SHARED : 0;
	char text[ADDR_STRLEN];

	(void)snprintf(v->name, sizeof v->name, "s%u", i);
	v->segment = shares ? 0 : i % s->setup.n_segments;
	v->ip = vip_at(s, v->segment, (shares ? last : 0) + at);
	if (shares)
		(void)snprintf(v->share, sizeof v->share, "k");
	if (shares && sim_chance(&s->rng_users, 40) && !s->setup.allocates)
		(void)snprintf(v->second, sizeof v->second, ",'%s'",
			addr_format(vip_at(s, 0, (at + 1) % SHARED), text));
	v->local = !s->setup.plain && !shares && sim_chance(&s->rng_users, 30);
}

/* Ten thousand Services have a pod each. */
static uint64_t first_endpoints(struct sim *s, unsigned i)
{
	if (s->setup.n_services > MANY)
		return (uint64_t)1 << i % 64;
	return s->users->services[i].local ? rng_next(&s->rng_users) : UINT64_MAX;
}

void users_populate(struct sim *s)
{
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		users_exclude_node(s, i, false);
	for (unsigned i = 0; i < s->setup.n_services; i++) {
		invent(s, i);
		put_service(s, i);
		users_set_endpoints(s, i, first_endpoints(s, i));
	}
}
