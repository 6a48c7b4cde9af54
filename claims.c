/* SPDX-License-Identifier: Apache-2.0
 *
 * claims.c - the claims annotation, printed and parsed; look-ups in a set of claims.
 *
 * Owns: nothing; a struct claims is its holder's.
 * In:   what a node owns; the annotation of another's Lease, hostile.
 * Out:  text; sorted, disjoint claims.
 *
 * Source: shared/INTERFACES.md.
 */
#include "claims.h"

#include "cluster.h"
#include "schema.h"
#include "vip.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- printing -- */

static int by_section(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->term != y->term)
		return x->term < y->term ? -1 : 1;
	if (x->flags != y->flags)
		return x->flags < y->flags ? -1 : 1;
	return addr_cmp(x->range.first, y->range.first);
}

static int by_first(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return addr_cmp(x->range.first, y->range.first);
}

void claims_sort(struct claim *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof *v, by_first);
}

static bool adjoins(const struct claim *a, const struct claim *b)
{
	return a->term == b->term && a->flags == b->flags &&
	       addr_family(a->range.first) == addr_family(b->range.first) &&
	       addr_eq(addr_next(a->range.last), b->range.first);
}

/* One section's ranges follow each other at a distance that fits a number. */
static bool continues(const struct claim *a, const struct claim *b)
{
	return a->term == b->term && a->flags == b->flags &&
	       addr_family(a->range.first) == addr_family(b->range.first) &&
	       addr_distance(a->range.last, b->range.first) != UINT64_MAX;
}

static void print_claim(const struct claim *prev, const struct claim *c, struct buf *out)
{
	uint64_t count = addr_range_size(c->range);
	char text[ADDR_STRLEN];

	if (prev != NULL && continues(prev, c))
		buf_addf(out, ",+%" PRIu64, addr_distance(prev->range.last, c->range.first));
	else
		buf_addf(out, "%s%" PRIu64 "%s%s" SCHEMA_FLAG SCHEMA_WORD ":%s",
			out->len > 0 ? " " : "", c->term, (c->flags & CLAIM_WEAK) != 0 ? "w" : "",
			(c->flags & CLAIM_OFFERED) != 0 ? "o" : "",
			addr_format(c->range.first, text));
	if (count > 1)
		buf_addf(out, "-%" PRIu64, count);
	buf_adds(out, SCHEMA_WORD);
}

