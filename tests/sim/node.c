/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c - one simulated node.
 *
 * Owns: the shipping cluster, vip, elect, leader, plan, alloc, arp, ndp, bfd and peers of one node.
 * In:   watch events, answers, frames, its own timer, faults.
 * Out:  requests to the server, frames to the LAN, what it announces to the judge.
 *
 * Everything under "the shell" is what daemon.c, feed.c, pass.c, wire.c, mesh.c and writer.c do
 * around the same units, in their order; the loop's stall check is daemon_wake()'s.
 */
#include "node.h"

#include "check.h"
#include "guest.h"
#include "users.h"

#include <errno.h>
#include <string.h>

enum {
	SPIN_MAX = 400, /* passes at one moment */
	MIN_STALL_MS = 20,
	DRAIN_MS = 2000,
	RELEASE_MS = 2000,
	RETRY_MS = 1000,
	RESTART_MS = 15000, /* at most, after a clean exit */
	STATUS_IN_FLIGHT = 6,
	CLOCK_START_US = 1000 * SIM_S,
	PPM = 200,
	HOSTS_A_SUBNET = 250,
	OWN_MAC_US = 180 * SIM_S, /* OWNERSHIP R1, and until the next claim */
	BFD_STALL_US = 2000,      /* bfdio.c's */
	OPENING_US = 10000,       /* net.c's, of a capture: one to three times that */
};

/* -- the clock -- */

static uint64_t clock_us(const struct node *n)
{
	uint64_t d = n->sim->now_us - n->clock.global_us;

	return n->clock.local_us + (uint64_t)((int64_t)d + (int64_t)d * n->clock.ppm / 1000000);
}

/* When the node's clock will have come to a moment of its own. */
static uint64_t global_us(const struct node *n, uint64_t local_us)
{
	uint64_t now_us = clock_us(n);

	if (local_us <= now_us)
		return n->sim->now_us;
	return n->sim->now_us + (local_us - now_us) +
	       (uint64_t)((int64_t)(local_us - now_us) * (n->clock.ppm < 0 ? -n->clock.ppm : 0) /
			  999000) +
	       1;
}

uint64_t node_clock_ms(const struct node *n)
{
	return clock_us(n) / 1000;
}

static void look_at_clock(struct node *n)
{
	n->now_us = clock_us(n);
	n->now_ms = n->now_us / 1000;
}

/* -- the shell: ARP, NDP and the election's words to the wire -- */

static struct ann *ann_of(const struct node *n, struct addr vip)
{
	return addr_family(vip) == ADDR_V6 ? n->ndp : n->arp;
}

static int send_frame(void *ctx, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct node *n = ctx;
	unsigned segment = ifindex - NODE_IFINDEX;

	if (segment >= n->sim->setup.n_segments || !n->ports[segment].there ||
		!n->ports[segment].carrier)
		return -ENETDOWN;
	if (n->ports[segment].capture != IFACE_HEARD)
		return -EAGAIN;
	check_on_sent(n->sim, n, segment, frame, len);
	lan_send(n->sim, segment, n->index, frame, len);
	return 0;
}

static void on_heard(
	void *ctx, enum ann_heard what, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	static const enum elect_wire words[] = {[ANN_HEARD_CLAIM] = ELECT_WIRE_CLAIM,
		[ANN_HEARD_ANSWER] = ELECT_WIRE_ANSWER,
		[ANN_HEARD_PROBE] = ELECT_WIRE_PROBE};
	struct node *n = ctx;

	(void)ifindex;
	if (what == ANN_HEARD_SENDER)
		return;
	elect_on_wire(n->elect, words[what], vip, mac, n->now_ms);
	n->dirty = true;
}

static bool is_member(void *ctx, const uint8_t mac[6])
{
	const struct node *n = ctx;

	return elect_is_member_mac(n->elect, mac);
}

static const struct ann_ops ann_ops = {
	.send = send_frame, .heard = on_heard, .is_member = is_member};

/* -- the shell: BFD, and who can witness -- */

struct addr node_addr(unsigned segment, unsigned index)
{
	return addr_from_v4((const uint8_t[4]){10, (uint8_t)segment,
		(uint8_t)(1 + (index + 1) / HOSTS_A_SUBNET),
		(uint8_t)((index + 1) % HOSTS_A_SUBNET)});
}

/* Whose it is; none: n_nodes. */
static unsigned host_of(const struct sim *s, struct addr a)
{
	unsigned index;
	uint8_t ip[4];

	addr_to_v4(a, ip);
	index = (unsigned)((ip[2] - 1) * HOSTS_A_SUBNET + ip[3] - 1);
	return index < s->setup.n_nodes ? index : s->setup.n_nodes;
}

static int send_packet(void *ctx, const struct bfd_path *path, const uint8_t *packet, size_t len)
{
	struct node *n = ctx;
	unsigned segment = path->ifindex - NODE_IFINDEX;
	unsigned to = host_of(n->sim, path->remote);
	uint8_t from_ip[4], to_ip[4];

	if (!n->ports[segment].there || !n->ports[segment].carrier || to == n->sim->setup.n_nodes)
		return -ENETUNREACH;
	addr_to_v4(path->local, from_ip);
	addr_to_v4(path->remote, to_ip);
	lan_send_packet(
		n->sim, segment, n->index, to, &(struct lan_packet){from_ip, to_ip, packet, len});
	return 0;
}

static const struct bfd_ops bfd_ops = {.send = send_packet};

static void on_peer(void *ctx, const char *node, unsigned ifindex, enum elect_peer state,
	unsigned loss_permille)
{
	struct node *n = ctx;

	sim_trace(n->sim, "%s: %s is %s on eth%u", n->name, node, peers_state_name(state),
		ifindex - NODE_IFINDEX);
	elect_on_peer(n->elect, node, ifindex, state, loss_permille, n->now_ms);
}

static void on_peers_wake(void *ctx)
{
	struct node *n = ctx;

	n->dirty = true;
}

static const struct peers_ops peers_ops = {on_peer, on_peers_wake};

static bool ask_on(struct node *n, unsigned segment, const char *suspect)
{
	bool known = !n->sim->setup.lonely;

	if (known && n->ports[segment].there && n->ports[segment].carrier)
		guest_ask_client(n->sim, segment, n->index, node_addr(segment, n->index));
	return known || peers_has_other(n->peers, NODE_IFINDEX + segment, suspect);
}

