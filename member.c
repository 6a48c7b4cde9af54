/* SPDX-License-Identifier: Apache-2.0
 *
 * member.c - the members: what their Leases said, and when.
 *
 * Owns: the members and all that they hold.
 * In:   lbd-node-* and lbd-claims-* Leases as the watch has them: other nodes' words, hostile.
 * Out:  who lives, goes, is gone, when; what each claims; the members' order, their objects' names.
 *
 * Source: shared/OWNERSHIP.md R5, R7, R13's order; shared/INTERFACES.md (names).
 */
#include "member.h"

#include "text.h"

#include <mbedtls/md.h>

#include <stdio.h>
#include <string.h>

enum {
	LEASE_MAX_MS = 3600 * 1000, /* what a Lease may say of its own duration */
	NODE_NAME_MAX = 240,        /* longer ones are shortened in object names */
	NODE_NAME_KEPT = 200,
	MEMBER_MAX_MACS = 64,
	SHA256_LEN = 32,
};

/* -- names -- */

static void sha256(const void *data, size_t n, uint8_t ret[SHA256_LEN])
{
	int err = mbedtls_md(
		mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const unsigned char *)data, n, ret);

	REQUIRE(err == 0);
}

/* The first 64 bits of a hash: enough to order any real cluster. */
static uint64_t leading_bits(const uint8_t sum[SHA256_LEN])
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | sum[i];
	return v;
}

uint64_t member_ring_score(const char *node)
{
	uint8_t sum[SHA256_LEN];

	sha256(node, strlen(node), sum);
	return leading_bits(sum);
}

/* MetalLB's order: ascending by sha256(node + "#" + first address of the Service); names break
 * a tie. */
uint64_t member_score(const char *node, struct addr key)
{
	char text[CONFIG_MAX_NAME + 1 + ADDR_STRLEN + 1], ip[ADDR_STRLEN];
	uint8_t sum[SHA256_LEN];
	int n = snprintf(text, sizeof text, "%s#%s", node, addr_format(key, ip));

	sha256(text, (size_t)time_min((uint64_t)n, sizeof text - 1), sum);
	return leading_bits(sum);
}

bool member_before_score(const char *a, const char *b, uint64_t score_b, struct addr key)
{
	uint64_t score_a = member_score(a, key);

	return score_a != score_b ? score_a < score_b : strcmp(a, b) < 0;
}

bool member_before(const char *a, const char *b, struct addr key)
{
	return member_before_score(a, b, member_score(b, key), key);
}

static const char *role_prefix(enum cluster_lease_role role)
{
	return role == CLUSTER_LEASE_NODE ? "lbd-node-" : "lbd-claims-";
}

void member_object_name(enum cluster_lease_role role, const char *node, char ret[MEMBER_NAMELEN])
{
	const char *prefix = role_prefix(role);
	uint8_t sum[SHA256_LEN];
	size_t n = strlen(node);

	if (n <= NODE_NAME_MAX) {
		(void)snprintf(ret, MEMBER_NAMELEN, "%s%s", prefix, node);
		return;
	}
	sha256(node, n, sum);
	(void)snprintf(ret, MEMBER_NAMELEN, "%s%.*s-%02x%02x%02x%02x%02x%02x", prefix,
		NODE_NAME_KEPT, node, sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]);
}

/* -- the table -- */

static void member_free(struct member *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free(m->text[i]);
	claims_free(&m->claims);
	free(m->claims_rv);
	free(m->links);
	free(m->node);
	free(m);
}

struct member *members_find(const struct members *t, const char *node)
{
	struct member *m;

	HASH_FIND_KEYED(hh, t->head, &t->hkey, node, strlen(node), m);
	return m;
}

struct member *members_get(struct members *t, const char *node, uint64_t now_ms)
{
	struct member *m = members_find(t, node);

	if (m != NULL)
		return m;
	m = calloc(1, sizeof *m);
	if (m == NULL)
		return NULL;
	m->node = strdup(node);
	m->observed_ms = now_ms;
	if (m->node == NULL) {
		member_free(m);
		return NULL;
	}
	HASH_ADD_KEYED(hh, t->head, &t->hkey, m->node, strlen(m->node), m);
	if (hash_oom(m)) {
		member_free(m);
		return NULL;
	}
	return m;
}

static void drop_macs(struct members *t, const struct member *m)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_macs; i++)
		if (t->macs[i].m != m)
			t->macs[n++] = t->macs[i];
	t->n_macs = n;
}

void members_forget(struct members *t, struct member *m)
{
	drop_macs(t, m);
	HASH_DEL(t->head, m);
	member_free(m);
}

void members_free(struct members *t)
{
	for (struct member *m = t->head, *next; m != NULL; m = next) {
		next = m->hh.next;
		members_forget(t, m);
	}
	free(t->macs);
}

