/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h - the typed picture of the cluster: Services, Nodes, endpoints, Leases, Namespaces.
 * Pure.
 *
 * Objects arrive as cJSON trees of the Kubernetes API, hostile until decoded; only the fields that
 * lbd uses are kept, each object in one block of memory of exactly its size, bounded.  Pointers
 * that the picture hands out, and those in a view, stay valid until the object is put or deleted
 * again.  Consumers learn
 * of changes through the dirty list (Services) and the generation numbers (the rest).
 */
#ifndef LBD_CLUSTER_H
#define LBD_CLUSTER_H

#include "addr.h"
#include "base.h"
#include "condition.h"
#include "counter.h"
#include "hash.h"
#include "label.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Limits, in one place: an object over one of them is refused as a bad object. */
enum {
	CLUSTER_MAX_SERVICES = 65536,
	CLUSTER_MAX_NODES = 5000,
	CLUSTER_MAX_SLICES = 131072,
	CLUSTER_MAX_LEASES = 3 * CLUSTER_MAX_NODES,
	CLUSTER_MAX_NAMESPACES = 16384,
	CLUSTER_MAX_PORTS = 1024,         /* a Service */
	CLUSTER_MAX_INGRESS = 64,         /* a Service */
	CLUSTER_MAX_LABELS = 512,         /* an object */
	CLUSTER_MAX_OBJECT = 512 * 1024,  /* bytes that a decoded object may take */
	CLUSTER_MAX_CLAIMS = 128 * 1024,  /* bytes of the claims annotation */
	CLUSTER_MAX_RETIRED = 192 * 1024, /* bytes of the annotation lbd.io/retired */
	CLUSTER_MAX_NAME = 253,           /* a namespace, a name: RFC 1123 subdomains */
	CLUSTER_MAX_KEY = 2 * CLUSTER_MAX_NAME + 1,
};

enum cluster_kind {
	CLUSTER_SERVICE,
	CLUSTER_NODE,
	CLUSTER_ENDPOINT_SLICE, /* discovery.k8s.io v1 or v1beta1 */
	CLUSTER_ENDPOINTS,      /* core v1, on servers without EndpointSlices */
	CLUSTER_LEASE,
	CLUSTER_NAMESPACE, /* watched only while a configuration selects by their labels */
	CLUSTER_KINDS
};

enum cluster_protocol { CLUSTER_TCP, CLUSTER_UDP, CLUSTER_SCTP, CLUSTER_OTHER };

struct cluster_port {
	enum cluster_protocol protocol : 16;
	uint16_t port;
};

/* What the annotations (lbd.io and their synonyms) ask for, as text; NULL = not set. */
struct cluster_request {
	const char *ips;  /* .../loadBalancerIPs, kube-vip.io/loadbalancerIPs, OpenELB v1alpha1 */
	const char *pool; /* .../address-pool, OpenELB v1alpha2 */
	const char *sharing_key; /* .../allow-shared-ip */
	const char *protocol;    /* OpenELB's protocol annotation */
	/* NULL, or "A and B" when two synonyms are set and disagree.  spec.loadBalancerIP is none
	 * of them: service_request() compares it, by address. */
	const char *conflict;
	/* Which of the synonyms ips, pool and sharing_key were read from: cluster_asked_by(). */
	unsigned ips_by : 3, pool_by : 2, sharing_by : 2;
	bool ignore;  /* lbd.io/ignore */
	bool openelb; /* lb.kubesphere.io/v1alpha1: openelb */
};

enum cluster_ip_family_policy { CLUSTER_SINGLE_STACK, CLUSTER_PREFER_DUAL, CLUSTER_REQUIRE_DUAL };

struct copy; /* copy.h */

/* A view: the picture packs its Services, and unpacks one for whoever asks.  Of a Service that is
 * not a LoadBalancer only key to announced, and pool_written, are kept, the rest is empty. */
