/* SPDX-License-Identifier: Apache-2.0
 *
 * explain_text.c - explain.c's answer as lines for a person.
 *
 * In:   the tree.  Out: lines: a label of twelve columns, then what it says.
 */
#include "explain_text.h"

#include "json.h"

#include <string.h>

enum { LABEL = 12, RULE = 20 };

/* Annotations and the like are anybody's text: nothing of it may move a terminal. */
static void add(struct buf *out, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		buf_addc(out, *s >= ' ' && *s <= '~' ? *s : '?');
}

static void pad(struct buf *out, size_t from, size_t width)
{
	while (!out->bad && out->len < from + width)
		buf_addc(out, ' ');
	buf_addc(out, ' ');
}

/* A line begins; *io_label is said once. */
static void begin(struct buf *out, const char **io_label)
{
	size_t from = out->len;

	if (*io_label != NULL)
		buf_adds(out, *io_label);
	*io_label = NULL;
	pad(out, from, LABEL);
}

static void end(struct buf *out)
{
	buf_addc(out, '\n');
}

/* "word a, b" of an array of strings; nothing when it is empty. */
static void add_list(struct buf *out, const char *before, const cJSON *array)
{
	const cJSON *e;

	cJSON_ArrayForEach (e, array) {
		buf_adds(out, before);
		add(out, cJSON_GetStringValue(e));
		before = ", ";
	}
}

static void line_of_list(struct buf *out, const char *label, const cJSON *array, const char *none)
{
	begin(out, &label);
	if (cJSON_GetArraySize(array) > 0)
		add_list(out, "", array);
	else
		buf_adds(out, none);
	end(out);
}

static void put_first(struct buf *out, const cJSON *a)
{
	const char *service = json_string(a, "service");

	add(out, service != NULL ? service : json_string(a, "ip"));
	buf_adds(out, ": ");
	add(out, json_string(a, "text"));
	if (json_bool(a, "finding", true)) {
		buf_adds(out, " (");
		add(out, json_string(a, "reason"));
		buf_addc(out, ')');
	}
	end(out);
}

static void put_asks(struct buf *out, const cJSON *asks)
{
	const char *label = "asks for";
	const cJSON *e;

	if (asks == NULL || cJSON_GetArraySize(json_array(asks, "families")) == 0)
		return;
	begin(out, &label);
	add_list(out, "", json_array(asks, "families"));
	buf_adds(out, ", ");
	add(out, json_string(asks, "ipFamilyPolicy"));
	end(out);
	cJSON_ArrayForEach (e, json_array(asks, "fields")) {
		begin(out, &label);
		add(out, json_string(e, "field"));
		buf_adds(out, ": ");
		add(out, json_string(e, "value"));
		end(out);
	}
}

/* What has been decided, where the status is not it. */
static void put_decided(struct buf *out, const cJSON *a)
{
	const cJSON *decided = json_array(a, "decided");
	const char *label = "decided", *pool = json_string(a, "pool");

	if (json_string(a, "service") == NULL || cJSON_GetArraySize(decided) == 0)
		return;
	begin(out, &label);
	add_list(out, "", decided);
	if (pool != NULL) {
		buf_adds(out, " of pool ");
		add(out, pool);
	}
	end(out);
}

/* For a person. */
static const char *rule_words(const char *name)
{
	static const char *const word[][2] = {
		{"served", "is it ours"},
		{"families", "cluster IPs"},
		{"request", "what it asks for"},
		{"requestedPool", "asked for: pool"},
		{"held", "has already"},
		{"requestedAddress", "asked for"},
		{"status", "in its status"},
		{"sharingKey", "sharing key"},
		{"former", "had before"},
	};

	for (size_t i = 0; name != NULL && i < ARRAY_LEN(word); i++)
		if (strcmp(word[i][0], name) == 0)
			return word[i][1];
	return name;
}

static bool helps(const cJSON *rule)
{
	const char *reason = json_string(rule, "reason");

	return reason != NULL && strcmp(reason, "allocated") == 0;
}

static void put_rule(struct buf *out, const cJSON *rule, const char **io_label)
{
	const char *family = json_string(rule, "family"), *pool = json_string(rule, "pool"),
		   *ip = json_string(rule, "ip");
	size_t from;

	begin(out, io_label);
	buf_adds(out, helps(rule) ? "yes " : "no  ");
	from = out->len;
	if (family != NULL) {
		add(out, family);
		buf_addc(out, ' ');
	}
	add(out, rule_words(json_string(rule, "rule")));
	if (pool != NULL && ip == NULL) {
		buf_addc(out, ' ');
		add(out, pool);
	}
	pad(out, from, RULE);
	if (ip != NULL) {
		add(out, ip);
		buf_adds(out, pool != NULL ? " of " : "");
		add(out, pool);
		buf_adds(out, ": ");
	}
	add(out, json_string(rule, "text"));
	end(out);
}

