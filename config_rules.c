/* SPDX-License-Identifier: Apache-2.0
 *
 * config_rules.c - what must hold between the fields of one record.
 *
 * Sources: MetalLB internal/config/config.go (peers, advertisements), client-go leaderelection
 * (LeaseDuration > RenewDeadline > JitterFactor * RetryPeriod), RFC 4271 4.2 and 10 (timers),
 * RFC 5082 (GTSM), metav1.LabelSelectorRequirement.
 */
#include "config_rules.h"

#include "config_scalar.h"
#include "json.h"

#include <string.h>

static bool is_given(const struct config_at *at, const cJSON *obj, const char *name)
{
	char s[CONFIG_MAX_KEY];
	const cJSON *v = json_get(obj, config_at_key(at, name, s));

	return v != NULL && !cJSON_IsNull(v);
}

/* -- peers -- */

static void rule_one_of(struct config_at *at, const cJSON *obj, bool a, bool b, const char *first,
	const char *second)
{
	char s[CONFIG_MAX_KEY], t[CONFIG_MAX_KEY];
	const char *x = config_at_key(at, first, s), *y = config_at_key(at, second, t);

	if (!a && !b)
		config_error_field(at, obj, first, "must be given, or %s (got neither)", y);
	else if (a && b)
		config_error_field(at, obj, second, "must not be given with %s (got both)", x);
}

static void rule_peer_password(struct config_at *at, const cJSON *obj, const struct config_peer *p)
{
	bool secret = p->password_secret.name != NULL || p->password_secret.namespace_ != NULL;

	if (secret && p->password_secret.name == NULL)
		config_error_field(at, obj, "passwordSecret", "must have a name (got none)");
	if ((p->password != NULL) + secret + (p->password_file != NULL) > 1)
		config_error_field(at, obj, secret ? "passwordSecret" : "passwordFile",
			"must be the only one of password, passwordSecret, passwordFile (got "
			"several)");
	if (p->tcp_ao.present && (p->password != NULL || secret || p->password_file != NULL))
		config_warn_field(at, obj, "tcpAO", "takes the place of the password (got both)");
}

/* MetalLB: keepalive is a third of hold, hold three times keepalive, when only one is given. */
static void rule_peer_timers(struct config_at *at, const cJSON *obj, struct config_peer *p)
{
	bool hold = is_given(at, obj, "holdTime"), keepalive = is_given(at, obj, "keepaliveTime");
	char got[CONFIG_DURATION_STRLEN], limit[CONFIG_DURATION_STRLEN];

	if (hold && !keepalive)
		p->keepalive_time_ms = p->hold_time_ms / 3;
	if (keepalive && !hold)
		p->hold_time_ms = p->keepalive_time_ms * 3;
	if (p->hold_time_ms > 65535000 || (p->hold_time_ms != 0 && p->hold_time_ms < 3000))
		config_error_field(at, obj, "keepaliveTime",
			"must be 1s..21845s when holdTime is not given (got %s)",
			config_duration_format(p->keepalive_time_ms, got));
	else if (p->keepalive_time_ms > p->hold_time_ms)
		config_error_field(at, obj, "keepaliveTime",
			"must not be longer than holdTime, %s (got %s)",
			config_duration_format(p->hold_time_ms, limit),
			config_duration_format(p->keepalive_time_ms, got));
}

static void rule_peer_addresses(struct config_at *at, const cJSON *obj, const struct config_peer *p)
{
	char got[ADDR_STRLEN];

	if (p->has_router_id && addr_family(p->router_id) != ADDR_V4)
		config_error_field(at, obj, "routerID", "must be an IPv4 address (got %s)",
			addr_format(p->router_id, got));
	if (p->has_peer_address && p->has_source_address &&
		addr_family(p->peer_address) != addr_family(p->source_address))
		config_error_field(at, obj, "sourceAddress",
			"must be of the family of the peer's address (got %s)",
			addr_format(p->source_address, got));
}

static void rule_peer(struct config_at *at, const cJSON *obj, struct config_peer *p)
{
	rule_one_of(at, obj, p->peer_asn != 0, p->dynamic_asn != NULL, "peerASN", "dynamicASN");
	rule_one_of(at, obj, p->has_peer_address, p->interface != NULL, "peerAddress", "interface");
	rule_peer_addresses(at, obj, p);
	rule_peer_timers(at, obj, p);
	rule_peer_password(at, obj, p);
	if (p->ebgp_multi_hop && p->peer_asn == p->my_asn)
		config_error_field(at, obj, "ebgpMultiHop",
			"must not be true for a peer of our own AS (got true)");
	if (p->ebgp_multi_hop && p->ttl_security != 0)
		config_error_field(at, obj, "ttlSecurity",
			"must be 0 with ebgpMultiHop: say the hops here alone (got %u)",
			p->ttl_security);
}

