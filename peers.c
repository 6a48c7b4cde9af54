/* SPDX-License-Identifier: Apache-2.0
 *
 * peers.c - the BFD sessions between nodes, and what each says of its node in its segment.
 *
 * Owns: what the other nodes publish; one session for each node in each segment.
 * In:   this node's interfaces, Leases' addresses, BFD's verdicts.
 * Out:  sessions made and ended, a node's state in a segment when it changes.
 *
 * Both ends must choose the same two addresses, knowing only what both publish: the first subnet
 * that both are in (IPv4 before IPv6, then by address), and in it the address that each publishes
 * first.  Above meshLimit members of a segment each has sessions with the four before and the four
 * behind it on the ring sha256(node), so that their number does not grow with the cluster (F16).
 *
 * Source: shared/OWNERSHIP.md R1, R2, R7.
 */
#include "peers.h"

#include "member.h"
#include "text.h"

#include <errno.h>
#include <string.h>

enum {
	RING_SIDE = 4,            /* sessions each way */
	MAX_SEGMENTS = 64,        /* interfaces of this node */
	MAX_SUBNETS = 64,         /* read of one node */
	SLOW_SILENT_US = 3500000, /* a session that is not Up hears a packet each second (RFC 5880
				     6.8.3): three missed */
	DEAF_US = 1000000,        /* R7 */
	RETRY_US = 1000000,       /* out of memory, or of sessions */
	PER_MILLE = 1000,
};

/* An address and the on-link subnet that it is in. */
struct place {
	struct addr addr;
	struct addr_prefix subnet;
};

/* Another node, as its Lease has it. */
struct node {
	char *name;          /* owned */
	char *text;          /* owned; the addresses as published; NULL = none */
	struct place *place; /* owned */
	size_t n_places;
	uint64_t score; /* on the ring */
	uint64_t renewed_us; /* its Lease; 0 = given back */
};

/* One of this node's interfaces. */
struct segment {
	unsigned ifindex;
	struct place place[MAX_SUBNETS]; /* IPv4 first, then by address of the subnet */
	size_t n_places;
};

struct peer {
	char *node; /* owned */
	struct bfd_path path;
	struct bfd_session *session; /* owned by the engine; NULL = it could not be made */
	enum elect_peer state;       /* as told */
	bool was_up;
	bool wanted; /* while sessions are brought in line */
};

struct peers {
	struct bfd *bfd;             /* borrowed */
	const struct peers_ops *ops; /* borrowed, as is ctx */
	void *ctx;
	uint64_t self_score;         /* on the ring */
	const struct elig_input *in; /* borrowed; NULL until peers_set_input() */
	struct node *nodes;          /* owned */
	size_t n_nodes, cap_nodes;
	struct segment *segments; /* owned */
	size_t n_segments;
	struct peer **v; /* owned; sessions' contexts point to them */
	size_t n, cap;
	struct bfd_conf conf; /* of every session */
	bool leaving;
	uint64_t judges_us; /* since when it judges again after it left; 0 = it never left */
	uint64_t sync_us; /* sessions are to be brought in line then; TIME_NEVER = they are */
	bool changed;     /* a session is to be looked at */
	bool doubled;     /* two nodes publish one address */
};

/* -- small things -- */

static bool grow(void *v, size_t *cap, size_t n, size_t size)
{
	void **p = v;
	size_t want = n + n / 2 + 8;
	void *grown;

	if (n < *cap)
		return true;
	grown = realloc(*p, want * size);
	if (grown == NULL)
		return false;
	*p = grown;
	*cap = want;
	return true;
}

static bool prefix_eq(struct addr_prefix a, struct addr_prefix b)
{
	return a.len == b.len && addr_eq(a.base, b.base);
}

static struct node *find_node(const struct peers *p, const char *name)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		if (strcmp(p->nodes[i].name, name) == 0)
			return &p->nodes[i];
	return NULL;
}

