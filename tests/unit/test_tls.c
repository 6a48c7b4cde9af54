/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tls.c - whom a certificate's extensions name, and the life of a configuration and a session.
 * Handshakes, certificates and damage on the way are tested by tests/lab/test_tls.py.
 */
#include "tls.h"

#include "bytes.h"

#include "check.h"
#include "some_ca.h"

#include <errno.h>

enum { DNS = 0x82, URI = 0x86, IP = 0x87 };

struct general_name {
	uint8_t tag;
	const char *bytes;
	size_t n;
};

/* tag, length, contents; the length in its shortest form, or in the one of that many bytes. */
static void put(struct wr *w, uint8_t tag, const void *p, size_t n, unsigned form)
{
	wr_u8(w, tag);
	if (form == 2 || n > 255) {
		wr_u8(w, 0x82);
		wr_be16(w, (uint16_t)n);
	} else if (form == 1 || n > 127) {
		wr_u8(w, 0x81);
		wr_u8(w, (uint8_t)n);
	} else {
		wr_u8(w, (uint8_t)n);
	}
	wr_bytes(w, p, n);
}

struct shape {
	bool critical;      /* BOOLEAN in the extension */
	bool other_first;   /* an extension of another kind before it */
	bool absent;        /* no subjectAltName */
	unsigned form;      /* of lengths */
	const char *behind; /* bytes behind the GeneralNames, inside the OCTET STRING */
};

/* Extensions with one subjectAltName; returns the length. */
static size_t build(
	uint8_t out[2000], const struct general_name *names, size_t n, const struct shape *shape)
{
	static const uint8_t san[] = {0x55, 0x1d, 0x11}, usage[] = {0x55, 0x1d, 0x0f}, yes = 0xff;
	uint8_t a[1000], b[1100], c[1200], d[1300], e[1500];
	struct wr wa = wr_init(a, sizeof a), wb = wr_init(b, sizeof b), wc = wr_init(c, sizeof c),
		  wd = wr_init(d, sizeof d), we = wr_init(e, sizeof e), w = wr_init(out, 2000);

	for (size_t i = 0; i < n; i++)
		put(&wa, names[i].tag, names[i].bytes, names[i].n, shape->form);
	put(&wb, 0x30, a, wr_len(&wa), shape->form);
	if (shape->behind != NULL)
		wr_bytes(&wb, shape->behind, strlen(shape->behind));
	put(&wc, 0x06, shape->absent ? usage : san, sizeof san, shape->form);
	if (shape->critical)
		put(&wc, 0x01, &yes, 1, shape->form);
	put(&wc, 0x04, b, wr_len(&wb), shape->form);
	if (shape->other_first) {
		put(&wd, 0x06, usage, sizeof usage, shape->form);
		put(&wd, 0x04, "\x03\x02\x05\xa0", 4, shape->form);
		put(&we, 0x30, d, wr_len(&wd), shape->form);
	}
	put(&we, 0x30, c, wr_len(&wc), shape->form);
	put(&w, 0x30, e, wr_len(&we), shape->form);
	return wr_len(&w);
}

static bool names(const uint8_t *der, size_t n, const char *name)
{
	uint8_t *p = check_guard(der, n);
	bool found = tls_extensions_name(p, n, name);

	check_unguard(p, n);
	return found;
}

#define GENERAL(tag, text)                                                                         \
	{                                                                                          \
		tag, text, sizeof(text) - 1                                                        \
	}

