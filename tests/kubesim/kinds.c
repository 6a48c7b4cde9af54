/* SPDX-License-Identifier: Apache-2.0
 *
 * kinds.c - the table of resource kinds.
 *
 * Owns: the rows, built-in ones copied so that all are alike.
 * In:   CustomResourceDefinitions.  Out: kinds_find().
 * To serve another kind: add a row to builtin[]; what is left out is as for any other.
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
	{.group = "",
		.version = "v1",
		.plural = "services",
		.kind = "Service",
		.shorts = "svc",
		.flags = NS | ST | BLIND | MAKE,
		.categories = "all",
		.fields = {"spec.clusterIP", "spec.type"},
		.schema = service_schema,
		.admit = service_admit,
		.columns = service_columns,
		.cells = service_cells},
	{.group = "",
		.version = "v1",
		.plural = "nodes",
		.kind = "Node",
		.shorts = "no",
		.flags = ST | BLIND,
		.fields = {"spec.unschedulable"},
		.admit = node_admit,
		.columns = node_columns,
		.cells = node_cells},
	{.group = "",
		.version = "v1",
		.plural = "pods",
		.kind = "Pod",
		.shorts = "po",
		.flags = NS | ST | BLIND | BACK,
		.categories = "all",
		.fields = {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
			"spec.serviceAccountName", "spec.hostNetwork", "status.phase",
			"status.podIP", "status.nominatedNodeName"},
		.admit = pod_admit,
		.columns = pod_columns,
		.cells = pod_cells},
	{.group = "",
		.version = "v1",
		.plural = "endpoints",
		.kind = "Endpoints",
		.shorts = "ep",
		.flags = NS | BLIND | MAKE,
		.schema = endpoints_schema,
		.admit = endpoints_admit,
		.columns = endpoints_columns,
		.cells = endpoints_cells},
	{.group = "",
		.version = "v1",
		.plural = "events",
		.kind = "Event",
		.shorts = "ev",
		.flags = NS | BLIND | MAKE,
		.fields = {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
			"involvedObject.uid", "involvedObject.apiVersion",
			"involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
			"reportingComponent", "source", "type"},
		.schema = event_schema,
		.admit = event_admit,
		.columns = event_columns,
		.cells = event_cells},
	{.group = "",
		.version = "v1",
		.plural = "configmaps",
		.kind = "ConfigMap",
		.shorts = "cm",
		.flags = NS | BLIND,
		.schema = configmap_schema,
		.admit = configmap_admit,
		.columns = configmap_columns,
		.cells = configmap_cells},
	{.group = "",
		.version = "v1",
		.plural = "namespaces",
		.kind = "Namespace",
		.shorts = "ns",
		.flags = ST | BLIND | BACK,
		.fields = {"status.phase", "name"},
		.admit = namespace_admit,
		.columns = namespace_columns,
		.cells = namespace_cells},
	{.group = "",
		.version = "v1",
		.plural = "secrets",
		.kind = "Secret",
		.shorts = "",
		.flags = NS | BLIND,
		.fields = {"type"},
		.admit = secret_admit,
		.columns = secret_columns,
		.cells = secret_cells},
	{.group = "",
		.version = "v1",
		.plural = "serviceaccounts",
		.kind = "ServiceAccount",
		.shorts = "sa",
		.flags = NS | BACK,
		.columns = account_columns,
		.cells = account_cells},
	{.group = "events.k8s.io",
		.version = "v1",
		.plural = "events",
		.kind = "Event",
		.shorts = "ev",
		.flags = NS | BLIND | MAKE,
		.fields = {"regarding.kind", "regarding.namespace", "regarding.name",
			"regarding.uid", "regarding.apiVersion", "regarding.resourceVersion",
			"regarding.fieldPath", "reason", "reportingController", "source", "type"},
		.columns = event_columns,
		.cells = event_cells,
		.stored_group = "",
		.to_stored = event_to_core,
		.from_stored = event_from_core},
	{.group = "discovery.k8s.io",
		.version = "v1",
		.plural = "endpointslices",
		.kind = "EndpointSlice",
		.shorts = "",
		.flags = NS | BLIND | KIND_SINCE_1_21,
		.schema = slice_schema,
		.admit = slice_admit,
		.columns = slice_columns,
		.cells = slice_cells},
	{.group = "discovery.k8s.io",
		.version = "v1beta1",
		.plural = "endpointslices",
		.kind = "EndpointSlice",
		.shorts = "",
		.flags = NS | BLIND | KIND_UNTIL_1_20,
		.schema = slice_beta_schema,
		.admit = slice_admit,
		.columns = slice_columns,
		.cells = slice_cells},
	{.group = "coordination.k8s.io",
		.version = "v1",
		.plural = "leases",
		.kind = "Lease",
		.shorts = "",
		.flags = NS | MAKE,
		.schema = lease_schema,
		.admit = lease_admit,
		.columns = lease_columns,
		.cells = lease_cells},
	{.group = "apiextensions.k8s.io",
		.version = "v1",
		.plural = "customresourcedefinitions",
		.kind = "CustomResourceDefinition",
		.shorts = "crd,crds",
		.flags = ST | BLIND | BACK,
		.categories = "api-extensions",
		.admit = crd_admit,
		.columns = crd_columns,
		.cells = crd_cells},
	{.group = "authorization.k8s.io",
		.version = "v1",
		.plural = "selfsubjectaccessreviews",
		.kind = "SelfSubjectAccessReview",
		.shorts = "",
		.flags = KIND_CREATE_ONLY,
		.admit = access_review_admit},
	{.group = "authorization.k8s.io",
		.version = "v1",
		.plural = "selfsubjectrulesreviews",
		.kind = "SelfSubjectRulesReview",
		.shorts = "",
		.flags = KIND_CREATE_ONLY,
		.admit = rules_review_admit},
	{.group = "rbac.authorization.k8s.io",
		.version = "v1",
		.plural = "roles",
		.kind = "Role",
		.shorts = "",
		.flags = NS | BLIND | BACK},
	{.group = "rbac.authorization.k8s.io",
		.version = "v1",
		.plural = "rolebindings",
		.kind = "RoleBinding",
		.shorts = "",
		.flags = NS | BLIND | BACK},
	{.group = "rbac.authorization.k8s.io",
		.version = "v1",
		.plural = "clusterroles",
		.kind = "ClusterRole",
		.shorts = "",
		.flags = BLIND | BACK},
	{.group = "rbac.authorization.k8s.io",
		.version = "v1",
		.plural = "clusterrolebindings",
		.kind = "ClusterRoleBinding",
		.shorts = "",
		.flags = BLIND | BACK},
	{.group = "apps",
		.version = "v1",
		.plural = "daemonsets",
		.kind = "DaemonSet",
		.shorts = "ds",
		.flags = NS | ST | BLIND | BACK,
		.categories = "all"},
	{.group = "apps",
		.version = "v1",
		.plural = "deployments",
		.kind = "Deployment",
		.shorts = "deploy",
		.flags = NS | ST | BLIND | BACK,
		.categories = "all"},
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
	free(k->owned);
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

static void join_names(const cJSON *names, struct text *t)
{
	const cJSON *name;
	bool first = true;

	cJSON_ArrayForEach (name, names) {
		if (!cJSON_IsString(name))
			continue;
		text_fmt(t, "%s%s", first ? "" : ",", name->valuestring);
		first = false;
	}
	text_char(t, '\0');
}

static void own_strings(struct kind *k, const cJSON *spec, const char *version)
{
	const char **to[] = {&k->group, &k->version, &k->plural, &k->kind, &k->shorts};
	const char *from[] = {j_str(spec, "group"), version, j_str(spec, "names.plural"),
		j_str(spec, "names.kind")};
	struct text t = {0};
	const char *s;

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		text_add(&t, from[i], strlen(from[i]) + 1);
	join_names(j_at(spec, "names.shortNames"), &t);
	k->owned = t.p;
	s = t.p;
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		*to[i] = s;
		s += strlen(s) + 1;
	}
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
	own_strings(k, spec, j_str(version, "name"));
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
