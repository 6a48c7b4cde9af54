/* SPDX-License-Identifier: Apache-2.0
 *
 * judge.c - what a Service should have.
 *
 * Owns: the rings of Services with one sharing key; the words about the last judgement.
 * In:   a Service, the configuration, the pools.  Out: a judgement.
 * Sources: DESIGN 3; MetalLB's internal/allocator (order of pools, sharing).
 *
 * An address that the Service has stays its own as long as it may.  Else, where the user names an
 * address it is that one or none; where not, in this order: what its status shows, what others of
 * its sharing key have, what a Service of its name had before, a free one.
 */
#include "judge.h"

#include "buf.h"
#include "service.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { MAX_WORDS = 511 };

#define RULED                                                                                      \
	"its pool no longer has it, or no longer admits the Service, and lets Services move"

struct judge_sharing {
	uint32_t hash;       /* of key */
	struct link members; /* judge_seat.link, in order of coming */
	char key[];
};

struct judge_seat {
	struct link link;
	struct judge_sharing *sharing; /* borrowed */
	struct judge_party *party;     /* borrowed */
};

struct judge {
	struct hash_key hkey;
	struct pool_set *pools;        /* borrowed */
	const struct config *conf;     /* borrowed; NULL before the first configuration */
	const struct cluster *cluster; /* borrowed: its Namespaces; NULL = none is known */
	bool forbidden;                /* those that are not known will not become so */
	struct table sharings;         /* owned */
	struct buf words;
	const struct judge_trace *trace; /* borrowed; NULL = nobody asks */
	struct buf aside;                /* for the trace alone: words about one rule */
};

/* What is asked, by whom. */
struct ask {
	struct judge_party *p;
	const struct cluster_service *s;
	const struct service_request *req;
	struct pool_ask pool;
	uint64_t now_ms;
};

struct cluster_service judge_view(const struct judge_party *p)
{
	return copy_view(p->copy);
}

int judge_elder(const struct judge_party *a, const struct judge_party *b)
{
	struct cluster_service x = judge_view(a), y = judge_view(b);

	return service_elder(&x, &y);
}

int judge_turn(const struct judge_party *a, const struct judge_party *b)
{
	struct cluster_service x = judge_view(a), y = judge_view(b);

	return service_turn(&x, &y);
}

/* Whose place in a row that is. */
static const struct judge_party *party_of(const struct pool_use *u)
{
	return CONTAINER_OF(u->holder, struct judge_party, holder);
}

/* -- those of one sharing key -- */

static bool sharing_is(const void *elt, const void *key, size_t len)
{
	const struct judge_sharing *h = elt;

	return strncmp(h->key, key, len) == 0 && h->key[len] == '\0';
}

/* It goes when nobody is in it. */
static void sharing_put(struct judge *j, struct judge_sharing *h)
{
	if (!list_is_empty(&h->members))
		return;
	table_remove(&j->sharings, h);
	free(h);
}

void judge_leave(struct judge *j, struct judge_party *p)
{
	struct judge_sharing *h = p->seat != NULL ? p->seat->sharing : NULL;

	if (h == NULL)
		return;
	list_delete(&p->seat->link);
	free(p->seat);
	p->seat = NULL;
	sharing_put(j, h);
}

static struct judge_sharing *sharing_new(struct judge *j, const char *key, size_t n, uint32_t hash)
{
	struct judge_sharing *h = malloc(sizeof *h + n + 1);

	if (h == NULL)
		return NULL;
	h->hash = hash;
	list_init(&h->members);
	memcpy(h->key, key, n + 1);
	if (table_add(&j->sharings, h) < 0) {
		free(h);
		return NULL;
	}
	return h;
}

int judge_join(struct judge *j, struct judge_party *p, const char *key)
{
	size_t n = key != NULL ? strlen(key) : 0;
	struct judge_sharing *h = NULL;
	struct judge_seat *seat = NULL;

	if (n > 0) {
		uint32_t hash = hash_bytes(&j->hkey, key, n);

		h = table_find(&j->sharings, hash, sharing_is, key, n);
		if (h == NULL)
			h = sharing_new(j, key, n, hash);
		if (h == NULL)
			return -ENOMEM;
	}
	if (h == (p->seat != NULL ? p->seat->sharing : NULL))
		return 0;
	if (h != NULL)
		seat = malloc(sizeof *seat);
	if (h != NULL && seat == NULL) {
		sharing_put(j, h);
		return -ENOMEM;
	}
	judge_leave(j, p);
	if (h == NULL)
		return 0;
	*seat = (struct judge_seat){.sharing = h, .party = p};
	list_add(&h->members, &seat->link);
	p->seat = seat;
	return 0;
}

struct judge_party *judge_next_mate(struct judge_party *p, struct judge_party *after)
{
	struct link *head, *l;

	if (p->seat == NULL)
		return NULL;
	head = &p->seat->sharing->members;
	l = after != NULL ? after->seat->link.next : head->next;
	return l != head ? CONTAINER_OF(l, struct judge_seat, link)->party : NULL;
}

