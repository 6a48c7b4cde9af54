/* SPDX-License-Identifier: Apache-2.0
 *
 * test_explain_text.c - what lbd explain prints.
 */
#include "check.h"
#include "explain_text.h"
#include "json.h"

/* ' for ". */
static cJSON *tree(const char *text)
{
	char s[4096];
	cJSON *o;

	(void)snprintf(s, sizeof s, "%s", text);
	for (char *p = s; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	o = json_parse(s, strlen(s));
	if (o == NULL)
		abort();
	return o;
}

struct row {
	const char *name, *answer, *want;
};

static void check_rows(const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cJSON *o = tree(row[i].answer);
		struct buf out;

		check_row = row[i].name;
		buf_init(&out, 65536);
		explain_text(o, &out);
		CHECK(!out.bad);
		CHECK_STR(out.p, row[i].want);
		buf_free(&out);
		cJSON_Delete(o);
	}
}

static void test_service(void)
{
	static const struct row row[] = {
		{"refused",
			"{'service':'d/c','reason':'poolExhausted','text':'every address is in "
			"use','finding':true,'status':[],'decided':[],"
			"'asks':{'families':['IPv4'],'ipFamilyPolicy':'SingleStack','fields':["
			"{'field':'spec.loadBalancerIP','value':'10.0.0.1'}]},'rules':["
			"{'rule':'served','reason':'allocated','text':'it is for lbd to serve'},"
			"{'rule':'held','family':'IPv4','reason':'noIPAllocated','text':'it has "
			"none yet'},"
			"{'rule':'pool','family':'IPv4','pool':'lan','reason':'poolExhausted',"
			"'text':'2 of 2 in use'}],'rulesLeftOut':3,'vips':[],"
			"'node':'n1','notes':['as this node sees it']}",
			"d/c: every address is in use (poolExhausted)\n"
			"status       shows no address\n"
			"asks for     IPv4, SingleStack\n"
			"             spec.loadBalancerIP: 10.0.0.1\n"
			"rules tried  yes is it ours           it is for lbd to serve\n"
			"             no  IPv4 has already     it has none yet\n"
			"             no  IPv4 pool lan        2 of 2 in use\n"
			"             and 3 more\n"
			"note         as this node sees it\n"},
		{"answered for",
			"{'service':'d/a','reason':'owner','text':'node n2 answers for 10.0.0.1',"
			"'finding':false,'status':['10.0.0.1'],'decided':['10.0.0.1'],'pool':'lan',"
			"'rules':[{'rule':'pool','family':'IPv4','pool':'lan','ip':'10.0.0.1',"
			"'reason':'allocated','text':'the lowest'}],"
			"'vips':[{'ip':'10.0.0.1','pool':'lan','owner':'n2','state':'watch',"
			"'services':['d/a','d/b'],'advertisements':['x','y'],'eligibleHere':true,"
			"'here':[{'interface':'eth0','announced':false,'reason':'notOwner',"
			"'text':'another node owns the address'}],'next':'n3'}],'node':'n1',"
			"'notes':[]}",
			"d/a: node n2 answers for 10.0.0.1\n"
			"status       10.0.0.1\n"
			"decided      10.0.0.1 of pool lan\n"
			"rules tried  yes IPv4 pool            10.0.0.1 of lan: the lowest\n"
			"address      10.0.0.1 of pool lan: owned by node n2; advertisements x, y\n"
			"shared by    d/a, d/b\n"
			"here         n1 may announce it: watch\n"
			"             eth0: not announced, another node owns the address "
			"(notOwner)\n"
			"then         node n3 would be next\n"},
		{"a dry run",
			"{'service':'d/a','reason':'dryRun','text':'t','finding':false,'status':[],"
			"'wouldWrite':['10.0.0.1'],'decided':[]}",
			"d/a: t\n"
			"status       shows no address\n"
			"would be     10.0.0.1\n"},
	};

	check_rows(row, ARRAY_LEN(row));
}

