/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes.h - the only code that indexes raw bytes: a read cursor with a sticky error, and a write
 * cursor with one overflow test at the end.  Network byte order.  Pure, header only.
 */
#ifndef LBD_BYTES_H
#define LBD_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p, *end;
	bool bad; /* sticky: something was read past the end */
};

static inline struct rd rd_init(const void *p, size_t n)
{
	/* Nothing is added to a null pointer, not even nothing. */
	return (struct rd){.p = p, .end = n > 0 ? (const uint8_t *)p + n : p};
}

static inline size_t rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

/* All consumed, never short. */
static inline bool rd_done(const struct rd *r)
{
	return !r->bad && r->p == r->end;
}

/* The next n bytes, or NULL and bad when fewer are left. */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *at = r->p;

	if (rd_left(r) < n || r->bad) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return at;
}

static inline void rd_skip(struct rd *r, size_t n)
{
	(void)rd_bytes(r, n);
}

/* Copies n bytes out; zeroes them and is bad when short. */
static inline void rd_copy(struct rd *r, void *to, size_t n)
{
	const uint8_t *b = rd_bytes(r, n);

	if (b != NULL)
		memcpy(to, b, n);
	else
		memset(to, 0, n);
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *b = rd_bytes(r, 1);

	return b != NULL ? b[0] : 0;
}

static inline uint16_t rd_be16(struct rd *r)
{
	const uint8_t *b = rd_bytes(r, 2);

	return b != NULL ? (uint16_t)((unsigned)b[0] << 8 | b[1]) : 0;
}

static inline uint32_t rd_be32(struct rd *r)
{
	uint32_t hi = rd_be16(r);

	return hi << 16 | rd_be16(r);
}

/* Host order: netlink and other things of our own kernel. */
static inline uint32_t rd_host32(struct rd *r)
{
	uint32_t v;

	rd_copy(r, &v, sizeof v);
	return v;
}

static inline uint16_t rd_host16(struct rd *r)
{
	uint16_t v;

	rd_copy(r, &v, sizeof v);
	return v;
}

/* A child over the next n bytes, for a TLV; the parent moves past it.  Both bad when short. */
static inline struct rd rd_sub(struct rd *r, size_t n)
{
	const uint8_t *b = rd_bytes(r, n);

	if (b == NULL)
		return (struct rd){.p = r->end, .end = r->end, .bad = true};
	return rd_init(b, n);
}

struct wr {
	uint8_t *p, *start, *end;
	bool bad; /* sticky: did not fit */
};

static inline struct wr wr_init(void *p, size_t n)
{
	return (struct wr){.p = p, .start = p, .end = (uint8_t *)p + n};
}

/* Bytes written, 0 if something did not fit. */
static inline size_t wr_len(const struct wr *w)
{
	return w->bad ? 0 : (size_t)(w->p - w->start);
}

static inline void wr_bytes(struct wr *w, const void *from, size_t n)
{
	if (w->bad || (size_t)(w->end - w->p) < n) {
		w->bad = true;
		return;
	}
	memcpy(w->p, from, n);
	w->p += n;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void wr_be16(struct wr *w, uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	wr_bytes(w, b, sizeof b);
}

static inline void wr_be32(struct wr *w, uint32_t v)
{
	wr_be16(w, (uint16_t)(v >> 16));
	wr_be16(w, (uint16_t)v);
}

#endif