/* -- may a Service be on an address -- */

/* Where the next sentence goes. */
static struct buf *next_sentence(struct buf *words)
{
	if (words->len > 0)
		buf_adds(words, "; ");
	return words;
}

static struct buf *sentence(struct judge *j)
{
	return next_sentence(&j->words);
}

static const char *family_name(enum addr_family f)
{
	return f == ADDR_V4 ? "IPv4" : "IPv6";
}

/* Why s may not be beside the holder, as a sentence. */
static void say_sharing(struct buf *words, struct addr x, const struct cluster_service *holder,
	const struct cluster_service *s, enum service_sharing why, const struct cluster_port *port)
{
	const char *key = s->request.sharing_key;
	bool has_key = key != NULL && key[0] != '\0';
	char text[ADDR_STRLEN];

	buf_addf(next_sentence(words), "address %s is used by %s: ", addr_format(x, text),
		holder->key);
	switch (why) {
	case SERVICE_SHARING_OK:
		break;
	case SERVICE_SHARING_NO_KEY:
		buf_addf(words, "%s has no sharing key (annotation lbd.io/allow-shared-ip)",
			has_key ? holder->key : "this Service");
		break;
	case SERVICE_SHARING_KEY_DIFFERS:
		buf_adds(words, "the sharing keys differ");
		break;
	case SERVICE_SHARING_BACKEND_DIFFERS:
		buf_adds(
			words, "externalTrafficPolicy or, with policy Local, the selectors differ");
		break;
	case SERVICE_SHARING_PORT_TAKEN:
		buf_addf(words, "port %s/%u is taken there", service_protocol_name(port->protocol),
			(unsigned)port->port);
		break;
	}
}

static bool has(const struct judge_party *p, struct addr x)
{
	const struct pool_use *u = pool_held(&p->holder, addr_family(x));

	return u != NULL && addr_eq(u->addr, x);
}

/* words (NULL: none) name who is in the way.  Who has x already is not moved by the guard of one
 * that shared it. */
static enum reason may_share(struct judge *j, const struct judge_party *p,
	const struct cluster_service *s, struct addr x, struct buf *words)
{
	const struct pool_use *u = NULL;

	while ((u = pool_next_use(j->pools, x, u)) != NULL) {
		const struct cluster_port *port = NULL;
		struct cluster_service holder;
		enum service_sharing why;
		char text[ADDR_STRLEN];

		if (u->holder == &p->holder || (pool_is_guard(u) && has(p, x)))
			continue;
		if (pool_is_guard(u)) {
			if (words != NULL)
				buf_addf(next_sentence(words),
					"address %s is still in the status of %s",
					addr_format(x, text), u->holder->key);
			return REASON_IN_USE;
		}
		holder = judge_view(party_of(u));
		why = service_sharing(s, &holder, &port);
		if (why == SERVICE_SHARING_OK)
			continue;
		if (words != NULL)
			say_sharing(words, x, &holder, s, why, port);
		return why == SERVICE_SHARING_NO_KEY ? REASON_IN_USE : REASON_SHARING_REFUSED;
	}
	return REASON_ALLOCATED;
}

enum reason judge_may_share(struct judge *j, const struct judge_party *p, struct addr x)
{
	struct cluster_service s = judge_view(p);

	return may_share(j, p, &s, x, NULL);
}

/* -- the trace: what was tried, for whoever asks -- */

/* Where the words about the rule that is tried next go; NULL when nobody asks. */
static struct buf *aside(struct judge *j)
{
	if (j->trace == NULL)
		return NULL;
	buf_reset(&j->aside);
	return &j->aside;
}

/* A rule was tried.  Where the step has no words, those said aside are told; fine: where none were
 * needed. */
static void tell(struct judge *j, struct judge_step step, const char *fine)
{
	if (j->trace == NULL)
		return;
	if (step.words == NULL && j->aside.len > 0)
		step.words = j->aside.p;
	if (step.words == NULL)
		step.words = step.reason == REASON_ALLOCATED ? fine : reason_text(step.reason);
	j->trace->step(j->trace->ctx, &step);
}

/* The same, of a rule about one address. */
static void tell_addr(struct judge *j, enum judge_rule rule, enum reason r, struct addr x,
	const struct pool *p, const char *fine)
{
	tell(j,
		(struct judge_step){.rule = rule,
			.reason = r,
			.family = addr_family(x),
			.addr = &x,
			.pool = p != NULL ? pool_name(p) : NULL},
		fine);
}

/* There was no address to try the rule with. */
static void tell_none(struct judge *j, enum judge_rule rule, enum addr_family f, const char *words)
{
	tell(j,
		(struct judge_step){
			.rule = rule, .reason = REASON_NO_IP, .family = f, .words = words},
		NULL);
}

