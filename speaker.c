/* SPDX-License-Identifier: Apache-2.0
 *
 * speaker.c - the BGP peers of this node: which there are by the configuration, what they are told,
 * BFD beside them, and how they are left.
 *
 * Owns: one record for each configured peer that selects this node, its connection (bgpio.h) and BFD
 *       session; the routes (routes.h).
 * In:   configuration, Node, interfaces, Secrets, dirty groups of VIPs; sessions that come and go.
 * Out:  Adj-RIBs-Out, by the pass; Events on the Node when a session comes up or goes down.
 *
 * A session begins when the picture is complete, and not before: its End-of-RIB says that all was
 * said (RFC 4724 2).
 */
#include "bgpconf.h"
#include "bgpio.h"
#include "bgplisten.h"
#include "daemon.h"
#include "log.h"
#include "radvio.h"
#include "routes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	/* RFC 8326: between GRACEFUL_SHUTDOWN and withdrawal routers find other ways. */
	SHUTDOWN_MS = 1000,
	RETRY_MS = 1000,
	FILE_AGAIN_MS = 60 * 1000,
	MAX_PASSWORD = 80, /* TCP_MD5SIG_MAXKEYLEN */
	MAX_FILE = 256,
};

enum leaving { STAYS, SHUTS_DOWN, WITHDRAWN };

struct peer {
	struct daemon *d; /* borrowed */
	char *name;       /* owned */
	const struct config_peer *conf; /* borrowed from the configuration in force; NULL: not in it */
	const char *why;  /* static: why there is no connection to be made; NULL = it is */
	struct addr remote;
	unsigned ifindex; /* of an unnumbered peer; else 0 */
	struct bgpio *io; /* owned; NULL = none */
	unsigned open;    /* of it and those that are closing */
	struct bgp_conf session;
	struct routes_peer told; /* as whom it was told last */
	bool all_due;            /* everything is to be told */
	bool is_up;
	bool keyed; /* the listening socket has its password */
	struct bfd_session *bfd; /* owned; NULL = none */
	bool bfd_up;
};

struct speaker {
	struct peer **v; /* owned */
	size_t n;
	struct radvio *radvio;       /* owned; NULL while no peer is unnumbered */
	struct bgplisten *bgplisten; /* owned; NULL while no peer is passive */
	struct bfdio *bfdio; /* owned; NULL = that between nodes will do: it is at BFD's port */
	struct routes *routes; /* owned */
	bool built;            /* the routes are complete */
	bool sync_due;
	uint64_t file_ms;  /* when passwords' files are read again; TIME_NEVER */
	uint64_t retry_ms; /* TIME_NEVER */
	uint64_t nodes_generation;
	enum leaving leaving;
	bool by_hand;        /* and not for a restart, over which graceful restart keeps routes */
	uint64_t leaving_ms; /* when the next step of it is due */
	bool multihop;       /* BFD over several hops */
};

/* -- sessions that come and go -- */

static void say(struct peer *p, bool up)
{
	char at[ADDR_STRLEN], msg[CONFIG_MAX_NAME + 512];
	struct bgp_view v;

	bgp_view(bgpio_engine(p->io), &v);
	if (up)
		(void)snprintf(msg, sizeof msg, "BGP session with %s (%s, AS %u) is established",
			p->name, addr_format(p->remote, at), v.peer_asn);
	else
		(void)snprintf(msg, sizeof msg, "BGP session with %s (%s) is down: %s", p->name,
			addr_format(p->remote, at), v.error);
	log_limited(up ? LOG_INFO : LOG_WARN, "bgp", msg, NULL);
	daemon_node_event(p->d, up ? EVENT_NORMAL : EVENT_WARNING,
		up ? "BGPSessionUp" : "BGPSessionDown", msg, daemon_now_ms());
}

static void set_self(struct peer *p)
{
	struct bgp_self self;
	struct addr local;

	if (!bgpio_local(p->io, &local))
		return;
	bgpconf_self(net_ifaces(p->d->net), local, p->remote, p->ifindex, &self);
	bgp_rib_set_self(bgp_rib(bgpio_engine(p->io)), &self);
}

