/* SPDX-License-Identifier: Apache-2.0
 *
 * test_doctor_proc.c - what lbd doctor reads out of files of /proc.
 */
#include "doctor_proc.h"

#include "check.h"

static struct doctor_host *host_new(void)
{
	struct doctor_host *h = calloc(1, sizeof *h);

	if (h == NULL)
		abort();
	return h;
}

static const char route[] =
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	"eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
	"eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
	"eth1\t0500000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
	"*\t0000A8C0\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" /* refused */
	"eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FF00FF\t0\t0\t0\n"
	"an-interface-whose-name-is-too-long\t0000000B\t00000000\t1\t0\t0\t100\t000000FF\t0\t0\t0\n"
	"eth0\tzz\t00000000\t0001\t0\t0\t100\t00FFFFFF\neth0\n\n\teth0";

static const char route6[] =
	"fd000089000000000000000000000000 40 00000000000000000000000000000000 00 "
	"00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
	"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
	"00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
	"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	"fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
	"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	"00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
	"fd000089000000000000000000000000 ff 00000000000000000000000000000000 00 "
	"00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
	"fd0000890000000000000000000000000 40\n";

static void test_routes(void)
{
	static const struct {
		const char *to, *iface;
		bool on_link;
	} want[] = {
		{"0.0.0.0/0", "eth0", false},
		{"10.0.0.0/24", "eth0", true},
		{"10.0.0.5/32", "eth1", false},
		{"11.0.0.0/8", "an-interface-wh", true},
		{"fd00:89::/64", "eth0", true},
		{"::/0", "eth0", false},
	};
	struct doctor_host *h = host_new();
	char text[ADDR_PREFIX_STRLEN];

	doctor_proc_route(route, sizeof route - 1, h);
	doctor_proc_route6(route6, sizeof route6 - 1, h);
	CHECK_INT(h->n_routes, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want) && i < h->n_routes; i++) {
		CHECK_STR(addr_prefix_format(h->routes[i].to, text), want[i].to);
		CHECK_STR(h->routes[i].iface, want[i].iface);
		CHECK_INT(h->routes[i].on_link, want[i].on_link);
	}
	free(h);
}

static const char fib_trie[] = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
			       "     |-- 10.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.255\n"
			       "        /32 link BROADCAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n"
			       "     |-- 10.0.0.1\n        /32 host LOCAL\n     |-- junk\n        /32 host LOCAL\n";
static const char if_inet6[] =
	"00000000000000000000000000000001 01 80 10 80       lo\n"
	"fd00008900000000000000000000000b 02 40 00 80     eth0\n"
	"fe80000000000000000000000000000b 02 40 20 80     eth0\n";

static void test_own(void)
{
	struct doctor_host *h = host_new();
	char text[ADDR_STRLEN];

	doctor_proc_fib_trie(fib_trie, sizeof fib_trie - 1, h);
	doctor_proc_if_inet6(if_inet6, sizeof if_inet6 - 1, h);
	CHECK_INT(h->n_own, 2);
	CHECK_STR(addr_format(h->own[0], text), "10.0.0.1");
	CHECK_STR(addr_format(h->own[1], text), "fd00:89::b");
	free(h);
}

struct sockets {
	char text[256];
};

static void on_socket(void *ctx, bool tcp, uint16_t port, uint64_t inode)
{
	struct sockets *s = ctx;
	const size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof s->text - n, "%s/%u/%llu ", tcp ? "tcp" : "udp", port,
		(unsigned long long)inode);
}

static void test_sockets(void)
{
	static const char tcp[] =
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
		"timeout inode\n"
		"   0: 00000000:00B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
		"0 4711 1 0000000000000000 100 0 0 10 0\n"
		"   1: 0100007F:1D30 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        "
		"0 4712 1 0000000000000000 100 0 0 10 0\n"
		"   2: 00000000:FFFFF 00000000:0000 0A 0 0 0 0 0 4713\n";
	static const char udp6[] =
		"  100: 00000000000000000000000000000000:0EC8 00000000000000000000000000000000:0000 07 "
		"00000000:00000000 00:00000000 00000000     0        0 4714 2 0000000000000000 0\n";
	struct sockets s = {""};

	doctor_proc_sockets(tcp, sizeof tcp - 1, true, on_socket, &s);
	doctor_proc_sockets(udp6, sizeof udp6 - 1, false, on_socket, &s);
	CHECK_STR(s.text, "tcp/179/4711 udp/3784/4714 ");
}

