/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - one TLS client session over memory, for mbedTLS 2.28 and 3.6.
 *
 * Owns: tls_conf: CA, client certificate and key, random generator; tls: the session and two
 *       buffers of ciphertext.  No socket, no timer.  The wall clock is read by mbedTLS for the
 *       validity of certificates.
 * In:   tls_feed() ciphertext, tls_write() plaintext.
 * Out:  tls_pending() ciphertext, tls_read() plaintext, tls_error() a sentence.
 *
 * Who the server is, is decided in on_certificate(), which mbedTLS calls for each certificate of a
 * chain while it verifies it.  A handshake without one is a resumed one, or is refused: then the
 * server has shown that it knows the secret of an earlier session, whose certificate was verified.
 *
 * RFCs: 5246, 8446 (by mbedTLS), 5280 4.2.1.6 (subjectAltName), 6125 6.4 and 9525 6 (matching).
 * Not done: revocation; internationalised names in Unicode (their A-labels work); IPv6 zones.
 */
#include "tls.h"

#include "buf.h"
#include "bytes.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define TLS_IS_3 1
#include <psa/crypto.h>
#else
#define TLS_IS_3 0
#endif

/* Whom the certificate must name. */
struct peer_name {
	char text[254];
	uint8_t ip[16];
	size_t ip_len; /* 4, 16; 0 = text is a DNS name */
};

/* A session that may be resumed. */
struct ticket {
	bool valid;
	mbedtls_ssl_session session;                       /* owned */
	char name[sizeof((struct peer_name *)NULL)->text]; /* of the server */
	uint64_t made_ms;                                  /* when its handshake began */
	uint64_t verified_ms; /* when the one began that saw the certificate */
};

struct tls_conf {
	unsigned refs;
	bool has_cert;
	struct ticket ticket;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
	mbedtls_ssl_config ssl;
};

enum { RECORD_HEADER = 5, ALERT_RECORD = RECORD_HEADER + 2 };

struct tls {
	struct tls_conf *conf; /* counted */
	mbedtls_ssl_context ssl;
	struct peer_name name;
	bool seen, named; /* on_certificate() had the server's certificate; found the name in it */
	bool offered;     /* the ticket, to be resumed */
	uint64_t made_ms; /* the handshake begins */
	uint64_t verified_ms;       /* the server's certificate was seen: now or then */
	bool established, heard;    /* handshake done; plaintext came */
	bool eof;                   /* the transport ended */
	int failed;                 /* 0, or what every call returns from now on */
	struct buf in, out;         /* owned; ciphertext */
	size_t in_at;               /* bytes of in that mbedTLS has taken */
	uint8_t last[ALERT_RECORD]; /* bytes that mbedTLS took last: tells which alert */
	char first[RECORD_HEADER];  /* bytes of the peer: tells who is no TLS server */
	size_t n_first;
	char error[320];
};

/* -- the name in the certificate --------------------------------------------------------------- */

static bool parse_name(const char *s, struct peer_name *ret)
{
	size_t n = strlen(s);

	*ret = (struct peer_name){0};
	if (n == 0 || n >= sizeof ret->text)
		return false;
	memcpy(ret->text, s, n);
	if (s[n - 1] == '.') /* the root's dot is not in certificates */
		ret->text[n - 1] = '\0';
	if (inet_pton(AF_INET, ret->text, ret->ip) == 1)
		ret->ip_len = 4;
	else if (inet_pton(AF_INET6, ret->text, ret->ip) == 1)
		ret->ip_len = 16;
	return ret->text[0] != '\0';
}

/* One DER element: its tag, and its contents as a cursor.  Lengths in the long form up to two
 * bytes, as certificates go; a tag of more than one byte is not in this part of X.509. */
static struct rd der(struct rd *r, uint8_t *ret_tag)
{
	size_t n;

	*ret_tag = rd_u8(r);
	n = rd_u8(r);
	if (n == 0x81)
		n = rd_u8(r);
	else if (n == 0x82)
		n = rd_be16(r);
	else if (n >= 0x80)
		r->bad = true;
	return rd_sub(r, n);
}