static const struct segment *find_segment(const struct peers *p, unsigned ifindex)
{
	for (size_t i = 0; i < p->n_segments; i++)
		if (p->segments[i].ifindex == ifindex)
			return &p->segments[i];
	return NULL;
}

/* -- what a node publishes -- */

/* "ADDRESS/LENGTH" */
static bool parse_place(const char *s, size_t len, struct place *ret_p)
{
	const char *slash = memchr(s, '/', len);

	return slash != NULL && addr_parse(s, (size_t)(slash - s), &ret_p->addr) == 0 &&
	       addr_prefix_parse(s, len, &ret_p->subnet, NULL) == 0;
}

/* false when out of memory. */
static bool parse_places(struct node *n)
{
	const char *s = n->text;
	struct place v[MAX_SUBNETS];
	size_t count = 0;

	while (s != NULL && *s != '\0' && count < MAX_SUBNETS) {
		size_t len = strcspn(s, ",");

		count += parse_place(s, len, &v[count]);
		s += len;
		s += *s == ',';
	}
	free(n->place);
	n->n_places = 0;
	n->place = count > 0 ? malloc(count * sizeof v[0]) : NULL;
	if (n->place == NULL)
		return count == 0;
	memcpy(n->place, v, count * sizeof v[0]);
	n->n_places = count;
	return true;
}

static void node_free(struct node *n)
{
	free(n->name);
	free(n->text);
	free(n->place);
}

int peers_put(struct peers *p, const char *node, const char *addresses, uint64_t renewed_us)
{
	struct node *n = find_node(p, node);

	if (n == NULL) {
		if (!grow(&p->nodes, &p->cap_nodes, p->n_nodes, sizeof *p->nodes))
			return -ENOMEM;
		n = &p->nodes[p->n_nodes];
		*n = (struct node){.name = strdup(node), .score = member_ring_score(node)};
		if (n->name == NULL)
			return -ENOMEM;
		p->n_nodes++;
		p->sync_us = 0;
	}
	n->renewed_us = renewed_us;
	if (p->doubled)
		p->sync_us = 0;
	if (text_eq(n->text, addresses))
		return 0;
	p->sync_us = 0;
	if (!text_set(&n->text, addresses))
		return -ENOMEM;
	if (parse_places(n))
		return 0;
	(void)text_set(&n->text, NULL); /* read again the next time */
	return -ENOMEM;
}

void peers_remove(struct peers *p, const char *node)
{
	struct node *n = find_node(p, node);

	if (n == NULL)
		return;
	node_free(n);
	*n = p->nodes[--p->n_nodes];
	p->sync_us = 0;
}

/* -- this node's segments -- */

static bool place_before(const struct place *a, const struct place *b)
{
	enum addr_family x = addr_family(a->subnet.base), y = addr_family(b->subnet.base);

	if (x != y)
		return x < y;
	if (!addr_eq(a->subnet.base, b->subnet.base))
		return addr_cmp(a->subnet.base, b->subnet.base) < 0;
	return a->subnet.len < b->subnet.len;
}

static bool has_subnet(const struct segment *s, struct addr_prefix subnet)
{
	for (size_t i = 0; i < s->n_places; i++)
		if (prefix_eq(s->place[i].subnet, subnet))
			return true;
	return false;
}

/* The first address of each subnet, in the order in which both ends go through them. */
static void add_place(struct segment *s, const struct iface_addr *a)
{
	const struct place place = {a->addr, a->subnet};
	size_t at = s->n_places;

	if (s->n_places == MAX_SUBNETS || a->tentative || !elig_is_meeting_place(&a->subnet) ||
		has_subnet(s, a->subnet))
		return;
	for (; at > 0 && place_before(&place, &s->place[at - 1]); at--)
		s->place[at] = s->place[at - 1];
	s->place[at] = place;
	s->n_places++;
}

