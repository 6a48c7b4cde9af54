/* SPDX-License-Identifier: Apache-2.0
 *
 * nic.h - which network interfaces need to be promiscuous to hear what is asked on their link.
 */
#ifndef LBD_NIC_H
#define LBD_NIC_H

#include <stdbool.h>

#define NIC_SYSFS "/sys/class/net"

/* Wi-Fi, whose firmware filters ARP and multicast by the addresses that the kernel has; and drivers
 * of which the same is known.  sysfs is NIC_SYSFS but in tests. */
bool nic_needs_promisc(const char *sysfs, const char *name);

#endif