int claims_print(const struct claim *v, size_t n, struct buf *out)
{
	size_t n_s = 1, start;
	struct claim *s;
	int err = 0;

	if (n == 0)
		return 0;
	for (size_t i = 1; i < n; i++)
		n_s += !adjoins(&v[i - 1], &v[i]);
	s = malloc(n_s * sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	n_s = 0;
	for (size_t i = 0; i < n; i++) {
		if (n_s > 0 && adjoins(&s[n_s - 1], &v[i]))
			s[n_s - 1].range.last = v[i].range.last;
		else
			s[n_s++] = v[i];
	}
	qsort(s, n_s, sizeof *s, by_section);
	for (size_t i = 0; i < n_s && err == 0; i++) {
		start = out->len;
		print_claim(i > 0 ? &s[i - 1] : NULL, &s[i], out);
		if (out->bad) {
			err = -ENOMEM;
		} else if (out->len > CLUSTER_MAX_CLAIMS) {
			out->len = start;
			out->p[start] = '\0';
			err = -E2BIG;
		}
	}
	free(s);
	return err;
}

/* -- parsing -- */

/* Where the parser stands. */
struct parser {
	const char *p;
	struct claim *v;
	size_t n, cap;
	uint64_t total; /* addresses so far */
};

/* A decimal number without leading zeros; 0 itself only where it may be. */
static bool take_number(struct parser *t, uint64_t *ret)
{
	uint64_t n = 0;

	if (*t->p < '1' || *t->p > '9')
		return false;
	for (; *t->p >= '0' && *t->p <= '9'; t->p++) {
		uint64_t digit = (uint64_t)(*t->p - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

static bool take_char(struct parser *t, char c)
{
	if (*t->p != c)
		return false;
	t->p++;
	return true;
}

/* What a later version adds says nothing to this one. */
static void pass_words(struct parser *t)
{
	if (*t->p == ';')
		t->p += strcspn(t->p, " ,:");
}

/* w, o, and the letters of a later version. */
static unsigned take_flags(struct parser *t)
{
	unsigned flags = 0;

	for (; *t->p >= 'a' && *t->p <= 'z'; t->p++)
		flags |= *t->p == 'w' ? CLAIM_WEAK : *t->p == 'o' ? CLAIM_OFFERED : 0;
	return flags;
}

/* The range that begins at first; -COUNT may follow. */
static int take_range(struct parser *t, const struct claim *section, struct addr first)
{
	struct claim c = *section;
	uint64_t count = 1;

	if (take_char(t, '-') && (!take_number(t, &count) || count < 2))
		return -EBADMSG;
	if (count > VIP_MAX || t->total + count > VIP_MAX)
		return -E2BIG;
	t->total += count;
	c.range.first = first;
	c.range.last = addr_plus(first, count - 1);
	if (addr_cmp(c.range.last, first) < 0 || addr_family(c.range.last) != addr_family(first))
		return -EBADMSG;
	pass_words(t);
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 16;
		struct claim *v = realloc(t->v, cap * sizeof *v);

		if (v == NULL)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = c;
	return 0;
}

/* "+GAP[-COUNT]" */
static int take_next(struct parser *t, const struct claim *section)
{
	struct addr last = t->v[t->n - 1].range.last, first;
	uint64_t gap;

	if (!take_char(t, '+') || !take_number(t, &gap))
		return -EBADMSG;
	first = addr_plus(last, gap);
	if (addr_cmp(first, last) <= 0 || addr_family(first) != addr_family(last))
		return -EBADMSG;
	return take_range(t, section, first);
}

/* "TERM[w][o]:START[-COUNT]" and what follows up to a blank or the end. */
static int take_section(struct parser *t)
{
	struct claim section = {0};
	struct addr first;
	size_t len;
	int err;

	if (!take_number(t, &section.term))
		return -EBADMSG;
	section.flags = take_flags(t);
	pass_words(t);
	if (!take_char(t, ':'))
		return -EBADMSG;
	len = strcspn(t->p, "-,; ");
	if (addr_parse(t->p, len, &first) != 0)
		return -EBADMSG;
	t->p += len;
	err = take_range(t, &section, first);
	while (err == 0 && take_char(t, ','))
		err = take_next(t, &section);
	return err;
}

static int take_sections(struct parser *t)
{
	int err;

	if (*t->p == '\0')
		return 0;
	do {
		err = take_section(t);
		if (err != 0)
			return err;
	} while (take_char(t, ' '));
	if (*t->p != '\0')
		return -EBADMSG;
	claims_sort(t->v, t->n);
	for (size_t i = 1; i < t->n; i++)
		if (addr_cmp(t->v[i - 1].range.last, t->v[i].range.first) >= 0)
			return -EBADMSG; /* twice the same address */
	return 0;
}

int claims_parse(const char *s, struct claim **ret_v, size_t *ret_n)
{
	struct parser t = {.p = s};
	int err;

	if (strnlen(s, CLUSTER_MAX_CLAIMS + 1) > CLUSTER_MAX_CLAIMS)
		return -E2BIG;
	err = take_sections(&t);
	if (err != 0) {
		free(t.v);
		return err;
	}
	*ret_v = t.v;
	*ret_n = t.n;
	return 0;
}

/* -- a set of them -- */

/* Those that are neighbours already are one; room is doubled each time that it is full. */
int claims_add(struct claims *c, struct addr a, uint64_t term, unsigned flags)
{
	const struct claim one = {{a, a}, term, flags};
	struct claim *v;

	if (c->n > 0 && adjoins(&c->v[c->n - 1], &one)) {
		c->v[c->n - 1].range.last = a;
		return 0;
	}
	if ((c->n & (c->n - 1)) == 0) {
		v = realloc(c->v, (c->n > 0 ? 2 * c->n : 1) * sizeof *v);
		if (v == NULL)
			return -ENOMEM;
		c->v = v;
	}
	c->v[c->n++] = one;
	return 0;
}

void claims_free(struct claims *c)
{
	free(c->v);
	*c = (struct claims){0};
}

int claims_copy(const struct claims *c, struct claims *ret_c)
{
	struct claims copy = {0};

	if (c->n > 0) {
		copy.v = malloc(c->n * sizeof *c->v);
		if (copy.v == NULL)
			return -ENOMEM;
		memcpy(copy.v, c->v, c->n * sizeof *c->v);
		copy.n = c->n;
	}
	*ret_c = copy;
	return 0;
}

const struct claim *claims_find(const struct claims *c, struct addr a)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(c->v[mid].range.last, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && addr_range_contains(c->v[lo].range, a) ? &c->v[lo] : NULL;
}

bool claims_has(const struct claims *c, const struct claim *k)
{
	const struct claim *f = claims_find(c, k->range.first);

	return f != NULL && f->term == k->term && f->flags == k->flags &&
	       addr_eq(f->range.first, k->range.first) && addr_eq(f->range.last, k->range.last);
}

const struct claim *claims_on(const struct claims *c, const struct addr *addrs, size_t n)
{
	const struct claim *best = NULL;

	for (size_t i = 0; c->n > 0 && i < n; i++) {
		const struct claim *k = claims_find(c, addrs[i]);

		if (k != NULL && (best == NULL || k->term > best->term))
			best = k;
	}
	return best;
}

uint64_t claims_size(const struct claims *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += addr_range_size(c->v[i].range);
	return n;
}