static bool ask_witness(void *ctx, unsigned ifindex, const char *suspect)
{
	struct node *n = ctx;
	bool any = false;

	for (unsigned k = 0; k < n->sim->setup.n_segments; k++)
		if (ifindex == 0 || ifindex == NODE_IFINDEX + k)
			any |= ask_on(n, k, suspect);
	return any;
}

static bool witnessed(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms)
{
	const struct node *n = ctx;

	for (unsigned k = 0; k < n->sim->setup.n_segments; k++)
		if ((ifindex == 0 || ifindex == NODE_IFINDEX + k) &&
			(n->witness_ms[k] > since_ms ||
				peers_heard_since(
					n->peers, NODE_IFINDEX + k, suspect, since_ms * 1000)))
			return true;
	return false;
}

static bool watches(void *ctx, unsigned ifindex, const char *node, const char *owner)
{
	const struct node *n = ctx;

	return peers_watches(n->peers, ifindex, node, owner);
}

static void forgot(void *ctx, const char *node)
{
	struct node *n = ctx;

	peers_remove(n->peers, node);
}

/* What is to be done about a VIP on one of its paths; mac: of whom to ask, else NULL. */
typedef int (*path_fn)(struct node *n, unsigned ifindex, struct addr vip, const uint8_t mac[6]);

static void each_path(struct node *n, const struct vip_group *g, path_fn fn, const uint8_t mac[6])
{
	struct elect_view v;

	if (!elect_view(n->elect, g->id, &v))
		return;
	for (size_t i = 0; i < v.elig->n_paths; i++) {
		const struct elig_path *p = &v.elig->paths[i];

		(void)fn(n, p->ifindex, v.addrs[p->vip], mac); /* no carrier: the shell logs it */
	}
}

static int probe(struct node *n, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	(void)mac;
	return ann_probe(ann_of(n, vip), ifindex, vip, n->now_ms);
}

static int announce(struct node *n, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	(void)mac;
	return ann_announce(ann_of(n, vip), ifindex, vip, n->now_ms);
}

static int ask(struct node *n, unsigned ifindex, struct addr vip, const uint8_t mac[6])
{
	return ann_probe_unicast(ann_of(n, vip), ifindex, vip, mac, n->now_ms);
}

static void on_probe(void *ctx, const struct vip_group *g)
{
	each_path(ctx, g, probe, NULL);
}

static void on_announce(void *ctx, const struct vip_group *g)
{
	each_path(ctx, g, announce, NULL);
}

static void on_ask(void *ctx, const struct vip_group *g, const uint8_t mac[6])
{
	each_path(ctx, g, ask, mac);
}

static bool is_ours(void *ctx, const uint8_t mac[6])
{
	const struct node *n = ctx;

	return ann_is_own_mac(n->arp, mac, n->now_ms);
}

static const struct elect_ops elect_ops = {
	on_probe, on_announce, on_ask, ask_witness, witnessed, watches, forgot, is_ours};

static enum pool_claim claim(void *ctx, struct addr x)
{
	static const enum pool_claim words[] = {[ELECT_CLAIM_NONE] = POOL_UNCLAIMED,
		[ELECT_CLAIM_STALE] = POOL_STALE,
		[ELECT_CLAIM_ALIVE] = POOL_CLAIMED};
	const struct node *n = ctx;

	return words[elect_claim(n->elect, x)];
}

static const struct alloc_ops alloc_ops = {.claim = claim};

/* As mesh_on_lease(). */
static bool mesh_put(struct node *n, const struct cluster_lease *l)
{
	bool has_holder = l->holder != NULL && l->holder[0] != '\0';

	return peers_put(n->peers, l->node, l->addresses, has_holder ? n->now_us : 0) == 0;
}

static void on_lease(void *ctx, const struct cluster_lease *l, bool deleted)
{
	struct node *n = ctx;

	if (l->role == CLUSTER_LEASE_LEADER)
		leader_on_lease(n->leader, deleted ? NULL : l, n->now_ms);
	else
		elect_on_lease(n->elect, l, deleted, n->now_ms);
	if (!deleted && l->role == CLUSTER_LEASE_NODE && l->node != NULL &&
		strcmp(l->node, n->name) != 0 && !mesh_put(n, l))
		abort();
	if (l->role == CLUSTER_LEASE_CLAIMS)
		alloc_claims_changed(n->alloc);
	disk_on_lease(n);
}

/* -- the shell: interfaces -- */

static void tell_link(struct node *n, unsigned segment)
{
	const struct port *p = &n->ports[segment];
	unsigned flags = IFF_BROADCAST | IFF_MULTICAST | IFF_UP |
			 (p->carrier ? IFF_RUNNING | IFF_LOWER_UP : 0u);
	struct ifinfomsg i = {.ifi_type = ARPHRD_ETHER,
		.ifi_index = (int)(NODE_IFINDEX + segment),
		.ifi_flags = flags};
	unsigned char operstate = p->carrier ? 6 : 2;
	char name[] = "eth0";
	unsigned mtu = 1500;
	struct world_msg m;

	name[3] = (char)('0' + segment);
	world_begin(&m, p->there ? RTM_NEWLINK : RTM_DELLINK, &i, sizeof i);
	world_attr(&m, IFLA_IFNAME, name, sizeof name);
	world_attr(&m, IFLA_OPERSTATE, &operstate, 1);
	world_attr(&m, IFLA_MTU, &mtu, sizeof mtu);
	world_attr(&m, IFLA_ADDRESS, p->mac, 6);
	world_send(&n->w, &m);
}

static bool iface_exists(void *ctx, unsigned ifindex)
{
	const struct node *n = ctx;

	return iface_get(n->w.ifaces, ifindex) != NULL;
}

static struct addr link_local(const struct node *n)
{
	return addr_from_v6((const uint8_t[16]){
		0xfe, 0x80, [14] = (uint8_t)((n->index + 1) >> 8), [15] = (uint8_t)(n->index + 1)});
}

