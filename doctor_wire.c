/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_wire.c - asks the wire who answers for Services' addresses.
 *
 * In:   the daemon's dump; ARP replies.  Out: one probe for each address; foreign answers.
 * RFCs: 826 (format), 5227 2.1.1 (probe).  Not done: IPv6 (a neighbour advertisement goes to who asks,
 *       whose address the kernel would have to know).
 */
#include "doctor_wire.h"

#include "control.h"
#include "json.h"

#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { QUERY_MS = 5000, WAIT_MS = 1000, MAX_MACS = 1024 };
enum { MAC = 6, MAC_TEXT = 17 };

struct asker {
	struct doctor_facts *f;
	uint8_t macs[MAX_MACS][MAC]; /* of nodes */
	size_t n_macs;
	int fd;
};

/* -- what the daemon knows -- */

/* "eth0=02:00:0a:59:00:0b ..." */
static void take_macs(struct asker *a, const char *text)
{
	for (const char *p = text; p != NULL && a->n_macs < MAX_MACS; p = strchr(p, '=')) {
		unsigned b[MAC];

		if (*p == '=')
			p++;
		if (strlen(p) < MAC_TEXT || sscanf(p, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2],
						    &b[3], &b[4], &b[5]) != MAC)
			continue;
		for (size_t i = 0; i < MAC; i++)
			a->macs[a->n_macs][i] = (uint8_t)b[i];
		a->n_macs++;
	}
}

static void take_vip(struct doctor_wire *w, const char *ip)
{
	struct addr a;

	if (ip == NULL || addr_parse(ip, strlen(ip), &a) != 0)
		return;
	if (addr_family(a) != ADDR_V4 || w->n_vips == DOCTOR_MAX_VIPS)
		w->n_left++;
	else
		w->vips[w->n_vips++] = a;
}

/* False: no daemon answers. */
static bool ask_daemon(struct asker *a, const char *control)
{
	cJSON *request = cJSON_CreateObject(), *answer = NULL;
	const cJSON *item;
	int err;

	(void)cJSON_AddStringToObject(request, "command", "dump");
	err = control_query(control, request, QUERY_MS, &answer);
	cJSON_Delete(request);
	if (err != 0)
		return false;
	cJSON_ArrayForEach (item, json_array(answer, "nodes"))
		take_macs(a, json_string(item, "macs"));
	cJSON_ArrayForEach (item, json_array(answer, "vips"))
		take_vip(&a->f->wire, json_string(item, "ip"));
	cJSON_Delete(answer);
	return true;
}

/* -- asking -- */

/* The interface on whose subnet the address is; NULL: none. */
static const char *iface_of(const struct doctor_host *h, struct addr a)
{
	for (size_t i = 0; i < h->n_routes; i++) {
		if (!h->routes[i].on_link || !addr_prefix_contains(h->routes[i].to, a))
			continue;
		for (size_t k = 0; k < h->n_ifaces; k++)
			if (strcmp(h->ifaces[k].name, h->routes[i].iface) == 0 &&
				h->ifaces[k].ethernet && h->ifaces[k].up)
				return h->ifaces[k].name;
	}
	return NULL;
}

static bool probe(const struct asker *a, const char *iface, struct addr vip)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_halen = MAC,
		.sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct ether_arp p = {.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), MAC, 4,
				      htons(ARPOP_REQUEST)}};
	struct ifreq r = {.ifr_ifindex = 0};

	(void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", iface);
	to.sll_ifindex = (int)if_nametoindex(iface);
	if (to.sll_ifindex == 0 || ioctl(a->fd, SIOCGIFHWADDR, &r) != 0)
		return false;
	memcpy(p.arp_sha, r.ifr_hwaddr.sa_data, MAC);
	addr_to_v4(vip, p.arp_tpa);
	return sendto(a->fd, &p, sizeof p, 0, (const struct sockaddr *)&to, sizeof to) ==
	       (ssize_t)sizeof p;
}

static bool is_node(const struct asker *a, const uint8_t mac[MAC])
{
	for (size_t i = 0; i < a->n_macs; i++)
		if (memcmp(a->macs[i], mac, MAC) == 0)
			return true;
	return false;
}

static void note_foreign(struct doctor_wire *w, struct addr ip, const uint8_t mac[MAC], int ifindex)
{
	struct doctor_answer *n = &w->foreign[w->n_foreign];
	char iface[IF_NAMESIZE] = "?";

	for (size_t i = 0; i < w->n_foreign; i++)
		if (addr_eq(w->foreign[i].ip, ip))
			return;
	if (w->n_foreign == DOCTOR_MAX_VIPS)
		return;
	w->n_foreign++;
	(void)if_indextoname((unsigned)ifindex, iface);
	*n = (struct doctor_answer){.ip = ip};
	memcpy(n->mac, mac, MAC);
	(void)snprintf(n->iface, sizeof n->iface, "%s", iface);
}

static void take_frame(struct asker *a)
{
	struct doctor_wire *w = &a->f->wire;
	struct sockaddr_ll from;
	socklen_t len = sizeof from;
	struct ether_arp p;
	struct addr ip;

	if (recvfrom(a->fd, &p, sizeof p, MSG_DONTWAIT, (struct sockaddr *)&from, &len) !=
			(ssize_t)sizeof p ||
		from.sll_pkttype == PACKET_OUTGOING || p.ea_hdr.ar_op != htons(ARPOP_REPLY) ||
		p.ea_hdr.ar_hln != MAC || p.ea_hdr.ar_pln != 4)
		return;
	ip = addr_from_v4(p.arp_spa);
	for (size_t i = 0; i < w->n_vips; i++)
		if (addr_eq(w->vips[i], ip) && !is_node(a, p.arp_sha))
			note_foreign(w, ip, p.arp_sha, from.sll_ifindex);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void ask_wire(struct asker *a)
{
	struct doctor_wire *w = &a->f->wire;
	const int64_t end = now_ms() + WAIT_MS;

	for (size_t i = 0; i < w->n_vips; i++) {
		const char *iface = iface_of(&a->f->host, w->vips[i]);
		bool asked = iface != NULL && probe(a, iface, w->vips[i]);

		w->n_asked += asked;
		w->n_left += !asked;
	}
	for (int64_t left = WAIT_MS; w->n_asked > 0 && left > 0; left = end - now_ms()) {
		struct pollfd p = {.fd = a->fd, .events = POLLIN};

		if (poll(&p, 1, (int)left) > 0)
			take_frame(a);
	}
}

void doctor_wire_read(const char *control, struct doctor_facts *f)
{
	struct asker *a = calloc(1, sizeof *a);
	struct doctor_wire *w = &f->wire;

	w->why = "out of memory";
	if (a == NULL)
		return;
	a->f = f;
	if (!ask_daemon(a, control)) {
		w->why = "lbd does not run here, and it knows which are in use";
		free(a);
		return;
	}
	a->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
	w->why = a->fd < 0 ? "that needs CAP_NET_RAW; run it as root" : NULL;
	if (a->fd >= 0) {
		ask_wire(a);
		(void)close(a->fd);
	}
	free(a);
}
