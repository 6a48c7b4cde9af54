/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_rules.c - do a firewall's rules drop BFD or BGP that comes in?
 *
 * In:   nft's JSON, or iptables-save's lines -> rules, for one packet at a time: matches it, may
 *       match it, does not; and what happens then.
 * Out:  the verdict of the chains at the hook input.
 * Sources: libnftables-json(5), iptables-extensions(8).
 */
#include "doctor_rules.h"

#include "json.h"

#include <string.h>

enum { MAX_RULES = 20000, MAX_JUMPS = 8, MAX_STEPS = 2000000, MAX_WORDS = 64 };

enum match { NO_MATCH, MAY_MATCH, MATCH };

struct packet {
	const char *proto;
	unsigned port;
};

static const struct packet packets[DOCTOR_PACKETS] = {{"tcp", 179}, {"udp", 3784}, {"udp", 4784}};

enum then { THEN_NOTHING, THEN_ACCEPT, THEN_DROP, THEN_JUMP, THEN_RETURN };

/* All strings are borrowed from what was read. */
struct rule {
	const char *family, *table, *chain;
	const char *target; /* of THEN_JUMP */
	enum match match;
	enum then then;
	bool names_port; /* it is about this packet's port */
};

struct rules {
	struct rule *v; /* owned */
	size_t n;
	size_t steps; /* that were taken */
	bool too_many;
	bool may_accept, may_drop; /* seen on the way: a rule that might match */
};

static enum match lesser(enum match a, enum match b)
{
	return a < b ? a : b;
}

static enum match inverse(enum match m, bool really)
{
	if (!really || m == MAY_MATCH)
		return m;
	return m == MATCH ? NO_MATCH : MATCH;
}

static void add_rule(struct rules *r, const struct rule *rule)
{
	if (r->n == MAX_RULES)
		r->too_many = true;
	else if (rule->match != NO_MATCH && rule->then != THEN_NOTHING)
		r->v[r->n++] = *rule;
}

/* -- what happens to the packet -- */

static bool in_chain(const struct rule *a, const struct rule *like, const char *chain)
{
	return strcmp(a->chain, chain) == 0 && strcmp(a->table, like->table) == 0 &&
	       strcmp(a->family, like->family) == 0;
}

static void note_doubt(struct rules *r, const struct rule *rule, enum then then)
{
	r->may_accept |= then == THEN_ACCEPT;
	r->may_drop |= then == THEN_DROP && rule->names_port;
}

/* THEN_ACCEPT, THEN_DROP, or THEN_NOTHING: the chain ended. */
static enum then walk(struct rules *r, const struct rule *like, const char *chain, unsigned depth)
{
	bool may_return =
		false; /* a rule that might match returned: what follows might not happen */

	for (size_t i = 0; i < r->n; i++) {
		const struct rule *rule = &r->v[i];
		enum then then = rule->then;

		if (++r->steps > MAX_STEPS) {
			r->too_many = true;
			return THEN_NOTHING;
		}
		if (!in_chain(rule, like, chain))
			continue;
		if (then == THEN_JUMP)
			then = depth < MAX_JUMPS ? walk(r, rule, rule->target, depth + 1)
						 : THEN_NOTHING;
		if (then == THEN_RETURN && rule->match == MATCH)
			return THEN_NOTHING;
		may_return |= then == THEN_RETURN;
		if (then != THEN_ACCEPT && then != THEN_DROP)
			continue;
		if (rule->match == MATCH && !may_return)
			return then;
		note_doubt(r, rule, then);
	}
	return THEN_NOTHING;
}

static enum doctor_verdict judge(struct rules *r, const struct rule *base, bool policy_drops)
{
	enum then then;

	r->may_accept = r->may_drop = false;
	then = walk(r, base, base->chain, 0);
	if (r->too_many)
		return DOCTOR_CANNOT_TELL;
	if (then == THEN_DROP || (then == THEN_NOTHING && policy_drops))
		return r->may_accept ? DOCTOR_CANNOT_TELL : DOCTOR_DROPPED;
	return r->may_drop ? DOCTOR_CANNOT_TELL : DOCTOR_OPEN;
}

enum doctor_verdict doctor_rules_worse(enum doctor_verdict a, enum doctor_verdict b)
{
	if (a == DOCTOR_DROPPED || b == DOCTOR_DROPPED)
		return DOCTOR_DROPPED;
	return a == DOCTOR_CANNOT_TELL ? a : b;
}

/* -- nft -- */

static enum match in_element(const cJSON *e, unsigned port)
{
	const cJSON *range = json_array(e, "range");