size_t members_count_alive(const struct members *t)
{
	size_t n = 0;

	for (const struct member *m = t->head; m != NULL; m = m->hh.next)
		n += member_is_alive(m);
	return n;
}

/* The first place in t->macs that does not come before mac. */
static size_t place_of_mac(const struct members *t, const uint8_t mac[6])
{
	size_t lo = 0, hi = t->n_macs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(t->macs[mid].mac, mac, 6) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct member *members_with_mac(const struct members *t, const uint8_t mac[6])
{
	size_t at = place_of_mac(t, mac);

	return at < t->n_macs && memcmp(t->macs[at].mac, mac, 6) == 0 ? t->macs[at].m : NULL;
}

static bool is_known_before(const struct members *t, const struct member *a, const struct member *b)
{
	const struct member *m = t->head;

	while (m != a && m != b)
		m = m->hh.next;
	return m == a;
}

/* Of two with one MAC. */
static bool comes_before(
	const struct members *t, const struct member_mac *a, const struct member_mac *b)
{
	return a->gone != b->gone ? b->gone : is_known_before(t, a->m, b->m);
}

/* false when out of memory. */
static bool add_mac(struct members *t, const struct member_mac *new)
{
	size_t at = place_of_mac(t, new->mac), cap = t->cap_macs + t->cap_macs / 4 + 4;
	struct member_mac *v = t->macs;

	while (at < t->n_macs && memcmp(v[at].mac, new->mac, 6) == 0 && comes_before(t, &v[at], new))
		at++;
	if (t->n_macs == t->cap_macs) {
		v = realloc(v, cap * sizeof *v);
		if (v == NULL)
			return false;
		t->macs = v;
		t->cap_macs = cap;
	}
	memmove(v + at + 1, v + at, (t->n_macs++ - at) * sizeof *v);
	v[at] = *new;
	return true;
}

/* -- what BFD says -- */

unsigned member_liveness(enum elect_peer state)
{
	switch (state) {
	case ELECT_PEER_NEVER:
		return 0;
	case ELECT_PEER_SILENT:
		return 1;
	case ELECT_PEER_DEAF:
		return 2;
	case ELECT_PEER_HEARD:
		return 3;
	case ELECT_PEER_LATE:
		return 4;
	case ELECT_PEER_UP:
		return 5;
	case ELECT_PEER_LEAVING: /* said in one segment, meant for all */
		return 6;
	}
	return 0;
}

struct member_link *member_link(struct member *m, unsigned ifindex)
{
	struct member_link *v;

	for (size_t i = 0; i < m->n_links; i++)
		if (m->links[i].ifindex == ifindex)
			return &m->links[i];
	if (m->n_links == MEMBER_MAX_LINKS)
		return NULL;
	v = realloc(m->links, (m->n_links + 1) * sizeof *v);
	if (v == NULL)
		return NULL;
	m->links = v;
	v[m->n_links] = (struct member_link){.ifindex = ifindex};
	return &v[m->n_links++];
}

void member_set_link(struct member *m, struct member_link *l, enum elect_peer state, unsigned loss)
{
	m->at_work &= state != ELECT_PEER_UP || l->state == ELECT_PEER_LATE;
	l->state = state;
	l->loss = loss;
	m->peer = ELECT_PEER_NEVER;
	for (size_t i = 0; i < m->n_links; i++)
		if (member_liveness(m->links[i].state) > member_liveness(m->peer))
			m->peer = m->links[i].state;
}

/* -- what follows from what they said -- */

bool member_is_released(const struct member *m)
{
	return m->has_lease && text_eq(m->text[TEXT_HOLDER], "");
}

bool member_is_alive(const struct member *m)
{
	return m->self || (m->has_lease && !m->expired && !member_is_released(m));
}

bool member_offers_to_other(
	const struct member *m, const struct addr *addrs, size_t n, const char *node)
{
	const char *text = m->text[TEXT_MOVE], *equals = text != NULL ? strchr(text, '=') : NULL;
	struct addr a;

	if (equals == NULL || addr_parse(text, (size_t)(equals - text), &a) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (addr_eq(addrs[i], a))
			return strcmp(equals + 1, node) != 0;
	return false;
}

bool member_is_leaving(const struct member *m)
{
	return m->peer == ELECT_PEER_LEAVING || member_is_released(m) ||
	       (m->text[TEXT_DRAINING] != NULL && m->text[TEXT_DRAINING][0] != '\0');
}

bool member_is_heard(const struct member *m)
{
	return member_liveness(m->peer) >= member_liveness(ELECT_PEER_DEAF) &&
	       m->peer != ELECT_PEER_LEAVING;
}

bool member_lacks_claims(const struct member *m)
{
	return m->claims_gone || m->claims_rv == NULL;
}

bool member_is_forgettable(const struct member *m)
{
	return m->expired && (m->lease_gone || !m->has_lease) && member_lacks_claims(m);
}

uint64_t member_lease_ms(const struct member *m, uint64_t lease_ms)
{
	uint64_t ms = m->duration_ms > lease_ms ? m->duration_ms : lease_ms;

	return time_min(ms, LEASE_MAX_MS);
}

uint64_t member_expires_at(const struct member *m, uint64_t lease_ms, uint64_t healthy_ms)
{
	uint64_t from = m->observed_ms > healthy_ms ? m->observed_ms : healthy_ms;

	return m->self || m->expired ? TIME_NEVER : from + member_lease_ms(m, lease_ms);
}

/* -- what their Leases said -- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "xx:xx:xx:xx:xx:xx", lower case. */
static bool parse_mac(const char *s, size_t n, uint8_t ret[6])
{
	if (n != 17)
		return false;
	for (size_t i = 0; i < 6; i++) {
		int hi = hex(s[3 * i]), lo = hex(s[3 * i + 1]);

		if (hi < 0 || lo < 0 || (i < 5 && s[3 * i + 2] != ':'))
			return false;
		ret[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* "eth0=02:..,eth1=..", no name: of an interface that is gone; what cannot be read is left out.
 * false when out of memory. */
static bool parse_macs(struct members *t, struct member *m)
{
	const char *p = m->text[TEXT_MACS];
	unsigned left = MEMBER_MAX_MACS;
	struct member_mac mac = {.m = m};
	bool ok = true;

	drop_macs(t, m);
	while (p != NULL && *p != '\0' && left > 0) {
		size_t len = strcspn(p, ","), name = strcspn(p, "=");

		if (name < len && parse_mac(p + name + 1, len - name - 1, mac.mac)) {
			mac.gone = name == 0;
			ok &= add_mac(t, &mac);
			left--;
		}
		p += len;
		p += *p == ',';
	}
	return ok;
}

static bool copy_texts(struct member *m, const struct cluster_lease *l)
{
	return text_set(&m->text[TEXT_HOLDER], l->holder) &&
	       text_set(&m->text[TEXT_ADDRESSES], l->addresses) &&
	       text_set(&m->text[TEXT_MACS], l->macs) &&
	       text_set(&m->text[TEXT_SUBNETS], l->subnets) &&
	       text_set(&m->text[TEXT_VERSION], l->version) &&
	       text_set(&m->text[TEXT_CONFIG_HASH], l->config_hash) &&
	       text_set(&m->text[TEXT_DRAINING], l->draining) &&
	       text_set(&m->text[TEXT_SCHEMA], l->schema) &&
	       text_set(&m->text[TEXT_RV], l->resource_version);
}

bool members_on_lease(
	struct members *t, struct member *m, const struct cluster_lease *lease, uint64_t now_ms)
{
	bool was_alive = member_is_alive(m), was_leaving = member_is_leaving(m);
	bool moved, same_macs;

	m->lease_gone = false;
	if (m->has_lease && text_eq(m->text[TEXT_RV], lease->resource_version))
		return false;
	moved = !text_eq(m->text[TEXT_SUBNETS], lease->subnets);
	same_macs = m->text[TEXT_RV] != NULL && text_eq(m->text[TEXT_MACS], lease->macs);
	if (!copy_texts(m, lease) || (!same_macs && !parse_macs(t, m))) {
		free(m->text[TEXT_RV]); /* half new: the next renewal mends it */
		m->text[TEXT_RV] = NULL;
	}
	m->renewed |= m->has_lease;
	m->has_lease = true;
	m->observed_ms = now_ms;
	m->duration_ms = time_min(lease->duration_ms, LEASE_MAX_MS);
	m->expired = false;
	return moved || member_is_alive(m) != was_alive || member_is_leaving(m) != was_leaving;
}

bool member_on_claims(struct member *m, const struct cluster_lease *lease,
	struct counters *counters, struct claims *ret_old)
{
	struct claims fresh = {0};

	m->claims_gone = false;
	if (text_eq(m->claims_rv, lease->resource_version))
		return false;
	m->unread = true;
	if (lease->claims == NULL || claims_parse(lease->claims, &fresh.v, &fresh.n) != 0) {
		counter_inc(counters, COUNTER_WATCH_BAD_OBJECTS);
		return false; /* what was known of it stays */
	}
	if (!text_set(&m->text[TEXT_MOVE], lease->move) ||
		!text_set(&m->claims_rv, lease->resource_version)) {
		claims_free(&fresh);
		return false;
	}
	*ret_old = m->claims;
	m->claims = fresh;
	m->unread = false;
	return true;
}

void member_on_deleted(struct member *m, enum cluster_lease_role role)
{
	if (role == CLUSTER_LEASE_NODE)
		m->lease_gone = true;
	else
		m->claims_gone = true;
}
