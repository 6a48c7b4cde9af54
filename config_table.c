/* SPDX-License-Identifier: Apache-2.0
 *
 * config_table.c - the one table of every field.
 *
 * Sources: INTERFACES "Config file"; MetalLB api/v1beta1, api/v1beta2 (limits and defaults of the
 * fields that are MetalLB's) and 0.12's ConfigMap; OpenELB api/v1alpha2.  An upper bound that
 * no source gives is what a sane cluster never reaches.
 */
#include "config_table.h"

#ifdef LBD_NO_DOC
#define DOC(text) 0
#else
#define DOC(text) text
#endif

enum {
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
	MIN_HOLD = 3 * SECOND, /* RFC 4271 4.2 */
	MAX_HOLD = 65535 * SECOND,
	MAX_STRING = 1024,
	MAX_LIST = 4096,
	MAX_SELECTORS = 256,
};

/* Names of types and members take no parentheses: NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(rec, member) .offset = offsetof(struct rec, member), .offset_n = CONFIG_NOWHERE
#define AT_N(rec, member, count)                                                                   \
	.offset = offsetof(struct rec, member), .offset_n = offsetof(struct rec, count)
#define AT_STRINGS(rec, member) AT_N(rec, member.v, member.n)
#define RECORD(id_, type, fields_)                                                                 \
	{                                                                                          \
		.id = (id_), .size = sizeof(struct type), .fields = (fields_),                     \
		.n_fields = ARRAY_LEN(fields_)                                                     \
	}

#define LIST_RECORD(id_, type, fields_)                                                            \
	{                                                                                          \
		.id = (id_), .size = sizeof(struct type), .name_at = offsetof(struct type, name),  \
		.mark_at = offsetof(struct type, mark), .fields = (fields_),                       \
		.n_fields = ARRAY_LEN(fields_)                                                     \
	}

/* NOLINTEND(bugprone-macro-parentheses) */

/* What MetalLB's ConfigMap metallb-excludel2 lists, as patterns. */
static const char metallb_exclude[] =
	"docker* cbr* dummy* virbr* lxcbr* veth* lo cali* tunl* flannel* kube-ipvs* cni* "
	"nodelocaldns* lxc*";