/* As wire_sync(): ARP and NDP know every interface. */
static void sync_ports(struct node *n, struct ann *a)
{
	const struct addr source = link_local(n);
	const struct iface *i = NULL;

	while ((i = iface_next(n->w.ifaces, i)) != NULL) {
		if (ann_set_iface(a, i->ifindex, i->mac, n->now_ms) != 0)
			abort();
		ann_set_source(a, i->ifindex, &source);
	}
	ann_retain_ifaces(a, iface_exists, n, n->now_ms);
}

static void set_capture(struct node *n, unsigned segment, enum iface_capture capture)
{
	n->ports[segment].capture = capture;
	for (enum addr_family f = 0; f < ADDR_FAMILIES; f++)
		iface_set_capture(n->w.ifaces, NODE_IFINDEX + segment, f, capture);
}

static void on_opened(struct sim *s, const struct event *ev);

static void post_opened(struct node *n, unsigned segment)
{
	sim_post(n->sim, n->sim->now_us + OPENING_US + rng_below(&n->rng_opening, 2 * OPENING_US),
		&(struct event){.fn = on_opened,
			.p = n,
			.a = segment,
			.b = n->ports[segment].opening});
}

/* As net.c: captured from a while after it is up. */
static void sync_capture(struct node *n, unsigned segment)
{
	struct port *p = &n->ports[segment];

	if (!p->there || !p->carrier) {
		p->opening++;
		set_capture(n, segment, IFACE_NOT_HEARD);
	} else if (p->capture == IFACE_NOT_HEARD) {
		p->opening++;
		set_capture(n, segment, IFACE_OPENING);
		post_opened(n, segment);
	}
}

static void on_opened(struct sim *s, const struct event *ev)
{
	struct node *n = ev->p;

	(void)s;
	if (!n->alive || ev->b != n->ports[ev->a].opening)
		return;
	if (n->stopped) {
		post_opened(n, ev->a);
		return;
	}
	(void)node_wake(n);
	set_capture(n, ev->a, IFACE_HEARD);
	elect_set_input(n->elect, &n->w.in, n->now_ms);
	n->dirty = true;
	node_turn(n);
}

static void tell_port(struct node *n, unsigned segment)
{
	char subnet[ADDR_STRLEN + 4], text[ADDR_STRLEN];

	tell_link(n, segment);
	if (n->ports[segment].there) {
		(void)snprintf(subnet, sizeof subnet, "%s/16",
			addr_format(node_addr(segment, n->index), text));
		world_addr(&n->w, NODE_IFINDEX + segment, subnet);
	}
	if (n->ports[segment].there && sim_is_v6(n->sim, segment)) {
		(void)snprintf(subnet, sizeof subnet, "fd00:%x::1:%x/64", segment, n->index + 1);
		world_addr(&n->w, NODE_IFINDEX + segment, subnet);
		(void)snprintf(subnet, sizeof subnet, "%s/64", addr_format(link_local(n), text));
		world_addr(&n->w, NODE_IFINDEX + segment, subnet);
	}
	sync_ports(n, n->arp);
	sync_ports(n, n->ndp);
	sync_capture(n, segment);
}

/* -- the shell: the pass -- */

static void adopt(struct node *n)
{
	struct cluster_service s = {0};

	alloc_begin(n->alloc);
	while (cluster_next_service(n->w.cluster, &s))
		if (alloc_put(n->alloc, &s, n->now_ms) != 0)
			abort();
	alloc_adopted(n->alloc, n->now_ms);
	n->adopting = false;
}

static void take_services(struct node *n)
{
	bool allocate = n->was_leader && alloc_is_ready(n->alloc);

	if (cluster_dirty_count(n->w.cluster) > 0)
		disk_mark(n);
	for (size_t i = 0; i < cluster_dirty_count(n->w.cluster); i++) {
		struct cluster_dirty d = cluster_dirty_at(n->w.cluster, i);
		struct cluster_service s;
		int err = vip_update(n->w.vips, &n->w.conf, n->w.cluster, d.key);

		if (err == 0 && allocate && !cluster_service(n->w.cluster, d.key, &s))
			alloc_delete(n->alloc, d.key, n->now_ms);
		else if (err == 0 && allocate)
			err = alloc_put(n->alloc, &s, n->now_ms);
		if (err != 0)
			abort();
	}
	cluster_clean(n->w.cluster);
}

/* Returns whether all was built anew. */
static bool take_environment(struct node *n)
{
	bool all = n->rebuild;

	if (n->nodes_generation != cluster_nodes_generation(n->w.cluster)) {
		n->nodes_generation = cluster_nodes_generation(n->w.cluster);
		elect_set_input(n->elect, &n->w.in, n->now_ms);
		disk_mark(n);
	}
	if (all) {
		if (vip_rebuild(n->w.vips, &n->w.conf, n->w.cluster) != 0)
			abort();
		elect_set_input(n->elect, &n->w.in, n->now_ms);
		n->rebuild = false;
	}
	return all;
}

static bool is_on(const struct plan_entry *e)
{
	return e != NULL && e->announced;
}

static void apply_change(struct node *n, const struct plan_change *c)
{
	const struct plan_entry *e = c->is != NULL ? c->is : c->was;
	bool on = is_on(c->is);

	if (on && ann_add(ann_of(n, e->vip), e->ifindex, e->vip, n->now_ms) != 0)
		abort();
	if (!on)
		ann_del(ann_of(n, e->vip), e->ifindex, e->vip);
	if (on != is_on(c->was))
		check_on_announced(n->sim, n, e->vip, e->ifindex - NODE_IFINDEX, on,
			reason_code(c->is != NULL ? c->is->reason : REASON_NO_IP));
}

static void update_plan(struct node *n, bool all)
{
	const struct plan_input in = {.vips = n->w.vips, .elect = n->elect};
	int err = 0;

	if (all)
		err = plan_rebuild(n->plan, &in);
	for (size_t i = 0; !all && i < vip_dirty_count(n->w.vips); i++)
		err |= plan_update(n->plan, &in, vip_dirty_at(n->w.vips, i));
	for (size_t i = 0; !all && i < elect_dirty_count(n->elect); i++)
		err |= plan_update(n->plan, &in, elect_dirty_at(n->elect, i));
	if (err != 0)
		abort();
	if (plan_change_count(n->plan) > 0)
		disk_mark(n);
	for (size_t i = 0; i < plan_change_count(n->plan); i++) {
		struct plan_change c = plan_change_at(n->plan, i);

		apply_change(n, &c);
	}
	vip_clean(n->w.vips);
	elect_clean(n->elect);
	plan_clean(n->plan);
}

