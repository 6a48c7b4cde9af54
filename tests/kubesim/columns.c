/* SPDX-License-Identifier: Apache-2.0
 *
 * columns.c - what kubectl get prints of the built-in kinds.
 *
 * In:   an object.  Out: the cells of its row.
 * Source: pkg/printers/internalversion/printers.go; ages by apimachinery's HumanDuration.
 */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 4096, ENDPOINTS_SHOWN = 3 };

#define END                                                                                        \
	{                                                                                          \
		NULL, NULL, false                                                                  \
	}

const struct column service_columns[] = {{"Name", "string", false}, {"Type", "string", false},
	{"Cluster-IP", "string", false}, {"External-IP", "string", false},
	{"Port(s)", "string", false}, {"Age", "string", false}, {"Selector", "string", true}, END};
const struct column node_columns[] = {{"Name", "string", false}, {"Status", "string", false},
	{"Roles", "string", false}, {"Age", "string", false}, {"Version", "string", false},
	{"Internal-IP", "string", true}, {"External-IP", "string", true},
	{"OS-Image", "string", true}, {"Kernel-Version", "string", true},
	{"Container-Runtime", "string", true}, END};
const struct column pod_columns[] = {{"Name", "string", false}, {"Ready", "string", false},
	{"Status", "string", false}, {"Restarts", "string", false}, {"Age", "string", false},
	{"IP", "string", true}, {"Node", "string", true}, {"Nominated Node", "string", true},
	{"Readiness Gates", "string", true}, END};
const struct column endpoints_columns[] = {
	{"Name", "string", false}, {"Endpoints", "string", false}, {"Age", "string", false}, END};
const struct column slice_columns[] = {{"Name", "string", false}, {"AddressType", "string", false},
	{"Ports", "string", false}, {"Endpoints", "string", false}, {"Age", "string", false}, END};
const struct column lease_columns[] = {
	{"Name", "string", false}, {"Holder", "string", false}, {"Age", "string", false}, END};
const struct column event_columns[] = {{"Last Seen", "string", false}, {"Type", "string", false},
	{"Reason", "string", false}, {"Object", "string", false}, {"Subobject", "string", true},
	{"Source", "string", true}, {"Message", "string", false}, {"First Seen", "string", true},
	{"Count", "string", true}, {"Name", "string", true}, END};
const struct column configmap_columns[] = {
	{"Name", "string", false}, {"Data", "string", false}, {"Age", "string", false}, END};
const struct column namespace_columns[] = {
	{"Name", "string", false}, {"Status", "string", false}, {"Age", "string", false}, END};
const struct column secret_columns[] = {{"Name", "string", false}, {"Type", "string", false},
	{"Data", "string", false}, {"Age", "string", false}, END};
const struct column account_columns[] = {
	{"Name", "string", false}, {"Secrets", "string", false}, {"Age", "string", false}, END};
const struct column crd_columns[] = {{"Name", "string", false}, {"Created At", "date", false}, END};

static void cell(cJSON *cells, const char *s)
{
	cJSON_AddItemToArray(cells, cJSON_CreateString(s));
}

static void cell_num(cJSON *cells, double n)
{
	cJSON_AddItemToArray(cells, cJSON_CreateNumber(n));
}

static void cell_or_none(cJSON *cells, const char *s)
{
	cell(cells, *s ? s : "<none>");
}

static void cell_text(cJSON *cells, struct text *t)
{
	cell_or_none(cells, t->n ? t->p : "");
	text_free(t);
}

static void human_duration(long s, char *out, size_t len)
{
	long m = s / 60, h = s / 3600, d = h / 24;

	if (s < 0)
		(void)snprintf(out, len, "<invalid>");
	else if (s < 120)
		(void)snprintf(out, len, "%lds", s);
	else if (m < 10 && s % 60)
		(void)snprintf(out, len, "%ldm%lds", m, s % 60);
	else if (m < 180)
		(void)snprintf(out, len, "%ldm", m);
	else if (h < 8 && m % 60)
		(void)snprintf(out, len, "%ldh%ldm", h, m % 60);
	else if (h < 48)
		(void)snprintf(out, len, "%ldh", h);
	else if (d < 8 && h % 24)
		(void)snprintf(out, len, "%ldd%ldh", d, h % 24);
	else if (d < 730)
		(void)snprintf(out, len, "%ldd", d);
	else
		(void)snprintf(out, len, "%ldy%ldd", d / 365, d % 365);
}

