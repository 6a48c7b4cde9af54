/* SPDX-License-Identifier: Apache-2.0
 *
 * kinds.h - the table of resource kinds. One row is all that a kind needs to be served; what is
 * special about it (defaults, validation, printed columns, selectable fields) are pointers in the
 * row. CustomResourceDefinitions add rows at run time.
 */
#ifndef KUBESIM_KINDS_H
#define KUBESIM_KINDS_H

#include "jsn.h"

#include <time.h>

enum { KIND_FIELDS_MAX = 12 };

struct admit; /* admit.h */

/* A column of a printed table; wide ones are shown with -o wide only. */
struct column {
	const char *name, *type;
	bool wide;
};

enum kind_flags {
	KIND_NAMESPACED = 1u << 0,
	KIND_STATUS = 1u << 1,         /* has a status subresource */
	KIND_CREATE_ON_PUT = 1u << 2,  /* PUT of what is not there creates it */
	KIND_BLIND_PUT = 1u << 3,      /* PUT without a resourceVersion is taken */
	KIND_CUSTOM = 1u << 4,         /* from a CRD: no strategic merge, generation counted */
	KIND_RETURN_DELETED = 1u << 5, /* DELETE answers with the object, not with a Status */
	KIND_CREATE_ONLY = 1u << 6,    /* a review: POST is answered, nothing is kept */
	KIND_SINCE_1_21 = 1u << 7,     /* absent with an old --kube-version or --no-discovery-v1 */
	KIND_UNTIL_1_20 = 1u << 8,     /* present only then */
	KIND_GONE = 1u << 9,           /* its CRD was deleted: served as 404 */
};

struct kind {
	const char *group, *version, *plural, *kind;
	const char *shorts;     /* comma-separated, may be "" */
	unsigned flags;         /* enum kind_flags */
	const char *categories; /* comma-separated, may be NULL */
	/* Fields that selectors may name beside metadata.name and metadata.namespace. */
	const char *fields[KIND_FIELDS_MAX];
	const char *schema; /* schema.h; NULL = anything goes */
	/* Defaults and validation of a create (a->old NULL) or update; errors go to a. */
	void (*admit)(struct admit *a);
	const struct column *columns; /* NULL = Name and Age */
	/* Appends the cells of all columns. */
	void (*cells)(const cJSON *obj, cJSON *cells, time_t now);
	/* Another kind's objects in this kind's form (events.k8s.io): where they are kept. */
	const char *stored_group;
	void (*to_stored)(cJSON *obj);
	void (*from_stored)(cJSON *obj);
	char *owned; /* owned; the strings of a kind from a CRD, in one block */
};

struct kinds {
	struct kind **v; /* owned */
	size_t n, cap;
	bool old; /* as a server before 1.21: see KIND_UNTIL_1_20 */
};

void kinds_init(struct kinds *ks, bool old);
void kinds_free(struct kinds *ks);
/* NULL when there is none such served. */
const struct kind *kinds_find(
	const struct kinds *ks, const char *group, const char *version, const char *plural);
/* Any version. */
const struct kind *kinds_find_any(const struct kinds *ks, const char *group, const char *plural);
bool kind_is_served(const struct kinds *ks, const struct kind *k);
/* From a CustomResourceDefinition object: adds or revives its rows. */
void kinds_add_crd(struct kinds *ks, const cJSON *crd);
void kinds_drop_crd(struct kinds *ks, const cJSON *crd);
void kind_api_version(const struct kind *k, char *out, size_t len); /* "v1", "apps/v1" */

/* columns.c: the printed columns and cells of the built-in kinds. */
extern const struct column service_columns[], node_columns[], pod_columns[], endpoints_columns[],
	slice_columns[], lease_columns[], event_columns[], configmap_columns[], namespace_columns[],
	secret_columns[], account_columns[], crd_columns[];
void service_cells(const cJSON *obj, cJSON *cells, time_t now);
void node_cells(const cJSON *obj, cJSON *cells, time_t now);
void pod_cells(const cJSON *obj, cJSON *cells, time_t now);
void endpoints_cells(const cJSON *obj, cJSON *cells, time_t now);
void slice_cells(const cJSON *obj, cJSON *cells, time_t now);
void lease_cells(const cJSON *obj, cJSON *cells, time_t now);
void event_cells(const cJSON *obj, cJSON *cells, time_t now);
void configmap_cells(const cJSON *obj, cJSON *cells, time_t now);
void namespace_cells(const cJSON *obj, cJSON *cells, time_t now);
void secret_cells(const cJSON *obj, cJSON *cells, time_t now);
void account_cells(const cJSON *obj, cJSON *cells, time_t now);
void crd_cells(const cJSON *obj, cJSON *cells, time_t now);

/* convert.c: events.k8s.io/v1 over core/v1 Events. */
void event_to_core(cJSON *obj);
void event_from_core(cJSON *obj);

#endif
