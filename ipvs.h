/* SPDX-License-Identifier: Apache-2.0
 *
 * ipvs.h - the kernel told not to answer ARP for addresses of other interfaces, nor to ask with
 * them, as kube-proxy's --ipvs-strict-arp does.
 */
#ifndef LBD_IPVS_H
#define LBD_IPVS_H

#include "base.h"

/* Where the two settings are, for all interfaces of this network namespace. */
#define IPVS_SETTINGS "/proc/sys/net/ipv4/conf/all"

enum ipvs_result { IPVS_IS_STRICT, IPVS_MADE_STRICT, IPVS_FAILED };

/* folder: IPVS_SETTINGS, but for tests.  IPVS_FAILED: *ret_err is -errno. */
enum ipvs_result ipvs_make_strict(const char *folder, int *ret_err) MUST_CHECK;

#endif