/* false when out of memory: as they were. */
static bool read_segments(struct peers *p)
{
	unsigned ifindex[MAX_SEGMENTS];
	size_t n = elig_interfaces(p->in, ifindex, MAX_SEGMENTS);
	struct segment *v = calloc(n > 0 ? n : 1, sizeof *v);

	if (v == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct iface *f = iface_get(p->in->ifaces, ifindex[i]);

		v[i].ifindex = ifindex[i];
		for (size_t k = 0; k < f->n_addrs; k++)
			add_place(&v[i], &f->addrs[k]);
	}
	free(p->segments);
	p->segments = v;
	p->n_segments = n;
	return true;
}

void peers_set_input(struct peers *p, const struct elig_input *in)
{
	const struct config_elections *c = &in->conf->elections;
	uint32_t us = (uint32_t)time_min(c->bfd_interval_ms * 1000, UINT32_MAX);

	p->in = in;
	p->conf = (struct bfd_conf){.transmit_us = us,
		.receive_us = us,
		.multiplier = c->bfd_multiplier,
		.keyed = c->bfd_key_file != NULL,
		.minimum_ttl = 255};
	p->sync_us = 0;
}

/* -- which sessions -- */

/* Between which addresses a session with n would be. */
static bool path_to(const struct segment *s, const struct node *n, struct bfd_path *ret_path)
{
	for (size_t i = 0; i < s->n_places; i++)
		for (size_t k = 0; k < n->n_places; k++)
			if (prefix_eq(s->place[i].subnet, n->place[k].subnet) &&
				!addr_eq(s->place[i].addr, n->place[k].addr)) {
				*ret_path = (struct bfd_path){
					s->ifindex, s->place[i].addr, n->place[k].addr};
				return true;
			}
	return false;
}

static bool is_in(const struct segment *s, const struct node *n)
{
	struct bfd_path path;

	return path_to(s, n, &path);
}

/* Are there so few steps from score a on the ring to score b, among this node and those of the
 * segment? */
static bool is_near(const struct peers *p, const struct segment *s, uint64_t a, uint64_t b)
{
	uint64_t span = b - a; /* around the end, too */
	size_t n = p->self_score - a - 1 < span;

	for (size_t i = 0; i < p->n_nodes && n <= RING_SIDE; i++)
		n += p->nodes[i].score - a - 1 < span && is_in(s, &p->nodes[i]);
	return n <= RING_SIDE;
}

static bool is_full_mesh(const struct peers *p, const struct segment *s)
{
	size_t n = 1, limit = p->in->conf->elections.bfd_mesh_limit;

	for (size_t i = 0; i < p->n_nodes && n <= limit; i++)
		n += is_in(s, &p->nodes[i]);
	return n <= limit;
}

static bool are_neighbours(const struct peers *p, const struct segment *s, uint64_t a, uint64_t b)
{
	return is_full_mesh(p, s) || is_near(p, s, a, b) || is_near(p, s, b, a);
}

static uint64_t score_of(const struct peers *p, const char *node)
{
	const struct node *n = find_node(p, node);

	return n != NULL ? n->score : p->self_score;
}

bool peers_watches(const struct peers *p, unsigned ifindex, const char *a, const char *b)
{
	const struct segment *s = find_segment(p, ifindex);

	return s != NULL && p->in != NULL && are_neighbours(p, s, score_of(p, a), score_of(p, b));
}

static struct peer *find_peer(const struct peers *p, const char *node, unsigned ifindex)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i]->path.ifindex == ifindex && strcmp(p->v[i]->node, node) == 0)
			return p->v[i];
	return NULL;
}

/* -- making and ending them -- */

static void on_changed(void *ctx, struct bfd_session *s)
{
	struct peers *p = ctx;

	(void)s;
	if (p->changed)
		return;
	p->changed = true;
	p->ops->wake(p->ctx);
}

static const struct bfd_user user = {on_changed};

static void end_session(struct peers *p, struct peer *x)
{
	if (x->session != NULL)
		bfd_del(p->bfd, x->session);
	x->session = NULL;
	x->was_up = false;
}

