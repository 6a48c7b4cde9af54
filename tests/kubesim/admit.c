/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.c - defaults and validation of all kinds but Service.
 *
 * In: trees from requests.  Out: the tree with defaults, field errors.
 * Sources: pkg/apis/(core,coordination,discovery)/(v1/defaults.go, validation/validation.go).
 */
#include "admit.h"

#include "kinds.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANNOTATIONS_MAX = 256 * 1024, DATA_MAX = 1024 * 1024, NAME_MAX_LEN = 253 };

static void add_cause(struct admit *a, const char *reason, const char *field, const char *message)
{
	cJSON *cause;

	if (!a->causes)
		a->causes = cJSON_CreateArray();
	if (cJSON_GetArraySize(a->causes) >= 32)
		return;
	cause = cJSON_CreateObject();
	j_set_str(cause, "reason", reason);
	j_set_str(cause, "message", message);
	j_set_str(cause, "field", field);
	cJSON_AddItemToArray(a->causes, cause);
	text_fmt(&a->message, "%s%s: %s", a->message.n ? ", " : "", field, message);
}

void admit_invalid(struct admit *a, const char *field, const cJSON *value, const char *why)
{
	struct text t = {0};

	text_str(&t, "Invalid value: ");
	if (value)
		j_print(value, &t);
	else
		text_str(&t, "null");
	text_fmt(&t, ": %s", why);
	add_cause(a, "FieldValueInvalid", field, t.p);
	text_free(&t);
}

static void add_worded(
	struct admit *a, const char *reason, const char *word, const char *field, const char *why)
{
	struct text t = {0};

	text_fmt(&t, "%s%s%s", word, *why ? ": " : "", why);
	add_cause(a, reason, field, t.p);
	text_free(&t);
}

void admit_required(struct admit *a, const char *field, const char *why)
{
	add_worded(a, "FieldValueRequired", "Required value", field, why);
}

void admit_forbidden(struct admit *a, const char *field, const char *why)
{
	add_worded(a, "FieldValueForbidden", "Forbidden", field, why);
}

void admit_duplicate(struct admit *a, const char *field, const char *value)
{
	add_worded(a, "FieldValueDuplicate", "Duplicate value", field, value);
}

void admit_unsupported(struct admit *a, const char *field, const char *value, const char *choices)
{
	struct text t = {0};

	text_fmt(&t, "Unsupported value: \"%s\": supported values: %s", value, choices);
	add_cause(a, "FieldValueNotSupported", field, t.p);
	text_free(&t);
}

bool admit_ok(const struct admit *a)
{
	return !a->causes && !a->code;
}

void admit_free(struct admit *a)
{
	cJSON_Delete(a->causes);
	text_free(&a->message);
}

/* -- names -- */

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool is_label(const char *s, size_t n)
{
	if (!n || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_label_char(s[i]))
			return false;
	}
	return true;
}

bool is_dns_label(const char *s)
{
	return is_label(s, strlen(s));
}

bool is_dns_1035(const char *s)
{
	return is_dns_label(s) && s[0] >= 'a' && s[0] <= 'z';
}

bool is_dns_subdomain(const char *s)
{
	size_t total = strlen(s);

	if (!total || total > NAME_MAX_LEN)
		return false;
	for (;;) {
		size_t n = strcspn(s, ".");

		/* a subdomain's parts may be longer than 63, as apimachinery's regexp allows */
		if (!is_label(s, n > 63 ? 63 : n))
			return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
}

bool is_ip(const char *s)
{
	struct in6_addr a;

	return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

bool is_cidr(const char *s)
{
	size_t n = strcspn(s, "/");
	char ip[64];
	uint64_t bits;

	if (s[n] != '/' || n >= sizeof(ip) || !parse_u64(s + n + 1, &bits))
		return false;
	memcpy(ip, s, n);
	ip[n] = '\0';
	return is_ip(ip) && bits <= (strchr(ip, ':') ? 128 : 32);
}

static bool is_label_value(const char *s)
{
	size_t n = strlen(s);

	if (!n)
		return true;
	if (n > 63 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	}
	return true;
}

/* Annotations may have capitals in the prefix. */
static bool is_qualified_name(const char *s, bool fold)
{
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : 0;
	char prefix[NAME_MAX_LEN + 1];

	if (n >= sizeof(prefix) || (slash && strchr(slash + 1, '/')))
		return false;
	for (size_t i = 0; i < n; i++)
		prefix[i] = fold ? (char)tolower((unsigned char)s[i]) : s[i];
	prefix[n] = '\0';
	if (slash && !is_dns_subdomain(prefix))
		return false;
	return *(slash ? slash + 1 : s) && is_label_value(slash ? slash + 1 : s);
}

static void admit_labels(struct admit *a)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, j_at(a->obj, "metadata.labels")) {
		if (!is_qualified_name(v->string, false) || !cJSON_IsString(v) ||
			!is_label_value(v->valuestring))
			admit_invalid(a, "metadata.labels", v,
				"a valid label must be an empty string or consist of alphanumeric "
				"characters, '-', '_' or '.', and must start and end with an "
				"alphanumeric character");
	}
}

