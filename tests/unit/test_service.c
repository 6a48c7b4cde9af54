/* SPDX-License-Identifier: Apache-2.0
 *
 * test_service.c - what is served, what is asked for, what may share an address, who is elder.
 */
#include "buf.h"
#include "check.h"
#include "service.h"

static const char *const two_classes[] = {"lbd.io/lbd", "example.com/other"};

static void test_served(void)
{
	static const struct {
		const char *name;
		struct cluster_service s;
		size_t n_classes;
		bool classless;
		enum reason want;
	} row[] = {
		{"plain", {.is_load_balancer = true}, 2, true, REASON_ALLOCATED},
		{"other type", {.is_load_balancer = false}, 2, true, REASON_NOT_LOAD_BALANCER},
		{"deleting", {.is_load_balancer = true, .deleting = true}, 2, true, REASON_DELETED},
		{"ignored", {.is_load_balancer = true, .request = {.ignore = true}}, 2, true,
			REASON_IGNORED},
		{"ours", {.is_load_balancer = true, .class_ = "lbd.io/lbd"}, 2, true,
			REASON_ALLOCATED},
		{"ours, the second", {.is_load_balancer = true, .class_ = "example.com/other"}, 2,
			false, REASON_ALLOCATED},
		{"another's", {.is_load_balancer = true, .class_ = "example.com/x"}, 2, true,
			REASON_OTHER_CLASS},
		{"no class served", {.is_load_balancer = true, .class_ = "lbd.io/lbd"}, 0, true,
			REASON_OTHER_CLASS},
		{"classless not wanted", {.is_load_balancer = true}, 2, false, REASON_CLASSLESS},
		{"classless not wanted, but OpenELB's",
			{.is_load_balancer = true, .request = {.openelb = true}}, 2, false,
			REASON_ALLOCATED},
		{"OpenELB's annotation is not stronger than a class",
			{.is_load_balancer = true, .class_ = "x/y", .request = {.openelb = true}},
			2, true, REASON_OTHER_CLASS},
		{"ignored wins over OpenELB's",
			{.is_load_balancer = true, .request = {.openelb = true, .ignore = true}}, 2,
			false, REASON_IGNORED},
		{"empty class is none", {.is_load_balancer = true, .class_ = ""}, 2, false,
			REASON_CLASSLESS},
		{"empty class is none, wanted", {.is_load_balancer = true, .class_ = ""}, 2, true,
			REASON_ALLOCATED},
		{"a prefix is not the class", {.is_load_balancer = true, .class_ = "lbd.io/lb"}, 2,
			true, REASON_OTHER_CLASS},
		{"ignored wins over class",
			{.is_load_balancer = true, .class_ = "x/y", .request = {.ignore = true}}, 2,
			true, REASON_IGNORED},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct config conf = {.load_balancer_classes = {two_classes, row[i].n_classes},
			.classless = row[i].classless};

		check_row = row[i].name;
		CHECK_STR(reason_code(service_served(&conf, &row[i].s)), reason_code(row[i].want));
	}
}

/* What a request came to, as text: "a b pool=p". */
static const char *request_text(const struct service_request *q, char *out, size_t size)
{
	char t[ADDR_STRLEN];

	out[0] = '\0';
	for (size_t i = 0; i < q->n; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s", i > 0 ? " " : "",
			addr_format(q->v[i], t));
	if (q->pool != NULL)
		snprintf(out + strlen(out), size - strlen(out), "%spool=%s", q->n > 0 ? " " : "",
			q->pool);
	return out;
}

enum { F4 = 1, F6 = 2, F46 = 3 };

