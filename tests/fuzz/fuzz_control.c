/* uses: control buf json log */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_control.c - one line of the control socket into its parser.
 */
#include "control.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *error = NULL;
	cJSON *o = control_parse((const char *)data, size, &error);
	char *text;

	if (o == NULL) {
		REQUIRE(error != NULL && strlen(error) > 0);
		return 0;
	}
	REQUIRE(cJSON_IsObject(o) && size <= CONTROL_MAX_REQUEST);
	/* What is an object stays one when it is printed and read again. */
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	REQUIRE(text != NULL);
	if (strlen(text) <= CONTROL_MAX_REQUEST) {
		o = control_parse(text, strlen(text), &error);
		REQUIRE(o != NULL);
		cJSON_Delete(o);
	}
	cJSON_free(text);
	return 0;
}