/* A new leader lists consistently, adopts what it finds, and only then gives (DESIGN section 3). */
static void watch_leadership(struct node *n)
{
	bool is = leader_is_leader(n->leader, n->now_ms);

	if (is == n->was_leader)
		return;
	n->was_leader = n->adopting = is;
	n->services_listed = false;
	sim_trace(n->sim, "%s %s", n->name, is ? "leads" : "leads no more");
	alloc_begin(n->alloc);
	for (unsigned k = 0; is && k < SIM_STREAMS; k++)
		if (n->streams[k].kind == CLUSTER_SERVICE)
			stream_relist(n->sim, &n->streams[k]);
}

/* -- the shell: writes -- */

static bool may_write(const struct node *n)
{
	return !n->exiting && leader_is_leader(n->leader, n->now_ms) &&
	       n->now_ms < leader_deadline(n->leader);
}

static void send_status(struct node *n, const struct alloc_write *w)
{
	n->status_in_flight++;
	server_send_status(n->sim, n, n->candidate, leader_write_ms(n->leader), w);
}

static void write_status(struct node *n)
{
	struct alloc_write w;
	struct alloc_result result;

	while (alloc_next_result(n->alloc, &result))
		sim_trace(n->sim, "%s: %s: %s", n->name, result.key, reason_code(result.reason));
	if (!may_write(n))
		return;
	if (n->sim->setup.allocates) {
		while (n->status_in_flight < STATUS_IN_FLIGHT && alloc_is_ready(n->alloc) &&
			alloc_next_write(n->alloc, n->now_ms, &w))
			send_status(n, &w);
	} else if (n->now_ms >= n->next_status_ms) {
		n->next_status_ms = n->now_ms + 50 + rng_below(&n->rng, 400);
		send_status(n, NULL);
	}
}

static void write_leases(struct node *n)
{
	struct lease_action a;

	if (leader_next_action(n->leader, n->now_ms, &a)) {
		if (n->now_ms > a.not_after_ms)
			sim_fail(n->sim, "I9", "%s asks for a write in the past", n->name);
		server_send_lease(n->sim, n, REQUEST_LEADER, &a);
	}
	while (elect_next_action(n->elect, n->now_ms, &a))
		server_send_lease(n->sim, n, REQUEST_ELECT, &a);
}

/* -- the shell: the way out -- */

static void restart_later(struct node *n, uint64_t after_us);

static void step_exit(struct node *n)
{
	if (n->undrain_ms != 0 && n->now_ms >= n->undrain_ms) {
		n->undrain_ms = 0;
		sim_trace(n->sim, "%s drains no more", n->name);
		elect_drain(n->elect, NULL, 0, n->now_ms);
		peers_set_leaving(n->peers, false, n->now_us);
		n->dirty = true;
	}
	if (!n->exiting)
		return;
	if (!n->releasing && (elect_drained(n->elect, n->now_ms) || n->now_ms >= n->exit_by_ms) &&
		(n->status_in_flight == 0 || n->now_ms >= n->exit_by_ms)) {
		n->releasing = true;
		n->exit_by_ms = n->now_ms + RELEASE_MS;
		leader_set_candidate(n->leader, false, n->now_ms);
		leader_release(n->leader, n->now_ms);
		elect_release(n->elect, n->now_ms);
		n->dirty = true;
	} else if (n->releasing && ((leader_released(n->leader) && elect_released(n->elect)) ||
					   n->now_ms >= n->exit_by_ms)) {
		restart_later(n, (100 + rng_below(&n->rng, RESTART_MS)) * SIM_MS);
		node_kill(n, "exits");
	}
}

/* -- the shell: the loop -- */

static uint64_t stall_ms(const struct node *n)
{
	const struct config_elections *e = &n->w.conf.elections;
	uint64_t ms = e->bfd_interval_ms * (e->bfd_multiplier - 1);

	return ms > MIN_STALL_MS ? ms : MIN_STALL_MS;
}

/* How late the loop is for its timer, and for BFD's (daemon_wake(), bfdio_late_us()). */
static uint64_t late_ms(const struct node *n)
{
	uint64_t ms = n->now_ms > n->armed_ms ? n->now_ms - n->armed_ms : 0, bfd_ms = 0;

	if (n->now_us > n->bfd_shell.armed_us && peers_count(n->peers) > 0)
		bfd_ms = (n->now_us - n->bfd_shell.armed_us) / 1000;
	return ms > bfd_ms ? ms : bfd_ms;
}

static void drop_ring(struct node *n, struct ring *r)
{
	while (r->n > 0)
		frame_put(n->sim, r->v[--r->n].frame);
}

static void drop_inbox(struct node *n)
{
	while (n->inbox.n > 0)
		frame_put(n->sim, n->inbox.v[--n->inbox.n].frame);
	free(n->inbox.v);
	n->inbox = (struct inbox){0};
}

/* daemon_stalled() */
static bool is_stalled(struct node *n, uint64_t ms)
{
	if (ms < stall_ms(n))
		return false;
	n->armed_ms = TIME_NEVER;
	if (n->fenced_ms != 0 && n->now_ms - n->fenced_ms < MIN_STALL_MS)
		return true; /* the same stall, seen by another timer */
	n->fenced_ms = n->now_ms;
	sim_trace(n->sim, "%s was stopped: asks for every address again", n->name);
	drop_ring(n, &n->arp_ring);
	elect_fence(n->elect, n->now_ms);
	n->dirty = true;
	return true;
}

bool node_wake(struct node *n)
{
	look_at_clock(n);
	return !is_stalled(n, late_ms(n));
}

