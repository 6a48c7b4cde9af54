/* SPDX-License-Identifier: Apache-2.0
 *
 * test_doctor_rules.c - what lbd doctor reads out of a firewall's rules.
 */
#include "doctor_rules.h"

#include "check.h"
#include "json.h"

#define O DOCTOR_OPEN
#define D DOCTOR_DROPPED
#define X DOCTOR_CANNOT_TELL

struct row {
	const char *name, *text; /* nft: ' for ", what is in the array */
	enum doctor_verdict want[DOCTOR_PACKETS];
};

static void check_verdicts(const struct row *row, const enum doctor_verdict v[DOCTOR_PACKETS])
{
	check_row = row->name;
	for (size_t i = 0; i < DOCTOR_PACKETS; i++)
		CHECK_INT(v[i], row->want[i]);
}

#define INPUT(policy)                                                                              \
	"{'chain':{'family':'inet','table':'t','name':'in','type':'filter','hook':'input','prio':"  \
	"0,'policy':'" policy "'}}"
#define RULE_IN(chain, expr)                                                                       \
	",{'rule':{'family':'inet','table':'t','chain':'" chain "','expr':[" expr "]}}"
#define RULE(expr)            RULE_IN("in", expr)
#define DPORT(proto, right)   MATCH("'payload':{'protocol':'" proto "','field':'dport'}", right)
#define MATCH(left, right)    "{'match':{'op':'==','left':{" left "},'right':" right "}}"
#define ACCEPT                "{'accept':null}"
#define DROP                  "{'drop':null}"
#define COUNTED               "{'counter':{'packets':1,'bytes':2}},"

