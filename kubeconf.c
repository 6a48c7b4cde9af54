/* SPDX-License-Identifier: Apache-2.0
 *
 * kubeconf.c - a kubeconfig's chosen context, read field by field.
 *
 * Owns: nothing between calls.
 * In:   the text; doc.c gives the tree with its marks.
 * Out:  struct kubeconf, or one sentence that names the place.
 * Sources: client-go tools/clientcmd/api/v1 (fields), clientcmd/client_config.go (what wins);
 *       RFC 3986 3 (server URL), RFC 4648 4 (base64, padded, no stray characters but line ends).
 * Not done: what the refusals below name; merging several files.
 */
#include "kubeconf.h"

#include "doc.h"
#include "json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mbedtls/platform_util.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PLACE = 96, MAX_HOST = 253 };

/* One reading of one text. */
struct reading {
	struct doc *doc; /* owned */
	const char *dir; /* borrowed, may be NULL */
	struct kubeconf k;
	int result; /* the first fault; all that follows is skipped */
	char *err;
	size_t err_len;
};

/* A map of the text, with the name that errors call it by. */
struct place {
	const cJSON *map; /* NULL = absent */
	char name[MAX_PLACE];
};

/* -- errors -- */

static void fail(struct reading *r, const cJSON *at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* at: the node to point to; NULL = no place. */
static void fail(struct reading *r, const cJSON *at, const char *fmt, ...)
{
	const struct doc_mark m = doc_mark(r->doc, at);
	va_list ap;
	int n = 0;

	if (r->result != 0)
		return;
	r->result = -EINVAL;
	if (r->err_len == 0)
		return;
	if (m.line != 0)
		n = snprintf(r->err, r->err_len, "%u:%u: ", m.line, m.column);
	if (n < 0 || (size_t)n >= r->err_len)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(r->err + n, r->err_len - (size_t)n, fmt, ap);
	va_end(ap);
}

static void fail_nomem(struct reading *r)
{
	if (r->result != 0)
		return;
	r->result = -ENOMEM;
	if (r->err_len > 0)
		(void)snprintf(r->err, r->err_len, "out of memory");
}

/* -- fields -- */

/* The string p.key, or NULL when it is absent, null or empty (client-go makes no difference). */
static const char *get_string(struct reading *r, const struct place *p, const char *key)
{
	const cJSON *v = json_get(p->map, key);

	if (v == NULL || cJSON_IsNull(v))
		return NULL;
	if (!cJSON_IsString(v)) {
		fail(r, v, "%s.%s: expected a string", p->name, key);
		return NULL;
	}
	return v->valuestring[0] != '\0' ? v->valuestring : NULL;
}

static char *copy(struct reading *r, const char *s)
{
	char *c = s != NULL ? strdup(s) : NULL;

	if (s != NULL && c == NULL)
		fail_nomem(r);
	return c;
}

static char *copy_string(struct reading *r, const struct place *p, const char *key)
{
	return copy(r, get_string(r, p, key));
}

/* A file name: relative to the kubeconfig's folder. */
static char *copy_path(struct reading *r, const struct place *p, const char *key)
{
	const char *s = get_string(r, p, key);
	size_t n;
	char *c;

	if (s == NULL || s[0] == '/' || r->dir == NULL)
		return copy(r, s);
	n = strlen(r->dir) + 1 + strlen(s) + 1;
	c = malloc(n);
	if (c == NULL)
		fail_nomem(r);
	else
		(void)snprintf(c, n, "%s/%s", r->dir, s);
	return c;
}

/* -- base64, RFC 4648 4 -- */

static int digit64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Padded, line ends skipped, bits that are cut off zero, no NUL in the result (it becomes PEM
 * text).  The result, or NULL with *ret_bad: malformed, else out of memory. */
static char *decode64(const char *s, bool *ret_bad)
{
	char *out = malloc(strlen(s) / 4 * 3 + 4);
	size_t n = 0, digits = 0, pads = 0;
	uint32_t bits = 0;

	*ret_bad = false;
	if (out == NULL)
		return NULL;
	for (; *s != '\0' && !*ret_bad; s++) {
		int d = digit64(*s);

		if (*s == '\n' || *s == '\r')
			continue;
		if (*s == '=' && digits % 4 >= 2 && pads < 4 - digits % 4) {
			pads++;
			continue;
		}
		*ret_bad = d < 0 || pads > 0;
		bits = bits << 6 | (uint32_t)d;
		if (++digits % 4 != 1) { /* another byte is whole */
			unsigned spare = 6 - 2 * (unsigned)((digits - 1) % 4);

			out[n] = (char)(bits >> spare & 0xff);
			*ret_bad = *ret_bad || out[n++] == '\0';
		}
	}
	if ((digits + pads) % 4 != 0)
		*ret_bad = true;
	if (pads > 0 && (bits & ((1u << 2 * pads) - 1)) != 0)
		*ret_bad = true;
	out[n] = '\0';
	if (!*ret_bad)
		return out;
	mbedtls_platform_zeroize(out, n);
	free(out);
	return NULL;
}

static char *copy_data(struct reading *r, const struct place *p, const char *key)
{
	const char *s = get_string(r, p, key);
	bool bad;
	char *c;

	if (s == NULL)
		return NULL;
	c = decode64(s, &bad);
	if (c == NULL && bad)
		fail(r, json_get(p->map, key), "%s.%s: expected base64 of PEM text", p->name, key);
	else if (c == NULL)
		fail_nomem(r);
	return c;
}

/* key-data, else key as a file name. */
static void read_secret(
	struct reading *r, const struct place *p, const char *key, char **ret_data, char **ret_file)
{
	char data_key[64];

	(void)snprintf(data_key, sizeof data_key, "%s-data", key);
	*ret_data = copy_data(r, p, data_key);
	if (*ret_data == NULL)
		*ret_file = copy_path(r, p, key);
}

/* -- the lists of named things -- */

/* The entry of list whose name is name: its member, as a place. */
static struct place find_named(
	struct reading *r, const char *list, const char *member, const char *name)
{
	const cJSON *root = doc_root(r->doc, 0);
	const cJSON *all = json_get(root, list), *e;
	struct place p = {.map = NULL};
	unsigned i = 0;

	if (all != NULL && !cJSON_IsNull(all) && !cJSON_IsArray(all))
		fail(r, all, "%s: expected a list", list);
	cJSON_ArrayForEach (e, json_array(root, list)) {
		const char *n = json_string(e, "name");

		(void)snprintf(p.name, sizeof p.name, "%s[%u].%s", list, i++, member);
		if (n == NULL || strcmp(n, name) != 0)
			continue;
		p.map = json_object(e, member);
		if (p.map == NULL)
			fail(r, e, "%s: expected a map", p.name);
		return p;
	}
	fail(r, all, "%s: none is named \"%.64s\"", list, name);
	return p;
}

/* -- cluster -- */

static bool is_host_name(const char *s, size_t n)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";

	if (n == 0 || n > MAX_HOST || s[0] == '-' || s[0] == '.')
		return false;
	return strspn(s, plain) >= n;
}

