/* SPDX-License-Identifier: Apache-2.0
 *
 * golden.h - tests/golden/status: dumps of a daemon, and what is made of them.  From the top of the
 * tree.
 */
#ifndef LBD_TEST_GOLDEN_H
#define LBD_TEST_GOLDEN_H

#include "buf.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>

enum { GOLDEN_ROOM = 1 << 22 };

static FILE *golden_file(const char *name, const char *ending, const char *mode)
{
	char path[128];

	(void)snprintf(path, sizeof path, "tests/golden/status/%s.%s", name, ending);
	return fopen(path, mode);
}

/* Empty when there is none. */
static struct buf golden_read(const char *name, const char *ending)
{
	FILE *f = golden_file(name, ending, "r");
	struct buf b;
	int c;

	buf_init(&b, GOLDEN_ROOM);
	while (f != NULL && (c = fgetc(f)) != EOF)
		buf_addc(&b, (char)c);
	if (f != NULL)
		(void)fclose(f);
	return b;
}

static void golden_write(const char *name, const char *ending, const struct buf *got)
{
	FILE *f = golden_file(name, ending, "w");

	if (f == NULL || fwrite(got->p, 1, got->len, f) != got->len || fclose(f) != 0)
		abort();
}

static cJSON *golden_tree(const char *name)
{
	struct buf b = golden_read(name, "json");
	cJSON *o = b.len > 0 ? json_parse(b.p, b.len) : NULL;

	if (o == NULL)
		abort();
	buf_free(&b);
	return o;
}

#endif