/* The contents of the next element when it has that tag; else bad. */
static struct rd der_tagged(struct rd *r, uint8_t want)
{
	uint8_t tag;
	struct rd in = der(r, &tag);

	if (tag != want)
		in = (struct rd){.p = in.end, .end = in.end, .bad = true};
	return in;
}

/* RFC 6125 6.4.3: "*" stands for the whole first label, and not for less than two. */
static bool dns_matches(const char *pattern, size_t n, const char *name)
{
	const char *dot = strchr(name, '.');

	if (n > 2 && pattern[0] == '*' && pattern[1] == '.') {
		if (dot == NULL || dot == name || memchr(pattern + 2, '.', n - 2) == NULL)
			return false;
		pattern++;
		n--;
		name = dot;
	}
	return strlen(name) == n && strncasecmp(pattern, name, n) == 0 &&
	       memchr(pattern, '*', n) == NULL;
}

static bool general_name_is(uint8_t tag, struct rd value, const struct peer_name *name)
{
	enum { DNS_NAME = 0x82, IP_ADDRESS = 0x87 };
	size_t n = rd_left(&value);
	const uint8_t *p = rd_bytes(&value, n);

	if (p == NULL || n == 0)
		return false;
	if (name->ip_len != 0)
		return tag == IP_ADDRESS && n == name->ip_len && memcmp(p, name->ip, n) == 0;
	return tag == DNS_NAME && dns_matches((const char *)p, n, name->text);
}

/* The value of a subjectAltName extension: SEQUENCE OF GeneralName. */
static bool names_hold(struct rd *value, const struct peer_name *name)
{
	struct rd names = der_tagged(value, 0x30);
	bool found = false;

	while (rd_left(&names) > 0) {
		uint8_t tag;
		struct rd one = der(&names, &tag);

		found = general_name_is(tag, one, name) || found;
	}
	return rd_done(&names) && rd_done(value) && found;
}

/* SEQUENCE OF SEQUENCE { OID, BOOLEAN critical OPTIONAL, OCTET STRING } */
static bool extensions_name(struct rd r, const struct peer_name *name)
{
	static const uint8_t subject_alt_name[] = {0x55, 0x1d, 0x11}; /* 2.5.29.17 */
	enum { BOOLEAN = 0x01, OCTET_STRING = 0x04, OID = 0x06, SEQUENCE = 0x30 };
	struct rd list = der_tagged(&r, SEQUENCE);
	bool found = false;

	while (rd_left(&list) > 0) {
		struct rd ext = der_tagged(&list, SEQUENCE);
		struct rd oid = der_tagged(&ext, OID);
		size_t n = rd_left(&oid);
		const uint8_t *p = rd_bytes(&oid, n);
		struct rd value;

		if (rd_left(&ext) > 0 && ext.p[0] == BOOLEAN)
			(void)der_tagged(&ext, BOOLEAN);
		value = der_tagged(&ext, OCTET_STRING);
		if (!rd_done(&ext) || value.bad)
			return false;
		if (p != NULL && n == sizeof subject_alt_name &&
			memcmp(p, subject_alt_name, n) == 0)
			found = names_hold(&value, name) || found;
	}
	return rd_done(&list) && rd_done(&r) && found;
}

bool tls_extensions_name(const void *p, size_t n, const char *name)
{
	struct peer_name want;

	return n > 0 && parse_name(name, &want) && extensions_name(rd_init(p, n), &want);
}

/* Called by mbedTLS with the chain from its root down to the server's certificate, depth 0; what is
 * put into *flags refuses the handshake. */
static int on_certificate(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = ctx;

	if (depth != 0)
		return 0;
	t->seen = true;
	t->named = crt->v3_ext.p != NULL &&
		   extensions_name(rd_init(crt->v3_ext.p, crt->v3_ext.len), &t->name);
	if (!t->named)
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	return 0;
}

/* -- sentences --------------------------------------------------------------------------------- */

