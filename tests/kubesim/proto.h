/* SPDX-License-Identifier: Apache-2.0
 *
 * proto.h - objects in Kubernetes' protobuf envelope, as kubectl 1.32's create sub-commands send
 * them. Answers are always JSON, which those clients accept too.
 */
#ifndef KUBESIM_PROTO_H
#define KUBESIM_PROTO_H

#include "jsn.h"

/* The object as JSON would have it, kind and apiVersion included; NULL: broken, or a kind whose
 * fields are not in the tables. */
cJSON *proto_decode(const char *p, size_t n);

#endif