static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
static const char *const from_words[] = {"file", "cluster", NULL};
static const char *const dynamic_asns[] = {"internal", "external", NULL};
static const char *const ao_algorithms[] = {"hmac-sha1-96", "aes-128-cmac-96", NULL};
static const char *const servicelb_modes[] = {"auto", "always", "never", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const protocols[] = {"layer2", "bgp", NULL};
static const char *const eip_protocols[] = {"bgp", "layer2", "vip", NULL};

/* -- selectors (metav1.LabelSelector) -- */

static const struct config_field expression_fields[] = {
	{.name = "key",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_LABEL_KEY,
		.in = CONFIG_IN_ALL | CONFIG_IN_EIP,
		.flags = CONFIG_REQUIRED,
		AT(label_expr, key),
		.min = 1,
		.max = 317,
		.doc = DOC("the label's key")},
	{.name = "operator",
		.type = CONFIG_WORD_INDEX,
		.in = CONFIG_IN_ALL | CONFIG_IN_EIP,
		.flags = CONFIG_REQUIRED,
		AT(label_expr, op),
		.words = operators,
		.fallback = "In",
		.doc = DOC("how the label's value is compared")},
	{.name = "values",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_LABEL_VALUE,
		.in = CONFIG_IN_ALL | CONFIG_IN_EIP,
		.flags = CONFIG_SKIP_EMPTY,
		AT_N(label_expr, values, n_values),
		.max = MAX_SELECTORS,
		.doc = DOC("for In and NotIn")},
};
static const struct config_record expression_record =
	RECORD(CONFIG_EXPRESSION, label_expr, expression_fields);

static const struct config_field selector_fields[] = {
	{.name = "matchLabels",
		.type = CONFIG_LABELS,
		.in = CONFIG_IN_ALL | CONFIG_IN_EIP,
		.flags = CONFIG_SKIP_EMPTY,
		AT_N(selector, match_labels, n_match_labels),
		.max = MAX_SELECTORS,
		.doc = DOC("labels that must be there with these values")},
	{.name = "matchExpressions",
		.type = CONFIG_LIST,
		.in = CONFIG_IN_ALL | CONFIG_IN_EIP,
		.flags = CONFIG_SKIP_EMPTY,
		AT_N(selector, exprs, n_exprs),
		.max = MAX_SELECTORS,
		.record = &expression_record,
		.doc = DOC("conditions that must hold too")},
};
static const struct config_record selector_record =
	RECORD(CONFIG_SELECTOR, selector, selector_fields);

/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define SELECTORS(name_, in_, rec, member, doc_)                                                   \
	{                                                                                          \
		.name = (name_), .type = CONFIG_LIST, .in = (in_), AT_N(rec, member.v, member.n),  \
		.max = MAX_SELECTORS, .record = &selector_record, .doc = DOC(doc_)                    \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* -- pools -- */

static const struct config_field allocation_fields[] = {
	{.name = "priority",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NEW,
		AT(config_service_allocation, priority),
		.max = INT32_MAX,
		.fallback = "0",
		.doc = DOC("the lower first; 0 = last")},
	{.name = "namespaces",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_NEW,
		AT_STRINGS(config_service_allocation, namespaces),
		.max = MAX_LIST,
		.doc = DOC("only for Services of these namespaces")},
	{.name = "namespaceSelectors",
		.type = CONFIG_LIST,
		.in = CONFIG_IN_NEW,
		AT_N(config_service_allocation, namespace_selectors.v, namespace_selectors.n),
		.max = MAX_SELECTORS,
		.record = &selector_record,
		.doc = DOC("or of namespaces with these labels")},
	SELECTORS("serviceSelectors", CONFIG_IN_NEW, config_service_allocation, service_selectors,
		"only for Services with these labels"),
	{.name = "autoOnly",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SKIP_EMPTY,
		AT(config_service_allocation, auto_only),
		.fallback = "false",
		.doc = DOC("true = Services that name the pool or an address of it need not match")},
};
static const struct config_record allocation_record =
	RECORD(CONFIG_OTHER, config_service_allocation, allocation_fields);

static const struct config_field pool_fields[] = {
	{.name = "name",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_NATIVE | CONFIG_IN_CM,
		.flags = CONFIG_REQUIRED,
		AT(config_pool, name),
		.min = 1,
		.max = CONFIG_MAX_NAME,
		.doc = DOC("by which Services and advertisements name it")},
	{.name = "labels",
		.type = CONFIG_LABELS,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SKIP_EMPTY,
		AT_N(config_pool, labels.v, labels.n),
		.max = MAX_SELECTORS,
		.doc = DOC("for ipAddressPoolSelectors")},
	{.name = "addresses",
		.type = CONFIG_RANGES,
		.in = CONFIG_IN_ALL,
		.flags = CONFIG_REQUIRED,
		AT_N(config_pool, ranges, n_ranges),
		.min = 1,
		.max = CONFIG_MAX_RANGES,
		.doc = DOC("CIDRs and ranges, both families")},
	{.name = "autoAssign",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_ALL,
		AT(config_pool, auto_assign),
		.fallback = "true",
		.doc = DOC("false = only for Services that name the pool or an address of it")},
	{.name = "disabled",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SKIP_EMPTY,
		AT(config_pool, disabled),
		.fallback = "false",
		.doc = DOC("true = nobody is given an address of it; those that have one keep it")},
	{.name = "avoidBuggyIPs",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_ALL,
		AT(config_pool, avoid_buggy_ips),
		.fallback = "false",
		.doc = DOC("give nobody IPv4 addresses that end in .0 or .255, not even who asks for "
		       "one")},
	{.name = "serviceAllocation",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NEW,
		AT_N(config_pool, service_allocation, service_allocation.present),
		.record = &allocation_record,
		.doc = DOC("which Services it is for")},
	{.name = "reuseDelay",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		AT(config_pool, reuse_delay_ms),
		.max = DAY,
		.fallback = "60s",
		.doc = DOC("a freed address rests so long, unless the pool is otherwise full")},
	{.name = "reallocate",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_pool, reallocate),
		.fallback = "false",
		.doc = DOC("true = Services move when their address leaves the pool")},
	{.name = "conflictDetection",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_NOT_YET,
		AT(config_pool, conflict_detection),
		.fallback = "false",
		.doc = DOC("ask the wire before an address is given")},
};
static const struct config_record pool_record = LIST_RECORD(CONFIG_POOL, config_pool, pool_fields);

/* -- advertisements -- */

static const struct config_field preference_fields[] = {
	{.name = "weight",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NEW,
		.flags = CONFIG_REQUIRED,
		AT(config_preference, weight),
		.min = 1,
		.max = 100,
		.doc = DOC("added up over what matches; the highest sum is preferred")},
	{.name = "preference",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NEW,
		.flags = CONFIG_REQUIRED,
		AT(config_preference, preference),
		.record = &selector_record,
		.doc = DOC("nodes with these labels")},
};
static const struct config_record preference_record =
	RECORD(CONFIG_OTHER, config_preference, preference_fields);

#define ADVERTISEMENT_NAME(rec)                                                                    \
	{                                                                                          \
		.name = "name", .type = CONFIG_STRING, .text = CONFIG_TEXT_NAME,                   \
		.in = CONFIG_IN_NATIVE, .flags = CONFIG_REQUIRED, AT(rec, name), .min = 1,         \
		.max = CONFIG_MAX_NAME, .doc = DOC("for messages and status")                           \
	}
#define ADVERTISEMENT_POOLS(rec)                                                                   \
	{                                                                                          \
		.name = "ipAddressPools", .type = CONFIG_STRINGS, .text = CONFIG_TEXT_NAME,        \
		.in = CONFIG_IN_NEW, AT_STRINGS(rec, ip_address_pools), .max = MAX_LIST,           \
		.doc = DOC("these pools; with ipAddressPoolSelectors empty too: all")                   \
	}

static const struct config_field l2_fields[] = {
	ADVERTISEMENT_NAME(config_l2_advertisement),
	ADVERTISEMENT_POOLS(config_l2_advertisement),
	SELECTORS("ipAddressPoolSelectors", CONFIG_IN_NEW, config_l2_advertisement,
		ip_address_pool_selectors, "and pools with these labels"),
	SELECTORS("nodeSelectors", CONFIG_IN_NEW, config_l2_advertisement, node_selectors,
		"only nodes with these labels announce; empty = all"),
	{.name = "preferredNodeSelectors",
		.type = CONFIG_LIST,
		.in = CONFIG_IN_NEW,
		AT_N(config_l2_advertisement, preferred_node_selectors, n_preferred_node_selectors),
		.max = MAX_SELECTORS,
		.record = &preference_record,
		.doc = DOC("nodes that should rather announce")},
	SELECTORS("serviceSelectors", CONFIG_IN_NEW, config_l2_advertisement, service_selectors,
		"only Services with these labels; empty = all"),
	{.name = "interfaces",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_LINK,
		.in = CONFIG_IN_NEW,
		AT_STRINGS(config_l2_advertisement, interfaces),
		.max = MAX_SELECTORS,
		.doc = DOC("announce on these, names, patterns or can_reach:ADDRESS (the link of the "
		       "route to it); empty = by the address's subnet")},
	{.name = "excludeInterfaces",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_INTERFACE,
		.in = CONFIG_IN_NATIVE,
		AT_STRINGS(config_l2_advertisement, exclude_interfaces),
		.max = MAX_SELECTORS,
		.fallback = metallb_exclude,
		.doc = DOC("never on these patterns; default: MetalLB's list")},
	{.name = "bindAddress",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_l2_advertisement, bind_address),
		.fallback = "false",
		.doc = DOC("put the address on the interface of the node that has it, for three "
		       "seconds at a time, so that the kernel answers for it and stops when lbd "
		       "ends badly; programs of the host that listen on every address are then "
		       "reached through it, on ports that no Service has")},
};
static const struct config_record l2_record =
	LIST_RECORD(CONFIG_L2_ADVERTISEMENT, config_l2_advertisement, l2_fields);