/* "host", "host:port", "[v6]", "[v6]:port": true with its two parts. */
static bool split_authority(
	const char *s, size_t n, const char **ret_host, size_t *ret_host_len, size_t *ret_used)
{
	const char *close = memchr(s, ']', n);
	struct in6_addr v6;
	char text[INET6_ADDRSTRLEN];
	size_t len;

	if (n > 0 && s[0] == '[') {
		if (close == NULL)
			return false;
		len = (size_t)(close - s) - 1;
		if (len >= sizeof text)
			return false;
		memcpy(text, s + 1, len);
		text[len] = '\0';
		*ret_host = s + 1;
		*ret_host_len = len;
		*ret_used = len + 2;
		return inet_pton(AF_INET6, text, &v6) == 1;
	}
	for (len = 0; len < n && s[len] != ':'; len++)
		;
	*ret_host = s;
	*ret_host_len = *ret_used = len;
	return is_host_name(s, len);
}

/* ":1234" or "" (then fallback). */
static bool read_port(const char *s, size_t n, uint16_t fallback, uint16_t *ret_port)
{
	unsigned v = 0;

	*ret_port = fallback;
	if (n == 0)
		return true;
	if (s[0] != ':' || n < 2 || n > 6)
		return false;
	for (size_t i = 1; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	*ret_port = (uint16_t)v;
	return v > 0 && v <= UINT16_MAX;
}

/* "" or "/k8s/clusters/c-1", trailing slashes cut. */
static bool read_prefix(const char *s, size_t *ret_len)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~' || strchr("?#\"<>\\^`{|}", s[i]) != NULL)
			return false;
	while (n > 0 && s[n - 1] == '/')
		n--;
	*ret_len = n;
	return true;
}

