/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor.h - what was read of a host, its configuration and its API server -> findings, each with
 * what to do.  Pure.
 */
#ifndef LBD_DOCTOR_H
#define LBD_DOCTOR_H

#include "addr.h"
#include "base.h"
#include "buf.h"
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in one place: what is over them is not looked at. */
enum {
	DOCTOR_MAX_IFACES = 256,
	DOCTOR_MAX_ROUTES = 4096,
	DOCTOR_MAX_OWN = 1024,
	DOCTOR_MAX_PORTS = 64,
	DOCTOR_MAX_RIVALS = 32,
	DOCTOR_MAX_RIGHTS = 64,
	DOCTOR_MAX_NETS = 1024,
	DOCTOR_NAMED_NODES = 3,
	DOCTOR_MAX_VIPS = 64, /* that are asked for on the wire */
	DOCTOR_MAX_FINDINGS = 256,
	DOCTOR_NAME = 16, /* an interface's, a process's */
	DOCTOR_TEXT = 400,
};

enum doctor_known { DOCTOR_UNKNOWN, DOCTOR_NO, DOCTOR_YES };

/* -- what was read -- */
struct doctor_iface {
	char name[DOCTOR_NAME];
	bool up, ethernet, wireless, enslaved;
	int arp_ignore, arp_announce, rp_filter; /* -1 = not known */
};

struct doctor_route {
	char iface[DOCTOR_NAME];
	struct addr_prefix to;
	bool on_link; /* to is a subnet of the interface */
};

struct doctor_port {
	bool tcp;
	uint16_t port;
	bool ours;                 /* lbd has it */
	char program[DOCTOR_NAME]; /* "" = not known */
};

/* Another load balancer. */
struct doctor_rival {
	char name[64];             /* "process speaker", "DaemonSet kube-system/svclb-web-1234" */
	const char *product, *fix; /* static */
	bool fails;                /* it answers for the same addresses; else it might */
};

struct doctor_host {
	char root[64];                                      /* "" = this host's own */
	struct doctor_iface all, ifaces[DOCTOR_MAX_IFACES]; /* all: net.ipv4.conf.all */
	size_t n_ifaces;
	struct doctor_route routes[DOCTOR_MAX_ROUTES];
	size_t n_routes;
	struct addr own[DOCTOR_MAX_OWN];
	size_t n_own;
	struct doctor_port ports[DOCTOR_MAX_PORTS];
	size_t n_ports;
	bool has_routes, has_ports, has_own;
	enum doctor_known daemon; /* does lbd run here? */
	bool has_caps;
	uint64_t caps;               /* the daemon's, else those that a process here could have */
	enum doctor_known real_time; /* has the daemon that? */
};

enum doctor_verdict { DOCTOR_CANNOT_TELL, DOCTOR_OPEN, DOCTOR_DROPPED };
enum doctor_packet { DOCTOR_BGP, DOCTOR_BFD, DOCTOR_BFD_MULTIHOP, DOCTOR_PACKETS };

struct doctor_firewall {
	bool firewalld, ufw; /* they run */
	const char *program; /* static: whose rules were read; NULL = nobody's */
	const char *why;     /* static: why there are none */
	enum doctor_verdict verdict[DOCTOR_PACKETS];
};

struct doctor_right {
	char text[192]; /* "list services" */
	enum doctor_known allowed;
};

enum doctor_api_state {
	DOCTOR_API_NOT_ASKED,
	DOCTOR_API_NO_CREDENTIALS,
	DOCTOR_API_UNREACHABLE,
	DOCTOR_API_REFUSED, /* 401 */
	DOCTOR_API_ANSWERED,
};

