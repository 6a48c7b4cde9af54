/* SPDX-License-Identifier: Apache-2.0
 *
 * test_doc.c - YAML text -> cJSON: types, marks, errors with their place, limits.
 */
#include "check.h"
#include "doc.h"

static const struct doc_limits limits = {.max_bytes = 1 << 20, .max_nodes = 10000, .max_depth = 16};

/* Parses n bytes that end at a guard page; NULL and *ret_err on failure. */
static struct doc *parse_bytes(const char *text, size_t n, struct doc_error *ret_err)
{
	unsigned char *guarded = check_guard(text, n);
	struct doc *d = NULL;
	int rc = doc_parse((const char *)guarded, n, &limits, &d, ret_err);

	check_unguard(guarded, n);
	return rc == 0 ? d : NULL;
}

static struct doc *parse(const char *text, struct doc_error *ret_err)
{
	return parse_bytes(text, strlen(text), ret_err);
}

static void test_values(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"a: 1", "{\"a\":1}"},
		{"a: true\nb: False\nc: NULL\nd: ~\ne:",
			"{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":null}"},
		{"a: yes\nb: off\nc: on\nd: n",
			"{\"a\":\"yes\",\"b\":\"off\",\"c\":\"on\",\"d\":\"n\"}"},
		{"a: \"1\"\nb: '1'\nc: !!str 1\nd: ! 1",
			"{\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\"}"},
		{"[1, -2, +3, 1.5, .5, 2., 1e3, 0x10, 0o17]", "[1,-2,3,1.5,0.5,2,1000,16,15]"},
		{"[012, 1:30, 1e999, .inf, .nan, 1_000, 0x, -0x1, 1e, '', -, +]",
			"[\"012\",\"1:30\",\"1e999\",\".inf\",\".nan\",\"1_000\",\"0x\",\"-0x1\","
			"\"1e\",\"\",\"-\",\"+\"]"},
		{"[0x10000000000000000]", "[\"0x10000000000000000\"]"},
		{"a: |\n  x\n   y\nb: >\n  x\n  y\n", "{\"a\":\"x\\n y\\n\",\"b\":\"x y\\n\"}"},
		{"a: &x [1, {b: c}]\nd: *x\n", "{\"a\":[1,{\"b\":\"c\"}],\"d\":[1,{\"b\":\"c\"}]}"},
		{"a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}"},
		{"{\"a\": [1, \"b\\u0041\"], \"c\": {}}", "{\"a\":[1,\"bA\"],\"c\":{}}"},
		{"{\"a\": \"\\ud83d\\ude00\\uDBFF\\uDFFF\"}",
			"{\"a\":\"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"}"},
		{"a: \\ud83d\\ude00", "{\"a\":\"\\\\ud83d\\\\ude00\"}"},
		{"\xef\xbb\xbf"
		 "a: 1",
			"{\"a\":1}"},
		{"a: 1\r\nb:\r\n- 2\r\n", "{\"a\":1,\"b\":[2]}"},
		{"\"<<\": 1", "{\"<<\":1}"},
		{"a: &x {b: 1, c: {d: 2}}\ne: {<<: *x, b: 3}\n",
			"{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":{\"b\":3,\"c\":{\"d\":2}}}"},
		{"a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne:\n  f: 4\n  <<: [*x, *y, {g: 5, d: 6}]\n",
			"{\"a\":{\"b\":1},\"c\":{\"b\":2,\"d\":3},\"e\":{\"f\":4,\"b\":1,\"d\":3,"
			"\"g\":5}}"},
		{"a: &x {b: 1}\nc: &y {<<: *x, d: 2}\ne: {<<: *y}\n",
			"{\"a\":{\"b\":1},\"c\":{\"d\":2,\"b\":1},\"e\":{\"d\":2,\"b\":1}}"},
		{"<<: {a: 1}", "{\"a\":1}"},
		{"a: {<<: []}", "{\"a\":{}}"},
		{"!!map {a: !!seq [!!int 1, !!bool true, !!float 1.5, !!null ~]}",
			"{\"a\":[1,true,1.5,null]}"},
		{"plain", "\"plain\""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc_error err = {0};
		struct doc *d = parse(rows[i].in, &err);
		char *got;

		check_row = rows[i].in;
		CHECK_STR(err.text, "");
		CHECK(d != NULL && doc_count(d) == 1);
		if (d == NULL || doc_count(d) != 1)
			continue;
		got = cJSON_PrintUnformatted(doc_root(d, 0));
		CHECK_STR(got, rows[i].want);
		free(got);
		doc_free(d);
	}
}