static void cell_since(cJSON *cells, const char *when, time_t now)
{
	int64_t t = time_parse(when);
	char age[40];

	if (t < 0) {
		cell(cells, "<unknown>");
		return;
	}
	human_duration((long)(now > t ? now - t : 0), age, sizeof(age));
	cell(cells, age);
}

static void cell_name(cJSON *cells, const cJSON *obj)
{
	cell(cells, j_str(obj, "metadata.name"));
}

static void cell_age(cJSON *cells, const cJSON *obj, time_t now)
{
	cell_since(cells, j_str(obj, "metadata.creationTimestamp"), now);
}

static void join(struct text *t, const char *sep, const char *s)
{
	if (t->n)
		text_str(t, sep);
	text_str(t, s);
}

static void join_map(struct text *t, const cJSON *map)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, map) {
		join(t, ",", v->string);
		text_fmt(t, "=%s", cJSON_IsString(v) ? v->valuestring : "");
	}
}

static void join_strings(struct text *t, const cJSON *list)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, list) {
		if (cJSON_IsString(v))
			join(t, ",", v->valuestring);
	}
}

/* -- Services -- */

static void cell_external_ip(cJSON *cells, const cJSON *svc)
{
	const char *type = j_str(svc, "spec.type");
	struct text t = {0};
	const cJSON *in;

	if (!strcmp(type, "ExternalName")) {
		cell(cells, j_str(svc, "spec.externalName"));
		return;
	}
	cJSON_ArrayForEach (in, j_at(svc, "status.loadBalancer.ingress")) {
		join(&t, ",", j_has_str(in, "ip") ? j_str(in, "ip") : j_str(in, "hostname"));
	}
	join_strings(&t, j_at(svc, "spec.externalIPs"));
	if (!t.n)
		text_str(&t, strcmp(type, "LoadBalancer") ? "<none>" : "<pending>");
	cell_text(cells, &t);
}

static void cell_ports(cJSON *cells, const cJSON *svc)
{
	struct text t = {0};
	const cJSON *p;

	cJSON_ArrayForEach (p, j_at(svc, "spec.ports")) {
		double node = j_num(p, "nodePort", 0);

		text_fmt(&t, "%s%d", t.n ? "," : "", j_int(p, "port", 0));
		if (node > 0)
			text_fmt(&t, ":%d", (int)node);
		text_fmt(&t, "/%s", j_str(p, "protocol"));
	}
	cell_text(cells, &t);
}

void service_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	struct text selector = {0};

	cell_name(cells, obj);
	cell(cells, j_str(obj, "spec.type"));
	cell_or_none(cells, j_str(obj, "spec.clusterIP"));
	cell_external_ip(cells, obj);
	cell_ports(cells, obj);
	cell_age(cells, obj, now);
	join_map(&selector, j_at(obj, "spec.selector"));
	cell_text(cells, &selector);
}

/* -- Nodes -- */

static void cell_node_status(cJSON *cells, const cJSON *node)
{
	struct text t = {0};
	const cJSON *c;

	cJSON_ArrayForEach (c, j_at(node, "status.conditions")) {
		if (!strcmp(j_str(c, "type"), "Ready"))
			join(&t, ",", strcmp(j_str(c, "status"), "True") ? "NotReady" : "Ready");
	}
	if (!t.n)
		text_str(&t, "Unknown");
	if (j_bool(node, "spec.unschedulable", false))
		join(&t, ",", "SchedulingDisabled");
	cell_text(cells, &t);
}

