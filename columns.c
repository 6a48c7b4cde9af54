/* SPDX-License-Identifier: Apache-2.0
 *
 * columns.c - tables and sentences for a terminal; tables as HTML.
 *
 * Owns: the cells of a table, as they will be printed.
 * In:   anybody's text.  Out: lines.
 *
 * A character counts as one column wide: where a script's are wider, only alignment suffers.
 */
#include "columns.h"

#include "civil.h"

#include <string.h>

enum { GAP = 2, LEAST = 8, MAX_TEXT = 64 * 1024 * 1024 };

#define ELLIPSIS "\xe2\x80\xa6"

struct cell {
	size_t at; /* in text; its value, if it is of such a kind, stands behind it */
	size_t width;
	enum columns_kind kind;
};

struct columns {
	const struct columns_head *head; /* borrowed */
	size_t n_heads;
	bool wide, bad;
	struct buf text;
	struct cell *cells; /* owned; row by row */
	size_t n, cap;
};

/* -- anybody's text -- */

/* Of one character of UTF-8 at s, its length and which; 0: it is none. */
static size_t decode(const unsigned char *s, uint32_t *ret_c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80       ? 1
		   : s[0] >> 5 == 6  ? 2
		   : s[0] >> 4 == 14 ? 3
		   : s[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t c = n == 1 ? s[0] : n == 0 ? 0 : s[0] & (0x7fU >> n);

	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3fU);
	}
	*ret_c = c;
	return n > 0 && c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

/* Neither a control character, nor one of those that turn or join what stands beside them. */
static bool is_plain(uint32_t c)
{
	return c >= 0x20 && (c < 0x7f || c >= 0xa0) && c != 0xad && (c < 0x200b || c > 0x200f) &&
	       (c < 0x2028 || c > 0x202e) && (c < 0x2060 || c > 0x206f) && c != 0xfeff &&
	       (c < 0xfff0 || c > 0xfffb) && c < 0xe0000 && c != 0x61c;
}

void columns_text(struct buf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)(s != NULL ? s : "");

	while (*p != '\0') {
		uint32_t c = 0;
		size_t n = decode(p, &c);
		bool plain = n > 0 && is_plain(c);

		n = n > 0 ? n : 1;
		for (size_t i = 0; i < n && !plain; i++)
			buf_addf(out, "\\x%02x", p[i]);
		if (plain)
			buf_add(out, p, n);
		p += n;
	}
}

