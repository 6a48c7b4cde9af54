/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_wire.c - asks the wire who answers for Services' addresses.
 *
 * Owns: a capture socket of each family, the probes of arp.c and ndp.c, for a second.
 * In:   the daemon's dump; frames.  Out: one probe for each address; foreign answers.
 */
#include "doctor_wire.h"

#include "arp.h"
#include "bpf.h"
#include "clock.h"
#include "control.h"
#include "json.h"
#include "ndp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUERY_MS = 5000, WAIT_MS = 1000, MAX_MACS = 1024, MAX_FRAME = 2048 };
enum { MAC = 6, MAC_TEXT = 17 };

struct asker {
	struct doctor_facts *f;
	uint8_t macs[MAX_MACS][MAC]; /* of nodes */
	size_t n_macs;
	struct ann *ann[ADDR_FAMILIES]; /* owned */
	int fd[ADDR_FAMILIES];          /* -1 = none */
};

/* -- what the daemon knows -- */

static bool parse_mac(const char *p, uint8_t ret_mac[MAC])
{
	for (size_t i = 0; i < MAC; i++) {
		char *end;

		ret_mac[i] = (uint8_t)strtoul(p + 3 * i, &end, 16);
		if (end != p + 3 * i + 2 || (i + 1 < MAC && *end != ':'))
			return false;
	}
	return true;
}

/* "eth0=02:00:0a:59:00:0b ..." */
static void take_macs(struct asker *a, const char *text)
{
	for (const char *p = text; p != NULL && a->n_macs < MAX_MACS; p = strchr(p, '=')) {
		if (*p == '=')
			p++;
		if (strlen(p) >= MAC_TEXT && parse_mac(p, a->macs[a->n_macs]))
			a->n_macs++;
	}
}

static void take_vip(struct doctor_wire *w, const char *ip)
{
	struct addr a;

	if (ip == NULL || addr_parse(ip, strlen(ip), &a) != 0)
		return;
	if (w->n_vips == DOCTOR_MAX_VIPS)
		w->n_left++;
	else
		w->vips[w->n_vips++] = a;
}

/* False: no daemon answers. */
static bool ask_daemon(struct asker *a, const char *control)
{
	cJSON *request = cJSON_CreateObject(), *answer = NULL;
	const cJSON *item;
	const char *node;
	int err;

	(void)cJSON_AddStringToObject(request, "command", "dump");
	err = control_query(control, request, QUERY_MS, &answer);
	cJSON_Delete(request);
	if (err != 0)
		return false;
	node = json_string(json_object(answer, "version"), "node");
	(void)snprintf(a->f->wire.node, sizeof a->f->wire.node, "%s", node != NULL ? node : "");
	cJSON_ArrayForEach (item, json_array(answer, "nodes"))
		take_macs(a, json_string(item, "macs"));
	cJSON_ArrayForEach (item, json_array(answer, "vips"))
		take_vip(&a->f->wire, json_string(item, "ip"));
	cJSON_Delete(answer);
	return true;
}

/* -- sockets -- */

static int open_socket(enum addr_family family)
{
	static const struct addr_range all[ADDR_FAMILIES] = {
		{{0, (uint64_t)ADDR_V4_TAG << 32}, {0, (uint64_t)ADDR_V4_TAG << 32 | UINT32_MAX}},
		{{0, 0}, {UINT64_MAX, UINT64_MAX}}};
	const int proto = htons(family == ADDR_V4 ? ETH_P_ARP : ETH_P_IPV6);
	struct sock_fprog filter;
	int fd;

	if (bpf_assemble(family, &all[family], 1, &filter) != 0)
		return -1;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
		(void)close(fd);
		fd = -1;
	}
	free(filter.filter);
	return fd;
}

static int on_send(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	const struct asker *a = ctx;
	const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};

	return sendto(a->fd[ADDR_V4], frame, len, 0, (const struct sockaddr *)&to, sizeof to) < 0
		       ? -errno
		       : 0;
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
	struct ann *ann = a->ann[addr_family(vip)];
	const unsigned ifindex = if_nametoindex(iface);
	const uint64_t now_ms = clock_now_ms();
	struct ifreq r = {.ifr_ifindex = 0};
	uint8_t mac[MAC];

	(void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", iface);
	if (ifindex == 0 || ioctl(a->fd[ADDR_V4], SIOCGIFHWADDR, &r) != 0)
		return false;
	memcpy(mac, r.ifr_hwaddr.sa_data, MAC);
	return ann_set_iface(ann, ifindex, mac, now_ms) == 0 &&
	       ann_probe(ann, ifindex, vip, now_ms) == 0;
}

