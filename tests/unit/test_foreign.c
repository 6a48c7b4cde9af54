/* SPDX-License-Identifier: Apache-2.0
 *
 * test_foreign.c - hosts that are no node and were heard to have one of our addresses.
 */
#include "check.h"
#include "foreign.h"

static struct addr address(unsigned i)
{
	char text[32];
	struct addr a;
	int n = snprintf(text, sizeof text, "10.0.%u.%u", i / 256, i % 256);

	if (addr_parse(text, (size_t)n, &a) != 0)
		abort();
	return a;
}

static const uint8_t one[6] = {2, 0, 0, 0, 0, 1}, two[6] = {2, 0, 0, 0, 0, 2};

static void test_last_host(void)
{
	struct foreign f = {.n = 0};
	const struct foreign_host *h;

	CHECK(foreign_find(&f, address(1)) == NULL);
	CHECK(foreign_heard(&f, address(1), one, 100));
	CHECK(!foreign_heard(&f, address(1), one, 200));
	h = foreign_find(&f, address(1));
	CHECK(h != NULL && h->first_ms == 100 && h->last_ms == 200);
	CHECK(foreign_find(&f, address(2)) == NULL);
	CHECK(foreign_heard(&f, address(1), two, 300));
	h = foreign_find(&f, address(1));
	CHECK(h != NULL && h->first_ms == 300 && memcmp(h->mac, two, 6) == 0);
	CHECK_INT(f.n, 1);
}

/* A host that claims everything takes no more room; who was heard last stays. */
static void test_limit(void)
{
	struct foreign f = {.n = 0};

	for (unsigned i = 0; i < 3 * FOREIGN_MAX; i++) {
		(void)foreign_heard(&f, address(i), one, 1000 + i);
		(void)foreign_heard(&f, address(0), two, 1000 + i);
	}
	CHECK_INT(f.n, FOREIGN_MAX);
	CHECK(foreign_find(&f, address(0)) != NULL && foreign_find(&f, address(0))->first_ms == 1000);
	CHECK(foreign_find(&f, address(1)) == NULL);
	CHECK(foreign_find(&f, address(3 * FOREIGN_MAX - 1)) != NULL);
}

CHECK_MAIN("test_foreign", CHECK_TEST(test_last_host), CHECK_TEST(test_limit))