static void read_server(struct reading *r, const struct place *p)
{
	static const char form[] = "expected https://HOST[:PORT][/PATH]";
	const char *url = get_string(r, p, "server"), *s = url, *host;
	const cJSON *at = json_get(p->map, "server");
	size_t n, host_len, used, prefix_len;

	if (url == NULL) {
		fail(r, p->map, "%s.server: missing: %s", p->name, form);
		return;
	}
	r->k.tls = strncmp(url, "https://", 8) == 0;
	if (!r->k.tls && strncmp(url, "http://", 7) != 0) {
		fail(r, at, "%s.server: %s", p->name, form);
		return;
	}
	s += r->k.tls ? 8 : 7;
	n = strcspn(s, "/");
	if (!split_authority(s, n, &host, &host_len, &used) ||
		!read_port(s + used, n - used, r->k.tls ? 443 : 80, &r->k.port) ||
		!read_prefix(s + n, &prefix_len)) {
		fail(r, at, "%s.server: %s", p->name, form);
		return;
	}
	r->k.host = strndup(host, host_len);
	r->k.path_prefix = strndup(s + n, prefix_len);
	if (r->k.host == NULL || r->k.path_prefix == NULL)
		fail_nomem(r);
}

static void refuse(struct reading *r, const struct place *p, const char *key, const char *instead)
{
	const cJSON *v = json_get(p->map, key);

	if (v == NULL || cJSON_IsNull(v) || cJSON_IsFalse(v) ||
		(cJSON_IsString(v) && v->valuestring[0] == '\0') ||
		(cJSON_IsArray(v) && cJSON_GetArraySize(v) == 0) ||
		(cJSON_IsObject(v) && cJSON_GetArraySize(v) == 0))
		return;
	fail(r, v, "%s.%s: not supported: %s", p->name, key, instead);
}

static void read_cluster(struct reading *r, const struct place *p)
{
	struct kubeconf *k = &r->k;

	refuse(r, p, "insecure-skip-tls-verify",
		"lbd always verifies the server; give certificate-authority-data");
	refuse(r, p, "proxy-url", "lbd connects directly");
	read_server(r, p);
	k->tls_server_name = copy_string(r, p, "tls-server-name");
	read_secret(r, p, "certificate-authority", &k->ca_data, &k->ca_file);
	if (k->tls && k->ca_data == NULL && k->ca_file == NULL)
		fail(r, p->map,
			"%s.certificate-authority-data: missing: the server is verified by nothing "
			"else",
			p->name);
}

/* -- user -- */

