/* SPDX-License-Identifier: Apache-2.0
 *
 * config_decode.h - cJSON -> structs, by the field table.  Pure.
 */
#ifndef LBD_CONFIG_DECODE_H
#define LBD_CONFIG_DECODE_H

#include "config_report.h"
#include "config_table.h"

enum { CONFIG_MAX_ROOT_FIELDS = 24 };

/* Where an item of one of the root's lists came from, for what is checked later. */
struct config_origin {
	const struct config_input *in;
	const cJSON *node;          /* the map that holds its fields */
	const cJSON *metadata;      /* that names it; NULL when node does, or nothing */
	const char *subject, *path; /* in the arena */
};

struct config_items {
	char *v;                       /* owned; n structs of the list's record */
	struct config_origin *origins; /* owned; n */
	size_t n, cap;
};

struct config_decoder {
	struct arena *arena; /* borrowed: the config's */
	struct config_at at;
	struct config *conf; /* borrowed; its lists are filled from items at the end */
	struct config_items items[CONFIG_N_LISTS];
	struct config_mark given[CONFIG_MAX_ROOT_FIELDS]; /* where a root field was set */
	/* OpenELB's BgpConf, for its BgpPeers. */
	struct config_bgp_conf bgp_conf;
	const cJSON *bgp_conf_spec; /* NULL = there is none */
	struct config_mark bgp_conf_mark;
	bool has_default_eip; /* OpenELB's Eip for who names none */
	struct config_mark default_eip;
	struct buf not_yet;                    /* owned; "peers, pools.conflictDetection" */
	const struct config_input *not_yet_in; /* and where the first of them stands */
	const cJSON *not_yet_node;
	struct doc **docs;         /* owned, and what they point at: origins refer to them */
	size_t n_docs, nodes_left; /* nodes_left: of CONFIG_MAX_NODES, for all texts together */
	bool documents_missing;    /* some did not parse */
	bool no_memory;
};

/* conf and arena are borrowed; conf gets the defaults. */
void config_decoder_init(struct config_decoder *d, struct arena *arena, struct config *conf,
	struct config_report *report);
void config_decoder_free(struct config_decoder *d);

/* A document of dialect 1. */
void config_decode_root(struct config_decoder *d, const cJSON *doc);
/* The fields of node into rec, which has its defaults or values already.  False when something is
 * wrong with it (reported). */
bool config_decode_map(
	struct config_decoder *d, const struct config_record *record, const cJSON *node, void *rec);
void config_decode_defaults(
	struct config_decoder *d, const struct config_record *record, void *rec);
/* Appends an item with its defaults and the present place as origin; mark_node is where it is said
 * to be.  NULL when the list is full (reported) or out of memory.  Valid until the next. */
void *config_decode_add(struct config_decoder *d, enum config_record_id id, const cJSON *node,
	const cJSON *mark_node);
/* One field of record, by its name in dialect 1, whatever the dialect at hand calls it. */
bool config_decode_field(struct config_decoder *d, const struct config_record *record,
	const char *name, const cJSON *node, void *rec);
/* The name of an item. */
const char *config_item_name(const struct config_items *items, enum config_record_id id, size_t i);
/* Appends every map of list to the root's list. */
void config_decode_items(struct config_decoder *d, enum config_record_id id, const cJSON *list);
/* One range; single: "10.0.0.1" alone will do. */
bool config_decode_range(
	struct config_decoder *d, const cJSON *node, bool single, struct addr_range *ret_r);

/* A string member of any map, its type checked; NULL when it is not there. */
const char *config_decode_text(struct config_decoder *d, const cJSON *obj, const char *key);
/* A copy in the arena, NULL and no_memory set when there is none. */
const char *config_decode_dup(struct config_decoder *d, const char *s);
/* Keeps doc until the end; false when out of memory (doc is freed). */
bool config_decode_keep(struct config_decoder *d, struct doc *doc);
/* "name is validated, not served": for the one warning. */
void config_decode_not_yet(struct config_decoder *d, const char *name, const cJSON *node);
/* "unknown key", with the nearest of the names (up to NULL). */
void config_decode_unknown(struct config_decoder *d, const cJSON *member, const char *const *names);

#endif