static void on_changed(void *ctx, enum bgp_state was)
{
	struct peer *p = ctx;
	struct bgp_view v;

	bgp_view(bgpio_engine(p->io), &v);
	p->is_up = v.state == BGP_ESTABLISHED;
	if (p->is_up) {
		bgp_set_restarting(bgpio_engine(p->io), false);
		set_self(p);
	}
	if (p->is_up || was == BGP_ESTABLISHED)
		say(p, p->is_up);
	daemon_mark(p->d);
}

static void peer_free(struct peer *p)
{
	free(p->name);
	free(p);
}

static void on_closed(void *ctx)
{
	struct peer *p = ctx;

	if (--p->open == 0 && p->d == NULL)
		peer_free(p);
}

static const struct bgpio_ops io_ops = {on_changed, on_closed};

/* -- BFD -- */

static void on_bfd(void *ctx, struct bfd_session *s)
{
	(void)s;
	daemon_mark(((struct peer *)ctx)->d);
}

static const struct bfd_user bfd_user = {on_bfd};

static struct bfdio *bfd_of(const struct daemon *d)
{
	return d->speaker->bfdio != NULL ? d->speaker->bfdio : d->bfdio;
}

static void drop_bfd(struct peer *p)
{
	if (p->bfd != NULL && bfd_of(p->d) != NULL)
		bfd_del(bfdio_engine(bfd_of(p->d)), p->bfd);
	p->bfd = NULL;
	p->bfd_up = false;
}

static bool is_multihop(const struct peer *p)
{
	return p->ifindex == 0 && (p->conf->ebgp_multi_hop ||
		bgpconf_link(net_ifaces(p->d->net), p->remote) == 0);
}

static struct bfd_path path_of(const struct peer *p, struct addr local)
{
	unsigned link = p->ifindex != 0 ? p->ifindex : bgpconf_link(net_ifaces(p->d->net), p->remote);

	return (struct bfd_path){
		.ifindex = is_multihop(p) ? 0 : link, .local = local, .remote = p->remote};
}

static void add_bfd(struct peer *p, const struct bfd_conf *conf)
{
	struct bfd_path path;
	struct addr local;
	int err;

	if (!bgpio_local(p->io, &local))
		return;
	path = path_of(p, local);
	err = bfd_add(bfdio_engine(bfd_of(p->d)), &path, conf, &bfd_user, p, bfdio_now_us(),
		&p->bfd);
	if (err != 0) {
		p->bfd = NULL;
		log_limited(LOG_WARN, "bgp", "no BFD session", "peer", p->name, "err", strerror(-err), NULL);
	}
}

/* BFD is asked while the session is up; that it fell ends the session (RFC 5882 4.1), unless the
 * other side says that it was taken down by hand (3.2). */
static void run_bfd(struct peer *p)
{
	const struct config_bfd_profile *profile =
		bgpconf_bfd_profile(p->d->conf, p->conf->bfd_profile);
	struct bfd_conf conf;
	struct bfd_view v;

	if (profile == NULL || bfd_of(p->d) == NULL || p->io == NULL || !p->is_up) {
		drop_bfd(p);
		return;
	}
	bgpconf_bfd(profile, is_multihop(p), &conf);
	if (p->bfd == NULL)
		add_bfd(p, &conf);
	if (p->bfd == NULL)
		return;
	bfd_set_conf(bfdio_engine(bfd_of(p->d)), p->bfd, &conf, bfdio_now_us());
	bfd_view(p->bfd, bfdio_now_us(), &v);
	if (v.state == BFD_UP) {
		p->bfd_up = true;
	} else if (p->bfd_up && v.remote_state != BFD_ADMIN_DOWN) {
		drop_bfd(p);
		bgpio_reset(p->io, BGP_CEASE_BFD_DOWN, "BFD session is down");
	}
}

/* -- who connects -- */

static void on_part_closed(void *ctx)
{
	(void)ctx;
}

