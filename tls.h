/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h - one TLS client session over memory: ciphertext in and out, plaintext in and out.
 * mbedTLS 2.28 and 3.6 alike.
 *
 * The server is always verified: chain to the given CA and validity by mbedTLS, its name or IP
 * address against the certificate's subjectAltName by tls.c (RFC 6125, 9525): an IP address matches
 * an equal iPAddress entry and nothing else, a name matches a dNSName entry and nothing else, the
 * common name is never looked at.  mbedTLS 2.28 knows no iPAddress entries, 3.6 takes them from any
 * type.  A name is checked by mbedTLS as well.  TLS 1.2 at least.
 *
 * The last session is kept in the tls_conf and resumed by the next one for the same name (RFC 8446
 * 2.2, RFC 5246 7.3): a fraction of the work, for none of the certificates is looked at again.  So
 * it never crosses from one set of credentials to another, for that is another tls_conf; it is
 * thrown away when a handshake that offered it fails; and TLS_RESUME_MS after the handshake that
 * did verify the server one must do so again.
 *
 * Everything here belongs to the thread of the event loop.
 */
#ifndef LBD_TLS_H
#define LBD_TLS_H

#include "base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_conf; /* opaque; shared by sessions, counted */

struct tls_files {
	const char *ca, *cert,
		*key; /* PEM text, NUL-terminated; cert and key NULL = no client certificate */
};
/* 0; -EINVAL or -ENOMEM with a sentence in err.  files->ca is required.  Seeds its own random
 * generator. */
int tls_conf_new(const struct tls_files *files, struct tls_conf **ret_conf, char *err,
	size_t err_len) MUST_CHECK;
struct tls_conf *tls_conf_ref(struct tls_conf *c);
void tls_conf_unref(struct tls_conf *c);

/* Limits, in one place. */
enum {
	TLS_MAX_UNREAD = 256 * 1024,      /* ciphertext fed and not yet read */
	TLS_MAX_UNSENT = 8 * 1024 * 1024, /* ciphertext written and not yet sent */
	TLS_RESUME_MS = 3600 * 1000, /* how long the proof of who the server is may be relied on */
};

struct tls; /* opaque */
/* name: a DNS name or the text of an IP address that the certificate must hold; copied.  NULL when
 * out of memory or name is no name (empty, over 253 characters).  Takes a reference.  now_ms: for
 * how long a session may be resumed. */
struct tls *tls_new(struct tls_conf *c, const char *name, uint64_t now_ms) MUST_CHECK;
/* Would a session for name made now be resumed, if the server agrees? */
bool tls_can_resume(const struct tls_conf *c, const char *name, uint64_t now_ms);
void tls_free(struct tls *t);

/* Ciphertext from the peer. 0 or -ENOMEM (also when TLS_MAX_UNREAD would be passed). */
int tls_feed(struct tls *t, const void *p, size_t n) MUST_CHECK;
/* The transport ended; without close_notify before it, tls_read() reports truncation. */
void tls_feed_eof(struct tls *t);
/* Ciphertext to send: sets *ret_p to pending bytes, returns how many; tls_sent() drops them. */
size_t tls_pending(struct tls *t, const void **ret_p);
void tls_sent(struct tls *t, size_t n);
/* Steps the handshake: 1 done and verified, 0 needs more input, -EPROTO with tls_error(). */
int tls_handshake(struct tls *t) MUST_CHECK;
/* Plaintext: > 0 bytes, 0 none now, -ENODATA clean end (close_notify), -ECONNRESET truncated,
 * -EPROTO. */
long tls_read(struct tls *t, void *p, size_t n) MUST_CHECK;
/* Takes all n bytes (buffers ciphertext) or fails: 0, -ENOMEM, -EPROTO. */
int tls_write(struct tls *t, const void *p, size_t n) MUST_CHECK;
/* Queues close_notify. */
void tls_close(struct tls *t);
/* A sentence on what went wrong: "server certificate is not signed by the CA", ...; "" = nothing.
 */
const char *tls_error(const struct tls *t);
/* "TLSv1.3" and the like, after the handshake. */
const char *tls_version(const struct tls *t);
/* After the handshake: it went on from an earlier one. */
bool tls_is_resumed(const struct tls *t);

/* For tests: do these X.509 v3 extensions (DER of the SEQUENCE) name the server?  name as for
 * tls_new().  False on any malformed byte on the way. */
bool tls_extensions_name(const void *der, size_t n, const char *name);

#endif