/* Of several faults the one that a person must mend first; in this order. */
static const char *certificate_text(uint32_t flags)
{
	static const struct {
		uint32_t flags;
		const char *text;
	} rows[] = {
		{MBEDTLS_X509_BADCERT_NOT_TRUSTED, "server certificate is not signed by the CA"},
		{MBEDTLS_X509_BADCERT_EXPIRED,
			"server certificate has expired, or this host's clock is wrong"},
		{MBEDTLS_X509_BADCERT_FUTURE,
			"server certificate is not valid yet, or this host's clock is wrong"},
		{MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
				MBEDTLS_X509_BADCERT_BAD_KEY,
			"server certificate has a key or signature of a kind that is not accepted"},
		{MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
				MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
			"server certificate is not meant for a server"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows) && flags != UINT32_MAX; i++)
		if ((flags & rows[i].flags) != 0)
			return rows[i].text;
	return "server certificate was refused";
}

static void explain_certificate(struct tls *t, uint32_t flags)
{
	if (flags == MBEDTLS_X509_BADCERT_CN_MISMATCH)
		(void)snprintf(t->error, sizeof t->error,
			"server certificate does not hold the %s %s",
			t->name.ip_len != 0 ? "IP address" : "name", t->name.text);
	else
		(void)snprintf(t->error, sizeof t->error, "%s", certificate_text(flags));
}

/* RFC 8446 6.2: alerts that a person can do something about. */
static const char *alert_text(uint8_t alert)
{
	switch (alert) {
	case 40:
		return "server found no common TLS settings, or wants a client certificate";
	case 42:
	case 43:
	case 44:
	case 45:
	case 46:
	case 48:
	case 49:
		return "server refused the client certificate";
	case 70:
		return TLS_IS_3 ? "server speaks neither TLS 1.2 nor TLS 1.3"
				: "server does not speak TLS 1.2, the only version of this build";
	case 112:
		return "server does not know the name it was asked for";
	case 116:
		return "server wants a client certificate";
	default:
		return NULL;
	}
}

static void explain_alert(struct tls *t)
{
	static const uint8_t fatal_alert[] = {0x15, 0x03};
	const char *why = NULL;
	bool plain = memcmp(t->last, fatal_alert, sizeof fatal_alert) == 0 && t->last[3] == 0 &&
		     t->last[4] == 2;

	if (plain)
		why = alert_text(t->last[ALERT_RECORD - 1]);
	if (why != NULL)
		(void)snprintf(t->error, sizeof t->error, "%s", why);
	else if (plain)
		(void)snprintf(t->error, sizeof t->error,
			"server ended the TLS session with alert %u", t->last[ALERT_RECORD - 1]);
	else
		(void)snprintf(t->error, sizeof t->error,
			"server ended the TLS session with an alert%s",
			t->heard            ? ""
			: t->conf->has_cert ? "; it may have refused the client certificate"
					    : "; it may want a client certificate");
}

/* What mbedTLS 2.28 and 3.6 call by different names. */
#if TLS_IS_3
enum {
	WRONG_VERSION = MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION,
	WRONG_USAGE = MBEDTLS_ERR_SSL_BAD_CERTIFICATE
};
#else
enum {
	WRONG_VERSION = MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION,
	WRONG_USAGE = MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE
};
#endif

/* Was the certificate refused, rather than malformed?  Without one all bits are set. */
static bool is_certificate_refused(const struct tls *t, int e)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

	return e == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
	       (e == WRONG_USAGE && flags != 0 && flags != UINT32_MAX);
}

