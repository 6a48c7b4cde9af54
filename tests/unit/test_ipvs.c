/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ipvs.c - the two settings, in a folder made for the test.
 */
#include "ipvs.h"

#include "check.h"

#include <errno.h>
#include <sys/stat.h>

static char folder[] = "/tmp/lbd-ipvs-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	(void)unlink(path);
	if (text == NULL)
		return;
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	(void)fputs(text, f);
	(void)fclose(f);
}

static const char *get(const char *name)
{
	static char text[16];
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "r");
	text[0] = '\0';
	if (f != NULL) {
		text[fread(text, 1, sizeof text - 1, f)] = '\0';
		(void)fclose(f);
	}
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void test_values(void)
{
	static const struct {
		const char *name, *ignore, *announce;
		enum ipvs_result want;
		int err;
		const char *ignore_then, *announce_then;
	} rows[] = {
		{"the kernel's default", "0\n", "0\n", IPVS_MADE_STRICT, 0, "1", "2"},
		{"half", "1\n", "1\n", IPVS_MADE_STRICT, 0, "1", "2"},
		{"as it should be", "1\n", "2\n", IPVS_IS_STRICT, 0, "1", "2"},
		{"more is left", "8\n", "2\n", IPVS_IS_STRICT, 0, "8", "2"},
		{"one is not there", NULL, "0\n", IPVS_FAILED, -ENOENT, "", "2"},
		{"empty", "", "2\n", IPVS_FAILED, -EBADMSG, "", "2"},
		{"no number", "x\n", "2\n", IPVS_FAILED, -EBADMSG, "x", "2"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int err = 0;

		check_row = rows[i].name;
		put("arp_ignore", rows[i].ignore);
		put("arp_announce", rows[i].announce);
		CHECK_INT(ipvs_make_strict(folder, &err), rows[i].want);
		CHECK_INT(err, rows[i].err);
		CHECK_STR(get("arp_ignore"), rows[i].ignore_then);
		CHECK_STR(get("arp_announce"), rows[i].announce_then);
	}
}

/* What cannot be written (here: no space, ever). */
static void test_not_writable(void)
{
	char path[256];
	int err = 0;

	put("arp_announce", "2\n");
	put("arp_ignore", NULL);
	(void)snprintf(path, sizeof path, "%s/arp_ignore", folder);
	CHECK_INT(mkdir(path, 0700), 0);
	CHECK_INT(ipvs_make_strict(folder, &err), IPVS_FAILED);
	CHECK_INT(err, -EISDIR);
	CHECK_INT(rmdir(path), 0);
}

static void test_long_folder(void)
{
	char name[512];
	int err = 0;

	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	CHECK_INT(ipvs_make_strict(name, &err), IPVS_FAILED);
	CHECK_INT(err, -ENAMETOOLONG);
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_values),
		CHECK_TEST(test_not_writable), CHECK_TEST(test_long_folder)};
	int code;

	if (mkdtemp(folder) == NULL)
		abort();
	code = check_main("test_ipvs", tests, ARRAY_LEN(tests));
	put("arp_ignore", NULL);
	put("arp_announce", NULL);
	(void)rmdir(folder);
	return code;
}
