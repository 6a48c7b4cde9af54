/* SPDX-License-Identifier: Apache-2.0
 *
 * bgp_msg.h - BGP-4 messages (RFC 4271 4): bytes to what they say, and back.  Pure.
 *
 * lbd announces and accepts nothing: of a received UPDATE every byte is checked, by RFC 7606, and
 * its prefixes are counted; nothing else of it is kept.
 */
#ifndef LBD_BGP_MSG_H
#define LBD_BGP_MSG_H

#include "addr.h"
#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BGP_HEADER_LEN = 19,
	BGP_MAX = 4096,           /* RFC 4271 4.1 */
	BGP_MAX_EXTENDED = 65535, /* RFC 8654 */
	BGP_AS_TRANS = 23456,     /* RFC 6793 */
	BGP_REASON_MAX = 255,     /* bytes of a shutdown communication (RFC 9003 2) */
};

enum bgp_type {
	BGP_OPEN = 1,
	BGP_UPDATE,
	BGP_NOTIFICATION,
	BGP_KEEPALIVE,
	BGP_ROUTE_REFRESH,
};
enum { BGP_TYPES = BGP_ROUTE_REFRESH + 1 };

/* NOTIFICATION codes, and the subcodes that lbd sends or tells apart (IANA, BGP Error Codes). */
enum bgp_code {
	BGP_ERR_HEADER = 1,
	BGP_ERR_OPEN,
	BGP_ERR_UPDATE,
	BGP_ERR_HOLD,
	BGP_ERR_FSM,
	BGP_ERR_CEASE,
	BGP_ERR_REFRESH, /* RFC 7313 5 */
	BGP_ERR_SEND_HOLD, /* RFC 9687 */
};
enum {
	BGP_HEADER_SYNC = 1,
	BGP_HEADER_LENGTH,
	BGP_HEADER_TYPE,

	BGP_OPEN_VERSION = 1,
	BGP_OPEN_PEER_AS,
	BGP_OPEN_ID,
	BGP_OPEN_PARAMETER,
	BGP_OPEN_HOLD_TIME = 6,
	BGP_OPEN_CAPABILITY,

	BGP_UPDATE_ATTRIBUTES = 1, /* malformed attribute list */
	BGP_UPDATE_OPTIONAL = 9,
	BGP_UPDATE_NETWORK,

	BGP_FSM_OPEN_SENT = 1, /* RFC 6608 */
	BGP_FSM_OPEN_CONFIRM,
	BGP_FSM_ESTABLISHED,

	BGP_CEASE_MAX_PREFIXES = 1, /* RFC 4486 */
	BGP_CEASE_SHUTDOWN,
	BGP_CEASE_DECONFIGURED,
	BGP_CEASE_RESET,
	BGP_CEASE_REJECTED,
	BGP_CEASE_CONFIG_CHANGE,
	BGP_CEASE_COLLISION,
	BGP_CEASE_RESOURCES,
	BGP_CEASE_HARD_RESET, /* RFC 8538 */
	BGP_CEASE_BFD_DOWN,   /* RFC 9384 */

	BGP_REFRESH_LENGTH = 1, /* RFC 7313 5 */
};

/* What is wrong, as the NOTIFICATION about it says. */
struct bgp_fault {
	enum bgp_code code;
	uint8_t subcode;
	uint8_t data[64];
	size_t len;
	const char *why; /* in words; static */
};

/* -- the header (4.1) -- */

struct bgp_header {
	enum bgp_type type;
	size_t len; /* of the whole message */
};
/* data has BGP_HEADER_LEN bytes.  max: BGP_MAX, or BGP_MAX_EXTENDED where both sides said so; an
 * OPEN and a KEEPALIVE are never longer than BGP_MAX (RFC 8654 4).  False: *ret_f. */
bool bgp_header_decode(
	const uint8_t *data, size_t max, struct bgp_header *ret_h, struct bgp_fault *ret_f);

/* -- OPEN (4.2, RFC 5492, 9072) -- */

struct bgp_open {
	uint32_t asn;       /* of four octets, if the capability is there (RFC 6793) */
	uint16_t hold_s;    /* 0: none */
	uint32_t router_id; /* host order */
	bool as4;
	bool multiprotocol[ADDR_FAMILIES]; /* unicast (RFC 4760) */
	bool extended_next_hop;            /* IPv4 unicast with IPv6 next hops (RFC 8950) */
	bool extended_message;             /* RFC 8654 */
	bool refresh, enhanced_refresh;    /* RFC 2918, 7313 */
	bool graceful;                     /* RFC 4724: the rest of it below */
	bool restarting, notification;     /* R bit, N bit (RFC 8538) */
	uint16_t restart_s;
	bool preserved[ADDR_FAMILIES], forwarding[ADDR_FAMILIES]; /* is listed; F bit */
};
/* Of a message's body.  What it does not know it passes over.  False: *ret_f.  The AS number is the
 * caller's to judge. */