static void put_rules(struct buf *out, const cJSON *a)
{
	const char *label = "rules tried";
	const cJSON *rule;
	long long left = json_int(a, "rulesLeftOut", 0, 1 << 30, 0);

	cJSON_ArrayForEach (rule, json_array(a, "rules"))
		put_rule(out, rule, &label);
	if (left > 0) {
		begin(out, &label);
		buf_addf(out, "and %lld more", left);
		end(out);
	}
}

static void put_path(struct buf *out, const cJSON *path, const char **io_label)
{
	const char *iface = json_string(path, "interface"), *mac = json_string(path, "foreignMac");

	begin(out, io_label);
	add(out, iface != NULL && iface[0] != '\0' ? iface : "no interface");
	buf_adds(out, json_bool(path, "announced", false) ? ": announced, " : ": not announced, ");
	add(out, json_string(path, "text"));
	buf_adds(out, " (");
	add(out, json_string(path, "reason"));
	buf_addc(out, ')');
	if (mac != NULL) {
		buf_adds(out, "; the foreign host ");
		add(out, mac);
		buf_adds(out, " was heard");
	}
	end(out);
}

static void put_next(struct buf *out, const cJSON *vip)
{
	const cJSON *without = json_object(vip, "without");
	const char *label = "then", *next = json_string(vip, "next");

	begin(out, &label);
	if (without == NULL) {
		buf_adds(out, next != NULL ? "node " : "no other node could take it");
		add(out, next);
		buf_adds(out, next != NULL ? " would be next" : "");
	} else {
		const char *owner = json_string(without, "owner");
		bool moves = json_bool(without, "moves", false);

		buf_adds(out, "without ");
		add(out, json_string(without, "node"));
		buf_adds(out, owner == NULL ? ": nobody could take it"
			      : moves       ? ": it goes to "
					    : ": it stays with ");
		add(out, owner);
	}
	end(out);
}

static void put_vip(struct buf *out, const cJSON *vip, const char *node)
{
	const char *label = "address", *owner = json_string(vip, "owner"),
		   *pool = json_string(vip, "pool");
	const cJSON *path, *ads = json_array(vip, "advertisements");

	begin(out, &label);
	add(out, json_string(vip, "ip"));
	buf_adds(out, pool != NULL ? " of pool " : "");
	add(out, pool);
	buf_adds(out, owner != NULL ? ": owned by node " : ": owned by nobody that is known");
	add(out, owner);
	add_list(out,
		ads != NULL && cJSON_GetArraySize(ads) > 1 ? "; advertisements "
							   : "; advertisement ",
		ads);
	end(out);
	if (cJSON_GetArraySize(json_array(vip, "services")) > 1)
		line_of_list(out, "shared by", json_array(vip, "services"), "");
	if (json_string(vip, "state") == NULL) /* by the API alone */
		return;
	label = "here";
	begin(out, &label);
	add(out, node);
	buf_adds(out, json_bool(vip, "eligibleHere", false) ? " may announce it: "
							    : " may not announce it: ");
	add(out, json_string(vip, "state"));
	end(out);
	cJSON_ArrayForEach (path, json_array(vip, "here"))
		put_path(out, path, &label);
	put_next(out, vip);
}

static void put_shown(struct buf *out, const cJSON *services)
{
	const char *label = "shown by";
	const cJSON *s;

	cJSON_ArrayForEach (s, services) {
		begin(out, &label);
		add(out, json_string(s, "name"));
		if (!json_bool(s, "lawful", true)) {
			buf_adds(out, ", unlawfully: ");
			add(out, json_string(s, "text"));
		}
		end(out);
	}
}

static void put_notes(struct buf *out, const cJSON *notes)
{
	const char *label = "note";
	const cJSON *n;

	cJSON_ArrayForEach (n, notes) {
		begin(out, &label);
		add(out, cJSON_GetStringValue(n));
		end(out);
	}
}

void explain_text(const cJSON *answer, struct buf *out)
{
	const cJSON *vip;

	put_first(out, answer);
	if (json_array(answer, "status") != NULL)
		line_of_list(out, "status", json_array(answer, "status"), "shows no address");
	if (json_array(answer, "wouldWrite") != NULL)
		line_of_list(out, "would be", json_array(answer, "wouldWrite"), "cleared");
	put_decided(out, answer);
	put_asks(out, json_object(answer, "asks"));
	put_rules(out, answer);
	put_shown(out, json_array(answer, "services"));
	cJSON_ArrayForEach (vip, json_array(answer, "vips"))
		put_vip(out, vip, json_string(answer, "node"));
	put_notes(out, json_array(answer, "notes"));
}
