/* SPDX-License-Identifier: Apache-2.0
 *
 * lan.c - the simulated LAN.
 *
 * Owns: frames under way, the state of every link.
 * In:   frames of nodes and guests; faults.
 * Out:  frames to nodes and guests.
 *
 * A segment is a switch: a frame for one MAC goes to whoever has it (to both of two clones), a
 * broadcast to all but its sender.
 */
#include "lan.h"

#include "guest.h"
#include "node.h"

#include "bytes.h"

#include <string.h>

enum {
	DELAY_MIN_US = 40,
	DELAY_SPREAD_US = 200,
	ETHER_IPV4 = 0x0800,
	ETHER_ARP = 0x0806,
};

/* One direction between two hosts. */
struct lan_link {
	uint8_t cuts; /* faults that cut it */
};

struct host {
	uint8_t mac[6];
};

struct segment {
	struct host *hosts;     /* owned */
	struct lan_link *links; /* owned; from * n_hosts + to */
	unsigned loss, duplicate, delay_ms;
	bool reflects;
};

struct lan {
	unsigned n_hosts;
	struct segment segments[SIM_SEGMENTS];
	struct frame *free; /* owned, as are those in slabs */
	struct frame **slabs;
	size_t n_slabs, cap_slabs;
	uint64_t generation, frames;
};

/* -- frames -- */

enum { SLAB = 256 };

static struct frame *frame_get(struct lan *l)
{
	struct frame *f = l->free;

	if (f == NULL) {
		struct frame *slab = sim_alloc(SLAB, sizeof *slab);

		l->slabs = sim_grow(l->slabs, &l->cap_slabs, l->n_slabs + 1, sizeof *l->slabs);
		l->slabs[l->n_slabs++] = slab;
		for (unsigned i = 0; i < SLAB; i++) {
			slab[i].next = l->free;
			l->free = &slab[i];
		}
		f = l->free;
	}
	l->free = f->next;
	f->refs = 1;
	return f;
}

void frame_put(struct sim *s, struct frame *f)
{
	if (--f->refs > 0)
		return;
	f->next = s->lan->free;
	s->lan->free = f;
}

struct lan *lan_new(struct sim *s)
{
	struct lan *l = sim_alloc(1, sizeof *l);

	l->generation = 1;
	l->n_hosts = s->setup.n_nodes + LAN_GUESTS;
	for (unsigned k = 0; k < s->setup.n_segments; k++) {
		struct segment *g = &l->segments[k];

		g->hosts = sim_alloc(l->n_hosts, sizeof *g->hosts);
		g->links = sim_alloc((size_t)l->n_hosts * l->n_hosts, sizeof *g->links);
		for (unsigned i = s->setup.n_nodes; i < l->n_hosts; i++)
			memcpy(g->hosts[i].mac,
				(uint8_t[]){
					2, 0xaa, 0, 0, (uint8_t)k, (uint8_t)(i - s->setup.n_nodes)},
				6);
	}
	return l;
}

void lan_free(struct lan *l)
{
	if (l == NULL)
		return;
	for (unsigned k = 0; k < SIM_SEGMENTS; k++) {
		free(l->segments[k].hosts);
		free(l->segments[k].links);
	}
	for (size_t i = 0; i < l->n_slabs; i++)
		free(l->slabs[i]);
	free(l->slabs);
	free(l);
}

void lan_set_mac(struct sim *s, unsigned segment, unsigned host, const uint8_t mac[6])
{
	memcpy(s->lan->segments[segment].hosts[host].mac, mac, 6);
}

const uint8_t *lan_mac(const struct sim *s, unsigned segment, unsigned host)
{
	return s->lan->segments[segment].hosts[host].mac;
}

static struct lan_link *link_of(const struct sim *s, unsigned segment, unsigned from, unsigned to)
{
	return &s->lan->segments[segment].links[(size_t)from * s->lan->n_hosts + to];
}

/* -- delivery -- */

static void on_frame(struct sim *s, const struct event *ev)
{
	struct frame *f = ev->p;
	unsigned segment = ev->a, host = ev->b;

	if (host < s->setup.n_nodes)
		node_on_frame(&s->nodes[host], segment, f);
	else
		guest_on_frame(s, segment, (enum lan_guest)(host - s->setup.n_nodes), f);
	frame_put(s, f);
}

static bool is_broadcast(const uint8_t *dst)
{
	return (dst[0] & 1) != 0;
}

/* Each that hears it is an event, too. */
static void on_broadcast(struct sim *s, const struct event *ev)
{
	const struct lan *l = s->lan;
	struct frame *f = ev->p;

	for (unsigned to = 0; to < l->n_hosts; to++)
		if (to != ev->b && link_of(s, ev->a, ev->b, to)->cuts == 0) {
			struct event one = {.p = f, .a = ev->a, .b = to};

			f->refs++;
			s->n_events++;
			on_frame(s, &one);
		}
	frame_put(s, f);
}

static void send_evenly(struct sim *s, unsigned segment, unsigned from, struct frame *f)
{
	uint64_t us = DELAY_MIN_US + rng_below(&s->rng_lan, DELAY_SPREAD_US);

	f->refs++;
	sim_post(s, s->now_us + us,
		&(struct event){.fn = on_broadcast, .p = f, .a = segment, .b = from});
}