/* What the decision itself has said since its words were at bytes long. */
static void tell_said(struct judge *j, struct judge_step step, size_t at, const char *fine)
{
	(void)aside(j);
	at += at > 0 && j->words.len > at ? strlen("; ") : 0;
	if (j->words.len > at)
		step.words = j->words.p + at;
	tell(j, step, fine);
}

/* May pool p (NULL: none has the address) give the address to the Service?  Says why not. */
static enum reason may_give(const struct pool *p, const struct ask *q, struct buf *words)
{
	const char *why = "";
	enum reason r = REASON_POOL_NOT_ADMITTED;

	switch (pool_fit(p, &q->pool)) {
	case POOL_FITS:
		return REASON_ALLOCATED;
	case POOL_NOT_CONFIGURED:
		why = "no pool has it";
		r = REASON_NOT_IN_POOL;
		break;
	case POOL_NOT_ASKED_FOR:
		why = "another pool is asked for";
		r = REASON_REQUEST_CONFLICT;
		break;
	case POOL_DISABLED:
		why = "it is disabled";
		break;
	case POOL_NOT_AUTOMATIC:
		why = "autoAssign is false: its addresses are for those who ask for them";
		r = REASON_NO_FITTING_POOL;
		break;
	case POOL_NOT_THIS_NAMESPACE:
		why = "serviceAllocation does not admit the Service's namespace";
		break;
	case POOL_NOT_THIS_SERVICE:
		why = "serviceAllocation's serviceSelectors do not select the Service";
		break;
	case POOL_NOT_ANNOUNCED:
		why = "it is not announced by the protocol that is asked for";
		break;
	case POOL_UNSURE:
		why = "it selects namespaces by their labels, and the Service's are not known";
		r = REASON_NAMESPACE_UNKNOWN;
		break;
	}
	if (words != NULL)
		buf_adds(next_sentence(words), why);
	return r;
}

/* Why pool p gave (found), or did not give, a free address. */
static enum reason may_find(struct judge *j, const struct ask *q, enum addr_family f,
	struct pool *p, const struct pool_pick *found)
{
	uint64_t used = pool_used(p, f), total = pool_total(p, f), freed_ms;
	struct buf *words = aside(j);
	enum reason r = may_give(p, q, words);

	if (r != REASON_ALLOCATED)
		return r;
	if (total == 0) {
		buf_addf(words, "it has no %s address", family_name(f));
		return REASON_NO_FITTING_POOL;
	}
	if (found == NULL || p != found->pool) {
		buf_addf(words, "%" PRIu64 " of %" PRIu64 " in use", used, total);
		if (used < total)
			buf_adds(words, ", the rest was lately, is still announced or is "
					"left out");
		return REASON_POOL_EXHAUSTED;
	}
	if (!pool_was_used(j->pools, found->addr, &freed_ms))
		buf_adds(words, "the lowest that nobody has had lately");
	else
		buf_addf(words, "the one that has been free longest, for %" PRIu64 " s",
			(q->now_ms - freed_ms) / 1000);
	return REASON_ALLOCATED;
}

/* Each pool up to the one that gave the address; all, if none did (NULL). */
static void tell_pools(
	struct judge *j, const struct ask *q, enum addr_family f, const struct pool_pick *found)
{
	if (j->trace == NULL)
		return;
	if (pool_count(j->pools) == 0)
		tell_none(j, JUDGE_FREE, f, "no pool is configured");
	for (size_t i = 0; i < pool_count(j->pools); i++) {
		struct pool *p = pool_in_turn(j->pools, i);
		bool last = found != NULL && p == found->pool;
		enum reason r = may_find(j, q, f, p, found);

		tell(j,
			(struct judge_step){.rule = JUDGE_FREE,
				.reason = r,
				.family = f,
				.addr = last ? &found->addr : NULL,
				.pool = pool_name(p)},
			"");
		if (last)
			return;
	}
}

/* -- choosing an address -- */

static void pick_set(struct judge_pick *pick, struct addr x, struct pool *p)
{
	*pick = (struct judge_pick){.has = true, .addr = x, .pool = p};
}

/* May the Service be given x of pool p, which it does not name?  Tells the rule that found it. */
static bool may_have(struct judge *j, const struct ask *q, enum judge_rule rule, struct addr x,
	const struct pool *p)
{
	struct buf *words = aside(j);
	enum reason r = may_give(p, q, words);

	if (r == REASON_NAMESPACE_UNKNOWN)
		(void)pool_fits(p, &q->pool); /* notes it */
	if (r == REASON_ALLOCATED && pool_avoids(p, x)) {
		r = REASON_NOT_IN_POOL;
		if (words != NULL)
			buf_adds(words, "its pool leaves it out: avoidBuggyIPs");
	}
	if (r == REASON_ALLOCATED)
		r = may_share(j, q->p, q->s, x, words);
	tell_addr(j, rule, r, x, p, "it may have that one");
	return r == REASON_ALLOCATED;
}

