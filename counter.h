/* SPDX-License-Identifier: Apache-2.0
 *
 * counter.h - every counter of lbd in one table: name, labels, help; every histogram in another.
 * Pure, header only.
 *
 * A row is one time series: rows with equal names differ in their labels.  Values
 * that depend on objects (per VIP, per pool) are read from the state when asked for, not kept here.
 * The names follow Prometheus's conventions (_total, base units).
 */
#ifndef LBD_COUNTER_H
#define LBD_COUNTER_H

#include "histogram.h"

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* X(id, name, labels, help) */
#define COUNTERS(X)                                                                                                    \
	X(ARP_REQUESTS,        "lbd_arp_requests_received_total", "",             "ARP requests for announced addresses") \
	X(ARP_REPLIES,         "lbd_arp_replies_sent_total",      "",             "ARP replies sent")                     \
	X(ARP_ANNOUNCEMENTS,   "lbd_arp_announcements_sent_total","",             "gratuitous ARP frames sent")           \
	X(ARP_PROBES,          "lbd_arp_probes_sent_total",       "",             "RFC 5227 probes sent")                 \
	X(ARP_INTRODUCTIONS,   "lbd_arp_introductions_sent_total","",             "requests in an address's name to stations that had asked for it") \
	X(ARP_SEND_ERRORS,     "lbd_arp_send_errors_total",       "",             "ARP frames the kernel did not take")   \
	X(ARP_CLAIMS_HEARD,    "lbd_arp_claims_heard_total",      "",             "announcements of our addresses by other hosts") \
	X(ARP_SENDER_IS_VIP,   "lbd_arp_sender_is_vip_total",     "",             "ordinary ARP frames with an announced address as sender (kube-proxy in IPVS mode without strictARP?)") \
	X(ARP_DEFENCES,        "lbd_arp_defences_sent_total",     "",             "announcements sent against a foreign claim") \
	X(ARP_DROP_SHORT,      "lbd_arp_frames_dropped_total", "reason=\"short\"",    "ARP frames not used")              \
	X(ARP_DROP_FORMAT,     "lbd_arp_frames_dropped_total", "reason=\"format\"",   "ARP frames not used")              \
	X(ARP_DROP_ETHERTYPE,  "lbd_arp_frames_dropped_total", "reason=\"ethertype\"","ARP frames not used")              \
	X(ARP_DROP_SENDER,     "lbd_arp_frames_dropped_total", "reason=\"sender\"",   "ARP frames not used")              \
	X(ARP_DROP_OWN,        "lbd_arp_frames_dropped_total", "reason=\"own\"",      "ARP frames not used")              \
	X(ARP_DROP_IFACE,      "lbd_arp_frames_dropped_total", "reason=\"interface\"","ARP frames not used")              \
	X(BFD_SENT,            "lbd_bfd_packets_sent_total",      "",             "BFD packets sent")                     \
	X(BFD_RECEIVED,        "lbd_bfd_packets_received_total",  "",             "BFD packets of known sessions")        \
	X(BFD_SEND_ERRORS,     "lbd_bfd_send_errors_total",       "",             "BFD packets the kernel did not take")  \
	X(BFD_SOCKET_ERRORS,   "lbd_bfd_socket_errors_total",     "",             "times a BFD socket could not be opened") \
	X(BFD_DETECTED,        "lbd_bfd_sessions_lost_total",     "",             "BFD sessions that were up and fell silent") \
	X(BFD_DROP_LENGTH,     "lbd_bfd_packets_dropped_total", "reason=\"length\"", "BFD packets not used") \
	X(BFD_DROP_VERSION,    "lbd_bfd_packets_dropped_total", "reason=\"version\"", "BFD packets not used") \
	X(BFD_DROP_MULTIPLIER, "lbd_bfd_packets_dropped_total", "reason=\"multiplier\"", "BFD packets not used") \
	X(BFD_DROP_MULTIPOINT, "lbd_bfd_packets_dropped_total", "reason=\"multipoint\"", "BFD packets not used") \
	X(BFD_DROP_DISCRIMINATOR,"lbd_bfd_packets_dropped_total", "reason=\"discriminator\"", "BFD packets not used") \
	X(BFD_DROP_STATE,      "lbd_bfd_packets_dropped_total", "reason=\"state\"", "BFD packets not used") \
	X(BFD_DROP_SESSION,    "lbd_bfd_packets_dropped_total", "reason=\"session\"", "BFD packets not used") \
	X(BFD_DROP_PATH,       "lbd_bfd_packets_dropped_total", "reason=\"path\"", "BFD packets not used") \
	X(BFD_DROP_TTL,        "lbd_bfd_packets_dropped_total", "reason=\"ttl\"", "BFD packets not used") \
	X(BFD_DROP_AUTH,       "lbd_bfd_packets_dropped_total", "reason=\"auth\"", "BFD packets not used") \
	X(BFD_DROP_AUTH_TYPE,  "lbd_bfd_packets_dropped_total", "reason=\"authType\"", "BFD packets not used") \
	X(BFD_DROP_KEY,        "lbd_bfd_packets_dropped_total", "reason=\"key\"", "BFD packets not used") \
	X(BFD_DROP_SEQUENCE,   "lbd_bfd_packets_dropped_total", "reason=\"sequence\"", "BFD packets not used") \
	X(BFD_DROP_DIGEST,     "lbd_bfd_packets_dropped_total", "reason=\"digest\"", "BFD packets not used") \
	X(NDP_REQUESTS,       "lbd_ndp_solicitations_received_total", "", "neighbor solicitations for announced addresses") \
	X(NDP_REPLIES,        "lbd_ndp_advertisements_sent_total", "", "neighbor advertisements sent in answer") \
	X(NDP_ANNOUNCEMENTS,  "lbd_ndp_announcements_sent_total", "", "unsolicited neighbor advertisements sent") \
	X(NDP_PROBES,         "lbd_ndp_probes_sent_total", "", "DAD and NUD probes sent") \
	X(NDP_INTRODUCTIONS,  "lbd_ndp_introductions_sent_total", "", "solicitations in an address's name to stations that had asked for it") \
	X(NDP_SEND_ERRORS,    "lbd_ndp_send_errors_total", "", "NDP frames the kernel did not take") \
	X(NDP_CLAIMS_HEARD,   "lbd_ndp_claims_heard_total", "", "announcements of our addresses by other hosts") \
	X(NDP_SENDER_IS_VIP,  "lbd_ndp_sender_is_vip_total", "", "ordinary solicitations with an announced address as sender") \
	X(NDP_DEFENCES,       "lbd_ndp_defences_sent_total", "", "announcements sent against a foreign claim") \
	X(NDP_DROP_SHORT,     "lbd_ndp_frames_dropped_total", "reason=\"short\"", "NDP frames not used") \
	X(NDP_DROP_FORMAT,    "lbd_ndp_frames_dropped_total", "reason=\"format\"", "NDP frames not used") \
	X(NDP_DROP_HOPS,      "lbd_ndp_frames_dropped_total", "reason=\"hopLimit\"", "NDP frames not used") \
	X(NDP_DROP_CHECKSUM,  "lbd_ndp_frames_dropped_total", "reason=\"checksum\"", "NDP frames not used") \
	X(NDP_DROP_OPTIONS,   "lbd_ndp_frames_dropped_total", "reason=\"options\"", "NDP frames not used") \
	X(NDP_DROP_SENDER,    "lbd_ndp_frames_dropped_total", "reason=\"sender\"", "NDP frames not used") \
	X(NDP_DROP_OWN,       "lbd_ndp_frames_dropped_total", "reason=\"own\"", "NDP frames not used") \
	X(NDP_DROP_IFACE,     "lbd_ndp_frames_dropped_total", "reason=\"interface\"", "NDP frames not used") \
	X(NET_CAPTURE_DROPS,   "lbd_capture_drops_total",         "",             "frames the capture rings lost")        \
	X(NET_NETLINK_OVERRUN, "lbd_netlink_overruns_total",      "",             "netlink socket overruns, each followed by a fresh dump") \
	X(API_REQUESTS,        "lbd_api_requests_total",   "",                    "requests sent to the API server")      \
	X(API_ERRORS,          "lbd_api_errors_total",     "reason=\"transport\"","requests to the API server that failed") \
	X(API_STATUS_4XX,      "lbd_api_errors_total",     "reason=\"4xx\"",      "requests to the API server that failed") \
	X(API_STATUS_403,      "lbd_api_errors_total",     "reason=\"403\"",      "requests to the API server that failed") \
	X(API_STATUS_409,      "lbd_api_errors_total",     "reason=\"409\"",      "requests to the API server that failed") \
	X(API_STATUS_429,      "lbd_api_errors_total",     "reason=\"429\"",      "requests to the API server that failed") \
	X(API_STATUS_5XX,      "lbd_api_errors_total",     "reason=\"5xx\"",      "requests to the API server that failed") \
	X(API_TOO_LATE,        "lbd_api_writes_too_late_total", "",               "writes not sent because their deadline had passed") \
	X(API_BAD_BODY,        "lbd_api_errors_total",     "reason=\"body\"",     "requests to the API server that failed") \
	X(TLS_ERRORS,          "lbd_tls_errors_total",     "",                    "TLS handshakes and records that failed") \
	X(WATCH_LISTS,         "lbd_watch_lists_total",    "",                    "full lists read from the API server")  \
	X(WATCH_OPENS,         "lbd_watch_opens_total",    "",                    "watches opened")                       \
	X(WATCH_EVENTS,        "lbd_watch_events_total",   "",                    "watch events received, bookmarks left out") \
	X(WATCH_BOOKMARKS,     "lbd_watch_bookmarks_total","",                    "bookmarks received")                   \
	X(WATCH_EXPIRED,       "lbd_watch_expired_total",  "",                    "watches ended by 410")                 \
	X(WATCH_BAD_OBJECTS,   "lbd_watch_bad_objects_total", "",                 "objects from the API that could not be understood") \
	X(EVENTS_SENT,         "lbd_events_sent_total",    "",                    "Kubernetes Events written")            \
	X(EVENTS_DROPPED,      "lbd_events_dropped_total", "",                    "Kubernetes Events dropped by the rate limit") \
	X(ALLOCATIONS,         "lbd_allocations_total",    "result=\"allocated\"","decisions of the allocator")           \
	X(ALLOC_REFUSED,       "lbd_allocations_total",    "result=\"refused\"",  "decisions of the allocator")           \
	X(ALLOC_ADOPTED,       "lbd_allocations_total",    "result=\"adopted\"",  "decisions of the allocator")           \
	X(ALLOC_RELEASED,      "lbd_allocations_total",    "result=\"released\"", "decisions of the allocator")           \
	X(STATUS_WRITES,       "lbd_status_writes_total",  "",                    "Service status writes that the API took") \
	X(STATUS_CONTESTED,    "lbd_status_contested_total", "",                  "times another program was found to write a Service's status again and again") \
	X(CONDITION_WRITES,    "lbd_condition_writes_total", "",                  "writes of a Service's condition lbd.io/Announced that the API took") \
	X(CONDITIONS_HELD,     "lbd_conditions_held_total", "",                   "times a Service's condition was left as it was for a while, because it had been written often") \
	X(POOL_STATUS_WRITES,  "lbd_pool_status_writes_total", "",                "status writes of pool objects that the API took") \
	X(LEASE_WRITES,        "lbd_lease_writes_total",   "",                    "Lease writes that the API took")       \
	X(LEADER_TERMS,        "lbd_leader_terms_total",   "",                    "times this node became leader")        \
	X(VIP_TAKES,           "lbd_vip_takes_total",      "",                    "addresses taken into ownership")       \
	X(VIP_YIELDS,          "lbd_vip_yields_total",     "",                    "addresses given up to another node")   \
	X(LOOP_STALLS,         "lbd_loop_stalls_total",    "",                    "stalls of the event loop that fenced ownership") \
	X(CONFIG_RELOADS,      "lbd_config_reloads_total", "result=\"ok\"",       "configuration reloads")                \
	X(CONFIG_REJECTED,     "lbd_config_reloads_total", "result=\"rejected\"", "configuration reloads")                \
	X(CONTROL_REQUESTS,    "lbd_control_requests_total", "",                  "requests on the control socket")         \
	X(HTTP_REQUESTS,       "lbd_http_requests_total",  "",                    "requests on the port for metrics")     \
	X(HTTP_BAD,            "lbd_http_refused_total",   "reason=\"malformed\"", "connections ended on the port for metrics") \
	X(HTTP_SLOW,           "lbd_http_refused_total",   "reason=\"slow\"",      "connections ended on the port for metrics") \
	X(HTTP_CROWDED,        "lbd_http_refused_total",   "reason=\"crowded\"",   "connections ended on the port for metrics")

