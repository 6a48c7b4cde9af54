/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c - growing byte strings, allocation that does not fail, time, base64, URL escapes.
 *
 * Owns: nothing beyond the struct text it is given.
 * In:   bytes.  Out: bytes.
 */
#include "text.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Noreturn void oom(void)
{
	fputs("kubesim: out of memory\n", stderr);
	abort();
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		oom();
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size);

	if (!q)
		oom();
	return q;
}

char *xstrndup(const char *s, size_t n)
{
	char *p = xcalloc(n + 1, 1);

	if (n)
		memcpy(p, s, n);
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

void *xgrow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap && v)
		return v;
	*cap = *cap ? *cap * 2 : 8;
	return xrealloc(v, *cap, size);
}

void text_need(struct text *t, size_t more)
{
	size_t want = t->n + more + 1, cap = t->cap ? t->cap : 64;

	if (want <= t->cap)
		return;
	while (cap < want)
		cap *= 2;
	t->p = xrealloc(t->p, cap, 1);
	t->cap = cap;
}

void text_add(struct text *t, const char *p, size_t n)
{
	text_need(t, n);
	if (n)
		memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

void text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_char(struct text *t, char c)
{
	text_add(t, &c, 1);
}

void text_u64(struct text *t, uint64_t v)
{
	text_fmt(t, "%llu", (unsigned long long)v);
}

void text_vfmt(struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return;
	text_need(t, (size_t)n);
	(void)vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
	t->n += (size_t)n;
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(t, fmt, ap);
	va_end(ap);
}

void text_json(struct text *t, const char *s)
{
	text_char(t, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			text_char(t, '\\');
			text_char(t, *s);
		} else if (c < 0x20) {
			text_fmt(t, "\\u%04x", c);
		} else {
			text_char(t, *s);
		}
	}
	text_char(t, '"');
}

void text_drop(struct text *t, size_t n)
{
	if (n > t->n)
		n = t->n;
	if (!n)
		return;
	memmove(t->p, t->p + n, t->n - n);
	t->n -= n;
	t->p[t->n] = '\0';
}

void text_clear(struct text *t)
{
	t->n = 0;
	if (t->p)
		t->p[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){0};
}

char *text_take(struct text *t)
{
	char *p = t->p ? t->p : xcalloc(1, 1);

	*t = (struct text){0};
	return p;
}

uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t mono_ms(void)
{
	return mono_ns() / 1000000;
}

void time_now(char out[static 32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void time_now_micro(char out[static 40])
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, 40 - n, ".%06ldZ", ts.tv_nsec / 1000);
}

int64_t time_parse(const char *s)
{
	struct tm tm = {0};
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	long sign, hours, minutes;

	if (!end)
		return -1;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (!strcmp(end, "Z") || !strcmp(end, "z"))
		return timegm(&tm);
	if ((*end != '+' && *end != '-') || strlen(end) != 6 || end[3] != ':')
		return -1;
	sign = *end == '-' ? -1 : 1;
	hours = strtol(end + 1, NULL, 10);
	minutes = strtol(end + 4, NULL, 10);
	return timegm(&tm) - sign * (hours * 3600 + minutes * 60);
}

void b64_encode(const void *p, size_t n, struct text *ret)
{
	text_need(ret, (n + 2) / 3 * 4 + 1);
	ret->n += (size_t)EVP_EncodeBlock(
		(unsigned char *)ret->p + ret->n, (const unsigned char *)p, (int)n);
}

bool b64_decode(const char *s, struct text *ret)
{
	size_t n = strlen(s), pad = 0;
	int got;

	if (n % 4 || n > (1u << 20))
		return false;
	while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
		pad++;
	text_need(ret, n / 4 * 3 + 3);
	got = EVP_DecodeBlock((unsigned char *)ret->p + ret->n, (const unsigned char *)s, (int)n);
	if (got < 0 || (size_t)got < pad)
		return false;
	ret->n += (size_t)got - pad;
	ret->p[ret->n] = '\0';
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool url_decode(char *s, bool plus)
{
	char *w = s;

	for (; *s; s++) {
		int hi, lo;

		if (*s == '+' && plus) {
			*w++ = ' ';
			continue;
		}
		if (*s != '%') {
			*w++ = *s;
			continue;
		}
		hi = hex_digit(s[1]);
		lo = hi < 0 ? -1 : hex_digit(s[2]);
		if (lo < 0 || (hi == 0 && lo == 0))
			return false;
		*w++ = (char)(hi * 16 + lo);
		s += 2;
	}
	*w = '\0';
	return true;
}

void uuid_make(char out[static 37])
{
	unsigned char b[16];

	if (RAND_bytes(b, sizeof(b)) != 1)
		memset(b, 0, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, 37,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
}

uint64_t hash_str(const char *s)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

bool parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s || strlen(s) > 19)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return true;
}