static void admit_annotations(struct admit *a)
{
	const cJSON *v;
	size_t total = 0;

	cJSON_ArrayForEach (v, j_at(a->obj, "metadata.annotations")) {
		total += strlen(v->string);
		total += cJSON_IsString(v) ? strlen(v->valuestring) : 0;
		if (!is_qualified_name(v->string, true))
			admit_invalid(a, "metadata.annotations", v, "name part must be valid");
	}
	if (total > ANNOTATIONS_MAX)
		add_worded(a, "FieldValueTooLong", "Too long", "metadata.annotations",
			"may not be more than 262144 bytes");
}

static bool name_ok(const struct admit *a, const char *name)
{
	if (!strcmp(a->kind->group, "rbac.authorization.k8s.io"))
		return !strpbrk(name, "/%");
	if (!strcmp(a->kind->plural, "services") && !*a->kind->group)
		return is_dns_1035(name);
	if (!strcmp(a->kind->plural, "namespaces") && !*a->kind->group)
		return is_dns_label(name);
	return is_dns_subdomain(name);
}

void admit_meta(struct admit *a)
{
	const char *name = j_str(a->obj, "metadata.name");

	if (!*name)
		admit_required(a, "metadata.name", "name or generateName is required");
	else if (!a->old && !name_ok(a, name))
		admit_invalid(a, "metadata.name", j_at(a->obj, "metadata.name"),
			"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
			"characters, '-' or '.', and must start and end with an alphanumeric "
			"character");
	admit_labels(a);
	admit_annotations(a);
}

/* -- the kinds -- */

void lease_admit(struct admit *a)
{
	const cJSON *spec = j_get(a->obj, "spec");

	if (j_get(spec, "leaseDurationSeconds") && j_num(spec, "leaseDurationSeconds", 0) <= 0)
		admit_invalid(a, "spec.leaseDurationSeconds", j_get(spec, "leaseDurationSeconds"),
			"must be greater than 0");
	if (j_num(spec, "leaseTransitions", 0) < 0)
		admit_invalid(a, "spec.leaseTransitions", j_get(spec, "leaseTransitions"),
			"must be greater than or equal to 0");
	if (a->old_server && cJSON_IsObject(spec)) {
		j_del(j_get(a->obj, "spec"), "strategy");
		j_del(j_get(a->obj, "spec"), "preferredHolder");
	}
	j_obj(a->obj, "spec");
}

void node_admit(struct admit *a)
{
	const cJSON *spec = j_obj(a->obj, "spec"), *taint;

	if (a->old && j_has_str(a->old, "spec.podCIDR") &&
		strcmp(j_str(a->old, "spec.podCIDR"), j_str(spec, "podCIDR")) != 0)
		admit_forbidden(a, "spec.podCIDR",
			"node updates may not change podCIDR except "
			"from \"\" to valid");
	cJSON_ArrayForEach (taint, j_get(spec, "taints")) {
		if (!j_has_str(taint, "key"))
			admit_required(a, "spec.taints.key", "");
		if (!j_has_str(taint, "effect"))
			admit_required(a, "spec.taints.effect", "");
	}
	j_obj(a->obj, "status");
}

void pod_admit(struct admit *a)
{
	cJSON *spec = j_obj(a->obj, "spec"), *status = j_obj(a->obj, "status");
	cJSON *container;

	if (!j_len(spec, "containers"))
		admit_required(a, "spec.containers", "");
	cJSON_ArrayForEach (container, j_get(spec, "containers")) {
		if (!j_has_str(container, "name"))
			admit_required(a, "spec.containers.name", "");
		if (!j_get(container, "resources"))
			j_set(container, "resources", cJSON_CreateObject());
	}
	if (!j_has_str(spec, "restartPolicy"))
		j_set_str(spec, "restartPolicy", "Always");
	if (!j_has_str(status, "phase"))
		j_set_str(status, "phase", "Pending");
	if (a->old && j_has_str(a->old, "spec.nodeName") &&
		strcmp(j_str(a->old, "spec.nodeName"), j_str(spec, "nodeName")) != 0)
		admit_forbidden(a, "spec", "pod updates may not change spec.nodeName");
}

