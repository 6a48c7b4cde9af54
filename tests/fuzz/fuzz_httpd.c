/* uses: http1 buf */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_httpd.c - bytes of a client into the parser of request heads: what it takes is all that it
 * takes, whatever follows; a shorter piece of it is not all there, and nothing that it hands on can
 * split an answer.
 */
#include "http1.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(const char *p, size_t n, const char *in, size_t len)
{
	return p >= in && n <= len && (size_t)(p - in) <= len - n;
}

static void check(const char *in, size_t size, const struct http1_asked *a, size_t len)
{
	struct http1_asked again;
	size_t len_again = 0;

	REQUIRE(len <= size && len >= 16 && memcmp(in + len - 4, "\r\n\r\n", 4) == 0);
	REQUIRE(a->method_len > 0 && is_inside(a->method, a->method_len, in, len));
	REQUIRE(a->path_len > 0 && a->path[0] == '/' && is_inside(a->path, a->path_len, in, len));
	REQUIRE(is_inside(a->query, a->query_len, in, len));
	REQUIRE(a->host == NULL ||
		(a->host_len <= HTTP1_MAX_HOST && is_inside(a->host, a->host_len, in, len) &&
			memchr(a->host, ' ', a->host_len) == NULL));
	REQUIRE(memchr(a->path, '\n', a->path_len) == NULL &&
		memchr(a->path, ' ', a->path_len) == NULL);
	REQUIRE(memmem(in, len, "\r\n\r\n", 4) == in + len - 4);
	REQUIRE(http1_read_request(in, len, &again, &len_again) == HTTP1_OK && len_again == len);
	REQUIRE(http1_read_request(in, len - 1, &again, &len_again) == HTTP1_TRUNCATED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http1_asked a;
	char *in = malloc(size + 1);
	size_t at = 0, len = 0;

	REQUIRE(in != NULL);
	memcpy(in, data, size);
	while (http1_read_request(in + at, size - at, &a, &len) == HTTP1_OK) {
		check(in + at, size - at, &a, len);
		at += len;
	}
	free(in);
	return 0;
}