static bool is_node(const struct asker *a, const uint8_t mac[MAC])
{
	for (size_t i = 0; i < a->n_macs; i++)
		if (memcmp(a->macs[i], mac, MAC) == 0)
			return true;
	return false;
}

static void on_heard(
	void *ctx, enum ann_heard what, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	const struct asker *a = ctx;
	struct doctor_wire *w = &a->f->wire;
	struct doctor_answer *n = &w->foreign[w->n_foreign];
	char iface[IF_NAMESIZE] = "?";

	if (what != ANN_HEARD_ANSWER || is_node(a, mac) || w->n_foreign == DOCTOR_MAX_VIPS)
		return;
	if (!doctor_is_vip(w, vip)) /* what this host's kernel asked for meanwhile */
		return;
	for (size_t i = 0; i < w->n_foreign; i++)
		if (addr_eq(w->foreign[i].ip, vip))
			return;
	w->n_foreign++;
	(void)if_indextoname(ifindex, iface);
	*n = (struct doctor_answer){.ip = vip};
	memcpy(n->mac, mac, MAC);
	(void)snprintf(n->iface, sizeof n->iface, "%.*s", DOCTOR_NAME - 1, iface);
}

static void take_frame(const struct asker *a, enum addr_family family)
{
	uint8_t frame[MAX_FRAME];
	struct sockaddr_ll from;
	socklen_t len = sizeof from;
	ssize_t n = recvfrom(a->fd[family], frame, sizeof frame, 0, (struct sockaddr *)&from, &len);

	if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
		ann_on_frame(a->ann[family], (unsigned)from.sll_ifindex, frame, (size_t)n,
			clock_now_ms());
}

static void ask_all(struct asker *a)
{
	struct doctor_wire *w = &a->f->wire;

	for (size_t i = 0; i < w->n_vips; i++) {
		const char *iface = iface_of(&a->f->host, w->vips[i]);
		bool asked = iface != NULL && probe(a, iface, w->vips[i]);

		w->n_asked += asked;
		w->n_left += !asked;
	}
}

static void hear_answers(struct asker *a)
{
	const uint64_t end = clock_now_ms() + WAIT_MS;

	for (uint64_t now = clock_now_ms(); a->f->wire.n_asked > 0 && now < end;
		now = clock_now_ms()) {
		struct pollfd p[ADDR_FAMILIES] = {{.fd = a->fd[ADDR_V4], .events = POLLIN},
			{.fd = a->fd[ADDR_V6], .events = POLLIN}};

		if (poll(p, ADDR_FAMILIES, (int)(end - now)) <= 0)
			continue;
		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
			if (p[f].revents != 0)
				take_frame(a, f);
	}
}

static void ask_wire(struct asker *a)
{
	static const struct ann_ops ops = {.send = on_send, .heard = on_heard};
	const struct hash_key hkey = {clock_now_ms(), (uint64_t)(uintptr_t)a};
	struct doctor_wire *w = &a->f->wire;

	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++)
		a->fd[f] = open_socket(f);
	a->ann[ADDR_V4] = arp_new(&ops, a, &hkey, NULL);
	a->ann[ADDR_V6] = ndp_new(&ops, a, &hkey, NULL);
	if (a->fd[ADDR_V4] < 0 || a->fd[ADDR_V6] < 0)
		w->why = "that needs CAP_NET_RAW; run it as root";
	else if (a->ann[ADDR_V4] != NULL && a->ann[ADDR_V6] != NULL) {
		w->why = NULL;
		ask_all(a);
		hear_answers(a);
	}
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		ann_free(a->ann[f]);
		if (a->fd[f] >= 0)
			(void)close(a->fd[f]);
	}
}

void doctor_wire_read(const char *control, struct doctor_facts *f)
{
	struct asker *a = calloc(1, sizeof *a);

	f->wire.why = "out of memory";
	if (a == NULL)
		return;
	a->f = f;
	if (ask_daemon(a, control))
		ask_wire(a);
	else
		f->wire.why = "lbd does not run here, and it knows which are in use";
	free(a);
}