static const struct row nft_rows[] = {
	{"empty", "", {O, O, O}},
	{"policy accept", INPUT("accept"), {O, O, O}},
	{"policy drop", INPUT("drop"), {D, D, D}},
	{"accepts bfd", INPUT("drop") RULE(COUNTED DPORT("udp", "3784") "," ACCEPT), {D, O, D}},
	{"accepts a set",
		INPUT("drop") RULE(DPORT("udp", "{'set':[3784,{'range':[4000,5000]}]}") "," ACCEPT)
			RULE(DPORT("tcp", "{'range':[1,1023]}") "," ACCEPT),
		{O, O, O}},
	{"another port", INPUT("drop") RULE(DPORT("tcp", "22") "," ACCEPT), {D, D, D}},
	{"drops bgp", INPUT("accept") RULE(DPORT("tcp", "179") "," DROP), {D, O, O}},
	{"rejects bgp", INPUT("accept") RULE(DPORT("th", "179") ",{'reject':{'type':'tcp reset'}}"),
		{D, O, O}},
	{"accept comes first",
		INPUT("accept") RULE(DPORT("tcp", "179") "," ACCEPT) RULE(DPORT("tcp", "179") "," DROP),
		{O, O, O}},
	{"drops all udp", INPUT("accept") RULE(MATCH("'meta':{'key':'l4proto'}", "'udp'") "," DROP),
		{O, D, D}},
	{"old connections, loopback, icmp",
		INPUT("drop") RULE(MATCH("'ct':{'key':'state'}", "['established','related']") "," ACCEPT)
			RULE(MATCH("'meta':{'key':'iifname'}", "'lo'") "," ACCEPT)
				RULE(MATCH("'payload':{'protocol':'icmp','field':'type'}",
					     "'echo-request'") "," ACCEPT),
		{D, D, D}},
	{"by source", INPUT("drop") RULE(MATCH("'payload':{'protocol':'ip','field':'saddr'}",
					 "'10.0.0.1'") "," ACCEPT),
		{X, X, X}},
	{"bgp dropped by source",
		INPUT("accept") RULE(MATCH("'payload':{'protocol':'ip','field':'saddr'}",
					     "'10.0.0.1'") "," DPORT("tcp", "179") "," DROP),
		{X, O, O}},
	{"another thing dropped by mark",
		INPUT("accept") RULE(MATCH("'meta':{'key':'mark'}", "32768") "," DROP), {O, O, O}},
	{"a jump",
		INPUT("drop") RULE("{'jump':{'target':'web'}}") RULE_IN("web",
			DPORT("udp", "3784") "," ACCEPT),
		{D, O, D}},
	{"a return", INPUT("drop") RULE("{'jump':{'target':'web'}}")
			     RULE_IN("web", "{'return':null}") RULE_IN("web", ACCEPT),
		{D, D, D}},
	{"a chain that calls itself", INPUT("accept") RULE("{'jump':{'target':'in'}}"), {O, O, O}},
	{"chains that call each other many times",
		INPUT("drop") RULE("{'jump':{'target':'in'}}") RULE("{'jump':{'target':'in'}}")
			RULE("{'goto':{'target':'in'}}") RULE("{'jump':{'target':'in'}}")
				RULE("{'jump':{'target':'in'}}") RULE("{'jump':{'target':'in'}}"),
		{X, X, X}},
	{"a map", INPUT("drop") RULE("{'vmap':{'key':{'meta':{'key':'iifname'}},'data':'@m'}}"),
		{X, X, X}},
	{"a named set", INPUT("drop") RULE(DPORT("udp", "'@ports'") "," ACCEPT), {D, X, X}},
	{"not that port",
		INPUT("accept") RULE("{'match':{'op':'!=','left':{'payload':{'protocol':'tcp','field':"
				     "'dport'}},'right':22}}," DROP),
		{D, O, O}},
	{"firewalld's",
		INPUT("accept") RULE(MATCH("'ct':{'key':'state'}", "{'set':['established','related']}")
				     "," ACCEPT)
			RULE(MATCH("'ct':{'key':'status'}", "'dnat'") "," ACCEPT)
				RULE(MATCH("'meta':{'key':'iifname'}", "'lo'") "," ACCEPT)
					RULE("{'jump':{'target':'zone'}}") RULE_IN("zone",
						DPORT("tcp", "22") "," MATCH("'ct':{'key':'state'}",
							"['new','untracked']") "," ACCEPT)
						RULE_IN("zone", DPORT("udp", "3784") "," MATCH(
							"'ct':{'key':'state'}",
							"['new','untracked']") "," ACCEPT)
							RULE("{'reject':{'type':'icmpx','expr':"
							     "'admin-prohibited'}}"),
		{D, O, D}},
	{"what is for this host", INPUT("drop") RULE(
		MATCH("'fib':{'result':'type','flags':'daddr'}", "'local'") "," ACCEPT), {O, O, O}},
	{"a return that may be",
		INPUT("accept") RULE("{'jump':{'target':'web'}}") RULE_IN("web",
			MATCH("'meta':{'key':'mark'}", "1") ",{'return':null}") RULE_IN("web", DROP),
		{O, O, O}},
	{"a rule of iptables' alone", INPUT("drop") RULE("{'xt':{'type':'match','name':'conntrack'}}," ACCEPT),
		{X, X, X}},
	{"another hook", "{'chain':{'family':'inet','table':'t','name':'f','type':'filter','hook':"
			 "'output','prio':0,'policy':'drop'}}",
		{O, O, O}},
	{"wrong types", "{'chain':3},{'rule':{'family':1}},{'rule':{'family':'inet','table':'t',"
			"'chain':'in','expr':{'accept':1}}},7,null",
		{O, O, O}},
};