static void explain(struct tls *t, int e)
{
	if (is_certificate_refused(t, e))
		explain_certificate(t, mbedtls_ssl_get_verify_result(&t->ssl));
	else if (e == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		explain_alert(t);
	else if (t->n_first == sizeof t->first && memcmp(t->first, "HTTP/", sizeof t->first) == 0)
		(void)snprintf(t->error, sizeof t->error, "server speaks plain HTTP, not TLS");
	else if (t->n_first > 0 && (t->first[0] < 0x14 || t->first[0] > 0x17))
		(void)snprintf(t->error, sizeof t->error, "server does not speak TLS");
	else if (e == WRONG_VERSION)
		(void)snprintf(t->error, sizeof t->error, "server does not speak TLS 1.2 or newer");
	else if (!t->established)
		(void)snprintf(t->error, sizeof t->error, "TLS handshake failed (mbedTLS -0x%04x)",
			(unsigned)-e);
	else
		(void)snprintf(t->error, sizeof t->error, "TLS record refused (mbedTLS -0x%04x)",
			(unsigned)-e);
}

/* The session is dead from now on; e is mbedTLS's. */
static int fail(struct tls *t, int e)
{
	explain(t, e);
	t->failed = -EPROTO;
	return t->failed;
}

const char *tls_error(const struct tls *t)
{
	return t->error;
}

const char *tls_version(const struct tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

/* -- resumption -------------------------------------------------------------------------------- */

static void drop_ticket(struct tls_conf *c)
{
	mbedtls_ssl_session_free(&c->ticket.session); /* zeroes it, too: as after its init */
	c->ticket.valid = false;
}

/* How long the server lets it be used: 0 in TLS 1.2 leaves that to us (RFC 5077 3.3). */
static uint64_t ticket_life_ms(const struct ticket *k)
{
#if TLS_IS_3
	uint64_t s = k->session.MBEDTLS_PRIVATE(ticket_lifetime);
#else
	uint64_t s = k->session.ticket_lifetime;
#endif

	return s == 0 ? TLS_RESUME_MS : time_min(s * 1000, TLS_RESUME_MS);
}

bool tls_can_resume(const struct tls_conf *c, const char *name, uint64_t now_ms)
{
	const struct ticket *k = &c->ticket;

	return k->valid && strcmp(k->name, name) == 0 && now_ms >= k->made_ms &&
	       now_ms < k->made_ms + ticket_life_ms(k) && now_ms < k->verified_ms + TLS_RESUME_MS;
}

static void offer_ticket(struct tls *t)
{
	struct tls_conf *c = t->conf;

	t->verified_ms = t->made_ms;
	if (!tls_can_resume(c, t->name.text, t->made_ms))
		return;
	t->offered = mbedtls_ssl_set_session(&t->ssl, &c->ticket.session) == 0;
	if (t->offered)
		t->verified_ms = c->ticket.verified_ms;
	else
		drop_ticket(c);
}

/* Keeps the session as it is now: after the handshake in TLS 1.2, when a ticket came in TLS 1.3. */
static void keep_ticket(struct tls *t)
{
	struct ticket *k = &t->conf->ticket;

	drop_ticket(t->conf);
	k->made_ms = t->made_ms;
	k->verified_ms = t->verified_ms;
	memcpy(k->name, t->name.text, sizeof k->name);
	k->valid = mbedtls_ssl_get_session(&t->ssl, &k->session) == 0;
	if (!k->valid)
		drop_ticket(t->conf);
}

bool tls_is_resumed(const struct tls *t)
{
	return t->offered && !t->seen;
}

/* -- configuration ----------------------------------------------------------------------------- */

static int parse_key(struct tls_conf *c, const char *pem)
{
	const unsigned char *p = (const unsigned char *)pem;

#if TLS_IS_3
	return mbedtls_pk_parse_key(
		&c->key, p, strlen(pem) + 1, NULL, 0, mbedtls_ctr_drbg_random, &c->drbg);
#else
	return mbedtls_pk_parse_key(&c->key, p, strlen(pem) + 1, NULL, 0);
#endif
}

static int check_pair(struct tls_conf *c)
{
#if TLS_IS_3
	return mbedtls_pk_check_pair(&c->cert.pk, &c->key, mbedtls_ctr_drbg_random, &c->drbg);
#else
	return mbedtls_pk_check_pair(&c->cert.pk, &c->key);
#endif
}

static int parse_certs(mbedtls_x509_crt *to, const char *pem)
{
	return mbedtls_x509_crt_parse(to, (const unsigned char *)pem, strlen(pem) + 1);
}

/* RFC 1421 4.6.1.1 "Proc-Type: 4,ENCRYPTED", RFC 5958 "BEGIN ENCRYPTED PRIVATE KEY". */
static bool is_encrypted(const char *pem)
{
	return strstr(pem, "ENCRYPTED") != NULL;
}

/* NULL, or what is wrong with the files; *ret_e is mbedTLS's. */
static const char *load_files(struct tls_conf *c, const struct tls_files *files, int *ret_e)
{
	*ret_e = 0;
	if (files->ca == NULL)
		return "no CA certificate is given: a server cannot be verified";
	*ret_e = parse_certs(&c->ca, files->ca);
	if (*ret_e < 0 || c->ca.version == 0) /* > 0: so many of a bundle are of unknown kinds */
		return "the CA certificate cannot be read";
	if ((files->cert == NULL) != (files->key == NULL))
		return files->cert == NULL ? "a client key is given without its certificate"
					   : "a client certificate is given without its key";
	if (files->cert == NULL)
		return NULL;
	*ret_e = parse_certs(&c->cert, files->cert);
	if (*ret_e != 0)
		return "the client certificate cannot be read";
	if (is_encrypted(files->key))
		return "the client key is encrypted, which is not supported";
	*ret_e = parse_key(c, files->key);
	if (*ret_e != 0)
		return "the client key cannot be read: RSA and ECDSA keys are supported";
	*ret_e = check_pair(c);
	if (*ret_e != 0)
		return "the client key does not belong to the client certificate";
	c->has_cert = true;
	return NULL;
}

#if TLS_IS_3
/* 3.6.6 offers RSA-PSS first and then refuses it in TLS 1.2 (its issue 10668): PKCS#1 first makes
 * servers choose that. */
static const uint16_t sig_algs[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384, MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384, MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
	MBEDTLS_TLS1_3_SIG_NONE};

/* The first is the one of TLS 1.3's key share: in mbedTLS P-256 is the cheapest. */
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
	MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
#endif

/* Tickets in both versions; in TLS 1.3 a fresh key exchange goes with each (RFC 8446 2.2). */
static void set_up_resumption(struct tls_conf *c)
{
	mbedtls_ssl_conf_session_tickets(&c->ssl, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#if TLS_IS_3
	mbedtls_ssl_conf_tls13_key_exchange_modes(
		&c->ssl, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
#ifdef MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
	mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
		&c->ssl, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
#endif
}

static const char *set_up(struct tls_conf *c, int *ret_e)
{
	*ret_e = mbedtls_ssl_config_defaults(&c->ssl, MBEDTLS_SSL_IS_CLIENT,
		MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (*ret_e != 0)
		return "TLS cannot be set up";
	mbedtls_ssl_conf_authmode(&c->ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_rng(&c->ssl, mbedtls_ctr_drbg_random, &c->drbg);
	mbedtls_ssl_conf_ca_chain(&c->ssl, &c->ca, NULL);
#if TLS_IS_3
	mbedtls_ssl_conf_min_tls_version(&c->ssl, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_sig_algs(&c->ssl, sig_algs);
	mbedtls_ssl_conf_groups(&c->ssl, groups);
#else
	mbedtls_ssl_conf_min_version(
		&c->ssl, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
	set_up_resumption(c);
	if (c->has_cert)
		*ret_e = mbedtls_ssl_conf_own_cert(&c->ssl, &c->cert, &c->key);
	return *ret_e == 0 ? NULL : "the client certificate cannot be used";
}

static const char *seed(struct tls_conf *c, int *ret_e)
{
	static const unsigned char own[] = "lbd";

	*ret_e = 0;
#if TLS_IS_3
	/* Counts its callers; TLS 1.3 needs it. */
	if (psa_crypto_init() != PSA_SUCCESS)
		return "the random generator cannot be seeded";
#endif
	*ret_e = mbedtls_ctr_drbg_seed(
		&c->drbg, mbedtls_entropy_func, &c->entropy, own, sizeof own - 1);
	return *ret_e == 0 ? NULL : "the random generator cannot be seeded";
}

int tls_conf_new(
	const struct tls_files *files, struct tls_conf **ret_conf, char *err, size_t err_len)
{
	struct tls_conf *c = calloc(1, sizeof *c);
	const char *why;
	int e = 0;

	if (c == NULL) {
		(void)snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	c->refs = 1;
	mbedtls_entropy_init(&c->entropy);
	mbedtls_ctr_drbg_init(&c->drbg);
	mbedtls_x509_crt_init(&c->ca);
	mbedtls_x509_crt_init(&c->cert);
	mbedtls_pk_init(&c->key);
	mbedtls_ssl_config_init(&c->ssl);
	mbedtls_ssl_session_init(&c->ticket.session);
	why = seed(c, &e);
	if (why == NULL)
		why = load_files(c, files, &e);
	if (why == NULL)
		why = set_up(c, &e);
	if (why == NULL) {
		*ret_conf = c;
		return 0;
	}
	if (e != 0)
		(void)snprintf(err, err_len, "%s (mbedTLS -0x%04x)", why, (unsigned)-e);
	else
		(void)snprintf(err, err_len, "%s", why);
	tls_conf_unref(c);
	return -EINVAL;
}

struct tls_conf *tls_conf_ref(struct tls_conf *c)
{
	c->refs++;
	return c;
}

void tls_conf_unref(struct tls_conf *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	drop_ticket(c);
	mbedtls_ssl_config_free(&c->ssl);
	mbedtls_pk_free(&c->key); /* these zero what they held */
	mbedtls_x509_crt_free(&c->cert);
	mbedtls_x509_crt_free(&c->ca);
	mbedtls_ctr_drbg_free(&c->drbg);
	mbedtls_entropy_free(&c->entropy);
	mbedtls_platform_zeroize(c, sizeof *c);
	free(c);
}

/* -- the session ------------------------------------------------------------------------------- */

static int send_to_buffer(void *ctx, const unsigned char *p, size_t n)
{
	struct tls *t = ctx;

	buf_add(&t->out, p, n);
	return t->out.bad ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)n;
}

static void remember_last(struct tls *t, const uint8_t *p, size_t n)
{
	size_t keep = n < sizeof t->last ? n : sizeof t->last;

	memmove(t->last, t->last + keep, sizeof t->last - keep);
	memcpy(t->last + sizeof t->last - keep, p + n - keep, keep);
}

static int recv_from_buffer(void *ctx, unsigned char *p, size_t n)
{
	struct tls *t = ctx;
	size_t left = t->in.len - t->in_at;

	if (left == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	n = n < left ? n : left;
	memcpy(p, t->in.p + t->in_at, n);
	remember_last(t, p, n);
	t->in_at += n;
	if (t->in_at == t->in.len) { /* idle connections are many: they keep no buffer */
		buf_free(&t->in);
		t->in_at = 0;
	}
	return (int)n;
}

/* mbedTLS checks no name for NULL, and then on_certificate() alone decides: so for IP addresses,
 * which also must not be sent as a server name (RFC 6066 3). */
static int set_up_session(struct tls *t)
{
	int e = mbedtls_ssl_setup(&t->ssl, &t->conf->ssl);

	if (e == 0)
		e = mbedtls_ssl_set_hostname(&t->ssl, t->name.ip_len != 0 ? NULL : t->name.text);
	mbedtls_ssl_set_verify(&t->ssl, on_certificate, t);
	mbedtls_ssl_set_bio(&t->ssl, t, send_to_buffer, recv_from_buffer, NULL);
	return e;
}

struct tls *tls_new(struct tls_conf *c, const char *name, uint64_t now_ms)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL || !parse_name(name, &t->name)) {
		free(t);
		return NULL;
	}
	t->conf = tls_conf_ref(c);
	buf_init(&t->in, TLS_MAX_UNREAD);
	buf_init(&t->out, TLS_MAX_UNSENT);
	mbedtls_ssl_init(&t->ssl);
	if (set_up_session(t) != 0) {
		tls_free(t);
		return NULL;
	}
	t->made_ms = now_ms;
	offer_ticket(t);
	return t;
}

void tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	/* Whatever the reason, the next one is a full one.  In TLS 1.3 a server can refuse what was
	 * resumed when the handshake is over for us. */
	if (t->offered && !t->heard)
		drop_ticket(t->conf);
	mbedtls_ssl_free(&t->ssl);
	buf_free(&t->in);
	buf_free(&t->out);
	tls_conf_unref(t->conf);
	mbedtls_platform_zeroize(t, sizeof *t);
	free(t);
}

int tls_feed(struct tls *t, const void *p, size_t n)
{
	const char *bytes = p;

	for (size_t i = 0; i < n && t->n_first < sizeof t->first; i++)
		t->first[t->n_first++] = bytes[i];
	buf_drop(&t->in, t->in_at);
	t->in_at = 0;
	buf_add(&t->in, p, n);
	return t->in.bad ? -ENOMEM : 0;
}

void tls_feed_eof(struct tls *t)
{
	t->eof = true;
}

size_t tls_pending(struct tls *t, const void **ret_p)
{
	*ret_p = t->out.p;
	return t->out.len;
}

void tls_sent(struct tls *t, size_t n)
{
	buf_drop(&t->out, n);
	if (t->out.len == 0)
		buf_free(&t->out);
}

/* Not an error: input is wanted, or a TLS 1.3 session ticket came. */
static bool is_try_again(struct tls *t, int e)
{
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
	if (e == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
		keep_ticket(t);
		return true;
	}
#endif
	(void)t;
	return e == MBEDTLS_ERR_SSL_WANT_READ || e == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static bool has_input(const struct tls *t)
{
	return t->in.len > t->in_at;
}

/* Has the server shown who it is?  Belt and braces: mbedTLS would have failed before. */
static bool is_verified(const struct tls *t)
{
	return (t->seen ? t->named : t->offered) && mbedtls_ssl_get_verify_result(&t->ssl) == 0;
}

static int handshake_over(struct tls *t)
{
	if (!is_verified(t))
		return fail(t, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
	t->established = true;
	if (t->seen)
		t->verified_ms = t->made_ms;
	if (strcmp(tls_version(t), "TLSv1.2") == 0)
		keep_ticket(t);
	return 1;
}

int tls_handshake(struct tls *t)
{
	bool again;
	int e;

	if (t->failed != 0)
		return t->failed;
	if (t->established)
		return 1;
	do {
		e = mbedtls_ssl_handshake(&t->ssl);
		again = is_try_again(t, e);
	} while (again && has_input(t));
	if (again) {
		if (!t->eof)
			return 0;
		(void)snprintf(t->error, sizeof t->error,
			"server closed the connection during the TLS handshake");
		t->failed = -EPROTO;
		return t->failed;
	}
	return e != 0 ? fail(t, e) : handshake_over(t);
}

long tls_read(struct tls *t, void *p, size_t n)
{
	bool again;
	int e;

	REQUIRE(t->established && n > 0);
	if (t->failed != 0)
		return t->failed;
	do {
		e = mbedtls_ssl_read(&t->ssl, p, n);
		again = is_try_again(t, e);
	} while (again && has_input(t));
	if (e > 0) {
		t->heard = true;
		return e;
	}
	if (e == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
		t->failed = -ENODATA;
		return t->failed;
	}
	if (e != 0 && !again)
		return fail(t, e);
	if (!t->eof)
		return 0;
	(void)snprintf(t->error, sizeof t->error,
		"server closed the connection without ending the TLS session");
	t->failed = -ECONNRESET;
	return t->failed;
}

int tls_write(struct tls *t, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	REQUIRE(t->established);
	if (t->failed != 0)
		return t->failed == -ENODATA ? -EPROTO : t->failed;
	for (size_t at = 0; at < n;) {
		int e = mbedtls_ssl_write(&t->ssl, bytes + at, n - at);

		if (t->out.bad) {
			(void)snprintf(t->error, sizeof t->error, "out of memory");
			t->failed = -ENOMEM;
			return t->failed;
		}
		if (e <= 0)
			return fail(t, e);
		at += (size_t)e;
	}
	return 0;
}

void tls_close(struct tls *t)
{
	if (t->established && (t->failed == 0 || t->failed == -ENODATA))
		(void)mbedtls_ssl_close_notify(&t->ssl);
}
