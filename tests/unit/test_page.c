/* SPDX-License-Identifier: Apache-2.0
 *
 * test_page.c - the status page: each tests/golden/status/NAME.json as NAME.html has it (without
 * style and script), hostile texts, hashes in the answer's fields, host names.  Run from the top of
 * the tree; with GOLDEN_WRITE set the documents are written anew, to be looked at.
 */
#include "check.h"
#include "golden.h"
#include "page.h"

#include <mbedtls/base64.h>
#include <mbedtls/md.h>

/* Takes the tree over. */
static struct buf page_of(cJSON *dump)
{
	struct buf out;

	buf_init(&out, GOLDEN_ROOM);
	page_print(dump, &out);
	CHECK(!out.bad);
	cJSON_Delete(dump);
	return out;
}

/* What stands between the two, of which there is one each. */
static struct buf inside(const struct buf *page, const char *from, const char *to)
{
	const char *a = strstr(page->p, from), *b = a != NULL ? strstr(a, to) : NULL;
	struct buf out;

	if (b == NULL)
		abort();
	a += strlen(from);
	CHECK(strstr(a, from) == NULL && strstr(b + 1, to) == NULL);
	buf_init(&out, GOLDEN_ROOM);
	buf_add(&out, a, (size_t)(b - a));
	return out;
}

static void test_golden(void)
{
	static const char *const name[] = {"small", "bgp", "empty", "degraded", "hostile"};

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		struct buf page = page_of(golden_tree(name[i])), want = golden_read(name[i], "html"),
			   got = inside(&page, "<main>\n", "</main>");

		check_row = name[i];
		if (getenv("GOLDEN_WRITE") != NULL)
			golden_write(name[i], "html", &got);
		else
			CHECK_STR(got.p, want.p != NULL ? want.p : "");
		buf_free(&page);
		buf_free(&got);
		buf_free(&want);
	}
}

/* -- hostile texts -- */

#define HOSTILE                                                                                    \
	"</td></main><script>alert(1)</script>\"'&lt;\xe2\x80\xae\x1b[2J\n x onload=alert(1) "     \
	"javascript:alert(1)"
#define HARMLESS                                                                                   \
	"&#60;/td&#62;&#60;/main&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;lt;"  \
	"\\xe2\\x80\\xae\\x1b[2J\\x0a x onload=alert(1) javascript:alert(1)"

/* Each string but those by which things are told apart becomes the hostile one; of the others'
 * count. */
static size_t spoil(cJSON *o)
{
	static const char *const kept[] = {"now", "started", "since", "ownerSince", "foreignSeen",
		"answeredSeen", "time", "lease", "state", NULL};
	size_t n = 0;
	cJSON *e;

	cJSON_ArrayForEach (e, o) {
		size_t i = 0;

		while (kept[i] != NULL && (e->string == NULL || strcmp(e->string, kept[i]) != 0))
			i++;
		if (cJSON_IsString(e) && kept[i] == NULL) {
			(void)cJSON_SetValuestring(e, HOSTILE);
			n++;
		}
		n += spoil(e);
	}
	return n;
}

/* Does a "<" begin one of our own elements? */
static bool is_ours(const char *s)
{
	static const char *const tag[] = {"<!DOCTYPE html>", "<html lang=en>", "<head>", "</head>",
		"<meta charset=utf-8>", "<meta name=viewport content=\"", "<link rel=icon href=\"",
		"<title>", "</title>", "<style>", "</style>", "<noscript>", "</noscript>",
		"<meta http-equiv=refresh content=5>", "<body>", "</body>", "</html>",
		"<p id=b role=status hidden>", "<p>", "</p>", "<main>", "</main>", "<h1>", "</h1>",
		"<h2>", "</h2>", "<ul class=bad>", "<ul>", "<li>", "</ul>", "<div>", "</div>",
		"<table>", "</table>", "<thead>", "<tbody>", "<tr>", "<th scope=col>",
		"<th scope=row>", "<td data-h=\"", "<time datetime=\"2026-", "</time>",
		"<svg aria-hidden=true>", "</svg>", "<rect width=\"", "<script>", "</script>"};

	for (size_t i = 0; i < ARRAY_LEN(tag); i++)
		if (strncmp(s, tag[i], strlen(tag[i])) == 0)
			return true;
	return false;
}