/* What the status already shows: written by the leader before, or before this Service was ours. */
static bool pick_shown(
	struct judge *j, const struct ask *q, enum addr_family f, struct judge_pick *pick)
{
	bool any = false;

	for (size_t i = 0; i < q->s->n_ingress; i++) {
		struct addr x = q->s->ingress[i];
		struct pool *p;

		if (addr_family(x) != f)
			continue;
		any = true;
		p = pool_of(j->pools, x);
		if (may_have(j, q, JUDGE_SHOWN, x, p)) {
			pick_set(pick, x, p);
			return true;
		}
	}
	if (!any)
		tell_none(j, JUDGE_SHOWN, f, "its status shows none");
	return false;
}

/* An address that the sharing key has: of the first pool, the lowest.  Each is looked at once, for
 * the holder that is first in its row. */
static bool pick_shared(
	struct judge *j, const struct ask *q, enum addr_family f, struct judge_pick *pick)
{
	const struct judge_sharing *h = q->p->seat != NULL ? q->p->seat->sharing : NULL;
	bool any = false;

	if (h == NULL) {
		tell_none(j, JUDGE_SHARED, f, "it has no sharing key");
		return false;
	}
	for (struct link *l = h->members.next; l != &h->members; l = l->next) {
		const struct judge_party *m = CONTAINER_OF(l, struct judge_seat, link)->party;
		const struct pool_use *u = pool_held(&m->holder, f);
		struct pool *p;

		if (m == q->p || u == NULL || pool_next_use(j->pools, u->addr, NULL) != u)
			continue;
		any = true;
		p = pool_of(j->pools, u->addr);
		if (pick->has && pool_fits(p, &q->pool) &&
			(pool_turn(p) > pool_turn(pick->pool) ||
				(p == pick->pool && addr_cmp(u->addr, pick->addr) > 0)))
			continue;
		if (may_have(j, q, JUDGE_SHARED, u->addr, p))
			pick_set(pick, u->addr, p);
	}
	if (!any)
		tell_none(j, JUDGE_SHARED, f, "no other Service of its sharing key has one");
	return pick->has;
}

static enum reason refuse_auto(struct judge *j, const struct ask *q, enum addr_family f)
{
	bool fits = pool_any_fits(j->pools, &q->pool, f);

	if (q->pool.only != NULL)
		buf_addf(sentence(j),
			fits ? "every %s address of the requested pool %s is in use"
			     : "no %s address is in the requested pool %s",
			family_name(f), pool_name(q->pool.only));
	else
		buf_addf(sentence(j),
			fits ? "every %s address of the fitting pools is in use"
			     : "no pool with automatic assignment and %s addresses "
			       "admits this Service",
			family_name(f));
	if (!fits && q->pool.protocol != CONFIG_ANY_PROTOCOL)
		buf_addf(&j->words, " and is announced by %s",
			config_protocol_name(q->pool.protocol));
	return fits ? REASON_POOL_EXHAUSTED : REASON_NO_FITTING_POOL;
}

/* What a Service of its name had, else a free one.  False when there is none. */
static bool find_auto(
	struct judge *j, const struct ask *q, enum addr_family f, struct pool_pick *ret_found)
{
	if (pool_find_former(j->pools, &q->pool, &q->p->holder, f, ret_found)) {
		(void)aside(j);
		tell_addr(j, JUDGE_FORMER, REASON_ALLOCATED, ret_found->addr, ret_found->pool,
			"a Service of this name had it before");
		return true;
	}
	tell_none(j, JUDGE_FORMER, f, "no Service of its name had one lately that is free");
	if (pool_find_free(j->pools, &q->pool, f, q->now_ms, ret_found)) {
		tell_pools(j, q, f, ret_found);
		return true;
	}
	tell_pools(j, q, f, NULL);
	return false;
}

/* p would be asked, but whom it is for hangs on labels that are not known. */
static enum reason refuse_unsure(struct judge *j, const struct ask *q, const struct pool *p)
{
	buf_addf(sentence(j), "pool %.100s selects namespaces by their labels, and ", pool_name(p));
	if (j->forbidden)
		buf_adds(&j->words, "lbd may not read them: its ClusterRole needs list and watch "
				    "on namespaces");
	else
		buf_addf(&j->words, "those of %s are not known yet", q->s->namespace_);
	return j->forbidden ? REASON_NAMESPACES_FORBIDDEN : REASON_NAMESPACE_UNKNOWN;
}

static bool pick_known(
	struct judge *j, const struct ask *q, enum addr_family f, struct judge_pick *pick)
{
	struct pool_pick found;

	if (pick_shown(j, q, f, pick) || pick_shared(j, q, f, pick))
		return true;
	if (!find_auto(j, q, f, &found))
		return false;
	pick_set(pick, found.addr, found.pool);
	return true;
}

/* A pool that may have come before what is found is waited for, unless that would be for ever. */
static enum reason pick_auto(
	struct judge *j, const struct ask *q, enum addr_family f, struct judge_pick *pick)
{
	bool found;