static cJSON *nft_tree(const char *array)
{
	char text[8192];

	(void)snprintf(text, sizeof text, "{'nftables':[%s]}", array);
	for (char *p = text; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	return json_parse(text, strlen(text));
}

static void test_nft(void)
{
	for (size_t i = 0; i < ARRAY_LEN(nft_rows); i++) {
		enum doctor_verdict v[DOCTOR_PACKETS];
		cJSON *tree = nft_tree(nft_rows[i].text);

		check_row = nft_rows[i].name;
		CHECK(tree != NULL);
		doctor_rules_nft(tree, false, v);
		check_verdicts(&nft_rows[i], v);
		cJSON_Delete(tree);
	}
	check_row = "";
}

/* iptables-save has told what is in such a table; of another it has not. */
static void test_nft_after_iptables(void)
{
	static const struct row two[] = {
		{"iptables' own", INPUT("drop") RULE("{'xt':{'type':'match','name':'conntrack'}}," ACCEPT),
			{O, O, O}},
		{"nft's own", INPUT("drop") RULE(DPORT("udp", "3784") "," ACCEPT), {D, O, D}},
	};

	for (size_t i = 0; i < ARRAY_LEN(two); i++) {
		enum doctor_verdict v[DOCTOR_PACKETS];
		cJSON *tree = nft_tree(two[i].text);

		doctor_rules_nft(tree, true, v);
		check_verdicts(&two[i], v);
		cJSON_Delete(tree);
	}
	check_row = "";
}

static const struct row iptables_rows[] = {
	{"empty", "", {O, O, O}},
	{"policy drop", "*filter\n:INPUT DROP [0:0]\nCOMMIT\n", {D, D, D}},
	{"another table", "*nat\n:INPUT DROP [0:0]\nCOMMIT\n", {O, O, O}},
	{"accepts bfd",
		"*filter\n:INPUT DROP [0:0]\n"
		"-A INPUT -p udp -m udp --dport 3784 -m comment --comment \"a b -j DROP\" -j ACCEPT\n",
		{D, O, D}},
	{"ports", "*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp -m multiport --dports 80,3700:3800 -j ACCEPT\n"
		  "-A INPUT -p tcp -m tcp --dport 0:1023 -j ACCEPT\n",
		{O, O, D}},
	{"drops bgp", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 179 -j DROP\n",
		{D, O, O}},
	{"rejects at the end",
		"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
		"-A INPUT -i lo -j ACCEPT\n-A INPUT -p icmp -j ACCEPT\n"
		"-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT\n"
		"-A INPUT -j REJECT --reject-with icmp-host-prohibited\n",
		{D, D, D}},
	{"a chain of its own",
		"*filter\n:INPUT DROP [0:0]\n:own - [0:0]\n-A INPUT -j own\n"
		"-A own -p tcp -m tcp --dport 179 -j ACCEPT\n-A own -p udp -j RETURN\n-A own -j ACCEPT\n",
		{O, D, D}},
	{"ufw's",
		"*filter\n:INPUT DROP [0:0]\n:ufw-before-input - [0:0]\n:ufw-not-local - [0:0]\n"
		":ufw-user-input - [0:0]\n-A INPUT -j ufw-before-input\n"
		"-A ufw-before-input -i lo -j ACCEPT\n"
		"-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
		"-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n"
		"-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
		"-A ufw-before-input -j ufw-not-local\n-A ufw-before-input -j ufw-user-input\n"
		"-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n"
		"-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN\n"
		"-A ufw-not-local -m limit --limit 3/min -j LOG\n-A ufw-not-local -j DROP\n"
		"-A ufw-user-input -p udp -m udp --dport 3784 -j ACCEPT\nCOMMIT\n",
		{D, O, D}},
	{"kube-proxy's", "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n"
			 "-A INPUT -m conntrack --ctstate NEW -m comment --comment \"a b\" -j KUBE-FIREWALL\n"
			 "-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate "
			 "RELATED,ESTABLISHED,DNAT -j DROP\n",
		{O, O, O}},
	{"not by that", "*filter\n:INPUT DROP [0:0]\n-A INPUT ! -i eth1 -j ACCEPT\n", {X, X, X}},
	{"by source", "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\n", {X, X, X}},
	{"cut off", "*filter\n:INPUT DROP [0:0]\n-A INPUT -p\n-A\n-A INPUT \"\n-A INPUT -j", {D, D, D}},
};

static void test_iptables(void)
{
	for (size_t i = 0; i < ARRAY_LEN(iptables_rows); i++) {
		const char *text = iptables_rows[i].text;
		unsigned char *guarded = check_guard(text, strlen(text));
		enum doctor_verdict v[DOCTOR_PACKETS];

		doctor_rules_iptables((const char *)guarded, strlen(text), v);
		check_verdicts(&iptables_rows[i], v);
		check_unguard(guarded, strlen(text));
	}
	check_row = "";
}

static void test_worse(void)
{
	CHECK_INT(doctor_rules_worse(O, O), O);
	CHECK_INT(doctor_rules_worse(O, X), X);
	CHECK_INT(doctor_rules_worse(X, O), X);
	CHECK_INT(doctor_rules_worse(X, D), D);
	CHECK_INT(doctor_rules_worse(D, O), D);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_nft), CHECK_TEST(test_nft_after_iptables), CHECK_TEST(test_iptables), CHECK_TEST(test_worse)};

	return check_main("test_doctor_rules", tests, ARRAY_LEN(tests));
}