static void cell_roles(cJSON *cells, const cJSON *node)
{
	static const char prefix[] = "node-role.kubernetes.io/";
	struct text t = {0};
	const cJSON *v;

	cJSON_ArrayForEach (v, j_at(node, "metadata.labels")) {
		if (!strncmp(v->string, prefix, sizeof(prefix) - 1))
			join(&t, ",", v->string + sizeof(prefix) - 1);
	}
	cell_text(cells, &t);
}

static void cell_node_address(cJSON *cells, const cJSON *node, const char *type)
{
	const cJSON *a;

	cJSON_ArrayForEach (a, j_at(node, "status.addresses")) {
		if (!strcmp(j_str(a, "type"), type)) {
			cell(cells, j_str(a, "address"));
			return;
		}
	}
	cell(cells, "<none>");
}

static void cell_or_unknown(cJSON *cells, const char *s)
{
	cell(cells, *s ? s : "<unknown>");
}

void node_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	cell_name(cells, obj);
	cell_node_status(cells, obj);
	cell_roles(cells, obj);
	cell_age(cells, obj, now);
	cell(cells, j_str(obj, "status.nodeInfo.kubeletVersion"));
	cell_node_address(cells, obj, "InternalIP");
	cell_node_address(cells, obj, "ExternalIP");
	cell_or_unknown(cells, j_str(obj, "status.nodeInfo.osImage"));
	cell_or_unknown(cells, j_str(obj, "status.nodeInfo.kernelVersion"));
	cell_or_unknown(cells, j_str(obj, "status.nodeInfo.containerRuntimeVersion"));
}

/* -- Pods -- */

static const char *pod_status(const cJSON *pod)
{
	if (j_has_str(pod, "metadata.deletionTimestamp"))
		return "Terminating";
	if (j_has_str(pod, "status.reason"))
		return j_str(pod, "status.reason");
	return j_str(pod, "status.phase");
}

void pod_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	int ready = 0, restarts = 0;
	const cJSON *c;
	char text[64];

	cJSON_ArrayForEach (c, j_at(obj, "status.containerStatuses")) {
		ready += j_bool(c, "ready", false);
		restarts += j_int(c, "restartCount", 0);
	}
	cell_name(cells, obj);
	(void)snprintf(text, sizeof(text), "%d/%d", ready, j_len(obj, "spec.containers"));
	cell(cells, text);
	cell(cells, pod_status(obj));
	(void)snprintf(text, sizeof(text), "%d", restarts);
	cell(cells, text);
	cell_age(cells, obj, now);
	cell_or_none(cells, j_str(obj, "status.podIP"));
	cell_or_none(cells, j_str(obj, "spec.nodeName"));
	cell_or_none(cells, j_str(obj, "status.nominatedNodeName"));
	cell(cells, "<none>");
}

/* -- Endpoints, EndpointSlices -- */

static void list_subset(struct text *t, const cJSON *subset, int *count)
{
	const cJSON *ports = j_get(subset, "ports"), *port, *a;

	cJSON_ArrayForEach (a, j_get(subset, "addresses")) {
		if (!ports || !ports->child) {
			if ((*count)++ < ENDPOINTS_SHOWN)
				join(t, ",", j_str(a, "ip"));
			continue;
		}
		cJSON_ArrayForEach (port, ports) {
			if ((*count)++ >= ENDPOINTS_SHOWN)
				continue;
			join(t, ",", j_str(a, "ip"));
			text_fmt(t, ":%d", j_int(port, "port", 0));
		}
	}
}

void endpoints_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	struct text t = {0};
	const cJSON *subset;
	int count = 0;

	cell_name(cells, obj);
	cJSON_ArrayForEach (subset, j_get(obj, "subsets"))
		list_subset(&t, subset, &count);
	if (count > ENDPOINTS_SHOWN)
		text_fmt(&t, " + %d more...", count - ENDPOINTS_SHOWN);
	cell_text(cells, &t);
	cell_age(cells, obj, now);
}

