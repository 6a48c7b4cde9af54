/* uses: alloc addr service buf label */
/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_alloc.c - 100,000 allocations in one process: put, decide, result and write of each.
 *
 * alloc.100k_ms         into an empty /8
 * alloc.100k_pool90_ms  into a pool that is 90 % full: 100,000 of 111,111 in use, holes everywhere.
 *                       Ten rounds; each first deletes 10,000 Services at random (not timed), then
 *                       10,000 new ones come (timed).
 * alloc.bytes_per_service  heap, of the first
 */
#include "alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { N = 100000, ROUNDS = 10, NAME_LEN = 32 };

static uint64_t now_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		abort();
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* The texts of an object, made beforehand: what is timed is the allocator. */
struct name {
	char key[NAME_LEN], uid[NAME_LEN + 16];
};

static void name(struct name *n, unsigned id)
{
	(void)snprintf(n->key, sizeof n->key, "default/service-%06u", id);
	(void)snprintf(n->uid, sizeof n->uid, "01234567-89ab-cdef-0123-%012u", id);
}

static int put(struct alloc *a, const struct name *n)
{
	static const struct cluster_port port = {CLUSTER_TCP, 80};
	struct cluster_service s = {.key = n->key,
		.namespace_ = "default",
		.name = n->key + strlen("default/"),
		.uid = n->uid,
		.resource_version = "123456",
		.created_s = 1700000000,
		.is_load_balancer = true,
		.has_cluster_ip = true,
		.backend_key = "app=web",
		.families = {ADDR_V4},
		.n_families = 1,
		.ports = &port,
		.n_ports = 1};

	return alloc_put(a, &s, 1000);
}

/* What the shell does for each new Service.  Returns how many were allocated. */
static unsigned pull(struct alloc *a)
{
	struct alloc_result r;
	struct alloc_write w;
	unsigned n = 0;

	while (alloc_next_result(a, &r))
		n += r.reason == REASON_ALLOCATED;
	while (alloc_next_write(a, 1000, &w))
		alloc_write_done(a, w.id, ALLOC_WRITE_OK, 1000);
	return n;
}

/* Nanoseconds for count Services, each on its own. */
static uint64_t run(struct alloc *a, const struct name *names, unsigned count)
{
	uint64_t start = now_ns();
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		if (put(a, &names[i]) != 0)
			abort();
		n += pull(a);
	}
	if (n != count) {
		(void)fprintf(stderr, "%u of %u allocated\n", n, count);
		exit(1);
	}
	return now_ns() - start;
}

static struct alloc *start(const struct config *conf)
{
	static const struct hash_key hkey = {1, 2};
	struct alloc *a = alloc_new(&hkey, NULL);

	if (a == NULL || alloc_configure(a, conf, 0) != 0)
		abort();
	alloc_begin(a);
	alloc_adopted(a, 0);
	return a;
}

static struct config conf_of(const char *range, struct addr_range *r, struct config_pool *p)
{
	if (addr_range_parse(range, strlen(range), false, r) != ADDR_RANGE_OK)
		abort();
	*p = (struct config_pool){.name = "lan",
		.ranges = r,
		.n_ranges = 1,
		.auto_assign = true,
		.reuse_delay_ms = 60000};
	return (struct config){.pools = p, .n_pools = 1, .classless = true};
}

static double bench_empty(const struct name *names)
{
	struct addr_range r;
	struct config_pool p;
	struct config conf = conf_of("10.0.0.0/8", &r, &p);
	size_t before = mallinfo2().uordblks;
	struct alloc *a = start(&conf);
	uint64_t ns = run(a, names, N);

	printf("alloc.bytes_per_service %zu\n", (mallinfo2().uordblks - before) / N);
	alloc_free(a);
	return (double)ns / 1e6;
}

static double bench_pool90(struct name *names)
{
	struct addr_range r;
	struct config_pool p;
	struct config conf = conf_of("10.0.0.0-10.1.178.6", &r, &p); /* 111,111 */
	struct alloc *a = start(&conf);
	struct rng rng = {1};
	unsigned next = N;
	uint64_t ns = 0;

	(void)run(a, names, N);
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* The deleted ones are swapped to the end and get new names. */
		for (unsigned i = N; i > N - N / ROUNDS; i--) {
			size_t at = rng_below(&rng, i);

			alloc_delete(a, names[at].key, 1000);
			names[at] = names[i - 1];
			name(&names[i - 1], next++);
		}
		(void)pull(a);
		ns += run(a, &names[N - N / ROUNDS], N / ROUNDS);
	}
	alloc_free(a);
	return (double)ns / 1e6;
}

int main(void)
{
	struct name *names = calloc(N, sizeof *names);

	if (names == NULL)
		abort();
	for (unsigned i = 0; i < N; i++)
		name(&names[i], i);
	printf("alloc.100k_ms %.1f\n", bench_empty(names));
	printf("alloc.100k_pool90_ms %.1f\n", bench_pool90(names));
	free(names);
	return 0;
}