static void deliver(struct sim *s, unsigned segment, unsigned from, unsigned to, struct frame *f)
{
	const struct segment *g = &s->lan->segments[segment];
	unsigned copies = sim_chance(&s->rng_lan, g->duplicate) ? 2 : 1;

	if (link_of(s, segment, from, to)->cuts > 0 || sim_chance(&s->rng_lan, g->loss))
		return;
	for (unsigned i = 0; i < copies; i++) {
		uint64_t us = DELAY_MIN_US + rng_below(&s->rng_lan, DELAY_SPREAD_US);

		if (g->delay_ms > 0)
			us += rng_below(&s->rng_lan, (uint64_t)g->delay_ms * SIM_MS);
		f->refs++;
		sim_post(s, s->now_us + us,
			&(struct event){.fn = on_frame, .p = f, .a = segment, .b = to});
	}
}

static bool is_for(const struct segment *g, unsigned from, unsigned to, const uint8_t *dst)
{
	bool all = is_broadcast(dst);

	if (from == to)
		return all && g->reflects;
	return all || memcmp(g->hosts[to].mac, dst, 6) == 0;
}

static void send_to_each(struct sim *s, unsigned segment, unsigned host, struct frame *f)
{
	struct lan *l = s->lan;

	for (unsigned to = 0; to < l->n_hosts; to++)
		if (is_for(&l->segments[segment], host, to, f->data))
			deliver(s, segment, host, to, f);
}

void lan_send(struct sim *s, unsigned segment, unsigned host, const uint8_t *data, size_t len)
{
	struct lan *l = s->lan;
	struct frame *f = frame_get(l);

	REQUIRE(len <= LAN_FRAME_MAX);
	l->frames++;
	f->len = (uint16_t)len;
	memcpy(f->data, data, len);
	if (s->setup.even && is_broadcast(data))
		send_evenly(s, segment, host, f);
	else
		send_to_each(s, segment, host, f);
	frame_put(s, f);
}

/* -- packets -- */

enum { PACKET_AT = 14 + 4 + 4 };

void lan_send_packet(
	struct sim *s, unsigned segment, unsigned host, unsigned to, const struct lan_packet *p)
{
	uint8_t data[LAN_FRAME_MAX];
	struct wr w = wr_init(data, sizeof data);

	wr_bytes(&w, lan_mac(s, segment, to), 6);
	wr_bytes(&w, lan_mac(s, segment, host), 6);
	wr_be16(&w, ETHER_IPV4);
	wr_bytes(&w, p->from, 4);
	wr_bytes(&w, p->to, 4);
	wr_bytes(&w, p->data, p->len);
	REQUIRE(wr_len(&w) == PACKET_AT + p->len);
	lan_send(s, segment, host, data, wr_len(&w));
}

static bool is_of(const struct frame *f, unsigned ethertype)
{
	return f->data[12] == ethertype >> 8 && f->data[13] == (ethertype & 0xff);
}

bool lan_is_packet(const struct frame *f)
{
	return is_of(f, ETHER_IPV4);
}

bool lan_is_arp(const struct frame *f)
{
	return is_of(f, ETHER_ARP);
}

bool lan_read_packet(const struct frame *f, struct lan_packet *ret_p)
{
	if (!lan_is_packet(f) || f->len < PACKET_AT)
		return false;
	*ret_p = (struct lan_packet){
		f->data + 14, f->data + 18, f->data + PACKET_AT, (size_t)(f->len - PACKET_AT)};
	return true;
}

/* -- faults -- */

void lan_cut(struct sim *s, unsigned segment, unsigned from, unsigned to, bool cut)
{
	struct lan_link *k = link_of(s, segment, from, to);

	REQUIRE(cut || k->cuts > 0);
	k->cuts = (uint8_t)(cut ? k->cuts + 1 : k->cuts - 1);
	s->lan->generation++;
}

void lan_part(struct sim *s, unsigned segment, uint64_t mask)
{
	unsigned n = s->setup.n_nodes;

	for (unsigned a = 0; a < s->lan->n_hosts; a++)
		for (unsigned b = 0; b < s->lan->n_hosts; b++) {
			bool left = (mask >> (a < n ? a : 0) & 1) != 0;
			bool right = (mask >> (b < n ? b : 0) & 1) != 0;

			if (left != right)
				lan_cut(s, segment, a, b, true);
		}
}

void lan_set_loss(struct sim *s, unsigned segment, unsigned percent)
{
	s->lan->segments[segment].loss = percent;
	s->lan->generation++;
}

void lan_set_chaos(struct sim *s, unsigned segment, unsigned duplicate_percent, unsigned delay_ms)
{
	s->lan->segments[segment].duplicate = duplicate_percent;
	s->lan->segments[segment].delay_ms = delay_ms;
}

void lan_set_reflecting(struct sim *s, unsigned segment, bool on)
{
	s->lan->segments[segment].reflects = on;
}

void lan_mend(struct sim *s, unsigned segment)
{
	struct segment *g = &s->lan->segments[segment];

	memset(g->links, 0, (size_t)s->lan->n_hosts * s->lan->n_hosts * sizeof *g->links);
	lan_set_loss(s, segment, 0);
	lan_set_chaos(s, segment, 0, 0);
	guest_be_quiet(s, segment);
}

bool lan_passes(const struct sim *s, unsigned segment, unsigned from, unsigned to)
{
	return link_of(s, segment, from, to)->cuts == 0;
}

bool lan_is_disturbed(const struct sim *s, unsigned segment)
{
	const struct segment *g = &s->lan->segments[segment];

	return g->loss > 0 || g->duplicate > 0 || g->delay_ms > 0 || guest_is_lying(s, segment);
}

uint64_t lan_generation(const struct sim *s)
{
	return s->lan->generation;
}

uint64_t lan_frames(const struct sim *s)
{
	return s->lan->frames;
}