	*q->pool.unsure = NULL;
	found = pick_known(j, q, f, pick);
	if (*q->pool.unsure != NULL && !(found && j->forbidden)) {
		*pick = (struct judge_pick){.has = false};
		return refuse_unsure(j, q, *q->pool.unsure);
	}
	return found ? REASON_ALLOCATED : refuse_auto(j, q, f);
}

/* Of a Service that names p, or an address of it. */
static enum pool_fit fit_asked(const struct ask *q, const struct pool *p)
{
	struct pool_ask ask = q->pool;

	ask.only = p;
	return pool_fit(p, &ask);
}

/* The end of a sentence about a pool that is named. */
static const char *asked_in_vain(enum pool_fit fit)
{
	switch (fit) {
	case POOL_DISABLED:
		return "is disabled";
	case POOL_NOT_ANNOUNCED:
		return "is not announced by the protocol that this Service asks for";
	case POOL_FITS:
	case POOL_NOT_CONFIGURED:
	case POOL_NOT_ASKED_FOR:
	case POOL_NOT_AUTOMATIC:
	case POOL_NOT_THIS_NAMESPACE:
	case POOL_NOT_THIS_SERVICE:
	case POOL_UNSURE:
		break;
	}
	return "does not admit this Service";
}

static enum reason pick_asked(
	struct judge *j, const struct ask *q, struct addr x, struct judge_pick *pick)
{
	struct pool *p = pool_of(j->pools, x);
	char text[ADDR_STRLEN];
	enum pool_fit fit;
	enum reason r;

	addr_format(x, text);
	if (p == NULL) {
		buf_addf(sentence(j), "the requested address %s is in no pool", text);
		return REASON_NOT_IN_POOL;
	}
	if (q->pool.only != NULL && p != q->pool.only) {
		buf_addf(sentence(j),
			"the requested address %s is in pool %s, not in the requested "
			"pool %s",
			text, pool_name(p), pool_name(q->pool.only));
		return REASON_REQUEST_CONFLICT;
	}
	fit = fit_asked(q, p);
	if (fit == POOL_UNSURE)
		return refuse_unsure(j, q, p);
	if (fit != POOL_FITS) {
		buf_addf(sentence(j), "pool %s of the requested address %s %s", pool_name(p), text,
			asked_in_vain(fit));
		return REASON_POOL_NOT_ADMITTED;
	}
	if (pool_avoids(p, x)) {
		buf_addf(sentence(j), "pool %s leaves out the requested address %s: avoidBuggyIPs",
			pool_name(p), text);
		return REASON_NOT_IN_POOL;
	}
	r = may_share(j, q->p, q->s, x, &j->words);
	if (r == REASON_ALLOCATED)
		pick_set(pick, x, p);
	return r;
}

static const struct addr *asked_address(const struct service_request *req, enum addr_family f)
{
	for (size_t i = 0; i < req->n; i++) {
		if (addr_family(req->v[i]) == f)
			return &req->v[i];
	}
	return NULL;
}

static bool is_announced_as_asked(const struct ask *q, const struct pool *p)
{
	return config_announces(q->pool.conf, pool_conf(p), q->pool.protocol);
}

/* Would p (NULL: no) be right for what is held, as far as is known? */
static bool is_lawful(const struct ask *q, const struct pool *p, const struct pool_use *u)
{
	bool asked = asked_address(q->req, addr_family(u->addr)) != NULL;
	enum pool_fit fit;

	if (p == NULL || pool_avoids(p, u->addr) || !is_announced_as_asked(q, p))
		return false;
	fit = asked || q->pool.only == p ? pool_admits_asked(p, &q->pool)
					 : pool_admits(p, &q->pool);
	return fit == POOL_FITS || fit == POOL_UNSURE;
}

/* Another protocol is asked for than p is announced by, and a pool has it. */
static bool is_better_announced(
	struct judge *j, const struct ask *q, const struct pool *p, enum addr_family f)
{
	return pool_conf(p) != NULL && !is_announced_as_asked(q, p) &&
	       pool_any_fits(j->pools, &q->pool, f);
}

/* May the Service keep u, which is pool p's (or was)?  JUDGE_LOSS_NONE, or the first thing that is
 * against it; not yet whether it may share it. */
static enum judge_loss loss_of(struct judge *j, const struct ask *q, const struct pool_use *u,
	const struct pool *p, bool lawful)
{
	const struct addr *want = asked_address(q->req, addr_family(u->addr));

	if (want != NULL && !addr_eq(*want, u->addr))
		return JUDGE_LOSS_ADDRESS;
	if (q->pool.only != NULL && q->pool.only != p)
		return JUDGE_LOSS_POOL;
	if (is_better_announced(j, q, p, addr_family(u->addr)))
		return JUDGE_LOSS_PROTOCOL;
	return !lawful && pool_moves(p) ? JUDGE_LOSS_RULED : JUDGE_LOSS_NONE;
}

