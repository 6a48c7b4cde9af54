/* uses: cluster addr arena buf json label */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_object.c - objects of the API into the picture of the cluster.  Each line is one step: a
 * letter for the kind (S N E P L), one for what happens (+ put, - delete, [ list begins, ] list
 * ends, ! list fails, 0 forget), and for the first two the object's JSON.
 */
#include "cluster.h"
#include "json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads it to the end. */
static size_t touch(const char *s)
{
	return s != NULL ? strlen(s) : 0;
}

static size_t touch_labels(const struct labels *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		n += touch(l->v[i].key) + touch(l->v[i].value);
		REQUIRE(i == 0 || strcmp(l->v[i - 1].key, l->v[i].key) < 0);
	}
	return n;
}

static size_t touch_service(const struct cluster *c, const struct cluster_service *s)
{
	size_t n = touch(s->uid) + touch(s->resource_version) + touch(s->class_) +
		   touch(s->load_balancer_ip) + touch(s->request.ips) + touch(s->request.pool) +
		   touch(s->request.sharing_key) + touch(s->request.conflict) +
		   touch(s->backend_key) + touch(s->pool_written) + touch_labels(&s->labels);

	REQUIRE(cluster_service(c, s->key, NULL));
	REQUIRE(strncmp(s->key, s->namespace_, strlen(s->namespace_)) == 0);
	REQUIRE(strcmp(s->key + strlen(s->namespace_) + 1, s->name) == 0);
	REQUIRE(s->n_ports <= CLUSTER_MAX_PORTS && s->n_ingress <= CLUSTER_MAX_INGRESS);
	REQUIRE(s->n_families <= 2 && (s->n_families < 2 || s->families[0] != s->families[1]));
	for (size_t i = 0; i < s->n_ports; i++)
		REQUIRE(s->ports[i].port != 0 && s->ports[i].protocol <= CLUSTER_OTHER);
	for (size_t i = 0; i < s->n_ingress; i++)
		for (size_t j = 0; j < i; j++)
			REQUIRE(!addr_eq(s->ingress[i], s->ingress[j]));
	return n + cluster_endpoints(c, s->key, "n1").ready_on_node;
}

static size_t touch_node(const struct cluster *c, const struct cluster_node *n)
{
	size_t sum = touch(n->uid) + touch(n->resource_version) + touch_labels(&n->labels);

	REQUIRE(cluster_node(c, n->name) == n);
	for (size_t i = 0; i < n->n_internal_ips; i++)
		sum += addr_is_unusable(n->internal_ips[i]);
	for (size_t i = 0; i < n->n_external_ips; i++)
		sum += addr_is_unusable(n->external_ips[i]);
	return sum;
}

static void on_lease(void *ctx, const struct cluster_lease *l, bool deleted)
{
	size_t *sum = ctx;

	(void)deleted;
	REQUIRE((l->role != CLUSTER_LEASE_NODE && l->role != CLUSTER_LEASE_CLAIMS) ||
		touch(l->node) > 0);
	REQUIRE(l->holder != NULL && touch(l->claims) <= CLUSTER_MAX_CLAIMS);
	*sum += touch(l->uid) + touch(l->holder) + touch(l->renew_time) + touch(l->acquire_time) +
		touch(l->schema) + touch(l->version) + touch(l->config_hash) + touch(l->addresses) +
		touch(l->macs) + touch(l->subnets) + touch(l->bfd) + touch(l->draining);
}

static void read_all(const struct cluster *c, size_t *sum)
{
	struct cluster_service s = {0};
	const struct cluster_node *n = NULL;
	size_t services = 0, nodes = 0;

	while (cluster_next_service(c, &s)) {
		*sum += touch_service(c, &s);
		services++;
	}
	while ((n = cluster_next_node(c, n)) != NULL) {
		*sum += touch_node(c, n);
		nodes++;
	}
	REQUIRE(services == cluster_count(c, CLUSTER_SERVICE));
	REQUIRE(nodes == cluster_count(c, CLUSTER_NODE));
	for (size_t i = 0; i < cluster_dirty_count(c); i++) {
		struct cluster_dirty d = cluster_dirty_at(c, i);

		REQUIRE(d.gone == !cluster_service(c, d.key, NULL));
	}
}

static void apply(struct cluster *c, enum cluster_kind kind, enum cluster_event event,
	const char *p, size_t n)
{
	cJSON *o = json_parse(p, n);

	if (o != NULL && cluster_apply(c, kind, event, o) == 0)
		REQUIRE(json_string(json_object(o, "metadata"), "name") != NULL);
	cJSON_Delete(o);
}

static void step(struct cluster *c, const char *line, size_t n)
{
	static const char kinds[] = "SNEPL";
	const char *kind = n >= 2 && line[0] != '\0' ? strchr(kinds, line[0]) : NULL;
	enum cluster_kind k;

	if (kind == NULL) {
		cluster_clean(c);
		return;
	}
	k = (enum cluster_kind)(kind - kinds);
	switch (line[1]) {
	case '+':
		apply(c, k, CLUSTER_PUT, line + 2, n - 2);
		break;
	case '-':
		apply(c, k, CLUSTER_DELETE, line + 2, n - 2);
		break;
	case '[':
		cluster_list_begin(c, k);
		break;
	case ']':
		cluster_list_end(c, k);
		break;
	case '!':
		cluster_list_abort(c, k);
		break;
	case '0':
		cluster_forget(c, k);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_key hkey = {1, 2};
	struct cluster *c = cluster_new(&hkey, NULL);
	const char *p = (const char *)data, *end = p + size;
	size_t sum = 0;

	REQUIRE(c != NULL);
	cluster_on_lease(c, on_lease, &sum);
	while (p < end) {
		const char *feed = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((feed != NULL ? feed : end) - p);

		step(c, p, n);
		read_all(c, &sum);
		p += n + (feed != NULL);
	}
	cluster_free(c);
	return sum == SIZE_MAX;
}