static void test_address(void)
{
	static const struct row row[] = {
		{"free",
			"{'ip':'10.0.0.9','reason':'noIPAllocated','text':'of pool lan, free',"
			"'finding':true,'place':'free','services':[],'vips':[]}",
			"10.0.0.9: of pool lan, free (noIPAllocated)\n"},
		{"unlawful",
			"{'ip':'10.0.0.9','reason':'ipNotAllowed','text':'no pool has it',"
			"'finding':true,'services':[{'name':'d/evil','lawful':false,'text':'the "
			"address is in no pool'},{'name':'d/a','lawful':true,'text':'t'}]}",
			"10.0.0.9: no pool has it (ipNotAllowed)\n"
			"shown by     d/evil, unlawfully: the address is in no pool\n"
			"             d/a\n"},
	};

	check_rows(row, ARRAY_LEN(row));
}

static void test_without(void)
{
	static const struct row row[] = {
		{"it moves",
			"{'service':'d/a','text':'t','finding':false,'node':'n1','vips':[{'ip':"
			"'10.0.0.1','owner':'n2','state':'watch','without':{'node':'n2','owner':"
			"'n3','moves':true}}]}",
			"d/a: t\n"
			"address      10.0.0.1: owned by node n2\n"
			"here         n1 may not announce it: watch\n"
			"then         without n2: it goes to n3\n"},
		{"it stays",
			"{'service':'d/a','text':'t','finding':false,'node':'n1','vips':[{'ip':"
			"'10.0.0.1','owner':'n2','state':'watch','without':{'node':'n4','owner':"
			"'n2','moves':false}}]}",
			"d/a: t\n"
			"address      10.0.0.1: owned by node n2\n"
			"here         n1 may not announce it: watch\n"
			"then         without n4: it stays with n2\n"},
		{"nobody",
			"{'service':'d/a','text':'t','finding':false,'node':'n1','vips':[{'ip':"
			"'10.0.0.1','owner':'n2','state':'watch','without':{'node':'n2','owner':"
			"null,'moves':true}}]}",
			"d/a: t\n"
			"address      10.0.0.1: owned by node n2\n"
			"here         n1 may not announce it: watch\n"
			"then         without n2: nobody could take it\n"},
	};

	check_rows(row, ARRAY_LEN(row));
}

/* Anybody's text, and what is missing or of another type. */
static void test_hostile(void)
{
	static const struct row row[] = {
		{"a terminal's commands",
			"{'service':'d/a','text':'\\u001b[2J\\n\\u009b','finding':true,'reason':"
			"'x','notes':['a\\nb']}",
			"d/a: ?[2J??? (x)\n"
			"note         a?b\n"},
		{"nothing", "{}", ":  ()\n"},
		{"other types",
			"{'service':1,'ip':[],'text':{},'finding':'no','status':'x','rules':[1,"
			"null,{'rule':2,'pool':3}],'vips':[5],'asks':7,'notes':[9]}",
			":  ()\n"
			"rules tried  no                       \n"
			"             no                       \n"
			"             no                       \n"
			"address      : owned by nobody that is known\n"
			"note         \n"},
	};

	check_rows(row, ARRAY_LEN(row));
}

/* What does not fit is bad, and no more than that. */
static void test_no_room(void)
{
	cJSON *o = tree("{'service':'d/a','text':'t','finding':false,'status':['10.0.0.1'],'rules':"
			"[{'rule':'held','text':'x'}],'vips':[{'here':[{}]}],'notes':['n']}");

	for (size_t room = 0; room < 64; room++) {
		struct buf out;

		buf_init(&out, room);
		explain_text(o, &out);
		CHECK(out.bad && out.len <= room);
		buf_free(&out);
	}
	cJSON_Delete(o);
}

CHECK_MAIN("test_explain_text", CHECK_TEST(test_service), CHECK_TEST(test_address),
	CHECK_TEST(test_without), CHECK_TEST(test_hostile), CHECK_TEST(test_no_room))
