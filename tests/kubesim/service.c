/* SPDX-License-Identifier: Apache-2.0
 *
 * service.c - defaults, allocation and validation of Services.
 *
 * In:   a Service from a request, the stored one.
 * Out:  the Service as the API server would store it, or field errors.
 * Sources: pkg/apis/core/v1/defaults.go (SetDefaults_Service),
 * pkg/registry/core/service/strategy.go (dropTypeDependentFields, patchAllocatedValues),
 * validation.go (ValidateService, ValidateLoadBalancerStatus).  Not done: ExternalName's details,
 * sessionAffinityConfig ranges.
 */
#include "admit.h"

#include <stdio.h>
#include <string.h>

static bool type_is(const cJSON *svc, const char *type)
{
	return !strcmp(j_str(svc, "spec.type"), type);
}

static bool needs_cluster_ip(const cJSON *svc)
{
	return !type_is(svc, "ExternalName");
}

static bool needs_node_port(const cJSON *svc)
{
	return type_is(svc, "NodePort") ||
	       (type_is(svc, "LoadBalancer") &&
		       j_bool(svc, "spec.allocateLoadBalancerNodePorts", true));
}

static bool may_node_port(const cJSON *svc)
{
	return type_is(svc, "NodePort") || type_is(svc, "LoadBalancer");
}

static bool is_local(const cJSON *svc)
{
	return may_node_port(svc) && !strcmp(j_str(svc, "spec.externalTrafficPolicy"), "Local");
}

static bool needs_health_port(const cJSON *svc)
{
	return type_is(svc, "LoadBalancer") && is_local(svc);
}

/* -- defaults -- */

static void default_str(cJSON *o, const char *key, const char *value)
{
	if (j_empty(j_get(o, key)))
		j_set_str(o, key, value);
}

static void default_ports(cJSON *spec)
{
	cJSON *port;

	cJSON_ArrayForEach (port, j_get(spec, "ports")) {
		const cJSON *target = j_get(port, "targetPort");

		if (!cJSON_IsObject(port))
			continue;
		default_str(port, "protocol", "TCP");
		if (j_empty(target) || (cJSON_IsNumber(target) && target->valuedouble == 0))
			j_set_num(port, "targetPort", j_num(port, "port", 0));
		if (j_num(port, "nodePort", 1) == 0)
			j_del(port, "nodePort");
	}
}

static void default_ingress(struct admit *a)
{
	cJSON *ingress;

	cJSON_ArrayForEach (ingress, j_at(a->obj, "status.loadBalancer.ingress")) {
		if (a->old_server)
			j_del(ingress, "ipMode");
		else if (j_has_str(ingress, "ip") && type_is(a->obj, "LoadBalancer"))
			default_str(ingress, "ipMode", "VIP");
	}
}

static void default_spec(struct admit *a, cJSON *spec)
{
	default_str(spec, "sessionAffinity", "None");
	default_str(spec, "type", "ClusterIP");
	default_ports(spec);
	if (may_node_port(a->obj))
		default_str(spec, "externalTrafficPolicy", "Cluster");
	if (a->old_server)
		return;
	if (needs_cluster_ip(a->obj))
		default_str(spec, "internalTrafficPolicy", "Cluster");
	if (type_is(a->obj, "LoadBalancer") && !j_get(spec, "allocateLoadBalancerNodePorts"))
		j_set(spec, "allocateLoadBalancerNodePorts", cJSON_CreateTrue());
}

/* What Kubernetes 1.20 did not know, it dropped without a word. */
static void drop_new_fields(cJSON *spec)
{
	static const char *const fields[] = {"loadBalancerClass", "allocateLoadBalancerNodePorts",
		"internalTrafficPolicy", "trafficDistribution", "ipFamilyPolicy", "ipFamilies"};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		j_del(spec, fields[i]);
}

/* -- update: what the type no longer needs goes, what was allocated stays -- */

static bool same(const cJSON *old, const cJSON *now, const char *path)
{
	return j_eq(j_at(old, path), j_at(now, path));
}

/* The field leaves with the type it belonged to, unless the request changed it (an error then). */
static void drop_with_type(struct admit *a, const char *key, bool was, bool is)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "spec.%s", key);
	if (was && !is && same(a->old, a->obj, path))
		j_del(j_get(a->obj, "spec"), key);
}

