/* SPDX-License-Identifier: Apache-2.0
 *
 * rival.c - which other program writes a Service's status, and what to do about it.
 *
 * In:   a Service as the API answers it.  Out: a name, a sentence.
 * Sources: k8s.io/apimachinery ObjectMeta.managedFields; client-go's default user agents (the
 *       program's file name), which the server takes for the manager.
 */
#include "rival.h"

#include "json.h"

#include <string.h>

static bool writes_status(const cJSON *entry)
{
	const cJSON *status = json_object(json_object(entry, "fieldsV1"), "f:status");

	return json_object(status, "f:loadBalancer") != NULL;
}

static bool is_ours(const char *manager)
{
	return strcmp(manager, "lbd") == 0;
}

/* Times of the API, RFC 3339 in UTC, compare as text. */
void rival_name(const cJSON *service, char ret_name[RIVAL_MAX_NAME + 1])
{
	const cJSON *list = json_array(json_object(service, "metadata"), "managedFields"), *i;
	const char *found = "", *found_time = "";
	size_t n;

	cJSON_ArrayForEach (i, list) {
		const char *manager = json_string(i, "manager"), *time = json_string(i, "time");
		bool better;

		if (manager == NULL || *manager == '\0' || !writes_status(i))
			continue;
		time = time != NULL ? time : "";
		better = *found == '\0' || (is_ours(found) && !is_ours(manager)) ||
			 (is_ours(found) == is_ours(manager) && strcmp(time, found_time) > 0);
		if (!better)
			continue;
		found = manager;
		found_time = time;
	}
	for (n = 0; found[n] != '\0' && n < RIVAL_MAX_NAME; n++) {
		ret_name[n] = found[n];
		if (found[n] <= ' ' || found[n] > '~')
			ret_name[n] = '?';
	}
	ret_name[n] = '\0';
}

bool rival_shows(const cJSON *service, const struct addr *ips, size_t n)
{
	const cJSON *lb = json_object(json_object(service, "status"), "loadBalancer"), *i;
	size_t shown = 0;

	cJSON_ArrayForEach (i, json_array(lb, "ingress")) {
		const char *ip = json_string(i, "ip");
		struct addr a;
		size_t at = 0;

		if (ip == NULL || addr_parse(ip, strlen(ip), &a) != 0)
			return false;
		while (at < n && !addr_eq(ips[at], a))
			at++;
		if (at == n)
			return false;
		shown++;
	}
	return shown == n;
}

const char *rival_remedy(const char *name)
{
	static const struct {
		const char *name;
		bool whole; /* else a part of the name is enough */
		const char *remedy;
	} known[] = {
		{"k3s", true,
			"k3s's servicelb: start k3s with --disable servicelb, on every server"},
		{"cloud-controller-manager", false,
			"k3s's servicelb or another cloud controller: start k3s with --disable "
			"servicelb, or that controller without its service controller"},
		{"controller", true,
			"MetalLB's controller has this name: delete its deployment (kubectl -n "
			"metallb-system delete deployment controller)"},
		{"metallb", false,
			"MetalLB: delete its deployment (kubectl -n metallb-system delete "
			"deployment controller)"},
		{"kube-vip", false,
			"kube-vip: delete it and its cloud provider, or set svc_enable=false"},
		{"openelb", false, "OpenELB: delete its deployment and its DaemonSet"},
		{"lbd", true,
			"another lbd, which does not know of this one: delete it, or give both "
			"the same elections.namespace"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].whole ? strcmp(name, known[i].name) == 0
				   : strstr(name, known[i].name) != NULL)
			return known[i].remedy;
	return "stop it from serving Services of type LoadBalancer, or give them a "
	       "loadBalancerClass that only one of the two serves";
}

void rival_words(const char *name, const char *what, struct buf *out)
{
	if (*name != '\0')
		buf_addf(out, "another program, \"%s\", writes %s, too", name, what);
	else
		buf_addf(out, "another program, whose name the API did not record, writes %s, too",
			what);
	buf_addf(out, ": lbd corrects it every 10 minutes only.  %s", rival_remedy(name));
}
