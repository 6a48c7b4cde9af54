/* uses: alloc addr service buf label */
/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_alloc.c - allocations in one process: put, decide, result and write of each, one after
 * another.
 *
 * The Services are copies as the picture holds them (copy.h), made beforehand: what is timed is
 * what the daemon's pass does with one.  Medians of ROUNDS rounds; beside the wall clock's, the
 * processor's time, which a busy machine does not spoil.
 *
 * alloc.100k_ms         into an empty /8
 * alloc.100k_pool90_ms  into a pool that is 90 % full: 100,000 of 111,111 in use, holes everywhere.
 *                       Ten turns; in each 10,000 Services at random are deleted (not timed), then
 *                       10,000 new ones come (timed).
 * alloc.1k_ns, 10k_ns, 100k_ns  of processor time for one, of so many into an empty /8
 * alloc.pool8_ns, 16, 28, 64_v6  the like, and for one that goes before, of 14 that stand
 * alloc.bytes_per_service        heap, without the copy, which is the picture's
 */
#include "alloc.h"
#include "copy.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { N = 100000, TURNS = 10, STANDING = 14, CHURN = 20000, ROUNDS = 5, NAME_LEN = 32 };

struct span {
	uint64_t wall_ns, cpu_ns;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		abort();
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static struct span now(void)
{
	return (struct span){clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

static void add_since(struct span *sum, struct span start)
{
	struct span end = now();

	sum->wall_ns += end.wall_ns - start.wall_ns;
	sum->cpu_ns += end.cpu_ns - start.cpu_ns;
}

/* -- Services -- */

static struct copy *service(unsigned id, enum addr_family f)
{
	static const struct cluster_port port = {CLUSTER_TCP, 80};
	char key[NAME_LEN], uid[NAME_LEN + 16];
	struct cluster_service s = {.key = key,
		.namespace_ = "default",
		.name = key + strlen("default/"),
		.uid = uid,
		.resource_version = "123456",
		.created_s = 1700000000,
		.is_load_balancer = true,
		.has_cluster_ip = true,
		.backend_key = "",
		.families = {f},
		.n_families = 1,
		.ports = &port,
		.n_ports = 1};
	struct copy *c;

	(void)snprintf(key, sizeof key, "default/service-%06u", id);
	(void)snprintf(uid, sizeof uid, "01234567-89ab-cdef-0123-%012u", id);
	c = copy_hold(&s);
	if (c == NULL)
		abort();
	return c;
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

static void put(struct alloc *a, const struct copy *c)
{
	struct cluster_service s = copy_view(c);

	if (alloc_put(a, &s, 1000) != 0)
		abort();
	if (pull(a) != 1) {
		(void)fprintf(stderr, "%s is not allocated\n", s.key);
		exit(1);
	}
}

static void run(struct alloc *a, struct copy *const *v, unsigned count, struct span *sum)
{
	struct span start = now();

	for (unsigned i = 0; i < count; i++)
		put(a, v[i]);
	add_since(sum, start);
}

/* -- the allocator, with one pool -- */

struct rig {
	struct addr_range range;
	struct config_pool pool;
	struct config conf;
	struct alloc *a;
};

static void rig_open(struct rig *r, const char *range)
{
	static const struct hash_key hkey = {1, 2};

	if (addr_range_parse(range, strlen(range), false, &r->range) != ADDR_RANGE_OK)
		abort();
	r->pool = (struct config_pool){.name = "lan",
		.ranges = &r->range,
		.n_ranges = 1,
		.auto_assign = true,
		.reuse_delay_ms = 60000};
	r->conf = (struct config){.pools = &r->pool, .n_pools = 1, .classless = true};
	r->a = alloc_new(&hkey, NULL);
	if (r->a == NULL || alloc_configure(r->a, &r->conf, 0) != 0)
		abort();
	alloc_begin(r->a);
	alloc_adopted(r->a, 0);
}

/* -- figures -- */

static int by_value(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static double median(uint64_t v[ROUNDS])
{
	qsort(v, ROUNDS, sizeof v[0], by_value);
	return (double)v[ROUNDS / 2];
}

typedef void (*bench_fn)(void *what, struct copy **v, struct span *sum);

/* Medians of fn's rounds, for one of count. */
static struct span rounds(bench_fn fn, void *what, struct copy **v, unsigned count)
{
	uint64_t wall[ROUNDS], cpu[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct span sum = {0, 0};

		fn(what, v, &sum);
		wall[i] = sum.wall_ns;
		cpu[i] = sum.cpu_ns;
	}
	return (struct span){(uint64_t)(median(wall) / count), (uint64_t)(median(cpu) / count)};
}

static void print_ms(const char *key, struct span one)
{
	printf("alloc.%s_ms %.1f\nalloc.%s_cpu_ms %.1f\n", key, (double)one.wall_ns * N / 1e6, key,
		(double)one.cpu_ns * N / 1e6);
}

static void print_ns(const char *key, struct span one)
{
	printf("alloc.%s_ns %llu\n", key, (unsigned long long)one.cpu_ns);
}

/* what: how many. */
static void into_empty(void *what, struct copy **v, struct span *sum)
{
	const unsigned *count = what;
	struct rig r;

	rig_open(&r, "10.0.0.0/8");
	run(r.a, v, *count, sum);
	alloc_free(r.a);
}

/* what: the next id. */
static void into_full(void *what, struct copy **v, struct span *sum)
{
	struct rng rng = {1};
	unsigned *next = what;
	struct span untimed = {0, 0};
	struct rig r;

	rig_open(&r, "10.0.0.0-10.1.178.6"); /* 111,111 */
	run(r.a, v, N, &untimed);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		/* The deleted ones are swapped to the end and others come in their place. */
		for (unsigned i = N; i > N - N / TURNS; i--) {
			size_t at = rng_below(&rng, i);

			alloc_delete(r.a, copy_key(v[at]), 1000);
			copy_drop(v[at]);
			v[at] = v[i - 1];
			v[i - 1] = service((*next)++, ADDR_V4);
		}
		(void)pull(r.a);
		run(r.a, &v[N - N / TURNS], N / TURNS, sum);
	}
	alloc_free(r.a);
}

/* what: the pool. */
static void churn(void *what, struct copy **v, struct span *sum)
{
	struct span untimed = {0, 0}, start;
	struct rig r;

	rig_open(&r, what);
	run(r.a, v, STANDING, &untimed);
	start = now();
	for (unsigned i = 0; i < CHURN; i++) {
		alloc_delete(r.a, copy_key(v[i]), 1000);
		put(r.a, v[i + STANDING]);
	}
	add_since(sum, start);
	alloc_free(r.a);
}

static void fill(struct copy **v, enum addr_family f)
{
	for (unsigned i = 0; i < N; i++) {
		copy_drop(v[i]);
		v[i] = service(i, f);
	}
}

static void print_heap(struct copy **v)
{
	struct span untimed = {0, 0};
	size_t before = mallinfo2().uordblks;
	struct rig r;

	rig_open(&r, "10.0.0.0/8");
	run(r.a, v, N, &untimed);
	printf("alloc.bytes_per_service %zu\n", (mallinfo2().uordblks - before) / N);
	alloc_free(r.a);
}

int main(void)
{
	static char pool8[] = "10.0.0.0/8", pool16[] = "10.0.0.0/16", pool28[] = "10.0.0.0/28",
		    pool64[] = "fd00::/64";
	static unsigned count[] = {1000, 10000, N};
	static const char *const name[] = {"1k", "10k", "100k"};
	struct copy **v = (struct copy **)calloc(N, sizeof *v);
	unsigned next = N;

	if (v == NULL)
		abort();
	fill(v, ADDR_V4);
	print_heap(v);
	for (unsigned i = 0; i < ARRAY_LEN(count); i++) {
		struct span one = rounds(into_empty, &count[i], v, count[i]);

		if (count[i] == N)
			print_ms("100k", one);
		print_ns(name[i], one);
	}
	print_ns("pool8", rounds(churn, pool8, v, CHURN));
	print_ns("pool16", rounds(churn, pool16, v, CHURN));
	print_ns("pool28", rounds(churn, pool28, v, CHURN));
	print_ms("100k_pool90", rounds(into_full, &next, v, N));
	fill(v, ADDR_V6);
	print_ns("pool64_v6", rounds(churn, pool64, v, CHURN));
	for (unsigned i = 0; i < N; i++)
		copy_drop(v[i]);
	free((void *)v);
	return 0;
}
