/* SPDX-License-Identifier: Apache-2.0
 *
 * convert.c - events.k8s.io/v1 Events over core/v1 Events: one store, two forms.
 *
 * In: an Event in one form.  Out: the same in the other.
 * Source: pkg/apis/events/v1/conversion.go.
 */
#include "kinds.h"

static const struct {
	const char *core, *events;
} names[] = {
	{"involvedObject", "regarding"},
	{"message", "note"},
	{"reportingComponent", "reportingController"},
	{"source", "deprecatedSource"},
	{"firstTimestamp", "deprecatedFirstTimestamp"},
	{"lastTimestamp", "deprecatedLastTimestamp"},
	{"count", "deprecatedCount"},
};

static void rename_member(cJSON *obj, const char *from, const char *to)
{
	cJSON *v = cJSON_DetachItemFromObjectCaseSensitive(obj, from);

	if (v)
		j_set(obj, to, v);
}

void event_to_core(cJSON *obj)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		rename_member(obj, names[i].events, names[i].core);
	j_set_str(obj, "apiVersion", "v1");
}

void event_from_core(cJSON *obj)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		rename_member(obj, names[i].core, names[i].events);
	j_set_str(obj, "apiVersion", "events.k8s.io/v1");
}
