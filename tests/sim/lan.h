/* SPDX-License-Identifier: Apache-2.0
 *
 * lan.h - the simulated LAN: segments that hosts are attached to, every pair of which has a link
 * of its own in each direction.
 */
#ifndef LBD_SIM_LAN_H
#define LBD_SIM_LAN_H

#include "sim.h"

enum {
	LAN_FRAME_MAX = 120,
	LAN_RING = 256, /* frames that wait for a stopped process */
};

/* Who is on a segment (guest.h), behind the nodes (hosts 0 to n_nodes - 1). */
enum lan_guest {
	LAN_CLIENT,  /* asks for VIPs */
	LAN_FOREIGN, /* answers for what is not its own, when told to */
	LAN_GUESTS
};

/* A frame on its way; it has as many references as receivers. */
struct frame {
	unsigned refs;
	uint16_t len;
	uint8_t data[LAN_FRAME_MAX];
	struct frame *next; /* of the free ones */
};

struct lan *lan_new(struct sim *s) MUST_CHECK;
void lan_free(struct lan *l);
void frame_put(struct sim *s, struct frame *f);

/* host sends on a segment: to whom the destination address is, or to all. */
void lan_send(struct sim *s, unsigned segment, unsigned host, const uint8_t *data, size_t len);
void lan_set_mac(struct sim *s, unsigned segment, unsigned host, const uint8_t mac[6]);
const uint8_t *lan_mac(const struct sim *s, unsigned segment, unsigned host);

/* -- what is neither ARP nor Neighbor Discovery: a UDP payload between two nodes; its header is not
 * modelled -- */
struct lan_packet {
	const uint8_t *from, *to; /* IPv4 */
	const uint8_t *data;
	size_t len;
};
void lan_send_packet(
	struct sim *s, unsigned segment, unsigned host, unsigned to, const struct lan_packet *p);
bool lan_is_packet(const struct frame *f);
bool lan_is_arp(const struct frame *f);
/* It borrows from f. */
bool lan_read_packet(const struct frame *f, struct lan_packet *ret_p) MUST_CHECK;

/* -- faults -- */
/* One direction. */
void lan_cut(struct sim *s, unsigned segment, unsigned from, unsigned to, bool cut);
/* Nodes whose bit is set, and guests with the lowest bit's, part from the others. */
void lan_part(struct sim *s, unsigned segment, uint64_t mask);
void lan_set_loss(struct sim *s, unsigned segment, unsigned percent);
void lan_set_chaos(struct sim *s, unsigned segment, unsigned duplicate_percent, unsigned delay_ms);
/* Who sends hears it itself: a bridge in hairpin mode, an access point. */
void lan_set_reflecting(struct sim *s, unsigned segment, bool on);
void lan_mend(struct sim *s, unsigned segment);

/* -- reading -- */
bool lan_passes(const struct sim *s, unsigned segment, unsigned from, unsigned to);
/* Are frames lost, late, doubled, or sent by a foreign host in others' names? */
bool lan_is_disturbed(const struct sim *s, unsigned segment);
/* Another number each time that somebody may hear others. */
uint64_t lan_generation(const struct sim *s);
uint64_t lan_frames(const struct sim *s);

#endif
