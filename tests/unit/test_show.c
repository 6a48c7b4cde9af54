/* SPDX-License-Identifier: Apache-2.0
 *
 * test_show.c - what lbd status prints: each tests/golden/status/NAME.json as NAME.txt has it, the
 * summary at 80 columns, then each table at 80 and wide.  Run from the top of the tree; with
 * GOLDEN_WRITE set the texts are written anew, to be looked at.
 */
#include "check.h"
#include "golden.h"
#include "show.h"

static const char *const word[] = {"services", "vips", "pools", "nodes", "peers", "events"};

static void add_part(const cJSON *dump, struct show_options o, const char *title, struct buf *out)
{
	buf_addf(out, "$ lbd status%s%s\n", title, o.wide ? " -o wide" : "");
	buf_addf(out, "(%s)\n", show_text(dump, &o, out) ? "degraded" : "fine");
}

static void text_of(const cJSON *dump, struct buf *out)
{
	add_part(dump, (struct show_options){.width = 80}, "", out);
	for (size_t i = 0; i < ARRAY_LEN(word); i++) {
		struct show_options o = {.width = 80};
		char title[32];

		CHECK(show_parse(word[i], &o.what));
		(void)snprintf(title, sizeof title, " %s", word[i]);
		add_part(dump, o, title, out);
		o.wide = true;
		add_part(dump, o, title, out);
	}
}

/* Nothing that moves the cursor, whoever gave the text. */
static bool is_harmless(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (((unsigned char)b->p[i] < ' ' && b->p[i] != '\n') || b->p[i] == 0x7f)
			return false;
	return true;
}

static void test_golden(void)
{
	static const char *const name[] = {
		"small", "bgp", "bgpdown", "bfddown", "bad", "empty", "degraded", "many", "long", "hostile", "api",
		"servicelb"};

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		cJSON *dump = golden_tree(name[i]);
		struct buf want = golden_read(name[i], "txt"), got;

		check_row = name[i];
		buf_init(&got, GOLDEN_ROOM);
		text_of(dump, &got);
		CHECK(!got.bad && is_harmless(&got));
		if (getenv("GOLDEN_WRITE") != NULL)
			golden_write(name[i], "txt", &got);
		else
			CHECK_STR(got.p, want.p != NULL ? want.p : "");
		buf_free(&got);
		buf_free(&want);
		cJSON_Delete(dump);
	}
}

/* Columns of each line, as a terminal counts them. */
static size_t widest(const char *s)
{
	size_t n = 0, most = 0;

	for (; *s != '\0'; s++) {
		n += ((unsigned char)*s & 0xc0) != 0x80;
		if (*s == '\n') {
			most = n - 1 > most ? n - 1 : most;
			n = 0;
		}
	}
	return most;
}

/* 80 columns are kept, and so are 60 where no address is too long for that. */
static void test_width(void)
{
	static const char *const name[] = {"small", "bgp", "bgpdown", "bfddown", "bad", "empty", "degraded", "many"};

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		cJSON *dump = golden_tree(name[i]);

		check_row = name[i];
		for (unsigned width = 80; width >= 70; width--) {
			struct show_options o = {.width = width};
			struct buf out;

			buf_init(&out, GOLDEN_ROOM);
			(void)show_text(dump, &o, &out);
			CHECK(!out.bad && widest(out.p) <= width);
			buf_free(&out);
		}
		cJSON_Delete(dump);
	}
}

/* Ages alone are no news. */
static void test_timeless(void)
{
	cJSON *dump = golden_tree("degraded");
	struct show_options o = {.width = 80, .timeless = true};
	struct buf before, after;

	buf_init(&before, GOLDEN_ROOM);
	buf_init(&after, GOLDEN_ROOM);
	(void)show_text(dump, &o, &before);
	(void)cJSON_ReplaceItemInObjectCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(dump, "version"), "now",
		cJSON_CreateString("2026-11-29T12:00:30.000Z"));
	(void)show_text(dump, &o, &after);
	CHECK_STR(after.p, before.p);
	buf_reset(&after);
	(void)cJSON_ReplaceItemInObjectCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(dump, "leader"), "node", cJSON_CreateString("n1"));
	(void)show_text(dump, &o, &after);
	CHECK(strcmp(before.p, after.p) != 0);
	buf_free(&before);
	buf_free(&after);
	cJSON_Delete(dump);
}

