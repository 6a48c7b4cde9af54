/* SPDX-License-Identifier: Apache-2.0
 *
 * text.h - growing byte strings, allocation that does not fail, time, base64, URL escapes.
 *
 * kubesim is a test tool: out of memory ends it with a sentence (oom()), so that the rest of it
 * reads as what it does and not as how it gives up.
 */
#ifndef KUBESIM_TEXT_H
#define KUBESIM_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte string; p is NUL-terminated at p[n] once something was added, NULL before. Zero is empty.
 */
struct text {
	char *p; /* owned */
	size_t n, cap;
};

void text_need(struct text *t, size_t more); /* room for that many bytes and a NUL */
void text_add(struct text *t, const char *p, size_t n);
void text_str(struct text *t, const char *s);
void text_char(struct text *t, char c);
void text_u64(struct text *t, uint64_t v);
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_vfmt(struct text *t, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void text_json(struct text *t, const char *s); /* s as a JSON string, quotes included */
void text_drop(struct text *t, size_t n);      /* the first n bytes */
void text_clear(struct text *t);               /* empty, memory kept */
void text_free(struct text *t);
char *text_take(struct text *t); /* the caller's; t is empty then; never NULL */

void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xstrndup(const char *s, size_t n)
	__attribute__((malloc, returns_nonnull, warn_unused_result));
/* v with room for one more element after n: doubles *cap. */
void *xgrow(void *v, size_t n, size_t *cap, size_t size)
	__attribute__((returns_nonnull, warn_unused_result));

uint64_t mono_ns(void);
uint64_t mono_ms(void);
/* Kubernetes' metav1.Time, "2026-11-20T10:00:00Z", and MicroTime with six digits. */
void time_now(char out[static 32]);
void time_now_micro(char out[static 40]);
/* Seconds since the epoch of an RFC 3339 time; -1 when it is none. */
int64_t time_parse(const char *s);

void b64_encode(const void *p, size_t n, struct text *ret);
/* False when s is not base64; ret is NUL-terminated. */
bool b64_decode(const char *s, struct text *ret);

/* In place, '%41' and (with plus) '+'. False when an escape is broken or hides a NUL. */
bool url_decode(char *s, bool plus);
/* A version-4 UUID from OpenSSL's generator. */
void uuid_make(char out[static 37]);
uint64_t hash_str(const char *s);
/* Decimal digits only, whole string. */
bool parse_u64(const char *s, uint64_t *ret);

#endif
