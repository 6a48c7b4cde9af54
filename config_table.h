/* SPDX-License-Identifier: Apache-2.0
 *
 * config_table.h - the one table of every field of every dialect: name, type, place, range,
 * default, what it is for.  It drives decoding, error texts, suggestions, the canonical printer and
 * the documentation.  Pure data.
 */
#ifndef LBD_CONFIG_TABLE_H
#define LBD_CONFIG_TABLE_H

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {         /* what offset and offset_n point at */
	CONFIG_BOOL,       /* bool */
	CONFIG_UINT,       /* unsigned */
	CONFIG_U32,        /* uint32_t */
	CONFIG_DURATION,   /* uint64_t, milliseconds */
	CONFIG_FACTOR,     /* double */
	CONFIG_STRING,     /* const char *, NULL = not given */
	CONFIG_WORD,       /* const char *, one of words */
	CONFIG_WORD_INDEX, /* an enum: the index in words */
	CONFIG_WORD_BOOL,  /* bool: words[0] = false, words[1] = true */
	CONFIG_ADDRESS,    /* struct addr; bool at offset_n = given */
	CONFIG_STRINGS,    /* const char *const *; size_t at offset_n */
	CONFIG_RANGES,     /* const struct addr_range *; size_t at offset_n */
	CONFIG_LABELS,     /* const struct label *, sorted; size_t at offset_n */
	CONFIG_MAP,        /* a struct of record; bool at offset_n (if any) = given */
	CONFIG_LIST,       /* array of record's structs; size_t at offset_n */
	CONFIG_ANY,        /* looked at by other means; nothing is stored */
	CONFIG_SAME_MAP,   /* not in the text: record's fields stand in the same map */
};

/* What a string may be, of CONFIG_STRING and CONFIG_STRINGS. */
enum config_text {
	CONFIG_TEXT_ANY,
	CONFIG_TEXT_NAME,
	CONFIG_TEXT_OBJECT_NAME, /* of a Kubernetes object (RFC 1123 subdomain) */
	CONFIG_TEXT_NAMESPACE,   /* RFC 1123 label */
	CONFIG_TEXT_INTERFACE,   /* or a pattern */
	CONFIG_TEXT_LINK,        /* likewise, or can_reach:ADDRESS */
	CONFIG_TEXT_PATH,
	CONFIG_TEXT_LISTEN, /* "node" or an address; these and the following are not free text */
	CONFIG_TEXT_ADDRESS,
	CONFIG_TEXT_COMMUNITY,
	CONFIG_TEXT_LABEL_KEY,
	CONFIG_TEXT_LABEL_VALUE,
};

enum config_in {              /* the dialects that have a field */
	CONFIG_IN_NATIVE = 1, /* lbd's own */
	CONFIG_IN_CR = 2,     /* MetalLB's custom resources */
	CONFIG_IN_CM = 4,     /* MetalLB's ConfigMap, AddressPool */
	CONFIG_IN_EIP = 8,    /* OpenELB's Eip, BgpConf, BgpPeer */
	CONFIG_IN_ALL = CONFIG_IN_NATIVE | CONFIG_IN_CR | CONFIG_IN_CM,
	CONFIG_IN_NEW = CONFIG_IN_NATIVE | CONFIG_IN_CR,
};

enum config_flag {
	CONFIG_REQUIRED = 1,
	CONFIG_OR_ZERO = 2,     /* 0, or min..max */
	CONFIG_SECONDS = 4,     /* a duration of whole seconds */
	CONFIG_SECRET = 8,      /* never in a message, not in the hash */
	CONFIG_NOT_YET = 16,    /* validated; one warning when it is not the default */
	CONFIG_SKIP_EMPTY = 32, /* the printer leaves it out when empty, 0 or false */
};

#define CONFIG_NOWHERE UINT32_MAX

/* One sentence, for `make man`; the release, in which nobody reads them, has neither them nor room
 * for their pointers: 9 kB. */
#ifdef LBD_NO_DOC
typedef uint32_t config_doc;
#else
typedef const char *config_doc;
#endif

struct config_record;

struct config_field {
	const char *name; /* dialect 1's; kebab-case is derived (config_kebab()) */
	enum config_type type : 8;
	enum config_text text : 8;
	unsigned in : 8;    /* enum config_in */
	unsigned flags : 8; /* enum config_flag */
	uint32_t offset, offset_n;
	config_doc doc;
	uint64_t min, max;        /* of numbers, bytes of strings, items of lists */
	const char *fallback;     /* the default as text; lists: words separated by blanks */
	const char *const *words; /* up to NULL */
	const struct config_record *record;
};

/* Which record it is: config_rules.c has rules for some. */
enum config_record_id {
	CONFIG_ROOT,
	CONFIG_POOL,
	CONFIG_L2_ADVERTISEMENT,
	CONFIG_PEER,
	CONFIG_BGP_ADVERTISEMENT,
	CONFIG_BFD_PROFILE,
	CONFIG_COMMUNITY,
	CONFIG_N_LISTS, /* the above but ROOT are the root's lists */
	CONFIG_SELECTOR = CONFIG_N_LISTS,
	CONFIG_EXPRESSION,
	CONFIG_NODE_LEASE,
	CONFIG_LEADER_LEASE,
	CONFIG_LEGACY_POOL,
	CONFIG_OTHER,
};

struct config_record {
	enum config_record_id id;
	size_t size;
	size_t name_at, mark_at; /* of the root's lists: const char *, struct config_mark */
	const struct config_field *fields;
	size_t n_fields;
};

/* MetalLB's AddressPool: a pool that says how it is announced. */
struct config_legacy_pool {
	struct config_pool pool;
	const char *protocol;
	const struct config_bgp_advertisement *advertisements;
	size_t n_advertisements;
};

/* Where values go that are read for their type alone. */
struct config_not_used {
	const char *text;
	uint32_t number;
	bool flag;
	struct config_strings list;
};

/* OpenELB's Eip.spec. */
struct config_eip {
	const char *address, *protocol, *interface;
	bool disable, using_known_ips;
	bool is_default; /* an annotation: set from outside the map */
	unsigned priority;
	struct config_strings namespaces;
	struct selector namespace_selector;
};

/* OpenELB's BgpConf.spec. */
struct config_bgp_conf {
	uint32_t as;
	bool has_router_id;
	struct addr router_id;
	bool graceful_restart;
	struct config_not_used not_used;
};

struct config_afi_safi {
	const char *afi, *safi;
	bool enabled;
	struct config_not_used not_used;
};

/* OpenELB's BgpPeer.spec. */
struct config_bgp_peer {
	struct config_peer peer;
	const char *hold_time, *keepalive, *connect_retry; /* seconds */
	bool admin_down;
	const struct config_afi_safi *afi_safis;
	size_t n_afi_safis;
	struct selector node_selector;
	bool has_node_selector;
	struct config_not_used not_used;
};

const struct config_record *config_root_record(void); /* of struct config */
const struct config_record *config_legacy_pool_record(void);
const struct config_record *config_eip_record(void);
const struct config_record *config_bgp_conf_record(void);
const struct config_record *config_bgp_peer_record(void);
/* The record of one of the root's lists: CONFIG_POOL..CONFIG_COMMUNITY. */
const struct config_record *config_list_record(enum config_record_id id);
/* And its field in the root. */
const struct config_field *config_list_field(enum config_record_id id);

#endif