	if (cJSON_IsNumber(e))
		return (unsigned)e->valuedouble == port ? MATCH : NO_MATCH;
	if (cJSON_GetArraySize(range) == 2 && cJSON_IsNumber(range->child) &&
		cJSON_IsNumber(range->child->next))
		return port >= range->child->valuedouble && port <= range->child->next->valuedouble
			       ? MATCH
			       : NO_MATCH;
	return cJSON_IsString(e) && e->valuestring[0] != '@' ? NO_MATCH : MAY_MATCH;
}

static enum match port_is(const cJSON *right, unsigned port)
{
	const cJSON *set = json_array(right, "set"), *e;
	enum match best = NO_MATCH, m;

	if (set == NULL)
		return in_element(right, port);
	cJSON_ArrayForEach (e, set) {
		m = in_element(e, port);
		best = m > best ? m : best;
	}
	return best;
}

/* right is the word, an array of words or a set with it. */
static enum match word_is(const cJSON *right, const char *word)
{
	const cJSON *set = cJSON_IsArray(right) ? right : json_array(right, "set"), *e;

	if (cJSON_IsString(right) && right->valuestring[0] != '@')
		return strcmp(right->valuestring, word) == 0 ? MATCH : NO_MATCH;
	if (set == NULL)
		return MAY_MATCH;
	cJSON_ArrayForEach (e, set)
		if (cJSON_IsString(e) && strcmp(e->valuestring, word) == 0)
			return MATCH;
	return NO_MATCH;
}

static bool is_word(const char *s, const char *word)
{
	return s != NULL && strcmp(s, word) == 0;
}

static enum match match_payload(
	const cJSON *payload, const cJSON *right, const struct packet *p, bool *io_names_port)
{
	const char *proto = json_string(payload, "protocol"),
		   *field = json_string(payload, "field");
	enum match m;

	if (proto == NULL || field == NULL)
		return MAY_MATCH;
	if (strcmp(proto, "ip") == 0 || strcmp(proto, "ip6") == 0)
		return strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0
			       ? word_is(right, p->proto)
			       : MAY_MATCH;
	if (strcmp(field, "dport") != 0)
		return MAY_MATCH;
	m = port_is(right, p->port);
	*io_names_port |= m == MATCH;
	return m;
}

/* Is it about a header that the packet does not have? Then "!=" does not hold either. */
static bool is_foreign(const cJSON *payload, const struct packet *p)
{
	static const char *const any[] = {"ip", "ip6", "th", "ether"};
	const char *proto = json_string(payload, "protocol");

	for (size_t i = 0; i < ARRAY_LEN(any); i++)
		if (is_word(proto, any[i]))
			return false;
	return proto != NULL && strcmp(proto, p->proto) != 0;
}

static enum match match_meta(const char *key, const cJSON *right, const struct packet *p)
{
	if (is_word(key, "l4proto"))
		return word_is(right, p->proto);
	if (is_word(key, "iifname") || is_word(key, "iif"))
		return word_is(right, "lo") == MATCH ? NO_MATCH : MAY_MATCH;
	return MAY_MATCH;
}

/* It opens a connection to this host, for which nothing was translated. */
static enum match match_state(const cJSON *left, const cJSON *right)
{
	const cJSON *ct = json_object(left, "ct"), *fib = json_object(left, "fib");
	const char *key = json_string(ct, "key");

	if (is_word(key, "state"))
		return word_is(right, "new");
	if (is_word(key, "status") && word_is(right, "dnat") == MATCH)
		return NO_MATCH;
	if (is_word(json_string(fib, "result"), "type"))
		return word_is(right, "local");
	return MAY_MATCH;
}

static enum match match_expr(const cJSON *m, const struct packet *p, bool *io_names_port)
{
	const cJSON *left = json_object(m, "left"), *right = json_get(m, "right");
	const cJSON *payload = json_object(left, "payload"), *meta = json_object(left, "meta");
	const char *op = json_string(m, "op");
	enum match is = MAY_MATCH;

	if (is_foreign(payload, p))
		return NO_MATCH;
	if (payload != NULL)
		is = match_payload(payload, right, p, io_names_port);
	else if (meta != NULL)
		is = match_meta(json_string(meta, "key"), right, p);
	else
		is = match_state(left, right);
	return inverse(is, is_word(op, "!="));
}