static bool same_node_ports(const cJSON *old, const cJSON *now)
{
	const cJSON *p, *q;

	cJSON_ArrayForEach (p, j_at(now, "spec.ports")) {
		bool found = !j_nonzero(p, "nodePort");

		cJSON_ArrayForEach (q, j_at(old, "spec.ports")) {
			found = found || j_num(q, "nodePort", 0) == j_num(p, "nodePort", 0);
		}
		if (!found)
			return false;
	}
	return true;
}

static void drop_type_fields(struct admit *a)
{
	cJSON *spec = j_get(a->obj, "spec"), *port;
	bool was_lb = type_is(a->old, "LoadBalancer"), is_lb = type_is(a->obj, "LoadBalancer");

	if (needs_cluster_ip(a->old) && !needs_cluster_ip(a->obj)) {
		drop_with_type(a, "clusterIP", true, false);
		drop_with_type(a, "clusterIPs", true, false);
		drop_with_type(a, "ipFamilies", true, false);
		drop_with_type(a, "ipFamilyPolicy", true, false);
	}
	if (may_node_port(a->old) && !may_node_port(a->obj) && same_node_ports(a->old, a->obj)) {
		cJSON_ArrayForEach (port, j_get(spec, "ports"))
			j_del(port, "nodePort");
	}
	drop_with_type(
		a, "healthCheckNodePort", needs_health_port(a->old), needs_health_port(a->obj));
	drop_with_type(a, "allocateLoadBalancerNodePorts", was_lb, is_lb);
	drop_with_type(a, "loadBalancerClass", was_lb, is_lb);
	drop_with_type(a, "externalTrafficPolicy", may_node_port(a->old), may_node_port(a->obj));
	if (!is_lb && !a->old_server) /* 1.20 left that to the cloud's controller */
		j_set(j_obj(a->obj, "status"), "loadBalancer", cJSON_CreateObject());
}

static double old_node_port(const cJSON *old, const cJSON *port)
{
	const cJSON *q;

	cJSON_ArrayForEach (q, j_at(old, "spec.ports")) {
		if (j_num(q, "port", 0) == j_num(port, "port", -1) &&
			!strcmp(j_str(q, "protocol"), j_str(port, "protocol")))
			return j_num(q, "nodePort", 0);
	}
	return 0;
}

static void keep_allocated(struct admit *a)
{
	cJSON *spec = j_get(a->obj, "spec"), *port;
	static const char *const kept[] = {
		"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};

	if (needs_cluster_ip(a->old) && needs_cluster_ip(a->obj) && !a->old_server) {
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
			if (j_empty(j_get(spec, kept[i])))
				j_copy(spec, j_get(a->old, "spec"), kept[i]);
		}
	}
	if (needs_node_port(a->old) && needs_node_port(a->obj)) {
		cJSON_ArrayForEach (port, j_get(spec, "ports")) {
			double n = old_node_port(a->old, port);

			if (n > 0 && !j_nonzero(port, "nodePort"))
				j_set_num(port, "nodePort", n);
		}
	}
	if (needs_health_port(a->old) && needs_health_port(a->obj) &&
		!j_nonzero(spec, "healthCheckNodePort"))
		j_copy(spec, j_get(a->old, "spec"), "healthCheckNodePort");
}

/* -- allocation, after validation -- */

static void fail(struct admit *a, const char *why)
{
	a->code = 500;
	text_clear(&a->message);
	text_str(&a->message, why);
}

static void allocate_ips(struct admit *a, cJSON *spec)
{
	bool dual = !strcmp(j_str(spec, "ipFamilyPolicy"), "RequireDualStack") ||
		    !strcmp(j_str(spec, "ipFamilyPolicy"), "PreferDualStack");
	cJSON *ips = cJSON_CreateArray(), *families = j_get(spec, "ipFamilies"), *family;
	char ip[64];

	if (j_empty(families)) {
		families = cJSON_CreateArray();
		cJSON_AddItemToArray(families, cJSON_CreateString("IPv4"));
		j_set(spec, "ipFamilies", families);
	}
	if (dual && cJSON_GetArraySize(families) == 1) {
		bool v6 = !strcmp(families->child->valuestring, "IPv6");

		cJSON_AddItemToArray(families, cJSON_CreateString(v6 ? "IPv4" : "IPv6"));
	}
	cJSON_ArrayForEach (family, families) {
		if (!ipam_pick_ip(a->ipam, !strcmp(family->valuestring, "IPv6"), ip, sizeof(ip))) {
			fail(a, "failed to allocate a cluster IP: range is full");
			break;
		}
		cJSON_AddItemToArray(ips, cJSON_CreateString(ip));
	}
	if (ips->child)
		j_set_str(spec, "clusterIP", ips->child->valuestring);
	j_set(spec, "clusterIPs", ips);
}