static uint64_t next_deadline(const struct node *n)
{
	uint64_t at = time_min(ann_next_deadline(n->arp), ann_next_deadline(n->ndp));
	uint64_t peers_us = peers_next_deadline_us(n->peers, n->now_us);

	at = time_min(at, leader_next_deadline(n->leader));
	if (peers_us != TIME_NEVER)
		at = time_min(at, (peers_us + 999) / 1000);
	at = time_min(at, disk_next_deadline(n));
	if (node_may_act(n))
		at = time_min(at, elect_next_deadline(n->elect));
	if (may_write(n) && !n->sim->setup.allocates)
		at = time_min(at, n->next_status_ms);
	if (may_write(n) && n->sim->setup.allocates && alloc_is_ready(n->alloc) &&
		n->status_in_flight < STATUS_IN_FLIGHT)
		at = time_min(at, alloc_next_deadline(n->alloc));
	if (n->undrain_ms != 0)
		at = time_min(at, n->undrain_ms);
	if (n->exiting)
		at = time_min(at, n->exit_by_ms);
	return at;
}

static void on_timer(struct sim *s, const struct event *ev)
{
	struct node *n = ev->p;

	if (!n->alive || ev->a != n->wake_session)
		return;
	n->wake_us = TIME_NEVER;
	if (n->stopped)
		return; /* node_resume() sees to it */
	(void)s;
	if (node_clock_ms(n) < n->armed_ms && n->armed_ms != TIME_NEVER) { /* armed for later */
		n->wake_us = global_us(n, n->armed_ms * 1000);
		sim_post(s, n->wake_us,
			&(struct event){.fn = on_timer, .p = n, .a = n->wake_session});
		return;
	}
	if (n->armed_ms == TIME_NEVER)
		return;
	(void)node_wake(n);
	n->dirty = true;
	node_turn(n);
}

/* At most one event of a node is useful: an earlier one arms itself again. */
static void arm(struct node *n)
{
	uint64_t at_us;

	n->armed_ms = next_deadline(n);
	if (n->armed_ms == TIME_NEVER)
		return;
	if (n->armed_ms < n->now_ms)
		n->armed_ms = n->now_ms;
	at_us = global_us(n, n->armed_ms * 1000);
	if (n->wake_us <= at_us)
		return;
	n->wake_us = at_us;
	sim_post(n->sim, at_us, &(struct event){.fn = on_timer, .p = n, .a = ++n->wake_session});
}

static void arm_bfd(struct node *n);

/* snapfile.c's use_old_picture() */
static void use_disk(struct node *n)
{
	if (!disk_is_to_be_used(n))
		return;
	sim_trace(n->sim, "%s serves from its disk", n->name);
	n->restored = n->rebuild = true;
	elect_on_snapshot(n->elect, n->now_ms);
}

static void pass(struct node *n)
{
	use_disk(n);
	peers_update(n->peers, n->now_us);
	if (node_may_act(n)) {
		bool all;

		if (n->adopting && n->services_listed)
			adopt(n);
		take_services(n);
		all = take_environment(n);
		elect_pass(n->elect, n->now_ms);
		update_plan(n, all);
	}
	watch_leadership(n);
	ann_tick(n->arp, n->now_ms);
	ann_tick(n->ndp, n->now_ms);
	write_status(n);
	write_leases(n);
	disk_run(n);
	step_exit(n);
}

static void take_frame(struct node *n, const struct waiting *w);

static void read_inbox(struct node *n)
{
	struct inbox *b = &n->inbox;
	bool fresh = b->n > 0 && node_wake(n);

	for (size_t i = 0; i < b->n; i++) {
		if (fresh)
			take_frame(n, &b->v[i]);
		frame_put(n->sim, b->v[i].frame);
	}
	b->n = 0;
}

static void on_turn(struct sim *s, const struct event *ev)
{
	struct node *n = ev->p;

	(void)s;
	n->turn_posted = false;
	n->turning = true;
	if (n->alive)
		read_inbox(n);
	node_turn(n);
	n->turning = false;
}

/* Returns whether that happens later, together with more. */
static bool is_put_off(struct node *n)
{
	const struct event ev = {.fn = on_turn, .p = n};

	if (n->sim->setup.turn_us == 0 || n->turning)
		return false;
	if (!n->turn_posted)
		sim_post(n->sim, n->sim->now_us + n->sim->setup.turn_us, &ev);
	n->turn_posted = true;
	return true;
}

void node_turn(struct node *n)
{
	if (!n->alive || n->stopped || is_put_off(n))
		return;
	(void)node_wake(n);
	if (!n->dirty) {
		arm_bfd(n);
		return;
	}
	if (n->spin_us != n->sim->now_us)
		n->spins = 0;
	n->spin_us = n->sim->now_us;
	if (++n->spins > SPIN_MAX)
		sim_fail(n->sim, "spinning", "%s asks to be called again and again", n->name);
	n->dirty = false;
	pass(n);
	if (n->alive) {
		arm(n);
		arm_bfd(n);
	}
	check_on_turn(n->sim, n);
}

/* -- the shell: BFD's socket and timer (bfdio.c) -- */

/* late_us: for how long there had been something to do. */
static void bfd_turn(struct node *n, uint64_t late_us)
{
	if (late_us >= BFD_STALL_US) {
		bfd_stalled(n->bfd, late_us, n->now_us);
		(void)is_stalled(n, late_us / 1000);
	}
	n->bfd_shell.armed_us = TIME_NEVER; /* armed again before the loop waits */
	bfd_tick(n->bfd, n->now_us);
}

static void on_bfd_timer(struct sim *s, const struct event *ev)
{
	struct node *n = ev->p;

	(void)s;
	if (!n->alive || ev->a != n->bfd_shell.session)
		return;
	n->bfd_shell.wake_us = TIME_NEVER;
	if (n->stopped)
		return;
	look_at_clock(n);
	if (bfd_next_deadline_us(n->bfd) <= n->now_us) {
		bfd_turn(n, 0);
		node_turn(n);
	} else {
		arm_bfd(n);
	}
}

static void arm_bfd(struct node *n)
{
	struct bfd_shell *b = &n->bfd_shell;
	uint64_t at_us;

	b->armed_us = bfd_next_deadline_us(n->bfd);
	if (b->armed_us == TIME_NEVER)
		return;
	at_us = global_us(n, b->armed_us);
	if (b->wake_us <= at_us)
		return;
	b->wake_us = at_us;
	sim_post(n->sim, at_us, &(struct event){.fn = on_bfd_timer, .p = n, .a = ++b->session});
}