static size_t count_of(const char *in, const char *what)
{
	size_t n = 0;

	for (; (in = strstr(in, what)) != NULL; in++)
		n++;
	return n;
}

static void check_harmless(const struct buf *page)
{
	for (const char *s = strchr(page->p, '<'); s != NULL; s = strchr(s + 1, '<'))
		CHECK(is_ours(s));
	for (const char *s = page->p; *s != '\0'; s++)
		CHECK((unsigned char)*s >= ' ' ? *s != 0x7f : *s == '\n');
	CHECK(strlen(page->p) == page->len);
	CHECK_INT(count_of(page->p, "<script>"), 1);
	CHECK(strstr(page->p, "\xe2\x80\xae") == NULL);
	CHECK(strstr(page->p, "http:") == NULL && strstr(page->p, "https:") == NULL);
}

static void test_hostile(void)
{
	static const char *const name[] = {"small", "bgp", "degraded", "long"};

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		cJSON *dump = golden_tree(name[i]);
		struct buf page;

		check_row = name[i];
		CHECK(spoil(dump) > 40);
		page = page_of(dump);
		check_harmless(&page);
		CHECK(count_of(page.p, HARMLESS) > 20);
		buf_free(&page);
	}
}

/* Of every part in turn a tree of another form. */
static void test_types(void)
{
	static const char *const other[] = {
		"null", "1e308", "\"<\"", "[]", "{}", "[null,1,\"<\",[[]],{}]", "true"};
	cJSON *dump = golden_tree("degraded"), *e;
	struct buf page = page_of(NULL);

	check_harmless(&page);
	buf_free(&page);
	cJSON_ArrayForEach (e, dump)
		for (size_t i = 0; i < ARRAY_LEN(other); i++) {
			cJSON *o = cJSON_Duplicate(dump, true);

			check_row = e->string;
			(void)cJSON_ReplaceItemInObjectCaseSensitive(
				o, e->string, json_parse(other[i], strlen(other[i])));
			page = page_of(o);
			check_harmless(&page);
			buf_free(&page);
		}
	cJSON_Delete(dump);
}

/* -- what is said -- */

static void test_title(void)
{
	static const char *const row[][2] = {{"small", "<title>lbd: fine</title>"},
		{"many", "<title>lbd: 2 problems</title>"},
		{"degraded", "<title>lbd: 23 problems</title>"}};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct buf page = page_of(golden_tree(row[i][0]));

		check_row = row[i][0];
		CHECK(strstr(page.p, row[i][1]) != NULL);
		buf_free(&page);
	}
}

/* Addresses of n Services; of each tenth nobody has it. */
static cJSON *crowd(size_t n)
{
	cJSON *dump = cJSON_CreateObject(), *vips = cJSON_AddArrayToObject(dump, "vips");

	for (size_t i = 0; i < n; i++) {
		cJSON *o = cJSON_CreateObject();
		char ip[32];

		(void)snprintf(ip, sizeof ip, "10.0.%zu.%zu", i / 256, i % 256);
		(void)cJSON_AddStringToObject(o, "ip", ip);
		if (i % 10 != 9)
			(void)cJSON_AddStringToObject(o, "owner", "n1");
		(void)cJSON_AddStringToObject(o, "state",
			i % 100 == 0  ? "conflict"
			: i % 10 == 9 ? "idle"
				      : "owner");
		cJSON_AddItemToArray(vips, o);
	}
	return dump;
}

/* Of many the ones with trouble are shown, and how many are not. */
static void test_many(void)
{
	struct buf page = page_of(crowd(4096));
	const char *tables = strstr(page.p, "<h2>Addresses</h2>");

	CHECK(tables != NULL);
	CHECK_INT(count_of(tables, "<tr><th scope=row>"), 500);
	CHECK_INT(count_of(tables, "class=bad"), 409 + 41);
	CHECK(strstr(tables, "<p>and 3596 more: lbd status vips\n") != NULL);
	CHECK(strstr(page.p, "<title>lbd: 42 problems<") != NULL);
	buf_free(&page);
	page = page_of(crowd(1));
	CHECK(strstr(page.p, "<title>lbd: 1 problem<") != NULL);
	buf_free(&page);
	page = page_of(crowd(30000));
	CHECK_INT(count_of(page.p, "<li>"), 101);
	CHECK(strstr(page.p, "<li>and 201 more: lbd status\n") != NULL);
	CHECK(page.len < 300000);
	buf_free(&page);
}