static void test_documents(void)
{
	static const struct {
		const char *in;
		size_t want;
	} rows[] = {
		{"", 0},
		{"# nothing\n", 0},
		{"---\n", 0},
		{"---\n---\nnull\n---\n~\n", 0},
		{"a: 1\n---\nb: 1\n...\n---\nc: 1\n", 3},
		{"%YAML 1.2\n---\na: 1\n", 1},
		{"---\na: 1\n---\n# only a comment\n---\nb: 1", 2},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc_error err = {0};
		struct doc *d = parse(rows[i].in, &err);

		check_row = rows[i].in;
		CHECK_STR(err.text, "");
		CHECK(d != NULL);
		if (d != NULL)
			CHECK_INT(doc_count(d), rows[i].want);
		doc_free(d);
	}
}

static void test_errors(void)
{
	static const struct {
		const char *in;
		unsigned line, column;
		const char *want;
	} rows[] = {
		{"a: 1\na: 2", 2, 1, "duplicate key, first at line 1: \"a\""},
		{"c: 1\nb: 1\nc: 2\nb: 2\n", 4, 1, "duplicate key, first at line 2: \"b\""},
		{"{a: 1, b: 2, a: 3}", 1, 14, "duplicate key, first at line 1: \"a\""},
		{"x:\n  1: 2", 2, 3, "a key must be a string: quote \"1\""},
		{"true: 2", 1, 1, "a key must be a string: quote \"true\""},
		{"? [a]\n: 1", 1, 3, "a key must be a string"},
		{"? *x\n: 1", 1, 3, "a key must be a string"},
		{"&x a: 1", 1, 1, "an anchor on a key \"a\""},
		{"a: {<<: 1}", 1, 9, "<< takes a map or a list of maps"},
		{"a:\n  <<:\n", 2, 6, "<< takes a map or a list of maps"},
		{"a: {<<: [{}, b]}", 1, 14, "<< takes a map or a list of maps"},
		{"a: &x {<<: *x}", 1, 12, "alias inside its own anchor \"x\""},
		{"<<: {}\n<<: {a: 1}\n<<: {b: 1}\n", 2, 1, "<< twice in one map: give it a list"},
		{"<<: [{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]", 1, 54,
			"too many maps behind <<"},
		{"a: \"\\ud83d\"", 1, 7,
			"found invalid Unicode character escape code while parsing a quoted "
			"scalar"},
		{"- \"\\ud83d\\ude00\"\n- \"\\ude00\\ud83d\"", 2, 6,
			"found invalid Unicode character escape code while parsing a quoted "
			"scalar"},
		{"a: *x", 1, 4, "text that begins with * must be in quotes, or no such anchor"},
		{"a: &x 1\n---\nb: *x", 3, 4,
			"text that begins with * must be in quotes, or no such anchor"},
		{"a: [*]", 1, 6, "text that begins with * must be in quotes"},
		{"a: &\n", 1, 5, "text that begins with & must be in quotes"},
		{"a:\n\tb: 1", 2, 1, "a tab: YAML is indented with blanks"},
		{"\xc3\xa4: @b", 1, 4, "text that begins with this character must be in quotes"},
		{"{\"a\": 1}\n{\"b\": 1}\n", 2, 1, "--- must stand between two documents"},
		{"a: &x [*x]", 1, 8, "alias inside its own anchor \"x\""},
		{"a: !foo 1", 1, 4, "text that begins with ! must be in quotes"},
		{"a: &secret\nb: 1", 1, 4, "text that begins with & must be in quotes"},
		{"a: !secret", 1, 4, "text that begins with ! must be in quotes"},
		{"a: !foo [1]", 1, 4, "text that begins with ! must be in quotes"},
		{"a: !!int x", 1, 4, "unknown tag, or not such a value: \"tag:yaml.org,2002:int\""},
		{"a: !!binary aGk=", 1, 4,
			"unknown tag, or not such a value: \"tag:yaml.org,2002:binary\""},
		{"a: !!seq {}", 1, 4,
			"unknown tag, or not such a value: \"tag:yaml.org,2002:seq\""},
		{"a: \"x\\0y\"", 1, 4, "a NUL character in a string"},
		{"a: [1, 2", 2, 1,
			"did not find expected ',' or ']' while parsing a flow sequence that "
			"begins at line 1"},
		{"a: 1\n\tb: 2", 2, 1,
			"found a tab character that violates indentation while scanning a plain "
			"scalar that begins at line 1"},
		{"a: b\n  c: d", 2, 4, "mapping values are not allowed in this context"},
		{"a: 'x\n---\nb: 1", 2, 1,
			"found unexpected document indicator while scanning a quoted scalar that "
			"begins at line 1"},
		{"a: 1\nb\nc: 2", 3, 1,
			"could not find expected ':' while scanning a simple key that begins at "
			"line 2"},
		{"a: 1\nb: \x01", 2, 4, "control characters are not allowed"},
		{"# \xc3\xa4\na: \xff", 2, 4, "invalid leading UTF-8 octet"},
		{"a: \xc3", 1, 4, "incomplete UTF-8 octet sequence"},
		{"a: 1\nb: 2\n]", 3, 1,
			"did not find expected key while parsing a block mapping that begins at "
			"line 1"},
		{"a: 1\n--- {}\n{}", 3, 1, "--- must stand between two documents"},
		{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 1, 17, "nested too deep"},
		{"- &a [[[[[[[[1]]]]]]]]\n- [[[[[[[[[*a]]]]]]]]]", 2, 12,
			"nested too deep, aliases expanded"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc_error err = {0};
		struct doc *d = parse(rows[i].in, &err);

		check_row = rows[i].in;
		CHECK(d == NULL);
		CHECK_STR(err.text, rows[i].want);
		CHECK_INT(err.mark.line, rows[i].line);
		CHECK_INT(err.mark.column, rows[i].column);
		CHECK(err.start.line <= err.mark.line && err.start.line > 0);
		doc_free(d);
	}
}

static void test_bytes_nul(void)
{
	static const char text[] = "a: 1\nb: \0c";
	struct doc_error err = {0};

	CHECK(parse_bytes(text, sizeof text - 1, &err) == NULL);
	CHECK_STR(err.text, "control characters are not allowed");
	CHECK_INT(err.mark.line, 2);
	CHECK_INT(err.mark.column, 4);
}

/* Every prefix of a text that has everything in it: no crash, no byte read past the end. */
static void test_bytes_every_prefix(void)
{
	static const char text[] = "%YAML 1.1\n---\na: &x [1, \"\\u00e4\", 'b', {c: |\n  d\n}]\n"
				   "e: *x\nf: >-\n  \xc3\xa4\n---\n- !!str 1\n";

	for (size_t n = 0; n < sizeof text; n++) {
		struct doc_error err = {0};

		doc_free(parse_bytes(text, n, &err));
	}
}

static void test_marks(void)
{
	struct doc_error err;
	struct doc *d = parse("# x\n\xc3\xa4: 1\nb:\n- c: &q\n    x: y\n  d: *q\n", &err);
	const cJSON *root, *item, *copy;

	CHECK(d != NULL);
	if (d == NULL)
		return;
	root = doc_root(d, 0);
	CHECK_INT(doc_mark(d, root).line, 2);
	CHECK_INT(doc_mark(d, root->child).column, 4); /* characters, not bytes */
	CHECK_INT(doc_key_mark(d, root->child).column, 1);
	CHECK_INT(doc_key_mark(d, root).line, 0);
	item = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "b"), 0);
	CHECK_INT(doc_mark(d, item).line, 4);
	CHECK_INT(doc_mark(d, item).column, 3);
	CHECK_INT(doc_key_mark(d, item).line, 0);
	copy = cJSON_GetObjectItem(item, "d"); /* an alias: the place where it is used */
	CHECK_INT(doc_mark(d, copy).line, 6);
	CHECK_INT(doc_key_mark(d, copy).line, 6);
	CHECK_INT(doc_mark(d, copy->child).line, 5);
	CHECK_INT(doc_mark(d, NULL).line, 0);
	CHECK_INT(doc_key_mark(d, NULL).line, 0);
	CHECK(doc_scalar(d, NULL) == NULL);
	CHECK(doc_scalar(d, item) == NULL);
	doc_free(d);
}