static const struct config_field bgp_fields[] = {
	ADVERTISEMENT_NAME(config_bgp_advertisement),
	ADVERTISEMENT_POOLS(config_bgp_advertisement),
	SELECTORS("ipAddressPoolSelectors", CONFIG_IN_NEW, config_bgp_advertisement,
		ip_address_pool_selectors, "and pools with these labels"),
	{.name = "aggregationLength",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_ALL,
		AT(config_bgp_advertisement, aggregation_length),
		.min = 1,
		.max = 32,
		.fallback = "32",
		.doc = DOC("announce the prefix of this length that holds the address")},
	{.name = "aggregationLengthV6",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_ALL,
		AT(config_bgp_advertisement, aggregation_length_v6),
		.min = 1,
		.max = 128,
		.fallback = "128",
		.doc = DOC("the same for IPv6")},
	{.name = "localPref",
		.type = CONFIG_U32,
		.in = CONFIG_IN_ALL,
		AT_N(config_bgp_advertisement, local_pref, has_local_pref),
		.max = UINT32_MAX,
		.doc = DOC("LOCAL_PREF towards peers of our own AS")},
	{.name = "med",
		.type = CONFIG_U32,
		.in = CONFIG_IN_NATIVE,
		AT_N(config_bgp_advertisement, med, has_med),
		.max = UINT32_MAX,
		.doc = DOC("MULTI_EXIT_DISC: of two ways into an AS a router takes the lower; of "
		       "several for one prefix it is told the lowest")},
	{.name = "communities",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_ALL,
		AT_STRINGS(config_bgp_advertisement, communities),
		.max = 63,
		.doc = DOC("a:b, large:a:b:c, or names of communities")},
	{.name = "peers",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_NEW,
		AT_STRINGS(config_bgp_advertisement, peers),
		.max = MAX_LIST,
		.doc = DOC("only to these peers; empty = all")},
	SELECTORS("nodeSelectors", CONFIG_IN_NEW, config_bgp_advertisement, node_selectors,
		"only nodes with these labels announce; empty = all"),
	SELECTORS("serviceSelectors", CONFIG_IN_NEW, config_bgp_advertisement, service_selectors,
		"only Services with these labels; empty = all"),
	{.name = "hostRoutesForLocal",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_bgp_advertisement, host_routes_for_local),
		.fallback = "true",
		.doc = DOC("an address of externalTrafficPolicy Local is never aggregated")},
	{.name = "linkBandwidth",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_bgp_advertisement, link_bandwidth),
		.fallback = "false",
		.doc = DOC("tell routers the number of local endpoints")},
};
static const struct config_record bgp_record =
	LIST_RECORD(CONFIG_BGP_ADVERTISEMENT, config_bgp_advertisement, bgp_fields);

/* -- peers -- */

static const struct config_field secret_fields[] = {
	{.name = "name",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_OBJECT_NAME,
		.in = CONFIG_IN_NEW,
		AT(config_secret_ref, name),
		.max = CONFIG_MAX_NAME,
		.doc = DOC("the Secret's name")},
	{.name = "namespace",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAMESPACE,
		.in = CONFIG_IN_NEW,
		AT(config_secret_ref, namespace_),
		.max = CONFIG_MAX_NAME,
		.doc = DOC("and its namespace")},
};
static const struct config_record secret_record =
	RECORD(CONFIG_OTHER, config_secret_ref, secret_fields);

static const struct config_field ao_fields[] = {
	{.name = "keyID",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_REQUIRED,
		AT(config_tcp_ao, key_id),
		.max = 255,
		.doc = DOC("both ends' KeyID")},
	{.name = "algorithm",
		.type = CONFIG_WORD,
		.in = CONFIG_IN_NATIVE,
		AT(config_tcp_ao, algorithm),
		.words = ao_algorithms,
		.fallback = "hmac-sha1-96",
		.doc = DOC("of RFC 5926")},
	{.name = "keyFile",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_PATH,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_REQUIRED,
		AT(config_tcp_ao, key_file),
		.min = 1,
		.max = MAX_STRING,
		.doc = DOC("the file that holds the key")},
};
static const struct config_record ao_record = RECORD(CONFIG_OTHER, config_tcp_ao, ao_fields);