struct doctor_api {
	enum doctor_api_state state;
	char where[192], err[DOCTOR_TEXT], version[32];
	bool has_skew;
	int64_t skew_ms; /* of this clock: > 0 = ahead of the server's */
	struct doctor_right rights[DOCTOR_MAX_RIGHTS];
	size_t n_rights;
	enum doctor_known daemonsets_listed;
	enum doctor_known ipvs, strict_arp;       /* as kube-proxy's ConfigMap has it */
	struct addr_prefix nets[DOCTOR_MAX_NETS]; /* of pods */
	size_t n_nets;
	enum doctor_known node_there; /* that of facts.node */
	char nodes[DOCTOR_NAMED_NODES][CONFIG_MAX_NAME + 1];
	size_t n_nodes; /* those that are not in nodes, too; 0 = not known, or none */
	bool has_kubernetes_ip;
	struct addr kubernetes_ip; /* of the Service kubernetes: one of the Services' network */
};

/* A client's certificate or its authority's, of the kubeconfig. */
struct doctor_certs {
	bool known;
	int64_t now_s;                        /* this host's wall clock, Unix seconds */
	int64_t from_s, until_s;              /* the latest, the earliest of all */
	const char *from_whose, *until_whose; /* static: "client certificate" */
};

struct doctor_answer {
	struct addr ip;
	uint8_t mac[6];
	char iface[DOCTOR_NAME];
};

struct doctor_wire {
	const char *why;        /* static: why nothing was asked; NULL = it was */
	size_t n_asked, n_left; /* addresses; those over the limit, or off every subnet */
	struct doctor_answer foreign[DOCTOR_MAX_VIPS];
	size_t n_foreign;
	struct addr vips[DOCTOR_MAX_VIPS];
	size_t n_vips;
	char node[CONFIG_MAX_NAME + 1]; /* by which the daemon goes; "" = not known */
};

struct doctor_facts {
	struct doctor_host host;
	struct doctor_firewall firewall;
	struct doctor_rival rivals[DOCTOR_MAX_RIVALS];
	size_t n_rivals;
	struct doctor_api api;
	struct doctor_certs certs;
	struct doctor_wire wire;
	char node[CONFIG_MAX_NAME + 1]; /* by which lbd goes here; "" = not known */
	const char *config_path; /* NULL = there is none */
	char config_error[DOCTOR_TEXT];
	const struct config *conf; /* borrowed; NULL = none, or a bad one */
};

/* -- what is found -- */
enum doctor_severity { DOCTOR_FAIL, DOCTOR_WARN, DOCTOR_SKIP, DOCTOR_OK };

struct doctor_finding {
	const char *id; /* static, stable: "strict-arp" */
	enum doctor_severity severity;
	char what[DOCTOR_TEXT]; /* printable ASCII: what is */
	char fix[DOCTOR_TEXT];  /* what to do; "" = nothing */
};

struct doctor_report {
	struct doctor_finding v[DOCTOR_MAX_FINDINGS], spare;
	size_t n;
	const char *id; /* of the check that runs */
};

/* Runs every check: r is emptied first.  Each says something of its id at least once. */
void doctor_examine(const struct doctor_facts *f, struct doctor_report *r);
/* Is there anything to do? */
bool doctor_has_finding(const struct doctor_report *r);
/* For a person, 80 columns wide: what is wrong comes first. */
void doctor_text(const struct doctor_report *r, struct buf *out);
/* The same as JSON, one object. */
void doctor_json(const struct doctor_report *r, struct buf *out);

/* -- for the checks -- */
/* The next finding, of the running check; it is never NULL: one too many is written over. */
struct doctor_finding *doctor_add(struct doctor_report *r, enum doctor_severity severity,
	const char *fmt, ...) PRINTF_LIKE(3, 4);
void doctor_fix(struct doctor_finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct doctor_check {
	const char *id;
	void (*fn)(const struct doctor_facts *f, struct doctor_report *r);
};
extern const struct doctor_check doctor_host_checks[], doctor_conf_checks[], doctor_api_checks[];

/* Notes another load balancer by the name of a process or a DaemonSet; false: it is none. */
bool doctor_rival_by_process(struct doctor_facts *f, const char *comm);
bool doctor_rival_by_object(
	struct doctor_facts *f, const char *kind, const char *namespace_, const char *name);
/* Is a one of the addresses in service that the daemon named? */
bool doctor_is_vip(const struct doctor_wire *w, struct addr a);

#endif