static struct peer *peer_at(const struct speaker *s, struct addr from, unsigned ifindex)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->io != NULL && addr_eq(s->v[i]->remote, from) &&
			(ifindex == 0 || s->v[i]->ifindex == ifindex))
			return s->v[i];
	return NULL;
}

static void on_accepted(void *ctx, int fd, struct addr from, unsigned ifindex)
{
	struct daemon *d = ctx;
	struct peer *p = peer_at(d->speaker, from, ifindex);

	if (p != NULL)
		(void)bgpio_accept(p->io, fd);
	else
		(void)close(fd);
}

static void on_listening(void *ctx)
{
	speaker_sync(ctx);
}

static const struct bgplisten_ops listen_ops = {on_accepted, on_listening, on_part_closed};

/* Each peer's password must be known before it connects. */
static void key_listener(struct peer *p, const struct bgpio_conf *io)
{
	struct speaker *s = p->d->speaker;

	if (s->bgplisten == NULL || (io->password == NULL && !p->keyed))
		return;
	p->keyed = bgplisten_set_password(s->bgplisten, io) == 0 && io->password != NULL;
}

/* The port is another speaker's to have, as long as no peer is to be waited for. */
static void wish_listener(struct daemon *d)
{
	struct speaker *s = d->speaker;
	bool any = false;

	for (size_t i = 0; i < s->n; i++)
		any |= s->v[i]->conf->passive;
	if (any == (s->bgplisten != NULL))
		return;
	if (!any) {
		bgplisten_close(s->bgplisten);
		s->bgplisten = NULL;
	} else if (bgplisten_open(&d->loop, BGPIO_PORT, &listen_ops, d, &s->bgplisten) != 0) {
		s->bgplisten = NULL;
		s->retry_ms = daemon_now_ms() + RETRY_MS;
	}
}

/* -- what the configuration wants -- */

/* NULL: it cannot be read, or is empty or too long. */
static const char *first_line(const char *path, char to[static MAX_PASSWORD + 1])
{
	size_t len = 0;
	struct buf b;

	buf_init(&b, MAX_FILE);
	if (file_read(path, &b) == 0 && b.len > 0)
		len = strcspn(b.p, "\r\n");
	if (len > 0 && len <= MAX_PASSWORD)
		(void)snprintf(to, MAX_PASSWORD + 1, "%.*s", (int)len, b.p);
	if (b.p != NULL)
		explicit_bzero(b.p, b.len);
	buf_free(&b);
	return len > 0 && len <= MAX_PASSWORD ? to : NULL;
}

/* A password's text; NULL: there is none, with the reason, or without one: none is wanted. */
static const char *password_of(
	struct peer *p, char to[static MAX_PASSWORD + 1], const char **ret_why)
{
	const struct config_peer *c = p->conf;
	const char *s = c->password;

	*ret_why = NULL;
	if (c->tcp_ao.present) {
		s = first_line(c->tcp_ao.key_file, to);
		*ret_why = s == NULL ? "its TCP-AO key's file cannot be read" : NULL;
	} else if (c->password_secret.name != NULL) {
		s = secret_password(p->d, &c->password_secret);
		*ret_why = s == NULL ? "its password's Secret was not read" : NULL;
	} else if (c->password_file != NULL) {
		s = first_line(c->password_file, to);
		*ret_why = s == NULL ? "its password's file cannot be read" : NULL;
	}
	return s;
}

static void on_router(void *ctx, unsigned ifindex)
{
	(void)ifindex;
	speaker_sync(ctx);
}

static const struct radvio_ops radvio_ops = {on_router, on_part_closed};

/* The peer on its link, by Router Advertisements; a session outlives their absence.  False: p->why. */
static bool find_on_link(struct peer *p, unsigned was)
{
	struct daemon *d = p->d;
	struct speaker *s = d->speaker;
	const struct iface *i = iface_named(net_ifaces(d->net), p->conf->interface);
	int err = 0;

	if (i == NULL || !i->ethernet || !i->up) {
		p->why = "its interface is not there, or down";
		return false;
	}
	if (s->radvio == NULL)
		err = radvio_open(&d->loop, &radvio_ops, d, &d->rng, &s->radvio);
	if (err == 0)
		err = radvio_want(s->radvio, i->ifindex, i->mac);
	p->ifindex = i->ifindex;
	p->why = err != 0 ? "out of memory" : "no router advertises itself on its interface";
	return err == 0 && (radvio_router(s->radvio, i->ifindex, &p->remote) ||
				   (p->is_up && was == i->ifindex));
}

