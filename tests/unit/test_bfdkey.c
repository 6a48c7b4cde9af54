/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bfdkey.c - what a key file may hold.
 */
#include "bfdkey.h"

#include "check.h"

#define SECRET_1 "504b608c8598af259a1fc3fef38a08fdef66d0c4" /* sha1sum of "password-one" */

static const struct {
	const char *name, *text;
	enum bfdkey_error want;
	size_t n;
} rows[] = {
	{"one", "password-one\n", BFDKEY_OK, 1},
	{"no line's end", "password-one", BFDKEY_OK, 1},
	{"two", "password-one\npassword-two\n", BFDKEY_OK, 2},
	{"remarks, empty lines, blanks around",
		"# new\r\n\n  password-one \r\n#old\n\npassword-two", BFDKEY_OK, 2},
	{"the same twice", "password-one\npassword-one\n", BFDKEY_OK, 2},
	{"long", "password-one-and-many-more-characters-than-a-key-of-SHA1-can-have\n", BFDKEY_OK,
		1},
	{"empty", "", BFDKEY_NONE, 0},
	{"blank", " \n\t\n", BFDKEY_NONE, 0},
	{"remark alone", "# password-one", BFDKEY_NONE, 0},
	{"short", "1234567\n", BFDKEY_SHORT, 0},
	{"just long enough", "12345678\n", BFDKEY_OK, 1},
	{"short second", "password-one\n1234567", BFDKEY_SHORT, 0},
	{"three", "password-one\npassword-two\npassword-three\n", BFDKEY_MANY, 0},
};

static void test_rows(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].text), n = 0;
		unsigned char *text = check_guard(rows[i].text, len);
		struct bfd_key v[BFD_MAX_KEYS];

		check_row = rows[i].name;
		CHECK_INT(bfdkey_parse((const char *)text, len, v, &n), rows[i].want);
		CHECK_INT(n, rows[i].n);
		for (size_t k = 0; k < n; k++)
			CHECK_INT(v[k].len, BFD_KEY_MAX);
		CHECK((rows[i].want == BFDKEY_OK) == (bfdkey_error_text(rows[i].want)[0] == 0));
		check_unguard(text, len);
	}
	check_row = "";
}

/* On every line, with anything around it, a key is the same. */
static void test_same_key(void)
{
	static const char one[] = "password-one\npassword-two\n",
			  two[] = "password-two\r\n password-one";
	struct bfd_key a[BFD_MAX_KEYS], b[BFD_MAX_KEYS];
	char hex[2 * BFD_KEY_MAX + 1];
	size_t n;

	CHECK_INT(bfdkey_parse(one, sizeof one - 1, a, &n), BFDKEY_OK);
	CHECK_INT(bfdkey_parse(two, sizeof two - 1, b, &n), BFDKEY_OK);
	CHECK(memcmp(&a[0], &b[1], sizeof a[0]) == 0 && memcmp(&a[1], &b[0], sizeof a[0]) == 0);
	CHECK(memcmp(a[0].secret, a[1].secret, BFD_KEY_MAX) != 0);
	for (size_t i = 0; i < BFD_KEY_MAX; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", a[0].secret[i]);
	CHECK_STR(hex, SECRET_1);
}

CHECK_MAIN("test_bfdkey", CHECK_TEST(test_rows), CHECK_TEST(test_same_key))