bool bgp_open_decode(
	const uint8_t *body, size_t len, struct bgp_open *ret_o, struct bgp_fault *ret_f);
/* f is about what an OPEN lacks of the families of missing (RFC 5492 5). */
void bgp_open_blame(struct bgp_fault *f, const struct bgp_open *missing);
/* A whole message; 0 when it does not fit. */
size_t bgp_open_encode(const struct bgp_open *o, uint8_t *to, size_t room);

/* -- UPDATE, received (4.3, RFC 7606) -- */

struct bgp_terms {
	bool as4;               /* both said so: AS numbers in paths have four octets */
	bool internal;          /* iBGP */
	bool extended_next_hop; /* both said so */
	bool families[ADDR_FAMILIES];
};

enum bgp_verdict {
	BGP_TAKEN,
	BGP_DISCARDED, /* an attribute was, the rest is taken */
	BGP_WITHDRAWN, /* what it announces counts as withdrawn */
	BGP_RESET,     /* the session ends, with *fault */
};
struct bgp_update {
	enum bgp_verdict verdict;
	uint32_t announced[ADDR_FAMILIES], withdrawn[ADDR_FAMILIES];
	bool end_of_rib; /* of family */
	enum addr_family family;
	struct bgp_fault fault; /* of BGP_RESET; else why alone */
};
void bgp_update_decode(const uint8_t *body, size_t len, const struct bgp_terms *terms,
	struct bgp_update *ret_u);

/* -- NOTIFICATION (4.5) -- */

struct bgp_notification {
	enum bgp_code code;
	uint8_t subcode;
	char reason[BGP_REASON_MAX + 1]; /* what an operator wrote there (RFC 9003); "" = nothing */
};
/* False: too short to be one. */
bool bgp_notification_decode(const uint8_t *body, size_t len, struct bgp_notification *ret_n);
/* reason: of a Cease by an operator alone; NULL = none; cut at BGP_REASON_MAX bytes.  hard: routes are not
 * to be kept, although both sides said that a NOTIFICATION lets them (RFC 8538 3.1). */
size_t bgp_notification_encode(
	const struct bgp_fault *f, bool hard, const char *reason, uint8_t *to, size_t room);
/* "administrative shutdown"; valid for ever for what is known, else in s. */
const char *bgp_notification_text(unsigned code, unsigned subcode, char s[static 48]);

/* -- KEEPALIVE (4.4), ROUTE-REFRESH (RFC 2918, 7313) -- */

size_t bgp_keepalive_encode(uint8_t *to, size_t room);

enum bgp_refresh_kind { BGP_REFRESH_ASK, BGP_REFRESH_BEGIN, BGP_REFRESH_END };
struct bgp_refresh {
	bool known; /* the family is one of ours, the kind a known one */
	enum addr_family family;
	enum bgp_refresh_kind kind;
};
bool bgp_refresh_decode(const uint8_t *body, size_t len, bool enhanced, struct bgp_refresh *ret_r,
	struct bgp_fault *ret_f);
size_t bgp_refresh_encode(const struct bgp_refresh *r, uint8_t *to, size_t room);

/* -- UPDATE, sent -- */

enum { BGP_PATH_MAX = 2, BGP_COMMUNITIES_MAX = 63 };

struct bgp_large { /* RFC 8092 */
	uint32_t global, local1, local2;
};
/* What prefixes have in common that share UPDATEs.  All zero but what is set, so that two can be
 * compared as bytes. */
struct bgp_attributes {
	uint32_t path[BGP_PATH_MAX]; /* the first n_path; iBGP: none */
	uint32_t n_path;
	struct addr next_hop;
	struct addr next_hop_local; /* IPv6 link-local, beside a global one (RFC 2545 3) or alone
				       (RFC 8950); all zero: none */
	uint32_t med, local_pref;
	uint32_t has_med, has_local_pref;
	uint32_t n_communities, n_large;
	uint32_t communities[BGP_COMMUNITIES_MAX]; /* ascending (RFC 1997) */
	struct bgp_large large[BGP_COMMUNITIES_MAX];
	uint32_t has_bandwidth;
	float bandwidth; /* bytes a second, non-transitive link bandwidth */
};

/* One UPDATE with as many of the n prefixes, of one family, as fit into room; *ret_done of them.
 * IPv4 goes as of 4271, with an IPv6 next hop as of 8950, IPv6 as of 4760.  0: not even one fits. */
size_t bgp_announce_encode(const struct bgp_attributes *a, const struct bgp_terms *terms,
	const struct addr_prefix *v, size_t n, size_t *ret_done, uint8_t *to, size_t room);
/* Likewise.  IPv4 of a session with extended next hops goes in MP_UNREACH_NLRI, as it came. */
size_t bgp_withdraw_encode(const struct bgp_terms *terms, const struct addr_prefix *v, size_t n,
	size_t *ret_done, uint8_t *to, size_t room);
/* RFC 4724 2. */
size_t bgp_end_of_rib_encode(enum addr_family family, uint8_t *to, size_t room);

#endif