static void take_packet(struct node *n, const struct waiting *w)
{
	struct lan_packet p;

	if (!lan_read_packet(w->frame, &p))
		return;
	bfd_on_packet(n->bfd, &(struct bfd_packet){.data = p.data,
				      .len = p.len,
				      .ifindex = NODE_IFINDEX + w->segment,
				      .from = addr_from_v4(p.from),
				      .to = addr_from_v4(p.to),
				      .ttl = 255,
				      .at_us = w->at_us});
}

/* -- what comes in -- */

static void take_frame(struct node *n, const struct waiting *w)
{
	if (guest_is_answer_of_client(w->frame, w->segment, node_addr(w->segment, n->index)))
		/* the kernel's doing */
		n->witness_ms[w->segment] = n->now_ms;
	else
		ann_on_frame(lan_is_arp(w->frame) ? n->arp : n->ndp, NODE_IFINDEX + w->segment,
			w->frame->data, w->frame->len, n->now_ms);
}

static void keep_waiting(struct ring *r, const struct waiting *w)
{
	if (r->n == LAN_RING)
		return;
	w->frame->refs++;
	r->v[r->n++] = *w;
}

static void put_in_inbox(struct node *n, const struct waiting *w)
{
	struct inbox *b = &n->inbox;

	w->frame->refs++;
	b->v = sim_grow(b->v, &b->cap, b->n + 1, sizeof *b->v);
	b->v[b->n++] = *w;
}

void node_on_frame(struct node *n, unsigned segment, struct frame *f)
{
	const struct waiting w = {f, segment, clock_us(n)};
	bool is_packet = lan_is_packet(f);

	if (!n->alive || n->suspended || !n->ports[segment].there || !n->ports[segment].carrier)
		return;
	if (!is_packet && n->ports[segment].capture != IFACE_HEARD)
		return;
	if (n->stopped) {
		keep_waiting(is_packet ? &n->bfd_ring : &n->arp_ring, &w);
		return;
	}
	if (is_packet) {
		look_at_clock(n);
		take_packet(n, &w);
		bfd_turn(n, 0);
	} else if (n->sim->setup.turn_us > 0) {
		put_in_inbox(n, &w);
	} else if (node_wake(n)) {
		take_frame(n, &w);
	}
	node_turn(n);
}

void node_on_watch(struct node *n, enum cluster_kind kind, const struct change *c)
{
	(void)node_wake(n);
	if (cluster_apply(n->w.cluster, kind, c->deleted ? CLUSTER_DELETE : CLUSTER_PUT, c->json) !=
		0)
		abort();
	n->dirty = true;
}

void node_on_list(struct node *n, enum cluster_kind kind)
{
	if (kind == CLUSTER_SERVICE)
		n->services_listed = true;
	node_on_synced(n);
}

void node_on_synced(struct node *n)
{
	bool synced = true;

	if (!n->alive)
		return;
	for (unsigned k = 0; k < SIM_STREAMS; k++)
		synced = synced && n->streams[k].synced;
	look_at_clock(n);
	n->dirty = true;
	if (synced == n->synced)
		return;
	n->synced = synced;
	if (synced && !n->synced_once)
		n->synced_once = n->rebuild = true;
	leader_on_synced(n->leader, synced, n->now_ms);
	elect_on_synced(n->elect, synced, n->now_ms);
}

static enum alloc_outcome status_outcome(enum lease_outcome outcome)
{
	switch (outcome) {
	case LEASE_OK:
		return ALLOC_WRITE_OK;
	case LEASE_CONFLICT:
		return ALLOC_WRITE_CONFLICT;
	case LEASE_NOT_FOUND:
		return ALLOC_WRITE_GONE;
	case LEASE_NOT_SENT:
		return ALLOC_WRITE_NOT_SENT;
	case LEASE_REFUSED:
	case LEASE_FAILED:
		break;
	}
	return ALLOC_WRITE_FAILED;
}

void node_on_answer(struct node *n, enum request_kind kind, uint64_t id, enum lease_outcome outcome,
	const struct cluster_lease *l)
{
	(void)node_wake(n);
	switch (kind) {
	case REQUEST_LEADER:
		leader_done(n->leader, id, outcome, l, n->now_ms);
		break;
	case REQUEST_ELECT:
		elect_done(n->elect, id, outcome, l, n->now_ms);
		break;
	case REQUEST_STATUS:
		n->status_in_flight--;
		if (id != 0)
			alloc_write_done(n->alloc, id, status_outcome(outcome), n->now_ms);
		break;
	}
	n->dirty = true;
	node_turn(n);
}

/* -- start and end -- */

static void make_mac(const struct node *n, unsigned segment, uint8_t mac[6])
{
	const uint8_t m[6] = {2, 0, 0, (uint8_t)(n->index >> 8), (uint8_t)(n->index + 1),
		(uint8_t)(NODE_IFINDEX + segment)};

	memcpy(mac, m, 6);
}

void node_init(struct sim *s, unsigned index)
{
	struct node *n = &s->nodes[index];
	struct rng rng = {.state = s->setup.seed + ((uint64_t)(index + 1) << 40)};

	n->sim = s;
	n->index = index;
	n->rng.state = rng_next(&rng);
	n->rng_opening.state = rng_next(&rng);
	n->hkey = (struct hash_key){s->setup.seed, index};
	(void)snprintf(n->name, sizeof n->name, "n%u", index + 1);
	n->clock.local_us = CLOCK_START_US + rng_below(&n->rng, CLOCK_START_US);
	if (s->setup.clocks_vary)
		n->clock.ppm = (int32_t)rng_below(&n->rng, 2 * PPM + 1) - PPM;
	for (unsigned k = 0; k < s->setup.n_segments; k++) {
		n->ports[k].there = n->ports[k].carrier = true;
		make_mac(n, k, n->ports[k].mac);
		lan_set_mac(s, k, index, n->ports[k].mac);
	}
	for (unsigned k = 0; k < SIM_STREAMS; k++)
		n->streams[k] = (struct stream){.node = n, .kind = server_kinds[k]};
}