/* -- advertisements, pools, selectors -- */

static void rule_bgp(
	struct config_at *at, const cJSON *obj, const struct config_bgp_advertisement *ad)
{
	if (ad->service_selectors.n == 0)
		return;
	if (ad->aggregation_length != 32)
		config_error_field(at, obj, "aggregationLength",
			"must be 32 with serviceSelectors (got %u)", ad->aggregation_length);
	if (ad->aggregation_length_v6 != 128)
		config_error_field(at, obj, "aggregationLengthV6",
			"must be 128 with serviceSelectors (got %u)", ad->aggregation_length_v6);
}

static void rule_bfd(struct config_at *at, const cJSON *obj, const struct config_bfd_profile *p)
{
	if (p->echo_mode)
		config_warn_field(at, obj, "echoMode",
			"is refused to the peer: its packets alone tell whether it is there (got "
			"true)");
}

static void rule_legacy_pool(
	struct config_at *at, const cJSON *obj, const struct config_legacy_pool *p)
{
	if (strcmp(p->protocol, "layer2") == 0 && p->n_advertisements > 0)
		config_error_field(at, obj, "bgpAdvertisements",
			"must not be given with protocol layer2 (got a list)");
}

static void rule_expression(struct config_at *at, const cJSON *obj, const struct label_expr *e)
{
	bool wants = e->op == LABEL_IN || e->op == LABEL_NOT_IN;

	if (wants && e->n_values == 0)
		config_error_field(
			at, obj, "values", "must have values for In and NotIn (got none)");
	if (!wants && e->n_values > 0)
		config_error_field(at, obj, "values",
			"must be empty for Exists and DoesNotExist (got a list)");
}

/* -- elections -- */

static void rule_node_lease(
	struct config_at *at, const cJSON *obj, const struct config_elections *e)
{
	char got[CONFIG_DURATION_STRLEN], limit[CONFIG_DURATION_STRLEN];

	if (e->node_duration_ms < 2 * e->node_renew_ms)
		config_error_field(at, obj, "duration", "must be at least twice renew, %s (got %s)",
			config_duration_format(2 * e->node_renew_ms, limit),
			config_duration_format(e->node_duration_ms, got));
}

static void rule_leader_lease(
	struct config_at *at, const cJSON *obj, const struct config_elections *e)
{
	char got[CONFIG_DURATION_STRLEN], limit[CONFIG_DURATION_STRLEN];

	if (e->leader_renew_deadline_ms >= e->leader_duration_ms)
		config_error_field(at, obj, "renewDeadline",
			"must be shorter than duration, %s (got %s)",
			config_duration_format(e->leader_duration_ms, limit),
			config_duration_format(e->leader_renew_deadline_ms, got));
	if (5 * e->leader_renew_deadline_ms <= 6 * e->leader_retry_period_ms)
		config_error_field(at, obj, "retryPeriod",
			"must be shorter than renewDeadline / 1.2, %s (got %s)",
			config_duration_format(e->leader_renew_deadline_ms * 5 / 6, limit),
			config_duration_format(e->leader_retry_period_ms, got));
}

void config_rules_record(
	struct config_at *at, enum config_record_id id, const cJSON *obj, void *rec)
{
	switch (id) {
	case CONFIG_PEER:
		rule_peer(at, obj, rec);
		break;
	case CONFIG_BGP_ADVERTISEMENT:
		rule_bgp(at, obj, rec);
		break;
	case CONFIG_BFD_PROFILE:
		rule_bfd(at, obj, rec);
		break;
	case CONFIG_LEGACY_POOL:
		rule_legacy_pool(at, obj, rec);
		break;
	case CONFIG_EXPRESSION:
		rule_expression(at, obj, rec);
		break;
	case CONFIG_NODE_LEASE:
		rule_node_lease(at, obj, rec);
		break;
	case CONFIG_LEADER_LEASE:
		rule_leader_lease(at, obj, rec);
		break;
	case CONFIG_ROOT:
	case CONFIG_POOL:
	case CONFIG_L2_ADVERTISEMENT:
	case CONFIG_COMMUNITY:
	case CONFIG_SELECTOR:
	case CONFIG_OTHER:
		break;
	}
}