/* False: p->why. */
static bool address_of(struct peer *p)
{
	unsigned was = p->ifindex;
	bool found;

	p->ifindex = 0;
	if (p->conf->has_peer_address) {
		p->remote = p->conf->peer_address;
		found = !addr_is_link_local(p->remote);
		p->why = "its address is link-local: give the interface instead";
	} else {
		found = find_on_link(p, was);
	}
	if (was != 0 && was != p->ifindex && p->d->speaker->radvio != NULL)
		radvio_unwant(p->d->speaker->radvio, was);
	if (found)
		p->why = NULL;
	return found;
}

static void close_io(struct peer *p, unsigned subcode, const char *reason)
{
	if (p->io == NULL)
		return;
	drop_bfd(p);
	if (p->is_up)
		log_info("bgp", "BGP session ended", "peer", p->name, "reason", reason, NULL);
	bgpio_close(p->io, subcode, reason);
	p->io = NULL;
	p->is_up = false;
}

static void open_io(struct peer *p, const struct bgpio_conf *io, const struct bgp_conf *session)
{
	struct daemon *d = p->d;
	int err = bgpio_open(
		&d->loop, io, session, &io_ops, p, &d->hkey, &d->rng, &p->io);

	if (err != 0) {
		p->io = NULL;
		p->why = "out of memory";
		d->speaker->retry_ms = daemon_now_ms() + RETRY_MS;
		return;
	}
	p->open++;
	p->all_due = true;
	p->session = *session;
	bgp_set_restarting(bgpio_engine(p->io),
		daemon_now_ms() - d->started_ms < UINT64_C(1000) * BGPCONF_RESTART_S);
}

static enum bgpio_auth auth_of(const struct config_tcp_ao *ao)
{
	if (!ao->present)
		return BGPIO_MD5;
	return strcmp(ao->algorithm, "hmac-sha1-96") == 0 ? BGPIO_AO_SHA1 : BGPIO_AO_AES;
}

/* Brings the connection in line.  Only what the other side must see anew ends a session. */
static void align(struct peer *p)
{
	struct daemon *d = p->d;
	char password[MAX_PASSWORD + 1] = "";
	struct bgpconf_ttl ttl = bgpconf_ttl(p->conf);
	struct bgpio_conf io = {.port = p->conf->peer_port,
		.ttl = ttl.sent,
		.min_ttl = ttl.least,
		.device = p->conf->vrf != NULL && p->conf->vrf[0] != '\0' ? p->conf->vrf : NULL,
		.auth = auth_of(&p->conf->tcp_ao),
		.ao_id = p->conf->tcp_ao.key_id};
	struct bgp_conf session;

	io.password = password_of(p, password, &p->why);
	if (p->why == NULL && address_of(p)) {
		io.remote = p->remote;
		io.ifindex = p->ifindex;
		if (p->conf->has_source_address)
			io.local = p->conf->source_address;
		bgpconf_session(p->conf, p->remote,
			bgpconf_router_id(
				p->conf, cluster_node(d->cluster, d->node), net_ifaces(d->net)),
			&session);
	}
	if (p->io != NULL && (p->why != NULL || !bgpio_has_conf(p->io, &io) ||
				     bgp_needs_reset(&p->session, &session)))
		close_io(p, BGP_CEASE_CONFIG_CHANGE, NULL);
	if (p->why == NULL && p->io != NULL) {
		bgp_set_conf(bgpio_engine(p->io), &session, daemon_now_ms());
		p->session = session;
		set_self(p);
	} else if (p->why == NULL) {
		open_io(p, &io, &session);
	}
	if (p->why == NULL)
		key_listener(p, &io);
	explicit_bzero(password, sizeof password);
}

