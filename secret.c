/* SPDX-License-Identifier: Apache-2.0
 *
 * secret.c - what stands in Secrets: passwords of BGP peers (passwordSecret), and the nodes' common
 * BFD key (elections.bfd.keySecret).
 *
 * Owns: one record for each Secret that the configuration in force names; its password, wiped when
 *       it goes.  Nothing of it is ever logged or shown.
 * In:   the configuration; answers.  Out: GETs of those Secrets alone, again each SECRET_AGAIN_MS:
 *       that needs no right to list or watch; the BFD key's file, which bfdio.c follows, so that a
 *       node that starts without the API has the key.
 * Source: MetalLB's internal/config (type kubernetes.io/basic-auth, key password).
 */
#include "bfdkey.h"
#include "daemon.h"
#include "file.h"
#include "json.h"
#include "log.h"

#include <mbedtls/base64.h>

#include <stdio.h>
#include <string.h>

enum {
	MAX_SECRETS = 64,
	MAX_PASSWORD = 80, /* RFC 2385 4.5 */
	MAX_KEY_TEXT = 2048,
	SECRET_AGAIN_MS = 60 * 1000,
	SECRET_RETRY_MS = 5000,
};

enum state { STATE_NOT_READ, STATE_READ, STATE_MISSING, STATE_WRONG };

struct secret {
	struct secrets *all;     /* borrowed */
	char *namespace_, *name; /* owned */
	char *password;          /* owned; NULL = not known */
	enum state state;
	bool is_key; /* the BFD key, not a password */
	bool wanted, under_way;
	bool refused_said;
	uint64_t due_ms;
};

struct secrets {
	struct daemon *d;
	struct secret *v[MAX_SECRETS]; /* owned; kept while a request is under way */
	size_t n;
	char hash[17]; /* of the configuration whose Secrets these are */
};

