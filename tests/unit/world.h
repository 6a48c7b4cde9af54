/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h - one node's picture for the tests of elig, elect and plan and for the simulator: a
 * configuration made by hand, objects put as JSON (with ' for "), interfaces told by rtnetlink
 * messages.
 */
#ifndef LBD_WORLD_H
#define LBD_WORLD_H

#include "cluster.h"
#include "config.h"
#include "elig.h"
#include "iface.h"
#include "json.h"
#include "vip.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef IFF_LOWER_UP
#define IFF_LOWER_UP 0x10000
#endif

struct world {
	struct hash_key hkey;
	struct counters counters;
	struct cluster *cluster;
	struct vip_table *vips;
	struct iface_table *ifaces;
	struct elig_input in;
	struct config conf;
	struct config_pool pools[2];
	struct addr_range ranges[2];
	struct config_l2_advertisement ads[2];
	unsigned long rv;
};

static inline struct addr world_ip(const char *text)
{
	struct addr a;

	if (addr_parse(text, strlen(text), &a) != 0)
		abort();
	return a;
}

static inline struct addr_range world_range(const char *text)
{
	struct addr_range r;

	if (addr_range_parse(text, strlen(text), true, &r) != ADDR_RANGE_OK)
		abort();
	return r;
}

/* One pool "lan" 10.0.0.100-10.0.0.250, advertised on layer 2 from every node, interfaces by
 * subnet. */
static inline void world_open(struct world *w, const char *node)
{
	memset(w, 0, sizeof *w);
	w->hkey = (struct hash_key){1, 2};
	w->ranges[0] = world_range("10.0.0.100-10.0.0.250");
	w->ranges[1] = world_range("fd00::100-fd00::1ff");
	w->pools[0] = (struct config_pool){
		.name = "lan", .ranges = w->ranges, .n_ranges = 2, .auto_assign = true};
	w->ads[0] = (struct config_l2_advertisement){.name = "all"};
	w->conf = (struct config){
		.classless = true,
		.pools = w->pools,
		.n_pools = 1,
		.l2_advertisements = w->ads,
		.n_l2_advertisements = 1,
		.elections = {.namespace_ = "kube-system",
			.node_duration_ms = 40000,
			.node_renew_ms = 10000,
			.leader_duration_ms = 15000,
			.leader_renew_deadline_ms = 10000,
			.leader_retry_period_ms = 5000,
			.bfd_interval_ms = 100,
			.bfd_mesh_limit = 16,
			.bfd_multiplier = 3},
		.hash = "0123456789abcdef",
	};
	w->cluster = cluster_new(&w->hkey, &w->counters);
	w->vips = vip_new(&w->hkey);
	w->ifaces = iface_new();
	if (w->cluster == NULL || w->vips == NULL || w->ifaces == NULL)
		abort();
	w->in = (struct elig_input){.conf = &w->conf,
		.cluster = w->cluster,
		.vips = w->vips,
		.ifaces = w->ifaces,
		.node = node};
}

static inline void world_close(struct world *w)
{
	iface_free(w->ifaces);
	vip_free(w->vips);
	cluster_free(w->cluster);
}

/* JSON with ' for ". */
static inline cJSON *world_json(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline cJSON *world_json(const char *fmt, ...)
{
	char *s = NULL;
	cJSON *o;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	for (char *p = s; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	o = json_parse(s, (size_t)n);
	if (o == NULL) {
		printf("not JSON: %s\n", s);
		abort();
	}
	free(s);
	return o;
}

static inline void world_apply(
	struct world *w, enum cluster_kind kind, enum cluster_event event, cJSON *obj)
{
	if (cluster_apply(w->cluster, kind, event, obj) != 0) {
		printf("refused: %s\n", cJSON_PrintUnformatted(obj));
		abort();
	}
	cJSON_Delete(obj);
}

/* labels: "'a':'b','c':'d'"; status: members of status. */
static inline void world_node(
	struct world *w, const char *name, const char *labels, const char *status)
{
	world_apply(w, CLUSTER_NODE, CLUSTER_PUT,
		world_json("{'metadata':{'name':'%s','uid':'u-%s','resourceVersion':'%lu','labels':"
			   "{%s}},'status':{%s}}",
			name, name, ++w->rv, labels, status));
}

/* ips: "'10.0.0.100'" or more, by commas; spec: more members of spec, each with a comma before it.
 */
static inline cJSON *world_service_json(unsigned long rv, const char *name, const char *ips,
	const char *annotations, const char *spec)
{
	char ingress[1024] = "";
	size_t n = 0;

	for (const char *p = ips; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		n += (size_t)snprintf(ingress + n, sizeof ingress - n,
			"%s{'ip':%.*s,'ipMode':'VIP'}", n > 0 ? "," : "", (int)strcspn(p, ","), p);
	return world_json(
		"{'metadata':{'namespace':'default','name':'%s','uid':'u-%s','resourceVersion':'%"
		"lu',"
		"'creationTimestamp':'2026-01-01T00:00:00Z','labels':{'app':'%s'},'annotations':{%"
		"s}},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.43.0.1','clusterIPs':['10.43.0.1'],"
		"%s'ipFamilies':['%s']%s},"
		"'status':{'loadBalancer':{'ingress':[%s]}}}",
		name, name, rv, name, annotations,
		strstr(spec, "'ports'") != NULL ? "" : "'ports':[{'port':80,'protocol':'TCP'}],",
		strstr(ips, "::") != NULL ? "IPv6" : "IPv4", spec, ingress);
}

static inline void world_service(struct world *w, const char *name, const char *ips,
	const char *annotations, const char *spec)
{
	world_apply(w, CLUSTER_SERVICE, CLUSTER_PUT,
		world_service_json(++w->rv, name, ips, annotations, spec));
}

/* A ready endpoint on each of the nodes "a,b". */
static inline void world_endpoints(struct world *w, const char *service, const char *nodes)
{
	char list[2048] = "";
	size_t n = 0;

	for (const char *p = nodes; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		n += (size_t)snprintf(list + n, sizeof list - n,
			"%s{'addresses':['10.42.0.9'],'nodeName':'%.*s','conditions':{'ready':true}"
			"}",
			n > 0 ? "," : "", (int)strcspn(p, ","), p);
	world_apply(w, CLUSTER_ENDPOINT_SLICE, CLUSTER_PUT,
		world_json("{'metadata':{'namespace':'default','name':'%s-1','uid':'s-%s','"
			   "resourceVersion':'%lu',"
			   "'labels':{'kubernetes.io/"
			   "service-name':'%s'}},'addressType':'IPv4','endpoints':[%s]}",
			service, service, ++w->rv, service, list));
}

/* Takes what changed into the vip table, as the daemon's pass does. */
static inline void world_vips(struct world *w)
{
	for (size_t i = 0; i < cluster_dirty_count(w->cluster); i++)
		if (vip_update(w->vips, &w->conf, w->cluster,
			    cluster_dirty_at(w->cluster, i).key) != 0)
			abort();
	cluster_clean(w->cluster);
}

/* -- interfaces -- */

struct world_msg {
	_Alignas(8) unsigned char b[512];
	size_t n;
};

static inline void world_attr(struct world_msg *m, unsigned short type, const void *p, size_t n)
{
	struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type};

	memcpy(m->b + m->n, &a, sizeof a);
	memcpy(m->b + m->n + RTA_LENGTH(0), p, n);
	m->n += RTA_ALIGN(RTA_LENGTH(n));
}

static inline void world_begin(struct world_msg *m, unsigned short type, const void *body, size_t n)
{
	struct nlmsghdr h = {.nlmsg_type = type};

	memset(m, 0, sizeof *m);
	memcpy(m->b, &h, sizeof h);
	memcpy(m->b + NLMSG_HDRLEN, body, n);
	m->n = NLMSG_HDRLEN + NLMSG_ALIGN(n);
}

static inline void world_send(struct world *w, struct world_msg *m)
{
	unsigned len = (unsigned)m->n;

	memcpy(m->b, &len, sizeof len);
	if (iface_on_netlink(w->ifaces, m->b, m->n) < 0)
		abort();
}

/* An Ethernet interface that is listened on; its MAC is 02:00:00:00:<host>:<ifindex>. */
static inline void world_link(
	struct world *w, unsigned ifindex, const char *name, unsigned host, bool up)
{
	struct ifinfomsg i = {.ifi_type = ARPHRD_ETHER,
		.ifi_index = (int)ifindex,
		.ifi_flags = IFF_BROADCAST | IFF_MULTICAST |
			     (up ? IFF_UP | IFF_RUNNING | IFF_LOWER_UP : 0u)};
	unsigned char mac[6] = {2, 0, 0, 0, (unsigned char)host, (unsigned char)ifindex};
	unsigned char operstate = up ? 6 : 2;
	unsigned mtu = 1500;
	struct world_msg m;

	world_begin(&m, RTM_NEWLINK, &i, sizeof i);
	world_attr(&m, IFLA_IFNAME, name, strlen(name) + 1);
	world_attr(&m, IFLA_OPERSTATE, &operstate, 1);
	world_attr(&m, IFLA_MTU, &mtu, sizeof mtu);
	world_attr(&m, IFLA_ADDRESS, mac, 6);
	world_send(w, &m);
	for (enum addr_family f = 0; f < ADDR_FAMILIES; f++)
		iface_set_capture(w->ifaces, ifindex, f, IFACE_HEARD);
}

static inline void world_unlink(struct world *w, unsigned ifindex, const char *name)
{
	struct ifinfomsg i = {.ifi_type = ARPHRD_ETHER, .ifi_index = (int)ifindex};
	struct world_msg m;

	world_begin(&m, RTM_DELLINK, &i, sizeof i);
	world_attr(&m, IFLA_IFNAME, name, strlen(name) + 1);
	world_send(w, &m);
}

/* "10.0.0.1/24", "fd00::1/64". */
static inline void world_addr(struct world *w, unsigned ifindex, const char *text)
{
	struct ifaddrmsg i = {.ifa_flags = IFA_F_PERMANENT, .ifa_index = ifindex};
	const char *slash = strchr(text, '/');
	unsigned char ip[16];
	struct world_msg m;
	struct addr a;
	bool v4;

	if (slash == NULL || addr_parse(text, (size_t)(slash - text), &a) != 0)
		abort();
	v4 = addr_family(a) == ADDR_V4;
	if (v4)
		addr_to_v4(a, ip);
	else
		addr_to_v6(a, ip);
	i.ifa_family = v4 ? AF_INET : AF_INET6;
	i.ifa_prefixlen = (unsigned char)strtoul(slash + 1, NULL, 10);
	world_begin(&m, RTM_NEWADDR, &i, sizeof i);
	world_attr(&m, IFA_ADDRESS, ip, v4 ? 4 : 16);
	if (v4)
		world_attr(&m, IFA_LOCAL, ip, 4);
	world_send(w, &m);
}

#endif