/* What ends a drain: a cordon's not what ends one by hand. */
static void test_drained(void)
{
	static const char *const row[][2] = {
		{"new disk", "n8 is drained (new disk): it takes no address until `lbd undrain` there\n"},
		{"the node is cordoned", "n8 is drained (the node is cordoned): it takes no address "
					 "until `kubectl uncordon n8`\n"},
		{"lbd is stopping", "lbd is stopping on node n8: it hands its addresses over\n"}};
	cJSON *dump = golden_tree("degraded"), *n;

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct show_options o = {.width = 0};
		struct buf out;

		check_row = row[i][0];
		cJSON_ArrayForEach (n, cJSON_GetObjectItemCaseSensitive(dump, "nodes"))
			if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(n, "draining")))
				(void)cJSON_ReplaceItemInObjectCaseSensitive(
					n, "draining", cJSON_CreateString(row[i][0]));
		buf_init(&out, GOLDEN_ROOM);
		(void)show_text(dump, &o, &out);
		CHECK(strstr(out.p, row[i][1]) != NULL);
		buf_free(&out);
	}
	cJSON_Delete(dump);
}

static void test_namespace(void)
{
	struct show_options o = {.what = SHOW_SERVICES, .namespace_ = "web", .width = 80};
	cJSON *dump = golden_tree("long"), *part;
	struct buf out;

	buf_init(&out, GOLDEN_ROOM);
	(void)show_text(dump, &o, &out);
	CHECK_STR(out.p, "NAMESPACE  NAME  ADDRESS     NODE  ENDPOINTS  STATUS\n"
			 "web        shop  10.0.0.101  n1    2          announced\n");
	buf_reset(&out);
	o.namespace_ = "we";
	(void)show_text(dump, &o, &out);
	CHECK_STR(out.p, "no Service of type LoadBalancer\n");
	o.namespace_ = "web";
	o.what = SHOW_VIPS;
	part = show_json(dump, &o);
	CHECK_INT(cJSON_GetArraySize(part), 2);
	cJSON_Delete(part);
	buf_free(&out);
}

static void test_json(void)
{
	static const int count[] = {10, 6, 1, 9, 3, 1};

	for (size_t i = 0; i < ARRAY_LEN(word); i++) {
		struct show_options o = {0};
		cJSON *part;

		CHECK(show_parse(word[i], &o.what));
		part = show_json(golden_tree("degraded"), &o);
		check_row = word[i];
		CHECK(cJSON_IsArray(part));
		CHECK_INT(cJSON_GetArraySize(part), count[i]);
		cJSON_Delete(part);
	}
	for (size_t i = 0; i < 2; i++) {
		cJSON *all = show_json(
			golden_tree(i == 0 ? "degraded" : "hostile"), &(struct show_options){0});

		CHECK(cJSON_GetArraySize(json_array(all, "degraded")) > 0);
		CHECK(json_is_strings(json_array(all, "degraded")));
		CHECK(json_is_strings(json_array(all, "notes")));
		CHECK(json_get(all, "counters") == NULL);
		cJSON_Delete(all);
	}
}

static void test_words(void)
{
	enum show_what w = SHOW_ALL;

	CHECK(!show_parse("", &w) && !show_parse("service", &w) && !show_parse("vipss", &w));
	CHECK_INT(w, SHOW_ALL);
}

/* What does not fit is bad, and no more than that. */
static void test_no_room(void)
{
	cJSON *dump = golden_tree("degraded");

	for (size_t room = 0; room < 2000; room += 7) {
		struct show_options o = {.width = 80};
		struct buf out;

		buf_init(&out, room);
		(void)show_text(dump, &o, &out);
		CHECK(out.bad && out.len <= room);
		buf_free(&out);
	}
	cJSON_Delete(dump);
}

CHECK_MAIN("test_show", CHECK_TEST(test_golden), CHECK_TEST(test_width), CHECK_TEST(test_timeless),
	CHECK_TEST(test_drained), CHECK_TEST(test_namespace), CHECK_TEST(test_json),
	CHECK_TEST(test_words), CHECK_TEST(test_no_room))