/* May the Service keep u, which is pool p's (or was)?  Says why not. */
static enum reason may_keep(struct judge *j, const struct ask *q, const struct pool_use *u,
	const struct pool *p, bool lawful, enum judge_loss *ret_loss)
{
	static const struct {
		enum reason reason;
		const char *words;
	} because[] = {
		[JUDGE_LOSS_ADDRESS] = {REASON_REQUEST_CONFLICT, "another address is asked for"},
		[JUDGE_LOSS_POOL] = {REASON_POOL_NOT_ADMITTED, "another pool is asked for"},
		[JUDGE_LOSS_PROTOCOL] = {REASON_POOL_NOT_ADMITTED,
			"another protocol is asked for, and there is a pool for it"},
		[JUDGE_LOSS_RULED] = {REASON_IP_NOT_ALLOWED, RULED},
	};
	struct buf *words = aside(j);
	enum reason r;

	*ret_loss = loss_of(j, q, u, p, lawful);
	if (*ret_loss == JUDGE_LOSS_NONE) {
		r = may_share(j, q->p, q->s, u->addr, words);
		if (r != REASON_ALLOCATED)
			*ret_loss = JUDGE_LOSS_SHARING;
		return r;
	}
	if (words != NULL)
		buf_adds(words, because[*ret_loss].words);
	return because[*ret_loss].reason;
}

const char *judge_loss_text(enum judge_loss loss)
{
	static const char *const text[] = {
		[JUDGE_LOSS_ADDRESS] = "the Service asks for another address",
		[JUDGE_LOSS_POOL] = "the Service asks for another pool",
		[JUDGE_LOSS_PROTOCOL] =
			"the Service asks for another protocol, and there is a pool for it",
		[JUDGE_LOSS_RULED] = RULED,
		[JUDGE_LOSS_SHARING] =
			"another Service has it, and the two may not share it (any more)",
	};

	return text[loss];
}

/* May the Service keep the address that it holds?  d says so, or why not. */
static bool pick_held(
	struct judge *j, const struct ask *q, enum addr_family f, struct judgement *d)
{
	const struct pool_use *u = pool_held(&q->p->holder, f);
	struct pool *p;
	enum reason r;
	bool lawful;

	if (u == NULL) {
		tell_none(j, JUDGE_HELD, f, "it has none yet");
		return false;
	}
	p = pool_of(j->pools, u->addr);
	lawful = is_lawful(q, p, u);
	if (p == NULL)
		p = u->pool;
	r = may_keep(j, q, u, p, lawful, &d->loss[f]);
	tell_addr(j, JUDGE_HELD, r, u->addr, p,
		lawful ? "it has this one, and keeps it"
		       : "it has this one, and keeps it although its pool no longer gives it");
	if (r != REASON_ALLOCATED)
		return false;
	pick_set(&d->pick[f], u->addr, p);
	d->pick[f].kept = !lawful;
	return true;
}

static void say_kept(struct judge *j, const struct ask *q, const struct judge_pick *pick)
{
	const struct pool *p = pool_of(j->pools, pick->addr);
	const char *why = "this Service is no longer admitted by pool";
	char text[ADDR_STRLEN];

	if (p == NULL)
		why = "the configuration no longer has it in pool";
	else if (pool_avoids(p, pick->addr))
		why = "avoidBuggyIPs leaves it out of pool";
	else if (!is_announced_as_asked(q, p))
		why = "the protocol that this Service asks for does not announce pool";
	buf_addf(sentence(j), "address %s is kept although %s %s", addr_format(pick->addr, text),
		why, pool_name(pick->pool));
}

static enum reason pick_family(
	struct judge *j, const struct ask *q, enum addr_family f, struct judgement *d)
{
	const struct addr *want = asked_address(q->req, f);
	struct judge_pick *pick = &d->pick[f];
	size_t said = j->words.len;
	enum reason r;

	if (pick_held(j, q, f, d)) {
		if (pick->kept)
			say_kept(j, q, pick);
		return REASON_ALLOCATED;
	}
	if (want == NULL)
		return pick_auto(j, q, f, pick);
	r = pick_asked(j, q, *want, pick);
	tell_said(j,
		(struct judge_step){.rule = JUDGE_ASKED, .reason = r, .family = f, .addr = want},
		said, "it is asked for, and may be had");
	return r;
}

/* -- the judgement -- */

/* Could a release by another Service change the answer? */
static bool is_waiting_reason(enum reason r)
{
	return r == REASON_POOL_EXHAUSTED || r == REASON_IN_USE || r == REASON_SHARING_REFUSED ||
	       r == REASON_OUT_OF_MEMORY || r == REASON_NAMESPACE_UNKNOWN ||
	       r == REASON_NAMESPACES_FORBIDDEN;
}

