/* SPDX-License-Identifier: Apache-2.0
 *
 * reason.h - why something is, or is not, announced or allocated: one enum that Events, explain,
 * metrics and status all read.  Pure, header only.
 *
 * Codes where MetalLB has the same meaning are MetalLB's.
 */
#ifndef LBD_REASON_H
#define LBD_REASON_H

#include "base.h"

/* Why a node is drained, as its Lease says it; who reads that tells the remedy by it. */
#define REASON_TEXT_CORDONED "the node is cordoned"
#define REASON_TEXT_STOPPING "lbd is stopping"

/* clang-format off */
#define REASONS(X)                                                                                                   \
	/* announced, or about to be */                                                                              \
	X(OWNER,                "owner",                  "this node owns the address and answers for it")          \
	X(HANDOVER,             "handover",               "this node answers until its successor does")             \
	X(WAITING,              "waiting",                "this node waits for its turn to take the address")       \
	X(PROBING,              "probing",                "this node asks the wire whether the address is free")    \
	/* not announced here */                                                                                     \
	X(NOT_OWNER,            "notOwner",               "another node owns the address")                          \
	X(NO_OWNER,             "noOwner",                "no node is known to answer for the address")             \
	X(NO_ADVERTISEMENT,     "noMatchingAdvertisement","no layer 2 advertisement selects the pool and this Service on this node") \
	X(BGP_ONLY,             "bgpOnly",                "the address is announced by BGP, not on layer 2")        \
	X(NETWORK_UNAVAILABLE,  "nodeNetworkUnavailable", "the node's condition NetworkUnavailable is True")        \
	X(NODE_EXCLUDED,        "nodeLabeledExcludeBalancers", "the node has the label node.kubernetes.io/exclude-from-external-load-balancers") \
	X(NO_ENDPOINTS,         "noEndpoints",            "the Service has no ready endpoint")                      \
	X(NO_LOCAL_ENDPOINTS,   "noLocalEndpoints",       "externalTrafficPolicy is Local and no ready endpoint is on this node") \
	X(NO_INTERFACE,         "noInterface",            "no usable interface of this node carries the address")   \
	X(NOT_LISTENING,        "notListening",           "lbd does not hear the interface that carries the address yet") \
	X(NO_NODE,              "noNode",                 "this node's Node object was not found")                  \
	X(NOT_SYNCED,           "notSynced",              "the first lists from the API are not complete")          \
	X(DRAINING,             "draining",               "this node is draining")                                  \
	X(CONFLICT,             "conflict",               "a foreign host answers for the address")                 \
	X(DOUBLE_ALLOCATION,    "doubleAllocation",       "another Service held the address first")                 \
	X(IP_NOT_ALLOWED,       "ipNotAllowed",           "the address in the Service's status is in no pool")      \
	X(NODE_ADDRESS,         "nodeAddress",            "the address is a node's own, which answers for it itself") \
	X(NO_IP,                "noIPAllocated",          "the Service has no address yet")                         \
	X(NOT_SERVED,           "protocolNotServed",      "this kind of announcement is not served by this version")\
	X(NO_SESSION,           "noBGPSession",           "no BGP session is up on a node that may announce the address") \
	X(DRY_RUN,              "dryRun",                 "lbd runs with --dry-run")                                \
	/* not allocated */                                                                                          \
	X(ALLOCATED,            "allocated",              "an address was given")                                   \
	X(NOT_LOAD_BALANCER,    "notLoadBalancer",        "the Service's type is not LoadBalancer")                 \
	X(OTHER_CLASS,          "otherClass",             "the Service's loadBalancerClass is not served here")     \
	X(CLASSLESS,            "classless",              "the Service has no loadBalancerClass, and only those that have one are served") \
	X(IGNORED,              "ignored",                "the Service carries lbd.io/ignore")                      \
	X(DELETED,              "serviceDeleted",         "the Service is being deleted")                           \
	X(NO_POOL,              "noPool",                 "no pool is configured")                                  \
	X(NO_FITTING_POOL,      "noFittingPool",          "no pool with automatic assignment admits this Service")  \
	X(POOL_UNKNOWN,         "poolUnknown",            "the requested pool does not exist")                      \
	X(POOL_NOT_ADMITTED,    "poolNotAdmitted",        "the requested pool does not admit this Service")         \
	X(POOL_EXHAUSTED,       "poolExhausted",          "every address of the fitting pools is in use")           \
	X(BAD_REQUEST,          "badRequest",             "the requested addresses cannot be understood")           \
	X(REQUEST_CONFLICT,     "requestConflict",        "two fields or annotations request different things")     \
	X(NOT_IN_POOL,          "requestNotInPool",       "the requested address is in no pool")                    \
	X(IN_USE,               "addressInUse",           "the requested address is used by another Service")       \
	X(SHARING_REFUSED,      "sharingRefused",         "the requested address cannot be shared")                 \
	X(FAMILY_MISMATCH,      "familyMismatch",         "the requested addresses do not fit the Service's IP families") \
	X(NO_CLUSTER_IP,        "noClusterIP",            "the Service has no cluster IP to load-balance to")       \
	X(NAMESPACE_UNKNOWN,    "namespaceUnknown",       "the labels of the Service's namespace, which decide about its pool, are not known yet") \
	X(NAMESPACES_FORBIDDEN, "namespacesForbidden",    "the pool selects namespaces by their labels, which lbd may not read") \
	X(STATUS_CONTESTED,     "statusContested",        "another program writes this Service's status, too: it is corrected every 10 minutes only") \
	X(NO_AVAILABLE_NODE,    "noAvailableNode",        "no node can serve this Service at its own address")      \
	X(PORT_TAKEN,           "portTaken",              "another Service has a port of this one on every node")   \
	X(OUT_OF_MEMORY,        "outOfMemory",            "out of memory; tried again later")                      \
	/* decided, or waiting for somebody to decide */                                                             \
	X(NO_LEADER,            "noLeader",               "no node allocates addresses: nobody holds the Lease lbd-leader") \
	X(WRITING,              "beingWritten",           "an address is decided and being written to the Service's status") \
	X(NOT_WRITTEN,          "notWritten",             "an address is decided, but the API server does not take it into the Service's status")
/* clang-format on */

enum reason {
#define X(id, code, text) REASON_##id,
	REASONS(X)
#undef X
		REASON_COUNT
};

/* The stable machine name, camelCase. */
static inline const char *reason_code(enum reason r)
{
	static const char *const code[] = {
#define X(id, code, text) code,
		REASONS(X)
#undef X
	};

	REQUIRE((unsigned)r < REASON_COUNT);
	return code[r];
}

/* A sentence for a person, no final stop. */
static inline const char *reason_text(enum reason r)
{
	static const char *const text[] = {
#define X(id, code, text) text,
		REASONS(X)
#undef X
	};

	REQUIRE((unsigned)r < REASON_COUNT);
	return text[r];
}

#endif
