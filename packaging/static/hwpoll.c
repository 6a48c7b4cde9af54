/* SPDX-License-Identifier: Apache-2.0
 *
 * hwpoll.c - mbedTLS's entropy on musl: getrandom(2).
 *
 * mbedTLS calls getrandom() under glibc alone; elsewhere it opens /dev/random, which may block and
 * needs a /dev.  mbed_user.h turns that off (MBEDTLS_NO_PLATFORM_ENTROPY) and names this function
 * (MBEDTLS_ENTROPY_HARDWARE_ALT).  Linked into a build without those settings it is unused.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/random.h>

enum { ENTROPY_SOURCE_FAILED = -0x003C }; /* MBEDTLS_ERR_ENTROPY_SOURCE_FAILED */

int mbedtls_hardware_poll(void *data, unsigned char *out, size_t n, size_t *ret_n);

int mbedtls_hardware_poll(void *data, unsigned char *out, size_t n, size_t *ret_n)
{
	size_t done = 0;

	(void)data;
	*ret_n = 0;
	while (done < n) {
		ssize_t r = getrandom(out + done, n - done, 0);

		if (r < 0 && errno != EINTR)
			return ENTROPY_SOURCE_FAILED;
		if (r > 0)
			done += (size_t)r;
	}
	*ret_n = done;
	return 0;
}