/* X(id, name, help); in seconds, for Prometheus */
#define HISTOGRAMS(X)                                                                                                  \
	X(FAILOVER, "lbd_failover_seconds", "addresses taken from a node that failed, each group of them once: from the beginning of BFD's suspicion, or without BFD from the last change of its Lease, to the take, which is announced at once") \
	X(API_REQUEST, "lbd_api_request_duration_seconds", "requests to the API server that were sent, watches and lists left out: from being given to a connection to the end of the answer, or to the failure")
/* clang-format on */

enum counter_id {
#define X(id, name, labels, help) COUNTER_##id,
	COUNTERS(X)
#undef X
		COUNTER_COUNT
};

enum histogram_id {
#define X(id, name, help) HISTOGRAM_##id,
	HISTOGRAMS(X)
#undef X
		HISTOGRAM_COUNT
};

struct counters {
	uint64_t v[COUNTER_COUNT];
	struct histogram h[HISTOGRAM_COUNT];
};

struct counter_row {
	const char *name, *labels, *help;
};

static inline const struct counter_row *counter_row(enum counter_id id)
{
	static const struct counter_row row[] = {
#define X(id, name, labels, help) {name, labels, help},
		COUNTERS(X)
#undef X
	};

	return &row[id];
}

static inline const struct counter_row *counter_histogram_row(enum histogram_id id)
{
	static const struct counter_row row[] = {
#define X(id, name, help) {name, "", help},
		HISTOGRAMS(X)
#undef X
	};

	return &row[id];
}

/* c may be NULL: a unit under test needs no table. */
static inline void counter_add(struct counters *c, enum counter_id id, uint64_t n)
{
	if (c != NULL)
		c->v[id] += n;
}

/* That it took so long. */
static inline void counter_took(struct counters *c, enum histogram_id id, uint64_t ms)
{
	if (c != NULL)
		histogram_add(&c->h[id], ms);
}

static inline void counter_inc(struct counters *c, enum counter_id id)
{
	counter_add(c, id, 1);
}

#endif
