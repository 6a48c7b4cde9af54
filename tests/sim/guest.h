/* SPDX-License-Identifier: Apache-2.0
 *
 * guest.h - who is on a segment beside the nodes: a client that asks for VIPs, and a foreign host
 * that answers for what is not its own, when told to.  Of a segment whose VIPs are IPv6 they speak
 * Neighbor Discovery, else ARP.
 */
#ifndef LBD_SIM_GUEST_H
#define LBD_SIM_GUEST_H

#include "lan.h"

struct guests *guests_new(const struct sim *s) MUST_CHECK;
void guests_free(struct guests *g);
void guest_on_frame(struct sim *s, unsigned segment, enum lan_guest guest, const struct frame *f);

/* -- what a frame says, of ARP or Neighbor Discovery -- */
enum word_kind {
	WORD_ASK,    /* sender asks for target */
	WORD_PROBE,  /* somebody who has no address yet does */
	WORD_CLAIM,  /* sender says unasked that it has target, which is sender */
	WORD_ANSWER, /* sender says to target that it has sender */
};
struct word {
	enum word_kind kind;
	struct addr sender, target;
	uint8_t mac[6];
};
/* false: neither. */
bool guest_read_word(const uint8_t *data, size_t len, struct word *ret_w);

/* -- the foreign host -- */
/* It answers for a VIP with a MAC (NULL: its own); until guest_be_quiet(). */
void guest_answer_for(struct sim *s, unsigned segment, struct addr vip, const uint8_t *mac);
/* It claims a VIP, once. */
void guest_claim(struct sim *s, unsigned segment, struct addr vip);
void guest_be_quiet(struct sim *s, unsigned segment);
bool guest_is_lying(const struct sim *s, unsigned segment);

/* -- the client -- */
/* It asks for a VIP, once. */
void guest_ask(struct sim *s, unsigned segment, struct addr vip);
struct guest_asked {
	unsigned n_answers; /* to the last question */
	uint8_t mac[6];     /* who has it, as the client's neighbour table says; zeros: not known */
};
const struct guest_asked *guest_asked(const struct sim *s, unsigned segment, struct addr vip);
/* A node's kernel asks the client, from its own IPv4 address; it answers. */
void guest_ask_client(struct sim *s, unsigned segment, unsigned host, struct addr from);
bool guest_is_answer_of_client(const struct frame *f, unsigned segment, struct addr to);

#endif