static const struct config_field peer_fields[] = {
	{.name = "name",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_REQUIRED,
		AT(config_peer, name),
		.min = 1,
		.max = CONFIG_MAX_NAME,
		.doc = DOC("by which advertisements name it")},
	{.name = "myASN",
		.type = CONFIG_U32,
		.in = CONFIG_IN_ALL,
		.flags = CONFIG_REQUIRED,
		AT(config_peer, my_asn),
		.min = 1,
		.max = UINT32_MAX,
		.doc = DOC("our AS number")},
	{.name = "peerASN",
		.type = CONFIG_U32,
		.in = CONFIG_IN_ALL,
		.flags = CONFIG_SKIP_EMPTY,
		AT(config_peer, peer_asn),
		.max = UINT32_MAX,
		.fallback = "0",
		.doc = DOC("the peer's AS number; or dynamicASN")},
	{.name = "dynamicASN",
		.type = CONFIG_WORD,
		.in = CONFIG_IN_NEW,
		AT(config_peer, dynamic_asn),
		.words = dynamic_asns,
		.doc = DOC("accept any AS number: our own (internal) or any other (external)")},
	{.name = "peerAddress",
		.type = CONFIG_ADDRESS,
		.in = CONFIG_IN_ALL,
		AT_N(config_peer, peer_address, has_peer_address),
		.doc = DOC("the peer's address; or interface")},
	{.name = "interface",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_INTERFACE,
		.in = CONFIG_IN_NEW,
		AT(config_peer, interface),
		.max = 15,
		.doc = DOC("unnumbered: the peer on this link")},
	{.name = "peerPort",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_ALL,
		AT(config_peer, peer_port),
		.min = 1,
		.max = 65535,
		.fallback = "179",
		.doc = DOC("the peer's TCP port")},
	{.name = "sourceAddress",
		.type = CONFIG_ADDRESS,
		.in = CONFIG_IN_ALL,
		AT_N(config_peer, source_address, has_source_address),
		.doc = DOC("our address")},
	{.name = "routerID",
		.type = CONFIG_ADDRESS,
		.in = CONFIG_IN_ALL,
		AT_N(config_peer, router_id, has_router_id),
		.doc = DOC("our BGP identifier; default: the node's IPv4 address")},
	{.name = "localASN",
		.type = CONFIG_U32,
		.in = CONFIG_IN_NEW,
		AT(config_peer, local_asn),
		.max = UINT32_MAX,
		.fallback = "0",
		.doc = DOC("shown to the peer in place of myASN; 0 = off")},
	{.name = "holdTime",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_ALL,
		.flags = CONFIG_OR_ZERO,
		AT(config_peer, hold_time_ms),
		.min = MIN_HOLD,
		.max = MAX_HOLD,
		.fallback = "90s",
		.doc = DOC("the peer is down after so long a silence; 0 = never")},
	{.name = "keepaliveTime",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_ALL,
		AT(config_peer, keepalive_time_ms),
		.max = MAX_HOLD,
		.fallback = "30s",
		.doc = DOC("between KEEPALIVEs; default: a third of holdTime")},
	{.name = "connectTime",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NEW,
		.flags = CONFIG_SECONDS,
		AT(config_peer, connect_time_ms),
		.min = SECOND,
		.max = MAX_HOLD,
		.fallback = "5s",
		.doc = DOC("between attempts to connect")},
	{.name = "password",
		.type = CONFIG_STRING,
		.in = CONFIG_IN_ALL,
		.flags = CONFIG_SECRET,
		AT(config_peer, password),
		.max = 80,
		.doc = DOC("TCP MD5 (RFC 2385)")},
	{.name = "passwordSecret",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NEW,
		.flags = CONFIG_SKIP_EMPTY,
		AT(config_peer, password_secret),
		.record = &secret_record,
		.doc = DOC("or in a kubernetes.io/basic-auth Secret")},
	{.name = "passwordFile",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_PATH,
		.in = CONFIG_IN_NATIVE,
		AT(config_peer, password_file),
		.max = MAX_STRING,
		.doc = DOC("or in a file")},
	{.name = "bfdProfile",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_ALL,
		AT(config_peer, bfd_profile),
		.max = CONFIG_MAX_NAME,
		.doc = DOC("watch the peer with BFD")},
	{.name = "ebgpMultiHop",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_ALL,
		AT(config_peer, ebgp_multi_hop),
		.fallback = "false",
		.doc = DOC("the peer of another AS is not on our link")},
	{.name = "enableGracefulRestart",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NEW,
		AT(config_peer, enable_graceful_restart),
		.fallback = "false",
		.doc = DOC("routes stay while lbd restarts (RFC 4724)")},
	{.name = "dualStackAddressFamily",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NEW,
		AT(config_peer, dual_stack_address_family),
		.fallback = "false",
		.doc = DOC("both families over this session")},
	{.name = "disableMP",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NEW,
		AT(config_peer, disable_mp),
		.fallback = "false",
		.doc = DOC("only the session's own family (deprecated by MetalLB)")},
	{.name = "vrf",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_INTERFACE,
		.in = CONFIG_IN_NEW,
		AT(config_peer, vrf),
		.max = 15,
		.fallback = "",
		.doc = DOC("the session's VRF")},
	SELECTORS("nodeSelectors", CONFIG_IN_ALL, config_peer, node_selectors,
		"only nodes with these labels connect; empty = all"),
	{.name = "ttlSecurity",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NATIVE,
		AT(config_peer, ttl_security),
		.max = 254,
		.fallback = "0",
		.doc = DOC("the peer is at most so many hops away (RFC 5082); 0 = off")},
	{.name = "tcpAO",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NATIVE,
		AT_N(config_peer, tcp_ao, tcp_ao.present),
		.record = &ao_record,
		.doc = DOC("TCP-AO (RFC 5925)")},
	{.name = "passive",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_peer, passive),
		.fallback = "false",
		.doc = DOC("wait for the peer to connect")},
};
static const struct config_record peer_record = LIST_RECORD(CONFIG_PEER, config_peer, peer_fields);

/* -- BFD profiles, communities -- */

#define BFD_UINT(name_, member_, min_, max_, fallback_, doc_)                                      \
	{                                                                                          \
		.name = (name_), .type = CONFIG_UINT, .in = CONFIG_IN_ALL,                         \
		AT(config_bfd_profile, member_), .min = (min_), .max = (max_),                     \
		.fallback = (fallback_), .doc = DOC(doc_)                                             \
	}

static const struct config_field bfd_fields[] = {
	{.name = "name",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_NATIVE | CONFIG_IN_CM,
		.flags = CONFIG_REQUIRED,
		AT(config_bfd_profile, name),
		.min = 1,
		.max = CONFIG_MAX_NAME,
		.doc = DOC("by which peers name it")},
	BFD_UINT("receiveInterval", receive_interval_ms, 10, 60000, "300",
		"milliseconds between packets that we can receive"),
	BFD_UINT("transmitInterval", transmit_interval_ms, 10, 60000, "300",
		"milliseconds between packets that we want to send"),
	BFD_UINT("detectMultiplier", detect_multiplier, 2, 255, "3",
		"so many packets missed: the peer is down"),
	{.name = "echoMode",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_ALL,
		AT(config_bfd_profile, echo_mode),
		.fallback = "false",
		.doc = DOC("echo packets (RFC 5880 6.4)")},
	BFD_UINT("echoInterval", echo_interval_ms, 10, 60000, "50",
		"milliseconds between echo packets"),
	{.name = "passiveMode",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_ALL,
		AT(config_bfd_profile, passive_mode),
		.fallback = "false",
		.doc = DOC("wait for the peer's first packet")},
	BFD_UINT("minimumTtl", minimum_ttl, 1, 254, "254", "of packets over several hops"),
};
static const struct config_record bfd_record =
	LIST_RECORD(CONFIG_BFD_PROFILE, config_bfd_profile, bfd_fields);

static const struct config_field community_fields[] = {
	{.name = "name",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_NEW,
		.flags = CONFIG_REQUIRED,
		AT(config_community, name),
		.min = 1,
		.max = CONFIG_MAX_NAME,
		.doc = DOC("by which advertisements name it")},
	{.name = "value",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_COMMUNITY,
		.in = CONFIG_IN_NEW,
		.flags = CONFIG_REQUIRED,
		AT(config_community, value),
		.min = 1,
		.max = 64,
		.doc = DOC("a:b or large:a:b:c")},
};
static const struct config_record community_record =
	LIST_RECORD(CONFIG_COMMUNITY, config_community, community_fields);

/* -- elections -- */

static const struct config_field node_lease_fields[] = {
	{.name = "duration",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SECONDS,
		AT(config_elections, node_duration_ms),
		.min = SECOND,
		.max = HOUR,
		.fallback = "40s",
		.doc = DOC("a node not heard of so long is gone")},
	{.name = "renew",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, node_renew_ms),
		.min = 100,
		.max = HOUR,
		.fallback = "10s",
		.doc = DOC("between renewals")},
};
static const struct config_record node_lease_record =
	RECORD(CONFIG_NODE_LEASE, config_elections, node_lease_fields);

