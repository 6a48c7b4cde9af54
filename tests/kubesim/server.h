/* SPDX-License-Identifier: Apache-2.0
 *
 * server.h - sockets, TLS, HTTP: one thread, one epoll.
 */
#ifndef KUBESIM_SERVER_H
#define KUBESIM_SERVER_H

#include "sim.h"

#include <openssl/ssl.h>

enum { CONNS_MAX = 8192 };

struct server; /* opaque */

/* s is borrowed; its hooks are set to this server. NULL: no epoll. */
struct server *server_new(struct sim *s);
void server_free(struct server *srv);
/* A new context for connections to come; taken over. */
void server_set_tls(struct server *srv, SSL_CTX *ctx);
/* "127.0.0.1:6443", "[::1]:0", ":6443". 0 or -errno; the port that it got. */
int server_listen(struct server *srv, const char *address, unsigned *ret_port);
/* A unix socket that speaks plain HTTP as admin; the path is unlinked first and at the end. */
int server_listen_control(struct server *srv, const char *path);
/* Until SIGTERM or SIGINT. 0 or -errno. */
int server_run(struct server *srv);

/* A server context for TLS from min to max (0: 1.2 to 1.3); crt and key are borrowed. */
SSL_CTX *server_tls(X509 *ca, X509 *crt, EVP_PKEY *key, int min, int max);

#endif