static void test_request(void)
{
	static const struct {
		const char *name;
		const char *ips, *field, *pool, *conflict;
		unsigned families;
		enum reason want;
		const char *text; /* of the request, or in the detail */
	} row[] = {
		{"nothing", NULL, NULL, NULL, NULL, F4, REASON_ALLOCATED, ""},
		{"empty texts", "", "", "", NULL, F4, REASON_ALLOCATED, ""},
		{"pool", NULL, NULL, "lan", NULL, F4, REASON_ALLOCATED, "pool=lan"},
		{"field", NULL, "10.0.0.5", NULL, NULL, F4, REASON_ALLOCATED, "10.0.0.5"},
		{"annotation", "10.0.0.5", NULL, "lan", NULL, F4, REASON_ALLOCATED,
			"10.0.0.5 pool=lan"},
		{"two", "10.0.0.5,fd00::5", NULL, NULL, NULL, F46, REASON_ALLOCATED,
			"10.0.0.5 fd00::5"},
		{"two with blanks", " 10.0.0.5 ,\tfd00::5 ", NULL, NULL, NULL, F46,
			REASON_ALLOCATED, "10.0.0.5 fd00::5"},
		{"both the same", "10.0.0.5", "10.0.0.5", NULL, NULL, F4, REASON_ALLOCATED,
			"10.0.0.5"},
		{"both the same, other text", "fd00::5", "FD00:0::5", NULL, NULL, F6,
			REASON_ALLOCATED, "fd00::5"},
		{"field is one of two", "10.0.0.5,fd00::5", "fd00::5", NULL, NULL, F46,
			REASON_ALLOCATED, "10.0.0.5 fd00::5"},
		{"both differ", "10.0.0.5", "10.0.0.6", NULL, NULL, F4, REASON_REQUEST_CONFLICT,
			"spec.loadBalancerIP \"10.0.0.6\" and the loadBalancerIPs annotation "
			"\"10.0.0.5\""},
		{"both differ in family", "10.0.0.5", "fd00::5", NULL, NULL, F46,
			REASON_REQUEST_CONFLICT, "\"fd00::5\""},
		{"conflict of annotations", "10.0.0.5", NULL, NULL, "lbd.io/x and metallb.io/x", F4,
			REASON_REQUEST_CONFLICT, "\"lbd.io/x and metallb.io/x\" request different"},
		{"two of one family", "10.0.0.5,10.0.0.6", NULL, NULL, NULL, F46,
			REASON_BAD_REQUEST, "more than one IPv4"},
		{"twice the same", "fd00::5,fd00::5", NULL, NULL, NULL, F46, REASON_BAD_REQUEST,
			"more than one IPv6"},
		{"three", "10.0.0.5,fd00::5,10.0.0.6", NULL, NULL, NULL, F46, REASON_BAD_REQUEST,
			"more than one IPv4"},
		{"a word", "auto", NULL, NULL, NULL, F4, REASON_BAD_REQUEST, "\"auto\""},
		{"field is a word", NULL, "auto", NULL, NULL, F4, REASON_BAD_REQUEST, "\"auto\""},
		{"field is a list", NULL, "10.0.0.5,fd00::5", NULL, NULL, F46, REASON_ALLOCATED,
			"10.0.0.5 fd00::5"},
		{"final comma", "10.0.0.5,", NULL, NULL, NULL, F4, REASON_BAD_REQUEST, "\"\""},
		{"only a comma", ",", NULL, NULL, NULL, F4, REASON_BAD_REQUEST, "\"\""},
		{"only a blank", " ", NULL, NULL, NULL, F4, REASON_BAD_REQUEST, "\"\""},
		{"a range", "10.0.0.5-10.0.0.6", NULL, NULL, NULL, F4, REASON_BAD_REQUEST,
			"10.0.0.5-10.0.0.6"},
		{"unspecified", "0.0.0.0", NULL, NULL, NULL, F4, REASON_BAD_REQUEST,
			"\"0.0.0.0\" means DHCP to kube-vip"},
		{"unspecified, field", NULL, "0.0.0.0", NULL, NULL, F4, REASON_BAD_REQUEST,
			"\"0.0.0.0\" means DHCP to kube-vip"},
		{"unspecified, IPv6", "::", NULL, NULL, NULL, F6, REASON_BAD_REQUEST,
			"\"::\" means DHCP to kube-vip"},
		{"IPv4 in IPv6 is IPv4, as in Go", "::ffff:10.0.0.5", NULL, NULL, NULL, F4,
			REASON_ALLOCATED, "10.0.0.5"},
		{"IPv4 in IPv6 is not IPv6", "::ffff:10.0.0.5", NULL, NULL, NULL, F6,
			REASON_FAMILY_MISMATCH, "10.0.0.5 is IPv4"},
		{"a zone", "fe80::1%eth0", NULL, NULL, NULL, F6, REASON_BAD_REQUEST,
			"\"fe80::1%eth0\" is not an address"},
		{"loopback", "127.0.0.1", NULL, NULL, NULL, F4, REASON_BAD_REQUEST, "127.0.0.1"},
		{"multicast", "ff02::1", NULL, NULL, NULL, F6, REASON_BAD_REQUEST, "ff02::1"},
		{"control bytes are not repeated", "a\n\"b\x1b\xc3\xa9", NULL, NULL, NULL, F4,
			REASON_BAD_REQUEST, "\"a??b???\""},
		{"v4 on a v6 Service", "10.0.0.5", NULL, NULL, NULL, F6, REASON_FAMILY_MISMATCH,
			"10.0.0.5 is IPv4"},
		{"v6 on a v4 Service", NULL, "fd00::5", NULL, NULL, F4, REASON_FAMILY_MISMATCH,
			"fd00::5 is IPv6"},
		{"second on a v4 Service", "10.0.0.5,fd00::5", NULL, NULL, NULL, F4,
			REASON_FAMILY_MISMATCH, "fd00::5 is IPv6"},
		{"families unknown", "fd00::5", NULL, NULL, NULL, 0, REASON_ALLOCATED, "fd00::5"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct cluster_service s = {.load_balancer_ip = row[i].field,
			.request = {.ips = row[i].ips,
				.pool = row[i].pool,
				.conflict = row[i].conflict}};
		struct service_request q = {.n = 77};
		struct buf detail;
		enum reason r;
		char text[200];

		buf_init(&detail, 512);
		if ((row[i].families & F4) != 0)
			s.families[s.n_families++] = ADDR_V4;
		if ((row[i].families & F6) != 0)
			s.families[s.n_families++] = ADDR_V6;
		check_row = row[i].name;
		r = service_request(&s, &q, &detail);
		CHECK_STR(reason_code(r), reason_code(row[i].want));
		if (r == REASON_ALLOCATED) {
			CHECK_STR(request_text(&q, text, sizeof text), row[i].text);
			CHECK_INT(detail.len, 0);
		} else {
			CHECK_INT(q.n, 77);
			CHECK(detail.p != NULL && strstr(detail.p, row[i].text) != NULL);
		}
		CHECK_INT(service_request(&s, &q, NULL), r);
		buf_free(&detail);
	}
}

static void test_request_protocol(void)
{
	static const struct {
		const char *text;
		enum reason want;
		enum config_protocol protocol;
	} row[] = {
		{NULL, REASON_ALLOCATED, CONFIG_ANY_PROTOCOL},
		{"", REASON_ALLOCATED, CONFIG_ANY_PROTOCOL},
		{"layer2", REASON_ALLOCATED, CONFIG_LAYER2},
		{"bgp", REASON_ALLOCATED, CONFIG_BGP},
		{"vip", REASON_ALLOCATED, CONFIG_VIP},
		{"Layer2", REASON_BAD_REQUEST, CONFIG_ANY_PROTOCOL},
		{"any", REASON_BAD_REQUEST, CONFIG_ANY_PROTOCOL},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct cluster_service s = {.request = {.protocol = row[i].text}};
		struct service_request q = {.n = 0};
		struct buf detail;

		check_row = row[i].text != NULL ? row[i].text : "none";
		buf_init(&detail, 512);
		CHECK_INT(service_request(&s, &q, &detail), row[i].want);
		CHECK_INT(q.protocol, row[i].protocol);
		CHECK((detail.len > 0) == (row[i].want != REASON_ALLOCATED));
		if (detail.len > 0)
			CHECK(strstr(detail.p, "must be layer2, bgp or vip") != NULL);
		buf_free(&detail);
	}
}

static void test_request_long_text(void)
{
	static char ips[5000];
	struct cluster_service s = {.request = {.ips = ips}};
	struct service_request q;
	struct buf detail;

	memset(ips, 'x', sizeof ips - 1);
	buf_init(&detail, 512);
	CHECK_INT(service_request(&s, &q, &detail), REASON_BAD_REQUEST);
	CHECK(!detail.bad && detail.len < 200 && strstr(detail.p, "xxx...\"") != NULL);
	buf_free(&detail);
}

static void test_sharing(void)
{
	static const struct cluster_port tcp80[] = {{CLUSTER_TCP, 80}},
					 udp80[] = {{CLUSTER_UDP, 80}},
					 tcp443[] = {{CLUSTER_TCP, 443}},
					 both[] = {{CLUSTER_TCP, 443}, {CLUSTER_TCP, 80}};
#define WITH(k, l, b, p)                                                                           \
	{                                                                                          \
		.request = {.sharing_key = (k)}, .local = (l), .backend_key = (b), .ports = (p),   \
		.n_ports = ARRAY_LEN(p)                                                            \
	}
	static const struct {
		const char *name;
		struct cluster_service a, b;
		enum service_sharing want;
	} row[] = {
		{"two keys", WITH("k", false, "app=a", tcp80), WITH("k", false, "app=b", tcp443),
			SERVICE_SHARING_OK},
		{"a has none", WITH(NULL, false, "", tcp80), WITH("k", false, "", tcp443),
			SERVICE_SHARING_NO_KEY},
		{"b has none", WITH("k", false, "", tcp80), WITH("", false, "", tcp443),
			SERVICE_SHARING_NO_KEY},
		{"none", WITH(NULL, false, "", tcp80), WITH(NULL, false, "", tcp443),
			SERVICE_SHARING_NO_KEY},
		{"keys differ", WITH("k", false, "", tcp80), WITH("l", false, "", tcp443),
			SERVICE_SHARING_KEY_DIFFERS},
		{"same port", WITH("k", false, "", tcp80), WITH("k", false, "", tcp80),
			SERVICE_SHARING_PORT_TAKEN},
		{"same number, other protocol", WITH("k", false, "", tcp80),
			WITH("k", false, "", udp80), SERVICE_SHARING_OK},
		{"one of two ports", WITH("k", false, "", tcp80), WITH("k", false, "", both),
			SERVICE_SHARING_PORT_TAKEN},
		{"both local, same pods", WITH("k", true, "app=a", tcp80),
			WITH("k", true, "app=a", tcp443), SERVICE_SHARING_OK},
		{"both local, other pods", WITH("k", true, "app=a", tcp80),
			WITH("k", true, "app=b", tcp443), SERVICE_SHARING_BACKEND_DIFFERS},
		{"cluster and local", WITH("k", false, "app=a", tcp80),
			WITH("k", true, "app=a", tcp443), SERVICE_SHARING_BACKEND_DIFFERS},
		{"cluster and local without selector", WITH("k", false, "app=a", tcp80),
			WITH("k", true, "", tcp443), SERVICE_SHARING_OK},
		{"local, no selector text", WITH("k", true, NULL, tcp80),
			WITH("k", true, "", tcp443), SERVICE_SHARING_OK},
	};
#undef WITH

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const struct cluster_port *port = NULL;

		check_row = row[i].name;
		CHECK_INT(service_sharing(&row[i].a, &row[i].b, &port), row[i].want);
		CHECK((port != NULL) == (row[i].want == SERVICE_SHARING_PORT_TAKEN));
		if (port != NULL)
			CHECK_INT(port->port, 80);
		CHECK_INT(service_sharing(&row[i].b, &row[i].a, NULL), row[i].want);
	}
}

