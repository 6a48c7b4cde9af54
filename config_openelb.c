/* SPDX-License-Identifier: Apache-2.0
 *
 * config_openelb.c - OpenELB's BgpConf and BgpPeer -> peers.
 *
 * In:   their specs, gobgp's structures; the field tables say what may stand in them.
 * Out:  peers of dialect 1.  All of them have the AS of the BgpConf named default, which may come
 * last. Sources: OpenELB api/v1alpha2, gobgp's api.Global and api.Peer. Not done: policies,
 * add-path limits, listenPort: read and not used.
 */
#include "config_openelb.h"

#include "config_scalar.h"
#include "json.h"

#include <string.h>

static const char rack_label[] = "openelb.kubesphere.io/rack";

/* -- BgpConf -- */

static void check_racks(struct config_decoder *d, const cJSON *spec)
{
	const cJSON *racks = json_get(spec, "asPerRack");
	char got[CONFIG_GOT_STRLEN];
	size_t up = config_at_key_down(&d->at, "asPerRack");

	if (racks != NULL && !cJSON_IsNull(racks) && !cJSON_IsObject(racks))
		config_error(
			&d->at, racks, "must be a map (got %s)", config_got(&d->at, racks, got));
	racks = json_object(spec, "asPerRack");
	for (const cJSON *c = racks != NULL ? racks->child : NULL; c != NULL; c = c->next) {
		size_t in = config_at_key_down(&d->at, c->string);
		double v = cJSON_IsNumber(c) ? c->valuedouble : 0;

		if (!(v >= 1 && v <= UINT32_MAX) || (double)(uint32_t)v != v)
			config_error(&d->at, c, "must be a whole number 1..4294967295 (got %s)",
				config_got(&d->at, c, got));
		config_at_up(&d->at, in);
	}
	config_at_up(&d->at, up);
}

void config_openelb_conf(struct config_decoder *d, const cJSON *spec, const cJSON *node)
{
	const struct config_mark *m = &d->bgp_conf_mark;
	char got[ADDR_STRLEN];

	if (d->bgp_conf_spec != NULL) {
		config_error(&d->at, node, "must be given once, %s:%u has it",
			m->file != NULL ? m->file : "the API", m->line);
		return;
	}
	d->bgp_conf_spec = spec;
	d->bgp_conf_mark = config_at_mark(&d->at, node);
	config_decode_defaults(d, config_bgp_conf_record(), &d->bgp_conf);
	(void)config_decode_map(d, config_bgp_conf_record(), spec, &d->bgp_conf);
	if (d->bgp_conf.has_router_id && addr_family(d->bgp_conf.router_id) != ADDR_V4)
		config_error_field(&d->at, spec, "routerId", "must be an IPv4 address (got %s)",
			addr_format(d->bgp_conf.router_id, got));
	check_racks(d, spec);
}

/* -- BgpPeer -- */

/* gobgp's timers are whole seconds, strings in JSON.  False when it is not given or wrong. */
static bool read_seconds(struct config_decoder *d, const cJSON *timers, const char *name,
	const char *text, unsigned min, uint64_t *ret_ms)
{
	char got[CONFIG_GOT_STRLEN];
	unsigned long v;

	if (text == NULL)
		return false;
	v = strlen(text) <= 5 ? strtoul(text, NULL, 10) : 65536;
	if (strspn(text, "0123456789") != strlen(text) || v > 65535 || (v != 0 && v < min)) {
		config_error_field(&d->at, timers, name,
			"must be a number of seconds, 0 or %u..65535 (got %s)", min,
			config_got_text(text, got));
		return false;
	}
	*ret_ms = (uint64_t)v * 1000;
	return true;
}

static void read_timers(struct config_decoder *d, const cJSON *spec, struct config_bgp_peer *p)
{
	const cJSON *timers = json_object(json_object(spec, "timers"), "config");
	size_t up = config_at_key_down(&d->at, "timers");
	uint64_t connect_ms = 0;
	bool hold, keepalive;

	(void)config_at_key_down(&d->at, "config");
	hold = read_seconds(d, timers, "holdTime", p->hold_time, 3, &p->peer.hold_time_ms);
	keepalive = read_seconds(
		d, timers, "keepaliveInterval", p->keepalive, 1, &p->peer.keepalive_time_ms);
	if (hold && !keepalive)
		p->peer.keepalive_time_ms = p->peer.hold_time_ms / 3;
	if (p->peer.keepalive_time_ms > p->peer.hold_time_ms)
		config_error_field(&d->at, timers, "keepaliveInterval",
			"must not be longer than holdTime, %llu (got %s)",
			(unsigned long long)(p->peer.hold_time_ms / 1000), p->keepalive);
	if (read_seconds(d, timers, "connectRetry", p->connect_retry, 1, &connect_ms) &&
		connect_ms != 0)
		p->peer.connect_time_ms = connect_ms;
	config_at_up(&d->at, up);
}