/* A token goes into a header line as it is. */
static bool is_token(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static void read_user(struct reading *r, const struct place *p)
{
	static const char use_instead[] = "use a token, tokenFile or client certificate";
	struct kubeconf *k = &r->k;
	static const char *const as[] = {"as", "as-uid", "as-groups", "as-user-extra"};

	refuse(r, p, "exec", use_instead);
	refuse(r, p, "auth-provider", use_instead);
	refuse(r, p, "username", use_instead);
	refuse(r, p, "password", use_instead);
	for (size_t i = 0; i < ARRAY_LEN(as); i++)
		refuse(r, p, as[i], "lbd does not impersonate");
	read_secret(r, p, "client-certificate", &k->cert_data, &k->cert_file);
	read_secret(r, p, "client-key", &k->key_data, &k->key_file);
	if ((k->cert_data != NULL || k->cert_file != NULL) !=
		(k->key_data != NULL || k->key_file != NULL))
		fail(r, p->map, "%s: client-certificate and client-key go together", p->name);
	k->token_file = copy_path(r, p, "tokenFile");
	k->token = copy_string(r, p, "token");
	if (k->token != NULL && !is_token(k->token))
		fail(r, json_get(p->map, "token"), "%s.token: expected printable characters",
			p->name);
}

/* -- all of it -- */

static void read_kind(struct reading *r)
{
	struct place root = {.name = "kubeconfig"};
	const char *kind, *version;

	if (doc_count(r->doc) != 1 || !cJSON_IsObject(doc_root(r->doc, 0))) {
		fail(r, NULL, "expected one kubeconfig");
		return;
	}
	root.map = doc_root(r->doc, 0);
	kind = get_string(r, &root, "kind");
	version = get_string(r, &root, "apiVersion");
	if (kind != NULL && strcmp(kind, "Config") != 0)
		fail(r, json_get(root.map, "kind"), "kind: expected Config");
	if (version != NULL && strcmp(version, "v1") != 0)
		fail(r, json_get(root.map, "apiVersion"), "apiVersion: expected v1");
}

static void read_context(struct reading *r, const char *name)
{
	const struct place root = {.map = doc_root(r->doc, 0), .name = "kubeconfig"};
	struct place context, p;
	const char *cluster, *user;

	if (name == NULL)
		name = get_string(r, &root, "current-context");
	if (name == NULL) {
		fail(r, NULL, "current-context: missing, and no --context is given");
		return;
	}
	r->k.context = copy(r, name);
	context = find_named(r, "contexts", "context", name);
	cluster = get_string(r, &context, "cluster");
	user = get_string(r, &context, "user");
	r->k.namespace_ = copy_string(r, &context, "namespace");
	if (cluster == NULL) {
		fail(r, context.map, "%s.cluster: missing", context.name);
		return;
	}
	p = find_named(r, "clusters", "cluster", cluster);
	read_cluster(r, &p);
	if (user == NULL) /* a server that asks for no credentials */
		return;
	p = find_named(r, "users", "user", user);
	read_user(r, &p);
}

static void parse_text(struct reading *r, const char *text, size_t len)
{
	static const struct doc_limits limits = {
		.max_bytes = KUBECONF_MAX_BYTES,
		.max_nodes = KUBECONF_MAX_NODES,
		.max_depth = KUBECONF_MAX_DEPTH,
	};
	struct doc_error e = {0};

	r->result = doc_parse(text, len, &limits, &r->doc, &e);
	if (r->result == -EINVAL && r->err_len > 0)
		(void)snprintf(r->err, r->err_len, "%u:%u: %s", e.mark.line, e.mark.column, e.text);
	else if (r->result != 0 && r->err_len > 0)
		(void)snprintf(r->err, r->err_len, "out of memory");
}

int kubeconf_parse(const char *text, size_t len, const char *context, const char *dir,
	struct kubeconf *ret_k, char *err, size_t err_len)
{
	struct reading r = {.dir = dir, .err = err, .err_len = err_len};

	parse_text(&r, text, len);
	if (r.result == 0)
		read_kind(&r);
	if (r.result == 0)
		read_context(&r, context);
	doc_free(r.doc);
	if (r.result == 0)
		*ret_k = r.k;
	else
		kubeconf_free(&r.k);
	return r.result;
}

static void free_secret(char *s)
{
	if (s != NULL)
		mbedtls_platform_zeroize(s, strlen(s));
	free(s);
}

void kubeconf_free(struct kubeconf *k)
{
	if (k == NULL)
		return;
	free(k->context);
	free(k->host);
	free(k->path_prefix);
	free(k->tls_server_name);
	free(k->ca_data);
	free(k->ca_file);
	free(k->cert_data);
	free(k->cert_file);
	free_secret(k->key_data);
	free(k->key_file);
	free_secret(k->token);
	free(k->token_file);
	free(k->namespace_);
	*k = (struct kubeconf){0};
}
