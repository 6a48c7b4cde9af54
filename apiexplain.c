/* SPDX-License-Identifier: Apache-2.0
 *
 * apiexplain.c - kubectl lbd explain: what the API alone tells of a Service or an address.
 *
 * In:   apiview.c's tree.  Out: an answer as explain.c makes it, with less in it.
 */
#include "apiexplain.h"

#include "addr.h"
#include "buf.h"
#include "finding.h"
#include "json.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 1024, MAX_CANDIDATES = 8, MAX_KEY = 512 };

struct verdict {
	char text[MAX_TEXT];
	const char *reason;
	bool finding;
};

static cJSON *refusal(const char *why)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "error", why);
	return o;
}

static bool is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static const cJSON *vip_of(const cJSON *dump, const char *ip)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, json_array(dump, "vips"))
		if (ip != NULL && is(json_string(v, "ip"), ip))
			return v;
	return NULL;
}

static void judge_vip(const cJSON *dump, const cJSON *vip, struct verdict *w)
{
	const cJSON *here = cJSON_GetArrayItem(json_array(vip, "here"), 0);
	const char *ip = or_empty(json_string(vip, "ip")), *owner = json_string(vip, "owner");

	*w = (struct verdict){.reason = or_empty(json_string(here, "reason"))};
	if (finding_is_hijacked(dump, vip)) {
		w->reason = "conflict";
		w->finding = true;
		(void)snprintf(w->text, sizeof w->text,
			"a foreign host, MAC %s, claims %s, too: clients may reach that host instead",
			or_empty(json_string(vip, "foreignMac")), ip);
	} else if (finding_gone_owner(dump, vip) != NULL) {
		w->reason = "noOwner";
		w->finding = true;
		(void)snprintf(w->text, sizeof w->text,
			"node %s, which announced %s, is gone, and no other claims it yet",
			finding_gone_owner(dump, vip), ip);
	} else if (owner != NULL) {
		w->reason = "announced";
		(void)snprintf(w->text, sizeof w->text, "node %s answers for %s", owner, ip);
	} else {
		w->finding = finding_is_unanswered(vip);
		(void)snprintf(
			w->text, sizeof w->text, "%s: %s", ip, or_empty(json_string(here, "text")));
	}
}

static void put_verdict(cJSON *answer, const struct verdict *w)
{
	(void)cJSON_AddStringToObject(answer, "text", w->text);
	(void)cJSON_AddStringToObject(answer, "reason", w->reason);
	(void)cJSON_AddBoolToObject(answer, "finding", w->finding);
}

static void put_vip(cJSON *list, const cJSON *vip)
{
	static const char *const keys[] = {"ip", "pool", "owner", "services"};
	cJSON *o = cJSON_CreateObject();

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		(void)cJSON_AddItemToObject(
			o, keys[i], cJSON_Duplicate(json_get(vip, keys[i]), true));
	(void)cJSON_AddItemToArray(list, o);
}

static void put_note(cJSON *answer, const char *what)
{
	char note[MAX_TEXT];

	(void)snprintf(note, sizeof note,
		"so far the API; the rules that were tried, interfaces, and who would be next: `lbd "
		"explain %.300s` on a node",
		what);
	(void)cJSON_AddItemToArray(
		cJSON_AddArrayToObject(answer, "notes"), cJSON_CreateString(note));
}

/* The first address with which something is wrong decides. */
static cJSON *explain_service(const cJSON *dump, const cJSON *service)
{
	cJSON *answer = cJSON_CreateObject(), *vips = cJSON_CreateArray();
	const char *key = json_string(service, "name");
	struct verdict w = {.reason = or_empty(json_string(service, "reason")),
		.finding = finding_service(service)};
	const cJSON *ip;
	bool any = false;

	(void)snprintf(w.text, sizeof w.text, "%s", or_empty(json_string(service, "text")));
	cJSON_ArrayForEach (ip, json_array(service, "ips")) {
		const cJSON *vip = vip_of(dump, cJSON_GetStringValue(ip));
		struct verdict v;

		if (vip == NULL)
			continue;
		put_vip(vips, vip);
		judge_vip(dump, vip, &v);
		if (!w.finding && (!any || v.finding))
			w = v;
		any = true;
	}
	(void)cJSON_AddStringToObject(answer, "service", key);
	put_verdict(answer, &w);
	(void)cJSON_AddItemToObject(
		answer, "status", cJSON_Duplicate(json_array(service, "ips"), true));
	(void)cJSON_AddItemToObject(answer, "vips", vips);
	put_note(answer, key);
	return answer;
}

static cJSON *explain_address(const cJSON *dump, struct addr a)
{
	char ip[ADDR_STRLEN];
	const cJSON *vip = vip_of(dump, addr_format(a, ip));
	cJSON *answer;
	struct verdict w;

	if (vip == NULL)
		return refusal("no Service that lbd serves shows this address");
	answer = cJSON_CreateObject();
	judge_vip(dump, vip, &w);
	(void)cJSON_AddStringToObject(answer, "ip", ip);
	put_verdict(answer, &w);
	put_vip(cJSON_AddArrayToObject(answer, "vips"), vip);
	put_note(answer, ip);
	return answer;
}

static const cJSON *service_of(const cJSON *dump, const char *key)
{
	const cJSON *s;

	cJSON_ArrayForEach (s, json_array(dump, "services"))
		if (is(json_string(s, "name"), key))
			return s;
	return NULL;
}

static void say_none(const cJSON *dump, const char *what, struct buf *why)
{
	char swapped[MAX_KEY];

	buf_addf(why, "there is no Service %.300s%s of type LoadBalancer", what,
		strchr(what, '/') != NULL ? " (NAMESPACE/NAME)" : "");
	if (text_swap(what, swapped, sizeof swapped) && service_of(dump, swapped) != NULL)
		buf_addf(why, ": did you mean %s?", swapped);
}

/* NAMESPACE/NAME, or a NAME that one namespace alone has; NULL: why says why not. */
static const cJSON *find_service(const cJSON *dump, const char *what, struct buf *why)
{
	const cJSON *s, *found = service_of(dump, what);
	unsigned n = 0;

	if (found != NULL)
		return found;
	cJSON_ArrayForEach (s, json_array(dump, "services")) {
		const char *key = json_string(s, "name"),
			   *slash = key != NULL ? strchr(key, '/') : NULL;

		if (slash == NULL || !is(slash + 1, what))
			continue;
		found = s;
		if (++n <= MAX_CANDIDATES)
			buf_addf(why, "%s%s", n > 1 ? ", " : "Services of that name: ", key);
	}
	if (n == 0)
		say_none(dump, what, why);
	return n == 1 ? found : NULL;
}

cJSON *apiexplain(const cJSON *dump, const char *what)
{
	const cJSON *service;
	struct addr a;
	struct buf why;
	cJSON *answer;

	if (addr_parse(what, strlen(what), &a) == 0)
		return explain_address(dump, a);
	buf_init(&why, 16384);
	service = find_service(dump, what, &why);
	answer = service != NULL ? explain_service(dump, service)
				 : refusal(why.p != NULL ? why.p : "out of memory");
	buf_free(&why);
	return answer;
}