/* What is lost of a peer's packets: in the last 10 s, or lately of any that is heard on its link,
 * since where it has just begun its own last packets show little of it. */
static double loss_of(const struct peers *p, const struct peer *x, uint64_t now_us)
{
	struct bfd_view v;
	double loss;

	if (x->session == NULL)
		return 0;
	bfd_view(x->session, now_us, &v);
	loss = v.loss > v.loss_lately ? v.loss : v.loss_lately;
	for (size_t i = 0; i < p->n; i++) {
		const struct peer *y = p->v[i];

		if (y->session == NULL || y->path.ifindex != x->path.ifindex)
			continue;
		bfd_view(y->session, now_us, &v);
		if (v.state == BFD_UP && v.loss_lately > loss)
			loss = v.loss_lately;
	}
	return loss;
}

static void tell(struct peers *p, struct peer *x, enum elect_peer state, uint64_t now_us)
{
	if (x->state == state)
		return;
	x->state = state;
	p->ops->state(p->ctx, x->node, x->path.ifindex, state,
		(unsigned)(loss_of(p, x, now_us) * PER_MILLE));
}

static void peer_free(struct peers *p, struct peer *x)
{
	end_session(p, x);
	tell(p, x, ELECT_PEER_NEVER, 0);
	free(x->node);
	free(x);
}

static struct peer *add_peer(struct peers *p, const char *node)
{
	struct peer *x;

	if (!grow(&p->v, &p->cap, p->n, sizeof(struct peer *)))
		return NULL;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return NULL;
	x->node = strdup(node);
	if (x->node == NULL) {
		free(x);
		return NULL;
	}
	p->v[p->n++] = x;
	return x;
}

/* false: to be tried again. */
static bool want_session(
	struct peers *p, const char *node, const struct bfd_path *path, uint64_t now_us)
{
	struct peer *x = find_peer(p, node, path->ifindex);
	bool is_new = x == NULL;

	if (is_new) {
		x = add_peer(p, node);
		if (x == NULL)
			return false;
	} else if (x->session != NULL && !bfd_path_eq(&x->path, path)) {
		end_session(p, x);
	}
	x->wanted = true;
	x->path = *path;
	if (is_new)
		p->ops->state(p->ctx, node, path->ifindex, ELECT_PEER_NEVER, 0);
	if (x->session != NULL) {
		bfd_set_conf(p->bfd, x->session, &p->conf, now_us);
		return true;
	}
	if (bfd_add(p->bfd, path, &p->conf, &user, p, now_us, &x->session) != 0)
		return false;
	if (p->leaving)
		bfd_set_admin_down(p->bfd, x->session, true, now_us);
	return true;
}

/* -- one address, two nodes -- */

static bool has_session(const struct peers *p, const struct segment *s, const struct node *n)
{
	const struct peer *x = find_peer(p, n->name, s->ifindex);

	return x != NULL && x->session != NULL;
}

static bool is_over(const struct peers *p, const struct node *n, uint64_t now_us)
{
	return n->renewed_us == 0 ||
	       now_us >= n->renewed_us + p->in->conf->elections.node_duration_ms * 1000;
}

/* Is the address that both publish a's rather than b's? */
static bool is_rather(const struct peers *p, const struct segment *s, const struct node *a,
	const struct node *b, uint64_t now_us)
{
	bool has = has_session(p, s, a);

	if (has != has_session(p, s, b)) {
		const struct node *holder = has ? a : b, *other = has ? b : a;
		bool gives_way = is_over(p, holder, now_us) && !is_over(p, other, now_us);

		return has != gives_way;
	}
	return a->renewed_us != b->renewed_us ? a->renewed_us > b->renewed_us : a < b;
}