/* What does not fit is bad, and no more than that. */
static void test_no_room(void)
{
	cJSON *dump = golden_tree("degraded");

	for (size_t room = 0; room < 15000; room += 41) {
		struct buf out;

		buf_init(&out, room);
		page_print(dump, &out);
		CHECK(out.bad && out.len <= room);
		buf_free(&out);
	}
	cJSON_Delete(dump);
}

/* -- the answer's fields -- */

static void check_hash(const struct buf *page, const char *from, const char *to, const char *before)
{
	struct buf text = inside(page, from, to), want;
	unsigned char sum[32], b64[64];
	size_t len = 0;

	CHECK_INT(mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
			  (const unsigned char *)text.p, text.len, sum),
		0);
	CHECK_INT(mbedtls_base64_encode(b64, sizeof b64, &len, sum, sizeof sum), 0);
	buf_init(&want, 200);
	buf_addf(&want, "; %s 'sha256-%s';", before, (const char *)b64);
	if (strstr(page_fields, want.p) == NULL)
		printf("%s: write sha256-%s\n", before, (const char *)b64);
	CHECK(strstr(page_fields, want.p) != NULL);
	buf_free(&want);
	buf_free(&text);
}

/* The browser runs the script that it is sent, and shows the style: their hashes are named. */
static void test_fields(void)
{
	struct buf page = page_of(golden_tree("small"));

	check_hash(&page, "<style>", "</style>", "style-src");
	check_hash(&page, "<script>", "</script>", "script-src");
	CHECK(strncmp(page_fields, "Content-Security-Policy: default-src 'none'; ", 45) == 0);
	CHECK(strstr(page_fields, "unsafe") == NULL);
	CHECK(strcmp(page_fields + strlen(page_fields) - 2, "\r\n") == 0);
	buf_free(&page);
}

/* -- by which name -- */

static void test_hosts(void)
{
	static const struct {
		const char *host;
		bool own;
	} row[] = {{"10.0.0.1", true}, {"10.0.0.1:7472", true}, {"10.0.0.1:", true},
		{"[fd00::1]", true}, {"[fd00::1]:7472", true}, {"[::1]:0", true},
		{"localhost", true}, {"LocalHost:7472", true}, {"n1", true}, {"N1:80", true},
		{"n1.local", true}, {"n1.LAN:7472", true}, {"n1.home.arpa", true},
		{"n1.internal", true}, {"n1.arpa", false}, {"n1.local.example.com", false},
		{"n1.example.com", false}, {"n1.example.com:7472", false}, {"n1.", false},
		{"", false}, {":", false},
		{":7472", false}, {"n", false}, {"n12", false}, {"n1-x.example.com", false},
		{"evil.example.com", false}, {"evil.n1", false}, {"localhost.example.com", false},
		{"xlocalhost", false}, {"10.0.0.1.example.com", false}, {"10.0.0", false},
		{"10.0.0.1:x", false}, {"10.0.0.1:80:80", false}, {"n1:", true}, {"n1:8a", false},
		{"[fd00::1", false}, {"[fd00::1]x", false}, {"[]", false}, {"[", false},
		{"]", false}, {"[n1]", false}, {"fd00::1", false}, {"x@n1", false},
		{"0x7f.1", false}, {"2130706433", false}};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		check_row = row[i].host;
		CHECK(page_is_own_host(row[i].host, "n1") == row[i].own);
	}
	check_row = "a node without a name";
	CHECK(!page_is_own_host("", "") && !page_is_own_host(".example.com", ""));
	CHECK(page_is_own_host("127.0.0.1", ""));
	check_row = "a node's name with dots";
	CHECK(page_is_own_host("n1.example.com:1", "n1.example.com"));
	CHECK(!page_is_own_host("n1", "n1.example.com"));
}

CHECK_MAIN("test_page", CHECK_TEST(test_golden), CHECK_TEST(test_hostile), CHECK_TEST(test_types),
	CHECK_TEST(test_title), CHECK_TEST(test_many), CHECK_TEST(test_no_room),
	CHECK_TEST(test_fields), CHECK_TEST(test_hosts))