static void wipe(char **s)
{
	if (*s != NULL)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static void free_secret(struct secret *x)
{
	wipe(&x->password);
	free(x->namespace_);
	free(x->name);
	free(x);
}

/* -- answers -- */

static const char *state_name(enum state state)
{
	switch (state) {
	case STATE_NOT_READ:
		return "not read";
	case STATE_READ:
		return "read";
	case STATE_MISSING:
		return "missing";
	case STATE_WRONG:
		return "wrong";
	}
	return "";
}

static void set_state(struct secret *x, enum state state, const char *why)
{
	if (x->state == state)
		return;
	x->state = state;
	if (state == STATE_READ)
		log_info("config", "a Secret was read", "namespace", x->namespace_, "name", x->name,
			NULL);
	else
		log_warn("config", "a Secret cannot be used", "namespace", x->namespace_, "name",
			x->name, "err", why, NULL);
}

/* How many bytes the value of that name has; 0: none, or more than max. */
static size_t value_of(const cJSON *secret, const char *name, unsigned char *out, size_t max)
{
	const char *text = json_string(json_object(secret, "data"), name);
	size_t n = 0;

	if (text == NULL ||
		mbedtls_base64_decode(out, max, &n, (const unsigned char *)text, strlen(text)) != 0)
		return 0;
	return n;
}

/* The password of a Secret; NULL with the reason. */
static char *password_of(const cJSON *secret, const char **ret_why)
{
	const char *type = json_string(secret, "type");
	unsigned char out[MAX_PASSWORD + 1];
	size_t n;
	char *copy = NULL;

	*ret_why = "its type is not kubernetes.io/basic-auth";
	if (type == NULL || strcmp(type, "kubernetes.io/basic-auth") != 0)
		return NULL;
	*ret_why = "it has no password of 1..80 bytes without NUL";
	n = value_of(secret, "password", out, MAX_PASSWORD);
	if (n > 0 && memchr(out, '\0', n) == NULL) {
		*ret_why = "out of memory";
		out[n] = '\0';
		copy = strdup((const char *)out);
	}
	explicit_bzero(out, sizeof out);
	return copy;
}

/* Is that what the file holds? */
static bool holds(const char *path, const void *p, size_t n)
{
	struct buf b;
	bool same;

	buf_init(&b, MAX_KEY_TEXT);
	same = file_read(path, &b) == 0 && b.len == n && memcmp(b.p, p, n) == 0;
	if (b.p != NULL)
		explicit_bzero(b.p, b.len);
	buf_free(&b);
	return same;
}

/* What gives no key leaves the file as it is: the key of before. */
static void take_key(struct secret *x, const cJSON *body)
{
	const char *path =
		x->all->d->conf->elections.bfd_key_file; /* NULL: a reload came between */
	unsigned char text[MAX_KEY_TEXT];
	struct bfd_key keys[BFD_MAX_KEYS];
	size_t n = value_of(body, "key", text, sizeof text), n_keys;
	enum bfdkey_error e = bfdkey_parse((const char *)text, n, keys, &n_keys);
	int err = 0;

	if (e == BFDKEY_OK && path != NULL && !holds(path, text, n))
		err = file_replace(path, text, n);
	set_state(x, e == BFDKEY_OK && err == 0 ? STATE_READ : STATE_WRONG,
		err != 0 ? strerror(-err) : bfdkey_error_text(e));
	explicit_bzero(text, sizeof text);
	explicit_bzero(keys, sizeof keys);
}

static void take(struct secret *x, const cJSON *body)
{
	const char *why;
	char *password;

	if (x->is_key) {
		take_key(x, body);
		return;
	}
	password = password_of(body, &why);
	if (x->password == NULL || password == NULL || strcmp(x->password, password) != 0)
		speaker_sync(x->all->d);
	wipe(&x->password);
	x->password = password;
	set_state(x, password != NULL ? STATE_READ : STATE_WRONG, why);
}

/* What cannot be asked leaves what is known. */
static void note_failure(struct secret *x, const struct kube_answer *a)
{
	if (!x->refused_said)
		log_warn("config", "a Secret cannot be read", "namespace", x->namespace_, "name",
			x->name, "err", a->err, NULL);
	x->refused_said = true;
}

static void on_answer(void *ctx, const struct kube_answer *a)
{
	struct secret *x = ctx;
	struct daemon *d;

	x->under_way = false;
	if (x->all == NULL) {
		free_secret(x);
		return;
	}
	d = x->all->d;
	x->due_ms = daemon_now_ms() + SECRET_AGAIN_MS;
	if (a->result == 0 && a->status == 200 && a->body != NULL) {
		take(x, a->body);
		x->refused_said = false;
	} else if (a->result == 0 && a->status == 404) {
		wipe(&x->password);
		speaker_sync(d);
		set_state(x, STATE_MISSING, "there is no such Secret");
	} else {
		note_failure(x, a);
		x->due_ms = daemon_now_ms() + SECRET_RETRY_MS;
	}
	daemon_mark(d);
}

static void ask(struct daemon *d, struct secret *x, uint64_t now_ms)
{
	char path[2 * CONFIG_MAX_NAME + 64];
	const struct kube_request r = {
		.verb = KUBE_GET, .path = path, .not_after_ms = TIME_NEVER, .is_secret = true};

	(void)snprintf(
		path, sizeof path, "/api/v1/namespaces/%s/secrets/%s", x->namespace_, x->name);
	x->due_ms = now_ms + SECRET_RETRY_MS;
	x->under_way = kube_request(d->kube, &r, on_answer, x) == 0;
}

/* -- which -- */

static const char *namespace_of(const struct daemon *d, const struct config_secret_ref *ref)
{
	return ref->namespace_ != NULL ? ref->namespace_ : d->conf->elections.namespace_;
}

static struct secret *find(
	const struct secrets *s, const char *namespace_, const char *name, bool is_key)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->is_key == is_key && strcmp(s->v[i]->namespace_, namespace_) == 0 &&
			strcmp(s->v[i]->name, name) == 0)
			return s->v[i];
	return NULL;
}