/* Columns that text of columns_text() takes. */
static size_t width_of(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* -- tables -- */

struct columns *columns_new(const struct columns_head *head, size_t n, bool wide)
{
	struct columns *t = calloc(1, sizeof *t);

	REQUIRE(n > 0 && n <= COLUMNS_MAX);
	if (t == NULL)
		return NULL;
	t->head = head;
	t->n_heads = n;
	t->wide = wide;
	buf_init(&t->text, MAX_TEXT);
	return t;
}

void columns_free(struct columns *t)
{
	if (t == NULL)
		return;
	buf_free(&t->text);
	free(t->cells);
	free(t);
}

static struct cell *cell_new(struct columns *t)
{
	size_t cap = t->cap > 0 ? t->cap * 2 : 64;
	struct cell *p;

	if (t->n < t->cap)
		return &t->cells[t->n++];
	p = realloc(t->cells, cap * sizeof *p);
	if (p == NULL)
		return NULL;
	t->cells = p;
	t->cap = cap;
	return &t->cells[t->n++];
}

void columns_add(struct columns *t, const char *s)
{
	struct cell *c = cell_new(t);

	if (c == NULL) {
		t->bad = true;
		return;
	}
	c->kind = COLUMNS_PLAIN;
	c->at = t->text.len;
	columns_text(&t->text, s != NULL && *s != '\0' ? s : "-");
	if (t->text.bad) {
		t->bad = true;
		return;
	}
	c->width = width_of(t->text.p + c->at, t->text.len - c->at);
	buf_addc(&t->text, '\0');
}

void columns_mark(struct columns *t, enum columns_kind kind, const char *value)
{
	if (t->bad || t->n == 0)
		return;
	t->cells[t->n - 1].kind = kind;
	buf_add(&t->text, value, strlen(value) + 1);
	t->bad |= t->text.bad;
}

static bool is_shown(const struct columns *t, size_t i)
{
	return t->wide || !t->head[i].wide;
}

/* As wide as each column's widest cell; returns the sum, with the gaps. */
static size_t measure(const struct columns *t, size_t width[COLUMNS_MAX])
{
	size_t sum = 0;

	for (size_t i = 0; i < t->n_heads; i++) {
		width[i] = strlen(t->head[i].name);
		for (size_t k = i; k < t->n; k += t->n_heads)
			width[i] = t->cells[k].width > width[i] ? t->cells[k].width : width[i];
		if (is_shown(t, i))
			sum += width[i] + (sum > 0 ? GAP : 0);
	}
	return sum;
}

/* The widest of those that may be cut gives way, until all fit. */
static void squeeze(const struct columns *t, size_t width[COLUMNS_MAX], size_t sum, unsigned limit)
{
	while (sum > limit) {
		size_t best = t->n_heads;

		for (size_t i = 0; i < t->n_heads; i++)
			if (is_shown(t, i) && t->head[i].may_cut && width[i] > LEAST &&
				(best == t->n_heads || width[i] > width[best]))
				best = i;
		if (best == t->n_heads)
			return;
		width[best]--;
		sum--;
	}
}

static void print_cell(const char *s, size_t has, size_t width, bool last, struct buf *out)
{
	if (has <= width) {
		buf_adds(out, s);
	} else {
		size_t len = 0, n = 0;

		while (n < width || ((unsigned char)s[len] & 0xc0) == 0x80) {
			if (((unsigned char)s[len] & 0xc0) != 0x80 && ++n == width)
				break;
			len++;
		}
		buf_add(out, s, len);
		buf_adds(out, ELLIPSIS);
		has = width;
	}
	for (; !last && has < width + GAP; has++)
		buf_addc(out, ' ');
}

static size_t last_shown(const struct columns *t)
{
	size_t last = 0;

	for (size_t i = 0; i < t->n_heads; i++)
		last = is_shown(t, i) ? i : last;
	return last;
}

void columns_print(const struct columns *t, unsigned width, struct buf *out)
{
	size_t w[COLUMNS_MAX], sum = measure(t, w), last = last_shown(t);

	out->bad |= t->bad;
	if (out->bad)
		return;
	if (width != COLUMNS_ALL)
		squeeze(t, w, sum, width);
	for (size_t i = 0; i < t->n_heads; i++)
		if (is_shown(t, i))
			print_cell(t->head[i].name, strlen(t->head[i].name), w[i], i == last, out);
	buf_addc(out, '\n');
	for (size_t k = 0; k < t->n - t->n % t->n_heads; k++) {
		size_t i = k % t->n_heads;

		if (is_shown(t, i))
			print_cell(t->text.p + t->cells[k].at, t->cells[k].width, w[i], i == last,
				out);
		if (i + 1 == t->n_heads)
			buf_addc(out, '\n');
	}
}

/* -- HTML -- */

void columns_escape(struct buf *out, const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "<>&\"'");

		buf_add(out, s, n);
		if (s[n] == '\0')
			return;
		buf_addf(out, "&#%d;", s[n]);
		s += n + 1;
	}
}

