/* SPDX-License-Identifier: Apache-2.0
 *
 * test_rival.c - who else wrote a Service's status, out of what the API answers; the words about
 * it.
 */
#include "check.h"
#include "json.h"
#include "rival.h"

/* ' stands for ". */
static cJSON *tree(const char *text)
{
	char s[1024];
	size_t n = strlen(text);

	if (n >= sizeof s)
		abort();
	for (size_t i = 0; i <= n; i++)
		s[i] = text[i] == '\'' ? '"' : text[i];
	return json_parse(s, n);
}

#define STATUS     "'fieldsV1':{'f:status':{'f:loadBalancer':{'f:ingress':{}}}}"
#define SPEC       "'fieldsV1':{'f:spec':{'f:ports':{}}}"
#define CONDITIONS "'fieldsV1':{'f:status':{'f:conditions':{}}}"

static void test_name(void)
{
	static const struct {
		const char *name, *fields, *want;
	} row[] = {
		{"the one that wrote the status",
			"{'manager':'kubectl','time':'2026-01-02T00:00:00Z'," SPEC "},"
			"{'manager':'k3s','time':'2026-01-01T00:00:00Z','subresource':'status'"
			"," STATUS "}",
			"k3s"},
		{"the last of two",
			"{'manager':'a','time':'2026-01-01T00:00:00Z'," STATUS "},"
			"{'manager':'b','time':'2026-01-01T00:00:09Z'," STATUS "},"
			"{'manager':'c','time':'2026-01-01T00:00:02Z'," STATUS "}",
			"b"},
		{"not lbd, though it was the last",
			"{'manager':'a','time':'2026-01-01T00:00:00Z'," STATUS "},"
			"{'manager':'lbd','time':'2026-01-01T00:00:09Z'," STATUS "}",
			"a"},
		{"not lbd, though it was the first",
			"{'manager':'lbd','time':'2026-01-01T00:00:09Z'," STATUS "},"
			"{'manager':'a','time':'2026-01-01T00:00:00Z'," STATUS "}",
			"a"},
		{"lbd alone", "{'manager':'lbd'," STATUS "}", "lbd"},
		{"another part of the status", "{'manager':'a'," CONDITIONS "}", ""},
		{"no time", "{'manager':'a'," STATUS "}", "a"},
		{"no manager", "{" STATUS "},{'manager':''," STATUS "},{'manager':1," STATUS "}",
			""},
		{"wrong types",
			"7,null,'x',{'manager':'a','fieldsV1':[]},{'manager':'a','fieldsV1':"
			"{'f:status':'x'}},{'manager':'b','time':7," STATUS "}",
			"b"},
		{"nothing", "", ""},
		{"what a terminal should not see", "{'manager':'a\\u001b[2J b\\u00e9'," STATUS "}",
			"a?[2J?b??"},
		{"too long",
			"{'manager':'"
			"0123456789012345678901234567890123456789012345678901234567890123"
			"456789'," STATUS "}",
			"012345678901234567890123456789012345678901234567890123456789012"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		char text[1024], got[RIVAL_MAX_NAME + 1];
		cJSON *o;

		check_row = row[i].name;
		(void)snprintf(
			text, sizeof text, "{'metadata':{'managedFields':[%s]}}", row[i].fields);
		o = tree(text);
		CHECK(o != NULL);
		rival_name(o, got);
		CHECK_STR(got, row[i].want);
		cJSON_Delete(o);
	}
}

static void test_name_of_nothing(void)
{
	static const char *const text[] = {
		"{}", "{'metadata':{}}", "{'metadata':{'managedFields':{}}}", "[]", "7"};
	char got[RIVAL_MAX_NAME + 1] = "x";

	rival_name(NULL, got);
	CHECK_STR(got, "");
	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		cJSON *o = tree(text[i]);

		got[0] = 'x';
		rival_name(o, got);
		CHECK_STR(got, "");
		cJSON_Delete(o);
	}
}

static void test_shows(void)
{
	static const struct {
		const char *ingress;
		size_t n; /* of 10.0.0.1, fd00::1 */
		bool want;
	} row[] = {
		{"", 0, true},
		{"", 1, false},
		{"{'ip':'10.0.0.1'}", 1, true},
		{"{'ip':'10.0.0.1','ipMode':'VIP'},{'ip':'fd00:0::1'}", 2, true},
		{"{'ip':'fd00::1'},{'ip':'10.0.0.1'}", 2, true},
		{"{'ip':'10.0.0.1'}", 2, false},
		{"{'ip':'10.0.0.1'},{'ip':'fd00::1'}", 1, false},
		{"{'ip':'10.0.0.2'}", 1, false},
		{"{'hostname':'x'}", 0, false},
		{"{'ip':'x'}", 1, false},
		{"7", 1, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct addr ips[2];
		char text[512];
		cJSON *o;

		check_row = row[i].ingress;
		CHECK_INT(addr_parse("10.0.0.1", 8, &ips[0]), 0);
		CHECK_INT(addr_parse("fd00::1", 7, &ips[1]), 0);
		(void)snprintf(text, sizeof text, "{'status':{'loadBalancer':{'ingress':[%s]}}}",
			row[i].ingress);
		o = tree(text);
		CHECK_INT(rival_shows(o, ips, row[i].n), row[i].want);
		cJSON_Delete(o);
	}
	CHECK(rival_shows(NULL, NULL, 0));
}

static void test_words(void)
{
	static const struct {
		const char *name, *want; /* a part of the remedy */
	} row[] = {
		{"k3s", "--disable servicelb"},
		{"k3s-cloud-controller-manager", "--disable servicelb"},
		{"cloud-controller-manager", "--disable servicelb"},
		{"controller", "metallb-system delete deployment controller"},
		{"metallb-controller", "metallb-system delete deployment controller"},
		{"kube-vip", "svc_enable=false"},
		{"kube-vip-cloud-provider", "svc_enable=false"},
		{"openelb-controller", "OpenELB"},
		{"lbd", "elections.namespace"},
		{"", "loadBalancerClass"},
		{"manager", "loadBalancerClass"},
		{"my-controller", "loadBalancerClass"},
	};
	struct buf b;

	buf_init(&b, 1024);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		check_row = row[i].name;
		CHECK(strstr(rival_remedy(row[i].name), row[i].want) != NULL);
		buf_reset(&b);
		rival_words(row[i].name, "this Service's status", &b);
		CHECK(b.p != NULL && strstr(b.p, row[i].want) != NULL && b.len < 512);
	}
	buf_reset(&b);
	rival_words("k3s", "this Service's status", &b);
	CHECK_STR(b.p,
		"another program, \"k3s\", writes this Service's status, too: lbd corrects it "
		"every 10 minutes only.  k3s's servicelb: start k3s with --disable servicelb, "
		"on every server");
	buf_free(&b);
}

CHECK_MAIN("test_rival", CHECK_TEST(test_name), CHECK_TEST(test_name_of_nothing),
	CHECK_TEST(test_shows), CHECK_TEST(test_words))