static struct peer *find(const struct speaker *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i]->name, name) == 0)
			return s->v[i];
	return NULL;
}

static struct peer *get(struct daemon *d, const char *name)
{
	struct speaker *s = d->speaker;
	struct peer *p = find(s, name), **v;

	if (p != NULL)
		return p;
	v = realloc(s->v, (s->n + 1) * sizeof(struct peer *));
	if (v == NULL)
		return NULL;
	s->v = v;
	p = calloc(1, sizeof *p);
	if (p == NULL || (p->name = strdup(name)) == NULL) {
		free(p);
		return NULL;
	}
	p->d = d;
	v[s->n++] = p;
	return p;
}

/* What was asked of others for it. */
static void forget_links(struct peer *p)
{
	struct speaker *s = p->d->speaker;

	if (p->ifindex != 0 && s->radvio != NULL)
		radvio_unwant(s->radvio, p->ifindex);
	key_listener(p, &(struct bgpio_conf){.remote = p->remote, .ifindex = p->ifindex});
}

static void drop(struct peer *p, unsigned subcode, const char *reason)
{
	close_io(p, subcode, reason);
	forget_links(p);
	p->conf = NULL;
	p->d = NULL;
	if (p->open == 0)
		peer_free(p);
}

static void drop_unwanted(struct speaker *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i]->conf != NULL)
			s->v[kept++] = s->v[i];
		else
			drop(s->v[i], BGP_CEASE_DECONFIGURED, NULL);
	}
	s->n = kept;
}

static void set_multihop(struct daemon *d, bool multihop)
{
	struct speaker *s = d->speaker;

	if (multihop == s->multihop)
		return;
	s->multihop = multihop;
	mesh_sync(d);
}

static const struct bfdio_ops bfd_ops = {.on_closed = on_part_closed};

/* Routers speak BFD at its own port and no other, whatever nodes do among themselves. */
static void wish_bfd(struct daemon *d)
{
	struct bfdio_conf conf = {.port = BFDIO_PORT};
	struct speaker *s = d->speaker;
	bool any = false, own;

	for (size_t i = 0; i < s->n; i++) {
		bool has = s->v[i]->io != NULL && s->v[i]->conf->bfd_profile != NULL;

		any |= has;
		conf.multihop |= has && is_multihop(s->v[i]);
	}
	own = any && d->conf->elections.bfd_port != BFDIO_PORT;
	set_multihop(d, conf.multihop && !own);
	if (own && s->bfdio != NULL)
		bfdio_set_conf(s->bfdio, &conf);
	if (own == (s->bfdio != NULL))
		return;
	for (size_t i = 0; i < s->n; i++)
		drop_bfd(s->v[i]);
	bfdio_close(s->bfdio);
	s->bfdio = NULL;
	if (own && bfdio_open(&d->loop, &conf, &bfd_ops, d, &d->hkey, &d->rng, &d->counters,
			   &s->bfdio) != 0) {
		s->bfdio = NULL;
		s->retry_ms = daemon_now_ms() + RETRY_MS;
	}
}

static void sync_peers(struct daemon *d, uint64_t now_ms)
{
	const struct cluster_node *node = cluster_node(d->cluster, d->node);
	struct speaker *s = d->speaker;
	bool has_file = false;

	s->sync_due = false;
	s->retry_ms = TIME_NEVER;
	for (size_t i = 0; i < s->n; i++)
		s->v[i]->conf = NULL;
	for (size_t i = 0; node != NULL && i < d->conf->n_peers; i++) {
		const struct config_peer *c = &d->conf->peers[i];
		struct peer *p;

		if (!label_matches_any(&c->node_selectors, &node->labels))
			continue;
		p = get(d, c->name);
		if (p == NULL) {
			s->retry_ms = now_ms + RETRY_MS;
			continue;
		}
		p->conf = c;
		has_file |= c->password_file != NULL || c->tcp_ao.present;
	}
	drop_unwanted(s);
	wish_listener(d);
	for (size_t i = 0; i < s->n; i++)
		align(s->v[i]);
	s->file_ms = has_file ? now_ms + FILE_AGAIN_MS : TIME_NEVER;
	wish_bfd(d);
}

