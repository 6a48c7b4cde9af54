/* SPDX-License-Identifier: Apache-2.0
 *
 * kinds.c - the table of resource kinds.
 *
 * Owns: the rows, built-in ones copied so that all are alike.
 * In:   CustomResourceDefinitions.  Out: kinds_find().
 * To serve another kind: add a row to builtin[]; only the first six fields are needed.
 */
#include "kinds.h"

#include "admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS_MAX = 512 };

#define NS    KIND_NAMESPACED
#define ST    KIND_STATUS
#define BLIND KIND_BLIND_PUT
#define MAKE  KIND_CREATE_ON_PUT
#define BACK  KIND_RETURN_DELETED

static const char service_schema[] =
	"spec{type:s,clusterIP:s,clusterIPs[]:s,externalIPs[]:s,externalName:s,"
	"externalTrafficPolicy:s,internalTrafficPolicy:s,healthCheckNodePort:i,ipFamilies[]:s,"
	"ipFamilyPolicy:s,loadBalancerClass:s,loadBalancerIP:s,loadBalancerSourceRanges[]:s,"
	"publishNotReadyAddresses:b,selector:m,sessionAffinity:s,"
	"sessionAffinityConfig{clientIP{timeoutSeconds:i}},allocateLoadBalancerNodePorts:b,"
	"trafficDistribution:s,"
	"ports[]{name:s,protocol:s,appProtocol:s,port:i,targetPort:x,nodePort:i}},"
	"status{conditions[]{type:s,status:s,observedGeneration:i,lastTransitionTime:t,reason:s,"
	"message:s},loadBalancer{ingress[]{ip:s,hostname:s,ipMode:s,"
	"ports[]{port:i,protocol:s,error:s}}}}";
static const char lease_schema[] =
	"spec{holderIdentity:s,leaseDurationSeconds:i,acquireTime:u,renewTime:u,"
	"leaseTransitions:i,strategy:s,preferredHolder:s}";
static const char endpoints_schema[] =
	"subsets[]{addresses[]{ip:s,hostname:s,nodeName:s,targetRef:o},"
	"notReadyAddresses[]{ip:s,hostname:s,nodeName:s,targetRef:o},"
	"ports[]{name:s,port:i,protocol:s,appProtocol:s}}";
static const char slice_schema[] =
	"addressType:s,endpoints[]{addresses[]:s,conditions{ready:b,serving:b,terminating:b},"
	"hostname:s,targetRef:o,deprecatedTopology:m,nodeName:s,zone:s,hints:o},"
	"ports[]{name:s,protocol:s,port:i,appProtocol:s}";
static const char slice_beta_schema[] =
	"addressType:s,endpoints[]{addresses[]:s,conditions{ready:b},hostname:s,targetRef:o,"
	"topology:m},ports[]{name:s,protocol:s,port:i,appProtocol:s}";
static const char event_schema[] =
	"involvedObject{kind:s,namespace:s,name:s,uid:s,apiVersion:s,resourceVersion:s,"
	"fieldPath:s},reason:s,message:s,source{component:s,host:s},firstTimestamp:t,"
	"lastTimestamp:t,count:i,type:s,eventTime:u,series{count:i,lastObservedTime:u},action:s,"
	"related:o,reportingComponent:s,reportingInstance:s";
static const char configmap_schema[] = "data:m,binaryData:m,immutable:b";

