/* uses: doctor doctor_proc doctor_rules json */
/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_doctor.c - text of /proc and of firewalls, the first byte says which, into lbd doctor.
 *
 * What must hold for any input: what is printed is ASCII, each check says something, and no route
 * has bits behind its length.
 */
#include "doctor.h"
#include "doctor_proc.h"
#include "doctor_rules.h"
#include "json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 10 };

static void on_socket(void *ctx, bool tcp, uint16_t port, uint64_t inode)
{
	struct doctor_host *h = ctx;

	(void)inode;
	if (h->n_ports < DOCTOR_MAX_PORTS)
		h->ports[h->n_ports++] = (struct doctor_port){.tcp = tcp, .port = port};
}

static void read_rules(unsigned kind, const char *text, size_t len, struct doctor_firewall *w)
{
	cJSON *tree = kind == 0 ? json_parse(text, len) : NULL;

	w->program = "nft";
	if (kind == 0)
		doctor_rules_nft(tree, len % 2 != 0, w->verdict);
	else
		doctor_rules_iptables(text, len, w->verdict);
	cJSON_Delete(tree);
}

static void read_text(unsigned kind, const char *text, size_t len, struct doctor_facts *f)
{
	switch (kind) {
	case 0:
	case 1:
		read_rules(kind, text, len, &f->firewall);
		break;
	case 2:
		doctor_proc_route(text, len, &f->host);
		break;
	case 3:
		doctor_proc_route6(text, len, &f->host);
		break;
	case 4:
		doctor_proc_fib_trie(text, len, &f->host);
		break;
	case 5:
		doctor_proc_if_inet6(text, len, &f->host);
		break;
	case 6:
		doctor_proc_sockets(text, len, true, on_socket, &f->host);
		break;
	case 7:
		f->host.has_caps = doctor_proc_caps(text, len, "CapEff:", &f->host.caps);
		break;
	case 8:
		f->host.real_time = doctor_proc_real_time(text, len);
		break;
	default:
		doctor_proc_kube_proxy(text, len, &f->api);
		break;
	}
}

static void check_output(const struct doctor_report *r)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	doctor_text(r, &out);
	REQUIRE(!out.bad);
	for (size_t i = 0; i < out.len; i++)
		REQUIRE((out.p[i] >= ' ' && out.p[i] <= '~') || out.p[i] == '\n');
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct doctor_facts *f = calloc(1, sizeof *f);
	struct doctor_report *r = calloc(1, sizeof *r);

	REQUIRE(f != NULL && r != NULL);
	f->firewall.why = f->wire.why = "it was not read";
	f->host.has_routes = f->host.has_ports = f->host.has_own = true;
	if (size > 0)
		read_text(data[0] % KINDS, (const char *)data + 1, size - 1, f);
	for (size_t i = 0; i < f->host.n_routes; i++)
		REQUIRE(addr_eq(
			addr_prefix_of(f->host.routes[i].to.base, f->host.routes[i].to.len).base,
			f->host.routes[i].to.base));
	doctor_examine(f, r);
	REQUIRE(r->n >= 21);
	check_output(r);
	free(r);
	free(f);
	return 0;
}