struct cluster_service {
	struct copy *copy; /* that all below is borrowed from; NULL = not from the picture */
	const char *key;   /* "namespace/name" */
	const char *namespace_, *name, *uid, *resource_version;
	int64_t created_s; /* creationTimestamp, seconds since 1970; 0 = unknown */
	bool deleting;     /* has a deletionTimestamp */
	bool is_load_balancer;
	bool local;                /* externalTrafficPolicy: Local */
	bool has_cluster_ip;       /* false for headless and not yet given */
	bool ingress_foreign;      /* an ingress entry is a host name or not an address */
	bool ingress_not_vip_mode; /* an entry's ipMode is set and not VIP */
	struct condition_mark announced; /* status.conditions, CONDITION_TYPE */
	uint16_t n_ingress, n_ports, n_families;
	/* Addresses in status.loadBalancer.ingress[].ip, in order, no duplicates. */
	const struct addr *ingress;
	enum cluster_ip_family_policy family_policy;
	enum addr_family
		families[2]; /* spec.ipFamilies, or those of the cluster IPs on old servers */
	const struct cluster_port *ports;
	const char *class_;           /* loadBalancerClass; NULL = none */
	const char *load_balancer_ip; /* spec.loadBalancerIP; NULL or "" = none */
	struct cluster_request request;
	/* Labels that Kubernetes would not accept for their length are left out. */
	struct labels labels;
	/* Canonical text of spec.selector ("k=v,k=v" sorted), "" = none, or not Local. */
	const char *backend_key;
	const char *pool_written; /* lbd.io/ip-allocated-from-pool; NULL = none */
};

struct cluster_node {
	const char *name, *uid, *resource_version;
	struct labels labels;
	bool network_unavailable; /* condition NetworkUnavailable is True */
	bool ready, unschedulable;
	bool excluded; /* node.kubernetes.io/exclude-from-external-load-balancers is present */
	const struct addr *internal_ips, *external_ips;
	size_t n_internal_ips, n_external_ips;
};

enum cluster_lease_role {
	CLUSTER_LEASE_LEADER,
	CLUSTER_LEASE_NODE,
	CLUSTER_LEASE_CLAIMS,
	CLUSTER_LEASE_RETIRED, /* addresses that are kept: retired.h */
	CLUSTER_LEASE_OTHER
};

/* In the place of a text that is refused for its length: no claims, and not "none" either. */
#define CLUSTER_CLAIMS_TOO_LONG "?"

/* A coordination.k8s.io/v1 Lease with label lbd.io/lease.  renewTime is another host's clock: kept
 * as text, to be compared for change only. */
struct cluster_lease {
	const char *name, *uid, *resource_version;
	enum cluster_lease_role role;
	const char *node;   /* annotation lbd.io/node, else the <node> of lbd-node-<node>; NULL for
			       the leader's */
	const char *holder; /* spec.holderIdentity, "" when released */
	uint64_t duration_ms;                  /* spec.leaseDurationSeconds; 0 = absent */
	const char *renew_time, *acquire_time; /* NULL = absent */
	int64_t transitions;
	/* annotations lbd.io/...; NULL = absent */
	const char *schema, *version, *config_hash, *addresses, *macs, *subnets, *bfd, *draining;
	const char *claims;  /* claims_parse(); of what is over CLUSTER_MAX_CLAIMS there is only
				CLUSTER_CLAIMS_TOO_LONG */
	const char *move;    /* "ADDRESS=NODE": offered to that node alone */
	const char *retired; /* retired_on_lease() */
	uint64_t claims_generation;
};

struct cluster_namespace {
	const char *name, *resource_version;
	/* With kubernetes.io/metadata.name, which servers before Kubernetes 1.21 do not set. */
	struct labels labels;
	/* cluster_namespaces_generation() at the last change of its labels. */
	uint64_t generation;
};

struct cluster; /* opaque */

/* hkey is copied.  NULL when out of memory. */
struct cluster *cluster_new(const struct hash_key *hkey, struct counters *counters) MUST_CHECK;
void cluster_free(struct cluster *c);

enum cluster_event { CLUSTER_PUT, CLUSTER_DELETE }; /* ADDED and MODIFIED are PUT */

/* Called from cluster_apply(), cluster_list_end() and cluster_forget() after a Lease was put with a
 * difference (l), or when it is about to be deleted.  It must not change the picture. */
typedef void (*cluster_lease_fn)(void *ctx, const struct cluster_lease *l, bool deleted);
void cluster_on_lease(struct cluster *c, cluster_lease_fn fn, void *ctx);