static const struct config_field leader_lease_fields[] = {
	{.name = "duration",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SECONDS,
		AT(config_elections, leader_duration_ms),
		.min = SECOND,
		.max = HOUR,
		.fallback = "15s",
		.doc = DOC("others wait so long before one of them becomes leader")},
	{.name = "renewDeadline",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, leader_renew_deadline_ms),
		.min = 100,
		.max = HOUR,
		.fallback = "10s",
		.doc = DOC("a leader that could not renew so long stops")},
	{.name = "retryPeriod",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, leader_retry_period_ms),
		.min = 50,
		.max = HOUR,
		.fallback = "5s",
		.doc = DOC("between attempts")},
};
static const struct config_record leader_lease_record =
	RECORD(CONFIG_LEADER_LEASE, config_elections, leader_lease_fields);

static const struct config_field mesh_fields[] = {
	{.name = "interval",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, bfd_interval_ms),
		.min = 10,
		.max = MINUTE,
		.fallback = "100ms",
		.doc = DOC("between packets")},
	{.name = "multiplier",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, bfd_multiplier),
		.min = 2,
		.max = 255,
		.fallback = "3",
		.doc = DOC("so many packets missed: the node is silent")},
	{.name = "meshLimit",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, bfd_mesh_limit),
		.max = 1024,
		.fallback = "16",
		.doc = DOC("up to so many nodes watch each other all; above, each its neighbours")},
	{.name = "port",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, bfd_port),
		.min = 1,
		.max = 65535,
		.fallback = "3784",
		.doc = DOC("UDP port")},
	{.name = "keyFile",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_PATH,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, bfd_key_file),
		.max = MAX_STRING,
		.doc = DOC("the file that holds the nodes' common key, the same on each, mode 0640, "
		       "group lbd: a line of 8 characters or more; a second line is accepted as "
		       "well, to change the key node by node (old; old, new; new, old; new). Read "
		       "again when it changes. "
		       "Without it packets are not signed, but must come from the link")},
	{.name = "keySecret",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_OBJECT_NAME,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, bfd_key_secret),
		.max = CONFIG_MAX_NAME,
		.doc = DOC("a Secret in elections.namespace whose value \"key\" is what keyFile is to "
		       "hold. It is read each minute and kept there, by default in "
		       CONFIG_BFD_KEY_FILE)},
};
static const struct config_record mesh_record = RECORD(CONFIG_OTHER, config_elections, mesh_fields);

static const struct config_field election_fields[] = {
	{.name = "namespace",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_NAMESPACE,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, namespace_),
		.max = 63,
		.fallback = "kube-system",
		.doc = DOC("where the Leases are")},
	{.name = "nodeLease",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NATIVE,
		.offset = 0,
		.offset_n = CONFIG_NOWHERE,
		.record = &node_lease_record,
		.doc = DOC("every node's Lease")},
	{.name = "leaderLease",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NATIVE,
		.offset = 0,
		.offset_n = CONFIG_NOWHERE,
		.record = &leader_lease_record,
		.doc = DOC("the leader's Lease")},
	{.name = "bfd",
		.type = CONFIG_MAP,
		.in = CONFIG_IN_NATIVE,
		.offset = 0,
		.offset_n = CONFIG_NOWHERE,
		.record = &mesh_record,
		.doc = DOC("BFD between nodes")},
	{.name = "failback",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, failback),
		.fallback = "false",
		.doc = DOC("a node that comes first for an address and is back is offered it, holdDown after "
		       "its return, up to its maxShare")},
	{.name = "rebalance",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SKIP_EMPTY,
		AT(config_elections, rebalance),
		.fallback = "false",
		.doc = DOC("a node over maxShare offers one address every 5 s to one under its fair share")},
	{.name = "holdDown",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, hold_down_ms),
		.max = HOUR,
		.fallback = "5s",
		.doc = DOC("so long after a fault of its own a node is last in line; from the third in ten "
		       "minutes on twice as long each time, up to 5 minutes")},
	{.name = "witness",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_ADDRESS,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_SKIP_EMPTY,
		AT_STRINGS(config_elections, witness),
		.max = 16,
		.doc = DOC("hosts in the nodes' subnets that are always there, such as a router: one that "
		       "answers shows a node that its link works")},
	{.name = "maxShare",
		.type = CONFIG_FACTOR,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_OR_ZERO,
		AT(config_elections, max_share),
		.min = 1,
		.max = 1000,
		.fallback = "1.25",
		.doc = DOC("times the fair share, over which a node waits longer; 0 = MetalLB's order "
		       "only, the default when pools come from a MetalLB dialect")},
	{.name = "reannounce",
		.type = CONFIG_DURATION,
		.in = CONFIG_IN_NATIVE,
		.flags = CONFIG_OR_ZERO,
		AT(config_elections, reannounce_ms),
		.min = SECOND,
		.max = DAY,
		.fallback = "10m",
		.doc = DOC("announce again this often; 0 = never")},
	{.name = "drainOnCordon",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config_elections, drain_on_cordon),
		.fallback = "false",
		.doc = DOC("a cordoned node gives its addresses away, if there is one that is not")},
};
static const struct config_record elections_record =
	RECORD(CONFIG_OTHER, config_elections, election_fields);

/* -- the rest of dialect 1 -- */

static const struct config_field servicelb_fields[] = {
	{.name = "mode",
		.type = CONFIG_WORD_INDEX,
		.in = CONFIG_IN_NATIVE,
		AT(config, servicelb),
		.words = servicelb_modes,
		.fallback = "auto",
		.doc = DOC("give Services the nodes' own addresses, as k3s's servicelb does; auto = if "
		       "the file has no pool when lbd starts")},
};
static const struct config_record servicelb_record = RECORD(CONFIG_OTHER, config, servicelb_fields);

static const struct config_field metrics_fields[] = {
	{.name = "address",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_LISTEN,
		.in = CONFIG_IN_NATIVE,
		AT(config, metrics_address),
		.max = ADDR_STRLEN,
		.fallback = "127.0.0.1",
		.doc = DOC("listen here: node (the Node's InternalIPs), ::, or an IP")},
	{.name = "port",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_NATIVE,
		AT(config, metrics_port),
		.max = 65535,
		.fallback = "7472",
		.doc = DOC("TCP port; 0 = off")},
	{.name = "page",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config, metrics_page),
		.fallback = "true",
		.doc = DOC("the status page as well")},
};
static const struct config_record metrics_record = RECORD(CONFIG_OTHER, config, metrics_fields);

