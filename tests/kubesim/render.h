/* SPDX-License-Identifier: Apache-2.0
 *
 * render.h - objects as the client asked for them: JSON, Table, PartialObjectMetadata.
 */
#ifndef KUBESIM_RENDER_H
#define KUBESIM_RENDER_H

#include "store.h"

enum form { FORM_JSON, FORM_TABLE, FORM_PARTIAL };

struct render {
	const struct kind *kind; /* as asked for */
	const struct coll *coll; /* where the objects are kept */
	enum form form;
	const char *meta_version; /* of Tables: "v1" or "v1beta1" */
	enum { INCLUDE_METADATA, INCLUDE_OBJECT, INCLUDE_NONE } include; /* in table rows */
};

struct list_meta {
	uint64_t rv;
	const char *next; /* continue token, NULL = none */
	uint64_t remaining;
	bool has_remaining;
};

/* From an Accept header. False: nothing we have is acceptable. */
bool render_accept(struct render *r, const char *accept);
void render_object(const struct render *r, struct version *v, struct text *out);
void render_list(const struct render *r, struct version *const *v, size_t n,
	const struct list_meta *meta, struct text *out);
/* In a watch: the columns come with the first event only. */
void render_event(const struct render *r, struct version *v, bool first, struct text *out);
void render_bookmark(const struct render *r, uint64_t rv, bool initial_end, struct text *out);

#endif
