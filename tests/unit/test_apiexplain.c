/* SPDX-License-Identifier: Apache-2.0
 *
 * test_apiexplain.c - what kubectl lbd explain says of a Service or an address.
 */
#include "apiexplain.h"

#include "check.h"
#include "explain_text.h"
#include "json.h"

static const char tree[] =
	"{\"version\":{\"now\":\"2026-01-01T00:01:00Z\"},"
	"\"nodes\":[{\"name\":\"n1\",\"lease\":\"alive\"},{\"name\":\"n2\",\"lease\":\"expired\"}],"
	"\"services\":["
	"{\"name\":\"a/web\",\"ips\":[\"10.0.0.1\",\"fd00::1\"],\"reason\":\"allocated\",\"text\":\"an "
	"address was given\"},"
	"{\"name\":\"a/dead\",\"ips\":[\"10.0.0.2\"],\"reason\":\"allocated\",\"text\":\"-\"},"
	"{\"name\":\"a/robbed\",\"ips\":[\"10.0.0.3\"],\"reason\":\"allocated\",\"text\":\"-\"},"
	"{\"name\":\"a/idle\",\"ips\":[\"10.0.0.4\"],\"reason\":\"allocated\",\"text\":\"-\"},"
	"{\"name\":\"a/none\",\"ips\":[],\"reason\":\"noIPAllocated\",\"text\":\"the pools are full\"},"
	"{\"name\":\"b/none\",\"ips\":[],\"reason\":\"noIPAllocated\",\"text\":\"\\u001b[2J\"},"
	"{\"name\":\"a/mixed\",\"ips\":[\"10.0.0.1\",\"10.0.0.2\"],\"reason\":\"allocated\"},"
	"{\"name\":7,\"ips\":{}},3],"
	"\"vips\":["
	"{\"ip\":\"10.0.0.1\",\"pool\":\"lan\",\"owner\":\"n1\",\"services\":[\"a/web\"],\"here\":[{"
	"\"reason\":\"notOwner\"}]},"
	"{\"ip\":\"fd00::1\",\"owner\":\"n1\",\"services\":[\"a/web\",\"a/too\"],\"here\":[{\"reason\":"
	"\"notOwner\"}]},"
	"{\"ip\":\"10.0.0.2\",\"owner\":\"n2\",\"here\":[{\"reason\":\"notOwner\"}]},"
	"{\"ip\":\"10.0.0.3\",\"owner\":\"n1\",\"foreignMac\":\"02:00:00:00:00:09\",\"foreignSeen\":"
	"\"2026-01-01T00:00:59Z\",\"here\":[{\"reason\":\"notOwner\"}]},"
	"{\"ip\":\"10.0.0.4\",\"owner\":null,\"here\":[{\"reason\":\"notAnnounced\",\"text\":\"the Service "
	"has no ready endpoint\"}]}]}";

#define NOTE(what)                                                                                 \
	"note         so far the API; the rules that were tried, interfaces, and who would be next: " \
	"`lbd explain " what "` on a node\n"

static void text_of(const cJSON *answer, struct buf *out)
{
	const char *error = json_string(answer, "error");

	buf_init(out, 65536);
	if (error != NULL)
		buf_addf(out, "error: %s", error);
	else
		explain_text(answer, out);
}

static void test_rows(void)
{
	static const struct {
		const char *what, *text;
		bool finding;
	} rows[] = {
		{"web",
			"a/web: node n1 answers for 10.0.0.1\nstatus       10.0.0.1, fd00::1\n"
			"address      10.0.0.1 of pool lan: owned by node n1\n"
			"address      fd00::1: owned by node n1\n"
			"shared by    a/web, a/too\n" NOTE("a/web"),
			false},
		{"a/dead",
			"a/dead: node n2, which announced 10.0.0.2, is gone, and no other claims it yet "
			"(noOwner)\nstatus       10.0.0.2\naddress      10.0.0.2: owned by node n2\n" NOTE(
				"a/dead"),
			true},
		{"robbed",
			"a/robbed: a foreign host, MAC 02:00:00:00:00:09, claims 10.0.0.3, too: clients "
			"may reach that host instead (conflict)\nstatus       10.0.0.3\n"
			"address      10.0.0.3: owned by node n1\n" NOTE("a/robbed"),
			true},
		{"10.0.0.4",
			"10.0.0.4: 10.0.0.4: the Service has no ready endpoint (notAnnounced)\n"
			"address      10.0.0.4: owned by nobody that is known\n" NOTE("10.0.0.4"),
			true},
		{"fd00:0::1",
			"fd00::1: node n1 answers for fd00::1\naddress      fd00::1: owned by node n1\n"
			"shared by    a/web, a/too\n" NOTE("fd00::1"),
			false},
		{"a/none",
			"a/none: the pools are full (noIPAllocated)\nstatus       shows no address\n" NOTE(
				"a/none"),
			true},
		{"b/none",
			"b/none: ?[2J (noIPAllocated)\nstatus       shows no address\n" NOTE("b/none"),
			true},
		{"mixed",
			"a/mixed: node n2, which announced 10.0.0.2, is gone, and no other claims it yet "
			"(noOwner)\nstatus       10.0.0.1, 10.0.0.2\n"
			"address      10.0.0.1 of pool lan: owned by node n1\n"
			"address      10.0.0.2: owned by node n2\n" NOTE("a/mixed"),
			true},
		{"none", "error: Services of that name: a/none, b/none", true},
		{"nix", "error: there is no Service nix of type LoadBalancer", true},
		{"none/a",
			"error: there is no Service none/a (NAMESPACE/NAME) of type LoadBalancer: "
			"did you mean a/none?",
			true},
		{"a/nix",
			"error: there is no Service a/nix (NAMESPACE/NAME) of type LoadBalancer",
			true},
		{"none/a/", "error: there is no Service none/a/ (NAMESPACE/NAME) of type LoadBalancer",
			true},
		{"/", "error: there is no Service / (NAMESPACE/NAME) of type LoadBalancer", true},
		{"", "error: there is no Service  of type LoadBalancer", true},
		{"10.9.9.9", "error: no Service that lbd serves shows this address", true},
	};
	cJSON *dump = json_parse(tree, sizeof tree - 1);

	CHECK(dump != NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cJSON *answer = apiexplain(dump, rows[i].what);
		struct buf out;

		check_row = rows[i].what;
		text_of(answer, &out);
		CHECK_STR(out.p, rows[i].text);
		CHECK_INT(json_bool(answer, "finding", true), rows[i].finding);
		buf_free(&out);
		cJSON_Delete(answer);
	}
	cJSON_Delete(dump);
}

/* A tree of another version, or none. */
static void test_empty(void)
{
	static const char *const trees[] = {"{}", "[]", "{\"services\":{},\"vips\":3}"};

	for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
		cJSON *dump = json_parse(trees[i], strlen(trees[i]));
		cJSON *a = apiexplain(dump, "web"), *b = apiexplain(dump, "10.0.0.1");

		check_row = trees[i];
		CHECK(json_string(a, "error") != NULL && json_string(b, "error") != NULL);
		cJSON_Delete(a);
		cJSON_Delete(b);
		cJSON_Delete(dump);
	}
}

CHECK_MAIN("test_apiexplain", CHECK_TEST(test_rows), CHECK_TEST(test_empty))
