/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - YAML -> one struct config, by one field table, from every accepted dialect.  Pure: it
 * reads text, never files.
 *
 * Everything in a struct config lives in its arena and is immutable after config_parse().
 */
#ifndef LBD_CONFIG_H
#define LBD_CONFIG_H

#include "addr.h"
#include "arena.h"
#include "buf.h"
#include "label.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	CONFIG_MAX_BYTES = 4 * 1024 * 1024, /* of text, all files together */
	CONFIG_MAX_NODES = 200 * 1000,      /* of the YAML tree, aliases expanded */
	CONFIG_MAX_DEPTH = 64,
	CONFIG_MAX_ERRORS = 100, /* reported; the rest is counted */
	CONFIG_MAX_POOLS = 1024,
	CONFIG_MAX_RANGES = 4096, /* a pool */
	CONFIG_MAX_NAME = 253,
};

/* Where a document came from: it decides defaults that MetalLB's users rely on. */
enum config_dialect {
	CONFIG_NATIVE,     /* lbd.io/v1 Config */
	CONFIG_METALLB_CR, /* metallb.io custom resources */
	CONFIG_METALLB_CM, /* MetalLB's ConfigMap, or its bare text */
	CONFIG_OPENELB,    /* network.kubesphere.io */
};

struct config_strings {
	const char *const *v;
	size_t n;
};

struct config_mark {
	const char *file;      /* as given on the command line; "-" for stdin */
	unsigned line, column; /* from 1 */
};

/* What an advertisement can be; by OpenELB's words. */
enum config_protocol {
	CONFIG_ANY_PROTOCOL,
	CONFIG_LAYER2,
	CONFIG_BGP,
	CONFIG_VIP, /* layer 2 with bindAddress */
};

struct config_service_allocation {
	bool present;
	unsigned priority; /* lower first; 0 = last (MetalLB) */
	struct config_strings namespaces;
	struct selectors namespace_selectors;
	struct selectors service_selectors;
	bool auto_only; /* who names the pool, or an address of it, need not match (OpenELB) */
};

struct config_pool {
	const char *name;
	struct config_mark mark;
	enum config_dialect dialect;
	struct labels labels;
	const struct addr_range *ranges; /* in the file's order, none overlapping */
	size_t n_ranges;
	bool auto_assign;
	bool disabled;        /* gives nothing; what is held stays (OpenELB) */
	bool avoid_buggy_ips; /* IPv4 .0 and .255 */
	struct config_service_allocation service_allocation;
	uint64_t reuse_delay_ms;
	bool reallocate;
	bool conflict_detection;
};

struct config_preference {
	unsigned weight; /* 1..100 */
	struct selector preference;
};

struct config_l2_advertisement {
	const char *name;
	struct config_mark mark;
	struct config_strings ip_address_pools; /* both pool fields empty = all pools */
	struct selectors ip_address_pool_selectors;
	struct selectors node_selectors; /* empty = all nodes */
	const struct config_preference *preferred_node_selectors;
	size_t n_preferred_node_selectors;
	struct selectors service_selectors; /* empty = all Services */
	/* Names, fnmatch(3) patterns, "can_reach:ADDRESS"; empty = by subnet. */
	struct config_strings interfaces;
	struct config_strings exclude_interfaces; /* fnmatch patterns; default: MetalLB's list */
	bool bind_address;
	bool for_orphans; /* for addresses that are kept although their pool is gone, for no others */
};

struct config_tcp_ao {
	bool present;
	unsigned key_id;
	const char *algorithm, *key_file;
};

struct config_secret_ref {
	const char *name, *namespace_; /* NULL = none */
};

struct config_peer {
	const char *name;
	struct config_mark mark;
	uint32_t my_asn, peer_asn, local_asn;
	const char *dynamic_asn; /* NULL, "internal", "external" */
	bool has_peer_address, has_source_address, has_router_id;
	struct addr peer_address, source_address, router_id;
	const char *interface; /* unnumbered; NULL = none */
	unsigned peer_port;
	uint64_t hold_time_ms, keepalive_time_ms, connect_time_ms;
	const char *password, *password_file; /* NULL = none */
	struct config_secret_ref password_secret;
	const char *bfd_profile;
	bool ebgp_multi_hop, enable_graceful_restart, dual_stack_address_family, disable_mp,
		passive;
	const char *vrf;
	struct selectors node_selectors;
	unsigned ttl_security; /* hops; 0 = off */
	struct config_tcp_ao tcp_ao;
};

struct config_bgp_advertisement {
	const char *name;
	struct config_mark mark;
	struct config_strings ip_address_pools;
	struct selectors ip_address_pool_selectors;
	unsigned aggregation_length, aggregation_length_v6;
	uint32_t local_pref, med;
	bool has_local_pref, has_med;
	struct config_strings communities; /* literal or alias names, as written */
	struct config_strings peers;
	struct selectors node_selectors, service_selectors;
	bool host_routes_for_local, link_bandwidth;
	bool for_orphans; /* for addresses that are kept although their pool is gone, too */
};

struct config_bfd_profile {
	const char *name;
	struct config_mark mark;
	unsigned receive_interval_ms, transmit_interval_ms, detect_multiplier, echo_interval_ms;
	bool echo_mode, passive_mode;
	unsigned minimum_ttl;
};

struct config_community {
	const char *name, *value;
	struct config_mark mark;
};

/* Where there is a Secret, and no file is named. */
#define CONFIG_BFD_KEY_FILE "/var/lib/lbd/bfd.key"

