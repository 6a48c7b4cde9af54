/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - the simulator's command line.
 *
 *   sim [--seeds N] [--seed START] [--jobs J] [--verbose]
 *                                                random faults; each seed replays exactly
 *   sim --seed S --keep 3,7,9 --verbose          one seed with these of its faults alone
 *   sim --scenario NAME|all [--seed 1] [--v6] [--verbose]
 *                                                scenarios written by hand (scenario.c)
 *   sim --big [--nodes 40] [--services 1000]     a cluster beyond a laboratory (200 nodes, 10,000
 *                                                Services: two minutes)
 *   sim --invariants                             what is judged, and what is not yet, and why
 *
 * A failing seed is shrunk: its faults are left out, halves first, as long as the same invariant
 * still breaks; what remains is printed, and how to replay it.
 */
#include "big.h"
#include "check.h"
#include "faults.h"
#include "scenario.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHRINK_RUNS = 400, MANY_SEEDS = 20 };

struct options {
	uint64_t seeds, first, step; /* every so manieth seed */
	bool verbose, v6, big, table;
	const char *scenario, *keep;
	unsigned nodes, services, jobs;
};

struct totals {
	uint64_t passed, failed, events, hash, moves, double_us, half_us, dark_us;
};

/* -- shrinking -- */

static bool still_fails(const struct schedule *c, const bool *keep, const char *name)
{
	struct sim *s = schedule_run(c, keep, NULL);
	bool same = strcmp(s->failed, name) == 0;

	sim_free(s);
	return same;
}

/* Leaves out runs of faults, shorter and shorter ones (ddmin's complements). */
static void shrink(const struct schedule *c, bool *keep, const char *name)
{
	bool *try = sim_alloc(c->n + 1, sizeof *try);
	unsigned runs = 0;

	for (size_t len = (c->n + 1) / 2; len > 0; len = len > 1 ? (len + 1) / 2 : 0)
		for (size_t at = 0; at < c->n && runs < SHRINK_RUNS; at += len) {
			bool any = false;

			memcpy(try, keep, c->n * sizeof *try);
			for (size_t i = at; i < at + len && i < c->n; i++) {
				any = any || try[i];
				try[i] = false;
			}
			if (!any)
				continue;
			runs++;
			if (still_fails(c, try, name))
				memcpy(keep, try, c->n * sizeof *try);
		}
	free(try);
}

static void print_shrunk(const struct schedule *c, const bool *keep)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += keep[i];
	printf("  %zu of its %zu faults are enough:\n", n, c->n);
	for (size_t i = 0; i < c->n; i++)
		if (keep[i]) {
			printf("    %zu: ", i);
			fault_print(&c->v[i], stdout);
			printf("\n");
		}
	printf("  replay: make sim SEED=%" PRIu64 " SEEDS=1 VERBOSE=1 KEEP=", c->setup.seed);
	for (size_t i = 0, k = 0; i < c->n; i++)
		if (keep[i])
			printf("%s%zu", k++ > 0 ? "," : "", i);
	printf("%s\n", n == 0 ? "none" : "");
}

static void tell_failure(const struct schedule *c, const struct sim *s, const bool *given)
{
	bool *keep = sim_alloc(c->n + 1, sizeof *keep);

	printf("seed %" PRIu64 ": %s: %s, at %.3f s; %u nodes, %u segments, %u Services, Lease "
	       "%" PRIu64 " ms\n",
		c->setup.seed, s->failed, s->failure, (double)s->failed_us / SIM_S,
		c->setup.n_nodes, c->setup.n_segments, c->setup.n_services,
		c->setup.elections.node_duration_ms);
	for (size_t i = 0; i < c->n; i++)
		keep[i] = given == NULL || given[i];
	if (given == NULL)
		shrink(c, keep, s->failed);
	print_shrunk(c, keep);
	fflush(stdout);
	free(keep);
}

/* -- seeds -- */

static bool *parse_keep(const char *text, size_t n)
{
	bool *keep = text != NULL ? sim_alloc(n + 1, sizeof *keep) : NULL;

	for (const char *p = text; p != NULL && *p >= '0' && *p <= '9'; p += *p == ',') {
		char *end;
		size_t i = strtoul(p, &end, 10);

		if (i < n)
			keep[i] = true;
		p = end;
	}
	return keep;
}

