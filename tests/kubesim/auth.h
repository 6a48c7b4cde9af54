/* SPDX-License-Identifier: Apache-2.0
 *
 * auth.h - who may speak: bearer tokens and client certificates. Everybody known may do everything
 * but /kubesim/, which is for admins.
 */
#ifndef KUBESIM_AUTH_H
#define KUBESIM_AUTH_H

#include "text.h"

struct auth {
	struct auth_token {
		char *token, *user; /* owned; user "admin" is an admin */
	} * tokens;
	size_t n, cap;
	char **names; /* owned; user names seen, so that they can be borrowed for ever */
	size_t nnames, cap_names;
};

void auth_set_token(struct auth *a, const char *token, const char *user);
/* All tokens of a user, or one token (user NULL). */
void auth_drop(struct auth *a, const char *token, const char *user);
/* NULL: unknown. Borrowed for a's life. */
const char *auth_by_header(struct auth *a, const char *authorization);
const char *auth_intern(struct auth *a, const char *user);
const char *auth_token_of(const struct auth *a, const char *user); /* NULL when there is none */
void auth_free(struct auth *a);

#endif