struct config_elections {
	const char *namespace_;
	uint64_t node_duration_ms, node_renew_ms;
	uint64_t leader_duration_ms, leader_renew_deadline_ms, leader_retry_period_ms;
	uint64_t bfd_interval_ms;
	unsigned bfd_multiplier, bfd_mesh_limit, bfd_port;
	const char *bfd_key_file;   /* NULL = none */
	const char *bfd_key_secret; /* NULL = none; else there is a file, too, that it is kept in */
	bool failback, rebalance;
	struct config_strings witness; /* addresses */
	uint64_t hold_down_ms;
	double max_share; /* 0 = MetalLB's order only */
	uint64_t reannounce_ms;
	bool drain_on_cordon;
};

enum config_servicelb { CONFIG_SERVICELB_AUTO, CONFIG_SERVICELB_ALWAYS, CONFIG_SERVICELB_NEVER };

struct config {
	struct arena *arena; /* owned; everything below lives in it */
	size_t n_documents;  /* that it was read from; 0: empty files */
	bool from_cluster;   /* configFrom: cluster */
	struct config_strings load_balancer_classes;
	bool classless;
	const char *node_name; /* NULL = not given */
	const struct config_pool *pools;
	size_t n_pools;
	const struct config_l2_advertisement *l2_advertisements;
	size_t n_l2_advertisements;
	size_t n_l2_orphans; /* more of them behind those: for_orphans */
	const struct config_peer *peers;
	size_t n_peers;
	const struct config_bgp_advertisement *bgp_advertisements;
	size_t n_bgp_advertisements;
	const struct config_bfd_profile *bfd_profiles;
	size_t n_bfd_profiles;
	const struct config_community *communities;
	size_t n_communities;
	struct config_elections elections;
	enum config_servicelb servicelb;
	/* Services get the nodes' own addresses (nodelb.h), pools are not looked at.  What a start
	 * from this means; a reload decides for itself, before anybody works from it. */
	bool servicelb_active;
	const char *metrics_address; /* "node", "::" or an IP */
	unsigned metrics_port;       /* 0 = off */
	bool metrics_page;
	const char *log_level;
	char hash[17]; /* 16 hex digits of the canonical form's sha256: lbd.io/config-hash */
};

/* Errors and warnings, ready to print: "FILE:LINE:COL: KIND/NAME: path: expected (got ...)", of the
 * API's objects "KIND/NAMESPACE/NAME: path: expected (got ...)". */
struct config_report {
	struct buf errors, warnings; /* owned; lines that end in \n */
	unsigned n_errors, n_warnings;
	struct config_fault *faults; /* borrowed; NULL, or one for each source, zero before */
};

/* What is wrong with one source. */
struct config_fault {
	unsigned n_errors;
	size_t at, len; /* in errors: the first line that concerns it, without its end; also of
			   another source's error that names it; len 0 = there is none */
};

void config_report_init(struct config_report *r);
void config_report_free(struct config_report *r);

struct config_source {
	const char *name; /* for messages: the path as the user gave it */
	const char *text;
	size_t len;
};

/* Parses and decodes all sources as one configuration.  0 and *ret_conf (config_free()), or -EINVAL
 * with at least one error in report, or -ENOMEM.  Warnings are given in both cases.  Never calls
 * back. */
int config_parse(const struct config_source *src, size_t n_src, struct config **ret_conf,
	struct config_report *report) MUST_CHECK;
/* The same of a file that says configFrom: cluster, and objects of the API: each as JSON, its name
 * "KIND/NAMESPACE/NAME".  report->faults[0] is the file's, those of the objects follow. */
int config_parse_cluster(const struct config_source *file, const struct config_source *objects,
	size_t n_objects, struct config **ret_conf, struct config_report *report) MUST_CHECK;
void config_free(struct config *c);

/* The canonical YAML of c (dialect 1, defaults written out): parsing it gives an equal
 * configuration whose canonical text is the same bytes.  0 or -ENOMEM. */
int config_print(const struct config *c, struct buf *out) MUST_CHECK;

/* -- what the rest asks of a configuration -- */
/* The pool that holds a; NULL when none. */
const struct config_pool *config_pool_of(const struct config *c, struct addr a);
const struct config_pool *config_pool_named(const struct config *c, const char *name);
/* Do Services move when the pool no longer has, or no longer admits, what they have (reallocate)?
 * MetalLB's users rely on it. */
bool config_pool_moves(const struct config_pool *pool);
/* Does a pool say by their labels which Namespaces it is for? */
bool config_selects_namespaces(const struct config *c);
/* Does the advertisement's pool part select the pool?  NULL: one that is not configured any more
 * (for_orphans). */
bool config_l2_selects_pool(
	const struct config_l2_advertisement *ad, const struct config_pool *pool);
bool config_bgp_selects_pool(
	const struct config_bgp_advertisement *ad, const struct config_pool *pool);
/* OpenELB's word. */
const char *config_protocol_name(enum config_protocol protocol);
/* Is the pool announced so?  What the advertisement says of nodes and Services is not looked at. */
bool config_announces(
	const struct config *c, const struct config_pool *pool, enum config_protocol protocol);
/* "can_reach:ADDRESS", in the place of an interface. */
bool config_can_reach(const char *interface, struct addr *ret_a);
/* Does a name match one of the fnmatch patterns? */
bool config_name_matches(const struct config_strings *patterns, const char *name);

#endif