static void test_tls_names(void)
{
	static const struct {
		const char *name, *want;
		struct general_name one;
		bool found;
	} rows[] = {
		{"dns", "api.test", GENERAL(DNS, "api.test"), true},
		{"dns in another case", "API.test", GENERAL(DNS, "api.TEST"), true},
		{"dns with the root's dot", "api.test.", GENERAL(DNS, "api.test"), true},
		{"dns longer", "api.test", GENERAL(DNS, "api.test.org"), false},
		{"dns shorter", "api.test", GENERAL(DNS, "api.tes"), false},
		{"dns behind NUL", "api.test", GENERAL(DNS, "api.test\0.evil"), false},
		{"dns empty", "api.test", GENERAL(DNS, ""), false},
		{"name empty", "", GENERAL(DNS, ""), false},
		{"name is the root", ".", GENERAL(DNS, ""), false},
		{"wildcard", "api.kube.test", GENERAL(DNS, "*.kube.test"), true},
		{"wildcard, none", "kube.test", GENERAL(DNS, "*.kube.test"), false},
		{"wildcard, empty", ".kube.test", GENERAL(DNS, "*.kube.test"), false},
		{"wildcard, two", "a.b.kube.test", GENERAL(DNS, "*.kube.test"), false},
		{"wildcard of all", "test", GENERAL(DNS, "*"), false},
		{"wildcard of a top domain", "kube.test", GENERAL(DNS, "*.test"), false},
		{"wildcard in a label", "api.kube.test", GENERAL(DNS, "a*.kube.test"), false},
		{"wildcard behind", "api.kube.test", GENERAL(DNS, "api.*.test"), false},
		{"wildcard twice", "a.b.test", GENERAL(DNS, "*.*.test"), false},
		{"wildcard asked for", "*.kube.test", GENERAL(DNS, "*.kube.test"), true},
		{"uri", "api.test", GENERAL(URI, "api.test"), false},
		{"ip4", "10.0.0.1", GENERAL(IP, "\x0a\x00\x00\x01"), true},
		{"ip4 with a dot", "10.0.0.1.", GENERAL(IP, "\x0a\x00\x00\x01"), true},
		{"ip4 other", "10.0.0.2", GENERAL(IP, "\x0a\x00\x00\x01"), false},
		{"ip4 with mask", "10.0.0.1", GENERAL(IP, "\x0a\x00\x00\x01\xff\xff\xff\xff"),
			false},
		{"ip4 short", "10.0.0.1", GENERAL(IP, "\x0a\x00\x00"), false},
		{"ip4 as text", "10.0.0.1", GENERAL(IP, "10.0.0.1"), false},
		{"ip4 as dns", "10.0.0.1", GENERAL(DNS, "10.0.0.1"), false},
		{"ip4 as wildcard", "10.0.0.1", GENERAL(DNS, "*.0.0.1"), false},
		{"ip4 as dns bytes", "10.0.0.1", GENERAL(DNS, "\x0a\x00\x00\x01"), false},
		{"ip4 mapped", "10.0.0.1",
			GENERAL(IP, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01"), false},
		{"ip6", "::1", GENERAL(IP, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"), true},
		{"ip6 other", "::2", GENERAL(IP, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"), false},
		{"ip6 against ip4", "::a00:1", GENERAL(IP, "\x0a\x00\x00\x01"), false},
		{"dns against ip", "abcd", GENERAL(IP, "abcd"), false},
	};
	static const struct shape shapes[] = {{0}, {.critical = true}, {.other_first = true},
		{.form = 1}, {.form = 2, .critical = true, .other_first = true}};
	uint8_t der[2000];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row = rows[i].name;
		for (size_t k = 0; k < ARRAY_LEN(shapes); k++) {
			size_t n = build(der, &rows[i].one, 1, &shapes[k]);

			CHECK(names(der, n, rows[i].want) == rows[i].found);
		}
	}
}

static void test_tls_names_many(void)
{
	static const struct general_name many[] = {GENERAL(DNS, "a.test"), GENERAL(URI, "b.test"),
		GENERAL(IP, "\x0a\x00\x00\x01"), GENERAL(DNS, "c.test")};
	uint8_t der[2000];
	size_t n = build(der, many, ARRAY_LEN(many), &(struct shape){0});

	CHECK(names(der, n, "a.test"));
	CHECK(!names(der, n, "b.test"));
	CHECK(names(der, n, "10.0.0.1"));
	CHECK(names(der, n, "c.test"));
	n = build(der, many, 0, &(struct shape){0});
	CHECK(!names(der, n, "a.test"));
	n = build(der, many, ARRAY_LEN(many), &(struct shape){.absent = true});
	CHECK(!names(der, n, "a.test"));
}

/* One byte short, one too many, and lengths that are none. */
static void test_tls_names_malformed(void)
{
	static const struct general_name one = GENERAL(DNS, "a.test");
	uint8_t der[2000];
	size_t n = build(der, &one, 1, &(struct shape){.critical = true, .other_first = true});

	CHECK(names(der, n, "a.test"));
	for (size_t cut = 0; cut < n; cut++)
		CHECK(!names(der, cut, "a.test"));
	der[n] = 0;
	CHECK(!names(der, n + 1, "a.test"));
	n = build(der, &one, 1, &(struct shape){.behind = "x"});
	CHECK(!names(der, n, "a.test"));
	n = build(der, &one, 1, &(struct shape){0});
	for (unsigned length = 0x80; length <= 0xff; length++) {
		der[1] = (uint8_t)length;
		CHECK(!names(der, n, "a.test"));
	}
	for (size_t at = 0; at < n; at++) {
		n = build(der, &one, 1, &(struct shape){0});
		der[at] ^= 0x40;
		CHECK(!names(der, n, "a.test"));
	}
}

static void test_tls_conf_refused(void)
{
	static const struct {
		const char *name;
		struct tls_files files;
		const char *err;
	} rows[] = {
		{"no CA", {0}, "no CA certificate"},
		{"CA empty", {.ca = ""}, "CA certificate cannot be read"},
		{"CA is text", {.ca = "hello"}, "CA certificate cannot be read"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls_conf *c = NULL;
		char err[100] = "";

		check_row = rows[i].name;
		CHECK_INT(tls_conf_new(&rows[i].files, &c, err, sizeof err), -EINVAL);
		CHECK(c == NULL);
		CHECK(strstr(err, rows[i].err) != NULL);
	}
	tls_conf_unref(NULL);
	tls_free(NULL);
}

/* A session without a server: it says hello, and nothing that it hears brings it further. */
static void test_tls_session(void)
{
	static const struct {
		const char *name, *in, *err;
		size_t n;
		bool eof;
	} rows[] = {
		{"silence", "", "", 0, false},
		{"closed", "", "closed the connection during the TLS handshake", 0, true},
		{"half a header", "\x16\x03", "", 2, false},
		{"http", "HTTP/1.1 400 Bad Request\r\n", "plain HTTP", 26, false},
		{"ssh", "SSH-2.0-OpenSSH\r\n", "does not speak TLS", 17, false},
		{"alert: no such version", "\x15\x03\x01\x00\x02\x02\x46", "TLS 1.2", 7, false},
		{"alert: wants a certificate", "\x15\x03\x03\x00\x02\x02\x74",
			"wants a client certificate", 7, false},
		{"alert: internal error", "\x15\x03\x03\x00\x02\x02\x50", "alert 80", 7, false},
	};
	struct tls_conf *c = NULL;
	char err[100];

	CHECK_INT(tls_conf_new(&(struct tls_files){.ca = some_ca}, &c, err, sizeof err), 0);
	CHECK(tls_new(c, "", 0) == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls *t = tls_new(c, "127.0.0.1", 0);
		const void *hello;

		check_row = rows[i].name;
		CHECK_INT(tls_handshake(t), 0);
		CHECK(tls_pending(t, &hello) > 40);
		CHECK(memcmp(hello, "\x16\x03", 2) == 0);
		tls_sent(t, tls_pending(t, &hello));
		CHECK_INT(tls_pending(t, &hello), 0);
		CHECK_INT(tls_feed(t, rows[i].in, rows[i].n), 0);
		if (rows[i].eof)
			tls_feed_eof(t);
		CHECK_INT(tls_handshake(t), rows[i].err[0] == '\0' ? 0 : -EPROTO);
		CHECK(strstr(tls_error(t), rows[i].err) != NULL);
		CHECK((rows[i].err[0] == '\0') == (tls_error(t)[0] == '\0'));
		if (rows[i].err[0] != '\0')
			CHECK_INT(tls_handshake(t), -EPROTO);
		tls_close(t);
		tls_free(t);
	}
	tls_conf_unref(c);
}

static void test_tls_unread_limit(void)
{
	static const char much[TLS_MAX_UNREAD];
	struct tls_conf *c = NULL;
	struct tls *t;
	char err[100];

	CHECK_INT(tls_conf_new(&(struct tls_files){.ca = some_ca}, &c, err, sizeof err), 0);
	t = tls_new(c, "a.test", 0);
	tls_conf_unref(c); /* the session keeps it */
	CHECK_INT(tls_feed(t, much, sizeof much), 0);
	CHECK_INT(tls_feed(t, much, 1), -ENOMEM);
	tls_free(t);
}

CHECK_MAIN("test_tls", CHECK_TEST(test_tls_names), CHECK_TEST(test_tls_names_many),
	CHECK_TEST(test_tls_names_malformed), CHECK_TEST(test_tls_conf_refused),
	CHECK_TEST(test_tls_session), CHECK_TEST(test_tls_unread_limit))