static void reset_shell(struct node *n)
{
	n->alive = true;
	n->stopped = n->suspended = n->exiting = n->releasing = false;
	n->life++;
	look_at_clock(n);
	n->armed_ms = n->wake_us = TIME_NEVER;
	n->bfd_shell.armed_us = n->bfd_shell.wake_us = TIME_NEVER;
	n->bfd_shell.session++;
	memset(n->witness_ms, 0, sizeof n->witness_ms);
	n->dirty = true;
	n->synced = n->synced_once = n->restored = n->rebuild = false;
	n->started_ms = n->now_ms;
	n->was_leader = n->adopting = n->services_listed = false;
	n->nodes_generation = 0;
	n->status_in_flight = 0;
	n->fenced_ms = n->next_status_ms = n->exit_by_ms = n->undrain_ms = 0;
}

static void make_config(struct node *n)
{
	struct world *w = &n->w;

	w->conf.elections = n->sim->setup.elections;
	w->ranges[0] = users_range(n->sim, 0);
	w->ranges[1] = users_range(n->sim, n->sim->setup.n_segments > 1 ? 1 : 0);
	w->pools[0].n_ranges = n->sim->setup.n_segments > 1 ? 2 : 1;
	if (n->sim->setup.allocates)
		w->pools[0].reuse_delay_ms = 2000;
	w->conf.n_l2_advertisements = n->config_odd ? 0 : 1;
}

void node_start(struct node *n)
{
	struct elect_conf ec = {.node = n->name, .identity = n->identity, .version = "sim"};
	const struct config_elections *el = &n->sim->setup.elections;
	struct leader_conf lc = {.identity = n->candidate,
		.duration_ms = el->leader_duration_ms,
		.renew_deadline_ms = el->leader_renew_deadline_ms,
		.retry_period_ms = el->leader_retry_period_ms};

	if (n->alive)
		return;
	reset_shell(n);
	(void)snprintf(n->identity, sizeof n->identity, "%s/boot%u/%u", n->name, n->index, n->life);
	(void)snprintf(n->candidate, sizeof n->candidate, "%s_%u_%u", n->name, n->index, n->life);
	world_open(&n->w, n->name);
	make_config(n);
	n->elect = elect_new(&ec, &elect_ops, n, &n->w.hkey, &n->rng, NULL);
	n->leader = leader_new(&lc, &n->rng, NULL);
	n->plan = plan_new(&n->w.hkey);
	n->alloc = alloc_new(&n->w.hkey, NULL);
	n->arp = arp_new(&ann_ops, n, &n->w.hkey, &n->w.counters);
	n->ndp = ndp_new(&ann_ops, n, &n->hkey, &n->w.counters);
	n->bfd = bfd_new(&bfd_ops, n, &n->w.hkey, &n->rng, NULL);
	n->peers = n->bfd != NULL ? peers_new(n->bfd, n->name, &peers_ops, n) : NULL;
	if (n->elect == NULL || n->leader == NULL || n->plan == NULL || n->alloc == NULL ||
		n->arp == NULL || n->ndp == NULL || n->peers == NULL ||
		alloc_configure(n->alloc, &n->w.conf, n->now_ms) != 0)
		abort();
	alloc_set_ops(n->alloc, &alloc_ops, n);
	alloc_begin(n->alloc);
	for (unsigned k = 0; k < n->sim->setup.n_segments; k++) {
		n->ports[k].capture = IFACE_NOT_HEARD;
		n->ports[k].opening++; /* what the process before was opening is nobody's */
		if (n->ports[k].there)
			tell_port(n, k);
	}
	cluster_on_lease(n->w.cluster, on_lease, n);
	disk_load(n);
	elect_set_input(n->elect, &n->w.in, n->now_ms);
	if (n->sim->setup.elections.bfd_interval_ms > 0)
		peers_set_input(n->peers, &n->w.in);
	sim_trace(n->sim, "%s starts as %s", n->name, n->identity);
	for (unsigned k = 0; k < SIM_STREAMS; k++)
		stream_open(n->sim, &n->streams[k]);
	check_on_node(n->sim);
	node_turn(n);
}

static void free_units(struct node *n)
{
	n->alive = n->exiting = n->synced = false;
	n->life++;
	n->wake_session++;
	for (unsigned k = 0; k < SIM_STREAMS; k++) {
		n->streams[k].synced = false;
		if (n->streams[k].connected)
			stream_close(n->sim, &n->streams[k]);
		n->streams[k].session++;
	}
	drop_ring(n, &n->arp_ring);
	drop_ring(n, &n->bfd_ring);
	drop_inbox(n);
	elect_free(n->elect);
	leader_free(n->leader);
	plan_free(n->plan);
	alloc_free(n->alloc);
	ann_free(n->arp);
	ann_free(n->ndp);
	peers_free(n->peers);
	bfd_free(n->bfd);
	world_close(&n->w);
}

void node_kill(struct node *n, const char *how)
{
	if (!n->alive)
		return;
	sim_trace(n->sim, "%s %s", n->name, how);
	check_on_dead(n->sim, n);
	free_units(n);
	check_on_node(n->sim);
}

void node_end(struct node *n)
{
	if (n->alive)
		free_units(n);
	disk_free(&n->disk);
}

static void on_restart(struct sim *s, const struct event *ev)
{
	(void)s;
	node_start(ev->p);
}

static void restart_later(struct node *n, uint64_t after_us)
{
	sim_post(n->sim, n->sim->now_us + after_us, &(struct event){.fn = on_restart, .p = n});
}

/* -- what happens to it -- */

void node_stop(struct node *n, bool suspend)
{
	if (!n->alive || n->stopped)
		return;
	sim_trace(n->sim, "%s %s", n->name, suspend ? "is suspended" : "is stopped");
	n->stopped = true;
	n->suspended = suspend;
	check_on_node(n->sim);
}

/* A loop that was stopped sleeps in poll: what waits in sockets comes before its timers. */
static void read_rings(struct node *n)
{
	struct ring arp = n->arp_ring, bfd = n->bfd_ring;
	uint64_t since_us = n->bfd_shell.armed_us;
	bool fresh = true; /* until the stall is seen: then the rest is thrown away */

	n->arp_ring.n = n->bfd_ring.n = 0;
	for (unsigned i = 0; i < arp.n; i++) {
		fresh = fresh && node_wake(n);
		if (fresh)
			take_frame(n, &arp.v[i]);
		frame_put(n->sim, arp.v[i].frame);
	}
	look_at_clock(n);
	for (unsigned i = 0; i < bfd.n; i++) {
		since_us = time_min(since_us, bfd.v[i].at_us);
		take_packet(n, &bfd.v[i]);
		frame_put(n->sim, bfd.v[i].frame);
	}
	bfd_turn(n, since_us < n->now_us ? n->now_us - since_us : 0);
}

