/* SPDX-License-Identifier: Apache-2.0
 *
 * fault.h - faults on demand: what to do wrong, to whom, how often.
 */
#ifndef KUBESIM_FAULT_H
#define KUBESIM_FAULT_H

#include "api.h"

enum fault_kind {
	FAULT_DROP,      /* read, do nothing, never answer; the connection goes on */
	FAULT_DELAY,     /* act, answer delayMs later (before: act delayMs later too) */
	FAULT_HALF_OPEN, /* the connection is never read nor written again */
	FAULT_STATUS,    /* answer with a code, do nothing: 401 403 404 409 410 429 500 503 504 */
	FAULT_GARBAGE,   /* an answer that is no JSON, or not the JSON that was asked for */
	FAULT_GARBAGE_HTTP, /* an answer that is no HTTP */
	FAULT_SLOW,         /* byte-at-a-time: one byte each delayMs */
	FAULT_TRUNCATE,     /* act, send half of the answer, close */
	FAULT_CLOSE,        /* close without doing anything */
	FAULT_LOST_ANSWER,  /* act, close without an answer */
	FAULT_MUTE,         /* a watch begins well, and then is silent for ever */
	FAULT_STALE_LIST,   /* reads answered as of the version when the fault was set */
	FAULT_OVERSIZE,     /* an answer of so many bytes */
	FAULT_FREEZE,       /* as SIGSTOP would: connections accepted, nothing read or written */
	FAULT_CUT,          /* close matching watches now, and again each everyMs */
	FAULT_COMPACT,      /* forget the history: at once, not kept */
};

struct match {
	char *verb, *path,
		*user; /* owned; NULL = any; path: prefix, or glob when it has * ? or [ */
};

struct fault {
	unsigned id;
	enum fault_kind kind;
	char *name; /* owned; as given */
	struct match match;
	uint64_t count; /* 0: until cleared */
	uint64_t hits;
	int code;
	uint64_t delay_ms, retry_after_s, bytes, every_ms, next_ms;
	double probability;
	uint64_t rng;
	uint64_t rv; /* stale-list */
	char *body;  /* owned; garbage: this text instead of the built-in ones */
	bool before, reset;
};

struct faults {
	struct fault **v; /* owned */
	size_t n, cap;
	unsigned next_id;
};

/* From the JSON of POST /kubesim/fault. NULL: err says why. Owned by f. */
struct fault *fault_add(struct faults *f, const cJSON *spec, uint64_t rv, struct text *err);
/* id 0: all. False: there is none such. before it goes, gone() is called. */
bool fault_remove(
	struct faults *f, unsigned id, void (*gone)(void *ctx, struct fault *), void *ctx);
/* The fault that this request meets, its count and hits moved on; NULL: none. */
struct fault *fault_meet(struct faults *f, const char *verb, const char *path, const char *user);
bool match_is(const struct match *m, const char *verb, const char *path, const char *user);
void match_free(struct match *m);
bool match_parse(const cJSON *spec, struct match *ret);
/* Body for FAULT_GARBAGE; each call another sort. */
const char *fault_garbage(struct fault *f);
void faults_print(const struct faults *f, struct text *out);
void faults_free(struct faults *f);
/* The earliest periodic cut; UINT64_MAX: none. */
uint64_t faults_next_ms(const struct faults *f);

#endif