/* What is held of the first n families stays as far as it may.  False when nothing is. */
static bool keep_held(struct judge *j, const struct ask *q, size_t n, struct judgement *d)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		enum addr_family f = q->s->families[i];

		any = pick_held(j, q, f, d) || any;
	}
	return any;
}

/* Both families or none, where the user said so or named the addresses, or one hangs on what is not
 * known yet. */
static void judge_families(struct judge *j, const struct ask *q, size_t n, struct judgement *d)
{
	bool all = q->s->family_policy == CLUSTER_REQUIRE_DUAL;
	enum reason failed = REASON_ALLOCATED;
	size_t got = 0;

	for (size_t i = 0; i < n; i++) {
		enum addr_family f = q->s->families[i];
		enum reason r = pick_family(j, q, f, d);

		if (r == REASON_ALLOCATED) {
			got++;
			continue;
		}
		d->waits = d->waits || is_waiting_reason(r);
		if (failed == REASON_ALLOCATED || r == REASON_NAMESPACE_UNKNOWN)
			failed = r;
		all = all || asked_address(q->req, f) != NULL || r == REASON_NAMESPACE_UNKNOWN;
	}
	if (failed == REASON_ALLOCATED || (got > 0 && !all))
		return;
	d->reason = failed;
	memset(d->pick, 0, sizeof d->pick);
}

/* Is that all that the user said it must have: both families, the addresses asked for? */
static bool is_enough(const struct ask *q, size_t n, const struct judgement *d)
{
	for (size_t i = 0; i < n; i++) {
		enum addr_family f = q->s->families[i];

		if (!d->pick[f].has && (q->s->family_policy == CLUSTER_REQUIRE_DUAL ||
					       asked_address(q->req, f) != NULL))
			return false;
	}
	return true;
}

/* The pool asked for.  One that a configuration took away from a Service which has its address is
 * no reason to take the address, too. */
static enum reason find_pool(struct judge *j, struct ask *q, size_t n, struct judgement *d)
{
	const char *name = q->req->pool;
	enum pool_fit fit;
	struct pool *p;

	p = pool_named(j->pools, name);
	q->pool.only = p;
	fit = fit_asked(q, p);
	if (fit == POOL_FITS)
		return REASON_ALLOCATED;
	if (p != NULL && keep_held(j, q, n, d) && is_enough(q, n, d)) {
		for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
			if (d->pick[f].kept)
				say_kept(j, q, &d->pick[f]);
		}
		return REASON_ALLOCATED;
	}
	memset(d->pick, 0, sizeof d->pick);
	if (fit == POOL_UNSURE)
		return refuse_unsure(j, q, p);
	buf_addf(sentence(j), "the requested pool %.100s %s", name,
		fit == POOL_NOT_CONFIGURED ? "does not exist" : asked_in_vain(fit));
	return fit == POOL_NOT_CONFIGURED ? REASON_POOL_UNKNOWN : REASON_POOL_NOT_ADMITTED;
}

static enum reason judge_pool(struct judge *j, struct ask *q, size_t n, struct judgement *d)
{
	size_t said = j->words.len;
	enum reason r;

	if (q->req->pool == NULL)
		return REASON_ALLOCATED;
	r = find_pool(j, q, n, d);
	tell_said(j, (struct judge_step){.rule = JUDGE_POOL, .reason = r, .pool = q->req->pool},
		said, "it is asked for, and admits the Service");
	return r;
}

/* How many of spec.ipFamilies are to be served; 0 with the reason in d. */
static size_t judge_policy(struct judge *j, const struct cluster_service *s, struct judgement *d)
{
	if (!s->has_cluster_ip || s->n_families == 0) {
		d->reason = REASON_NO_CLUSTER_IP;
		return 0;
	}
	if (s->family_policy == CLUSTER_REQUIRE_DUAL && s->n_families < 2) {
		buf_adds(sentence(j), "ipFamilyPolicy is RequireDualStack but the Service has a "
				      "cluster IP of one family only");
		d->reason = REASON_NO_CLUSTER_IP;
		return 0;
	}
	return s->family_policy == CLUSTER_SINGLE_STACK ? 1 : s->n_families;
}

/* Its answer is not known: what is held stays, whatever is asked for. */
static void keep_all(struct judge *j, const struct ask *q, struct judgement *d)
{
	for (enum addr_family f = ADDR_V4; f < ADDR_FAMILIES; f++) {
		const struct pool_use *u = pool_held(&q->p->holder, f);
		struct pool *p = u != NULL ? pool_of(j->pools, u->addr) : NULL;

		if (u != NULL && may_share(j, q->p, q->s, u->addr, NULL) == REASON_ALLOCATED)
			pick_set(&d->pick[f], u->addr, p != NULL ? p : u->pool);
	}
}

