/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c - one run of the simulated world: its parts, its time, its trace.
 */
#include "sim.h"

#include "check.h"
#include "guest.h"
#include "lan.h"
#include "node.h"
#include "server.h"
#include "users.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { TRACE_LINE = 512 };

#define FNV_OFFSET 0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

void *sim_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL && n > 0 && size > 0)
		abort();
	return p;
}

void *sim_grow(void *v, size_t *cap, size_t n, size_t size)
{
	if (n <= *cap)
		return v;
	*cap = 2 * n > 64 ? 2 * n : 64;
	v = realloc(v, *cap * size);
	if (v == NULL)
		abort();
	return v;
}

struct sim *sim_new(const struct sim_setup *setup)
{
	struct sim *s = sim_alloc(1, sizeof *s);
	struct rng mix = {.state = ~setup->seed}, rng = {.state = rng_next(&mix)};

	s->setup = *setup;
	s->trace_hash = FNV_OFFSET;
	s->rng_api.state = rng_next(&rng);
	s->rng_lan.state = rng_next(&rng);
	s->rng_users.state = rng_next(&rng);
	s->queue = queue_new();
	s->nodes = sim_alloc(setup->n_nodes, sizeof *s->nodes);
	s->server = server_new(s);
	s->lan = lan_new(s);
	s->guests = guests_new(s);
	s->users = users_new(s);
	s->check = check_new(s);
	for (unsigned i = 0; i < setup->n_nodes; i++)
		node_init(s, i);
	users_populate(s);
	return s;
}

void sim_free(struct sim *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->setup.n_nodes; i++)
		node_end(&s->nodes[i]);
	check_free(s);
	users_free(s->users);
	guests_free(s->guests);
	lan_free(s->lan);
	server_free(s->server);
	queue_free(s->queue);
	free(s->nodes);
	free(s);
}

void sim_post(struct sim *s, uint64_t at_us, const struct event *ev)
{
	queue_post(s->queue, at_us < s->now_us ? s->now_us : at_us, ev);
}

/* Nobody may answer everybody at once, for ever. */
static void watch_for_storms(struct sim *s)
{
	if (s->now_us >= s->second_us + SIM_S) {
		s->second_us = s->now_us;
		s->second_events = s->n_events;
	}
	if (s->setup.storm > 0 && s->n_events - s->second_events > s->setup.storm)
		sim_fail(s, "storm", "%" PRIu64 " events in less than a second",
			s->n_events - s->second_events);
}

void sim_advance(struct sim *s, uint64_t until_us)
{
	struct event ev;
	uint64_t at_us;

	while (!sim_has_failed(s) && queue_next(s->queue, until_us, &at_us, &ev)) {
		s->now_us = at_us;
		s->n_events++;
		watch_for_storms(s);
		ev.fn(s, &ev);
	}
	if (!sim_has_failed(s))
		s->now_us = until_us;
}

bool sim_has_failed(const struct sim *s)
{
	return s->failed[0] != '\0';
}

void sim_fail(struct sim *s, const char *what, const char *fmt, ...)
{
	va_list ap;

	if (sim_has_failed(s))
		return;
	(void)snprintf(s->failed, sizeof s->failed, "%s", what);
	s->failed_us = s->now_us;
	va_start(ap, fmt);
	(void)vsnprintf(s->failure, sizeof s->failure, fmt, ap);
	va_end(ap);
	sim_trace(s, "FAILED: %s: %s", what, s->failure);
}

static void hash_bytes_of(struct sim *s, const void *p, size_t n)
{
	for (const uint8_t *b = p; n > 0; b++, n--)
		s->trace_hash = (s->trace_hash ^ *b) * FNV_PRIME;
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char line[TRACE_LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	hash_bytes_of(s, line, time_min((uint64_t)n, sizeof line - 1));
	hash_bytes_of(s, &s->now_us, sizeof s->now_us);
	if (s->setup.trace != NULL)
		fprintf(s->setup.trace, "%11.6f %s\n", (double)s->now_us / SIM_S, line);
}