static void print_html_cell(const struct columns *t, size_t k, struct buf *out)
{
	const struct cell *c = &t->cells[k];
	const char *s = t->text.p + c->at, *value = s + strlen(s) + 1;
	size_t i = k % t->n_heads;

	if (i == 0)
		buf_adds(out, "<tr><th scope=row");
	else
		buf_addf(out, "<td data-h=\"%s\"", t->head[i].name);
	buf_adds(out, c->kind == COLUMNS_BAD ? " class=bad>" : ">");
	if (c->kind == COLUMNS_TIME)
		buf_addf(out, "<time datetime=\"%s\" title=\"%s\">", value, value);
	if (c->kind == COLUMNS_BAR)
		buf_addf(out,
			"<svg aria-hidden=true><rect width=\"%s%%\" height=\"100%%\"/></svg> ",
			value);
	if (strcmp(s, "-") != 0)
		columns_escape(out, s);
	if (c->kind == COLUMNS_TIME)
		buf_adds(out, "</time>");
}

void columns_print_html(const struct columns *t, struct buf *out)
{
	out->bad |= t->bad;
	if (out->bad)
		return;
	buf_adds(out, "<div><table><thead><tr>");
	for (size_t i = 0; i < t->n_heads; i++)
		buf_addf(out, "<th scope=col>%s", t->head[i].name);
	buf_adds(out, "<tbody>\n");
	for (size_t k = 0; k < t->n - t->n % t->n_heads; k++) {
		print_html_cell(t, k, out);
		if ((k + 1) % t->n_heads == 0)
			buf_addc(out, '\n');
	}
	buf_adds(out, "</table></div>\n");
}

/* -- sentences -- */

void columns_wrap(struct buf *out, const char *first, const char *s, unsigned width)
{
	size_t indent = width_of(first, strlen(first)), at = indent;

	buf_adds(out, first);
	while (*s != '\0') {
		size_t len = strcspn(s, " "), w = width_of(s, len);

		if (at > indent && width != COLUMNS_ALL && at + 1 + w > width) {
			buf_addc(out, '\n');
			for (at = 0; at < indent; at++)
				buf_addc(out, ' ');
		} else if (at > indent) {
			buf_addc(out, ' ');
			at++;
		}
		buf_add(out, s, len);
		at += w;
		s += len + strspn(s + len, " ");
	}
	buf_addc(out, '\n');
}

/* -- time -- */

void columns_age(uint64_t ms, struct buf *out)
{
	/* duration.HumanDuration() of k8s.io/apimachinery: two units only while the first is small
	 */
	uint64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24, y = d / 365;

	if (s < 120)
		buf_addf(out, "%us", (unsigned)s);
	else if (m < 10 && s % 60 > 0)
		buf_addf(out, "%um%us", (unsigned)m, (unsigned)(s % 60));
	else if (m < 180)
		buf_addf(out, "%um", (unsigned)m);
	else if (h < 8 && m % 60 > 0)
		buf_addf(out, "%uh%um", (unsigned)h, (unsigned)(m % 60));
	else if (h < 48)
		buf_addf(out, "%uh", (unsigned)h);
	else if (d < 8 && h % 24 > 0)
		buf_addf(out, "%ud%uh", (unsigned)d, (unsigned)(h % 24));
	else if (y < 2)
		buf_addf(out, "%ud", (unsigned)d);
	else if (y < 8 && d % 365 > 0)
		buf_addf(out, "%uy%ud", (unsigned)y, (unsigned)(d % 365));
	else
		buf_addf(out, "%lluy", (unsigned long long)y);
}

/* n digits at *s, which moves on; -1: they are none. */
static int digits(const char **s, size_t n)
{
	int v = 0;

	for (; n > 0; n--, ++*s) {
		if (**s < '0' || **s > '9')
			return -1;
		v = v * 10 + (**s - '0');
	}
	return v;
}

int64_t columns_time(const char *s)
{
	static const char after[] = "--T::";
	int v[6];
	int64_t ms = 0, unit = 100;

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = digits(&s, i == 0 ? 4 : 2);
		if (v[i] < 0 || (i < 5 && *s++ != after[i]))
			return -1;
	}
	if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 ||
		v[4] > 59 || v[5] > 60)
		return -1;
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
			ms += unit * (*s - '0');
	if (strcmp(s, "Z") != 0)
		return -1;
	return (((civil_days(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000 + ms;
}
