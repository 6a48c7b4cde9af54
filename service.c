/* SPDX-License-Identifier: Apache-2.0
 *
 * service.c - the rules about one Service or two.
 *
 * Owns: nothing.
 * In:   decoded Services and the configuration.  Out: a reason, and the words for an Event.
 * Sources: MetalLB's allocator (sharingOK, BackendKey), Kubernetes' Service API
 *          (loadBalancerClass, loadBalancerIP, ipFamilies).
 */
#include "service.h"

#include "buf.h"

#include <string.h>

/* -- is it ours -- */

static bool has_text(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static bool class_served(const struct config *conf, const char *class_)
{
	for (size_t i = 0; i < conf->load_balancer_classes.n; i++) {
		if (strcmp(conf->load_balancer_classes.v[i], class_) == 0)
			return true;
	}
	return false;
}

enum reason service_served(const struct config *conf, const struct cluster_service *s)
{
	if (!s->is_load_balancer)
		return REASON_NOT_LOAD_BALANCER;
	if (s->deleting)
		return REASON_DELETED;
	if (s->request.ignore)
		return REASON_IGNORED;
	if (!has_text(s->class_))
		return conf->classless || s->request.openelb ? REASON_ALLOCATED : REASON_CLASSLESS;
	return class_served(conf, s->class_) ? REASON_ALLOCATED : REASON_OTHER_CLASS;
}

/* -- what does it ask for -- */

static void say(struct buf *detail, const char *text)
{
	if (detail != NULL)
		buf_adds(detail, text);
}

/* A user's text for an Event or a log: quoted, short, printable whatever it holds. */
static void say_quoted(struct buf *detail, const char *s, size_t len)
{
	enum { SHOWN = 80 };

	if (detail == NULL)
		return;
	buf_addc(detail, '"');
	for (size_t i = 0; i < len && i < SHOWN; i++) {
		if (s[i] >= ' ' && s[i] <= '~' && s[i] != '"')
			buf_addc(detail, s[i]);
		else
			buf_addc(detail, '?');
	}
	buf_adds(detail, len > SHOWN ? "...\"" : "\"");
}

static const char *family_name(enum addr_family f)
{
	return f == ADDR_V4 ? "IPv4" : "IPv6";
}

/* Unspecified: 0.0.0.0, ::. */
static bool is_any(const char *s, size_t len)
{
	struct addr a;

	if (addr_parse(s, len, &a) != 0)
		return false;
	return addr_family(a) == ADDR_V4 ? (uint32_t)a.lo == 0 : a.hi == 0 && a.lo == 0;
}

/* One address of a list, blanks around it allowed. */
static enum reason add_requested(
	struct service_request *req, const char *s, size_t len, struct buf *detail)
{
	struct addr a;

	while (len > 0 && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	if (addr_parse(s, len, &a) != 0 || addr_is_unusable(a)) {
		say(detail, "requested address ");
		say_quoted(detail, s, len);
		say(detail, is_any(s, len) ? " means DHCP to kube-vip, which is not done here"
					   : " is not an address that a Service can have");
		return REASON_BAD_REQUEST;
	}
	if ((req->n > 0 && addr_family(req->v[0]) == addr_family(a)) || req->n > 1) {
		say(detail, "more than one ");
		say(detail, family_name(addr_family(a)));
		say(detail, " address is requested");
		return REASON_BAD_REQUEST;
	}
	req->v[req->n++] = a;
	return REASON_ALLOCATED;
}

/* "a" or "a,b". */
static enum reason parse_list(struct service_request *req, const char *text, struct buf *detail)
{
	const char *p = text;

	for (;;) {
		size_t len = strcspn(p, ",");
		enum reason r = add_requested(req, p, len, detail);

		if (r != REASON_ALLOCATED || p[len] == '\0')
			return r;
		p += len + 1;
	}
}

/* spec.loadBalancerIP beside the annotation: it may repeat what the annotation says. */
static enum reason merge_field(
	struct service_request *req, const struct cluster_service *s, struct buf *detail)
{
	struct service_request field = {.n = 0};
	enum reason r = parse_list(&field, s->load_balancer_ip, detail);

	if (r != REASON_ALLOCATED)
		return r;
	if (req->n == 0) {
		memcpy(req->v, field.v, sizeof req->v);
		req->n = field.n;
		return REASON_ALLOCATED;
	}
	for (size_t i = 0; i < field.n; i++) {
		if (!addr_eq(field.v[i], req->v[0]) &&
			(req->n < 2 || !addr_eq(field.v[i], req->v[1]))) {
			say(detail, "spec.loadBalancerIP ");
			say_quoted(detail, s->load_balancer_ip, strlen(s->load_balancer_ip));
			say(detail, " and the loadBalancerIPs annotation ");
			say_quoted(detail, s->request.ips, strlen(s->request.ips));
			say(detail, " request different addresses");
			return REASON_REQUEST_CONFLICT;
		}
	}
	return REASON_ALLOCATED;
}

static bool has_family(const struct cluster_service *s, enum addr_family f)
{
	for (size_t i = 0; i < s->n_families; i++) {
		if (s->families[i] == f)
			return true;
	}
	return s->n_families == 0; /* an old server does not say */
}

static enum reason check_families(
	const struct service_request *req, const struct cluster_service *s, struct buf *detail)
{
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < req->n; i++) {
		enum addr_family f = addr_family(req->v[i]);

		if (has_family(s, f))
			continue;
		say(detail, "requested address ");
		say(detail, addr_format(req->v[i], text));
		say(detail, " is ");
		say(detail, family_name(f));
		say(detail, ", which is not in the Service's ipFamilies");
		return REASON_FAMILY_MISMATCH;
	}
	return REASON_ALLOCATED;
}

/* OpenELB's word for how the address is to be announced. */
static enum reason read_protocol(
	struct service_request *req, const struct cluster_service *s, struct buf *detail)
{
	const char *text = s->request.protocol;

	if (!has_text(text))
		return REASON_ALLOCATED;
	for (enum config_protocol p = CONFIG_LAYER2; p <= CONFIG_VIP; p++) {
		if (strcmp(text, config_protocol_name(p)) == 0) {
			req->protocol = p;
			return REASON_ALLOCATED;
		}
	}
	say(detail, "protocol.openelb.kubesphere.io/v1alpha1 must be layer2, bgp or vip, it is ");
	say_quoted(detail, text, strlen(text));
	return REASON_BAD_REQUEST;
}

enum reason service_request(
	const struct cluster_service *s, struct service_request *ret_req, struct buf *detail)
{
	struct service_request req = {.n = 0};
	enum reason r = REASON_ALLOCATED;

	if (s->request.conflict != NULL) {
		say_quoted(detail, s->request.conflict, strlen(s->request.conflict));
		say(detail, " request different things");
		return REASON_REQUEST_CONFLICT;
	}
	if (has_text(s->request.ips))
		r = parse_list(&req, s->request.ips, detail);
	if (r == REASON_ALLOCATED && has_text(s->load_balancer_ip))
		r = merge_field(&req, s, detail);
	if (r == REASON_ALLOCATED)
		r = check_families(&req, s, detail);
	if (r == REASON_ALLOCATED)
		r = read_protocol(&req, s, detail);
	if (r != REASON_ALLOCATED)
		return r;
	req.pool = has_text(s->request.pool) ? s->request.pool : NULL;
	*ret_req = req;
	return REASON_ALLOCATED;
}

/* -- may two be on one address -- */

/* One bit a (protocol, port). */
struct port_bits {
	uint64_t v[CLUSTER_OTHER + 1][65536 / 64];
};

static bool same_port(const struct cluster_port *a, const struct cluster_port *b)
{
	return a->protocol == b->protocol && a->port == b->port;
}

/* For Services of hundreds of ports, where each against each would be a million. */
static const struct cluster_port *clash_of_many(
	const struct cluster_service *a, const struct cluster_service *b)
{
	struct port_bits set = {.v = {{0}}};

	for (size_t i = 0; i < a->n_ports; i++) {
		const struct cluster_port *p = &a->ports[i];

		set.v[p->protocol][p->port / 64] |= 1ULL << (p->port % 64);
	}
	for (size_t i = 0; i < b->n_ports; i++) {
		const struct cluster_port *p = &b->ports[i];

		if ((set.v[p->protocol][p->port / 64] >> (p->port % 64) & 1) != 0)
			return p;
	}
	return NULL;
}

static const struct cluster_port *clash(
	const struct cluster_service *a, const struct cluster_service *b)
{
	enum { MANY = 4096 };

	if (a->n_ports > 0 && b->n_ports > MANY / a->n_ports)
		return clash_of_many(a, b);
	for (size_t i = 0; i < b->n_ports; i++) {
		for (size_t j = 0; j < a->n_ports; j++) {
			if (same_port(&a->ports[j], &b->ports[i]))
				return &b->ports[i];
		}
	}
	return NULL;
}

/* MetalLB's BackendKey: the same pods must stand behind Services that keep the client's address.
 * Its empty string for a Local Service without selector equals that of policy Cluster. */
static const char *backend(const struct cluster_service *s)
{
	return s->local && s->backend_key != NULL ? s->backend_key : "";
}

enum service_sharing service_sharing(const struct cluster_service *a,
	const struct cluster_service *b, const struct cluster_port **ret_port)
{
	const struct cluster_port *port;

	if (!has_text(a->request.sharing_key) || !has_text(b->request.sharing_key))
		return SERVICE_SHARING_NO_KEY;
	if (strcmp(a->request.sharing_key, b->request.sharing_key) != 0)
		return SERVICE_SHARING_KEY_DIFFERS;
	if (strcmp(backend(a), backend(b)) != 0)
		return SERVICE_SHARING_BACKEND_DIFFERS;
	port = clash(a, b);
	if (port == NULL)
		return SERVICE_SHARING_OK;
	if (ret_port != NULL)
		*ret_port = port;
	return SERVICE_SHARING_PORT_TAKEN;
}

const char *service_protocol_name(enum cluster_protocol p)
{
	switch (p) {
	case CLUSTER_TCP:
		return "TCP";
	case CLUSTER_UDP:
		return "UDP";
	case CLUSTER_SCTP:
		return "SCTP";
	case CLUSTER_OTHER:
		break;
	}
	return "other";
}

/* -- who was first -- */

struct service_age service_age(const struct cluster_service *s)
{
	return (struct service_age){s->created_s, s->uid, s->key};
}

static int created_cmp(int64_t a, int64_t b)
{
	if (a == b)
		return 0;
	if (a == 0 || b == 0)
		return a == 0 ? 1 : -1;
	return a < b ? -1 : 1;
}

int service_age_cmp(const struct service_age *a, const struct service_age *b)
{
	int c = created_cmp(a->created_s, b->created_s);

	if (c == 0)
		c = strcmp(a->uid, b->uid);
	return c != 0 ? c : strcmp(a->key, b->key);
}

int service_elder(const struct cluster_service *a, const struct cluster_service *b)
{
	const struct service_age x = service_age(a), y = service_age(b);

	return service_age_cmp(&x, &y);
}

int service_turn(const struct cluster_service *a, const struct cluster_service *b)
{
	int c = created_cmp(a->created_s, b->created_s);

	return c != 0 ? c : strcmp(a->key, b->key);
}
