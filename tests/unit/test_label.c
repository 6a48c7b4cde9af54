/* SPDX-License-Identifier: Apache-2.0
 *
 * test_label.c - label selectors: the semantics of metav1.LabelSelector.
 */
#include "base.h"
#include "check.h"
#include "label.h"

static void test_sort(void)
{
	struct label v[] = {{"c", "3"}, {"a", "1"}, {"b", "2"}, {"a", "1"}, {"c", "3"}, {"c", "3"}};
	size_t n = label_sort(v, ARRAY_LEN(v));
	struct labels l = {v, n};

	CHECK_INT(n, 3);
	CHECK_STR(label_get(&l, "a"), "1");
	CHECK_STR(label_get(&l, "b"), "2");
	CHECK_STR(label_get(&l, "c"), "3");
	CHECK(label_get(&l, "d") == NULL && label_get(&l, "") == NULL);
	CHECK_INT(label_sort(v, 1), 1);
	CHECK_INT(label_sort(NULL, 0), 0);
	l = (struct labels){0};
	CHECK(label_get(&l, "a") == NULL);
}

static void test_equal(void)
{
	static const struct label a[] = {{"a", "1"}, {"b", "2"}}, b[] = {{"a", "1"}, {"b", "3"}},
				  c[] = {{"a", "1"}, {"c", "2"}};
	const struct labels none = {NULL, 0}, one = {a, 1}, two = {a, 2}, other = {b, 2},
			    third = {c, 2};

	CHECK(label_equal(&none, &none) && label_equal(&two, &two));
	CHECK(!label_equal(&none, &one) && !label_equal(&one, &none) && !label_equal(&one, &two));
	CHECK(!label_equal(&two, &other) && !label_equal(&two, &third));
	CHECK(label_equal(&one, &(struct labels){b, 1}));
}

static void test_matches(void)
{
	static const struct label labels[] = {{"disk", "ssd"}, {"empty", ""}, {"zone", "a"}};
	static const struct labels l = {labels, ARRAY_LEN(labels)};
	static const char *const ab[] = {"a", "b"}, *const bc[] = {"b", "c"}, *const none[] = {""};
	static const struct {
		const char *name;
		struct label match[2];
		size_t n_match;
		struct label_expr expr[2];
		size_t n_expr;
		bool want;
	} rows[] = {
		{"empty matches all", {{0}}, 0, {{0}}, 0, true},
		{"equal", {{"zone", "a"}}, 1, {{0}}, 0, true},
		{"another value", {{"zone", "b"}}, 1, {{0}}, 0, false},
		{"absent", {{"rack", "1"}}, 1, {{0}}, 0, false},
		{"absent is not empty", {{"rack", ""}}, 1, {{0}}, 0, false},
		{"empty value", {{"empty", ""}}, 1, {{0}}, 0, true},
		{"all must", {{"zone", "a"}, {"disk", "hdd"}}, 2, {{0}}, 0, false},
		{"in", {{0}}, 0, {{"zone", LABEL_IN, ab, 2}}, 1, true},
		{"not in the list", {{0}}, 0, {{"zone", LABEL_IN, bc, 2}}, 1, false},
		{"in, absent", {{0}}, 0, {{"rack", LABEL_IN, none, 1}}, 1, false},
		{"in nothing", {{0}}, 0, {{"zone", LABEL_IN, NULL, 0}}, 1, false},
		{"not in", {{0}}, 0, {{"zone", LABEL_NOT_IN, bc, 2}}, 1, true},
		{"not in, but is", {{0}}, 0, {{"zone", LABEL_NOT_IN, ab, 2}}, 1, false},
		{"not in, absent", {{0}}, 0, {{"rack", LABEL_NOT_IN, ab, 2}}, 1, true},
		{"exists", {{0}}, 0, {{"empty", LABEL_EXISTS, NULL, 0}}, 1, true},
		{"exists not", {{0}}, 0, {{"rack", LABEL_EXISTS, NULL, 0}}, 1, false},
		{"does not exist", {{0}}, 0, {{"rack", LABEL_DOES_NOT_EXIST, NULL, 0}}, 1, true},
		{"does exist", {{0}}, 0, {{"zone", LABEL_DOES_NOT_EXIST, NULL, 0}}, 1, false},
		{"labels and expressions", {{"zone", "a"}}, 1,
			{{"disk", LABEL_EXISTS, NULL, 0}, {"zone", LABEL_IN, bc, 2}}, 2, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct selector s = {rows[i].match, rows[i].n_match, rows[i].expr, rows[i].n_expr};

		check_row = rows[i].name;
		CHECK_INT(label_matches(&s, &l), rows[i].want);
	}
}

static void test_matches_any(void)
{
	static const struct label labels[] = {{"zone", "a"}};
	static const struct labels l = {labels, 1};
	static const struct label a = {"zone", "a"}, b = {"zone", "b"};
	const struct selector v[] = {{.match_labels = &b, .n_match_labels = 1},
		{.match_labels = &a, .n_match_labels = 1}};

	CHECK(label_matches_any(&(struct selectors){0}, &l));
	CHECK(!label_matches_any(&(struct selectors){v, 1}, &l));
	CHECK(label_matches_any(&(struct selectors){v, 2}, &l));
}

CHECK_MAIN(
	"test_label", CHECK_TEST(test_sort), CHECK_TEST(test_equal),
	CHECK_TEST(test_matches), CHECK_TEST(test_matches_any))
