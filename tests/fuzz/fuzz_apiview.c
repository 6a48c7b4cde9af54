/* uses: apiview buf json show */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_apiview.c - any lists of the API, through to what lbd status prints of them.
 */
#include "apiview.h"
#include "json.h"
#include "show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON *o = json_parse((const char *)data, size), *dump;
	const struct apiview_lists lists = {.leases = json_get(o, "leases"),
		.services = json_get(o, "services"),
		.events = json_get(o, "events"),
		.server = "https://10.0.0.1:6443",
		.now = "2026-01-01T00:01:00.000Z"};
	const struct show_options options = {.width = 80};
	struct buf out;

	if (o == NULL)
		return 0;
	dump = apiview_dump(&lists);
	REQUIRE(json_array(dump, "vips") != NULL);
	buf_init(&out, 64 << 20);
	(void)show_text(dump, &options, &out);
	REQUIRE(!out.bad && out.len > 0);
	buf_free(&out);
	cJSON_Delete(dump);
	cJSON_Delete(o);
	return 0;
}
