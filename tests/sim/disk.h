/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.h - a simulated node's disk: the last picture of the cluster, as snapfile.c keeps it
 * (OWNERSHIP R4).  It survives the process.
 */
#ifndef LBD_SIM_DISK_H
#define LBD_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct node;

struct disk {
	char *text; /* owned; NULL: nothing is there */
	uint64_t sequence, lease_sum;
	uint64_t next_ms, look_ms; /* by the node's clock; not before */
	bool loaded;               /* into this life's picture */
	bool dirty, leases;
};

void disk_free(struct disk *d);
/* What is on it is gone. */
void disk_lose(struct disk *d);

/* -- in the order of a life -- */
/* At start, when the picture is empty and leases are followed. */
void disk_load(struct node *n);
/* The API has had its time: the node serves from the old picture. */
bool disk_is_to_be_used(const struct node *n);
void disk_mark(struct node *n);
void disk_on_lease(struct node *n);
/* After a pass: writes, if that is due. */
void disk_run(struct node *n);
uint64_t disk_next_deadline(const struct node *n);

#endif