static const struct config_field log_fields[] = {
	{.name = "level",
		.type = CONFIG_WORD,
		.in = CONFIG_IN_NATIVE,
		AT(config, log_level),
		.words = log_levels,
		.fallback = "info",
		.doc = DOC("what is logged")},
};
static const struct config_record log_record = RECORD(CONFIG_OTHER, config, log_fields);

#define ROOT_LIST(name_, member_, flags_, max_, record_, doc_)                                     \
	{                                                                                          \
		.name = (name_), .type = CONFIG_LIST, .in = CONFIG_IN_NATIVE, .flags = (flags_),   \
		AT_N(config, member_, n_##member_), .max = (max_), .record = &(record_),           \
		.doc = DOC(doc_)                                                                      \
	}
#define ROOT_MAP(name_, offset_, record_, doc_)                                                    \
	{                                                                                          \
		.name = (name_), .type = CONFIG_MAP, .in = CONFIG_IN_NATIVE, .offset = (offset_),  \
		.offset_n = CONFIG_NOWHERE, .record = &(record_), .doc = DOC(doc_)                    \
	}

static const struct config_field root_fields[] = {
	{.name = "configFrom",
		.type = CONFIG_WORD_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config, from_cluster),
		.words = from_words,
		.fallback = "file",
		.doc = DOC("read pools and the rest from here, or from the API")},
	{.name = "loadBalancerClasses",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_LABEL_KEY,
		.in = CONFIG_IN_NATIVE,
		AT_STRINGS(config, load_balancer_classes),
		.max = 64,
		.fallback = "lbd.io/lbd",
		.doc = DOC("serve Services of these classes")},
	{.name = "classless",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_NATIVE,
		AT(config, classless),
		.fallback = "true",
		.doc = DOC("and Services without a class")},
	{.name = "nodeName",
		.type = CONFIG_STRING,
		.text = CONFIG_TEXT_OBJECT_NAME,
		.in = CONFIG_IN_NATIVE,
		AT(config, node_name),
		.max = CONFIG_MAX_NAME,
		.doc = DOC("this node's name; default: the host's name in lower case")},
	ROOT_LIST("pools", pools, 0, CONFIG_MAX_POOLS, pool_record, "addresses to give"),
	ROOT_LIST("l2Advertisements", l2_advertisements, 0, MAX_LIST, l2_record,
		"announcements by ARP and NDP"),
	ROOT_LIST("peers", peers, 0, MAX_LIST, peer_record, "BGP routers"),
	ROOT_LIST("bgpAdvertisements", bgp_advertisements, 0, MAX_LIST, bgp_record,
		"announcements by BGP"),
	ROOT_LIST("bfdProfiles", bfd_profiles, 0, MAX_LIST, bfd_record,
		"how peers are watched"),
	ROOT_LIST("communities", communities, 0, MAX_LIST, community_record,
		"names for BGP communities"),
	ROOT_MAP("elections", offsetof(struct config, elections), elections_record,
		"who leads, who announces"),
	ROOT_MAP("servicelb", 0, servicelb_record, "servicelb mode"),
	ROOT_MAP("metrics", 0, metrics_record, "for Prometheus"),
	ROOT_MAP("log", 0, log_record, "stderr"),
};
static const struct config_record root_record = RECORD(CONFIG_ROOT, config, root_fields);

/* -- dialects that become the above -- */

static const struct config_field legacy_pool_fields[] = {
	{.name = "",
		.type = CONFIG_SAME_MAP,
		.in = CONFIG_IN_CM,
		AT(config_legacy_pool, pool),
		.record = &pool_record,
		.doc = DOC("a pool's own fields")},
	{.name = "protocol",
		.type = CONFIG_WORD,
		.in = CONFIG_IN_CM,
		.flags = CONFIG_REQUIRED,
		AT(config_legacy_pool, protocol),
		.words = protocols,
		.doc = DOC("how it is announced")},
	{.name = "bgpAdvertisements",
		.type = CONFIG_LIST,
		.in = CONFIG_IN_CM,
		AT_N(config_legacy_pool, advertisements, n_advertisements),
		.max = MAX_SELECTORS,
		.record = &bgp_record,
		.doc = DOC("for protocol bgp; default: one of /32")},
};
static const struct config_record legacy_pool_record =
	RECORD(CONFIG_LEGACY_POOL, config_legacy_pool, legacy_pool_fields);

static const struct config_field eip_fields[] = {
	{.name = "address",
		.type = CONFIG_STRING,
		.in = CONFIG_IN_EIP,
		.flags = CONFIG_REQUIRED,
		AT(config_eip, address),
		.min = 1,
		.max = ADDR_RANGE_STRLEN,
		.doc = DOC("an address, a CIDR or a range")},
	{.name = "protocol",
		.type = CONFIG_WORD,
		.in = CONFIG_IN_EIP,
		AT(config_eip, protocol),
		.words = eip_protocols,
		.fallback = "bgp",
		.doc = DOC("how it is announced")},
	{.name = "interface",
		.type = CONFIG_STRING,
		.in = CONFIG_IN_EIP,
		AT(config_eip, interface),
		.text = CONFIG_TEXT_LINK,
		.max = 64,
		.doc = DOC("an interface, or can_reach:ADDRESS: the one of the route to it")},
	{.name = "disable",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_EIP,
		AT(config_eip, disable),
		.fallback = "false",
		.doc = DOC("nobody is given an address of it; those that have one keep it")},
	{.name = "usingKnownIPs",
		.type = CONFIG_BOOL,
		.in = CONFIG_IN_EIP,
		AT(config_eip, using_known_ips),
		.fallback = "false",
		.doc = DOC("read and not used")},
	{.name = "priority",
		.type = CONFIG_UINT,
		.in = CONFIG_IN_EIP,
		AT(config_eip, priority),
		.max = INT32_MAX - 2,
		.fallback = "0",
		.doc = DOC("of Eips that are for one namespace, the lower first")},
	{.name = "namespaces",
		.type = CONFIG_STRINGS,
		.text = CONFIG_TEXT_NAME,
		.in = CONFIG_IN_EIP,
		AT_STRINGS(config_eip, namespaces),
		.max = MAX_LIST,
		.doc = DOC("for Services of these namespaces that name neither Eip nor address")},
	{.name = "namespaceSelector",
		.type = CONFIG_LABELS,
		.in = CONFIG_IN_EIP,
		AT_N(config_eip, namespace_selector.match_labels,
			namespace_selector.n_match_labels),
		.max = MAX_SELECTORS,
		.doc = DOC("or of namespaces with these labels")},
};
static const struct config_record eip_record = RECORD(CONFIG_OTHER, config_eip, eip_fields);

