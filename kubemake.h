/* SPDX-License-Identifier: Apache-2.0
 *
 * kubemake.h - a kubeconfig made of a server, its CA and a token.  Pure.
 */
#ifndef LBD_KUBEMAKE_H
#define LBD_KUBEMAKE_H

#include "base.h"
#include "buf.h"

#include <stddef.h>

/* Limits, in one place. */
enum {
	KUBEMAKE_MAX_TOKEN = 64 * 1024,
	KUBEMAKE_MAX_CA = 256 * 1024, /* so that the kubeconfig is one that kubeconf.h reads */
};

/* Adds the text of packaging/kubeconfig.tmpl, filled, to out.  White space around token is not part
 * of it.  0; -EINVAL with a sentence in err, which holds nothing of the token: what is given would
 * not be read by lbd as it is meant; -ENOMEM. */
int kubemake(const char *server, const struct buf *ca, const struct buf *token, struct buf *out,
	char *err, size_t err_len) MUST_CHECK;

#endif
