/* uses: buf json show */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_show.c - any JSON as a daemon's answer to lbd status.
 */
#include "json.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON *dump = size > 2 ? json_parse((const char *)data + 2, size - 2) : NULL;
	struct show_options o = {0};
	struct buf out;

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
	buf_free(&out);
	cJSON_Delete(show_json(dump, &o));
	return 0;
}