static void endpoint_addresses(struct admit *a, const cJSON *list, const char *field)
{
	const cJSON *address;

	cJSON_ArrayForEach (address, list) {
		const char *ip = j_str(address, "ip");

		if (!is_ip(ip))
			admit_invalid(a, field, j_get(address, "ip"), "must be a valid IP address");
		else if (!strncmp(ip, "127.", 4))
			admit_invalid(a, field, j_get(address, "ip"),
				"may not be in the loopback range (127.0.0.0/8, ::1/128)");
		else if (!strncmp(ip, "169.254.", 8))
			admit_invalid(a, field, j_get(address, "ip"),
				"may not be in the link-local range (169.254.0.0/16, fe80::/10)");
	}
}

static void ports_admit(struct admit *a, cJSON *ports, const char *field)
{
	cJSON *port;

	cJSON_ArrayForEach (port, ports) {
		double n = j_num(port, "port", 0);

		if (!j_has_str(port, "protocol"))
			j_set_str(port, "protocol", "TCP");
		if (n < 1 || n > 65535)
			admit_invalid(a, field, j_get(port, "port"),
				"must be between 1 and 65535, inclusive");
		if (!j_has_str(port, "name") && cJSON_GetArraySize(ports) > 1)
			admit_required(a, field, "name");
	}
}

void endpoints_admit(struct admit *a)
{
	const cJSON *subset;

	cJSON_ArrayForEach (subset, j_get(a->obj, "subsets")) {
		if (!j_len(subset, "addresses") && !j_len(subset, "notReadyAddresses"))
			admit_required(
				a, "subsets[0]", "must specify `addresses` or `notReadyAddresses`");
		endpoint_addresses(a, j_get(subset, "addresses"), "subsets[0].addresses[0].ip");
		endpoint_addresses(a, j_get(subset, "notReadyAddresses"),
			"subsets[0].notReadyAddresses[0].ip");
		ports_admit(a, j_get(subset, "ports"), "subsets[0].ports[0].port");
	}
}

static void slice_endpoint(struct admit *a, const cJSON *endpoint, const char *type)
{
	const cJSON *address;

	if (!j_len(endpoint, "addresses"))
		admit_required(a, "endpoints[0].addresses", "must contain at least 1 address");
	cJSON_ArrayForEach (address, j_get(endpoint, "addresses")) {
		bool v6 = strchr(address->valuestring, ':') != NULL;

		if (!strcmp(type, "FQDN")
				? !is_dns_subdomain(address->valuestring)
				: !is_ip(address->valuestring) || v6 != !strcmp(type, "IPv6"))
			admit_invalid(a, "endpoints[0].addresses[0]", address,
				"must be a valid address of the slice's addressType");
	}
}

void slice_admit(struct admit *a)
{
	const char *type = j_str(a->obj, "addressType");
	const cJSON *endpoint;
	cJSON *port;

	if (!*type)
		admit_required(a, "addressType", "");
	else if (strcmp(type, "IPv4") != 0 && strcmp(type, "IPv6") != 0 &&
		 strcmp(type, "FQDN") != 0)
		admit_unsupported(a, "addressType", type, "\"FQDN\", \"IPv4\", \"IPv6\"");
	if (a->old && strcmp(type, j_str(a->old, "addressType")) != 0)
		admit_invalid(a, "addressType", j_get(a->obj, "addressType"), "field is immutable");
	if (j_len(a->obj, "endpoints") > 1000)
		add_worded(a, "FieldValueTooMany", "Too many", "endpoints",
			"must have at most 1000 items");
	cJSON_ArrayForEach (endpoint, j_get(a->obj, "endpoints"))
		slice_endpoint(a, endpoint, type);
	if (!j_get(a->obj, "endpoints"))
		j_set(a->obj, "endpoints", cJSON_CreateArray());
	cJSON_ArrayForEach (port, j_get(a->obj, "ports")) {
		if (!j_get(port, "name"))
			j_set_str(port, "name", "");
		if (!j_has_str(port, "protocol"))
			j_set_str(port, "protocol", "TCP");
	}
}

void event_admit(struct admit *a)
{
	const char *of = j_str(a->obj, "involvedObject.namespace");
	const char *ns = j_str(a->obj, "metadata.namespace");
	bool new_style = j_has_str(a->obj, "eventTime");
	bool home = !strcmp(ns, "default") || (new_style && !strcmp(ns, "kube-system"));

	if (*of ? strcmp(of, ns) != 0 : !home)
		admit_invalid(a, "involvedObject.namespace",
			j_at(a->obj, "involvedObject.namespace"), "does not match event.namespace");
	if (!new_style)
		return;
	/* written through events.k8s.io: its stricter rules */
	if (!j_has_str(a->obj, "reportingComponent"))
		admit_required(a, "reportingController", "");
	if (!j_has_str(a->obj, "reportingInstance"))
		admit_required(a, "reportingInstance", "");
	if (!j_has_str(a->obj, "action"))
		admit_required(a, "action", "");
	if (!j_has_str(a->obj, "reason"))
		admit_required(a, "reason", "");
}