/* -- what they are told -- */

/* Is it left for good, as far as its routes go? */
static bool leaves(const struct peer *p)
{
	const struct speaker *s = p->d->speaker;

	return s->leaving != STAYS && (s->by_hand || !p->session.graceful);
}

static struct routes_peer told_as(const struct peer *p)
{
	const struct bgp_conf *c = &p->session;

	return (struct routes_peer){.name = p->name,
		.asn = c->local_asn,
		.internal = c->asn == BGP_ASN_INTERNAL ||
			    (c->asn == BGP_ASN_GIVEN && c->peer_asn == c->local_asn),
		.leaving = leaves(p)};
}

static bool same_as(const struct routes_peer *a, const struct routes_peer *b)
{
	return a->asn == b->asn && a->internal == b->internal && a->leaving == b->leaving;
}

static void withdraw_all(struct bgp_rib *rib)
{
	bgp_rib_begin_sync(rib);
	bgp_rib_end_sync(rib);
}

static void tell(struct peer *p, bool all)
{
	struct speaker *s = p->d->speaker;
	struct routes_peer as = told_as(p);
	struct bgp_rib *rib;
	int err = 0;

	if (p->io == NULL)
		return;
	rib = bgp_rib(bgpio_engine(p->io));
	all |= p->all_due || !same_as(&as, &p->told);
	p->told = as;
	if (s->leaving == WITHDRAWN && leaves(p))
		withdraw_all(rib);
	else
		err = routes_tell(s->routes, &as, all, rib);
	p->all_due = err != 0;
	if (err != 0) {
		log_limited(LOG_WARN, "bgp", "not all prefixes are announced", "peer", p->name, "err",
			strerror(-err), NULL);
		s->retry_ms = daemon_now_ms() + RETRY_MS;
	}
	bgpio_start(p->io);
	if (bgp_rib_is_pending(rib))
		bgpio_flush(p->io);
}

static struct routes_input routes_of(const struct daemon *d)
{
	return (struct routes_input){
		.conf = d->conf, .cluster = d->cluster, .vips = d->vips, .node = d->node};
}

/* Returns whether all was built anew. */
static bool update_routes(struct daemon *d, bool all)
{
	const struct routes_input in = routes_of(d);
	struct speaker *s = d->speaker;
	int err = 0;

	all |= !s->built;
	if (all)
		err = routes_rebuild(s->routes, &in);
	for (size_t i = 0; !all && err == 0 && i < vip_dirty_count(d->vips); i++)
		err = routes_update(s->routes, &in, vip_dirty_at(d->vips, i));
	s->built = err == 0;
	if (err != 0)
		s->retry_ms = daemon_now_ms() + RETRY_MS;
	return all;
}

/* On the Services, as with layer 2. */
static void say_fresh(struct daemon *d, uint64_t now_ms)
{
	const struct routes *r = d->speaker->routes;
	struct addr v[DAEMON_EVENTS_A_PASS];
	size_t n = 0;

	if (d->speaker->n == 0)
		return;
	for (size_t i = 0; i < routes_fresh_count(r); i++) {
		const struct vip_group *g =
			i < ROUTES_MAX_FRESH ? vip_group(d->vips, routes_fresh_at(r, i)) : NULL;

		n += g == NULL; /* one that is not looked at */
		for (size_t k = 0; g != NULL && k < g->n_vips; k++, n++)
			if (n < DAEMON_EVENTS_A_PASS)
				v[n] = vip_member(g, k)->addr;
	}
	daemon_announced(d, v, n, "bgp", now_ms);
}

/* -- leaving -- */

static void step_leaving(struct speaker *s, uint64_t now_ms)
{
	if (s->leaving != SHUTS_DOWN || now_ms < s->leaving_ms)
		return;
	s->leaving = WITHDRAWN;
}

void speaker_set_leaving(struct daemon *d, bool leaving, bool by_hand, uint64_t now_ms)
{
	struct speaker *s = d->speaker;

	if (s == NULL || leaving == (s->leaving != STAYS))
		return;
	s->leaving = leaving ? SHUTS_DOWN : STAYS;
	s->by_hand = by_hand;
	s->leaving_ms = now_ms + SHUTDOWN_MS;
	daemon_mark(d);
}