static const struct kind builtin[] = {
	{"", "v1", "services", "Service", "svc", NS | ST | BLIND | MAKE, "all",
		{"spec.clusterIP", "spec.type"}, service_schema, service_admit, service_columns,
		service_cells, NULL, NULL, NULL},
	{"", "v1", "nodes", "Node", "no", ST | BLIND, NULL, {"spec.unschedulable"}, NULL,
		node_admit, node_columns, node_cells, NULL, NULL, NULL},
	{"", "v1", "pods", "Pod", "po", NS | ST | BLIND | BACK, "all",
		{"spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
			"spec.serviceAccountName", "spec.hostNetwork", "status.phase",
			"status.podIP", "status.nominatedNodeName"},
		NULL, pod_admit, pod_columns, pod_cells, NULL, NULL, NULL},
	{"", "v1", "endpoints", "Endpoints", "ep", NS | BLIND | MAKE, NULL, {NULL},
		endpoints_schema, endpoints_admit, endpoints_columns, endpoints_cells, NULL, NULL,
		NULL},
	{"", "v1", "events", "Event", "ev", NS | BLIND | MAKE, NULL,
		{"involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
			"involvedObject.uid", "involvedObject.apiVersion",
			"involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
			"reportingComponent", "source", "type"},
		event_schema, event_admit, event_columns, event_cells, NULL, NULL, NULL},
	{"", "v1", "configmaps", "ConfigMap", "cm", NS | BLIND, NULL, {NULL}, configmap_schema,
		configmap_admit, configmap_columns, configmap_cells, NULL, NULL, NULL},
	{"", "v1", "namespaces", "Namespace", "ns", ST | BLIND | BACK, NULL,
		{"status.phase", "name"}, NULL, namespace_admit, namespace_columns, namespace_cells,
		NULL, NULL, NULL},
	{"", "v1", "secrets", "Secret", "", NS | BLIND, NULL, {"type"}, NULL, secret_admit,
		secret_columns, secret_cells, NULL, NULL, NULL},
	{"", "v1", "serviceaccounts", "ServiceAccount", "sa", NS | BACK, NULL, {NULL}, NULL, NULL,
		account_columns, account_cells, NULL, NULL, NULL},
	{"events.k8s.io", "v1", "events", "Event", "ev", NS | BLIND | MAKE, NULL,
		{"regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid",
			"regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath",
			"reason", "reportingController", "source", "type"},
		NULL, NULL, event_columns, event_cells, "", event_to_core, event_from_core},
	{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "",
		NS | BLIND | KIND_SINCE_1_21, NULL, {NULL}, slice_schema, slice_admit,
		slice_columns, slice_cells, NULL, NULL, NULL},
	{"discovery.k8s.io", "v1beta1", "endpointslices", "EndpointSlice", "",
		NS | BLIND | KIND_UNTIL_1_20, NULL, {NULL}, slice_beta_schema, slice_admit,
		slice_columns, slice_cells, NULL, NULL, NULL},
	{"coordination.k8s.io", "v1", "leases", "Lease", "", NS | MAKE, NULL, {NULL}, lease_schema,
		lease_admit, lease_columns, lease_cells, NULL, NULL, NULL},
	{"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
		"crd,crds", ST | BLIND | BACK, "api-extensions", {NULL}, NULL, crd_admit,
		crd_columns, crd_cells, NULL, NULL, NULL},
	{"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "",
		KIND_CREATE_ONLY, NULL, {NULL}, NULL, access_review_admit, NULL, NULL, NULL, NULL,
		NULL},
	{"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", "",
		KIND_CREATE_ONLY, NULL, {NULL}, NULL, rules_review_admit, NULL, NULL, NULL, NULL,
		NULL},
	{"rbac.authorization.k8s.io", "v1", "roles", "Role", "", NS | BLIND | BACK, NULL, {NULL},
		NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", NS | BLIND | BACK,
		NULL, {NULL}, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", BLIND | BACK, NULL,
		{NULL}, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "",
		BLIND | BACK, NULL, {NULL}, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
	{"apps", "v1", "daemonsets", "DaemonSet", "ds", NS | ST | BLIND | BACK, "all", {NULL}, NULL,
		NULL, NULL, NULL, NULL, NULL, NULL},
	{"apps", "v1", "deployments", "Deployment", "deploy", NS | ST | BLIND | BACK, "all", {NULL},
		NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static struct kind *kinds_new(struct kinds *ks)
{
	ks->v = xgrow(ks->v, ks->n, &ks->cap, sizeof(struct kind *));
	ks->v[ks->n] = xcalloc(1, sizeof(struct kind));
	return ks->v[ks->n++];
}

void kinds_init(struct kinds *ks, bool old)
{
	*ks = (struct kinds){.old = old};
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		*kinds_new(ks) = builtin[i];
}

static void kind_free(struct kind *k)
{
	if (k->flags & KIND_CUSTOM) {
		free((char *)(uintptr_t)k->group);
		free((char *)(uintptr_t)k->version);
		free((char *)(uintptr_t)k->plural);
		free((char *)(uintptr_t)k->kind);
		free((char *)(uintptr_t)k->shorts);
	}
	free(k);
}

void kinds_free(struct kinds *ks)
{
	for (size_t i = 0; i < ks->n; i++)
		kind_free(ks->v[i]);
	free(ks->v);
	*ks = (struct kinds){0};
}

bool kind_is_served(const struct kinds *ks, const struct kind *k)
{
	if (k->flags & KIND_GONE)
		return false;
	if (ks->old)
		return !(k->flags & KIND_SINCE_1_21);
	return !(k->flags & KIND_UNTIL_1_20);
}

static struct kind *find(
	const struct kinds *ks, const char *group, const char *version, const char *plural)
{
	for (size_t i = 0; i < ks->n; i++) {
		struct kind *k = ks->v[i];

		if (!strcmp(k->plural, plural) && !strcmp(k->group, group) &&
			(!version || !strcmp(k->version, version)) &&
			(version || kind_is_served(ks, k)))
			return k;
	}
	return NULL;
}

const struct kind *kinds_find(
	const struct kinds *ks, const char *group, const char *version, const char *plural)
{
	const struct kind *k = find(ks, group, version, plural);

	return k && kind_is_served(ks, k) ? k : NULL;
}

const struct kind *kinds_find_any(const struct kinds *ks, const char *group, const char *plural)
{
	return find(ks, group, NULL, plural);
}

void kind_api_version(const struct kind *k, char *out, size_t len)
{
	(void)snprintf(out, len, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
}

/* -- kinds from CustomResourceDefinitions -- */

static char *join_names(const cJSON *names)
{
	struct text t = {0};
	const cJSON *name;

	cJSON_ArrayForEach (name, names) {
		if (!cJSON_IsString(name))
			continue;
		if (t.n)
			text_char(&t, ',');
		text_str(&t, name->valuestring);
	}
	return text_take(&t);
}

static void add_version(struct kinds *ks, const cJSON *spec, const cJSON *version)
{
	const char *group = j_str(spec, "group"), *plural = j_str(spec, "names.plural");
	struct kind *k = find(ks, group, j_str(version, "name"), plural);
	unsigned flags = KIND_CUSTOM;

	if (!strcmp(j_str(spec, "scope"), "Namespaced"))
		flags |= KIND_NAMESPACED;
	if (j_at(version, "subresources.status"))
		flags |= KIND_STATUS;
	if (!j_bool(version, "served", true))
		flags |= KIND_GONE;
	if (k) {
		if (k->flags & KIND_CUSTOM)
			k->flags = flags;
		return;
	}
	if (ks->n >= KINDS_MAX)
		return;
	k = kinds_new(ks);
	k->group = xstrdup(group);
	k->version = xstrdup(j_str(version, "name"));
	k->plural = xstrdup(plural);
	k->kind = xstrdup(j_str(spec, "names.kind"));
	k->shorts = join_names(j_at(spec, "names.shortNames"));
	k->flags = flags;
}

void kinds_add_crd(struct kinds *ks, const cJSON *crd)
{
	const cJSON *spec = j_get(crd, "spec"), *version;

	if (!j_has_str(spec, "group") || !j_has_str(spec, "names.plural"))
		return;
	cJSON_ArrayForEach (version, j_get(spec, "versions")) {
		if (j_has_str(version, "name"))
			add_version(ks, spec, version);
	}
}

void kinds_drop_crd(struct kinds *ks, const cJSON *crd)
{
	for (size_t i = 0; i < ks->n; i++) {
		struct kind *k = ks->v[i];

		if (k->flags & KIND_CUSTOM && !strcmp(k->group, j_str(crd, "spec.group")) &&
			!strcmp(k->plural, j_str(crd, "spec.names.plural")))
			k->flags |= KIND_GONE;
	}
}