static void take_expr(const cJSON *e, const struct packet *p, struct rule *rule)
{
	static const char *const quiet[] = {"counter", "log", "notrack"};
	const cJSON *jump = json_get(e, "jump") != NULL ? json_get(e, "jump") : json_get(e, "goto");

	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		if (json_get(e, quiet[i]) != NULL)
			return;
	if (json_get(e, "match") != NULL) {
		rule->match =
			lesser(rule->match, match_expr(json_get(e, "match"), p, &rule->names_port));
	} else if (json_get(e, "accept") != NULL) {
		rule->then = THEN_ACCEPT;
	} else if (json_get(e, "drop") != NULL || json_get(e, "reject") != NULL) {
		rule->then = THEN_DROP;
	} else if (json_get(e, "return") != NULL) {
		rule->then = THEN_RETURN;
	} else if (json_string(jump, "target") != NULL) {
		rule->then = THEN_JUMP;
		rule->target = json_string(jump, "target");
	} else { /* limit, vmap, xt, ...: it may do anything */
		rule->match = lesser(rule->match, MAY_MATCH);
		rule->then = rule->then == THEN_NOTHING && json_get(e, "vmap") != NULL ? THEN_ACCEPT
										       : rule->then;
	}
}

static bool place(const cJSON *o, const char *chain_key, struct rule *rule)
{
	*rule = (struct rule){.family = json_string(o, "family"),
		.table = json_string(o, "table"),
		.chain = json_string(o, chain_key),
		.match = MATCH};
	return rule->family != NULL && rule->table != NULL && rule->chain != NULL;
}

static void take_rules(const cJSON *list, const struct packet *p, struct rules *r)
{
	const cJSON *item, *e;

	r->n = 0;
	cJSON_ArrayForEach (item, list) {
		struct rule rule;

		if (!place(json_object(item, "rule"), "chain", &rule))
			continue;
		cJSON_ArrayForEach (e, json_array(json_object(item, "rule"), "expr"))
			take_expr(e, p, &rule);
		add_rule(r, &rule);
	}
}

static bool is_base(const cJSON *chain)
{
	const char *type = json_string(chain, "type"), *hook = json_string(chain, "hook");

	return is_word(type, "filter") && (is_word(hook, "input") || is_word(hook, "prerouting"));
}

/* Is there a rule in its table that only iptables can read? */
static bool is_of_iptables(const cJSON *list, const struct rule *base)
{
	const cJSON *item, *e;

	cJSON_ArrayForEach (item, list) {
		struct rule rule;

		if (!place(json_object(item, "rule"), "chain", &rule) ||
			strcmp(rule.table, base->table) != 0 ||
			strcmp(rule.family, base->family) != 0)
			continue;
		cJSON_ArrayForEach (e, json_array(json_object(item, "rule"), "expr"))
			if (json_get(e, "xt") != NULL)
				return true;
	}
	return false;
}

/* Every base chain must let it pass. */
static enum doctor_verdict judge_nft(
	const cJSON *list, const struct packet *p, bool iptables_read, struct rules *r)
{
	enum doctor_verdict v = DOCTOR_OPEN;
	const cJSON *item;

	take_rules(list, p, r);
	cJSON_ArrayForEach (item, list) {
		const cJSON *chain = json_object(item, "chain");
		struct rule base;

		if (is_base(chain) && place(chain, "name", &base) &&
			!(iptables_read && is_of_iptables(list, &base)))
			v = doctor_rules_worse(
				v, judge(r, &base, is_word(json_string(chain, "policy"), "drop")));
	}
	return v;
}

void doctor_rules_nft(
	const cJSON *ruleset, bool iptables_read, enum doctor_verdict ret_v[DOCTOR_PACKETS])
{
	const cJSON *list = json_array(ruleset, "nftables");
	struct rules r = {.v = list != NULL ? calloc(MAX_RULES, sizeof *r.v) : NULL};

	for (size_t i = 0; i < DOCTOR_PACKETS; i++)
		ret_v[i] = r.v != NULL ? judge_nft(list, &packets[i], iptables_read, &r)
				       : DOCTOR_CANNOT_TELL;
	free(r.v);
}

/* -- iptables -- */

/* Cuts a line into words; what is in double quotes is one.  Returns how many. */
static size_t words_of(char *line, char *word[MAX_WORDS])
{
	size_t n = 0;
	char *p = line;

	while (n < MAX_WORDS) {
		p += strspn(p, " ");
		if (*p == '\0')
			return n;
		if (*p == '"') {
			word[n++] = ++p;
			p += strcspn(p, "\"");
		} else {
			word[n++] = p;
			p += strcspn(p, " ");
		}
		if (*p != '\0')
			*p++ = '\0';
	}
	return n;
}

