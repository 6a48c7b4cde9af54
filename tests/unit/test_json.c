/* SPDX-License-Identifier: Apache-2.0
 *
 * test_json.c - parsing exactly n bytes, and type-checked reading.
 */
#include "check.h"
#include "json.h"

#include <limits.h>

static void test_parse(void)
{
	static const struct {
		const char *name, *in;
		size_t n; /* 0 = all of in */
		bool ok;
	} rows[] = {
		{"empty", "", 0, false},
		{"object", "{}", 0, true},
		{"blanks around", " \t\r\n{} \t\r\n", 0, true},
		{"blanks alone", "  ", 0, false},
		{"number at the end", "12", 0, true},
		{"one byte short", "{\"a\":1", 0, false},
		{"short of a value", "{\"a\":", 0, false},
		{"a comma at the end", "{\"1\":1,", 0, false}, /* CVE-2023-53154 */
		{"list and comma", "[1,", 0, false},
		{"text open", "\"abc", 0, false},
		{"text ends in a backslash", "\"abc\\", 0, false},
		{"short escape", "\"\\u00", 0, false},
		{"lone surrogate", "\"\\ud800\"", 0, false},
		{"literal short", "tru", 0, false},
		{"trailing letter", "{}x", 0, false},
		{"trailing object", "{} {}", 0, false},
		{"trailing NUL", "{}\0", 3, false},
		{"NUL inside", "{\0}", 3, true}, /* cJSON: a blank */
		{"only as far as told", "{}garbage", 2, true},
	};
	char deep[4000];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = rows[i].n != 0 ? rows[i].n : strlen(rows[i].in);
		unsigned char *in = check_guard(rows[i].in, n);
		cJSON *o = json_parse((const char *)in, n);

		check_row = rows[i].name;
		CHECK_INT(o != NULL, rows[i].ok);
		cJSON_Delete(o);
		check_unguard(in, n);
	}
	memset(deep, '[', sizeof deep);
	CHECK(json_parse(deep, sizeof deep) == NULL);
}

static void test_get(void)
{
	static const char text[] = "{\"a\":{\"x\":1},\"b\":[1],\"c\":\"s\",\"d\":true,\"e\":null}";
	cJSON *o = json_parse(text, sizeof text - 1);

	CHECK(json_get(o, "a") != NULL && json_get(o, "A") == NULL);
	CHECK(json_get(NULL, "a") == NULL && json_get(json_get(o, "b"), "a") == NULL);
	CHECK(json_object(o, "a") != NULL && json_object(o, "b") == NULL);
	CHECK(json_array(o, "b") != NULL && json_array(o, "a") == NULL);
	CHECK_STR(json_string(o, "c"), "s");
	CHECK(json_string(o, "d") == NULL && json_string(o, "e") == NULL);
	CHECK(json_bool(o, "d", false) && !json_bool(o, "c", false) && json_bool(o, "e", true));
	CHECK(json_bool(NULL, "d", true) && json_string(NULL, "c") == NULL);
	cJSON_Delete(o);
}

static void test_int(void)
{
	static const struct {
		const char *name, *in;
		long long min, max, want; /* the fallback is -7 */
	} rows[] = {
		{"zero", "0", 0, 0, 0},
		{"at the least", "-5", -5, 5, -5},
		{"at the most", "5", -5, 5, 5},
		{"below", "-6", -5, 5, -7},
		{"above", "6", -5, 5, -7},
		{"fraction", "1.5", 0, 5, -7},
		{"whole with a point", "2.0", 0, 5, 2},
		{"exponent", "5e1", 0, 100, 50},
		{"text", "\"1\"", 0, 5, -7},
		{"truth", "true", 0, 5, -7},
		{"null", "null", 0, 5, -7},
		{"2^63", "9223372036854775808", LLONG_MIN, LLONG_MAX, -7},
		{"-2^63", "-9223372036854775808", LLONG_MIN, LLONG_MAX, LLONG_MIN},
		{"greatest below 2^63", "9223372036854774784", 0, LLONG_MAX, 9223372036854774784},
		{"rounded up past the limit", "4294967296", 0, 4294967295, -7},
		{"huge", "1e300", LLONG_MIN, LLONG_MAX, -7},
		{"infinite", "1e999", LLONG_MIN, LLONG_MAX, -7},
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int n = snprintf(text, sizeof text, "{\"v\":%s}", rows[i].in);
		cJSON *o = json_parse(text, (size_t)n);

		check_row = rows[i].name;
		CHECK_INT(json_int(o, "v", rows[i].min, rows[i].max, -7), rows[i].want);
		cJSON_Delete(o);
	}
	CHECK_INT(json_int(NULL, "v", 0, 1, 9), 9);
}

static void test_is_strings(void)
{
	static const struct {
		const char *in;
		bool want;
	} rows[] = {{"[]", true}, {"[\"a\",\"\"]", true}, {"[\"a\",1]", false}, {"[null]", false},
		{"{\"a\":\"b\"}", false}, {"\"a\"", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cJSON *o = json_parse(rows[i].in, strlen(rows[i].in));

		check_row = rows[i].in;
		CHECK_INT(json_is_strings(o), rows[i].want);
		cJSON_Delete(o);
	}
	CHECK(!json_is_strings(NULL));
}

CHECK_MAIN("test_json", CHECK_TEST(test_parse), CHECK_TEST(test_get), CHECK_TEST(test_int),
	CHECK_TEST(test_is_strings))