/* Does another node have the address of that path? */
static bool is_anothers(struct peers *p, const struct segment *s, const struct node *n,
	const struct bfd_path *path, uint64_t now_us)
{
	struct bfd_path other;
	bool yes = false;

	for (size_t i = 0; i < p->n_nodes; i++) {
		if (&p->nodes[i] == n || !path_to(s, &p->nodes[i], &other) ||
			!addr_eq(other.remote, path->remote))
			continue;
		p->doubled = true;
		yes |= is_rather(p, s, &p->nodes[i], n, now_us);
	}
	return yes;
}

static void drop_unwanted(struct peers *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i]->wanted)
			p->v[n++] = p->v[i];
		else
			peer_free(p, p->v[i]);
	}
	p->n = n;
}

static void sync_sessions(struct peers *p, uint64_t now_us)
{
	struct bfd_path path;
	bool done = true;

	p->sync_us = TIME_NEVER;
	if (p->in == NULL)
		return;
	if (!read_segments(p)) {
		p->sync_us = now_us + RETRY_US;
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		p->v[i]->wanted = false;
	p->doubled = false;
	for (size_t i = 0; i < p->n_segments; i++) {
		const struct segment *s = &p->segments[i];

		for (size_t k = 0; k < p->n_nodes; k++)
			if (path_to(s, &p->nodes[k], &path) &&
				are_neighbours(p, s, p->self_score, p->nodes[k].score) &&
				!is_anothers(p, s, &p->nodes[k], &path, now_us))
				done &= want_session(p, p->nodes[k].name, &path, now_us);
	}
	drop_unwanted(p);
	p->sync_us = done ? TIME_NEVER : now_us + RETRY_US;
	p->changed = true;
}

/* -- states (R7) -- */

/* When one that is not Up is silent if nothing more comes.  What a node did not hear while it was
 * leaving is held against nobody: it had told the others to be Down. */
static uint64_t silent_us(const struct peers *p, const struct bfd_view *v)
{
	uint64_t heard_us = time_max(v->packet_us, p->judges_us);

	return heard_us < v->since_us ? 0 : heard_us + SLOW_SILENT_US;
}

static uint64_t deaf_us(const struct peers *p, const struct bfd_view *v)
{
	return v->remote_down_us == TIME_NEVER
		       ? TIME_NEVER
		       : time_max(v->remote_down_us, p->judges_us) + DEAF_US;
}

static enum elect_peer state_when_down(
	const struct peers *p, const struct peer *x, const struct bfd_view *v, uint64_t now_us)
{
	if (now_us >= silent_us(p, v))
		return x->was_up ? ELECT_PEER_SILENT : ELECT_PEER_NEVER;
	return now_us >= deaf_us(p, v) ? ELECT_PEER_DEAF : ELECT_PEER_HEARD;
}

/* Two of three packets missed (R7). */
static uint64_t late_us(const struct bfd_view *v)
{
	return v->heard_us + (uint64_t)v->detect_us / 3 * 2;
}

static enum elect_peer state_of(
	const struct peers *p, const struct peer *x, const struct bfd_view *v, uint64_t now_us)
{
	if (!v->heard)
		return ELECT_PEER_NEVER;
	if (v->state == BFD_ADMIN_DOWN) /* this node goes: it judges nobody any more */
		return x->state;
	if (v->remote_state == BFD_ADMIN_DOWN)
		return ELECT_PEER_LEAVING;
	if (v->state == BFD_UP)
		return now_us >= late_us(v) ? ELECT_PEER_LATE : ELECT_PEER_UP;
	return state_when_down(p, x, v, now_us);
}

/* When state_of() says something else by time alone; what bfd.c declares is told by it. */
static uint64_t turns_at(const struct peers *p, const struct bfd_view *v, uint64_t now_us)
{
	if (!v->heard || v->state == BFD_ADMIN_DOWN || v->remote_state == BFD_ADMIN_DOWN)
		return TIME_NEVER;
	if (v->state == BFD_UP)
		return now_us < late_us(v) ? late_us(v) : TIME_NEVER;
	if (now_us >= silent_us(p, v))
		return TIME_NEVER;
	return now_us < deaf_us(p, v) ? time_min(deaf_us(p, v), silent_us(p, v)) : silent_us(p, v);
}

void peers_update(struct peers *p, uint64_t now_us)
{
	struct bfd_view v;

	if (now_us >= p->sync_us)
		sync_sessions(p, now_us);
	p->changed = false;
	for (size_t i = 0; i < p->n; i++) {
		struct peer *x = p->v[i];

		if (x->session == NULL)
			continue;
		bfd_view(x->session, now_us, &v);
		x->was_up |= v.state == BFD_UP;
		tell(p, x, state_of(p, x, &v, now_us), now_us);
	}
}

uint64_t peers_next_deadline_us(const struct peers *p, uint64_t now_us)
{
	uint64_t at = p->changed ? 0 : p->sync_us;
	struct bfd_view v;

	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i]->session == NULL)
			continue;
		bfd_view(p->v[i]->session, now_us, &v);
		if (state_of(p, p->v[i], &v, now_us) != p->v[i]->state)
			return 0;
		at = time_min(at, turns_at(p, &v, now_us));
	}
	return at;
}