/* -- OpenELB's BGP: gobgp's own structure -- */

#define OPENELB(name_, type_, doc_)                                                                \
	.name = (name_), .type = (type_), .in = CONFIG_IN_EIP, .doc = DOC(doc_)
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define OPENELB_MAP(name_, record_, doc_)                                                          \
	{                                                                                          \
		OPENELB(name_, CONFIG_MAP, doc_), .offset = 0, .offset_n = CONFIG_NOWHERE,         \
						  .record = &(record_)                             \
	}
#define OPENELB_BOOL(name_, rec_, member_, doc_)                                                   \
	{                                                                                          \
		OPENELB(name_, CONFIG_BOOL, doc_), AT(rec_, member_), .fallback = "false"          \
	}
#define OPENELB_TEXT(name_, rec_, member_, doc_)                                                   \
	{                                                                                          \
		OPENELB(name_, CONFIG_STRING, doc_), AT(rec_, member_), .max = MAX_STRING          \
	}
#define NOT_USED_TEXT(name_, rec_)                                                                 \
	{                                                                                          \
		OPENELB(name_, CONFIG_STRING, NOT_USED), AT(rec_, not_used.text),                  \
			.max = MAX_STRING                                                          \
	}
#define NOT_USED_NUMBER(name_, rec_)                                                               \
	{                                                                                          \
		OPENELB(name_, CONFIG_U32, NOT_USED), AT(rec_, not_used.number), .max = UINT32_MAX \
	}
#define NOT_USED_BOOL(name_, rec_)                                                                 \
	{                                                                                          \
		OPENELB(name_, CONFIG_BOOL, NOT_USED), AT(rec_, not_used.flag),                    \
			.fallback = "false"                                                        \
	}
#define RESTART_FIELDS(rec_, member_)                                                              \
	OPENELB_BOOL("enabled", rec_, member_, "routes stay while lbd restarts (RFC 4724)"),       \
		NOT_USED_NUMBER("restartTime", rec_), NOT_USED_BOOL("helperOnly", rec_),           \
		NOT_USED_NUMBER("deferralTime", rec_), NOT_USED_BOOL("notificationEnabled", rec_), \
		NOT_USED_BOOL("longlivedEnabled", rec_), NOT_USED_NUMBER("staleRoutesTime", rec_), \
		NOT_USED_NUMBER("peerRestartTime", rec_), NOT_USED_BOOL("peerRestarting", rec_),   \
		NOT_USED_BOOL("localRestarting", rec_), NOT_USED_TEXT("mode", rec_)
/* NOLINTEND(bugprone-macro-parentheses) */

#define NOT_USED "read and not used"

static const struct config_field conf_restart_fields[] = {
	RESTART_FIELDS(config_bgp_conf, graceful_restart)};
static const struct config_record conf_restart_record =
	RECORD(CONFIG_OTHER, config_bgp_conf, conf_restart_fields);

static const struct config_field bgp_conf_fields[] = {
	{OPENELB("as", CONFIG_U32, "our AS number"), .flags = CONFIG_REQUIRED,
		AT(config_bgp_conf, as), .min = 1, .max = UINT32_MAX},
	{OPENELB("asPerRack", CONFIG_ANY,
		 "and that of nodes with this label openelb.kubesphere.io/rack"),
		AT(config_bgp_conf, not_used.number), .min = 1, .max = UINT32_MAX},
	{OPENELB("routerId", CONFIG_ADDRESS, "our BGP identifier"),
		AT_N(config_bgp_conf, router_id, has_router_id)},
	NOT_USED_NUMBER("listenPort", config_bgp_conf),
	{OPENELB("listenAddresses", CONFIG_STRINGS, NOT_USED),
		AT_STRINGS(config_bgp_conf, not_used.list), .max = MAX_SELECTORS},
	{OPENELB("families", CONFIG_ANY, NOT_USED), AT(config_bgp_conf, not_used.number),
		.max = UINT32_MAX},
	NOT_USED_BOOL("useMultiplePaths", config_bgp_conf),
	OPENELB_MAP("gracefulRestart", conf_restart_record, "graceful restart"),
	NOT_USED_TEXT("policy", config_bgp_conf),
};
static const struct config_record bgp_conf_record =
	RECORD(CONFIG_OTHER, config_bgp_conf, bgp_conf_fields);

static const struct config_field peer_conf_fields[] = {
	{OPENELB("peerAs", CONFIG_U32, "the peer's AS number"), .flags = CONFIG_REQUIRED,
		AT(config_bgp_peer, peer.peer_asn), .min = 1, .max = UINT32_MAX},
	{OPENELB("localAs", CONFIG_U32, "ours; default: the BgpConf's"),
		AT(config_bgp_peer, peer.my_asn), .max = UINT32_MAX},
	{OPENELB("neighborAddress", CONFIG_ADDRESS, "the peer's address"),
		AT_N(config_bgp_peer, peer.peer_address, peer.has_peer_address)},
	{OPENELB("neighborInterface", CONFIG_STRING, "or the link it is on"),
		.text = CONFIG_TEXT_INTERFACE, AT(config_bgp_peer, peer.interface), .max = 15},
	{OPENELB("authPassword", CONFIG_STRING, "TCP MD5 (RFC 2385)"), .flags = CONFIG_SECRET,
		AT(config_bgp_peer, peer.password), .max = 80},
	{OPENELB("vrf", CONFIG_STRING, "the session's VRF"), .text = CONFIG_TEXT_INTERFACE,
		AT(config_bgp_peer, peer.vrf), .max = 15},
	OPENELB_BOOL("adminDown", config_bgp_peer, admin_down, "true = the peer is left out"),
	NOT_USED_TEXT("description", config_bgp_peer),
	NOT_USED_TEXT("peerGroup", config_bgp_peer),
	NOT_USED_NUMBER("peerType", config_bgp_peer),
	NOT_USED_TEXT("removePrivateAs", config_bgp_peer),
	NOT_USED_BOOL("routeFlapDamping", config_bgp_peer),
	NOT_USED_NUMBER("sendCommunity", config_bgp_peer),
	NOT_USED_NUMBER("allowOwnAs", config_bgp_peer),
	NOT_USED_BOOL("replacePeerAs", config_bgp_peer),
};
static const struct config_record peer_conf_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, peer_conf_fields);