bool speaker_has_left(const struct daemon *d)
{
	const struct speaker *s = d->speaker;

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		const struct peer *p = s->v[i];
		const struct bgp_rib *rib;
		struct bgp_rib_counts n;

		if (!p->is_up || !leaves(p))
			continue;
		rib = bgp_rib(bgpio_engine(p->io));
		n = bgp_rib_counts(rib);
		if (n.told[ADDR_V4] + n.told[ADDR_V6] > 0 || bgp_rib_is_pending(rib))
			return false;
	}
	return true;
}

/* -- for the daemon -- */

int speaker_start(struct daemon *d)
{
	struct speaker *s;

	if (d->dry != NULL)
		return 0;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	s->routes = routes_new(&d->hkey);
	s->file_ms = s->retry_ms = TIME_NEVER;
	s->sync_due = true;
	d->speaker = s;
	return s->routes != NULL ? 0 : -ENOMEM;
}

void speaker_stop(struct daemon *d)
{
	struct speaker *s = d->speaker;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct peer *p = s->v[i];
		bool quiet = p->session.graceful && !leaves(p);

		drop(p, quiet ? 0 : BGP_CEASE_SHUTDOWN, quiet ? NULL : "lbd stops");
	}
	bfdio_close(s->bfdio);
	radvio_close(s->radvio);
	bgplisten_close(s->bgplisten);
	routes_free(s->routes);
	free(s->v);
	free(s);
	d->speaker = NULL;
}

void speaker_use(struct daemon *d)
{
	if (d->speaker == NULL)
		return;
	d->speaker->built = false;
	sync_peers(d, daemon_now_ms());
}

void speaker_sync(struct daemon *d)
{
	if (d->speaker == NULL)
		return;
	d->speaker->sync_due = true;
	daemon_mark(d);
}

void speaker_run(struct daemon *d, bool all, uint64_t now_ms)
{
	struct speaker *s = d->speaker;

	if (s == NULL)
		return;
	if (s->nodes_generation != d->nodes_generation) {
		s->nodes_generation = d->nodes_generation;
		s->sync_due = all = true;
	}
	all = update_routes(d, all);
	if (s->sync_due || now_ms >= s->file_ms || now_ms >= s->retry_ms)
		sync_peers(d, now_ms);
	step_leaving(s, now_ms);
	for (size_t i = 0; s->built && i < s->n; i++) {
		run_bfd(s->v[i]);
		tell(s->v[i], all);
	}
	if (s->bfdio != NULL)
		bfdio_flush(s->bfdio);
	if (!s->built)
		return;
	say_fresh(d, now_ms);
	routes_clean(s->routes);
}

bool speaker_wants_multihop(const struct daemon *d)
{
	return d->speaker != NULL && d->speaker->multihop;
}

uint64_t speaker_next_deadline(const struct daemon *d)
{
	const struct speaker *s = d->speaker;

	if (s == NULL)
		return TIME_NEVER;
	return time_min(time_min(s->file_ms, s->retry_ms),
		s->leaving == SHUTS_DOWN ? s->leaving_ms : TIME_NEVER);
}

/* -- reading -- */

enum reason speaker_why(const struct daemon *d, const struct vip *v)
{
	const struct routes_input in = routes_of(d);

	if (d->speaker != NULL && d->speaker->leaving == WITHDRAWN)
		return REASON_DRAINING;
	return routes_why(&in, v);
}

static void dump_counts(cJSON *o, const char *key, const uint32_t n[ADDR_FAMILIES])
{
	o = cJSON_AddObjectToObject(o, key);
	(void)cJSON_AddNumberToObject(o, "ipv4", n[ADDR_V4]);
	(void)cJSON_AddNumberToObject(o, "ipv6", n[ADDR_V6]);
}