void peers_set_leaving(struct peers *p, bool leaving, uint64_t now_us)
{
	if (p->leaving == leaving)
		return;
	p->leaving = leaving;
	if (!leaving)
		p->judges_us = now_us;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i]->session != NULL)
			bfd_set_admin_down(p->bfd, p->v[i]->session, leaving, now_us);
}

/* -- construction, reading -- */

struct peers *peers_new(struct bfd *bfd, const char *node, const struct peers_ops *ops, void *ctx)
{
	struct peers *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	*p = (struct peers){.bfd = bfd,
		.ops = ops,
		.ctx = ctx,
		.self_score = member_ring_score(node),
		.sync_us = TIME_NEVER};
	return p;
}

void peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		end_session(p, p->v[i]);
		free(p->v[i]->node);
		free(p->v[i]);
	}
	for (size_t i = 0; i < p->n_nodes; i++)
		node_free(&p->nodes[i]);
	free(p->nodes);
	free(p->segments);
	free(p->v);
	free(p);
}

bool peers_heard_since(
	const struct peers *p, unsigned ifindex, const char *except, uint64_t since_us)
{
	struct bfd_view v;

	for (size_t i = 0; i < p->n; i++) {
		const struct peer *x = p->v[i];

		if (x->session == NULL || x->path.ifindex != ifindex ||
			strcmp(x->node, except) == 0)
			continue;
		bfd_view(x->session, since_us, &v);
		if (v.heard && v.packet_us > since_us)
			return true;
	}
	return false;
}

bool peers_has_other(const struct peers *p, unsigned ifindex, const char *except)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i]->path.ifindex == ifindex && strcmp(p->v[i]->node, except) != 0)
			return true;
	return false;
}

size_t peers_count(const struct peers *p)
{
	return p->n;
}

void peers_at(const struct peers *p, size_t i, uint64_t now_us, struct peers_info *ret_i)
{
	const struct peer *x;

	REQUIRE(i < p->n);
	x = p->v[i];
	*ret_i = (struct peers_info){.node = x->node,
		.ifindex = x->path.ifindex,
		.state = x->state,
		.bfd.path = x->path};
	if (x->session != NULL)
		bfd_view(x->session, now_us, &ret_i->bfd);
}

const char *peers_state_name(enum elect_peer s)
{
	static const char *const name[] = {[ELECT_PEER_NEVER] = "never",
		[ELECT_PEER_HEARD] = "heard",
		[ELECT_PEER_UP] = "up",
		[ELECT_PEER_LATE] = "late",
		[ELECT_PEER_SILENT] = "silent",
		[ELECT_PEER_DEAF] = "deaf",
		[ELECT_PEER_LEAVING] = "leaving"};

	return name[s];
}