static void test_process(void)
{
	static const char status[] = "Name:\tlbd\nCapEff:\t00000000000034ff\nCapBnd:\tzz\n";
	static const char rr[] = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 -2 0 1 0 1 1 1 1 1 1 1 1 1 0 "
				 "0 0 0 0 0 0 17 1 1 2 0 0 0 0 0 0 0 0 0 0 0\n";
	static const char other[] = "7 (lbd) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 1 1 1 1 1 1 1 1 1 "
				    "0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
	uint64_t caps = 0;

	CHECK(doctor_proc_caps(status, sizeof status - 1, "CapEff:", &caps));
	CHECK_INT(caps, 0x34ff);
	CHECK(!doctor_proc_caps(status, sizeof status - 1, "CapBnd:", &caps));
	CHECK(!doctor_proc_caps(status, sizeof status - 1, "CapPrm:", &caps));
	CHECK_INT(doctor_proc_real_time(rr, sizeof rr - 1), DOCTOR_YES);
	CHECK_INT(doctor_proc_real_time(other, sizeof other - 1), DOCTOR_NO);
	CHECK_INT(doctor_proc_real_time("7 (lbd", 6), DOCTOR_UNKNOWN);
	CHECK_INT(doctor_proc_real_time("7 (lbd) S 1", 11), DOCTOR_UNKNOWN);
}

static void test_kube_proxy(void)
{
	static const struct {
		const char *name, *text;
		enum doctor_known ipvs, strict_arp;
	} rows[] = {
		{"empty", "", DOCTOR_NO, DOCTOR_NO},
		{"iptables", "mode: \"\"\nipvs:\n  strictARP: false\n", DOCTOR_NO, DOCTOR_NO},
		{"lax", "ipvs:\n  strictARP: false\nmode: ipvs\n", DOCTOR_YES, DOCTOR_NO},
		{"strict", "ipvs:\n  strictARP: true\nmode: \"ipvs\"", DOCTOR_YES, DOCTOR_YES},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct doctor_api *a = calloc(1, sizeof *a);

		if (a == NULL)
			abort();
		check_row = rows[i].name;
		doctor_proc_kube_proxy(rows[i].text, strlen(rows[i].text), a);
		CHECK_INT(a->ipvs, rows[i].ipvs);
		CHECK_INT(a->strict_arp, rows[i].strict_arp);
		free(a);
	}
	check_row = "";
}

/* More lines than there is room for, and one without an end. */
static void test_limits(void)
{
	enum { LINES = DOCTOR_MAX_ROUTES + 10, LONG = 100000 };
	static const char line[] = "eth0\t0000000A\t0\t1\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
	struct doctor_host *h = host_new();
	char *text = malloc(LINES * (sizeof line - 1));

	if (text == NULL)
		abort();
	for (size_t i = 0; i < LINES; i++)
		memcpy(text + i * (sizeof line - 1), line, sizeof line - 1);
	doctor_proc_route(text, LINES * (sizeof line - 1), h);
	CHECK_INT(h->n_routes, DOCTOR_MAX_ROUTES);
	memset(text, 'x', LONG);
	doctor_proc_route6(text, LONG, h);
	doctor_proc_if_inet6(text, LONG, h);
	doctor_proc_fib_trie(text, LONG, h);
	CHECK_INT(h->n_own, 0);
	free(text);
	free(h);
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_routes), CHECK_TEST(test_own),
		CHECK_TEST(test_sockets), CHECK_TEST(test_process), CHECK_TEST(test_kube_proxy),
		CHECK_TEST(test_limits)};

	return check_main("test_doctor_proc", tests, ARRAY_LEN(tests));
}
