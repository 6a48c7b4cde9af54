/* SPDX-License-Identifier: Apache-2.0
 *
 * crd.h - the API's objects that say which pools there are (configFrom: cluster): kept as they are,
 * and made one configuration together with the file.  Pure.
 *
 * Kinds: MetalLB's and OpenELB's custom resources, MetalLB's ConfigMap.  The order of the objects
 * is kind, namespace, name, so that equal objects give equal configurations on every node.
 *
 * What is deleted stays for a while.  With a kind (its CustomResourceDefinition) all its objects go
 * one after the other, and then the kind itself: that must not change every address of a cluster.
 * So a deletion counts CRD_DELETED_MS after the last of its kind, and that of the last object only
 * when a list of CRD_EMPTIED_MS later shows that the kind is still served and empty.
 */
#ifndef LBD_CRD_H
#define LBD_CRD_H

#include "base.h"
#include "config.h"
#include "crdstat.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in one place. */
enum {
	CRD_MAX_OBJECTS = 4096,
	CRD_MAX_BYTES = CONFIG_MAX_BYTES / 2, /* of all objects; the file has the other half */
	CRD_DELETED_MS = 2000,
	CRD_EMPTIED_MS = 20 * 1000,
};

/* In the order of the configuration. */
enum crd_kind {
	CRD_IP_ADDRESS_POOL,
	CRD_ADDRESS_POOL,
	CRD_CONFIG_MAP,
	CRD_EIP,
	CRD_L2_ADVERTISEMENT,
	CRD_COMMUNITY,
	CRD_BFD_PROFILE,
	CRD_BGP_ADVERTISEMENT,
	CRD_BGP_PEER,
	CRD_OPENELB_CONF,
	CRD_OPENELB_PEER,
	CRD_KINDS
};

struct crd_row {
	const char *kind;
	const char *group;          /* "" = core */
	const char *api_version[2]; /* best first; NULL = no other */
	const char *path[2];
	const char *field_selector; /* NULL = all objects */
};
const struct crd_row *crd_row(enum crd_kind kind);

/* To be read only; valid until the next call that takes the set. */
struct crd_object {
	enum crd_kind kind;
	char *namespace_, *name, *uid, *version; /* owned; namespace_ "": cluster scoped */
	char *text;                              /* owned: JSON, without what lbd does not read */
	size_t len;
	char *subject;        /* owned: "KIND/NAMESPACE/NAME", for messages */
	bool seen;            /* in the list under way */
	bool going;           /* deleted, still counted */
	bool is_bad;          /* the last crd_config() failed because of it */
	char *fault;          /* owned: why, or with which; NULL = nothing is wrong with it */
	bool is_said;         /* crd_next_fault() had it */
	struct crdstat *stat; /* owned; NULL = a kind without numbers in its status */
};

struct crd; /* opaque: the set */

struct crd *crd_new(void) MUST_CHECK;
void crd_free(struct crd *c);

/* -- from the watches -- */
void crd_list_begin(struct crd *c, enum crd_kind kind, uint64_t now_ms);
/* -EINVAL: not an object of that kind; -ENOSPC, -ENOMEM: it is not there now, or as it was
 * (crd_is_lacking()). */
int crd_put(struct crd *c, enum crd_kind kind, const cJSON *obj, uint64_t now_ms) MUST_CHECK;
void crd_delete(struct crd *c, enum crd_kind kind, const cJSON *obj, uint64_t now_ms);
/* What the list did not have is deleted. */
void crd_list_end(struct crd *c, enum crd_kind kind, uint64_t now_ms);
/* The kind is not served any more: its objects stay as they are. */
void crd_keep(struct crd *c, enum crd_kind kind);

/* Drops what is deleted and due. */
void crd_run(struct crd *c, uint64_t now_ms);
/* When a deletion of the kind counts, or a list is wanted; TIME_NEVER. */
uint64_t crd_due(const struct crd *c, enum crd_kind kind);
/* Is a list wanted, to tell an empty kind from one that goes? */
bool crd_wants_list(const struct crd *c, enum crd_kind kind, uint64_t now_ms);
/* Was an object of the kind not taken?  Until the next list. */
bool crd_is_lacking(const struct crd *c, enum crd_kind kind);
/* Another number each time that the configuration may come out differently. */
uint64_t crd_generation(const struct crd *c);

/* -- the configuration -- */
/* Of the file and all objects.  As config_parse(); the objects at fault have is_bad and fault set
 * then, and none has after a success. */
int crd_config(struct crd *c, const struct config_source *file, struct config **ret_conf,
	struct config_report *report) MUST_CHECK;
/* The same without the bad ones, and without those that are wrong only for the lack of them.
 * Errors are not reported. */
int crd_config_rest(
	struct crd *c, const struct config_source *file, struct config **ret_conf) MUST_CHECK;

/* The next object whose fault was not yet told; once for each version of it and each fault.  NULL =
 * none. */
const struct crd_object *crd_next_fault(struct crd *c);
/* All are to be told anew: by a new leader. */
void crd_tell_again(struct crd *c);

/* -- reading -- */
size_t crd_count(const struct crd *c);
const struct crd_object *crd_at(const struct crd *c, size_t i);
size_t crd_count_of(const struct crd *c, enum crd_kind kind);

/* -- status (crdstat.h) -- */
/* What all objects should show, as the allocator and the configuration in force have it. */
void crd_want(struct crd *c, const struct alloc *a, const struct config *conf, uint64_t now_ms);
/* This node does not lead: nothing is wanted. */
void crd_want_nothing(struct crd *c);
struct crd_write {
	const struct crd_object *object; /* valid until the next call that takes the set */
	cJSON *body;                     /* a merge patch; the caller's */
	uint64_t id;                     /* for crd_write_done() */
};
/* The next one that is due; false when there is none. */
bool crd_next_write(struct crd *c, uint64_t now_ms, struct crd_write *ret_w);
/* As crdstat_done(). */
bool crd_write_done(struct crd *c, uint64_t id, enum crdstat_outcome outcome, const cJSON *status,
	uint64_t now_ms) MUST_CHECK;
/* It could not be sent. */
void crd_write_failed(struct crd *c, uint64_t id, uint64_t now_ms);
uint64_t crd_next_write_deadline(const struct crd *c);

#endif