static const struct config_field multihop_fields[] = {
	OPENELB_BOOL("enabled", config_bgp_peer, peer.ebgp_multi_hop,
		"the peer of another AS is not on our link"),
	NOT_USED_NUMBER("multihopTtl", config_bgp_peer),
};
static const struct config_record multihop_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, multihop_fields);

static const struct config_field timer_fields[] = {
	OPENELB_TEXT("holdTime", config_bgp_peer, hold_time, "seconds, in quotes"),
	OPENELB_TEXT("keepaliveInterval", config_bgp_peer, keepalive, "seconds, in quotes"),
	OPENELB_TEXT("connectRetry", config_bgp_peer, connect_retry, "seconds, in quotes"),
	NOT_USED_TEXT("minimumAdvertisementInterval", config_bgp_peer),
};
static const struct config_record timer_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, timer_fields);
static const struct config_field timers_fields[] = {OPENELB_MAP("config", timer_record, "timers")};
static const struct config_record timers_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, timers_fields);

static const struct config_field transport_fields[] = {
	OPENELB_BOOL("passiveMode", config_bgp_peer, peer.passive, "wait for the peer to connect"),
	{OPENELB("remotePort", CONFIG_UINT, "the peer's TCP port"),
		AT(config_bgp_peer, peer.peer_port), .min = 1, .max = 65535, .fallback = "179"},
	NOT_USED_BOOL("mtuDiscovery", config_bgp_peer),
	NOT_USED_TEXT("remoteAddress", config_bgp_peer),
	NOT_USED_NUMBER("tcpMss", config_bgp_peer),
};
static const struct config_record transport_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, transport_fields);

static const struct config_field peer_restart_fields[] = {
	RESTART_FIELDS(config_bgp_peer, peer.enable_graceful_restart)};
static const struct config_record peer_restart_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, peer_restart_fields);

static const struct config_field family_fields[] = {
	OPENELB_TEXT("afi", config_afi_safi, afi, "AFI_IP or AFI_IP6; both: over one session"),
	OPENELB_TEXT("safi", config_afi_safi, safi, "SAFI_UNICAST"),
};
static const struct config_record family_record =
	RECORD(CONFIG_OTHER, config_afi_safi, family_fields);
static const struct config_field family_config_fields[] = {
	OPENELB_MAP("family", family_record, "which"),
	OPENELB_BOOL("enabled", config_afi_safi, enabled, "whether"),
};
static const struct config_record family_config_record =
	RECORD(CONFIG_OTHER, config_afi_safi, family_config_fields);
static const struct config_field enabled_fields[] = {NOT_USED_BOOL("enabled", config_afi_safi)};
static const struct config_record enabled_record =
	RECORD(CONFIG_OTHER, config_afi_safi, enabled_fields);
static const struct config_field mp_restart_fields[] = {
	OPENELB_MAP("config", enabled_record, NOT_USED)};
static const struct config_record mp_restart_record =
	RECORD(CONFIG_OTHER, config_afi_safi, mp_restart_fields);
static const struct config_field add_path_fields[] = {
	NOT_USED_BOOL("receive", config_afi_safi), NOT_USED_NUMBER("sendMax", config_afi_safi)};
static const struct config_record add_path_record =
	RECORD(CONFIG_OTHER, config_afi_safi, add_path_fields);
static const struct config_field add_paths_fields[] = {
	OPENELB_MAP("config", add_path_record, NOT_USED)};
static const struct config_record add_paths_record =
	RECORD(CONFIG_OTHER, config_afi_safi, add_paths_fields);
static const struct config_field afi_safi_fields[] = {
	OPENELB_MAP("config", family_config_record, "a family of addresses"),
	OPENELB_MAP("mpGracefulRestart", mp_restart_record, NOT_USED),
	OPENELB_MAP("addPaths", add_paths_record, NOT_USED),
};
static const struct config_record afi_safi_record =
	RECORD(CONFIG_OTHER, config_afi_safi, afi_safi_fields);

static const struct config_field bgp_peer_fields[] = {
	{OPENELB("conf", CONFIG_MAP, "the peer"), .flags = CONFIG_REQUIRED, .offset = 0,
		.offset_n = CONFIG_NOWHERE, .record = &peer_conf_record},
	OPENELB_MAP("ebgpMultihop", multihop_record, "over several hops"),
	OPENELB_MAP("timers", timers_record, "timers"),
	OPENELB_MAP("transport", transport_record, "TCP"),
	OPENELB_MAP("gracefulRestart", peer_restart_record, "graceful restart"),
	{OPENELB("afiSafis", CONFIG_LIST, "families of addresses"),
		AT_N(config_bgp_peer, afi_safis, n_afi_safis), .max = MAX_SELECTORS,
		.record = &afi_safi_record},
	{OPENELB("nodeSelector", CONFIG_MAP, "only nodes with these labels connect"),
		AT_N(config_bgp_peer, node_selector, has_node_selector),
		.record = &selector_record},
};
static const struct config_record bgp_peer_record =
	RECORD(CONFIG_OTHER, config_bgp_peer, bgp_peer_fields);

const struct config_field *config_list_field(enum config_record_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(root_fields); i++)
		if (root_fields[i].type == CONFIG_LIST && root_fields[i].record->id == id)
			return &root_fields[i];
	abort(); /* a broken invariant of our own: id is no list of the root */
}

const struct config_record *config_list_record(enum config_record_id id)
{
	return config_list_field(id)->record;
}

const struct config_record *config_root_record(void)
{
	return &root_record;
}

const struct config_record *config_legacy_pool_record(void)
{
	return &legacy_pool_record;
}

const struct config_record *config_eip_record(void)
{
	return &eip_record;
}

const struct config_record *config_bgp_conf_record(void)
{
	return &bgp_conf_record;
}

const struct config_record *config_bgp_peer_record(void)
{
	return &bgp_peer_record;
}
