/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor_wire.h - asks the wire who answers for Services' addresses.
 */
#ifndef LBD_DOCTOR_WIRE_H
#define LBD_DOCTOR_WIRE_H

#include "doctor.h"

/* Fills wire: the running daemon (control: its socket) says which addresses are in use and which
 * MACs are nodes'; each address, up to DOCTOR_MAX_VIPS, is asked for once, by a probe that nobody
 * learns from (ann_probe()).  It takes a second.  f->host must be filled. */
void doctor_wire_read(const char *control, struct doctor_facts *f);

#endif
