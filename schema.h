/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h - the number of the form of our Leases (lbd.io/schema), and what a writer of the next
 * one adds to them.
 *
 * What a later form may add, and what a reader must make of what it does not know, is R3 in
 * docs/ownership.md.  A build with -DLBD_LEASE_SCHEMA=2 (make next) writes one of each, so that the
 * laboratory has a later version to put beside this one.
 */
#ifndef LBD_SCHEMA_H
#define LBD_SCHEMA_H

#ifndef LBD_LEASE_SCHEMA
#define LBD_LEASE_SCHEMA 1
#endif

#if LBD_LEASE_SCHEMA > 1
#define SCHEMA_FLAG  "z"         /* of a section of lbd.io/claims */
#define SCHEMA_WORD  ";next=2"   /* of a section and of a range of it */
#define SCHEMA_ITEM  " next=2"   /* of an address of lbd.io/retired */
#define SCHEMA_LINE  "#next 2\n" /* of lbd.io/retired */
#define SCHEMA_VALUE "2"         /* of the annotation lbd.io/next */
#else
#define SCHEMA_FLAG  ""
#define SCHEMA_WORD  ""
#define SCHEMA_ITEM  ""
#define SCHEMA_LINE  ""
#define SCHEMA_VALUE NULL
#endif

#define SCHEMA_STRING_(x) #x
#define SCHEMA_STRING(x)  SCHEMA_STRING_(x)
#define SCHEMA_TEXT       SCHEMA_STRING(LBD_LEASE_SCHEMA)

#endif