static bool is_data_key(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > NAME_MAX_LEN || !strcmp(s, ".") || !strncmp(s, "..", 2))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	}
	return true;
}

void configmap_admit(struct admit *a)
{
	const cJSON *v;
	size_t total = 0;

	cJSON_ArrayForEach (v, j_get(a->obj, "data")) {
		total += strlen(v->string) + (cJSON_IsString(v) ? strlen(v->valuestring) : 0);
		if (!is_data_key(v->string))
			admit_invalid(a, "data", v,
				"a valid config key must consist of alphanumeric characters, '-', "
				"'_' or '.'");
	}
	if (total > DATA_MAX)
		add_worded(a, "FieldValueTooLong", "Too long", "data",
			"may not be more than 1048576 bytes");
	if (a->old && j_bool(a->old, "immutable", false) &&
		!j_eq(j_get(a->old, "data"), j_get(a->obj, "data")))
		admit_forbidden(a, "data", "field is immutable when `immutable` is set");
}

void namespace_admit(struct admit *a)
{
	cJSON *labels;

	if (a->old)
		return;
	labels = j_obj(j_obj(a->obj, "metadata"), "labels");
	j_set_str(labels, "kubernetes.io/metadata.name", j_str(a->obj, "metadata.name"));
	j_set(j_obj(a->obj, "spec"), "finalizers", j_strings((const char *[]){"kubernetes"}, 1));
	j_set_str(j_obj(a->obj, "status"), "phase", "Active");
}

/* stringData is folded into data; type defaults to Opaque. */
void secret_admit(struct admit *a)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, j_get(a->obj, "stringData")) {
		struct text t = {0};

		if (!cJSON_IsString(v))
			continue;
		b64_encode(v->valuestring, strlen(v->valuestring), &t);
		j_set_str(j_obj(a->obj, "data"), v->string, t.p ? t.p : "");
		text_free(&t);
	}
	j_del(a->obj, "stringData");
	if (!j_has_str(a->obj, "type"))
		j_set_str(a->obj, "type", "Opaque");
}

void crd_admit(struct admit *a)
{
	const cJSON *spec = j_get(a->obj, "spec"), *names = j_get(spec, "names");
	struct text want = {0};
	cJSON *status, *conditions, *c;

	text_fmt(&want, "%s.%s", j_str(names, "plural"), j_str(spec, "group"));
	if (strcmp(want.p, j_str(a->obj, "metadata.name")) != 0)
		admit_invalid(a, "metadata.name", j_at(a->obj, "metadata.name"),
			"must be spec.names.plural+\".\"+spec.group");
	text_free(&want);
	if (!j_has_str(names, "kind"))
		admit_required(a, "spec.names.kind", "");
	if (!j_len(spec, "versions"))
		admit_required(a, "spec.versions", "");
	if (a->old)
		return;
	status = j_obj(a->obj, "status");
	j_set(status, "acceptedNames", j_dup(names));
	conditions = cJSON_CreateArray();
	for (int i = 0; i < 2; i++) {
		c = cJSON_CreateObject();
		j_set_str(c, "type", i ? "Established" : "NamesAccepted");
		j_set_str(c, "status", "True");
		j_set_str(c, "reason", i ? "InitialNamesAccepted" : "NoConflicts");
		cJSON_AddItemToArray(conditions, c);
	}
	j_set(status, "conditions", conditions);
}

void access_review_admit(struct admit *a)
{
	j_set(j_obj(a->obj, "status"), "allowed", cJSON_CreateTrue());
}

void rules_review_admit(struct admit *a)
{
	cJSON *status = j_obj(a->obj, "status"), *rule = cJSON_CreateObject();
	cJSON *rules = cJSON_CreateArray();
	const char *const all[] = {"*"};

	j_set(rule, "verbs", j_strings(all, 1));
	j_set(rule, "apiGroups", j_strings(all, 1));
	j_set(rule, "resources", j_strings(all, 1));
	cJSON_AddItemToArray(rules, rule);
	j_set(status, "resourceRules", rules);
	j_set(status, "nonResourceRules", cJSON_CreateArray());
	j_set(status, "incomplete", cJSON_CreateFalse());
}
