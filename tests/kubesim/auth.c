/* SPDX-License-Identifier: Apache-2.0
 *
 * auth.c - bearer tokens and user names.
 *
 * Owns: the token table, the names of users.
 * In:   Authorization headers.  Out: user names.
 */
#include "auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX = 10000 };

const char *auth_intern(struct auth *a, const char *user)
{
	for (size_t i = 0; i < a->nnames; i++) {
		if (!strcmp(a->names[i], user))
			return a->names[i];
	}
	if (a->nnames >= NAMES_MAX)
		return "others";
	a->names = xgrow(a->names, a->nnames, &a->cap_names, sizeof(char *));
	a->names[a->nnames] = xstrdup(user);
	return a->names[a->nnames++];
}

void auth_set_token(struct auth *a, const char *token, const char *user)
{
	auth_drop(a, token, NULL);
	a->tokens = xgrow(a->tokens, a->n, &a->cap, sizeof(*a->tokens));
	a->tokens[a->n++] = (struct auth_token){xstrdup(token), xstrdup(user)};
}

void auth_drop(struct auth *a, const char *token, const char *user)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct auth_token t = a->tokens[i];

		if (user ? !strcmp(t.user, user) : !strcmp(t.token, token)) {
			free(t.token);
			free(t.user);
		} else {
			a->tokens[kept++] = t;
		}
	}
	a->n = kept;
}

const char *auth_by_header(struct auth *a, const char *authorization)
{
	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return NULL;
	authorization += 7 + strspn(authorization + 7, " ");
	for (size_t i = 0; i < a->n; i++) {
		if (!strcmp(a->tokens[i].token, authorization))
			return auth_intern(a, a->tokens[i].user);
	}
	return NULL;
}

const char *auth_token_of(const struct auth *a, const char *user)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!strcmp(a->tokens[i].user, user))
			return a->tokens[i].token;
	}
	return NULL;
}

void auth_free(struct auth *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->tokens[i].token);
		free(a->tokens[i].user);
	}
	for (size_t i = 0; i < a->nnames; i++)
		free(a->names[i]);
	free(a->tokens);
	free(a->names);
}
