/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_proc.h - the text of files of /proc, read for lbd doctor.  Pure: bytes in, facts out; what
 * is malformed is passed over.
 */
#ifndef LBD_DOCTOR_PROC_H
#define LBD_DOCTOR_PROC_H

#include "doctor.h"

/* /proc/net/route and /proc/net/ipv6_route: routes. */
void doctor_proc_route(const char *text, size_t len, struct doctor_host *h);
void doctor_proc_route6(const char *text, size_t len, struct doctor_host *h);
/* /proc/net/fib_trie and /proc/net/if_inet6: this host's own addresses. */
void doctor_proc_fib_trie(const char *text, size_t len, struct doctor_host *h);
void doctor_proc_if_inet6(const char *text, size_t len, struct doctor_host *h);

/* /proc/net/{tcp,udp}{,6}: a call for each socket that listens (UDP: is not connected). */
typedef void (*doctor_socket_fn)(void *ctx, bool tcp, uint16_t port, uint64_t inode);
void doctor_proc_sockets(const char *text, size_t len, bool tcp, doctor_socket_fn fn, void *ctx);

/* /proc/PID/status: the set that key ("CapEff:") names.  False: it is not there. */
bool doctor_proc_caps(const char *text, size_t len, const char *key, uint64_t *ret_caps);
/* /proc/PID/stat: is the scheduling policy one of the real-time ones? */
enum doctor_known doctor_proc_real_time(const char *text, size_t len);

/* kube-proxy's configuration, as its ConfigMap has it: its mode, strictARP. */
void doctor_proc_kube_proxy(const char *text, size_t len, struct doctor_api *a);

#endif