/* Takes one object in.  obj stays the caller's.  0; -EBADMSG: it cannot be understood (counted;
 * what was known of it before stays); -E2BIG: over a limit; -ENOMEM.  An object equal in
 * resourceVersion to what is known is not dirty. */
int cluster_apply(struct cluster *c, enum cluster_kind kind, enum cluster_event event,
	const cJSON *obj) MUST_CHECK;

/* A full list: begin, apply each object, end.  End deletes what the list did not hold; abort
 * deletes nothing.  An object that is refused counts as held; after one whose very name could not
 * be read, or when memory ran out, end deletes nothing either. */
void cluster_list_begin(struct cluster *c, enum cluster_kind kind);
void cluster_list_end(struct cluster *c, enum cluster_kind kind);
void cluster_list_abort(struct cluster *c, enum cluster_kind kind);
/* Forgets all objects of a kind (an EndpointSlice API that went away). */
void cluster_forget(struct cluster *c, enum cluster_kind kind);

/* -- a dry run -- */
/* What a write of a Service's status would make of it. */
struct cluster_supposed {
	const struct addr *ips;
	uint16_t n_ips;
	const char *pool;    /* lbd.io/ip-allocated-from-pool; NULL = none */
	const char *version; /* resourceVersion: another than before */
};
/* Until the API shows the Service anew it is in the picture as if that had been written.  0,
 * -ENOENT or -ENOMEM. */
int cluster_suppose(
	struct cluster *c, const char *key, const struct cluster_supposed *st) MUST_CHECK;

/* -- reading -- */
/* false when there is none; ret_s may be NULL. */
bool cluster_service(const struct cluster *c, const char *key, struct cluster_service *ret_s);
const struct cluster_node *cluster_node(const struct cluster *c, const char *name);
const struct cluster_lease *cluster_lease(const struct cluster *c, const char *name);
const struct cluster_namespace *cluster_namespace(const struct cluster *c, const char *name);
size_t cluster_count(const struct cluster *c, enum cluster_kind kind);
/* Iteration in order of insertion; NULL (of Services: a view that is all zero) starts, NULL (false)
 * ends.  The picture must not change meanwhile. */
bool cluster_next_service(const struct cluster *c, struct cluster_service *io_s);
const struct cluster_node *cluster_next_node(const struct cluster *c, const struct cluster_node *n);
const struct cluster_lease *cluster_next_lease(
	const struct cluster *c, const struct cluster_lease *l);
/* Is it a Node's InternalIP or ExternalIP?  Looks at all Nodes. */
bool cluster_is_node_address(const struct cluster *c, struct addr a);
/* One more each time any Node (Lease) is put with a difference or deleted. */
uint64_t cluster_nodes_generation(const struct cluster *c);
/* One more each time a Namespace is new, or has other labels. */
uint64_t cluster_namespaces_generation(const struct cluster *c);

/* Ready endpoints of a Service: total, and on one node (node NULL: 0). An endpoint counts when
 * ready is true or absent (discovery/v1), and when serving while terminating if none is ready: in
 * all, or on that node (kube-proxy's rule, KEP-1669).  EndpointSlices are counted when any is
 * known, else Endpoints. */
struct cluster_endpoints {
	unsigned ready, ready_on_node;
};
struct cluster_endpoints cluster_endpoints(
	const struct cluster *c, const char *service_key, const char *node);

/* Each node on which a Service has endpoints ("": not said), once a slice: are there ready ones, are
 * there terminating ones that serve? */
typedef void (*cluster_share_fn)(void *ctx, const char *node, bool ready, bool serving);
void cluster_each_share(
	const struct cluster *c, const char *service_key, cluster_share_fn fn, void *ctx);

/* -- what changed since the last cluster_clean(): Services put with a difference or deleted, and
 * those of type LoadBalancer whose endpoints changed in number or place -- */
/* key stays valid until the Service is put again, or cluster_clean(). */
struct cluster_dirty {
	const char *key;
	bool gone; /* cluster_service() is false */
};
size_t cluster_dirty_count(const struct cluster *c);
/* i-th of the dirty list, in order of first change. */
struct cluster_dirty cluster_dirty_at(const struct cluster *c, size_t i);
void cluster_clean(struct cluster *c);

#endif