static void families_of_given_ip(cJSON *spec)
{
	const char *ip = j_str(spec, "clusterIP");
	const char *family = strchr(ip, ':') ? "IPv6" : "IPv4";

	if (j_empty(j_get(spec, "clusterIPs")))
		j_set(spec, "clusterIPs", j_strings(&ip, 1));
	if (j_empty(j_get(spec, "ipFamilies")))
		j_set(spec, "ipFamilies", j_strings(&family, 1));
}

static void allocate_cluster_ip(struct admit *a, cJSON *spec)
{
	const char *ip = j_str(spec, "clusterIP");

	if (!needs_cluster_ip(a->obj))
		return;
	default_str(spec, "ipFamilyPolicy", "SingleStack");
	if (!*ip)
		allocate_ips(a, spec);
	else
		families_of_given_ip(spec);
	if (a->old_server) {
		j_del(spec, "ipFamilyPolicy");
		j_del(spec, "ipFamilies");
	}
}

static void allocate_ports(struct admit *a, cJSON *spec)
{
	cJSON *port;

	if (needs_node_port(a->obj)) {
		cJSON_ArrayForEach (port, j_get(spec, "ports")) {
			unsigned n = 1;

			if (!j_nonzero(port, "nodePort")) {
				n = ipam_pick_port(a->ipam);
				j_set_num(port, "nodePort", n);
			}
			if (!n)
				fail(a, "failed to allocate a nodePort: range is full. No more "
					"free ports are available in the range");
		}
	}
	if (needs_health_port(a->obj) && !j_nonzero(spec, "healthCheckNodePort"))
		j_set_num(spec, "healthCheckNodePort", ipam_pick_port(a->ipam));
}

/* -- validation -- */

static void check_one_of(struct admit *a, const char *field, const char *const *choices, size_t n)
{
	const char *got = j_str(a->obj, field);
	struct text t = {0};

	if (!*got)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(got, choices[i])) {
			text_free(&t);
			return;
		}
		text_fmt(&t, "%s\"%s\"", i ? ", " : "", choices[i]);
	}
	admit_unsupported(a, field, got, t.p);
	text_free(&t);
}