/* "179", "1:1024", "80,179". */
static enum match ports_have(const char *s, unsigned port)
{
	while (*s != '\0') {
		char *end;
		unsigned long first = strtoul(s, &end, 10), last = first;

		if (end == s)
			return MAY_MATCH;
		if (*end == ':')
			last = end[1] >= '0' && end[1] <= '9' ? strtoul(end + 1, &end, 10) : 65535;
		if (port >= first && port <= last)
			return MATCH;
		s = end + strspn(end, ":,");
		if (s == end && *s != '\0')
			return MAY_MATCH;
	}
	return NO_MATCH;
}

static bool is_silent_option(const char *w, const char *value)
{
	if (strcmp(w, "--comment") == 0 || strcmp(w, "--reject-with") == 0)
		return true;
	return strcmp(w, "-m") == 0 &&
	       (is_word(value, "tcp") || is_word(value, "udp") || is_word(value, "comment") ||
		       is_word(value, "conntrack") || is_word(value, "state") ||
		       is_word(value, "multiport") || is_word(value, "addrtype"));
}

static enum match match_option(
	const char *w, const char *value, const struct packet *p, bool *io_names_port)
{
	enum match m;

	if (strcmp(w, "-p") == 0)
		return strcmp(value, p->proto) == 0 || strcmp(value, "all") == 0 ? MATCH : NO_MATCH;
	if (strcmp(w, "-i") == 0)
		return strcmp(value, "lo") == 0 ? NO_MATCH : MAY_MATCH;
	if (strcmp(w, "--dst-type") == 0)
		return strcmp(value, "LOCAL") == 0 ? MATCH : NO_MATCH;
	if (strcmp(w, "--ctstate") == 0 || strcmp(w, "--state") == 0)
		return strstr(value, "NEW") != NULL ? MATCH : NO_MATCH;
	if (strcmp(w, "--dport") != 0 && strcmp(w, "--dports") != 0)
		return is_silent_option(w, value) ? MATCH : MAY_MATCH;
	m = ports_have(value, p->port);
	*io_names_port |= m == MATCH;
	return m;
}

static void take_target(const char *target, struct rule *rule)
{
	if (strcmp(target, "ACCEPT") == 0)
		rule->then = THEN_ACCEPT;
	else if (strcmp(target, "DROP") == 0 || strcmp(target, "REJECT") == 0)
		rule->then = THEN_DROP;
	else if (strcmp(target, "RETURN") == 0)
		rule->then = THEN_RETURN;
	else
		rule->then = THEN_JUMP;
	rule->target = target;
}

/* "-A CHAIN ..." */
static void take_line(struct rules *r, char *word[], size_t n, const struct packet *p)
{
	struct rule rule = {.family = "", .table = "", .chain = word[1], .match = MATCH};
	bool not = false;

	for (size_t i = 2; i < n; i++) {
		const char *value = i + 1 < n ? word[i + 1] : "";

		if (strcmp(word[i], "!") == 0) {
			not = true;
			continue;
		}
		if (word[i][0] != '-') /* what belongs to an option with several values */
			continue;
		if (strcmp(word[i], "-j") == 0 || strcmp(word[i], "-g") == 0)
			take_target(value, &rule);
		else
			rule.match = lesser(rule.match,
				inverse(match_option(word[i], value, p, &rule.names_port), not ));
		not = false;
		i++;
	}
	add_rule(r, &rule);
}

/* One reading of the text, which is cut to pieces: the chain INPUT of the table filter. */
static enum doctor_verdict judge_iptables(char *text, const struct packet *p, struct rules *r)
{
	const struct rule base = {.family = "", .table = "", .chain = "INPUT"};
	bool in_filter = false, drops = false;
	char *word[MAX_WORDS], *save = NULL;

	r->n = 0;
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		size_t n = words_of(line, word);

		if (n > 0 && word[0][0] == '*')
			in_filter = strcmp(word[0], "*filter") == 0;
		if (!in_filter || n < 2)
			continue;
		if (strcmp(word[0], ":INPUT") == 0)
			drops = strcmp(word[1], "DROP") == 0;
		else if (strcmp(word[0], "-A") == 0)
			take_line(r, word, n, p);
	}
	return judge(r, &base, drops);
}

void doctor_rules_iptables(const char *text, size_t len, enum doctor_verdict ret_v[DOCTOR_PACKETS])
{
	struct rules r = {.v = calloc(MAX_RULES, sizeof *r.v)};
	char *copy = malloc(len + 1);

	for (size_t i = 0; i < DOCTOR_PACKETS; i++) {
		ret_v[i] = DOCTOR_CANNOT_TELL;
		if (copy == NULL || r.v == NULL)
			continue;
		memcpy(copy, text, len);
		copy[len] = '\0';
		ret_v[i] = judge_iptables(copy, &packets[i], &r);
	}
	free(copy);
	free(r.v);
}