static void dump_session(cJSON *o, const struct peer *p, uint64_t now_ms)
{
	struct bgp_rib_counts n = bgp_rib_counts(bgp_rib(bgpio_engine(p->io)));
	struct bgp_view v;

	bgp_view(bgpio_engine(p->io), &v);
	(void)cJSON_AddStringToObject(o, "state", bgp_state_name(v.state));
	status_add_time(o, "since", v.since_ms, now_ms);
	if (v.peer_asn != 0)
		(void)cJSON_AddNumberToObject(o, "asn", v.peer_asn);
	(void)cJSON_AddNumberToObject(o, "holdTime", v.hold_s);
	(void)cJSON_AddStringToObject(o, "lastError", v.error);
	dump_counts(o, "announced", n.told);
	dump_counts(o, "received", v.announced);
	(void)cJSON_AddNumberToObject(o, "messagesSent", (double)v.sent);
	(void)cJSON_AddNumberToObject(o, "messagesReceived", (double)v.received);
	(void)cJSON_AddNumberToObject(o, "updatesDiscarded", (double)v.discarded);
	(void)cJSON_AddNumberToObject(o, "updatesWithdrawn", (double)v.withdrawn);
	(void)cJSON_AddNumberToObject(o, "sessions", v.sessions);
}

static void dump_bfd(cJSON *o, const struct peer *p)
{
	struct bfd_view v;

	if (p->conf->bfd_profile == NULL)
		return;
	if (p->bfd == NULL) {
		(void)cJSON_AddStringToObject(o, "bfd", "none");
		return;
	}
	bfd_view(p->bfd, bfdio_now_us(), &v);
	(void)cJSON_AddStringToObject(o, "bfd", bfd_state_name(v.state));
}

/* Peers that this node has no session with, by their selectors, are named all the same. */
static void dump_peer(
	cJSON *o, const struct daemon *d, const struct config_peer *c, uint64_t now_ms)
{
	const struct peer *p = d->speaker != NULL ? find(d->speaker, c->name) : NULL;
	char text[ADDR_STRLEN];

	(void)cJSON_AddStringToObject(o, "name", c->name);
	if (p != NULL && p->io != NULL)
		(void)cJSON_AddStringToObject(o, "address", addr_format(p->remote, text));
	else if (c->has_peer_address)
		(void)cJSON_AddStringToObject(o, "address", addr_format(c->peer_address, text));
	if (c->interface != NULL)
		(void)cJSON_AddStringToObject(o, "interface", c->interface);
	secret_dump(d, c, o);
	if (p != NULL && p->io != NULL) {
		dump_session(o, p, now_ms);
		dump_bfd(o, p);
		return;
	}
	(void)cJSON_AddStringToObject(o, "state", bgp_state_name(BGP_IDLE));
	(void)cJSON_AddStringToObject(o, "lastError",
		p == NULL	 ? "not a peer of this node"
		: p->why != NULL ? p->why
				 : "");
}

void speaker_dump(const struct daemon *d, cJSON *peers, uint64_t now_ms)
{
	for (size_t i = 0; i < d->conf->n_peers; i++) {
		cJSON *o = cJSON_CreateObject();

		dump_peer(o, d, &d->conf->peers[i], now_ms);
		cJSON_AddItemToArray(peers, o);
	}
}

size_t speaker_count(const struct daemon *d)
{
	return d->speaker != NULL ? d->speaker->n : 0;
}

void speaker_peer(const struct daemon *d, size_t i, struct speaker_peer *ret_p)
{
	const struct peer *p = d->speaker->v[i];

	*ret_p = (struct speaker_peer){.name = p->name,
		.vrf = p->conf != NULL ? p->conf->vrf : NULL,
		.remote = p->remote,
		.port = p->conf != NULL ? p->conf->peer_port : 0,
		.has_address = p->io != NULL,
		.has_bfd = p->bfd != NULL};
	if (p->io != NULL) {
		bgp_view(bgpio_engine(p->io), &ret_p->bgp);
		ret_p->routes = bgp_rib_counts(bgp_rib(bgpio_engine(p->io)));
	}
	if (p->bfd != NULL)
		bfd_view(p->bfd, bfdio_now_us(), &ret_p->bfd);
}