#define CHECK_ONE_OF(a, field, ...)                                                                \
	check_one_of(a, field, (const char *const[]){__VA_ARGS__},                                 \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void check_node_port(struct admit *a, const cJSON *port, const char *field)
{
	double n = j_num(port, "nodePort", 0);

	if (n <= 0)
		return;
	if (!may_node_port(a->obj)) {
		admit_forbidden(a, field, "may not be used when `type` is 'ClusterIP'");
		return;
	}
	if (n < a->ipam->port_min || n > a->ipam->port_max)
		admit_invalid(a, field, j_get(port, "nodePort"),
			"provided port is not in the valid range");
	else if (ipam_port_is_taken(a->ipam, (unsigned)n) && !same_node_ports(a->old, a->obj))
		admit_invalid(
			a, field, j_get(port, "nodePort"), "provided port is already allocated");
}

static bool same_port(const cJSON *p, const cJSON *q)
{
	return j_num(p, "port", 0) == j_num(q, "port", 0) &&
	       !strcmp(j_str(p, "protocol"), j_str(q, "protocol"));
}

static void check_port(struct admit *a, const cJSON *ports, const cJSON *port, int i)
{
	double n = j_num(port, "port", 0);
	const cJSON *q;
	char field[64];

	(void)snprintf(field, sizeof(field), "spec.ports[%d].port", i);
	if (n < 1 || n > 65535)
		admit_invalid(
			a, field, j_get(port, "port"), "must be between 1 and 65535, inclusive");
	(void)snprintf(field, sizeof(field), "spec.ports[%d].name", i);
	if (cJSON_GetArraySize(ports) > 1 && !j_has_str(port, "name"))
		admit_required(a, field, "");
	else if (j_has_str(port, "name") && !is_dns_label(j_str(port, "name")))
		admit_invalid(
			a, field, j_get(port, "name"), "a lowercase RFC 1123 label is required");
	(void)snprintf(field, sizeof(field), "spec.ports[%d].protocol", i);
	if (strcmp(j_str(port, "protocol"), "TCP") != 0 &&
		strcmp(j_str(port, "protocol"), "UDP") != 0 &&
		strcmp(j_str(port, "protocol"), "SCTP") != 0)
		admit_unsupported(a, field, j_str(port, "protocol"), "\"SCTP\", \"TCP\", \"UDP\"");
	(void)snprintf(field, sizeof(field), "spec.ports[%d]", i);
	for (q = ports->child; q && q != port; q = q->next) {
		if (same_port(q, port))
			admit_duplicate(a, field, j_str(port, "protocol"));
	}
	(void)snprintf(field, sizeof(field), "spec.ports[%d].nodePort", i);
	check_node_port(a, port, field);
}

static void check_cluster_ip(struct admit *a, const cJSON *spec)
{
	const char *ip = j_str(spec, "clusterIP");
	const char *was = j_str(a->old, "spec.clusterIP");

	if (!*ip || !strcmp(ip, "None"))
		return;
	if (!is_ip(ip))
		admit_invalid(a, "spec.clusterIPs[0]", j_get(spec, "clusterIP"),
			"must be a valid IP address");
	else if (*was && strcmp(was, ip) != 0 && strcmp(was, "None") != 0 &&
		 needs_cluster_ip(a->old))
		admit_invalid(a, "spec.clusterIPs[0]", j_get(spec, "clusterIP"),
			"may not change once set");
	else if (!ipam_ip_in_range(ip))
		admit_invalid(a, "spec.clusterIPs", j_get(spec, "clusterIP"),
			"failed to allocate IP: the provided IP is not in the valid range");
	else if (strcmp(was, ip) != 0 && ipam_ip_is_taken(a->ipam, ip))
		admit_invalid(a, "spec.clusterIPs", j_get(spec, "clusterIP"),
			"failed to allocate IP: provided IP is already allocated");
}

static void check_load_balancer(struct admit *a, const cJSON *spec)
{
	const char *class = j_str(spec, "loadBalancerClass");
	bool lb = type_is(a->obj, "LoadBalancer");
	const cJSON *cidr;

	if (*class && !lb)
		admit_forbidden(a, "spec.loadBalancerClass",
			"may only be used when `type` is 'LoadBalancer'");
	if (lb && type_is(a->old, "LoadBalancer") &&
		!same(a->old, a->obj, "spec.loadBalancerClass"))
		admit_invalid(a, "spec.loadBalancerClass", j_get(spec, "loadBalancerClass"),
			"may not change once set");
	cJSON_ArrayForEach (cidr, j_get(spec, "loadBalancerSourceRanges")) {
		if (!cJSON_IsString(cidr) || !is_cidr(cidr->valuestring))
			admit_invalid(a, "spec.LoadBalancerSourceRanges[0]", cidr,
				"must be a valid CIDR value");
	}
	if (j_has_str(spec, "externalTrafficPolicy") && !may_node_port(a->obj) &&
		!j_len(spec, "externalIPs"))
		admit_invalid(a, "spec.externalTrafficPolicy", j_get(spec, "externalTrafficPolicy"),
			"may only be set for externally-accessible services");
	if (j_nonzero(spec, "healthCheckNodePort") && !needs_health_port(a->obj))
		admit_invalid(a, "spec.healthCheckNodePort", j_get(spec, "healthCheckNodePort"),
			"may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` "
			"is 'Local'");
}

static void check_spec(struct admit *a, const cJSON *spec)
{
	const cJSON *ports = j_get(spec, "ports"), *port, *item;
	bool headless = !strcmp(j_str(spec, "clusterIP"), "None");
	int i = 0;

	CHECK_ONE_OF(a, "spec.type", "ClusterIP", "ExternalName", "LoadBalancer", "NodePort");
	CHECK_ONE_OF(a, "spec.externalTrafficPolicy", "Cluster", "Local");
	CHECK_ONE_OF(a, "spec.internalTrafficPolicy", "Cluster", "Local");
	CHECK_ONE_OF(a, "spec.sessionAffinity", "ClientIP", "None");
	CHECK_ONE_OF(
		a, "spec.ipFamilyPolicy", "PreferDualStack", "RequireDualStack", "SingleStack");
	if (!j_len(spec, "ports") && !headless && !type_is(a->obj, "ExternalName"))
		admit_required(a, "spec.ports", "");
	if (headless && may_node_port(a->obj))
		admit_invalid(a, "spec.clusterIPs[0]", j_get(spec, "clusterIP"),
			"may not be set to 'None' for LoadBalancer services");
	cJSON_ArrayForEach (port, ports)
		check_port(a, ports, port, i++);
	cJSON_ArrayForEach (item, j_get(spec, "externalIPs")) {
		if (!cJSON_IsString(item) || !is_ip(item->valuestring))
			admit_invalid(a, "spec.externalIPs[0]", item, "must be a valid IP address");
	}
	cJSON_ArrayForEach (item, j_get(spec, "ipFamilies")) {
		if (!cJSON_IsString(item) || (strcmp(item->valuestring, "IPv4") != 0 &&
						     strcmp(item->valuestring, "IPv6") != 0))
			admit_unsupported(a, "spec.ipFamilies[0]",
				cJSON_IsString(item) ? item->valuestring : "",
				"\"IPv4\", \"IPv6\"");
	}
	if (type_is(a->obj, "ExternalName") && !j_has_str(spec, "externalName"))
		admit_required(a, "spec.externalName", "");
	check_cluster_ip(a, spec);
	check_load_balancer(a, spec);
}

static void check_ingress(struct admit *a, const cJSON *ingress, int i)
{
	const char *ip = j_str(ingress, "ip"), *host = j_str(ingress, "hostname");
	const char *mode = j_str(ingress, "ipMode");
	char field[80];

	(void)snprintf(field, sizeof(field), "status.loadBalancer.ingress[%d].ip", i);
	if (*ip && !is_ip(ip))
		admit_invalid(a, field, j_get(ingress, "ip"), "must be a valid IP address");
	(void)snprintf(field, sizeof(field), "status.loadBalancer.ingress[%d].ipMode", i);
	if (*mode && !*ip)
		admit_forbidden(a, field, "may not be specified when `ip` is not set");
	else if (*mode && strcmp(mode, "VIP") != 0 && strcmp(mode, "Proxy") != 0)
		admit_unsupported(a, field, mode, "\"Proxy\", \"VIP\"");
	(void)snprintf(field, sizeof(field), "status.loadBalancer.ingress[%d].hostname", i);
	if (*host && is_ip(host))
		admit_invalid(a, field, j_get(ingress, "hostname"),
			"must be a DNS name, not an IP address");
	else if (*host && !is_dns_subdomain(host))
		admit_invalid(a, field, j_get(ingress, "hostname"),
			"a lowercase RFC 1123 subdomain is required");
}

static void check_status(struct admit *a)
{
	const cJSON *list = j_at(a->obj, "status.loadBalancer.ingress"), *ingress;
	int i = 0;

	if (list && list->child && !type_is(a->obj, "LoadBalancer") && !a->old_server)
		admit_forbidden(a, "status.loadBalancer.ingress",
			"may only be used when `spec.type` is 'LoadBalancer'");
	cJSON_ArrayForEach (ingress, list)
		check_ingress(a, ingress, i++);
}

void service_admit(struct admit *a)
{
	cJSON *spec = j_obj(a->obj, "spec");

	j_obj(j_obj(a->obj, "status"), "loadBalancer");
	if (a->status_only) {
		default_ingress(a);
		check_status(a);
		return;
	}
	if (a->old_server)
		drop_new_fields(spec);
	default_spec(a, spec);
	if (a->old) {
		keep_allocated(a);
		drop_type_fields(a);
	}
	default_ingress(a);
	check_spec(a, spec);
	check_status(a);
	if (!admit_ok(a))
		return;
	allocate_cluster_ip(a, spec);
	allocate_ports(a, spec);
}