void slice_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	struct text ports = {0}, addresses = {0};
	const cJSON *v, *a;
	int count = 0;

	cJSON_ArrayForEach (v, j_get(obj, "ports")) {
		if (count++ < ENDPOINTS_SHOWN)
			text_fmt(&ports, "%s%d", ports.n ? "," : "", j_int(v, "port", 0));
	}
	if (count > ENDPOINTS_SHOWN)
		text_fmt(&ports, " + %d more...", count - ENDPOINTS_SHOWN);
	count = 0;
	cJSON_ArrayForEach (v, j_get(obj, "endpoints")) {
		cJSON_ArrayForEach (a, j_get(v, "addresses")) {
			if (count++ < ENDPOINTS_SHOWN && cJSON_IsString(a))
				join(&addresses, ",", a->valuestring);
		}
	}
	if (count > ENDPOINTS_SHOWN)
		text_fmt(&addresses, " + %d more...", count - ENDPOINTS_SHOWN);
	cell_name(cells, obj);
	cell(cells, j_str(obj, "addressType"));
	cell(cells, ports.n ? ports.p : "<unset>");
	cell(cells, addresses.n ? addresses.p : "<unset>");
	cell_age(cells, obj, now);
	text_free(&ports);
	text_free(&addresses);
}

void lease_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	cell_name(cells, obj);
	cell(cells, j_str(obj, "spec.holderIdentity"));
	cell_age(cells, obj, now);
}

/* -- Events -- */

static const char *first_of(const cJSON *obj, const char *const *paths)
{
	for (; *paths; paths++) {
		if (j_has_str(obj, *paths))
			return j_str(obj, *paths);
	}
	return "";
}

static void event_object(cJSON *cells, const cJSON *event)
{
	struct text t = {0};

	for (const char *s = j_str(event, "involvedObject.kind"); *s; s++)
		text_char(&t, (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s));
	if (j_has_str(event, "involvedObject.name"))
		text_fmt(&t, "/%s", j_str(event, "involvedObject.name"));
	cell_text(cells, &t);
}

static void event_source(cJSON *cells, const cJSON *event)
{
	struct text t = {0};

	join(&t, "",
		j_has_str(event, "source.component") ? j_str(event, "source.component")
						     : j_str(event, "reportingComponent"));
	if (j_has_str(event, "source.host"))
		join(&t, ", ", j_str(event, "source.host"));
	cell(cells, t.n ? t.p : "");
	text_free(&t);
}

void event_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	static const char *const last[] = {
		"series.lastObservedTime", "lastTimestamp", "eventTime", NULL};
	static const char *const first[] = {"firstTimestamp", "eventTime", NULL};

	cell_since(cells, first_of(obj, last), now);
	cell(cells, j_str(obj, "type"));
	cell(cells, j_str(obj, "reason"));
	event_object(cells, obj);
	cell(cells, j_str(obj, "involvedObject.fieldPath"));
	event_source(cells, obj);
	cell(cells, j_str(obj, "message"));
	cell_since(cells, first_of(obj, first), now);
	cell_num(cells, j_num(obj, "count", j_num(obj, "series.count", 1)));
	cell_name(cells, obj);
}

/* -- the rest -- */

void configmap_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	cell_name(cells, obj);
	cell_num(cells, j_len(obj, "data") + j_len(obj, "binaryData"));
	cell_age(cells, obj, now);
}

void namespace_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	cell_name(cells, obj);
	cell(cells, j_str(obj, "status.phase"));
	cell_age(cells, obj, now);
}

void secret_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	cell_name(cells, obj);
	cell(cells, j_str(obj, "type"));
	cell_num(cells, j_len(obj, "data"));
	cell_age(cells, obj, now);
}

void account_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	cell_name(cells, obj);
	cell_num(cells, j_len(obj, "secrets"));
	cell_age(cells, obj, now);
}

void crd_cells(const cJSON *obj, cJSON *cells, time_t now)
{
	(void)now;
	cell_name(cells, obj);
	cell(cells, j_str(obj, "metadata.creationTimestamp"));
}
