/* uses: buf json page show */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_show.c - any JSON as a daemon's answer to lbd status, and on the page.
 */
#include "json.h"
#include "page.h"
#include "show.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing of it moves the cursor, and every line is whole. */
static void check_text(const struct buf *b)
{
	REQUIRE(!b->bad && b->len > 0 && b->p[b->len - 1] == '\n');
	for (size_t i = 0; i < b->len; i++) {
		unsigned char c = (unsigned char)b->p[i];

		REQUIRE((c >= ' ' || c == '\n') && c != 0x7f);
		REQUIRE(c != 0xc2 || (unsigned char)b->p[i + 1] >= 0xa0);
	}
}

/* Markup is ours alone. */
static void check_html(const struct buf *b)
{
	static const char *const tag[] = {"<!DOCTYPE html>", "<html lang=en>", "<head>", "<meta ",
		"<link rel=icon href=\"data:,\">", "<title>lbd: ", "<style>:root", "<noscript>",
		"<body>", "<p id=b role=status hidden>", "<p>", "<main>", "<h1>lbd: ", "<h2>",
		"<ul", "<li>", "<div><table><thead><tr>", "<table>", "<thead>", "<tr>",
		"<th scope=", "<tbody>", "<td data-h=\"", "<time datetime=\"",
		"<svg aria-hidden=true>", "<rect width=\"", "<script>(function(){", "</"};
	unsigned scripts = 0, times = 0;

	check_text(b);
	for (const char *s = strchr(b->p, '<'); s != NULL; s = strchr(s + 1, '<')) {
		size_t i = 0;

		while (i < ARRAY_LEN(tag) && strncmp(s, tag[i], strlen(tag[i])) != 0)
			i++;
		REQUIRE(i < ARRAY_LEN(tag));
		scripts += strncmp(s, "<script>", 8) == 0 || strncmp(s, "</script>", 9) == 0;
		times += strncmp(s, "<time", 5) == 0;
		times -= strncmp(s, "</time", 6) == 0;
		REQUIRE(times <= 1);
	}
	REQUIRE(scripts == 2 && times == 0);
}

static void try_host(const uint8_t *data, size_t size)
{
	char *host = strndup((const char *)data, size);

	REQUIRE(host != NULL);
	if (page_is_own_host(host, "n1") && strncasecmp(host, "n1", 2) != 0)
		REQUIRE(strchr("0123456789[Ll", host[0]) != NULL);
	free(host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON *dump = size > 2 ? json_parse((const char *)data + 2, size - 2) : NULL;
	struct show_options o = {0};
	struct buf out;

	try_host(data, size);
	if (dump == NULL)
		return 0;
	o.what = (enum show_what)(data[0] % (SHOW_EVENTS + 1));
	o.wide = data[0] & 0x80;
	o.timeless = data[0] & 0x40;
	o.namespace_ = data[0] & 0x20 ? "web" : NULL;
	o.width = data[1];
	buf_init(&out, 64 << 20);
	(void)show_text(dump, &o, &out);
	check_text(&out);
	buf_reset(&out);
	page_print(dump, &out);
	check_html(&out);
	buf_free(&out);
	cJSON_Delete(show_json(dump, &o));
	return 0;
}