/* A Service that is ours to serve, n of its families. */
static void judge_request(
	struct judge *j, struct ask *q, struct service_request *req, size_t n, struct judgement *d)
{
	d->first = q->s->families[0];
	d->reason = service_request(q->s, req, &j->words);
	tell_said(j, (struct judge_step){.rule = JUDGE_REQUEST, .reason = d->reason}, 0,
		req->n > 0 || req->pool != NULL ? "what it asks for can be understood"
						: "it asks for no address and no pool");
	if (d->reason == REASON_BAD_REQUEST || d->reason == REASON_REQUEST_CONFLICT) {
		/* Nobody knows that it means another address: bad input does not cost what works.
		 */
		(void)keep_held(j, q, n, d);
		return;
	}
	q->pool.protocol = req->protocol;
	if (d->reason == REASON_ALLOCATED)
		d->reason = judge_pool(j, q, n, d);
	d->waits = is_waiting_reason(d->reason);
	if (d->reason == REASON_ALLOCATED && !d->pick[ADDR_V4].has && !d->pick[ADDR_V6].has)
		judge_families(j, q, n, d);
	if (d->reason == REASON_NAMESPACE_UNKNOWN || d->reason == REASON_NAMESPACES_FORBIDDEN)
		keep_all(j, q, d);
	if (d->reason == REASON_NO_FITTING_POOL && pool_count(j->pools) == 0) {
		buf_reset(&j->words);
		d->reason = REASON_NO_POOL;
	}
}

/* NULL = not known. */
static const struct labels *namespace_labels(const struct judge *j, const char *name)
{
	const struct cluster_namespace *n =
		j->cluster != NULL ? cluster_namespace(j->cluster, name) : NULL;

	return n != NULL ? &n->labels : NULL;
}

/* Before what it asks for is known. */
static struct ask ask_of(struct judge *j, struct judge_party *p, const struct cluster_service *s,
	const struct service_request *req, const struct pool **unsure)
{
	return (struct ask){.p = p,
		.s = s,
		.req = req,
		.pool = {.namespace_ = s->namespace_,
			.labels = &s->labels,
			.namespace_labels = namespace_labels(j, s->namespace_),
			.conf = j->conf,
			.unsure = unsure}};
}

bool judge_is_lawful(struct judge *j, struct judge_party *p, struct addr x)
{
	struct cluster_service s = judge_view(p);
	struct service_request req = {.n = 0};
	const struct pool *unsure = NULL;
	struct ask q = ask_of(j, p, &s, &req, &unsure);
	const struct pool_use u = {.addr = x};

	/* Nonsense asks for nothing. */
	if (service_request(&s, &req, NULL) == REASON_ALLOCATED && req.pool != NULL)
		q.pool.only = pool_named(j->pools, req.pool);
	q.pool.protocol = req.protocol;
	return is_lawful(&q, pool_of(j->pools, x), &u);
}

struct judgement judge_decide(struct judge *j, struct judge_party *p, uint64_t now_ms)
{
	struct cluster_service s = judge_view(p);
	struct service_request req = {.n = 0};
	const struct pool *unsure = NULL;
	struct ask q = ask_of(j, p, &s, &req, &unsure);
	struct judgement d = {.reason = service_served(j->conf, &s)};
	size_t n;

	q.now_ms = now_ms;
	buf_reset(&j->words);
	tell_said(j, (struct judge_step){.rule = JUDGE_SERVED, .reason = d.reason}, 0,
		"it is for lbd to serve");
	if (d.reason != REASON_ALLOCATED)
		return d;
	n = judge_policy(j, &s, &d);
	tell_said(j, (struct judge_step){.rule = JUDGE_FAMILIES, .reason = d.reason}, 0,
		"it has the cluster IPs that its ipFamilyPolicy wants");
	if (n > 0)
		judge_request(j, &q, &req, n, &d);
	return d;
}

const char *judge_words(const struct judge *j)
{
	return j->words.len > 0 ? j->words.p : "";
}

/* -- life -- */

struct judge *judge_new(const struct hash_key *hkey, struct pool_set *pools)
{
	struct judge *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->hkey = *hkey;
	j->pools = pools;
	buf_init(&j->words, MAX_WORDS);
	buf_init(&j->aside, MAX_WORDS);
	return j;
}

void judge_set_trace(struct judge *j, const struct judge_trace *t)
{
	j->trace = t;
}

void judge_configure(struct judge *j, const struct config *conf)
{
	j->conf = conf;
}

void judge_set_namespaces(struct judge *j, const struct cluster *c, bool forbidden)
{
	j->cluster = c;
	j->forbidden = forbidden;
}

void judge_forget_all(struct judge *j)
{
	struct judge_sharing *h = NULL;

	while ((h = table_next(&j->sharings, h)) != NULL)
		for (struct link *l = h->members.next, *next; l != &h->members; l = next) {
			next = l->next;
			free(CONTAINER_OF(l, struct judge_seat, link));
		}
	table_free_all(&j->sharings);
}

void judge_free(struct judge *j)
{
	if (j == NULL)
		return;
	judge_forget_all(j);
	buf_free(&j->words);
	buf_free(&j->aside);
	free(j);
}