static void want(struct secrets *s, const char *namespace_, const char *name, bool is_key)
{
	struct secret *x = find(s, namespace_, name, is_key);

	if (x == NULL && s->n < MAX_SECRETS && (x = calloc(1, sizeof *x)) != NULL) {
		x->all = s;
		x->is_key = is_key;
		x->namespace_ = strdup(namespace_);
		x->name = strdup(name);
		if (x->namespace_ == NULL || x->name == NULL) {
			free_secret(x);
			return;
		}
		s->v[s->n++] = x;
	} else if (x == NULL) {
		log_warn("config", "a Secret is one too many", "name", name, NULL);
		return;
	}
	x->wanted = true;
}

static void drop(struct secret *x)
{
	x->all = NULL;
	if (!x->under_way)
		free_secret(x);
}

static void drop_unwanted(struct secrets *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i]->wanted)
			s->v[kept++] = s->v[i];
		else
			drop(s->v[i]);
	}
	s->n = kept;
}

static bool names_key(const struct daemon *d)
{
	return d->conf->elections.bfd_key_secret != NULL && d->dry == NULL;
}

static void choose(struct daemon *d, struct secrets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		s->v[i]->wanted = false;
		s->v[i]->due_ms = 0; /* a new configuration may mean a new Secret */
	}
	for (size_t i = 0; i < d->conf->n_peers; i++) {
		const struct config_secret_ref *ref = &d->conf->peers[i].password_secret;

		if (ref->name != NULL)
			want(s, namespace_of(d, ref), ref->name, false);
	}
	if (names_key(d))
		want(s, d->conf->elections.namespace_, d->conf->elections.bfd_key_secret, true);
	drop_unwanted(s);
	(void)snprintf(s->hash, sizeof s->hash, "%s", d->conf->hash);
}

/* -- for the daemon -- */

static bool names_any(const struct daemon *d)
{
	for (size_t i = 0; i < d->conf->n_peers; i++)
		if (d->conf->peers[i].password_secret.name != NULL)
			return true;
	return names_key(d);
}

void secret_run(struct daemon *d, uint64_t now_ms)
{
	struct secrets *s = d->secrets;

	if (d->kube == NULL || d->phase != DAEMON_RUNNING)
		return;
	if (s == NULL && names_any(d) && (s = calloc(1, sizeof *s)) != NULL) {
		s->d = d;
		d->secrets = s;
	}
	if (s == NULL)
		return;
	if (strcmp(s->hash, d->conf->hash) != 0)
		choose(d, s);
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i]->under_way && now_ms >= s->v[i]->due_ms)
			ask(d, s->v[i], now_ms);
}

uint64_t secret_next_deadline(const struct daemon *d)
{
	uint64_t next_ms = TIME_NEVER;

	for (size_t i = 0; d->secrets != NULL && i < d->secrets->n; i++)
		if (!d->secrets->v[i]->under_way)
			next_ms = time_min(next_ms, d->secrets->v[i]->due_ms);
	return d->phase == DAEMON_RUNNING ? next_ms : TIME_NEVER;
}

void secret_stop(struct daemon *d)
{
	for (size_t i = 0; d->secrets != NULL && i < d->secrets->n; i++)
		drop(d->secrets->v[i]);
	free(d->secrets);
	d->secrets = NULL;
}

static const struct secret *of_ref(const struct daemon *d, const struct config_secret_ref *ref)
{
	return d->secrets != NULL ? find(d->secrets, namespace_of(d, ref), ref->name, false) : NULL;
}

const char *secret_password(const struct daemon *d, const struct config_secret_ref *ref)
{
	const struct secret *x = of_ref(d, ref);

	return x != NULL ? x->password : NULL;
}

void secret_dump(const struct daemon *d, const struct config_peer *peer, cJSON *o)
{
	const struct secret *x;

	if (peer->password_secret.name == NULL)
		return;
	x = of_ref(d, &peer->password_secret);
	(void)cJSON_AddStringToObject(
		o, "passwordSecret", state_name(x != NULL ? x->state : STATE_NOT_READ));
}