static void test_sharing_many_ports(void)
{
	static struct cluster_port pa[1024], pb[1024];
	struct cluster_service a = {.request = {.sharing_key = "k"}, .ports = pa, .n_ports = 1024};
	struct cluster_service b = {.request = {.sharing_key = "k"}, .ports = pb, .n_ports = 1024};
	const struct cluster_port *port = NULL;

	for (unsigned i = 0; i < 1024; i++) {
		pa[i] = (struct cluster_port){CLUSTER_TCP, (uint16_t)(i + 1)};
		pb[i] = (struct cluster_port){
			i % 2 == 0 ? CLUSTER_UDP : CLUSTER_OTHER, (uint16_t)(65535 - i)};
	}
	CHECK_INT(service_sharing(&a, &b, &port), SERVICE_SHARING_OK);
	pb[1023] = (struct cluster_port){CLUSTER_TCP, 1024};
	CHECK_INT(service_sharing(&a, &b, &port), SERVICE_SHARING_PORT_TAKEN);
	CHECK(port == &pb[1023]);
	pa[0].port = 65535;
	pb[7] = pa[0];
	CHECK_INT(service_sharing(&a, &b, &port), SERVICE_SHARING_PORT_TAKEN);
	CHECK(port == &pb[7]);
}

static void test_elder(void)
{
	static const struct {
		const char *name;
		struct cluster_service a, b;
		int want;
	} row[] = {
		{"by time", {.created_s = 10, .uid = "z", .key = "z"},
			{.created_s = 11, .uid = "a", .key = "a"}, -1},
		{"unknown is youngest", {.created_s = 0, .uid = "a", .key = "a"},
			{.created_s = 11, .uid = "z", .key = "z"}, 1},
		{"both unknown, by uid", {.created_s = 0, .uid = "a", .key = "z"},
			{.created_s = 0, .uid = "b", .key = "a"}, -1},
		{"same second, by uid", {.created_s = 5, .uid = "b", .key = "a"},
			{.created_s = 5, .uid = "a", .key = "b"}, 1},
		{"same uid, by key", {.created_s = 5, .uid = "", .key = "n/a"},
			{.created_s = 5, .uid = "", .key = "n/b"}, -1},
		{"itself", {.created_s = 5, .uid = "u", .key = "n/a"},
			{.created_s = 5, .uid = "u", .key = "n/a"}, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		int c = service_elder(&row[i].a, &row[i].b);
		int d = service_elder(&row[i].b, &row[i].a);

		check_row = row[i].name;
		CHECK_INT((c > 0) - (c < 0), row[i].want);
		CHECK_INT((d > 0) - (d < 0), -row[i].want);
	}
}

static void test_turn(void)
{
	static const struct cluster_service a = {.created_s = 5, .uid = "z", .key = "n/a"},
					    b = {.created_s = 5, .uid = "a", .key = "n/b"},
					    young = {.created_s = 6, .uid = "", .key = "a"},
					    unknown = {.created_s = 0, .uid = "", .key = "a"};

	CHECK(service_turn(&a, &b) < 0 && service_turn(&b, &a) > 0);
	CHECK(service_turn(&b, &young) < 0 && service_turn(&young, &b) > 0);
	CHECK(service_turn(&young, &unknown) < 0 && service_turn(&unknown, &young) > 0);
	CHECK_INT(service_turn(&a, &a), 0);
}

CHECK_MAIN("test_service", CHECK_TEST(test_served), CHECK_TEST(test_request),
	CHECK_TEST(test_request_protocol), CHECK_TEST(test_request_long_text),
	CHECK_TEST(test_sharing), CHECK_TEST(test_sharing_many_ports), CHECK_TEST(test_elder),
	CHECK_TEST(test_turn))