static void run_seed(const struct options *o, uint64_t seed, struct totals *t)
{
	struct schedule c = schedule_make(seed);
	bool *keep = parse_keep(o->keep, c.n);
	struct sim *s = schedule_run(&c, keep, o->verbose ? stdout : NULL);
	struct check_figures f = check_figures(s);

	t->passed += !sim_has_failed(s);
	t->failed += sim_has_failed(s);
	t->events += s->n_events;
	t->moves += f.moves;
	t->hash = (t->hash ^ s->trace_hash) * 0x100000001b3u;
	if (f.double_us > t->double_us)
		t->double_us = f.double_us;
	if (f.half_us > t->half_us)
		t->half_us = f.half_us;
	if (f.dark_us > t->dark_us)
		t->dark_us = f.dark_us;
	if (sim_has_failed(s))
		tell_failure(&c, s, keep);
	sim_free(s);
	free(keep);
	schedule_free(&c);
}

static double seconds(void)
{
	struct timespec ts;

	REQUIRE(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int run_seeds(const struct options *o)
{
	struct totals t = {0};
	double began = seconds();

	for (uint64_t i = 0; i < o->seeds; i += o->step)
		run_seed(o, o->first + i, &t);
	printf("sim: seeds %" PRIu64 " to %" PRIu64 " by %" PRIu64 ", trace %016" PRIx64
	       "; %" PRIu64 " VIPs taken; %" PRIu64 " events, %.0f a second\n",
		o->first, o->first + o->seeds - 1, o->step, t.hash, t.moves, t.events,
		(double)t.events / (seconds() - began));
	if (o->seeds / o->step >= MANY_SEEDS && t.moves == 0) { /* whatever else: that was no test */
		printf("sim: no VIP was taken in any of these seeds\n");
		t.failed++;
	}
	printf("sim: longest with two owners that hear each other %.3f s, of which one hears the "
	       "other %.3f s, without one that there could be %.3f s\n",
		(double)t.double_us / SIM_S, (double)t.half_us / SIM_S, (double)t.dark_us / SIM_S);
	printf("sim: %" PRIu64 " passed, %" PRIu64 " failed\n", t.passed, t.failed);
	return t.failed == 0 ? 0 : 1;
}

/* Each job has every so manieth seed, and a process of its own. */
static int run_jobs(const struct options *o)
{
	int status, failed = 0;

	for (unsigned i = 0; i < o->jobs; i++) {
		struct options mine = *o;
		pid_t pid = fork();

		if (pid < 0)
			abort();
		if (pid > 0)
			continue;
		mine.first += i;
		mine.seeds = mine.seeds > i ? mine.seeds - i : 0;
		mine.step = o->jobs;
		exit(run_seeds(&mine));
	}
	while (wait(&status) > 0)
		failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return failed;
}

static bool parse(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			o->verbose = true;
		else if (strcmp(argv[i], "--big") == 0)
			o->big = true;
		else if (strcmp(argv[i], "--v6") == 0)
			o->v6 = true;
		else if (strcmp(argv[i], "--invariants") == 0)
			o->table = true;
		else if (i + 1 == argc)
			return false;
		else if (strcmp(argv[i], "--seeds") == 0)
			o->seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			o->first = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--scenario") == 0)
			o->scenario = argv[++i];
		else if (strcmp(argv[i], "--jobs") == 0)
			o->jobs = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--nodes") == 0)
			o->nodes = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--services") == 0)
			o->services = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--keep") == 0)
			o->keep = argv[++i];
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o = {
		.seeds = 300, .first = 1, .step = 1, .jobs = 1, .nodes = 40, .services = 1000};

	if (!parse(&o, argc, argv))
		return 2;
	if (o.table) {
		check_print_table(stdout);
		return 0;
	}
	if (o.big)
		return big_run(o.nodes, o.services, o.verbose);
	if (o.scenario != NULL)
		return scenario_run(
			o.scenario, &(struct scenario_options){o.first, o.v6, o.verbose});
	return o.jobs > 1 ? run_jobs(&o) : run_seeds(&o);
}