void node_resume(struct node *n)
{
	if (!n->alive || !n->stopped)
		return;
	sim_trace(n->sim, "%s goes on", n->name);
	n->stopped = n->suspended = false;
	check_on_node(n->sim);
	read_rings(n);
	(void)node_wake(n);
	n->dirty = true;
	node_turn(n);
	for (unsigned k = 0; n->alive && k < SIM_STREAMS; k++)
		stream_kick(n->sim, &n->streams[k]);
}

void node_drain(struct node *n, uint64_t undrain_after_ms)
{
	if (!node_runs(n) || n->exiting)
		return;
	sim_trace(n->sim, "%s drains", n->name);
	look_at_clock(n);
	elect_drain(n->elect, "by hand", TIME_NEVER, n->now_ms);
	peers_set_leaving(n->peers, true, n->now_us);
	n->undrain_ms = n->now_ms + undrain_after_ms;
	n->dirty = true;
	node_turn(n);
}

void node_exit(struct node *n)
{
	if (!node_runs(n) || n->exiting)
		return;
	sim_trace(n->sim, "%s is told to exit", n->name);
	look_at_clock(n);
	n->exiting = true;
	n->undrain_ms = 0;
	n->exit_by_ms = n->now_ms + DRAIN_MS;
	elect_drain(n->elect, REASON_TEXT_STOPPING, n->exit_by_ms, n->now_ms);
	peers_set_leaving(n->peers, true, n->now_us);
	n->dirty = true;
	node_turn(n);
}

static void ports_changed(struct node *n, unsigned segment)
{
	if (n->alive) {
		look_at_clock(n);
		tell_port(n, segment);
		elect_set_input(n->elect, &n->w.in, n->now_ms);
		peers_set_input(n->peers, &n->w.in);
		n->dirty = true;
		node_turn(n);
	}
	check_on_node(n->sim);
}

void node_set_port(struct node *n, unsigned segment, bool there, bool carrier)
{
	sim_trace(n->sim, "%s eth%u %s", n->name, segment,
		!there    ? "is gone"
		: carrier ? "is up"
			  : "has no carrier");
	n->ports[segment].there = there;
	n->ports[segment].carrier = carrier;
	ports_changed(n, segment);
}

void node_set_mac(struct node *n, unsigned segment, const uint8_t mac[6])
{
	uint8_t own[6];

	make_mac(n, segment, own);
	memcpy(n->ports[segment].mac, mac != NULL ? mac : own, 6);
	lan_set_mac(n->sim, segment, n->index, n->ports[segment].mac);
	n->mac_odd_us = mac != NULL ? TIME_NEVER : n->sim->now_us + OWN_MAC_US;
	sim_trace(n->sim, "%s eth%u has another MAC", n->name, segment);
	ports_changed(n, segment);
}

/* As reload_use(). */
void node_set_config(struct node *n, bool odd)
{
	n->config_odd = odd;
	if (!n->alive)
		return;
	sim_trace(n->sim, "%s %s", n->name,
		odd ? "is configured to advertise nothing" : "is configured as the others");
	look_at_clock(n);
	make_config(n);
	if (alloc_configure(n->alloc, &n->w.conf, n->now_ms) != 0)
		abort();
	n->rebuild = true;
	elect_set_input(n->elect, &n->w.in, n->now_ms);
	peers_set_input(n->peers, &n->w.in);
	n->dirty = true;
	node_turn(n);
}

void node_cut_api(struct node *n, bool cut, bool silent)
{
	sim_trace(n->sim, "%s is %s the API%s", n->name, cut ? "cut from" : "back at",
		cut && silent ? ", without a word" : "");
	n->api_cut = cut && !silent;
	n->api_silent = cut && silent;
	for (unsigned k = 0; k < SIM_STREAMS; k++) {
		struct stream *st = &n->streams[k];

		st->frozen = n->api_silent;
		if (st->connected && (n->api_cut || !cut)) /* at the end it is found dead */
			stream_close(n->sim, st);
	}
	node_turn(n);
}

void node_freeze(struct node *n, enum cluster_kind kind, bool frozen)
{
	for (unsigned k = 0; k < SIM_STREAMS; k++) {
		struct stream *st = &n->streams[k];

		if (st->kind != kind)
			continue;
		st->frozen = frozen;
		if (!frozen && st->connected)
			stream_close(n->sim, st); /* found dead at last */
	}
	node_turn(n);
}

/* -- reading -- */

bool node_may_act(const struct node *n)
{
	return n->synced_once || n->restored;
}

bool node_runs(const struct node *n)
{
	return n->alive && !n->stopped;
}

enum elect_peer node_peer(const struct node *n, const struct node *other, unsigned segment)
{
	struct peers_info info;

	for (size_t i = 0; n->alive && i < peers_count(n->peers); i++) {
		peers_at(n->peers, i, n->now_us, &info);
		if (info.ifindex == NODE_IFINDEX + segment && strcmp(info.node, other->name) == 0)
			return info.state;
	}
	return ELECT_PEER_NEVER;
}

bool node_announces(const struct node *n, struct addr vip, unsigned segment)
{
	struct ann_info info;

	return n->alive && ann_info(ann_of(n, vip), NODE_IFINDEX + segment, vip, &info);
}

bool node_may_own(const struct node *n, struct addr vip)
{
	const struct vip *v = n->alive ? vip_find(n->w.vips, vip) : NULL;
	struct elig e;

	if (v == NULL)
		return false;
	elig_judge_self(&n->w.in, v->group, &e);
	return e.reason == REASON_OWNER;
}

bool node_lags(const struct node *n)
{
	for (unsigned k = 0; k < SIM_STREAMS; k++)
		if (n->streams[k].frozen || !n->streams[k].synced)
			return true;
	return n->api_slow || n->watch_lag_us > 0;
}

bool node_is_leader(const struct node *n)
{
	return node_runs(n) && leader_is_leader(n->leader, node_clock_ms(n));
}