static void read_families(struct config_bgp_peer *p)
{
	bool v4 = false, v6 = false;

	for (size_t i = 0; i < p->n_afi_safis; i++) {
		const struct config_afi_safi *a = &p->afi_safis[i];

		v4 |= a->enabled && a->afi != NULL && strcmp(a->afi, "AFI_IP") == 0;
		v6 |= a->enabled && a->afi != NULL && strcmp(a->afi, "AFI_IP6") == 0;
	}
	p->peer.dual_stack_address_family = v4 && v6;
}

static void read_nodes(struct config_decoder *d, struct config_bgp_peer *p)
{
	struct selector *sel;

	if (p->node_selector.n_match_labels == 0 && p->node_selector.n_exprs == 0)
		return; /* all nodes */
	sel = arena_alloc(d->arena, sizeof *sel);
	if (sel == NULL) {
		d->no_memory = true;
		return;
	}
	*sel = p->node_selector;
	p->peer.node_selectors = (struct selectors){sel, 1};
}

static void check_address(
	struct config_decoder *d, const cJSON *spec, const struct config_bgp_peer *p)
{
	const cJSON *conf = json_object(spec, "conf");
	size_t up = config_at_key_down(&d->at, "conf");

	if (p->peer.has_peer_address && p->peer.interface != NULL)
		config_error_field(&d->at, conf, "neighborInterface",
			"must not be given with neighborAddress (got both)");
	else if (!p->peer.has_peer_address && p->peer.interface == NULL)
		config_error_field(&d->at, conf, "neighborAddress",
			"must be given, or neighborInterface (got neither)");
	config_at_up(&d->at, up);
}

void config_openelb_peer(struct config_decoder *d, const cJSON *spec, struct config_peer *peer)
{
	struct config_bgp_peer p = {.peer = *peer};

	config_decode_defaults(d, config_bgp_peer_record(), &p);
	if (!config_decode_map(d, config_bgp_peer_record(), spec, &p))
		return;
	check_address(d, spec, &p);
	read_timers(d, spec, &p);
	read_families(&p);
	read_nodes(d, &p);
	*peer = p.peer;
}

/* -- both -- */

/* Of the rack that the peer is for, else the common one. */
static uint32_t our_as(const struct config_decoder *d, const struct config_peer *p)
{
	const cJSON *racks = json_object(d->bgp_conf_spec, "asPerRack"), *as = NULL;

	if (p->node_selectors.n > 0) {
		const struct selector *s = &p->node_selectors.v[0];

		for (size_t i = 0; i < s->n_match_labels; i++)
			if (strcmp(s->match_labels[i].key, rack_label) == 0)
				as = json_get(racks, s->match_labels[i].value);
	}
	return as != NULL ? (uint32_t)as->valuedouble : d->bgp_conf.as;
}

static void complete(const struct config_decoder *d, struct config_peer *p)
{
	if (p->my_asn == 0)
		p->my_asn = our_as(d, p);
	if (!p->has_router_id && d->bgp_conf.has_router_id) {
		p->router_id = d->bgp_conf.router_id;
		p->has_router_id = true;
	}
	p->enable_graceful_restart |= d->bgp_conf.graceful_restart;
	p->ebgp_multi_hop &= p->my_asn != p->peer_asn; /* it says nothing of our own AS */
}

static void leave_out(struct config_decoder *d, size_t i)
{
	struct config_items *items = &d->items[CONFIG_PEER];
	const struct config_origin *o = &items->origins[i];
	size_t size = config_list_record(CONFIG_PEER)->size;

	d->at.in = o->in;
	d->at.subject = o->subject;
	config_at_up(&d->at, 0);
	config_warn(&d->at, o->node, "there is no BgpConf named default to give our AS: ignored");
	items->n--;
	memmove(items->v + i * size, items->v + (i + 1) * size, (items->n - i) * size);
	memmove(items->origins + i, items->origins + i + 1, (items->n - i) * sizeof *o);
}

void config_openelb_end(struct config_decoder *d)
{
	struct config_items *items = &d->items[CONFIG_PEER];

	for (size_t i = 0; i < items->n;) {
		struct config_peer *p = (struct config_peer *)(void *)items->v + i;
		bool ours = items->origins[i].in->dialects == CONFIG_IN_EIP;

		if (ours && p->my_asn == 0 && d->bgp_conf_spec == NULL) {
			leave_out(d, i);
			continue;
		}
		if (ours)
			complete(d, p);
		i++;
	}
}