static void test_scalar_text(void)
{
	struct doc_error err;
	struct doc *d = parse("[0x10, True, ~, \"s\", 1.50]", &err);
	static const char *const want[] = {"0x10", "True", "~", "s", "1.50"};
	size_t i = 0;
	const cJSON *c;

	CHECK(d != NULL);
	if (d == NULL)
		return;
	cJSON_ArrayForEach (c, doc_root(d, 0))
		CHECK_STR(doc_scalar(d, c), want[i++]);
	doc_free(d);
}

static void test_block_origin(void)
{
	static const struct {
		const char *in;
		unsigned line, column;
	} rows[] = {
		{"a: |\n  x: 1\n", 2, 3},
		{"z:\n  a: |\n        x: 1\n        y: 1\n", 3, 9},
		{"a: |-\n\n\n  x: 1\n", 2, 3},
		{"a: |2\n    x: 1\n", 2, 3},
		{"a: | # comment\n x\n", 2, 2},
		{"a: |\r\n  x: 1\r\n", 2, 3},
		{"z: |\n  q\na: |\n   x\n", 4, 4},
		{"a: |\n", 2, 1},
		{"a: >\n  x\n", 0, 0},
		{"a: \"x\"\n", 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc_error err;
		struct doc *d = parse(rows[i].in, &err);
		const cJSON *a;

		check_row = rows[i].in;
		CHECK(d != NULL);
		if (d == NULL)
			continue;
		a = cJSON_GetObjectItem(doc_root(d, 0), "a");
		if (a == NULL)
			a = cJSON_GetObjectItem(cJSON_GetObjectItem(doc_root(d, 0), "z"), "a");
		CHECK_INT(doc_block_origin(d, a).line, rows[i].line);
		CHECK_INT(doc_block_origin(d, a).column, rows[i].column);
		doc_free(d);
	}
}

static void test_limits_alias_bomb(void)
{
	static const char bomb[] =
		"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
		"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
		"e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n"
		"g: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g]\n";
	struct doc_error err = {0};

	CHECK(parse(bomb, &err) == NULL);
	CHECK_STR(err.text, "too many values, aliases expanded");
	CHECK(err.mark.line >= 4);
}

static void test_limits_size(void)
{
	static const struct doc_limits small = {.max_bytes = 8, .max_nodes = 3, .max_depth = 2};
	struct doc_error err = {0};
	struct doc *d = NULL;

	CHECK_INT(doc_parse("[a, b]  ", 8, &small, &d, &err), 0);
	doc_free(d);
	CHECK(doc_parse("[a, b]   ", 9, &small, &d, &err) != 0);
	CHECK_STR(err.text, "larger than 8 bytes");
	CHECK_INT(err.mark.line, 1);
	CHECK(doc_parse("[a,b,c]", 7, &small, &d, &err) != 0);
	CHECK_STR(err.text, "too many values, aliases expanded");
}

/* 2000 keys twice: sorting finds the pair at once. */
static void test_limits_many_keys(void)
{
	static char text[64 * 1024];
	struct doc_error err = {0};
	size_t n = 0;
	struct doc *d;

	for (unsigned i = 0; i < 4000; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "k%u: 1\n", i);
	d = parse(text, &err);
	CHECK_STR(err.text, "");
	CHECK(d != NULL);
	doc_free(d);
	snprintf(text + n, sizeof text - n, "k3: 1\n");
	CHECK(parse(text, &err) == NULL);
	CHECK_INT(err.mark.line, 4001);
	CHECK_STR(err.text, "duplicate key, first at line 4: \"k3\"");
}

CHECK_MAIN("test_doc", CHECK_TEST(test_values), CHECK_TEST(test_documents), CHECK_TEST(test_errors),
	CHECK_TEST(test_bytes_nul), CHECK_TEST(test_bytes_every_prefix), CHECK_TEST(test_marks),
	CHECK_TEST(test_scalar_text), CHECK_TEST(test_block_origin),
	CHECK_TEST(test_limits_alias_bomb), CHECK_TEST(test_limits_size),
	CHECK_TEST(test_limits_many_keys))
